//! Attempts to reach what the sandbox was not given: a file outside, known by its path and by its handle.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{OFlag, open, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::{chdir, chroot, fchdir, pivot_root};

use super::attempts::{Attempts, pids};
use crate::sys::{self, Word, call};

/// What the file outside holds.
pub(crate) const SECRET: &str = "the file outside";

/// Where it is inside, below a tmpfs that covers it.
const COVERED: &str = "/covered/hidden/marker";

/// Ways from a root or a directory to what may be around it.
const PREFIXES: [&str; 9] = [
    "",
    "/..",
    "/../../../../../../../../..",
    "/oldroot",
    "/newroot",
    "/../oldroot",
    "/proc/self/root/..",
    "/proc/1/root",
    "/proc/thread-self/root/../..",
];

/// The file outside, as the host knows it.
struct Target<'a> {
    path: &'a str,
    /// Type and bytes of its handle, see `name_to_handle_at(2)`.
    handle: Vec<u8>,
}

/// `PATH` or `PATH:HANDLE`.
pub(super) fn run(attempts: &mut Attempts, words: &str) {
    let (path, handle) = words.split_once(':').unwrap_or((words, ""));
    let target = Target { path, handle: bytes(handle) };
    paths(attempts, &target);
    processes(attempts, &target);
    namespaces(attempts, &target);
    unmounting(attempts, &target);
    mounts(attempts, &target);
    uncovering(attempts);
    below_the_file_system(attempts, &target);
    mount_lists(attempts);
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn holds_secret(path: impl AsRef<Path>) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text == SECRET)
}

impl Target<'_> {
    /// Whether it is to be seen by any path.
    fn seen(&self) -> bool {
        holds_secret(COVERED)
            || PREFIXES.iter().any(|prefix| holds_secret(format!("{prefix}{}", self.path)))
            || holds_secret(format!("{}{}", "../".repeat(40), self.path))
    }

    /// Whether it is to be seen from a directory.
    fn seen_from(&self, dir: BorrowedFd<'_>) -> bool {
        let ways = [format!(".{}", self.path), format!("{}{}", "../".repeat(40), self.path.trim_start_matches('/'))];
        ways.iter().any(|way| {
            let file = openat(dir, way.as_str(), OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty());
            file.is_ok_and(|file| std::io::read_to_string(File::from(file)).is_ok_and(|text| text == SECRET))
        })
    }

    /// Goes into a mount namespace, and looks.
    fn seen_in(&self, namespace: impl AsFd) -> bool {
        setns(namespace, CloneFlags::CLONE_NEWNS).is_ok() && self.seen()
    }
}

fn directory(path: impl AsRef<Path>) -> Option<OwnedFd> {
    open(path.as_ref(), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

fn paths(attempts: &mut Attempts, target: &Target<'_>) {
    attempts.make("path", || target.seen());
    attempts.make("dots from elsewhere", || {
        ["/", "/in", "/ro", "/tmp", "/dev/pts", "/proc/self"].iter().any(|dir| chdir(*dir).is_ok() && target.seen())
    });
    attempts.make("open fds", || {
        (0..1024).filter(|fd| sys::fd_flags(*fd).is_some()).any(|fd| {
            let seen = |dir: Option<OwnedFd>| dir.is_some_and(|dir| target.seen_from(dir.as_fd()));
            seen(directory(format!("/proc/self/fd/{fd}"))) || seen(directory(format!("/proc/self/fd/{fd}/..")))
        })
    });
    attempts.make("chroot and out again", || {
        let (Some(root), true) = (directory("/"), fs::create_dir_all("/tmp/jail").is_ok()) else { return false };
        let out = || chroot("/tmp/jail").and_then(|()| fchdir(&root));
        if out().is_err() {
            return false;
        }
        let seen = target.seen();
        (0..40).for_each(|_| _ = chdir(".."));
        seen || target.seen() || (chroot(".").is_ok() && target.seen())
    });
}

/// What /proc shows of processes.
fn processes(attempts: &mut Attempts, target: &Target<'_>) {
    for name in ["root", "cwd", "task/self/root"] {
        attempts.make(&format!("/proc/PID/{name}"), || {
            pids().iter().any(|pid| {
                let name = name.replace("self", &pid.to_string());
                directory(format!("/proc/{pid}/{name}")).is_some_and(|dir| target.seen_from(dir.as_fd()))
            })
        });
    }
    attempts.make("/proc/PID/fd", || {
        let fds = pids().into_iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten());
        fds.into_iter().any(|fd| directory(fd.path()).is_some_and(|dir| target.seen_from(dir.as_fd())))
    });
}

fn namespaces(attempts: &mut Attempts, target: &Target<'_>) {
    let open_ns = |pid: i32, name: &str| File::open(format!("/proc/{pid}/ns/{name}"));
    attempts.make("/proc/PID/ns/mnt", || {
        pids().into_iter().any(|pid| open_ns(pid, "mnt").is_ok_and(|namespace| target.seen_in(namespace)))
    });
    attempts.make("/proc/PID/ns/user, then mnt", || {
        pids().into_iter().any(|pid| {
            let users = open_ns(pid, "user").map(|namespace| setns(namespace, CloneFlags::CLONE_NEWUSER));
            matches!(users, Ok(Ok(()))) && open_ns(pid, "mnt").is_ok_and(|namespace| target.seen_in(namespace))
        })
    });
    // NS_GET_USERNS and NS_GET_PARENT, see ioctl_nsfs(2).
    for (name, request) in [("owner", 0xb701), ("parent", 0xb702)] {
        attempts.make(&format!("{name} of namespaces"), || {
            ["user", "pid", "mnt", "net"].iter().any(|kind| {
                let Ok(own) = File::open(format!("/proc/self/ns/{kind}")) else { return false };
                let relative = call(libc::SYS_ioctl, &mut [number(&own), Word::Number(request), Word::Number(0)]);
                let Ok(relative) = relative.map(sys::adopt) else { return false };
                setns(&relative, CloneFlags::empty()).is_ok() && target.seen_in(File::open("/proc/1/ns/mnt").unwrap_or(own))
            })
        });
    }
    // NS_MNT_GET_NEXT and NS_MNT_GET_PREV.
    for (name, request) in [("next", 0x8010_b70b), ("previous", 0x8010_b70c)] {
        attempts.make(&format!("{name} mount namespaces"), || {
            let mut current = File::open("/proc/self/ns/mnt").map(OwnedFd::from);
            for _ in 0..64 {
                let Ok(here) = &current else { return false };
                let mut info = [0; 16];
                let words = &mut [number(here), Word::Number(request), Word::Out(&mut info)];
                current = call(libc::SYS_ioctl, words).map(sys::adopt);
                if current.as_ref().is_ok_and(|namespace| target.seen_in(namespace)) {
                    return true;
                }
            }
            false
        });
    }
}

fn number(fd: &impl AsRawFd) -> Word<'static> {
    Word::Number(fd.as_raw_fd().into())
}

