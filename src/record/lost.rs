//! Calls that nobody knows of: an answerer that was killed had received them, and had not said so.
//!
//! To the kernel such a call waits for its answer; nobody else will receive it. The ids of calls
//! follow each other, and calls are received in their order, so the ids tell which ones that may be.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::kernel::sys::{self, Reply};
use crate::record::shared::Shared;

/// How many ids there may be between the last call that is known of and one that is not: calls of
/// processes that were killed before anybody received them.
const GAP: u64 = 4096;
/// How many ids are looked at. The second answerer may have seen nothing for long.
const MOST: u64 = 1 << 20;

/// Calls that may be lost.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    ids: Vec<u64>,
    /// When they were found.
    since: Option<Instant>,
    /// Whether there may be one before the first call of all: nobody knows where ids begin.
    is_unknown: bool,
}

impl Lost {
    /// An answerer has ended: looks for what it may have received.
    pub(crate) fn look(&mut self, listener: BorrowedFd<'_>, shared: &Shared, place: usize) {
        let last = shared.last.get(place).map_or(0, |last| last.load(Ordering::Acquire));
        let newest = shared.newest.load(Ordering::Acquire);
        let first = if last == 0 { newest.saturating_sub(GAP) } else { last };
        let ids = first.max(newest.saturating_sub(MOST))..newest.saturating_add(GAP);
        self.is_unknown |= newest == 0;
        self.ids.extend(ids.filter(|id| is_lost(listener, shared, *id)));
        self.since = Some(Instant::now());
    }

    /// Those of them that are lost: after so long a process that was just about to say that it has
    /// received one has said so. Nothing is known if there has not been any call.
    pub(crate) fn found(
        &mut self,
        listener: BorrowedFd<'_>,
        shared: &Shared,
        patience: Duration,
    ) -> Option<Vec<u64>> {
        if self.since.is_none_or(|since| since.elapsed() < patience) {
            return Some(Vec::new());
        }
        self.since = None;
        let newest = shared.newest.load(Ordering::Acquire);
        if std::mem::take(&mut self.is_unknown) {
            if newest == 0 {
                return None;
            }
            self.ids.extend(newest.saturating_sub(GAP)..newest.saturating_add(GAP));
        }
        let ids = std::mem::take(&mut self.ids).into_iter();
        Some(ids.filter(|id| is_lost(listener, shared, *id)).collect())
    }
}

/// Answers a call that nobody will look at any more. What a policy may refuse is not done.
pub(crate) fn answer(listener: BorrowedFd<'_>, call: u64, may_be_refused: bool) {
    let refused = Reply::Fail(libc::ENOSYS.unsigned_abs());
    let reply = if may_be_refused { refused } else { Reply::Continue };
    // Whoever made it may have been killed.
    _ = sys::reply_to_call(listener, call, reply);
}

/// Whether a call was received and waits, and no answerer has it.
fn is_lost(listener: BorrowedFd<'_>, shared: &Shared, id: u64) -> bool {
    let is_known = || shared.pending.iter().any(|pending| pending.load(Ordering::Acquire) == id);
    sys::is_call_waiting(listener, id) && !is_known()
}
