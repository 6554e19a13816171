//! The lines that a profile repeats from the run: everything that is not a question of files.

use std::ffi::CStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::config::op::{Extra, Op, Upper};
use crate::config::settle::Settled;
use crate::config::{Config, EnvEdit, Want};
use crate::confine::caps::{self, CapEdit};
use crate::confine::seccomp::policy::Policy;
use crate::profile::text::quoted;
use crate::word::Word;

/// An option with its words.
pub(crate) fn line(option: &str, words: &[&CStr]) -> String {
    let words = words.iter().map(|word| quoted(word.to_bytes()));
    [option.to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// A comment about an option that a profile cannot have.
pub(crate) fn needs(text: &str) -> String {
    format!("# needs: {text}")
}

/// What begins with `--` in a list of conditions.
fn switches<const N: usize>(all: [(bool, &str); N]) -> impl Iterator<Item = String> {
    all.into_iter().filter(|(is_given, _)| *is_given).map(|(_, option)| option.to_owned())
}

/// Namespaces and ids; the network is new unless it was used.
pub(crate) fn namespaces(config: &Config, uses_network: bool) -> Vec<String> {
    let wanted = config.namespaces;
    let yes = |want| want == Want::Yes;
    // One that was joined is none of the host's.
    let shares = !yes(wanted.net) && uses_network && config.fds.netns.is_none();
    let mut lines: Vec<_> = switches([
        (yes(wanted.user), "--unshare-user"),
        (yes(wanted.ipc), "--unshare-ipc"),
        (yes(wanted.pid), "--unshare-pid"),
        (!shares, "--unshare-net"),
        (shares, "--share-net"),
        (yes(wanted.uts), "--unshare-uts"),
        (yes(wanted.cgroup), "--unshare-cgroup"),
        (wanted.cgroup == Want::Try, "--unshare-cgroup-try"),
        (config.switches.disable_userns, "--disable-userns"),
        (config.switches.assert_userns_disabled, "--assert-userns-disabled"),
    ])
    .collect();
    lines.extend(config.uid.map(|uid| format!("--uid {uid}")));
    lines.extend(config.gid.map(|gid| format!("--gid {gid}")));
    for (option, ranges) in [("--uid-map", &config.maps.uid), ("--gid-map", &config.maps.gid)] {
        let line = |range: &crate::kernel::idmap::Range| {
            format!("{option} {} {} {}", range.inside, range.outside, range.count)
        };
        lines.extend(ranges.iter().map(line));
    }
    lines.extend(config.hostname.map(|name| line("--hostname", &[name])));
    lines
}

/// Whether a profile can name a variable.
fn is_variable(name: &CStr) -> bool {
    let bytes = name.to_bytes();
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    bytes.first().is_some_and(is_first)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// The environment. Values are never written down.
pub(crate) fn environment(config: &Config) -> Vec<String> {
    let edits = config.environment.iter().map(|edit| match edit {
        EnvEdit::Clear => "--clearenv".to_owned(),
        EnvEdit::Unset(name) => line("--unsetenv", &[name]),
        EnvEdit::Set(name, _) if is_variable(name) => {
            let name = name.to_string_lossy();
            format!("--setenv {name} \"${{{name}}}\"")
        }
        EnvEdit::Set(name, _) => needs(&format!("--setenv {} VALUE", quoted(name.to_bytes()))),
    });
    edits.collect()
}

/// Processes, capabilities, limits, filters.
pub(crate) fn rest(config: &Config) -> Vec<String> {
    let switches_of = config.switches;
    let landlock = &config.landlock;
    let mut lines: Vec<_> = switches([
        (switches_of.new_session, "--new-session"),
        (switches_of.die_with_parent, "--die-with-parent"),
        (switches_of.as_pid_1, "--as-pid-1"),
        (switches_of.forward_signals, "--forward-signals"),
        (switches_of.not_a_security_boundary, "--not-a-security-boundary"),
        (landlock.signals, "--scope-signals"),
        (landlock.abstract_unix, "--scope-abstract-unix"),
    ])
    .collect();
    lines.extend(config.timeout.map(|timeout| format!("--timeout {}", timeout.value())));
    lines.extend(landlock.connect.iter().map(|port| format!("--tcp-connect {port}")));
    lines.extend(landlock.bind.iter().map(|port| format!("--tcp-bind {port}")));
    lines.extend(landlock.udp_connect.iter().map(|port| format!("--udp-connect {port}")));
    lines.extend(landlock.udp_bind.iter().map(|port| format!("--udp-bind {port}")));
    lines.extend(landlock.unix.iter().map(|path| line("--unix-connect", &[path])));
    let families = config.families.as_ref().map(|families| families.shown().replace(' ', ""));
    lines.extend(families.map(|families| format!("--address-families {families}")));
    for edit in &config.caps {
        let (option, set) = match edit {
            CapEdit::Add(set) => ("--cap-add", *set),
            CapEdit::Drop(set) => ("--cap-drop", *set),
        };
        if set.count_ones() > 1 {
            lines.push(format!("{option} ALL"));
        } else {
            lines.extend(caps::names(set).iter().map(|name| format!("{option} {name}")));
        }
    }
    lines.extend(config.limits.iter().map(|limit| format!("--rlimit {limit}")));
    for setting in &config.cgroup {
        lines.push(line("--cgroup", &[setting.key, setting.value]));
    }
    lines.extend(config.apparmor.map(|profile| line("--apparmor", &[profile.name()])));
    lines.extend(config.exec_label.map(|label| line("--exec-label", &[label])));
    lines.extend(config.file_label.map(|label| line("--file-label", &[label])));
    for policy in &config.policies {
        lines.push(match policy {
            Policy::BuiltIn => "--seccomp-default".to_owned(),
            // A profile looks for it in its own directory.
            Policy::File(file) => format!("--seccomp-policy {}", quoted(&absolute(file))),
        });
    }
    lines.extend(config.lock_files.iter().map(|file| line("--lock-file", &[file])));
    lines.extend(config.argv0.map(|name| line("--argv0", &[name])));
    lines.extend(config.chdir.map(|dir| line("--chdir", &[dir])));
    lines
}

/// A path that means the same from everywhere.
fn absolute(file: &CStr) -> Vec<u8> {
    let path = std::ffi::OsStr::from_bytes(file.to_bytes());
    let found = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    found.into_os_string().into_encoded_bytes()
}

/// The options that name fds, but for those that tell the caller about this one run.
pub(crate) fn of_fds(config: &Settled) -> Vec<String> {
    let told =
        ["info-fd", "json-status-fd", "block-fd", "userns-block-fd", "dry-run-json", "error-fd"];
    let given = config.fds.each().into_iter().filter(|option| !told.contains(&option.name));
    let mut lines: Vec<_> = given
        .map(|option| match option.name {
            // Without it there is to be no network.
            "netns" => needs("--netns FD --share-net"),
            name => needs(&format!("--{name} FD")),
        })
        .collect();
    let programs = config.filters.iter().filter(|filter| filter.own);
    lines.extend(programs.map(|_| needs("--add-seccomp-fd FD")));
    lines
}

/// What modifies the next mount.
pub(crate) fn flags(extra: Extra) -> impl Iterator<Item = String> {
    switches([(extra.noexec, "--noexec"), (extra.nosymfollow, "--nosymfollow")])
}

/// An operation that is repeated as it is: what is not the host's. `dest` is its destination as a
/// word of the profile.
pub(crate) fn operation(op: &Op, dest: &str) -> Vec<String> {
    let option = op.option();
    if op.fd().is_some() {
        return vec![needs(&format!("{option} FD {dest}"))];
    }
    let mut lines = Vec::new();
    match op {
        Op::Bind { .. } | Op::Same { .. } => return lines,
        Op::Overlay { upper, layers, extra, .. } => {
            let layer = |layer: &Word| format!("--overlay-src {}", quoted(&absolute(layer)));
            lines.extend(layers.iter().map(layer));
            lines.extend(flags(*extra));
            if let Upper::Host { rwsrc, workdir } = upper {
                let [rwsrc, workdir] = [rwsrc, workdir].map(|path| quoted(&absolute(path)));
                lines.push(format!("{option} {rwsrc} {workdir} {dest}"));
                return lines;
            }
        }
        Op::Tmpfs { perms, size, extra, .. } => {
            lines.extend((*perms != 0o755).then(|| format!("--perms {perms:04o}")));
            lines.extend(size.map(|size| format!("--size {size}")));
            lines.extend(flags(*extra));
        }
        Op::Dir { perms, .. } => {
            lines.extend((*perms != 0o755).then(|| format!("--perms {perms:04o}")));
        }
        Op::MaskGlob(patterns) => {
            return patterns.iter().map(|pattern| line(option, &[pattern.text])).collect();
        }
        Op::Symlink { target, .. } => {
            return vec![format!("{option} {} {dest}", quoted(target.to_bytes()))];
        }
        Op::Chmod { perms, .. } => return vec![format!("{option} {perms:04o} {dest}")],
        // Those that name an fd do not come here.
        Op::RemountRo(_)
        | Op::Proc(_)
        | Op::ProcPid(_)
        | Op::Dev(_)
        | Op::Mqueue(_)
        | Op::Mask(_)
        | Op::File { .. }
        | Op::Data { .. }
        | Op::Tar { .. } => {}
    }
    lines.push(format!("{option} {dest}"));
    lines
}
