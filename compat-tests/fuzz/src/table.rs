//! One text for what was understood, made from the program's `Config` and from the model's notes, so that the two can be compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::config::op::{Access, Devices, Missing, Op, Source, Upper};
use crate::config::{Config, EnvEdit, Want};
use crate::confine::caps::CapEdit;
use crate::word::Word;

/// The options of which only one value counts.
const VALUES: [&str; 13] = [
    "--argv0",
    "--block-fd",
    "--chdir",
    "--gid",
    "--hostname",
    "--info-fd",
    "--json-status-fd",
    "--pidns",
    "--seccomp",
    "--uid",
    "--userns",
    "--userns-block-fd",
    "--userns2",
];

/// The namespaces and switches, each with the options that ask for it.
const SWITCHES: [(&str, &[&str]); 12] = [
    ("user", &["--unshare-user"]),
    ("ipc", &["--unshare-ipc", "--unshare-all"]),
    ("pid", &["--unshare-pid", "--unshare-all"]),
    ("net", &["--unshare-net", "--unshare-all"]),
    ("uts", &["--unshare-uts", "--unshare-all"]),
    ("cgroup", &["--unshare-cgroup"]),
    ("disabled", &["--disable-userns"]),
    ("asserted", &["--assert-userns-disabled"]),
    ("session", &["--new-session"]),
    ("dies", &["--die-with-parent"]),
    ("first", &["--as-pid-1"]),
    ("no boundary", &["--not-a-security-boundary"]),
];

/// Whether only one value of the option counts.
pub(crate) fn is_value(name: &str) -> bool {
    VALUES.contains(&name)
}

/// A word as a text without blanks.
pub(crate) fn word(word: &[u8]) -> String {
    format!("<{}>", word.escape_ascii().to_string().replace(' ', "\\x20"))
}

/// The number of a capability by its name; 64 for all of them.
pub(crate) fn capability(word: &[u8]) -> Option<u64> {
    if word.eq_ignore_ascii_case(b"all") {
        return Some(64);
    }
    let names = caps::all().into_iter();
    let found =
        names.into_iter().find(|known| known.to_string().as_bytes().eq_ignore_ascii_case(word));
    found.map(|known| known.index().into())
}

/// The lines of each kind, which stand in one order each, the values, what is switched on, and the command.
pub(crate) fn text(
    lines: &[String],
    values: &BTreeMap<&str, String>,
    programs: usize,
    command: &[Vec<u8>],
) -> String {
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let mut text = String::new();
    for kind in [is_environment, is_capability, is_lock, is_sync, is_operation] {
        for line in lines.iter().filter(|line| kind(&name(line))) {
            _ = writeln!(text, "{}", line.trim_end());
        }
    }
    for (switch, options) in SWITCHES {
        // Only --share-net takes anything back.
        let back = lines
            .iter()
            .rposition(|line| switch == "net" && name(line) == "--share-net")
            .map_or(0, |at| at + 1);
        let asked = |options: &[&str]| {
            lines[back..].iter().any(|line| options.contains(&name(line).as_str()))
        };
        let soft = format!("--unshare-{switch}-try");
        if asked(options) {
            _ = writeln!(text, "{switch}");
        } else if matches!(switch, "user" | "cgroup") && asked(&[&soft, "--unshare-all"]) {
            _ = writeln!(text, "{switch} if possible");
        }
    }
    for (name, value) in values {
        _ = writeln!(text, "{name} {value}");
    }
    let command = command.iter().map(|part| word(part)).collect::<Vec<_>>().join(" ");
    text + &format!("{programs} programs\n{command}")
}

fn is_environment(name: &str) -> bool {
    matches!(name, "--setenv" | "--unsetenv" | "--clearenv")
}

fn is_capability(name: &str) -> bool {
    matches!(name, "--cap-add" | "--cap-drop")
}

fn is_lock(name: &str) -> bool {
    name == "--lock-file"
}

fn is_sync(name: &str) -> bool {
    name == "--sync-fd"
}

fn is_operation(name: &str) -> bool {
    const OPERATIONS: [&str; 8] =
        ["bind", "overlay", "-data", "--proc", "--dev", "--mqueue", "--symlink", "--chmod"];
    let exact = ["--remount-ro", "--tmpfs", "--dir", "--file"].contains(&name);
    exact
        || OPERATIONS
            .iter()
            .any(|part| if part.starts_with("--") { name == *part } else { name.contains(part) })
}

/// The same text from the program's own data.
pub(crate) fn of_config(config: &Config) -> String {
    let mut lines = vec![];
    for edit in &config.environment {
        lines.push(match edit {
            EnvEdit::Clear => "--clearenv".to_owned(),
            EnvEdit::Set(name, value) => format!("--setenv {} {}", shown(*name), shown(*value)),
            EnvEdit::Unset(name) => format!("--unsetenv {}", shown(*name)),
        });
    }
    for edit in &config.caps {
        let (name, bits) = match edit {
            CapEdit::Add(bits) => ("--cap-add", *bits),
            CapEdit::Drop(bits) => ("--cap-drop", *bits),
        };
        let number = if bits == u64::MAX { 64 } else { bits.trailing_zeros() };
        assert!(bits == u64::MAX || bits.count_ones() == 1, "one capability");
        lines.push(format!("{name} {number}"));
    }
    lines.extend(config.lock_files.iter().map(|path| format!("--lock-file {}", shown(*path))));
    lines.extend(config.fds.sync.iter().map(|fd| format!("--sync-fd {fd}")));
    lines.extend(config.ops.iter().map(operation));
    lines.extend(switched_on(config));
    let command = config.command.iter().map(|part| part.to_bytes().to_vec()).collect::<Vec<_>>();
    text(&lines, &values(config), config.seccomp_programs.len(), &command)
}

