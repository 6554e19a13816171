//! The sandbox's control group: a leaf that is made before the sandbox's first process is, which
//! begins its life in it, and that goes when the sandbox has ended, see cgroups(7).
//!
//! The kernel allows no processes in a group whose controllers are handed on to groups below, so we
//! cannot stay where we are: we move into a group `supervisor`, and the leaf `bwrap-PID` is made
//! beside it. Who already is in a `supervisor`, because its parent is one of us or a launcher has
//! put it there, only makes the leaf; that is how several sandboxes live side by side.
//!
//! Two locks tell what others are doing. Each monitor has its leaf's: one that can be had is a dead
//! monitor's, and the leaf is removed by whoever comes next. And each has `supervisor`'s, shared:
//! who gets that for itself alone may put things back as they were.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use libc::c_int;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpid, write};

use crate::confine::caps;
use crate::confine::cgroup::dir::{Dir, PROCS, SUBTREE};
use crate::confine::cgroup::place::{Place, SUPERVISOR, crowded, unsuitable};
use crate::confine::cgroup::{Setting, controllers};
use crate::error::{Context, Error, Result, describe, join, warn};
use crate::host::Caller;
use crate::kernel::sys::{self, End, SysResult};

/// How the names of leaves begin.
const LEAF: &str = "bwrap-";

/// How long killed processes may take to end before their group is left behind.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sandbox's group and what it stands on. The end of the monitor's one is the end of the group.
#[derive(Debug)]
pub(crate) struct Leaf {
    base: Dir,
    supervisor: Dir,
    /// The leaf, locked.
    group: Option<(CString, Dir)>,
    /// If it is us who have moved into `supervisor`, what we have enabled for that.
    moved: Option<Vec<&'static str>>,
    /// Where the sandbox's first process moves itself, if it is not born in the leaf.
    entrance: Option<OwnedFd>,
    /// What the monitor needs to remove the leaf: something only for root in somebody else's group.
    caps: u64,
    /// Whether it is this process that removes it.
    ours: bool,
}

