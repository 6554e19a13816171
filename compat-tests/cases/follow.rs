//! `--follow-symlinks`: each operation on a destination that is a symbolic link, every shape of link, and whose links count.
//!
//! What hostile directories can do with it is in `escapes_planted` and `escapes_race`.

use super::common::MERGED_USR;
use super::fails;
use super::overlays::kernel_has_overlays;
use crate::harness::{Case, Fd, Outcome, Result, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = operations();
    cases.extend(real());
    cases.extend(shapes());
    cases.extend(nowhere());
    cases.extend(who());
    cases.extend(host_files());
    cases.extend(scope());
    cases.extend(shown());
    cases.into_iter().map(Case::ours_only).collect()
}

const FOLLOW: &str = "--follow-symlinks";

/// The host, read-only, and a tmpfs with a directory, a file, and links to both.
fn led(name: &str) -> Case {
    let own = ["--tmpfs", "/srv", "--dir", "/srv/d", "--file", "9", "/srv/f", "--symlink", "d", "/srv/to-d", "--symlink", "f"];
    let case = Case::new(name).on_host().options(own).options(["/srv/to-f", FOLLOW]);
    case.fd(9, Fd::memfd("old\n")).file("mine/f", "mine\n")
}

/// The calls that newer kernels alone have: without them everything is the same.
fn refused(case: Case) -> Case {
    case.tweak(Tweak::Refuse(&["openat2", "mount_setattr"], libc::ENOSYS))
}

fn operations() -> Vec<Case> {
    // Each with what is seen at the end of the link; the link itself stays.
    let rows: [(&str, &[&str], &str, &str); 15] = [
        ("bind", &["--bind", "{dir}/mine", "/srv/to-d"], "cat d/f; readlink to-d", "mine\nd\n"),
        ("bind_try", &["--bind-try", "{dir}/mine", "/srv/to-d"], "cat d/f", "mine\n"),
        ("ro_bind", &["--ro-bind", "{dir}/mine", "/srv/to-d"], "cat d/f; touch d/f 2>&- || echo read-only", "mine\nread-only\n"),
        ("dev_bind", &["--dev-bind", "{dir}/mine", "/srv/to-d"], "cat d/f", "mine\n"),
        ("bind_file", &["--ro-bind", "{dir}/mine/f", "/srv/to-f"], "cat f; readlink to-f", "mine\nf\n"),
        ("bind_fd", &["--bind-fd", "7", "/srv/to-d"], "cat d/f", "mine\n"),
        ("ro_bind_fd", &["--ro-bind-fd", "7", "/srv/to-d"], "cat d/f", "mine\n"),
        ("tmpfs", &["--perms", "0711", "--tmpfs", "/srv/to-d"], "stat -c %a d; mountpoint -q d && echo mount", "711\nmount\n"),
        ("overlay", &["--overlay-src", "{dir}/mine", "--tmp-overlay", "/srv/to-d"], "cat d/f", "mine\n"),
        ("dir", &["--dir", "/srv/to-d", "--dir", "/srv/to-d/new"], "ls d; readlink to-d", "new\nd\n"),
        ("file", &["--file", "8", "/srv/to-f"], "cat f; readlink to-f", "new\nf\n"),
        ("bind_data", &["--bind-data", "8", "/srv/to-f"], "cat f; mountpoint -q f && echo mount", "new\nmount\n"),
        ("ro_bind_data", &["--ro-bind-data", "8", "/srv/to-f"], "cat f", "new\n"),
        ("chmod", &["--chmod", "0751", "/srv/to-d", "--chmod", "0604", "/srv/to-f"], "stat -c %a d f", "751\n604\n"),
        (
            "remount_ro",
            &["--bind", "{dir}/mine", "/srv/to-d", "--remount-ro", "/srv/to-d"],
            "touch d/new 2>&- || echo read-only",
            "read-only\n",
        ),
    ];
    let mut cases = vec![];
    for (operation, words, look, seen) in rows {
        let case = |name: &str| {
            let script = format!("cd /srv; {look}");
            let case = led(name).options(words).run(["sh", "-c", &script]).status(0).stdout(seen).stderr("");
            let case = case.fd(7, Fd::path("{dir}/mine")).fd(8, Fd::memfd("new\n"));
            if operation == "overlay" { case.needs(kernel_has_overlays) } else { case }
        };
        cases.push(case(operation));
        cases.push(refused(case(&format!("{operation}_on_old_kernels"))));
    }
    let wrong = |name: &str, words: &[&str], line: &str| led(name).options(words).run(["true"]).fd(8, Fd::memfd("x")).fails(line);
    cases.extend([
        wrong(
            "never_a_symlink",
            &["--symlink", "x", "/srv/to-d"],
            "bwrap: Can't make symlink at /srv/to-d: existing destination is d",
        ),
        wrong("never_a_proc", &["--proc", "/srv/to-d"], "bwrap: Can't mount on symlink destination /srv/to-d"),
        wrong("never_an_archive", &["--tar", "8", "/srv/to-d"], "bwrap: Can't mount on symlink destination /srv/to-d"),
        wrong("file_on_directory", &["--ro-bind", "{dir}/mine/f", "/srv/to-d"], "bwrap: Destination is not a file /srv/to-d"),
        wrong("directory_on_file", &["--tmpfs", "/srv/to-f"], "bwrap: Destination is not a directory /srv/to-f"),
        wrong("dir_on_file", &["--dir", "/srv/to-f"], "bwrap: Destination is not a directory /srv/to-f"),
        wrong("content_on_directory", &["--file", "8", "/srv/to-d"], "bwrap: Can't create file /srv/to-d: Is a directory"),
        wrong(
            "remount_of_no_mount",
            &["--remount-ro", "/srv/to-d"],
            "bwrap: Can't remount readonly on /srv/to-d: Invalid argument",
        ),
    ]);
    cases
}

