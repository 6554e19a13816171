//! The command line: grammar, help and version, the operands of every option, environment, capabilities.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{USAGE, fails, plain, usage};
use crate::harness::{Case, Field, Result, options};

const OVERLAY_SRC: &str =
    "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay";

/// Every option that takes operands: how many, and its complaint about too few.
const OPERANDS: [(&str, usize, &str); 48] = [
    ("--add-seccomp-fd", 1, "takes an argument"),
    ("--args", 1, "takes an argument"),
    ("--argv0", 1, "takes one argument"),
    ("--bind", 2, "takes two arguments"),
    ("--bind-data", 2, "takes two arguments"),
    ("--bind-fd", 2, "takes two arguments"),
    ("--bind-try", 2, "takes two arguments"),
    ("--block-fd", 1, "takes an argument"),
    ("--cap-add", 1, "takes an argument"),
    ("--cap-drop", 1, "takes an argument"),
    ("--chdir", 1, "takes one argument"),
    ("--chmod", 2, "takes two arguments"),
    ("--dev", 1, "takes an argument"),
    ("--dev-bind", 2, "takes two arguments"),
    ("--dev-bind-try", 2, "takes two arguments"),
    ("--dir", 1, "takes an argument"),
    ("--exec-label", 1, "takes an argument"),
    ("--file", 2, "takes two arguments"),
    ("--file-label", 1, "takes an argument"),
    ("--gid", 1, "takes an argument"),
    ("--hostname", 1, "takes an argument"),
    ("--info-fd", 1, "takes an argument"),
    ("--json-status-fd", 1, "takes an argument"),
    ("--lock-file", 1, "takes an argument"),
    ("--mqueue", 1, "takes an argument"),
    ("--overlay", 3, "takes three arguments"),
    ("--overlay-src", 1, OVERLAY_SRC),
    ("--perms", 1, "takes an argument"),
    ("--pidns", 1, "takes an argument"),
    ("--proc", 1, "takes an argument"),
    ("--remount-ro", 1, "takes one argument"),
    ("--ro-bind", 2, "takes two arguments"),
    ("--ro-bind-data", 2, "takes two arguments"),
    // It complains in the other one's name.
    ("--ro-bind-fd", 2, "--bind-fd takes two arguments"),
    ("--ro-bind-try", 2, "takes two arguments"),
    ("--ro-overlay", 1, "takes an argument"),
    ("--seccomp", 1, "takes an argument"),
    ("--setenv", 2, "takes two arguments"),
    ("--size", 1, "takes an argument"),
    ("--symlink", 2, "takes two arguments"),
    ("--sync-fd", 1, "takes an argument"),
    ("--tmp-overlay", 1, "takes an argument"),
    ("--tmpfs", 1, "takes an argument"),
    ("--uid", 1, "takes an argument"),
    ("--unsetenv", 1, "takes an argument"),
    ("--userns", 1, "takes an argument"),
    ("--userns-block-fd", 1, "takes an argument"),
    ("--userns2", 1, "takes an argument"),
];

/// The options that take none.
const SWITCHES: [&str; 20] = [
    "--as-pid-1",
    "--assert-userns-disabled",
    "--clearenv",
    "--die-with-parent",
    "--disable-userns",
    "--help",
    "--level-prefix",
    "--new-session",
    "--not-a-security-boundary",
    "--share-net",
    "--unshare-all",
    "--unshare-cgroup",
    "--unshare-cgroup-try",
    "--unshare-ipc",
    "--unshare-net",
    "--unshare-pid",
    "--unshare-user",
    "--unshare-user-try",
    "--unshare-uts",
    "--version",
];

/// Operands with an empty path among them; what is needed before stands first.
const EMPTY_PATHS: [&[&str]; 31] = [
    &["--bind", "", "/x"],
    &["--bind", "/x", ""],
    &["--bind-data", "0", ""],
    &["--bind-fd", "0", ""],
    &["--bind-try", "", "/x"],
    &["--bind-try", "/x", ""],
    &["--chdir", ""],
    &["--chmod", "700", ""],
    &["--dev", ""],
    &["--dev-bind", "", "/x"],
    &["--dev-bind", "/x", ""],
    &["--dev-bind-try", "", "/x"],
    &["--dev-bind-try", "/x", ""],
    &["--dir", ""],
    &["--file", "0", ""],
    &["--lock-file", ""],
    &["--mqueue", ""],
    &["--overlay", "", "/b", "/c"],
    &["--overlay", "/a", "", "/c"],
    &["--overlay", "/a", "/b", ""],
    &["--proc", ""],
    &["--remount-ro", ""],
    &["--ro-bind", "", "/x"],
    &["--ro-bind", "/x", ""],
    &["--ro-bind-data", "0", ""],
    &["--ro-bind-fd", "0", ""],
    &["--ro-overlay", ""],
    &["--symlink", "", "/x"],
    &["--symlink", "x", ""],
    &["--tmp-overlay", ""],
    &["--tmpfs", ""],
];

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [grammar(), help(), operands(), command(), environment(), capabilities()].into_iter().flatten().collect()
}

