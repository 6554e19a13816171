//! A trial for each scenario and identity: an undisturbed run, then one run for each point, and the counts of all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::judge::{self, Calm, Told, Verdict, judge};
use super::points::{self, Point};
use super::scenarios::{SCENARIOS, Scenario};
use super::tolerated::TOLERATED;
use super::tracer::{self, Fault, Place, REPORT};
use crate::harness::lab::{Lab, Side, target_directory};
use crate::harness::report::say;
use crate::harness::{Case, Fd, Identity, Outcome, Result, side};

/// Points tried and points that held.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    tried: usize,
    held: usize,
    went_on: usize,
}

/// What all trials have found.
#[derive(Debug, Default)]
struct Found {
    /// By scenario and identity: errors and kills.
    counts: BTreeMap<(usize, Identity), [Count; 2]>,
    /// What did not hold, in words.
    broken: Vec<String>,
    /// Rows of the table of tolerances that were needed.
    needed: BTreeSet<usize>,
}

/// The run's settings, and what it finds.
struct Campaign {
    lab: Lab,
    side: Side,
    /// Whether every point is tried.
    all: bool,
    show: bool,
    found: Mutex<Found>,
}

/// How often a call is waited for again.
const ATTEMPTS: usize = 3;

fn is_set(name: &str, value: &str) -> bool {
    std::env::var(name).is_ok_and(|found| found == value)
}

