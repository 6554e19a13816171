//! From rules about system calls to one classic BPF program, see seccomp(2) and the kernel's Documentation/networking/filter.rst.
//!
//! A program looks for the call's number by halving, so that neither a call nor the kernel, which tries every number out when a filter
//! is installed, has to go along a list of hundreds. Instructions are put together from the last one to the first: BPF jumps only
//! forwards, so whatever is jumped to is there already.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::libc::{self, sock_filter};

use crate::confine::seccomp::program::MAX_INSTRUCTIONS;

/// `AUDIT_ARCH_…` of linux/audit.h: what seccomp calls this architecture.
#[cfg(target_arch = "x86_64")]
pub(crate) const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(crate) const AUDIT_ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
pub(crate) const AUDIT_ARCH: u32 = 0xc000_00f3;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("src/bpf.rs does not know what seccomp calls this architecture");

/// Numbers from here on are x32's on x86_64, and nobody's elsewhere.
const FOREIGN_NUMBERS: u32 = 0x4000_0000;

/// What calls that are not there fail with, as a number of 16 bits.
pub(crate) const ENOSYS: u16 = 38;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// What a filter answers, as `SECCOMP_RET_…` with its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Answer(pub(crate) u32);

impl Answer {
    /// The call fails with an errno.
    pub(crate) const fn errno(errno: u16) -> Self {
        Self(libc::SECCOMP_RET_ERRNO | errno as u32)
    }

    /// Whether the call fails with an errno, whichever.
    pub(crate) const fn is_errno(self) -> bool {
        self.0 & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_ERRNO
    }

    /// How little is left of the call: the kernel orders actions as signed numbers, the smallest first.
    pub(crate) const fn rank(self) -> i32 {
        (self.0 & libc::SECCOMP_RET_ACTION_FULL).cast_signed()
    }
}

/// How an argument is compared, all 64 bits of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Test {
    /// Equal.
    Eq(u64),
    /// Not equal.
    Ne(u64),
    /// Less.
    Lt(u64),
    /// Less or equal.
    Le(u64),
    /// Greater.
    Gt(u64),
    /// Greater or equal.
    Ge(u64),
    /// Equal in the bits of a mask.
    Masked {
        /// Which bits count.
        mask: u64,
        /// What they have to be.
        value: u64,
    },
    /// Not equal in the bits of a mask.
    MaskedNe {
        /// Which bits count.
        mask: u64,
        /// What they must not be.
        value: u64,
    },
}

/// A condition on one of the six arguments, counted from 0.
pub(crate) type Condition = (u8, Test);

/// What is answered if every condition holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    /// All of them have to hold; with none the rule always matches.
    pub(crate) conditions: Vec<Condition>,
    /// The answer.
    pub(crate) answer: Answer,
}

/// The rules by system call. Of those that match, the one that leaves least of the call counts, and of equal ones the first.
pub(crate) type Rules<R = Rule> = BTreeMap<u32, Vec<R>>;

/// What is done about one system call: rules in the order in which they are tried, and the answer if none of them matches.
type Decision<'a> = (Vec<&'a Rule>, Answer);

/// Makes the program. E2BIG if it is longer than what the kernel takes.
pub(crate) fn compile<R: Borrow<Rule>>(rules: &Rules<R>, default: Answer) -> Result<Vec<sock_filter>, Errno> {
    compile_beyond(rules, default, default)
}

/// The same with another default for the numbers above all those that rules are about.
pub(crate) fn compile_beyond<R: Borrow<Rule>>(
    rules: &Rules<R>,
    default: Answer,
    beyond: Answer,
) -> Result<Vec<sock_filter>, Errno> {
    let mut assembler = Assembler::default();
    let mut known: BTreeMap<Decision<'_>, Label> = BTreeMap::new();
    // Runs of numbers about which the same is done.
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
    assembler.prologue(search);
    let program = assembler.finish();
    if program.len() > MAX_INSTRUCTIONS { Err(Errno::E2BIG) } else { Ok(program) }
}

