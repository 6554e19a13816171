//! The tracer: starts `bwrap` and follows every process that comes of it, call by call, by ptrace(2).
//!
//! It lists the calls, or lets one call of one process fail, or kills a process at a call. It does so by itself and not by strace(1)
//! because strace counts `when=N` in every process anew, so the Nth call of the monitor would take the Nth call of PID 1 with it. A
//! process is called by its descent: `0` is the first one, `0.0` its first child, `0.0.1` that one's second.
//!
//! Its own process does nothing else and is the reaper of all orphans, so it also sees what is left when the first process is gone.
//! `--trace ORDER PROGRAM ARGV0 WORD…`, with what happened written to [`REPORT`], a line each:
//!
//! - `call ROLE NTH NUMBER SCOPE DETAIL`: the role's NTH call of that number, for the order `list`.
//! - `hit`: the fault was injected. `executed ROLE`: this process became COMMAND.
//! - `orphan ROLE STATUS`: nobody waited for it but the tracer, and how it ended. `stuck ROLE`: it had to be killed.
//! - `end STATUS`: how the first process ended.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::calls::{Detail, find};
use crate::harness::Result;
use crate::sys;

/// The fd that the report is written to.
pub(crate) const REPORT: RawFd = 390;

/// How long the processes may take. Only a sandbox that hangs takes that long.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a parent may take to tell of its child. One that was killed meanwhile never does.
const TELLING: Duration = Duration::from_secs(5);

/// The role of a child that nobody told of.
const OF_NOBODY: &str = "of_nobody";

/// What an interrupted call returns to the kernel's own code, from `-ERESTART_RESTARTBLOCK` to `-ERESTARTSYS`.
const RESTARTS: std::ops::RangeInclusive<i64> = -516..=-512;

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails with this errno, and is not made.
    Error(i32),
    /// The process is killed when it is about to make it.
    Kill,
}

/// Which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) role: String,
    pub(crate) number: i64,
    /// Counted from 1.
    pub(crate) nth: usize,
}

/// The word on the command line that says what is to be done.
pub(crate) fn order(fault: Option<(&Place, Fault)>) -> String {
    let Some((place, fault)) = fault else { return "list".to_owned() };
    let errno = match fault {
        Fault::Error(errno) => errno,
        Fault::Kill => 0,
    };
    format!("{}:{}:{}:{errno}", place.role, place.number, place.nth)
}

fn read_order(text: &str) -> Option<(Place, Fault)> {
    let fields = text.split(':').collect::<Vec<_>>();
    let [role, number, nth, errno] = fields.as_slice() else { return None };
    let fault = if *errno == "0" { Fault::Kill } else { Fault::Error(errno.parse().ok()?) };
    Some((Place { role: (*role).to_owned(), number: number.parse().ok()?, nth: nth.parse().ok()? }, fault))
}

/// One process.
#[derive(Debug, Default)]
struct Traced {
    role: String,
    children: usize,
    /// How often each call was made.
    counts: BTreeMap<i64, usize>,
    /// Whether the program's own code has been reached: before that it is the C library's start.
    begun: bool,
    /// Whether it became COMMAND.
    executed: bool,
    /// The errno that the call which it is in is to return.
    pending: Option<i32>,
    /// Whether a signal has interrupted the last call, which the kernel begins again by itself.
    again: bool,
}

/// A run.
struct Tracer {
    report: File,
    order: Option<(Place, Fault)>,
    hit: bool,
    traced: BTreeMap<Pid, Traced>,
    /// Children that have stopped before their parents told of them, and since when.
    early: Vec<(Pid, Instant)>,
    /// Everybody who ever was, by role.
    roles: BTreeMap<Pid, String>,
    main: Pid,
    status: Option<i32>,
}

