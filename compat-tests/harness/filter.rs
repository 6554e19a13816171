//! Seccomp filters that refuse some calls, to stand in for callers and containers that have such filters.

use std::collections::BTreeMap;

use seccompiler::{SeccompAction, SeccompFilter};

use super::Result;
use crate::sys::Instruction;

/// The numbers of the calls that cases refuse; all others have to be added here.
fn number(call: &str) -> Result<i64> {
    Ok(match call {
        "capset" => libc::SYS_capset,
        "clone" => libc::SYS_clone,
        "clone3" => libc::SYS_clone3,
        "close" => libc::SYS_close,
        "close_range" => libc::SYS_close_range,
        "fsconfig" => libc::SYS_fsconfig,
        "fsmount" => libc::SYS_fsmount,
        "fsopen" => libc::SYS_fsopen,
        "flock" => libc::SYS_flock,
        "ioctl" => libc::SYS_ioctl,
        "kill" => libc::SYS_kill,
        "landlock_create_ruleset" => libc::SYS_landlock_create_ruleset,
        "mount" => libc::SYS_mount,
        "mount_setattr" => libc::SYS_mount_setattr,
        "move_mount" => libc::SYS_move_mount,
        "openat2" => libc::SYS_openat2,
        "timer_create" => libc::SYS_timer_create,
        "timer_settime" => libc::SYS_timer_settime,
        "open_tree" => libc::SYS_open_tree,
        "pidfd_open" => libc::SYS_pidfd_open,
        "pivot_root" => libc::SYS_pivot_root,
        "prctl" => libc::SYS_prctl,
        "ppoll" => libc::SYS_ppoll,
        "reboot" => libc::SYS_reboot,
        "process_vm_readv" => libc::SYS_process_vm_readv,
        "recvfrom" => libc::SYS_recvfrom,
        "recvmsg" => libc::SYS_recvmsg,
        "rt_sigprocmask" => libc::SYS_rt_sigprocmask,
        "seccomp" => libc::SYS_seccomp,
        "sendmsg" => libc::SYS_sendmsg,
        "sendto" => libc::SYS_sendto,
        "sethostname" => libc::SYS_sethostname,
        "setns" => libc::SYS_setns,
        "socketpair" => libc::SYS_socketpair,
        "statx" => libc::SYS_statx,
        "unshare" => libc::SYS_unshare,
        other => return Err(format!("no number is known for the system call {other}")),
    })
}

/// A program that answers `errno` to these calls and allows all others.
pub(crate) fn refuse(calls: &[impl AsRef<str>], errno: i32) -> Result<Vec<Instruction>> {
    let mut rules = BTreeMap::new();
    for call in calls {
        rules.insert(number(call.as_ref())?, vec![]);
    }
    let architecture = std::env::consts::ARCH.try_into().map_err(|e| format!("seccomp: {e}"))?;
    let refused = SeccompAction::Errno(u32::try_from(errno).unwrap_or(0));
    let refused = if rules.is_empty() { SeccompAction::KillProcess } else { refused };
    SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)
        .and_then(TryInto::try_into)
        .map_err(|e| format!("seccomp: {e}"))
}

/// The bytes of such a program, for `--seccomp` and `--add-seccomp-fd`.
pub(crate) fn bytes(program: &[Instruction]) -> Vec<u8> {
    let mut bytes = vec![];
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    bytes
}
