//! Compares the outcomes of the two sides field by field.

use super::difference::Field;
use super::{Case, Outcome};

/// The fields that differ, each with both texts.
pub(crate) fn differing(case: &Case, reference: &Outcome, ours: &Outcome) -> Vec<(Field, String)> {
    let mut fields = vec![Field::Exit, Field::Stdout, Field::Stderr, Field::Tree];
    fields.extend(reference.fds.keys().chain(ours.fds.keys()).map(|number| Field::Fd(*number)));
    fields.sort();
    fields.dedup();
    let mut found = vec![];
    for field in fields {
        let (theirs, own) = (text(case, reference, field), text(case, ours, field));
        if theirs != own {
            found.push((field, lines(&theirs, &own)));
        }
    }
    found
}

fn text(case: &Case, outcome: &Outcome, field: Field) -> String {
    let text = match field {
        Field::Exit => outcome.exit.to_string(),
        Field::Stdout => outcome.stdout.clone(),
        Field::Stderr => outcome.stderr.clone(),
        Field::Fd(number) => outcome.fd(number).to_owned(),
        Field::Tree => outcome.tree.iter().map(|(path, line)| format!("{path}: {line}")).collect::<Vec<_>>().join("\n"),
    };
    let blurs = case.blurs.iter().filter(|(blurred, _)| *blurred == field);
    blurs.fold(text, |text, (_, blur)| blur(&text))
}

/// The lines that only one of them has.
fn lines(theirs: &str, own: &str) -> String {
    let only = |text: &str, other: &str, sign: &str| {
        let lines = text.split('\n').filter(|line| !other.split('\n').any(|l| l == *line));
        lines.map(|line| ["     ", sign, " ", line, "\n"].concat()).collect::<String>()
    };
    let found = only(theirs, own, "reference:") + &only(own, theirs, "ours:     ");
    if found.is_empty() { "     the same lines in another order or number\n".to_owned() } else { found }
}