/// Runs what the words say.
pub(crate) fn run(words: &[String]) -> ExitCode {
    match trace(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = std::io::stderr().write_all(format!("tracer: {error}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn trace(words: &[String]) -> Result<()> {
    let [order, program, name, rest @ ..] = words else { return Err("too few words".to_owned()) };
    let report = sys::take_over(REPORT).map_err(|e| format!("report: {e}"))?;
    nix::sys::prctl::set_child_subreaper(true).map_err(|e| format!("subreaper: {e}"))?;
    let children = SigSet::from(Signal::SIGCHLD);
    children.thread_block().map_err(|e| format!("SIGCHLD: {e}"))?;
    let signals =
        SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(|e| format!("signalfd: {e}"))?;
    let mut command = Command::new(program);
    command.arg0(name).args(rest);
    sys::trace_from_start(&mut command);
    // Everything that comes of it is waited for below, by number.
    let child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    let main = Pid::from_raw(i32::try_from(child.id()).map_err(|e| e.to_string())?);
    let mut tracer = Tracer {
        report: report.into(),
        order: read_order(order),
        hit: false,
        traced: BTreeMap::new(),
        early: vec![],
        roles: BTreeMap::new(),
        main,
        status: None,
    };
    tracer.begin()?;
    tracer.follow(&signals)
}

impl Tracer {
    fn say(&mut self, line: &str) {
        _ = self.report.write_all(format!("{line}\n").as_bytes());
    }

    /// Waits for the first process's exec, from which on it is followed.
    fn begin(&mut self) -> Result<()> {
        match waitpid(self.main, None) {
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => {}
            other => return Err(format!("it did not start: {other:?}")),
        }
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(self.main, options).map_err(|e| format!("ptrace: {e}"))?;
        self.roles.insert(self.main, "0".to_owned());
        self.traced.insert(self.main, Traced { role: "0".to_owned(), ..Traced::default() });
        self.resume(self.main, None);
        Ok(())
    }

    /// Follows all of them until none is left.
    fn follow(&mut self, signals: &SignalFd) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut patient = true;
        loop {
            match waitpid(None::<Pid>, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(format!("waitpid: {errno}")),
                Ok(WaitStatus::StillAlive) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() && patient {
                        patient = false;
                        self.give_up();
                    }
                    let untold = self.release_untold();
                    let timeout = if patient { Some(left) } else { None }.into_iter().chain(untold).min();
                    let timeout = timeout.map_or(PollTimeout::NONE, |t| PollTimeout::try_from(t).unwrap_or(PollTimeout::MAX));
                    wait_for_signal(signals, timeout);
                }
                Ok(status) => self.handle(status),
            }
        }
        let status = self.status.ok_or("its end was not seen")?;
        self.say(&format!("end {status}"));
        Ok(())
    }

    /// Lets children go on whose parents were killed before they could tell of them. The result is when there will be more to do.
    fn release_untold(&mut self) -> Option<Duration> {
        let now = Instant::now();
        for (pid, _) in self.early.extract_if(.., |(_, since)| now - *since >= TELLING).collect::<Vec<_>>() {
            self.roles.insert(pid, OF_NOBODY.to_owned());
            self.traced.insert(pid, Traced { role: OF_NOBODY.to_owned(), begun: true, ..Traced::default() });
            self.resume(pid, None);
        }
        self.early.iter().map(|(_, since)| TELLING.saturating_sub(now - *since)).min()
    }

    /// Kills whoever is left.
    fn give_up(&mut self) {
        let stuck = self.traced.iter().map(|(pid, traced)| (*pid, traced.role.clone())).collect::<Vec<_>>();
        for (pid, role) in stuck {
            self.say(&format!("stuck {role}"));
            _ = kill(pid, Signal::SIGKILL);
        }
    }

    fn handle(&mut self, status: WaitStatus) {
        match status {
            WaitStatus::PtraceSyscall(pid) => self.at_call(pid),
            WaitStatus::PtraceEvent(pid, _, event) => self.at_event(pid, event),
            WaitStatus::Stopped(pid, signal) => self.at_signal(pid, signal),
            WaitStatus::Exited(pid, code) => self.ended(pid, code << 8),
            WaitStatus::Signaled(pid, signal, _) => self.ended(pid, signal as i32),
            _ => {}
        }
    }

    fn at_event(&mut self, pid: Pid, event: i32) {
        if event == libc::PTRACE_EVENT_EXEC {
            if let Some(traced) = self.traced.get_mut(&pid) {
                // The start of the first process was its exec, which was seen by its signal.
                traced.executed = true;
                let line = format!("executed {}", traced.role);
                self.say(&line);
            }
        } else if let (Ok(child), Some(parent)) = (ptrace::getevent(pid), self.traced.get_mut(&pid)) {
            let child = Pid::from_raw(i32::try_from(child).unwrap_or(0));
            let role = format!("{}.{}", parent.role, parent.children);
            parent.children += 1;
            self.roles.insert(child, role.clone());
            self.traced.insert(child, Traced { role, begun: true, ..Traced::default() });
            if let Some(index) = self.early.iter().position(|(early, _)| *early == child) {
                self.early.swap_remove(index);
                self.resume(child, None);
            }
        }
        self.resume(pid, None);
    }

    /// A signal is passed on; a new child's first stop is not one.
    fn at_signal(&mut self, pid: Pid, signal: Signal) {
        if !self.traced.contains_key(&pid) {
            self.early.push((pid, Instant::now()));
            return;
        }
        self.resume(pid, if signal == Signal::SIGSTOP { None } else { Some(signal) });
    }

    fn ended(&mut self, pid: Pid, status: i32) {
        if pid == self.main {
            self.status = Some(status);
        } else if !self.traced.contains_key(&pid) {
            // Its end was seen before; this time it is ours to wait for. Unless its parent was killed before it could tell of it: then this
            // is the first time, as for any other.
            match self.roles.entry(pid) {
                Entry::Occupied(known) => {
                    let line = format!("orphan {} {status}", known.get());
                    self.say(&line);
                }
                Entry::Vacant(unknown) => _ = unknown.insert(OF_NOBODY.to_owned()),
            }
        }
        self.traced.remove(&pid);
    }

    /// The beginning or the end of a call.
    fn at_call(&mut self, pid: Pid) {
        let (Ok(info), Ok(mut registers)) = (ptrace::syscall_info(pid), ptrace::getregs(pid)) else {
            return self.resume(pid, None);
        };
        let Some(traced) = self.traced.get_mut(&pid) else { return self.resume(pid, None) };
        if info.op == libc::PTRACE_SYSCALL_INFO_EXIT {
            traced.again = RESTARTS.contains(&registers.rax.cast_signed());
            if let Some(errno) = traced.pending.take() {
                registers.rax = i64::from(-errno).cast_unsigned();
                _ = ptrace::setregs(pid, registers);
            }
            return self.resume(pid, None);
        }
        if std::mem::take(&mut traced.again) {
            return self.resume(pid, None);
        }
        let number = registers.orig_rax.cast_signed();
        let count = traced.counts.entry(number).or_default();
        *count += 1;
        let nth = *count;
        traced.begun |= [libc::SYS_getppid, libc::SYS_prctl].contains(&number);
        let Some((place, fault)) = &self.order else {
            let scope = if traced.executed { "command" } else { ["start", "own"][usize::from(traced.begun)] };
            let line = format!("call {} {nth} {number} {scope} {}", traced.role, detail(pid, number, &registers));
            self.say(&line);
            return self.resume(pid, None);
        };
        if !self.hit && place.number == number && place.nth == nth && place.role == traced.role {
            self.hit = true;
            match fault {
                Fault::Error(errno) => {
                    traced.pending = Some(*errno);
                    // Whatever close(2) says, the fd is closed.
                    if number != libc::SYS_close {
                        registers.orig_rax = u64::MAX;
                        _ = ptrace::setregs(pid, registers);
                    }
                }
                Fault::Kill => _ = kill(pid, Signal::SIGKILL),
            }
            self.say("hit");
        }
        self.resume(pid, None);
    }

    /// Lets it run to its next call, or for good if its calls are of no more interest.
    fn resume(&self, pid: Pid, signal: Option<Signal>) {
        let traced = self.traced.get(&pid);
        let watched = match &self.order {
            None => true,
            Some((place, _)) => traced.is_some_and(|traced| traced.pending.is_some() || (!self.hit && traced.role == place.role)),
        };
        // It may have been killed meanwhile.
        _ = if watched { ptrace::syscall(pid, signal) } else { ptrace::cont(pid, signal) };
    }
}

fn wait_for_signal(signals: &SignalFd, timeout: PollTimeout) {
    _ = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], timeout);
    while matches!(signals.read_signal(), Ok(Some(_))) {}
}

