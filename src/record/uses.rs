//! What a file is used for, as far as it matters for what it needs.

use crate::record::wire::number;

/// Several uses of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub(crate) struct Uses(pub(crate) u16);

impl Uses {
    /// It is looked at, or only has to be there.
    pub(crate) const LOOK: Self = Self(1);
    /// It is opened for reading; a directory is listed.
    pub(crate) const READ: Self = Self(1 << 1);
    /// It is changed.
    pub(crate) const WRITE: Self = Self(1 << 2);
    /// It is executed.
    pub(crate) const EXEC: Self = Self(1 << 3);
    /// It is made, if it is not there.
    pub(crate) const CREATE: Self = Self(1 << 4);
    /// It is removed.
    pub(crate) const REMOVE: Self = Self(1 << 5);
    /// It gets or loses this name, whatever it is.
    pub(crate) const MOVE: Self = Self(1 << 6);
    /// Files without a name are made in it.
    pub(crate) const INSIDE: Self = Self(1 << 7);
    /// A socket is connected to it.
    pub(crate) const CONNECT: Self = Self(1 << 8);
    /// A socket gets this name.
    pub(crate) const BIND: Self = Self(1 << 9);
    /// A message is sent to it.
    pub(crate) const SEND: Self = Self(1 << 10);

    /// All that changes a directory.
    pub(crate) const NAMES: Self =
        Self(Self::CREATE.0 | Self::REMOVE.0 | Self::MOVE.0 | Self::BIND.0);

    /// All that a read-only mount refuses.
    pub(crate) const CHANGES: Self = Self(Self::NAMES.0 | Self::WRITE.0 | Self::INSIDE.0);

    /// Those in a field of a message.
    pub(crate) fn of(field: &[u8]) -> Self {
        Self(number(field).and_then(|uses| u16::try_from(uses).ok()).unwrap_or_default())
    }

    /// These and others.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has any of these.
    pub(crate) const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}
