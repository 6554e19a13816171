//! The system calls of a set-up: their numbers, the errors they can give, and which argument tells two of them apart.

use libc::{
    E2BIG, EACCES, EAGAIN, EBUSY, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOBUFS, ENOENT, ENOLCK, ENOMEM, ENOSPC, ENOSYS, EPERM,
    EPIPE, EROFS, ETXTBSY, EUSERS,
};

/// An argument that is worth showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// None of them.
    Nothing,
    /// The number at this index.
    Number(usize),
    /// The text that the argument at this index points to.
    Text(usize),
}

/// One system call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) number: i64,
    pub(crate) detail: Detail,
    /// What it can fail with here. An errno that would be the call's answer, as ENOENT for a file that may be missing or EINVAL for a
    /// capability beyond the last, is left out: it would be a lie and not a fault.
    pub(crate) errors: &'static [i32],
}

const fn call(name: &'static str, number: i64, detail: Detail, errors: &'static [i32]) -> Call {
    Call { name, number, detail, errors }
}

/// Making an fd.
const OPENS: &[i32] = &[EMFILE, ENFILE, ENOMEM, EACCES, EIO, EINTR];
/// Changing a directory.
const MAKES: &[i32] = &[ENOSPC, EACCES, EIO, ENOMEM, EROFS];
/// Looking at a file.
const LOOKS: &[i32] = &[EIO, ENOMEM];
/// Changing mounts.
const MOUNTS: &[i32] = &[EPERM, ENOMEM, ENOSPC];

use Detail::{Nothing, Number, Text};

