//! Second lines for failures that people really meet: what is probably behind them, and what to do.
//!
//! They are looked for only after a failure and only if somebody reads them: on a terminal, with
//! --level-prefix or --error-fd, or if BWRAP_HINTS says so. Launchers match the first line, and
//! expect no second one. Nothing in here
//! changes what is done, so whatever cannot be found out is left unsaid.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::sys::statfs::{
    FUSE_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, fstatfs, statfs,
};
use nix::unistd::{AccessFlags, access};

use crate::config::Want;
use crate::config::op::{Access, Op, Source, components};
use crate::config::settle::Settled;
use crate::confine::caps::{NET_ADMIN, SETFCAP, SYS_ADMIN};
use crate::fds::Inherited;
use crate::kernel::program::found;
use crate::kernel::sys;

/// What a file says, without blanks around it.
fn content(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Whether a file of /proc/sys says this.
fn says(path: &str, value: &str) -> bool {
    content(path).is_some_and(|text| text == value)
}

/// Why user namespaces, or operations in a new one, were probably refused.
pub(crate) fn user_namespaces(errno: Option<Errno>) -> Option<String> {
    if !matches!(errno, None | Some(Errno::EPERM | Errno::EACCES | Errno::ENOSPC)) {
        return None;
    }
    if says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return Some(
            "kernel.apparmor_restrict_unprivileged_userns is 1, so this program needs an AppArmor profile that allows userns, such as \
             src/confine/apparmor.profile of bleb, in /etc/apparmor.d"
                .to_owned(),
        );
    }
    // Where that matters, the caller is an ordinary user.
    if let Some(text) = switched_off(1) {
        return Some(text);
    }
    if is_filtered() {
        return Some(
            "a seccomp filter is in force, probably a container's: it must allow clone, unshare, mount, pivot_root and umount2 \
             (Docker: --security-opt seccomp=FILE)"
                .to_owned(),
        );
    }
    is_chrooted()
        .then(|| "this is a chroot, where the kernel does not allow user namespaces: enter it with pivot_root instead".to_owned())
}

/// Which setting keeps this user from making user namespaces.
pub(crate) fn switched_off(uid: u32) -> Option<String> {
    if uid != 0 && says("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return Some(
            "kernel.unprivileged_userns_clone is 0: root can allow it with sysctl kernel.unprivileged_userns_clone=1".to_owned(),
        );
    }
    says("/proc/sys/user/max_user_namespaces", "0").then(|| {
        "user.max_user_namespaces is 0: root can allow some with sysctl user.max_user_namespaces=10000"
            .to_owned()
    })
}

/// Whether a filter of system calls has been installed.
fn is_filtered() -> bool {
    content("/proc/self/status").is_some_and(|text| text.lines().any(|line| line == "Seccomp:\t2"))
}

/// Whether the root directory is not a mount point: then it was set by chroot(2).
fn is_chrooted() -> bool {
    let table = content("/proc/self/mountinfo").unwrap_or_default();
    !table.is_empty() && !table.lines().any(|line| line.split(' ').nth(4) == Some("/"))
}

/// Why root cannot say what becomes of its mounts.
pub(crate) fn chroot(errno: Option<Errno>) -> Option<String> {
    (errno == Some(Errno::EINVAL) && is_chrooted()).then(|| {
        "this is a chroot of a directory that is not a mount point: bind mount it on itself before \
         chroot, or enter it with pivot_root"
            .to_owned()
    })
}

/// What root lacks in a container that gives it few capabilities; `ALSO` is another way.
fn lacks(config: &Settled, wanted: u64, name: &str, also: &str) -> Option<String> {
    (config.host.caps & wanted == 0)
        .then(|| format!("root has no {name} here, as in a container: give it that, or {also}"))
}

