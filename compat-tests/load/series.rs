//! Many sandboxes, one after the other and at once.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::cgroups::{Controller, Group};
use crate::harness::Result;
use crate::stage::{Stage, at, describe, failed, figure, succeeded, words};
use crate::waiting::{until, until_given_back};

/// Options of the shapes that callers use; together they touch every step.
pub(crate) const ARRANGEMENTS: [&str; 6] = [
    "--ro-bind / /",
    TYPICAL,
    "--unshare-all --as-pid-1 --ro-bind / / --new-session --hostname h --die-with-parent",
    EVERY_NAMESPACE,
    "--dev-bind / / --tmpfs /tmp --ro-bind-data 0 /tmp/f --dir /tmp/a/b --symlink x /tmp/l --lock-file /etc/passwd --die-with-parent",
    "--tmpfs / --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --mqueue /mq \
     --ro-bind /var/tmp /var/tmp --unshare-ipc --dev /dev --remount-ro / --die-with-parent",
];

pub(crate) const TYPICAL: &str = "--unshare-all --die-with-parent --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp";

const EVERY_NAMESPACE: &str =
    "--unshare-all --unshare-user --disable-userns --ro-bind / / --dev /dev --proc /proc --die-with-parent";

/// The sandbox whose namespaces are counted: two for users, and one of every other kind.
pub(crate) const COUNTED: &str = "--unshare-all --unshare-user --disable-userns --ro-bind / /";

/// How many of each kind it takes. Of mount namespaces the stage has one, and every mount that is not attached yet is one by itself.
const TAKEN: [(&str, u32); 7] = [("user", 2), ("mnt", 3), ("pid", 1), ("net", 1), ("ipc", 1), ("uts", 1), ("cgroup", 1)];

/// What no sandbox takes at all.
const NOT_TAKEN: [&str; 5] =
    ["max_inotify_instances", "max_inotify_watches", "max_fanotify_groups", "max_fanotify_marks", "max_time_namespaces"];

/// No process, zombie, mount, fd or file is left of them.
pub(crate) fn in_a_row(stage: &mut Stage) -> Result<()> {
    let count = stage.count(500, 20_000);
    run_in_a_row(stage, count)?;
    figure(&format!("{count} sandboxes in a row: no process, zombie, mount, fd or file left"));
    Ok(())
}

fn run_in_a_row(stage: &Stage, count: usize) -> Result<()> {
    for arrangement in ARRANGEMENTS.iter().cycle().take(count) {
        let output = hello(stage, arrangement)?;
        succeeded(&output, "hi\n").map_err(|error| format!("{arrangement}: {error}"))?;
    }
    Ok(())
}

/// Runs a sandbox that says a word. Its first process, which may end after the monitor, is reaped too.
pub(crate) fn hello(stage: &Stage, arrangement: &str) -> Result<Output> {
    let output = at("spawn", stage.bwrap(words(arrangement)).args(["echo", "hi"]).output())?;
    stage.alone()?;
    Ok(output)
}

/// Whether there are limits to set: a container may have a /proc/sys that is read-only.
pub(crate) fn need_limits() -> Result<()> {
    let flags = at("/proc/sys", statvfs("/proc/sys").map(|facts| facts.flags()))?;
    if !fs::exists("/proc/sys/user/max_user_namespaces").unwrap_or(false) || flags.contains(FsFlags::ST_RDONLY) {
        return Err("/proc/sys/user cannot be written to here".to_owned());
    }
    Ok(())
}

/// Sets a limit of the user namespace that the stage has to itself.
pub(crate) fn set_limit(name: &str, value: u32) -> Result<()> {
    let path = format!("/proc/sys/user/{name}");
    at(&path, fs::write(&path, value.to_string()))
}

