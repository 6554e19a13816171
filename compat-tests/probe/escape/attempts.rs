//! Attempts, each in a child of its own, and the processes that there are to try them on.

use std::fs;

use nix::sched::{CloneFlags, unshare};

use crate::sys;

/// The attempts of one kind, and how they ended.
#[derive(Default)]
pub(super) struct Attempts {
    pub(super) lines: Vec<String>,
}

impl Attempts {
    /// Makes one attempt in a child of its own; it says whether it got through.
    pub(super) fn make(&mut self, name: &str, action: impl FnOnce() -> bool) {
        self.note(name, sys::in_child(action));
    }

    /// The same in a mount namespace of its own, as far as that is allowed, so that mounts do not help the next attempt.
    pub(super) fn mounting(&mut self, name: &str, action: impl FnOnce() -> bool) {
        self.make(name, || {
            _ = unshare(CloneFlags::CLONE_NEWNS);
            action()
        });
    }

    pub(super) fn note(&mut self, name: &str, through: bool) {
        self.lines.push(format!("{name}: {}", if through { "through" } else { "held" }));
    }
}

/// The pids that /proc shows.
pub(super) fn pids() -> Vec<i32> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
