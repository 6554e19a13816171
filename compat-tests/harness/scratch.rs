//! The scratch directory of one run: what a case puts into it beforehand, and what is found in it afterwards.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Result;
use super::expand::expand;
use crate::sys;
use crate::text::text;

/// What a set-up may use.
pub(crate) struct Setup {
    pub(crate) dir: PathBuf,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The ids the identity is taken by, if the runner has others.
    pub(crate) takes: Option<(u32, u32)>,
    pub(crate) fds: Vec<(RawFd, OwnedFd)>,
    pub(crate) values: Vec<(String, Vec<u8>)>,
    kept_by_root: Vec<PathBuf>,
    held: Vec<Box<dyn Any>>,
}

/// Adds the path to an error.
fn at<T, E: std::fmt::Display>(path: &Path, result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|e| format!("{}: {e}", path.display()))
}

impl Setup {
    pub(crate) fn new(dir: PathBuf, owner: (u32, u32), takes: Option<(u32, u32)>) -> Self {
        let (uid, gid) = owner;
        Self { dir, uid, gid, takes, fds: vec![], values: vec![], kept_by_root: vec![], held: vec![] }
    }

    /// A path in the scratch directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn dir(&mut self, name: &str) -> Result<()> {
        at(&self.path(name), fs::create_dir_all(self.path(name)))
    }

    pub(crate) fn file(&mut self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            at(parent, fs::create_dir_all(parent))?;
        }
        at(&path, fs::write(&path, content))
    }

    pub(crate) fn symlink(&mut self, target: &str, name: &str) -> Result<()> {
        let target = self.expand(target.as_ref());
        at(&self.path(name), symlink(std::ffi::OsStr::from_bytes(&target), self.path(name)))
    }

    /// Copies the program of this name. A process of its own does that: a child that another trial starts meanwhile would keep the file
    /// open for writing, and nobody could execute it.
    pub(crate) fn copy_program(&self, program: &str, to: &str) -> Result<PathBuf> {
        let from = self.values.iter().find(|(name, _)| name == program).map(|(_, path)| std::ffi::OsStr::from_bytes(path));
        let to = self.path(to);
        let status = Command::new("cp").arg(from.unwrap_or_default()).arg(&to).status();
        if status.is_ok_and(|status| status.success()) { Ok(to) } else { Err(format!("copying {program} failed")) }
    }

    pub(crate) fn mode(&mut self, name: &str, mode: u32) -> Result<()> {
        at(&self.path(name), fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)))
    }

    /// Leaves a file to root when all others are given to the identity.
    pub(crate) fn keep_for_root(&mut self, name: &str) {
        let path = self.path(name);
        self.kept_by_root.push(path);
    }

    /// Puts in the values of placeholders.
    pub(crate) fn expand(&self, text: &std::ffi::OsStr) -> Vec<u8> {
        expand(text, &self.values)
    }

    /// Passes an fd to `bwrap` at this number.
    pub(crate) fn pass(&mut self, number: RawFd, fd: impl Into<OwnedFd>) {
        self.fds.push((number, fd.into()));
    }

    /// Lets `{name}` stand for a value in all words of this case.
    pub(crate) fn define(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.values.push((name.to_owned(), value.as_ref().to_vec()));
    }

    /// Keeps something until the run is over.
    pub(crate) fn hold(&mut self, thing: impl Any) {
        self.held.push(Box::new(thing));
    }

    /// Namespaces of the identity, `libc::CLONE_NEW…`, kept by an idle process as long as the result lives.
    ///
    /// The maps are lines of `uid_map` and `gid_map`; an empty one is not written.
    pub(crate) fn namespaces(&self, flags: i32, uid_map: &str, gid_map: &str) -> Result<Namespaces> {
        let (pid, ready) = sys::idle_in(flags, self.takes).map_err(|e| format!("namespaces: {e}"))?;
        let mut namespaces = Namespaces { pid, first: -1 };
        match sys::read_news(&ready) {
            Some(sys::News::Started(first)) => namespaces.first = first,
            _ => return Err("namespaces: refused".to_owned()),
        }
        let write = |name: &str, text: &str| {
            let path = PathBuf::from(format!("/proc/{pid}/{name}"));
            // One write, as the kernel wants it.
            at(&path, fs::OpenOptions::new().write(true).open(&path).and_then(|mut f| f.write_all(text.as_bytes())))
        };
        if !uid_map.is_empty() {
            write("uid_map", uid_map)?;
        }
        if !gid_map.is_empty() {
            write("setgroups", "deny")?;
            write("gid_map", gid_map)?;
        }
        Ok(namespaces)
    }

    /// Gives everything to the identity.
    pub(crate) fn give(&self) -> Result<()> {
        give(&self.dir, self)
    }
}

fn give(path: &Path, setup: &Setup) -> Result<()> {
    if setup.kept_by_root.iter().any(|kept| kept == path) {
        return Ok(());
    }
    if at(path, fs::symlink_metadata(path))?.is_dir() {
        for entry in at(path, fs::read_dir(path))?.flatten() {
            give(&entry.path(), setup)?;
        }
    }
    // A mode with set-id bits would be lost by the change of owner.
    let mode = at(path, fs::symlink_metadata(path))?.mode() & 0o7777;
    at(path, lchown(path, Some(setup.uid), Some(setup.gid)))?;
    if mode & 0o6000 != 0 {
        at(path, fs::set_permissions(path, fs::Permissions::from_mode(mode)))?;
    }
    Ok(())
}

/// An idle process in namespaces of its own.
pub(crate) struct Namespaces {
    pub(crate) pid: i32,
    /// PID 1 of its pid namespace, if it has one. It asks to die with the other, which may be gone before it has asked.
    first: i32,
}

impl Namespaces {
    /// Opens one of them: `user`, `pid_for_children`, `net`, …
    pub(crate) fn open(&self, name: &str) -> Result<OwnedFd> {
        let path = PathBuf::from(format!("/proc/{}/ns/{name}", self.pid));
        at(&path, fs::File::open(&path)).map(OwnedFd::from)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        if self.first > 0 {
            _ = kill(Pid::from_raw(self.first), Signal::SIGKILL);
        }
        sys::end(self.pid);
    }
}

/// Everything below a directory: its path, and type, mode, owner and content in one line.
pub(crate) fn tree(dir: &Path, uid: u32) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    list(dir, dir, uid, &mut found);
    found
}

fn list(top: &Path, dir: &Path, uid: u32, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = text(path.strip_prefix(top).unwrap_or(&path).as_os_str().as_bytes());
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        found.insert(name, describe(&path, &meta, uid));
        if meta.is_dir() {
            list(top, &path, uid, found);
        }
    }
}

fn describe(path: &Path, meta: &fs::Metadata, uid: u32) -> String {
    let owner = if meta.uid() == uid { "own".to_owned() } else { format!("of {}", meta.uid()) };
    let mode = format!("{:o} {owner}", meta.mode() & 0o7777);
    let kind = meta.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        format!("symlink to {}", text(target.as_os_str().as_bytes()))
    } else if kind.is_dir() {
        format!("directory {mode}")
    } else if kind.is_file() {
        let content = fs::read(path).unwrap_or_default();
        if content.len() > 200 {
            format!("file {mode} {} bytes, sum {:x}", content.len(), sum(&content))
        } else {
            format!("file {mode} {:?}", text(&content))
        }
    } else if kind.is_fifo() {
        format!("fifo {mode}")
    } else if kind.is_socket() {
        format!("socket {mode}")
    } else {
        format!("device {mode} {:x}", meta.rdev())
    }
}

/// FNV-1a, enough to tell two contents apart.
fn sum(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
