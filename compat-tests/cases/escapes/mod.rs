//! The adversary: a hostile program inside, hostile directories to build a sandbox on, and processes
//! of the host that race with the set-up.

pub(super) mod inside;
pub(super) mod planted;
pub(super) mod process;
pub(super) mod race;
