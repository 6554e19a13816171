//! The intended differences from the reference, each with its reason.
//!
//! A difference that is not in this table fails its trial, and so does a row whose difference is gone. `DIFFERENCES.md`
//! shows the table to people; `BLESS=1 cargo test --test compat coverage` writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use libtest_mimic::{Failed, Trial};

use crate::harness::{Difference, Field, Identity};

/// The reference creates the files before it looks at the fd; ours reads the fd before it creates anything.
const NOTHING_LEFT: &str = "a failed set-up leaves no empty file behind; the reference creates the file before it reads the fd";

/// After a mount on `/..` the reference continues below the mount that it has covered.
const DOTS: &str =
    "a mount on /.. is a mount on /, and later options apply to it; the reference continues below the mount that it has covered";

/// The reference prints `(null)` and its own fds.
const CALLERS_WORDS: &str =
    "the error names the destination and the layers as the caller did; the reference prints (null) and its own fds";

/// The reference adds the errno of whatever failed last.
const LEFT_OVER_ERRNO: &str = "this error has no errno; the reference adds that of whatever failed last";

/// The reference resolves $PWD after it has covered /tmp, and a relative one from its own directory.
const PWD_OF_TMP: &str = "$PWD is resolved as the caller meant it; the reference resolves it after covering /tmp, or from a \
                          directory of its own";

/// The reference takes what it cannot read for the end of what it waits for.
const FAIL_CLOSED: &str = "an fd that is not open or cannot be read is an error; the reference continues as if it had been read";

/// The reference's monitor adds a line about the process that has just reported the failure.
const ONE_LINE: &str = "a failure is reported once; the reference's monitor adds a second line";

/// The reference says ENOENT, or another text with -try.
const TOO_LONG: &str =
    "a source path that is too long is reported as too long; the reference reports ENOENT, or another text with -try";

/// Whoever is in COMMAND could join them.
const NAMESPACE_FDS: &str = "COMMAND does not inherit the fds of namespaces; the reference leaves them open";

/// Joining a namespace fills the set again.
const BOUNDING: &str = "the bounding set is limited in the last user namespace too; the reference limits it in the first only";

/// Files cannot be created where no ID is mapped.
const NO_MAPS: &str =
    "COMMAND can run in a user namespace without maps, as nobody; the reference cannot create its directories there";

/// The kernel's signal comes with the thread's end.
const THREADS: &str = "--die-with-parent refers to the process that started bwrap; in the reference it refers to the thread";

/// The kernel's length field has 16 bits, and the reference cuts what does not fit.
const PROGRAM_TOO_LONG: &str =
    "a seccomp program whose length does not fit the kernel's length field is an error; the reference truncates the length";

/// Whoever has chosen the name could end the line, and steer the terminal.
const CONTROL_CHARACTERS: &str =
    "control characters of a name are shown as ?, and the diagnostic is one line; the reference prints them";

/// The reference reads them as signed.
const LARGE_ID: &str = "user and group IDs have 32 bits; the reference accepts 31";

/// It holds one capability that allows nothing, so that COMMAND has less.
const GUARDED: &str = "COMMAND cannot inspect PID 1; the reference's PID 1 shows its environment, its fds and its executable";

/// The host's root may write its files without any capability.
const SETTINGS: &str = "/proc/sys is read-only for the host's root without CAP_SYS_ADMIN over the mounts; the reference \
                        leaves files such as core_pattern writable";

/// The reference is ended by SIGXFSZ, unless it is PID 1.
const TOO_LARGE: &str = "a file larger than RLIMIT_FSIZE is an error with a message; a signal ends the reference silently";

/// What is a link only by name.
const MAGIC_LINK: &str = "a magic link, such as those in /proc/PID/ns, is a source like any other; the reference refuses it";

/// The reference's error is about its own doing.
const NOT_A_MOUNT: &str = "the error names the caller's path; the reference names a system call and a path of its own";

/// The reference reads a number and ignores what follows.
const TRAILING: &str = "a capability's number must be the whole word; the reference ignores text after the number";

/// A row for both identities.
const fn differs(case: &'static str, field: Field, reason: &'static str) -> Difference {
    Difference { case, identity: None, field, arises: || true, reason }
}

/// A row of [`SETTINGS`].
const fn covers_settings(case: &'static str, field: Field) -> Difference {
    Difference { identity: Some(Identity::Root), ..differs(case, field, SETTINGS) }
}

/// A row of [`BOUNDING`] for the user, whose set is limited in the first namespace.
const fn bounds_user(case: &'static str) -> Difference {
    Difference { identity: Some(Identity::User), ..differs(case, Field::Stdout, BOUNDING) }
}

/// The same for root, who has to lack a capability for the sets to differ.
const fn bounds_root(case: &'static str) -> Difference {
    Difference { identity: Some(Identity::Root), arises: lacks_a_capability, ..differs(case, Field::Stdout, BOUNDING) }
}