/// What people stumble over.
fn real() -> Vec<Case> {
    let merged = |name: &str| Case::new(name).options(["--ro-bind", "/usr", "/usr"]).options(MERGED_USR);
    vec![
        // Flatpak's documents, and a permission for them.
        merged("flatpak_documents")
            .options(["--bind", "{dir}/doc", "/run/flatpak/doc", "--symlink", "/run/flatpak/doc", "/run/user/1000/doc", FOLLOW])
            .options(["--bind", "{dir}/more", "/run/user/1000/doc"])
            .run(["sh", "-c", "cat /run/user/1000/doc/f /run/flatpak/doc/f; readlink /run/user/1000/doc"])
            .file("doc/f", "doc\n")
            .file("more/f", "more\n")
            .status(0)
            .stdout("more\nmore\n/run/flatpak/doc\n"),
        // The link is on the empty root.
        merged("link_of_the_root")
            .options(["--symlink", "usr/share", "/share", FOLLOW, "--ro-bind", "{dir}/mine", "/share"])
            .run(["sh", "-c", "cat /usr/share/f /share/f"])
            .file("mine/f", "mine\n")
            .status(0)
            .stdout("mine\nmine\n"),
        // A distribution's tree, read-only: /usr/lib64 → lib.
        merged("lib64_of_a_tree")
            .options(["--ro-bind", "{dir}/tree", "/opt", FOLLOW, "--ro-bind", "{dir}/mine", "/opt/usr/lib64"])
            .run(["sh", "-c", "cat /opt/usr/lib/f; readlink /opt/usr/lib64"])
            .dir("tree/usr/lib")
            .symlink("lib", "tree/usr/lib64")
            .file("mine/f", "mine\n")
            .status(0)
            .stdout("mine\nlib\n")
            .claim(|o| o.expect_tree("tree/usr/lib/f", None)),
        // /etc/resolv.conf of many systems.
        merged("resolv_conf")
            .options(["--ro-bind", "{dir}/etc", "/etc", "--ro-bind", "{dir}/run", "/run", FOLLOW])
            .options(["--ro-bind-data", "8", "/etc/resolv.conf"])
            .run(["cat", "/etc/resolv.conf"])
            .dir("etc")
            .symlink("../run/resolve/stub.conf", "etc/resolv.conf")
            .file("run/resolve/stub.conf", "nameserver 127.0.0.53\n")
            .fd(8, Fd::memfd("nameserver 10.0.2.3\n"))
            .status(0)
            .stdout("nameserver 10.0.2.3\n")
            .claim(|o| o.expect_tree("run/resolve/stub.conf", Some("file 644 own \"nameserver 127.0.0.53\\n\""))),
        // An image that is unpacked.
        merged("link_of_an_archive")
            .tools(&["tar"])
            .setup(|s| {
                s.dir("a/d")?;
                s.symlink("d", "a/l")?;
                let tar = std::process::Command::new("tar").args(["-C"]).arg(s.path("a")).args(["-cf", "-", "."]).output();
                s.file("a.tar", tar.map_err(|error| error.to_string())?.stdout)
            })
            .file("mine/f", "mine\n")
            .fd(8, Fd::path("{dir}/a.tar"))
            .options(["--tar", "8", "/opt", FOLLOW, "--ro-bind", "{dir}/mine", "/opt/l"])
            .run(["cat", "/opt/d/f"])
            .status(0)
            .stdout("mine\n"),
    ]
}

