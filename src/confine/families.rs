//! `--address-families`: which sockets socket(2) makes, by a filter, on every kernel.
//!
//! Where unix(7) is not in the list, the two ends of a socketpair(2) stay, as long as all that they
//! can do is to talk with each other: a datagram's end can be connected to another socket.

use std::collections::BTreeSet;
use std::ffi::CStr;

use libc::c_int;

use crate::confine::seccomp::Filter;
use crate::confine::sockets::{Refusals, is, is_not, masked};
use crate::error::{Error, Result};

/// Families by the kernel's names, in the order of their numbers from 1 on.
const NAMES: &str = "\
     unix inet ax25 ipx appletalk netrom bridge atmpvc x25 inet6 rose decnet netbeui security \
     key netlink packet ash econet atmsvc rds sna irda pppox wanpipe llc ib mpls can tipc \
     bluetooth iucv rxrpc isdn phonet ieee802154 caif alg nfc vsock kcm qipcrtr smc xdp mctp";

/// The highest number that is taken. The kernel has less than 50 families.
const HIGHEST: c_int = 255;

/// The families that `--address-families` names, all lists together. None is not the same as no
/// list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Families(BTreeSet<c_int>);

impl Families {
    /// Adds a list: names or numbers with commas in between, or `none`.
    pub(crate) fn add(&mut self, list: &CStr) -> Result<()> {
        if list.to_bytes() == b"none" {
            return Ok(());
        }
        for word in list.to_string_lossy().split(',') {
            let family = number(word)
                .ok_or_else(|| Error::new(format!("unknown address family: {word}")))?;
            self.0.insert(family);
        }
        Ok(())
    }

