//! The rules of the command line: numbers, modifiers, options that are given twice, options that need or exclude others.

use super::{fails, plain, usage};
use crate::harness::{Case, Fd};

const PERMS: &str = "bwrap: --perms must be followed by an option that creates a file";
const SIZE: &str = "bwrap: --size must be followed by --tmpfs";
const OVERLAY_SRC: &str =
    "bwrap: --overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay";

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [numbers(), sizes(), modifiers(), overlays(), twice(), together(), ids()].into_iter().flatten().collect()
}

/// The options whose operand is an fd, in the words before it and after it.
const FDS: [(&str, &[&str]); 15] = [
    ("--add-seccomp-fd", &[]),
    ("--args", &[]),
    ("--bind-data", &["/x"]),
    ("--bind-fd", &["/x"]),
    ("--block-fd", &[]),
    ("--file", &["/x"]),
    ("--info-fd", &[]),
    ("--json-status-fd", &[]),
    ("--pidns", &[]),
    ("--ro-bind-data", &["/x"]),
    ("--ro-bind-fd", &["/x"]),
    ("--seccomp", &[]),
    ("--sync-fd", &[]),
    ("--userns", &[]),
    ("--userns2", &[]),
];

fn numbers() -> Vec<Case> {
    let mut cases = vec![];
    let kinds = FDS.iter().map(|(option, more)| (*option, *more, "fd"));
    let ids: [(&str, &[&str], &str); 3] = [("--uid", &[], "uid"), ("--gid", &[], "gid"), ("--userns-block-fd", &[], "fd")];
    for (option, more, kind) in kinds.chain(ids) {
        for (index, bad) in ["-1", "x", "1x", "1 ", "0x1", "1.0", "", "2147483648", "4294967295"].iter().enumerate() {
            let words = [option, bad].into_iter().chain(more.iter().copied()).collect::<Vec<_>>();
            if kind != "fd" && *bad == "2147483648" {
                continue;
            }
            let name = format!("bad_{kind}_{}_{index}", plain(option));
            cases.push(fails(&name, &words, &format!("bwrap: Invalid {kind}: {bad}")));
        }
    }
    for (index, octal) in ["10000", "8", "-1", "0x1", "", "x", "7x", "7 ", "077777777777777777777777"].iter().enumerate() {
        let complaint = |option: &str| format!("bwrap: {option} takes an octal argument <= 07777");
        cases.push(fails(&format!("bad_perms_{index}"), &["--perms", octal, "--dir", "/x"], &complaint("--perms")));
        cases.push(fails(&format!("bad_chmod_{index}"), &["--chmod", octal, "/x"], &complaint("--chmod")));
    }
    for octal in ["0", "7", "007", "0755", "7777"] {
        let words = ["--perms", octal, "--dir", "/x"];
        cases.push(Case::new(&format!("perms_{octal}")).options(words).probe(&["list:/"]).ok());
        let words = ["--dir", "/x", "--chmod", octal, "/x"];
        cases.push(Case::new(&format!("chmod_{octal}")).options(words).probe(&["list:/"]).ok());
    }
    // A leading zero is no sign of octal numbers here.
    cases.push(Case::new("fd_with_zeros").fd(9, Fd::args(&["--dir", "/x"])).options(["--args", "009"]).probe(&["list:/"]).ok());
    cases
}

fn sizes() -> Vec<Case> {
    let mut cases = vec![];
    for (index, size) in ["0", "00", "08", "0x", "-1", "+1", " 1", "x", "1k", "", "18446744073709551616"].iter().enumerate() {
        let line = "bwrap: --size takes a non-zero number of bytes";
        cases.push(fails(&format!("bad_size_{index}"), &["--size", size, "--tmpfs", "/x"], line));
    }
    for size in ["9223372036854775808", "18446744073709551615"] {
        let line = "bwrap: --size (for tmpfs) is limited to 9223372036854775807";
        cases.push(fails(&format!("size_too_large_{size}"), &["--size", size, "--tmpfs", "/x"], line));
    }
    for (size, kilobytes) in [("65536", "64"), ("0x10000", "64"), ("0200000", "64"), ("1", "4"), ("9223372036854775807", "")] {
        // The size is in the mount's options, which the probe leaves out; the shell reads them itself.
        let script =
            "while read -r line; do case $line in *' /tmp rw,'*) echo \"${line##*- }\";; esac; done < /proc/self/mountinfo";
        let case =
            Case::new(&format!("size_{size}")).on_host().options(["--size", size, "--tmpfs", "/tmp"]).run(["sh", "-c", script]);
        let wanted = format!("size={kilobytes}k");
        cases.push(case.ok().claim(move |o| o.expect(kilobytes.is_empty() || o.stdout.contains(&wanted), &wanted)));
    }
    cases
}

