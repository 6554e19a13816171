//! `--mask`: whatever is hidden stays hidden from an adversary who has every capability below, the host sees no trace of it, and
//! what a mask is not.

use std::os::unix::net::UnixListener;

use nix::sys::stat::Mode;

use super::escapes::inside::{READS_ALL, attempts, box_of, define_handle, has_handles, only};
use super::sources::runner_is_root;
use super::{fails, has_mount_setattr};
use crate::harness::{Case, Outcome, Result, Setup, Tweak};
use crate::probe::escape::SECRET;

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = wrong_paths();
    cases.extend(kinds());
    cases.extend(order());
    cases.extend(adversary());
    cases.extend(limits());
    cases.into_iter().map(Case::ours_only).collect()
}

/// The sum of all that there is below `{dir}/box`, before and after what `{bwrap}` does in between.
const SUM: &str = "sum() { find {dir}/box -printf '%p %y %m %u %s %i %n %T@ %l\\n' | sort | sha256sum; \
                   find {dir}/box -type f -exec sha256sum {} + | sort; }; before=$(sum);";
const SAME: &str = "; status=$?; test \"$before\" = \"$(sum)\" && echo same >&2; exit $status";

/// Sums the host's tree up around a command line.
fn summed(name: &str, options: &str, command: &str) -> Case {
    let case = Case::new(name).script(&format!("{SUM} {{bwrap}} {options} sh -c '{command}'{SAME}")).stderr("same\n");
    let case =
        case.file("box/f", SECRET).file("box/d/x", SECRET).dir("box/empty").symlink("f", "box/to-f").symlink("d", "box/to-d");
    case.symlink("none", "box/dangling").symlink("loop", "box/loop").symlink("/", "box/to-root").setup(|s| fifo(s, "box/fifo"))
}

fn fifo(s: &mut Setup, name: &str) -> Result<()> {
    nix::unistd::mkfifo(&s.path(name), Mode::from_bits_truncate(0o600)).map_err(|error| error.to_string())
}

/// Tries everything that a shell can do about `f` and `d`; what succeeds is shown.
const TRY: &str = "cd {dir}/box; t() { \"$@\" >&2 && echo \"$*\"; }; exec 2>/dev/null; t grep . f; t grep -r . d; t test -s f; \
                   t ls d/x; cp f /srv/f; t grep . /srv/f; t ln f g; t touch f; t touch d/y; t truncate -s 1 f; t chmod 700 f; t chmod 700 d; t mv f g; \
                   t mv d e; t mv /srv/new f; t rm f; t rmdir d; t rm -r d; t umount f; t umount -l d; t mount -o remount,bind,rw d; \
                   t mount -o remount,rw d; t mount --bind {dir}/box /srv; t grep . /proc/self/root{dir}/box/f; \
                   t grep . /proc/1/root{dir}/box/f; t grep . to-f; t grep -r . to-d/; t grep -r . d/../d; dd if=f of=/srv/g; t grep . /srv/g";

