//! Callers and containers that refuse some system calls, and kernels that refuse namespaces.

use super::has_mount_setattr;
use crate::harness::{Case, Fd, Field, Outcome, Result, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = done_without();
    cases.extend(needed());
    cases.extend(no_namespaces());
    cases.extend(nested());
    // What a full mount table says. The reference mounts by another call.
    cases.push(
        Case::new("mount_table_is_full")
            .ours_only()
            .on_host()
            .options(["--tmpfs", "/tmp"])
            .tweak(Tweak::Refuse(&["fsmount"], libc::ENOSPC))
            .run(["true"])
            .fails(
                "bwrap: Can't mount tmpfs on /tmp: Limit exceeded (ENOSPC). \
                 (Hint: Check that /proc/sys/fs/mount-max is sufficient, typically 100000)",
            ),
    );
    cases
}

/// A sandbox as programs make them.
const TYPICAL: [&str; 31] = [
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/bin",
    "/bin",
    "--ro-bind-try",
    "/lib64",
    "/lib64",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
    "--dir",
    "/run/user",
    "--bind",
    "{dir}/made",
    "/made/deep/er",
    "--ro-bind",
    "{dir}/file",
    "/etc/file",
    "--unshare-all",
    "--remount-ro",
    "/made/deep/er",
    "--chmod",
    "0700",
    "/run/user",
    "--perms",
    "0711",
];
const VIEWS: [&str; 8] = ["ids", "caps", "namespaces", "mounts", "fds", "list:/", "list:/made", "list:/dev"];

fn typical(name: &str) -> Case {
    Case::new(name).dir("made").file("file", "text").options(TYPICAL).options(["--dir", "/last"]).probe(&VIEWS)
}

/// What there is another way for.
fn done_without() -> Vec<Case> {
    let refused = |name: &str, calls, errno| typical(name).tweak(Tweak::Refuse(calls, errno)).ok();
    // As many as the kernel follows.
    let links = (1..=40).flat_map(|link| ["--symlink".to_owned(), (link - 1).to_string(), format!("/srv/{link}")]);
    vec![
        typical("nothing").ok(),
        // The reference cannot do without.
        refused("openat2", &["openat2"], libc::ENOSYS).ours_only(),
        Case::new("openat2_and_forty_links")
            .ours_only()
            .tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS))
            .on_host()
            .options(["--tmpfs", "/srv", "--dir", "/srv/0"])
            .options(links)
            .options(["--dir", "/srv/40/made"])
            .run(["ls", "/srv/0"])
            .ok()
            .stdout("made\n"),
        refused("openat2_and_statx", &["openat2", "statx"], libc::ENOSYS).ours_only(),
        refused("mount_setattr", &["mount_setattr"], libc::ENOSYS),
        refused("openat2_and_mount_setattr", &["openat2", "mount_setattr"], libc::ENOSYS).ours_only(),
        refused("close_range", &["close_range"], libc::ENOSYS),
        refused("clone3", &["clone3"], libc::ENOSYS),
        refused("pidfd_open", &["pidfd_open"], libc::ENOSYS),
        Case::new("mount_setattr_on_host")
            .tweak(Tweak::Refuse(&["mount_setattr"], libc::ENOSYS))
            .on_host()
            .options(["--dev", "/dev", "--bind", "{dir}", "/mnt", "--remount-ro", "/mnt"])
            .run(["{probe}", "--probe", "{namespaces}", "mounts", "fds"])
            .ok(),
    ]
}

