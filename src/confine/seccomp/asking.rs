//! Filters whose refusals are heard of: where a program answers with an errno it asks instead, and
//! whoever is asked answers with the same errno.
//!
//! The kernel passes a call's number and arguments on as they are, and the answer is not to go on,
//! so nothing can change between the question and the answer.

use libc::sock_filter;

use crate::confine::seccomp::cbpf::Call;

/// `goto`
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;

/// `return`
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// The errno of an answer that refuses with one; 0 is a call that seems to succeed. The kernel
/// knows none above this.
fn errno(answer: u32) -> Option<u32> {
    const LARGEST: u32 = 4095;
    let refuses = answer & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_ERRNO;
    refuses.then_some((answer & libc::SECCOMP_RET_DATA).min(LARGEST))
}

fn returns(instruction: sock_filter) -> bool {
    u32::from(instruction.code) == RETURN
}

/// The same program, which allows what it refuses with an errno. What is worse stays.
pub(crate) fn lenient(program: &[sock_filter]) -> Vec<sock_filter> {
    let change = |instruction: &sock_filter| match errno(instruction.k) {
        Some(_) if returns(*instruction) => {
            sock_filter { k: libc::SECCOMP_RET_ALLOW, ..*instruction }
        }
        _ => *instruction,
    };
    program.iter().map(change).collect()
}

/// The same program, which asks about what it refuses with an errno and leaves everything else to
/// what stands behind it.
pub(crate) fn asking(program: &[sock_filter]) -> Vec<sock_filter> {
    let change = |(index, instruction): (usize, &sock_filter)| {
        if !returns(*instruction) {
            return *instruction;
        }
        if errno(instruction.k).is_some() {
            return sock_filter { k: libc::SECCOMP_RET_USER_NOTIF, ..*instruction };
        }
        let distance = u32::try_from(program.len() - index - 1).unwrap_or(u32::MAX);
        sock_filter { code: u16::try_from(JUMP).unwrap_or_default(), jt: 0, jf: 0, k: distance }
    };
    program.iter().enumerate().map(change).collect()
}

/// With which errno these programs refuse a call, the one that was installed last first, as in the
/// kernel.
pub(crate) fn refusal<'a>(
    programs: impl DoubleEndedIterator<Item = &'a [sock_filter]>,
    call: &Call,
) -> Option<u32> {
    programs.rev().find_map(|program| errno(call.answer(program)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::seccomp::bpf::{Rule, Rules, compile, condition};
    use seccompiler::{SeccompAction, SeccompCmpOp};

    /// mkdir is EOPNOTSUPP, kill of 7 EPERM, reboot kills, all else is allowed.
    fn policy() -> Vec<sock_filter> {
        let number = |call: libc::c_long| u32::try_from(call).unwrap_or_default();
        let seven = condition(0, SeccompCmpOp::Eq, 7);
        let kill = seven.and_then(|seven| Rule::new(vec![seven], SeccompAction::Errno(1)));
        let rules: Rules = [
            (number(libc::SYS_mkdirat), vec![Rule::always(SeccompAction::Errno(95))]),
            (number(libc::SYS_kill), kill.into_iter().collect()),
            (number(libc::SYS_reboot), vec![Rule::always(SeccompAction::KillProcess)]),
        ]
        .into();
        compile(&rules, SeccompAction::Allow).unwrap_or_default()
    }

    fn call(number: libc::c_long, first: u64) -> Call {
        Call::new(number, [first, 0, 0, 0, 0, 0])
    }

    #[test]
    fn what_is_refused_is_asked_about() {
        let behind = sock_filter { code: 6, jt: 0, jf: 0, k: 0x7ffc_0000 };
        let mut program = asking(&policy());
        program.push(behind);
        for (call, expected) in [
            (call(libc::SYS_mkdirat, 0), libc::SECCOMP_RET_USER_NOTIF),
            (call(libc::SYS_kill, 7), libc::SECCOMP_RET_USER_NOTIF),
            (call(libc::SYS_kill, 8), behind.k),
            (call(libc::SYS_reboot, 0), behind.k),
            (call(libc::SYS_read, 0), behind.k),
        ] {
            assert_eq!(call.answer(&program), Some(expected), "{call:?}");
        }
    }

    #[test]
    fn what_is_worse_stays() {
        let program = lenient(&policy());
        for (call, expected) in [
            (call(libc::SYS_mkdirat, 0), libc::SECCOMP_RET_ALLOW),
            (call(libc::SYS_kill, 7), libc::SECCOMP_RET_ALLOW),
            (call(libc::SYS_reboot, 0), libc::SECCOMP_RET_KILL_PROCESS),
            (call(libc::SYS_read, 0), libc::SECCOMP_RET_ALLOW),
        ] {
            assert_eq!(call.answer(&program), Some(expected), "{call:?}");
        }
    }

    #[test]
    fn the_last_refusal_counts() {
        let other = [sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | 0xffff }];
        let policy = policy();
        let of = |programs: &[&[sock_filter]], call| refusal(programs.iter().copied(), &call);
        assert_eq!(of(&[&policy], call(libc::SYS_mkdirat, 0)), Some(95));
        assert_eq!(of(&[&policy], call(libc::SYS_read, 0)), None);
        assert_eq!(of(&[&policy, &other], call(libc::SYS_mkdirat, 0)), Some(4095));
        assert_eq!(of(&[&other, &policy], call(libc::SYS_mkdirat, 0)), Some(95));
    }
}
