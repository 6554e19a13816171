//! Build: one short function per operation. The process is in the new root; destinations go through
//! [`Root`] only.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use crate::config::op::{Access, Devices, Extra, Op};
use crate::error::{Context, Error, Result, describe, join, warn};
use crate::fds::{close_all, open_numbers};
use crate::kernel::idmap::Maps;
use crate::kernel::mount::{self, Attributes, Depth, Explain, Node};
use crate::kernel::remount;
use crate::kernel::way::Stop;
use crate::sandbox::follow::{self, Follow};
use crate::sandbox::mask::{self, Covers};
use crate::sandbox::root::{self, Root};
use crate::sandbox::runs;
use crate::sandbox::search::Search;
use crate::sandbox::shelf::Shelf;
use crate::sandbox::tar::{self, Job};
use crate::sandbox::tree::{self, DevParts, Mount, Step, Tree};
use crate::word::Word;

/// What building needs to know.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    /// The sandbox's file system.
    pub(crate) root: Root<'a>,
    /// The host's /proc, for kernels without mount_setattr(2).
    pub(crate) proc: BorrowedFd<'a>,
    /// Whether a mount's flags that cannot be set are a warning only.
    pub(crate) lenient: bool,
    /// Everything that was attached; the fds are closed together at the end.
    pub(crate) used: Vec<OwnedFd>,
    /// The tmpfs that data files are on.
    pub(crate) scratch: Option<OwnedFd>,
    /// What hides others, if anything is to be hidden.
    pub(crate) covers: Option<Covers>,
    /// Where some of what was gathered is.
    pub(crate) shelf: Option<Shelf<'a>>,
    /// From which number on fds are running out.
    pub(crate) room: RawFd,
    /// Whether root called, and COMMAND will not be able to take a mount of ours away.
    pub(crate) bare_root: bool,
    /// The maps of a nested user namespace with ranges.
    pub(crate) nested: Option<&'a Maps>,
    /// The mounts that archives were unpacked into.
    pub(crate) unpacked: Vec<u64>,
    /// What `--follow-symlinks` needs to know.
    pub(crate) follow: Follow,
}

/// The symbolic links of a `--dev`.
const DEV_LINKS: [(&CStr, &CStr); 5] = [
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"fd", c"/proc/self/fd"),
    (c"core", c"/proc/kcore"),
];

