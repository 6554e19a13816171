//! Filters beside each other and beside PID 1: whom each is for, in which order they are installed, and what is found before that.
//!
//! COMMAND is a program of four instructions that writes and exits, so that a policy need not allow anything else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::harness::{Case, Exit, Fd, Outcome, Result, Setup, filter};
use crate::sys::Instruction;

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = for_command();
    cases.extend(refused_execution());
    cases.extend(order());
    cases.extend(impossible());
    let mut cases: Vec<Case> = cases.into_iter().map(Case::ours_only).collect();
    cases.extend(programs());
    cases
}

/// Writes `hi` and exits with 7, by write and exit_group alone.
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[
    0xb8, 1, 0, 0, 0, // mov eax, SYS_write
    0xbf, 1, 0, 0, 0, // mov edi, 1
    0x48, 0x8d, 0x35, 21, 0, 0, 0, // lea rsi, [rip + 21]
    0xba, 3, 0, 0, 0, // mov edx, 3
    0x0f, 0x05, // syscall
    0xb8, 231, 0, 0, 0, // mov eax, SYS_exit_group
    0xbf, 7, 0, 0, 0, // mov edi, 7
    0x0f, 0x05, // syscall
    0x0f, 0x0b, // ud2
    b'h', b'i', b'\n',
];
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;

