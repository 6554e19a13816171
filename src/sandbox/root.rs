//! Paths inside the sandbox. Nothing else touches a destination.
//!
//! When these functions run, `/` *is* the sandbox: absolute symlinks and `..` cannot lead out of
//! it. Two dangers remain, and are dealt with here. A magic link, such as a planted symlink to
//! /proc/self/fd/N, would reach an fd that the caller left open: none is ever followed. And the
//! last component is never followed at all: what is there is opened as itself.
//!
//! openat2(2) walks paths that way; where a filter answers ENOSYS, [`walk`] does it component by
//! component.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use crate::config::op::is_nameless;
use crate::error::{Context, Error, Result, join};
use crate::explain::hints;
use crate::kernel::mount::{self, Failure, MountResult, Node, kind};
use crate::kernel::sys::SysResult;
use crate::kernel::way::{MAX_LINKS, ahead};
use crate::sandbox::follow::Link;
use crate::sandbox::leave::leave_for;
use crate::sandbox::runs::Refused;

/// The sandbox's file system while it is built.
#[derive(Debug)]
pub(crate) struct Root<'a> {
    /// The host's /proc, kept open.
    proc: BorrowedFd<'a>,
    /// The parent directory of the destination before this one, which often is that of this one
    /// too, with its path if it may be used again. It may if that path has neither symlinks nor
    /// `..` in it: then what is mounted on its children, and nothing else is in between, cannot lie
    /// on the way to it.
    parent: Option<(Option<Vec<u8>>, OwnedFd)>,
    /// Whether `--follow-symlinks` would help the operation at hand.
    pub(crate) may_follow: bool,
}

/// One of our attached mounts, as a place for mounts on what we have created in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside<'a>(BorrowedFd<'a>);

impl AsFd for Inside<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

impl Inside<'_> {
    /// Attaches a mount to a name in it.
    pub(crate) fn attach(self, mount: BorrowedFd<'_>, name: &CStr) -> MountResult<()> {
        mount::attach_at(mount, Some(self.0), name)
    }
}

/// A destination: the directory it is in and its last component.
struct Place<'a> {
    dir: BorrowedFd<'a>,
    name: Cow<'a, CStr>,
    /// Whether `--follow-symlinks` would help.
    may_follow: bool,
}

impl Place<'_> {
    /// Makes what is to be mounted on, if there is nothing yet; the result is whether it was made.
    fn make(&self, dest: &CStr, node: Node) -> Result<bool> {
        mount::make_point(self.dir, self.name.as_ref(), node).at("Can't create file", dest)
    }

    /// Whether the last component is a name, and not the way to where the path already is.
    fn is_named(&self) -> bool {
        !matches!(self.name.to_bytes(), b"." | b"..")
    }

    /// Opens what is there, as something to mount on.
    fn open(&self, dest: &CStr) -> Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let opened =
            match beneath(self.dir, self.name.as_ref(), flags, ResolveFlag::RESOLVE_NO_SYMLINKS) {
                Err(Errno::ENOSYS) => {
                    openat(self.dir, self.name.as_ref(), flags | OFlag::O_NOFOLLOW, Mode::empty())
                        .and_then(not_a_symlink)
                }
                other => other,
            };
        match opened {
            Err(Errno::ELOOP) => {
                Err(Error::about("Can't mount on symlink destination", dest)
                    .hinted(|_| self.hint()))
            }
            other => other.at("Can't create file", dest),
        }
    }

    /// The error for a mount that cannot be attached here.
    fn refused(&self, failure: Failure, node: Node, dest: &CStr) -> Error {
        match self.open(dest) {
            Ok(point) => mismatch(failure, node, point.as_fd(), dest),
            Err(error) => error,
        }
    }

    /// What may be said where there is a symlink.
    fn hint(&self) -> Option<String> {
        let text = readlinkat(self.dir, self.name.as_ref()).ok()?;
        Some(hints::link(&text, self.may_follow))
    }
}

