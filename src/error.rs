//! What goes wrong, in words: [`Error`], the [`Context`] that gives a failed call its words, and
//! the one printer.
//!
//! Launchers match these lines, so the words are part of the interface. There is no conversion from
//! a bare [`Errno`]: a step that fails has to say which step it was. Every diagnostic is one
//! `write` to stderr.

use std::ffi::CStr;
use std::fmt::{self, Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use crate::report::{self, Failure};

/// A failed step: what could not be done and, where a system call is behind it, why.
///
/// It is one pointer, because every step's result has room for it: results that are copied around
/// take a good part of the time of a sandbox with many binds.
#[derive(Debug)]
pub(crate) struct Error(Box<Details>);

/// What is known about a failure.
#[derive(Debug)]
struct Details {
    what: Vec<u8>,
    cause: Option<Cause>,
    hint: Option<String>,
    option: Option<&'static str>,
    path: Option<Vec<u8>>,
}

/// Why a step failed.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// A system call's errno, shown in the C library's words.
    Os(Errno),
    /// The errno of a call that makes a mount, where ENOSPC means a full mount table.
    Mount(Errno),
    /// The usage is wanted instead of a message.
    Usage,
    /// The process that noticed the failure has already reported it.
    Silent,
}

/// The result of every step.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that has no system call behind it.
    pub(crate) fn new(what: impl Into<Vec<u8>>) -> Self {
        Self::caused(what, None)
    }

    /// An error about something the caller named, shown byte for byte.
    pub(crate) fn about(what: &str, name: &CStr) -> Self {
        Self::new(join(what, name))
    }

    /// An error with the errno that is behind it.
    pub(crate) fn os(what: impl Into<Vec<u8>>, cause: Errno) -> Self {
        Self::caused(what, Some(Cause::Os(cause)))
    }

    /// An error with the errno of a call that makes a mount.
    pub(crate) fn mount(what: impl Into<Vec<u8>>, cause: Errno) -> Self {
        Self::caused(what, Some(Cause::Mount(cause)))
    }

    /// Asks for the usage on stderr.
    pub(crate) fn usage() -> Self {
        Self::caused("No COMMAND is given", Some(Cause::Usage))
    }

    /// A failure that another process has reported.
    pub(crate) fn reported() -> Self {
        Self::caused("", Some(Cause::Silent))
    }

    fn caused(what: impl Into<Vec<u8>>, cause: Option<Cause>) -> Self {
        let what = what.into();
        Self(Box::new(Details { what, cause, hint: None, option: None, path: None }))
    }

    /// Says which option it is about, unless that is known.
    pub(crate) fn of(mut self, option: &'static str) -> Self {
        self.0.option = self.0.option.or(Some(option));
        self
    }

    /// Says why, in place of what was said before.
    pub(crate) fn because(mut self, errno: Errno) -> Self {
        self.0.cause = Some(Cause::Os(errno));
        self
    }

    /// Says which path it is about, unless that is known.
    pub(crate) fn with_path(mut self, path: &CStr) -> Self {
        self.0.path.get_or_insert_with(|| path.to_bytes().to_vec());
        self
    }

    /// Adds what is probably behind it, if somebody is there to read that and nobody has said more
    /// already.
    pub(crate) fn hinted(mut self, find: impl FnOnce(Option<Errno>) -> Option<String>) -> Self {
        if !matches!(self.0.cause, Some(Cause::Silent)) && self.0.hint.is_none() && wants_hints() {
            self.0.hint = find(self.errno());
        }
        self
    }

    /// The errno behind it.
    fn errno(&self) -> Option<Errno> {
        match self.0.cause {
            Some(Cause::Os(errno) | Cause::Mount(errno)) => Some(errno),
            Some(Cause::Usage | Cause::Silent) | None => None,
        }
    }

    /// Adds a hint that was found before, without a further question to the system.
    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    /// Says which line of a file it is about.
    pub(crate) fn at_line(mut self, file: &CStr, line: u32) -> Self {
        let place = format!(":{line}: ");
        self.0.what = [file.to_bytes(), place.as_bytes(), &self.0.what].concat();
        self
    }

    /// Whether another process has reported it, or is about to.
    pub(crate) fn is_reported(&self) -> bool {
        matches!(self.0.cause, Some(Cause::Silent))
    }

    /// Whether the usage should be shown.
    pub(crate) fn wants_usage(&self) -> bool {
        matches!(self.0.cause, Some(Cause::Usage))
    }

    /// The option that it is about.
    pub(crate) fn option(&self) -> Option<&'static str> {
        self.0.option
    }

    /// The line on stderr, without what it begins with.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut text = as_one_line(&self.0.what);
        match self.0.cause {
            Some(Cause::Mount(Errno::ENOSPC)) => text.extend_from_slice(MOUNT_LIMIT),
            Some(Cause::Os(errno) | Cause::Mount(errno)) => {
                text.extend_from_slice(b": ");
                text.extend_from_slice(describe(errno).as_bytes());
            }
            Some(Cause::Usage | Cause::Silent) | None => {}
        }
        text
    }

    /// Writes the diagnostic on stderr, and its document where one is wanted.
    pub(crate) fn print(&self) {
        if self.is_reported() {
            return;
        }
        let text = self.line();
        // First, because stderr may be a pipe that nobody reads.
        report::tell(&Failure {
            option: self.0.option,
            path: self.0.path.as_deref(),
            errno: self.errno(),
            message: &text,
            hint: self.0.hint.as_deref(),
        });
        if !self.wants_usage() {
            say(3, &text);
        }
        if let Some(hint) = self.0.hint.as_ref().filter(|_| shows_hints()) {
            say(6, format!("hint: {}", on_one_line(hint)).as_bytes());
        }
    }
}

