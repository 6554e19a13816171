//! [`enter`]: everything between the clone and `execvp`, in order.
//!
//! Gather, leave, build, become: what comes from the host is taken while host paths still mean what the caller meant; then the
//! host is gone, before the first destination is looked at; then the sandbox's tree is built; then the process becomes COMMAND.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, stat, umask};
use nix::sys::wait::waitpid;
use nix::unistd::{chdir, getcwd, getpid, sethostname, setsid};

use crate::caps::{self, CapEdit, Caps};
use crate::cgroup::fork_failure;
use crate::config::{Config, Want};
use crate::elf;
use crate::error::{Context, Error, Result, join, wants_hints};
use crate::fds::Fds;
use crate::gather::{Gathered, Gatherer};
use crate::hints;
use crate::identity::{Identity, has_foreign_ids};
use crate::init::{self, Init};
use crate::launch::{self, Host, die_with, set_death_signal, wait_for_byte};
use crate::leaf;
use crate::ops::Builder;
use crate::root::{self, Root};
use crate::seccomp::{self, Filter};
use crate::shelf;
use crate::sys;
use crate::{labels, loopback, signals};

/// The sandbox's side of what it shares with the monitor.
#[derive(Debug)]
pub(crate) struct Links {
    /// Whether a byte from the monitor is awaited before the set-up begins.
    pub(crate) gate: bool,
    /// Where that byte comes from, and where the monitor's end shows.
    pub(crate) tether: Option<OwnedFd>,
    /// Where PID 1 reports COMMAND's exit status.
    pub(crate) report: Option<OwnedFd>,
    /// Whether COMMAND is executed, for the monitor to see.
    pub(crate) executed: Option<&'static AtomicBool>,
    /// Where COMMAND introduces itself to a monitor that forwards signals.
    pub(crate) signals: Option<OwnedFd>,
    /// Where the first process that is in all its namespaces shows its pid.
    pub(crate) pid: Option<OwnedFd>,
    /// The way into the control group, if this process was not born there.
    pub(crate) entrance: Option<OwnedFd>,
}

