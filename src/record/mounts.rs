//! Which option each path of the sandbox comes from, and what it is called on the host.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use nix::sys::stat::{SFlag, stat};

use crate::config::op::{Access, Devices, Extra, Op, Source, Upper};
use crate::error::Result;
use crate::kernel::files::file_type;
use crate::kernel::way::Way;

/// A path's names.
pub(crate) fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
}

/// Whether a canonical path is another one, or below it.
pub(crate) fn is_within(path: &[u8], dir: &[u8]) -> bool {
    rest_of(path, dir).is_some()
}

/// What is left of a canonical path behind a directory that it is below: nothing, or `/…`.
pub(crate) fn rest_of<'a>(path: &'a [u8], dir: &[u8]) -> Option<&'a [u8]> {
    if dir == b"/" {
        return Some(if path == b"/" { b"" } else { path });
    }
    // Most differ in that already, and comparing all the rest takes longer.
    let (head, rest) = path.split_at_checked(dir.len())?;
    ((rest.is_empty() || rest.starts_with(b"/")) && head == dir).then_some(rest)
}

/// The directory that a canonical path is in.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    if end == 0 { b"/" } else { path.get(..end).unwrap_or_default() }
}

/// All directories that a canonical path is in, the nearest first.
pub(crate) fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let above = |path: &[u8]| path != b"/";
    std::iter::successors(above(path).then(|| parent(path)), move |path| {
        above(path).then(|| parent(path))
    })
}

/// A directory and what is left behind it, put together.
pub(crate) fn beneath(dir: &[u8], rest: &[u8]) -> Vec<u8> {
    match (dir, rest) {
        (b"/", b"") => b"/".to_vec(),
        (b"/", rest) => rest.to_vec(),
        (dir, rest) => [dir, rest].concat(),
    }
}

/// A source on the host, before anything of the sandbox is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Without links.
    pub(crate) path: Vec<u8>,
    pub(crate) is_directory: bool,
    /// Its device and inode.
    pub(crate) id: (u64, u64),
}

impl Host {
    /// What a path of the host is.
    pub(crate) fn of(path: &[u8]) -> Option<Self> {
        let path = fs::canonicalize(OsStr::from_bytes(path)).ok()?;
        let status = stat(&path).ok()?;
        let kind = file_type(&status);
        let path = path.into_os_string().into_encoded_bytes();
        let id = (status.st_dev, status.st_ino);
        Some(Self { path, is_directory: kind == SFlag::S_IFDIR, id })
    }

    /// The source of an operation, if it is a path of the host's.
    pub(crate) fn source_of(op: &Op) -> Option<Self> {
        match op {
            Op::Bind { source: Source::Path(path), .. } => Self::of(path.to_bytes()),
            Op::Bind { source: Source::Fd(fd), .. } => {
                Self::of(format!("/proc/self/fd/{fd}").as_bytes())
            }
            Op::Same { path, .. } => {
                let end = Way::of(path).ok()?.end?;
                Self::of(end.to_bytes())
            }
            Op::Overlay { upper: Upper::Host { rwsrc, .. }, .. } => Self::of(rwsrc.to_bytes()),
            _ => None,
        }
    }
}

/// What lies at a place of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something of the host's that has a path.
    Host { source: Host, is_writable: bool, has_devices: bool },
    /// The tmpfs that `/` is where no option says something else.
    Base,
    /// A procfs.
    Proc,
    /// What `--dev` makes.
    Dev,
    /// What `--mask` hides.
    Mask,
    /// Anything else that an option makes: it is repeated as it is.
    Other,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Which operation it comes from.
    pub(crate) index: usize,
    /// Where it is in the sandbox, without links.
    pub(crate) dest: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) extra: Extra,
}

impl Mount {
    /// What a path below it is called on the host.
    pub(crate) fn on_host(&self, path: &[u8]) -> Option<Vec<u8>> {
        let Kind::Host { source, .. } = &self.kind else { return None };
        Some(beneath(&source.path, rest_of(path, &self.dest)?))
    }

