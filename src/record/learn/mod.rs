//! `--learn`: what was recorded as a profile, with which the same sandbox has only what was used.

pub(crate) mod draft;
pub(crate) mod lines;
pub(crate) mod merge;
pub(crate) mod places;
pub(crate) mod policy;
pub(crate) mod repeat;
pub(crate) mod target;

use crate::config::settle::Settled;
use crate::error::Result;
use crate::record::learn::draft::Draft;
use crate::record::learn::merge::Earlier;
use crate::record::learn::places::Places;
use crate::record::learn::target::Target;
use crate::record::mounts::Mounts;
use crate::record::seen::Seen;

/// A profile that is to be written.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) target: Target,
    pub(crate) earlier: Earlier,
}

/// What has come of it, for the line at the end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    /// How many paths are given.
    pub(crate) paths: usize,
    /// How many of them may be written to.
    pub(crate) writable: usize,
    /// How many names were to be made that are not granted.
    pub(crate) refused: usize,
    /// How many lines of the earlier profile are left out.
    pub(crate) left_out: usize,
}

impl Profile {
    /// Writes it.
    pub(crate) fn write(
        &self,
        config: &Settled,
        (seen, mounts, places): (&Seen, &Mounts, &Places),
        policy: Option<String>,
    ) -> Result<Summary> {
        let mut draft = Draft::new((seen, mounts, places));
        let left = self.earlier.add_to(&mut draft);
        draft.settle(config.record.exact);
        let uses_network = !seen.network.is_empty() || self.earlier.uses_network();
        let mut lines = lines::all(&draft, config, uses_network);
        lines.extend(policy);
        let left_out = self.earlier.keep(&mut lines, left);
        let mut text = lines.join("\n");
        text.push('\n');
        self.target.write(text.as_bytes())?;
        let grants = || draft.parts.values().flat_map(|part| part.grants.values());
        Ok(Summary {
            paths: grants().count(),
            writable: grants().filter(|grant| grant.write).count(),
            refused: draft.refused.len(),
            left_out,
        })
    }
}
