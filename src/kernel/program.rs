//! Programs: where one is found, and how its file begins.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, stat};
use nix::unistd::{AccessFlags, access};

use crate::kernel::environment;
use crate::kernel::sys::{self, Arguments};

/// A program's first bytes.
pub(crate) fn head(path: &CStr) -> Option<Vec<u8>> {
    // Nothing else may be opened: the sandbox's files are whatever somebody has put there.
    if SFlag::from_bits_truncate(stat(path).ok()?.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG
    {
        return None;
    }
    let opened = open(
        path,
        OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
        Mode::empty(),
    )
    .ok()?;
    let mut head = vec![0; 4096];
    let count = fs::File::from(opened).read_at(&mut head, 0).ok()?;
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

/// What executes a file that is no program.
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
        // The second word is where it was found, which only execution tells.
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
