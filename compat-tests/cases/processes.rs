//! The processes: who lives how long, what is inherited, who holds what.

use std::fs;

use crate::harness::{Case, Fd, Field, Live, Result, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = deaths();
    cases.extend(lives());
    cases.extend(inherited());
    cases.extend(held());
    cases.extend(locks());
    cases
}

const ARRANGEMENTS: [(&str, &str); 6] = [
    ("alone", ""),
    ("pid", "--unshare-pid"),
    ("first", "--unshare-pid --as-pid-1"),
    ("lock", "--lock-file {dir}/lock"),
    ("user", "--unshare-user --dev /dev"),
    ("all", "--unshare-all --new-session --lock-file {dir}/lock"),
];

/// A launcher, the monitor and the sandbox, which is stuck on a fifo. What is written to `out` ends when all of them are gone.
const STAGE: &str = "mkfifo out go; export B={bwrap}
    sh -c '$B --ro-bind / / OPTIONS sh -c \"echo ready; read x <{dir}/go; echo alive\" >out & echo $! >monitor; wait' 2>/dev/null &
    launcher=$!; exec 3<out; read word <&3; echo $word; until [ -s monitor ]; do sleep 0.01; done; read monitor <monitor; rm monitor\n";

fn deaths() -> Vec<Case> {
    let mut cases = vec![];
    for (suffix, options) in ARRANGEMENTS {
        let staged = |name: &str, more: &str, rest: &str| {
            let stage = STAGE.replace("OPTIONS", &format!("{more} {options}"));
            Case::new(&format!("{name}_{suffix}")).file("lock", "").script(&format!("{stage}{rest}")).stderr("")
        };
        let all_gone = "cat <&3; echo gone";
        let dies = "--die-with-parent";
        let launcher = "kill -9 $launcher; wait $launcher 2>/dev/null\n";
        let monitor = "kill -9 $monitor\n";
        let gone = "ready\ngone\n";
        cases.push(staged("dies_with_launcher", dies, &format!("{launcher}{all_gone}")).stdout(gone));
        cases.push(staged("dies_with_monitor", dies, &format!("{monitor}{all_gone}")).stdout(gone));
        let lives = "ready\nalive\ngone\n";
        let monitored = "sleep 0.1; kill -0 $monitor && echo monitored; echo >go\n";
        let both_live = "ready\nmonitored\nalive\ngone\n";
        cases.push(staged("outlives_launcher", "", &format!("{launcher}{monitored}{all_gone}")).stdout(both_live));
        // Until COMMAND runs, this option has the sandbox die with the monitor.
        let forwards = "--forward-signals";
        let outlives = staged("outlives_forwarding_monitor", forwards, &format!("{monitor} sleep 0.1; echo >go; {all_gone}"));
        cases.push(outlives.stdout(lives).ours_only());
        cases.push(staged("outlives_monitor", "", &format!("{monitor} sleep 0.1; echo >go; {all_gone}")).stdout(lives));
        // A signal to the monitor alone is not passed on.
        let ended = "kill -15 $monitor; sleep 0.1; echo >go\n";
        cases.push(staged("outlives_ended_monitor", "", &format!("{ended}{all_gone}")).stdout(lives));
        // During the set-up, where the reference lives on: the death signal of its child is gone with the new credentials.
        let waits = Case::new(&format!("dies_while_blocked_{suffix}")).file("lock", "").script(&format!(
            "mkfifo out go; sh -c '{{bwrap}} --ro-bind / / --die-with-parent --block-fd 3 --info-fd 4 {options} true \
             3<>go 4>out >out & wait' 2>/dev/null &
             launcher=$!; exec 3<out; read word <&3; kill -9 $launcher; cat <&3 >/dev/null; echo gone"
        ));
        cases.push(waits.stdout("gone\n").ours_only());
    }
    // Joining somebody else's user namespace takes the death signal back. The reference's monitor lives on.
    for (suffix, options) in [
        ("userns", "--userns 9"),
        ("userns_pid", "--userns 9 --unshare-pid"),
        ("userns2", "--userns2 9"),
        ("userns2_pid", "--userns2 9 --unshare-pid"),
    ] {
        let stage = STAGE.replace("OPTIONS", &format!("--die-with-parent {options}"));
        let script = format!(
            "setpriv --reuid 54321 --regid 54321 --clear-groups unshare -U -r sleep 60 & owner=$!
             until grep -q sleep /proc/$owner/comm; do sleep 0.01; done; exec 9</proc/$owner/ns/user
             {stage} kill -9 $launcher; wait $launcher 2>/dev/null; cat <&3; echo gone; kill $owner"
        );
        let case = Case::new(&format!("dies_with_launcher_{suffix}_of_a_user")).root_only().ours_only();
        cases.push(case.script(&script).stderr("").stdout("ready\ngone\n"));
    }
    cases
}

