//! Gather: everything that comes from the host becomes a detached mount or an fd, while host paths still mean what the
//! caller meant. Nothing of the sandbox exists yet, so a failure here leaves nothing behind.
//!
//! In the order of the command line, in two rounds: overlays and data files need a scratch tmpfs attached in the old tree,
//! which must neither hide anybody's source nor be copied into a bind of `/`.

use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat, readlinkat};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat};

use crate::config::Config;
use crate::config::op::{Access, Devices, Missing, Op, Source, Upper};
use crate::error::{Context, Error, Result, join};
use crate::explain::hints;
use crate::fds::Fds;
use crate::kernel::mount::{self, Attributes, Depth, Explain, Failure, Fresh, Node};
use crate::kernel::sys::SysResult;
use crate::sandbox::shelf::{self, Shelf};
use crate::sandbox::tree::{
    DevParts, Item, Layers, Scratch, Tree, bind_attributes, copy, fresh_tree, plain_tmpfs, with_attributes,
};
use crate::word::Word;

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

fn bind_failure(source: &CStr, dest: &CStr) -> Vec<u8> {
    join(&format!("Can't bind mount {} on", OsStr::from_bytes(source.to_bytes()).display()), dest)
}