    /// The list as it is shown.
    pub(crate) fn shown(&self) -> String {
        let name = |&family: &c_int| {
            let index = usize::try_from(family).ok().and_then(|family| family.checked_sub(1));
            let name = index.and_then(|index| NAMES.split_ascii_whitespace().nth(index));
            name.map_or_else(|| family.to_string(), str::to_owned)
        };
        let names: Vec<_> = self.0.iter().map(name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn has(&self, family: c_int) -> bool {
        self.0.contains(&family)
    }

    /// COMMAND's filter.
    pub(crate) fn filter(&self) -> Result<Filter> {
        /// `SOCK_PACKET`, which makes a packet socket under the name of IPv4.
        const PACKET: c_int = 10;
        let allowed: Vec<_> = self.0.iter().copied().collect();
        let name = "the filter of --address-families".to_owned();
        Refusals::filter(name, |refusals| {
            refusals.add_other_families(&allowed)?;
            if !self.has(libc::AF_PACKET) {
                let packet = [is(0, libc::AF_INET), masked(1, 0xf, PACKET)];
                let packet = packet.into_iter().collect();
                refusals.add(libc::SYS_socket, libc::EAFNOSUPPORT, packet)?;
            }
            // Pairs of other families than unix(7) are sockets of the network.
            let others = allowed.iter().filter(|&&family| family != libc::AF_UNIX);
            let others = [is_not(0, libc::AF_UNIX)]
                .into_iter()
                .chain(others.map(|&family| is_not(0, family)))
                .collect();
            refusals.add(libc::SYS_socketpair, libc::EAFNOSUPPORT, others)?;
            if !self.has(libc::AF_UNIX) {
                // Streams and packets in sequence, 1 and 5, are connected for good.
                for (mask, value) in [(0xf, 0), (2, 2), (0xf, 4), (8, 8)] {
                    let pair = [is(0, libc::AF_UNIX), masked(1, mask, value)];
                    let pair = pair.into_iter().collect();
                    refusals.add(libc::SYS_socketpair, libc::EAFNOSUPPORT, pair)?;
                }
            }
            refusals.add_rings()
        })
    }
}

/// The number of a family.
fn number(word: &str) -> Option<c_int> {
    if let Some(index) = NAMES.split_ascii_whitespace().position(|name| name == word) {
        return c_int::try_from(index + 1).ok();
    }
    let digits = Some(word).filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    digits?.parse().ok().filter(|&number| number <= HIGHEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::sockets::tests::{HIGHS, errno};

    fn families(lists: &[&CStr]) -> Families {
        let mut families = Families::default();
        for list in lists {
            assert!(families.add(list).is_ok(), "{list:?}");
        }
        families
    }

    /// Numbers are written out here: the constants are what is tested.
    #[test]
    fn lists_are_names_and_numbers() {
        for (lists, numbers) in [
            (&[c"unix"][..], &[1][..]),
            (&[c"inet,inet6"], &[2, 10]),
            (&[c"unix", c"netlink,unix"], &[1, 16]),
            (&[c"none"], &[]),
            (&[c"none", c"vsock"], &[40]),
            (&[c"0,17,255"], &[0, 17, 255]),
            (&[c"alg,packet,smc,xdp,mctp,key"], &[15, 17, 38, 43, 44, 45]),
        ] {
            assert_eq!(families(lists).0, numbers.iter().copied().collect(), "{lists:?}");
        }
        for list in [
            c"",
            c",",
            c"unix,",
            c"UNIX",
            c"AF_UNIX",
            c"local",
            c"none,unix",
            c"256",
            c"-1",
            c"+1",
            c" unix",
            c"unix inet",
            c"99999999999",
        ] {
            assert!(Families::default().add(list).is_err(), "{list:?}");
        }
        assert_eq!(families(&[c"inet6,200,unix"]).shown(), "unix, inet6, 200");
        assert_eq!(families(&[c"none"]).shown(), "none");
    }

    #[test]
    fn other_families_are_refused() {
        for (list, allowed) in [
            (c"none", &[][..]),
            (c"unix", &[1][..]),
            (c"inet,inet6", &[2, 10]),
            (c"unix,netlink,packet", &[1, 16, 17]),
        ] {
            let families = families(&[list]);
            for family in 0..50 {
                for high in HIGHS {
                    let expected = if allowed.contains(&family) { 0 } else { libc::EAFNOSUPPORT };
                    for kind in [1, 2, 3, 5, 0o2_004_001] {
                        let args = [family | high, kind | high, 0, 0, 0, 0];
                        let found = errno(families.filter(), libc::SYS_socket, args);
                        assert_eq!(found, expected, "{list:?} {family} {kind} {high:#x}");
                    }
                }
            }
        }
        // The longest one there can be.
        let all: Vec<_> = (0..=255).map(|number| number.to_string()).collect();
        let all = std::ffi::CString::new(all.join(",")).unwrap_or_default();
        let every = families(&[&all]);
        assert_eq!(errno(every.filter(), libc::SYS_socket, [255, 1, 0, 0, 0, 0]), 0);
        let found = errno(every.filter(), libc::SYS_socket, [256, 1, 0, 0, 0, 0]);
        assert_eq!(found, libc::EAFNOSUPPORT);
    }

    #[test]
    fn doors_are_closed() {
        let (none, unix) = (families(&[c"inet"]), families(&[c"unix"]));
        let all = families(&[c"inet,packet,tipc"]);
        for high in HIGHS {
            let args = |family: u64, kind: u64| [family | high, kind | high, high, 0, 0, 0];
            // SOCK_PACKET is a packet socket.
            for kind in [10, 0o2_000_012] {
                let found = errno(none.filter(), libc::SYS_socket, args(2, kind));
                assert_eq!(found, libc::EAFNOSUPPORT);
                assert_eq!(errno(all.filter(), libc::SYS_socket, args(2, kind)), 0);
            }
            for kind in 0..16 {
                for kind in [kind, kind | 0o2_004_000] {
                    let found = errno(none.filter(), libc::SYS_socketpair, args(1, kind));
                    let stays = matches!(kind & 0xf, 1 | 5);
                    assert_eq!(found, if stays { 0 } else { libc::EAFNOSUPPORT }, "{kind}");
                    assert_eq!(errno(unix.filter(), libc::SYS_socketpair, args(1, kind)), 0);
                }
            }
            let pair = args(30, 1);
            assert_eq!(errno(unix.filter(), libc::SYS_socketpair, pair), libc::EAFNOSUPPORT);
            assert_eq!(errno(all.filter(), libc::SYS_socketpair, pair), 0);
        }
        for call in
            [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register]
        {
            assert_eq!(errno(unix.filter(), call, [0; 6]), libc::EPERM);
        }
        for call in [libc::SYS_execve, libc::SYS_connect, libc::SYS_accept4] {
            assert_eq!(errno(unix.filter(), call, [99; 6]), 0);
        }
    }
}
