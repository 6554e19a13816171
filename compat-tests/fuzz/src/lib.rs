//! Fuzzing of all that reads bytes from outside: the command line, `--args`, profiles, seccomp programs and policies, and the mount table.
//!
//! The modules are the program's own, taken by their path and unchanged. Below them stands a [`kernel::sys`] whose fds are pieces of
//! memory, so that no number in an input reaches a real fd. What is asserted: nothing panics, and a second parser, written
//! the plainest way, takes the same inputs and understands the same by them ([`model`]).
//!
//! ```sh
//! cargo install cargo-fuzz    # once; and apt-get install g++
//! cd compat-tests/fuzz
//! export RUSTC_BOOTSTRAP=1    # or a nightly toolchain
//! cargo fuzz run -s none --fuzz-dir . words -- -max_len=512 -max_total_time=300 -close_fd_mask=2 -rss_limit_mb=8192
//! ```
//!
//! The targets are `words`, `args`, `profile`, `seccomp`, `policy`, `mountinfo`, `tar` and `glob`. No sanitizer is needed: there is no unsafe code here, and what the
//! parser keeps until the process ends would be called a leak. Its warnings would fill the screen, so stderr is closed.
//! `cargo test --no-default-features` runs every target over inputs from a small generator, without libFuzzer.
#![expect(dead_code, reason = "the program's modules have more in them than what is fuzzed")]

#[path = "../../../src/archive/mod.rs"]
mod archive;
#[path = "../../../src/cli/mod.rs"]
mod cli;
#[path = "../../../src/config/mod.rs"]
mod config;
#[path = "../../../src/confine/mod.rs"]
mod confine;
#[path = "../../../src/error.rs"]
mod error;
#[path = "../../../src/fds.rs"]
mod fds;
mod globs;
#[path = "../../../src/host.rs"]
mod host;
mod kernel;
mod lines;
#[path = "../../../src/links/mod.rs"]
mod links;
mod model;
mod points;
#[path = "../../../src/profile/mod.rs"]
mod profile;
#[path = "../../../src/report.rs"]
mod report;
mod table;
#[path = "../../../src/word.rs"]
mod word;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use archive::fault::Fault;
use archive::header::What;
use archive::read::Archive;
use cli::options::{OPTIONS, Section};
use cli::parse;
use cli::record::{Pending, Recorder, Request};
use confine::seccomp::{self, policy};
use fds::Inherited;
use kernel::sys;
use profile::text;
use word::Word;

/// The command line: the input is its words. The fds 7 to 9 hold something.
pub fn words(input: &[u8]) {
    let words = model::words(input, true);
    let files =
        [(7, vec![6; 15]), (8, vec![6; 16]), (9, b"--perms\x000700\0--dir\0/x\0y".to_vec())];
    compare(&words, &files);
}

/// The content of two `--args` fds; a byte of 255 parts them.
pub fn args(input: &[u8]) {
    let content = |part: Option<&[u8]>| {
        let part = part.unwrap_or_default();
        let mut content = model::words(part, false).join(&0);
        // With or without the final NUL, as the input has it.
        content.extend(part.last().filter(|&&byte| byte == 0));
        content
    };
    let mut parts = input.splitn(2, |&byte| byte == 0xff);
    let files = [(9, content(parts.next())), (8, content(parts.next()))];
    let words = ["--args", "9", "--dir", "/between", "--args", "8", "--", "command"];
    compare(&words.map(|word| word.as_bytes().to_vec()), &files);
}

/// The name of an option, for whoever makes inputs.
pub fn option(number: usize) -> &'static [u8] {
    model::OPTIONS.get(number).map_or(b"--no-such", |(name, _)| name.as_bytes())
}

/// Whether it names an option that bubblewrap does not have. The second parser does not know them.
fn is_beyond(text: &[u8]) -> bool {
    let mut beyond = OPTIONS.iter().filter(|row| row.section == Section::Beyond);
    beyond.any(|row| text.windows(row.name.len()).any(|part| part == row.name.as_bytes()))
}

/// Parses by both parsers.
fn compare(words: &[Vec<u8>], files: &[(i32, Vec<u8>)]) {
    if words.iter().any(|word| is_beyond(word))
        || files.iter().any(|(_, content)| is_beyond(content))
    {
        return;
    }
    sys::open(files);
    let ours = match parse::parse(words.iter().map(|word| kept(word)), Inherited::default()) {
        Ok(Request::Run(config, _)) => table::of_config(&config),
        Ok(Request::Help) => "help".to_owned(),
        Ok(Request::Version) => "version".to_owned(),
        Ok(Request::Profiles) => "profiles".to_owned(),
        Ok(Request::CheckHost) => "check-host".to_owned(),
        Err(error) => format!("error: {error}"),
    };
    let expected = model::parse(words, files);
    // How an error is put is the business of the compat cases, that it is one is ours.
    let same = if expected == "error" { ours.starts_with("error: ") } else { ours == expected };
    assert!(same, "{words:?}\nby the parser: {ours}\nby the model: {expected}");
}

/// A word that lives as long as one of argv's; equal ones are kept once.
fn kept(word: &[u8]) -> Word {
    thread_local!(static KEPT: RefCell<BTreeSet<Word>> = const { RefCell::new(BTreeSet::new()) });
    let word = CString::new(word).unwrap_or_default();
    KEPT.with_borrow_mut(|kept| {
        if let Some(known) = kept.get(word.as_c_str()) {
            return *known;
        }
        let new: &'static CStr = Box::leak(word.into_boxed_c_str());
        kept.insert(new);
        new
    })
}

