//! The recorder: a child of the monitor's that watches over the answerer and the looker, and
//! collects what they find.
//!
//! It never waits for anything that COMMAND has a hand in. The answerer and the looker may have to;
//! whichever takes longer than a second is killed and replaced. It lasts until nobody is left who
//! could make a call, or for five seconds after COMMAND has ended.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, read};

use crate::confine::caps;
use crate::confine::seccomp::program::Program;
use crate::error::{Context, Error, Result};
use crate::fds::close_all_but;
use crate::kernel::sys::{self, End};
use crate::links::Link;
use crate::record::answer::Answerer;
use crate::record::handover::HandedOver;
use crate::record::line::{Line, Message, fields};
use crate::record::look::{self, Looker};
use crate::record::lost::{self, Lost};
use crate::record::seen::Seen;
use crate::record::shared::{ANSWERERS, Shared};
use crate::record::uses::Uses;
use crate::record::wire::{Wire, number};

/// How long the answerer and the looker may take for one thing.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long what outlives COMMAND is still recorded.
const AFTERLIFE: Duration = Duration::from_secs(5);
/// How long it may take to look up what is left at the end.
const REST: Duration = Duration::from_secs(10);
/// How often it is seen to it that nobody is stuck.
const TICK: u16 = 250;
/// How long more is waited for before what has come is looked at again, in milliseconds: nobody has
/// to wake up this process for each call.
const NAP: u16 = 1;
/// How many names the looker may have before it.
const AHEAD: usize = 256;
/// How many bytes of names are kept, whoever has told of them: COMMAND makes them up.
const MOST: usize = 64 << 20;
/// How many processes that hang may be left behind: each waits for COMMAND in the kernel.
const HANGING: usize = 16;

/// How many helpers in a row may end without having done anything.
const FAILING: usize = 16;

/// A process that works for this one.
#[derive(Debug)]
struct Helper {
    pid: Pid,
    line: Line,
}

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
    looker: Helper,
    /// What is to be looked up, and what the looker has.
    queue: VecDeque<Message>,
    ahead: VecDeque<Message>,
    /// When the looker last was done with something.
    progress: Instant,
    /// For each answerer which call was waiting when that was last looked at, and since when.
    waiting: [(u64, Instant); ANSWERERS],
    lost: Lost,
    ended: Option<Instant>,
    /// Whether the monitor may still say something.
    is_watched: bool,
    /// Whether something has come lately, so that more is likely to come.
    is_busy: bool,
    /// Bytes of names that were taken.
    taken: usize,
    /// Helpers that were killed, until they have ended.
    killed: Vec<Pid>,
    /// How many helpers in a row have ended without having done anything, why the last one says
    /// it has, and how many calls had been received by then.
    failures: (usize, Errno, u64),
    pub(crate) seen: Seen,
}

