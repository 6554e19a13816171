//! What most names are: something in a directory that was looked into before. That takes the looker
//! one call, and the recorder hears of many names at once.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use crate::kernel::sys::SysResult;
use crate::record::line::{Line, fields};
use crate::record::uses::Uses;
use crate::record::wanted::{Devices, Wanted, letter};

/// How many directories are kept open.
const MOST: usize = 64;

/// A directory, and names in it that are used in the same way.
struct Dir {
    file: OwnedFd,
    path: Vec<u8>,
    uses: Uses,
    /// What the recorder has not been told: for each name a letter for what it is, the name, a NUL.
    found: Vec<u8>,
}

/// Such directories.
pub(crate) struct Near<'a> {
    recorder: &'a Line,
    dirs: Vec<Dir>,
    /// Their places, by how questions about something in them begin.
    places: HashMap<Vec<u8>, usize>,
}

impl<'a> Near<'a> {
    /// None yet.
    pub(crate) fn new(recorder: &'a Line) -> Self {
        Self { recorder, dirs: Vec::new(), places: HashMap::new() }
    }

    /// Looks up what a question asks for. No if that takes more than one call.
    pub(crate) fn look(
        &mut self,
        devices: &Devices,
        question: &[u8],
        open: impl FnOnce(&[u8]) -> SysResult<OwnedFd>,
    ) -> SysResult<bool> {
        let end = question.iter().rposition(|byte| b"/\0".contains(byte)).map_or(0, |end| end + 1);
        let (start, name) = question.split_at_checked(end).unwrap_or_default();
        if [&b""[..], b".", b".."].contains(&name) {
            return Ok(false);
        }
        let place = match self.places.get(start) {
            Some(&place) => Some(place),
            None => self.add(start, open)?,
        };
        let dir = place.and_then(|place| self.dirs.get_mut(place));
        Ok(dir.and_then(|dir| dir.find(devices, name)).is_some())
    }

    /// Opens the directory of questions that begin so, if it can be asked about in one call.
    fn add(
        &mut self,
        start: &[u8],
        open: impl FnOnce(&[u8]) -> SysResult<OwnedFd>,
    ) -> SysResult<Option<usize>> {
        let slow = Uses::CHANGES.with(Uses::EXEC);
        let wanted = Wanted::of(&fields(start));
        let wanted = wanted.filter(|it| it.top.is_empty() && !it.uses.any(slow));
        let found = wanted.and_then(|it| Some((it.uses, it.path()?)));
        let found = found.and_then(|(uses, path)| Some((open(&path).ok()?, path, uses)));
        let Some((file, path, uses)) = found else { return Ok(None) };
        if self.dirs.len() == MOST {
            self.forget()?;
        }
        let place = self.dirs.len();
        self.dirs.push(Dir { file, path, uses, found: Vec::new() });
        self.places.insert(start.to_vec(), place);
        Ok(Some(place))
    }

    /// Tells the recorder what was found.
    pub(crate) fn tell(&mut self) -> SysResult<()> {
        for dir in self.dirs.iter_mut().filter(|dir| !dir.found.is_empty()) {
            let uses = dir.uses.0.to_string();
            dir.found.pop();
            self.recorder.post(&[b"b", uses.as_bytes(), &dir.path, &dir.found].join(&0))?;
            dir.found.clear();
        }
        Ok(())
    }

    /// Directories may be about to get other names.
    pub(crate) fn forget(&mut self) -> SysResult<()> {
        self.tell()?;
        self.dirs.clear();
        self.places.clear();
        Ok(())
    }
}

impl Dir {
    /// Looks up a name. None if it is a link, or not there, or on a device that is not known.
    fn find(&mut self, devices: &Devices, name: &[u8]) -> Option<()> {
        let how = AtFlags::AT_SYMLINK_NOFOLLOW;
        let status = fstatat(&self.file, OsStr::from_bytes(name), how).ok()?;
        let letter = match (devices.get(&status.st_dev)?, letter(&status)) {
            (_, b"l") => return None,
            (true, _) => b"P",
            (false, letter) => letter,
        };
        for part in [letter, name, b"\0"] {
            self.found.extend_from_slice(part);
        }
        Some(())
    }
}