fn grammar() -> Vec<Case> {
    let unknown = ["--bind=x", "-x", "-", "-h", "--ver", "--unknown", "---", "--Bind", "--dir=/x", "--bind "];
    let unknown = unknown
        .iter()
        .enumerate()
        .map(|(index, word)| fails(&format!("unknown_{index}"), &[word, "/", "/"], &format!("bwrap: Unknown option {word}")));
    let mut cases = unknown.collect::<Vec<_>>();
    cases.extend([
        usage("no_arguments", &[]),
        usage("no_command", &["--dir", "/x"]),
        usage("no_command_after_dashes", &["--dir", "/x", "--"]),
        fails("unknown_after_others", &["--dir", "/x", "--nope", "true"], "bwrap: Unknown option --nope"),
        fails("first_error_wins", &["--nope", "--uid", "x"], "bwrap: Unknown option --nope"),
        // A command is any word that begins with something else, and what follows it is the command's.
        fails("empty_command", &[""], "bwrap: execvp : No such file or directory"),
        fails("empty_command_after_dashes", &["--", ""], "bwrap: execvp : No such file or directory"),
        fails("command_is_dashes", &["--", "--"], "bwrap: execvp --: No such file or directory"),
        fails("command_like_an_option", &["--", "--nope"], "bwrap: execvp --nope: No such file or directory"),
        Case::new("options_of_the_command").on_host().run(["echo", "--bind", "--", "--help"]).ok().stdout("--bind -- --help\n"),
        Case::new("dashes_before_the_command").on_host().run(["--", "echo", "--", "x"]).ok().stdout("-- x\n"),
        Case::new("operand_like_an_option")
            .on_host()
            .options(["--setenv", "A", "--help"])
            .run(["sh", "-c", "echo $A"])
            .ok()
            .stdout("--help\n"),
        Case::new("operand_is_dashes")
            .on_host()
            .options(["--setenv", "A", "--"])
            .run(["sh", "-c", "echo $A"])
            .ok()
            .stdout("--\n"),
        fails(
            "path_like_an_option",
            &["--ro-bind", "--nope", "/x", "true"],
            "bwrap: Can't find source path --nope: No such file or directory",
        ),
        Case::new("not_utf8").options([OsStr::from_bytes(b"--\xff")]).fails("bwrap: Unknown option --\\xff"),
        // From the option on, messages carry their level.
        fails("level_prefix", &["--level-prefix", "--nope"], "<3>bwrap: Unknown option --nope"),
        fails("level_prefix_too_late", &["--nope", "--level-prefix"], "bwrap: Unknown option --nope"),
        fails(
            "level_prefix_of_sandbox",
            &["--level-prefix", "--chdir", "/none", "true"],
            "<3>bwrap: Can't chdir to /none: No such file or directory",
        ),
        Case::new("level_prefix_of_warning")
            .options(["--level-prefix", "--chdir", "/usr", "--chdir", "/"])
            .on_host()
            .run(["pwd"])
            .status(0)
            .stdout("/\n")
            .stderr("<4>bwrap: Only the last --chdir option will take effect\n"),
        usage("level_prefix_of_usage", &["--level-prefix"]),
    ]);
    cases
}

