//! A line between two of the processes that record: messages in memory that both have, and a
//! socket that wakes up who sleeps and tells the end.
//!
//! There may be a message for each call that COMMAND makes. In memory they cost no system call as
//! long as the other side is awake.

use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Context, Result};
use crate::kernel::sys::{self, SharedWords, SysResult};
use crate::record::wire::Wire;

/// A message: fields with a NUL byte between them, which no path has.
pub(crate) type Message = Vec<u8>;

/// How many words of eight bytes each direction has, a power of two: many of the longest messages.
const WORDS: usize = 1 << 16;
/// What comes before them: how many have been written, how many read, and whether the reader sleeps.
const HEAD: usize = 8;
/// How long who writes waits for room, in milliseconds.
const ROOM: u16 = 1;

/// One end.
#[derive(Debug)]
pub(crate) struct Line {
    memory: Rc<SharedWords>,
    /// Where the words begin that are read here, and those that are written.
    read: usize,
    write: usize,
    bell: Wire,
}

/// The fields of a message.
pub(crate) fn fields(message: &[u8]) -> Vec<&[u8]> {
    message.split(|&byte| byte == 0).collect()
}

impl Line {
    /// Both ends, one of them for a process that is about to be forked.
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let half = HEAD + WORDS;
        let memory = Rc::new(SharedWords::new(2 * half).context("Can't share memory")?);
        let (ours, theirs) = Wire::pair()?;
        let other = Self { memory: memory.clone(), read: half, write: 0, bell: theirs };
        Ok((Self { memory, read: 0, write: half, bell: ours }, other))
    }

    fn word(&self, index: usize) -> SysResult<&AtomicU64> {
        self.memory.words().get(index).ok_or(Errno::EIO)
    }

    /// A word of the messages that begin somewhere.
    fn cell(&self, start: usize, position: u64) -> SysResult<&AtomicU64> {
        let offset = usize::try_from(position).map_err(|_| Errno::EIO)? % WORDS;
        self.word(start + HEAD + offset)
    }

    /// Sends a message, and waits for room if it has to. EPIPE if nobody reads any more.
    pub(crate) fn send(&self, message: &[u8]) -> SysResult<()> {
        loop {
            match self.try_send(message) {
                Err(Errno::EAGAIN) => {}
                other => return other,
            }
            let mut ready = [PollFd::new(self.bell.as_fd(), PollFlags::empty())];
            if sys::uninterrupted(|| poll(&mut ready, PollTimeout::from(ROOM)))? > 0 {
                return Err(Errno::EPIPE);
            }
        }
    }

    /// Sends a message if there is room: EAGAIN.
    pub(crate) fn try_send(&self, message: &[u8]) -> SysResult<()> {
        let written = self.word(self.write)?.load(Ordering::Relaxed);
        let read = self.word(self.write + 1)?.load(Ordering::Acquire);
        let needed = 1 + message.len().div_ceil(8);
        let used = usize::try_from(written.wrapping_sub(read)).map_err(|_| Errno::EIO)?;
        if needed > WORDS {
            return Err(Errno::EMSGSIZE);
        }
        if needed > WORDS.saturating_sub(used) {
            return Err(Errno::EAGAIN);
        }
        let length = u64::try_from(message.len()).map_err(|_| Errno::EMSGSIZE)?;
        let mut position = written;
        for word in std::iter::once(length).chain(message.chunks(8).map(packed)) {
            self.cell(self.write, position)?.store(word, Ordering::Relaxed);
            position = position.wrapping_add(1);
        }
        self.word(self.write)?.store(position, Ordering::Release);
        fence(Ordering::SeqCst);
        let sleeps = self.word(self.write + 2)?;
        if sleeps.load(Ordering::Relaxed) != 0 && sleeps.swap(0, Ordering::Relaxed) != 0 {
            // Who has ended is not woken up; that is found out by reading.
            _ = self.bell.ring();
        }
        Ok(())
    }

    /// Takes a message that is there.
    fn take(&self) -> SysResult<Option<Message>> {
        let read = self.word(self.read + 1)?.load(Ordering::Relaxed);
        let written = self.word(self.read)?.load(Ordering::Acquire);
        if read == written {
            return Ok(None);
        }
        let length = self.cell(self.read, read)?.load(Ordering::Relaxed);
        let length = usize::try_from(length).map_err(|_| Errno::EIO)?;
        let words = u64::try_from(length.div_ceil(8)).map_err(|_| Errno::EIO)?;
        let end = read.wrapping_add(1).wrapping_add(words);
        if words >= written.wrapping_sub(read) {
            return Err(Errno::EIO);
        }
        let mut message = Vec::with_capacity(length.next_multiple_of(8));
        for position in read.wrapping_add(1)..end {
            let word = self.cell(self.read, position)?.load(Ordering::Relaxed);
            message.extend_from_slice(&word.to_ne_bytes());
        }
        message.truncate(length);
        self.word(self.read + 1)?.store(end, Ordering::Release);
        Ok(Some(message))
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

    /// Waits for a message; none is the end.
    pub(crate) fn receive(&self) -> Option<Message> {
        self.receive_within(PollTimeout::NONE).ok().flatten()
    }

    /// The same for so long at most: EAGAIN.
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
        self.word(self.read + 2)?.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let read = self.word(self.read + 1)?.load(Ordering::Relaxed);
        Ok(self.word(self.read)?.load(Ordering::Acquire) == read)
    }
}

