//! Directories of the control groups' file system: what is read from and written to them, and how
//! one is emptied and removed.
//!
//! Everything is done relative to an open directory. Others with the same user id may make and
//! remove groups at any time, so every answer can be out of date; what must not be is settled by
//! locks, see [`crate::confine::cgroup::leaf`].

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use nix::dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs};
use nix::unistd::{AccessFlags, Pid, UnlinkatFlags, faccessat, unlinkat};

use crate::confine::cgroup::field;
use crate::error::errno;
use crate::kernel::files::{read_file, write_file};
use crate::kernel::sys::{self, SysResult};

/// How deep groups are looked into that the sandbox may have made below its own.
const DEPTH: u32 = 64;

/// Where processes are shown, and moved by writing.
pub(crate) const PROCS: &CStr = c"cgroup.procs";

/// Which controllers the groups below have, and the file that says so.
pub(crate) const SUBTREE: &CStr = c"cgroup.subtree_control";

/// An open directory, which represents a control group.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Dir {
    /// Opens a directory. Not as `O_PATH`: that cannot be locked or listed.
    pub(crate) fn open(at: BorrowedFd<'_>, path: &CStr) -> SysResult<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(at, path, flags, Mode::empty()).map(Self)
    }

    /// Opens the group below this one.
    pub(crate) fn child(&self, name: &CStr) -> SysResult<Self> {
        Self::open(self.as_fd(), name)
    }

    /// Whether it belongs to version 2.
    pub(crate) fn is_version_2(&self) -> SysResult<bool> {
        fstatfs(&self.0).map(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC)
    }

    /// The user id of its owner.
    pub(crate) fn owner(&self) -> SysResult<u32> {
        fstat(&self.0).map(|stat| stat.st_uid)
    }

    /// Whether it is ours to arrange: groups can be made below it, processes moved, controllers
    /// chosen.
    pub(crate) fn is_delegated(&self) -> bool {
        [c".", PROCS, SUBTREE]
            .into_iter()
            .all(|path| faccessat(self, path, AccessFlags::W_OK, AtFlags::empty()).is_ok())
    }

    /// Whether the group is still there: the directory of one that was removed stays open, and
    /// empty.
    pub(crate) fn is_there(&self) -> bool {
        faccessat(self, PROCS, AccessFlags::F_OK, AtFlags::empty()).is_ok()
    }

    /// What a file says.
    pub(crate) fn read(&self, file: &CStr) -> SysResult<Vec<u8>> {
        // More than the longest possible list of pids.
        const LIMIT: usize = 64 << 20;
        read_file(self.as_fd(), file, LIMIT)
    }

    /// The words of a file.
    pub(crate) fn words(&self, file: &CStr) -> SysResult<Vec<String>> {
        let text = self.read(file)?;
        Ok(String::from_utf8_lossy(&text).split_whitespace().map(str::to_owned).collect())
    }

    /// Writes to a file.
    pub(crate) fn write(&self, file: &CStr, text: &[u8]) -> SysResult<()> {
        write_file(self.as_fd(), file, text)
    }

    /// The processes in it. One that this pid namespace does not show is 0.
    pub(crate) fn processes(&self) -> SysResult<Vec<Pid>> {
        Ok(self
            .words(PROCS)?
            .iter()
            .filter_map(|word| word.parse().ok())
            .map(Pid::from_raw)
            .collect())
    }

    /// The names of the groups below it.
    pub(crate) fn children(&self) -> SysResult<Vec<CString>> {
        let mut names = Vec::new();
        // The position of a listing belongs to the open file, so the listing gets its own.
        for entry in dir::Dir::from_fd(self.child(c".")?.0)?.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if entry.file_type() == Some(dir::Type::Directory) && name != c"." && name != c".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Makes a group below this one, which only we can open: others could hold its lock.
    pub(crate) fn make(&self, name: &CStr) -> SysResult<()> {
        mkdirat(self, name, Mode::S_IRWXU)
    }

    /// Takes a lock without waiting, shared or exclusive; EWOULDBLOCK if another process holds it.
    /// It belongs to the open file and is gone with that, also when this process is killed.
    pub(crate) fn lock(&self, alone: bool) -> SysResult<()> {
        sys::lock_open_file(self.as_fd(), if alone { libc::LOCK_EX } else { libc::LOCK_SH })
    }

    /// Ends all processes of a group below this one, and removes it with all that is below it.
    /// EBUSY if they have not ended by then.
    pub(crate) fn remove(&self, name: &CStr, patience: Duration) -> SysResult<()> {
        let group = self.child(name)?;
        let deadline = Instant::now() + patience;
        let mut again = false;
        while group.is_populated()? {
            group.kill(again)?;
            again = true;
            if !group.wait_until_empty(Duration::from_millis(100))? && Instant::now() > deadline {
                return Err(Errno::EBUSY);
            }
        }
        group.remove_children(DEPTH)?;
        self.remove_if_empty(name)
    }

    /// Removes a group below this one that has neither processes nor groups in it.
    pub(crate) fn remove_if_empty(&self, name: &CStr) -> SysResult<()> {
        unlinkat(self, name, UnlinkatFlags::RemoveDir)
    }

    fn is_populated(&self) -> SysResult<bool> {
        self.read(c"cgroup.events").map(|text| field(&text, c"populated") != Some(0))
    }

    /// Kills every process in it and below.
    fn kill(&self, again: bool) -> SysResult<()> {
        if self.write(c"cgroup.kill", b"1").is_ok() {
            return Ok(());
        }
        // Linux before 5.14 has no cgroup.kill, so processes are killed one by one. Some may fork
        // meanwhile; once frozen, they cannot, and can still be killed. The first attempt does not
        // freeze, because if we were killed then, the group would stay frozen until the next
        // sandbox.
        if again {
            _ = self.write(c"cgroup.freeze", b"1");
        }
        self.kill_each(DEPTH)
    }

    fn kill_each(&self, depth: u32) -> SysResult<()> {
        for name in self.children_to(depth)? {
            // If the group is gone, nothing in it needs to be killed.
            _ = self.child(&name).and_then(|group| group.kill_each(depth - 1));
        }
        for pid in self.processes()?.into_iter().filter(|pid| pid.as_raw() > 0) {
            _ = kill(pid, Signal::SIGKILL);
        }
        Ok(())
    }

    fn remove_children(&self, depth: u32) -> SysResult<()> {
        for name in self.children_to(depth)? {
            self.child(&name)?.remove_children(depth - 1)?;
            self.remove_if_empty(&name)?;
        }
        Ok(())
    }

    /// The names of the groups below it, down to a depth.
    fn children_to(&self, depth: u32) -> SysResult<Vec<CString>> {
        let names = self.children()?;
        if depth == 0 && !names.is_empty() { Err(Errno::ELOOP) } else { Ok(names) }
    }

    /// Waits until the group is empty. Returns whether that happened in time.
    fn wait_until_empty(&self, patience: Duration) -> SysResult<bool> {
        let deadline = Instant::now() + patience;
        let events = File::from(openat(
            self,
            c"cgroup.events",
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?);
        loop {
            // Reading and polling the same fd leaves no gap in which a change could be missed.
            let mut text = [0; 256];
            let count = events.read_at(&mut text, 0).map_err(|error| errno(&error))?;
            if field(text.get(..count).unwrap_or_default(), c"populated") == Some(0) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            sys::uninterrupted(|| {
                poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], timeout)
            })?;
        }
    }
}
