//! The filter beside Landlock's rules for TCP: Landlock looks at connect(2) and bind(2) of sockets
//! that call themselves TCP, and the kernel has other doors to TCP, see `--tcp-connect` in
//! bwrap(1). They are closed here.
//!
//! It knows the calls of this architecture only. Those of x32 fail with ENOSYS and those of 32-bit
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

/// COMMAND's filter.
pub(crate) fn filter() -> Result<Filter> {
    const FAILURE: &str = "Can't filter sockets for TCP";
    let rules = rules().map_err(|problem| Error::new(format!("{FAILURE}: {problem}")))?;
    let instructions = bpf::compile(&rules, SeccompAction::Allow).context(FAILURE)?;
    let name = "the filter of --tcp-connect and --tcp-bind".to_owned();
    Ok(Filter::meant(name, Program { instructions, flags: 0 }))
}

/// Conditions that all have to hold.
type Conditions = std::result::Result<Vec<SeccompCondition>, BackendError>;

/// What is refused, and as what.
fn rules() -> std::result::Result<Rules, BackendError> {
    let mut rules = Rules::new();
    let mut refuse = |call: c_long, errno: c_int, conditions: Conditions| {
        let Ok(number) = u32::try_from(call) else { return Ok(()) };
        let rule = Rule::new(conditions?, SeccompAction::Errno(errno.unsigned_abs()))?;
        rules.entry(number).or_default().push(rule);
        Ok(())
    };

    // As where the kernel lacks the family: sockets of SMC, RDS or KCM carry TCP under another
    // name, and packet sockets carry anything.
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let other_family = families.into_iter().map(|family| is_not(0, family)).collect();
    refuse(libc::SYS_socket, libc::EAFNOSUPPORT, other_family)?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let kind = |mask: u32, value: c_int| Ok(vec![is(0, family)?, masked(1, mask, value)?]);
        // MPTCP, SMC and SCTP are streams too. Programs that try MPTCP take this for a kernel
        // without it, and go on with TCP.
        let mut other_stream = kind(TYPE, libc::SOCK_STREAM)?;
        other_stream.extend([is_not(2, 0)?, is_not(2, libc::IPPROTO_TCP)?]);
        refuse(libc::SYS_socket, libc::EPROTONOSUPPORT, Ok(other_stream))?;
        // Who may send raw packets can speak TCP without the kernel.
        refuse(libc::SYS_socket, libc::EPERM, kind(TYPE, libc::SOCK_RAW))?;
        // Streams, datagrams and raw sockets are 1, 2 and 3; any other type is 0 or has a higher
        // bit.
        for other in [kind(TYPE, 0), kind(4, 4), kind(8, 8)] {
            refuse(libc::SYS_socket, libc::ESOCKTNOSUPPORT, other)?;
        }
    }

    // As where fast open is switched off. It connects with the first data, past the check of
    // connect(2).
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        let fast = masked(flags, libc::MSG_FASTOPEN.cast_unsigned(), libc::MSG_FASTOPEN);
        refuse(call, libc::EOPNOTSUPP, fast.map(|fast| vec![fast]))?;
    }

    // One of the protocols that can be put on top of a TCP socket makes it one of SMC. As where
    // there is none.
    let on_top = [is(1, libc::IPPROTO_TCP), is(2, libc::TCP_ULP)];
    refuse(libc::SYS_setsockopt, libc::ENOENT, on_top.into_iter().collect())?;

    // What is asked of a ring is not seen by any filter.
    for call in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
        refuse(call, libc::EPERM, Ok(Vec::new()))?;
    }
    Ok(rules)
}

/// A condition; it is none if there is no such argument.
type Condition = std::result::Result<SeccompCondition, BackendError>;

/// Whether some bits of an argument are so.
fn masked(argument: u8, mask: u32, value: c_int) -> Condition {
    int(argument, SeccompCmpOp::MaskedEq(mask.into()), value)
}

/// Whether an argument is a number of the C library's.
fn is(argument: u8, value: c_int) -> Condition {
    int(argument, SeccompCmpOp::Eq, value)
}

/// Whether it is another one.
fn is_not(argument: u8, value: c_int) -> Condition {
    int(argument, SeccompCmpOp::Ne, value)
}

