//! Who outlives COMMAND.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpid, getppid};

use crate::record::task::Task;

/// How many processes descend from the monitor, the parent of this one, and not from this one. What
/// loses its parent there becomes the monitor's child, see PR_SET_CHILD_SUBREAPER(2const).
pub(crate) fn count(proc: BorrowedFd<'_>) -> usize {
    let (monitor, own) = (getppid().as_raw(), getpid().as_raw());
    let parents = parents(proc);
    let comes_from = |pid: i32, ancestor: i32| {
        let parent = |pid: &i32| parents.get(pid).copied();
        std::iter::successors(Some(pid), parent).take(1000).any(|pid| pid == ancestor)
    };
    let pids = parents.keys().copied();
    pids.filter(|&pid| pid != monitor && comes_from(pid, monitor) && !comes_from(pid, own)).count()
}

/// The parent of each process that has not ended.
fn parents(proc: BorrowedFd<'_>) -> BTreeMap<i32, i32> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut parents = BTreeMap::new();
    let Ok(mut dir) = Dir::openat(proc, c".", flags, Mode::empty()) else { return parents };
    for entry in dir.iter().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(pid) = name.parse::<i32>() else { continue };
        let task = Task { proc, thread: Pid::from_raw(pid) };
        if let Some((state, parent)) = task.state_and_parent()
            && !matches!(state, b'Z' | b'X')
        {
            parents.insert(pid, parent);
        }
    }
    parents
}
