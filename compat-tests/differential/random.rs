//! Pseudo-random choices that are the same on every machine: splitmix64. The inputs in `compat-tests/fuzz` are made by it too.

use std::cell::Cell;

/// A sequence of choices.
pub(super) struct Random(Cell<u64>);

impl Random {
    /// The sequence of one run.
    pub(super) fn of(seed: u64, run: u64) -> Self {
        let start = Self(Cell::new(seed)).next().wrapping_add(run);
        Self(Cell::new(Self(Cell::new(start)).next()))
    }

    fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below a limit that is not 0.
    pub(super) fn below(&self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or_default()
    }

    /// True that many times in a hundred.
    pub(super) fn percent(&self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}
