//! A file that `--learn` or `--learn-seccomp` writes: read and locked before the sandbox is made,
//! written when COMMAND has ended.
//!
//! It is written under a new name and renamed, so that nobody ever sees half of it, and no link in
//! its place is followed. What COMMAND could write to is refused: it would be its own judge.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, fsync, linkat, unlinkat};

use crate::error::{Context, Error, Result, join};
use crate::kernel::files::{file_type, read_all, write_all};
use crate::kernel::sys;
use crate::record::mounts::{Host, names};
use crate::word::Word;

/// The largest file that is read.
const MAX_SIZE: usize = 1 << 20;

/// The file as it is before.
#[derive(Debug)]
pub(crate) struct Target {
    option: &'static str,
    path: Word,
    /// The directory that it is in.
    dir: OwnedFd,
    name: CString,
    /// The file, if it is there, locked.
    file: Option<OwnedFd>,
    /// What it says.
    pub(crate) text: Vec<u8>,
    /// All directories that it is in, as devices and inodes.
    around: Vec<(u64, u64)>,
}

impl Target {
    /// Opens and locks it; nothing is made. What lies `beside` it may have the lock already.
    pub(crate) fn open(option: &'static str, path: Word, beside: Option<&Self>) -> Result<Self> {
        let bytes = path.to_bytes();
        let (dir, name) = match bytes.iter().rposition(|&byte| byte == b'/') {
            Some(0) => (&b"/"[..], bytes.get(1..).unwrap_or_default()),
            Some(end) => {
                (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default())
            }
            None => (&b"."[..], bytes),
        };
        if matches!(name, b"" | b"." | b"..") {
            return Err(Error::about(&format!("{option} takes the name of a file, and not"), path));
        }
        let failure = format!("Can't open the directory of {option}");
        let (dir, name) = (word(dir)?, word(name)?);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = open(dir.as_c_str(), flags, Mode::empty()).at(&failure, path)?;
        let may_write = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&opened, c".", may_write, AtFlags::AT_EACCESS)
            .at(&format!("Can't write in the directory of {option}"), path)?;
        let mut target = Self {
            option,
            path,
            around: around(&dir).at(&failure, path)?,
            dir: opened,
            name,
            file: None,
            text: Vec::new(),
        };
        target.read(beside)?;
        Ok(target)
    }

    fn read(&mut self, beside: Option<&Self>) -> Result<()> {
        let option = self.option;
        let what = format!("Can't read the file of {option}");
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = match openat(
            &self.dir,
            self.name.as_c_str(),
            flags | OFlag::O_CLOEXEC,
            Mode::empty(),
        ) {
            Err(Errno::ENOENT) => return self.lock_directory(beside),
            Err(Errno::ELOOP) => {
                return Err(Error::about(
                    &format!("{option} does not write through the link"),
                    self.path,
                ));
            }
            other => other.at(&what, self.path)?,
        };
        let status = fstat(&file).at(&what, self.path)?;
        if file_type(&status) != SFlag::S_IFREG {
            return Err(Error::about(
                &format!("{option} takes a regular file, and not"),
                self.path,
            ));
        }
        match sys::lock_open_file(file.as_fd(), libc::LOCK_EX) {
            Err(Errno::EWOULDBLOCK) => {
                return Err(Error::new(
                    [
                        join("Another bwrap is about to write", self.path),
                        b": wait for its end".to_vec(),
                    ]
                    .concat(),
                ));
            }
            other => other.at(&format!("Can't lock the file of {option}"), self.path)?,
        }
        // Who has had the lock before may have put another file there.
        if !self.is_still(&status) {
            return Err(Error::about("Another bwrap has just written", self.path));
        }
        self.text = match read_all(file.as_fd(), MAX_SIZE) {
            Err(Errno::EFBIG) => {
                return Err(Error::about(
                    &format!("{option} takes a file of at most 1 MiB, unlike"),
                    self.path,
                ));
            }
            other => other.at(&what, self.path)?,
        };
        self.file = Some(file);
        Ok(())
    }

    /// There is nothing to lock yet but the directory: only one new file is written there at a time.
    fn lock_directory(&self, beside: Option<&Self>) -> Result<()> {
        if let Some(beside) = beside.filter(|beside| beside.around.last() == self.around.last()) {
            if beside.name == self.name {
                return Err(Error::about(
                    "--learn and --learn-seccomp need two files, and not both",
                    self.path,
                ));
            }
            if beside.file.is_none() {
                return Ok(());
            }
        }
        match sys::lock_open_file(self.dir.as_fd(), libc::LOCK_EX) {
            Err(Errno::EWOULDBLOCK) => {
                let what = "Another bwrap is about to write a new file in the directory of";
                return Err(Error::new(
                    [join(what, self.path), b": wait for its end".to_vec()].concat(),
                ));
            }
            other => {
                other.at(&format!("Can't lock the directory of {}", self.option), self.path)?;
            }
        }
        match fstatat(&self.dir, self.name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => Ok(()),
            _ => Err(Error::about("Another bwrap has just written", self.path)),
        }
    }

    /// Whether a file of ours still has the name.
    fn is_still(&self, status: &FileStat) -> bool {
        fstatat(&self.dir, self.name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|found| (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino))
    }

    /// An error where a directory, or the file itself, can be written to from inside the sandbox.
    pub(crate) fn refuse_within(&self, writable: &Host) -> Result<()> {
        let file = self.file.as_ref().and_then(|file| fstat(file).ok());
        let is_itself = file.is_some_and(|file| (file.st_dev, file.st_ino) == writable.id);
        if self.around.contains(&writable.id) || is_itself {
            let mut text = join(self.option, self.path);
            text.extend_from_slice(b" lies where COMMAND can write; put it elsewhere");
            return Err(Error::new(text));
        }
        Ok(())
    }

    /// Lets others have it, whoever still has an fd of it.
    pub(crate) fn release(&self) {
        self.fds().for_each(|fd| _ = sys::lock_open_file(fd.as_fd(), libc::LOCK_UN));
    }

    /// Whether it can be written with what capabilities are left.
    pub(crate) fn check(&self) -> Result<()> {
        let may_write = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&self.dir, c".", may_write, AtFlags::AT_EACCESS)
            .at(&format!("Can't write in the directory of {}", self.option), self.path)
    }

    /// Its directory, for paths that are relative to it.
    pub(crate) const fn path(&self) -> Word {
        self.path
    }

    /// What has to stay open.
    pub(crate) fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        [&self.dir].into_iter().chain(&self.file)
    }

    /// Writes it.
    pub(crate) fn write(&self, text: &[u8]) -> Result<()> {
        let what = "Can't write";
        if text.len() > MAX_SIZE {
            // It could not be read again.
            let text = join(what, self.path);
            return Err(Error::new([text, b": it would be longer than 1 MiB".to_vec()].concat()));
        }
        let (temporary, file) = self.temporary()?;
        let written = write_all(file.as_fd(), text).and_then(|()| fsync(&file));
        let placed = written.at(what, self.path).and_then(|()| self.place(&temporary));
        if placed.is_err() {
            _ = unlinkat(&self.dir, temporary.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
        placed?;
        // The name itself is to survive, too.
        fsync(&self.dir)
            .or_else(|errno| if errno == Errno::EINVAL { Ok(()) } else { Err(errno) })
            .at(what, self.path)
    }

    /// A new file beside it.
    fn temporary(&self) -> Result<(CString, OwnedFd)> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let short =
            self.name.as_bytes().get(..self.name.as_bytes().len().min(200)).unwrap_or_default();
        let mut last = Errno::EEXIST;
        for attempt in 0..100 {
            let number = format!(".{}-{attempt}", std::process::id());
            let name = word(&[b".", short, number.as_bytes()].concat())?;
            match openat(&self.dir, name.as_c_str(), flags, mode) {
                Ok(file) => return Ok((name, file)),
                Err(Errno::EEXIST) => {}
                Err(errno) => {
                    last = errno;
                    break;
                }
            }
        }
        Err(last).at("Can't write", self.path)
    }

    /// Gives the new file its name. Nothing that was not there before is replaced.
    fn place(&self, temporary: &CStr) -> Result<()> {
        let meanwhile = || {
            Err(Error::new(
                [
                    join("Somebody else has written", self.path),
                    b" meanwhile: it is left as it is".to_vec(),
                ]
                .concat(),
            ))
        };
        match &self.file {
            Some(file) => {
                if !fstat(file).is_ok_and(|status| self.is_still(&status)) {
                    return meanwhile();
                }
                renameat(&self.dir, temporary, &self.dir, self.name.as_c_str())
                    .at("Can't write", self.path)
            }
            None => match linkat(
                &self.dir,
                temporary,
                &self.dir,
                self.name.as_c_str(),
                AtFlags::empty(),
            ) {
                Err(Errno::EEXIST) => meanwhile(),
                other => {
                    other.at("Can't write", self.path)?;
                    unlinkat(&self.dir, temporary, UnlinkatFlags::NoRemoveDir)
                        .at("Can't write", self.path)
                }
            },
        }
    }
}

fn word(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::new("A path has a NUL byte in it"))
}

/// The directories around a path, itself included.
fn around(dir: &CStr) -> std::result::Result<Vec<(u64, u64)>, Errno> {
    let Some(host) = Host::of(dir.to_bytes()) else { return Err(Errno::ENOENT) };
    let mut path = b"/".to_vec();
    let mut found = vec![id(&path)?];
    for name in names(&host.path) {
        path.extend_from_slice(b"/");
        path.extend_from_slice(name);
        found.push(id(&path)?);
    }
    Ok(found)
}

fn id(path: &[u8]) -> std::result::Result<(u64, u64), Errno> {
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    let status = fstatat(AT_FDCWD, path.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok((status.st_dev, status.st_ino))
}
