//! `--forward-signals`.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Case, Fd, Live, Outcome, Result, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = forwarded();
    cases.extend(ends());
    cases.extend(untold());
    cases.extend(to_a_group());
    cases.extend(during_setup());
    cases.into_iter().map(Case::ours_only).collect()
}

/// Says the name of each signal that it gets, and ends with status 9 on TERM.
const LISTENER: &str = "for s in HUP INT QUIT USR1 USR2 CONT WINCH; do trap \"echo $s\" $s; done; trap 'echo TERM; exit 9' TERM
    echo ready; while :; do sleep 0.02; done";

fn send(live: &mut Live, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(live.pid()?);
    kill(pid, signal).map_err(|errno| format!("{signal}: {errno}"))
}

fn every_one(live: &mut Live) -> Result<()> {
    live.wait_for(1, "ready")?;
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGCONT,
        Signal::SIGWINCH,
        Signal::SIGTERM,
    ] {
        send(live, signal)?;
        live.wait_for(1, signal.as_str().trim_start_matches("SIG"))?;
    }
    Ok(())
}

fn forwarded() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| {
        let case = Case::new(name).on_host().options(options).options(["--forward-signals"]).run(["sh", "-c", LISTENER]);
        case.status(9).stdout("ready\nHUP\nINT\nQUIT\nUSR1\nUSR2\nCONT\nWINCH\nTERM\n").during(every_one)
    };
    vec![
        case("plain", &[]),
        case("all_namespaces", &["--unshare-all", "--die-with-parent", "--proc", "/proc", "--dev", "/dev"]),
        case("as_pid_1", &["--unshare-pid", "--as-pid-1"]),
        case("new_session", &["--unshare-pid", "--new-session"]),
        case("with_pid_1_only", &["--lock-file", "/etc/passwd"]),
        case("other_ids", &["--unshare-user", "--uid", "5", "--gid", "5", "--dev", "/dev", "--disable-userns"]),
        case("told", &["--unshare-pid", "--json-status-fd", "8"]).fd(8, Fd::Capture),
        case("blocked_by_the_caller", &["--unshare-pid"]).tweak(Tweak::BlockSignal(libc::SIGUSR2)),
    ]
}

fn ends() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| Case::new(name).on_host().options(options).options(["--forward-signals"]);
    let ended_by = |signal: Signal| {
        move |live: &mut Live| {
            live.wait_for(1, "ready")?;
            send(live, signal)
        }
    };
    let waiting = ["sh", "-c", "echo ready; exec sleep 1000"];
    vec![
        case("killed_by_it", &["--unshare-pid"]).run(waiting).during(ended_by(Signal::SIGTERM)).status(143),
        case("killed_by_it_without_namespaces", &[]).run(waiting).during(ended_by(Signal::SIGUSR1)).status(138),
        case("ends_by_itself", &["--unshare-all"]).run(["sh", "-c", "exit 5"]).status(5),
        case("is_not_there", &["--unshare-all"])
            .run(["/nonexistent"])
            .fails("bwrap: execvp /nonexistent: No such file or directory"),
        // Not forwarded, and so it ends the monitor alone, as ever.
        case("others_are_not_forwarded", &["--unshare-pid", "--die-with-parent"])
            .run(waiting)
            .during(ended_by(Signal::SIGALRM))
            .signal(libc::SIGALRM),
        // The window's size changes: the kernel tells the foreground, which COMMAND is not in.
        case("resize", &["--unshare-pid", "--new-session"])
            .terminal()
            .run(["sh", "-c", "trap 'stty size; exit 4' WINCH; stty cols 77; while :; do sleep 0.02; done"])
            .status(4)
            .claim(|o: &Outcome| o.expect(o.stdout.trim().ends_with(" 77"), "not the new size")),
        // It is in the foreground and hears of it by itself, once.
        case("resize_once", &["--unshare-pid"])
            .terminal()
            .run(["sh", "-c", "n=0; trap 'n=$((n + 1))' WINCH; stty cols 77; sleep 0.3; echo $n"])
            .status(0)
            .claim(|o| o.expect(o.stdout.trim() == "1", "not once")),
    ]
}

