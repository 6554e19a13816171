//! `bwrap`: runs a command in a sandbox that an ordinary user may make.
//!
//! The way through the house: argv → [`config::Config`] (plain data) → [`config::Config::check`] → [`launch`], which
//! splits into the [`monitor`] outside and [`sandbox::enter`] inside, the list of steps that ends with `execvp`.
#![cfg_attr(not(test), no_main)]

mod apparmor;
mod bpf;
mod caps;
mod cbpf;
mod cgroup;
mod cgroupfs;
mod clone;
mod command;
mod config;
#[cfg(test)]
mod docs;
mod elf;
mod error;
mod fds;
mod files;
mod gather;
mod hints;
mod host;
mod identity;
mod ids;
mod init;
mod introduce;
mod json;
mod labels;
mod landlock;
mod launch;
mod leaf;
mod limits;
mod links;
mod loopback;
mod monitor;
mod mount;
mod mountinfo;
mod op;
mod ops;
mod options;
mod parse;
mod plan;
mod plan_text;
mod policy;
mod privileges;
mod process;
mod program;
mod record;
mod remount;
mod root;
mod rules;
mod sandbox;
mod seccomp;
mod settle;
mod shelf;
mod signals;
mod status;
mod sys;
mod tcp;
mod tree;
mod values;
mod watch;
mod word;

use std::io::{self, Write as _};

use record::Request;
use word::Word;

/// What `--version` says: the version of bubblewrap whose interface this is. Build systems take the second or the last word of it,
/// so there is nothing else.
const VERSION: &[u8] = b"bubblewrap 0.13.1\n";

/// Does what the command line says; the result is the exit status.
///
/// The only place where an [`error::Error`] is printed. In the process that becomes COMMAND it does not return.
#[cfg_attr(test, expect(dead_code, reason = "under test the C entry point is the test runner's"))]
fn run(argv: Vec<Word>) -> i32 {
    let program = argv.first().copied().unwrap_or_default();
    let result = host::start().and_then(|start| {
        let request = parse::parse(argv.get(1..).unwrap_or_default())?;
        drop(argv);
        match request {
            Request::Help => Ok(print(&options::usage(program))),
            Request::Version => Ok(print(VERSION)),
            Request::Run(config) => launch::launch(config, start),
        }
    });
    result.unwrap_or_else(|error| {
        if error.wants_usage() {
            _ = io::stderr().write_all(&options::usage(program));
        }
        error.print();
        1
    })
}

/// Writes what was asked for to stdout; a reader that wants no more of it is no failure of ours.
fn print(text: &[u8]) -> i32 {
    _ = io::stdout().write_all(text);
    _ = io::stdout().flush();
    0
}
