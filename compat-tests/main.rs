//! Compares `bwrap` with the reference: every case runs under both, as root and as an ordinary user, and what the two
//! did must be the same.
//!
//! How to write a case is told in [`cases`]. Environment:
//!
//! - `BWRAP_REFERENCE`: the reference; otherwise `target/reference` is used, which `compat-tests/reference` makes.
//! - `REQUIRED=1`: having no reference is an error.
//! - `COMPAT_BWRAP`: our side, where it is not what Cargo has just built.
//! - `COMPAT_SIDE=reference|ours`: runs one side only.
//! - `COMPAT_REFUSE=openat2,mount_setattr`: a seccomp filter answers ENOSYS to these calls of ours.
//! - `COMPAT_PATIENCE=6`: every case has six times its time, for slow machines.
//! - `COMPAT_ENDS_EARLY=1`: leaves out the rest once a case has failed, for mutants.
//! - `COMPAT_SHOW=1`: prints every outcome, for whoever writes a case.
//!
//! The random option lists of [`differential`] have an environment of their own.
//!
//! This program is also the probe that runs inside the sandboxes (`--probe`).

mod cases;
mod delegated;
mod differences;
mod differential;
mod harness;
mod order;
mod probe;
mod sys;
mod text;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--probe") {
        return probe::run(&arguments.collect::<Vec<_>>());
    }
    harness::run(cases::all(), differences::DIFFERENCES, |lab, cases| {
        let trials = cases::trials(cases).into_iter().chain(differential::trials(lab));
        let trials = trials.chain(delegated::trials(lab)).chain(order::trials());
        trials.chain([differences::trial()]).collect()
    })
}
