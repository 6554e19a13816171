//! The ways to TCP that the kernel has beside connect(2) and bind(2) on a TCP socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;

use crate::sys::{self, Tried, Word, call, try_filtered};

const MPTCP: i64 = 262;
const FAST_OPEN: i64 = 0x2000_0000;
/// `TCP_FASTOPEN_CONNECT`
const FAST_OPEN_CONNECT: i64 = 30;
/// What an argument's other half may hold.
const HIGH: i64 = 0x7_0000_0000;

/// What each of them comes to. The port they lead to is that of a listener of our own, which no option can refuse. `FREE` is a port that
/// nobody uses.
pub(super) fn all(free: &str) -> Vec<String> {
    let free = free.parse().unwrap_or(0);
    let (Ok(listener), Ok(listener6)) = (listen(Socket::V4), listen(Socket::V6)) else {
        return vec!["nothing listens".to_owned()];
    };
    let (v4, v6) = (Address(Socket::V4, port(&listener)), Address(Socket::V6, port(&listener6)));
    let tries: Vec<(&str, io::Result<()>)> = vec![
        ("connect", Socket::V4.tcp().and_then(|s| connect(&s, v4))),
        ("connect over v6", Socket::V6.tcp().and_then(|s| connect(&s, v6))),
        ("connect after a disconnect", Socket::V4.tcp().and_then(|s| connect_again(&s, v4))),
        ("connect by MPTCP", Socket::V4.open(MPTCP).and_then(|s| connect(&s, v4))),
        ("connect by MPTCP over v6", Socket::V6.open(MPTCP).and_then(|s| connect(&s, v6))),
        ("connect by MPTCP in half a register", Socket::V4.open(MPTCP | HIGH).and_then(|s| connect(&s, v4))),
        ("TCP_FASTOPEN_CONNECT", Socket::V4.tcp().and_then(|s| fast_open_connect(&s, v4))),
        ("sendto with MSG_FASTOPEN", Socket::V4.tcp().and_then(|s| send_to(&s, b"x", FAST_OPEN, v4))),
        ("sendto with MSG_FASTOPEN over v6", Socket::V6.tcp().and_then(|s| send_to(&s, b"x", FAST_OPEN, v6))),
        ("sendto of nothing with MSG_FASTOPEN", Socket::V4.tcp().and_then(|s| send_to(&s, b"", FAST_OPEN, v4))),
        ("sendto with MSG_FASTOPEN and more", Socket::V4.tcp().and_then(|s| send_to(&s, b"x", FAST_OPEN | 0x4000 | HIGH, v4))),
        ("sendto with MSG_FASTOPEN by MPTCP", Socket::V4.open(MPTCP).and_then(|s| send_to(&s, b"x", FAST_OPEN, v4))),
        ("sendmsg with MSG_FASTOPEN", Socket::V4.tcp().and_then(|s| send_message(libc::SYS_sendmsg, &s, &v4.bytes(), FAST_OPEN))),
        (
            "sendmmsg with MSG_FASTOPEN",
            Socket::V4.tcp().and_then(|s| send_message(libc::SYS_sendmmsg, &s, &v4.bytes(), FAST_OPEN)),
        ),
        ("bind", Socket::V4.tcp().and_then(|s| bind(&s, Address(Socket::V4, free)))),
        ("bind without a family", Socket::V4.tcp().and_then(|s| bind_unspecified(&s, free))),
        ("bind by MPTCP", Socket::V4.open(MPTCP).and_then(|s| bind(&s, Address(Socket::V4, free)))),
        ("bind by MPTCP over v6", Socket::V6.open(MPTCP).and_then(|s| bind(&s, Address(Socket::V6, free)))),
    ];
    tries.into_iter().map(|(name, result)| format!("{name}: {}", word(result))).collect()
}

