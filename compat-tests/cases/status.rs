//! What is told outside: the exit status, the JSON documents, the fds that are waited on; and the filters of `--seccomp`.

use crate::harness::{Case, Fd, Field, Live, Outcome, Result, Tweak, filter};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = exits();
    cases.extend(documents());
    cases.extend(gates());
    cases.extend(filters());
    cases.extend(last_lines());
    cases.extend(other_processes());
    cases
}

/// The arrangements of processes that there are.
const ARRANGEMENTS: [(&str, &[&str]); 8] = [
    ("alone", &[]),
    ("pid", &["--unshare-pid"]),
    ("first", &["--unshare-pid", "--as-pid-1"]),
    ("sync", &["--sync-fd", "7"]),
    ("sync_pid", &["--unshare-pid", "--sync-fd", "7"]),
    ("sync_first", &["--unshare-pid", "--as-pid-1", "--sync-fd", "7"]),
    ("lock", &["--lock-file", "{dir}/lock"]),
    ("all", &["--unshare-all", "--lock-file", "{dir}/lock", "--sync-fd", "7", "--die-with-parent", "--new-session"]),
];

fn arranged(name: &str, options: &[&str]) -> Case {
    Case::new(name).file("lock", "").on_host().options(options).fd(7, Fd::path("/dev/null"))
}

fn exits() -> Vec<Case> {
    let mut cases = vec![];
    for (suffix, options) in ARRANGEMENTS {
        let named = |name: &str| {
            let case = arranged(&format!("{name}_{suffix}"), options).fd(8, Fd::Capture);
            case.options(["--json-status-fd", "8"])
        };
        cases.push(named("exit_0").run(["true"]).ok());
        cases.push(named("exit_7").run(["sh", "-c", "exit 7"]).status(7).stderr(""));
        cases.push(named("exit_255").run(["sh", "-c", "exit 255"]).status(255).stderr(""));
        cases.push(named("exit_missing").run(["/nonexistent"]).fails("bwrap: execvp /nonexistent: No such file or directory"));
        cases.push(named("exit_not_executable").run(["/etc/passwd"]).status(1));
        cases.push(named("exit_directory").run(["/etc"]).status(1));
        // The first process of a pid namespace is spared its own signals.
        if options.iter().all(|word| *word != "--as-pid-1") {
            cases.push(named("exit_killed").run(["sh", "-c", "kill -9 $$"]).status(137).stderr(""));
            cases.push(named("exit_ended").run(["sh", "-c", "kill -15 $$"]).status(143).stderr(""));
        } else {
            cases.push(named("exit_spared").run(["sh", "-c", "kill -9 $$; exit 5"]).status(5).stderr(""));
        }
    }
    cases
}

