//! The JSON documents of `--info-fd` and `--json-status-fd`. Programs read them byte by byte, so
//! this is their exact form.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::config::Namespaces;
use crate::error::{Context, Error, Result, describe, warn};
use crate::kernel::files::{field, read_file, write_all};
use crate::kernel::sys::{self, SysResult};
use crate::sandbox::introduce::told;

/// The sandbox's process and namespaces, as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    pid: i32,
    /// The inode number of each new namespace.
    namespaces: Vec<(&'static str, u64)>,
}

/// What a child of ours is called in an open /proc. That may be the one of a pid namespace around
/// ours, where our number for it is a stranger's.
pub(crate) fn name_in(proc: BorrowedFd<'_>, child: Pid) -> Result<String> {
    let name = match sys::pidfd_open(child) {
        Ok(handle) => name_of_handle(proc, &handle),
        // A seccomp filter may refuse the call.
        Err(Errno::ENOSYS | Errno::EPERM) => name_of_ours(proc, child),
        Err(other) => Err(other),
    };
    match name {
        Err(Errno::ENOENT | Errno::ESRCH) => {
            Err(Error::new("/proc is of another pid namespace and does not show the sandbox"))
        }
        other => other.context("Can't find the sandbox in /proc"),
    }
}

/// The number beside `Pid:`, see pidfd_open(2): /proc counts as its own pid namespace does.
fn name_of_handle(proc: BorrowedFd<'_>, handle: &OwnedFd) -> SysResult<String> {
    let path = format!("self/fdinfo/{}", handle.as_raw_fd());
    let info = read_file(proc, path.as_str(), usize::MAX)?;
    let number = field(&info, b"Pid:").ok_or(Errno::EIO)?;
    // 0 is a process that this /proc does not show, and -1 one that has ended.
    if number.starts_with(['0', '-']) { Err(Errno::ESRCH) } else { Ok(number.to_owned()) }
}

/// Our own number, if this process has only one in that /proc: then both count alike.
fn name_of_ours(proc: BorrowedFd<'_>, child: Pid) -> SysResult<String> {
    let status = read_file(proc, c"self/status", usize::MAX)?;
    let numbers = field(&status, b"NSpid:").ok_or(Errno::EIO)?;
    if numbers.split_ascii_whitespace().count() == 1 {
        Ok(child.to_string())
    } else {
        Err(Errno::ESRCH)
    }
}

impl Info {
    /// What is reported about a sandbox with these namespaces.
    pub(crate) fn new(pid: Pid, wanted: Namespaces, ids: Vec<u64>) -> Self {
        Self { pid: pid.as_raw(), namespaces: told(wanted).zip(ids).collect() }
    }

    fn members(&self) -> Vec<String> {
        let namespaces =
            self.namespaces.iter().map(|(name, id)| format!("\"{name}-namespace\": {id}"));
        [format!("\"child-pid\": {}", self.pid)].into_iter().chain(namespaces).collect()
    }

    /// The document of `--info-fd`.
    fn document(&self) -> String {
        format!("{{\n    {}\n}}\n", self.members().join(",\n    "))
    }

    /// The first line of `--json-status-fd`.
    fn line(&self) -> String {
        format!("{{ {} }}\n", self.members().join(", "))
    }

    /// Writes the document of `--info-fd`. Readers wait for the end of the file.
    pub(crate) fn write_document(&self, fd: BorrowedFd<'_>) -> Result<()> {
        write(fd, &self.document())
    }

    /// Writes the first line of `--json-status-fd`, which stays open.
    pub(crate) fn write_line(&self, fd: BorrowedFd<'_>) -> Result<()> {
        write(fd, &self.line())
    }
}

/// Writes the last line of `--json-status-fd`. COMMAND has ended by then, and nothing that goes
/// wrong here may take the place of its status: not even a signal.
pub(crate) fn write_exit_code(fd: BorrowedFd<'_>, code: i32) {
    let text = format!("{{ \"exit-code\": {code} }}\n");
    let write = || write_all(fd, text.as_bytes());
    let written = sys::while_ignored(libc::SIGPIPE, || sys::while_ignored(libc::SIGXFSZ, write));
    if let Err(errno) = written {
        warn(format_args!("Write to info_fd: {}", describe(errno)));
    }
}

fn write(fd: BorrowedFd<'_>, text: &str) -> Result<()> {
    write_all(fd, text.as_bytes()).context("Write to info_fd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_exact_form() {
        let info = Info { pid: 7, namespaces: vec![("mnt", 10), ("pid", 11)] };
        assert_eq!(
            info.document(),
            "{\n    \"child-pid\": 7,\n    \"mnt-namespace\": 10,\n    \"pid-namespace\": 11\n}\n"
        );
        assert_eq!(
            info.line(),
            "{ \"child-pid\": 7, \"mnt-namespace\": 10, \"pid-namespace\": 11 }\n"
        );
    }
}
