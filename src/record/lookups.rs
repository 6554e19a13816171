//! The recorder's side of looking up names: which ones are still to be looked up, what was found, and
//! a looker that is replaced if it is stuck.
//!
//! Most questions go from the answerers to the looker directly. Here are the recorder's own ones, and
//! those for which there was no room.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollTimeout;

use crate::error::{Context, Error, Result};
use crate::record::helper::{Helper, Killed};
use crate::record::inbox::{Inbox, OURS};
use crate::record::look::Looker;
use crate::record::ring::Message;
use crate::record::seen::Seen;

/// How many bytes of questions wait here at the most: COMMAND makes them up.
const MOST: usize = 64 << 20;
/// How long a question may take that is asked before COMMAND begins. Without its answer, a mount, and
/// so all that is used below it, would be missing in what is recorded.
const FIRST: Duration = Duration::from_secs(30);

/// What is being looked up.
#[derive(Debug)]
pub(crate) struct Lookups<'a> {
    /// The host's /proc.
    proc: BorrowedFd<'a>,
    /// The sandbox's root.
    root: OwnedFd,
    pub(crate) inbox: Inbox,
    /// None while too many hang.
    looker: Option<Helper>,
    /// What there was no room for.
    queue: VecDeque<Message>,
    bytes: usize,
    /// How far the looker had come when that was last looked at, and since when.
    progress: (u64, Instant),
}

/// What has come from the looker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    Something,
    /// It has ended by itself, and there is another one.
    End,
}

impl<'a> Lookups<'a> {
    /// Nothing yet.
    pub(crate) fn new(proc: BorrowedFd<'a>, root: OwnedFd) -> Result<Self> {
        let (queue, progress) = (VecDeque::new(), (0, Instant::now()));
        let inbox = Inbox::new()?;
        let mut new = Self { proc, root, inbox, looker: None, queue, bytes: 0, progress };
        new.start()?;
        Ok(new)
    }

    fn start(&mut self) -> Result<()> {
        let (root, proc, inbox) = (self.root.as_fd(), self.proc, &self.inbox);
        let looker = Helper::start(&[root, proc, inbox.bell().as_fd()], |recorder| {
            Looker { root, proc, inbox, recorder }.run();
        })?;
        self.looker = Some(looker);
        self.progress.1 = Instant::now();
        Ok(())
    }

    /// The looker's end, to wait for it.
    pub(crate) const fn looker(&self) -> Option<&Helper> {
        self.looker.as_ref()
    }

    /// Asks, as soon as there is room. No if too much waits already.
    pub(crate) fn ask(&mut self, question: Message) -> bool {
        if self.bytes > MOST {
            return false;
        }
        self.bytes += question.len();
        self.queue.push_back(question);
        true
    }

    /// What the looker says to a question at once, while nobody else has asked anything.
    pub(crate) fn ask_now(&self, question: &[u8]) -> Result<Vec<Message>> {
        const FAILURE: &str = "Can't look up paths of the sandbox to record what COMMAND uses";
        let limit = PollTimeout::try_from(FIRST).unwrap_or(PollTimeout::ZERO);
        let mut told = Vec::new();
        let asked = self.inbox.ask(OURS, question).and_then(|()| self.inbox.ask(OURS, b"d"));
        asked.context(FAILURE)?;
        let looker = self.looker.as_ref().ok_or_else(|| Error::new(FAILURE))?;
        loop {
            match looker.line.receive_within(limit) {
                Ok(Some(end)) if end == b"d" => return Ok(told),
                Ok(Some(message)) => told.push(message),
                Ok(None) => return Err(Error::new(FAILURE)),
                Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT).context(FAILURE),
                Err(errno) => return Err(errno).context(FAILURE),
            }
        }
    }

    /// Whether nothing is left to be looked up.
    pub(crate) fn are_done(&self) -> Result<bool> {
        Ok(self.queue.is_empty() && self.inbox.is_done().context("Can't share memory")?)
    }

    /// Takes what the looker says, and has another one go on if it is stuck.
    pub(crate) fn hear(&mut self, killed: &mut Killed, seen: &mut Seen) -> Result<Heard> {
        let mut heard = Heard::Nothing;
        let Some(looker) = &self.looker else {
            self.give_up_all(seen)?;
            self.renew(killed)?;
            return Ok(heard);
        };
        let has_ended = loop {
            match looker.line.try_receive() {
                Ok(Some(message)) => {
                    heard = Heard::Something;
                    seen.see(&message);
                }
                Err(Errno::EAGAIN) => break false,
                Ok(None) | Err(_) => break true,
            }
        };
        let place = self.inbox.progress().context("Can't share memory")?;
        if place != self.progress.0 || self.inbox.is_done().context("Can't share memory")? {
            self.progress = (place, Instant::now());
        }
        if has_ended || looker.is_stuck(self.proc, self.progress.1.elapsed()) {
            self.retire(killed, seen)?;
            self.renew(killed)?;
        }
        Ok(if has_ended { Heard::End } else { heard })
    }

    /// Ends the looker. Its successor is to look at what it has not told of, but for what it was
    /// looking at.
    fn retire(&mut self, killed: &mut Killed, seen: &mut Seen) -> Result<()> {
        let Some(looker) = self.looker.take() else { return Ok(()) };
        killed.add(&looker);
        while let Ok(Some(message)) = looker.line.try_receive() {
            seen.see(&message);
        }
        let (had, untold) = self.inbox.take_back().context("Can't share memory")?;
        if let Some(had) = had {
            seen.give_up(&had);
        }
        for question in untold {
            if !self.ask(question) {
                seen.cut();
            }
        }
        Ok(())
    }

    /// Starts a looker, unless too many hang.
    fn renew(&mut self, killed: &Killed) -> Result<()> {
        if killed.are_too_many() { Ok(()) } else { self.start() }
    }

    /// Gives the looker as much as there is room for.
    pub(crate) fn feed(&mut self) {
        while let Some(question) = self.queue.front() {
            if self.inbox.ask(OURS, question) == Err(Errno::EAGAIN) {
                return;
            }
            self.bytes = self.bytes.saturating_sub(question.len());
            self.queue.pop_front();
        }
    }

    /// Nobody finds out what is left.
    pub(crate) fn give_up_all(&mut self, seen: &mut Seen) -> Result<()> {
        let waiting = self.inbox.take_all().context("Can't share memory")?;
        waiting.iter().chain(&self.queue).for_each(|question| seen.give_up(question));
        self.queue.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Ends it all.
    pub(crate) fn close(&self) {
        self.looker.iter().for_each(Helper::kill);
    }
}
