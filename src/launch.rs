//! The parent, before and after the clone: what may start at all, which namespaces, whose id maps, and who waits for whom.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::AtomicBool;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials, recvmsg, send, setsockopt, socketpair,
    sockopt,
};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{AccessFlags, Pid, faccessat, getppid, read};

use crate::apparmor;
use crate::caps;
use crate::cgroup::fork_failure;
use crate::config::{Caller, Config, EnvEdit, Want};
use crate::error::{Context, Error, Result};
use crate::fds::{Fds, beyond_standard};
use crate::hints;
use crate::ids::read_file;
use crate::leaf::Leaf;
use crate::monitor::{Monitor, exit_code};
use crate::plan::Plan;
use crate::plan_text;
use crate::policy::Facts;
use crate::sandbox::{self, Links};
use crate::seccomp::{self, Filter};
use crate::signals::Forwarder;
use crate::status::{self, Info};
use crate::sys::{self, SysResult};
use crate::tcp;

/// Facts about the caller and the host, read once.
#[derive(Debug)]
pub(crate) struct Host {
    /// Who called.
    pub(crate) caller: Caller,
    /// The caller's effective capabilities, which root keeps.
    pub(crate) caps: u64,
    /// The caller's permitted capabilities, the most that can be had without a user namespace.
    pub(crate) permitted: u64,
    /// The terminal on standard output.
    pub(crate) tty: Option<CString>,
}

/// Who may start us, found out before anything else is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    caller: Caller,
    caps: u64,
    permitted: u64,
    parent: Pid,
}

/// Gives up what exec could gain, and refuses to run with more than the caller has.
pub(crate) fn start() -> Result<Start> {
    let parent = getppid();
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).context("prctl(PR_SET_NO_NEW_PRIVS) failed")?;
    let id = |kind| u32::try_from(sys::auxiliary(kind)).unwrap_or(u32::MAX);
    let caller = Caller { uid: id(libc::AT_UID), gid: id(libc::AT_GID) };
    if caller.uid != id(libc::AT_EUID) || caller.gid != id(libc::AT_EGID) {
        return Err(Error::new("setuid use of bubblewrap is not supported"));
    }
    if caller.uid == 0 {
        // Another sandbox of root's, without capabilities of its own, must not look into this process once it has dropped its
        // own: the executable is a file that root may write to. For COMMAND the exec itself takes this back.
        caps::become_undumpable()?;
    }
    let (effective, permitted) = sys::capget().context("capget failed")?;
    if caller.uid != 0 && permitted != 0 {
        return Err(Error::new("Unexpected capabilities but not setuid, old file caps config?"));
    }
    Ok(Start { caller, caps: effective, permitted, parent })
}

