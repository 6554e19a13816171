//! What is mounted: binds, remounts, the mounts below them, procfs, devices, message queues.

use crate::harness::{Case, Fd, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [binds(), runs(), destinations(), remounts(), submounts(), kernel(), table()].into_iter().flatten().collect()
}

/// An empty root with a /proc, shown from inside with its mounts.
fn shown(name: &str, options: &[&str]) -> Case {
    Case::new(name).options(["--proc", "/proc"]).options(options).probe(&["mounts", "tree:/"])
}

/// The table begins with `/`: who takes the last line that leads to a path would find `/` for everything else.
fn table() -> Vec<Case> {
    let first = ["sed", "-n", "s/^[^/]*[^ ]* \\(\\/[^ ]*\\) .*/\\1/p;q", "/proc/self/mountinfo"];
    let host = ["--ro-bind", "/usr", "/usr", "--proc", "/proc"];
    let links = ["--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"];
    let rows: [(&str, &[&str]); 6] = [
        ("table_of_tmpfs", &[]),
        ("table_of_all", &["--unshare-all", "--dev", "/dev", "--tmpfs", "/tmp", "--mqueue", "/q"]),
        ("table_with_data", &["--bind-data", "9", "/d"]),
        ("table_of_host", &["--ro-bind", "/", "/"]),
        ("table_of_host_and_all", &["--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev"]),
        ("table_without_first", &["--ro-bind-try", "/nonexistent", "/"]),
    ];
    let case = |(name, options): (&str, &[&str])| {
        let whole = options.contains(&"/") && !options.contains(&"--ro-bind-try");
        let case = Case::new(name).fd(9, Fd::memfd("x"));
        let case = if whole {
            case.options(options)
        } else if options.contains(&"--ro-bind-try") {
            case.options(options).options(host).options(links)
        } else {
            case.options(host).options(links).options(options)
        };
        case.run(first).ok().stdout("/\n")
    };
    rows.into_iter().map(case).collect()
}

/// A failure with this text.
fn refused(name: &str, options: &[&str], words: &str) -> Case {
    Case::new(name).options(options).run(["true"]).fails(&format!("bwrap: {words}"))
}

fn binds() -> Vec<Case> {
    let host = "echo x > {dir}/box/f";
    vec![
        shown("bind", &["--bind", "{dir}/box", "/a/b", "--ro-bind", "{dir}/box", "/c/d", "--dev-bind", "{dir}/box", "/e"])
            .file("box/f", "")
            .run(["list:/a/b", "list:/c/d", "list:/e"])
            .ok()
            .claim(|o| o.expect_line("/a: directory 700 {uid}:{gid}"))
            .claim(|o| o.expect_line("/a/b/f: file 644 {uid}:{gid}")),
        shown("bind_files", &["--bind", "{dir}/f", "/a/f", "--ro-bind", "{dir}/f", "/g", "--dev-bind", "/dev/null", "/null"])
            .file("f", "")
            .run(["list:/a"])
            .ok(),
        shown(
            "bind_try",
            &["--bind-try", "{dir}/none", "/a", "--ro-bind-try", "{dir}/none/x", "/b/c", "--dev-bind-try", "/dev/none", "/d"],
        )
        .options(["--bind-try", "{dir}/box", "/e", "--ro-bind-try", "{dir}/box", "/f", "--dev-bind-try", "/dev/null", "/g"])
        .dir("box")
        .ok(),
        Case::new("bind_access")
            .on_host()
            .options(["--bind", "{dir}/box", "/mnt", "--ro-bind", "{dir}/box", "/srv"])
            .run(["sh", "-c", "echo x > /mnt/f && cat /srv/f && ! (echo y > /srv/f) 2>&- && cat /mnt/f"])
            .dir("box")
            .ok()
            .stdout("x\nx\n"),
        Case::new("bind_over_the_host")
            .on_host()
            .options(["--bind", "{dir}/box", "{dir}/box"])
            .run(["sh", "-c", host])
            .dir("box")
            .ok(),
        Case::new("bind_later_wins")
            .options(["--bind", "{dir}/one", "/a", "--bind", "{dir}/two", "/a", "--ro-bind", "{dir}/f", "/a/f"])
            .file("one/f", "1")
            .file("two/f", "22")
            .file("f", "333")
            .probe(&["list:/a"])
            .ok(),
        Case::new("bind_devices")
            .options(["--ro-bind", "/", "/", "--dev-bind", "/dev/null", "/mnt", "--dev-bind", "/dev", "/srv"])
            .run(["true"]),
        Case::new("bind_device_works")
            .on_host()
            .options(["--tmpfs", "/mnt", "--dev-bind", "/dev/null", "/mnt/yes", "--bind", "/dev/null", "/mnt/no"])
            .run(["sh", "-c", "echo > /mnt/yes && ! (echo > /mnt/no) 2>&-"])
            .ok(),
    ]
}

