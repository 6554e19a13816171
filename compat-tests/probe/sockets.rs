//! The ways to a socket in the file system, to a port of UDP, and to a socket of some family.

use std::io;
use std::os::fd::OwnedFd;

use super::doors::{Address, Socket, bind, connect, on, send_message, send_to, size, word};
use crate::sys::{self, Tried, Word, call, try_filtered};

/// What each way comes to: to the sockets `stream`, `datagram` and `packets` in a directory, and to one of our own in /mnt.
pub(super) fn unix(dir: &str) -> Vec<String> {
    let at = |name: &str| address(&format!("{dir}/{name}"));
    let (stream, datagram, packets) = (at("stream"), at("datagram"), at("packets"));
    let sends = |number| open(2).and_then(|s| send_message(number, &s, &datagram, 0));
    let tries = [
        ("stream", open(1).and_then(|s| connect_to(&s, &stream))),
        ("packets in sequence", open(5).and_then(|s| connect_to(&s, &packets))),
        ("datagrams", open(2).and_then(|s| connect_to(&s, &datagram))),
        ("datagram by sendto", open(2).and_then(|s| send(&s, &datagram))),
        ("datagram by sendmsg", sends(libc::SYS_sendmsg)),
        ("datagram by sendmmsg", sends(libc::SYS_sendmmsg)),
        ("pair of datagrams", pair(2).and_then(|s| connect_to(&s, &datagram))),
        ("pair of datagrams by sendto", pair(2).and_then(|s| send(&s, &datagram))),
        ("own", own()),
        ("file to another directory", moved()),
    ];
    tries.into_iter().map(|(name, result)| format!("{name}: {}", word(result))).collect()
}

fn address(path: &str) -> Vec<u8> {
    let mut bytes = 1_u16.to_ne_bytes().to_vec();
    bytes.extend(path.as_bytes());
    bytes.push(0);
    bytes
}

fn open(kind: i64) -> io::Result<OwnedFd> {
    call(libc::SYS_socket, &mut [Word::Number(1), Word::Number(kind), Word::Number(0)]).map(sys::adopt)
}

fn pair(kind: i64) -> io::Result<OwnedFd> {
    let mut both = [0; 8];
    call(libc::SYS_socketpair, &mut [Word::Number(1), Word::Number(kind), Word::Number(0), Word::Out(&mut both)])?;
    let [one, other] = [0, 4].map(|at| i32::from_ne_bytes([both[at], both[at + 1], both[at + 2], both[at + 3]]));
    drop(sys::adopt(other.into()));
    Ok(sys::adopt(one.into()))
}

fn connect_to(socket: &OwnedFd, address: &[u8]) -> io::Result<()> {
    call(libc::SYS_connect, &mut [on(socket), Word::In(address), size(address)]).map(drop)
}

fn send(socket: &OwnedFd, address: &[u8]) -> io::Result<()> {
    let words = &mut [on(socket), Word::In(b"x"), size(b"x"), Word::Number(0), Word::In(address), size(address)];
    call(libc::SYS_sendto, words).map(drop)
}

/// A socket that is made here.
fn own() -> io::Result<()> {
    let address = address("/mnt/own");
    let listener = open(1)?;
    call(libc::SYS_bind, &mut [on(&listener), Word::In(&address), size(&address)])?;
    call(libc::SYS_listen, &mut [on(&listener), Word::Number(1)])?;
    open(1).and_then(|socket| connect_to(&socket, &address))
}

/// Landlock refuses this unless it is told otherwise.
fn moved() -> io::Result<()> {
    std::fs::create_dir("/mnt/from")?;
    std::fs::create_dir("/mnt/to")?;
    std::fs::write("/mnt/from/file", "")?;
    std::fs::rename("/mnt/from/file", "/mnt/to/file")
}

/// What it comes to when sockets that were out of reach are brought to `below`, and connected to there.
pub(super) fn brought(dir: &str) -> Vec<String> {
    let at = |name: &str| format!("{dir}/{name}");
    let tries = [
        ("hard link", 1, "below/hard", std::fs::hard_link(at("stream"), at("below/hard"))),
        ("symbolic link", 1, "below/soft", std::os::unix::fs::symlink(at("stream"), at("below/soft"))),
        ("exchange", 5, "below/stream", exchange(&at("packets"), &at("below/stream"))),
        ("rename", 2, "below/datagram", std::fs::rename(at("datagram"), at("below/datagram"))),
        ("rename of its directory", 1, "below/other/stream", std::fs::rename(at("other"), at("below/other"))),
    ];
    let reach = |(name, kind, path, moved): (&str, i64, &str, io::Result<()>)| {
        let result = moved.and_then(|()| open(kind)).and_then(|s| connect_to(&s, &address(&at(path))));
        format!("{name}: {}", word(result))
    };
    tries.into_iter().map(reach).collect()
}

