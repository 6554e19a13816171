//! Seccomp programs: the caller's, read whole from an fd, and those of policies, all installed as
//! they are, see seccomp(2).
//!
//! The caller's own programs are for PID 1 as well, as bubblewrap has it. All others are meant for
//! COMMAND: PID 1 has to wait, to write and to exit, which no policy need allow.

pub(crate) mod asking;
pub(crate) mod bpf;
pub(crate) mod cbpf;
pub(crate) mod elf;
pub(crate) mod json;
pub(crate) mod policy;
pub(crate) mod program;
pub(crate) mod values;

use std::os::fd::BorrowedFd;

use libc::sock_filter;
use nix::errno::Errno;

use crate::confine::seccomp::cbpf::Call;
use crate::confine::seccomp::program::{MAX_INSTRUCTIONS, Program};
use crate::error::{Context, Error, Result};
use crate::kernel::{files, sys};

/// A filter of COMMAND's, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Its name in messages.
    pub(crate) name: String,
    /// The filter itself.
    pub(crate) program: Program,
    /// Whether the caller gave it as it is, by `--seccomp` or `--add-seccomp-fd`.
    pub(crate) own: bool,
}

impl Filter {
    /// A program of the caller's.
    pub(crate) fn own(program: Program) -> Self {
        Self {
            name: format!("a program of {} instructions", program.instructions.len()),
            program,
            own: true,
        }
    }

    /// One that is meant for COMMAND alone.
    pub(crate) const fn meant(name: String, program: Program) -> Self {
        Self { name, program, own: false }
    }
}

/// Stands for an address, of which a program can know no more than that it is not null.
const ADDRESS: u64 = 1 << 36;

impl Program {
    /// The system call that installs it, see [`sys::install_filter`].
    fn installation(&self) -> Call {
        if self.flags == 0 {
            let [option, mode] = [libc::PR_SET_SECCOMP.unsigned_abs(), libc::SECCOMP_MODE_FILTER];
            return Call::new(libc::SYS_prctl, [option.into(), mode.into(), ADDRESS, 0, 0, 0]);
        }
        Call::new(
            libc::SYS_seccomp,
            [libc::SECCOMP_SET_MODE_FILTER.into(), self.flags, ADDRESS, 0, 0, 0],
        )
    }

    /// Whether a call fails under it, or worse.
    fn refuses(&self, call: &Call) -> bool {
        let allowed = [libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_LOG];
        call.answer(&self.instructions)
            .is_some_and(|answer| !allowed.contains(&(answer & libc::SECCOMP_RET_ACTION_FULL)))
    }

    /// Whether COMMAND cannot be executed under it. If a tracer decides, it can be.
    fn refuses_execution(&self) -> bool {
        let execution = Call::new(libc::SYS_execve, [ADDRESS, ADDRESS, ADDRESS, 0, 0, 0]);
        let asks = |answer| answer & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_TRACE;
        self.refuses(&execution) && !execution.answer(&self.instructions).is_some_and(asks)
    }
}

/// Whether PID 1 may do under these what it does to watch a process beside its children.
pub(crate) fn allows_watching(filters: &[Filter]) -> bool {
    let flags = u64::from((libc::__WALL | libc::WNOHANG).cast_unsigned());
    let any = u64::MAX;
    let calls = [
        Call::new(libc::SYS_ppoll, [ADDRESS, 2, 0, 0, 8, 0]),
        Call::new(libc::SYS_read, [3, ADDRESS, 128, 0, 0, 0]),
        Call::new(libc::SYS_wait4, [any, ADDRESS, flags, 0, 0, 0]),
    ];
    filters.iter().all(|filter| calls.iter().all(|call| !filter.program.refuses(call)))
}

