//! What COMMAND was refused: the network, ports, places that are read-only, system calls.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use nix::errno::Errno;

use crate::explain::advice::{Advice, Rank, printable};
use crate::explain::missing::{World, below, first_below};
use crate::kernel::names;

/// What the options say about the network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network<'a> {
    /// Whether the sandbox has its own network, without a way out.
    pub(crate) is_new: bool,
    /// The ports to which connecting and binding is allowed, where they are limited.
    pub(crate) ports: Option<(&'a [u16], &'a [u16])>,
}

/// Somebody that COMMAND talks to or an address that it listens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) listens: bool,
    pub(crate) is_tcp: bool,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// Reads what the recorder says: `talks to 192.0.2.1:443 (tcp)`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (verb, rest) = match text.strip_prefix("talks to ") {
            Some(rest) => (false, rest),
            None => (true, text.strip_prefix("listens at ")?),
        };
        let (address, kind) = rest.split_once(' ')?;
        let address = address.parse().ok()?;
        Some(Self { listens: verb, is_tcp: kind == "(tcp)", address })
    }
}

/// The port at which a resolver asks.
const DNS: u16 = 53;

/// What the network lacked.
pub(crate) fn network(peers: &[Peer], options: Network<'_>) -> Vec<Advice> {
    let mut advice = Vec::new();
    let own: BTreeSet<u16> =
        peers.iter().filter(|peer| peer.listens).map(|peer| peer.address.port()).collect();
    let outside = |peer: &&Peer| {
        let port = peer.address.port();
        let is_own = peer.address.ip().is_loopback() && own.contains(&port) && port != DNS;
        !peer.listens && !is_own && port != 0
    };
    let mut outside = peers.iter().filter(outside);
    if options.is_new
        && let Some(first) = outside.next()
    {
        let mut line = Advice::new(Rank::Network, &[b"--share-net"]);
        line.place = first.address.to_string().into_bytes();
        line.more = outside.count();
        advice.push(line);
    }
    let Some((connect, bind)) = options.ports else { return advice };
    for peer in peers.iter().filter(|peer| peer.is_tcp) {
        let (option, allowed) =
            if peer.listens { ("--tcp-bind", bind) } else { ("--tcp-connect", connect) };
        let port = peer.address.port();
        if !allowed.contains(&port) {
            let number = port.to_string();
            let line = Advice::new(Rank::Refused, &[option.as_bytes(), number.as_bytes()]);
            advice.push(line.because(peer.address.to_string().as_bytes()));
        }
    }
    advice
}

/// Only packages write below these, and programs that try to can do without.
const SYSTEM: &str = "/bin /boot /dev /etc /lib /lib32 /lib64 /libx32 /proc /sbin /sys /usr";

/// What to do about a directory of the sandbox's that is read-only and where a name was to be made,
/// or a file that was to be changed. The host has it in the same place.
pub(crate) fn read_only(place: &[u8], world: &impl World) -> Option<Advice> {
    if first_below(place, SYSTEM).is_some() {
        return None;
    }
    if world.is_shared(place) || world.holds_keys(place) || below(b"/tmp", place) {
        return Some(Advice::told(place, "is read-only, and making it writable is not suggested"));
    }
    Some(Advice::new(Rank::Refused, &[b"--same", place]).warned("it is read-only"))
}

/// The calls that policies refused, on one line. Programs ask by calls that are not there what the
/// kernel can, and do something else if it cannot.
pub(crate) fn calls(refused: &BTreeSet<(u32, u32)>) -> Option<Advice> {
    const SHOWN: usize = 8;
    let missing = libc::ENOSYS.unsigned_abs();
    let told: Vec<_> = refused.iter().filter(|(_, errno)| *errno != missing).collect();
    let name = |&&(number, errno): &&(u32, u32)| {
        let call = names::name(number).map_or_else(|| number.to_string(), str::to_owned);
        let errno = match Errno::from_raw(errno.cast_signed()) {
            Errno::UnknownErrno => errno.to_string(),
            known => format!("{known:?}"),
        };
        format!("{call} ({errno})")
    };
    let shown: Vec<_> = told.iter().take(SHOWN).map(name).collect();
    if shown.is_empty() {
        return None;
    }
    let more = told.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let text = format!("a policy refuses {}{more}", shown.join(", "));
    Some(Advice::new(Rank::Refused, &[]).warned(&printable(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::text::quoted;

    fn lines(peers: &[&str], options: Network<'_>) -> Vec<String> {
        let peers: Vec<_> = peers.iter().filter_map(|text| Peer::read(text)).collect();
        network(&peers, options).iter().map(|advice| advice.line(&quoted)).collect()
    }

    #[test]
    fn a_network_of_its_own_is_told() {
        let options = Network { is_new: true, ports: None };
        let peers = ["talks to 127.0.0.1:53 (udp)", "talks to [2001:db8::1]:443 (tcp)"];
        assert_eq!(lines(&peers, options), ["--share-net   # 127.0.0.1:53 and 1 more"]);
        let own = ["listens at 127.0.0.1:8000 (tcp)", "talks to 127.0.0.1:8000 (tcp)"];
        assert!(lines(&own, options).is_empty());
        assert!(lines(&peers, Network { is_new: false, ports: None }).is_empty());
    }

    #[test]
    fn ports_are_told() {
        let options = Network { is_new: false, ports: Some((&[80], &[])) };
        let peers = [
            "talks to 192.0.2.1:443 (tcp)",
            "talks to 192.0.2.1:80 (tcp)",
            "talks to 192.0.2.1:123 (udp)",
            "listens at 0.0.0.0:8080 (tcp)",
        ];
        assert_eq!(
            lines(&peers, options),
            ["--tcp-connect 443   # 192.0.2.1:443", "--tcp-bind 8080   # 0.0.0.0:8080"]
        );
    }

    #[test]
    fn refused_calls_are_one_line() {
        let number = |call: libc::c_long| u32::try_from(call).unwrap_or_default();
        let refused = [(number(libc::SYS_mkdirat), 95), (number(libc::SYS_clone3), 38)].into();
        let line = calls(&refused).map(|advice| advice.line(&quoted));
        assert_eq!(line.as_deref(), Some("# a policy refuses mkdirat (EOPNOTSUPP)"));
        assert_eq!(calls(&[(5, 38)].into()), None);
    }
}