fn documents() -> Vec<Case> {
    let mut cases = vec![];
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("plain", &[], &["mnt"]),
        ("user", &["--unshare-user"], &["mnt"]),
        ("pid", &["--unshare-pid"], &["mnt", "pid"]),
        ("pid_first", &["--unshare-pid", "--as-pid-1"], &["mnt", "pid"]),
        ("net", &["--unshare-net"], &["mnt", "net"]),
        ("ipc_uts", &["--unshare-uts", "--unshare-ipc"], &["ipc", "mnt", "uts"]),
        ("cgroup", &["--unshare-cgroup"], &["cgroup", "mnt"]),
        ("cgroup_try", &["--unshare-cgroup-try"], &["cgroup", "mnt"]),
        ("all", &["--unshare-all"], &["cgroup", "ipc", "mnt", "net", "pid", "uts"]),
        ("all_but_net", &["--unshare-all", "--share-net"], &["cgroup", "ipc", "mnt", "pid", "uts"]),
    ];
    for (name, options, namespaces) in rows {
        let members = namespaces.iter().map(|n| format!("\"{n}-namespace\": N")).collect::<Vec<_>>();
        let info = format!("{{\n    \"child-pid\": N,\n    {}\n}}\n", members.join(",\n    "));
        let line = format!("{{ \"child-pid\": N, {} }}\n", members.join(", "));
        let both = Case::new(&format!("documents_{name}")).on_host().options(*options);
        let both = both.options(["--info-fd", "8", "--json-status-fd", "9"]).fd(8, Fd::Capture).fd(9, Fd::Capture);
        let both = both.run(["sh", "-c", "exit 3"]).status(3).stdout("").stderr("");
        cases.push(both.wrote(8, &info).wrote(9, &format!("{line}{{ \"exit-code\": 3 }}\n")));
    }
    let status = |name: &str| Case::new(name).on_host().options(["--json-status-fd", "8"]).fd(8, Fd::Capture);
    let info = |name: &str| Case::new(name).on_host().options(["--info-fd", "8"]).fd(8, Fd::Capture);
    cases.push(info("info_ends_at_once").options(["--block-fd", "9"]).fd(9, Fd::Held).run(["true"]).ok().during(|live| {
        live.wait_for_end(8)?;
        live.close(9)
    }));
    cases.push(status("status_stays_open").options(["--block-fd", "9"]).fd(9, Fd::Held).run(["true"]).ok().during(|live| {
        live.wait_for_number(8, "mnt-namespace")?;
        if live.text(8).contains("exit-code") {
            return Err("told too soon".into());
        }
        live.close(9)
    }));
    // The documents name the process and the namespaces truly.
    cases.push(
        info("info_is_true")
            .options(["--unshare-pid", "--unshare-net", "--block-fd", "9"])
            .fd(9, Fd::Held)
            .run(["true"])
            .ok()
            .during(|live| {
                let pid = live.wait_for_number(8, "child-pid")?;
                for name in ["mnt", "pid", "net"] {
                    let told = live.wait_for_number(8, &format!("{name}-namespace"))?;
                    let link = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).map_err(|e| e.to_string())?;
                    if link.as_os_str() != format!("{name}:[{told}]").as_str() {
                        return Err(format!("{name}: {told} was told, but it is {}", link.display()));
                    }
                }
                live.close(9)
            }),
    );
    let none = |o: &Outcome| o.expect(!o.fd(8).contains("exit-code"), "an exit code of what was not executed");
    cases.push(status("status_of_failed_mount").options(["--bind", "/nonexistent", "/x"]).run(["true"]).status(1).claim(none));
    cases.push(status("status_of_failed_chdir").options(["--chdir", "/nonexistent"]).run(["true"]).status(1).claim(none));
    cases.push(status("status_of_nothing").options(["--nonsense"]).run(["true"]).status(1).wrote(8, ""));
    cases.push(info("info_of_failed_mount").options(["--bind", "/nonexistent", "/x"]).run(["true"]).status(1));
    let broken = |name: &str, option: &str, fd| Case::new(name).on_host().options([option, "8"]).fd(8, fd).run(["echo", "hi"]);
    for option in ["--info-fd", "--json-status-fd"] {
        let name = option.trim_start_matches('-').replace('-', "_");
        cases.push(broken(&format!("{name}_of_full_device"), option, Fd::Path("/dev/full".into(), nix::fcntl::OFlag::O_WRONLY)));
        cases.push(broken(&format!("{name}_without_reader"), option, Fd::Broken));
        cases.push(broken(&format!("{name}_read_only"), option, Fd::path("/dev/null")));
        cases.push(Case::new(&format!("{name}_closed")).on_host().options([option, "8"]).run(["echo", "hi"]));
        cases.push(Case::new(&format!("{name}_is_stdout")).on_host().options([option, "1"]).run(["sh", "-c", "echo hi"]));
        cases.push(Case::new(&format!("{name}_is_stderr")).on_host().options([option, "2"]).run(["sh", "-c", "echo hi >&2"]));
    }
    cases.push(
        Case::new("both_are_one").on_host().options(["--info-fd", "8", "--json-status-fd", "8"]).fd(8, Fd::Capture).run(["true"]),
    );
    cases
}

