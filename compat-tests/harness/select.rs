//! Which trials run: a word of the command line selects every trial that has it in its name, and a `*` in it stands for anything.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use super::report::say;

/// Runs what the command line selects, and has nothing to return if that is nothing: an error, for it would seem to have passed.
pub(crate) fn run(arguments: &Arguments, trials: Vec<Trial>) -> Option<ExitCode> {
    let mut arguments = arguments.clone();
    let selected = trials.into_iter().filter(|trial| is_selected(&arguments, trial.name())).collect::<Vec<_>>();
    let filter = arguments.filter.take();
    arguments.skip.clear();
    if let Some(filter) = filter.filter(|_| selected.is_empty() && !arguments.list) {
        say(&format!("no test matches {filter:?}\n"));
        return None;
    }
    Some(libtest_mimic::run(&arguments, selected).exit_code())
}

fn is_selected(arguments: &Arguments, name: &str) -> bool {
    let fits = |pattern: &String| if arguments.exact { fits_whole(pattern, name) } else { fits(pattern, name) };
    arguments.filter.as_ref().is_none_or(fits) && !arguments.skip.iter().any(fits)
}

/// Whether a name has the pattern in it.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    fits_whole(&format!("*{pattern}*"), name)
}

/// Whether a name is what the pattern says from its first letter to its last.
pub(crate) fn fits_whole(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').collect::<Vec<_>>();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place leaves most for the parts that follow.
        let Some((_, after)) = name.split_once(part) else { return false };
        name = after;
    }
    name.ends_with(end)
}

/// What is wrong with the above.
pub(super) fn troubles() -> Vec<String> {
    let rows = [
        ("b::c", "a::b::c::root", true),
        ("b::d", "a::b::c::root", false),
        ("a::b*", "a::b::c::root", true),
        ("b::*t", "a::b::c::root", true),
        ("a::*c*root", "a::b::c::root", true),
        ("c*b", "a::b::c::root", false),
        ("*", "a::b::c::root", true),
    ];
    let wrong = rows.iter().filter(|(pattern, name, wanted)| fits(pattern, name) != *wanted);
    let mut troubles = wrong.map(|(pattern, name, _)| format!("{pattern} and {name}")).collect::<Vec<_>>();
    let whole =
        [("a*", "a::b", true), ("b*", "a::b", false), ("a::b", "a::b", true), ("a", "a::b", false), ("a*b*b", "ab", false)];
    let wrong = whole.iter().filter(|(pattern, name, wanted)| fits_whole(pattern, name) != *wanted);
    troubles.extend(wrong.map(|(pattern, name, _)| format!("{pattern} and the whole of {name}")));
    troubles
}
