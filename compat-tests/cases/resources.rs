//! Scarce resources: open files, processes, room on stderr; and plenty of operations.

use std::fs;

use nix::fcntl::OFlag;

use crate::harness::{Case, Fd, Field, Outcome, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = files();
    cases.extend(fewer_files());
    cases.extend(processes());
    cases.extend(many());
    cases.extend(room());
    cases
}

fn limit(resource: u32, soft: u64, hard: u64) -> Tweak {
    Tweak::Limit(resource, soft, hard)
}

/// Binds of a directory to many places.
fn binds(count: usize) -> Vec<String> {
    (0..count).flat_map(|n| ["--ro-bind".to_owned(), "{dir}/from".to_owned(), format!("/srv/{n}")]).collect()
}

/// More mounts than open files: those that were gathered are put aside, and nothing of that is seen inside.
fn fewer_files() -> Vec<Case> {
    let seen = ["{probe}", "--probe", "{namespaces}", "mounts", "fds", "limits", "list:/srv"];
    let case = |name: &str, hard| Case::new(name).dir("from").on_host().tweak(limit(libc::RLIMIT_NOFILE, hard, hard));
    let many = |name: &str, count| case(name, 1024).options(["--tmpfs", "/srv"]).options(binds(count)).run(seen).ok();
    let more = ["--ro-bind", "from", "/srv/relative", "--ro-bind", "/proc/sys", "/srv/sys", "--ro-bind", "/proc", "/srv/host"];
    let rest = ["--dev", "/srv/dev", "--proc", "/srv/proc", "--ro-bind-data", "10", "/srv/data", "--bind", "/", "/srv/root"];
    // Root takes its own root away, and enters its mount namespace anew: what is there now was below.
    let dig = format!(
        "open $f, q(<), q(/proc/self/ns/mnt) or die qq(open: $!); syscall({}, my $r = q(/), 2);
         syscall({}, fileno $f, 0x20000) == 0 or die qq(setns: $!); opendir $d, q(/) or die qq(/: $!);
         print join q( ), (grep /^[0-9]+$/, readdir $d), q(end)",
        libc::SYS_umount2,
        libc::SYS_setns
    );
    vec![
        many("mounts_1100_files_1024", 1100),
        many("mounts_2900_files_1024", 2900)
            .needs(super::has_mount_setattr)
            .unrefused("without mount_setattr the table of mounts is read for each"),
        case("mounts_of_every_kind", 48)
            .options(["--unshare-pid", "--tmpfs", "/srv"])
            .options(binds(60))
            .options(more)
            .options(rest)
            .options(["--remount-ro", "/srv/dev", "--symlink", "../../../../srv", "/srv/up", "--dir", "/srv/up/made"])
            .fd(10, Fd::memfd("some text"))
            .run(seen)
            .run(["list:/srv/relative", "list:/srv/dev", "contents:/srv/data"])
            .blur(Field::Stdout, super::without_data_names)
            .ok(),
        case("mounts_below_another_root", 48)
            .options(["--tmpfs", "/srv"])
            .options(binds(60))
            .options(["--bind", "/", "/", "--tmpfs", "/srv"])
            .options(binds(3))
            .run(seen)
            .ok(),
        case("mounts_of_overlays", 48)
            .needs(super::overlays::kernel_has_overlays)
            .options(["--tmpfs", "/srv"])
            .options(binds(60))
            .options(["--overlay-src", "{dir}/from", "--overlay-src", "{dir}/home", "--tmp-overlay", "/srv/over"])
            .options(["--overlay-src", "{dir}/from", "--overlay-src", "{dir}/home", "--ro-overlay", "/srv/under"])
            .run(["sh", "-c", "touch /srv/over/new; ls /srv/over; ls /srv/under; ls /srv | wc -l"])
            .ok(),
        case("mounts_and_nothing_below", 48)
            .root_only()
            .options(["--tmpfs", "/srv", "--dev", "/dev", "--unshare-pid", "--proc", "/proc"])
            .options(binds(60))
            .run(["perl", "-e", &dig])
            .ok()
            .stdout("end"),
    ]
}

