//! What is gathered from the host: detached mounts, and the scratch tmpfs that data files and
//! overlays need.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use crate::config::glob::Pattern;
use crate::config::op::{Access, Devices, Extra};
use crate::error::{Context, Error, Result, errno, join};
use crate::kernel::mount::{self, Attributes, Depth, Explain, Failure, Fresh, MountResult, Node};
use crate::kernel::sys;
use crate::kernel::way::Stop;
use crate::word::Word;

/// A detached mount.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The mount.
    pub(crate) fd: OwnedFd,
    /// What its root is.
    pub(crate) node: Node,
    /// Attributes that could not be set before attaching, because the kernel has no
    /// mount_setattr(2).
    pub(crate) to_set: Option<Attributes>,
}

/// A mount until it is attached.
#[derive(Debug)]
pub(crate) enum Mount {
    /// At hand.
    Open(Tree),
    /// On the shelf, see [`crate::sandbox::shelf`].
    Shelved(Box<Shelved>),
}

/// A mount on the shelf.
#[derive(Debug)]
pub(crate) struct Shelved {
    /// Its name there.
    pub(crate) name: CString,
    /// Its id, see [`mount::mount_id`].
    pub(crate) id: u64,
    pub(crate) node: Node,
    pub(crate) to_set: Option<Attributes>,
}

/// The parts of a `--dev`.
#[derive(Debug)]
pub(crate) struct DevParts {
    /// The tmpfs that holds them.
    pub(crate) tmpfs: Mount,
    /// Device nodes of the host, by name.
    pub(crate) nodes: Vec<(&'static CStr, Mount)>,
    /// A new devpts.
    pub(crate) pts: Mount,
}

/// One operation with all that it takes from the host.
#[derive(Debug)]
pub(crate) enum Step {
    /// Attaches a mount. `perms` is what it says about the modes of its parents.
    Attach { mount: Mount, dest: Word, depth: Depth, perms: u32 },
    /// Attaches a file of the scratch tmpfs, by its name there.
    Data { mount: Mount, name: CString, dest: Word, perms: u32 },
    /// Makes the links and directories on the way to a mount, if there is one, and attaches it.
    Same { stops: Vec<Stop>, mount: Option<(Mount, Word)> },
    /// Attaches a procfs.
    Procfs { mount: Mount, dest: Word },
    /// Attaches a procfs of processes alone.
    Processes { mount: Mount, dest: Word },
    /// Puts a `--dev` together.
    Dev { parts: Box<DevParts>, dest: Word },
    /// Copies a file.
    File { content: OwnedFd, dest: Word, perms: u32 },
    /// Unpacks an archive, at first into a tmpfs that is to be attached.
    Tar { mount: Option<Mount>, content: OwnedFd, number: RawFd, dest: Word, perms: Option<u32> },
    /// `--dir`
    Dir { dest: Word, perms: u32 },
    /// `--symlink`
    Symlink { target: Word, dest: Word },
    /// `--chmod`
    Chmod { perms: u32, path: Word },
    /// `--mqueue`, which needs nothing of the host.
    Mqueue(Word),
    /// `--remount-ro`
    RemountRo(Word),
    /// `--mask`
    Mask(Word),
    /// `--mask-glob`
    MaskGlob(Vec<Pattern>),
}

impl Step {
    /// The mounts that it attaches.
    pub(crate) fn mounts(&mut self) -> impl Iterator<Item = &mut Mount> {
        let (one, parts) = match self {
            Self::Attach { mount, .. }
            | Self::Data { mount, .. }
            | Self::Procfs { mount, .. }
            | Self::Processes { mount, .. }
            | Self::Same { mount: Some((mount, _)), .. } => (Some(mount), None),
            Self::Dev { parts, .. } => (None, Some(parts)),
            Self::Tar { mount, .. } => (mount.as_mut(), None),
            _ => (None, None),
        };
        let of_dev = parts.into_iter().flat_map(|parts| {
            let DevParts { tmpfs, nodes, pts } = parts.as_mut();
            nodes.iter_mut().map(|(_, mount)| mount).chain([tmpfs, pts])
        });
        one.into_iter().chain(of_dev)
    }
}

/// The directories of an overlay.
#[derive(Debug)]
pub(crate) struct Layers {
    /// Where writes go and the work directory; none for memory or no writes.
    pub(crate) upper: Option<(OwnedFd, OwnedFd)>,
    /// The topmost first.
    pub(crate) lower: Vec<OwnedFd>,
    /// The options with the caller's own paths, for an error: the fds that stand for them mean
    /// nothing to anybody.
    pub(crate) shown: String,
}

impl Layers {
    /// All of them.
    pub(crate) fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.upper.iter().flat_map(|(upper, work)| [upper, work]).chain(&self.lower)
    }
}

/// A tmpfs that belongs to no `--tmpfs`.
pub(crate) fn plain_tmpfs() -> MountResult<OwnedFd> {
    Fresh {
        kind: c"tmpfs",
        parameters: &[],
        attributes: Attributes::NOSUID.with(Attributes::NODEV),
    }
    .make()
}

/// Sets a clone's attributes, or notes that this must wait.
pub(crate) fn with_attributes(
    fd: OwnedFd,
    attributes: Attributes,
    depth: Depth,
    what: impl Fn() -> Vec<u8>,
) -> Result<Tree> {
    let node = Node::of(fd.as_fd()).map_err(|errno| Error::os(what(), errno))?;
    known_with_attributes((fd, node), attributes, depth, what)
}

