//! The program's module of this name, but the caller's fds are pieces of memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use libc::c_int;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Whence, lseek};

use crate::kernel::files::write_all;

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

/// What one of these numbers stands for.
pub(crate) fn inherited(fd: c_int) -> SysResult<OwnedFd> {
    let content = OPEN.with_borrow_mut(|open| open.remove(&fd)).ok_or(Errno::EBADF)?;
    let memory = memfd_create(c"", MFdFlags::MFD_CLOEXEC)?;
    write_all(memory.as_fd(), &content)?;
    lseek(&memory, 0, Whence::SeekSet)?;
    Ok(memory)
}
