//! What must be true when one call has failed or one process was killed.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use super::calls::{RETRIED, errno_name};
use super::points::Point;
use super::tracer::{Fault, REPORT};
use crate::harness::apart::Watch;
use crate::harness::identity::Side;
use crate::harness::{Outcome, Result};

/// How a point came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it must.
    Held,
    /// The sandbox was made and COMMAND ran all the same.
    WentOn,
    /// COMMAND's sandbox does not look as it does undisturbed.
    OtherView(Vec<String>),
    /// Something else that must not be.
    Broken(String),
    /// The call was not made in this run.
    Unreached,
}

/// Where reports of failures go.
pub(crate) const ERRORS: RawFd = 391;

/// What the undisturbed run was like, the scratch directory before any run, and whether mounts have changed since.
pub(crate) struct Calm {
    pub(crate) outcome: Outcome,
    pub(crate) before: BTreeMap<String, String>,
    pub(crate) watch: Watch,
}

/// What the tracer has told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) hit: bool,
    /// Who became COMMAND.
    pub(crate) executed: Option<String>,
    /// Processes that nobody had waited for, and how they ended.
    pub(crate) orphans: Vec<(String, i32)>,
    pub(crate) stuck: Vec<String>,
    /// The wait status of the first process.
    pub(crate) status: Option<i32>,
}

/// The tracer's report of a run.
pub(crate) fn report(outcome: &Outcome) -> String {
    outcome.fd(REPORT).to_owned()
}

impl Told {
    pub(crate) fn read(report: &str) -> Self {
        let mut told = Self::default();
        for line in report.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("hit", _) => told.hit = true,
                ("executed", role) => told.executed = Some(role.to_owned()),
                ("orphan", rest) => {
                    let (role, status) = rest.split_once(' ').unwrap_or((rest, ""));
                    told.orphans.push((role.to_owned(), status.parse().unwrap_or(-1)));
                }
                ("stuck", role) => told.stuck.push(role.to_owned()),
                ("end", status) => told.status = status.parse().ok(),
                _ => {}
            }
        }
        told
    }

    fn code(&self) -> Option<i32> {
        self.status.filter(|status| libc::WIFEXITED(*status)).map(|status| libc::WEXITSTATUS(status))
    }

    fn signal(&self) -> Option<i32> {
        self.status.filter(|status| libc::WIFSIGNALED(*status)).map(|status| libc::WTERMSIG(status))
    }

    fn end(&self) -> String {
        match (self.code(), self.signal()) {
            (Some(code), _) => format!("status {code}"),
            (_, Some(signal)) => format!("signal {signal}"),
            _ => "no end".to_owned(),
        }
    }
}

/// Judges one run.
pub(crate) fn judge(point: &Point, outcome: &Outcome, calm: &Calm) -> Verdict {
    let told = Told::read(&report(outcome));
    if !told.hit {
        return Verdict::Unreached;
    }
    if !told.stuck.is_empty() {
        return Verdict::Broken(format!("it hangs: {}", told.stuck.join(" ")));
    }
    if let Some(path) = changed(outcome, calm) {
        return Verdict::Broken(format!("the host's tree is changed: {path}"));
    }
    // COMMAND writes all that it sees at once, before it ends.
    if !outcome.stdout.is_empty() && view(outcome) != view(&calm.outcome) {
        return Verdict::OtherView(difference(&view(&calm.outcome), &view(outcome)));
    }
    let judged = match point.fault {
        Fault::Error(errno) => after_error(point, errno, outcome, &told, calm),
        Fault::Kill => after_kill(point, outcome, &told),
    };
    judged.unwrap_or_else(Verdict::Broken)
}

