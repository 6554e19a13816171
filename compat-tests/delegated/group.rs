//! A delegated control group, and the shells that run in it.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::identity::Side;
use crate::harness::{Identity, Lab, Result, places};

const ROOT: &str = "/sys/fs/cgroup";

/// How long anything may take that has to come true.
const PATIENCE: Duration = Duration::from_secs(20);

/// A group and a directory that both belong to the ordinary user.
pub(super) struct Group {
    /// Its directory.
    pub(super) path: PathBuf,
    /// The scratch directory, in which the shells start.
    pub(super) work: PathBuf,
    /// The group around it, if it is not the root.
    around: Option<PathBuf>,
    uid: u32,
    gid: u32,
    bwrap: PathBuf,
    patience: u32,
}

/// What a shell has left: its status, or 128 and a signal; both streams without the last newline.
pub(super) struct Ended {
    pub(super) status: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned();
        let status = output.status.code().or_else(|| output.status.signal().map(|s| 128 + s));
        Self { status: status.unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Ended {
    /// Status 0 and this on stdout.
    pub(super) fn prints(self, wanted: &str) -> Result<()> {
        self.ends(0, wanted)
    }

    /// This status and this on stdout.
    pub(super) fn ends(self, status: i32, wanted: &str) -> Result<()> {
        if self.status == status && self.out == wanted {
            return Ok(());
        }
        let Self { status: found, out, err } = self;
        Err(format!("expected status {status} and {wanted:?}, found {found} and {out:?}; stderr: {err}"))
    }

    /// Status 1 and one line on stderr: this one, or with a `*` one that begins and ends so.
    pub(super) fn says(self, line: &str) -> Result<()> {
        let (start, end) = line.split_once('*').unwrap_or((line, ""));
        let exact = line.contains('*') || self.err == line;
        let fits = exact && self.err.starts_with(start) && self.err.ends_with(end) && !self.err.contains('\n');
        if self.status == 1 && fits && self.out.is_empty() {
            return Ok(());
        }
        Err(format!("expected status 1 and {line:?}, found {} and {:?} {:?}", self.status, self.err, self.out))
    }
}

/// An error unless both are the same.
pub(super) fn same(what: &str, found: &str, wanted: &str) -> Result<()> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: expected {wanted:?}, found {found:?}")) }
}

impl Group {
    /// Makes both and gives them to the user. A part of the controllers takes a group around it.
    pub(super) fn delegate(lab: &Lab, name: &str, controllers: &str) -> Result<Self> {
        let (uid, gid) = lab.owner(Identity::User);
        let work = places::make("/tmp/b")?;
        chown(&work, Some(uid), Some(gid)).map_err(|e| format!("{}: {e}", work.display()))?;
        let own = Path::new(ROOT).join(format!("bleb-{name}-{}", std::process::id()));
        let all = fs::read_to_string(format!("{ROOT}/cgroup.subtree_control")).unwrap_or_default();
        let part = !all.split_whitespace().filter(|c| ["cpu", "memory", "pids"].contains(c)).all(|c| controllers.contains(c));
        let (path, around) = if part { (own.join("part"), Some(own)) } else { (own, None) };
        let group = Self { path, work, around, uid, gid, bwrap: lab.executable(Side::Ours), patience: lab.patience };
        group.make(controllers).inspect_err(|_| _ = group.undelegate())?;
        Ok(group)
    }

    fn make(&self, controllers: &str) -> Result<()> {
        let failed = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        if let Some(around) = &self.around {
            fs::create_dir(around).map_err(|e| failed(around, e))?;
            let control = around.join("cgroup.subtree_control");
            fs::write(&control, format!("+{controllers}")).map_err(|e| failed(&control, e))?;
        }
        fs::create_dir(&self.path).and_then(|()| self.give(&self.path)).map_err(|e| failed(&self.path, e))
    }

    /// Gives a group to the user, as a delegation does.
    fn give(&self, group: &Path) -> std::io::Result<()> {
        let files = ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];
        files.iter().try_for_each(|file| chown(group.join(file), Some(self.uid), Some(self.gid)))
    }