fn lacks_a_capability() -> bool {
    let bounding = caps::read(None, caps::CapSet::Bounding).unwrap_or_default();
    bounding.len() < caps::runtime::thread_all_supported().len()
}

/// The table.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference { identity: Some(Identity::User), ..differs("identity::cap_first", Field::Stdout, GUARDED) },
    Difference { identity: Some(Identity::User), ..differs("identity::cap_first_dropped", Field::Stdout, GUARDED) },
    differs("vulnerabilities_process::cve_2016_8659_first_process", Field::Stdout, GUARDED),
    covers_settings("views::operating_system_build", Field::Stdout),
    covers_settings("views::flatpak", Field::Stdout),
    covers_settings("views::other_ids_inside", Field::Stdout),
    covers_settings("namespaces::disabled_for_good", Field::Stderr),
    differs("filesystem::file_twice", Field::Tree, NOTHING_LEFT),
    differs("filesystem::file_closed", Field::Tree, NOTHING_LEFT),
    differs("filesystem::data_twice", Field::Tree, NOTHING_LEFT),
    differs("filesystem::data_closed", Field::Tree, NOTHING_LEFT),
    differs("filesystem::data_closed_read_only", Field::Tree, NOTHING_LEFT),
    differs("filesystem::data_from_a_directory", Field::Tree, NOTHING_LEFT),
    differs("mounts::bind_on_the_root_by_dots", Field::Exit, DOTS),
    differs("mounts::bind_on_the_root_by_dots", Field::Stdout, DOTS),
    differs("mounts::bind_on_the_root_by_dots", Field::Stderr, DOTS),
    differs("mounts::bind_on_the_root_by_dots", Field::Tree, DOTS),
    differs("resources::file_size", Field::Exit, TOO_LARGE),
    differs("resources::file_size", Field::Stderr, TOO_LARGE),
    differs("sources::namespaces", Field::Exit, MAGIC_LINK),
    differs("sources::namespaces", Field::Stderr, MAGIC_LINK),
    differs("mounts::remount_ro_not_a_mount", Field::Stderr, NOT_A_MOUNT),
    differs("overlays::overlay_src_is_a_file", Field::Stderr, CALLERS_WORDS),
    differs("overlays::overlay_upper_is_work", Field::Stderr, CALLERS_WORDS),
    differs("overlays::overlay_loop", Field::Stderr, CALLERS_WORDS),
    differs("vulnerabilities::cve_2024_42472_covered", Field::Stderr, LEFT_OVER_ERRNO),
    differs("vulnerabilities::cve_2024_42472_covered_read_only", Field::Stderr, LEFT_OVER_ERRNO),
    differs("vulnerabilities::cve_2024_42472_removed_and_replaced", Field::Stderr, LEFT_OVER_ERRNO),
    differs("places::cwd_is_logical_below_tmp", Field::Stdout, PWD_OF_TMP),
    differs("places::cwd_with_a_relative_pwd", Field::Stdout, PWD_OF_TMP),
    differs("diagnostics::pidns_closed", Field::Stderr, ONE_LINE),
    differs("diagnostics::pidns_wrong", Field::Stderr, ONE_LINE),
    differs("diagnostics::block_fd_closed", Field::Exit, FAIL_CLOSED),
    differs("diagnostics::block_fd_closed", Field::Stderr, FAIL_CLOSED),
    differs("diagnostics::block_fd_directory", Field::Exit, FAIL_CLOSED),
    differs("diagnostics::block_fd_directory", Field::Stderr, FAIL_CLOSED),
    differs("diagnostics::block_fd_write_only", Field::Exit, FAIL_CLOSED),
    differs("diagnostics::block_fd_write_only", Field::Stderr, FAIL_CLOSED),
    differs("diagnostics::sync_fd_closed", Field::Exit, FAIL_CLOSED),
    differs("diagnostics::sync_fd_closed", Field::Stderr, FAIL_CLOSED),
    differs("diagnostics::ro_bind_from_deep", Field::Stderr, TOO_LONG),
    differs("diagnostics::ro_bind_try_from_deep", Field::Stderr, TOO_LONG),
    differs("diagnostics::dev_bind_from_deep", Field::Stderr, TOO_LONG),
    differs("diagnostics::bind_from_deep", Field::Stderr, TOO_LONG),
    differs("diagnostics::remount_not_a_mount", Field::Stderr, NOT_A_MOUNT),
    differs("diagnostics::overlay_source_is_a_file", Field::Stderr, CALLERS_WORDS),
    differs("diagnostics::newline_in_path", Field::Stderr, CONTROL_CHARACTERS),
    differs("cli::cap_add_trailing_text", Field::Exit, TRAILING),
    differs("cli::cap_add_trailing_text", Field::Stderr, TRAILING),
    differs("cli::cap_drop_trailing_text", Field::Exit, TRAILING),
    differs("cli::cap_drop_trailing_text", Field::Stderr, TRAILING),
    differs("namespaces::pidns_closed", Field::Stderr, ONE_LINE),
    differs("namespaces::pidns_of_a_file", Field::Stderr, ONE_LINE),
    differs("namespaces::pidns_of_the_host", Field::Stderr, ONE_LINE),
    differs("namespaces::pidns_of_another_kind", Field::Stderr, ONE_LINE),
    differs("namespaces::pidns_in_own_user", Field::Stderr, ONE_LINE),
    Difference { identity: Some(Identity::User), ..differs("namespaces::pidns_alone", Field::Stderr, ONE_LINE) },
    differs("parents::thread_ends", Field::Stdout, THREADS),
    differs("namespaces::joined_fds", Field::Stdout, NAMESPACE_FDS),
    bounds_user("namespaces::userns2"),
    bounds_root("namespaces::userns2"),
    bounds_user("namespaces::userns2_and_all"),
    bounds_root("namespaces::userns2_and_all"),
    bounds_user("namespaces::userns2_dev"),
    bounds_root("namespaces::userns2_dev"),
    bounds_user("namespaces::userns2_status"),
    bounds_root("namespaces::userns2_status"),
    differs("namespaces::maps_by_nobody", Field::Stderr, NO_MAPS),
    differs("status::block_closed", Field::Exit, FAIL_CLOSED),
    differs("status::block_closed", Field::Stdout, FAIL_CLOSED),
    differs("status::block_closed", Field::Stderr, FAIL_CLOSED),
    differs("status::block_write_only", Field::Exit, FAIL_CLOSED),
    differs("status::block_write_only", Field::Stdout, FAIL_CLOSED),
    differs("status::block_write_only", Field::Stderr, FAIL_CLOSED),
    differs("status::sync_closed", Field::Exit, FAIL_CLOSED),
    differs("status::sync_closed", Field::Stdout, FAIL_CLOSED),
    differs("status::sync_closed", Field::Stderr, FAIL_CLOSED),
    differs("status::seccomp_too_long", Field::Stderr, PROGRAM_TOO_LONG),
    differs("status::add_seccomp_too_long", Field::Stderr, PROGRAM_TOO_LONG),
    differs("status::seccomp_wraps", Field::Exit, PROGRAM_TOO_LONG),
    differs("status::seccomp_wraps", Field::Stdout, PROGRAM_TOO_LONG),
    differs("status::seccomp_wraps", Field::Stderr, PROGRAM_TOO_LONG),
    differs("vulnerabilities_process::uid_2147483648", Field::Exit, LARGE_ID),
    differs("vulnerabilities_process::uid_2147483648", Field::Stderr, LARGE_ID),
    differs("vulnerabilities_process::gid_4294967294", Field::Exit, LARGE_ID),
    differs("vulnerabilities_process::gid_4294967294", Field::Stderr, LARGE_ID),
];

