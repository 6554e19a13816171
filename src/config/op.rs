//! The operations on the file system, one for each option that asks for one.

use std::ffi::CStr;
use std::os::fd::RawFd;

use crate::config::glob::Pattern;
use crate::word::Word;

/// Whether a mount is writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// As the source is.
    ReadWrite,
    /// Read-only, whatever the source is.
    ReadOnly,
}

/// Whether device nodes on a mount can be opened.
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

/// The flags of `--noexec` and `--nosymfollow`, which come on top of those that a mount has anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extra {
    /// `--noexec`: no program on the mount can be executed.
    pub(crate) noexec: bool,
    /// `--nosymfollow`: no symbolic link on the mount is followed.
    pub(crate) nosymfollow: bool,
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
    /// In a directory of the host, with an empty work directory on the same file system.
    Host { rwsrc: Word, workdir: Word },
    /// In a tmpfs that nothing else can see.
    Tmp,
    /// Not at all: the overlay is read-only.
    None,
}

/// One file-system operation, and where it puts what. They run in the order of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// `--bind` and its relatives.
    Bind {
        source: Source,
        dest: Word,
        access: Access,
        devices: Devices,
        missing: Missing,
        extra: Extra,
    },
    /// `--same` and its relatives.
    Same { path: Word, access: Access, missing: Missing, extra: Extra },
    /// `--remount-ro DEST`
    RemountRo(Word),
    /// `--overlay`, `--tmp-overlay`, `--ro-overlay`, with the `--overlay-src` layers, the lowest
    /// first.
    Overlay { upper: Upper, layers: Vec<Word>, dest: Word, extra: Extra },
    /// `--proc DEST`
    Proc(Word),
    /// `--proc-pid DEST`
    ProcPid(Word),
    /// `--dev DEST`
    Dev(Word),
    /// `--tmpfs DEST`, with the mode of its root and its size limit in bytes.
    Tmpfs { dest: Word, perms: u32, size: Option<u64>, extra: Extra },
    /// `--mqueue DEST`
    Mqueue(Word),
    /// `--dir DEST`, with the mode of a directory that is created.
    Dir { dest: Word, perms: u32 },
    /// `--file FD DEST`, with the mode of a file that is created.
    File { fd: RawFd, dest: Word, perms: u32 },
    /// `--bind-data` and `--ro-bind-data`, with the mode of the file.
    Data { fd: RawFd, dest: Word, perms: u32, access: Access, extra: Extra },
    /// `--tar FD DEST`, with the mode that `--perms` gives the root of its tmpfs and its size limit
    /// in bytes. An upper one is unpacked where an earlier one was.
    Tar {
        fd: RawFd,
        dest: Word,
        perms: Option<u32>,
        size: Option<u64>,
        extra: Extra,
        is_upper: bool,
    },
    /// `--symlink SRC DEST`
    Symlink { target: Word, dest: Word },
    /// `--chmod OCTAL PATH`
    Chmod { perms: u32, path: Word },
    /// `--mask PATH`
    Mask(Word),
    /// `--mask-glob PATTERN`, all that follow each other.
    MaskGlob(Vec<Pattern>),
}

/// What the empty directory and the empty file are called that masks put on top of things.
pub(crate) const COVERS: [Word; 2] = [c"mask-directory", c"mask-file"];

impl Op {
    /// Where it puts what.
    pub(crate) fn dest(&self) -> Word {
        match self {
            Self::Bind { dest, .. }
            | Self::Same { path: dest, .. }
            | Self::RemountRo(dest)
            | Self::Overlay { dest, .. }
            | Self::Proc(dest)
            | Self::ProcPid(dest)
            | Self::Dev(dest)
            | Self::Tmpfs { dest, .. }
            | Self::Mqueue(dest)
            | Self::Mask(dest)
            | Self::Dir { dest, .. }
            | Self::File { dest, .. }
            | Self::Data { dest, .. }
            | Self::Tar { dest, .. }
            | Self::Symlink { dest, .. }
            | Self::Chmod { path: dest, .. } => dest,
            Self::MaskGlob(patterns) => patterns.first().map_or(c"/", |pattern| pattern.text),
        }
    }

