//! The fds a case passes to `bwrap`, and the ends of them that stay with the runner.

use std::fs::OpenOptions;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;

use super::Result;

/// What is behind a number.
#[derive(Clone)]
pub(crate) enum Fd {
    /// A memfd with this content, at its start.
    Memfd(Vec<u8>),
    /// The read end of a pipe that carries this and then ends.
    Pipe(Vec<u8>),
    /// An unlinked regular file of the scratch directory's file system with this content, at its start.
    File(Vec<u8>),
    /// Opened by the runner, with these flags.
    Path(String, OFlag),
    /// The write end of a pipe; what is written is in the outcome.
    Capture,
    /// The read end of a pipe; `during` may write to it, and it ends after that.
    Held,
    /// The write end of a pipe that nobody reads.
    Broken,
}

/// What the runner does with its own end.
pub(crate) enum Near {
    Reads(OwnedFd),
    Writes(OwnedFd, Vec<u8>),
    Holds(OwnedFd),
}

impl Fd {
    pub(crate) fn memfd(content: impl Into<Vec<u8>>) -> Self {
        Self::Memfd(content.into())
    }

    pub(crate) fn pipe(content: impl Into<Vec<u8>>) -> Self {
        Self::Pipe(content.into())
    }

    /// A path opened for reading.
    pub(crate) fn path(path: &str) -> Self {
        Self::Path(path.to_owned(), OFlag::O_RDONLY)
    }

    /// A path opened with `O_PATH`.
    pub(crate) fn o_path(path: &str) -> Self {
        Self::Path(path.to_owned(), OFlag::O_PATH)
    }

    /// A list of arguments, as `--args` reads it.
    pub(crate) fn args(words: &[&str]) -> Self {
        Self::Memfd(words.iter().flat_map(|w| w.bytes().chain([0])).collect())
    }

    pub(crate) fn content(&self) -> Option<&[u8]> {
        match self {
            Self::Memfd(content) | Self::Pipe(content) | Self::File(content) => Some(content),
            _ => None,
        }
    }

    /// Opens it: the far end, and the near one if there is one.
    pub(crate) fn open(&self, dir: &Path, expand: impl Fn(&str) -> Vec<u8>) -> Result<(OwnedFd, Option<Near>)> {
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|e| format!("pipe: {e}"));
        Ok(match self {
            Self::Memfd(content) => {
                let fd = memfd_create(c"case", MFdFlags::MFD_CLOEXEC).map_err(|e| format!("memfd: {e}"))?;
                (filled(fd.into(), content)?, None)
            }
            Self::File(content) => {
                let path = dir.join(".file");
                let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
                let file = file.map_err(|e| format!("{}: {e}", path.display()))?;
                std::fs::remove_file(&path).map_err(|e| e.to_string())?;
                (filled(file, content)?, None)
            }
            Self::Path(path, flags) => {
                use std::os::unix::ffi::OsStringExt;
                let path = std::path::PathBuf::from(std::ffi::OsString::from_vec(expand(path)));
                let flags = *flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
                let fd = nix::fcntl::open(&path, flags, nix::sys::stat::Mode::empty());
                (fd.map_err(|e| format!("{}: {e}", path.display()))?, None)
            }
            Self::Pipe(content) => {
                let (read, write) = pipe()?;
                (read, Some(Near::Writes(write, content.clone())))
            }
            Self::Capture => {
                let (read, write) = pipe()?;
                (write, Some(Near::Reads(read)))
            }
            Self::Held => {
                let (read, write) = pipe()?;
                (read, Some(Near::Holds(write)))
            }
            Self::Broken => (pipe()?.1, None),
        })
    }
}

fn filled(mut file: std::fs::File, content: &[u8]) -> Result<OwnedFd> {
    file.write_all(content).and_then(|()| file.rewind()).map_err(|e| format!("filling a file: {e}"))?;
    Ok(file.into())
}
