//! [`enter`]: everything between the clone and `execvp`, in order.
//!
//! Gather, leave, build, become: what comes from the host is taken while host paths still mean what
//! the caller meant; then the host is gone, before the first destination is looked at; then the
//! sandbox's tree is built; then the process becomes COMMAND.

pub(crate) mod build;
pub(crate) mod command;
pub(crate) mod follow;
pub(crate) mod gather;
pub(crate) mod identity;
pub(crate) mod init;
pub(crate) mod introduce;
pub(crate) mod leave;
pub(crate) mod mask;
pub(crate) mod procfs;
pub(crate) mod root;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod shelf;
pub(crate) mod tar;
pub(crate) mod tree;

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{sethostname, setsid};

use crate::config::settle::Settled;
use crate::config::{Config, Use, Want};
use crate::confine::cgroup::leaf;
use crate::confine::selinux;
use crate::error::{Context, Error, Result, join};
use crate::explain::hints;
use crate::fds::Inherited;
use crate::kernel::loopback;
use crate::kernel::process::set_death_signal;
use crate::kernel::sys::{self, End};
use crate::links::{Ends, wait_for_byte};
use crate::report::Step;
use crate::sandbox::build::Builder;
use crate::sandbox::command::{
    Command, become_command, change_directory, drop_caps, seccomp_filters, working_directory,
};
use crate::sandbox::follow::Follow;
use crate::sandbox::gather::{Gathered, Gatherer};
use crate::sandbox::root::Root;

/// Sets the sandbox up around this process and becomes COMMAND. What returns an exit status is a
/// process that did not: PID 1 at its end, or one that led into another pid namespace.
pub(crate) fn enter(
    settled: Box<Settled>,
    old_proc: OwnedFd,
    mut fds: Inherited,
    mut links: Ends,
    entrance: Option<OwnedFd>,
) -> Result<i32> {
    let (config, proc) = (settled.as_ref(), old_proc.as_fd());
    let is_root = config.host.caller.uid == 0;
    if let Some(pidns) = config.fds.pidns
        && enter_pid_namespace(config, &mut fds, pidns)? == Role::Done
    {
        return Ok(0);
    }
    Step::ControlGroup.begin();
    leaf::join_group(entrance, config.has_own_cgroup_root())?;
    Step::Namespaces.begin();
    if config.dies_in_setup() {
        // Some of the following steps clear it. Until then it protects the set-up, and at the end
        // it is set once more.
        set_death_signal()?;
    }
    if let Some(socket) = links.pid.take() {
        introduce::show(config, proc, &socket)?;
    }
    for monitors in config.fds.each().into_iter().filter(|option| option.moment == Use::Monitor) {
        drop(fds.take(monitors.fd));
    }
    if config.has_gate() {
        links.pass_gate()?;
    }
    label_command(config, proc)?;

    // Who we are.
    let refused = |error: Error| error.hinted(|errno| hints::ids(config, errno));
    Step::Ids.begin();
    let map_writer = identity::map(config, proc).map_err(refused)?;
    Step::Network.begin();
    if config.namespaces.net == Want::Yes {
        let refused = |error: Error| error.hinted(|errno| hints::loopback(config, errno));
        loopback::set_up().map_err(refused).map_err(|error| error.of("--unshare-net"))?;
    }
    set_host_name(config)?;

    // Gather.
    Step::Sources.begin();
    let old_umask = umask(Mode::empty());
    let (limit, files) = raise_open_files(config.ops.len())?;
    let cwd = working_directory();
    // From here on, mounts in the sandbox do not propagate to the host. In a mount namespace that a
    // new user namespace owns, the kernel ensures that itself, see mount_namespaces(7).
    if config.namespaces.user != Want::Yes {
        leave::make_slave().map_err(|error| error.hinted(hints::chroot))?;
    }
    if config.file_label.is_some() {
        selinux::set_file_label(proc, config.file_label)?;
    }
    let room = shelf::room(files);
    let gathered =
        Gatherer { config, proc, fds: &mut fds, tty: config.host.tty.as_deref(), room }.gather()?;
    let Gathered { base, is_bound, steps, scratch, covers, shelf } = gathered;

    // Leave the old root, for what the first option binds to `/`, or for an empty tmpfs.
    if config.namespaces.user != Want::Yes && config.privileges.may_chroot {
        // The kernel does not create user namespaces for a process in a chroot.
        leave::leave_chroot(proc)?;
    }
    Step::FileSystem.begin();
    let bare_root = is_root && !config.may_uncover();
    let mut builder = Builder {
        root: Root::new(proc),
        proc,
        lenient: config.switches.not_a_security_boundary,
        used: Vec::new(),
        scratch,
        covers,
        shelf,
        room,
        bare_root,
        nested: config.id_layers.as_ref().and_then(|layers| layers.nested.as_ref()),
        unpacked: Vec::new(),
        follow: Follow::new(config.follow_from.is_some()),
    };
    builder.start_with(base, is_bound)?;

    // Build.
    build_all(config, &mut builder, steps)?;
    if config.file_label.is_some() {
        selinux::set_file_label(proc, None)?;
    }
    fds.open = builder.finish()?;
    restore_open_files(limit)?;

    // Become.
    Step::Ids.begin();
    identity::nest(config, proc, &mut fds, map_writer).map_err(refused)?;
    // The last thing that leads to the host is closed while this process still has capabilities,
    // which keep others from tracing it. Later on, a working directory or a lock file that somebody
    // has made a link to /proc/self/fd/N would be one.
    links.keep_mounts(proc)?;
    drop(old_proc);
    let caps = drop_caps(config)?;
    if config.dies_in_setup() {
        links.die_with_monitor()?;
    }
    wait_for_caller(config, &mut fds).map_err(|error| error.of("--block-fd"))?;
    let filters = seccomp_filters(config, &mut fds)?;
    umask(old_umask);
    change_directory(config, cwd.as_deref())?;
    Step::Processes.begin();
    if config.switches.new_session {
        setsid().context("setsid")?;
    }
    Step::Confinement.begin();
    config.landlock.restrict()?;
    Step::Processes.begin();
    become_command(settled, Command { filters, caps }, fds, links)
}

