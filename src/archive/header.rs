//! One header block, see tar(5) of libarchive and "Basic Tar Format" in GNU tar's manual.

use crate::archive::fault::{BLOCK, Fault, Reading, bad};
use crate::archive::field::{bytes, number};
use crate::archive::sparse::Map;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A file with content.
    File,
    /// Another name for a file.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character or block device.
    Device,
    /// A directory.
    Directory,
    /// A FIFO.
    Fifo,
}

/// What a header is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file of some kind.
    Entry(What),
    /// The next entry, as pax describes it.
    Pax,
    /// All entries from here on.
    Global,
    /// The next entry's name, of GNU.
    LongName,
    /// The next entry's link, of GNU.
    LongTarget,
    /// The archive's name, of GNU.
    Label,
}

/// A header block whose checksum is right.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    block: [u8; BLOCK],
    /// What it is about.
    pub(crate) kind: Kind,
}

/// Where the type is.
const TYPE: usize = 156;

impl Header {
    /// Understands a block.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Reading<Self> {
        if !has_checksum(block) {
            return bad("a header has a wrong checksum, or this is not a tar archive");
        }
        let letter = block[TYPE];
        let is_gnu = bytes(block, 257, 8) == b"ustar  \0";
        let kind = match letter {
            0 | b'0' | b'7' => Kind::Entry(What::File),
            b'1' => Kind::Entry(What::HardLink),
            b'2' => Kind::Entry(What::Symlink),
            b'3' | b'4' => Kind::Entry(What::Device),
            b'5' => Kind::Entry(What::Directory),
            b'6' => Kind::Entry(What::Fifo),
            b'x' => Kind::Pax,
            b'g' => Kind::Global,
            b'L' => Kind::LongName,
            b'K' => Kind::LongTarget,
            b'S' if is_gnu => Kind::Entry(What::File),
            b'V' if is_gnu => Kind::Label,
            other => {
                return bad(format!(
                    "an entry has the type {:?}, which is unknown",
                    char::from(other)
                ));
            }
        };
        Ok(Self { block: *block, kind })
    }

    /// The size of its content in the archive.
    pub(crate) fn size(&self) -> Reading<u64> {
        self.number("size", 124, 12)
    }

    /// Its permissions.
    pub(crate) fn mode(&self) -> Reading<u32> {
        let mode = self.number("mode", 100, 8)?;
        Ok(u32::try_from(mode & 0o7777).unwrap_or_default())
    }

    /// Its owner.
    pub(crate) fn uid(&self) -> Reading<u64> {
        self.number("owner", 108, 8)
    }

    /// Its group.
    pub(crate) fn gid(&self) -> Reading<u64> {
        self.number("group", 116, 8)
    }

    /// When it was modified.
    pub(crate) fn mtime(&self) -> Reading<(i64, u32)> {
        let seconds = number(bytes(&self.block, 136, 12));
        seconds.map(|seconds| (seconds, 0)).ok_or_else(|| no_number("time"))
    }

    fn number(&self, name: &str, start: usize, length: usize) -> Reading<u64> {
        let number = number(bytes(&self.block, start, length));
        number.and_then(|number| u64::try_from(number).ok()).ok_or_else(|| no_number(name))
    }

    /// Its name, with the part that ustar keeps elsewhere.
    pub(crate) fn path(&self) -> Vec<u8> {
        let name = text(bytes(&self.block, 0, 100));
        let prefix = text(bytes(&self.block, 345, 155));
        if bytes(&self.block, 257, 6) != b"ustar\0" || prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    /// What it links to.
    pub(crate) fn target(&self) -> Vec<u8> {
        text(bytes(&self.block, 157, 100)).to_vec()
    }

    /// Whether it is a file, or, in the oldest archives, a directory if its name says so.
    pub(crate) const fn is_plain_file(&self) -> bool {
        matches!(self.block[TYPE], 0 | b'0')
    }

    /// Whether it begins the map of a sparse file.
    pub(crate) const fn is_gnu_sparse(&self) -> bool {
        self.block[TYPE] == b'S'
    }

    /// The beginning of that map.
    pub(crate) fn sparse(&self) -> Reading<Map> {
        let size = self.number("size", 483, 12)?;
        let mut map = Map::new(size);
        map.add_table(bytes(&self.block, 386, 96), self.block[482])?;
        Ok(map)
    }
}

/// A field up to its NUL byte, or the whole field.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn no_number(name: &str) -> Fault {
    Fault::Bad(format!("the field {name} of a header is not a valid number"))
}

/// Whether a block's checksum is right. The bytes were signed where the oldest archives come from.
pub(crate) fn has_checksum(block: &[u8; BLOCK]) -> bool {
    const FIELD: std::ops::Range<usize> = 148..156;
    let is_field = |at: usize| FIELD.contains(&at);
    let each =
        || block.iter().enumerate().map(move |(at, &byte)| if is_field(at) { b' ' } else { byte });
    let unsigned: i64 = each().map(i64::from).sum();
    let signed: i64 = each().map(|byte| i64::from(byte.cast_signed())).sum();
    let stored = block.get(FIELD).filter(|field| field.iter().any(u8::is_ascii_digit));
    stored.and_then(number).is_some_and(|stored| stored == unsigned || stored == signed)
}
