//! The result of whatever may go wrong.

/// The result of anything that may go wrong in the harness; the words are for whoever reads the failure.
pub(crate) type Result<T> = std::result::Result<T, String>;
