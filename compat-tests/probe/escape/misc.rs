//! Attempts on everything else: devices, the terminal, sockets, user namespaces, capabilities, keys, the kernel's settings.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::attempts::{Attempts, pids};
use super::process::{clones, gains_by_exec};
use crate::sys::{self, Word, call};

/// `PATH`: a node of /dev/null that the host has planted there.
pub(super) fn devices(attempts: &mut Attempts, planted: &str) {
    attempts.make("planted node", || OpenOptions::new().write(true).open(planted).is_ok());
    for (name, number) in [("null", makedev(1, 3)), ("mem", makedev(1, 1)), ("kmsg", makedev(1, 11))] {
        for place in ["/in", "/tmp", "/dev", ""] {
            attempts.make(&format!("own {name} in {place}/"), || {
                let node = format!("{place}/own");
                let made = mknod(node.as_str(), SFlag::S_IFCHR, Mode::S_IRWXU, number).is_ok();
                let opened = made && File::open(&node).is_ok();
                _ = fs::remove_file(&node);
                opened
            });
        }
    }
}

pub(super) fn terminal(attempts: &mut Attempts) {
    let ioctl = |request: i64, word: Word<'_>| call(libc::SYS_ioctl, &mut [Word::Number(0), Word::Number(request), word]).is_ok();
    attempts.make("TIOCSTI", || ioctl(0x5412, Word::In(b"x")));
    // TIOCL_SETSEL and TIOCL_PASTESEL
    attempts.make("TIOCLINUX, select", || ioctl(0x541c, Word::In(&[2, 1, 0, 1, 0, 2, 0, 1, 0, 0, 0])));
    attempts.make("TIOCLINUX, paste", || ioctl(0x541c, Word::In(&[3, 0])));
    attempts.make("open of /dev/tty", || OpenOptions::new().read(true).write(true).open("/dev/tty").is_ok());
    attempts.make("TIOCSCTTY", || ioctl(0x540e, Word::Number(1)));
    attempts.make("signal to the group", || call(libc::SYS_kill, &mut [Word::Number(0), Word::Number(0)]).is_ok() && outsider());
}

/// Whether the process group is that of somebody outside of the pid namespace, who would get its signals.
fn outsider() -> bool {
    nix::unistd::getpgrp().as_raw() == 0
}

/// The path of a socket of the host, or its abstract name.
pub(super) fn socket(attempts: &mut Attempts, name: &str) {
    if name.starts_with('/') {
        return attempts.make("socket", || UnixStream::connect(name).is_ok());
    }
    attempts.make("abstract socket", || {
        SocketAddr::from_abstract_name(name).is_ok_and(|address| UnixStream::connect_addr(&address).is_ok())
    });
}

/// `FD`: a user namespace that the caller has left open.
pub(super) fn user_namespaces(attempts: &mut Attempts, open: &str) {
    let user = CloneFlags::CLONE_NEWUSER;
    attempts.make("unshare", || unshare(user).is_ok());
    attempts.make("unshare with others", || unshare(user | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID).is_ok());
    let flag = i64::from(libc::CLONE_NEWUSER);
    attempts.make("clone", || clones(flag, false));
    attempts.make("clone3", || clones(flag, true));
    attempts.make("clone of a child", || clones(0, false) && clones(flag | i64::from(libc::CLONE_NEWNET), false));
    attempts.make("raised limit", || fs::write("/proc/sys/user/max_user_namespaces", "100").is_ok() && unshare(user).is_ok());
    attempts.make("raised limit in a namespace", || {
        unshare(user).is_ok() && fs::write("/proc/sys/user/max_user_namespaces", "100").is_ok() && unshare(user).is_ok()
    });
    attempts.make("joined by an open fd", || {
        let namespace = File::open(format!("/proc/self/fd/{open}"));
        namespace.is_ok_and(|namespace| setns(namespace, user).is_ok())
    });
    attempts.make("joined by /proc", || {
        let open = |pid| File::open(format!("/proc/{pid}/ns/user"));
        pids().into_iter().any(|pid| open(pid).is_ok_and(|namespace| setns(namespace, user).is_ok()))
    });
    attempts.make("joined by pidfd", || {
        pids().into_iter().any(|pid| {
            let fd = call(libc::SYS_pidfd_open, &mut [Word::Number(pid.into()), Word::Number(0)]);
            fd.is_ok_and(|fd| setns(sys::adopt(fd), user).is_ok())
        })
    });
}