/// Why ids could not be mapped, or further user namespaces not be refused.
pub(crate) fn ids(config: &Settled, errno: Option<Errno>) -> Option<String> {
    match errno {
        Some(Errno::EROFS) => Some(
            "/proc/sys is read-only, as in a container: run the container with a writable one \
             (Docker: --security-opt systempaths=unconfined), or do without --disable-userns"
                .to_owned(),
        ),
        Some(Errno::EPERM) if config.host.caller.uid == 0 => {
            let also = "run bwrap as another user: from Linux 5.12 on, mapping the ID 0 takes it";
            lacks(config, SETFCAP, "CAP_SETFCAP", also).or_else(|| user_namespaces(errno))
        }
        _ => user_namespaces(errno),
    }
}

/// Why the loopback interface could not be brought up.
pub(crate) fn loopback(config: &Settled, errno: Option<Errno>) -> Option<String> {
    if errno == Some(Errno::EPERM) && config.namespaces.user != Want::Yes {
        return lacks(config, NET_ADMIN, "CAP_NET_ADMIN", "add --unshare-user");
    }
    user_namespaces(errno)
}

/// Which limit was met, of the namespaces that are wanted, or what is lacking to make them.
pub(crate) fn namespaces(config: &Settled, errno: Option<Errno>) -> Option<String> {
    if errno == Some(Errno::EPERM) && config.namespaces.user != Want::Yes {
        return lacks(config, SYS_ADMIN, "CAP_SYS_ADMIN", "add --unshare-user");
    }
    if errno != Some(Errno::ENOSPC) {
        return if config.namespaces.user == Want::Yes { user_namespaces(errno) } else { None };
    }
    let mut limits = Vec::new();
    for (kind, ..) in config.namespaces.each().into_iter().filter(|(.., want)| *want != Want::No) {
        let name = format!("user.max_{kind}_namespaces");
        let value = content(&format!("/proc/sys/{}", name.replace('.', "/")))?;
        if value == "0" {
            return Some(format!("{name} is 0: root can raise it with sysctl"));
        }
        limits.push(format!("{name}={value}"));
    }
    Some(format!(
        "at most 32 user or PID namespaces can be nested, and each enclosing user namespace has \
         its own limits; here they are {}",
        limits.join(", ")
    ))
}

/// The probable problem with the source of an operation.
pub(crate) fn source(op: &Op, fds: &Inherited, errno: Option<Errno>) -> Option<String> {
    if let Some(fd) = op.fd() {
        return fds.is_used(fd).then(|| {
            format!("an earlier option has already used fd {fd}: give each option its own fd")
        });
    }
    match op {
        Op::Proc(_) if errno == Some(Errno::EPERM) => Some(
            "the kernel refuses a new procfs if the surrounding one is partly hidden, as in a \
             container: use --ro-bind /proc /proc, or run the container without hiding it \
             (Docker: --security-opt systempaths=unconfined); from Linux 7.1 on, --proc-pid works"
                .to_owned(),
        ),
        Op::ProcPid(_) if errno == Some(Errno::EPERM) => Some(format!(
            "if the surrounding procfs is partly hidden, as in a container, --proc-pid needs \
             Linux 7.1, and this is {}",
            sys::kernel_release()
        )),
        Op::Bind { source: Source::Path(path), .. } | Op::Same { path, .. }
            if errno == Some(Errno::EACCES) =>
        {
            unreadable(path)
        }
        _ if errno == Some(Errno::ENOSPC) => mount_limit(),
        _ => None,
    }
}

/// Whether a path is on a file system that does not show itself to everybody.
fn unreadable(path: &CStr) -> Option<String> {
    let mut place = path.to_str().ok()?;
    let kind = loop {
        if let Ok(found) = statfs(place) {
            break found.filesystem_type();
        }
        place =
            place.rsplit_once('/').map(|(parent, _)| parent).filter(|parent| !parent.is_empty())?;
    };
    match kind {
        FUSE_SUPER_MAGIC => Some(format!(
            "{place} is on a FUSE file system, which only its owner can access, not even root: \
             mount it with -o allow_other or allow_root"
        )),
        NFS_SUPER_MAGIC => Some(format!("{place} is on NFS, where root is nobody (root_squash)")),
        _ => None,
    }
}