impl Builder<'_> {
    /// Closes everything that building had open. Where there is no call to close many fds, the
    /// result is what is still open: when PID 1 comes to close what it has no use for, there is no
    /// /proc that could be trusted.
    pub(crate) fn finish(self) -> Result<Option<Vec<RawFd>>> {
        let Self { root, mut used, scratch, covers, proc, shelf, .. } = self;
        used.extend(root.finish());
        used.extend(scratch);
        used.extend(covers.into_iter().flat_map(Covers::finish));
        shelf.map_or(Ok(()), Shelf::leave)?;
        Ok(if close_all(used) { None } else { open_numbers(proc).ok() })
    }

    /// Leaves the host for the first root.
    pub(crate) fn start_with(&mut self, base: Tree, is_bound: bool) -> Result<()> {
        match &self.shelf {
            Some(below) => below.start_with(base.fd.as_fd())?,
            None => self.root.replace(base.fd.as_fd())?,
        }
        self.set_flags(&base, Depth::Recursive, c"/")?;
        if !is_bound {
            self.follow.note(self.proc, base.fd.as_fd())?;
        }
        self.keep(base.fd);
        Ok(())
    }

    /// What was put onto the shelf is opened again.
    pub(crate) fn open(&self, mount: Mount) -> Result<Tree> {
        match (mount, &self.shelf) {
            (Mount::Open(tree), _) => Ok(tree),
            (Mount::Shelved(shelved), Some(below)) => below.take(*shelved),
            (Mount::Shelved(_), None) => Err(Error::new("A mount that was put aside is missing")),
        }
    }

    /// Leaves an fd to be closed at the end, while there are enough of them.
    pub(crate) fn keep(&mut self, fd: OwnedFd) {
        if fd.as_raw_fd() < self.room {
            self.used.push(fd);
        }
    }

    /// What a destination leads to that is a symbolic link, if links are followed.
    fn followed(&self, dest: &CStr) -> Result<Option<OwnedFd>> {
        if !self.follow.is_on() {
            return Ok(None);
        }
        let link = root::link(dest).at("Can't look for a symlink at", dest)?;
        let Some(link) = link else { return Ok(None) };
        let end = self.follow.end(self.proc, link, dest)?;
        if self.root.is_top(end.as_fd())? {
            return Err(follow::refused(dest, "it leads to /"));
        }
        Ok(Some(end))
    }

    /// The same for what is to be changed, and not just mounted on.
    fn followed_to_change(&self, dest: &CStr) -> Result<Option<OwnedFd>> {
        let end = self.followed(dest)?;
        if let Some(end) = &end {
            self.follow.check_change(self.proc, end.as_fd(), dest)?;
        }
        Ok(end)
    }

    /// Does what is left of one operation, which follows links or not.
    pub(crate) fn build(&mut self, op: &Op, follows: bool, step: Step) -> Result<()> {
        self.root.may_follow = op.may_follow();
        self.follow.begin(op, follows);
        match step {
            Step::Attach { mount, dest, depth, perms } => {
                let tree = self.open(mount)?;
                self.attach(dest, tree, depth, perms)
            }
            Step::Same { stops, mount } => self.same(&stops, mount),
            Step::Data { mount, name, dest, perms } => self.data(dest, mount, &name, perms),
            Step::Procfs { mount, dest } => self.procfs(dest, mount),
            Step::Processes { mount, dest } => self.processes(dest, mount),
            Step::Dev { parts, dest } => self.dev(dest, *parts),
            Step::File { content, dest, perms } => {
                let file = self.file(dest, perms)?;
                tree::copy(content, file, dest)
            }
            Step::Tar { mount, content, number, dest, perms } => {
                let job = Job {
                    nested: self.nested,
                    proc: self.proc,
                    number,
                    dest,
                    is_upper: mount.is_none(),
                    sets_root_mode: perms.is_none(),
                };
                self.tar(&job, mount, content)
            }
            Step::Dir { dest, perms } => self.directory(dest, perms),
            Step::Symlink { target, dest } => self.root.symlink(target, dest, 0),
            Step::Chmod { perms, path } => self.chmod(perms, path),
            Step::Mqueue(dest) => self.mqueue(dest),
            Step::RemountRo(dest) => self.remount_ro(dest),
            Step::Mask(path) => self.mask(path),
            Step::MaskGlob(patterns) => {
                Search::new(&patterns, &mut |found, path| self.hide(found, path)).run()
            }
        }
    }

    /// Does what is left of the operations that come next, as far as they are a run of mounts in one
    /// directory, and takes them out. Where links are followed, each is looked at by itself. A
    /// failure comes with how many were done before.
    pub(crate) fn build_run(
        &mut self,
        steps: &mut [Option<Step>],
    ) -> std::result::Result<(), (usize, Error)> {
        if steps.is_empty() || self.follow.is_wanted() {
            return Ok(());
        }
        let Some((parent, dir)) = self.root.known_parent() else { return Ok(()) };
        let (done, refused) = runs::attach(steps, parent, dir);
        for step in steps.iter_mut().take(done) {
            if let Some(Step::Attach { mount: Mount::Open(tree), .. }) = step.take() {
                self.keep(tree.fd);
            }
        }
        let Some(refused) = refused else { return Ok(()) };
        let Some(Some(Step::Attach { dest, .. })) = steps.get(done) else { return Ok(()) };
        self.root.may_follow = true;
        Err((done, self.root.refused(dest, refused)))
    }

    /// Makes what is on the way to a mount, and attaches it where it is on the host.
    fn same(&mut self, stops: &[Stop], mount: Option<(Mount, Word)>) -> Result<()> {
        /// Directories on the way are there for everybody, as most of the host's are.
        const PERMS: u32 = 0o755;
        for stop in stops {
            match *stop {
                Stop::Link { text, at } => self.root.symlink(text, at, PERMS)?,
                Stop::Directory(at) => self.root.directory(at, PERMS)?,
            }
        }
        let Some((mount, dest)) = mount else { return Ok(()) };
        let tree = self.open(mount)?;
        self.attach(dest, tree, Depth::Recursive, PERMS)
    }

    /// Makes a directory; one that exists is left as it is.
    fn directory(&mut self, dest: &CStr, perms: u32) -> Result<()> {
        let Some(end) = self.followed(dest)? else { return self.root.directory(dest, perms) };
        match Node::of(end.as_fd()).at("Can't create file", dest)? {
            Node::Directory => Ok(()),
            Node::File => Err(Error::about("Destination is not a directory", dest)),
        }
    }

    /// Opens a new or emptied file for writing.
    fn file(&mut self, dest: &CStr, perms: u32) -> Result<OwnedFd> {
        let Some(end) = self.followed_to_change(dest)? else {
            return self.root.file(dest, perms);
        };
        // Opened through /proc/self/fd, so that it is the file that was checked, whatever has its
        // name by now.
        let entry = format!("self/fd/{}", end.as_raw_fd());
        let flags = OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_NONBLOCK;
        let flags = flags | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        openat(self.proc, entry.as_str(), flags, Mode::empty()).at("Can't create file", dest)
    }

    /// Attaches a tree, and sets its flags now if that was not possible before.
    fn attach(&mut self, dest: &CStr, tree: Tree, depth: Depth, perms: u32) -> Result<()> {
        match self.followed(dest)? {
            Some(end) => self.root.attach_to(tree.fd.as_fd(), end.as_fd(), tree.node, dest)?,
            None => self.root.attach(tree.fd.as_fd(), dest, tree.node, perms)?,
        }
        self.follow.note(self.proc, tree.fd.as_fd())?;
        self.set_flags(&tree, depth, dest)?;
        self.keep(tree.fd);
        Ok(())
    }

    /// Unpacks an archive into a new tmpfs, or on top of what an earlier one has left in its own.
    fn tar(&mut self, job: &Job<'_>, mount: Option<Mount>, content: OwnedFd) -> Result<()> {
        let what = "Can't find the mount at";
        let dest = job.dest;
        let Some(mount) = mount else {
            let point = self.root.existing_mount_point(dest)?;
            let id = mount::mount_id(self.proc, point.as_fd()).at(what, dest)?;
            if !self.unpacked.contains(&id) {
                return Err(Error::about("Something covers what --tar has unpacked at", dest));
            }
            return tar::unpack(job, content, point.as_fd());
        };
        if root::is_full_mount(self.proc, dest).at(what, dest)? {
            return Err(Error::about("--tar does not write to a mount that is not empty:", dest));
        }
        let tree = self.open(mount)?;
        let perms = if job.sets_root_mode { 0o755 } else { 0 };
        self.root.attach(tree.fd.as_fd(), dest, tree.node, perms)?;
        self.set_flags(&tree, Depth::One, dest)?;
        self.follow.note(self.proc, tree.fd.as_fd())?;
        self.unpacked.push(mount::mount_id(self.proc, tree.fd.as_fd()).at(what, dest)?);
        tar::unpack(job, content, tree.fd.as_fd())?;
        self.keep(tree.fd);
        Ok(())
    }

    /// Sets the flags of an attached tree that could not be set before.
    pub(crate) fn set_flags(&self, tree: &Tree, depth: Depth, dest: &CStr) -> Result<()> {
        match tree.to_set {
            Some(attributes) => self.set_late(tree.fd.as_fd(), attributes, depth, dest),
            None => Ok(()),
        }
    }

    /// Attaches a data file, and removes the name it had: an unlinked file could not have been
    /// attached.
    fn data(&mut self, dest: &CStr, mount: Mount, name: &CStr, perms: u32) -> Result<()> {
        let tree = self.open(mount)?;
        self.attach(dest, tree, Depth::One, perms)?;
        match &self.scratch {
            Some(scratch) => {
                unlinkat(scratch, name, UnlinkatFlags::NoRemoveDir).context("Can't unlink tmpfile")
            }
            None => Ok(()),
        }
    }

    /// Flags for a mount that is attached already.
    fn set_late(
        &self,
        mount: BorrowedFd<'_>,
        attributes: Attributes,
        depth: Depth,
        dest: &CStr,
    ) -> Result<()> {
        let lenient = self.lenient;
        remount::remount_below(self.proc, mount, attributes, depth, |point, errno| {
            let what = join("Can't remount", point);
            if lenient {
                let text = String::from_utf8_lossy(&what).into_owned();
                warn(format_args!("{text} submount ({}), ignoring error", describe(errno)));
                return Ok(());
            }
            Err(Error::mount(
                [join("Can't bind mount on", dest), b": ".to_vec(), what].concat(),
                errno,
            ))
        })
    }

    fn dev(&mut self, dest: &CStr, parts: DevParts) -> Result<()> {
        let DevParts { tmpfs, nodes, pts } = parts;
        let tmpfs = self.open(tmpfs)?;
        let inside = self.root.attach_around(tmpfs.fd.as_fd(), dest, tmpfs.node)?;
        let dir = inside.as_fd();
        self.follow.note(self.proc, dir)?;
        for (name, node) in nodes {
            let tree = self.open(node)?;
            mknodat(dir, name, SFlag::S_IFREG, Mode::from_bits_truncate(0o444), 0)
                .at("Can't create file", name)?;
            inside
                .attach(tree.fd.as_fd(), name)
                .explain(|| join("Can't bind mount device", name))?;
            self.set_flags(&tree, Depth::Recursive, name)?;
            self.keep(tree.fd);
        }
        for (name, target) in DEV_LINKS {
            symlinkat(target, dir, name).at("Can't create symlink", name)?;
        }
        for name in [c"shm", c"pts"] {
            mkdirat(dir, name, Mode::from_bits_truncate(0o755))
                .at("Can't create directory", name)?;
        }
        let pts = self.open(pts)?;
        inside.attach(pts.fd.as_fd(), c"pts").explain(|| join("Can't mount devpts below", dest))?;
        symlinkat(c"pts/ptmx", dir, c"ptmx").at("Can't create symlink", c"ptmx")?;
        self.keep(pts.fd);
        self.keep(tmpfs.fd);
        Ok(())
    }

    /// The message queues of the ipc namespace. They need nothing of the host, and making them may
    /// be refused, which is to be said only of a destination that is fine.
    fn mqueue(&mut self, dest: &CStr) -> Result<()> {
        let point = self.root.mount_point(dest, Node::Directory, 0)?;
        if Node::of(point.as_fd()).at("Can't create file", dest)? != Node::Directory {
            return Err(Error::about("Destination is not a directory", dest));
        }
        let tree = tree::fresh_tree(c"mqueue", &[], Attributes(0), dest)?;
        self.attach(dest, tree, Depth::One, 0)
    }

    fn remount_ro(&mut self, dest: &CStr) -> Result<()> {
        let what = "Can't remount readonly on";
        let mount = match self.followed(dest)? {
            Some(end) => end,
            None => self.root.existing_mount_point(dest)?,
        };
        // As with --ro-bind, device nodes and set-uid bits lose their effect, even on a --dev-bind.
        let attributes =
            tree::bind_attributes(Access::ReadOnly, Devices::Refused, Extra::default());
        match mount::add_attributes(mount.as_fd(), attributes, Depth::One) {
            Err(failure) if failure.errno == Errno::ENOSYS => remount::remount_below(
                self.proc,
                mount.as_fd(),
                attributes,
                Depth::One,
                |_, errno| Err(errno).at(what, dest),
            ),
            other => other.explain(|| join(what, dest)),
        }
    }

    /// Hides what is at a path, if anything is. Where it cannot be told whether there is, COMMAND
    /// might find a way: that is an error.
    fn mask(&mut self, path: &CStr) -> Result<()> {
        match root::followed(path) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
            found => self.hide(found.at("Can't mask", path)?.as_fd(), path),
        }
    }

    fn hide(&mut self, found: BorrowedFd<'_>, path: &CStr) -> Result<()> {
        let Some(mut covers) = self.covers.take() else {
            return Err(Error::about("There is nothing to hide it with:", path));
        };
        if self.root.is_top(found)? {
            return Err(mask::is_everything(path));
        }
        if root::differs_by_process(found, path).at("Can't mask", path)? {
            return Err(mask::differs_by_process(path));
        }
        let hidden = covers.hide(found, path, |cover| self.set_flags(cover, Depth::One, path));
        self.covers = Some(covers);
        // What is hidden may be the directory that is kept open as the parent, or one above it.
        self.root.forget_parent();
        if let Some(used) = hidden? {
            self.keep(used);
        }
        Ok(())
    }

    fn chmod(&mut self, perms: u32, path: &CStr) -> Result<()> {
        let file = match self.followed_to_change(path)? {
            Some(end) => end,
            None => root::existing(path).at("Can't open", path)?,
        };
        // fchmod(2) does not take an O_PATH fd; its entry in /proc leads to exactly this file.
        let entry = format!("self/fd/{}", file.as_raw_fd());
        let shown = if perms == 0 { "0".to_owned() } else { format!("0{perms:o}") };
        fchmodat(
            self.proc,
            entry.as_str(),
            Mode::from_bits_truncate(perms),
            FchmodatFlags::FollowSymlink,
        )
        .at(&format!("Can't chmod {shown}"), path)
    }
}
