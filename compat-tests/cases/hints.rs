//! Second lines that explain a failure, with --level-prefix or on a terminal; and none otherwise.

use super::overlays::kernel_has_overlays;
use crate::harness::{Case, Fd, Outcome, Result, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = sources();
    cases.extend(destinations());
    cases.extend(programs());
    cases.extend(missing_programs());
    cases.extend(forbidden_programs());
    cases.extend(mistakes());
    cases.extend(refused());
    cases.extend(readers());
    cases.into_iter().map(Case::ours_only).collect()
}

fn has_fuse() -> Result<()> {
    if std::path::Path::new("/dev/fuse").exists() { Ok(()) } else { Err("there is no /dev/fuse".to_owned()) }
}

/// A case that fails with a hint that has these words in it.
fn hinted(name: &str, options: &[&str], words: &'static str) -> Case {
    let case = Case::new(name).options(["--level-prefix"]).options(options).status(1).stdout("");
    case.claim(move |o: &Outcome| {
        let lines: Vec<&str> = o.stderr.lines().collect();
        let fits = matches!(lines.as_slice(), [first, second] if first.starts_with("<3>bwrap: ") && second.starts_with("<6>bwrap: hint: "));
        o.expect(fits && lines[1].contains(&o.expand(words)), &format!("no hint with {words:?}"))
    })
}

const HOST: [&str; 3] = ["--ro-bind", "/", "/"];

fn sources() -> Vec<Case> {
    let used = "an earlier option has already used fd 7: give each option its own fd";
    vec![
        hinted(
            "fd_used_twice",
            &[&HOST[..], &["--tmpfs", "/srv", "--file", "7", "/srv/a", "--file", "7", "/srv/b"]].concat(),
            used,
        )
        .fd(7, Fd::memfd("x"))
        .run(["true"]),
        hinted("fd_used_twice_by_binds", &["--bind-fd", "7", "/a", "--ro-bind-fd", "7", "/b"], used)
            .fd(7, Fd::path("/usr"))
            .run(["true"]),
        // A container hides parts of its /proc, which a sandbox in it then cannot have anew.
        hinted("proc_is_hidden", &["--unshare-user", "--unshare-pid", "--proc", "/proc"], "use --ro-bind /proc /proc").script(
            "exec {bwrap} --unshare-user --ro-bind / / --proc /proc --dev /dev --tmpfs /proc/sys {bwrap} --level-prefix \
                     --unshare-user --unshare-pid --ro-bind / / --proc /proc true",
        ),
        hinted("fuse", &[], "{dir}/mnt is on a FUSE file system, which only its owner can access, not even root")
            .root_only()
            .needs(has_fuse)
            .dir("mnt")
            .script(
                "exec unshare -m sh -c 'exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=40000,user_id=54321,group_id=54321 none {dir}/mnt &&
                 exec {bwrap} --level-prefix --ro-bind {dir}/mnt/x /x true'",
            ),
        hinted("overlay_on_two_file_systems", &HOST, "RWSRC and WORKDIR must be on the same file system")
            .dir("upper")
            .options(["--overlay-src", "/usr", "--overlay", "{dir}/upper", "/proc", "/srv"])
            .run(["true"]),
        hinted("overlay_on_proc", &HOST, "RWSRC is on procfs, which cannot hold the changes of an overlay")
            .options(["--overlay-src", "/usr", "--overlay", "/proc/sys", "/proc/fs", "/srv"])
            .run(["true"]),
    ]
}

fn destinations() -> Vec<Case> {
    let file = |name: &str, options: &[&str], words| hinted(name, options, words).options(["--dir", "/usr/none/x"]).run(["true"]);
    vec![
        hinted(
            "symlink",
            &["--symlink", "usr/bin", "/bin", "--dir", "/usr/bin", "--tmpfs", "/bin"],
            "it is a symbolic link to usr/bin",
        )
        .run(["true"]),
        file("read_only_bind", &["--ro-bind", "/usr", "/usr"], "a read-only bind at /usr precedes it"),
        file("read_only_root", &HOST, "a read-only bind at / precedes it"),
        file("remounted", &["--tmpfs", "/usr", "--remount-ro", "/usr"], "--remount-ro at /usr precedes it"),
        file(
            "read_only_overlay",
            &["--overlay-src", "/usr", "--overlay-src", "/etc", "--ro-overlay", "/usr"],
            "--ro-overlay at /usr",
        )
        .needs(kernel_has_overlays),
        hinted(
            "no_mount_point",
            &["--ro-bind", "/", "/", "--remount-ro", "/usr"],
            "/usr is not a mount point: bind it read-only instead, or put --bind /usr /usr before",
        )
        .run(["true"]),
        // What lies on top of it counts, and not what is below.
        file(
            "the_last_one",
            &["--ro-bind", "/", "/", "--tmpfs", "/usr", "--remount-ro", "/usr"],
            "--remount-ro at /usr precedes it",
        ),
    ]
}

