//! Whether COMMAND could rewrite a profile, and so the sandbox that it is run in the next time.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::stat;
use nix::unistd::{AccessFlags, access};

use crate::config::Config;
use crate::config::op::{Access, Op, Source, Upper, components};
use crate::error::{join, warn};
use crate::kernel::way::Way;

/// A file or directory, by device and inode.
type Identity = (u64, u64);

impl Config {
    /// Warns about profiles in places where COMMAND can write.
    pub(crate) fn warn_of_profiles(&self) {
        for profile in self.profiles.iter().filter(|name| !name.to_bytes().starts_with(b"@")) {
            let file = Path::new(std::ffi::OsStr::from_bytes(profile.to_bytes()));
            if std::fs::canonicalize(file).is_ok_and(|real| self.is_exposed(&real)) {
                let what = join("Profile", profile);
                let what = String::from_utf8_lossy(&what);
                warn(format_args!("{what} lies where COMMAND can write: put it elsewhere"));
            }
        }
    }

    /// Whether a file, or a directory on the way to it, is in a mount that can be written to.
    fn is_exposed(&self, real: &Path) -> bool {
        let ways: Vec<_> = real.ancestors().map(|path| (path, identity(path))).collect();
        self.ops.iter().enumerate().any(|(index, op)| {
            let Some((sources, dest)) = writable(op) else { return false };
            let of_source = |&(_, identity): &(&Path, Option<Identity>)| {
                identity.is_some()
                    && sources.iter().any(|source| self::identity(source) == identity)
            };
            let Some(depth) = ways.iter().position(of_source) else { return false };
            let below = ways.get(..=depth).unwrap_or_default();
            let names = below.iter().rev().skip(1).filter_map(|(path, _)| path.file_name());
            let inside: Vec<Vec<u8>> =
                dest.iter().cloned().chain(names.map(|name| name.as_bytes().to_vec())).collect();
            let later = self.ops.get(index + 1..).unwrap_or_default();
            let is_covered = later.iter().any(|later| protects(later, &inside, dest.len()));
            !is_covered && below.iter().any(|(path, _)| access(*path, AccessFlags::W_OK).is_ok())
        })
    }
}

/// The host's paths that an operation makes writable, and where they appear.
fn writable(op: &Op) -> Option<(Vec<PathBuf>, Vec<Vec<u8>>)> {
    let path = |path: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(path));
    let parts = |dest| components(dest).into_iter().map(<[u8]>::to_vec).collect();
    match op {
        Op::Bind { source: Source::Path(source), dest, access: Access::ReadWrite, .. } => {
            Some((vec![path(source.to_bytes())], parts(dest)))
        }
        Op::Bind { source: Source::Fd(fd), dest, access: Access::ReadWrite, .. } => {
            Some((vec![PathBuf::from(format!("/proc/self/fd/{fd}"))], parts(dest)))
        }
        Op::Same { path: source, access: Access::ReadWrite, .. } => {
            let end = Way::of(source).ok()?.end?;
            Some((vec![path(end.to_bytes())], parts(end)))
        }
        Op::Overlay { upper: Upper::Host { rwsrc, .. }, dest, .. } => {
            Some((vec![path(rwsrc.to_bytes())], parts(dest)))
        }
        _ => None,
    }
}

/// Whether a later operation keeps COMMAND from what an earlier one has shown. What it covers has to
/// be the mount itself or be directly in it: other directories can be moved, and others made.
fn protects(later: &Op, inside: &[Vec<u8>], mount: usize) -> bool {
    let parts = components(later.dest());
    let is_on_the_way = inside.len() >= parts.len()
        && parts.iter().zip(inside).all(|(part, name)| *part == name.as_slice());
    let makes_a_mount = match later {
        Op::Dir { .. } | Op::File { .. } | Op::Symlink { .. } | Op::Chmod { .. } => false,
        Op::RemountRo(_) => parts.len() >= mount,
        _ => true,
    };
    is_on_the_way && makes_a_mount && parts.len() <= mount + 1
}

/// Which file or directory a path leads to.
fn identity(path: &Path) -> Option<Identity> {
    stat(path).ok().map(|status| (status.st_dev, status.st_ino))
}