/// Binds that follow each other into one directory, and what can interrupt them.
fn runs() -> Vec<Case> {
    let run = |name: &str, between: &[&str]| {
        let case = shown(name, &["--bind", "{dir}/a", "/x/a", "--ro-bind", "{dir}/b", "/x/b"]);
        let case = case.options(between).options(["--dev-bind", "{dir}/c", "/x/c", "--bind", "{dir}/a", "/x/d"]);
        case.file("a/in-a", "").file("b/in-b", "").file("c/in-c", "").file("f", "")
    };
    let refused = |name: &str, between: &[&str], words: &str| run(name, between).run(["true"]).fails(&format!("bwrap: {words}"));
    vec![
        run("run", &[]).ok(),
        run("run_with_a_file", &["--ro-bind", "{dir}/f", "/x/f"]).ok(),
        run("run_with_a_tmpfs", &["--perms", "0700", "--tmpfs", "/x/t", "--size", "65536", "--tmpfs", "/x/u"]).ok(),
        run("run_with_a_missing_source", &["--bind-try", "{dir}/none", "/x/none"]).ok(),
        run("run_that_repeats_a_destination", &["--bind", "{dir}/c", "/x/a", "--bind", "{dir}/b", "/x/a"]).ok(),
        run("run_with_a_destination_below", &["--bind", "{dir}/b", "/x/a/below"]).ok(),
        run("run_in_what_is_covered", &["--tmpfs", "/x"]).ok(),
        run("run_in_what_is_bound", &["--bind", "{dir}/c", "/x", "--bind", "{dir}/b", "/x/in-a"]).ok(),
        run("run_with_dots", &["--bind", "{dir}/c", "/x/./e", "--bind", "{dir}/c", "/x/g/", "--bind", "{dir}/c", "/x//h"]).ok(),
        run("run_that_goes_up", &["--bind", "{dir}/c", "/x/..", "--bind", "{dir}/c", "/y"]),
        run("run_onto_the_directory", &["--bind", "{dir}/c", "/x/."]),
        run("run_with_a_link", &["--symlink", "a", "/x/l"]).ok(),
        run("run_of_flags", &["--dev-bind", "{dir}/b", "/x/1", "--ro-bind", "{dir}/b", "/x/2", "--bind", "{dir}/b", "/x/3"]).ok(),
        refused("run_onto_a_file", &["--file", "8", "/x/8", "--bind", "{dir}/b", "/x/8"], "Destination is not a directory /x/8")
            .fd(8, Fd::memfd("")),
        refused(
            "run_onto_a_link",
            &["--symlink", "a", "/x/l", "--bind", "{dir}/b", "/x/l"],
            "Can't mount on symlink destination /x/l",
        ),
        refused(
            "run_without_its_source",
            &["--bind", "{dir}/none", "/x/n"],
            "Can't find source path {dir}/none: No such file or directory",
        ),
    ]
}

