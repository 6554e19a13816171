//! The report: a line per case and identity, totals, and a summary for whoever watches.

use std::fmt::Write as _;
use std::io::Write as _;

use libtest_mimic::Arguments;

use super::Identity;
use super::lab::{Lab, target_directory};
use crate::differences::DIFFERENCES;

/// How a trial came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Declared,
    Differs,
    /// A claim was not true, or a side could not be run.
    Failed,
    /// Only one side ran.
    OneSide,
}

impl Verdict {
    fn name(self, lab: &Lab) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Declared => "declared",
            Self::Differs => "differs",
            Self::Failed => "failed",
            Self::OneSide if lab.has_reference() => "one side only",
            Self::OneSide => "no reference",
        }
    }
}

/// What is remembered of a trial.
pub(crate) struct Record {
    pub(crate) case: String,
    pub(crate) identity: Identity,
    pub(crate) verdict: Verdict,
}

/// Prints without the panic that a closed stdout would cause.
pub(crate) fn say(text: &str) {
    _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes the report and prints the summary.
pub(crate) fn write(lab: &Lab, arguments: &Arguments) {
    let mut records = lab.records();
    records.sort_by(|a, b| (&a.case, a.identity).cmp(&(&b.case, b.identity)));
    let mut report = String::new();
    for record in records.iter() {
        let verdict = record.verdict.name(lab);
        _ = writeln!(report, "{verdict:14} {} as {}", record.case, record.identity.name());
        for row in DIFFERENCES.iter().filter(|row| row.concerns(&record.case, record.identity)) {
            _ = writeln!(report, "{:14} {}: {}", "", row.field, row.reason);
        }
    }
    let mut summary = String::new();
    for &identity in &lab.identities {
        let of = |verdict| records.iter().filter(|r| r.identity == identity && r.verdict == verdict).count();
        let total = records.iter().filter(|r| r.identity == identity).count();
        let (same, declared, differs) = (of(Verdict::Same), of(Verdict::Declared), of(Verdict::Differs));
        let (failed, one) = (of(Verdict::Failed), of(Verdict::OneSide));
        let one_side = Verdict::OneSide.name(lab);
        let name = identity.name();
        _ = writeln!(
            summary,
            "cases as {name}: {total} ({same} same, {declared} declared, {differs} differ, {failed} failed, {one} {one_side})"
        );
    }
    let undeclared = records.iter().filter(|r| r.verdict == Verdict::Differs).count();
    _ = writeln!(summary, "undeclared differences: {undeclared}");
    if !lab.refuse.is_empty() {
        _ = writeln!(summary, "refused to ours: {}", lab.refuse.join(", "));
    }
    say(&summary);
    let filtered = arguments.filter.is_some() || !arguments.skip.is_empty();
    if filtered {
        return;
    }
    let path = target_directory().join("compat-report.txt");
    if let Err(error) = std::fs::write(&path, report + &summary) {
        say(&format!("{}: {error}\n", path.display()));
    }
}
