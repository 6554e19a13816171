//! What one run left behind, with the questions that claims ask.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;

use super::Result;
use super::expand::expand;
use super::identity::{Identity, Side};
use crate::text::text;

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
    /// It had to be killed.
    TimedOut,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => write!(f, "timed out"),
        }
    }
}

/// The outcome of one run. The texts are normalised: the scratch directory is `{dir}`, pids and inodes are `N`.
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What was written to captured fds, except 1 and 2.
    pub(crate) fds: BTreeMap<RawFd, String>,
    /// The scratch directory afterwards.
    pub(crate) tree: BTreeMap<String, String>,
    /// Everything captured, as it was written.
    pub(crate) raw: BTreeMap<RawFd, Vec<u8>>,
    pub(crate) side: Side,
    pub(crate) identity: Identity,
    /// The scratch directory, which is there until the claims are through.
    pub(crate) dir: PathBuf,
    /// Values of placeholders, without those that are normalised.
    pub(crate) values: Vec<(String, Vec<u8>)>,
}

impl Outcome {
    /// What was written to a captured fd, normalised.
    pub(crate) fn fd(&self, number: RawFd) -> &str {
        self.fds.get(&number).map_or("", String::as_str)
    }

    /// What was written to a captured fd, as it is.
    pub(crate) fn raw(&self, number: RawFd) -> String {
        self.raw.get(&number).map_or_else(String::new, |bytes| text(bytes))
    }

    /// A number in what was written to a captured fd: of `"child-pid": 7` it is 7.
    pub(crate) fn number(&self, fd: RawFd, member: &str) -> Result<u64> {
        number_in(&self.raw(fd), member)
    }

    /// Puts in the values of placeholders such as `{uid}`; `{dir}` stays, as in the normalised texts.
    pub(crate) fn expand(&self, words: &str) -> String {
        text(&expand(words.as_ref(), &self.values))
    }

    /// The words, unless it is true.
    #[expect(clippy::unused_self, reason = "reads like the other questions")]
    pub(crate) fn expect(&self, truth: bool, words: &str) -> Result<()> {
        if truth { Ok(()) } else { Err(words.to_owned()) }
    }

    pub(crate) fn expect_exit(&self, exit: Exit) -> Result<()> {
        self.expect(self.exit == exit, &format!("expected {exit}"))
    }

    pub(crate) fn expect_text(&self, what: &str, text: &str, expected: &str) -> Result<()> {
        let expected = self.expand(expected);
        self.expect(text == expected, &format!("{what} should be {expected:?}"))
    }

    /// A line of the output, in full.
    pub(crate) fn expect_line(&self, line: &str) -> Result<()> {
        let line = self.expand(line);
        self.expect(self.stdout.lines().any(|l| l == line), &format!("stdout has no line {line:?}"))
    }

    /// A file of the scratch tree as the snapshot describes it: `file 644 own "text"`.
    pub(crate) fn expect_tree(&self, path: &str, description: Option<&str>) -> Result<()> {
        let found = self.tree.get(path).map(String::as_str);
        self.expect(found == description, &format!("{path} should be {description:?}, is {found:?}"))
    }
}

/// The number after `"member": `.
pub(crate) fn number_in(text: &str, member: &str) -> Result<u64> {
    let start = format!("\"{member}\": ");
    let rest = text.split_once(&start).ok_or_else(|| format!("no {member} in {text:?}"))?.1;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().map_err(|_| format!("no number for {member} in {text:?}"))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "-- {} as {}: {}", self.side.name(), self.identity.name(), self.exit)?;
        let fds = self.fds.iter().map(|(number, text)| (format!("fd {number}"), text));
        let texts = [("stdout".to_owned(), &self.stdout), ("stderr".to_owned(), &self.stderr)];
        for (name, text) in texts.into_iter().chain(fds).filter(|(_, text)| !text.is_empty()) {
            writeln!(f, "   {name}:")?;
            for line in text.lines().take(200) {
                writeln!(f, "     {line}")?;
            }
        }
        Ok(())
    }
}
