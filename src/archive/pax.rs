//! Headers of pax: lines of `LENGTH KEY=VALUE`, see pax(1) of POSIX.

use crate::archive::fault::{Fault, Reading, bad};
use crate::archive::field::{decimal, value_of};
use crate::archive::sparse::Described;

/// What the headers before an entry say about it, where they say something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    /// Its name.
    pub(crate) path: Option<Vec<u8>>,
    /// What it links to.
    pub(crate) target: Option<Vec<u8>>,
    /// The size of its content in the archive.
    pub(crate) size: Option<u64>,
    /// Its owner.
    pub(crate) uid: Option<u64>,
    /// Its group.
    pub(crate) gid: Option<u64>,
    /// When it was modified.
    pub(crate) mtime: Option<(i64, u32)>,
    /// How many extended attributes and access control lists it has.
    pub(crate) attributes: u32,
    /// What GNU tar says about a sparse file.
    pub(crate) sparse: Described,
}

impl Pax {
    /// Nothing is said.
    pub(crate) const fn new() -> Self {
        Self {
            path: None,
            target: None,
            size: None,
            uid: None,
            gid: None,
            mtime: None,
            attributes: 0,
            sparse: Described::new(),
        }
    }

    /// Adds a header's lines. Of several with the same key the last one counts, and an empty value
    /// takes back what was said.
    pub(crate) fn add(&mut self, mut text: &[u8]) -> Reading<()> {
        while !text.is_empty() {
            let (record, rest) = split(text)?;
            let Some(equals) = record.iter().position(|&byte| byte == b'=') else {
                return bad("a line of a pax header has no key");
            };
            let (key, value) = record.split_at(equals);
            self.set(key, value.get(1..).unwrap_or_default())?;
            text = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Reading<()> {
        let bytes = || (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => self.path = bytes(),
            b"linkpath" => self.target = bytes(),
            b"size" => self.size = optional(value)?,
            b"uid" => self.uid = optional(value)?,
            b"gid" => self.gid = optional(value)?,
            b"mtime" => self.mtime = if value.is_empty() { None } else { Some(time(value)?) },
            _ if key.starts_with(b"GNU.sparse.") => self.sparse.set(key, value)?,
            _ => {
                const ATTRIBUTES: [&[u8]; 5] = [
                    b"SCHILY.xattr.",
                    b"LIBARCHIVE.xattr.",
                    b"SCHILY.acl.",
                    b"RHT.security.selinux",
                    b"SUN.acl",
                ];
                let is_one = ATTRIBUTES.iter().any(|start| key.starts_with(start));
                self.attributes = self.attributes.saturating_add(u32::from(is_one));
            }
        }
        Ok(())
    }

    /// A header for all entries must say nothing that is only one's.
    pub(crate) fn check_global(&self) -> Reading<()> {
        let is_one = self.path.is_some() || self.target.is_some() || self.size.is_some();
        if is_one || self.sparse != Described::new() {
            return bad("a header for all entries has a name or a size");
        }
        Ok(())
    }
}

/// The first line, without its length and its end, and what follows.
fn split(text: &[u8]) -> Reading<(&[u8], &[u8])> {
    let wrong = || Fault::Bad("a line of a pax header has a wrong length".to_owned());
    let blank = text.iter().take(20).position(|&byte| byte == b' ').ok_or_else(wrong)?;
    let length = decimal(text.get(..blank).unwrap_or_default()).ok_or_else(wrong)?;
    let length = usize::try_from(length).map_err(|_| wrong())?;
    let (line, rest) = text.split_at_checked(length).ok_or_else(wrong)?;
    let record = line.get(blank + 1..).and_then(|record| record.strip_suffix(b"\n"));
    record.map(|record| (record, rest)).ok_or_else(wrong)
}

fn optional(value: &[u8]) -> Reading<Option<u64>> {
    if value.is_empty() { Ok(None) } else { value_of(value).map(Some) }
}

/// A time: seconds, perhaps negative, perhaps with a fraction.
fn time(value: &[u8]) -> Reading<(i64, u32)> {
    let (is_negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |&byte| byte == b'.');
    let seconds = value_of(parts.next().unwrap_or_default())?.cast_signed();
    let fraction = parts.next().unwrap_or_default();
    let mut nanoseconds = 0;
    for at in 0..9 {
        let digit = fraction.get(at).copied().unwrap_or(b'0');
        let Some(digit) = char::from(digit).to_digit(10) else {
            return bad("a pax header contains something that is not a time");
        };
        nanoseconds = nanoseconds * 10 + digit;
    }
    Ok(match (is_negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}