fn exchange(one: &str, other: &str) -> io::Result<()> {
    let [one, other] = [one, other].map(|path| [path.as_bytes(), b"\0"].concat());
    let here = || Word::Number(libc::AT_FDCWD.into());
    let words = &mut [here(), Word::In(&one), here(), Word::In(&other), Word::Number(libc::RENAME_EXCHANGE.into())];
    call(libc::SYS_renameat2, words).map(drop)
}

/// What each way to a port comes to. Nobody has to listen there: what is sent is gone.
pub(super) fn udp(port: &str) -> Vec<String> {
    let port = port.parse().unwrap_or(0);
    let (v4, v6) = (Address(Socket::V4, port), Address(Socket::V6, port));
    let (udp, udp6) = (|| Socket::V4.of_kind(2, 0), || Socket::V6.of_kind(2, 17));
    let mapped = || {
        let mut bytes = v6.bytes();
        bytes[8..24].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]);
        bytes
    };
    let tries = [
        ("connect", udp().and_then(|s| connect(&s, v4))),
        ("connect over v6", udp6().and_then(|s| connect(&s, v6))),
        ("connect to v4 over v6", udp6().and_then(|s| connect_to(&s, &mapped()))),
        ("sendto", udp().and_then(|s| send_to(&s, b"x", 0, v4))),
        ("sendto over v6", udp6().and_then(|s| send_to(&s, b"x", 0, v6))),
        ("sendto v4 over v6", udp6().and_then(|s| send(&s, &mapped()))),
        ("sendto of nothing", udp().and_then(|s| send_to(&s, b"", 0, v4))),
        ("sendmsg", udp().and_then(|s| send_message(libc::SYS_sendmsg, &s, &v4.bytes(), 0))),
        ("sendmmsg", udp().and_then(|s| send_message(libc::SYS_sendmmsg, &s, &v4.bytes(), 0))),
        ("bind", udp().and_then(|s| bind(&s, v4))),
        ("bind over v6", udp6().and_then(|s| bind(&s, v6))),
        ("UDP-Lite", Socket::V4.of_kind(2, 136).and_then(|s| connect(&s, v4))),
    ];
    tries.into_iter().map(|(name, result)| format!("{name}: {}", word(result))).collect()
}

/// What a filter says to sockets and pairs of each family and kind, without making them.
pub(super) fn families() -> Vec<String> {
    let socket = |family, kind| (libc::SYS_socket, [family, kind, 0, 0, 0, 0]);
    let pair = |family, kind| (libc::SYS_socketpair, [family, kind, 0, 0, 0, 0]);
    let calls = [
        ("unix", socket(1, 1)),
        ("IPv4", socket(2, 2)),
        ("IPv6", socket(10, 1)),
        ("IPv6 in half a register", socket(0x7_0000_000a, 1)),
        ("netlink", socket(16, 3)),
        ("packets", socket(17, 3)),
        ("SOCK_PACKET", socket(2, 10)),
        ("vsock", socket(40, 1)),
        ("a family to come", socket(200, 1)),
        ("pair of streams", pair(1, 1)),
        ("pair of packets in sequence", pair(1, 5)),
        ("pair of datagrams", pair(1, 2)),
        ("pair of raw datagrams", pair(1, 3)),
        ("pair of TIPC", pair(30, 1)),
        ("io_uring_setup", (libc::SYS_io_uring_setup, [8, 0, 0, 0, 0, 0])),
        ("io_uring_enter", (libc::SYS_io_uring_enter, [3, 1, 0, 0, 0, 0])),
        ("io_uring_register", (libc::SYS_io_uring_register, [3, 0, 0, 0, 0, 0])),
    ];
    let outcome = |(number, args): (libc::c_long, [u64; 6])| match try_filtered(u32::try_from(number).unwrap_or(0), args) {
        Tried::Returned(libc::ENOSYS) => "free".to_owned(),
        Tried::Returned(errno) => format!("{:?}", nix::errno::Errno::from_raw(errno)),
        Tried::Killed(signal) => format!("signal {signal}"),
    };
    calls.into_iter().map(|(name, call)| format!("{name}: {}", outcome(call))).collect()
}
