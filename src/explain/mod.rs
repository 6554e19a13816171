//! What bwrap says about itself: what a command line comes to, and what is probably behind a
//! failure.

pub(crate) mod command;
pub(crate) mod hints;
pub(crate) mod inside;
pub(crate) mod plan;
pub(crate) mod render;
