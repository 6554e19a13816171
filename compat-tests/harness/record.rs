//! What is remembered of a trial.

use super::Identity;

/// How a trial came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Declared,
    Differs,
    /// A claim was not true, or a side could not be run.
    Failed,
    /// Only one side ran.
    OneSide,
}

impl Verdict {
    pub(crate) fn name(self, has_reference: bool) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Declared => "declared",
            Self::Differs => "differs",
            Self::Failed => "failed",
            Self::OneSide if has_reference => "one side only",
            Self::OneSide => "no reference",
        }
    }
}

/// What is remembered of a trial.
pub(crate) struct Record {
    pub(crate) case: String,
    pub(crate) identity: Identity,
    pub(crate) verdict: Verdict,
}
