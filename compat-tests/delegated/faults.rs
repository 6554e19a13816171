//! Calls that a kernel or a filter refuses.

use super::group::Group;
use super::limits::FORK;
use crate::harness::Result;

const STRACE: &str = "strace -qq -o /dev/null";

/// Kernels and filters without clone3.
pub(super) fn without_clone3(group: &Group) -> Result<()> {
    for errno in ["ENOSYS", "EPERM", "E2BIG"] {
        let refuse = format!("{STRACE} -e trace=clone3 -e inject=clone3:error={errno}");
        group.launch(&format!("{refuse} $B --cgroup pids.max 1 -- {FORK}")).prints("0")?;
        group.launch(&format!("{refuse} $B --unshare-all --cgroup pids.max 9 -- cat /proc/self/cgroup")).prints("0::/")?;
    }
    group.only_supervisor()
}

/// A call of the set-up fails: nothing is run, one line says so, and nothing is left.
pub(super) fn calls(group: &Group) -> Result<()> {
    let faults = [
        "fstatfs:error=EIO",
        "mkdirat:error=ENOSPC",
        "flock:error=EIO:when=1",
        "flock:error=EIO:when=2",
        "write:error=EIO:when=1",
        "write:error=EIO:when=2",
        "clone3:error=EACCES",
        "openat:error=EMFILE:when=8",
    ];
    for fault in faults {
        let call = fault.split(':').next().unwrap_or_default();
        let options = "--bind $work $work --cgroup pids.max 9 --cgroup memory.max 64M";
        let script = format!("{STRACE} -e trace={call} -e inject={fault} $B {options} -- touch $work/ran");
        group.launch(&script).says("bwrap: *").map_err(|e| format!("{fault}: {e}"))?;
        if group.work.join("ran").exists() {
            return Err(format!("{fault}: COMMAND ran"));
        }
        group.only_supervisor().map_err(|e| format!("{fault}: {e}"))?;
    }
    Ok(())
}
