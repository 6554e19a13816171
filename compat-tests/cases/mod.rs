//! The cases, a file for each area. Cases in `escapes/` are named after folder and file
//! (`escapes_race::…`; those of `escapes/inside.rs` are `escapes::…`), cases in `history/` after the
//! file alone.
//!
//! A case says what is run, and claims what must be true of the outcome **on both sides**; that the two outcomes are the
//! same in everything else is checked by itself.
//!
//! ```text
//! Case::new("dir_mode")                             // the trials are fs::dir_mode::root and fs::dir_mode::user
//!     .dir("src")                                   // in the scratch directory, which is {dir} in all words
//!     .options(["--bind", "{dir}/src", "/a", "--perms", "0700", "--dir", "/a/b"])
//!     .probe(&["ids", "mounts"])                    // the command: what the sandbox looks like from inside
//!     .ok()                                         // status 0, nothing on stderr
//!     .claim(|o| o.expect_tree("src/b", Some("directory 700 own")))
//! ```
//!
//! First look at what the reference does, then write the case from that. A case has no sandbox but what its options make;
//! [`Case::on_host`](crate::harness::Case::on_host) starts it with the host's root, read-only. The environment is PATH,
//! HOME={dir}/home and LANG=C, the cwd is `{dir}`, and only fds 0, 1 and 2 are open. Nothing may depend on time.

mod apparmor;
mod arguments;
mod beyond;
mod built_in;
mod cgroup;
mod check_host;
mod cli;
mod common;
mod diagnostics;
mod dry_run;
mod escapes;
mod explain;
mod filesystem;
mod filters;
mod follow;
mod hints;
mod history;
mod id_maps;
mod identity;
mod learn;
mod learn_again;
mod libraries;
mod mask_globs;
mod masks;
mod mount_flags;
mod mounts;
mod namespaces;
mod netns;
mod overlays;
mod parents;
mod places;
mod proc_pid;
mod processes;
mod profile;
mod promises;
mod refused;
mod reports;
mod resources;
mod rules;
mod same;
mod seccomp;
mod seccomp_model;
mod signals;
mod sockets;
mod sources;
mod status;
mod syscalls;
mod tar;
mod tcp;
mod terminals;
mod timeout;
mod views;

use common::{USAGE, fails, has_mount_setattr, plain, usage};
pub(crate) use namespaces::joined_user_and_pid;
pub(crate) use overlays::{without_layers, without_whiteouts};
pub(crate) use views::{VIEWS, without_data_names};

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::harness::Case;

/// The trials about the cases, the vulnerabilities and the promises of SECURITY.md.
pub(crate) fn trials(cases: &Arc<[Arc<Case>]>) -> Vec<Trial> {
    vec![history::cves::trial(cases), promises::trial()]
}

/// All cases, each under the name of its file.
pub(crate) fn all() -> Vec<Case> {
    let files = [
        ("apparmor", apparmor::cases()),
        ("arguments", arguments::cases()),
        ("beyond", beyond::cases()),
        ("built_in", built_in::cases()),
        ("cgroup", cgroup::cases()),
        ("check_host", check_host::cases()),
        ("cli", cli::cases()),
        ("diagnostics", diagnostics::cases()),
        ("dry_run", dry_run::cases()),
        ("escapes", escapes::inside::cases()),
        ("escapes_planted", escapes::planted::cases()),
        ("escapes_process", escapes::process::cases()),
        ("escapes_race", escapes::race::cases()),
        ("explain", explain::cases()),
        ("filesystem", filesystem::cases()),
        ("filters", filters::cases()),
        ("follow", follow::cases()),
        ("hints", hints::cases()),
        ("id_maps", id_maps::cases()),
        ("identity", identity::cases()),
        ("libraries", libraries::cases()),
        ("mask_globs", mask_globs::cases()),
        ("masks", masks::cases()),
        ("mount_flags", mount_flags::cases()),
        ("learn", learn::cases()),
        ("learn_again", learn_again::cases()),
        ("mounts", mounts::cases()),
        ("namespaces", namespaces::cases()),
        ("netns", netns::cases()),
        ("overlays", overlays::cases()),
        ("parents", parents::cases()),
        ("places", places::cases()),
        ("processes", processes::cases()),
        ("profile", profile::cases()),
        ("proc_pid", proc_pid::cases()),
        ("promises", promises::cases()),
        ("refused", refused::cases()),
        ("reports", reports::cases()),
        ("resources", resources::cases()),
        ("reviewed", history::reviewed::cases()),
        ("rules", rules::cases()),
        ("same", same::cases()),
        ("seccomp", seccomp::cases()),
        ("signals", signals::cases()),
        ("sockets", sockets::cases()),
        ("sources", sources::cases()),
        ("status", status::cases()),
        ("syscalls", syscalls::cases()),
        ("tar", tar::cases()),
        ("tcp", tcp::cases()),
        ("terminals", terminals::cases()),
        ("timeout", timeout::cases()),
        ("views", views::cases()),
        ("vulnerabilities", history::vulnerabilities::cases()),
        ("vulnerabilities_process", history::vulnerabilities_process::cases()),
    ];
    let named = |(file, cases): (&'static str, Vec<Case>)| {
        cases.into_iter().map(move |mut case| {
            case.name = format!("{file}::{}", case.name);
            case
        })
    };
    files.into_iter().flat_map(named).collect()
}
