//! The looker: a process that looks up names in COMMAND's root, and says what is there.
//!
//! Names are COMMAND's, and so may be what they lead to: a FUSE that never answers, for one. So this
//! is a process of its own, which the recorder kills if it takes too long. Nothing is opened but as
//! `O_PATH`, except for the first bytes of programs, regular files, whose interpreter counts as
//! executed too. Links are read one by one, for the sandbox to come needs each of them.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::kernel::program;
use crate::kernel::sys::{self, SysResult};
use crate::kernel::way;
use crate::record::inbox::{Inbox, OURS, SOURCES};
use crate::record::line::{Line, NAP, fields};
use crate::record::near::Near;
use crate::record::ring::Message;
use crate::record::uses::Uses;
use crate::record::wanted::{Devices, Wanted, letter};

/// How many interpreters may follow each other, as in the kernel.
const MAX_INTERPRETERS: usize = 5;

/// How many questions of one process are looked at before the recorder is told: what it is told at
/// once has a limit.
const MANY: usize = 256;

/// Where a name leads to.
enum Place {
    /// To this, opened.
    At(OwnedFd, FileStat),
    /// To something in a procfs, which is another one to everybody.
    Proc,
    /// To nothing.
    Missing,
    /// Nobody knows.
    Unknown,
}

/// What it needs.
#[derive(Debug)]
pub(crate) struct Looker<'a> {
    /// The sandbox's root.
    pub(crate) root: BorrowedFd<'a>,
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    pub(crate) inbox: &'a Inbox,
    pub(crate) recorder: &'a Line,
}