/// The ways by families and protocols that come in modules. What they lead to is ours, as above.
pub(super) fn carried(free: &str) -> Vec<String> {
    const ULP: i64 = 31;
    let free = free.parse().unwrap_or(0);
    let (Ok(listener), Ok(listener6)) = (listen(Socket::V4), listen(Socket::V6)) else {
        return vec!["nothing listens".to_owned()];
    };
    let (v4, v6) = (Address(Socket::V4, port(&listener)), Address(Socket::V6, port(&listener6)));
    let at = Address(Socket::V4, free);
    // A protocol number other than 0 is SMC over IPv6.
    let smc = |protocol| of_family(43, 1, protocol);
    let turned = || {
        let socket = Socket::V4.tcp()?;
        let name = b"smc\0";
        let words = &mut [on(&socket), Word::Number(6), Word::Number(ULP), Word::In(name), Word::Number(4)];
        call(libc::SYS_setsockopt, words).map(|_| socket)
    };
    let tries = [
        ("connect by SMC", smc(0).and_then(|s| connect(&s, v4))),
        ("connect by SMC over v6", smc(1).and_then(|s| connect(&s, v6))),
        ("sendto by SMC with MSG_FASTOPEN", smc(0).and_then(|s| send_to(&s, b"x", FAST_OPEN, v4))),
        ("bind by SMC", smc(0).and_then(|s| bind(&s, at))),
        ("connect by SMC of IPv4", Socket::V4.open(256).and_then(|s| connect(&s, v4))),
        ("connect by TCP that was made SMC", turned().and_then(|s| connect(&s, v4))),
        ("bind by RDS", of_family(21, 5, 0).and_then(|s| bind(&s, at))),
        ("bind by SCTP", Socket::V4.open(132).and_then(|s| bind(&s, at))),
        ("KCM", of_family(41, 5, 0).map(drop)),
        ("TIPC", of_family(30, 1, 0).map(drop)),
        ("vsock", of_family(40, 1, 0).map(drop)),
    ];
    tries.into_iter().map(|(name, result)| format!("{name}: {}", word(result))).collect()
}

fn of_family(family: i64, kind: i64, protocol: i64) -> io::Result<OwnedFd> {
    call(libc::SYS_socket, &mut [Word::Number(family), Word::Number(kind), Word::Number(protocol)]).map(sys::adopt)
}

/// What a filter says to calls that this kernel may not know, without making them.
pub(super) fn filtered() -> Vec<String> {
    let socket = |family: u64, kind: u64, protocol: u64| (libc::SYS_socket, [family, kind, protocol, 0, 0, 0]);
    let calls = [
        ("SMC", socket(43, 1, 0)),
        ("SMC of IPv4", socket(2, 1, 256)),
        ("SCTP", socket(2, 1, 132)),
        ("SCTP of packets", socket(10, 5, 132)),
        ("DCCP", socket(2, 6, 33)),
        ("raw TCP", socket(2, 3, 6)),
        ("raw packets", socket(10, 3, 255)),
        ("SOCK_PACKET", socket(2, 10, 3)),
        ("packets", socket(17, 3, 3)),
        ("RDS", socket(21, 5, 0)),
        ("KCM", socket(41, 5, 0)),
        ("TIPC", socket(30, 1, 0)),
        ("vsock", socket(40, 1, 0)),
        ("a family to come", socket(60, 1, 0)),
        ("TCP_ULP", (libc::SYS_setsockopt, [3, 6, 31, 0, 0, 0])),
        ("io_uring_setup", (libc::SYS_io_uring_setup, [8, 0, 0, 0, 0, 0])),
        ("io_uring_enter", (libc::SYS_io_uring_enter, [3, 1, 0, 0, 0, 0])),
        ("io_uring_register", (libc::SYS_io_uring_register, [3, 0, 0, 0, 0, 0])),
        ("TCP", socket(2, 1, 0)),
        ("TCP by its number", socket(10, 0o2_004_001, 6)),
        ("UDP", socket(2, 2, 0)),
        ("ping", socket(2, 2, 1)),
        ("unix", socket(1, 1, 0)),
        ("netlink", socket(16, 3, 0)),
        ("TCP_NODELAY", (libc::SYS_setsockopt, [3, 6, 1, 0, 0, 0])),
        ("sendto", (libc::SYS_sendto, [3, 0, 0, 0x4000, 0, 0])),
    ];
    let outcome = |(number, args): (libc::c_long, [u64; 6])| match try_filtered(u32::try_from(number).unwrap_or(0), args) {
        Tried::Returned(libc::ENOSYS) => "free".to_owned(),
        Tried::Returned(errno) => format!("{:?}", Errno::from_raw(errno)),
        Tried::Killed(signal) => format!("signal {signal}"),
    };
    calls.into_iter().map(|(name, call)| format!("{name}: {}", outcome(call))).collect()
}

pub(super) fn word(result: io::Result<()>) -> String {
    match result {
        Ok(()) => "through".to_owned(),
        Err(error) => format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or(0))),
    }
}

/// A family of addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Socket {
    V4,
    V6,
}

impl Socket {
    const fn family(self) -> u16 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    fn tcp(self) -> io::Result<OwnedFd> {
        self.open(0)
    }

    fn open(self, protocol: i64) -> io::Result<OwnedFd> {
        self.of_kind(1, protocol)
    }

