//! Programs: where one is found, and how its file begins.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, stat};
use nix::unistd::{AccessFlags, access};

use crate::kernel::environment;
use crate::kernel::files::file_type;
use crate::kernel::sys::{self, Arguments};

/// A program's first bytes.
pub(crate) fn head(path: &CStr) -> Option<Vec<u8>> {
    // Nothing else is opened, because the sandbox's files can be anything.
    if file_type(&stat(path).ok()?) != SFlag::S_IFREG {
        return None;
    }
    let opened = open(
        path,
        OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
        Mode::empty(),
    )
    .ok()?;
    beginning(opened)
}

/// The first bytes of a file that is open.
pub(crate) fn beginning(file: OwnedFd) -> Option<Vec<u8>> {
    let mut head = vec![0; 4096];
    let count = fs::File::from(file).read_at(&mut head, 0).ok()?;
    head.truncate(count);
    Some(head)
}

/// Where PATH leads if there is none, as glibc has it; musl looks in /usr/local/bin too.
const DEFAULT_PATH: &CStr = c"/bin:/usr/bin";

/// Where execvp(3) looks for a file, in order.
pub(crate) fn places(file: &CStr) -> Vec<CString> {
    if file.is_empty() || file.to_bytes().contains(&b'/') {
        return vec![file.to_owned()];
    }
    let path = environment::get(c"PATH").unwrap_or(DEFAULT_PATH);
    let of = |place: &[u8]| match place {
        // The working directory.
        b"" => Ok(file.to_owned()),
        place => CString::new([place, b"/", file.to_bytes()].concat()),
    };
    path.to_bytes().split(|&byte| byte == b':').filter_map(|place| of(place).ok()).collect()
}

/// Where execvp(3) finds a file.
pub(crate) fn found(file: &CStr) -> Option<CString> {
    let is_path = file.to_bytes().contains(&b'/');
    let may_be = |path: &CString| is_path || access(path.as_c_str(), AccessFlags::X_OK).is_ok();
    places(file).into_iter().find(may_be)
}

/// What executes a file that is not a binary.
const SHELL: &CStr = c"/bin/sh";

/// A program about to be executed: where it may be, and its arguments and environment. Executing it takes no memory
/// and no other call.
pub(crate) struct Program<'a> {
    places: Vec<CString>,
    arguments: Arguments<'a>,
    /// The same for a shell that runs it as a script.
    script: Arguments<'a>,
    variables: Arguments<'static>,
    is_too_long: bool,
}

impl<'a> Program<'a> {
    /// Looks nothing up yet.
    pub(crate) fn new(file: &CStr, words: &[&'a CStr]) -> Self {
        const NAME_MAX: usize = 255;
        // The second word is replaced by the path at which the script is found.
        let script: Vec<_> =
            [SHELL, SHELL].into_iter().chain(words.iter().copied().skip(1)).collect();
        let is_name = !file.to_bytes().contains(&b'/');
        Self {
            places: places(file),
            arguments: Arguments::of(words),
            script: Arguments::of(&script),
            variables: Arguments::of(&environment::all()),
            is_too_long: is_name && file.count_bytes() > NAME_MAX,
        }
    }

    /// execvp(3) as glibc has it, which musl does differently: a file that is neither a program nor
    /// begins with `#!` is a shell's script. Returns only if nothing can be executed.
    pub(crate) fn execute(&mut self) -> Errno {
        if self.is_too_long {
            return Errno::ENAMETOOLONG;
        }
        let mut refused = false;
        let mut last = Errno::ENOENT;
        for path in &self.places {
            last = sys::execve(path, &mut self.arguments, None, &self.variables);
            if last == Errno::ENOEXEC {
                last = sys::execve(SHELL, &mut self.script, Some(path), &self.variables);
            }
            match last {
                Errno::EACCES => refused = true,
                Errno::ENOENT
                | Errno::ESTALE
                | Errno::ENOTDIR
                | Errno::ENODEV
                | Errno::ETIMEDOUT => {}
                other => return other,
            }
        }
        if refused { Errno::EACCES } else { last }
    }
}

/// `PT_INTERP` of elf(5).
const INTERPRETER: u64 = 3;

/// The interpreter in a program's first bytes: after `#!`, or what its ELF header says.
pub(crate) fn interpreter(head: &[u8]) -> Option<Vec<u8>> {
    if let Some(rest) = head.strip_prefix(b"#!") {
        let line = rest.split(|&byte| byte == b'\n').next()?;
        // The kernel knows no other blanks.
        let mut words = line.split(|&byte| matches!(byte, b' ' | b'\t'));
        return words.find(|word| !word.is_empty() && *word != b"\r").map(<[u8]>::to_vec);
    }
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    };
    let index = |number: u64| usize::try_from(number).ok();
    // 64 bits, little endian.
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) =
        (index(number(32, 8)?)?, index(number(54, 2)?)?, index(number(56, 2)?)?);
    let starts = (0..count).filter_map(|row| table.checked_add(row.checked_mul(size)?));
    let row = starts.into_iter().find(|&row| number(row, 4) == Some(INTERPRETER))?;
    let (offset, length) = (index(number(row + 8, 8)?)?, index(number(row + 32, 8)?)?);
    let name = head.get(offset..offset.checked_add(length)?)?;
    name.split(|&byte| byte == 0).next().map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_found() {
        assert_eq!(interpreter(b"#!/bin/sh -e\necho"), Some(b"/bin/sh".to_vec()));
        assert_eq!(interpreter(b"#! /usr/bin/env perl"), Some(b"/usr/bin/env".to_vec()));
        assert_eq!(interpreter(b"#!/bin/sh\r\necho"), Some(b"/bin/sh\r".to_vec()));
        assert_eq!(interpreter(b"#!/bin/sh -e\r\necho"), Some(b"/bin/sh".to_vec()));
        for head in [&b"#!"[..], b"#!\n", b"", b"text", b"\x7fELF\x01\x01", b"\x7fELF\x02\x01"] {
            assert_eq!(interpreter(head), None, "{head:?}");
        }
        let mut elf = b"\x7fELF\x02\x01".to_vec();
        elf.resize(120, 0);
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 1;
        elf[64] = 3;
        elf[64 + 8] = 120;
        elf[64 + 32] = 11;
        elf.extend(b"/lib/ld.so\0");
        assert_eq!(interpreter(&elf), Some(b"/lib/ld.so".to_vec()));
        for at in [32, 33, 39, 64 + 9, 64 + 15, 64 + 33, 64 + 39] {
            let mut wrong = elf.clone();
            wrong[at] = 0xff;
            assert_eq!(interpreter(&wrong), None, "{at}");
        }
    }
}