impl Looker<'_> {
    /// Looks up what is asked for until the recorder is gone.
    pub(crate) fn run(&self) {
        let (mut devices, mut near) = (Devices::new(), Near::new(self.recorder));
        while let Ok(is_busy) = self.work(&mut devices, &mut near) {
            if self.wait(is_busy) != Ok(true) {
                return;
            }
        }
    }

    /// Waits for questions. The result is whether the recorder is still there.
    fn wait(&self, is_busy: bool) -> SysResult<bool> {
        let limit = match is_busy {
            true => PollTimeout::from(NAP),
            false if self.inbox.may_sleep()? => PollTimeout::NONE,
            false => PollTimeout::ZERO,
        };
        // The recorder says nothing here: all that can come is its end.
        let fds = [self.inbox.bell().as_fd(), self.recorder.as_fd()];
        let mut ready = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        sys::uninterrupted(|| poll(&mut ready, limit))?;
        let any = |index: usize| ready.get(index).and_then(PollFd::any).unwrap_or(false);
        if any(0) {
            _ = self.inbox.bell().hear()?;
        }
        Ok(!any(1))
    }

    /// Looks at what has come. The result is whether COMMAND's calls are behind it.
    fn work(&self, devices: &mut Devices, near: &mut Near<'_>) -> SysResult<bool> {
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut is_busy = false;
        let mut question = Message::new();
        for source in 0..SOURCES {
            for _ in 0..MANY {
                let Some(next) = self.inbox.take(source, &mut question)? else { break };
                let open = |path: &[u8]| self.open_at(path, directory);
                // The recorder's own questions are answered one by one.
                if source == OURS || !near.look(devices, &question, open)? {
                    self.answer(devices, near, &question)?;
                }
                self.inbox.go_on(source, next)?;
                is_busy |= source != OURS;
            }
        }
        near.tell()?;
        self.inbox.answered()?;
        // Who is woken up finds that all is done.
        self.recorder.wake()?;
        Ok(is_busy)
    }

    fn answer(&self, devices: &mut Devices, near: &mut Near<'_>, question: &[u8]) -> SysResult<()> {
        match fields(question).as_slice() {
            [b"s", path] => self.times(path),
            // Who asks this waits for all answers.
            [b"d"] => {
                self.tell(&[b"d"])?;
                self.recorder.wake()
            }
            other => {
                let Some(wanted) = Wanted::of(other) else { return Ok(()) };
                if wanted.uses.any(Uses::CHANGES) {
                    near.forget()?;
                }
                self.look_up(devices, wanted, 0)
            }
        }
    }

    fn tell(&self, fields: &[&[u8]]) -> SysResult<()> {
        self.recorder.post(&fields.join(&0))
    }

    fn look_up(&self, devices: &mut Devices, wanted: Wanted, depth: usize) -> SysResult<()> {
        let uses = wanted.uses.0.to_string().into_bytes();
        let (path, place) = self.follow(devices, &wanted)?;
        let (file, status) = match place {
            Place::Proc => return self.tell(&[b"o", &uses, &path, b"P", b"0"]),
            Place::Missing => return self.tell(&[b"m", &uses, &path]),
            Place::Unknown => return self.tell(&[b"u", &uses, &path]),
            Place::At(file, status) => (file, status),
        };
        // That matters to what is changed alone.
        let is_read_only = wanted.uses.any(Uses::CHANGES)
            && fstatvfs(&file).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY));
        let read_only = if is_read_only { b"1" } else { b"0" };
        let node = letter(&status);
        if node == b"l"
            && let Ok(text) = readlinkat(&file, "")
        {
            self.tell(&[b"l", &path, &text.into_encoded_bytes()])?;
        }
        self.tell(&[b"o", &uses, &path, node, read_only])?;
        if wanted.uses.any(Uses::EXEC)
            && node == b"f"
            && depth < MAX_INTERPRETERS
            && let Some(name) = self.head(&file).and_then(|head| program::interpreter(&head))
        {
            return self.look_up(devices, Wanted { follows: true, name, ..wanted }, depth + 1);
        }
        Ok(())
    }

    /// Follows a name, and tells of the links that it leads through. The path is where it ends,
    /// with what is missing behind what is there.
    fn follow(&self, devices: &mut Devices, wanted: &Wanted) -> SysResult<(Vec<u8>, Place)> {
        let mut here = names(&wanted.top);
        let top = here.len();
        let mut todo = names(&wanted.name);
        if let Some(found) = self.at_once(devices, wanted, &todo) {
            return Ok(found);
        }
        if !wanted.name.starts_with(b"/") {
            here = names(&wanted.base);
        }
        todo.reverse();
        let mut links = 0;
        let Ok(mut dir) = self.open(&here) else {
            return Ok((joined(&here, &todo), Place::Missing));
        };
        let mut status = fstat(&dir).map_err(|_| Errno::EIO)?;
        while let Some(name) = todo.pop() {
            if name == b".." {
                if here.len() > top {
                    here.pop();
                }
                let parent = self.open(&here).and_then(|dir| Ok((fstat(&dir)?, dir)));
                let Ok(found) = parent else {
                    return Ok((joined(&here, &todo), Place::Unknown));
                };
                (status, dir) = found;
                continue;
            }
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let next = openat(&dir, OsStr::from_bytes(&name), flags, Mode::empty())
                .and_then(|next| Ok((fstat(&next)?, next)));
            let (found, next) = match next {
                Ok(found) => found,
                Err(errno) => {
                    todo.push(name);
                    let is_missing = matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
                    let place = if is_missing { Place::Missing } else { Place::Unknown };
                    return Ok((joined(&here, &todo), place));
                }
            };
            if letter(&found) == b"l" && (wanted.follows || !todo.is_empty()) {
                links += 1;
                let text = readlinkat(&next, "").map(std::ffi::OsString::into_encoded_bytes);
                let Some(text) = text.ok().filter(|_| links <= way::MAX_LINKS) else {
                    todo.push(name);
                    return Ok((joined(&here, &todo), Place::Unknown));
                };
                here.push(name);
                self.tell(&[b"l", &joined(&here, &[]), &text])?;
                here.pop();
                todo.extend(way::ahead(&text));
                if text.starts_with(b"/") {
                    here.truncate(top);
                    let Ok(found) = self.open(&here) else {
                        return Ok((joined(&here, &todo), Place::Unknown));
                    };
                    dir = found;
                    status = fstat(&dir).map_err(|_| Errno::EIO)?;
                }
                continue;
            }
            here.push(name);
            if found.st_dev != status.st_dev && is_proc(devices, &next, &found) {
                return Ok((joined(&here, &todo), Place::Proc));
            }
            (dir, status) = (next, found);
        }
        Ok((joined(&here, &[]), Place::At(dir, status)))
    }

    /// The same in one call, for a path that leads through no link. The kernel says if it does.
    fn at_once(
        &self,
        devices: &mut Devices,
        wanted: &Wanted,
        todo: &[Vec<u8>],
    ) -> Option<(Vec<u8>, Place)> {
        if todo.iter().any(|name| name == b"..") || !names(&wanted.top).is_empty() {
            return None;
        }
        let base = if wanted.name.starts_with(b"/") { Vec::new() } else { names(&wanted.base) };
        let all = [base.as_slice(), todo].concat();
        let path = joined(&all, &[]);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match self.open_with(&all, flags) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Some((path, Place::Missing)),
            Err(_) => None,
            Ok(file) => {
                let status = fstat(&file).ok()?;
                if letter(&status) == b"l" && wanted.follows {
                    return None;
                }
                let is_proc = is_proc(devices, &file, &status);
                Some((path, if is_proc { Place::Proc } else { Place::At(file, status) }))
            }
        }
    }

    /// Opens a directory of the sandbox by a path without links.
    fn open(&self, names: &[Vec<u8>]) -> SysResult<OwnedFd> {
        self.open_with(names, OFlag::O_PATH | OFlag::O_CLOEXEC)
    }

    fn open_with(&self, names: &[Vec<u8>], flags: OFlag) -> SysResult<OwnedFd> {
        self.open_at(&names.join(&b'/'), flags)
    }

    fn open_at(&self, path: &[u8], flags: OFlag) -> SysResult<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
        let resolve = ResolveFlag::RESOLVE_IN_ROOT
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let how = OpenHow::new().flags(flags).resolve(resolve);
        openat2(self.root, path.as_c_str(), how)
    }

    /// The first bytes of a regular file.
    fn head(&self, file: &OwnedFd) -> Option<Vec<u8>> {
        let entry = format!("self/fd/{}", file.as_raw_fd());
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = openat(self.proc, entry.as_str(), flags, Mode::empty()).ok()?;
        program::beginning(file)
    }

    /// When something was made, and when it was last changed.
    fn times(&self, path: &[u8]) -> SysResult<()> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut parents = names(path);
        let last = parents.pop().unwrap_or_else(|| b".".to_vec());
        let file = self
            .open(&parents)
            .and_then(|dir| openat(&dir, OsStr::from_bytes(&last), flags, Mode::empty()));
        let found = file.and_then(|file| {
            let status = fstat(&file)?;
            Ok((status, sys::birth(file.as_fd()).unwrap_or_default()))
        });
        match found {
            Err(_) => self.tell(&[b"t", path, b"0", b"", b"", b""]),
            Ok((status, birth)) => {
                let birth = birth.map(|(seconds, nanos)| time(seconds, nanos.into()));
                let changed = time(status.st_mtime, status.st_mtime_nsec);
                let birth = birth.unwrap_or_default();
                self.tell(&[b"t", path, b"1", &birth, &changed, letter(&status)])
            }
        }
    }
}