fn wrong_paths() -> Vec<Case> {
    let host = ["--ro-bind", "/", "/"];
    let wrong = |name: &str, path: &str, line: &str| {
        let case = fails(name, &[&host[..], &["--mask", path, "true"]].concat(), &format!("bwrap: {line}"));
        case.symlink("/", "to-root").symlink("loop", "loop").symlink("/proc/self/fd/1", "to-fd").symlink("to-root", "twice")
    };
    // It would be hidden from one process, which need not even be COMMAND.
    let of_proc = |name: &str, path: &str| {
        let words = "it leads through a link in a procfs, which is a different one in each process";
        let case = Case::new(&format!("link_of_proc_{name}")).on_host().symlink("/proc/self/status", "status");
        let case = case.options(["--unshare-pid", "--proc", "/proc", "--dev", "/dev", "--mask", path]);
        case.run(["true"]).fails(&format!("bwrap: Can't mask {path}: {words}"))
    };
    vec![
        of_proc("self", "/proc/self"),
        of_proc("in_self", "/proc/self/environ"),
        of_proc("mounts", "/proc/mounts"),
        of_proc("in_net", "/proc/../proc/net/tcp").tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS)),
        of_proc("led_there", "{dir}/status"),
        of_proc("led_there_from_dev", "/dev/fd"),
        // These are the same for every process, or are not there.
        Case::new("others_of_proc")
            .on_host()
            .options([
                "--unshare-pid",
                "--proc",
                "/proc",
                "--mask",
                "/proc/cpuinfo",
                "--mask",
                "/proc/self/none",
                "--mask",
                "/proc/none",
            ])
            .run(["sh", "-c", "grep -q ^Name /proc/self/status && ! grep . /proc/cpuinfo 2>&-"])
            .ok(),
        fails("no_path", &["--mask"], "bwrap: --mask takes an argument"),
        fails("empty", &["--mask", "", "true"], "bwrap: --mask does not take an empty path argument"),
        wrong("everything", "/", "--mask cannot hide /"),
        wrong("everything_by_dots", "/./..", "--mask cannot hide /"),
        wrong("everything_by_more_dots", "/usr/..", "Can't mask /usr/..: it is /"),
        wrong("link_to_everything", "{dir}/to-root", "Can't mask {dir}/to-root: it is /"),
        wrong("links_to_everything", "{dir}/twice", "Can't mask {dir}/twice: it is /"),
        wrong("loop", "{dir}/loop", "Can't mask {dir}/loop: Too many levels of symbolic links"),
        wrong("magic_link", "{dir}/to-fd", "Can't mask {dir}/to-fd: Too many levels of symbolic links"),
        wrong("too_long", &format!("/{}", "x".repeat(300)), &format!("Can't mask /{}: File name too long", "x".repeat(300))),
        // COMMAND might be let in later: then it must not be left uncovered.
        wrong("out_of_reach", "{dir}/closed/f", "Can't mask {dir}/closed/f: Permission denied")
            .user_only()
            .needs(runner_is_root)
            .setup(|s| {
                s.file("closed/f", SECRET)?;
                s.mode("closed", 0o700)?;
                s.keep_for_root("closed");
                Ok(())
            }),
        fails(
            "magic_link_walked",
            &[&host[..], &["--mask", "/proc/self/exe", "true"]].concat(),
            "bwrap: Can't mask /proc/self/exe: Too many levels of symbolic links",
        )
        .tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS)),
    ]
}