/// Puts the rules about one call into the order in which they count. What comes after one that always matches never does.
fn decide<R: Borrow<Rule>>(rules: &[R], default: Answer) -> Decision<'_> {
    let mut rules: Vec<&Rule> = rules.iter().map(Borrow::borrow).collect();
    rules.sort_by_key(|rule| rule.answer.rank());
    match rules.iter().position(|rule| rule.conditions.is_empty()) {
        Some(index) => {
            let last = rules.get(index).map_or(default, |rule| rule.answer);
            rules.truncate(index);
            (rules, last)
        }
        None => (rules, default),
    }
}

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

    /// How many instructions the next one has to skip to get there.
    fn distance(&self, to: Label) -> usize {
        self.reversed.len() - 1 - to.0
    }

    /// `return ANSWER`
    fn answer(&mut self, answer: Answer) -> Label {
        if let Some(&label) = self.answers.get(&answer) {
            return label;
        }
        let label = self.push(libc::BPF_RET | libc::BPF_K, (0, 0), answer.0);
        self.answers.insert(answer, label);
        label
    }

    /// Goes to a place however far away it is; nothing is needed if that is the next instruction.
    fn go(&mut self, to: Label) -> Label {
        match u32::try_from(self.distance(to)) {
            Ok(0) | Err(_) => to,
            Ok(distance) => self.push(libc::BPF_JMP | libc::BPF_JA, (0, 0), distance),
        }
    }

    /// A comparison of the accumulator with a number, `BPF_JEQ`, `BPF_JGT` or `BPF_JGE`.
    fn branch(&mut self, comparison: u32, k: u32, yes: Label, no: Label) -> Label {
        let near = |assembler: &Self, label: Label, more: usize| u8::try_from(assembler.distance(label) + more).ok();
        // What is out of a byte's reach is reached by a jump of its own. That moves everything else away by one or two instructions.
        let yes = if near(self, yes, 2).is_none() { self.go(yes) } else { yes };
        let no = if near(self, no, 1).is_none() { self.go(no) } else { no };
        let jump = (near(self, yes, 0).unwrap_or_default(), near(self, no, 0).unwrap_or_default());
        self.push(libc::BPF_JMP | libc::BPF_K | comparison, jump, k)
    }

    /// Loads a word of `struct seccomp_data`, and goes on at `next`.
    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.go(next);
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (0, 0), offset)
    }

    /// Compares one half of an argument, or some bits of it, for equality.
    fn half_is(&mut self, offset: u32, (mask, value): (u32, u32), yes: Label, no: Label) -> Label {
        let mut next = if mask == 0 { return yes } else { self.branch(libc::BPF_JEQ, value, yes, no) };
        if mask != u32::MAX {
            next = self.push(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, (0, 0), mask);
        }
        self.load(offset, next)
    }

    /// A condition on an argument: BPF sees it in two halves.
    fn condition(&mut self, (index, test): Condition, yes: Label, no: Label) -> Label {
        let low = ARGS + 8 * u32::from(index);
        let high = low + 4;
        match test {
            Test::Eq(value) => self.condition((index, Test::Masked { mask: u64::MAX, value }), yes, no),
            Test::Ne(value) => self.condition((index, Test::Masked { mask: u64::MAX, value }), no, yes),
            Test::Lt(value) => self.condition((index, Test::Ge(value)), no, yes),
            Test::Le(value) => self.condition((index, Test::Gt(value)), no, yes),
            Test::MaskedNe { mask, value } => self.condition((index, Test::Masked { mask, value }), no, yes),
            Test::Masked { mask, value } => {
                let ((mask_high, mask_low), (value_high, value_low)) = (halves(mask), halves(value & mask));
                let yes = self.half_is(low, (mask_low, value_low), yes, no);
                self.half_is(high, (mask_high, value_high), yes, no)
            }
            Test::Gt(value) | Test::Ge(value) => {
                let (value_high, value_low) = halves(value);
                let comparison = if matches!(test, Test::Gt(_)) { libc::BPF_JGT } else { libc::BPF_JGE };
                let equal = self.branch(comparison, value_low, yes, no);
                let equal = self.load(low, equal);
                let not_greater = self.branch(libc::BPF_JEQ, value_high, equal, no);
                let decided = self.branch(libc::BPF_JGT, value_high, yes, not_greater);
                self.load(high, decided)
            }
        }
    }

    /// Everything about one call. E2BIG as soon as that is too long.
    fn decision(&mut self, (rules, otherwise): &Decision<'_>) -> Result<Label, Errno> {
        let mut next = self.answer(*otherwise);
        for rule in rules.iter().rev() {
            if self.reversed.len() > MAX_INSTRUCTIONS {
                return Err(Errno::E2BIG);
            }
            let mut matched = self.answer(rule.answer);
            for &condition in rule.conditions.iter().rev() {
                matched = self.condition(condition, matched, next);
            }
            next = matched;
        }
        Ok(next)
    }

    /// Finds the run that the number in the accumulator is in.
    fn search(&mut self, runs: &[(u32, Label)]) -> Label {
        let (below, above) = runs.split_at(runs.len() / 2);
        match (below, above) {
            ([], [(_, label)]) => *label,
            ([], _) | (_, []) => self.answer(Answer(libc::SECCOMP_RET_KILL_PROCESS)),
            (_, [(first, _), ..]) => {
                let above = self.search(above);
                let below = self.search(below);
                self.branch(libc::BPF_JGE, *first, above, below)
            }
        }
    }

    /// What comes before the search: calls in the manner of other architectures mean something else by the same number.
    fn prologue(&mut self, search: Label) {
        let foreign = self.answer(Answer::errno(FOREIGN));
        let ours = self.branch(libc::BPF_JGE, FOREIGN_NUMBERS, foreign, search);
        let ours = self.load(NUMBER, ours);
        let killed = self.answer(Answer(libc::SECCOMP_RET_KILL_PROCESS));
        let checked = self.branch(libc::BPF_JEQ, AUDIT_ARCH, ours, killed);
        self.load(ARCH, checked);
    }

    fn finish(mut self) -> Vec<sock_filter> {
        self.reversed.reverse();
        self.reversed
    }
}

/// What a call of x32 fails with, as on a kernel without it.
const FOREIGN: u16 = ENOSYS;

/// The high and the low half.
fn halves(value: u64) -> (u32, u32) {
    let half = |shift: u32| u32::try_from(value >> shift & u64::from(u32::MAX)).unwrap_or_default();
    (half(32), half(0))
}

#[cfg(test)]
#[path = "bpf_tests.rs"]
mod tests;
