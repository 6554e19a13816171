//! User and group id maps, and the nested user namespace, see user_namespaces(7).

use std::ffi::CString;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use crate::error::{Context, Error, Result};
use crate::kernel::files::{read_file, write_file};

/// A line of an ID map: a range of IDs inside, and the IDs outside that they map to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first id in the namespace.
    pub(crate) inside: u32,
    /// The first id in its parent.
    pub(crate) outside: u32,
    /// How many there are, at least one.
    pub(crate) count: u32,
}

impl Range {
    /// The line for one id.
    pub(crate) const fn one(inside: u32, outside: u32) -> Self {
        Self { inside, outside, count: 1 }
    }

    /// The line as the kernel reads it.
    fn line(self) -> String {
        format!("{} {} {}\n", self.inside, self.outside, self.count)
    }

    /// The ID outside to which an ID inside maps.
    fn outside_of(self, id: u32) -> Option<u32> {
        let offset = id.checked_sub(self.inside).filter(|&offset| offset < self.count)?;
        Some(self.outside + offset)
    }

    /// The same line read from the other side.
    const fn reversed(self) -> Self {
        Self { inside: self.outside, outside: self.inside, count: self.count }
    }

    /// Whether two lines have an id in common inside.
    fn meets(self, other: Self) -> bool {
        self.outside_of(other.inside).or_else(|| other.outside_of(self.inside)).is_some()
    }
}

/// The lines of one map.
pub(crate) type Ranges = Vec<Range>;

/// The ID outside to which an ID inside maps.
pub(crate) fn outside_of(ranges: &[Range], id: u32) -> Option<u32> {
    ranges.iter().find_map(|range| range.outside_of(id))
}

/// The ID inside that maps to one outside.
pub(crate) fn inside_of(ranges: &[Range], id: u32) -> Option<u32> {
    ranges.iter().find_map(|range| range.reversed().outside_of(id))
}

/// Whether two lines of a map are about the same id, inside or outside: the kernel would say no
/// more than that something is wrong.
pub(crate) fn overlap(ranges: &[Range]) -> bool {
    let meets = |a: Range, b: Range| a.meets(b) || a.reversed().meets(b.reversed());
    ranges
        .iter()
        .enumerate()
        .any(|(at, &range)| ranges.iter().skip(at + 1).any(|&other| meets(range, other)))
}

/// The maps of both kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Maps {
    /// Of user ids.
    pub(crate) uid: Ranges,
    /// Of group ids.
    pub(crate) gid: Ranges,
}

/// How maps of several lines come about. Only a process of the parent namespace may write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The maps of the namespace in which mounts are created.
    pub(crate) first: Maps,
    /// Those of a nested namespace, if one is needed.
    pub(crate) nested: Option<Maps>,
}

impl Layers {
    /// What ids are called in the first namespace that have their final names in the last one.
    pub(crate) fn first_ids(&self, (uid, gid): (u32, u32)) -> (u32, u32) {
        let Some(nested) = &self.nested else { return (uid, gid) };
        (outside_of(&nested.uid, uid).unwrap_or(uid), outside_of(&nested.gid, gid).unwrap_or(gid))
    }
}

impl Maps {
    /// The maps as they are, and inside of them, if asked for, the same ranges once more. With
    /// `root` there has to be a root for the mounts: where nobody is one the ids are counted from 0
    /// at first.
    pub(crate) fn layers(&self, root: bool, nested: bool) -> Layers {
        let is_root = |ranges: &[Range]| outside_of(ranges, 0).is_some();
        if root && !(is_root(&self.uid) && is_root(&self.gid)) {
            let (uid_by_number, uid) = counted(&self.uid);
            let (gid_by_number, gid) = counted(&self.gid);
            return Layers {
                first: Self { uid: uid_by_number, gid: gid_by_number },
                nested: Some(Self { uid, gid }),
            };
        }
        let same = |ranges: &[Range]| {
            ranges.iter().map(|range| Range { outside: range.inside, ..*range }).collect()
        };
        let again = Self { uid: same(&self.uid), gid: same(&self.gid) };
        Layers { first: self.clone(), nested: nested.then_some(again) }
    }

    /// Writes them for a process of a user namespace that this one's is the parent of.
    pub(crate) fn write(&self, proc: BorrowedFd<'_>, pid: &str) -> Result<()> {
        for (kind, ranges) in [("uid", &self.uid), ("gid", &self.gid)] {
            let text = text(ranges);
            let path = CString::new(format!("{pid}/{kind}_map")).unwrap_or_default();
            write_file(proc, &path, text.as_bytes()).context(format!("setting up {kind} map"))?;
        }
        Ok(())
    }
}

/// A map as the kernel reads it.
fn text(ranges: &[Range]) -> String {
    ranges.iter().map(|range| range.line()).collect()
}

/// Whether the kernel takes so much, see user_namespaces(7).
pub(crate) fn fits(ranges: &[Range]) -> bool {
    ranges.len() <= 340 && text(ranges).len() < 4096
}

