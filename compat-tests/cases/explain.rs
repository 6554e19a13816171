//! `--explain`: what is suggested, what is only told, and that COMMAND's status and output are its own.
//! Whether the next try works with what is suggested, `compat-tests/learn` shows on real programs.

use super::learn::{NO_OPENAT2, has_listener};
use crate::harness::{Case, Fd, Outcome, Result};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let cases = [missing(), refused(), documents()];
    cases.into_iter().flatten().map(|case| case.ours_only().needs(has_listener).unrefused(NO_OPENAT2)).collect()
}

const HEADING: &str = "bwrap: the host has what COMMAND did not get; options that would give it:\n";

/// The host, read-only, with the scratch directory hidden.
fn hidden(name: &str, options: &[&str]) -> Case {
    let case = Case::new(name).on_host().options(["--unshare-user", "--dev", "/dev", "--proc", "/proc"]);
    case.options(["--tmpfs", "{dir}", "--chdir", "/"]).options(options).options(["--explain"])
}

/// The end of what is said on stderr.
fn told(lines: &'static str) -> impl Fn(&Outcome) -> Result<()> {
    move |o| {
        let ours = o.stderr.find("bwrap: the host has").and_then(|start| o.stderr.get(start..)).unwrap_or_default();
        o.expect_text("the explanation", ours, &o.expand(&format!("{HEADING}{lines}")))
    }
}

/// The system's programs without the working directory, which has a file, and with a variable HOME that nothing is in.
fn elsewhere(name: &str, options: &[&str]) -> Case {
    const SYSTEM: [&str; 8] = ["--ro-same", "/usr", "--ro-same", "/bin", "--ro-same", "/lib", "--ro-same", "/lib64"];
    let case = Case::new(name).options(["--unshare-user", "--dev", "/dev"]).options(SYSTEM).options(["--proc", "/proc"]);
    case.options(options).options(["--explain"]).cwd("{dir}").file("a", "found").env("HOME", "/none")
}

fn missing() -> Vec<Case> {
    vec![
        elsewhere("relative", &[])
            .run(["cat", "a"])
            .status(1)
            .claim(told("--ro-same {dir}/a   # the sandbox lacks the working directory\n")),
        elsewhere("relative_next_try", &["--ro-same", "{dir}/a"]).run(["cat", "a"]).ok().stdout("found"),
        // Not of the working directory's own, or not looked for there.
        elsewhere("relative_to_chdir", &["--chdir", "/"])
            .run(["cat", "a"])
            .status(1)
            .stderr("cat: a: No such file or directory\n"),
        elsewhere("absolute", &[])
            .setup(|s| s.file("etc/none", ""))
            .run(["cat", "/etc/none"])
            .status(1)
            .stderr("cat: /etc/none: No such file or directory\n"),
        elsewhere("relative_beside_home", &["--dir", "{dir}/ho"])
            .setup(|s| s.file("me/me/b", ""))
            .env("HOME", "{dir}/ho")
            .cwd("{dir}/me")
            .run(["cat", "{dir}/home/b"])
            .status(1)
            .claim(|o| o.expect(!o.stderr.contains("bwrap:"), "a name that only begins like the directory")),
        hidden("a_file", &[])
            .file("a", "")
            .run(["sh", "-c", "cat {dir}/a 2> /dev/null; echo so; exit 3"])
            .status(3)
            .stdout("so\n")
            .stderr(&format!("{HEADING}--ro-same {{dir}}/a\n")),
        hidden("nothing", &[]).run(["sh", "-c", "cat {dir}/a 2> /dev/null; exit 3"]).status(3).stderr(""),
        hidden("the_next_try", &["--ro-same", "{dir}/a"]).file("a", "found").run(["cat", "{dir}/a"]).ok().stdout("found"),
        hidden("a_link_of_the_sandbox", &["--tmpfs", "/mnt", "--symlink", "{dir}/a", "/mnt/l", "--symlink", "none", "/mnt/m"])
            .file("a", "")
            .run(["sh", "-c", "cat /mnt/l /mnt/m 2> /dev/null; true"])
            .status(0)
            .claim(told("--ro-same {dir}/a   # /mnt/l → {dir}/a\n")),
        // COMMAND itself, which was never executed.
        hidden("no_command", &[])
            .file("a", "")
            .run(["{dir}/a"])
            .status(1)
            .claim(|o| {
                o.expect(o.stderr.starts_with(&o.expand("bwrap: execvp {dir}/a: No such file")), "the failure is not told")
            })
            .claim(told("--ro-same {dir}/a\n")),
        hidden("keys", &[])
            .dir("home/.ssh")
            .file("home/.ssh/id_rsa", "")
            .run(["sh", "-c", "cat {dir}/home/.ssh/id_rsa 2> /dev/null; true"])
            .status(0)
            .claim(told("# {dir}/home/.ssh/id_rsa: may hold keys or tokens; not suggested\n")),
        hidden("hostile_names", &[])
            .setup(|s| s.file("x\n--bind \u{202e}\u{1b}[31m", ""))
            .run(["sh", "-c", "cat \"$(printf '%s' '{dir}/x\n--bind \u{202e}\u{1b}[31m')\" 2> /dev/null; true"])
            .status(0)
            .claim(told("--ro-same \"{dir}/x\\x0a--bind \\xe2\\x80\\xae\\x1b[31m\"\n")),
        hidden("many", &[])
            .setup(|s| (0..40).try_for_each(|n| s.file(&format!("{n}/f"), "")))
            .run(["sh", "-c", "for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat {dir}/$i/f 2> /dev/null; done; true"])
            .status(0)
            .claim(|o| o.expect(o.stderr.lines().count() == 12, "other than 12 lines"))
            .claim(|o| o.expect(o.stderr.contains("# and 7 more"), "the rest is not counted")),
        hidden("a_socket", &[])
            .setup(|s| {
                s.hold(std::os::unix::net::UnixListener::bind(s.path("door")).map_err(|error| error.to_string())?);
                Ok(())
            })
            .run(["sh", "-c", "test -e {dir}/door; true"])
            .status(0)
            .claim(told("--ro-same {dir}/door   # gives access to whatever listens there\n")),
    ]
}

