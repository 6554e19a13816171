//! A draft as the lines of a profile.

use std::collections::BTreeSet;
use std::ffi::CString;

use crate::config::Config;
use crate::config::op::Op;
use crate::config::settle::Settled;
use crate::profile::text::quoted;
use crate::record::learn::draft::{Draft, Grant, Part};
use crate::record::learn::places;
use crate::record::learn::repeat;
use crate::record::mounts::{Kind, Mount, is_within};

/// The first line of every profile that is learned.
pub(crate) const HEAD: &str =
    "# A profile that bwrap --learn wrote, for bwrap --profile FILE COMMAND.";

/// How what was wanted and not given begins.
pub(crate) const WANTED: &str = "# wanted to create ";

/// How a line begins that counts what is too much to be named: COMMAND makes names up as it likes.
pub(crate) const MORE: &str = "# and ";

/// How many names of one kind are told in comments.
pub(crate) const TOLD: usize = 100;

/// What makes read-only what stands for a read-only bind.
pub(crate) const REMOUNTS: [&str; 2] = ["--remount-ro /", "--remount-ro /proc"];

/// How what a profile once said and may not say begins.
pub(crate) const LEFT_OUT: &str = "# left out: ";

/// The whole text, without what an earlier one had.
pub(crate) fn all(draft: &Draft<'_>, config: &Settled, uses_network: bool) -> Vec<String> {
    let mut lines = vec![HEAD.to_owned()];
    lines.extend(repeat::namespaces(config, uses_network));
    let peers = draft.seen.network.iter().chain(&draft.seen.abstracts);
    lines.extend(told(peers.map(|peer| format!("# {peer}")), "addresses"));
    lines.extend(repeat::environment(config));
    lines.extend(files(draft, config));
    lines.extend(repeat::rest(config));
    lines.extend(repeat::of_fds(config));
    let wanted = |path: &Vec<u8>| format!("{WANTED}{}: not granted", draft.places.word(path));
    lines.extend(told(draft.refused.iter().map(wanted), "names that it wanted to create"));
    lines
}

/// As many of these lines as are of use, and how many more there would be.
fn told(lines: impl Iterator<Item = String>, what: &str) -> Vec<String> {
    let mut lines = lines.collect::<Vec<_>>();
    let more = lines.len().saturating_sub(TOLD);
    if more > 0 {
        lines.truncate(TOLD);
        lines.push(format!("{MORE}{more} more {what}"));
    }
    lines
}

/// The file system, operation by operation: so what covered something still does.
fn files(draft: &Draft<'_>, config: &Config) -> Vec<String> {
    let dests = dests(draft);
    let mut lines = Vec::new();
    let mut is_bound = false;
    for (number, op) in config.ops.iter().enumerate() {
        let mount = draft.mounts.iter().find(|mount| mount.index == number + 1);
        let part = draft.parts.get(&(number + 1));
        match (mount, part) {
            (Some(mount), Some(part)) if matches!(mount.kind, Kind::Host { .. }) => {
                is_bound |= mount.dest == b"/" && (!mount.is_writable() || mount.extra.noexec);
                if covers(draft, mount) && part.grants.is_empty() {
                    lines.extend(masked(draft, mount));
                } else {
                    lines.extend(of_part(draft, mount, part, &dests));
                }
            }
            // It hides what is there, and it is no matter if nothing is.
            (Some(mount), _) if mount.kind == Kind::Mask => {
                lines.extend(repeated(draft, (number, op)));
            }
            (Some(mount), Some(part)) if part.is_used || covers(draft, mount) => {
                lines.extend(repeated(draft, (number, op)));
            }
            (None, _) if is_left(draft, (number, op)) => {
                lines.extend(repeated(draft, (number, op)));
            }
            _ => {}
        }
    }
    // What was bound there could not be written to, and neither can what is there instead.
    if is_bound {
        lines.push(REMOUNTS[0].to_owned());
    }
    // An earlier run may have found in the root what an option of this one makes there.
    let root = draft.mounts.iter().next().zip(draft.parts.get(&0));
    let root = root.into_iter().flat_map(|(mount, part)| of_part(draft, mount, part, &dests));
    let found: Vec<_> = root.filter(|line| !lines.contains(line)).collect();
    [found, lines].concat()
}

/// An operation that is repeated. Its destination is written without links: those may not be there.
fn repeated(draft: &Draft<'_>, (number, op): (usize, &Op)) -> Vec<String> {
    let dest = draft.mounts.place(number).unwrap_or_else(|| op.dest().to_bytes());
    let word = draft.places.word(dest);
    let mut lines = repeat::operation(op, &word);
    let mount = draft.mounts.iter().find(|mount| mount.index == number + 1);
    if op.fd().is_some() && mount.is_some_and(|mount| covers(draft, mount)) {
        // Without the open file, what it covered would be there.
        lines.push(format!("--mask {word}"));
    }
    if let Op::MaskGlob(patterns) = op {
        // What links led to.
        let hidden = draft.mounts.iter().filter(|mount| mount.index == number + 1);
        let led_to = hidden.filter(|mount| {
            let path = CString::new(mount.dest.clone()).unwrap_or_default();
            is_given(draft, mount) && !patterns.iter().any(|pattern| pattern.takes(&path))
        });
        lines.extend(led_to.map(|mount| format!("--mask {}", draft.places.word(&mount.dest))));
    }
    lines
}

