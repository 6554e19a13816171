//! Bad input: fds that are not what they should be, paths that cannot be used, JSON that cannot be written.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nix::fcntl::OFlag;

use super::plain;
use crate::harness::{Case, Fd, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let cases = [
        data(),
        directories(),
        programs(),
        documents(),
        namespaces(),
        long_paths(),
        loops(),
        odd_paths(),
        destinations(),
        callers(),
    ];
    cases.into_iter().flatten().chain(hostile_names()).collect()
}

/// A case on the host's root with an empty /tmp, and fd 7.
fn on_tmp(name: &str, fd: Option<Fd>, words: &[&str]) -> Case {
    let case = Case::new(name).on_host().options(["--tmpfs", "/tmp"]).options(words);
    match fd {
        Some(fd) => case.fd(7, fd),
        None => case,
    }
}

fn closed(words: &str) -> String {
    format!("bwrap: {words}: Bad file descriptor")
}

fn data() -> Vec<Case> {
    let mut cases = vec![];
    for option in ["--file", "--bind-data", "--ro-bind-data"] {
        let named = |what: &str, fd: Option<Fd>| on_tmp(&format!("{}_{what}", plain(option)), fd, &[option, "7", "/tmp/x"]);
        let failed = |cause: &str| format!("bwrap: Can't write data to file /tmp/x: {cause}");
        let bad = failed("Bad file descriptor");
        cases.extend([
            named("closed", None).run(["true"]).fails(&bad),
            named("directory", Some(Fd::path("{dir}"))).run(["true"]).fails(&failed("Is a directory")),
            named("write_only", Some(Fd::Capture)).run(["true"]).fails(&bad),
            named("path", Some(Fd::o_path("/etc/passwd"))).run(["true"]).fails(&bad),
            named("twice", Some(Fd::memfd("x")))
                .options([option, "7", "/tmp/y"])
                .run(["true"])
                .fails("bwrap: Can't write data to file /tmp/y: Bad file descriptor"),
            named("pipe", Some(Fd::pipe("piped"))).run(["cat", "/tmp/x"]).ok().stdout("piped"),
            named("empty", Some(Fd::memfd(""))).run(["cat", "/tmp/x"]).ok().stdout(""),
            named("large", Some(Fd::Pipe(vec![b'x'; 10_000_000]))).run(["sh", "-c", "wc -c < /tmp/x"]).ok().stdout("10000000\n"),
        ]);
    }
    cases
}

fn directories() -> Vec<Case> {
    let mut cases = vec![];
    let missing = "bwrap: Can't find source path /proc/self/fd/7: No such file or directory";
    for option in ["--bind-fd", "--ro-bind-fd"] {
        let named = |what: &str, fd: Option<Fd>| on_tmp(&format!("{}_{what}", plain(option)), fd, &[option, "7", "/tmp/x"]);
        cases.extend([
            named("closed", None).run(["true"]).fails(missing),
            named("file", Some(Fd::path("/etc/passwd"))).run(["test", "-f", "/tmp/x"]).ok(),
            named("path", Some(Fd::o_path("{dir}"))).run(["test", "-d", "/tmp/x/home"]).ok(),
            named("directory", Some(Fd::path("{dir}"))).run(["test", "-d", "/tmp/x/home"]).ok(),
            // What has no path cannot be bound.
            named("pipe", Some(Fd::pipe("x"))).run(["true"]).fails(missing),
            named("memfd", Some(Fd::memfd("x"))).run(["true"]).fails(missing),
        ]);
    }
    cases
}

fn programs() -> Vec<Case> {
    let mut cases = vec![];
    for option in ["--seccomp", "--add-seccomp-fd"] {
        let named = |what: &str, fd: Option<Fd>| on_tmp(&format!("{}_{what}", plain(option)), fd, &[option, "7"]).run(["true"]);
        let refused = "bwrap: Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. (Hint: \
                       this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)";
        let odd = "bwrap: Invalid seccomp data, must be multiple of 8";
        cases.extend([
            named("closed", None).fails(&closed("Can't read seccomp data")),
            named("directory", Some(Fd::path("{dir}"))).fails("bwrap: Can't read seccomp data: Is a directory"),
            named("write_only", Some(Fd::Capture)).fails(&closed("Can't read seccomp data")),
            named("empty", Some(Fd::memfd(""))).fails(refused),
            named("odd", Some(Fd::memfd("1234567"))).fails(odd),
            named("odd_and_more", Some(Fd::memfd("123456789"))).fails(odd),
            named("garbage", Some(Fd::memfd("\u{7f}2345678"))).status(1),
            named("no_return", Some(Fd::memfd([0_u8; 8]))).fails(refused),
        ]);
    }
    cases
}

