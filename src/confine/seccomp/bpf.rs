//! From rules about system calls to one classic BPF program, see seccomp(2) and the kernel's
//! Documentation/networking/filter.rst.
//!
//! seccompiler makes the code of a rule's conditions. What is done here is the search for the
//! call's number, by halving, so that neither a call nor the kernel, which tries every number out
//! when a filter is installed, has to go along a list of hundreds. Instructions are put together
//! from the last one to the first: BPF jumps only forwards, so whatever is jumped to is there
//! already.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use libc::sock_filter;
use nix::errno::Errno;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompRule,
};

use crate::confine::seccomp::program::MAX_INSTRUCTIONS;

/// `AUDIT_ARCH_…` of linux/audit.h: what seccomp calls this architecture.
#[cfg(target_arch = "x86_64")]
pub(crate) const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(crate) const AUDIT_ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
pub(crate) const AUDIT_ARCH: u32 = 0xc000_00f3;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("src/confine/seccomp/bpf.rs does not know what seccomp calls this architecture");

/// Numbers from here on are x32's on x86_64, and nobody's elsewhere.
const FOREIGN_NUMBERS: u32 = 0x4000_0000;

/// The action for calls that do not exist.
pub(crate) const UNAVAILABLE: SeccompAction = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// What a filter answers, as `SECCOMP_RET_…` with its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Answer(pub(crate) u32);

impl From<SeccompAction> for Answer {
    fn from(action: SeccompAction) -> Self {
        Self(action.into())
    }
}

impl Answer {
    /// How little is left of the call: the kernel orders actions as signed numbers, the smallest
    /// first.
    const fn rank(self) -> i32 {
        (self.0 & libc::SECCOMP_RET_ACTION_FULL).cast_signed()
    }
}

/// A condition on all 64 bits of an argument; an error if there is no such argument.
pub(crate) fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    let length = match operator {
        // With a mask of low bits only, the high half does not matter.
        SeccompCmpOp::MaskedEq(mask) if u32::try_from(mask).is_ok() => SeccompCmpArgLen::Dword,
        _ => SeccompCmpArgLen::Qword,
    };
    SeccompCondition::new(argument, length, operator, value)
}

/// The code, the two jumps and the operand of an instruction.
type Instruction = (u16, u8, u8, u32);

/// The result if every condition holds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    /// Goes on behind its end if all conditions hold, else one instruction further on.
    conditions: Vec<Instruction>,
    /// The answer.
    answer: Answer,
}

impl Rule {
    /// A rule that always matches.
    pub(crate) fn always(action: SeccompAction) -> Self {
        Self { conditions: Vec::new(), answer: action.into() }
    }

    /// Makes a rule; without conditions it always matches.
    pub(crate) fn new(
        conditions: Vec<SeccompCondition>,
        action: SeccompAction,
    ) -> Result<Self, BackendError> {
        Self::answering(conditions, action.into())
    }

    /// The same with an answer that is no action of seccompiler's.
    pub(crate) fn answering(
        conditions: Vec<SeccompCondition>,
        answer: Answer,
    ) -> Result<Self, BackendError> {
        if conditions.is_empty() {
            return Ok(Self { conditions: Vec::new(), answer });
        }
        let code = BpfProgram::from(SeccompRule::new(conditions)?);
        // Nothing reaches the instructions that a jump at the beginning skips.
        let skipped = match code.first() {
            Some(first) if u32::from(first.code) == JUMP => first.k.saturating_add(1),
            _ => 0,
        };
        let conditions = code.into_iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        let conditions = conditions.map(|code| (code.code, code.jt, code.jf, code.k)).collect();
        Ok(Self { conditions, answer })
    }

    /// Whether it matches whatever the arguments are.
    pub(crate) const fn is_unconditional(&self) -> bool {
        self.conditions.is_empty()
    }

    /// How little its answer leaves of the call, the smallest number least.
    pub(crate) const fn rank(&self) -> i32 {
        self.answer.rank()
    }
}

