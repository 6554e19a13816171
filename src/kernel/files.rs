//! Whole files and whole writes, with errnos for what goes wrong.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag};
use nix::unistd::write;

use crate::kernel::sys::{SysResult, read_all, uninterrupted};

/// What kind of file it is: one of the `S_IF…` of inode(7).
pub(crate) const fn file_type(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}

/// Writes text to an existing file below a directory, in one write.
pub(crate) fn write_file(dir: BorrowedFd<'_>, path: &CStr, text: &[u8]) -> SysResult<()> {
    let file = openat(dir, path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let count = uninterrupted(|| write(&file, text))?;
    if count == text.len() { Ok(()) } else { Err(Errno::EIO) }
}

/// What a file below a directory says. More than `limit` bytes are EFBIG.
pub(crate) fn read_file(
    dir: BorrowedFd<'_>,
    path: &(impl NixPath + ?Sized),
    limit: usize,
) -> SysResult<Vec<u8>> {
    let file = openat(dir, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    read_all(file.as_raw_fd(), limit)
}

/// What stands behind a name at the beginning of a line, as in many files of /proc.
pub(crate) fn field<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let line = text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(name))?;
    Some(std::str::from_utf8(line).ok()?.trim())
}

/// Writes everything, in as many calls as it takes.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut text: &[u8]) -> SysResult<()> {
    while !text.is_empty() {
        let count = uninterrupted(|| write(fd, text))?;
        text = text.get(count..).unwrap_or_default();
    }
    Ok(())
}