/// Puts COMMAND's filters into an order in which they can all be installed, as near to the given
/// one as that allows: what refuses the installation of others comes after them. The caller's own
/// programs keep their order among themselves whatever they refuse, and may refuse to execute
/// COMMAND, as bubblewrap has both.
pub(crate) fn arrange(filters: Vec<Filter>) -> Result<Vec<Filter>> {
    let mut left: Vec<Filter> = Vec::with_capacity(filters.len());
    for filter in filters {
        if !filter.own && filter.program.refuses_execution() {
            return Err(Error::new(format!(
                "COMMAND cannot be executed under {}: it refuses execve",
                filter.name
            )));
        }
        // A second time a filter changes nothing, but its installation may be refused by the first.
        if filter.own || left.iter().all(|other| other.own || other.program != filter.program) {
            left.push(filter);
        }
    }
    let mut arranged = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let hinders = |first: &Filter, other: &Filter| {
            !(first.own && other.own) && first.program.refuses(&other.program.installation())
        };
        let next = (0..left.len()).find(|&index| {
            let (before, rest) = left.split_at(index);
            let Some((candidate, after)) = rest.split_first() else { return false };
            let in_turn = !candidate.own || before.iter().all(|other| !other.own);
            in_turn && before.iter().chain(after).all(|other| !hinders(candidate, other))
        });
        let Some(next) = next else {
            let names: Vec<_> = left.iter().map(|filter| filter.name.as_str()).collect();
            return Err(Error::new(format!(
                "Filters that refuse each other's installation: {}",
                names.join(", ")
            )));
        };
        arranged.push(left.remove(next));
    }
    Ok(arranged)
}

/// Fails where one of the caller's own programs refuses the installation of the next, as installing
/// them would. That it is found out before says it once: otherwise PID 1 and COMMAND would both.
pub(crate) fn check_own(filters: &[Filter]) -> Result<()> {
    let own: Vec<_> =
        filters.iter().filter(|filter| filter.own).map(|filter| &filter.program).collect();
    let Some((last, earlier)) = own.split_last() else { return Ok(()) };
    // All of them are installed by the same call.
    let installation = last.installation();
    for answer in earlier.iter().filter_map(|program| installation.answer(&program.instructions)) {
        let (action, errno) =
            (answer & libc::SECCOMP_RET_ACTION_FULL, answer & libc::SECCOMP_RET_DATA);
        if action == libc::SECCOMP_RET_ERRNO && errno != 0 {
            return Err(failure(Errno::from_raw(errno.cast_signed())));
        }
    }
    Ok(())
}

/// Whether close(2) would fail under one of these, or worse.
pub(crate) fn refuses_close(filters: &[Filter]) -> bool {
    let close = Call::new(libc::SYS_close, [3, 0, 0, 0, 0, 0]);
    filters.iter().any(|filter| filter.program.refuses(&close))
}

/// The words for a program that could not be installed.
fn failure(errno: Errno) -> Error {
    match errno {
        Errno::EINVAL => Error::new(
            "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. \
             (Hint: this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)",
        ),
        other => Error::os("prctl(PR_SET_SECCOMP)", other),
    }
}

/// The size of `struct sock_filter`.
const INSTRUCTION: usize = 8;

/// Reads a program to the end of the file.
///
/// One that is too long is an error here, because its length is a `u16` further on and would be
/// cut.
pub(crate) fn read(file: BorrowedFd<'_>) -> Result<Program> {
    let too_long =
        || Error::new(format!("Invalid seccomp data, more than {MAX_INSTRUCTIONS} instructions"));
    let data = match files::read_all(file, MAX_INSTRUCTIONS * INSTRUCTION) {
        Err(Errno::EFBIG) => return Err(too_long()),
        other => other.context("Can't read seccomp data")?,
    };
    let (instructions, rest) = data.as_chunks::<INSTRUCTION>();
    if !rest.is_empty() {
        return Err(Error::new("Invalid seccomp data, must be multiple of 8"));
    }
    let instructions = instructions
        .iter()
        .map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| sock_filter {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        })
        .collect();
    Ok(Program { instructions, flags: 0 })
}

/// Installs filters in order. Only COMMAND's exec, or PID 1's waiting, comes after. Programs of the
/// caller's own may keep each other out, as bubblewrap has it; nothing keeps out what is meant for
/// COMMAND.
pub(crate) fn install<'a>(filters: impl IntoIterator<Item = &'a Filter>) -> Result<()> {
    for Filter { name, program, own } in filters {
        match sys::install_filter(&program.instructions, program.flags, !own) {
            Err(Errno::ECANCELED) if !own => {
                return Err(Error::new(format!(
                    "An existing filter prevents the installation of {name}"
                )));
            }
            other => other.map_err(failure)?,
        }
    }
    Ok(())
}
