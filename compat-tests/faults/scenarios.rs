//! The sandboxes whose set-up is disturbed. Together they take every step of it.

use std::fs;

use crate::harness::nested::{has_nsenter, two_user_namespaces};
use crate::harness::{Case, Fd, Result, Setup, Tweak, filter};
use crate::sys;

/// What COMMAND looks at: all that makes a sandbox.
const VIEWS: [&str; 12] =
    ["ids", "maps", "caps", "security", "namespaces", "mounts", "env", "cwd", "process", "limits", "fds", "hostname"];

/// One of them.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Of how many points the short form takes one.
    pub(crate) share: usize,
    /// The case, given the uid and gid of who runs it.
    pub(crate) case: fn((u32, u32)) -> Result<Case>,
    /// The ABI of Landlock that it needs, or 0. No machine can install a kernel for it, so it is left
    /// out where that is missing; the virtual machines have one.
    landlock: i64,
}

const fn scenario(name: &'static str, share: usize, case: fn((u32, u32)) -> Result<Case>) -> Scenario {
    Scenario { name, share, case, landlock: 0 }
}

impl Scenario {
    const fn with_landlock(self, landlock: i64) -> Self {
        Self { landlock, ..self }
    }

    /// Whether the kernel has what it needs.
    pub(crate) fn fits_kernel(&self) -> Result<()> {
        let fits = self.landlock == 0 || sys::has_landlock(self.landlock);
        if fits { Ok(()) } else { Err(format!("the kernel's Landlock has no ABI {}", self.landlock)) }
    }
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("plain", 1, |_| Ok(seen("plain").on_host().run(PROBE).run(VIEWS))),
    scenario("typical", 1, |_| Ok(typical("typical"))),
    scenario("everything", 3, |_| everything("everything")),
    scenario("refused_typical", 3, |_| Ok(refused(typical("refused_typical")))),
    scenario("refused_everything", 7, |_| Ok(refused(everything("refused_everything")?))),
    scenario("mounts_beyond", 3, |_| Ok(mounts_beyond())),
    scenario("overlays", 3, |_| Ok(overlays())),
    scenario("root_of_our_own", 3, |_| Ok(own_root())),
    scenario("held_outside", 3, |_| Ok(held_outside())),
    scenario("first_process", 3, |_| Ok(first_process())),
    scenario("userns", 3, |_| Ok(joined("userns", &["--unshare-pid", "--proc", "/proc"]))),
    scenario("pidns", 3, |_| Ok(joined("pidns", &["--pidns", "6", "--proc", "/proc", "--info-fd", "28"]))),
    scenario("pidns_below", 3, |_| Ok(joined("pidns_below", &["--pidns", "6", "--unshare-pid", "--die-with-parent"]))),
    scenario("userns2", 3, |_| Ok(below())),
    scenario("beyond", 3, |_| Ok(beyond())).with_landlock(6),
    scenario("same", 3, |_| Ok(same())),
    scenario("id_ranges", 3, |_| Ok(id_ranges())),
    scenario("few_files", 3, |_| Ok(few_files())),
    scenario("tar", 3, |_| archives()),
    scenario("follow", 3, |_| Ok(followed("follow"))),
    scenario("refused_follow", 5, |_| Ok(refused(followed("refused_follow")))),
    scenario("netns", 3, |_| Ok(network())),
    scenario("proc_pid", 5, |_| Ok(processes_alone())),
    scenario("families", 5, |_| Ok(families())),
    scenario("sockets", 3, |_| Ok(sockets())).with_landlock(10),
    scenario("maps_by_others", 3, |owner| Ok(maps_by_others(owner))),
];

/// The probe where it is outside, and where the sandboxes with a `/tmp` of their own have it.
const PROBE: [&str; 3] = ["{probe}", "--probe", "{namespaces}"];
const BOUND_PROBE: [&str; 3] = ["/tmp/probe", "--probe", "{namespaces}"];
const BIND_PROBE: [&str; 3] = ["--ro-bind", "{probe}", "/tmp/probe"];

fn seen(name: &str) -> Case {
    Case::new(name)
}

