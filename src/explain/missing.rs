//! `--explain`: what COMMAND looked for and the sandbox lacks, as options that would bring it.
//!
//! COMMAND decides which names are in here, so a line never grants more than one glance shows: what
//! holds keys or gives power is only told, and a directory that holds everybody's things stands for
//! nothing but itself. Nothing of this is ever done, it is printed.

use crate::explain::advice::{Advice, Rank, group, printable};
use crate::record::learn::places;

/// What a name leads to on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A file, or something else that can be read.
    File,
    /// A device.
    Device,
    /// A socket.
    Socket,
}

/// A place that COMMAND was led to, and where the sandbox has nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lack {
    /// The absolute path, with no link of the sandbox's left in it.
    pub(crate) place: Vec<u8>,
    /// The link of the sandbox's that led there, if one did.
    pub(crate) link: Option<Vec<u8>>,
    /// Whether COMMAND wanted to change it.
    pub(crate) writes: bool,
    /// Whether COMMAND looked for it elsewhere, because the sandbox lacks the working directory.
    pub(crate) is_here: bool,
}

/// What can be asked about the host, and about what the options give.
pub(crate) trait World {
    /// What the host has at a path, links followed.
    fn on_host(&self, path: &[u8]) -> Option<Kind>;
    /// Whether an option gives the sandbox the path, or something around it.
    fn inside(&self, path: &[u8]) -> bool;
    /// Whether the caller may change what the host has there.
    fn may_write(&self, path: &[u8]) -> bool;
    /// The user's home directory.
    fn home(&self) -> Option<&[u8]>;
    /// Whether files here hold keys, tokens or passwords.
    fn holds_keys(&self, path: &[u8]) -> bool;
    /// Whether it is a directory with everybody's things, such as /etc or the home.
    fn is_shared(&self, path: &[u8]) -> bool;
}

/// What programs look for wherever they are, and do without.
const NOISE: &str = "\
     /etc/ld.so.preload /etc/ld.so.nohwcap /etc/locale.alias /etc/suid-debug /etc/selinux \
     /run/nscd /run/systemd /sys/devices /sys/fs /sys/kernel /usr/lib/locale /usr/share/locale \
     /usr/share/locale-langpack /var/run";

/// Directories whose contents belong together and are no secret.
const WHOLE: &str = "\
     /etc/OpenCL /etc/X11 /etc/alsa /etc/alternatives /etc/fonts /etc/gtk-3.0 /etc/perl \
     /etc/profile.d /etc/pulse /etc/python3 /etc/terminfo /etc/vulkan /etc/xdg";

/// Paths that are useful only together: some are looked for only once the others exist.
const BUNDLES: [(&str, &str); 3] = [
    (
        "/etc/ssl /etc/pki /etc/ca-certificates /usr/share/ca-certificates",
        "/etc/ssl/openssl.cnf /etc/ssl/certs /etc/pki/tls/certs /etc/pki/ca-trust",
    ),
    (
        "/etc/resolv.conf /etc/hosts /etc/host.conf /etc/gai.conf",
        "/etc/resolv.conf /etc/hosts /etc/nsswitch.conf",
    ),
    ("/usr /bin /sbin /lib /lib32 /lib64 /libx32", "/usr /bin /sbin /lib /lib32 /lib64 /libx32"),
];

/// Why a relative path leads to nothing.
const NO_DIRECTORY: &str = "the sandbox lacks the working directory";

/// Files that make something better, where programs do not stop without them.
const OPTIONAL: &str = "\
     /etc/ld.so.cache /etc/localtime /etc/timezone /sys /var/cache /var/lib /var/tmp";

/// Whether a path is a place or is below it.
pub(crate) fn below(path: &[u8], place: &[u8]) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The first of the places, with blanks in between, that a path is or is below.
pub(crate) fn first_below<'a>(path: &[u8], places: &'a str) -> Option<&'a str> {
    places.split_ascii_whitespace().find(|place| below(path, place.as_bytes()))
}

/// What to do about everything that was missing.
pub(crate) fn advise(lacks: &[Lack], world: &impl World) -> Vec<Advice> {
    let advice = lacks.iter().flat_map(|lack| one(lack, world)).collect();
    let in_home = |path: &[u8]| world.home().is_some_and(|home| below(path, home));
    group(advice, |directory| world.is_shared(directory) || in_home(directory))
}

