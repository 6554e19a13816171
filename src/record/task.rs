//! A look at a process, above all the one that makes a call: its memory, its working directory, its
//! open files.

use std::io::IoSliceMut;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{AccessFlags, Pid, faccessat};

use crate::kernel::files::{field, read_file};
use crate::kernel::sys::{self, SysResult};

/// The smallest page there is: reading never reaches into a page that the string does not.
const PAGE: usize = 4096;

/// The longest path, its NUL byte counted.
const LONGEST: usize = 4096;

/// A thread that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    pub(crate) thread: Pid,
}

impl Task<'_> {
    /// Reads what is at an address. EFAULT if that is not all there.
    fn read(self, address: u64, buffer: &mut [u8]) -> SysResult<()> {
        let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        let length = buffer.len();
        let remote = [RemoteIoVec { base, len: length }];
        let count = process_vm_readv(self.thread, &mut [IoSliceMut::new(buffer)], &remote)?;
        if count == length { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// So many bytes at an address.
    pub(crate) fn bytes(self, address: u64, length: usize) -> SysResult<Vec<u8>> {
        let mut buffer = vec![0; length];
        self.read(address, &mut buffer)?;
        Ok(buffer)
    }

    /// The path at an address, as the kernel would take it.
    pub(crate) fn path(self, address: u64) -> SysResult<Vec<u8>> {
        let mut path = Vec::new();
        let mut address = address;
        // Most paths are short.
        let mut most = 256;
        while path.len() < LONGEST {
            let offset = usize::try_from(address).map_err(|_| Errno::EFAULT)? % PAGE;
            let length = (PAGE - offset).min(most);
            let known = path.len();
            path.resize(known + length, 0);
            let new = path.get_mut(known..).unwrap_or_default();
            self.read(address, new)?;
            if let Some(end) = new.iter().position(|&byte| byte == 0) {
                path.truncate(known + end);
                return Ok(path);
            }
            address = address.wrapping_add(u64::try_from(length).unwrap_or_default());
            most = PAGE;
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// A number in memory.
    pub(crate) fn word(self, address: u64) -> SysResult<u64> {
        let bytes = self.bytes(address, 8)?;
        bytes.try_into().map(u64::from_ne_bytes).map_err(|_| Errno::EFAULT)
    }

    /// The directory that a path is relative to: that of an fd, or the working directory.
    pub(crate) fn directory(self, fd: Option<u64>) -> SysResult<Vec<u8>> {
        let id = self.thread;
        match fd.map(number) {
            None | Some(libc::AT_FDCWD) => self.link(&format!("{id}/cwd")),
            Some(fd) => self.link(&format!("{id}/fd/{fd}")),
        }
    }

    /// What its root is called in its mount namespace, and which that is.
    pub(crate) fn root(self) -> SysResult<(Vec<u8>, Vec<u8>)> {
        let id = self.thread;
        Ok((self.link(&format!("{id}/root"))?, self.link(&format!("{id}/ns/mnt"))?))
    }

    /// Whether it has not ended.
    pub(crate) fn is_there(self) -> bool {
        let name = self.thread.to_string();
        faccessat(self.proc, name.as_str(), AccessFlags::F_OK, AtFlags::empty()).is_ok()
    }

    /// Its state, as proc_pid_stat(5) has it, and its parent.
    pub(crate) fn state_and_parent(self) -> Option<(u8, i32)> {
        let text = read_file(self.proc, format!("{}/stat", self.thread).as_str(), 4096).ok()?;
        // The name in parentheses may be anything.
        let end = text.iter().rposition(|&byte| byte == b')')?;
        let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        Some((state, fields.next()?.parse().ok()?))
    }

    fn link(self, name: &str) -> SysResult<Vec<u8>> {
        Ok(readlinkat(self.proc, name)?.into_encoded_bytes())
    }

    /// The process that the thread belongs to.
    pub(crate) fn process(self) -> SysResult<Pid> {
        let status = read_file(self.proc, format!("{}/status", self.thread).as_str(), usize::MAX)?;
        let number = field(&status, b"Tgid:").and_then(|text| text.parse().ok());
        number.map(Pid::from_raw).ok_or(Errno::ESRCH)
    }

    /// A copy of one of its fds.
    pub(crate) fn file(self, fd: u64) -> SysResult<OwnedFd> {
        let process = sys::pidfd_open(self.process()?)?;
        sys::pidfd_getfd(std::os::fd::AsFd::as_fd(&process), number(fd))
    }
}

/// An argument that is an `int`: the other half may hold anything.
pub(crate) fn number(argument: u64) -> RawFd {
    let low = argument & u64::from(u32::MAX);
    u32::try_from(low).unwrap_or_default().cast_signed()
}