fn help() -> Vec<Case> {
    let help = |name: &str, words: &[&str]| Case::new(name).options(words).ok().stdout(USAGE);
    // Only the first two words are the reference's.
    let two_words = |text: &str| text.split(' ').take(2).collect::<Vec<_>>().join(" ").trim_end().to_owned();
    let version = |name: &str, words: &[&str]| Case::new(name).options(words).ok().blur(Field::Stdout, two_words);
    vec![
        help("help", &["--help"]).claim(|o| {
            let listed = options(&o.raw(1));
            let all = OPERANDS.iter().map(|row| row.0).chain(SWITCHES);
            let missing = all.filter(|option| !listed.contains(*option)).collect::<Vec<_>>();
            o.expect(missing.is_empty(), &format!("not in the help: {}", missing.join(" ")))
        }),
        help("help_before_errors", &["--help", "--nope"]),
        fails("help_after_errors", &["--nope", "--help"], "bwrap: Unknown option --nope"),
        help("help_before_version", &["--help", "--version"]),
        help("help_between_modifier_and_action", &["--perms", "700", "--help"]),
        version("version", &["--version"])
            .claim(|o| o.expect(o.stdout.starts_with("bubblewrap 0.13.1") && o.stdout.ends_with('\n'), "not the version")),
        version("version_before_help", &["--version", "--help"]),
        version("version_between_modifier_and_action", &["--size", "7", "--version"]),
    ]
}

fn operands() -> Vec<Case> {
    let mut cases = vec![];
    for (option, count, complaint) in OPERANDS {
        let line = if complaint.starts_with("--") { complaint.to_owned() } else { format!("{option} {complaint}") };
        for given in 0..count {
            let words = [option].into_iter().chain(std::iter::repeat_n("0", given)).collect::<Vec<_>>();
            let name = format!("too_few_operands_{}_{given}", plain(option));
            cases.push(fails(&name, &words, &format!("bwrap: {line}")));
        }
    }
    for words in EMPTY_PATHS {
        let option = words[0];
        let sources = match option {
            "--overlay" | "--tmp-overlay" => 1,
            "--ro-overlay" => 2,
            _ => 0,
        };
        let at = words.iter().position(|w| w.is_empty()).unwrap_or(0);
        let sources = ["--overlay-src", "/"].repeat(sources);
        let words = sources.into_iter().chain(words.iter().copied()).collect::<Vec<_>>();
        let name = format!("empty_path_{}_{at}", plain(option));
        cases.push(fails(&name, &words, &format!("bwrap: {option} does not take an empty path argument")));
    }
    cases
}

fn command() -> Vec<Case> {
    let run = |name: &str, words: &[&str]| Case::new(name).on_host().options(["--tmpfs", "{dir}"]).run(words);
    vec![
        run("command_status", &["sh", "-c", "exit 7"]).status(7).stderr(""),
        run("command_in_path", &["true"]).ok(),
        run("command_with_slash", &["/bin/true"]).ok(),
        run("command_missing", &["no-such-command"]).fails("bwrap: execvp no-such-command: No such file or directory"),
        run("command_missing_with_slash", &["/no/such"]).fails("bwrap: execvp /no/such: No such file or directory"),
        run("command_is_a_directory", &["/usr"]).fails("bwrap: execvp /usr: Permission denied"),
        run("command_not_executable", &["/etc/passwd"]).fails("bwrap: execvp /etc/passwd: Permission denied"),
        Case::new("command_not_utf8").run([OsStr::from_bytes(b"\xfe")]).fails("bwrap: execvp \\xfe: No such file or directory"),
        run("argv0", &["--argv0", "other", "sh", "-c", "echo $0"]).ok().stdout("other\n"),
        run("argv0_empty", &["--argv0", "", "sh", "-c", "echo \"[$0]\""]).ok().stdout("[]\n"),
        fails("argv0_twice", &["--argv0", "a", "--argv0", "a"], "bwrap: --argv0 used multiple times"),
    ]
}

