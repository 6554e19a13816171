//! The end of a recording: what is written, and the lines that say so.

use std::collections::BTreeSet;

use crate::config::settle::Settled;
use crate::error::{Result, on_one_line, warn};
use crate::profile::text::quoted;
use crate::record::learn::Summary;
use crate::record::mounts::{Host, Mounts};
use crate::record::plan::Plan;
use crate::record::seen::Seen;

/// What is said about calls that were refused or that could not be followed.
const FLAGS: [(&str, &str); 6] = [
    ("ring", "io_uring was refused while recording: what goes through a ring cannot be seen"),
    ("x32", "system calls of x32 were refused while recording: they cannot be seen"),
    ("32", "system calls of 32-bit programs were refused while recording: they cannot be seen"),
    ("elsewhere", "what was used in another mount namespace is not recorded"),
    ("unread", "some of what COMMAND named could not be read, and is not recorded"),
    ("many", "there were more different names than are kept: the rest is not recorded"),
];

/// Writes what is to be written, and says what has come of it.
pub(crate) fn write(config: &Settled, plan: &Plan, seen: &Seen, mounts: &Mounts) -> Result<()> {
    if seen.left > 0 {
        let number = seen.left;
        let live = if number == 1 { "process lives" } else { "processes live" };
        warn(format_args!(
            "{number} {live} on after COMMAND; what they do from now on is not recorded"
        ));
    }
    for (_, text) in FLAGS.iter().filter(|(flag, _)| seen.flags.contains(*flag)) {
        warn(text);
    }
    let mut policy_line = None;
    let mut calls = None;
    if let Some(policy) = &plan.policy {
        let path = policy.target.path();
        calls = Some((policy.write(seen)?, path));
        let host =
            Host::of(path.to_bytes()).map_or_else(|| path.to_bytes().to_vec(), |host| host.path);
        policy_line = Some(format!("--seccomp-policy {}", quoted(&host)));
    }
    if let Some(profile) = &plan.profile {
        let path = profile.target.path();
        let summary = profile.write(config, (seen, mounts, &plan.places), policy_line)?;
        say_learned(&summary, &on_one_line(&path.to_string_lossy()));
        say_needed(config);
    }
    if let Some((number, path)) = calls {
        let path = on_one_line(&path.to_string_lossy());
        warn(format_args!(
            "{path} allows {number} system calls and those that every program makes"
        ));
    }
    let unresolved = seen.unresolved.len();
    if unresolved > 0 {
        warn(format_args!("{unresolved} paths could not be looked up, or not in time"));
    }
    Ok(())
}

fn say_learned(summary: &Summary, path: &str) {
    let Summary { paths, writable, refused, left_out } = summary;
    warn(format_args!("{path} grants {paths} paths of the host, {writable} of them writable"));
    if *refused > 0 {
        warn(format_args!(
            "{refused} names were to be created where nothing is granted; see the comments in {path}"
        ));
    }
    if *left_out > 0 {
        warn(format_args!(
            "{left_out} lines of {path} give what this sandbox does not have; they are comments now"
        ));
    }
}

/// Names the options that a profile cannot have.
fn say_needed(config: &Settled) {
    let operations =
        config.ops.iter().flat_map(|op| crate::record::learn::repeat::operation(op, ""));
    let fds = crate::record::learn::repeat::of_fds(config).into_iter();
    let options: BTreeSet<String> = operations
        .chain(fds)
        .filter_map(|line| {
            let rest = line.strip_prefix("# needs: ")?.to_owned();
            rest.split(' ').next().map(str::to_owned)
        })
        .collect();
    if !options.is_empty() {
        let options: Vec<_> = options.into_iter().collect();
        warn(format_args!(
            "a profile names no open files: {} are comments in it",
            options.join(", ")
        ));
    }
}
