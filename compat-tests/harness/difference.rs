//! The parts of an outcome, and the intended differences in them.

use std::fmt;
use std::os::fd::RawFd;

use super::Identity;

/// One part of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Exit,
    Stdout,
    Stderr,
    /// What was written to a captured fd.
    Fd(RawFd),
    /// The scratch directory afterwards.
    Tree,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit => write!(f, "exit"),
            Self::Stdout => write!(f, "stdout"),
            Self::Stderr => write!(f, "stderr"),
            Self::Fd(number) => write!(f, "fd {number}"),
            Self::Tree => write!(f, "tree"),
        }
    }
}

/// An intended difference: a row of the table in `differences.rs`.
pub(crate) struct Difference {
    /// The case's full name, such as `cli::version`.
    pub(crate) case: &'static str,
    /// Whom it concerns; everybody if none.
    pub(crate) identity: Option<Identity>,
    pub(crate) field: Field,
    /// Whether the surroundings are such that there is a difference.
    pub(crate) arises: fn() -> bool,
    pub(crate) reason: &'static str,
}

impl Difference {
    /// Whether the row speaks about this run.
    pub(crate) fn concerns(&self, case: &str, identity: Identity) -> bool {
        self.case == case && self.identity.is_none_or(|i| i == identity) && (self.arises)()
    }
}
