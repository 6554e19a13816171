//! Makes a plan smaller while what it shows is still to be seen.

use super::plan::{Piece, Plan};

/// How many plans are tried in all; every one of them is a run of both sides.
const TRIES: usize = 120;

/// The smallest plan that can be reached by leaving things out one by one and for which `shows` stays true.
pub(super) fn shrink(plan: &Plan, mut shows: impl FnMut(&Plan) -> bool) -> Plan {
    let mut best = plan.clone();
    let mut left = TRIES;
    loop {
        let candidates = smaller(&best).into_iter().take(left).collect::<Vec<_>>();
        let found = candidates.iter().position(&mut shows);
        left -= found.map_or(candidates.len(), |at| at + 1);
        match found {
            Some(at) => best = candidates[at].clone(),
            None => return best,
        }
    }
}

/// Every plan that lacks one thing.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut all = vec![];
    for at in (0..plan.pieces.len()).rev() {
        let mut without = plan.clone();
        let removed = without.pieces.remove(at);
        all.push(without.clone());
        if let Piece::Args(_, options, _) = removed {
            // The same options on the command line itself, or one fewer.
            let mut inline = without;
            inline.pieces.splice(at..at, options.iter().cloned().map(Piece::Words));
            all.push(inline);
        }
    }
    let forget: [fn(&mut Plan) -> bool; 4] = [
        |plan| !std::mem::take(&mut plan.env).is_empty(),
        |plan| plan.cwd.take().is_some(),
        |plan| plan.umask.take().is_some(),
        |plan| plan.closed.take().is_some(),
    ];
    for forget in forget {
        let mut without = plan.clone();
        if forget(&mut without) {
            all.push(without);
        }
    }
    for number in plan.fds.keys() {
        let mut without = plan.clone();
        without.fds.remove(number);
        all.push(without);
    }
    all
}
