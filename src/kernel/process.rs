//! How processes end: death signals, see PR_SET_PDEATHSIG(2const), and wait(2) statuses.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use crate::error::{Context, Error, Result};
use crate::kernel::sys;

/// Has the kernel kill this process when its parent ends. A change of credentials takes that back.
pub(crate) fn set_death_signal() -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("prctl(PR_SET_PDEATHSIG)")
}

/// The opposite.
pub(crate) fn clear_death_signal() -> Result<()> {
    prctl::set_pdeathsig(None).context("prctl(PR_SET_PDEATHSIG)")
}

/// The error where the parent has ended before this process.
pub(crate) fn parent_is_gone() -> Error {
    Error::new("The parent process is gone")
}

/// Makes this process die with its parent, which may have died already.
pub(crate) fn die_with(parent: Pid) -> Result<()> {
    set_death_signal()?;
    if getppid() != parent {
        return Err(parent_is_gone());
    }
    Ok(())
}

/// A handle on the parent, which tells of its end.
///
/// The kernel's death signal comes when the *thread* that has started this process ends, and the
/// parent may go on without it. Only where there can be no handle, because a filter does not know
/// the call or the parent is in a pid namespace around ours, does this process have to do with that.
pub(crate) fn hold_parent(parent: Pid) -> Result<Option<OwnedFd>> {
    let handle = if parent.as_raw() == 0 { Err(Errno::EINVAL) } else { sys::pidfd_open(parent) };
    match handle {
        // As long as it is the parent, its PID is not reused.
        Ok(handle) if getppid() == parent => Ok(Some(handle)),
        Ok(_) | Err(Errno::ESRCH) => Err(parent_is_gone()),
        Err(_) => die_with(parent).map(|()| None),
    }
}

/// A wait(2) status as an exit status: n, or 128 + the signal. Real-time signals count too.
pub(crate) const fn exit_code(status: i32) -> Option<i32> {
    if libc::WIFEXITED(status) {
        Some(libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        Some(128 + libc::WTERMSIG(status))
    } else {
        None
    }
}

/// Makes this process an ordinary one again for /proc and ptrace(2), as it was before its
/// credentials changed: whoever watches the sandbox from outside looks at its files there. Only
/// once nothing of the host can be reached through it.
pub(crate) fn become_dumpable() -> Result<()> {
    prctl::set_dumpable(true).context("prctl(libc::PR_SET_DUMPABLE) failed")
}

/// Closes this process's files in /proc to everybody who is not privileged on the host.
pub(crate) fn become_undumpable() -> Result<()> {
    prctl::set_dumpable(false).context("prctl(libc::PR_SET_DUMPABLE) failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_exit_codes() {
        assert_eq!(exit_code(0), Some(0));
        assert_eq!(exit_code(7 << 8), Some(7));
        assert_eq!(exit_code(libc::SIGKILL), Some(137));
        assert_eq!(exit_code(40), Some(168), "a real-time signal");
        assert_eq!(exit_code(0x137f), None, "stopped");
    }
}
