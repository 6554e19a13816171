//! What a sandbox leaves behind, however it ends.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::group::{Group, processes_in, same};
use super::limits::HOG;
use crate::harness::Result;

/// A sandbox alone puts everything back, so that the next one finds what the first one found.
pub(super) fn one_after_the_other(group: &Group) -> Result<()> {
    for _ in 0..2 {
        let script = "exec $B --cgroup memory.max 64M --cgroup pids.max 9 -- sh -c 'cat /proc/self/cgroup; exit 3'";
        let mut ended = group.alone(script);
        let without_pid = ended.out.rfind('-').unwrap_or(0);
        ended.out.truncate(without_pid);
        ended.ends(3, &format!("0::{}/bwrap", group.name()))?;
        group.nothing_left()?;
    }
    // And the same if it fails, wherever.
    let wrong = [
        "--cgroup memory.max x true",
        "--cgroup memory.nothing 1 true",
        "--bind /nothing /x true",
        "--cgroup pids.max 0 true",
        "--userns 11 true 11</proc/self/ns/user",
        "--chdir /nothing true",
        "/nothing",
    ];
    for options in wrong {
        let ended = group.alone(&format!("exec $B --cgroup memory.max 64M {options}"));
        if ended.status != 1 {
            return Err(format!("{options}: status {}", ended.status));
        }
        group.nothing_left().map_err(|e| format!("{options}: {e}"))?;
    }
    Ok(())
}