fn documents() -> Vec<Case> {
    let mut cases = vec![];
    for option in ["--info-fd", "--json-status-fd"] {
        let named = |what: &str, fd: Option<Fd>| on_tmp(&format!("{}_{what}", plain(option)), fd, &[option, "7"]).run(["true"]);
        let failed = |cause: &str| format!("bwrap: Write to info_fd: {cause}");
        let bad = failed("Bad file descriptor");
        let full = Fd::Path("/dev/full".to_owned(), OFlag::O_WRONLY);
        cases.extend([
            named("closed", None).fails(&bad),
            named("directory", Some(Fd::path("{dir}"))).fails(&bad),
            named("read_only", Some(Fd::path("/dev/null"))).fails(&bad),
            named("path", Some(Fd::o_path("/dev/null"))).fails(&bad),
            named("full", Some(full)).fails(&failed("No space left on device")),
            // Nothing is written before the command line is through.
            on_tmp(&format!("{}_of_bad_line", plain(option)), Some(Fd::Capture), &[option, "7", "--nope"])
                .fails("bwrap: Unknown option --nope")
                .wrote(7, ""),
        ]);
    }
    // The signal of a pipe that nobody reads is not held back.
    let broken = |option: &str| on_tmp(&format!("{}_broken_pipe", plain(option)), Some(Fd::Broken), &[option, "7"]).run(["true"]);
    cases.push(broken("--info-fd").signal(libc::SIGPIPE));
    cases.push(broken("--json-status-fd").signal(libc::SIGPIPE));
    cases
}

fn namespaces() -> Vec<Case> {
    let join =
        |what: &str, option: &str, fd: Option<Fd>| on_tmp(&format!("{}_{what}", plain(option)), fd, &[option, "7"]).run(["true"]);
    let null = || Some(Fd::path("/dev/null"));
    let stranger =
        "bwrap: Joining the specified user namespace failed, it might not be a descendant of the current user namespace.";
    vec![
        join("closed", "--userns", None).fails(&closed("Joining specified user namespace failed")),
        join("wrong", "--userns", null()).fails(stranger),
        join("other_kind", "--userns", Some(Fd::path("/proc/self/ns/uts"))).fails(stranger),
        join("own", "--userns", Some(Fd::path("/proc/self/ns/user"))).fails(stranger),
        join("closed", "--userns2", None).fails(&closed("Setting userns2 failed")),
        join("wrong", "--userns2", null()).fails("bwrap: Setting userns2 failed: Invalid argument"),
        // The reference's monitor complains as well.
        join("closed", "--pidns", None).status(1).stdout(""),
        join("wrong", "--pidns", null()).status(1).stdout(""),
        // To the reference, waiting on what cannot be read is over at once, and holding a closed fd is easy.
        join("closed", "--block-fd", None).stdout(""),
        join("directory", "--block-fd", Some(Fd::path("{dir}"))).stdout(""),
        join("write_only", "--block-fd", Some(Fd::Capture)).stdout(""),
        join("empty", "--block-fd", null()).ok(),
        join("closed", "--sync-fd", None).stdout(""),
        join("directory", "--sync-fd", Some(Fd::path("{dir}"))).ok(),
    ]
}

fn long_paths() -> Vec<Case> {
    let mut cases = vec![];
    let deep = format!("/{}", "a/".repeat(2048));
    let just_too_deep = format!("/{}", "a".repeat(255) + &("/".to_owned() + &"b".repeat(254)).repeat(15));
    let wide = format!("/{}", "a".repeat(300));
    let actions: [&[&str]; 11] = [
        &["--ro-bind", "/usr"],
        &["--bind", "/usr"],
        &["--symlink", "x"],
        &["--dir"],
        &["--tmpfs"],
        &["--proc"],
        &["--dev"],
        &["--mqueue"],
        &["--remount-ro"],
        &["--chmod", "700"],
        &["--file", "0"],
    ];
    let others: [&[&str]; 2] = [&["--lock-file"], &["--chdir"]];
    for action in actions.iter().chain(&others) {
        for (length, path) in [("deep", &deep), ("just_too_deep", &just_too_deep), ("wide", &wide)] {
            let name = format!("{}_{length}", plain(action[0]));
            cases.push(on_tmp(&name, None, action).options([path]).run(["true"]).status(1).stdout(""));
        }
    }
    for option in ["--ro-bind", "--ro-bind-try", "--dev-bind", "--bind"] {
        for (length, path) in [("deep", &deep), ("wide", &wide)] {
            let name = format!("{}_from_{length}", plain(option));
            cases.push(on_tmp(&name, None, &[option, path, "/tmp/x"]).run(["true"]).status(1).stdout(""));
        }
    }
    cases
}

