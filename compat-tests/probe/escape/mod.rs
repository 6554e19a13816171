//! The adversary: everything a hostile program might try from inside a sandbox, as views of the probe.
//!
//! A view `escape:KIND:WORDS` makes the attempts of one kind, each in a child of its own, and prints a line for each:
//! `NAME: held`, or `NAME: through` if it did what a sandbox should not allow. What has to hold where is for the cases to say.

mod attempts;
pub(crate) mod misc;
mod process;
mod root;
mod write;

use std::fs;
use std::io::Write;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};

use attempts::Attempts;
#[allow(unused_imports, reason = "only the compat tests have cases with it")]
pub(crate) use root::SECRET;

use crate::text::unknown;

/// Makes the attempts of one kind.
pub(super) fn run(what: &str) -> Vec<String> {
    let (kind, words) = what.split_once(':').unwrap_or((what, ""));
    let mut attempts = Attempts::default();
    match kind {
        "inner" => return vec![inner()],
        "root" => root::run(&mut attempts, words),
        "write" => write::run(&mut attempts, words),
        "process" => process::run(&mut attempts, words),
        "devices" => misc::devices(&mut attempts, words),
        "terminal" => misc::terminal(&mut attempts),
        "socket" => misc::socket(&mut attempts, words),
        "users" => misc::user_namespaces(&mut attempts, words),
        "capabilities" => misc::capabilities(&mut attempts),
        "keys" => misc::keys(&mut attempts, words),
        "kernel" => misc::kernel(&mut attempts, words),
        _ => return vec!["no such attempt".to_owned()],
    }
    attempts.lines
}

/// From here on, the probe is root with all capabilities in a user namespace of its own, with a mount namespace to match.
fn inner() -> String {
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    if let Err(error) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS) {
        return unknown("a user namespace of its own", &error);
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
