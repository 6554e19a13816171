//! `--timeout`: a COMMAND that ends in time, one that does not, and all that tries to outlive its time. A run is over only when nobody
//! holds its output open any more, so that every case here shows that nothing is left.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::fails;
use crate::harness::{Case, Fd, Live, Result, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = in_time();
    cases.extend(too_late());
    cases.extend(orphans());
    cases.extend(unwilling());
    cases.extend(with_signals());
    cases.extend(refused());
    cases.into_iter().map(Case::ours_only).collect()
}

fn timed(name: &str, time: &str, options: &[&str]) -> Case {
    Case::new(name).on_host().options(["--dev", "/dev", "--unshare-pid", "--timeout", time]).options(options)
}

/// Says what it is told, and ends with a status of its own.
const OBEYS: &str = "trap 'echo TERM; exit 3' TERM; echo ready; while :; do sleep 0.02; done";
const IGNORES: &str = "trap '' TERM; echo ready; exec sleep 1000";

/// What matters to who is signalled and what is killed.
const KINDS: [(&str, &[&str]); 6] = [
    ("plain", &[]),
    ("dying_with_parent", &["--die-with-parent"]),
    ("in_all_namespaces", &["--unshare-all", "--proc", "/proc", "--dev", "/dev", "--disable-userns", "--unshare-user"]),
    ("new_session", &["--new-session"]),
    ("filtered", &["--seccomp-default"]),
    ("locked", &["--lock-file", "/etc/passwd"]),
];

fn in_time() -> Vec<Case> {
    vec![
        timed("ends_in_time", "100", &[]).run(["sh", "-c", "exit 5"]).status(5).stderr(""),
        timed("ends_by_a_signal_in_time", "100:1", &[]).run(["sh", "-c", "kill -TERM $$"]).status(143).stderr(""),
        timed("is_not_there", "100", &[]).run(["/nonexistent"]).fails("bwrap: execvp /nonexistent: No such file or directory"),
        timed("ends_in_time_as_pid_1", "100", &["--as-pid-1"]).run(["sh", "-c", "exit 5"]).status(5).stderr(""),
        // The time begins when COMMAND does.
        timed("set_up_takes_no_time", "1", &["--block-fd", "9", "--info-fd", "8"])
            .fd(8, Fd::Capture)
            .fd(9, Fd::Held)
            .run(["echo", "hi"])
            .during(|live| {
                live.wait_for_number(8, "child-pid")?;
                std::thread::sleep(std::time::Duration::from_millis(1500));
                live.write(9, b"x");
                live.close(9)
            })
            .ok()
            .stdout("hi\n"),
        timed("the_last_one_counts", "0.01", &["--timeout", "100"])
            .run(["sh", "-c", "sleep 0.3; exit 6"])
            .status(6)
            .stderr("bwrap: Only the last --timeout option will take effect\n"),
        timed("dry_run", "1.5:0.25", &["--dry-run"]).run(["true"]).ok().claim(|o| {
            o.expect(o.stdout.contains("COMMAND's time is limited: SIGTERM after 1.5 s, and SIGKILL"), "the time is not shown")
        }),
    ]
}

