//! Makes a trial of every case and identity, and the trials about the cases themselves.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Completion, Failed, Trial};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::apart::{self, Watch};
use super::compare::differing;
use super::identity::Side;
use super::lab::Lab;
use super::left_out::{lacking, left_out};
use super::record::{Record, Verdict};
use super::report::say;
use super::{Case, Difference, Field, Identity, Outcome, Result, normal, select, side};

/// The trials of cases, and those about the cases.
pub(crate) fn all(lab: &Arc<Lab>, cases: &Arc<[Arc<Case>]>, differences: &'static [Difference]) -> Vec<Trial> {
    let mut trials = about_cases(lab, cases, differences);
    trials.extend(of_cases(lab, cases, differences));
    trials
}

/// A trial of every case and identity.
pub(crate) fn of_cases(lab: &Arc<Lab>, cases: &[Arc<Case>], differences: &'static [Difference]) -> Vec<Trial> {
    let mut trials = vec![];
    for case in cases {
        for &identity in lab.identities.iter().filter(|identity| case.identities.contains(identity)) {
            let (lab, case) = (Arc::clone(lab), Arc::clone(case));
            let name = format!("{}::{}", case.name, identity.name());
            trials.push(Trial::ignorable_test(name, move || {
                if let Err(reason) = case.needs.iter().try_for_each(|needs| needs()) {
                    return Ok(left_out(reason));
                }
                if let Some(tool) = case.tools.iter().find(|tool| !is_installed(tool)) {
                    return lacking(format!("{tool} is not installed"));
                }
                if let Some(reason) = case.unrefused.filter(|_| std::env::var_os("COMPAT_REFUSE").is_some()) {
                    return Ok(left_out(reason));
                }
                if lab.is_over() {
                    return Ok(left_out("one has failed"));
                }
                let result = run(&lab, &case, identity, differences);
                lab.has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
                result.map(|()| Completion::Completed)
            }));
        }
    }
    trials
}

/// Whether the shell finds a program.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn run(lab: &Lab, case: &Case, identity: Identity, differences: &[Difference]) -> std::result::Result<(), Failed> {
    let (verdict, mut troubles) = settled(lab, case, identity, differences)?;
    lab.records().push(Record { case: case.name.clone(), identity, verdict });
    if troubles.is_empty() {
        return Ok(());
    }
    troubles.push(case.again(identity));
    Err(troubles.join("\n").into())
}

/// The verdict and what is wrong, once nobody else is to blame for it.
fn settled(lab: &Lab, case: &Case, identity: Identity, differences: &[Difference]) -> Result<(Verdict, Vec<String>)> {
    let watch = Watch::new()?;
    let (mut verdict, mut troubles, mut our_fault) = judge(lab, case, identity, differences);
    let (mut tries, mut disturbed) = (0, 0);
    // The reference's processes race with each other: its PID 1 takes locks, filters and capabilities while COMMAND runs already.
    // What it did is looked at again, and said; what ours did wrong by a claim is not. Neither is it anybody's fault if somebody else
    // on this machine has mounted something between the two.
    while !(troubles.is_empty() || our_fault || case.ours_only) {
        if watch.changed() && disturbed < MOST_DISTURBED {
            disturbed += 1;
        } else if tries < RETRIES {
            tries += 1;
            say(&format!("tried again: {}::{}\n", case.name, identity.name()));
        } else {
            break;
        }
        (verdict, troubles, our_fault) = judge(lab, case, identity, differences);
    }
    Ok((verdict, troubles))
}

/// How often a comparison is made again.
const RETRIES: usize = 2;

/// How often it is made again because the table of mounts has changed meanwhile.
const MOST_DISTURBED: usize = 50;

/// The verdict, what is wrong, and whether ours has broken a claim.
fn judge(lab: &Lab, case: &Case, identity: Identity, differences: &[Difference]) -> (Verdict, Vec<String>, bool) {
    let sides = lab.sides.iter().filter(|side| !case.ours_only || **side == Side::Ours);
    let mut troubles = vec![];
    let mut outcomes = vec![];
    let mut our_fault = false;
    for &side in sides {
        match side::run(lab, case, side, identity, |outcome| (claims(case, &outcome), outcome)) {
            Ok((claimed, outcome)) => {
                if lab.show {
                    say(&format!("{outcome}"));
                }
                our_fault |= side == Side::Ours && claimed.is_err();
                troubles.extend(claimed.err());
                outcomes.push(outcome);
            }
            Err(error) => {
                our_fault |= side == Side::Ours;
                troubles.push(format!("{}: {error}", side.name()));
            }
        }
    }
    let broken = !troubles.is_empty();
    let verdict = match outcomes.as_slice() {
        [reference, ours] => compare(case, reference, ours, differences, &mut troubles),
        _ => Verdict::OneSide,
    };
    (if broken { Verdict::Failed } else { verdict }, troubles, our_fault)
}

/// The outcomes of the reference and of ours.
pub(crate) fn both(lab: &Lab, case: &Case, identity: Identity) -> Result<(Outcome, Outcome)> {
    let one = |side: Side| side::run(lab, case, side, identity, |outcome| outcome).map_err(|e| format!("{}: {e}", side.name()));
    Ok((one(Side::Reference)?, one(Side::Ours)?))
}

