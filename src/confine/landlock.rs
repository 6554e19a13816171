//! Landlock: what COMMAND may not reach although it shares namespaces with the host, see
//! landlock(7).
//!
//! Scopes keep signals and abstract sockets inside the sandbox, network rules leave TCP and UDP
//! nothing but some ports, and rules for files leave unix(7) nothing but some sockets. Files
//! themselves are no business of Landlock's here: what the sandbox sees is what is mounted.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::error::{Context, Error, Result};
use crate::kernel::files::file_type;
use crate::kernel::sys::{self, LandlockRuleset, SysResult};
use crate::word::Word;

/// The requested restrictions.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// `--scope-signals`
    pub(crate) signals: bool,
    /// `--scope-abstract-unix`
    pub(crate) abstract_unix: bool,
    /// `--tcp-connect PORT`, every one of them
    pub(crate) connect: Vec<u16>,
    /// `--tcp-bind PORT`, every one of them
    pub(crate) bind: Vec<u16>,
    /// `--udp-connect PORT`, every one of them
    pub(crate) udp_connect: Vec<u16>,
    /// `--udp-bind PORT`, every one of them
    pub(crate) udp_bind: Vec<u16>,
    /// `--unix-connect PATH`, every one of them
    pub(crate) unix: Vec<Word>,
}

const ACCESS_NET_BIND_TCP: u64 = 1;
const ACCESS_NET_CONNECT_TCP: u64 = 2;
const ACCESS_NET_BIND_UDP: u64 = 4;
const ACCESS_NET_CONNECT_SEND_UDP: u64 = 8;
const ACCESS_FS_REFER: u64 = 1 << 13;
const ACCESS_FS_RESOLVE_UNIX: u64 = 1 << 16;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 2;

/// A feature that a kernel may lack: the option, the ABI it came with, and the kernel that brought
/// that.
type Feature = (&'static str, i32, &'static str);

impl Wanted {
    /// The options that are given, with what they need.
    fn features(&self) -> impl Iterator<Item = Feature> {
        let all = [
            (self.signals, ("--scope-signals", 6, "6.12")),
            (self.abstract_unix, ("--scope-abstract-unix", 6, "6.12")),
            (!self.connect.is_empty(), ("--tcp-connect", 4, "6.7")),
            (!self.bind.is_empty(), ("--tcp-bind", 4, "6.7")),
            (!self.udp_connect.is_empty(), ("--udp-connect", 10, "7.2")),
            (!self.udp_bind.is_empty(), ("--udp-bind", 10, "7.2")),
            (!self.unix.is_empty(), ("--unix-connect", 9, "7.1")),
        ];
        all.into_iter().filter(|(given, _)| *given).map(|(_, feature)| feature)
    }

    /// Finds out whether the kernel has all that is asked for, before anything is done. No question
    /// is asked if nothing is.
    pub(crate) fn check(&self) -> Result<()> {
        let Some((option, needed, since)) = self.features().max_by_key(|(_, needed, _)| *needed)
        else {
            return Ok(());
        };
        let kernel = sys::kernel_release();
        let needs = format!("{option} needs Landlock ABI {needed} (Linux {since})");
        let checked = match sys::landlock_abi() {
            Ok(abi) if abi >= needed => Ok(()),
            Ok(abi) => {
                Err(Error::new(format!("{needs}, and this kernel, {kernel}, has ABI {abi}")))
            }
            Err(Errno::EOPNOTSUPP) => Err(Error::new(format!(
                "{needs}, which is switched off in this kernel, {kernel} (see its parameter lsm=)"
            ))),
            Err(errno) => Err(Error::os(
                format!("{needs}, and this kernel, {kernel}, has no Landlock"),
                errno,
            )),
        };
        checked.map_err(|error| error.of(option))
    }

    /// Whether TCP may use some ports only: one rule of either kind limits both.
    pub(crate) fn limits_tcp(&self) -> bool {
        !self.connect.is_empty() || !self.bind.is_empty()
    }

    /// The same for UDP.
    pub(crate) fn limits_udp(&self) -> bool {
        !self.udp_connect.is_empty() || !self.udp_bind.is_empty()
    }

    /// Restricts this process and all that it starts, for good. Paths are those of the sandbox.
    pub(crate) fn restrict(&self) -> Result<()> {
        if self.features().next().is_none() {
            return Ok(());
        }
        let sockets = self.unix.iter().map(|path| socket(path));
        let sockets = sockets.collect::<Result<Vec<_>>>()?;
        self.enforce(&sockets).context("Can't restrict the sandbox with Landlock")
    }

    fn enforce(&self, sockets: &[OwnedFd]) -> SysResult<()> {
        let flag = |given, flag| if given { flag } else { 0 };
        let (tcp, udp, unix) = (self.limits_tcp(), self.limits_udp(), !sockets.is_empty());
        let ruleset: OwnedFd = sys::landlock_create(LandlockRuleset {
            handled_access_fs: flag(unix, ACCESS_FS_RESOLVE_UNIX | ACCESS_FS_REFER),
            handled_access_net: flag(tcp, ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP)
                | flag(udp, ACCESS_NET_BIND_UDP | ACCESS_NET_CONNECT_SEND_UDP),
            // An abstract socket is one more way to connect.
            scoped: flag(self.signals, SCOPE_SIGNAL)
                | flag(self.abstract_unix || unix, SCOPE_ABSTRACT_UNIX_SOCKET),
        })?;
        // A connecting socket is bound to a port that the kernel chooses, which counts as port 0.
        let any: &[u16] = if self.udp_connect.is_empty() { &[] } else { &[0] };
        for (ports, access) in [
            (self.connect.as_slice(), ACCESS_NET_CONNECT_TCP),
            (&self.bind, ACCESS_NET_BIND_TCP),
            (&self.udp_connect, ACCESS_NET_CONNECT_SEND_UDP),
            (&self.udp_bind, ACCESS_NET_BIND_UDP),
            (any, ACCESS_NET_BIND_UDP),
        ] {
            for &port in ports {
                sys::landlock_allow_port(ruleset.as_fd(), port, access)?;
            }
        }
        for socket in sockets {
            sys::landlock_allow_path(ruleset.as_fd(), socket.as_fd(), ACCESS_FS_RESOLVE_UNIX)?;
        }
        if unix {
            // With rules for files the kernel refuses to move them to another directory unless that
            // is allowed.
            let root = open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
            sys::landlock_allow_path(ruleset.as_fd(), root.as_fd(), ACCESS_FS_REFER)?;
        }
        sys::landlock_restrict(ruleset.as_fd())
    }
}

/// A socket, or a directory with sockets. A link is not followed: who may put one there would decide
/// which socket it is.
fn socket(path: Word) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file =
        open(path, flags, Mode::empty()).at("Can't find the path of --unix-connect", path)?;
    let status = fstat(&file).at("Can't look at the path of --unix-connect", path)?;
    if file_type(&status) == SFlag::S_IFLNK {
        return Err(Error::about("The path of --unix-connect is a symbolic link:", path));
    }
    Ok(file)
}
