//! Words of the command line, and numbers in them.

use std::ffi::{CStr, OsStr, OsString};
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
    let mut bytes = word.into_vec();
    bytes.push(0);
    // Neither argv nor a piece between two NUL bytes has one inside.
    CStr::from_bytes_until_nul(bytes.leak()).unwrap_or_default()
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

/// The known word that somebody may have meant by another one: at most two letters are wrong,
/// missing, too many or swapped, and less than half of them.
pub(crate) fn nearest<'a>(
    word: &[u8],
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = known.into_iter().map(|other| (distance(word, other.as_bytes()), other));
    let (distance, other) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && distance * 2 < other.trim_start_matches('-').len()).then_some(other)
}

/// How many single changes lead from one word to another.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut rows: [Vec<usize>; 3] = [Vec::new(), Vec::new(), (0..=to.len()).collect()];
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    for (i, &letter) in from.iter().enumerate() {
        rows.rotate_left(1);
        let [before, previous, row] = &mut rows;
        row.clear();
        row.push(i + 1);
        for (j, &other) in to.iter().enumerate() {
            let changed = at(previous, j) + usize::from(letter != other);
            let mut fewest = changed.min(at(previous, j + 1) + 1).min(at(row, j) + 1);
            let swapped =
                i > 0 && j > 0 && from.get(i - 1) == Some(&other) && to.get(j - 1) == Some(&letter);
            if swapped {
                fewest = fewest.min(at(before, j - 1) + 1);
            }
            row.push(fewest);
        }
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        let known = ["--bind", "--ro-bind", "--dev", "--dev-bind", "--proc", "--uid", "--gid"];
        for (word, meant) in [
            ("--robind", Some("--ro-bind")),
            ("-bind", Some("--bind")),
            ("--ro-bnid", Some("--ro-bind")),
            ("--pro", Some("--proc")),
            ("--uidd", Some("--uid")),
            ("--dev-bnd", Some("--dev-bind")),
            ("--nothing", None),
            ("-", None),
            ("--", None),
            ("", None),
        ] {
            assert_eq!(nearest(word.as_bytes(), known), meant, "{word}");
        }
        assert_eq!(nearest(&[b'x'; 9000], known), None);
    }
}
