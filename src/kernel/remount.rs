//! Flags for mounts that are attached already, by mount(2): the way out for kernels before 5.12 and
//! filters without mount_setattr(2).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::MsFlags;
use nix::sched::sched_yield;
use nix::sys::stat::Mode;

use crate::kernel::files::read_file;
use crate::kernel::mount::{Attributes, Depth, mount_id};
use crate::kernel::mountinfo::{Line, MS_NOSYMFOLLOW, lines, mount_at, tree_of};
use crate::kernel::sys::SysResult;

/// How often a mount has to be out of reach, one reading of the table after the other, before it is
/// left as it is.
const READINGS: usize = 16;

/// How often the table is read at most.
const MOST_READINGS: usize = 4 * READINGS;

/// What became of one mount.
enum Outcome {
    /// It is remounted, or was not to be.
    Done,
    /// No path leads to it: another mount covers it, or a directory on the way must not be
    /// searched.
    OutOfReach,
    /// The way to it is another one by now, or the mount is gone.
    Moved(Errno),
    /// The kernel refuses it.
    Refused(Errno),
}

/// The mounts that no path led to, where they are, and in how many readings in a row.
#[derive(Default)]
struct Unreachable(BTreeMap<u64, (CString, usize)>);

impl Unreachable {
    /// Adds a mount, with what `before` has of it in the same place.
    fn add(&mut self, line: Line, before: &Self) {
        let known = before.0.get(&line.id).filter(|(point, _)| *point == line.point);
        let times = known.map_or(0, |(_, times)| *times);
        self.0.insert(line.id, (line.point, times + 1));
    }

    /// Those that were out of reach too few times to be left as they are.
    fn undecided(self) -> impl Iterator<Item = CString> {
        self.0.into_values().filter(|(_, times)| *times < READINGS).map(|(point, _)| point)
    }

    fn is_decided(&self) -> bool {
        self.0.values().all(|(_, times)| *times >= READINGS)
    }
}

/// Adds attributes to an attached mount by mount(2), for where mount_setattr(2) is missing.
///
/// Somebody may move directories between the reading of the table and the use of a path in it. So
/// the table is read until it shows the attributes on every mount, or the others out of reach in
/// the same place many times in a row: then COMMAND cannot reach them either. `on_failure` decides
/// about every failure, and is told the mount point.
pub(crate) fn remount_below(
    proc: BorrowedFd<'_>,
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    depth: Depth,
    mut on_failure: impl FnMut(&CStr, Errno) -> crate::error::Result<()>,
) -> crate::error::Result<()> {
    let root_of_all =
        || open(c"/", PATH_ONLY, Mode::empty()).and_then(|top| mount_id(proc, top.as_fd()));
    let (root, top) = match mount_id(proc, mount).and_then(|root| Ok((root, root_of_all()?))) {
        Ok(found) => found,
        Err(errno) => return on_failure(c"/", errno),
    };
    let (mut settled, mut unreachable) = (BTreeSet::new(), Unreachable::default());
    let mut left = Vec::new();
    for _ in 0..MOST_READINGS {
        let table = match read_file(proc, "self/mountinfo", usize::MAX) {
            Ok(table) => table,
            Err(errno) => return on_failure(c"self/mountinfo", errno),
        };
        let mut tree = tree_of(&table, root);
        // Most mounts have no other mounts below them.
        let all = if tree.len() > 1 { lines(&table) } else { Vec::new() };
        let before = std::mem::take(&mut unreachable);
        left = Vec::new();
        if !tree.iter().any(|line| line.id == root) {
            // If somebody moves the directory that it is mounted on, it is no longer visible here.
            left.push((c"/".to_owned(), Errno::ENOENT));
        }
        tree.retain(|line| depth == Depth::Recursive || line.id == root);
        for line in tree {
            // The first mount is always tried, so that a path that is no mount is refused.
            let has_all =
                line.id != root && line.flags & flags_of(attributes) == flags_of(attributes);
            if has_all || settled.contains(&line.id) {
                continue;
            }
            let outcome = if line.id == root {
                remount(proc, mount, &line, attributes)
                    .map_or_else(Outcome::Refused, |()| Outcome::Done)
            } else {
                remount_point(proc, (&all, top), &line, attributes)
            };
            match outcome {
                Outcome::Done => settled.extend((line.id == root).then_some(root)),
                Outcome::OutOfReach => unreachable.add(line, &before),
                Outcome::Moved(errno) => left.push((line.point, errno)),
                Outcome::Refused(errno) => {
                    on_failure(&line.point, errno)?;
                    settled.insert(line.id);
                }
            }
        }
        if left.is_empty() && unreachable.is_decided() {
            return Ok(());
        }
        // Whoever moves them may be waiting for this processor.
        _ = sched_yield();
    }
    let undecided = unreachable.undecided().map(|point| (point, Errno::EAGAIN));
    left.into_iter().chain(undecided).try_for_each(|(point, errno)| on_failure(&point, errno))
}

