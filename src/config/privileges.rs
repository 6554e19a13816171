//! Who keeps what: the ids and capabilities that COMMAND has in the end. The plan, the launcher and the
//! set-up read the same.

use crate::config::{Config, Want};
use crate::confine::caps::{self, CapEdit};
use crate::host::Host;

/// The capabilities that COMMAND is to have.
pub(crate) fn requested_caps(config: &Config, host: &Host) -> u64 {
    let start = if host.caller.uid == 0 { host.caps } else { 0 };
    CapEdit::apply(&config.caps, start)
}

/// Whether COMMAND is in another user namespace than the caller.
pub(crate) fn has_own_userns(config: &Config) -> bool {
    config.namespaces.user == Want::Yes || config.fds.userns.is_some()
}

/// The capabilities that COMMAND gets: without a user namespace nobody can be given more than the caller has.
pub(crate) fn caps_of_command(config: &Config, host: &Host) -> u64 {
    requested_caps(config, host) & if has_own_userns(config) { u64::MAX } else { host.permitted }
}

/// Whether COMMAND may be able to change its root.
pub(crate) fn may_chroot(config: &Config, host: &Host) -> bool {
    let most = if config.caps.is_empty() { host.permitted } else { caps_of_command(config, host) };
    has_own_userns(config) || config.fds.userns2.is_some() || most & caps::SYS_CHROOT != 0
}

/// What is left of that once COMMAND is executed: who is not root in a user namespace keeps what was asked for by name, and nothing else.
/// Who one is in a namespace that others have made is not known before.
pub(crate) fn caps_after_exec(config: &Config, host: &Host) -> u64 {
    let joins_last = config.fds.userns2.is_some();
    let uid = config.uid.filter(|_| !joins_last);
    let is_root = host.caller.uid == 0 && uid.unwrap_or(if has_foreign_ids(config) { u32::MAX } else { host.caller.uid }) == 0;
    let is_hosts = !has_own_userns(config) && !joins_last;
    if is_root || is_hosts || !config.caps.is_empty() { caps_of_command(config, host) } else { 0 }
}

/// Whether somebody else decides which ids there are.
pub(crate) fn has_foreign_ids(config: &Config) -> bool {
    let fds = &config.fds;
    fds.userns.is_some() || fds.userns2.is_some() || fds.userns_block.is_some()
}
