//! What an earlier run has learned, read from the profile that it wrote.
//!
//! The file may have been edited. Only lines are taken that this run could have written itself: what
//! they give has to be something of this sandbox. All others stay, as comments.

use crate::error::{Error, Result, join};
use crate::profile::text;
use crate::record::learn::draft::{Draft, Grant, has_dev};
use crate::record::learn::lines::{HEAD, LEFT_OUT, MORE, REMOUNTS, TOLD, WANTED};
use crate::record::learn::places::{Places, SCRATCH, SHARED};
use crate::record::mounts::{Host, Kind};
use crate::word::Word;

/// What a profile says.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// Each line that is no comment, as it is, and its words.
    options: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// Comments.
    comments: Vec<Vec<u8>>,
}

impl Earlier {
    /// Reads a profile, with the variables that bwrap was started with.
    pub(crate) fn read(path: Word, bytes: &[u8], places: &Places) -> Result<Self> {
        let mut earlier = Self::default();
        let variable = |name: &[u8]| Ok(places.variable(name));
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let wrong = |problem: &str| {
                let mut text = join("--learn adds to profiles only:", path);
                text.extend_from_slice(format!(":{}: {problem}", index + 1).as_bytes());
                Error::new(text)
            };
            let words = match text::words(line, &variable) {
                Err(problem) if problem.contains("is not set") => {
                    earlier.comments.push([LEFT_OUT.as_bytes(), line].concat());
                    continue;
                }
                other => other.map_err(|problem| wrong(&problem))?,
            };
            match words.first() {
                None if line.trim_ascii().is_empty() => {}
                None => earlier.comments.push(line.trim_ascii().to_vec()),
                Some(first) if first.starts_with(b"--") => {
                    earlier.options.push((line.trim_ascii().to_vec(), words));
                }
                Some(_) => return Err(wrong("this is no option")),
            }
        }
        Ok(earlier)
    }

    /// Whether the earlier run has used the network.
    pub(crate) fn uses_network(&self) -> bool {
        self.options
            .iter()
            .any(|(_, words)| words.first().is_some_and(|word| word == b"--share-net"))
    }

    /// What it gives, by paths of the sandbox.
    pub(crate) fn dests(&self) -> impl Iterator<Item = Vec<u8>> {
        let dest = |(_, words): &(Vec<u8>, Vec<Vec<u8>>)| match words.as_slice() {
            [option, .., dest] if BINDS.contains(&option.as_slice()) && is_plain(dest) => {
                Some(dest.clone())
            }
            _ => None,
        };
        self.options.iter().filter_map(dest)
    }

    /// Adds what it gives, as far as this sandbox has that. The others are left.
    pub(crate) fn add_to(&self, draft: &mut Draft<'_>) -> Vec<Vec<u8>> {
        let mut left = Vec::new();
        for (line, words) in &self.options {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            if !add(draft, &words) {
                left.push(line.clone());
            }
        }
        left
    }

    /// The text with what is left of the earlier one; the number is how many lines are left out.
    pub(crate) fn keep(&self, lines: &mut Vec<String>, left: Vec<Vec<u8>>) -> usize {
        let mut number = 0;
        let known: std::collections::BTreeSet<Vec<u8>> =
            lines.iter().map(|line| line.clone().into_bytes()).collect();
        for line in left {
            let is_network = line == b"--unshare-net" || line == b"--share-net";
            let is_fixed = REMOUNTS.iter().any(|remount| remount.as_bytes() == line);
            if known.contains(&line) || is_network || is_fixed {
                continue;
            }
            number += 1;
            lines.push(format!("{LEFT_OUT}{}", String::from_utf8_lossy(&line)));
        }
        let mut made_up = 0;
        for comment in &self.comments {
            let begins =
                |words: &[&str]| words.iter().any(|word| comment.starts_with(word.as_bytes()));
            let is_repeated =
                begins(&["# needs: ", "# gives access to ", MORE]) || comment == HEAD.as_bytes();
            if is_repeated || known.contains(comment) {
                continue;
            }
            // What COMMAND calls things may be different in every run.
            let is_made_up = begins(&[WANTED, "# talks to ", "# listens at "]);
            made_up += usize::from(is_made_up);
            if !is_made_up || made_up <= TOLD {
                lines.push(String::from_utf8_lossy(comment).into_owned());
            }
        }
        number
    }
}

/// The options that give something of the host's.
const BINDS: [&[u8]; 5] = [b"--same", b"--ro-same", b"--bind", b"--ro-bind", b"--dev-bind"];