/// Where links of all shapes lead.
fn shapes() -> Vec<Case> {
    let row = |name: &str, links: &[(&str, &str)], dest: &str| {
        let links: Vec<&str> = links.iter().flat_map(|&(text, at)| ["--symlink", text, at]).collect();
        let case = Case::new(name).on_host().options(["--tmpfs", "/srv", "--dir", "/srv/d/e"]).options(links);
        let case = case.options([FOLLOW, "--bind", "{dir}/mine", dest]).file("mine/f", "mine\n");
        case.run(["cat", "/srv/d/e/f"]).status(0).stdout("mine\n").stderr("")
    };
    let chain = |name: &str, length: usize| {
        let link =
            |n| ["--symlink".to_owned(), if n == 0 { "d/e".to_owned() } else { format!("l{}", n - 1) }, format!("/srv/l{n}")];
        let case =
            Case::new(name).on_host().options(["--tmpfs", "/srv", "--dir", "/srv/d/e"]).options((0..length).flat_map(link));
        let dest = format!("/srv/l{}", length - 1);
        case.options([FOLLOW, "--bind", "{dir}/mine", &dest]).file("mine/f", "mine\n").run(["cat", "/srv/d/e/f"])
    };
    vec![
        row("relative", &[("d/e", "/srv/l")], "/srv/l"),
        row("absolute", &[("/srv/d/e", "/srv/l")], "/srv/l"),
        row("upwards", &[("../../srv/d/./e", "/srv/d/l")], "/srv/d/l"),
        // The sandbox's root has nothing above it.
        row("far_upwards", &[("../../../../../../srv//d/e/", "/srv/d/l")], "/srv/d/l"),
        row("with_a_slash", &[("d/e", "/srv/l")], "/srv/l/"),
        row("by_another_link", &[("d/e", "/srv/l"), ("d/../l", "/srv/m")], "/srv/m"),
        row("by_a_link_on_the_way", &[("d", "/srv/m"), ("m/e", "/srv/l")], "/srv/l"),
        row("below_a_link", &[("d", "/srv/m"), ("e", "/srv/d/l")], "/srv/m/l"),
        row("to_where_it_is", &[(".", "/srv/d/e/l")], "/srv/d/e/l"),
        row("no_link_at_all", &[], "/srv/d/e"),
        chain("forty_links", 40).status(0).stdout("mine\n"),
        chain("too_many_links", 41).fails("bwrap: Can't follow the symlink at /srv/l40: Too many levels of symbolic links"),
        // What is mounted next is looked up anew: its parent has another mount on it by now.
        Case::new("parent_is_covered")
            .on_host()
            .options(["--tmpfs", "/srv", "--dir", "/srv/d", "--symlink", ".", "/srv/d/l", FOLLOW])
            .options(["--dir", "/srv/d/before", "--tmpfs", "/srv/d/l", "--dir", "/srv/d/after"])
            .run(["ls", "/srv/d"])
            .status(0)
            .stdout("after\n"),
    ]
}

