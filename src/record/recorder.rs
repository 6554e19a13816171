//! The recorder: a child of the monitor's that watches over the answerer and the looker, and
//! collects what they find.
//!
//! It never waits for anything that COMMAND has a hand in. The answerer and the looker may have to;
//! whichever takes longer than a second is killed and replaced. It lasts until nobody is left who
//! could make a call, or for five seconds after COMMAND has ended.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::read;

use crate::confine::seccomp::program::Program;
use crate::error::{Context, Error, Result};
use crate::kernel::sys;
use crate::links::Link;
use crate::record::answer::Answerer;
use crate::record::handover::HandedOver;
use crate::record::helper::{Helper, Killed, PATIENCE};
use crate::record::line::{NAP, fields};
use crate::record::lookups::{Heard, Lookups};
use crate::record::lost::{self, Lost};
use crate::record::ring::Message;
use crate::record::seen::Seen;
use crate::record::shared::{ANSWERERS, Shared};
use crate::record::uses::Uses;
use crate::record::wanted::{self, NAME};
use crate::record::wire::{Wire, number};

/// How long what outlives COMMAND is still recorded.
const AFTERLIFE: Duration = Duration::from_secs(5);
/// How long it may take to look up what is left at the end.
const REST: Duration = Duration::from_secs(10);
/// How often it is seen to it that nobody is stuck.
const TICK: u16 = 250;
/// How many helpers in a row may end without having done anything.
const FAILING: usize = 16;

/// How a recording is watched.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    /// The monitor says here that COMMAND has ended.
    pub(crate) monitor: &'a Link,
    /// The sandbox's first process.
    pub(crate) first: &'a OwnedFd,
    /// Whether all others end with it.
    pub(crate) ends_all: bool,
    /// Whether the numbers of calls matter.
    pub(crate) every: bool,
    /// Whether COMMAND is executed.
    pub(crate) executed: &'static AtomicBool,
    /// Whether it matters why it is not.
    pub(crate) explains: bool,
    /// The policies whose refusals are explained.
    pub(crate) policies: &'a [Program],
}

/// A recording that goes on.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    watch: Watch<'a>,
    handed: HandedOver,
    shared: Shared,
    /// Where the first answerer rings, and where the second one hears it.
    bells: (Wire, Wire),
    answerers: [Option<Helper>; ANSWERERS],
    lookups: Lookups<'a>,
    /// For each answerer which call was waiting when that was last looked at, and since when.
    waiting: [(u64, Instant); ANSWERERS],
    lost: Lost,
    ended: Option<Instant>,
    /// Whether the monitor may still say something.
    is_watched: bool,
    /// Whether something has come lately, so that more is likely to come.
    is_busy: bool,
    killed: Killed,
    /// How many helpers in a row have ended without having done anything, why the last one says
    /// it has, and how many calls had been received by then.
    failures: (usize, Errno, u64),
    pub(crate) seen: Seen,
}

impl<'a> Recorder<'a> {
    /// Begins; nobody answers yet.
    pub(crate) fn new(watch: Watch<'a>, handed: HandedOver, root: OwnedFd) -> Result<Self> {
        let shared = Shared::new().context("Can't share memory")?;
        let bells = Wire::pair()?;
        let lookups = Lookups::new(watch.proc, root)?;
        let seen = Seen::since(now(ClockId::CLOCK_REALTIME)?);
        let now = Instant::now();
        Ok(Self {
            watch,
            handed,
            shared,
            bells,
            answerers: [const { None }; ANSWERERS],
            lookups,
            waiting: [(0, now); ANSWERERS],
            lost: Lost::default(),
            ended: None,
            is_watched: true,
            is_busy: false,
            killed: Killed::default(),
            failures: (0, Errno::ESRCH, 0),
            seen,
        })
    }

    /// What a path of the sandbox is called without links, before COMMAND can change that.
    pub(crate) fn canonical(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let told = self.look_now(Uses::LOOK, b"/", path)?;
        let found = |message: &Message| match fields(message)[..] {
            [b"o", _, path, ..] => Some(path.to_vec()),
            _ => None,
        };
        Ok(told.iter().rev().find_map(found))
    }