/// Adds what one line gives; the result is whether it was taken.
fn add(draft: &mut Draft<'_>, words: &[&[u8]]) -> bool {
    let grant = |write, device| Grant { write, device, ..Grant::default() };
    let (source, dest, grant) = match words {
        [b"--same", path] => (path, path, grant(true, false)),
        [b"--ro-same", path] => (path, path, grant(false, false)),
        [b"--bind", source, dest] => (source, dest, grant(true, false)),
        [b"--ro-bind", source, dest] => (source, dest, grant(false, false)),
        [b"--dev-bind", source, dest] => (source, dest, grant(false, true)),
        [b"--noexec" | b"--nosymfollow"] | [b"--perms" | b"--size", _] => return true,
        [b"--symlink", text, path] => return add_link(draft, text, path),
        [b"--dir", path] => {
            return add_part(draft, path, |part| _ = part.dirs.insert(path.to_vec()));
        }
        [b"--tmpfs", path] => return add_own(draft, path, "--tmpfs"),
        [b"--proc", path] => return add_own(draft, path, "--proc"),
        [b"--dev", path] => return add_own(draft, path, "--dev"),
        _ => return false,
    };
    let mounts = draft.mounts;
    let Some(mount) = mounts.beneath_masks(dest) else { return false };
    let Kind::Host { has_devices, .. } = mount.kind else { return false };
    let is_same = mount.on_host(dest).is_some_and(|host| host == *source);
    let host = Host::of(source).filter(|host| host.path == *source);
    let Some(host) = host.filter(|_| is_same && is_plain(dest)) else { return false };
    let is_more = grant.write && !mount.is_writable() || grant.device && !has_devices;
    let is_wide =
        host.is_directory && (draft.places.is_fixed(dest) || draft.places.is_fixed(source));
    if is_more || is_wide {
        return false;
    }
    let before = draft.parts.get(&mount.index).map_or(0, |part| part.grants.len());
    let is_known =
        draft.parts.get(&mount.index).is_some_and(|part| part.grants.contains_key(*dest));
    draft.give(mount, dest, Grant { directory: host.is_directory, ..grant });
    let after = draft.parts.get(&mount.index).map_or(0, |part| part.grants.len());
    is_known || after > before || draft.is_given(dest)
}

/// Whether a path is what the kernel would make of it.
fn is_plain(path: &[u8]) -> bool {
    let mut names = path.split(|&byte| byte == b'/').skip(1);
    path.starts_with(b"/")
        && (path == b"/" || names.all(|name| !matches!(name, b"" | b"." | b"..")))
}

fn add_part(
    draft: &mut Draft<'_>,
    path: &[u8],
    add: impl FnOnce(&mut crate::record::learn::draft::Part),
) -> bool {
    let mounts = draft.mounts;
    let Some(mount) = mounts.of(path).filter(|_| is_plain(path)) else { return false };
    if !matches!(mount.kind, Kind::Host { .. } | Kind::Base) {
        return false;
    }
    draft.parts.get_mut(&mount.index).map(add).is_some()
}

fn add_link(draft: &mut Draft<'_>, text: &[u8], path: &[u8]) -> bool {
    // What this run has found there counts.
    add_part(draft, path, |part| {
        _ = part.links.entry(path.to_vec()).or_insert_with(|| text.to_vec());
    })
}

/// What stands for a mount of its own: the option of this run, or a place in a bind.
fn add_own(draft: &mut Draft<'_>, path: &[u8], option: &'static str) -> bool {
    let mounts = draft.mounts;
    let Some(mount) = mounts.of(path).filter(|_| is_plain(path)) else { return false };
    let allowed = match (&mount.kind, option) {
        (Kind::Proc, "--proc") | (Kind::Dev, "--dev") | (Kind::Other, "--tmpfs") => {
            if mount.dest != path {
                return false;
            }
            return draft.parts.get_mut(&mount.index).map(|part| part.is_used = true).is_some();
        }
        (Kind::Host { .. }, "--proc") => path == b"/proc" && mount.has_whole(path),
        (Kind::Host { .. }, "--dev") => path == b"/dev" && has_dev(mount),
        (Kind::Host { .. }, "--tmpfs") => SCRATCH.contains(&path) || path == SHARED,
        _ => false,
    };
    allowed && add_part(draft, path, |part| _ = part.own.insert((path.to_vec(), option)))
}
