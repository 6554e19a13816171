//! User and group id maps, and the nested user namespace, see user_namespaces(7).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::write;

use crate::error::{Context, Error, Result};
use crate::sys::{SysResult, read_all, uninterrupted};

/// The one line of an id map: the id inside and the id outside it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Map {
    /// The id in the namespace.
    pub(crate) inside: u32,
    /// The id in its parent.
    pub(crate) outside: u32,
}

impl Map {
    /// The line as the kernel reads it.
    fn line(self) -> String {
        format!("{} {} 1\n", self.inside, self.outside)
    }
}

/// Whether setgroups(2) is still to be given up, which has to come before a group map by an ordinary user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Groups {
    /// Give it up.
    Deny,
    /// The parent namespace has done so.
    Inherited,
}

/// Writes text to an existing file below a directory, in one write.
pub(crate) fn write_file(dir: BorrowedFd<'_>, path: &CStr, text: &[u8]) -> SysResult<()> {
    let file = openat(dir, path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let count = uninterrupted(|| write(&file, text))?;
    if count == text.len() { Ok(()) } else { Err(Errno::EIO) }
}

/// Writes this process's own maps through an open /proc.
pub(crate) fn write_maps(proc: BorrowedFd<'_>, uid: Map, gid: Map, groups: Groups) -> Result<()> {
    write_file(proc, c"self/uid_map", uid.line().as_bytes()).context("setting up uid map")?;
    if groups == Groups::Deny {
        match write_file(proc, c"self/setgroups", b"deny\n") {
            // Kernels that have no such file need no such promise.
            Err(Errno::ENOENT) => {}
            other => other.context("error writing to setgroups")?,
        }
    }
    write_file(proc, c"self/gid_map", gid.line().as_bytes()).context("setting up gid map")
}

/// Checks that somebody else has written the maps. Without them every id would be the overflow id, and not the one that was meant.
pub(crate) fn assert_mapped(proc: BorrowedFd<'_>) -> Result<()> {
    for path in [c"self/uid_map", c"self/gid_map"] {
        let map = openat(proc, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let map = map.and_then(|file| read_all(file.as_raw_fd(), 64 * 1024)).context("Can't read the id maps")?;
        if map.is_empty() {
            return Err(Error::new("The id maps were not written before --userns-block-fd was readable"));
        }
    }
    Ok(())
}

/// Makes the current user namespace's limit one more namespace, which is about to be used up.
pub(crate) fn limit_user_namespaces(proc: BorrowedFd<'_>) -> Result<()> {
    write_file(proc, c"sys/user/max_user_namespaces", b"1").context("cannot set /proc/sys/user/max_user_namespaces")
}

/// Finds out by trying that no further user namespace can be made. If it can, this process is of no more use.
pub(crate) fn assert_disabled() -> Result<()> {
    match unshare(CloneFlags::CLONE_NEWUSER) {
        Ok(()) => Err(Error::new("creation of new user namespaces was not disabled as requested")),
        // That is no answer: with more memory it might have been made.
        Err(Errno::ENOMEM) => Err(Errno::ENOMEM).context("Can't find out whether user namespaces are disabled"),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_lines_are_what_the_kernel_reads() {
        assert_eq!(Map { inside: 0, outside: 1000 }.line(), "0 1000 1\n");
        assert_eq!(Map { inside: u32::MAX - 1, outside: 0 }.line(), "4294967294 0 1\n");
    }
}