/// Each operation of ours may need an fd; the reference needs none, so these are ours alone.
fn files() -> Vec<Case> {
    let few = |name: &str, hard| {
        let case = Case::new(name).dir("from").dir("made").on_host().options(["--tmpfs", "/srv", "--bind", "{dir}/made", "/mnt"]);
        let case = case.options(binds(100)).options(["--dir", "/mnt/in"]).run(["echo", "hi"]);
        case.ours_only().tweak(limit(libc::RLIMIT_NOFILE, hard, hard))
    };
    let fails = |o: &Outcome| {
        o.expect(o.stderr.ends_with("Too many open files\n") && o.stderr.lines().count() == 1, "not one clear line")?;
        o.expect_tree("made/in", None)
    };
    vec![
        few("files_4", 4).status(1).stdout("").claim(fails),
        few("files_16", 16).ok().stdout("hi\n"),
        few("files_60", 60).ok().stdout("hi\n"),
        few("files_100", 100).ok().stdout("hi\n"),
        few("files_enough", 160).ok().stdout("hi\n"),
        // A low soft limit is no trouble, and COMMAND has it again.
        Case::new("files_soft")
            .dir("from")
            .on_host()
            .options(["--tmpfs", "/srv"])
            .options(binds(300))
            .run(["{probe}", "--probe", "{namespaces}", "limits", "fds"])
            .tweak(limit(libc::RLIMIT_NOFILE, 20, 4096))
            .ok(),
        Case::new("files_none_for_command")
            .on_host()
            .run(["sh", "-c", "ulimit -n"])
            .tweak(limit(libc::RLIMIT_NOFILE, 8, 64))
            .ok(),
        Case::new("file_size")
            .on_host()
            .options(["--tmpfs", "/srv", "--file", "3", "/srv/f"])
            .fd(3, Fd::memfd("some text"))
            .run(["echo", "hi"])
            .tweak(limit(libc::RLIMIT_FSIZE, 4, 4))
            .stdout(""),
        // Inherited fds above the limit.
        Case::new("files_inherited")
            .on_host()
            .run(["{probe}", "--probe", "{namespaces}", "fds"])
            .setup(|s| {
                for number in 3..=390 {
                    s.pass(number, fs::File::open("/dev/null").map_err(|e| e.to_string())?);
                }
                Ok(())
            })
            .tweak(limit(libc::RLIMIT_NOFILE, 1024, 4096))
            .ok(),
    ]
}

/// The limit does not concern root. It is set by the shell: set before the user is taken, it would stop the shell itself.
fn processes() -> Vec<Case> {
    let no = |name: &str, options: &str| {
        let script = format!("ulimit -p 0 2>/dev/null || ulimit -u 0; exec {{bwrap}} --ro-bind / / {options} echo hi");
        Case::new(name).user_only().script(&script).status(1).stdout("")
    };
    vec![no("processes", ""), no("processes_pid", "--unshare-pid"), no("processes_all", "--unshare-all --dev /dev")]
}

fn many() -> Vec<Case> {
    let case = |name: &str| Case::new(name).dir("from").file("a", "text").on_host().options(["--tmpfs", "/srv"]);
    let data = |count: usize| -> Vec<String> {
        (0..count).flat_map(|n| ["--symlink".to_owned(), "target".to_owned(), format!("/srv/link{n}")]).collect()
    };
    vec![
        case("binds_100")
            .options(binds(100))
            .run(["{probe}", "--probe", "{namespaces}", "mounts", "fds", "limits", "list:/srv"])
            .ok(),
        case("binds_1000").options(binds(1000)).run(["sh", "-c", "ls /srv | wc -l"]).ok().stdout("1000\n"),
        case("symlinks_2000").options(data(2000)).run(["sh", "-c", "ls /srv | wc -l"]).ok().stdout("2000\n"),
        case("file_binds_100")
            .options((0..100).flat_map(|n| ["--ro-bind".to_owned(), "{dir}/a".to_owned(), format!("/srv/f{n}")]))
            .run(["sh", "-c", "cat /srv/f* | wc -c; ls -l /srv | cut -c1-10 | sort -u"])
            .ok(),
    ]
}

/// A stderr that cannot be written to changes nothing about the status.
fn room() -> Vec<Case> {
    let full = || Fd::Path("/dev/full".into(), OFlag::O_WRONLY);
    vec![
        Case::new("stderr_full").on_host().fd(2, full()).options(["--bind", "/nonexistent", "/x"]).run(["true"]).status(1),
        Case::new("stderr_full_usage").fd(2, full()).status(1),
        Case::new("stderr_full_warning").on_host().fd(2, full()).options(["--chdir", "/", "--chdir", "/usr"]).run(["pwd"]),
        Case::new("stderr_broken").on_host().fd(2, Fd::Broken).options(["--bind", "/nonexistent", "/x"]).run(["true"]),
        Case::new("stderr_closed")
            .on_host()
            .tweak(Tweak::Close(2))
            .options(["--bind", "/nonexistent", "/x"])
            .run(["true"])
            .status(1),
        Case::new("stdout_full").fd(1, full()).options(["--version"]),
        Case::new("stdout_full_help").fd(1, full()).options(["--help"]),
        Case::new("stdout_full_command").on_host().fd(1, full()).run(["true"]).ok(),
    ]
}
