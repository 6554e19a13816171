//! What is in a directory, read by getdents64(2): the names with their kinds, as many at once as a
//! buffer holds.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use crate::kernel::sys::{self, SysResult};

/// What an entry is, as far as the directory tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Something else.
    Other,
    /// The file system keeps that with the file.
    Unknown,
}

/// Room for some entries of a directory.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    buffer: Vec<u8>,
    length: usize,
}

impl Entries {
    /// Reads some more; there are none left if the result is false.
    pub(crate) fn read(&mut self, dir: BorrowedFd<'_>) -> SysResult<bool> {
        self.buffer.resize(32 * 1024, 0);
        self.length = sys::read_directory(dir, &mut self.buffer)?;
        Ok(self.length > 0)
    }

    /// What was read, without `.` and `..`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&CStr, Kind)> {
        let mut rest = self.buffer.get(..self.length).unwrap_or_default();
        let all = std::iter::from_fn(move || {
            // Number and offset, 8 bytes each; then the length of the whole, the kind and the name.
            let &[low, high] = rest.get(16..18)? else { return None };
            let length = usize::from(u16::from_ne_bytes([low, high]));
            let (entry, after) = rest.split_at_checked(length)?;
            rest = after;
            let kind = match *entry.get(18)? {
                libc::DT_DIR => Kind::Directory,
                libc::DT_LNK => Kind::Link,
                libc::DT_UNKNOWN => Kind::Unknown,
                _ => Kind::Other,
            };
            Some((CStr::from_bytes_until_nul(entry.get(19..)?).ok()?, kind))
        });
        all.filter(|(name, _)| !matches!(name.to_bytes(), b"." | b".."))
    }
}
