//! The filter beside Landlock's rules for TCP: Landlock looks at connect(2) and bind(2) of sockets that call themselves TCP, and the
//! kernel has other doors to TCP, see `--tcp-connect` in bwrap(1). They are closed here.
//!
//! It knows the calls of this architecture only. Those of x32 fail with ENOSYS and those of 32-bit programs kill the process, as under
//! every filter that [`crate::confine::seccomp::bpf`] makes: by socketcall(2) they would be free to do all that is refused here.

use nix::libc::{self, c_int, c_long};

use crate::confine::seccomp::Filter;
use crate::confine::seccomp::bpf::{self, Answer, Condition, Rule, Rules, Test};
use crate::confine::seccomp::program::Program;
use crate::error::{Context, Result};

/// Connects with the first data, past the check of connect(2).
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// The bits of a socket's type that are no flags (`SOCK_TYPE_MASK`).
const TYPE: u32 = 0xf;

/// All bits of an `int`. The other half of its register may hold anything.
const INT: u32 = u32::MAX;

/// COMMAND's filter.
pub(crate) fn filter() -> Result<Filter> {
    let instructions = bpf::compile(&rules(), Answer(libc::SECCOMP_RET_ALLOW)).context("Can't filter sockets for TCP")?;
    Ok(Filter::meant("the filter of --tcp-connect and --tcp-bind".to_owned(), Program { instructions, flags: 0 }))
}

/// What is refused, and as what.
fn rules() -> Rules {
    let mut rules = Rules::new();
    let mut refuse = |call: c_long, errno: c_int, conditions: Vec<Condition>| {
        let (Ok(number), Ok(errno)) = (u32::try_from(call), u16::try_from(errno)) else { return };
        rules.entry(number).or_default().push(Rule { conditions, answer: Answer::errno(errno) });
    };

    // As where the kernel lacks the family: sockets of SMC, RDS or KCM carry TCP under another name, and packet sockets carry anything.
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    refuse(libc::SYS_socket, libc::EAFNOSUPPORT, families.map(|family| is_not(0, INT, family)).to_vec());
    for family in [libc::AF_INET, libc::AF_INET6] {
        let of = |kind: Vec<Condition>| [vec![is(0, INT, family)], kind].concat();
        // MPTCP, SMC and SCTP are streams too. Programs that try MPTCP take this for a kernel without it, and go on with TCP.
        let other_stream = vec![is(1, TYPE, libc::SOCK_STREAM), is_not(2, INT, 0), is_not(2, INT, libc::IPPROTO_TCP)];
        refuse(libc::SYS_socket, libc::EPROTONOSUPPORT, of(other_stream));
        // Who may send raw packets can speak TCP without the kernel.
        refuse(libc::SYS_socket, libc::EPERM, of(vec![is(1, TYPE, libc::SOCK_RAW)]));
        let unknown = vec![is_not(1, TYPE, libc::SOCK_STREAM), is_not(1, TYPE, libc::SOCK_DGRAM)];
        refuse(libc::SYS_socket, libc::ESOCKTNOSUPPORT, of(unknown));
    }

    // As where fast open is switched off.
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        refuse(call, libc::EOPNOTSUPP, vec![masked(flags, MSG_FASTOPEN, MSG_FASTOPEN)]);
    }

    // One of the protocols that can be put on top of a TCP socket makes it one of SMC. As where there is none.
    refuse(libc::SYS_setsockopt, libc::ENOENT, vec![is(1, INT, libc::IPPROTO_TCP), is(2, INT, libc::TCP_ULP)]);

    // What is asked of a ring is not seen by any filter.
    for call in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
        refuse(call, libc::EPERM, Vec::new());
    }
    rules
}

/// Whether some bits of an argument are so.
fn masked(argument: u8, mask: u32, value: u32) -> Condition {
    (argument, Test::Masked { mask: mask.into(), value: value.into() })
}

/// Whether some bits of an argument are a number of the C library's.
fn is(argument: u8, mask: u32, value: c_int) -> Condition {
    masked(argument, mask, value.cast_unsigned())
}

/// Whether they are another one.
fn is_not(argument: u8, mask: u32, value: c_int) -> Condition {
    (argument, Test::MaskedNe { mask: mask.into(), value: value.cast_unsigned().into() })
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
                assert_eq!(errno(libc::SYS_socket, args), expected, "{family} {kind:#o} {protocol} {high:#x}");
            }
        }
    }

    #[test]
    fn fast_open_upper_protocols_and_rings_are_refused() {
        const NOSIGNAL: u64 = 0x4000;
        const FAST: u64 = 0x2000_0000;
        for high in [0, 0xffff_ffff_0000_0000] {
            for (flags, expected) in [(NOSIGNAL, 0), (FAST, libc::EOPNOTSUPP), (FAST | NOSIGNAL, libc::EOPNOTSUPP)] {
                // All other arguments have the bit.
                let flags = flags | high;
                assert_eq!(errno(libc::SYS_sendto, [FAST, FAST, FAST, flags, FAST, FAST]), expected);
                assert_eq!(errno(libc::SYS_sendmsg, [FAST, FAST, flags, FAST, FAST, FAST]), expected);
                assert_eq!(errno(libc::SYS_sendmmsg, [FAST, FAST, FAST, flags, FAST, FAST]), expected);
            }
            for (level, option, expected) in [(6, 31, libc::ENOENT), (6, 30, 0), (1, 31, 0), (0, 31, 0)] {
                assert_eq!(errno(libc::SYS_setsockopt, [3, high + level, high + option, 0, 0, 0]), expected);
            }
        }
        for call in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
            assert_eq!(errno(call, [0; 6]), libc::EPERM);
        }
        for call in [libc::SYS_execve, libc::SYS_connect, libc::SYS_bind, libc::SYS_listen, libc::SYS_socketpair] {
            assert_eq!(errno(call, [FAST; 6]), 0);
        }
    }
}
