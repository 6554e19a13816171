//! `--netns`: joining a network namespace that is there already.
//!
//! That takes CAP_SYS_ADMIN over it, which the user namespace of the sandbox's own never gives. Root
//! has it; an ordinary user has it in the user namespace that owns the network namespace, if that
//! is the user's. So that one is joined first, and the sandbox's own is made below it.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Gid, Uid};

use crate::config::Want;
use crate::config::settle::Settled;
use crate::error::{Context, Error, Result};
use crate::fds::Inherited;
use crate::kernel::sys;
use crate::launch::clone::join_user_namespace;

const FAILURE: &str = "Joining the specified network namespace failed";

/// Joins the user namespace of `--userns` and the network namespace of `--netns`, as far as they
/// are given.
pub(crate) fn join_namespaces(config: &mut Settled, fds: &mut Inherited) -> Result<()> {
    let of_network = |error: Error| error.of("--netns");
    let mut network = fds.take_optional(config.fds.netns).context(FAILURE).map_err(of_network)?;
    // Try with the caller's own privileges, while this process still has them.
    if let Some(fd) = &network {
        check_kind(fd).map_err(of_network)?;
        match join(fd) {
            Err(Errno::EPERM) => {}
            other => {
                other.context(FAILURE).map_err(of_network)?;
                network = None;
            }
        }
    }
    if let Some(userns) = config.fds.userns {
        join_user_namespace(fds, userns).map_err(|error| error.of("--userns"))?;
        return network
            .map_or(Ok(()), |fd| join(&fd).context(FAILURE))
            .map_err(|error| of_network(error.with_hint(Some(WHOSE.to_owned()))));
    }
    network.map_or(Ok(()), |fd| join_owner(config, &fd)).map_err(of_network)
}

/// Who may join.
const WHOSE: &str = "only root, and who has made the user namespace that the network namespace belongs to, may join it; with --userns it \
                     has to be that user namespace";

/// Whether it is a network namespace at all.
fn check_kind(fd: &OwnedFd) -> Result<()> {
    let other = |errno| Error::os(format!("{FAILURE}: it is not a network namespace"), errno);
    match sys::kind_of_namespace(fd.as_fd()) {
        Ok(libc::CLONE_NEWNET) => Ok(()),
        Ok(_) => Err(other(Errno::EINVAL)),
        // No namespace refuses to tell. What a pidfd says is another errno on Linux 6.12.
        Err(errno) => Err(other(errno)),
    }
}

fn join(network: &OwnedFd) -> sys::SysResult<()> {
    setns(network, CloneFlags::CLONE_NEWNET)
}

/// Joins the owner of the network namespace, and that.
fn join_owner(config: &mut Settled, network: &OwnedFd) -> Result<()> {
    let refused = |errno| Error::os(FAILURE, errno).with_hint(Some(WHOSE.to_owned()));
    if config.namespaces.user != Want::Yes {
        return Err(refused(Errno::EPERM));
    }
    if config.has_ranges() {
        return Err(Error::new(
            "--uid-map and --gid-map need a network namespace that root can join",
        ));
    }
    let owner = sys::owner_of_namespace(network.as_fd()).map_err(refused)?;
    // EINVAL means that this process is already in that user namespace, without privileges there.
    let foreign = |errno| refused(if errno == Errno::EINVAL { Errno::EPERM } else { errno });
    setns(owner, CloneFlags::CLONE_NEWUSER).map_err(foreign)?;
    join(network).map_err(refused)?;
    let ids = (Uid::current().as_raw(), Gid::current().as_raw());
    let caller = config.host.caller;
    // 65534 is how the kernel shows an id that is not mapped.
    let overflow = |id, own| id == 65534 && own != 65534;
    if overflow(ids.0, caller.uid) || overflow(ids.1, caller.gid) {
        return Err(Error::new(format!(
            "{FAILURE}: the user namespace that it belongs to does not map the caller's user and group id"
        )));
    }
    config.around = Some(ids);
    Ok(())
}
