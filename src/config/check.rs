//! [`Config::check`]: the rules between options.

use crate::config::op::Op;
use crate::config::{Config, FdOption, Want};
use crate::error::{Error, Result};
use crate::host::Caller;
use crate::kernel::idmap::{self, Maps, Range};
use crate::word::Word;

impl Config {
    /// Applies the rules between options, in the reference's order, and settles what is wanted only
    /// if possible.
    ///
    /// `userns_offered` is asked only if its answer matters: it reads files in /proc.
    pub(crate) fn check(
        mut self,
        caller: Caller,
        userns_offered: impl FnOnce() -> bool,
    ) -> Result<Self> {
        self.check_user_namespace()?;
        if caller.uid != 0 && self.fds.userns.is_none() {
            self.namespaces.user = Want::Yes;
        }
        if self.namespaces.user == Want::Try {
            self.namespaces.user = if userns_offered() { Want::Yes } else { Want::No };
        }
        if self.command.is_empty() {
            let hint = |(option, name, value): (_, _, Word)| {
                let value = value.to_string_lossy();
                format!(
                    "{option} has taken the last word, {value}, as its {name}: COMMAND comes \
                     after the options and their values"
                )
            };
            return Err(Error::usage().hinted(|_| self.last.map(hint)));
        }
        self.check_error_fd()?;
        self.check_maps(caller)?;
        let own_ids = self.namespaces.user == Want::Yes || self.fds.userns.is_some();
        if !own_ids && self.uid.is_some_and(|uid| uid != caller.uid) {
            return Err(Error::new("Specifying --uid requires --unshare-user or --userns"));
        }
        if !own_ids && self.gid.is_some_and(|gid| gid != caller.gid) {
            return Err(Error::new("Specifying --gid requires --unshare-user or --userns"));
        }
        if self.hostname.is_some() && self.namespaces.uts == Want::No {
            return Err(Error::new("Specifying --hostname requires --unshare-uts"));
        }
        if self.switches.as_pid_1 && self.namespaces.pid == Want::No {
            return Err(Error::new("Specifying --as-pid-1 requires --unshare-pid"));
        }
        if !self.has_own_pidns() && self.ops.iter().any(|op| matches!(op, Op::ProcPid(_))) {
            return Err(Error::new("--proc-pid requires --unshare-pid or --pidns"));
        }
        if self.timeout.is_some() && self.namespaces.pid == Want::No && self.cgroup.is_empty() {
            return Err(Error::new(
                "--timeout requires --unshare-pid or --cgroup: otherwise nothing could end what \
                 COMMAND has started",
            ));
        }
        if self.record.exact && self.record.learn.is_none() {
            return Err(Error::new("Specifying --learn-exact requires --learn"));
        }
        if self.switches.as_pid_1 && !self.lock_files.is_empty() {
            return Err(Error::new("Specifying --as-pid-1 and --lock-file is not permitted"));
        }
        Ok(self)
    }

    /// The rules about user namespaces, which come before anything is settled.
    fn check_user_namespace(&self) -> Result<()> {
        let user = self.namespaces.user;
        if self.fds.userns_block.is_some() && user != Want::Yes {
            return Err(Error::new("--userns-block-fd requires --unshare-user"));
        }
        if self.fds.userns_block.is_some() && self.fds.info.is_none() {
            return Err(Error::new("--userns-block-fd requires --info-fd"));
        }
        if self.fds.userns.is_some() && user == Want::Yes {
            return Err(Error::new("--userns is not compatible with --unshare-user"));
        }
        if self.fds.userns.is_some() && user == Want::Try {
            return Err(Error::new("--userns is not compatible with --unshare-user-try"));
        }
        if self.fds.netns.is_some() && self.namespaces.net == Want::Yes {
            return Err(Error::new(
                "--netns is not compatible with --unshare-net: after --unshare-all, add --share-net",
            ));
        }
        if self.switches.disable_userns && user != Want::Yes {
            return Err(Error::new("--disable-userns requires --unshare-user"));
        }
        if self.switches.disable_userns && self.fds.userns_block.is_some() {
            return Err(Error::new("--disable-userns is not compatible with --userns-block-fd"));
        }
        Ok(())
    }

    /// The fd of `--error-fd` is closed when COMMAND is executed, so no other option can use it.
    /// Only options before an `--args` that names it have not been checked for that yet.
    fn check_error_fd(&self) -> Result<()> {
        let Some(error) = self.fds.error else { return Ok(()) };
        let is_other = |option: &FdOption| option.moment.is_later() && option.fd == error;
        let is_used = self.fds.each().iter().any(is_other)
            || self.ops.iter().any(|op| op.fd() == Some(error));
        if is_used {
            return Err(Error::new(format!(
                "--error-fd and another option both name fd {error}: give each its own"
            )));
        }
        Ok(())
    }

    /// The rules about id maps. One line for the caller's own id says the same as `--uid` or
    /// `--gid`, and is taken for that.
    fn check_maps(&mut self, caller: Caller) -> Result<()> {
        if !self.has_ranges() {
            return Ok(());
        }
        if self.namespaces.user != Want::Yes {
            return Err(Error::new("--uid-map and --gid-map require --unshare-user"));
        }
        if self.fds.userns_block.is_some() || self.fds.userns2.is_some() {
            return Err(Error::new(
                "--uid-map and --gid-map are not compatible with --userns-block-fd and --userns2",
            ));
        }
        let Maps { uid, gid } = std::mem::take(&mut self.maps);
        let own = |ranges: &[Range], id| {
            matches!(ranges, [] | [Range { count: 1, .. }])
                && ranges.iter().all(|range| range.outside == id)
        };
        let several = !own(&uid, caller.uid) || !own(&gid, caller.gid);
        if several && caller.uid != 0 {
            return Err(Error::new(
                "Only root can map IDs other than its own: use newuidmap with --userns-block-fd, \
                 see ID RANGES in bwrap(1)",
            ));
        }
        let maps = Maps {
            uid: complete("uid", uid, &mut self.uid, caller.uid)?,
            gid: complete("gid", gid, &mut self.gid, caller.gid)?,
        };
        if several {
            self.maps = maps;
        }
        Ok(())
    }
}

/// Completes one map: without any line it is the caller's id alone. The id in the sandbox is the
/// one asked for, or what the caller's own has become, or the first one there is.
fn complete(
    kind: &str,
    mut ranges: Vec<Range>,
    wanted: &mut Option<u32>,
    caller: u32,
) -> Result<Vec<Range>> {
    if ranges.is_empty() {
        ranges.push(Range::one(wanted.unwrap_or(caller), caller));
    }
    if idmap::overlap(&ranges) {
        return Err(Error::new(format!("An ID can be in one --{kind}-map only")));
    }
    if !idmap::fits(&ranges) {
        return Err(Error::new(format!(
            "Too many lines of --{kind}-map: the kernel accepts 340, in less than 4096 bytes"
        )));
    }
    let id = wanted
        .or_else(|| idmap::inside_of(&ranges, caller))
        .or_else(|| ranges.first().map(|first| first.inside));
    match id.filter(|&id| idmap::outside_of(&ranges, id).is_some()) {
        None => Err(Error::new(format!(
            "The {kind} in the sandbox, {}, is in no --{kind}-map",
            id.unwrap_or(caller)
        ))),
        known => {
            *wanted = known;
            Ok(ranges)
        }
    }
}