/// Text of unknown origin for one line of a terminal: nothing in it ends the line, moves the cursor
/// or turns the direction of writing.
pub(crate) fn on_one_line(text: &str) -> String {
    text.chars().map(|letter| if is_plain(letter) { letter } else { '?' }).collect()
}

/// The same for bytes, of which those that are no text stay as they are: they are part of names, and
/// no letter of a terminal's language.
fn as_one_line(text: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        line.extend_from_slice(on_one_line(chunk.valid()).as_bytes());
        line.extend_from_slice(chunk.invalid());
    }
    line
}

/// Whether a character is only itself.
pub(crate) fn is_plain(letter: char) -> bool {
    let turns = matches!(letter, '\u{061c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !letter.is_control() && !turns
}

/// Writes bytes of unknown origin: plain characters by a function, which says whether it wrote one,
/// and each byte of everything else as `\xNN`.
pub(crate) fn write_escaped(
    text: &mut String,
    bytes: &[u8],
    write_plain: impl Fn(&mut String, char) -> bool,
) {
    let escape = |text: &mut String, byte: u8| _ = write!(text, "\\x{byte:02x}");
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if !(is_plain(letter) && write_plain(text, letter)) {
                letter.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(text, byte));
            }
        }
        chunk.invalid().iter().for_each(|&byte| escape(text, byte));
    }
}

/// `WHAT NAME`, with the name's bytes as they are.
pub(crate) fn join(what: &str, name: &CStr) -> Vec<u8> {
    let mut text = Vec::with_capacity(what.len() + name.count_bytes() + 1);
    text.extend_from_slice(what.as_bytes());
    text.push(b' ');
    text.extend_from_slice(name.to_bytes());
    text
}

/// Gives a failed call its words.
pub(crate) trait Context<T> {
    /// `WHAT: errno`.
    fn context(self, what: impl AsRef<str>) -> Result<T>;
    /// `WHAT NAME: errno`.
    fn at(self, what: &str, name: &CStr) -> Result<T>;
}

impl<T> Context<T> for std::result::Result<T, Errno> {
    fn context(self, what: impl AsRef<str>) -> Result<T> {
        self.map_err(|errno| Error::os(what.as_ref(), errno))
    }

    fn at(self, what: &str, name: &CStr) -> Result<T> {
        self.map_err(|errno| Error::os(join(what, name), errno).with_path(name))
    }
}

/// The errno of an [`io::Error`]; [`Errno::EIO`] where the standard library invented the error.
pub(crate) fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// glibc's words for an errno, whatever this program is linked with: launchers match them. nix's and
/// musl's differ in places.
pub(crate) fn describe(errno: Errno) -> String {
    let number = errno as usize;
    let words = ERRNOS.lines().nth(number).filter(|words| !words.is_empty());
    words.map_or_else(|| format!("Unknown error {number}"), str::to_owned)
}

