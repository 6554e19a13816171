//! Capability sets: what `--cap-add` and `--cap-drop` say, and how the sets of COMMAND come about,
//! see capabilities(7).

use std::ffi::CStr;
use std::str::FromStr;

use ::caps::Capability;
use libc::{PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP};
use nix::errno::Errno;
use nix::sys::prctl;

use crate::error::{Context, Error, Result};
use crate::kernel::sys;
use crate::word::{self, c_number};

/// What makes mounts, and takes them away.
pub(crate) const SYS_ADMIN: u64 = 1 << Capability::CAP_SYS_ADMIN as u8;

/// CAP_DAC_READ_SEARCH
pub(crate) const DAC_READ_SEARCH: u64 = 1 << Capability::CAP_DAC_READ_SEARCH as u8;

/// CAP_SYS_CHROOT
pub(crate) const SYS_CHROOT: u64 = 1 << Capability::CAP_SYS_CHROOT as u8;

/// What configures a network.
pub(crate) const NET_ADMIN: u64 = 1 << Capability::CAP_NET_ADMIN as u8;

/// What maps the ID 0, from Linux 5.12 on.
pub(crate) const SETFCAP: u64 = 1 << Capability::CAP_SETFCAP as u8;

/// What raises hard limits.
pub(crate) const SYS_RESOURCE: u64 = 1 << Capability::CAP_SYS_RESOURCE as u8;

/// What root needs to change files that others own.
pub(crate) const DAC_OVERRIDE: u64 = 1 << Capability::CAP_DAC_OVERRIDE as u8;

/// What PID 1 keeps, permitted and not effective. The kernel lets nobody look into a process who
/// has less than it: neither at the environment that `--clearenv` has cleared for COMMAND, nor at
/// its fds, nor at its executable, a file of the host's. Outside of the initial user namespace this
/// capability allows nothing.
const GUARD: u64 = 1 << Capability::CAP_WAKE_ALARM as u8;

/// One `--cap-add` or `--cap-drop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CapEdit {
    /// These bits on.
    Add(u64),
    /// These bits off.
    Drop(u64),
}

impl CapEdit {
    /// `--cap-add`
    pub(crate) fn add(name: &CStr) -> Result<Self> {
        bits(name).map(Self::Add)
    }

    /// `--cap-drop`
    pub(crate) fn drop(name: &CStr) -> Result<Self> {
        bits(name).map(Self::Drop)
    }

    /// All edits in order, on top of a set.
    pub(crate) fn apply(edits: &[Self], start: u64) -> u64 {
        edits.iter().fold(start, |set, edit| match edit {
            Self::Add(bits) => set | bits,
            Self::Drop(bits) => set & !bits,
        })
    }
}

/// The bits of a capability's name in any case, of its number, or of `ALL`.
fn bits(name: &CStr) -> Result<u64> {
    let unknown = || {
        Error::about("unknown cap:", name).hinted(|_| {
            let (all, asked) = (names(u64::MAX), name.to_bytes().to_ascii_uppercase());
            let known = || all.iter().map(String::as_str);
            let short = known().find(|name| name.as_bytes().strip_prefix(b"CAP_") == Some(&asked));
            let meant = short.or_else(|| word::nearest(&asked, known()))?;
            Some(format!("did you mean {meant}?"))
        })
    };
    let text = name.to_str().map_err(|_| unknown())?;
    if text.eq_ignore_ascii_case("ALL") {
        return Ok(u64::MAX);
    }
    let by_number = || {
        c_number(name).and_then(|number| u8::try_from(number).ok()).filter(|&number| number < 64)
    };
    let number = Capability::from_str(&text.to_ascii_uppercase())
        .map(|capability| capability.index())
        .ok()
        .or_else(by_number);
    number.map(|number| 1 << number).ok_or_else(unknown)
}

/// The names of a set's capabilities, in their order.
pub(crate) fn names(set: u64) -> Vec<String> {
    let mut all: Vec<Capability> = ::caps::all()
        .into_iter()
        .filter(|capability| set & (1 << capability.index()) != 0)
        .collect();
    all.sort_unstable_by_key(Capability::index);
    all.iter().map(ToString::to_string).collect()
}

/// Drops everything outside `keep` from the bounding set, so that no program can give it back.
pub(crate) fn limit_bounding_set(keep: u64) -> Result<()> {
    for number in 0..64 {
        if keep & (1 << number) != 0 {
            continue;
        }
        match sys::prctl(PR_CAPBSET_DROP, number, 0) {
            Ok(_) => {}
            // Numbers beyond the kernel's last capability are EINVAL.
            Err(Errno::EINVAL) => break,
            other => {
                other.context(format!("Dropping capability {number} from bounds"))?;
            }
        }
    }
    Ok(())
}

/// Makes permitted, effective, inheritable and ambient the same set, so that COMMAND has it
/// whatever file it executes. What is more than that is permitted only, and does not outlast an
/// exec.
pub(crate) fn become_set(set: u64, more: u64) -> Result<()> {
    sys::capset(set, more).context("capset failed")?;
    for number in 0..64 {
        if set & (1 << number) == 0 {
            continue;
        }
        match sys::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE.cast_unsigned().into(), number) {
            // EINVAL: the kernel does not know it. EPERM: it is not permitted, which capset has
            // settled.
            Ok(_) | Err(Errno::EINVAL | Errno::EPERM) => {}
            other => {
                other.context("Adding ambient capability")?;
            }
        }
    }
    Ok(())
}

/// Does something that changes ids, and has the same capabilities afterwards.
pub(crate) fn keeping(change: impl FnOnce() -> Result<()>) -> Result<()> {
    let (effective, _) = sys::capget().context("capget failed")?;
    prctl::set_keepcaps(true).context("prctl(PR_SET_KEEPCAPS) failed")?;
    change()?;
    sys::raise(effective).context("capset failed")?;
    prctl::set_keepcaps(false).context("prctl(PR_SET_KEEPCAPS) failed")
}

/// The capabilities of COMMAND, and what PID 1 has beyond them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// COMMAND's.
    pub(crate) wanted: u64,
    /// PID 1's.
    pub(crate) guard: u64,
}

impl Caps {
    /// Comes down to what COMMAND has.
    pub(crate) fn drop_guard(self) -> Result<()> {
        if self.guard == 0 { Ok(()) } else { become_set(self.wanted, 0) }
    }
}

/// The part of [`GUARD`] that this process can keep beyond what COMMAND has.
pub(crate) fn guard(command: u64) -> Result<u64> {
    let (_, permitted) = sys::capget().context("capget failed")?;
    Ok(GUARD & permitted & !command)
}

/// Gives up every capability but what is to stay permitted. Root without CAP_SETPCAP may be refused
/// that, and then keeps what it was given.
pub(crate) fn drop_all_but(keep: u64, root: bool) -> Result<()> {
    become_only(0, keep, root)
}

/// The same for a monitor that passes signals on: COMMAND may have become somebody else, whom the
/// host's root may signal all the same.
pub(crate) fn drop_all_but_signals(keep: u64, root: bool) -> Result<()> {
    let (_, permitted) = sys::capget().context("capget failed")?;
    let kill = permitted & (1 << Capability::CAP_KILL as u8);
    become_only(kill, keep | kill, root)
}

fn become_only(effective: u64, permitted: u64, root: bool) -> Result<()> {
    match sys::set_capabilities(effective, permitted, 0) {
        Err(Errno::EPERM) if root => Ok(()),
        other => other.context("capset failed"),
    }
}