/// The same.
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0x20, 0x00, 0x80, 0xd2, // mov x0, 1
    0x01, 0x01, 0x00, 0x10, // adr x1, 32
    0x62, 0x00, 0x80, 0xd2, // mov x2, 3
    0x08, 0x08, 0x80, 0xd2, // mov x8, SYS_write
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0xe0, 0x00, 0x80, 0xd2, // mov x0, 7
    0xc8, 0x0b, 0x80, 0xd2, // mov x8, SYS_exit_group
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0x20, 0x00, 0x20, 0xd4, // brk 1
    b'h', b'i', b'\n',
];
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// An executable file of that code: one header, one segment.
fn tiny() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let length = HEADERS + u64::try_from(CODE.len()).unwrap_or(0);
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([2_u16, MACHINE].map(u16::to_le_bytes).concat());
    file.extend(1_u32.to_le_bytes());
    file.extend([BASE + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    file.extend(0_u32.to_le_bytes());
    file.extend([64_u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    // PT_LOAD, readable and executable.
    file.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    file.extend([0, BASE, BASE, length, length, 0x1000].map(u64::to_le_bytes).concat());
    file.extend(CODE);
    file
}

fn put_tiny(s: &mut Setup) -> Result<()> {
    s.file("tiny", tiny())?;
    fs::set_permissions(s.path("tiny"), fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())
}

/// What the adversary's policies are: nothing but this is allowed.
fn only(allowed: &[&str], otherwise: &Value) -> Value {
    let mut policy = json!({ "syscalls": [{ "names": allowed, "action": "SCMP_ACT_ALLOW" }] });
    for (key, value) in otherwise.as_object().into_iter().flatten() {
        policy[key] = value.clone();
    }
    policy
}

fn errno(number: u32) -> Value {
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": number })
}

fn kill() -> Value {
    json!({ "defaultAction": "SCMP_ACT_KILL_PROCESS" })
}

/// All that the program needs.
const NEEDED: [&str; 3] = ["execve", "write", "exit_group"];

/// A sandbox with this policy and the program.
fn with(name: &str, policy: &Value) -> Case {
    let policy = policy.to_string();
    let case = Case::new(name).setup(put_tiny).setup(move |s| s.file("policy.json", &policy)).on_host();
    case.options(["--json-status-fd", "8", "--seccomp-policy", "{dir}/policy.json"]).fd(8, Fd::Capture).run(["{dir}/tiny"])
}

/// It ran, and everybody knows.
fn ran(case: Case) -> Case {
    case.status(7).stdout("hi\n").stderr("").claim(|o| o.expect(o.fd(8).ends_with("{ \"exit-code\": 7 }\n"), "no exit code"))
}

/// Whether PID 1 is filtered, once it waits for COMMAND and so is all that it is going to be, and whether COMMAND is: 2 is yes.
pub(super) const MODES: &str = "until grep -q '^State:.S' /proc/1/status; do :; done
    sed -n 's/^Seccomp:[^0-9]*//p' /proc/1/status /proc/self/status";

/// Policies are for COMMAND: PID 1 waits, writes and exits whatever they say.
fn for_command() -> Vec<Case> {
    let mut cases = vec![];
    for (policy, name) in
        [(only(&NEEDED, &errno(38)), "least"), (only(&NEEDED, &errno(1)), "least_eperm"), (only(&NEEDED, &kill()), "least_kill")]
    {
        cases.push(ran(with(&format!("{name}_policy"), &policy)));
        cases.push(ran(with(&format!("{name}_policy_with_pid_1"), &policy).options(["--unshare-pid"])));
        cases.push(ran(with(&format!("{name}_policy_with_a_lock"), &policy)
            .file("lock", "")
            .options(["--lock-file", "{dir}/lock"])));
        cases.push(ran(with(&format!("{name}_policy_with_signals"), &policy).options(["--unshare-all", "--forward-signals"])));
        // The array of arguments is made before the filter, which may refuse the memory for it.
        cases.push(ran(with(&format!("{name}_policy_with_many_arguments"), &policy).run(vec!["word"; 8000])));
    }
    let modes = |name: &str, options: &[&str], expected: &str| {
        let case = Case::new(name).unrefused("there is one filter more").on_host().options(["--proc", "/proc", "--unshare-pid"]);
        let case = case.options(options).run(["sh", "-c", MODES]);
        case.ok().stdout(expected)
    };
    let program = Fd::memfd(bytes(ALLOW, &[]));
    cases.extend([
        modes("pid_1_without_policies", &["--seccomp-default"], "0\n2\n"),
        modes("pid_1_with_a_program", &["--seccomp", "9"], "2\n2\n").fd(9, program.clone()),
        modes("pid_1_with_a_program_beside_a_policy", &["--seccomp-default", "--add-seccomp-fd", "9"], "2\n2\n").fd(9, program),
    ]);
    cases
}

/// A policy that refuses to execute COMMAND is found before anything is done, and nobody is told of a sandbox.
fn refused_execution() -> Vec<Case> {
    let refused = |name: &str, policy: &Value| {
        let case = with(name, policy).dir("made").options(["--bind", "{dir}/made", "/mnt", "--dir", "/mnt/in"]);
        case.fails("bwrap: COMMAND cannot be executed under the policy in {dir}/policy.json: it refuses execve")
            .wrote(8, "")
            .claim(|o| o.expect_tree("made/in", None))
    };
    let missing = |name: &str, otherwise: &Value| {
        let case = with(name, &only(&NEEDED, otherwise)).options(["--", "/nonexistent"]);
        case.fails("bwrap: execvp /nonexistent: No such file or directory").claim(no_exit_code)
    };
    let rule =
        |action: &str| json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["execve"], "action": action }] });
    vec![
        refused("exit_only", &only(&["exit", "exit_group"], &errno(1))),
        refused("exit_only_with_pid_1", &only(&["exit", "exit_group"], &errno(1))).options(["--unshare-pid"]),
        refused("nothing_at_all", &json!({ "defaultAction": "SCMP_ACT_ERRNO" })),
        refused("execve_is_an_error", &rule("SCMP_ACT_ERRNO")),
        refused("execve_kills", &rule("SCMP_ACT_KILL_PROCESS")),
        refused("execve_kills_the_thread", &rule("SCMP_ACT_KILL_THREAD")),
        refused("execve_traps", &rule("SCMP_ACT_TRAP")),
        refused("execve_is_refused_in_a_dry_run", &rule("SCMP_ACT_ERRNO")).options(["--dry-run"]),
        refused("execve_is_refused_beside_a_program", &rule("SCMP_ACT_ERRNO"))
            .options(["--seccomp", "9"])
            .fd(9, Fd::memfd(bytes(ALLOW, &[]))),
        ran(with("execve_is_logged", &rule("SCMP_ACT_LOG"))),
        // It may be executed if somebody traces and says so; nobody does.
        with("execve_is_traced", &rule("SCMP_ACT_TRACE"))
            .fails("bwrap: execvp {dir}/tiny: Function not implemented")
            .claim(no_exit_code),
        // Arguments that can be known of no program's are not taken for ones that are refused.
        ran(with(
            "execve_of_nothing_is_refused",
            &json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["execve"], "action": "SCMP_ACT_KILL",
                "args": [{ "index": 0, "value": 0, "op": "SCMP_CMP_EQ" }] }] }),
        )),
        // What cannot be found does not run either, and that can be said even where all else kills.
        missing("no_such_program", &errno(38)),
        missing("no_such_program_where_all_else_kills", &kill()),
        missing("no_such_program_with_pid_1", &kill()).options(["--unshare-pid"]),
    ]
}