/// After an error: all as usual, or one line and status 1.
fn after_error(point: &Point, errno: i32, outcome: &Outcome, told: &Told, calm: &Calm) -> Result<Verdict> {
    if told.code() == Some(0) {
        let same = |a: &Outcome, b: &Outcome| a.stderr == b.stderr && view(a) == view(b) && documents(a) == documents(b);
        let retried = errno == libc::EINTR && RETRIED.contains(&point.call.name);
        return match same(outcome, &calm.outcome) {
            true if retried => Ok(Verdict::Held),
            true => Ok(Verdict::WentOn),
            false if lost_last_line(point, outcome, &calm.outcome) => Ok(Verdict::WentOn),
            false => {
                let lines = difference(&everything(&calm.outcome), &everything(outcome));
                Err(format!("status 0, but not all of it: {lines:?}"))
            }
        };
    }
    if errno == libc::EINTR && RETRIED.contains(&point.call.name) {
        return Err(format!("it is not retried: {}, {:?}", told.end(), outcome.stderr));
    }
    let memory = ["brk", "mmap", "mremap", "mprotect"].contains(&point.call.name);
    let aborted = told.signal() == Some(libc::SIGABRT) || told.code() == Some(134);
    let ends = told.code() == Some(1) || memory && aborted;
    if !ends {
        return Err(format!("{}, {:?}", told.end(), outcome.stderr));
    }
    let lines = outcome.stderr.lines().collect::<Vec<_>>();
    let [line] = lines.as_slice() else { return Err(format!("{} lines: {:?}", lines.len(), outcome.stderr)) };
    // Joining the user namespace that one is in already is EINVAL. Where it owns a network namespace, what is lacking is a permission.
    let joins = point.call.name == "setns" && errno == libc::EINVAL && names_step(line, libc::EPERM);
    if !memory && !joins && !names_step(line, errno) {
        return Err(format!("the line does not name step and cause: {line:?}"));
    }
    if outcome.side == Side::Ours {
        reported(point, line, outcome, told)?;
    }
    left(point, told)?;
    // What fails in another process does not change what COMMAND is: it was complete, and has been ended with the sandbox.
    let disturbed = told.executed.as_ref() == Some(&point.place.role);
    if disturbed && outcome.stdout.is_empty() { Err("COMMAND ran unseen".to_owned()) } else { Ok(Verdict::Held) }
}

/// There has to be a report that says what the line does, but where COMMAND was executed: then nobody has the fd any more. What fails
/// may be the report itself, or the abort for want of memory.
fn reported(point: &Point, line: &str, outcome: &Outcome, told: &Told) -> Result<()> {
    let reports = outcome.fd(ERRORS);
    let writes = point.call.name == "write" && told.code() != Some(0);
    let message = line.strip_prefix("bwrap: ").unwrap_or(line);
    // By then the monitor has told COMMAND to go on, and waits for its end, as PID 1 does.
    let waits = point.place.role == "0" && message.starts_with("poll: ") || message.starts_with("init wait(): ");
    if told.executed.is_some() || (writes || waits) && reports.is_empty() {
        return Ok(());
    }
    let said: Vec<Option<serde_json::Value>> = reports.lines().map(|line| serde_json::from_str(line).ok()).collect();
    match &said[..] {
        [Some(report)] if report["version"] == 1 && report["message"] == message && report["step"] != "" => Ok(()),
        _ => Err(format!("{line:?} is not what is reported: {reports:?}")),
    }
}

/// Whether nothing is missing but the last line of `--json-status-fd`, which the monitor could not write when COMMAND had ended.
fn lost_last_line(point: &Point, outcome: &Outcome, calm: &Outcome) -> bool {
    let writes = point.call.name == "write" && point.place.role == "0";
    let said = outcome.stderr.starts_with("bwrap: Write to info_fd: ") && outcome.stderr.lines().count() == 1;
    let (ours, whole) = (documents(outcome), documents(calm));
    let last = |text: &str| text.starts_with("{ \"exit-code\": ");
    let only_last = whole.iter().all(|(number, text)| {
        ours.get(number).and_then(|ours| text.strip_prefix(ours.as_str())).is_some_and(|rest| rest.is_empty() || last(rest))
    });
    writes && said && only_last && view(outcome) == view(calm)
}