fn claims(case: &Case, outcome: &Outcome) -> Result<()> {
    for claim in &case.claims {
        claim(outcome).map_err(|words| format!("{words}\n{outcome}"))?;
    }
    Ok(())
}

fn compare(case: &Case, reference: &Outcome, ours: &Outcome, differences: &[Difference], troubles: &mut Vec<String>) -> Verdict {
    let identity = ours.identity;
    let found = differing(case, reference, ours);
    let declared = differences.iter().filter(|row| row.concerns(&case.name, identity)).collect::<Vec<_>>();
    let is_declared = |field: Field| declared.iter().any(|row| row.field == field);
    let undeclared = found.iter().filter(|(field, _)| !is_declared(*field)).collect::<Vec<_>>();
    for (field, text) in &undeclared {
        troubles.push(format!("{field} differs:\n{text}"));
    }
    if !undeclared.is_empty() {
        troubles.push(format!("{reference}{ours}"));
        return Verdict::Differs;
    }
    for row in &declared {
        if !found.iter().any(|(field, _)| *field == row.field) {
            troubles.push(format!("the declared difference in {} is gone ({})", row.field, row.reason));
        }
    }
    if found.is_empty() { Verdict::Same } else { Verdict::Declared }
}

/// The trials about the cases: every option has one, every declared difference names one, and names are unique.
fn about_cases(lab: &Arc<Lab>, cases: &Arc<[Arc<Case>]>, differences: &'static [Difference]) -> Vec<Trial> {
    let (lab, beside) = (Arc::clone(lab), Arc::clone(lab));
    let (all, named, counted) = (Arc::clone(cases), Arc::clone(cases), Arc::clone(cases));
    vec![
        Trial::test("coverage::every_option_has_a_case", move || {
            let options = options(&lab)?;
            let mut words = HashSet::new();
            all.iter().for_each(|case| case.add_words(&mut words));
            let missing = options.iter().filter(|o| !words.contains(o.as_bytes())).cloned().collect::<Vec<_>>();
            if missing.is_empty() { Ok(()) } else { Err(format!("no case for {}", missing.join(" ")).into()) }
        }),
        Trial::test("coverage::every_difference_names_a_case", move || {
            let lost = differences.iter().map(|row| row.case).filter(|name| !named.iter().any(|c| c.name == *name));
            let lost = lost.collect::<Vec<_>>();
            if lost.is_empty() { Ok(()) } else { Err(format!("no such case: {}", lost.join(" ")).into()) }
        }),
        Trial::ignorable_test("coverage::mounts_of_others_are_no_difference", move || mounts_of_others(&beside)),
        Trial::test("coverage::words_select_by_globs", || match select::troubles() {
            troubles if troubles.is_empty() => Ok(()),
            troubles => Err(troubles.join("\n").into()),
        }),
        Trial::test("coverage::names_are_unique", move || {
            let mut list = counted.iter().map(|case| case.name.as_str()).collect::<Vec<_>>();
            list.sort_unstable();
            let twice = list.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect::<Vec<_>>();
            if twice.is_empty() { Ok(()) } else { Err(format!("used twice: {}", twice.join(" ")).into()) }
        }),
    ]
}

/// Mounts that somebody else makes between the two sides' runs, more often than a comparison is made again, are no difference.
fn mounts_of_others(lab: &Lab) -> std::result::Result<Completion, Failed> {
    if lab.sides.len() < 2 || !lab.identities.contains(&Identity::Root) {
        return Ok(left_out("needs the reference and root"));
    }
    let runs = AtomicUsize::new(0);
    let case = Case::new("mounts_of_others").probe_on_host(&["mounts"]).ok().setup(move |setup| {
        // The reference, which runs first, has it, and ours has not.
        let run = runs.fetch_add(1, Ordering::Relaxed);
        if run < 10 * RETRIES && run.is_multiple_of(2) {
            setup.dir("others")?;
            setup.hold(Mounted::on(setup.path("others"))?);
        }
        Ok(())
    });
    // In a namespace of its own, where it disturbs no other trial.
    let apart = || apart::enter(false).and_then(|()| settled(lab, &case, Identity::Root, &[]));
    let (verdict, troubles) = std::thread::scope(|scope| scope.spawn(apart).join()).map_err(|_| "the thread panicked")??;
    if verdict == Verdict::Same { Ok(Completion::Completed) } else { Err(troubles.join("\n").into()) }
}

/// A mount as long as it lives.
struct Mounted(PathBuf);

impl Mounted {
    fn on(path: PathBuf) -> Result<Self> {
        mount(Some("others"), &path, Some("tmpfs"), MsFlags::empty(), None::<&str>).map_err(|e| format!("mount: {e}"))?;
        Ok(Self(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// What the help lists; the last side is ours if ours runs.
fn options(lab: &Lab) -> Result<Vec<String>> {
    let side = lab.sides.last().copied().ok_or("no side to run")?;
    let output = Command::new(lab.executable(side)).arg("--help").output().map_err(|e| e.to_string())?;
    let options = normal::options(&String::from_utf8_lossy(&output.stdout));
    if options.len() < 60 { Err(format!("only {} options in --help", options.len())) } else { Ok(options.into_iter().collect()) }
}
