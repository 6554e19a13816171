//! `--proc-pid`: a procfs of processes alone, also below one that is partly hidden where the kernel allows that.

use super::fails;
use crate::harness::{Case, Result};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let requires = "bwrap: --proc-pid requires --unshare-pid or --pidns";
    let look = "cat /proc/self/comm /proc/1/comm; ls /proc | grep -v '^[0-9]' | tr '\\n' ' '";
    let case = |name: &str, options: &[&str]| {
        let case = Case::new(name).on_host().options(["--dev", "/dev", "--unshare-pid", "--proc-pid", "/proc"]).options(options);
        case.run(["sh", "-c", look]).ok()
    };
    let alone = "cat\nbwrap\nself thread-self ";
    let cases = vec![
        case("alone", &[]).stdout(alone),
        case("all_namespaces", &["--unshare-all", "--unshare-user", "--disable-userns", "--uid", "5"]).stdout(alone),
        case("root_in_its_namespace", &["--unshare-user", "--uid", "0", "--cap-add", "ALL"]).stdout(alone),
        fails("without_a_pid_namespace", &["--ro-bind", "/", "/", "--proc-pid", "/proc", "true"], requires),
        fails("no_path", &["--proc-pid"], "bwrap: --proc-pid takes an argument"),
        fails("empty", &["--proc-pid", ""], "bwrap: --proc-pid does not take an empty path argument"),
        case("is_shown", &["--dry-run"]).claim(|o| o.expect(o.stdout.contains("proc, new, processes only"), "it is not shown")),
        // As in a container: a part of the procfs around is covered.
        masked("below_a_masked_one", "--proc-pid", "echo hi").needs(is_new).user_only().stdout("hi\n"),
        masked("whole_below_a_masked_one", "--proc", "echo hi")
            .needs(is_new)
            .user_only()
            .stdout("")
            .claim(|o| o.expect(o.stderr.contains("bwrap: hint: ") && o.stderr.contains("by --proc-pid"), "no hint")),
        masked("below_a_masked_one_on_an_old_kernel", "--proc-pid", "echo hi").needs(is_old).user_only().stdout("").claim(|o| {
            o.expect(
                o.stderr.contains("Can't mount proc on /proc") && o.stderr.contains("is allowed from Linux 7.1 on, and this is "),
                "no hint",
            )
        }),
    ];
    cases.into_iter().map(Case::ours_only).collect()
}

/// A sandbox in one whose procfs is masked.
fn masked(name: &str, option: &str, command: &str) -> Case {
    let script = format!(
        "unshare -Urmpf --mount-proc sh -c 'mount -t tmpfs x /proc/sys && exec {{bwrap}} --level-prefix --ro-bind / / --dev /dev --unshare-user --unshare-pid {option} /proc {command}'"
    );
    Case::new(name).script(&script)
}

fn version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-', '+']).map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn is_new() -> Result<()> {
    if version() >= (7, 1) { Ok(()) } else { Err("the kernel is older than 7.1".to_owned()) }
}

fn is_old() -> Result<()> {
    if version() < (7, 1) { Ok(()) } else { Err("the kernel has it".to_owned()) }
}
