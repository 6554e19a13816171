//! The way that a path of the host takes: which symbolic links it leads through, and where it ends.

use std::ffi::{CStr, OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, readlinkat};

use crate::error::{Error, describe, join};
use crate::word::{self, Word};

/// How many links a path may lead through, as in the kernel.
pub(crate) const MAX_LINKS: usize = 40;

/// What a path leads through. All paths in here are free of links, and absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A symbolic link: its text, and where it is.
    Link { text: Word, at: Word },
    /// A directory that `..` leaves.
    Directory(Word),
}

/// The way of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// What it leads through, in order.
    pub(crate) stops: Vec<Stop>,
    /// Where it ends; nothing if a link leads to /proc, which is another one in each sandbox.
    pub(crate) end: Option<Word>,
}

/// Why a path has no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// What could not be looked up, and why.
    At(Word, Errno),
    /// A link in /proc itself, which is a different one in each process.
    InProc(Word),
}

impl Lost {
    /// Whether there is nothing at the path.
    pub(crate) const fn is_missing(&self) -> bool {
        matches!(self, Self::At(_, Errno::ENOENT))
    }

    /// The error for a source that was not found.
    pub(crate) fn error(&self, path: &CStr) -> Error {
        let mut what = join("Can't find source path", path);
        match self {
            Self::At(at, errno) => {
                if *at != path {
                    what.extend(join(": it leads to", at));
                }
                Error::os(what, *errno)
            }
            Self::InProc(link) => {
                what.extend(join(": it leads through the link", link));
                what.extend_from_slice(b", which is a different one in each process");
                Error::new(what)
            }
        }
    }
}

impl Display for Lost {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at, errno) => write!(f, "{}: {}", at.to_string_lossy(), describe(*errno)),
            Self::InProc(link) => {
                write!(f, "{} is a different one in each process", link.to_string_lossy())
            }
        }
    }
}

impl Way {
    /// Looks up an absolute path, without opening anything.
    pub(crate) fn of(path: &CStr) -> std::result::Result<Self, Lost> {
        let mut todo: Vec<_> = ahead(path.to_bytes()).collect();
        let mut here = Vec::with_capacity(path.count_bytes());
        let (mut stops, mut links) = (Vec::new(), 0);
        while let Some(name) = todo.pop() {
            if name == b".." {
                if !here.is_empty() {
                    // `..` is only allowed after a directory.
                    link_at(&[here.as_slice(), b"/."].concat())?;
                    stops.push(Stop::Directory(kept(&here)));
                }
                here.truncate(here.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                continue;
            }
            let before = here.len();
            here.push(b'/');
            here.extend_from_slice(&name);
            if let Some(text) = link_at(&here)? {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Lost::At(kept(&here), Errno::ELOOP));
                }
                if here.starts_with(b"/proc/") {
                    return Err(Lost::InProc(kept(&here)));
                }
                stops.push(Stop::Link { text: kept(&text), at: kept(&here) });
                here.truncate(if text.starts_with(b"/") { 0 } else { before });
                todo.extend(ahead(&text));
            } else if links > 0 && here == b"/proc" {
                return Ok(Self { stops, end: None });
            }
        }
        let end = if here.is_empty() { c"/" } else { kept(&here) };
        Ok(Self { stops, end: Some(end) })
    }
}

/// The text of a link, or nothing for what is none.
fn link_at(path: &[u8]) -> std::result::Result<Option<Vec<u8>>, Lost> {
    match readlinkat(AT_FDCWD, OsStr::from_bytes(path)) {
        Ok(text) => Ok(Some(text.into_vec())),
        Err(Errno::EINVAL) => Ok(None),
        Err(errno) => Err(Lost::At(kept(path), errno)),
    }
}

/// A path that was put together here.
fn kept(path: &[u8]) -> Word {
    word::keep(OsString::from_vec(path.to_vec()))
}

/// The names in a path, `..` included, without those that lead nowhere else.
pub(crate) fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !matches!(name, [] | [b'.']))
}

/// The same for a stack of what is still ahead: the first one comes last.
pub(crate) fn ahead(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    names(path).rev().map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_backwards() {
        let expected: [&[u8]; 3] = [b"c", b"..", b"a"];
        assert_eq!(ahead(b"//a/./../c/").collect::<Vec<_>>(), expected);
        assert!(ahead(b"/").next().is_none());
    }

    #[test]
    fn directories_need_no_stop() {
        assert_eq!(Way::of(c"/"), Ok(Way { stops: vec![], end: Some(c"/") }));
        assert_eq!(Way::of(c"/proc/self/../self/x"), Err(Lost::InProc(c"/proc/self")));
        let up = Way { stops: vec![Stop::Directory(c"/dev")], end: Some(c"/dev/null") };
        assert_eq!(Way::of(c"/dev/../dev//null"), Ok(up));
        assert_eq!(Way::of(c"/../dev"), Ok(Way { stops: vec![], end: Some(c"/dev") }));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(Way::of(c"/dev/x/y"), Err(Lost::At(c"/dev/x", Errno::ENOENT)));
        assert_eq!(Way::of(c"/dev/null/.."), Err(Lost::At(c"/dev/null/.", Errno::ENOTDIR)));
    }

    #[test]
    fn what_leads_to_proc_ends_there() {
        let link = Stop::Link { text: c"/proc/self/fd", at: c"/dev/fd" };
        assert_eq!(Way::of(c"/dev/fd/7"), Ok(Way { stops: vec![link], end: None }));
    }
}
