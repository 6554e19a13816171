//! **The table** of the system calls that name a file or a socket: which of their arguments do,
//! and what is done with it.

use libc::{c_int, c_long};

use crate::record::uses::Uses;

/// What is at the end of a path when it is a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// The link is followed.
    Follow,
    /// The link itself is meant.
    Stay,
    /// Flags in this argument say that it is not followed (`AT_SYMLINK_NOFOLLOW`).
    StayIf(u8, c_int),
    /// Flags in this argument say that it is (`AT_SYMLINK_FOLLOW`).
    FollowIf(u8, c_int),
}

/// A path among the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    /// Which argument is the directory that it is relative to; none: the working directory.
    pub(crate) dir: Option<u8>,
    /// Which argument is its address.
    pub(crate) path: u8,
    pub(crate) last: Last,
    pub(crate) uses: Uses,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Uses a file.
    Name(Name),
    /// Uses two.
    Names([Name; 2]),
    /// Opens a file: the directory, the path, and the flags if they are an argument.
    Open(Option<u8>, u8, Option<u8>),
    /// `openat2`, whose flags are in memory.
    OpenHow,
    /// Has an address of a socket: its place, and that of its length.
    Socket(Uses, u8, u8),
    /// `sendmsg`: the address is in a message.
    Message,
    /// `sendmmsg`
    Messages,
    /// A ring would do all of the above, unseen.
    Ring,
    /// Changes what paths mean.
    Moves,
    /// The same, if the flags in memory say so.
    Clone3,
    /// Changes the working directory to one that is open.
    Turns,
}

const fn at(dir: u8, path: u8, last: Last, uses: Uses) -> Name {
    Name { dir: Some(dir), path, last, uses }
}

const fn here(path: u8, last: Last, uses: Uses) -> Name {
    Name { dir: None, path, last, uses }
}

use Last::{Follow, FollowIf, Stay, StayIf};

const NOFOLLOW: c_int = libc::AT_SYMLINK_NOFOLLOW;
const FOLLOW: c_int = libc::AT_SYMLINK_FOLLOW;
/// `INOTIFY`: `IN_DONT_FOLLOW`
const DONT_FOLLOW: c_int = 0x0200_0000;

/// Calls that libc has no name for on every architecture; these numbers are the same on all.
const FCHMODAT2: c_long = 452;
const OPEN_TREE_ATTR: c_long = 467;
const XATTRS_AT: [c_long; 4] = [463, 464, 465, 466];
const FILE_GETATTR: c_long = 468;
const FILE_SETATTR: c_long = 469;