/// Whom the terminal does not tell: who is in another process group, and whoever the leader of its session has left to it.
fn untold() -> Vec<Case> {
    let case =
        |name: &str, options: &[&str]| Case::new(name).on_host().options(options).options(["--dev", "/dev", "--forward-signals"]);
    vec![
        // COMMAND is not in the foreground, and so the kernel tells the monitor alone.
        case("another_process_group", &["--unshare-pid"])
            .terminal()
            .run([
                "perl",
                "-e",
                "setpgrp; $SIG{WINCH} = sub { print qq(told\\n); exit 6 }; system(qw(stty cols 77)); sleep 20 for 1 .. 3",
            ])
            .status(6)
            .claim(|o| o.expect(o.stdout.trim() == "told", "not told")),
        case("another_user", &["--unshare-pid"])
            .root_only()
            .run(["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "sh", "-c", LISTENER])
            .during(every_one)
            .status(9),
    ]
}

/// What timeout(1) and CI runners do: the whole process group is told.
fn to_a_group() -> Vec<Case> {
    let script = |options: &str| {
        format!(
            "mkfifo heard; tell() {{ perl -e 'kill shift, -shift' $1 $!; }}
            perl -e 'setpgrp; exec @ARGV' {{bwrap}} --ro-bind / / --dev /dev {options} --forward-signals perl -e '{COUNTER}' > heard &
            exec 3< heard; read line <&3
            for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do tell USR1; read line <&3; done
            tell TERM; cat <&3; wait $!"
        )
    };
    let once = |name: &str, options: &str| Case::new(name).script(&script(options)).status(9).stdout("TERM after 20\n");
    vec![
        once("group_tells_new_session_once", "--new-session"),
        once("group_tells_new_session_once_in_namespaces", "--new-session --unshare-all --die-with-parent"),
    ]
}

/// Says how often it was told USR1 when it is told TERM.
const COUNTER: &str =
    "$| = 1; $SIG{USR1} = sub { $n++; print qq(USR1\\n) }; $SIG{TERM} = sub { print qq(TERM after $n\\n); exit 9 };
    print qq(ready\\n); sleep 1 while 1";

/// A signal that comes too early ends everything, and COMMAND is never run.
fn during_setup() -> Vec<Case> {
    let case = |name: &str, options: &[&str], signal: Signal| {
        let case = Case::new(name).on_host().options(options).options(["--forward-signals", "--block-fd", "9", "--info-fd", "8"]);
        let case = case.run(["echo", "hi"]).fd(8, Fd::Capture).fd(9, Fd::Held).stdout("").signal(signal as i32);
        case.during(move |live| {
            live.wait_for_number(8, "child-pid")?;
            send(live, signal)
        })
    };
    vec![
        case("too_early", &["--unshare-pid"], Signal::SIGTERM),
        case("too_early_without_pid_1", &[], Signal::SIGINT),
        case("too_early_with_pid_1_only", &["--lock-file", "/etc/passwd"], Signal::SIGHUP),
        // Content that does not come: nothing waits for it when the monitor is gone.
        Case::new("too_early_at_a_file")
            .on_host()
            .options(["--tmpfs", "/srv", "--forward-signals", "--unshare-pid", "--info-fd", "8", "--file", "9", "/srv/f"])
            .run(["echo", "hi"])
            .fd(8, Fd::Capture)
            .fd(9, Fd::Held)
            .stdout("")
            .signal(libc::SIGTERM)
            .during(|live| {
                live.wait_for_number(8, "child-pid")?;
                std::thread::sleep(std::time::Duration::from_millis(100));
                send(live, Signal::SIGTERM)
            }),
    ]
}
