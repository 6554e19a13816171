//! Landlock: what COMMAND may not reach although it shares namespaces with the host, see
//! landlock(7).
//!
//! Scopes keep signals and abstract sockets inside the sandbox, and network rules leave TCP nothing
//! but some ports. Landlock's rules for files are not used: what the sandbox sees is what is
//! mounted.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use crate::error::{Context, Error, Result};
use crate::kernel::sys::{self, LandlockRuleset, SysResult};

/// What is asked for.
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
}

const ACCESS_NET_BIND_TCP: u64 = 1;
const ACCESS_NET_CONNECT_TCP: u64 = 2;
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

    /// Restricts this process and all that it starts, for good.
    pub(crate) fn restrict(&self) -> Result<()> {
        if self.features().next().is_none() {
            return Ok(());
        }
        self.enforce().context("Can't restrict the sandbox by Landlock")
    }

    fn enforce(&self) -> SysResult<()> {
        let net = self.limits_tcp();
        let flag = |given, flag| if given { flag } else { 0 };
        let ruleset: OwnedFd = sys::landlock_create(LandlockRuleset {
            handled_access_fs: 0,
            handled_access_net: flag(net, ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP),
            scoped: flag(self.signals, SCOPE_SIGNAL)
                | flag(self.abstract_unix, SCOPE_ABSTRACT_UNIX_SOCKET),
        })?;
        for (ports, access) in
            [(&self.connect, ACCESS_NET_CONNECT_TCP), (&self.bind, ACCESS_NET_BIND_TCP)]
        {
            for &port in ports {
                sys::landlock_allow_port(ruleset.as_fd(), port, access)?;
            }
        }
        sys::landlock_restrict(ruleset.as_fd())
    }
}
