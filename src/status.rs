//! The JSON documents of `--info-fd` and `--json-status-fd`. Programs read them byte by byte, so this is their exact form.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use nix::unistd::Pid;

use crate::config::{Namespaces, Want};
use crate::error::{Context, Result, errno};

/// The sandbox's process and namespaces, as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    pid: i32,
    /// The inode number of each new namespace.
    namespaces: Vec<(&'static str, u64)>,
}

impl Info {
    /// Looks the namespaces up.
    pub(crate) fn of(proc: BorrowedFd<'_>, pid: Pid, wanted: Namespaces) -> Result<Self> {
        let asked = [
            ("cgroup", wanted.cgroup != Want::No),
            ("ipc", wanted.ipc != Want::No),
            ("mnt", true),
            ("net", wanted.net != Want::No),
            ("pid", wanted.pid != Want::No),
            ("uts", wanted.uts != Want::No),
        ];
        let mut namespaces = Vec::new();
        for (name, _) in asked.into_iter().filter(|(_, new)| *new) {
            let path = format!("{pid}/ns/{name}");
            let stat = fstatat(proc, path.as_str(), AtFlags::empty()).context(format!("Can't stat namespace {name}"))?;
            namespaces.push((name, stat.st_ino));
        }
        Ok(Self { pid: pid.as_raw(), namespaces })
    }

    /// The document of `--info-fd`.
    fn document(&self) -> String {
        let members: String = self.namespaces.iter().map(|(name, id)| format!(",\n    \"{name}-namespace\": {id}")).collect();
        format!("{{\n    \"child-pid\": {}{members}\n}}\n", self.pid)
    }

    /// The first line of `--json-status-fd`.
    fn line(&self) -> String {
        let members: String = self.namespaces.iter().map(|(name, id)| format!(", \"{name}-namespace\": {id}")).collect();
        format!("{{ \"child-pid\": {}{members} }}\n", self.pid)
    }

    /// Writes the document of `--info-fd` and closes the fd, because readers wait for its end.
    pub(crate) fn write_document(&self, fd: OwnedFd) -> Result<()> {
        write(fd.as_fd(), &self.document())
    }

    /// Writes the first line of `--json-status-fd`, which stays open.
    pub(crate) fn write_line(&self, fd: BorrowedFd<'_>) -> Result<()> {
        write(fd, &self.line())
    }
}

/// Writes the last line of `--json-status-fd`.
pub(crate) fn write_exit_code(fd: BorrowedFd<'_>, code: i32) -> Result<()> {
    write(fd, &format!("{{ \"exit-code\": {code} }}\n"))
}

fn write(fd: BorrowedFd<'_>, text: &str) -> Result<()> {
    let what = "Write to info_fd";
    let mut file = File::from(fd.try_clone_to_owned().map_err(|error| errno(&error)).context(what)?);
    file.write_all(text.as_bytes()).map_err(|error| errno(&error)).context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_exact_form() {
        let info = Info { pid: 7, namespaces: vec![("mnt", 10), ("pid", 11)] };
        assert_eq!(info.document(), "{\n    \"child-pid\": 7,\n    \"mnt-namespace\": 10,\n    \"pid-namespace\": 11\n}\n");
        assert_eq!(info.line(), "{ \"child-pid\": 7, \"mnt-namespace\": 10, \"pid-namespace\": 11 }\n");
    }
}
