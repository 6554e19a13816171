//! What hides something from COMMAND: an empty directory or file on top of it, for `--mask` and
//! `--mask-glob`.
//!
//! Both are of mode 0000 and lie on read-only mounts of their own, so nobody can read them without
//! CAP_DAC_OVERRIDE, and with it there is nothing to be read. Nothing changes below them: the host
//! sees no trace. They are made on the scratch tmpfs while there is a host; what is attached then is
//! always the spare one, and a copy of it becomes the next spare.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::stat::{Mode, SFlag, fstat, mkdirat, mknodat};

use crate::config::op::COVERS;
use crate::error::{Context, Error, Result, join};
use crate::kernel::mount::{self, Attributes, Depth, Explain, MountResult, Node};
use crate::sandbox::tree::{Scratch, Tree, with_attributes};

/// What both kinds of cover have in common.
const ATTRIBUTES: Attributes =
    Attributes::RDONLY.with(Attributes::NOSUID).with(Attributes::NODEV).with(Attributes::NOEXEC);

/// A cover that has not been used yet, and the file that all of its kind are.
#[derive(Debug)]
struct Cover {
    spare: MountResult<Tree>,
    file: (u64, u64),
}

/// The covers for directories and for everything else.
#[derive(Debug)]
pub(crate) struct Covers {
    directory: Cover,
    file: Cover,
}

impl Covers {
    /// Makes one of each kind.
    pub(crate) fn new(scratch: &Scratch) -> Result<Self> {
        let what = "Can't create the files that masks use";
        let [directory, file] = COVERS;
        mkdirat(&scratch.fd, directory, Mode::empty()).context(what)?;
        mknodat(&scratch.fd, file, SFlag::S_IFREG, Mode::empty(), 0).context(what)?;
        let cover = |name: &CStr| -> Result<Cover> {
            let fd = mount::clone_tree(scratch.fd.as_fd(), name, Depth::One).explain(|| what)?;
            let tree = with_attributes(fd, ATTRIBUTES, Depth::One, || what.into())?;
            let file = identity(tree.fd.as_fd()).context(what)?;
            Ok(Cover { spare: Ok(tree), file })
        };
        Ok(Self { directory: cover(directory)?, file: cover(file)? })
    }

    /// What was not used.
    pub(crate) fn finish(self) -> impl Iterator<Item = OwnedFd> {
        [self.directory, self.file]
            .into_iter()
            .filter_map(|cover| cover.spare.ok())
            .map(|tree| tree.fd)
    }

    /// Covers what an fd is. The result is what was attached; nothing if a cover was there already.
    pub(crate) fn hide(
        &mut self,
        found: BorrowedFd<'_>,
        path: &CStr,
        set_flags: impl FnOnce(&Tree) -> Result<()>,
    ) -> Result<Option<OwnedFd>> {
        let what = || join("Can't mask", path);
        let node = Node::of(found).at("Can't mask", path)?;
        let cover = match node {
            Node::Directory => &mut self.directory,
            Node::File => &mut self.file,
        };
        if identity(found).at("Can't mask", path)? == cover.file {
            return Ok(None);
        }
        let tree = match &cover.spare {
            Ok(tree) => tree,
            Err(failure) => return Err(failure.explain(what())),
        };
        mount::attach(tree.fd.as_fd(), found).explain(what)?;
        set_flags(tree)?;
        // Only an attached mount can be cloned, and if the host removes what it is attached to, it
        // is gone. So the next one is cloned now; a failure matters only if that is needed.
        let next = mount::clone_mount(tree.fd.as_fd());
        let next = next.map(|fd| Tree { fd, node, to_set: None });
        match std::mem::replace(&mut cover.spare, next) {
            Ok(used) => Ok(Some(used.fd)),
            Err(failure) => Err(failure.explain(what())),
        }
    }
}

/// Device and inode number.
fn identity(fd: BorrowedFd<'_>) -> crate::kernel::sys::SysResult<(u64, u64)> {
    fstat(fd).map(|status| (status.st_dev, status.st_ino))
}

/// The error for what is `/` itself: everything would be gone.
pub(crate) fn is_everything(path: &CStr) -> Error {
    Error::new([join("Can't mask", path), b": it is /".to_vec()].concat())
}

/// The error for what would be hidden from one process alone.
pub(crate) fn differs_by_process(path: &CStr) -> Error {
    let why = b": it leads through a link in a procfs, which is a different one in each process";
    Error::new([join("Can't mask", path), why.to_vec()].concat())
}
