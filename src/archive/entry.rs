//! Entries, and the records that precede their headers.

use crate::archive::fault::{Reading, bad};
use crate::archive::header::What;
use crate::archive::pax::Pax;

/// One entry, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name, as written in the archive.
    pub(crate) path: Vec<u8>,
    /// What a link leads to.
    pub(crate) target: Vec<u8>,
    /// What it is.
    pub(crate) what: What,
    /// Its permissions.
    pub(crate) mode: u32,
    /// Its owner.
    pub(crate) uid: u64,
    /// Its group.
    pub(crate) gid: u64,
    /// When it was modified: seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// How long the file is, holes included.
    pub(crate) size: u64,
    /// How many extended attributes it has.
    pub(crate) attributes: u32,
}

/// What earlier records say about the next entry.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// By headers of pax.
    pub(crate) pax: Option<Pax>,
    /// By a long name of GNU's.
    pub(crate) path: Option<Vec<u8>>,
    /// The same for what it links to.
    pub(crate) target: Option<Vec<u8>>,
    /// How long all these headers are.
    pub(crate) bytes: u64,
}

impl Ahead {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.path.is_none() && self.target.is_none()
    }

    /// Takes a long name of GNU's; there can be one of each kind.
    pub(crate) fn long_name(slot: &mut Option<Vec<u8>>, mut name: Vec<u8>) -> Reading<()> {
        name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
        match slot.replace(name) {
            Some(_) => bad("it has two long names"),
            None => Ok(()),
        }
    }
}
