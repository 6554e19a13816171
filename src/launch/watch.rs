//! The parent after the clone, up to where the monitor only waits: who tells whom what, and who
//! waits for whom.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::config::Config;
use crate::config::settle::Settled;
use crate::confine::caps;
use crate::confine::cgroup::leaf::Leaf;
use crate::error::{Context, Error, Result};
use crate::explain;
use crate::fds::Inherited;
use crate::kernel::process::{become_undumpable, die_with, exit_code, parent_is_gone};
use crate::kernel::sys;
use crate::launch::monitor::Monitor;
use crate::launch::status::{self, Info};
use crate::links::signals::Forwarder;
use crate::links::{Ends, Link, wait_beside, wait_for_byte, wait_to_write_beside};
use crate::record::plan::Plan;
use crate::record::{self, Subject, Watcher};
use crate::report;
use crate::sandbox::introduce;

/// What the parent has after the clone.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// The host's /proc.
    pub(crate) proc: OwnedFd,
    /// The caller's fds.
    pub(crate) fds: Inherited,
    /// Its ends of the links.
    pub(crate) outer: Ends,
    /// The sandbox's control group.
    pub(crate) leaf: Option<&'a Leaf>,
    /// What to record.
    pub(crate) plan: Option<Plan>,
}

/// The parent after the clone, up to COMMAND's end. `child` is the first process, and may become
/// another one.
pub(crate) fn watch(config: Box<Settled>, given: Given<'_>, child: &mut Pid) -> Result<i32> {
    let Given { proc, mut fds, mut outer, leaf, plan } = given;
    let mut told = None;
    if let Some(socket) = &outer.pid {
        let (pid, namespaces) = receive_pid(socket)?;
        (*child, told) = (pid, Some(namespaces));
    }
    let child = *child;
    let (name, info) = match look_up(&config, proc.as_fd(), child, told) {
        Err(error) => return failure_at_gate(child).ok_or(error),
        Ok(found) => found,
    };
    if let Some(userns2) = config.fds.userns2 {
        fds.take(userns2)
            .and_then(|fd| setns(fd, CloneFlags::CLONE_NEWUSER))
            .context("Setting userns2 failed")
            .map_err(|error| error.of("--userns2"))?;
    }
    if config.has_moved() {
        // COMMAND has the same ids in the same user namespace, and may have as many capabilities.
        // If it could look into this process, /proc/PID/root would lead it to the host.
        become_undumpable()?;
    }
    if let (Some(layers), Some(name)) = (&config.id_layers, &name) {
        layers.first.write(proc.as_fd(), name)?;
    }
    let signals = outer.signals.is_some();
    let drop_caps = if signals { caps::drop_all_but_signals } else { caps::drop_all_but };
    drop_caps(leaf.map_or(0, Leaf::caps), config.host.caller.uid == 0)?;
    if config.has_moved() && config.switches.die_with_parent && fds.parent.is_none() {
        // Joining a user namespace has cleared the signal, see PR_SET_PDEATHSIG(2const).
        die_with(config.host.parent)?;
    }
    let json_status = match &info {
        Some(info) => write_info(&config, &mut fds, info)?,
        None => None,
    };
    wait_for_maps(&config, &mut fds)?;
    let recorder = match plan {
        Some(plan) => start_recorder(&config, proc.as_fd(), (&plan, child), &mut outer)?,
        None => None,
    };
    if let Some(tether) = &outer.tether {
        // A sandbox that has already failed has reported that, and its status is read next.
        tether.notify().context("Can't tell the sandbox to continue")?;
    }
    let Ends { tether, report, executed, lost, signals, pid, .. } = outer;
    let (forwards, timeout) = (config.switches.forward_signals, config.timeout);
    let forwarder = signals.map(|link| Forwarder { link, forwards, timeout });
    let parent = ManuallyDrop::new(fds.parent.take());
    // All fds that are left are closed by number, so their owners must not close them again.
    std::mem::forget((proc, fds, pid));
    drop((config, info));
    let kept = leaf.map(Leaf::fds).unwrap_or_default();
    let wait = Monitor {
        child,
        report,
        json_status,
        executed,
        lost,
        tether,
        forwarder,
        parent,
        recorder,
        kept,
    };
    wait.run()
}

/// `--userns-block-fd`: somebody else writes the id maps, and then a byte.
fn wait_for_maps(config: &Config, fds: &mut Inherited) -> Result<()> {
    let failure = "Can't read userns-block-fd";
    let Some(fd) = fds.take_optional(config.fds.userns_block).context(failure)? else {
        return Ok(());
    };
    if !wait_beside(fd.as_fd(), fds.parent.as_ref().map(AsFd::as_fd)).context(failure)? {
        return Err(parent_is_gone());
    }
    wait_for_byte(&fd).context(failure).map(drop)
}