impl<'a> Root<'a> {
    /// The process is in the new root already.
    pub(crate) const fn new(proc: BorrowedFd<'a>) -> Self {
        Self { proc, parent: None, may_follow: false }
    }

    /// Opens the place where something is to be mounted, and makes it if it is not there. `perms`
    /// is what the operation says about the modes of its parents, see [`parent_mode`].
    pub(crate) fn mount_point(&mut self, dest: &CStr, node: Node, perms: u32) -> Result<OwnedFd> {
        let place = self.place(dest, perms)?;
        place.make(dest, node)?;
        place.open(dest)
    }

    /// Opens a mount point that must exist.
    pub(crate) fn existing_mount_point(&mut self, dest: &CStr) -> Result<OwnedFd> {
        self.place(dest, 0)?.open(dest)
    }

    /// Attaches a mount at a destination. A mount on `/` becomes the new `/`, and leaves nothing
    /// below it that could be uncovered.
    pub(crate) fn attach(
        &mut self,
        mount: BorrowedFd<'_>,
        dest: &CStr,
        node: Node,
        perms: u32,
    ) -> Result<()> {
        let place = self.place(dest, perms)?;
        let made = place.make(dest, node)?;
        // move_mount(2) does not follow the last component either. What we have just created is no
        // symlink, and a directory cannot be mounted on one, so there is no need to look first. A
        // file can be mounted on a symlink, which the reference refuses.
        if place.is_named() && (made || node == Node::Directory) {
            return mount::attach_at(mount, Some(place.dir), &place.name)
                .map_err(|failure| place.refused(failure, node, dest));
        }
        let (point, is_named) = (place.open(dest)?, place.is_named());
        if !is_named && node == Node::Directory && self.is_root(dest, point.as_fd())? {
            return self.replace(mount);
        }
        mount::attach(mount, point.as_fd())
            .map_err(|failure| mismatch(failure, node, point.as_fd(), dest))?;
        if !is_named {
            // The mount covers the directory that is kept open as the parent, or one above it.
            self.parent = None;
        }
        Ok(())
    }

    /// The error for a directory of a run that cannot be attached.
    pub(crate) fn refused(&mut self, dest: &CStr, why: Refused) -> Error {
        match why {
            Refused::Place(errno) => {
                Error::os(join("Can't create file", dest), errno).with_path(dest)
            }
            Refused::Mount(failure) => match self.place(dest, 0) {
                Ok(place) => place.refused(failure, Node::Directory, dest),
                Err(error) => error,
            },
        }
    }

    /// Attaches a mount to what a link at a destination leads to.
    pub(crate) fn attach_to(
        &mut self,
        mount: BorrowedFd<'_>,
        point: BorrowedFd<'_>,
        node: Node,
        dest: &CStr,
    ) -> Result<()> {
        // The mount may cover the directory that is kept open as the parent, or one above it.
        self.parent = None;
        mount::attach(mount, point).map_err(|failure| mismatch(failure, node, point, dest))
    }

