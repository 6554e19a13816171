//! The patterns of `--mask-glob`: which names they are made of, and what one name matches.
//!
//! Pure data and text; the walk through the sandbox is [`crate::sandbox::search`]'s. What a pattern
//! does not mean here, but elsewhere, is an error: one that silently matches nothing would leave
//! open what it was to hide.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};

use crate::word::Word;

/// A whole pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// As it was given.
    pub(crate) text: Word,
    /// Its parts, between slashes; the last one is never [`Part::Deep`].
    pub(crate) parts: Vec<Part>,
    /// Whether it ends in a slash, and is for directories only.
    pub(crate) directories: bool,
}

/// The pattern between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// `**`: any number of directories, also none.
    Deep,
    /// A name without wildcards.
    Name(Vec<u8>),
    /// One with some.
    Wild(Vec<Token>),
}

/// What one or more bytes of a name must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// This byte.
    Byte(u8),
    /// `?`: any byte.
    One,
    /// `*`: any number of any bytes.
    Many,
    /// `[…]`: a byte in these ranges; with `!`, one that is not.
    Set { negated: bool, ranges: Vec<(u8, u8)> },
}

impl Pattern {
    /// Reads a pattern, or says what is wrong with it.
    pub(crate) fn parse(text: Word) -> Result<Self, &'static str> {
        let bytes = text.to_bytes();
        if !bytes.starts_with(b"/") && bytes != b"**" && !bytes.starts_with(b"**/") {
            return Err("a pattern begins with / or **/");
        }
        let mut parts: Vec<Part> = Vec::new();
        for part in bytes.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
            let part = Part::parse(part)?;
            if part != Part::Deep || parts.last() != Some(&Part::Deep) {
                parts.push(part);
            }
        }
        // A match is hidden with all that is in it, so `dir/**` and `dir/**/*` both mean everything
        // in `dir`.
        match parts.last() {
            Some(Part::Deep) => parts.push(Part::Wild(vec![Token::Many])),
            Some(_) => {}
            None => return Err("it matches only /, which cannot be hidden"),
        }
        Ok(Self { text, parts, directories: bytes.ends_with(b"/") })
    }

    /// The path of the directory where its search begins; empty means `/`.
    pub(crate) fn start(&self) -> Vec<u8> {
        let mut path = Vec::new();
        for part in self.parts.iter().take(self.fixed()) {
            if let Part::Name(name) = part {
                path.push(b'/');
                path.extend_from_slice(name);
            }
        }
        path
    }

    /// Whether a path without links matches, by its names alone.
    pub(crate) fn takes(&self, path: &CStr) -> bool {
        let names = path.to_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty());
        // The parts of the pattern that the next name may match.
        let mut next = self.reached(0);
        for name in names {
            let Ok(name) = CString::new(name) else { return false };
            let mut after = BTreeSet::new();
            for index in next {
                match self.parts.get(index) {
                    Some(Part::Deep) => after.extend(self.reached(index)),
                    Some(part) if part.matches(&name) => after.extend(self.reached(index + 1)),
                    _ => {}
                }
            }
            next = after;
        }
        next.contains(&self.parts.len())
    }

    /// A part, and the one after it if it can match nothing.
    fn reached(&self, index: usize) -> BTreeSet<usize> {
        let is_deep = self.parts.get(index) == Some(&Part::Deep);
        [index, index + usize::from(is_deep)].into()
    }

    /// How many names it begins with that lead to where its search begins.
    pub(crate) fn fixed(&self) -> usize {
        let names = self.parts.iter().take_while(|part| matches!(part, Part::Name(_))).count();
        names.min(self.parts.len().saturating_sub(1))
    }
}

