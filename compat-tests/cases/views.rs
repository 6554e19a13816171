//! Typical sandboxes as a whole: everything that is to be seen from inside them.

use crate::harness::{Case, Fd, Field};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [demonstrations(), launchers(), others()].into_iter().flatten().collect()
}

/// All views that any sandbox has.
pub(crate) const VIEWS: [&str; 14] = [
    "ids",
    "maps",
    "caps",
    "security",
    "namespaces",
    "mounts",
    "env",
    "cwd",
    "process",
    "signals",
    "limits",
    "fds",
    "hostname",
    "network",
];

/// The demo of the reference's documentation: the host's /usr, and all else made up.
fn demo(name: &str) -> Case {
    Case::new(name)
        .options([
            "--ro-bind",
            "/usr",
            "/usr",
            "--dir",
            "/tmp",
            "--dir",
            "/var",
            "--symlink",
            "../tmp",
            "var/tmp",
            "--proc",
            "/proc",
        ])
        .options(["--dev", "/dev", "--ro-bind", "/etc/hosts", "/etc/hosts", "--symlink", "usr/lib", "/lib"])
        .options(["--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin"])
        .options(["--chdir", "/", "--unshare-all", "--share-net", "--die-with-parent", "--dir", "/run/user/{uid}"])
        .options(["--setenv", "XDG_RUNTIME_DIR", "/run/user/{uid}", "--setenv", "PS1", "demo$ ", "--file", "11", "/etc/passwd"])
        .options(["--file", "12", "/etc/group"])
        .fd(11, Fd::pipe("me:x:1000:1000::/:/bin/sh\n"))
        .fd(12, Fd::pipe("us:x:1000:\n"))
}

fn demonstrations() -> Vec<Case> {
    let usual =
        ["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
    let (probe, look) = (["--ro-bind", "{probe}", "/tmp/probe"], ["/tmp/probe", "--probe", "{namespaces}"]);
    vec![
        demo("demo").probe(&VIEWS).run(["list:/", "tree:/etc", "tree:/run", "tree:/var", "tree:/dev"]).ok(),
        demo("demo_runs")
            .run(["sh", "-c", "cat /etc/passwd /etc/group; ls /; ls -l /var; echo $XDG_RUNTIME_DIR; touch /tmp/x"])
            .ok(),
        Case::new("host_read_only").options(usual).options(probe).run(look).run(VIEWS).run(["list:/tmp", "tree:/dev"]).ok(),
        Case::new("host_read_only_on_a_terminal")
            .terminal()
            .options(usual)
            .options(probe)
            .run(look)
            .run(["mounts", "process", "fds", "tree:/dev"])
            .ok(),
        Case::new("host_read_only_runs")
            .options(usual)
            .run(["sh", "-c", "touch /usr/x 2>&1; touch /tmp/x && ls /tmp; ls /proc/1/comm"])
            .ok(),
        Case::new("nothing_at_all").probe(&["mounts", "tree:/", "cwd", "env", "ids", "namespaces"]).ok(),
    ]
}

/// What flatpak passes through `--args` for an application.
const FLATPAK: &str = "\
    --proc /proc --unshare-pid --unshare-ipc --dir /tmp --dir /var/tmp --dir /run/host --perms 0700 --dir /run/user/1000 \
    --setenv XDG_RUNTIME_DIR /run/user/1000 --symlink ../run /var/run --ro-bind /sys/block /sys/block \
    --ro-bind /sys/class /sys/class --ro-bind-try /proc/self/ns/user /run/.userns --symlink /etc/timezone /var/db/zoneinfo \
    --die-with-parent --ro-bind-data 8 /etc/passwd --ro-bind-data 9 /etc/group --ro-bind-data 10 /etc/pkcs11/pkcs11.conf \
    --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib32 /lib32 --symlink usr/lib64 /lib64 \
    --ro-bind-data 12 /etc/timezone --ro-bind runtime /usr --ro-bind-fd 13 /app --lock-file /usr/.ref \
    --lock-file /app/.ref --perms 0600 --file 14 /.flatpak-info --ro-bind-data 15 /run/user/1000/.flatpak-info \
    --bind var/cache /var/cache --bind var/data /var/data --tmpfs /var/cache/fontconfig --tmpfs /run/host \
    --bind-data 16 /run/host/container-manager --info-fd 17 --dev /dev --tmpfs /dev/shm --remount-ro /run/host \
    --remount-ro /app --unsetenv LD_LIBRARY_PATH --setenv PATH /app/bin:/usr/bin --chmod 0755 /var/tmp --chdir /var/data \
    --disable-userns --unshare-user";

/// The name of a data file, which is gone, ends in six characters that mean nothing.
pub(crate) fn without_data_names(text: &str) -> String {
    let mut parts = text.split("/bindfile");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "/bindfile" + part.get(6..).unwrap_or_default())
}

