//! The man page and the completions of three shells, rendered from [`crate::cli::options`];
//! compiled for tests only.
//!
//! Each of these files is written by hand but for one region between two marker lines, which is the
//! table's. A test holds the checked-in regions to the rendering, and `BLESS=1 cargo test --bin
//! bwrap` rewrites them.
#![expect(clippy::expect_used, reason = "a test says what is wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::cli::listed::{self, usage};
use crate::cli::options::{Kind, OPTIONS, Operand, Row, Section};
use crate::profile::built_in::ALL;

/// Begins the line before a region, after the comment sign.
const BEGIN: &str = ">>> from src/cli/options.rs";
/// Begins the line after a region, after the comment sign.
const END: &str = "<<< from src/cli/options.rs";

/// What renders a region.
type Render = fn() -> String;

/// The files that hold a region, and what renders it.
const FILES: [(&str, Render); 4] = [
    ("man/bwrap.1", man),
    ("completions/bwrap.bash", bash),
    ("completions/_bwrap", zsh),
    ("completions/bwrap.fish", fish),
];

/// A widest line of generated text.
const WIDTH: usize = 78;

/// The man page's option list, in mdoc(7).
fn man() -> String {
    let mut text = String::new();
    for (section, title) in Section::ALL {
        _ = writeln!(text, ".Ss {title}\n.Bl -tag -width Ds");
        for row in OPTIONS.iter().filter(|row| row.section == section) {
            _ = write!(text, ".It Fl {}", minus(row.name));
            for (operand, _) in row.operands {
                _ = write!(text, " Ar {operand}");
            }
            text.push('\n');
            prose(&mut text, row, &format!("{}. {}", row.help, row.man));
        }
        text.push_str(".El\n");
    }
    text
}

/// An option's name as the argument of `Fl`, which writes the first of its two hyphens.
fn minus(name: &str) -> String {
    name.trim_start_matches('-').replace('-', "\\-").replacen("", "\\-", 1)
}

/// Sentences as mdoc(7), each begun on a line of its own: options, operands, paths, variables and
/// manual pages become macro lines, all else is filled text.
fn prose(text: &mut String, row: &Row, sentences: &str) {
    for sentence in sentences.trim_end().replace(". ", ".\n").lines() {
        let mut line = String::new();
        for word in sentence.split_whitespace() {
            let bare = word.trim_start_matches('(');
            let mut core = bare.trim_end_matches(['.', ',', ';', ':']);
            if core.matches(')').count() > core.matches('(').count() {
                core = &core[..core.len() - 1];
            }
            core = core.strip_suffix("'s").unwrap_or(core);
            let Some(markup) = markup(row, core) else {
                fill(text, &mut line, &word.replace('\\', "\\e"));
                continue;
            };
            flush(text, &mut line);
            let (open, close) = (&word[..word.len() - bare.len()], &bare[core.len()..]);
            let (name, arguments) = markup.split_once(' ').expect("a macro has an argument");
            let open = if open.is_empty() { "" } else { "( " };
            _ = write!(text, ".{name} {open}{arguments}");
            if let Some(rest) = close.strip_prefix("'s") {
                _ = write!(text, " Ns 's{rest}");
            } else {
                close.chars().for_each(|sign| text.extend([' ', sign]));
            }
            text.push('\n');
        }
        flush(text, &mut line);
    }
}

/// A word as an mdoc(7) macro with its argument, if it is one of the things that have one.
fn markup(row: &Row, word: &str) -> Option<String> {
    let is_operand = |&(operand, _): &Operand| operand == word;
    if OPTIONS.iter().any(|row| row.name == word) {
        return Some(format!("Fl {}", minus(word)));
    }
    if word == "COMMAND" || row.operands.iter().any(is_operand) {
        return Some(format!("Ar {word}"));
    }
    if let "PATH" | "PWD" | "HOME" = word.trim_start_matches('$') {
        return Some(format!("Ev {}", word.trim_start_matches('$')));
    }
    if word.starts_with('/') {
        return Some(format!("Pa {word}"));
    }
    let (page, section) = word.strip_suffix(')')?.split_once('(')?;
    Some(format!("Xr {page} {section}"))
}

/// Adds a word to the line, which is written out first if it is full.
fn fill(text: &mut String, line: &mut String, word: &str) {
    if line.len() + 1 + word.len() > WIDTH {
        flush(text, line);
    }
    if line.is_empty() {
        // A line that begins with one of these would be taken for a request.
        line.push_str(if word.starts_with(['.', '\'']) { "\\&" } else { "" });
    } else {
        line.push(' ');
    }
    line.push_str(word);
}

