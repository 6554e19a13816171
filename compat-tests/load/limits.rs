//! The limits of processes, namespaces, mounts and open files: at every value below what is enough there is one clear line, COMMAND
//! does not run, and nothing is left; when there is room again, everything works again.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::cgroups::{Controller, Group};
use crate::harness::Result;
use crate::series::{ARRANGEMENTS, COUNTED, hello, set_limit};
use crate::stage::{Stage, at, describe, failed, figure, succeeded, words};
use crate::waiting::until_given_back;

/// Tries values from one on until it works. Every failure has to be a clear one, and the first value has to fail.
fn first_that_works(
    stage: &Stage,
    values: impl Iterator<Item = u64>,
    line: &str,
    mut run: impl FnMut(u64) -> Result<Output>,
) -> Result<u64> {
    for (tried, value) in values.enumerate() {
        let output = run(value)?;
        stage.unchanged().map_err(|error| format!("at {value}: {error}"))?;
        if output.status.success() {
            succeeded(&output, "hi\n")?;
            return if tried == 0 { Err(format!("{value} should not be enough")) } else { Ok(value) };
        }
        failed(&output, line).map_err(|error| format!("at {value}: {error}"))?;
    }
    Err("nothing is enough".to_owned())
}

/// `RLIMIT_NPROC`. It does not concern root.
pub(crate) fn processes(stage: &mut Stage) -> Result<()> {
    for arrangement in ARRANGEMENTS {
        // On kernels before 5.14 other processes of the user count too.
        let enough = first_that_works(stage, (0..8).chain([10_000]), "Resource temporarily unavailable", |value| {
            let mut command = stage.bwrap_under(&format!("nproc={value}"), words(arrangement));
            at("spawn", command.args(["echo", "hi"]).output())
        });
        let enough = enough.map_err(|error| format!("{arrangement}: {error}"))?;
        figure(&format!("clear error below RLIMIT_NPROC={enough}: {arrangement}"));
    }
    Ok(())
}

/// `pids.max` of a control group, which concerns root as well.
pub(crate) fn processes_of_cgroup(stage: &mut Stage) -> Result<()> {
    for arrangement in ARRANGEMENTS {
        let enough = first_that_works(stage, 1..10, "Resource temporarily unavailable", |value| {
            let group = Group::make(Controller::Pids)?;
            group.limit_processes(u32::try_from(value).unwrap_or(u32::MAX))?;
            let mut child = in_group(stage, &group, words(arrangement), &["echo", "hi"])?;
            drop(child.stdin.take());
            let output = at("wait", child.wait_with_output())?;
            stage.alone()?;
            Ok(output)
        });
        let enough = enough.map_err(|error| format!("{arrangement}: {error}"))?;
        figure(&format!("clear error below pids.max={enough}: {arrangement}"));
    }
    Ok(())
}

/// Starts a sandbox from a process that is in a group already.
pub(crate) fn in_group<'a>(
    stage: &Stage,
    group: &Group,
    options: impl Iterator<Item = &'a str>,
    command: &[&str],
) -> Result<std::process::Child> {
    let mut shell = Command::new("sh");
    // It goes on when this process says so, and gives COMMAND an empty stdin.
    shell.args(["-c", "read word; exec \"$@\" </dev/null", "sh"]).arg(&stage.bwrap).args(options).args(command);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = at("spawn", shell.spawn())?;
    group.add(child.id())?;
    at("go", child.stdin.take().ok_or("no stdin")?.write_all(b"go\n"))?;
    Ok(child)
}

