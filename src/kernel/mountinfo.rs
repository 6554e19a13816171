//! The table of mounts, /proc/self/mountinfo, as far as [`crate::kernel::remount::remount_below`]
//! needs it, see proc_pid_mountinfo(5).
//!
//! Pure text in, plain data out: nothing in here touches the system, so all of it can be tested and
//! fuzzed.

use std::collections::HashSet;
use std::ffi::{CStr, CString};

/// The flag of mount(2) against symbolic links, since Linux 5.10.
pub(crate) const MS_NOSYMFOLLOW: u64 = 256;

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The mount's id.
    pub(crate) id: u64,
    /// The id of the mount that it is mounted on.
    pub(crate) parent: u64,
    /// Where it is mounted, relative to the reader's root.
    pub(crate) point: CString,
    /// Its flags, as `MS_*` bits.
    pub(crate) flags: u64,
}

impl Line {
    /// Reads a line without its newline; one that makes no sense is none.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
        let (id, parent) = (number()?, number()?);
        let point = CString::new(unescape(fields.nth(2)?)).ok()?;
        let flags = fields
            .next()?
            .split(|&byte| byte == b',')
            .map(mount_flag)
            .fold(0, std::ops::BitOr::bitor);
        Some(Self { id, parent, point, flags })
    }
}

/// The `MS_*` flag of an option that belongs to the mount and that a remount would lose if it were
/// not repeated. How times of access are kept is not among them: a remount that says nothing about
/// that leaves it, and one that says `nodiratime` would make a strictatime mount a relatime one,
/// which a user namespace may not do.
fn mount_flag(option: &[u8]) -> u64 {
    match option {
        b"ro" => libc::MS_RDONLY,
        b"nosuid" => libc::MS_NOSUID,
        b"nodev" => libc::MS_NODEV,
        b"noexec" => libc::MS_NOEXEC,
        b"nosymfollow" => MS_NOSYMFOLLOW,
        _ => 0,
    }
}

/// The kernel writes blanks, tabs, newlines and backslashes in paths as `\ooo`.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return plain,
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                tail
            }
            [byte, tail @ ..] => {
                plain.push(*byte);
                tail
            }
        };
    }
}

/// A mount and all mounts below it, with the flags they have, in any order.
pub(crate) fn tree_of(mountinfo: &[u8], root: u64) -> Vec<Line> {
    let (mut tree, mut others): (Vec<_>, Vec<_>) = mountinfo
        .split(|&byte| byte == b'\n')
        .filter_map(Line::parse)
        .partition(|line| line.id == root);
    // The table is sorted by ID, and a mount can be older than the one it is mounted on.
    loop {
        let (below, rest): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|line| tree.iter().any(|known| known.id == line.parent));
        if below.is_empty() {
            return tree;
        }
        tree.extend(below);
        others = rest;
    }
}

/// All lines that make sense.
pub(crate) fn lines(mountinfo: &[u8]) -> Vec<Line> {
    mountinfo.split(|&byte| byte == b'\n').filter_map(Line::parse).collect()
}

/// Where files with one of these names at the top of a tmpfs are mounted, and nothing on top of
/// them.
pub(crate) fn points_of(mountinfo: &[u8], names: &[&CStr]) -> Vec<CString> {
    let own = |line: &[u8]| {
        let root = line.split(|&byte| byte == b' ').nth(3)?.strip_prefix(b"/")?;
        let is_tmpfs = line.windows(9).any(|part| part == b" - tmpfs ");
        let is_named = names.iter().any(|name| name.to_bytes() == root);
        (is_tmpfs && is_named).then(|| Line::parse(line))?
    };
    let all: HashSet<_> =
        lines(mountinfo).into_iter().map(|line| (line.parent, line.point)).collect();
    let found = mountinfo.split(|&byte| byte == b'\n').filter_map(own);
    let uncovered = found.filter(|line| !all.contains(&(line.id, line.point.clone())));
    uncovered.map(|line| line.point).collect()
}

