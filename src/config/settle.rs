//! [`Settled`]: what was asked for, once it is known who asks and on which kernel.
//!
//! It is computed once, and the plan, the launcher and the set-up read the same.

use std::collections::BTreeSet;
use std::ops::Deref;

use crate::config::privileges::Privileges;
use crate::config::{Config, Want};
use crate::confine::caps;
use crate::confine::seccomp::policy::Facts;
use crate::confine::seccomp::program::Program;
use crate::confine::seccomp::{self, Filter, asking};
use crate::confine::{sockets, tcp, udp};
use crate::error::{Error, Result};
use crate::host::{Caller, Host};
use crate::kernel::idmap::Layers;

/// The ids of the sandbox, and how they come about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    /// The IDs while mounts are created: root where devpts needs a mapped root.
    pub(crate) first: (u32, u32),
    /// Ids in the sandbox.
    pub(crate) last: (u32, u32),
    /// Whether a nested user namespace leads from the first to the last.
    pub(crate) nested: bool,
}

impl Identity {
    fn of(config: &Config, caller: Caller, layers: Option<&Layers>) -> Self {
        let last = (config.uid.unwrap_or(caller.uid), config.gid.unwrap_or(caller.gid));
        if let Some(layers) = layers {
            return Self { first: layers.first_ids(last), last, nested: layers.nested.is_some() };
        }
        let own_map = config.namespaces.user == Want::Yes && config.fds.userns_block.is_none();
        let first = if own_map && config.has_dev() { (0, 0) } else { last };
        let nested = own_map && (first != last || config.switches.disable_userns);
        Self { first, last, nested }
    }
}

/// A [`Config`] that obeys the rules, and what follows from it. It no longer changes.
#[derive(Debug)]
pub(crate) struct Settled {
    config: Config,
    /// Who asks.
    pub(crate) host: Host,
    /// Who the sandbox is.
    pub(crate) identity: Identity,
    /// What the caller's ids are in the user namespace that `--netns` has led into, if it has.
    pub(crate) around: Option<(u32, u32)>,
    /// The ID maps that the monitor must write, if any.
    pub(crate) id_layers: Option<Layers>,
    /// What COMMAND may do.
    pub(crate) privileges: Privileges,
    /// COMMAND's filters in the order of their installation, but for the program of `--seccomp`,
    /// which is not read yet.
    pub(crate) filters: Vec<Filter>,
    /// The policies among them whose refusals are heard of, as they were: the filters leave those
    /// refusals to the recorder.
    pub(crate) explained: Vec<Program>,
    /// The names in policies that are no system call's here.
    pub(crate) unknown_calls: BTreeSet<Box<str>>,
    /// Errors in policies; with `--dry-run`, which still shows the rest.
    pub(crate) policy_errors: Vec<Error>,
    /// Policies that `--dry-run` does not read, because that would use them up.
    pub(crate) unread_policies: Vec<String>,
}

impl Deref for Settled {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

impl Settled {
    /// Settles a command line. Policies are read and compiled, so the fds that it names have to be
    /// settled before.
    pub(crate) fn new(config: Config, host: Host) -> Result<Self> {
        let ranges = config.has_ranges().then_some(&config.maps);
        let layers =
            ranges.map(|maps| maps.layers(config.has_dev(), config.switches.disable_userns));
        let mut settled = Self {
            identity: Identity::of(&config, host.caller, layers.as_ref()),
            privileges: Privileges::of(&config, &host),
            around: None,
            id_layers: layers,
            filters: Vec::new(),
            explained: Vec::new(),
            unknown_calls: BTreeSet::new(),
            policy_errors: Vec::new(),
            unread_policies: Vec::new(),
            config,
            host,
        };
        settled.settle_filters()?;
        Ok(settled)
    }

    /// Whether COMMAND may take mounts of ours away: by a capability that it still has once it is
    /// executed, in the user namespace that the mounts belong to, and not in one below.
    pub(crate) fn may_uncover(&self) -> bool {
        let is_below = self.identity.nested || self.fds.userns2.is_some();
        !is_below && self.privileges.after_exec & caps::SYS_ADMIN != 0
    }

    /// Whether COMMAND may open files by their handles, see open_by_handle_at(2): the kernel asks for
    /// a capability on the host.
    pub(crate) fn may_open_handles(&self) -> bool {
        let is_hosts = !self.privileges.own_userns && self.fds.userns2.is_none();
        is_hosts && self.privileges.after_exec & caps::DAC_READ_SEARCH != 0
    }

    /// What the caller's ids are in the user namespace around the sandbox's.
    pub(crate) fn outer_ids(&self) -> (u32, u32) {
        self.around.unwrap_or((self.host.caller.uid, self.host.caller.gid))
    }

    /// Whether the monitor is in another user namespace than the caller's.
    pub(crate) const fn has_moved(&self) -> bool {
        self.config.moves() || self.around.is_some()
    }

    /// Which filters COMMAND gets, and in what order. The conditions in policies ask for its
    /// capabilities.
    fn settle_filters(&mut self) -> Result<()> {
        let own = std::mem::take(&mut self.config.seccomp_programs);
        let mut filters: Vec<_> = own.into_iter().map(Filter::own).collect();
        if self.landlock.limits_tcp() {
            filters.push(tcp::filter()?);
        }
        if self.landlock.limits_udp() {
            filters.push(udp::filter()?);
        }
        if !self.landlock.unix.is_empty() {
            filters.push(sockets::filter_rings()?);
        }
        if let Some(families) = &self.families {
            filters.push(families.filter()?);
        }
        let mut policies = BTreeSet::new();
        if !self.policies.is_empty() {
            let facts = Facts::of(self.privileges.after_exec);
            let is_dry = self.config.is_dry();
            for policy in &self.config.policies {
                if is_dry && policy.is_stream() {
                    self.unread_policies.push(format!("{}, which is not read here", policy.name()));
                    continue;
                }
                match policy.compile(&facts).map_err(|error| error.of(policy.option())) {
                    Ok(compiled) => {
                        policies.insert(policy.name());
                        filters.push(Filter::meant(policy.name(), compiled.program));
                        self.unknown_calls.extend(compiled.unknown);
                    }
                    Err(error) if is_dry => self.policy_errors.push(error),
                    Err(error) => return Err(error),
                }
            }
        }
        self.filters = seccomp::arrange(filters)?;
        // Only where COMMAND cannot inspect the recorder: else it could answer in its place.
        let is_apart = self.namespaces.user == Want::Yes || self.namespaces.pid == Want::Yes;
        if self.record.explain && is_apart {
            for filter in self.filters.iter_mut().filter(|filter| policies.contains(&filter.name)) {
                let instructions = asking::lenient(&filter.program.instructions);
                let lenient = Program { instructions, ..filter.program };
                self.explained.push(std::mem::replace(&mut filter.program, lenient));
            }
        }
        Ok(())
    }
}
