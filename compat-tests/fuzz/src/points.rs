//! What is asserted of the mount table: a mount point survives being written into it, and a tree is what a slow and simple
//! search finds.

use crate::kernel::mountinfo::{self, Line, mount_at, tree_of, unescape};

/// The bytes that the kernel writes in octal, the `#` since Linux 6.7.
const ESCAPED: &[u8] = b" \t\n\\#";

/// Writes a path into a table as the kernel does, and reads it again.
pub(crate) fn check_point(path: &[u8]) {
    let mut escaped = vec![];
    for &byte in path {
        if ESCAPED.contains(&byte) {
            escaped.extend(format!("\\{byte:03o}").bytes());
        } else {
            escaped.push(byte);
        }
    }
    assert_eq!(unescape(&escaped), path, "escaped and back");
    let line =
        [b"31 30 0:4 /root ", escaped.as_slice(), b" ro,noexec shared:1 - tmpfs tmpfs rw"].concat();
    let Some(read) = Line::parse(&line) else {
        panic!("not a line: {:?}", line.escape_ascii().to_string())
    };
    assert_eq!((read.id, read.parent, read.point.to_bytes(), read.flags), (31, 30, path, 1 | 8));
    let table = [b"30 1 0:3 / / rw - tmpfs tmpfs rw\n", line.as_slice(), b"\n"].concat();
    assert_eq!(tree_of(&table, 30).len(), 2, "the line stands alone");
}

/// Compares the trees below every mount of a table, whatever that is.
pub(crate) fn check_tree(table: &[u8]) {
    // Comparing is slow, and nothing is learned from long tables.
    let lines = table.split(|&byte| byte == b'\n').take(64).collect::<Vec<_>>();
    let ids = lines.iter().filter_map(|line| numbers(line)).collect::<Vec<_>>();
    let table = lines.join(&b'\n');
    let all = mountinfo::lines(&table);
    for root in ids.iter().map(|(id, _)| *id).chain([0, 1]).take(8) {
        let mut inside = ids.iter().map(|(id, _)| *id == root).collect::<Vec<_>>();
        for _ in 0..ids.len() {
            for at in 0..ids.len() {
                inside[at] |=
                    (0..ids.len()).any(|other| inside[other] && ids[other].0 == ids[at].1);
            }
        }
        let mut expected = ids
            .iter()
            .zip(&inside)
            .filter(|(_, inside)| **inside)
            .map(|(ids, _)| *ids)
            .collect::<Vec<_>>();
        let mut found =
            tree_of(&table, root).iter().map(|line| (line.id, line.parent)).collect::<Vec<_>>();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "below {root}");
        for line in all.iter().take(8) {
            let found = mount_at(&all, root, &line.point);
            let is_on_the_way =
                |other: &Line| line.point.to_bytes().starts_with(other.point.to_bytes());
            assert!(
                found == root || all.iter().any(|other| other.id == found && is_on_the_way(other)),
                "{line:?} leads to {found}"
            );
        }
    }
}

/// The ids of a line that has six fields or more and a mount point without a NUL byte.
fn numbers(line: &[u8]) -> Option<(u64, u64)> {
    let fields = line.split(|&byte| byte == b' ').collect::<Vec<_>>();
    if fields.len() < 6 || unescape(fields[4]).contains(&0) {
        return None;
    }
    Some((number(fields[0])?, number(fields[1])?))
}

fn number(field: &[u8]) -> Option<u64> {
    let digits = field.strip_prefix(b"+").unwrap_or(field);
    let value = |sum: Option<u64>, byte: &u8| {
        sum?.checked_mul(10)?.checked_add(u64::from(byte.checked_sub(b'0')?))
    };
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    digits.iter().filter(|_| all).fold(Some(0), value).filter(|_| all)
}
