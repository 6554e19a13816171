//! What the monitor and the sandbox say to each other: links that carry a byte at a time, and what
//! each side has of them.

pub(crate) mod signals;
pub(crate) mod timeout;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, send, setsockopt, socketpair, sockopt,
};
use nix::sys::stat::Mode;
use nix::unistd::read;

use crate::error::{Context, Error, Result};
use crate::kernel::process::set_death_signal;
use crate::kernel::sys::{self, SysResult};

/// One end of a link. Sockets and not pipes: writing to one whose reader is gone can be told not to
/// raise SIGPIPE.
#[derive(Debug)]
pub(crate) struct Link(OwnedFd);

impl Link {
    /// Both ends of a new link.
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let pair = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC);
        pair.map(|(ours, theirs)| (Self(ours), Self(theirs))).context("Can't create socket pair")
    }

    /// Has the kernel say who sends what arrives here.
    fn show_senders(&self) -> Result<()> {
        setsockopt(&self.0, sockopt::PassCred, &true).context("Can't set SO_PASSCRED on pid socket")
    }

    /// Sends a byte. If nobody is at the other end any more, nobody is interested; in particular it
    /// is no SIGPIPE. Any other failure is one, because somebody waits for the byte.
    pub(crate) fn notify(&self) -> SysResult<()> {
        self.send(&[0])
    }

    /// The same with more than a byte.
    pub(crate) fn send(&self, message: &[u8]) -> SysResult<()> {
        let flags = MsgFlags::MSG_NOSIGNAL;
        match sys::uninterrupted(|| send(self.0.as_raw_fd(), message, flags)) {
            Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Waits for a byte from the other end. The end of the link instead means that the other side
    /// is gone, perhaps before it has read what was sent.
    pub(crate) fn wait(&self, failure: &str) -> Result<()> {
        match wait_for_byte(&self.0) {
            Ok(0) | Err(Errno::ECONNRESET) => Err(Error::reported()),
            other => other.map(drop).context(failure),
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits for a byte, or for the end of the file.
pub(crate) fn wait_for_byte(fd: &OwnedFd) -> SysResult<usize> {
    sys::uninterrupted(|| read(fd, &mut [0]))
}

/// Waits until an fd can be read from, and no longer than the parent lives. The result is whether
/// the parent does. Without a handle on that there is nothing to wait for, and no call.
pub(crate) fn wait_beside(fd: BorrowedFd<'_>, parent: Option<BorrowedFd<'_>>) -> SysResult<bool> {
    wait_for(fd, PollFlags::POLLIN, parent)
}

/// The same until a line can be written, which whoever should read may keep us from for ever.
pub(crate) fn wait_to_write_beside(
    fd: BorrowedFd<'_>,
    parent: Option<BorrowedFd<'_>>,
) -> SysResult<bool> {
    if parent.is_none() || is_nonblocking(fd) {
        return Ok(true);
    }
    wait_for(fd, PollFlags::POLLOUT, parent)
}

/// Whether writing to a file fails where it would have to wait.
fn is_nonblocking(fd: BorrowedFd<'_>) -> bool {
    fcntl(fd, FcntlArg::F_GETFL).is_ok_and(|flags| flags & libc::O_NONBLOCK != 0)
}

fn wait_for(
    fd: BorrowedFd<'_>,
    event: PollFlags,
    parent: Option<BorrowedFd<'_>>,
) -> SysResult<bool> {
    let Some(parent) = parent else { return Ok(true) };
    let mut ready = [PollFd::new(parent, PollFlags::POLLIN), PollFd::new(fd, event)];
    sys::uninterrupted(|| poll(&mut ready, PollTimeout::NONE))?;
    Ok(!ready.first().and_then(PollFd::any).unwrap_or(false))
}

/// Which of the [`Ends`] there are to be.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one link, independent of the others")]
pub(crate) struct Needs {
    pub(crate) tether: bool,
    pub(crate) report: bool,
    pub(crate) executed: bool,
    pub(crate) signals: bool,
    pub(crate) pid: bool,
    pub(crate) recorder: bool,
}

/// What the monitor and the sandbox share while the sandbox is set up; each side has one of these.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// A byte from the monitor opens the gate, and each side notices here when the other is gone.
    pub(crate) tether: Option<Link>,
    /// PID 1 reports COMMAND's exit status.
    pub(crate) report: Option<Link>,
    /// Whether COMMAND is executed. In memory, because no filter can refuse to write there.
    pub(crate) executed: Option<&'static AtomicBool>,
    /// Whether PID 1 has failed, and with it the sandbox: then it is not known what COMMAND has done.
    pub(crate) lost: Option<&'static AtomicBool>,
    /// COMMAND introduces itself, so that it can be signalled.
    pub(crate) signals: Option<Link>,
    /// The first process that is in all its namespaces shows its pid.
    pub(crate) pid: Option<Link>,
    /// The process that becomes COMMAND hands the recorder its listener.
    pub(crate) recorder: Option<RecorderEnds>,
}

/// What leads to the recorder.
#[derive(Debug)]
pub(crate) struct RecorderEnds {
    /// A socket that keeps messages apart.
    pub(crate) wire: OwnedFd,
    /// The sandbox's mount namespace, once there is one.
    pub(crate) mounts: Option<OwnedFd>,
}

impl Ends {
    /// The monitor's ends and the sandbox's.
    ///
    /// What is opened in between stays open with some of them on either side, and here its number
    /// is beside theirs: files are closed by runs of numbers.
    pub(crate) fn pair(
        needs: Needs,
        in_between: impl FnOnce() -> Result<()>,
    ) -> Result<(Self, Self)> {
        let flags = needs.executed.then(sys::shared_flags).transpose();
        let (executed, lost) =
            flags.context("Can't share memory")?.map(|[executed, lost]| (executed, lost)).unzip();
        let mut outer = Self { executed, lost, ..Self::default() };
        let mut inner = Self { executed, lost, ..Self::default() };
        if needs.tether {
            let (theirs, ours) = Link::pair()?;
            (outer.tether, inner.tether) = (Some(ours), Some(theirs));
        }
        in_between()?;
        let links = [
            (needs.report, &mut outer.report, &mut inner.report),
            (needs.signals, &mut outer.signals, &mut inner.signals),
            (needs.pid, &mut outer.pid, &mut inner.pid),
        ];
        for (_, ours, theirs) in links.into_iter().filter(|(is_needed, ..)| *is_needed) {
            let pair = Link::pair()?;
            (*theirs, *ours) = (Some(pair.0), Some(pair.1));
        }
        if needs.recorder {
            let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
            let pair = socketpair(AddressFamily::Unix, kind, None, flags);
            let (ours, theirs) = pair.context("Can't create socket pair")?;
            let ends = |wire| Some(RecorderEnds { wire, mounts: None });
            (outer.recorder, inner.recorder) = (ends(ours), ends(theirs));
        }
        for link in [&outer.pid, &outer.signals].into_iter().flatten() {
            link.show_senders()?;
        }
        Ok((outer, inner))
    }

    /// Keeps the mount namespace for the recorder, if there is one.
    pub(crate) fn keep_mounts(&mut self, proc: BorrowedFd<'_>) -> Result<()> {
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let mounts = openat(proc, c"self/ns/mnt", flags, Mode::empty());
        recorder.mounts = Some(mounts.context("Can't open the mount namespace")?);
        Ok(())
    }

    /// Waits for the monitor's word to go on. Its end instead of its word means that it is gone,
    /// and so are we.
    pub(crate) fn pass_gate(&self) -> Result<()> {
        let tether = self.tether.as_ref();
        tether.map_or(Ok(()), |tether| tether.wait("Can't read from the monitor"))
    }

    /// Makes this process, a child of the monitor's, die with it, which may have happened already.
    pub(crate) fn die_with_monitor(&self) -> Result<()> {
        set_death_signal()?;
        // The parent may be in another pid namespace, in which case getppid(2) returns 0. Whether
        // its end of the link is open shows whether it lives.
        let Some(tether) = &self.tether else { return Ok(()) };
        let mut ends = [PollFd::new(tether.as_fd(), PollFlags::empty())];
        match sys::uninterrupted(|| poll(&mut ends, PollTimeout::ZERO)).context("poll")? {
            0 => Ok(()),
            _ => Err(Error::reported()),
        }
    }
}
