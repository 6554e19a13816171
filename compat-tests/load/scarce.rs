//! Memory and room on a disk that are not there.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::cgroups::{Controller, Group};
use crate::harness::Result;
use crate::limits::in_group;
use crate::series::TYPICAL;
use crate::stage::{Stage, at, describe, failed, figure, succeeded, words};

/// `RLIMIT_AS`, from where the program can be started at all to where it works.
pub(crate) fn address_space(stage: &mut Stage) -> Result<()> {
    const STEP: u64 = 16 << 10;
    let binds = (0..1000).map(|n| format!("--ro-bind /usr /tmp/{n}")).collect::<Vec<_>>().join(" ");
    for options in [TYPICAL.to_owned(), format!("{TYPICAL} {binds}")] {
        // COMMAND is the same program, which needs less for its version than for the options. They come by an fd: who starts it
        // under the limit has no room for them.
        let arguments = words(&options).flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect::<Vec<_>>();
        let run = |limit: u64, words: &[&str]| {
            let input = file_with(&arguments)?;
            let mut command = stage.bwrap_under(&format!("as={limit}"), words.iter().copied());
            at("spawn", command.stdin(Stdio::from(input)).output())
        };
        let mut limit = STEP;
        while !run(limit, &["--version"])?.status.success() {
            limit += STEP;
        }
        let (least, mut clear) = (limit, 0);
        loop {
            let output = run(limit, &["--args", "0", "--ro-bind", "/var/tmp", "/var/tmp", "/var/tmp/bwrap", "--version"])?;
            stage.unchanged()?;
            if output.status.success() {
                succeeded(&output, "bubblewrap 0.13.1\n")?;
                break;
            }
            failed(&output, "emory").map_err(|error| format!("at {limit}: {error}"))?;
            clear += 1;
            limit += STEP;
        }
        figure(&format!("clear error at {clear} values of RLIMIT_AS from {least} to {limit}"));
    }
    Ok(())
}

/// Memory of a control group: whoever needs more is killed by the kernel. The status says so, and nothing is left.
pub(crate) fn memory_of_cgroup(stage: &mut Stage) -> Result<()> {
    let eat = ["sh", "-c", "head -c 200000000 /dev/zero | tail -c 200000000 >/dev/null; echo $?"];
    let fill = ["sh", "-c", "exec dd if=/dev/zero of=/tmp/full bs=1000000 count=200 2>/dev/null"];
    let mut killed = 0;
    for (kib, command) in (1..=24).map(|n| (n * 128, &["echo", "hi"][..])).chain([(32 << 10, &eat[..]), (32 << 10, &fill[..])]) {
        let group = Group::make(Controller::Memory)?;
        group.limit_memory(kib << 10)?;
        let Ok(child) = in_group(stage, &group, words(TYPICAL), command) else {
            // The shell that should start it was killed by then, and reaped by nobody yet.
            stage.alone()?;
            continue;
        };
        let output = at("wait", child.wait_with_output())?;
        stage.alone()?;
        drop(group);
        stage.unchanged()?;
        let was_killed = output.status.signal() == Some(libc::SIGKILL) || output.status.code() == Some(137);
        let whole = output.status.success() && (output.stdout == b"hi\n" || output.stdout == b"137\n");
        killed += usize::from(was_killed);
        // COMMAND may be through when the monitor is killed.
        let is_right =
            was_killed && (output.stdout.is_empty() || output.stdout == b"hi\n") || whole || failed(&output, "").is_ok();
        if !is_right {
            return Err(format!("{kib} KiB, {command:?}: {}", describe(&output)));
        }
    }
    succeeded(&at("spawn", stage.bwrap(words(TYPICAL)).args(["echo", "hi"]).output())?, "hi\n")?;
    figure(&format!("short of memory in a control group: {killed} of 26 killed by the kernel, nothing left"));
    Ok(())
}

/// A file that has no name any more.
fn file_with(content: &[u8]) -> Result<fs::File> {
    let path = "/var/tmp/input";
    at(path, fs::write(path, content))?;
    let file = at(path, fs::File::open(path))?;
    at(path, fs::remove_file(path))?;
    Ok(file)
}

