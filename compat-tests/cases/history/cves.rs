//! What went wrong in the reference's past, and the cases that show that it does not here: the table that SECURITY.md prints.
//!
//! A trial holds every name to a case that exists, and SECURITY.md to this table.

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};

use crate::harness::select::fits_whole;
use crate::harness::{Case, Result, page};

/// One row: what happened, and the cases about it. A `*` in a name stands for anything.
pub(crate) struct Row {
    /// The identifier, or the regression in a few words.
    pub(crate) what: &'static str,
    /// Names of cases, as in `cargo test --test compat 'NAME'`.
    pub(crate) cases: &'static [&'static str],
}

const fn row(what: &'static str, cases: &'static [&'static str]) -> Row {
    Row { what, cases }
}

/// The table.
pub(crate) const ROWS: &[Row] = &[
    row(
        "CVE-2016-8659",
        &["vulnerabilities_process::cve_2016_8659_*", "escapes_process::monitor*", "escapes_process::first_process*"],
    ),
    row("CVE-2017-5226", &["vulnerabilities_process::cve_2017_5226*", "escapes_process::terminal_new_session*"]),
    row("CVE-2019-12439", &["vulnerabilities::cve_2019_12439_*"]),
    row("CVE-2020-5291", &["vulnerabilities_process::cve_2020_5291*", "escapes_process::regained*"]),
    row("CVE-2024-32462", &["vulnerabilities_process::cve_2024_32462*"]),
    row("CVE-2024-42472", &["vulnerabilities::cve_2024_42472_*", "escapes_race::source_of_an_fd"]),
    row("CVE-2026-41163", &["vulnerabilities_process::cve_2026_41163*"]),
    row("CVE-2026-87766", &["vulnerabilities::cve_2026_87766_*", "escapes_planted::*", "escapes_race::destination_*"]),
    row("empty argv", &["vulnerabilities_process::no_arguments_at_all"]),
    row("caller ignores SIGCHLD", &["vulnerabilities_process::ignored_child_signal*", "processes::child_ignored*"]),
    row("EINTR during set-up", &["vulnerabilities_process::interrupted*"]),
    row("fd of --args leaks", &["vulnerabilities_process::args_are_closed*"]),
    row(
        "read-only bind leaves a submount writable",
        &["vulnerabilities::read_only_below_as_well", "mounts::submounts_with_flags"],
    ),
    row(
        "mount table changes during set-up",
        &["vulnerabilities::mount_table_changes_meanwhile", "reviewed::host_mounts_on_its_root", "escapes_race::host_*"],
    ),
    row("exit status", &["status::exit_0_*", "status::exit_7_*", "status::exit_killed_*"]),
    row("ids from 2^31 on", &["vulnerabilities_process::uid_2147483648", "vulnerabilities_process::gid_4294967294"]),
    row("--userns 0", &["vulnerabilities_process::userns_0"]),
    row("existing destination on a read-only parent", &["vulnerabilities::existing_destination_on_read_only"]),
    row("mode of mount points under umask 0", &["vulnerabilities::mount_points_under_umask_0"]),
    row(
        "processes left behind by a failure, hidepid",
        &["vulnerabilities_process::hidden_processes", "vulnerabilities_process::left_after_failed_*"],
    ),
    row("death signal when the parent is gone already", &["escapes_process::parent_is_gone*", "processes::dies_while_blocked_*"]),
    row("parents that are 0711", &["vulnerabilities::parents_with_search_only*"]),
    row("openat2 or mount_setattr refused", &["vulnerabilities::without_*", "refused::openat2*", "refused::mount_setattr*"]),
    row(
        "directory left open and a link to /proc/self/fd/N",
        &["vulnerabilities::cve_2026_87766_*", "escapes_process::known_open_directory"],
    ),
];

/// The trial that holds the table to the cases, and the page to the table.
pub(crate) fn trial(cases: &Arc<[Arc<Case>]>) -> Trial {
    let cases = Arc::clone(cases);
    let name = "coverage::every_vulnerability_has_a_case";
    Trial::test(name, move || troubles(&cases.iter().map(AsRef::as_ref)).map_err(Failed::from))
}

/// What is wrong with the table: names without a case, and rows that SECURITY.md does not have as they are here.
fn troubles<'a>(cases: &(impl Iterator<Item = &'a Case> + Clone)) -> Result<()> {
    let exists = |name: &str| cases.clone().any(|case| fits_whole(name, &case.name));
    let names = ROWS.iter().flat_map(|row| row.cases.iter().map(move |name| (row.what, *name)));
    let lost = names.filter(|(_, name)| !exists(name)).map(|(what, name)| format!("{what}: no case {name}"));
    let mut troubles = lost.collect::<Vec<_>>();
    if let Some(text) = page::security() {
        troubles.extend(
            ROWS.iter()
                .filter(|row| !text.lines().any(|line| mentions(line, row)))
                .map(|row| format!("SECURITY.md has no line with {:?}, what it was, and {}", row.what, row.cases.join(", "))),
        );
    }
    if troubles.is_empty() { Ok(()) } else { Err(troubles.join("\n")) }
}

/// Whether one line of the page has all of a row, and says in between what it was.
fn mentions(line: &str, row: &Row) -> bool {
    let explained = line.split('|').nth(2).is_some_and(|words| words.split_whitespace().count() > 3 && !words.contains("::"));
    line.contains(row.what) && explained && row.cases.iter().all(|name| line.contains(&format!("`{name}`")))
}
