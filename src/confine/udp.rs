//! The filter beside Landlock's rules for UDP: Landlock looks at what binds, connects and sends by
//! sockets that call themselves UDP, and other sockets carry datagrams over UDP, or anything.

use crate::confine::seccomp::Filter;
use crate::confine::sockets::{PLAIN_FAMILIES, Refusals};
use crate::error::Result;

/// `IPPROTO_MPTCP`, which is TCP on the wire. SCTP can be told to travel in UDP.
const MPTCP: i32 = 262;

/// COMMAND's filter.
pub(crate) fn filter() -> Result<Filter> {
    let name = "the filter of --udp-connect and --udp-bind".to_owned();
    Refusals::filter(name, |refusals| {
        // RxRPC and TIPC travel in UDP, and packet sockets carry anything.
        refusals.add_other_families(&PLAIN_FAMILIES)?;
        let datagrams = [libc::IPPROTO_UDP, libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6];
        refusals.add_other_protocols(libc::SOCK_DGRAM, &datagrams)?;
        refusals.add_other_protocols(libc::SOCK_STREAM, &[libc::IPPROTO_TCP, MPTCP])?;
        refusals.add_raw_sockets()?;
        refusals.add_rings()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::sockets::tests::{HIGHS, errno};

    /// Numbers are written out here: the constants are what is tested.
    #[test]
    fn datagrams_are_udp_or_pings() {
        for (family, kind, protocol, expected) in [
            (2, 2, 0, 0),
            (10, 0o2_004_002, 17, 0),
            (2, 2, 1, 0),
            (10, 2, 58, 0),
            (2, 1, 0, 0),
            (10, 1, 6, 0),
            (2, 1, 262, 0),
            (1, 2, 0, 0),
            (16, 3, 0, 0),
            (2, 2, 136, libc::EPROTONOSUPPORT),
            (10, 0o2_000_002, 136, libc::EPROTONOSUPPORT),
            (2, 2, 115, libc::EPROTONOSUPPORT),
            (2, 1, 132, libc::EPROTONOSUPPORT),
            (2, 1, 256, libc::EPROTONOSUPPORT),
            (2, 5, 132, libc::ESOCKTNOSUPPORT),
            (10, 6, 33, libc::ESOCKTNOSUPPORT),
            (2, 10, 768, libc::ESOCKTNOSUPPORT),
            (2, 3, 17, libc::EPERM),
            (33, 2, 2, libc::EAFNOSUPPORT),
            (30, 3, 0, libc::EAFNOSUPPORT),
            (17, 3, 768, libc::EAFNOSUPPORT),
            (40, 1, 0, libc::EAFNOSUPPORT),
            (43, 1, 0, libc::EAFNOSUPPORT),
        ] {
            for high in HIGHS {
                let args = [family | high, kind | high, protocol | high, 0, 0, 0];
                let found = errno(filter(), libc::SYS_socket, args);
                assert_eq!(found, expected, "{family} {kind:#o} {protocol} {high:#x}");
            }
        }
        for call in
            [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register]
        {
            assert_eq!(errno(filter(), call, [0; 6]), libc::EPERM);
        }
        for call in [libc::SYS_execve, libc::SYS_connect, libc::SYS_bind, libc::SYS_sendto] {
            assert_eq!(errno(filter(), call, [7; 6]), 0);
        }
    }
}
