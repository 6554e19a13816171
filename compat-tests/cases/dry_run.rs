//! `--dry-run` as a checker: it says of a sandbox whether it starts, and is right; and its notes.

use serde_json::Value;

use super::beyond::has_ports;
use super::common::MERGED_USR;
use crate::harness::{Case, Fd, Outcome, Result, Setup, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = starting();
    cases.extend(failing_places());
    cases.extend(failing_programs());
    cases.extend(lacking());
    cases.extend(reading());
    cases.extend(notes());
    cases.extend(notes_of_masks());
    cases.extend(quiet());
    cases.extend(wrapping());
    cases.into_iter().map(Case::ours_only).collect()
}

/// Text without its line breaks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A sandbox, checked and then run by a script: the two have to agree, and the check says these words.
fn checked(name: &str, words: &str, starts: bool, said: &'static str) -> Case {
    let script =
        format!("{{bwrap}} --dry-run {words}; echo \"checked: $?\"; {{bwrap}} {words} > /dev/null 2>&1; echo \"run: $?\"");
    Case::new(name).file("file", "text\n").dir("dir").script(&script).status(0).claim(move |o| {
        let last = |text: &str| o.stdout.lines().rev().find_map(|line| line.strip_prefix(text)?.parse::<i32>().ok());
        let (checked, run) = (last("checked: "), last("run: "));
        o.expect(run.is_some_and(|code| (code == 0) == starts), &format!("the run ends with {run:?}"))?;
        o.expect(checked == Some(i32::from(!starts)), &format!("the check ends with {checked:?}"))?;
        o.expect(flat(&o.stdout).contains(&o.expand(said)), &format!("it does not say {said:?}"))?;
        let marked = o.stdout.contains("would fail:") && o.stdout.contains("the sandbox could not start: see what would fail\n");
        o.expect(marked != starts, "the mark is wrong")?;
        o.expect(o.stdout.contains("\ncommand\n"), "not all of the plan")
    })
}

const USR: &str = "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64";

/// What looks odd and starts.
fn starting() -> Vec<Case> {
    let fine = |name: &str, words: &str| checked(name, words, true, "nothing has been done");
    let usr = |name: &str, words: &str| fine(name, &format!("{USR} {words}"));
    vec![
        fine("starts_on_host", "--ro-bind / / true"),
        usr("starts_on_usr", "/bin/true"),
        usr("starts_by_path", "--clearenv --setenv PATH /none:/bin true"),
        usr("starts_without_path", "--unsetenv PATH true"),
        usr("starts_in_its_directory", "--bind {dir} /work --chdir /work true"),
        usr("starts_below_a_link", "--dir /a/b --symlink a/b /c --bind {dir} /c/work --chdir /a/b/work true"),
        usr("starts_in_dev", "--dev /dev --tmpfs /dev/shm/x --ro-bind {dir}/file /dev/shm/x/y --chdir /dev/shm/x true"),
        usr("starts_with_what_may_be_missing", "--ro-bind-try /none /x --ro-same-try /none true"),
        usr("starts_with_the_same", "--ro-same /etc/passwd true"),
        usr("starts_over_a_file", "--bind {dir} /work --ro-bind {dir}/file /work/file true"),
        usr("starts_and_makes", "--bind {dir} /work --dir /work/new/dir true"),
        usr("starts_with_the_same_link", "--symlink usr/bin /bin true"),
        usr("starts_on_a_tmpfs_in_between", "--tmpfs /usr/share --dir /usr/share/new true"),
        usr("starts_with_a_lock", "--bind {dir} /work --lock-file /work/file true"),
        usr("starts_with_a_script", "--bind {dir} /work /work/tool").setup(|s| script(s, "#!/bin/sh\nexit 0\n")),
        usr("starts_relatively", "--bind {dir} /work --chdir /work ./tool").setup(|s| script(s, "#!/bin/sh\nexit 0\n")),
        fine("starts_on_an_overlay", "--ro-bind / / --overlay-src /usr --tmp-overlay /usr --dir /usr/new true")
            .needs(super::overlays::kernel_has_overlays),
    ]
}

