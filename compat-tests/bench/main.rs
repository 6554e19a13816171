//! `cargo bench`: what a sandbox costs, with the reference, with ours, and at the [floor](../../compat-tests/bench/floor.rs).
//!
//! Whole processes are measured, from spawn to reap. The programs are started alternately in one run, because only their
//! ratio means anything on a shared machine: of each round the ratios are taken, and of all ratios the median. Everything
//! runs as an ordinary user, also if root starts it. Nothing is asserted, for time proves nothing in a test.
//!
//! ```text
//! compat-tests/reference && cargo bench                 all of it
//! cargo bench -- typical binds                          the scenarios and tables whose names contain one of the words
//! cargo bench -- peers                                 what else makes sandboxes, as far as it is installed
//! BENCH_RUNS=1000 cargo bench                           more rounds than 200; slow scenarios take a share of them
//! BENCH_TREE=/src/linux cargo bench -- learn            recording of `git status` there, too
//! ```
//!
//! `target/binds.svg` is the time against the number of binds, as README.md here shows it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table on standard output is what this program is for")]

mod common;
mod learn;
mod measure;
mod memory;
mod peers;
mod programs;
mod scenarios;
mod svg;

use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use common::{Result, target};
use measure::Runs;
use programs::Programs;

/// Who everything runs as if root starts it: nobody's id, and nobody's group.
const USER: u32 = 54321;

/// The argument that tells the second process, the ordinary user's, where the programs are.
const INSIDE: &str = "--inside";

/// The same in a mount namespace with many mounts.
const CROWDED: &str = "--crowded";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let result = match arguments.split_first() {
        Some((mode, [dir, words @ ..])) if mode == INSIDE => run(Path::new(dir), words),
        Some((mode, [dir, words @ ..])) if mode == CROWDED => run_crowded(Path::new(dir), words),
        _ => start(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Puts the programs where an ordinary user can reach them, and goes on as one.
fn start(words: &[String]) -> Result<()> {
    let dir = std::env::temp_dir().join(format!("bleb-bench-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o755).create(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let result = start_in(&dir, words);
    // Without the directory there would be nothing to measure; a leftover of it harms nobody.
    _ = std::fs::remove_dir_all(&dir);
    result
}

fn start_in(dir: &Path, words: &[String]) -> Result<()> {
    programs::prepare(dir)?;
    let copy = dir.join("bench");
    std::env::current_exe()
        .and_then(|own| std::fs::copy(own, &copy))
        .map_err(|error| format!("the benchmark itself: {error}"))?;
    let mut command = Command::new(&copy);
    command.arg(INSIDE).arg(dir).args(words).current_dir(dir);
    if nix::unistd::Uid::effective().is_root() {
        chown(dir, Some(USER), Some(USER)).map_err(|error| error.to_string())?;
        command.uid(USER).gid(USER);
    }
    let status = command.status().map_err(|error| format!("the benchmark itself: {error}"))?;
    let (drawn, kept) = (dir.join(svg::NAME), target().join(svg::NAME));
    if drawn.exists() {
        std::fs::copy(drawn, &kept).map_err(|error| format!("{}: {error}", kept.display()))?;
        println!("\ndrawn: {}", kept.display());
    }
    if status.success() { Ok(()) } else { Err(format!("stopped, {status}")) }
}

/// Whether a name is among those that were asked for.
fn wanted(words: &[String], name: &str) -> bool {
    words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
}

/// All tables.
fn run(dir: &Path, words: &[String]) -> Result<()> {
    let programs = Programs::in_dir(dir);
    let runs = Runs::from_environment();
    programs.check()?;
    measure::head();
    let mut curve = vec![];
    for scenario in scenarios::all(dir)?.iter().filter(|scenario| wanted(words, &scenario.name)) {
        let row = measure::side_by_side(&programs, scenario, runs)?;
        println!("{row}");
        curve.extend(scenario.binds.map(|binds| (binds, row)));
    }
    if wanted(words, scenarios::CROWDED_NAME) {
        crowd(dir)?;
    }
    if curve.len() > 2 {
        std::fs::write(dir.join(svg::NAME), svg::draw(&curve)).map_err(|error| format!("{}: {error}", svg::NAME))?;
    }
    if wanted(words, "further") {
        measure::further(&programs.ours, &scenarios::further(dir)?, runs)?;
    }
    if wanted(words, "at once") {
        measure::throughput(&programs, runs)?;
    }
    if wanted(words, "peers") {
        peers::table(&programs, dir, runs)?;
    }
    if wanted(words, "learn") {
        learn::table(dir, runs)?;
    }
    if wanted(words, "memory") {
        memory::tables(&programs, dir)?;
    }
    if wanted(words, "calls") {
        memory::calls(&programs, dir)?;
    }
    Ok(())
}

/// Goes on in a namespace whose table of mounts is long.
fn crowd(dir: &Path) -> Result<()> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new(own).arg(CROWDED).arg(dir).status().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("among {} mounts: {status}", scenarios::CROWD)) }
}

fn run_crowded(dir: &Path, _: &[String]) -> Result<()> {
    scenarios::make_crowd(dir)?;
    let programs = Programs::in_dir(dir);
    for scenario in scenarios::crowded() {
        println!("{}", measure::side_by_side(&programs, &scenario, Runs::from_environment())?);
    }
    Ok(())
}