/// Nothing gives back what was dropped. `/in/suid` belongs to root and has its set-uid bit, `/in/capable` has file capabilities; where
/// they are missing, the attempt holds.
pub(super) fn capabilities(attempts: &mut Attempts) {
    // The header of version 3 for this process, and all bits in all sets.
    let header = [0x2008_0522_u32, 0].map(u32::to_ne_bytes).concat();
    for (name, sets) in [("effective", [u32::MAX, u32::MAX, 0]), ("inheritable", [0, 0, u32::MAX])] {
        attempts.make(&format!("capset, {name}"), || {
            let data = [sets, sets].concat().into_iter().flat_map(u32::to_ne_bytes).collect::<Vec<_>>();
            call(libc::SYS_capset, &mut [Word::In(&header), Word::In(&data)]).is_ok()
        });
    }
    let prctl = |words: [i32; 3]| call(libc::SYS_prctl, &mut words.map(|word| Word::Number(word.into()))).is_ok();
    attempts.make("ambient", || (0..41).any(|number| prctl([libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, number])));
    attempts.make("no_new_privs taken back", || prctl([libc::PR_SET_NO_NEW_PRIVS, 0, 0]));
    attempts.make("secure bits", || prctl([libc::PR_SET_SECUREBITS, 1 << 4, 0]));
    for id in [0, 1, 65534] {
        attempts.make(&format!("another uid, {id}"), || {
            nix::unistd::getuid().as_raw() != id && call(libc::SYS_setuid, &mut [Word::Number(id.into())]).is_ok()
        });
    }
    attempts.make("other groups", || call(libc::SYS_setgroups, &mut [Word::Number(0), Word::Number(0)]).is_ok());
    attempts.make("exec", || gains_by_exec("/probe"));
    attempts.make("exec of /proc/self/exe", || gains_by_exec("/proc/self/exe"));
    attempts.make("exec of set-uid root", || gains_by_exec("/in/suid"));
    attempts.make("exec with file capabilities", || gains_by_exec("/in/capable"));
    attempts.make("set-uid root", || {
        let output = std::process::Command::new("/in/suid").args(["--probe", "x", "ids"]).output();
        let own = nix::unistd::getuid().as_raw();
        let same = format!("uid: {own} {own} {own}\n");
        output.is_ok_and(|output| !String::from_utf8_lossy(&output.stdout).contains(&same))
    });
}

/// Executes a program in a new session keyring that holds a key; `{key}` in its words is the key's number.
pub(crate) fn with_key(words: &[String]) -> std::process::ExitCode {
    const JOIN_SESSION_KEYRING: i64 = 1;
    const SESSION_KEYRING: i64 = -3;
    let joined = call(libc::SYS_keyctl, &mut [Word::Number(JOIN_SESSION_KEYRING), Word::Number(0)]);
    let (kind, name, content) = (c"user", c"bleb-session", b"secret");
    let words_of_key =
        &mut [Word::Text(kind), Word::Text(name), Word::In(content), Word::Number(6), Word::Number(SESSION_KEYRING)];
    let key = joined.and_then(|_| call(libc::SYS_add_key, words_of_key)).unwrap_or(-1);
    let mut words = words.iter().map(|word| word.replace("{key}", &key.to_string()));
    let program = words.next().unwrap_or_default();
    let error = std::process::Command::new(program).args(words).exec();
    _ = std::io::stderr().write_all(format!("{error}\n").as_bytes());
    std::process::ExitCode::FAILURE
}

/// `ID`: a key in the caller's session keyring.
pub(super) fn keys(attempts: &mut Attempts, id: &str) {
    let keyctl = |words: [i64; 3]| call(libc::SYS_keyctl, &mut words.map(Word::Number)).is_ok();
    let id = id.parse().unwrap_or(0);
    attempts.make("read of a session key", || {
        let mut content = [0; 64];
        let words = &mut [Word::Number(11), Word::Number(id), Word::Out(&mut content), Word::Number(64)];
        call(libc::SYS_keyctl, words).is_ok_and(|length| length > 0)
    });
    // KEYCTL_REVOKE of a key that does not exist is left out: it would take the caller's key away where this gets through.
    attempts.make("description of a session key", || keyctl([6, id, 0]));
    attempts.make("search of the user keyring", || {
        let words = &mut [Word::Number(10), Word::Number(-4), Word::Text(c"user"), Word::Text(c"bleb-user"), Word::Number(0)];
        call(libc::SYS_keyctl, words).is_ok()
    });
}

/// Whether any file below a directory opens for writing.
fn opens_any(dir: &str) -> bool {
    std::fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => opens_any(&entry.path().to_string_lossy()),
        Ok(kind) => kind.is_file() && OpenOptions::new().write(true).open(entry.path()).is_ok(),
        Err(_) => false,
    })
}

/// `PLACE`: opens the kernel's settings for writing, below that place, and writes nothing.
pub(super) fn kernel(attempts: &mut Attempts, place: &str) {
    let files = [
        "proc/sys/kernel/core_pattern",
        "proc/sys/kernel/modprobe",
        "proc/sys/kernel/sysrq",
        "proc/sys/kernel/hostname",
        "proc/sys/vm/drop_caches",
        "proc/sys/fs/binfmt_misc/register",
        "proc/sys/net/ipv4/ip_forward",
        "proc/sys/user/max_user_namespaces",
        "proc/sysrq-trigger",
        "proc/irq/default_smp_affinity",
        "proc/bus/pci/devices",
        "proc/kcore",
        "proc/kmsg",
        "sys/power/state",
        "sys/kernel/uevent_helper",
        "sys/kernel/mm/transparent_hugepage/enabled",
        "sys/module/kernel/parameters/panic",
        "sys/fs/cgroup/cgroup.procs",
        "sys/fs/cgroup/unified/cgroup.procs",
        "sys/fs/cgroup/release_agent",
    ];
    for file in files {
        attempts.make(file, || OpenOptions::new().write(true).open(format!("{place}/{file}")).is_ok());
    }
    attempts.make("proc/fs", || opens_any(&format!("{place}/proc/fs")));
    attempts.make("remount of /proc/sys", || {
        let none = None::<&str>;
        let flags = nix::mount::MsFlags::MS_REMOUNT | nix::mount::MsFlags::MS_BIND;
        _ = unshare(CloneFlags::CLONE_NEWNS);
        nix::mount::mount(none, "/proc/sys", none, flags, none).is_ok()
            && OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").is_ok()
    });
}