/// Sets the sandbox up and runs COMMAND in it; the result is the exit status.
pub(crate) fn launch(mut config: Box<Config>, start: Start) -> Result<i32> {
    config.check(start.caller, userns_offered)?;
    config.landlock.check()?;
    // The caller's environment says so, and not COMMAND's.
    let colour = config.switches.dry_run && plan_text::wants_colour();
    edit_environment(&config.environment)?;
    let mut fds = Fds::adopt(&config);
    let proc = open(c"/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    let proc = proc.and_then(beyond_standard).context("Can't open /proc")?;
    if config.apparmor.is_some() {
        apparmor::check(proc.as_fd())?;
    }
    let host = Host { caller: start.caller, caps: start.caps, permitted: start.permitted, tty: terminal() };
    settle_filters(&mut config, &host)?;
    if config.switches.dry_run || config.fds.dry_run_json.is_some() {
        return show_plan(&config, &host, &mut fds, colour);
    }

    // A caller that ignores SIGCHLD would make wait(2) find nothing, and COMMAND expects the signal unblocked.
    sys::default_signal(libc::SIGCHLD);
    SigSet::from(Signal::SIGCHLD).thread_unblock().context("sigprocmask")?;
    if config.switches.die_with_parent {
        die_with(start.parent)?;
    }

    let mut leaf = Leaf::make(&config, proc.as_fd(), start.caller)?;
    let (mut outer, mut inner) = Links::make(&config)?;
    if let Some(userns) = config.fds.userns {
        join_user_namespace(&mut fds, userns)?;
    }
    let Some(child) = clone_sandbox(&config, proc.as_fd(), leaf.as_mut())? else {
        drop(outer);
        inner.entrance = leaf.and_then(Leaf::hand_over);
        return sandbox::enter(config, &host, proc, fds, inner);
    };
    drop(inner);
    outer.leaf = leaf.as_ref();
    let mut last = child;
    watch(config, start, (proc, fds, outer), &mut last).or_else(|error| {
        if error.is_reported() {
            return Ok(first_failure(&[child, last]));
        }
        // COMMAND has not started yet, or nothing of it may stay.
        for pid in [child, last] {
            _ = kill(pid, Signal::SIGKILL);
        }
        for pid in [child, last] {
            _ = waitpid(pid, None);
        }
        Err(error)
    })
}

/// Settles which filters COMMAND gets, and in what order. The conditions in policies ask for COMMAND's capabilities.
pub(crate) fn settle_filters(config: &mut Config, host: &Host) -> Result<()> {
    let mut filters: Vec<_> = std::mem::take(&mut config.seccomp_programs).into_iter().map(Filter::own).collect();
    if config.landlock.limits_tcp() {
        filters.push(tcp::filter()?);
    }
    if !config.policies.is_empty() {
        let facts = Facts::of(sandbox::caps_after_exec(config, host));
        for policy in &config.policies {
            let compiled = policy.compile(&facts)?;
            filters.push(Filter::meant(policy.name(), compiled.program));
            config.unknown_calls.extend(compiled.unknown);
        }
    }
    config.filters = seccomp::arrange(filters)?;
    Ok(())
}

/// Says what would be done.
fn show_plan(config: &Config, host: &Host, fds: &mut Fds, colour: bool) -> Result<i32> {
    let plan = Plan::of(config, host);
    if let Some(fd) = fds.take_optional(config.fds.dry_run_json).context("Can't write the plan")? {
        let mut text = serde_json::to_vec_pretty(&plan).map_err(|error| Error::new(format!("Can't write the plan: {error}")))?;
        text.push(b'\n');
        status::write_all(fd.as_fd(), &text).context("Can't write the plan")?;
    }
    if config.switches.dry_run {
        let text = plan_text::render(&plan, colour);
        status::write_all(std::io::stdout().as_fd(), text.as_bytes()).context("Can't write the plan")?;
    }
    Ok(0)
}

/// The status of the process of ours that has failed: it has said why, unless it was killed. Nobody else is waited for: other children may
/// be the caller's, from before it executed us. One that led into another pid namespace has ended well, and whoever failed behind it
/// before its pid was known here has the status of every failure.
fn first_failure(ours: &[Pid]) -> i32 {
    let statuses = ours.iter().filter_map(|&pid| sys::uninterrupted(|| sys::wait_for(pid)).ok());
    statuses.filter_map(exit_code).find(|&code| code != 0).unwrap_or(1)
}

/// The status of a process that waits at the gate, if it has ended by itself: then it has said why. Else it is killed, and left to be
/// reaped with all others: until then its pid is nobody else's.
fn failure_at_gate(child: Pid) -> Option<i32> {
    _ = kill(child, Signal::SIGKILL);
    match waitid(Id::Pid(child), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
        Ok(WaitStatus::Exited(_, code)) => {
            _ = waitpid(child, None);
            Some(code)
        }
        _ => None,
    }
}

/// The parent's side of everything that is shared with the sandbox while it is set up.
#[derive(Debug, Default)]
pub(crate) struct Outer<'a> {
    /// A byte opens the gate; closing it tells the sandbox that the monitor is gone.
    pub(crate) tether: Option<OwnedFd>,
    /// Where PID 1 reports COMMAND's exit status.
    pub(crate) report: Option<OwnedFd>,
    /// Whether COMMAND is executed.
    pub(crate) executed: Option<&'static AtomicBool>,
    /// Where COMMAND introduces itself, so that signals can be forwarded to it.
    pub(crate) signals: Option<OwnedFd>,
    /// Where the first process that is in all its namespaces shows its pid.
    pub(crate) pid: Option<OwnedFd>,
    /// The sandbox's control group.
    pub(crate) leaf: Option<&'a Leaf>,
}

