//! Paths as keys: most of many begin with the same directories, so they are compared eight bytes at
//! a time. Not every C library's memcmp(3) does that.

use std::cmp::Ordering;
use std::ops::Deref;

/// A path, in the order of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(Vec<u8>);

impl From<Vec<u8>> for Path {
    fn from(path: Vec<u8>) -> Self {
        Self(path)
    }
}

impl Deref for Path {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl Ord for Path {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (self.as_chunks().0, other.as_chunks().0);
        for (ours, theirs) in ours.iter().zip(theirs) {
            let (ours, theirs) = (u64::from_be_bytes(*ours), u64::from_be_bytes(*theirs));
            if ours != theirs {
                return ours.cmp(&theirs);
            }
        }
        let same = 8 * ours.len().min(theirs.len());
        self.get(same..).cmp(&other.get(same..))
    }
}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_bytes() {
        let texts: [&[u8]; 9] = [
            b"",
            b"/usr",
            b"/usr/lib",
            b"/usr/lib/",
            b"/usr/lib/libc.so",
            b"/usr/lib/libc.so.6",
            b"/usr/lib\xff",
            b"/usr/lib\x00/x/y/z",
            b"/usr/share/0123456789",
        ];
        for one in texts {
            for other in texts {
                let (left, right) = (Path::from(one.to_vec()), Path::from(other.to_vec()));
                assert_eq!(left.cmp(&right), one.cmp(other), "{one:?} {other:?}");
            }
        }
    }
}
