//! Vulnerabilities and regressions of the reference's past that are about paths, mounts and fds, each under its name.

use std::fs;

use crate::cases::overlays::kernel_has_overlays;
use crate::cases::sources::runner_is_root;
use crate::harness::{Case, Fd, Outcome, Result, Setup, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [escapes(), escapes_in_other_ways(), swapped_sources(), leftovers(), modes(), refused_calls(), mounts()]
        .into_iter()
        .flatten()
        .collect()
}

/// Where a planted symlink leads to: to a directory of the host beside the one that the sandbox has.
const WAYS: [(&str, &str); 6] = [
    ("absolute", "{dir}/outside"),
    ("relative", "../../../../../../../..{dir}/outside"),
    ("oldroot", "/oldroot{dir}/outside"),
    ("relative_oldroot", "../../oldroot{dir}/outside"),
    ("proc_self_fd", "/proc/self/fd/7"),
    ("proc_self_root", "/proc/self/root/../../oldroot{dir}/outside"),
];

/// Operations on a destination: what they are called, the words before it, and what it is called in a directory.
pub(crate) const OPERATIONS: [(&str, &[&str], &str); 12] = [
    ("dir", &["--dir"], "new"),
    ("dir_parents", &["--dir"], "a/b/c"),
    ("file", &["--file", "8"], "new"),
    ("file_existing", &["--file", "8"], "file"),
    ("bind", &["--bind", "{dir}/mine"], "new"),
    ("bind_file", &["--ro-bind", "{dir}/mine/f"], "new"),
    ("tmpfs", &["--tmpfs"], "new"),
    ("symlink", &["--symlink", "target"], "new"),
    ("chmod", &["--chmod", "0777"], "file"),
    ("bind_data", &["--bind-data", "8"], "new"),
    ("remount_ro", &["--remount-ro"], "sub"),
    ("proc", &["--proc"], "new"),
];

/// A sandbox with one directory of the host, in which somebody has planted symlinks, and an fd to another one left open.
pub(crate) fn planted(name: &str, target: &'static str) -> Case {
    Case::new(name)
        .dir("inside")
        .file("mine/f", "mine")
        .setup(move |s| {
            s.file("outside/file", "kept")?;
            s.mode("outside/file", 0o640)?;
            s.dir("outside/sub")?;
            s.symlink(target, "inside/link")?;
            s.symlink(&format!("{target}/file"), "inside/to-file")?;
            s.symlink(&format!("{target}/new"), "inside/to-new")
        })
        .fd(7, Fd::path("{dir}/outside"))
        .fd(8, Fd::memfd("stranger"))
        .options(["--proc", "/proc", "--bind", "{dir}/inside", "/in"])
        .claim(nothing_outside_changed)
}

/// The same where the set-up fails: the command, which is not there, is not even tried.
fn stopped(name: &str, target: &'static str) -> Case {
    let tried = |o: &Outcome| o.stderr.contains("execvp") || o.stderr.is_empty();
    planted(name, target).run(["true"]).status(1).stdout("").claim(move |o| o.expect(!tried(o), "the set-up went on"))
}

pub(crate) fn nothing_outside_changed(o: &Outcome) -> Result<()> {
    let outside = o.tree.iter().filter(|(path, _)| path.starts_with("outside")).collect::<Vec<_>>();
    let expected =
        [("outside", "directory 755 own"), ("outside/file", "file 640 own \"kept\""), ("outside/sub", "directory 755 own")];
    let kept = outside.iter().map(|(path, line)| (path.as_str(), line.as_str())).eq(expected);
    o.expect(kept, &format!("outside has changed: {outside:?}"))
}

fn escapes() -> Vec<Case> {
    let mut cases = vec![];
    for (way, target) in WAYS {
        for (operation, words, victim) in OPERATIONS {
            let through = format!("/in/link/{victim}");
            let name = format!("cve_2026_87766_{operation}_{way}");
            cases.push(stopped(&name, target).options(words).options([&through]));
            // The last component itself: the link to the directory, to its file, to what is not there.
            for last in ["link", "to-file", "to-new"] {
                let name = format!("cve_2026_87766_{operation}_{way}_last_{}", last.replace('-', "_"));
                cases.push(stopped(&name, target).options(words).options([format!("/in/{last}")]));
            }
        }
    }
    cases
}

