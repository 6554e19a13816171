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
    let mut cases = whole_ones();
    cases.extend([
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
            .claim(|o| o.expect(o.stderr.contains("bwrap: hint: ") && o.stderr.contains("--proc-pid works"), "no hint")),
        masked("below_a_masked_one_on_an_old_kernel", "--proc-pid", "echo hi").needs(is_old).user_only().stdout("").claim(|o| {
            o.expect(
                o.stderr.contains("Can't mount proc on /proc") && o.stderr.contains("--proc-pid needs Linux 7.1, and this is "),
                "no hint",
            )
        }),
    ]);
    cases.into_iter().map(Case::ours_only).collect()
}

/// COMMAND of root's mounts a whole procfs in namespaces of its own, in which the kernel's settings would be root's to write.
fn whole_ones() -> Vec<Case> {
    const MOUNT: &str = "python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000 | 0x20000000 | 0x00020000): raise OSError(ctypes.get_errno(), \"unshare\")
if os.fork() == 0:
    for options in b\"\", b\"hidepid=invisible\":
        if libc.mount(b\"proc\", b\"/mnt\", b\"proc\", 0, options) == 0: print(\"mounted\", os.access(\"/mnt/sys/kernel/core_pattern\", os.W_OK), flush=True)
        else: print(os.strerror(ctypes.get_errno()), flush=True)
    os._exit(0)
os.wait()'";
    let case = |name: &str, option: &str, options: &str| {
        let script = format!(
            "{{bwrap}} --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --dir /mnt --unshare-pid {option} /proc {options} {MOUNT}"
        );
        Case::new(&format!("whole_procfs_of_root_{name}")).tools(&["python3"]).root_only().script(&script)
    };
    // An ordinary user's can do so as well, and may not write to what is root's there.
    let user = |name: &str, options: &[&str]| {
        let case = Case::new(name).on_host().options(["--dev", "/dev", "--unshare-pid", "--proc-pid", "/proc"]).options(options);
        case.user_only().run([
            "unshare",
            "-Urmpf",
            "sh",
            "-c",
            "mount -t proc x /mnt && cat /mnt/sys/kernel/ostype && ! test -w /mnt/sys/kernel/core_pattern",
        ])
    };
    let none = "Operation not permitted\nOperation not permitted\n";
    let mut cases = vec![
        // Later kernels do not take a procfs of processes alone for one that shows all.
        user("known_whole_procfs_of_a_user", &[]).needs(is_old).ok().stdout("Linux\n"),
        user("whole_procfs_of_a_user_disabled", &["--unshare-user", "--disable-userns"]).status(1).stdout(""),
    ];
    for (suffix, option) in [("proc", "--proc"), ("proc_pid", "--proc-pid")] {
        for (name, options) in [
            ("without_capabilities", "--cap-drop ALL"),
            ("in_its_namespace", "--unshare-user --cap-drop ALL"),
            ("with_another_id", "--unshare-user --uid 1000"),
            ("of_pid_1", "--unshare-user --uid 1000 --as-pid-1"),
        ] {
            cases.push(case(&format!("{name}_{suffix}"), option, options).stdout(none));
        }
    }
    cases
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
    if version() < (7, 1) { Ok(()) } else { Err("the kernel is not older than 7.1".to_owned()) }
}