/// Whether what a mask hides would be there.
fn is_given(draft: &Draft<'_>, mask: &Mount) -> bool {
    let mut given = draft.parts.range(..mask.index).flat_map(|(_, part)| part.grants.keys());
    given.any(|path| is_within(&mask.dest, path))
}

/// Whether something that makes no mount of its own still has what it is about.
fn is_left(draft: &Draft<'_>, (number, op): (usize, &Op)) -> bool {
    let (Op::Chmod { path, .. } | Op::RemountRo(path)) = op else {
        return !matches!(op, Op::Bind { .. } | Op::Same { .. });
    };
    let mount = draft.mounts.of(draft.mounts.place(number).unwrap_or_else(|| path.to_bytes()));
    mount.is_some_and(|mount| {
        let is_used = draft.parts.get(&mount.index).is_some_and(|part| part.is_used);
        !matches!(mount.kind, Kind::Host { .. }) && is_used
    })
}

/// Whether a mount covers a part of a directory that is given, or of a whole procfs or /dev.
fn covers(draft: &Draft<'_>, mount: &Mount) -> bool {
    let mut earlier = draft.parts.range(..mount.index).map(|(_, part)| part);
    earlier.any(|part| {
        let given = part.grants.iter().filter(|(_, grant)| grant.directory).map(|(path, _)| path);
        let own = part.own.iter().filter(|(_, option)| *option != "--tmpfs").map(|(path, _)| path);
        given.chain(own).any(|path| is_within(&mount.dest, path))
    })
}

/// A bind that nobody has used but that covers something.
fn masked(draft: &Draft<'_>, mount: &Mount) -> Vec<String> {
    let Kind::Host { source, is_writable, has_devices } = &mount.kind else { return Vec::new() };
    let grant = Grant {
        write: *is_writable,
        device: *has_devices,
        directory: source.is_directory,
        socket: false,
    };
    let line = bind(draft, &source.path, &mount.dest, grant);
    repeat::flags(mount.extra).chain([line]).collect()
}

/// Where something will be mounted or made.
fn dests(draft: &Draft<'_>) -> BTreeSet<Vec<u8>> {
    let of_part = |part: &Part| {
        let own = part.own.iter().map(|(path, _)| path.clone());
        let grants = part.grants.keys().chain(part.links.keys()).cloned();
        own.chain(grants).collect::<Vec<_>>()
    };
    draft.parts.values().flat_map(of_part).collect()
}

/// What one mount is replaced by.
fn of_part(
    draft: &Draft<'_>,
    mount: &Mount,
    part: &Part,
    dests: &BTreeSet<Vec<u8>>,
) -> Vec<String> {
    let mut entries: Vec<(Vec<u8>, u8, Vec<String>)> = Vec::new();
    for (path, option) in &part.own {
        let is_tmpfs = *option == "--tmpfs";
        let mut lines: Vec<_> = repeat::flags(mount.extra).filter(|_| is_tmpfs).collect();
        lines.push(format!("{option} {}", quoted(path)));
        if *option == "--proc" && !mount.is_writable() {
            lines.push(REMOUNTS[1].to_owned());
        }
        entries.push((path.clone(), 0, lines));
    }
    for (path, grant) in &part.grants {
        let Some(host) = mount.on_host(path) else { continue };
        let mut lines = Vec::new();
        if grant.socket {
            lines.push(format!("# gives access to {}", places::socket(path)));
        }
        lines.extend(repeat::flags(mount.extra));
        lines.push(bind(draft, &host, path, *grant));
        entries.push((path.clone(), 1, lines));
    }
    for (path, text) in &part.links {
        let line = format!("--symlink {} {}", quoted(text), draft.places.word(path));
        entries.push((path.clone(), 2, vec![line]));
    }
    for path in &part.dirs {
        let next = dests.range(path.clone()..).take(2).any(|dest| is_within(dest, path));
        let below = part.dirs.range(path.clone()..).nth(1).is_some_and(|dir| is_within(dir, path));
        if !next && !below {
            entries.push((path.clone(), 3, vec![format!("--dir {}", draft.places.word(path))]));
        }
    }
    entries.sort();
    entries.into_iter().flat_map(|(.., lines)| lines).collect()
}

/// A bind.
fn bind(draft: &Draft<'_>, host: &[u8], path: &[u8], grant: Grant) -> String {
    let (source, dest) = (draft.places.word(host), draft.places.word(path));
    let (alike, option) = match (grant.device, grant.write) {
        (true, _) => (None, "--dev-bind"),
        (false, true) => (Some("--same"), "--bind"),
        (false, false) => (Some("--ro-same"), "--ro-bind"),
    };
    match alike {
        Some(alike) if host == path => format!("{alike} {dest}"),
        _ => format!("{option} {source} {dest}"),
    }
}
