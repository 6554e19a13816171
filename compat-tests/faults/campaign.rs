//! A trial for each scenario and identity: an undisturbed run, then one run for each point, and the counts of all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::mount::{MsFlags, mount};
use nix::unistd::Uid;

use super::judge::{self, Calm, ERRORS, Told, Verdict, judge};
use super::points::{self, Point};
use super::scenarios::{SCENARIOS, Scenario};
use super::tolerated::TOLERATED;
use super::tracer::{self, Fault, Place, REPORT};
use crate::harness::apart::{self, Watch};
use crate::harness::identity::Side;
use crate::harness::lab::{Lab, target_directory};
use crate::harness::left_out::lacking;
use crate::harness::report::say;
use crate::harness::{Case, Fd, Identity, Outcome, Result, left_out, page, select, side};

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
    /// The mount namespace that this program was started in.
    host: Option<std::fs::File>,
    side: Side,
    /// Whether every point is tried.
    all: bool,
    show: bool,
    found: Mutex<Found>,
}

/// How often a call is waited for again.
const ATTEMPTS: usize = 3;

/// How often a run is made again because the table of mounts has changed.
const DISTURBED: usize = 50;

fn is_set(name: &str, value: &str) -> bool {
    std::env::var(name).is_ok_and(|found| found == value)
}

