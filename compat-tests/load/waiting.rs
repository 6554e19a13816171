//! Waiting for what has to become so. Nothing is said about how fast: the deadline only ends what will never be.

use std::time::{Duration, Instant};

use crate::harness::Result;

const DEADLINE: Duration = Duration::from_mins(5);

/// Asks again and again until it is so.
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) -> Result<()> {
    ask(what, is_so, Duration::from_millis(50))
}

/// The same for a question that takes itself what it asks for, and gives it back some time later.
pub(crate) fn until_given_back(what: &str, is_so: impl FnMut() -> bool) -> Result<()> {
    ask(what, is_so, Duration::from_secs(10))
}

fn ask(what: &str, mut is_so: impl FnMut() -> bool, longest: Duration) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    let mut pause = Duration::from_micros(200);
    while !is_so() {
        if Instant::now() > end {
            return Err(format!("{what}: not after {DEADLINE:?}"));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
    Ok(())
}
