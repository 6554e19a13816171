//! COMMANDs that leave many orphans behind.

use std::process::{Child, Stdio};

use crate::harness::Result;
use crate::stage::{Stage, at, children, describe, figure, words};

const WITH_INIT: &str = "--unshare-pid --ro-bind / / --proc /proc --dev /dev";

/// Orphans that end are reaped by PID 1 while COMMAND runs, and the exit status is COMMAND's.
pub(crate) fn orphans(stage: &mut Stage) -> Result<()> {
    let count = stage.count(500, 5000);
    let script = format!(
        "i=0; while [ $i -lt {count} ]; do (true &); i=$((i+1)); done
         while grep -qsE '^State:.Z' /proc/[0-9]*/status; do sleep 0.05; done
         set -- /proc/[0-9]*; echo $#; exit 9"
    );
    let output = at("spawn", stage.bwrap(words(WITH_INIT)).args(["sh", "-c", &script]).output())?;
    // PID 1 and COMMAND.
    if output.status.code() != Some(9) || output.stdout != b"2\n" || !output.stderr.is_empty() {
        return Err(describe(&output));
    }
    figure(&format!("{count} orphans reaped"));
    Ok(())
}

/// Orphans that live on do not keep the monitor, and all of them end by themselves, or with the monitor if it should be so.
pub(crate) fn living_orphans(stage: &mut Stage) -> Result<()> {
    let count = stage.count(300, 5000);
    let script = format!("exec 3<&0; i=0; while [ $i -lt {count} ]; do (read x <&3 &); i=$((i+1)); done; exit 7");
    for more in ["", " --die-with-parent"] {
        let mut command = stage.bwrap(words(&format!("{WITH_INIT}{more}")).collect::<Vec<_>>());
        let mut child = at("spawn", command.args(["sh", "-c", &script]).stdin(Stdio::piped()).spawn())?;
        let held = child.stdin.take();
        ended_with(&mut child, 7)?;
        if more.is_empty() {
            // The monitor is gone and PID 1 is this process's child, with all orphans below it.
            let inits = children(std::process::id());
            let below = inits.first().map_or(0, |init| children(*init).len());
            if inits.len() != 1 || below != count {
                return Err(format!("{inits:?}, {below} orphans"));
            }
            drop(held);
            stage.alone()?;
        } else {
            stage.alone()?;
            drop(held);
        }
    }
    figure(&format!("{count} living orphans: the monitor returned, none left"));
    Ok(())
}

/// Waits for the end, which has to be this status.
pub(crate) fn ended_with(child: &mut Child, code: i32) -> Result<()> {
    let status = at("wait", child.wait())?;
    if status.code() == Some(code) { Ok(()) } else { Err(format!("should end with {code}: {status}")) }
}
