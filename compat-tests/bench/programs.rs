//! The programs that are measured, and where they come from.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Result, target};
use crate::scenarios::Scenario;

/// One program, with the words that come before the options.
#[derive(Debug)]
pub(crate) struct Program {
    /// What tables call it.
    pub(crate) name: &'static str,
    path: PathBuf,
    words: Vec<OsString>,
}

/// The three programs.
#[derive(Debug)]
pub(crate) struct Programs {
    /// bubblewrap, run by its own loader and no shell.
    pub(crate) reference: Program,
    /// Ours.
    pub(crate) ours: Program,
    /// The least that can be done.
    pub(crate) floor: Program,
}

/// Copies ours and the reference to a directory, and compiles the floor there.
pub(crate) fn prepare(dir: &Path) -> Result<()> {
    let wrapper = std::env::var_os("BWRAP_REFERENCE").map_or_else(|| target().join("reference/bwrap"), PathBuf::from);
    let reference = wrapper.parent().filter(|dir| dir.join("bwrap.real").exists());
    let Some(reference) = reference else {
        return Err("no reference: run compat-tests/reference first".to_owned());
    };
    let copy = |from: &Path, to: &Path| std::fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()));
    copy(&shipped()?, &dir.join("bwrap"))?;
    for name in ["bwrap.real", "ld.so"] {
        copy(&reference.join(name), &dir.join(name))?;
    }
    std::fs::create_dir(dir.join("lib")).map_err(|error| error.to_string())?;
    let libraries = std::fs::read_dir(reference.join("lib")).map_err(|error| error.to_string())?;
    for library in libraries.flatten() {
        copy(&library.path(), &dir.join("lib").join(library.file_name()))?;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat-tests/bench/floor.rs");
    let flags = [
        "opt-level=3",
        "panic=abort",
        "lto=fat",
        "codegen-units=1",
        "strip=symbols",
        "target-feature=+crt-static",
        // Nobody would relocate it.
        "relocation-model=static",
        "link-arg=-nostartfiles",
    ];
    let mut compiler = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    compiler.args(["--edition", "2024"]).args(flags.map(|flag| format!("-C{flag}"))).arg("-o").arg(dir.join("floor")).arg(source);
    match compiler.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("rustc could not compile the floor: {status}")),
        Err(error) => Err(format!("rustc: {error}")),
    }
}

/// Builds the program that is shipped, unless `COMPAT_BWRAP` names one.
fn shipped() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("COMPAT_BWRAP") {
        return Ok(path.into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat-tests/tools/release-build");
    let built =
        Command::new(&script).stderr(Stdio::inherit()).output().map_err(|error| format!("{}: {error}", script.display()))?;
    let path = String::from_utf8_lossy(&built.stdout).trim_end().to_owned();
    if built.status.success() { Ok(path.into()) } else { Err("what is shipped could not be built".to_owned()) }
}

impl Programs {
    /// The programs that [`prepare`] has put into a directory.
    pub(crate) fn in_dir(dir: &Path) -> Self {
        let loaded = ["--library-path", "lib", "--argv0", "bwrap", "bwrap.real"];
        let in_place =
            |word: &str| if word == "lib" || word == "bwrap.real" { dir.join(word).into() } else { OsString::from(word) };
        let reference =
            Program { name: "reference", path: dir.join("ld.so"), words: loaded.iter().map(|word| in_place(word)).collect() };
        let ours = Program { name: "ours", path: dir.join("bwrap"), words: vec![] };
        Self { reference, ours, floor: Program { name: "floor", path: dir.join("floor"), words: vec![] } }
    }

    /// Whether there is anything to measure: that sandboxes can be made here, and that all programs make the same one.
    pub(crate) fn check(&self) -> Result<()> {
        let view = "cat /proc/self/status | grep -E '^(Cap|NoNewPrivs)'; cut -d' ' -f5- /proc/self/mountinfo | grep -o '^[^-]*'; ls -l /dev";
        for scenario in [Scenario::plain(), Scenario::typical()] {
            let mut views = vec![];
            for program in [&self.reference, &self.ours, &self.floor] {
                let output = program.command(&scenario, &["sh", "-c", view])?.output();
                let output = output.map_err(|error| format!("{}: {error}", program.path.display()))?;
                if !output.status.success() {
                    return Err(format!("{} fails: {}", program.name, String::from_utf8_lossy(&output.stderr)));
                }
                // The reference stacks its new root on an empty one, and times of files differ.
                views.push(String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.contains("master:")).count());
            }
            if views.iter().any(|lines| Some(lines) != views.first()) {
                return Err(format!("the sandboxes of {} are not the same: {views:?}", scenario.name));
            }
        }
        Ok(())
    }
}

impl Program {
    /// The sandbox of a scenario around a command.
    pub(crate) fn command(&self, scenario: &Scenario, command: &[&str]) -> Result<Command> {
        let mut process = Command::new(&self.path);
        if self.name == "floor" {
            let Some(shape) = scenario.shape else { return Err(format!("there is no floor for {}", scenario.name)) };
            // It gets the same words, too: the kernel has to copy them.
            let skipped = scenario.options.len();
            process.args([shape, &scenario.binds.unwrap_or(0).to_string(), &skipped.to_string()]);
        }
        process.args(&self.words).args(&scenario.options).args(command);
        process.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/").stdin(match &scenario.input {
            Some(path) => File::open(path).map_err(|error| format!("{}: {error}", path.display()))?.into(),
            None => Stdio::null(),
        });
        Ok(process)
    }

    /// The time of one run.
    pub(crate) fn run(&self, scenario: &Scenario) -> Result<Duration> {
        let mut command = self.command(scenario, &["true"])?;
        let start = Instant::now();
        let status = command.status().map_err(|error| format!("{}: {error}", self.path.display()))?;
        let time = start.elapsed();
        if status.success() { Ok(time) } else { Err(format!("{} fails in {}: {status}", self.name, scenario.name)) }
    }

    /// The size of the file in bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        let file = self.words.last().map_or(self.path.as_path(), Path::new);
        std::fs::metadata(file).map(|file| file.len()).map_err(|error| error.to_string())
    }
}