/// `--block-fd`, `--sync-fd`.
fn gates() -> Vec<Case> {
    let blocked = |name: &str, end: fn(&mut Live) -> Result<()>| {
        let case = Case::new(name).dir("made").on_host().options(["--bind", "{dir}/made", "/mnt", "--dir", "/mnt/in"]);
        let case = case.options(["--block-fd", "9", "--info-fd", "8"]).fd(8, Fd::Capture).fd(9, Fd::Held);
        case.run(["echo", "hi"]).ok().stdout("hi\n").during(move |live| {
            live.wait_for_end(8)?;
            std::thread::sleep(std::time::Duration::from_millis(100));
            if !live.text(1).is_empty() {
                return Err("too soon".into());
            }
            end(live)
        })
    };
    let mut cases = vec![
        blocked("block_byte", |live| {
            live.write(9, b"x");
            Ok(())
        }),
        blocked("block_bytes", |live| {
            live.write(9, b"several");
            Ok(())
        }),
        blocked("block_end", |live| live.close(9)),
        Case::new("block_closed").on_host().options(["--block-fd", "9"]).run(["echo", "hi"]),
        Case::new("block_write_only").on_host().options(["--block-fd", "9"]).fd(9, Fd::Broken).run(["echo", "hi"]),
        Case::new("sync_closed").on_host().options(["--sync-fd", "9"]).run(["echo", "hi"]),
    ];
    for (suffix, options) in ARRANGEMENTS {
        // Whether COMMAND has what it is not to have.
        let views = ["{probe}", "--probe", "{namespaces}", "fds", "process"];
        let case = arranged(&format!("sync_in_{suffix}"), options).options(["--sync-fd", "9", "--sync-fd", "6"]);
        cases.push(case.fd(9, Fd::Capture).fd(6, Fd::path("/dev/zero")).run(views).ok());
        // It is held until the last process is gone: the shell leaves one that outlives it.
        let case = arranged(&format!("sync_held_{suffix}"), options).options(["--sync-fd", "9", "--block-fd", "8"]);
        let case = case.fd(9, Fd::Capture).fd(8, Fd::Held).run(["true"]).ok().during(|live| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            live.close(8)?;
            live.wait_for_end(9).map(drop)
        });
        cases.push(case);
    }
    cases
}

/// A program that answers an errno to unshare(2) as an option's fd.
fn refusing(errno: i32) -> Fd {
    Fd::memfd(filter::refuse(&["unshare"], errno).map_or_else(|_| vec![1], |program| filter::bytes(&program)))
}

/// One instruction: `return ALLOW`.
const ALLOW: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];

/// Nobody reads the last line of `--json-status-fd`, or it cannot be written: COMMAND's status is what it was, and what lives on lives on.
fn last_lines() -> Vec<Case> {
    let gone = "mkfifo go end lines out; {bwrap} --dev-bind / / OPTIONS --json-status-fd 8 \
                    sh -c '(read x <end; echo lives on) & read x <go; exit 5' \
                    >out 8>lines & monitor=$!
                exec 5<out; exec 4<lines; read line <&4; exec 4<&-; echo >go; wait $monitor; echo $?; echo >end; cat <&5";
    let mut cases = vec![];
    for (suffix, options) in [("alone", ""), ("pid", "--unshare-pid"), ("forwarding", "--forward-signals --unshare-pid")] {
        let script = gone.replace("OPTIONS", options);
        for (reason, before) in [("", ""), ("_ignored", "trap '' PIPE\n")] {
            // The reference is ended by the signal, or says that its status is its own.
            let case = Case::new(&format!("last_line_unread{reason}_{suffix}")).ours_only().script(&format!("{before}{script}"));
            cases.push(case.stdout("5\nlives on\n").stderr("bwrap: Write to info_fd: Broken pipe\n"));
        }
    }
    // The first line fits and the second does not.
    let full = Case::new("last_line_too_large").ours_only().on_host().options(["--json-status-fd", "8"]).fd(8, Fd::File(vec![]));
    let full = full.tweak(Tweak::Limit(libc::RLIMIT_FSIZE, 64, 64)).run(["sh", "-c", "exit 5"]);
    cases.push(full.status(5).stderr("bwrap: Write to info_fd: File too large\n"));
    cases
}

