//! The tests that SECURITY.md names: each name there has to select something in the test program that it belongs to.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;

use super::select::fits;

/// The page, unless a package leaves it out.
pub(crate) fn security() -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).ok()
}

/// The trial that holds the names to what there is; `names` are those of all cases, also of such as are not run here.
pub(crate) fn trial(names: Vec<String>) -> Trial {
    Trial::test("coverage::names_in_security", move || {
        let page = security().unwrap_or_default();
        let lost = patterns(&page, env!("CARGO_CRATE_NAME")).filter(|pattern| !names.iter().any(|name| fits(pattern, name)));
        let lost = lost.collect::<Vec<_>>();
        if lost.is_empty() { Ok(()) } else { Err(format!("SECURITY.md names what is not there: {}", lost.join(" ")).into()) }
    })
}

/// What a text names of a test program: `file::case` is of compat, `--test PROGRAM NAME` of any, also in a whole command.
pub(crate) fn patterns<'a>(text: &'a str, program: &'a str) -> impl Iterator<Item = &'a str> {
    let named = text.split('`').skip(1).step_by(2).filter_map(move |code| match code.split_once("--test ") {
        Some((_, rest)) => {
            let mut words = rest.split_whitespace().filter(|word| *word != "--");
            words.next().filter(|word| *word == program).and(words.next()).map(|word| word.trim_matches('\''))
        }
        None => (program == "compat" && is_case(code)).then_some(code),
    });
    // These are how the page says what its names look like.
    named.filter(|name| !["NAME", "file::case*"].contains(name))
}

fn is_case(code: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_:*".contains(letter);
    code.contains("::") && code.chars().all(plain)
}