/// After the end of a process: the signal as the status without a word, or one line by whoever missed it, or all as usual if it had
/// nothing more to do.
fn after_kill(point: &Point, outcome: &Outcome, told: &Told) -> Result<Verdict> {
    let silent = outcome.stderr.is_empty();
    if point.place.role == "0" {
        let good = silent && told.signal() == Some(libc::SIGKILL);
        return if good { Ok(Verdict::Held) } else { Err(format!("{}, {:?}", told.end(), outcome.stderr)) };
    }
    left(point, told)?;
    let line = outcome.stderr.starts_with("bwrap: ") && outcome.stderr.lines().count() == 1;
    match told.code() {
        Some(137) if silent => Ok(Verdict::Held),
        Some(1) if line => Ok(Verdict::Held),
        Some(0) if silent && !outcome.stdout.is_empty() => Ok(Verdict::Held),
        _ => Err(format!("{}, {:?}", told.end(), outcome.stderr)),
    }
}

/// No process may be left where COMMAND was never run, and none that had to be killed after the monitor's end. Where COMMAND was run,
/// PID 1 may outlive the monitor; so may the parents of the process that failed, which report and end. What has ended by itself was
/// not left: it only led into another namespace, or has seen the monitor's end before the monitor knew its pid.
fn left(point: &Point, told: &Told) -> Result<()> {
    if told.executed.is_some() {
        return Ok(());
    }
    let is_parent = |role: &str| point.place.role.strip_prefix(role).is_some_and(|rest| rest.starts_with('.'));
    let left = told.orphans.iter().filter(|(role, status)| libc::WIFSIGNALED(*status) && !is_parent(role));
    let left = left.map(|(role, _)| role.as_str()).collect::<Vec<_>>();
    if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(" "))) }
}

/// Whether a line is a diagnostic with the step's words, and the kernel's.
fn names_step(line: &str, errno: i32) -> bool {
    let Some(text) = line.strip_prefix("bwrap: ") else { return false };
    let words = std::io::Error::from_raw_os_error(errno).to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    let names_cause = text.contains(words) || text.contains(&errno_name(errno));
    text.len() > words.len() && (names_cause || OWN_WORDS.iter().any(|start| text.starts_with(start)))
}

/// How the lines begin that name the cause in other words: programs look for these.
const OWN_WORDS: [&str; 2] = [
    "No permissions to create a new namespace, likely because",
    "Joining the specified user namespace failed, it might not be a descendant",
];

/// What COMMAND has seen, but for its relatives, which may be dead, and the names that the reference makes up for data files.
fn view(outcome: &Outcome) -> String {
    let relatives = ["parent: ", "group: ", "parent's command: "];
    let lines = outcome.stdout.lines().filter(|line| !relatives.iter().any(|start| line.starts_with(start)));
    lines.map(|line| without_name(line) + "\n").collect()
}

/// Cuts six random characters off.
fn without_name(line: &str) -> String {
    match line.split_once("/bindfile") {
        Some((before, rest)) => format!("{before}/bindfile{}", rest.get(6..).unwrap_or_default()),
        None => line.to_owned(),
    }
}

/// What was written to captured fds.
fn documents(outcome: &Outcome) -> BTreeMap<i32, &String> {
    outcome.fds.iter().filter(|(number, _)| **number != REPORT).map(|(number, text)| (*number, text)).collect()
}

fn everything(outcome: &Outcome) -> String {
    format!("{}{}{:?}", outcome.stderr, view(outcome), documents(outcome))
}

/// A path that is neither as it was before nor as an undisturbed run leaves it.
fn changed(outcome: &Outcome, calm: &Calm) -> Option<String> {
    let paths = outcome.tree.keys().chain(calm.before.keys());
    let now = |path: &String| outcome.tree.get(path);
    let mut wrong = paths.filter(|path| now(path) != calm.before.get(*path) && now(path) != calm.outcome.tree.get(*path));
    wrong.next().map(|path| format!("{path}: {:?}", now(path)))
}

/// The lines that only one of two texts has, with a sign.
fn difference(calm: &str, now: &str) -> Vec<String> {
    let only = |a: &str, b: &str, sign: &str| {
        let lines = a.lines().filter(|line| !b.lines().any(|other| other == *line));
        lines.map(|line| format!("{sign}{line}")).collect::<Vec<_>>()
    };
    [only(calm, now, "-"), only(now, calm, "+")].concat()
}
