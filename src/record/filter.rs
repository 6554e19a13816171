//! The filter whose listener hears of every call that names a file or a socket.
//!
//! It is installed before every other one. That changes nothing about what they refuse: the
//! strictest answer counts, and asking somebody is less strict than every refusal.

use std::os::fd::RawFd;

use libc::sock_filter;
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};

use crate::confine::seccomp::asking;
use crate::confine::seccomp::bpf::{self, Answer, Foreign, Rule, Rules};
use crate::confine::seccomp::cbpf::Call;
use crate::confine::seccomp::program::{MAX_INSTRUCTIONS, Program};
use crate::error::{Context, Error, Result};
use crate::record::base;
use crate::record::calls;

const NOTIFY: Answer = Answer(libc::SECCOMP_RET_USER_NOTIF);
const ALLOW: Answer = Answer(libc::SECCOMP_RET_ALLOW);

/// The one message that has to pass without being heard of: it is what hands the listener over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage {
    /// The socket.
    pub(crate) socket: RawFd,
    /// Where the message is described.
    pub(crate) message: u64,
}

/// The filter; with `every` call that the base set lacks, or only those that name something, and
/// with what these policies refuse.
pub(crate) fn program(
    every: bool,
    passage: Passage,
    policies: &[Program],
) -> Result<Vec<sock_filter>> {
    const FAILURE: &str = "Can't make the filter for recording";
    let rules =
        rules(every, passage).map_err(|problem| Error::new(format!("{FAILURE}: {problem}")))?;
    let others = if every { NOTIFY } else { ALLOW };
    // Calls in the manner of other architectures would be missed.
    let foreign = Foreign { numbers: NOTIFY, arch: NOTIFY };
    let own = bpf::compile_with(&rules, (others, others), foreign).context(FAILURE)?;
    let message = [u64::from(passage.socket.unsigned_abs()), passage.message, 0, 0, 0, 0];
    let message = Call::new(libc::SYS_sendmsg, message);
    let policies: Vec<&[sock_filter]> =
        policies.iter().map(|policy| policy.instructions.as_slice()).collect();
    if asking::refusal(policies.iter().copied(), &message).is_some() {
        return Err(Error::new("Can't explain a policy that refuses sendmsg"));
    }
    let mut all: Vec<_> = policies.iter().flat_map(|policy| asking::asking(policy)).collect();
    all.extend(own);
    if all.len() > MAX_INSTRUCTIONS {
        return Err(Error::new("Can't explain policies that are as long as these"));
    }
    Ok(all)
}

fn rules(every: bool, passage: Passage) -> std::result::Result<Rules, BackendError> {
    let mut rules = Rules::new();
    if every {
        for number in base::numbers() {
            rules.insert(number, vec![Rule::answering(Vec::new(), ALLOW)?]);
        }
    }
    for (number, _) in calls::all() {
        rules.insert(number, vec![Rule::answering(Vec::new(), NOTIFY)?]);
    }
    // A new mount namespace gives paths another meaning; other clones are what programs do all the
    // time. What clone3 is asked for is in memory.
    if !every {
        let flag = u64::from(libc::CLONE_NEWNS.unsigned_abs());
        let asks =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag)?;
        let clone = vec![Rule::answering(vec![asks], NOTIFY)?];
        rules.insert(u32::try_from(libc::SYS_clone).unwrap_or_default(), clone);
    }
    let socket = u64::from(passage.socket.unsigned_abs());
    let differs = |argument, value| {
        let condition =
            SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, value)?;
        Rule::answering(vec![condition], NOTIFY)
    };
    let passing = vec![
        differs(0, socket)?,
        differs(1, passage.message)?,
        Rule::answering(Vec::new(), ALLOW)?,
    ];
    rules.insert(u32::try_from(libc::SYS_sendmsg).unwrap_or_default(), passing);
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use libc::c_long;

    use super::*;

    fn answer(every: bool, call: c_long, args: [u64; 6]) -> Option<u32> {
        let passage = Passage { socket: 7, message: 0x7fff_1234_5678 };
        Call::new(call, args).answer(&program(every, passage, &[]).unwrap_or_default())
    }

    #[test]
    fn one_message_passes() {
        let args = |socket, message| [socket, message, 0, 0, 0, 0];
        for every in [false, true] {
            for (socket, message, expected) in [
                (7, 0x7fff_1234_5678, ALLOW),
                (8, 0x7fff_1234_5678, NOTIFY),
                (7, 0x7fff_1234_5679, NOTIFY),
                (7, 0x1_7fff_1234_5678, NOTIFY),
                (7, 0x1234_5678, NOTIFY),
            ] {
                let found = answer(every, libc::SYS_sendmsg, args(socket, message));
                assert_eq!(found, Some(expected.0), "{socket} {message:#x}");
            }
        }
    }

    #[test]
    fn what_names_something_is_heard_of() {
        for (number, kind) in calls::all() {
            for every in [false, true] {
                let found = answer(every, number.into(), [0; 6]);
                assert_eq!(found, Some(NOTIFY.0), "{number} {kind:?}");
            }
        }
    }

    #[test]
    fn what_computes_is_not() {
        for call in [libc::SYS_read, libc::SYS_write, libc::SYS_mmap, libc::SYS_futex] {
            assert_eq!(answer(false, call, [0; 6]), Some(ALLOW.0), "{call}");
            assert_eq!(answer(true, call, [0; 6]), Some(ALLOW.0), "{call}");
        }
        assert_eq!(answer(false, libc::SYS_ptrace, [0; 6]), Some(ALLOW.0));
        assert_eq!(answer(true, libc::SYS_ptrace, [0; 6]), Some(NOTIFY.0));
        let forked = [u64::from(libc::SIGCHLD.unsigned_abs()), 0, 0, 0, 0, 0];
        assert_eq!(answer(false, libc::SYS_clone, forked), Some(ALLOW.0));
        let mounts = [u64::from(libc::CLONE_NEWNS.unsigned_abs()), 0, 0, 0, 0, 0];
        assert_eq!(answer(false, libc::SYS_clone, mounts), Some(NOTIFY.0));
    }
}