fn kinds() -> Vec<Case> {
    let host = "--ro-bind / / --tmpfs /srv --proc /proc --dev /dev";
    let masks = "--mask {dir}/box/f --mask {dir}/box/d --mask {dir}/box/none --mask {dir}/box/none/x --mask {dir}/box/f/x \
                 --mask {dir}/box/dangling --mask {dir}/box/empty --mask {dir}/box/fifo --mask {dir}/box/none/";
    let writable = format!("{host} --bind {{dir}}/box {{dir}}/box {masks}");
    let read_only = format!("{host} {masks}");
    let all = "--unshare-user --disable-userns --uid 0 --gid 0 --cap-add ALL";
    let look = "cd {dir}/box; stat -c \"%n %F %a %s\" f d empty fifo to-f; ls -A; timeout 5 cat fifo f d 2>&1; find d";
    let seen = "f regular empty file 0 0\nd directory 0 40\nempty directory 0 40\nfifo regular empty file 0 0\nto-f symbolic link 777 1\n\
                d\ndangling\nempty\nf\nfifo\nloop\nto-d\nto-f\nto-root\ncat: d: Is a directory\nd\n";
    let refuse = |case: Case| case.tweak(Tweak::Refuse(&["openat2", "mount_setattr"], libc::ENOSYS));
    let mut cases = vec![
        summed("shown_with_capabilities", &format!("{all} {writable}"), look).status(0).stdout(seen),
        refuse(summed("shown_on_old_kernels", &format!("{all} {writable}"), look).status(0).stdout(seen)),
        summed("refuses_on_old_kernels", &format!("--unshare-user --cap-drop ALL {writable}"), &format!("echo > /srv/new; {TRY}")).stdout("").tweak(Tweak::Refuse(
            &["mount_setattr"],
            libc::ENOSYS,
        )),
        // Links: what they lead to is hidden, and they stay.
        summed("links", &format!("{host} --mask {{dir}}/box/to-f --mask {{dir}}/box/to-d/"), "cd {dir}/box; readlink to-f to-d; test -s f || \
                test -e d/x || echo hidden").stdout("f\nd\nhidden\n").status(0),
        summed("by_way_of_links", &format!("{host} --mask {{dir}}/box/to-d/x"), "cd {dir}/box; ls d; test -s d/x || echo hidden")
            .stdout("x\nhidden\n")
            .status(0),
        summed("socket", &format!("--unshare-user --cap-add CAP_DAC_OVERRIDE {host} --mask {{dir}}/box/s"), "perl -MSocket -e \"socket(S, AF_UNIX, SOCK_STREAM, 0); print connect(S, sockaddr_un(\\\"{dir}/box/s\\\")) ? 1 : \\$!\"")
            .setup(|s| {
                s.hold(UnixListener::bind(s.path("box/s")).map_err(|error| error.to_string())?);
                Ok(())
            })
            .stdout("Connection refused"),
        summed("not_asked_for", host, "cd {dir}/box; cat f d/x").stdout(&format!("{SECRET}{SECRET}")).status(0),
    ];
    for (name, options) in [("writable", &writable), ("read_only", &read_only)] {
        for (who, words) in [
            ("plain", "--unshare-user --cap-drop ALL"),
            ("all", all),
            ("nobody", "--unshare-all --unshare-user --disable-userns"),
        ] {
            let case =
                summed(&format!("refuses_{name}_{who}"), &format!("{words} {options}"), &format!("echo > /srv/new; {TRY}"));
            // A directory of mode 0 may be entered with capabilities, and is empty.
            cases.push(case.stdout(""));
        }
    }
    cases
}