/// The mount points, the newest first.
fn mount_points() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().rev().filter_map(|line| line.split(' ').nth(4).map(str::to_owned)).collect()
}

fn unmounting(attempts: &mut Attempts, target: &Target<'_>) {
    attempts.mounting("umount of the root", || {
        let own = File::open("/proc/self/ns/mnt");
        (0..8).any(|_| {
            _ = umount2("/", MntFlags::MNT_DETACH);
            let seen = target.seen() || own.as_ref().is_ok_and(|own| target.seen_in(own));
            seen || umount2("/..", MntFlags::MNT_DETACH).is_ok() && target.seen()
        })
    });
    attempts.mounting("umount of everything", || {
        mount_points().iter().any(|point| (0..4).any(|_| umount2(point.as_str(), MntFlags::MNT_DETACH).is_ok() && target.seen()))
    });
    attempts.mounting("the namespace's root", || {
        let own = File::open("/proc/self/ns/mnt");
        _ = fs::create_dir_all("/tmp/jail").map(|()| chroot("/tmp/jail"));
        own.is_ok_and(|own| target.seen_in(own))
    });
    for lazily in [false, true] {
        attempts.mounting(if lazily { "pivot_root in place" } else { "pivot_root" }, || {
            let kind = Some("tmpfs");
            let made = fs::create_dir_all("/tmp/new").is_ok()
                && mount(kind, "/tmp/new", kind, MsFlags::empty(), None::<&str>).is_ok()
                && fs::create_dir("/tmp/new/old").is_ok()
                && chdir("/tmp/new").is_ok();
            if !made || pivot_root(".", if lazily { "." } else { "old" }).is_err() {
                return false;
            }
            let seen =
                target.seen() || holds_secret(format!("/old{}", target.path)) || holds_secret(format!("/old/..{}", target.path));
            _ = umount2(if lazily { "." } else { "old" }, MntFlags::MNT_DETACH);
            seen || target.seen()
        });
    }
}

const OPEN_TREE_CLONE: i64 = 1;
const AT_RECURSIVE: i64 = 0x8000;

fn open_tree(path: &str, flags: i64) -> Option<OwnedFd> {
    let path = CString::new(path).ok()?;
    let words = &mut [Word::Number(libc::AT_FDCWD.into()), Word::Text(&path), Word::Number(flags)];
    call(libc::SYS_open_tree, words).ok().map(sys::adopt)
}

fn mounts(attempts: &mut Attempts, target: &Target<'_>) {
    for (name, path, flags) in [
        ("open_tree", "/", 0),
        ("open_tree of a copy", "/", OPEN_TREE_CLONE | AT_RECURSIVE),
        ("open_tree above", "/..", OPEN_TREE_CLONE | AT_RECURSIVE),
        ("open_tree of a bind", "/in", OPEN_TREE_CLONE),
    ] {
        attempts.mounting(name, || {
            let Some(tree) = open_tree(path, flags) else { return false };
            target.seen_from(tree.as_fd()) || (fchdir(&tree).is_ok() && target.seen())
        });
    }
    attempts.mounting("move of the root", || {
        let (Some(tree), Ok(())) = (open_tree("/", 0), fs::create_dir_all("/tmp/moved")) else { return false };
        let at = c"/tmp/moved";
        let words = &mut [number(&tree), Word::Text(c""), Word::Number(libc::AT_FDCWD.into()), Word::Text(at), Word::Number(4)];
        call(libc::SYS_move_mount, words).is_ok() && target.seen()
    });
    attempts.mounting("bind of what is above", || {
        let made = fs::create_dir_all("/tmp/above").is_ok();
        let bound = mount(Some("/.."), "/tmp/above", None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>);
        made && bound.is_ok() && holds_secret(format!("/tmp/above{}", target.path))
    });
}

