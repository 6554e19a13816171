//! What the set-up costs, counted by strace: it must not grow with the host's mounts, and only little with each operation.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::has_mount_setattr;
use crate::harness::{Case, Outcome, Result, Tweak};

/// The system calls that one bind of a directory may cost: clone the tree, set its flags, make the mount point, attach.
const PER_DIRECTORY: usize = 4;

/// A file is found to be no directory first, and looked at.
const PER_FILE: usize = 6;

/// A file on a file that is there already takes two more, to see that it is not a symlink.
const PER_COVERED_FILE: usize = 8;

/// The cases of this file. The reference has its own costs, so they are ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let binds = |source: &str, to: &str, count: usize| -> String {
        (0..count)
            .map(|n| format!("--ro-bind {{dir}}/{source} {}", to.replace('#', &n.to_string())))
            .collect::<Vec<_>>()
            .join(" ")
    };
    // Existing mount points are in a directory of the host's that is bound.
    let rows = [
        ("directories", "from", "/tmp/#", PER_DIRECTORY),
        ("files", "file", "/tmp/#", PER_FILE),
        ("on_directories", "from", "/mnt/d#", PER_DIRECTORY),
        ("on_files", "file", "/mnt/f#", PER_COVERED_FILE),
    ];
    let traced = |name: &str, many: &str| {
        let case = Case::new(name)
            .ours_only()
            .needs(can_be_counted)
            .unrefused("the detours take more calls")
            .dir("from")
            .file("file", "")
            .setup(|s| (0..100).try_for_each(|n| s.dir(&format!("at/d{n}")).and_then(|()| s.file(&format!("at/f{n}"), ""))));
        let run = |file: &str, binds: &str| {
            format!("strace -f -qq -o {file} {{bwrap}} --ro-bind / / --tmpfs /tmp --bind {{dir}}/at /mnt {binds} true || exit\n")
        };
        case.script(&(run("none", "") + &run("many", many))).ok()
    };
    let without_ranges = Case::new("closes_are_few")
        .ours_only()
        .needs(can_be_counted)
        .tweak(Tweak::Refuse(&["close_range"], libc::ENOSYS))
        .tweak(Tweak::Limit(libc::RLIMIT_NOFILE, 1024, 4096))
        .script("exec 5</dev/null 7</dev/null; strace -f -qq -o closed {bwrap} --ro-bind / / --dev /dev --unshare-pid true")
        .ok()
        .claim(|o| {
            let closes = calls(o, "closed")?.remove("close").unwrap_or_default();
            o.expect((20..300).contains(&closes), &format!("close was called {closes} times"))
        });
    let mut cases = vec![without_ranges, traced("one_pivot_and_one_detach", "").claim(|o| leaves_once(o, "none"))];
    for (name, source, to, calls) in rows {
        let case = traced(&format!("binds_of_{name}"), &binds(source, to, 100));
        cases.push(case.claim(move |o| per_bind(o, calls)).claim(|o| leaves_once(o, "many")));
    }
    cases
}

fn can_be_counted() -> Result<()> {
    // The detour takes more calls.
    has_mount_setattr()?;
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if works { Ok(()) } else { Err("needs strace".to_owned()) }
}

/// How often each call was made.
fn calls(o: &Outcome, file: &str) -> Result<BTreeMap<String, usize>> {
    let text = fs::read_to_string(o.dir.join(file)).map_err(|e| format!("{file}: {e}"))?;
    let mut calls = BTreeMap::new();
    for line in text.lines() {
        // Of "17 openat(3, …" and "17 <... openat resumed>" only the first is a call.
        let Some(call) = line.split_whitespace().nth(1).and_then(|word| word.split_once('(')).map(|(name, _)| name) else {
            continue;
        };
        *calls.entry(call.to_owned()).or_default() += 1;
    }
    Ok(calls)
}

fn leaves_once(o: &Outcome, file: &str) -> Result<()> {
    let calls = calls(o, file)?;
    for (call, times) in [("pivot_root", 1), ("umount2", 1)] {
        let found = calls.get(call).copied().unwrap_or_default();
        o.expect(found == times, &format!("{call} was called {found} times"))?;
    }
    let text = fs::read_to_string(o.dir.join(file)).map_err(|e| e.to_string())?;
    let opened = ["mountinfo", "proc/self/mounts", "proc/mounts"].iter().any(|name| text.contains(name));
    o.expect(!opened, "the table of mounts was read")
}

fn per_bind(o: &Outcome, allowed: usize) -> Result<()> {
    // Debug assertions of the standard library look at each fd before it is closed.
    let total =
        |calls: BTreeMap<String, usize>| calls.into_iter().filter(|(call, _)| call != "fcntl").map(|(_, times)| times).sum();
    let (none, many): (usize, usize) = (total(calls(o, "none")?), total(calls(o, "many")?));
    let grown = many.saturating_sub(none);
    // Some calls are for the memory and the limit that so many need.
    o.expect(grown <= 100 * allowed + 20, &format!("100 binds are {grown} more system calls"))
}
