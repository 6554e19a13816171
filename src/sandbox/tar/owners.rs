//! Whose the files of an archive are in the sandbox.

use std::os::fd::BorrowedFd;

use nix::unistd::{getegid, geteuid};

use crate::kernel::files::read_file;
use crate::kernel::idmap::{Maps, Range, Ranges, outside_of};
use crate::kernel::sys::SysResult;

/// How an archive's ids become ids of files.
#[derive(Debug)]
pub(crate) struct Owners {
    /// The IDs that are mapped where the mounts are created.
    here: Maps,
    /// The maps of a user namespace inside that one, which COMMAND will be in.
    nested: Option<Maps>,
    /// Whose everything else is.
    ours: (u32, u32),
}

impl Owners {
    /// Looks at the maps of this process.
    pub(crate) fn find(nested: Option<&Maps>, proc: BorrowedFd<'_>) -> SysResult<Self> {
        let map = |path| read_file(proc, path, 64 * 1024).map(|text| ranges(&text));
        Ok(Self {
            here: Maps { uid: map(c"self/uid_map")?, gid: map(c"self/gid_map")? },
            nested: nested.cloned(),
            ours: (geteuid().as_raw(), getegid().as_raw()),
        })
    }

    /// Whose a file of the archive is: its own ids, or ours where they are not mapped.
    pub(crate) fn of(&self, uid: u64, gid: u64) -> (u32, u32) {
        let nested = self.nested.as_ref();
        let uid = here(uid, nested.map(|maps| &*maps.uid), &self.here.uid);
        let gid = here(gid, nested.map(|maps| &*maps.gid), &self.here.gid);
        (uid.unwrap_or(self.ours.0), gid.unwrap_or(self.ours.1))
    }
}

/// What an id of the sandbox is called here, if it is mapped.
fn here(id: u64, nested: Option<&[Range]>, mapped: &[Range]) -> Option<u32> {
    let id = u32::try_from(id).ok()?;
    let id = nested.map_or(Some(id), |nested| outside_of(nested, id))?;
    outside_of(mapped, id).map(|_| id)
}

/// The lines of a map, as the kernel shows it.
fn ranges(text: &[u8]) -> Ranges {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let line = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Range { inside: next()?, outside: next()?, count: next()? })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(here: &str, nested: Option<Maps>) -> Owners {
        let here = Maps { uid: ranges(here.as_bytes()), gid: ranges(b"0 7 1\n") };
        Owners { here, nested, ours: (4, 5) }
    }

    #[test]
    fn what_is_not_mapped_is_ours() {
        let plain = owners("         0       1000          1\n   10 100000 5\n", None);
        let cases = [(0, 0), (10, 10), (14, 14), (15, 4), (9, 4), (u64::MAX, 4), (1 << 32, 4)];
        for (id, expected) in cases {
            assert_eq!(plain.of(id, 0), (expected, 0), "{id}");
        }
        assert_eq!(plain.of(0, 1), (0, 5));
        let all = owners("0 0 4294967295", None);
        assert_eq!(all.of(4_294_967_294, 0).0, 4_294_967_294);
        assert_eq!(all.of(4_294_967_295, 0).0, 4, "-1 is no id");
    }

    #[test]
    fn ids_are_those_of_the_sandbox() {
        // Where nobody is root, the IDs are counted from 0 while the mounts are created.
        let nested = Maps {
            uid: vec![Range { inside: 1000, outside: 0, count: 2 }],
            gid: vec![Range { inside: 50, outside: 0, count: 1 }],
        };
        let owners = owners("0 100000 2", Some(nested));
        assert_eq!(owners.of(1001, 50), (1, 0));
        assert_eq!(owners.of(0, 0), (4, 5));
    }
}