const POLICY: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
    {"names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS"}]}"#;

fn refused() -> Vec<Case> {
    let policy = |name: &str, options: &[&str]| {
        let case = hidden(name, options).setup(|s| s.file("policy", POLICY));
        case.options(["--seccomp-policy", "{dir}/policy", "--tmpfs", "/tmp"])
    };
    let mkdir = "mkdir /tmp/x 2> /dev/null; echo $?; test -e /tmp/x; echo $?";
    vec![
        hidden("read_only", &["--ro-bind", "{dir}", "{dir}"])
            .dir("w")
            .run(["sh", "-c", "true > {dir}/w/new; true"])
            .claim(told("--same {dir}/w   # it is read-only\n")),
        policy("by_a_policy", &[]).run(["sh", "-c", mkdir]).status(0).stdout("1\n1\n").claim(|o| {
            let names = ["mkdir", "mkdirat"].map(|name| format!("# a policy refuses {name} (EOPNOTSUPP)"));
            o.expect(o.stderr.lines().any(|line| names.iter().any(|name| line == name)), "not told")
        }),
        // What is worse than an errno is the kernel's.
        policy("killed_by_a_policy", &["--unshare-uts"]).run(["sh", "-c", "hostname other; echo $?"]).status(0).stdout("159\n"),
        // Without a namespace of its own COMMAND could look into whoever answers: the filter stays the kernel's, and is not told.
        Case::new("by_a_policy_without_namespaces")
            .root_only()
            .on_host()
            .setup(|s| s.file("policy", POLICY))
            .options([
                "--cap-drop",
                "ALL",
                "--dev-bind",
                "/dev",
                "/dev",
                "--tmpfs",
                "/tmp",
                "--seccomp-policy",
                "{dir}/policy",
                "--explain",
            ])
            .run(["sh", "-c", mkdir])
            .status(0)
            .stdout("1\n1\n")
            .claim(|o| o.expect(!o.stderr.contains("a policy refuses"), "told")),
    ]
}

fn documents() -> Vec<Case> {
    vec![
        hidden("as_json", &["--error-fd", "3"])
            .file("a", "")
            .fd(3, Fd::Capture)
            .run(["sh", "-c", "cat {dir}/a 2> /dev/null; exit 3"])
            .status(3)
            .wrote(3, "{\"version\":1,\"step\":\"explanation\",\"option\":\"--ro-same\",\"path\":\"{dir}/a\",\"message\":\"--ro-same {dir}/a\"}\n"),
        Case::new("by_dry_run")
            .on_host()
            .options(["--dry-run", "--explain"])
            .run(["true"])
            .ok()
            .claim(|o| o.expect_line("  restrictions what COMMAND lacks is explained at its end")),
    ]
}
