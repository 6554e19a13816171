//! Sparse files, in the four ways GNU tar has written them: a table in and after the header, and
//! three generations of pax keys, the last of which has its map at the beginning of the content.

use crate::archive::fault::{Fault, Reading, bad};
use crate::archive::field::{bytes, decimal, number, value_of};

/// How many segments a file can have.
const MOST_SEGMENTS: usize = 1 << 18;

/// A piece of a file that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it is in the file.
    pub(crate) offset: u64,
    /// How long it is.
    pub(crate) length: u64,
}

/// Where the stored content of a file belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Map {
    /// The size of the file.
    pub(crate) size: u64,
    /// Its name, where the header has only one for readers that know no sparse files.
    pub(crate) name: Option<Vec<u8>>,
    /// The stored pieces, in order.
    pub(crate) segments: Vec<Segment>,
    /// Whether the next block has more of the map.
    pub(crate) is_continued: bool,
}

impl Map {
    /// A file of nothing but a hole.
    pub(crate) const fn new(size: u64) -> Self {
        Self { size, name: None, segments: Vec::new(), is_continued: false }
    }

    /// Adds the rows of a table in a header, and says whether there is another.
    pub(crate) fn add_table(&mut self, table: &[u8], is_continued: u8) -> Reading<()> {
        self.is_continued = is_continued != 0;
        for row in table.chunks_exact(24) {
            let (offset, length) = row.split_at(12);
            if length.first().is_none_or(|&byte| byte == 0) {
                break;
            }
            let field = |field| number(field).and_then(|number| u64::try_from(number).ok());
            match (field(offset), field(length)) {
                (Some(offset), Some(length)) => {
                    push(&mut self.segments, Segment { offset, length })?;
                }
                _ => return bad("its sparse map has something else where a number belongs"),
            }
        }
        Ok(())
    }

    /// Adds the table of a separate block.
    pub(crate) fn continue_with(&mut self, block: &[u8]) -> Reading<()> {
        self.add_table(bytes(block, 0, 504), block.get(504).copied().unwrap_or_default())
    }

    /// Whether the segments are in order, inside the file, and as long as what is stored.
    pub(crate) fn check(&self, stored: u64) -> Reading<()> {
        let wrong = || Fault::Bad("its sparse map does not fit its size".to_owned());
        let (mut end, mut sum) = (0, 0_u64);
        for Segment { offset, length } in &self.segments {
            if *offset < end {
                return Err(wrong());
            }
            end = offset.checked_add(*length).ok_or_else(wrong)?;
            sum = sum.checked_add(*length).ok_or_else(wrong)?;
        }
        if end > self.size || sum != stored || i64::try_from(self.size).is_err() {
            return Err(wrong());
        }
        Ok(())
    }
}

fn push(segments: &mut Vec<Segment>, segment: Segment) -> Reading<()> {
    if segments.len() >= MOST_SEGMENTS {
        return bad(format!("its sparse map has more than {MOST_SEGMENTS} pieces"));
    }
    segments.push(segment);
    Ok(())
}

/// What pax headers say about a sparse file. Whatever they could say twice is an error: other programs
/// may not take the same one of two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Described {
    major: Option<u64>,
    minor: Option<u64>,
    size: Option<u64>,
    name: Option<Vec<u8>>,
    /// How many pieces there are.
    count: Option<u64>,
    /// The map in one value: offset and length by turns.
    map: Option<Vec<u64>>,
    /// The same in a value for each number.
    numbers: Vec<u64>,
}

impl Described {
    /// Nothing is said.
    pub(crate) const fn new() -> Self {
        Self {
            major: None,
            minor: None,
            size: None,
            name: None,
            count: None,
            map: None,
            numbers: Vec::new(),
        }
    }

