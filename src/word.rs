//! Words of the command line, and numbers in them.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// A word of the command line or of an `--args` fd, which lives as long as the process.
pub(crate) type Word = &'static CStr;

/// A word for lexopt, with room for the NUL byte that [`keep`] adds.
pub(crate) fn unread(word: &[u8]) -> OsString {
    let mut unread = OsString::with_capacity(word.len() + 1);
    unread.push(OsStr::from_bytes(word));
    unread
}

/// Keeps a word of lexopt's, in the memory where it is.
pub(crate) fn keep(word: OsString) -> Word {
    // Neither argv nor a piece between two NUL bytes has one inside.
    Box::leak(CString::new(word.into_vec()).unwrap_or_default().into_boxed_c_str())
}

/// A number in C's notation, without blanks and signs.
pub(crate) fn c_number(text: &CStr) -> Option<u64> {
    let (digits, radix) = match text.to_bytes() {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        [b'0', rest @ ..] if !rest.is_empty() => (rest, 8),
        all => (all, 10),
    };
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with(['+', '-']))?;
    u64::from_str_radix(digits, radix).ok()
}
