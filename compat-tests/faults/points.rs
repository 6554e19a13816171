//! Which calls are disturbed, and how: read from a run that is left alone.

use std::collections::BTreeMap;

use super::calls::{self, Call, RETRIED};
use super::tracer::{Fault, Place};
use crate::harness::{Outcome, Result};

/// Whose code makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The C library's, before `main`.
    Start,
    /// The set-up's, the monitor's or PID 1's.
    Own,
    /// COMMAND's.
    Command,
}

/// One call as it was made.
#[derive(Clone, Debug)]
struct Made {
    place: Place,
    call: &'static Call,
    scope: Scope,
    detail: String,
}

/// One thing to try.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) place: Place,
    pub(crate) call: &'static Call,
    pub(crate) detail: String,
    pub(crate) fault: Fault,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { role, nth, .. } = &self.place;
        write!(f, "{} {nth} of {role} ({})", self.call.name, self.detail)?;
        match self.fault {
            Fault::Error(errno) => write!(f, ": {}", calls::errno_name(errno)),
            Fault::Kill => write!(f, ": killed"),
        }
    }
}

/// How many of COMMAND's own calls it is killed at.
const OF_COMMAND: usize = 8;

/// How often the short form tries the same call of the same process with the same argument.
const ALIKE: usize = 4;

/// All points of a scenario, or those of the short form: one in `share`.
pub(crate) fn all(calm: &Outcome, report: &str, share: Option<usize>) -> Result<Vec<Point>> {
    let made = made(report)?;
    let mut command = 0;
    let mut alike = BTreeMap::<_, usize>::new();
    let mut points = vec![];
    for (index, made) in made.iter().enumerate() {
        let seen = alike.entry((&made.place.role, made.place.number, &made.detail)).or_default();
        *seen += 1;
        command += usize::from(made.scope == Scope::Command);
        if command > OF_COMMAND && made.scope == Scope::Command {
            continue;
        }
        let faults = match share {
            None => long(made),
            Some(share) if *seen <= ALIKE && index % share == 0 => short(made, index / share),
            Some(_) => vec![],
        };
        let point = |fault| Point { place: made.place.clone(), call: made.call, detail: made.detail.clone(), fault };
        points.extend(faults.into_iter().map(point));
    }
    if points.is_empty() { Err(format!("no calls were seen:\n{calm}")) } else { Ok(points) }
}

/// Every error of a call, and the end of its process.
fn long(made: &Made) -> Vec<Fault> {
    let errors = if made.scope == Scope::Own { made.call.errors(&made.detail) } else { &[] };
    errors.iter().map(|errno| Fault::Error(*errno)).chain([Fault::Kill]).collect()
}

/// One error of a call, another one for each call in turn, or both where it has two; EINTR where it is to be retried, and the end of
/// its process.
fn short(made: &Made, index: usize) -> Vec<Fault> {
    let mut faults = long(made);
    if faults.len() <= 3 {
        return faults;
    }
    let kill = faults.pop();
    let interrupted = Fault::Error(libc::EINTR);
    let retried = faults.contains(&interrupted) && RETRIED.contains(&made.call.name);
    let mut chosen = faults.get(index % faults.len().max(1)).copied().into_iter().collect::<Vec<_>>();
    if retried && !chosen.contains(&interrupted) {
        chosen.push(interrupted);
    }
    chosen.into_iter().chain(kill).collect()
}

/// The calls of a report.
fn made(report: &str) -> Result<Vec<Made>> {
    report.lines().filter_map(|line| line.strip_prefix("call ")).map(one).collect()
}

fn one(line: &str) -> Result<Made> {
    let wrong = || format!("a line of the report is not understood: {line}");
    let mut words = line.splitn(5, ' ');
    let mut word = || words.next().ok_or_else(wrong);
    let (role, nth, number, scope, detail) = (word()?, word()?, word()?, word()?, word()?);
    let number = number.parse().map_err(|_| wrong())?;
    let place = Place { role: role.to_owned(), number, nth: nth.parse().map_err(|_| wrong())? };
    let scope = match scope {
        "start" => Scope::Start,
        "own" => Scope::Own,
        _ => Scope::Command,
    };
    let unknown = || format!("system call {number} is in no row of faults/calls.rs: {line}");
    let call = match calls::find(number) {
        Some(call) => call,
        // What COMMAND calls is its own affair.
        None if scope == Scope::Command => &OTHER,
        None => return Err(unknown()),
    };
    Ok(Made { place, call, scope, detail: detail.to_owned() })
}

/// A call that is only made by COMMAND.
static OTHER: Call = Call { name: "another call", number: -1, detail: calls::Detail::Nothing, errors: &[] };
