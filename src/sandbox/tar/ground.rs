//! Where an archive is unpacked: its paths, none of which leads out.
//!
//! The links in an archive are whoever's who made it. They are followed as if the destination were
//! `/`, and nothing is reached that lies on another file system: what is mounted below the
//! destination may be the host's.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fstat, fstatat, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::kernel::mount::kind;
use crate::kernel::sys::SysResult;
use crate::kernel::way::{MAX_LINKS, ahead};
use crate::sandbox::tar::removal::{self, Names, is_directory};

/// The directory that entries are being put into.
#[derive(Debug)]
struct Parent {
    path: Vec<u8>,
    dir: OwnedFd,
    before: FileStat,
}

/// The destination.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    root: BorrowedFd<'a>,
    status: FileStat,
    parent: Option<Parent>,
    /// What this archive has made, if something that was there before can be taken away.
    made: Option<Names>,
    /// Directories in which earlier archives have left nothing, by their inodes. Each is gone through
    /// once: else an archive could have that done for every file as often as it has entries.
    cleared: HashSet<u64>,
}

impl<'a> Ground<'a> {
    /// Begins in a mounted tmpfs.
    pub(crate) fn new(root: BorrowedFd<'a>, is_upper: bool) -> SysResult<Self> {
        let made = is_upper.then(Names::new);
        Ok(Self { root, status: fstat(root)?, parent: None, made, cleared: HashSet::new() })
    }

