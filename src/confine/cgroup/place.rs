//! Where the sandbox's control group could be, found out without changing anything.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::AT_FDCWD;
use nix::unistd::{Pid, getpid};

use crate::confine::cgroup::dir::Dir;
use crate::confine::cgroup::{Setting, own_path};
use crate::error::{Context, Error, Result, join};
use crate::host::Caller;
use crate::kernel::files::read_file;

/// The name of the group for ourselves.
pub(crate) const SUPERVISOR: &CStr = c"supervisor";

/// Where the leaf is going to be, found out without changing anything.
pub(crate) struct Place {
    /// The root of the hierarchy, as far as it is shown to us.
    root: Dir,
    /// Our own group.
    pub(crate) own: Dir,
    /// The group that the leaf is made in: our own, or the one above.
    pub(crate) base: Dir,
    /// Its path, for messages.
    pub(crate) path: CString,
    /// Whether our own group is a `supervisor` below it.
    pub(crate) seated: bool,
}

/// The command line that works, for whoever was started where nothing can be arranged.
fn advice(uid: u32) -> &'static [u8] {
    if uid == 0 {
        b"; use: systemd-run --scope -p Delegate=yes -- bwrap ..."
    } else {
        b"; use: systemd-run --user --scope -p Delegate=yes -- bwrap ..."
    }
}

/// An error about a group, with what to do instead.
pub(crate) fn unsuitable(before: &str, path: &CStr, after: &str, uid: u32) -> Error {
    Error::new([&join(before, path), after.as_bytes(), advice(uid)].concat())
}

/// An error about processes that would have to leave a group.
pub(crate) fn crowded(path: &CStr, uid: u32) -> Error {
    unsuitable("--cgroup: other processes run in the control group", path, "", uid)
}

/// Finds out whether there could be a group with these settings, and does nothing.
pub(crate) fn check(settings: &[Setting], proc: BorrowedFd<'_>, caller: Caller) -> Result<()> {
    Place::find(proc, caller.uid)?.check(settings)
}

/// A path from the root as one that is relative to its directory.
fn relative(path: &[u8]) -> Result<CString> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    CString::new(if path.is_empty() { b"." } else { path })
        .map_err(|_| Error::new("Can't understand /proc/self/cgroup"))
}

impl Place {
    #[cold]
    pub(crate) fn find(proc: BorrowedFd<'_>, uid: u32) -> Result<Self> {
        let open = |dir: &Dir, path: &CStr| {
            Dir::open(dir.as_fd(), path).at("Can't open the control group", path)
        };
        let root = Dir::open(AT_FDCWD, c"/sys/fs/cgroup")
            .context("--cgroup needs cgroup v2: Can't open /sys/fs/cgroup")?;
        if !root.is_version_2().context("Can't look at /sys/fs/cgroup")? {
            let what = "--cgroup needs cgroup v2, and /sys/fs/cgroup is cgroup v1 or hybrid here";
            return Err(Error::new(format!(
                "{what} (boot with systemd.unified_cgroup_hierarchy=1)"
            )));
        }
        let text =
            read_file(proc, c"self/cgroup", 64 << 10).context("Can't read /proc/self/cgroup")?;
        let path =
            own_path(&text).ok_or_else(|| Error::new("Can't understand /proc/self/cgroup"))?;
        let path =
            CString::new(path).map_err(|_| Error::new("Can't understand /proc/self/cgroup"))?;
        let own = open(&root, &relative(path.to_bytes())?)?;
        let processes =
            own.processes().at("Can't look for processes in the control group", &path)?;
        // Another part of the hierarchy may be mounted than the one that the path begins at.
        if !processes.contains(&getpid()) {
            return Err(unsuitable(
                "--cgroup: the control group",
                &path,
                " is not the one of this name in /sys/fs/cgroup",
                uid,
            ));
        }
        let above = path
            .to_bytes()
            .strip_suffix(SUPERVISOR.to_bytes())
            .and_then(|above| above.strip_suffix(b"/"));
        if let Some(above) = above {
            let base = open(&root, &relative(above)?)?;
            if base.is_delegated() {
                let path =
                    CString::new(if above.is_empty() { b"/" } else { above }).unwrap_or_default();
                return Self { root, own, base, path, seated: true }.without_others(&[], uid);
            }
        }
        if !own.is_delegated() {
            return Err(unsuitable(
                "--cgroup: the control group",
                &path,
                " is not delegated to this user",
                uid,
            ));
        }
        let base = own.child(c".").at("Can't open the control group", &path)?;
        Self { root, own, base, path, seated: false }.without_others(&[getpid()], uid)
    }

    /// Checks that nobody lives where the leaf is to be made who would have to move.
    fn without_others(self, known: &[Pid], uid: u32) -> Result<Self> {
        let processes = self
            .base
            .processes()
            .at("Can't look for processes in the control group", &self.path)?;
        if processes.iter().all(|pid| known.contains(pid)) {
            Ok(self)
        } else {
            Err(crowded(&self.path, uid))
        }
    }

    /// Checks that the controllers can be had.
    pub(crate) fn check(&self, settings: &[Setting]) -> Result<()> {
        let list = |dir: &Dir| {
            dir.words(c"cgroup.controllers").at("Can't read the controllers of", &self.path)
        };
        let (here, all) = (list(&self.base)?, list(&self.root)?);
        let missing = |setting: &&Setting| {
            setting.controller().is_some_and(|name| here.iter().all(|known| known != name))
        };
        let Some((key, name)) =
            settings.iter().find(missing).map(|setting| (setting.name(), setting.controller()))
        else {
            return Ok(());
        };
        let name = name.unwrap_or_default();
        if all.iter().any(|known| known == name) {
            let file = "/etc/systemd/system/user@.service.d/delegate.conf";
            return Err(Error::new(format!(
                "--cgroup {key}: the controller {name} is not delegated to this user; root can do so by the lines [Service] and \
                 Delegate=cpu cpuset io memory pids in {file}"
            )));
        }
        Err(Error::new(format!(
            "--cgroup {key}: this system has no controller {name} (it has: {})",
            all.join(" ")
        )))
    }
}
