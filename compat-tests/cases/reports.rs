//! `--error-fd` and `--setup-status`: what programs are told of failures, and whose exit status it is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nix::fcntl::OFlag;
use serde_json::Value;

use crate::harness::{Case, Fd, Outcome, Result, Tweak, filter};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = statuses();
    cases.extend(wrong_words());
    cases.extend(steps());
    cases.extend(members());
    cases.extend(clients());
    cases.extend(ends());
    cases.extend(broken());
    cases.extend(secrets());
    cases.into_iter().map(Case::ours_only).collect()
}

/// The one report that was written to fd 8, which says what the line on stderr does.
fn report(o: &Outcome) -> Result<Value> {
    let text = o.raw(8);
    let [line] = text.lines().collect::<Vec<_>>()[..] else {
        return Err(format!("not one report: {text:?}"));
    };
    let report: Value = serde_json::from_str(line).map_err(|e| format!("{line:?}: {e}"))?;
    let message = report["message"].as_str().ok_or("there is no message")?.to_owned();
    o.expect(report["version"] == 1, "version is not 1")?;
    let said = format!("bwrap: {message}");
    let is_usage = message == "No COMMAND is given" && o.stderr.starts_with("usage: ");
    let stderr = String::from_utf8_lossy(&o.raw[&2]).into_owned();
    o.expect(is_usage || stderr.lines().next() == Some(&said), &format!("stderr does not say {said:?}"))?;
    Ok(report)
}

/// A case that fails with a report of which these members are known.
fn reported(name: &str, options: &[&str], members: &'static [(&'static str, &'static str)]) -> Case {
    let case = Case::new(name).options(["--error-fd", "8", "--setup-status", "77"]).options(options).fd(8, Fd::Capture);
    case.status(77).stdout("").claim(move |o| {
        let report = report(o)?;
        members.iter().try_for_each(|(member, expected)| {
            let found = report[*member].as_str().unwrap_or("missing");
            o.expect(found == o.expand(expected), &format!("{member} is {found:?} and not {expected:?}: {report}"))
        })
    })
}

const HOST: [&str; 3] = ["--ro-bind", "/", "/"];

fn on_host(name: &str, options: &[&str], members: &'static [(&'static str, &'static str)]) -> Case {
    reported(name, &[&HOST[..], options].concat(), members)
}

