//! argv → [`Config`]: the loop over the words, `--args`, the modifiers that wait for the next option, and typed values.
//!
//! What each option is and records stands in [`crate::options`]. Options only record; the exceptions are the reference's:
//! `--args` and `--add-seccomp-fd` read their fd when they are met.

use std::ffi::CStr;
use std::os::fd::RawFd;

use crate::caps::CapEdit;
use crate::config::{Config, EnvEdit, Op, Word};
use crate::error::{Context, Error, Result, warn};
use crate::ids::Range;
use crate::options;
use crate::seccomp;
use crate::sys;

/// How many words there may be in all, those of `--args` counted.
const MAX_ARGS: usize = 9000;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// A sandbox.
    Run(Box<Config>),
}

/// Reads a whole command line, without the program's own name.
pub(crate) fn parse(words: &[Word]) -> Result<Request> {
    let mut parser = Parser { words: words.len(), ..Parser::default() };
    parser.check_count()?;
    let command = parser.options(words)?;
    if let Some(request) = parser.request {
        return Ok(request);
    }
    parser.check_overlay_is_used()?;
    parser.config.command = command.to_vec();
    Ok(Request::Run(Box::new(parser.config)))
}

/// The state between two options.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// What was recorded so far.
    pub(crate) config: Config,
    /// A `--perms` that waits for the option it serves.
    perms: Option<u32>,
    /// A `--size` that waits for its `--tmpfs`.
    size: Option<u64>,
    /// The `--overlay-src` layers that wait for their overlay.
    pub(crate) layers: Vec<Word>,
    /// How many words were seen, for the limit.
    words: usize,
    /// Whether the words come from `--args`.
    in_file: bool,
    /// `--help` or `--version`, which end the command line.
    request: Option<Request>,
}

/// The kinds of option that matter to the modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Leaves modifiers alone and must not come between one and its option.
    None,
    /// `--perms`
    Perms,
    /// `--size`
    Size,
    /// `--overlay-src`
    Layer,
}

impl Parser {
    /// Reads options until the first word that is none, or `--`. The result is the words that remain, which are a command.
    fn options<'a>(&mut self, mut words: &'a [Word]) -> Result<&'a [Word]> {
        while let [name, rest @ ..] = words {
            if name.to_bytes() == b"--" {
                return Ok(rest);
            }
            if !name.to_bytes().starts_with(b"-") {
                return Ok(words);
            }
            let Some(row) = options::find(name) else {
                return Err(Error::about("Unknown option", name));
            };
            let Some((values, rest)) = rest.split_at_checked(row.operands.len()) else {
                return Err(Error::new(row.arity_error()));
            };
            (row.record)(self, &mut Values { option: row.name, words: values.iter() })?;
            if self.request.is_some() {
                return Ok(&[]);
            }
            self.check_pending(row.pending)?;
            words = rest;
        }
        Ok(&[])
    }

    /// A modifier has to be followed by the option it modifies, or by another modifier of the same.
    fn check_pending(&self, just_seen: Pending) -> Result<()> {
        let modifier = matches!(just_seen, Pending::Perms | Pending::Size);
        if self.perms.is_some() && !modifier {
            return Err(Error::new("--perms must be followed by an option that creates a file"));
        }
        if self.size.is_some() && !modifier {
            return Err(Error::new("--size must be followed by --tmpfs"));
        }
        if just_seen == Pending::Layer { Ok(()) } else { self.check_overlay_is_used() }
    }

    fn check_overlay_is_used(&self) -> Result<()> {
        if self.layers.is_empty() {
            return Ok(());
        }
        Err(Error::new(options::OVERLAY_RULE))
    }

    fn check_count(&self) -> Result<()> {
        if self.words > MAX_ARGS {
            return Err(Error::new(format!("Exceeded maximum number of arguments {MAX_ARGS}")));
        }
        Ok(())
    }

    /// `--args FD`: options from a file. Words after the options are not a command there and count for nothing.
    pub(crate) fn args_from(&mut self, fd: RawFd) -> Result<()> {
        if self.in_file {
            return Err(Error::new("--args not supported in arguments file"));
        }
        let mut data = sys::read_all(fd, usize::MAX).context("Can't read --args data")?;
        sys::close(fd);
        if data.last().is_some_and(|&byte| byte != 0) {
            data.push(0);
        }
        // The words are in use until the process ends.
        let words: Vec<Word> = CStrings(data.leak()).collect();
        self.words += words.len();
        self.check_count()?;
        self.in_file = true;
        self.options(&words)?;
        self.in_file = false;
        Ok(())
    }

    /// Ends the command line with something else than a sandbox.
    pub(crate) fn request(&mut self, request: Request) {
        self.request = Some(request);
    }

    /// Records an operation.
    pub(crate) fn push(&mut self, op: Op) {
        self.config.ops.push(op);
    }

    /// `--perms`
    pub(crate) fn set_perms(&mut self, values: &mut Values<'_>) -> Result<()> {
        values.once(&mut self.perms, Values::octal)
    }

    /// `--size`
    pub(crate) fn set_size(&mut self, values: &mut Values<'_>) -> Result<()> {
        values.once(&mut self.size, Values::size)
    }

    /// The mode for the operation at hand: that of the `--perms` before it, or the default.
    pub(crate) fn take_perms(&mut self, default: u32) -> u32 {
        self.perms.take().unwrap_or(default)
    }

    /// The size for the tmpfs at hand.
    pub(crate) fn take_size(&mut self) -> Option<u64> {
        self.size.take()
    }

    /// The layers for the overlay at hand, of which it needs at least `least`.
    pub(crate) fn take_layers(&mut self, values: &Values<'_>, least: usize) -> Result<Vec<Word>> {
        if self.layers.len() < least {
            let number = if least == 1 { "one" } else { "two" };
            return Err(Error::new(format!("{} requires at least {number} --overlay-src", values.option)));
        }
        Ok(std::mem::take(&mut self.layers))
    }

    /// `--cap-add` and `--cap-drop`
    pub(crate) fn edit_caps(&mut self, edit: CapEdit) {
        self.config.caps.push(edit);
    }

    /// `--setenv`
    pub(crate) fn set_variable(&mut self, values: &mut Values<'_>) -> Result<()> {
        let name = variable(values.text(), "setenv failed")?;
        self.config.environment.push(EnvEdit::Set(name, values.text()));
        Ok(())
    }

    /// `--unsetenv`
    pub(crate) fn unset_variable(&mut self, values: &mut Values<'_>) -> Result<()> {
        let name = variable(values.text(), "unsetenv failed")?;
        self.config.environment.push(EnvEdit::Unset(name));
        Ok(())
    }

    /// `--seccomp FD`, whose program is read just before COMMAND.
    pub(crate) fn seccomp(&mut self, values: &mut Values<'_>) -> Result<()> {
        if !self.config.seccomp_programs.is_empty() {
            return Err(Error::new("--seccomp cannot be combined with --add-seccomp-fd"));
        }
        values.last_wins(&mut self.config.fds.seccomp, Values::fd)
    }

    /// `--add-seccomp-fd FD`, whose program is read at once.
    pub(crate) fn add_seccomp(&mut self, values: &mut Values<'_>) -> Result<()> {
        if self.config.fds.seccomp.is_some() {
            return Err(Error::new("--add-seccomp-fd cannot be combined with --seccomp"));
        }
        let fd = values.fd()?;
        let program = seccomp::read(fd)?;
        sys::close(fd);
        self.config.seccomp_programs.push(program);
        Ok(())
    }
}