/// A root for a package that expects the usual directories: many small binds, then read-only.
fn fhs(name: &str) -> Case {
    let mut case = Case::new(name).setup(|s| {
        for number in 0..60 {
            s.file(&format!("store/p{number}/lib/l{number}.so"), "")?;
        }
        s.file("store/etc/ld.so.conf", "")
    });
    case = case.options([
        "--dev-bind",
        "/dev",
        "/dev",
        "--proc",
        "/proc",
        "--chdir",
        "{dir}/home",
        "--unshare-ipc",
        "--die-with-parent",
    ]);
    for number in 0..60 {
        let from = format!("{{dir}}/store/p{number}/lib/l{number}.so");
        case = match number % 3 {
            0 => case.options(["--ro-bind", &from, &format!("/usr/lib/l{number}.so")]),
            1 => case.options(["--symlink", &from, &format!("/usr/lib64/l{number}.so")]),
            _ => case.options(["--ro-bind-try", &from, &format!("/opt/p{number}/l.so")]),
        };
    }
    case.options(["--ro-bind", "{dir}/store", "/nix/store", "--ro-bind", "{dir}/store/etc/ld.so.conf", "/etc/ld.so.conf"])
        .options([
            "--ro-bind-try",
            "/etc/nothing",
            "/etc/nothing",
            "--ro-bind-try",
            "/etc/hosts",
            "/etc/hosts",
            "--tmpfs",
            "/etc/cache",
        ])
        .options(["--symlink", "usr/lib", "/lib", "--bind", "{dir}/home", "{dir}/home", "--tmpfs", "/tmp/.X11-unix"])
        .options(["--ro-bind", "{probe}", "/probe", "--remount-ro", "/"])
        .cwd("{dir}/home")
}

fn launchers() -> Vec<Case> {
    vec![
        Case::new("flatpak")
            .file("runtime/.ref", "")
            .file("app/.ref", "")
            .dir("var/cache")
            .dir("var/data")
            .dir("runtime/bin")
            .fd(7, Fd::args(&FLATPAK.split_whitespace().collect::<Vec<_>>()))
            .fd(8, Fd::memfd("passwd"))
            .fd(9, Fd::memfd("group"))
            .fd(10, Fd::memfd("pkcs11"))
            .fd(12, Fd::memfd("UTC"))
            .fd(13, Fd::o_path("{dir}/app"))
            .fd(14, Fd::memfd("[Application]"))
            .fd(15, Fd::memfd("[Application]"))
            .fd(16, Fd::memfd("flatpak"))
            .fd(17, Fd::Capture)
            .blur(Field::Stdout, without_data_names)
            .options(["--args", "7"])
            .probe(&VIEWS)
            .run(["tree:/", "tree:/dev", "tree:/var/cache", "tree:/usr", "tree:/app"])
            .ok(),
        fhs("fhs").run(["/probe", "--probe", "{namespaces}"]).run(VIEWS).run(["tree:/"]).ok(),
        fhs("fhs_runs_nothing").run(["none"]).fails("bwrap: execvp none: No such file or directory"),
        Case::new("agent")
            .dir("work/.git")
            .file("work/f", "")
            .cwd("{dir}/work")
            .options(["--new-session", "--die-with-parent", "--unshare-net", "--unshare-pid", "--ro-bind", "/", "/"])
            .options([
                "--bind",
                "{dir}/work",
                "{dir}/work",
                "--ro-bind",
                "{dir}/work/.git",
                "{dir}/work/.git",
                "--tmpfs",
                "{dir}/home",
            ])
            .options(["--ro-bind", "/dev/null", "{dir}/work/f", "--dev", "/dev", "--proc", "/proc", "--"])
            .run(["sh", "-c", "pwd; touch a; touch .git/a 2>&1; touch f 2>&1; ls -A . ..; exit 5"])
            .status(5),
        Case::new("package_build")
            .dir("build")
            .dir("prefix")
            .cwd("{dir}/build")
            .options([
                "--unshare-net",
                "--new-session",
                "--die-with-parent",
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "--tmpfs",
                "/tmp",
            ])
            .options(["--setenv", "TMPDIR", "/tmp", "--setenv", "TMP", "/tmp", "--tmpfs", "/run", "--ro-bind", "/usr", "/usr"])
            .options(["--ro-bind-try", "/bin", "/bin", "--ro-bind-try", "/lib", "/lib", "--ro-bind-try", "/lib64", "/lib64"])
            .options([
                "--ro-bind",
                "/etc",
                "/etc",
                "--ro-bind",
                "{dir}/prefix",
                "{dir}/prefix",
                "--bind",
                "{dir}/build",
                "{dir}/build",
            ])
            .run(["sh", "-c", "pwd; echo x > made; touch {dir}/prefix/x 2>&1; touch $TMPDIR/t; ls -A / {dir}"])
            .status(0),
    ]
}