    /// The option that asks for it.
    pub(crate) fn option(&self) -> &'static str {
        use Access::{ReadOnly, ReadWrite};
        match self {
            Self::Bind { source: Source::Fd(_), access: ReadWrite, .. } => "--bind-fd",
            Self::Bind { source: Source::Fd(_), access: ReadOnly, .. } => "--ro-bind-fd",
            Self::Bind { access, devices, missing, .. } => match (access, devices, missing) {
                (_, Devices::Allowed, Missing::Fatal) => "--dev-bind",
                (_, Devices::Allowed, Missing::Skip) => "--dev-bind-try",
                (ReadOnly, Devices::Refused, Missing::Fatal) => "--ro-bind",
                (ReadOnly, Devices::Refused, Missing::Skip) => "--ro-bind-try",
                (ReadWrite, Devices::Refused, Missing::Fatal) => "--bind",
                (ReadWrite, Devices::Refused, Missing::Skip) => "--bind-try",
            },
            Self::Same { access, missing, .. } => match (access, missing) {
                (ReadWrite, Missing::Fatal) => "--same",
                (ReadWrite, Missing::Skip) => "--same-try",
                (ReadOnly, Missing::Fatal) => "--ro-same",
                (ReadOnly, Missing::Skip) => "--ro-same-try",
            },
            Self::RemountRo(_) => "--remount-ro",
            Self::Overlay { upper: Upper::Host { .. }, .. } => "--overlay",
            Self::Overlay { upper: Upper::Tmp, .. } => "--tmp-overlay",
            Self::Overlay { upper: Upper::None, .. } => "--ro-overlay",
            Self::Proc(_) => "--proc",
            Self::ProcPid(_) => "--proc-pid",
            Self::Dev(_) => "--dev",
            Self::Tmpfs { .. } => "--tmpfs",
            Self::Mqueue(_) => "--mqueue",
            Self::Mask(_) => "--mask",
            Self::MaskGlob(_) => "--mask-glob",
            Self::Dir { .. } => "--dir",
            Self::File { .. } => "--file",
            Self::Data { access: ReadWrite, .. } => "--bind-data",
            Self::Data { access: ReadOnly, .. } => "--ro-bind-data",
            Self::Symlink { .. } => "--symlink",
            Self::Tar { .. } => "--tar",
            Self::Chmod { .. } => "--chmod",
        }
    }

    /// The open file that it takes something from.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        match self {
            Self::File { fd, .. }
            | Self::Data { fd, .. }
            | Self::Tar { fd, .. }
            | Self::Bind { source: Source::Fd(fd), .. } => Some(*fd),
            _ => None,
        }
    }

    /// Whether it hides what was at its destination before.
    pub(crate) fn covers(&self) -> bool {
        matches!(
            self,
            Self::Bind { .. }
                | Self::Overlay { .. }
                | Self::Proc(_)
                | Self::ProcPid(_)
                | Self::Dev(_)
                | Self::Tmpfs { .. }
                | Self::Mqueue(_)
                | Self::Tar { .. }
        )
    }

    /// Whether `--follow-symlinks` is about its destination.
    pub(crate) const fn may_follow(&self) -> bool {
        matches!(
            self,
            Self::Bind { .. }
                | Self::Overlay { .. }
                | Self::Tmpfs { .. }
                | Self::Data { .. }
                | Self::Dir { .. }
                | Self::File { .. }
                | Self::Chmod { .. }
                | Self::RemountRo(_)
        )
    }

    /// Whether what it mounts is the sandbox's own: nobody else sees what is written there.
    pub(crate) const fn mounts_own(&self) -> bool {
        matches!(
            self,
            Self::Tmpfs { .. }
                | Self::Tar { .. }
                | Self::Dev(_)
                | Self::Data { .. }
                | Self::Overlay { upper: Upper::Tmp, .. }
        )
    }

    /// Whether it hides something.
    pub(crate) const fn is_mask(&self) -> bool {
        matches!(self, Self::Mask(_) | Self::MaskGlob(_))
    }

    /// Whether it is a bind on `/`, by its mere text.
    pub(crate) fn is_root_bind(&self) -> bool {
        matches!(self, Self::Bind { dest, .. } if is_nameless(dest.to_bytes()))
    }
}

/// Whether a path has no names in it: from `/`, it leads nowhere else.
pub(crate) fn is_nameless(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').all(|part| matches!(part, b"" | b"." | b".."))
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
