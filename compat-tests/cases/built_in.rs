//! The built-in profiles: what each of them promises. `checks/profiles` has what takes programs and another Debian.

use std::os::unix::net::UnixListener;

use crate::harness::{Case, Fd, Outcome, Result};

/// The cases of this file, ours alone.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = private();
    cases.extend(system());
    cases.extend(net());
    cases.extend(here());
    cases.extend(displays());
    cases.into_iter().map(Case::ours_only).collect()
}

/// A shell in a sandbox of these profiles.
fn shell(name: &str, profiles: &[&str], script: &str) -> Case {
    let words = profiles.iter().flat_map(|profile| ["--profile", profile]);
    Case::new(name).options(words).run(["sh", "-c", script])
}

/// The same with the first two.
fn closed(name: &str, script: &str) -> Case {
    shell(name, &["@private", "@system"], script)
}

fn private() -> Vec<Case> {
    let kinds = ["user", "pid", "ipc", "net", "uts", "cgroup", "mnt"];
    vec![
        closed("private_environment", "env | sort")
            .env("SECRET", "x")
            .env("LANG", "C.UTF-8")
            .env("TERM", "vt100")
            .env("HOME", "/home/somebody")
            .ok()
            .stdout("HOME=/home/somebody\nLANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin\nPWD=/home/somebody\nTERM=vt100\n"),
        closed("private_environment_where_nothing_is_set", "echo $HOME $LANG $TERM")
            .env("HOME", "")
            .env("LANG", "")
            .ok()
            .stdout("/home/sandbox C.UTF-8 dumb\n"),
        Case::new("private_namespaces")
            .options(["--profile", "@private", "--proc", "/proc"])
            .probe(&["namespaces"])
            .ok()
            .claim(move |o: &Outcome| {
                let shared = kinds.iter().find(|kind| !o.stdout.lines().any(|line| line == format!("{kind}: own")));
                o.expect(shared.is_none(), &format!("{shared:?} is shared"))
            }),
        // Not with @system, whose /tmp is on top of where this home is.
        shell("private_home", &["@private"], "stat -c %a ~; ls -A ~; echo x > ~/f; cat ~/f")
            .options(["--ro-same", "/usr", "--ro-same", "/bin", "--ro-same", "/lib", "--ro-same-try", "/lib64"])
            .file("home/secret", "")
            .ok()
            .stdout("700\nx\n")
            .claim(|o| o.expect_tree("home/f", None)),
        closed("private_session", "[ $(cut -d ' ' -f 6 /proc/self/stat) -gt 0 ] && echo own").ok().stdout("own\n"),
        closed("private_capabilities", "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f 2 | sort -u")
            .ok()
            .stdout("0000000000000000\n"),
        closed("private_filter", "unshare -U true").status(1).claim(|o| {
            o.expect(o.stderr.contains("Operation not permitted"), "a user namespace can be made")
        }),
        closed("private_network", "ls /sys 2>&1; cat /proc/net/route | wc -l").status(0).claim(|o| o.expect_line("1")),
        closed("private_processes", "cat /proc/1/comm").ok().stdout("bwrap\n"),
        Case::new("private_has_no_files").options(["--profile", "@private"]).run(["true"])
            .fails("bwrap: execvp true: No such file or directory"),
    ]
}

