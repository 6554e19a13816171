//! The intended differences from the reference, each with its reason.
//!
//! A difference that is not in this table fails its trial, and so does a row whose difference is gone.

use crate::harness::Difference;

/// The table.
pub(crate) const DIFFERENCES: &[Difference] = &[];
