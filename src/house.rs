//! Holds the modules to their order: who is called knows nothing of who calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The top-level modules, each of which may import from those after it.
const FLOORS: [&str; 16] = [
    "launch", "sandbox", "explain", "record", "cli", "fds", "config", "confine", "links", "host",
    "profile", "kernel", "archive", "error", "report", "word",
];

/// All Rust files below a directory, without those of tests alone.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// `src/sandbox/root.rs` as `sandbox::root`, `src/sandbox/mod.rs` as `sandbox`.
fn module(top: &Path, file: &Path) -> String {
    let path = file.strip_prefix(top).unwrap_or(file).with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.into_iter().filter(|part| part != "mod").collect::<Vec<_>>().join("::")
}

/// The project's modules that a file's code names, as far as they are files.
fn named(text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | ':'));
        let path = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let mut name = path.trim_end_matches(':');
        while !modules.contains(name) {
            match name.rsplit_once("::") {
                Some((before, _)) => name = before,
                None => break,
            }
        }
        if modules.contains(name) {
            found.insert(name.to_owned());
        }
    }
    found
}

/// The project's modules that each module names.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&top, &mut files);
    files.retain(|file| !file.to_string_lossy().ends_with("_tests.rs"));
    let known: BTreeSet<_> = files.iter().map(|file| module(&top, file)).collect();
    assert!(known.len() > 40, "the sources are not where they were: {known:?}");
    let of = |file: &PathBuf| (module(&top, file), fs::read_to_string(file).unwrap_or_default());
    let imports = files.iter().map(of).map(|(name, text)| {
        let mut named = named(&text, &known);
        named.remove(&name);
        (name, named)
    });
    imports.collect()
}

fn floor(module: &str) -> Option<usize> {
    let room = module.split("::").next().unwrap_or_default();
    FLOORS.iter().position(|&known| known == room)
}

#[test]
fn imports_lead_downwards() {
    for (module, named) in imports() {
        if matches!(module.as_str(), "main" | "house") {
            continue;
        }
        let own = floor(&module);
        assert!(own.is_some(), "{module} has no place in the order");
        for other in named {
            assert!(floor(&other) >= own, "{module} imports {other}, which is above it");
        }
    }
}

#[test]
fn no_two_import_each_other() {
    let imports = imports();
    for start in imports.keys().filter(|name| *name != "main") {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<&String> = imports.get(start).into_iter().flatten().collect();
        while let Some(next) = todo.pop() {
            assert!(next != start, "{start} imports itself by way of others: {seen:?}");
            if seen.insert(next) {
                todo.extend(imports.get(next).into_iter().flatten());
            }
        }
    }
}

#[test]
fn unsafe_code_has_one_place() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&top, &mut files);
    for file in
        files.iter().filter(|file| !file.ends_with("kernel/sys.rs") && !file.ends_with("house.rs"))
    {
        let text = fs::read_to_string(file).unwrap_or_default();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        assert!(!code.into_iter().any(|line| line.contains("unsafe ")), "{}", file.display());
    }
}