    /// Whether it has the host's whole directory of this path, at its place.
    pub(crate) fn has_whole(&self, path: &[u8]) -> bool {
        self.on_host(path).as_deref() == Some(path)
    }

    /// Whether it is a bind that may be written to.
    pub(crate) const fn is_writable(&self) -> bool {
        matches!(self.kind, Kind::Host { is_writable: true, .. })
    }
}

/// All mounts, in the order of their operations.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    all: Vec<Mount>,
    /// Where the destination of each operation is, without links.
    places: Vec<Option<Vec<u8>>>,
    /// What COMMAND can write to on the host, other than by binds that have a path.
    changed: Vec<Host>,
}

impl Mounts {
    /// The mounts of these operations; `sources` has what each of them takes from the host, and
    /// `place` finds out where something is, and what keeps it from that ends this. `covers` is all
    /// that masks hide.
    pub(crate) fn new(
        ops: &[Op],
        sources: &[Option<Host>],
        covers: &[CString],
        mut place: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>>,
    ) -> Result<Self> {
        let extra = Extra::default();
        let base = Mount { index: 0, dest: b"/".to_vec(), kind: Kind::Base, extra };
        let (mut mounts, mut places, mut changed) = (vec![base], Vec::new(), Vec::new());
        let last_glob = ops.iter().rposition(|op| matches!(op, Op::MaskGlob(_)));
        for (index, op) in ops.iter().enumerate() {
            let source = sources.get(index).cloned().flatten();
            let dest = match op {
                Op::Same { .. } => source.clone().map(|host| host.path),
                other => place_of(other, &mut place)?,
            };
            places.push(dest.clone());
            if let Op::Bind { source: Source::Fd(_), access: Access::ReadWrite, .. }
            | Op::Overlay { .. } = op
            {
                changed.extend(source.clone());
            }
            if last_glob == Some(index) {
                let cover = |point: &CString| Mount {
                    index: index + 1,
                    dest: point.to_bytes().to_vec(),
                    kind: Kind::Mask,
                    extra,
                };
                mounts.extend(covers.iter().map(cover));
            }
            let kind = match op {
                Op::Bind { source: Source::Path(_), access, devices, .. } => {
                    host(source, *access, *devices)
                }
                Op::Same { access, .. } => host(source, *access, Devices::Refused),
                Op::Proc(_) => Some(Kind::Proc),
                Op::Dev(_) => Some(Kind::Dev),
                Op::Mask(_) => Some(Kind::Mask),
                Op::Bind { source: Source::Fd(_), .. }
                | Op::Tmpfs { .. }
                | Op::Overlay { .. }
                | Op::Mqueue(_)
                | Op::ProcPid(_)
                | Op::Tar { .. }
                | Op::Data { .. } => Some(Kind::Other),
                Op::RemountRo(_) => {
                    let last =
                        mounts.iter_mut().rev().find(|mount| Some(&mount.dest) == dest.as_ref());
                    if let Some(Mount { kind: Kind::Host { is_writable, .. }, .. }) = last {
                        *is_writable = false;
                    }
                    None
                }
                Op::MaskGlob(_)
                | Op::Dir { .. }
                | Op::File { .. }
                | Op::Symlink { .. }
                | Op::Chmod { .. } => None,
            };
            if let (Some(kind), Some(dest)) = (kind, dest) {
                let extra = match op {
                    Op::Bind { extra, .. } | Op::Same { extra, .. } => *extra,
                    _ => Extra::default(),
                };
                mounts.push(Mount { index: index + 1, dest, kind, extra });
            }
        }
        Ok(Self { all: mounts, places, changed })
    }

    /// Where the destination of an operation is, without links, if it is there.
    pub(crate) fn place(&self, index: usize) -> Option<&[u8]> {
        self.places.get(index)?.as_deref()
    }

    /// What COMMAND can write to on the host.
    pub(crate) fn writable(&self) -> impl Iterator<Item = &[u8]> {
        let bound = self.all.iter().filter_map(|mount| match &mount.kind {
            Kind::Host { source, is_writable: true, .. } => Some(source),
            _ => None,
        });
        bound.chain(&self.changed).map(|host| host.path.as_slice())
    }