/// The lines of a map whose ids are counted from 0, and of one inside of it that makes the wanted
/// ids of them.
fn counted(ranges: &[Range]) -> (Ranges, Ranges) {
    let mut next = 0;
    let pairs = ranges.iter().map(|range| {
        let at = next;
        next += range.count;
        (Range { inside: at, ..*range }, Range { outside: at, ..*range })
    });
    pairs.unzip()
}

/// Whether setgroups(2) is still to be given up, which has to come before a group map by an
/// ordinary user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Groups {
    /// Give it up.
    Deny,
    /// The parent namespace has done so.
    Inherited,
}

/// Writes this process's own maps through an open /proc.
pub(crate) fn write_maps(
    proc: BorrowedFd<'_>,
    uid: Range,
    gid: Range,
    groups: Groups,
) -> Result<()> {
    write_file(proc, c"self/uid_map", uid.line().as_bytes()).context("setting up uid map")?;
    if groups == Groups::Deny {
        match write_file(proc, c"self/setgroups", b"deny\n") {
            // Kernels without this file do not require it.
            Err(Errno::ENOENT) => {}
            other => other.context("error writing to setgroups")?,
        }
    }
    write_file(proc, c"self/gid_map", gid.line().as_bytes()).context("setting up gid map")
}

/// Checks that somebody else has written the maps. Without them every id would be the overflow id,
/// and not the one that was meant.
pub(crate) fn assert_mapped(proc: BorrowedFd<'_>) -> Result<()> {
    for path in [c"self/uid_map", c"self/gid_map"] {
        let map = read_file(proc, path, 64 * 1024).context("Can't read the id maps")?;
        if map.is_empty() {
            return Err(Error::new(
                "The id maps were not written before --userns-block-fd was readable",
            ));
        }
    }
    Ok(())
}

/// Makes the current user namespace's limit one more namespace, which is about to be used up.
pub(crate) fn limit_user_namespaces(proc: BorrowedFd<'_>) -> Result<()> {
    write_file(proc, c"sys/user/max_user_namespaces", b"1")
        .context("cannot set /proc/sys/user/max_user_namespaces")
}

/// Finds out by trying that no further user namespace can be made. If it can, this process is of no
/// more use.
pub(crate) fn assert_disabled() -> Result<()> {
    match unshare(CloneFlags::CLONE_NEWUSER) {
        Ok(()) => Err(Error::new("creation of new user namespaces was not disabled as requested")),
        // ENOMEM proves nothing: with more memory, it might have been created.
        Err(Errno::ENOMEM) => {
            Err(Errno::ENOMEM).context("Can't determine whether user namespaces are disabled")
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(inside: u32, outside: u32, count: u32) -> Range {
        Range { inside, outside, count }
    }

    #[test]
    fn map_lines_are_what_the_kernel_reads() {
        assert_eq!(Range::one(0, 1000).line(), "0 1000 1\n");
        assert_eq!(range(u32::MAX - 1, 0, 65536).line(), "4294967294 0 65536\n");
    }

    #[test]
    fn ids_are_looked_up_in_both_directions() {
        let ranges = [range(0, 100_000, 10), range(1000, 0, 1)];
        for (inside, outside) in [(0, 100_000), (9, 100_009), (1000, 0)] {
            assert_eq!(outside_of(&ranges, inside), Some(outside));
            assert_eq!(inside_of(&ranges, outside), Some(inside));
        }
        for id in [10, 999, 1001, u32::MAX] {
            assert_eq!(outside_of(&ranges, id), None, "{id}");
        }
    }

    #[test]
    fn overlaps_are_seen_on_both_sides() {
        let overlapping = |second| overlap(&[range(10, 100, 10), second]);
        for second in [
            range(19, 0, 1),
            range(0, 0, 11),
            range(12, 0, 2),
            range(0, 109, 1),
            range(50, 90, 11),
            range(0, 0, u32::MAX),
        ] {
            assert!(overlapping(second), "{second:?}");
        }
        for second in [range(0, 0, 10), range(20, 110, 10), range(9, 99, 1)] {
            assert!(!overlapping(second), "{second:?}");
        }
    }

    #[test]
    fn mounts_have_a_root() {
        let maps = Maps { uid: vec![range(5, 100, 2), range(1, 50, 1)], gid: vec![range(0, 7, 1)] };
        let layers = maps.layers(true, false);
        assert_eq!(layers.first.uid, [range(0, 100, 2), range(2, 50, 1)]);
        assert_eq!(layers.first.gid, [range(0, 7, 1)]);
        let nested = layers.nested.unwrap_or_default();
        assert_eq!(nested.uid, [range(5, 0, 2), range(1, 2, 1)]);
        assert_eq!(nested.gid, [range(0, 0, 1)]);
        assert_eq!(maps.layers(false, false), Layers { first: maps.clone(), nested: None });
        assert_eq!(
            maps.layers(false, true).nested.unwrap_or_default().uid,
            [range(5, 5, 2), range(1, 1, 1)]
        );
    }
}
