//! `--same` and its relatives: paths of the host at the same place, with the links on the way.

use super::fails;
use super::sources::runner_is_root;
use crate::harness::{Case, Outcome, Tweak};

/// What a shell in a sandbox of its own needs.
const SYSTEM: [&str; 12] = [
    "--ro-same",
    "/usr",
    "--ro-same",
    "/bin",
    "--ro-same",
    "/lib",
    "--ro-same-try",
    "/lib64",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
];

/// The cases of this file, ours alone.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = ways();
    cases.extend(existing());
    cases.extend(missing());
    cases.extend(in_proc());
    cases.extend(wrong());
    cases.into_iter().map(Case::ours_only).collect()
}

/// A sandbox with a shell that runs this.
fn shell(name: &str, options: &[&str], script: &str) -> Case {
    Case::new(name).options(SYSTEM).options(options).run(["sh", "-c", script])
}

/// `f` by way of two links, one of them with `..` behind a directory.
fn winding(case: Case) -> Case {
    case.file("f", "text\n").dir("d").symlink("two", "one").symlink("{dir}/d/../f", "two")
}

fn ways() -> Vec<Case> {
    let one = ["--ro-same", "{dir}/one"];
    let shown = "f\none -> two\ntwo -> {dir}/d/../f\n";
    let listing = "for f in f one two; do if [ -L $f ]; then echo \"$f -> $(readlink $f)\"; else echo $f; fi; done";
    vec![
        winding(shell("links_lead_there", &one, "cat {dir}/one")).ok().stdout("text\n"),
        winding(shell("links_have_their_text", &one, &format!("cd {{dir}}; {listing}"))).ok().stdout(shown),
        // Nothing else of the directory is there: not what else is in `d` either.
        winding(shell("nothing_beside_it", &one, "cd {dir}; find . | sort"))
            .file("d/secret", "")
            .file("g", "")
            .ok()
            .stdout(".\n./d\n./f\n./one\n./two\n"),
        shell("directories", &["--ro-same", "{dir}/l/sub"], "cat {dir}/l/sub/f; ls {dir}/real")
            .file("real/sub/f", "text\n")
            .file("real/other", "")
            .symlink("real", "l")
            .ok()
            .stdout("text\nsub\n"),
        shell("alternatives", &["--ro-same", "/usr/bin/awk"], "awk 'BEGIN { print 1 }'").ok().stdout("1\n"),
        shell("directories_are_open", &["--ro-same", "{dir}/l/sub/f"], "stat -c %a {dir} {dir}/real {dir}/real/sub")
            .file("real/sub/f", "")
            .symlink("real", "l")
            .ok()
            .stdout("755\n755\n755\n"),
        shell("read_only", &["--ro-same", "{dir}/l"], "echo x > {dir}/l/f")
            .dir("real")
            .symlink("real", "l")
            .status(2)
            .claim(|o| o.expect_tree("real/f", None)),
        shell("writable", &["--same", "{dir}/l"], "echo x > {dir}/l/f")
            .dir("real")
            .symlink("real", "l")
            .ok()
            .claim(|o| o.expect(o.tree.contains_key("real/f"), "what was written is not on the host")),
        shell("no_devices", &["--same", "/dev/zero"], "head -c 1 /dev/zero | od -An -c")
            .stdout("")
            .claim(|o| o.expect(o.stderr.contains("Permission denied"), "the device was opened")),
        // The kernel itself counts links twice when a mount anywhere makes it look up a name once
        // more (ELOOP after 21 to 40 of them), so COMMAND starts in the middle.
        shell("forty_links", &["--ro-same", "{dir}/l1"], "readlink {dir}/l1 {dir}/l40; cat {dir}/l21")
            .setup(|s| chain(s, 40))
            .ok()
            .stdout("l2\nf\ntext\n"),
        Case::new("root").options(["--same", "/"]).run(["echo", "hi"]).ok().stdout("hi\n"),
        Case::new("root_otherwise_written")
            .options(["--ro-same", "//./"])
            .run(["touch", "{dir}/x"])
            .status(1)
            .claim(|o| o.expect(o.stderr.contains("Read-only file system"), "the root is not read-only")),
        winding(shell("old_kernels", &one, "cat {dir}/one"))
            .tweak(Tweak::Refuse(&["openat2", "mount_setattr"], libc::ENOSYS))
            .ok()
            .stdout("text\n"),
        winding(shell("dry_run", &["--dry-run", "--ro-same", "{dir}/one", "--same-try", "{dir}/no"], "true")).ok().claim(
            |o: &Outcome| {
                let text = o.stdout.replace("\n                               ", "");
                let lines = ["one symlink to two", "two symlink to {dir}/d/../f", "f bind of {dir}/f, read-only, nosuid, nodev"];
                let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let missing = lines.iter().find(|line| !squeezed.contains(&o.expand(line)));
                o.expect(missing.is_none(), &format!("{missing:?} is not shown"))?;
                o.expect(squeezed.contains("is left out: "), "what is missing is not told")
            },
        ),
    ]
}

/// `l1` → `l2` → … → `f`, with as many links as that.
fn chain(setup: &mut crate::harness::Setup, links: usize) -> crate::harness::Result<()> {
    setup.file("f", "text\n")?;
    for number in 1..=links {
        let next = if number == links { "f".to_owned() } else { format!("l{}", number + 1) };
        setup.symlink(&next, &format!("l{number}"))?;
    }
    Ok(())
}