/// Every failure of ours has the status that was asked for, and COMMAND keeps its own.
fn statuses() -> Vec<Case> {
    let asked = |name: &str| Case::new(name).options(["--setup-status", "77"]);
    let arrangements: [(&str, &[&str]); 5] = [
        ("alone", &[]),
        ("pid", &["--unshare-pid"]),
        ("first", &["--unshare-pid", "--as-pid-1"]),
        ("forwarding", &["--unshare-pid", "--forward-signals"]),
        ("sync", &["--sync-fd", "7"]),
    ];
    let mut cases = vec![];
    for (name, options) in arrangements {
        let case = |what: &str| asked(&format!("{what}_{name}")).on_host().options(options).fd(7, Fd::path("/dev/null"));
        let missing = "bwrap: execvp /none: No such file or directory\n";
        cases.push(case("status_of_missing").run(["/none"]).status(77).stdout("").stderr(missing));
        cases.push(case("status_of_success").run(["true"]).ok());
        cases.push(case("status_of_command").run(["sh", "-c", "exit 1"]).status(1).stderr(""));
        cases.push(case("status_like_ours").run(["sh", "-c", "exit 77"]).status(77).stderr(""));
        cases.push(case("status_of_mount").options(["--bind", "/none", "/x"]).run(["true"]).status(77).stdout(""));
        // The first process of a pid namespace is spared its own signals.
        if name != "first" {
            cases.push(case("status_of_killed").run(["sh", "-c", "kill -9 $$"]).status(137).stderr(""));
        }
    }
    let killed = asked("status_of_killed_setup").on_host().options(["--info-fd", "8", "--block-fd", "9", "--error-fd", "7"]);
    cases.push(
        killed.fd(7, Fd::Capture).fd(8, Fd::Capture).fd(9, Fd::Held).run(["true"]).status(77).stderr("").wrote(7, "").during(
            |live| {
                let pid = i32::try_from(live.wait_for_number(8, "child-pid")?).map_err(|e| e.to_string())?;
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).map_err(|e| e.to_string())
            },
        ),
    );
    cases.extend([
        asked("status_of_usage").status(77).stdout(""),
        asked("status_of_help").options(["--help"]).status(0),
        asked("status_of_unknown_option").options(["--nope"]).run(["true"]).status(77).stdout(""),
        // It is known before anything is read.
        Case::new("status_after_the_mistake").options(["--uid", "x", "--setup-status", "77"]).run(["true"]).status(77),
        Case::new("status_of_a_value")
            .options(["--setenv", "--setup-status", "77", "--nope"])
            .run(["true"])
            .fails("bwrap: Unknown option --nope"),
        Case::new("status_of_commands_words")
            .on_host()
            .options(["--bind", "/none", "/x"])
            .run(["true", "--setup-status", "77"])
            .fails("bwrap: Can't find source path /none: No such file or directory"),
        Case::new("status_from_args")
            .on_host()
            .options(["--args", "7"])
            .fd(7, Fd::args(&["--hostname", "x", "--setup-status", "255"]))
            .run(["true"])
            .status(255),
        Case::new("status_last_one_counts")
            .options(["--setup-status", "77", "--setup-status", "78"])
            .options(["--nope"])
            .run(["true"])
            .status(78),
    ]);
    cases
}

fn wrong_words() -> Vec<Case> {
    let wrong = |name: &str, word: &str| {
        let line = format!("bwrap: --setup-status takes a number from 1 to 255, not {word}");
        Case::new(name).options(["--setup-status", word]).run(["true"]).fails(&line)
    };
    let both = |name: &str, options: &[&str], option: &str| {
        let line = format!("bwrap: {option} and --error-fd both name fd 8: give each its own\n");
        let case = Case::new(name).on_host().options(options).options(["--error-fd", "8"]).fd(8, Fd::Capture);
        case.run(["true"]).status(1).stdout("").stderr(&line).claim(|o| report(o).map(drop))
    };
    vec![
        wrong("status_0", "0"),
        wrong("status_256", "256"),
        wrong("status_no_number", "x"),
        wrong("status_empty", ""),
        Case::new("status_alone").options(["--setup-status"]).fails("bwrap: --setup-status takes an argument"),
        Case::new("error_fd_alone").options(["--error-fd"]).fails("bwrap: --error-fd takes an argument"),
        Case::new("error_fd_no_number").options(["--error-fd", "x"]).run(["true"]).fails("bwrap: Invalid fd: x"),
        both("error_fd_and_info_fd", &["--info-fd", "8"], "--info-fd"),
        both("error_fd_and_sync_fd", &["--sync-fd", "8"], "--sync-fd"),
        both("error_fd_and_file", &["--file", "8", "/x"], "--file"),
        both("error_fd_and_args", &["--args", "8"], "--args"),
        Case::new("error_fd_in_args_and_info_fd")
            .on_host()
            .options(["--info-fd", "8", "--args", "7"])
            .fd(7, Fd::args(&["--error-fd", "8"]))
            .fd(8, Fd::Capture)
            .run(["true"])
            .fails("bwrap: --error-fd and another option both name fd 8: give each its own"),
        Case::new("error_fd_twice")
            .on_host()
            .options(["--error-fd", "7", "--error-fd", "8", "--bind", "/none", "/x"])
            .fd(7, Fd::Capture)
            .fd(8, Fd::Capture)
            .run(["true"])
            .status(1)
            .wrote(7, "")
            .claim(|o| {
                o.expect(o.stderr.starts_with("bwrap: Only the last --error-fd option will take effect\n"), "no warning")?;
                o.expect(o.raw(8).contains("\"path\":\"/none\""), "no report")
            }),
    ]
}