/// A seccomp program: taken as it is or refused, never cut.
pub fn seccomp(input: &[u8]) {
    sys::open(&[(9, input.to_vec())]);
    let program = sys::inherited(9).map(|file| seccomp::read(file.as_fd()));
    let program = program.unwrap_or_else(|errno| panic!("{errno}"));
    assert_eq!(
        program.is_ok(),
        input.len() % 8 == 0 && input.len() / 8 <= 4096,
        "{} bytes",
        input.len()
    );
    let Ok(program) = program else { return };
    let bytes = program.instructions.iter().flat_map(|row| {
        let ([c0, c1], [k0, k1, k2, k3]) = (row.code.to_ne_bytes(), row.k.to_ne_bytes());
        [c0, c1, row.jt, row.jf, k0, k1, k2, k3]
    });
    assert!(bytes.eq(input.iter().copied()), "a program has changed");
}

/// A seccomp profile: whatever it is, the filter is no longer than what the kernel takes and ends with an answer, or the problem is told
/// on one line.
pub fn policy(input: &[u8]) {
    match policy::compile(input, &policy::Facts { caps: 1, kernel: (6, 1) }) {
        Ok(policy::Compiled { program, .. }) => {
            assert!(!program.instructions.is_empty() && program.instructions.len() <= 4096);
            assert_eq!(
                program.instructions.last().map(|last| last.code),
                Some(6),
                "the last one is no return"
            );
        }
        Err(problem) => {
            assert!(policy::one_line(&problem).chars().all(error::is_plain), "{problem:?}")
        }
    }
}

/// A profile: the same words by both readers, the same options by both parsers, and each word can be
/// written so that it is read back.
pub fn profile(input: &[u8]) {
    let known = |name: &[u8]| Ok(lines::variable(name).map(<[u8]>::to_vec));
    let mut recorder = Recorder::default();
    let (mut read, mut fault, mut options) = (vec![], None, Ok(()));
    for (index, line) in input.split(|&byte| byte == b'\n').enumerate() {
        match text::words(line, &known) {
            Ok(words) if words.is_empty() => {}
            Ok(words) => read.push(words),
            Err(problem) => {
                assert!(!problem.is_empty());
                fault = Some(index + 1);
                break;
            }
        }
    }
    let (expected, place) = lines::read(input);
    assert_eq!((&read, fault), (&expected, place), "{}", input.escape_ascii());
    for word in read.iter().flatten() {
        let written = text::quoted(word);
        let again = text::words(written.as_bytes(), &known);
        assert_eq!(again.as_deref(), Ok(std::slice::from_ref(word)), "{written}");
    }
    if read.iter().flatten().any(|word| is_beyond(word)) {
        return;
    }
    for words in &read {
        let words: Vec<Word> = words.iter().map(|word| kept(word)).collect();
        options = options.and_then(|()| parse::read_line(&mut recorder, &words));
    }
    let options = options.and_then(|()| recorder.check_pending(Pending::None));
    let ours = match options.and_then(|()| recorder.finish(vec![c"command"])) {
        Ok(Request::Run(config, _)) => table::of_config(&config),
        Ok(_) => "something else".to_owned(),
        Err(error) => format!("error: {error}"),
    };
    let expected = model::profile(&read);
    let same = if expected == "error" { ours.starts_with("error: ") } else { ours == expected };
    assert!(same, "{}\nby the parser: {ours}\nby the model: {expected}", input.escape_ascii());
}

/// A pattern of `--mask-glob` and a path, parted by a NUL byte.
pub fn glob(input: &[u8]) {
    globs::check(input, kept);
}

/// An archive: whatever it is, its entries and their content come to an end, in order and inside the size that is told, and a problem is
/// told on one line.
pub fn tar(input: &[u8]) {
    let mut archive = Archive::new(input);
    let mut left = input.len();
    loop {
        let entry = match archive.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(Fault::Bad(text)) => {
                assert!(!text.is_empty() && text.chars().all(error::is_plain), "{text:?}");
                break;
            }
            Err(Fault::Packed(..)) => break,
            Err(Fault::Read(errno)) => panic!("{errno}"),
        };
        // Each has a header of its own, and no name is longer than what describes it.
        left = left.checked_sub(512).expect("more entries than headers");
        assert!(entry.path.len() + entry.target.len() <= 65536 && entry.mode <= 0o7777);
        assert!(
            !entry.path.contains(&0) && !entry.target.contains(&0) && entry.mtime.1 < 1_000_000_000
        );
        assert!(entry.what == What::File || entry.size == 0, "{entry:?}");
        let mut end = 0;
        while let Ok(Some((offset, piece))) = archive.piece() {
            assert!(offset >= end && !piece.is_empty(), "pieces that overlap");
            end = offset + u64::try_from(piece.len()).unwrap_or(u64::MAX);
            left = left.checked_sub(piece.len()).expect("more content than there is");
        }
        assert!(end <= entry.size, "content beyond the end");
    }
}

/// The mount table: the input is one, and it is a mount point, which has to survive being written into a table.
pub fn mountinfo(input: &[u8]) {
    points::check_tree(input);
    let path = input.iter().copied().take_while(|&byte| byte != 0).collect::<Vec<_>>();
    points::check_point(&path);
}
