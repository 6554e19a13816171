//! A new procfs: what steers the kernel there is read-only to COMMAND.

use std::ffi::CStr;
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

use crate::config::op::{Access, Devices, Extra};
use crate::error::{Context as _, Result, join};
use crate::kernel::mount::{self, Depth, Explain as _};
use crate::sandbox::build::Builder;
use crate::sandbox::root::Inside;
use crate::sandbox::tree::{self, Mount};

/// The parts of procfs that steer the kernel.
const STEERING: [&CStr; 4] = [c"sys", c"sysrq-trigger", c"irq", c"bus"];

/// One of the files in there, all of which are the host's root's.
const ONE_FILE: &CStr = c"sys/kernel/core_pattern";

/// Where devices, file systems and debugging have files by which the host's root steers them
/// without any capability. Which of these there are depends on the kernel and its modules.
const STEERING_DRIVERS: [&CStr; 6] =
    [c"acpi", c"asound", c"driver", c"dynamic_debug", c"fs", c"scsi"];

impl Builder<'_> {
    /// Binds a part of a procfs onto itself, read-only.
    fn cover(&mut self, dir: Inside<'_>, name: &CStr, dest: &CStr) -> Result<()> {
        let attributes =
            tree::bind_attributes(Access::ReadOnly, Devices::Refused, Extra::default());
        let what = || join(&format!("Can't mount proc/{} on", name.to_string_lossy()), dest);
        let copy = mount::clone_tree(dir.as_fd(), name, Depth::Recursive).explain(what)?;
        let copy = tree::with_attributes(copy, attributes, Depth::Recursive, what)?;
        dir.attach(copy.fd.as_fd(), name).explain(what)?;
        self.set_flags(&copy, Depth::Recursive, dest)?;
        self.keep(copy.fd);
        Ok(())
    }

    /// A procfs whose steering parts are read-only wherever we could write to them, which is where
    /// COMMAND could.
    pub(crate) fn procfs(&mut self, dest: &CStr, mount: Mount) -> Result<()> {
        let tree = self.open(mount)?;
        let proc = self.root.attach_around(tree.fd.as_fd(), dest, tree.node)?;
        self.set_flags(&tree, Depth::Recursive, dest)?;
        let may_write = |name| faccessat(proc.as_fd(), name, AccessFlags::W_OK, AtFlags::empty());
        // Nobody may write to some directories there, such as those in /proc/sys, but the files in
        // them belong to the host's root, whatever its capabilities and its user namespace. One
        // such file stands for all. Kernels without core dumps do not have it.
        let owns_files = self.bare_root
            && match may_write(ONE_FILE) {
                Ok(()) | Err(Errno::ENOENT) => true,
                Err(Errno::EACCES | Errno::EROFS) => false,
                other => other.map(|()| false).at("Can't access", ONE_FILE)?,
            };
        let drivers: &[&CStr] = if owns_files { &STEERING_DRIVERS } else { &[] };
        for &name in STEERING.iter().chain(drivers) {
            match may_write(name) {
                Err(Errno::ENOENT | Errno::EROFS) => {}
                Err(Errno::EACCES) if !owns_files => {}
                Ok(()) | Err(Errno::EACCES) => self.cover(proc, name, dest)?,
                other => other.at("Can't access", name)?,
            }
        }
        self.keep(tree.fd);
        Ok(())
    }

    /// A procfs of processes alone, in which nothing steers the kernel.
    ///
    /// But whoever has a user and a pid namespace and sees a procfs with nothing on top of it may
    /// mount a whole one, and this one counts. The host's root may write to what steers the kernel
    /// there, without any capability. So it sees one with something on top: the same as what that
    /// covers, and of no use but to who is privileged on the host.
    pub(crate) fn processes(&mut self, dest: &CStr, mount: Mount) -> Result<()> {
        let tree = self.open(mount)?;
        let proc = self.root.attach_around(tree.fd.as_fd(), dest, tree.node)?;
        self.set_flags(&tree, Depth::Recursive, dest)?;
        let may_write = || faccessat(self.proc, ONE_FILE, AccessFlags::W_OK, AtFlags::empty());
        if self.bare_root && may_write() != Err(Errno::EACCES) {
            self.cover(proc, c"1/map_files", dest)?;
        }
        self.keep(tree.fd);
        Ok(())
    }
}