    /// The same for a mount inside which more is going to be mounted.
    pub(crate) fn attach_around<'m>(
        &mut self,
        mount: BorrowedFd<'m>,
        dest: &CStr,
        node: Node,
    ) -> Result<Inside<'m>> {
        self.attach(mount, dest, node, 0)?;
        // Mounts inside it may cover the directory that is kept open as the parent, or one above
        // it.
        self.parent = None;
        Ok(Inside(mount))
    }

    /// Makes a mount the new `/`, and whatever was `/` unreachable.
    pub(crate) fn replace(&mut self, mount: BorrowedFd<'_>) -> Result<()> {
        self.parent = None;
        leave_for(self.proc, mount)
    }

    /// Whether a destination that ends in a dot, as only that can be, is `/` itself. Only one with
    /// names in it needs a look.
    fn is_root(&self, dest: &CStr, point: BorrowedFd<'_>) -> Result<bool> {
        let (parent, _) = split(dest);
        if is_nameless(parent) {
            return Ok(true);
        }
        self.is_top(point)
    }

    /// Whether something is `/` itself.
    pub(crate) fn is_top(&self, point: BorrowedFd<'_>) -> Result<bool> {
        let root = open_path(c"/", OFlag::O_DIRECTORY).context("Can't open /")?;
        let (here, there) =
            (fstat(point).context("Can't stat /")?, fstat(&root).context("Can't stat /")?);
        if here.st_ino != there.st_ino {
            return Ok(false);
        }
        let mount_of = |fd| mount::mount_id(self.proc, fd).context("Can't find the mount of /");
        Ok(mount_of(point)? == mount_of(root.as_fd())?)
    }

    /// Looks the parent of the next destination up anew.
    pub(crate) fn forget_parent(&mut self) {
        self.parent = None;
    }

    /// The directory of the destination before the next one, with its path, if it may be used again.
    pub(crate) fn known_parent(&self) -> Option<(&[u8], BorrowedFd<'_>)> {
        self.parent.as_ref().and_then(|(path, dir)| Some((path.as_deref()?, dir.as_fd())))
    }

    /// Makes a directory; one that exists is left as it is.
    pub(crate) fn directory(&mut self, dest: &CStr, perms: u32) -> Result<()> {
        let place = self.place(dest, perms)?;
        match mkdirat(place.dir, place.name.as_ref(), Mode::from_bits_truncate(perms)) {
            Ok(()) => return Ok(()),
            Err(Errno::EEXIST) => {}
            other => return other.at("Can't create file", dest),
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let found = openat(place.dir, place.name.as_ref(), flags, Mode::empty())
            .at("Can't create file", dest)?;
        match kind(found.as_fd()).at("Can't create file", dest)? {
            SFlag::S_IFDIR => Ok(()),
            _ => Err(Error::about("Destination is not a directory", dest).hinted(|_| place.hint())),
        }
    }

    /// Opens a new or emptied file for writing.
    pub(crate) fn file(&mut self, dest: &CStr, perms: u32) -> Result<OwnedFd> {
        let place = self.place(dest, perms)?;
        let ours = OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        // Without O_NONBLOCK, opening a FIFO that somebody put there would block.
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NONBLOCK | ours;
        let mode = Mode::from_bits_truncate(perms);
        let opened = openat(place.dir, place.name.as_ref(), flags, mode);
        opened.at("Can't create file", dest).map_err(|error| error.hinted(|_| place.hint()))
    }

    /// Makes a symbolic link; one that exists with the same text is fine. `perms` says how open
    /// parents are that are made, see [`parent_mode`].
    pub(crate) fn symlink(&mut self, target: &CStr, dest: &CStr, perms: u32) -> Result<()> {
        let place = self.place(dest, perms)?;
        match nix::unistd::symlinkat(target, place.dir, place.name.as_ref()) {
            Err(Errno::EEXIST) => {}
            other => return other.at("Can't make symlink at", dest),
        }
        let mut failure = join("Can't make symlink at", dest);
        match readlinkat(place.dir, place.name.as_ref()) {
            Ok(text) if text.as_bytes() == target.to_bytes() => return Ok(()),
            Ok(text) => {
                failure.extend_from_slice(b": existing destination is ");
                failure.extend_from_slice(text.as_bytes());
            }
            Err(Errno::EINVAL) => {
                failure.extend_from_slice(b": destination exists and is not a symlink");
            }
            Err(errno) => return Err(Error::os(failure, errno)),
        }
        Err(Error::new(failure))
    }

    /// The fd that is still open.
    pub(crate) fn finish(self) -> Option<OwnedFd> {
        self.parent.map(|(_, dir)| dir)
    }

    /// Finds the directory of a destination, and makes it if need be.
    fn place<'b>(&'b mut self, dest: &'b CStr, perms: u32) -> Result<Place<'b>> {
        let (parent, name) = split(dest);
        let whole = dest.to_bytes_with_nul();
        let last = whole.len().checked_sub(name.len() + 1).and_then(|start| whole.get(start..));
        let last = last.and_then(|text| CStr::from_bytes_with_nul(text).ok());
        let name = match last.filter(|last| last.to_bytes() == name) {
            Some(last) => Cow::Borrowed(last),
            None => Cow::Owned(CString::new(name).unwrap_or_default()),
        };
        if !matches!(&self.parent, Some((Some(known), _)) if known == parent) {
            let (dir, way) =
                make_parents(parent, parent_mode(perms)).at("Can't mkdir parents for", dest)?;
            self.parent = Some(((way == Way::Plain).then(|| parent.to_vec()), dir));
        }
        let dir = self.parent.as_ref().map_or(AT_FDCWD, |(_, dir)| dir.as_fd());
        Ok(Place { dir, name, may_follow: self.may_follow })
    }
}