/// Processes that are not the sandbox's: children of whoever has executed bwrap, and those that have its number in another pid namespace,
/// whose /proc is the one at hand.
fn other_processes() -> Vec<Case> {
    let zombie = "exec perl -e 'my $child = fork // die; exit 77 unless $child; my $stat = \"\";
                      until ($stat =~ /\\) Z/) { open my $f, \"<\", \"/proc/$child/stat\"; $stat = <$f>; } exec @ARGV' \
                  {bwrap} --unshare-user --pidns 9 --ro-bind / / true";
    let fails = Case::new("status_of_a_callers_child").ours_only().fd(9, Fd::path("/proc/self/ns/pid"));
    let mut cases = vec![fails.script(zombie).status(1)];
    let around = "mkdir p; unshare OPTIONS --pid --fork sh -c '
            {bwrap} --ro-bind / / --info-fd 8 --unshare-user BWRAP readlink /proc/self/ns/mnt 8>info'
        sed -n 's/.*mnt-namespace\": \\([0-9]*\\).*/mnt:[\\1]/p' info";
    let same = |o: &Outcome| {
        let lines = o.stdout.lines().collect::<Vec<_>>();
        o.expect(matches!(lines[..], [a, b] if a == b), "another process's namespace is told of")
    };
    for (suffix, options) in [("", ""), ("_pid", "--unshare-pid --as-pid-1"), ("_lock", "--lock-file /etc/passwd")] {
        let script = around.replace("BWRAP", options);
        let case =
            |name: &str, own: &str| Case::new(&format!("{name}{suffix}")).ours_only().script(&script.replace("OPTIONS", own));
        cases.push(case("proc_of_the_pid_namespace_around", "").root_only().status(0).claim(same));
        let users = case("proc_of_the_pid_namespace_around_user", "--user --map-root-user").user_only();
        cases.push(users.status(0).claim(same));
        // Where pidfd_open is refused too, nothing tells who is who.
        let refused = case("proc_of_another_pid_namespace_refused", "").root_only();
        let refused = refused.tweak(Tweak::Refuse(&["pidfd_open"], libc::ENOSYS)).stdout("");
        cases.push(refused.stderr("bwrap: /proc is of another pid namespace and does not show the sandbox\n"));
    }
    let maps = "exec unshare --pid --fork {bwrap} --ro-bind / / --unshare-user --uid-map 5 100000 3 --gid-map 7 200000 3 id -u";
    cases.push(Case::new("maps_in_a_pid_namespace").root_only().ours_only().script(maps).ok().stdout("5\n"));
    // A /proc that does not show this process at all.
    let below = "exec unshare --mount sh -c '
        unshare --pid --fork --kill-child sh -c \"mount -t proc proc /proc && echo up && exec sleep 60\" >up & below=$!
        until grep -q up up; do :; done
        {bwrap} --ro-bind / / --info-fd 8 true 8>info; echo $?; kill $below'";
    let below = Case::new("proc_of_a_pid_namespace_below").root_only().ours_only().file("up", "").script(below);
    cases.push(below.stdout("1\n").stderr("bwrap: /proc is of another pid namespace and does not show the sandbox\n"));
    cases
}