fn programs() -> Vec<Case> {
    let base = ["--ro-bind", "{dir}", "/bin", "--setenv", "PATH", "/bin"];
    let script = |name: &str, more: &[&str]| {
        let case = hinted(
            name,
            &[&base[..], more].concat(),
            "/bin/tool is there, but it needs /none/interpreter, which is not in the sandbox",
        );
        case.setup(|s| {
            s.file("tool", "#!/none/interpreter -x\n")?;
            s.mode("tool", 0o755)
        })
    };
    vec![
        script("interpreter_is_missing", &[]).run(["tool"]),
        script("interpreter_is_missing_by_path", &[]).run(["/bin/tool"]),
        script("interpreter_is_missing_under_a_filter", &["--seccomp-default"]).run(["tool"]),
        hinted("loader_is_missing", &["--ro-bind", "/usr/bin/env", "/env"], "/env is there, but it needs /lib").run(["/env"]),
        Case::new("file_is_missing")
            .on_host()
            .options(["--level-prefix"])
            .run(["/nonexistent"])
            .fails("<3>bwrap: execvp /nonexistent: No such file or directory"),
    ]
}

/// What is missing, and why: a link, PATH, an option.
fn missing_programs() -> Vec<Case> {
    let tool = |name: &str, words| {
        let case = hinted(name, &["--ro-bind", "{dir}", "/bin", "--setenv", "PATH", "/bin"], words);
        case.setup(|s| {
            s.symlink("/etc/alternatives/tool", "tool")?;
            s.file("script", "#!/bin/link -x\n")?;
            s.mode("script", 0o755)?;
            s.symlink("../none/interpreter", "link")?;
            s.file("dos", "#!/bin/sh\r\necho\r\n")?;
            s.mode("dos", 0o755)
        })
    };
    let dangling = "/bin/tool is a link to /etc/alternatives/tool → /etc, which is missing";
    let usr = ["--ro-bind", "/usr", "/usr"];
    let loader = "/usr/bin/env is there, but it needs /lib";
    vec![
        tool("link_is_dangling", dangling).run(["/bin/tool"]),
        tool("link_in_path_is_dangling", dangling).run(["tool"]),
        tool("link_is_dangling_under_a_filter", dangling).options(["--seccomp-default"]).run(["tool"]),
        tool(
            "interpreter_is_dangling",
            "/bin/script is there, but it needs /bin/link, which is a link to ../none/interpreter → /none, which is missing",
        )
        .run(["script"]),
        tool("interpreter_ends_in_cr", "its first line ends in CR LF, so it needs a program called \"/bin/sh\\r\"")
            .run(["/bin/dos"]),
        hinted("loader_is_dangling", &usr, loader)
            .options(["--symlink", "none/lib", "/lib", "--symlink", "none/lib64", "/lib64"])
            .run(["/usr/bin/env"])
            .claim(|o| o.expect(o.stderr.contains("which is a link to none/lib"), "the link is not named")),
        hinted(
            "host_has_it",
            &["--tmpfs", "/tmp"],
            "/usr/bin/env is on the host, but not in the sandbox: --ro-same /usr/bin/env",
        )
        .run(["/usr/bin/env"]),
        hinted(
            "host_has_it_in_path",
            &["--tmpfs", "/tmp"],
            "env is in no directory of the sandbox's PATH, which is /usr/local/bin:",
        )
        .run(["env"])
        .claim(|o| o.expect(o.stderr.contains("the host has it at /"), "not where the host has it")),
        hinted("path_leads_elsewhere", &HOST, "env is in no directory of the sandbox's PATH, which is /none")
            .options(["--setenv", "PATH", "/none"])
            .run(["env"]),
        hinted("path_is_not_set", &["--clearenv", "--tmpfs", "/tmp"], "PATH is not set in the sandbox: use --setenv PATH")
            .run(["env"]),
        hinted("dot_covers", &usr, "--bind at . covers everything that earlier options have created")
            .options(["--bind", "{dir}", "."])
            .run(["/usr/bin/env"]),
        hinted("root_covers", &usr, "--tmpfs at / covers everything that earlier options have created")
            .options(["--tmpfs", "/"])
            .run(["env"]),
    ]
}

/// What is there and may not be executed.
fn forbidden_programs() -> Vec<Case> {
    let file = |name: &str, words| {
        hinted(name, &["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--ro-bind", "{dir}", "/x"], words)
            .options(["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"])
            .file("tool", "#!/bin/sh\n")
            .file("script", "#!/x/tool\n")
            .setup(|s| s.mode("script", 0o755))
    };
    let mode = "/x/tool is not executable, its mode is 0644";
    vec![
        file("not_executable", mode).run(["/x/tool"]),
        file("not_executable_in_path", mode).options(["--setenv", "PATH", "/x"]).run(["tool"]),
        file("not_executable_under_a_filter", mode).options(["--seccomp-default"]).run(["/x/tool"]),
        file("interpreter_is_not_executable", mode).run(["/x/script"]),
        file("directory", "/x is a directory").run(["/x"]),
        hinted("noexec", &[], "{dir}/mnt/tool is on a mount with noexec").root_only().dir("mnt").script(
            "exec unshare -m sh -c 'mount -t tmpfs -o noexec,mode=755 none {dir}/mnt && cp /usr/bin/env {dir}/mnt/tool &&
                 exec {bwrap} --level-prefix --ro-bind / / {dir}/mnt/tool'",
        ),
    ]
}