/// A variable's name as setenv(3) wants it.
fn variable(name: Word, failure: &str) -> Result<Word> {
    if name.is_empty() || name.to_bytes().contains(&b'=') {
        return Err(Error::new(failure));
    }
    Ok(name)
}

/// The strings in a piece of memory, each of which ends with a NUL byte.
struct CStrings<'a>(&'a [u8]);

impl<'a> Iterator for CStrings<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<Self::Item> {
        let text = CStr::from_bytes_until_nul(self.0).ok()?;
        self.0 = self.0.get(text.count_bytes() + 1..).unwrap_or_default();
        Some(text)
    }
}

/// The values of one option, taken one by one with the type they should have.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    /// The option's name, for messages.
    pub(crate) option: &'static str,
    /// As many words as the option takes.
    words: std::slice::Iter<'a, Word>,
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
            return Err(Error::new(format!("{} does not take an empty path argument", self.option)));
        }
        Ok(path)
    }

    /// The number of an fd.
    pub(crate) fn fd(&mut self) -> Result<RawFd> {
        let text = self.text();
        parse_number(text, 10).and_then(|n| RawFd::try_from(n).ok()).ok_or_else(|| Error::about("Invalid fd:", text))
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
            // The last 32-bit number is no id.
            count > 0 && [inside, outside].iter().all(|&first| first.checked_add(count).is_some())
        });
        let count = count.ok_or_else(|| Error::about(&format!("Invalid count of ids for {}:", self.option), text))?;
        Ok(Range { inside, outside, count })
    }

    /// A TCP port.
    pub(crate) fn port(&mut self) -> Result<u16> {
        let text = self.text();
        parse_number(text, 10).and_then(|n| u16::try_from(n).ok()).ok_or_else(|| Error::about("Invalid port:", text))
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
            None | Some(0) => Err(Error::new(format!("{} takes a non-zero number of bytes", self.option))),
            Some(size) if size > LIMIT => Err(Error::new(format!("--size (for tmpfs) is limited to {LIMIT}"))),
            Some(size) => Ok(size),
        }
    }

    /// Records a modifier, which may be given once for an action; that is looked at before the value is.
    fn once<T>(&mut self, slot: &mut Option<T>, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<()> {
        if slot.is_some() {
            return Err(Error::new(format!("{} given twice for the same action", self.option)));
        }
        *slot = Some(read(self)?);
        Ok(())
    }

    /// Records a value of which only the last counts, with a warning if it is not the first, also where it then turns out to be wrong.
    pub(crate) fn last_wins<T>(&mut self, slot: &mut Option<T>, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<()> {
        if slot.is_some() {
            warn(format_args!("Only the last {} option will take effect", self.option));
        }
        *slot = Some(read(self)?);
        Ok(())
    }
}

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

/// A number as strtol(3) reads it: blanks and a sign may lead, and nothing may follow.
fn parse_number(text: &CStr, radix: u32) -> Option<u64> {
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

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
