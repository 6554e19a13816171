//! `--dry-run` as a checker: whether the sandbox could start, as far as that can be told without
//! doing anything. Nothing is read from fds, FIFOs or sockets; the only contents looked at are the
//! first bytes of COMMAND and of its interpreters.

use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use nix::unistd::getcwd;

use crate::config::settle::Settled;
use crate::config::{FdOption, Use, Want};
use crate::confine::cgroup::place;
use crate::confine::{apparmor, caps};
use crate::error::Error;
use crate::explain::command::{forbidden, lacks, not_in_path};
use crate::explain::hints;
use crate::explain::inside::{Node, walk};
use crate::explain::plan::{Entry, Part, Plan, Problem};
use crate::explain::planned::Planned;
use crate::kernel::program::places;
use crate::kernel::sys;

/// Adds to a plan what would fail. The result is the sandbox that it describes.
pub(crate) fn check(plan: &mut Plan<'_>, config: &Settled, proc: BorrowedFd<'_>) -> Planned {
    let mut planned = Planned::default();
    for (index, op) in config.ops.iter().enumerate() {
        let is_here = |entry: &&mut Entry<'_>| entry.number == index + 1;
        let Some(entry) = plan.filesystem.iter_mut().rfind(is_here) else { continue };
        if !entry.is_placed() {
            continue;
        }
        let problem = planned.add(op, config.follows_at(index));
        if entry.problem.is_none() {
            entry.problem = problem;
        }
    }
    plan.problems.extend(namespaces(config));
    plan.problems.extend(restrictions(config, proc));
    plan.problems.extend(open_files(config));
    plan.problems.extend(places_inside(config, &planned));
    let command = command(config, &planned);
    plan.problems.extend(command.map(|message| Problem::new(Part::Command, None, message)));
    planned
}

/// Whether the kernel makes user namespaces, as far as its settings say.
fn namespaces(config: &Settled) -> Option<Problem> {
    let wanted = config.namespaces.user == Want::Yes;
    let why = hints::switched_off(config.host.caller.uid).filter(|_| wanted)?;
    Some(Problem::new(Part::Namespaces, Some("--unshare-user"), why))
}

/// What the kernel and the system lack.
fn restrictions(config: &Settled, proc: BorrowedFd<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut demand = |part, option, result: Result<(), Error>| {
        if let Err(error) = result {
            problems.push(Problem::of(part, &error.of(option)));
        }
    };
    if let Err(error) = config.landlock.check() {
        let option = error.option().unwrap_or_default();
        demand(Part::Restrictions, option, Err(error));
    }
    if config.apparmor.is_some() {
        demand(Part::Restrictions, "--apparmor", apparmor::check(proc));
    }
    if !config.cgroup.is_empty() {
        let possible = place::check(&config.cgroup, proc, config.host.caller);
        demand(Part::Restrictions, "--cgroup", possible);
    }
    let privileges = &config.privileges;
    let may_raise = !privileges.own_userns && privileges.given & caps::SYS_RESOURCE != 0;
    for limit in &config.limits {
        demand(Part::Limits, "--rlimit", limit.check(may_raise));
    }
    problems.extend(config.policy_errors.iter().map(|error| Problem::of(Part::Filters, error)));
    problems
}

/// Options that name files which are not open.
fn open_files(config: &Settled) -> Vec<Problem> {
    let used = config
        .fds
        .each()
        .into_iter()
        .filter(|option| !matches!(option.moment, Use::Plan | Use::Report));
    used.filter(|option| !sys::is_open(option.fd))
        .map(|FdOption { name, fd, .. }| {
            Problem::new(Part::Files, None, format!("{name} {fd} is not open"))
        })
        .collect()
}

/// Paths in the sandbox that must exist.
fn places_inside(config: &Settled, planned: &Planned) -> Vec<Problem> {
    let mut problems = Vec::new();
    let missing = |path: &CStr| {
        let found = walk(planned, path.to_bytes());
        found.why_missing("is not in the sandbox").map(|why| format!("{} {why}", shown(path)))
    };
    if let Some(dir) = config.chdir.filter(|dir| dir.to_bytes().starts_with(b"/")) {
        let is_file = matches!(walk(planned, dir.to_bytes()).node, Node::File(_));
        let why =
            missing(dir).or_else(|| is_file.then(|| format!("{} is not a directory", shown(dir))));
        problems.extend(why.map(|why| Problem::new(Part::Directory, Some("--chdir"), why)));
    }
    for lock in config.lock_files.iter().filter(|lock| lock.to_bytes().starts_with(b"/")) {
        let why = missing(lock);
        problems.extend(why.map(|why| Problem::new(Part::Processes, Some("--lock-file"), why)));
    }
    problems
}

fn shown(path: &CStr) -> String {
    path.to_string_lossy().into_owned()
}

/// Why COMMAND could not be executed.
fn command(config: &Settled, planned: &Planned) -> Option<String> {
    let file = config.command.first()?;
    if file.to_bytes().contains(&b'/') {
        return one_place(planned, &from_root(file, config)?).err();
    }
    let mut first = None;
    for place in places(file) {
        let path = from_root(&place, config)?;
        match one_place(planned, &path) {
            Ok(()) => return None,
            Err(why) => {
                // A file that exists but cannot be executed says more than a missing one.
                let is_there = walk(planned, &path).node != Node::Missing;
                first = first.or_else(|| is_there.then_some(why));
            }
        }
    }
    let outside = hints::on_host(file);
    Some(first.unwrap_or_else(|| not_in_path(planned, file, outside.as_deref())))
}

/// A path of COMMAND's from the root of the sandbox. Where a relative one begins is known with
/// --chdir, and where the caller's directory is in the sandbox too.
fn from_root(path: &CStr, config: &Settled) -> Option<Vec<u8>> {
    if path.to_bytes().starts_with(b"/") {
        return Some(path.to_bytes().to_vec());
    }
    let start = match config.chdir {
        Some(dir) => dir.to_bytes().to_vec(),
        None => getcwd().ok()?.into_os_string().into_encoded_bytes(),
    };
    start.starts_with(b"/").then(|| [&start, &b"/"[..], path.to_bytes()].concat())
}

/// Whether a program could be executed at a place, as far as that can be known.
fn one_place(planned: &Planned, path: &[u8]) -> Result<(), String> {
    let found = walk(planned, path);
    let name = String::from_utf8_lossy(path);
    match &found.node {
        Node::Missing => {
            let why = found.why_missing("is not in the sandbox").unwrap_or_default();
            let host = CString::new(path).ok().and_then(|path| hints::on_host(&path));
            let advice = host.filter(|_| found.links.is_empty()).map_or_else(String::new, |_| {
                format!(", and the host has it: --ro-same {name} shows it there")
            });
            Err(format!("{name} {why}{advice}"))
        }
        Node::Directory => Err(format!("{name} is a directory")),
        Node::File(Some(reached)) => {
            forbidden(reached, &name).or_else(|| lacks(planned, path)).map_or(Ok(()), Err)
        }
        Node::File(None) | Node::Link(_) | Node::Unknown => Ok(()),
    }
}
