//! Messages in memory that two processes share, in one direction.
//!
//! They stay there until who reads is done with them: if it is killed, another one finds them. Either
//! side may be killed at any moment, and the other one never sees half a message.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use nix::errno::Errno;

use crate::kernel::sys::SysResult;
use crate::record::wire::Wire;

/// A message: fields with a NUL byte between them, which no path has.
pub(crate) type Message = Vec<u8>;

/// How many words of eight bytes there are, a power of two: many of the longest messages.
pub(crate) const WORDS: usize = 1 << 16;
/// What comes before them: how many were written, with how many the reader is done, and how many
/// come before the one that it has.
const HEAD: usize = 8;
/// The words that one of these takes.
pub(crate) const SIZE: usize = HEAD + WORDS;

/// One direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring<'a>(&'a [AtomicU64]);

impl<'a> Ring<'a> {
    /// The one that begins at a word of shared memory.
    pub(crate) fn at(words: &'a [AtomicU64], start: usize) -> SysResult<Self> {
        words.get(start..start + SIZE).map(Self).ok_or(Errno::EIO)
    }

    fn word(self, index: usize) -> SysResult<&'a AtomicU64> {
        self.0.get(index).ok_or(Errno::EIO)
    }

    /// A word of the messages.
    fn cell(self, position: u64) -> SysResult<&'a AtomicU64> {
        self.word(HEAD + usize::try_from(position).map_err(|_| Errno::EIO)? % WORDS)
    }

    fn written(self) -> SysResult<u64> {
        Ok(self.word(0)?.load(Ordering::Acquire))
    }

    /// Adds a message if there is room: EAGAIN.
    pub(crate) fn push(self, message: &[u8]) -> SysResult<()> {
        let written = self.word(0)?.load(Ordering::Relaxed);
        let needed = 1 + message.len().div_ceil(8);
        let used = usize::try_from(written.wrapping_sub(self.done()?)).map_err(|_| Errno::EIO)?;
        if needed > WORDS {
            return Err(Errno::EMSGSIZE);
        }
        if needed > WORDS.saturating_sub(used) {
            return Err(Errno::EAGAIN);
        }
        let length = u64::try_from(message.len()).map_err(|_| Errno::EMSGSIZE)?;
        let mut position = written;
        for word in std::iter::once(length).chain(message.chunks(8).map(packed)) {
            self.cell(position)?.store(word, Ordering::Relaxed);
            position = position.wrapping_add(1);
        }
        self.word(0)?.store(position, Ordering::Release);
        Ok(())
    }

    /// Copies the message at a position. The result is where the next one begins; none if it has not
    /// been written.
    pub(crate) fn copy(self, position: u64, message: &mut Message) -> SysResult<Option<u64>> {
        let written = self.written()?;
        message.clear();
        if position == written {
            return Ok(None);
        }
        let length = self.cell(position)?.load(Ordering::Relaxed);
        let length = usize::try_from(length).map_err(|_| Errno::EIO)?;
        let words = u64::try_from(length.div_ceil(8)).map_err(|_| Errno::EIO)?;
        if words >= written.wrapping_sub(position) {
            return Err(Errno::EIO);
        }
        let first = position.wrapping_add(1);
        let end = first.wrapping_add(words);
        message.reserve(length.next_multiple_of(8));
        for position in first..end {
            message.extend_from_slice(&self.cell(position)?.load(Ordering::Relaxed).to_ne_bytes());
        }
        message.truncate(length);
        Ok(Some(end))
    }

    /// With how many words the reader is done.
    pub(crate) fn done(self) -> SysResult<u64> {
        Ok(self.word(1)?.load(Ordering::Acquire))
    }

    /// The reader is done with all that comes before a position: there is room for more.
    pub(crate) fn set_done(self, position: u64) -> SysResult<()> {
        self.word(1)?.store(position, Ordering::Release);
        Ok(())
    }

    /// Where the message begins that the reader has, or the next one.
    pub(crate) fn place(self) -> SysResult<u64> {
        Ok(self.word(2)?.load(Ordering::Acquire))
    }

    /// The reader has come to this message.
    pub(crate) fn set_place(self, position: u64) -> SysResult<()> {
        self.word(2)?.store(position, Ordering::Release);
        Ok(())
    }

    /// Whether the reader is done with all that was written.
    pub(crate) fn is_done(self) -> SysResult<bool> {
        Ok(self.done()? == self.written()?)
    }
}

/// Up to eight bytes in a word.
fn packed(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_ne_bytes(word)
}

/// Asks to be woken up by the next message. Whether there is one has to be asked afterwards.
pub(crate) fn lie_down(sleeps: &AtomicU64) {
    sleeps.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// Wakes up who asked for it, after a message. Who has ended is not woken up; that is found out by
/// reading.
pub(crate) fn wake_up(sleeps: &AtomicU64, bell: &Wire) {
    fence(Ordering::SeqCst);
    if sleeps.load(Ordering::Relaxed) != 0 && sleeps.swap(0, Ordering::Relaxed) != 0 {
        _ = bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::sys::SharedWords;

    #[test]
    fn who_takes_over_finds_what_is_left() {
        let Ok(memory) = SharedWords::new(SIZE) else { return };
        let Ok(ring) = Ring::at(memory.words(), 0) else { return };
        let mut message = Message::new();
        assert_eq!(ring.copy(0, &mut message), Ok(None));
        assert_eq!(
            (ring.push(b"first"), ring.push(b""), ring.push(b"12345678")),
            (Ok(()), Ok(()), Ok(()))
        );
        let mut places = vec![0];
        let mut found = Vec::new();
        while let Ok(Some(next)) = ring.copy(places[places.len() - 1], &mut message) {
            found.push(message.clone());
            places.push(next);
        }
        assert_eq!(found, [&b"first"[..], b"", b"12345678"]);
        assert_eq!(places, [0, 2, 3, 5]);
        assert_eq!((ring.is_done(), ring.done()), (Ok(false), Ok(0)));
        assert_eq!((ring.set_place(2), ring.set_done(2), ring.place()), (Ok(()), Ok(()), Ok(2)));
        assert_eq!((ring.copy(2, &mut message), message.is_empty()), (Ok(Some(3)), true));
        assert_eq!((ring.set_done(5), ring.is_done()), (Ok(()), Ok(true)));
        assert!(Ring::at(memory.words(), 1).is_err());
    }
}
