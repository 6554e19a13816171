//! The process that a trial runs in: surroundings in which everything that is left behind shows.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid};

use crate::harness::report::say;
use crate::harness::{Identity, Result, apart};
use crate::random::Random;
use crate::waiting::until;

/// The namespaces around a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outer {
    /// A mount namespace; for an ordinary user that takes a user namespace too.
    Mounts,
    /// A user namespace for root as well, because the limits of that are the stage's own.
    User,
    /// Like the first one, but control groups can be reached.
    Groups,
}

/// Directories that anything can be left in. Here they are empty at first.
const FRESH: [&str; 5] = ["/tmp", "/var/tmp", "/run", "/dev/shm", CGROUPS];

const CGROUPS: &str = "/sys/fs/cgroup";

/// What must be the same at the end.
struct State {
    mounts: String,
    fds: BTreeSet<(PathBuf, PathBuf)>,
    files: BTreeSet<PathBuf>,
}

/// What a trial works with.
pub(crate) struct Stage {
    pub(crate) bwrap: PathBuf,
    pub(crate) own: PathBuf,
    pub(crate) long: bool,
    pub(crate) random: Random,
    outer: Outer,
    before: State,
}

/// One trial.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) identities: &'static [Identity],
    /// The namespaces around it.
    pub(crate) outer: Outer,
    pub(crate) needs: Option<fn() -> Result<()>>,
    pub(crate) play: fn(&mut Stage) -> Result<()>,
}

/// Plays one row; the status says whether it held.
pub(crate) fn run(rows: &[Row], words: &[String]) -> ExitCode {
    match play(rows, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn play(rows: &[Row], words: &[String]) -> Result<()> {
    let [name, bwrap, form, seed] = words else { return Err("--stage NAME BWRAP FORM SEED".to_owned()) };
    let row = rows.iter().find(|row| row.name == name).ok_or_else(|| format!("{name}: no such stage"))?;
    let mut stage = Stage::enter(row.outer, Path::new(bwrap))?;
    stage.long = form == "long";
    stage.random = Random::new(seed.parse().map_err(|_| format!("{seed}: no seed"))?);
    (row.play)(&mut stage)?;
    stage.unchanged()
}

/// Adds what was tried to an error.
pub(crate) fn at<T, E: std::fmt::Display>(what: &str, result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|e| format!("{what}: {e}"))
}

/// The words of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

impl Stage {
    fn enter(outer: Outer, bwrap: &Path) -> Result<Self> {
        at("reaper", set_child_subreaper(true))?;
        let content = at("bwrap", fs::read(bwrap))?;
        let own = at("own program", fs::read("/proc/self/exe"))?;
        apart::enter(outer == Outer::User || !Uid::effective().is_root())?;
        let reachable = |directory: &str| outer == Outer::Groups && directory == CGROUPS;
        for directory in FRESH.iter().filter(|directory| Path::new(directory).is_dir() && !reachable(directory)) {
            at(directory, mount(Some("fresh"), *directory, Some("tmpfs"), MsFlags::empty(), Some("mode=1777")))?;
        }
        let (bwrap_path, own_path) = (PathBuf::from("/var/tmp/bwrap"), PathBuf::from("/var/tmp/own"));
        for (path, content) in [(&bwrap_path, content), (&own_path, own)] {
            at("copy", fs::write(path, content))?;
            at("copy", fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)))?;
        }
        at("chdir", std::env::set_current_dir("/tmp"))?;
        let before = State::now(outer)?;
        Ok(Self { outer, bwrap: bwrap_path, own: own_path, long: false, random: Random::new(0), before })
    }

    /// A count: the first in the short form.
    pub(crate) fn count(&self, short: usize, long: usize) -> usize {
        if self.long { long } else { short }
    }

    /// `bwrap` with these options and nothing on stdin.
    pub(crate) fn bwrap<'a>(&self, options: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.bwrap);
        command.args(options).stdin(Stdio::null());
        command
    }

    /// The same under resource limits.
    pub(crate) fn bwrap_under<'a>(&self, limits: &str, options: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.own);
        command.args(["--under", limits]).arg(&self.bwrap).args(options).stdin(Stdio::null());
        command
    }

    /// Waits until no process is left of all that was started, zombies included: they are all below this one.
    #[expect(clippy::unused_self, reason = "reads like the other questions")]
    pub(crate) fn alone(&self) -> Result<()> {
        until("nothing left", || reap() == Left::Nobody).map_err(|error| format!("{error}: {}", survivors()))
    }

    /// Whether no process is left at this moment.
    #[expect(clippy::unused_self, reason = "reads like the other questions")]
    pub(crate) fn is_alone(&self) -> bool {
        reap() == Left::Nobody
    }

    /// What is to be the same from now on.
    pub(crate) fn look(&mut self) -> Result<()> {
        self.before = State::now(self.outer)?;
        Ok(())
    }

    /// The mounts that are new, and what fds and files have become if they are others. A mount may go without anybody's doing here: with
    /// its directory, which somebody else removes.
    pub(crate) fn changes(&self) -> Result<String> {
        let now = State::now(self.outer)?;
        let mut text = apart::new_lines(&self.before.mounts, &now.mounts).join("\n");
        for (same, now, before) in [
            (now.fds == self.before.fds, format!("{:#?}", now.fds), format!("{:#?}", self.before.fds)),
            (now.files == self.before.files, format!("{:#?}", now.files), format!("{:#?}", self.before.files)),
        ] {
            if !same {
                text.push_str(&now);
                text.push_str(", where before there were ");
                text.push_str(&before);
            }
        }
        Ok(text)
    }

    /// Nobody and nothing is left, and nothing has changed.
    pub(crate) fn unchanged(&self) -> Result<()> {
        self.alone()?;
        let changes = self.changes()?;
        if changes.is_empty() { Ok(()) } else { Err(format!("left behind: {changes}")) }
    }
}