/// Compares the half of an argument that is an `int`. The other one may hold anything.
fn int(argument: u8, operator: SeccompCmpOp, value: c_int) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.cast_unsigned().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::seccomp::cbpf::Call;

    /// What the filter answers: 0 if the call is allowed, else its errno.
    fn errno(call: c_long, args: [u64; 6]) -> c_int {
        let filter = filter().map(|filter| filter.program.instructions).unwrap_or_default();
        match Call::new(call, args).answer(&filter) {
            Some(libc::SECCOMP_RET_ALLOW) => 0,
            Some(answer) if answer & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_ERRNO => {
                (answer & libc::SECCOMP_RET_DATA).cast_signed()
            }
            _ => -1,
        }
    }

    /// Numbers are written out here: the constants are what is tested.
    #[test]
    fn sockets_are_tcp_or_no_streams() {
        for (family, kind, protocol, expected) in [
            (2, 1, 0, 0),
            (10, 1, 0, 0),
            (2, 1, 6, 0),
            (10, 0o2_004_001, 6, 0),
            (2, 2, 0, 0),
            (10, 2, 17, 0),
            (2, 2, 1, 0),
            (1, 1, 0, 0),
            (1, 5, 0, 0),
            (1, 2, 0, 0),
            (16, 3, 0, 0),
            (2, 1, 262, libc::EPROTONOSUPPORT),
            (10, 0o2_000_001, 262, libc::EPROTONOSUPPORT),
            (2, 1, 256, libc::EPROTONOSUPPORT),
            (2, 1, 132, libc::EPROTONOSUPPORT),
            (2, 1, 261, libc::EPROTONOSUPPORT),
            (10, 1, 17, libc::EPROTONOSUPPORT),
            (2, 5, 132, libc::ESOCKTNOSUPPORT),
            (10, 5, 0, libc::ESOCKTNOSUPPORT),
            (2, 6, 33, libc::ESOCKTNOSUPPORT),
            (2, 4, 0, libc::ESOCKTNOSUPPORT),
            (2, 10, 768, libc::ESOCKTNOSUPPORT),
            (2, 3, 6, libc::EPERM),
            (10, 0o2_000_003, 58, libc::EPERM),
            (43, 1, 0, libc::EAFNOSUPPORT),
            (21, 5, 0, libc::EAFNOSUPPORT),
            (41, 5, 0, libc::EAFNOSUPPORT),
            (30, 1, 0, libc::EAFNOSUPPORT),
            (40, 1, 0, libc::EAFNOSUPPORT),
            (17, 3, 768, libc::EAFNOSUPPORT),
            (0, 1, 0, libc::EAFNOSUPPORT),
            (99, 1, 0, libc::EAFNOSUPPORT),
        ] {
            for high in [0, 0xffff_ffff_0000_0000, 0x1_0000_0000] {
                let args = [family | high, kind | high, protocol | high, 0, 0, 0];
                assert_eq!(
                    errno(libc::SYS_socket, args),
                    expected,
                    "{family} {kind:#o} {protocol} {high:#x}"
                );
            }
        }
    }

    #[test]
    fn no_other_type_of_socket_is_left() {
        for kind in [0].into_iter().chain(4..16) {
            for (family, flags) in [(2, 0), (10, 0o2_004_000)] {
                let args = [family, kind | flags, 0, 0, 0, 0];
                assert_eq!(errno(libc::SYS_socket, args), libc::ESOCKTNOSUPPORT, "{family} {kind}");
            }
        }
    }

    #[test]
    fn fast_open_upper_protocols_and_rings_are_refused() {
        const NOSIGNAL: u64 = 0x4000;
        const FAST: u64 = 0x2000_0000;
        for high in [0, 0xffff_ffff_0000_0000] {
            for (flags, expected) in
                [(NOSIGNAL, 0), (FAST, libc::EOPNOTSUPP), (FAST | NOSIGNAL, libc::EOPNOTSUPP)]
            {
                // All other arguments have the bit.
                let flags = flags | high;
                assert_eq!(
                    errno(libc::SYS_sendto, [FAST, FAST, FAST, flags, FAST, FAST]),
                    expected
                );
                assert_eq!(
                    errno(libc::SYS_sendmsg, [FAST, FAST, flags, FAST, FAST, FAST]),
                    expected
                );
                assert_eq!(
                    errno(libc::SYS_sendmmsg, [FAST, FAST, FAST, flags, FAST, FAST]),
                    expected
                );
            }
            for (level, option, expected) in
                [(6, 31, libc::ENOENT), (6, 30, 0), (1, 31, 0), (0, 31, 0)]
            {
                assert_eq!(
                    errno(libc::SYS_setsockopt, [3, high + level, high + option, 0, 0, 0]),
                    expected
                );
            }
        }
        for call in
            [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register]
        {
            assert_eq!(errno(call, [0; 6]), libc::EPERM);
        }
        for call in [
            libc::SYS_execve,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_socketpair,
        ] {
            assert_eq!(errno(call, [FAST; 6]), 0);
        }
    }
}
