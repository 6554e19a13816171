//! The options with their operands, mostly as they should be; and mistakes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use nix::fcntl::OFlag;

use super::maker::{Maker, Root};
use super::places::Kind;
use super::plan::Piece;
use crate::harness::{Fd, Identity, filter};

/// Adds an option, with those that it needs.
pub(super) fn add(maker: &mut Maker<'_>) {
    match maker.random.below(100) {
        0..=21 => bind(maker),
        22..=26 => bind_fd(maker),
        27..=48 => make(maker),
        49..=54 => link_or_mode(maker),
        55..=59 => special(maker),
        60..=64 => overlay(maker),
        65..=71 => environment(maker),
        72..=80 => namespaces(maker),
        81..=84 => capabilities(maker),
        85..=90 => watched(maker),
        91..=94 => program(maker),
        _ => switch(maker),
    }
}

/// Mostly a directory.
fn kind(maker: &Maker<'_>) -> Kind {
    if maker.random.percent(60) { Kind::Dir } else { Kind::File }
}

fn bind(maker: &mut Maker<'_>) {
    let suffix = if maker.random.percent(25) { "-try" } else { "" };
    let kind = kind(maker);
    let (name, source) = match maker.random.below(5) {
        0 | 1 => ("--ro-bind", maker.any_source(kind)),
        2 | 3 => ("--bind", maker.own_source(kind)),
        // Root could change the host's nodes for all others.
        _ if maker.identity == Identity::User && kind == Kind::File => ("--dev-bind", "/dev/full".to_owned()),
        _ => ("--dev-bind", maker.own_source(kind)),
    };
    let dest = maker.mount_point(kind);
    maker.push([format!("{name}{suffix}"), source, dest]);
}

fn bind_fd(maker: &mut Maker<'_>) {
    let kind = kind(maker);
    let paths = if kind == Kind::Dir { ["{dir}/src/dir", "{dir}/root/a"] } else { ["{dir}/src/file", "{dir}/src/program"] };
    let flags = maker.random.pick(&[OFlag::O_PATH, OFlag::O_PATH, OFlag::O_RDONLY]);
    let path = maker.random.pick(&paths).to_owned();
    let fd = if maker.errs() { data_fd(maker) } else { maker.fd(Fd::Path(path, flags)) };
    let dest = maker.mount_point(kind);
    maker.push([maker.random.pick(&["--bind-fd", "--ro-bind-fd"]).to_owned(), fd, dest]);
}

/// The options that make a file, a directory or a tmpfs, with their modifiers.
fn make(maker: &mut Maker<'_>) {
    let kind = maker.random.below(11);
    let mut modifiers = vec![];
    if maker.random.percent(35) {
        let mode = maker.random.pick(&["0700", "755", "0", "0000", "07777", "1777", "0440", "02750", "0070", "+0600", " 644"]);
        modifiers.push(["--perms", mode]);
    }
    if (4..=6).contains(&kind) && maker.random.percent(30) {
        let size = maker.random.pick(&["1", "65536", "0x10000", "0200000", "9223372036854775807", "1048577"]);
        modifiers.insert(maker.random.below(modifiers.len() + 1), ["--size", size]);
    }
    for modifier in modifiers {
        maker.push(modifier);
    }
    match kind {
        0..=3 => {
            let dest = maker.destination(Kind::Dir);
            maker.push(["--dir".to_owned(), dest]);
        }
        4..=6 => {
            let dest = maker.mount_point(Kind::Dir);
            maker.push(["--tmpfs".to_owned(), dest]);
        }
        7 | 8 => {
            let fd = data_fd(maker);
            let dest = maker.destination(Kind::File);
            maker.push(["--file".to_owned(), fd, dest]);
        }
        _ => {
            let fd = data_fd(maker);
            let dest = maker.mount_point(Kind::File);
            maker.push([maker.random.pick(&["--bind-data", "--ro-bind-data"]).to_owned(), fd, dest]);
        }
    }
}