/// One failure for each step of the set-up.
fn steps() -> Vec<Case> {
    let refused = |case: Case, call: &'static [&'static str]| case.tweak(Tweak::Refuse(call, libc::EPERM));
    let command_line = &[("step", "command-line")];
    vec![
        on_host("step_command_line", &["--nope"], command_line).run(["true"]),
        on_host("step_no_command", &[], &[("step", "command-line"), ("message", "No COMMAND is given")]),
        on_host("step_value", &["--uid", "x"], &[("step", "command-line"), ("option", "--uid"), ("message", "Invalid uid: x")])
            .run(["true"]),
        on_host("step_values_missing", &["--bind", "/"], &[("step", "command-line"), ("option", "--bind")]),
        on_host("step_rules", &["--hostname", "x"], command_line).run(["true"]),
        refused(
            on_host("step_system", &["--scope-signals"], &[("step", "system"), ("option", "--scope-signals")]),
            &["landlock_create_ruleset"],
        )
        .run(["true"]),
        on_host(
            "step_policies",
            &["--seccomp-policy", "/none"],
            &[("step", "policies"), ("option", "--seccomp-policy"), ("path", "/none"), ("errno", "ENOENT")],
        )
        .run(["true"]),
        on_host("step_plan", &["--dry-run"], &[("step", "plan")]).run(["true"]).fd(1, Fd::path("/dev/null")),
        on_host("step_control_group", &["--cgroup", "none.max", "1"], &[("step", "control-group"), ("option", "--cgroup")])
            .run(["true"]),
        on_host("step_joining", &["--userns", "7"], &[("step", "namespaces"), ("option", "--userns"), ("errno", "EBADF")])
            .run(["true"]),
        on_host("step_monitor", &["--info-fd", "7"], &[("step", "monitor"), ("option", "--info-fd"), ("errno", "EBADF")])
            .run(["true"]),
        refused(
            on_host("step_hostname", &["--unshare-uts", "--hostname", "x"], &[("option", "--hostname"), ("errno", "EPERM")]),
            &["sethostname"],
        )
        .run(["true"]),
        on_host(
            "step_sources",
            &["--ro-bind", "/none", "/x"],
            &[("step", "sources"), ("option", "--ro-bind"), ("path", "/none"), ("errno", "ENOENT")],
        )
        .run(["true"]),
        on_host(
            "step_file_system",
            &["--dir", "/none/x"],
            &[("step", "filesystem"), ("option", "--dir"), ("path", "/none/x"), ("errno", "EROFS")],
        )
        .run(["true"]),
        on_host(
            "step_confinement",
            &["--seccomp", "7"],
            &[("step", "confinement"), ("message", "Invalid seccomp data, must be multiple of 8")],
        )
        .fd(7, Fd::memfd("1"))
        .run(["true"]),
        on_host(
            "step_directory",
            &["--chdir", "/none"],
            &[("step", "directory"), ("option", "--chdir"), ("path", "/none"), ("errno", "ENOENT")],
        )
        .run(["true"]),
        on_host(
            "step_processes",
            &["--lock-file", "/none"],
            &[("step", "processes"), ("option", "--lock-file"), ("path", "/none"), ("errno", "ENOENT")],
        )
        .run(["true"]),
        on_host("step_command", &["--unshare-pid"], &[("step", "command"), ("path", "/none"), ("errno", "ENOENT")])
            .run(["/none"]),
        on_host("step_command_under_a_filter", &["--seccomp-default"], &[("step", "command"), ("path", "/none")]).run(["/none"]),
        on_host("step_command_under_own_filter", &["--unshare-pid", "--seccomp", "7"], &[("step", "command")])
            .setup(|s| {
                let program = filter::bytes(&filter::refuse(&["close", "rt_sigprocmask", "ppoll"], libc::EPERM)?);
                s.file("filter", program)?;
                let file = std::fs::File::open(s.path("filter")).map_err(|e| e.to_string())?;
                s.pass(7, file);
                Ok(())
            })
            .run(["/none"]),
    ]
}

