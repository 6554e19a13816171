//! Programs: where one is found, and how its file begins.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::FileExt as _;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, stat};
use nix::unistd::{AccessFlags, access};

use crate::kernel::sys;

/// A program's first bytes.
pub(crate) fn head(path: &CStr) -> Option<Vec<u8>> {
    // Nothing else may be opened: the sandbox's files are whatever somebody has put there.
    if SFlag::from_bits_truncate(stat(path).ok()?.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG
    {
        return None;
    }
    let opened = open(
        path,
        OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
        Mode::empty(),
    )
    .ok()?;
    let mut head = vec![0; 4096];
    let count = fs::File::from(opened).read_at(&mut head, 0).ok()?;
    head.truncate(count);
    Some(head)
}

/// Where execvp(3) finds a file.
pub(crate) fn found(file: &CStr) -> Option<CString> {
    if file.to_bytes().contains(&b'/') {
        return Some(file.to_owned());
    }
    let path = sys::getenv(c"PATH")?;
    let places = path.to_bytes().split(|&byte| byte == b':');
    let paths =
        places.filter_map(|place| CString::new([place, b"/", file.to_bytes()].concat()).ok());
    paths.into_iter().find(|path| access(path.as_c_str(), AccessFlags::X_OK).is_ok())
}
