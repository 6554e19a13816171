//! The program's module of this name, but the fds that are read and closed are pieces of memory.

use std::cell::RefCell;
use std::collections::BTreeMap;

use libc::c_int;
use nix::errno::Errno;

#[path = "../../../../src/kernel/sys.rs"]
#[allow(unused_macros, unused_imports, reason = "the entry is the program's")]
mod real;

// What is defined below comes before what a star brings.
pub(crate) use real::*;

thread_local!(static OPEN: RefCell<BTreeMap<c_int, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) });

/// These are the open fds.
pub(crate) fn open(files: &[(c_int, Vec<u8>)]) {
    OPEN.set(files.iter().cloned().collect());
}

/// What was read stays read.
pub(crate) fn unread(_: c_int, _: usize) {}

/// No number in an input is an fd of ours.
pub(crate) fn keep_for_us(_: c_int) -> Option<std::os::fd::OwnedFd> {
    None
}

/// What is left in an fd. More than `limit` bytes are EFBIG.
pub(crate) fn read_all(fd: c_int, limit: usize) -> SysResult<Vec<u8>> {
    let content =
        OPEN.with_borrow_mut(|open| open.get_mut(&fd).map(std::mem::take)).ok_or(Errno::EBADF)?;
    if content.len() > limit { Err(Errno::EFBIG) } else { Ok(content) }
}

/// The fd is none any more.
pub(crate) fn close(fd: c_int) {
    OPEN.with_borrow_mut(|open| open.remove(&fd));
}
