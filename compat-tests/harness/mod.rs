//! Runs cases: every case is a trial per identity, and every trial runs each side in a scratch directory of its own.

#[allow(dead_code, reason = "faults and load ask it all")]
pub(crate) mod apart;
mod case;
mod compare;
mod fds;
pub(crate) mod filter;
pub(crate) mod lab;
mod live;
pub(crate) mod nested;
mod normal;
mod outcome;
pub(crate) mod page;
mod places;
pub(crate) mod report;
mod scratch;
pub(crate) mod select;
pub(crate) mod side;
pub(crate) mod trial;

pub(crate) use case::{Case, Tweak};
pub(crate) use compare::{Difference, Field, differing};
pub(crate) use fds::Fd;
pub(crate) use lab::{Identity, Lab};
pub(crate) use live::Live;
pub(crate) use normal::{options, text};
pub(crate) use outcome::{Exit, Outcome};
pub(crate) use report::say;
pub(crate) use scratch::Setup;
pub(crate) use trial::both;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

/// The result of anything that may go wrong in the harness; the words are for whoever reads the failure.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Makes the trials that need more than cases.
pub(crate) type More = fn(&Arc<Lab>, &Arc<[Arc<Case>]>) -> Vec<Trial>;

/// Runs what the command line selects of the cases, and of the trials that need more than cases, and writes the report.
pub(crate) fn run(cases: Vec<Case>, more: More) -> ExitCode {
    let arguments = Arguments::from_args();
    // An ordinary user has no namespace without another user namespace, and what an ordinary user's sandboxes are is to be seen.
    if nix::unistd::Uid::effective().is_root()
        && let Err(error) = apart::enter(false)
    {
        report::say(&format!("compat: others' mounts may disturb: {error}\n"));
    }
    let lab = match Lab::open() {
        Ok(lab) => Arc::new(lab),
        Err(error) => {
            report::say(&format!("compat: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let cases = cases.into_iter().map(Arc::new).collect();
    let mut trials = trial::all(&lab, &cases);
    trials.extend(more(&lab, &cases));
    let named = trials.iter().map(|trial| trial.name().to_owned()).chain(cases.iter().map(|case| case.name.clone()));
    trials.push(page::trial(named.collect()));
    let status = select::run(&arguments, trials);
    if !arguments.list && status.is_some() {
        report::write(&lab, &arguments);
    }
    lab.close();
    status.unwrap_or(ExitCode::FAILURE)
}
