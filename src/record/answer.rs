//! The answerer: a process that hears of each call that names something, reads what it names,
//! answers that the kernel shall do it, and tells the looker, or the monitor, what is new.
//!
//! It decides nothing, so what it reads may change afterwards: that is missed, and no more. Reading
//! may block, where the memory is a file of a FUSE or a userfaultfd's; then the monitor answers in
//! its place and has another one take over. When the monitor is gone it goes on answering for as
//! long as there is somebody to answer.
//!
//! There are two of them. The second one sleeps, and does not even hear of calls, until the first
//! one finds that calls wait for it: then several threads of COMMAND make them at the same time
//! (Linux 6.11 and later).

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use libc::c_long;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use crate::confine::seccomp::asking;
use crate::confine::seccomp::bpf::AUDIT_ARCH;
use crate::confine::seccomp::cbpf::Call;
use crate::confine::seccomp::program::Program;
use crate::kernel::sys::{self, Notified, Reply, SysResult};
use crate::record::calls::Kind;
use crate::record::inbox::Inbox;
use crate::record::line::Line;
use crate::record::lost::{self, Lost};
use crate::record::names::{Reader, arg, flag};
use crate::record::ring::Message as Told;
use crate::record::shared::Shared;
use crate::record::task::Task;
use crate::record::wanted::NAME;
use crate::record::wire::Wire;

/// How many different things one answerer tells of. A program may make up names without end.
const MOST: usize = 200_000;
/// How long all of it may be.
const MOST_BYTES: usize = 32 << 20;
/// How many calls the first one answers before it looks whether others wait.
const OFTEN: u64 = 16;

/// What it needs.
#[derive(Debug)]
pub(crate) struct Answerer<'a> {
    pub(crate) listener: BorrowedFd<'a>,
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    pub(crate) monitor: &'a Line,
    /// Names go here.
    pub(crate) names: &'a Inbox,
    pub(crate) shared: &'a Shared,
    /// Which one it is.
    pub(crate) place: usize,
    /// The first one rings here, and the second one is woken up.
    pub(crate) bell: &'a Wire,
    /// Whether the numbers of calls matter.
    pub(crate) every: bool,
    /// The paths of our own attempts to execute COMMAND.
    pub(crate) own: &'a [Vec<u8>],
    /// Policies whose refusals are for this process to carry out.
    pub(crate) policies: &'a [Program],
    /// Whether our own process has nothing left to do but to execute COMMAND.
    pub(crate) executed: &'a AtomicBool,
    /// Whether it only answers.
    pub(crate) is_alone: bool,
}

/// What it knows.
struct State<'a> {
    reader: Reader<'a>,
    /// What has been told: hashes, whose keys nobody knows.
    told: HashSet<u64>,
    keys: RandomState,
    /// The thread that is to become COMMAND, until it has.
    first: Option<Pid>,
    /// Whether any memory could be read.
    has_read: bool,
    /// Whether nobody is to hear any more.
    is_alone: bool,
    /// How long all is that has been told.
    bytes: usize,
}