/// Runs what the command line selects.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::from_args();
    let host = std::fs::File::open("/proc/self/ns/mnt").ok();
    // Where there can be no such namespace there can be no sandbox, which the trials say better.
    if let Err(error) = apart::enter(!Uid::effective().is_root()) {
        say(&format!("faults: others' mounts may disturb: {error}\n"));
    }
    let lab = match Lab::open() {
        Ok(lab) => lab,
        Err(error) => {
            say(&format!("faults: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let side = if is_set("FAULTS_SIDE", "reference") { Side::Reference } else { Side::Ours };
    let (all, show) = (is_set("FAULTS", "all"), is_set("FAULTS_SHOW", "1"));
    let campaign = Arc::new(Campaign { lab, host, side, all, show, found: Mutex::default() });
    let mut trials = campaign.trials();
    trials.push(page::trial(trials.iter().map(|trial| trial.name().to_owned()).collect()));
    let status = select::run(&arguments, trials);
    let filtered = arguments.filter.is_some() || !arguments.skip.is_empty();
    // Fewer points do not need every row, and neither do those of an ordinary user alone. Some rows
    // are about musl, with which only the program that is shipped is linked.
    let is_shipped = std::env::var_os("COMPAT_BWRAP").is_some();
    let is_root = campaign.lab.identities.contains(&Identity::Root);
    let whole = campaign.all && !filtered && is_root && is_shipped;
    let stale = if arguments.list || !whole || side == Side::Reference { vec![] } else { campaign.stale() };
    if !arguments.list && status.is_some() {
        campaign.report(filtered);
        say(&left_out::summary());
    }
    for row in &stale {
        say(&format!("a row of faults/tolerated.rs is not needed any more: {row}\n"));
    }
    campaign.lab.close();
    status.filter(|_| stale.is_empty()).unwrap_or(ExitCode::FAILURE)
}

impl Campaign {
    fn trials(self: &Arc<Self>) -> Vec<Trial> {
        let campaign = Arc::clone(self);
        let mut trials = vec![Trial::ignorable_test("others_beside", move || campaign.beside())];
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
        if let Err(reason) = scenario.fits_kernel() {
            return Ok(left_out(reason));
        }
        if let Err(reason) = possible(scenario) {
            return lacking(reason);
        }
        if self.side == Side::Reference && !self.lab.has_reference() {
            return Ok(left_out("needs the reference: run compat-tests/reference first"));
        }
        let mounted = apart::mounts()?;
        if !(scenario.case)(self.lab.owner(identity))?.identities.contains(&identity) {
            return Ok(left_out("it is not for this identity"));
        }
        let broken = match self.points(index, scenario, identity) {
            // It cannot do without openat2, for one.
            Err(words) if self.side == Side::Reference => {
                return Ok(left_out(words.lines().next().unwrap_or_default()));
            }
            other => other?,
        };
        let mut words = broken.clone();
        words.extend(left(&mounted)?);
        self.with_found(|found| found.broken.extend(words.clone()));
        // The reference is not ours to mend.
        if words.is_empty() || self.side == Side::Reference { Ok(Completion::Completed) } else { Err(words.join("\n").into()) }
    }

    /// While others make mounts and sandboxes beside, nothing of it is found; a mount that is left is.
    fn beside(&self) -> std::result::Result<Completion, Failed> {
        if let Err(reason) = possible(&SCENARIOS[0]) {
            return Ok(left_out(reason));
        }
        let Some(host) = self.host.as_ref().filter(|_| Uid::effective().is_root()) else {
            return Ok(left_out("an ordinary user has no mounts outside"));
        };
        let host = format!("--mount=/proc/{}/fd/{}", std::process::id(), host.as_raw_fd());
        let mounted = apart::mounts()?;
        let mut calm = self.calm(&SCENARIOS[0], Identity::Root)?;
        // Whoever reads the end of this line's stdin takes everything away again.
        let script = "set -e; d=$(mktemp -d /tmp/besideXXXXXX); mount -t tmpfs beside $d
            \"$0\" --unshare-pid --die-with-parent --ro-bind / / sleep 1000 & echo here; read line || kill $!; wait; umount $d; rmdir $d";
        let bwrap = self.lab.executable(self.side);
        let mut others = Command::new("nsenter");
        others.args([host.as_str(), "sh", "-c", script]).arg(bwrap).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut others = others.spawn().map_err(|e| format!("nsenter: {e}"))?;
        let mut line = [0; 5];
        let here = others.stdout.as_mut().map(|stdout| stdout.read_exact(&mut line));
        let verdicts = points::all(&calm.outcome, &judge::report(&calm.outcome), Some(10)).and_then(|points| {
            points
                .iter()
                .take(5)
                .map(|point| {
                    let verdict = self.verdict(&SCENARIOS[0], Identity::Root, point, &mut calm)?;
                    Ok(self.excuse(point, &verdict))
                })
                .collect::<Result<Vec<_>>>()
        });
        let found = left(&mounted);
        drop(others.stdin.take());
        others.wait().map_err(|e| format!("nsenter: {e}"))?;
        here.ok_or("no stdout")?.map_err(|e| format!("nsenter: {e}"))?;
        let wrong = verdicts?.into_iter().filter_map(std::result::Result::err).chain(found?).collect::<Vec<_>>();
        if !wrong.is_empty() {
            return Err(format!("with others beside: {}", wrong.join("; ")).into());
        }
        // Other trials run at the same time, and must not find it.
        let leave = || -> Result<Vec<String>> {
            apart::enter(false)?;
            let mounted = apart::mounts()?;
            mount(Some("left"), "/tmp", Some("tmpfs"), MsFlags::empty(), None::<&str>).map_err(|e| e.to_string())?;
            left(&mounted)
        };
        let found = std::thread::scope(|scope| scope.spawn(leave).join()).map_err(|_| "the thread panicked")?;
        if found?.is_empty() { Err("a mount that was left should be found".into()) } else { Ok(Completion::Completed) }
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
        let watch = Watch::new()?;
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
        Ok(Calm { outcome, before, watch })
    }

    fn once(&self, scenario: &Scenario, identity: Identity, fault: Option<(&Place, Fault)>) -> Result<Outcome> {
        let mut case: Case = (scenario.case)(self.lab.owner(identity))?.fd(REPORT, Fd::Capture);
        // Every failure has to be told there. The reference does not know it.
        if self.side == Side::Ours {
            case = case.options(["--error-fd", &ERRORS.to_string()]).fd(ERRORS, Fd::Capture);
        }
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
        // Others' mounts may have gone since the undisturbed run, and then both are made again.
        for _ in 0..DISTURBED {
            if !matches!(verdict, Verdict::OtherView(_)) || !calm.watch.changed() {
                break;
            }
            *calm = self.calm(scenario, identity)?;
            outcome = self.once(scenario, identity, Some((&point.place, point.fault)))?;
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

    /// The rows of the table that no point needed. C libraries make different calls for the same purpose, so one row of those with the
    /// same reason is enough.
    fn stale(&self) -> Vec<String> {
        let needed = self.with_found(|found| found.needed.clone());
        let reasons: Vec<_> = needed.iter().filter_map(|index| TOLERATED.get(*index)).map(|row| row.reason).collect();
        let rows = TOLERATED.iter().filter(|row| !reasons.contains(&row.reason));
        rows.map(|row| format!("{} {} ({})", row.call, row.detail, row.reason)).collect()
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

/// The mounts that are new, in words.
fn left(mounted: &str) -> Result<Vec<String>> {
    let now = apart::mounts()?;
    Ok(apart::new_lines(mounted, &now).into_iter().map(|line| format!("a mount is left: {line}")).collect())
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
    case.needs.iter().try_for_each(|needs| needs())
}
