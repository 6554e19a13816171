//! In place of the program's module: a system whose fds are pieces of memory, and which refuses all else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{c_int, c_ulong, sock_filter};

/// The result of one call.
pub(crate) type SysResult<T> = Result<T, Errno>;

thread_local!(static OPEN: RefCell<BTreeMap<c_int, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) });

/// These are the open fds.
pub(crate) fn open(files: &[(c_int, Vec<u8>)]) {
    OPEN.set(files.iter().cloned().collect());
}

/// What is left in an fd. More than `limit` bytes are EFBIG.
pub(crate) fn read_all(fd: c_int, limit: usize) -> SysResult<Vec<u8>> {
    let content = OPEN.with_borrow_mut(|open| open.get_mut(&fd).map(std::mem::take)).ok_or(Errno::EBADF)?;
    if content.len() > limit { Err(Errno::EFBIG) } else { Ok(content) }
}

/// The fd is none any more.
pub(crate) fn close(fd: c_int) {
    OPEN.with_borrow_mut(|open| open.remove(&fd));
}

/// Refused.
pub(crate) fn prctl(_: c_int, _: c_ulong, _: c_ulong) -> SysResult<c_int> {
    Err(Errno::ENOSYS)
}

/// Once.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> SysResult<T>) -> SysResult<T> {
    call()
}

/// Refused.
pub(crate) fn raise(_: u64) -> SysResult<()> {
    Err(Errno::ENOSYS)
}

/// Refused.
pub(crate) fn capset(_: u64, _: u64) -> SysResult<()> {
    Err(Errno::ENOSYS)
}

/// Refused.
pub(crate) fn set_capabilities(_: u64, _: u64, _: u64) -> SysResult<()> {
    Err(Errno::ENOSYS)
}

/// Refused.
pub(crate) fn capget() -> SysResult<(u64, u64)> {
    Err(Errno::ENOSYS)
}

/// What Landlock would restrict.
pub(crate) struct LandlockRuleset {
    /// Nothing.
    pub(crate) handled_access_fs: u64,
    /// Ports.
    pub(crate) handled_access_net: u64,
    /// Scopes.
    pub(crate) scoped: u64,
}

/// Refused.
pub(crate) fn landlock_abi() -> SysResult<c_int> {
    Err(Errno::ENOSYS)
}

/// Refused.
pub(crate) fn landlock_create(_: LandlockRuleset) -> SysResult<OwnedFd> {
    Err(Errno::ENOSYS)
}

/// Refused.
pub(crate) fn landlock_allow_port(_: BorrowedFd<'_>, _: u16, _: u64) -> SysResult<()> {
    Err(Errno::ENOSYS)
}

/// Refused.
pub(crate) fn landlock_restrict(_: BorrowedFd<'_>) -> SysResult<()> {
    Err(Errno::ENOSYS)
}

/// No kernel's.
pub(crate) fn kernel_release() -> String {
    String::new()
}

/// Refused.
pub(crate) fn install_filter(_: &[sock_filter], _: c_ulong, _: bool) -> SysResult<()> {
    Err(Errno::ENOSYS)
}
