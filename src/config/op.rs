//! The operations on the file system, one for each option that asks for one.

use std::ffi::CStr;
use std::os::fd::RawFd;

use crate::word::Word;

/// Whether a mount may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// As the source is.
    ReadWrite,
    /// Read-only, whatever the source is.
    ReadOnly,
}

/// Whether device nodes on a mount may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Devices {
    /// `nodev`.
    Refused,
    /// As the source is.
    Allowed,
}

/// What to do about a bind whose source does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Stop.
    Fatal,
    /// Leave the bind out, as the `-try` options say.
    Skip,
}

/// Where a bind takes its tree from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A path on the host.
    Path(Word),
    /// An open file or directory of the caller's.
    Fd(RawFd),
}

/// How writes to an overlay are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Upper {
    /// In a directory of the host, with a work directory beside it.
    Host {
        /// The upper directory.
        rwsrc: Word,
        /// An empty directory on the same file system.
        workdir: Word,
    },
    /// In a tmpfs that nothing else can see.
    Tmp,
    /// Not at all: the overlay is read-only.
    None,
}

/// One file-system operation. They run in the order of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// `--bind` and its relatives.
    Bind {
        /// What to bind.
        source: Source,
        /// Where.
        dest: Word,
        /// Read-only or not.
        access: Access,
        /// Device nodes or not.
        devices: Devices,
        /// Whether a missing source matters.
        missing: Missing,
    },
    /// `--remount-ro DEST`
    RemountRo(Word),
    /// `--overlay`, `--tmp-overlay`, `--ro-overlay`
    Overlay {
        /// Where writes go.
        upper: Upper,
        /// The `--overlay-src` layers, the lowest first.
        layers: Vec<Word>,
        /// Where.
        dest: Word,
    },
    /// `--proc DEST`
    Proc(Word),
    /// `--dev DEST`
    Dev(Word),
    /// `--tmpfs DEST`
    Tmpfs {
        /// Where.
        dest: Word,
        /// The mode of its root.
        perms: u32,
        /// The size limit in bytes.
        size: Option<u64>,
    },
    /// `--mqueue DEST`
    Mqueue(Word),
    /// `--dir DEST`
    Dir {
        /// Where.
        dest: Word,
        /// The mode of a directory that is made.
        perms: u32,
    },
    /// `--file FD DEST`
    File {
        /// Where the content is read from.
        fd: RawFd,
        /// Where.
        dest: Word,
        /// The mode of a file that is made.
        perms: u32,
    },
    /// `--bind-data` and `--ro-bind-data`
    Data {
        /// Where the content is read from.
        fd: RawFd,
        /// Where.
        dest: Word,
        /// The mode of the file.
        perms: u32,
        /// Read-only or not.
        access: Access,
    },
    /// `--symlink SRC DEST`
    Symlink {
        /// The text of the link.
        target: Word,
        /// Where.
        dest: Word,
    },
    /// `--chmod OCTAL PATH`
    Chmod {
        /// The new mode.
        perms: u32,
        /// Whose.
        path: Word,
    },
}

impl Op {
    /// Where.
    pub(crate) fn dest(&self) -> Word {
        match self {
            Self::Bind { dest, .. }
            | Self::RemountRo(dest)
            | Self::Overlay { dest, .. }
            | Self::Proc(dest)
            | Self::Dev(dest)
            | Self::Tmpfs { dest, .. }
            | Self::Mqueue(dest)
            | Self::Dir { dest, .. }
            | Self::File { dest, .. }
            | Self::Data { dest, .. }
            | Self::Symlink { dest, .. }
            | Self::Chmod { path: dest, .. } => dest,
        }
    }

    /// The open file that it takes something from.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        match self {
            Self::File { fd, .. } | Self::Data { fd, .. } | Self::Bind { source: Source::Fd(fd), .. } => Some(*fd),
            _ => None,
        }
    }

    /// Whether it is a bind on `/`, by its mere text.
    pub(crate) fn is_root_bind(&self) -> bool {
        let up = |dest: &Word| dest.to_bytes().split(|&byte| byte == b'/').all(|part| matches!(part, b"" | b"." | b".."));
        matches!(self, Self::Bind { dest, .. } if up(dest))
    }
}

/// A path's components, by its mere text.
pub(crate) fn components(path: &CStr) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    for part in path.to_bytes().split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => _ = parts.pop(),
            other => parts.push(other),
        }
    }
    parts
}