fn escapes_in_other_ways() -> Vec<Case> {
    vec![
        // Where the sandbox has a directory of that name, the link leads there.
        planted("cve_2026_87766_lands_inside", "/outside")
            .options(["--dir", "/outside", "--dir", "/in/link/new", "--file", "8", "/in/link/made"])
            .probe(&["tree:/outside"])
            .ok()
            .claim(|o| o.expect_line("/outside/new: directory 755 {uid}:{gid}")),
        planted("cve_2026_87766_dots_stay_inside", "../../../../..")
            .options(["--dir", "/in/link/new"])
            .probe(&["list:/"])
            .ok()
            .claim(|o| o.expect_line("/new: directory 755 {uid}:{gid}")),
        stopped("cve_2026_87766_proc_self_cwd", "/proc/self/cwd/outside").options(["--dir", "/in/link/new"]),
        stopped("cve_2026_87766_proc_1_root", "/proc/1/root{dir}/outside").options(["--dir", "/in/link/new"]),
        stopped("cve_2026_87766_proc_thread_self", "/proc/thread-self/fd/7").options(["--dir", "/in/link/new"]),
        stopped("cve_2026_87766_dev_fd", "/dev/fd/7").options(["--dev", "/dev", "--dir", "/in/link/new"]),
        // No link at all: the destination is the magic one.
        stopped("cve_2026_87766_written_out", "x").options(["--dir", "/proc/self/fd/7/new"]),
        planted("cve_2026_87766_written_out_oldroot", "x")
            .options(["--dir", "/../oldroot{dir}/outside/new"])
            .probe(&["tree:/oldroot"]),
        stopped("cve_2026_87766_mount_on_magic_link", "x").options(["--tmpfs", "/proc/self/fd/7"]),
        stopped("cve_2026_87766_chmod_of_magic_link", "x").options(["--chmod", "0777", "/proc/self/fd/7"]),
        // The two processes of the reference write at once.
        stopped("cve_2026_87766_lock_file", "/oldroot{dir}/outside").ours_only().options(["--lock-file", "/in/to-file"]),
        stopped("cve_2026_87766_chdir", "/oldroot{dir}/outside").options(["--chdir", "/in/link"]),
        // An overlay and devices as well.
        stopped("cve_2026_87766_overlay", "/oldroot{dir}/outside")
            .options(["--overlay-src", "{dir}/mine", "--tmp-overlay", "/in/link/new"])
            .needs(kernel_has_overlays),
        stopped("cve_2026_87766_dev", "/oldroot{dir}/outside").options(["--dev", "/in/link/new"]),
        stopped("cve_2026_87766_mqueue", "/oldroot{dir}/outside").options(["--unshare-ipc", "--mqueue", "/in/link/new"]),
        stopped("cve_2026_87766_bind_fd", "/oldroot{dir}/outside").options(["--bind-fd", "7", "/in/link/new"]),
        stopped("cve_2026_87766_without_openat2", "/proc/self/fd/7")
            .tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS))
            .ours_only()
            .options(["--dir", "/in/link/new"]),
        stopped("cve_2026_87766_oldroot_without_openat2", "../../oldroot{dir}/outside")
            .tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS))
            .ours_only()
            .options(["--dir", "/in/link/new"]),
    ]
}

