//! The command line: grammar, operands, numbers, modifiers, `--args`, the rules between options.

use crate::harness::{Case, Fd, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let views = [
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
        "list:/",
    ];
    vec![
        Case::new("true").on_host().run(["true"]).ok().stdout(""),
        Case::new("echo").on_host().run(["sh", "-c", "echo $PWD; exit 3"]).status(3).stdout("{dir}\n"),
        Case::new("version").options(["--version"]).ok(),
        Case::new("help").options(["--help"]).ok(),
        Case::new("view").probe(&views).ok(),
        Case::new("viewproc").options(["--unshare-all", "--proc", "/proc", "--dev", "/dev"]).probe(&views).ok(),
        Case::new("viewhost").fd(7, Fd::Capture).probe_on_host(&views).ok(),
        Case::new("terminal")
            .terminal()
            .options(["--unshare-all", "--proc", "/proc", "--dev", "/dev"])
            .probe(&["process", "tree:/dev", "fds"])
            .ok(),
        Case::new("timeout").on_host().timeout(1).script("setsid sleep 7000 & {bwrap} --ro-bind / / setsid sleep 7001"),
        Case::new("block")
            .on_host()
            .options(["--block-fd", "9", "--info-fd", "8"])
            .fd(8, Fd::Capture)
            .fd(9, Fd::Held)
            .run(["echo", "hi"])
            .ok()
            .during(|l| {
                l.wait_for_number(8, "child-pid")?;
                l.wait_for_end(8)?;
                if !l.text(1).is_empty() {
                    return Err("too soon".into());
                }
                l.write(9, b"x");
                l.close(9)
            }),
        Case::new("userns")
            .on_host()
            .options(["--userns", "5"])
            .setup(|s| {
                let n = s.namespaces(libc::CLONE_NEWUSER, &format!("0 {} 1", s.uid), &format!("0 {} 1", s.gid))?;
                s.pass(5, n.open("user")?);
                s.hold(n);
                Ok(())
            })
            .probe_on_host(&["ids", "maps"])
            .ok(),
        Case::new("tweaks")
            .tweak(Tweak::Close(0))
            .tweak(Tweak::IgnoreSignal(2))
            .tweak(Tweak::BlockSignal(10))
            .tweak(Tweak::Umask(0o77))
            .tweak(Tweak::Refuse(&["statx"], 38))
            .probe_on_host(&["process", "signals", "security", "fds"]),
    ]
}