/// The same for a tree of which it is known what its root is.
pub(crate) fn known_with_attributes(
    (fd, node): (OwnedFd, Node),
    attributes: Attributes,
    depth: Depth,
    what: impl Fn() -> Vec<u8>,
) -> Result<Tree> {
    let result = mount::add_attributes(fd.as_fd(), attributes, depth);
    settled((fd, node), (result, attributes), depth, what)
}

/// A tree whose attributes were set, or could not be.
pub(crate) fn settled(
    (fd, node): (OwnedFd, Node),
    (result, attributes): (MountResult<()>, Attributes),
    depth: Depth,
    what: impl Fn() -> Vec<u8>,
) -> Result<Tree> {
    let to_set = match result {
        Ok(()) => None,
        Err(Failure { errno: Errno::ENOSYS, .. }) => Some(attributes),
        // mount_setattr(2) has known this one since Linux 5.14 only, mount(2) since 5.10.
        Err(Failure { errno: Errno::EINVAL, .. })
            if attributes.without(Attributes::NOSYMFOLLOW) != attributes =>
        {
            let known = attributes.without(Attributes::NOSYMFOLLOW);
            mount::add_attributes(fd.as_fd(), known, depth).explain(what)?;
            Some(Attributes::NOSYMFOLLOW)
        }
        Err(failure) => return Err(failure.explain(what())),
    };
    Ok(Tree { fd, node, to_set })
}

/// The flags of `--noexec` and `--nosymfollow`.
const fn extra_attributes(extra: Extra) -> Attributes {
    let noexec = if extra.noexec { Attributes::NOEXEC } else { Attributes::NONE };
    if extra.nosymfollow { noexec.with(Attributes::NOSYMFOLLOW) } else { noexec }
}

/// A mount of one file system that is made anew, with the flags of `--noexec` and `--nosymfollow`.
pub(crate) fn with_extra(tree: Tree, extra: Extra, what: impl Fn() -> Vec<u8>) -> Result<Tree> {
    match extra_attributes(extra) {
        Attributes::NONE => Ok(tree),
        attributes => with_attributes(tree.fd, attributes, Depth::One, what),
    }
}

/// The flags of a bind; they are added to what its source has.
pub(crate) const fn bind_attributes(access: Access, devices: Devices, extra: Extra) -> Attributes {
    let attributes = match devices {
        Devices::Refused => Attributes::NOSUID.with(Attributes::NODEV),
        Devices::Allowed => Attributes::NOSUID,
    };
    let attributes = attributes.with(extra_attributes(extra));
    match access {
        Access::ReadOnly => attributes.with(Attributes::RDONLY),
        Access::ReadWrite => attributes,
    }
}

/// A new file system; all kinds used here have a directory as their root.
pub(crate) fn fresh_tree(
    kind: &CStr,
    parameters: &[(&CStr, Option<&CStr>)],
    attributes: Attributes,
    dest: &CStr,
) -> Result<Tree> {
    let fd = Fresh { kind, parameters, attributes }.make().explain(|| {
        join(&format!("Can't mount {} on", OsStr::from_bytes(kind.to_bytes()).display()), dest)
    })?;
    Ok(Tree { fd, node: Node::Directory, to_set: None })
}

/// Copies an fd of the caller's to its end. `io::copy` knows faster ways, but panics where a file
/// refuses them halfway.
pub(crate) fn copy(from: OwnedFd, to: OwnedFd, dest: &CStr) -> Result<()> {
    let (mut from, mut to) = (File::from(from), File::from(to));
    let mut buffer = [0; 16 * 1024];
    let all = || loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(buffer.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    // Beyond RLIMIT_FSIZE the signal would end this process without a word; the error has one.
    sys::while_ignored(libc::SIGXFSZ, all)
        .map_err(|error| errno(&error))
        .at("Can't write data to file", dest)
}

/// A tmpfs on top of the host's /proc, gone with the old tree. /proc is the one directory that is
/// sure to be there, and the one that is not needed by its path any more: it is open, and the
/// working directory from here on.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) fd: OwnedFd,
    pub(crate) used: u32,
}

impl Scratch {
    /// The scratch tmpfs, made at the first need.
    pub(crate) fn get<'a>(
        slot: &'a mut Option<Self>,
        proc: BorrowedFd<'_>,
    ) -> Result<&'a mut Self> {
        let made = if let Some(made) = slot.take() {
            made
        } else {
            let made = Self::new()?;
            nix::unistd::fchdir(proc).context("Can't enter /proc")?;
            made
        };
        Ok(slot.insert(made))
    }

    pub(crate) fn new() -> Result<Self> {
        let what = || "Can't mount scratch tmpfs";
        let fd = plain_tmpfs().explain(what)?;
        // By path: the open /proc is the one of the caller's mount namespace, where nothing of ours
        // may be attached.
        mount::attach_at(fd.as_fd(), None, c"/proc").explain(what)?;
        Ok(Self { fd, used: 0 })
    }

    pub(crate) fn next_name(&mut self, prefix: &str) -> CString {
        self.used += 1;
        CString::new(format!("{prefix}{:06}", self.used)).unwrap_or_default()
    }

    /// A new directory, and its name.
    pub(crate) fn directory(&mut self, prefix: &str) -> Result<(CString, OwnedFd)> {
        let name = self.next_name(prefix);
        let what = "Can't create directory on scratch tmpfs";
        mkdirat(&self.fd, name.as_c_str(), Mode::from_bits_truncate(0o755)).context(what)?;
        let fd = openat(&self.fd, name.as_c_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .context(what)?;
        Ok((name, fd))
    }
}
