//! `--die-with-parent` where the parent is more than one thread, becomes another program, or cannot be watched; and where bwrap is stopped.

use crate::harness::{Case, Fd, Tweak, filter};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = threads();
    cases.extend(stopped().into_iter().map(Case::ours_only));
    cases.extend(watched_otherwise().into_iter().map(Case::ours_only));
    cases.extend(reaping().into_iter().map(Case::ours_only));
    cases.extend(unread());
    cases
}

/// What is different for who watches whom.
const ARRANGEMENTS: [(&str, &str); 5] = [
    ("alone", ""),
    ("pid", "--unshare-pid"),
    ("first", "--unshare-pid --as-pid-1"),
    ("lock", "--lock-file /etc/passwd"),
    ("all", "--unshare-all --new-session --forward-signals --timeout 100"),
];

/// The process goes on without the thread that has started bwrap.
fn threads() -> Vec<Case> {
    let thread = |options: &str, command: &str, rest: &str| {
        format!(
            "python3 -c \"
import os, subprocess, threading, time
def start():
    global child
    child = subprocess.Popen('{{bwrap}} --ro-bind / / --die-with-parent {options}'.split() + ['sh', '-c', '{command}'])
    time.sleep(0.3)
thread = threading.Thread(target=start)
thread.start()
thread.join()
{rest}\""
        )
    };
    let waits = "print(child.wait(), flush=True)";
    // The program that the process becomes is executed by another thread than the first, which takes over its number.
    let executes =
        "threading.Thread(target=os.execv, args=('/bin/sh', ['sh', '-c', 'sleep 1; echo here'])).start()\ntime.sleep(10)";
    let mut cases = vec![Case::new("thread_ends").script(&thread("", "sleep 1; exit 7", waits))];
    for (suffix, options) in ARRANGEMENTS {
        cases.push(
            Case::new(&format!("lives_on_after_a_thread_{suffix}"))
                .script(&thread(options, "sleep 1; echo alive; exit 7", waits))
                .ok()
                .stdout("alive\n7\n")
                .ours_only(),
        );
        // It lives for as long as what its parent has become, and no longer.
        cases.push(
            Case::new(&format!("dies_with_what_the_parent_becomes_{suffix}"))
                .script(&format!("{{ {}; }} | cat", thread(options, "sleep 0.6; echo alive; exec sleep 1000", executes)))
                .status(0)
                .stdout("alive\nhere\n")
                .ours_only(),
        );
    }
    cases.into_iter().map(|case| case.tools(&["python3"])).collect()
}

/// A launcher, and a monitor that is stopped when the launcher dies. COMMAND alone has the fifo, until it ends.
fn stopped() -> Vec<Case> {
    let stage = |options: &str, stop: &str, command: &str| {
        format!(
            "mkfifo out; export B={{bwrap}}
            setsid sh -c '$B --ro-bind / / --dev /dev --die-with-parent {options} 5>out {command} & echo $! >monitor; wait' 2>/dev/null &
            launcher=$!; exec 3<out; read word <&3; echo $word; until [ -s monitor ]; do sleep 0.01; done; read monitor <monitor; {stop}
            until grep -q '^State:.T' /proc/$monitor/status; do sleep 0.01; done
            kill -9 $launcher; wait $launcher 2>/dev/null; cat <&3; echo gone; kill -9 $monitor 2>/dev/null"
        )
    };
    let mut cases = vec![];
    for (suffix, options) in
        [("pid", "--unshare-pid"), ("all", "--unshare-all --new-session --lock-file /etc/passwd --forward-signals")]
    {
        let script = stage(options, "kill -STOP $monitor", "sh -c \"echo ready >&5; exec sleep 1000\"");
        cases.push(Case::new(&format!("dies_with_a_stopped_monitor_{suffix}")).script(&script).stdout("ready\ngone\n"));
    }
    // COMMAND stops it and goes on doing so, in the process group that both are in, with a helper that wakes COMMAND up again.
    let stops = "perl -e \"\\$p = \\$\\$; fork || do { setpgrp; kill CONT => \\$p while 1 }; open F, q(>&=5); syswrite F, qq(ready\\n); sleep 1; kill STOP => 0 while 1\"";
    // Nobody else is there to notice.
    let script = stage("", "kill -STOP $monitor", "sh -c \"echo ready >&5; read x <go; echo alive >&5\"");
    let script = script.replace("mkfifo out", "mkfifo out go").replace("cat <&3", "echo >go; cat <&3");
    cases.push(Case::new("known_lives_on_with_a_stopped_monitor").script(&script).stdout("ready\nalive\ngone\n"));
    let script = stage("--unshare-pid", "", stops);
    cases.push(Case::new("dies_with_a_monitor_that_command_stops").script(&script).stdout("ready\ngone\n"));
    cases
}

