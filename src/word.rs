//! Words of the command line, and numbers in them.

use std::ffi::CStr;

/// A word of the command line. It is where the kernel has put it, or in the content of an `--args` fd, both for as long as the process
/// lives: copying thousands of them would cost more than parsing them, and a fork would have to copy their pages once more.
pub(crate) type Word = &'static CStr;

/// A number in C's notation, without blanks and signs.
pub(crate) fn c_number(text: &CStr) -> Option<u64> {
    let (digits, radix) = match text.to_bytes() {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        [b'0', rest @ ..] if !rest.is_empty() => (rest, 8),
        all => (all, 10),
    };
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with(['+', '-']))?;
    u64::from_str_radix(digits, radix).ok()
}
