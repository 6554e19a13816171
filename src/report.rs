//! `--error-fd` and `--setup-status`: how a program learns what went wrong in the set-up without
//! reading English, and without mistaking COMMAND's exit status for ours.
//!
//! Any process of ours may be the one that fails, at any moment, so what they need to know is the
//! process's own and not handed around. Children inherit it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{close, write};
use serde::Serialize;

/// Where documents go.
static FILE: OnceLock<OwnedFd> = OnceLock::new();

/// Whether nothing more goes there.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// The exit status of our own failures; 0 means that none was requested, and so 1.
static STATUS: AtomicU8 = AtomicU8::new(0);

/// What this process is at.
static STEP: AtomicU8 = AtomicU8::new(Step::CommandLine as u8);

/// Whether COMMAND's filters are in force, under which only write(2) can be tried.
static FILTERED: AtomicBool = AtomicBool::new(false);

/// The parts of a set-up, as documents name them and the man page explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Reading the command line, and the rules between options.
    CommandLine,
    /// What the kernel and the system provide.
    System,
    /// Policies for system calls.
    Policies,
    /// `--dry-run`
    Plan,
    /// The sandbox's control group.
    ControlGroup,
    /// Making and joining namespaces.
    Namespaces,
    /// Outside, beside the sandbox.
    Monitor,
    /// User and group ids.
    Ids,
    /// The network namespace.
    Network,
    /// What the sandbox gets from the host.
    Sources,
    /// The tree of the sandbox.
    FileSystem,
    /// Capabilities.
    Privileges,
    /// What confines COMMAND: labels, filters, Landlock, limits.
    Confinement,
    /// COMMAND's working directory.
    Directory,
    /// Sessions, locks, PID 1.
    Processes,
    /// Executing COMMAND.
    Command,
    /// `--explain`, when COMMAND has ended: no failure.
    Explanation,
}

/// The names of the steps, in their order.
const STEPS: &str = "command-line system policies plan control-group namespaces monitor ids network sources \
     filesystem privileges confinement directory processes command explanation";

impl Step {
    /// From here on, what fails in this process is part of this step.
    pub(crate) fn begin(self) {
        STEP.store(self as u8, Ordering::Relaxed);
    }

    /// The name of the step that this process is at.
    fn name() -> &'static str {
        let number = usize::from(STEP.load(Ordering::Relaxed));
        STEPS.split_ascii_whitespace().nth(number).unwrap_or_default()
    }
}

/// A failure.
#[derive(Debug, Default)]
pub(crate) struct Failure<'a> {
    /// The option that it is about.
    pub(crate) option: Option<&'a str>,
    /// The path that it is about.
    pub(crate) path: Option<&'a [u8]>,
    /// The errno behind it.
    pub(crate) errno: Option<Errno>,
    /// The line on stderr.
    pub(crate) message: &'a [u8],
    /// The probable cause.
    pub(crate) hint: Option<&'a str>,
}

/// A document of `--error-fd`, whose members the man page describes.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    option: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<String>,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> Document<'a> {
    fn of(failure: &Failure<'a>) -> Self {
        let path = failure.path.map(String::from_utf8_lossy);
        let is_lossy = matches!(path, Some(Cow::Owned(_)));
        Self {
            version: 1,
            step: Step::name(),
            option: failure.option,
            path,
            path_hex: failure.path.filter(|_| is_lossy).map(hex),
            errno: failure.errno.map(|errno| format!("{errno:?}")),
            message: String::from_utf8_lossy(failure.message),
            hint: failure.hint,
        }
    }
}

/// Bytes as two hexadecimal digits each.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// Has documents written to this file. The caller's standard files stay COMMAND's; every other one
/// has to be close-on-exec.
pub(crate) fn use_file(file: OwnedFd) {
    if let Err(unused) = FILE.set(file) {
        // It is not ours to close: it may be the same number.
        std::mem::forget(unused);
    }
}

/// The file that documents go to, as long as they do.
pub(crate) fn file() -> Option<BorrowedFd<'static>> {
    FILE.get().filter(|_| !CLOSED.load(Ordering::Relaxed)).map(AsFd::as_fd)
}