/// Tries again for a second what others are in the way of for a moment.
fn patiently<T>(transient: &[Errno], mut attempt: impl FnMut() -> SysResult<T>) -> SysResult<T> {
    let mut result = attempt();
    for _ in 0..100 {
        if !result.as_ref().is_err_and(|errno| transient.contains(errno)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        result = attempt();
    }
    result
}

impl Leaf {
    /// Makes the group with its limits, if there are to be any.
    /// `leaves` says whether the monitor moves to another user namespace.
    pub(crate) fn make(
        settings: &[Setting],
        proc: BorrowedFd<'_>,
        caller: Caller,
        leaves: bool,
    ) -> Result<Option<Self>> {
        if settings.is_empty() {
            return Ok(None);
        }
        let place = Place::find(proc, caller.uid)?;
        place.check(settings)?;
        let path = place.path.clone();
        let owner = place.base.owner().at("Can't look at the control group", &path)?;
        let caps = if caller.uid == 0 && owner != 0 { caps::DAC_OVERRIDE } else { 0 };
        if caps != 0 && leaves {
            // From another user namespace, root could not remove the leaf again.
            return Err(unsuitable(
                "--cgroup: the control group",
                &path,
                " is not root's",
                caller.uid,
            ));
        }
        let mut leaf = Self::sit(place, caps)?;
        leaf.sweep();
        leaf.enable(settings).map_err(|errno| match errno {
            Errno::EBUSY => crowded(&path, caller.uid),
            other => Error::os(join("Can't enable the controllers of --cgroup in", &path), other),
        })?;
        leaf.add().at("Can't create a control group in", &path)?;
        leaf.limit(settings)?;
        Ok(Some(leaf))
    }

    /// Moves into `supervisor`, unless we are in one, and keeps that from going away.
    #[cold]
    fn sit(place: Place, caps: u64) -> Result<Self> {
        let Place { own, base, path, seated, .. } = place;
        let failed = "Can't use the control group supervisor in";
        let taken = [Errno::EWOULDBLOCK, Errno::ENOENT];
        let supervisor = if seated {
            patiently(&taken, || own.lock(false)).at(failed, &path)?;
            own
        } else {
            let occupy = || {
                match base.make(SUPERVISOR) {
                    Err(Errno::EEXIST) | Ok(()) => {}
                    Err(other) => return Err(other),
                }
                let supervisor = base.child(SUPERVISOR)?;
                supervisor.lock(false)?;
                // Another monitor that left may have removed it in between.
                if supervisor.is_there() { Ok(supervisor) } else { Err(Errno::ENOENT) }
            };
            patiently(&taken, occupy)
                .inspect_err(|_| _ = base.remove_if_empty(SUPERVISOR))
                .at(failed, &path)?
        };
        let moved = (!seated).then(Vec::new);
        let leaf = Self { base, supervisor, group: None, moved, entrance: None, caps, ours: true };
        if leaf.moved.is_some() {
            // Controllers that are still enabled were left by a monitor that was killed: while they
            // are, no process can be moved into this group.
            let left =
                leaf.base.words(SUBTREE).at("Can't read the enabled controllers of", &path)?;
            leaf.switch('-', &left).at("Can't disable the controllers in", &path)?;
            leaf.supervisor
                .write(PROCS, b"0")
                .at("Can't move into the control group supervisor in", &path)?;
        }
        Ok(leaf)
    }

    /// Has the groups below get the controllers that they need: all with one write, because that is
    /// done in full or not at all.
    fn enable(&mut self, settings: &[Setting]) -> SysResult<()> {
        let there = self.base.words(SUBTREE)?;
        let mut needed = controllers(settings);
        needed.retain(|&name| there.iter().all(|enabled| enabled != name));
        patiently(&[Errno::EBUSY], || self.switch('+', &needed))?;
        if let Some(enabled) = &mut self.moved {
            *enabled = needed;
        }
        Ok(())
    }

    /// Enables (`+`) or disables (`-`) controllers for the groups below, all or none of them.
    fn switch(&self, sign: char, controllers: &[impl AsRef<str>]) -> SysResult<()> {
        if controllers.is_empty() {
            return Ok(());
        }
        let words: Vec<_> =
            controllers.iter().map(|name| format!("{sign}{}", name.as_ref())).collect();
        self.base.write(SUBTREE, words.join(" ").as_bytes())
    }

    /// Removes the leaves of monitors that were killed, with all that still lives in them. What
    /// cannot be removed is left alone.
    fn sweep(&self) {
        let names = self.base.children().unwrap_or_default();
        for name in names.iter().filter(|name| name.to_bytes().starts_with(LEAF.as_bytes())) {
            // The lock is held until the leaf is removed, so that only one process does it.
            if let Ok(leaf) = self.base.child(name)
                && leaf.lock(true).is_ok()
            {
                _ = self.base.remove(name, Duration::from_secs(1));
            }
        }
    }

    /// Makes the leaf and takes its lock. Somebody who sweeps may have been faster, and a monitor
    /// in another pid namespace may have the same pid; then it is another name.
    fn add(&mut self) -> SysResult<()> {
        let pid = getpid();
        for attempt in 0..100 {
            let name = if attempt == 0 {
                format!("{LEAF}{pid}")
            } else {
                format!("{LEAF}{pid}.{attempt}")
            };
            let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
            match self.base.make(&name) {
                Err(Errno::EEXIST) => continue,
                other => other?,
            }
            let locked = self.base.child(&name).and_then(|leaf| {
                leaf.lock(true)?;
                if leaf.is_there() { Ok(leaf) } else { Err(Errno::ENOENT) }
            });
            match locked {
                Ok(leaf) => {
                    self.group = Some((name, leaf));
                    return Ok(());
                }
                Err(Errno::ENOENT | Errno::EWOULDBLOCK) => {}
                Err(other) => {
                    _ = self.base.remove_if_empty(&name);
                    return Err(other);
                }
            }
        }
        Err(Errno::EEXIST)
    }

    /// The leaf itself.
    fn dir(&self) -> SysResult<&Dir> {
        self.group.as_ref().map(|(_, dir)| dir).ok_or(Errno::ENOENT)
    }

    /// Writes the limits, in order.
    fn limit(&self, settings: &[Setting]) -> Result<()> {
        for setting in settings {
            let key = setting.name();
            match self.dir().and_then(|dir| dir.write(setting.key, setting.value.to_bytes())) {
                Ok(()) => {}
                Err(Errno::ENOENT) => {
                    let kernel = sys::kernel_release();
                    return Err(Error::new(format!(
                        "--cgroup {key}: this kernel, {kernel}, has no such file"
                    )));
                }
                Err(other) => {
                    return Err(Error::os(
                        join(
                            &format!("--cgroup {key}: the kernel refuses the value"),
                            setting.value,
                        ),
                        other,
                    ));
                }
            }
        }
        Ok(())
    }

    /// Makes the sandbox's first process, in the leaf from its first moment on. `None` in the
    /// child.
    ///
    /// Where the kernel or a filter does not have that, or the first process only leads into
    /// another pid namespace, where it would be counted for as long as it is not reaped, it is made
    /// outside and moves itself, see [`join_group`].
    pub(crate) fn clone_process(
        &mut self,
        namespaces: c_int,
        leads: bool,
    ) -> SysResult<Option<Pid>> {
        if !leads {
            match sys::clone_into_cgroup(namespaces, self.dir()?.as_fd()) {
                Err(Errno::ENOSYS | Errno::EPERM | Errno::E2BIG | Errno::EINVAL) => {}
                other => return other,
            }
        }
        let procs = openat(self.dir()?, PROCS, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        self.entrance = Some(procs);
        sys::clone_process(namespaces, End::Ours)
    }

    /// In the sandbox: leaves the group to the monitor, and keeps only the way into it if it is
    /// needed.
    pub(crate) fn hand_over(mut self) -> Option<OwnedFd> {
        self.ours = false;
        self.entrance.take()
    }

    /// What has to stay open for as long as the sandbox lives.
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let leaf = self.group.as_ref().map(|(_, dir)| dir);
        [&self.base, &self.supervisor].into_iter().chain(leaf).map(AsFd::as_fd).collect()
    }

    /// The capability that the monitor has to keep.
    pub(crate) const fn caps(&self) -> u64 {
        self.caps
    }

    /// Puts things back as they were, if we have changed them and nobody else relies on that.
    fn go_back(&self, enabled: &[&str]) -> SysResult<()> {
        self.supervisor.lock(true)?;
        let alone = self.supervisor.processes()?.iter().all(|&pid| pid == getpid());
        if !alone || self.base.children()?.iter().any(|name| name.as_c_str() != SUPERVISOR) {
            return Ok(());
        }
        self.switch('-', enabled)?;
        self.base.write(PROCS, b"0")?;
        self.base.remove_if_empty(SUPERVISOR)
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        if self.caps != 0 {
            _ = sys::capset(self.caps, 0);
        }
        if let Some((name, _)) = &self.group
            && let Err(errno) = self.base.remove(name, PATIENCE)
        {
            warn(format_args!(
                "Can't remove the control group {}: {}",
                name.to_string_lossy(),
                describe(errno)
            ));
            return;
        }
        if let Some(enabled) = self.moved.take() {
            _ = self.go_back(&enabled);
        }
    }
}

/// The sandbox's first process: moves into its group, if it was not born there, and makes that the
/// root of what it sees of groups. A cgroup namespace that the clone had made would have the
/// monitor's group as its root.
pub(crate) fn join_group(entrance: Option<OwnedFd>, is_root: bool) -> Result<()> {
    if let Some(procs) = entrance {
        sys::uninterrupted(|| write(&procs, b"0")).context("Can't move into the control group")?;
    }
    if is_root {
        unshare(CloneFlags::CLONE_NEWCGROUP).context("Creating new namespace failed")?;
    }
    Ok(())
}