/// The calls that are known. One that is missing fails the test which meets it.
pub(crate) const CALLS: &[Call] = &[
    call("access", libc::SYS_access, Text(0), &[]),
    call("arch_prctl", libc::SYS_arch_prctl, Nothing, &[]),
    call("bind", libc::SYS_bind, Nothing, &[ENOMEM]),
    call("brk", libc::SYS_brk, Nothing, &[ENOMEM]),
    call("capget", libc::SYS_capget, Nothing, &[EPERM]),
    call("capset", libc::SYS_capset, Nothing, &[EPERM, ENOMEM]),
    call("chdir", libc::SYS_chdir, Text(0), &[EACCES, EIO, ENOMEM]),
    call("chmod", libc::SYS_chmod, Text(0), &[EPERM, EIO, EROFS]),
    call("chroot", libc::SYS_chroot, Text(0), &[EPERM, ENOMEM]),
    call("clone", libc::SYS_clone, Nothing, &[EAGAIN, ENOMEM, ENOSPC, EPERM, EUSERS]),
    call("close", libc::SYS_close, Nothing, &[EIO, EINTR, ENOSPC]),
    call("close_range", libc::SYS_close_range, Nothing, &[ENOSYS, EPERM]),
    call("copy_file_range", libc::SYS_copy_file_range, Nothing, &[EIO, ENOSPC, ENOMEM, EPERM, ENOSYS]),
    call("creat", libc::SYS_creat, Text(0), OPENS),
    call("dup2", libc::SYS_dup2, Nothing, &[EMFILE]),
    call("eventfd2", libc::SYS_eventfd2, Nothing, &[EMFILE, ENFILE, ENOMEM]),
    call("execve", libc::SYS_execve, Text(0), &[ENOMEM, E2BIG, EACCES, EIO, ETXTBSY]),
    call("exit_group", libc::SYS_exit_group, Nothing, &[]),
    call("faccessat", libc::SYS_faccessat, Text(1), LOOKS),
    call("faccessat2", libc::SYS_faccessat2, Text(1), LOOKS),
    call("fchdir", libc::SYS_fchdir, Nothing, &[EACCES, EIO]),
    call("fchmod", libc::SYS_fchmod, Nothing, &[EPERM, EIO, EROFS]),
    call("fchmodat", libc::SYS_fchmodat, Text(1), &[EPERM, EIO, EROFS]),
    call("fchown", libc::SYS_fchown, Nothing, &[EPERM, EIO]),
    call("fcntl", libc::SYS_fcntl, Number(1), &[]),
    call("fork", libc::SYS_fork, Nothing, &[EAGAIN, ENOMEM]),
    call("fsconfig", libc::SYS_fsconfig, Text(2), &[EPERM, ENOMEM, ENOSPC, EINVAL]),
    call("fsmount", libc::SYS_fsmount, Nothing, &[EPERM, EMFILE, ENFILE, ENOMEM, ENOSPC]),
    call("fsopen", libc::SYS_fsopen, Text(0), &[EPERM, EMFILE, ENFILE, ENOMEM]),
    call("fstat", libc::SYS_fstat, Nothing, LOOKS),
    call("fstatfs", libc::SYS_fstatfs, Nothing, LOOKS),
    call("futex", libc::SYS_futex, Nothing, &[]),
    call("getcwd", libc::SYS_getcwd, Nothing, &[ENOENT, ENOMEM]),
    call("getdents64", libc::SYS_getdents64, Nothing, LOOKS),
    call("getegid", libc::SYS_getegid, Nothing, &[]),
    call("geteuid", libc::SYS_geteuid, Nothing, &[]),
    call("getgid", libc::SYS_getgid, Nothing, &[]),
    call("getpid", libc::SYS_getpid, Nothing, &[]),
    call("getppid", libc::SYS_getppid, Nothing, &[]),
    call("getrandom", libc::SYS_getrandom, Nothing, &[]),
    call("gettid", libc::SYS_gettid, Nothing, &[]),
    call("getuid", libc::SYS_getuid, Nothing, &[]),
    call("ioctl", libc::SYS_ioctl, Number(1), &[EIO]),
    call("kill", libc::SYS_kill, Nothing, &[EPERM]),
    call("landlock_add_rule", libc::SYS_landlock_add_rule, Nothing, &[EINVAL, ENOMEM]),
    call("landlock_create_ruleset", libc::SYS_landlock_create_ruleset, Nothing, &[EMFILE, ENFILE, ENOMEM]),
    call("landlock_restrict_self", libc::SYS_landlock_restrict_self, Nothing, &[EPERM, E2BIG]),
    call("lseek", libc::SYS_lseek, Nothing, &[EINVAL]),
    call("lstat", libc::SYS_lstat, Text(0), LOOKS),
    call("madvise", libc::SYS_madvise, Nothing, &[]),
    call("mkdir", libc::SYS_mkdir, Text(0), MAKES),
    call("mkdirat", libc::SYS_mkdirat, Text(1), MAKES),
    call("mknodat", libc::SYS_mknodat, Text(1), MAKES),
    call("mmap", libc::SYS_mmap, Nothing, &[ENOMEM]),
    call("mount", libc::SYS_mount, Text(1), &[EPERM, ENOMEM, ENOSPC, EINVAL]),
    call("mount_setattr", libc::SYS_mount_setattr, Nothing, &[EPERM, ENOMEM, EINVAL, ENOSYS]),
    call("move_mount", libc::SYS_move_mount, Text(3), MOUNTS),
    call("mprotect", libc::SYS_mprotect, Nothing, &[ENOMEM]),
    call("mremap", libc::SYS_mremap, Nothing, &[ENOMEM]),
    call("munmap", libc::SYS_munmap, Nothing, &[]),
    call("newfstatat", libc::SYS_newfstatat, Text(1), LOOKS),
    call("open", libc::SYS_open, Text(0), OPENS),
    call("openat", libc::SYS_openat, Text(1), OPENS),
    call("openat2", libc::SYS_openat2, Text(1), &[EMFILE, ENFILE, ENOMEM, EACCES, EIO, EINTR, ENOSYS]),
    call("open_tree", libc::SYS_open_tree, Text(1), &[EPERM, EMFILE, ENFILE, ENOMEM, EACCES]),
    call("pidfd_open", libc::SYS_pidfd_open, Nothing, &[EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM]),
    call("pidfd_send_signal", libc::SYS_pidfd_send_signal, Nothing, &[]),
    call("pipe2", libc::SYS_pipe2, Nothing, &[EMFILE, ENFILE]),
    call("pivot_root", libc::SYS_pivot_root, Nothing, &[EPERM, EBUSY, ENOMEM]),
    call("poll", libc::SYS_poll, Nothing, &[EINTR, ENOMEM]),
    call("ppoll", libc::SYS_ppoll, Nothing, &[EINTR, ENOMEM]),
    call("prctl", libc::SYS_prctl, Number(0), &[EPERM, ENOMEM]),
    call("pread64", libc::SYS_pread64, Nothing, &[EIO, EINTR]),
    call("prlimit64", libc::SYS_prlimit64, Nothing, &[EPERM]),
    call("read", libc::SYS_read, Number(2), &[EIO, EINTR, EAGAIN, ENOMEM]),
    call("readlink", libc::SYS_readlink, Text(0), LOOKS),
    call("readlinkat", libc::SYS_readlinkat, Text(1), LOOKS),
    call("recvfrom", libc::SYS_recvfrom, Nothing, &[EINTR, ENOMEM]),
    call("recvmsg", libc::SYS_recvmsg, Nothing, &[EINTR, ENOMEM]),
    call("restart_syscall", libc::SYS_restart_syscall, Nothing, &[]),
    call("rseq", libc::SYS_rseq, Nothing, &[]),
    call("rt_sigaction", libc::SYS_rt_sigaction, Number(0), &[]),
    call("rt_sigprocmask", libc::SYS_rt_sigprocmask, Nothing, &[]),
    call("seccomp", libc::SYS_seccomp, Nothing, &[EACCES, ENOMEM]),
    call("sendfile", libc::SYS_sendfile, Nothing, &[EIO, ENOSPC, ENOMEM, EINVAL]),
    call("sendmsg", libc::SYS_sendmsg, Nothing, &[EINTR, ENOMEM, ENOBUFS]),
    call("sendto", libc::SYS_sendto, Nothing, &[EINTR, ENOMEM, ENOBUFS]),
    call("set_robust_list", libc::SYS_set_robust_list, Nothing, &[]),
    call("set_tid_address", libc::SYS_set_tid_address, Nothing, &[]),
    call("setfsuid", libc::SYS_setfsuid, Nothing, &[]),
    call("setgid", libc::SYS_setgid, Nothing, &[EPERM, EINVAL, ENOMEM]),
    call("setgroups", libc::SYS_setgroups, Nothing, &[EPERM, ENOMEM]),
    call("sethostname", libc::SYS_sethostname, Nothing, &[EPERM]),
    call("setns", libc::SYS_setns, Nothing, &[EPERM, EINVAL, ENOMEM]),
    call("setresgid", libc::SYS_setresgid, Nothing, &[EPERM, EINVAL, ENOMEM]),
    call("setresuid", libc::SYS_setresuid, Nothing, &[EPERM, EINVAL, EAGAIN, ENOMEM]),
    call("setsid", libc::SYS_setsid, Nothing, &[EPERM]),
    call("setsockopt", libc::SYS_setsockopt, Nothing, &[ENOMEM, ENOBUFS]),
    call("setuid", libc::SYS_setuid, Nothing, &[EPERM, EINVAL, EAGAIN, ENOMEM]),
    call("sigaltstack", libc::SYS_sigaltstack, Nothing, &[]),
    call("signalfd4", libc::SYS_signalfd4, Nothing, &[EMFILE, ENFILE, ENOMEM]),
    call("socket", libc::SYS_socket, Nothing, &[EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES]),
    call("socketpair", libc::SYS_socketpair, Nothing, &[EMFILE, ENFILE, ENOMEM, ENOBUFS]),
    call("splice", libc::SYS_splice, Nothing, &[EIO, ENOSPC, ENOMEM, EINVAL]),
    call("stat", libc::SYS_stat, Text(0), LOOKS),
    call("statfs", libc::SYS_statfs, Text(0), LOOKS),
    call("fchownat", libc::SYS_fchownat, Text(1), MAKES),
    call("utimensat", libc::SYS_utimensat, Text(1), MAKES),
    call("pwrite64", libc::SYS_pwrite64, Nothing, MAKES),
    call("statx", libc::SYS_statx, Text(1), &[EIO, ENOMEM, ENOSYS, EPERM]),
    call("symlink", libc::SYS_symlink, Text(1), MAKES),
    call("linkat", libc::SYS_linkat, Text(1), MAKES),
    call("symlinkat", libc::SYS_symlinkat, Text(2), MAKES),
    call("sysinfo", libc::SYS_sysinfo, Nothing, &[]),
    call("timer_create", libc::SYS_timer_create, Nothing, &[EAGAIN, ENOMEM, EPERM]),
    call("timer_delete", libc::SYS_timer_delete, Nothing, &[]),
    call("timer_settime", libc::SYS_timer_settime, Nothing, &[EINVAL]),
    call("sched_yield", libc::SYS_sched_yield, Nothing, &[]),
    call("umask", libc::SYS_umask, Nothing, &[]),
    call("umount2", libc::SYS_umount2, Text(0), &[EPERM, EBUSY, ENOMEM]),
    call("uname", libc::SYS_uname, Nothing, &[]),
    call("unlink", libc::SYS_unlink, Text(0), &[EPERM, EBUSY, EIO, ENOMEM]),
    call("unlinkat", libc::SYS_unlinkat, Text(1), &[EPERM, EBUSY, EIO, ENOMEM]),
    call("unshare", libc::SYS_unshare, Nothing, &[EPERM, ENOMEM, ENOSPC, EUSERS]),
    call("wait4", libc::SYS_wait4, Nothing, &[EINTR]),
    call("write", libc::SYS_write, Nothing, &[EIO, EINTR, EAGAIN, ENOSPC, EPERM, EPIPE]),
    call("writev", libc::SYS_writev, Nothing, &[EIO, EINTR, EAGAIN, ENOSPC]),
];

/// What is known of a call.
pub(crate) fn find(number: i64) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.number == number)
}

impl Call {
    /// The errors to try, given the shown argument: `fcntl` is many calls.
    pub(crate) fn errors(&self, detail: &str) -> &'static [i32] {
        let command = detail.parse().unwrap_or(-1);
        match self.name {
            "fcntl" if command == libc::F_SETLK => &[ENOLCK, EAGAIN, EACCES, EINTR],
            "fcntl" if command == libc::F_DUPFD || command == libc::F_DUPFD_CLOEXEC => &[EMFILE],
            _ => self.errors,
        }
    }
}

/// The calls that go on after EINTR: those that wait, or move data.
pub(crate) const RETRIED: [&str; 10] =
    ["copy_file_range", "poll", "ppoll", "read", "recvfrom", "recvmsg", "sendmsg", "sendto", "wait4", "write"];

/// An errno's name, for reports.
pub(crate) fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}