fn too_late() -> Vec<Case> {
    let mut cases = vec![];
    for (kind, options) in KINDS {
        cases.push(
            timed(&format!("too_late_{kind}"), "0.8", options)
                .run(["sh", "-c", OBEYS])
                .status(124)
                .stderr("")
                .stdout("ready\nTERM\n"),
        );
        cases.push(
            timed(&format!("ignored_{kind}"), "0.8:0.2", options)
                .run(["sh", "-c", IGNORES])
                .status(124)
                .stderr("")
                .stdout("ready\n"),
        );
    }
    cases.extend([
        timed("status_is_told", "0.2", &["--json-status-fd", "8"])
            .run(["sh", "-c", OBEYS])
            .fd(8, Fd::Capture)
            .status(124)
            .claim(|o| o.expect(o.fd(8).ends_with("{ \"exit-code\": 124 }\n"), "another exit-code")),
        timed("killed_status_is_told", "0.2:0", &["--json-status-fd", "8"])
            .run(["sh", "-c", IGNORES])
            .fd(8, Fd::Capture)
            .status(124)
            .claim(|o| o.expect(o.fd(8).ends_with("{ \"exit-code\": 124 }\n"), "another exit-code")),
        // A PID 1 without a handler is not told.
        timed("as_pid_1", "0.2:0.2", &["--as-pid-1"]).run(["sleep", "1000"]).status(124).stderr(""),
        timed("as_pid_1_with_a_handler", "0.8", &["--as-pid-1"]).run(["sh", "-c", OBEYS]).status(124).stdout("ready\nTERM\n"),
        timed("stopped", "0.8", &[])
            .run(["sh", "-c", "trap 'echo TERM; exit 3' TERM; kill -STOP $$; sleep 1000"])
            .status(124)
            .stdout("TERM\n"),
        timed("stopped_and_unwilling", "0.8:0.2", &[])
            .run(["sh", "-c", "trap '' TERM; kill -STOP $$; exec sleep 1000"])
            .status(124),
        timed("another_user", "0.8:0.2", &[])
            .root_only()
            .run(["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "sh", "-c", OBEYS])
            .status(124)
            .stdout("ready\nTERM\n"),
        timed("other_ids", "0.8:0.2", &["--unshare-user", "--uid-map", "0", "100000", "10", "--gid-map", "0", "100000", "10"])
            .root_only()
            .run(["sh", "-c", IGNORES])
            .status(124)
            .stdout("ready\n"),
        timed("joined_users", "0.8:0.2", &["--userns", "9"])
            .setup(userns)
            .run(["sh", "-c", IGNORES])
            .status(124)
            .stdout("ready\n"),
    ]);
    cases
}

fn userns(s: &mut crate::harness::Setup) -> Result<()> {
    let map = |id: u32| format!("{id} {id} 1");
    let outer = s.namespaces(libc::CLONE_NEWUSER, &map(s.uid), &map(s.gid))?;
    s.pass(9, outer.open("user")?);
    s.hold(outer);
    Ok(())
}

/// A process that nothing but SIGKILL ends, in a session of its own.
const ORPHAN: &str = "perl -e '$SIG{TERM} = $SIG{HUP} = q(IGNORE); fork && exit; setpgrp; sleep 1000' &";

fn orphans() -> Vec<Case> {
    let script = |end: &str| format!("{ORPHAN} wait $!; echo ready; {end}");
    vec![
        timed("orphans_of_one_that_ends", "100", &[]).run(["sh", "-c", &script("exit 3")]).status(3).stdout("ready\n"),
        timed("orphans_of_one_that_obeys", "0.8:100", &[])
            .run(["sh", "-c", &script("exec sleep 1000")])
            .status(124)
            .stdout("ready\n"),
        timed("orphans_of_one_that_is_killed", "0.8:0.1", &[])
            .run(["sh", "-c", &script("trap '' TERM; exec sleep 1000")])
            .status(124)
            .stdout("ready\n"),
        timed("orphans_of_pid_1", "100", &["--as-pid-1"]).run(["sh", "-c", &script("exit 3")]).status(3).stdout("ready\n"),
    ]
}

/// Ways to be late.
fn unwilling() -> Vec<Case> {
    // In bwrap's process group, which a process in the sandbox may signal as 0. What outlives that has left the group.
    let group = |signal: &str| {
        format!(
            "perl -e 'fork || do {{ setpgrp; $SIG{{TERM}} = q(IGNORE); print qq(ready\\n); close STDOUT; sleep 1000 }}; sleep 1; kill {signal} => 0; sleep 1000'"
        )
    };
    let killed_once_late = |name: &str, options: &[&str]| {
        timed(name, "2:0.1", options).run(["sh", "-c", &group("STOP")]).signal(libc::SIGKILL).stdout("ready\n").stderr("")
    };
    vec![
        killed_once_late("stops_the_monitor", &[]),
        killed_once_late("stops_the_monitor_as_pid_1", &["--as-pid-1"]),
        timed("kills_the_monitor", "100", &[]).run(["sh", "-c", &group("KILL")]).signal(libc::SIGKILL).stdout("ready\n"),
        timed("cannot_reach_the_monitor", "2:0.1", &["--new-session"]).run(["sh", "-c", &group("STOP")]).status(124).stdout("ready\n"),
        // Goes on ending it until it has ended.
        timed("forks_on", "0.8:0.2", &["--rlimit", "nproc", "4000"])
            .run(["sh", "-c", "echo ready; perl -e '$SIG{TERM} = q(IGNORE); for (1 .. 200) { fork || last } select undef, undef, undef, 0.01 while 1'"])
            .status(124)
            .stdout("ready\n"),
    ]
}

fn send(live: &mut Live, signal: Signal) -> Result<()> {
    live.wait_for(1, "ready")?;
    let pid = Pid::from_raw(live.pid()?);
    kill(pid, signal).map_err(|errno| format!("{signal}: {errno}"))
}

fn with_signals() -> Vec<Case> {
    vec![
        timed("forwards", "100", &["--forward-signals"])
            .run(["sh", "-c", OBEYS])
            .during(|live| send(live, Signal::SIGTERM))
            .status(3)
            .stdout("ready\nTERM\n"),
        timed("forwards_until_late", "0.8:0.2", &["--forward-signals"])
            .run(["sh", "-c", "trap 'echo INT' INT; trap '' TERM; echo ready; while :; do sleep 0.02; done"])
            .during(|live| {
                send(live, Signal::SIGINT)?;
                live.wait_for(1, "INT").map(drop)
            })
            .status(124),
        // Without forwarding a signal ends bwrap, and with it the clock: so everything.
        timed("dies_with_the_monitor", "100", &[])
            .run(["sh", "-c", IGNORES])
            .during(|live| send(live, Signal::SIGTERM))
            .signal(libc::SIGTERM),
        timed("dies_with_the_killed_monitor", "100", &["--as-pid-1"])
            .run(["sh", "-c", IGNORES])
            .during(|live| send(live, Signal::SIGKILL))
            .signal(libc::SIGKILL),
        // Who was stopped is late at once when it goes on.
        timed("stopped_monitor_goes_on", "0.2:2", &[])
            .run(["sh", "-c", OBEYS])
            .during(|live| {
                send(live, Signal::SIGSTOP)?;
                std::thread::sleep(std::time::Duration::from_millis(600));
                send(live, Signal::SIGCONT)
            })
            .status(124)
            .stdout("ready\nTERM\n"),
    ]
}

fn refused() -> Vec<Case> {
    let form =
        "bwrap: --timeout takes SECONDS or SECONDS:KILL, decimal numbers up to 1000000000 of which the first is not 0, and not";
    let requires = "bwrap: --timeout requires --unshare-pid or --cgroup: otherwise nothing could end what COMMAND has started";
    let mut cases = vec![
        fails("alone", &["--timeout"], "bwrap: --timeout takes an argument"),
        fails("without_a_pid_namespace", &["--timeout", "5", "--ro-bind", "/", "/", "true"], requires),
        fails("in_a_pid_namespace_that_is_joined", &["--timeout", "5", "--pidns", "3", "--ro-bind", "/", "/", "true"], requires),
    ];
    for (name, word) in [("zero", "0"), ("negative", "-1"), ("unit", "5s"), ("three", "1:2:3"), ("empty", ""), ("endless", "inf")]
    {
        cases.push(fails(&format!("time_is_{name}"), &["--timeout", word], &format!("{form} {word}")));
    }
    let lacks = |name: &str, calls: &'static [&'static str], words: &str| {
        let case = timed(name, "100", &[]).run(["echo", "hi"]).tweak(Tweak::Refuse(calls, libc::EPERM));
        case.fails(&format!("bwrap: {words}: Operation not permitted"))
    };
    // The kernel kills the sandbox when the monitor ends.
    let not_killed = timed("no_kill", "0.8:0.1", &[]).run(["sh", "-c", IGNORES]).tweak(Tweak::Refuse(&["kill"], libc::EPERM));
    cases.push(not_killed.status(124).stdout("ready\n"));
    cases.extend([
        lacks("no_timer", &["timer_create"], "Can't set a timer for --timeout"),
        lacks("no_timer_to_set", &["timer_settime"], "Can't set a timer for --timeout"),
        lacks("no_pidfd", &["pidfd_open"], "Can't hand the monitor a pidfd of COMMAND"),
    ]);
    cases
}
