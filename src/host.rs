//! Who calls, and what the host offers: facts that are read once.

use std::ffi::{CStr, CString};
use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::prctl;
use nix::unistd::{AccessFlags, Pid, faccessat, getppid};

use crate::error::{Context, Error, Result};
use crate::kernel::files::read_file;
use crate::kernel::process::become_undumpable;
use crate::kernel::sys;

/// The facts of the host that the rules between options depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// The real user id.
    pub(crate) uid: u32,
    /// The real group id.
    pub(crate) gid: u32,
}

/// Facts about the caller and the host, read once.
#[derive(Debug)]
pub(crate) struct Host {
    /// Who called.
    pub(crate) caller: Caller,
    /// The caller's effective capabilities, which root keeps.
    pub(crate) caps: u64,
    /// The caller's permitted capabilities, the most that can be had without a user namespace.
    pub(crate) permitted: u64,
    /// The process that started this one.
    pub(crate) parent: Pid,
    /// The terminal on standard output, once it was looked for.
    pub(crate) tty: Option<CString>,
    /// Where the host has COMMAND, if it was looked for.
    pub(crate) command: Option<CString>,
}

/// Gives up what exec could gain, and refuses to run with more than the caller has.
pub(crate) fn start() -> Result<Host> {
    let parent = getppid();
    prctl::set_no_new_privs().context("prctl(PR_SET_NO_NEW_PRIVS) failed")?;
    let id = |kind| u32::try_from(sys::auxiliary(kind)).unwrap_or(u32::MAX);
    let caller = Caller { uid: id(libc::AT_UID), gid: id(libc::AT_GID) };
    if caller.uid != id(libc::AT_EUID) || caller.gid != id(libc::AT_EGID) {
        return Err(Error::new("setuid use of bubblewrap is not supported"));
    }
    if caller.uid == 0 {
        // Another sandbox of root's, without capabilities, must not look into this process once it
        // has dropped its own: root may write to its executable. For COMMAND, execve(2) reverts
        // this.
        become_undumpable()?;
    }
    let (effective, permitted) = sys::capget().context("capget failed")?;
    if caller.uid != 0 && permitted != 0 {
        return Err(Error::new("Unexpected capabilities but not setuid, old file caps config?"));
    }
    Ok(Host { caller, caps: effective, permitted, parent, tty: None, command: None })
}

/// The terminal on standard output, by the name it has on the host.
pub(crate) fn terminal() -> Option<CString> {
    // ttyname(3) allocates before it checks.
    let stdout = std::io::stdout();
    let path = stdout.is_terminal().then(|| nix::unistd::ttyname(stdout).ok())??;
    CString::new(path.into_os_string().into_vec()).ok()
}

/// Whether the kernel lets anybody make user namespaces, as far as its files say.
pub(crate) fn userns_offered() -> bool {
    let content = |path: &CStr| read_file(AT_FDCWD, path, 4096).ok();
    // Any other problem is reported by clone(2).
    let exists = faccessat(AT_FDCWD, c"/proc/self/ns/user", AccessFlags::F_OK, AtFlags::empty())
        != Err(Errno::ENOENT);
    let off = content(c"/sys/module/user_namespace/parameters/enable")
        .is_some_and(|text| text.first() == Some(&b'N'));
    let none = content(c"/proc/sys/user/max_user_namespaces")
        .is_some_and(|text| text.trim_ascii() == b"0");
    exists && !off && !none
}
