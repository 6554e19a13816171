//! Ids and capabilities: what COMMAND is and what it may do.

use crate::harness::{Case, Result, Tweak};

/// What tells who somebody is.
const VIEWS: [&str; 5] = ["ids", "maps", "caps", "security", "namespaces"];

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = ids();
    cases.extend(capabilities());
    cases.extend(groups());
    cases
}

fn seen(name: &str, options: &[&str]) -> Case {
    Case::new(name).on_host().options(options).run(["{probe}", "--probe", "{namespaces}"]).run(VIEWS)
}

fn ids() -> Vec<Case> {
    let rows: &[(&str, &[&str])] = &[
        ("uid", &["--unshare-user", "--uid", "1000"]),
        ("gid", &["--unshare-user", "--gid", "1000"]),
        ("uid_and_gid", &["--unshare-user", "--uid", "1000", "--gid", "100"]),
        ("uid_0", &["--unshare-user", "--uid", "0"]),
        ("uid_0_gid_0", &["--unshare-user", "--uid", "0", "--gid", "0"]),
        ("uid_dev", &["--unshare-user", "--uid", "1000", "--gid", "100", "--dev", "/dev"]),
        ("uid_0_dev", &["--unshare-user", "--uid", "0", "--gid", "0", "--dev", "/dev"]),
        ("uid_0_only_dev", &["--unshare-user", "--uid", "0", "--dev", "/dev"]),
        ("uid_own", &["--uid", "{uid}", "--gid", "{gid}"]),
        ("uid_own_user", &["--unshare-user", "--uid", "{uid}", "--gid", "{gid}"]),
        ("uid_nobody", &["--unshare-user", "--uid", "65534", "--gid", "65534"]),
        ("uid_all", &["--unshare-all", "--uid", "1", "--gid", "2", "--proc", "/proc", "--dev", "/dev"]),
        ("uid_largest_signed", &["--unshare-user", "--uid", "2147483647", "--gid", "2147483647"]),
        ("uid_twice", &["--unshare-user", "--uid", "1", "--uid", "2", "--gid", "3", "--gid", "4"]),
    ];
    let mut cases = rows.iter().map(|(name, options)| seen(name, options).status(0)).collect::<Vec<_>>();
    cases.push(seen("uid_without_user", &["--uid", "1"]));
    cases.push(seen("gid_without_user", &["--gid", "1"]));
    cases.push(seen("uid_is_nobody", &["--unshare-user", "--uid", "4294967295"]).status(1));
    cases
}

