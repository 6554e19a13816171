//! How the sandbox shows itself to the monitor.

use std::os::fd::BorrowedFd;

use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use crate::config::{Config, Namespaces, Want};
use crate::error::{Context, Result};
use crate::links::Link;

/// The kinds of namespaces that the documents tell of, in their order.
pub(crate) fn told(wanted: Namespaces) -> impl Iterator<Item = &'static str> {
    let mut kinds: Vec<_> = wanted
        .each()
        .into_iter()
        .filter(|&(kind, _, want)| want != Want::No && kind != "user")
        .map(|(kind, ..)| kind)
        .collect();
    kinds.sort_unstable();
    kinds.into_iter()
}

/// The inode numbers of these namespaces, of the process that has this name in /proc.
pub(crate) fn namespaces(proc: BorrowedFd<'_>, name: &str, wanted: Namespaces) -> Result<Vec<u64>> {
    let look = |kind| {
        let path = format!("{name}/ns/{kind}");
        let stat = fstatat(proc, path.as_str(), AtFlags::empty());
        stat.map(|stat| stat.st_ino).context(format!("Can't stat namespace {kind}"))
    };
    told(wanted).map(look).collect()
}

/// Shows the monitor this process, by a byte to which the kernel adds the pid, and its namespaces
/// where they are told.
pub(crate) fn show(config: &Config, proc: BorrowedFd<'_>, socket: &Link) -> Result<()> {
    let mut message = vec![0];
    if config.tells() {
        let ids = namespaces(proc, "self", config.namespaces)?;
        message.extend(ids.into_iter().flat_map(u64::to_ne_bytes));
    }
    socket.send(&message).context("Can't show the pid")
}
