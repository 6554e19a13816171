//! `--mask-glob`: what its patterns match, what it enters, and what it cannot see.

use std::time::Duration;

use super::common::MERGED_USR;
use super::fails;
use super::sources::runner_is_root;
use crate::harness::{Case, Setup, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    [wrong_patterns(), matches(), walks(), trouble(), links(), odd_trees()].into_iter().flatten().map(Case::ours_only).collect()
}

fn wrong_patterns() -> Vec<Case> {
    let rows: [(&str, &str, &str); 12] = [
        ("relative", "*.pem", "a pattern begins with / or **/"),
        ("home", "~/.ssh", "a pattern begins with / or **/"),
        ("root", "/", "it matches only /, which cannot be hidden"),
        ("stars", "/a**", "** must stand alone between slashes"),
        ("dots", "/a/../b", "it must not contain the names . or .."),
        ("open_set", "/[ab", "a [ has no ] before the next slash"),
        ("set_with_slash", "/[a/b]", "a [ has no ] before the next slash"),
        ("caret", "/[^a]", "a set is negated by [!…], and [\\^…] has a ^ in it"),
        ("class", "/[[:alpha:]]", "classes such as [:alpha:] are not supported"),
        ("range", "/[z-a]", "the range in a set is reversed"),
        ("backslash", "/a\\", "nothing follows its last \\"),
        ("braces", "**/*.{pem,key}", "braces have no meaning here: give one pattern for each, or \\{"),
    ];
    let mut cases = vec![
        fails("no_pattern", &["--mask-glob"], "bwrap: --mask-glob takes an argument"),
        fails("empty", &["--mask-glob", "", "true"], "bwrap: --mask-glob does not take an empty path argument"),
    ];
    for (name, pattern, problem) in rows {
        cases.push(fails(
            &format!("wrong_{name}"),
            &["--mask-glob", pattern, "true"],
            &format!("bwrap: Invalid pattern {pattern}: {problem}"),
        ));
    }
    cases
}

/// A tree of files that all have something in them.
const FILES: [&str; 12] = [
    "box/.env",
    "box/.ENV",
    "box/a/.env",
    "box/a/.env.local",
    "box/a/b/key.pem",
    "box/a/b/[x]",
    "box/a/b/{x}",
    "box/a/.ssh/id",
    "box/a/b/.ssh",
    "box/a/b/c/d/e/f/.env",
    "box/a/b/c/new\nline",
    "box/x/y/z",
];

fn tree(s: &mut Setup) -> crate::harness::Result<()> {
    FILES.iter().try_for_each(|name| s.file(name, "x"))
}

/// What can still be read below `{dir}/box`, one path a line.
const READ: &str = "cd {dir}/box && find . ! -type d -size +0 -print0 2>&- | LC_ALL=C sort -z | tr '\\n\\0' '? '";

/// Enough of the host for a shell. All of it would take long to be searched.
const SMALL: [&str; 9] =
    ["--ro-bind", "/usr/bin", "/usr/bin", "--ro-bind", "/usr/lib", "/usr/lib", "--ro-bind-try", "/usr/lib64", "/usr/lib64"];

fn seen(name: &str, patterns: &[&str], hidden: &[&str]) -> Case {
    let mut left: Vec<String> = FILES.iter().map(|file| file.replace("box/", "./")).collect();
    left.retain(|file| !hidden.iter().any(|start| file == start || file.starts_with(&format!("{start}/"))));
    left.sort();
    let stdout = left.iter().map(|file| file.replace('\n', "?") + " ").collect::<String>();
    let options: Vec<&str> = patterns.iter().flat_map(|pattern| ["--mask-glob", pattern]).collect();
    let case = Case::new(name).options(SMALL).options(MERGED_USR).options(["--ro-bind", "{dir}/box", "{dir}/box"]);
    case.options(options).run(["sh", "-c", READ]).setup(tree).ok().stdout(&stdout)
}