fn lives() -> Vec<Case> {
    let mut cases = vec![];
    for (suffix, options) in ARRANGEMENTS {
        let case = |name: &str, text: &str| {
            Case::new(&format!("{name}_{suffix}")).file("lock", "").script(&text.replace("OPTIONS", options)).status(0).stderr("")
        };
        // The monitor returns when COMMAND has ended, whoever else lives on; what lives on in a pid namespace whose first
        // process is COMMAND does not.
        cases.push(case(
            "monitor_returns",
            "mkfifo out go end; {bwrap} --dev-bind / / OPTIONS sh -c '(echo ready; read x <{dir}/go; echo late) & read y <{dir}/end; exit 7' \
             >out & monitor=$!; exec 3<out; read word <&3; echo >end; wait $monitor; echo $?; exec 4<>go; echo >&4; cat <&3; echo gone",
        ));
        cases.push(case(
            "orphans_are_reaped",
            "{bwrap} --dev-bind / / OPTIONS --unshare-pid --proc /proc sh -c '
                 (sh -c \"exit 3\" &); (sh -c \"kill -9 \\$\\$\" &); (true &)
                 for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                     grep -qsE \"^State:.Z\" /proc/[0-9]*/status || break; sleep 0.05
                 done; echo $i | sed \"s/^1.$/few/; s/^.$/few/\"; exit 9'; echo $?",
        ));
        let set = Case::new(&format!("set_of_processes_{suffix}")).file("lock", "").on_host();
        let set = set.options(options.split_whitespace()).options(["--unshare-pid", "--proc", "/proc"]);
        cases.push(set.run(["sh", "-c", "set -- /proc/[0-9]*; echo $#; sed s/ld.so/bwrap/ /proc/1/comm; echo $$; true"]));
    }
    cases
}

#[allow(clippy::too_many_lines, reason = "a list")]
fn inherited() -> Vec<Case> {
    let all = ["ids", "caps", "security", "signals", "limits", "process", "fds", "env", "cwd"];
    let signals = ["sh", "-c", "grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status"];
    let rlimit = |resource: u32, soft, hard| Tweak::Limit(resource, soft, hard);
    let mut cases = vec![];
    for (suffix, options) in [("", &[][..]), ("_pid", &["--unshare-pid"][..]), ("_all", &["--unshare-all", "--dev", "/dev"][..])]
    {
        let seen = |name: &str| {
            let case = Case::new(&format!("{name}{suffix}")).on_host().options(options);
            case.run(["{probe}", "--probe", "{namespaces}"]).run(all).status(0)
        };
        let shell = |name: &str| Case::new(&format!("{name}{suffix}")).on_host().options(options).run(signals).ok();
        cases.push(shell("signals_default"));
        cases.push(shell("pipe_ignored").tweak(Tweak::IgnoreSignal(libc::SIGPIPE)));
        cases.push(shell("child_ignored").tweak(Tweak::IgnoreSignal(libc::SIGCHLD)));
        cases.push(
            shell("signals_ignored").tweak(Tweak::IgnoreSignal(1)).tweak(Tweak::IgnoreSignal(15)).tweak(Tweak::IgnoreSignal(34)),
        );
        let blocked =
            [1, 2, 10, 13, 15, 17, 34, 64].into_iter().fold(shell("signals_blocked"), |c, s| c.tweak(Tweak::BlockSignal(s)));
        cases.push(blocked);
        for closed in [&[0][..], &[1], &[2], &[0, 2], &[0, 1, 2]] {
            // Rust's runtime would open them again, so this is no probe.
            let name = closed.iter().fold("closed".to_owned(), |name, fd| format!("{name}_{fd}"));
            let case = Case::new(&format!("{name}{suffix}")).on_host().options(["--bind", "{dir}", "{dir}"]).options(options);
            let case = closed.iter().fold(case, |case, fd| case.tweak(Tweak::Close(*fd)));
            let list = "for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$n ] && set -- $@ $n; done; echo $@ >{dir}/seen";
            cases.push(case.run(["sh", "-c", list]).status(0));
        }
        cases.push(seen("umask_private").tweak(Tweak::Umask(0o077)));
        cases.push(seen("umask_none").tweak(Tweak::Umask(0)));
        cases.push(seen("files_few").tweak(rlimit(libc::RLIMIT_NOFILE, 64, 4096)));
        cases.push(seen("files_same").tweak(rlimit(libc::RLIMIT_NOFILE, 200, 200)));
        cases.push(seen("limits").tweak(rlimit(libc::RLIMIT_STACK, 1 << 22, 1 << 23)).tweak(rlimit(
            libc::RLIMIT_FSIZE,
            1 << 20,
            1 << 21,
        )));
        cases.push(
            seen("fds_stay").fd(3, Fd::path("/dev/null")).fd(77, Fd::path("/etc")).fd(399, Fd::Capture).fd(5, Fd::o_path("/")),
        );
        cases.push(seen("many_fds").setup(|s| {
            for number in 3..=300 {
                s.pass(number, fs::File::open("/dev/null").map_err(|e| e.to_string())?);
            }
            Ok(())
        }));
        let nice =
            format!("exec nice -n 7 {{bwrap}} --ro-bind / / {} {{probe}} --probe {{namespaces}} process", options.join(" "));
        cases.push(Case::new(&format!("nice{suffix}")).script(&nice).status(0));
    }
    // Everything that options name is closed in COMMAND, and nothing of one's own is open.
    cases.push(
        Case::new("fds_of_options")
            .dir("d")
            .file("lock", "")
            .on_host()
            .options([
                "--tmpfs",
                "/mnt",
                "--file",
                "10",
                "/mnt/f",
                "--bind-data",
                "11",
                "/mnt/g",
                "--ro-bind-data",
                "12",
                "/mnt/h",
            ])
            .options([
                "--bind-fd",
                "13",
                "/srv",
                "--ro-bind-fd",
                "14",
                "/opt",
                "--seccomp",
                "15",
                "--block-fd",
                "16",
                "--args",
                "17",
            ])
            .options([
                "--info-fd",
                "18",
                "--json-status-fd",
                "19",
                "--sync-fd",
                "20",
                "--lock-file",
                "{dir}/lock",
                "--unshare-user",
            ])
            .fd(10, Fd::memfd("f"))
            .fd(11, Fd::memfd("g"))
            .fd(12, Fd::pipe("h"))
            .fd(13, Fd::o_path("{dir}/d"))
            .fd(14, Fd::path("{dir}/d"))
            .fd(15, Fd::memfd([6, 0, 0, 0, 0, 0, 0xff, 0x7f]))
            .fd(16, Fd::pipe("x"))
            .fd(17, Fd::args(&["--unshare-pid", "--die-with-parent"]))
            .fd(18, Fd::Capture)
            .fd(19, Fd::Capture)
            .fd(20, Fd::path("/dev/zero"))
            .fd(21, Fd::path("/dev/null"))
            .run(["{probe}", "--probe", "{namespaces}", "fds"])
            .ok()
            .claim(|o| {
                o.expect_text(
                    "stdout",
                    &o.stdout,
                    "[fds]\n0: read /dev/null\n1: write pipe:[N]\n2: write pipe:[N]\n21: read /dev/null\n",
                )
            }),
    );
    cases
}

/// What a process has open; nothing where that cannot be found out.
fn open_in(pid: u64) -> Vec<(i32, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let number = |e: &fs::DirEntry| e.file_name().to_string_lossy().parse::<i32>().unwrap_or(-1);
    entries.map(|e| (number(&e), fs::read_link(e.path()).unwrap_or_default().to_string_lossy().into_owned())).collect()
}

/// The monitor and the sandbox's first process keep nothing of the caller's but the standard streams, and of their own only what
/// has no path.
fn nothing_is_kept(live: &mut Live, spared: &[i32]) -> Result<()> {
    let child = live.wait_for_number(8, "child-pid")?;
    live.wait_for(1, "ready")?;
    let kept = |pid: u64| {
        let own = |target: &str| ["socket:", "anon_inode:", "pipe:"].iter().any(|kind| target.starts_with(kind));
        open_in(pid).into_iter().find(|(number, target)| *number > 2 && !own(target) && !spared.contains(number))
    };
    for pid in [u64::from(live.pid()?.unsigned_abs()), child] {
        // COMMAND may be faster than they are.
        let mut found = kept(pid);
        for _ in 0..100 {
            if found.is_none() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
            found = kept(pid);
        }
        if let Some((number, target)) = found {
            return Err(format!("fd {number} is open in {pid}: {target}"));
        }
    }
    live.close(9)
}

fn held() -> Vec<Case> {
    let mut cases = vec![];
    for (suffix, options) in [
        ("", &["--unshare-pid"][..]),
        ("_sync", &["--sync-fd", "20"]),
        ("_all", &["--unshare-all", "--die-with-parent"]),
        ("_without_close_range", &["--unshare-pid", "--forward-signals"]),
    ] {
        // COMMAND gets its input from a pipe, and has all the fds: what is looked at is the others.
        let case = Case::new(&format!("nothing_is_kept{suffix}")).dir("d").on_host().options(options);
        let case = case.options(["--tmpfs", "/mnt", "--file", "10", "/mnt/f", "--bind-fd", "13", "/srv", "--info-fd", "8"]);
        let case =
            case.options(["--json-status-fd", "7"]).fd(7, Fd::Capture).fd(8, Fd::Capture).fd(9, Fd::Held).fd(10, Fd::memfd("f"));
        let case = case.fd(13, Fd::o_path("{dir}/d")).fd(20, Fd::path("/dev/zero")).fd(21, Fd::path("/etc/passwd"));
        let mut case = case.run(["sh", "-c", "echo ready; read x <&9; :"]).ok();
        if suffix.contains("close_range") {
            case = case.ours_only().tweak(Tweak::Refuse(&["close_range"], libc::EPERM));
        }
        cases.push(case.during(|live| nothing_is_kept(live, &[20])));
    }
    // A pipe that is inherited ends when COMMAND closes it, whoever else is there.
    let case = Case::new("pipe_ends_with_command").on_host().options(["--unshare-pid"]).fd(7, Fd::Capture).fd(9, Fd::Held);
    cases.push(case.run(["sh", "-c", "exec 7>&-; read x <&9; :"]).ok().during(|live| {
        live.wait_for_end(7)?;
        live.close(9)
    }));
    cases
}

/// A lock is seen in /proc/locks, and gone at the end.
fn locks() -> Vec<Case> {
    let count = "count() { grep -c \"POSIX *ADVISORY *READ .*:$(stat -c %i $1) 0 EOF\" /proc/locks; }\n";
    let mut cases = vec![];
    for (suffix, options) in [("", ""), ("_pid", "--unshare-pid"), ("_user", "--unshare-user --dev /dev")] {
        let case = Case::new(&format!("locks{suffix}")).file("a", "").file("b", "").file("c", "");
        cases.push(
            case.script(&format!(
                "{count} mkfifo out go; {{bwrap}} --ro-bind / / {options} --lock-file {{dir}}/a --lock-file {{dir}}/b \
             sh -c 'echo ready; read x <{{dir}}/go' >out & monitor=$!; exec 3<out; read word <&3
             count a; count b; count c; echo >go; wait $monitor; cat <&3; count a; count b"
            ))
            .stdout("1\n1\n0\n0\n0\n"),
        );
    }
    // The reference has started COMMAND by then: whether it gets to say something is chance.
    let silent = |_: &str| String::new();
    let lock = |name: &str, path: &str| {
        Case::new(name).file("a", "").dir("d").on_host().options(["--lock-file", path]).run(["echo", "hi"])
    };
    cases.push(lock("lock_missing", "/nonexistent").blur(Field::Stdout, silent).status(1));
    cases.push(lock("lock_directory", "{dir}/d"));
    cases.push(lock("lock_device", "/dev/null").blur(Field::Stdout, silent));
    cases.push(lock("lock_unreadable", "/etc/shadow").blur(Field::Stdout, silent).user_only().status(1));
    cases.push(lock("lock_twice", "{dir}/a").options(["--lock-file", "{dir}/a"]));
    // Where nobody has the other end the reference waits for it for ever, beside COMMAND.
    let fifo = |name: &str, before: &str| {
        let run = "{bwrap} --ro-bind / / --unshare-pid --lock-file {dir}/fifo echo hi";
        Case::new(name).script(&format!("mkfifo fifo; {before} {run}; echo $?")).status(0).stdout("hi\n0\n")
    };
    cases.push(fifo("lock_fifo", "").ours_only());
    cases.push(fifo("lock_fifo_with_a_writer", "exec 3<>fifo;"));
    cases.push(
        Case::new("lock_as_first")
            .on_host()
            .options(["--unshare-pid", "--as-pid-1", "--lock-file", "/x"])
            .run(["true"])
            .status(1),
    );
    cases
}
