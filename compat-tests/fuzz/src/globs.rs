//! The patterns of `--mask-glob` a second time, by trying every way there is: a pattern is read as it is matched, from the end of the
//! slash-separated text, without tokens.

use crate::config::glob::{Part, Pattern};
use std::ffi::CStr;

/// Whether a path, given by its names, matches what the parts say.
pub(crate) fn follows(parts: &[Part], path: &[&CStr]) -> bool {
    match (parts, path) {
        ([], []) => true,
        ([Part::Deep, rest @ ..], _) => {
            (0..=path.len()).any(|skipped| follows(rest, &path[skipped..]))
        }
        ([part, parts @ ..], [name, path @ ..]) => part.matches(name) && follows(parts, path),
        _ => false,
    }
}

/// The same by the pattern's text alone.
pub(crate) fn agrees(text: &[u8], path: &[&[u8]]) -> bool {
    let parts: Vec<&[u8]> =
        text.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).collect();
    walk(&parts, path)
}

fn walk(parts: &[&[u8]], path: &[&[u8]]) -> bool {
    match (parts, path) {
        ([], []) => true,
        // At the end it is everything inside, and not the directory itself.
        ([b"**"], _) => !path.is_empty(),
        ([b"**", rest @ ..], _) => (0..=path.len()).any(|skipped| walk(rest, &path[skipped..])),
        ([part, parts @ ..], [name, path @ ..]) => name_matches(part, name) && walk(parts, path),
        _ => false,
    }
}

fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], name) => name.is_empty(),
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|taken| name_matches(rest, &name[taken..])),
        (_, []) => false,
        ([b'?', rest @ ..], [_, name @ ..]) => name_matches(rest, name),
        ([b'\\', byte, rest @ ..], [first, name @ ..]) => byte == first && name_matches(rest, name),
        ([b'[', rest @ ..], [first, name @ ..]) => {
            let (negated, mut rest) = match rest {
                [b'!', rest @ ..] => (true, rest),
                _ => (false, rest),
            };
            // All members, ranges written out.
            let (mut members, mut number) = ([false; 256], 0);
            while number == 0 || rest[0] != b']' {
                let from = take(&mut rest);
                let to = if rest[0] == b'-' && rest[1] != b']' {
                    rest = &rest[1..];
                    take(&mut rest)
                } else {
                    from
                };
                (from..=to).for_each(|byte| members[usize::from(byte)] = true);
                number += 1;
            }
            members[usize::from(*first)] != negated && name_matches(&rest[1..], name)
        }
        ([byte, rest @ ..], [first, name @ ..]) => byte == first && name_matches(rest, name),
    }
}

fn take(rest: &mut &[u8]) -> u8 {
    if rest[0] == b'\\' {
        *rest = &rest[1..];
    }
    let byte = rest[0];
    *rest = &rest[1..];
    byte
}

/// The input is a pattern, a NUL byte, and a path.
pub(crate) fn check(input: &[u8], kept: impl Fn(&[u8]) -> crate::word::Word) {
    let mut halves = input.splitn(2, |&byte| byte == 0);
    let (text, path) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    // What can take back many stars takes long here.
    if text.iter().filter(|&&byte| byte == b'*').count() > 6 || path.len() > 24 {
        return;
    }
    let Ok(pattern) = Pattern::parse(kept(text)) else { return };
    let names: Vec<&[u8]> =
        path.split(|&byte| matches!(byte, 0 | b'/')).filter(|name| !name.is_empty()).collect();
    let words: Vec<_> = names.iter().map(|name| kept(name)).collect();
    let words: Vec<&CStr> = words.iter().map(|word| &**word).collect();
    assert_eq!(
        follows(&pattern.parts, &words),
        agrees(text, &names),
        "{:?} and {:?}",
        text.escape_ascii().to_string(),
        path.escape_ascii().to_string()
    );
    assert!(pattern.fixed() < pattern.parts.len());
    assert!(!matches!(pattern.parts.last(), Some(Part::Deep) | None));
}
