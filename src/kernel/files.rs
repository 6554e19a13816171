//! Whole files and whole writes, with errnos for what goes wrong.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag};
use nix::unistd::{read, write};

use crate::kernel::sys::{SysResult, uninterrupted};

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
    read_all(file.as_fd(), limit)
}

/// Reads a file to its end. More than `limit` bytes are EFBIG.
pub(crate) fn read_all(file: BorrowedFd<'_>, limit: usize) -> SysResult<Vec<u8>> {
    let mut data = Vec::new();
    let mut buffer = [0_u8; 16 * 1024];
    loop {
        let count = uninterrupted(|| read(file, &mut buffer))?;
        if count == 0 {
            return Ok(data);
        }
        data.extend(buffer.iter().take(count));
        if data.len() > limit {
            return Err(Errno::EFBIG);
        }
    }
}

/// The text after a name at the beginning of a line, as in many files of /proc.
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
