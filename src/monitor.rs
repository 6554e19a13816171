//! The process that stays outside: it waits for the sandbox and passes COMMAND's exit status on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, read};

use crate::error::{Context, Result};
use crate::fds::{close_all_but, open_numbers};
use crate::signals::Forwarder;
use crate::status;
use crate::sys;

/// What the monitor keeps open, and whom it waits for.
#[derive(Debug)]
pub(crate) struct Monitor<'a> {
    /// The sandbox's first process: PID 1, or COMMAND.
    pub(crate) child: Pid,
    /// PID 1 reports COMMAND's exit status here: PID 1 itself may have to live on.
    pub(crate) report: Option<OwnedFd>,
    /// `--json-status-fd`
    pub(crate) json_status: Option<OwnedFd>,
    /// Whether COMMAND was executed, with `--json-status-fd`.
    pub(crate) executed: Option<&'static AtomicBool>,
    /// Its other end, in the sandbox, notices when the monitor is gone.
    pub(crate) tether: Option<OwnedFd>,
    /// `--forward-signals`
    pub(crate) forwarder: Option<Forwarder>,
    /// What else stays open, for whoever comes after the monitor.
    pub(crate) kept: Vec<BorrowedFd<'a>>,
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

impl Monitor<'_> {
    /// Waits for COMMAND's end; the result is its exit status.
    pub(crate) fn run(mut self) -> Result<i32> {
        let own = [&self.report, &self.json_status, &self.tether];
        let link = self.forwarder.as_ref().map(|forwarder| forwarder.link.as_fd());
        let kept = own.into_iter().flatten().map(AsFd::as_fd).chain(link).chain(self.kept.iter().copied());
        // What was the caller's /proc is still that.
        close_all_but(kept, || open_numbers(open(c"/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?.as_fd()).ok());
        if let Some(forwarder) = self.forwarder.take() {
            self.forward(&forwarder)?;
        }
        let code = match self.reported() {
            Some(code) => code,
            None => self.wait()?,
        };
        if let Some(json_status) = self.json_status.take()
            && self.executed.is_some_and(|executed| executed.load(Ordering::Acquire))
        {
            status::write_exit_code(json_status.as_fd(), code);
        }
        Ok(code)
    }

    /// Passes signals on until COMMAND's exit status can be read or waited for.
    fn forward(&self, forwarder: &Forwarder) -> Result<()> {
        match &self.report {
            Some(report) => forwarder.run(report),
            None => forwarder.run(&sys::pidfd_open(self.child).context("Can't watch the sandbox")?),
        }
    }

    /// COMMAND's exit status as PID 1 reports it; nothing if there is no PID 1 or it died first.
    fn reported(&self) -> Option<i32> {
        let report = self.report.as_ref()?;
        let mut code = [0; 4];
        match sys::uninterrupted(|| read(report, &mut code)) {
            Ok(4) => Some(i32::from_ne_bytes(code)),
            _ => None,
        }
    }

    /// The exit status of the first process. Other children may be the caller's, from before it executed us, or those that led
    /// into another pid namespace.
    fn wait(&self) -> Result<i32> {
        loop {
            let (pid, status) = sys::uninterrupted(sys::wait_any).context("Can't wait for the sandbox")?;
            if pid == self.child
                && let Some(code) = exit_code(status)
            {
                return Ok(code);
            }
        }
    }
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