/// Links that lead nowhere, to everything, or into a procfs.
fn nowhere() -> Vec<Case> {
    let mut cases = vec![];
    let rows: [(&str, &str, &str); 14] = [
        ("loop", "l", "Too many levels of symbolic links"),
        ("missing", "none", "No such file or directory"),
        ("missing_directory", "none/at/all", "No such file or directory"),
        ("below_a_file", "f/x", "Not a directory"),
        ("root", "/", "it leads to /"),
        ("root_by_dots", "../../../../..", "it leads to /"),
        ("root_by_a_link", "/srv/to-root", "it leads to /"),
        ("process", "/proc/self/fd/7", "it leads into a procfs"),
        ("process_root", "/proc/1/root/srv/d", "it leads into a procfs"),
        ("process_cwd", "/proc/thread-self/cwd", "it leads into a procfs"),
        ("processes", "/proc", "it leads into a procfs"),
        ("settings", "/proc/sys/kernel", "it leads into a procfs"),
        ("mounts", "../proc/self/mounts", "it leads into a procfs"),
        ("device_of_a_process", "/dev/fd/7", "it leads into a procfs"),
    ];
    for (name, target, why) in rows {
        let words = ["--proc", "/proc", "--dev", "/dev", "--symlink", "/", "/srv/to-root", "--symlink", target, "/srv/l"];
        for (operation, words_of_it) in [("tmpfs", &["--tmpfs"][..]), ("file", &["--file", "8"]), ("chmod", &["--chmod", "0700"])]
        {
            let line = format!("bwrap: Can't follow the symlink at /srv/l: {why}");
            let case = |name: &str| {
                let case = Case::new(name).on_host().options(["--tmpfs", "/srv", "--file", "9", "/srv/f"]).options(words);
                let case = case.options([FOLLOW]).options(words_of_it).options(["/srv/l"]).run(["true"]).fails(&line);
                case.fd(7, Fd::path("{dir}/outside")).fd(8, Fd::memfd("x")).fd(9, Fd::memfd("x")).file("outside/f", "kept")
            };
            cases.push(case(&format!("{operation}_to_{name}")));
            if operation == "tmpfs" {
                cases.push(refused(case(&format!("{operation}_to_{name}_on_old_kernels"))));
            }
        }
    }
    cases
}

const WRITABLE: &str = "it, or one that it leads to, lies on a mount of the host's that is writable";

