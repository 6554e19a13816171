//! How memory is handed out: by sizes of a few classes, one behind the other, and what is given back
//! is for the next block of its class.
//!
//! Nearly all that a sandbox's set-up allocates lives until COMMAND is executed. This touches
//! fewer pages than a C library's allocator, whichever it is, and each page that is touched costs
//! every process that is cloned from this one. The memory itself is in [`sys`](super::sys).

/// All blocks begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 16;

/// Up to here the classes are the multiples of 16; beyond, the powers of two.
const SMALL: usize = 512;

/// The largest block that is not left to the C library, which gives the pages of larger ones back:
/// they are the lists of hundreds of words, and what stays while COMMAND runs needs none of them.
const LARGEST: usize = 32 * 1024;

const SMALL_CLASSES: usize = SMALL / ALIGNMENT;

/// How many classes there are.
pub(crate) const CLASSES: usize = SMALL_CLASSES + (LARGEST.ilog2() - SMALL.ilog2()) as usize;

/// A class of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    /// Which one.
    pub(crate) index: usize,
    /// The size of its blocks.
    pub(crate) size: usize,
}

impl Class {
    /// The class for blocks of a size and alignment; none if they are the C library's.
    pub(crate) const fn of(size: usize, alignment: usize) -> Option<Self> {
        if size > LARGEST || alignment > ALIGNMENT {
            return None;
        }
        if size <= SMALL {
            let index = if size == 0 { 0 } else { (size - 1) / ALIGNMENT };
            return Some(Self { index, size: (index + 1) * ALIGNMENT });
        }
        let size = size.next_power_of_two();
        let index = SMALL_CLASSES + (size.ilog2() - SMALL.ilog2()) as usize - 1;
        Some(Self { index, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_large_enough_and_has_its_class() {
        let mut sizes = [0; CLASSES];
        for size in 0..=LARGEST {
            let Some(class) = Class::of(size, 8) else { unreachable!("{size}") };
            assert!(class.size >= size && class.size % ALIGNMENT == 0, "{size}: {class:?}");
            assert!(class.size <= (2 * size).max(ALIGNMENT), "{size}: {class:?}");
            let known = &mut sizes[class.index];
            assert!(matches!(*known, 0 if class.size > 0) || *known == class.size, "{size}");
            *known = class.size;
        }
        assert!(sizes.iter().all(|&size| size > 0) && sizes.is_sorted());
    }

    #[test]
    fn the_rest_is_the_c_library_s() {
        assert_eq!(Class::of(LARGEST + 1, 8), None);
        assert_eq!(Class::of(16, 32), None);
    }
}