fn shown(text: Word) -> String {
    word(text.to_bytes())
}

fn values(config: &Config) -> BTreeMap<&'static str, String> {
    let fds = &config.fds;
    let number = |value: Option<i32>| value.map(|number| number.to_string());
    let id = |value: Option<u32>| value.map(|number| number.to_string());
    let rows = [
        ("--argv0", config.argv0.map(shown)),
        ("--block-fd", number(fds.block)),
        ("--chdir", config.chdir.map(shown)),
        ("--gid", id(config.gid)),
        ("--hostname", config.hostname.map(shown)),
        ("--info-fd", number(fds.info)),
        ("--json-status-fd", number(fds.json_status)),
        ("--pidns", number(fds.pidns)),
        ("--seccomp", number(fds.seccomp)),
        ("--uid", id(config.uid)),
        ("--userns", number(fds.userns)),
        ("--userns-block-fd", number(fds.userns_block)),
        ("--userns2", number(fds.userns2)),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The options that switch the same things on.
fn switched_on(config: &Config) -> Vec<String> {
    let (spaces, switches) = (config.namespaces, config.switches);
    let wants = [spaces.user, spaces.ipc, spaces.pid, spaces.net, spaces.uts, spaces.cgroup];
    let flags = [
        switches.disable_userns,
        switches.assert_userns_disabled,
        switches.new_session,
        switches.die_with_parent,
        switches.as_pid_1,
        switches.not_a_security_boundary,
    ];
    let of_flag = |on: bool| if on { Want::Yes } else { Want::No };
    let all = wants.into_iter().chain(flags.map(of_flag));
    let option = |((_, options), want): (&(&str, &[&str]), Want)| match want {
        Want::No => None,
        Want::Try => Some(format!("{}-try", options[0])),
        Want::Yes => Some(options[0].to_owned()),
    };
    SWITCHES.iter().zip(all).filter_map(option).collect()
}

fn operation(op: &Op) -> String {
    match op {
        Op::Bind { source, dest, access, devices, missing, .. } => {
            bind(source, *dest, *access, *devices, *missing)
        }
        Op::Same { path, access, missing, .. } => {
            format!("{} {access:?} {missing:?}", shown(*path))
        }
        Op::RemountRo(dest) => format!("--remount-ro {}", shown(*dest)),
        Op::Overlay { upper, layers, dest, .. } => {
            let layers = layers.iter().map(|layer| shown(*layer)).collect::<Vec<_>>().join(" ");
            let start = match upper {
                Upper::Host { rwsrc, workdir } => {
                    format!("--overlay {} {}", shown(*rwsrc), shown(*workdir))
                }
                Upper::Tmp => "--tmp-overlay".to_owned(),
                Upper::None => "--ro-overlay".to_owned(),
            };
            format!("{start} {} of {layers}", shown(*dest))
        }
        Op::ProcPid(dest) => format!("--proc-pid {}", shown(*dest)),
        Op::Proc(dest) => format!("--proc {}", shown(*dest)),
        Op::Dev(dest) => format!("--dev {}", shown(*dest)),
        Op::Tmpfs { dest, perms, size, .. } => {
            format!("--tmpfs {} {perms:o} {size:?}", shown(*dest))
        }
        Op::Mask(path) => format!("--mask {}", shown(*path)),
        Op::MaskGlob(patterns) => format!("--mask-glob {}", patterns.len()),
        Op::Mqueue(dest) => format!("--mqueue {}", shown(*dest)),
        Op::Dir { dest, perms } => format!("--dir {} {perms:o}", shown(*dest)),
        Op::File { fd, dest, perms } => format!("--file {fd} {} {perms:o}", shown(*dest)),
        Op::Data { fd, dest, perms, access, .. } => {
            let name = if *access == Access::ReadOnly { "--ro-bind-data" } else { "--bind-data" };
            format!("{name} {fd} {} {perms:o}", shown(*dest))
        }
        Op::Symlink { target, dest } => format!("--symlink {} {}", shown(*target), shown(*dest)),
        // The second parser does not know it.
        Op::Tar { fd, dest, .. } => format!("--tar {fd} {}", shown(*dest)),
        Op::Chmod { perms, path } => format!("--chmod {perms} {}", shown(*path)),
    }
}

fn bind(source: &Source, dest: Word, access: Access, devices: Devices, missing: Missing) -> String {
    let name = match (access, devices) {
        (Access::ReadOnly, Devices::Refused) => "--ro-bind",
        (Access::ReadWrite, Devices::Refused) => "--bind",
        (Access::ReadWrite, Devices::Allowed) => "--dev-bind",
        (Access::ReadOnly, Devices::Allowed) => "--no-such-bind",
    };
    let try_it = if missing == Missing::Skip { "-try" } else { "" };
    match source {
        Source::Path(path) => format!("{name}{try_it} {} {}", shown(*path), shown(dest)),
        Source::Fd(fd) => format!("{name}{try_it}-fd {fd} {}", shown(dest)),
    }
}