fn order() -> Vec<Case> {
    let look = |name: &str, options: &[&str], script: &str, stdout: &str| {
        let case = Case::new(name).on_host().options(["--bind", "{dir}/box", "/mnt"]).options(options).run(["sh", "-c", script]);
        case.file("box/a/b/c", "c").file("box/a/f", "f").file("other/new", "new").status(0).stdout(stdout)
    };
    let failing = |name: &str, options: &[&str], line: &str| {
        let case = Case::new(name).on_host().options(["--bind", "{dir}/box", "/mnt"]).options(options).run(["true"]);
        case.file("box/a/b/c", "c").fails(line)
    };
    vec![
        look("below_a_mask", &["--mask", "/mnt/a", "--mask", "/mnt/a/f", "--mask", "/mnt/a/b/c"], "ls -A /mnt", "a\n"),
        look("above_a_mask", &["--mask", "/mnt/a/b/c", "--mask", "/mnt/a/b", "--mask", "/mnt/a"], "ls -A /mnt", "a\n"),
        look(
            "twice",
            &["--mask", "/mnt/a/f", "--mask", "/mnt/a/f", "--mask", "/mnt/a/../a/f"],
            "grep -c ' /mnt/a/f ' /proc/self/mountinfo",
            "1\n",
        )
        .options(["--proc", "/proc"]),
        // Later options lie on top.
        look("uncovered_by_a_later_mount", &["--mask", "/mnt/a", "--bind", "{dir}/other", "/mnt/a"], "cat /mnt/a/new", "new"),
        look("before_the_mount", &["--mask", "/srv/new", "--bind", "{dir}/other", "/srv"], "cat /srv/new", "new"),
        look("after_a_tmpfs", &["--tmpfs", "/srv", "--mask", "/srv", "--dir", "/mnt/x"], "ls /srv 2>&-; ls /mnt", "a\nx\n"),
        failing(
            "nothing_is_made_below",
            &["--mask", "/mnt/a", "--dir", "/mnt/a/b/d"],
            "bwrap: Can't mkdir parents for /mnt/a/b/d: Read-only file system",
        ),
        // The parent that was kept is hidden by now.
        failing(
            "parent_is_hidden",
            &["--dir", "/mnt/a/b/d", "--mask", "/mnt/a", "--dir", "/mnt/a/b/e"],
            "bwrap: Can't mkdir parents for /mnt/a/b/e: Read-only file system",
        ),
        failing(
            "hinted",
            &["--level-prefix", "--mask", "/mnt/a", "--dir", "/mnt/a/d"],
            "<3>bwrap: Can't create file /mnt/a/d: Read-only file system\n<6>bwrap: hint: --mask at /mnt/a precedes it: create the mount point in its source, or put a --tmpfs in between",
        ),
        look(
            "on_another_root",
            &["--mask", "/mnt/a/f", "--ro-bind", "/", "/", "--mask", "{dir}/box/a/f"],
            "cat {dir}/box/a/b/c; test -s {dir}/box/a/f || echo hidden",
            "chidden\n",
        ),
        look(
            "with_few_files",
            &["--mask", "/mnt/a/f", "--mask", "/mnt/a/b", "--bind", "{dir}/other", "/srv", "--tmpfs", "/opt"],
            "ls /mnt/a; test -s /mnt/a/f || cat /srv/new",
            "b\nf\nnew",
        )
        .tweak(Tweak::Limit(libc::RLIMIT_NOFILE, 24, 24)),
        look(
            "root_of_a_mount",
            &["--tmpfs", "/srv", "--dir", "/srv/x", "--mask", "/srv"],
            "ls /srv/x 2>&- || echo hidden",
            "hidden\n",
        ),
        Case::new("dry_run")
            .on_host()
            .options(["--dry-run", "--ro-bind", "/", "/", "--mask", "/etc/shadow"])
            .run(["true"])
            .ok()
            .claim(|o| o.expect(o.stdout.contains("/etc/shadow") && o.stdout.contains("mask, if it exists"), "the mask")),
        Case::new("dry_run_json")
            .on_host()
            .options(["--dry-run-json", "1", "--ro-bind", "/", "/", "--mask", "/x"])
            .run(["true"])
            .ok()
            .claim(|o| o.expect(o.stdout.contains("\"kind\": \"mask\""), "the mask")),
    ]
}

/// The adversary of `probe/escape` with a mask where it knows of a tmpfs, and with one on the file itself.
fn adversary() -> Vec<Case> {
    let forms: [(&str, &[&str], &[&str]); 5] = [
        ("plain", &["--unshare-user", "--cap-drop", "ALL"], &[]),
        ("all", &["--unshare-all", "--cap-drop", "ALL"], &[]),
        ("namespace_of_its_own", &["--unshare-user"], &["escape:inner"]),
        ("namespace_of_its_own_all", &["--unshare-all"], &["escape:inner"]),
        ("capabilities_disabled", &["--unshare-user", "--disable-userns", "--uid", "0", "--gid", "0", "--cap-add", "ALL"], &[]),
    ];
    let mut cases = vec![];
    for (what, mask) in [("directory", "/given/hidden"), ("file", "/given/hidden/marker")] {
        for (form, options, views) in forms {
            let case = masked(&format!("held_{what}_{form}"), mask).options(options);
            cases.push(attempts(case, &[views, &[SEE]].concat(), &[], 40).claim(kept));
        }
        // Root without capabilities and without a user namespace.
        let case = masked(&format!("held_{what}_real_root"), mask).root_only().options(["--cap-drop", "ALL"]);
        cases.push(attempts(case, &[SEE], &[], 40).claim(kept));
        // Known: by its handle, root opens it on the bind that the mask lies on.
        let case = masked(&format!("known_{what}_handles_of_root"), mask).root_only().needs(has_handles).options(READS_ALL);
        let case = case.run(["/probe", "--probe", "x", "escape:root:/none:{given}"]).ok();
        cases.push(case.claim(|o| o.expect_line("handle on /in: through")));
        // Known: who has every capability over the sandbox's mounts takes it away.
        let case = masked(&format!("known_{what}_owner"), mask).options([
            "--unshare-user",
            "--uid",
            "0",
            "--gid",
            "0",
            "--cap-add",
            "ALL",
        ]);
        let case = case.needs(has_mount_setattr).run(["/probe", "--probe", "x", SEE]).ok();
        cases.push(case.claim(|o| o.expect(o.stdout.contains("umount of everything: through"), "the mask can be taken away")));
    }
    cases
}