/// The argument that tells this call from others, in one line.
fn detail(pid: Pid, number: i64, registers: &libc::user_regs_struct) -> String {
    let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9];
    match find(number).map_or(Detail::Nothing, |call| call.detail) {
        Detail::Nothing => String::new(),
        Detail::Number(index) => arguments[index].to_string(),
        Detail::Text(index) => text_at(pid, arguments[index]),
    }
}

/// Reads a string of another process, up to a limit.
fn text_at(pid: Pid, address: u64) -> String {
    let mut bytes = vec![];
    let Ok(address) = usize::try_from(address) else { return String::new() };
    for at in (address..).step_by(8).take(32) {
        let Ok(word) = ptrace::read(pid, std::ptr::without_provenance_mut(at)) else { break };
        let word = word.to_ne_bytes();
        bytes.extend(word.iter().take_while(|byte| **byte != 0));
        if word.contains(&0) {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Whether this machine lets a process trace its child.
pub(crate) fn permitted() -> Result<()> {
    let mut command = Command::new("/bin/true");
    sys::trace_from_start(&mut command);
    let child = command.spawn().map_err(|e| format!("ptrace is not permitted: {e}"))?;
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
    let stopped = matches!(waitpid(pid, None), Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)));
    if !stopped {
        return Err("ptrace is not permitted".to_owned());
    }
    let known = ptrace::cont(pid, None).is_ok();
    _ = waitpid(pid, None);
    if known { Ok(()) } else { Err("ptrace is not permitted".to_owned()) }
}