fn modifiers() -> Vec<Case> {
    let others: [&[&str]; 22] = [
        &["--argv0", "x"],
        &["--bind", "/", "/"],
        &["--bind-fd", "5", "/x"],
        &["--cap-add", "ALL"],
        &["--chdir", "/"],
        &["--chmod", "700", "/"],
        &["--dev", "/x"],
        &["--level-prefix"],
        &["--lock-file", "/x"],
        &["--mqueue", "/x"],
        &["--new-session"],
        &["--overlay-src", "/"],
        &["--proc", "/x"],
        &["--remount-ro", "/"],
        &["--ro-bind-try", "/", "/"],
        &["--setenv", "a", "b"],
        &["--share-net"],
        &["--symlink", "a", "/x"],
        &["--sync-fd", "0"],
        &["--uid", "0"],
        &["--unshare-all"],
        &["--unshare-user"],
    ];
    let files: [&[&str]; 4] =
        [&["--dir", "/x"], &["--file", "5", "/x"], &["--bind-data", "5", "/x"], &["--ro-bind-data", "5", "/x"]];
    let mut cases = vec![];
    for words in others {
        for (modifier, line) in [("--perms", PERMS), ("--size", SIZE)] {
            let prefix = if words == ["--level-prefix"] { "<3>" } else { "" };
            let name = format!("{}_before_{}", plain(modifier), plain(words[0]));
            cases.push(fails(&name, &[&[modifier, "700"], words].concat(), &format!("{prefix}{line}")));
        }
    }
    for words in files {
        cases.push(fails(&format!("size_before_{}", plain(words[0])), &[&["--size", "700"], words].concat(), SIZE));
        let perms = Case::new(&format!("perms_before_{}", plain(words[0]))).fd(5, Fd::memfd("x"));
        cases.push(perms.options(["--perms", "0750"]).options(words).probe(&["list:/"]).ok());
        let once = Case::new(&format!("perms_serves_{}_once", plain(words[0]))).fd(5, Fd::memfd("x"));
        cases.push(once.options(["--perms", "0750"]).options(words).options(["--dir", "/y"]).probe(&["list:/"]).ok());
    }
    cases.extend([
        Case::new("perms_before_tmpfs").options(["--perms", "1700", "--tmpfs", "/x"]).probe(&["list:/"]).ok(),
        Case::new("perms_and_size").options(["--perms", "700", "--size", "4096", "--tmpfs", "/x"]).probe(&["list:/"]).ok(),
        Case::new("size_and_perms").options(["--size", "4096", "--perms", "700", "--tmpfs", "/x"]).probe(&["list:/"]).ok(),
        fails("size_and_perms_before_dir", &["--size", "1", "--perms", "700", "--dir", "/x"], SIZE),
        fails("perms_twice", &["--perms", "700", "--perms", "700"], "bwrap: --perms given twice for the same action"),
        fails("size_twice", &["--size", "7", "--size", "7"], "bwrap: --size given twice for the same action"),
        fails("perms_before_unknown", &["--perms", "7", "--nope"], "bwrap: Unknown option --nope"),
        Case::new("perms_before_command").options(["--ro-bind", "/", "/", "--perms", "700", "true"]).ok(),
        Case::new("size_before_command").options(["--ro-bind", "/", "/", "--size", "7", "true"]).ok(),
        Case::new("perms_before_dashes").options(["--ro-bind", "/", "/", "--perms", "700", "--", "true"]).ok(),
    ]);
    cases
}