    /// Removes both. What still lives in the group is killed and told.
    pub(super) fn undelegate(&self) -> Result<()> {
        let left = self.processes();
        for pid in &left {
            _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        let gone = self.until("the group is empty", || self.processes().is_empty());
        for group in self.below().iter().rev() {
            _ = fs::remove_dir(group);
        }
        _ = fs::remove_dir(&self.path);
        if let Some(around) = &self.around {
            _ = fs::remove_dir(around);
        }
        places::remove(&self.work);
        if left.is_empty() { gone } else { Err(format!("left behind: {left:?}")) }
    }

    /// As the kernel calls it in /proc/PID/cgroup.
    pub(super) fn name(&self) -> String {
        self.path.strip_prefix(ROOT).map_or_else(|_| String::new(), |name| format!("/{}", name.display()))
    }

    /// bwrap with what all sandboxes here have.
    pub(super) fn sandbox(&self) -> String {
        format!("{} --ro-bind / / --dev /dev --proc /proc", self.bwrap.display())
    }

    /// A shell of root's outside of all groups, with `$B` for the sandbox.
    pub(super) fn as_root(&self, script: &str) -> Ended {
        ended(self.shell(None, false, script))
    }

    /// One of the user's that is outside, too.
    pub(super) fn as_user(&self, script: &str) -> Ended {
        ended(self.shell(None, true, script))
    }

    /// One of root's that is alone in the group.
    pub(super) fn alone_as_root(&self, script: &str) -> Ended {
        ended(self.shell(Some(&self.path), false, script))
    }

    /// One of the user's that is alone in the group, and is to be replaced.
    pub(super) fn alone(&self, script: &str) -> Ended {
        ended(self.shell(Some(&self.path), true, script))
    }

    /// One of the user's that has put itself into `supervisor`.
    pub(super) fn launch(&self, script: &str) -> Ended {
        ended(self.supervised(script))
    }

    /// The same, without waiting for it.
    pub(super) fn launching(&self, script: &str) -> Result<Child> {
        started(self.supervised(script))
    }

    /// Like [`Self::alone`], without waiting for it.
    pub(super) fn starting_alone(&self, script: &str) -> Result<Child> {
        started(self.shell(Some(&self.path), true, script))
    }

    /// Starts a program of the user's outside of all groups.
    pub(super) fn starting_outside(&self, script: &str) -> Result<Child> {
        started(self.shell(None, true, script))
    }

    fn supervised(&self, script: &str) -> Command {
        let supervisor = self.path.join("supervisor");
        if fs::create_dir(&supervisor).is_ok() {
            _ = self.give(&supervisor);
        }
        self.shell(Some(&supervisor), true, script)
    }

    fn shell(&self, group: Option<&Path>, user: bool, script: &str) -> Command {
        let enter = group.map_or_else(String::new, |group| format!("echo $$ > {}/cgroup.procs && ", group.display()));
        let (uid, gid) = (self.uid, self.gid);
        let become_user = format!("setpriv --reuid={uid} --regid={gid} --clear-groups --inh-caps=-all --");
        let outer = format!("{enter}exec {} bash -c \"$1\"", if user { become_user } else { String::new() });
        let mut command = Command::new("bash");
        command.args(["-c", &outer, "bash", script]).current_dir(&self.work).env("B", self.sandbox());
        command.env("work", &self.work).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The groups below, the outer ones first.
    fn below(&self) -> Vec<PathBuf> {
        let mut found = vec![self.path.clone()];
        let mut next = 0;
        while let Some(group) = found.get(next).cloned() {
            let entries = fs::read_dir(group).into_iter().flatten().flatten();
            found.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
            next += 1;
        }
        found.split_off(1)
    }

    /// The names of the groups below, in order, with blanks between them.
    pub(super) fn groups(&self) -> String {
        let below = self.below();
        let mut names: Vec<_> =
            below.iter().filter_map(|p| p.strip_prefix(&self.path).ok()).map(|p| p.display().to_string()).collect();
        names.sort();
        names.join(" ")
    }

    /// The group of a sandbox whose launcher has another one.
    pub(super) fn of_sandbox(&self) -> Option<PathBuf> {
        self.below().into_iter().find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("bwrap-")))
    }

    /// All processes in the group and below it.
    pub(super) fn processes(&self) -> Vec<i32> {
        let groups = [self.path.clone()].into_iter().chain(self.below());
        groups.flat_map(|group| processes_in(&group)).collect()
    }

    /// Whether a program of this name runs in the group or below it.
    pub(super) fn runs(&self, program: &str) -> bool {
        let name = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        self.processes().iter().any(|pid| name(pid).trim_end() == program)
    }

    /// Only the launcher's group is left below.
    pub(super) fn only_supervisor(&self) -> Result<()> {
        same("groups", &self.groups(), "supervisor")
    }

    /// The group is as it was given.
    pub(super) fn nothing_left(&self) -> Result<()> {
        same("groups", &self.groups(), "")?;
        same("controllers", &self.controllers(), "")
    }

    /// What is given to the groups below.
    pub(super) fn controllers(&self) -> String {
        let text = fs::read_to_string(self.path.join("cgroup.subtree_control"));
        text.unwrap_or_default().trim_end().to_owned()
    }

    /// Waits until it is true.
    pub(super) fn until(&self, what: &str, mut is_true: impl FnMut() -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE * self.patience;
        while !is_true() {
            if Instant::now() > end {
                return Err(format!("never true: {what}; groups: {}", self.groups()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Runs a shell to its end.
fn ended(mut shell: Command) -> Ended {
    let failed = |e| Ended { status: -1, out: String::new(), err: format!("bash: {e}") };
    shell.output().map_or_else(failed, Ended::from)
}

/// Starts a shell.
fn started(mut shell: Command) -> Result<Child> {
    shell.spawn().map_err(|e| format!("bash: {e}"))
}

/// The processes in one group.
pub(super) fn processes_in(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}