    /// What a path of the sandbox is on: the last mount that is at it or above it.
    pub(crate) fn of(&self, path: &[u8]) -> Option<&Mount> {
        self.all.iter().rev().find(|mount| is_within(path, &mount.dest))
    }

    /// The same, masks aside: what one hides has to be there for it to hide.
    pub(crate) fn beneath_masks(&self, path: &[u8]) -> Option<&Mount> {
        let mut around = self.all.iter().rev().filter(|mount| is_within(path, &mount.dest));
        around.find(|mount| mount.kind != Kind::Mask)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Mount> {
        self.all.iter()
    }
}

/// Where the destination of an operation is. A link that it makes is meant itself.
fn place_of(
    op: &Op,
    place: &mut impl FnMut(&[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<Option<Vec<u8>>> {
    let dest = op.dest().to_bytes();
    match op {
        Op::MaskGlob(_) => Ok(None),
        Op::Symlink { .. } => {
            let mut way: Vec<_> = names(dest).collect();
            let Some(name) = way.pop() else { return Ok(None) };
            let dir = place(&[b"/", way.join(&b'/').as_slice()].concat())?;
            Ok(dir.map(|dir| beneath(&dir, &[b"/", name].concat())))
        }
        _ => place(dest),
    }
}

fn host(source: Option<Host>, access: Access, devices: Devices) -> Option<Kind> {
    let (is_writable, has_devices) = (access == Access::ReadWrite, devices == Devices::Allowed);
    source.map(|source| Kind::Host { source, is_writable, has_devices })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(rest_of(b"/a/b", b"/a"), Some(&b"/b"[..]));
        assert_eq!(rest_of(b"/a", b"/a"), Some(&b""[..]));
        assert_eq!(rest_of(b"/ab", b"/a"), None);
        assert_eq!(rest_of(b"/a", b"/"), Some(&b"/a"[..]));
        assert_eq!(rest_of(b"/", b"/"), Some(&b""[..]));
        assert_eq!(parent(b"/a/b"), b"/a");
        assert_eq!(parent(b"/a"), b"/");
        let all: Vec<&[u8]> = parents(b"/a/b/c").collect();
        assert_eq!(all, [&b"/a/b"[..], b"/a", b"/"]);
        assert_eq!(parents(b"/").count(), 0);
        assert_eq!(beneath(b"/", b"/x"), b"/x");
        assert_eq!(beneath(b"/", b""), b"/");
        assert_eq!(beneath(b"/a", b"/x"), b"/a/x");
        assert_eq!(names(b"/a//b").count(), 2);
    }

    #[test]
    fn later_mounts_cover_earlier_ones() {
        let ops = [
            Op::Bind {
                source: Source::Path(c"/usr"),
                dest: c"/a",
                access: Access::ReadWrite,
                devices: Devices::Refused,
                missing: crate::config::op::Missing::Fatal,
                extra: Extra::default(),
            },
            Op::Tmpfs { dest: c"/a/b", perms: 0o755, size: None, extra: Extra::default() },
            Op::RemountRo(c"/a"),
        ];
        let sources: Vec<_> = ops.iter().map(Host::source_of).collect();
        let mounts = Mounts::new(&ops, &sources, &[], |path| Ok(Some(path.to_vec())));
        let mounts = mounts.unwrap_or_default();
        let of = |path: &[u8]| mounts.of(path).map(|mount| mount.index);
        assert_eq!(
            [of(b"/"), of(b"/a/x"), of(b"/a/b/x"), of(b"/ab")],
            [Some(0), Some(1), Some(2), Some(0)]
        );
        let host = mounts.of(b"/a/x").and_then(|mount| mount.on_host(b"/a/x"));
        assert_eq!(host.as_deref(), Some(&b"/usr/x"[..]));
        assert_eq!(mounts.of(b"/a").map(Mount::is_writable), Some(false));
    }
}
