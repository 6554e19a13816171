//! argv → [`Config`](crate::config::Config): the loop over the words, which lexopt hands out.
//!
//! What each option is stands in [`crate::cli::options`], and what it records in
//! [`crate::cli::record`].

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;

use lexopt::{Parser, RawArgs};

use crate::cli::listed::{self, Listed};
use crate::cli::profiles::Next;
use crate::cli::record::{Pending, Recorder, Request};
use crate::cli::values::{Values, fd_number, status_number};
use crate::config::Origin;
use crate::error::{Error, Result};
use crate::fds::Inherited;
use crate::report;
use crate::word::{self, Word};

/// Reads a whole command line, without the program's own name. What it has on the stack is gone
/// before there are processes that stay.
#[inline(never)]
pub(crate) fn parse(
    words: impl ExactSizeIterator<Item = Word> + Clone,
    inherited: Inherited,
) -> Result<Request> {
    let mut recorder = Recorder::default();
    recorder.inherited = inherited;
    recorder.is_dry = is_dry(words.clone().map(CStr::to_bytes));
    recorder.count(words.len())?;
    let mut words = Parser::from_args(words.map(|word| word::unread(word.to_bytes())));
    read_options(&mut recorder, &mut words)?;
    recorder.finish(raw(&mut words)?.map(word::keep).collect())
}

/// Determines where and how to report failures, before any can happen. The words are parsed as
/// options, so that neither an option's value nor COMMAND's arguments count.
pub(crate) fn foresee<'a>(
    words: impl Iterator<Item = &'a [u8]> + Clone,
    inherited: &mut Inherited,
) {
    const WANTED: [&[u8]; 2] = [b"--error-fd", b"--setup-status"];
    if !words.clone().any(|word| WANTED.contains(&word)) {
        return;
    }
    let (mut fd, mut status) = (None, None);
    for (option, value) in options_in(words) {
        match (option, value.and_then(|value| CString::new(value).ok())) {
            (b"--error-fd", Some(value)) => fd = fd_number(&value).or(fd),
            (b"--setup-status", Some(value)) => status = status_number(&value).or(status),
            _ => {}
        }
    }
    if let Some(status) = status {
        report::use_status(status);
    }
    // One that is not open, or not for writing, changes nothing else.
    if let Some(fd) = fd.filter(|_| report::file().is_none())
        && let Ok(file) = inherited.take_for_good(fd)
    {
        report::use_file(file);
    }
}

/// Whether this is a dry run, which must be known before an option reads anything.
fn is_dry<'a>(words: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
    const WANTED: [&[u8]; 2] = [b"--dry-run", b"--dry-run-json"];
    words.clone().any(|word| WANTED.contains(&word))
        && options_in(words).any(|(option, _)| WANTED.contains(&option))
}

/// The options in words that have not been read yet, with their first values.
fn options_in<'a>(
    mut words: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
    std::iter::from_fn(move || {
        let word = words.next().filter(|word| word.starts_with(b"-") && *word != b"--")?;
        // An option that does not exist is an error that comes later.
        let operands = listed::find(OsStr::from_bytes(word)).map_or(0, |row| row.operands().len());
        let values: Vec<_> = words.by_ref().take(operands).collect();
        Some((word, values.first().copied()))
    })
}

