//! The table of options as the program has it: without pointers.
//!
//! A pointer in a table is written when the program is loaded, because only then is it known where
//! the program is. Each page with one is then memory of the process's own, and not the file's that
//! all share. So the texts of [`OPTIONS`] lie in one piece here, and a row says where.

use std::ffi::{CStr, OsStr};
use std::fmt::Write as _;

use crate::cli::options::{Kind, OPTIONS, Operand, Place, Record, Section};
use crate::cli::record::{OVERLAY_RULE, Pending};
use crate::error::{Error, Result};

/// How many options there are.
const COUNT: usize = OPTIONS.len();

/// The most operands that an option has.
const MOST: usize = 3;

/// Where a word or a sentence is in [`TEXT`].
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u16,
    end: u16,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
struct Row {
    name: Span,
    help: Span,
    operands: [(Span, Kind); MOST],
    count: u8,
    section: Section,
    place: Place,
    pending: Pending,
}

/// Names, operands and sentences of all options, one behind the other.
struct Texts<const LENGTH: usize> {
    bytes: [u8; LENGTH],
    end: usize,
}

impl<const LENGTH: usize> Texts<LENGTH> {
    /// Adds one.
    #[expect(clippy::cast_possible_truncation, reason = "`LENGTH` is checked below")]
    const fn add(&mut self, text: &str) -> Span {
        let (start, mut index) = (self.end, 0);
        while index < text.len() {
            self.bytes[start + index] = text.as_bytes()[index];
            index += 1;
        }
        self.end += text.len();
        Span { start: start as u16, end: self.end as u16 }
    }
}

/// The length of all texts.
const LENGTH: usize = {
    let (mut length, mut index) = (0, 0);
    while index < COUNT {
        let row = &OPTIONS[index];
        length += row.name.len() + row.help.len();
        let mut operand = 0;
        while operand < row.operands.len() {
            length += row.operands[operand].0.len();
            operand += 1;
        }
        index += 1;
    }
    assert!(length <= u16::MAX as usize);
    length
};

/// The texts and the rows.
const PACKED: (Texts<LENGTH>, [Row; COUNT]) = {
    let nothing = Span { start: 0, end: 0 };
    let mut texts = Texts { bytes: [0; LENGTH], end: 0 };
    let mut rows = [Row {
        name: nothing,
        help: nothing,
        operands: [(nothing, Kind::Text); MOST],
        count: 0,
        section: Section::General,
        place: Place::Anywhere,
        pending: Pending::None,
    }; COUNT];
    let mut index = 0;
    while index < COUNT {
        let (row, from) = (&mut rows[index], &OPTIONS[index]);
        (row.section, row.place, row.pending) = (from.section, from.place, from.pending);
        (row.name, row.help) = (texts.add(from.name), texts.add(from.help));
        while (row.count as usize) < from.operands.len() {
            let (word, kind) = from.operands[row.count as usize];
            row.operands[row.count as usize] = (texts.add(word), kind);
            row.count += 1;
        }
        index += 1;
    }
    (texts, rows)
};

const BYTES: [u8; LENGTH] = PACKED.0.bytes;

const TEXT: &str = match std::str::from_utf8(&BYTES) {
    Ok(text) => text,
    Err(_) => "",
};

static ROWS: [Row; COUNT] = PACKED.1;

/// What the options record, in the order of the rows.
static RECORDS: [Record; COUNT] = {
    let mut records = [OPTIONS[0].record; COUNT];
    let mut index = 0;
    while index < COUNT {
        records[index] = OPTIONS[index].record;
        index += 1;
    }
    records
};

impl Span {
    fn text(self) -> &'static str {
        TEXT.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}

/// An option that is in the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    row: &'static Row,
    /// Puts what it says into the `Config`.
    pub(crate) record: Record,
}

/// Every option, in the order of `--help`.
pub(crate) fn all() -> impl Iterator<Item = Listed> {
    ROWS.iter().zip(&RECORDS).map(|(row, record)| Listed { row, record: *record })
}

/// The option that is an exact word.
pub(crate) fn find(name: &OsStr) -> Option<Listed> {
    all().find(|option| name == option.name())
}

/// The version of this program, as the last line of `--help` and the man page's footer show it.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The usage: what `--help` prints on stdout and a missing command on stderr.
pub(crate) fn usage(program: &CStr) -> Vec<u8> {
    let mut text = b"usage: ".to_vec();
    text.extend_from_slice(program.to_bytes());
    text.extend_from_slice(b" [OPTIONS...] [--] COMMAND [ARGS...]\n\n");
    for (section, title) in Section::ALL {
        text.extend_from_slice(format!("{title}:\n").as_bytes());
        for row in all().filter(|row| row.section() == section) {
            text.extend_from_slice(
                format!("    {:<28} {}\n", row.synopsis(), row.help()).as_bytes(),
            );
        }
        text.push(b'\n');
    }
    text.extend_from_slice(format!("See bwrap(1). This is bleb {OWN_VERSION}.\n").as_bytes());
    text
}

impl Listed {
    /// The exact word.
    pub(crate) fn name(self) -> &'static str {
        self.row.name.text()
    }

    /// One line for `--help`.
    pub(crate) fn help(self) -> &'static str {
        self.row.help.text()
    }

    /// What follows it.
    pub(crate) fn operands(
        self,
    ) -> impl ExactSizeIterator<Item = Operand> + DoubleEndedIterator + Clone {
        let operands = self.row.operands.iter().take(usize::from(self.row.count));
        operands.map(|(word, kind)| (word.text(), *kind))
    }

    /// Where the man page lists it.
    pub(crate) fn section(self) -> Section {
        self.row.section
    }

    /// How it takes part in the rules about modifiers.
    pub(crate) fn pending(self) -> Pending {
        self.row.pending
    }

    /// What is said when values are missing, in the reference's words.
    pub(crate) fn arity_error(self) -> String {
        let name = self.name();
        if name == "--overlay-src" {
            return OVERLAY_RULE.to_owned();
        }
        let values = match (self.operands().len(), name) {
            (1, "--argv0" | "--chdir" | "--remount-ro") => "one argument",
            (1, _) => "an argument",
            (2, _) => "two arguments",
            _ => "three arguments",
        };
        let name = if name == "--ro-bind-fd" { "--bind-fd" } else { name };
        format!("{name} takes {values}")
    }

    /// Refuses an option that is for the command line alone.
    pub(crate) fn check_in_profile(self) -> Result<()> {
        let name = self.name();
        if self.operands().any(|(_, kind)| kind == Kind::Fd) {
            return Err(Error::new(format!(
                "{name} takes the number of an open file and cannot be used in a profile"
            )));
        }
        match self.row.place {
            Place::Anywhere => Ok(()),
            Place::CommandLine => Err(Error::new(format!("{name} cannot be used in a profile"))),
        }
    }

    /// The option with its operands, as the texts show it.
    pub(crate) fn synopsis(self) -> String {
        let mut text = self.name().to_owned();
        for (operand, _) in self.operands() {
            _ = write!(text, " {operand}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_table() {
        assert_eq!(all().count(), OPTIONS.len());
        for (listed, row) in all().zip(OPTIONS) {
            assert_eq!((listed.name(), listed.help()), (row.name, row.help));
            assert!(listed.operands().eq(row.operands.iter().copied()), "{}", row.name);
            let rest = (listed.section(), listed.row.place, listed.pending());
            assert_eq!(rest, (row.section, row.place, row.pending), "{}", row.name);
            assert!(std::ptr::fn_addr_eq(listed.record, row.record), "{}", row.name);
        }
    }
}