/// An fd to read from; now and then one that cannot be.
fn data_fd(maker: &mut Maker<'_>) -> String {
    if maker.errs() {
        return match maker.random.below(5) {
            0 => "99".to_owned(),
            1 => maker.fd(Fd::path("{dir}/src/dir")),
            2 => maker.fd(Fd::o_path("{dir}/src/file")),
            3 => maker.fd(Fd::Capture),
            _ => maker.used_fd().unwrap_or_else(|| "0".to_owned()),
        };
    }
    match maker.random.below(30) {
        0 => maker.fd(Fd::Memfd(vec![b'x'; 70_000])),
        // Not a source: nothing in the sandbox can write to it before it is read.
        1..=7 => maker.fd(Fd::path("{dir}/low/both")),
        8..=18 => maker.fd(Fd::pipe("from a pipe")),
        19..=22 => maker.fd(Fd::File(b"from a file\n".to_vec())),
        23 => maker.fd(Fd::memfd("")),
        _ => maker.fd(Fd::memfd("data")),
    }
}

fn link_or_mode(maker: &mut Maker<'_>) {
    let base = if maker.root == Root::Host { "{dir}/root" } else { "" };
    match maker.random.below(5) {
        0..=2 => {
            let target = maker.random.pick(&["dir", "/dst/dir", "../..", "nowhere", "/usr/bin", ".", "{dir}/src", "a b"]);
            let new = format!("{base}{}", maker.random.pick(&["/l1", "/l2", "/a/l3", "/new/l4", "/dst/link"]));
            let dest = if maker.errs() { maker.destination(Kind::File) } else { new };
            maker.push(["--symlink", target, &dest]);
        }
        3 => {
            let mode = maker.random.pick(&["0700", "0", "07777", "0555", "644"]);
            let old = format!("{base}{}", maker.random.pick(&["/dst/dir", "/dst/file", "/a", "/dst/link", "/dst/tofile", "/"]));
            let there = maker.root != Root::Empty && !maker.errs();
            let dest = if there { old } else { maker.destination(Kind::Dir) };
            maker.push(["--chmod", mode, &dest]);
        }
        _ => {
            let count = maker.mounts.len();
            let there = count > 0 && !maker.errs();
            let dest = if there { maker.mounts[maker.random.below(count)].clone() } else { "/".to_owned() };
            maker.push(["--remount-ro", &dest]);
        }
    }
}

/// Mounts of the kernel's own. They have places of their own, for what is shared with the host must not be changed.
fn special(maker: &mut Maker<'_>) {
    let place = if maker.root == Root::Host { "/mnt" } else { "/d" };
    match maker.random.below(8) {
        0..=3 => maker.push(["--dev", maker.random.pick(&["/dev", "/dev", "/dev/", place])]),
        // Not where the probe looks, for the host's processes come and go.
        4 => maker.push(["--proc", maker.random.pick(&["/proc", if maker.root == Root::Host { "/srv" } else { "/p" }])]),
        5 => {
            maker.push(["--unshare-ipc"]);
            maker.push(["--mqueue", place]);
        }
        6 if maker.plan.has("--proc") => maker.push(["--remount-ro", "/proc"]),
        _ => maker.push(["--remount-ro", "/"]),
    }
}

fn overlay(maker: &mut Maker<'_>) {
    let mut layers = vec!["{dir}/low", "{dir}/high", "{dir}/src/link", "{dir}/src/a b", "{dir}/src/\u{e4}\\:,\"#"];
    let dest = maker.mount_point(Kind::Dir);
    let least = maker.random.pick(&[1, 1, 2]);
    let count = if maker.errs() { 0 } else { least + maker.random.below(2) };
    for _ in 0..count {
        let mut layer = layers.remove(maker.random.below(layers.len()));
        if maker.errs() {
            layer = maker.random.pick(&["{dir}/low", "{dir}/src/file", "{dir}/src/nowhere", "low"]);
        }
        maker.push(["--overlay-src", layer]);
    }
    match least {
        2 => maker.push(["--ro-overlay", &dest]),
        _ if maker.random.percent(50) && !maker.plan.has("--overlay") => {
            maker.push(["--overlay", "{dir}/up", "{dir}/work", &dest]);
        }
        _ => maker.push(["--tmp-overlay", &dest]),
    }
}

