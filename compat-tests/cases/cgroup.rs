//! `--cgroup`, as far as it goes without a delegated control group: what is refused, and that nothing is done then. The rest needs a
//! machine of its own, see `delegated/`.

use super::fails;
use crate::harness::{Case, Result, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = wrong_words();
    cases.extend(nothing_to_arrange());
    cases.into_iter().map(Case::ours_only).collect()
}

fn wrong_words() -> Vec<Case> {
    let key = "bwrap: --cgroup takes the name of a control group's file, like memory.max, not";
    let words = [
        ("no_controller", "max", format!("{key} max")),
        ("empty", "", format!("{key} ")),
        ("path", "../memory.max", format!("{key} ../memory.max")),
        ("dots", "memory..max", format!("{key} memory..max")),
        ("procs", "cgroup.procs", "bwrap: --cgroup sets limits, and cannot set cgroup.procs".to_owned()),
        ("kill", "cgroup.kill", "bwrap: --cgroup sets limits, and cannot set cgroup.kill".to_owned()),
    ];
    let mut cases: Vec<_> = words.iter().map(|(name, key, line)| fails(name, &["--cgroup", key, "1"], line)).collect();
    cases.extend([
        fails("alone", &["--cgroup", "memory.max"], "bwrap: --cgroup takes two arguments"),
        fails("no_value", &["--cgroup", "memory.max", ""], "bwrap: --cgroup memory.max takes one line of text"),
        fails("two_lines", &["--cgroup", "memory.max", "1\n2"], "bwrap: --cgroup memory.max takes one line of text"),
    ]);
    cases
}

/// Whether control groups of version 2 are all that there is.
fn is_version_2() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn has_version_1() -> Result<()> {
    if is_version_2() { Err("there are control groups of version 2".to_owned()) } else { Ok(()) }
}

fn has_version_2() -> Result<()> {
    if is_version_2() { Ok(()) } else { Err("there are control groups of version 1".to_owned()) }
}

/// A control group that nobody has given to us, and one that others live in: it says what to do, and nothing of the sandbox is made.
fn nothing_to_arrange() -> Vec<Case> {
    let case = |name: &str| {
        let case =
            Case::new(name).dir("made").options(["--ro-bind", "/", "/", "--bind", "{dir}/made", "/mnt", "--dir", "/mnt/in"]);
        let case = case.options(["--cgroup", "memory.max", "1G"]).run(["echo", "hi"]);
        case.claim(|o| o.expect_tree("made/in", None)).claim(|o| o.expect(o.stderr.lines().count() == 1, "more than one line"))
    };
    let version = "bwrap: --cgroup needs cgroup v2, and /sys/fs/cgroup is cgroup v1 or hybrid here \
                   (boot with systemd.unified_cgroup_hierarchy=1)";
    let ends = |case: Case, end: &'static str| {
        case.status(1).stdout("").claim(move |o| {
            o.expect(o.stderr.starts_with("bwrap: --cgroup: ") && o.stderr.ends_with(end), "not the words that help")
        })
    };
    vec![
        case("version_1").needs(has_version_1).fails(version),
        ends(case("of_root").needs(has_version_2).root_only(), "; use: systemd-run --scope -p Delegate=yes -- bwrap ...\n"),
        ends(
            case("of_user").needs(has_version_2).user_only(),
            "; use: systemd-run --user --scope -p Delegate=yes -- bwrap ...\n",
        ),
        // Without the option none of this is looked at.
        Case::new("not_touched").on_host().run(["true"]).tweak(Tweak::Refuse(&["clone3", "flock"], libc::EPERM)).ok(),
    ]
}
