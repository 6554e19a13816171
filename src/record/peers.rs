//! Addresses of sockets: whom COMMAND talks to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use nix::sys::socket::{SockType, getsockopt, sockopt};

use crate::record::ring::Message;
use crate::record::uses::Uses;

/// What an address says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A path.
    Path(Vec<u8>),
    /// A name that is no file's.
    Abstract(Vec<u8>),
    /// A host and a port.
    Net(IpAddr, u16),
}

/// Reads an address as the kernel takes it.
pub(crate) fn read(bytes: &[u8]) -> Option<Address> {
    let (family, rest) =
        bytes.split_first_chunk().map(|(head, rest)| (u16::from_ne_bytes(*head), rest))?;
    let (port, after) = match rest.split_first_chunk() {
        Some((port, after)) => (u16::from_be_bytes(*port), after),
        None => (0, rest),
    };
    match i32::from(family) {
        libc::AF_UNIX => match rest {
            [] => None,
            [0, name @ ..] => Some(Address::Abstract(name.to_vec())),
            path => path.split(|&byte| byte == 0).next().map(|path| Address::Path(path.to_vec())),
        },
        libc::AF_INET => {
            let ip = after.first_chunk::<4>().copied().map(Ipv4Addr::from)?;
            Some(Address::Net(ip.into(), port))
        }
        libc::AF_INET6 => {
            let ip = after.get(4..)?.first_chunk::<16>().copied().map(Ipv6Addr::from)?;
            Some(Address::Net(ip.to_canonical(), port))
        }
        _ => None,
    }
}

/// The protocol of a socket, by its type.
pub(crate) fn kind(socket: BorrowedFd<'_>) -> &'static str {
    match getsockopt(&socket, sockopt::SockType) {
        Ok(SockType::Stream) => "tcp",
        Ok(SockType::Datagram) => "udp",
        _ => "a socket",
    }
}

/// What the monitor is told of a host and a port.
pub(crate) fn message(uses: Uses, kind: &str, ip: &IpAddr, port: u16) -> Message {
    let verb = if uses == Uses::BIND { "listens at" } else { "talks to" };
    let address = match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    };
    format!("p\0{verb} {address} ({kind})").into_bytes()
}

/// The same of a name that is no file's. Other bytes than those of plain text are left out.
pub(crate) fn abstract_message(uses: Uses, name: &[u8]) -> Message {
    let verb = if uses == Uses::BIND { "listens at" } else { "talks to" };
    let plain = name.iter().take_while(|&&byte| byte != 0).map(|&byte| match byte {
        b' '..=b'~' => char::from(byte),
        _ => '?',
    });
    format!("a\0{verb} the abstract socket @{}", plain.collect::<String>()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let family = |number: i32| u16::try_from(number).unwrap_or_default().to_ne_bytes().to_vec();
        let of = |number, rest: &[u8]| read(&[family(number), rest.to_vec()].concat());
        assert_eq!(of(libc::AF_UNIX, b"/run/x\0y"), Some(Address::Path(b"/run/x".to_vec())));
        assert_eq!(of(libc::AF_UNIX, b"\0x"), Some(Address::Abstract(b"x".to_vec())));
        assert_eq!(of(libc::AF_UNIX, b""), None);
        let v4 = Some(Address::Net(IpAddr::from([127, 0, 0, 1]), 443));
        assert_eq!(of(libc::AF_INET, &[1, 187, 127, 0, 0, 1]), v4);
        assert_eq!(of(libc::AF_INET, &[1, 187, 127, 0, 0]), None);
        let mut mapped = vec![1, 187, 0, 0, 0, 0];
        mapped.extend(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        assert_eq!(of(libc::AF_INET6, &mapped), v4);
        assert_eq!(of(libc::AF_NETLINK, &[0; 10]), None);
        assert_eq!(read(b"\x01"), None);
    }
}
