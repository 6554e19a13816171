//! What every file of the benchmark uses.

use std::path::{Path, PathBuf};

/// The result of anything that may go wrong; the words are for whoever started the benchmark.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// The build directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from)
}
