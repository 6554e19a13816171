//! What several files of cases use.

use crate::harness::{Case, Result};
use crate::sys;

/// For what needs mount_setattr(2): kernels before 5.12 set flags by mount(2), after attaching.
pub(super) fn has_mount_setattr() -> Result<()> {
    if sys::has_mount_setattr() { Ok(()) } else { Err("the kernel has no mount_setattr".to_owned()) }
}

/// The first line of the help, which is all of it that is compared.
pub(super) const USAGE: &str = "usage: bwrap [OPTIONS...] [--] COMMAND [ARGS...]\n";

/// A case that ends with this line on stderr.
pub(super) fn fails(name: &str, words: &[&str], line: &str) -> Case {
    Case::new(name).options(words).fails(line)
}

/// A case that ends with the usage.
pub(super) fn usage(name: &str, words: &[&str]) -> Case {
    Case::new(name).options(words).status(1).stdout("").stderr(USAGE)
}

/// A word as a part of a case's name.
pub(super) fn plain(word: &str) -> String {
    let letters = word.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
    letters.trim_matches('_').to_owned()
}

/// The links into a merged /usr.
pub(super) const MERGED_USR: [&str; 9] =
    ["--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"];