/// Sets the sandbox up around this process and becomes COMMAND. What returns an exit status is a process that did not: PID 1 at its
/// end, or one that led into another pid namespace.
pub(crate) fn enter(settled: Box<Config>, host: &Host, old_proc: OwnedFd, mut fds: Fds, mut links: Links) -> Result<i32> {
    let (config, proc) = (settled.as_ref(), old_proc.as_fd());
    if let Some(pidns) = config.fds.pidns
        && enter_pid_namespace(config, &mut fds, pidns)? == Role::Done
    {
        return Ok(0);
    }
    leaf::join_group(config, links.entrance.take())?;
    if config.dies_in_setup() {
        // Some of the following clears it again; until then it covers the set-up, and at the end it is set once more.
        set_death_signal()?;
    }
    if let Some(socket) = links.pid.take() {
        launch::show(config, proc, &socket)?;
    }
    for monitors in [config.fds.info, config.fds.json_status, config.fds.userns_block] {
        fds.drop_optional(monitors);
    }
    links.pass_gate()?;
    label_command(config, proc)?;

    // Who we are.
    let identity = Identity::of(config, host);
    let refused = |error: Error| error.hinted(hints::user_namespaces);
    let map_writer = identity.map(config, host, proc).map_err(refused)?;
    if config.namespaces.net == Want::Yes {
        loopback::set_up().map_err(refused)?;
    }
    if let Some(name) = &config.hostname {
        sethostname(OsStr::from_bytes(name.to_bytes())).at("Can't set hostname to", name)?;
    }

    // Gather.
    let old_umask = umask(Mode::empty());
    let (limit, files) = raise_open_files(config.ops.len())?;
    let cwd = working_directory();
    // From here on nothing that is mounted in the sandbox is seen outside. Where the mount namespace belongs to a new user namespace the
    // kernel has seen to that by itself, see mount_namespaces(7).
    if config.namespaces.user != Want::Yes {
        root::make_slave()?;
    }
    if config.file_label.is_some() {
        labels::set_file_label(proc, config.file_label)?;
    }
    let room = shelf::room(files);
    let gathered = Gatherer { config, proc, fds: &mut fds, tty: host.tty.as_deref(), room }.gather()?;
    let Gathered { base, items, scratch, shelf } = gathered;

    // Leave, for what the first option puts on `/`, or for an empty tmpfs.
    if config.namespaces.user != Want::Yes && may_chroot(config, host) {
        // The kernel makes no user namespace in a chroot.
        root::leave_chroot(proc)?;
    }
    let lenient = config.switches.not_a_security_boundary;
    let bare_root = host.caller.uid == 0 && !may_uncover(config, host, identity);
    let mut builder = Builder { root: Root::new(proc), proc, lenient, used: Vec::new(), scratch, shelf, room, bare_root };
    builder.start_with(base)?;

    // Build.
    for (index, (op, item)) in config.ops.iter().zip(items).enumerate() {
        let before = || config.ops.get(..index).unwrap_or_default();
        builder.build(op, item).map_err(|error| error.hinted(|errno| hints::read_only(before(), op, errno)))?;
    }
    if config.file_label.is_some() {
        labels::set_file_label(proc, None)?;
    }
    fds.open = builder.finish()?;
    restore_open_files(limit)?;

    // Become.
    identity.settle(config, proc, &mut fds, map_writer)?;
    // The last thing that leads to the host is closed while this process still has capabilities, which keep others from tracing it.
    // Later on, a working directory or a lock file that somebody has made a link to /proc/self/fd/N would be one.
    drop(old_proc);
    let caps = drop_caps(config, host)?;
    if config.dies_in_setup() {
        links.die_with_monitor()?;
    }
    if let Some(fd) = fds.take_optional(config.fds.block).context("Can't read block-fd")? {
        wait_for_byte(&fd).context("Can't read block-fd")?;
    }
    let filters = seccomp_filters(config, &mut fds)?;
    umask(old_umask);
    change_directory(config, cwd.as_deref())?;
    if config.switches.new_session {
        setsid().context("setsid")?;
    }
    config.landlock.restrict()?;
    become_command(settled, Command { filters, caps, root: host.caller.uid == 0 }, fds, links)
}

impl Links {
    /// Waits for the monitor's word to go on. Its end instead of its word means that it is gone, and so are we.
    fn pass_gate(&self) -> Result<()> {
        let Some(tether) = self.tether.as_ref().filter(|_| self.gate) else { return Ok(()) };
        launch::await_byte(tether, "Can't read from the monitor")
    }

    /// Makes this process, a child of the monitor's, die with it, which may have happened already.
    fn die_with_monitor(&self) -> Result<()> {
        set_death_signal()?;
        // The parent may be in another pid namespace, where getppid(2) shows nothing: its end of the pipe tells.
        let Some(tether) = &self.tether else { return Ok(()) };
        let mut ends = [PollFd::new(tether.as_fd(), PollFlags::empty())];
        match sys::uninterrupted(|| poll(&mut ends, PollTimeout::ZERO)).context("poll")? {
            0 => Ok(()),
            _ => Err(Error::reported()),
        }
    }
}

/// Which of two processes this is, after a clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The one that goes on.
    Continues,
    /// The one that has nothing more to do.
    Done,
}

/// setns(2) into a pid namespace is for children only, and a new pid namespace below it is made from inside: one or two more
/// clones, all of them the monitor's children.
fn enter_pid_namespace(config: &Config, fds: &mut Fds, number: i32) -> Result<Role> {
    fds.take(number).and_then(|fd| setns(fd, CloneFlags::CLONE_NEWPID)).context("Setting pidns failed")?;
    let below = if config.namespaces.pid == Want::Yes { Some(libc::CLONE_NEWPID) } else { None };
    for flags in [Some(0), below].into_iter().flatten() {
        if sys::clone_process(libc::CLONE_PARENT | flags).context("Can't fork for --pidns")?.is_some() {
            return Ok(Role::Done);
        }
    }
    Ok(Role::Continues)
}

