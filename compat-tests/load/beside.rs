//! What others do on the machine meanwhile is not taken for something left behind; what is left behind is found.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::harness::{Result, apart};
use crate::stage::{Stage, at, succeeded, words};

const NONE: Option<&str> = None;

/// A mount, a file and a process of somebody else's come, in the namespaces that this stage came from.
pub(crate) fn others(stage: &mut Stage) -> Result<()> {
    let parent = nix::unistd::getppid().to_string();
    let script = "set -e; echo come; read line; d=$(mktemp -d /tmp/besideXXXXXX); mount -t tmpfs beside $d; touch $d/file
        sleep 1000 & echo here; read line || kill $!; wait; umount $d; rmdir $d";
    let mut beside = Command::new("nsenter");
    beside.args(["--target", &parent, "--mount", "sh", "-c", script]);
    let mut beside = at("nsenter", beside.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn())?;
    let (mut input, mut output) = (beside.stdin.take().ok_or("no stdin")?, beside.stdout.take().ok_or("no stdout")?);
    let mut line = [0; 5];
    at("what is beside", output.read_exact(&mut line))?;
    // The two pipes are this stage's own.
    stage.look()?;
    at("what is beside", input.write_all(b"go\n"))?;
    at("what is beside", output.read_exact(&mut line))?;
    let during = at("spawn", stage.bwrap(words("--ro-bind / / --unshare-pid")).args(["echo", "hi"]).output());
    let left = stage.changes();
    drop(input);
    at("wait", beside.wait())?;
    drop(output);
    stage.look()?;
    succeeded(&during?, "hi\n")?;
    if left?.is_empty() { Ok(()) } else { Err("others' mount or file was taken for one left behind".to_owned()) }
}

/// Somebody removes a directory elsewhere, and with it goes the mount on it here.
pub(crate) fn mounts_that_go(stage: &mut Stage) -> Result<()> {
    at("gone", fs::create_dir("/tmp/gone"))?;
    at("gone", mount(Some("gone"), "/tmp/gone", Some("tmpfs"), MsFlags::empty(), NONE))?;
    stage.look()?;
    let remove = || -> Result<()> {
        apart::enter(false)?;
        at("umount", umount2("/tmp/gone", MntFlags::empty()))?;
        at("rmdir", fs::remove_dir("/tmp/gone"))
    };
    std::thread::scope(|scope| scope.spawn(remove).join()).map_err(|_| "the thread panicked")??;
    at("again", fs::create_dir("/tmp/gone"))?;
    if at("mountinfo", fs::read_to_string("/proc/self/mountinfo"))?.contains(" /tmp/gone ") {
        return Err("the mount should have gone with its directory".to_owned());
    }
    stage.unchanged()?;
    at("gone", fs::remove_dir("/tmp/gone"))?;
    stage.look()
}

/// A mount, a file, an fd and a process that are left are each found.
pub(crate) fn what_is_left(stage: &mut Stage) -> Result<()> {
    let found = |stage: &Stage, what: &str| {
        if stage.changes()?.is_empty() { Err(format!("{what} that was left should be found")) } else { Ok(()) }
    };
    at("mount", mount(Some("left"), "/tmp", Some("tmpfs"), MsFlags::empty(), Some("mode=1777")))?;
    found(stage, "a mount")?;
    at("umount", umount2("/tmp", MntFlags::empty()))?;
    at("file", fs::write("/run/left", ""))?;
    found(stage, "a file")?;
    at("file", fs::remove_file("/run/left"))?;
    let file = at("fd", fs::File::open("/dev/null"))?;
    found(stage, "an fd")?;
    drop(file);
    stage.unchanged()?;
    let mut child = at("spawn", Command::new("sleep").arg("1000").spawn())?;
    let alone = stage.is_alone();
    at("kill", child.kill())?;
    at("wait", child.wait())?;
    if alone { Err("a process that was left should be found".to_owned()) } else { Ok(()) }
}
