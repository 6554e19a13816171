//! What is to be looked up: questions that wait in memory for the looker, from each process that has
//! some. Those that it was not done with when it was killed wait there for its successor.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;

use crate::error::{Context, Result};
use crate::kernel::sys::{SharedWords, SysResult};
use crate::record::ring::{self, Message, Ring, SIZE};
use crate::record::shared::ANSWERERS;
use crate::record::wire::Wire;

/// How many processes ask: each answerer at its place, and the recorder.
pub(crate) const SOURCES: usize = ANSWERERS + 1;
/// The recorder's place.
pub(crate) const OURS: usize = ANSWERERS;

/// All questions, as every process sees them.
#[derive(Debug)]
pub(crate) struct Inbox {
    memory: SharedWords,
    /// Who asks rings here, and the looker hears it.
    bells: (Wire, Wire),
}

impl Inbox {
    /// An empty one, for all processes that are forked from now on.
    pub(crate) fn new() -> Result<Self> {
        let memory = SharedWords::new(SOURCES * SIZE + 2).context("Can't share memory")?;
        Ok(Self { memory, bells: Wire::pair()? })
    }

    /// The end that who asks needs.
    pub(crate) fn asking(&self) -> BorrowedFd<'_> {
        self.bells.0.as_fd()
    }

    /// The end that the looker needs.
    pub(crate) const fn bell(&self) -> &Wire {
        &self.bells.1
    }

    fn ring(&self, source: usize) -> SysResult<Ring<'_>> {
        Ring::at(self.memory.words(), source * SIZE)
    }

    fn rings(&self) -> impl Iterator<Item = SysResult<Ring<'_>>> {
        (0..SOURCES).map(|source| self.ring(source))
    }

    /// Whether the looker sleeps.
    fn sleeps(&self) -> SysResult<&AtomicU64> {
        self.memory.words().get(SOURCES * SIZE).ok_or(Errno::EIO)
    }

    /// Whose question the looker has, counted from 1; 0 if it has none.
    fn current(&self) -> SysResult<&AtomicU64> {
        self.memory.words().get(SOURCES * SIZE + 1).ok_or(Errno::EIO)
    }

    /// Asks, if there is room: EAGAIN.
    pub(crate) fn ask(&self, source: usize, question: &[u8]) -> SysResult<()> {
        self.ring(source)?.push(question)?;
        ring::wake_up(self.sleeps()?, &self.bells.0);
        Ok(())
    }

    /// Wakes up the looker: nothing more will come soon.
    pub(crate) fn hurry(&self) {
        _ = self.bells.0.ring();
    }

    /// Whether all is answered.
    pub(crate) fn is_done(&self) -> SysResult<bool> {
        self.rings().try_fold(true, |all, ring| Ok(all && ring?.is_done()?))
    }

    /// A number that changes whenever the looker goes on.
    pub(crate) fn progress(&self) -> SysResult<u64> {
        self.rings().try_fold(0_u64, |sum, ring| Ok(sum.wrapping_add(ring?.place()?)))
    }

    /// The looker takes the next question. The result is where the one behind it begins.
    pub(crate) fn take(&self, source: usize, question: &mut Message) -> SysResult<Option<u64>> {
        let ring = self.ring(source)?;
        let next = ring.copy(ring.place()?, question)?;
        if next.is_some() {
            let number = u64::try_from(source + 1).map_err(|_| Errno::EIO)?;
            self.current()?.store(number, Ordering::Release);
        }
        Ok(next)
    }

    /// The looker knows the answer, and goes on from here.
    pub(crate) fn go_on(&self, source: usize, next: u64) -> SysResult<()> {
        self.ring(source)?.set_place(next)?;
        self.current()?.store(0, Ordering::Release);
        Ok(())
    }

    /// All answers that the looker knows have been given.
    pub(crate) fn answered(&self) -> SysResult<()> {
        self.rings().try_for_each(|ring| {
            let ring = ring?;
            ring.set_done(ring.place()?)
        })
    }

    /// The looker asks to be woken up by the next question; no if there is one already.
    pub(crate) fn may_sleep(&self) -> SysResult<bool> {
        ring::lie_down(self.sleeps()?);
        self.is_done()
    }

    /// The looker is gone: takes away what it was looking up, which its successor is not to try
    /// again, and what the same process had asked before and was not told.
    pub(crate) fn take_back(&self) -> SysResult<(Option<Message>, Vec<Message>)> {
        let (mut had, mut untold) = (None, Vec::new());
        let current = self.current()?.swap(0, Ordering::AcqRel);
        let source = usize::try_from(current).map_err(|_| Errno::EIO)?.checked_sub(1);
        if let Some(source) = source {
            let ring = self.ring(source)?;
            let (mut at, place) = (ring.done()?, ring.place()?);
            let mut question = Message::new();
            while had.is_none()
                && let Some(next) = ring.copy(at, &mut question)?
            {
                let question = std::mem::take(&mut question);
                if at == place {
                    had = Some(question);
                } else {
                    untold.push(question);
                }
                at = next;
            }
            ring.set_done(at)?;
        }
        for ring in self.rings() {
            let ring = ring?;
            ring.set_place(ring.done()?)?;
        }
        Ok((had, untold))
    }

    /// Takes away all questions: there is no looker.
    pub(crate) fn take_all(&self) -> SysResult<Vec<Message>> {
        let mut all = Vec::new();
        self.current()?.store(0, Ordering::Release);
        for ring in self.rings() {
            let ring = ring?;
            let mut question = Message::new();
            while let Some(next) = ring.copy(ring.done()?, &mut question)? {
                all.push(std::mem::take(&mut question));
                ring.set_done(next)?;
            }
            ring.set_place(ring.done()?)?;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_looker_leaves_is_taken_over() {
        let Ok(inbox) = Inbox::new() else { return };
        let mut question = Message::new();
        assert_eq!((inbox.may_sleep(), inbox.is_done()), (Ok(true), Ok(true)));
        for text in [&b"a"[..], b"b", b"c"] {
            assert_eq!(inbox.ask(0, text), Ok(()));
        }
        assert_eq!((inbox.ask(1, b"x"), inbox.ask(OURS, b"y")), (Ok(()), Ok(())));
        assert_eq!((inbox.may_sleep(), inbox.progress()), (Ok(false), Ok(0)));
        // It answers one, knows another one, and is killed with the third.
        for told in [true, false] {
            let next = inbox.take(0, &mut question);
            assert_eq!(inbox.go_on(0, next.ok().flatten().unwrap_or_default()), Ok(()));
            if told {
                assert_eq!(inbox.answered(), Ok(()));
            }
        }
        assert_eq!(inbox.take(0, &mut question), Ok(Some(6)));
        assert_eq!((question.as_slice(), inbox.progress()), (&b"c"[..], Ok(4)));
        assert_eq!(inbox.take_back(), Ok((Some(b"c".to_vec()), vec![b"b".to_vec()])));
        assert_eq!(inbox.take(0, &mut question), Ok(None));
        assert_eq!(inbox.take_back(), Ok((None, Vec::new())));
        assert_eq!(inbox.take(1, &mut question), Ok(Some(2)));
        assert_eq!(inbox.go_on(1, 2), Ok(()));
        // What it knew and did not tell is asked once more.
        assert_eq!(inbox.take_back(), Ok((None, Vec::new())));
        assert_eq!(inbox.take_all(), Ok(vec![b"x".to_vec(), b"y".to_vec()]));
        assert_eq!(inbox.is_done(), Ok(true));
    }
}
