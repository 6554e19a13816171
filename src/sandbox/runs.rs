//! Runs of binds, each of which takes the same two calls before the host is left and the same two
//! after that: the calls of a whole run are made in loops that do little else.
//!
//! From these loops no function returns between two calls, which would take time, see
//! `sys::direct`. Whatever is special about an operation ends the run, and is left to the code for a
//! single one.
#![expect(
    clippy::inline_always,
    reason = "no call of a run returns from a function, see `sys::direct`"
)]

use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::vec;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;

use crate::config::op::{Op, Source};
use crate::kernel::mount::{self, Attributes, Depth, Failure, Node};
use crate::sandbox::tree::{Mount, Step, Tree, bind_attributes};

/// The longest run: what is remembered about one takes memory, which PID 1 keeps.
const LONGEST: usize = 64;

/// What a look at the source of a bind has found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A directory, cloned, with the flags of the bind.
    Directory(OwnedFd),
    /// A directory, cloned, whose flags could not be set.
    Plain(OwnedFd, Failure),
    /// Something else, or nothing. Whatever failed is to be told by who asks without the slash.
    Other,
}

impl Found {
    /// Looks at one source.
    pub(crate) fn at(path: &CStr, attributes: Attributes) -> Self {
        Self::at_way(path, attributes, &mut Vec::new())
    }

    /// The same, with memory for the path. The slash at its end asks for a directory, and spares
    /// the look at what was cloned.
    #[inline(always)]
    fn at_way(path: &CStr, attributes: Attributes, way: &mut Vec<u8>) -> Self {
        way.clear();
        way.extend_from_slice(path.to_bytes());
        way.extend_from_slice(b"/\0");
        let Ok(way) = CStr::from_bytes_with_nul(way) else { return Self::Other };
        let Ok(fd) = mount::clone_tree(AT_FDCWD, way, Depth::Recursive) else {
            return Self::Other;
        };
        match mount::add_attributes(fd.as_fd(), attributes, Depth::Recursive) {
            Ok(()) => Self::Directory(fd),
            Err(failure) => Self::Plain(fd, failure),
        }
    }
}

/// What was found ahead of the operation at hand.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// The directories of a run.
    run: vec::IntoIter<OwnedFd>,
    /// What has ended the run, if that was a source.
    end: Option<Found>,
}

impl Ahead {
    /// What is at the source of the first of the operations that are left, if it is a bind. `room`
    /// is the fd at which fds run out.
    pub(crate) fn next(&mut self, left: &[Op], room: RawFd) -> Option<Found> {
        if self.run.as_slice().is_empty() && self.end.is_none() {
            self.look(left, room);
        }
        self.run.next().map(Found::Directory).or_else(|| self.end.take())
    }

    fn look(&mut self, left: &[Op], room: RawFd) {
        let (mut run, mut way) = (Vec::new(), Vec::new());
        for op in left.iter().take(LONGEST) {
            let Op::Bind { source: Source::Path(path), access, devices, extra, .. } = op else {
                break;
            };
            match Found::at_way(path, bind_attributes(*access, *devices, *extra), &mut way) {
                Found::Directory(fd) => {
                    let is_last = fd.as_raw_fd() >= room;
                    run.push(fd);
                    if is_last {
                        break;
                    }
                }
                other => {
                    self.end = Some(other);
                    break;
                }
            }
        }
        self.run = run.into_iter();
    }
}

/// What has failed in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refused {
    /// There is no place to mount on, and none can be made.
    Place(Errno),
    /// The mount.
    Mount(Failure),
}

/// Attaches the directories of the first steps, as long as all of them belong right into one
/// directory, which is open. The result is how many are attached, and what is wrong with the next
/// one, if it belongs to the run.
pub(crate) fn attach(
    steps: &[Option<Step>],
    parent: &[u8],
    dir: BorrowedFd<'_>,
) -> (usize, Option<Refused>) {
    let mut run = Vec::new();
    for step in steps.iter().take(LONGEST) {
        let Some(Step::Attach { mount: Mount::Open(tree), dest, .. }) = step else { break };
        let Tree { fd, node: Node::Directory, to_set: None } = tree else { break };
        let Some(name) = name_in(parent, dest) else { break };
        run.push((fd.as_fd(), name));
    }
    for (done, (fd, name)) in run.iter().enumerate() {
        if let Err(errno) = mount::make_point(dir, name, Node::Directory) {
            return (done, Some(Refused::Place(errno)));
        }
        if let Err(failure) = mount::attach_at(*fd, Some(dir), name) {
            return (done, Some(Refused::Mount(failure)));
        }
    }
    (run.len(), None)
}

/// The name of what is right in a directory, by their paths.
fn name_in<'a>(parent: &[u8], path: &'a CStr) -> Option<&'a CStr> {
    let rest = path.to_bytes_with_nul().strip_prefix(parent)?;
    let name = if parent == b"/" { rest } else { rest.strip_prefix(b"/")? };
    if name.contains(&b'/') || matches!(name, b"\0" | b".\0" | b"..\0") {
        return None;
    }
    CStr::from_bytes_with_nul(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_count() {
        for (parent, path, name) in [
            (&b"/"[..], c"/a", Some(c"a")),
            (b"/a", c"/a/b", Some(c"b")),
            (b"/a", c"/a/...", Some(c"...")),
            (b"/", c"a", None),
            (b"/", c"/", None),
            (b"/", c"//a", None),
            (b"/a", c"/a", None),
            (b"/a", c"/a/", None),
            (b"/a", c"/a/.", None),
            (b"/a", c"/a/..", None),
            (b"/a", c"/a//b", None),
            (b"/a", c"/a/b/", None),
            (b"/a", c"/ab", None),
            (b"/a", c"/b/c", None),
        ] {
            assert_eq!(name_in(parent, path), name, "{path:?} in {}", parent.escape_ascii());
        }
    }
}
