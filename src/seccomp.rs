//! Seccomp programs: the caller's, read whole from an fd, and those of policies, all installed as they are, see seccomp(2).

use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::libc::{self, sock_filter};

use crate::error::{Context, Error, Result};
use crate::sys;

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// Classic BPF.
    pub(crate) instructions: Vec<sock_filter>,
    /// `SECCOMP_FILTER_FLAG_…`
    pub(crate) flags: libc::c_ulong,
}

/// The size of `struct sock_filter`.
const INSTRUCTION: usize = 8;

/// The longest program that the kernel takes (`BPF_MAXINSNS`).
pub(crate) const MAX_INSTRUCTIONS: usize = 4096;

/// Reads a program to the end of the fd.
///
/// One that is too long is an error here, because its length is a `u16` further on and would be cut.
pub(crate) fn read(fd: RawFd) -> Result<Program> {
    let too_long = || Error::new(format!("Invalid seccomp data, more than {MAX_INSTRUCTIONS} instructions"));
    let data = match sys::read_all(fd, MAX_INSTRUCTIONS * INSTRUCTION) {
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

/// Installs programs in order. Only COMMAND's exec, or PID 1's waiting, comes after.
pub(crate) fn install(programs: &[Program]) -> Result<()> {
    for program in programs {
        match sys::install_filter(&program.instructions, program.flags) {
            Err(Errno::EINVAL) => {
                return Err(Error::new(
                    "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. \
                     (Hint: this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)",
                ));
            }
            other => other.context("prctl(PR_SET_SECCOMP)")?,
        }
    }
    Ok(())
}