fn loops() -> Vec<Case> {
    let inside = |name: &str, words: &[&str]| {
        let words = [&["--ro-bind", "{dir}/l", "/tmp/x"], words].concat();
        let case = Case::new(name).dir("l").symlink("two", "l/one").symlink("one", "l/two");
        case.on_host().options(["--tmpfs", "/tmp"]).options(words).run(["true"])
    };
    let source = "bwrap: Can't find source path {dir}/l/one: Too many levels of symbolic links";
    let too_many = |start: &str| format!("bwrap: {start}: Too many levels of symbolic links");
    let from = |name: &str, option: &str| {
        let case = Case::new(name).dir("l").symlink("two", "l/one").symlink("one", "l/two").on_host();
        case.options(["--tmpfs", "/tmp", option, "{dir}/l/one", "/tmp/y"]).run(["true"]).fails(source)
    };
    vec![
        from("loop_as_source", "--ro-bind"),
        from("loop_as_try_source", "--ro-bind-try"),
        inside("loop_among_parents", &["--dir", "/tmp/x/one/y"]).fails(&too_many("Can't mkdir parents for /tmp/x/one/y")),
        inside("loop_among_parents_of_bind", &["--bind", "/usr", "/tmp/x/one/y"])
            .fails(&too_many("Can't mkdir parents for /tmp/x/one/y")),
        inside("loop_as_dir", &["--dir", "/tmp/x/one"]).fails("bwrap: Destination is not a directory /tmp/x/one"),
        inside("loop_as_destination", &["--bind", "/usr", "/tmp/x/one"])
            .fails("bwrap: Can't mount on symlink destination /tmp/x/one"),
        inside("loop_remounted", &["--remount-ro", "/tmp/x/one"]).fails("bwrap: Can't mount on symlink destination /tmp/x/one"),
        inside("loop_as_cwd", &["--chdir", "/tmp/x/one"]).fails(&too_many("Can't chdir to /tmp/x/one")),
    ]
}

fn odd_paths() -> Vec<Case> {
    let bytes = OsStr::from_bytes(b"/tmp/\xff\xfe");
    let list = |name: &str| Case::new(name).on_host().options(["--tmpfs", "/tmp"]);
    vec![
        list("dir_not_utf8")
            .options([OsStr::new("--dir"), bytes])
            .run(["ls", "--quoting-style=escape", "/tmp"])
            .ok()
            .stdout("\\377\\376\n"),
        list("symlink_not_utf8")
            .options([OsStr::new("--symlink"), OsStr::from_bytes(b"\xff"), OsStr::new("/tmp/l")])
            .run(["readlink", "/tmp/l"])
            .ok()
            .stdout("\\xff\n"),
        list("file_not_utf8")
            .fd(7, Fd::memfd("x"))
            .options([OsStr::new("--file"), OsStr::new("7"), bytes])
            .run(["ls", "--quoting-style=escape", "/tmp"])
            .ok(),
        list("bind_not_utf8").options([OsStr::new("--ro-bind"), OsStr::new("/usr"), bytes]).run(["true"]).ok(),
        list("source_not_utf8")
            .options([OsStr::new("--ro-bind"), bytes, OsStr::new("/tmp/x")])
            .run(["true"])
            .fails("bwrap: Can't find source path /tmp/\\xff\\xfe: No such file or directory"),
        list("chdir_not_utf8")
            .options([OsStr::new("--chdir"), bytes])
            .run(["true"])
            .fails("bwrap: Can't chdir to /tmp/\\xff\\xfe: No such file or directory"),
        list("newline_in_path")
            .options(["--dir", "/tmp/a\nb", "--chdir", "/tmp/a\nc"])
            .run(["true"])
            .status(1)
            .stdout("")
            .claim(|o| o.expect(o.stderr.starts_with("bwrap: Can't chdir to /tmp/a"), "the line")),
        list("space_in_path").options(["--ro-bind", "/usr", "/tmp/a b\\040c"]).run(["test", "-d", "/tmp/a b\\040c/bin"]).ok(),
        list("trailing_slash_of_file").options(["--ro-bind", "/etc/passwd", "/tmp/n/"]).run(["test", "-f", "/tmp/n"]).ok(),
        list("double_slashes").options(["--ro-bind", "//usr//bin", "//tmp///b"]).run(["test", "-e", "/tmp/b/env"]).ok(),
    ]
}