impl Answerer<'_> {
    /// Answers until there is nobody left to answer.
    pub(crate) fn run(&self) {
        let mut state = State {
            reader: Reader::new(self.proc, self.shared),
            told: HashSet::new(),
            keys: RandomState::new(),
            first: None,
            has_read: false,
            is_alone: self.is_alone,
            bytes: 0,
        };
        // Older kernels wake up whoever waits elsewhere, which takes longer.
        _ = sys::wake_near(self.listener);
        let ended = if self.place == 0 { self.lead(&mut state) } else { self.help(&mut state) };
        if let Err(errno) = ended {
            _ = self.monitor.send(format!("e\0{}", errno as i32).as_bytes());
        }
    }

    /// Answers all calls, and calls for help.
    fn lead(&self, state: &mut State<'_>) -> SysResult<()> {
        // Where receiving does not end with the last caller, two who receive what one has seen would
        // leave the other one waiting for ever.
        if !receiving_ends() {
            while self.waits(PollTimeout::NONE)? && self.receive(state)? {}
            return Ok(());
        }
        for round in 0_u64.. {
            if !self.receive(state)? {
                break;
            }
            let is_helped = || self.shared.is_helped.load(Ordering::Relaxed) != 0;
            if round.is_multiple_of(OFTEN) && !is_helped() && self.waits(PollTimeout::ZERO)? {
                self.shared.is_helped.store(1, Ordering::Relaxed);
                _ = self.bell.ring();
            }
        }
        Ok(())
    }

    /// Answers for as long as calls wait, whenever it is woken up, as long as there is a recorder that
    /// would answer in this process's place. Takes the lead when nobody else answers.
    fn help(&self, state: &mut State<'_>) -> SysResult<()> {
        let mut is_watched = true;
        loop {
            self.shared.is_helped.store(u64::from(!is_watched), Ordering::Relaxed);
            // Of the listener nothing but the end is waited for: no call wakes this process up.
            let monitor = is_watched.then(|| PollFd::new(self.monitor.as_fd(), PollFlags::empty()));
            let others =
                [(self.listener, PollFlags::empty()), (self.bell.as_fd(), PollFlags::POLLIN)];
            let others = others.into_iter().map(|(fd, events)| PollFd::new(fd, events));
            let mut ready: Vec<_> = others.chain(monitor).collect();
            sys::uninterrupted(|| poll(&mut ready, PollTimeout::NONE))?;
            let any = |index: usize| ready.get(index).and_then(PollFd::any).unwrap_or(false);
            if any(0) {
                return Ok(());
            }
            is_watched &= !any(2);
            // Who rings has ended, and so has the recorder.
            if self.bell.hear()? {
                return if self.take_place() { self.lead(state) } else { Ok(()) };
            }
            if !is_watched {
                continue;
            }
            self.note(self.shared.last, self.shared.newest.load(Ordering::Acquire));
            while self.waits(PollTimeout::ZERO)? {
                if !self.receive(state)? {
                    return Ok(());
                }
            }
        }
    }

    /// Answers what the first one, which has ended, had received. If nobody knows what that is, the
    /// end is to be that of whoever calls, too.
    fn take_place(&self) -> bool {
        let mut lost = Lost::default();
        lost.look(self.listener, self.shared, 0);
        let (pending, _) = self.shared.take(0);
        let Some(mut calls) = lost.found(self.listener, self.shared, Duration::ZERO) else {
            return false;
        };
        calls.push(pending);
        for call in calls {
            lost::answer(self.listener, call, !self.policies.is_empty());
        }
        true
    }

    /// Whether a call waits. An error is the end.
    fn waits(&self, limit: PollTimeout) -> SysResult<bool> {
        let mut ready = [PollFd::new(self.listener, PollFlags::POLLIN)];
        sys::uninterrupted(|| poll(&mut ready, limit))?;
        let events = ready.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        Ok(events.contains(PollFlags::POLLIN))
    }

    fn has_ended(&self) -> bool {
        let mut ready = [PollFd::new(self.listener, PollFlags::empty())];
        !matches!(sys::uninterrupted(|| poll(&mut ready, PollTimeout::ZERO)), Ok(0))
    }

    /// Answers one call. The result is whether anybody may be left.
    fn receive(&self, state: &mut State<'_>) -> SysResult<bool> {
        match sys::receive_call(self.listener) {
            Ok(call) => {
                self.serve(state, call);
                Ok(true)
            }
            Err(_) if self.has_ended() => Ok(false),
            // Whoever asked has been killed.
            Err(Errno::ENOENT | Errno::EINTR) => Ok(true),
            Err(errno) => Err(errno),
        }
    }

    /// Says something to the recorder, in this process's slot.
    fn note(&self, slots: &[AtomicU64], value: u64) {
        if let Some(slot) = slots.get(self.place) {
            slot.store(value, Ordering::Release);
        }
    }

    fn serve(&self, state: &mut State<'_>, call: Notified) {
        let shared = self.shared;
        self.note(shared.undecided, u64::from(!self.policies.is_empty()));
        self.note(shared.pending, call.id);
        self.note(shared.last, call.id);
        shared.newest.fetch_max(call.id, Ordering::AcqRel);
        shared.received.fetch_add(1, Ordering::Relaxed);
        let mut told = Vec::new();
        let reply = if let Some(refusal) = self.refuse(state, &call, &mut told) {
            refusal
        } else {
            self.note(shared.undecided, 0);
            self.examine(state, call, &mut told)
        };
        let answered = sys::reply_to_call(self.listener, call.id, reply);
        self.note(shared.pending, 0);
        if answered.is_ok() {
            self.tell(state, told);
        }
    }

    /// Tells the monitor what it has not been told.
    fn tell(&self, state: &mut State<'_>, told: Vec<Told>) {
        for message in told {
            if state.is_alone || !state.told.insert(state.keys.hash_one(&message)) {
                continue;
            }
            state.bytes += message.len();
            if state.told.len() > MOST || state.bytes > MOST_BYTES {
                state.is_alone = true;
            }
            let message = if state.is_alone { flag("many") } else { message };
            // Where there is no room, the monitor finds some.
            if message.starts_with(NAME) && self.names.ask(self.place, &message).is_ok() {
                continue;
            }
            if self.monitor.send(&message).is_err() {
                state.is_alone = true;
            }
        }
    }

    /// Refuses what cannot be recorded, and what a policy refuses. Only numbers count, which nobody
    /// can change any more.
    fn refuse(&self, state: &State<'_>, call: &Notified, told: &mut Vec<Told>) -> Option<Reply> {
        let number = call.number.cast_unsigned();
        let refused = if call.arch != AUDIT_ARCH {
            Some("32")
        } else if number >= 0x4000_0000 {
            Some("x32")
        } else if state.reader.kind(number) == Some(Kind::Ring) {
            Some("ring")
        } else {
            None
        };
        if let Some(refused) = refused {
            told.push(flag(refused));
            return Some(Reply::Fail(libc::ENOSYS.unsigned_abs()));
        }
        // The filters of policies are meant for COMMAND, which has to be executed first.
        let executes = i64::from(number) == c_long::from(libc::SYS_execve) && !self.is_started();
        if self.policies.is_empty() || executes || !self.executed.load(Ordering::Acquire) {
            return None;
        }
        let data = Call { number, arch: call.arch, args: call.args };
        let policies = self.policies.iter().map(|policy| policy.instructions.as_slice());
        let errno = asking::refusal(policies, &data)?;
        told.push(format!("r\0{number}\0{errno}").into_bytes());
        Some(Reply::Fail(errno))
    }

    /// What a call is about, and what becomes of it.
    fn examine(&self, state: &mut State<'_>, call: Notified, told: &mut Vec<Told>) -> Reply {
        let number = call.number.cast_unsigned();
        let task = Task { proc: self.proc, thread: call.thread };
        if self.is_own(state, &call, task) {
            return Reply::Continue;
        }
        if self.every {
            told.push(format!("c\0{number}").into_bytes());
        }
        state.reader.begin(&call);
        if !state.is_alone
            && let Some(kind) = state.reader.kind(number)
        {
            match state.reader.read(kind, &call, told) {
                Ok(()) if !state.has_read => {
                    state.has_read = true;
                    told.push(flag("read"));
                }
                // What is not there, or no longer, is nothing to the kernel either.
                Ok(())
                | Err(
                    Errno::EFAULT
                    | Errno::ENAMETOOLONG
                    | Errno::ESRCH
                    | Errno::ENOENT
                    | Errno::EBADF
                    | Errno::EINVAL,
                ) => {}
                Err(_) => told.push(flag("unread")),
            }
        }
        if c_long::from(call.number) == libc::SYS_clone {
            state.reader.cloned(arg(&call, 0), told);
        }
        Reply::Continue
    }

    fn is_started(&self) -> bool {
        self.shared.started.load(Ordering::Acquire) != 0
    }

    /// Whether it is still our own process that makes it, on its way to become COMMAND.
    fn is_own(&self, state: &mut State<'_>, call: &Notified, task: Task<'_>) -> bool {
        if self.is_started() || *state.first.get_or_insert(call.thread) != call.thread {
            return false;
        }
        let number = c_long::from(call.number);
        if [libc::SYS_prctl, libc::SYS_seccomp].contains(&number) {
            return true;
        }
        if number == libc::SYS_execve {
            match task.path(arg(call, 0)) {
                Ok(path) if self.own.contains(&path) => return true,
                // Root's set-up cannot be looked into.
                Err(Errno::EPERM) => return true,
                _ => {}
            }
        }
        self.shared.started.store(1, Ordering::Release);
        false
    }
}

/// Whether waiting in the receiving call ends when nobody is left to answer, as it does since Linux
/// 6.11. Otherwise that has to be polled for.
fn receiving_ends() -> bool {
    let release = sys::kernel_release();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(11))
}