fn matches() -> Vec<Case> {
    let envs = ["./.env", "./a/.env", "./a/b/c/d/e/f/.env"];
    let refuse = |case: Case| case.tweak(Tweak::Refuse(&["openat2", "mount_setattr"], libc::ENOSYS));
    vec![
        seen("everywhere", &["**/.env"], &envs),
        refuse(seen("everywhere_on_old_kernels", &["**/.env"], &envs)),
        seen("below", &["{dir}/box/**/.env"], &envs),
        seen("in_one_place", &["{dir}/box/.env"], &["./.env"]),
        seen("one_level", &["{dir}/box/*/.env"], &["./a/.env"]),
        seen("star_and_dot", &["{dir}/box/a/*env*"], &["./a/.env", "./a/.env.local"]),
        seen("question_mark", &["{dir}/box/?env"], &["./.env"]),
        seen("case_counts", &["{dir}/**/.E[N]V"], &["./.ENV"]),
        seen("set", &["{dir}/box/a/b/[[-z]*"], &["./a/b/[x]", "./a/b/key.pem", "./a/b/c"]),
        seen("negated_set", &["{dir}/box/a/b/[!a-z.]*"], &["./a/b/[x]", "./a/b/{x}"]),
        seen("escapes", &["**/\\[x\\]", "**/\\{x}"], &["./a/b/[x]", "./a/b/{x}"]),
        seen("newline", &["**/new?line"], &["./a/b/c/new\nline"]),
        seen("directories_only", &["**/.ssh/"], &["./a/.ssh"]),
        seen("directories_and_files", &["**/.ssh"], &["./a/.ssh", "./a/b/.ssh"]),
        seen("all_in_it", &["{dir}/box/a/**"], &["./a"]),
        seen("deep_twice", &["{dir}/**/a/**/.env"], &["./a/.env", "./a/b/c/d/e/f/.env"]),
        seen("none", &["**/no-such-name-anywhere", "/no/such/*"], &[]),
        seen(
            "many_patterns",
            &["**/.env", "{dir}/box/**/.env.*", "{dir}/box/a/b/*.pem", "{dir}/box/x/y/", "{dir}/nothing/*"],
            &[&envs[..], &["./a/.env.local", "./a/b/key.pem", "./x/y"]].concat(),
        ),
        // The mount that comes later lies on top; the walk sees what is there at its place.
        seen("order", &["{dir}/box/**/z"], &[]).options(["--bind", "{dir}/box/x", "{dir}/box/x"]),
        seen("with_masks_between", &["{dir}/box/**/z"], &["./x/y/z", "./a/.env"]).options([
            "--mask",
            "{dir}/box/a/.env",
            "--mask-glob",
            "{dir}/box/nothing*",
        ]),
        Case::new("dry_run")
            .options(["--dry-run", "--ro-bind", "/", "/", "--mask-glob", "**/.env", "--mask-glob", "/a/*/"])
            .run(["true"])
            .ok()
            .claim(|o| o.expect(o.stdout.contains("mask, whatever matches") && o.stdout.contains("**"), "both patterns")),
    ]
}

