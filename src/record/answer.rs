//! The answerer: a process that hears of each call that names something, reads what it names,
//! answers that the kernel shall do it, and tells the monitor what is new.
//!
//! It decides nothing, so what it reads may change afterwards: that is missed, and no more. Reading
//! may block, where the memory is a file of a FUSE or a userfaultfd's; then the monitor answers in
//! its place and has another one take over. When the monitor is gone it goes on answering for as
//! long as there is somebody to answer.
//!
//! There are two of them. The second one sleeps, and does not even hear of calls, until the first
//! one finds that calls wait for it: then several threads of COMMAND make them at the same time.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use libc::c_long;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::utsname::uname;
use nix::unistd::Pid;

use crate::confine::seccomp::asking;
use crate::confine::seccomp::bpf::AUDIT_ARCH;
use crate::confine::seccomp::cbpf::Call;
use crate::confine::seccomp::program::Program;
use crate::kernel::sys::{self, Notified, Reply, SysResult};
use crate::record::calls::{self, Kind, Last, Name};
use crate::record::cwd::Cwds;
use crate::record::learn::policy::NAMESPACES;
use crate::record::line::{Line, Message as Told};
use crate::record::look;
use crate::record::peers::{self, Address};
use crate::record::shared::Shared;
use crate::record::task::{Task, number};
use crate::record::uses::Uses;
use crate::record::wire::Wire;

/// How many different things one answerer tells of. A program may make up names without end.
const MOST: usize = 200_000;
/// How long all of it may be.
const MOST_BYTES: usize = 32 << 20;
/// How many calls the first one answers before it looks whether others wait.
const OFTEN: u32 = 16;

/// What it needs.
#[derive(Debug)]
pub(crate) struct Answerer<'a> {
    pub(crate) listener: BorrowedFd<'a>,
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    pub(crate) monitor: &'a Line,
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
    /// By the numbers of calls.
    kinds: Vec<Option<Kind>>,
    /// What has been told.
    told: HashSet<Told>,
    /// The thread that is to become COMMAND, until it has.
    first: Option<Pid>,
    cwds: Cwds<'a>,
    /// The sandbox's mount namespace.
    home: Option<Vec<u8>>,
    /// Not 0 once paths may mean something else in some process.
    has_moved: &'a AtomicU64,
    /// Whether any memory could be read.
    has_read: bool,
    /// Whether nobody is to hear any more.
    is_alone: bool,
    /// How long all is that has been told.
    bytes: usize,
}

impl State<'_> {
    fn kind(&self, number: u32) -> Option<Kind> {
        self.kinds.get(usize::try_from(number).ok()?).copied().flatten()
    }

    fn has_moved(&self) -> bool {
        self.has_moved.load(Ordering::Acquire) != 0
    }

    fn moves(&self) {
        self.has_moved.store(1, Ordering::Release);
    }
}

