//! What all trials share: the two sides in a place that every identity can reach, who they run as, and the results.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::{Gid, Uid};

use super::identity::{Identity, Side};
use super::left_out::is_required;
use super::record::Record;
use super::{Result, filter, places};
use crate::sys;

/// An id that no account of a distribution has.
const ORDINARY: u32 = 54321;

/// The shared state.
pub(crate) struct Lab {
    /// The public place: `ours/bwrap`, `reference/…` and `probe`.
    place: PathBuf,
    pub(crate) sides: Vec<Side>,
    pub(crate) identities: Vec<Identity>,
    /// Filters for our side, and as many that allow everything for the reference, so that views are alike.
    pub(crate) refuse: Vec<String>,
    /// The host's namespaces, as the probe takes them.
    pub(crate) host_namespaces: String,
    /// How many times longer than usual a case may take.
    pub(crate) patience: u32,
    /// Whether every outcome is printed, for whoever writes a case.
    pub(crate) show: bool,
    /// Whether the rest is left out once a case has failed.
    ends_early: bool,
    /// Whether any case has failed.
    pub(crate) has_failed: AtomicBool,
    records: Mutex<Vec<Record>>,
    reference_by_loader: bool,
}

impl Lab {
    /// Finds the two sides and copies them to where an ordinary user reaches them even if the checkout is private.
    pub(crate) fn open() -> Result<Self> {
        for entry in fs::read_dir("/proc/self/fd").map_err(|e| format!("/proc/self/fd: {e}"))?.flatten() {
            if let Some(fd) = entry.file_name().to_str().and_then(|n| n.parse().ok()).filter(|n| *n > 2) {
                sys::close_on_exec(fd);
            }
        }
        places::remove_on_signals();
        let place = places::make("/tmp/bleb")?;
        let lab = Self::furnish(&place);
        if lab.is_err() {
            places::remove(&place);
        }
        lab
    }

    fn furnish(place: &Path) -> Result<Self> {
        let reference = find_reference()?;
        let mut reference_by_loader = false;
        if let Some(reference) = &reference {
            let beside = reference.parent().unwrap_or(Path::new("/"));
            reference_by_loader = beside.join("ld.so").is_file() && beside.join("bwrap.real").is_file();
            copy_reference(reference, beside, place, reference_by_loader)?;
        }
        let mut sides = vec![];
        let only = std::env::var("COMPAT_SIDE").unwrap_or_default();
        if reference.is_some() && only != "ours" {
            sides.push(Side::Reference);
        }
        if only != "reference" {
            sides.push(Side::Ours);
        }
        fs::create_dir(place.join("ours")).map_err(|e| e.to_string())?;
        copy(&find_ours(), &place.join("ours/bwrap"))?;
        copy(&std::env::current_exe().map_err(|e| e.to_string())?, &place.join("probe"))?;
        let refuse = std::env::var("COMPAT_REFUSE").unwrap_or_default();
        let refuse = refuse.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        filter::refuse(&refuse, libc::ENOSYS)?;
        let root = Uid::effective().is_root();
        Ok(Self {
            place: place.to_owned(),
            sides,
            identities: if root { vec![Identity::Root, Identity::User] } else { vec![Identity::User] },
            refuse,
            host_namespaces: host_namespaces(),
            patience: std::env::var("COMPAT_PATIENCE").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1),
            show: std::env::var_os("COMPAT_SHOW").is_some(),
            ends_early: std::env::var_os("COMPAT_ENDS_EARLY").is_some(),
            has_failed: AtomicBool::new(false),
            records: Mutex::default(),
            reference_by_loader,
        })
    }

    /// Whether what has not yet run is to be left out.
    pub(crate) fn is_over(&self) -> bool {
        self.ends_early && self.has_failed.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        places::remove(&self.place);
    }

    pub(crate) fn has_reference(&self) -> bool {
        self.sides.contains(&Side::Reference)
    }

    pub(crate) fn probe(&self) -> PathBuf {
        self.place.join("probe")
    }

    /// A file that acts as `bwrap`, for scripts.
    pub(crate) fn executable(&self, side: Side) -> PathBuf {
        self.place.join(if side == Side::Ours { "ours/bwrap" } else { "reference/bwrap" })
    }

    /// What is executed and the words that come before the options; the first word is argv[0].
    pub(crate) fn command(&self, side: Side) -> (PathBuf, Vec<Vec<u8>>) {
        if side == Side::Ours || !self.reference_by_loader {
            return (self.executable(side), vec![b"bwrap".to_vec()]);
        }
        let at = |name: &str| self.place.join("reference").join(name);
        let words = [b"ld.so".to_vec(), b"--library-path".to_vec(), at("lib").as_os_str().as_bytes().to_vec()];
        let more = [b"--argv0".to_vec(), b"bwrap".to_vec(), at("bwrap.real").as_os_str().as_bytes().to_vec()];
        (at("ld.so"), words.into_iter().chain(more).collect())
    }

    /// The uid, gid and groups to take for an identity; nothing if the runner has them already.
    pub(crate) fn ids(&self, identity: Identity) -> Option<(u32, u32, Vec<u32>)> {
        (self.identities.len() == 2 && identity == Identity::User).then(|| (ORDINARY, ORDINARY, vec![]))
    }

    /// The uid and gid of an identity.
    pub(crate) fn owner(&self, identity: Identity) -> (u32, u32) {
        self.ids(identity).map_or((Uid::effective().as_raw(), Gid::effective().as_raw()), |(uid, gid, _)| (uid, gid))
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The build directory, where the reference is and the report goes.
pub(crate) fn target_directory() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| manifest.join("target"), |dir| manifest.join(dir))
}

/// The `bwrap` that Cargo built with this program, or another one where this program was carried elsewhere.
fn find_ours() -> PathBuf {
    std::env::var_os("COMPAT_BWRAP").map_or_else(|| env!("CARGO_BIN_EXE_bwrap").into(), PathBuf::from)
}

fn find_reference() -> Result<Option<PathBuf>> {
    let path = match std::env::var_os("BWRAP_REFERENCE").filter(|v| !v.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => target_directory().join("reference/bwrap"),
    };
    if path.is_file() {
        return path.canonicalize().map(Some).map_err(|e| format!("{}: {e}", path.display()));
    }
    if is_required() {
        return Err(format!("no reference at {} (run compat-tests/reference)", path.display()));
    }
    Ok(None)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map_err(|e| format!("copying {}: {e}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())
}

fn copy_reference(reference: &Path, beside: &Path, place: &Path, by_loader: bool) -> Result<()> {
    let to = place.join("reference");
    fs::create_dir(&to).map_err(|e| e.to_string())?;
    if !by_loader {
        // A reference that is installed finds its libraries only where it is.
        return symlink(reference, to.join("bwrap")).map_err(|e| e.to_string());
    }
    for name in ["bwrap", "ld.so", "bwrap.real"] {
        copy(&beside.join(name), &to.join(name))?;
    }
    fs::create_dir(to.join("lib")).map_err(|e| e.to_string())?;
    for entry in fs::read_dir(beside.join("lib")).map_err(|e| e.to_string())?.flatten() {
        copy(&entry.path(), &to.join("lib").join(entry.file_name()))?;
    }
    Ok(())
}

fn host_namespaces() -> String {
    let links = fs::read_dir("/proc/self/ns").into_iter().flatten().flatten();
    let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}
