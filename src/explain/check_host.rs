//! `--check-host`: what this machine lets a sandbox have, and why not.
//!
//! What a sandbox can have is found out by making one: this program runs itself with the options,
//! so the answer is what a caller would get, reason and hint included. Only what has no option of
//! its own is looked up, and control groups: bwrap has to be alone in its own, and this process
//! would be in the way.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{getgid, getuid};
use serde::Serialize;

use crate::confine::cgroup::{Setting, place};
use crate::confine::{apparmor, selinux};
use crate::error::{Context, Error, Result, describe, errno, on_one_line};
use crate::host::Caller;
use crate::kernel::files::{read_file, write_all};
use crate::kernel::sys;
use crate::report;
use crate::word::Word;

/// One thing that a sandbox may have.
#[derive(Debug, Serialize)]
struct Found {
    name: &'static str,
    available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

/// All that was found out, as a document.
#[derive(Debug, Serialize)]
struct Findings {
    version: u32,
    kernel: String,
    /// Whether a plain sandbox works.
    works: bool,
    checks: Vec<Found>,
}

/// The first thing that is tried. Without it there is nothing at all.
const PLAIN: &str = "a plain sandbox";

/// What is tried: its name, the options, and the remedy if the failure has no hint.
const TRIED: [(&str, &[&str], &str); 19] = [
    (
        PLAIN,
        &[],
        "bwrap needs Linux 5.2 and, if it is confined itself, the system calls of the mount API",
    ),
    ("user namespaces", &["--unshare-user"], NAMESPACES),
    ("no further user namespaces", &["--unshare-user", "--disable-userns"], NAMESPACES),
    ("pid namespaces", &["--unshare-pid"], NAMESPACES),
    ("network namespaces", &["--unshare-net"], NAMESPACES),
    ("ipc namespaces", &["--unshare-ipc"], NAMESPACES),
    ("uts namespaces", &["--unshare-uts"], NAMESPACES),
    ("cgroup namespaces", &["--unshare-cgroup"], NAMESPACES),
    (
        "a new /proc",
        &["--unshare-pid", "--proc", "/proc"],
        "run the container without hiding parts of /proc, or use --ro-bind /proc /proc",
    ),
    (
        "a /proc with processes only",
        &["--unshare-pid", "--proc-pid", "/proc"],
        "run the container without hiding parts of /proc, or use Linux 7.1",
    ),
    ("a new /dev", &["--dev", "/dev"], "bind the existing nodes of /dev with --dev-bind"),
    (
        "overlays",
        &["--overlay-src", LAYER, "--tmp-overlay", LAYER],
        "ordinary users need Linux 5.11; root can load a missing module with modprobe overlay",
    ),
    ("seccomp filters", &["--seccomp-default"], "a kernel with CONFIG_SECCOMP_FILTER"),
    ("TCP ports by Landlock", &["--tcp-connect", "443"], LANDLOCK),
    ("UDP ports by Landlock", &["--udp-connect", "53"], LANDLOCK),
    ("unix sockets by Landlock", &["--unix-connect", "/"], LANDLOCK),
    ("signals by Landlock", &["--scope-signals"], LANDLOCK),
    ("abstract sockets by Landlock", &["--scope-abstract-unix"], LANDLOCK),
    ("recording what COMMAND uses", &["--unshare-user", "--explain"], RECORDING),
];

/// What is limited by a control group: its name, and a setting.
const LIMITED: [(&str, Word, Word); 4] = [
    ("processes limited by a control group", c"pids.max", c"100"),
    ("memory limited by a control group", c"memory.max", c"1G"),
    ("processor time limited by a control group", c"cpu.max", c"max"),
    ("disk limited by a control group", c"io.weight", c"100"),
];

/// Stands for a directory of the host's.
const LAYER: &str = "LAYER";

/// Which one: the first that is there. Nothing is mounted below these, other than below / and, in a
/// container, /etc: an ordinary user cannot make an overlay of that.
const LAYERS: [&str; 3] = ["/usr/bin", "/bin", "/etc"];

const NAMESPACES: &str = "see user_namespaces(7) for what can refuse them";
const LANDLOCK: &str = "a newer kernel, with landlock in its parameter lsm=";
const RECORDING: &str = "Linux 5.6, a whole /proc, and kernel.yama.ptrace_scope below 3";
const MOUNTS: &str = "root can allow more mounts with sysctl fs.mount-max=100000";
const UNIFIED: &str = "a host that mounts only cgroup v2, as systemd does by default";
const DELEGATE: &str =
    "start it in a delegated control group: systemd-run --user --scope -p Delegate=yes -- bwrap";

/// Finds it all out and says it on standard output, and as JSON where --error-fd says so. The
/// result is the exit status: 0 if a plain sandbox works.
#[cold]
pub(crate) fn check_host() -> Result<i32> {
    // If the caller ignores the signal, the children's statuses would be lost.
    sys::default_signal(libc::SIGCHLD);
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let proc = openat(AT_FDCWD, c"/proc", flags, Mode::empty()).context("Can't open /proc")?;
    if fstatfs(&proc).context("Can't look at /proc")?.filesystem_type() != PROC_SUPER_MAGIC {
        // What is run again by a path there would be whoever's who made that.
        return Err(Error::new("Can't run this program again: /proc is not a procfs"));
    }
    // Before anything else is tried: of that, processes may be left that are about to end.
    let mut groups = Vec::with_capacity(LIMITED.len());
    for (name, key, value) in LIMITED {
        groups.push(limited(name, Setting::parse(key, value)?, proc.as_fd()));
    }
    let mut checks: Vec<Found> = Vec::with_capacity(TRIED.len() + LIMITED.len() + 5);
    for (name, options, cure) in TRIED {
        let mut found = tried(name, options, cure)?;
        // What stops all of them has one remedy.
        if let Some(plain) = checks.first().filter(|plain| plain.reason == found.reason) {
            found.cure.clone_from(&plain.cure);
        }
        checks.push(found);
    }
    checks.extend(groups);
    let others =
        [setattr(), landlock(), notification(), apparmor_profile(proc.as_fd()), selinux_labels()];
    checks.extend(others);
    let works = checks.first().is_some_and(|plain| plain.available);
    let findings = Findings { version: 1, kernel: sys::kernel_release(), works, checks };
    if let Some(file) = report::file() {
        let what = "Can't write the result";
        let text = serde_json::to_string(&findings);
        let text = text.map_err(|error| Error::new(format!("{what}: {error}")))?;
        write_all(file, format!("{text}\n").as_bytes()).context(what)?;
    }
    write_all(io::stdout().as_fd(), render(&findings).as_bytes())
        .context("Can't write the result")?;
    Ok(if works { 0 } else { report::status() })
}

/// Tries to run something in a sandbox with these options on top of the whole host, read-only.
fn tried(name: &'static str, options: &[&str], cure: &str) -> Result<Found> {
    // Both names are this program: outside, and in the sandbox, wherever its file is.
    const THIS: &str = "/proc/self/exe";
    let is_there = |path: &&str| Path::new(path).is_dir();
    let layer = LAYERS.into_iter().find(is_there).unwrap_or("/etc");
    let output = Command::new(THIS)
        .args(["--ro-bind", "/", "/"])
        .args(options.iter().map(|&word| if word == LAYER { layer } else { word }))
        .args(["--", THIS, "--version"])
        .env("BWRAP_HINTS", "1")
        .stdin(Stdio::inherit())
        .output()
        .map_err(|error| Error::os("Can't run this program again", errno(&error)))?;
    if output.status.success() {
        return Ok(Found { name, available: true, detail: None, reason: None, cure: None });
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = || text.lines().filter_map(|line| line.strip_prefix("bwrap: "));
    let hint = lines().find_map(|line| line.strip_prefix("hint: "));
    // The last line is the failure; before it there may be warnings.
    let reason = lines().rfind(|line| !line.starts_with("hint: "));
    let reason = reason.map_or_else(|| output.status.to_string(), str::to_owned);
    let cure = if reason.contains("/proc/sys/fs/mount-max") { MOUNTS } else { cure };
    Ok(missing(name, reason, hint.unwrap_or(cure)))
}

/// Whether there could be a control group with this limit.
fn limited(name: &'static str, setting: Setting, proc: BorrowedFd<'_>) -> Found {
    let caller = Caller { uid: getuid().as_raw(), gid: getgid().as_raw() };
    match place::check(&[setting], proc, caller) {
        Ok(()) => there(name, String::new()),
        Err(error) => {
            let reason = error.to_string();
            // Delegation is of no use before that.
            let cure = if reason.contains("needs cgroup v2") { UNIFIED } else { DELEGATE };
            missing(name, reason, cure)
        }
    }
}

fn missing(name: &'static str, reason: String, cure: &str) -> Found {
    let cure = Some(cure.to_owned());
    Found { name, available: false, detail: None, reason: Some(reason), cure }
}

fn there(name: &'static str, detail: String) -> Found {
    let detail = Some(detail).filter(|detail| !detail.is_empty());
    Found { name, available: true, detail, reason: None, cure: None }
}

/// Whether flags can be set before a mount is attached. Without that it takes longer.
fn setattr() -> Found {
    let name = "mount_setattr";
    match sys::mount_setattr(sys::bad_fd(), libc::AT_EMPTY_PATH, 0) {
        Err(Errno::ENOSYS) => {
            missing(name, describe(Errno::ENOSYS), "Linux 5.12, and a filter that allows it")
        }
        _ => there(name, String::new()),
    }
}

fn landlock() -> Found {
    match sys::landlock_abi() {
        Ok(abi) => there("Landlock", format!("ABI {abi}")),
        Err(errno) => missing("Landlock", describe(errno), LANDLOCK),
    }
}

fn notification() -> Found {
    let name = "seccomp notification";
    let actions = read_file(AT_FDCWD, c"/proc/sys/kernel/seccomp/actions_avail", 4096);
    let text = actions.map(|text| String::from_utf8_lossy(&text).into_owned());
    match text {
        Ok(text) if text.split_whitespace().any(|action| action == "user_notif") => {
            there(name, String::new())
        }
        Ok(_) => missing(name, "this kernel has no user_notif action".to_owned(), "Linux 5.0"),
        Err(errno) => missing(name, describe(errno), "Linux 5.0, and a whole /proc"),
    }
}

fn apparmor_profile(proc: BorrowedFd<'_>) -> Found {
    let name = "AppArmor profiles";
    if let Err(error) = apparmor::check(proc) {
        return missing(name, error.to_string(), "a kernel with apparmor in its parameter lsm=");
    }
    let own = read_file(proc, c"self/attr/current", 4096).unwrap_or_default();
    let own = String::from_utf8_lossy(&own).trim_end_matches(['\n', '\0']).to_owned();
    there(name, if own.is_empty() { own } else { format!("bwrap itself is {own}") })
}

fn selinux_labels() -> Found {
    let name = "SELinux labels";
    if selinux::selinux_enabled() {
        return there(name, String::new());
    }
    let reason = "selinuxfs is not mounted, or is read-only".to_owned();
    missing(name, reason, "a system with SELinux")
}

/// The findings as text: one line each, and below what is missing, why and what helps.
fn render(findings: &Findings) -> String {
    let mut text = format!("Linux {}\n", on_one_line(&findings.kernel));
    for Found { name, available, detail, reason, cure } in &findings.checks {
        let detail = detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
        let mark = if *available { "yes" } else { "no " };
        text += &on_one_line(&format!("{mark}  {name}{detail}"));
        text.push('\n');
        for line in [reason, cure].into_iter().flatten() {
            _ = writeln!(text, "     {}", on_one_line(line));
        }
    }
    text
}