impl Answerer<'_> {
    /// Answers until there is nobody left to answer.
    pub(crate) fn run(&self) {
        let mut state = State {
            kinds: kinds(),
            told: HashSet::new(),
            first: None,
            cwds: Cwds::new(&self.shared.changing),
            home: None,
            has_moved: self.shared.has_moved,
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
        let must_poll = !receiving_ends();
        for round in 0_u32.. {
            if must_poll && !self.waits(PollTimeout::NONE)? {
                return Ok(());
            }
            if !self.receive(state)? {
                return Ok(());
            }
            let is_helped = || self.shared.is_helped.load(Ordering::Relaxed) != 0;
            if round.is_multiple_of(OFTEN) && !is_helped() && self.waits(PollTimeout::ZERO)? {
                self.shared.is_helped.store(1, Ordering::Relaxed);
                _ = self.bell.ring();
            }
        }
        Ok(())
    }

    /// Answers for as long as calls wait, whenever it is woken up.
    fn help(&self, state: &mut State<'_>) -> SysResult<()> {
        loop {
            self.shared.is_helped.store(0, Ordering::Relaxed);
            let mut ready = [
                PollFd::new(self.bell.as_fd(), PollFlags::POLLIN),
                // Nothing but the end is waited for: no call wakes this process up.
                PollFd::new(self.listener, PollFlags::empty()),
            ];
            sys::uninterrupted(|| poll(&mut ready, PollTimeout::NONE))?;
            if ready.last().and_then(PollFd::any).unwrap_or(true) {
                return Ok(());
            }
            _ = self.bell.hear();
            self.note(self.shared.last, self.shared.newest.load(Ordering::Acquire));
            while self.waits(PollTimeout::ZERO)? {
                if !self.receive(state)? {
                    return Ok(());
                }
            }
        }
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
            if state.is_alone || !state.told.insert(message.clone()) {
                continue;
            }
            state.bytes += message.len();
            if state.told.len() > MOST || state.bytes > MOST_BYTES {
                state.is_alone = true;
            }
            let message = if state.is_alone { flag("many") } else { message };
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
        } else if state.kind(number) == Some(Kind::Ring) {
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
        state.cwds.begin(task, call.number.into());
        if !state.is_alone
            && let Some(kind) = state.kind(number)
        {
            match self.read(state, kind, &call, told) {
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
            cloned(state, arg(&call, 0), told);
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

    /// Reads what a call names.
    fn read(
        &self,
        state: &mut State<'_>,
        kind: Kind,
        call: &Notified,
        told: &mut Vec<Told>,
    ) -> SysResult<()> {
        let task = Task { proc: self.proc, thread: call.thread };
        match kind {
            Kind::Name(name) => {
                told.extend(named(state, call, task, name)?);
                Ok(())
            }
            Kind::Names(names) => {
                for name in names {
                    told.extend(named(state, call, task, name)?);
                }
                Ok(())
            }
            Kind::Open(dir, path, flags) => {
                let created = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
                let flags = flags.map_or(created.unsigned_abs().into(), |place| arg(call, place));
                told.extend(opened(state, call, task, (dir, path, flags))?);
                Ok(())
            }
            Kind::OpenHow => {
                let flags = task.word(arg(call, 2))?;
                told.extend(opened(state, call, task, (Some(0), 1, flags))?);
                Ok(())
            }
            Kind::Socket(uses, address, length) => {
                let (place, length) = (arg(call, address), number(arg(call, length)));
                self.address(state, call, (uses, place, length), told)
            }
            Kind::Message => self.message(state, call, arg(call, 1), told),
            Kind::Messages => {
                // `struct mmsghdr`
                const SIZE: u64 = 64;
                let count = u64::from(number(arg(call, 2)).unsigned_abs()).min(64);
                (0..count).try_for_each(|index| {
                    let place = arg(call, 1).wrapping_add(index * SIZE);
                    self.message(state, call, place, told)
                })
            }
            Kind::Ring | Kind::Turns => Ok(()),
            Kind::Clone3 => {
                cloned(state, task.word(arg(call, 0))?, told);
                Ok(())
            }
            Kind::Moves => moves(state, call, task, told),
        }
    }

    /// The address in a message, if there is one.
    fn message(
        &self,
        state: &mut State<'_>,
        call: &Notified,
        place: u64,
        told: &mut Vec<Told>,
    ) -> SysResult<()> {
        let task = Task { proc: self.proc, thread: call.thread };
        let address = task.word(place)?;
        let length = number(task.word(place.wrapping_add(8))?);
        self.address(state, call, (Uses::SEND, address, length), told)
    }

    /// The address of a socket.
    fn address(
        &self,
        state: &mut State<'_>,
        call: &Notified,
        (uses, place, length): (Uses, u64, i32),
        told: &mut Vec<Told>,
    ) -> SysResult<()> {
        let task = Task { proc: self.proc, thread: call.thread };
        let (thread, fd) = (call.thread, number(arg(call, 0)));
        if place == 0 {
            // What was connected before is really used now.
            let peer = self.shared.silent.remove(thread, fd);
            told.extend(peer.map(|(ip, port)| peers::message(Uses::CONNECT, "udp", &ip, port)));
            return Ok(());
        }
        let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
        let bytes = task.bytes(place, length.min(128))?;
        match peers::read(&bytes) {
            Some(Address::Path(path)) => {
                told.extend(message_about(state, task, (None, path, uses, true))?);
            }
            Some(Address::Abstract(name)) => told.push(peers::abstract_message(uses, &name)),
            Some(Address::Net(ip, port)) => {
                let kind = task.file(arg(call, 0)).map(|file| peers::kind(file.as_fd()));
                let kind = kind.unwrap_or("a socket");
                // Resolvers connect datagram sockets only to see which address would be used.
                let is_silent = kind == "udp"
                    && uses == Uses::CONNECT
                    && self.shared.silent.insert(thread, fd, ip, port);
                if !is_silent {
                    told.push(peers::message(uses, kind, &ip, port));
                }
            }
            None => {}
        }
        Ok(())
    }
}

/// Whether waiting in the receiving call ends when nobody is left to answer, as it does since Linux
/// 6.11. Otherwise that has to be polled for.
fn receiving_ends() -> bool {
    let release = uname().map(|name| name.release().to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|text| text.parse().ok());
    let version: [Option<u32>; 2] = [numbers.next().flatten(), numbers.next().flatten()];
    version >= [Some(6), Some(11)]
}

/// What is known of the calls, by their numbers.
fn kinds() -> Vec<Option<Kind>> {
    let mut kinds = Vec::new();
    for (number, kind) in calls::all() {
        let number = usize::try_from(number).unwrap_or_default();
        kinds.resize(kinds.len().max(number + 1), None);
        if let Some(slot) = kinds.get_mut(number) {
            *slot = Some(kind);
        }
    }
    kinds
}

fn flag(name: &str) -> Told {
    format!("f\0{name}").into_bytes()
}

fn arg(call: &Notified, index: u8) -> u64 {
    call.args.get(usize::from(index)).copied().unwrap_or_default()
}

/// What flags of clone(2) ask for.
fn cloned(state: &mut State<'_>, flags: u64, told: &mut Vec<Told>) {
    if flags & u64::from(libc::CLONE_NEWNS.unsigned_abs()) != 0 {
        state.moves();
    }
    if flags & NAMESPACES != 0 {
        told.push(flag("namespaces"));
    }
}

/// A file that is opened.
fn opened(
    state: &mut State<'_>,
    call: &Notified,
    task: Task<'_>,
    (dir, path, flags): (Option<u8>, u8, u64),
) -> SysResult<Option<Told>> {
    let name = task.path(arg(call, path))?;
    let dir = dir.map(|dir| arg(call, dir));
    message_about(state, task, (dir, name, calls::opened(flags), calls::follows(flags)))
}

/// A path among the arguments.
fn named(
    state: &mut State<'_>,
    call: &Notified,
    task: Task<'_>,
    name: Name,
) -> SysResult<Option<Told>> {
    let place = arg(call, name.path);
    if place == 0 {
        return Ok(None);
    }
    let has = |place: u8, flag: i32| number(arg(call, place)) & flag != 0;
    let follows = match name.last {
        Last::Follow => true,
        Last::Stay => false,
        Last::StayIf(place, flag) => !has(place, flag),
        Last::FollowIf(place, flag) => has(place, flag),
    };
    let path = task.path(place)?;
    message_about(state, task, (name.dir.map(|dir| arg(call, dir)), path, name.uses, follows))
}

/// What the monitor is told about a name: as which root and from where it was looked up.
fn message_about(
    state: &mut State<'_>,
    task: Task<'_>,
    (dir, path, uses, follows): (Option<u64>, Vec<u8>, Uses, bool),
) -> SysResult<Option<Told>> {
    let mut top = Vec::new();
    let has_moved = state.has_moved();
    if has_moved {
        let (root, namespace) = task.root()?;
        if state.home.is_some() && state.home.as_ref() != Some(&namespace) {
            return Ok(Some(flag("elsewhere")));
        }
        top = root;
    } else if state.home.is_none() {
        state.home = Some(task.root()?.1);
    }
    let base = match dir.map(number) {
        _ if path.starts_with(b"/") => Vec::new(),
        None | Some(libc::AT_FDCWD) if !has_moved => state.cwds.of(task)?,
        _ => task.directory(dir)?,
    };
    // What is open already was named before, and an fd without a path is no file of anybody's.
    let is_executed_fd = path.is_empty() && uses.any(Uses::EXEC);
    if path.is_empty() && !is_executed_fd
        || !base.is_empty() && (!base.starts_with(b"/") || base.ends_with(b" (deleted)"))
    {
        return Ok(None);
    }
    Ok(Some(look::request(uses, follows, [&top, &base, &path])))
}

/// Calls after which paths mean something else to whoever makes them.
fn moves(
    state: &mut State<'_>,
    call: &Notified,
    task: Task<'_>,
    told: &mut Vec<Told>,
) -> SysResult<()> {
    let number = c_long::from(call.number);
    let place = if number == libc::SYS_chroot {
        Some(0)
    } else if number == libc::SYS_mount {
        Some(1)
    } else {
        None
    };
    let path = place.map(|place| task.path(arg(call, place))).transpose();
    if let Ok(Some(path)) = path {
        told.extend(message_about(state, task, (None, path, Uses::LOOK, true))?);
    }
    state.moves();
    Ok(())
}