/// Whose links count: none on a mount that somebody else could write to.
fn who() -> Vec<Case> {
    let made = |name: &str, words: &[&str], dest: &str| {
        let case = Case::new(&format!("links_of_{name}"))
            .on_host()
            .options(["--tmpfs", "/opt"])
            .options(words)
            .options([FOLLOW, "--tmpfs", dest]);
        let case = case.dir("tree/d").dir("up").dir("work").symlink("d", "tree/l").symlink("/opt/m/l", "tree/to-m");
        case.fd(7, Fd::path("{dir}/tree")).run(["mountpoint", "-q", "/opt/m/d"])
    };
    let allowed = |name: &str, words: &[&str]| made(name, words, "/opt/m/l").status(0).stderr("");
    let denied = |name: &str, words: &[&str]| {
        made(name, words, "/opt/m/l").fails(&format!("bwrap: Can't follow the symlink at /opt/m/l: {WRITABLE}"))
    };
    let layer = ["--overlay-src", "{dir}/tree"];
    vec![
        denied("bind", &["--bind", "{dir}/tree", "/opt/m"]),
        denied("bind_fd", &["--bind-fd", "7", "/opt/m"]),
        denied("dev_bind", &["--dev-bind", "{dir}/tree", "/opt/m"]),
        denied("overlay", &[&layer[..], &["--overlay", "{dir}/up", "{dir}/work", "/opt/m"]].concat()).needs(kernel_has_overlays),
        denied("bind_below_a_read_only_one", &["--ro-bind", "{dir}", "/opt/m", "--bind", "{dir}/tree", "/opt/m"]),
        allowed("ro_bind", &["--ro-bind", "{dir}/tree", "/opt/m"]),
        allowed("ro_bind_fd", &["--ro-bind-fd", "7", "/opt/m"]),
        allowed("remounted", &["--bind", "{dir}/tree", "/opt/m", "--remount-ro", "/opt/m"]),
        allowed("tmp_overlay", &[&layer[..], &["--tmp-overlay", "/opt/m"]].concat()).needs(kernel_has_overlays),
        allowed("ro_overlay", &[&layer[..], &["--overlay-src", "{dir}/up", "--ro-overlay", "/opt/m"]].concat()).needs(kernel_has_overlays),
        allowed("tmpfs", &["--tmpfs", "/opt/m", "--dir", "/opt/m/d", "--symlink", "d", "/opt/m/l"]),
        // With few open files mounts wait elsewhere, and are still known.
        allowed("tmpfs_with_few_files", &["--tmpfs", "/opt/m", "--dir", "/opt/m/d", "--symlink", "d", "/opt/m/l"])
            .tweak(Tweak::Limit(libc::RLIMIT_NOFILE, 24, 24)),
        denied("bind_with_few_files", &["--bind", "{dir}/tree", "/opt/m", "--tmpfs", "/opt/x"])
            .tweak(Tweak::Limit(libc::RLIMIT_NOFILE, 24, 24)),
        // A link of the sandbox's own that leads to one of the host's.
        made("by_a_link_of_our_own", &["--bind", "{dir}/tree", "/opt/m", "--symlink", "m/l", "/opt/l"], "/opt/l")
            .fails(&format!("bwrap: Can't follow the symlink at /opt/l: {WRITABLE}")),
        made("by_a_read_only_link", &["--bind", "{dir}/tree", "/opt/m", "--ro-bind", "{dir}/tree", "/opt/r"], "/opt/r/to-m")
            .fails(&format!("bwrap: Can't follow the symlink at /opt/r/to-m: {WRITABLE}")),
        // What a link leads to may be writable.
        made("to_a_writable_mount", &["--bind", "{dir}/tree", "/opt/m", "--symlink", "m/d", "/opt/l"], "/opt/l").status(0),
        // The host's own root.
        Case::new("root_bound_writable")
            .options(["--bind", "/", "/", FOLLOW, "--tmpfs", "{dir}/l"])
            .dir("d")
            .symlink("d", "l")
            .run(["true"])
            .fails(&format!("bwrap: Can't follow the symlink at {{dir}}/l: {WRITABLE}")),
        refused(denied("bind_on_old_kernels", &["--bind", "{dir}/tree", "/opt/m"])),
        // Where the kernel does not tell ids of mounts by statx(2).
        denied("bind_without_statx", &["--bind", "{dir}/tree", "/opt/m"]).tweak(Tweak::Refuse(&["statx"], libc::ENOSYS)),
        allowed("tmpfs_without_statx", &["--tmpfs", "/opt/m", "--dir", "/opt/m/d", "--symlink", "d", "/opt/m/l"])
            .tweak(Tweak::Refuse(&["statx"], libc::ENOSYS)),
        made("nosymfollow", &["--nosymfollow", "--ro-bind", "{dir}/tree", "/opt/m"], "/opt/m/l")
            .fails("bwrap: Can't follow the symlink at /opt/m/l: Too many levels of symbolic links"),
        made("nosymfollow_further_on", &["--nosymfollow", "--ro-bind", "{dir}/tree", "/opt/m", "--symlink", "m/l", "/opt/l"], "/opt/l")
            .fails("bwrap: Can't follow the symlink at /opt/l: Too many levels of symbolic links"),
        made("hinted", &["--level-prefix", "--bind", "{dir}/tree", "/opt/m"], "/opt/m/l").fails(&format!(
            "<3>bwrap: Can't follow the symlink at /opt/m/l: {WRITABLE}\n<6>bwrap: hint: bind that read-only, or name what the link leads to"
        )),
        // Known: COMMAND replaces a link on a tmpfs that it may write to; the mount stays where it is.
        led("known_link_is_replaced")
            .options(["--ro-bind", "{dir}/mine", "/srv/to-d"])
            .run(["sh", "-c", "cd /srv; rm to-d; mkdir to-d; echo other > to-d/f; cat to-d/f d/f; rmdir d 2>&- || echo held"])
            .status(0)
            .stdout("other\nmine\nheld\n"),
    ]
}

