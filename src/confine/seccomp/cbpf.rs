//! What a classic BPF program answers about one system call, as the kernel would run it, see
//! seccomp(2).
//!
//! The caller's programs may hold every instruction that seccomp takes, so all of them are here.

use libc::sock_filter;

use crate::confine::seccomp::bpf::AUDIT_ARCH;

/// A system call of this architecture. Unknown arguments are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    /// The call's number.
    pub(crate) number: u32,
    /// What seccomp calls the architecture.
    pub(crate) arch: u32,
    /// Its arguments.
    pub(crate) args: [u64; 6],
}

/// The size of `struct seccomp_data`.
const SIZE: u32 = 64;

/// Words of memory that a program has (`BPF_MEMWORDS`).
const MEMORY: usize = 16;

impl Call {
    /// A call of our own architecture.
    pub(crate) fn new(number: libc::c_long, args: [u64; 6]) -> Self {
        Self { number: u32::try_from(number).unwrap_or(u32::MAX), arch: AUDIT_ARCH, args }
    }

    /// What the call looks like to a program: `struct seccomp_data`, whose instruction pointer is 0
    /// here.
    fn data(&self) -> [u8; SIZE as usize] {
        let mut data = [0; SIZE as usize];
        let words =
            self.number.to_ne_bytes().into_iter().chain(self.arch.to_ne_bytes()).chain([0; 8]);
        let all = words.chain(self.args.into_iter().flat_map(u64::to_ne_bytes));
        data.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        data
    }

    /// The program's answer, `SECCOMP_RET_…` with its data; `None` if the kernel would not take the
    /// program.
    pub(crate) fn answer(&self, program: &[sock_filter]) -> Option<u32> {
        let data = self.data();
        let mut machine = Machine { accumulator: 0, index: 0, memory: [0; MEMORY] };
        let mut at = 0_usize;
        // Jumps lead forwards only, so this ends.
        loop {
            let instruction = program.get(at)?;
            at = at.checked_add(1)?;
            match machine.step(*instruction, &data)? {
                Next::Go(distance) => at = at.checked_add(distance)?,
                Next::Answer(answer) => return Some(answer),
            }
        }
    }
}

/// Where a program continues.
enum Next {
    /// So many instructions further on.
    Go(usize),
    /// Nowhere: this is its answer.
    Answer(u32),
}

/// A program's registers and memory.
struct Machine {
    accumulator: u32,
    index: u32,
    memory: [u32; MEMORY],
}

impl Machine {
    /// Does one instruction. The parts of its code are those of linux/bpf_common.h.
    fn step(&mut self, instruction: sock_filter, data: &[u8]) -> Option<Next> {
        let (code, k) = (u32::from(instruction.code), instruction.k);
        let operand = if code & libc::BPF_X == 0 { k } else { self.index };
        match code & CLASS {
            libc::BPF_LD => self.accumulator = self.load(code & !CLASS, k, data)?,
            libc::BPF_LDX => self.index = self.load(code & !CLASS, k, &[])?,
            libc::BPF_ST => *self.memory.get_mut(usize::try_from(k).ok()?)? = self.accumulator,
            libc::BPF_STX => *self.memory.get_mut(usize::try_from(k).ok()?)? = self.index,
            // The kernel ends a program that divides by zero.
            libc::BPF_ALU if code & OPERATION == libc::BPF_DIV && operand == 0 => {
                return Some(Next::Answer(0));
            }
            libc::BPF_ALU => self.accumulator = self.compute(code & OPERATION, operand)?,
            libc::BPF_JMP => {
                let jump = |taken| usize::from(if taken { instruction.jt } else { instruction.jf });
                return Some(Next::Go(match code & OPERATION {
                    libc::BPF_JA => usize::try_from(k).ok()?,
                    libc::BPF_JEQ => jump(self.accumulator == operand),
                    libc::BPF_JGT => jump(self.accumulator > operand),
                    libc::BPF_JGE => jump(self.accumulator >= operand),
                    libc::BPF_JSET => jump(self.accumulator & operand != 0),
                    _ => return None,
                }));
            }
            libc::BPF_RET => {
                return Some(Next::Answer(if code & libc::BPF_A == 0 {
                    k
                } else {
                    self.accumulator
                }));
            }
            _ if code & libc::BPF_TXA == 0 => self.index = self.accumulator,
            _ => self.accumulator = self.index,
        }
        Some(Next::Go(0))
    }

    /// The word that a load fetches.
    fn load(&self, mode: u32, k: u32, data: &[u8]) -> Option<u32> {
        match mode {
            libc::BPF_IMM => Some(k),
            libc::BPF_ABS => {
                let offset = usize::try_from(k).ok()?;
                let word = data.get(offset..offset.checked_add(4)?)?;
                Some(u32::from_ne_bytes(word.try_into().ok()?))
            }
            libc::BPF_MEM => self.memory.get(usize::try_from(k).ok()?).copied(),
            libc::BPF_LEN => Some(SIZE),
            _ => None,
        }
    }

    /// An operation on the accumulator.
    fn compute(&self, operation: u32, operand: u32) -> Option<u32> {
        let value = self.accumulator;
        Some(match operation {
            libc::BPF_ADD => value.wrapping_add(operand),
            libc::BPF_SUB => value.wrapping_sub(operand),
            libc::BPF_MUL => value.wrapping_mul(operand),
            libc::BPF_DIV => value.checked_div(operand)?,
            libc::BPF_OR => value | operand,
            libc::BPF_AND => value & operand,
            libc::BPF_XOR => value ^ operand,
            libc::BPF_LSH => value.wrapping_shl(operand),
            libc::BPF_RSH => value.wrapping_shr(operand),
            libc::BPF_NEG => value.wrapping_neg(),
            _ => return None,
        })
    }
}