/// At once, some of them too large for their limit.
pub(super) fn fifty(group: &Group) -> Result<()> {
    let script = format!(
        "for n in $(seq 50); do
            if [ $((n % 10)) = 0 ]; then command='{HOG}'; else command='echo hello'; fi
            {{ eval \"$B --cgroup memory.max 32M --cgroup memory.swap.max 0 --cgroup pids.max $((n + 2)) -- $command\" \
                > $n.out 2>&1; echo $? >> $n.out; }} &
        done; wait"
    );
    group.launch(&script.replace("memory.swap.max 0", swap_limit(group))).prints("")?;
    for n in 1..=50 {
        let found = fs::read_to_string(group.work.join(format!("{n}.out"))).unwrap_or_default();
        same(&n.to_string(), &found, if n % 10 == 0 { "137\n" } else { "hello\n0\n" })?;
    }
    group.only_supervisor()
}

/// A kernel without swap has no such file.
fn swap_limit(group: &Group) -> &'static str {
    if group.path.join("memory.swap.max").exists() { "memory.swap.max 0" } else { "memory.high max" }
}

/// The end of the one that has moved into `supervisor` takes no limits from those that came later.
pub(super) fn side_by_side(group: &Group) -> Result<()> {
    let mut first = group.starting_alone("exec $B --cgroup pids.max 5 -- sh -c 'until [ -e $work/go ]; do sleep 0.1; done'")?;
    let moved = group.path.join("supervisor");
    let played = group.until("the first one runs", || moved.exists() && group.runs("sleep")).and_then(|()| {
        // It tells the first one to end, waits until that group is gone, and still has its limit.
        let gone = format!("until [ $(ls -d {}/bwrap-* | wc -l) = 1 ]; do sleep 0.1; done", group.path.display());
        let command = format!("touch $work/go; {gone}; cat /sys/fs/cgroup$(sed s/0::// /proc/self/cgroup)/pids.max");
        let options = "--bind $work $work --cgroup pids.max 9 --cgroup memory.max 64M";
        group.launch(&format!("$B {options} -- sh -c '{command}'")).prints("9")
    });
    _ = fs::write(group.work.join("go"), "");
    first.wait().map_err(|e| e.to_string())?;
    played?;
    group.only_supervisor()?;
    same("controllers", &group.controllers(), "memory pids")
}

pub(super) fn background(group: &Group) -> Result<()> {
    group.launch("$B --cgroup pids.max 9 -- sh -c 'setsid sleep 1234 & exit 3' > /dev/null 2>&1").ends(3, "")?;
    group.only_supervisor()?;
    // This one is never found where it was.
    let runaway = "perl -e \"while (1) { exit if fork }\" & sleep 0.3; exit 3";
    group.launch(&format!("$B --cgroup pids.max 9 -- sh -c '{runaway}' > /dev/null 2>&1")).ends(3, "")?;
    group.only_supervisor()
}

/// A monitor that is killed leaves the group, and the sandbox if it was not to die with it; the next
/// one sweeps. Without a pid namespace it is COMMAND alone that dies with the monitor.
pub(super) fn killed(group: &Group) -> Result<()> {
    for options in ["--die-with-parent", "--die-with-parent --unshare-pid", "--unshare-pid", ""] {
        let exec = if options.is_empty() { "" } else { "exec" };
        let script = format!("exec $B {options} --cgroup pids.max 9 -- sh -c '{exec} sleep 1234; true' > /dev/null 2>&1");
        let mut child = group.launching(&script)?;
        let pid = child.id();
        let runs = group.until("COMMAND runs", || group.runs("sleep"));
        _ = child.kill();
        child.wait().map_err(|e| e.to_string())?;
        runs?;
        let place = group.path.join(format!("bwrap-{pid}"));
        if options.starts_with("--die") {
            group.until("COMMAND dies", || processes_in(&place).is_empty())?;
        } else if !group.runs("sleep") {
            return Err(format!("{options}: COMMAND died"));
        }
        same(options, &group.groups(), &format!("bwrap-{pid} supervisor"))?;
        group.launch("$B --cgroup pids.max 9 true").prints("")?;
        group.only_supervisor()?;
    }
    killed_alone(group)
}

/// One that was alone leaves a group into which a process can be put, or only below it: that depends
/// on the controllers.
fn killed_alone(group: &Group) -> Result<()> {
    let left = || group.groups().replace(|c: char| c.is_ascii_digit(), "");
    let supervisor = group.path.join("supervisor");
    fs::remove_dir(&supervisor).map_err(|e| e.to_string())?;
    let control = group.path.join("cgroup.subtree_control");
    fs::write(control, "-pids").map_err(|e| e.to_string())?;
    let command = "sh -c 'kill -KILL $PPID; sleep 0.1'";
    group.alone(&format!("exec $B --cgroup pids.max 9 -- {command}")).ends(137, "")?;
    same("after pids.max", &left(), "bwrap- supervisor")?;
    group.until("it is empty", || group.processes().is_empty())?;
    group.alone("exec $B --cgroup pids.max 9 true").prints("")?;
    group.nothing_left()?;
    group.alone(&format!("exec $B --cgroup memory.max 64M -- {command}")).ends(137, "")?;
    same("after memory.max", &left(), "bwrap- supervisor")?;
    group.until("it is empty", || group.processes().is_empty())?;
    group.launch("$B --cgroup pids.max 9 true").prints("")?;
    group.only_supervisor()
}

/// Killed at any moment: whatever COMMAND comes to run is inside.
pub(super) fn at_any_moment(group: &Group) -> Result<()> {
    for n in 1..=30_u64 {
        let script = "exec $B --bind $work $work --cgroup pids.max 9 -- sh -c 'cat /proc/self/cgroup >> $work/seen'";
        let mut child = group.launching(&format!("{script} > /dev/null 2>&1"))?;
        std::thread::sleep(std::time::Duration::from_millis(n * 5));
        let signal = if n % 2 == 0 { Signal::SIGKILL } else { Signal::SIGTERM };
        // Not yet waited for, so the pid is its own.
        _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        child.wait().map_err(|e| e.to_string())?;
    }
    group.until("all have ended", || group.processes().is_empty())?;
    let seen = fs::read_to_string(group.work.join("seen")).unwrap_or_default();
    let place = format!("0::{}/bwrap-", group.name());
    if let Some(line) = seen.lines().find(|line| !line.starts_with(&place)) {
        return Err(format!("{line} is not in {place}…"));
    }
    group.launch("$B --cgroup pids.max 9 true").prints("")?;
    group.only_supervisor()
}

/// Groups that COMMAND has made below its own, with processes in them, go too.
pub(super) fn below(group: &Group) -> Result<()> {
    let command = "cd /sys/fs/cgroup$(sed s/0::// /proc/self/cgroup) && mkdir -p a/b c || exit 1
        setsid sleep 1234 & echo $! > a/b/cgroup.procs && exit 5";
    let script = format!("$B --bind /sys/fs/cgroup /sys/fs/cgroup --cgroup pids.max 20 -- sh -c '{command}'");
    group.launch(&format!("{script} > /dev/null 2>&1")).ends(5, "")?;
    group.only_supervisor()
}

/// What has left COMMAND's session and ignores signals ends as well.
pub(super) fn timed(group: &Group) -> Result<()> {
    let stubborn = "sh -c 'trap \"\" TERM; setsid sleep 1000 & exec sleep 1000'";
    let script = format!("$B --cgroup pids.max 20 --timeout 1:0.5 -- {stubborn} > /dev/null 2>&1");
    group.launch(&script).ends(124, "")?;
    group.only_supervisor()?;
    let script = "$B --cgroup pids.max 20 --timeout 1000 -- sh -c 'setsid sleep 1000 & exit 3' > /dev/null 2>&1";
    group.launch(script).ends(3, "")?;
    group.only_supervisor()
}
