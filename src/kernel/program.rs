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

/// Every place where execvp(3) looks for a file.
pub(crate) fn places(file: &CStr) -> Vec<CString> {
    if file.to_bytes().contains(&b'/') {
        return vec![file.to_owned()];
    }
    let Some(path) = sys::getenv(c"PATH") else { return Vec::new() };
    let places = path.to_bytes().split(|&byte| byte == b':');
    // An empty one is the working directory.
    let place = |place: &[u8]| if place.is_empty() { b".".to_vec() } else { place.to_vec() };
    places
        .filter_map(|at| CString::new([&place(at), &b"/"[..], file.to_bytes()].concat()).ok())
        .collect()
}

/// Where execvp(3) finds a file.
pub(crate) fn found(file: &CStr) -> Option<CString> {
    if file.to_bytes().contains(&b'/') {
        return Some(file.to_owned());
    }
    places(file).into_iter().find(|path| access(path.as_c_str(), AccessFlags::X_OK).is_ok())
}