/// Starts the process that records what COMMAND uses.
#[cold]
fn start_recorder(
    config: &Settled,
    proc: BorrowedFd<'_>,
    (plan, first): (&Plan, Pid),
    outer: &mut Ends,
) -> Result<Option<Watcher>> {
    let (Some(end), Some(executed)) = (outer.recorder.take(), outer.executed) else {
        return Ok(None);
    };
    // Orphans in the sandbox become children of this process, which waits for them at the end.
    set_child_subreaper(true).context("prctl(PR_SET_CHILD_SUBREAPER)")?;
    let explain: Option<record::Explain> =
        if config.record.explain { Some(explain::report::print) } else { None };
    let subject = Subject { config, plan, proc, first, executed, explain };
    record::start(&subject, end.wire.into()).map(Some)
}

/// What the child is called in /proc, and what is told about it, as far as either is needed. What
/// it has reported itself is not looked up.
fn look_up(
    config: &Config,
    proc: BorrowedFd<'_>,
    child: Pid,
    told: Option<Vec<u64>>,
) -> Result<(Option<String>, Option<Info>)> {
    let looks = config.tells() && told.is_none();
    let name = (looks || config.has_ranges()).then(|| status::name_in(proc, child)).transpose()?;
    let ids = match &name {
        Some(name) if looks => introduce::namespaces(proc, name, config.namespaces)?,
        _ => told.unwrap_or_default(),
    };
    let info = config.tells().then(|| Info::new(child, config.namespaces, ids));
    Ok((name, info))
}

/// The fd for a document.
fn take(
    fds: &mut Inherited,
    number: Option<RawFd>,
    option: &'static str,
) -> Result<Option<OwnedFd>> {
    let taken = fds.take_optional(number).context("Write to info_fd");
    taken.map_err(|error| error.of(option))
}

/// Writes the first documents, and returns the fd for the last one.
fn write_info(config: &Config, fds: &mut Inherited, info: &Info) -> Result<Option<OwnedFd>> {
    if let Some(fd) = take(fds, config.fds.info, "--info-fd")? {
        wait_for_reader(fds, &fd)?;
        info.write_document(fd.as_fd()).map_err(|error| error.of("--info-fd"))?;
    }
    let json_status = take(fds, config.fds.json_status, "--json-status-fd")?;
    if let Some(fd) = &json_status {
        wait_for_reader(fds, fd)?;
        info.write_line(fd.as_fd()).map_err(|error| error.of("--json-status-fd"))?;
    }
    Ok(json_status)
}

/// Waits until a document can be written, as long as the parent lives.
fn wait_for_reader(fds: &Inherited, fd: &OwnedFd) -> Result<()> {
    let parent = fds.parent.as_ref().map(AsFd::as_fd);
    if wait_to_write_beside(fd.as_fd(), parent).context("Write to info_fd")? {
        Ok(())
    } else {
        Err(parent_is_gone())
    }
}

/// The status of the process of ours that has failed: it has said why, unless it was killed. Those
/// that led into another pid namespace have ended well.
pub(crate) fn first_failure() -> i32 {
    let statuses = std::iter::from_fn(|| sys::uninterrupted(sys::wait_ours).ok());
    let code = statuses.filter_map(exit_code).find(|&code| code != 0);
    report::asked_status().or(code).unwrap_or_else(report::status)
}

/// The status of a process that waits at the gate, if it has ended by itself and reported why.
/// Otherwise kills it, but does not reap it yet: its PID cannot be reused before it is reaped.
fn failure_at_gate(child: Pid) -> Option<i32> {
    _ = kill(child, Signal::SIGKILL);
    match waitid(Id::Pid(child), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL)
    {
        Ok(WaitStatus::Exited(_, code)) => {
            _ = sys::wait_for(child);
            Some(code)
        }
        _ => None,
    }
}

/// The pid of the process that shows itself on the socket, as this pid namespace counts, and the
/// namespaces that it tells of.
fn receive_pid(socket: &Link) -> Result<(Pid, Vec<u64>)> {
    let mut bytes = [0; 128];
    let mut buffer = [std::io::IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!(UnixCredentials);
    let message = loop {
        match recvmsg::<()>(
            socket.as_fd().as_raw_fd(),
            &mut buffer,
            Some(&mut space),
            MsgFlags::empty(),
        ) {
            Err(Errno::EINTR) => {}
            other => break other.context("Can't read pid from socket")?,
        }
    };
    let count = message.bytes;
    let pid = message.cmsgs().context("Can't read pid from socket")?.find_map(|part| match part {
        ControlMessageOwned::ScmCredentials(sender) => Some(Pid::from_raw(sender.pid())),
        _ => None,
    });
    match (pid, bytes.get(1..count)) {
        (Some(pid), Some(told)) => {
            Ok((pid, told.as_chunks().0.iter().copied().map(u64::from_ne_bytes).collect()))
        }
        // The process at the other end has failed and has reported that.
        _ => Err(Error::reported()),
    }
}
