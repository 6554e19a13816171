//! Directories under /tmp that exist while something runs and are gone afterwards, whatever happens.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::mkdtemp;

use super::Result;

static PLACES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Makes a directory that everybody may enter; its name is `start` and six characters.
pub(crate) fn make(start: &str) -> Result<PathBuf> {
    let place = mkdtemp(format!("{start}XXXXXX").as_str()).map_err(|e| format!("{start}XXXXXX: {e}"))?;
    PLACES.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone());
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())?;
    Ok(place)
}

/// Removes one with all that is in it.
pub(crate) fn remove(place: &Path) {
    if fs::remove_dir_all(place).is_err() {
        // Only for a runner that is not root: a case may leave directories that their owner may not enter.
        open_all(place);
        _ = fs::remove_dir_all(place);
    }
    PLACES.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
}

fn open_all(directory: &Path) {
    _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            open_all(&entry.path());
        }
    }
}

/// Lets the signals that end a run remove everything first; to be called before there is a second thread.
pub(crate) fn remove_on_signals() {
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect::<SigSet>();
    if signals.thread_block().is_err() {
        return;
    }
    std::thread::spawn(move || {
        let signal = signals.wait().map_or(0, |s| s as i32);
        for place in PLACES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            _ = fs::remove_dir_all(place);
        }
        // The threads that run trials have nothing left to do.
        #[expect(clippy::exit, reason = "this is the end that the signal asked for")]
        std::process::exit(128 + signal);
    });
}