fn destinations() -> Vec<Case> {
    vec![
        shown(
            "dots_then_below",
            &["--dir", "/a", "--tmpfs", "/a/.", "--dir", "/a/b", "--dir", "/c/d", "--tmpfs", "/c/d/..", "--dir", "/c/d/e"],
        )
        .run(["tree:/a", "tree:/c"])
        .ok()
        .claim(|o| o.expect_line("/a/b: directory 755 {uid}:{gid}"))
        .claim(|o| o.expect_line("/c/d/e: directory 755 {uid}:{gid}")),
        shown("bind_on_the_root", &["--bind", "{dir}/box", "/", "--dir", "/made", "--proc", "/proc"])
            .dir("box/proc")
            .ok()
            .claim(|o| o.expect_tree("box/made", Some("directory 755 own"))),
        shown("bind_on_the_root_again", &["--dir", "/base", "--ro-bind", "{dir}/one", "/", "--bind", "{dir}/two", "/"])
            .dir("one/proc")
            .dir("two")
            .options(["--proc", "/proc"])
            .ok(),
        shown("bind_on_the_root_by_dots", &["--ro-bind", "{dir}/one", "/", "--bind", "{dir}/two", "/..", "--dir", "/made"])
            .dir("one/proc")
            .dir("two")
            .options(["--proc", "/proc"]),
        shown("tmpfs_on_the_root", &["--dir", "/base", "--tmpfs", "/", "--dir", "/new", "--proc", "/proc"]).ok(),
        shown("tmpfs_on_the_root_by_dots", &["--dir", "/base", "--tmpfs", "/base/..", "--dir", "/new", "--proc", "/proc"]),
        shown("tmpfs_on_the_root_by_a_dot", &["--dir", "/base", "--tmpfs", "/.", "--dir", "/new", "--proc", "/proc"]),
        shown(
            "bind_destination_words",
            &["--bind", "{dir}/box", "a/b", "--bind", "{dir}/box", "/a/../c", "--bind", "{dir}/box", "/../d/"],
        )
        .dir("box"),
        shown("bind_through_a_symlink", &["--dir", "/usr/lib", "--symlink", "/usr/lib", "/lib", "--bind", "{dir}/box", "/lib/x"])
            .dir("box")
            .ok(),
        refused("bind_on_a_symlink", &["--symlink", "t", "/l", "--bind", "{dir}", "/l"], "Can't mount on symlink destination /l"),
        refused(
            "bind_on_a_symlink_to_a_directory",
            &["--dir", "/t", "--symlink", "t", "/l", "--ro-bind", "{dir}", "/l"],
            "Can't mount on symlink destination /l",
        ),
        refused("bind_directory_on_file", &["--file", "7", "/f", "--bind", "{dir}", "/f"], "Destination is not a directory /f")
            .fd(7, Fd::memfd("")),
        refused("bind_file_on_directory", &["--dir", "/d", "--bind", "{dir}/f", "/d"], "Destination is not a file /d")
            .file("f", ""),
        refused("bind_file_on_the_root", &["--ro-bind", "{dir}/f", "/"], "Destination is not a file /").file("f", ""),
        refused(
            "bind_below_a_file",
            &["--ro-bind", "{dir}/f", "/f", "--ro-bind", "{dir}/f", "/f/g"],
            "Can't mkdir parents for /f/g: Not a directory",
        )
        .file("f", ""),
        refused(
            "bind_missing_on_read_only",
            &["--ro-bind", "{dir}", "/ro", "--ro-bind", "{dir}", "/ro/none"],
            "Can't create file /ro/none: Read-only file system",
        ),
        refused(
            "bind_missing_file_on_read_only",
            &["--ro-bind", "{dir}", "/ro", "--ro-bind", "{dir}/f", "/ro/none"],
            "Can't create file /ro/none: Read-only file system",
        )
        .file("f", ""),
        refused(
            "bind_missing_parents_on_read_only",
            &["--ro-bind", "{dir}", "/ro", "--ro-bind", "{dir}", "/ro/none/x"],
            "Can't mkdir parents for /ro/none/x: Read-only file system",
        ),
        shown("bind_existing_on_read_only", &["--ro-bind", "{dir}", "/ro", "--ro-bind", "{dir}/f", "/ro/f", "--tmpfs", "/ro/d"])
            .file("f", "")
            .dir("d")
            .ok(),
    ]
}

fn remounts() -> Vec<Case> {
    vec![
        shown(
            "remount_ro",
            &["--tmpfs", "/a", "--tmpfs", "/a/b", "--bind", "{dir}", "/c", "--remount-ro", "/a", "--remount-ro", "/c"],
        )
        .ok(),
        shown("remount_ro_root", &["--ro-bind", "{probe}", "/probe", "--remount-ro", "/"]).ok(),
        shown("remount_ro_host", &["--bind", "{dir}/box", "/", "--proc", "/proc", "--remount-ro", "/"])
            .dir("box/proc")
            .file("box/probe", "")
            .ok(),
        shown("remount_ro_devices", &["--dev-bind", "/dev", "/d", "--remount-ro", "/d"]).ok(),
        shown("remount_ro_mqueue", &["--unshare-ipc", "--mqueue", "/q", "--remount-ro", "/q"]).ok(),
        shown("remount_ro_words", &["--tmpfs", "/a", "--tmpfs", "/b", "--remount-ro", "a", "--remount-ro", "/a/../b/."]),
        refused(
            "remount_ro_then_write",
            &["--tmpfs", "/a", "--remount-ro", "/a", "--dir", "/a/b"],
            "Can't create file /a/b: Read-only file system",
        ),
        Case::new("remount_ro_not_a_mount")
            .options(["--dir", "/a", "--remount-ro", "/a"])
            .run(["true"])
            .fails_beginning("bwrap: Can't remount readonly on /a: "),
        refused("remount_ro_missing", &["--remount-ro", "/none"], "Can't create file /none: No such file or directory"),
        refused(
            "remount_ro_missing_parent",
            &["--remount-ro", "/none/none"],
            "Can't create file /none/none: No such file or directory",
        ),
        refused(
            "remount_ro_symlink",
            &["--tmpfs", "/t", "--symlink", "t", "/l", "--remount-ro", "/l"],
            "Can't mount on symlink destination /l",
        ),
        shown("remount_ro_twice", &["--ro-bind", "{dir}", "/a", "--remount-ro", "/a", "--remount-ro", "/a"]).ok(),
    ]
}