/// Gives COMMAND its labels. They wait for the next exec, through a fork, so this may be done before anything is made: a label that is
/// refused leaves nothing behind, and /proc is not needed at the end.
fn label_command(config: &Config, proc: BorrowedFd<'_>) -> Result<()> {
    if let Some(label) = &config.exec_label {
        labels::set_exec_label(proc, label)?;
    }
    config.apparmor.map_or(Ok(()), |profile| profile.set(proc))
}

/// Raises the soft limit of open files, because every operation may need one until the end. The old limit is given back, and how many
/// files may be open now.
fn raise_open_files(operations: usize) -> Result<(Option<(rlim_t, rlim_t)>, rlim_t)> {
    /// fds of one operation at most: a `--dev` is nine mounts, all others have one.
    const PER_OPERATION: u64 = 10;
    const ELSE: u64 = 64;
    let needed = PER_OPERATION.saturating_mul(u64::try_from(operations).unwrap_or(u64::MAX)).saturating_add(ELSE);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("Can't get the limit of open files")?;
    if soft >= needed || soft >= hard {
        return Ok((None, soft));
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("Can't raise the limit of open files")?;
    Ok((Some((soft, hard)), hard))
}

fn restore_open_files(limit: Option<(rlim_t, rlim_t)>) -> Result<()> {
    let Some((soft, hard)) = limit else { return Ok(()) };
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).context("Can't restore the limit of open files")
}