fn swapped_sources() -> Vec<Case> {
    let swap = |s: &mut Setup| {
        s.file("a/wanted", "")?;
        s.file("secret/f", "")?;
        s.pass(7, fs::File::open(s.path("a")).map_err(|e| e.to_string())?);
        fs::rename(s.path("a"), s.path("b")).map_err(|e| e.to_string())?;
        s.symlink("secret", "a")
    };
    vec![
        // The fd is what counts, whatever its path leads to now.
        Case::new("cve_2024_42472_renamed").setup(swap).options(["--bind-fd", "7", "/x"]).probe(&["tree:/", "list:/x"]).ok(),
        Case::new("cve_2024_42472_covered")
            .dir("a")
            .script("exec 7<{dir}/a; exec {bwrap} --dev-bind / / --tmpfs {dir}/a {bwrap} --ro-bind / / --bind-fd 7 /mnt true")
            .fails_beginning("bwrap: Race condition binding dirfd"),
        Case::new("cve_2024_42472_covered_read_only")
            .dir("a")
            .script("exec 7<{dir}/a; exec {bwrap} --dev-bind / / --tmpfs {dir}/a {bwrap} --ro-bind / / --ro-bind-fd 7 /mnt true")
            .fails_beginning("bwrap: Race condition binding dirfd"),
        Case::new("cve_2024_42472_removed")
            .setup(|s| {
                s.dir("a")?;
                s.pass(7, fs::File::open(s.path("a")).map_err(|e| e.to_string())?);
                fs::remove_dir(s.path("a")).map_err(|e| e.to_string())
            })
            .options(["--bind-fd", "7", "/x"])
            .run(["true"])
            .fails("bwrap: Can't find source path /proc/self/fd/7: No such file or directory"),
        Case::new("cve_2024_42472_removed_and_replaced")
            .setup(|s| {
                s.dir("a")?;
                s.pass(7, fs::File::open(s.path("a")).map_err(|e| e.to_string())?);
                fs::remove_dir(s.path("a")).map_err(|e| e.to_string())?;
                s.dir("a (deleted)")
            })
            .options(["--bind-fd", "7", "/x"])
            .run(["true"])
            .fails_beginning("bwrap: Race condition binding dirfd"),
    ]
}

/// A sandbox around it all whose /tmp has nothing but what is needed to run `{bwrap}` in it.
const PRIVATE_TMP: &str =
    "place=$(dirname $(dirname {bwrap})); exec {bwrap} --dev-bind / / --perms 1777 --tmpfs /tmp --ro-bind $place $place";

fn leftovers() -> Vec<Case> {
    let inner = "{bwrap} --unshare-all --ro-bind / / --proc /proc --dev /dev --tmpfs /mnt --ro-bind-data 0 /mnt/f --tmpfs /srv true </dev/null";
    let look = "ls -A /tmp | grep -v ^bleb";
    vec![
        Case::new("cve_2019_12439_nothing_in_tmp").script(&format!("{PRIVATE_TMP} sh -c '{inner}; {look}'")).status(1).stdout("").stderr(""),
        Case::new("cve_2019_12439_planted_names")
            .script(&format!(
                "{PRIVATE_TMP} --dir /tmp/v --symlink v /tmp/newroot --symlink v /tmp/oldroot --symlink v /tmp/bubblewrap \
                 --symlink v /tmp/.bubblewrap --symlink v /tmp/proc sh -c '{inner}; ls -A /tmp/v; {look}'"
            ))
            .ok()
            .stdout(".bubblewrap\nbubblewrap\nnewroot\noldroot\nproc\nv\n"),
        Case::new("cve_2019_12439_unusable_tmp")
            .script(&format!("{PRIVATE_TMP} --chmod 0111 /tmp --remount-ro /tmp {{bwrap}} --ro-bind / / true"))
            .ok(),
        Case::new("failure_leaves_nothing").script(&format!(
            "{PRIVATE_TMP} sh -c '{{bwrap}} --ro-bind / / --bind-data 0 /none/f true </dev/null; {{bwrap}} --ro-bind / / /none; {look}'"
        ))
        .status(1)
        .stdout(""),
        // What the options had made on the host is the caller's.
        Case::new("failure_leaves_what_was_made")
            .dir("box")
            .script("{bwrap} --ro-bind / / --bind {dir}/box {dir}/box --dir {dir}/box/new --chdir /none true; echo $?; ls {dir}/box")
            .stdout("1\nnew\n"),
    ]
}

