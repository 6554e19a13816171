//! The adversary inside, against processes, devices, the terminal, sockets, user namespaces, capabilities, keys and the kernel.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::inside::{ROOT, attempts, box_of, only};
use crate::cases::history::vulnerabilities_process::may_set_ids;
use crate::cases::sources::runner_is_root;
use crate::harness::{Case, Fd, Result, Setup};
use crate::sys;

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [
        processes(),
        parents(),
        stopped_setups(),
        neighbours(),
        cleared(),
        devices(),
        terminals(),
        sockets(),
        user_namespaces(),
        capabilities(),
        keys(),
        kernel(),
        given(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const ALL_CAPABILITIES: [&str; 7] = ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL"];

/// What the same user's processes may do to each other, whatever namespaces they are in, if one can name the other.
const SAME_USER: [&str; 3] = ["signal", "signal by pidfd", "read its limits"];

/// Everything that can be done to a process that one may trace.
const TRACEABLE: [&str; 19] = [
    "signal",
    "signal by pidfd",
    "trace",
    "attach",
    "read memory",
    "write memory",
    "/proc/PID/mem",
    "take an fd",
    "/proc/PID/exe",
    "/proc/PID/environ",
    "/proc/PID/maps",
    "/proc/PID/root",
    "/proc/PID/cwd",
    "/proc/PID/fd/0",
    "/proc/PID/fd/1",
    "/proc/PID/fd/2",
    "enter its mnt namespace",
    "enter its net namespace",
    "read its limits",
];

/// What the host's root can do to any process that it sees; it shares all namespaces with PID 1.
const OF_REAL_ROOT: [&str; 16] = [
    "signal",
    "signal by pidfd",
    "trace",
    "attach",
    "read memory",
    "write memory",
    "/proc/PID/mem",
    "/proc/PID/exe",
    "/proc/PID/environ",
    "/proc/PID/maps",
    "/proc/PID/root",
    "/proc/PID/cwd",
    "/proc/PID/fd/0",
    "/proc/PID/fd/1",
    "/proc/PID/fd/2",
    "read its limits",
];

/// Root of the sandbox, with all that it can have there.
const WITH_ALL: [&str; 7] = ["--unshare-all", "--uid", "0", "--gid", "0", "--cap-add", "ALL"];

/// What root's capabilities in a user namespace are good for where a process cannot be traced.
const OF_ROOT: [&str; 3] = ["signal", "signal by pidfd", "read its limits"];

/// Whether the kernel can limit ports.
fn limits_ports() -> Result<()> {
    if sys::has_landlock(4) { Ok(()) } else { Err("the kernel's Landlock has no ABI 4".to_owned()) }
}

fn processes() -> Vec<Case> {
    let case = |name: &str, options: &[&str], whom: &str, through: &[&'static str]| {
        attempts(box_of(name).options(options), &[&format!("escape:process:{whom}")], through, 17)
    };
    vec![
        // Without a pid namespace of its own COMMAND can name the monitor, and that is all.
        case("monitor", &["--unshare-user"], "parent", &SAME_USER),
        case("monitor_capabilities", &ALL_CAPABILITIES, "parent", &SAME_USER),
        case("monitor_disabled", &["--unshare-user", "--disable-userns", "--cap-add", "ALL"], "parent", &SAME_USER),
        // Nor can the host's root, when it has dropped its capabilities as the monitor has. The reference's can be entered.
        case("monitor_real_root", &["--cap-drop", "ALL"], "parent", &SAME_USER).root_only().ours_only(),
        // PID 1 is ours. The reference's can be traced: its environment, its fds and its executable, a file of the host's, are open.
        case("first_process", &["--unshare-all", "--cap-drop", "ALL"], "1", &SAME_USER).ours_only(),
        case("first_process_as_root", &["--unshare-all", "--uid", "0", "--cap-drop", "ALL"], "1", &SAME_USER).ours_only(),
        // A policy is COMMAND's, and nothing that PID 1 hides behind.
        case("first_process_beside_a_policy", &["--unshare-all", "--cap-drop", "ALL", "--seccomp-default"], "1", &SAME_USER)
            .ours_only(),
        case(
            "first_process_dev",
            &["--unshare-all", "--uid", "7", "--cap-add", "CAP_NET_ADMIN", "--cap-drop", "ALL"],
            "1",
            &SAME_USER,
        )
        .ours_only(),
        // Capabilities over a user namespace below do not count.
        attempts(
            box_of("first_process_namespace_of_its_own").options(["--unshare-all", "--cap-drop", "ALL"]),
            &["escape:inner", "escape:process:1"],
            &SAME_USER,
            17,
        )
        .ours_only(),
        case("first_process_real_root", &["--unshare-pid", "--cap-drop", "ALL"], "1", &SAME_USER).root_only().ours_only(),
        case("first_process_without_pid", &["--unshare-user", "--sync-fd", "9", "--cap-drop", "ALL"], "parent", &SAME_USER)
            .fd(9, Fd::path("/dev/null"))
            .ours_only(),
        // All capabilities are also those over PID 1.
        case("known_first_process", &["--unshare-all", "--uid", "0", "--gid", "0", "--cap-add", "ALL"], "1", &TRACEABLE)
            .user_only(),
        // Where COMMAND is held to more than PID 1 is, PID 1 would be the way around that.
        case("first_process_beside_a_policy_with_all", &[&WITH_ALL[..], &["--seccomp-default"]].concat(), "1", &OF_ROOT)
            .ours_only(),
        case("first_process_beside_limits_with_all", &[&WITH_ALL[..], &["--rlimit", "nofile", "100"]].concat(), "1", &OF_ROOT)
            .ours_only(),
        case("first_process_beside_tcp_with_all", &[&WITH_ALL[..], &["--tcp-connect", "1"]].concat(), "1", &OF_ROOT)
            .needs(limits_ports)
            .ours_only(),
        case(
            "first_process_beside_a_policy_with_its_guard",
            &["--unshare-all", "--cap-drop", "ALL", "--cap-add", "CAP_WAKE_ALARM", "--seccomp-default"],
            "1",
            &SAME_USER,
        )
        .ours_only(),
        case(
            "first_process_beside_a_policy_without_pid",
            &["--unshare-user", "--sync-fd", "9", "--cap-add", "ALL", "--seccomp-default"],
            "parent",
            &SAME_USER,
        )
        .fd(9, Fd::path("/dev/null"))
        .ours_only(),
        case("known_first_process_real_root_beside_a_policy", &["--unshare-pid", "--seccomp-default"], "1", &OF_REAL_ROOT)
            .root_only()
            .ours_only(),
        // Root's PID 1 may write to files of the host's, such as the one that it executes: no capability opens it.
        case("first_process_of_root", &["--unshare-all"], "1", &OF_ROOT).root_only().ours_only(),
        case("first_process_of_root_with_all", &["--unshare-all", "--cap-add", "ALL"], "1", &OF_ROOT).root_only().ours_only(),
        case("first_process_of_root_with_another_id", &["--unshare-all", "--uid", "7"], "1", &SAME_USER).root_only().ours_only(),
        case("first_process_of_root_without_pid", &["--unshare-user", "--uid", "7", "--sync-fd", "9"], "parent", &SAME_USER)
            .fd(9, Fd::path("/dev/null"))
            .root_only()
            .ours_only(),
        // With one, nobody but PID 1 is there.
        case("others", &["--unshare-all"], "others", &[]),
        case("others_capabilities", &["--unshare-all", "--uid", "0", "--gid", "0", "--cap-add", "ALL"], "others", &[]),
        case("others_as_pid_1", &["--unshare-all", "--as-pid-1"], "others", &[]),
    ]
}

/// The launcher ends between two looks at who it is: whatever it was to die with is gone.
fn parents() -> Vec<Case> {
    let case = |name: &str, options: &str| {
        let script = "mkfifo args
            sh -c '{bwrap} --args 3 --die-with-parent OPTIONS sh -c \"echo alive\" 3<args >out 2>err & echo $! >pid; wait' 2>/dev/null &
            launcher=$!; exec 4>args; until [ -s pid ]; do sleep 0.01; done; read pid <pid
            until grep -q '(bwrap) S' /proc/$pid/stat; do sleep 0.01; done
            kill -9 $launcher; wait $launcher 2>/dev/null
            printf '%s\\0' --ro-bind / / >&4; exec 4>&-
            while [ -d /proc/$pid ]; do sleep 0.01; done; cat out err";
        Case::new(name).ours_only().script(&script.replace("OPTIONS", options))
    };
    let gone = "bwrap: The parent process is gone\n";
    vec![case("parent_is_gone", "").status(0).stdout(gone), case("parent_is_gone_all", "--unshare-all").status(0).stdout(gone)]
}

/// Another sandbox of the same user that is stopped in its set-up: before it has done anything, when all of the host is still there, and
/// when it is about to become COMMAND. Seen from a sandbox without a pid namespace of its own.
fn stopped_setups() -> Vec<Case> {
    let mut cases = vec![];
    for (moment, block) in [("early", "--userns-block-fd 3"), ("late", "--block-fd 3")] {
        for (attacker, options) in
            [("", "--unshare-user --cap-drop ALL"), ("_capabilities", "--unshare-user --uid 0 --gid 0 --cap-add ALL")]
        {
            let script = format!(
                "mkfifo go info; {{bwrap}} --unshare-user --ro-bind / / --info-fd 4 {block} true 3<>go 4>info 2>/dev/null & first=$!
                 child=$(sed -n 's/.*child-pid\": \\([0-9]*\\).*/\\1/p' info)
                 for victim in $child $first; do
                     {{bwrap}} {options} --ro-bind {{probe}} /probe --proc /proc /probe --probe x escape:process:$victim
                 done
                 kill -9 $first $child; wait $first 2>/dev/null; rm go info"
            );
            let case = Case::new(&format!("stopped_{moment}{attacker}")).script(&script);
            let lines = [SAME_USER, SAME_USER].concat();
            cases.push(case.claim(move |o| only(o, &lines, 34)));
        }
    }
    cases
}

/// Root's sandboxes beside each other. One of them has no capabilities left, but it has root's ids and owns root's user namespaces, and
/// what it may look into gives it files that root may write to: the executable of the other is one. The other is looked at while it is
/// about to become COMMAND and, where it has a PID 1 of ours, when COMMAND runs.
fn neighbours() -> Vec<Case> {
    let ranges = "--unshare-user --uid-map 0 100000 1000 --gid-map 0 100000 1000 --uid 5 --gid 5";
    let victims = [
        ("", "--cap-drop ALL".to_owned()),
        ("_pid", "--cap-drop ALL --unshare-pid".to_owned()),
        ("_user", "--unshare-user --cap-drop ALL".to_owned()),
        ("_user_pid", "--unshare-user --unshare-pid --uid 1000".to_owned()),
        ("_kept", "--unshare-user --unshare-pid".to_owned()),
        ("_ranges", format!("{ranges} --unshare-pid")),
        ("_ranges_nested", format!("{ranges} --unshare-pid --disable-userns")),
    ];
    let mut cases = vec![];
    for (victim, options) in &victims {
        for (attacker, own) in [("", "--cap-drop ALL"), ("_in_user", "--unshare-user --cap-drop ALL")] {
            let attack = format!(
                "for victim in $child $first; do
                     {{bwrap}} {own} --ro-bind {{probe}} /probe --proc /proc /probe --probe x escape:process:$victim
                 done\n"
            );
            let script = |block: &str, wait: &str| {
                format!(
                    "mkfifo go info; {{bwrap}} {options} --ro-bind / / --info-fd 4 {block} \
                         sh -c 'read x <&3' 3<>go 4>info 2>/dev/null & first=$!
                     child=$(sed -n 's/.*child-pid\": \\([0-9]*\\).*/\\1/p' info)
                     {wait}
                     {attack} kill -9 $first $child; wait $first 2>/dev/null; rm go info"
                )
            };
            // It waits in its last read before the exec: nothing but that tells it from the one at the gate.
            let blocked = "until grep -q '^CapPrm:.0*$' /proc/$child/status || ! sleep 0.01; do
                               [ $((n += 1)) -lt 200 ] || break; done";
            // Whom other ids stand for is out of a signal's reach too, unless root owns the user namespace.
            let stranger = victim.contains("ranges") && attacker == "_in_user";
            let lines = if stranger { SAME_USER.to_vec() } else { [SAME_USER, SAME_USER].concat() };
            let case = |name: &str, script: String| {
                let lines = lines.clone();
                let case = Case::new(&format!("{name}{victim}{attacker}")).root_only().ours_only().script(&script);
                case.claim(move |o| only(o, &lines, 34))
            };
            cases.push(case("neighbour", script("--block-fd 3", blocked)));
            if options.contains("--unshare-pid") {
                let running = "until [ -e /proc/$child/task/$child/children ] && \
                                   grep -q . /proc/$child/task/$child/children; do sleep 0.01; done";
                cases.push(case("neighbour_running", script("", running)));
            }
        }
    }
    cases
}

/// What `--clearenv` clears is nowhere to be found. PID 1 has it, and the reference shows PID 1.
fn cleared() -> Vec<Case> {
    let look = "! grep -aq hidden /proc/1/environ /proc/1/maps /proc/$PPID/environ 2>/dev/null";
    let clear = ["--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--proc", "/proc", "--dev", "/dev", "--cap-drop", "ALL"];
    let case = |name: &str, options: &[&str]| {
        Case::new(name).ours_only().env("SECRET", "hidden").on_host().options(clear).options(options).run(["sh", "-c", look]).ok()
    };
    vec![case("cleared_environment", &["--unshare-all"]), case("cleared_environment_user", &["--unshare-user"])]
}

/// Plants a node of /dev/null where the sandbox may write, as only root can.
fn plant_node(s: &mut Setup) -> Result<()> {
    let node = s.path("inside/node");
    mknod(&node, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).map_err(|e| e.to_string())?;
    s.mode("inside/node", 0o666)
}

fn devices() -> Vec<Case> {
    let case = |name: &str, options: &[&str], through: &[&'static str]| {
        let case = box_of(name).needs(runner_is_root).setup(plant_node).options(options);
        attempts(case, &["escape:devices:/in/node"], through, 13)
    };
    vec![
        case("devices", &["--unshare-user"], &[]),
        case("devices_capabilities", &ALL_CAPABILITIES, &[]),
        case("devices_real_root", &["--cap-drop", "ALL"], &[]),
        // The nodes are good, and a device bind is what allows them.
        case("known_devices_allowed", &["--unshare-user", "--dev-bind", "{dir}/inside", "/in"], &["planted node"]),
    ]
}

fn terminals() -> Vec<Case> {
    let case = |name: &str, options: &[&str], lines: &[&'static str]| {
        let lines = lines.to_vec();
        let case = box_of(name).user_only().terminal().options(options);
        let case = case.run(["/probe", "--probe", "x", "escape:terminal"]).status(0);
        case.claim(move |o| {
            // The kernel may have this one switched off.
            let pushed = o.stdout.contains("TIOCSTI: through").then_some("TIOCSTI").filter(|_| !lines.is_empty());
            only(o, &pushed.into_iter().chain(lines.iter().copied()).collect::<Vec<_>>(), 6)
        })
    };
    let (kept, all) = (["open of /dev/tty"], ["open of /dev/tty", "signal to the group"]);
    vec![
        case("terminal_new_session", &["--new-session"], &[]),
        case("terminal_new_session_all", &["--unshare-all", "--new-session"], &[]),
        // Without a new session it is the caller's terminal. Newer kernels may have switched TIOCSTI off.
        case("known_terminal", &[], &kept).ours_only(),
        case("known_terminal_all", &["--unshare-all"], &all).ours_only(),
    ]
}

/// A socket of the host with an abstract name, which belongs to the network namespace.
pub(crate) fn abstract_socket(s: &mut Setup) -> Result<()> {
    let name = format!("bleb{}", s.dir.display());
    let listener = SocketAddr::from_abstract_name(&name).and_then(|address| UnixListener::bind_addr(&address));
    s.hold(listener.map_err(|e| e.to_string())?);
    s.define("socket", name);
    Ok(())
}

fn sockets() -> Vec<Case> {
    let case = |name: &str, options: &[&str], through: &[&'static str]| {
        let case = box_of(name).setup(abstract_socket).options(options);
        attempts(case, &["escape:socket:{socket}"], through, 1)
    };
    vec![
        case("abstract_socket", &["--unshare-net"], &[]),
        case("abstract_socket_all", &["--unshare-all"], &[]),
        case("known_abstract_socket", &["--unshare-user"], &["abstract socket"]),
    ]
}

fn user_namespaces() -> Vec<Case> {
    let case = |name: &str, options: &[&str], through: &[&'static str]| {
        let case = box_of(name).options(options).setup(|s| {
            let n = s.namespaces(libc::CLONE_NEWUSER, &format!("0 {} 1", s.uid), &format!("0 {} 1", s.gid))?;
            s.pass(9, n.open("user")?);
            s.hold(n);
            Ok(())
        });
        attempts(case, &["escape:users:9"], through, 10)
    };
    let disabled = ["--unshare-user", "--disable-userns"];
    let allowed = ["unshare", "unshare with others", "clone", "clone3", "clone of a child"];
    vec![
        case("no_user_namespaces", &disabled, &[]),
        case("no_user_namespaces_all", &["--unshare-all", "--unshare-user", "--disable-userns"], &[]),
        case("no_user_namespaces_capabilities", &[&disabled[..], &ALL_CAPABILITIES[1..]].concat(), &[]),
        case("known_user_namespaces", &["--unshare-user", "--uid", "7"], &allowed),
    ]
}

/// A copy of the probe that belongs to root, with its set-uid bit or with file capabilities where setcap is there.
fn gift(s: &mut Setup, name: &str) -> Result<()> {
    s.copy_program("probe", name)?;
    s.keep_for_root(name);
    if name.ends_with("suid") {
        return s.mode(name, 0o6755);
    }
    _ = std::process::Command::new("setcap").arg("all+eip").arg(s.path(name)).status();
    s.mode(name, 0o755)
}

fn capabilities() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| attempts(box_of(name).options(options), &["escape:capabilities"], &[], 14);
    let given = |case: Case, name: &'static str| case.needs(may_set_ids).setup(move |s| gift(s, name));
    let all = ["--unshare-all", "--cap-drop", "ALL"];
    vec![
        case("regained", &["--unshare-user", "--cap-drop", "ALL"]),
        given(case("regained_set_uid", &all), "inside/suid"),
        given(case("regained_file_capabilities", &all), "inside/capable"),
        case("regained_root", &["--unshare-user", "--uid", "0", "--gid", "0", "--cap-drop", "ALL"]),
        case("regained_disabled", &["--unshare-user", "--disable-userns", "--uid", "0", "--cap-drop", "ALL"]),
        case("regained_real_root", &["--cap-drop", "ALL"]).root_only(),
        given(case("regained_real_root_set_uid", &["--cap-drop", "ALL"]).root_only(), "inside/suid"),
        case("regained_pid_1", &["--unshare-all", "--as-pid-1", "--cap-drop", "ALL"]),
    ]
}

/// The keyring of the caller's session goes with every process that it starts.
fn keys() -> Vec<Case> {
    let case = |name: &str, options: &str| {
        let words = "--ro-bind {probe} /probe --proc /proc /probe --probe x escape:keys:{key}";
        Case::new(name).script(&format!("exec {{probe}} --probe with-key {{bwrap}} {options} {words}")).status(0)
    };
    let expected = |o: &crate::harness::Outcome| only(o, &["read of a session key", "description of a session key"], 3);
    vec![
        case("known_session_keyring", "--unshare-user").claim(expected),
        case("known_session_keyring_all", "--unshare-all --new-session --cap-drop ALL").claim(expected),
    ]
}

/// A user namespace in which the host's root is nobody special, at fd 5.
fn users_namespace(s: &mut Setup) -> Result<()> {
    let namespaces = s.namespaces(libc::CLONE_NEWUSER, "1 0 1", "1 0 1")?;
    s.pass(5, namespaces.open("user")?);
    s.hold(namespaces);
    Ok(())
}

const OWN_LIMIT: &str = "proc/sys/user/max_user_namespaces";

fn kernel() -> Vec<Case> {
    let case = |name: &str, options: &[&str], place: &str, through: &[&'static str]| {
        attempts(box_of(name).options(options), &[&format!("escape:kernel:{place}")], through, 22)
    };
    let host = ["--ro-bind", "/", "/host"];
    let all = ["--unshare-all", "--cap-drop", "ALL"];
    vec![
        case("kernel_proc", &all, "", &[]).user_only(),
        // The reference leaves /proc/sys to the host's root, which needs no capability to write there.
        case("kernel_proc_of_root", &all, "", &[]).root_only().ours_only(),
        // Nor does it need one where its user namespace leaves it none, or none over the mounts.
        case("kernel_proc_of_root_with_another_id", &["--unshare-all", "--uid", "1000"], "", &[]).root_only().ours_only(),
        case("kernel_proc_of_root_in_a_nested_namespace", &["--unshare-user", "--unshare-all", "--disable-userns"], "", &[])
            .root_only()
            .ours_only(),
        case("kernel_proc_of_root_in_a_users_namespace", &["--unshare-pid", "--userns2", "5"], "", &[])
            .setup(users_namespace)
            .root_only()
            .ours_only(),
        case("kernel_proc_of_root_from_a_users_namespace", &["--userns", "5", "--unshare-pid"], "", &[])
            .setup(users_namespace)
            .root_only()
            .ours_only(),
        case("kernel_host", &[&all[..], &host].concat(), "/host", &[]),
        case("kernel_real_root", &["--unshare-pid", "--cap-drop", "ALL"], "", &[]).root_only().ours_only(),
        case("kernel_real_root_host", &[&["--unshare-pid", "--cap-drop", "ALL"], &host[..]].concat(), "/host", &[]).root_only(),
        // The limit is that of one's own user namespace.
        case("kernel_capabilities", &[&ALL_CAPABILITIES[..], &["--unshare-pid"]].concat(), "", &[OWN_LIMIT]).user_only(),
    ]
}

/// What the caller leaves open is given, however it was opened.
fn given() -> Vec<Case> {
    let write = ["sh", "-c", "echo written > /proc/self/fd/0"];
    // A socket is not written to, it is connected to: no read-only flag is in its way.
    let socket = box_of("known_socket_on_read_only").options(["--unshare-all", "--cap-drop", "ALL"]).setup(|s| {
        s.hold(UnixListener::bind(s.path("kept/socket")).map_err(|e| e.to_string())?);
        s.mode("kept/socket", 0o777)
    });
    let socket = attempts(socket, &["escape:socket:/ro/socket"], &["socket"], 1);
    let directory =
        box_of("known_open_directory").fd(9, Fd::path("{dir}/outside")).options(["--unshare-all", "--cap-drop", "ALL"]);
    // What ours has open itself is not to be reached by the last paths that are looked up. Only the sandbox's own root is there.
    let chdir = "for n in $(seq 3 40); do {bwrap} --ro-bind {probe} /probe --proc /proc --chdir /proc/self/fd/$n \\
                     /probe --probe x list:. list:.. 2>/dev/null; done";
    let lock = "for n in $(seq 3 40); do {bwrap} --ro-bind {probe} /probe --proc /proc --lock-file /proc/self/fd/$n \\
                    /probe --probe x list:/proc/self/fd/$n 2>/dev/null; done";
    vec![
        Case::new("own_fds_by_chdir").ours_only().script(chdir).stdout(""),
        Case::new("own_fds_by_lock_file").ours_only().script(lock).stdout(""),
        // Opened outside, it is on the host's mount, which is not read-only.
        Case::new("known_reopened_for_writing")
            .file("kept/file", "kept")
            .fd(0, Fd::path("{dir}/kept/file"))
            .on_host()
            .options(["--unshare-all", "--proc", "/proc"])
            .run(write)
            .ok()
            .claim(|o| o.expect_tree("kept/file", Some("file 644 own \"written\\n\""))),
        attempts(directory, &[ROOT], &["open fds", "/proc/PID/fd"], 40),
        // A socket is not written to, it is connected to: no read-only flag is in its way.
        socket,
    ]
}
