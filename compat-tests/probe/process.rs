//! What a process is: ids, capabilities, namespaces, signals, limits, relatives.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;

use nix::unistd::{getgroups, getpgrp, getpid, getppid, getresgid, getresuid, getsid};

use crate::sys;
use crate::text::{text, unknown};

pub(super) fn ids() -> Vec<String> {
    let mut lines = vec![];
    if let Ok(ids) = getresuid() {
        lines.push(format!("uid: {} {} {}", ids.real, ids.effective, ids.saved));
    }
    if let Ok(ids) = getresgid() {
        lines.push(format!("gid: {} {} {}", ids.real, ids.effective, ids.saved));
    }
    let mut groups = getgroups().unwrap_or_default().iter().map(|g| g.as_raw()).collect::<Vec<_>>();
    groups.sort_unstable();
    lines.push(format!("groups: {groups:?}"));
    lines
}

pub(super) fn maps() -> Vec<String> {
    ["uid_map", "gid_map", "setgroups", "projid_map"]
        .iter()
        .map(|name| match fs::read_to_string(format!("/proc/self/{name}")) {
            Ok(text) => format!("{name}: {}", text.split_whitespace().collect::<Vec<_>>().join(" ")),
            Err(error) => unknown(name, &error),
        })
        .collect()
}

pub(super) fn capabilities() -> Vec<String> {
    let set = |set| caps::read(None, set).unwrap_or_default();
    let known = caps::all().into_iter().map(|cap| (u64::from(cap.index()), cap)).collect::<BTreeMap<_, _>>();
    let sets = [
        ("inheritable", set(caps::CapSet::Inheritable)),
        ("permitted", set(caps::CapSet::Permitted)),
        ("effective", set(caps::CapSet::Effective)),
    ];
    let mut lines = vec![];
    for (name, set) in sets {
        lines.push(format!("{name}: {}", names(known.values().filter(|c| set.contains(c)).copied())));
    }
    let bounding = known.iter().filter(|(index, _)| sys::ask(libc::PR_CAPBSET_READ, **index) == 1).map(|(_, cap)| *cap);
    lines.push(format!("bounding: {}", names(bounding)));
    let ambient = known.iter().filter(|(index, _)| sys::is_ambient(**index)).map(|(_, cap)| *cap);
    lines.push(format!("ambient: {}", names(ambient)));
    lines
}

fn names(capabilities: impl Iterator<Item = caps::Capability>) -> String {
    capabilities.map(|cap| cap.to_string().trim_start_matches("CAP_").to_lowercase()).collect::<Vec<_>>().join(" ")
}

pub(super) fn security() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let filters = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).map_or("unknown", str::trim);
    let label = |name: &str| fs::read_to_string(format!("/proc/self/attr/{name}")).unwrap_or_default();
    vec![
        format!("no_new_privs: {}", sys::ask(libc::PR_GET_NO_NEW_PRIVS, 0)),
        format!("dumpable: {}", sys::ask(libc::PR_GET_DUMPABLE, 0)),
        format!("securebits: {}", sys::ask(libc::PR_GET_SECUREBITS, 0)),
        format!("keep_caps: {}", sys::ask(libc::PR_GET_KEEPCAPS, 0)),
        format!("parent death signal: {}", sys::parent_death_signal()),
        format!("seccomp: {}", sys::ask(libc::PR_GET_SECCOMP, 0)),
        format!("seccomp filters: {filters}"),
        format!("label: {:?}", label("current")),
        format!("label on exec: {:?}", label("exec")),
    ]
}

/// For each namespace, whether it is the host's.
pub(super) fn namespaces(host: &str) -> Vec<String> {
    let host = host.split(',').collect::<Vec<_>>();
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts"];
    let one = |name: &str| match fs::read_link(format!("/proc/self/ns/{name}")) {
        Ok(link) if host.contains(&link.to_string_lossy().as_ref()) => format!("{name}: host"),
        Ok(_) => format!("{name}: own"),
        Err(error) => unknown(name, &error),
    };
    names.iter().map(|name| one(name)).collect()
}

pub(super) fn environment() -> Vec<String> {
    let word = |s: &std::ffi::OsStr| text(s.as_bytes());
    let mut lines = std::env::vars_os().map(|(name, value)| format!("{}={}", word(&name), word(&value))).collect::<Vec<_>>();
    lines.sort();
    lines
}

