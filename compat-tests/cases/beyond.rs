//! The options that the reference does not have: resource limits, what Landlock keeps inside, and `--dry-run`.

use super::escapes::process::abstract_socket;
use super::fails;
use crate::harness::{Case, Fd, Outcome, Result, Tweak};
use crate::sys;

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = limits();
    cases.extend(wrong_words());
    cases.extend(signals());
    cases.extend(sockets());
    cases.extend(ports());
    cases.extend(old_kernels());
    cases.extend(dry_runs());
    cases.into_iter().map(Case::ours_only).collect()
}

/// A sandbox with the probe in it.
fn boxed(name: &str) -> Case {
    Case::new(name).on_host().options([
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--ro-bind",
        "{probe}",
        "/tmp/probe",
    ])
}

/// The same with these views as its command.
fn viewed(name: &str, options: &[&str], views: &[&str]) -> Case {
    boxed(name).options(options).run([&["/tmp/probe", "--probe", "x"], views].concat()).ok()
}

fn limits() -> Vec<Case> {
    // Names in any case; values that an ordinary user has room for.
    let rows = [
        ("AS", "1099511627776:2199023255552", "as: 1099511627776 2199023255552"),
        ("Core", "0", "core: 0 0"),
        ("cpu", "1000:2000", "cpu: 1000 2000"),
        ("data", "1099511627776", "data: 1099511627776 1099511627776"),
        ("fsize", "1000000:2000000", "fsize: 1000000 2000000"),
        ("locks", "5:6", "locks: 5 6"),
        ("memlock", "4096:8192", "memlock: 4096 8192"),
        ("msgqueue", "1000:2000", "msgqueue: 1000 2000"),
        ("nice", "0", "nice: 0 0"),
        ("nofile", "64:100", "nofile: 64 100"),
        ("nproc", "300:350", "nproc: 300 350"),
        ("rss", "1000:unlimited", "rss: 1000 unlimited"),
        ("rtprio", "0", "rtprio: 0 0"),
        ("rttime", "1000000:unlimited", "rttime: 1000000 unlimited"),
        ("sigpending", "100:200", "sigpending: 100 200"),
        ("stack", "8388608:16777216", "stack: 8388608 16777216"),
    ];
    let all: Vec<&str> = rows.iter().flat_map(|(name, value, _)| ["--rlimit", name, value]).collect();
    let set = move |o: &Outcome| rows.iter().try_for_each(|(_, _, line)| o.expect_line(line));
    let beyond = "bwrap: Can't raise the hard limit nofile to 129: it is 128, and raising it takes CAP_SYS_RESOURCE in the initial user \
                  namespace";
    let nofile = |soft, hard| Tweak::Limit(libc::RLIMIT_NOFILE, soft, hard);
    vec![
        viewed("rlimit_every_one", &all, &["limits"]).claim(set),
        viewed("rlimit_all_namespaces", &[&["--unshare-all"], &all[..]].concat(), &["limits"]).claim(set),
        viewed("rlimit_last_one_counts", &["--rlimit", "nofile", "90:100", "--rlimit", "nofile", "80"], &["limits"])
            .claim(|o| o.expect_line("nofile: 80 80")),
        // The first one could not be set, and alone it would leave no way to the second.
        viewed("rlimit_last_one_counts_alone", &["--rlimit", "nofile", "90", "--rlimit", "nofile", "80:100"], &["limits"])
            .user_only()
            .claim(|o| o.expect_line("nofile: 80 100")),
        viewed("rlimit_first_one_is_impossible", &["--rlimit", "nofile", "129", "--rlimit", "NoFile", "100"], &["limits"])
            .user_only()
            .tweak(nofile(64, 128))
            .claim(|o| o.expect_line("nofile: 100 100")),
        boxed("rlimit_last_one_is_shown")
            .options(["--dry-run", "--rlimit", "nofile", "1", "--rlimit", "cpu", "5:6", "--rlimit", "nofile", "2:3"])
            .run(["true"])
            .ok()
            .claim(|o| {
                o.expect(o.stdout.contains("limits       cpu 5:6\n               nofile 2:3\n"), "not the last one alone")
            }),
        // COMMAND's limit is no limit of the set-up, which has more files open than that.
        boxed("rlimit_for_command_only")
            .options(["--unshare-pid", "--rlimit", "nofile", "8"])
            .run(["sh", "-c", "ulimit -n"])
            .ok()
            .stdout("8\n"),
        boxed("rlimit_raised_to_the_hard_one")
            .tweak(nofile(64, 128))
            .options(["--rlimit", "nofile", "128"])
            .run(["sh", "-c", "ulimit -n"])
            .ok()
            .stdout("128\n"),
        boxed("rlimit_raised_beyond")
            .user_only()
            .tweak(nofile(64, 128))
            .options(["--rlimit", "nofile", "129"])
            .run(["echo", "hi"])
            .fails(beyond),
        // Root of another user namespace is no better off.
        boxed("rlimit_raised_beyond_by_root")
            .root_only()
            .tweak(nofile(64, 128))
            .options(["--unshare-user", "--rlimit", "nofile", "129"])
            .run(["echo", "hi"])
            .fails(beyond),
        boxed("rlimit_is_in_force")
            .options(["--rlimit", "fsize", "0"])
            .run(["sh", "-c", "trap '' XFSZ; echo x > /tmp/x || echo refused"])
            .status(0)
            .claim(|o| o.expect_line("refused")),
    ]
}

