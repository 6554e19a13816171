//! What recording costs: the same work in the same sandbox, with and without a recorder, alternately.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::common::Result;
use crate::measure::{Runs, Summary, ratio};

/// The recorder's options, each with what tables call it.
const RECORDERS: [(&str, &[&str]); 2] = [
    ("--learn", &["--learn", "{dir}/learned"]),
    ("and --learn-seccomp", &["--learn", "{dir}/learned", "--learn-seccomp", "{dir}/policy.json"]),
];

/// A supervisor in the recorder's place that only answers, and one that reads the names too: what no recorder can go below.
const FLOORS: [(&str, &[&str]); 2] = [("only answers", &["only"]), ("and reads", &["read"])];

/// What is done, and in which share of the rounds.
const WORK: [(&str, &str, usize); 3] = [
    ("git status, 20000 files", "git -C tree status --short", 8),
    ("cc, 10 files", "for i in 0 1 2 3 4 5 6 7 8 9; do cc -O1 -c c/$i.c -o c/$i.o || exit 1; done", 16),
    ("a computation", "awk 'BEGIN { for (i = 0; i < 10000000; i++) sum += i % 7; print sum }'", 16),
];

/// Files for `git status` and for the compiler, below a directory that the sandbox may write.
fn prepare(work: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", work.display());
    fs::create_dir_all(work.join("c")).map_err(failed)?;
    for number in 0..10 {
        let mut text = String::from("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n");
        for function in 0..40 {
            let line = "char text[99]; snprintf(text, sizeof text, \"%d\", x * x); return strlen(text) + abs(x);";
            _ = writeln!(text, "int f{function}(int x) {{ {line} }}");
        }
        fs::write(work.join(format!("c/{number}.c")), text).map_err(failed)?;
    }
    for dir in 0..200 {
        let path = work.join(format!("tree/{dir}"));
        fs::create_dir_all(&path).map_err(failed)?;
        for file in 0..100 {
            fs::write(path.join(file.to_string()), format!("{dir} {file}\n")).map_err(failed)?;
        }
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/compat-tests/bench/answers.c");
    let built = Command::new("cc").args(["-O2", "-o"]).arg(work.join("answers")).arg(source).status();
    if !built.is_ok_and(|status| status.success()) {
        return Err(format!("cc could not compile {source}"));
    }
    let commit = "git init -q && git add . && git -c user.name=a -c user.email=b commit -q -m all";
    let status = Command::new("sh").args(["-c", commit]).current_dir(work.join("tree")).status();
    if status.is_ok_and(|status| status.success()) { Ok(()) } else { Err("git could not make a tree".to_owned()) }
}

/// A work tree of git's to be measured, too.
fn tree() -> Option<String> {
    std::env::var("BENCH_TREE").ok()
}

/// The time of one run in milliseconds, with a recorder's options or in a supervisor's hands.
fn time(dir: &Path, script: &str, more: &[&str], floor: &[&str]) -> Result<f64> {
    for file in ["learned", "policy.json"] {
        _ = fs::remove_file(dir.join(file));
    }
    let work = dir.join("work");
    let mut command = Command::new(dir.join("bwrap"));
    command.args(["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind"]);
    command.args([&work, &work]).arg("--chdir").arg(&work);
    command.args(tree().iter().flat_map(|tree| ["--bind", tree, tree]));
    command.args(more.iter().map(|word| word.replace("{dir}", &dir.to_string_lossy())));
    let supervisor = work.join("answers");
    command.args(floor.first().map(|_| supervisor)).args(floor).args(["sh", "-c", script]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/").stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let time = start.elapsed();
    if output.status.success() && (more.is_empty() || dir.join("learned").exists()) {
        Ok(time.as_secs_f64() * 1e3)
    } else {
        Err(format!("{script}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

/// The table.
pub(crate) fn table(dir: &Path, runs: Runs) -> Result<()> {
    prepare(&dir.join("work"))?;
    println!("\nRecording: milliseconds, median (p10–p99); the ratio is the median of those of all rounds.\n");
    let columns = [FLOORS[0].0, FLOORS[1].0, RECORDERS[0].0, RECORDERS[1].0];
    print!("{:<26}{:>27}", "", "without");
    println!("{}", columns.map(|name| format!("{name:>27}{:>8}", "ratio")).concat());
    let script = tree().map(|tree| format!("git -c safe.directory=* -C '{tree}' status --short"));
    let more = script.as_deref().map(|script| ("git status, BENCH_TREE", script, 8));
    for (name, script, share) in WORK.into_iter().chain(more) {
        let mut times = [vec![], vec![], vec![], vec![], vec![]];
        for round in 0..=runs.of(share) {
            let kinds: [(&[&str], &[&str]); 5] =
                [(&[], &[]), (&[], FLOORS[0].1), (&[], FLOORS[1].1), (RECORDERS[0].1, &[]), (RECORDERS[1].1, &[])];
            for ((more, floor), times) in kinds.into_iter().zip(&mut times) {
                let time = time(dir, script, more, floor)?;
                if round > 0 {
                    times.push(time);
                }
            }
        }
        let [without, others @ ..] = &times;
        let column = |times: &Vec<f64>| format!("{:>27}{:>8.2}", Summary::of(times).to_string(), ratio(times, without));
        println!("{name:<26}{:>27}{}", Summary::of(without).to_string(), others.each_ref().map(column).concat());
    }
    Ok(())
}