/// The calls that all architectures have.
const EVERYWHERE: &[(c_long, Kind)] = &[
    (libc::SYS_openat, Kind::Open(Some(0), 1, Some(2))),
    (libc::SYS_openat2, Kind::OpenHow),
    (libc::SYS_execve, Kind::Name(here(0, Follow, Uses::EXEC))),
    (libc::SYS_execveat, Kind::Name(at(0, 1, StayIf(4, NOFOLLOW), Uses::EXEC))),
    (libc::SYS_newfstatat, Kind::Name(at(0, 1, StayIf(3, NOFOLLOW), Uses::LOOK))),
    (libc::SYS_statx, Kind::Name(at(0, 1, StayIf(2, NOFOLLOW), Uses::LOOK))),
    (libc::SYS_faccessat, Kind::Name(at(0, 1, Follow, Uses::LOOK))),
    (libc::SYS_faccessat2, Kind::Name(at(0, 1, StayIf(3, NOFOLLOW), Uses::LOOK))),
    (libc::SYS_readlinkat, Kind::Name(at(0, 1, Stay, Uses::LOOK))),
    (libc::SYS_statfs, Kind::Name(here(0, Follow, Uses::LOOK))),
    (libc::SYS_chdir, Kind::Name(here(0, Follow, Uses::LOOK))),
    (libc::SYS_getxattr, Kind::Name(here(0, Follow, Uses::LOOK))),
    (libc::SYS_lgetxattr, Kind::Name(here(0, Stay, Uses::LOOK))),
    (libc::SYS_listxattr, Kind::Name(here(0, Follow, Uses::LOOK))),
    (libc::SYS_llistxattr, Kind::Name(here(0, Stay, Uses::LOOK))),
    (libc::SYS_name_to_handle_at, Kind::Name(at(0, 1, FollowIf(4, FOLLOW), Uses::LOOK))),
    (libc::SYS_inotify_add_watch, Kind::Name(here(1, StayIf(2, DONT_FOLLOW), Uses::LOOK))),
    (libc::SYS_fanotify_mark, Kind::Name(at(3, 4, Follow, Uses::LOOK))),
    (libc::SYS_open_tree, Kind::Name(at(0, 1, StayIf(2, NOFOLLOW), Uses::LOOK))),
    (OPEN_TREE_ATTR, Kind::Name(at(0, 1, StayIf(2, NOFOLLOW), Uses::LOOK))),
    (FILE_GETATTR, Kind::Name(at(0, 1, StayIf(4, NOFOLLOW), Uses::LOOK))),
    (FILE_SETATTR, Kind::Name(at(0, 1, StayIf(4, NOFOLLOW), Uses::WRITE))),
    (XATTRS_AT[0], Kind::Name(at(0, 1, StayIf(2, NOFOLLOW), Uses::WRITE))),
    (XATTRS_AT[1], Kind::Name(at(0, 1, StayIf(2, NOFOLLOW), Uses::LOOK))),
    (XATTRS_AT[2], Kind::Name(at(0, 1, StayIf(2, NOFOLLOW), Uses::LOOK))),
    (XATTRS_AT[3], Kind::Name(at(0, 1, StayIf(2, NOFOLLOW), Uses::WRITE))),
    (libc::SYS_truncate, Kind::Name(here(0, Follow, Uses::WRITE))),
    (libc::SYS_fchmodat, Kind::Name(at(0, 1, Follow, Uses::WRITE))),
    (FCHMODAT2, Kind::Name(at(0, 1, StayIf(3, NOFOLLOW), Uses::WRITE))),
    (libc::SYS_fchownat, Kind::Name(at(0, 1, StayIf(4, NOFOLLOW), Uses::WRITE))),
    (libc::SYS_utimensat, Kind::Name(at(0, 1, StayIf(3, NOFOLLOW), Uses::WRITE))),
    (libc::SYS_setxattr, Kind::Name(here(0, Follow, Uses::WRITE))),
    (libc::SYS_lsetxattr, Kind::Name(here(0, Stay, Uses::WRITE))),
    (libc::SYS_removexattr, Kind::Name(here(0, Follow, Uses::WRITE))),
    (libc::SYS_lremovexattr, Kind::Name(here(0, Stay, Uses::WRITE))),
    (libc::SYS_mkdirat, Kind::Name(at(0, 1, Stay, Uses::CREATE))),
    (libc::SYS_mknodat, Kind::Name(at(0, 1, Stay, Uses::CREATE))),
    (libc::SYS_symlinkat, Kind::Name(at(1, 2, Stay, Uses::CREATE))),
    (libc::SYS_unlinkat, Kind::Name(at(0, 1, Stay, Uses::REMOVE))),
    (
        libc::SYS_linkat,
        Kind::Names([at(0, 1, FollowIf(4, FOLLOW), Uses::LOOK), at(2, 3, Stay, Uses::MOVE)]),
    ),
    (libc::SYS_renameat2, Kind::Names([at(0, 1, Stay, Uses::MOVE), at(2, 3, Stay, Uses::MOVE)])),
    (libc::SYS_connect, Kind::Socket(Uses::CONNECT, 1, 2)),
    (libc::SYS_bind, Kind::Socket(Uses::BIND, 1, 2)),
    (libc::SYS_sendto, Kind::Socket(Uses::SEND, 4, 5)),
    (libc::SYS_sendmsg, Kind::Message),
    (libc::SYS_sendmmsg, Kind::Messages),
    (libc::SYS_io_uring_setup, Kind::Ring),
    (libc::SYS_io_uring_enter, Kind::Ring),
    (libc::SYS_io_uring_register, Kind::Ring),
    (libc::SYS_chroot, Kind::Moves),
    (libc::SYS_pivot_root, Kind::Moves),
    (libc::SYS_unshare, Kind::Moves),
    (libc::SYS_setns, Kind::Moves),
    (libc::SYS_mount, Kind::Moves),
    (libc::SYS_move_mount, Kind::Moves),
    (libc::SYS_clone3, Kind::Clone3),
    (libc::SYS_fchdir, Kind::Turns),
];

