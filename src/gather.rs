//! Gather: everything that comes from the host becomes a detached mount or an fd, while host paths still mean what the
//! caller meant. Nothing of the sandbox exists yet, so a failure here leaves nothing behind.
//!
//! In the order of the command line, in two rounds: overlays and data files need a scratch tmpfs attached in the old tree,
//! which must neither hide anybody's source nor be copied into a bind of `/`.

use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat, readlinkat};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat, mkdirat};

use crate::config::{Access, Config, Devices, Missing, Op, Source, Upper, Word};
use crate::error::{Context, Error, Result, errno, join};
use crate::fds::Fds;
use crate::hints;
use crate::mount::{self, Attributes, Depth, Explain, Failure, Fresh};
use crate::root::Node;
use crate::shelf::{self, Shape, Shelf, Shelved};
use crate::sys::{self, SysResult};

/// A detached mount.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The mount.
    pub(crate) fd: OwnedFd,
    /// What its root is.
    pub(crate) node: Node,
    /// Attributes that could not be set before attaching, because the kernel has no mount_setattr(2).
    pub(crate) to_set: Option<Attributes>,
}

/// The parts of a `--dev`.
#[derive(Debug)]
pub(crate) struct DevParts {
    /// The tmpfs that holds them.
    pub(crate) tmpfs: Tree,
    /// Device nodes of the host, by name.
    pub(crate) nodes: Vec<(&'static CStr, Tree)>,
    /// A devpts of its own.
    pub(crate) pts: OwnedFd,
}

/// What an operation takes from the host.
#[derive(Debug)]
pub(crate) enum Item {
    /// Nothing.
    None,
    /// Its source does not exist, and need not: the operation is left out. Or it is done already.
    Skipped,
    /// A mount.
    Tree(Tree),
    /// A file of the scratch tmpfs, by its name there.
    Data(Tree, CString),
    /// A `--dev`.
    Dev(DevParts),
    /// A file to copy.
    Content(OwnedFd),
    /// The layers of an overlay, still to be mounted.
    Layers(Layers),
    /// Mounts on the shelf.
    Shelved(Shape, Vec<Shelved>),
}

/// The directories of an overlay.
#[derive(Debug)]
pub(crate) struct Layers {
    /// Where writes go and the work directory; none for memory or no writes.
    upper: Option<(OwnedFd, OwnedFd)>,
    /// The topmost first.
    lower: Vec<OwnedFd>,
    /// The options with the caller's own paths, for an error: the fds that stand for them mean nothing to anybody.
    shown: String,
}

impl Layers {
    /// All of them.
    pub(crate) fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.upper.iter().flat_map(|(upper, work)| [upper, work]).chain(&self.lower)
    }
}

