//! `--seccomp-policy` and `--seccomp-default`: what a profile says and what the kernel then does, call by call.

use serde_json::{Value, json};
use syscalls::Sysno;

use super::seccomp_model::{CAPABILITY, number, outcome};
use crate::harness::{Case, Fd, Outcome, Result, Setup, Tweak};
use crate::probe::calls::numbers;

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![];
    for (name, profile) in profiles() {
        for (number, args) in ARGUMENTS.iter().enumerate() {
            cases.push(every_call(&format!("every_call_{name}_{number}"), &profile, *args));
        }
    }
    cases.extend(built_in());
    cases.extend(newer_calls());
    cases.extend(large());
    cases.extend(foreign_programs());
    cases.push(of_the_man_page());
    cases.extend(combined());
    cases.extend(capabilities_of_root());
    cases.extend(wrong_files());
    cases.into_iter().map(Case::ours_only).collect()
}

const BUILT_IN: &str = include_str!("../../src/confine/seccomp/default.json");
const CONTAINER: &str = include_str!("../profiles/container.json");

/// Arguments on both sides of what the profiles compare with.
const ARGUMENTS: [[u64; 6]; 6] = [
    [0; 6],
    [2, 0x5412, 2, 3, 4, 5],
    [16, 0x7_0000_541c, 9, 0x1_0000_0000, u64::MAX, 7],
    [0x1000_0080, 1, 0xffff_ffff, 0x8000_0000, 1 << 63, 0],
    [0xffff_ffff, 0x1_0000_5412, 0x7fff_ffff, 0x1_0000_0001, u64::MAX - 1, 8],
    [u64::MAX; 6],
];

/// Profiles that use everything a profile can have.
fn profiles() -> Vec<(&'static str, Value)> {
    let mut default: Value = serde_json::from_str(BUILT_IN).unwrap_or_default();
    // ENOSYS is also what the probe sees of a call that is not refused.
    default["defaultErrnoRet"] = json!(77);
    for element in default["syscalls"].as_array_mut().into_iter().flatten().filter(|element| element["errnoRet"] == json!(38)) {
        element["errnoRet"] = json!(78);
        element.as_object_mut().map(|element| element.remove("errno"));
    }
    let container: Value = serde_json::from_str(CONTAINER).unwrap_or_default();
    let mut killing = container.clone();
    killing["defaultAction"] = json!("SCMP_ACT_KILL_PROCESS");
    vec![
        ("default", default),
        ("operators", operators()),
        ("actions", actions()),
        ("container", container),
        ("podman", podman()),
        ("old", old(424, 500)),
        ("killing", killing),
    ]
}

/// The profile of a container engine of 2018 to 2020: none of the calls from number `first` on and
/// before `end`, and EPERM by default.
fn old(first: u32, end: u32) -> Value {
    let mut profile: Value = serde_json::from_str(CONTAINER).unwrap_or_default();
    for element in profile["syscalls"].as_array_mut().into_iter().flatten() {
        let names = element["names"].as_array().into_iter().flatten();
        let is_new = |name: &&Value| name.as_str().and_then(number).is_some_and(|number| (first..end).contains(&number));
        element["names"] = names.filter(|name| !is_new(name)).cloned().collect();
    }
    profile.as_object_mut().map(|profile| profile.remove("defaultErrnoRet"));
    profile
}

/// What is newer than a profile.
fn newer_calls() -> Vec<Case> {
    const THREADS: &str = "import threading; t = threading.Thread(target=print, args=['hi']); t.start(); t.join()";
    let case = |name: &str, first, end| policy_case(name, &old(first, end).to_string());
    let ran = |o: &Outcome| o.expect_line("it ran");
    // The one and only errno that has programs take their way around.
    let tried = "for (@ARGV) { $! = 0; syscall($_ + 0, -1, 0, 0, 0); print $!+0, ' ' }";
    vec![
        case("old_profile_threads", 424, 500).probe(&["thread"]).ok().claim(ran),
        // One of the end of 2020: faccessat2 (439) is named, clone3 is not.
        case("old_profile_threads_newer", 435, 436).probe(&["thread"]).ok().claim(ran),
        case("old_profile_python", 424, 500).tools(&["python3"]).on_host().run(["python3", "-c", THREADS]).ok().stdout("hi\n"),
        case("old_profile_errnos", 424, 500)
            .on_host()
            .options(["--dev", "/dev"])
            .run(["perl", "-e", tried, &libc::SYS_keyctl.to_string(), "434", "435", "437", "470", "500", "1000000"])
            .ok()
            .stdout("1 38 38 38 38 38 38 "),
        case("old_profile_errnos_newer", 435, 436)
            .on_host()
            .options(["--dev", "/dev"])
            .run(["perl", "-e", tried, &libc::SYS_keyctl.to_string(), "425", "435", "472", "500"])
            .ok()
            .stdout("1 1 38 38 38 "),
    ]
}

