//! Brings the loopback interface of a new network namespace up, by rtnetlink(7).
//!
//! The kernel gives `lo` its addresses by itself when it comes up, so one request is enough.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use crate::error::{Context, Result};
use crate::kernel::sys::{SysResult, uninterrupted};

/// `lo` is the first interface of every network namespace.
const LOOPBACK_INDEX: u32 = 1;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;

/// The request: `nlmsghdr` and `ifinfomsg`, in the machine's byte order.
fn request() -> [u8; 32] {
    let mut message = [0; 32];
    let (length, flags) = (32_u32, NLM_F_REQUEST | NLM_F_ACK);
    let header = [
        (0, length.to_ne_bytes().to_vec()),
        (4, libc::RTM_NEWLINK.to_ne_bytes().to_vec()),
        (6, flags.to_ne_bytes().to_vec()),
        (20, LOOPBACK_INDEX.to_ne_bytes().to_vec()),
        (24, libc::IFF_UP.to_ne_bytes().to_vec()),
        (28, libc::IFF_UP.to_ne_bytes().to_vec()),
    ];
    for (offset, bytes) in header {
        for (to, from) in message.iter_mut().skip(offset).zip(bytes) {
            *to = from;
        }
    }
    message
}

/// The kernel's answer: the error number in an `nlmsgerr`, 0 for done.
fn answer(reply: &[u8]) -> SysResult<()> {
    let kind = reply.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error = reply.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, error) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => Err(Errno::from_raw(-error)),
        _ => Err(Errno::EPROTO),
    }
}

/// Brings `lo` up in the current network namespace.
pub(crate) fn set_up() -> Result<()> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )
    .context("loopback: Failed to create netlink socket")?;
    let request = request();
    uninterrupted(|| {
        sendto(netlink.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())
    })
    .context("loopback: Failed to send to the kernel")?;
    let mut reply = [0; 1024];
    let count = uninterrupted(|| recv(netlink.as_raw_fd(), &mut reply, MsgFlags::empty()))
        .context("loopback: Failed to hear from the kernel")?;
    answer(reply.get(..count).unwrap_or_default()).context("loopback: Failed RTM_NEWLINK")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let mut reply = [0; 36];
        assert_eq!(answer(&reply), Err(Errno::EPROTO));
        reply[4] = 2;
        assert_eq!(answer(&reply), Ok(()));
        reply[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(answer(&reply), Err(Errno::EPERM));
        assert_eq!(answer(&reply[..18]), Err(Errno::EPROTO));
    }
}