/// A time in nanoseconds, for a message.
fn time(seconds: i64, nanos: i64) -> Vec<u8> {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos).max(0).to_string().into_bytes()
}

/// The names in a path.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    way::names(path).map(<[u8]>::to_vec).collect()
}

/// A path from names, and from those that are still to come, the next one last.
fn joined(here: &[Vec<u8>], todo: &[Vec<u8>]) -> Vec<u8> {
    let all = here.iter().chain(todo.iter().rev());
    let path: Vec<u8> = all.flat_map(|name| [b"/", name.as_slice()].concat()).collect();
    if path.is_empty() { b"/".to_vec() } else { path }
}

/// Whether something is on a procfs. Devices are looked at once each.
fn is_proc(devices: &mut Devices, file: &OwnedFd, status: &FileStat) -> bool {
    *devices.entry(status.st_dev).or_insert_with(|| {
        fstatfs(file.as_fd()).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::wanted::question;
    use nix::fcntl::open;

    /// What is told about a name on this machine.
    fn told(name: &str, uses: Uses) -> Vec<Vec<String>> {
        let (Ok((ours, theirs)), Ok(inbox)) = (Line::pair(), Inbox::new()) else {
            return Vec::new();
        };
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let open = |path| open(path, flags, Mode::empty());
        let (Ok(root), Ok(proc)) = (open("/"), open("/proc")) else { return Vec::new() };
        for question in [question(uses, true, [b"", b"/", name.as_bytes()]), b"d".to_vec()] {
            assert_eq!(inbox.ask(OURS, &question), Ok(()));
        }
        // The looker stops at the end, which is to come.
        assert_eq!(
            nix::sys::socket::shutdown(ours.as_fd().as_raw_fd(), nix::sys::socket::Shutdown::Write),
            Ok(())
        );
        Looker { root: root.as_fd(), proc: proc.as_fd(), inbox: &inbox, recorder: &theirs }.run();
        assert_eq!(inbox.is_done(), Ok(true));
        drop(theirs);
        let text = |message: Vec<u8>| {
            let fields = fields(&message).into_iter();
            fields.map(|field| String::from_utf8_lossy(field).into_owned()).collect()
        };
        std::iter::from_fn(|| ours.try_receive().ok().flatten()).map(text).collect()
    }

    /// An emulator of programs may know no openat2(2), without which nothing is recorded.
    fn can_look() -> bool {
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC);
        openat2(nix::fcntl::AT_FDCWD, "/", how).err() != Some(Errno::ENOSYS)
    }

    #[test]
    fn names_lead_somewhere() {
        if !can_look() {
            return;
        }
        assert_eq!(told("/usr/../dev/null", Uses::READ)[0], ["o", "2", "/dev/null", "c", "0"]);
        assert_eq!(told("usr/./nonexistent/x", Uses::READ)[0], ["m", "2", "/usr/nonexistent/x"]);
        assert_eq!(told("/proc/self/maps", Uses::READ)[0], ["o", "2", "/proc/self/maps", "P", "0"]);
        let links = told("/dev/fd/0", Uses::READ);
        assert_eq!(links[0], ["l", "/dev/fd", "/proc/self/fd"]);
        assert_eq!(links[1], ["o", "2", "/proc/self/fd/0", "P", "0"]);
    }

    #[test]
    fn interpreters_are_executed_too() {
        if !can_look() {
            return;
        }
        let all = told("/bin/sh", Uses::EXEC);
        assert!(all.iter().any(|fields| fields[0] == "o" && fields[2].contains("/ld")), "{all:?}");
        assert_eq!(all.last().map(|fields| fields[0].as_str()), Some("d"));
    }
}
