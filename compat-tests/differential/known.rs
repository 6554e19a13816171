//! The differences that are intended, as rules about a plan and what came of it. Those of whole cases are in `differences.rs`.

use super::plan::Plan;
use crate::harness::{Case, Exit, Field, Identity, Outcome};

/// Takes out of both sides' texts what may differ without meaning anything, as the cases about the same options do.
pub(super) fn blurs(plan: &Plan, case: Case) -> Case {
    let mut case = case;
    if plan.has("--bind-data") || plan.has("--ro-bind-data") {
        case = case.blur(Field::Stdout, crate::cases::without_data_names);
    }
    if plan.has("--overlay") || plan.has("--tmp-overlay") || plan.has("--ro-overlay") {
        case = case.blur(Field::Stdout, crate::cases::without_layers).blur(Field::Tree, crate::cases::without_whiteouts);
    }
    if plan.has("--level-prefix") {
        case = case.blur(Field::Stderr, without_hints);
    }
    case
}

/// What is said without the second lines that explain it, which the reference does not have.
fn without_hints(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with("<6>bwrap: hint: ")).collect()
}

/// A rule: the reason, and whether it explains that a field differs.
type Rule = (&'static str, fn(&Plan, Field, &Outcome, &Outcome) -> bool);

const RULES: [Rule; 18] = [
    ("the kernel lists mounts on one path in the order in which they were made, not in which they lie", made_in_order),
    ("/proc/sys is read-only for the host's root without CAP_SYS_ADMIN over the mounts", settings),
    ("the reference crashes where --args parts --overlay-src and its overlay", crash),
    ("a mount whose source has no name any more can be made read-only", unlinked),
    ("the error names the destination and the layers as the caller did", overlay_words),
    ("sources are gathered before anything is made, and so is their error", gathered_first),
    ("a failed set-up has made nothing but what came before the failure", left_behind),
    ("the reference names its system call and a path of its own", not_a_mount),
    ("what cannot be mounted on is named, whatever was to be mounted", mounted_on),
    ("an fd that is used up cannot be held or waited for any more", used_up),
    ("an id that is asked for is taken or an error, also the caller's own in a namespace where it is another", own_id),
    ("of two ids that cannot be taken the group is tried first, for afterwards it might not be allowed", group_first),
    ("COMMAND does not run before its locks are held, or when they cannot be", no_lock),
    ("locks are taken with the rights of the set-up, before they are given up", locked_early),
    ("an fd that another option has used up is no source any more", used_source),
    ("one file system may be mounted twice at one place", mounted_twice),
    ("a root that may not be entered is said to be one, before COMMAND is looked for", shut_root),
    ("root that asks for more than it has gets what there is, in all sets", more_than_there_is),
];

/// Why this field differs, if that is intended.
pub(super) fn reason(plan: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> Option<&'static str> {
    RULES.iter().find(|(_, explains)| explains(plan, field, reference, ours)).map(|(reason, _)| *reason)
}

/// The reference prints `(null)` and its own fds; the errno is the same.
fn overlay_words(_: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let cut = |text: &str, start: &str| {
        let rest = text.split_once(start)?.1;
        Some(rest.rsplit_once(": ")?.1.to_owned())
    };
    let start = "bwrap: Can't make overlay mount on ";
    let theirs = cut(&reference.stderr, &format!("{start}(null) with options "));
    field == Field::Stderr && theirs.is_some() && theirs == cut(&without_hints(&ours.stderr), start)
}

/// The errors of what comes from the host.
const OF_SOURCES: [&str; 5] = [
    "Can't make overlay mount on ",
    "Can't find source path ",
    "Can't bind mount ",
    "Can't stat fd ",
    "Can't write data to file ",
];

/// The errors of destinations.
const OF_DESTINATIONS: [&str; 10] = [
    "Can't mkdir ",
    "Can't create ",
    "Can't make symlink ",
    "Can't mount on symlink ",
    "Can't mount on ",
    "Destination is not ",
    "Can't get type of ",
    "Can't open ",
    "Can't chmod ",
    "Can't remount ",
];

/// What is said on stderr after any warnings.
fn last_error(outcome: &Outcome) -> Option<&str> {
    let line = outcome.stderr.lines().rfind(|line| !line.starts_with("<6>bwrap: hint: "))?;
    (outcome.exit == Exit::Code(1)).then(|| line.split_once("bwrap: ").map(|(_, error)| error))?
}

/// Both set-ups failed: ours in gathering, and the reference at something that it works off before.
fn gathered_first(_: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let (Some(theirs), Some(own)) = (last_error(reference), last_error(ours)) else { return false };
    let is = |starts: &[&str], text: &str| starts.iter().any(|start| text.starts_with(start));
    // Not the same thing with another errno.
    let named = |text: &str| text.rsplit_once(": ").map_or_else(|| text.to_owned(), |(named, _)| named.to_owned());
    let another = (is(&OF_DESTINATIONS, theirs) || is(&OF_SOURCES, theirs)) && named(theirs) != named(own);
    field == Field::Stderr && another && is(&OF_SOURCES, own)
}

/// Both set-ups failed: ours in gathering, and then it has made nothing but the kernel's own directory of an overlay, or later, and then
/// the reference may have emptied or made a file for content that it cannot read.
fn left_behind(_: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let (Some(_), Some(own_error)) = (last_error(reference), last_error(ours)) else { return false };
    let gathering = OF_SOURCES.iter().any(|start| own_error.starts_with(start));
    let explained = |path: &str| match (reference.tree.get(path), ours.tree.get(path)) {
        (theirs, own) if theirs == own => true,
        (None, _) => path == "work/work",
        (Some(theirs), own) => gathering || own.is_none() || theirs.ends_with(" \"\""),
    };
    field == Field::Tree && reference.tree.keys().chain(ours.tree.keys()).all(|path| explained(path))
}

/// What was printed, without what [`blurs`] takes out, and without these lines.
fn others(outcome: &Outcome, left_out: impl Fn(&str) -> bool) -> Vec<String> {
    let text = crate::cases::without_data_names(&crate::cases::without_layers(&outcome.stdout));
    text.lines().filter(|line| !left_out(line)).map(str::to_owned).collect()
}

/// The same lines, and only those about mounts stand elsewhere.
fn made_in_order(_: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let is_mount = |line: &str| line.starts_with('/') && line.contains(" private ");
    let mounts = |outcome| {
        let mut lines = others(outcome, |line| !is_mount(line));
        lines.sort();
        lines
    };
    field == Field::Stdout && others(reference, is_mount) == others(ours, is_mount) && mounts(reference) == mounts(ours)
}

/// Mounts that cover parts of procfs, and nothing else.
fn settings(plan: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let flags = [" nodev,nosuid,relatime,ro ", " nodev,noexec,nosuid,relatime,ro "];
    // The reference looks whether the directory could be written to, which the host's root without capabilities could not.
    let parts = ["sys", "irq", "bus", "acpi", "asound", "driver", "dynamic_debug", "fs", "scsi"];
    let is_part = |line: &str| parts.iter().any(|part| line.ends_with(&format!(" proc proc /{part} rw")));
    let cover = |line: &str| is_part(line) && flags.iter().any(|flags| line.contains(flags));
    let root = ours.identity == Identity::Root && plan.has("--proc");
    root && field == Field::Stdout && others(reference, cover) == others(ours, cover)
}

/// A null pointer.
fn crash(plan: &Plan, _: Field, reference: &Outcome, _: &Outcome) -> bool {
    reference.exit == Exit::Signal(libc::SIGSEGV) && plan.has("--args") && plan.has("--overlay-src")
}

/// A data file's name ends in ` (deleted)`, and the reference looks for that.
fn unlinked(plan: &Plan, _: Field, reference: &Outcome, _: &Outcome) -> bool {
    let data = plan.has("--bind-data") || plan.has("--ro-bind-data");
    let lost = last_error(reference).is_some_and(|error| error.contains(" (deleted)\""));
    data && plan.has("--remount-ro") && lost
}

/// The same destination and the same errno.
fn mounted_on(_: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let (Some(theirs), Some(own)) = (last_error(reference), last_error(ours)) else { return false };
    let Some((dest, errno)) = own.strip_prefix("Can't mount on ").and_then(|rest| rest.rsplit_once(": ")) else { return false };
    field == Field::Stderr && theirs.ends_with(&format!(" on {dest}: Unable to mount source on destination: {errno}"))
}

/// The reference does not look whether it still has it.
fn used_up(plan: &Plan, _: Field, _: &Outcome, ours: &Outcome) -> bool {
    let lost =
        |name: &str| last_error(ours).is_some_and(|error| error.contains(name) && error.ends_with(": Bad file descriptor"));
    plan.has("--sync-fd") && lost("sync-fd") || plan.has("--block-fd") && lost("block-fd")
}

/// The reference compares what is asked for with the id outside, and then leaves the one inside as it is.
fn own_id(plan: &Plan, _: Field, _: &Outcome, ours: &Outcome) -> bool {
    let own = |kind: &str| ours.expand(&format!("unable to switch to {kind} {{{kind}}}: Invalid argument"));
    plan.joins && last_error(ours).is_some_and(|error| error == own("uid") || error == own("gid"))
}

/// The reference takes the user's id first.
fn group_first(plan: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let starts =
        |outcome, kind: &str| last_error(outcome).is_some_and(|error| error.starts_with(&format!("unable to switch to {kind} ")));
    field == Field::Stderr && plan.has("--uid") && plan.has("--gid") && starts(reference, "uid") && starts(ours, "gid")
}

/// The reference's PID 1 takes locks while COMMAND runs already, so what comes of it is a matter of luck.
fn no_lock(plan: &Plan, _: Field, _: &Outcome, ours: &Outcome) -> bool {
    let lost = ["Unable to open lock file ", "Unable to lock file "];
    plan.has("--lock-file") && last_error(ours).is_some_and(|error| lost.iter().any(|start| error.starts_with(start)))
}

/// The reference's PID 1 has no capabilities any more when it opens the file.
fn locked_early(plan: &Plan, _: Field, reference: &Outcome, _: &Outcome) -> bool {
    let refused = |line: &str| line.contains("bwrap: Unable to open lock file ") && line.ends_with(": Permission denied");
    plan.has("--lock-file") && reference.stderr.lines().any(refused)
}

/// The reference has closed it, and then whatever it has opened under the same number is the source, or nothing.
fn used_source(plan: &Plan, _: Field, _: &Outcome, ours: &Outcome) -> bool {
    let number = last_error(ours).and_then(|error| error.strip_prefix("Can't stat fd ")?.strip_suffix(": Bad file descriptor"));
    number.is_some_and(|number| plan.options().flatten().filter(|word| *word == number).count() > 1)
}

/// mount(2) refuses what move_mount(2) does.
fn mounted_twice(plan: &Plan, _: Field, reference: &Outcome, _: &Outcome) -> bool {
    let times = |name: &str| plan.options().filter(|words| words.first().is_some_and(|word| word == name)).count();
    let refused = |name: &str| {
        let start = format!("Can't mount {name} on ");
        last_error(reference).is_some_and(|error| error.starts_with(&start) && error.ends_with(": Device or resource busy"))
    };
    ["proc", "mqueue"].into_iter().any(|name| refused(name) && times(&format!("--{name}")) > 1)
}

/// Nothing below such a root can be executed.
fn shut_root(_: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let not_found =
        last_error(reference).is_some_and(|error| error.starts_with("execvp ") && error.ends_with(": Permission denied"));
    field == Field::Stderr && not_found && last_error(ours) == Some("Can't chdir to /: Permission denied")
}

/// The reference then changes no set at all, not even for `--cap-drop`: none of its set is inheritable.
fn more_than_there_is(plan: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let sets = ["inheritable: ", "permitted: ", "effective: ", "ambient: "];
    let set = |line: &str| sets.iter().any(|set| line.starts_with(set));
    let root = ours.identity == Identity::Root && !ours.stdout.contains("\nuser: own\n");
    let unchanged = reference.stdout.contains("\ninheritable: \n");
    field == Field::Stdout && root && unchanged && plan.has("--cap-add") && others(reference, set) == others(ours, set)
}

/// `--remount-ro` of what is no mount.
fn not_a_mount(plan: &Plan, field: Field, reference: &Outcome, ours: &Outcome) -> bool {
    let (Some(theirs), Some(own)) = (last_error(reference), last_error(ours)) else { return false };
    field == Field::Stderr && plan.has("--remount-ro") && theirs.contains("remount") && own.contains("remount")
}
