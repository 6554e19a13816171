//! What a filter does to every system call there is, and to some there are not.

use crate::sys::{Tried, try_filtered};

/// Numbers that are tried: all that kernels have today, and some beyond. uretprobe and uprobe are left out on x86_64: they are for the
/// kernel's own trampolines, which it lets through all filters.
pub(crate) fn numbers() -> impl Iterator<Item = u32> {
    (0..490).filter(|number| !cfg!(target_arch = "x86_64") || !matches!(number, 335 | 336))
}

/// The outcome of every call with these arguments, six hexadecimal numbers with commas between them. What is not listed is not refused, or
/// with ENOSYS.
pub(super) fn all(args: &str) -> Vec<String> {
    let Some(args) = parse(args) else { return vec!["six numbers are needed".to_owned()] };
    let line = |number| match try_filtered(number, args) {
        Tried::Returned(libc::ENOSYS) => None,
        Tried::Returned(errno) => Some(format!("{number} {errno}")),
        Tried::Killed(signal) => Some(format!("{number} signal {signal}")),
    };
    numbers().filter_map(line).collect()
}

fn parse(args: &str) -> Option<[u64; 6]> {
    let numbers = args.split(',').map(|number| u64::from_str_radix(number, 16).ok());
    numbers.collect::<Option<Vec<_>>>()?.try_into().ok()
}
