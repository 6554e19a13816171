//! `--tar`: unpacks an archive into a tmpfs of the sandbox. The host is gone by then.
//!
//! An archive is a layer as images have them: what lies at a name already is replaced, and names
//! that begin with `.wh.` take something of an earlier layer away. Whoever made the archive decides
//! every byte of it, so no path leads out of the tmpfs, up from it or onto another mount, and
//! whatever could be understood in two ways is an error.

mod ground;
mod owners;
mod removal;

use std::ffi::{CStr, OsStr};
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, mkdirat, mknodat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat, linkat, symlinkat};

use crate::archive::entry::Entry;
use crate::archive::fault::Fault;
use crate::archive::header::What;
use crate::archive::read::Archive;
use crate::error::{Error, Result, errno, on_one_line, warn};
use crate::kernel::idmap::Maps;
use crate::kernel::sys::{self, SysResult};
use crate::kernel::way::names;
use crate::sandbox::tar::ground::{Ground, set_time};
use crate::sandbox::tar::owners::Owners;
use crate::sandbox::tar::removal::is_directory;

/// How the names begin that take something away, and the one that takes away all there is.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// One archive, and where it goes.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The maps of the user namespace that COMMAND will be in, if that is another one with ranges.
    pub(crate) nested: Option<&'a Maps>,
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    /// The number of the fd, for messages.
    pub(crate) number: RawFd,
    /// The destination, for messages.
    pub(crate) dest: &'a CStr,
    /// Whether the archive is not the first one here.
    pub(crate) is_upper: bool,
    /// Whether the archive may say what the mode of the destination is.
    pub(crate) sets_root_mode: bool,
}

/// What was left out.
#[derive(Debug, Default)]
struct LeftOut {
    devices: u64,
    attributes: u64,
}

/// Why an entry cannot be made.
enum Trouble {
    /// The archive is at fault.
    Fault(Fault),
    /// The kernel refuses.
    Os(Errno),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EXDEV => bad("another mount of the sandbox lies there"),
            other => Self::Os(other),
        }
    }
}

/// Something that an archive must not have.
fn bad(what: &str) -> Trouble {
    Trouble::Fault(Fault::Bad(what.to_owned()))
}

/// Unpacks an archive into a mounted tmpfs.
pub(crate) fn unpack(job: &Job<'_>, content: OwnedFd, root: BorrowedFd<'_>) -> Result<()> {
    // Beyond RLIMIT_FSIZE the signal would end this process without a word; the error has one.
    sys::while_ignored(libc::SIGXFSZ, || {
        let mut layer = Layer::new(job, root)?;
        let mut archive = Archive::new(File::from(content));
        layer.all(&mut archive)?;
        layer.ground.leave().map_err(|errno| job.error(b"", 0, Trouble::Os(errno)))?;
        layer.left_out.tell(job.dest);
        Ok(())
    })
}

impl Job<'_> {
    /// The error for an entry, or, without a name, for what came after so many entries.
    fn error(&self, name: &[u8], count: u32, trouble: Trouble) -> Error {
        let dest = self.dest.to_string_lossy();
        let mut text = format!("Can't unpack fd {} at {dest}", self.number);
        match (&trouble, count) {
            (Trouble::Fault(Fault::Packed(..)), _) | (_, 0) => {}
            _ if name.is_empty() => _ = write!(text, ": after entry {count}"),
            _ => {
                let shown: String = String::from_utf8_lossy(name).chars().take(200).collect();
                _ = write!(text, ": entry {count}, {}", on_one_line(&shown));
            }
        }
        match trouble {
            Trouble::Fault(Fault::Packed(format, program)) => Error::new(format!(
                "{text}: it is compressed by {format}: unpack it on the way, as in --tar {fd} \
                 {dest} {fd}< <({program} LAYER)",
                fd = self.number
            )),
            Trouble::Fault(Fault::Bad(what)) => Error::new(format!("{text}: {what}")),
            Trouble::Fault(Fault::Read(errno)) => Error::os(format!("{text}: reading it"), errno),
            Trouble::Os(errno) => Error::os(text, errno).hinted(|_| self.full(errno)),
        }
    }

    fn full(&self, errno: Errno) -> Option<String> {
        let dest = self.dest.to_string_lossy();
        (errno == Errno::ENOSPC).then(|| {
            format!("the tmpfs at {dest} is full: --size before its first --tar says how much it takes, else it is half of the memory")
        })
    }
}

