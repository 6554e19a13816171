//! A line between two of the processes that record: messages in memory that both have, and a
//! socket that wakes up who sleeps and tells the end.
//!
//! There may be a message for each call that COMMAND makes. In memory they cost no system call as
//! long as the other side is awake.

use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::atomic::AtomicU64;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Context, Result};
use crate::kernel::sys::{self, SharedWords, SysResult};
use crate::record::ring::{self, Message, Ring, SIZE};
use crate::record::wire::Wire;

/// How long who is busy waits for more before it looks at what has come, in milliseconds: nobody has
/// to wake it up for each message.
pub(crate) const NAP: u16 = 1;
/// How long who writes waits for room, in milliseconds.
const ROOM: u16 = 1;

/// One end.
#[derive(Debug)]
pub(crate) struct Line {
    memory: Rc<SharedWords>,
    /// Which half is read here; the other one is written.
    reads: usize,
    bell: Wire,
}

/// The fields of a message.
pub(crate) fn fields(message: &[u8]) -> Vec<&[u8]> {
    message.split(|&byte| byte == 0).collect()
}

impl Line {
    /// Both ends, one of them for a process that is about to be forked.
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let memory = Rc::new(SharedWords::new(2 * SIZE + 2).context("Can't share memory")?);
        let (ours, theirs) = Wire::pair()?;
        let other = Self { memory: memory.clone(), reads: 1, bell: theirs };
        Ok((Self { memory, reads: 0, bell: ours }, other))
    }

    fn ring(&self, half: usize) -> SysResult<Ring<'_>> {
        Ring::at(self.memory.words(), half * SIZE)
    }

    /// Whether who reads a half sleeps.
    fn sleeps(&self, half: usize) -> SysResult<&AtomicU64> {
        self.memory.words().get(2 * SIZE + half).ok_or(Errno::EIO)
    }

    /// Sends a message, and waits for room if it has to. EPIPE if nobody reads any more.
    pub(crate) fn send(&self, message: &[u8]) -> SysResult<()> {
        self.post(message)?;
        self.wake()
    }

    /// The same without waking up the other side.
    pub(crate) fn post(&self, message: &[u8]) -> SysResult<()> {
        loop {
            match self.ring(1 - self.reads)?.push(message) {
                Err(Errno::EAGAIN) => self.wake()?,
                other => return other,
            }
            let mut ready = [PollFd::new(self.bell.as_fd(), PollFlags::empty())];
            if sys::uninterrupted(|| poll(&mut ready, PollTimeout::from(ROOM)))? > 0 {
                return Err(Errno::EPIPE);
            }
        }
    }

    /// Wakes up the other side, for what was sent.
    pub(crate) fn wake(&self) -> SysResult<()> {
        ring::wake_up(self.sleeps(1 - self.reads)?, &self.bell);
        Ok(())
    }

    /// Takes a message that is there.
    fn take(&self) -> SysResult<Option<Message>> {
        let ring = self.ring(self.reads)?;
        let mut message = Message::new();
        match ring.copy(ring.done()?, &mut message)? {
            Some(next) => ring.set_done(next).map(|()| Some(message)),
            None => Ok(None),
        }
    }

    /// A message that is there already: EAGAIN if none is, nothing at the end.
    pub(crate) fn try_receive(&self) -> SysResult<Option<Message>> {
        if let Some(message) = self.take()? {
            return Ok(Some(message));
        }
        let has_ended = self.bell.hear()?;
        match self.take()? {
            None if has_ended => Ok(None),
            None => Err(Errno::EAGAIN),
            some => Ok(some),
        }
    }

    /// Waits for a message, for so long at most: EAGAIN. None is the end.
    pub(crate) fn receive_within(&self, limit: PollTimeout) -> SysResult<Option<Message>> {
        loop {
            match self.try_receive() {
                Err(Errno::EAGAIN) => {}
                other => return other,
            }
            if self.may_sleep()? {
                let mut ready = [PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
                if sys::uninterrupted(|| poll(&mut ready, limit)) != Ok(1) {
                    return Err(Errno::EAGAIN);
                }
            }
        }
    }

    /// Asks to be woken up by the next message; no if there is one already.
    pub(crate) fn may_sleep(&self) -> SysResult<bool> {
        ring::lie_down(self.sleeps(self.reads)?);
        self.ring(self.reads)?.is_done()
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ring::WORDS;

    /// Sends if there is room.
    fn try_send(line: &Line, message: &[u8]) -> SysResult<()> {
        line.ring(1 - line.reads)?.push(message)?;
        line.wake()
    }

    fn received(line: &Line) -> Option<Message> {
        line.receive_within(PollTimeout::NONE).ok().flatten()
    }

    #[test]
    fn messages_come_as_they_were_sent() {
        let Ok((ours, theirs)) = Line::pair() else { return };
        assert_eq!(theirs.try_receive(), Err(Errno::EAGAIN));
        let mut count = 0;
        // More than there is room for, of all lengths.
        for round in 0..40_usize {
            for length in 0..200 {
                let message = vec![u8::try_from((round + length) % 251).unwrap_or(0); length * 7];
                assert_eq!(try_send(&ours, &message), Ok(()));
                count += 1;
                if length % 3 == 2 {
                    for _ in 0..count {
                        assert!(received(&theirs).is_some());
                    }
                    count = 0;
                }
            }
            assert_eq!(try_send(&ours, b"last"), Ok(()));
            while received(&theirs).as_deref() != Some(b"last") {}
            count = 0;
        }
        assert_eq!(try_send(&theirs, b"a\0b"), Ok(()));
        assert_eq!(received(&ours).as_deref().map(fields), Some(vec![&b"a"[..], b"b"]));
    }

    #[test]
    fn a_full_line_takes_no_more() {
        let Ok((ours, theirs)) = Line::pair() else { return };
        let message = vec![7; 8 * 1023];
        for _ in 0..WORDS / 1024 {
            assert_eq!(try_send(&ours, &message), Ok(()));
        }
        assert_eq!(try_send(&ours, b""), Err(Errno::EAGAIN));
        assert_eq!(try_send(&ours, &vec![0; 8 * WORDS]), Err(Errno::EMSGSIZE));
        assert_eq!(received(&theirs).as_deref(), Some(&message[..]));
        assert_eq!(try_send(&ours, b"x"), Ok(()));
        drop(theirs);
        // What nobody reads any more fills up.
        let sent: Vec<_> = (0..3).map(|_| ours.send(&message)).collect();
        assert_eq!(sent.last(), Some(&Err(Errno::EPIPE)));
    }

    #[test]
    fn who_sleeps_is_woken_up_once() {
        let Ok((ours, theirs)) = Line::pair() else { return };
        let bells = || {
            let mut ready = [PollFd::new(theirs.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::ZERO)
        };
        assert_eq!(try_send(&ours, b"x"), Ok(()));
        assert_eq!(bells(), Ok(0));
        assert_eq!(theirs.may_sleep(), Ok(false));
        assert_eq!(theirs.try_receive(), Ok(Some(b"x".to_vec())));
        assert_eq!(theirs.may_sleep(), Ok(true));
        assert_eq!(try_send(&ours, b"y"), Ok(()));
        assert_eq!(bells(), Ok(1));
        assert_eq!(theirs.try_receive(), Ok(Some(b"y".to_vec())));
        assert_eq!(theirs.try_receive(), Err(Errno::EAGAIN));
        assert_eq!((try_send(&ours, b"z"), bells()), (Ok(()), Ok(0)));
        drop(ours);
        assert_eq!(theirs.try_receive(), Ok(Some(b"z".to_vec())));
        assert_eq!(theirs.try_receive(), Ok(None));
    }
}
