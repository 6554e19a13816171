//! What a program's ELF header says, see elf(5).

use std::ffi::CStr;

use crate::error::{Error, Result, join};
use crate::kernel::program;

/// Machines whose 32-bit programs the kernel of this one runs too. Their system calls are others
/// than this machine's.
#[cfg(target_arch = "x86_64")]
const FOREIGN: &[(u16, &str)] = &[(3, "32-bit x86"), (62, "x32")];
#[cfg(target_arch = "aarch64")]
const FOREIGN: &[(u16, &str)] = &[(40, "32-bit ARM")];
#[cfg(target_arch = "riscv64")]
const FOREIGN: &[(u16, &str)] = &[(243, "32-bit RISC-V")];

/// Refuses COMMAND if a policy would kill it at its first system call, without a word. Whatever
/// cannot be found out here is left to the filter.
pub(crate) fn refuse_foreign(file: &CStr) -> Result<()> {
    let Some(kind) =
        program::found(file).and_then(|path| program::head(&path)).and_then(|head| foreign(&head))
    else {
        return Ok(());
    };
    let mut text = join("Can't run", file);
    text.extend_from_slice(
        format!(
            ": it is a program for {kind}, and a seccomp policy allows 64-bit system calls only"
        )
        .as_bytes(),
    );
    Err(Error::new(text))
}

/// Which other kind of program begins like this.
fn foreign(head: &[u8]) -> Option<&'static str> {
    // 32 bits, little endian.
    let rest = head.strip_prefix(b"\x7fELF\x01\x01")?;
    let machine = u16::from_le_bytes(rest.get(12..14)?.try_into().ok()?);
    FOREIGN.iter().find(|(known, _)| *known == machine).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_programs_are_known_by_their_header() {
        let header = |class: u8, machine: u8| {
            [b"\x7fELF", &[class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, machine, 0][..]].concat()
        };
        for &(machine, name) in FOREIGN {
            let machine = u8::try_from(machine).unwrap_or_default();
            assert_eq!(foreign(&header(1, machine)), Some(name));
            assert_eq!(foreign(&header(2, machine)), None);
            assert_eq!(foreign(header(1, machine).get(..19).unwrap_or_default()), None);
        }
        for head in [&header(1, 0)[..], b"", b"#!/bin/sh", b"\x7fELF\x01\x02"] {
            assert_eq!(foreign(head), None);
        }
    }
}
