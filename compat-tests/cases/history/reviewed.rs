//! What reviews of our own code have found, so that it stays found.

use std::os::fd::OwnedFd;

use crate::cases::plain;
use crate::harness::{Case, Fd, Setup, filter};

/// A program of the caller's that refuses one call with EPERM.
fn refusing(call: &str) -> Fd {
    Fd::File(filter::refuse(&[call], libc::EPERM).map(|program| filter::bytes(&program)).unwrap_or_default())
}

/// A destination's directory is looked up once for several destinations in a row, and must not be the one that was covered.
fn covered_parents() -> Vec<Case> {
    let case = |name: &str, words: &[&str]| {
        let case = Case::new(name).dir("box/sub").symlink("..", "box/sub/up").options(["--bind", "{dir}/box", "/b"]);
        case.options(words).probe(&["tree:/b"]).claim(|o| {
            o.expect_tree("box/new", None)?;
            o.expect_tree("box/sub/new", None)
        })
    };
    vec![
        case("covered_by_a_dot", &["--tmpfs", "/b/.", "--dir", "/b/new"]),
        case("covered_by_dots", &["--tmpfs", "/b/sub/..", "--dir", "/b/sub/new"]),
        case("covered_by_a_way_up", &["--tmpfs", "/b/sub/up/sub", "--dir", "/b/sub/up/../b/new"]),
        case("covered_by_itself", &["--tmpfs", "/b/sub/up/sub/../../b", "--dir", "/b/sub/new"]),
    ]
}

/// Statuses that come from real-time signals, which some libraries do not know.
fn signals() -> Vec<Case> {
    let mut cases = vec![];
    for (name, options) in
        [("alone", &[][..]), ("with_pid_1", &["--unshare-pid"]), ("as_pid_1", &["--unshare-pid", "--as-pid-1"])]
    {
        let kill = ["sh", "-c", "sh -c 'kill -40 $$'; exit $?"];
        cases.push(Case::new(&format!("real_time_signal_inside_{name}")).on_host().options(options).run(kill).status(168));
    }
    let direct =
        |options: &[&str]| Case::new(&format!("real_time_signal{}", plain(&options.join("")))).on_host().options(options);
    cases.push(direct(&[]).run(["sh", "-c", "kill -40 $$"]).status(168));
    cases.push(direct(&["--unshare-pid"]).run(["sh", "-c", "kill -40 $$"]).status(168));
    let orphan = ["sh", "-c", "(sh -c 'kill -40 $$' &) ; sleep 0.2; exit 3"];
    cases.push(Case::new("real_time_signal_of_an_orphan").on_host().options(["--unshare-pid"]).run(orphan).status(3));
    cases
}

/// The last steps have to get by with what the caller's own filter leaves to COMMAND.
fn strict_filters() -> Vec<Case> {
    let mut cases = vec![];
    for call in ["sendto", "sendmsg", "prctl", "close_range"] {
        for (name, options) in [("", &[][..]), ("_pid", &["--unshare-pid", "--proc", "/proc"])] {
            let case = Case::new(&format!("filter_without_{call}{name}")).on_host().options(options);
            let case = case.options(["--seccomp", "7", "--json-status-fd", "8"]).fd(7, refusing(call)).fd(8, Fd::Capture);
            cases.push(case.run(["sh", "-c", "exit 5"]).status(5).claim(|o| {
                if o.fd(8).ends_with("{ \"exit-code\": 5 }\n") { Ok(()) } else { Err(format!("no exit code in {:?}", o.fd(8))) }
            }));
        }
    }
    cases
}

/// Root with every capability in its own user namespace may take mounts away, and must find nothing below.
fn uncovered_roots() -> Vec<Case> {
    let all = ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL"];
    let look = "umount -l / 2>&-; nsenter --mount=/proc/self/ns/mnt sh -c 'ls / 2>&1; echo looked'";
    let case = |name: &str, words: &[&str]| {
        let case = Case::new(name).dir("secret/deep").options(all).options(words).run(["sh", "-c", look]).stdin("");
        case.claim(|o| if o.stdout.contains("deep") { Err("what was covered is there".to_owned()) } else { Ok(()) })
    };
    let host = ["--ro-bind", "/", "/", "--proc", "/proc"];
    vec![
        case("uncovered_root", &host),
        case("uncovered_first_root", &[&["--ro-bind", "{dir}/secret", "/"][..], &host].concat()),
        case("uncovered_empty_root", &[&["--dir", "/deep"][..], &host].concat()),
    ]
}