/// The example of the man page is a policy, and programs run under it.
fn of_the_man_page() -> Case {
    const PAGE: &str = include_str!("../../man/bwrap.1");
    let example = PAGE
        .split(".Ss Policy files\nFor example:\n.Bd -literal -offset indent\n")
        .nth(1)
        .and_then(|rest| rest.split("\n.Ed").next());
    let text = example.unwrap_or_default().to_owned();
    let case = Case::new("man_page_example").setup(move |s: &mut Setup| s.file("policy.json", &text)).on_host();
    let case = case.options(["--dev", "/dev", "--seccomp-policy", "{dir}/policy.json"]);
    // A program of some size, what the example refuses, and what it refuses the one argument of.
    case.run([
        "perl",
        "-e",
        &format!(
            "print qx(echo run); syscall({}, 0, 0, 0); print $!+0, ' '; ioctl(STDIN, 0x5412, my $a = 1); print $!+0, ' ';
            syscall({}, 0x20000); print $!+0",
            libc::SYS_keyctl,
            libc::SYS_unshare
        ),
    ])
    .ok()
    .stdout("run\n1 1 1")
}

/// COMMAND is a 32-bit program, all of whose calls would be another architecture's.
fn foreign_programs() -> Vec<Case> {
    let (machine, name) = if cfg!(target_arch = "x86_64") { (3, "32-bit x86") } else { (40, "32-bit ARM") };
    let header = [b"\x7fELF\x01\x01\x01", &[0; 9][..], &[2, 0, machine, 0, 1], &[0; 31]].concat();
    let case = |name: &str, command: &str| {
        let (header, command) = (header.clone(), command.to_owned());
        let case = Case::new(name).setup(move |s: &mut Setup| {
            s.file("foreign", &header)?;
            s.mode("foreign", 0o755)
        });
        case.on_host().env("PATH", "{dir}:/usr/bin:/bin").run([command])
    };
    let refused = |command: &str| {
        format!("bwrap: Can't run {command}: it is a program for {name}, and a seccomp policy allows 64-bit system calls only")
    };
    vec![
        case("foreign_program", "{dir}/foreign").options(["--seccomp-default"]).fails(&refused("{dir}/foreign")),
        case("foreign_program_in_path", "foreign")
            .file("policy.json", r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"]}"#)
            .options(["--unshare-all", "--seccomp-policy", "{dir}/policy.json"])
            .fails(&refused("foreign")),
        // There is nothing in it to run; whatever is said of that, the policy is not to blame.
        case("foreign_program_without_a_policy", "{dir}/foreign")
            .claim(|o| o.expect(!o.stderr.contains("policy"), "a policy where there is none")),
    ]
}

/// A file of 1 MiB, whatever is in it, needs little memory: it becomes few rules, is too long, or is no
/// profile.
fn large() -> Vec<Case> {
    let limit = Tweak::Limit(libc::RLIMIT_AS, 64 << 20, 64 << 20);
    // As many of one thing as there is place for.
    let full = |before: &str, repeated: &dyn Fn(usize) -> String, after: &str| {
        let mut text = before.to_owned();
        for index in 0.. {
            let next = repeated(index);
            if text.len() + next.len() + after.len() + 1 > 1 << 20 {
                break;
            }
            text += if index == 0 { "" } else { "," };
            text += &next;
        }
        text + after
    };
    let start = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":["#;
    let arg = |value: usize| json!({ "index": 0, "value": value, "op": "SCMP_CMP_EQ" }).to_string();
    let names = |count: usize| vec![r#""read""#; count].join(",");
    let every = Sysno::iter().map(|call| format!("{:?}", call.name())).collect::<Vec<_>>().join(",");
    let case = |name: &str, text: String| {
        let case = Case::new(name).setup(move |s| s.file("policy.json", &text)).on_host().tweak(limit.clone());
        case.options(["--seccomp-policy", "{dir}/policy.json"]).run(["echo", "hi"])
    };
    let too_long =
        "bwrap: Invalid seccomp policy {dir}/policy.json: it needs more than the 4096 instructions that the kernel accepts";
    let with_names = |names: &str| format!(r#"{start}{{"names":[{names}],"action":"SCMP_ACT_ERRNO","args":["#);
    let refused = |o: &Outcome| o.expect(o.stderr.starts_with("bwrap: Invalid seccomp policy "), "another message");
    vec![
        case("large_one_name_often", full(&with_names(&names(60000)), &arg, "]}]}")).fails(too_long),
        case("large_every_name", full(&with_names(&every), &arg, "]}]}")).fails(too_long),
        case("large_one_rule_often", full(start, &|_| r#"{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}"#.to_owned(), "]}"))
            .ok()
            .stdout("hi\n"),
        case("large_one_condition_often", full(&with_names(r#""mkdir""#), &|_| arg(1), "]}]}")).ok().stdout("hi\n"),
        case(
            "large_many_rules",
            full(start, &|index| format!(r#"{{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","args":[{}]}}"#, arg(index)), "]}"),
        )
        .fails(too_long),
        case("large_small_elements", full(start, &|_| r#"{"action":"SCMP_ACT_LOG"}"#.to_owned(), "]}")).ok().stdout("hi\n"),
        case(
            "large_unknown_names",
            full(&format!(r#"{start}{{"names":["#), &|index| format!("\"{index:x}\""), r#"],"action":"SCMP_ACT_KILL"}]}"#),
        )
        .ok()
        .stdout("hi\n"),
        case("large_depth", "[".repeat(1 << 20)).status(1).claim(refused),
        case("large_depth_of_a_comment", format!(r#"{{"comment":{}"#, "[".repeat(1 << 19))).status(1).claim(refused),
        case("large_word", format!(r#"{{"defaultAction":"{}"}}"#, "\u{7f}".repeat(1 << 19))).status(1).claim(refused),
        case("large_number", format!(r#"{{"defaultErrnoRet":{}}}"#, "1".repeat(1 << 19))).status(1).claim(refused),
    ]
}

/// Each operator on a call of its own, two that have to hold, and several for one argument.
fn operators() -> Value {
    let arg = |index: u32, op: &str, value: u64| json!({ "index": index, "op": format!("SCMP_CMP_{op}"), "value": value });
    let refuse =
        |name: &str, args: Vec<Value>| json!({ "names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 99, "args": args });
    let masked = json!({ "index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 0xffff_ffff_u64, "valueTwo": 0x5412 });
    let high = json!({ "index": 3, "op": "SCMP_CMP_MASKED_EQ", "value": 0x1_0000_0000_u64, "valueTwo": 0x1_0000_0000_u64 });
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        refuse("getpid", vec![arg(3, "EQ", 0x1_0000_0000)]),
        refuse("getppid", vec![arg(3, "NE", 0x1_0000_0000)]),
        refuse("getuid", vec![arg(3, "LT", 0x1_0000_0000)]),
        refuse("geteuid", vec![arg(3, "LE", 0x1_0000_0000)]),
        refuse("getgid", vec![arg(3, "GT", 0x1_0000_0000)]),
        refuse("getegid", vec![arg(3, "GE", 0x1_0000_0000)]),
        refuse("ioctl", vec![masked]),
        refuse("getrandom", vec![high]),
        refuse("socket", vec![arg(0, "EQ", 16), arg(2, "EQ", 9)]),
        refuse("personality", vec![arg(0, "EQ", 2), arg(0, "EQ", 16), arg(0, "GT", 0xffff_ffff)]),
        refuse("getcpu", vec![arg(4, "GE", 1 << 63), arg(5, "LT", 8), arg(2, "NE", 9)]),
    ] })
}

/// Each action, and calls that several rules are about.
fn actions() -> Value {
    let rule = |name: &str, action: &str| json!({ "names": [name], "action": format!("SCMP_ACT_{action}") });
    let some = json!([{ "index": 0, "op": "SCMP_CMP_EQ", "value": 2 }]);
    json!({ "defaultAction": "SCMP_ACT_LOG", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"], "syscalls": [
        rule("prctl", "ALLOW"),
        rule("getpid", "KILL"),
        rule("getppid", "KILL_THREAD"),
        rule("getuid", "KILL_PROCESS"),
        rule("geteuid", "TRAP"),
        rule("getgid", "TRACE"),
        rule("getegid", "LOG"),
        rule("sync", "ERRNO"),
        rule("sync", "ALLOW"),
        { "name": "umask", "action": "SCMP_ACT_ERRNO", "errno": "EXDEV", "errnoRet": 18 },
        { "names": ["getcpu"], "action": "SCMP_ACT_ALLOW" },
        { "names": ["getcpu"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": some },
        { "names": ["times"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5 },
        { "names": ["times"], "action": "SCMP_ACT_TRAP", "args": some },
        { "names": ["no_such_call", "alarm"], "action": "SCMP_ACT_ERRNO", "errnoRet": 6 },
    ] })
}

/// The shape of Podman's: what is not allowed for want of a capability is named once more with its errno, by name and by number, and
/// the default is ENOSYS by name.
fn podman() -> Value {
    let rule = |names: &[&str], action: &str, more: Value| {
        let mut element = json!({ "names": names, "action": action, "args": [], "comment": "", "includes": {}, "excludes": {} });
        for (key, value) in more.as_object().into_iter().flatten() {
            element[key.as_str()] = value.clone();
        }
        element
    };
    let arg = |index: u32, op: &str, value: u64| json!({ "index": index, "value": value, "valueTwo": 0, "op": op });
    let (allow, refuse) = ("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO");
    let programs: Value = serde_json::from_str(CONTAINER).unwrap_or_default();
    let base: Vec<&str> = programs["syscalls"][0]["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    json!({
        "defaultAction": refuse, "defaultErrnoRet": 38, "defaultErrno": "ENOSYS",
        "archMap": programs["archMap"],
        "syscalls": [
            rule(&["bdflush", "io_uring_setup", "kexec_load", "swapon"], refuse, json!({ "errnoRet": 1, "errno": "EPERM" })),
            rule(&base, allow, json!({})),
            rule(&["arch_prctl"], allow, json!({ "includes": { "arches": ["amd64", "x32"] } })),
            rule(&["clone"], allow, json!({ "args": [arg(0, "SCMP_CMP_MASKED_EQ", 0x7e02_0000)] })),
            rule(&["chroot"], allow, json!({ "includes": { "caps": [CAPABILITY] } })),
            rule(&["chroot"], refuse, json!({ "excludes": { "caps": [CAPABILITY] }, "errnoRet": 1, "errno": "EPERM" })),
            rule(&["mount"], allow, json!({ "includes": { "caps": ["CAP_SYS_ADMIN"] } })),
            rule(&["mount"], refuse, json!({ "excludes": { "caps": ["CAP_SYS_ADMIN"] }, "errnoRet": 1, "errno": "EPERM" })),
            rule(&["socket"], refuse, json!({ "args": [arg(0, "SCMP_CMP_EQ", 16), arg(2, "SCMP_CMP_EQ", 9)],
                "excludes": { "caps": ["CAP_AUDIT_WRITE"] }, "errnoRet": 22, "errno": "EINVAL" })),
            rule(&["socket"], allow, json!({ "args": [arg(2, "SCMP_CMP_NE", 9)], "excludes": { "caps": ["CAP_AUDIT_WRITE"] } })),
            rule(&["socket"], allow, json!({ "args": [arg(0, "SCMP_CMP_NE", 16)], "excludes": { "caps": ["CAP_AUDIT_WRITE"] } })),
            rule(&["socket"], allow, json!({ "args": null, "includes": { "caps": ["CAP_AUDIT_WRITE"] } })),
        ],
    })
}

/// Every system call, tried under a profile.
fn every_call(name: &str, profile: &Value, args: [u64; 6]) -> Case {
    let (file, profile) = (profile.to_string(), profile.clone());
    let view = args.map(|arg| format!("{arg:x}")).join(",");
    policy_case(name, &file).probe(&[&format!("calls:{view}")]).ok().claim(move |o| {
        let found: Vec<&str> = o.stdout.lines().skip(1).collect();
        let expected: Vec<String> = numbers().filter_map(|number| outcome(&profile, number, args)).collect();
        let differs = |(found, expected): (&&str, &String)| *found != expected;
        let first = found.iter().zip(&expected).find(|pair| differs(*pair));
        o.expect(found == expected, &format!("not what the profile says, first of all {first:?}"))
    })
}

/// A sandbox with this policy and one capability.
fn policy_case(name: &str, file: &str) -> Case {
    let file = file.to_owned();
    let case = Case::new(name).setup(move |s: &mut Setup| -> Result<()> { s.file("policy.json", &file) });
    case.options(["--unshare-user", "--cap-drop", "ALL", "--cap-add", CAPABILITY, "--seccomp-policy", "{dir}/policy.json"])
}

/// The built-in policy as it is, asked by programs.
fn built_in() -> Vec<Case> {
    let case = |name: &str, script: &str, expected: &str| {
        let case = Case::new(name).on_host().options(["--dev", "/dev", "--seccomp-default"]);
        case.run(["sh", "-c", script]).ok().stdout(expected)
    };
    let by_perl = |name: &str, program: &str, expected: &str| {
        let case = Case::new(name).on_host().options(["--dev", "/dev", "--seccomp-default"]);
        case.run(["perl", "-e", program]).ok().stdout(expected)
    };
    vec![
        case("default_runs_a_shell", "x=$(echo hi | tr h H); (exit 3); echo $x $?", "Hi 3\n"),
        case("default_no_new_namespaces", "unshare -U true 2>&1 | sed 's/.*: //'", "Operation not permitted\n"),
        by_perl("default_x32", "syscall(0x40000000 | 39); print $!+0", "38"),
        // TIOCSTI with and without high bits, and a call that is none.
        by_perl(
            "default_tiocsti",
            "ioctl(STDIN, 0x5412, my $a = 1); print $!+0, ' '; ioctl(STDIN, 0x700005412, $a); print $!+0",
            "1 1",
        ),
        // CLONE_NEWNS, CLONE_NEWTIME, UNSHARE_EMPTY_MNTNS, and CLONE_FS, which is no namespace.
        by_perl(
            "default_unshare",
            &format!("for (0x20000, 0x80, 0x100000, 0x200) {{ $! = 0; syscall({}, $_); print $!+0, ' ' }}", libc::SYS_unshare),
            "1 1 1 0 ",
        ),
        by_perl("default_fchroot", "syscall(472, 0, 0); print $!+0", "1"),
        by_perl("default_vsock", "print socket(S, 40, 1, 0) ? 'made' : $!+0", "97"),
        by_perl("default_keyctl", &format!("syscall({}, 0, 0, 0); print $!+0", libc::SYS_keyctl), "1"),
    ]
}

/// Policies beside each other and beside the caller's filters.
fn combined() -> Vec<Case> {
    let refuse = |name: &str, errno: u32| {
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            { "names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": errno } ] })
        .to_string()
    };
    let both = format!("syscall({}, 0); print $!+0, ' '; syscall({}); print $!+0", libc::SYS_umask, libc::SYS_sync);
    let count = |wanted: &'static str| move |o: &Outcome| o.expect_line(&format!("seccomp filters: {wanted}"));
    vec![
        policy_case("two_policies", &refuse("umask", 18))
            .setup(move |s| s.file("other.json", refuse("sync", 19)))
            .on_host()
            .options(["--dev", "/dev", "--seccomp-policy", "{dir}/other.json"])
            .run(["perl", "-e", &both])
            .ok()
            .stdout("18 19"),
        Case::new("default_counts_once")
            .unrefused("there is one filter more")
            .on_host()
            .options(["--seccomp-default", "--seccomp-default"])
            .run(["{probe}", "--probe", "{namespaces}", "security"])
            .ok()
            .claim(count("1")),
        policy_case("all_namespaces_and_pid_1", &refuse("umask", 18))
            .options(["--unshare-all", "--seccomp-default", "--die-with-parent"])
            .probe(&["security"])
            .ok(),
        policy_case("execve_is_refused_too", &refuse("execve", 18))
            .on_host()
            .run(["true"])
            .fails("bwrap: COMMAND cannot be executed under the policy in {dir}/policy.json: it refuses execve"),
        Case::new("unknown_names_are_shown")
            .on_host()
            .file(
                "policy.json",
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
                {"names":["read","mkdrr","socketcall\u001b"],"action":"SCMP_ACT_KILL"},
                {"names":["of_another"],"action":"SCMP_ACT_KILL","includes":{"arches":["s390"]}}]}"#,
            )
            .options(["--dry-run", "--dry-run-json", "9", "--seccomp-policy", "{dir}/policy.json", "--seccomp-default"])
            .fd(9, Fd::Capture)
            .run(["true"])
            .ok()
            .claim(|o| o.expect_line("               unknown system calls: mkdrr, socketcall?"))
            .claim(|o| {
                let plan: Value = serde_json::from_str(&o.raw(9)).map_err(|error| error.to_string())?;
                o.expect(plan["unknown_calls"] == json!(["mkdrr", "socketcall\u{1b}"]), "not the names")
            }),
        Case::new("no_policy_no_filter")
            .unrefused("there is one filter more")
            .on_host()
            .run(["{probe}", "--probe", "{namespaces}", "security"])
            .ok()
            .claim(count("0")),
    ]
}

/// Root that becomes somebody else in its user namespace has no capabilities once COMMAND is executed, and rules do not think so either.
fn capabilities_of_root() -> Vec<Case> {
    let policy = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "excludes": { "caps": ["CAP_SYS_ADMIN"] } } ] });
    let case = |name: &str, options: &[&str], expected: &str| {
        let text = policy.to_string();
        let case = Case::new(name).setup(move |s| s.file("policy.json", &text)).on_host().options(["--dev", "/dev"]);
        let case = case.options(options).options(["--seccomp-policy", "{dir}/policy.json"]).root_only();
        case.run(["perl", "-e", "$! = 0; syscall(95, 0); print $!+0"]).ok().stdout(expected)
    };
    vec![
        case("root_stays_root", &["--unshare-user", "--uid", "0"], "0"),
        case("root_becomes_somebody", &["--unshare-user", "--uid", "7"], "77"),
        case("root_drops_all", &["--unshare-user", "--cap-drop", "ALL"], "77"),
        case("root_keeps_one_by_name", &["--unshare-user", "--uid", "7", "--cap-add", "CAP_SYS_ADMIN"], "0"),
    ]
}

fn wrong_files() -> Vec<Case> {
    let bad = |name: &str, text: &'static str, said: &'static str| {
        let case = Case::new(name).file("policy.json", text).dir("made").options([
            "--ro-bind",
            "/",
            "/",
            "--bind",
            "{dir}/made",
            "/mnt",
        ]);
        let case = case.options(["--dir", "/mnt/in", "--seccomp-policy", "{dir}/policy.json"]).run(["echo", "hi"]);
        case.fails(&format!("bwrap: Invalid seccomp policy {{dir}}/policy.json: {said}"))
            .claim(|o| o.expect_tree("made/in", None))
    };
    let large = |s: &mut Setup| -> Result<()> { s.file("large.json", " ".repeat((1 << 20) + 1)) };
    vec![
        bad("not_json", "{\n nonsense", "key must be a string at line 2 column 2"),
        bad("empty", "", "EOF while parsing a value at line 1 column 0"),
        bad(
            "unknown_operator",
            "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_KILL\",\n\"args\":[{\"index\":0,\"value\":1,\"op\":\"X\\n\"}]}]}",
            "unknown variant `X?`, expected one of `SCMP_CMP_EQ`, `SCMP_CMP_NE`, `SCMP_CMP_LT`, `SCMP_CMP_LE`, `SCMP_CMP_GT`, `SCMP_CMP_GE`, `SCMP_CMP_MASKED_EQ` at line 3 column 39",
        ),
        Case::new("no_such_file")
            .on_host()
            .options(["--seccomp-policy", "/nonexistent/policy"])
            .run(["true"])
            .fails("bwrap: Can't read seccomp policy /nonexistent/policy: No such file or directory"),
        Case::new("a_directory")
            .on_host()
            .options(["--seccomp-policy", "/"])
            .run(["true"])
            .fails("bwrap: Can't read seccomp policy /: Is a directory"),
        Case::new("too_large")
            .setup(large)
            .on_host()
            .options(["--seccomp-policy", "{dir}/large.json"])
            .run(["true"])
            .fails("bwrap: A seccomp policy has at most 1048576 bytes, unlike {dir}/large.json"),
        Case::new("endless")
            .on_host()
            .options(["--seccomp-policy", "/dev/zero"])
            .run(["true"])
            .fails("bwrap: A seccomp policy has at most 1048576 bytes, unlike /dev/zero"),
        Case::new("from_a_pipe")
            .unrefused("there is one filter more")
            .file("policy.json", BUILT_IN)
            .script("cat policy.json | {bwrap} --ro-bind / / --seccomp-policy /dev/stdin {probe} --probe x security")
            .ok()
            .claim(|o| o.expect_line("seccomp filters: 1")),
    ]
}
