//! The fds that options name, from the moment of parsing to the moment of use.
//!
//! A number on the command line is the caller's claim that this fd is open. Once we open files of
//! our own, the same number could be one of ours. So every claim is settled before that: what is
//! open becomes owned, and each may be used once.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::Mode;

use crate::config::op::Op;
use crate::config::{Config, FdOption};
use crate::error::errno;
use crate::kernel::sys::{self, SysResult};

/// The caller's fds that options name. There is one of these from the start, and each number is
/// handed out once.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// The numbers that options had while they were read, which are no longer the caller's.
    gone: Vec<RawFd>,
    unused: Vec<(RawFd, OwnedFd)>,
    used: Vec<RawFd>,
    /// The process that started this one, with `--die-with-parent`.
    pub(crate) parent: Option<OwnedFd>,
    /// All that was open when /proc was last at hand, where close_range(2) is refused.
    pub(crate) open: Option<Vec<RawFd>>,
}

impl Inherited {
    /// Hands one out while options are still read, to an option that reads its fd at once.
    pub(crate) fn take_now(&mut self, fd: RawFd) -> SysResult<OwnedFd> {
        if self.gone.contains(&fd) {
            return Err(Errno::EBADF);
        }
        let owned = sys::inherited(fd)?;
        self.gone.push(fd);
        Ok(owned)
    }

    /// Hands one out that is open until the process ends. It is closed on exec, unless it is one
    /// of the standard ones.
    pub(crate) fn take_for_good(&mut self, fd: RawFd) -> SysResult<OwnedFd> {
        let owned = self.take_now(fd)?;
        if fd > 2 {
            fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        Ok(owned)
    }

    /// Takes over every fd that the command line names. None of them reaches COMMAND by accident:
    /// they are close-on-exec from now on.
    pub(crate) fn claim_all(&mut self, config: &Config) {
        let options = &config.fds;
        // Both documents on one fd are an error, as in the reference, which closes it after the
        // first.
        let is_twice = options.json_status == options.info;
        let (mut known, mut repeated) = (BTreeSet::new(), Vec::new());
        for FdOption { name, fd, moment } in options.each() {
            if !moment.is_later() {
                continue;
            }
            let is_same = is_twice && name == "json-status-fd" || !known.insert((name, fd));
            if !is_same && !self.claim(fd) {
                repeated.push(fd);
            }
        }
        for fd in config.ops.iter().filter_map(Op::fd) {
            self.claim(fd);
        }
        // One fd may be used by several of these options; only content can be read just once.
        // Copied last, because a copy must not get a number that another option names.
        for fd in repeated {
            self.copy(fd);
        }
    }

    /// Takes over an fd, if it is open; the result is whether that number is a new one.
    fn claim(&mut self, fd: RawFd) -> bool {
        if self.unused.iter().any(|(known, _)| *known == fd) {
            return false;
        }
        if !self.gone.contains(&fd)
            && let Ok(owned) = sys::inherited(fd)
        {
            _ = fcntl(owned.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
            self.unused.push((fd, owned));
        }
        true
    }

    /// Makes an fd usable once more.
    fn copy(&mut self, fd: RawFd) {
        if let Some((_, owned)) = self.unused.iter().find(|(known, _)| *known == fd)
            && let Ok(copy) = owned.try_clone()
        {
            self.unused.push((fd, copy));
        }
    }

    /// The fd of this number: EBADF if it was not open at the start or has been used.
    pub(crate) fn take(&mut self, fd: RawFd) -> SysResult<OwnedFd> {
        // Copies are taken first: the last use, which may be COMMAND, gets the original number.
        let index = self.unused.iter().rposition(|(known, _)| *known == fd).ok_or(Errno::EBADF)?;
        self.used.push(fd);
        Ok(self.unused.remove(index).1)
    }

    /// Whether the fd of this number was open, and is used up.
    pub(crate) fn is_used(&self, fd: RawFd) -> bool {
        self.used.contains(&fd)
    }

    /// The same for an option that may not have been given.
    pub(crate) fn take_optional(&mut self, fd: Option<RawFd>) -> SysResult<Option<OwnedFd>> {
        fd.map(|fd| self.take(fd)).transpose()
    }
}

/// Sees to it that none of our fds is a standard one and takes a diagnostic for data. It gets the
/// first fd that we have opened: the kernel gives the lowest number that is free, so if that is
/// beyond the standard ones the caller has not closed any.
pub(crate) fn beyond_standard(first: OwnedFd) -> SysResult<OwnedFd> {
    if first.as_raw_fd() > 2 {
        return Ok(first);
    }
    let moved = first.try_clone().map_err(|error| errno(&error))?;
    drop(first);
    reserve_standard();
    Ok(moved)
}

/// Occupies the standard fds that the caller has closed. In COMMAND they are closed again.
fn reserve_standard() {
    for fd in 0..3 {
        if !sys::is_open(fd)
            && let Ok(placeholder) =
                EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
        {
            std::mem::forget(placeholder);
        }
    }
}

/// Closes many of our own fds with few calls: one for each run of consecutive numbers. The result
/// is whether there is a call for that.
pub(crate) fn close_all(fds: Vec<OwnedFd>) -> bool {
    let mut numbers: Vec<RawFd> =
        fds.into_iter().map(std::os::fd::IntoRawFd::into_raw_fd).collect();
    numbers.sort_unstable();
    let mut in_runs = true;
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        let (Some(&first), Some(&last)) = (run.first(), run.last()) else { continue };
        if sys::close_range(first, last).is_err() {
            in_runs = false;
            run.iter().copied().for_each(sys::close);
        }
    }
    in_runs
}

/// What this process has open, as a /proc shows it.
pub(crate) fn open_numbers(proc: BorrowedFd<'_>) -> SysResult<Vec<RawFd>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut numbers = Vec::new();
    for entry in Dir::openat(proc, c"self/fd", flags, Mode::empty())?.iter() {
        numbers.extend(
            std::str::from_utf8(entry?.file_name().to_bytes())
                .ok()
                .and_then(|name| name.parse::<RawFd>().ok()),
        );
    }
    Ok(numbers)
}

/// Closes every fd from 3 on but these, so that the other ends of the caller's pipes see when the
/// sandbox is done with them. `open` tells which there are; it is asked only where close_range(2)
/// is refused.
pub(crate) fn close_all_but<'a>(
    keep: impl Iterator<Item = BorrowedFd<'a>>,
    open: impl FnOnce() -> Option<Vec<RawFd>>,
) {
    let mut keep: Vec<RawFd> = keep.map(|fd| fd.as_raw_fd()).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    let mut first = 3;
    for &fd in keep.iter().chain([&RawFd::MAX]) {
        if first < fd && sys::close_range(first, fd - 1).is_err() {
            let open = open().unwrap_or_else(possible_numbers);
            return open
                .into_iter()
                .filter(|fd| *fd > 2 && !keep.contains(fd))
                .for_each(sys::close);
        }
        first = fd.saturating_add(1);
    }
}

/// Every number that an fd may have, for where /proc shows nothing.
fn possible_numbers() -> Vec<RawFd> {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard);
    (3..RawFd::try_from(limit).unwrap_or(RawFd::MAX)).collect()
}