impl LeftOut {
    /// Says what was left out, on one line.
    fn tell(&self, dest: &CStr) {
        let count = |count: u64, one: &str, more: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            many => Some(format!("{many} {more}")),
        };
        let devices = count(self.devices, "device node", "device nodes");
        let attributes = count(self.attributes, "extended attribute", "extended attributes");
        let all: Vec<_> = devices.into_iter().chain(attributes).collect();
        if !all.is_empty() {
            let dest = on_one_line(&dest.to_string_lossy());
            warn(format_args!("--tar omits {} at {dest}", all.join(" and ")));
        }
    }
}

/// An archive while it is unpacked.
struct Layer<'a> {
    job: &'a Job<'a>,
    ground: Ground<'a>,
    owners: Owners,
    left_out: LeftOut,
}

type Outcome = std::result::Result<(), Trouble>;

impl<'a> Layer<'a> {
    fn new(job: &'a Job<'_>, root: BorrowedFd<'a>) -> Result<Self> {
        let refused = |errno| job.error(b"", 0, Trouble::Os(errno));
        Ok(Self {
            job,
            ground: Ground::new(root, job.is_upper).map_err(refused)?,
            owners: Owners::find(job.nested, job.proc).map_err(refused)?,
            left_out: LeftOut::default(),
        })
    }

    fn all(&mut self, archive: &mut Archive<File>) -> Result<()> {
        loop {
            let next = archive.next();
            let count = archive.count();
            let failed = |fault| self.job.error(b"", count, Trouble::Fault(fault));
            let Some(entry) = next.map_err(failed)? else { return Ok(()) };
            self.entry(&entry, archive)
                .map_err(|trouble| self.job.error(&entry.path, count, trouble))?;
        }
    }

    /// Puts one entry in its place.
    fn entry(&mut self, entry: &Entry, archive: &mut Archive<File>) -> Outcome {
        let mut parents = components(&entry.path)?;
        let Some(name) = parents.pop() else { return self.root(entry) };
        if parents.iter().any(|part| part.starts_with(WHITEOUT)) {
            return Err(bad("a whiteout cannot have content"));
        }
        if name == OPAQUE {
            return Ok(self.ground.clear(&parents)?);
        }
        if let Some(gone) = name.strip_prefix(WHITEOUT) {
            if matches!(gone, b"" | b"." | b"..") {
                return Err(bad("it is a whiteout without a name"));
            }
            return Ok(self.ground.take_away(&parents, OsStr::from_bytes(gone))?);
        }
        self.left_out.attributes += u64::from(entry.attributes);
        let name = OsStr::from_bytes(name);
        if entry.what == What::Device {
            self.left_out.devices += 1;
            // It would take the place of what is there, and that must not stay in its stead.
            self.ground.enter(&parents)?;
            return match self.ground.remove(name) {
                Err(Errno::ENOENT) => Ok(()),
                other => Ok(other?),
            };
        }
        if entry.what == What::HardLink {
            return self.link(&parents, name, &entry.target);
        }
        self.ground.enter(&parents)?;
        match self.make(name, entry)? {
            Made::File(file) => fill(file, entry, archive)?,
            Made::Other => {}
        }
        self.ground.note(name);
        Ok(self.dress(name, entry)?)
    }

    /// The destination itself, which archives have as `./`.
    fn root(&mut self, entry: &Entry) -> Outcome {
        if entry.what != What::Directory {
            return Err(bad("it is not a directory, and lies at the destination itself"));
        }
        self.ground.leave()?;
        let (root, here) = (self.ground.root(), OsStr::new("."));
        let (uid, gid) = self.owners.of(entry.uid, entry.gid);
        own(root, here, (uid, gid))?;
        if self.job.sets_root_mode {
            set_mode(root, here, entry.mode)?;
        }
        Ok(set_time(root, here, time(entry))?)
    }

