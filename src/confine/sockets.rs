//! What filters of sockets are made of, see [`crate::confine::tcp`], [`crate::confine::udp`] and
//! [`crate::confine::families`]: calls that are refused if conditions hold.
//!
//! They know the calls of this architecture only. Those of x32 fail with ENOSYS and those of 32-bit
//! programs kill the process, as under every filter that [`crate::confine::seccomp::bpf`] makes: by
//! socketcall(2) they would be free to do all that is refused here.

use libc::{c_int, c_long};
use seccompiler::{BackendError, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};

use crate::confine::seccomp::Filter;
use crate::confine::seccomp::bpf::{self, Rule, Rules};
use crate::confine::seccomp::program::Program;
use crate::error::{Context, Error, Result};

/// The bits of a socket's type that are no flags (`SOCK_TYPE_MASK`).
const TYPE: u32 = 0xf;

/// The error of conditions, which does not occur for ours.
pub(crate) type Checked<T> = std::result::Result<T, BackendError>;

/// A condition; an error if there is no such argument.
pub(crate) type Condition = Checked<SeccompCondition>;

/// Conditions that must all hold.
pub(crate) type Conditions = Checked<Vec<SeccompCondition>>;

/// What is refused, and with which errno.
#[derive(Default)]
pub(crate) struct Refusals(Rules);

/// Families whose sockets carry nothing of another family's protocols.
pub(crate) const PLAIN_FAMILIES: [c_int; 4] =
    [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

impl Refusals {
    /// Refuses a call if conditions hold.
    pub(crate) fn add(
        &mut self,
        call: c_long,
        errno: c_int,
        conditions: Conditions,
    ) -> Checked<()> {
        let Ok(number) = u32::try_from(call) else { return Ok(()) };
        let rule = Rule::new(conditions?, SeccompAction::Errno(errno.unsigned_abs()))?;
        self.0.entry(number).or_default().push(rule);
        Ok(())
    }

    /// Refuses sockets of all but these families, as where the kernel lacks the others.
    pub(crate) fn add_other_families(&mut self, families: &[c_int]) -> Checked<()> {
        let others = families.iter().map(|&family| is_not(0, family)).collect();
        self.add(libc::SYS_socket, libc::EAFNOSUPPORT, others)
    }

    /// Refuses those sockets of IPv4 and IPv6 that are neither streams nor datagrams.
    pub(crate) fn add_raw_sockets(&mut self) -> Checked<()> {
        for family in [libc::AF_INET, libc::AF_INET6] {
            // With raw packets, a process can speak any protocol by itself.
            self.add(libc::SYS_socket, libc::EPERM, kind(family, TYPE, libc::SOCK_RAW))?;
            // Streams, datagrams and raw sockets are 1, 2 and 3; any other type is 0 or has a
            // higher bit.
            for (mask, value) in [(TYPE, 0), (4, 4), (8, 8)] {
                self.add(libc::SYS_socket, libc::ESOCKTNOSUPPORT, kind(family, mask, value))?;
            }
        }
        Ok(())
    }

    /// Refuses a kind of socket of IPv4 and IPv6 unless its protocol is one of these, or 0, which
    /// stands for the usual one.
    pub(crate) fn add_other_protocols(&mut self, kinds: c_int, protocols: &[c_int]) -> Checked<()> {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut others = kind(family, TYPE, kinds)?;
            others.push(is_not(2, 0)?);
            for &protocol in protocols {
                others.push(is_not(2, protocol)?);
            }
            self.add(libc::SYS_socket, libc::EPROTONOSUPPORT, Ok(others))?;
        }
        Ok(())
    }

    /// Refuses io_uring: what is asked of a ring is not seen by any filter.
    pub(crate) fn add_rings(&mut self) -> Checked<()> {
        for call in
            [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register]
        {
            self.add(call, libc::EPERM, Ok(Vec::new()))?;
        }
        Ok(())
    }

    /// COMMAND's filter of what a function adds.
    pub(crate) fn filter(
        name: String,
        add: impl FnOnce(&mut Self) -> Checked<()>,
    ) -> Result<Filter> {
        const FAILURE: &str = "Can't filter sockets";
        let mut refusals = Self::default();
        add(&mut refusals).map_err(|problem| Error::new(format!("{FAILURE}: {problem}")))?;
        let instructions = bpf::compile(&refusals.0, SeccompAction::Allow).context(FAILURE)?;
        Ok(Filter::meant(name, Program { instructions, flags: 0 }))
    }
}

/// The filter beside Landlock's rules for unix(7): whoever has a ring that was made elsewhere would
/// connect by that.
pub(crate) fn filter_rings() -> Result<Filter> {
    Refusals::filter("the filter of --unix-connect".to_owned(), Refusals::add_rings)
}

/// Whether a socket is of a family, and some bits of its type are so.
fn kind(family: c_int, mask: u32, value: c_int) -> Conditions {
    Ok(vec![is(0, family)?, masked(1, mask, value)?])
}

/// Whether some bits of an argument are so.
pub(crate) fn masked(argument: u8, mask: u32, value: c_int) -> Condition {
    int(argument, SeccompCmpOp::MaskedEq(mask.into()), value)
}

/// Whether an argument is a number of the C library's.
pub(crate) fn is(argument: u8, value: c_int) -> Condition {
    int(argument, SeccompCmpOp::Eq, value)
}

/// Whether it is another one.
pub(crate) fn is_not(argument: u8, value: c_int) -> Condition {
    int(argument, SeccompCmpOp::Ne, value)
}

/// Compares the half of an argument that is an `int`. The other one may hold anything.
fn int(argument: u8, operator: SeccompCmpOp, value: c_int) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.cast_unsigned().into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::confine::seccomp::cbpf::Call;

    /// What a filter answers: 0 if the call is allowed, else its errno.
    pub(crate) fn errno(filter: Result<Filter>, call: c_long, args: [u64; 6]) -> c_int {
        let filter = filter.map(|filter| filter.program.instructions).unwrap_or_default();
        match Call::new(call, args).answer(&filter) {
            Some(libc::SECCOMP_RET_ALLOW) => 0,
            Some(answer) if answer & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_ERRNO => {
                (answer & libc::SECCOMP_RET_DATA).cast_signed()
            }
            _ => -1,
        }
    }

    /// What an argument's other half may hold.
    pub(crate) const HIGHS: [u64; 3] = [0, 0xffff_ffff_0000_0000, 0x1_0000_0000];
}
