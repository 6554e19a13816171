//! What a running sandbox holds, how large the programs are, and how many system calls they make.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::Result;
use crate::programs::{Program, Programs};
use crate::scenarios::{self, Scenario};

/// What one process holds, in KiB.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    /// Its share of all pages it has mapped.
    pss: u64,
    /// Its share of those that are not of a file.
    anonymous: u64,
}

/// PSS of what stays behind, and sizes of the files.
pub(crate) fn tables(programs: &Programs, dir: &Path) -> Result<()> {
    println!("\nWhat stays behind while COMMAND sleeps, PSS in KiB (of which anonymous), and the size of the file\n");
    println!("{:<26}{:>24}{:>24}{:>24}{:>12}", "", "monitor", "PID 1", "both", "file");
    let binds = scenarios::all(dir)?.into_iter().find(|scenario| scenario.name == "1000 binds");
    let with_init = |mut scenario: Scenario| {
        scenario.options.splice(0..0, ["--unshare-pid".to_owned()]);
        scenario
    };
    for scenario in [Some(Scenario::typical()), binds.map(with_init)].into_iter().flatten() {
        let mut both = vec![];
        for program in [&programs.reference, &programs.ours] {
            let [monitor, init] = held(program, &scenario)?;
            let sum = Held { pss: monitor.pss + init.pss, anonymous: monitor.anonymous + init.anonymous };
            let show = |held: Held| format!("{} ({})", held.pss, held.anonymous);
            let name = format!("{}, {}", scenario.name, program.name);
            println!("{name:<26}{:>24}{:>24}{:>24}{:>12}", show(monitor), show(init), show(sum), program.size()?);
            both.push(sum);
        }
        if let [reference, ours] = both.as_slice() {
            let ratio =
                |ours: u64, reference: u64| f64::from(u32::try_from(ours * 1000 / reference.max(1)).unwrap_or(u32::MAX)) / 1e3;
            let (pss, anonymous) = (ratio(ours.pss, reference.pss), ratio(ours.anonymous, reference.anonymous));
            println!("{:<26}{:>72}", "  ours/reference", format!("{pss:.3} ({anonymous:.3})"));
        }
    }
    Ok(())
}

/// What monitor and PID 1 hold.
fn held(program: &Program, scenario: &Scenario) -> Result<[Held; 2]> {
    let mut running = program.command(scenario, &["sleep", "1000"])?.spawn().map_err(|error| error.to_string())?;
    let found = look(&running);
    // First what would outlive the monitor.
    for child in children(running.id()) {
        _ = kill(Pid::from_raw(child.cast_signed()), Signal::SIGKILL);
    }
    _ = running.kill();
    _ = running.wait();
    found
}

fn look(monitor: &Child) -> Result<[Held; 2]> {
    let pid = monitor.id();
    // PID 1 has one child once COMMAND is started, and that is `sleep` once it is executed.
    for _ in 0..1000 {
        if let [init] = children(pid).as_slice()
            && let [command] = children(*init).as_slice()
            && std::fs::read_to_string(format!("/proc/{command}/comm")).is_ok_and(|name| name.trim_end() == "sleep")
        {
            return Ok([of(pid)?, of(*init)?]);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("the sandbox did not start".to_owned())
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn of(pid: u32) -> Result<Held> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).map_err(|error| format!("smaps_rollup: {error}"))?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
    };
    Ok(Held { pss: value("Pss:"), anonymous: value("Pss_Anon:") })
}

/// System calls of the set-up, as strace counts them: all of every process, but COMMAND's own.
pub(crate) fn calls(programs: &Programs, dir: &Path) -> Result<()> {
    println!("\nSystem calls from start to end, without COMMAND's own\n");
    println!("{:<26}{:>24}{:>24}{:>24}", "", "reference", "ours", "floor");
    for scenario in scenarios::all(dir)? {
        let count = |program: &Program| traced(program, &scenario, &dir.join("trace"));
        let floor = match scenario.shape {
            Some(_) => count(&programs.floor)?,
            None => "–".to_owned(),
        };
        println!("{:<26}{:>24}{:>24}{floor:>24}", scenario.name, count(&programs.reference)?, count(&programs.ours)?);
    }
    Ok(())
}

fn traced(program: &Program, scenario: &Scenario, file: &Path) -> Result<String> {
    let plain = program.command(scenario, &["true"])?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(file).arg(plain.get_program()).args(plain.get_args());
    strace.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/");
    if let Some(input) = &scenario.input {
        strace.stdin(std::fs::File::open(input).map_err(|error| error.to_string())?);
    }
    match strace.status() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("strace: {status}")),
        Err(_) => return Ok("needs strace".to_owned()),
    }
    let text = std::fs::read(file).map_err(|error| error.to_string())?;
    let mut seen = BTreeMap::new();
    for line in String::from_utf8_lossy(&text).lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if !call.starts_with(|first: char| first.is_ascii_lowercase()) {
            continue;
        }
        // The count of a process that becomes COMMAND ends there.
        let (count, ended) = seen.entry(pid.to_owned()).or_insert((0_usize, false));
        if !*ended {
            *count += 1;
            *ended = call.starts_with("execve(\"/usr/bin/true\"");
        }
    }
    Ok(seen.values().map(|(count, _)| count).sum::<usize>().to_string())
}