pub(super) fn relations() -> Vec<String> {
    let me = getpid();
    let number = |pid: nix::unistd::Pid| match pid.as_raw() {
        0 => "outside".to_owned(),
        1 => "1".to_owned(),
        _ if pid == me => "own".to_owned(),
        _ if pid == getppid() => "the parent".to_owned(),
        _ => "another".to_owned(),
    };
    let umask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    vec![
        format!("pid: {}", if me.as_raw() == 1 { "1" } else { "other" }),
        format!("parent: {}", if getppid().as_raw() <= 1 { getppid().to_string() } else { "another".to_owned() }),
        format!("session: {}", getsid(None).map_or("none".to_owned(), number)),
        format!("group: {}", number(getpgrp())),
        format!("terminal: {}", if fs::File::open("/dev/tty").is_ok() { "yes" } else { "no" }),
        format!("umask: {:03o}", umask.bits()),
        format!("nice: {}", sys::nice_value()),
        format!("argv: {:?}", std::env::args().take(1).collect::<Vec<_>>()),
        format!("parent's command: {}", command_of(getppid().as_raw())),
    ]
}

/// The first word of a process's command line; the reference's own is its loader's.
fn command_of(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = text(words.split(|b| *b == 0).next().unwrap_or_default());
    let name = first.rsplit('/').next().unwrap_or_default().to_owned();
    if name == "ld.so" { "bwrap".to_owned() } else { name }
}

pub(super) fn signals() -> Vec<String> {
    // Rust's runtime ignores SIGPIPE before this can look, so /proc's answer about it would be no better.
    let ignored = (1..=64).filter(|s| *s != libc::SIGPIPE && sys::is_ignored(*s)).map(|s| s.to_string()).collect::<Vec<_>>();
    let blocked = sys::blocked_signals();
    let blocked = (1..=64).filter(|s| blocked & (1 << (s - 1)) != 0).map(|s: u64| s.to_string()).collect::<Vec<_>>();
    vec![format!("ignored: {}", ignored.join(" ")), format!("blocked: {}", blocked.join(" "))]
}

pub(super) fn limits() -> Vec<String> {
    let names = [
        "cpu",
        "fsize",
        "data",
        "stack",
        "core",
        "rss",
        "nproc",
        "nofile",
        "memlock",
        "as",
        "locks",
        "sigpending",
        "msgqueue",
        "nice",
        "rtprio",
        "rttime",
    ];
    let value = |value: u64| if value == libc::RLIM_INFINITY { "unlimited".to_owned() } else { value.to_string() };
    let limits = names.iter().zip(0..).map(|(name, resource)| (name, sys::limit(resource)));
    limits.map(|(name, (soft, hard))| format!("{name}: {} {}", value(soft), value(hard))).collect()
}

/// What connecting to a port of this host does, and binding it, over IPv4 and IPv6.
pub(super) fn tcp(port: &str) -> Vec<String> {
    let word = |result: std::io::Result<()>| match result {
        Ok(()) => "ok".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => "denied".to_owned(),
        Err(error) => error.to_string(),
    };
    let both = |does: fn(String) -> std::io::Result<()>| {
        ["127.0.0.1", "[::1]"].map(|host| word(does(format!("{host}:{port}")))).join(" ")
    };
    vec![
        format!("tcp {port} connect: {}", both(|to| std::net::TcpStream::connect(to).map(drop))),
        format!("tcp {port} bind: {}", both(|to| std::net::TcpListener::bind(to).map(drop))),
    ]
}

pub(super) fn host_name() -> Vec<String> {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).into_iter().collect()
}

/// The interfaces, and whether one can talk to oneself.
pub(super) fn network() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let mut lines =
        text.lines().skip(2).filter_map(|line| line.split(':').next()).map(|n| n.trim().to_owned()).collect::<Vec<_>>();
    lines.sort();
    let talks = |address: &str| {
        let listener = TcpListener::bind((address, 0)).and_then(|l| l.local_addr().map(|a| (l, a)));
        match listener.and_then(|(_listener, address)| TcpStream::connect(address)) {
            Ok(_) => format!("{address}: yes"),
            Err(error) => unknown(address, &error),
        }
    };
    lines.extend([talks("127.0.0.1"), talks("::1")]);
    lines
}

/// Whether the C library can start a thread.
pub(super) fn thread() -> Vec<String> {
    let thread = std::thread::Builder::new().spawn(|| "it ran".to_owned());
    vec![match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(said)) => said,
        Ok(Err(_)) => "it failed".to_owned(),
        Err(error) => error.to_string(),
    }]
}