fn environment(maker: &mut Maker<'_>) {
    let name = maker.random.pick(&["A", "B", "PATH", "HOME", "PWD", "LANG", "\u{e4}"]);
    match maker.random.below(9) {
        0..=2 => {
            let value = maker.random.pick(&["", "x", "/usr/bin:/bin", "a=b c", "-", "--", "/dst/dir", "\n"]);
            maker.push(["--setenv", name, value]);
        }
        3 => maker.push(["--unsetenv", name]),
        4 => maker.push(["--clearenv"]),
        5..=7 => {
            let dest = maker.destination(Kind::Dir);
            let base = if maker.root == Root::Host { "{dir}/root" } else { "" };
            let link = format!("{base}/dst/link");
            let chosen = match maker.root {
                _ if maker.errs() => maker.random.pick(&[dest.as_str(), "/none", "/dst/loop", "/dst/up", "usr", "/dst/file"]),
                Root::Host => maker.random.pick(&["/", "/usr", "{dir}", "{dir}/home", "{dir}/src/link", ".", &link]),
                Root::Bound => maker.random.pick(&["/", "/dst", "dst", "/dst/link", "/dst/abs", ".", "/a/b/../b/."]),
                Root::Empty => maker.random.pick(&["/", "/here", "here/", ".."]),
            };
            maker.push(["--chdir", chosen]);
        }
        _ if maker.plan.has("--argv0") => maker.push(["--clearenv"]),
        _ => maker.push(["--argv0", maker.random.pick(&["", "other", "-sh", "a b", "\u{e4}"])]),
    }
}