/// What stands in a report.
fn members() -> Vec<Case> {
    let odd = OsStr::from_bytes(b"/none\n\xff\"x");
    vec![
        Case::new("bytes_of_paths")
            .options(["--error-fd", "8", "--ro-bind"])
            .options([odd, OsStr::new("/x")])
            .fd(8, Fd::Capture)
            .run(["true"])
            .status(1)
            .claim(|o| {
                let line = o.raw(8);
                let report: Value = serde_json::from_str(&line).map_err(|e| e.to_string())?;
                o.expect(line.lines().count() == 1, "more than a line")?;
                o.expect(report["path"] == "/none\n\u{fffd}\"x", "the path is not shown")?;
                o.expect(report["path_hex"] == "2f6e6f6e650aff2278", "the path's bytes are not there")
            }),
        // Whoever reads reports wants hints, and stderr stays one line.
        reported(
            "hint",
            &["--symlink", "usr", "/x", "--tmpfs", "/x"],
            &[
                ("option", "--tmpfs"),
                ("path", "/x"),
                ("hint", "it is a symbolic link to usr: name that instead, or put --follow-symlinks before this option"),
            ],
        )
        .run(["true"])
        .stderr("bwrap: Can't mount on symlink destination /x\n"),
        Case::new("level_prefix_is_no_part")
            .options(["--error-fd", "8", "--level-prefix", "--nope"])
            .fd(8, Fd::Capture)
            .fails("<3>bwrap: Unknown option --nope")
            .wrote(8, "{\"version\":1,\"step\":\"command-line\",\"message\":\"Unknown option --nope\"}\n"),
    ]
}

/// What launchers look for in English today: whether namespaces are refused, whether it is `--proc`, and whether COMMAND is missing.
fn clients() -> Vec<Case> {
    vec![
        reported("client_namespaces_refused", &HOST, &[("step", "namespaces"), ("errno", "ENOMEM")])
            .run(["true"])
            .tweak(Tweak::Refuse(&["clone"], libc::ENOMEM)),
        reported("client_no_permission", &HOST, &[("step", "namespaces")])
            .user_only()
            .run(["true"])
            .tweak(Tweak::Refuse(&["clone"], libc::EPERM)),
        on_host(
            "client_proc_refused",
            &["--unshare-pid", "--proc", "/proc"],
            &[("step", "sources"), ("option", "--proc"), ("path", "/proc"), ("errno", "EPERM")],
        )
        .run(["true"])
        .tweak(Tweak::Refuse(&["fsopen"], libc::EPERM)),
        on_host("client_loopback_refused", &["--unshare-net"], &[("step", "network"), ("option", "--unshare-net")])
            .run(["true"])
            .tweak(Tweak::Refuse(&["sendto"], libc::EPERM)),
    ]
}

/// Nobody but us has the fd once COMMAND runs.
fn ends() -> Vec<Case> {
    let mut cases = vec![];
    let arrangements: [(&str, &[&str]); 5] = [
        ("alone", &[]),
        ("pid", &["--unshare-pid"]),
        ("first", &["--unshare-pid", "--as-pid-1"]),
        ("forwarding", &["--unshare-pid", "--forward-signals"]),
        ("filtered", &["--unshare-pid", "--seccomp-default"]),
    ];
    for (name, options) in arrangements {
        let case = |what: &str| {
            let case = Case::new(&format!("{what}_{name}")).on_host().options(options).options(["--error-fd", "8"]);
            case.fd(8, Fd::Capture)
        };
        cases.push(case("end").run(["sh", "-c", "read line"]).fd(0, Fd::Held).status(1).wrote(8, "").during(|live| {
            // COMMAND still waits.
            live.wait_for_end(8)?;
            live.close(0)
        }));
        cases.push(
            case("not_inherited")
                .run(["ls", "/proc/self/fd"])
                .claim(|o| o.expect(!o.stdout.lines().any(|line| line == "8"), "somebody has it")),
        );
    }
    cases.push(Case::new("standard_files_stay").on_host().options(["--error-fd", "1"]).run(["echo", "hi"]).ok().stdout("hi\n"));
    cases.push(Case::new("standard_error_itself").options(["--error-fd", "2", "--nope"]).status(1).claim(|o| {
        let expected =
            "{\"version\":1,\"step\":\"command-line\",\"message\":\"Unknown option --nope\"}\nbwrap: Unknown option --nope\n";
        o.expect(o.stderr == expected, "not both")
    }));
    cases
}

