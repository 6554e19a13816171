//! The past: vulnerabilities and regressions of the reference, findings of reviews, and the table of
//! them that SECURITY.md prints.

pub(super) mod cves;
pub(super) mod reviewed;
pub(super) mod vulnerabilities;
pub(super) mod vulnerabilities_process;