/// Up to eight bytes in a word.
fn packed(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_ne_bytes(word)
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_were_sent() {
        let Ok((ours, theirs)) = Line::pair() else { return };
        assert_eq!(theirs.try_receive(), Err(Errno::EAGAIN));
        let mut count = 0;
        // More than there is room for, of all lengths.
        for round in 0..40_usize {
            for length in 0..200 {
                let message = vec![u8::try_from((round + length) % 251).unwrap_or(0); length * 7];
                assert_eq!(ours.try_send(&message), Ok(()));
                count += 1;
                if length % 3 == 2 {
                    for _ in 0..count {
                        assert!(theirs.receive().is_some());
                    }
                    count = 0;
                }
            }
            assert_eq!(ours.try_send(b"last"), Ok(()));
            while theirs.receive().as_deref() != Some(b"last") {}
            count = 0;
        }
        assert_eq!(theirs.try_send(b"a\0b"), Ok(()));
        assert_eq!(ours.receive().as_deref().map(fields), Some(vec![&b"a"[..], b"b"]));
    }

    #[test]
    fn a_full_line_takes_no_more() {
        let Ok((ours, theirs)) = Line::pair() else { return };
        let message = vec![7; 8 * 1023];
        for _ in 0..WORDS / 1024 {
            assert_eq!(ours.try_send(&message), Ok(()));
        }
        assert_eq!(ours.try_send(b""), Err(Errno::EAGAIN));
        assert_eq!(ours.try_send(&vec![0; 8 * WORDS]), Err(Errno::EMSGSIZE));
        assert_eq!(theirs.receive().as_deref(), Some(&message[..]));
        assert_eq!(ours.try_send(b"x"), Ok(()));
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
        assert_eq!(ours.try_send(b"x"), Ok(()));
        assert_eq!(bells(), Ok(0));
        assert_eq!(theirs.may_sleep(), Ok(false));
        assert_eq!(theirs.try_receive(), Ok(Some(b"x".to_vec())));
        assert_eq!(theirs.may_sleep(), Ok(true));
        assert_eq!(ours.try_send(b"y"), Ok(()));
        assert_eq!(bells(), Ok(1));
        assert_eq!(theirs.try_receive(), Ok(Some(b"y".to_vec())));
        assert_eq!(theirs.try_receive(), Err(Errno::EAGAIN));
        assert_eq!((ours.try_send(b"z"), bells()), (Ok(()), Ok(0)));
        drop(ours);
        assert_eq!(theirs.try_receive(), Ok(Some(b"z".to_vec())));
        assert_eq!(theirs.try_receive(), Ok(None));
    }
}
