//! `--dry-run`: what the command line comes to, as data. Nothing of it is done; sources are looked
//! at, and that is all.
//!
//! The same [`Plan`] is a text for people ([`crate::explain::render`]) and a JSON document for
//! tools.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, stat};
use serde::{Serialize, Serializer};

use crate::config::glob::Pattern;
use crate::config::op::{Access, Devices, Extra, Missing, Op, Source, Upper, components};
use crate::config::settle::Settled;
use crate::config::{Config, EnvEdit, FdOption, Origin, Use, Want};
use crate::confine::apparmor::Profile;
use crate::confine::caps;
use crate::confine::families::Families;
use crate::error::{Error, describe};
use crate::kernel::files::file_type;
use crate::kernel::idmap::Range;
use crate::kernel::sys;
use crate::kernel::way::{Stop, Way};
use crate::word::Word;

/// A word of the command line. In JSON, bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a CStr);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string_lossy())
    }
}

/// What would be done.
#[derive(Debug, Serialize)]
pub(crate) struct Plan<'a> {
    /// Each kind of namespace, and whether it is `new`, `joined` or `shared`.
    #[serde(serialize_with = "object")]
    pub(crate) namespaces: Vec<(&'static str, &'static str)>,
    /// COMMAND's user ID in the sandbox; nothing if another process decides.
    pub(crate) uid: Option<u32>,
    /// Its group id.
    pub(crate) gid: Option<u32>,
    /// Lines of the map of user ids, if there is a new user namespace.
    pub(crate) uid_map: Vec<(u32, u32, u32)>,
    /// The same for group ids.
    pub(crate) gid_map: Vec<(u32, u32, u32)>,
    /// COMMAND's capabilities.
    pub(crate) capabilities: Vec<String>,
    /// Resource limits, `NAME SOFT:HARD`.
    pub(crate) limits: Vec<String>,
    /// Filters of system calls, in the order of their installation.
    pub(crate) filters: Vec<String>,
    /// Names in policies that are no system call's here.
    pub(crate) unknown_calls: Vec<&'a str>,
    /// What other means restrict: Landlock, AppArmor, SELinux, control groups.
    pub(crate) restrictions: Vec<String>,
    /// How processes start and end.
    pub(crate) processes: Vec<String>,
    /// The host name.
    pub(crate) hostname: Option<Text<'a>>,
    /// Changes of the environment, in order.
    pub(crate) environment: Vec<Variable<'a>>,
    /// Options with the number of an open file.
    pub(crate) files: Vec<OpenFile>,
    /// The profiles that were read, in order.
    pub(crate) profiles: Vec<Text<'a>>,
    /// Mounts and files, in order.
    pub(crate) filesystem: Vec<Entry<'a>>,
    /// Where COMMAND starts, if `--chdir` is given.
    pub(crate) directory: Option<Text<'a>>,
    /// The file that is executed.
    pub(crate) command: Vec<Text<'a>>,
    /// COMMAND's `argv[0]`.
    pub(crate) argv0: Option<Text<'a>>,
    /// What would fail, but for entries of the file system, which have their own.
    pub(crate) problems: Vec<Problem>,
    /// Remarks.
    pub(crate) notes: Vec<Note>,
}

/// The part of the plan that a problem belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Namespaces and ids.
    Namespaces,
    /// Resource limits.
    Limits,
    /// Filters of system calls.
    Filters,
    /// Landlock, AppArmor, control groups.
    Restrictions,
    /// Locks and PID 1.
    Processes,
    /// Open files.
    Files,
    /// Where COMMAND starts.
    Directory,
    /// COMMAND itself.
    Command,
}

/// Why the sandbox could not start, but for what is wrong with an entry of its file system.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    pub(crate) part: Part,
    /// The option that it is about.
    pub(crate) option: Option<&'static str>,
    /// The problem.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(
        part: Part,
        option: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self { part, option, message: message.into() }
    }

    /// An error that would be one.
    pub(crate) fn of(part: Part, error: &Error) -> Self {
        Self::new(part, error.option(), String::from_utf8_lossy(&error.line()))
    }
}