/// What nothing can be done without: the error names the call, COMMAND does not run, and nothing is left. The reference does
/// without these calls.
fn needed() -> Vec<Case> {
    let mut cases = vec![];
    let calls: [(&str, &'static [&'static str]); 5] = [
        ("open_tree", &["open_tree"]),
        ("move_mount", &["move_mount"]),
        ("fsopen", &["fsopen"]),
        ("fsmount", &["fsmount"]),
        ("fsconfig", &["fsconfig"]),
    ];
    for (call, refused) in calls {
        for (name, errno) in [("missing", libc::ENOSYS), ("forbidden", libc::EPERM)] {
            let says_so = move |o: &Outcome| {
                o.expect(o.stderr.starts_with("bwrap: ") && o.stderr.contains(call), "the call is not named")?;
                o.expect(o.stderr.lines().count() == 1, "more than one line")?;
                o.expect(
                    o.tree.get("made").is_some_and(|made| made.starts_with("directory")) && o.tree.len() == 3,
                    "something is left",
                )
            };
            let case = typical(&format!("{call}_{name}")).ours_only().tweak(Tweak::Refuse(refused, errno));
            cases.push(case.status(1).stdout("").claim(says_so));
        }
    }
    let all: &[&str] = &["open_tree", "move_mount", "fsopen", "fsmount", "mount_setattr", "openat2"];
    cases.push(typical("old_kernel").ours_only().tweak(Tweak::Refuse(all, libc::ENOSYS)).fails_beginning("bwrap: "));
    for call in [&["pivot_root"], &["capset"]] {
        let case = typical(&format!("{}_forbidden", call[0])).ours_only().tweak(Tweak::Refuse(call, libc::EPERM));
        cases.push(if call[0] == "capset" { case.user_only() } else { case }.status(1).stdout(""));
    }
    // Root goes on with the capabilities that it has.
    cases.push(typical("capset_forbidden_to_root").root_only().tweak(Tweak::Refuse(&["capset"], libc::EPERM)).ok());
    // Nothing else leads out of a chroot, and who is in one cannot be found out.
    let no_setns = |name: &str| Case::new(name).ours_only().on_host().run(["true"]).tweak(Tweak::Refuse(&["setns"], libc::EPERM));
    let line = "bwrap: Can't go to the root of the mount namespace: Operation not permitted";
    cases.push(no_setns("setns_forbidden_to_root").root_only().fails(line));
    cases.push(no_setns("setns_forbidden_to_root_without_chroot").root_only().options(["--cap-drop", "CAP_SYS_CHROOT"]).ok());
    cases.push(no_setns("setns_forbidden_in_a_user_namespace").options(["--unshare-user"]).ok());
    // Only where the mount namespace does not belong to a user namespace of its own are its mounts still shared with the host.
    let forbidden = |case: Case| case.ours_only().tweak(Tweak::Refuse(&["mount"], libc::EPERM));
    let made_slave = "bwrap: Failed to make / slave: Operation not permitted";
    cases.push(forbidden(Case::new("mount_forbidden").on_host().run(["true"])).root_only().fails(made_slave));
    let in_a_namespace =
        typical("mount_forbidden_in_a_user_namespace").unrefused("flags are set by mount(2) then").needs(has_mount_setattr);
    cases.push(forbidden(in_a_namespace).ok());
    cases
}

/// The words that programs look for to decide whether to do without a sandbox.
fn no_namespaces() -> Vec<Case> {
    let rows = [
        ("clone_forbidden", libc::EPERM),
        ("clone_invalid", libc::EINVAL),
        ("clone_exhausted", libc::ENOSPC),
        ("clone_again", libc::EAGAIN),
        ("clone_without_memory", libc::ENOMEM),
        ("clone_missing", libc::ENOSYS),
    ];
    let mut cases = vec![];
    for (name, errno) in rows {
        for (suffix, options) in [("", &[][..]), ("_user", &["--unshare-user"][..]), ("_all", &["--unshare-all"][..])] {
            let case = Case::new(&format!("{name}{suffix}")).on_host().options(options).run(["echo", "hi"]);
            let case = case.tweak(Tweak::Refuse(&["clone", "clone3"], errno)).status(1).stdout("");
            // Debian's reference adds where to read on.
            cases.push(case.blur(Field::Stderr, |text| text.split(" See <").next().unwrap_or_default().trim_end().to_owned()));
        }
        let unshare = Case::new(&name.replace("clone", "unshare")).on_host().options(["--unshare-user", "--dev", "/dev"]);
        cases.push(
            unshare.options(["--uid", "9"]).run(["echo", "hi"]).tweak(Tweak::Refuse(&["unshare"], errno)).status(1).stdout(""),
        );
    }
    let setns = Case::new("setns_forbidden").on_host().options(["--userns", "5"]).fd(5, Fd::path("/proc/self/ns/user"));
    cases.push(setns.run(["true"]).tweak(Tweak::Refuse(&["setns"], libc::EPERM)).status(1));
    cases
}

fn has_chroot() -> Result<()> {
    let found = std::path::Path::new("/usr/sbin/chroot").exists();
    if found && nix::unistd::geteuid().is_root() { Ok(()) } else { Err("needs root and chroot".to_owned()) }
}