impl Part {
    fn parse(part: &[u8]) -> Result<Self, &'static str> {
        match part {
            b"**" => return Ok(Self::Deep),
            b"." | b".." => return Err("it must not contain the names . or .."),
            _ => {}
        }
        let mut tokens = Vec::new();
        let mut rest = part;
        while let [byte, tail @ ..] = rest {
            rest = tail;
            tokens.push(match byte {
                b'?' => Token::One,
                b'*' if tail.starts_with(b"*") || tokens.last() == Some(&Token::Many) => {
                    return Err("** must stand alone between slashes");
                }
                b'*' => Token::Many,
                b'[' => {
                    let (set, after) = set(tail)?;
                    rest = after;
                    set
                }
                b'{' => {
                    return Err("braces have no meaning here: give one pattern for each, or \\{");
                }
                b'\\' => {
                    let [escaped, after @ ..] = tail else {
                        return Err("nothing follows its last \\");
                    };
                    rest = after;
                    Token::Byte(*escaped)
                }
                byte => Token::Byte(*byte),
            });
        }
        let name: Option<Vec<u8>> = tokens
            .iter()
            .map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None })
            .collect();
        Ok(match name {
            Some(name) if matches!(name.as_slice(), b"." | b"..") => {
                return Err("it must not contain the names . or ..");
            }
            Some(name) => Self::Name(name),
            None => Self::Wild(tokens),
        })
    }

    /// Whether it matches a name.
    pub(crate) fn matches(&self, name: &CStr) -> bool {
        match self {
            Self::Deep => true,
            Self::Name(own) => own == name.to_bytes(),
            Self::Wild(tokens) => matches(tokens, name.to_bytes()),
        }
    }
}

/// The rest of a set, after its bracket, and what follows it.
fn set(text: &[u8]) -> Result<(Token, &[u8]), &'static str> {
    const OPEN: &str = "a [ has no ] before the next slash";
    let (negated, mut rest) = match text {
        [b'!', tail @ ..] => (true, tail),
        [b'^', ..] => return Err("a set is negated by [!…], and [\\^…] has a ^ in it"),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    loop {
        let first = match rest {
            // At the beginning of a set, `]` is one of its bytes.
            [b']', tail @ ..] if !ranges.is_empty() => {
                return Ok((Token::Set { negated, ranges }, tail));
            }
            [b'[', b':' | b'.' | b'=', ..] => {
                return Err("classes such as [:alpha:] are not supported");
            }
            _ => member(&mut rest).ok_or(OPEN)?,
        };
        let last = match rest {
            [b'-', tail @ ..] if !tail.starts_with(b"]") => {
                rest = tail;
                member(&mut rest).ok_or(OPEN)?
            }
            _ => first,
        };
        if last < first {
            return Err("the range in a set is reversed");
        }
        ranges.push((first, last));
    }
}

/// The next byte of a set, perhaps after a backslash.
fn member(rest: &mut &[u8]) -> Option<u8> {
    let (byte, tail) = match *rest {
        [b'\\'] | [] => return None,
        [b'\\', byte, tail @ ..] | [byte, tail @ ..] => (*byte, tail),
    };
    *rest = tail;
    Some(byte)
}