fn wrong_words() -> Vec<Case> {
    let form = "bwrap: --rlimit takes SOFT or SOFT:HARD, each a number or unlimited, not";
    vec![
        fails("rlimit_alone", &["--rlimit", "cpu"], "bwrap: --rlimit takes two arguments"),
        fails("rlimit_unknown", &["--rlimit", "RLIMIT_CPU", "1"], "bwrap: unknown limit: RLIMIT_CPU"),
        fails("rlimit_no_number", &["--rlimit", "cpu", "1h"], &format!("{form} 1h")),
        fails("rlimit_three", &["--rlimit", "cpu", "1:2:3"], &format!("{form} 1:2:3")),
        fails(
            "rlimit_upside_down",
            &["--rlimit", "cpu", "2:1"],
            "bwrap: --rlimit takes a soft limit no higher than the hard one, not 2:1",
        ),
        fails("tcp_connect_alone", &["--tcp-connect"], "bwrap: --tcp-connect takes an argument"),
        fails("tcp_connect_too_large", &["--tcp-connect", "65536"], "bwrap: Invalid port: 65536"),
        fails("tcp_bind_name", &["--tcp-bind", "http"], "bwrap: Invalid port: http"),
    ]
}

/// Whether the kernel has what the options need.
pub(super) fn has_scopes() -> Result<()> {
    has_abi(6)
}

/// The same for ports.
pub(super) fn has_ports() -> Result<()> {
    has_abi(4)
}

/// Whether the kernel's Landlock is so new.
pub(super) fn has_abi(wanted: i64) -> Result<()> {
    if sys::has_landlock(wanted) { Ok(()) } else { Err(format!("the kernel's Landlock has no ABI {wanted}")) }
}

/// The opposite: a kernel that is too old.
fn lacks_scopes() -> Result<()> {
    if has_abi(6).is_ok() { Err("the kernel has it".to_owned()) } else { Ok(()) }
}

/// The monitor outside stands for every process outside: the pid namespace is shared.
fn signals() -> Vec<Case> {
    let to_parent = |name: &str, options: &[&str], outcome: &'static str| {
        viewed(name, options, &["escape:process:parent"])
            .needs(has_scopes)
            .claim(move |o| ["signal", "signal by pidfd"].iter().try_for_each(|way| o.expect_line(&format!("{way}: {outcome}"))))
    };
    let own = "sleep 1000 & kill $! && wait $!; echo $?";
    vec![
        to_parent("signals_leave", &[], "through"),
        to_parent("scope_signals", &["--scope-signals"], "held"),
        to_parent("scope_signals_of_root", &["--scope-signals", "--unshare-user", "--uid", "0", "--cap-add", "ALL"], "held"),
        boxed("scope_signals_inside")
            .needs(has_scopes)
            .options(["--unshare-pid", "--scope-signals"])
            .run(["sh", "-c", own])
            .status(0)
            .stdout("143\n"),
        boxed("scope_signals_from_outside")
            .needs(has_scopes)
            .options(["--unshare-pid", "--scope-signals", "--die-with-parent"])
            .run(["sh", "-c", "kill -9 $$"])
            .status(137),
    ]
}