/// Reads options until the first word that is none, or `--`. The words that remain are a command.
fn read_options(recorder: &mut Recorder, words: &mut Parser) -> Result<()> {
    let (mut last, mut values) = (None, Vec::new());
    while let Some(row) = next_option(words, last)? {
        last = Some(row);
        values.clear();
        for _ in row.operands() {
            let value = words.value().map_err(|_| Error::new(row.arity_error()).of(row.name()))?;
            values.push(word::keep(value));
        }
        (row.record)(recorder, &mut Values { option: row.name(), words: values.iter() })
            .map_err(|error| error.of(row.name()))?;
        recorder.config.last = match (row.operands().last(), values.last()) {
            (Some((operand, _)), Some(value)) => Some((row.name(), operand, value)),
            _ => None,
        };
        recorder.read_file(|recorder, words| {
            let unread = raw(words)?;
            let unread = unread.as_slice().iter().map(|word| word.as_bytes());
            foresee(unread.clone(), &mut recorder.inherited);
            recorder.is_dry |= is_dry(unread);
            read_options(recorder, words)
        })?;
        read_profiles(recorder)?;
        if recorder.request.is_some() {
            break;
        }
        recorder.check_pending(row.pending())?;
    }
    Ok(())
}

/// Reads profiles to their ends, if one was opened.
fn read_profiles(recorder: &mut Recorder) -> Result<()> {
    while let Some(next) = recorder.profiles.next() {
        let place = recorder.profiles.place();
        let result = match next {
            Ok(Next::Line(words)) => read_line(recorder, &words),
            Ok(Next::End) => {
                recorder.profiles.close();
                recorder.check_pending(Pending::None)
            }
            Err(error) => Err(error),
        };
        result.map_err(|error| match place {
            Some(Origin { file, line }) => error.at_line(file, line),
            None => error,
        })?;
    }
    Ok(())
}

/// One line of a profile: an option and its values, all of them and nothing else.
pub(crate) fn read_line(recorder: &mut Recorder, words: &[Word]) -> Result<()> {
    let Some((name, values)) = words.split_first() else { return Ok(()) };
    if !name.to_bytes().starts_with(b"-") {
        return Err(Error::about("A line of a profile begins with an option, not with", name));
    }
    let row = match listed::find(OsStr::from_bytes(name.to_bytes())) {
        Some(row) => row,
        None if name.to_bytes() == b"--" => {
            return Err(Error::new("-- and COMMAND cannot be used in a profile"));
        }
        None => return Err(unknown(name)),
    };
    row.check_in_profile().map_err(|error| error.of(row.name()))?;
    if values.len() < row.operands().len() {
        return Err(Error::new(row.arity_error()).of(row.name()));
    }
    if let Some(extra) = values.get(row.operands().len()) {
        let what = format!("{} ends before the word", row.synopsis());
        return Err(Error::about(&what, extra).of(row.name()));
    }
    (row.record)(recorder, &mut Values { option: row.name(), words: values.iter() })
        .map_err(|error| error.of(row.name()))?;
    recorder.check_pending(row.pending())
}

/// The next option: a word of the table as it stands there. lexopt would know `--bind=a` and `-xyz`
/// as options too. The one before is looked at first, for many a command line has long runs of one.
fn next_option(words: &mut Parser, last: Option<Listed>) -> Result<Option<Listed>> {
    match raw(words)?.next_if(|word| word.as_bytes().starts_with(b"-")) {
        None => Ok(None),
        Some(end) if end == "--" => Ok(None),
        Some(name) => match last.filter(|row| name == row.name()).or_else(|| listed::find(&name)) {
            None => Err(unknown(word::keep(name))),
            row => Ok(row),
        },
    }
}

/// An option that does not exist, and the one that was probably meant.
fn unknown(name: Word) -> Error {
    Error::about("Unknown option", name).hinted(|_| {
        let text = name.to_bytes();
        let option = text.split(|&byte| byte == b'=').next().unwrap_or_default();
        if option.len() < text.len()
            && let Some(row) = listed::find(OsStr::from_bytes(option))
        {
            return Some(format!("values are words of their own: {}", row.synopsis()));
        }
        let known = listed::all().map(Listed::name);
        word::nearest(option, known).map(|meant| format!("did you mean {meant}?"))
    })
}

/// The words that have not been read yet.
fn raw(words: &mut Parser) -> Result<RawArgs<'_>> {
    words.raw_args().map_err(|problem| Error::new(problem.to_string()))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
