//! The base set of `--learn-seccomp`: calls that nearly every program makes, and that are never
//! worth asking about. They are allowed in every policy that is learned.

use crate::kernel::names;

/// Their names, with blanks in between; those that this architecture lacks are left out.
const NAMES: &str = concat!(
    // Memory.
    "brk madvise membarrier mlock mmap mprotect mremap msync munlock munmap mincore ",
    // Open files.
    "close close_range dup dup2 dup3 fadvise64 fallocate fcntl fdatasync flock fstat fstatfs \
     fsync ftruncate getdents getdents64 ioctl lseek pipe pipe2 pread64 preadv preadv2 pwrite64 \
     pwritev pwritev2 read readahead readv sendfile splice copy_file_range tee write writev \
     getcwd umask ",
    // Waiting.
    "clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_pwait \
     epoll_pwait2 epoll_wait eventfd eventfd2 futex futex_waitv gettimeofday nanosleep pause \
     poll ppoll pselect6 restart_syscall sched_yield select time timerfd_create timerfd_gettime \
     timerfd_settime times ",
    // Processes and threads.
    "arch_prctl exit exit_group fork get_robust_list getcpu getegid geteuid getgid getgroups \
     getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit \
     getrusage getsid gettid getuid prlimit64 rseq sched_getaffinity sched_getparam \
     sched_getscheduler sched_get_priority_max sched_get_priority_min set_robust_list \
     set_tid_address setitimer getitimer sysinfo uname vfork wait4 waitid ",
    // Signals.
    "kill rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait \
     sigaltstack tgkill ",
    // Sockets that are connected.
    "getpeername getsockname getsockopt recvfrom recvmmsg recvmsg shutdown ",
);

/// The names one by one.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    NAMES.split_ascii_whitespace()
}

/// Their numbers.
pub(crate) fn numbers() -> impl Iterator<Item = u32> {
    all().filter_map(names::number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known() {
        let old = ["dup2", "epoll_create", "epoll_wait", "eventfd", "fork", "getdents", "getpgrp"];
        let here = numbers().count();
        assert!(here > 100 && here + 20 > all().count(), "{here} of {}", all().count());
        assert!(old.iter().all(|old| all().any(|name| name == *old)));
    }

    #[test]
    fn no_call_that_names_something_is_in_it() {
        let base: Vec<_> = numbers().collect();
        for (number, _) in crate::record::calls::all() {
            assert!(!base.contains(&number), "{number}");
        }
    }
}