fn sockets() -> Vec<Case> {
    let case = |name: &str, options: &[&str], line: &'static str| {
        let case = viewed(name, options, &["escape:socket:{socket}"]).needs(has_scopes).setup(abstract_socket);
        case.claim(move |o| o.expect_line(line))
    };
    vec![
        case("abstract_sockets_are_shared", &[], "abstract socket: through"),
        case("scope_abstract_unix", &["--scope-abstract-unix"], "abstract socket: held"),
        case("scope_signals_leaves_sockets", &["--scope-signals"], "abstract socket: through"),
    ]
}

fn ports() -> Vec<Case> {
    // A network of its own, so that nobody else uses these ports. Nobody listens there either: what is allowed is refused by TCP.
    let case = |name: &str, options: &[&str], lines: &'static [&'static str]| {
        let case = viewed(name, &[&["--unshare-net"], options].concat(), &["tcp:4711", "tcp:4712"]).needs(has_ports);
        case.claim(move |o| {
            let found = o.stdout.lines().filter(|line| line.starts_with("tcp ")).collect::<Vec<_>>();
            o.expect(found == lines, &format!("expected {lines:?}"))
        })
    };
    vec![
        case(
            "tcp",
            &[],
            &[
                "tcp 4711 connect: refused refused",
                "tcp 4711 bind: ok ok",
                "tcp 4712 connect: refused refused",
                "tcp 4712 bind: ok ok",
            ],
        ),
        case(
            "tcp_connect",
            &["--tcp-connect", "4711"],
            &[
                "tcp 4711 connect: refused refused",
                "tcp 4711 bind: denied denied",
                "tcp 4712 connect: denied denied",
                "tcp 4712 bind: denied denied",
            ],
        ),
        case(
            "tcp_bind",
            &["--tcp-bind", "4712"],
            &[
                "tcp 4711 connect: denied denied",
                "tcp 4711 bind: denied denied",
                "tcp 4712 connect: denied denied",
                "tcp 4712 bind: ok ok",
            ],
        ),
        case(
            "tcp_both_twice",
            &["--tcp-bind", "4711", "--tcp-connect", "4712", "--tcp-connect", "4711"],
            &[
                "tcp 4711 connect: refused refused",
                "tcp 4711 bind: ok ok",
                "tcp 4712 connect: refused refused",
                "tcp 4712 bind: denied denied",
            ],
        ),
    ]
}

/// What a kernel says that lacks it: nothing is done without.
fn old_kernels() -> Vec<Case> {
    let case = |name: &str, option: &[&str], errno, starts: &'static str, contains: &'static str| {
        let case =
            Case::new(name).dir("made").options(["--ro-bind", "/", "/", "--bind", "{dir}/made", "/mnt", "--dir", "/mnt/in"]);
        let case = case.options(option).run(["echo", "hi"]).tweak(Tweak::Refuse(&["landlock_create_ruleset"], errno));
        case.status(1).stdout("").claim(move |o| {
            o.expect(o.stderr.starts_with(starts) && o.stderr.contains(contains), "not the words that help")?;
            o.expect(o.stderr.lines().count() == 1, "more than one line")?;
            o.expect_tree("made/in", None)
        })
    };
    let scopes = "bwrap: --scope-signals needs Landlock ABI 6 (Linux 6.12), and this kernel, ";
    let ports = "bwrap: --tcp-bind needs Landlock ABI 4 (Linux 6.7), which is switched off in this kernel, ";
    vec![
        case("no_landlock", &["--scope-signals"], libc::ENOSYS, scopes, ", has no Landlock: Function not implemented\n"),
        case("landlock_switched_off", &["--tcp-bind", "1"], libc::EOPNOTSUPP, ports, "(see its parameter lsm=)\n"),
        case("not_asked_without", &["--scope-signals"], libc::EPERM, scopes, "Operation not permitted\n"),
        Case::new("kernel_is_too_old")
            .on_host()
            .needs(lacks_scopes)
            .options(["--scope-abstract-unix"])
            .run(["echo", "hi"])
            .fails_beginning("bwrap: --scope-abstract-unix needs Landlock ABI 6 (Linux 6.12), and this kernel, "),
        Case::new("landlock_is_not_touched")
            .on_host()
            .run(["true"])
            .tweak(Tweak::Refuse(&["landlock_create_ruleset"], libc::ENOSYS))
            .ok(),
    ]
}

