//! The working directories of threads, remembered: most names are relative to them, and asking takes
//! longer than all the rest.
//!
//! A call is heard of before the kernel does it. So from a call that changes a directory, or a name
//! of one, until the next call of that thread nobody knows which of the two holds, for whoever shares
//! it, and nothing is remembered.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use libc::c_long;
use nix::unistd::Pid;

use crate::kernel::sys::SysResult;
use crate::record::shared::Changing;
use crate::record::task::Task;

/// How many calls something is remembered for: pids come back.
const LONGEST: u32 = 4096;
/// How often it is seen to it that who changes something is still there.
const OFTEN: u32 = 64;

/// What is remembered.
#[derive(Debug)]
pub(crate) struct Cwds<'a> {
    known: HashMap<Pid, Vec<u8>>,
    /// Since which change.
    since: u64,
    /// Who may be changing something, whoever answers its calls.
    changing: &'a Changing,
    calls: u32,
}

impl<'a> Cwds<'a> {
    pub(crate) fn new(changing: &'a Changing) -> Self {
        Self { known: HashMap::new(), since: 0, changing, calls: 0 }
    }

    /// A thread makes a call: what it did before is done.
    pub(crate) fn begin(&mut self, task: Task<'_>, number: c_long) {
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(LONGEST) {
            self.known.clear();
        }
        if !self.changing.is_empty() {
            self.changing.remove(|thread| thread == task.thread);
            if self.calls.is_multiple_of(OFTEN) {
                self.changing.remove(|thread| !Task { thread, ..task }.is_there());
            }
        }
        if changes(number) {
            self.changing.insert(task.thread);
        }
    }

    /// The working directory of a thread.
    pub(crate) fn of(&mut self, task: Task<'_>) -> SysResult<Vec<u8>> {
        let times = self.changing.times.load(Ordering::Acquire);
        if self.since != times {
            self.known.clear();
            self.since = times;
        }
        if !self.changing.is_empty() {
            return task.directory(None);
        }
        if let Some(known) = self.known.get(&task.thread) {
            return Ok(known.clone());
        }
        let found = task.directory(None)?;
        self.known.insert(task.thread, found.clone());
        Ok(found)
    }
}

/// Whether a call may change a working directory, or what it is called.
fn changes(number: c_long) -> bool {
    #[cfg(target_arch = "x86_64")]
    if number == libc::SYS_rename {
        return true;
    }
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if number == libc::SYS_renameat {
        return true;
    }
    [
        libc::SYS_chdir,
        libc::SYS_fchdir,
        libc::SYS_renameat2,
        libc::SYS_chroot,
        libc::SYS_pivot_root,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_move_mount,
    ]
    .contains(&number)
}