/// Runs what the command line selects.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::from_args();
    let lab = match Lab::open() {
        Ok(lab) => lab,
        Err(error) => {
            say(&format!("faults: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let side = if is_set("FAULTS_SIDE", "reference") { Side::Reference } else { Side::Ours };
    let (all, show) = (is_set("FAULTS", "all"), is_set("FAULTS_SHOW", "1"));
    let campaign = Arc::new(Campaign { lab, side, all, show, found: Mutex::default() });
    let conclusion = libtest_mimic::run(&arguments, campaign.trials());
    let filtered = arguments.filter.is_some() || !arguments.skip.is_empty();
    // Fewer points do not need every row, and neither do those of an ordinary user alone.
    let whole = campaign.all && !filtered && campaign.lab.identities.contains(&Identity::Root);
    let stale = if arguments.list || !whole || side == Side::Reference { vec![] } else { campaign.stale() };
    if !arguments.list {
        campaign.report(filtered);
    }
    for row in &stale {
        say(&format!("a row of faults/tolerated.rs is not needed any more: {row}\n"));
    }
    campaign.lab.close();
    if stale.is_empty() { conclusion.exit_code() } else { ExitCode::FAILURE }
}

impl Campaign {
    fn trials(self: &Arc<Self>) -> Vec<Trial> {
        let mut trials = vec![];
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            for &identity in &self.lab.identities {
                let campaign = Arc::clone(self);
                let name = format!("{}::{}", scenario.name, identity.name());
                trials.push(Trial::ignorable_test(name, move || campaign.trial(index, scenario, identity)));
            }
        }
        trials
    }

    /// One scenario as one identity.
    fn trial(&self, index: usize, scenario: &Scenario, identity: Identity) -> std::result::Result<Completion, Failed> {
        if let Err(reason) = possible(scenario) {
            return if is_set("FAULTS_REQUIRED", "1") { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) };
        }
        if self.side == Side::Reference && !self.lab.has_reference() {
            return Ok(Completion::ignored_with("needs the reference: run compat-tests/reference first"));
        }
        let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mounted = mounts();
        if !(scenario.case)(self.lab.owner(identity))?.identities.contains(&identity) {
            return Ok(Completion::ignored_with("it is not for this identity"));
        }
        let broken = match self.points(index, scenario, identity) {
            // It cannot do without openat2, for one.
            Err(words) if self.side == Side::Reference => {
                return Ok(Completion::ignored_with(words.lines().next().unwrap_or_default()));
            }
            other => other?,
        };
        let left =
            mounts().lines().filter(|line| !mounted.lines().any(|old| old == *line)).map(str::to_owned).collect::<Vec<_>>();
        let mut words = broken.clone();
        words.extend(left.into_iter().map(|line| format!("a mount is left: {line}")));
        self.with_found(|found| found.broken.extend(words.clone()));
        // The reference is not ours to mend.
        if words.is_empty() || self.side == Side::Reference { Ok(Completion::Completed) } else { Err(words.join("\n").into()) }
    }

    /// Tries all points; the result is what did not hold.
    fn points(&self, index: usize, scenario: &Scenario, identity: Identity) -> Result<Vec<String>> {
        let mut calm = self.calm(scenario, identity)?;
        let share = (!self.all).then_some(scenario.share);
        let points = points::all(&calm.outcome, &judge::report(&calm.outcome), share)?;
        let mut counts = [Count::default(); 2];
        let (mut broken, mut missed) = (vec![], vec![]);
        for point in &points {
            let verdict = self.verdict(scenario, identity, point, &mut calm)?;
            if verdict == Verdict::Unreached {
                missed.push(format!("{point}"));
                continue;
            }
            let count = &mut counts[usize::from(point.fault == Fault::Kill)];
            count.tried += 1;
            count.went_on += usize::from(verdict == Verdict::WentOn);
            match self.excuse(point, &verdict) {
                Ok(()) => count.held += 1,
                Err(words) => broken.push(format!("{} as {}: {point}: {words}", scenario.name, identity.name())),
            }
        }
        if missed.len() * 20 > points.len() {
            let (few, all) = (missed.join("; "), points.len());
            broken.push(format!("{} as {}: too many calls of {all} were not made again: {few}", scenario.name, identity.name()));
        }
        self.with_found(|found| _ = found.counts.insert((index, identity), counts));
        Ok(broken)
    }

    /// The undisturbed run, and one that ends before it begins.
    fn calm(&self, scenario: &Scenario, identity: Identity) -> Result<Calm> {
        let outcome = self.once(scenario, identity, None)?;
        let told = Told::read(&judge::report(&outcome));
        if told.status != Some(0) || told.executed.is_none() || !outcome.stderr.is_empty() {
            return Err(format!("the undisturbed run fails: {told:?}\n{outcome}"));
        }
        let first =
            judge::report(&outcome).lines().find_map(|line| line.strip_prefix("call 0 1 ")?.split(' ').next()?.parse().ok());
        let number = first.ok_or("no first call")?;
        let start = Place { role: "0".to_owned(), number, nth: 1 };
        let before = self.once(scenario, identity, Some((&start, Fault::Kill)))?.tree;
        Ok(Calm { outcome, before })
    }

    fn once(&self, scenario: &Scenario, identity: Identity, fault: Option<(&Place, Fault)>) -> Result<Outcome> {
        let mut case: Case = (scenario.case)(self.lab.owner(identity))?.fd(REPORT, Fd::Capture);
        case.tracer = Some((self.lab.probe(), vec!["--trace".to_owned(), tracer::order(fault)]));
        // The tracer gives up before that.
        case.timeout = Duration::from_mins(1);
        side::run(&self.lab, &case, self.side, identity, |outcome| outcome)
    }

    /// Runs one point and judges it.
    fn verdict(&self, scenario: &Scenario, identity: Identity, point: &Point, calm: &mut Calm) -> Result<Verdict> {
        let mut outcome = self.once(scenario, identity, Some((&point.place, point.fault)))?;
        let mut verdict = judge(point, &outcome, calm);
        // Who is woken first, the monitor or PID 1, decides about some calls at the end.
        for _ in 0..ATTEMPTS {
            if verdict == Verdict::Unreached {
                outcome = self.once(scenario, identity, Some((&point.place, point.fault)))?;
                verdict = judge(point, &outcome, calm);
            }
        }
        if self.show {
            say(&format!("{} as {}: {point}: {verdict:?}\n{outcome}", scenario.name, identity.name()));
        }
        if matches!(verdict, Verdict::OtherView(_)) {
            // The host may have mounted something since the undisturbed run.
            *calm = self.calm(scenario, identity)?;
            verdict = judge(point, &outcome, calm);
        }
        Ok(verdict)
    }

    /// Whether a verdict is good, by itself or by the table.
    fn excuse(&self, point: &Point, verdict: &Verdict) -> Result<()> {
        let Fault::Error(errno) = point.fault else { return plain(verdict) };
        let seen: &[String] = if let Verdict::OtherView(lines) = verdict { lines } else { &[] };
        let went_on = matches!(verdict, Verdict::WentOn | Verdict::OtherView(_));
        let mut excused = false;
        for (index, row) in TOLERATED.iter().enumerate().filter(|(_, row)| row.concerns(point, errno)) {
            let fits = went_on && row.excuses(seen);
            excused |= fits;
            self.with_found(|found| found.needed.extend(fits.then_some(index)));
        }
        match verdict {
            Verdict::WentOn if self.side == Side::Ours && !excused => {
                Err("it went on, and no row of tolerated.rs says why".to_owned())
            }
            Verdict::OtherView(_) if excused => Ok(()),
            other => plain(other),
        }
    }

    fn with_found<T>(&self, change: impl FnOnce(&mut Found) -> T) -> T {
        change(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rows of the table that no point needed.
    fn stale(&self) -> Vec<String> {
        let needed = self.with_found(|found| found.needed.clone());
        let rows = TOLERATED.iter().enumerate().filter(|(index, _)| !needed.contains(index));
        rows.map(|(_, row)| format!("{} {} ({})", row.call, row.detail, row.reason)).collect()
    }

    /// Prints the counts, and writes them to a file with all that did not hold.
    fn report(&self, filtered: bool) {
        let (counts, broken) = self.with_found(|found| (found.counts.clone(), found.broken.clone()));
        let mut text = format!("faults injected into {}: points that held / points tried\n", self.side.name());
        let mut total = [Count::default(); 2];
        for ((index, identity), [errors, kills]) in &counts {
            let name = format!("{} as {}", SCENARIOS[*index].name, identity.name());
            _ = writeln!(text, "{name:32} {}", row(*errors, *kills));
            total = [sum(total[0], *errors), sum(total[1], *kills)];
        }
        _ = writeln!(text, "{:32} {}", "all", row(total[0], total[1]));
        say(&text);
        let name = if self.side == Side::Ours { "faults-report.txt" } else { "faults-report-reference.txt" };
        if !filtered {
            let path = target_directory().join(name);
            if let Err(error) = std::fs::write(&path, text + &broken.join("\n") + "\n") {
                say(&format!("{}: {error}\n", path.display()));
            }
        }
    }
}

fn plain(verdict: &Verdict) -> Result<()> {
    match verdict {
        Verdict::Held | Verdict::WentOn => Ok(()),
        Verdict::OtherView(words) => Err(format!("COMMAND ran in another sandbox: {}", words.join(" "))),
        Verdict::Broken(words) => Err(words.clone()),
        Verdict::Unreached => Err("the call was not made again".to_owned()),
    }
}

const fn sum(a: Count, b: Count) -> Count {
    Count { tried: a.tried + b.tried, held: a.held + b.held, went_on: a.went_on + b.went_on }
}

fn row(errors: Count, kills: Count) -> String {
    format!("errors {}/{} ({} went on), kills {}/{}", errors.held, errors.tried, errors.went_on, kills.held, kills.tried)
}

/// Whether the scenario can be tried here.
fn possible(scenario: &Scenario) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("the tracer knows the registers of x86-64 only".to_owned());
    }
    tracer::permitted()?;
    let case = (scenario.case)((0, 0))?;
    case.needs.map_or(Ok(()), |needs| needs())
}