fn no_exit_code(o: &Outcome) -> Result<()> {
    o.expect(o.fd(8).contains("child-pid") && !o.fd(8).contains("exit-code"), "an exit code of what was not executed")
}

/// What refuses the installation of others comes after them, wherever it stands.
fn order() -> Vec<Case> {
    let shown = |filters: &'static [&'static str]| {
        move |o: &Outcome| {
            let found: Vec<&str> =
                o.stdout.lines().skip_while(|line| !line.starts_with("  filters")).take(filters.len()).collect();
            let expected: Vec<String> = filters
                .iter()
                .enumerate()
                .map(|(index, name)| format!("  {:<13}{name}", ["filters", ""][index.min(1)]))
                .collect();
            o.expect(found == expected, &format!("expected {expected:?}"))
        }
    };
    let first = |name: &str, policy: &Value, options: &[&str]| ran(with(name, policy).options(options));
    let mut cases = vec![];
    let traced = json!({ "defaultAction": "SCMP_ACT_TRACE" });
    for (policy, name) in
        [(only(&NEEDED, &errno(38)), "least"), (only(&NEEDED, &kill()), "kill"), (only(&NEEDED, &traced), "traced")]
    {
        cases.push(first(&format!("{name}_before_the_built_in_one"), &policy, &["--seccomp-default"]));
        cases.push(first(&format!("{name}_twice"), &policy, &["--seccomp-policy", "{dir}/policy.json"]));
        cases.push(
            first(&format!("{name}_beside_tcp"), &policy, &["--seccomp-default", "--tcp-connect", "443"])
                .needs(super::beyond::has_ports),
        );
    }
    let pretended = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["prctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0 } ] })
    .to_string();
    let logged = json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"] }).to_string();
    let without =
        |call: &str| json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": [call], "action": "SCMP_ACT_KILL" }] });
    cases.extend([
        // Where prctl does nothing and says that it did, what comes after is not in force.
        Case::new("prctl_that_seems_to_succeed")
            .setup(move |s| s.file("policy.json", &pretended))
            .on_host()
            .options(["--dev", "/dev", "--seccomp-policy", "{dir}/policy.json", "--seccomp-default"])
            .run(["sh", "-c", "unshare -U true 2> /dev/null || echo refused"])
            .ok()
            .stdout("refused\n"),
        // It may do so where nobody could have foreseen it: by the address that the call comes from, of which nothing is known before.
        Case::new("prctl_that_seems_to_succeed_by_its_address")
            .on_host()
            .options(["--add-seccomp-fd", "9", "--seccomp-default"])
            .fd(9, Fd::memfd(by_address()))
            .run(["true"])
            .fails("bwrap: An existing filter prevents the installation of the built-in policy"),
        // A profile with flags is installed by another call.
        ran(with("seccomp_is_refused", &without("seccomp"))
            .setup(move |s| s.file("logged.json", &logged))
            .options(["--seccomp-policy", "{dir}/logged.json"])),
        // The caller's own program goes last as well: else the policy could not be installed.
        ran(with("program_that_refuses_prctl", &only(&NEEDED, &json!({ "defaultAction": "SCMP_ACT_LOG" })))
            .options(["--add-seccomp-fd", "9"])
            .fd(9, Fd::memfd(bytes(ALLOW, &[(libc::SYS_prctl, ERRNO | 1)])))),
        ran(with("late_program_that_refuses_prctl", &only(&NEEDED, &json!({ "defaultAction": "SCMP_ACT_LOG" })))
            .options(["--seccomp", "9"])
            .fd(9, Fd::memfd(bytes(ALLOW, &[(libc::SYS_prctl, ERRNO | 1)])))),
        with("order_is_shown", &only(&NEEDED, &kill()))
            .cwd("{dir}")
            .options(["--seccomp-default", "--add-seccomp-fd", "9", "--add-seccomp-fd", "10", "--seccomp-policy", "/dev/fd/11"])
            .options(["--dry-run"])
            .fd(9, Fd::memfd(bytes(ALLOW, &[])))
            .fd(10, Fd::memfd(bytes(ALLOW, &[(libc::SYS_umask, ERRNO | 1)])))
            .fd(11, Fd::memfd(without("seccomp").to_string()))
            .ok()
            .claim(shown(&[
                // They are not read.
                "the program from fd 9",
                "the program from fd 10",
                "the built-in policy",
                "the policy in /dev/fd/11",
            ])),
    ]);
    cases
}

