//! The program's own modules of this name, but for [`sys`].

#[path = "../../../../src/kernel/arena.rs"]
pub(crate) mod arena;
#[path = "../../../../src/kernel/environment.rs"]
pub(crate) mod environment;
#[path = "../../../../src/kernel/files.rs"]
pub(crate) mod files;
#[path = "../../../../src/kernel/idmap.rs"]
pub(crate) mod idmap;
#[path = "../../../../src/kernel/mountinfo.rs"]
pub(crate) mod mountinfo;
#[path = "../../../../src/kernel/names.rs"]
pub(crate) mod names;
#[path = "../../../../src/kernel/process.rs"]
pub(crate) mod process;
#[path = "../../../../src/kernel/program.rs"]
pub(crate) mod program;
pub(crate) mod sys;
#[path = "../../../../src/kernel/way.rs"]
pub(crate) mod way;
