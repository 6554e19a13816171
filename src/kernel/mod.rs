//! The kernel's calls and files, typed. Nothing in here decides anything.

pub(crate) mod arena;
pub(crate) mod directory;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod idmap;
pub(crate) mod loopback;
pub(crate) mod mount;
pub(crate) mod mountinfo;
pub(crate) mod names;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod remount;
pub(crate) mod sys;
pub(crate) mod way;
