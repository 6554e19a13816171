//! A second run with what was learned: it has no more than the recorded sandbox had, and what lies behind links is in its place.

use super::learn::{NO_OPENAT2, has, has_listener, lacks};
use super::overlays::kernel_has_overlays;
use crate::harness::{Case, Outcome, Result, Setup};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let groups = [parts(), planted(), masked(), followed()];
    groups.into_iter().flatten().map(|case| case.ours_only().needs(has_listener).unrefused(NO_OPENAT2)).collect()
}

/// Learns, shows the profile, and runs the same with that alone.
fn again(name: &str, options: &str, command: &str) -> Case {
    let line = format!(
        "{{bwrap}} {options} --learn {{dir}}/p sh -c '{command}' > {{dir}}/first 2>&1; cat {{dir}}/p; \
         echo again:; {{bwrap}} --profile {{dir}}/p sh -c '{command}' > {{dir}}/second 2>&1; cat {{dir}}/second; \
         grep -v ^bwrap: {{dir}}/first | cmp - {{dir}}/second"
    );
    Case::new(name).script(&line).status(0)
}

/// In a sandbox of the whole machine, read-only.
fn wide(name: &str, options: &str, command: &str) -> Case {
    again(name, &format!("--unshare-user --unshare-pid --ro-bind / / --dev /dev --proc /proc {options}"), command)
}

/// In one that has programs and nothing else.
fn bare(name: &str, options: &str, command: &str) -> Case {
    let programs = "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64";
    again(name, &format!("--unshare-user {programs} {options}"), command)
}

/// What the second run prints.
fn prints(wanted: &'static str) -> impl Fn(&Outcome) -> Result<()> {
    move |o| o.expect_text("the second run", o.stdout.split("again:\n").last().unwrap_or_default(), wanted)
}

/// A part of something stays that part.
fn parts() -> Vec<Case> {
    vec![
        bare("one_file_of_proc", "--ro-bind /proc/version /proc/version", "head -c 5 /proc/version; echo; ls /proc")
            .claim(has(&["--ro-same /proc/version"]))
            .claim(prints("Linux\nversion\n")),
        bare("settings_of_proc", "--ro-bind /proc/sys /proc/sys", "cat /proc/sys/kernel/ostype; ls /proc")
            .claim(has(&["--ro-same /proc/sys"]))
            .claim(prints("Linux\nsys\n")),
        bare("a_process_of_proc", "--ro-bind /proc/$$/status /proc/status", "test -e /proc/status; true").claim(lacks(&[
            "same /proc",
            "bind /proc",
            "--proc",
        ])),
        again(
            "read_only_proc",
            "--unshare-user --ro-bind / /",
            "cat /proc/self/comm; echo x 2>&- > /proc/self/comm || echo read-only",
        )
        .claim(has(&["--proc /proc", "--remount-ro /proc"]))
        .claim(prints("cat\nread-only\n")),
        again(
            "covered_proc",
            "--unshare-user --ro-bind / / --ro-bind {dir}/f /proc/version",
            "cat /proc/self/comm /proc/version",
        )
        .file("f", "mine\n")
        .claim(has(&["--proc /proc", "--ro-bind {dir}/f /proc/version"]))
        .claim(prints("cat\nmine\n")),
        // Nobody has looked at what is covered.
        again("covered_unseen", "--unshare-user --ro-bind / / --ro-bind {dir}/f /proc/version", "cat /proc/self/comm")
            .file("f", "mine\n")
            .claim(has(&["--proc /proc", "--ro-bind {dir}/f /proc/version"])),
        bare("one_device", "--dev-bind /dev/null /dev/null", "cat /dev/null; ls /dev")
            .claim(has(&["--dev-bind /dev/null /dev/null"]))
            .claim(prints("null\n")),
        bare("shared_memory", "--bind {dir}/d /dev/shm", "echo x > /dev/shm/x; ls /dev /dev/shm")
            .dir("d")
            .claim(has(&["--tmpfs /dev/shm"]))
            .claim(prints("/dev:\nshm\n\n/dev/shm:\nx\n")),
        // The profile has neither of the first two mounts, so it must not change them. The third is read-only by itself.
        bare(
            "changes_of_what_is_left_out",
            "--tmpfs /t --chmod 0700 /t --tmpfs /u --remount-ro /u --bind {dir}/d /w --remount-ro /w",
            "cat /w/f",
        )
        .file("d/f", "f\n")
        .claim(has(&["--ro-bind {dir}/d/f /w/f"]))
        .claim(lacks(&["--chmod", "--remount-ro"]))
        .claim(prints("f\n")),
        wide("nothing_is_executed", "--noexec --bind {dir}/d /tmp", "cp /bin/true /tmp/x; /tmp/x 2> /dev/null; echo $?")
            .dir("d")
            .claim(has(&["--noexec", "--tmpfs /tmp"]))
            .claim(prints("126\n")),
    ]
}

