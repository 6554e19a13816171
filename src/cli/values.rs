//! The values of one option, taken one by one with the type they should have.

use std::ffi::CStr;
use std::os::fd::RawFd;

use crate::error::{Error, Result, warn};
use crate::kernel::idmap::Range;
use crate::report;
use crate::word::{Word, c_number};

/// The values of one option, taken one by one with the type they should have.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    /// The option's name, for messages.
    pub(crate) option: &'static str,
    /// As many words as the option takes.
    pub(crate) words: std::slice::Iter<'a, Word>,
}

impl Values<'_> {
    /// Any word.
    pub(crate) fn text(&mut self) -> Word {
        self.words.next().copied().unwrap_or_default()
    }

    /// A path, which is never empty.
    pub(crate) fn path(&mut self) -> Result<Word> {
        let path = self.text();
        if path.is_empty() {
            return Err(Error::new(format!(
                "{} does not take an empty path argument",
                self.option
            )));
        }
        Ok(path)
    }

    /// The number of an fd.
    pub(crate) fn fd(&mut self) -> Result<RawFd> {
        let text = self.text();
        let fd = fd_number(text).ok_or_else(|| Error::about("Invalid fd:", text))?;
        if self.option != "--error-fd" && report::number() == Some(fd) {
            return Err(Error::new(format!(
                "{} and --error-fd both name fd {fd}: give each its own",
                self.option
            )));
        }
        Ok(fd)
    }

    /// An exit status that tells a failure.
    pub(crate) fn status(&mut self) -> Result<u8> {
        let text = self.text();
        status_number(text).ok_or_else(|| {
            Error::about(&format!("{} takes a number from 1 to 255, not", self.option), text)
        })
    }

    /// A user or group id; `(uid_t) -1` is none.
    pub(crate) fn id(&mut self, kind: &str) -> Result<u32> {
        let text = self.text();
        parse_number(text, 10)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|&id| id != u32::MAX)
            .ok_or_else(|| Error::about(&format!("Invalid {kind}:"), text))
    }

    /// A line of an id map: INSIDE OUTSIDE COUNT.
    pub(crate) fn range(&mut self) -> Result<Range> {
        let (inside, outside) = (self.id("id")?, self.id("id")?);
        let text = self.text();
        let count = parse_number(text, 10).and_then(|n| u32::try_from(n).ok()).filter(|&count| {
            // The last 32-bit number is not an ID.
            count > 0 && [inside, outside].iter().all(|&first| first.checked_add(count).is_some())
        });
        let count = count.ok_or_else(|| {
            Error::about(&format!("Invalid count of ids for {}:", self.option), text)
        })?;
        Ok(Range { inside, outside, count })
    }

    /// A TCP port.
    pub(crate) fn port(&mut self) -> Result<u16> {
        let text = self.text();
        parse_number(text, 10)
            .and_then(|n| u16::try_from(n).ok())
            .ok_or_else(|| Error::about("Invalid port:", text))
    }

    /// A file mode.
    pub(crate) fn octal(&mut self) -> Result<u32> {
        parse_number(self.text(), 8)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|&mode| mode <= 0o7777)
            .ok_or_else(|| Error::new(format!("{} takes an octal argument <= 07777", self.option)))
    }

    /// A number of bytes, in C's notation.
    pub(crate) fn size(&mut self) -> Result<u64> {
        const LIMIT: u64 = i64::MAX.cast_unsigned();
        match c_number(self.text()) {
            None | Some(0) => {
                Err(Error::new(format!("{} takes a non-zero number of bytes", self.option)))
            }
            Some(size) if size > LIMIT => {
                Err(Error::new(format!("--size (for tmpfs) is limited to {LIMIT}")))
            }
            Some(size) => Ok(size),
        }
    }

    /// Records a modifier, which may be given once for an action; that is looked at before the
    /// value is.
    pub(crate) fn once<T>(
        &mut self,
        slot: &mut Option<T>,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<()> {
        if slot.is_some() {
            return Err(Error::new(format!("{} given twice for the same action", self.option)));
        }
        *slot = Some(read(self)?);
        Ok(())
    }

    /// Records a value of which only the last counts, with a warning if it is not the first, also
    /// where it then turns out to be wrong.
    pub(crate) fn last_wins<T>(
        &mut self,
        slot: &mut Option<T>,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<()> {
        if slot.is_some() {
            warn(format_args!("Only the last {} option will take effect", self.option));
        }
        *slot = Some(read(self)?);
        Ok(())
    }
}

/// The number of an fd.
pub(crate) fn fd_number(text: &CStr) -> Option<RawFd> {
    parse_number(text, 10).and_then(|number| RawFd::try_from(number).ok())
}

/// An exit status that tells a failure.
pub(crate) fn status_number(text: &CStr) -> Option<u8> {
    parse_number(text, 10).and_then(|number| u8::try_from(number).ok()).filter(|&n| n != 0)
}

/// A number as strtol(3) reads it: blanks and a sign may lead, and nothing may follow.
pub(crate) fn parse_number(text: &CStr, radix: u32) -> Option<u64> {
    let text = text.to_str().ok()?.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().filter(|&number| !negative || number == 0)
}
