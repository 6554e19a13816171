//! The walk of `--mask-glob`: one for all patterns that follow each other, through the sandbox as
//! it is at that moment.
//!
//! Each directory knows which parts of which patterns the names in it may match; one in which
//! nothing can match is not entered. A directory is opened as itself, without its last component
//! being followed, and listed through that: neither a symbolic link nor an automount is entered.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::sys::statfs::{
    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, PROC_SUPER_MAGIC, fstatfs,
};
use nix::unistd::geteuid;

use crate::config::glob::{Part, Pattern};
use crate::error::{Error, Result, join, warn};
use crate::kernel::directory::{Entries, Kind};
use crate::kernel::files::file_type;
use crate::kernel::sys::{self, SysResult};
use crate::sandbox::root;

/// The maximum number of matches.
const MOST: usize = 100_000;

/// How many of the directories on the way down are open at a time.
const MOST_OPEN: usize = 32;

/// How much of a path a diagnostic shows. There are longer ones, but no call takes them.
const SHOWN: usize = 4096;

const AUTOFS: FsType = FsType(0x0187);
const SYSFS: FsType = FsType(0x6265_6572);

/// A part of a pattern: the pattern's index, and the part's.
type Slot = (usize, usize);

/// The slots for a directory: those that its own name leads to, and those by which `**` leads
/// through it.
#[derive(Default)]
struct Slots {
    named: Vec<Slot>,
    deep: Vec<Slot>,
}

/// What hides a match, given how it is opened and its path.
pub(crate) type Hide<'h> = &'h mut dyn FnMut(BorrowedFd<'_>, &CStr) -> Result<()>;

/// A directory on the way down.
struct Level {
    /// For looking names up, and for listing. Closed while the walk is far below it: whoever can
    /// create directories decides how deep they are.
    dir: Option<OwnedFd>,
    inode: u64,
    /// How long the path to it is.
    path: usize,
    device: u64,
    kind: FsType,
    slots: Vec<Slot>,
    /// Directories in it that are still to be entered.
    left: Vec<(CString, Slots)>,
}

impl Level {
    fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_ref().map_or(sys::bad_fd(), AsFd::as_fd)
    }
}

