//! The adversary: what a hostile program tries inside, what a hostile directory does to a set-up, and who races with it from outside.

pub(super) mod inside;
pub(super) mod planted;
pub(super) mod process;
pub(super) mod race;
