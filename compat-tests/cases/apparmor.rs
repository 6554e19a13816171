//! `--apparmor` where there is no AppArmor. With real profiles it is tested in a virtual machine, see `vm/checks/apparmor`.

use std::fs;
use std::process::Command;

use super::fails;
use crate::harness::{Case, Outcome, Result};

/// The cases of this file. The reference does not have the option.
pub(crate) fn cases() -> Vec<Case> {
    let name = "bwrap: --apparmor takes the name of a profile, without control characters or surrounding blanks";
    let cases = vec![
        fails("apparmor_alone", &["--apparmor"], "bwrap: --apparmor takes an argument"),
        fails("apparmor_empty", &["--apparmor", ""], name),
        fails("apparmor_two_lines", &["--apparmor", "a\nb"], name),
        fails("apparmor_blank", &["--apparmor", " a"], name),
        off("apparmor_off", &[]),
        off("apparmor_off_with_all", &["--unshare-all", "--die-with-parent", "--new-session"]),
        Case::new("labels_are_not_touched")
            .needs(has_strace)
            .script("strace -f -qq -o calls {bwrap} --unshare-all --ro-bind / / --proc /proc --dev /dev true")
            .ok()
            .claim(untouched),
    ];
    cases.into_iter().map(Case::ours_only).collect()
}

/// It is an error before anything is done.
fn off(name: &str, options: &[&str]) -> Case {
    let case = Case::new(name).needs(no_apparmor).dir("made").options(["--ro-bind", "/", "/", "--bind", "{dir}/made", "/mnt"]);
    let case = case.options(["--dir", "/mnt/in", "--apparmor", "unconfined"]).options(options).run(["echo", "hi"]);
    case.fails_beginning("bwrap: --apparmor needs AppArmor, ").claim(|o| {
        o.expect(o.stderr.lines().count() == 1, "more than one line")?;
        o.expect_tree("made/in", None)
    })
}

fn no_apparmor() -> Result<()> {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'));
    if enabled { Err("AppArmor is on".to_owned()) } else { Ok(()) }
}

fn has_strace() -> Result<()> {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if works { Ok(()) } else { Err("needs strace".to_owned()) }
}

/// No file of a security module was looked at.
fn untouched(o: &Outcome) -> Result<()> {
    let text = fs::read_to_string(o.dir.join("calls")).map_err(|e| e.to_string())?;
    o.expect(text.contains("execve("), "nothing was traced")?;
    let touched = text.lines().find(|line| ["apparmor", "selinux", "/attr"].iter().any(|word| line.contains(word)));
    o.expect(touched.is_none(), &format!("{touched:?}"))
}
