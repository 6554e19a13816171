//! `--noexec` and `--nosymfollow`: on every kind of mount and on those below it, without the newer calls too, and who can take
//! them off again.

use super::fails;
use super::overlays::kernel_has_overlays;
use crate::harness::{Case, Fd, Outcome, Result, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = wrong_words();
    cases.extend(kinds());
    cases.extend(effects());
    cases.extend(boundaries());
    cases.into_iter().map(Case::ours_only).collect()
}

fn wrong_words() -> Vec<Case> {
    let noexec = "bwrap: --noexec must be followed by a bind, --tmpfs or an overlay";
    let nosymfollow = "bwrap: --nosymfollow must be followed by a bind, --tmpfs or an overlay";
    let layers =
        "bwrap: --overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay";
    let mut cases = vec![
        fails("noexec_twice", &["--noexec", "--noexec", "--tmpfs", "/t"], "bwrap: --noexec given twice for the same action"),
        fails(
            "nosymfollow_twice",
            &["--nosymfollow", "--noexec", "--nosymfollow", "--tmpfs", "/t"],
            "bwrap: --nosymfollow given twice for the same action",
        ),
        // Unlike --perms: protection that nothing gets is no protection.
        fails("noexec_before_command", &["--ro-bind", "/", "/", "--noexec", "true"], noexec),
        fails("nosymfollow_before_dashes", &["--ro-bind", "/", "/", "--nosymfollow", "--", "true"], nosymfollow),
        fails("noexec_serves_one_mount", &["--noexec", "--tmpfs", "/t", "--noexec", "--dir", "/d", "true"], noexec),
        fails("overlay_layers_then_a_bind", &["--overlay-src", "/", "--noexec", "--bind", "/", "/", "true"], layers),
        fails(
            "perms_and_noexec_before_a_bind",
            &["--perms", "700", "--noexec", "--bind", "/", "/", "true"],
            "bwrap: --perms must be followed by an option that creates a file",
        ),
    ];
    let others: [(&str, &[&str]); 9] = [
        ("proc", &["--proc", "/p"]),
        ("dev", &["--dev", "/d"]),
        ("mqueue", &["--mqueue", "/q"]),
        ("dir", &["--perms", "700", "--dir", "/d"]),
        ("file", &["--file", "5", "/f"]),
        ("remount_ro", &["--remount-ro", "/"]),
        ("symlink", &["--symlink", "a", "/b"]),
        ("chmod", &["--chmod", "700", "/"]),
        ("unshare_pid", &["--unshare-pid"]),
    ];
    for (name, words) in others {
        cases.push(fails(&format!("noexec_before_{name}"), &[&["--noexec"], words, &["true"]].concat(), noexec));
        cases.push(fails(&format!("nosymfollow_before_{name}"), &[&["--nosymfollow"], words, &["true"]].concat(), nosymfollow));
    }
    cases
}

/// Whether a mount has these flags, and no others of the two.
fn has(o: &Outcome, point: &str, flags: &[&str]) -> Result<()> {
    let point = o.expand(point);
    let line = o.stdout.lines().find(|line| line.split(' ').next() == Some(&point)).unwrap_or_default();
    let options: Vec<&str> = line.split(' ').nth(1).unwrap_or_default().split(',').collect();
    let fits = ["noexec", "nosymfollow"].iter().all(|flag| options.contains(flag) == flags.contains(flag));
    o.expect(!line.is_empty() && fits, &format!("{point} has {flags:?} of the two flags: {line:?}"))
}

const BOTH: [&str; 2] = ["noexec", "nosymfollow"];