/// The limit on mounts.
fn mount_limit() -> Option<String> {
    let most = content("/proc/sys/fs/mount-max")?;
    let count = content("/proc/self/mountinfo")?.lines().count();
    Some(format!("fs.mount-max is {most}, and this mount namespace has {count} mounts already"))
}

/// The probable problem with the directories that an overlay writes to.
pub(crate) fn overlay(upper: Option<&(OwnedFd, OwnedFd)>, errno: Option<Errno>) -> Option<String> {
    let (upper, work) = upper?;
    if !matches!(
        errno,
        Some(
            Errno::EINVAL
                | Errno::EPERM
                | Errno::EXDEV
                | Errno::EROFS
                | Errno::EOPNOTSUPP
                | Errno::ENOTDIR
        )
    ) {
        return None;
    }
    let device = |fd: &OwnedFd| fstat(fd).ok().map(|status| status.st_dev);
    if device(upper) != device(work) {
        return Some("RWSRC and WORKDIR must be on the same file system".to_owned());
    }
    let name = match fstatfs(upper.as_fd()).ok()?.filesystem_type() {
        OVERLAYFS_SUPER_MAGIC => "an overlay itself",
        FUSE_SUPER_MAGIC => "on FUSE",
        NFS_SUPER_MAGIC => "on NFS",
        FsType(0x9fa0) => "on procfs",
        FsType(0x6265_6572) => "on sysfs",
        _ if errno == Some(Errno::EROFS) => "read-only",
        _ => return None,
    };
    Some(format!(
        "RWSRC is {name}, which cannot hold the changes of an overlay: use a directory on a \
         disk's file system, or --tmp-overlay"
    ))
}

/// The probable problem with the place where an operation acts.
pub(crate) fn place(before: &[Op], op: &Op, errno: Option<Errno>) -> Option<String> {
    match (op, errno?) {
        (Op::RemountRo(dest), Errno::EINVAL) => {
            let dest = dest.to_string_lossy();
            Some(format!(
                "{dest} is not a mount point: bind it read-only instead, or put --bind {dest} \
                 {dest} before --remount-ro"
            ))
        }
        (_, Errno::EROFS) => read_only(before, op),
        _ => None,
    }
}

/// Which operation before has made read-only what this one wants to make something in.
fn read_only(before: &[Op], op: &Op) -> Option<String> {
    let dest = op.dest();
    let around = |earlier: &&Op| components(dest).starts_with(&components(earlier.dest()));
    let (option, place) = match before.iter().rev().find(around)? {
        Op::Bind { dest, access: Access::ReadOnly, .. } => ("a read-only bind", dest),
        Op::Bind { dest, .. } => ("a bind of something that is read-only itself", dest),
        Op::Same { path, access: Access::ReadOnly, .. } => ("--ro-same", path),
        Op::RemountRo(dest) => ("--remount-ro", dest),
        Op::Mask(path) => ("--mask", path),
        Op::Overlay { dest, .. } => ("--ro-overlay", dest),
        _ => return None,
    };
    let place = place.to_string_lossy();
    Some(format!(
        "{option} at {place} precedes it: create the mount point in its source, or put a --tmpfs in between"
    ))
}

/// Where the host has COMMAND, for whoever looks for it in the sandbox. It is looked for before
/// there is a sandbox, and so only where somebody is likely to read hints.
#[cold]
pub(crate) fn on_host(file: &CStr) -> Option<CString> {
    let path = found(file).filter(|path| path.to_bytes().starts_with(b"/"))?;
    access(path.as_c_str(), AccessFlags::F_OK).ok().map(|()| path)
}

/// Where a destination leads that is a symbolic link.
pub(crate) fn link(target: &std::ffi::OsStr, may_follow: bool) -> String {
    let option = if may_follow { ", or put --follow-symlinks before this option" } else { "" };
    format!("it is a symbolic link to {}: name that instead{option}", target.display())
}
