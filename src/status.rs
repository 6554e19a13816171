//! The JSON documents of `--info-fd` and `--json-status-fd`. Programs read them byte by byte, so this is their exact form.

use std::os::fd::BorrowedFd;

use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use nix::unistd::Pid;

use crate::config::{Namespaces, Want};
use crate::error::{Context, Result};
use crate::sys::{SysResult, uninterrupted};

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

    fn members(&self) -> Vec<String> {
        let namespaces = self.namespaces.iter().map(|(name, id)| format!("\"{name}-namespace\": {id}"));
        [format!("\"child-pid\": {}", self.pid)].into_iter().chain(namespaces).collect()
    }

    /// The document of `--info-fd`.
    fn document(&self) -> String {
        format!("{{\n    {}\n}}\n", self.members().join(",\n    "))
    }

    /// The first line of `--json-status-fd`.
    fn line(&self) -> String {
        format!("{{ {} }}\n", self.members().join(", "))
    }

    /// Writes the document of `--info-fd`. Readers wait for the end of the file.
    pub(crate) fn write_document(&self, fd: BorrowedFd<'_>) -> Result<()> {
        write(fd, &self.document())
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
    write_all(fd, text.as_bytes()).context("Write to info_fd")
}

/// Writes everything, in as many calls as it takes.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut text: &[u8]) -> SysResult<()> {
    while !text.is_empty() {
        let count = uninterrupted(|| nix::unistd::write(fd, text))?;
        text = text.get(count..).unwrap_or_default();
    }
    Ok(())
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
