//! What COMMAND uses, recorded from outside while it runs: for `--learn` and its relatives.
//!
//! COMMAND's system calls that name a file or a socket wait, by a seccomp filter with a listener,
//! until the [`answer`]er has read what they name. The [`look`]er, which the answerer asks, finds out
//! where names lead in the sandbox. The [`recorder`] collects it, and [`learn`] writes down what a
//! tighter sandbox needs.
//! None of it runs without an option that asks for it, and none of it decides what COMMAND may do.

pub(crate) mod answer;
pub(crate) mod base;
pub(crate) mod calls;
pub(crate) mod cwd;
pub(crate) mod filter;
pub(crate) mod handover;
pub(crate) mod helper;
pub(crate) mod inbox;
pub(crate) mod learn;
pub(crate) mod left;
pub(crate) mod line;
pub(crate) mod look;
pub(crate) mod lookups;
pub(crate) mod lost;
pub(crate) mod mounts;
pub(crate) mod names;
pub(crate) mod near;
pub(crate) mod path;
pub(crate) mod peers;
pub(crate) mod plan;
pub(crate) mod recorder;
pub(crate) mod result;
pub(crate) mod ring;
pub(crate) mod seen;
pub(crate) mod shared;
pub(crate) mod task;
pub(crate) mod uses;
pub(crate) mod wanted;
pub(crate) mod wire;

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;

use nix::unistd::{Pid, read, setsid};

use crate::config::Want;
use crate::config::op::{COVERS, Op};
use crate::config::settle::Settled;
use crate::confine::caps;
use crate::error::{Context, Error, Result};
use crate::fds::close_all_but;
use crate::kernel::files::read_file;
use crate::kernel::mountinfo::points_of;
use crate::kernel::sys::{self, End};
use crate::links::Link;
use crate::record::helper::PATIENCE;
use crate::record::learn::draft;
use crate::record::mounts::Mounts;
use crate::record::plan::Plan;
use crate::record::recorder::{Recorder, Watch};
use crate::record::seen::Seen;
use crate::record::uses::Uses;
use crate::record::wire::Wire;
use crate::report;

/// The monitor's side of a recording.
#[derive(Debug)]
pub(crate) struct Watcher {
    link: Link,
}

/// What a recording is about.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) config: &'a Settled,
    pub(crate) plan: &'a Plan,
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    /// The sandbox's first process.
    pub(crate) first: Pid,
    /// Whether COMMAND is executed.
    pub(crate) executed: &'static AtomicBool,
    /// What explains, at the end, what COMMAND lacked.
    pub(crate) explain: Option<Explain>,
}

/// A function that is above this room.
pub(crate) type Explain = fn(&Settled, &Plan, &Seen, &Mounts);

/// Starts the recorder, which waits for the listener.
pub(crate) fn start(subject: &Subject<'_>, wire: Wire) -> Result<Watcher> {
    let first = sys::pidfd_open(subject.first).context("Can't watch the sandbox")?;
    let (link, theirs) = Link::pair()?;
    let forked = sys::clone_process(0, End::Usual).context("Can't fork for recording")?;
    if forked.is_some() {
        // The other end is to notice if the recorder ends.
        drop(wire);
        return Ok(Watcher { link });
    }
    drop(link);
    let result = record(subject, &wire, &theirs, &first);
    if let Err(error) = result {
        error.print();
    }
    // The next one may begin as soon as the monitor hears of the end.
    subject.plan.targets().for_each(learn::target::Target::release);
    sys::exit_now(0)
}

impl Watcher {
    /// What has to stay open.
    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// Says that COMMAND has ended, and waits until all is written.
    pub(crate) fn finish(self) {
        if self.link.notify().is_ok() {
            // The end of the link is the recorder's end.
            _ = sys::uninterrupted(|| read(&self.link, &mut [0]));
        }
    }
}

