//! `--uid-map` and `--gid-map`.

use caps::{CapSet, Capability};

use super::fails;
use crate::harness::{Case, Fd, Outcome, Result};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = ranges();
    cases.extend(owners());
    cases.extend(own_ids());
    cases.extend(refused());
    cases.into_iter().map(Case::ours_only).collect()
}

/// Two ranges of users, one of them the caller alone, and one of groups.
const RANGES: [&str; 13] =
    ["--unshare-user", "--uid-map", "0", "100000", "1000", "--uid-map", "5000", "0", "1", "--gid-map", "0", "200000", "1000"];

/// What they look like from inside, without a nested namespace and with one.
const OUTER: [&str; 4] = ["uid_map: 0 100000 1000 5000 0 1", "gid_map: 0 200000 1000", "setgroups: allow", "groups: []"];
const NESTED: [&str; 4] = ["uid_map: 0 0 1000 5000 5000 1", "gid_map: 0 0 1000", "setgroups: allow", "groups: []"];

fn may_map() -> Result<()> {
    let has = |cap| caps::has_cap(None, CapSet::Effective, cap).unwrap_or(false);
    let all = [Capability::CAP_SETUID, Capability::CAP_SETGID, Capability::CAP_SETFCAP].into_iter().all(has);
    if all { Ok(()) } else { Err("root may not map ids here".to_owned()) }
}

fn mapped(name: &str, options: &[&str]) -> Case {
    Case::new(name).root_only().needs(may_map).on_host().options(options)
}

fn shows(case: Case, lines: &'static [&'static str]) -> Case {
    let case = case.run(["{probe}", "--probe", "{namespaces}", "ids", "maps"]).ok();
    case.claim(move |o: &Outcome| lines.iter().try_for_each(|line| o.expect_line(line)))
}

