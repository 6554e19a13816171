//! Signals at random moments, from before the first step of the set-up until COMMAND runs.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::crowds::ended_with;
use crate::harness::Result;
use crate::series::ARRANGEMENTS;
use crate::stage::{Stage, at, children, figure, words};
use crate::waiting::until;

/// COMMAND, which does not end by itself, and is one process: without a pid namespace others of its would be nobody's to end.
const RUNS_ON: [&str; 3] = ["sh", "-c", "echo ready; exec sleep 1000"];

/// How long a sandbox takes from its start to its end, in microseconds.
fn span(stage: &Stage, arrangement: &str) -> Result<u64> {
    let mut spans = vec![];
    for _ in 0..5 {
        let start = Instant::now();
        at("spawn", stage.bwrap(words(arrangement)).args(["true"]).output())?;
        spans.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    spans.sort_unstable();
    spans.get(2).copied().ok_or_else(|| "no span".to_owned())
}

/// Plays a number of rounds, each with an arrangement and a span in which its random moment lies, and says how many met the set-up.
fn rounds(
    stage: &mut Stage,
    what: &str,
    count: usize,
    mut play: impl FnMut(&mut Stage, &str, u64) -> Result<bool>,
) -> Result<()> {
    let mut spans = vec![];
    for arrangement in ARRANGEMENTS {
        // Longer than it takes, so that some moments are when COMMAND runs.
        spans.push(span(stage, arrangement)? * 3 / 2);
    }
    let mut early = 0;
    for number in 0..count {
        let (Some(arrangement), Some(span)) =
            (ARRANGEMENTS.get(number % ARRANGEMENTS.len()), spans.get(number % ARRANGEMENTS.len()))
        else {
            continue;
        };
        let delay = stage.random.below(*span);
        let met = play(stage, arrangement, delay).and_then(|met| stage.alone().map(|()| met));
        early += usize::from(met.map_err(|error| format!("round {number}, {arrangement}, after {delay} µs: {error}"))?);
    }
    stage.unchanged()?;
    figure(&format!("{what}: {count} times, {early} of them before COMMAND ran; nothing left"));
    Ok(())
}

/// Waits; sleeping would round small times up.
fn pause(microseconds: u64) {
    let end = Instant::now() + Duration::from_micros(microseconds);
    if microseconds > 2000 {
        std::thread::sleep(Duration::from_micros(microseconds - 1000));
    }
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn start(stage: &Stage, arrangement: &str, command: &[&str]) -> Result<Child> {
    let mut bwrap = stage.bwrap(words(arrangement));
    bwrap.arg("--die-with-parent").args(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    at("spawn", bwrap.spawn())
}

fn send(pid: u32, signal: Signal) -> Result<()> {
    at("kill", kill(Pid::from_raw(pid.cast_signed()), signal))
}

/// Whether COMMAND has said nothing, once nobody is left who could.
fn was_early(stage: &Stage, child: &mut Child) -> Result<bool> {
    stage.alone()?;
    let mut text = vec![];
    at("read", child.stdout.take().ok_or("no stdout")?.read_to_end(&mut text))?;
    Ok(text.is_empty())
}

/// The monitor gets a signal that ends it.
pub(crate) fn monitor(stage: &mut Stage) -> Result<()> {
    let count = stage.count(240, 4000);
    rounds(stage, "signal to the monitor", count, |stage, arrangement, delay| {
        let signals = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
        let signal = stage.random.pick(&signals).unwrap_or(Signal::SIGKILL);
        let mut child = start(stage, arrangement, &RUNS_ON)?;
        pause(delay);
        send(child.id(), signal)?;
        let status = at("wait", child.wait())?;
        if status.signal() != Some(signal as i32) {
            return Err(format!("should end by {signal}: {status}"));
        }
        was_early(stage, &mut child)
    })
}

/// The parent of the monitor is killed, once the monitor has looked who that is.
pub(crate) fn launcher(stage: &mut Stage) -> Result<()> {
    let count = stage.count(120, 2000);
    let restricted = has_no_new_privileges("self");
    rounds(stage, "end of the monitor's parent", count, |stage, arrangement, delay| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$@\" 2>/dev/null </dev/null & echo $!; wait", "sh"]);
        shell.arg(&stage.bwrap).args(words(arrangement)).arg("--die-with-parent").args(RUNS_ON).stdout(Stdio::piped());
        let mut child = at("spawn", shell.spawn())?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let (mut line, mut early) = (String::new(), true);
        at("read", stdout.read_line(&mut line))?;
        if line == "ready\n" {
            // COMMAND may be faster than the shell.
            early = false;
            line.clear();
            at("read", stdout.read_line(&mut line))?;
        }
        let bwrap = line.trim();
        let number = bwrap.parse().map_err(|_| format!("{line:?}: no pid"))?;
        // The second thing it does, after asking for its parent, is to give up new privileges; where that is so already, the sign is its child.
        until("started", || if restricted { !children(number).is_empty() } else { has_no_new_privileges(bwrap) })?;
        pause(delay);
        at("kill", child.kill())?;
        at("wait", child.wait())?;
        stage.alone()?;
        let mut rest = String::new();
        at("read", stdout.read_to_string(&mut rest))?;
        Ok(early && rest.is_empty())
    })
}

fn has_no_new_privileges(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| text.contains("NoNewPrivs:\t1"))
}

/// Any process of the sandbox is killed: the first one, COMMAND, whoever is there.
pub(crate) fn any_process(stage: &mut Stage) -> Result<()> {
    let count = stage.count(120, 2000);
    rounds(stage, "SIGKILL to any process", count, |stage, arrangement, delay| {
        let mut child = start(stage, arrangement, &RUNS_ON)?;
        pause(delay);
        let first = children(child.id());
        let below = first.iter().flat_map(|pid| children(*pid)).collect::<Vec<_>>();
        let victims = first.into_iter().chain(below).collect::<Vec<_>>();
        let victim = stage.random.pick(&victims);
        send(victim.unwrap_or(child.id()), Signal::SIGKILL)?;
        let status = at("wait", child.wait())?;
        let is_right = if victim.is_some() { status.code() == Some(137) } else { status.signal() == Some(libc::SIGKILL) };
        if !is_right {
            return Err(format!("{victim:?} of {victims:?} was killed: {status}"));
        }
        was_early(stage, &mut child)
    })
}

/// The monitor is stopped, and goes on, or is killed.
pub(crate) fn stopped_monitor(stage: &mut Stage) -> Result<()> {
    let count = stage.count(120, 2000);
    rounds(stage, "stop of the monitor", count, |stage, arrangement, delay| {
        let goes_on = stage.random.below(2) == 0;
        // It ends with its stdin, which may be data for the set-up as well.
        let command: &[&str] = if goes_on { &["sh", "-c", "echo ready; read x; exit 7"] } else { &RUNS_ON };
        let mut child = start(stage, arrangement, command)?;
        pause(delay);
        send(child.id(), Signal::SIGSTOP)?;
        drop(child.stdin.take());
        pause(stage.random.below(4000));
        if goes_on {
            send(child.id(), Signal::SIGCONT)?;
            ended_with(&mut child, 7)?;
            return Ok(false);
        }
        send(child.id(), Signal::SIGKILL)?;
        at("wait", child.wait())?;
        was_early(stage, &mut child)
    })
}
