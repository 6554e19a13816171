//! PID 1 of the sandbox: it starts COMMAND, reaps whatever is left to it, holds locks and fds, and
//! reports how COMMAND ended.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, write};

use crate::error::{Context, Result};
use crate::fds::close_all_but;
use crate::kernel::process::exit_code;
use crate::kernel::sys::{self, SysResult};
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
    /// The process that started the monitor, with `--die-with-parent`: the monitor, which watches
    /// it as well, may be stopped, even by COMMAND.
    pub(crate) parent: Option<OwnedFd>,
}

/// What PID 1 waits for beside its children: [`Init::parent`], and that SIGCHLD comes.
struct Watch<'a> {
    parent: BorrowedFd<'a>,
    children: SignalFd,
}

impl Watch<'_> {
    /// Waits, or only forgets what has ended so far. The result is whether the parent lives on.
    fn go_on(&self, waits: bool) -> SysResult<bool> {
        if waits { self.wait() } else { self.forget().map(|()| true) }
    }

    /// Waits until a child may have ended. The result is whether the parent lives on.
    fn wait(&self) -> SysResult<bool> {
        let mut ready =
            [self.parent, self.children.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        sys::uninterrupted(|| ppoll(&mut ready, None, None))?;
        Ok(!ready.first().and_then(PollFd::any).unwrap_or(false))
    }

    /// Forgets which children have ended so far.
    fn forget(&self) -> SysResult<()> {
        match sys::uninterrupted(|| self.children.read_signal()) {
            Err(Errno::EAGAIN) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// Takes the locks of `--lock-file`. They belong to the process that takes them, so this is done by
/// PID 1, and before it forks: if a lock cannot be had, COMMAND is not started.
pub(crate) fn take_locks(paths: &[Word]) -> Result<Vec<OwnedFd>> {
    let lock = |path: &Word| {
        // Opening a FIFO would wait for a writer.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = open(*path, flags, Mode::empty()).at("Unable to open lock file", path)?;
        sys::lock_shared(file.as_fd()).at("Unable to lock file", path)?;
        Ok(file)
    };
    paths.iter().map(lock).collect()
}

impl Init {
    /// Closes what PID 1 does not need; `open` lists what may be open, if that is known.
    pub(crate) fn close_others(&self, open: Option<Vec<RawFd>>) {
        let held = self.sync.iter().chain(&self.locks).map(AsFd::as_fd);
        let held = held.chain(self.parent.as_ref().map(AsFd::as_fd));
        close_all_but(held.chain([self.report.as_fd()]).chain(report::file()), || open);
    }

    /// Has the ends of children come by a file, if there is something else to wait for. SIGCHLD is
    /// blocked by now.
    pub(crate) fn children(&self) -> Result<Option<SignalFd>> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let file = || SignalFd::with_flags(&SigSet::from(Signal::SIGCHLD), flags);
        self.parent.as_ref().map(|_| file()).transpose().context("signalfd")
    }

    /// Only plain write(2) and what [`crate::confine::seccomp::allows_watching`] looks for may be
    /// used here: the caller's filters, which COMMAND has to live with, are installed
    /// already.
    ///
    /// Reaps until nobody is left, or the parent has ended, and reports when COMMAND has ended. The
    /// result is COMMAND's exit status.
    pub(crate) fn run(self, command: Pid, children: Option<SignalFd>) -> Result<i32> {
        // Everything is closed when this process ends.
        let this = ManuallyDrop::new(self);
        let parent = this.parent.as_ref().map(AsFd::as_fd);
        let watch = |(parent, children)| ManuallyDrop::new(Watch { parent, children });
        let watch = parent.zip(children).map(watch);
        let (mut result, mut has_looked) = (1, true);
        let mut ended = if watch.is_some() { Ok(None) } else { reap(true) };
        loop {
            match ended {
                Err(Errno::ECHILD) => return Ok(result),
                Err(other) => return Err(other).context("init wait()"),
                // Reap once more before waiting: a child may have ended just before the pending
                // SIGCHLD was consumed.
                Ok(None) => {
                    let lives = watch.as_ref().map(|watch| watch.go_on(has_looked));
                    // When PID 1 ends, the kernel kills all others. That is wanted when the parent
                    // has ended, and also when it can no longer be watched.
                    if lives.transpose().context("init wait()")? == Some(false) {
                        return Ok(result);
                    }
                    has_looked = !has_looked;
                }
                Ok(Some((pid, status))) => {
                    if pid == command
                        && let Some(code) = exit_code(status)
                    {
                        result = code;
                        // If the monitor is gone, nobody needs the status. If the write fails, the
                        // monitor takes PID 1's own exit status.
                        _ = sys::uninterrupted(|| write(&this.report, &code.to_ne_bytes()));
                    }
                }
            }
            ended = reap(watch.is_none());
        }
    }
}

/// Looks for a child that has ended, or waits for one.
fn reap(waits: bool) -> SysResult<Option<(Pid, i32)>> {
    sys::uninterrupted(|| sys::wait_any(waits))
}