/// A link never has a file of the host's changed, whoever made it.
fn host_files() -> Vec<Case> {
    let kept = |o: &Outcome| -> Result<()> {
        o.expect_tree("given/f", Some("file 644 own \"kept\""))?;
        o.expect_tree("given/d", Some("directory 755 own"))
    };
    let row = |name: &str, words: &[&str], dest: &str| {
        let case = Case::new(name).on_host().options(["--tmpfs", "/opt", "--bind", "{dir}/given", "/opt/given"]);
        let case =
            case.options(["--ro-bind", "{dir}/image", "/opt/image", "--symlink", "given/f", "/opt/l", FOLLOW]).options(words);
        let case = case.options([dest]).run(["true"]).fd(8, Fd::memfd("stranger")).file("given/f", "kept").dir("given/d");
        let case = case.dir("image").symlink("../given/f", "image/f").symlink("/opt/given/d", "image/d");
        case.fails(&format!("bwrap: Can't follow the symlink at {dest}: what it leads to is the host's")).claim(kept)
    };
    vec![
        row("file_of_the_host", &["--file", "8"], "/opt/image/f"),
        row("file_of_the_host_by_our_link", &["--file", "8"], "/opt/l"),
        row("chmod_of_the_host", &["--chmod", "0777"], "/opt/image/f"),
        row("chmod_of_the_hosts_directory", &["--chmod", "0777"], "/opt/image/d"),
        row("chmod_of_the_host_by_our_link", &["--chmod", "0777"], "/opt/l"),
        row("chmod_of_a_device", &["--dev", "/opt/dev", "--symlink", "dev/null", "/opt/null", "--chmod", "0700"], "/opt/null"),
    ]
}

/// From where on, and where it may stand.
fn scope() -> Vec<Case> {
    let before = ["--tmpfs", "/srv", "--dir", "/srv/d", "--symlink", "d", "/srv/l"];
    vec![
        fails(
            "not_before_it",
            &[&["--ro-bind", "/", "/"], &before[..], &["--tmpfs", "/srv/l", FOLLOW, "true"]].concat(),
            "bwrap: Can't mount on symlink destination /srv/l",
        ),
        fails(
            "modifiers_wait_for_mounts",
            &["--perms", "0700", FOLLOW, "--tmpfs", "/x", "true"],
            "bwrap: --perms must be followed by an option that creates a file",
        ),
        Case::new("twice").on_host().options(before).options([FOLLOW, FOLLOW, "--tmpfs", "/srv/l"]).run(["true"]).ok(),
        Case::new("in_a_profile")
            .on_host()
            .options(before)
            .options(["--profile", "{dir}/profile", "--tmpfs", "/srv/l"])
            .file("profile", "--follow-symlinks\n")
            .run(["mountpoint", "-q", "/srv/d"])
            .status(0),
        fails(
            "without_it",
            &[&["--ro-bind", "/", "/"], &before[..], &["--level-prefix", "--dir", "/srv/l", "true"]].concat(),
            "<3>bwrap: Destination is not a directory /srv/l\n<6>bwrap: hint: it is a symbolic link to d: name that instead, or put \
             --follow-symlinks before this option",
        ),
        Case::new("without_it_a_file")
            .on_host()
            .options(["--level-prefix", "--tmpfs", "/srv", "--symlink", "f", "/srv/l", "--file", "8", "/srv/l"])
            .fd(8, Fd::memfd("x"))
            .run(["true"])
            .fails(
                "<3>bwrap: Can't create file /srv/l: Too many levels of symbolic links\n<6>bwrap: hint: it is a symbolic link to f: name \
                 that instead, or put --follow-symlinks before this option",
            ),
        fails(
            "without_it_a_proc",
            &["--level-prefix", "--symlink", "d", "/l", "--proc", "/l", "true"],
            "<3>bwrap: Can't mount on symlink destination /l\n<6>bwrap: hint: it is a symbolic link to d: name that instead",
        )
        .options(["--unshare-pid"]),
    ]
}

