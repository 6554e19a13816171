//! What went wrong before, in the reference or around it, as far as it has to do with processes: each by its name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::nested::{has_nsenter, two_user_namespaces};
use crate::harness::{Case, Fd, Result, Setup, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = published();
    cases.extend(privileged_files());
    cases.extend(statuses());
    cases.extend(interrupted());
    cases.extend(nothing_left());
    cases
}

/// The host's root with its devices, for programs that need /dev/null.
const DEVICES: [&str; 3] = ["--dev-bind", "/", "/"];

fn published() -> Vec<Case> {
    let mut cases = vec![];
    // What COMMAND may see of PID 1 and of the monitor, which is what it may trace.
    let trace = "for p in $P; do for f in root cwd ns/mnt exe fd/0; do readlink /proc/$p/$f >/dev/null && echo $f; done
                 cat /proc/$p/environ >/dev/null 2>&1 && echo environ; (: </proc/$p/mem) 2>/dev/null && echo mem; done; echo done";
    let first = trace.replace("$P", "1");
    cases.push(
        Case::new("cve_2016_8659_first_process")
            .user_only()
            .options(DEVICES)
            .options(["--unshare-pid", "--proc", "/proc"])
            .run(["sh", "-c", &first])
            .status(0),
    );
    let parent = trace.replace("$P", "$PPID");
    cases.push(Case::new("cve_2016_8659_monitor").user_only().options(DEVICES).run(["sh", "-c", &parent]));
    cases.push(
        Case::new("cve_2016_8659_with_capabilities")
            .user_only()
            .options(DEVICES)
            .options(["--cap-add", "ALL"])
            .run(["sh", "-c", &parent]),
    );
    // Input that is put into the caller's terminal would be executed by the caller's shell. Root may do that to any terminal.
    let push = "perl -e '$x = \"x\"; ioctl(STDIN, 0x5412, $x) ? print \"pushed\\n\" : print \"refused\\n\"'";
    let session = Case::new("cve_2017_5226").user_only().terminal().options(DEVICES).options(["--new-session"]);
    cases.push(session.run(["sh", "-c", push]).ok().stdout("refused\n"));
    let session = Case::new("cve_2017_5226_no_terminal").terminal().options(DEVICES).options(["--new-session"]);
    let session = session.run(["{probe}", "--probe", "x", "process"]).ok();
    cases.push(session.claim(|o| o.expect_line("terminal: no").and_then(|()| o.expect_line("session: own"))));
    // No capabilities are left after the last user namespace was joined.
    for (name, options) in [("cve_2020_5291", &[][..]), ("cve_2020_5291_pid", &["--unshare-pid"][..])] {
        let case = Case::new(name).user_only().needs(has_nsenter).setup(two_user_namespaces).on_host();
        let case = case.options(["--userns", "5", "--userns2", "6"]).options(options);
        let case = case.run(["sh", "-c", "grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status"]).ok();
        cases.push(case.claim(|o| o.expect(o.stdout.lines().all(|line| line.ends_with("\t0000000000000000")), "capabilities")));
    }
    // After the options nothing is an option.
    let words = ["--ro-bind", "--tmpfs", "/", "--version", "--", "--uid", "0"];
    let shell = ["sh", "-c", "echo \"$@\"; ls -d /etc", "name"];
    let echoed = "--ro-bind --tmpfs / --version -- --uid 0\n/etc\n";
    cases.push(Case::new("cve_2024_32462").on_host().run(shell).run(words).ok().stdout(echoed));
    cases.push(Case::new("cve_2024_32462_dashes").on_host().options(["--"]).run(shell).run(words).ok().stdout(echoed));
    let version = Case::new("cve_2024_32462_command").on_host().options(["--"]).run(["--version"]);
    cases.push(version.fails("bwrap: execvp --version: No such file or directory"));
    let file = Case::new("cve_2024_32462_args")
        .on_host()
        .fd(7, Fd::args(&["--dir", "/tmp", "--", "--version"]))
        .options(["--args", "7"]);
    cases.push(file.run(shell).run(words).ok().stdout(echoed));
    cases
}

