//! A seccomp program as the kernel takes it.

use libc::sock_filter;

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// Classic BPF.
    pub(crate) instructions: Vec<sock_filter>,
    /// `SECCOMP_FILTER_FLAG_…`
    pub(crate) flags: libc::c_ulong,
}

/// The longest program that the kernel takes.
pub(crate) const MAX_INSTRUCTIONS: usize = libc::BPF_MAXINSNS.unsigned_abs() as usize;