fn system() -> Vec<Case> {
    let etc = ["alternatives", "group", "ld.so.cache", "localtime", "passwd"];
    vec![
        closed("system_etc", "ls -A /etc").ok().claim(move |o: &Outcome| {
            let others = o.stdout.lines().find(|line| !etc.contains(line));
            o.expect(others.is_none(), &format!("{others:?} is in /etc"))
        }),
        closed("system_root", "ls /").ok().claim(|o: &Outcome| {
            let known = ["bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr"];
            // The home is there too.
            let home = o.dir.iter().nth(1).and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let other = o.stdout.lines().find(|line| !known.contains(line) && *line != home);
            o.expect(other.is_none(), &format!("{other:?} is in /"))
        }),
        closed("system_links", "for l in /bin /sbin /lib; do [ -L $l ] && echo $l; done; true").ok().claim(|o: &Outcome| {
            let links = ["/bin", "/sbin", "/lib"].iter().filter(|path| std::path::Path::new(path).is_symlink());
            let host = links.flat_map(|path| [path, "\n"]).collect::<String>();
            o.expect_text("stdout", &o.stdout, &host)
        }),
        closed("system_alternatives", "awk 'BEGIN { print 6 * 7 }'").ok().stdout("42\n"),
        closed("system_is_read_only", "for d in /usr /etc/alternatives /bin; do touch $d/x 2> /dev/null && echo $d; done; true")
            .ok()
            .stdout(""),
        closed(
            "system_devices",
            "echo x > /dev/null && head -c 4 /dev/zero | od -An -tx1; ls /dev/sda /dev/mem 2> /dev/null; true",
        )
        .ok()
        .stdout(" 00 00 00 00\n"),
        closed("system_tmp", "stat -c %a /tmp; ls -A /tmp; echo x > /tmp/f")
            .ok()
            .claim(|o| o.expect(o.stdout.starts_with("1777\n"), "it is not open to all")),
        closed("system_names", "getent passwd 0")
            .tools(&["getent"])
            .ok()
            .claim(|o| o.expect(o.stdout.starts_with("root:x:0:0:root:/root:/"), "root has no name")),
        closed("system_sockets", "find / -xdev -type s 2> /dev/null").ok().stdout(""),
    ]
}

fn net() -> Vec<Case> {
    let host = "readlink /proc/self/ns/net";
    vec![
        shell("net_is_the_hosts", &["@private", "@system", "@net"], host).ok().claim(|o: &Outcome| {
            let ours = std::fs::read_link("/proc/self/ns/net").map_err(|error| error.to_string())?;
            let theirs = o.raw(1);
            o.expect(theirs.trim() == ours.to_string_lossy(), "it is another network")
        }),
        Case::new("net_after_private_is_noted")
            .options(["--profile", "@build", "--profile", "@net", "--dry-run"])
            .run(["true"])
            .cwd("{dir}/work")
            .dir("work")
            .ok()
            .claim(|o: &Outcome| {
                let text = o.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
                o.expect(
                    text.contains("@private unshares the network, and an option after it shares the host's"),
                    "there is no note",
                )
            }),
        Case::new("private_alone_is_not_noted")
            .options(["--profile", "@build", "--dry-run"])
            .run(["true"])
            .cwd("{dir}/work")
            .dir("work")
            .ok()
            .claim(|o: &Outcome| o.expect(!o.stdout.contains("\nnotes\n"), "there is a note")),
        shell("net_is_taken_back", &["@system", "@net", "@private"], host).ok().claim(|o: &Outcome| {
            let ours = std::fs::read_link("/proc/self/ns/net").map_err(|error| error.to_string())?;
            o.expect(o.raw(1).trim() != ours.to_string_lossy(), "it is the host's network")
        }),
        shell(
            "net_certificates",
            &["@private", "@system", "@net"],
            "for f in /etc/ssl/certs/*; do [ -r $f ] || echo $f; done; ls /etc/ssl | grep private; true",
        )
        .needs(has_certificates)
        .ok()
        .stdout(""),
        shell(
            "net_names",
            &["@private", "@system", "@net"],
            "cmp /etc/resolv.conf - && getent hosts localhost > /dev/null && echo found",
        )
        .tools(&["cmp", "getent"])
        .fd(0, Fd::path("/etc/resolv.conf"))
        .ok()
        .stdout("found\n"),
        shell("net_brings_no_files_else", &["@private", "@system", "@net"], "ls -A /etc").ok().claim(|o: &Outcome| {
            let known = [
                "alternatives",
                "group",
                "ld.so.cache",
                "localtime",
                "passwd",
                "resolv.conf",
                "hosts",
                "nsswitch.conf",
                "ssl",
                "ca-certificates",
                "pki",
            ];
            let other = o.stdout.lines().find(|line| !known.contains(line));
            o.expect(other.is_none(), &format!("{other:?} is in /etc"))
        }),
    ]
}

