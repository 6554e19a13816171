//! What has to be known, and to be possible, before a recording begins: nothing of the sandbox is
//! made before that.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, readlinkat};
use nix::unistd::getpid;

use crate::config::op::{Access, Op, Upper};
use crate::config::settle::Settled;
use crate::error::{Context, Error, Result, warn};
use crate::kernel::files::read_file;
use crate::record::handover;
use crate::record::learn::Profile;
use crate::record::learn::merge::Earlier;
use crate::record::learn::places::Places;
use crate::record::learn::policy::Policy;
use crate::record::learn::target::Target;
use crate::record::mounts::Host;

/// All that is found out before the sandbox is made.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) places: Places,
    /// What each operation takes from the host.
    pub(crate) sources: Vec<Option<Host>>,
    pub(crate) profile: Option<Profile>,
    pub(crate) policy: Option<Policy>,
}

impl Plan {
    /// Finds it out, or what is in the way.
    #[cold]
    pub(crate) fn new(config: &Settled, mut places: Places, proc: BorrowedFd<'_>) -> Result<Self> {
        if config.ops.iter().any(|op| matches!(op, Op::MaskGlob(_))) {
            places.forget_here();
        }
        let interrupts = !check_kernel()?;
        check_proc(proc)?;
        check_access(config, proc)?;
        let wanted = config.record;
        let sources: Vec<_> = config.ops.iter().map(Host::source_of).collect();
        let profile = wanted.learn.map(|path| {
            let target = Target::open("--learn", path, None)?;
            let earlier = Earlier::read(path, &target.text, &places)?;
            Ok(Profile { target, earlier })
        });
        let profile: Option<Profile> = profile.transpose()?;
        let beside = profile.as_ref().map(|profile| &profile.target);
        let policy = wanted.seccomp.map(|path| {
            let target = Target::open("--learn-seccomp", path, beside)?;
            Policy::read(target)
        });
        let policy = policy.transpose()?;
        let plan = Self { places, sources, profile, policy };
        plan.refuse_writable(config)?;
        if interrupts {
            warn("On Linux before 5.19 signals may interrupt calls that are recorded, with EINTR");
        }
        Ok(plan)
    }

    /// The files that are to be written.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        let profile = self.profile.as_ref().map(|profile| &profile.target);
        profile.into_iter().chain(self.policy.as_ref().map(|policy| &policy.target))
    }

    /// What has to stay open.
    pub(crate) fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.targets().flat_map(Target::fds)
    }

    /// An error where COMMAND could write to what is to be written about it.
    fn refuse_writable(&self, config: &Settled) -> Result<()> {
        for (op, source) in config.ops.iter().zip(&self.sources) {
            let bound = match op {
                Op::Bind { access: Access::ReadWrite, .. }
                | Op::Same { access: Access::ReadWrite, .. } => source.clone(),
                _ => None,
            };
            let changed = match op {
                Op::Overlay { upper: Upper::Host { workdir, .. }, .. } => {
                    [source.clone(), Host::of(workdir.to_bytes())]
                }
                _ => [None, None],
            };
            for host in bound.into_iter().chain(changed.into_iter().flatten()) {
                self.targets().try_for_each(|target| target.refuse_within(&host))?;
            }
        }
        Ok(())
    }
}

/// Whether the kernel has what recording needs; no: all but calls that signals do not interrupt.
fn check_kernel() -> Result<bool> {
    use nix::fcntl::{OFlag, OpenHow, openat2};
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC);
    match openat2(AT_FDCWD, c"/", how) {
        Err(Errno::ENOSYS) => {
            return Err(Error::new("Recording needs openat2, which came with Linux 5.6"));
        }
        other => drop(other.context("Recording needs openat2")?),
    }
    Ok(handover::flags_of_kernel()? != 0)
}

/// Whether /proc shows the processes that this one can name.
fn check_proc(proc: BorrowedFd<'_>) -> Result<()> {
    let own = readlinkat(proc, c"self").map(std::ffi::OsString::into_encoded_bytes);
    if own.as_deref() == Ok(getpid().to_string().as_bytes()) {
        return Ok(());
    }
    Err(Error::new("Can't record: /proc is of another pid namespace"))
}

/// Whether COMMAND's memory can be read, see ptrace(2).
fn check_access(config: &Settled, proc: BorrowedFd<'_>) -> Result<()> {
    let scope = read_file(proc, c"sys/kernel/yama/ptrace_scope", 16);
    let scope = match scope {
        Err(Errno::ENOENT) => 0,
        other => {
            let text = other.context("Can't read kernel.yama.ptrace_scope")?;
            std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(3)
        }
    };
    // Who has made a user namespace may look into all that is in it.
    let is_owner = config.namespaces.user == crate::config::Want::Yes;
    if scope >= 3 {
        return Err(Error::new(
            "Can't record: kernel.yama.ptrace_scope is 3, so no process may look into another",
        ));
    }
    if scope > 0 && !is_owner {
        return Err(Error::new(format!(
            "Can't record without --unshare-user: kernel.yama.ptrace_scope is {scope}, so only who has made a user namespace may look \
             into what runs in it"
        )));
    }
    if !is_owner && config.privileges.after_exec != 0 {
        return Err(Error::new(
            "Can't record root's COMMAND without --unshare-user or --cap-drop ALL: it has capabilities that the recorder lacks",
        ));
    }
    Ok(())
}