/// Mistakes on the command line.
fn mistakes() -> Vec<Case> {
    let usage = |name: &str, words: &[&str], hint: &'static str| {
        let case = Case::new(name).options(["--level-prefix"]).options(words).status(1).stdout("");
        case.claim(move |o: &Outcome| o.expect(o.raw(2).ends_with(&format!("\n<6>bwrap: hint: {hint}\n")), "no hint at the end"))
    };
    vec![
        hinted("option_is_misspelt", &["--robind"], "did you mean --ro-bind?").run(["true"]),
        hinted("option_with_one_hyphen", &["-ro-bind"], "did you mean --ro-bind?").run(["true"]),
        hinted("option_with_equals", &["--uid=7"], "values are words of their own: --uid UID").run(["true"]),
        hinted("option_misspelt_with_equals", &["--tmfps=/x"], "did you mean --tmpfs?").run(["true"]),
        Case::new("option_is_like_none")
            .options(["--level-prefix", "--something-else"])
            .fails("<3>bwrap: Unknown option --something-else"),
        hinted("capability_is_misspelt", &["--cap-add", "cap_net_admni"], "did you mean CAP_NET_ADMIN?").run(["true"]),
        hinted("capability_without_its_prefix", &["--cap-drop", "net_admin"], "did you mean CAP_NET_ADMIN?").run(["true"]),
        hinted("profile_without_its_at", &["--profile", "build"], "the built-in profile is named @build").run(["true"]),
        Case::new("profile_is_like_none")
            .options(["--level-prefix", "--profile", "builds"])
            .fails("<3>bwrap: Can't read profile builds: No such file or directory"),
        usage(
            "command_was_taken",
            &["--ro-bind", "/", "/", "--dev", "ls"],
            "--dev has taken the last word, ls, as its DEST: COMMAND comes after the options and their values",
        ),
        Case::new("command_is_missing")
            .options(["--level-prefix", "--ro-bind", "/", "/", "--unshare-pid"])
            .status(1)
            .claim(|o: &Outcome| o.expect(!o.raw(2).contains("hint:"), "a hint about nothing")),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        hinted("seccomp_filter", &HOST, "a seccomp filter is in force, probably a container's")
            .user_only()
            .run(["true"])
            .tweak(Tweak::Refuse(&["clone"], libc::EPERM)),
        hinted("chroot", &[], "this is a chroot")
            .root_only()
            .unrefused("a filter is named first")
            .script(
                "mkdir -p root/usr root/proc root/dev root/etc && ln -s usr/bin root/bin && ln -s usr/lib root/lib && ln -s usr/lib64 root/lib64 &&
                 cp $(command -v {bwrap}) root/bwrap && chmod 755 . root root/bwrap && exec unshare -m sh -c 'mount --bind /usr root/usr &&
                 mount --bind /proc root/proc && exec /usr/sbin/chroot root setpriv --reuid=54321 --regid=54321 --clear-groups /bwrap --level-prefix \
                 --ro-bind / / true'",
            ),
        hinted("user_namespaces_used_up", &[], "each enclosing user namespace has its own limits").script(
            "exec {bwrap} --unshare-user --disable-userns --ro-bind / / --dev /dev --proc /proc {bwrap} --level-prefix \
                     --unshare-user --ro-bind / / true",
        ),
    ]
}

/// Who is told.
fn readers() -> Vec<Case> {
    let case = |name: &str| Case::new(name).options(["--symlink", "usr", "/x", "--tmpfs", "/x"]).run(["true"]);
    let line = "bwrap: Can't mount on symlink destination /x";
    vec![
        case("nobody").fails(line),
        case("environment_asks").env("BWRAP_HINTS", "1").status(1).claim(move |o| {
            let expected = format!("{line}\nbwrap: hint: it is a symbolic link to usr: name that instead, or put --follow-symlinks before this option\n");
            o.expect(o.stderr == expected, "not both lines")
        }),
        case("environment_asks_not").env("BWRAP_HINTS", "0").fails(line),
        // COMMAND's environment is another matter.
        case("command_asks").options(["--setenv", "BWRAP_HINTS", "1"]).fails(line),
        case("a_terminal").script("exec {bwrap} --symlink usr /x --tmpfs /x true 2>&1").terminal().status(1).claim(move |o| {
            let text = o.stdout.replace('\r', "");
            let expected = format!("{line}\nbwrap: hint: it is a symbolic link to usr: name that instead, or put --follow-symlinks before this option\n");
            o.expect(text == expected, "not both lines")
        }),
    ]
}