fn walks() -> Vec<Case> {
    let boxed = |name: &str, patterns: &[&str], script: &str| {
        let options: Vec<&str> = patterns.iter().flat_map(|pattern| ["--mask-glob", pattern]).collect();
        let case = Case::new(name).on_host().options(["--bind", "{dir}/box", "/mnt"]).options(options).run(["sh", "-c", script]);
        case.setup(tree)
    };
    let count = "grep -c mask- /proc/self/mountinfo";
    vec![
        // Links are not entered; one that matches has what it leads to hidden.
        boxed("links_are_not_entered", &["/mnt/l*/**/.env", "/mnt/l*/.env"], "test -s /mnt/a/.env && echo seen")
            .symlink("a", "box/link")
            .ok()
            .stdout("seen\n"),
        boxed("links_on_the_fixed_way", &["/mnt/link/b/*.pem"], "test -s /mnt/a/b/key.pem || echo hidden")
            .symlink("a", "box/link")
            .ok()
            .stdout("hidden\n"),
        boxed("matching_link", &["/mnt/**/lin?"], "test -s /mnt/a/.env || echo hidden; readlink /mnt/x/link")
            .symlink("../a/.env", "box/x/link")
            .ok()
            .stdout("hidden\n../a/.env\n"),
        boxed("matching_link_walked", &["/mnt/**/lin?"], "test -s /mnt/a/.env || echo hidden")
            .symlink("../a/.env", "box/x/link")
            .ok()
            .stdout("hidden\n")
            .tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS)),
        boxed("matching_link_to_a_directory", &["/mnt/**/link/"], "ls -A /mnt/a /mnt/x; cat /mnt/x/no-link")
            .symlink("../a", "box/x/link")
            .symlink("y/z", "box/x/no-link")
            .claim(|o| o.expect(!o.stdout.contains(".env"), "it is hidden")),
        boxed("dangling_link", &["/mnt/**/link"], "readlink /mnt/link").symlink("none", "box/link").ok().stdout("none\n"),
        boxed("one_walk_for_all", &["/mnt/**/.env", "/mnt/**/.en*", "/mnt/a/**/.env", "/mnt/a/.env"], count)
            .options(["--proc", "/proc"])
            .ok()
            .stdout("4\n"),
        // What the kernel shows of itself is not searched, unless the pattern says so.
        Case::new("proc_is_not_entered")
            .options(SMALL)
            .options(MERGED_USR)
            .options(["--unshare-pid", "--proc", "/proc"])
            .options([
                "--mask-glob",
                "**/comm",
                "--mask-glob",
                "/proc/sys/kernel/**/osrelease",
                "--mask-glob",
                "/proc/*/kernel/ostype",
            ])
            .run(["sh", "-c", "cat /proc/1/comm; cat /proc/sys/kernel/osrelease /proc/sys/kernel/ostype 2>&-; true"])
            .ok()
            .stdout("bwrap\n"),
        boxed("mounts_are_entered", &["/mnt/**/z"], "cat /mnt/a/z; cat /mnt/x/y/z")
            .options(["--proc", "/proc"])
            .claim(|o| o.expect(o.stdout.is_empty(), "nothing to be read")),
        boxed("masked_is_not_entered", &["/mnt/a", "/mnt/a/*", "/mnt/**/.env"], count)
            .options(["--proc", "/proc"])
            .ok()
            .stdout("2\n"),
    ]
}

/// A case with so many files that a busy machine takes its time.
fn unhurried(mut case: Case) -> Case {
    case.timeout = Duration::from_mins(3);
    case
}

/// In the whole tree of the host.
fn boxed(name: &str, pattern: &str) -> Case {
    Case::new(name).on_host().options(["--mask-glob", pattern]).setup(tree)
}

