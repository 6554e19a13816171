//! `--under LIMIT=N[,LIMIT=N…] PROGRAM WORD…`: executes a program under resource limits, also such as no process of Rust could
//! start another one under. `full` occupies every fd that the limit of open files leaves.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;

use crate::harness::Result;

pub(crate) fn run(words: &[String]) -> ExitCode {
    let error = match words {
        // A COMMAND that needs no file to be opened and hardly any memory.
        [word] if word == "hello" => {
            crate::harness::report::say("hi\n");
            return ExitCode::SUCCESS;
        }
        [limits, program, words @ ..] => {
            set_all(limits).err().unwrap_or_else(|| Command::new(program).args(words).exec().to_string())
        }
        _ => "--under LIMITS PROGRAM".to_owned(),
    };
    // Standard error may be what cannot be written to.
    _ = std::io::Write::write_all(&mut std::io::stderr(), format!("--under: {error}\n").as_bytes());
    ExitCode::from(126)
}

fn set_all(limits: &str) -> Result<()> {
    for limit in limits.split(',') {
        if limit == "full" {
            occupy();
            continue;
        }
        let (name, value) = limit.split_once('=').ok_or("no value")?;
        let value = value.parse().map_err(|_| format!("{limit}: no number"))?;
        let resource = match name {
            "as" => Resource::RLIMIT_AS,
            "fsize" => Resource::RLIMIT_FSIZE,
            "nofile" => Resource::RLIMIT_NOFILE,
            "nproc" => Resource::RLIMIT_NPROC,
            _ => return Err(format!("{name}: unknown")),
        };
        setrlimit(resource, value, value).map_err(|e| format!("{limit}: {e}"))?;
    }
    Ok(())
}

/// The fds stay open in the program.
fn occupy() {
    while let Ok(fd) = open(c"/dev/null", OFlag::O_RDONLY, Mode::empty()) {
        std::mem::forget(fd);
    }
}