/// One remark.
#[derive(Debug, Serialize)]
pub(crate) struct Note {
    /// What it is about, in one word that does not change.
    pub(crate) about: &'static str,
    /// The remark.
    pub(crate) message: String,
}

/// An option with the number of an open file.
#[derive(Debug, Serialize)]
pub(crate) struct OpenFile {
    /// The option, without its hyphens.
    pub(crate) option: &'static str,
    /// The number.
    pub(crate) fd: i32,
}

/// Pairs as a JSON object.
fn object<S: Serializer>(
    pairs: &[(&str, &str)],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

/// A change of the environment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Variable<'a> {
    /// `--clearenv`
    Clear,
    /// `--setenv`
    Set(Text<'a>, Text<'a>),
    /// `--unsetenv`
    Unset(Text<'a>),
}

/// One operation on the file system.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    /// Its place in the order; 0 is the empty root that no option asked for.
    pub(crate) number: usize,
    /// Where.
    pub(crate) destination: Text<'a>,
    /// What.
    pub(crate) kind: &'static str,
    /// From where, the uppermost layer first.
    pub(crate) sources: Vec<String>,
    /// How.
    pub(crate) flags: Vec<String>,
    /// The profile and the line that it comes from, if not from the command line.
    pub(crate) from: Option<String>,
    /// Which later entry hides it.
    pub(crate) covered_by: Option<usize>,
    /// Why it would fail, or be left out.
    pub(crate) problem: Option<String>,
    /// Whether it is optional and left out.
    pub(crate) left_out: bool,
    /// The destination's components.
    #[serde(skip)]
    pub(crate) parts: Vec<&'a [u8]>,
}