fn existing() -> Vec<Case> {
    let one = ["--ro-same", "{dir}/one"];
    let with = |name: &str, before: &[&str]| winding(Case::new(name).options(before).options(one).run(["true"]));
    vec![
        winding(shell("an_equal_link_is_fine", &["--symlink", "two", "{dir}/one", "--ro-same", "{dir}/one"], "cat {dir}/one"))
            .ok()
            .stdout("text\n"),
        winding(shell("twice_is_fine", &["--ro-same", "{dir}/one", "--ro-same", "{dir}/one"], "cat {dir}/one"))
            .ok()
            .stdout("text\n"),
        with("another_link_is_an_error", &["--symlink", "three", "{dir}/one"])
            .fails("bwrap: Can't make symlink at {dir}/one: existing destination is three"),
        with("another_file_is_an_error", &["--dir", "{dir}/one"])
            .fails("bwrap: Can't make symlink at {dir}/one: destination exists and is not a symlink"),
        // What somebody has planted in the sandbox is not followed, and nothing is made where it leads.
        Case::new("a_planted_link_is_not_followed")
            .options(["--bind", "{dir}/planted", "{dir}/w", "--ro-same", "{dir}/w/real"])
            .run(["true"])
            .dir("w/real")
            .dir("planted")
            .dir("elsewhere")
            .symlink("{dir}/elsewhere", "planted/real")
            .fails("bwrap: Can't mount on symlink destination {dir}/w/real"),
        Case::new("below_a_read_only_bind")
            .options(["--level-prefix", "--ro-bind", "{dir}/empty", "{dir}/w", "--ro-same", "{dir}/w/l"])
            .run(["true"])
            .dir("empty")
            .file("w/f", "")
            .symlink("f", "w/l")
            .status(1)
            .claim(|o| o.expect(o.stderr.contains("a read-only bind at "), "there is no hint")),
    ]
}

fn missing() -> Vec<Case> {
    let dangling =
        |name: &str, option: &str, script: &str| shell(name, &[option, "{dir}/l"], script).symlink("{dir}/gone/x", "l").dir("d");
    vec![
        shell("try_without_path", &["--same-try", "{dir}/no", "--ro-same-try", "{dir}/no/x"], "ls -d {dir} 2>&1 | grep -c No")
            .status(0)
            .stdout("1\n"),
        dangling("try_with_a_link_to_nowhere", "--ro-same-try", "readlink {dir}/l || echo none").ok().stdout("none\n"),
        dangling("a_link_to_nowhere", "--same", "true")
            .fails("bwrap: Can't find source path {dir}/l: it leads to {dir}/gone: No such file or directory"),
        fails(
            "without_path",
            &["--same", "/nonexistent", "true"],
            "bwrap: Can't find source path /nonexistent: No such file or directory",
        ),
        fails(
            "ro_without_path",
            &["--ro-same", "/nonexistent", "true"],
            "bwrap: Can't find source path /nonexistent: No such file or directory",
        ),
        fails(
            "try_through_a_file",
            &["--same-try", "/etc/passwd/x", "true"],
            "bwrap: Can't find source path /etc/passwd/x: Not a directory",
        ),
        shell("closed_to_the_caller", &["--ro-same-try", "{dir}/closed/x"], "true")
            .user_only()
            .needs(runner_is_root)
            .setup(|s| {
                s.file("closed/x", "")?;
                s.keep_for_root("closed");
                s.mode("closed", 0o700)
            })
            .fails("bwrap: Can't find source path {dir}/closed/x: Permission denied"),
        shell("forty_one_links", &["--ro-same-try", "{dir}/l1"], "true")
            .setup(|s| chain(s, 41))
            .fails("bwrap: Can't find source path {dir}/l1: it leads to {dir}/l41: Too many levels of symbolic links"),
        shell("a_loop", &["--same", "{dir}/l"], "true")
            .symlink("l", "l")
            .fails("bwrap: Can't find source path {dir}/l: Too many levels of symbolic links"),
    ]
}

/// /proc is another one in each sandbox, and parts of it in each process.
fn in_proc() -> Vec<Case> {
    vec![
        shell("a_link_to_proc_is_all", &["--ro-same", "{dir}/l"], "readlink {dir}/l; head -c 5 {dir}/l/comm | head -n 1")
            .symlink("/proc/self", "l")
            .ok()
            .stdout("/proc/self\nhead\n"),
        // The host's root by a magic link: the link is the sandbox's own there.
        Case::new("a_magic_link_is_not_followed")
            .options(["--ro-same", "{dir}/l"])
            .probe(&["tree:/"])
            .symlink("/proc/self/root", "l")
            .ok()
            .claim(|o| o.expect(!o.stdout.contains("/etc"), "the host's root is in the sandbox")),
        fails(
            "links_in_proc",
            &["--same", "/proc/self/status", "true"],
            "bwrap: Can't find source path /proc/self/status: it leads through the link /proc/self, which is a different one in each process",
        ),
        shell("files_of_proc", &["--ro-same", "/proc/version"], "head -c 5 /proc/version").ok().stdout("Linux"),
    ]
}

fn wrong() -> Vec<Case> {
    let each = ["--same", "--ro-same", "--same-try", "--ro-same-try"];
    let mut cases =
        vec![fails("relative_with_dots", &["--same", "../x", "true"], "bwrap: --same takes an absolute path, not ../x")];
    for option in each {
        let named = |what: &str| format!("{}_{what}", option.trim_start_matches('-').replace('-', "_"));
        cases.push(fails(&named("alone"), &[option], &format!("bwrap: {option} takes an argument")));
        cases.push(fails(
            &named("empty"),
            &[option, "", "true"],
            &format!("bwrap: {option} does not take an empty path argument"),
        ));
        cases.push(fails(
            &named("relative"),
            &[option, "usr", "true"],
            &format!("bwrap: {option} takes an absolute path, not usr"),
        ));
    }
    cases
}
