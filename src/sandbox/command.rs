//! The last steps: capabilities, filters, the working directory, PID 1 if there is one, and exec.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::stat::stat;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, chdir, getcwd, getpid};

use crate::config::Config;
use crate::config::settle::Settled;
use crate::confine::caps::{self, Caps};
use crate::confine::cgroup::fork_failure;
use crate::confine::seccomp::elf;
use crate::confine::seccomp::{self, Filter};
use crate::error::{Context, Error, Result, join, wants_hints};
use crate::explain::command::refused;
use crate::fds::Inherited;
use crate::kernel::environment;
use crate::kernel::process::{
    self, become_dumpable, become_undumpable, die_with, set_death_signal,
};
use crate::kernel::program::Program;
use crate::kernel::sys::{self, End};
use crate::links::Ends;
use crate::links::signals;
use crate::record::handover::Ready;
use crate::report::{self, Step};
use crate::sandbox::init::{self, Init};

/// What is said if COMMAND's execution waited for a recorder that is gone.
const UNANSWERED: &str = "Can't record: there is nobody left to answer COMMAND's system calls";

/// The caller's working directory: as $PWD names it while that is true, else as the kernel does.
pub(crate) fn working_directory() -> Option<CString> {
    if let Some(logical) = environment::get(c"PWD").filter(|path| path.to_bytes().starts_with(b"/"))
        && let (Ok(here), Ok(there)) = (stat(c"."), stat(logical))
        && (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
    {
        return Some(logical.to_owned());
    }
    let physical = getcwd().ok()?;
    CString::new(physical.into_os_string().into_encoded_bytes()).ok()
}

/// Comes down to what COMMAND is allowed, and to what PID 1 needs.
pub(crate) fn drop_caps(config: &Settled) -> Result<Caps> {
    Step::Privileges.begin();
    let wanted = config.privileges.given;
    if config.privileges.own_userns {
        caps::limit_bounding_set(wanted)?;
    }
    // If root does not ask for capabilities, it keeps its own, and exec decides what becomes of
    // them. Its processes stay undumpable until they execute something, and need no guard.
    let is_root = config.host.caller.uid == 0;
    let mut guard = 0;
    if !is_root || !config.caps.is_empty() {
        if config.has_init() && !is_root {
            guard = caps::guard(wanted)?;
        }
        caps::become_set(wanted, guard)?;
    }
    if !is_root {
        become_dumpable()?;
    } else if config.privileges.own_userns || config.fds.userns2.is_some() {
        // Root's processes have been undumpable from the start, but if the host's fs.suid_dumpable
        // is 1, a change of credentials has undone that.
        become_undumpable()?;
    }
    Ok(Caps { wanted, guard })
}

/// Whether PID 1 may do what COMMAND must not. Who could trace it, as COMMAND can with some
/// capabilities, would have it done there.
fn leaves_first_free(config: &Settled) -> bool {
    let meant = config.filters.iter().any(|filter| !filter.own);
    meant || !config.limits.is_empty() || config.apparmor.is_some()
}

/// COMMAND's filters, with the program of `--seccomp`, which is read only now.
pub(crate) fn seccomp_filters(config: &Settled, fds: &mut Inherited) -> Result<Vec<Filter>> {
    Step::Confinement.begin();
    let mut filters = config.filters.clone();
    if let Some(fd) = fds.take_optional(config.fds.seccomp).context("Can't read seccomp data")? {
        filters.insert(0, Filter::own(seccomp::read(fd.as_fd())?));
        filters = seccomp::arrange(filters)?;
    }
    seccomp::check_own(&filters)?;
    Ok(filters)
}

/// Goes where COMMAND starts, and says so in PWD.
pub(crate) fn change_directory(config: &Config, cwd: Option<&CStr>) -> Result<()> {
    Step::Directory.begin();
    if let Some(dir) = config.chdir {
        chdir(dir).at("Can't chdir to", dir).map_err(|error| error.of("--chdir"))?;
        environment::set(c"PWD", dir);
        return Ok(());
    }
    let home = environment::get(c"HOME");
    let dir = [cwd, home].into_iter().flatten().find(|dir| chdir(*dir).is_ok());
    if dir.is_none() {
        chdir(c"/").context("Can't chdir to /")?;
    }
    environment::set(c"PWD", dir.unwrap_or(c"/"));
    Ok(())
}

/// What the last steps need.
pub(crate) struct Command {
    /// The filters, installed last.
    pub(crate) filters: Vec<Filter>,
    /// What is left to come down from.
    pub(crate) caps: Caps,
}

/// The last steps: PID 1 if there is one, filters, exec.
pub(crate) fn become_command(
    config: Box<Settled>,
    command: Command,
    mut fds: Inherited,
    mut links: Ends,
) -> Result<i32> {
    let numbers: BTreeSet<_> = config.fds.sync.iter().copied().collect();
    let sync = numbers.into_iter().map(|number| fds.take(number).context("Can't keep sync-fd"));
    let sync = sync.collect::<Result<Vec<_>>>()?;
    let Some(report) = links.report.take() else {
        survive_monitor(&config)?;
        keep_open(sync)?;
        return exec(config, command, fds, links);
    };
    let locks = init::take_locks(&config.lock_files).map_err(|error| error.of("--lock-file"))?;
    survive_monitor(&config)?;
    let is_closed = leaves_first_free(&config);
    if is_closed {
        become_undumpable()?;
    }
    let is_root = config.host.caller.uid == 0;
    let first = getpid();
    let forked = sys::clone_process(0, End::Usual)
        .map_err(|errno| fork_failure("Can't fork for pid 1", errno, &config.cgroup));
    if let Some(pid) = forked? {
        let dropped = caps::drop_all_but(command.caps.guard, is_root);
        // Filters that are meant for COMMAND would keep PID 1 from its work.
        let own: Vec<_> = command.filters.into_iter().filter(|filter| filter.own).collect();
        let parent = fds.parent.take();
        let watches = config.has_first_process() && seccomp::allows_watching(&own);
        // PID 1 keeps its end of the report until it ends: as soon as that is closed, the monitor
        // may kill the sandbox, with a failure not yet reported.
        let init = Init { report, sync, locks, parent: parent.filter(|_| watches) };
        let init = ManuallyDrop::new(init);
        // All fds that PID 1 does not need are closed by number.
        let open = fds.open.take();
        let lost = links.lost;
        std::mem::forget((fds, links));
        init.close_others(open);
        drop(config);
        let result = lead(init, &own, dropped, pid);
        // Before PID 1 ends, and COMMAND with it: it may be about to be executed, or about to say
        // that it could not be.
        if let (Err(_), Some(lost)) = (&result, lost) {
            lost.store(true, Ordering::Release);
        }
        return result;
    }
    drop((report, sync, locks));
    command.caps.drop_guard()?;
    if is_closed && !is_root {
        become_dumpable()?;
    }
    if config.has_first_process() && fds.parent.is_some() {
        // COMMAND dies with PID 1 anyway, and expects SIGCHLD to be unblocked.
        set_death_signal()?;
        SigSet::from(Signal::SIGCHLD).thread_unblock().context("sigprocmask")?;
    } else if config.dies_with_monitor() {
        die_with(first)?;
    }
    exec(config, command, fds, links)
}

/// PID 1, once COMMAND's process is there: takes on the caller's own filters, and waits.
fn lead(
    init: ManuallyDrop<Init>,
    own: &[Filter],
    dropped: Result<()>,
    command: Pid,
) -> Result<i32> {
    sys::ignore_signal(libc::SIGPIPE);
    if seccomp::refuses_close(own) {
        report::done();
    }
    let children = dropped.and_then(|()| init.children());
    let children = children.and_then(|children| seccomp::install(own).map(|()| children));
    let children = children.inspect_err(|_| {
        // COMMAND's process exists already, and must not continue when PID 1 has failed.
        _ = kill(command, Signal::SIGKILL);
        _ = waitpid(command, None);
    })?;
    report::done();
    ManuallyDrop::into_inner(init).run(command, children)
}

/// Where the monitor's end was watched for during the set-up alone: from here on COMMAND waits for
/// it and notices its end.
fn survive_monitor(config: &Config) -> Result<()> {
    let for_setup = config.dies_in_setup() && !config.dies_with_monitor();
    if for_setup { process::clear_death_signal() } else { Ok(()) }
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
fn exec(config: Box<Settled>, command: Command, fds: Inherited, mut links: Ends) -> Result<i32> {
    if let Some(link) = &links.signals {
        signals::introduce(link)?;
    }
    // Set only here, because the limits are meant for COMMAND, not for PID 1 or the set-up.
    Step::Confinement.begin();
    let limited = config.limits.iter().try_for_each(|limit| limit.set());
    limited.map_err(|error| error.of("--rlimit"))?;
    Step::Command.begin();
    let Some(file) = config.command.first() else { return Err(Error::usage()) };
    let mut argv = config.command.clone();
    if let (Some(name), Some(first)) = (&config.argv0, argv.first_mut()) {
        first.clone_from(name);
    }
    if command.filters.iter().any(|filter| !filter.own) {
        elf::refuse_foreign(file)?;
    }
    // Once filters are installed, nothing but execve(2) may be called, so all memory that it needs
    // is allocated before.
    let mut program = Program::new(file, &argv);
    let failed = Error::os(join("execvp", file), Errno::ENOENT).with_path(file);
    let unfiltered = command.filters.is_empty();
    let why = |errno| refused(file, &config.ops, config.host.command.as_deref(), errno);
    let [missing, forbidden] = if unfiltered || !wants_hints() {
        [None, None]
    } else {
        [why(Errno::ENOENT), why(Errno::EACCES)]
    };
    let tell = |is_executed| {
        links.executed.iter().for_each(|flag| flag.store(is_executed, Ordering::Release));
    };
    if !unfiltered {
        report::expect_filters();
    }
    let every = config.record.seccomp.is_some();
    let recorder = links.recorder.take();
    let recorder =
        recorder.map(|end| Ready::new(end, file, every, &config.explained)).transpose()?;
    let mut unanswered = recorder.as_ref().map(|_| Error::new(UNANSWERED));
    // The recorder's filter is installed before the others, which may refuse seccomp(2). What they
    // refuse stays refused.
    recorder.map_or(Ok(()), Ready::hand_over)?;
    let installed = seccomp::install(&command.filters);
    let error = installed.err().unwrap_or_else(|| {
        tell(true);
        let errno = program.execute();
        tell(false);
        let error = failed.because(errno);
        match errno {
            Errno::ENOSYS if unanswered.is_some() => unanswered.take().unwrap_or(error),
            _ if unfiltered => error.hinted(|_| why(errno)),
            Errno::ENOENT => error.with_hint(missing),
            Errno::EACCES => error.with_hint(forbidden),
            _ => error,
        }
    });
    // The filters may refuse close(2) and munmap(2), or kill the process for them, before the error
    // is reported. So nothing is dropped; all of it ends with the process.
    std::mem::forget((config, command, fds, links, argv, program, unanswered));
    Err(error)
}
