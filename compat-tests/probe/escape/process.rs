//! Attempts on another process: to trace it, to read and write its memory, to take its files, to go where it is.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use nix::sched::{CloneFlags, setns};

use super::attempts::{Attempts, pids};
use crate::sys::{self, Word, call};

/// `parent`, `1`, or `others`: every process that /proc shows and that is not this one, its parent or PID 1.
pub(super) fn run(attempts: &mut Attempts, whom: &str) {
    let own = std::process::id().cast_signed();
    let parent = nix::unistd::getppid().as_raw();
    let victims = match whom {
        "parent" => vec![parent],
        "others" => pids().into_iter().filter(|pid| ![own, parent, 1].contains(pid)).collect(),
        number => number.parse().into_iter().collect(),
    };
    let mut any = |name: &str, attempt: fn(i32) -> bool| {
        attempts.make(name, || victims.iter().filter(|pid| **pid > 0 && **pid != own).any(|pid| attempt(*pid)));
    };
    any("signal", |pid| call(libc::SYS_kill, &mut [Word::Number(pid.into()), Word::Number(0)]).is_ok());
    any("signal by pidfd", |pid| {
        pidfd(pid).is_some_and(|fd| {
            let nothing = [Word::Number(0), Word::Number(0), Word::Number(0)];
            let [signal, info, flags] = nothing;
            call(libc::SYS_pidfd_send_signal, &mut [Word::Number(fd.into()), signal, info, flags]).is_ok()
        })
    });
    any("trace", |pid| trace(0x4206, pid));
    any("attach", |pid| {
        // Let go of it when it has stopped, or it would stay so.
        trace(16, pid) && (libc::WIFSTOPPED(sys::wait(pid)) && trace(17, pid))
    });
    any("read memory", |pid| memory(libc::SYS_process_vm_readv, pid));
    any("write memory", |pid| memory(libc::SYS_process_vm_writev, pid));
    any("/proc/PID/mem", |pid| OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).is_ok());
    any("take an fd", |pid| {
        pidfd(pid).is_some_and(|fd| {
            (0..16).any(|number| {
                let words = &mut [Word::Number(fd.into()), Word::Number(number), Word::Number(0)];
                call(libc::SYS_pidfd_getfd, words).is_ok()
            })
        })
    });
    for (name, file) in [("exe", "exe"), ("environ", "environ"), ("maps", "maps")] {
        let path = move |pid: i32| format!("/proc/{pid}/{file}");
        attempts.make(&format!("/proc/PID/{name}"), || {
            victims
                .iter()
                .any(|pid| *pid != own && File::open(path(*pid)).is_ok_and(|file| file.read_at(&mut [0; 64], 0).is_ok()))
        });
    }
    for link in ["root", "cwd", "fd/0", "fd/1", "fd/2"] {
        attempts.make(&format!("/proc/PID/{link}"), || {
            victims.iter().any(|pid| *pid != own && fs::metadata(format!("/proc/{pid}/{link}")).is_ok())
        });
    }
    for (name, kind) in [("mnt", CloneFlags::CLONE_NEWNS), ("user", CloneFlags::CLONE_NEWUSER), ("net", CloneFlags::CLONE_NEWNET)]
    {
        attempts.make(&format!("enter its {name} namespace"), || {
            let enter = |pid: i32| File::open(format!("/proc/{pid}/ns/{name}")).map(|namespace| setns(namespace, kind));
            victims.iter().any(|pid| *pid != own && matches!(enter(*pid), Ok(Ok(()))))
        });
    }
    attempts.make("read its limits", || {
        victims.iter().any(|pid| {
            let mut limit = [0; 16];
            let limits = Word::Out(&mut limit);
            call(libc::SYS_prlimit64, &mut [Word::Number((*pid).into()), Word::Number(7), Word::Number(0), limits]).is_ok()
        })
    });
}

fn pidfd(pid: i32) -> Option<i32> {
    let fd = call(libc::SYS_pidfd_open, &mut [Word::Number(pid.into()), Word::Number(0)]).ok()?;
    i32::try_from(fd).ok()
}

/// `PTRACE_SEIZE`, which ends with this process, `PTRACE_ATTACH` or `PTRACE_DETACH`.
fn trace(request: i64, pid: i32) -> bool {
    call(libc::SYS_ptrace, &mut [Word::Number(request), Word::Number(pid.into()), Word::Number(0), Word::Number(0)]).is_ok()
}

/// One byte at an address where the victim, of which nothing is known, has nothing: EFAULT says that it was looked at.
fn memory(number: i64, pid: i32) -> bool {
    let mut byte = [0_u8; 1];
    let local = [byte.as_mut_ptr().expose_provenance(), 1].map(usize::to_ne_bytes).concat();
    let remote = [8_usize, 1].map(usize::to_ne_bytes).concat();
    let words =
        &mut [Word::Number(pid.into()), Word::In(&local), Word::Number(1), Word::In(&remote), Word::Number(1), Word::Number(0)];
    let result = call(number, words);
    result.map_or_else(|error| error.raw_os_error() == Some(libc::EFAULT), |_| true)
}

/// Executes this program again, and tells whether that one has capabilities.
pub(super) fn gains_by_exec(program: &str) -> bool {
    let output = std::process::Command::new(program).args(["--probe", "x", "caps"]).output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().any(|line| line.strip_prefix("effective: ").is_some_and(|caps| !caps.is_empty()))
    })
}

/// Whether a child of these new namespaces can be made, by clone(2) or clone3(2).
pub(super) fn clones(flags: i64, newer: bool) -> bool {
    let result = if newer {
        // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
        let words = [flags, 0, 0, 0, i64::from(libc::SIGCHLD), 0, 0, 0];
        let words = words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
        call(libc::SYS_clone3, &mut [Word::In(&words), Word::Number(64)])
    } else {
        let zero = || Word::Number(0);
        call(libc::SYS_clone, &mut [Word::Number(flags | i64::from(libc::SIGCHLD)), zero(), zero(), zero(), zero()])
    };
    match result {
        Ok(0) => sys::leave(0),
        Ok(child) => {
            _ = sys::wait(i32::try_from(child).unwrap_or(0));
            true
        }
        Err(_) => false,
    }
}
