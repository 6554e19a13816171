//! Gather: everything that comes from the host becomes a detached mount or an fd, while host paths
//! still mean what the caller meant. Nothing of the sandbox exists yet, so a failure here leaves
//! nothing behind.
//!
//! In the order of the command line, in two rounds: overlays and data files need a scratch tmpfs
//! attached in the old tree, which must neither hide anybody's source nor be copied into a bind of
//! `/`.

use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat, readlinkat};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat};

use crate::config::Config;
use crate::config::op::{Access, Devices, Extra, Missing, Op, Source, Upper};
use crate::error::{Context, Error, Result, join};
use crate::explain::hints;
use crate::fds::Inherited;
use crate::kernel::mount::{self, Attributes, Depth, Explain, Failure, Fresh, Node};
use crate::kernel::sys::SysResult;
use crate::kernel::way::Way;
use crate::sandbox::mask::Covers;
use crate::sandbox::runs::{Ahead, Found};
use crate::sandbox::shelf::{self, Shelf};
use crate::sandbox::tree::{
    DevParts, Layers, Mount, Scratch, Step, Tree, bind_attributes, copy, fresh_tree,
    known_with_attributes, plain_tmpfs, settled, with_attributes, with_extra,
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

/// The flags of a new procfs.
const PROC_ATTRIBUTES: Attributes =
    Attributes::NOSUID.with(Attributes::NODEV).with(Attributes::NOEXEC);

/// What gathering needs to know.
#[derive(Debug)]
pub(crate) struct Gatherer<'a> {
    /// What was asked for.
    pub(crate) config: &'a Config,
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    /// The caller's fds.
    pub(crate) fds: &'a mut Inherited,
    /// The terminal on standard output, if there is one.
    pub(crate) tty: Option<&'a CStr>,
    /// From which number on fds are running out.
    pub(crate) room: RawFd,
}

/// Everything that comes from the host.
#[derive(Debug)]
pub(crate) struct Gathered<'a> {
    /// What `/` is to be at first. It is the oldest of the mounts: Linux 6.8 and later list them by
    /// age, and programs that look for the last mount above a path expect `/` first.
    pub(crate) base: Tree,
    /// Whether that is a bind, and not an empty tmpfs.
    pub(crate) is_bound: bool,
    /// What is left to do for each operation, if anything.
    pub(crate) steps: Vec<Option<Step>>,
    /// The scratch tmpfs, if there is one.
    pub(crate) scratch: Option<OwnedFd>,
    /// What hides others, if anything is to be hidden.
    pub(crate) covers: Option<Covers>,
    /// The shelf, if there is one.
    pub(crate) shelf: Option<Shelf<'a>>,
}

/// What an operation has brought.
enum Gain<'a> {
    /// Its source does not exist, and need not.
    Nothing,
    /// All that it needs.
    Step(Step),
    /// The layers of an overlay, which is made in the second round.
    Layers(&'a Upper, Layers, Word, Extra),
    /// Content for a data file, which is made in the second round.
    Content { content: OwnedFd, dest: Word, perms: u32, attributes: Attributes },
}

impl Gain<'_> {
    fn mount(mount: Mount, dest: Word, depth: Depth, perms: u32) -> Self {
        Self::Step(Step::Attach { mount, dest, depth, perms })
    }

    /// Takes out a directory tree; what is left says that its operation is done.
    fn take_directory(&mut self) -> Option<Tree> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Step(Step::Attach { mount: Mount::Open(tree), .. })
                if tree.node == Node::Directory =>
            {
                Some(tree)
            }
            other => {
                *self = other;
                None
            }
        }
    }
}