fn namespaces(maker: &mut Maker<'_>) {
    let options =
        ["--unshare-user", "--unshare-user-try", "--unshare-ipc", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"];
    match maker.random.below(12) {
        0..=3 => maker.push([maker.random.pick(&options)]),
        4 => maker.push([maker.random.pick(&["--share-net", "--unshare-cgroup", "--unshare-all"])]),
        5 => {
            maker.push(["--unshare-uts"]);
            maker.push(["--hostname", maker.random.pick(&["box", "", "a.b", "-x", "\u{e4}"])]);
        }
        6..=8 => {
            maker.push(["--unshare-user"]);
            let id = maker.random.pick(&["0", "1", "1000", "{uid}", "65534", "2147483647", "+7", "007"]);
            maker.push([maker.random.pick(&["--uid", "--gid"]), id]);
        }
        9 => {
            maker.push(["--unshare-user"]);
            maker.push(["--disable-userns"]);
            if maker.random.percent(40) {
                maker.push(["--assert-userns-disabled"]);
            }
        }
        10 if maker.errs() => {
            let fd = maker.fd(Fd::path(maker.random.pick(&["/proc/self/ns/user", "/dev/null", "/proc/self/ns/net"])));
            maker.push([maker.random.pick(&["--userns", "--userns2"]), &fd]);
        }
        _ => maker.push([maker.random.pick(&["--uid", "--gid"]), "{uid}"]),
    }
}

fn capabilities(maker: &mut Maker<'_>) {
    let names = [
        "ALL",
        "all",
        "cap_net_raw",
        "CAP_SYS_ADMIN",
        "Cap_Chown",
        "cap_setpcap",
        "cap_dac_override",
        "cap_sys_chroot",
        "3",
        "40",
    ];
    let name = maker.random.pick(&["--cap-add", "--cap-drop"]);
    maker.push([name, maker.random.pick(&names)]);
}

/// The fds that inform, wait, or are held.
fn watched(maker: &mut Maker<'_>) {
    match maker.random.below(10) {
        0..=2 => {
            let fd = maker.fd(Fd::Capture);
            maker.push(["--json-status-fd".to_owned(), fd]);
        }
        3..=5 => {
            let fd = maker.fd(Fd::Capture);
            maker.push(["--info-fd".to_owned(), fd]);
        }
        6 => {
            let fd = maker.random.pick(&["x", "", "several bytes"]);
            let fd = maker.fd(Fd::pipe(fd));
            maker.push(["--block-fd".to_owned(), fd]);
        }
        7 | 8 => {
            let fd = if maker.random.percent(50) { Fd::memfd("held") } else { Fd::pipe("") };
            let fd = maker.fd(fd);
            maker.push(["--sync-fd".to_owned(), fd]);
        }
        _ => {
            let base = if maker.root == Root::Host { "{dir}/root" } else { "" };
            let there = if maker.root == Root::Empty { ["/probe"; 3] } else { ["/dst/file", "/dst/tofile", "/dst/dir/in"] };
            let file = if maker.errs() { "/dst/dir" } else { maker.random.pick(&there) };
            maker.push(["--lock-file".to_owned(), format!("{base}{file}")]);
        }
    }
}

/// Seccomp programs, whole or cut. Of one that the kernel refuses, PID 1 and COMMAND complain as they come.
fn program(maker: &mut Maker<'_>) {
    let whole = filter::refuse(&["reboot"], libc::EPERM).map(|program| filter::bytes(&program)).unwrap_or_default();
    let cut = if maker.errs() { 3 } else { 0 };
    let content = whole.get(..whole.len().saturating_sub(cut)).unwrap_or_default().to_vec();
    let fd = maker.fd(if maker.random.percent(50) { Fd::Memfd(content) } else { Fd::Pipe(content) });
    let names = match (maker.plan.has("--seccomp"), maker.plan.has("--add-seccomp-fd")) {
        (true, false) => ["--seccomp"; 2],
        (false, true) => ["--add-seccomp-fd"; 2],
        _ => ["--seccomp", "--add-seccomp-fd"],
    };
    maker.push([maker.random.pick(&names).to_owned(), fd]);
}

fn switch(maker: &mut Maker<'_>) {
    match maker.random.below(10) {
        0..=2 => maker.push(["--die-with-parent"]),
        3..=5 => maker.push(["--new-session"]),
        6 => {
            maker.push(["--unshare-pid"]);
            maker.push(["--as-pid-1"]);
        }
        7 => maker.push(["--level-prefix"]),
        _ => maker.push(["--not-a-security-boundary"]),
    }
}

/// Operands and options that are wrong in themselves.
const WRONG: [&[&str]; 47] = [
    &["--uid", "-1"],
    &["--uid", "4294967295"],
    &["--gid", "x"],
    &["--gid", ""],
    &["--uid", "99999999999999999999"],
    &["--bind", "/usr"],
    &["--bind", "", "/n1"],
    &["--bind", "{dir}/src/dir", ""],
    &["--dir", ""],
    &["--tmpfs", ""],
    &["--symlink", "", "/n1"],
    &["--chdir", ""],
    &["--lock-file", ""],
    &["--file", "-1", "/n1"],
    &["--file", "x", "/n1"],
    &["--file", "2147483648", "/n1"],
    &["--bind-fd", "99", "/n1"],
    &["--bind-data", "99", "/n1"],
    &["--bind=a", "b"],
    &["-x"],
    &["-"],
    &["--nope"],
    &["--perms", "0700"],
    &["--perms", "8"],
    &["--perms", "010000"],
    &["--size", "0"],
    &["--size", "-1"],
    &["--size", "1k"],
    &["--size", "9223372036854775808"],
    &["--size", "65536"],
    &["--chmod", "999", "/n1"],
    &["--cap-add", "cap_nothing"],
    &["--cap-drop", ""],
    &["--setenv", "A=B", "x"],
    &["--setenv", "", "x"],
    &["--unsetenv", "A=B"],
    &["--overlay-src", "{dir}/low"],
    &["--exec-label", "x"],
    &["--file-label", "x"],
    &["--hostname", "alone"],
    &["--seccomp", "99"],
    &["--args", "99"],
    &["--argv0", "twice"],
    &["--help"],
    &["--version"],
    &["--userns-block-fd", "0"],
    &["--assert-userns-disabled"],
];

/// Makes a mistake somewhere.
pub(super) fn spoil(maker: &mut Maker<'_>) {
    let count = maker.plan.pieces.len();
    let at = maker.random.below(count + 1);
    match maker.random.below(6) {
        // An option again, or somewhere else.
        0 => {
            let again = maker.plan.pieces[maker.random.below(count)].clone();
            maker.plan.pieces.insert(at, again);
        }
        1 => {
            let moved = maker.plan.pieces.remove(maker.random.below(count));
            maker.plan.pieces.insert(at.min(count - 1), moved);
        }
        // An operand is lost.
        2 => {
            if let Some(Piece::Words(words)) = maker.plan.pieces.get_mut(at) {
                words.pop();
            }
            maker.plan.pieces.retain(|piece| !matches!(piece, Piece::Words(words) if words.is_empty()));
        }
        3 => {
            let word = OsStr::from_bytes(maker.random.pick(&[b"--\xff".as_slice(), b"--dir\xff", b"--help=1"]));
            maker.plan.pieces.insert(at, Piece::Words(vec![word.to_owned()]));
        }
        _ => {
            let words = maker.random.pick(&WRONG).iter().map(OsString::from).collect();
            maker.plan.pieces.insert(at, Piece::Words(words));
        }
    }
}
