//! The paths that options get: sources on the host, and destinations in the sandbox, mostly such as fit each other.

use super::maker::{Maker, Root};

/// What is at a place, or is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dir,
    File,
}

/// Sources of the caller's own.
const DIRS: [&str; 8] = [
    "{dir}/src/dir",
    "{dir}/src/dir/sub",
    "{dir}/src/link",
    "{dir}/src/a b",
    "{dir}/src/\u{e4}\\:,\"#",
    "{dir}/src//./dir/",
    "src/../src/link/sub",
    "{dir}",
];
const FILES: [&str; 6] =
    ["{dir}/src/file", "{dir}/src/tofile", "{dir}/src/program", "src/file", "{dir}/src/dir/../program", "{dir}/src/dir/link"];

/// The host's, which nothing may write to.
const HOST_DIRS: [&str; 4] = ["/usr", "/etc", "/usr/bin", "/usr/lib"];
const HOST_FILES: [&str; 5] = ["/etc/passwd", "/dev/null", "/dev/zero", "/proc/self/fd/0", "/usr/bin/env"];

/// Sources that are none.
const BAD_SOURCES: [&str; 7] = [
    "{dir}/src/nowhere",
    "{dir}/src/loop",
    "{dir}/src/missing",
    "{dir}/src/file/",
    "{dir}/src/file/x",
    "/no-such-place",
    "{dir}/src/missing/..",
];

/// Destinations in the fixture's root, or new ones.
const DIR_PLACES: [&str; 14] = [
    "/dst/dir",
    "/dst/dir",
    "/dst/empty",
    "/a/b",
    "/search/in",
    "/fixed",
    "/a/b/c/d",
    "/dst/link/x",
    "/dst/abs/x/y",
    "/new",
    "/new/place",
    "/n1",
    "/tmp",
    "/run/user/{uid}",
];
const FILE_PLACES: [&str; 9] =
    ["/dst/file", "/dst/long", "/dst/dir/in", "/new/file", "/f1", "/n1/f2", "/dst/link/f", "/dst/abs/new/f", "/search/in/f"];

/// Destinations that are traps, on the whole.
const TRAPS: [&str; 23] = [
    "/dst/link",
    "/dst/tofile",
    "/dst/abs",
    "/dst/dangling",
    "/dst/deep",
    "/dst/up",
    "/dst/loop",
    "/dst/host",
    "/dst/magic",
    "/dst/old",
    "/dst/dangling/x",
    "/dst/deep/x",
    "/dst/up/n1/x",
    "/dst/loop/x",
    "/dst/host/x",
    "/dst/magic/x",
    "/dst/old/x",
    "/dst/file/x",
    "/fixed/new",
    "/dst/dir",
    "/dst/file",
    "/new",
    "/f1",
];

/// Existing directories of the host, for mounts in sandboxes on its root.
const MOUNT_POINTS: [&str; 6] = ["/mnt", "/run", "/usr/share", "/var/tmp", "/home", "/opt"];

impl Maker<'_> {
    /// Whether this one may be wrong.
    pub(super) fn errs(&self) -> bool {
        self.hostile && self.random.percent(25)
    }

    /// A source for an option that can write to it.
    pub(super) fn own_source(&mut self, kind: Kind) -> String {
        if self.errs() {
            return self.random.pick(&BAD_SOURCES).to_owned();
        }
        let all: &[&str] = if kind == Kind::Dir { &DIRS } else { &FILES };
        self.random.pick(all).to_owned()
    }

    /// A source for an option that cannot.
    pub(super) fn any_source(&mut self, kind: Kind) -> String {
        let all: &[&str] = if kind == Kind::Dir { &HOST_DIRS } else { &HOST_FILES };
        if self.random.percent(30) { self.random.pick(all).to_owned() } else { self.own_source(kind) }
    }

    /// A destination for a mount.
    pub(super) fn mount_point(&mut self, kind: Kind) -> String {
        let place = if self.root == Root::Host && kind == Kind::Dir && self.random.percent(40) {
            self.random.pick(&MOUNT_POINTS).to_owned()
        } else {
            self.destination(kind)
        };
        self.mounts.push(place.clone());
        place
    }

    /// A destination where the caller may write.
    pub(super) fn destination(&mut self, kind: Kind) -> String {
        let all: &[&str] = match kind {
            _ if self.errs() => &TRAPS,
            Kind::Dir => &DIR_PLACES,
            Kind::File => &FILE_PLACES,
        };
        let base = if self.root == Root::Host { "{dir}/root" } else { "" };
        let place = format!("{base}{}", self.random.pick(all));
        if self.random.percent(85) { place } else { self.disguised(place, kind) }
    }

    /// The same path in other words, or one that is out of bounds.
    fn disguised(&mut self, path: String, kind: Kind) -> String {
        match self.random.below(8) {
            0 if kind == Kind::Dir || self.errs() => path + "/",
            1 => path.replacen('/', "//", 2),
            2 if kind == Kind::Dir || self.errs() => path + "/.",
            3 if kind == Kind::Dir => format!("{path}/../n2"),
            4 => path.trim_start_matches('/').to_owned(),
            5 => format!("/../..{path}"),
            6 if self.hostile => format!("{path}/{}", "n".repeat(self.random.pick(&[255, 256]))),
            _ => format!("/.//.{path}"),
        }
    }
}