/// The error for a mount that could not be attached. The kernel refuses a directory on a file and
/// the other way round, with an errno that does not say so.
fn mismatch(failure: Failure, node: Node, point: BorrowedFd<'_>, dest: &CStr) -> Error {
    match Node::of(point) {
        Ok(Node::File) if node == Node::Directory => {
            Error::about("Destination is not a directory", dest)
        }
        Ok(Node::Directory) if node == Node::File => {
            Error::about("Destination is not a file", dest)
        }
        _ => failure.explain(join("Can't mount on", dest)),
    }
}

/// Opens something that exists; of a symbolic link, what it leads to.
pub(crate) fn followed(path: &CStr) -> SysResult<OwnedFd> {
    open_path(path, OFlag::empty())
}

/// The same in a directory that is open.
pub(crate) fn followed_in(dir: BorrowedFd<'_>, name: &CStr) -> SysResult<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    match beneath(dir, name, flags, ResolveFlag::RESOLVE_NO_MAGICLINKS) {
        Err(Errno::ENOSYS) => walk(dir, name, flags),
        other => other,
    }
}

/// Whether a path that leads to this leads through a symbolic link of procfs, such as `/proc/self`
/// or `/proc/mounts`: it leads elsewhere for each process.
pub(crate) fn differs_by_process(found: BorrowedFd<'_>, path: &CStr) -> SysResult<bool> {
    if fstatfs(found)?.filesystem_type() != PROC_SUPER_MAGIC {
        return Ok(false);
    }
    walk_noting(AT_FDCWD, path, OFlag::empty()).map(|(_, follows_procs)| follows_procs)
}

/// Whether the way to an existing directory contains no symbolic link.
pub(crate) fn is_plain(path: &[u8]) -> bool {
    let path = CString::new(path).ok();
    path.is_some_and(|path| open_parent(&path).is_ok_and(|(_, way)| way == Way::Plain))
}

/// Opens something that exists, as itself and not as what it may link to.
pub(crate) fn existing(path: &CStr) -> SysResult<OwnedFd> {
    open_path(path, OFlag::O_NOFOLLOW)
}

