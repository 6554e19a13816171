//! Who the sandbox is: the ids that its processes have while it is made and afterwards, and the
//! user namespaces that give them.

use std::os::fd::BorrowedFd;

use nix::fcntl::readlinkat;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid, setgid, setgroups, setuid};

use crate::config::Want;
use crate::config::settle::Settled;
use crate::confine::caps;
use crate::error::{Context, Error, Result};
use crate::fds::Inherited;
use crate::kernel::idmap::{self, Groups, Maps, Range};
use crate::kernel::sys::{self, End};
use crate::links::Link;

/// Writes the first namespace's maps, or takes on ids in a namespace that somebody else has mapped.
/// The result is for [`nest`].
pub(crate) fn map(config: &Settled, proc: BorrowedFd<'_>) -> Result<Option<MapWriter>> {
    if config.fds.userns_block.is_some() {
        return idmap::assert_mapped(proc).map(|()| None);
    }
    if let Some(layers) = &config.id_layers {
        let writer = layers.nested.as_ref().map(|maps| MapWriter::start(proc, maps)).transpose()?;
        become_mapped(config.identity.first)?;
        return Ok(writer);
    }
    if config.namespaces.user == Want::Yes {
        let outer = config.outer_ids();
        let (uid, gid) = (
            Range::one(config.identity.first.0, outer.0),
            Range::one(config.identity.first.1, outer.1),
        );
        idmap::write_maps(proc, uid, gid, Groups::Deny)?;
        return Ok(None);
    }
    if config.fds.userns.is_some() {
        switch_ids(config.uid, config.gid)?;
    }
    Ok(None)
}

/// The last user namespace: the one of `--userns2`, or a nested one with the wanted ids. Its
/// bounding set is new.
pub(crate) fn nest(
    config: &Settled,
    proc: BorrowedFd<'_>,
    fds: &mut Inherited,
    writer: Option<MapWriter>,
) -> Result<()> {
    if config.switches.disable_userns {
        idmap::limit_user_namespaces(proc)?;
    }
    if let Some(fd) = fds.take_optional(config.fds.userns2).context("Setting userns2 failed")? {
        setns(fd, CloneFlags::CLONE_NEWUSER).context("Setting userns2 failed")?;
    }
    if let Some(writer) = writer {
        writer.unshare()?;
    } else if config.identity.nested {
        unshare(CloneFlags::CLONE_NEWUSER).context("unshare user ns")?;
        let (uid, gid) = (
            Range::one(config.identity.last.0, config.identity.first.0),
            Range::one(config.identity.last.1, config.identity.first.1),
        );
        idmap::write_maps(proc, uid, gid, Groups::Inherited)?;
    }
    if config.switches.disable_userns || config.switches.assert_userns_disabled {
        idmap::assert_disabled()?;
    }
    Ok(())
}

/// The process that maps the ids of a nested user namespace with several ranges: only one of the
/// namespace around it may do that. It is started while this process still is who called. The files
/// in /proc of a process that others must not look into are the host's root's, and whom the ids
/// here stand for may not write to them.
#[derive(Debug)]
pub(crate) struct MapWriter {
    pid: Pid,
    /// A byte says that the namespace is there. Its end instead ends the writer too.
    link: Link,
}

impl MapWriter {
    fn start(proc: BorrowedFd<'_>, maps: &Maps) -> Result<Self> {
        let (ours, theirs) = Link::pair()?;
        // What this process is called in the host's /proc.
        let name = readlinkat(proc, c"self")
            .context("Can't read /proc/self")?
            .into_string()
            .unwrap_or_default();
        let Some(pid) = sys::clone_process(0, End::Usual).context("Can't fork to map ids")? else {
            drop(ours);
            let made = theirs.wait("Can't receive word of the nested user namespace");
            let written = made.and_then(|()| maps.write(proc, &name));
            sys::exit_now(i32::from(written.inspect_err(Error::print).is_err()));
        };
        Ok(Self { pid, link: ours })
    }

    /// Goes into the nested user namespace.
    fn unshare(self) -> Result<()> {
        unshare(CloneFlags::CLONE_NEWUSER).context("unshare user ns")?;
        self.link.notify().context("Can't get IDs mapped")?;
        match sys::uninterrupted(|| waitpid(self.pid, None))
            .context("Can't wait for the id maps")?
        {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(..) => Err(Error::reported()),
            _ => Err(Error::new("The process that maps IDs was killed")),
        }
    }
}

/// Takes on ids of a map that somebody privileged has written, with no other groups, and keeps the
/// capabilities in this user namespace: they are gone when root of the namespace becomes somebody
/// else.
fn become_mapped((uid, gid): (u32, u32)) -> Result<()> {
    setgroups(&[]).context("setgroups failed")?;
    caps::keeping(|| switch_ids(Some(uid), Some(gid)))
}

/// Takes on the ids asked for, the group first: afterwards it might not be allowed.
fn switch_ids(uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    if let Some(gid) = gid.map(Gid::from_raw).filter(|&gid| gid != Gid::current()) {
        setgid(gid).context(format!("unable to switch to gid {gid}"))?;
    }
    if let Some(uid) = uid.map(Uid::from_raw).filter(|&uid| uid != Uid::current()) {
        setuid(uid).context(format!("unable to switch to uid {uid}"))?;
    }
    Ok(())
}
