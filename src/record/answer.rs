//! The answerer: a process that hears of each call that names something, reads what it names,
//! answers that the kernel shall do it, and tells the monitor what is new.
//!
//! It decides nothing, so what it reads may change afterwards: that is missed, and no more. Reading
//! may block, where the memory is a file of a FUSE or a userfaultfd's; then the monitor answers in
//! its place and has another one take over. When the monitor is gone it goes on answering for as
//! long as there is somebody to answer.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use libc::c_long;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
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
use crate::record::task::{Task, number};
use crate::record::uses::Uses;

/// How many different things one answerer tells of. A program may make up names without end.
const MOST: usize = 200_000;
/// How long all of it may be.
const MOST_BYTES: usize = 32 << 20;

/// What it needs.
#[derive(Debug)]
pub(crate) struct Answerer<'a> {
    pub(crate) listener: BorrowedFd<'a>,
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    pub(crate) monitor: &'a Line,
    /// The call that waits for its answer; 0 if none does.
    pub(crate) pending: &'a AtomicU64,
    /// Whether the numbers of calls matter.
    pub(crate) every: bool,
    /// The paths of our own attempts to execute COMMAND.
    pub(crate) own: &'a [Vec<u8>],
    /// Policies whose refusals are for this process to carry out.
    pub(crate) policies: &'a [Program],
    /// Whether our own process has nothing left to do but to execute COMMAND.
    pub(crate) executed: &'a AtomicBool,
    /// Not 0 once COMMAND itself makes calls, whoever answered the first of them.
    pub(crate) started: &'a AtomicU64,
    /// How many calls were received, by all answerers.
    pub(crate) received: &'a AtomicU64,
    /// Whether it only answers.
    pub(crate) is_alone: bool,
}

/// Marks a call that waits of which it is not known yet whether a policy refuses it.
pub(crate) const UNDECIDED: u64 = 1 << 63;