impl Item {
    /// Takes out a directory tree; what is left says that its operation is done.
    fn take_directory(&mut self) -> Option<Tree> {
        match std::mem::replace(self, Self::Skipped) {
            Self::Tree(tree) if tree.node == Node::Directory => Some(tree),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// A tmpfs that is nobody's `--tmpfs`.
pub(crate) fn plain_tmpfs() -> mount::MountResult<OwnedFd> {
    Fresh { kind: c"tmpfs", parameters: &[], attributes: Attributes::NOSUID.with(Attributes::NODEV) }.make()
}

/// The device nodes of a `--dev`.
const NODES: [(&CStr, &CStr); 6] = [
    (c"null", c"/dev/null"),
    (c"zero", c"/dev/zero"),
    (c"full", c"/dev/full"),
    (c"random", c"/dev/random"),
    (c"urandom", c"/dev/urandom"),
    (c"tty", c"/dev/tty"),
];

/// What gathering needs to know.
#[derive(Debug)]
pub(crate) struct Gatherer<'a> {
    /// What was asked for.
    pub(crate) config: &'a Config,
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    /// The caller's fds.
    pub(crate) fds: &'a mut Fds,
    /// The terminal on standard output, if there is one.
    pub(crate) tty: Option<&'a CStr>,
    /// From which number on fds are running out.
    pub(crate) room: RawFd,
}

/// Everything that comes from the host.
#[derive(Debug)]
pub(crate) struct Gathered<'a> {
    /// What `/` is to be at first. It is the oldest of the mounts: Linux 6.8 and later list them by age, and programs that look for the
    /// last mount above a path expect `/` first.
    pub(crate) base: Tree,
    /// One for every operation.
    pub(crate) items: Vec<Item>,
    /// The scratch tmpfs, if there is one.
    pub(crate) scratch: Option<OwnedFd>,
    /// The shelf, if there is one.
    pub(crate) shelf: Option<Shelf<'a>>,
}

impl<'a> Gatherer<'a> {
    /// Takes it all.
    pub(crate) fn gather(&mut self) -> Result<Gathered<'a>> {
        let first_is_root = self.config.ops.first().is_some_and(Op::is_root_bind);
        let mut base = if first_is_root { None } else { Some(self.new_root()?) };
        let mut items = Vec::with_capacity(self.config.ops.len());
        let mut aside = None;
        for op in &self.config.ops {
            let mut item = self.first_round(op).map_err(|error| error.hinted(|errno| hints::source(op, self.fds, errno)))?;
            if base.is_none() {
                base = Some(item.take_directory().map_or_else(|| self.new_root(), Ok)?);
            }
            let full = shelf::highest(&item) >= self.room;
            items.push(item);
            if full {
                Shelf::put_all(&mut aside, self.proc, items.iter_mut())?;
            }
        }
        let base = base.ok_or_else(|| Error::new("There is no root to start with"))?;
        let mut scratch = None;
        for (index, op) in self.config.ops.iter().enumerate() {
            if !matches!(op, Op::Overlay { .. } | Op::Data { .. }) {
                continue;
            }
            let Some(item) = items.get_mut(index) else { continue };
            match (op, std::mem::replace(item, Item::None)) {
                (Op::Overlay { upper, dest, .. }, Item::Layers(layers)) => {
                    let made = self.overlay(&mut scratch, upper, &layers, dest);
                    *item = made.map_err(|error| error.hinted(|errno| hints::overlay(layers.upper.as_ref(), errno)))?;
                }
                (Op::Data { dest, perms, access, .. }, Item::Content(content)) => {
                    *item = self.data(&mut scratch, content, dest, *perms, *access)?;
                }
                _ => {}
            }
            if shelf::highest(item) >= self.room {
                Shelf::put_all(&mut aside, self.proc, items.iter_mut())?;
            }
        }
        Ok(Gathered { base, items, scratch: scratch.map(|scratch| scratch.fd), shelf: aside })
    }

    /// The empty tmpfs that is the new root where nothing else is. The label of `--file-label` is for what is made, and the root of a
    /// file system is not: then it is a directory in a scratch tmpfs of its own.
    fn new_root(&self) -> Result<Tree> {
        let fd = if self.config.file_label.is_some() {
            let mut scratch = Scratch::new()?;
            let (name, _) = scratch.directory("root")?;
            let root = mount::clone_tree(scratch.fd.as_fd(), &name, Depth::One);
            // Sources in /proc are still to be looked up.
            umount2(c"/proc", MntFlags::MNT_DETACH).context("Can't unmount scratch tmpfs")?;
            root
        } else {
            plain_tmpfs()
        };
        let fd = fd.explain(|| "Failed to mount tmpfs")?;
        let mode = Mode::from_bits_truncate(0o755);
        fchmodat(&fd, c".", mode, FchmodatFlags::FollowSymlink).context("Failed to set the mode of the new root")?;
        Ok(Tree { fd, node: Node::Directory, to_set: None })
    }

    fn first_round(&mut self, op: &Op) -> Result<Item> {
        match op {
            Op::Bind { source: Source::Path(path), dest, access, devices, missing } => {
                self.bind(path, dest, bind_attributes(*access, *devices), *missing)
            }
            Op::Bind { source: Source::Fd(fd), dest, access, devices, .. } => {
                self.bind_fd(*fd, dest, bind_attributes(*access, *devices))
            }
            Op::Proc(dest) => self.procfs(dest),
            Op::Dev(dest) => self.dev(dest),
            Op::Tmpfs { dest, perms, size } => self.tmpfs(dest, *perms, *size).map(Item::Tree),
            Op::File { fd, dest, .. } | Op::Data { fd, dest, .. } => {
                self.fds.take(*fd).map(Item::Content).at("Can't write data to file", dest)
            }
            Op::Overlay { upper, layers, .. } => layers_of(upper, layers).map(Item::Layers),
            Op::RemountRo(_) | Op::Mqueue(_) | Op::Dir { .. } | Op::Symlink { .. } | Op::Chmod { .. } => Ok(Item::None),
        }
    }

