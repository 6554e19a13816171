//! The parent, before and after the clone: what may start at all, which namespaces, whose id maps,
//! and who waits for whom.

pub(crate) mod clone;
pub(crate) mod monitor;
pub(crate) mod network;
pub(crate) mod status;
pub(crate) mod watch;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::config::settle::Settled;
use crate::config::{Config, EnvEdit};
use crate::confine::apparmor;
use crate::confine::cgroup::leaf::Leaf;
use crate::error::{self, Context, Error, Result};
use crate::explain::check;
use crate::explain::hints;
use crate::explain::notes;
use crate::explain::plan::Plan;
use crate::explain::render;
use crate::fds::{Inherited, beyond_standard};
use crate::host::{Host, terminal, userns_offered};
use crate::kernel::process::{die_with, hold_parent};
use crate::kernel::sys;
use crate::kernel::{environment, files};
use crate::launch::clone::clone_sandbox;
use crate::launch::network::join_namespaces;
use crate::launch::watch::{Given, first_failure, watch};
use crate::links::Ends;
use crate::record;
use crate::record::learn::places::Places;
use crate::report::{self, Step};
use crate::sandbox;

/// Sets the sandbox up and runs COMMAND in it; the result is the exit status.
pub(crate) fn launch(config: Box<Config>, host: Host, mut fds: Inherited) -> Result<i32> {
    let Prepared { config, proc, places, caller, colour } = prepare(config, host, &mut fds)?;
    if config.is_dry() {
        return show(&config, proc.as_fd(), &mut fds, (caller, colour));
    }
    run(config, proc, fds, places)
}

/// What is known before anything is made.
struct Prepared {
    config: Box<Settled>,
    /// The host's /proc.
    proc: OwnedFd,
    /// With an option that records.
    places: Option<Places>,
    /// With `--dry-run` or `--dry-run-json`.
    caller: notes::Caller,
    /// Whether `--dry-run` is in colour.
    colour: bool,
}