/// Does what is left of all operations, in their order.
fn build_all(
    config: &Config,
    builder: &mut Builder<'_>,
    mut steps: Vec<Option<tree::Step>>,
) -> Result<()> {
    for (index, op) in config.ops.iter().enumerate() {
        let Some(step) = steps.get_mut(index).and_then(Option::take) else { continue };
        builder
            .build(op, config.follows_at(index), step)
            .map_err(|error| about_operation(config, index, error))?;
        builder
            .build_run(steps.get_mut(index + 1..).unwrap_or_default())
            .map_err(|(done, error)| about_operation(config, index + 1 + done, error))?;
    }
    Ok(())
}

/// The error for an operation that could not be built.
fn about_operation(config: &Config, index: usize, error: Error) -> Error {
    let Some(op) = config.ops.get(index) else { return error };
    let before = || config.ops.get(..index).unwrap_or_default();
    let error = error.hinted(|errno| hints::place(before(), op, errno));
    error.of(op.option()).with_path(op.dest())
}

/// `--hostname`
fn set_host_name(config: &Config) -> Result<()> {
    let Some(name) = config.hostname else { return Ok(()) };
    sethostname(OsStr::from_bytes(name.to_bytes()))
        .map_err(|errno| Error::os(join("Can't set hostname to", name), errno).of("--hostname"))
}

/// `--block-fd`
fn wait_for_caller(config: &Config, fds: &mut Inherited) -> Result<()> {
    Step::Processes.begin();
    if let Some(fd) = fds.take_optional(config.fds.block).context("Can't read block-fd")? {
        wait_for_byte(&fd).context("Can't read block-fd")?;
    }
    Ok(())
}

/// Which of two processes this is, after a clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The one that continues.
    Continues,
    /// The one that has nothing more to do.
    Done,
}

/// setns(2) into a pid namespace is for children only, and a new pid namespace below it is made
/// from inside: one or two more clones, all of them the monitor's children.
fn enter_pid_namespace(config: &Config, fds: &mut Inherited, number: i32) -> Result<Role> {
    fds.take(number)
        .and_then(|fd| setns(fd, CloneFlags::CLONE_NEWPID))
        .context("Setting pidns failed")
        .map_err(|error| error.of("--pidns"))?;
    let below = if config.namespaces.pid == Want::Yes { Some(libc::CLONE_NEWPID) } else { None };
    for flags in [Some(0), below].into_iter().flatten() {
        if sys::clone_process(libc::CLONE_PARENT | flags, End::Ours)
            .context("Can't fork for --pidns")?
            .is_some()
        {
            return Ok(Role::Done);
        }
    }
    Ok(Role::Continues)
}

/// Gives COMMAND its labels. They wait for the next exec, through a fork, so this may be done
/// before anything is made: a label that is refused leaves nothing behind, and /proc is not needed
/// at the end.
fn label_command(config: &Config, proc: BorrowedFd<'_>) -> Result<()> {
    Step::Confinement.begin();
    if let Some(label) = &config.exec_label {
        selinux::set_exec_label(proc, label)?;
    }
    config.apparmor.map_or(Ok(()), |profile| profile.set(proc))
}

/// Raises the soft limit of open files, because every operation may need one until the end. The old
/// limit is given back, and how many files may be open now.
fn raise_open_files(operations: usize) -> Result<(Option<(rlim_t, rlim_t)>, rlim_t)> {
    /// fds of one operation at most: a `--dev` is nine mounts, all others have one.
    const PER_OPERATION: u64 = 10;
    const ELSE: u64 = 64;
    let needed = PER_OPERATION
        .saturating_mul(u64::try_from(operations).unwrap_or(u64::MAX))
        .saturating_add(ELSE);
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).context("Can't get the limit of open files")?;
    if soft >= needed || soft >= hard {
        return Ok((None, soft));
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .context("Can't raise the limit of open files")?;
    Ok((Some((soft, hard)), hard))
}

fn restore_open_files(limit: Option<(rlim_t, rlim_t)>) -> Result<()> {
    let Some((soft, hard)) = limit else { return Ok(()) };
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).context("Can't restore the limit of open files")
}