/// What COMMAND can write by another way is given as a whole: a link in it would be followed by the run after the next.
fn planted() -> Vec<Case> {
    let case = |name: &str, options: &str| {
        let options = format!("--unshare-user --ro-bind / / {options}");
        again(name, &options, "cat {dir}/up/d/f").file("up/d/f", "f\n").dir("work").dir("low").claim(prints("f\n"))
    };
    let is_whole = || has(&["--ro-same {dir}/up"]);
    vec![
        case("below_an_overlay", "--overlay-src {dir}/low --overlay {dir}/up {dir}/work /mnt")
            .needs(kernel_has_overlays)
            .claim(is_whole()),
        case("below_an_fd", "--bind-fd 0 /mnt")
            .script(
                "{bwrap} --unshare-user --ro-bind / / --bind-fd 9 /mnt --learn {dir}/p cat {dir}/up/d/f 9< {dir}/up; cat {dir}/p; \
                 echo again:; {bwrap} --profile {dir}/p cat {dir}/up/d/f",
            )
            .claim(is_whole()),
    ]
}

/// A directory with a file that is hidden, and links to both.
fn hidden(name: &str, options: &str, command: &str) -> Case {
    let case = wide(name, &format!("--ro-bind {{dir}}/t /srv {options}"), command);
    case.file("t/d/k.key", "secret\n").symlink("d", "t/to-d").symlink("d/k.key", "t/l.key")
}

/// What a mask hides stays hidden, whichever way it was named.
fn masked() -> Vec<Case> {
    let read = "cat /srv/d/k.key 2> /dev/null | wc -c";
    let nothing = || prints("0\n");
    vec![
        hidden("mask_by_way_of_a_link", "--mask /srv/to-d/k.key", read).claim(has(&["--mask /srv/d/k.key"])).claim(nothing()),
        hidden("mask_of_a_link", "--mask /srv/l.key", read).claim(has(&["--mask /srv/d/k.key"])).claim(nothing()),
        hidden("pattern_by_way_of_a_link", "--mask-glob \"/srv/to-d/*.key\"", read)
            .claim(has(&["--mask-glob \"/srv/to-d/*.key\"", "--mask /srv/d/k.key"]))
            .claim(nothing()),
        hidden("pattern_of_a_link", "--mask-glob \"/srv/*.key\"", read)
            .claim(has(&["--mask-glob \"/srv/*.key\"", "--mask /srv/d/k.key"]))
            .claim(nothing()),
        // What a pattern finds again has no line of its own.
        hidden("pattern", "--mask-glob \"**/*.key\"", read)
            .claim(has(&["--mask-glob \"**/*.key\""]))
            .claim(lacks(&["--mask /"]))
            .claim(nothing()),
        hidden("pattern_below_a_directory", "--bind {dir}/t {dir}/t --mask-glob \"{dir}/t/*.key\"", "cat {dir}/t/d/k.key 2> /dev/null | wc -c; echo > {dir}/t/new")
            .claim(has(&["--same {dir}/t", "--mask {dir}/t/d/k.key"]))
            .claim(nothing()),
        // The profile does not have the open file, and what it covered is not there either.
        hidden("data_of_an_fd", "--bind {dir}/t {dir}/t --ro-bind-data 0 {dir}/t/d/k.key", "cat {dir}/t/d/k.key 2>&- | wc -c; echo > {dir}/t/new")
            .stdin("")
            .claim(has(&["--same {dir}/t", "# needs: --ro-bind-data FD {dir}/t/d/k.key", "--mask {dir}/t/d/k.key"]))
            .claim(nothing()),
        // The pattern stands for one directory, and so does what it hides something in.
        Case::new("patterns_stay_where_they_are")
            .file("w/a.key", "secret\n")
            .file("w/b", "b\n")
            .script(
                "cd {dir}/w; export PWD; {bwrap} --unshare-user --ro-bind / / --mask-glob \"$PWD/*.key\" --learn {dir}/p cat b; cat {dir}/p",
            )
            .status(0)
            .claim(has(&["--ro-same {dir}/w/b"]))
            .claim(lacks(&["${PWD}"])),
    ]
}

