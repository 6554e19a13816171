//! The shelf: where gathered mounts wait while there are not enough open files to hold each of them
//! by one.
//!
//! It is a tmpfs, and each mount is on a name of its own there. While sources are looked up it lies
//! on /proc, below a copy of that, and recursive binds leave it out. While the sandbox is built it
//! is the root of the mount namespace; the sandbox's root is mounted on it and is the process's
//! root, so that no path leads to the shelf. It is gone before COMMAND comes.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{AT_FDCWD, OFlag, open, openat};
use nix::sys::resource::rlim_t;
use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};
use nix::unistd::{chdir, chroot, fchdir};

use crate::error::{Context, Error, Result};
use crate::kernel::mount::{self, Depth, Explain, Node};
use crate::kernel::remount;
use crate::sandbox::leave::{leave_for, pivot_to};
use crate::sandbox::tree::{Mount, Shelved, Step, Tree, plain_tmpfs};

/// Room for what is open besides: the layers of one overlay are the most, for so many fit into its
/// options.
const ELSE: rlim_t = 400;

/// From which number on an fd says that they are running out, where so many files may be open.
pub(crate) fn room(limit: rlim_t) -> RawFd {
    RawFd::try_from(limit - ELSE.min(limit / 2)).unwrap_or(RawFd::MAX)
}

/// The shelf itself.
#[derive(Debug)]
pub(crate) struct Shelf<'a> {
    proc: BorrowedFd<'a>,
    fd: OwnedFd,
    used: usize,
}

impl<'a> Shelf<'a> {
    /// Makes it, in the old tree.
    fn new(proc: BorrowedFd<'a>) -> Result<Self> {
        let what = || "Can't mount a tmpfs for more mounts than open files";
        let fd = plain_tmpfs().explain(what)?;
        let cover = mount::clone_tree(AT_FDCWD, c"/proc", Depth::Recursive).explain(what)?;
        mount::attach_at(fd.as_fd(), None, c"/proc").explain(what)?;
        let here = open(c".", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .context("Can't open the working directory")?;
        remount::make_unbindable(proc, fd.as_fd()).map_err(|errno| Error::mount(what(), errno))?;
        fchdir(here).context("Can't enter the working directory")?;
        mount::attach_at(cover.as_fd(), None, c"/proc").explain(what)?;
        Ok(Self { proc, fd, used: 0 })
    }

    /// Puts everything onto the shelf that can be there, and creates the shelf when first needed.
    pub(crate) fn put_all<'i>(
        slot: &mut Option<Self>,
        proc: BorrowedFd<'a>,
        steps: impl Iterator<Item = &'i mut Step>,
    ) -> Result<()> {
        let mut shelf = match slot.take() {
            Some(shelf) => shelf,
            None => Self::new(proc)?,
        };
        for mount in steps.flat_map(Step::mounts) {
            if let Mount::Open(tree) = mount {
                *mount = Mount::Shelved(Box::new(shelf.put(tree)?));
            }
        }
        *slot = Some(shelf);
        Ok(())
    }

    fn put(&mut self, tree: &Tree) -> Result<Shelved> {
        let what = "Can't put a mount aside";
        self.used += 1;
        let name = CString::new(self.used.to_string()).unwrap_or_default();
        match tree.node {
            Node::Directory => mkdirat(&self.fd, name.as_c_str(), Mode::from_bits_truncate(0o700)),
            Node::File => mknodat(
                &self.fd,
                name.as_c_str(),
                SFlag::S_IFREG,
                Mode::from_bits_truncate(0o600),
                0,
            ),
        }
        .context(what)?;
        mount::attach_at(tree.fd.as_fd(), Some(self.fd.as_fd()), &name).explain(|| what)?;
        let id = mount::mount_id(self.proc, tree.fd.as_fd()).context(what)?;
        Ok(Shelved { name, id, node: tree.node, to_set: tree.to_set })
    }

    /// Opens a mount again.
    pub(crate) fn take(&self, Shelved { name, id, node, to_set }: Shelved) -> Result<Tree> {
        let what = "Can't find a mount that was put aside";
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name.as_c_str(), flags, Mode::empty()).context(what)?;
        // If the host has mounted something on the source since then, that covers it here, with its
        // own flags.
        if mount::mount_id(self.proc, fd.as_fd()).context(what)? != id {
            return Err(Error::new("Another mount lies on one that was put aside"));
        }
        Ok(Tree { fd, node, to_set })
    }

    /// Leaves the host for a root on top of the shelf.
    pub(crate) fn start_with(&self, base: BorrowedFd<'_>) -> Result<()> {
        leave_for(self.proc, self.fd.as_fd())?;
        mount::attach_at(base, None, c"/").explain(|| "Failed to attach the new root")?;
        fchdir(base).context("chdir base")?;
        chroot(c".").context("chroot base")?;
        chdir(c"/").context("chdir /")
    }

    /// Makes the process's root that of the mount namespace, and the shelf unreachable.
    pub(crate) fn leave(self) -> Result<()> {
        let root =
            open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).context("Can't open /")?;
        fchdir(&self.fd).context("chdir")?;
        chroot(c".").context("chroot")?;
        pivot_to(self.proc, root.as_fd())
    }
}

/// The highest number among our fds.
pub(crate) fn highest<'f>(fds: impl Iterator<Item = &'f OwnedFd>) -> RawFd {
    fds.map(AsRawFd::as_raw_fd).max().unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_files_are_for_mounts() {
        assert_eq!([room(1024), room(100), room(1), room(0)], [624, 50, 1, 0]);
        assert_eq!(room(rlim_t::MAX), RawFd::MAX);
    }
}