/// What it knows.
struct State {
    kinds: HashMap<u32, Kind>,
    /// What has been told.
    told: HashSet<Told>,
    /// Datagram sockets that are connected, of which nothing has been sent yet.
    silent: HashMap<(Pid, i32), Told>,
    /// The thread that is to become COMMAND, until it has.
    first: Option<Pid>,
    cwds: Cwds,
    /// The sandbox's mount namespace.
    home: Option<Vec<u8>>,
    /// Whether paths may mean something else in some process.
    has_moved: bool,
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
            kinds: calls::all().collect(),
            told: HashSet::new(),
            silent: HashMap::new(),
            first: None,
            cwds: Cwds::default(),
            home: None,
            has_moved: false,
            has_read: false,
            is_alone: self.is_alone,
            bytes: 0,
        };
        // Older kernels wake up whoever waits elsewhere, which takes longer.
        _ = sys::wake_near(self.listener);
        loop {
            // Receiving without this would wait as well, but a call that is received while a signal
            // kills this process is lost to all who could answer it, and waiting makes that likely.
            let mut ready = [PollFd::new(self.listener, PollFlags::POLLIN)];
            if let Err(errno) = sys::uninterrupted(|| poll(&mut ready, PollTimeout::NONE)) {
                return self.fail(errno);
            }
            let events = ready.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
            if !events.contains(PollFlags::POLLIN) {
                return;
            }
            match sys::receive_call(self.listener) {
                Ok(call) => {
                    self.received.fetch_add(1, Ordering::Relaxed);
                    self.serve(&mut state, call);
                }
                // Whoever asked has been killed.
                Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(errno) => return self.fail(errno),
            }
        }
    }

    /// Says why it ends.
    fn fail(&self, errno: Errno) {
        _ = self.monitor.send(format!("e\0{}", errno as i32).as_bytes());
    }

    fn serve(&self, state: &mut State, call: Notified) {
        let undecided = if self.policies.is_empty() { 0 } else { UNDECIDED };
        self.pending.store(call.id | undecided, Ordering::Release);
        let mut told = Vec::new();
        let reply = if let Some(refusal) = self.refuse(state, &call, &mut told) {
            refusal
        } else {
            self.pending.store(call.id, Ordering::Release);
            self.examine(state, call, &mut told)
        };
        let answered = sys::reply_to_call(self.listener, call.id, reply);
        self.pending.store(0, Ordering::Release);
        if answered.is_ok() {
            self.tell(state, told);
        }
    }

    /// Tells the monitor what it has not been told.
    fn tell(&self, state: &mut State, told: Vec<Told>) {
        for message in told {
            if state.is_alone || state.told.contains(&message) {
                continue;
            }
            state.bytes += message.len();
            if state.told.len() == MOST || state.bytes > MOST_BYTES {
                state.is_alone = true;
            }
            let message = if state.is_alone { flag("many") } else { message };
            if self.monitor.send(&message).is_err() {
                state.is_alone = true;
            }
            state.told.insert(message);
        }
    }

    /// Refuses what cannot be recorded, and what a policy refuses. Only numbers count, which nobody
    /// can change any more.
    fn refuse(&self, state: &State, call: &Notified, told: &mut Vec<Told>) -> Option<Reply> {
        let number = call.number.cast_unsigned();
        let refused = if call.arch != AUDIT_ARCH {
            Some("32")
        } else if number >= 0x4000_0000 {
            Some("x32")
        } else if state.kinds.get(&number) == Some(&Kind::Ring) {
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
    fn examine(&self, state: &mut State, call: Notified, told: &mut Vec<Told>) -> Reply {
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
            && let Some(&kind) = state.kinds.get(&number)
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
        self.started.load(Ordering::Acquire) != 0
    }

    /// Whether it is still our own process that makes it, on its way to become COMMAND.
    fn is_own(&self, state: &mut State, call: &Notified, task: Task<'_>) -> bool {
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
        self.started.store(1, Ordering::Release);
        false
    }

    /// Reads what a call names.
    fn read(
        &self,
        state: &mut State,
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
        state: &mut State,
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
        state: &mut State,
        call: &Notified,
        (uses, place, length): (Uses, u64, i32),
        told: &mut Vec<Told>,
    ) -> SysResult<()> {
        let task = Task { proc: self.proc, thread: call.thread };
        let socket = (call.thread, number(arg(call, 0)));
        if place == 0 {
            // What was connected before is really used now.
            told.extend(state.silent.remove(&socket));
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
                let message = peers::message(uses, kind, &ip, port);
                // Resolvers connect datagram sockets only to see which address would be used.
                if kind == "udp" && uses == Uses::CONNECT {
                    if state.silent.len() < MOST {
                        state.silent.insert(socket, message);
                    }
                } else {
                    told.push(message);
                }
            }
            None => {}
        }
        Ok(())
    }
}

fn flag(name: &str) -> Told {
    format!("f\0{name}").into_bytes()
}

fn arg(call: &Notified, index: u8) -> u64 {
    call.args.get(usize::from(index)).copied().unwrap_or_default()
}

/// What flags of clone(2) ask for.
fn cloned(state: &mut State, flags: u64, told: &mut Vec<Told>) {
    if flags & u64::from(libc::CLONE_NEWNS.unsigned_abs()) != 0 {
        state.has_moved = true;
    }
    if flags & NAMESPACES != 0 {
        told.push(flag("namespaces"));
    }
}

/// A file that is opened.
fn opened(
    state: &mut State,
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
    state: &mut State,
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
    state: &mut State,
    task: Task<'_>,
    (dir, path, uses, follows): (Option<u64>, Vec<u8>, Uses, bool),
) -> SysResult<Option<Told>> {
    let mut top = Vec::new();
    if state.has_moved {
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
        None | Some(libc::AT_FDCWD) if !state.has_moved => state.cwds.of(task)?,
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
    state: &mut State,
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
    state.has_moved = true;
    Ok(())
}