/// Writes the line out, if there is one.
fn flush(text: &mut String, line: &mut String) {
    if !line.is_empty() {
        _ = writeln!(text, "{line}");
        line.clear();
    }
}

/// What the completions call a kind of value.
fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::HostPath | Kind::Dest => "path",
        Kind::Profile => "profile",
        Kind::Fd => "fd",
        Kind::Capability => "capability",
        Kind::Variable => "variable",
        Kind::Text => "text",
    }
}

/// The kinds of an option's values, between blanks.
fn kinds(row: &Row) -> String {
    let words: Vec<_> = row.operands.iter().map(|&(_, kind)| kind_word(kind)).collect();
    words.join(" ")
}

/// The values of `--cap-add`, in filled lines.
fn capabilities() -> String {
    let mut all: Vec<_> = caps::all().into_iter().collect();
    all.sort_by_key(caps::Capability::index);
    let names: Vec<_> = all.iter().map(ToString::to_string).collect();
    filled("    ", std::iter::once("ALL").chain(names.iter().map(String::as_str)), "")
}

/// The names of the built-in profiles, in filled lines.
fn profiles() -> String {
    filled("    ", ALL.iter().map(|profile| profile.name).chain(["@list"]), "")
}

/// Words in lines that begin with an indent and end, all but the last, with a continuation.
fn filled<'a>(indent: &str, words: impl IntoIterator<Item = &'a str>, continued: &str) -> String {
    let (mut text, mut line) = (String::new(), String::new());
    for word in words {
        fill(&mut text, &mut line, word);
    }
    flush(&mut text, &mut line);
    let lines: Vec<_> = text.lines().map(|line| format!("{indent}{line}")).collect();
    lines.join(&format!("{continued}\n")) + "\n"
}

/// bash: the kinds of each option's values, the capabilities and the profiles.
fn bash() -> String {
    let operands = lines(|row| format!("    [{}]='{}'\n", row.name, kinds(row)));
    format!(
        "declare -gA _bwrap_operands=(\n{operands})\n_bwrap_capabilities=(\n{})\n_bwrap_profiles=(\n{})\n",
        capabilities(),
        profiles()
    )
}

/// zsh: each option and what it is, the kinds of its values, the capabilities and the profiles.
fn zsh() -> String {
    let described =
        lines(|row| format!("    '{}:{}'\n", row.name, row.help.replace('\'', "'\\''")));
    let operands = lines(|row| format!("    {} '{}'\n", row.name, kinds(row)));
    format!(
        "described=(\n{described})\noperands=(\n{operands})\ncapabilities=(\n{})\nprofiles=(\n{})\n",
        capabilities(),
        profiles()
    )
}

/// A text of each option, one after the other.
fn lines(text: impl Fn(&Row) -> String) -> String {
    OPTIONS.iter().map(text).collect::<Vec<_>>().concat()
}

/// fish: each option, what follows it, the capabilities and the profiles.
fn fish() -> String {
    let mut text = lines(|row| {
        let (name, help) =
            (row.name.trim_start_matches('-'), row.help.replace('\\', "\\\\").replace('\'', "\\'"));
        format!("complete -c bwrap -n '__bwrap_at option' -l {name} -d '{help}'\n")
    });
    let mut followed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for row in OPTIONS.iter().filter(|row| !row.operands.is_empty()) {
        followed.entry(kinds(row)).or_default().push(row.name);
    }
    text.push_str(
        "function __bwrap_operands -a option -d 'The kinds of an option\\'s values, one a line'\n",
    );
    text.push_str("    switch $option\n");
    for (kinds, names) in followed {
        // A name a line: what two changes add to the table can then be merged.
        let names = names.join(" \\\n            ");
        _ = writeln!(text, "        case {names}\n            string split ' ' '{kinds}'");
    }
    text.push_str("    end\nend\n");
    _ = writeln!(
        text,
        "set -g __bwrap_capabilities \\\n{}",
        capabilities().trim_end().replace('\n', " \\\n")
    );
    _ = writeln!(
        text,
        "set -g __bwrap_profiles \\\n{}",
        profiles().trim_end().replace('\n', " \\\n")
    );
    text
}

