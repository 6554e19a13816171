//! The adversary beside: a process of the host that swaps directories and symlinks while the sandbox is set up on them.
//!
//! Whatever it does, nothing appears outside of what was given, and what was given has the flags that were asked for. A run may well
//! fail. Each case makes `ESCAPES_RUNS` runs, 6 unless told otherwise, which is 800 set-ups or so in all; `ESCAPES_RUNS=150` is the long form.
//! How often a racer wins is not known, but where links to /proc/self/fd/N are followed a short run finds it in every second case.

use std::time::Duration;

use super::planted::operations;
use crate::cases::history::vulnerabilities::{nothing_outside_changed, planted};
use crate::cases::history::vulnerabilities_process::has_unshare;
use crate::cases::overlays::kernel_has_overlays;
use crate::harness::{Case, Fd, Tweak};

/// The cases of this file. Only ours is asked: the reference's answers depend on the moment.
pub(crate) fn cases() -> Vec<Case> {
    [destinations(), sources(), hosts()].into_iter().flatten().collect()
}

/// How often each case runs the sandbox.
fn runs() -> u32 {
    std::env::var("ESCAPES_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

/// The script of a race: the racer, the runs beside it, and at the end how many there were of which status.
fn race(case: Case, racer: &str, run: &str) -> Case {
    // A run that sets `seen` to 0 is repeated until one sets it to 1: on a busy machine the racer may
    // win all of a few runs.
    let (runs, most) = (runs(), runs() + 100);
    let script = format!(
        "{{probe}} --probe x race:{racer} & i=0
         while [ $i -lt {runs} ] || {{ [ ${{seen:-1}} = 0 ] && [ $i -lt {most} ]; }}; do i=$((i+1)); {run}; done
         kill $!; wait $! 2>/dev/null; echo end"
    );
    let mut case = case.ours_only().script(&script).status(0).claim(|o| {
        o.expect(o.stdout.ends_with("end\n"), "it did not come to its end")?;
        o.expect(!o.stdout.contains("the racer has ended"), "the racer has given up")
    });
    case.timeout = Duration::from_secs(60 + u64::from(runs));
    case
}

/// A symlink takes a directory's place below the destination, and gives it back, all the time. The last component, its directory, and
/// directories that have to be made are tried in turn.
fn destinations() -> Vec<Case> {
    let racer = "swap:{dir}/inside/d:{dir}/inside/link:{dir}/inside/dots:{dir}/inside/old:{dir}/inside/magic:{dir}/inside/root";
    let race_of = |(name, words): (&str, &[&str]), places: &str, follow: &str| {
        let content = if words.contains(&"8") { "8</dev/null" } else { "" };
        // A mount of its own is needed for that one.
        let never = name == "remount_ro";
        let at_first = u8::from(never);
        let run = format!(
            "said=$(for place in {places}; do
                 {{bwrap}} --ro-bind {{probe}} /probe --proc /proc --bind {{dir}}/inside /in {follow} {} $place /probe --probe x flags:/ \
                     {content} 2>/dev/null
             done); echo \"$said\"; case $said in *'/: '*) seen=1 ;; *) : ${{seen:={at_first}}} ;; esac",
            words.join(" ")
        );
        let case = planted(&format!("destination_{name}{}", if follow.is_empty() { "" } else { "_followed" }), "{dir}/outside")
            .setup(|s| {
                s.file("inside/d/file", "")?;
                s.symlink("../../../../../../../..{dir}/outside", "inside/dots")?;
                s.symlink("/oldroot{dir}/outside", "inside/old")?;
                s.symlink("/proc/self/fd/7", "inside/magic")?;
                s.symlink("/proc/self/root/..{dir}/outside", "inside/root")
            });
        let case = race(case, racer, &run).claim(nothing_outside_changed);
        let case = if name == "overlay" { case.needs(kernel_has_overlays) } else { case };
        case.claim(move |o| o.expect(never || o.stdout.contains("/: "), "no set-up came to its end"))
    };
    // What is swapped lies on a mount that links count on, and on one where they do not.
    let follow = "--ro-bind {dir}/inside /ro --follow-symlinks";
    let plain = operations().map(|operation| race_of(operation, "/in/d/new /in/d/a/b/new$i /in/d /in/d/file", ""));
    let may_follow = |&(name, _): &(&str, &[&str])| !matches!(name, "symlink" | "proc" | "dev" | "mqueue");
    let followed =
        operations().filter(may_follow).map(|operation| race_of(operation, "/in/d /in/d/file /ro/d /ro/d/file", follow));
    plain.chain(followed).collect()
}

/// What is bound is one of the two things that were there, and it has its flags.
fn sources() -> Vec<Case> {
    // Every mount that was seen has exactly these flags; where every run is possible, some were seen.
    let flagged_if = |case: Case, flags: &'static str, always: bool| {
        case.claim(move |o| {
            let mounts = o.stdout.lines().filter(|line| line.starts_with("/x") && !line.contains(": E")).collect::<Vec<_>>();
            o.expect(mounts.iter().all(|line| line.ends_with(&format!(": {flags}"))), &format!("flags: {mounts:?}"))?;
            o.expect(!always || !mounts.is_empty(), "no set-up came to its end")
        })
    };
    let flagged = |case: Case, flags: &'static str| flagged_if(case, flags, true);
    let case = |name: &str| Case::new(name).file("good/here", "").file("other/there", "").dir("good/sub").dir("other/sub");
    let run = |options: &str| {
        format!("{{bwrap}} --ro-bind {{probe}} /probe {options} /x /probe --probe x flags:/x flags:/x/sub 2>/dev/null")
    };
    let swapped = case("source_directory").dir("s/sub").symlink("/dev", "link");
    let linked = |name: &str| case(name).symlink("good", "s");
    let by_fd = case("source_of_an_fd").fd(7, Fd::path("{dir}/good"));
    let look = "{bwrap} --ro-bind {probe} /probe --ro-bind-fd 7 /x /probe --probe x list:/x flags:/x 2>/dev/null";
    let (swap, relink) = ("swap:{dir}/s:{dir}/link:{dir}/good", "relink:{dir}/s:good:other");
    // A file, and nothing at all, with which the set-up fails or has no /x.
    let worse = "relink:{dir}/s:good:other:/dev/null:none";
    let read_only = "ro,nosuid,nodev";
    vec![
        flagged(race(swapped, swap, &run("--ro-bind {dir}/s")), read_only),
        flagged(race(linked("source_read_only"), relink, &run("--ro-bind {dir}/s")), read_only),
        flagged_if(race(linked("source_link"), worse, &run("--ro-bind {dir}/s")), read_only, false),
        flagged_if(race(linked("source_link_try"), worse, &run("--ro-bind-try {dir}/s")), read_only, false),
        flagged(race(linked("source_writable"), relink, &run("--bind {dir}/s")), "nosuid,nodev"),
        flagged(
            race(linked("source_of_an_overlay").needs(kernel_has_overlays), relink, &run("--overlay-src {dir}/s --tmp-overlay")),
            "nosuid,nodev",
        ),
        race(by_fd, "swap:{dir}/good:{dir}/other", look)
            .claim(|o| o.expect(!o.stdout.contains("there"), "the other directory was bound"))
            .claim(|o| o.expect(o.stdout.contains("/x/here"), "no set-up came to its end")),
    ]
}

