//! `--forward-signals`: what the monitor is sent goes on to COMMAND, which signals do not reach by
//! themselves: it is in a session or a pid namespace of its own, and its PID 1 is immune to most of
//! them, see pid_namespaces(7). `--timeout`, which is a signal too, at first, goes the same way.
//!
//! The process that is about to become COMMAND hands the monitor a pidfd of itself and waits for a
//! byte before it goes on. A pid could be somebody else's by the time it is used, and so nothing is
//! ever executed that the monitor could not signal: a signal that ends the monitor before that ends
//! the sandbox too.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, sendmsg,
};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};

use crate::error::{Context, Error, Result, warn};
use crate::kernel::sys::{self, SysResult, Timer};
use crate::links::timeout::{Deadline, Timeout};
use crate::links::{Link, wait_beside};
use crate::report;

/// The signals that are forwarded.
const FORWARDED: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// Hands the monitor this process, which is about to become COMMAND, and waits until it may.
pub(crate) fn introduce(link: &Link) -> Result<()> {
    let failure = "Can't hand the monitor a pidfd of COMMAND";
    let this = sys::pidfd_open(getpid()).context(failure)?;
    let (fds, byte) = ([this.as_raw_fd()], [IoSlice::new(&[0])]);
    let rights = [ControlMessage::ScmRights(&fds)];
    match sys::uninterrupted(|| {
        sendmsg::<()>(link.as_fd().as_raw_fd(), &byte, &rights, MsgFlags::MSG_NOSIGNAL, None)
    }) {
        // The monitor is gone.
        Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(Error::reported()),
        other => _ = other.context(failure)?,
    }
    link.wait("Can't read from the monitor")
}

/// The monitor's side.
#[derive(Debug)]
pub(crate) struct Forwarder {
    /// Where COMMAND introduces itself, a socket that tells who writes to it.
    pub(crate) link: Link,
    /// `--forward-signals`
    pub(crate) forwards: bool,
    /// `--timeout`
    pub(crate) timeout: Option<Timeout>,
}

/// How it has come that nothing is passed on any more.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Whether COMMAND's time was up.
    pub(crate) time_up: bool,
    /// Whether the parent has ended.
    pub(crate) orphaned: bool,
    /// What kills the monitor if it does not end the sandbox now.
    pub(crate) guard: Option<Timer>,
}

impl From<Option<Deadline>> for Ended {
    fn from(deadline: Option<Deadline>) -> Self {
        let time_up = deadline.as_ref().is_some_and(Deadline::is_told);
        Self { time_up, guard: deadline.map(|deadline| deadline.guard), orphaned: false }
    }
}

/// COMMAND, as the monitor knows it.
struct Command {
    /// The process itself.
    handle: OwnedFd,
    /// Its PID here, which another process can get after its end.
    pid: Pid,
}

impl Forwarder {
    /// Passes signals on until `end` can be read from, or nobody is at its other end, or the time
    /// is up, or the parent has ended.
    pub(crate) fn run(&self, end: BorrowedFd<'_>, parent: Option<BorrowedFd<'_>>) -> Result<Ended> {
        let failure = "Can't receive COMMAND's pidfd";
        if !wait_beside(self.link.as_fd(), parent).context(failure)? {
            return Ok(Ended { orphaned: true, ..Ended::default() });
        }
        // If the set-up fails, the other end is closed.
        let Some(command) = receive(&self.link).context(failure)? else {
            return Ok(Ended::default());
        };
        let signals = self.forwards.then(take_signals).transpose()?;
        let mut deadline = self.timeout.map(Timeout::start).transpose()?;
        self.link.notify().context("Can't tell COMMAND to continue")?;
        report::done();
        loop {
            let heard = signals.iter().map(AsFd::as_fd);
            let all = [end].into_iter().chain(parent).chain(heard);
            let mut ready: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            let wait = || deadline.as_ref().map_or(PollTimeout::NONE, Deadline::left);
            sys::uninterrupted(|| poll(&mut ready, wait())).context("poll")?;
            while let Some(signals) = &signals
                && let Some(signal) =
                    sys::uninterrupted(|| signals.read_signal()).context("Can't read signals")?
            {
                forward(&command, signal);
            }
            let is_ready = |index| ready.get(index).and_then(PollFd::any).unwrap_or(false);
            if parent.is_some() && is_ready(1) {
                return Ok(Ended { orphaned: true, ..deadline.into() });
            }
            let has_ended = is_ready(0);
            let pass = |deadline: &mut Deadline| deadline.pass(command.handle.as_fd());
            if has_ended || deadline.as_mut().is_some_and(pass) {
                return Ok(deadline.into());
            }
        }
    }
}

/// From here on none of them ends the monitor.
fn take_signals() -> Result<SignalFd> {
    let set: SigSet = FORWARDED.into_iter().collect();
    set.thread_block().context("sigprocmask")?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context("signalfd")
}

/// Passes a signal on.
fn forward(command: &Command, signal: libc::signalfd_siginfo) {
    if is_told(command, &signal) {
        return;
    }
    match sys::pidfd_send_signal(command.handle.as_fd(), signal.ssi_signo.cast_signed()) {
        // COMMAND has ended, and the monitor is about to notice.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(other) => warn(format_args!(
            "Can't forward signal {}: {}",
            signal.ssi_signo,
            crate::error::describe(other)
        )),
    }
}

/// Whether COMMAND hears of it by itself, so that twice would be once too often. The terminal tells
/// all processes of its foreground's group; of its end it tells only the leader of the session.
fn is_told(command: &Command, signal: &libc::signalfd_siginfo) -> bool {
    let number = signal.ssi_signo.cast_signed();
    let of_leader = matches!(number, libc::SIGHUP | libc::SIGCONT) && getsid(None) == Ok(getpid());
    signal.ssi_code == libc::SI_KERNEL && !of_leader && getpgid(Some(command.pid)) == Ok(getpgrp())
}

/// The pidfd that COMMAND sends; none if it has ended before.
fn receive(link: &Link) -> SysResult<Option<Command>> {
    let mut byte = [0; 1];
    let mut buffer = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1], UnixCredentials);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<()>(link.as_fd().as_raw_fd(), &mut buffer, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let (mut handle, mut pid) = (None, None);
    for part in message.cmsgs()? {
        match part {
            rights @ ControlMessageOwned::ScmRights(_) => {
                handle = sys::received(rights).into_iter().next();
            }
            ControlMessageOwned::ScmCredentials(sender) => pid = Some(Pid::from_raw(sender.pid())),
            _ => {}
        }
    }
    Ok(handle.zip(pid).map(|(handle, pid)| Command { handle, pid }))
}