/// Those that newer architectures do without.
#[cfg(target_arch = "x86_64")]
const OLD: &[(c_long, Kind)] = &[
    (libc::SYS_open, Kind::Open(None, 0, Some(1))),
    (libc::SYS_creat, Kind::Open(None, 0, None)),
    (libc::SYS_stat, Kind::Name(here(0, Follow, Uses::LOOK))),
    (libc::SYS_lstat, Kind::Name(here(0, Stay, Uses::LOOK))),
    (libc::SYS_access, Kind::Name(here(0, Follow, Uses::LOOK))),
    (libc::SYS_readlink, Kind::Name(here(0, Stay, Uses::LOOK))),
    (libc::SYS_chmod, Kind::Name(here(0, Follow, Uses::WRITE))),
    (libc::SYS_chown, Kind::Name(here(0, Follow, Uses::WRITE))),
    (libc::SYS_lchown, Kind::Name(here(0, Stay, Uses::WRITE))),
    (libc::SYS_utime, Kind::Name(here(0, Follow, Uses::WRITE))),
    (libc::SYS_utimes, Kind::Name(here(0, Follow, Uses::WRITE))),
    (libc::SYS_futimesat, Kind::Name(at(0, 1, Follow, Uses::WRITE))),
    (libc::SYS_mkdir, Kind::Name(here(0, Stay, Uses::CREATE))),
    (libc::SYS_mknod, Kind::Name(here(0, Stay, Uses::CREATE))),
    (libc::SYS_symlink, Kind::Name(here(1, Stay, Uses::CREATE))),
    (libc::SYS_unlink, Kind::Name(here(0, Stay, Uses::REMOVE))),
    (libc::SYS_rmdir, Kind::Name(here(0, Stay, Uses::REMOVE))),
    (libc::SYS_link, Kind::Names([here(0, Stay, Uses::LOOK), here(1, Stay, Uses::MOVE)])),
    (libc::SYS_rename, Kind::Names([here(0, Stay, Uses::MOVE), here(1, Stay, Uses::MOVE)])),
    (libc::SYS_renameat, Kind::Names(RENAMEAT)),
];
#[cfg(target_arch = "aarch64")]
const OLD: &[(c_long, Kind)] = &[(libc::SYS_renameat, Kind::Names(RENAMEAT))];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLD: &[(c_long, Kind)] = &[];

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const RENAMEAT: [Name; 2] = [at(0, 1, Stay, Uses::MOVE), at(2, 3, Stay, Uses::MOVE)];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = (u32, Kind)> {
    let all = EVERYWHERE.iter().chain(OLD);
    all.filter_map(|&(number, kind)| Some((u32::try_from(number).ok()?, kind)))
}

/// What a file is used for that is opened with these flags.
pub(crate) fn opened(flags: u64) -> Uses {
    let has =
        |flag: c_int| flags & u64::from(flag.unsigned_abs()) == u64::from(flag.unsigned_abs());
    if has(libc::O_PATH) {
        return Uses::LOOK;
    }
    if has(libc::O_TMPFILE) {
        return Uses::INSIDE;
    }
    let mut uses = match flags & u64::from(libc::O_ACCMODE.unsigned_abs()) {
        0 => Uses::READ,
        1 => Uses::WRITE,
        _ => Uses::READ.with(Uses::WRITE),
    };
    if has(libc::O_TRUNC) {
        uses = uses.with(Uses::WRITE);
    }
    if has(libc::O_CREAT) {
        uses = uses.with(Uses::CREATE);
    }
    uses
}

/// Whether a file that is opened with these flags may be what a link at the end leads to.
pub(crate) fn follows(flags: u64) -> bool {
    let exclusive = libc::O_CREAT.unsigned_abs() | libc::O_EXCL.unsigned_abs();
    let has = |wanted: u32| flags & u64::from(wanted) == u64::from(wanted);
    !has(libc::O_NOFOLLOW.unsigned_abs()) && !has(exclusive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_call_is_there_once() {
        let numbers: Vec<_> = all().map(|(number, _)| number).collect();
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
        assert!(numbers.len() > 50);
    }

    #[test]
    fn flags_tell_what_a_file_is_opened_for() {
        let flags = |flags: c_int| u64::from(flags.unsigned_abs());
        assert_eq!(opened(0), Uses::READ);
        assert_eq!(opened(flags(libc::O_PATH | libc::O_RDWR)), Uses::LOOK);
        assert_eq!(opened(flags(libc::O_WRONLY | libc::O_CREAT)), Uses::WRITE.with(Uses::CREATE));
        assert_eq!(opened(flags(libc::O_TMPFILE | libc::O_RDWR)), Uses::INSIDE);
        assert!(!follows(flags(libc::O_CREAT | libc::O_EXCL)));
        assert!(follows(flags(libc::O_CREAT)));
    }
}
