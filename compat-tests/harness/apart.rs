//! A mount namespace of our own: whatever else runs on the machine, no mount of others comes into it, so what is new there was left.

use std::fs::File;
use std::os::fd::AsFd as _;

use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

use super::Result;

/// Moves this thread, and a process that has no other, into a mount namespace of its own, and with that into a user namespace if it is to have one.
pub(crate) fn enter(with_user_namespace: bool) -> Result<()> {
    let at = |what: &str, result: std::result::Result<(), String>| result.map_err(|e| format!("{what}: {e}"));
    let write = |path: &str, text: &str| at(path, std::fs::write(path, text).map_err(|e| e.to_string()));
    let (uid, gid) = (Uid::effective(), Gid::effective());
    let mut flags = CloneFlags::CLONE_NEWNS;
    flags.set(CloneFlags::CLONE_NEWUSER, with_user_namespace);
    at("unshare", unshare(flags).map_err(|e| e.to_string()))?;
    if with_user_namespace {
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/uid_map", &format!("{uid} {uid} 1"))?;
        write("/proc/self/gid_map", &format!("{gid} {gid} 1"))?;
    }
    // Out of everybody's sight first; then a group of our own, so that a mount that gets out of a sandbox shows here.
    for flags in [MsFlags::MS_PRIVATE, MsFlags::MS_SHARED] {
        let result = mount(None::<&str>, "/", None::<&str>, flags | MsFlags::MS_REC, None::<&str>);
        at("propagation", result.map_err(|e| e.to_string()))?;
    }
    Ok(())
}

/// The table of this thread's mounts. Lines may go at any time: who removes the directory elsewhere takes a mount on it away.
pub(crate) fn mounts() -> Result<String> {
    std::fs::read_to_string("/proc/thread-self/mountinfo").map_err(|e| format!("mountinfo: {e}"))
}

/// The lines of a table that an earlier one has not.
pub(crate) fn new_lines<'a>(before: &str, now: &'a str) -> Vec<&'a str> {
    now.lines().filter(|line| !before.lines().any(|old| old == *line)).collect()
}

/// Tells whether the table of mounts has changed meanwhile, even if it is the same again.
pub(crate) struct Watch(File);

impl Watch {
    pub(crate) fn new() -> Result<Self> {
        File::open("/proc/thread-self/mountinfo").map(Self).map_err(|e| format!("mountinfo: {e}"))
    }

    /// Whether it has since this was asked last.
    pub(crate) fn changed(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLPRI)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }
}