impl<'a> Gatherer<'a> {
    /// Takes it all.
    pub(crate) fn gather(&mut self) -> Result<Gathered<'a>> {
        let config = self.config;
        let first_is_root = config.ops.first().is_some_and(Op::is_root_bind);
        let mut base = if first_is_root { None } else { Some(self.new_root()?) };
        let mut steps: Vec<Option<Step>> = Vec::with_capacity(config.ops.len());
        let mut later = Vec::new();
        let mut is_bound = false;
        let mut aside = None;
        let mut ahead = Ahead::default();
        for (index, op) in config.ops.iter().enumerate() {
            let found = ahead.next(config.ops.get(index..).unwrap_or_default(), self.room);
            let gain = self.first_round(op, found);
            let mut gain = gain.map_err(|error| {
                let error = error.hinted(|errno| hints::source(op, self.fds, errno));
                error.of(op.option()).with_path(op.dest())
            })?;
            if base.is_none() {
                let bound = gain.take_directory();
                is_bound = bound.is_some();
                base = Some(bound.map_or_else(|| self.new_root(), Ok)?);
            }
            let full = match &gain {
                Gain::Layers(_, layers, ..) => shelf::highest(layers.fds()) >= self.room,
                _ => false,
            };
            steps.push(match gain {
                Gain::Nothing => None,
                Gain::Step(step) => Some(step),
                other => {
                    later.push((steps.len(), other));
                    None
                }
            });
            let last = steps.len() - 1;
            self.make_room(&mut aside, &mut steps, last, full)?;
        }
        let base = base.ok_or_else(|| Error::new("There is no root to start with"))?;
        let mut scratch = None;
        for (index, gain) in later {
            let step = self.second_round(&mut scratch, gain)?;
            if let Some(slot) = steps.get_mut(index) {
                *slot = step;
            }
            self.make_room(&mut aside, &mut steps, index, false)?;
        }
        let covers = if config.ops.iter().any(Op::is_mask) {
            Some(Covers::new(Scratch::get(&mut scratch, self.proc)?)?)
        } else {
            None
        };
        let scratch = scratch.map(|scratch| scratch.fd);
        Ok(Gathered { base, is_bound, steps, scratch, covers, shelf: aside })
    }

    /// Puts mounts onto the shelf if fds are running out, as the newest step shows.
    fn make_room(
        &self,
        aside: &mut Option<Shelf<'a>>,
        steps: &mut [Option<Step>],
        newest: usize,
        full: bool,
    ) -> Result<()> {
        let last = steps.get_mut(newest).and_then(Option::as_mut);
        let open = last.into_iter().flat_map(Step::mounts).filter_map(|mount| match mount {
            Mount::Open(tree) => Some(&tree.fd),
            Mount::Shelved(_) => None,
        });
        let highest = shelf::highest(open);
        if full || highest >= self.room {
            Shelf::put_all(aside, self.proc, steps.iter_mut().flatten())?;
        }
        Ok(())
    }

    /// The empty tmpfs that is the new root where nothing else is. The label of `--file-label` is
    /// for what is made, and the root of a file system is not: then it is a directory in a scratch
    /// tmpfs of its own.
    fn new_root(&self) -> Result<Tree> {
        let fd = if self.config.file_label.is_some() {
            let mut scratch = Scratch::new()?;
            let (name, _) = scratch.directory("root")?;
            let root = mount::clone_tree(scratch.fd.as_fd(), &name, Depth::One);
            // /proc must be the caller's again for sources in it, which are opened later.
            umount2(c"/proc", MntFlags::MNT_DETACH).context("Can't unmount scratch tmpfs")?;
            root
        } else {
            plain_tmpfs()
        };
        let fd = fd.explain(|| "Failed to mount tmpfs")?;
        let mode = Mode::from_bits_truncate(0o755);
        fchmodat(&fd, c".", mode, FchmodatFlags::FollowSymlink)
            .context("Failed to set the mode of the new root")?;
        Ok(Tree { fd, node: Node::Directory, to_set: None })
    }

    /// What an operation takes from the host. `found` is what is at the source of a bind.
    fn first_round(&mut self, op: &'a Op, found: Option<Found>) -> Result<Gain<'a>> {
        let recursive = |mount, dest| Gain::mount(mount, dest, Depth::Recursive, 0);
        Ok(match op {
            Op::Bind { source: Source::Path(path), dest, access, devices, missing, extra } => {
                let attributes = bind_attributes(*access, *devices, *extra);
                let found = found.unwrap_or_else(|| Found::at(path, attributes));
                let tree = self.bind_found(found, (path, dest), attributes, *missing)?;
                tree.map_or(Gain::Nothing, |tree| recursive(Mount::Open(tree), dest))
            }
            Op::Bind { source: Source::Fd(fd), dest, access, devices, extra, .. } => {
                let attributes = bind_attributes(*access, *devices, *extra);
                recursive(Mount::Open(self.bind_fd(*fd, dest, attributes)?), dest)
            }
            Op::Same { path, access, missing, extra } => {
                self.same(path, bind_attributes(*access, Devices::Refused, *extra), *missing)?
            }
            Op::Proc(dest) => {
                Gain::Step(Step::Procfs { mount: Mount::Open(self.procfs(dest)?), dest })
            }
            Op::ProcPid(dest) => {
                let mount = Mount::Open(Self::procfs_of_processes(dest)?);
                Gain::Step(Step::Processes { mount, dest })
            }
            Op::Dev(dest) => Gain::Step(Step::Dev { parts: Box::new(self.dev(dest)?), dest }),
            // Only for a tmpfs do new parent directories get the mode of the mount.
            Op::Tmpfs { dest, perms, size, extra } => {
                let tree = self.tmpfs(dest, (*perms, *size), *extra)?;
                Gain::mount(Mount::Open(tree), dest, Depth::One, *perms)
            }
            Op::File { fd, dest, perms } => {
                Gain::Step(Step::File { content: self.content(*fd, dest)?, dest, perms: *perms })
            }
            Op::Data { fd, dest, perms, access, extra } => {
                let content = self.content(*fd, dest)?;
                let attributes = bind_attributes(*access, Devices::Refused, *extra);
                Gain::Content { content, dest, perms: *perms, attributes }
            }
            Op::Tar { fd, dest, perms, size, extra, is_upper } => {
                let content = self.fds.take(*fd).at("Can't unpack an archive at", dest)?;
                let new = || self.tmpfs(dest, (perms.unwrap_or(0o755), *size), *extra);
                let mount = (!is_upper).then(new).transpose()?.map(Mount::Open);
                let (number, perms) = (*fd, *perms);
                Gain::Step(Step::Tar { mount, content, number, dest, perms })
            }
            Op::Overlay { upper, layers, dest, extra } => {
                Gain::Layers(upper, layers_of(upper, layers)?, dest, *extra)
            }
            Op::RemountRo(dest) => Gain::Step(Step::RemountRo(dest)),
            Op::Mqueue(dest) => Gain::Step(Step::Mqueue(dest)),
            Op::Mask(path) => Gain::Step(Step::Mask(path)),
            Op::MaskGlob(patterns) => Gain::Step(Step::MaskGlob(patterns.clone())),
            Op::Dir { dest, perms } => Gain::Step(Step::Dir { dest, perms: *perms }),
            Op::Symlink { target, dest } => Gain::Step(Step::Symlink { target, dest }),
            Op::Chmod { perms, path } => Gain::Step(Step::Chmod { perms: *perms, path }),
        })
    }

    /// What needs the scratch tmpfs.
    fn second_round(&self, scratch: &mut Option<Scratch>, gain: Gain<'_>) -> Result<Option<Step>> {
        match gain {
            Gain::Layers(upper, layers, dest, extra) => {
                let made = self.overlay(scratch, upper, &layers, dest);
                let hint = |errno| hints::overlay(layers.upper.as_ref(), errno);
                let tree = made.map_err(|error| error.hinted(hint))?;
                let tree = with_extra(tree, extra, || join("Can't make overlay mount on", dest))?;
                let mount = Mount::Open(tree);
                Ok(Some(Step::Attach { mount, dest, depth: Depth::Recursive, perms: 0 }))
            }
            Gain::Content { content, dest, perms, attributes } => {
                let (tree, name) = self.data(scratch, content, dest, (perms, attributes))?;
                Ok(Some(Step::Data { mount: Mount::Open(tree), name, dest, perms }))
            }
            Gain::Step(step) => Ok(Some(step)),
            Gain::Nothing => Ok(None),
        }
    }

    /// The caller's fd that an operation copies.
    fn content(&mut self, fd: RawFd, dest: &CStr) -> Result<OwnedFd> {
        self.fds.take(fd).at("Can't write data to file", dest)
    }

    /// A host path as a detached tree with its flags set.
    fn bind(
        &self,
        path: &CStr,
        dest: &CStr,
        attributes: Attributes,
        missing: Missing,
    ) -> Result<Option<Tree>> {
        self.bind_found(Found::at(path, attributes), (path, dest), attributes, missing)
    }

    /// The same, after a look at it.
    fn bind_found(
        &self,
        found: Found,
        (path, dest): (&CStr, &CStr),
        attributes: Attributes,
        missing: Missing,
    ) -> Result<Option<Tree>> {
        let failure = || bind_failure(path, dest);
        match found {
            Found::Directory(fd) => {
                return Ok(Some(Tree { fd, node: Node::Directory, to_set: None }));
            }
            Found::Plain(fd, why) => {
                let tree = (fd, Node::Directory);
                return settled(tree, (Err(why), attributes), Depth::Recursive, failure).map(Some);
            }
            Found::Other => {}
        }
        match self.clone_path(path) {
            Ok(fd) => with_attributes(fd, attributes, Depth::Recursive, failure).map(Some),
            Err(Failure { errno: Errno::ENOENT, .. }) if missing == Missing::Skip => Ok(None),
            Err(Failure {
                errno:
                    errno @ (Errno::ENOENT
                    | Errno::EACCES
                    | Errno::ENOTDIR
                    | Errno::ELOOP
                    | Errno::ENAMETOOLONG),
                ..
            }) => Err(errno).at("Can't find source path", path),
            Err(other) => Err(other.explain(failure())),
        }
    }

    /// A host path at the same place, with the links on the way to it.
    fn same(&self, path: &CStr, attributes: Attributes, missing: Missing) -> Result<Gain<'a>> {
        let Way { stops, end } = match Way::of(path) {
            Ok(way) => way,
            Err(lost) if lost.is_missing() && missing == Missing::Skip => return Ok(Gain::Nothing),
            Err(lost) => return Err(lost.error(path)),
        };
        let mount = match end {
            Some(end) => match self.bind(end, end, attributes, missing)? {
                Some(tree) => Some((Mount::Open(tree), end)),
                None => return Ok(Gain::Nothing),
            },
            None => None,
        };
        Ok(Gain::Step(Step::Same { stops, mount }))
    }

    /// Clones the mounts at a path. A magic link may lead to a mount of the caller's namespace, of
    /// which ours has a copy: then the path that it stands for is what can be cloned.
    fn clone_path(&self, path: &CStr) -> std::result::Result<OwnedFd, Failure> {
        mount::clone_tree(AT_FDCWD, path, Depth::Recursive).or_else(|failure| {
            if failure.errno != Errno::EINVAL {
                return Err(failure);
            }
            let Ok(direct) = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) else {
                return Err(failure);
            };
            let text = self.path_of(direct.as_fd()).map_err(|_| failure)?;
            let tree = mount::clone_tree(AT_FDCWD, &text, Depth::Recursive)?;
            // If the source was removed, its path may be that of something else by now.
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

    /// An open file or directory. It is mounted by its path, so what was mounted has to be compared
    /// with it.
    fn bind_fd(&mut self, number: i32, dest: &CStr, attributes: Attributes) -> Result<Tree> {
        let name = CString::new(format!("/proc/self/fd/{number}")).unwrap_or_default();
        let not_found = "Can't find source path";
        if self.fds.is_used(number) {
            return Err(Errno::EBADF).context(format!("Can't stat fd {number}"));
        }
        let fd = self.fds.take(number).map_err(|_| Errno::ENOENT).at(not_found, &name)?;
        let path = self.path_of(fd.as_fd()).at(not_found, &name)?;
        let tree =
            mount::clone_tree(AT_FDCWD, &path, Depth::Recursive).map_err(
                |failure| match failure.errno {
                    Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::ELOOP => {
                        Error::os(join(not_found, &name), failure.errno)
                    }
                    _ => failure.explain(bind_failure(&path, dest)),
                },
            )?;
        let stat = |fd: BorrowedFd<'_>| fstat(fd).at("Can't stat fd for", dest);
        let (wanted, found) = (stat(fd.as_fd())?, stat(tree.as_fd())?);
        if (wanted.st_dev, wanted.st_ino) != (found.st_dev, found.st_ino) {
            return Err(Error::new("Race condition binding dirfd"));
        }
        with_attributes(tree, attributes, Depth::Recursive, || bind_failure(&path, dest))
    }

    /// A new procfs where the pid namespace is ours, else the host's. A new one must be made while
    /// the host's is still around: the kernel allows it in a user namespace only where a fully
    /// visible one is.
    fn procfs(&self, dest: &CStr) -> Result<Tree> {
        if !self.config.has_own_pidns() {
            return self.bind_existing(
                c"/proc",
                dest,
                bind_attributes(Access::ReadWrite, Devices::Refused, Extra::default()),
            );
        }
        fresh_tree(c"proc", &[], PROC_ATTRIBUTES, dest)
    }

    /// A procfs of processes alone.
    fn procfs_of_processes(dest: &CStr) -> Result<Tree> {
        fresh_tree(c"proc", &[(c"subset", Some(c"pid"))], PROC_ATTRIBUTES, dest)
    }

    /// A host path that has to be there.
    fn bind_existing(&self, path: &CStr, dest: &CStr, attributes: Attributes) -> Result<Tree> {
        let tree = self.bind(path, dest, attributes, Missing::Fatal)?;
        tree.ok_or_else(|| Error::new(bind_failure(path, dest)))
    }

    /// An empty tmpfs, with the label of --file-label.
    fn tmpfs(&self, dest: &CStr, (perms, size): (u32, Option<u64>), extra: Extra) -> Result<Tree> {
        let text = |value: String| CString::new(value).unwrap_or_default();
        let mode = text(format!("0{perms:o}"));
        let size = size.map(|size| text(size.to_string()));
        let mut parameters = vec![(c"mode", Some(mode.as_c_str()))];
        if let Some(size) = &size {
            parameters.push((c"size", Some(size)));
        }
        if let Some(label) = &self.config.file_label {
            parameters.push((c"context", Some(label)));
        }
        let attributes = Attributes::NOSUID.with(Attributes::NODEV);
        let tree = fresh_tree(c"tmpfs", &parameters, attributes, dest)?;
        with_extra(tree, extra, || join("Can't mount tmpfs on", dest))
    }

    fn dev(&self, dest: &CStr) -> Result<DevParts> {
        let tmpfs = Mount::Open(self.tmpfs(dest, (0o755, None), Extra::default())?);
        let console = self.tty.map(|tty| (c"console", tty));
        let attributes = bind_attributes(Access::ReadWrite, Devices::Allowed, Extra::default());
        let nodes = NODES.into_iter().chain(console).map(|(name, path)| {
            let failure = || bind_failure(path, path);
            let tree = match self.clone_path(path) {
                // No need to check: the kernel attaches only files to a file.
                Ok(fd) => {
                    let node = (fd, Node::File);
                    known_with_attributes(node, attributes, Depth::Recursive, failure)?
                }
                Err(_) => self.bind_existing(path, path, attributes)?,
            };
            Ok((name, Mount::Open(tree)))
        });
        let nodes = nodes.collect::<Result<_>>()?;
        let parameters = [(c"ptmxmode", Some(c"0666")), (c"mode", Some(c"620"))];
        let pts = Fresh {
            kind: c"devpts",
            parameters: &parameters,
            attributes: Attributes::NOSUID.with(Attributes::NOEXEC),
        };
        let pts = pts
            .make()
            .explain(|| [b"Can't mount devpts on ", dest.to_bytes(), b"/pts"].concat())?;
        let pts = Mount::Open(Tree { fd: pts, node: Node::Directory, to_set: None });
        Ok(DevParts { tmpfs, nodes, pts })
    }

    /// A file of the scratch tmpfs with the content of an fd.
    fn data(
        &self,
        scratch: &mut Option<Scratch>,
        content: OwnedFd,
        dest: &CStr,
        (perms, attributes): (u32, Attributes),
    ) -> Result<(Tree, CString)> {
        let scratch = Scratch::get(scratch, self.proc)?;
        let name = scratch.next_name("bindfile");
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file = openat(&scratch.fd, name.as_c_str(), flags, Mode::from_bits_truncate(0o600))
            .context("Can't create tmpfile")?;
        fchmod(&file, Mode::from_bits_truncate(perms))
            .context("Can't set mode on file to be used for data")?;
        copy(content, file, dest)?;
        let tree = mount::clone_tree(scratch.fd.as_fd(), &name, Depth::One)
            .explain(|| bind_failure(&name, dest))?;
        let tree = with_attributes(tree, attributes, Depth::One, || bind_failure(&name, dest))?;
        Ok((tree, name))
    }

    /// An overlay. The layers are given as fds: their paths may hold anything, and mean what they
    /// meant in the first round. It is mounted on the scratch tmpfs by mount(2), because
    /// fsconfig(2) takes at most 255 bytes of `lowerdir`, and then cloned.
    fn overlay(
        &self,
        scratch: &mut Option<Scratch>,
        upper: &Upper,
        layers: &Layers,
        dest: &CStr,
    ) -> Result<Tree> {
        let scratch = Scratch::get(scratch, self.proc)?;
        let path = |fd: &OwnedFd| format!("self/fd/{}", fd.as_raw_fd());
        let memory = match upper {
            Upper::Tmp => Some((
                scratch.directory("tmp-overlay-upper-")?.1,
                scratch.directory("tmp-overlay-work-")?.1,
            )),
            Upper::Host { .. } | Upper::None => None,
        };
        let mut options = String::new();
        if let Some((upper, work)) = layers.upper.as_ref().or(memory.as_ref()) {
            _ = write!(options, "upperdir={},workdir={},", path(upper), path(work));
        }
        let lower: Vec<String> = layers.lower.iter().map(path).collect();
        _ = write!(options, "lowerdir={},userxattr", lower.join(":"));
        let (name, point) = scratch.directory("overlay-")?;
        let failure = || {
            [
                join("Can't make overlay mount on", dest),
                format!(" with options {}", layers.shown).into_bytes(),
            ]
            .concat()
        };
        mount_overlay(&path(&point), &options).map_err(|errno| match errno {
            Errno::ELOOP => {
                Error::new([failure(), b": Overlay directories may not overlap".to_vec()].concat())
            }
            other => Error::mount(failure(), other),
        })?;
        let fd = mount::clone_tree(scratch.fd.as_fd(), &name, Depth::One).explain(failure)?;
        Ok(Tree { fd, node: Node::Directory, to_set: None })
    }
}

/// Opens the host's directories of an overlay.
fn layers_of(upper: &Upper, layers: &[Word]) -> Result<Layers> {
    let host = |path: &Word| {
        open(*path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .at("Can't find source path", path)
    };
    let mut shown = String::new();
    let upper = match upper {
        Upper::Host { rwsrc, workdir } => {
            shown = format!(
                "upperdir={},workdir={},",
                rwsrc.to_string_lossy(),
                workdir.to_string_lossy()
            );
            Some((host(rwsrc)?, host(workdir)?))
        }
        Upper::Tmp | Upper::None => None,
    };
    let lower = layers.iter().rev().map(host).collect::<Result<_>>()?;
    let names: Vec<_> = layers.iter().rev().map(|path| path.to_string_lossy()).collect();
    _ = write!(shown, "lowerdir={},userxattr", names.join(":"));
    Ok(Layers { upper, lower, shown })
}

/// mount(2) of an overlay; the working directory is the host's /proc. Longer options than a page
/// would be cut by the kernel.
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
