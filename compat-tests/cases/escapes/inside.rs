//! The adversary inside: what was not given cannot be reached, and what was given read-only cannot be written.
//!
//! The probe makes all its attempts (see `probe/escape/mod.rs`) in each of several forms of sandbox. The claim is the exact list of those
//! that get through, empty where a promise is made. Where none is made the list says what that means, and shows that the attempts work.

use std::path::Path;

use crate::cases::has_mount_setattr;
use crate::harness::{Case, Outcome, Result, Setup};
use crate::probe::escape::SECRET;
use crate::sys::{self, Word};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [old_root(), read_only(), known()].into_iter().flatten().collect()
}

/// Forms of sandbox: a name, the options, and views that come before the attempts.
const FORMS: [(&str, &[&str], &[&str]); 7] = [
    ("plain", &["--unshare-user", "--cap-drop", "ALL"], &[]),
    ("all", &["--unshare-all", "--cap-drop", "ALL"], &[]),
    ("namespace_of_its_own", &["--unshare-user"], &["escape:inner"]),
    ("namespace_of_its_own_all", &["--unshare-all"], &["escape:inner"]),
    ("capabilities", &["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL"], &[]),
    ("capabilities_all", &["--unshare-all", "--uid", "0", "--gid", "0", "--cap-add", "ALL"], &[]),
    ("capabilities_disabled", &["--unshare-user", "--disable-userns", "--uid", "0", "--gid", "0", "--cap-add", "ALL"], &[]),
];

/// Whether COMMAND has every capability over the mount namespace that it is in.
fn owns_mounts(form: &str) -> bool {
    matches!(form, "capabilities" | "capabilities_all")
}

/// Real root without a user namespace, which has given up its capabilities.
const ROOT_WITHOUT: [&str; 2] = ["--cap-drop", "ALL"];

/// The same with one of them, which it has on the host.
pub(crate) const READS_ALL: [&str; 4] = ["--cap-drop", "ALL", "--cap-add", "CAP_DAC_READ_SEARCH"];

