//! The failures after which COMMAND runs all the same, in the sandbox that was asked for, each with its reason.
//!
//! A tolerance that is not in this table fails its trial. A row that no point needs fails the long form.

use libc::{EACCES, EAGAIN, EINVAL, ELOOP, ENOENT, ENOMEM, ENOSPC, ENOSYS, ENOTDIR, EPERM, EUSERS};

use super::points::Point;

/// One row.
pub(crate) struct Tolerated {
    pub(crate) call: &'static str,
    /// How the call's shown argument begins.
    pub(crate) detail: &'static str,
    /// Which errors; all if none is named.
    pub(crate) errors: &'static [i32],
    /// Whose call; anybody's if empty.
    role: &'static str,
    /// How the lines begin that COMMAND then sees otherwise.
    seen: &'static [&'static str],
    pub(crate) reason: &'static str,
}

/// All rows.
pub(crate) const TOLERATED: &[Tolerated] = &[
    row("close", "", &[], "the fd is gone, whatever close says"),
    row("close_range", "", &[], "then they are closed one by one"),
    row("brk", "", &[], "then the C library maps memory elsewhere"),
    row("mmap", "", &[ENOMEM], "of the page with which musl guards what it keeps about its memory"),
    row("ioctl", "21505", &[], TERMINAL),
    row("ioctl", "21523", &[], TERMINAL),
    row("openat2", "", &[ENOSYS], "then the path is walked component by component"),
    row("mount_setattr", "", &[ENOSYS], "then the mount is remounted"),
    row("mount_setattr", "", &[EINVAL], "of nosymfollow, before Linux 5.14: then that alone is set by a remount"),
    row("open_tree", "", &[], "of one more cover of --mask, which nothing was left to need"),
    row("setns", "", &[EPERM], "of --netns: then the user namespace that owns it is joined first"),
    row("statx", "", &[ENOSYS, EPERM], "then fdinfo tells the mount"),
    row("unshare", "", &[EPERM, ENOSPC, EUSERS], "--disable-userns: that is the answer it looks for"),
    Tolerated { role: "0", ..row("openat", "/proc/sys/user/", &[], CLONE_TELLS) },
    Tolerated { role: "0", ..row("openat", "/sys/module/user_namespace/", &[], CLONE_TELLS) },
    Tolerated { role: "0", ..row("faccessat2", "/proc/self/ns/user", &[], CLONE_TELLS) },
    Tolerated { role: "0", ..row("faccessat", "/proc/self/ns/user", &[], CLONE_TELLS) },
    Tolerated {
        role: "0",
        ..row("read", "", &[], "of a switch that the clone obeys, or of a status that PID 1 exits with as well")
    },
    Tolerated { role: "0", ..row("kill", "", &[], "of the sandbox at COMMAND's end: then the kernel kills it with the monitor") },
    Tolerated {
        role: "0.0",
        ..row("read", "128", &[EAGAIN], "of PID 1's signalfd: then the signal is still there, and is waited for again")
    },
    row("newfstatat", "/tmp/probe", &[], HEADER),
    row("newfstatat", "/tmp", &[], HINT),
    row("statfs", "/tmp/probe", &[], HINT),
    // What musl calls the same.
    row("stat", "/tmp/probe", &[], HEADER),
    row("lstat", "/tmp", &[], HINT),
    row("poll", "", &[ENOMEM], "whether somebody reads --error-fd: then no report is written once COMMAND's filters are there"),
    row("open", "/tmp/probe", &[], HEADER),
    row("open", "/", &[EACCES, ENOENT, ENOTDIR, ELOOP], "a mount point that has moved is looked for again"),
    row("openat", "/tmp/probe", &[], HEADER),
    row("pread64", "", &[], HEADER),
    Tolerated { role: "0", ..row("write", "", &[], "of the last line of --json-status-fd, when COMMAND has ended") },
    row("write", "", &[], "of COMMAND's status, which PID 1 exits with as well"),
    row("capset", "", &[EPERM], "root without CAP_SETPCAP may not give capabilities up, and keeps what it was given"),
    Tolerated {
        seen: CAPS,
        ..row("prctl", "47", &[EPERM], "PR_CAP_AMBIENT: secure bits may forbid it, and COMMAND has less then, never more")
    },
    row("openat", "/", &[EACCES, ENOENT, ENOTDIR, ELOOP], "a mount point that has moved is looked for again"),
    row("mount", "", &[EINVAL], "it has moved while it was looked at, and is looked for again"),
    row("pidfd_open", "", &[], "then /proc leads to the mount namespace"),
    Tolerated { seen: CWD, ..row("getcwd", "", &[], ELSEWHERE) },
    Tolerated { seen: CWD, ..row("chdir", "{dir}", &[], ELSEWHERE) },
];

/// Capabilities that exec keeps only if they are ambient.
const CAPS: &[&str] = &["ambient: ", "permitted: ", "effective: "];

/// COMMAND's working directory, and what tells it.
const CWD: &[&str] = &["PWD", "/", "{dir}"];

/// Why it may be another one.
const ELSEWHERE: &str = "where the caller's directory cannot be entered, HOME is next, and then /";

/// Why it need not be known what a terminal is like: TCGETS asks with glibc, TIOCGWINSZ with musl.
const TERMINAL: &str = "what does not say that it is a terminal is none";

/// Why COMMAND's header need not be readable.
const HEADER: &str = "a 32-bit COMMAND that is not found out beforehand is killed by the policy";

/// Why nobody needs what is looked at for the hint that a failed exec would come with.
const HINT: &str = "then the hint of a failed exec is left out";

/// Why the host's switches need not be readable.
const CLONE_TELLS: &str = "whether there are user namespaces the clone tells";

const fn row(call: &'static str, detail: &'static str, errors: &'static [i32], reason: &'static str) -> Tolerated {
    Tolerated { call, detail, errors, role: "", seen: &[], reason }
}

impl Tolerated {
    /// Whether the row speaks about this failure.
    pub(crate) fn concerns(&self, point: &Point, errno: i32) -> bool {
        let role = self.role.is_empty() || self.role == point.place.role;
        let call = self.call == point.call.name && point.detail.starts_with(self.detail);
        role && call && (self.errors.is_empty() || self.errors.contains(&errno))
    }

    /// Whether these lines, with their signs, may be different.
    pub(crate) fn excuses(&self, lines: &[String]) -> bool {
        lines.iter().all(|line| self.seen.iter().any(|start| line.trim_start_matches(['+', '-']).starts_with(start)))
    }
}
