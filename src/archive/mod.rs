//! A reader of tar archives: [`read::Archive`] turns bytes into entries and touches no file system.
//!
//! It understands what GNU tar, bsdtar, Go and Python write: the original format, ustar, pax and
//! GNU's extensions, sparse files included. An archive that two readers could understand in
//! different ways is an error, because what was checked by one would then be unpacked by another.

pub(crate) mod entry;
pub(crate) mod fault;
pub(crate) mod field;
pub(crate) mod header;
pub(crate) mod pax;
pub(crate) mod read;
pub(crate) mod sparse;
