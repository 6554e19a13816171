//! The clone that makes the namespaces.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{AccessFlags, Pid, faccessat};

use crate::config::Want;
use crate::config::settle::Settled;
use crate::confine::cgroup::fork_failure;
use crate::confine::cgroup::leaf::Leaf;
use crate::error::{Context, Error, Result};
use crate::explain::hints;
use crate::fds::Inherited;
use crate::kernel::sys::{self, End};

pub(crate) fn join_user_namespace(fds: &mut Inherited, number: i32) -> Result<()> {
    match fds.take(number).and_then(|fd| setns(fd, CloneFlags::CLONE_NEWUSER)) {
        Err(Errno::EINVAL) => Err(Error::new(
            "Joining the specified user namespace failed, it might not be a descendant of the \
             current user namespace.",
        )),
        other => other.context("Joining specified user namespace failed"),
    }
}

/// The clone that makes the namespaces. `None` in the child.
pub(crate) fn clone_sandbox(
    config: &Settled,
    proc: BorrowedFd<'_>,
    leaf: Option<&mut Leaf>,
) -> Result<Option<Pid>> {
    let wanted = config.namespaces;
    let is_made = |&(kind, _, want): &(&str, _, Want)| {
        // A pid namespace that is joined is joined first, and cgroup namespaces are handled below.
        want == Want::Yes && kind != "cgroup" && (kind != "pid" || config.fds.pidns.is_none())
    };
    let mut flags =
        wanted.each().iter().filter(|kind| is_made(kind)).fold(0, |all, kind| all | kind.1);
    if wanted.cgroup != Want::No && !config.has_own_cgroup_root() {
        let there = faccessat(proc, c"self/ns/cgroup", AccessFlags::F_OK, AtFlags::empty());
        match (there, wanted.cgroup) {
            (Ok(()), _) => flags |= libc::CLONE_NEWCGROUP,
            (Err(Errno::ENOENT), Want::Try) => {}
            (Err(Errno::ENOENT), _) => {
                return Err(Error::new(
                    "Cannot create new cgroup namespace because the kernel does not support it",
                ));
            }
            (Err(other), _) => return Err(Error::os("Can't look for cgroup namespaces", other)),
        }
    }
    let cloned = match leaf {
        Some(leaf) => leaf.clone_process(flags, config.fds.pidns.is_some()),
        None => sys::clone_process(flags, End::Ours),
    };
    cloned.map_err(|errno| match errno {
        Errno::EAGAIN => fork_failure("Creating new namespace failed", errno, &config.cgroup),
        other => clone_failure(other, wanted.user == Want::Yes)
            .hinted(|_| hints::namespaces(config, Some(other))),
    })
}

/// The words for a clone that failed; programs look for them to decide whether to go on without a
/// sandbox.
fn clone_failure(errno: Errno, user: bool) -> Error {
    match errno {
        Errno::EINVAL if user => Error::new(
            "Creating new namespace failed, likely because the kernel does not support user namespaces.",
        ),
        Errno::EPERM if user => Error::new(
            "No permissions to create a new namespace, likely because the kernel does not allow \
             non-privileged user namespaces.",
        ),
        Errno::ENOSPC => Error::new(
            "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces \
             exceeded (ENOSPC)",
        ),
        other => Error::os("Creating new namespace failed", other),
    }
}
