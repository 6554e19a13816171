//! What can be wrong with an archive.

use nix::errno::Errno;

/// An archive consists of blocks of this size.
pub(crate) const BLOCK: usize = 512;

/// Why an archive cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes cannot be read.
    Read(Errno),
    /// They are compressed: the format, and the program that prints what is in it.
    Packed(&'static str, &'static str),
    /// They are not what they should be.
    Bad(String),
}

/// The result of reading.
pub(crate) type Reading<T> = std::result::Result<T, Fault>;

/// An archive that breaks a rule.
pub(crate) fn bad<T>(what: impl Into<String>) -> Reading<T> {
    Err(Fault::Bad(what.into()))
}
