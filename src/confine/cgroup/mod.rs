//! `--cgroup`: what is asked for, file by file of a control group, see cgroups(7).
//! [`crate::confine::cgroup::place`] finds a place for the group, and
//! [`crate::confine::cgroup::leaf`] makes it.

pub(crate) mod dir;
pub(crate) mod leaf;
pub(crate) mod place;

use std::ffi::CStr;

use nix::errno::Errno;

use crate::error::{Error, Result, join};
use crate::word::Word;

/// One file of the sandbox's control group, and what is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The file's name, like `memory.max`.
    pub(crate) key: Word,
    /// The value, written unchanged: only the kernel knows what each file accepts.
    pub(crate) value: Word,
}

/// The files that every group has and that limit it. The others would move or stop the sandbox, or
/// change what the group is.
const CORE: [&[u8]; 3] = [b"cgroup.max.depth", b"cgroup.max.descendants", b"cgroup.pressure"];

impl Setting {
    /// A setting from the name of a file and one line of text.
    pub(crate) fn parse(key: Word, value: Word) -> Result<Self> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let name = key.to_bytes();
        let has_form = name.split(|&byte| byte == b'.').count() > 1
            && name.split(|&byte| byte == b'.').all(|part| !part.is_empty());
        if !has_form || !name.iter().copied().all(known) {
            return Err(Error::about(
                "--cgroup takes the name of a control group's file, like memory.max, not",
                key,
            ));
        }
        if name.starts_with(b"cgroup.") && !CORE.contains(&name) {
            return Err(Error::about("--cgroup sets limits, and cannot set", key));
        }
        if value.is_empty() || value.to_bytes().contains(&b'\n') {
            return Err(Error::new(
                [&join("--cgroup", key), &b" takes one line of text"[..]].concat(),
            ));
        }
        Ok(Self { key, value })
    }

    /// The file's name as text, which it is.
    pub(crate) fn name(self) -> &'static str {
        self.key.to_str().unwrap_or_default()
    }

    /// The controller that the file belongs to; none for the files that every group has.
    pub(crate) fn controller(self) -> Option<&'static str> {
        self.name()
            .split_once('.')
            .map(|(controller, _)| controller)
            .filter(|&controller| controller != "cgroup")
    }
}

/// The controllers that settings need, each once.
pub(crate) fn controllers(settings: &[Setting]) -> Vec<&'static str> {
    let mut needed: Vec<&str> = Vec::new();
    for controller in settings.iter().filter_map(|setting| setting.controller()) {
        if !needed.contains(&controller) {
            needed.push(controller);
        }
    }
    needed
}

/// A process of the sandbox that could not be made, which may well be what was asked for.
pub(crate) fn fork_failure(what: &str, errno: Errno, settings: &[Setting]) -> Error {
    if errno == Errno::EAGAIN && settings.iter().any(|setting| setting.key == c"pids.max") {
        return Error::os(
            format!("{what} (--cgroup pids.max counts every process of the sandbox)"),
            errno,
        );
    }
    Error::os(what, errno)
}

/// What `0::` begins in /proc/PID/cgroup: the group of version 2, as a path from the root of the
/// hierarchy.
pub(crate) fn own_path(text: &[u8]) -> Option<&[u8]> {
    text.split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))
        .filter(|path| path.starts_with(b"/"))
}

/// The whole number that a line `NAME NUMBER` of a file like `cgroup.events` has.
pub(crate) fn field(text: &[u8], name: &CStr) -> Option<u64> {
    let value = |line: &[u8]| {
        std::str::from_utf8(line.strip_prefix(name.to_bytes())?.strip_prefix(b" ")?)
            .ok()?
            .parse()
            .ok()
    };
    text.split(|&byte| byte == b'\n').find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names_of_files() {
        for (key, controller) in [
            (c"memory.max", Some("memory")),
            (c"memory.swap.max", Some("memory")),
            (c"hugetlb.2MB.max", Some("hugetlb")),
            (c"io.bfq.weight", Some("io")),
            (c"cpu.max", Some("cpu")),
            (c"cgroup.max.depth", None),
        ] {
            let setting = Setting::parse(key, c"1").ok();
            assert_eq!(setting, Some(Setting { key, value: c"1" }), "{key:?}");
            assert_eq!(setting.and_then(Setting::controller), controller, "{key:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for key in [
            c"",
            c".",
            c"..",
            c"memory",
            c"memory.",
            c".max",
            c"memory..max",
            c"../memory.max",
            c"a/memory.max",
            c"memory.max\n",
            c"memory max",
            c"memory.m\xe4x",
            c"cgroup.procs",
            c"cgroup.threads",
            c"cgroup.subtree_control",
            c"cgroup.type",
            c"cgroup.kill",
            c"cgroup.freeze",
        ] {
            assert!(Setting::parse(key, c"1").is_err(), "{key:?}");
        }
        for value in [c"", c"\n", c"1\n2"] {
            assert!(Setting::parse(c"memory.max", value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn controllers_are_named_once() {
        let all = [
            (c"pids.max", c"5"),
            (c"memory.max", c"1"),
            (c"cgroup.pressure", c"0"),
            (c"memory.high", c"1"),
        ];
        let settings: Vec<_> =
            all.iter().filter_map(|&(key, value)| Setting::parse(key, value).ok()).collect();
        assert_eq!(controllers(&settings), ["pids", "memory"]);
    }

    #[test]
    fn files_are_read() {
        assert_eq!(own_path(b"4:memory:/x\n0::/user.slice/a b\n"), Some(&b"/user.slice/a b"[..]));
        assert_eq!(own_path(b"0::/\n"), Some(&b"/"[..]));
        assert_eq!(own_path(b"4:memory:/x\n"), None);
        assert_eq!(field(b"populated 1\nfrozen 0\n", c"frozen"), Some(0));
        assert_eq!(field(b"populated 1\nfrozen 0\n", c"populated"), Some(1));
        assert_eq!(field(b"populated\n", c"populated"), None);
    }
}