    /// What the looker says of a path, while nobody else has asked anything.
    fn look_now(&self, uses: Uses, base: &[u8], path: &[u8]) -> Result<Vec<Message>> {
        self.lookups.ask_now(&question(uses, base, path))
    }

    /// Takes a path of the sandbox for used.
    pub(crate) fn note(&mut self, uses: Uses, path: &[u8]) -> Result<()> {
        let told = self.look_now(uses, b"/", path)?;
        for message in &told {
            self.seen.see(message);
        }
        Ok(())
    }

    /// Finds out why COMMAND cannot be executed: it will be gone by the time that it is known.
    fn look_for_command(&mut self) -> Result<()> {
        let cwd = self.handed.cwd.clone();
        for path in self.handed.tried.clone() {
            let told = self.look_now(Uses::EXEC, &cwd, &path)?;
            for message in &told {
                self.seen.see(message);
            }
        }
        Ok(())
    }

    /// Lets COMMAND begin.
    pub(crate) fn start(&mut self, wire: &Wire) -> Result<()> {
        self.seen.cwd.clone_from(&self.handed.cwd);
        for place in 0..ANSWERERS {
            self.fork_answerer(place)?;
        }
        if !self.handed.found.is_empty() {
            _ = self.lookups.ask(question(Uses::EXEC, &self.handed.cwd, &self.handed.found));
        }
        if self.watch.explains && self.handed.found.is_empty() {
            self.look_for_command()?;
        }
        // The time of a file's change is that of the last tick: what COMMAND changes is to be later
        // than all that was there.
        while now(ClockId::CLOCK_REALTIME_COARSE)? <= self.seen.start {
            _ = sys::uninterrupted(|| poll(&mut [], PollTimeout::from(NAP)));
        }
        match wire.send(&[super::handover::GO]) {
            // Who is gone has said why.
            Err(Errno::EPIPE | Errno::ECONNRESET) => Err(Error::reported()),
            other => other.context("Can't tell the sandbox to go on"),
        }
    }

    /// Records until that is over.
    pub(crate) fn run(&mut self) -> Result<()> {
        while !self.tick()? {
            if self.ended.is_some_and(|ended| ended.elapsed() >= AFTERLIFE) {
                self.end_rest()?;
                break;
            }
        }
        // What the answerer has said is still to be read.
        let deadline = Instant::now() + PATIENCE;
        while self.seen.left == 0 && self.is_answered() && Instant::now() < deadline {
            self.tick()?;
        }
        self.finish()
    }

    /// Ends what outlives COMMAND, or counts it.
    fn end_rest(&mut self) -> Result<()> {
        if self.watch.ends_all {
            _ = sys::pidfd_send_signal(self.watch.first.as_fd(), libc::SIGKILL);
            let deadline = Instant::now() + PATIENCE;
            while !self.tick()? && Instant::now() < deadline {}
            return Ok(());
        }
        self.seen.left = super::left::count(self.watch.proc).max(1);
        Ok(())
    }

    /// Looks up what is still to be looked up.
    fn finish(&mut self) -> Result<()> {
        let deadline = Instant::now() + REST;
        self.lookups.feed();
        self.lookups.inbox.hurry();
        while !self.lookups.are_done()? {
            if Instant::now() > deadline {
                return self.lookups.give_up_all(&mut self.seen);
            }
            self.tick()?;
        }
        // The looker is done with a question once it has answered.
        self.hear_looker()
    }

    /// Finds out when things were made and changed. COMMAND has ended.
    pub(crate) fn ask_times(&mut self, paths: impl Iterator<Item = Vec<u8>>) -> Result<()> {
        for path in paths {
            _ = self.lookups.ask([b"s\0", path.as_slice()].concat());
        }
        self.finish()
    }