fn ranges() -> Vec<Case> {
    let mut cases = vec![];
    let all = ["--unshare-all", "--die-with-parent", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/srv", "--cap-drop", "ALL"];
    for (suffix, options) in [("plain", &[][..]), ("dev", &["--dev", "/dev"]), ("all", &all)] {
        let case = |name: &str, more: &[&str], lines: [&'static str; 2], maps: &'static [&'static str]| {
            let case = shows(mapped(&format!("{name}_{suffix}"), &[&RANGES[..], options, more].concat()), maps);
            case.claim(move |o| lines.iter().try_for_each(|line| o.expect_line(line)))
        };
        let five = ["uid: 5 5 5", "gid: 7 7 7"];
        // The caller's own id is mapped, and so COMMAND's is that; its group is not.
        cases.push(case("own", &[], ["uid: 5000 5000 5000", "gid: 0 0 0"], &OUTER));
        cases.push(case("other", &["--uid", "5", "--gid", "7"], five, &OUTER));
        cases.push(case("disabled", &["--uid", "5", "--gid", "7", "--disable-userns"], five, &NESTED));
    }
    // Where nobody is root inside, devpts still needs one.
    let no_root = ["--unshare-user", "--uid-map", "5", "100000", "3", "--gid-map", "7", "200000", "3"];
    let expected = &["uid: 5 5 5", "gid: 7 7 7", "uid_map: 5 100000 3", "gid_map: 7 200000 3"];
    cases.push(shows(mapped("no_root", &no_root), expected));
    let expected = &["uid: 5 5 5", "gid: 7 7 7", "uid_map: 5 0 3", "gid_map: 7 0 3"];
    cases.push(shows(mapped("no_root_with_dev", &[&no_root[..], &["--dev", "/dev"]].concat()), expected));
    // One kind of map leaves the other as it is without.
    let users = ["--unshare-user", "--uid-map", "0", "100000", "10", "--gid", "3"];
    cases.push(shows(mapped("users_only", &users), &["uid: 0 0 0", "gid: 3 3 3", "uid_map: 0 100000 10", "gid_map: 3 0 1"]));
    // The monitor has written the maps before it tells anybody.
    let told = mapped("gate_and_info", &[&RANGES[..], &["--unshare-pid", "--info-fd", "8"]].concat()).fd(8, Fd::Capture);
    cases.push(shows(told, &OUTER));
    cases
}

fn owners() -> Vec<Case> {
    let whose = "exec {bwrap} --ro-bind / / --unshare-user --uid-map 0 100000 1000 --gid-map 0 200000 1000";
    let script = format!(
        "mkdir -m 777 src && touch src/host && chown 100003:200004 src/host &&
        ({whose} --bind src /mnt sh -c 'stat -c %u:%g /mnt/host /etc/passwd; touch /mnt/made; chown 5:6 /mnt/made') &&
        stat -c %u:%g src/made && rm src/made src/host"
    );
    vec![
        Case::new("owners").root_only().needs(may_map).script(&script).ok().stdout("3:4\n65534:65534\n100005:200006\n"),
        // Root of the namespace can become anybody in it, as package managers do.
        mapped("setgroups", &["--unshare-user", "--uid-map", "0", "100000", "1000", "--gid-map", "0", "200000", "1000"])
            .run(["setpriv", "--reuid=33", "--regid=34", "--groups=35", "id"])
            .ok()
            .claim(|o| o.expect(o.stdout.starts_with("uid=33") && o.stdout.contains("35"), "not that user")),
    ]
}

/// One line for the own id is what `--uid` and `--gid` say.
fn own_ids() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| {
        let case = Case::new(name).on_host().options(["--unshare-user"]).options(options);
        case.run(["{probe}", "--probe", "{namespaces}", "ids", "maps"]).ok()
    };
    let seven = |o: &Outcome| o.expect_line("uid: 7 7 7");
    vec![
        case("own_id", &["--uid-map", "7", "{uid}", "1"]).claim(seven),
        case("own_ids", &["--uid-map", "7", "{uid}", "1", "--gid-map", "8", "{gid}", "1"])
            .claim(seven)
            .claim(|o| o.expect_line("gid: 8 8 8"))
            .claim(|o| o.expect_line("setgroups: deny")),
        // Nobody is left out of what the caller's groups may read by a map of the caller's own ids alone.
        Case::new("own_ids_keep_groups")
            .root_only()
            .ours_only()
            .script(
                "setpriv --reuid=54321 --regid=54321 --groups=5 {bwrap} --unshare-user --uid-map 0 54321 1 --gid-map 0 54321 1 \
                 --ro-bind / / id -G",
            )
            .tools(&["setpriv"])
            .ok()
            .stdout("0 65534\n"),
        case("own_id_with_dev", &["--uid-map", "7", "{uid}", "1", "--dev", "/dev", "--uid", "7"]).claim(seven),
    ]
}

fn refused() -> Vec<Case> {
    let newuidmap =
        "bwrap: Only root can map IDs other than its own: use newuidmap with --userns-block-fd, see ID RANGES in bwrap(1)";
    let many: Vec<String> =
        (0..341).flat_map(|n| ["--uid-map".to_owned(), n.to_string(), (1000 + n).to_string(), "1".to_owned()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let count = "bwrap: Invalid count of ids for --uid-map:";
    let user = |name: &str, words: &[&str], line: &str| {
        Case::new(name).on_host().options(["--unshare-user"]).options(words).run(["echo", "hi"]).fails(line)
    };
    vec![
        fails("two_words", &["--uid-map", "0", "1"], "bwrap: --uid-map takes three arguments"),
        fails("no_number", &["--gid-map", "0", "x", "1"], "bwrap: Invalid id: x"),
        fails("none", &["--uid-map", "0", "1", "0"], &format!("{count} 0")),
        fails("beyond_the_last", &["--uid-map", "4294967290", "1", "6"], &format!("{count} 6")),
        fails("beyond_the_last_outside", &["--uid-map", "0", "2", "4294967294"], &format!("{count} 4294967294")),
        user("of_others", &["--uid-map", "0", "100000", "10"], newuidmap).user_only(),
        user("of_own_and_more", &["--uid-map", "0", "{uid}", "2"], newuidmap).user_only(),
        user("of_two", &["--gid-map", "0", "{gid}", "1", "--gid-map", "1", "100000", "1"], newuidmap).user_only(),
        user(
            "not_the_one",
            &["--uid", "5", "--uid-map", "6", "{uid}", "1"],
            "bwrap: The uid in the sandbox, 5, is in no --uid-map",
        ),
        user(
            "not_in_it",
            &["--gid", "50", "--gid-map", "0", "100000", "50"],
            "bwrap: The gid in the sandbox, 50, is in no --gid-map",
        )
        .root_only(),
        user(
            "twice",
            &["--uid-map", "0", "100000", "10", "--uid-map", "20", "100009", "10"],
            "bwrap: An ID can be in one --uid-map only",
        )
        .root_only(),
        user("too_many_lines", &many, "bwrap: Too many lines of --uid-map: the kernel accepts 340, in less than 4096 bytes")
            .root_only(),
        Case::new("no_namespace")
            .root_only()
            .on_host()
            .options(["--uid-map", "0", "0", "1"])
            .run(["echo", "hi"])
            .fails("bwrap: --uid-map and --gid-map require --unshare-user"),
        user(
            "maps_of_others",
            &["--uid-map", "0", "0", "1", "--userns-block-fd", "9", "--info-fd", "8"],
            "bwrap: --uid-map and --gid-map are not compatible with --userns-block-fd and --userns2",
        )
        .fd(8, Fd::Capture)
        .fd(9, Fd::Held),
    ]
}