    /// Notes what one key says.
    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) -> Reading<()> {
        match key.strip_prefix(b"GNU.sparse.").unwrap_or_default() {
            b"major" => once(&mut self.major, value_of(value)?),
            b"minor" => once(&mut self.minor, value_of(value)?),
            b"size" | b"realsize" => once(&mut self.size, value_of(value)?),
            b"name" => once(&mut self.name, value.to_vec()),
            b"numblocks" => once(&mut self.count, value_of(value)?),
            b"offset" if self.numbers.len().is_multiple_of(2) => self.number(value),
            b"numbytes" if !self.numbers.len().is_multiple_of(2) => self.number(value),
            b"offset" | b"numbytes" => bad("its sparse map has half a piece"),
            b"map" => {
                let numbers = value.split(|&byte| byte == b',').filter(|text| !text.is_empty());
                once(&mut self.map, numbers.map(value_of).collect::<Reading<_>>()?)
            }
            _ => bad("a pax header has an unknown key for sparse files"),
        }
    }

    fn number(&mut self, value: &[u8]) -> Reading<()> {
        self.numbers.push(value_of(value)?);
        Ok(())
    }

    /// Whether the file is sparse at all.
    pub(crate) fn is_sparse(&self) -> bool {
        *self != Self::new()
    }

    /// Whether it says what the file is called.
    pub(crate) const fn has_name(&self) -> bool {
        self.name.is_some()
    }

    /// Whether the map is at the beginning of the content.
    pub(crate) fn has_map_in_content(&self) -> bool {
        (self.major, self.minor) == (Some(1), Some(0))
    }

    /// The map of the two older generations.
    pub(crate) fn segments(&self) -> Reading<Vec<Segment>> {
        match (self.major, self.minor) {
            (None | Some(0), None | Some(0 | 1)) => {
                pairs(self.map.as_deref().unwrap_or(&self.numbers))
            }
            _ => bad("it is sparse in an unknown way"),
        }
    }

    /// The whole map.
    pub(crate) fn with_segments(&self, segments: Vec<Segment>) -> Reading<Map> {
        let Some(size) = self.size else { return bad("it is sparse and has no size") };
        let maps = [self.has_map_in_content(), self.map.is_some(), !self.numbers.is_empty()];
        if maps.into_iter().filter(|is_there| *is_there).count() > 1 {
            return bad(TWICE);
        }
        let count = u64::try_from(segments.len()).unwrap_or(u64::MAX);
        if self.count.is_some_and(|said| said != count) {
            return bad("its sparse map has another number of pieces than it says");
        }
        let name = self.name.clone().filter(|name| !name.is_empty());
        Ok(Map { size, name, segments, is_continued: false })
    }
}

/// The words for a sparse file that is described twice.
const TWICE: &str = "its headers say the same of a sparse file twice";

fn once<T>(slot: &mut Option<T>, value: T) -> Reading<()> {
    if slot.replace(value).is_some() { bad(TWICE) } else { Ok(()) }
}

fn pairs(numbers: &[u64]) -> Reading<Vec<Segment>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return bad("its sparse map has half a piece");
    }
    Ok(pairs.iter().map(|&[offset, length]| Segment { offset, length }).collect())
}

/// A map as lines of decimal numbers: how many pieces there are, then offset and length of each.
#[derive(Debug, Default)]
pub(crate) struct Text {
    line: Vec<u8>,
    count: Option<usize>,
    numbers: Vec<u64>,
}

impl Text {
    /// Reads one block of the table.
    pub(crate) fn add(&mut self, block: &[u8]) -> Reading<()> {
        for &byte in block {
            if self.is_complete() {
                break;
            }
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() > 20 {
                    return bad("its sparse map has something else where a number belongs");
                }
                continue;
            }
            let Some(number) = decimal(&self.line) else {
                return bad("its sparse map has something else where a number belongs");
            };
            self.line.clear();
            if self.count.is_some() {
                self.numbers.push(number);
                continue;
            }
            match usize::try_from(number) {
                Ok(count) if count <= MOST_SEGMENTS => self.count = Some(count),
                _ => return bad(format!("its sparse map has more than {MOST_SEGMENTS} pieces")),
            }
        }
        Ok(())
    }

    /// Whether nothing is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.count.is_some_and(|count| self.numbers.len() == 2 * count)
    }

    /// The pieces.
    pub(crate) fn segments(&self) -> Reading<Vec<Segment>> {
        pairs(&self.numbers)
    }
}
