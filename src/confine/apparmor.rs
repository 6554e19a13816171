//! `--apparmor`: the AppArmor profile of COMMAND, by plain file operations; no library is needed.
//! See apparmor(7), proc_pid_attr(5).

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use crate::confine::selinux;
use crate::error::{Context, Error, Result, join};
use crate::kernel::files::{read_file, write_file};
use crate::kernel::sys::{self, SysResult};
use crate::word::Word;

/// The name of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile(Word);

/// What a process is that no profile confines.
const UNCONFINED: &[u8] = b"unconfined";

impl Profile {
    /// A name that the kernel takes as it is: it strips blanks around it, and what is printed has
    /// to stay one line.
    pub(crate) fn parse(name: Word) -> Result<Self> {
        let bytes = name.to_bytes();
        if bytes.is_empty() || bytes.trim_ascii() != bytes || bytes.iter().any(u8::is_ascii_control)
        {
            return Err(Error::new(
                "--apparmor takes the name of a profile, without control characters or surrounding blanks",
            ));
        }
        Ok(Self(name))
    }

    /// The name.
    pub(crate) const fn name(self) -> Word {
        self.0
    }

    /// Gives the next exec of this process, or of a child of its that has not executed anything,
    /// this profile.
    ///
    /// Whoever is confined stays so: COMMAND then has both profiles. Nothing else is allowed under
    /// no_new_privs.
    pub(crate) fn set(self, proc: BorrowedFd<'_>) -> Result<()> {
        let attributes = attributes(proc)?;
        let current = read(attributes.as_fd(), c"current")
            .context("Can't read the caller's AppArmor profile")?;
        let current = current.trim_ascii_end();
        let verb = if current == UNCONFINED { "exec" } else { "stack" };
        match write_file(attributes.as_fd(), c"exec", &join(verb, self.0)) {
            Ok(()) => {}
            Err(Errno::ENOENT) => return Err(self.not_loaded()),
            Err(errno) => return Err(self.refused(current, errno)),
        }
        // A caller in complain mode is given an empty profile in the place of one that is missing.
        if current != UNCONFINED {
            let next = read(attributes.as_fd(), c"exec")
                .context("Can't read COMMAND's AppArmor profile")?;
            if is_made_up(&next) {
                return Err(self.not_loaded());
            }
        }
        Ok(())
    }

    fn not_loaded(self) -> Error {
        Error::new([b"AppArmor profile ", self.0.to_bytes(), b" is not loaded"].concat())
    }

    fn refused(self, current: &[u8], errno: Errno) -> Error {
        let what = join("Can't run COMMAND under AppArmor profile", self.0);
        if current == UNCONFINED {
            return Error::os(what, errno);
        }
        Error::os(
            [
                &what,
                b" in addition to the caller's, ".as_slice(),
                current,
                b" (see change_profile in apparmor.d(5))",
            ]
            .concat(),
            errno,
        )
    }
}

/// Finds out whether the kernel can do it at all, before anything is done. Which profiles are
/// loaded only root may list.
pub(crate) fn check(proc: BorrowedFd<'_>) -> Result<()> {
    let kernel = sys::kernel_release();
    let needs = "--apparmor needs AppArmor,";
    match read(AT_FDCWD, c"/sys/module/apparmor/parameters/enabled") {
        Ok(text) if text.first() == Some(&b'Y') => attributes(proc).map(drop),
        Ok(_) => {
            let off = "which is switched off in this kernel";
            Err(Error::new(format!(
                "{needs} {off}, {kernel} (see its parameters lsm= and apparmor=)"
            )))
        }
        Err(Errno::ENOENT) => Err(Error::new(format!(
            "{needs} and this kernel, {kernel}, has none (or /sys is not mounted)"
        ))),
        Err(errno) => Err(Error::os("Can't determine whether AppArmor is enabled", errno)),
    }
}

/// Whether the kernel has made the profile of this name up.
fn is_made_up(profile: &[u8]) -> bool {
    const MARK: &[u8] = b"//null-";
    profile.windows(MARK.len()).any(|part| part == MARK)
}

/// This process's AppArmor attributes in an open /proc. Before Linux 5.8 they are where the only
/// security module has its own.
fn attributes(proc: BorrowedFd<'_>) -> Result<OwnedFd> {
    let open = |path: &CStr| {
        openat(proc, path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
    };
    let directory = match open(c"thread-self/attr/apparmor") {
        Err(Errno::ENOENT) if !selinux::selinux_enabled() => open(c"thread-self/attr"),
        other => other,
    };
    let directory = directory.context("Can't find the AppArmor attributes of a process")?;
    match fstatfs(&directory).context("Can't look at /proc")?.filesystem_type() {
        PROC_SUPER_MAGIC => Ok(directory),
        _ => Err(Error::new("--apparmor needs a /proc that is a procfs")),
    }
}

/// The content of a file, up to the maximum length of a profile's name.
fn read(dir: BorrowedFd<'_>, path: &CStr) -> SysResult<Vec<u8>> {
    read_file(dir, path, 64 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_kernel_takes() {
        for name in [c"a", c"/usr/bin/x", c"a b", c"a//b", c"a//&b", c":ns://a", c"\xc3\xa4"] {
            assert_eq!(Profile::parse(name).ok(), Some(Profile(name)), "{name:?}");
        }
        for name in [c"", c" ", c" a", c"a ", c"a\nb", c"a\n", c"\ta", c"a\x7f", c"\x1b[m"] {
            assert!(Profile::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn profiles_made_up_by_the_kernel_are_known() {
        assert!(is_made_up(b"caller//null-missing (complain)\n"));
        assert!(!is_made_up(b"caller//null (enforce)\n"));
        assert!(!is_made_up(b""));
    }
}
