//! Runs cases: every case is a trial per identity, and every trial runs each side in a scratch directory of its own.

mod case;
mod compare;
mod fds;
pub(crate) mod filter;
pub(crate) mod lab;
mod live;
pub(crate) mod nested;
mod normal;
mod outcome;
mod places;
pub(crate) mod report;
mod scratch;
pub(crate) mod side;
mod trial;

pub(crate) use case::{Case, Tweak};
pub(crate) use compare::{Difference, Field};
pub(crate) use fds::Fd;
pub(crate) use lab::Identity;
pub(crate) use live::Live;
pub(crate) use normal::{options, text};
pub(crate) use outcome::{Exit, Outcome};
pub(crate) use scratch::Setup;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;

/// The result of anything that may go wrong in the harness; the words are for whoever reads the failure.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Runs what the command line selects and writes the report.
pub(crate) fn run(cases: Vec<Case>) -> ExitCode {
    let arguments = Arguments::from_args();
    let lab = match lab::Lab::open() {
        Ok(lab) => Arc::new(lab),
        Err(error) => {
            report::say(&format!("compat: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let trials = trial::all(&lab, cases);
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        report::write(&lab, &arguments);
    }
    lab.close();
    conclusion.exit_code()
}
