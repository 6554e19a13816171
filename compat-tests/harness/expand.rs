//! Placeholders such as `{dir}` in the words of cases.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Puts values for placeholders into bytes.
pub(crate) fn expand(text: &OsStr, values: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut text = text.as_bytes().to_vec();
    for (name, value) in values {
        let name = format!("{{{name}}}");
        let mut from = 0;
        while let Some(at) = text[from..].windows(name.len()).position(|w| w == name.as_bytes()) {
            text.splice(from + at..from + at + name.len(), value.iter().copied());
            from += at + value.len();
        }
    }
    text
}