/// Copies of a directory without what is mounted below it, which would show what is covered there.
fn uncovering(attempts: &mut Attempts) {
    let none = None::<&str>;
    let copy = || fs::create_dir_all("/tmp/copy").is_ok();
    let copied = || holds_secret("/tmp/copy/hidden/marker");
    attempts.mounting("bind without submounts", || {
        copy() && mount(Some("/covered"), "/tmp/copy", none, MsFlags::MS_BIND, none).is_ok() && copied()
    });
    attempts.mounting("open_tree without submounts", || {
        open_tree("/covered", OPEN_TREE_CLONE).is_some_and(|tree| fchdir(&tree).is_ok() && holds_secret("hidden/marker"))
    });
    attempts.mounting("overlay without submounts", || {
        let options = Some("userxattr,lowerdir=/covered:/in");
        copy() && mount(Some("overlay"), "/tmp/copy", Some("overlay"), MsFlags::empty(), options).is_ok() && copied()
    });
    attempts.mounting("cover moved away", || {
        copy() && mount(Some("/covered/hidden"), "/tmp/copy", none, MsFlags::MS_MOVE, none).is_ok() && holds_secret(COVERED)
    });
    attempts.mounting("cover renamed", || {
        fs::rename("/covered/hidden", "/covered/else").is_ok() && holds_secret("/covered/else/marker")
    });
    attempts.mounting("cover removed elsewhere", || {
        fs::remove_dir("/covered/hidden").is_ok() || fs::rename("/in", "/covered/hidden").is_ok() || holds_secret(COVERED)
    });
}

/// By the handle of a file, and by the device of the file system.
fn below_the_file_system(attempts: &mut Attempts, target: &Target<'_>) {
    for at in ["/in", "/ro", "/", "/dev/null"] {
        attempts.make(&format!("handle on {at}"), || {
            let Ok(mount) = File::open(at) else { return false };
            let words = &mut [number(&mount), Word::In(&target.handle), Word::Number(libc::O_RDONLY.into())];
            let Ok(file) = call(libc::SYS_open_by_handle_at, words).map(sys::adopt) else { return false };
            std::io::read_to_string(File::from(file)).is_ok_and(|text| text == SECRET)
        });
    }
    for place in ["/tmp", "/in", "/dev"] {
        attempts.make(&format!("block device in {place}"), || {
            let Ok(device) = fs::metadata("/in").map(|meta| meta.dev()) else { return false };
            let node = format!("{place}/block");
            let made = mknod(node.as_str(), SFlag::S_IFBLK, Mode::S_IRUSR, device);
            let opened = made.is_ok() && File::open(&node).is_ok();
            _ = fs::remove_file(&node);
            opened
        });
    }
}

/// listmount(2) and statmount(2) tell of this namespace only.
fn mount_lists(attempts: &mut Attempts) {
    const LISTMOUNT: i64 = 458;
    const STATMOUNT: i64 = 457;
    const ROOT: u64 = u64::MAX;
    let request = |id: u64, what: u64| {
        let words = [24_u64, id, what];
        words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>()
    };
    let listed = || {
        let mut ids = vec![0; 8 * 4096];
        let asked = request(ROOT, 0);
        let words = &mut [Word::In(&asked), Word::Out(&mut ids), Word::Number(4096), Word::Number(0)];
        let count = call(LISTMOUNT, words).map_or(0, |count| usize::try_from(count).unwrap_or(0));
        let ids = ids.chunks(8).take(count).filter_map(|id| Some(u64::from_ne_bytes(id.try_into().ok()?)));
        ids.collect::<Vec<_>>()
    };
    attempts.make("listmount", || listed().len() > mount_points().len());
    attempts.make("statmount", || {
        let known = listed();
        let Some(newest) = known.iter().max() else { return false };
        (newest.saturating_sub(2000)..newest + 50).filter(|id| !known.contains(id)).any(|id| {
            let mut answer = vec![0; 4096];
            // STATMOUNT_FS_TYPE: below every root there is the kernel's own, which is nobody's. Since Linux 7.0 it is a nullfs.
            let asked = request(id, 0x20);
            let words = &mut [Word::In(&asked), Word::Out(&mut answer), Word::Number(4096), Word::Number(0)];
            call(STATMOUNT, words).is_ok() && !answer.windows(6).any(|word| word == b"rootfs" || word == b"nullfs")
        })
    });
}