    pub(super) fn of_kind(self, kind: i64, protocol: i64) -> io::Result<OwnedFd> {
        let family = i64::from(self.family());
        // The other halves hold something wherever the protocol's does.
        let high = protocol & HIGH;
        call(libc::SYS_socket, &mut [Word::Number(family | high), Word::Number(kind | high), Word::Number(protocol)])
            .map(sys::adopt)
    }
}

/// A port of this host.
#[derive(Clone, Copy)]
pub(super) struct Address(pub(super) Socket, pub(super) u16);

impl Address {
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut bytes = self.0.family().to_ne_bytes().to_vec();
        bytes.extend(self.1.to_be_bytes());
        match self.0 {
            Socket::V4 => bytes.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            Socket::V6 => bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
        }
        bytes
    }
}

pub(super) fn on(socket: &OwnedFd) -> Word<'static> {
    Word::Number(i64::from(socket.as_raw_fd()))
}

pub(super) fn size(bytes: &[u8]) -> Word<'static> {
    Word::Number(i64::try_from(bytes.len()).unwrap_or(0))
}

/// A listener at a port that the kernel chooses: none is bound.
fn listen(family: Socket) -> io::Result<OwnedFd> {
    let socket = family.tcp()?;
    call(libc::SYS_listen, &mut [on(&socket), Word::Number(100)])?;
    Ok(socket)
}

fn port(socket: &OwnedFd) -> u16 {
    let (mut address, mut length) = ([0; 28], 28_u32.to_ne_bytes());
    _ = call(libc::SYS_getsockname, &mut [on(socket), Word::Out(&mut address), Word::Out(&mut length)]);
    u16::from_be_bytes([address[2], address[3]])
}

pub(super) fn connect(socket: &OwnedFd, to: Address) -> io::Result<()> {
    let address = to.bytes();
    call(libc::SYS_connect, &mut [on(socket), Word::In(&address), size(&address)]).map(drop)
}

/// AF_UNSPEC dissolves a connection.
fn connect_again(socket: &OwnedFd, to: Address) -> io::Result<()> {
    let nobody = [0; 16];
    call(libc::SYS_connect, &mut [on(socket), Word::In(&nobody), size(&nobody)])?;
    connect(socket, to)
}

fn fast_open_connect(socket: &OwnedFd, to: Address) -> io::Result<()> {
    let one = 1_i32.to_ne_bytes();
    let words = &mut [on(socket), Word::Number(6), Word::Number(FAST_OPEN_CONNECT), Word::In(&one), size(&one)];
    call(libc::SYS_setsockopt, words)?;
    connect(socket, to)
}

pub(super) fn send_to(socket: &OwnedFd, data: &[u8], flags: i64, to: Address) -> io::Result<()> {
    let address = to.bytes();
    let words = &mut [on(socket), Word::In(data), size(data), Word::Number(flags), Word::In(&address), size(&address)];
    call(libc::SYS_sendto, words).map(drop)
}

/// sendmsg(2), or sendmmsg(2) of one message: the same structure with a length after it.
pub(super) fn send_message(number: libc::c_long, socket: &OwnedFd, address: &[u8], flags: i64) -> io::Result<()> {
    let data = b"x";
    let word = |number: usize| number.to_ne_bytes();
    let part = [word(data.as_ptr().expose_provenance()), word(1)].concat();
    // struct msghdr: name, its length, the parts, their number, no control data, no flags; and the length of struct mmsghdr.
    let fields = [address.as_ptr().expose_provenance(), address.len(), part.as_ptr().expose_provenance(), 1, 0, 0, 0, 0];
    let mut message = fields.map(word).concat();
    let message = Word::Out(&mut message);
    let flags = Word::Number(flags);
    let result = if number == libc::SYS_sendmsg {
        call(number, &mut [on(socket), message, flags])
    } else {
        call(number, &mut [on(socket), message, Word::Number(1), flags])
    };
    result.map(drop)
}

pub(super) fn bind(socket: &OwnedFd, to: Address) -> io::Result<()> {
    let address = to.bytes();
    call(libc::SYS_bind, &mut [on(socket), Word::In(&address), size(&address)]).map(drop)
}

/// Any address and no family is taken for IPv4.
fn bind_unspecified(socket: &OwnedFd, port: u16) -> io::Result<()> {
    let mut address = [0; 16];
    address[2..4].copy_from_slice(&port.to_be_bytes());
    call(libc::SYS_bind, &mut [on(socket), Word::In(&address), size(&address)]).map(drop)
}
