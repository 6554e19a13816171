//! Which filters COMMAND gets, and in what order.

use crate::config::Config;
use crate::config::privileges;
use crate::confine::seccomp::policy::Facts;
use crate::confine::seccomp::{self, Filter};
use crate::confine::tcp;
use crate::error::Result;
use crate::host::Host;

/// Settles which filters COMMAND gets, and in what order. The conditions in policies ask for COMMAND's capabilities.
pub(crate) fn settle_filters(config: &mut Config, host: &Host) -> Result<()> {
    let mut filters: Vec<_> = std::mem::take(&mut config.seccomp_programs).into_iter().map(Filter::own).collect();
    if config.landlock.limits_tcp() {
        filters.push(tcp::filter()?);
    }
    if !config.policies.is_empty() {
        let facts = Facts::of(privileges::caps_after_exec(config, host));
        for policy in &config.policies {
            let compiled = policy.compile(&facts)?;
            filters.push(Filter::meant(policy.name(), compiled.program));
            config.unknown_calls.extend(compiled.unknown);
        }
    }
    config.filters = seccomp::arrange(filters)?;
    Ok(())
}