impl<'a> Plan<'a> {
    /// What a checked command line comes to for this caller.
    pub(crate) fn of(config: &'a Settled) -> Self {
        let (uid_map, gid_map) = maps(config);
        let own = |id| move || (!config.has_foreign_ids()).then_some(id);
        let host = &config.host;
        // With --userns2, only the maps of that namespace tell what the ids become in it.
        let given = |id: Option<u32>| id.filter(|_| config.fds.userns2.is_none());
        Self {
            namespaces: namespaces(config),
            uid: given(config.uid).or_else(own(host.caller.uid)),
            gid: given(config.gid).or_else(own(host.caller.gid)),
            uid_map,
            gid_map,
            capabilities: caps::names(config.privileges.after_exec),
            limits: config.limits.iter().map(ToString::to_string).collect(),
            filters: filters(config),
            unknown_calls: config.unknown_calls.iter().map(|name| &**name).collect(),
            restrictions: restrictions(config),
            processes: processes(config),
            hostname: config.hostname.map(Text),
            environment: config.environment.iter().map(variable).collect(),
            files: files(config),
            profiles: config.profiles.iter().copied().map(Text).collect(),
            filesystem: filesystem(config),
            directory: config.chdir.map(Text),
            command: config.command.iter().copied().map(Text).collect(),
            argv0: config.argv0.map(Text),
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether the sandbox could start, as far as it was checked.
    pub(crate) fn starts(&self) -> bool {
        let fails = |entry: &Entry<'_>| entry.problem.is_some() && entry.is_placed();
        self.problems.is_empty() && !self.filesystem.iter().any(fails)
    }
}

fn namespaces(config: &Config) -> Vec<(&'static str, &'static str)> {
    let fds = &config.fds;
    let state = |(kind, _, want): (&'static str, _, Want)| {
        let (joined, last) = match kind {
            "user" => (fds.userns.is_some(), fds.userns2.is_some()),
            "pid" => (fds.pidns.is_some(), false),
            "net" => (fds.netns.is_some(), false),
            _ => (false, false),
        };
        let state = match want {
            _ if last => "joined",
            Want::No if joined => "joined",
            Want::No => "shared",
            Want::Yes | Want::Try => "new",
        };
        (if kind == "mnt" { "mount" } else { kind }, state)
    };
    config.namespaces.each().into_iter().map(state).collect()
}

/// Lines of a map.
type Lines = Vec<(u32, u32, u32)>;

fn maps(config: &Settled) -> (Lines, Lines) {
    let lines = |ranges: &[Range]| {
        ranges.iter().map(|range| (range.inside, range.outside, range.count)).collect()
    };
    if config.has_ranges() {
        return (lines(&config.maps.uid), lines(&config.maps.gid));
    }
    if config.namespaces.user != Want::Yes
        || config.fds.userns_block.is_some()
        || config.fds.userns2.is_some()
    {
        return (Vec::new(), Vec::new());
    }
    let one = |inside, outside| vec![(inside, outside, 1)];
    let (caller, (uid, gid)) = (config.host.caller, config.identity.last);
    (one(uid, caller.uid), one(gid, caller.gid))
}

fn filters(config: &Settled) -> Vec<String> {
    let fd = config.fds.seccomp.map(|fd| format!("the program from fd {fd}"));
    let unread = config.fds.unread.iter().map(|fd| format!("the program from fd {fd}"));
    let names = config.filters.iter().map(|filter| filter.name.clone());
    fd.into_iter()
        .chain(unread)
        .chain(names)
        .chain(config.unread_policies.iter().cloned())
        .collect()
}

fn restrictions(config: &Config) -> Vec<String> {
    let landlock = &config.landlock;
    let mut all = Vec::new();
    let mut add = |wanted: bool, text: String| {
        if wanted {
            all.push(text);
        }
    };
    let ports =
        |ports: &[u16]| ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let or_none = |text: String| if text.is_empty() { "no port".to_owned() } else { text };
    add(landlock.signals, "no signals to processes outside (Landlock)".to_owned());
    add(landlock.abstract_unix, "no abstract sockets of processes outside (Landlock)".to_owned());
    let net = landlock.limits_tcp();
    add(net, format!("TCP connects to {} only (Landlock)", or_none(ports(&landlock.connect))));
    add(net, format!("TCP binds {} only (Landlock)", or_none(ports(&landlock.bind))));
    let net = landlock.limits_udp();
    let connect = or_none(ports(&landlock.udp_connect));
    add(net, format!("UDP connects and sends to {connect} only (Landlock)"));
    let chosen = if landlock.udp_connect.is_empty() { "" } else { ", or any the kernel chooses," };
    let bind = or_none(ports(&landlock.udp_bind));
    add(net, format!("UDP binds {bind}{chosen} only (Landlock)"));
    let sockets: Vec<_> = landlock.unix.iter().map(|path| path.to_string_lossy()).collect();
    let sockets = sockets.join(", ");
    add(!sockets.is_empty(), format!("of sockets outside, {sockets} only (Landlock)"));
    let families = config.families.as_ref().map(Families::shown).unwrap_or_default();
    add(config.families.is_some(), format!("socket families: {families}"));
    let group = config.cgroup.iter().map(|setting| {
        format!("{} {} (control group)", setting.name(), setting.value.to_string_lossy())
    });
    all.extend(group);
    let mut label = |what: &str, name: Option<&CStr>| {
        if let Some(name) = name {
            all.push(format!("{what} {}", name.to_string_lossy()));
        }
    };
    label("AppArmor profile", config.apparmor.map(Profile::name));
    label("SELinux label", config.exec_label);
    label("SELinux label of files", config.file_label);
    label("what COMMAND uses is recorded in", config.record.learn);
    label("the system calls that COMMAND makes are recorded in", config.record.seccomp);
    if config.record.explain {
        all.push("what COMMAND lacks is explained at its end".to_owned());
    }
    all
}

fn processes(config: &Config) -> Vec<String> {
    let switches = config.switches;
    let all = [
        (config.has_init() && config.has_own_pidns(), "PID 1 is bwrap's, and starts COMMAND"),
        (config.has_init() && !config.has_own_pidns(), "a process of bwrap's starts COMMAND"),
        (switches.as_pid_1, "COMMAND is PID 1"),
        (switches.die_with_parent && config.has_own_pidns(), "everything dies with the caller"),
        (switches.die_with_parent && !config.has_own_pidns(), "COMMAND dies with the caller"),
        (switches.new_session, "COMMAND has a session of its own"),
        (switches.forward_signals, "signals are passed on to COMMAND"),
        (switches.disable_userns, "no further user namespaces"),
        (
            switches.assert_userns_disabled && !switches.disable_userns,
            "further user namespaces have to be disabled",
        ),
        (switches.not_a_security_boundary, "flags of mounts that cannot be set are no error"),
        (!config.lock_files.is_empty(), "lock files are held"),
    ];
    let all = all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text.to_owned());
    let status =
        config.setup_status.map(|status| format!("status {status} if COMMAND cannot be run"));
    let time = config.timeout.map(|timeout| format!("COMMAND's time is limited: {timeout}"));
    all.chain(time).chain(status).collect()
}

fn variable(edit: &EnvEdit) -> Variable<'_> {
    match edit {
        EnvEdit::Clear => Variable::Clear,
        EnvEdit::Set(name, value) => Variable::Set(Text(name), Text(value)),
        EnvEdit::Unset(name) => Variable::Unset(Text(name)),
    }
}