/// Starts a process that only has a few fds.
fn fork(keep: &[BorrowedFd<'_>], work: impl FnOnce()) -> Result<Pid> {
    let forked = sys::clone_process(0, End::Usual).context("Can't fork for recording")?;
    if let Some(pid) = forked {
        return Ok(pid);
    }
    // Whoever reads what COMMAND writes sees the end of it when COMMAND has ended.
    (0..=2)
        .filter(|fd| keep.iter().all(|kept| std::os::fd::AsRawFd::as_raw_fd(kept) != *fd))
        .for_each(sys::close);
    close_all_but(keep.iter().copied(), || None);
    _ = caps::drop_all_but(0, true);
    work();
    sys::exit_now(0)
}

fn fork_looker(watch: &Watch<'_>, handed: &HandedOver) -> Result<Helper> {
    let (line, theirs) = Line::pair()?;
    let (root, proc) = (handed.root.as_fd(), watch.proc);
    let pid = fork(&[root, proc, theirs.as_fd()], || {
        Looker { root, proc, recorder: &theirs }.run();
    })?;
    Ok(Helper { pid, line })
}

impl<'a> Recorder<'a> {
    /// Begins; nobody answers yet.
    pub(crate) fn new(watch: Watch<'a>, handed: HandedOver) -> Result<Self> {
        let shared = Shared::new().context("Can't share memory")?;
        let bells = Wire::pair()?;
        let looker = fork_looker(&watch, &handed)?;
        let now = Instant::now();
        Ok(Self {
            watch,
            handed,
            shared,
            bells,
            answerers: [const { None }; ANSWERERS],
            looker,
            queue: VecDeque::new(),
            ahead: VecDeque::new(),
            progress: now,
            waiting: [(0, now); ANSWERERS],
            lost: Lost::default(),
            ended: None,
            is_watched: true,
            is_busy: false,
            taken: 0,
            killed: Vec::new(),
            failures: (0, Errno::ESRCH, 0),
            seen: Seen::default(),
        })
    }

    /// What a path of the sandbox is called without links, before COMMAND can change that.
    pub(crate) fn canonical(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let told = self.look_now(Uses::LOOK, b"/", path)?;
        let found = |message: &Message| match fields(message)[..] {
            [b"o", _, path, ..] => Some(path.to_vec()),
            _ => None,
        };
        told.iter().rev().find_map(found)
    }

    /// What the looker says of a path, while nobody else has asked anything.
    fn look_now(&mut self, uses: Uses, base: &[u8], path: &[u8]) -> Option<Vec<Message>> {
        self.looker.line.send(&request(uses, base, path)).ok()?;
        let limit = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::ZERO);
        let mut told = Vec::new();
        loop {
            match self.looker.line.receive_within(limit) {
                Ok(Some(message)) => match message.strip_prefix(b"d") {
                    Some(last) => {
                        told.push(last.to_vec());
                        return Some(told);
                    }
                    None => told.push(message),
                },
                Err(Errno::EAGAIN) => {
                    self.replace_looker().ok()?;
                    return None;
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Takes a path of the sandbox for used.
    pub(crate) fn note(&mut self, uses: Uses, path: &[u8]) {
        let told = self.look_now(uses, b"/", path).into_iter().flatten();
        told.for_each(|message| self.seen.see(&message));
    }

    /// Finds out why COMMAND cannot be executed: it will be gone by the time that it is known.
    fn look_for_command(&mut self) {
        let cwd = self.handed.cwd.clone();
        for path in self.handed.tried.clone() {
            let told = self.look_now(Uses::EXEC, &cwd, &path).into_iter().flatten();
            told.for_each(|message| self.seen.see(&message));
        }
    }

    /// Lets COMMAND begin.
    pub(crate) fn start(&mut self, wire: &Wire) -> Result<()> {
        // The time of a file's change is that of the last tick: what COMMAND changes is to be later
        // than all that was there.
        let start = now(ClockId::CLOCK_REALTIME)?;
        while now(ClockId::CLOCK_REALTIME_COARSE)? <= start {
            _ = sys::uninterrupted(|| poll(&mut [], PollTimeout::from(NAP)));
        }
        self.seen.start = start;
        self.seen.cwd.clone_from(&self.handed.cwd);
        for place in 0..ANSWERERS {
            self.fork_answerer(place)?;
        }
        if !self.handed.found.is_empty() {
            self.queue.push_back(request(Uses::EXEC, &self.handed.cwd, &self.handed.found));
        }
        if self.watch.explains && self.handed.found.is_empty() {
            self.look_for_command();
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
        while !self.queue.is_empty() || !self.ahead.is_empty() {
            if Instant::now() > deadline {
                let rest = self.ahead.drain(..).chain(self.queue.drain(..)).collect::<Vec<_>>();
                for request in &rest {
                    self.give_up(request);
                }
                return Ok(());
            }
            self.tick()?;
        }
        Ok(())
    }

    /// Finds out when things were made and changed. COMMAND has ended.
    pub(crate) fn ask_times(&mut self, paths: impl Iterator<Item = Vec<u8>>) -> Result<()> {
        self.queue.extend(paths.map(|path| [b"s\0", path.as_slice()].concat()));
        self.finish()
    }

    /// Waits for something to happen, for a moment. The result is whether nobody is left.
    fn tick(&mut self) -> Result<bool> {
        let time = if self.is_busy || !self.may_sleep()? { NAP } else { TICK };
        let watched = if self.is_watched { Some(self.watch.monitor.as_fd()) } else { None };
        let answers = self.answerers.iter().flatten().map(|helper| Some(helper.line.as_fd()));
        let inputs = [Some(self.looker.line.as_fd()), watched].into_iter().chain(answers);
        let mut ready: Vec<_> = [PollFd::new(self.handed.listener.as_fd(), PollFlags::empty())]
            .into_iter()
            .chain(inputs.flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)))
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
        self.feed();
        self.killed.retain(|&pid| {
            sys::uninterrupted(|| waitpid(pid, Some(WaitPidFlag::WNOHANG)))
                == Ok(WaitStatus::StillAlive)
        });
        Ok(is_over)
    }

    /// Whether nothing has come yet. What comes from now on wakes this process up.
    fn may_sleep(&self) -> Result<bool> {
        let lines = std::iter::once(&self.looker).chain(self.answerers.iter().flatten());
        let mut all = lines.map(|helper| helper.line.may_sleep());
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
                    self.taken += message.len();
                    if let Some(errno) = message.strip_prefix(b"e\0") {
                        let errno = number(errno).and_then(|errno| i32::try_from(errno).ok());
                        self.failures.1 = Errno::from_raw(errno.unwrap_or_default());
                    } else if self.taken > MOST {
                        self.seen.flags.insert("many".to_owned());
                    } else if message.starts_with(look::NAME) {
                        self.queue.push_back(message);
                    } else {
                        self.seen.hear(&message);
                    }
                }
                Err(Errno::EAGAIN) => break false,
                Ok(None) | Err(_) => break true,
            }
        };
        let pid = helper.pid;
        if has_ended && is_over {
            self.answerers.get_mut(place).and_then(Option::take);
            return Ok(());
        }
        if has_ended || self.is_stuck(place) {
            _ = kill(pid, Signal::SIGKILL);
            self.killed.push(pid);
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
        call != 0 && waiting.1.elapsed() > PATIENCE
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

    /// Takes what the looker says, and has another one go on if it is stuck.
    fn hear_looker(&mut self) -> Result<()> {
        let has_ended = loop {
            match self.looker.line.try_receive() {
                Ok(Some(message)) => match message.strip_prefix(b"d") {
                    Some(last) => {
                        self.is_busy = true;
                        self.ahead.pop_front();
                        self.progress = Instant::now();
                        self.seen.see(last);
                    }
                    None => self.seen.see(&message),
                },
                Err(Errno::EAGAIN) => break false,
                Ok(None) | Err(_) => break true,
            }
        };
        let is_stuck = !self.ahead.is_empty() && self.progress.elapsed() > PATIENCE;
        if has_ended || is_stuck {
            if let Some(request) = self.ahead.pop_front() {
                self.give_up(&request);
            }
            while let Some(request) = self.ahead.pop_back() {
                self.queue.push_front(request);
            }
            self.count_failure(has_ended)?;
            self.replace_looker()?;
        }
        Ok(())
    }

    fn fork_answerer(&mut self, place: usize) -> Result<()> {
        let Watch { proc, every, policies, executed, .. } = self.watch;
        let (listener, own) = (self.handed.listener.as_fd(), self.handed.tried.as_slice());
        let is_alone = self.killed.len() > HANGING;
        let bell = if place == 0 { &self.bells.0 } else { &self.bells.1 };
        let (line, theirs) = Line::pair()?;
        let pid = fork(&[listener, proc, bell.as_fd(), theirs.as_fd()], || {
            let (monitor, shared) = (&theirs, &self.shared);
            Answerer {
                listener,
                proc,
                monitor,
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
            *answerer = Some(Helper { pid, line });
        }
        Ok(())
    }

    /// Has another one look.
    fn replace_looker(&mut self) -> Result<()> {
        _ = kill(self.looker.pid, Signal::SIGKILL);
        self.killed.push(self.looker.pid);
        self.progress = Instant::now();
        self.looker = fork_looker(&self.watch, &self.handed)?;
        Ok(())
    }

    /// Gives the looker as much as it may have.
    fn feed(&mut self) {
        if self.killed.len() > HANGING {
            let rest = std::mem::take(&mut self.queue);
            for request in &rest {
                self.give_up(request);
            }
            return;
        }
        while self.ahead.len() < AHEAD
            && let Some(request) = self.queue.pop_front()
        {
            if self.looker.line.try_send(&request).is_err() {
                self.queue.push_front(request);
                return;
            }
            if self.ahead.is_empty() {
                self.progress = Instant::now();
            }
            self.ahead.push_back(request);
        }
    }

    /// Records that nobody knows what is there.
    fn give_up(&mut self, request: &[u8]) {
        if let [b"n", uses, _, _, base, name] = fields(request).as_slice() {
            let uses = number(uses).and_then(|uses| u16::try_from(uses).ok());
            let path =
                if name.starts_with(b"/") { name.to_vec() } else { [*base, *name].join(&b'/') };
            let known = self.seen.unresolved.entry(path).or_default();
            *known = known.with(Uses(uses.unwrap_or_default()));
        }
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
        _ = kill(self.looker.pid, Signal::SIGKILL);
        self.seen
    }
}

/// Asks where a name leads, for somebody whose root is the sandbox's.
fn request(uses: Uses, base: &[u8], name: &[u8]) -> Message {
    look::request(uses, true, [b"", base, name])
}

/// A clock, in nanoseconds.
fn now(clock: ClockId) -> Result<u64> {
    let time = clock_gettime(clock).context("clock_gettime")?;
    let time = Duration::from(time);
    Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