/// Root of the host mounts and unmounts below a source and below a destination.
fn hosts() -> Vec<Case> {
    let host = |name: &str, options: &str, look: &str| {
        let runs = runs();
        let script = format!(
            "exec unshare --mount --propagation private sh -c 'mount --make-rshared /
             count() {{ grep -vc racer /proc/self/mountinfo; }}
             before=$(count); {{probe}} --probe x race:mount:{{dir}}/racer:{{dir}}/m/sub & i=0
             while [ $i -lt {runs} ]; do
                 i=$((i+1)); {{bwrap}} --ro-bind {{probe}} /probe {options} /probe --probe x {look} 2>/dev/null; done
             kill $!; wait $! 2>/dev/null
             [ $before = $(count) ] || echo the host has other mounts; echo end'"
        );
        let case = Case::new(name).root_only().ours_only().needs(has_unshare).dir("m/sub").dir("racer").script(&script).status(0);
        case.claim(|o| o.expect(o.stdout.ends_with("end\n"), "it did not come to its end"))
            .claim(|o| o.expect(!o.stdout.contains("the host has other"), "a mount of the sandbox is on the host"))
            .claim(|o| o.expect(!o.stdout.contains("the racer has ended"), "the racer has given up"))
    };
    // Where flags are set by mount(2), a submount is looked for by its path, while directories on the way change places.
    // What stays out of reach is left as it is, and can come back when COMMAND has been started: SECURITY.md says so.
    let moved = |name: &str, before: &str, options: &str| {
        let stays_reachable = before.is_empty();
        let runs = 10 * runs();
        let script = format!(
            "exec unshare --mount --propagation private sh -c 'mount -t tmpfs below {{dir}}/s/d/m; {before}
             {{probe}} --probe x race:swap:{{dir}}/s/d:{{dir}}/s/e & i=0
             while [ $i -lt {runs} ]; do
                 i=$((i+1))
                 {{bwrap}} {options} --ro-bind {{probe}} /probe --ro-bind {{dir}}/s /x /probe --probe x flags:/x/d/m flags:/x/e/m \\
                     flags:/x/d/m flags:/x/e/m 2>/dev/null
             done
             kill $!; wait $! 2>/dev/null; echo end'"
        );
        let case = Case::new(name).root_only().ours_only().needs(has_unshare).dir("s/d/m").dir("s/e").script(&script).status(0);
        let mut case = case.tweak(Tweak::Refuse(&["mount_setattr"], libc::ENOSYS)).claim(move |o| {
            let found = o.stdout.lines().filter(|line| line.starts_with("/x") && !line.contains(": E")).collect::<Vec<_>>();
            o.expect(!found.is_empty(), "no set-up came to its end")?;
            let read_only = found.iter().filter(|line| line.contains(": ro,")).count();
            let least = if stays_reachable { found.len() } else { found.len() * 98 / 100 };
            o.expect(read_only >= least, "a submount is writable")?;
            o.expect(o.stdout.ends_with("end\n") && !o.stdout.contains("the racer has ended"), "it did not come to its end")
        });
        case.timeout = Duration::from_secs(60 + u64::from(runs));
        case
    };
    // What the host mounts later arrives with the host's flags, read-only bind or not, as in the reference.
    let later = |name: &str, before: &str| {
        let script = format!(
            "exec unshare --mount --propagation private sh -c 'mount --make-rshared /; mkfifo go ready; chmod 777 . go ready
             {before} {{bwrap}} --ro-bind / / --dev /dev sh -c \\
                 \"echo >ready; read x <go; cd {{dir}}/m; echo >sub/file && echo >sub/null && ls sub; echo 2>/dev/null >file || echo read-only\" \\
                 3<>ready 4<>go &
             read x <ready; mount -t tmpfs -o mode=777,dev later {{dir}}/m/sub
             mknod {{dir}}/m/sub/null c 1 3; chmod 666 {{dir}}/m/sub/null; echo >go; wait'"
        );
        let case = Case::new(name).root_only().needs(has_unshare).dir("m/sub").script(&script);
        case.status(0).stdout("file\nnull\nread-only\n")
    };
    // The same beside flags of bleb's own.
    let executable = "exec unshare --mount --propagation private sh -c 'mount --make-rshared /; mkfifo go ready; cp /bin/true m
         {bwrap} --ro-bind / / --dev /dev --noexec --ro-bind {dir}/m {dir}/m sh -c \
             \"echo >ready; read x <go; {dir}/m/true 2>/dev/null || echo refused; {dir}/m/sub/true && echo run\" 3<>ready 4<>go &
         read x <ready; mount -t tmpfs later {dir}/m/sub; cp /bin/true {dir}/m/sub; echo >go; wait'";
    let executable = Case::new("known_later_mounts_below_noexec").root_only().needs(has_unshare).dir("m/sub").script(executable);
    vec![
        executable.status(0).stdout("refused\nrun\n").ours_only(),
        host("host_below_a_source", "--ro-bind {dir}/m /x", "flags:/x flags:/x/sub"),
        host("host_below_a_destination", "--bind {dir}/m /x --tmpfs /x/sub --dir /x/sub/new", "flags:/x/sub"),
        later("known_later_mounts", ""),
        later("known_later_mounts_of_a_user", "setpriv --reuid 54321 --regid 54321 --clear-groups"),
        moved("host_moves_a_submount", "", ""),
        moved("host_moves_a_submount_user", "", "--unshare-user"),
        moved("host_moves_a_submount_out_of_reach", "chown 54321 {dir}/s/e; chmod 700 {dir}/s/e;", "--unshare-user"),
        host("host_below_a_remount", "--bind {dir}/m /x --remount-ro /x", "flags:/x"),
    ]
}