/// `--dry-run` does nothing, and says what it would do.
fn dry_runs() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| {
        let case =
            Case::new(name).dir("made").options(["--ro-bind", "/", "/", "--bind", "{dir}/made", "/mnt", "--dir", "/mnt/in"]);
        let case = case.options(["--unshare-all", "--hostname", "box"]).options(options).run(["echo", "hi"]);
        case.status(0).stderr("").claim(|o| o.expect_tree("made/in", None))
    };
    let shows = |o: &Outcome| {
        o.expect(o.stdout.starts_with("nothing has been done\n"), "no text")?;
        o.expect_line("   3    └─ /mnt/in              directory, mode 0755")?;
        o.expect_line("  echo hi")
    };
    let is_document = |o: &Outcome| {
        let json: serde_json::Value = serde_json::from_str(o.fd(8)).map_err(|error| error.to_string())?;
        o.expect(json["hostname"] == "box" && json["filesystem"][2]["destination"] == "/mnt/in", "not the document")
    };
    let coloured = |o: &Outcome| o.expect(o.stdout.starts_with("\u{1b}[1mnothing"), "no colours");
    vec![
        case("dry_run", &["--dry-run"]).claim(shows),
        case("dry_run_json", &["--dry-run-json", "8"]).fd(8, Fd::Capture).stdout("").claim(is_document),
        case("dry_run_both", &["--dry-run", "--dry-run-json", "8"]).fd(8, Fd::Capture).claim(shows).claim(is_document),
        // No namespace is asked for.
        case("dry_run_where_nothing_is_allowed", &["--dry-run"])
            .tweak(Tweak::Refuse(&["clone", "clone3", "mount", "unshare"], libc::EPERM))
            .claim(shows),
        case("dry_run_on_a_terminal", &["--dry-run"]).env("TERM", "xterm").terminal().claim(coloured),
        case("dry_run_without_colours", &["--clearenv", "--dry-run"])
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .terminal()
            .claim(|o| o.expect(!o.stdout.contains('\u{1b}'), "colours")),
        // Nothing but what does not exist may be left out, and then it is no root either.
        Case::new("dry_run_without_its_root")
            .options(["--ro-bind-try", "/nonexistent", "/", "--ro-bind-try", "/etc/passwd/x", "/x", "--dry-run"])
            .run(["true"])
            .status(1)
            .stderr("")
            .claim(|o| {
                o.expect_line("     /                          tmpfs, mode 0755")?;
                o.expect(
                    o.stdout.contains("would fail: /etc/passwd/x:") && o.stdout.contains("is left out: /nonexistent:"),
                    "not both",
                )
            }),
        Case::new("dry_run_of_what_would_move_the_cursor")
            .on_host()
            .options(["--bind", "/no\u{1b}[31m\npath\u{202e}", "/x", "--dry-run"])
            .run(["true"])
            .status(1)
            .stderr("")
            .claim(|o| o.expect(o.stdout.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "control characters")),
        Case::new("dry_run_on_a_full_device")
            .on_host()
            .options(["--dry-run"])
            .run(["true"])
            .fd(1, Fd::path("/dev/full"))
            .status(1),
        Case::new("dry_run_json_closed")
            .on_host()
            .options(["--dry-run-json", "8"])
            .run(["echo", "hi"])
            .fails("bwrap: Can't write the plan: Bad file descriptor"),
        fails(
            "dry_run_of_a_mistake",
            &["--dry-run", "--hostname", "x", "true"],
            "bwrap: Specifying --hostname requires --unshare-uts",
        ),
    ]
}
