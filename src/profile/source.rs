//! Where a profile comes from: a file, or the program itself.

use std::borrow::Cow;
use std::ffi::{CStr, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, stat};

use crate::error::{Context, Error, Result, join};
use crate::kernel::files::{file_type, read_all};
use crate::profile::built_in;
use crate::word::{self, Word};

/// The longest profile, in bytes.
pub(crate) const LONGEST: usize = 1 << 20;

/// What tells one profile from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    /// A built-in one, by its name.
    BuiltIn(&'static str),
    /// A file, by its device and its inode.
    File(u64, u64),
}

/// A profile that has been read.
#[derive(Debug)]
pub(crate) struct Source {
    /// What it is called in messages.
    pub(crate) name: Word,
    /// Which one it is.
    pub(crate) id: Id,
    /// What it says.
    pub(crate) text: Cow<'static, [u8]>,
}

impl Source {
    /// Reads a profile: a built-in one for a name that begins with `@`, else a file.
    pub(crate) fn read(name: Word) -> Result<Self> {
        if !name.to_bytes().starts_with(b"@") {
            return Self::of_file(name);
        }
        let Some(profile) = built_in::find(name.to_bytes()) else {
            let mut what = join("There is no built-in profile", name);
            what.extend_from_slice(b": --profile @list shows them, and a file is named ./");
            what.extend_from_slice(name.to_bytes());
            return Err(Error::new(what));
        };
        Ok(Self { name, id: Id::BuiltIn(profile.name), text: profile.text.as_bytes().into() })
    }

    /// Reads a file. It is looked at before it is opened, because opening a device may do
    /// something, and after that, because it may be another one by then.
    fn of_file(name: Word) -> Result<Self> {
        let what = "Can't read profile";
        let status = stat(name).at(what, name);
        let status = status.map_err(|error| error.hinted(|errno| without_at(name, errno)))?;
        regular(&status, name)?;
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = open(name, flags, Mode::empty()).at(what, name)?;
        let status = fstat(&file).at(what, name)?;
        regular(&status, name)?;
        let text = match read_all(file.as_fd(), LONGEST) {
            Err(Errno::EFBIG) => {
                let mut what = join("Profile", name);
                what.extend_from_slice(b" is longer than 1 MiB");
                return Err(Error::new(what));
            }
            other => other.at(what, name)?,
        };
        Ok(Self { name, id: Id::File(status.st_dev, status.st_ino), text: text.into() })
    }

    /// A path that the profile names, as seen from the caller's working directory.
    pub(crate) fn beside(&self, path: &CStr) -> Option<Word> {
        beside(self.name, path).map(|path| word::keep(OsString::from_vec(path)))
    }
}

/// Whether a missing file has the name of a built-in profile, except for its `@`.
fn without_at(name: Word, errno: Option<Errno>) -> Option<String> {
    let meant = built_in::find(&[b"@", name.to_bytes()].concat());
    let meant = meant.filter(|_| errno == Some(Errno::ENOENT))?;
    Some(format!("the built-in profile is named {}", meant.name))
}

/// A relative path in the directory of a file; nothing for one that stays as it is.
fn beside(file: &CStr, path: &CStr) -> Option<Vec<u8>> {
    let (file, path) = (file.to_bytes(), path.to_bytes());
    if file.starts_with(b"@") || path.starts_with(b"/") {
        return None;
    }
    let slash = file.iter().rposition(|&byte| byte == b'/')?;
    Some([file.get(..=slash).unwrap_or_default(), path].concat())
}

/// Refuses everything that is not a regular file.
fn regular(status: &FileStat, name: &CStr) -> Result<()> {
    if file_type(status) == SFlag::S_IFREG {
        return Ok(());
    }
    let mut what = join("Profile", name);
    what.extend_from_slice(b" is not a regular file");
    Err(Error::new(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_beside_the_file() {
        let cases: [(&CStr, &CStr, Option<&[u8]>); 6] = [
            (c"a/b", c"c", Some(b"a/c")),
            (c"/a/b", c"../c", Some(b"/a/../c")),
            (c"./@x", c"c", Some(b"./c")),
            (c"b", c"c", None),
            (c"a/b", c"/c", None),
            (c"@system", c"c", None),
        ];
        for (file, path, expected) in cases {
            assert_eq!(beside(file, path).as_deref(), expected, "{file:?} {path:?}");
        }
    }
}