/// The walk.
pub(crate) struct Search<'a> {
    patterns: &'a [Pattern],
    hide: Hide<'a>,
    entries: Entries,
    /// The path of the directory at hand.
    path: Vec<u8>,
    matches: usize,
    /// How many directories could not be listed, and the first of them.
    unlisted: usize,
    first: Vec<u8>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(patterns: &'a [Pattern], hide: Hide<'a>) -> Self {
        let (path, first) = (Vec::new(), Vec::new());
        Self { patterns, hide, entries: Entries::default(), path, matches: 0, unlisted: 0, first }
    }

    /// Looks for all patterns, and hides what matches.
    pub(crate) fn run(mut self) -> Result<()> {
        for (start, slots) in self.starts() {
            self.walk(start, slots)?;
        }
        if self.unlisted > 0 {
            let first = String::from_utf8_lossy(&self.first);
            warn(format_args!(
                "--mask-glob cannot list {} of the directories that it leads to, and hides only \
                 names without wildcards there: {first}",
                self.unlisted
            ));
        }
        Ok(())
    }

    /// Where patterns begin to be looked for, each place once. One that lies below another is found
    /// on the way, unless a symbolic link leads to it.
    fn starts(&self) -> Vec<(Vec<u8>, Vec<Slot>)> {
        let mut order: Vec<usize> = (0..self.patterns.len()).collect();
        order.sort_by_key(|&index| self.patterns.get(index).map_or(0, Pattern::fixed));
        let mut starts: Vec<(Vec<u8>, usize, Vec<Slot>)> = Vec::new();
        for index in order {
            let Some(pattern) = self.patterns.get(index) else { continue };
            let (fixed, start) = (pattern.fixed(), pattern.start());
            let around = starts.iter_mut().find(|(known, ..)| {
                let below = start.strip_prefix(known.as_slice());
                below.is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with(b"/") && root::is_plain(&start)
                })
            });
            match around {
                Some((_, names, known)) => known.extend(self.from((index, *names))),
                None => starts.push((start, fixed, self.from((index, fixed)))),
            }
        }
        let sorted = |mut slots: Vec<Slot>| {
            slots.sort_unstable();
            slots.dedup();
            slots
        };
        starts.into_iter().map(|(start, _, slots)| (start, sorted(slots))).collect()
    }

    fn part(&self, (pattern, part): Slot) -> Option<&'a Part> {
        self.patterns.get(pattern)?.parts.get(part)
    }

    /// A slot, and the one after it if it can match nothing.
    fn from(&self, slot @ (pattern, part): Slot) -> Vec<Slot> {
        match self.part(slot) {
            Some(Part::Deep) => vec![slot, (pattern, part + 1)],
            _ => vec![slot],
        }
    }

    /// Goes through everything below one place.
    fn walk(&mut self, start: Vec<u8>, slots: Vec<Slot>) -> Result<()> {
        let whole = if start.is_empty() { vec![b'/'] } else { start.clone() };
        let whole = CString::new(whole).unwrap_or_default();
        let found = match root::followed(&whole) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            Err(errno) => {
                return Err(Error::os(join("Can't look for --mask-glob in", &whole), errno));
            }
            Ok(found) => found,
        };
        self.path = start;
        let mut levels = Vec::new();
        levels.extend(self.enter(found, Slots { named: slots, deep: Vec::new() }, None)?);
        while let Some(level) = levels.last_mut() {
            let Some((name, slots)) = level.left.pop() else {
                if let (Some(below), Some(level)) = (levels.pop(), levels.last_mut()) {
                    self.reopen(level, &below)?;
                }
                continue;
            };
            self.path.truncate(level.path);
            self.path.push(b'/');
            self.path.extend_from_slice(name.to_bytes());
            let next = match itself(level.fd(), &name) {
                // It was removed after the directory was listed.
                Err(Errno::ENOENT) => None,
                Err(errno) => return Err(self.stopped(errno)),
                Ok(found) => self.enter(found, slots, Some((level.device, level.kind)))?,
            };
            levels.extend(next);
            let far = levels.len().checked_sub(MOST_OPEN + 1);
            if let Some(level) = far.and_then(|far| levels.get_mut(far)) {
                level.dir = None;
            }
        }
        Ok(())
    }

    /// Goes back up to a directory that may have been closed since.
    fn reopen(&mut self, level: &mut Level, below: &Level) -> Result<()> {
        if level.dir.is_some() {
            return Ok(());
        }
        self.path.truncate(level.path);
        let above = itself(below.fd(), c"..").map_err(|errno| self.stopped(errno))?;
        let status = fstat(&above).map_err(|errno| self.stopped(errno))?;
        // Somebody may have moved what is below.
        if (status.st_dev, status.st_ino) != (level.device, level.inode) {
            return Err(self.stopped(Errno::ESTALE));
        }
        level.dir = Some(above);
        Ok(())
    }

    /// Lists a directory, and hides what matches in it.
    fn enter(
        &mut self,
        found: OwnedFd,
        slots: Slots,
        above: Option<(u64, FsType)>,
    ) -> Result<Option<Level>> {
        let status = match fstat(&found) {
            Ok(status) if file_type(&status) == SFlag::S_IFDIR => status,
            Ok(_) => return Ok(None),
            Err(errno) => return Err(self.stopped(errno)),
        };
        let (device, kind) = match above {
            Some((device, kind)) if device == status.st_dev => (device, kind),
            _ => match fstatfs(&found) {
                Ok(file_system) => (status.st_dev, file_system.filesystem_type()),
                Err(errno) => return Err(self.stopped(errno)),
            },
        };
        // `**` does not descend from another file system into procfs, sysfs and the like.
        let Slots { named: mut slots, deep } = slots;
        if above.is_none_or(|(_, before)| before == kind) || !is_kernels(kind) {
            slots.extend(deep);
        }
        slots.sort_unstable();
        slots.dedup();
        if slots.is_empty() {
            return Ok(None);
        }
        let (path, inode, left) = (self.path.len(), status.st_ino, Vec::new());
        let mut level = Level { dir: Some(found), inode, path, device, kind, slots, left };
        // Looking up a name in an automounter's directory would mount it.
        if kind != AUTOFS && level.slots.iter().all(|&slot| self.name(slot).is_some()) {
            self.look_up(&mut level)?;
            return Ok(Some(level));
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(level.fd(), c".", flags, Mode::empty()) {
            Ok(listed) => {
                level.dir = Some(listed);
                self.list(&mut level)?;
            }
            // An automount point with nothing mounted on it.
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) if errno != Errno::EACCES => return Err(self.stopped(errno)),
            Err(_) => {
                self.not_listed(level.fd())?;
                level.slots.retain(|&slot| self.name(slot).is_some());
                self.look_up(&mut level)?;
            }
        }
        Ok(Some(level))
    }

    /// The name that a part is, if it is one.
    fn name(&self, slot: Slot) -> Option<&'a [u8]> {
        match self.part(slot) {
            Some(Part::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Looks for names without listing a directory.
    fn look_up(&mut self, level: &mut Level) -> Result<()> {
        let mut names: Vec<&[u8]> =
            level.slots.iter().filter_map(|&slot| self.name(slot)).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let name = CString::new(name).unwrap_or_default();
            match kind_of(level.fd(), &name) {
                Ok(kind) => self.judge(level, &name, kind)?,
                Err(Errno::EACCES) => self.check_owner(level.fd())?,
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG) => {}
                Err(errno) => return Err(self.failed(&name, errno)),
            }
        }
        Ok(())
    }

    fn list(&mut self, level: &mut Level) -> Result<()> {
        let mut entries = std::mem::take(&mut self.entries);
        loop {
            match entries.read(level.fd()) {
                Ok(true) => {}
                // It was removed after it was opened, so nothing can ever be in it again.
                Ok(false) | Err(Errno::ENOENT) => break,
                Err(errno) => return Err(self.stopped(errno)),
            }
            for (name, kind) in entries.iter() {
                let kind = match kind {
                    Kind::Unknown => match kind_of(level.fd(), name) {
                        Ok(kind) => kind,
                        Err(Errno::ENOENT) => continue,
                        Err(errno) => return Err(self.failed(name, errno)),
                    },
                    known => known,
                };
                self.judge(level, name, kind)?;
            }
        }
        self.entries = entries;
        Ok(())
    }

    /// What becomes of one entry of a directory.
    fn judge(&mut self, level: &mut Level, name: &CStr, kind: Kind) -> Result<()> {
        let (mut matched, mut matched_directory) = (false, false);
        let mut next = Slots::default();
        for &(pattern, part) in &level.slots {
            let Some(Pattern { parts, directories, .. }) = self.patterns.get(pattern) else {
                continue;
            };
            match parts.get(part) {
                Some(Part::Deep) if kind == Kind::Directory => {
                    next.deep.extend([(pattern, part), (pattern, part + 1)]);
                }
                Some(Part::Deep) | None => {}
                Some(own) if !own.matches(name) => {}
                Some(_) if part + 1 == parts.len() => {
                    matched |= !directories;
                    matched_directory |= *directories;
                }
                Some(_) => next.named.extend(self.from((pattern, part + 1))),
            }
        }
        let only_directory = matched_directory && !matched;
        if matched || matched_directory && kind != Kind::Other {
            return self.found(level, name, (kind, only_directory));
        }
        if kind == Kind::Directory && !(next.named.is_empty() && next.deep.is_empty()) {
            level.left.push((name.to_owned(), next));
        }
        Ok(())
    }

    /// Hides a match, or what it leads to.
    fn found(&mut self, level: &Level, name: &CStr, (kind, only): (Kind, bool)) -> Result<()> {
        let dir = level.fd();
        let found =
            match if kind == Kind::Link { root::followed_in(dir, name) } else { itself(dir, name) }
            {
                Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
                Err(errno) => return Err(self.failed(name, errno)),
                Ok(found) => found,
            };
        if only && kind == Kind::Link {
            let status = fstat(&found).map_err(|errno| self.failed(name, errno))?;
            if file_type(&status) != SFlag::S_IFDIR {
                return Ok(());
            }
        }
        self.matches += 1;
        if self.matches > MOST {
            return Err(Error::new(format!("More than {MOST} files match --mask-glob")));
        }
        let path = self.path_of(level, name);
        (self.hide)(found.as_fd(), &path)
    }

    fn path_of(&self, level: &Level, name: &CStr) -> CString {
        let mut path = self.path.get(..level.path).unwrap_or_default().to_vec();
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        CString::new(path).unwrap_or_default()
    }

    fn failed(&self, name: &CStr, errno: Errno) -> Error {
        let mut path = self.path.clone();
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        Error::os(join("Can't mask", &shown(path)), errno)
    }

    /// Counts a directory that must not be listed, unless nobody inside may use its names either:
    /// COMMAND has no more rights than this process.
    fn not_listed(&mut self, dir: BorrowedFd<'_>) -> Result<()> {
        self.check_owner(dir)?;
        // This needs permission to search the directory, and none to read it.
        if itself(dir, c".").is_err() {
            return Ok(());
        }
        if self.unlisted == 0 {
            self.first.clone_from(&self.path);
        }
        self.unlisted += 1;
        Ok(())
    }

    /// Stops at a directory that is closed to this process, but whose owner COMMAND would be: it
    /// could open it again. Its group may be one that is not mapped, so that no capability helps.
    fn check_owner(&self, dir: BorrowedFd<'_>) -> Result<()> {
        match fstat(dir) {
            Ok(status) if status.st_uid != geteuid().as_raw() => Ok(()),
            Ok(_) => Err(self.stopped(Errno::EACCES).hinted(|_| {
                Some("COMMAND would own it and could open it: chmod u+rx it first".to_owned())
            })),
            Err(errno) => Err(self.stopped(errno)),
        }
    }

    /// The end of the walk: anything not yet examined may need to be hidden.
    fn stopped(&self, errno: Errno) -> Error {
        Error::os(join("Can't look for --mask-glob in", &shown(self.path.clone())), errno)
    }
}

/// A path as a diagnostic shows it.
fn shown(mut path: Vec<u8>) -> CString {
    path.truncate(SHOWN);
    CString::new(path).unwrap_or_default()
}

/// File systems in which the kernel shows itself.
fn is_kernels(kind: FsType) -> bool {
    matches!(kind, PROC_SUPER_MAGIC | SYSFS | CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC)
}

/// Opens what a name is, without mounting anything for it.
fn itself(dir: BorrowedFd<'_>, name: &CStr) -> SysResult<OwnedFd> {
    openat(dir, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

fn kind_of(dir: BorrowedFd<'_>, name: &CStr) -> SysResult<Kind> {
    let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT;
    let status = fstatat(dir, name, flags)?;
    Ok(match file_type(&status) {
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFLNK => Kind::Link,
        _ => Kind::Other,
    })
}