fn environment() -> Vec<Case> {
    let run = |name: &str, words: &[&str]| Case::new(name).options(words).probe_on_host(&["env"]);
    let shows = |name: &str, words: &[&str], text: &str| run(name, words).ok().stdout(&format!("[env]\n{text}"));
    let rest = "HOME={dir}/home\nLANG=C\nPATH=/usr/local/bin:/usr/bin:/bin\nPWD={dir}\n";
    let with = |line: &str| format!("{line}\n{rest}");
    vec![
        shows("environment_as_it_is", &[], rest),
        shows("setenv", &["--setenv", "A", "1"], &with("A=1")),
        shows("setenv_empty_value", &["--setenv", "A", ""], &with("A=")),
        shows("setenv_last_wins", &["--setenv", "A", "1", "--setenv", "A", "2"], &with("A=2")),
        shows("setenv_value_with_equals", &["--setenv", "A", "b=c"], &with("A=b=c")),
        shows("unsetenv", &["--setenv", "A", "1", "--unsetenv", "A"], rest),
        shows("unsetenv_missing", &["--unsetenv", "A"], rest),
        shows("environment_in_order", &["--unsetenv", "A", "--setenv", "A", "2"], &with("A=2")),
        shows("clearenv", &["--clearenv"], "PWD={dir}\n"),
        shows("clearenv_in_order", &["--setenv", "A", "1", "--clearenv", "--setenv", "B", "2"], "B=2\nPWD={dir}\n"),
        shows("setenv_pwd_is_no_use", &["--setenv", "PWD", "/x"], rest),
        shows("unsetenv_pwd_is_no_use", &["--unsetenv", "PWD"], rest),
        Case::new("environment_not_utf8")
            .options([OsStr::new("--setenv"), OsStr::from_bytes(b"\xfe"), OsStr::from_bytes(b"\xff")])
            .probe_on_host(&["env"])
            .ok()
            .claim(|o| o.expect_line("\\xfe=\\xff")),
        run("setenv_path_finds_the_command", &["--setenv", "PATH", "/no"]).run(["x"]).ok(),
        Case::new("setenv_path_finds_nothing")
            .on_host()
            .options(["--setenv", "PATH", "/no"])
            .run(["true"])
            .fails("bwrap: execvp true: No such file or directory"),
        Case::new("clearenv_leaves_the_default_path").on_host().options(["--clearenv"]).run(["true"]).ok(),
        fails("setenv_name_with_equals", &["--setenv", "A=B", "x", "true"], "bwrap: setenv failed"),
        fails("setenv_without_name", &["--setenv", "", "x", "true"], "bwrap: setenv failed"),
        fails("setenv_fails_before_later_errors", &["--setenv", "A=B", "x", "--nope"], "bwrap: setenv failed"),
        fails("unsetenv_name_with_equals", &["--unsetenv", "A=B", "true"], "bwrap: unsetenv failed"),
        fails("unsetenv_without_name", &["--unsetenv", "", "true"], "bwrap: unsetenv failed"),
    ]
}

/// Whether the runner, if it is root, has every capability that the kernel knows.
fn all_capabilities() -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let status = read("/proc/self/status")?;
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap_or_default();
    let last: u32 = read("/proc/sys/kernel/cap_last_cap")?.trim().parse().map_err(|error| format!("cap_last_cap: {error}"))?;
    match u64::from_str_radix(set, 16) {
        Ok(0) => Ok(()),
        Ok(set) if set.count_ones() == last + 1 => Ok(()),
        _ => Err("the runner lacks a capability".to_owned()),
    }
}

fn capabilities() -> Vec<Case> {
    let mut cases = vec![];
    let known = ["ALL", "all", "aLl", "CAP_SYS_ADMIN", "cap_sys_admin", "Cap_Net_Admin", "0", "40", "41", "63"];
    let unknown = ["sys_admin", "64", "99", "-1", "cap_bogus", "CAP_ALL", "all,x", ""];
    for option in ["--cap-add", "--cap-drop"] {
        for (index, cap) in known.iter().enumerate() {
            let name = format!("{}_{}_{index}", plain(option), plain(cap));
            let case = Case::new(&name).options([option, cap]).probe_on_host(&["caps"]).ok();
            // Root that lacks one capability gets no set at all from the reference, which goes on as if nothing had been asked.
            cases.push(
                if name.starts_with("cap_add_ALL") || name.starts_with("cap_add_all") || name.starts_with("cap_add_aLl") {
                    case.needs(all_capabilities)
                } else {
                    case
                },
            );
        }
        cases.push(
            Case::new(&format!("{}_trailing_text", plain(option))).options([option, "21x"]).on_host().run(["true"]).stdout(""),
        );
        for (index, cap) in unknown.iter().enumerate() {
            let name = format!("{}_unknown_{index}", plain(option));
            cases.push(fails(&name, &[option, cap, "true"], &format!("bwrap: unknown cap: {cap}")));
        }
    }
    let order = ["--cap-drop", "ALL", "--cap-add", "cap_chown", "--cap-add", "CAP_KILL", "--cap-drop", "cap_chown"];
    cases.push(Case::new("caps_in_order").options(order).probe_on_host(&["caps"]).ok().claim(|o| {
        o.expect_line("permitted: kill")?;
        o.expect_line("ambient: kill")
    }));
    cases.push(Case::new("caps_as_they_are").probe_on_host(&["caps"]).ok());
    cases
}