    /// A host path as a detached tree with its flags set.
    fn bind(&self, path: &CStr, dest: &CStr, attributes: Attributes, missing: Missing) -> Result<Item> {
        match self.clone_path(path) {
            Ok(fd) => with_attributes(fd, attributes, Depth::Recursive, || bind_failure(path, dest)).map(Item::Tree),
            Err(Failure { errno: Errno::ENOENT, .. }) if missing == Missing::Skip => Ok(Item::Skipped),
            Err(Failure {
                errno: errno @ (Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG),
                ..
            }) => Err(errno).at("Can't find source path", path),
            Err(failure) => Err(failure.explain(bind_failure(path, dest))),
        }
    }

    /// Clones the mounts at a path. A magic link may lead to a mount of the caller's namespace, of which ours has a copy: then
    /// the path that it stands for is what can be cloned.
    fn clone_path(&self, path: &CStr) -> std::result::Result<OwnedFd, Failure> {
        mount::clone_tree(AT_FDCWD, path, Depth::Recursive).or_else(|failure| {
            if failure.errno != Errno::EINVAL {
                return Err(failure);
            }
            let Ok(direct) = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) else { return Err(failure) };
            let text = self.path_of(direct.as_fd()).map_err(|_| failure)?;
            let tree = mount::clone_tree(AT_FDCWD, &text, Depth::Recursive)?;
            // The path of something that was removed may be that of something else.
            match (fstat(&direct), fstat(&tree)) {
                (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) => Ok(tree),
                _ => Err(Failure::NOT_FOUND),
            }
        })
    }

    /// The path of an open file as the host's /proc shows it.
    fn path_of(&self, fd: BorrowedFd<'_>) -> SysResult<CString> {
        let text = readlinkat(self.proc, format!("self/fd/{}", fd.as_raw_fd()).as_str())?;
        CString::new(text.into_vec()).map_err(|_| Errno::ENOENT)
    }

    /// An open file or directory. It is mounted by its path, so what was mounted has to be compared with it.
    fn bind_fd(&mut self, number: i32, dest: &CStr, attributes: Attributes) -> Result<Item> {
        let name = CString::new(format!("/proc/self/fd/{number}")).unwrap_or_default();
        let not_found = "Can't find source path";
        if self.fds.is_used(number) {
            return Err(Errno::EBADF).context(format!("Can't stat fd {number}"));
        }
        let fd = self.fds.take(number).map_err(|_| Errno::ENOENT).at(not_found, &name)?;
        let path = self.path_of(fd.as_fd()).at(not_found, &name)?;
        let tree = mount::clone_tree(AT_FDCWD, &path, Depth::Recursive).map_err(|failure| match failure.errno {
            Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::ELOOP => Error::os(join(not_found, &name), failure.errno),
            _ => failure.explain(bind_failure(&path, dest)),
        })?;
        let stat = |fd: BorrowedFd<'_>| fstat(fd).at("Can't stat fd for", dest);
        let (wanted, found) = (stat(fd.as_fd())?, stat(tree.as_fd())?);
        if (wanted.st_dev, wanted.st_ino) != (found.st_dev, found.st_ino) {
            return Err(Error::new("Race condition binding dirfd"));
        }
        with_attributes(tree, attributes, Depth::Recursive, || bind_failure(&path, dest)).map(Item::Tree)
    }

    /// A new procfs where the pid namespace is ours, else the host's. A new one must be made while the host's is still around:
    /// the kernel allows it in a user namespace only where a fully visible one is.
    fn procfs(&self, dest: &CStr) -> Result<Item> {
        if !self.config.has_own_pidns() {
            return self.bind(c"/proc", dest, bind_attributes(Access::ReadWrite, Devices::Refused), Missing::Fatal);
        }
        let attributes = Attributes::NOSUID.with(Attributes::NODEV).with(Attributes::NOEXEC);
        fresh_tree(c"proc", &[], attributes, dest).map(Item::Tree)
    }

    /// An empty tmpfs, with the label of --file-label.
    fn tmpfs(&self, dest: &CStr, perms: u32, size: Option<u64>) -> Result<Tree> {
        let text = |value: String| CString::new(value).unwrap_or_default();
        let mode = text(format!("{perms:#o}").replacen("0o", "0", 1));
        let size = size.map(|size| text(size.to_string()));
        let mut parameters = vec![(c"mode", Some(mode.as_c_str()))];
        if let Some(size) = &size {
            parameters.push((c"size", Some(size)));
        }
        if let Some(label) = &self.config.file_label {
            parameters.push((c"context", Some(label)));
        }
        fresh_tree(c"tmpfs", &parameters, Attributes::NOSUID.with(Attributes::NODEV), dest)
    }

    fn dev(&self, dest: &CStr) -> Result<Item> {
        let tmpfs = self.tmpfs(dest, 0o755, None)?;
        let console = self.tty.map(|tty| (c"console", tty));
        let nodes = NODES.into_iter().chain(console).map(|(name, path)| {
            let attributes = bind_attributes(Access::ReadWrite, Devices::Allowed);
            match self.bind(path, path, attributes, Missing::Fatal)? {
                Item::Tree(tree) => Ok((name, tree)),
                _ => Err(Error::new(bind_failure(path, path))),
            }
        });
        let nodes = nodes.collect::<Result<_>>()?;
        let parameters = [(c"ptmxmode", Some(c"0666")), (c"mode", Some(c"620"))];
        let pts = Fresh { kind: c"devpts", parameters: &parameters, attributes: Attributes::NOSUID.with(Attributes::NOEXEC) };
        let mut place = dest.to_bytes().to_vec();
        place.extend_from_slice(b"/pts");
        let pts = pts.make().explain(|| [b"Can't mount devpts on ".as_slice(), &place].concat())?;
        Ok(Item::Dev(DevParts { tmpfs, nodes, pts }))
    }

    /// A file of the scratch tmpfs with the content of an fd.
    fn data(&self, scratch: &mut Option<Scratch>, content: OwnedFd, dest: &CStr, perms: u32, access: Access) -> Result<Item> {
        let scratch = Scratch::get(scratch, self.proc)?;
        let name = scratch.next_name("bindfile");
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file =
            openat(&scratch.fd, name.as_c_str(), flags, Mode::from_bits_truncate(0o600)).context("Can't create tmpfile")?;
        fchmod(&file, Mode::from_bits_truncate(perms)).context("Can't set mode on file to be used for data")?;
        copy(content, file, dest)?;
        let tree = mount::clone_tree(scratch.fd.as_fd(), &name, Depth::One).explain(|| bind_failure(&name, dest))?;
        let tree = with_attributes(tree, bind_attributes(access, Devices::Refused), Depth::One, || bind_failure(&name, dest))?;
        Ok(Item::Data(tree, name))
    }

    /// An overlay. The layers are given as fds: their paths may hold anything, and mean what they meant in the first round. It is
    /// mounted on the scratch tmpfs by mount(2), because fsconfig(2) takes at most 255 bytes of `lowerdir`, and then cloned.
    fn overlay(&self, scratch: &mut Option<Scratch>, upper: &Upper, layers: &Layers, dest: &CStr) -> Result<Item> {
        let scratch = Scratch::get(scratch, self.proc)?;
        let path = |fd: &OwnedFd| format!("self/fd/{}", fd.as_raw_fd());
        let memory = match upper {
            Upper::Tmp => Some((scratch.directory("tmp-overlay-upper-")?.1, scratch.directory("tmp-overlay-work-")?.1)),
            Upper::Host { .. } | Upper::None => None,
        };
        let mut options = String::new();
        if let Some((upper, work)) = layers.upper.as_ref().or(memory.as_ref()) {
            _ = write!(options, "upperdir={},workdir={},", path(upper), path(work));
        }
        let lower: Vec<String> = layers.lower.iter().map(path).collect();
        _ = write!(options, "lowerdir={},userxattr", lower.join(":"));
        let (name, point) = scratch.directory("overlay-")?;
        let failure =
            || [join("Can't make overlay mount on", dest), format!(" with options {}", layers.shown).into_bytes()].concat();
        mount_overlay(&path(&point), &options).map_err(|errno| match errno {
            Errno::ELOOP => Error::new([failure(), b": Overlay directories may not overlap".to_vec()].concat()),
            other => Error::mount(failure(), other),
        })?;
        let fd = mount::clone_tree(scratch.fd.as_fd(), &name, Depth::One).explain(failure)?;
        Ok(Item::Tree(Tree { fd, node: Node::Directory, to_set: None }))
    }
}

