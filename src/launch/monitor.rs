//! The process that stays outside: it waits for the sandbox and passes COMMAND's exit status on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{OFlag, open};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, read};

use crate::error::{Context, Result};
use crate::fds::{close_all_but, open_numbers};
use crate::kernel::process::exit_code;
use crate::kernel::sys::{self, Timer};
use crate::launch::status;
use crate::links::signals::{Ended, Forwarder};
use crate::links::{Link, timeout};
use crate::report;

/// What the monitor keeps open, and whom it waits for.
#[derive(Debug)]
pub(crate) struct Monitor<'a> {
    /// The sandbox's first process: PID 1, or COMMAND.
    pub(crate) child: Pid,
    /// PID 1 reports COMMAND's exit status here: PID 1 itself may have to live on.
    pub(crate) report: Option<Link>,
    /// `--json-status-fd`
    pub(crate) json_status: Option<OwnedFd>,
    /// Whether COMMAND was executed, with `--json-status-fd` and `--setup-status`.
    pub(crate) executed: Option<&'static AtomicBool>,
    /// Its other end, in the sandbox, notices when the monitor is gone.
    pub(crate) tether: Option<Link>,
    /// `--forward-signals`
    pub(crate) forwarder: Option<Forwarder>,
    /// What else stays open, for whoever comes after the monitor.
    pub(crate) kept: Vec<BorrowedFd<'a>>,
}

impl Monitor<'_> {
    /// Waits for COMMAND's end; the result is its exit status.
    pub(crate) fn run(mut self) -> Result<i32> {
        let forwarding = self.forwarder.as_ref().map(|forwarder| &forwarder.link);
        let links = [self.report.as_ref(), self.tether.as_ref(), forwarding];
        let links = links.into_iter().flatten().map(AsFd::as_fd);
        let json_status = self.json_status.as_ref().map(AsFd::as_fd);
        let kept = links.chain(json_status).chain(report::file()).chain(self.kept.iter().copied());
        // What was the caller's /proc is still that.
        close_all_but(kept, || {
            open_numbers(
                open(c"/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?.as_fd(),
            )
            .ok()
        });
        let ended = self.forwarder.take().map(|forwarder| self.forward(&forwarder)).transpose()?;
        let time_up = ended.as_ref().is_some_and(|ended| ended.time_up);
        report::done();
        let reported = if time_up { Some(timeout::STATUS) } else { self.reported() };
        let code = match (reported, ended.and_then(|ended| ended.guard)) {
            (reported, Some(guard)) => {
                let code = self.end_all(guard)?;
                reported.unwrap_or(code)
            }
            (Some(code), None) => code,
            (None, None) => self.wait()?,
        };
        let executed = self.executed.is_some_and(|executed| executed.load(Ordering::Acquire));
        if let Some(json_status) = self.json_status.take()
            && executed
        {
            status::write_exit_code(json_status.as_fd(), code);
        }
        Ok(report::asked_status().filter(|_| !executed).unwrap_or(code))
    }

    /// Ends the first process, and with it what is in its pid namespace; what is in a control group
    /// ends with that. `guard` sees to it if this process cannot.
    fn end_all(&self, guard: Timer) -> Result<i32> {
        kill(self.child, Signal::SIGKILL).context("Can't kill the sandbox")?;
        drop(guard);
        self.wait()
    }

    /// Passes signals on until COMMAND's exit status can be read or waited for, or its time is up.
    fn forward(&self, forwarder: &Forwarder) -> Result<Ended> {
        if let Some(report) = &self.report {
            return forwarder.run(report.as_fd());
        }
        let sandbox = sys::pidfd_open(self.child).context("Can't watch the sandbox")?;
        forwarder.run(sandbox.as_fd())
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

    /// The exit status of the first process. Other children may be the caller's, from before it
    /// executed us, or those that led into another pid namespace.
    fn wait(&self) -> Result<i32> {
        loop {
            let (pid, status) =
                sys::uninterrupted(sys::wait_any).context("Can't wait for the sandbox")?;
            if pid == self.child
                && let Some(code) = exit_code(status)
            {
                return Ok(code);
            }
        }
    }
}
