//! What bytes and errors look like as text, for the probe and the harness alike.

use std::fmt::Write as _;

/// Bytes as text; what is not UTF-8 is escaped.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A line about something that could not be found out.
pub(crate) fn unknown(what: &str, error: &dyn std::fmt::Display) -> String {
    format!("{what}: {error}")
}