/// `/proc/sys/user/max_*_namespaces`, each kind by itself.
pub(crate) fn namespaces(stage: &mut Stage) -> Result<()> {
    let run = || hello(stage, COUNTED);
    let creating = "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)";
    let cases = [
        ("user", 0, "namespaces"),
        ("user", 1, "unshare user ns: No space left on device"),
        ("mnt", 0, creating),
        ("pid", 0, creating),
        ("net", 0, creating),
        ("ipc", 0, creating),
        ("uts", 0, creating),
        ("cgroup", 0, creating),
    ];
    for (kind, value, line) in cases {
        let name = format!("max_{kind}_namespaces");
        let before = at(&name, fs::read_to_string(format!("/proc/sys/user/{name}")))?;
        set_limit(&name, value)?;
        let mut last = run()?;
        let clear = until_given_back(&name, || {
            // The first errors may be others while the last sandbox's namespaces are still counted.
            let is_it = failed(&last, line).is_ok() || failed(&last, "").is_err();
            if !is_it && let Ok(output) = run() {
                last = output;
            }
            is_it
        });
        clear.and_then(|()| failed(&last, line)).map_err(|error| format!("{name}={value}: {error}; {}", describe(&last)))?;
        stage.unchanged()?;
        set_limit(&name, before.trim().parse().map_err(|_| "no number")?)?;
        succeeded(&run()?, "hi\n")?;
    }
    figure("clear error without namespaces of any one kind");
    Ok(())
}

/// `/proc/sys/fs/mount-max` counts the mounts of one mount namespace. The limit is the whole host's, so it stays what it is; the stage's
/// own namespace is filled instead.
pub(crate) fn mounts(stage: &mut Stage) -> Result<()> {
    const MOST: u64 = 200_000;
    let text = at("mount-max", fs::read_to_string("/proc/sys/fs/mount-max"))?;
    let most = text.trim().parse::<u64>().map_err(|_| format!("{text:?}: no number"))?;
    if most > MOST {
        figure(&format!("mount-max is {most}: to fill that would take too long"));
        return Ok(());
    }
    let options =
        ["--ro-bind / /", "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64"];
    fill()?;
    let mut outputs = vec![];
    for options in options {
        outputs.push(at("spawn", stage.bwrap(words(options)).args(["echo", "hi"]).output())?);
    }
    at("umount", umount2("/tmp/fill", MntFlags::MNT_DETACH))?;
    at("fill", fs::remove_dir("/tmp/fill"))?;
    for output in outputs {
        failed(&output, "Limit exceeded (ENOSPC). (Hint: Check that /proc/sys/fs/mount-max is sufficient, typically 100000)")?;
    }
    stage.unchanged()?;
    for options in options {
        succeeded(&at("spawn", stage.bwrap(words(options)).args(["echo", "hi"]).output())?, "hi\n")?;
    }
    figure(&format!("clear error with {most} mounts"));
    Ok(())
}

/// Mounts until no more can be: a tree of mounts is bound into itself, which doubles it, as often as there is room; then smaller ones.
fn fill() -> Result<()> {
    let none = None::<&str>;
    let fill = Path::new("/tmp/fill");
    at("fill", fs::create_dir(fill))?;
    at("fill", mount(Some("fill"), fill, Some("tmpfs"), MsFlags::empty(), none))?;
    // In a group of peers each mount would be made several times.
    at("fill", mount(none, fill, none, MsFlags::MS_PRIVATE, none))?;
    let mut trees = vec![];
    for number in 0..64 {
        let place = fill.join(number.to_string());
        at("fill", fs::create_dir(&place))?;
        if mount(Some(fill), &place, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).is_err() {
            break;
        }
        trees.push(place);
    }
    let last = fill.join(trees.len().to_string());
    for tree in trees.iter().rev() {
        // Each has half as many as the next one, and one of them may fit more than once.
        while mount(Some(tree), &last, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).is_ok() {}
    }
    Ok(())
}

/// `RLIMIT_NOFILE`, with and without every fd in use.
pub(crate) fn open_files(stage: &mut Stage) -> Result<()> {
    for arrangement in ARRANGEMENTS {
        for full in ["", ",full"] {
            let run = |value| {
                let mut command = stage.bwrap_under(&format!("nofile={value}{full}"), words(arrangement));
                at("spawn", command.arg(&stage.own).args(["--under", "hello"]).output())
            };
            if !full.is_empty() {
                for value in [4, 16, 64] {
                    failed(&run(value)?, "Too many open files")
                        .map_err(|error| format!("{arrangement}, {value} in use: {error}"))?;
                    stage.unchanged()?;
                }
                continue;
            }
            let enough = first_that_works(stage, 3..200, "Too many open files", run);
            let enough = enough.map_err(|error| format!("{arrangement}: {error}"))?;
            figure(&format!("clear error below RLIMIT_NOFILE={enough}: {arrangement}"));
        }
    }
    Ok(())
}