impl Links {
    /// Makes both sides of every link that this sandbox needs.
    fn make<'a>(config: &Config) -> Result<(Outer<'a>, Self)> {
        let link = |wanted: bool| -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
            if wanted { link().map(|(ours, theirs)| (Some(ours), Some(theirs))) } else { Ok((None, None)) }
        };
        let fds = &config.fds;
        let tells = config.tells();
        let joins = fds.userns.is_some() || fds.userns2.is_some() || fds.pidns.is_some();
        let gate = tells || joins || fds.userns_block.is_some() || config.has_ranges();
        let (tether_out, tether_in) = link(gate || config.dies_in_setup())?;
        let (report_out, report_in) = link(config.has_init())?;
        // In memory, because no filter can refuse to write there.
        let executed = fds.json_status.is_some().then(sys::shared_flag).transpose().context("Can't share memory")?;
        let (signals_out, signals_in) = link(config.switches.forward_signals)?;
        // What is told about a sandbox is told when that is true, and by itself where the monitor could not look.
        let tells_itself = config.has_own_cgroup_root() || fds.userns.is_some();
        let (pid_out, pid_in) = link(fds.pidns.is_some() || tells && tells_itself)?;
        for socket in [&pid_out, &signals_out].into_iter().flatten() {
            setsockopt(socket, sockopt::PassCred, &true).context("Can't set SO_PASSCRED on pid socket")?;
        }
        let (tether, report, signals, pid) = (tether_out, report_out, signals_out, pid_out);
        let outer = Outer { tether, report, executed, signals, pid, leaf: None };
        let (tether, report, signals, pid) = (tether_in, report_in, signals_in, pid_in);
        Ok((outer, Self { gate, tether, report, executed, signals, pid, entrance: None }))
    }
}

/// The parent after the clone, up to COMMAND's end. `child` is the first process, and may become another one.
fn watch(config: Box<Config>, start: Start, (proc, mut fds, outer): (OwnedFd, Fds, Outer<'_>), child: &mut Pid) -> Result<i32> {
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
        fds.take(userns2).and_then(|fd| setns(fd, CloneFlags::CLONE_NEWUSER)).context("Setting userns2 failed")?;
    }
    let joined = config.fds.userns.is_some() || config.fds.userns2.is_some();
    if joined {
        // COMMAND has the same ids in the same user namespace, and perhaps no less capabilities. This process's /proc/PID/root would be
        // a way to the host.
        caps::become_undumpable()?;
    }
    if let (Some(layers), Some(name)) = (config.id_layers(), &name) {
        layers.first.write(proc.as_fd(), name)?;
    }
    let keep = outer.leaf.map_or(0, Leaf::caps);
    let is_root = start.caller.uid == 0;
    if outer.signals.is_some() {
        caps::drop_all_but_signals(keep, is_root)?;
    } else {
        caps::drop_all_but(keep, is_root)?;
    }
    if joined && config.switches.die_with_parent {
        // Joining a user namespace has cleared the signal, see PR_SET_PDEATHSIG(2const).
        die_with(start.parent)?;
    }
    let json_status = match &info {
        Some(info) => write_info(&config, &mut fds, info)?,
        None => None,
    };
    if let Some(fd) = fds.take_optional(config.fds.userns_block).context("Can't read userns-block-fd")? {
        wait_for_byte(&fd).context("Can't read userns-block-fd")?;
    }
    if let Some(tether) = &outer.tether {
        // A sandbox that has failed by now has said so, and its status is about to be read.
        signal(tether).context("Can't tell the sandbox to go on")?;
    }
    let Outer { tether, report, executed, signals, pid, leaf } = outer;
    let forwarder = signals.map(|link| Forwarder { link });
    // Every fd that is left is closed by its number now.
    std::mem::forget((proc, fds, pid));
    drop((config, info));
    sys::trim_heap();
    sys::trim_code();
    let kept = leaf.map(Leaf::fds).unwrap_or_default();
    Monitor { child, report, json_status, executed, tether, forwarder, kept }.run()
}

