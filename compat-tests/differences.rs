//! The intended differences from the reference, each with its reason.
//!
//! A difference that is not in this table fails its trial, and so does a row whose difference is gone.

use crate::harness::{Difference, Field, Identity};

/// The reference makes the files before it looks at the fd; ours reads the fd before it makes anything.
const NOTHING_LEFT: &str = "a failed set-up leaves no empty file behind";

/// After a mount on `/..` the reference goes on working below the mount that it has covered.
const DOTS: &str = "a mount on /.. is one on /, whatever comes later goes there";

/// The reference prints `(null)` and its own fds.
const CALLERS_WORDS: &str = "the error names the destination and the layers as the caller did";

/// The reference adds the errno of whatever failed last.
const LEFT_OVER_ERRNO: &str = "no errno is behind this error";

/// The reference looks at $PWD when it has covered /tmp, and at a relative one from its own directory.
const PWD_OF_TMP: &str = "$PWD is looked at as the caller meant it";

/// The reference takes what it cannot read for the end of what it waits for.
const FAIL_CLOSED: &str = "an fd that is not there, or that cannot be read, is an error and not a yes";

/// The reference's monitor complains about the silence of the process that has just complained.
const ONE_LINE: &str = "one failure is one line";

/// The reference says ENOENT, or another text with -try.
const TOO_LONG: &str = "a source that is too long is said to be too long";

/// Whoever is in COMMAND could join them.
const NAMESPACE_FDS: &str = "the fds of namespaces are no business of COMMAND's; the reference leaves them open";

/// Joining a namespace fills the set again.
const BOUNDING: &str = "the bounding set is limited in the last user namespace too, not only in the first";

/// Files cannot be made where nobody is anybody.
const NO_MAPS: &str = "a namespace without maps is one to run in, as nobody; the reference cannot make its directories there";

/// The kernel's signal comes with the thread's end.
const THREADS: &str =
    "--die-with-parent is about the process that started bwrap, which lives on when the thread that did has ended";

/// The kernel's length field has 16 bits, and the reference cuts what does not fit.
const PROGRAM_TOO_LONG: &str = "a program that the kernel's length field cannot express is an error of its own, and never cut";

/// The reference reads them as signed.
const LARGE_ID: &str = "ids have 32 bits; the reference takes 31 of them";

/// It holds one capability that allows nothing, so that COMMAND has less.
const GUARDED: &str = "PID 1 cannot be looked into by COMMAND; the reference's shows its environment, its fds and its executable";

/// The host's root may write its files without any capability.
const SETTINGS: &str = "/proc/sys is read-only for the host's root without CAP_SYS_ADMIN over the mounts; the reference \
                        leaves core_pattern to it";

/// The reference is ended by SIGXFSZ, unless it is PID 1.
const TOO_LARGE: &str = "a file that may not become that large is an error with a line, not a silent end by a signal";

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
    differs("sources::namespaces", Field::Exit, "a magic link is a source like any other"),
    differs("sources::namespaces", Field::Stderr, "a magic link is a source like any other"),
    differs("mounts::remount_ro_not_a_mount", Field::Stderr, "the reference names its system call and a path of its own"),
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
    differs("diagnostics::remount_not_a_mount", Field::Stderr, "the reference names its system call and a path of its own"),
    differs("diagnostics::overlay_source_is_a_file", Field::Stderr, CALLERS_WORDS),
    differs("cli::cap_add_trailing_text", Field::Exit, "a number ends where its word ends"),
    differs("cli::cap_add_trailing_text", Field::Stderr, "a number ends where its word ends"),
    differs("cli::cap_drop_trailing_text", Field::Exit, "a number ends where its word ends"),
    differs("cli::cap_drop_trailing_text", Field::Stderr, "a number ends where its word ends"),
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
