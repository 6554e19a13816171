//! Bad input: fds that are not what they should be, paths that cannot be used, JSON that cannot be written.

use crate::harness::Case;

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    vec![]
}