/// Mounts below a source keep their own flags and get ours; made by a sandbox around the one that is looked at.
fn submounts() -> Vec<Case> {
    let around = "{bwrap} --dev-bind / / --tmpfs /mnt --perms 0700 --tmpfs /mnt/a --remount-ro /mnt/a --dev-bind /dev/null /mnt/n \
                  --tmpfs /mnt/b";
    let look = "--dev-bind / / --proc /proc {probe} --probe {namespaces} mounts";
    let script = |name: &str, text: String| Case::new(name).script(&text).dir("box").file("box/f", "x");
    vec![
        script("submounts_of_a_bind", format!("{around} {{bwrap}} --bind / / {{probe}} --probe {{namespaces}} mounts")).ok(),
        script("submounts_of_a_device_bind", format!("{around} {{bwrap}} {look}")).ok(),
        script("submounts_of_a_read_only_bind", format!("{around} {{bwrap}} --ro-bind / / {{probe}} --probe {{namespaces}} mounts")).ok(),
        script("submounts_refuse_writes", format!("{around} {{bwrap}} --ro-bind / / sh -c '! touch /mnt/b/f 2>&- && ! touch /mnt/f 2>&-'")).ok(),
        script("submounts_hidden", format!("{around} --tmpfs /mnt {{bwrap}} --ro-bind / / {{probe}} --probe {{namespaces}} mounts"))
            .unrefused("without mount_setattr nobody can reach what is hidden, and neither can COMMAND")
            .ok(),
        script(
            "submounts_and_remount_ro",
            format!("{around} {{bwrap}} --bind / / --remount-ro / {{probe}} --probe {{namespaces}} mounts"),
        ),
        script("submounts_not_a_boundary", format!("{around} {{bwrap}} --not-a-security-boundary --ro-bind / / true")).ok(),
        script(
            "submounts_with_flags",
            "unshare --mount --propagation private sh -ec 'mount -t tmpfs -o noexec,noatime t {dir}/box; mkdir {dir}/box/s; \
             mount -t tmpfs -o nosuid,nodev,strictatime,ro s {dir}/box/s; \
             exec {bwrap} --ro-bind {dir}/box /a --bind {dir}/box /b --dev-bind {dir}/box /c --proc /proc \
             --ro-bind {probe} /probe /probe --probe {namespaces} mounts'"
                .to_owned(),
        )
        .root_only()
        .ok(),
        // The reference's remount cannot do this; ours can by mount_setattr and without it.
        script(
            "submounts_with_strict_times",
            "unshare --mount --propagation private sh -ec 'mount -t tmpfs -o nodiratime,strictatime t {dir}/box; \
             exec {bwrap} --unshare-user --ro-bind {dir}/box /a --proc /proc --ro-bind {probe} /probe /probe --probe {namespaces} mounts'"
                .to_owned(),
        )
        .root_only()
        .ours_only()
        .tweak(Tweak::Refuse(&["mount_setattr"], libc::ENOSYS))
        .ok()
        .claim(|o| o.expect(o.stdout.contains("/a nodev,nodiratime,nosuid,ro "), "the flags of /a")),
        script(
            "mounts_come_but_do_not_go",
            "unshare --mount --propagation private sh -ec 'mount --make-rshared /; mkfifo {dir}/go {dir}/come; mkdir {dir}/sub; \
             {bwrap} --bind / / sh -c \"echo > {dir}/come; cat {dir}/go; ls {dir}/sub; mount -t tmpfs t {dir}/box; ls {dir}/box\" & \
             cat {dir}/come; mount -t tmpfs t {dir}/sub; touch {dir}/sub/arrived; echo > {dir}/go; wait; ls {dir}/box'"
                .to_owned(),
        )
        .root_only()
        .ok(),
        script(
            "shared_mounts_are_slaves",
            "unshare --mount --propagation private sh -ec 'mount --make-rshared /; \
             exec {bwrap} --ro-bind / / --bind {dir} /mnt {probe} --probe {namespaces} mounts'"
                .to_owned(),
        )
        .root_only()
        .ok(),
    ]
}