/// The mount that is uppermost at a path, going down from a mount that is the root of whoever reads
/// the table.
pub(crate) fn mount_at(table: &[Line], top: u64, path: &CStr) -> u64 {
    let path = path.to_bytes();
    let names =
        path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let mut here = top;
    // Lines that were read at different moments may form a cycle; a real path has no more steps
    // than the table has lines.
    let mut steps = table.len();
    for end in [1].into_iter().chain(names).chain([path.len()]) {
        let place = path.get(..end).unwrap_or_default();
        while let Some(next) = table
            .iter()
            .find(|line| line.parent == here && line.id != here && line.point.to_bytes() == place)
        {
            let Some(fewer) = steps.checked_sub(1) else { return here };
            (here, steps) = (next.id, fewer);
        }
    }
    here
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"38 39 0:6 / /y/z rw - tmpfs tmpfs rw\n\
        39 40 0:6 / /y rw - tmpfs tmpfs rw\n\
        40 1 0:6 / / rw - tmpfs tmpfs rw\n\
        21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        30 21 0:3 / /a\\040b ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw\n\
        31 30 0:4 / /a\\040b/c rw,noatime - tmpfs tmpfs rw\n\
        32 21 0:5 /x /d rw,relatime master:3 - tmpfs tmpfs rw\n";

    #[test]
    fn points_are_found_by_what_is_there() {
        let table = b"21 1 8:1 / / rw - ext4 /dev/root rw\n\
            31 21 0:4 /mask-file /a\\040b ro - tmpfs tmpfs rw\n\
            32 21 0:4 /mask-file /c ro - tmpfs tmpfs rw\n\
            33 32 8:1 /x /c rw - ext4 /dev/root rw\n\
            34 21 8:1 /mask-file /d rw - ext4 /dev/root rw\n\
            35 21 0:4 /other /e rw - tmpfs tmpfs rw\n";
        assert_eq!(points_of(table, &[c"mask-file"]), [c"/a b".to_owned()]);
    }

    #[test]
    fn lines_give_point_and_flags() {
        let line = Line::parse(TABLE.split(|&b| b == b'\n').nth(4).unwrap_or_default());
        let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        assert_eq!(line, Some(Line { id: 30, parent: 21, point: c"/a b".to_owned(), flags }));
        assert_eq!(Line::parse(b"30 21"), None);
        assert_eq!(Line::parse(b""), None);
    }

    #[test]
    fn a_tree_is_a_mount_and_what_is_below() {
        let ids = |root| tree_of(TABLE, root).iter().map(|line| line.id).collect::<Vec<_>>();
        assert_eq!(ids(30), [30, 31]);
        assert_eq!(ids(21), [21, 30, 32, 31]);
        assert_eq!(ids(32), [32]);
        assert_eq!(ids(40), [40, 39, 38], "in whatever order they stand");
        assert!(ids(99).is_empty());
    }

    #[test]
    fn a_path_leads_to_what_is_uppermost() {
        let table = lines(
            b"40 40 0:6 / / rw - tmpfs tmpfs rw\n\
              41 40 0:7 / /a rw - tmpfs tmpfs rw\n\
              42 41 0:8 / /a/b/c rw - tmpfs tmpfs rw\n\
              43 41 0:9 / /a/b rw - tmpfs tmpfs rw\n\
              44 40 0:9 / /d rw - tmpfs tmpfs rw\n\
              45 44 0:9 / /d rw - tmpfs tmpfs rw\n\
              46 44 0:9 / /d/e rw - tmpfs tmpfs rw\n\
              47 48 0:9 / /f rw - tmpfs tmpfs rw\n\
              48 47 0:9 / /f rw - tmpfs tmpfs rw\n\
              49 40 0:9 / /ab rw - tmpfs tmpfs rw\n",
        );
        let at = |path| mount_at(&table, 40, path);
        assert_eq!([at(c"/"), at(c"/a"), at(c"/a/x"), at(c"/ab")], [40, 41, 41, 49]);
        assert_eq!([at(c"/a/b"), at(c"/a/b/c")], [43, 43], "covered on the way");
        assert_eq!([at(c"/d"), at(c"/d/e")], [45, 45], "covered where it is");
        assert_eq!([at(c"/f"), mount_at(&table, 47, c"/f")], [40, 47], "a circle has an end");
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(b"a\\040b\\134\\x\\09"), b"a b\\\\x\\09");
    }
}