/// The parent dies while bwrap has something to say to somebody who does not read it: what it writes to is full.
fn unread() -> Vec<Case> {
    const FILL: &str = "dd if=/dev/zero of=full bs=4096 oflag=nonblock 2>/dev/null;";
    // A zombie has no end where nobody reaps it.
    let script = |early: &str, late: &str, words: &str| {
        format!(
            "mkfifo go out full; exec 4<>full; {early} export B={{bwrap}}
            sh -c '$B --die-with-parent --info-fd 8 {words} 8>out & echo $! >monitor; wait' 2>/dev/null &
            launcher=$!; exec 3<out; until read word <&3 && [ \"$word\" = \"}}\" ]; do :; done; {late}
            until [ -s monitor ]; do sleep 0.01; done; read monitor <monitor
            sleep 0.2; kill -9 $launcher; wait $launcher 2>/dev/null
            until ! [ -e /proc/$monitor ] || grep -q '^State:.Z' /proc/$monitor/status; do sleep 0.01; done 2>/dev/null
            rm monitor; echo gone"
        )
    };
    let mut cases = vec![];
    for (suffix, options) in ARRANGEMENTS.into_iter().filter(|(suffix, _)| *suffix != "all") {
        let status = format!("{options} --ro-bind / / --json-status-fd 9");
        for (what, script) in [
            ("before_the_first_line", script(FILL, "", &format!("{status} sleep 1000 9>full"))),
            (
                "before_the_last_line",
                script(
                    "",
                    &format!("until [ \"$word\" = ready ]; do read word <&3; done; {FILL} echo >go"),
                    &format!("{status} sh -c \"echo ready >&7; read x <go\" 9>full 7>out"),
                ),
            ),
            ("before_an_error", script(FILL, "", &format!("{options} --ro-bind /none / sleep 1000 2>full"))),
        ] {
            let name = format!("dies_with_its_parent_{what}_{suffix}");
            cases.push(Case::new(&name).script(&script).status(0).stdout("gone\n"));
        }
        // The fd is not open.
        let own = Case::new(&format!("dies_with_its_parent_before_an_error_of_its_own_{suffix}")).ours_only();
        cases.push(own.script(&script(FILL, "", &format!("{status} sleep 1000 2>full"))).status(0).stdout("gone\n"));
    }
    cases
}

/// Where there is no handle on the parent, the kernel's death signal is as good as it is in the reference.
fn watched_otherwise() -> Vec<Case> {
    let dies = |name: String, options: &str| {
        let script = format!(
            "mkfifo out; export B={{bwrap}}
            sh -c '$B --ro-bind / / --die-with-parent {options} sh -c \"echo ready; exec sleep 1000\" >out & wait' 2>/dev/null &
            launcher=$!; exec 3<out; read word <&3; echo $word; kill -9 $launcher; wait $launcher 2>/dev/null; cat <&3; echo gone"
        );
        Case::new(&name).script(&script).stdout("ready\ngone\n")
    };
    let mut cases = vec![];
    for (suffix, options) in ARRANGEMENTS.into_iter().filter(|(suffix, _)| *suffix != "all") {
        for (errno, name) in [(libc::ENOSYS, "unknown"), (libc::EPERM, "refused")] {
            cases.push(dies(format!("pidfd_open_is_{name}_{suffix}"), options).tweak(Tweak::Refuse(&["pidfd_open"], errno)));
        }
    }
    // A parent in another pid namespace has no number here.
    let script = "mkfifo out; unshare --user --map-root-user --pid --kill-child=TERM \
                  sh -c 'exec {bwrap} --ro-bind / / --die-with-parent sh -c \"echo ready; exec sleep 1000\" >out' &
                  launcher=$!; exec 3<out; read word <&3; echo $word; kill -9 $launcher; wait $launcher 2>/dev/null; cat <&3; echo gone";
    cases.push(Case::new("parent_outside_the_pid_namespace").script(script).stdout("ready\ngone\n"));
    // PID 1 is under the caller's program as well, and does without what that refuses.
    let program = filter::refuse(&["ppoll"], libc::EPERM).map_or_else(|_| vec![1], |program| filter::bytes(&program));
    let case = Case::new("program_refuses_ppoll").on_host();
    let case =
        case.options(["--dev", "/dev", "--unshare-pid", "--die-with-parent", "--add-seccomp-fd", "9"]).fd(9, Fd::memfd(program));
    cases.push(case.run(["sh", "-c", "(sleep 0.1 &); sleep 0.2; exit 7"]).status(7).stderr(""));
    cases
}

/// PID 1 watches the parent and has children to reap at once.
fn reaping() -> Vec<Case> {
    let case = |name: &str, script: &str| {
        Case::new(name)
            .on_host()
            .options(["--unshare-pid", "--die-with-parent", "--proc", "/proc", "--dev", "/dev"])
            .run(["sh", "-c", script])
    };
    vec![
        // Many that end at once, and one after the other, while COMMAND runs.
        case(
            "orphans_are_reaped",
            "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do (sleep 0.1 & sleep 0.$n & :); done; sleep 1.5
             grep -l '^State:.Z' /proc/[0-9]*/status; exit 3",
        )
        .status(3)
        .stdout(""),
        case("ends_at_once", "exit 5").status(5),
        case("killed", "kill -9 $$").status(137),
        // It stays for those that are left, as long as bwrap does.
        Case::new("orphans_keep_pid_1")
            .script(
                "mkfifo go; sh -c '{bwrap} --ro-bind / / --unshare-pid --die-with-parent --sync-fd 4 4>out sh -c \"exit 4\"; echo $?; read x <go' &
                 sleep 0.2; echo >go; wait",
            )
            .stdout("4\n"),
        case("signals_are_unblocked", "grep SigBlk /proc/self/status").status(0).stdout("SigBlk:\t0000000000000000\n"),
    ]
}