/// The rules by system call. Of those that match, the one that leaves least of the call counts, and
/// of equal ones the first.
pub(crate) type Rules<R = Rule> = BTreeMap<u32, Vec<R>>;

/// The rules for one system call, in the order in which they are tried, and the result
/// if none of them matches.
type Decision<'a> = (Vec<&'a Rule>, Answer);

/// Makes the program. E2BIG if it is longer than what the kernel takes.
pub(crate) fn compile<R: Borrow<Rule>>(
    rules: &Rules<R>,
    default: SeccompAction,
) -> Result<Vec<sock_filter>, Errno> {
    compile_beyond(rules, default.clone(), default)
}

/// The same with another default for the numbers above all those that rules are about.
pub(crate) fn compile_beyond<R: Borrow<Rule>>(
    rules: &Rules<R>,
    default: SeccompAction,
    beyond: SeccompAction,
) -> Result<Vec<sock_filter>, Errno> {
    let foreign = Foreign { numbers: FOREIGN.into(), arch: SeccompAction::KillProcess.into() };
    compile_with(rules, (default.into(), beyond.into()), foreign)
}

/// The result for calls of another architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign {
    /// The result for calls of x32, which has its own numbers.
    pub(crate) numbers: Answer,
    /// To those of 32-bit programs.
    pub(crate) arch: Answer,
}

/// The same with any answers.
pub(crate) fn compile_with<R: Borrow<Rule>>(
    rules: &Rules<R>,
    (default, beyond): (Answer, Answer),
    foreign: Foreign,
) -> Result<Vec<sock_filter>, Errno> {
    let mut assembler = Assembler::default();
    let mut known: BTreeMap<Decision<'_>, Label> = BTreeMap::new();
    // Runs of call numbers with the same decision.
    let mut runs: Vec<(u32, Label)> = Vec::new();
    let mut next = 0;
    let mut add = |first: u32, decision| {
        let label = match known.get(&decision) {
            Some(&label) => label,
            None => assembler.decision(&decision)?,
        };
        known.insert(decision, label);
        if runs.last().is_none_or(|&(_, last)| last != label) {
            runs.push((first, label));
        }
        Ok(())
    };
    for (&number, rules) in rules.range(..FOREIGN_NUMBERS) {
        if next < number {
            add(next, (Vec::new(), default))?;
        }
        add(number, decide(rules, default))?;
        next = number + 1;
    }
    add(next, (Vec::new(), beyond))?;
    let search = assembler.search(&runs);
    assembler.prologue(search, foreign);
    let program = assembler.finish();
    if program.len() > MAX_INSTRUCTIONS { Err(Errno::E2BIG) } else { Ok(program) }
}

/// Puts the rules about one call into the order in which they count. What comes after one that
/// always matches never does.
fn decide<R: Borrow<Rule>>(rules: &[R], default: Answer) -> Decision<'_> {
    let mut rules: Vec<&Rule> = rules.iter().map(Borrow::borrow).collect();
    rules.sort_by_key(|rule| rule.rank());
    match rules.iter().position(|rule| rule.is_unconditional()) {
        Some(index) => {
            let last = rules.get(index).map_or(default, |rule| rule.answer);
            rules.truncate(index);
            (rules, last)
        }
        None => (rules, default),
    }
}

/// `goto`
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;

/// `return`
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// An instruction's place, counted from the end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// A program that grows from its end to its beginning.
#[derive(Default)]
struct Assembler {
    /// The last instruction first.
    reversed: Vec<sock_filter>,
    /// Where each answer is given.
    answers: BTreeMap<Answer, Label>,
}

impl Assembler {
    fn push(&mut self, code: u32, jump: (u8, u8), k: u32) -> Label {
        // Every code is one of a few constants below 256.
        let code = u16::try_from(code).unwrap_or_default();
        self.reversed.push(sock_filter { code, jt: jump.0, jf: jump.1, k });
        Label(self.reversed.len() - 1)
    }