fn overlays() -> Vec<Case> {
    let one = ["--overlay-src", "/usr"];
    let after = |words: &[&'static str]| [&one, words].concat();
    vec![
        fails("overlay_src_before_command", &after(&["true"]), OVERLAY_SRC),
        fails("overlay_src_before_dashes", &after(&["--", "true"]), OVERLAY_SRC),
        fails("overlay_src_at_the_end", &one, OVERLAY_SRC),
        fails("overlay_src_before_bind", &after(&["--bind", "/", "/"]), OVERLAY_SRC),
        fails("overlay_src_before_switch", &after(&["--unshare-all"]), OVERLAY_SRC),
        fails("overlay_src_before_unknown", &after(&["--nope"]), "bwrap: Unknown option --nope"),
        fails("overlay_without_src", &["--overlay", "/a", "/b", "/c"], "bwrap: --overlay requires at least one --overlay-src"),
        fails("tmp_overlay_without_src", &["--tmp-overlay", "/a"], "bwrap: --tmp-overlay requires at least one --overlay-src"),
        fails("ro_overlay_without_src", &["--ro-overlay", "/a"], "bwrap: --ro-overlay requires at least two --overlay-src"),
        fails("ro_overlay_with_one", &after(&["--ro-overlay", "/a"]), "bwrap: --ro-overlay requires at least two --overlay-src"),
    ]
}

/// Options of which the last one counts, with a warning for each of the others.
fn twice() -> Vec<Case> {
    let warned: [&[&str]; 12] = [
        &["--block-fd", "0"],
        &["--chdir", "/"],
        &["--gid", "0"],
        &["--hostname", "x"],
        &["--info-fd", "7"],
        &["--json-status-fd", "7"],
        &["--pidns", "0"],
        &["--seccomp", "0"],
        &["--uid", "0"],
        &["--userns", "0"],
        &["--userns-block-fd", "0"],
        &["--userns2", "0"],
    ];
    let quiet: [&[&str]; 10] = [
        &["--as-pid-1"],
        &["--clearenv"],
        &["--die-with-parent"],
        &["--disable-userns"],
        &["--lock-file", "/x"],
        &["--new-session"],
        &["--sync-fd", "0"],
        &["--unshare-all"],
        &["--unshare-user"],
        &["--assert-userns-disabled"],
    ];
    let mut cases = vec![];
    for words in warned {
        let line = format!("bwrap: Only the last {} option will take effect", words[0]);
        let end = "bwrap: Unknown option --nope";
        let two = fails(&format!("twice_{}", plain(words[0])), &[words, words, &["--nope"]].concat(), &format!("{line}\n{end}"));
        let three = [words, words, words, &["--nope"]].concat();
        cases.push(two);
        cases.push(fails(&format!("thrice_{}", plain(words[0])), &three, &format!("{line}\n{line}\n{end}")));
    }
    // The warning comes before the second value is looked at.
    for (option, kind) in [("--info-fd", "fd"), ("--seccomp", "fd"), ("--uid", "uid"), ("--gid", "gid")] {
        let line = format!("bwrap: Only the last {option} option will take effect\nbwrap: Invalid {kind}: x");
        cases.push(fails(&format!("twice_then_wrong_{}", plain(option)), &[option, "0", option, "x"], &line));
    }
    for (name, words) in [("perms", ["--perms", "0700", "--perms", "9"]), ("size", ["--size", "5", "--size", "x"])] {
        let line = format!("bwrap: --{name} given twice for the same action");
        cases.push(fails(&format!("twice_then_wrong_{name}"), &words, &line));
    }
    let line = "bwrap: Only the last --chdir option will take effect\nbwrap: --chdir does not take an empty path argument";
    cases.push(fails("twice_then_wrong_chdir", &["--chdir", "/", "--chdir", ""], line));
    for words in quiet {
        let name = format!("twice_{}", plain(words[0]));
        cases.push(fails(&name, &[words, words, &["--nope"]].concat(), "bwrap: Unknown option --nope"));
    }
    cases.push(
        Case::new("last_chdir_wins")
            .on_host()
            .options(["--chdir", "/no", "--chdir", "/usr"])
            .run(["pwd"])
            .status(0)
            .stdout("/usr\n")
            .stderr("bwrap: Only the last --chdir option will take effect\n"),
    );
    cases.push(
        Case::new("last_info_fd_wins")
            .on_host()
            .options(["--info-fd", "7", "--info-fd", "8"])
            .fd(7, Fd::Capture)
            .fd(8, Fd::Capture)
            .run(["true"])
            .status(0)
            .wrote(7, "")
            .claim(|o| o.number(8, "child-pid").map(|_| ())),
    );
    cases
}

/// Options that need or exclude others, in the order in which the rules are looked at.
fn together() -> Vec<Case> {
    let rows: [(&str, &[&str], &str); 27] = [
        (
            "add_seccomp_after_seccomp",
            &["--seccomp", "0", "--add-seccomp-fd", "0"],
            "--add-seccomp-fd cannot be combined with --seccomp",
        ),
        (
            "seccomp_after_add_seccomp",
            &["--add-seccomp-fd", "0", "--seccomp", "0"],
            "--seccomp cannot be combined with --add-seccomp-fd",
        ),
        ("block_without_user", &["--userns-block-fd", "0"], "--userns-block-fd requires --unshare-user"),
        ("block_with_try", &["--userns-block-fd", "0", "--unshare-user-try"], "--userns-block-fd requires --unshare-user"),
        (
            "block_with_userns",
            &["--userns-block-fd", "0", "--userns", "0", "--info-fd", "7"],
            "--userns-block-fd requires --unshare-user",
        ),
        ("block_without_info", &["--userns-block-fd", "0", "--unshare-user"], "--userns-block-fd requires --info-fd"),
        (
            "block_before_userns",
            &["--userns-block-fd", "0", "--unshare-user", "--userns", "0"],
            "--userns-block-fd requires --info-fd",
        ),
        (
            "block_and_userns",
            &["--userns-block-fd", "0", "--unshare-user", "--userns", "0", "--info-fd", "7"],
            "--userns is not compatible with --unshare-user",
        ),
        ("userns_with_user", &["--userns", "0", "--unshare-user"], "--userns is not compatible with --unshare-user"),
        ("userns_with_try", &["--userns", "0", "--unshare-user-try"], "--userns is not compatible with --unshare-user-try"),
        ("userns_with_all", &["--userns", "0", "--unshare-all"], "--userns is not compatible with --unshare-user-try"),
        (
            "userns_with_both",
            &["--unshare-user-try", "--userns", "0", "--unshare-user"],
            "--userns is not compatible with --unshare-user",
        ),
        ("disable_without_user", &["--disable-userns"], "--disable-userns requires --unshare-user"),
        ("disable_with_try", &["--disable-userns", "--unshare-user-try"], "--disable-userns requires --unshare-user"),
        ("disable_with_all", &["--disable-userns", "--unshare-all"], "--disable-userns requires --unshare-user"),
        ("disable_with_userns", &["--disable-userns", "--userns", "0"], "--disable-userns requires --unshare-user"),
        (
            "disable_with_block",
            &["--disable-userns", "--unshare-user", "--userns-block-fd", "0", "--info-fd", "7"],
            "--disable-userns is not compatible with --userns-block-fd",
        ),
        ("disable_before_uid", &["--disable-userns", "--uid", "1", "true"], "--disable-userns requires --unshare-user"),
        ("hostname_without_uts", &["--hostname", "x", "true"], "Specifying --hostname requires --unshare-uts"),
        ("hostname_before_pid_1", &["--as-pid-1", "--hostname", "x", "true"], "Specifying --hostname requires --unshare-uts"),
        ("pid_1_without_pid", &["--as-pid-1", "true"], "Specifying --as-pid-1 requires --unshare-pid"),
        ("pid_1_before_lock", &["--as-pid-1", "--lock-file", "/x", "true"], "Specifying --as-pid-1 requires --unshare-pid"),
        (
            "pid_1_with_lock",
            &["--as-pid-1", "--lock-file", "/x", "--unshare-pid", "true"],
            "Specifying --as-pid-1 and --lock-file is not permitted",
        ),
        ("pid_1_with_pidns", &["--as-pid-1", "--pidns", "0", "true"], "Specifying --as-pid-1 requires --unshare-pid"),
        (
            "hostname_in_order",
            &["--hostname", "x", "--unshare-user", "--uid", "1", "true"],
            "Specifying --hostname requires --unshare-uts",
        ),
        ("errors_before_usage", &["--disable-userns"], "--disable-userns requires --unshare-user"),
        (
            "assert_finds_namespaces",
            &["--ro-bind", "/", "/", "--assert-userns-disabled", "true"],
            "creation of new user namespaces was not disabled as requested",
        ),
    ];
    let mut cases = rows.iter().map(|(name, words, text)| fails(name, words, &format!("bwrap: {text}"))).collect::<Vec<_>>();
    // These come after the question whether there is a command.
    for words in [["--uid", "77"], ["--gid", "77"], ["--hostname", "x"], ["--lock-file", "/x"], ["--userns2", "0"]] {
        cases.push(usage(&format!("usage_before_{}", plain(words[0])), &words));
    }
    cases.push(usage("usage_before_as_pid_1", &["--as-pid-1"]));
    cases.push(usage("usage_before_assert", &["--assert-userns-disabled"]));
    cases.push(Case::new("share_net_alone").options(["--share-net"]).on_host().run(["true"]).ok());
    for (name, words) in [
        ("share_net_after_all", ["--unshare-all", "--share-net"].as_slice()),
        ("share_net_before_all", &["--share-net", "--unshare-all"]),
        ("net_after_share_net", &["--unshare-all", "--share-net", "--unshare-net"]),
        ("unshare_all", &["--unshare-all"]),
        ("unshare_cgroup", &["--unshare-cgroup"]),
        ("unshare_cgroup_try", &["--unshare-cgroup-try"]),
        ("unshare_ipc", &["--unshare-ipc"]),
        ("unshare_net", &["--unshare-net"]),
        ("unshare_pid", &["--unshare-pid"]),
        ("unshare_user", &["--unshare-user"]),
        ("unshare_user_try", &["--unshare-user-try"]),
        ("unshare_uts", &["--unshare-uts"]),
    ] {
        cases.push(Case::new(name).options(words).options(["--proc", "/proc"]).probe(&["namespaces", "network"]).ok());
    }
    cases
}

fn ids() -> Vec<Case> {
    let needs = |id: &str| format!("bwrap: Specifying --{id} requires --unshare-user or --userns");
    let view = |name: &str, words: &[&str]| Case::new(name).options(words).probe_on_host(&["ids", "maps"]).ok();
    vec![
        fails("uid_without_user", &["--uid", "77", "true"], &needs("uid")).root_only(),
        fails("gid_without_user", &["--gid", "77", "true"], &needs("gid")).root_only(),
        fails("uid_before_gid", &["--gid", "77", "--uid", "77", "true"], &needs("uid")).root_only(),
        fails("gid_before_hostname", &["--gid", "77", "--hostname", "x", "true"], &needs("gid")).root_only(),
        // An ordinary user gets a user namespace anyway.
        view("uid_of_user", &["--uid", "77"]).user_only(),
        view("gid_of_user", &["--gid", "77"]).user_only(),
        view("own_uid", &["--uid", "{uid}"]),
        view("own_gid", &["--gid", "{gid}"]),
        view("uid_with_user", &["--unshare-user", "--uid", "7"]),
        view("gid_with_user", &["--unshare-user", "--gid", "8"]),
        view("uid_0_with_user", &["--unshare-user", "--uid", "0", "--gid", "0"]),
        view("largest_uid", &["--unshare-user", "--uid", "2147483647", "--gid", "2147483647"]),
        view("uid_with_try", &["--unshare-user-try", "--uid", "7"]),
        view("uid_with_all", &["--unshare-all", "--uid", "7"]),
    ]
}