fn modes() -> Vec<Case> {
    vec![
        Case::new("mount_points_under_umask_0")
            .tweak(Tweak::Umask(0))
            .dir("box")
            .file("f", "")
            .options([
                "--bind",
                "{dir}/box",
                "/box",
                "--ro-bind",
                "{dir}/f",
                "/box/f",
                "--tmpfs",
                "/box/d/e",
                "--ro-bind-data",
                "7",
                "/box/g",
            ])
            .options(["--file", "8", "/box/h", "--dir", "/box/i", "--symlink", "t", "/box/j/k"])
            .fd(7, Fd::memfd(""))
            .fd(8, Fd::memfd(""))
            .probe(&["process"])
            .ok()
            .claim(|o| o.expect_tree("box/f", Some("file 444 own \"\"")))
            .claim(|o| o.expect_tree("box/d/e", Some("directory 755 own"))),
        Case::new("parents_with_search_only")
            .setup(|s| {
                s.dir("box/search/sub")?;
                s.file("box/search/f", "")?;
                s.keep_for_root("box/search");
                s.mode("box/search", 0o711)
            })
            .options(["--bind", "{dir}/box", "/box", "--tmpfs", "/box/search/sub", "--dir", "/box/search/sub/a"])
            .options(["--ro-bind", "/dev/null", "/box/search/f", "--remount-ro", "/box/search/sub"])
            .probe(&["list:/box/search/sub"])
            .ok(),
        Case::new("parents_with_search_only_on_read_only")
            .setup(|s| {
                s.dir("box/search/sub")?;
                s.keep_for_root("box/search");
                s.mode("box/search", 0o711)
            })
            .options(["--ro-bind", "{dir}/box", "/box", "--bind", "{dir}/box", "/box/search/sub"])
            .probe(&["list:/box/search/sub"])
            .ok(),
        Case::new("parents_without_search")
            .setup(|s| {
                s.dir("box/closed/sub")?;
                s.keep_for_root("box/closed");
                s.mode("box/closed", 0o700)
            })
            .options(["--bind", "{dir}/box", "/box", "--tmpfs", "/box/closed/sub"])
            .run(["true"])
            .needs(runner_is_root)
            .user_only()
            .status(1),
        Case::new("existing_destination_on_read_only")
            .on_host()
            .options(["--tmpfs", "/mnt", "--ro-bind", "/dev/null", "/etc/passwd", "--dir", "/etc", "--dir", "/usr/bin"])
            .run(["sh", "-c", "test -d /mnt && test -c /etc/passwd"])
            .ok(),
    ]
}

/// Filters that know a system call no more than an old kernel did.
fn refused_calls() -> Vec<Case> {
    let shape = |name: &str, calls: &'static [&'static str], errno: i32| {
        Case::new(name)
            .tweak(Tweak::Refuse(calls, errno))
            .options(["--unshare-all", "--proc", "/proc", "--dev", "/dev", "--ro-bind", "{dir}", "/a", "--bind", "{dir}", "/b/c"])
            .options(["--tmpfs", "/a/home", "--symlink", "b", "/l", "--dir", "/l/c/made", "--remount-ro", "/b/c"])
            .probe(&["mounts", "tree:/", "tree:/dev"])
            .ok()
    };
    vec![
        // The reference cannot do without openat2.
        shape("without_openat2", &["openat2"], libc::ENOSYS).ours_only(),
        shape("without_mount_setattr", &["mount_setattr"], libc::ENOSYS),
        shape("without_both", &["openat2", "mount_setattr"], libc::ENOSYS).ours_only(),
        shape("without_statx_and_close_range", &["statx", "close_range", "clone3"], libc::ENOSYS),
    ]
}

fn mounts() -> Vec<Case> {
    vec![
        Case::new("read_only_below_as_well")
            .script(
                "exec {bwrap} --dev-bind / / --tmpfs /mnt --tmpfs /mnt/sub --bind {dir} /mnt/sub/dir \
                 {bwrap} --ro-bind /mnt /mnt --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
                 sh -c 'touch /mnt/a /mnt/sub/a /mnt/sub/dir/a 2>&-; echo $?'",
            )
            .claim(|o| o.expect_text("stdout", &o.stdout, "1\n")),
        Case::new("mount_table_changes_meanwhile")
            .dir("m")
            .root_only()
            .script(
                "unshare --mount --propagation private sh -c 'mount --make-rshared /; \
                 (while :; do mount -t tmpfs t {dir}/m; umount -l {dir}/m; done) & \
                 for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do {bwrap} --ro-bind / / --bind {dir} /mnt true || echo failed; done; \
                 kill $!'",
            )
            .ok()
            .stdout(""),
        Case::new("nothing_of_the_base_is_left")
            .options(["--bind", "{dir}", "/", "--proc", "/proc", "--bind-data", "7", "/data", "--overlay-src", "{dir}/low"])
            .options(["--tmp-overlay", "/over"])
            .needs(kernel_has_overlays)
            .dir("low")
            .dir("proc")
            .fd(7, Fd::memfd("x"))
            .probe(&["list:/", "list:/..", "list:/proc/self/root/..", "fds", "cwd"])
            .ok(),
    ]
}