fn files(config: &Config) -> Vec<OpenFile> {
    let shown = |option: &FdOption| !matches!(option.moment, Use::Plan | Use::Parser);
    let shown = config.fds.each().into_iter().filter(shown);
    shown.map(|option| OpenFile { option: option.name, fd: option.fd }).collect()
}

fn filesystem(config: &Config) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let mut used = config.fds.used_early();
    for (index, op) in config.ops.iter().enumerate() {
        let first = entries.len();
        let mut entry = match op {
            Op::Same { path, access, missing, extra } => {
                let last = same(index + 1, path, (*access, *missing), &mut entries);
                if last.kind == "bind" { last.extra(*extra) } else { last }
            }
            Op::MaskGlob(patterns) => {
                let entry = |pattern: &Pattern| {
                    Entry::new(index + 1, pattern.text, "mask").flags(["whatever matches"])
                };
                let mut all: Vec<_> = patterns.iter().map(entry).collect();
                let last = all.pop();
                entries.extend(all);
                last.unwrap_or_else(|| Entry::of(index + 1, op, config))
            }
            _ => Entry::of(index + 1, op, config),
        };
        if config.follows_at(index) {
            entry = entry.flags(["links followed"]);
        }
        if let Some(fd) = op.fd() {
            if used.contains(&fd) {
                entry.problem = Some(format!("an earlier option has already used fd {fd}"));
            }
            used.push(fd);
        }
        entries.push(entry);
        let origin = config.origins.get(index).copied().flatten();
        for entry in entries.iter_mut().skip(first) {
            entry.from =
                origin.map(|Origin { file, line }| format!("{}:{line}", file.to_string_lossy()));
        }
    }
    // What the first option binds on `/` is the root; else that is an empty tmpfs.
    let bound = config.ops.first().is_some_and(Op::is_root_bind)
        && entries.first().is_some_and(|entry| !entry.left_out);
    if !bound {
        entries.insert(0, Entry::new(0, c"/", "tmpfs").flags(["mode 0755"]));
    }
    for index in 0..entries.len() {
        let covering = |later: &&Entry<'_>| {
            later.is_mount()
                && entries
                    .get(index)
                    .is_some_and(|entry| entry.parts.starts_with(&later.parts) && entry.is_placed())
        };
        let cover = entries.iter().skip(index + 1).find(covering).map(|later| later.number);
        if let Some(entry) = entries.get_mut(index) {
            entry.covered_by = cover;
        }
    }
    entries
}

