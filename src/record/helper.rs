//! Processes that work for the recorder, and those of them that hang.
//!
//! Whatever they may have to wait for is COMMAND's, so the recorder ends those that take too long.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::confine::caps;
use crate::error::{Context, Result};
use crate::fds::close_all_but;
use crate::kernel::sys::{self, End};
use crate::record::line::Line;
use crate::record::task::Task;

/// How long one of them may wait for one thing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How long one may take for it that does not wait: on a busy machine it gets the processor late.
const STARVING: Duration = Duration::from_secs(10);
/// How many processes that hang may be left behind: each waits for COMMAND in the kernel.
const HANGING: usize = 16;

/// A process that works for this one.
#[derive(Debug)]
pub(crate) struct Helper {
    pid: Pid,
    pub(crate) line: Line,
}

impl Helper {
    /// Starts one that only has a few fds, and its end of the line.
    pub(crate) fn start(keep: &[BorrowedFd<'_>], work: impl FnOnce(&Line)) -> Result<Self> {
        let (line, theirs) = Line::pair()?;
        let forked = sys::clone_process(0, End::Usual).context("Can't fork for recording")?;
        if let Some(pid) = forked {
            return Ok(Self { pid, line });
        }
        // The other end is to be noticed to be gone.
        drop(line);
        let keep = || keep.iter().copied().chain([theirs.as_fd()]);
        // Whoever reads what COMMAND writes sees the end of it when COMMAND has ended.
        (0..=2).filter(|fd| keep().all(|kept| kept.as_raw_fd() != *fd)).for_each(sys::close);
        close_all_but(keep(), || None);
        _ = caps::drop_all_but(0, true);
        work(&theirs);
        sys::exit_now(0)
    }

    /// Whether it will not get on with what it has been at for so long.
    pub(crate) fn is_stuck(&self, proc: BorrowedFd<'_>, since: Duration) -> bool {
        since > STARVING || since > PATIENCE && !self.is_runnable(proc)
    }

    /// Whether it could run, if it had a processor.
    fn is_runnable(&self, proc: BorrowedFd<'_>) -> bool {
        let task = Task { proc, thread: self.pid };
        task.state_and_parent().is_some_and(|(state, _)| state == b'R')
    }

    /// Ends it, whatever it does.
    pub(crate) fn kill(&self) {
        _ = kill(self.pid, Signal::SIGKILL);
    }
}

/// Those that were killed, until they have ended.
#[derive(Debug, Default)]
pub(crate) struct Killed(Vec<Pid>);

impl Killed {
    /// Kills one. What it had said before can still be heard.
    pub(crate) fn add(&mut self, helper: &Helper) {
        helper.kill();
        self.0.push(helper.pid);
    }

    /// Whether nothing more may be begun that could hang.
    pub(crate) fn are_too_many(&self) -> bool {
        self.0.len() > HANGING
    }

    /// Buries those that have ended.
    pub(crate) fn reap(&mut self) {
        self.0.retain(|&pid| {
            sys::uninterrupted(|| waitpid(pid, Some(WaitPidFlag::WNOHANG)))
                == Ok(WaitStatus::StillAlive)
        });
    }
}
