//! Runs the compat program: all cases, what needs more than cases, and the report.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use super::{Case, Difference, Lab, apart, page, report, select, trial};

/// Makes the trials that need more than cases.
pub(crate) type More = fn(&Arc<Lab>, &Arc<[Arc<Case>]>) -> Vec<Trial>;

/// Runs what the command line selects of the cases, and of the trials that need more than cases, and writes the report.
pub(crate) fn run(cases: Vec<Case>, differences: &'static [Difference], more: More) -> ExitCode {
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
    let mut trials = trial::all(&lab, &cases, differences);
    trials.extend(more(&lab, &cases));
    let named = trials.iter().map(|trial| trial.name().to_owned()).chain(cases.iter().map(|case| case.name.clone()));
    trials.push(page::trial(named.collect()));
    trials.push(page::unit_tests());
    let status = select::run(&arguments, trials);
    if !arguments.list && status.is_some() {
        report::write(&lab, &arguments, differences);
    }
    lab.close();
    status.unwrap_or(ExitCode::FAILURE)
}
