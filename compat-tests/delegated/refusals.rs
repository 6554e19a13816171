//! What is said where a limit cannot be had.

use std::fs;

use super::group::Group;
use super::limits::FORK;
use crate::harness::Result;

/// The cure for an ordinary user.
const USER: &str = "use: systemd-run --user --scope -p Delegate=yes -- bwrap ...";

/// The group that the tests run in.
fn runner() -> String {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").to_owned()
}

pub(super) fn as_root(group: &Group) -> Result<()> {
    // In a user's group root needs a capability to remove what it has made.
    group.alone_as_root(&format!("exec $B --unshare-pid --cgroup pids.max 2 -- {FORK}")).prints("0")?;
    group.nothing_left()?;
    group.alone_as_root("exec $B --cgroup pids.max 2 true").prints("")?;
    group.nothing_left()?;
    let line = "use: systemd-run --scope -p Delegate=yes -- bwrap ...";
    let place = runner();
    group
        .as_root("$B --cgroup pids.max 2 true")
        .says(&format!("bwrap: --cgroup: other processes run in the control group {place}; {line}"))
}

pub(super) fn words(group: &Group) -> Result<()> {
    // Who lives in the group would have to leave it.
    let (own, place) = (group.name(), runner());
    group
        .alone("$B --cgroup pids.max 9 true; exit $?")
        .says(&format!("bwrap: --cgroup: other processes run in the control group {own}; {USER}"))?;
    group.nothing_left()?;
    group
        .as_user("$B --cgroup pids.max 9 true")
        .says(&format!("bwrap: --cgroup: the control group {place} is not delegated to this user; {USER}"))?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let no_file = format!("memory.nothing: this kernel, {}, has no such file", release.trim_end());
    let refused = [
        ("memory.nothing 1", no_file.as_str()),
        ("memory.max much", "memory.max: the kernel refuses the value much: Invalid argument"),
        ("pids.max -5", "pids.max: the kernel refuses the value -5: *"),
        ("memory.current 5", "memory.current: the kernel refuses the value 5: Permission denied"),
        ("nothing.max 5", "nothing.max: this system has no controller nothing (it has: *)"),
    ];
    for (limit, line) in refused {
        group.launch(&format!("$B --cgroup {limit} true")).says(&format!("bwrap: --cgroup {line}"))?;
    }
    group.only_supervisor()
}

pub(super) fn controller(group: &Group) -> Result<()> {
    let lines = "the lines [Service] and Delegate=cpu cpuset io memory pids in /etc/systemd/system/user@.service.d/delegate.conf";
    group.alone("exec $B --cgroup pids.max 9 --cgroup memory.max 1G true").says(&format!(
        "bwrap: --cgroup memory.max: the controller memory is not delegated to this user; root can do so by {lines}"
    ))?;
    group.nothing_left()
}
