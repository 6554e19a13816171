//! The tests that SECURITY.md names: each name there has to select something in the test program that it belongs to, and each word for the
//! unit tests, in CONTRIBUTING.md too, one of these.

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

/// The trial that each `cargo test --bin bwrap WORD` of the pages selects a unit test: Cargo calls it a success if none has the word.
pub(crate) fn unit_tests() -> Trial {
    Trial::test("coverage::words_select_unit_tests", || {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        // A virtual machine has neither the sources nor the pages.
        if !top.join("src").exists() {
            return Ok(());
        }
        let mut names = vec![];
        find_unit_tests(&top.join("src"), "", &mut names)?;
        let mut troubles = vec![];
        for page in ["SECURITY.md", "CONTRIBUTING.md"] {
            let text = fs::read_to_string(top.join(page)).unwrap_or_default();
            let lost = lost_words(&text, &names).into_iter();
            troubles.extend(lost.map(|word| format!("{page}: no unit test has {word:?} in its name")));
        }
        // This itself notices words that no test has, wherever the line breaks, and accepts those that one has.
        let sample = "`cargo test --bin bwrap no_such_word` `cargo test\n--bin bwrap nor_this` `cargo test --bin bwrap`\n```sh\n\
                      cargo test --bin bwrap -- nor_that\ncargo test --bin bwrap glob\n```\n`cargo test --bin bwrap cli::parse::tests`";
        if lost_words(sample, &names) != ["no_such_word", "nor_this", "nor_that"] {
            troubles.push(format!("of {sample:?} this found {:?}", lost_words(sample, &names)));
        }
        if troubles.is_empty() { Ok(()) } else { Err(troubles.join("\n").into()) }
    })
}

/// The words for the unit tests in a text that none of the names has in it.
fn lost_words(text: &str, names: &[String]) -> Vec<String> {
    let mut commands = vec![];
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 1 {
            commands.extend(part.lines());
        } else {
            commands.extend(part.split('`').skip(1).step_by(2));
        }
    }
    let words = commands.into_iter().filter_map(|command| {
        let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
        let (_, rest) = command.split_once("cargo test --bin bwrap ")?;
        rest.split(' ').find(|word| *word != "--").map(str::to_owned)
    });
    words.filter(|word| !names.iter().any(|name| name.contains(word))).collect()
}

/// The names of the unit tests in the sources of a module, as the test program has them.
fn find_unit_tests(dir: &Path, module: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let inner = if stem == "mod" { module.to_owned() } else { format!("{module}{stem}::") };
        if path.is_dir() {
            find_unit_tests(&path, &inner, names)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !stem.ends_with("_tests") {
            let mut text = fs::read_to_string(&path)?;
            let inner = if text.contains("\nmod tests") { format!("{inner}tests::") } else { inner };
            if let Some((_, file)) = text.split_once("#[path = \"") {
                text = fs::read_to_string(dir.join(file.split('"').next().unwrap_or_default()))?;
            }
            let tests = text.split("#[test]").skip(1).filter_map(|test| test.split_once("fn ")?.1.split_once('('));
            names.extend(tests.map(|(name, _)| format!("{inner}{name}")));
        }
    }
    Ok(())
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