    /// Waits for something to happen, for a moment. The result is whether nobody is left.
    fn tick(&mut self) -> Result<bool> {
        let time = if self.is_busy || !self.may_sleep()? { NAP } else { TICK };
        let watched = if self.is_watched { Some(self.watch.monitor.as_fd()) } else { None };
        let inputs = self.helpers().map(|helper| helper.line.as_fd()).chain(watched);
        let mut ready: Vec<_> = [PollFd::new(self.handed.listener.as_fd(), PollFlags::empty())]
            .into_iter()
            .chain(inputs.map(|fd| PollFd::new(fd, PollFlags::POLLIN)))
            .collect();
        sys::uninterrupted(|| poll(&mut ready, PollTimeout::from(time))).context("poll")?;
        let is_over = ready.first().and_then(PollFd::any).unwrap_or(true);
        drop(ready);
        self.is_busy = false;
        self.hear_monitor();
        for place in 0..ANSWERERS {
            self.hear_answerer(place, is_over)?;
        }
        self.answer_lost()?;
        self.hear_looker()?;
        self.lookups.feed();
        self.killed.reap();
        Ok(is_over)
    }

    fn helpers(&self) -> impl Iterator<Item = &Helper> {
        self.lookups.looker().into_iter().chain(self.answerers.iter().flatten())
    }

    /// Whether nothing has come yet. What comes from now on wakes this process up.
    fn may_sleep(&self) -> Result<bool> {
        let mut all = self.helpers().map(|helper| helper.line.may_sleep());
        all.try_fold(true, |all, one| Ok(all && one?)).context("Can't share memory")
    }

