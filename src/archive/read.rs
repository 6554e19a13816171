//! [`Archive`]: the bytes of an archive, entry by entry.

use std::io::{ErrorKind, Read};

use crate::archive::entry::{Ahead, Entry};
use crate::archive::fault::{BLOCK, Fault, Reading, bad};
use crate::archive::header::{self, Header, Kind, What};
use crate::archive::pax::Pax;
use crate::archive::sparse::{self, Segment};
use crate::error::errno;

/// How many entries an archive can have.
pub(crate) const MOST_ENTRIES: u32 = 1 << 20;

/// How many bytes of headers that only describe the next entry there can be.
pub(crate) const MOST_HEADERS: u64 = 64 * 1024;

/// How much is read at once.
const BUFFER: usize = 128 * 1024;

/// The words for an archive that stops where its end, which is blocks of zeros, should be.
const NO_END: &str = "it has no end marker and may be truncated; if you know that it is complete, add zeros, as in 11< <(cat LAYER; head -c 1024 /dev/zero)";

/// An archive while it is read.
#[derive(Debug)]
pub(crate) struct Archive<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    entries: u32,
    /// How much of the current entry's content is still in the archive.
    left: u64,
    /// How many bytes after that fill the last block.
    padding: u64,
    /// Where the content belongs, the last segment first.
    segments: Vec<Segment>,
    /// The values of global headers.
    global: Pax,
}