fn kernel() -> Vec<Case> {
    let views = ["mounts", "tree:/dev", "fds"];
    vec![
        shown("proc", &["--proc", "/x/proc", "--unshare-pid"]).ok(),
        shown("proc_of_the_host", &["--proc", "/x/proc"]).ok(),
        Case::new("proc_parts")
            .on_host()
            .options(["--unshare-pid", "--proc", "/proc"])
            .run([
                "sh",
                "-c",
                "for f in sys/kernel/hostname sysrq-trigger; do test -w /proc/$f; echo $?; done; ls -d /proc/[0-9]*",
            ])
            .status(0),
        Case::new("proc_twice").options(["--unshare-pid", "--proc", "/a", "--proc", "/proc"]).probe(&["mounts"]).ok(),
        refused("proc_on_a_symlink", &["--symlink", "t", "/l", "--proc", "/l"], "Can't mount on symlink destination /l"),
        refused(
            "proc_on_a_file",
            &["--ro-bind", "{dir}/f", "/f", "--unshare-pid", "--proc", "/f"],
            "Destination is not a directory /f",
        )
        .file("f", ""),
        refused(
            "proc_of_the_host_on_a_file",
            &["--ro-bind", "{dir}/f", "/f", "--proc", "/f"],
            "Destination is not a directory /f",
        )
        .file("f", ""),
        Case::new("dev").options(["--proc", "/proc", "--dev", "/dev"]).probe(&views).ok(),
        Case::new("dev_elsewhere").options(["--proc", "/proc", "--dev", "/a/dev"]).probe(&["mounts", "tree:/a"]).ok(),
        Case::new("dev_with_a_terminal").terminal().options(["--proc", "/proc", "--dev", "/dev"]).probe(&views).ok(),
        Case::new("dev_with_a_terminal_on_the_host")
            .terminal()
            .on_host()
            .options(["--dev", "/dev"])
            .run(["sh", "-c", "tty; test -c /dev/console; echo $?; : < /dev/tty; echo $?"])
            .status(0),
        Case::new("dev_works")
            .on_host()
            .options(["--dev", "/dev"])
            .run([
                "sh",
                "-c",
                "echo x > /dev/null; head -c 3 /dev/zero | od -c; touch /dev/shm/f; : < /dev/ptmx; ls -l /dev/pts | wc -l",
            ])
            .status(0),
        Case::new("dev_and_binds")
            .options([
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "--tmpfs",
                "/dev/shm",
                "--dev-bind",
                "/dev/null",
                "/dev/extra",
                "--remount-ro",
                "/dev",
            ])
            .probe(&views)
            .ok(),
        Case::new("dev_ignores_the_umask")
            .tweak(Tweak::Umask(0o077))
            .options(["--proc", "/proc", "--dev", "/dev"])
            .probe(&views)
            .ok(),
        refused("dev_on_a_symlink", &["--symlink", "t", "/l", "--dev", "/l"], "Can't mount on symlink destination /l"),
        refused("dev_on_a_file", &["--ro-bind", "{dir}/f", "/f", "--dev", "/f"], "Destination is not a directory /f")
            .file("f", ""),
        shown("mqueue", &["--unshare-ipc", "--mqueue", "/a/mqueue"]).ok(),
        shown("mqueue_of_the_host", &["--mqueue", "/mqueue"]).root_only().ok(),
        refused("mqueue_without_ipc", &["--mqueue", "/mqueue"], "Can't mount mqueue on /mqueue: Operation not permitted")
            .user_only(),
        refused(
            "mqueue_on_a_symlink",
            &["--unshare-ipc", "--symlink", "t", "/l", "--mqueue", "/l"],
            "Can't mount on symlink destination /l",
        ),
    ]
}