/// A sandbox with a directory to write to, one to read, and a third that is not there.
pub(crate) fn box_of(name: &str) -> Case {
    let options = ["--ro-bind", "{probe}", "/probe", "--bind", "{dir}/inside", "/in", "--ro-bind", "{dir}/kept", "/ro"];
    let case = Case::new(name).dir("inside").dir("kept/sub").file("kept/file", "kept").file("outside/marker", SECRET);
    let case = case.file("given/hidden/marker", SECRET);
    let case = case.setup(|s| {
        define_handle(s, "outside/marker", "outside");
        define_handle(s, "kept/file", "kept");
        Ok(())
    });
    let covered = ["--bind", "{dir}/given", "/covered", "--tmpfs", "/covered/hidden"];
    case.options(options).options(covered).options(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"])
}

/// Whether files have handles where scratch directories are.
pub(crate) fn has_handles() -> Result<()> {
    if handle_of(Path::new("/tmp")).is_empty() { Err("files have no handles here".to_owned()) } else { Ok(()) }
}

/// Lets `{NAME}` stand for a file's handle, as the probe takes it.
pub(crate) fn define_handle(s: &mut Setup, path: &str, name: &str) {
    let handle = handle_of(&s.path(path));
    s.define(name, handle);
}

/// A file's handle in hexadecimal digits, or nothing.
fn handle_of(path: &Path) -> String {
    let path = sys::c_string(path.as_os_str().as_encoded_bytes());
    let mut handle = [0_u8; 136];
    handle[..4].copy_from_slice(&128_u32.to_ne_bytes());
    let mut mount = [0_u8; 8];
    let here = Word::Number(libc::AT_FDCWD.into());
    let words = &mut [here, Word::Text(&path), Word::Out(&mut handle), Word::Out(&mut mount), Word::Number(0)];
    // File systems without handles have nothing to be tried.
    let length = sys::call(libc::SYS_name_to_handle_at, words).map_or(0, |_| 8 + usize::from(handle[0]));
    handle.iter().take(length).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Runs views of the probe in the sandbox, and claims which attempts get through: these, of at least so many.
pub(crate) fn attempts(case: Case, views: &[&str], through: &[&'static str], number: usize) -> Case {
    let through = through.to_vec();
    case.run(["/probe", "--probe", "{namespaces}"]).run(views).ok().claim(move |o| only(o, &through, number))
}

/// Whether exactly these attempts got through.
pub(crate) fn only(o: &Outcome, expected: &[&str], number: usize) -> Result<()> {
    let ended = |end: &str| o.stdout.lines().filter_map(|line| line.strip_suffix(end)).map(str::to_owned).collect::<Vec<_>>();
    let (through, held) = (ended(": through"), ended(": held"));
    let made = through.len() + held.len();
    o.expect(made >= number, &format!("only {made} attempts were made"))?;
    o.expect(through == expected, &format!("got through: {through:?}"))
}

fn nothing_changed(o: &Outcome) -> Result<()> {
    o.expect_tree("outside/marker", Some(&format!("file 644 own {SECRET:?}")))?;
    o.expect_tree("kept/file", Some("file 644 own \"kept\""))?;
    let kept = o.tree.keys().filter(|path| path.starts_with("kept/")).count();
    o.expect(kept == 2, "something new is in the read-only directory")
}

/// All attempts to reach the file outside.
pub(crate) const ROOT: &str = "escape:root:{dir}/outside/marker:{outside}";
const WRITE: &str = "escape:write:{kept}";

/// Nothing outside can be reached.
fn old_root() -> Vec<Case> {
    let mut cases = vec![];
    for (form, options, views) in FORMS.into_iter().filter(|(form, ..)| !owns_mounts(form)) {
        let case = box_of(&format!("old_root_{form}")).options(options);
        cases.push(attempts(case, &[views, &[ROOT]].concat(), &[], 40).claim(nothing_changed));
    }
    // Without a pid namespace there are other processes of root's, and root is their master.
    let case = box_of("old_root_real_root_pid").root_only().options(ROOT_WITHOUT).options(["--unshare-pid"]);
    cases.push(attempts(case, &[ROOT], &[], 40).claim(nothing_changed));
    cases
}

/// What is read-only stays so, for whoever has no capabilities over the mount namespace.
fn read_only() -> Vec<Case> {
    let mut cases = vec![];
    for (form, options, views) in FORMS.into_iter().filter(|(form, ..)| !owns_mounts(form)) {
        let case = box_of(&format!("read_only_{form}")).options(options);
        cases.push(attempts(case, &[views, &[WRITE]].concat(), &[], 40).claim(nothing_changed));
    }
    let case = box_of("read_only_real_root").root_only().options(ROOT_WITHOUT);
    cases.push(attempts(case, &[WRITE], &[], 40).claim(nothing_changed));
    cases
}

/// Who holds every capability over the mount namespace may take back what was done in it, but not what the host has done.
const TAKEN_BACK: [&str; 7] = [
    "remount of the bind",
    "remount of the bind with its other flags",
    "mount_setattr",
    "mount_setattr of everything",
    "mount_setattr of a copy",
    "bind elsewhere, remounted",
    "recursive bind elsewhere, remounted",
];

/// The same for what was covered: it was given. Nothing else is reached.
const UNCOVERED: [&str; 5] = [
    "umount of everything",
    "bind without submounts",
    "open_tree without submounts",
    "overlay without submounts",
    "cover moved away",
];

/// Where no promise is made.
fn known() -> Vec<Case> {
    let mut cases = vec![];
    // Kernels without mount_setattr lack overlays for such a root, too: fewer attempts can get through there.
    for (form, options, _) in FORMS.into_iter().filter(|(form, ..)| owns_mounts(form)) {
        let case = box_of(&format!("known_old_root_{form}")).options(options).needs(has_mount_setattr);
        cases.push(attempts(case, &[ROOT], &UNCOVERED, 40).claim(nothing_changed));
        let case = box_of(&format!("known_read_only_{form}")).options(options).needs(has_mount_setattr);
        let case = attempts(case, &[WRITE], &TAKEN_BACK, 40);
        cases.push(case.unrefused("a filter that refuses mount_setattr is the attempts' as well"));
    }
    cases.push(renamed_parent());
    // Root of the host's, with the one capability that open_by_handle_at(2) asks for.
    let of_root = |name: &str| box_of(name).root_only().needs(has_handles).options(READS_ALL).options(["--unshare-pid"]);
    cases.push(attempts(of_root("known_handles_of_root"), &[ROOT], &["handle on /in", "handle on /ro"], 40));
    cases.push(attempts(of_root("known_handles_of_root_to_write"), &[WRITE], &["handle on another mount"], 40));
    // The same attempts where nothing is forbidden: they are able to get through.
    let case =
        box_of("known_everything_visible").user_only().options(["--dev-bind", "/", "/tmp/host", "--bind", "{dir}/kept", "/ro"]);
    let case = case.options(["--symlink", "/tmp/host{dir}", "{dir}"]);
    cases.push(attempts(case, &[ROOT], &VISIBLE, 40));
    let case = box_of("known_writable").user_only().options(["--unshare-all", "--bind", "{dir}/kept", "/ro"]);
    cases.push(attempts(case, &[WRITE], &WRITABLE, 40));
    cases
}

/// A read-only bind below a writable one keeps the file, not its path: whoever may rename a directory above may put another there.
fn renamed_parent() -> Case {
    let moves = "! echo new >{dir}/box/a/f && mv {dir}/box/a {dir}/box/b && mkdir {dir}/box/a && echo new >{dir}/box/a/f";
    Case::new("known_renamed_parent")
        .file("box/a/f", "kept")
        .options(["--dev-bind", "/", "/", "--bind", "{dir}/box", "{dir}/box", "--ro-bind", "{dir}/box/a/f", "{dir}/box/a/f"])
        .run(["sh", "-c", moves])
        .status(0)
        .claim(|o| o.expect_tree("box/b/f", Some("file 644 own \"kept\"")))
        .claim(|o| o.expect_tree("box/a/f", Some("file 644 own \"new\\n\"")))
}

/// How a file is seen that is there.
const VISIBLE: [&str; 8] = [
    "path",
    "dots from elsewhere",
    "/proc/PID/root",
    "/proc/PID/cwd",
    "/proc/PID/task/self/root",
    "/proc/PID/fd",
    "umount of the root",
    "open_tree",
];

/// What may be done to one's own file in a directory of one's own.
const WRITABLE: [&str; 21] = [
    "open",
    "open by /proc/self/root",
    "open and truncate",
    "open to append",
    "truncate",
    "reopen of an fd",
    "reopen of an O_PATH fd",
    "mode",
    "times",
    "owner",
    "extended attribute",
    "inode flags",
    "new file",
    "new unnamed file",
    "new directory",
    "new symlink",
    "new FIFO",
    "new socket",
    "rename",
    "removal of a directory",
    "removal",
];
