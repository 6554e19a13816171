//! The order of the files, here and in `src`: who may import whom. Trials read the sources and hold
//! them to it.
//!
//! A path through a `mod.rs` or `main.rs` counts as an import of the file that the name comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Failed, Trial};

use crate::harness::left_out;

/// A folder with its own order.
struct House {
    top: &'static str,
    /// The files and folders, from the ground up. Each imports only itself and what comes before it,
    /// and no two files import each other, not even by way of others.
    order: &'static [&'static str],
    /// The programs, by the file that they begin with.
    programs: &'static [&'static str],
    /// Whether a file imports the modules that it declares. In `src` their declarations stand in
    /// files that hold more, and that is all that these have to do with them.
    declares: bool,
    /// Some of its imports. If they were not found, everything would seem to be in order.
    known: &'static [(&'static str, &'static str)],
}

const TESTS: House = House {
    top: "compat-tests",
    order: &[
        "sys.rs",
        "text.rs",
        "probe",
        "harness",
        "differences.rs",
        "cases",
        "delegated",
        "differential",
        "order.rs",
        "main.rs",
        "faults",
        "load",
        "bench",
    ],
    programs: &["main.rs", "faults/main.rs", "load/main.rs", "bench/main.rs"],
    declares: true,
    known: &[("cases/mod.rs", "harness/case.rs"), ("harness/side.rs", "sys.rs"), ("faults/campaign.rs", "harness/side.rs")],
};

const PROGRAM: House = House {
    top: "src",
    order: &[
        "word.rs",
        "report.rs",
        "error.rs",
        "archive",
        "kernel",
        "profile",
        "host.rs",
        "links",
        "confine",
        "config",
        "fds.rs",
        "cli",
        "record",
        "explain",
        "sandbox",
        "launch",
        "main.rs",
    ],
    programs: &["main.rs"],
    declares: false,
    known: &[
        ("main.rs", "cli/record.rs"),
        ("sandbox/mod.rs", "sandbox/root.rs"),
        ("config/settle.rs", "confine/seccomp/policy.rs"),
    ],
};

/// The only file of the program that may have unsafe code.
const UNSAFE: &str = "kernel/sys.rs";

/// A path in a source, as `["crate", "harness", "Case"]`, with the name that it has there.
type Import = (Vec<String>, String);

/// One file of a program.
struct File {
    /// Below the top.
    name: String,
    imports: Vec<Import>,
    has_unsafe: bool,
}

/// A program's files by the paths of their modules.
type Program = BTreeMap<Vec<String>, File>;

/// The trials.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, house: &'static House| {
        Trial::ignorable_test(format!("coverage::imports_go_one_way_in_{name}"), || house.check())
    };
    vec![trial("tests", &TESTS), trial("src", &PROGRAM)]
}

impl House {
    fn check(&self) -> Result<Completion, Failed> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.top);
        if !top.join("main.rs").exists() {
            return Ok(left_out("needs the sources"));
        }
        let mut edges = BTreeSet::new();
        let mut troubles = vec![];
        for main in self.programs {
            let mut program = Program::new();
            self.read(&top, Path::new(main), vec![], &mut program)?;
            edges.extend(program.iter().flat_map(|(path, file)| imports_of(&program, path, file)));
            let elsewhere = program.values().filter(|file| file.has_unsafe && self.top == PROGRAM.top && file.name != UNSAFE);
            troubles.extend(elsewhere.map(|file| format!("{} has unsafe code, which {UNSAFE} alone may have", file.name)));
        }
        troubles.extend(self.troubles(&edges));
        let is_lost = |(from, to): &&(&str, &str)| !edges.contains(&((*from).to_owned(), (*to).to_owned()));
        let lost = self.known.iter().filter(is_lost);
        troubles.extend(lost.map(|(from, to)| format!("the import of {to} by {from} was not found")));
        if troubles.is_empty() { Ok(Completion::Completed) } else { Err(Failed::from(troubles.join("\n"))) }
    }

    /// Reads a file and the modules that it declares, without what is for unit tests.
    fn read(&self, top: &Path, name: &Path, module: Vec<String>, program: &mut Program) -> Result<(), Failed> {
        let text = fs::read_to_string(top.join(name)).map_err(|e| format!("{}: {e}", name.display()))?;
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let text = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let parent = name.parent().unwrap_or(Path::new(""));
        let is_top = ["mod.rs", "main.rs"].iter().any(|end| name.ends_with(end));
        let folder = if is_top { parent.to_owned() } else { name.with_extension("") };
        let mut imports = paths(&text);
        let (mut placed, mut is_tested) = (None, false);
        for line in text.lines() {
            let is_unit = is_tested;
            is_tested = line == "#[cfg(test)]" || is_tested && line.starts_with("#[");
            if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
                placed = Some(path);
            }
            let declared = line.split_once("mod ").filter(|(before, _)| before.is_empty() || before.starts_with("pub"));
            let Some(child) = declared.and_then(|(_, rest)| rest.strip_suffix(';')) else { continue };
            if is_unit {
                placed = None;
                continue;
            }
            let file = match placed.take() {
                Some(path) => without_dots(&parent.join(path)),
                None if top.join(&folder).join(format!("{child}.rs")).exists() => folder.join(format!("{child}.rs")),
                None => folder.join(child).join("mod.rs"),
            };
            if self.declares {
                imports.push((vec!["self".to_owned(), child.to_owned()], child.to_owned()));
            }
            self.read(top, &file, [module.as_slice(), &[child.to_owned()]].concat(), program)?;
        }
        let has_unsafe = text.contains("unsafe ");
        program.insert(module, File { name: name.to_string_lossy().into_owned(), imports, has_unsafe });
        Ok(())
    }
}

fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path {
        if part == ".." {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// The paths in a source that may lead to other files: those in `use`, and all that begin with `crate`
/// or `super`.
fn paths(text: &str) -> Vec<Import> {
    let mut found = vec![];
    let words = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in text.match_indices("crate::").chain(text.match_indices("super::")).chain(text.match_indices("use ")) {
        if text[..at].ends_with(words) || text[..at].ends_with('"') {
            continue;
        }
        let start = if text[at..].starts_with("use ") { at + 4 } else { at };
        expand(&mut text[start..].trim_start(), &[], &mut found);
    }
    found
}

/// Reads a path, with what stands in braces at its end.
fn expand(rest: &mut &str, before: &[String], found: &mut Vec<Import>) {
    let mut path = before.to_vec();
    loop {
        *rest = rest.trim_start();
        if let Some(inside) = rest.strip_prefix('{') {
            *rest = inside.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                let length = rest.len();
                expand(rest, &path, found);
                *rest = rest.trim_start().trim_start_matches(',').trim_start();
                if rest.len() == length {
                    return;
                }
            }
            *rest = rest.get(1..).unwrap_or_default();
            return;
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        *rest = after;
        if word == "self" && !before.is_empty() && path.len() == before.len() {
            break;
        }
        if !word.is_empty() {
            path.push(word.to_owned());
        }
        match rest.strip_prefix("::") {
            Some(after) if !word.is_empty() => *rest = after,
            _ => break,
        }
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if let Some(after) = rest.strip_prefix(" as ") {
        let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(after.len());
        after[..end].clone_into(&mut name);
        *rest = &after[end..];
    }
    found.push((path, name));
}

/// The files that a file imports.
fn imports_of<'a>(program: &'a Program, module: &'a [String], file: &'a File) -> impl Iterator<Item = (String, String)> + 'a {
    let found = file.imports.iter().filter_map(|(path, _)| target(program, module, path, 0));
    found.filter(|to| *to != file.name).map(|to| (file.name.clone(), to))
}

/// The file that a path leads to from a module, unless it leads out of the program.
fn target(program: &Program, module: &[String], path: &[String], depth: usize) -> Option<String> {
    let mut here = module.to_vec();
    let mut path = path.iter().map(String::as_str).peekable();
    let mut is_ours = false;
    while let Some(word @ ("crate" | "super" | "self")) = path.peek().copied() {
        match word {
            "crate" => here.clear(),
            "super" => _ = here.pop(),
            _ => {}
        }
        is_ours = true;
        path.next();
    }
    for word in path {
        here.push(word.to_owned());
        if program.contains_key(&here) {
            is_ours = true;
            continue;
        }
        here.pop();
        if !is_ours {
            return None;
        }
        let file = program.get(&here)?;
        // A module's imports can be imported from it.
        let passed_on = file.imports.iter().filter(|(_, name)| name == word && depth < 8);
        return Some(
            passed_on
                .filter_map(|(path, _)| target(program, &here, path, depth + 1))
                .find(|to| *to != file.name)
                .unwrap_or(file.name.clone()),
        );
    }
    program.get(&here).filter(|_| is_ours).map(|file| file.name.clone())
}

impl House {
    /// The imports that go up, and those within a folder that come back to where they began.
    fn troubles(&self, edges: &BTreeSet<(String, String)>) -> Vec<String> {
        let place = |name: &str| self.order.iter().position(|room| name.split('/').next() == Some(*room));
        let mut inside: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to) in edges.iter().filter(|(from, to)| place(from) == place(to)) {
            inside.entry(from).or_default().push(to);
        }
        let trouble = |(from, to): &(String, String)| match (place(from), place(to)) {
            (Some(of), Some(other)) if of < other => Some(format!("{from} imports {to}, which stands above it")),
            (Some(_), Some(_)) => comes_back(&inside, from, to).then(|| format!("{from} imports {to}, which imports it")),
            _ => Some(format!("{from} or {to} has no place in the order")),
        };
        edges.iter().filter_map(trouble).collect()
    }
}

fn comes_back(next: &BTreeMap<&str, Vec<&str>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([to]);
    let mut left = vec![to];
    while let Some(file) = left.pop() {
        if file == from {
            return true;
        }
        left.extend(next.get(file).into_iter().flatten().filter(|end| seen.insert(**end)));
    }
    false
}
