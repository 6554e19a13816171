//! Why COMMAND cannot be executed: in the sandbox, once that has failed, or from outside, before
//! anything is done.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, stat};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access, getcwd};

use crate::config::op::{Op, is_nameless};
use crate::explain::inside::{Here, Node, View, walk};
use crate::kernel::environment;
use crate::kernel::files::file_type;
use crate::kernel::program::{found, head, interpreter, places};

/// How many interpreters may need another one.
const DEPTH: usize = 5;

/// What is probably behind the errno of execvp(3), in the sandbox. `outside` is where the host has
/// the file.
pub(crate) fn refused(
    file: &CStr,
    ops: &[Op],
    outside: Option<&CStr>,
    errno: Errno,
) -> Option<String> {
    match errno {
        Errno::ENOENT if file.to_bytes().contains(&b'/') => {
            let path = absolute(file)?;
            dangling(&Here, &path)
                .or_else(|| lacks(&Here, &path))
                .or_else(|| covered(ops).filter(|_| is_missing(&path)))
                .or_else(|| only_outside(outside?).filter(|_| is_missing(&path)))
        }
        Errno::ENOENT => match found(file) {
            Some(path) => lacks(&Here, path.to_bytes()),
            None => covered(ops).or_else(|| Some(not_in_path(&Here, file, outside))),
        },
        Errno::EACCES => places(file).iter().find_map(|path| {
            let name = path.to_string_lossy();
            forbidden(path, &name).or_else(|| lacks(&Here, &absolute(path)?))
        }),
        _ => None,
    }
}

/// A path from the root.
fn absolute(path: &CStr) -> Option<Vec<u8>> {
    if path.to_bytes().starts_with(b"/") {
        return Some(path.to_bytes().to_vec());
    }
    let here = getcwd().ok()?;
    Some([here.as_os_str().as_encoded_bytes(), b"/", path.to_bytes()].concat())
}

fn is_missing(path: &[u8]) -> bool {
    walk(&Here, path).node == Node::Missing
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// A path that leads nowhere because of a link.
fn dangling(view: &impl View, path: &[u8]) -> Option<String> {
    let found = walk(view, path);
    let why = found.why_missing("").filter(|_| !found.links.is_empty())?;
    let at = found.links.first().map_or(path, |(at, _)| at);
    Some(format!("{} {why}", shown(at)))
}

/// What the host has and the sandbox lacks.
fn only_outside(outside: &CStr) -> Option<String> {
    let path = outside.to_str().ok()?;
    Some(format!("{path} is on the host, but not in the sandbox: --ro-same {path} shows it there"))
}

/// A mount on the root of the sandbox that hides what earlier options have put there.
fn covered(ops: &[Op]) -> Option<String> {
    let on_root = |op: &Op| op.covers() && is_nameless(op.dest().to_bytes());
    let index = ops.iter().rposition(on_root).filter(|&index| index > 0)?;
    let op = ops.get(index)?;
    let (option, dest) = (op.option(), shown(op.dest().to_bytes()));
    Some(format!(
        "{option} at {dest} covers everything that earlier options have created: {dest} is the \
         sandbox's root, so this option must come first"
    ))
}

/// Why no directory of PATH has a file, if none has.
pub(crate) fn not_in_path(view: &impl View, file: &CStr, outside: Option<&CStr>) -> String {
    if let Some(text) = places(file).iter().find_map(|path| dangling(view, path.to_bytes())) {
        return text;
    }
    let outside = outside.map_or_else(String::new, |path| {
        format!("; the host has it at {}", path.to_string_lossy())
    });
    let file = file.to_string_lossy();
    match environment::get(c"PATH") {
        None => format!(
            "PATH is not set in the sandbox: use --setenv PATH, or name {file} by its whole path{outside}"
        ),
        Some(path) => format!(
            "{file} is in no directory of the sandbox's PATH, which is {}{outside}",
            path.to_string_lossy()
        ),
    }
}

/// What a program that is there needs and cannot have: its loader, or the interpreter after `#!`.
pub(crate) fn lacks(view: &impl View, path: &[u8]) -> Option<String> {
    let mut path = path.to_vec();
    for _ in 0..DEPTH {
        let Node::File(Some(reached)) = walk(view, &path).node else { return None };
        let needed = interpreter(&head(&reached)?)?;
        let name = shown(&path);
        if let Some(line) = needed.strip_suffix(b"\r") {
            return Some(format!(
                "{name} is there, but its first line ends in CR LF, so it needs a program called \"{}\\r\": sed -i 's/\\r$//' {name}",
                shown(line)
            ));
        }
        if let Some(why) = walk(view, &needed).why_missing("is not in the sandbox") {
            return Some(format!("{name} is there, but it needs {}, which {why}", shown(&needed)));
        }
        if let Node::File(Some(reached)) = walk(view, &needed).node
            && let Some(why) = forbidden(&reached, &shown(&needed))
        {
            return Some(format!("{name} needs a program that cannot be executed: {why}"));
        }
        path = needed;
    }
    None
}

/// Why a file cannot be executed.
pub(crate) fn forbidden(path: &CStr, name: &str) -> Option<String> {
    let status = stat(path).ok()?;
    if file_type(&status) == SFlag::S_IFDIR {
        return Some(format!("{name} is a directory"));
    }
    if status.st_mode & 0o111 == 0 {
        let mode = status.st_mode & 0o7777;
        return Some(format!("{name} is not executable, its mode is {mode:04o}: chmod +x {name}"));
    }
    if statvfs(path).is_ok_and(|status| status.flags().contains(FsFlags::ST_NOEXEC)) {
        return Some(format!("{name} is on a mount with noexec"));
    }
    if access(path, AccessFlags::X_OK).is_err() {
        return Some(format!("{name} cannot be executed by this user"));
    }
    None
}