/// What the recorder does, from its start to its end.
fn record(subject: &Subject<'_>, wire: &Wire, monitor: &Link, first: &OwnedFd) -> Result<()> {
    let Subject { config, plan, proc, .. } = *subject;
    // What the terminal sends is not for it: it has to answer as long as anybody asks.
    _ = setsid();
    let links = [wire.as_fd(), monitor.as_fd(), first.as_fd(), proc];
    let keep = links.into_iter().chain(plan.fds().map(AsFd::as_fd)).chain(report::file());
    close_all_but(keep, || None);
    [0, 1].into_iter().filter(|fd| proc.as_raw_fd() != *fd).for_each(sys::close);
    caps::drop_all_but(0, config.host.caller.uid == 0)?;
    let Some((handed, root)) = handover::receive(wire)? else { return Ok(()) };
    plan.targets().try_for_each(learn::target::Target::check)?;
    let watch = Watch {
        proc,
        monitor,
        first,
        ends_all: config.namespaces.pid == Want::Yes,
        every: config.record.seccomp.is_some(),
        executed: subject.executed,
        explains: subject.explain.is_some(),
        policies: &config.explained,
    };
    let mut recorder = Recorder::new(watch, handed, root)?;
    let covers = covers(subject)?;
    // What keeps this process from going on may keep the sandbox's as well, which then says so.
    let once = |error| if wire.ends_within(PATIENCE) { Error::reported() } else { error };
    let mounts = begin(&mut recorder, subject, &covers, wire).map_err(once)?;
    // COMMAND begins: from here on nothing is a failure of the set-up.
    if subject.explain.is_none() {
        report::done();
    }
    recorder.run().map_err(|error| recorder.said(error))?;
    let was_executed = recorder.was_executed();
    let seen =
        if was_executed { finish(recorder, config, plan, &mounts)? } else { recorder.close() };
    if let Some(explain) = subject.explain {
        explain(config, plan, &seen, &mounts);
    }
    // There may be much of it, and the process ends.
    std::mem::forget(seen);
    Ok(())
}

/// Finds out what lies where, and lets COMMAND begin.
fn begin(
    recorder: &mut Recorder<'_>,
    subject: &Subject<'_>,
    covers: &[CString],
    wire: &Wire,
) -> Result<Mounts> {
    let Subject { config, plan, .. } = *subject;
    let place = |path: &[u8]| recorder.canonical(path);
    let mounts = Mounts::new(&config.ops, &plan.sources, covers, place)?;
    // What the profile repeats by name has to be there.
    for path in &config.landlock.unix {
        recorder.note(Uses::CONNECT, path.to_bytes())?;
    }
    for file in &config.lock_files {
        recorder.note(Uses::READ, file.to_bytes())?;
    }
    recorder.start(wire)?;
    Ok(mounts)
}

/// What `--mask-glob` hides in the sandbox, and masks beside it.
fn covers(subject: &Subject<'_>) -> Result<Vec<CString>> {
    if !subject.config.ops.iter().any(|op| matches!(op, Op::MaskGlob(_))) {
        return Ok(Vec::new());
    }
    let table = format!("{}/mountinfo", subject.first);
    let table = read_file(subject.proc, table.as_str(), usize::MAX);
    Ok(points_of(&table.context("Can't see what --mask-glob hides")?, &COVERS))
}

/// Writes what was recorded of a COMMAND that was executed.
fn finish(
    mut recorder: Recorder<'_>,
    config: &Settled,
    plan: &Plan,
    mounts: &Mounts,
) -> Result<Seen> {
    let mut timed = draft::timed(&recorder.seen, mounts, &plan.places);
    timed.extend(plan.profile.iter().flat_map(|profile| profile.earlier.dests()));
    recorder.ask_times(timed.into_iter())?;
    let seen = recorder.close();
    if seen.flags.contains("unread") && !seen.flags.contains("read") {
        return Err(Error::new("Nothing could be recorded: COMMAND's memory could not be read"));
    }
    result::write(config, plan, &seen, mounts)?;
    Ok(seen)
}