/// A file with its region replaced, if it has one.
fn with_region(file: &str, region: &str) -> Option<String> {
    let begin = file.find(BEGIN)?;
    let begin = begin + file[begin..].find('\n')? + 1;
    let end = file[..begin + file[begin..].find(END)?].rfind('\n')? + 1;
    Some(format!("{}{region}{}", &file[..begin], &file[end..]))
}

#[test]
fn files_are_what_the_table_says() {
    for (name, render) in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let file = fs::read_to_string(&path).expect(name);
        let rendered = with_region(&file, &render()).expect("the marker lines are there");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &rendered).expect(name);
        } else {
            assert!(
                file == rendered,
                "{name} is not what src/cli/options.rs says: run `BLESS=1 cargo test --bin bwrap`"
            );
        }
    }
}

#[test]
fn markers_delimit_the_region() {
    let file = format!("a\n# {BEGIN}, x\nold\n# {END}\nb\n");
    assert_eq!(with_region(&file, "new\n"), Some(file.replace("old", "new")));
    assert_eq!(with_region("a\n", "new\n"), None);
}

#[test]
fn names_are_unique_and_plain() {
    let names: BTreeSet<_> = OPTIONS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), OPTIONS.len());
    for name in names {
        let word = name.strip_prefix("--").expect(name);
        assert!(word.starts_with(|sign: char| sign.is_ascii_lowercase()), "{name}");
        assert!(
            word.bytes()
                .all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-'),
            "{name}"
        );
    }
}

#[test]
fn usage_fits_a_terminal() {
    let usage = String::from_utf8(usage(c"bwrap")).expect("only text");
    for line in usage.lines() {
        assert!(line.len() <= 100, "longer than 100 columns: {line}");
    }
    for row in listed::all() {
        let three = row.operands().len() == 3;
        assert!(
            three || row.synopsis().len() <= 28,
            "the texts of --help are not in one column: {}",
            row.synopsis()
        );
    }
}

#[test]
fn usage_is_grouped_and_ends_with_the_version() {
    let usage = String::from_utf8(usage(c"bwrap")).expect("only text");
    let titles: Vec<_> = usage.lines().skip(1).filter_map(|line| line.strip_suffix(':')).collect();
    assert_eq!(titles, Section::ALL.map(|(_, title)| title));
    let version = env!("CARGO_PKG_VERSION");
    assert!(usage.ends_with(&format!("\n\nSee bwrap(1). This is bleb {version}.\n")), "{usage}");
}

#[test]
fn pages_name_the_version() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let version = env!("CARGO_PKG_VERSION");
    for (page, line) in [
        ("man/bwrap.1", format!(".Os bleb {version}\n")),
        ("CHANGELOG.md", format!("\n## [{version}]")),
    ] {
        let text = fs::read_to_string(top.join(page)).expect(page);
        assert!(text.contains(&line), "{page} has no line {line:?}");
    }
}

#[test]
fn every_option_is_explained() {
    for row in OPTIONS {
        let sentence = row.help.trim();
        assert!(
            !sentence.is_empty() && sentence == row.help && !sentence.ends_with('.'),
            "--help of {}",
            row.name
        );
        assert!(
            row.man.is_empty() || row.man.ends_with('.') && row.man == row.man.trim(),
            "man of {}",
            row.name
        );
        for (operand, _) in row.operands {
            assert!(
                operand.bytes().all(|sign| sign.is_ascii_uppercase()),
                "{operand} of {}",
                row.name
            );
        }
    }
}

#[test]
fn sections_are_complete_and_used() {
    for (section, title) in Section::ALL {
        assert!(OPTIONS.iter().any(|row| row.section == section), "no option is in {title}");
    }
    for row in OPTIONS {
        let listed = Section::ALL.iter().filter(|(section, _)| *section == row.section).count();
        assert_eq!(listed, 1, "the section of {}", row.name);
    }
}

#[test]
fn prose_becomes_macros() {
    let row = OPTIONS.iter().find(|row| row.name == "--chdir").expect("--chdir is an option");
    let mut text = String::new();
    prose(&mut text, row, "Like --bind-fd, in DIR (see fcntl(2)), $HOME or / of COMMAND's. 'New.");
    let expected = "Like\n.Fl \\-bind\\-fd ,\nin\n.Ar DIR\n(see\n.Xr fcntl 2 ) ,\n.Ev HOME\nor\n.Pa /\nof\n.Ar COMMAND Ns 's.\n\\&'New.\n";
    assert_eq!(text, expected);
}