    /// The destination itself.
    pub(crate) const fn root(&self) -> BorrowedFd<'a> {
        self.root
    }

    /// The directory that was entered last.
    pub(crate) fn parent(&self) -> BorrowedFd<'_> {
        self.parent.as_ref().map_or(self.root, |parent| parent.dir.as_fd())
    }

    /// Enters a directory, creating missing parts.
    pub(crate) fn enter(&mut self, parts: &[&[u8]]) -> SysResult<()> {
        let path = parts.join(&b'/');
        if self.parent.as_ref().is_some_and(|parent| parent.path == path) {
            return Ok(());
        }
        self.leave()?;
        let dir = self.open(parts, Missing::Make)?;
        let before = fstat(&dir)?;
        self.parent = Some(Parent { path, dir, before });
        Ok(())
    }

    /// Leaves that directory, as old as it was before something was made in it.
    pub(crate) fn leave(&mut self) -> SysResult<()> {
        self.parent.take().map_or(Ok(()), |parent| restore(parent.dir.as_fd(), &parent.before))
    }

    /// Notes that this archive has made a name in the directory that was entered.
    pub(crate) fn note(&mut self, name: &OsStr) {
        let parent = self.parent.as_ref().map_or(self.status.st_ino, |parent| parent.before.st_ino);
        if let Some(made) = &mut self.made {
            made.insert((parent, name.as_bytes().into()));
        }
    }

    /// Finds the directory of something that must exist.
    pub(crate) fn find(&self, parts: &[&[u8]]) -> SysResult<OwnedFd> {
        self.open(parts, Missing::Fails)
    }

    /// What a name in one of our directories refers to. What is mounted there is not ours.
    pub(crate) fn status(&self, dir: BorrowedFd<'_>, name: &OsStr) -> SysResult<FileStat> {
        let status = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if status.st_dev == self.status.st_dev { Ok(status) } else { Err(Errno::EXDEV) }
    }

    /// Removes whatever is at a name in the directory that was entered.
    pub(crate) fn remove(&mut self, name: &OsStr) -> SysResult<()> {
        let dir = self.parent();
        if is_directory(&self.status(dir, name)?) {
            let all = &mut HashSet::new();
            removal::clear(self.child(dir, name)?, self.status.st_dev, &Names::new(), all)?;
            unlinkat(dir, name, UnlinkatFlags::RemoveDir)?;
        } else {
            unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)?;
        }
        // The path of the open directory may have led through what was just removed.
        if let Some(parent) = &mut self.parent {
            parent.path = b"/".to_vec();
        }
        Ok(())
    }

    /// Takes away what earlier archives have put at a name.
    pub(crate) fn take_away(&mut self, parts: &[&[u8]], name: &OsStr) -> SysResult<()> {
        self.leave()?;
        let Some(made) = &self.made else { return Ok(()) };
        let Some(dir) = self.existing(parts)? else { return Ok(()) };
        let status = match self.status(dir.as_fd(), name) {
            Err(Errno::ENOENT) => return Ok(()),
            other => other?,
        };
        let before = fstat(&dir)?;
        let is_ours = made.contains(&(before.st_ino, name.as_bytes().into()));
        if is_directory(&status) {
            let child = self.child(dir.as_fd(), name)?;
            removal::clear(child, self.status.st_dev, made, &mut self.cleared)?;
            if !is_ours {
                removal::remove_empty(dir.as_fd(), name)?;
            }
        } else if !is_ours {
            unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir)?;
        }
        restore(dir.as_fd(), &before)
    }

    /// Takes away what earlier archives have put into a directory.
    pub(crate) fn clear(&mut self, parts: &[&[u8]]) -> SysResult<()> {
        self.leave()?;
        let Some(made) = &self.made else { return Ok(()) };
        let Some(dir) = self.existing(parts)? else { return Ok(()) };
        let before = fstat(&dir)?;
        let copy = dir.try_clone().map_err(|_| Errno::EMFILE)?;
        removal::clear(copy, self.status.st_dev, made, &mut self.cleared)?;
        restore(dir.as_fd(), &before)
    }

    /// A directory, if it is one: below a file there is nothing either.
    fn existing(&self, parts: &[&[u8]]) -> SysResult<Option<OwnedFd>> {
        match self.open(parts, Missing::Fails) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            other => other.map(Some),
        }
    }

    /// One of our directories in another.
    fn child(&self, dir: BorrowedFd<'_>, name: &OsStr) -> SysResult<OwnedFd> {
        let child = openat(dir, name, STEP | OFlag::O_DIRECTORY, Mode::empty())?;
        self.is_ours(&child)?;
        Ok(child)
    }

    fn is_ours(&self, fd: &OwnedFd) -> SysResult<FileStat> {
        let status = fstat(fd)?;
        if status.st_dev == self.status.st_dev { Ok(status) } else { Err(Errno::EXDEV) }
    }

    /// Opens a directory. EXDEV if the way leads onto another mount.
    fn open(&self, parts: &[&[u8]], missing: Missing) -> SysResult<OwnedFd> {
        let path = if parts.is_empty() { b".".to_vec() } else { parts.join(&b'/') };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(INSIDE);
        match openat2(self.root, OsStr::from_bytes(&path), how) {
            // A filter that does not know the call; or something was renamed somewhere just when
            // the path led up, and the kernel cannot be sure; or --nosymfollow, which is for
            // COMMAND.
            Err(Errno::ENOSYS | Errno::EAGAIN | Errno::ELOOP) => self.walk(parts, missing),
            Err(Errno::ENOENT) if missing == Missing::Make => self.walk(parts, missing),
            other => other,
        }
    }

    /// The same, one component at a time.
    fn walk(&self, path: &[&[u8]], missing: Missing) -> SysResult<OwnedFd> {
        let from_root = || openat(self.root, c".", STEP, Mode::empty());
        let mut todo: Vec<Vec<u8>> = path.iter().rev().map(|part| part.to_vec()).collect();
        let mut here = from_root()?;
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let status = self.is_ours(&here)?;
            if part == b".." && status.st_ino == self.status.st_ino {
                continue;
            }
            let name = OsStr::from_bytes(&part);
            let next = match openat(&here, name, STEP, Mode::empty()) {
                Err(Errno::ENOENT) if missing == Missing::Make => {
                    mkdirat(&here, name, Mode::from_bits_truncate(0o755))?;
                    restore(here.as_fd(), &status)?;
                    openat(&here, name, STEP, Mode::empty())?
                }
                other => other?,
            };
            match kind(next.as_fd())? {
                SFlag::S_IFDIR => here = next,
                SFlag::S_IFLNK => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::ELOOP);
                    }
                    let text = readlinkat(&here, name)?;
                    let text = text.as_bytes();
                    if text.starts_with(b"/") {
                        here = from_root()?;
                    }
                    todo.extend(ahead(text));
                }
                _ => return Err(Errno::ENOTDIR),
            }
        }
        self.is_ours(&here)?;
        Ok(here)
    }
}

/// What to do about directories that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// ENOENT.
    Fails,
    /// Make them.
    Make,
}

/// How a path is followed by the kernel.
const INSIDE: ResolveFlag = ResolveFlag::RESOLVE_IN_ROOT
    .union(ResolveFlag::RESOLVE_NO_MAGICLINKS)
    .union(ResolveFlag::RESOLVE_NO_XDEV);

/// How one component is opened.
const STEP: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Gives a directory back the time that it was modified at.
fn restore(dir: BorrowedFd<'_>, before: &FileStat) -> SysResult<()> {
    let time = TimeSpec::new(before.st_mtime, before.st_mtime_nsec);
    set_time(dir, OsStr::new("."), time)
}

/// Sets the time at which something was modified.
pub(crate) fn set_time(dir: BorrowedFd<'_>, name: &OsStr, time: TimeSpec) -> SysResult<()> {
    utimensat(dir, name, &TimeSpec::UTIME_OMIT, &time, UtimensatFlags::NoFollowSymlink)
}
