//! `bwrap`: runs a command in a sandbox that an ordinary user may make.
//!
//! argv → [`config::Config`] (plain data) → [`config::Config::check`] → [`launch`], which splits
//! into the [`launch::monitor`] outside and [`sandbox::enter`] inside, the list of steps that ends
//! with `execvp`.
//!
//! The modules below are in the order of who may import whom, the ground floor last; a test holds
//! that.
#![cfg_attr(not(test), no_main)]

mod archive;
mod cli;
mod config;
mod confine;
mod error;
mod explain;
mod fds;
mod host;
mod kernel;
mod launch;
mod links;
mod profile;
mod record;
mod report;
mod sandbox;
mod word;

use std::io::{self, Write as _};

use cli::record::Request;
use cli::{listed, parse};
use fds::Inherited;
use profile::built_in;
use word::Word;

/// What `--version` says: the version of bubblewrap whose interface this is. Build systems take the
/// second or the last word of it, so it prints nothing else.
const VERSION: &[u8] = b"bubblewrap 0.13.1\n";

#[cfg(not(test))]
kernel::sys::entry!(run);

/// Does what the command line says; the result is the exit status.
///
/// The only place where an [`error::Error`] is printed. In the process that becomes COMMAND it does
/// not return.
#[cfg_attr(test, expect(dead_code, reason = "under test the C entry point is the test runner's"))]
fn run(mut argv: impl Iterator<Item = Word>) -> i32 {
    let program = argv.next().unwrap_or_default();
    // To find a word's end takes as long as all else that is done with it.
    let words: Vec<Word> = argv.collect();
    if kernel::environment::get(c"BWRAP_HINTS") == Some(c"1") {
        error::use_hints();
    }
    let mut inherited = Inherited::default();
    parse::foresee(words.iter().map(|word| word.to_bytes()), &mut inherited);
    let result = host::start().and_then(|start| {
        let request = parse::parse(words.iter().copied(), inherited)?;
        drop(words);
        match request {
            Request::Help => Ok(print(&listed::usage(program))),
            Request::Version => Ok(print(VERSION)),
            Request::CheckHost => explain::check_host::check_host(),
            Request::Profiles => Ok(print(built_in::list().as_bytes())),
            Request::Run(config, inherited) => launch::launch(config, start, inherited),
        }
    });
    result.unwrap_or_else(|error| {
        if error.wants_usage() {
            _ = io::stderr().write_all(&listed::usage(program));
        }
        error.print();
        report::status()
    })
}

/// Writes the requested text to stdout; a reader that closes its end early is not an error.
fn print(text: &[u8]) -> i32 {
    _ = io::stdout().write_all(text);
    _ = io::stdout().flush();
    0
}
