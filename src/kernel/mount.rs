//! The mount API's calls, typed: clone a tree, set attributes, make a fresh file system, attach.
//!
//! What is cloned or made here is detached: nothing can see it until it is attached, and its flags
//! are set before that. The one exception is a kernel (before 5.12) or filter without
//! mount_setattr(2); then [`remount_below`](crate::kernel::remount::remount_below) sets the flags
//! right after attaching. See open_tree(2), mount_setattr(2), fsopen(2), move_mount(2).
#![expect(clippy::inline_always, reason = "see `sys::direct`")]

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::c_int;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, fstat, mknodat};

use crate::error::Error;
use crate::kernel::files::{field, file_type, read_file};
use crate::kernel::sys::{self, SysResult};

/// Flags of a mount, as `MOUNT_ATTR_*` bits. They are only ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes(pub(crate) u64);

impl Attributes {
    /// Read-only.
    pub(crate) const RDONLY: Self = Self(0x1);
    /// Set-uid bits are without effect.
    pub(crate) const NOSUID: Self = Self(0x2);
    /// Device nodes cannot be opened.
    pub(crate) const NODEV: Self = Self(0x4);
    /// Nothing can be executed.
    pub(crate) const NOEXEC: Self = Self(0x8);
    /// Symbolic links are not followed.
    pub(crate) const NOSYMFOLLOW: Self = Self(0x20_0000);
    /// None.
    pub(crate) const NONE: Self = Self(0);

    /// Both.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These, but not those.
    pub(crate) const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

/// Whether attributes are for one mount or for all below it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// This mount.
    One,
    /// This mount and every mount below.
    Recursive,
}

impl Depth {
    const fn flag(self) -> c_int {
        match self {
            Self::One => 0,
            Self::Recursive => libc::AT_RECURSIVE,
        }
    }
}

/// A mount call that failed: which one, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    call: Call,
    /// What the kernel said.
    pub(crate) errno: Errno,
}

/// The calls that the mount path cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    OpenTree,
    MoveMount,
    Fsopen,
    Fsconfig,
    Fsmount,
    MountSetattr,
}

/// The result of a mount call.
pub(crate) type MountResult<T> = std::result::Result<T, Failure>;

impl Call {
    const fn name(self) -> &'static str {
        match self {
            Self::OpenTree => "open_tree",
            Self::MoveMount => "move_mount",
            Self::Fsopen => "fsopen",
            Self::Fsconfig => "fsconfig",
            Self::Fsmount => "fsmount",
            Self::MountSetattr => "mount_setattr",
        }
    }

    /// The kernel that brought the call.
    const fn since(self) -> &'static str {
        match self {
            Self::MountSetattr => "5.12",
            _ => "5.2",
        }
    }

    /// Makes the call with an fd that cannot be right. The kernel says so; a filter says what it
    /// always says.
    fn probe(self) -> Errno {
        let bad = sys::bad_fd();
        let result = match self {
            Self::OpenTree => sys::open_tree(bad, c"x", 0).map(drop),
            Self::MoveMount => sys::move_mount(bad, bad, c"", MOVE_MOUNT_BOTH_EMPTY),
            Self::Fsopen => sys::fsopen(c"no-such-file-system").map(drop),
            Self::Fsconfig => sys::fsconfig(bad, FSCONFIG_CMD_CREATE, None, None),
            Self::Fsmount => sys::fsmount(bad, 0).map(drop),
            Self::MountSetattr => sys::mount_setattr(bad, libc::AT_EMPTY_PATH, 0),
        };
        result.err().unwrap_or(Errno::UnknownErrno)
    }

    fn failed(self) -> impl Fn(Errno) -> Failure {
        move |errno| Failure { call: self, errno }
    }
}

impl Failure {
    /// The error for a step, in the step's words. Where the call as such is refused, that is what
    /// the user has to know.
    pub(crate) fn explain(self, what: impl Into<Vec<u8>>) -> Error {
        let refused = match self.errno {
            Errno::ENOSYS => true,
            Errno::EPERM => self.call.probe() == Errno::EPERM,
            _ => false,
        };
        if !refused {
            return Error::mount(what, self.errno);
        }
        let mut text = what.into();
        let (name, since) = (self.call.name(), self.call.since());
        text.extend_from_slice(
            format!(": {name} is refused (it needs Linux {since} and a seccomp filter that allows {name})").as_bytes(),
        );
        Error::os(text, self.errno)
    }
}

impl Failure {
    /// What would have been cloned is not there.
    pub(crate) const NOT_FOUND: Self = Self { call: Call::OpenTree, errno: Errno::ENOENT };
}

/// Gives a failed mount call its words.
pub(crate) trait Explain<T> {
    /// The words are only made when needed.
    fn explain<W: Into<Vec<u8>>>(self, what: impl FnOnce() -> W) -> crate::error::Result<T>;
}

impl<T> Explain<T> for MountResult<T> {
    fn explain<W: Into<Vec<u8>>>(self, what: impl FnOnce() -> W) -> crate::error::Result<T> {
        self.map_err(|failure| failure.explain(what()))
    }
}