fn script(s: &mut Setup, text: &str) -> Result<()> {
    s.file("tool", text)?;
    s.mode("tool", 0o755)
}

/// Sources, destinations and directories that are not there or do not fit.
fn failing_places() -> Vec<Case> {
    let rows: [(&str, &str, &'static str); 13] = [
        ("source", "--ro-bind / / --bind /none /tmp true", "would fail: /none: No such file or directory"),
        ("source_of_same", "--ro-bind / / --ro-same /none true", "would fail: /none: No such file or directory"),
        ("source_is_file", "--ro-bind {dir}/file / true", "would fail: what is mounted on / has to be a directory"),
        ("read_only", "--ro-bind / / --dir /none/x true", "it cannot be created, because / is bound read-only"),
        (
            "remounted",
            "--ro-bind / / --tmpfs /srv --remount-ro /srv --dir /srv/x true",
            "it cannot be created, because /srv is remounted read-only",
        ),
        ("not_ours", "--bind / / --dir /usr/none/x true", "it cannot be created, because /usr is the host's: Permission denied"),
        (
            "on_a_link",
            "--tmpfs / --symlink usr /x --tmpfs /x true",
            "it is a symbolic link to usr: name that instead, or put --follow-symlinks before this option",
        ),
        (
            "file_on_directory",
            "--ro-bind / / --ro-bind {dir}/file /usr true",
            "it is a directory, but what would be put there is not",
        ),
        (
            "directory_on_file",
            "--ro-bind / / --ro-bind {dir} /etc/passwd true",
            "it is not a directory, but what would be put there is",
        ),
        ("other_link", "--ro-bind / / --tmpfs /srv --symlink a /srv/l --symlink b /srv/l true", "there is a link to a already"),
        ("chmod", "--ro-bind / / --chmod 700 /none true", "there is no such file"),
        ("chdir", "--ro-bind / / --chdir /none true", "/none is not in the sandbox"),
        ("chdir_to_a_file", "--ro-bind / / --chdir /etc/passwd true", "/etc/passwd is not a directory"),
    ];
    let row = |(name, words, said): (&str, &str, &'static str)| checked(&format!("fails_by_{name}"), words, false, said);
    let mut cases: Vec<Case> = rows.into_iter().map(row).collect();
    // Root may write everywhere.
    cases.iter_mut().filter(|case| case.name == "fails_by_not_ours").for_each(|case| {
        case.identities.retain(|identity| *identity == crate::harness::Identity::User);
    });
    cases.push(checked("fails_by_lock", "--ro-bind / / --lock-file /none true", false, "/none is not in the sandbox"));
    cases.push(checked(
        "fails_by_chdir_through_a_link",
        &format!("{USR} --symlink none /x --chdir /x true"),
        false,
        "/x is a link to none → /none, which is missing",
    ));
    cases
}

/// COMMAND, its loader, its interpreter, and the links to them.
fn failing_programs() -> Vec<Case> {
    let usr = |name: &str, words: &str, said| checked(name, &format!("{USR} --bind {{dir}} /work {words}"), false, said);
    let dangling = "/usr/bin/cc is a link to /etc/alternatives/cc → /etc, which is missing";
    vec![
        usr("fails_by_command", "/none", "/none is not in the sandbox"),
        usr("fails_by_command_in_path", "none", "none is in no directory of the sandbox's PATH, which is /usr/local/bin:"),
        usr("fails_by_command_of_the_host", "/etc/hostname", "/etc/hostname is not in the sandbox, and the host has it"),
        usr("fails_by_alternatives", "/usr/bin/cc", dangling).needs(has_cc),
        usr("fails_by_alternatives_in_path", "--setenv PATH /usr/bin cc", dangling).needs(has_cc),
        usr("fails_by_directory", "/work", "/work is a directory"),
        usr("fails_by_mode", "/work/file", "/work/file is not executable, its mode is 0644"),
        usr("fails_by_interpreter", "/work/tool", "/work/tool is there, but it needs /none/perl, which is not in the sandbox")
            .setup(|s| script(s, "#!/none/perl\n")),
        usr("fails_by_cr", "/work/tool", "its first line ends in CR LF").setup(|s| script(s, "#!/bin/sh\r\n")),
        usr("fails_by_mode_of_interpreter", "/work/tool", "/work/file is not executable").setup(|s| script(s, "#!/work/file\n")),
        checked("fails_by_loader", "--ro-bind /usr/bin/env /env /env", false, "/env is there, but it needs /lib"),
        checked(
            "fails_by_dangling_loader",
            "--ro-bind /usr /usr --symlink none /lib --symlink none /lib64 /usr/bin/env",
            false,
            "which is a link to none → /none, which is missing",
        ),
    ]
}

fn has_cc() -> Result<()> {
    let is_there = std::fs::read_link("/usr/bin/cc").is_ok_and(|to| to.starts_with("/etc/alternatives"));
    if is_there { Ok(()) } else { Err("/usr/bin/cc is no alternative here".to_owned()) }
}

/// What is asked for and cannot be had marks its line, and the rest is shown.
fn lacking() -> Vec<Case> {
    let lacks = |name: &str, options: &[&str], said: &'static str| {
        Case::new(name)
            .on_host()
            .options(["--dry-run", "--setup-status", "77"])
            .options(options)
            .run(["true"])
            .status(77)
            .stderr("")
            .claim(move |o| {
                o.expect(flat(&o.stdout).contains(said), &format!("it does not say {said:?}"))?;
                o.expect(o.stdout.contains("\ncommand\n  true\n"), "not all of the plan")
            })
    };
    let all = |name: &str| {
        let case = lacks(
            name,
            &["--scope-signals", "--userns2", "77", "--rlimit", "nofile", "129"],
            "would fail: --scope-signals needs",
        );
        case.options(["--seccomp-policy", "/none"]).tweak(Tweak::Refuse(&["landlock_create_ruleset"], libc::ENOSYS))
    };
    vec![
        lacks("lacks_landlock", &["--scope-signals"], "would fail: --scope-signals needs Landlock ABI 6 (Linux 6.12)")
            .tweak(Tweak::Refuse(&["landlock_create_ruleset"], libc::ENOSYS)),
        lacks("lacks_files", &["--block-fd", "77", "--sync-fd", "78"], "would fail: sync-fd 78 is not open"),
        lacks("lacks_file_for_namespace", &["--userns2", "77"], "would fail: userns2 77 is not open"),
        lacks("lacks_program", &["--add-seccomp-fd", "77"], "would fail: add-seccomp-fd 77 is not open"),
        lacks("lacks_policy", &["--seccomp-policy", "/none"], "would fail: Can't read seccomp policy /none: No such file"),
        lacks("lacks_limit", &["--rlimit", "nofile", "129"], "would fail: Can't raise the hard limit nofile to 129: it is 128")
            .user_only()
            .tweak(Tweak::Limit(libc::RLIMIT_NOFILE, 64, 128)),
        lacks("lacks_controller", &["--cgroup", "none.max", "1"], "would fail: --cgroup"),
        all("lacks_several").user_only().tweak(Tweak::Limit(libc::RLIMIT_NOFILE, 64, 128)).claim(|o| {
            let marks = o.stdout.matches("would fail:").count();
            o.expect(marks == 4, &format!("{marks} marks and not four"))
        }),
        all("lacks_several_as_json")
            .user_only()
            .tweak(Tweak::Limit(libc::RLIMIT_NOFILE, 64, 128))
            .options(["--dry-run-json", "8", "--bind", "/none", "/mnt"])
            .fd(8, Fd::Capture)
            .claim(|o| {
                let plan: Value = serde_json::from_str(&o.raw(8)).map_err(|e| e.to_string())?;
                let problems = plan["problems"].as_array().ok_or("no problems")?;
                let options: Vec<_> = problems.iter().filter_map(|problem| problem["option"].as_str()).collect();
                o.expect(options.contains(&"--scope-signals") && options.contains(&"--rlimit"), "not every option")?;
                o.expect(problems.len() == 4 && problems.iter().all(|problem| problem["message"].is_string()), "not four")?;
                o.expect(plan["filesystem"][1]["problem"] == "/none: No such file or directory", "the entry has no problem")
            }),
    ]
}

/// Nothing is read or waited for.
fn reading() -> Vec<Case> {
    let quick = |name: &str, options: &[&str]| {
        Case::new(name).on_host().options(["--tmpfs", "/tmp"]).options(options).options(["--dry-run"]).run(["true"]).ok()
    };
    // What is left in the fd is read by the shell, after the check.
    let left = |name: &str, words: &str| {
        let script = format!("{{bwrap}} --ro-bind / / --tmpfs /tmp {words} --dry-run true > /dev/null && cat <&7");
        Case::new(name).fd(7, Fd::pipe("content")).script(&script).ok().stdout("content")
    };
    vec![
        quick("waits_for_no_block_fd", &["--block-fd", "7"]).fd(7, Fd::Held),
        quick("waits_for_no_program", &["--seccomp", "7"]).fd(7, Fd::Held),
        quick("waits_for_no_added_program", &["--add-seccomp-fd", "7"])
            .fd(7, Fd::Held)
            .claim(|o| o.expect(o.stdout.contains("filters      the program from fd 7\n"), "the filter is not shown")),
        quick("waits_for_no_fifo", &["--seccomp-policy", "{dir}/fifo"])
            .setup(fifo)
            .claim(|o| o.expect(flat(&o.stdout).contains("fifo, which is not read here"), "the policy is not shown")),
        quick("waits_for_no_lock", &["--lock-file", "{dir}/fifo", "--bind", "{dir}", "{dir}"])
            .setup(fifo)
            .tweak(Tweak::Umask(0o22)),
        Case::new("waits_for_no_command")
            .on_host()
            .options(["--bind", "{dir}", "/mnt", "--dry-run"])
            .run(["/mnt/fifo"])
            .setup(fifo)
            .status(1),
        // These have to be read, but what can be read twice is as it was.
        Case::new("reads_arguments_again")
            .fd(7, Fd::args(&["--ro-bind", "/", "/"]))
            .script("{bwrap} --args 7 --dry-run true > /dev/null && {bwrap} --args 7 echo hi")
            .ok()
            .stdout("hi\n"),
        left("reads_no_file", "--file 7 /tmp/x"),
        left("reads_no_data", "--ro-bind-data 7 /tmp/x"),
        left("reads_no_program", "--seccomp 7"),
        left("reads_no_added_program", "--add-seccomp-fd 7"),
        left("reads_no_block_fd", "--block-fd 7"),
        left("reads_no_policy", "--seccomp-policy /dev/fd/7"),
    ]
}

/// A line of the command has at most 80 columns, with the backslash that ends it.
fn wrapping() -> Vec<Case> {
    let case = |name: &str, length: usize, shown: &str| {
        let (word, shown) = ("b".repeat(length), shown.replace('b', &"b".repeat(length)));
        Case::new(name).on_host().options(["--dry-run"]).run(["echo", &word, "c"]).ok().claim(move |o| {
            o.expect(o.stdout.contains(&format!("\ncommand\n{shown}\n")), &format!("it is not shown as {shown:?}"))
        })
    };
    vec![
        case("lines_of_80_columns", 71, "  echo b \\\n      c"),
        case("lines_of_81_columns", 72, "  echo \\\n      b \\\n      c"),
        case("lines_of_one_more_word", 69, "  echo b c"),
    ]
}

fn fifo(s: &mut Setup) -> Result<()> {
    nix::unistd::mkfifo(&s.path("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o644)).map_err(|e| e.to_string())
}

/// The notes of the plan that was written to fd 8: what each is about, and what it says.
fn noted(o: &Outcome) -> Result<Vec<(String, String)>> {
    let plan: Value = serde_json::from_str(&o.raw(8)).map_err(|e| e.to_string())?;
    let text = |note: &Value, member: &str| note[member].as_str().unwrap_or_default().to_owned();
    Ok(plan["notes"].as_array().ok_or("no notes")?.iter().map(|note| (text(note, "about"), text(note, "message"))).collect())
}

/// A sandbox that starts, with a note about this that says these words, as text and as JSON.
fn note(name: &str, options: &[&str], about: &'static str, said: &'static str) -> Case {
    let case =
        Case::new(name).options(["--dry-run", "--dry-run-json", "8"]).options(options).run(["/usr/bin/true"]).fd(8, Fd::Capture);
    case.ok().claim(move |o| {
        let dir = o.dir.to_string_lossy().into_owned();
        let said = said.replace("{dir}", &dir);
        let notes = noted(o)?;
        let is_it = |(found, message): &(String, String)| found == about && message.contains(&said);
        o.expect(notes.iter().any(is_it), &format!("no note about {about} says {said:?}: {notes:?}"))?;
        let said = said.replace(&dir, "{dir}");
        o.expect(flat(&o.stdout).contains(&said), "the text does not have it")
    })
}

fn socket(name: &'static str) -> impl Fn(&mut Setup) -> Result<()> + Send + Sync + 'static {
    move |s| {
        let listener = std::os::unix::net::UnixListener::bind(s.path(name)).map_err(|e| e.to_string())?;
        s.hold(listener);
        Ok(())
    }
}

const HOST: [&str; 3] = ["--ro-bind", "/", "/"];
/// Of the host /usr alone.
fn usr_alone() -> Vec<&'static str> {
    [&["--ro-bind", "/usr", "/usr"][..], &MERGED_USR].concat()
}

/// Each note is provoked once, and does not change the status.
fn notes() -> Vec<Case> {
    let usr = |name: &str, options: &[&str], about, said| note(name, &[&usr_alone()[..], options].concat(), about, said);
    let bound =
        |name: &str, dest: &str, said| usr(name, &["--bind", "{dir}/socket", dest], "socket", said).setup(socket("socket"));
    vec![
        bound("notes_docker", "/run/docker.sock", "COMMAND can connect to the Docker daemon, which is root, at /run/docker.sock"),
        bound("notes_system_bus", "/run/dbus/system_bus_socket", "COMMAND can connect to the D-Bus system bus"),
        bound("notes_session_bus", "/bus", "the D-Bus session bus, which can start programs outside, at /bus")
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/bus,guid=0"),
        bound("notes_session_bus_by_its_directory", "/run/me/bus", "the D-Bus session bus").env("XDG_RUNTIME_DIR", "/run/me"),
        bound("notes_ssh_agent", "/agent", "COMMAND can connect to ssh-agent, which signs with the keys, at /agent")
            .env("SSH_AUTH_SOCK", "/agent"),
        bound("notes_x11", "/tmp/.X11-unix/X7", "the X11 server, which shows every key that is pressed, at /tmp/.X11-unix/X7")
            .env("DISPLAY", ":7.0"),
        note("notes_secrets", &HOST, "variables", "look like secrets: A_TOKEN, MY_PASSWORD (see --clearenv)")
            .env("A_TOKEN", "hunter2")
            .env("MY_PASSWORD", "hunter2")
            .env("NAME", "hunter2")
            .env("SET_SECRET", "hunter2")
            .options(["--setenv", "SET_SECRET", "x"])
            .claim(|o| o.expect(!o.raw(1).contains("hunter2") && !o.raw(8).contains("hunter2"), "a value is shown")),
        note("notes_home", &HOST, "home", "COMMAND can read the home directory {dir}/home").dir("home"),
        note("notes_home_elsewhere", &usr_alone(), "home", "COMMAND can read the home directory {dir}/home")
            .dir("home")
            .options(["--symlink", "{dir}", "/link", "--bind", "{dir}", "{dir}"]),
        note("notes_foreign_proc", &HOST, "proc", "the PID namespace is new, but /proc shows the host's processes")
            .options(["--unshare-pid"]),
        usr("notes_no_proc", &["--unshare-pid"], "proc", "the PID namespace is new, but there is no /proc"),
        note("notes_closed_devices", &HOST, "dev", "/dev/null cannot be opened: binds give no access to devices, use --dev"),
        usr("notes_no_devices", &[], "dev", "/dev/null is missing"),
        usr("notes_no_names", &[], "network", "the network is shared, but /etc/resolv.conf is missing"),
        usr(
            "notes_dangling_names",
            &["--symlink", "/run/resolv.conf", "/etc/resolv.conf"],
            "network",
            "/etc/resolv.conf is a link to /run/resolv.conf → /run, which is missing, so names cannot",
        ),
        Case::new("notes_terminal").on_host().options(["--dry-run"]).run(["true"]).terminal().status(0).claim(|o| {
            o.expect(flat(&o.stdout).contains("may be able to type into it: --new-session or --seccomp-default"), "no note")
        }),
        note("notes_ports", &HOST, "ports", "ports are limited for TCP only: UDP")
            .options(["--tcp-connect", "443"])
            .needs(has_ports),
    ]
}

fn notes_of_masks() -> Vec<Case> {
    let of_proc = |name: &str, options: &[&str]| {
        let case = Case::new(name).options(["--dry-run"]).options(HOST).options(options).run(["/usr/bin/true"]).status(1);
        case.claim(|o| o.expect(flat(&o.stdout).contains("would fail: it leads through a link in a procfs"), "it would not fail"))
    };
    // Nothing to be said about masks.
    let quiet = |name: &str, options: &[&str]| {
        let case = Case::new(name)
            .options(["--dry-run-json", "8", "--cap-drop", "ALL"])
            .options(HOST)
            .options(options)
            .run(["/usr/bin/true"]);
        case.fd(8, Fd::Capture).ok().claim(|o| {
            let notes = noted(o)?;
            o.expect(notes.iter().all(|(about, _)| about != "masks"), &format!("a note about masks: {notes:?}"))
        })
    };
    vec![
        of_proc("mask_of_a_link_of_proc", &["--proc", "/p", "--mask", "/p/mounts"]),
        of_proc("mask_by_a_link_of_proc", &["--mask", "/proc/net/tcp"]),
        of_proc("mask_led_by_a_link_of_proc", &["--mask", "{dir}/l"]).symlink("/proc/self/status", "l"),
        note("notes_mask_of_hard_link", &HOST, "masks", "{dir}/f has 2 hard links, and its mask hides this one alone")
            .options(["--mask", "{dir}/f"])
            .file("f", "")
            .setup(|s| std::fs::hard_link(s.path("f"), s.path("g")).map_err(|error| error.to_string())),
        note(
            "notes_mask_of_another_bind",
            &HOST,
            "masks",
            "what is masked at {dir}/d can also be found at /mnt/d: mask that too",
        )
        .options(["--bind", "{dir}", "/mnt", "--mask", "{dir}/d"])
        .dir("d"),
        note(
            "notes_mask_below_another_bind",
            &HOST,
            "masks",
            "what is masked at /mnt/f can also be found at {dir}/d/f: mask that too",
        )
        .options(["--bind", "{dir}/d", "/mnt", "--mask", "/mnt/f"])
        .file("d/f", ""),
        note(
            "notes_mask_of_a_file",
            &HOST,
            "masks",
            "renames another onto, as editors do, is visible from then on: mask its directory",
        )
        .options(["--mask", "{dir}/f"])
        .file("f", ""),
        note("notes_mask_of_patterns", &HOST, "masks", "is visible from then on").options(["--mask-glob", "{dir}/**/x"]),
        note(
            "notes_mask_below_a_writable_directory",
            &HOST,
            "masks",
            "COMMAND can rename {dir}/a, and a later run would not find what is masked at {dir}/a/b/f there: mask {dir}/a, or bind it \
             read-only",
        )
        .options(["--bind", "{dir}", "{dir}", "--mask", "{dir}/a/b/f"])
        .file("a/b/f", ""),
        quiet("notes_no_mask_in_a_writable_directory", &["--bind", "{dir}", "{dir}", "--mask", "{dir}/d"]).dir("d"),
        quiet(
            "notes_no_mask_below_a_read_only_directory",
            &["--bind", "{dir}", "{dir}", "--ro-bind", "{dir}/a", "{dir}/a", "--mask", "{dir}/a/d"],
        )
        .dir("a/d"),
        quiet("notes_no_mask_of_a_directory", &["--mask", "{dir}/d"]).dir("d"),
        quiet("notes_no_mask_of_both_binds", &["--bind", "{dir}", "/mnt", "--mask", "{dir}/d", "--mask", "/mnt/d"]).dir("d"),
        quiet("notes_no_mask_of_nothing", &["--mask", "{dir}/d"]),
        note("notes_handles", &HOST, "handles", "it can open every file of a bound file system by its handle")
            .root_only()
            .options(["--cap-drop", "ALL", "--cap-add", "CAP_DAC_READ_SEARCH"]),
        quiet("notes_no_handles_in_a_namespace", &["--unshare-user", "--uid", "0", "--cap-add", "CAP_DAC_READ_SEARCH"]),
        note("notes_masks", &HOST, "masks", "COMMAND has CAP_SYS_ADMIN over its mounts").options([
            "--unshare-user",
            "--uid",
            "0",
            "--cap-add",
            "CAP_SYS_ADMIN",
            "--tmpfs",
            "/srv",
        ]),
    ]
}

/// Where there is nothing to remark there is no note.
fn quiet() -> Vec<Case> {
    let tight =
        ["--unshare-all", "--clearenv", "--new-session", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dry-run"];
    vec![
        Case::new("notes_nothing")
            .options(usr_alone())
            .options(tight)
            .options(["--unshare-user", "--cap-drop", "ALL", "--dry-run-json", "8"])
            .env("A_TOKEN", "x")
            .env("SSH_AUTH_SOCK", "{dir}/home")
            .fd(8, Fd::Capture)
            .run(["/usr/bin/true"])
            .ok()
            .claim(|o| {
                o.expect(noted(o)?.is_empty(), "there is something")?;
                o.expect(!o.stdout.contains("\nnotes\n"), "a heading for nothing")
            }),
        // Whether the kernel has it is another matter.
        Case::new("notes_no_ports_that_are_limited")
            .on_host()
            .options(["--tcp-connect", "443", "--udp-connect", "53", "--dry-run-json", "8"])
            .fd(8, Fd::Capture)
            .run(["true"])
            .stderr("")
            .claim(|o| o.expect(noted(o)?.iter().all(|(about, _)| about != "ports"), "a note about ports")),
        // A home of its own is no note, and neither is a file that is called like a socket.
        Case::new("notes_no_home_of_its_own")
            .on_host()
            .options(["--tmpfs", "{dir}/home", "--dry-run", "--dry-run-json", "8", "--unshare-user"])
            .dir("home")
            .env("SSH_AUTH_SOCK", "/etc/passwd")
            .fd(8, Fd::Capture)
            .run(["true"])
            .ok()
            .claim(|o| {
                let notes = noted(o)?;
                // A desktop has sockets of its own.
                let is_wrong = |(about, message): &(String, String)| about == "home" || message.contains("/etc/passwd");
                o.expect(!notes.iter().any(is_wrong), &format!("{notes:?}"))
            }),
    ]
}
