//! argv → [`Config`](crate::config::Config): the loop over the words.
//!
//! What each option is stands in [`crate::cli::options`], and what it records in [`crate::cli::record`].

use crate::cli::options;
use crate::cli::record::{Recorder, Request};
use crate::cli::values::Values;
use crate::error::{Error, Result};
use crate::word::Word;

/// Reads a whole command line, without the program's own name.
pub(crate) fn parse(words: &[Word]) -> Result<Request> {
    let mut recorder = Recorder::new(words)?;
    let command = read_options(&mut recorder, words)?;
    recorder.finish(command)
}

/// Reads options until the first word that is none, or `--`. Returns the words that remain, which are a command.
fn read_options<'a>(recorder: &mut Recorder, mut words: &'a [Word]) -> Result<&'a [Word]> {
    while let [name, rest @ ..] = words {
        if name.to_bytes() == b"--" {
            return Ok(rest);
        }
        if !name.to_bytes().starts_with(b"-") {
            return Ok(words);
        }
        let Some(row) = options::find(name) else {
            return Err(Error::about("Unknown option", name));
        };
        let Some((values, rest)) = rest.split_at_checked(row.operands.len()) else {
            return Err(Error::new(row.arity_error()));
        };
        (row.record)(recorder, &mut Values { option: row.name, words: values.iter() })?;
        recorder.read_file(|recorder, words| read_options(recorder, words).map(drop))?;
        if recorder.request.is_some() {
            return Ok(&[]);
        }
        recorder.check_pending(row.pending)?;
        words = rest;
    }
    Ok(&[])
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