/// A copy of ours that everybody may execute, with these mode bits, belonging to root. The reference needs its loader, which
/// makes nothing of the bits.
fn copy(s: &mut Setup, mode: u32) -> Result<PathBuf> {
    let copy = s.copy_program("bwrap", "copy")?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).map_err(|e| e.to_string())?;
    s.keep_for_root("copy");
    Ok(copy)
}

pub(crate) fn may_set_ids() -> Result<()> {
    let mount = nix::sys::statvfs::statvfs("/tmp").map_err(|e| e.to_string())?;
    let nosuid = mount.flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID);
    let root = nix::unistd::geteuid().is_root();
    if root && !nosuid { Ok(()) } else { Err("needs root, and a /tmp that is not nosuid".to_owned()) }
}

fn may_set_capabilities() -> Result<()> {
    may_set_ids()?;
    Command::new("setcap").arg("-h").output().map(drop).map_err(|e| format!("setcap: {e}"))
}

fn privileged_files() -> Vec<Case> {
    let case = |name: &str, mode: u32| {
        let case = Case::new(name).user_only().ours_only().setup(move |s| copy(s, mode).map(drop));
        case.script("./copy --ro-bind / / id -u").unrefused("a filter takes the bits their effect")
    };
    let refused = "bwrap: setuid use of bubblewrap is not supported";
    vec![
        case("cve_2026_41163", 0o4755).needs(may_set_ids).fails(refused),
        case("cve_2026_41163_group", 0o2755).needs(may_set_ids).fails(refused),
        case("cve_2026_41163_both", 0o6755).needs(may_set_ids).fails(refused),
        case("file_without_bits", 0o755).ok().stdout("54321\n").needs(may_set_ids),
        case("file_with_capabilities", 0o755)
            .needs(may_set_capabilities)
            .setup(|s| {
                let status = Command::new("setcap").arg("cap_net_raw+ep").arg(s.path("copy")).status();
                if status.is_ok_and(|status| status.success()) { Ok(()) } else { Err("setcap failed".to_owned()) }
            })
            .fails("bwrap: Unexpected capabilities but not setuid, old file caps config?"),
        // The loader of the reference needs a word, so only ours can be started with none.
        Case::new("no_arguments_at_all").ours_only().tweak(Tweak::NoArguments).status(1).stdout(""),
    ]
}

fn statuses() -> Vec<Case> {
    let mut cases = vec![];
    let rows: [(&str, &[&str]); 5] = [
        ("", &[]),
        ("_pid", &["--unshare-pid"]),
        ("_sync", &["--sync-fd", "7"]),
        ("_sync_pid", &["--unshare-pid", "--sync-fd", "7"]),
        ("_first", &["--unshare-pid", "--as-pid-1"]),
    ];
    for (suffix, options) in rows {
        let case = Case::new(&format!("ignored_child_signal{suffix}")).on_host().options(options).fd(7, Fd::Capture);
        let case = case.options(["--json-status-fd", "8"]).fd(8, Fd::Capture).tweak(Tweak::IgnoreSignal(libc::SIGCHLD));
        cases.push(case.run(["sh", "-c", "(exit 3); exit 7"]).status(7).stderr(""));
        let case = Case::new(&format!("blocked_child_signal{suffix}")).on_host().options(options).fd(7, Fd::Capture);
        cases.push(case.tweak(Tweak::BlockSignal(libc::SIGCHLD)).run(["sh", "-c", "(exit 3); exit 7"]).status(7).stderr(""));
        let case = Case::new(&format!("args_are_closed{suffix}")).on_host().options(options).fd(7, Fd::path("/dev/null"));
        let case =
            case.fd(8, Fd::args(&["--dir", "/tmp"])).fd(9, Fd::pipe("--dir\0/tmp\0")).options(["--args", "8", "--args", "9"]);
        let case = case.run(["{probe}", "--probe", "x", "fds"]).ok();
        cases.push(case.claim(|o| o.expect(!o.stdout.contains("\n8: ") && !o.stdout.contains("\n9: "), "left open")));
    }
    for (option, id) in [("--uid", "2147483648"), ("--gid", "4294967294")] {
        let name = format!("{}_{id}", option.trim_start_matches('-'));
        cases.push(Case::new(&name).on_host().options(["--unshare-user", option, id]).run(["true"]));
    }
    // Number 0 is an fd like any other.
    let zero = Case::new("userns_0").setup(|s| {
        let n = s.namespaces(libc::CLONE_NEWUSER, &format!("0 {} 1", s.uid), &format!("0 {} 1", s.gid))?;
        s.pass(0, n.open("user")?);
        s.hold(n);
        Ok(())
    });
    cases.push(zero.on_host().options(["--userns", "0"]).run(["sh", "-c", "id; cat /proc/self/uid_map /proc/self/gid_map"]));
    cases
}

