//! `--follow-symlinks`: where the symbolic link leads that the last component of a destination is.
//!
//! `/` is the sandbox by now, so no link leads out of it. What remains is who has put the link
//! there. Whoever can write to the mount that it lies on could have made it lead elsewhere, so that
//! a mount protects something else than was meant. Links count only on mounts that are read-only,
//! and on file systems that were made for this sandbox: what is on those, this command line put
//! there. Links are read and their text is walked, component by component from open directories:
//! magic links are never followed, and procfs is left out altogether, because it is another one in
//! each process.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::sys::statvfs::FsFlags;

use crate::config::op::Op;
use crate::error::{Context, Error, Result, join};
use crate::kernel::mount::{self, kind};
use crate::kernel::sys;
use crate::kernel::way::{MAX_LINKS, ahead};

/// What following links needs to know.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    /// Whether any operation follows links.
    is_wanted: bool,
    /// Whether the operation at hand does.
    is_on: bool,
    /// Whether what the operation at hand mounts is the sandbox's own.
    is_new: bool,
    /// The mounts that are the sandbox's own.
    own: Vec<u64>,
}

/// A symbolic link, held by the directory that it is in.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where it is.
    pub(crate) dir: OwnedFd,
    /// The link itself.
    pub(crate) fd: OwnedFd,
}

impl Follow {
    /// Nothing is followed yet.
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, is_new: true, ..Self::default() }
    }

    /// Says what the next operation is, and whether it follows links.
    pub(crate) const fn begin(&mut self, op: &Op, follows: bool) {
        self.is_on = follows;
        self.is_new = op.mounts_own();
    }

    /// Whether any operation follows links.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Whether the operation at hand follows links.
    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Takes note of a mount that the operation at hand has brought, if that is the sandbox's own.
    pub(crate) fn note(&mut self, proc: BorrowedFd<'_>, mount: BorrowedFd<'_>) -> Result<()> {
        if self.is_wanted && self.is_new {
            self.own.push(mount::mount_id(proc, mount).context("Can't find a mount of ours")?);
        }
        Ok(())
    }

    /// Whether something is on a file system that was made for this sandbox.
    fn is_own(&self, proc: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> std::result::Result<bool, Errno> {
        Ok(self.own.contains(&mount::mount_id(proc, fd)?))
    }

    /// Opens what a link leads to, as something to look at and to mount on.
    pub(crate) fn end(&self, proc: BorrowedFd<'_>, link: Link, dest: &CStr) -> Result<OwnedFd> {
        let what = "Can't follow the symlink at";
        let end = self.walk(proc, (&link.dir, link.fd), dest)?;
        if fstatfs(&end).at(what, dest)?.filesystem_type() == PROC_SUPER_MAGIC {
            return Err(into_proc(dest));
        }
        Ok(end)
    }

    /// Goes from a link to what it leads to.
    fn walk(
        &self,
        proc: BorrowedFd<'_>,
        (start, link): (&OwnedFd, OwnedFd),
        dest: &CStr,
    ) -> Result<OwnedFd> {
        let what = "Can't follow the symlink at";
        let looked_at = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let open = |dir: BorrowedFd<'_>, part: &[u8]| {
            openat(dir, OsStr::from_bytes(part), looked_at, Mode::empty()).at(what, dest)
        };
        let (mut found, mut inner) = (link, None);
        let (mut todo, mut links) = (Vec::new(), 0);
        loop {
            match kind(found.as_fd()).at(what, dest)? {
                SFlag::S_IFLNK => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::ELOOP).at(what, dest);
                    }
                    self.check(proc, inner.as_ref().unwrap_or(start).as_fd(), dest)?;
                    let text = readlinkat(&found, c"").at(what, dest)?;
                    match text.as_bytes() {
                        [] => return Err(Errno::ENOENT).at(what, dest),
                        [b'/', ..] => inner = Some(open(AT_FDCWD, b"/")?),
                        _ => {}
                    }
                    todo.extend(ahead(text.as_bytes()));
                }
                _ if todo.is_empty() => return Ok(found),
                SFlag::S_IFDIR => inner = Some(found),
                _ => return Err(Errno::ENOTDIR).at(what, dest),
            }
            let dir = inner.as_ref().unwrap_or(start).as_fd();
            // The target of a link may contain no name, like `.`: it is a directory that is open
            // already.
            let part = todo.pop().unwrap_or_else(|| b".".to_vec());
            found = open(dir, &part)?;
        }
    }

    /// Whether a link counts that lies in this directory.
    fn check(&self, proc: BorrowedFd<'_>, dir: BorrowedFd<'_>, dest: &CStr) -> Result<()> {
        let what = "Can't follow the symlink at";
        let file_system = fstatfs(dir).at(what, dest)?;
        if file_system.filesystem_type() == PROC_SUPER_MAGIC {
            return Err(into_proc(dest));
        }
        // The kernel is not asked to go the whole way: it counts links twice when a mount elsewhere
        // makes it look up a name once more, and has too many after 21 of them.
        if sys::is_nosymfollow(dir).at(what, dest)? {
            return Err(Errno::ELOOP).at(what, dest);
        }
        let is_read_only = file_system.flags().contains(FsFlags::ST_RDONLY);
        if is_read_only || self.is_own(proc, dir).at(what, dest)? {
            return Ok(());
        }
        Err(refused(
            dest,
            "it, or one that it leads to, lies on a mount of the host's that is writable",
        )
        .hinted(|_| Some("bind that read-only, or name what the link leads to".to_owned())))
    }

    /// Whether what a link leads to may be changed, and not just mounted on: only where nothing is
    /// the host's. Else whoever made the link would have said which of its files.
    pub(crate) fn check_change(
        &self,
        proc: BorrowedFd<'_>,
        end: BorrowedFd<'_>,
        dest: &CStr,
    ) -> Result<()> {
        if self.is_own(proc, end).at("Can't follow the symlink at", dest)? {
            return Ok(());
        }
        Err(refused(dest, "what it leads to is the host's"))
    }
}

/// The error for a link that is not followed.
pub(crate) fn refused(dest: &CStr, why: &str) -> Error {
    Error::new([join("Can't follow the symlink at", dest), b": ".to_vec(), why.into()].concat())
}

fn into_proc(dest: &CStr) -> Error {
    refused(dest, "it leads into a procfs")
}
