//! `--cgroup` as an ordinary user in control groups that root has delegated, as systemd does it:
//! limits, what is left behind, and what is said where a limit cannot be had.
//!
//! Each trial has a group of its own below `/sys/fs/cgroup` and a directory to work in. A launcher
//! that starts several sandboxes lives in a group `supervisor`, one that is replaced by a single
//! sandbox needs none. The virtual machines of `vm/` have what this needs.

mod ends;
mod faults;
mod group;
mod limits;
mod refusals;

use std::fs;
use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};

use crate::harness::{Lab, Result, left_out};
use group::Group;

/// One trial: its name, the controllers that its group gets, and what it does.
type Row = (&'static str, &'static str, fn(&Group) -> Result<()>);

const ALL: &str = "cpu memory pids";

const ROWS: [Row; 22] = [
    ("memory", ALL, limits::memory),
    ("bomb", ALL, limits::bomb),
    ("first_fork", ALL, limits::first_fork),
    ("pidns", ALL, limits::pidns),
    ("cpu", ALL, limits::cpu),
    ("io", "cpu io memory pids", limits::io),
    ("namespace", ALL, limits::namespace),
    ("guarded", ALL, limits::guarded),
    ("core", ALL, limits::core),
    ("one_after_the_other", ALL, ends::one_after_the_other),
    ("fifty", ALL, ends::fifty),
    ("side_by_side", ALL, ends::side_by_side),
    ("background", ALL, ends::background),
    ("killed", ALL, ends::killed),
    ("at_any_moment", ALL, ends::at_any_moment),
    ("below", ALL, ends::below),
    ("timed", ALL, ends::timed),
    ("without_clone3", ALL, faults::without_clone3),
    ("calls", ALL, faults::calls),
    ("as_root", ALL, refusals::as_root),
    ("words", ALL, refusals::words),
    ("controller", "pids", refusals::controller),
];

/// The trials.
pub(crate) fn trials(lab: &Arc<Lab>) -> Vec<Trial> {
    let trial = |&(name, controllers, play): &Row| {
        let lab = Arc::clone(lab);
        Trial::ignorable_test(format!("cgroup_delegated::{name}"), move || {
            if let Some(reason) = lacks(&lab, controllers) {
                return Ok(left_out(reason));
            }
            run(&lab, name, controllers, play).map(|()| Completion::Completed).map_err(Failed::from)
        })
    };
    ROWS.iter().map(trial).collect()
}

/// Why this machine cannot run it.
fn lacks(lab: &Lab, controllers: &str) -> Option<String> {
    if lab.identities.len() < 2 {
        return Some("root delegates a control group".to_owned());
    }
    if !lab.refuse.is_empty() {
        return Some("control groups need none of the refused calls".to_owned());
    }
    if controllers.contains("io") && limits::disk().is_none() {
        return Some("/tmp has to be on a whole disk".to_owned());
    }
    let there = fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").unwrap_or_default();
    let missing = controllers.split(' ').find(|wanted| !there.split_whitespace().any(|found| found == *wanted));
    missing.map(|_| format!("groups below the root of cgroup v2 have to have the controllers {controllers}"))
}

fn run(lab: &Lab, name: &str, controllers: &str, play: fn(&Group) -> Result<()>) -> Result<()> {
    let group = Group::delegate(lab, name, controllers)?;
    let played = play(&group);
    let left = group.undelegate();
    played.and(left)
}
