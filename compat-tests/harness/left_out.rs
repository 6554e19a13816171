//! What is left out, and why, for the end of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Completion, Failed};

static REASONS: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// Leaves a trial out for this reason.
pub(crate) fn left_out(reason: impl Into<String>) -> Completion {
    let reason = reason.into();
    *REASONS.lock().unwrap_or_else(PoisonError::into_inner).entry(reason.clone()).or_default() += 1;
    Completion::ignored_with(reason)
}

/// Whether nothing may be missing that could be had.
pub(crate) fn is_required() -> bool {
    std::env::var("REQUIRED").is_ok_and(|required| required == "1")
}

/// What becomes of a trial that lacks something: it is left out, or fails if nothing may be missing.
pub(crate) fn lacking(reason: String) -> Result<Completion, Failed> {
    if is_required() { Err(reason.into()) } else { Ok(left_out(reason)) }
}

/// The reasons with their counts, the most frequent first; empty if nothing was left out.
pub(crate) fn summary() -> String {
    let reasons = REASONS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rows = reasons.iter().collect::<Vec<_>>();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut text = String::new();
    for (index, (reason, count)) in rows.into_iter().enumerate() {
        if index == 0 {
            _ = writeln!(text, "left out: {}", reasons.values().sum::<usize>());
        }
        _ = writeln!(text, "{count:6} {reason}");
    }
    text
}