/// The caller's working directory: as $PWD names it while that is true, else as the kernel does.
fn working_directory() -> Option<CString> {
    if let Some(logical) = sys::getenv(c"PWD").filter(|path| path.as_bytes().starts_with(b"/"))
        && let (Ok(here), Ok(there)) = (stat(c"."), stat(logical.as_c_str()))
        && (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
    {
        return Some(logical);
    }
    let physical = getcwd().ok()?;
    CString::new(physical.into_os_string().into_encoded_bytes()).ok()
}

/// The capabilities that COMMAND is to have.
fn requested_caps(config: &Config, host: &Host) -> u64 {
    let start = if host.caller.uid == 0 { host.caps } else { 0 };
    CapEdit::apply(&config.caps, start)
}

/// Whether COMMAND is in another user namespace than the caller.
fn has_own_userns(config: &Config) -> bool {
    config.namespaces.user == Want::Yes || config.fds.userns.is_some()
}

/// The capabilities that COMMAND gets: without a user namespace nobody can be given more than the caller has.
pub(crate) fn caps_of_command(config: &Config, host: &Host) -> u64 {
    requested_caps(config, host) & if has_own_userns(config) { u64::MAX } else { host.permitted }
}

/// Whether COMMAND may be able to change its root.
fn may_chroot(config: &Config, host: &Host) -> bool {
    let most = if config.caps.is_empty() { host.permitted } else { caps_of_command(config, host) };
    has_own_userns(config) || config.fds.userns2.is_some() || most & caps::SYS_CHROOT != 0
}

/// What is left of that once COMMAND is executed: who is not root in a user namespace keeps what was asked for by name, and nothing else.
/// Who one is in a namespace that others have made is not known before.
pub(crate) fn caps_after_exec(config: &Config, host: &Host) -> u64 {
    let joins_last = config.fds.userns2.is_some();
    let uid = config.uid.filter(|_| !joins_last);
    let is_root = host.caller.uid == 0 && uid.unwrap_or(if has_foreign_ids(config) { u32::MAX } else { host.caller.uid }) == 0;
    let is_hosts = !has_own_userns(config) && !joins_last;
    if is_root || is_hosts || !config.caps.is_empty() { caps_of_command(config, host) } else { 0 }
}

/// Whether COMMAND may take mounts of ours away: by a capability that it still has once it is executed, in the user namespace that the
/// mounts belong to, and not in one below.
fn may_uncover(config: &Config, host: &Host, identity: Identity) -> bool {
    let is_below = identity.is_nested() || config.fds.userns2.is_some();
    !is_below && caps_after_exec(config, host) & caps::SYS_ADMIN != 0
}

/// Comes down to what COMMAND is allowed, and to what PID 1 needs.
fn drop_caps(config: &Config, host: &Host) -> Result<Caps> {
    let wanted = caps_of_command(config, host);
    if has_own_userns(config) {
        caps::limit_bounding_set(wanted)?;
    }
    // Root that asks for nothing keeps what it has, and what exec makes of it. Its processes stay closed to others until they execute
    // something, and need no guard.
    let is_root = host.caller.uid == 0;
    let mut guard = 0;
    if !is_root || !config.caps.is_empty() {
        if config.has_init() && !is_root {
            guard = caps::guard(wanted)?;
        }
        caps::become_set(wanted, guard)?;
    }
    if !is_root {
        caps::become_dumpable()?;
    } else if has_own_userns(config) || config.fds.userns2.is_some() {
        // Root's has been so from the start, but where the host's fs.suid_dumpable is 1 a change of credentials has opened it.
        caps::become_undumpable()?;
    }
    Ok(Caps { wanted, guard })
}

/// Whether PID 1 may do what COMMAND must not. Who could trace it, as COMMAND can with some capabilities, would have it done there.
fn leaves_first_free(config: &Config) -> bool {
    !config.limits.is_empty() || config.apparmor.is_some() || config.filters.iter().any(|filter| !filter.own)
}

/// COMMAND's filters, with the program of `--seccomp`, which is read only now.
fn seccomp_filters(config: &Config, fds: &mut Fds) -> Result<Vec<Filter>> {
    let mut filters = config.filters.clone();
    if let Some(fd) = fds.take_optional(config.fds.seccomp).context("Can't read seccomp data")? {
        filters.insert(0, Filter::own(seccomp::read(fd.as_raw_fd())?));
        filters = seccomp::arrange(filters)?;
    }
    seccomp::check_own(&filters)?;
    Ok(filters)
}

/// Goes where COMMAND starts, and says so in PWD.
fn change_directory(config: &Config, cwd: Option<&CStr>) -> Result<()> {
    if let Some(dir) = config.chdir {
        chdir(dir).at("Can't chdir to", dir)?;
        return sys::setenv(c"PWD", dir).context("setenv failed");
    }
    let home = sys::getenv(c"HOME");
    let dir = [cwd, home.as_deref()].into_iter().flatten().find(|dir| chdir(*dir).is_ok());
    if dir.is_none() {
        chdir(c"/").context("Can't chdir to /")?;
    }
    sys::setenv(c"PWD", dir.unwrap_or(c"/")).context("setenv failed")
}

/// What the last steps need.
struct Command {
    /// The filters, installed last.
    filters: Vec<Filter>,
    /// What is left to come down from.
    caps: Caps,
    /// Whether root called.
    root: bool,
}

/// The last steps: PID 1 if there is one, filters, exec.
fn become_command(config: Box<Config>, command: Command, mut fds: Fds, mut links: Links) -> Result<i32> {
    let numbers: BTreeSet<_> = config.fds.sync.iter().copied().collect();
    let sync = numbers.into_iter().map(|number| fds.take(number).context("Can't keep sync-fd"));
    let sync = sync.collect::<Result<Vec<_>>>()?;
    let Some(report) = links.report.take() else {
        survive_monitor(&config)?;
        keep_open(sync)?;
        return exec(config, command, fds, links);
    };
    let locks = init::take_locks(&config.lock_files)?;
    survive_monitor(&config)?;
    let is_closed = leaves_first_free(&config);
    if is_closed {
        caps::become_undumpable()?;
    }
    let first = getpid();
    let forked = sys::clone_process(0).map_err(|errno| fork_failure("Can't fork for pid 1", errno, &config.cgroup));
    if let Some(pid) = forked? {
        let dropped = caps::drop_all_but(command.caps.guard, command.root);
        // What is meant for COMMAND would keep PID 1 from its work.
        let own: Vec<_> = command.filters.into_iter().filter(|filter| filter.own).collect();
        let init = Init { report, sync, locks };
        // Every fd that is not PID 1's is closed by its number.
        let open = fds.open.take();
        std::mem::forget((fds, links));
        init.close_others(open);
        drop(config);
        sys::trim_heap();
        sys::trim_code();
        sys::ignore_signal(libc::SIGPIPE);
        dropped.and_then(|()| seccomp::install(&own)).inspect_err(|_| {
            // COMMAND is there already, and must not go on beside a PID 1 that failed.
            _ = kill(pid, Signal::SIGKILL);
            _ = waitpid(pid, None);
        })?;
        return init.run(pid);
    }
    drop((report, sync, locks));
    command.caps.drop_guard()?;
    if is_closed && !command.root {
        caps::become_dumpable()?;
    }
    if config.switches.die_with_parent {
        die_with(first)?;
    }
    exec(config, command, fds, links)
}

/// Where the monitor's end was watched for during the set-up alone: from here on COMMAND waits for it and notices its end.
fn survive_monitor(config: &Config) -> Result<()> {
    let for_setup = config.dies_in_setup() && !config.switches.die_with_parent;
    if for_setup { launch::clear_death_signal() } else { Ok(()) }
}

/// fds that COMMAND inherits.
fn keep_open(fds: Vec<OwnedFd>) -> Result<()> {
    for fd in fds {
        let flags = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty());
        nix::fcntl::fcntl(&fd, flags).context("Can't keep sync-fd")?;
        std::mem::forget(fd);
    }
    Ok(())
}