/// What the child is called in /proc, and what is told about it, as far as either is needed. What it
/// has said of itself is not looked up.
fn look_up(config: &Config, proc: BorrowedFd<'_>, child: Pid, told: Option<Vec<u64>>) -> Result<(Option<String>, Option<Info>)> {
    let looks = config.tells() && told.is_none();
    let name = (looks || config.has_ranges()).then(|| status::name_in(proc, child)).transpose()?;
    let ids = match &name {
        Some(name) if looks => status::namespaces(proc, name, config.namespaces)?,
        _ => told.unwrap_or_default(),
    };
    let info = config.tells().then(|| Info::new(child, config.namespaces, ids));
    Ok((name, info))
}

/// Writes the first documents, and returns the fd for the last one.
fn write_info(config: &Config, fds: &mut Fds, info: &Info) -> Result<Option<OwnedFd>> {
    if let Some(fd) = fds.take_optional(config.fds.info).context("Write to info_fd")? {
        info.write_document(fd.as_fd())?;
    }
    let json_status = fds.take_optional(config.fds.json_status).context("Write to info_fd")?;
    if let Some(fd) = &json_status {
        info.write_line(fd.as_fd())?;
    }
    Ok(json_status)
}

/// Both ends of a link. Sockets and not pipes: writing to one whose reader is gone can be told not to raise SIGPIPE.
pub(crate) fn link() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).context("Can't create socket pair")
}

/// Waits for the word of whoever is at the other end of a link. The end of the link instead means that he is gone, perhaps before he has
/// read what was sent.
pub(crate) fn await_byte(link: &OwnedFd, failure: &str) -> Result<()> {
    match wait_for_byte(link) {
        Ok(0) | Err(Errno::ECONNRESET) => Err(Error::reported()),
        other => other.map(drop).context(failure),
    }
}

/// Waits for a byte, or for the end of the file.
pub(crate) fn wait_for_byte(fd: &OwnedFd) -> SysResult<usize> {
    sys::uninterrupted(|| read(fd, &mut [0]))
}

/// Has the kernel kill this process when its parent ends. A change of credentials takes that back.
pub(crate) fn set_death_signal() -> Result<()> {
    death_signal(libc::SIGKILL)
}

/// The opposite.
pub(crate) fn clear_death_signal() -> Result<()> {
    death_signal(0)
}

fn death_signal(signal: i32) -> Result<()> {
    sys::prctl(libc::PR_SET_PDEATHSIG, signal.unsigned_abs().into(), 0).map(drop).context("prctl(PR_SET_PDEATHSIG)")
}

/// Makes this process die with its parent, which may have died already.
pub(crate) fn die_with(parent: Pid) -> Result<()> {
    set_death_signal()?;
    if getppid() != parent {
        return Err(Error::new("The parent process is gone"));
    }
    Ok(())
}

/// Whether the kernel lets anybody make user namespaces, as far as its files say.
fn userns_offered() -> bool {
    let content = |path: &CStr| read_file(AT_FDCWD, path, 4096).ok();
    // Whatever else goes wrong here, the clone will say.
    let exists = faccessat(AT_FDCWD, c"/proc/self/ns/user", AccessFlags::F_OK, AtFlags::empty()) != Err(Errno::ENOENT);
    let off = content(c"/sys/module/user_namespace/parameters/enable").is_some_and(|text| text.first() == Some(&b'N'));
    let none = content(c"/proc/sys/user/max_user_namespaces").is_some_and(|text| text.trim_ascii() == b"0");
    exists && !off && !none
}

/// Applies the environment's edits to our own, in order.
fn edit_environment(edits: &[EnvEdit]) -> Result<()> {
    for edit in edits {
        match edit {
            EnvEdit::Clear => sys::clearenv().context("clearenv failed")?,
            EnvEdit::Set(name, value) => sys::setenv(name, value).context("setenv failed")?,
            EnvEdit::Unset(name) => sys::unsetenv(name).context("unsetenv failed")?,
        }
    }
    Ok(())
}

/// The terminal on standard output, by the name it has on the host.
fn terminal() -> Option<CString> {
    let path = nix::unistd::ttyname(std::io::stdout()).ok()?;
    CString::new(path.into_os_string().into_vec()).ok()
}

fn join_user_namespace(fds: &mut Fds, number: i32) -> Result<()> {
    match fds.take(number).and_then(|fd| setns(fd, CloneFlags::CLONE_NEWUSER)) {
        Err(Errno::EINVAL) => Err(Error::new(
            "Joining the specified user namespace failed, it might not be a descendant of the current user namespace.",
        )),
        other => other.context("Joining specified user namespace failed"),
    }
}