impl<'a> Entry<'a> {
    fn new(number: usize, destination: &'a CStr, kind: &'static str) -> Self {
        let (sources, flags, parts) = (Vec::new(), Vec::new(), components(destination));
        Self {
            number,
            destination: Text(destination),
            kind,
            sources,
            flags,
            from: None,
            covered_by: None,
            problem: None,
            left_out: false,
            parts,
        }
    }

    fn flags<const N: usize>(mut self, flags: [&str; N]) -> Self {
        self.flags.extend(flags.into_iter().filter(|flag| !flag.is_empty()).map(str::to_owned));
        self
    }

    fn extra(self, extra: Extra) -> Self {
        self.flags([
            if extra.noexec { "noexec" } else { "" },
            if extra.nosymfollow { "nosymfollow" } else { "" },
        ])
    }

    fn mode(mut self, perms: u32) -> Self {
        self.flags.push(format!("mode {perms:04o}"));
        self
    }

    fn of_source(mut self, source: &CStr) -> Self {
        self.sources.push(source.to_string_lossy().into_owned());
        self
    }

    /// A source on the host, which is looked for.
    fn on_host(self, source: &CStr) -> Self {
        let mut entry = self.of_source(source);
        let problem = match stat(source) {
            Ok(status) if entry.parts.is_empty() && file_type(&status) != SFlag::S_IFDIR => {
                Some("what is mounted on / has to be a directory".to_owned())
            }
            Ok(_) => None,
            Err(errno) => {
                entry.left_out =
                    errno == Errno::ENOENT && entry.flags.iter().any(|flag| flag == IF_EXISTS);
                Some(format!("{}: {}", source.to_string_lossy(), describe(errno)))
            }
        };
        entry.problem = entry.problem.or(problem);
        entry
    }

    fn open_file(mut self, fd: i32) -> Self {
        self.sources.push(format!("fd {fd}"));
        if !sys::is_open(fd) {
            self.problem = Some(format!("fd {fd} is not open"));
        }
        self
    }

    /// Whether it hides what was there before.
    fn is_mount(&self) -> bool {
        !matches!(self.kind, "directory" | "file" | "symlink" | "chmod" | "read-only" | "layer")
            && self.is_placed()
    }

    /// Whether it is not left out.
    pub(crate) fn is_placed(&self) -> bool {
        !self.left_out
    }