/// Its number.
pub(crate) fn number() -> Option<RawFd> {
    file().map(|file| file.as_raw_fd())
}

/// Closes the file in this process, whose part of the set-up has succeeded.
pub(crate) fn done() {
    if let Some(number) = number()
        && !CLOSED.swap(true, Ordering::Relaxed)
        && number > 2
    {
        _ = close(number);
    }
}

/// The next filter is COMMAND's. Nothing can be done about signals any more once it is there, so a
/// file that nobody reads is given up before.
pub(crate) fn expect_filters() {
    let Some(file) = file() else { return };
    let mut ends = [PollFd::new(file, PollFlags::empty())];
    if poll(&mut ends, PollTimeout::ZERO) != Ok(0) {
        CLOSED.store(true, Ordering::Relaxed);
    }
    FILTERED.store(true, Ordering::Relaxed);
}

/// The exit status of our own failures.
pub(crate) fn use_status(status: u8) {
    STATUS.store(status, Ordering::Relaxed);
}

/// The exit status of our own failures, if one was requested.
pub(crate) fn asked_status() -> Option<i32> {
    Some(i32::from(STATUS.load(Ordering::Relaxed))).filter(|&status| status != 0)
}

/// The exit status of our own failures.
pub(crate) fn status() -> i32 {
    asked_status().unwrap_or(1)
}

/// Writes the document of a failure. Whatever goes wrong with that changes nothing.
pub(crate) fn tell(failure: &Failure<'_>) {
    if file().is_none() {
        return;
    }
    if let Ok(mut line) = serde_json::to_vec(&Document::of(failure)) {
        line.push(b'\n');
        write_line(&line);
    }
}

/// The same for a process that has no memory left.
pub(crate) fn tell_out_of_memory() {
    let mut line = [0; 128];
    let parts = ["{\"version\":1,\"step\":\"", Step::name(), "\",\"message\":\"Out of memory\"}\n"];
    let mut length = 0;
    for byte in parts.iter().flat_map(|part| part.bytes()) {
        if let Some(slot) = line.get_mut(length) {
            *slot = byte;
            length += 1;
        }
    }
    write_line(line.get(..length).unwrap_or_default());
}

fn write_line(mut line: &[u8]) {
    let Some(file) = file() else { return };
    if !FILTERED.load(Ordering::Relaxed) {
        // This process has nothing left to do but to end, and not by one of these.
        _ = SigSet::from_iter([Signal::SIGPIPE, Signal::SIGXFSZ]).thread_block();
    }
    while !line.is_empty() {
        match write(file, line) {
            Ok(0) => return,
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_its_name() {
        // The last one, so that there are as many names.
        assert_eq!(STEPS.split_ascii_whitespace().count(), Step::Explanation as usize + 1);
        for (step, name) in [
            (Step::CommandLine, "command-line"),
            (Step::System, "system"),
            (Step::Policies, "policies"),
            (Step::Plan, "plan"),
            (Step::ControlGroup, "control-group"),
            (Step::Namespaces, "namespaces"),
            (Step::Monitor, "monitor"),
            (Step::Ids, "ids"),
            (Step::Network, "network"),
            (Step::Sources, "sources"),
            (Step::FileSystem, "filesystem"),
            (Step::Privileges, "privileges"),
            (Step::Confinement, "confinement"),
            (Step::Directory, "directory"),
            (Step::Processes, "processes"),
            (Step::Command, "command"),
            (Step::Explanation, "explanation"),
        ] {
            let number = step as usize;
            assert_eq!(STEPS.split_ascii_whitespace().nth(number), Some(name), "{step:?}");
        }
    }

    #[test]
    fn paths_keep_their_bytes() {
        let json = |path: &[u8]| {
            let failure = Failure { path: Some(path), message: b"x", ..Failure::default() };
            serde_json::to_string(&Document::of(&failure)).unwrap_or_default()
        };
        assert!(json(b"/a\"\n").ends_with("\"path\":\"/a\\\"\\n\",\"message\":\"x\"}"));
        let lossy = json(b"/a\xff");
        assert!(lossy.contains("\"path\":\"/a\u{fffd}\",\"path_hex\":\"2f61ff\""), "{lossy}");
    }
}
