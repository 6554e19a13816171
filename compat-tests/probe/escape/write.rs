//! Attempts to write through a bind that is read-only: `/ro/file`, and beside it.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::attempts::Attempts;
use crate::sys::{self, Word, call};

const DIRECTORY: &str = "/ro";
const FILE: &str = "/ro/file";

/// `HANDLE` of the file, to be tried on the directory that is not read-only.
pub(super) fn run(attempts: &mut Attempts, handle: &str) {
    opening(attempts);
    memory(attempts);
    remounting(attempts);
    mounting(attempts);
    attempts.make("handle on another mount", || {
        let Ok(mount) = File::open("/in") else { return false };
        let bytes = handle.as_bytes().chunks(2).filter_map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok());
        let handle = bytes.collect::<Vec<_>>();
        let words = &mut [number(&mount), Word::In(&handle), Word::Number(libc::O_RDWR.into())];
        call(libc::SYS_open_by_handle_at, words).map(sys::adopt).is_ok_and(|file| write(File::from(file)))
    });
    entries(attempts);
}

fn number(fd: &impl AsRawFd) -> Word<'static> {
    Word::Number(fd.as_raw_fd().into())
}

fn write(mut file: File) -> bool {
    file.write_all(b"x").is_ok()
}

fn open_and_write(path: impl AsRef<Path>) -> bool {
    OpenOptions::new().write(true).open(path).is_ok_and(write)
}

/// The file itself, by every way of opening it.
fn opening(attempts: &mut Attempts) {
    attempts.make("open", || open_and_write(FILE));
    attempts.make("open by /proc/self/root", || open_and_write(format!("/proc/self/root{FILE}")));
    attempts.make("open and truncate", || OpenOptions::new().write(true).truncate(true).open(FILE).is_ok());
    attempts.make("open to append", || OpenOptions::new().append(true).open(FILE).is_ok_and(write));
    attempts.make("truncate", || call(libc::SYS_truncate, &mut [Word::Text(c"/ro/file"), Word::Number(0)]).is_ok());
    for (name, flags) in [("reopen of an fd", 0), ("reopen of an O_PATH fd", libc::O_PATH)] {
        attempts.make(name, || {
            let file = OpenOptions::new().read(true).custom_flags(flags).open(FILE);
            file.is_ok_and(|file| open_and_write(format!("/proc/self/fd/{}", file.as_raw_fd())))
        });
    }
    attempts.make("hard link to where one may write", || {
        let linked = fs::hard_link(FILE, "/in/link").is_ok() && open_and_write("/in/link");
        _ = fs::remove_file("/in/link");
        linked
    });
    attempts.make("mode", || fs::set_permissions(FILE, fs::Permissions::from_mode(0o666)).is_ok());
    attempts.make("times", || File::open(FILE).is_ok_and(|file| file.set_modified(std::time::UNIX_EPOCH).is_ok()));
    attempts.make("owner", || {
        let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        std::os::unix::fs::chown(FILE, Some(uid), Some(gid)).is_ok()
    });
    attempts.make("extended attribute", || {
        let words = [Word::Text(c"/ro/file"), Word::Text(c"user.escape"), Word::In(b"x"), Word::Number(1), Word::Number(0)];
        call(libc::SYS_setxattr, &mut { words }).is_ok()
    });
    attempts.make("inode flags", || {
        // FS_IOC_SETFLAGS, with FS_NODUMP_FL
        let flags = 0x40_i64.to_ne_bytes();
        let set = |file: File| call(libc::SYS_ioctl, &mut [number(&file), Word::Number(0x4008_6602), Word::In(&flags)]);
        File::open(FILE).is_ok_and(|file| set(file).is_ok())
    });
}

/// The file's pages.
fn memory(attempts: &mut Attempts) {
    let map = |protection: i32| {
        let file = File::open(FILE).ok()?;
        let words = &mut [
            Word::Number(0),
            Word::Number(4),
            Word::Number(protection.into()),
            Word::Number(libc::MAP_SHARED.into()),
            number(&file),
            Word::Number(0),
        ];
        call(libc::SYS_mmap, words).ok()
    };
    attempts.make("shared writable map", || map(libc::PROT_READ | libc::PROT_WRITE).is_some());
    attempts.make("map made writable", || {
        let make = |at| call(libc::SYS_mprotect, &mut [Word::Number(at), Word::Number(4), Word::Number(libc::PROT_WRITE.into())]);
        map(libc::PROT_READ).is_some_and(|at| make(at).is_ok())
    });
    attempts.make("map through /proc/self/mem", || {
        let memory = OpenOptions::new().write(true).open("/proc/self/mem");
        let at = map(libc::PROT_READ).and_then(|at| u64::try_from(at).ok());
        matches!((memory, at), (Ok(memory), Some(at)) if memory.write_at(b"x", at).is_ok())
    });
}