fn destinations() -> Vec<Case> {
    let rows: [(&str, &[&str], &str); 23] = [
        ("no_source", &["--ro-bind", "/no", "/tmp/x"], "Can't find source path /no: No such file or directory"),
        (
            "source_below_file",
            &["--ro-bind-try", "/etc/passwd/x", "/tmp/x"],
            "Can't find source path /etc/passwd/x: Not a directory",
        ),
        ("dir_on_file", &["--dir", "/etc/passwd"], "Destination is not a directory /etc/passwd"),
        ("tmpfs_on_file", &["--tmpfs", "/etc/passwd"], "Destination is not a directory /etc/passwd"),
        ("dev_on_file", &["--dev", "/etc/passwd"], "Destination is not a directory /etc/passwd"),
        ("proc_on_file", &["--proc", "/etc/passwd"], "Destination is not a directory /etc/passwd"),
        ("mqueue_on_file", &["--mqueue", "/etc/passwd"], "Destination is not a directory /etc/passwd"),
        ("directory_on_file", &["--bind", "/usr", "/etc/passwd"], "Destination is not a directory /etc/passwd"),
        ("file_on_directory", &["--bind", "/etc/passwd", "/usr"], "Destination is not a file /usr"),
        ("data_on_directory", &["--file", "0", "/etc"], "Can't create file /etc: Is a directory"),
        ("dir_on_read_only", &["--dir", "/etc/new"], "Can't create file /etc/new: Read-only file system"),
        ("chmod_missing", &["--chmod", "700", "/no"], "Can't open /no: No such file or directory"),
        ("chmod_to_nothing", &["--chmod", "0", "/etc/passwd"], "Can't chmod 0 /etc/passwd: Read-only file system"),
        ("chmod_to_little", &["--chmod", "7", "/etc/passwd"], "Can't chmod 07 /etc/passwd: Read-only file system"),
        ("chmod_read_only", &["--chmod", "700", "/etc/passwd"], "Can't chmod 0700 /etc/passwd: Read-only file system"),
        ("remount_missing", &["--remount-ro", "/no"], "Can't create file /no: No such file or directory"),
        (
            "symlink_on_file",
            &["--symlink", "a", "/etc/passwd"],
            "Can't make symlink at /etc/passwd: destination exists and is not a symlink",
        ),
        (
            "symlink_on_directory",
            &["--symlink", "a", "/tmp"],
            "Can't make symlink at /tmp: destination exists and is not a symlink",
        ),
        (
            "symlink_on_other",
            &["--symlink", "b", "/tmp/a", "--symlink", "a", "/tmp/a"],
            "Can't make symlink at /tmp/a: existing destination is b",
        ),
        ("lock_missing", &["--lock-file", "/no"], "Unable to open lock file /no: No such file or directory"),
        ("chdir_missing", &["--chdir", "/no"], "Can't chdir to /no: No such file or directory"),
        ("chdir_to_file", &["--chdir", "/etc/passwd"], "Can't chdir to /etc/passwd: Not a directory"),
        (
            "overlay_source_missing",
            &["--overlay-src", "/no", "--tmp-overlay", "/tmp/x"],
            "Can't find source path /no: No such file or directory",
        ),
    ];
    let row =
        |(name, words, text): &(&str, &[&str], &str)| on_tmp(name, None, words).run(["true"]).fails(&format!("bwrap: {text}"));
    let mut cases = rows.iter().map(row).collect::<Vec<_>>();
    let long = "x".repeat(65);
    cases.push(
        on_tmp("hostname_too_long", None, &["--unshare-uts", "--hostname", &long])
            .run(["true"])
            .fails(&format!("bwrap: Can't set hostname to {long}: Invalid argument")),
    );
    cases.push(on_tmp("hostname_empty", None, &["--unshare-uts", "--hostname", ""]).probe_on_host(&["hostname"]).ok());
    cases.push(on_tmp("remount_not_a_mount", None, &["--remount-ro", "/etc"]).run(["true"]).status(1).stdout(""));
    cases.push(
        on_tmp("overlay_source_is_a_file", None, &["--overlay-src", "/etc/passwd", "--tmp-overlay", "/tmp/x"])
            .run(["true"])
            .status(1)
            .stdout(""),
    );
    for option in ["--exec-label", "--file-label"] {
        let name = format!("no_{}", plain(option));
        cases.push(
            on_tmp(&name, None, &[option, "x"])
                .needs(no_selinux)
                .run(["true"])
                .fails("bwrap: labeling not supported on this system"),
        );
    }
    cases
}

