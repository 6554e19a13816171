//! Leaving the host: from here on no path leads to what was `/` before.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir, getpid, pivot_root};

use crate::error::{Context, Result};
use crate::kernel::mount::{self, Explain};
use crate::kernel::sys;

/// Goes to the root of the mount namespace. A caller in a chroot has another one, and a new root
/// that took that one's place would have the host's above it, where who may call chroot(2) climbs.
pub(crate) fn leave_chroot(proc: BorrowedFd<'_>) -> Result<()> {
    let own = sys::pidfd_open(getpid()).or_else(|_| {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        openat(proc, c"self/ns/mnt", flags, Mode::empty())
    });
    own.and_then(|own| setns(own, CloneFlags::CLONE_NEWNS))
        .context("Can't go to the root of the mount namespace")?;
    make_slave()
}

/// Has the host see nothing from here on of what is mounted below `/`.
pub(crate) fn make_slave() -> Result<()> {
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC | MsFlags::MS_SILENT;
    nix::mount::mount(None::<&CStr>, c"/", None::<&CStr>, slave, None::<&CStr>)
        .context("Failed to make / slave")
}

/// Leaves `/` for a new root. One pivot and one detach: from here on no path leads to what was
/// there.
///
/// The detach takes what is topmost on the new root. That is the old root, unless the host mounts
/// something on its own `/` in this very moment, which arrives here too: so look, and detach again
/// until `/` is bare.
pub(crate) fn leave_for(proc: BorrowedFd<'_>, base: BorrowedFd<'_>) -> Result<()> {
    mount::attach_at(base, None, c"/").explain(|| "Failed to attach the new root")?;
    pivot_to(proc, base)
}

/// The second half of that, for a mount that is attached already.
pub(crate) fn pivot_to(proc: BorrowedFd<'_>, base: BorrowedFd<'_>) -> Result<()> {
    fchdir(base).context("chdir base")?;
    pivot_root(c".", c".").context("pivot_root")?;
    let mount_of = |fd: BorrowedFd<'_>| {
        mount::mount_id(proc, fd).context("Can't find the mount of the new root")
    };
    let root = mount_of(base)?;
    loop {
        let detached = umount2(c".", MntFlags::MNT_DETACH);
        // Unlike `/`, `/..` is the topmost mount on the root. Only the ID of the mount identifies
        // it: file and device may be the same as those of the old root.
        let top = openat(AT_FDCWD, c"/..", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .context("Can't open the new root")?;
        if mount_of(top.as_fd())? == root {
            return chdir(c"/").context("chdir /");
        }
        detached.context("unmount old root")?;
    }
}
