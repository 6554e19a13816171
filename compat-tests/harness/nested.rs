//! A user namespace below another one, for cases that join both.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use super::{Result, Setup};

/// A user namespace of the identity, and another one below it, whose fds are passed at 5 and 6.
pub(crate) fn two_user_namespaces(s: &mut Setup) -> Result<()> {
    let outer = s.namespaces(libc::CLONE_NEWUSER, &format!("0 {} 1", s.uid), &format!("0 {} 1", s.gid))?;
    let mut command = Command::new("nsenter");
    command.args(["-U", "--preserve-credentials", "-t", &outer.pid.to_string(), "--"]);
    command.args(["unshare", "-U", "--map-user=33", "--map-group=44", "sleep", "60"]);
    if let Some((uid, gid)) = s.takes {
        command.uid(uid).gid(gid);
    }
    let inner = Ended(command.spawn().map_err(|e| format!("nsenter: {e}"))?);
    let pid = inner.0.id();
    while fs::read_to_string(format!("/proc/{pid}/comm")).map_err(|e| e.to_string())?.trim() != "sleep" {
        sleep(Duration::from_millis(1));
    }
    let below = fs::File::open(format!("/proc/{pid}/ns/user")).map_err(|e| e.to_string())?;
    s.pass(5, outer.open("user")?);
    s.pass(6, below);
    s.hold(outer);
    s.hold(inner);
    Ok(())
}

/// A helper that ends with the run.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Without that program there is no namespace below.
pub(crate) fn has_nsenter() -> Result<()> {
    Command::new("nsenter").arg("--version").output().map(drop).map_err(|e| format!("nsenter: {e}"))
}
