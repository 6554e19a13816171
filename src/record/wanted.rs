//! A question of where a name leads, as the looker is asked it.

use std::collections::HashMap;

use nix::sys::stat::{FileStat, SFlag};

use crate::kernel::files::file_type;
use crate::kernel::way;
use crate::record::ring::Message;
use crate::record::uses::Uses;

/// A name, and how it is looked up.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) uses: Uses,
    /// Whether a link at the end is followed.
    pub(crate) follows: bool,
    /// The root of whoever looks it up, in the sandbox's.
    pub(crate) top: Vec<u8>,
    /// What it is relative to.
    pub(crate) base: Vec<u8>,
    pub(crate) name: Vec<u8>,
}

impl Wanted {
    /// What a question asks for.
    pub(crate) fn of(question: &[&[u8]]) -> Option<Self> {
        let [b"n", uses, follows, top, base, name] = question else { return None };
        Some(Self {
            uses: Uses::of(uses),
            follows: *follows == b"1",
            top: top.to_vec(),
            base: base.to_vec(),
            name: name.to_vec(),
        })
    }

    /// The path without superfluous parts; none where only looking can tell.
    pub(crate) fn path(&self) -> Option<Vec<u8>> {
        let base = if self.name.starts_with(b"/") { &[][..] } else { &self.base };
        let mut path = Vec::with_capacity(base.len() + self.name.len() + 2);
        for name in way::names(base).chain(way::names(&self.name)) {
            if name == b".." {
                return None;
            }
            path.push(b'/');
            path.extend_from_slice(name);
        }
        Some(path)
    }
}

/// Whether what is on a device is a procfs.
pub(crate) type Devices = HashMap<u64, bool>;

/// How a question about a name begins.
pub(crate) const NAME: &[u8] = b"n\0";

/// What a looker is asked: where a name leads, and whether the link that it may be is followed. It
/// is relative to `base`, for somebody whose root is `top`.
pub(crate) fn question(uses: Uses, follows: bool, [top, base, name]: [&[u8]; 3]) -> Message {
    let uses = uses.0.to_string();
    let follows: &[u8] = if follows { b"1" } else { b"0" };
    [b"n", uses.as_bytes(), follows, top, base, name].join(&0)
}

/// The kind of a file, as a letter for a message.
pub(crate) fn letter(status: &FileStat) -> &'static [u8] {
    match file_type(status) {
        SFlag::S_IFREG => b"f",
        SFlag::S_IFDIR => b"d",
        SFlag::S_IFLNK => b"l",
        SFlag::S_IFSOCK => b"s",
        SFlag::S_IFCHR => b"c",
        SFlag::S_IFBLK => b"b",
        _ => b"p",
    }
}