/// Runs it with a file of so many bytes as stdin.
fn with_input(stage: &Stage, limits: &str, options: &str, size: usize) -> Result<Output> {
    let input = file_with(&vec![b'x'; size])?;
    let mut command = if limits.is_empty() { stage.bwrap(words(options)) } else { stage.bwrap_under(limits, words(options)) };
    at("spawn", command.args(["echo", "hi"]).stdin(Stdio::from(input)).output())
}

/// No room for what is to be put into the sandbox.
pub(crate) fn full_disk(stage: &mut Stage) -> Result<()> {
    let disk = "/var/tmp/disk";
    at(disk, fs::create_dir(disk))?;
    at(disk, mount(Some("disk"), disk, Some("tmpfs"), MsFlags::empty(), Some("size=65536,nr_inodes=4")))?;
    let full = "No space left on device";
    let cases = [
        ("--ro-bind / / --size 4096 --tmpfs /tmp --file 0 /tmp/f", 8192, full),
        ("--ro-bind / / --bind /var/tmp/disk /srv --file 0 /srv/f", 1 << 20, full),
        ("--ro-bind / / --unshare-pid --bind /var/tmp/disk /srv --file 0 /srv/f", 1 << 20, full),
        ("--ro-bind / / --bind /var/tmp/disk /srv --dir /srv/a/b/c/d/e/f", 0, full),
        (
            "--ro-bind / / --bind /var/tmp/disk /srv --symlink x /srv/a --symlink x /srv/b --symlink x /srv/c --symlink x /srv/d",
            0,
            full,
        ),
        ("--ro-bind / / --bind /var/tmp/disk /srv --ro-bind /usr /srv/a/b/c/d", 0, full),
    ];
    for (options, size, line) in cases {
        let output = with_input(stage, "", options, size)?;
        failed(&output, line).map_err(|error| format!("{options}: {error}"))?;
        stage.alone()?;
        for entry in at(disk, fs::read_dir(disk))?.flatten() {
            let path = entry.path();
            let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            at(disk, removed)?;
        }
    }
    let output = with_input(stage, "", "--ro-bind / / --bind /var/tmp/disk /srv --file 0 /srv/f", 32768)?;
    succeeded(&output, "hi\n")?;
    at(disk, umount2(disk, MntFlags::MNT_DETACH))?;
    at(disk, fs::remove_dir(disk))?;
    figure("clear error on a full disk");
    Ok(())
}

/// `RLIMIT_FSIZE`, whose signal would end the process without a word.
pub(crate) fn file_size(stage: &mut Stage) -> Result<()> {
    for options in [
        "--ro-bind / / --tmpfs /tmp --file 0 /tmp/f",
        "--ro-bind / / --tmpfs /tmp --bind-data 0 /tmp/f",
        "--ro-bind / / --tmpfs /tmp --unshare-pid --ro-bind-data 0 /tmp/f",
    ] {
        for (limit, size) in [(0, 1), (4096, 8192), (4096, 1 << 20)] {
            let output = with_input(stage, &format!("fsize={limit}"), options, size)?;
            failed(&output, "Can't write data to file /tmp/f: File too large").map_err(|error| format!("{options}: {error}"))?;
            stage.unchanged()?;
        }
        succeeded(&with_input(stage, "fsize=4096", options, 4096)?, "hi\n")?;
    }
    // COMMAND is ended by the signal all the same.
    let mut command = stage.bwrap_under("fsize=10", words("--ro-bind / / --tmpfs /tmp --bind-data 0 /tmp/f"));
    let output = at("spawn", command.args(["sh", "-c", "printf 01234567890123456789 >/tmp/out"]).output())?;
    if output.status.code() != Some(128 + libc::SIGXFSZ) {
        return Err(format!("COMMAND should get SIGXFSZ: {}", describe(&output)));
    }
    figure("clear error beyond RLIMIT_FSIZE");
    Ok(())
}