/// What cannot be written to changes nothing.
fn broken() -> Vec<Case> {
    let mut cases = vec![];
    let files: [(&str, Option<Fd>); 5] = [
        ("closed", None),
        ("read_only", Some(Fd::path("/dev/null"))),
        ("path", Some(Fd::o_path("/dev/null"))),
        ("full", Some(Fd::Path("/dev/full".to_owned(), OFlag::O_WRONLY))),
        ("without_reader", Some(Fd::Broken)),
    ];
    for (name, file) in files {
        let case = |what: &str, options: &[&str]| {
            let case = Case::new(&format!("{what}_{name}")).on_host().options(["--error-fd", "8"]).options(options);
            match &file {
                Some(file) => case.fd(8, file.clone()),
                None => case,
            }
        };
        let missing = "bwrap: execvp /none: No such file or directory";
        cases.push(case("success", &["--unshare-pid"]).run(["echo", "hi"]).ok().stdout("hi\n"));
        cases.push(case("missing", &["--unshare-pid"]).run(["/none"]).fails(missing));
        cases.push(case("missing_under_a_filter", &["--seccomp-default"]).run(["/none"]).fails(missing));
        cases.push(case("mistake", &["--nope"]).run(["true"]).fails("bwrap: Unknown option --nope"));
    }
    // COMMAND's own mask and dispositions are the caller's.
    cases.push(
        Case::new("signals_are_the_callers")
            .on_host()
            .options(["--error-fd", "8"])
            .fd(8, Fd::Capture)
            .run(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"])
            .ok()
            .claim(|o| {
                // SIGPIPE and SIGXFSZ are among the first 32, of which the C library keeps one.
                let lines: Vec<_> = o.stdout.lines().collect();
                let fits = matches!(lines[..], ["SigBlk:\t0000000000000000", ignored] if ignored.ends_with("0000000"));
                o.expect(fits, "signals are blocked or ignored")
            }),
    );
    cases
}

/// No value of a variable and no content is ever told.
fn secrets() -> Vec<Case> {
    let rows: [(&str, &[&str]); 5] = [
        ("of_mistake", &["--nope"]),
        ("of_source", &["--ro-bind", "/none", "/x"]),
        ("of_directory", &["--chdir", "/none"]),
        ("of_filter", &["--seccomp", "6"]),
        ("of_plan", &["--dry-run-json", "5"]),
    ];
    let case = |(name, options): (&str, &[&str])| {
        Case::new(&format!("secrets_{name}"))
            .on_host()
            .options(["--error-fd", "8", "--tmpfs", "/tmp", "--setenv", "TOKEN", "hunter2", "--file", "7", "/tmp/x"])
            .options(options)
            .fd(6, Fd::memfd("hunter2"))
            .fd(7, Fd::memfd("hunter2"))
            .fd(8, Fd::Capture)
            .run(["/none"])
            .status(1)
            .claim(|o| o.expect(!o.raw(8).is_empty() && !o.raw(8).contains("hunter2"), "no report, or a secret in it"))
    };
    rows.into_iter().map(case).collect()
}