/// Namespaces are counted by the kernel, and given back some time after their last process. Far more are made than may exist, and at
/// the end no more may exist than one sandbox takes: a single one that was lost would make that fail for ever.
pub(crate) fn counted_in_a_row(stage: &mut Stage) -> Result<()> {
    /// How many sandboxes' namespaces may wait for being given back.
    const WAITING: u32 = 64;
    let count = stage.count(300, 20_000);
    for name in NOT_TAKEN.iter().filter(|name| fs::exists(format!("/proc/sys/user/{name}")).unwrap_or(false)) {
        set_limit(name, 0)?;
    }
    for (kind, taken) in TAKEN {
        set_limit(&format!("max_{kind}_namespaces"), taken * WAITING)?;
    }
    for _ in 0..count {
        once_there_is_room(stage, EVERY_NAMESPACE)?;
    }
    for (kind, taken) in TAKEN {
        set_limit(&format!("max_{kind}_namespaces"), taken)?;
    }
    once_there_is_room(stage, COUNTED)?;
    figure(&format!("{count} sandboxes in a row: no namespace of any kind left, no inotify instance or watch taken"));
    // The counter counts: with one less there is no room.
    for (kind, taken) in TAKEN {
        set_limit(&format!("max_{kind}_namespaces"), taken - 1)?;
        failed(&hello(stage, COUNTED)?, "")?;
        set_limit(&format!("max_{kind}_namespaces"), taken)?;
        once_there_is_room(stage, COUNTED)?;
    }
    Ok(())
}

/// Runs a sandbox as soon as the kernel has given back what the last ones had.
fn once_there_is_room(stage: &Stage, arrangement: &str) -> Result<()> {
    let mut last = Ok(());
    until_given_back("room for a sandbox", || match hello(stage, arrangement) {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("No space left") || failed(&output, "ENOSPC").is_ok() => {
            last = Err(describe(&output));
            false
        }
        Ok(output) => {
            last = succeeded(&output, "hi\n");
            true
        }
        Err(error) => {
            last = Err(error);
            true
        }
    })
    .map_err(|error| format!("{error}; {last:?}"))?;
    last
}

/// All of them exist at the same moment.
pub(crate) fn at_once(stage: &mut Stage) -> Result<()> {
    let (count, rounds) = (stage.count(50, 200), stage.count(1, 5));
    for _ in 0..rounds {
        let mut running = vec![];
        for arrangement in ARRANGEMENTS.iter().cycle().take(count) {
            let mut command = stage.bwrap(words(arrangement));
            // Data is read from fd 0 in one of them, so COMMAND waits on another one.
            command.args(["sh", "-c", "echo ready; until [ -e /var/tmp/go ]; do sleep 0.2; done; exit 7"]);
            running.push((at("spawn", command.stdout(Stdio::piped()).spawn())?, arrangement));
        }
        for (child, arrangement) in &mut running {
            let mut line = String::new();
            let stdout = child.stdout.as_mut().ok_or("no stdout")?;
            at("read", BufReader::new(stdout).read_line(&mut line))?;
            if line != "ready\n" {
                return Err(format!("{arrangement}: {line:?}"));
            }
        }
        at("go", fs::write("/var/tmp/go", ""))?;
        for (mut child, arrangement) in running {
            let status = at("wait", child.wait())?;
            if status.code() != Some(7) {
                return Err(format!("{arrangement}: {status}"));
            }
        }
        at("go", fs::remove_file("/var/tmp/go"))?;
        stage.unchanged()?;
    }
    figure(&format!("{rounds} times {count} sandboxes at once: nothing left"));
    Ok(())
}

/// The kernel's memory, as a control group of the stage's own accounts it. That is everything a sandbox consists of.
pub(crate) fn kernel_memory(stage: &mut Stage) -> Result<()> {
    /// Room for what the kernel keeps ready for the next one: 2 MiB, a hundred bytes a sandbox in the long form.
    const BOUND: u64 = 2 << 20;
    let count = stage.count(500, 20_000);
    let group = Group::make(Controller::Memory)?;
    group.enter()?;
    let result = (|| {
        // What is kept ready is there after these.
        run_in_a_row(stage, 300)?;
        stage.alone()?;
        let before = group.kernel_memory()?;
        run_in_a_row(stage, count)?;
        stage.alone()?;
        let mut after = 0;
        until("kernel memory", || {
            after = group.kernel_memory().unwrap_or(u64::MAX);
            after < before + BOUND
        })
        .map_err(|error| format!("{error}: {before} bytes before, {after} after {count} sandboxes"))?;
        figure(&format!("kernel memory before {before} bytes, after {count} sandboxes {after} bytes"));
        Ok(())
    })();
    group.leave()?;
    result
}
