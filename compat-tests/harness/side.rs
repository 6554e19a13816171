//! Runs one case on one side: scratch directory, fds, process, outcome.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::chown;
use std::path::PathBuf;

use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::case::Program;
use super::expand::expand;
use super::fds::Near;
use super::identity::Side;
use super::lab::Lab;
use super::live::Live;
use super::normal::normalise;
use super::{Case, Identity, Outcome, Result, Setup, Tweak, filter, places, scratch};
use crate::sys::{self, Launch, c_string};
use crate::text;

/// Runs it, and calls `judge` before the scratch directory is removed.
pub(crate) fn run<T>(lab: &Lab, case: &Case, side: Side, identity: Identity, judge: impl FnOnce(Outcome) -> T) -> Result<T> {
    let dir = places::make("/tmp/b")?;
    let outcome = run_in(lab, case, (side, identity), dir.clone());
    let result = outcome.map(judge);
    places::remove(&dir);
    result
}

fn run_in(lab: &Lab, case: &Case, (side, identity): (Side, Identity), dir: PathBuf) -> Result<Outcome> {
    let takes = lab.ids(identity).map(|(uid, gid, _)| (uid, gid));
    let mut setup = Setup::new(dir, lab.owner(identity), takes);
    define(lab, side, &mut setup);
    setup.dir("home")?;
    for prepare in &case.prepare {
        prepare(&mut setup).map_err(|e| format!("set-up: {e}"))?;
    }
    setup.give()?;
    let mut near = vec![];
    let fds = open_fds(case, &mut setup, &mut near)?;
    let launch = launch(lab, case, (side, identity), &setup, fds)?;
    let kept = sys::start(&launch).map_err(|e| format!("fork: {e}"))?;
    // The far ends must be the process's alone, or its streams would never end.
    drop(launch);
    let mut live = Live::new(kept, near, case.timeout * lab.patience)?;
    let during = case.during.as_ref().map_or(Ok(()), |during| during(&mut live));
    let (exit, raw) = live.finish()?;
    let outcome = outcome(lab, (side, identity), &setup, exit, raw);
    during.map_err(|e| format!("while it ran: {e}\n{outcome}"))?;
    Ok(outcome)
}

fn define(lab: &Lab, side: Side, setup: &mut Setup) {
    let (uid, gid) = (setup.uid.to_string(), setup.gid.to_string());
    let dir = setup.dir.as_os_str().as_bytes().to_vec();
    setup.define("dir", dir);
    setup.define("probe", lab.probe().as_os_str().as_bytes());
    setup.define("bwrap", lab.executable(side).as_os_str().as_bytes());
    setup.define("namespaces", lab.host_namespaces.as_bytes());
    setup.define("uid", uid);
    setup.define("gid", gid);
}

/// Opens what the case passes; the near ends go to `near`.
fn open_fds(case: &Case, setup: &mut Setup, near: &mut Vec<(RawFd, Near)>) -> Result<Vec<(OwnedFd, RawFd)>> {
    let mut open = BTreeMap::new();
    for (&number, fd) in &case.fds {
        let (far, end) = fd.open(&setup.dir, |path| expand(path.as_ref(), &setup.values))?;
        open.insert(number, far);
        near.extend(end.map(|end| (number, end)));
    }
    open.extend(std::mem::take(&mut setup.fds));
    if case.terminal {
        let pty = openpty(None, None).map_err(|e| format!("openpty: {e}"))?;
        if !case.typed {
            // Without this, the terminal would turn newlines into carriage returns and newlines.
            let mut settings = tcgetattr(&pty.slave).map_err(|e| e.to_string())?;
            cfmakeraw(&mut settings);
            tcsetattr(&pty.slave, SetArg::TCSANOW, &settings).map_err(|e| e.to_string())?;
        }
        let name = nix::unistd::ttyname(&pty.slave).map_err(|e| e.to_string())?;
        chown(name, Some(setup.uid), None).map_err(|e| e.to_string())?;
        near.retain(|(number, _)| *number > 1);
        if case.typed {
            let keys = pty.master.try_clone().and_then(sys::out_of_the_way).map_err(|e| e.to_string())?;
            near.push((0, Near::Holds(keys)));
            open.insert(2, pty.slave.try_clone().map_err(|e| e.to_string())?);
        }
        near.push((1, Near::Reads(sys::out_of_the_way(pty.master).map_err(|e| e.to_string())?)));
        open.insert(0, pty.slave.try_clone().map_err(|e| e.to_string())?);
        open.insert(1, pty.slave);
    }
    let aside = open.into_iter().map(|(number, fd)| Ok((sys::out_of_the_way(fd)?, number)));
    aside.collect::<std::io::Result<_>>().map_err(|e| format!("passing an fd: {e}"))
}