/// The clone that makes the namespaces. `None` in the child.
fn clone_sandbox(config: &Config, proc: BorrowedFd<'_>, leaf: Option<&mut Leaf>) -> Result<Option<Pid>> {
    let wanted = config.namespaces;
    let mut flags = libc::CLONE_NEWNS;
    let mut add = |want: Want, flag| {
        if want == Want::Yes {
            flags |= flag;
        }
    };
    add(wanted.user, libc::CLONE_NEWUSER);
    add(wanted.ipc, libc::CLONE_NEWIPC);
    add(wanted.net, libc::CLONE_NEWNET);
    add(wanted.uts, libc::CLONE_NEWUTS);
    if config.fds.pidns.is_none() {
        add(wanted.pid, libc::CLONE_NEWPID);
    }
    if wanted.cgroup != Want::No && !config.has_own_cgroup_root() {
        let there = faccessat(proc, c"self/ns/cgroup", AccessFlags::F_OK, AtFlags::empty());
        match (there, wanted.cgroup) {
            (Ok(()), _) => flags |= libc::CLONE_NEWCGROUP,
            (Err(Errno::ENOENT), Want::Try) => {}
            (Err(Errno::ENOENT), _) => {
                return Err(Error::new("Cannot create new cgroup namespace because the kernel does not support it"));
            }
            (Err(other), _) => return Err(Error::os("Can't look for cgroup namespaces", other)),
        }
    }
    let cloned = match leaf {
        Some(leaf) => leaf.clone_process(flags, config.fds.pidns.is_some()),
        None => sys::clone_process(flags),
    };
    cloned.map_err(|errno| match errno {
        Errno::EAGAIN => fork_failure("Creating new namespace failed", errno, &config.cgroup),
        other => clone_failure(other, wanted.user == Want::Yes).hinted(|_| hints::namespaces(config, Some(other))),
    })
}

/// The words for a clone that failed; programs look for them to decide whether to go on without a sandbox.
fn clone_failure(errno: Errno, user: bool) -> Error {
    match errno {
        Errno::EINVAL if user => {
            Error::new("Creating new namespace failed, likely because the kernel does not support user namespaces.")
        }
        Errno::EPERM if user => Error::new(
            "No permissions to create a new namespace, likely because the kernel does not allow non-privileged user namespaces.",
        ),
        Errno::ENOSPC => {
            Error::new("Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)")
        }
        other => Error::os("Creating new namespace failed", other),
    }
}

/// The pid of the process that shows itself on the socket, as this pid namespace counts, and the namespaces that it tells of.
fn receive_pid(socket: &OwnedFd) -> Result<(Pid, Vec<u64>)> {
    let mut bytes = [0; 128];
    let mut buffer = [std::io::IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!(UnixCredentials);
    let message = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut buffer, Some(&mut space), MsgFlags::empty()) {
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
        (Some(pid), Some(told)) => Ok((pid, told.as_chunks().0.iter().copied().map(u64::from_ne_bytes).collect())),
        // The process on the other side has failed and has said so.
        _ => Err(Error::reported()),
    }
}

/// Shows the monitor this process, by a byte to which the kernel adds the pid, and its namespaces where they are told.
pub(crate) fn show(config: &Config, proc: BorrowedFd<'_>, socket: &OwnedFd) -> Result<()> {
    let mut message = vec![0];
    if config.tells() {
        let ids = status::namespaces(proc, "self", config.namespaces)?;
        message.extend(ids.into_iter().flat_map(u64::to_ne_bytes));
    }
    tell(socket, &message).context("Can't show the pid")
}

/// A byte for whoever is at the other end of a link: that is what all links carry, and on the one to the pid socket the kernel adds
/// who sent it. If nobody is there any more nobody is interested; in particular it is no SIGPIPE. Any other failure is one, because
/// somebody waits for the byte.
pub(crate) fn signal(link: &OwnedFd) -> SysResult<()> {
    tell(link, &[0])
}

fn tell(link: &OwnedFd, message: &[u8]) -> SysResult<()> {
    match sys::uninterrupted(|| send(link.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL)) {
        Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        Err(other) => Err(other),
    }
}