fn no_selinux() -> Result<(), String> {
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() { Err("SELinux is on".to_owned()) } else { Ok(()) }
}

/// Names that others may have chosen, some found on the way, stay on the line, and move nothing on a terminal. The document has
/// them as they are.
fn hostile_names() -> Vec<Case> {
    const NAME: &str = "/no\n<3>bwrap: fake\u{1b}[2J\u{9b}m\u{202e}";
    let shown = "/no?<3>bwrap: fake?[2J?m?";
    let source = format!("bwrap: Can't find source path {shown}: No such file or directory");
    let on_line = |name: &str| Case::new(&format!("on_one_line_{name}")).on_host().run(["true"]);
    let cases = vec![
        on_line("source").options(["--ro-bind", NAME, "/mnt"]).fails(&source),
        on_line("link")
            .symlink(NAME, "link")
            .options(["--ro-same", "{dir}/link"])
            .fails(&format!("bwrap: Can't find source path {{dir}}/link: it leads to {shown}: No such file or directory")),
        on_line("profile")
            .options(["--profile", "p"])
            .file("p", "--ro-bind \"/no\\x0a<3>bwrap: fake\\x1b[2J\\xc2\\x9bm\\xe2\\x80\\xae\" /mnt\n")
            .fails(&source),
        on_line("profile_word")
            .options(["--profile", "p"])
            .file("p", "\u{1b}]0;x\u{7}\n")
            .fails("bwrap: p:1: A line of a profile begins with an option, not with ?]0;x?"),
        on_line("document")
            .options(["--error-fd", "8", "--ro-bind", NAME, "/mnt"])
            .fd(8, Fd::Capture)
            .fails(&source)
            .claim(|o| o.expect(o.fd(8).contains("\"path\":\"/no\\n<3>bwrap: fake\\u001b[2J"), "the path as it is")),
        Case::new("on_one_line_command")
            .on_host()
            .run([NAME])
            .fails(&format!("bwrap: execvp {shown}: No such file or directory")),
    ];
    cases.into_iter().map(Case::ours_only).collect()
}

/// Callers that are in an unusual state.
fn callers() -> Vec<Case> {
    vec![
        // No crash, and no sandbox; newer kernels put an empty word there.
        Case::new("no_words_at_all").ours_only().tweak(Tweak::NoArguments).status(1).stdout(""),
        Case::new("no_standard_fds")
            .on_host()
            .tweak(Tweak::Close(0))
            .tweak(Tweak::Close(1))
            .tweak(Tweak::Close(2))
            .fd(7, Fd::Capture)
            .run(["sh", "-c", "exec 1>&7; ls /proc/self/fd"])
            .status(0)
            // 0 is the directory that is being read, and 1 was made just before.
            .wrote(7, "0\n1\n7\n"),
        Case::new("sigchld_ignored").on_host().tweak(Tweak::IgnoreSignal(libc::SIGCHLD)).run(["sh", "-c", "exit 7"]).status(7),
        Case::new("sigchld_blocked").on_host().tweak(Tweak::BlockSignal(libc::SIGCHLD)).run(["sh", "-c", "exit 7"]).status(7),
        Case::new("help_on_full_stdout").fd(1, Fd::Path("/dev/full".to_owned(), OFlag::O_WRONLY)).options(["--help"]).ok(),
        Case::new("error_on_closed_stderr").tweak(Tweak::Close(2)).options(["--nope"]).status(1).stdout(""),
        Case::new("error_on_full_stderr").fd(2, Fd::Path("/dev/full".to_owned(), OFlag::O_WRONLY)).options(["--nope"]).status(1),
    ]
}