fn kinds() -> Vec<Case> {
    // Each with and without the flags, and in both orders of the modifiers.
    let rows: [(&str, &[&str], &[&str]); 12] = [
        ("bind", &[], &["--bind", "{dir}/box", "/m"]),
        ("bind_try", &[], &["--bind-try", "{dir}/box", "/m"]),
        ("ro_bind", &[], &["--ro-bind", "{dir}/box", "/m"]),
        ("ro_bind_try", &[], &["--ro-bind-try", "{dir}/box", "/m"]),
        ("dev_bind", &[], &["--dev-bind", "{dir}/box", "/m"]),
        ("dev_bind_try", &[], &["--dev-bind-try", "{dir}/box", "/m"]),
        ("bind_fd", &[], &["--bind-fd", "6", "/m"]),
        ("ro_bind_fd", &[], &["--ro-bind-fd", "6", "/m"]),
        ("bind_file", &[], &["--bind", "{dir}/box/f", "/m"]),
        ("tmpfs", &["--perms", "0711", "--size", "65536"], &["--tmpfs", "/m"]),
        ("bind_data", &["--perms", "0711"], &["--bind-data", "5", "/m"]),
        ("ro_bind_data", &[], &["--ro-bind-data", "5", "/m"]),
    ];
    let case = |name: &str, options: &[&str], flags: &'static [&'static str]| {
        let case = Case::new(name).options(["--proc", "/proc"]).options(options).file("box/f", "x");
        let case = case.fd(5, Fd::memfd("x")).fd(6, Fd::o_path("{dir}/box")).probe(&["mounts"]).ok();
        case.claim(move |o| has(o, "/m", flags)).claim(|o| has(o, "/", &[]))
    };
    let mut cases = vec![];
    for (name, before, words) in rows {
        cases.push(case(&format!("none_{name}"), &[before, words].concat(), &[]));
        cases.push(case(&format!("noexec_{name}"), &[before, &["--noexec"], words].concat(), &["noexec"]));
        cases.push(case(&format!("nosymfollow_{name}"), &[&["--nosymfollow"], before, words].concat(), &["nosymfollow"]));
        let both = case(&format!("both_{name}"), &[&["--nosymfollow"], before, &["--noexec"], words].concat(), &BOTH);
        cases.push(both.tweak(Tweak::Refuse(&["openat2", "mount_setattr"], libc::ENOSYS)));
    }
    let same = |name: &str, words: &[&str], flags| {
        let case = Case::new(name).options(["--proc", "/proc"]).options(words).options(["{dir}/l"]).symlink("box", "l");
        case.dir("box").probe(&["mounts"]).ok().claim(move |o| has(o, "{dir}/box", flags))
    };
    cases.push(same("noexec_same", &["--noexec", "--same"], &["noexec"]));
    cases.push(same("both_ro_same_try", &["--noexec", "--nosymfollow", "--ro-same-try"], &BOTH));
    let sources = ["--overlay-src", "{dir}/box", "--overlay-src", "{dir}/high"];
    let overlays: [(&str, &[&str]); 3] = [
        ("ro_overlay", &["--ro-overlay", "/m"]),
        ("tmp_overlay", &["--tmp-overlay", "/m"]),
        ("overlay", &["--overlay", "{dir}/up", "{dir}/work", "/m"]),
    ];
    for (name, words) in overlays {
        let layered = |case: Case| case.dir("high").dir("up").dir("work").needs(kernel_has_overlays);
        let before = case(&format!("before_layers_{name}"), &[&["--noexec"], &sources[..], words].concat(), &["noexec"]);
        let after = case(&format!("after_layers_{name}"), &[&sources[..], &BOTH_WORDS, words].concat(), &BOTH);
        cases.extend([layered(before), layered(after).tweak(Tweak::Refuse(&["mount_setattr"], libc::ENOSYS))]);
        cases.push(layered(case(&format!("both_{name}"), &[&BOTH_WORDS, &sources[..], words].concat(), &BOTH)));
    }
    // On `/`, where nothing is attached, and the probe cannot be run from there.
    let root = ["--noexec", "--nosymfollow", "--bind", "{dir}/box", "/", "--proc", "/proc"];
    let on_root = |name: &str| {
        let case = Case::new(name).options(root).dir("box/proc").file("box/probe", "").probe(&["mounts"]).ok();
        case.claim(|o| has(o, "/", &BOTH)).claim(|o| has(o, "/probe", &[]))
    };
    cases.push(on_root("root"));
    cases.push(on_root("root_by_mount").tweak(Tweak::Refuse(&["mount_setattr"], libc::ENOSYS)));
    // What is read-only later keeps its flags, also where that is done by a remount.
    let remounted = case("remounted", &["--noexec", "--nosymfollow", "--tmpfs", "/m", "--remount-ro", "/m"], &BOTH);
    cases.push(remounted.tweak(Tweak::Refuse(&["mount_setattr"], libc::ENOSYS)));
    let dry =
        Case::new("dry_run").on_host().options(["--dry-run", "--noexec", "--nosymfollow", "--tmpfs", "/mnt"]).run(["true"]).ok();
    cases.push(
        dry.claim(|o| o.expect(o.stdout.contains("nosuid, nodev, noexec,") && o.stdout.contains(" nosymfollow\n"), "the flags")),
    );
    cases
}

const BOTH_WORDS: [&str; 2] = ["--noexec", "--nosymfollow"];