/// Looks at what is asked for and who asks. This comes to its end before the sandbox is made: what
/// it has had on the stack is not below what the processes that stay write to.
#[inline(never)]
fn prepare(config: Box<Config>, mut host: Host, fds: &mut Inherited) -> Result<Prepared> {
    let config = config.check(host.caller, userns_offered)?;
    Step::System.begin();
    if !config.is_dry() {
        config.landlock.check()?;
    }
    config.warn_of_profiles();
    let caller = config.is_dry().then(notes::Caller::now).unwrap_or_default();
    // Read from the caller's environment, before it becomes COMMAND's.
    let colour = config.switches.dry_run && render::wants_colour();
    let places = (config.records() && !config.is_dry()).then(Places::of_environment);
    edit_environment(&config.environment);
    fds.claim_all(&config);
    let proc = openat(AT_FDCWD, c"/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    let proc = proc.and_then(beyond_standard).context("Can't open /proc")?;
    if config.apparmor.is_some() && !config.is_dry() {
        apparmor::check(proc.as_fd()).map_err(|error| error.of("--apparmor"))?;
    }
    host.tty = terminal();
    if host.tty.is_some() || error::expects_hints() {
        host.command = config.command.first().and_then(|file| hints::on_host(file));
    }
    Step::Policies.begin();
    let config = Box::new(Settled::new(config, host)?);
    Ok(Prepared { config, proc, places, caller, colour })
}

/// `--dry-run` and `--dry-run-json`
#[cold]
fn show(
    config: &Settled,
    proc: BorrowedFd<'_>,
    fds: &mut Inherited,
    (caller, colour): (notes::Caller, bool),
) -> Result<i32> {
    Step::Plan.begin();
    let mut plan = Plan::of(config);
    let planned = check::check(&mut plan, config, proc);
    notes::add(&mut plan, config, &planned, &caller);
    show_plan(&plan, config, fds, colour)
}

/// Makes the sandbox, and waits for COMMAND's end. `places` is there if what it uses is recorded.
fn run(
    mut config: Box<Settled>,
    proc: OwnedFd,
    mut fds: Inherited,
    places: Option<Places>,
) -> Result<i32> {
    Step::System.begin();
    let plan = places.map(|places| record::plan::Plan::new(&config, places, proc.as_fd()));
    let plan = plan.transpose()?;
    // If the caller ignored SIGCHLD, wait(2) would find no children. COMMAND expects the signal to
    // be unblocked.
    sys::default_signal(libc::SIGCHLD);

    Step::ControlGroup.begin();
    let leaf = Leaf::make(&config.cgroup, proc.as_fd(), config.host.caller, config.moves());
    let mut leaf = leaf.map_err(|error| error.of("--cgroup"))?;
    Step::Namespaces.begin();
    let (outer, inner) = Ends::pair(config.links(), || {
        let dies = config.switches.die_with_parent;
        fds.parent = if dies { hold_parent(config.host.parent)? } else { None };
        Ok(())
    })?;
    let ends_of_children = SigSet::from(Signal::SIGCHLD);
    if fds.parent.is_some() && config.has_first_process() {
        // PID 1 waits for SIGCHLD with a signalfd. COMMAND's process unblocks the signal again.
        ends_of_children.thread_block().context("sigprocmask")?;
    } else {
        ends_of_children.thread_unblock().context("sigprocmask")?;
    }
    let dies_with = config.switches.die_with_parent.then_some(config.host.parent);
    let cloned = make_namespaces(&mut config, &mut fds, proc.as_fd(), leaf.as_mut());
    let last_words = |error| if has_parent(dies_with) { error } else { Error::reported() };
    let Some(child) = cloned.map_err(last_words)? else {
        drop((outer, plan));
        let entrance = leaf.and_then(Leaf::hand_over);
        return sandbox::enter(config, proc, fds, inner, entrance);
    };
    drop(inner);
    Step::Monitor.begin();
    let mut last = child;
    let given = Given { proc, fds, outer, leaf: leaf.as_ref(), plan };
    watch(config, given, &mut last).or_else(|error| give_up(error, [child, last], dies_with))
}

/// Joins namespaces and makes the others. `None` in the child.
fn make_namespaces(
    config: &mut Settled,
    fds: &mut Inherited,
    proc: BorrowedFd<'_>,
    leaf: Option<&mut Leaf>,
) -> Result<Option<Pid>> {
    join_namespaces(config, fds)?;
    if config.around.is_some() && leaf.as_ref().is_some_and(|leaf| leaf.caps() != 0) {
        return Err(Error::new(
            "--netns leads into a user namespace from which the control group could not be removed",
        ));
    }
    clone_sandbox(config, proc, leaf)
}

/// Has the parent's end be that of a process which has failed and watches nothing any more: whoever
/// should read of the failure may not do so. The result is whether the parent is still there.
fn has_parent(dies_with: Option<Pid>) -> bool {
    dies_with.is_none_or(|parent| die_with(parent).is_ok())
}

/// The end of a parent whose sandbox has failed; the result is the exit status.
fn give_up(error: Error, children: [Pid; 2], dies_with: Option<Pid>) -> Result<i32> {
    let has_parent = has_parent(dies_with);
    if has_parent && error.is_reported() {
        return Ok(first_failure());
    }
    // Either COMMAND has not started yet, or the sandbox must not outlive its parent.
    for pid in children {
        _ = kill(pid, Signal::SIGKILL);
    }
    for pid in children {
        _ = sys::wait_for(pid);
    }
    Err(if has_parent { error } else { Error::reported() })
}

/// Says what would be done. The status says whether it could be.
fn show_plan(plan: &Plan<'_>, config: &Settled, fds: &mut Inherited, colour: bool) -> Result<i32> {
    if let Some(fd) = fds.take_optional(config.fds.dry_run_json).context("Can't write the plan")? {
        let mut text = serde_json::to_vec_pretty(plan)
            .map_err(|error| Error::new(format!("Can't write the plan: {error}")))?;
        text.push(b'\n');
        files::write_all(fd.as_fd(), &text).context("Can't write the plan")?;
    }
    if config.switches.dry_run {
        let text = render::render(plan, colour);
        files::write_all(std::io::stdout().as_fd(), text.as_bytes())
            .context("Can't write the plan")?;
    }
    Ok(if plan.starts() { 0 } else { report::status() })
}

/// Applies the environment's edits to our own, in order.
fn edit_environment(edits: &[EnvEdit]) {
    for edit in edits {
        match edit {
            EnvEdit::Clear => environment::clear(),
            EnvEdit::Set(name, value) => environment::set(name, value),
            EnvEdit::Unset(name) => environment::unset(name),
        }
    }
}
