//! `--check-host`: what a machine lets a sandbox have. What a whole machine refuses is tried in virtual machines; here it is what a
//! filter, a sandbox around it, a chroot or a container refuses.

use crate::harness::{Case, Fd, Outcome, Result, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(refused());
    cases.extend(containers());
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
        // What is run to try things is this program, and not whatever is at its name in something like a /proc.
        Case::new("another_file_system_on_proc")
            .script(
                "mkdir -p proc/self; printf '#!/bin/sh\\necho run >&2\\n' > proc/self/exe; chmod 755 proc/self/exe
                exec {bwrap} --dev-bind / / --bind proc /proc {bwrap} --check-host",
            )
            .fails("bwrap: Can't run this program again: /proc is not a procfs"),
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

/// What is run in crun's default bundle, without control groups, which not every machine has in a way that crun can use, and with these
/// changes to it, in Python.
fn in_crun(name: &str, changes: &str, words: &str) -> Case {
    let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/compat-tests/profiles/container.json");
    Case::new(name).root_only().tools(&["crun"]).unrefused("a container would refuse these calls of crun's too").script(&format!(
        "set -e; umask 022; mkdir -p bundle/rootfs/etc; cd bundle; chmod 755 . rootfs; cp {{bwrap}} rootfs/bwrap; crun spec
        python3 - {words} <<'CHANGES'
import json, sys
c = json.load(open('config.json')); p, l = c['process'], c['linux']
p['args'] = sys.argv[1:]; p['terminal'] = False; c['mounts'] = [m for m in c['mounts'] if m['type'] != 'cgroup']; l.pop('resources', None)
def give(*caps):
    for kind in 'bounding', 'effective', 'permitted': p['capabilities'][kind] += caps
def be(number): p['user'] = {{'uid': number, 'gid': number}}; p['capabilities'] = {{}}
def filter():
    policy = json.load(open('{filter}'))
    def holds(rule): i = rule.get('includes') or {{}}; return not i.get('caps') and 'amd64' in i.get('arches', ['amd64'])
    keys = 'names', 'action', 'args', 'errnoRet'
    calls = [{{key: rule[key] for key in keys if rule.get(key) is not None}} for rule in policy['syscalls'] if holds(rule)]
    l['seccomp'] = {{'defaultAction': policy['defaultAction'], 'defaultErrnoRet': 1, 'syscalls': calls}}
{changes}
json.dump(c, open('config.json', 'w'))
CHANGES
        exec unshare -m sh -c 'umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
            exec crun --root \"$PWD/state\" --cgroup-manager=disabled run bleb-test'"
    ))
}

/// In a container that crun makes: masked and read-only parts of /proc, few capabilities, a filter.
fn containers() -> Vec<Case> {
    let checked = |name: &str, changes: &str| in_crun(name, changes, "/bwrap --check-host");
    let available = ["user namespaces", "pid namespaces", "network namespaces", "a new /dev", "overlays", "seccomp filters"];
    let sandbox = |name: &str, options: &str| {
        in_crun(
            name,
            "be(1000)",
            &format!("/bwrap --unshare-all --ro-bind / / --dev /dev --tmpfs /etc {options} /bwrap --version"),
        )
    };
    vec![
        checked("crun_user", "be(1000)")
            .status(0)
            .claim(|o| says(o, "a plain sandbox", Ok(())))
            .claim(move |o| available.iter().try_for_each(|name| says(o, name, Ok(()))))
            .claim(|o| says(o, "no further user namespaces", Err("/proc/sys is read-only")))
            .claim(|o| says(o, "a new /proc", Err("partly hidden"))),
        // The ID 0 is mapped only by who has CAP_SETFCAP, and only CAP_SYS_ADMIN does without.
        checked("crun_root", "")
            .status(1)
            .claim(|o| {
                says(o, "a plain sandbox", Err("no CAP_SYS_ADMIN here, as in a container: give it that, or add --unshare-user"))
            })
            .claim(|o| says(o, "user namespaces", Err("no CAP_SETFCAP here"))),
        checked("crun_root_with_setfcap", "give('CAP_SETFCAP')")
            .status(1)
            .claim(|o| says(o, "a plain sandbox", Err("add --unshare-user")))
            .claim(|o| says(o, "user namespaces", Ok(()))),
        checked("crun_root_with_sys_admin", "give('CAP_SYS_ADMIN', 'CAP_SETFCAP')")
            .status(0)
            .claim(|o| says(o, "pid namespaces", Ok(())))
            .claim(|o| says(o, "a new /proc", Ok(())))
            .claim(|o| says(o, "network namespaces", Err("no CAP_NET_ADMIN here"))),
        checked("crun_filter", "be(1000); filter()")
            .status(1)
            .claim(|o| says(o, "a plain sandbox", Err("a seccomp filter is in force")))
            .claim(|o| says(o, "user namespaces", Err("a seccomp filter is in force"))),
        sandbox("crun_sandbox", "--ro-bind /proc /proc").ok().stdout("bubblewrap 0.13.1\n"),
        sandbox("crun_sandbox_with_a_new_proc", "--proc /proc")
            .fails("bwrap: Can't mount proc on /proc: Operation not permitted"),
    ]
}
