//! The racer: a process of the host that changes directories while a sandbox is set up on them, until it is killed.

use std::ffi::CString;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::sys::{self, Word, call};

/// `swap:A:B[:C…]` exchanges A with each of the others and back; `relink:LINK:A:B` replaces a symlink; `mount:SOURCE:POINT` binds
/// and takes away. Ends when its parent does, or when it cannot go on.
pub(super) fn run(what: &str) -> Vec<String> {
    let words = what.split(':').collect::<Vec<_>>();
    sys::die_with_parent();
    match words.as_slice() {
        ["swap", first, others @ ..] => swap(first, others),
        ["relink", link, targets @ ..] => relink(link, targets),
        ["mount", source, point] => mounts(source, point),
        _ => {}
    }
    vec!["the racer has ended".to_owned()]
}

/// Until something fails, which is when the directories are gone.
fn swap(first: &str, others: &[&str]) {
    loop {
        for other in others {
            // Twice, so that every name has its own thing again.
            if !exchange(first, other) || !exchange(first, other) {
                return;
            }
        }
    }
}

fn exchange(a: &str, b: &str) -> bool {
    const RENAME_EXCHANGE: i64 = 2;
    let (Ok(a), Ok(b)) = (CString::new(a), CString::new(b)) else { return false };
    let here = || Word::Number(libc::AT_FDCWD.into());
    let words = &mut [here(), Word::Text(&a), here(), Word::Text(&b), Word::Number(RENAME_EXCHANGE)];
    call(libc::SYS_renameat2, words).is_ok()
}

fn relink(link: &str, targets: &[&str]) {
    let fresh = format!("{link}.new");
    for target in targets.iter().cycle() {
        if symlink(target, Path::new(&fresh)).is_err() || std::fs::rename(&fresh, link).is_err() {
            return;
        }
    }
}

fn mounts(source: &str, point: &str) {
    loop {
        let bound = mount(Some(source), point, None::<&str>, MsFlags::MS_BIND, None::<&str>);
        if bound.is_err() || umount2(point, MntFlags::MNT_DETACH).is_err() {
            return;
        }
    }
}
