//! Programs are interpreted here and compared with what the rules say; `compat-tests` compare them with what the kernel does.

use super::*;

use crate::confine::seccomp::bpf::{AUDIT_ARCH, Answer, Condition, FOREIGN_NUMBERS, Rule, Rules};
use crate::confine::seccomp::cbpf::Call;

/// What the rules say, word for word.
fn meant(rules: &Rules, default: Answer, number: u32, args: [u64; 6]) -> u32 {
    let holds = |&(index, test): &Condition| {
        let arg = args.get(usize::from(index)).copied().unwrap_or_default();
        match test {
            Test::Eq(value) => arg == value,
            Test::Ne(value) => arg != value,
            Test::Lt(value) => arg < value,
            Test::Le(value) => arg <= value,
            Test::Gt(value) => arg > value,
            Test::Ge(value) => arg >= value,
            Test::Masked { mask, value } => arg & mask == value & mask,
            Test::MaskedNe { mask, value } => arg & mask != value & mask,
        }
    };
    let matching = rules.get(&number).into_iter().flatten().filter(|rule| rule.conditions.iter().all(holds));
    matching.map(|rule| rule.answer).min_by_key(|answer| answer.rank()).unwrap_or(default).0
}

/// Numbers that are different every time and the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// Values around which comparisons change their outcome.
    fn value(&mut self) -> u64 {
        let near = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 1 << 63, u64::MAX - 1, u64::MAX];
        let index = usize::try_from(self.below(10)).unwrap_or_default();
        near.get(index).copied().unwrap_or_default().wrapping_add(self.below(3)).wrapping_sub(1)
    }

    fn test(&mut self) -> Test {
        let value = self.value();
        match self.below(8) {
            0 => Test::Eq(value),
            1 => Test::Ne(value),
            2 => Test::Lt(value),
            3 => Test::Le(value),
            4 => Test::Gt(value),
            5 => Test::Ge(value),
            6 => Test::MaskedNe { mask: self.value(), value },
            _ => Test::Masked { mask: self.value(), value },
        }
    }

    fn rule(&mut self) -> Rule {
        let answers = [
            libc::SECCOMP_RET_ALLOW,
            libc::SECCOMP_RET_LOG,
            libc::SECCOMP_RET_TRACE | 5,
            Answer::errno(1).0,
            Answer::errno(38).0,
            libc::SECCOMP_RET_TRAP,
            libc::SECCOMP_RET_KILL_THREAD,
            libc::SECCOMP_RET_KILL_PROCESS,
        ];
        let answer = answers.get(usize::try_from(self.below(8)).unwrap_or_default()).copied().unwrap_or_default();
        let conditions = (0..self.below(4)).map(|_| (u8::try_from(self.below(6)).unwrap_or_default(), self.test())).collect();
        Rule { conditions, answer: Answer(answer) }
    }
}

#[test]
fn programs_do_what_the_rules_say() {
    let mut random = Random(1);
    for round in 0..60 {
        let mut rules = Rules::new();
        for _ in 0..random.below(120) {
            let number = u32::try_from(random.below(500)).unwrap_or_default();
            let rule = random.rule();
            rules.entry(number).or_default().push(rule);
        }
        let (default, beyond) = (random.rule().answer, random.rule().answer);
        let highest = rules.last_key_value().map(|(&number, _)| number);
        let program = compile_beyond(&rules, default, beyond).unwrap_or_default();
        assert!(!program.is_empty(), "round {round}");
        for number in (0..510_u32).chain([FOREIGN_NUMBERS - 1]) {
            for _ in 0..8 {
                let args = std::array::from_fn(|_| random.value());
                let default = if highest.is_none_or(|highest| number > highest) { beyond } else { default };
                let found = Call { number, arch: AUDIT_ARCH, args }.answer(&program);
                assert_eq!(found, Some(meant(&rules, default, number, args)), "round {round}, call {number} {args:?}");
            }
        }
    }
}

#[test]
fn foreign_calls_are_refused_whatever_the_rules_say() {
    let program = compile(&Rules::<Rule>::new(), Answer(libc::SECCOMP_RET_ALLOW)).unwrap_or_default();
    let run = |arch, number| Call { number, arch, args: [0; 6] }.answer(&program);
    assert_eq!(run(AUDIT_ARCH, 0), Some(libc::SECCOMP_RET_ALLOW));
    assert_eq!(run(AUDIT_ARCH, FOREIGN_NUMBERS), Some(Answer::errno(38).0));
    assert_eq!(run(AUDIT_ARCH, u32::MAX), Some(Answer::errno(38).0));
    for arch in [0x4000_0003, 0x4000_0028, 0, u32::MAX] {
        assert_eq!(run(arch, 0), Some(libc::SECCOMP_RET_KILL_PROCESS), "{arch:#x}");
    }
}

#[test]
fn too_many_rules_are_an_error() {
    let test = |value| Rule { conditions: vec![(0, Test::Eq(value))], answer: Answer::errno(1) };
    let rules = Rules::from([(1, (0..2000).map(test).collect())]);
    assert_eq!(compile(&rules, Answer::errno(2)).err(), Some(Errno::E2BIG));
}