/// A tmpfs with a directory and a link to it, after which links are followed.
fn followed() -> Vec<Case> {
    let own = "--tmpfs /srv --dir /srv/d --symlink d /srv/to-d --follow-symlinks";
    let tree = "--ro-bind {dir}/t /srv --follow-symlinks";
    let led = |name: &str, options: &str, command: &str| {
        wide(name, options, command).setup(tree_of).file("mine/f", "mine\n").claim(lacks(&[
            "--follow-symlinks",
            "/srv/to-d/",
            "bind {dir}/mine /srv/to-d",
        ]))
    };
    let case = |name: &str, options: &str, command: &str| led(name, &format!("{own} {options}"), command);
    let on_tree = |name: &str, options: &str, command: &str| led(name, &format!("{tree} {options}"), command);
    vec![
        case("bind_on_a_link", "--ro-bind {dir}/mine /srv/to-d", "cat /srv/to-d/f /srv/d/f; readlink /srv/to-d")
            .claim(has(&["--ro-bind {dir}/mine/f /srv/d/f", "--symlink d /srv/to-d"]))
            .claim(prints("mine\nmine\nd\n")),
        case("tmpfs_on_a_link", "--tmpfs /srv/to-d", "echo x > /srv/to-d/new; cat /srv/d/new")
            .claim(has(&["--tmpfs /srv/d"]))
            .claim(prints("x\n")),
        case("dir_behind_a_link", "--dir /srv/to-d/new --chmod 0700 /srv/to-d", "ls /srv/d; stat -c %a /srv/d")
            .claim(has(&["--dir /srv/d/new", "--chmod 0700 /srv/d"]))
            .claim(prints("new\n700\n")),
        case(
            "remount_of_a_link",
            "--tmpfs /srv/to-d --dir /srv/d/y --remount-ro /srv/to-d",
            "ls /srv/d; touch /srv/d/x 2> /dev/null || echo read-only",
        )
        .claim(has(&["--tmpfs /srv/d", "--remount-ro /srv/d"]))
        .claim(prints("y\nread-only\n")),
        on_tree("bind_on_a_link_of_a_tree", "--ro-bind {dir}/mine /srv/to-d", "cat /srv/to-d/f /srv/d/f")
            .claim(has(&["--ro-bind {dir}/mine/f /srv/d/f", "--symlink d /srv/to-d"]))
            .claim(lacks(&["{dir}/t"]))
            .claim(prints("mine\nmine\n")),
        // It hides what is behind the link, also from who goes there without it.
        on_tree("hidden_behind_a_link", "--tmpfs /srv/to-d", "ls -A /srv/d; cat /srv/e")
            .claim(has(&["--tmpfs /srv/d", "--ro-bind {dir}/t/e /srv/e"]))
            .claim(prints("e\n")),
    ]
}

fn tree_of(s: &mut Setup) -> Result<()> {
    s.file("t/d/under", "under\n")?;
    s.file("t/e", "e\n")?;
    s.symlink("d", "t/to-d")
}
