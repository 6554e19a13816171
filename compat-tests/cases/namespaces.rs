//! The namespaces: each option alone and together, those that are joined, and those that may not be made any more.

use std::fs;

use crate::harness::nested::{has_nsenter, two_user_namespaces};
use crate::harness::{Case, Fd, Result, Setup};

/// What a sandbox looks like as far as it has to do with processes.
const VIEWS: [&str; 12] =
    ["ids", "maps", "caps", "security", "namespaces", "network", "hostname", "signals", "limits", "process", "fds", "env"];

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = unshared();
    cases.extend(joined());
    cases.extend(joined_at_last());
    cases.extend(maps_by_others());
    cases.extend(disabled());
    cases
}

/// A sandbox on the host's root with these options, seen from inside.
fn seen(name: &str, options: &[&str]) -> Case {
    Case::new(name).on_host().options(options).run(["{probe}", "--probe", "{namespaces}"]).run(VIEWS)
}

fn unshared() -> Vec<Case> {
    let rows: &[(&str, &[&str])] = &[
        ("nothing", &[]),
        ("user", &["--unshare-user"]),
        ("user_try", &["--unshare-user-try"]),
        ("user_twice", &["--unshare-user", "--unshare-user-try"]),
        ("ipc", &["--unshare-ipc"]),
        ("pid", &["--unshare-pid"]),
        ("pid_with_proc", &["--unshare-pid", "--proc", "/proc"]),
        ("net", &["--unshare-net"]),
        ("uts", &["--unshare-uts"]),
        ("hostname", &["--unshare-uts", "--hostname", "elsewhere"]),
        ("hostname_of_all", &["--unshare-all", "--hostname", "a.b-c_d"]),
        ("hostname_empty", &["--unshare-uts", "--hostname", ""]),
        ("cgroup", &["--unshare-cgroup"]),
        ("cgroup_try", &["--unshare-cgroup-try"]),
        ("all", &["--unshare-all"]),
        ("all_but_net", &["--unshare-all", "--share-net"]),
        ("net_after_share", &["--share-net", "--unshare-net"]),
        ("net_shared_again", &["--unshare-net", "--share-net"]),
        ("all_with_dev", &["--unshare-all", "--dev", "/dev", "--proc", "/proc"]),
        ("dev", &["--dev", "/dev"]),
        ("user_with_dev", &["--unshare-user", "--dev", "/dev"]),
        (
            "one_by_one",
            &["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"],
        ),
        ("session", &["--new-session"]),
        ("session_in_pid", &["--new-session", "--unshare-pid", "--proc", "/proc"]),
        ("first", &["--unshare-pid", "--as-pid-1"]),
        ("first_in_session", &["--unshare-pid", "--as-pid-1", "--new-session", "--proc", "/proc"]),
        ("dies", &["--die-with-parent"]),
        ("dies_in_all", &["--die-with-parent", "--unshare-all", "--new-session"]),
        ("dies_as_first", &["--die-with-parent", "--unshare-pid", "--as-pid-1"]),
    ];
    let mut cases = rows.iter().map(|(name, options)| seen(name, options).ok()).collect::<Vec<_>>();
    cases.push(
        Case::new("loopback_is_up")
            .on_host()
            .options(["--unshare-net"])
            .run(["{probe}", "--probe", "{namespaces}", "network"])
            .ok()
            .claim(|o| o.expect_line("lo").and_then(|()| o.expect_line("127.0.0.1: yes"))),
    );
    cases.push(seen("hostname_too_long", &["--unshare-uts", "--hostname", &"x".repeat(65)]).status(1).stdout(""));
    cases
}

/// The same without the fds: the reference leaves those of namespaces open, see `joined_fds`.
fn seen_without_fds(name: &str, options: &[&str]) -> Case {
    let views = VIEWS.into_iter().filter(|view| *view != "fds");
    Case::new(name).on_host().options(options).run(["{probe}", "--probe", "{namespaces}"]).run(views)
}

pub(super) fn joined_user_at_5(s: &mut Setup) -> Result<()> {
    let n = s.namespaces(libc::CLONE_NEWUSER, &format!("0 {} 1", s.uid), &format!("0 {} 1", s.gid))?;
    s.pass(5, n.open("user")?);
    s.hold(n);
    Ok(())
}

/// A user namespace of the identity and a pid namespace in it, whose fds are passed at 5 and 6.
pub(crate) fn joined_user_and_pid(s: &mut Setup) -> Result<()> {
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
    let n = s.namespaces(flags, &format!("0 {} 1", s.uid), &format!("0 {} 1", s.gid))?;
    s.pass(5, n.open("user")?);
    s.pass(6, n.open("pid_for_children")?);
    s.hold(n);
    Ok(())
}