    /// Whether the monitor says that COMMAND has ended. If it is gone itself, COMMAND may go on.
    fn hear_monitor(&mut self) {
        if !self.is_watched {
            return;
        }
        let mut ready = [PollFd::new(self.watch.monitor.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::ZERO) != Ok(1) {
            return;
        }
        self.is_watched = false;
        if sys::uninterrupted(|| read(self.watch.monitor, &mut [0])) == Ok(1) {
            self.ended = Some(Instant::now());
        }
    }

    /// Whether anybody answers.
    fn is_answered(&self) -> bool {
        self.answerers.iter().any(Option::is_some)
    }

    /// Takes what an answerer says, and its place if it is stuck.
    fn hear_answerer(&mut self, place: usize, is_over: bool) -> Result<()> {
        let Some(Some(helper)) = self.answerers.get(place) else { return Ok(()) };
        let has_ended = loop {
            match helper.line.try_receive() {
                Ok(Some(message)) => {
                    self.is_busy = true;
                    if let Some(errno) = message.strip_prefix(b"e\0") {
                        let errno = number(errno).and_then(|errno| i32::try_from(errno).ok());
                        self.failures.1 = Errno::from_raw(errno.unwrap_or_default());
                    } else if message.starts_with(NAME) {
                        if !self.lookups.ask(message) {
                            self.seen.cut();
                        }
                    } else {
                        self.seen.hear(&message);
                    }
                }
                Err(Errno::EAGAIN) => break false,
                Ok(None) | Err(_) => break true,
            }
        };
        if has_ended && is_over {
            self.answerers.get_mut(place).and_then(Option::take);
            return Ok(());
        }
        if has_ended || self.is_stuck(place) {
            if let Some(Some(helper)) = self.answerers.get(place) {
                self.killed.add(helper);
            }
            self.take_place(place);
            self.count_failure(has_ended)?;
            self.fork_answerer(place)?;
        }
        Ok(())
    }

    /// Whether an answerer has been at one call for too long.
    fn is_stuck(&mut self, place: usize) -> bool {
        let pending = self.shared.pending.get(place);
        let call = pending.map_or(0, |pending| pending.load(Ordering::Acquire));
        let Some(waiting) = self.waiting.get_mut(place) else { return false };
        if call != waiting.0 {
            *waiting = (call, Instant::now());
        }
        let since = waiting.1.elapsed();
        let helper = self.answerers.get(place).and_then(Option::as_ref);
        let is_long = |helper: &Helper| helper.is_stuck(self.watch.proc, since);
        call != 0 && helper.map_or(since > PATIENCE, is_long)
    }

    /// Answers the call that an answerer will not answer any more.
    fn take_place(&mut self, place: usize) {
        let (call, undecided) = self.shared.take(place);
        if call != 0 {
            self.answer(call, undecided);
        }
        self.lost.look(self.handed.listener.as_fd(), &self.shared, place);
    }

    /// Answers a call in somebody's place, and notes that it is not recorded.
    fn answer(&mut self, call: u64, may_be_refused: bool) {
        lost::answer(self.handed.listener.as_fd(), call, may_be_refused);
        self.seen.flags.insert("unread".to_owned());
    }

    /// Answers the calls that were lost with an answerer.
    fn answer_lost(&mut self) -> Result<()> {
        let listener = self.handed.listener.as_fd();
        let Some(lost) = self.lost.found(listener, &self.shared, PATIENCE) else {
            return Err(Errno::ESRCH)
                .context("Can't go on recording: a process that does it was killed too early");
        };
        for call in lost {
            self.answer(call, !self.watch.policies.is_empty());
        }
        Ok(())
    }

    /// Counts helpers that end by themselves; too many are an error. Whoever waits for an answer then
    /// finds that nobody listens any more.
    fn count_failure(&mut self, has_ended: bool) -> Result<()> {
        let received = self.shared.received.load(Ordering::Relaxed);
        let (failures, errno, before) = self.failures;
        let failures = match has_ended {
            true if received == before => failures + 1,
            true => 1,
            false => failures,
        };
        self.failures = (failures, errno, received);
        if failures < FAILING {
            return Ok(());
        }
        Err(errno).context("Can't go on recording: the processes that do it cannot work")
    }

    /// Takes what the looker says.
    fn hear_looker(&mut self) -> Result<()> {
        let heard = self.lookups.hear(&mut self.killed, &mut self.seen)?;
        self.is_busy |= heard == Heard::Something;
        if heard == Heard::End { self.count_failure(true) } else { Ok(()) }
    }

    fn fork_answerer(&mut self, place: usize) -> Result<()> {
        let Watch { proc, every, policies, executed, .. } = self.watch;
        let (listener, own) = (self.handed.listener.as_fd(), self.handed.tried.as_slice());
        let is_alone = self.killed.are_too_many();
        let names = &self.lookups.inbox;
        let bell = if place == 0 { &self.bells.0 } else { &self.bells.1 };
        let keep = [listener, proc, bell.as_fd(), names.asking()];
        let helper = Helper::start(&keep, |monitor| {
            let shared = &self.shared;
            Answerer {
                listener,
                proc,
                monitor,
                names,
                shared,
                place,
                bell,
                every,
                own,
                policies,
                executed,
                is_alone,
            }
            .run();
        })?;
        if let Some(answerer) = self.answerers.get_mut(place) {
            *answerer = Some(helper);
        }
        Ok(())
    }

    /// What is said of a failure. As long as no call was ever received, it is to execute COMMAND that
    /// somebody waits, who then says that nobody answers.
    pub(crate) fn said(&self, error: Error) -> Error {
        if self.shared.received.load(Ordering::Relaxed) == 0 { Error::reported() } else { error }
    }

    /// Whether COMMAND was executed at all.
    pub(crate) fn was_executed(&self) -> bool {
        self.watch.executed.load(Ordering::Acquire)
    }

    /// Ends both helpers. The answerer goes on if somebody is left to answer.
    pub(crate) fn close(self) -> Seen {
        self.lookups.close();
        self.seen
    }
}

/// Asks where a name leads, for somebody whose root is the sandbox's.
fn question(uses: Uses, base: &[u8], name: &[u8]) -> Message {
    wanted::question(uses, true, [b"", base, name])
}

/// A clock, in nanoseconds.
fn now(clock: ClockId) -> Result<u64> {
    let time = clock_gettime(clock).context("clock_gettime")?;
    let time = Duration::from(time);
    Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
