//! Random option lists, most of them valid, run on both sides and compared end to end.
//!
//! Each run is made from the seed and its own number alone, so it can be made again. Environment:
//!
//! - `DIFFERENTIAL_SEED`: another sequence of runs; the default is always the same.
//! - `DIFFERENTIAL_RUNS`: how many runs for each identity.
//! - `DIFFERENTIAL_RUN`: only the run of this number, whose script is printed; with `COMPAT_SHOW=1` the outcomes too.
//!
//! A difference is looked at again, for the reference's processes race with each other, then the option list is made smaller
//! while it differs, and printed as a shell script.

mod fixture;
mod generate;
mod known;
mod maker;
mod options;
mod places;
mod plan;
mod quote;
mod random;
mod shrink;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};

use crate::harness::{Field, Identity, Lab, Outcome, both, differing, left_out, say};
use plan::Plan;
use random::Random;

/// How many runs an identity has by default.
const RUNS: u64 = 600;
/// The runs are shared out among this many trials, which run beside each other.
const TRIALS: u64 = 8;
/// How often a difference is looked at again.
const RETRIES: usize = 3;
/// How many smaller plans are tried, so that a difference that all of them share takes no hours.
const ATTEMPTS: usize = 100;

/// The trials, a few for each identity.
pub(crate) fn trials(lab: &Arc<Lab>) -> Vec<Trial> {
    let mut trials = vec![];
    for &identity in &lab.identities {
        for number in 0..TRIALS {
            let lab = Arc::clone(lab);
            trials.push(Trial::ignorable_test(format!("differential::{number}::{}", identity.name()), move || {
                if lab.sides.len() < 2 {
                    return Ok(left_out("needs a reference"));
                }
                if lab.is_over() {
                    return Ok(left_out("one has failed"));
                }
                if std::env::var_os("COMPAT_REFUSE").is_some() {
                    return Ok(left_out("the reference is refused nothing"));
                }
                runs(&lab, identity, number).map(|()| Completion::Completed)
            }));
        }
    }
    trials
}

fn setting(name: &str) -> Result<Option<u64>, Failed> {
    let parse = |text: String| text.parse().map_err(|e| Failed::from(format!("{name}={text}: {e}")));
    std::env::var(name).ok().map(parse).transpose()
}

/// The runs of one trial: every so manieth.
fn runs(lab: &Lab, identity: Identity, trial: u64) -> Result<(), Failed> {
    let seed = setting("DIFFERENTIAL_SEED")?.unwrap_or(1);
    let only = setting("DIFFERENTIAL_RUN")?;
    let all = setting("DIFFERENTIAL_RUNS")?.unwrap_or(RUNS);
    let mut tally = Tally::default();
    for run in (0..all).chain(only).filter(|run| run % TRIALS == trial && only.is_none_or(|only| only == *run)) {
        let plan = generate::plan(&Random::of(seed ^ u64::from(identity == Identity::User) << 63, run), identity);
        let name = format!("seed {seed} run {run} as {}", identity.name());
        examine(lab, &plan, identity, &name, &mut tally);
        if only.is_some() {
            say(&(fixture::script() + &plan.script(identity)));
            break;
        }
    }
    say(&format!("differential {trial} as {}: {tally}\n", identity.name()));
    if tally.found.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n---- what all of them begin with\n{}", tally.found.join("\n"), fixture::script()).into())
}

/// What came of the runs.
#[derive(Default)]
struct Tally {
    runs: usize,
    /// Those in which COMMAND was executed.
    executed: usize,
    declared: BTreeMap<&'static str, usize>,
    retried: usize,
    found: Vec<String>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} runs, {} of them ran a command, {} tried again", self.runs, self.executed, self.retried)?;
        for (reason, count) in &self.declared {
            write!(f, ", {count} declared ({reason})")?;
        }
        write!(f, ", {} differences", self.found.len())
    }
}

/// One run: compared, and if it differs made small.
fn examine(lab: &Lab, plan: &Plan, identity: Identity, name: &str, tally: &mut Tally) {
    tally.runs += 1;
    let mut verdict = compare(lab, plan, identity);
    for _ in 0..RETRIES {
        if matches!(verdict, Ok(Verdict { ref differs, .. }) if differs.is_empty()) {
            break;
        }
        tally.retried += 1;
        verdict = compare(lab, plan, identity);
    }
    match verdict {
        Err(error) => tally.found.push(format!("{name}: {error}\n{}", plan.script(identity))),
        Ok(verdict) => {
            tally.executed += usize::from(verdict.executed);
            for reason in verdict.declared {
                *tally.declared.entry(reason).or_default() += 1;
            }
            if let Some((field, _)) = verdict.differs.first() {
                let report = report(lab, plan, identity, name, *field);
                say(&report);
                tally.found.push(report);
            }
        }
    }
}

/// The smallest plan that differs in this field, as a script with what differs.
fn report(lab: &Lab, plan: &Plan, identity: Identity, name: &str, field: Field) -> String {
    let attempts = Cell::new(0);
    let differs = |plan: &Plan| {
        attempts.set(attempts.get() + 1);
        if attempts.get() > ATTEMPTS {
            return false;
        }
        let shows = |verdict: Result<Verdict, String>| verdict.is_ok_and(|v| v.differs.iter().any(|(f, _)| *f == field));
        shows(compare(lab, plan, identity)) && shows(compare(lab, plan, identity))
    };
    let small = shrink::shrink(plan, differs);
    let texts = match compare(lab, &small, identity) {
        Ok(verdict) => {
            verdict.differs.iter().map(|(field, text)| format!("{field} differs:\n{text}")).collect::<Vec<_>>().concat()
        }
        Err(error) => error,
    };
    format!("---- {name}\n{texts}{}", small.script(identity))
}

/// What a comparison has shown.
struct Verdict {
    differs: Vec<(Field, String)>,
    declared: Vec<&'static str>,
    executed: bool,
}

/// Runs both sides once.
fn compare(lab: &Lab, plan: &Plan, identity: Identity) -> Result<Verdict, String> {
    let case = known::blurs(plan, plan.case("differential"));
    let (reference, ours) = both(lab, &case, identity)?;
    if lab.show {
        say(&format!("{reference}{ours}"));
    }
    let mut declared = vec![];
    let mut differs = vec![];
    for (field, text) in differing(&case, &reference, &ours) {
        match known::reason(plan, field, &reference, &ours) {
            Some(reason) => declared.push(reason),
            None => differs.push((field, text)),
        }
    }
    declared.dedup();
    Ok(Verdict { differs, declared, executed: executed(&ours) })
}

/// Whether the outcome is not that of a failed set-up.
fn executed(outcome: &Outcome) -> bool {
    !outcome.stdout.is_empty() || !outcome.stderr.contains("bwrap: ")
}