fn typical(name: &str) -> Case {
    let options =
        ["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
    seen(name).options(options).options(BIND_PROBE).run(BOUND_PROBE).run(VIEWS)
}

/// A caller's filter that knows neither of two newer calls.
fn refused(case: Case) -> Case {
    case.tweak(Tweak::Refuse(&["openat2", "mount_setattr"], libc::ENOSYS))
}

/// Nearly all options in one.
fn everything(name: &str) -> Result<Case> {
    let program = filter::bytes(&filter::refuse(&["reboot"], libc::EPERM)?);
    let more =
        ["--perms", "0711", "--size", "1048576", "--tmpfs", "/tmp/small", "--symlink", "to", "/tmp/link", "--mqueue", "/tmp/mq"];
    let namespaces = ["--unshare-user", "--unshare-all", "--disable-userns", "--hostname", "inside", "--uid", "7", "--gid", "8"];
    let processes = ["--die-with-parent", "--new-session", "--cap-add", "cap_net_raw", "--argv0", "named", "--chdir", "/tmp/d"];
    let fds = ["--sync-fd", "24", "--block-fd", "25", "--seccomp", "26", "--info-fd", "27", "--json-status-fd", "28"];
    let content = ["--file", "21", "/tmp/f", "--perms", "0640", "--bind-data", "22", "/tmp/g", "--ro-bind-data", "23", "/tmp/h"];
    Ok(seen(name)
        .options(namespaces)
        .options(processes)
        .options(fds)
        .options(["--clearenv", "--setenv", "A", "b", "--unsetenv", "C"])
        .options(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"])
        .options(BIND_PROBE)
        .options(["--dir", "/tmp/d", "--bind", "{dir}/host", "/tmp/host", "--ro-bind", "{dir}/from", "/tmp/host/new"])
        .options(["--bind-fd", "20", "/tmp/by-fd", "--ro-bind-try", "{dir}/missing", "/tmp/missing"])
        .options(content)
        .options(["--args", "29", "--remount-ro", "/tmp/host", "--chmod", "0751", "/tmp/d", "--lock-file", "/tmp/f"])
        .run(BOUND_PROBE)
        .run(VIEWS)
        .run(["tree:/tmp"])
        .dir("host")
        .dir("from")
        .fd(20, Fd::o_path("{dir}/from"))
        .fd(21, Fd::pipe("content"))
        .fd(22, Fd::memfd("content"))
        .fd(23, Fd::File(b"content".to_vec()))
        .fd(24, Fd::path("/dev/null"))
        .fd(25, Fd::pipe("x"))
        .fd(26, Fd::memfd(program))
        .fd(27, Fd::Capture)
        .fd(28, Fd::Capture)
        .fd(29, Fd::args(&more)))
}

/// What bubblewrap does not have.
fn beyond() -> Case {
    typical("beyond")
        .options(["--seccomp-default", "--seccomp-policy", "{dir}/policy", "--rlimit", "nofile", "100", "--rlimit", "core", "0"])
        .options([
            "--scope-signals",
            "--scope-abstract-unix",
            "--tcp-connect",
            "443",
            "--tcp-bind",
            "0",
            "--forward-signals",
            "--timeout",
            "1000",
        ])
        .file("policy", include_str!("../profiles/container.json"))
}

/// A file below the `/tmp` of its own, by way of two links.
fn same() -> Case {
    typical("same")
        .options(["--ro-same", "{dir}/one", "--same-try", "{dir}/missing"])
        .run(["tree:{dir}"])
        .file("f", "")
        .dir("d")
        .symlink("two", "one")
        .symlink("{dir}/d/../f", "two")
}

/// Every kind of destination that may be a link, on mounts where links count.
fn followed(name: &str) -> Case {
    seen(name)
        .on_host()
        .options(["--tmpfs", "/tmp", "--dir", "/tmp/d", "--file", "20", "/tmp/f", "--ro-bind", "{dir}/box", "/tmp/box"])
        .options(BIND_PROBE)
        .options(["--symlink", "d", "/tmp/to-d", "--symlink", "/tmp/box/../f", "/tmp/to-f", "--follow-symlinks"])
        .options([
            "--ro-bind",
            "{dir}/box",
            "/tmp/box/l",
            "--dir",
            "/tmp/to-d",
            "--chmod",
            "0711",
            "/tmp/to-d",
            "--tmpfs",
            "/tmp/to-d",
        ])
        .options(["--remount-ro", "/tmp/to-d", "--file", "21", "/tmp/to-f", "--ro-bind-data", "22", "/tmp/to-f"])
        .file("box/d/x", "x")
        .symlink("d", "box/l")
        .fd(20, Fd::memfd("old"))
        .fd(21, Fd::memfd("new"))
        .fd(22, Fd::memfd("last"))
        .run(BOUND_PROBE)
        .run(VIEWS)
        .run(["tree:/tmp"])
}

/// What mounts can have that bubblewrap does not.
fn mounts_beyond() -> Case {
    seen("mounts_beyond")
        .options(["--ro-bind", "/", "/", "--noexec", "--nosymfollow", "--tmpfs", "/mnt", "--tmpfs", "/tmp"])
        .options(BIND_PROBE)
        .options(["--nosymfollow", "--noexec", "--ro-bind", "{dir}/box", "/tmp/box"])
        .options([
            "--mask",
            "/tmp/box/f",
            "--mask",
            "/tmp/box/d",
            "--mask",
            "/tmp/box/none",
            "--symlink",
            "box/g",
            "/tmp/l",
            "--mask",
            "/tmp/l",
        ])
        .file("box/f", "x")
        .file("box/g", "x")
        .file("box/deep/h", "x")
        .file("box/deep/i", "x")
        .dir("box/d")
        .options(["--symlink", "box/deep/i", "/tmp/link", "--mask-glob", "/tmp/**/[h]*", "--mask-glob", "/tmp/l[i]nk"])
        .run(BOUND_PROBE)
        .run(VIEWS)
        .dir("box")
}

/// Ranges of ids, whose maps the monitor and a process inside write.
fn id_ranges() -> Case {
    typical("id_ranges")
        .root_only()
        .options(["--unshare-user", "--disable-userns", "--uid-map", "0", "100000", "10", "--uid-map", "10", "0", "1"])
        .options(["--gid-map", "5", "200000", "10", "--uid", "3"])
}

/// The three kinds of overlay.
fn overlays() -> Case {
    let layers = ["--overlay-src", "{dir}/low", "--overlay-src", "{dir}/high"];
    seen("overlays")
        .dir("low")
        .dir("high")
        .dir("up")
        .dir("work")
        .options(["--unshare-user", "--ro-bind", "/", "/", "--tmpfs", "/tmp"])
        .options(BIND_PROBE)
        .options(layers)
        .options(["--ro-overlay", "/tmp/a"])
        .options(layers)
        .options(["--tmp-overlay", "/tmp/b"])
        .options(layers)
        .options(["--overlay", "{dir}/up", "{dir}/work", "/tmp/c"])
        .run(BOUND_PROBE)
        .run(VIEWS)
}

/// No bind on `/`, so the new root is a tmpfs and every parent is made.
fn own_root() -> Case {
    seen("root_of_our_own")
        .options(["--unshare-all", "--share-net", "--ro-bind", "/usr", "/a/b/usr", "--symlink", "a/b/usr", "/usr"])
        .options([
            "--proc",
            "/proc",
            "--ro-bind",
            "{probe}",
            "/usr2/bin/probe",
            "--symlink",
            "usr2",
            "/link",
            "--dir",
            "/link/x/y",
        ])
        .options(["--bind", "{dir}", "/link/x/y"])
        .run(["/usr2/bin/probe", "--probe", "{namespaces}"])
        .run(VIEWS)
        .run(["list:/"])
}

/// PID 1 without a pid namespace, for a lock and an fd.
fn held_outside() -> Case {
    seen("held_outside")
        .file("lock", "")
        .on_host()
        .options(["--lock-file", "{dir}/lock", "--sync-fd", "24", "--json-status-fd", "28"])
        .fd(24, Fd::path("/dev/null"))
        .fd(28, Fd::Capture)
        .run(PROBE)
        .run(VIEWS)
}

/// Fewer open files than mounts.
fn few_files() -> Case {
    let bind = |to| ["--ro-bind".to_owned(), "{dir}/from".to_owned(), format!("/srv/{to}")];
    seen("few_files")
        .dir("from")
        .on_host()
        .options(["--unshare-pid", "--tmpfs", "/srv"])
        .options((0..12).flat_map(bind))
        .options(["--dev", "/srv/dev", "--proc", "/proc", "--ro-bind-data", "10", "/srv/data"])
        .fd(10, Fd::memfd("text"))
        .tweak(Tweak::Limit(libc::RLIMIT_NOFILE, 32, 32))
        .run(PROBE)
        .run(VIEWS)
}

/// COMMAND as PID 1, with capabilities of its own.
fn first_process() -> Case {
    seen("first_process")
        .on_host()
        .options(["--unshare-user", "--unshare-pid", "--as-pid-1", "--uid", "0", "--gid", "0", "--cap-add", "ALL", "--cap-drop"])
        .options(["cap_sys_admin", "--json-status-fd", "28", "--die-with-parent", "--sync-fd", "24"])
        .fd(24, Fd::path("/dev/null"))
        .fd(28, Fd::Capture)
        .run(PROBE)
        .run(VIEWS)
}

/// Namespaces that exist already: users at 5, pids at 6.
fn joined(name: &str, options: &[&str]) -> Case {
    seen(name).options(["--userns", "5"]).options(options).on_host().setup(namespaces).fd(28, Fd::Capture).run(PROBE).run(VIEWS)
}

/// A user namespace to begin in, and one below it to end in.
fn below() -> Case {
    seen("userns2")
        .options(["--userns", "5", "--userns2", "6", "--json-status-fd", "28"])
        .on_host()
        .needs(has_nsenter)
        .setup(two_user_namespaces)
        .fd(28, Fd::Capture)
        .run(PROBE)
        .run(VIEWS)
}

fn namespaces(s: &mut Setup) -> Result<()> {
    let map = |id: u32| format!("0 {id} 1");
    let outer = s.namespaces(libc::CLONE_NEWUSER | libc::CLONE_NEWPID, &map(s.uid), &map(s.gid))?;
    s.pass(5, outer.open("user")?);
    s.pass(6, outer.open("pid_for_children")?);
    s.hold(outer);
    Ok(())
}

/// A network namespace of the caller's own, and the user namespace that owns it.
fn network() -> Case {
    seen("netns")
        .on_host()
        .options(["--netns", "9", "--dev", "/dev", "--unshare-pid", "--die-with-parent"])
        .setup(|s| {
            let map = |id: u32| format!("{id} {id} 1");
            let outer = s.namespaces(libc::CLONE_NEWUSER | libc::CLONE_NEWNET, &map(s.uid), &map(s.gid))?;
            s.pass(9, outer.open("net")?);
            s.hold(outer);
            Ok(())
        })
        .run(PROBE)
        .run(VIEWS)
}

/// A procfs without anything but processes.
fn processes_alone() -> Case {
    seen("proc_pid").on_host().options(["--unshare-pid", "--proc-pid", "/proc"]).run(PROBE).run(VIEWS)
}

/// A filter of socket families.
fn families() -> Case {
    typical("families").options(["--address-families", "unix,inet", "--address-families", "99"])
}

/// What Landlock leaves of unix sockets and UDP, with the filters beside it.
fn sockets() -> Case {
    let unix = ["--unix-connect", "/tmp", "--unix-connect", "/usr/bin", "--scope-signals"];
    typical("sockets").options(unix).options(["--udp-connect", "53", "--udp-bind", "5353", "--tcp-connect", "443"])
}

/// The maps are written from outside, as newuidmap does.
fn maps_by_others((uid, gid): (u32, u32)) -> Case {
    seen("maps_by_others")
        .options(["--unshare-user", "--userns-block-fd", "9", "--info-fd", "28", "--dev", "/dev"])
        .options(["--ro-bind", "/", "/"])
        .fd(9, Fd::Held)
        .fd(28, Fd::Capture)
        .during(move |live| {
            // Where the fault comes first there is nobody to write for.
            let Ok(pid) = live.wait_for_number(28, "child-pid") else { return Ok(()) };
            let files = [("uid_map", format!("0 {uid} 1")), ("setgroups", "deny".to_owned()), ("gid_map", format!("0 {gid} 1"))];
            if files.into_iter().all(|(name, text)| fs::write(format!("/proc/{pid}/{name}"), text).is_ok()) {
                live.write(9, b"x");
            }
            live.close(9)
        })
        .run(PROBE)
        .run(VIEWS)
}

/// Two archives, of which the second one takes away something and replaces something.
fn archives() -> Result<Case> {
    let script = "set -e; t=$(mktemp -d); cd $t; mkdir -p d/s; echo 1 > d/a; echo 1 > d/s/b; ln d/a h; ln -s d l; mkfifo p; tar -cf 1 d h l p
        rm -r d h l p; mkdir -p d; echo 2 > l; : > d/.wh.s; tar -cf 2 l d; cat 1 2; wc -c < 1 >&2; rm -r $t";
    let made = std::process::Command::new("sh").args(["-c", script]).output().map_err(|error| error.to_string())?;
    let length: usize = String::from_utf8_lossy(&made.stderr).trim().parse().map_err(|error| format!("no archive: {error}"))?;
    let (first, second) = made.stdout.split_at_checked(length).ok_or("no second archive")?;
    Ok(seen("tar")
        .on_host()
        .options(["--tmpfs", "/tmp", "--tar", "21", "/tmp/x", "--tar", "22", "/tmp/x"])
        .options(BIND_PROBE)
        .fd(21, Fd::memfd(first))
        .fd(22, Fd::memfd(second))
        .run(BOUND_PROBE)
        .run(VIEWS)
        .run(["list:/tmp/x"]))
}
