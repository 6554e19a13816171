//! argv → [`Config`](crate::config::Config): the loop over the words, which lexopt hands out.
//!
//! What each option is stands in [`crate::cli::options`], and what it records in
//! [`crate::cli::record`].

use std::os::unix::ffi::OsStrExt as _;

use lexopt::{Parser, RawArgs};

use crate::cli::options::{self, Row};
use crate::cli::record::{Recorder, Request};
use crate::cli::values::Values;
use crate::error::{Error, Result};
use crate::word::{self, Word};

/// Reads a whole command line, without the program's own name.
pub(crate) fn parse(words: impl ExactSizeIterator<Item = Word>) -> Result<Request> {
    let mut recorder = Recorder::default();
    recorder.count(words.len())?;
    let mut words = Parser::from_args(words.map(|word| word::unread(word.to_bytes())));
    read_options(&mut recorder, &mut words)?;
    recorder.finish(raw(&mut words)?.map(word::keep).collect())
}

/// Reads options until the first word that is none, or `--`. The words that remain are a command.
fn read_options(recorder: &mut Recorder, words: &mut Parser) -> Result<()> {
    while let Some(row) = next_option(words)? {
        let values: std::result::Result<Vec<Word>, _> =
            row.operands.iter().map(|_| words.value().map(word::keep)).collect();
        let values = values.map_err(|_| Error::new(row.arity_error()))?;
        (row.record)(recorder, &mut Values { option: row.name, words: values.iter() })?;
        recorder.read_file(read_options)?;
        if recorder.request.is_some() {
            break;
        }
        recorder.check_pending(row.pending)?;
    }
    Ok(())
}

/// The next option: a word of the table as it stands there. lexopt would know `--bind=a` and `-xyz`
/// as options too.
fn next_option(words: &mut Parser) -> Result<Option<&'static Row>> {
    match raw(words)?.next_if(|word| word.as_bytes().starts_with(b"-")) {
        None => Ok(None),
        Some(end) if end == "--" => Ok(None),
        Some(name) => match options::find(&name) {
            None => Err(Error::about("Unknown option", word::keep(name))),
            row => Ok(row),
        },
    }
}

/// The words that have not been read yet.
fn raw(words: &mut Parser) -> Result<RawArgs<'_>> {
    words.raw_args().map_err(|problem| Error::new(problem.to_string()))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
