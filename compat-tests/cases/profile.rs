//! `--profile`: options from a file, each error with its line, and what is no profile at all.

use std::os::unix::net::UnixListener;

use super::sources::runner_is_root;
use super::{fails, plain};
use crate::harness::{Case, Fd, Outcome, Result, Setup};

/// The cases of this file, ours alone.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = words();
    cases.extend(places());
    cases.extend(order());
    cases.extend(wrong_lines());
    cases.extend(forbidden());
    cases.extend(nested());
    cases.extend(no_profiles());
    cases.extend(directories());
    cases.extend(exposed());
    cases.extend(shown());
    cases.into_iter().map(Case::ours_only).collect()
}

/// A sandbox on the host's root with the profile `p`, which says this.
fn with(name: &str, text: &'static str) -> Case {
    Case::new(name).on_host().options(["--profile", "p"]).file("p", text)
}

/// The same, and what COMMAND's environment has of A and B.
fn variables(name: &str, text: &'static str, expected: &str) -> Case {
    with(name, text).run(["sh", "-c", "echo \"[$A][$B]\""]).ok().stdout(expected)
}

fn words() -> Vec<Case> {
    vec![
        variables("quotes", "--setenv A 'x  y'\"'\\\"z\"\\ \\\\\n", "[x  y'\"z \\][]\n"),
        variables("comments", "# --bind / /\n\n  --setenv A x#y # and more\n\t# x\n", "[x#y][]\n"),
        variables("no_last_newline", "--setenv A x", "[x][]\n"),
        variables("any_byte", "--setenv A \"\\x41\\x0a\\x27\"\n", "[A\n'][]\n"),
        variables("empty_words", "--setenv A ''\n--setenv B \"\"\n", "[][]\n"),
        variables("nothing_at_all", "", "[][]\n"),
        variables("dollars", "--setenv A $HOME$\n--setenv B '${HOME}'\n", "[$HOME$][${HOME}]\n"),
        variables("defaults", "--setenv A ${NONE:-a b}\n--setenv B ${C:-x}y\n", "[a b][cy]\n").env("C", "c"),
        // One word, whatever is in it.
        variables("values_are_not_words", "--setenv A ${V}\n", "[x\n--setenv B 'y' ${HOME} *][]\n")
            .env("V", "x\n--setenv B 'y' ${HOME} *"),
        variables(
            "variables_are_the_callers",
            "--clearenv\n--setenv PATH /usr/bin:/bin\n--setenv V inside\n--setenv A ${V}\n--unsetenv V\n--setenv B ${V}\n",
            "[outside][outside]\n",
        )
        .env("V", "outside"),
        Case::new("bytes_that_are_no_text")
            .on_host()
            .options(["--profile", "p"])
            .setup(|s| s.file("p", b"--setenv A \xff\"\\xfe\"\n"))
            .run(["sh", "-c", "printf %s \"$A\" | od -An -tx1"])
            .ok()
            .stdout(" ff fe\n"),
    ]
}

