//! `--check-host`: what a machine lets a sandbox have. What a whole machine refuses is tried in virtual machines; here it is what a
//! filter, a sandbox around it, a chroot or a container refuses.

use crate::harness::{Case, Fd, Outcome, Result, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(refused());
    cases.into_iter().map(Case::ours_only).collect()
}

/// Whether something is there, or is not and these words say why or what helps.
fn says(outcome: &Outcome, name: &str, answer: std::result::Result<(), &str>) -> Result<()> {
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let mark = if answer.is_ok() { "yes  " } else { "no   " };
    let is_it = |line: &&str| line.strip_prefix(mark).is_some_and(|rest| rest == name || rest.starts_with(&format!("{name}: ")));
    let Some(at) = lines.iter().position(is_it) else { return Err(format!("no line {mark}{name}")) };
    let below: Vec<_> = lines[at + 1..].iter().take_while(|line| line.starts_with("     ")).collect();
    match answer {
        Ok(()) => Ok(()),
        Err(_) if below.len() != 2 => Err(format!("no reason and cure below {name}")),
        Err(words) if below.iter().any(|line| line.contains(words)) => Ok(()),
        Err(words) => Err(format!("nothing of {words:?} below {name}")),
    }
}

fn checked(name: &str) -> Case {
    Case::new(name).options(["--check-host"]).stderr("")
}

fn plain() -> Vec<Case> {
    let works = ["a plain sandbox", "user namespaces", "pid namespaces", "network namespaces", "a new /dev", "seccomp filters"];
    let all = move |o: &Outcome| works.iter().try_for_each(|name| says(o, name, Ok(())));
    let first = |o: &Outcome| o.expect(o.stdout.starts_with("Linux "), "no kernel");
    vec![
        checked("works_here").status(0).claim(all).claim(first),
        checked("rest_is_not_read").options(["--no-such-option", "--tmpfs"]).status(0).claim(all),
        checked("ignored_sigchld").tweak(Tweak::IgnoreSignal(libc::SIGCHLD)).status(0).claim(all),
        Case::new("json").options(["--error-fd", "9", "--check-host"]).fd(9, Fd::Capture).status(0).claim(all).claim(|o| {
            let text = o.fd(9);
            o.expect(text.starts_with("{\"version\":1,\"kernel\":\"") && text.ends_with("]}\n"), "no object")?;
            o.expect(text.contains("\"works\":true"), "it does not work")?;
            o.expect(text.contains("{\"name\":\"a plain sandbox\",\"available\":true}"), "no check of a plain sandbox")
        }),
        Case::new("in_args").options(["--args", "9"]).fd(9, Fd::args(&["--check-host"])).status(0).claim(all),
    ]
}

fn refused() -> Vec<Case> {
    let without = |name: &str, calls, errno, row: &'static str, words: &'static str| {
        checked(name).tweak(Tweak::Refuse(calls, errno)).claim(move |o| says(o, row, Err(words)))
    };
    vec![
        without("no_mount_setattr", &["mount_setattr"], libc::ENOSYS, "mount_setattr", "Linux 5.12").status(0),
        without("no_landlock", &["landlock_create_ruleset"], libc::ENOSYS, "Landlock", "lsm=").status(0),
        without("no_landlock_ports", &["landlock_create_ruleset"], libc::ENOSYS, "TCP ports by Landlock", "Landlock ABI 4").status(0),
        without("no_mount_api", &["open_tree"], libc::EPERM, "a plain sandbox", "open_tree is refused").status(1),
        Case::new("status_of_a_failure")
            .options(["--setup-status", "77", "--error-fd", "9", "--check-host"])
            .fd(9, Fd::Capture)
            .tweak(Tweak::Refuse(&["open_tree"], libc::EPERM))
            .status(77)
            .claim(|o| o.expect(o.fd(9).contains("\"works\":false") && o.fd(9).contains("\"cure\":\""), "no cure in the JSON")),
        // A container hides parts of its /proc.
        Case::new("masked_proc")
            .script(
                "exec {bwrap} --unshare-user --unshare-pid --ro-bind / / --proc /proc --dev /dev --tmpfs /proc/sys {bwrap} --check-host",
            )
            .status(0)
            .claim(|o| says(o, "a plain sandbox", Ok(())))
            .user_only()
            .claim(|o| says(o, "a new /proc", Err("partly hidden"))),
        // In a sandbox that lets nobody make user namespaces.
        Case::new("no_user_namespaces")
            .script("exec {bwrap} --unshare-user --disable-userns --ro-bind / / --proc /proc --dev /dev {bwrap} --check-host")
            .user_only()
            .status(1)
            .claim(|o| says(o, "user namespaces", Err("max_user_namespaces"))),
    ]
}