/// Sets a clone's attributes, or notes that this has to wait.
pub(crate) fn with_attributes(fd: OwnedFd, attributes: Attributes, depth: Depth, what: impl Fn() -> Vec<u8>) -> Result<Tree> {
    let node = Node::of(fd.as_fd()).map_err(|errno| Error::os(what(), errno))?;
    let to_set = match mount::add_attributes(fd.as_fd(), attributes, depth) {
        Ok(()) => None,
        Err(Failure { errno: Errno::ENOSYS, .. }) => Some(attributes),
        Err(failure) => return Err(failure.explain(what())),
    };
    Ok(Tree { fd, node, to_set })
}

/// Opens the host's directories of an overlay.
fn layers_of(upper: &Upper, layers: &[Word]) -> Result<Layers> {
    let host = |path: &Word| open(*path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).at("Can't find source path", path);
    let mut shown = String::new();
    let upper = match upper {
        Upper::Host { rwsrc, workdir } => {
            shown = format!("upperdir={},workdir={},", rwsrc.to_string_lossy(), workdir.to_string_lossy());
            Some((host(rwsrc)?, host(workdir)?))
        }
        Upper::Tmp | Upper::None => None,
    };
    let lower = layers.iter().rev().map(host).collect::<Result<_>>()?;
    let names: Vec<_> = layers.iter().rev().map(|path| path.to_string_lossy()).collect();
    _ = write!(shown, "lowerdir={},userxattr", names.join(":"));
    Ok(Layers { upper, lower, shown })
}