fn trouble() -> Vec<Case> {
    let closed = |s: &mut Setup, mode: u32| {
        s.file("box/closed/.env", "secret")?;
        s.mode("box/closed/.env", 0o644)?;
        s.mode("box/closed", mode)?;
        s.keep_for_root("box/closed");
        s.keep_for_root("box/closed/.env");
        Ok(())
    };
    let unlisted = "bwrap: --mask-glob cannot list 1 of the directories that it leads to, and hides only names without wildcards there: \
                    {dir}/box/closed\n";
    let owned = |name: &str, mode: u32, pattern: &str| {
        let pattern = format!("{{dir}}/box/{pattern}");
        let options = ["--bind", "{dir}/box", "{dir}/box", "--mask-glob", &pattern];
        let case = Case::new(name).on_host().options(options).user_only().needs(runner_is_root).setup(move |s| {
            s.file("box/d/.env", "secret")?;
            s.file("box/d/e/x", "secret")?;
            for name in ["box/d", "box/d/.env", "box/d/e", "box/d/e/x"] {
                s.keep_for_root(name);
                std::os::unix::fs::chown(s.path(name), Some(s.uid), Some(54_322)).map_err(|error| error.to_string())?;
            }
            s.mode("box/d", mode)
        });
        case.run(["sh", "-c", "chmod 700 {dir}/box/d; cat {dir}/box/d/.env 2>&-; true"])
    };
    vec![
        // Names in it can be used, but not listed: what is looked for by its name is found all the same.
        boxed("unlisted_is_counted", "{dir}/box/**/.env*")
            .user_only()
            .needs(runner_is_root)
            .setup(move |s| closed(s, 0o711))
            .run(["true"])
            .status(0)
            .stderr(unlisted),
        boxed("unlisted_but_named", "{dir}/box/**/.env")
            .user_only()
            .needs(runner_is_root)
            .setup(move |s| closed(s, 0o711))
            .run(["sh", "-c", "test -s {dir}/box/closed/.env || echo hidden"])
            .status(0)
            .stdout("hidden\n")
            .stderr(unlisted),
        // Whoever has made the directory has chosen its name.
        boxed("unlisted_name_stays_on_the_line", "{dir}/box/**/.env*")
            .user_only()
            .needs(runner_is_root)
            .setup(|s| {
                let name = "box/no\n<4>bwrap: fake\u{1b}[2J";
                s.dir(name)?;
                s.mode(name, 0o711)?;
                s.keep_for_root(name);
                Ok(())
            })
            .run(["true"])
            .status(0)
            .stderr(&unlisted.replace("closed", "no?<4>bwrap: fake?[2J")),
        // Nobody inside may do more than the set-up.
        boxed("closed_is_not_counted", "{dir}/box/**/.env")
            .user_only()
            .needs(runner_is_root)
            .setup(move |s| closed(s, 0o700))
            .run(["true"])
            .ok(),
        // COMMAND owns it and could open it again; its group is not mapped, so that no capability of the set-up helps.
        owned("owned_and_closed", 0, "**/.env").fails("bwrap: Can't look for --mask-glob in {dir}/box/d: Permission denied"),
        owned("owned_and_unlisted", 0o311, "**/.env")
            .fails("bwrap: Can't look for --mask-glob in {dir}/box/d: Permission denied"),
        owned("owned_and_unsearchable", 0o444, "**/.env")
            .fails("bwrap: Can't look for --mask-glob in {dir}/box/d: Permission denied"),
        owned("owned_and_closed_by_name", 0, "d/.env")
            .fails("bwrap: Can't look for --mask-glob in {dir}/box/d: Permission denied"),
        owned("owned_and_open", 0o700, "**/.env").status(0).stdout(""),
        Case::new("own_closed_directory")
            .on_host()
            .options([
                "--unshare-user",
                "--cap-drop",
                "ALL",
                "--bind",
                "{dir}/box",
                "{dir}/box",
                "--mask-glob",
                "{dir}/box/**/id",
            ])
            .setup(tree)
            .setup(|s| s.mode("box/a/.ssh", 0))
            .needs(runner_is_root) // an ordinary user could not list it afterwards, to compare both sides
            .run(["sh", "-c", "chmod 700 {dir}/box/a/.ssh; cat {dir}/box/a/.ssh/id"])
            .stdout("")
            .claim(|o| o.expect(o.stderr.contains("id: Permission denied"), "the file is hidden")),
    ]
}

/// Links that must not be followed to what they lead to.
fn links() -> Vec<Case> {
    let root = |s: &mut Setup| s.symlink("/", "box/x/link");
    vec![
        boxed("link_to_everything", "{dir}/box/**/link")
            .setup(root)
            .run(["true"])
            .fails("bwrap: Can't mask {dir}/box/x/link: it is /"),
        boxed("link_of_proc", "/proc/mount?").options(["--proc", "/proc"]).run(["true"]).fails(
            "bwrap: Can't mask /proc/mounts: it leads through a link in a procfs, which is a different one in each process",
        ),
        boxed("link_in_a_loop", "{dir}/box/**/link")
            .symlink("link", "box/link")
            .run(["true"])
            .fails("bwrap: Can't mask {dir}/box/link: Too many levels of symbolic links"),
        boxed("magic_link", "{dir}/box/**/link")
            .symlink("/proc/self/fd/1", "box/link")
            .run(["true"])
            .fails("bwrap: Can't mask {dir}/box/link: Too many levels of symbolic links"),
        boxed("magic_link_walked", "{dir}/box/**/link")
            .symlink("/proc/self/fd/1", "box/link")
            .run(["true"])
            .fails("bwrap: Can't mask {dir}/box/link: Too many levels of symbolic links")
            .tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS)),
    ]
}