fn joined() -> Vec<Case> {
    let user: &[(&str, &[&str])] = &[
        ("userns", &[]),
        ("userns_and_all", &["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]),
        ("userns_uid_0", &["--uid", "0", "--gid", "0"]),
        ("userns_uid_1", &["--uid", "1"]),
        ("userns_gid_1", &["--gid", "1"]),
        ("userns_cap", &["--cap-add", "cap_net_raw"]),
        ("userns_caps", &["--cap-add", "ALL"]),
        ("userns_dev", &["--dev", "/dev"]),
        ("userns_asserted", &["--assert-userns-disabled"]),
        ("userns_with_user", &["--unshare-user"]),
        ("userns_with_user_try", &["--unshare-user-try"]),
        ("userns_disabled", &["--disable-userns"]),
    ];
    let mut cases = user
        .iter()
        .map(|(name, o)| seen_without_fds(name, &[&["--userns", "5"], *o].concat()).setup(joined_user_at_5))
        .collect::<Vec<_>>();
    let pid: &[(&str, &[&str])] = &[
        ("pidns", &[]),
        ("pidns_with_proc", &["--proc", "/proc"]),
        ("pidns_below", &["--unshare-pid", "--proc", "/proc"]),
        ("pidns_and_all", &["--unshare-ipc", "--unshare-net", "--unshare-uts", "--proc", "/proc", "--die-with-parent"]),
        ("pidns_status", &["--json-status-fd", "8", "--info-fd", "9"]),
        ("pidns_below_status", &["--unshare-pid", "--json-status-fd", "8", "--info-fd", "9"]),
    ];
    cases.extend(pid.iter().map(|(name, o)| {
        let case = seen_without_fds(name, &[&["--userns", "5", "--pidns", "6"], *o].concat()).setup(joined_user_and_pid).ok();
        case.fd(8, Fd::Capture).fd(9, Fd::Capture)
    }));
    // The reference never returns from this one.
    let first = ["--userns", "5", "--pidns", "6", "--unshare-pid", "--as-pid-1", "--proc", "/proc"];
    cases.push(seen("pidns_below_as_first", &first).setup(joined_user_and_pid).ours_only().ok());
    // Without a user namespace of one's own only root may.
    cases.push(seen_without_fds("pidns_alone", &["--pidns", "6"]).setup(joined_user_and_pid));
    cases.push(seen_without_fds("pidns_in_own_user", &["--unshare-user", "--pidns", "6"]).setup(joined_user_and_pid));
    cases.push(seen("joined_fds", &["--userns", "5", "--pidns", "6"]).setup(joined_user_and_pid));
    for (name, options) in [("pidns_exit_code", &[][..]), ("pidns_exit_code_below", &["--unshare-pid"][..])] {
        let case = Case::new(name).on_host().options(["--userns", "5", "--pidns", "6", "--json-status-fd", "8"]).options(options);
        let case = case.setup(joined_user_and_pid).fd(8, Fd::Capture);
        cases.push(case.run(["sh", "-c", "exit 7"]).status(7).stderr(""));
    }
    for option in ["--userns", "--userns2", "--pidns"] {
        let name = option.trim_start_matches('-');
        let wrong =
            |suffix: &str| Case::new(&format!("{name}_{suffix}")).on_host().options([option, "9"]).run(["true"]).status(1);
        cases.push(wrong("closed").stdout(""));
        cases.push(wrong("of_a_file").fd(9, Fd::path("/dev/null")).stdout(""));
        cases.push(wrong("of_the_host").fd(9, Fd::path("/proc/self/ns/user")).stdout(""));
        cases.push(wrong("of_another_kind").fd(9, Fd::path("/proc/self/ns/net")).stdout(""));
    }
    cases.push(Case::new("userns_0").on_host().options(["--userns", "0"]).run(["true"]).status(1));
    cases
}

fn joined_at_last() -> Vec<Case> {
    let rows: &[(&str, &[&str])] = &[
        ("userns2", &["--userns", "5", "--userns2", "6"]),
        ("userns2_and_all", &["--userns", "5", "--userns2", "6", "--unshare-pid", "--unshare-net", "--proc", "/proc"]),
        ("userns2_dev", &["--userns", "5", "--userns2", "6", "--dev", "/dev"]),
        ("userns2_caps", &["--userns", "5", "--userns2", "6", "--cap-add", "ALL"]),
        ("userns2_status", &["--userns", "5", "--userns2", "6", "--info-fd", "8", "--json-status-fd", "9"]),
        ("userns2_asserted", &["--userns", "5", "--userns2", "6", "--assert-userns-disabled"]),
        ("userns2_alone", &["--userns2", "6"]),
        ("userns2_alone_child", &["--userns2", "5"]),
        ("userns2_in_own", &["--unshare-user", "--userns2", "5"]),
        ("userns2_same", &["--userns", "5", "--userns2", "5"]),
    ];
    let case = |(name, options): &(&str, &[&str])| {
        seen_without_fds(name, options).needs(has_nsenter).setup(two_user_namespaces).fd(8, Fd::Capture).fd(9, Fd::Capture)
    };
    rows.iter().map(case).collect()
}

/// Writes the maps of the process that `--info-fd` names, as programs like newuidmap do.
fn write_maps(pid: u64, uid: &str, gid: &str) -> Result<()> {
    let write = |name: &str, text: &str| fs::write(format!("/proc/{pid}/{name}"), text).map_err(|e| format!("{name}: {e}"));
    write("uid_map", uid)?;
    write("setgroups", "deny")?;
    write("gid_map", gid)
}

fn maps_by_others() -> Vec<Case> {
    let waits = |name: &str, options: &[&str]| {
        let base = ["--unshare-user", "--userns-block-fd", "9", "--info-fd", "8"];
        seen_without_fds(name, &[&base, options].concat()).fd(8, Fd::Capture).fd(9, Fd::Held)
    };
    let is_root = || if nix::unistd::geteuid().is_root() { Ok(()) } else { Err("needs root outside".to_owned()) };
    let rows: &[(&str, &[&str])] = &[
        ("maps_by_others", &[]),
        ("maps_by_others_dev", &["--dev", "/dev"]),
        ("maps_by_others_all", &["--unshare-all", "--proc", "/proc", "--dev", "/dev"]),
        ("maps_by_others_uid", &["--uid", "5", "--gid", "6"]),
        ("maps_by_others_caps", &["--cap-add", "ALL"]),
    ];
    let mut cases = rows
        .iter()
        .map(|(name, options)| {
            waits(name, options).needs(is_root).during(|live| {
                let pid = live.wait_for_number(8, "child-pid")?;
                live.wait_for_end(8)?;
                write_maps(pid, "0 54321 1\n1 100000 10\n100 0 1\n", "0 54321 1\n1 100000 10\n100 0 1\n")?;
                live.write(9, b"x");
                live.close(9)
            })
        })
        .collect::<Vec<_>>();
    cases.push(waits("maps_by_nobody", &[]).during(|live| {
        live.wait_for_end(8)?;
        live.close(9)
    }));
    cases.push(
        seen_without_fds("maps_need_user", &["--userns-block-fd", "9", "--info-fd", "8"]).fd(9, Fd::Held).fd(8, Fd::Capture),
    );
    cases.push(seen_without_fds("maps_need_info", &["--unshare-user", "--userns-block-fd", "9"]).fd(9, Fd::Held).status(1));
    cases.push(waits("maps_not_disabled", &["--disable-userns"]).status(1));
    cases
}

fn disabled() -> Vec<Case> {
    let rows: &[(&str, &[&str])] = &[
        ("disabled", &["--unshare-user", "--disable-userns"]),
        ("disabled_all", &["--unshare-user", "--unshare-all", "--disable-userns", "--proc", "/proc", "--dev", "/dev"]),
        ("disabled_uid", &["--unshare-user", "--disable-userns", "--uid", "7", "--gid", "8"]),
        ("disabled_asserted", &["--unshare-user", "--disable-userns", "--assert-userns-disabled"]),
        ("disabled_caps", &["--unshare-user", "--disable-userns", "--cap-add", "ALL"]),
        (
            "disabled_read_only_proc",
            &["--unshare-user", "--unshare-pid", "--disable-userns", "--proc", "/proc", "--remount-ro", "/proc"],
        ),
    ];
    let mut cases = rows.iter().map(|(name, options)| seen(name, options).ok()).collect::<Vec<_>>();
    let not_disabled = "bwrap: creation of new user namespaces was not disabled as requested";
    cases.push(seen("asserted", &["--unshare-user", "--assert-userns-disabled"]).fails(not_disabled));
    cases.push(seen("asserted_in_root", &["--assert-userns-disabled"]).fails(not_disabled));
    cases.push(seen("disabled_needs_user", &["--disable-userns"]));
    cases.push(seen("disabled_try", &["--unshare-user-try", "--disable-userns"]));
    let inside = ["unshare", "-U", "true"];
    cases.push(Case::new("disabled_really").on_host().options(["--unshare-user", "--disable-userns"]).run(inside).status(1));
    cases.push(
        Case::new("disabled_for_good")
            .on_host()
            .options(["--unshare-user", "--disable-userns", "--proc", "/proc", "--cap-add", "ALL"])
            .run(["sh", "-c", "echo 9 >/proc/sys/user/max_user_namespaces; unshare -U true"])
            .status(1),
    );
    cases
}