/// `--dry-run` says the same.
fn shown() -> Vec<Case> {
    let plan = |name: &str, words: &str, expected: &'static str| {
        let words: Vec<&str> = words.split(' ').collect();
        let case = Case::new(name).options(["--dry-run", "--ro-bind", "/", "/", "--tmpfs", "/opt"]).options(words);
        let case = case.dir("tree/d").file("tree/f", "").symlink("d", "tree/l").symlink("/opt/m/f", "tree/to-f").run(["true"]);
        let text = |o: &Outcome| o.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        case.claim(move |o| o.expect(text(o).contains(expected), &format!("it says {expected:?}")))
    };
    let fine = |name: &str, words: &str| plan(name, words, "tmpfs, mode 0755, nosuid, nodev, links followed").status(0);
    vec![
        fine("dry_run", "--ro-bind {dir}/tree /opt/m --follow-symlinks --tmpfs /opt/m/l"),
        fine("dry_run_own", "--dir /opt/d --symlink d /opt/l --follow-symlinks --tmpfs /opt/l"),
        fine("dry_run_remounted", "--bind {dir}/tree /opt/m --remount-ro /opt/m --follow-symlinks --tmpfs /opt/m/l"),
        plan(
            "dry_run_writable",
            "--bind {dir}/tree /opt/m --follow-symlinks --tmpfs /opt/m/l",
            "would fail: the link at /opt/m/l lies on a mount of the host's that is writable",
        )
        .status(1),
        plan(
            "dry_run_missing",
            "--symlink x /opt/l --follow-symlinks --tmpfs /opt/l",
            "it is a link to x → /opt/x, which is missing",
        )
        .status(1),
        plan("dry_run_loop", "--symlink l /opt/l --follow-symlinks --tmpfs /opt/l", "it is a link that leads in circles")
            .status(1),
        plan("dry_run_root", "--symlink .. /opt/l --follow-symlinks --tmpfs /opt/l", "would fail: it leads to /").status(1),
        plan("dry_run_proc", "--proc /p --symlink /p/self /opt/l --follow-symlinks --tmpfs /opt/l", "it leads into a procfs")
            .status(1),
        plan(
            "dry_run_host_file",
            "--bind {dir}/tree /opt/m --ro-bind {dir}/tree /opt/r --follow-symlinks --chmod 0700 /opt/r/to-f",
            "would fail: what it leads to is the host's",
        )
        .status(1),
        plan("dry_run_without_it", "--symlink d /opt/l --dir /opt/l", "or put --follow-symlinks before this option").status(1),
        plan("dry_run_chmod_without_it", "--symlink d /opt/l --chmod 0700 /opt/l", "or put --follow-symlinks before this option")
            .status(1),
        Case::new("dry_run_json")
            .options(["--dry-run-json", "1", "--ro-bind", "/", "/", "--tmpfs", "/srv", FOLLOW, "--dir", "/srv/d"])
            .run(["true"])
            .ok()
            .claim(|o| o.expect(o.stdout.matches("\"links followed\"").count() == 1, "the flag, once")),
    ]
}
