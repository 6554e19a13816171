//! Programs are interpreted here and compared with what the rules say; `compat-tests` compare them
//! with what the kernel does.
#![expect(clippy::panic, reason = "a test says what went wrong")]

use super::*;

use crate::confine::seccomp::bpf::{AUDIT_ARCH, FOREIGN_NUMBERS, Rule, Rules};
use crate::confine::seccomp::cbpf::Call;

/// A condition on all 64 bits of an argument.
type Test = (u8, SeccompCmpOp, u64);

/// What one rule says.
type Said = (Vec<Test>, SeccompAction);

/// What the rules say, word for word.
fn meant(rules: &[Said], default: &SeccompAction, args: [u64; 6]) -> u32 {
    let holds = |(index, operator, value): &Test| {
        let (arg, value) = (args[usize::from(*index)], *value);
        match operator {
            SeccompCmpOp::Eq => arg == value,
            SeccompCmpOp::Ne => arg != value,
            SeccompCmpOp::Lt => arg < value,
            SeccompCmpOp::Le => arg <= value,
            SeccompCmpOp::Gt => arg > value,
            SeccompCmpOp::Ge => arg >= value,
            SeccompCmpOp::MaskedEq(mask) => arg & mask == value & mask,
        }
    };
    let matching = rules.iter().filter(|(tests, _)| tests.iter().all(holds));
    let answers = matching.map(|(_, action)| u32::from(action.clone()));
    let rank = |answer: &u32| (answer & libc::SECCOMP_RET_ACTION_FULL).cast_signed();
    answers.min_by_key(rank).unwrap_or(default.clone().into())
}

/// The rule that says this.
fn rule((tests, action): &Said) -> Rule {
    let said = |(index, operator, value): &Test| condition(*index, operator.clone(), *value);
    let conditions = tests.iter().map(said).collect::<Result<_, _>>();
    let rule = conditions.and_then(|conditions| Rule::new(conditions, action.clone()));
    rule.unwrap_or_else(|problem| panic!("{tests:?}: {problem}"))
}

/// Numbers that are different every time and the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// Values around which comparisons change their outcome.
    fn value(&mut self) -> u64 {
        let near = [
            0,
            1,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0x1_0000_0000,
            0x1_0000_0001,
            1 << 63,
            u64::MAX - 1,
            u64::MAX,
        ];
        let index = usize::try_from(self.below(10)).unwrap_or_default();
        near.get(index).copied().unwrap_or_default().wrapping_add(self.below(3)).wrapping_sub(1)
    }

    fn test(&mut self) -> Test {
        let (index, value) = (self.below(6), self.value());
        let operator = match self.below(7) {
            0 => SeccompCmpOp::Eq,
            1 => SeccompCmpOp::Ne,
            2 => SeccompCmpOp::Lt,
            3 => SeccompCmpOp::Le,
            4 => SeccompCmpOp::Gt,
            5 => SeccompCmpOp::Ge,
            _ => SeccompCmpOp::MaskedEq(self.value()),
        };
        (u8::try_from(index).unwrap_or_default(), operator, value)
    }

    fn action(&mut self) -> SeccompAction {
        match self.below(8) {
            0 => SeccompAction::Allow,
            1 => SeccompAction::Log,
            2 => SeccompAction::Trace(5),
            3 => SeccompAction::Errno(1),
            4 => SeccompAction::Errno(38),
            5 => SeccompAction::Trap,
            6 => SeccompAction::KillThread,
            _ => SeccompAction::KillProcess,
        }
    }

    fn rule(&mut self) -> Said {
        // Some are so long that their jumps need a jump of their own.
        let length = if self.below(20) == 0 { 60 } else { self.below(4) };
        ((0..length).map(|_| self.test()).collect(), self.action())
    }
}

#[test]
fn programs_do_what_the_rules_say() {
    let mut random = Random(1);
    for round in 0..60 {
        let mut said: BTreeMap<u32, Vec<Said>> = BTreeMap::new();
        for _ in 0..random.below(120) {
            let number = u32::try_from(random.below(500)).unwrap_or_default();
            said.entry(number).or_default().push(random.rule());
        }
        let rules: Rules =
            said.iter().map(|(&number, said)| (number, said.iter().map(rule).collect())).collect();
        let (default, beyond) = (random.action(), random.action());
        let highest = rules.last_key_value().map(|(&number, _)| number);
        let program = compile_beyond(&rules, default.clone(), beyond.clone()).unwrap_or_default();
        assert!(!program.is_empty(), "round {round}");
        for number in (0..510_u32).chain([FOREIGN_NUMBERS - 1]) {
            let said = said.get(&number).map(Vec::as_slice).unwrap_or_default();
            let default =
                if highest.is_none_or(|highest| number > highest) { &beyond } else { &default };
            for _ in 0..8 {
                let args = std::array::from_fn(|_| random.value());
                let found = Call { number, arch: AUDIT_ARCH, args }.answer(&program);
                assert_eq!(
                    found,
                    Some(meant(said, default, args)),
                    "round {round}, call {number} {args:?}"
                );
            }
        }
    }
}

#[test]
fn foreign_calls_are_refused_whatever_the_rules_say() {
    let program = compile(&Rules::<Rule>::new(), SeccompAction::Allow).unwrap_or_default();
    let run = |arch, number| Call { number, arch, args: [0; 6] }.answer(&program);
    assert_eq!(run(AUDIT_ARCH, 0), Some(libc::SECCOMP_RET_ALLOW));
    assert_eq!(run(AUDIT_ARCH, FOREIGN_NUMBERS), Some(libc::SECCOMP_RET_ERRNO + 38));
    assert_eq!(run(AUDIT_ARCH, u32::MAX), Some(libc::SECCOMP_RET_ERRNO + 38));
    for arch in [0x4000_0003, 0x4000_0028, 0, u32::MAX] {
        assert_eq!(run(arch, 0), Some(libc::SECCOMP_RET_KILL_PROCESS), "{arch:#x}");
    }
}

#[test]
fn too_many_rules_are_an_error() {
    let said = |value| (vec![(0, SeccompCmpOp::Eq, value)], SeccompAction::Errno(1));
    let rules = Rules::from([(1, (0..2000).map(|value| rule(&said(value))).collect())]);
    assert_eq!(compile(&rules, SeccompAction::Errno(2)).err(), Some(Errno::E2BIG));
}