/// Holds `DIFFERENCES.md` to the table.
pub(crate) fn trial() -> Trial {
    Trial::test("coverage::differences_page", || {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat-tests/DIFFERENCES.md");
        let page = page();
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, page)?;
            return Ok(());
        }
        match fs::read_to_string(&file) {
            Ok(text) if text != page => Err(Failed::from("DIFFERENCES.md is old: run BLESS=1 cargo test --test compat coverage")),
            _ => Ok(()),
        }
    })
}

/// The table as people read it: one section for each reason, with the cases that show the difference.
fn page() -> String {
    let mut sections: Vec<(&str, BTreeMap<&str, Vec<&str>>)> = vec![];
    for row in DIFFERENCES {
        let at = sections.iter().position(|(reason, _)| *reason == row.reason).unwrap_or_else(|| {
            sections.push((row.reason, BTreeMap::new()));
            sections.len() - 1
        });
        let fields = sections[at].1.entry(row.case).or_default();
        let field = match row.field {
            Field::Exit => "exit status",
            Field::Stdout => "standard output",
            Field::Stderr => "standard error",
            Field::Fd(_) => "documents",
            Field::Tree => "files",
        };
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    let mut page = String::from(
        "# Differences from bubblewrap\n\nEvery case runs with bubblewrap 0.13.1 and with bleb. These are all intended differences, each with its \
         reason and the cases in\nwhich it appears; a difference that is not listed here fails the tests, and so does a row whose difference is \
         gone. Generated\nfrom [differences.rs](differences.rs) by `BLESS=1 cargo test --test compat coverage`; `cargo test --test compat CASE` \
         runs a case.\nThe rules that explain differences of random option lists are in [differential/known.rs](differential/known.rs).\n\n\
         | difference | cases, and what differs there |\n|---|---|\n",
    );
    for (reason, cases) in sections {
        let cases: Vec<_> = cases.iter().map(|(case, fields)| format!("`{case}`: {}", fields.join(", "))).collect();
        _ = writeln!(page, "| {} | {} |", upper(reason), cases.join("<br>"));
    }
    page
}

/// A sentence's beginning.
fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