fn effects() -> Vec<Case> {
    let program = "cp /bin/true /mnt/p; printf '#!/bin/sh\\necho run\\n' > /mnt/p; ln -s p /mnt/l; cp /bin/true /mnt/true;";
    let boxed = |name: &str, options: &[&str], script: String| {
        Case::new(name).on_host().options(options).run(["sh", "-c", &script]).dir("box")
    };
    let refused = "echo; /mnt/p; echo $?; /mnt/true; echo $?; sh /mnt/p";
    // A mount below the bind, made by a sandbox around ours.
    let around = "exec {bwrap} --dev-bind / / --tmpfs {dir}/box --tmpfs {dir}/box/sub {bwrap} --ro-bind / / --noexec --nosymfollow \
                  --bind {dir}/box /mnt sh -c 'cp /bin/true /mnt/sub/true && ! /mnt/sub/true 2>&- && ln -s true /mnt/sub/l && \
                  ! test -e /mnt/sub/l && test -e {dir}/box/sub/l && {dir}/box/sub/true'";
    let around =
        |name: &str| Case::new(name).script(around).dir("box").claim(|o| o.expect(o.stderr.is_empty(), "nothing on stderr"));
    vec![
        boxed("noexec_refuses_programs", &["--noexec", "--tmpfs", "/mnt"], format!("{program} {{ {refused}; }} 2>&-"))
            .status(0)
            .stdout("\n126\n126\nrun\n"),
        boxed("without_they_run", &["--tmpfs", "/mnt"], format!("{program} {{ {refused}; }} 2>&-"))
            .status(0)
            .stdout("\nrun\n0\n0\nrun\n"),
        boxed(
            "nosymfollow_refuses_links",
            &["--nosymfollow", "--tmpfs", "/mnt"],
            format!("{program} readlink /mnt/l; cat /mnt/l"),
        )
        .status(1)
        .stdout("p\n")
        .claim(|o| o.expect(o.stderr.contains("Too many levels of symbolic links"), "ELOOP")),
        boxed("links_to_it_are_followed", &["--nosymfollow", "--tmpfs", "/mnt"], "echo x > /mnt/f; cat /srv/l".to_owned())
            .options(["--tmpfs", "/srv", "--symlink", "/mnt/f", "/srv/l"])
            .ok()
            .stdout("x\n"),
        Case::new("command_on_it")
            .options([
                "--noexec",
                "--ro-bind",
                "/usr",
                "/usr",
                "--symlink",
                "usr/lib",
                "/lib",
                "--symlink",
                "usr/lib64",
                "/lib64",
            ])
            .run(["/usr/bin/true"])
            .fails("bwrap: execvp /usr/bin/true: Permission denied"),
        Case::new("command_on_it_with_a_hint")
            .options(["--level-prefix", "--noexec", "--ro-bind", "/usr", "/usr"])
            .run(["/usr/bin/true"])
            .status(1)
            .claim(|o| o.expect(o.stderr.ends_with("hint: /usr/bin/true is on a mount with noexec\n"), "a hint")),
        around("submounts").status(0),
        around("submounts_by_mount").status(0).tweak(Tweak::Refuse(&["mount_setattr"], libc::ENOSYS)),
    ]
}

/// Who can take a flag off: the owner of the mounts; for nosymfollow, whoever gets a user namespace.
fn boundaries() -> Vec<Case> {
    let setup = ["--unshare-user", "--proc", "/proc", "--noexec", "--nosymfollow", "--tmpfs", "/mnt"];
    let open = "ln -s f /mnt/l; echo x > /mnt/f; cp /bin/true /mnt/true; ";
    let attempt = "mount -o remount,bind,noexec,nosuid,nodev,symfollow /mnt; mount -o remount,bind,nosuid,nodev,exec,symfollow /mnt; cat /mnt/l; /mnt/true && echo run";
    let nested = format!("{open} unshare -Urm sh -c '{attempt}' 2>&-; true");
    let boxed = |name: &str, options: &[&str], script: &str| {
        Case::new(name).on_host().options(setup).options(options).run(["sh", "-c", script])
    };
    vec![
        boxed("disabled", &["--disable-userns"], &nested).status(0).stdout(""),
        boxed(
            "noexec_disabled_and_all_capabilities",
            &["--disable-userns", "--cap-add", "ALL"],
            &format!("{open} {{ {attempt}; unshare -m sh -c '{attempt}'; }} 2>&- | grep run; true"),
        )
        .status(0)
        .stdout(""),
        // Known: a copy lies elsewhere, and so does what an overlay shows.
        boxed(
            "known_noexec_copies",
            &["--tmpfs", "/srv"],
            "cp /bin/true /mnt/true; /mnt/true 2>&- || echo refused; cp /mnt/true /srv && /srv/true && echo copy; \
             python3 -c 'import os; file = os.memfd_create(\"x\"); os.write(file, open(\"/mnt/true\", \"rb\").read()); \
             os.execve(file, [\"x\"], {})' && echo memory; \
             unshare -Urm sh -c 'mount -t overlay -o lowerdir=/mnt:/etc x /srv && /srv/true' && echo overlay",
        )
        .tools(&["python3"])
        .needs(kernel_has_overlays)
        .ok()
        .stdout("refused\ncopy\nmemory\noverlay\n"),
        // Known: the kernel does not lock nosymfollow as it does the others.
        boxed("known_nested_user_namespace", &[], &nested).status(0).stdout("x\n"),
        boxed(
            "known_mount_namespace_by_capability",
            &["--disable-userns", "--cap-add", "CAP_SYS_ADMIN"],
            &format!("{open} unshare -m sh -c '{attempt}' 2>&-; true"),
        )
        .status(0)
        .stdout("x\n"),
        boxed("known_owner_takes_them_off", &["--cap-add", "ALL"], &format!("{open} {{ {attempt}; }} 2>&-"))
            .status(0)
            .stdout("x\nrun\n"),
    ]
}