/// Trees that are large, deep or gone, and one that must not be entered.
fn odd_trees() -> Vec<Case> {
    let deep = "d=$PWD/box; i=0; while [ $i -lt 300 ]; do d=$d/d; i=$((i+1)); done; mkdir -p $d; echo x > $d/.env; exec {bwrap} --ro-bind / / \
                --mask-glob {dir}'/**/.env' sh -c 'find {dir}/box -name .env -size +0 | wc -l'";
    vec![
        // All of them lead to one file, so that no limit on mounts is met first.
        unhurried(Case::new("too_many"))
            .script(
                "perl -e 'symlink \"f\", \"{dir}/box/l$_\" for 1..100000'; echo x > {dir}/box/f; \
                 run() { {bwrap} --ro-bind / / --mask-glob {dir}'/box/l*' true; }; run && echo all && ln -s f {dir}/box/l && run; status=$?; \
                 rm -r {dir}/box; exit $status",
            )
            .dir("box")
            .status(1)
            .stdout("all\n")
            .stderr("bwrap: More than 100000 files match --mask-glob\n"),
        // As one that is removed between being opened and being listed.
        Case::new("removed_but_mounted")
            .script(
                "mkdir d m; exec unshare -rm sh -c 'mount --bind d m && rmdir d && exec {bwrap} --ro-bind / / --mask-glob {dir}/m/\\* echo so'",
            )
            .ok()
            .stdout("so\n"),
        Case::new("deep").script(deep).dir("box").ok().stdout("0\n"),
        // Whoever can write there decides how deep it is, and not whether bwrap starts. On the way back up there is more to be found.
        Case::new("deeper_than_files_can_be_open")
            .script(&format!(
                "ulimit -n 64; mkdir -p $PWD/box/a $PWD/box/d/d/a $PWD/box/d/d/d/z; {}",
                deep.replace("echo x > $d/.env", "mkdir box/z box/d/z; for e in $d box/a box/z box/d/z box/d/d/a box/d/d/d/z; do echo x > $e/.env; done")
            ))
            .dir("box")
            .ok()
            .stdout("0\n"),
        // An automounter that never answers: whoever asks it for a mount waits for ever.
        Case::new("automounts_are_not_entered")
            .root_only()
            .needs(has_autofs)
            .dir("box/auto")
            .script(
                "exec unshare --mount --propagation private perl -e 'pipe(R, W); use Fcntl; fcntl(W, F_SETFD, 0); setpgrp; \
                 system(\"mount\", \"-i\", \"-t\", \"autofs\", \"-o\", \"fd=\" . fileno(W) . \",pgrp=$$,minproto=5,maxproto=5,indirect\", \"auto\", \
                 \"{dir}/box/auto\") and die; mkdir \"{dir}/box/auto/sub\"; setpgrp(0, 0); \
                 exec \"timeout\", \"10\", \"{bwrap}\", \"--ro-bind\", \"/\", \"/\", \"--mask-glob\", \"{dir}/box/**/.env\", \"--mask-glob\", \
                 \"{dir}/box/**/x*\", \"echo\", \"done\"'",
            )
            .ok()
            .stdout("done\n"),
    ]
}

fn has_autofs() -> crate::harness::Result<()> {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if known.lines().any(|line| line.ends_with("\tautofs")) { Ok(()) } else { Err("the kernel has no autofs".to_owned()) }
}