impl State {
    fn now(outer: Outer) -> Result<Self> {
        let mut files = BTreeSet::new();
        for directory in FRESH.iter().filter(|directory| outer != Outer::Groups || **directory != CGROUPS) {
            list(Path::new(directory), &mut files);
        }
        let fds = at("/proc/self/fd", fs::read_dir("/proc/self/fd"))?;
        Ok(Self {
            mounts: at("mountinfo", fs::read_to_string("/proc/self/mountinfo"))?,
            fds: fds.flatten().map(|fd| (fd.path(), fs::read_link(fd.path()).unwrap_or_default())).collect(),
            files,
        })
    }
}

fn list(directory: &Path, files: &mut BTreeSet<PathBuf>) {
    for path in fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            list(&path, files);
        }
        files.insert(path);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Left {
    Nobody,
    Somebody,
}

/// Reaps everybody who has ended.
fn reap() -> Left {
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return Left::Nobody,
            Ok(WaitStatus::StillAlive) => return Left::Somebody,
            _ => {}
        }
    }
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    // Without this file, which a kernel may lack, one asks everybody who his parent is.
    if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
        return text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    }
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    all.filter(|child| parent(child) == Some(pid)).collect()
}

fn survivors() -> String {
    let of = |pid: u32| format!("{pid} {:?}", fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    children(std::process::id()).into_iter().map(of).collect::<Vec<_>>().join(", ")
}

/// It has to have succeeded and said exactly this.
pub(crate) fn succeeded(output: &Output, said: &str) -> Result<()> {
    if output.status.code() == Some(0) && output.stdout == said.as_bytes() && output.stderr.is_empty() {
        return Ok(());
    }
    Err(format!("should succeed: {}", describe(output)))
}

/// It has to have failed with one line that contains this, and COMMAND has said nothing.
pub(crate) fn failed(output: &Output, line: &str) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    let is_clear = text.starts_with("bwrap: ") && text.ends_with('\n') && text.lines().count() == 1;
    if output.status.code() == Some(1) && output.stdout.is_empty() && is_clear && text.contains(line) {
        return Ok(());
    }
    Err(format!("should fail with {line:?}: {}", describe(output)))
}

pub(crate) fn describe(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}, stdout {:?}, stderr {:?}", output.status, text(&output.stdout), text(&output.stderr))
}

/// A figure for whoever reads the long form's output.
pub(crate) fn figure(text: &str) {
    say(&format!("{text}\n"));
}