const OPEN_TREE_CLONE: u32 = 1;

const OPEN_TREE_CLOEXEC: u32 = libc::O_CLOEXEC.cast_unsigned();

const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;

const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;

const MOVE_MOUNT_BOTH_EMPTY: u32 = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

const FSCONFIG_SET_FLAG: u32 = 0;

const FSCONFIG_SET_STRING: u32 = 1;

const FSCONFIG_CMD_CREATE: u32 = 6;

/// A detached copy of the mounts at a path, with those below it or without.
#[inline(always)]
pub(crate) fn clone_tree(dir: BorrowedFd<'_>, path: &CStr, depth: Depth) -> MountResult<OwnedFd> {
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth.flag().cast_unsigned();
    sys::open_tree(dir, path, flags).map_err(Call::OpenTree.failed())
}

/// A detached copy of one mount that is attached.
pub(crate) fn clone_mount(mount: BorrowedFd<'_>) -> MountResult<OwnedFd> {
    let empty = libc::AT_EMPTY_PATH.cast_unsigned();
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | empty;
    sys::open_tree(mount, c"", flags).map_err(Call::OpenTree.failed())
}

/// A fresh file system: its type, and the parameters it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fresh<'a> {
    /// The type, which is its source name in mountinfo as well.
    pub(crate) kind: &'a CStr,
    /// Parameters; those without a value are flags.
    pub(crate) parameters: &'a [(&'a CStr, Option<&'a CStr>)],
    /// The flags of the mount.
    pub(crate) attributes: Attributes,
}

impl Fresh<'_> {
    /// Makes it, detached.
    pub(crate) fn make(self) -> MountResult<OwnedFd> {
        let fs = sys::fsopen(self.kind).map_err(Call::Fsopen.failed())?;
        let set = |key, value: Option<&CStr>| {
            let command = if value.is_some() { FSCONFIG_SET_STRING } else { FSCONFIG_SET_FLAG };
            sys::fsconfig(fs.as_fd(), command, Some(key), value).map_err(Call::Fsconfig.failed())
        };
        set(c"source", Some(self.kind))?;
        for &(key, value) in self.parameters {
            set(key, value)?;
        }
        sys::fsconfig(fs.as_fd(), FSCONFIG_CMD_CREATE, None, None)
            .map_err(Call::Fsconfig.failed())?;
        sys::fsmount(fs.as_fd(), self.attributes.0).map_err(Call::Fsmount.failed())
    }
}

/// Attaches a detached mount where an fd is.
pub(crate) fn attach(mount: BorrowedFd<'_>, point: BorrowedFd<'_>) -> MountResult<()> {
    sys::move_mount(mount, point, c"", MOVE_MOUNT_BOTH_EMPTY).map_err(Call::MoveMount.failed())
}

/// Attaches a detached mount at a path, relative to an fd or to the working directory.
#[inline(always)]
pub(crate) fn attach_at(
    mount: BorrowedFd<'_>,
    dir: Option<BorrowedFd<'_>>,
    path: &CStr,
) -> MountResult<()> {
    sys::move_mount(mount, dir.unwrap_or(AT_FDCWD), path, MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(Call::MoveMount.failed())
}

/// Makes what is to be mounted on, if there is nothing yet; the result is whether it was made.
#[inline(always)]
pub(crate) fn make_point(dir: BorrowedFd<'_>, name: &CStr, node: Node) -> SysResult<bool> {
    let made = match node {
        Node::Directory => sys::mkdirat(dir, name, 0o755),
        Node::File => mknodat(dir, name, SFlag::S_IFREG, Mode::from_bits_truncate(0o444), 0),
    };
    match made {
        Err(Errno::EEXIST) => Ok(false),
        made => made.map(|()| true),
    }
}

/// Adds attributes to a mount.
#[inline(always)]
pub(crate) fn add_attributes(
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    depth: Depth,
) -> MountResult<()> {
    sys::mount_setattr(mount, libc::AT_EMPTY_PATH | depth.flag(), attributes.0)
        .map_err(Call::MountSetattr.failed())
}

/// The id of the mount that an fd is on, as mountinfo counts.
pub(crate) fn mount_id(proc: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> SysResult<u64> {
    match sys::mount_id(fd, c"", libc::AT_EMPTY_PATH) {
        // A filter that does not know the call.
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        other => return other,
    }
    let info = read_file(proc, format!("self/fdinfo/{}", fd.as_raw_fd()).as_str(), usize::MAX)?;
    field(&info, b"mnt_id:").and_then(|number| number.parse().ok()).ok_or(Errno::EIO)
}

/// The required kind of a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

impl Node {
    /// What an open file is.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> SysResult<Self> {
        Ok(if kind(fd)? == SFlag::S_IFDIR { Self::Directory } else { Self::File })
    }
}

/// The file type of an open file.
pub(crate) fn kind(fd: BorrowedFd<'_>) -> SysResult<SFlag> {
    Ok(file_type(&fstat(fd)?))
}