/// Stopped and continued again and again while it is set up and while it waits: calls are interrupted, and nothing is lost.
fn interrupted() -> Vec<Case> {
    let mut cases = vec![];
    for (suffix, options) in [("", &[][..]), ("_pid", &["--unshare-pid"][..]), ("_sync", &["--sync-fd", "7"][..])] {
        let case = Case::new(&format!("interrupted{suffix}")).on_host().options(options).fd(7, Fd::Capture);
        let case = case.options(["--info-fd", "8", "--block-fd", "9"]).fd(8, Fd::Capture).fd(9, Fd::Held);
        cases.push(case.run(["sh", "-c", "echo hi; exit 7"]).status(7).stdout("hi\n").stderr("").during(|live| {
            let child = i32::try_from(live.wait_for_number(8, "child-pid")?).map_err(|e| e.to_string())?;
            let monitor = live.pid()?;
            for _ in 0..30 {
                for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
                    for pid in [child, monitor] {
                        kill(Pid::from_raw(pid), signal).map_err(|e| format!("{signal}: {e}"))?;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
            live.close(9)
        }));
    }
    cases
}

pub(crate) fn has_unshare() -> Result<()> {
    let found = ["unshare", "setpriv"].iter().all(|tool| Command::new(tool).arg("--version").output().is_ok());
    if found && nix::unistd::geteuid().is_root() { Ok(()) } else { Err("needs root, unshare and setpriv".to_owned()) }
}

/// Nobody of ours is there any more when the set-up has failed: the pipe that all of them have ends.
fn nothing_left() -> Vec<Case> {
    let mut cases = vec![];
    let rows = [
        ("mount", "--bind /nonexistent /x true"),
        ("chdir", "--chdir /nonexistent true"),
        ("exec", "/nonexistent"),
        ("data", "--tmpfs /tmp --ro-bind-data 9 /tmp/x true"),
        ("lock", "--lock-file /nonexistent true"),
        ("userns", "--assert-userns-disabled true"),
        ("info", "--info-fd 9 true"),
    ];
    for (name, words) in rows {
        for (suffix, options) in [("", ""), ("_pid", "--unshare-pid"), ("_all", "--unshare-all --json-status-fd 4 4>/dev/null")] {
            let script = format!("mkfifo out; {{bwrap}} --ro-bind / / {options} {words} >out & cat out; wait $!; echo $?");
            let case = Case::new(&format!("left_after_failed_{name}{suffix}")).script(&script).stdout("1\n");
            // The reference leaves its child behind.
            cases.push(if name == "info" { case.ours_only() } else { case });
        }
    }
    cases.push(Case::new("hidden_processes").root_only().needs(has_unshare).script(
        "exec unshare -pfm --kill-child sh -c 'mount -t proc -o hidepid=2 proc /proc || exit
         mkfifo -m 666 out
         setpriv --reuid 54321 --regid 54321 --clear-groups {bwrap} --ro-bind / / --unshare-pid --proc /proc true >out & cat out; wait $!
         echo $?'",
    ));
    cases
}
