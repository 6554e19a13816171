//! Removing trees that an archive has made: of any depth, with few open files, and never what is
//! mounted in them.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use libc::dev_t;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::kernel::directory::Entries;
use crate::kernel::files::file_type;
use crate::kernel::sys::SysResult;

/// Names, by the inode of their directory.
pub(crate) type Names = HashSet<(u64, Box<[u8]>)>;

/// Whether it is a directory.
pub(crate) fn is_directory(status: &FileStat) -> bool {
    file_type(status) == SFlag::S_IFDIR
}

/// Removes what is in a directory of this file system, but for these names and what leads to them.
/// Directories where that has been done are left out, and those where it is done are added to them.
pub(crate) fn clear(
    dir: OwnedFd,
    device: dev_t,
    kept: &Names,
    done: &mut HashSet<u64>,
) -> SysResult<()> {
    let mut here = dir;
    let mut scan_once = |dir: BorrowedFd<'_>| {
        let is_new = done.insert(fstat(dir)?.st_ino);
        if is_new { scan(dir, device, kept) } else { Ok(Vec::new()) }
    };
    let mut levels = vec![(OsString::new(), scan_once(here.as_fd())?)];
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    while let Some((_, todo)) = levels.last_mut() {
        if let Some(next) = todo.pop() {
            here = openat(&here, next.as_os_str(), flags, Mode::empty())?;
            let inside = scan_once(here.as_fd())?;
            levels.push((next, inside));
            continue;
        }
        let name = levels.pop().map(|(name, _)| name).unwrap_or_default();
        if levels.is_empty() {
            break;
        }
        here = openat(&here, c"..", flags, Mode::empty())?;
        if !is_kept(here.as_fd(), &name, kept)? {
            remove_empty(here.as_fd(), &name)?;
        }
    }
    Ok(())
}

/// Removes a directory if there is nothing in it that is kept.
pub(crate) fn remove_empty(dir: BorrowedFd<'_>, name: &OsStr) -> SysResult<()> {
    match unlinkat(dir, name, UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOTEMPTY) => Ok(()),
        other => other,
    }
}

fn is_kept(dir: BorrowedFd<'_>, name: &OsStr, kept: &Names) -> SysResult<bool> {
    Ok(!kept.is_empty() && kept.contains(&(fstat(dir)?.st_ino, name.as_bytes().into())))
}

/// Removes what is not a directory from one; the result is the directories.
fn scan(dir: BorrowedFd<'_>, device: dev_t, kept: &Names) -> SysResult<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut names = Vec::new();
    let listed = openat(dir, c".", flags, Mode::empty())?;
    let mut entries = Entries::default();
    while entries.read(listed.as_fd())? {
        names.extend(entries.iter().map(|(name, _)| OsStr::from_bytes(name.to_bytes()).to_owned()));
    }
    drop(listed);
    let mut directories = Vec::new();
    for name in names {
        let status = fstatat(dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if status.st_dev != device {
            return Err(Errno::EXDEV);
        }
        if is_directory(&status) {
            directories.push(name);
        } else if !is_kept(dir, &name, kept)? {
            unlinkat(dir, name.as_os_str(), UnlinkatFlags::NoRemoveDir)?;
        }
    }
    Ok(directories)
}
