//! The report: a line per case and identity, totals, and a summary for whoever watches.

use std::fmt::Write as _;
use std::io::Write as _;

use libtest_mimic::Arguments;

use super::Difference;
use super::lab::{Lab, target_directory};
use super::left_out;
use super::record::Verdict;

/// Prints without the panic that a closed stdout would cause.
pub(crate) fn say(text: &str) {
    _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes the report and prints the summary.
pub(crate) fn write(lab: &Lab, arguments: &Arguments, differences: &[Difference]) {
    let mut records = lab.records();
    records.sort_by(|a, b| (&a.case, a.identity).cmp(&(&b.case, b.identity)));
    let mut report = String::new();
    for record in records.iter() {
        let verdict = record.verdict.name(lab.has_reference());
        _ = writeln!(report, "{verdict:14} {} as {}", record.case, record.identity.name());
        for row in differences.iter().filter(|row| row.concerns(&record.case, record.identity)) {
            _ = writeln!(report, "{:14} {}: {}", "", row.field, row.reason);
        }
    }
    let mut summary = String::new();
    for &identity in &lab.identities {
        let of = |verdict| records.iter().filter(|r| r.identity == identity && r.verdict == verdict).count();
        let total = records.iter().filter(|r| r.identity == identity).count();
        let (same, declared, differs) = (of(Verdict::Same), of(Verdict::Declared), of(Verdict::Differs));
        let (failed, one) = (of(Verdict::Failed), of(Verdict::OneSide));
        let one_side = Verdict::OneSide.name(lab.has_reference());
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
    summary += &left_out::summary();
    if !lab.has_reference() && std::env::var("COMPAT_SIDE").is_ok_and(|side| side == "ours") {
        summary += "only our side was run, as COMPAT_SIDE says\n";
    } else if !lab.has_reference() {
        summary += "nothing was compared, for there is no reference: compat-tests/reference fetches one\n";
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
