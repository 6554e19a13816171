//! Compares the outcomes of the two sides field by field.

use std::fmt;
use std::os::fd::RawFd;

use super::{Case, Identity, Outcome};

/// One part of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Exit,
    Stdout,
    Stderr,
    /// What was written to a captured fd.
    Fd(RawFd),
    /// The scratch directory afterwards.
    Tree,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit => write!(f, "exit"),
            Self::Stdout => write!(f, "stdout"),
            Self::Stderr => write!(f, "stderr"),
            Self::Fd(number) => write!(f, "fd {number}"),
            Self::Tree => write!(f, "tree"),
        }
    }
}

/// An intended difference: a row of the table in `differences.rs`.
pub(crate) struct Difference {
    /// The case's full name, such as `cli::version`.
    pub(crate) case: &'static str,
    /// Whom it concerns; everybody if none.
    pub(crate) identity: Option<Identity>,
    pub(crate) field: Field,
    /// Whether the surroundings are such that there is a difference.
    pub(crate) arises: fn() -> bool,
    pub(crate) reason: &'static str,
}

impl Difference {
    /// Whether the row speaks about this run.
    pub(crate) fn concerns(&self, case: &str, identity: Identity) -> bool {
        self.case == case && self.identity.is_none_or(|i| i == identity) && (self.arises)()
    }
}

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