/// The bits of a code that tell its class.
const CLASS: u32 = 0x07;

/// Those that tell what a computation or a jump does.
const OPERATION: u32 = 0xf0;

#[cfg(test)]
mod tests {
    use super::*;

    /// What the instructions before it leave in the accumulator.
    fn result(instructions: &[(u32, u32)]) -> Option<u32> {
        let all = instructions.iter().chain([&(libc::BPF_RET | libc::BPF_A, 0)]);
        let program: Vec<sock_filter> = all
            .map(|&(code, k)| sock_filter {
                code: u16::try_from(code).unwrap_or_default(),
                jt: 0,
                jf: 0,
                k,
            })
            .collect();
        Call { number: 7, arch: 8, args: [0x1_0000_0002, 0, 0, 0, 0, 0x9_0000_000a] }
            .answer(&program)
    }

    #[test]
    fn every_instruction_of_seccomp_is_known() {
        let (load, index) = (libc::BPF_LD, libc::BPF_LDX);
        let (immediate, by_index) = (libc::BPF_IMM, libc::BPF_X);
        let alu = |operation: u32| (libc::BPF_ALU | operation | by_index, 99);
        let with = |operation: u32| {
            result(&[(load | immediate, 12), (index | immediate, 5), alu(operation)])
        };
        for (operation, expected) in [
            (libc::BPF_ADD, 17),
            (libc::BPF_SUB, 7),
            (libc::BPF_MUL, 60),
            (libc::BPF_DIV, 2),
            (libc::BPF_OR, 13),
            (libc::BPF_AND, 4),
            (libc::BPF_XOR, 9),
            (libc::BPF_LSH, 384),
            (libc::BPF_RSH, 0),
            (libc::BPF_NEG, 0xffff_fff4),
        ] {
            assert_eq!(with(operation), Some(expected), "operation {operation:#x}");
        }
        let absolute = |offset| result(&[(load | libc::BPF_W | libc::BPF_ABS, offset)]);
        let words = [0, 4, 8, 12, 16, 20, 60].map(|offset| absolute(offset).unwrap_or(u32::MAX));
        assert_eq!(words, [7, 8, 0, 0, 2, 1, 9]);
        assert_eq!(result(&[(load | libc::BPF_LEN, 0)]), Some(64));
        assert_eq!(
            result(&[(index | libc::BPF_LEN, 0), (libc::BPF_MISC | libc::BPF_TXA, 0)]),
            Some(64)
        );
        let (store, fetch) = ((libc::BPF_ST, 3), (load | libc::BPF_MEM, 3));
        assert_eq!(result(&[(load | immediate, 5), store, (load | immediate, 6), fetch]), Some(5));
        let through = [
            (load | immediate, 5),
            (libc::BPF_MISC, 0),
            (libc::BPF_STX, 15),
            (load | libc::BPF_MEM, 15),
        ];
        assert_eq!(result(&through), Some(5));
        let back = [
            (load | immediate, 4),
            store,
            (index | libc::BPF_MEM, 3),
            (libc::BPF_MISC | libc::BPF_TXA, 0),
        ];
        assert_eq!(result(&back), Some(4));
    }

    #[test]
    fn what_the_kernel_does_not_take_has_no_answer() {
        let call = Call::new(0, [0; 6]);
        let one = |code: u32, k| sock_filter {
            code: u16::try_from(code).unwrap_or_default(),
            jt: 0,
            jf: 0,
            k,
        };
        assert_eq!(call.answer(&[]), None);
        assert_eq!(
            call.answer(&[one(libc::BPF_LD | libc::BPF_IMM, 1)]),
            None,
            "it does not end with an answer"
        );
        assert_eq!(
            call.answer(&[one(libc::BPF_LD | libc::BPF_ABS, 64), one(libc::BPF_RET, 1)]),
            None
        );
        assert_eq!(call.answer(&[one(libc::BPF_ST, 16), one(libc::BPF_RET, 1)]), None);
        assert_eq!(
            call.answer(&[one(libc::BPF_JMP | libc::BPF_JA, u32::MAX), one(libc::BPF_RET, 1)]),
            None
        );
        let by_zero = [one(libc::BPF_ALU | libc::BPF_DIV | libc::BPF_X, 0), one(libc::BPF_RET, 1)];
        assert_eq!(call.answer(&by_zero), Some(0));
    }

    #[test]
    fn jumps_go_where_they_say() {
        let jump = |comparison: u32, k| {
            let jump = sock_filter {
                code: u16::try_from(libc::BPF_JMP | comparison).unwrap_or_default(),
                jt: 1,
                jf: 0,
                k,
            };
            let load = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
            let [no, yes] = [0, 1].map(|k| sock_filter { code: 0x06, jt: 0, jf: 0, k });
            Call::new(6, [0; 6]).answer(&[load, jump, no, yes])
        };
        for (comparison, below, same, above) in
            [(libc::BPF_JEQ, 0, 1, 0), (libc::BPF_JGT, 1, 0, 0), (libc::BPF_JGE, 1, 1, 0)]
        {
            assert_eq!(
                [5, 6, 7].map(|k| jump(comparison, k)),
                [Some(below), Some(same), Some(above)],
                "{comparison:#x}"
            );
        }
        assert_eq!([8, 4].map(|k| jump(libc::BPF_JSET, k)), [Some(0), Some(1)]);
    }
}