/// Capabilities in every place they can be had.
fn capabilities() -> Vec<Case> {
    let rows: &[(&str, &[&str])] = &[
        ("cap", &["--cap-add", "cap_net_raw"]),
        ("cap_capitals", &["--cap-add", "CAP_NET_RAW"]),
        ("cap_mixed", &["--cap-add", "Cap_Net_Raw"]),
        ("cap_number", &["--cap-add", "13"]),
        ("cap_number_0", &["--cap-add", "0"]),
        ("cap_all", &["--cap-add", "ALL"]),
        ("cap_all_small", &["--cap-add", "all"]),
        ("cap_newest", &["--cap-add", "CAP_BPF", "--cap-add", "cap_checkpoint_restore", "--cap-add", "cap_perfmon"]),
        ("cap_several", &["--cap-add", "cap_chown", "--cap-add", "cap_kill", "--cap-add", "cap_sys_ptrace"]),
        ("cap_drop", &["--cap-drop", "cap_net_raw"]),
        ("cap_drop_all", &["--cap-drop", "ALL"]),
        ("cap_drop_all_add", &["--cap-drop", "ALL", "--cap-add", "cap_setuid"]),
        ("cap_add_drop_all", &["--cap-add", "cap_setuid", "--cap-drop", "ALL"]),
        ("cap_drop_twice", &["--cap-drop", "cap_chown", "--cap-drop", "cap_chown", "--cap-drop", "7"]),
        ("cap_add_again", &["--cap-drop", "cap_chown", "--cap-add", "cap_chown"]),
    ];
    let mut cases = vec![];
    for (name, options) in rows {
        // The reference asks for capabilities that root may not have, and goes on when it gets none of them.
        let all = options.iter().any(|word| word.eq_ignore_ascii_case("all")) && options.contains(&"--cap-add");
        for (suffix, place) in [
            ("", &[][..]),
            ("_user", &["--unshare-user"][..]),
            ("_dev", &["--unshare-user", "--dev", "/dev"][..]),
            ("_uid", &["--unshare-user", "--uid", "0", "--unshare-pid"][..]),
            // Root that becomes another has none only without any of these options.
            ("_other", &["--unshare-user", "--uid", "1000"][..]),
        ] {
            let case = seen(&format!("{name}{suffix}"), &[place, *options].concat()).ok();
            cases.push(if all && place.is_empty() { case.needs(all_of_them) } else { case });
        }
    }
    cases.push(seen("cap_all_drop_one", &["--cap-add", "ALL", "--cap-drop", "cap_chown"]).needs(all_of_them).ok());
    cases.push(
        seen("cap_all_that_there_are", &["--cap-add", "ALL", "--cap-drop", "ALL", "--cap-add", "cap_chown"])
            .root_only()
            .ours_only()
            .claim(|o| {
                let sets = ["inheritable", "permitted", "effective", "ambient"];
                sets.iter().try_for_each(|set| o.expect_line(&format!("{set}: chown")))
            }),
    );
    cases.push(seen("cap_all_drop_one_user", &["--unshare-user", "--cap-add", "ALL", "--cap-drop", "cap_chown"]).ok());
    for word in ["net_raw", "cap_nothing", "", "64", "99", "-1", "all_", "cap_net_rawx", "+1", " 1"] {
        let name = format!("cap_unknown_{}", word.replace('+', "plus_").replace(' ', "blank_").replace('-', "minus_"));
        cases.push(seen(&name, &["--cap-add", word]));
        cases.push(seen(&format!("{name}_drop"), &["--cap-drop", word]));
    }
    // What follows a name or a number is ignored by the reference.
    for (name, word) in [("number", "1x"), ("list", "cap_net_raw,cap_chown"), ("flags", "cap_chown+ep"), ("blank", "12 ")] {
        cases.push(
            seen(&format!("cap_with_rest_of_{name}"), &["--cap-add", word])
                .ours_only()
                .fails(&format!("bwrap: unknown cap: {word}")),
        );
    }
    cases.push(seen("cap_hexadecimal", &["--cap-add", "0x3"]));
    cases.push(seen("cap_octal", &["--cap-add", "010"]));
    // What is inherited by programs that COMMAND executes.
    let status = ["sh", "-c", "grep -E '^(Cap|NoNew)' /proc/self/status"];
    cases.push(Case::new("cap_inherited").on_host().options(["--unshare-user", "--cap-add", "cap_net_raw"]).run(status).ok());
    cases.push(
        Case::new("cap_inherited_user")
            .on_host()
            .options(["--unshare-user", "--uid", "1000", "--cap-add", "cap_net_raw"])
            .run(status)
            .ok(),
    );
    // PID 1 gives its capabilities up while COMMAND starts already: look until it has.
    let look = "n=0; until grep -q 'CapEff:.0*$' /proc/1/status || [ $n = 50 ]; do n=$((n+1)); sleep 0.1; done; \
        grep -E '^(Cap|NoNew|Seccomp)' /proc/1/status";
    let first = ["sh", "-c", look];
    for (name, options) in [
        ("cap_first", &["--unshare-pid"][..]),
        ("cap_first_all", &["--unshare-pid", "--cap-add", "ALL"][..]),
        ("cap_first_user", &["--unshare-user", "--unshare-pid", "--cap-add", "ALL"][..]),
        ("cap_first_dropped", &["--unshare-pid", "--cap-drop", "ALL"][..]),
    ] {
        cases.push(Case::new(name).on_host().options(options).options(["--proc", "/proc"]).run(first).ok());
    }
    cases
}

/// Whether root has every capability that there is; a user has them all in a namespace of its own.
fn all_of_them() -> Result<()> {
    let set = caps::read(None, caps::CapSet::Permitted).map_err(|e| e.to_string())?;
    let known = caps::runtime::thread_all_supported();
    if set.len() == known.len() || set.is_empty() { Ok(()) } else { Err("root lacks some capabilities here".to_owned()) }
}

fn groups() -> Vec<Case> {
    let with = |name: &str, options: &[&str]| seen(name, options).root_only().tweak(Tweak::Groups(vec![4, 24, 54321])).ok();
    vec![
        with("groups", &[]),
        with("groups_user", &["--unshare-user"]),
        with("groups_uid", &["--unshare-user", "--uid", "1", "--gid", "24"]),
        with("groups_dev", &["--unshare-user", "--dev", "/dev"]),
    ]
}
