//! The filter beside Landlock's rules for TCP: Landlock looks at connect(2) and bind(2) of sockets
//! that call themselves TCP, and the kernel has other doors to TCP, see `--tcp-connect` in
//! bwrap(1). They are closed here.

use crate::confine::seccomp::Filter;
use crate::confine::sockets::{PLAIN_FAMILIES, Refusals, is, masked};
use crate::error::Result;

/// COMMAND's filter.
pub(crate) fn filter() -> Result<Filter> {
    let name = "the filter of --tcp-connect and --tcp-bind".to_owned();
    Refusals::filter(name, |refusals| {
        // As where the kernel lacks the family: sockets of SMC, RDS or KCM carry TCP under another
        // name, and packet sockets carry anything.
        refusals.add_other_families(&PLAIN_FAMILIES)?;
        // MPTCP, SMC and SCTP are streams too. Programs that try MPTCP take this for a kernel
        // without it, and go on with TCP.
        refusals.add_other_protocols(libc::SOCK_STREAM, &[libc::IPPROTO_TCP])?;
        refusals.add_raw_sockets()?;

        // As where fast open is switched off. It connects with the first data, past the check of
        // connect(2).
        for (call, flags) in
            [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)]
        {
            let fast = masked(flags, libc::MSG_FASTOPEN.cast_unsigned(), libc::MSG_FASTOPEN);
            refusals.add(call, libc::EOPNOTSUPP, fast.map(|fast| vec![fast]))?;
        }

        // One of the protocols that can be put on top of a TCP socket makes it one of SMC. As where
        // there is none.
        let on_top = [is(1, libc::IPPROTO_TCP), is(2, libc::TCP_ULP)];
        refusals.add(libc::SYS_setsockopt, libc::ENOENT, on_top.into_iter().collect())?;
        refusals.add_rings()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use libc::{c_int, c_long};

    use crate::confine::sockets::tests;

    fn errno(call: c_long, args: [u64; 6]) -> c_int {
        tests::errno(filter(), call, args)
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
                // All other arguments have the bit too, and must not matter.
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
