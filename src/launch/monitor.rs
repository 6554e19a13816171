//! The process that stays outside: it waits for the sandbox and passes COMMAND's exit status on.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{OFlag, open};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, read};

use crate::error::{Context, Result};
use crate::fds::{close_all_but, open_numbers};
use crate::kernel::process::exit_code;
use crate::kernel::sys::{self, SysResult};
use crate::launch::status;
use crate::links::signals::{Ended, Forwarder};
use crate::links::{Link, timeout, wait_beside, wait_to_write_beside};
use crate::record::Watcher;
use crate::report;

/// What the monitor keeps open, and whom it waits for.
#[derive(Debug)]
pub(crate) struct Monitor<'a> {
    /// The sandbox's first process: PID 1, or COMMAND.
    pub(crate) child: Pid,
    /// PID 1 reports COMMAND's exit status here, because PID 1 itself may need to continue.
    pub(crate) report: Option<Link>,
    /// `--json-status-fd`
    pub(crate) json_status: Option<OwnedFd>,
    /// Whether COMMAND was executed, with `--json-status-fd` and `--setup-status`.
    pub(crate) executed: Option<&'static AtomicBool>,
    /// Whether PID 1 has failed.
    pub(crate) lost: Option<&'static AtomicBool>,
    /// Its other end, in the sandbox, notices when the monitor is gone.
    pub(crate) tether: Option<Link>,
    /// `--forward-signals`
    pub(crate) forwarder: Option<Forwarder>,
    /// The process that started this one, with `--die-with-parent`.
    pub(crate) parent: ManuallyDrop<Option<OwnedFd>>,
    /// What records.
    pub(crate) recorder: Option<Watcher>,
    /// What else stays open, for the monitor's successor.
    pub(crate) kept: Vec<BorrowedFd<'a>>,
}

impl Monitor<'_> {
    /// Waits for COMMAND's end; the result is its exit status.
    pub(crate) fn run(mut self) -> Result<i32> {
        let forwarding = self.forwarder.as_ref().map(|forwarder| &forwarder.link);
        let recorder = self.recorder.as_ref().map(Watcher::link);
        let links = [self.report.as_ref(), self.tether.as_ref(), forwarding, recorder];
        let links = links.into_iter().flatten().map(AsFd::as_fd);
        let files = [self.json_status.as_ref(), self.parent.as_ref()];
        let files = files.into_iter().flatten().map(AsFd::as_fd).chain(report::file());
        let kept = links.chain(files).chain(self.kept.iter().copied());
        // The monitor has not changed its mount namespace, so /proc is still the caller's.
        close_all_but(kept, || {
            open_numbers(
                open(c"/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?.as_fd(),
            )
            .ok()
        });
        let ended = self.watch()?;
        report::done();
        let code = self.end(ended)?;
        let is_set =
            |flag: Option<&AtomicBool>| flag.is_some_and(|flag| flag.load(Ordering::Acquire));
        let executed = is_set(self.executed) && !is_set(self.lost);
        if let Some(json_status) = self.json_status.take()
            && executed
            && wait_to_write_beside(json_status.as_fd(), self.parent()) != Ok(false)
        {
            status::write_exit_code(json_status.as_fd(), code);
        }
        if let Some(recorder) = self.recorder.take() {
            recorder.finish();
        }
        Ok(report::asked_status().filter(|_| !executed).unwrap_or(code))
    }

    /// The handle on the parent.
    fn parent(&self) -> Option<BorrowedFd<'_>> {
        self.parent.as_ref().map(AsFd::as_fd)
    }

    /// Waits until COMMAND's exit status can be read or waited for, if there is something else to
    /// wait for as well: signals, a time, the parent's end.
    fn watch(&mut self) -> Result<Ended> {
        let forwarder = self.forwarder.take();
        let parent = self.parent();
        if forwarder.is_none() && parent.is_none() {
            return Ok(Ended::default());
        }
        let failure = "Can't watch the sandbox";
        let sandbox = if self.report.is_some() { None } else { Some(sys::pidfd_open(self.child)) };
        let sandbox = sandbox.transpose().context(failure)?;
        // It is closed when this process ends, as all fds are.
        let sandbox = ManuallyDrop::new(sandbox);
        let report = self.report.as_ref().map(AsFd::as_fd);
        let Some(end) = report.or(sandbox.as_ref().map(AsFd::as_fd)) else {
            return Ok(Ended::default());
        };
        if let Some(forwarder) = forwarder {
            return forwarder.run(end, parent);
        }
        let orphaned = !wait_beside(end, parent).context(failure)?;
        Ok(Ended { orphaned, ..Ended::default() })
    }

    /// COMMAND's exit status, once everything that must end has ended.
    fn end(&self, ended: Ended) -> Result<i32> {
        let Ended { time_up, orphaned, guard } = ended;
        let reported = match (time_up, orphaned) {
            (true, _) => Ok(Some(timeout::STATUS)),
            (_, true) => Ok(None),
            _ => self.reported(),
        };
        if orphaned || guard.is_some() {
            // Killing the first process ends its pid namespace, and dropping the guard ends the
            // control group. We may lack the permission to signal a COMMAND that has changed its
            // user, or a filter may refuse it. Then the sandbox is left to the kernel: it dies with
            // this process, which must not wait for it.
            if kill(self.child, Signal::SIGKILL).is_err() {
                return Ok(reported.ok().flatten().unwrap_or(1));
            }
            drop(guard);
            let code = self.wait()?;
            // The first process has been killed, and has no status of COMMAND's.
            return Ok(reported.context("Can't read COMMAND's exit status")?.unwrap_or(code));
        }
        reported.ok().flatten().map_or_else(|| self.wait_for_first(), Ok)
    }

    /// The exit status of a PID 1 that has reported none, or of COMMAND. A PID 1 that has failed may
    /// be saying so to somebody who does not read, and does so no longer than the parent lives.
    fn wait_for_first(&self) -> Result<i32> {
        if self.report.is_some()
            && self.parent.is_some()
            && let Ok(first) = sys::pidfd_open(self.child)
            && wait_beside(first.as_fd(), self.parent()) == Ok(false)
            && kill(self.child, Signal::SIGKILL).is_err()
        {
            return Ok(1);
        }
        self.wait()
    }

    /// COMMAND's exit status as reported by PID 1; nothing if there is no PID 1 or it died first.
    fn reported(&self) -> SysResult<Option<i32>> {
        let Some(report) = &self.report else { return Ok(None) };
        let mut code = [0; 4];
        let count = sys::uninterrupted(|| read(report, &mut code))?;
        Ok((count == code.len()).then(|| i32::from_ne_bytes(code)))
    }

    /// The exit status of the first process. Other children may be the caller's, from before it
    /// executed us, or those that led into another pid namespace.
    fn wait(&self) -> Result<i32> {
        loop {
            let ended = sys::uninterrupted(|| sys::wait_any(true));
            if let Some((pid, status)) = ended.context("Can't wait for the sandbox")?
                && pid == self.child
                && let Some(code) = exit_code(status)
            {
                return Ok(code);
            }
        }
    }
}
