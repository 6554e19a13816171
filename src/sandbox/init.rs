//! PID 1 of the sandbox: it starts COMMAND, reaps whatever is left to it, holds locks and fds, and
//! reports how COMMAND ended.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, write};

use crate::error::{Context, Result};
use crate::fds::close_all_but;
use crate::kernel::process::exit_code;
use crate::kernel::sys;
use crate::links::Link;
use crate::report;
use crate::word::Word;

/// What PID 1 keeps open.
#[derive(Debug)]
pub(crate) struct Init {
    /// Where COMMAND's exit status goes.
    pub(crate) report: Link,
    /// `--sync-fd`
    pub(crate) sync: Vec<OwnedFd>,
    /// `--lock-file`
    pub(crate) locks: Vec<OwnedFd>,
}

/// Takes the locks of `--lock-file`. They belong to the process that takes them, so this is done by
/// PID 1, and before it forks: if a lock cannot be had, COMMAND is not started.
pub(crate) fn take_locks(paths: &[Word]) -> Result<Vec<OwnedFd>> {
    let lock = |path: &Word| {
        // A FIFO would wait for somebody to write to it.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = open(*path, flags, Mode::empty()).at("Unable to open lock file", path)?;
        sys::lock_shared(file.as_fd()).at("Unable to lock file", path)?;
        Ok(file)
    };
    paths.iter().map(lock).collect()
}

impl Init {
    /// Closes what PID 1 has no use for; `open` is what may be open, if that is known.
    pub(crate) fn close_others(&self, open: Option<Vec<RawFd>>) {
        let held = self.sync.iter().chain(&self.locks).map(AsFd::as_fd);
        close_all_but(held.chain([self.report.as_fd()]).chain(report::file()), || open);
    }

    /// Only plain write(2) may be used here: the caller's filters, which COMMAND has to live with,
    /// are installed already.
    ///
    /// Reaps until nobody is left, and reports when COMMAND has ended. The result is COMMAND's exit
    /// status.
    pub(crate) fn run(self, command: Pid) -> Result<i32> {
        let mut result = 1;
        loop {
            match sys::uninterrupted(sys::wait_any) {
                Err(Errno::ECHILD) => return Ok(result),
                Err(other) => return Err(other).context("init wait()"),
                Ok((pid, status)) => {
                    if pid == command
                        && let Some(code) = exit_code(status)
                    {
                        result = code;
                        // The monitor may be gone; then nobody is interested. What it does not read
                        // here, it reads from our own status.
                        _ = sys::uninterrupted(|| write(&self.report, &code.to_ne_bytes()));
                    }
                }
            }
        }
    }
}