fn others() -> Vec<Case> {
    vec![
        Case::new("thumbnailer")
            .file("picture", "")
            .fd(9, Fd::Capture)
            .options([
                "--unshare-all",
                "--die-with-parent",
                "--chdir",
                "/",
                "--ro-bind",
                "/usr",
                "/usr",
                "--dev",
                "/dev",
                "--tmpfs",
                "/tmp-home",
            ])
            .options(["--symlink", "/usr//bin", "/bin", "--symlink", "/usr//lib", "/lib", "--symlink", "/usr//lib64", "/lib64"])
            .options(["--tmpfs", "/tmp", "--clearenv", "--setenv", "HOME", "/tmp-home", "--setenv", "PATH", "/usr/bin"])
            .options(["--ro-bind", "{dir}/picture", "/tmp/picture", "--bind-try", "{dir}/none", "/none"])
            .run(["sh", "-c", "env | sort; ls -A / /tmp; echo done >&9"])
            .ok()
            .wrote(9, "done\n"),
        Case::new("operating_system_build")
            .root_only()
            .file("root/usr/bin/x", "")
            .dir("root/var")
            .dir("var")
            .options(["--dev", "/dev", "--proc", "/proc", "--dir", "/run", "--dir", "/tmp", "--chdir", "/", "--die-with-parent"])
            .options([
                "--unshare-pid",
                "--unshare-uts",
                "--unshare-ipc",
                "--unshare-cgroup-try",
                "--ro-bind",
                "/sys/block",
                "/sys/block",
            ])
            .options(["--bind", "root/usr", "/usr", "--bind", "var", "/var", "--symlink", "usr/bin", "/bin", "--unshare-net"])
            .options(["--cap-drop", "ALL", "--cap-add", "cap_chown", "--cap-add", "cap_dac_override", "--cap-add", "cap_setuid"])
            .probe(&VIEWS)
            .run(["tree:/"])
            .ok(),
        Case::new("user_and_root_inside")
            .options(["--unshare-user", "--uid", "0", "--gid", "0", "--bind", "{dir}", "/a", "--dev", "/dev", "--proc", "/proc"])
            .options(["--tmpfs", "/t", "--dir", "/t/d", "--file", "7", "/a/f"])
            .fd(7, Fd::memfd("x"))
            .probe(&VIEWS)
            .run(["tree:/", "list:/a"])
            .ok(),
        Case::new("other_ids_inside")
            .options([
                "--unshare-user",
                "--uid",
                "1234",
                "--gid",
                "4321",
                "--bind",
                "{dir}",
                "/a",
                "--dev",
                "/dev",
                "--proc",
                "/proc",
            ])
            .options(["--tmpfs", "/t", "--dir", "/t/d"])
            .probe(&VIEWS)
            .run(["tree:/", "list:/a"])
            .ok(),
    ]
}