    /// How many instructions the next one must skip to get there.
    fn distance(&self, to: Label) -> usize {
        self.reversed.len() - 1 - to.0
    }

    /// `return ANSWER`
    fn answer(&mut self, answer: Answer) -> Label {
        if let Some(&label) = self.answers.get(&answer) {
            return label;
        }
        let label = self.push(RETURN, (0, 0), answer.0);
        self.answers.insert(answer, label);
        label
    }

    /// Goes to a place however far away it is; nothing is needed if that is the next instruction.
    fn go(&mut self, to: Label) -> Label {
        match u32::try_from(self.distance(to)) {
            Ok(0) | Err(_) => to,
            Ok(distance) => self.push(JUMP, (0, 0), distance),
        }
    }

    /// A comparison of the accumulator with a number, `BPF_JEQ`, `BPF_JGT` or `BPF_JGE`.
    fn branch(&mut self, comparison: u32, k: u32, yes: Label, no: Label) -> Label {
        let near = |assembler: &Self, label: Label, more: usize| {
            u8::try_from(assembler.distance(label) + more).ok()
        };
        // A conditional jump has one byte for its distance. Targets farther away get a jump of
        // their own, which moves everything else away by one or two instructions.
        let yes = if near(self, yes, 2).is_none() { self.go(yes) } else { yes };
        let no = if near(self, no, 1).is_none() { self.go(no) } else { no };
        let jump = (near(self, yes, 0).unwrap_or_default(), near(self, no, 0).unwrap_or_default());
        self.push(libc::BPF_JMP | libc::BPF_K | comparison, jump, k)
    }

    /// Loads a word of `struct seccomp_data`, and continues at `next`.
    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.go(next);
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (0, 0), offset)
    }

    /// Everything about one call. E2BIG as soon as that is too long.
    fn decision(&mut self, (rules, otherwise): &Decision<'_>) -> Result<Label, Errno> {
        let mut next = self.answer(*otherwise);
        if !rules.is_empty() {
            next = self.go(next);
        }
        for rule in rules.iter().rev() {
            if self.reversed.len() > MAX_INSTRUCTIONS {
                return Err(Errno::E2BIG);
            }
            // The rule continues with the instruction right after its conditions, so each rule has
            // its own return.
            next = self.push(RETURN, (0, 0), rule.answer.0);
            for &(code, jt, jf, k) in rule.conditions.iter().rev() {
                next = self.push(code.into(), (jt, jf), k);
            }
        }
        Ok(next)
    }

    /// Finds the run that the number in the accumulator is in.
    fn search(&mut self, runs: &[(u32, Label)]) -> Label {
        let (below, above) = runs.split_at(runs.len() / 2);
        match (below, above) {
            ([], [(_, label)]) => *label,
            ([], _) | (_, []) => self.answer(SeccompAction::KillProcess.into()),
            (_, [(first, _), ..]) => {
                let above = self.search(above);
                let below = self.search(below);
                self.branch(libc::BPF_JGE, *first, above, below)
            }
        }
    }

    /// What comes before the search: calls in the manner of other architectures mean something else
    /// by the same number.
    fn prologue(&mut self, search: Label, foreign: Foreign) {
        let numbers = self.answer(foreign.numbers);
        let ours = self.branch(libc::BPF_JGE, FOREIGN_NUMBERS, numbers, search);
        let ours = self.load(NUMBER, ours);
        let other = self.answer(foreign.arch);
        let checked = self.branch(libc::BPF_JEQ, AUDIT_ARCH, ours, other);
        self.load(ARCH, checked);
    }

    fn finish(mut self) -> Vec<sock_filter> {
        self.reversed.reverse();
        self.reversed
    }
}

/// The result for a call of x32, as on a kernel without it.
const FOREIGN: SeccompAction = UNAVAILABLE;

#[cfg(test)]
#[path = "bpf_tests.rs"]
mod tests;