const PATH_ONLY: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Remounts what lies at a mount point, if it is the mount that the table means. Whether that one
/// is covered only the table tells: what is found instead may have been moved there. One that may
/// not be looked for is not COMMAND's to find, which has no more rights than this process has now.
fn remount_point(
    proc: BorrowedFd<'_>,
    (table, top): (&[Line], u64),
    line: &Line,
    attributes: Attributes,
) -> Outcome {
    if mount_at(table, top, &line.point) != line.id {
        return Outcome::OutOfReach;
    }
    let fd = match open(line.point.as_c_str(), PATH_ONLY, Mode::empty()) {
        Err(Errno::EACCES) => return Outcome::OutOfReach,
        Err(errno @ (Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG)) => {
            return Outcome::Moved(errno);
        }
        Err(errno) => return Outcome::Refused(errno),
        Ok(fd) => fd,
    };
    match mount_id(proc, fd.as_fd()) {
        Ok(id) if id == line.id => {}
        Ok(_) => return Outcome::Moved(Errno::EAGAIN),
        Err(errno) => return Outcome::Refused(errno),
    }
    match remount(proc, fd.as_fd(), line, attributes) {
        Ok(()) => Outcome::Done,
        // The host can remove the mount at any time; then a directory is here instead.
        Err(Errno::EINVAL) => Outcome::Moved(Errno::EINVAL),
        Err(errno) => Outcome::Refused(errno),
    }
}

/// The flags of mount(2) for those attributes that binds have.
fn flags_of(attributes: Attributes) -> u64 {
    let known = [
        (Attributes::RDONLY, libc::MS_RDONLY),
        (Attributes::NOSUID, libc::MS_NOSUID),
        (Attributes::NODEV, libc::MS_NODEV),
        (Attributes::NOEXEC, libc::MS_NOEXEC),
        (Attributes::NOSYMFOLLOW, MS_NOSYMFOLLOW),
    ];
    known
        .into_iter()
        .filter(|(attribute, _)| attributes.0 & attribute.0 != 0)
        .fold(0, |flags, (_, flag)| flags | flag)
}

/// Remounts the mount whose root an fd is; anything else is EINVAL.
fn remount(
    proc: BorrowedFd<'_>,
    fd: BorrowedFd<'_>,
    line: &Line,
    attributes: Attributes,
) -> SysResult<()> {
    let flags = MsFlags::from_bits_retain(line.flags | flags_of(attributes));
    let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_SILENT;
    mount_on(proc, fd, flags)
}

/// Sees to it that recursive binds leave out a mount, whose root an fd is. The working directory is
/// `/` afterwards.
pub(crate) fn make_unbindable(proc: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> SysResult<()> {
    mount_on(proc, fd, MsFlags::MS_UNBINDABLE | MsFlags::MS_SILENT)
}

/// mount(2) that changes a mount. There may be no /proc at hand in the new root: the host's is, by
/// the working directory.
fn mount_on(proc: BorrowedFd<'_>, fd: BorrowedFd<'_>, flags: MsFlags) -> SysResult<()> {
    let path = format!("self/fd/{}", fd.as_raw_fd());
    nix::unistd::fchdir(proc)?;
    let result =
        nix::mount::mount(None::<&CStr>, path.as_str(), None::<&CStr>, flags, None::<&CStr>);
    nix::unistd::chdir(c"/")?;
    result
}
