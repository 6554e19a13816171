//! A control group of a trial's own, where root may make one: of version 1 or 2, whatever is mounted.

use std::fs;
use std::path::PathBuf;

use crate::harness::Result;
use crate::stage::at;
use crate::waiting::until;

/// What a group is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Pids,
}

/// Whether there can be a group with this controller.
pub(crate) fn need_memory() -> Result<()> {
    parent(Controller::Memory).map(drop)
}

/// Whether there can be a group with this controller.
pub(crate) fn need_pids() -> Result<()> {
    parent(Controller::Pids).map(drop)
}

impl Controller {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }
}

/// The directory of the group that this process is in, and whether its version is 2.
fn parent(controller: Controller) -> Result<(PathBuf, bool)> {
    let name = controller.name();
    let mounts = at("mountinfo", fs::read_to_string("/proc/self/mountinfo"))?;
    let groups = at("cgroup", fs::read_to_string("/proc/self/cgroup"))?;
    for line in mounts.lines() {
        let Some((mount, super_block)) = line.split_once(" - ") else { continue };
        let fields = mount.split(' ').collect::<Vec<_>>();
        let ([_, _, _, root, point, ..], Some(kind)) = (fields.as_slice(), super_block.split(' ').next()) else { continue };
        let has_it = super_block.rsplit(' ').next().is_some_and(|options| options.split(',').any(|option| option == name));
        let version_2 = kind == "cgroup2";
        if !version_2 && (kind != "cgroup" || !has_it) {
            continue;
        }
        let of_this = |line: &&str| {
            let controllers = line.split(':').nth(1).unwrap_or_default();
            if version_2 { controllers.is_empty() } else { controllers.split(',').any(|c| c == name) }
        };
        let Some(path) = groups.lines().find(of_this).and_then(|line| line.splitn(3, ':').nth(2)) else { continue };
        let below = path.strip_prefix(root).unwrap_or(path).trim_start_matches('/');
        let directory = PathBuf::from(point).join(below);
        let offered = || fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
        if version_2 && !offered().split_whitespace().any(|word| word == name) {
            continue;
        }
        let probe = directory.join(format!("bleb-probe-{}-{name}", std::process::id()));
        if fs::create_dir(&probe).is_ok() {
            at("cgroup", fs::remove_dir(&probe))?;
            return Ok((directory, version_2));
        }
    }
    Err(format!("no control group with the controller {name} can be made here"))
}

/// A group, gone at the end.
pub(crate) struct Group {
    path: PathBuf,
    version_2: bool,
}

impl Group {
    pub(crate) fn make(controller: Controller) -> Result<Self> {
        let (directory, version_2) = parent(controller)?;
        let path = directory.join(format!("bleb-load-{}", std::process::id()));
        at("cgroup", fs::create_dir(&path))?;
        Ok(Self { path, version_2 })
    }

    /// Moves this process in.
    pub(crate) fn enter(&self) -> Result<()> {
        self.add(std::process::id())
    }

    /// Moves it out again.
    pub(crate) fn leave(&self) -> Result<()> {
        let parent = self.path.parent().ok_or("no parent")?;
        at("cgroup.procs", fs::write(parent.join("cgroup.procs"), std::process::id().to_string()))
    }

    /// Moves a process in.
    pub(crate) fn add(&self, pid: u32) -> Result<()> {
        at("cgroup.procs", fs::write(self.path.join("cgroup.procs"), pid.to_string()))
    }

    /// Limits the number of processes.
    pub(crate) fn limit_processes(&self, count: u32) -> Result<()> {
        at("pids.max", fs::write(self.path.join("pids.max"), count.to_string()))
    }

    /// Limits the memory.
    pub(crate) fn limit_memory(&self, bytes: u64) -> Result<()> {
        let name = if self.version_2 { "memory.max" } else { "memory.limit_in_bytes" };
        at(name, fs::write(self.path.join(name), bytes.to_string()))
    }

    /// The memory that the kernel uses for the group.
    pub(crate) fn kernel_memory(&self) -> Result<u64> {
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| format!("{text:?}: no number"));
        if !self.version_2 {
            let path = self.path.join("memory.kmem.usage_in_bytes");
            return number(&at("memory.kmem.usage_in_bytes", fs::read_to_string(path))?);
        }
        let stat = at("memory.stat", fs::read_to_string(self.path.join("memory.stat")))?;
        let names = ["slab_unreclaimable ", "kernel_stack ", "pagetables ", "percpu ", "sock "];
        let found = stat.lines().filter_map(|line| names.iter().find_map(|name| line.strip_prefix(name)));
        found.map(number).sum()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was moved out or has ended a moment ago may still be counted.
        _ = until("removing the group", || fs::remove_dir(&self.path).is_ok());
    }
}
