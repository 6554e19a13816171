//! `cargo bench`: how long a sandbox takes, ours and the reference's, as whole processes from spawn to reap.
//!
//! The two are started alternately in one run, because only their ratio means anything on a shared machine: of each pair
//! the ratio is taken, and of all ratios the median. The reference is found as in the tests (`compat-tests/reference`).
//! `BENCH_RUNS` is the number of pairs (200). Nothing here is asserted.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table on standard output is what this program is for")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// A program with the words that come before the options.
struct Program {
    path: PathBuf,
    words: Vec<String>,
}

impl Program {
    /// The reference: by its own loader, so that no shell is measured with it.
    fn reference() -> Option<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
        let wrapper = std::env::var_os("BWRAP_REFERENCE").map_or_else(|| target.join("reference/bwrap"), PathBuf::from);
        let dir = wrapper.parent()?;
        let (loader, real) = (dir.join("ld.so"), dir.join("bwrap.real"));
        if !loader.exists() || !real.exists() {
            return wrapper.exists().then_some(Self { path: wrapper, words: vec![] });
        }
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let words = ["--library-path".to_owned(), text(dir.join("lib")), "--argv0".to_owned(), "bwrap".to_owned(), text(real)];
        Some(Self { path: loader, words: words.into() })
    }

    fn ours() -> Self {
        Self { path: env!("CARGO_BIN_EXE_bwrap").into(), words: vec![] }
    }

    /// The time of one run.
    fn run(&self, options: &[String]) -> Result<Duration, String> {
        let mut command = Command::new(&self.path);
        command.args(&self.words).args(options).arg("true").stdin(Stdio::null());
        let start = Instant::now();
        let status = command.status().map_err(|error| format!("{}: {error}", self.path.display()))?;
        let time = start.elapsed();
        if status.success() { Ok(time) } else { Err(format!("{} failed: {status}", self.path.display())) }
    }
}

/// The scenarios: a name and the options.
fn scenarios() -> Vec<(String, Vec<String>)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let typical = "--unshare-all --die-with-parent --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp";
    let mut scenarios = vec![
        ("plain".to_owned(), words("--ro-bind / /")),
        ("typical".to_owned(), words(typical)),
        ("typical, host's network".to_owned(), words(&format!("{typical} --share-net"))),
    ];
    for number in [50, 200, 1000] {
        let binds = (0..number).flat_map(|n| ["--ro-bind".to_owned(), "/usr".to_owned(), format!("/tmp/{n}")]);
        scenarios.push((format!("{number} binds"), words("--ro-bind / / --tmpfs /tmp").into_iter().chain(binds).collect()));
    }
    scenarios
}

/// The value below which this share of the values lies.
fn quantile(values: &mut [f64], share: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * share / 100).copied().unwrap_or(f64::NAN)
}

fn measure(reference: &Program, ours: &Program, runs: usize) -> Result<(), String> {
    println!("{:<26}{:>38}{:>38}{:>14}", "", "reference, ms: median (p10–p99)", "ours, ms: median (p10–p99)", "ours/reference");
    for (name, options) in scenarios() {
        let (mut theirs, mut own, mut ratios) = (vec![], vec![], vec![]);
        for _ in 0..runs {
            let (a, b) = (reference.run(&options)?.as_secs_f64(), ours.run(&options)?.as_secs_f64());
            theirs.push(a * 1e3);
            own.push(b * 1e3);
            ratios.push(b / a);
        }
        let show =
            |values: &mut [f64]| format!("{:.3} ({:.3}–{:.3})", quantile(values, 50), quantile(values, 10), quantile(values, 99));
        println!("{name:<26}{:>38}{:>38}{:>14.3}", show(&mut theirs), show(&mut own), quantile(&mut ratios, 50));
    }
    Ok(())
}

fn main() -> ExitCode {
    let runs = std::env::var("BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(200);
    let Some(reference) = Program::reference() else {
        eprintln!("no reference: run compat-tests/reference first");
        return ExitCode::FAILURE;
    };
    match measure(&reference, &Program::ours(), runs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