/// Executes COMMAND.
fn exec(config: Box<Config>, command: Command, fds: Fds, links: Links) -> Result<i32> {
    if let Some(link) = &links.signals {
        signals::introduce(link)?;
    }
    // Only here, so that neither PID 1 nor the steps before are held to what is meant for COMMAND.
    config.limits.iter().try_for_each(|limit| limit.set())?;
    let Some(file) = config.command.first() else { return Err(Error::usage()) };
    let mut argv = config.command.clone();
    if let (Some(name), Some(first)) = (&config.argv0, argv.first_mut()) {
        first.clone_from(name);
    }
    if command.filters.iter().any(|filter| !filter.own) {
        elf::refuse_foreign(file)?;
    }
    // Once there are filters, nothing but the exec may be tried, and that includes the memory that it takes.
    let arguments = sys::Arguments::of(&argv);
    let failure = join("execvp", file);
    let unfiltered = command.filters.is_empty();
    let hint = if unfiltered || !wants_hints() { None } else { hints::program(file) };
    let tell = |is_executed| links.executed.iter().for_each(|flag| flag.store(is_executed, Ordering::Release));
    let installed = seccomp::install(&command.filters);
    let error = installed.err().unwrap_or_else(|| {
        tell(true);
        let errno = sys::execvp(file, &arguments);
        tell(false);
        let error = Error::os(failure, errno);
        match errno {
            Errno::ENOENT if unfiltered => error.hinted(|_| hints::program(file)),
            Errno::ENOENT => error.with_hint(hint),
            _ => error,
        }
    });
    // The filters may refuse to close anything and to give memory back, or kill for it, and the error is still to be told. All of it ends
    // with the process.
    std::mem::forget((config, command, fds, links, argv, arguments));
    Err(error)
}