/// mount(2) of an overlay; the working directory is the host's /proc. Longer options than a page would be cut by the kernel.
fn mount_overlay(point: &str, options: &str) -> SysResult<()> {
    if options.len() >= 4096 {
        return Err(Errno::E2BIG);
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_SILENT;
    nix::mount::mount(Some(c"overlay"), point, Some(c"overlay"), flags, Some(options))
}

/// The flags of a bind; they are added to what its source has.
pub(crate) const fn bind_attributes(access: Access, devices: Devices) -> Attributes {
    let attributes = match devices {
        Devices::Refused => Attributes::NOSUID.with(Attributes::NODEV),
        Devices::Allowed => Attributes::NOSUID,
    };
    match access {
        Access::ReadOnly => attributes.with(Attributes::RDONLY),
        Access::ReadWrite => attributes,
    }
}

fn bind_failure(source: &CStr, dest: &CStr) -> Vec<u8> {
    join(&format!("Can't bind mount {} on", OsStr::from_bytes(source.to_bytes()).display()), dest)
}

/// A fresh file system; every kind of ours has a directory as its root.
pub(crate) fn fresh_tree(
    kind: &CStr,
    parameters: &[(&CStr, Option<&CStr>)],
    attributes: Attributes,
    dest: &CStr,
) -> Result<Tree> {
    let fd = Fresh { kind, parameters, attributes }
        .make()
        .explain(|| join(&format!("Can't mount {} on", OsStr::from_bytes(kind.to_bytes()).display()), dest))?;
    Ok(Tree { fd, node: Node::Directory, to_set: None })
}

/// Copies an fd of the caller's to its end. `io::copy` knows faster ways, but panics where a file refuses them halfway.
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
    sys::while_ignored(libc::SIGXFSZ, all).map_err(|error| errno(&error)).at("Can't write data to file", dest)
}

/// A tmpfs on top of the host's /proc, gone with the old tree. /proc is the one directory that is sure to be there, and the one
/// that is not needed by its path any more: it is open, and the working directory from here on.
#[derive(Debug)]
struct Scratch {
    fd: OwnedFd,
    used: u32,
}

impl Scratch {
    /// The scratch tmpfs, made at the first need.
    fn get<'a>(slot: &'a mut Option<Self>, proc: BorrowedFd<'_>) -> Result<&'a mut Self> {
        let made = if let Some(made) = slot.take() {
            made
        } else {
            let made = Self::new()?;
            nix::unistd::fchdir(proc).context("Can't enter /proc")?;
            made
        };
        Ok(slot.insert(made))
    }

    fn new() -> Result<Self> {
        let what = || "Can't mount scratch tmpfs";
        let fd = plain_tmpfs().explain(what)?;
        // By path: the open /proc is the one of the caller's mount namespace, where nothing of ours may be attached.
        mount::attach_at(fd.as_fd(), None, c"/proc").explain(what)?;
        Ok(Self { fd, used: 0 })
    }

    fn next_name(&mut self, prefix: &str) -> CString {
        self.used += 1;
        CString::new(format!("{prefix}{:06}", self.used)).unwrap_or_default()
    }

    /// A new directory, and its name.
    fn directory(&mut self, prefix: &str) -> Result<(CString, OwnedFd)> {
        let name = self.next_name(prefix);
        let what = "Can't create directory on scratch tmpfs";
        mkdirat(&self.fd, name.as_c_str(), Mode::from_bits_truncate(0o755)).context(what)?;
        let fd = openat(&self.fd, name.as_c_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).context(what)?;
        Ok((name, fd))
    }
}