/// Two of which each refuses the other's installation: nothing is run, and nothing is done before that is known.
fn impossible() -> Vec<Case> {
    let policy = only(&NEEDED, &errno(38));
    let refuse_prctl = || Fd::memfd(bytes(ALLOW, &[(libc::SYS_prctl, ERRNO | 1)]));
    let case = |name: &str| {
        let other = only(&NEEDED, &kill()).to_string();
        let case = with(name, &policy).setup(move |s| s.file("other.json", &other)).dir("made");
        case.options(["--bind", "{dir}/made", "/mnt", "--dir", "/mnt/in"])
    };
    let both = "bwrap: Filters that refuse each other's installation:";
    vec![
        case("two_policies")
            .options(["--seccomp-policy", "{dir}/other.json"])
            .fails(&format!("{both} the policy in {{dir}}/policy.json, the policy in {{dir}}/other.json"))
            .wrote(8, "")
            .claim(|o| o.expect_tree("made/in", None)),
        case("program_and_policy")
            .options(["--add-seccomp-fd", "9"])
            .fd(9, refuse_prctl())
            .fails(&format!("{both} a program of 4 instructions, the policy in {{dir}}/policy.json"))
            .wrote(8, "")
            .claim(|o| o.expect_tree("made/in", None)),
        // This one is read when all else is done.
        case("late_program_and_policy")
            .options(["--seccomp", "9"])
            .fd(9, refuse_prctl())
            .fails(&format!("{both} a program of 4 instructions, the policy in {{dir}}/policy.json"))
            .claim(no_exit_code),
    ]
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;

/// A program of the caller's: what it answers to these calls, and to all others.
fn bytes(otherwise: u32, calls: &[(libc::c_long, u32)]) -> Vec<u8> {
    let step = |code, k, jt, jf| Instruction { code, jt, jf, k };
    let mut program = vec![];
    if !calls.is_empty() {
        program.push(step(0x20, 0, 0, 0));
    }
    for (number, answer) in calls {
        program.push(step(0x15, u32::try_from(*number).unwrap_or(u32::MAX), 0, 1));
        program.push(step(0x06, *answer, 0, 0));
    }
    program.push(step(0x06, otherwise, 0, 0));
    filter::bytes(&program)
}

/// A program under which prctl does nothing and succeeds, but not if it came from the address 0.
fn by_address() -> Vec<u8> {
    let step = |code, k, jt, jf| Instruction { code, jt, jf, k };
    let prctl = u32::try_from(libc::SYS_prctl).unwrap_or(u32::MAX);
    filter::bytes(&[
        step(0x20, 0, 0, 0),
        step(0x15, prctl, 0, 3),
        step(0x20, 8, 0, 0),
        step(0x15, 0, 1, 0),
        step(0x06, ERRNO, 0, 0),
        step(0x06, ALLOW, 0, 0),
    ])
}

/// The caller's own programs, as the original has them.
fn programs() -> Vec<Case> {
    let refused = ERRNO | 1;
    let exits = [(libc::SYS_exit, ALLOW), (libc::SYS_exit_group, ALLOW)];
    let mut cases = vec![];
    for (kind, options) in [("", &[][..]), ("_with_pid_1", &["--unshare-pid"])] {
        let status = |name: &str, program: Vec<u8>| {
            let case = Case::new(&format!("{name}{kind}")).on_host().options(["--json-status-fd", "8", "--seccomp", "9"]);
            case.options(options).fd(8, Fd::Capture).fd(9, Fd::memfd(program))
        };
        cases.extend([
            status("program_refuses_execve", bytes(ALLOW, &[(libc::SYS_execve, refused)]))
                .run(["true"])
                .fails("bwrap: execvp true: Operation not permitted")
                .claim(no_exit_code),
            // Nothing can be said or written then, and nothing is told all the same.
            status("program_allows_exit", bytes(refused, &exits)).run(["true"]).status(1).stderr("").claim(no_exit_code),
            status("program_allows_nothing", bytes(refused, &[])).run(["true"]).claim(no_exit_code),
            status("program_allows_exec_and_exit", bytes(refused, &[&exits[..], &[(libc::SYS_execve, ALLOW)]].concat()))
                .run(["/nonexistent"])
                .status(1)
                .stderr("")
                .claim(no_exit_code),
            // The original takes that for COMMAND's end.
            status("program_kills_at_execve", bytes(ALLOW, &[(libc::SYS_execve, libc::SECCOMP_RET_KILL_PROCESS)]))
                .run(["true"])
                .status(159)
                .claim(|o| o.expect(o.fd(8).contains("\"exit-code\": 159"), "no exit code")),
        ]);
        if !options.is_empty() {
            // PID 1 fails, and whether COMMAND was executed before depends on who is faster, with the original, too.
            let refused = status("program_refuses_wait", bytes(ALLOW, &[(libc::SYS_wait4, refused)]));
            cases.push(refused.ours_only().run(["true"]).status(1).claim(no_exit_code));
        }
        let two = |name: &str, first: Vec<u8>, second: Vec<u8>| {
            let case = Case::new(&format!("{name}{kind}")).on_host().options(["--add-seccomp-fd", "8", "--add-seccomp-fd", "9"]);
            case.options(options).fd(8, Fd::memfd(first)).fd(9, Fd::memfd(second)).run(["echo", "hi"])
        };
        let without_prctl = || bytes(ALLOW, &[(libc::SYS_prctl, refused)]);
        let another = || bytes(ALLOW, &[(libc::SYS_reboot, refused)]);
        cases.extend([
            two("programs_the_other_way_round", another(), without_prctl()).ok().stdout("hi\n"),
            two(
                "second_program_kills_the_first_exec",
                another(),
                bytes(ALLOW, &[(libc::SYS_execve, libc::SECCOMP_RET_KILL_PROCESS)]),
            )
            .claim(|o| o.expect_exit(Exit::Code(159))),
        ]);
        let kept = two("programs_keep_their_order", without_prctl(), another());
        let kept = kept.fails("bwrap: prctl(PR_SET_SECCOMP): Operation not permitted");
        // With PID 1 the original says so twice, sometimes into each other.
        cases.push(if options.is_empty() { kept } else { kept.ours_only() });
    }
    cases
}
