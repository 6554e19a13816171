//! The order of the files: who may import whom. A trial reads the sources and holds them to it.
//!
//! A path through a `mod.rs` or `main.rs` counts as an import of the file that the name comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Failed, Trial};

use crate::harness::left_out;

/// The files and folders, from the ground up. Each imports only itself and what comes before it, and
/// no two files import each other, not even by way of others.
const ORDER: [&str; 13] = [
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
];

/// The programs, by the file that they begin with.
const PROGRAMS: [&str; 4] = ["main.rs", "faults/main.rs", "load/main.rs", "bench/main.rs"];

/// A path in a source, as `["crate", "harness", "Case"]`, with the name that it has there.
type Import = (Vec<String>, String);

/// One file of a program.
struct File {
    /// Below `compat-tests`.
    name: String,
    imports: Vec<Import>,
}

/// A program's files by the paths of their modules.
type Program = BTreeMap<Vec<String>, File>;

/// The trial.
pub(crate) fn trial() -> Trial {
    Trial::ignorable_test("coverage::imports_go_one_way", || {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat-tests");
        if !top.join("main.rs").exists() {
            return Ok(left_out("needs the sources"));
        }
        let mut edges = BTreeSet::new();
        for main in PROGRAMS {
            let mut program = Program::new();
            read(&top, Path::new(main), vec![], &mut program)?;
            edges.extend(program.iter().flat_map(|(path, file)| imports_of(&program, path, file)));
        }
        let mut troubles = troubles(&edges);
        // Imports that are not found would seem to be in order.
        let needed =
            [("cases/mod.rs", "harness/case.rs"), ("harness/side.rs", "sys.rs"), ("faults/campaign.rs", "harness/side.rs")];
        troubles.extend(
            needed
                .iter()
                .filter(|(from, to)| !edges.contains(&((*from).to_owned(), (*to).to_owned())))
                .map(|edge| format!("the import of {} by {} was not found", edge.1, edge.0)),
        );
        if troubles.is_empty() { Ok(Completion::Completed) } else { Err(Failed::from(troubles.join("\n"))) }
    })
}

/// Reads a file and the modules that it declares.
fn read(top: &Path, name: &Path, module: Vec<String>, program: &mut Program) -> Result<(), Failed> {
    let text = fs::read_to_string(top.join(name)).map_err(|e| format!("{}: {e}", name.display()))?;
    let text = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let parent = name.parent().unwrap_or(Path::new(""));
    let is_top = ["mod.rs", "main.rs"].iter().any(|end| name.ends_with(end));
    let folder = if is_top { parent.to_owned() } else { name.with_extension("") };
    let mut imports = paths(&text);
    let mut placed = None;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            placed = Some(path);
        }
        let Some(child) = line.strip_suffix(';').and_then(|line| line.split_once("mod ")).map(|(_, child)| child) else {
            continue;
        };
        let file = match placed.take() {
            Some(path) => without_dots(&parent.join(path)),
            None if top.join(&folder).join(format!("{child}.rs")).exists() => folder.join(format!("{child}.rs")),
            None => folder.join(child).join("mod.rs"),
        };
        imports.push((vec!["self".to_owned(), child.to_owned()], child.to_owned()));
        read(top, &file, [module.as_slice(), &[child.to_owned()]].concat(), program)?;
    }
    program.insert(module, File { name: name.to_string_lossy().into_owned(), imports });
    Ok(())
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

/// The imports that go up, and those that come back to where they began.
fn troubles(edges: &BTreeSet<(String, String)>) -> Vec<String> {
    let mut troubles = vec![];
    for (from, to) in edges {
        match (place(from), place(to)) {
            (Some(of), Some(other)) if of < other => troubles.push(format!("{from} imports {to}, which stands above it")),
            (Some(_), Some(_)) if comes_back(edges, from, to) => troubles.push(format!("{from} imports {to}, which imports it")),
            (Some(_), Some(_)) => {}
            _ => troubles.push(format!("{from} or {to} has no place in the order")),
        }
    }
    troubles
}

fn place(name: &str) -> Option<usize> {
    ORDER.iter().position(|room| name.split('/').next() == Some(*room))
}

fn comes_back(edges: &BTreeSet<(String, String)>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([to]);
    let mut left = vec![to];
    while let Some(file) = left.pop() {
        if file == from {
            return true;
        }
        let next = edges.iter().filter(|(start, _)| start == file).map(|(_, end)| end.as_str());
        left.extend(next.filter(|end| seen.insert(end)));
    }
    false
}