/// The mount's flags.
fn remounting(attempts: &mut Attempts) {
    let none = None::<&str>;
    for (name, flags) in [
        ("remount", MsFlags::MS_REMOUNT),
        ("remount of the bind", MsFlags::MS_REMOUNT | MsFlags::MS_BIND),
        (
            "remount of the bind with its other flags",
            MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        ),
    ] {
        attempts.mounting(name, || mount(none, DIRECTORY, none, flags, none).is_ok() && open_and_write(FILE));
    }
    // A struct mount_attr that clears MOUNT_ATTR_RDONLY.
    let clear = [0_u64, 1, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
    let clear_of = |dir: i64, path: &std::ffi::CStr, flags: i64| {
        let words = &mut [Word::Number(dir), Word::Text(path), Word::Number(flags), Word::In(&clear), Word::Number(32)];
        call(libc::SYS_mount_setattr, words).is_ok()
    };
    let here = i64::from(libc::AT_FDCWD);
    attempts.mounting("mount_setattr", || clear_of(here, c"/ro", 0) && open_and_write(FILE));
    attempts.mounting("mount_setattr of everything", || clear_of(here, c"/", 0x8000) && open_and_write(FILE));
    attempts.mounting("mount_setattr of a copy", || {
        let tree = call(libc::SYS_open_tree, &mut [Word::Number(here), Word::Text(c"/ro"), Word::Number(1)]);
        let Ok(tree) = tree.map(sys::adopt) else { return false };
        clear_of(tree.as_raw_fd().into(), c"", libc::AT_EMPTY_PATH.into())
            && open_and_write(format!("/proc/self/fd/{}/file", tree.as_raw_fd()))
    });
    attempts.mounting("reconfiguring the file system", || {
        let Ok(picked) = call(433, &mut [Word::Number(here), Word::Text(c"/ro"), Word::Number(0)]).map(sys::adopt) else {
            return false;
        };
        let set = |command: i64, key: Option<&CString>| {
            let key = key.map_or(Word::Number(0), |key| Word::Text(key));
            call(libc::SYS_fsconfig, &mut [number(&picked), Word::Number(command), key, Word::Number(0), Word::Number(0)])
        };
        set(0, Some(&c"rw".to_owned())).is_ok() && set(7, None).is_ok() && open_and_write(FILE)
    });
}

/// Other mounts of the same files.
fn mounting(attempts: &mut Attempts) {
    let none = None::<&str>;
    let flags = [("bind", MsFlags::MS_BIND), ("recursive bind", MsFlags::MS_BIND | MsFlags::MS_REC)];
    for (name, bind) in flags {
        attempts.mounting(&format!("{name} elsewhere"), || {
            fs::create_dir_all("/tmp/copy").is_ok()
                && mount(Some(DIRECTORY), "/tmp/copy", none, bind, none).is_ok()
                && open_and_write("/tmp/copy/file")
        });
        attempts.mounting(&format!("{name} elsewhere, remounted"), || {
            fs::create_dir_all("/tmp/copy").is_ok()
                && mount(Some(DIRECTORY), "/tmp/copy", none, bind, none).is_ok()
                && mount(none, "/tmp/copy", none, MsFlags::MS_REMOUNT | MsFlags::MS_BIND, none).is_ok()
                && open_and_write("/tmp/copy/file")
        });
    }
    attempts.mounting("move elsewhere", || {
        fs::create_dir_all("/tmp/copy").is_ok()
            && mount(Some(DIRECTORY), "/tmp/copy", none, MsFlags::MS_MOVE, none).is_ok()
            && open_and_write("/tmp/copy/file")
    });
    attempts.mounting("overlay with it on top", || {
        fs::create_dir_all("/tmp/low").is_ok()
            && fs::create_dir_all("/tmp/over").is_ok()
            && mount(
                Some("overlay"),
                "/tmp/over",
                Some("overlay"),
                MsFlags::empty(),
                Some("userxattr,lowerdir=/tmp/low,upperdir=/ro,workdir=/ro/sub"),
            )
            .is_ok()
            && fs::write("/tmp/over/new", "x").is_ok()
    });
    attempts.mounting("submount that is written through", || {
        let made = mount(Some("/in"), "/ro/sub", none, MsFlags::MS_BIND, none).is_ok();
        made && open_and_write("/ro/sub/../file")
    });
}

/// The directory's entries; last, because the file is gone where this gets through.
fn entries(attempts: &mut Attempts) {
    let at = |name: &str| format!("{DIRECTORY}/{name}");
    attempts.make("new file", || File::create_new(at("new")).is_ok());
    attempts.make("new unnamed file", || OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(DIRECTORY).is_ok());
    attempts.make("new directory", || fs::create_dir(at("new-directory")).is_ok());
    attempts.make("new symlink", || std::os::unix::fs::symlink("x", at("new-symlink")).is_ok());
    attempts.make("new FIFO", || nix::unistd::mkfifo(at("new-fifo").as_str(), nix::sys::stat::Mode::S_IRWXU).is_ok());
    attempts.make("new socket", || std::os::unix::net::UnixListener::bind(at("new-socket")).is_ok());
    attempts.make("rename to where one may write", || fs::rename(FILE, "/in/renamed").is_ok());
    attempts.make("rename", || fs::rename(FILE, at("renamed")).is_ok() && fs::rename(at("renamed"), FILE).is_ok());
    attempts.make("removal of a directory", || fs::remove_dir(at("sub")).is_ok());
    attempts.make("removal", || fs::remove_file(FILE).is_ok());
}