    fn of(number: usize, op: &'a Op, config: &Config) -> Self {
        let new = |dest: &'a CStr, kind| Self::new(number, dest, kind);
        match op {
            Op::Bind { source, dest, access, devices, missing, extra } => {
                bind(new(dest, "bind"), (source, *access, *devices, *missing)).extra(*extra)
            }
            Op::Same { path, .. } => new(path, "bind"),
            Op::RemountRo(dest) => new(dest, "read-only"),
            Op::Overlay { upper, layers, dest, extra } => {
                overlay(new(dest, "overlay"), upper, layers).extra(*extra)
            }
            Op::Proc(dest) => {
                new(dest, "proc").flags([if config.has_own_pidns() { "new" } else { "the host's" }])
            }
            Op::Dev(dest) => new(dest, "devices").flags(["mode 0755"]),
            Op::ProcPid(dest) => new(dest, "proc").flags(["new", "processes only"]),
            Op::Mqueue(dest) => new(dest, "mqueue"),
            Op::Mask(path) => new(path, "mask").flags([IF_EXISTS]),
            Op::MaskGlob(_) => new(op.dest(), "mask"),
            Op::Tmpfs { dest, perms, size, extra } => {
                let size = size.map_or_else(String::new, |size| format!("at most {size} bytes"));
                let entry = new(dest, "tmpfs").mode(*perms);
                entry.flags([size.as_str(), "nosuid", "nodev"]).extra(*extra)
            }
            Op::Dir { dest, perms } => new(dest, "directory").mode(*perms),
            Op::File { fd, dest, perms } => new(dest, "file").mode(*perms).open_file(*fd),
            Op::Data { fd, dest, perms, access, extra } => new(dest, "data")
                .mode(*perms)
                .flags([read_only(*access), "nosuid", "nodev"])
                .extra(*extra)
                .open_file(*fd),
            Op::Tar { fd, dest, is_upper: true, .. } => new(dest, "layer").open_file(*fd),
            Op::Tar { fd, dest, perms, size, extra, .. } => {
                let size = size.map_or_else(
                    || "at most half of the memory".to_owned(),
                    |size| format!("at most {size} bytes"),
                );
                let entry = new(dest, "archive").open_file(*fd);
                let entry = match perms {
                    Some(perms) => entry.mode(*perms),
                    None => entry.flags(["mode of the archive"]),
                };
                entry.flags([size.as_str(), "nosuid", "nodev"]).extra(*extra)
            }
            Op::Symlink { target, dest } => new(dest, "symlink").of_source(target),
            Op::Chmod { perms, path } => new(path, "chmod").mode(*perms),
        }
    }
}

/// The equivalent of the `-try` options.
const IF_EXISTS: &str = "if it exists";

fn read_only(access: Access) -> &'static str {
    if access == Access::ReadOnly { "read-only" } else { "" }
}

fn bind<'a>(
    entry: Entry<'a>,
    (source, access, devices, missing): (&Source, Access, Devices, Missing),
) -> Entry<'a> {
    let nodev = if devices == Devices::Refused { "nodev" } else { "" };
    let entry = entry.flags([
        read_only(access),
        "nosuid",
        nodev,
        if missing == Missing::Skip { IF_EXISTS } else { "" },
    ]);
    match source {
        Source::Path(path) => entry.on_host(path),
        Source::Fd(fd) => entry.open_file(*fd),
    }
}

/// `--same`: its links and directories are added to the entries; the last one is given back.
fn same<'a>(
    number: usize,
    path: Word,
    (access, missing): (Access, Missing),
    entries: &mut Vec<Entry<'a>>,
) -> Entry<'a> {
    let of_bind = |place: Word| {
        let source = Source::Path(place);
        bind(Entry::new(number, place, "bind"), (&source, access, Devices::Refused, missing))
    };
    let Way { stops, end } = match Way::of(path) {
        Ok(way) => way,
        Err(lost) => {
            let mut entry = of_bind(path);
            entry.problem = Some(lost.to_string());
            entry.left_out = lost.is_missing() && missing == Missing::Skip;
            return entry;
        }
    };
    let mut made: Vec<_> = stops
        .iter()
        .map(|stop| match *stop {
            Stop::Link { text, at } => Entry::new(number, at, "symlink").of_source(text),
            Stop::Directory(at) => Entry::new(number, at, "directory").mode(0o755),
        })
        .collect();
    made.extend(end.map(of_bind));
    let last = made.pop();
    entries.extend(made);
    last.unwrap_or_else(|| Entry::new(number, path, "bind"))
}

fn overlay<'a>(entry: Entry<'a>, upper: &Upper, layers: &[&'static CStr]) -> Entry<'a> {
    let entry = match upper {
        Upper::Host { rwsrc, workdir } => {
            let work = format!("work directory {}", workdir.to_string_lossy());
            entry.on_host(rwsrc).flags([work.as_str()])
        }
        Upper::Tmp => entry.flags(["changes are forgotten"]),
        Upper::None => entry.flags(["read-only"]),
    };
    layers.iter().rev().fold(entry, |entry, layer| entry.on_host(layer)).flags(["nosuid", "nodev"])
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
