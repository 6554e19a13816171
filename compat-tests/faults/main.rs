//! Fault injection: every system call of the set-up fails once with each error that it can give, and every process is killed at every
//! call that it makes. Each time COMMAND must not have run unless its sandbox was complete, one line must name the step that failed, and
//! nothing may be left: no process, no mount, no file. What is tolerated instead is in [`tolerated`], each row with its reason.
//!
//! The program is a test of its own, because it traces, counts and reports in its own way, with the harness of the compat tests for
//! all that runs `bwrap`. Environment:
//!
//! - `FAULTS=all`: all points; without it a fixed choice of them that takes less than three minutes.
//! - `FAULTS_SIDE=reference`: the same for the reference, as a report: what does not hold is no failure.
//! - `REQUIRED=1`: not being allowed to trace is an error.
//! - `FAULTS_SHOW=1`: prints the outcome at every point.
//!
//! The report is `faults-report.txt` in the build directory. This program is also the tracer (`--trace`) and the probe (`--probe`).

mod calls;
mod campaign;
#[path = "../harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the compat tests use the rest of it")]
mod harness;
mod judge;
mod points;
#[path = "../probe/mod.rs"]
mod probe;
mod scenarios;
#[path = "../sys.rs"]
#[allow(dead_code, reason = "the compat tests use the rest of it")]
mod sys;
#[path = "../text.rs"]
mod text;
mod tolerated;
mod tracer;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--probe") => probe::run(&arguments.collect::<Vec<_>>()),
        Some("--trace") => tracer::run(&arguments.collect::<Vec<_>>()),
        _ => campaign::run(),
    }
}
