//! The profiles that are being read, one inside the other.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

use crate::config::Origin;
use crate::error::{Error, Result};
use crate::kernel::environment;
use crate::profile::here;
use crate::profile::source::Source;
use crate::profile::text;
use crate::word::{self, Word};

/// How many profiles may be open, one inside the other.
const DEEPEST: usize = 8;

/// How long all profiles together may be, with the values of variables. One that is named many times
/// counts as often.
const LONGEST_TOGETHER: usize = 8 << 20;

/// A profile while it is read.
#[derive(Debug)]
struct Reading {
    source: Source,
    /// Where the next line begins.
    at: usize,
    /// The number of the line before it.
    line: u32,
}

/// What comes next in the profiles.
#[derive(Debug)]
pub(crate) enum Next {
    /// A line, which may have no words.
    Line(Vec<Word>),
    /// The end of a profile, which then has to be closed.
    End,
}

/// The profiles that are being read.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    /// The innermost one last.
    open: Vec<Reading>,
    /// The length of all that were read.
    length: usize,
}

impl Profiles {
    /// Whether an option stands in a profile.
    pub(crate) const fn is_inside(&self) -> bool {
        !self.open.is_empty()
    }

    /// Where the option at hand stands, if that is in a profile.
    pub(crate) fn place(&self) -> Option<Origin> {
        self.open.last().map(|inner| Origin { file: inner.source.name, line: inner.line })
    }

    /// A path that a profile may have named, as seen from the caller's working directory.
    pub(crate) fn beside(&self, path: Word) -> Word {
        self.open.last().and_then(|inner| inner.source.beside(path)).unwrap_or(path)
    }

    /// Begins a profile, whose lines come next. The result is how it is named from the caller's
    /// working directory.
    pub(crate) fn open(&mut self, name: Word) -> Result<Word> {
        let path = if name.to_bytes().starts_with(b"@") { name } else { self.beside(name) };
        if self.open.len() == DEEPEST {
            return Err(Error::about(
                &format!("Profiles can be nested at most {DEEPEST} deep:"),
                path,
            ));
        }
        let source = Source::read(path)?;
        if self.open.iter().any(|outer| outer.source.id == source.id) {
            return Err(Error::about("A profile must not include itself:", path));
        }
        self.length += source.text.len();
        if self.length > LONGEST_TOGETHER {
            return Err(Error::about("All profiles together are longer than 8 MiB, with", path));
        }
        self.open.push(Reading { source, at: 0, line: 0 });
        Ok(path)
    }

    /// The words of the innermost profile's next line; nothing if none is open.
    pub(crate) fn next(&mut self) -> Option<Result<Next>> {
        let inner = self.open.last_mut()?;
        let Some(line) = inner.take_line() else { return Some(Ok(Next::End)) };
        let words = match text::words(line, &variable) {
            Ok(words) => words,
            Err(fault) => return Some(Err(Error::new(fault))),
        };
        let length: usize = words.iter().map(Vec::len).sum();
        self.length += length.saturating_sub(line.len());
        if self.length > LONGEST_TOGETHER {
            return Some(Err(Error::new(
                "all profiles together are longer than 8 MiB with the values of their variables",
            )));
        }
        let kept = |word| word::keep(OsString::from_vec(word));
        Some(Ok(Next::Line(words.into_iter().map(kept).collect())))
    }

    /// Closes the innermost profile.
    pub(crate) fn close(&mut self) {
        self.open.pop();
    }
}

impl Reading {
    /// The next line, without its newline.
    fn take_line(&mut self) -> Option<&[u8]> {
        let rest = self.source.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        self.at += length + 1;
        self.line = self.line.saturating_add(1);
        rest.get(..length)
    }
}

/// A variable's value in a profile.
fn variable(name: &[u8]) -> std::result::Result<Option<Vec<u8>>, String> {
    if name == b"PWD" {
        return here::working_directory().map(Some);
    }
    let name = CString::new(name).unwrap_or_default();
    Ok(environment::get(&name).map(|value| value.to_bytes().to_vec()))
}
