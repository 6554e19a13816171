//! What COMMAND may do: the capabilities that it has in the end.

use crate::config::{Config, Want};
use crate::confine::caps::{self, CapEdit};
use crate::host::Host;

/// COMMAND's capabilities, and what they are good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Privileges {
    /// Whether it is in another user namespace than the caller when the mounts are created.
    pub(crate) own_userns: bool,
    /// What it is granted. Without a user namespace that cannot exceed what the caller has.
    pub(crate) given: u64,
    /// What is left of that once it is executed: who is not root in a user namespace keeps what was
    /// asked for by name, and nothing else. Who one is in a namespace that others have made is not
    /// known before.
    pub(crate) after_exec: u64,
    /// Whether it may be able to call chroot(2).
    pub(crate) may_chroot: bool,
}

impl Privileges {
    pub(crate) fn of(config: &Config, host: &Host) -> Self {
        let joins_last = config.fds.userns2.is_some();
        let own_userns = config.namespaces.user == Want::Yes || config.fds.userns.is_some();
        let start = if host.caller.uid == 0 { host.caps } else { 0 };
        let most = if own_userns { u64::MAX } else { host.permitted };
        let given = CapEdit::apply(&config.caps, start) & most;

        let own_id = (!config.has_foreign_ids()).then_some(host.caller.uid);
        let uid = config.uid.filter(|_| !joins_last).or(own_id);
        let is_root = host.caller.uid == 0 && uid == Some(0);
        let is_hosts = !own_userns && !joins_last;
        let keeps = is_root || is_hosts || !config.caps.is_empty();

        let most = if config.caps.is_empty() { host.permitted } else { given };
        let may_chroot = own_userns || joins_last || most & caps::SYS_CHROOT != 0;
        Self { own_userns, given, after_exec: if keeps { given } else { 0 }, may_chroot }
    }
}
