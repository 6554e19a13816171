//! SELinux labels by plain file operations; no library is needed, see proc_pid_attr(5).

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::fcntl::AT_FDCWD;
use nix::sys::statfs::{SELINUX_MAGIC, Statfs, statfs};
use nix::sys::statvfs::FsFlags;

use crate::error::{Context, Result};
use crate::kernel::files::write_file;

/// Whether SELinux is there: its file system is mounted. Where that is read-only, as in a sandbox,
/// labels are not for us to give.
pub(crate) fn selinux_enabled() -> bool {
    let is_there = |fs: Statfs| {
        fs.filesystem_type() == SELINUX_MAGIC && !fs.flags().contains(FsFlags::ST_RDONLY)
    };
    statfs(c"/sys/fs/selinux").is_ok_and(is_there)
}

/// Asks the policy whether it knows a label, in selinuxfs, before anything is done.
pub(crate) fn check(label: &CStr) -> Result<()> {
    write_file(AT_FDCWD, c"/sys/fs/selinux/context", label.to_bytes_with_nul())
        .at("invalid label", label)
}

/// Gives the next exec of this process a label.
pub(crate) fn set_exec_label(proc: BorrowedFd<'_>, label: &CStr) -> Result<()> {
    write_file(proc, c"thread-self/attr/exec", label.to_bytes()).context("label setup failed")
}

/// Gives the files that this process makes from here on a label; none gives the default back.
pub(crate) fn set_file_label(proc: BorrowedFd<'_>, label: Option<&CStr>) -> Result<()> {
    let text = label.map_or(&b""[..], CStr::to_bytes);
    write_file(proc, c"thread-self/attr/fscreate", text).context("label setup failed")
}
