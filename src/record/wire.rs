//! What the processes that record say to each other: messages of fields with a NUL byte between
//! them, which no path has.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, sendmsg, socketpair};

use crate::error::{Context, Result};
use crate::kernel::sys::{self, SysResult};

/// Longer than any message: a few paths.
const LONGEST: usize = 64 * 1024;

/// One end of a connection that keeps messages apart.
#[derive(Debug)]
pub(crate) struct Wire(OwnedFd);

impl From<OwnedFd> for Wire {
    fn from(end: OwnedFd) -> Self {
        Self(end)
    }
}

impl Wire {
    /// Both ends.
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags);
        pair.map(|(ours, theirs)| (Self(ours), Self(theirs))).context("Can't create socket pair")
    }

    /// Sends a message, and waits for room if it has to.
    pub(crate) fn send(&self, fields: &[&[u8]]) -> SysResult<()> {
        self.send_with(fields, MsgFlags::MSG_NOSIGNAL)
    }

    fn send_with(&self, fields: &[&[u8]], flags: MsgFlags) -> SysResult<()> {
        let message = fields.join(&0);
        let parts = [IoSlice::new(&message)];
        let send = || sendmsg::<()>(self.0.as_raw_fd(), &parts, &[], flags, None);
        sys::uninterrupted(send).map(drop)
    }

    /// Wakes up who sleeps at the other end.
    pub(crate) fn ring(&self) -> SysResult<()> {
        self.send_with(&[b"!"], MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)
    }

    /// Takes what has rung; the result is whether the other end is gone.
    pub(crate) fn hear(&self) -> SysResult<bool> {
        loop {
            let receive = || recv(self.0.as_raw_fd(), &mut [0; 8], MsgFlags::MSG_DONTWAIT);
            match sys::uninterrupted(receive) {
                Ok(0) | Err(Errno::ECONNRESET) => return Ok(true),
                Err(Errno::EAGAIN) => return Ok(false),
                other => _ = other?,
            }
        }
    }

    /// Whether the other end goes within a time.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        // Only the end is waited for.
        let mut ends = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        sys::uninterrupted(|| poll(&mut ends, limit)).is_ok_and(|count| count > 0)
    }

    /// Waits for a message; none is the end.
    pub(crate) fn receive(&self) -> SysResult<Option<Vec<Vec<u8>>>> {
        let mut buffer = vec![0; LONGEST];
        let receive = || recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty());
        let count = match sys::uninterrupted(receive) {
            Ok(0) | Err(Errno::ECONNRESET) => return Ok(None),
            other => other?,
        };
        buffer.truncate(count);
        Ok(Some(buffer.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()))
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A field that is a number.
pub(crate) fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_apart() {
        let Ok((ours, theirs)) = Wire::pair() else { return };
        assert_eq!(theirs.hear(), Ok(false));
        assert_eq!((ours.ring(), ours.ring(), theirs.hear()), (Ok(()), Ok(()), Ok(false)));
        assert_eq!(ours.send(&[b"name", b"", b"a\nb"]), Ok(()));
        assert_eq!(ours.send(&[b"7"]), Ok(()));
        let fields = [b"name".to_vec(), Vec::new(), b"a\nb".to_vec()];
        assert_eq!(theirs.receive(), Ok(Some(fields.to_vec())));
        drop(ours);
        assert_eq!(theirs.receive(), Ok(Some(vec![b"7".to_vec()])));
        assert_eq!(theirs.receive(), Ok(None));
        assert_eq!(theirs.hear(), Ok(true));
    }
}