/// The monitor is outside, and COMMAND may see it, but not through it.
fn monitors() -> Vec<Case> {
    // The reference's lets itself be looked through.
    let case = Case::new("monitor_in_a_joined_namespace").ours_only().setup(|s| {
        let n = s.namespaces(libc::CLONE_NEWUSER, &format!("{0} {0} 1", s.uid), &format!("{0} {0} 1", s.gid))?;
        s.pass(5, n.open("user")?);
        s.hold(n);
        Ok(())
    });
    vec![case.on_host().options(["--userns", "5"]).run(["sh", "-c", "ls /proc/$PPID/root/ 2>&- || echo no"]).ok().stdout("no\n")]
}

/// One fd may serve several options.
fn shared_fds() -> Vec<Case> {
    let case = |name: &str, words: &[&str]| Case::new(name).on_host().options(words).run(["true"]).ok();
    vec![
        case("sync_fd_twice", &["--sync-fd", "7", "--sync-fd", "7"]).fd(7, Fd::memfd("")),
        case("block_and_info", &["--info-fd", "7", "--block-fd", "7"]).fd(7, Fd::memfd("")),
        Case::new("block_and_sync_as_pid_1")
            .on_host()
            .options(["--proc", "/proc", "--unshare-pid", "--as-pid-1", "--block-fd", "7", "--sync-fd", "7"])
            .fd(7, Fd::memfd("x"))
            .run(["ls", "/proc/self/fd"])
            .ours_only()
            .stdout("0\n1\n2\n3\n7\n"),
        case("block_and_sync", &["--unshare-pid", "--block-fd", "7", "--seccomp", "8", "--sync-fd", "7"])
            .fd(7, Fd::memfd("x"))
            .fd(8, refusing("reboot")),
    ]
}

/// What was planted where something is to be written or taken.
fn planted() -> Vec<Case> {
    let fifo = |s: &mut Setup| nix::unistd::mkfifo(&s.path("box/f"), nix::sys::stat::Mode::S_IRWXU).map_err(|e| e.to_string());
    let removed = |s: &mut Setup| {
        let open = std::fs::File::open(s.path("gone")).map_err(|e| e.to_string())?;
        std::fs::rename(s.path("gone"), s.path("gone (deleted)")).map_err(|e| e.to_string())?;
        std::fs::create_dir(s.path("gone")).map_err(|e| e.to_string())?;
        s.pass(5, OwnedFd::from(open));
        Ok(())
    };
    vec![
        // The reference waits for a reader.
        Case::new("file_on_a_fifo")
            .ours_only()
            .dir("box")
            .setup(fifo)
            .fd(7, Fd::memfd("secret"))
            .options(["--bind", "{dir}/box", "/b", "--file", "7", "/b/f"])
            .run(["true"])
            .fails("bwrap: Can't create file /b/f: No such device or address"),
        Case::new("renamed_directory_by_its_fd")
            .dir("gone")
            .setup(removed)
            .options(["--bind", "/proc/self/fd/5", "/b"])
            .probe(&["list:/b"]),
    ]
}

/// The host mounts on its own `/` and takes it away again, all the time, and all of that arrives in the sandbox being set up. The old
/// root must never stay; an error is fine. The numbers are those of mount(2) and umount2(2).
fn racing_hosts() -> Vec<Case> {
    let (mount, umount) = (libc::SYS_mount, libc::SYS_umount2);
    let racer = format!(
        "my ($name, $root, $kind) = ('racer', '/', 'tmpfs'); \
         for (1 .. 20000) {{ syscall({mount}, $name, $root, $kind, 0, 0); syscall({umount}, $root, 2) }}"
    );
    let host = "mount --make-rshared /
        top=$(while read -r a b dev root point rest; do [ \"$point\" = / ] && echo \"$dev $root\"; done < /proc/self/mountinfo | head -n 1)
        perl race.pl &
        while kill -0 $! 2>&-; do $1 --ro-bind / / grep -c \" $top / \" /proc/self/mountinfo 2>&-; done | sort -u";
    let script = "unshare --mount --propagation private sh host.sh {bwrap}";
    let case = Case::new("host_mounts_on_its_root").root_only().ours_only().tools(&["perl"]);
    vec![
        case.setup(move |s| s.file("race.pl", &racer))
            .file("host.sh", host)
            .script(script)
            .claim(|o| if o.stdout == "1\n" { Ok(()) } else { Err(format!("roots seen: {:?}", o.stdout)) }),
    ]
}

/// A failed process inside says so, however fast the monitor hears of it.
fn failed_joins() -> Vec<Case> {
    let joins = "for i in 1 2 3 4 5 6 7 8 9 10; do {bwrap} --pidns 0 true < /dev/null 2>&1 | grep -c 'Setting pidns'; done";
    vec![Case::new("failed_pidns_is_always_told").script(joins).stdout(&"1\n".repeat(10)).claim(|_| Ok(()))]
}

pub(crate) fn cases() -> Vec<Case> {
    [
        covered_parents(),
        signals(),
        strict_filters(),
        uncovered_roots(),
        monitors(),
        shared_fds(),
        planted(),
        racing_hosts(),
        failed_joins(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