/// The words of each errno, in a line of its own. One text, because each of 130 texts would have to
/// be relocated at every start.
const ERRNOS: &str = include_str!("errnos.txt");

/// ENOSPC of a mount. The plain words send people to look at their disk.
const MOUNT_LIMIT: &[u8] =
    b": Limit exceeded (ENOSPC). (Hint: Check that /proc/sys/fs/mount-max is sufficient, typically 100000)";

/// Whether diagnostics carry their syslog level, as --level-prefix asks. A static, as in
/// [`report`]: it changes how an error is printed that may come from anywhere, and a `Config` is
/// not at hand while one is still being parsed.
static LEVEL_PREFIX: AtomicBool = AtomicBool::new(false);

/// Whether hints are asked for by the environment.
static HINTS: AtomicBool = AtomicBool::new(false);

/// From here on every diagnostic begins with its syslog level.
pub(crate) fn use_level_prefix() {
    LEVEL_PREFIX.store(true, Ordering::Relaxed);
}

/// From here on hints are shown unconditionally.
pub(crate) fn use_hints() {
    HINTS.store(true, Ordering::Relaxed);
}

/// Whether hints are wanted, as far as that is known without a look at stderr.
pub(crate) fn expects_hints() -> bool {
    let asked = LEVEL_PREFIX.load(Ordering::Relaxed) || HINTS.load(Ordering::Relaxed);
    asked || report::file().is_some()
}

/// Whether anybody reads more than the one line that launchers expect.
pub(crate) fn wants_hints() -> bool {
    report::file().is_some() || shows_hints()
}

/// Whether stderr is where it is read.
fn shows_hints() -> bool {
    let asked = LEVEL_PREFIX.load(Ordering::Relaxed) || HINTS.load(Ordering::Relaxed);
    asked || io::stderr().is_terminal()
}

/// A warning on stderr.
pub(crate) fn warn(text: impl Display) {
    say(4, on_one_line(&text.to_string()).as_bytes());
}

/// One diagnostic, in one write. A full or closed stderr changes nothing else.
fn say(level: u8, text: &[u8]) {
    let mut line = String::new();
    if LEVEL_PREFIX.load(Ordering::Relaxed) {
        _ = write!(line, "<{level}>");
    }
    line.push_str("bwrap: ");
    let mut line = line.into_bytes();
    line.extend_from_slice(text);
    line.push(b'\n');
    _ = io::stderr().write_all(&line);
}

/// The last words of a process that has no memory left, and so they take none.
#[cfg_attr(test, expect(dead_code, reason = "the allocator is the program's"))]
pub(crate) fn say_out_of_memory() {
    let line: &[u8] = if LEVEL_PREFIX.load(Ordering::Relaxed) {
        b"<3>bwrap: Out of memory\n"
    } else {
        b"bwrap: Out of memory\n"
    };
    report::tell_out_of_memory();
    _ = nix::unistd::write(io::stderr(), line);
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one() {
        for (name, shown) in [
            (&b"/a b\xc3\xa9\xff\x9b"[..], &b"/a b\xc3\xa9\xff\x9b"[..]),
            (b"/a\nbwrap: b", b"/a?bwrap: b"),
            (b"\x1b[31m\t\x7f\r", b"?[31m???"),
            (b"\xc2\x9b31m\xe2\x80\xae", b"?31m?"),
            (b"\xff\n\xff", b"\xff?\xff"),
        ] {
            let error = Error::new(name).at_line(c"x\ny", 7);
            assert_eq!(error.line(), [b"x?y:7: ", shown].concat(), "{}", name.escape_ascii());
        }
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn words_are_those_of_glibc() {
        for number in 0..=140 {
            let theirs = io::Error::from_raw_os_error(number).to_string();
            let ours = match Errno::from_raw(number) {
                Errno::UnknownErrno if number > 0 => format!("Unknown error {number}"),
                errno => describe(errno),
            };
            assert_eq!(theirs, format!("{ours} (os error {number})"));
        }
    }
}
