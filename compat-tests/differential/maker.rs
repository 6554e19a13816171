//! A plan in the making, to which options are added.

use std::ffi::OsString;
use std::os::fd::RawFd;

use super::plan::{Piece, Plan};
use super::random::Random;
use crate::harness::{Fd, Identity};

/// What the sandbox's root is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// The host's, read-only, with the scratch directory writable.
    Host,
    /// The fixture's, writable or read-only.
    Bound,
    /// Nothing but what the options make.
    Empty,
}

/// A plan in the making.
pub(super) struct Maker<'a> {
    pub(super) random: &'a Random,
    pub(super) identity: Identity,
    pub(super) root: Root,
    /// Whether its paths and fds may be wrong ones.
    pub(super) hostile: bool,
    /// Where something was mounted.
    pub(super) mounts: Vec<String>,
    pub(super) plan: Plan,
    /// The number of the next fd.
    pub(super) next_fd: RawFd,
}

/// A piece of these words.
pub(super) fn piece<const N: usize>(words: [&str; N]) -> Piece {
    Piece::Words(words.iter().map(OsString::from).collect())
}

impl Maker<'_> {
    /// Adds an option.
    pub(super) fn push<I: IntoIterator<Item: Into<OsString>>>(&mut self, words: I) {
        self.plan.pieces.push(Piece::Words(words.into_iter().map(Into::into).collect()));
    }

    /// Passes an fd under a new number.
    pub(super) fn fd(&mut self, fd: Fd) -> String {
        let number = self.next_fd;
        self.next_fd += 1;
        self.plan.fds.insert(number, fd);
        number.to_string()
    }

    /// The number of an fd that an earlier option names, if there is one.
    pub(super) fn used_fd(&mut self) -> Option<String> {
        let count = usize::try_from(self.next_fd - 10).unwrap_or_default();
        (count > 0).then(|| (10 + self.random.below(count)).to_string())
    }
}