/// Root that may chroot tries to climb past the chroot that it was called in. The reference lets it.
fn out_of_a_chroot(name: &str, propagation: &str, options: &str) -> Case {
    let climb = "mkdir q(/tmp/x); chroot q(/tmp/x) or die qq(chroot: $!); chdir q(..) for 1..60; chroot q(.);
         print -e q({dir}/marker) ? q(out) : q(in), qq(\\n)";
    let script = format!(
        "mkdir r; exec unshare -m --propagation private sh -c 'mount --rbind / r && mount -t tmpfs none r{{dir}} || exit
         mount --make-r{propagation} /; count() {{ wc -l </proc/self/mountinfo; }}; before=$(count)
         /usr/sbin/chroot r {{bwrap}} --ro-bind / / --dev /dev --tmpfs /tmp {options} perl -e \"{climb}\"; echo $?
         [ $before = $(count) ] || echo the host has other mounts'",
    )
    .replace("$!", "\\$!");
    Case::new(name).root_only().needs(has_chroot).ours_only().file("marker", "").script(&script).ok().stdout("in\n0\n")
}

/// A sandbox in a sandbox, in a chroot, and where no more user namespaces are to be had.
fn nested() -> Vec<Case> {
    let inner =
        "exec {bwrap} --ro-bind / / --dev /dev --unshare-pid --proc /proc {probe} --probe {namespaces} ids maps caps cwd fds";
    let outer = |name: &str, options: &str, text: &str| {
        Case::new(name).script(&format!("{{bwrap}} --dev-bind / / {options} sh -c '{text}; echo $?'; echo $?")).status(0)
    };
    let failed = "{bwrap} --ro-bind / / --unshare-user echo hi";
    vec![
        outer("in_a_sandbox", "", inner),
        outer("in_a_sandbox_user", "--unshare-user --cap-add ALL", inner),
        outer("in_a_sandbox_all", "--unshare-all --proc /proc --dev /dev", inner),
        outer("in_a_sandbox_dropped", "--unshare-user --uid 7 --gid 8", inner),
        outer("in_a_disabled_sandbox", "--unshare-user --disable-userns", failed),
        outer("in_a_disabled_sandbox_dev", "--unshare-user --disable-userns --dev /dev --proc /proc", failed),
        outer("in_a_disabled_sandbox_try", "--unshare-user --disable-userns", "{bwrap} --ro-bind / / --unshare-user-try echo hi"),
        outer(
            "in_an_exhausted_sandbox",
            "--unshare-user --uid 0 --cap-add ALL --unshare-pid --proc /proc",
            "echo 0 >/proc/sys/user/max_user_namespaces; {bwrap} --ro-bind / / --unshare-user-try echo hi; {bwrap} --ro-bind / / --unshare-user echo hi",
        ),
        outer(
            "in_a_sandbox_without_mounts",
            "--unshare-user --uid 0 --cap-add ALL --unshare-pid --proc /proc",
            "echo 0 >/proc/sys/user/max_mnt_namespaces; {bwrap} --ro-bind / / echo hi",
        ),
        out_of_a_chroot("out_of_a_chroot", "private", ""),
        out_of_a_chroot("out_of_a_chroot_by_capability", "private", "--cap-drop ALL --cap-add CAP_SYS_CHROOT"),
        out_of_a_chroot("out_of_a_shared_chroot", "shared", ""),
        // There is no mount that could be the root of anything.
        Case::new("in_a_chroot_without_a_mount")
            .root_only()
            .needs(has_chroot)
            .script(
                "mkdir -p r/proc r/bin; exec unshare -m --propagation private sh -c 'mount -t proc proc r/proc && touch r/bin/bwrap &&
                 mount --bind {bwrap} r/bin/bwrap && exec /usr/sbin/chroot r /bin/bwrap --bind / / true'",
            )
            .ours_only()
            .fails("bwrap: Failed to make / slave: Invalid argument"),
        Case::new("in_a_chroot")
            .root_only()
            .needs(has_chroot)
            .script(
                "mkdir r; exec unshare -m sh -c 'mount --rbind / r && exec /usr/sbin/chroot r {bwrap} --ro-bind / / --dev /dev \
                 {probe} --probe {namespaces} ids namespaces caps cwd'",
            )
            .ok(),
    ]
}
