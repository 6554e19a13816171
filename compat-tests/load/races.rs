//! A host that mounts and unmounts while many sandboxes take its mounts.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::harness::Result;
use crate::stage::{Stage, at, describe, figure, succeeded, words};

const BINDS: usize = 200;

/// 50 sandboxes with 200 binds each at once; on most of the sources something is mounted and unmounted all the time.
pub(crate) fn mounts_of_the_host(stage: &mut Stage) -> Result<()> {
    let rounds = stage.count(1, 20);
    for number in 0..BINDS {
        at("source", fs::create_dir_all(format!("/tmp/race/{number}/on")))?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let racer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || race(&stop)
    });
    let result = (0..rounds).try_for_each(|_| crowd(stage));
    stop.store(true, Ordering::Relaxed);
    let times = racer.join().map_err(|_| "the racer panicked")??;
    result?;
    at("source", fs::remove_dir_all("/tmp/race"))?;
    figure(&format!("{rounds} times 50 sandboxes with {BINDS} binds each, during {times} mounts and as many unmounts"));
    Ok(())
}

fn race(stop: &AtomicBool) -> Result<usize> {
    let none = None::<&str>;
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        for number in (0..BINDS).filter(|n| n % 4 != 0) {
            let place = format!("/tmp/race/{number}/on");
            at(&place, mount(Some("race"), place.as_str(), Some("tmpfs"), MsFlags::empty(), none))?;
            at(&place, mount(Some("/usr"), place.as_str(), none, MsFlags::MS_BIND, none))?;
            at(&place, umount2(place.as_str(), MntFlags::empty()))?;
            at(&place, umount2(place.as_str(), MntFlags::MNT_DETACH))?;
            times += 2;
        }
    }
    Ok(times)
}

fn crowd(stage: &Stage) -> Result<()> {
    let binds = (0..BINDS).map(|n| format!("--ro-bind /tmp/race/{n} /srv/{n}")).collect::<Vec<_>>().join(" ");
    let options = format!("--unshare-user --unshare-pid --ro-bind / / --tmpfs /srv {binds}");
    let plain = format!("--ro-bind / / --tmpfs /srv {binds}");
    let mut running = vec![];
    for number in 0..50 {
        let mut command = stage.bwrap(words(if number % 2 == 0 { &options } else { &plain }));
        command.args(["sh", "-c", "set -- /srv/*/on; echo $#"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        running.push(at("spawn", command.spawn())?);
    }
    for child in running {
        let output = at("wait", child.wait_with_output())?;
        succeeded(&output, &format!("{BINDS}\n")).map_err(|error| format!("{error} {}", describe(&output)))?;
    }
    stage.alone()
}