impl<R: Read> Archive<R> {
    /// Begins to read.
    pub(crate) const fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            entries: 0,
            left: 0,
            padding: 0,
            segments: Vec::new(),
            global: Pax::new(),
        }
    }

    /// How many entries have begun.
    pub(crate) const fn count(&self) -> u32 {
        self.entries
    }

    /// The next entry, or nothing at the end. What was not read of the last one is skipped.
    pub(crate) fn next(&mut self) -> Reading<Option<Entry>> {
        self.skip()?;
        let mut ahead = Ahead::default();
        loop {
            let Some(header) = self.header()? else {
                return if ahead.is_empty() { Ok(None) } else { bad("it ends with half an entry") };
            };
            match header.kind {
                Kind::Pax | Kind::Global | Kind::LongName | Kind::LongTarget => {
                    self.ahead(&header, &mut ahead)?;
                }
                Kind::Label if ahead.is_empty() => {
                    self.count_entry()?;
                    self.begin(header.size()?, Vec::new())?;
                    self.skip()?;
                }
                Kind::Label => return bad("a volume label has headers of an entry"),
                Kind::Entry(what) => return self.entry(&header, what, ahead).map(Some),
            }
        }
    }

    /// The next piece of the current file's content, and where in the file it belongs. Nothing at
    /// its end.
    pub(crate) fn piece(&mut self) -> Reading<Option<(u64, &[u8])>> {
        let segment = loop {
            match self.segments.last_mut() {
                None => return Ok(None),
                Some(done) if done.length == 0 => _ = self.segments.pop(),
                Some(segment) => break *segment,
            }
        };
        self.fill(1)?;
        let there = self.buffer.len() - self.start;
        let length = usize::try_from(segment.length).unwrap_or(usize::MAX).min(there);
        let taken = u64::try_from(length).unwrap_or_default();
        if let Some(segment) = self.segments.last_mut() {
            segment.offset += taken;
            segment.length -= taken;
        }
        self.left = self.left.saturating_sub(taken);
        let start = self.start;
        self.start += length;
        Ok(self.buffer.get(start..start + length).map(|piece| (segment.offset, piece)))
    }

    fn count_entry(&mut self) -> Reading<()> {
        if self.entries >= MOST_ENTRIES {
            return bad(format!("it has more than {MOST_ENTRIES} entries"));
        }
        self.entries += 1;
        Ok(())
    }

    /// Sets out to read content.
    fn begin(&mut self, length: u64, segments: Vec<Segment>) -> Reading<()> {
        let block = u64::try_from(BLOCK).unwrap_or(1);
        if length.checked_add(block).is_none() {
            return bad("it has an impossible size");
        }
        self.left = length;
        self.padding = length.next_multiple_of(block) - length;
        self.segments = segments;
        self.segments.reverse();
        Ok(())
    }

    /// Skips what is left of the current entry.
    fn skip(&mut self) -> Reading<()> {
        let mut todo = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        self.segments.clear();
        while todo > 0 {
            self.fill(1)?;
            let there = u64::try_from(self.buffer.len() - self.start).unwrap_or_default().min(todo);
            self.start += usize::try_from(there).unwrap_or_default();
            todo -= there;
        }
        Ok(())
    }

    /// Makes sure that so many bytes are in the buffer. The end of the input is an error.
    fn fill(&mut self, least: usize) -> Reading<()> {
        if self.try_fill(least)? { Ok(()) } else { bad("it is truncated") }
    }

    /// The same; the result is whether there are so many.
    fn try_fill(&mut self, least: usize) -> Reading<bool> {
        while self.buffer.len() - self.start < least {
            self.buffer.drain(..self.start);
            self.start = 0;
            let known = self.buffer.len();
            self.buffer.resize(BUFFER, 0);
            let space = self.buffer.get_mut(known..).unwrap_or_default();
            let read = self.input.read(space);
            self.buffer.truncate(known + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Read(errno(&error))),
            }
        }
        Ok(true)
    }

    /// The next block.
    fn block(&mut self) -> Reading<[u8; BLOCK]> {
        self.fill(BLOCK)?;
        let block = self.buffer.get(self.start..).and_then(|rest| rest.first_chunk::<BLOCK>());
        let block = block.copied().unwrap_or([0; BLOCK]);
        self.start += BLOCK;
        Ok(block)
    }

    /// The next header. Nothing at the end, which is two blocks of zeros, or one and no more.
    fn header(&mut self) -> Reading<Option<Header>> {
        let is_first = self.entries == 0;
        if is_first && let Some(fault) = self.packed()? {
            return Err(fault);
        }
        if !is_first && !self.try_fill(1)? {
            // Some programs write no end marker, but the archive may as well be truncated.
            return bad(NO_END);
        }
        let block = self.block()?;
        if block != [0; BLOCK] {
            return Header::parse(&block).map(Some);
        }
        if self.try_fill(BLOCK)? && self.block()? != [0; BLOCK] {
            return bad("there is data after its end");
        }
        Ok(None)
    }

    /// Whether the first bytes are those of something compressed. No header begins like that, but
    /// for names that nobody has.
    fn packed(&mut self) -> Reading<Option<Fault>> {
        const FORMATS: [(&[u8], &str, &str); 5] = [
            (b"\x1f\x8b", "gzip", "zcat"),
            (b"\x28\xb5\x2f\xfd", "zstd", "zstdcat"),
            (b"\xfd7zXZ\0", "xz", "xzcat"),
            (b"BZh", "bzip2", "bzcat"),
            (b"\x04\x22\x4d\x18", "lz4", "lz4cat"),
        ];
        _ = self.try_fill(BLOCK)?;
        let text = self.buffer.get(self.start..).unwrap_or_default();
        if text.first_chunk().is_some_and(header::has_checksum) {
            return Ok(None);
        }
        let format = FORMATS.into_iter().find(|(start, ..)| text.starts_with(start));
        Ok(format.map(|(_, name, program)| Fault::Packed(name, program)))
    }

    /// Reads a header that is about the next entry, or about all that follow.
    fn ahead(&mut self, header: &Header, ahead: &mut Ahead) -> Reading<()> {
        let size = header.size()?;
        ahead.bytes = ahead.bytes.saturating_add(size).saturating_add(512);
        if ahead.bytes > MOST_HEADERS {
            return bad(format!("an entry has more than {MOST_HEADERS} bytes of headers"));
        }
        let text = self.text(size)?;
        match header.kind {
            Kind::Global => self.global.add(&text).and_then(|()| self.global.check_global()),
            Kind::LongName => Ahead::long_name(&mut ahead.path, text),
            Kind::LongTarget => Ahead::long_name(&mut ahead.target, text),
            _ if ahead.pax.is_some() => bad("it has two pax headers"),
            _ => ahead.pax.get_or_insert_default().add(&text),
        }
    }

    /// Content of this size, as a whole.
    fn text(&mut self, size: u64) -> Reading<Vec<u8>> {
        self.begin(size, vec![Segment { offset: 0, length: size }])?;
        let mut text = Vec::new();
        while let Some((_, piece)) = self.piece()? {
            text.extend_from_slice(piece);
        }
        self.skip()?;
        Ok(text)
    }

    /// Assembles an entry from its header and the records before it.
    fn entry(&mut self, header: &Header, what: What, ahead: Ahead) -> Reading<Entry> {
        self.count_entry()?;
        let Ahead { pax, path, target, .. } = ahead;
        let pax = pax.unwrap_or_default();
        let has_path = pax.path.is_some() || pax.sparse.has_name();
        if path.is_some() && has_path || target.is_some() && pax.target.is_some() {
            return bad("it has two long names");
        }
        let stored = match pax.size {
            Some(size) => size,
            None => header.size()?,
        };
        let mut entry = Entry {
            path: pax.path.clone().or(path).unwrap_or_else(|| header.path()),
            target: pax.target.clone().or(target).unwrap_or_else(|| header.target()),
            what,
            mode: header.mode()?,
            uid: pax.uid.or(self.global.uid).map_or_else(|| header.uid(), Ok)?,
            gid: pax.gid.or(self.global.gid).map_or_else(|| header.gid(), Ok)?,
            mtime: pax.mtime.or(self.global.mtime).map_or_else(|| header.mtime(), Ok)?,
            size: stored,
            attributes: pax.attributes,
        };
        if what == What::File && entry.path.ends_with(b"/") && header.is_plain_file() {
            entry.what = What::Directory;
        }
        if entry.what != What::File && stored != 0 {
            return bad("it has content, which its type cannot have");
        }
        if pax.sparse.is_sparse() && (entry.what != What::File || header.is_gnu_sparse()) {
            return bad("it is sparse in two ways, or no file that could be");
        }
        let sparse =
            if entry.what == What::File { self.sparse(header, &pax, stored)? } else { None };
        if let Some(sparse) = sparse {
            entry.size = sparse.size;
            entry.path = sparse.name.unwrap_or(entry.path);
        } else {
            self.begin(stored, vec![Segment { offset: 0, length: stored }])?;
        }
        for name in [&entry.path, &entry.target] {
            if name.contains(&0) {
                return bad("a name has a NUL byte in it");
            }
        }
        Ok(entry)
    }

    /// Finds the map of a sparse file, and sets out to read its content.
    fn sparse(&mut self, header: &Header, pax: &Pax, stored: u64) -> Reading<Option<sparse::Map>> {
        let mut left = stored;
        let map = if header.is_gnu_sparse() {
            let mut map = header.sparse()?;
            while map.is_continued {
                let block = self.block()?;
                map.continue_with(&block)?;
            }
            map
        } else if pax.sparse.has_map_in_content() {
            let mut text = sparse::Text::default();
            self.begin(stored, Vec::new())?;
            while !text.is_complete() {
                left = match left.checked_sub(512) {
                    Some(left) => left,
                    None => return bad("its sparse map does not end"),
                };
                let block = self.block()?;
                text.add(&block)?;
            }
            pax.sparse.with_segments(text.segments()?)?
        } else if pax.sparse.is_sparse() {
            pax.sparse.with_segments(pax.sparse.segments()?)?
        } else {
            return Ok(None);
        };
        map.check(left)?;
        self.begin(left, map.segments.clone())?;
        Ok(Some(map))
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