/// The symbolic link that a path is, if it is one. Links on the way to it are followed. What is not
/// there is left to whoever wants to do something with it.
pub(crate) fn link(path: &CStr) -> SysResult<Option<Link>> {
    let (parent, name) = split(path);
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let found = CString::new(parent)
        .map_err(|_| Errno::EINVAL)
        .and_then(|parent| open_parent(&parent))
        .and_then(|(dir, _)| {
            openat(&dir, OsStr::from_bytes(name), flags, Mode::empty()).map(|fd| (dir, fd))
        });
    match found {
        Ok((dir, fd)) => Ok((kind(fd.as_fd())? == SFlag::S_IFLNK).then_some(Link { dir, fd })),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Whether there is a mount at a path, and something in it. A mount is known by what lies above it.
pub(crate) fn is_full_mount(proc: BorrowedFd<'_>, path: &CStr) -> SysResult<bool> {
    let point = match existing(path) {
        Err(Errno::ENOENT) => return Ok(false),
        other => other?,
    };
    if kind(point.as_fd())? != SFlag::S_IFDIR {
        return Ok(false);
    }
    let above = openat(&point, c"..", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let (here, there) = (fstat(&point)?, fstat(&above)?);
    let is_root = (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino);
    if !is_root && mount::mount_id(proc, point.as_fd())? == mount::mount_id(proc, above.as_fd())? {
        return Ok(false);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    for entry in Dir::openat(&point, c".", flags, Mode::empty())?.iter() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The mode of parents that are made: open as far as the operation's own mode leaves anything to
/// the group and to others.
const fn parent_mode(perms: u32) -> u32 {
    let mut mode = 0o755;
    let (group, others) = (perms & 0o070, perms & 0o007);
    if group == 0 {
        mode &= !0o050;
    }
    if others == 0 {
        mode &= !0o005;
    }
    mode
}

/// A path's parent and last component. `/` and `x/..` have no name: `.` or `..` stands for it.
fn split(path: &CStr) -> (&[u8], &[u8]) {
    let mut path = path.to_bytes();
    while let [rest @ .., b'/'] = path {
        path = rest;
    }
    match path.iter().rposition(|&byte| byte == b'/') {
        _ if path.is_empty() => (b"/", b"."),
        Some(slash) => {
            let (parent, name) = path.split_at(slash);
            (if parent.is_empty() { b"/" } else { parent }, name.strip_prefix(b"/").unwrap_or(name))
        }
        None => (b"/", path),
    }
}

/// How a path led to what was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By its own components, downwards.
    Plain,
    /// Perhaps by symlinks, or up again.
    Winding,
}

/// Opens a directory in the sandbox, making what is missing of it. Search permission is all that is
/// needed on the way.
fn make_parents(path: &[u8], mode: u32) -> SysResult<(OwnedFd, Way)> {
    let whole = CString::new(path).map_err(|_| Errno::EINVAL)?;
    match open_parent(&whole) {
        Err(Errno::ENOENT) => {}
        other => return other,
    }
    let mut so_far = Vec::with_capacity(path.len() + 1);
    let mut dir = open_path(c"/", OFlag::O_DIRECTORY)?;
    for part in path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
        match mkdirat(&dir, OsStr::from_bytes(part), Mode::from_bits_truncate(mode)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(other) => return Err(other),
        }
        so_far.push(b'/');
        so_far.extend_from_slice(part);
        let prefix = CString::new(so_far.clone()).map_err(|_| Errno::EINVAL)?;
        dir = open_path(&prefix, OFlag::O_DIRECTORY)?;
    }
    Ok((dir, Way::Winding))
}

/// Opens a directory, and tells how it was found.
fn open_parent(path: &CStr) -> SysResult<(OwnedFd, Way)> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let goes_up = path.to_bytes().split(|&byte| byte == b'/').any(|part| part == b"..");
    if !goes_up {
        match beneath(AT_FDCWD, path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS) {
            Ok(dir) => return Ok((dir, Way::Plain)),
            Err(Errno::ELOOP | Errno::ENOSYS) => {}
            Err(other) => return Err(other),
        }
    }
    Ok((open_path(path, flags)?, Way::Winding))
}

/// Opens a path of the sandbox as an `O_PATH` fd, without following magic links.
fn open_path(path: &CStr, flags: OFlag) -> SysResult<OwnedFd> {
    let flags = flags | OFlag::O_PATH | OFlag::O_CLOEXEC;
    match beneath(AT_FDCWD, path, flags, ResolveFlag::RESOLVE_NO_MAGICLINKS) {
        Err(Errno::ENOSYS) => walk(AT_FDCWD, path, flags),
        other => other,
    }
}

/// openat2(2).
fn beneath(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlag,
    resolve: ResolveFlag,
) -> SysResult<OwnedFd> {
    openat2(dir, path, OpenHow::new().flags(flags).resolve(resolve))
}

/// The errno for a symlink where there must be none, as openat2(2) gives it.
fn not_a_symlink(fd: OwnedFd) -> SysResult<OwnedFd> {
    if kind(fd.as_fd())? == SFlag::S_IFLNK { Err(Errno::ELOOP) } else { Ok(fd) }
}

/// The longest path that the kernel takes, with its NUL byte.
const PATH_MAX: usize = 4096;

/// What openat2(2) does with `RESOLVE_NO_MAGICLINKS`, one component at a time.
///
/// Symlinks are read and their text is walked, so a magic link could not be followed even by
/// mistake; on procfs one that looks like it is refused, as openat2 would. The kernel keeps `..`
/// below the process's root.
fn walk(start: BorrowedFd<'_>, path: &CStr, flags: OFlag) -> SysResult<OwnedFd> {
    walk_noting(start, path, flags).map(|(found, _)| found)
}

/// The same, and whether a link of procfs was on the way.
fn walk_noting(start: BorrowedFd<'_>, path: &CStr, flags: OFlag) -> SysResult<(OwnedFd, bool)> {
    if path.count_bytes() >= PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let step = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let from_root = || openat(AT_FDCWD, c"/", step, Mode::empty());
    let mut todo: Vec<_> = ahead(path.to_bytes()).collect();
    let mut here = match path.to_bytes() {
        [b'/', ..] => from_root()?,
        _ => openat(start, c".", step, Mode::empty())?,
    };
    let (mut links, mut follows_procs) = (0, false);
    while let Some(part) = todo.pop() {
        if kind(here.as_fd())? != SFlag::S_IFDIR {
            return Err(Errno::ENOTDIR);
        }
        let next = openat(&here, OsStr::from_bytes(&part), step, Mode::empty())?;
        let keep = todo.is_empty() && flags.contains(OFlag::O_NOFOLLOW);
        if kind(next.as_fd())? != SFlag::S_IFLNK || keep {
            here = next;
            continue;
        }
        links += 1;
        let text = readlinkat(&here, OsStr::from_bytes(&part))?;
        let text = text.as_bytes();
        let on_proc = fstatfs(&here)?.filesystem_type() == PROC_SUPER_MAGIC;
        if links > MAX_LINKS || (on_proc && (text.starts_with(b"/") || text.contains(&b':'))) {
            return Err(Errno::ELOOP);
        }
        follows_procs |= on_proc;
        if text.starts_with(b"/") {
            here = from_root()?;
        }
        todo.extend(ahead(text));
    }
    match kind(here.as_fd())? {
        SFlag::S_IFDIR => Ok((here, follows_procs)),
        _ if flags.contains(OFlag::O_DIRECTORY) => Err(Errno::ENOTDIR),
        _ => Ok((here, follows_procs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_into_parent_and_name() {
        let cases: [(&CStr, &[u8], &[u8]); 9] = [
            (c"/", b"/", b"."),
            (c"//", b"/", b"."),
            (c"/a", b"/", b"a"),
            (c"a", b"/", b"a"),
            (c"/a/b/", b"/a", b"b"),
            (c"a//b", b"a/", b"b"),
            (c"/..", b"/", b".."),
            (c"/a/..", b"/a", b".."),
            (c".", b"/", b"."),
        ];
        for (path, parent, name) in cases {
            assert_eq!(split(path), (parent, name), "{path:?}");
        }
    }

    #[test]
    fn parents_are_as_open_as_the_mode_says() {
        assert_eq!(parent_mode(0), 0o700);
        assert_eq!(parent_mode(0o600), 0o700);
        assert_eq!(parent_mode(0o640), 0o750);
        assert_eq!(parent_mode(0o604), 0o705);
        assert_eq!(parent_mode(0o666), 0o755);
    }
}