/// A box with the secret in `/covered/hidden/marker`, masked.
fn masked(name: &str, mask: &str) -> Case {
    let mask = mask.replace("/given", "/covered");
    let case = box_of(name).setup(|s| {
        define_handle(s, "given/hidden/marker", "given");
        Ok(())
    });
    case.options(["--bind", "{dir}/given", "/covered", "--mask", &mask])
}

const SEE: &str = "escape:root:/covered/hidden/marker:{given}";

fn kept(o: &Outcome) -> Result<()> {
    only(o, &[], 40)?;
    o.expect_tree("given/hidden/marker", Some(&format!("file 644 own {SECRET:?}")))
}

/// What a mask is not, and what the host can do to it.
fn limits() -> Vec<Case> {
    let boxed = "--ro-bind / / --proc /proc --bind {dir}/box {dir}/box --mask {dir}/box/f";
    // Inside waits for a line, looks, and says so.
    let live = |name: &str, host: &str| {
        let script = format!(
            "mkfifo {{dir}}/go {{dir}}/come; {{bwrap}} {boxed} sh -c 'echo > {{dir}}/come; cat {{dir}}/go; cat {{dir}}/box/f 2>&-' & \
             cat {{dir}}/come; {host}; echo > {{dir}}/go; wait $!; true"
        );
        Case::new(name).script(&script).file("box/f", "old").file("box/g", "new").status(0)
    };
    let shared = |name: &str, host: &str| {
        let script = format!(
            "exec unshare --mount --propagation private sh -ec 'mount --make-rshared /; mkfifo {{dir}}/go {{dir}}/come; \
             mount -t tmpfs t {{dir}}/box; echo old > {{dir}}/box/f; mkdir {{dir}}/box/d; echo old > {{dir}}/box/d/x; mount -t tmpfs s {{dir}}/sub; \
             echo old > {{dir}}/sub/x; {{bwrap}} --ro-bind / / --unshare-user --mask {{dir}}/box/f --mask {{dir}}/box/d --mask {{dir}}/sub \
             sh -c \"echo > {{dir}}/come; cat {{dir}}/go; cat {{dir}}/box/f {{dir}}/box/d/x {{dir}}/sub/x 2>&-; true\" & \
             cat {{dir}}/come; {host}; echo > {{dir}}/go; wait'"
        );
        Case::new(name).script(&script).dir("box").dir("sub").root_only().status(0)
    };
    let many = (0..1000).flat_map(|n| ["--mask".to_owned(), format!("{{dir}}/box/{n}")]).collect::<Vec<_>>();
    vec![
        live("known_host_renames_over_it", "mv {dir}/box/g {dir}/box/f").stdout("\n\nnew"),
        // COMMAND has moved the directory away that the file is in, and what a mask of its path hides next time is nothing.
        Case::new("known_renamed_parent")
            .script(
                "run() { {bwrap} --ro-bind / / --bind {dir}/box {dir}/box --mask {dir}/box/d/x sh -c \"$1\"; }
                run 'mv {dir}/box/d {dir}/box/e; test -s {dir}/box/e/x || echo hidden'; run 'cat {dir}/box/e/x'",
            )
            .file("box/d/x", SECRET)
            .status(0)
            .claim(|o| o.expect_text("stdout", &o.stdout, &format!("hidden\n{SECRET}"))),
        // What is masked cannot be moved, and neither can what is in it.
        Case::new("masked_parent_stays")
            .script(
                "run() { {bwrap} --ro-bind / / --bind {dir}/box {dir}/box --mask {dir}/box/d sh -c \"$1\" 2>&-; }
                run 'mv {dir}/box/d {dir}/box/e || mv {dir}/box {dir}/e || rm -r {dir}/box/d || echo held'; run 'cat {dir}/box/*/x || echo hidden'",
            )
            .file("box/d/x", SECRET)
            .status(0)
            .stdout("held\nhidden\n"),
        // Who may read everything reads a mask, which is empty.
        Case::new("read_with_a_capability")
            .script(
                "look() { {bwrap} --ro-bind / / --cap-drop ALL \"$@\" --mask {dir}/box/f --mask {dir}/box/d \\
                     sh -c 'cat {dir}/box/f && ls -A {dir}/box/d && echo empty' 2>&-; }
                look; look --cap-add CAP_DAC_READ_SEARCH; look --cap-add CAP_DAC_OVERRIDE",
            )
            .file("box/f", SECRET)
            .file("box/d/x", SECRET)
            .status(0)
            .stdout("empty\nempty\n"),
        live("host_changes_it", "echo more > {dir}/box/f").stdout("\n\n"),
        live("host_renames_its_directory", "mv {dir}/box {dir}/else; mkdir {dir}/box").stdout("\n\n"),
        shared(
            "host_mounts_on_it",
            "echo new > {dir}/box/n; mount --bind {dir}/box/n {dir}/box/f; mount -t tmpfs n {dir}/box/d; \
                echo new > {dir}/box/d/x; mount -t tmpfs n {dir}/sub; echo new > {dir}/sub/x",
        )
        .stdout("\n\n"),
        shared("host_unmounts_what_it_is_on", "umount {dir}/sub; echo below > {dir}/sub/x").stdout("\n\n"),
        // A mask hides a path, not a file.
        Case::new("known_hard_link")
            .on_host()
            .options(["--mask", "{dir}/f"])
            .run(["cat", "{dir}/f", "{dir}/g"])
            .setup(|s| {
                s.file("f", SECRET)?;
                std::fs::hard_link(s.path("f"), s.path("g")).map_err(|error| error.to_string())
            })
            .claim(|o| o.expect_text("stdout", &o.stdout, SECRET)),
        Case::new("known_other_bind")
            .on_host()
            .options(["--bind", "{dir}/box", "/mnt", "--mask", "{dir}/box/f"])
            .run(["sh", "-c", "cat {dir}/box/f; cat /mnt/f; mv /mnt/f /mnt/g"])
            .file("box/f", SECRET)
            .claim(|o| o.expect_text("stdout", &o.stdout, SECRET))
            .claim(|o| o.expect(o.stderr.contains("Device or resource busy"), "the file cannot be moved from under the mask")),
        Case::new("a_thousand")
            .options(["--ro-bind", "/", "/", "--proc", "/proc"])
            .options(&many)
            .run(["sh", "-c", "find {dir}/box -size +0 -type f | wc -l; grep -c mask-file /proc/self/mountinfo"])
            .setup(|s| (0..1000).try_for_each(|n| s.file(&format!("box/{n}"), "x")))
            .ok()
            .stdout("0\n1000\n"),
    ]
}