/// What to do about one lack; nothing if the host lacks it as well, or if it is noise.
fn one(lack: &Lack, world: &impl World) -> Vec<Advice> {
    let place = lack.place.as_slice();
    let Some(kind) = world.on_host(place) else { return Vec::new() };
    let advice = |rank, words: &[&[u8]]| {
        let advice = Advice::new(rank, words).because(place).by_way_of(lack.link.as_deref());
        vec![if lack.is_here { advice.warned(NO_DIRECTORY) } else { advice }]
    };
    if let Some(advice) = fresh(place) {
        return vec![advice.by_way_of(lack.link.as_deref())];
    }
    if first_below(place, NOISE).is_some() && kind != Kind::Socket {
        return Vec::new();
    }
    if world.holds_keys(place) {
        return vec![Advice::told(place, "may hold keys or tokens; not suggested")];
    }
    if kind == Kind::Socket {
        return socket(place, lack);
    }
    if world.is_shared(place) {
        return Vec::new();
    }
    if lack.writes && !world.may_write(place) {
        return Vec::new();
    }
    if lack.writes {
        return vec![Advice::told(place, "was to be written; --same would allow that")];
    }
    if kind == Kind::Device {
        return advice(Rank::Plain, &[b"--dev-bind", place, place]);
    }
    let parts = bundle(place, world);
    if !parts.is_empty() {
        let each = |part: &str| {
            let words: &[&[u8]] = &[b"--ro-same", part.as_bytes()];
            if below(place, part.as_bytes()) {
                return advice(Rank::Bundle, words);
            }
            vec![
                Advice::new(Rank::Bundle, words).warned(&format!("goes with {}", printable(place))),
            ]
        };
        return parts.into_iter().flat_map(each).collect();
    }
    let rank = if first_below(place, OPTIONAL).is_some() { Rank::Optional } else { Rank::Plain };
    let whole = first_below(place, WHOLE).map_or(place, str::as_bytes);
    advice(rank, &[b"--ro-same", whole])
}

/// What belongs together with a place, as far as the host has it and the options do not give it.
fn bundle(place: &[u8], world: &impl World) -> Vec<&'static str> {
    // A file that is missing from an existing directory has another reason.
    let is_new = |trigger| !world.inside(str::as_bytes(trigger));
    let found =
        BUNDLES.iter().find(|(triggers, _)| first_below(place, triggers).is_some_and(is_new));
    let parts = found.map_or("", |(_, parts)| parts).split_ascii_whitespace();
    let lacks =
        |part: &&str| world.on_host(part.as_bytes()).is_some() && !world.inside(part.as_bytes());
    parts.filter(lacks).collect()
}

/// What the sandbox makes itself rather than taking it from the host.
fn fresh(place: &[u8]) -> Option<Advice> {
    const DEV: &str = "\
         /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/pts /dev/ptmx \
         /dev/shm /dev/stdin /dev/stdout /dev/stderr /dev/fd";
    let words: &[&[u8]] = if place == b"/dev" || first_below(place, DEV).is_some() {
        &[b"--dev", b"/dev"]
    } else if below(place, b"/proc") {
        &[b"--proc", b"/proc"]
    } else if place == b"/tmp" {
        &[b"--tmpfs", b"/tmp"]
    } else if place == b"/var/tmp" {
        &[b"--tmpfs", b"/var/tmp"]
    } else {
        return None;
    };
    let rank = if place == b"/var/tmp" { Rank::Optional } else { Rank::Fresh };
    Some(Advice::new(rank, words).because(place))
}

/// A socket of the host: one that is known to give power or keys is only reported.
fn socket(place: &[u8], lack: &Lack) -> Vec<Advice> {
    let what = places::socket(place);
    let is = |words: &str| what.starts_with(words);
    if is("names of users") || is("the system's log") || first_below(place, NOISE).is_some() {
        return Vec::new();
    }
    if ["root on", "all ", "the keys"].into_iter().any(is) {
        return vec![Advice::told(place, &format!("gives access to {what}; not suggested"))];
    }
    let advice = Advice::new(Rank::Socket, &[b"--ro-same", place]);
    vec![advice.warned(&format!("gives access to {what}")).by_way_of(lack.link.as_deref())]
}

#[cfg(test)]
#[path = "missing_tests.rs"]
mod tests;