fn here() -> Vec<Case> {
    vec![
        shell("here", &["@private", "@system", "@here"], "pwd; echo x > f; touch ../g; ls ..")
            .cwd("{dir}/home/work")
            .dir("home/work")
            .file("home/secret", "")
            .claim(|o| o.expect_tree("home/g", None))
            .claim(|o| o.expect(o.tree.contains_key("home/work/f"), "what was written is not on the host"))
            .status(0)
            .stdout("{dir}/home/work\ng\nwork\n"),
        shell("here_in_the_home", &["@here"], "true").cwd("{dir}/home").fails(
            "bwrap: @here:6: ${PWD} is {dir}/home, which is / or contains the home directory: run bwrap in a directory below it",
        ),
        shell("here_in_the_root", &["@here"], "true")
            .cwd("/")
            .fails("bwrap: @here:6: ${PWD} is /, which is / or contains the home directory: run bwrap in a directory below it"),
        shell("here_by_a_link", &["@private", "@system", "@here"], "pwd; pwd -P")
            .cwd("{dir}/work")
            .dir("work")
            .symlink("work", "l")
            .env("PWD", "{dir}/l")
            .ok()
            .stdout("{dir}/l\n{dir}/work\n"),
        shell("build", &["@build"], "make -s; ls; cat /proc/net/route | wc -l; touch /usr/x")
            .tools(&["make"])
            .cwd("{dir}/work")
            .file("work/Makefile", "all:\n\techo built > result\n")
            .status(1)
            .stdout("Makefile\nresult\n1\n")
            .claim(|o| o.expect(o.tree.contains_key("work/result"), "nothing was built")),
    ]
}

fn displays() -> Vec<Case> {
    let client = "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => $ARGV[0]) or die \"$!\\n\"; print \"connected\\n\"' ";
    vec![
        shell(
            "wayland",
            &["@private", "@system", "@wayland"],
            &format!("ls -A $XDG_RUNTIME_DIR; stat -c %a $XDG_RUNTIME_DIR; {client} $XDG_RUNTIME_DIR/$WAYLAND_DISPLAY"),
        )
        .env("XDG_RUNTIME_DIR", "{dir}/run")
        .setup(|s| {
            s.dir("run")?;
            for name in ["wayland-0", "bus"] {
                let socket = UnixListener::bind(s.path(&format!("run/{name}"))).map_err(|error| error.to_string())?;
                s.hold(socket);
            }
            Ok(())
        })
        .ok()
        .stdout("wayland-0\n700\nconnected\n"),
        shell("wayland_without_a_compositor", &["@private", "@system", "@wayland"], "true")
            .env("XDG_RUNTIME_DIR", "{dir}/run")
            .env("WAYLAND_DISPLAY", "wayland-7")
            .dir("run")
            .fails("bwrap: Can't find source path {dir}/run/wayland-7: No such file or directory"),
        shell("wayland_without_a_session", &["@wayland"], "true")
            .fails("bwrap: @wayland:6: ${XDG_RUNTIME_DIR} is not set, or empty"),
        shell("x11_without_a_display", &["@x11"], "true").fails("bwrap: @x11:6: ${DISPLAY} is not set, or empty"),
        shell("x11_cookie", &["@private", "@system", "@x11"], "cat $XAUTHORITY")
            .needs(has_x11)
            .env("DISPLAY", ":0")
            .env("XAUTHORITY", "{dir}/cookie")
            .file("home/.Xauthority", "at home\n")
            .file("cookie", "elsewhere\n")
            .ok()
            .stdout("elsewhere\n"),
        shell("x11_cookie_at_home", &["@private", "@system", "@x11"], "cat $XAUTHORITY")
            .needs(has_x11)
            .env("DISPLAY", ":0")
            .file("home/.Xauthority", "at home\n")
            .ok()
            .stdout("at home\n"),
    ]
}

fn has_certificates() -> Result<()> {
    let any = std::fs::read_dir("/etc/ssl/certs").is_ok_and(|mut entries| entries.next().is_some());
    if any { Ok(()) } else { Err("no certificates are installed".to_owned()) }
}

fn has_x11() -> Result<()> {
    if std::path::Path::new("/tmp/.X11-unix").is_dir() { Ok(()) } else { Err("no X server has run here".to_owned()) }
}