/// Where profiles and paths in them are looked for.
fn places() -> Vec<Case> {
    let listed = |o: &Outcome| o.expect(o.stdout.contains("\n@system "), "there is no @system in the list");
    vec![
        Case::new("nested_beside_the_file")
            .on_host()
            .options(["--profile", "sub/p"])
            .file("sub/p", "--profile q\n--profile ../r\n--profile no\n")
            .file("sub/q", "--setenv A q\n")
            .file("r", "--setenv B r\n")
            .fails("bwrap: sub/p:3: Can't read profile sub/no: No such file or directory"),
        Case::new("nested_work")
            .on_host()
            .options(["--profile", "sub/p"])
            .file("sub/p", "--profile q\n--profile ../r\n")
            .file("sub/q", "--setenv A q\n")
            .file("r", "--setenv B r\n")
            .run(["sh", "-c", "echo $A $B"])
            .ok()
            .stdout("q r\n"),
        Case::new("policies_beside_the_file")
            .on_host()
            .options(["--profile", "sub/p"])
            .file("sub/p", "--seccomp-policy policy.json\n")
            .file("sub/policy.json", r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["uname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}"#)
            .run(["uname"])
            .status(1)
            .claim(|o| o.expect(o.stderr.contains("Function not implemented"), "uname was not refused")),
        Case::new("other_paths_from_the_caller")
            .on_host()
            .options(["--tmpfs", "/tmp", "--profile", "{dir}/sub/p"])
            .file("sub/p", "--ro-bind f /tmp/f\n")
            .file("f", "the caller's\n")
            .file("sub/f", "the profile's\n")
            .run(["cat", "/tmp/f"])
            .ok()
            .stdout("the caller's\n"),
        Case::new("a_file_whose_name_begins_with_at")
            .on_host()
            .options(["--profile", "./@system"])
            .file("@system", "--setenv A x\n")
            .run(["sh", "-c", "echo $A"])
            .ok()
            .stdout("x\n"),
        Case::new("a_link_to_a_file").on_host().options(["--profile", "l"]).file("p", "--setenv A x\n").symlink("p", "l")
            .run(["sh", "-c", "echo $A"])
            .ok()
            .stdout("x\n"),
        Case::new("in_args")
            .on_host()
            .options(["--args", "7"])
            .fd(7, Fd::args(&["--setenv", "A", "a", "--profile", "p", "--setenv", "B", "b"]))
            .file("p", "--setenv A p\n--setenv B p\n")
            .run(["sh", "-c", "echo $A $B"])
            .ok()
            .stdout("p b\n"),
        Case::new("list").options(["--profile", "@list"]).ok().claim(listed),
        Case::new("list_ends_the_command_line").options(["--profile", "@list", "--no-such", "x"]).ok().claim(listed),
        with("list_in_a_profile", "--profile @list\n").fails("bwrap: p:1: --profile @list cannot be used in a profile"),
        fails(
            "no_such_built_in",
            &["--profile", "@nothing", "true"],
            "bwrap: There is no built-in profile @nothing: --profile @list shows them, and a file is named ./@nothing",
        ),
        fails("alone", &["--profile"], "bwrap: --profile takes an argument"),
        fails("empty", &["--profile", "", "true"], "bwrap: --profile does not take an empty path argument"),
    ]
}

fn order() -> Vec<Case> {
    vec![
        Case::new("options_after_it_win")
            .on_host()
            .options(["--setenv", "A", "before", "--setenv", "B", "before", "--profile", "p", "--setenv", "B", "after"])
            .file("p", "--setenv A p\n--setenv B p\n")
            .run(["sh", "-c", "echo $A $B"])
            .ok()
            .stdout("p after\n"),
        with("several", "--setenv A p\n")
            .options(["--profile", "q", "--profile", "p"])
            .file("q", "--setenv A q\n--setenv B q\n")
            .run(["sh", "-c", "echo $A $B"])
            .ok()
            .stdout("p q\n"),
        with("modifiers_in_one_file", "--perms 0711\n--size 65536\n--tmpfs /tmp\n")
            .run(["stat", "-c", "%a", "/tmp"])
            .ok()
            .stdout("711\n"),
        with("layers_in_one_file", "--overlay-src {dir}\n").fails(
            "bwrap: p:1: --overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay",
        ),
        with("a_modifier_does_not_reach_outside", "--perms 0700\n")
            .options(["--tmpfs", "/tmp"])
            .run(["true"])
            .fails("bwrap: p:1: --perms must be followed by an option that creates a file"),
        Case::new("a_modifier_does_not_reach_inside")
            .options(["--perms", "0700", "--profile", "p", "true"])
            .file("p", "--tmpfs /tmp\n")
            .fails("bwrap: --perms must be followed by an option that creates a file"),
        // The words of profiles do not count, those of the command line do.
        Case::new("more_than_9000_words").on_host().options(["--profile", "p"]).setup(|s| s.file("p", "--unsetenv X\n".repeat(6000)))
            .run(["echo", "hi"])
            .ok()
            .stdout("hi\n"),
    ]
}

fn wrong_lines() -> Vec<Case> {
    let rows: [(&str, &str, &str); 25] = [
        ("unknown_option", "--no-such\n", "1: Unknown option --no-such"),
        ("joined_value", "\n\n--uid=5\n", "3: Unknown option --uid=5"),
        ("too_few_words", "--bind /a\n", "1: --bind takes two arguments"),
        ("too_many_words", "--tmpfs /a /b\n", "1: --tmpfs DEST ends before the word /b"),
        ("two_options", "--unshare-pid --unshare-net\n", "1: --unshare-pid ends before the word --unshare-net"),
        ("wrong_value", "--unshare-user\n--uid x\n", "2: Invalid uid: x"),
        ("wrong_value_in_the_end", "#\n#\n--chmod 9 /", "3: --chmod takes an octal argument <= 07777"),
        ("empty_path", "--tmpfs ''\n", "1: --tmpfs does not take an empty path argument"),
        ("command", "--unshare-pid\nls -l\n", "2: A line of a profile begins with an option, not with ls"),
        ("empty_word", "''\n", "1: A line of a profile begins with an option, not with "),
        ("end_of_options", "--\n", "1: -- and COMMAND cannot be used in a profile"),
        ("end_of_options_with_command", "-- ls\n", "1: -- and COMMAND cannot be used in a profile"),
        ("hyphen", "-\n", "1: Unknown option -"),
        ("open_quote", "--setenv A 'x\n--unshare-pid\n'\n", "1: a ' that is not closed on its line"),
        ("open_double_quote", "--setenv A \"x\n", "1: a \" that is not closed on its line"),
        ("last_backslash", "--setenv A \\\nx\n", "1: nothing follows the last \\"),
        ("half_a_byte", "--setenv A \"\\x4\"\n", "1: \\x without two hexadecimal digits"),
        ("nul_byte_written", "--setenv A \"\\x00\"\n", "1: \\x00, which no word can contain"),
        ("nul_byte", "--setenv A x\0\n", "1: a NUL byte, which is not allowed"),
        ("nul_byte_in_a_comment", "#\n# \0\n", "2: a NUL byte, which is not allowed"),
        ("carriage_returns", "--unshare-pid\r\n", "1: a carriage return: lines end with a newline alone"),
        ("unset", "--setenv A ${NONE}\n", "1: ${NONE} is not set, or empty"),
        ("unset_is_empty", "--setenv A ${EMPTY}\n", "1: ${EMPTY} is not set, or empty"),
        ("no_variable", "--setenv A ${1}\n", "1: ${ without the name of a variable"),
        ("open_brace", "--setenv A ${HOME:-x\n", "1: ${HOME that is not closed by } on its line"),
    ];
    let case = |(name, text, line): (&str, &'static str, &str)| {
        with(name, text).env("EMPTY", "").run(["true"]).fails(&format!("bwrap: p:{line}"))
    };
    rows.into_iter().map(case).collect()
}

/// What is for the command line alone.
fn forbidden() -> Vec<Case> {
    let alone = ["--help", "--version", "--dry-run", "--setup-status"];
    let with_fd = [
        "--args",
        "--userns",
        "--userns2",
        "--pidns",
        "--sync-fd",
        "--bind-fd",
        "--ro-bind-fd",
        "--file",
        "--bind-data",
        "--ro-bind-data",
        "--seccomp",
        "--add-seccomp-fd",
        "--block-fd",
        "--userns-block-fd",
        "--info-fd",
        "--json-status-fd",
        "--dry-run-json",
        "--error-fd",
    ];
    let case = |option: &&str, why: &str| {
        let line = format!("{option} 0 /x\n");
        Case::new(&format!("not_{}", plain(option)))
            .options(["--profile", "p", "true"])
            .setup(move |s| s.file("p", &line))
            .fails(&format!("bwrap: p:1: {option} {why}"))
    };
    let mut cases: Vec<_> = alone.iter().map(|option| case(option, "cannot be used in a profile")).collect();
    cases.extend(with_fd.iter().map(|option| case(option, "takes the number of an open file and cannot be used in a profile")));
    cases
}

/// `p1` with a line for `p2`, and so on to `pN`.
fn chain(setup: &mut Setup, count: usize) -> Result<()> {
    for number in 1..count {
        setup.file(&format!("p{number}"), format!("--profile p{}\n", number + 1))?;
    }
    setup.file(&format!("p{count}"), "--setenv A x\n")
}

fn nested() -> Vec<Case> {
    let shell = ["sh", "-c", "echo $A"];
    let first = |name: &str| Case::new(name).on_host().options(["--profile", "p1"]).run(shell);
    vec![
        first("eight_deep").setup(|s| chain(s, 8)).ok().stdout("x\n"),
        first("nine_deep").setup(|s| chain(s, 9)).fails("bwrap: p8:1: Profiles can be nested at most 8 deep: p9"),
        with("itself", "#\n--profile p\n").fails("bwrap: p:2: A profile must not include itself: p"),
        with("a_loop_of_two", "--profile q\n")
            .file("q", "--profile p\n")
            .fails("bwrap: q:1: A profile must not include itself: p"),
        with("a_loop_by_a_link", "--profile q\n").symlink("p", "q").fails("bwrap: p:1: A profile must not include itself: q"),
        with("a_loop_by_another_name", "--profile ./q\n")
            .setup(|s| std::fs::hard_link(s.path("p"), s.path("q")).map_err(|error| error.to_string()))
            .fails("bwrap: p:1: A profile must not include itself: ./q"),
        with("twice_is_no_loop", "--profile q\n--profile q\n").file("q", "--setenv A x\n").run(shell).ok().stdout("x\n"),
        with("errors_name_the_innermost", "--profile q\n").file("q", "#\n--uid x\n").fails("bwrap: q:2: Invalid uid: x"),
        with("built_in_ones_are_known_everywhere", "--profile @net\n").run(["true"]).ok(),
        // 3 MiB of text are read seven times in the third one.
        with("too_much_in_all", "--profile q\n--profile q\n--profile q\n")
            .file("q", "--profile r\n--profile r\n--profile r\n")
            .setup(|s| s.file("r", "#".repeat(1 << 20)))
            .fails("bwrap: q:2: All profiles together are longer than 8 MiB, with r"),
        // Eight lines of 12 bytes name eight times the same text.
        with(
            "as_much_as_possible",
            "--profile r\n--profile r\n--profile r\n--profile r\n--profile r\n--profile r\n--profile r\n--profile r\n",
        )
        .setup(|s| s.file("r", "#".repeat((1 << 20) - 12)))
        .run(["true"])
        .ok(),
        // 100 KB that are named often.
        with("variables_on_a_line", "--setenv A ${V}${V}${V}${V}${V}${V}${V}${V}${V}${V}${V}\n")
            .env("V", "x".repeat(100_000))
            .fails("bwrap: p:1: more than 1 MiB from variables on one line"),
        with("variables_in_all", "#\n")
            .env("V", "x".repeat(100_000))
            .setup(|s| s.file("p", "--setenv A ${V}\n".repeat(100)))
            .fails("bwrap: p:84: all profiles together are longer than 8 MiB with the values of their variables"),
    ]
}

/// What can be named, and is no profile.
fn no_profiles() -> Vec<Case> {
    let named = |name: &str, path: &str, line: &str| {
        Case::new(name).options(["--profile", path]).run(["true"]).fails(&format!("bwrap: {line}"))
    };
    let not_regular = |path: &str| format!("Profile {path} is not a regular file");
    vec![
        named("missing", "p", "Can't read profile p: No such file or directory"),
        named("below_a_file", "/etc/passwd/p", "Can't read profile /etc/passwd/p: Not a directory"),
        named("unreadable", "p", "Can't read profile p: Permission denied").user_only().needs(runner_is_root).setup(|s| {
            s.file("p", "")?;
            s.keep_for_root("p");
            s.mode("p", 0o600)
        }),
        named("directory", ".", &not_regular(".")),
        named("device", "/dev/zero", &not_regular("/dev/zero")),
        named("terminal", "/dev/tty", &not_regular("/dev/tty")),
        named("fifo", "p", &not_regular("p")).setup(|s| {
            nix::unistd::mkfifo(&s.path("p"), nix::sys::stat::Mode::from_bits_truncate(0o644)).map_err(|error| error.to_string())
        }),
        named("socket", "p", &not_regular("p")).setup(|s| {
            let socket = UnixListener::bind(s.path("p")).map_err(|error| error.to_string())?;
            s.hold(socket);
            Ok(())
        }),
        named("a_loop_of_links", "p", "Can't read profile p: Too many levels of symbolic links").symlink("p", "p"),
        // Its size is 0, and it goes on for 256 TiB.
        named("endless", "/proc/self/pagemap", "Profile /proc/self/pagemap is longer than 1 MiB"),
        named("a_hundred_megabytes", "p", "Profile p is longer than 1 MiB").setup(|s| {
            s.file("p", "")?;
            let file = std::fs::OpenOptions::new().write(true).open(s.path("p"));
            file.and_then(|file| file.set_len(100 << 20)).map_err(|error| error.to_string())
        }),
        named("one_byte_too_many", "p", "Profile p is longer than 1 MiB").setup(|s| s.file("p", "#".repeat((1 << 20) + 1))),
        Case::new("one_mebibyte")
            .on_host()
            .options(["--profile", "p"])
            .setup(|s| s.file("p", "#".repeat(1 << 20)))
            .run(["true"])
            .ok(),
        named("binary", "/usr/bin/env", "/usr/bin/env:1: a NUL byte, which is not allowed"),
    ]
}

/// `${PWD}`, which must not be a whole home.
fn directories() -> Vec<Case> {
    let pwd = |name: &str, cwd: &str| {
        Case::new(name)
            .on_host()
            .options(["--profile", "{dir}/here"])
            .cwd(cwd)
            .file("here", "--setenv A ${PWD}\n")
            .run(["sh", "-c", "echo $A"])
    };
    let refused = |case: Case, what: &str| {
        case.fails(&format!("bwrap: {{dir}}/here:1: ${{PWD}} is {what}, which is / or contains the home directory: run bwrap in a directory below it"))
    };
    vec![
        pwd("pwd", "{dir}/work").dir("work").ok().stdout("{dir}/work\n"),
        pwd("pwd_by_the_callers_name", "{dir}/work")
            .dir("work")
            .symlink("work", "l")
            .env("PWD", "{dir}/l")
            .ok()
            .stdout("{dir}/l\n"),
        // PWD says something else where a program has changed its directory without saying so.
        pwd("pwd_is_where_we_are", "{dir}/work").dir("work").dir("other").env("PWD", "{dir}/other").ok().stdout("{dir}/work\n"),
        pwd("pwd_is_not_relative", "{dir}/work").dir("work").env("PWD", ".").ok().stdout("{dir}/work\n"),
        refused(pwd("pwd_is_the_root", "/"), "/"),
        refused(pwd("pwd_is_the_home", "{dir}/home").dir("home"), "{dir}/home"),
        refused(pwd("pwd_holds_the_home", "{dir}").dir("home"), "{dir}"),
        refused(pwd("pwd_holds_a_home_that_is_missing", "{dir}").env("HOME", "{dir}/a/b"), "{dir}"),
        refused(
            pwd("pwd_is_the_home_by_a_link", "{dir}/real").dir("real").symlink("real", "h").env("HOME", "{dir}/h"),
            "{dir}/real",
        ),
        refused(pwd("pwd_has_another_name", "{dir}/home").dir("home").symlink("home", "l").env("PWD", "{dir}/l"), "{dir}/home"),
        pwd("pwd_without_home", "{dir}/work")
            .dir("work")
            .env("HOME", "")
            .fails("bwrap: {dir}/here:1: ${PWD} may be all of the home directory, for HOME is not set"),
    ]
}

fn shown() -> Vec<Case> {
    vec![
        with("dry_run", "# A comment.\n--tmpfs ${T:-/tmp}\n--profile q\n")
            .file("q", "--dir /var/tmp/x\n")
            .options(["--dry-run", "--dir", "/var/tmp/y"])
            .env("T", "/var/tmp")
            .run(["true"])
            .ok()
            .claim(|o| {
                let text = o.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
                o.expect(text.contains("/var/tmp tmpfs, mode 0755, nosuid, nodev, from p:2"), "what p says is not shown")?;
                o.expect(text.contains("/var/tmp/x directory, mode 0755, from q:1"), "what q says is not shown")?;
                o.expect(
                    text.contains("/var/tmp/y directory, mode 0755 command"),
                    "what is on the command line comes from there",
                )?;
                o.expect(text.contains("profiles p q file"), "the profiles are not listed")
            }),
        with("dry_run_json", "--tmpfs /tmp\n").options(["--dry-run-json", "7"]).fd(7, Fd::Capture).run(["true"]).ok().claim(
            |o| {
                o.expect(
                    o.fd(7).contains("\"from\": \"p:1\"") && o.fd(7).contains("\"profiles\": [\n    \"p\"\n  ]"),
                    "it is not in the JSON",
                )
            },
        ),
    ]
}

/// A profile that COMMAND can rewrite is a sandbox that it chooses for the next time.
fn exposed() -> Vec<Case> {
    let warned = |name: &str, path: &str, options: &[&str]| {
        let line = format!("bwrap: Profile {path} lies where COMMAND can write: put it elsewhere\n");
        Case::new(name)
            .on_host()
            .options(["--profile", path])
            .options(options)
            .run(["true"])
            .file("p", "")
            .file("sub/p", "")
            .status(0)
            .stderr(&line)
    };
    let silent = |name: &str, path: &str, options: &[&str]| {
        Case::new(name).on_host().options(["--profile", path]).options(options).run(["true"]).file("p", "").file("sub/p", "").ok()
    };
    let whole = ["--bind", "{dir}", "{dir}"];
    vec![
        warned("exposed_by_a_bind", "p", &whole),
        warned("exposed_by_its_own_bind", "{dir}/p", &["--bind", "{dir}/p", "{dir}/p"]),
        warned("exposed_elsewhere", "sub/p", &["--tmpfs", "/mnt", "--bind", ".", "/mnt/x"]),
        warned("exposed_by_same", "p", &["--same-try", "{dir}"]),
        warned("exposed_by_a_link", "l", &whole).symlink("sub/p", "l"),
        warned("exposed_by_an_fd", "p", &["--bind-fd", "7", "{dir}"]).fd(7, Fd::o_path("{dir}")),
        warned("exposed_by_an_overlay", "sub/p", &["--dry-run", "--overlay-src", "/usr", "--overlay", "sub", "work", "/mnt"])
            .dir("work"),
        // The directory around it can be moved away.
        warned(
            "exposed_below_what_can_be_moved",
            "sub/p",
            &["--bind", "{dir}", "{dir}", "--ro-bind", "{dir}/sub/p", "{dir}/sub/p"],
        ),
        warned("exposed_again", "p", &["--bind", "{dir}", "{dir}", "--ro-bind", "{dir}", "{dir}", "--bind", "{dir}", "{dir}"]),
        silent("covered_itself", "p", &["--bind", "{dir}", "{dir}", "--ro-bind", "{dir}/p", "{dir}/p"]),
        silent("covered_by_its_directory", "sub/p", &["--bind", "{dir}", "{dir}", "--ro-bind", "{dir}/sub", "{dir}/sub"]),
        silent("covered_by_a_tmpfs", "p", &["--bind", "{dir}", "{dir}", "--tmpfs", "{dir}"]),
        silent("covered_by_remounting", "p", &["--bind", "{dir}", "{dir}", "--remount-ro", "{dir}"]),
        silent("only_read", "p", &["--ro-bind", "{dir}", "{dir}"]),
        silent("not_for_this_caller", "{dir}/others/p", &["--bind", "{dir}/others", "{dir}/others"])
            .user_only()
            .needs(runner_is_root)
            .setup(|s| {
                s.file("others/p", "")?;
                s.mode("others/p", 0o644)?;
                s.mode("others", 0o755)?;
                s.keep_for_root("others/p");
                s.keep_for_root("others");
                Ok(())
            }),
        silent("built_in_ones_are_nowhere", "@net", &whole).file("@net", ""),
    ]
}
