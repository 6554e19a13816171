//! What bwrap says about itself: what a command line comes to, and what is probably behind a
//! failure.

pub(crate) mod advice;
pub(crate) mod check;
pub(crate) mod check_host;
pub(crate) mod command;
pub(crate) mod hints;
pub(crate) mod inside;
pub(crate) mod masked;
pub(crate) mod missing;
pub(crate) mod notes;
pub(crate) mod plan;
pub(crate) mod planned;
pub(crate) mod refused;
pub(crate) mod render;
pub(crate) mod report;