fn launch(
    lab: &Lab,
    case: &Case,
    (side, identity): (Side, Identity),
    setup: &Setup,
    fds: Vec<(OwnedFd, RawFd)>,
) -> Result<Launch> {
    let value = |word: &OsStr| expand(word, &setup.values);
    let (program, words) = match &case.program {
        Program::Bwrap { options, command } => {
            let (program, mut words) = lab.command(side);
            words.extend(options.iter().chain(command).map(|word| value(word)));
            match &case.tracer {
                None => (program, words),
                Some((tracer, before)) => {
                    let name = tracer.as_os_str().as_bytes().to_vec();
                    let before = before.iter().map(|word| word.clone().into_bytes());
                    let path = program.as_os_str().as_bytes().to_vec();
                    (tracer.clone(), [name].into_iter().chain(before).chain([path]).chain(words).collect())
                }
            }
        }
        Program::Script(text) => (PathBuf::from("/bin/sh"), vec![b"sh".to_vec(), b"-c".to_vec(), value(text.as_ref())]),
    };
    let variable = |(name, content): (&String, &OsString)| [name.as_bytes(), b"=", &value(content)].concat();
    let mut launch = Launch {
        program: c_string(program.as_os_str().as_bytes()),
        argv: words.iter().map(|word| c_string(word)).collect(),
        env: case.env.iter().map(|row| c_string(&variable(row))).collect(),
        cwd: c_string(&value(case.cwd.as_ref())),
        fds,
        ids: lab.ids(identity),
        umask: 0o022,
        ignored_signals: vec![],
        blocked_signals: vec![],
        // No core files, whatever happens.
        limits: vec![(libc::RLIMIT_CORE, 0, 0)],
        filters: vec![],
        terminal: case.terminal,
    };
    for tweak in &case.tweaks {
        apply(tweak, &mut launch)?;
    }
    if !lab.refuse.is_empty() {
        let refused = if side == Side::Ours { lab.refuse.as_slice() } else { &[] };
        launch.filters.push(filter::refuse(refused, libc::ENOSYS)?);
    }
    Ok(launch)
}

fn apply(tweak: &Tweak, launch: &mut Launch) -> Result<()> {
    match tweak {
        // Already left out of the fds.
        Tweak::Close(_) => {}
        Tweak::IgnoreSignal(signal) => launch.ignored_signals.push(*signal),
        Tweak::BlockSignal(signal) => launch.blocked_signals.push(*signal),
        Tweak::Limit(resource, soft, hard) => launch.limits.push((*resource, *soft, *hard)),
        Tweak::Umask(umask) => launch.umask = *umask,
        Tweak::Groups(groups) => {
            let (uid, gid, _) = launch.ids.take().unwrap_or_default();
            launch.ids = Some((uid, gid, groups.clone()));
        }
        Tweak::Refuse(calls, errno) => launch.filters.push(filter::refuse(calls, *errno)?),
        Tweak::NoArguments => launch.argv.clear(),
    }
    Ok(())
}

fn outcome(
    lab: &Lab,
    (side, identity): (Side, Identity),
    setup: &Setup,
    exit: super::Exit,
    raw: BTreeMap<RawFd, Vec<u8>>,
) -> Outcome {
    let names = names(lab, side, setup);
    let plain = |bytes: &[u8]| normalise(&text::text(bytes), &names);
    let text = |number: RawFd| raw.get(&number).map_or_else(String::new, |bytes| plain(bytes));
    let tree = scratch::tree(&setup.dir, setup.uid);
    Outcome {
        exit,
        stdout: text(1),
        stderr: text(2),
        fds: raw.iter().filter(|(number, _)| **number > 2).map(|(number, bytes)| (*number, plain(bytes))).collect(),
        tree: tree.into_iter().map(|(path, line)| (normalise(&path, &names), normalise(&line, &names))).collect(),
        values: setup.values.iter().filter(|(name, _)| name != "dir").cloned().collect(),
        raw,
        side,
        identity,
        dir: setup.dir.clone(),
    }
}

/// What directories are called in normalised texts, also by the last part of their path: a mount's root within its file
/// system begins below the mount point of /tmp.
fn names(lab: &Lab, side: Side, setup: &Setup) -> Vec<(String, &'static str)> {
    let path = |path: &std::path::Path| OsString::from_vec(path.as_os_str().as_bytes().to_vec()).to_string_lossy().into_owned();
    let last = |path: &std::path::Path| format!("/{}", path.file_name().unwrap_or_default().to_string_lossy());
    let probe = lab.probe();
    let place = probe.parent().unwrap_or(&probe);
    vec![
        (path(&setup.dir), "{dir}"),
        (last(&setup.dir), "{dir}"),
        (path(&lab.executable(side)), "{bwrap}"),
        (path(&probe), "{probe}"),
        (format!("{}/probe", last(place)), "{probe}"),
        (path(place), "{place}"),
    ]
}