/// Whether a whole name matches. Only the last `*` is ever taken back, so the time is no more than
/// the product of both lengths.
fn matches(tokens: &[Token], name: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(at), name.get(here)) {
            (None, None) => return true,
            (Some(Token::Many), _) => {
                star = Some((at + 1, here));
                at += 1;
                continue;
            }
            (Some(token), Some(&byte)) if token.takes(byte) => {
                (at, here) = (at + 1, here + 1);
                continue;
            }
            _ => {}
        }
        match star {
            Some((after, from)) if from < name.len() => {
                star = Some((after, from + 1));
                (at, here) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

impl Token {
    /// Whether it takes one byte.
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::One | Self::Many => true,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&byte)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match() {
        let rows: [(&CStr, &[&CStr], &[&CStr]); 12] = [
            (c".env", &[c".env"], &[c".ENV", c".envx", c"x.env", c""]),
            (c"*", &[c"a", c".a", c""], &[]),
            (c".env*", &[c".env", c".env.local"], &[c"env", c"x.env"]),
            (c"*.pem", &[c".pem", c"a.pem", c"a.pem.pem"], &[c"a.pemx", c"pem"]),
            (c"a?c", &[c"abc", c"a?c", c"a.c"], &[c"ac", c"abbc"]),
            (c"[a-c]x", &[c"ax", c"cx"], &[c"dx", c"Ax", c"x"]),
            (c"[!a-c]x", &[c"dx", c"]x"], &[c"ax", c"x"]),
            (c"[]a]", &[c"]", c"a"], &[c"b"]),
            (c"[a-]", &[c"-", c"a"], &[c"b"]),
            (c"\\*\\[", &[c"*["], &[c"a["]),
            (c"a*b*c", &[c"abc", c"aXbYc", c"abbcc"], &[c"acb", c"ab"]),
            (c"[\\]\\\\x]", &[c"]", c"\\", c"x"], &[c"y"]),
        ];
        for (pattern, yes, no) in rows {
            let matches =
                |name: &&CStr| Part::parse(pattern.to_bytes()).is_ok_and(|part| part.matches(name));
            assert!(yes.iter().all(matches), "{pattern:?}");
            assert!(Part::parse(pattern.to_bytes()).is_ok(), "{pattern:?}");
            assert!(!no.iter().any(matches), "{pattern:?}");
        }
    }

    #[test]
    fn patterns_have_parts() {
        let parts = |text| Pattern::parse(text).map(|pattern| pattern.parts);
        let name = |text: &[u8]| Part::Name(text.to_vec());
        assert_eq!(parts(c"/a//b/"), Ok(vec![name(b"a"), name(b"b")]));
        assert_eq!(parts(c"**/**/\\.\\*"), Ok(vec![Part::Deep, name(b".*")]));
        assert_eq!(parts(c"/a/**"), parts(c"/a/**/*"));
        assert_eq!(parts(c"**"), parts(c"/**/*"));
        assert_eq!(Pattern::parse(c"/a/b/").map(|pattern| pattern.directories), Ok(true));
        let fixed = |text| Pattern::parse(text).map(|pattern| pattern.fixed());
        assert_eq!([fixed(c"/a/b/c"), fixed(c"/a/*/c"), fixed(c"**/c")], [Ok(2), Ok(1), Ok(0)]);
    }

    #[test]
    fn paths_match() {
        let rows: [(&CStr, &[&CStr], &[&CStr]); 4] = [
            (c"/a/*.key", &[c"/a/b.key"], &[c"/a", c"/a/b", c"/a/b/c.key", c"/b.key"]),
            (c"**/.env", &[c"/.env", c"/a/.env", c"/a/b/.env"], &[c"/a/env", c"/.env/a"]),
            (c"/a/**", &[c"/a/b", c"/a/b/c"], &[c"/a", c"/b/a"]),
            (c"/a/**/b/**/c", &[c"/a/b/c", c"/a/x/b/y/z/c"], &[c"/a/c", c"/a/x/b/y"]),
        ];
        for (text, yes, no) in rows {
            let takes = |path: &&CStr| Pattern::parse(text).is_ok_and(|one| one.takes(path));
            assert!(yes.iter().all(takes), "{text:?}");
            assert!(!no.iter().any(takes), "{text:?}");
        }
    }

    #[test]
    fn what_means_something_elsewhere_is_an_error() {
        for text in [
            c"",
            c"a",
            c"./a",
            c"~/a",
            c"*/a",
            c"/",
            c"//",
            c"/a/../b",
            c"/./a",
            c"/a**",
            c"/**a",
            c"/***",
            c"/[a",
            c"/[",
            c"/[]",
            c"/[!]",
            c"/[^a]",
            c"/[z-a]",
            c"/[[:alpha:]]",
            c"/a\\",
            c"/[a\\",
            c"/[a/b]",
            c"/\\..",
            c"/*.{a,b}",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }
}