    /// Gives a file that is there another name.
    fn link(&mut self, parents: &[&[u8]], name: &OsStr, target: &[u8]) -> Outcome {
        let missing = |errno| match errno {
            Errno::ENOENT => bad("it is a hard link to something that does not exist"),
            other => other.into(),
        };
        let mut way = components(target)?;
        let Some(old) = way.pop().map(OsStr::from_bytes) else {
            return Err(bad("it is a hard link to the destination itself"));
        };
        let from = self.ground.find(&way).map_err(missing)?;
        let status = self.ground.status(from.as_fd(), old).map_err(missing)?;
        self.ground.enter(parents)?;
        let link =
            |ground: &Ground<'_>| linkat(&from, old, ground.parent(), name, AtFlags::empty());
        match link(&self.ground) {
            Err(Errno::EEXIST) => {
                let known = self.ground.status(self.ground.parent(), name)?;
                if known.st_ino != status.st_ino {
                    self.ground.remove(name)?;
                    link(&self.ground).map_err(missing)?;
                }
            }
            other => other?,
        }
        self.ground.note(name);
        Ok(())
    }

    /// Makes what an entry is, in place of what is there. A directory is kept.
    fn make(&mut self, name: &OsStr, entry: &Entry) -> std::result::Result<Made, Trouble> {
        if entry.what == What::Symlink && entry.target.is_empty() {
            return Err(bad("it is a link to nothing"));
        }
        match make(self.ground.parent(), name, entry) {
            Err(Errno::EEXIST) => {}
            other => return Ok(other?),
        }
        let there = self.ground.status(self.ground.parent(), name)?;
        if entry.what == What::Directory && is_directory(&there) {
            return Ok(Made::Other);
        }
        self.ground.remove(name)?;
        Ok(make(self.ground.parent(), name, entry)?)
    }

    /// Gives what was made its owner, mode and time.
    fn dress(&self, name: &OsStr, entry: &Entry) -> SysResult<()> {
        let dir = self.ground.parent();
        own(dir, name, self.owners.of(entry.uid, entry.gid))?;
        if entry.what != What::Symlink {
            set_mode(dir, name, entry.mode)?;
        }
        set_time(dir, name, time(entry))
    }
}

/// What was made.
enum Made {
    /// A file that is still empty.
    File(OwnedFd),
    /// Anything else.
    Other,
}

/// Makes what an entry is. EEXIST if something is there.
fn make(dir: BorrowedFd<'_>, name: &OsStr, entry: &Entry) -> SysResult<Made> {
    let mode = Mode::from_bits_truncate(0o600);
    match entry.what {
        What::File => {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            return openat(dir, name, flags | OFlag::O_NOFOLLOW, mode).map(Made::File);
        }
        What::Directory => mkdirat(dir, name, Mode::from_bits_truncate(0o700))?,
        What::Symlink => symlinkat(OsStr::from_bytes(&entry.target), dir, name)?,
        What::Fifo => mknodat(dir, name, SFlag::S_IFIFO, mode, 0)?,
        What::HardLink | What::Device => return Err(Errno::EINVAL),
    }
    Ok(Made::Other)
}

/// Writes a file's content.
fn fill(file: OwnedFd, entry: &Entry, archive: &mut Archive<File>) -> Outcome {
    let file = File::from(file);
    let mut end = 0;
    while let Some((offset, piece)) = archive.piece()? {
        file.write_all_at(piece, offset).map_err(|error| errno(&error))?;
        end = offset.saturating_add(u64::try_from(piece.len()).unwrap_or_default());
    }
    if end != entry.size {
        file.set_len(entry.size).map_err(|error| errno(&error))?;
    }
    Ok(())
}

/// Gives something to its owner.
fn own(dir: BorrowedFd<'_>, name: &OsStr, (uid, gid): (u32, u32)) -> SysResult<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    fchownat(dir, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// Sets a mode. The name is not a symbolic link.
fn set_mode(dir: BorrowedFd<'_>, name: &OsStr, mode: u32) -> SysResult<()> {
    fchmodat(dir, name, Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink)
}

fn time(entry: &Entry) -> TimeSpec {
    TimeSpec::new(entry.mtime.0, entry.mtime.1.into())
}

/// The components of a name in the archive. From an absolute one the `/` is taken, as tar(1) does.
fn components(path: &[u8]) -> std::result::Result<Vec<&[u8]>, Trouble> {
    if path.is_empty() {
        return Err(bad("it has no name"));
    }
    let parts: Vec<_> = names(path).collect();
    if parts.iter().any(|part| *part == b"..") {
        return Err(bad("a name contains .."));
    }
    Ok(parts)
}
