//! The adversary: everything a hostile program might try from inside a sandbox, as views of the probe.
//!
//! A view `escape:KIND:WORDS` makes the attempts of one kind, each in a child of its own, and prints a line for each:
//! `NAME: held`, or `NAME: through` if it did what a sandbox should not allow. What has to hold where is for the cases to say.

use std::fs;
use std::io::Write;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};

use super::{escape_misc, escape_process, escape_root, escape_write};
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

/// Makes the attempts of one kind.
pub(super) fn run(what: &str) -> Vec<String> {
    let (kind, words) = what.split_once(':').unwrap_or((what, ""));
    let mut attempts = Attempts::default();
    match kind {
        "inner" => return vec![inner()],
        "root" => escape_root::run(&mut attempts, words),
        "write" => escape_write::run(&mut attempts, words),
        "process" => escape_process::run(&mut attempts, words),
        "devices" => escape_misc::devices(&mut attempts, words),
        "terminal" => escape_misc::terminal(&mut attempts),
        "socket" => escape_misc::socket(&mut attempts, words),
        "users" => escape_misc::user_namespaces(&mut attempts, words),
        "capabilities" => escape_misc::capabilities(&mut attempts),
        "keys" => escape_misc::keys(&mut attempts, words),
        "kernel" => escape_misc::kernel(&mut attempts, words),
        _ => return vec!["no such attempt".to_owned()],
    }
    attempts.lines
}

/// From here on, the probe is root with all capabilities in a user namespace of its own, with a mount namespace to match.
fn inner() -> String {
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    if let Err(error) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS) {
        return super::unknown("a user namespace of its own", &error);
    }
    let write = |name: &str, text: String| {
        let file = fs::OpenOptions::new().write(true).open(Path::new("/proc/self").join(name));
        file.and_then(|mut file| file.write_all(text.as_bytes())).is_ok()
    };
    let mapped = write("setgroups", "deny".to_owned());
    let mapped = write("uid_map", format!("0 {uid} 1")) && mapped;
    let mapped = write("gid_map", format!("0 {gid} 1")) && mapped;
    format!("a user namespace of its own: {}", if mapped { "yes" } else { "without maps" })
}

/// The pids that /proc shows.
pub(super) fn pids() -> Vec<i32> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
