//! Words and bytes as a shell script has them.

use std::fmt::Write as _;

/// A word in a shell script; `{dir}` and `{probe}` become variables.
pub(super) fn quote(word: &[u8]) -> String {
    let mut text = String::from("$'");
    for byte in word {
        match byte {
            b'\'' | b'\\' => _ = write!(text, "\\{}", char::from(*byte)),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => _ = write!(text, "\\x{byte:02x}"),
        }
    }
    text.push('\'');
    let plain = word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.{}+,:=".contains(byte));
    let text = if plain && !word.is_empty() { text.trim_start_matches("$'").trim_end_matches('\'').to_owned() } else { text };
    let variable = |text: String, name: &str| {
        let value = if plain { format!("${name}") } else { format!("'\"${name}\"$'") };
        text.replace(&format!("{{{name}}}"), &value)
    };
    ["dir", "probe", "uid", "gid", "namespaces"].into_iter().fold(text, variable)
}

/// Bytes as the format of printf(1).
pub(super) fn quote_format(content: &[u8]) -> String {
    let mut text = String::from("'");
    for byte in content {
        match byte {
            b'%' => text.push_str("%%"),
            b'\'' | b'\\' => _ = write!(text, "\\{byte:03o}"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => _ = write!(text, "\\{byte:03o}"),
        }
    }
    text.push('\'');
    text
}