fn filters() -> Vec<Case> {
    let unshare = ["sh", "-c", "unshare -U true; echo $?"];
    // PID 1 installs the filters while COMMAND starts already: look until it has as many.
    let look = "filters() { grep Seccomp_filters $1; }; n=0
        until [ \"$(filters /proc/1/status)\" = \"$(filters /proc/self/status)\" ] || [ $n = 50 ]; do n=$((n+1)); sleep 0.1; done
        grep -E '^(Seccomp|NoNew)' /proc/1/status /proc/self/status";
    let first = ["sh", "-c", look];
    let denied = |o: &Outcome| o.expect(o.stderr.contains("Numerical argument out of domain"), "not filtered");
    let with = |name: &str| Case::new(name).on_host().options(["--seccomp", "7"]);
    let mut cases = vec![
        with("seccomp").fd(7, refusing(libc::EDOM)).run(unshare).claim(denied),
        with("seccomp_pid").options(["--unshare-pid", "--proc", "/proc"]).fd(7, refusing(libc::EDOM)).run(first).ok(),
        with("seccomp_as_first").options(["--unshare-pid", "--as-pid-1"]).fd(7, refusing(libc::EDOM)).run(unshare).claim(denied),
        with("seccomp_from_pipe").fd(7, Fd::pipe(ALLOW)).run(["echo", "hi"]).ok(),
        with("seccomp_from_file").fd(7, Fd::File(ALLOW.to_vec())).run(["echo", "hi"]).ok(),
        with("seccomp_closed").run(["echo", "hi"]).status(1).stdout(""),
        with("seccomp_empty").fd(7, Fd::memfd("")).run(["echo", "hi"]).status(1).stdout(""),
        with("seccomp_odd").fd(7, Fd::memfd("1234567")).run(["true"]).fails("bwrap: Invalid seccomp data, must be multiple of 8"),
        with("seccomp_nonsense").fd(7, Fd::memfd([255; 16])).run(["echo", "hi"]).status(1).stdout(""),
        // Both processes complain, at the same time.
        with("seccomp_nonsense_pid")
            .options(["--unshare-pid"])
            .fd(7, Fd::memfd([255; 16]))
            .run(["echo", "hi"])
            .status(1)
            .claim(|o| o.expect(o.stderr.contains("reported EINVAL"), "another reason"))
            .blur(Field::Stderr, |_| String::new()),
        with("seccomp_longest").fd(7, Fd::memfd(ALLOW.repeat(4096))).run(["echo", "hi"]).ok(),
        with("seccomp_too_long").fd(7, Fd::memfd(ALLOW.repeat(4097))).run(["echo", "hi"]).status(1).stdout(""),
        with("seccomp_wraps").fd(7, Fd::memfd(ALLOW.repeat(65537))).run(["echo", "hi"]),
        with("seccomp_directory").fd(7, Fd::path("/")).run(["echo", "hi"]).status(1).stdout(""),
        with("seccomp_twice")
            .options(["--seccomp", "8"])
            .fd(7, refusing(1))
            .fd(8, refusing(libc::EDOM))
            .run(unshare)
            .claim(denied),
        with("seccomp_and_add").options(["--add-seccomp-fd", "8"]).fd(7, refusing(1)).fd(8, refusing(1)).run(["true"]).status(1),
        with("seccomp_after_add").fd(7, refusing(1)).run(["true"]),
        with("seccomp_after_block").options(["--block-fd", "9"]).fd(9, Fd::Held).fd(7, Fd::memfd("1")).run(["true"]).status(1),
        with("seccomp_fds").fd(7, Fd::memfd(ALLOW)).run(["{probe}", "--probe", "{namespaces}", "fds", "security"]).ok(),
    ];
    let add = |name: &str, fds: &[&str]| {
        let words = fds.iter().flat_map(|fd| ["--add-seccomp-fd", *fd]).collect::<Vec<_>>();
        Case::new(name).on_host().options(words).fd(7, refusing(libc::EDOM)).fd(8, refusing(libc::EXDEV)).fd(9, Fd::memfd(ALLOW))
    };
    cases.push(add("add_seccomp", &["7"]).run(unshare).claim(denied));
    cases.push(add("add_seccomp_order", &["8", "7"]).run(unshare).claim(denied));
    cases.push(add("add_seccomp_other_order", &["7", "8"]).run(unshare));
    cases.push(add("add_seccomp_three", &["9", "8", "7"]).run(["{probe}", "--probe", "{namespaces}", "fds", "security"]).ok());
    cases.push(add("add_seccomp_pid", &["9", "9"]).options(["--unshare-pid"]).run(first));
    cases.push(add("add_seccomp_first", &["9", "7"]).options(["--unshare-pid", "--proc", "/proc"]).run(first).ok());
    cases.push(add("add_seccomp_closed", &["6"]).run(["true"]).status(1));
    cases.push(add("add_seccomp_empty", &["6"]).fd(6, Fd::memfd("")).run(["true"]));
    cases.push(add("add_seccomp_odd", &["6"]).fd(6, Fd::memfd("123")).run(["true"]).status(1));
    cases.push(add("add_seccomp_nonsense", &["6"]).fd(6, Fd::memfd([255; 16])).run(["true"]).status(1));
    cases.push(add("add_seccomp_too_long", &["6"]).fd(6, Fd::memfd(ALLOW.repeat(4097))).run(["true"]).status(1));
    cases
}
