//! The end of `--explain`: what a recording has seen, held against the host and the options.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{AccessFlags, faccessat, getcwd};

use crate::config::Want;
use crate::config::settle::Settled;
use crate::explain::advice::{Advice, group, text};
use crate::explain::missing::{self, Kind, Lack, World};
use crate::explain::refused::{self, Network, Peer};
use crate::kernel::files::file_type;
use crate::kernel::sys::{self, End};
use crate::record::mounts::{self, Mounts, parent};
use crate::record::plan::Plan;
use crate::record::seen::Seen;
use crate::record::uses::Uses;
use crate::report::{self, Failure, Step};

/// The loader's cache of where libraries are, without which it looks in a few places.
const CACHE: &[u8] = b"/etc/ld.so.cache";

/// How long it may take to look for things on the host, in milliseconds.
const PATIENCE: u16 = 5000;

/// What there is to explain it from.
#[derive(Debug, Clone, Copy)]
struct Explained<'a> {
    config: &'a Settled,
    plan: &'a Plan,
    seen: &'a Seen,
    mounts: &'a Mounts,
}

/// Prints what COMMAND lacked, if it lacked anything. COMMAND has chosen the names that are looked
/// for, and some may be on a file system that does not answer: so another process does it.
pub(crate) fn print(config: &Settled, plan: &Plan, seen: &Seen, mounts: &Mounts) {
    let Ok(child) = sys::clone_process(0, End::Usual) else { return };
    let Some(child) = child else {
        Explained { config, plan, seen, mounts }.print();
        sys::exit_now(0)
    };
    if let Ok(end) = sys::pidfd_open(child) {
        let mut ends = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        _ = sys::uninterrupted(|| poll(&mut ends, PollTimeout::from(PATIENCE)));
    }
    _ = kill(child, Signal::SIGKILL);
    _ = sys::wait_for(child);
}

impl World for Explained<'_> {
    fn on_host(&self, path: &[u8]) -> Option<Kind> {
        let path = CString::new(path).ok()?;
        let status = fstatat(AT_FDCWD, path.as_c_str(), AtFlags::AT_NO_AUTOMOUNT).ok()?;
        match file_type(&status) {
            SFlag::S_IFDIR => Some(Kind::Directory),
            SFlag::S_IFSOCK => Some(Kind::Socket),
            SFlag::S_IFCHR | SFlag::S_IFBLK => Some(Kind::Device),
            _ => Some(Kind::File),
        }
    }

    fn inside(&self, path: &[u8]) -> bool {
        let is_made = self.config.ops.iter().any(|op| op.dest().to_bytes() == path);
        let host = |mount: &mounts::Mount| matches!(mount.kind, mounts::Kind::Host { .. });
        is_made || self.mounts.of(path).is_some_and(host)
    }

    fn may_write(&self, path: &[u8]) -> bool {
        CString::new(path).is_ok_and(|path| {
            faccessat(AT_FDCWD, path.as_c_str(), AccessFlags::W_OK, AtFlags::AT_EACCESS).is_ok()
        })
    }

    fn home(&self) -> Option<&[u8]> {
        self.plan.places.home()
    }

    fn holds_keys(&self, path: &[u8]) -> bool {
        self.plan.places.holds_keys(path)
    }

    fn is_shared(&self, path: &[u8]) -> bool {
        self.plan.places.is_fixed(path)
    }
}

impl Explained<'_> {
    /// What was looked for and is not there, and the link that led there, if one did.
    fn lacks(&self) -> Vec<Lack> {
        let leads = |path: &[u8], text: &[u8]| {
            let target = if text.starts_with(b"/") {
                text.to_vec()
            } else {
                mounts::beneath(parent(path), &[b"/", text].concat())
            };
            normal(&target)
        };
        let links: Vec<_> =
            self.seen.links.iter().map(|(path, text)| (leads(path, text), path)).collect();
        let changes = Uses::WRITE.with(Uses::NAMES).with(Uses::INSIDE);
        let directory = getcwd().ok().map(|path| path.into_os_string().into_vec());
        let lack = |(place, uses): (&Vec<u8>, &Uses)| {
            let link = links.iter().find(|(target, _)| target == place);
            let link = link.map(|(_, link)| (*link).clone());
            let here = self.in_working_directory(place, directory.as_deref());
            let is_here = here.is_some();
            let place = here.unwrap_or_else(|| place.clone());
            Lack { place, link, writes: uses.any(changes), is_here }
        };
        let needs_cache = self.lacks_libraries();
        let missing = self.seen.missing.iter();
        missing.filter(|(place, _)| needs_cache || *place != CACHE).map(lack).collect()
    }

    /// Where a path leads from the caller's working directory, if the sandbox lacks that and
    /// COMMAND was given the path as a relative one: then it started somewhere else, and the host
    /// has nothing like it there.
    fn in_working_directory(&self, place: &[u8], directory: Option<&[u8]>) -> Option<Vec<u8>> {
        let start = self.seen.cwd.as_slice();
        let directory = directory.filter(|directory| *directory != start)?;
        let is_elsewhere = start != b"/" && !missing::below(place, start);
        if is_elsewhere || self.config.chdir.is_some() {
            return None;
        }
        let rest = place.strip_prefix(start)?;
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        let first = rest.split(|&byte| byte == b'/').next().filter(|name| !name.is_empty())?;
        if self.on_host(&mounts::beneath(start, &[b"/", first].concat())).is_some() {
            return None;
        }
        let here = mounts::beneath(directory, &[b"/", rest].concat());
        self.on_host(&here).map(|_| here)
    }

    /// Whether a library was found nowhere, which may be where only the loader's cache says.
    fn lacks_libraries(&self) -> bool {
        let name = |path: &Vec<u8>| mounts::names(path).next_back().map(<[u8]>::to_vec);
        let found = self.seen.paths.keys().filter_map(|path| name(path));
        let found: BTreeSet<_> = found.collect();
        let is_library = |name: &Vec<u8>| {
            !name.starts_with(b"ld.so.") && name.windows(3).any(|part| part == b".so")
        };
        let mut missing = self.seen.missing.keys().filter_map(name).filter(is_library);
        missing.any(|name| !found.contains(&name))
    }

    /// What could not be changed only because the sandbox has it read-only.
    fn read_only(&self) -> Vec<Advice> {
        let changes = Uses::WRITE.with(Uses::NAMES).with(Uses::INSIDE);
        let made = self.seen.missing.iter().filter(|(_, uses)| uses.any(Uses::NAMES));
        let made = made.map(|(path, _)| parent(path));
        let used =
            self.seen.paths.iter().filter(|(_, used)| used.read_only && used.uses.any(changes));
        let places = made.chain(used.map(|(path, _)| path.as_slice()));
        let is_refused = |place: &&[u8]| {
            let mount = self.mounts.of(place);
            mount.is_some_and(|mount| !mount.is_writable())
                && mount.and_then(|mount| mount.on_host(place)).as_deref() == Some(*place)
                && self.may_write(place)
        };
        let refused = places.filter(is_refused);
        let advice = refused.filter_map(|place| refused::read_only(place, self)).collect();
        group(advice, |_| true)
    }

    /// All advice, what matters most first.
    fn advice(&self) -> Vec<Advice> {
        let peers: Vec<_> = self.seen.network.iter().filter_map(|text| Peer::read(text)).collect();
        let landlock = &self.config.landlock;
        let ports = (landlock.connect.as_slice(), landlock.bind.as_slice());
        let options = Network {
            is_new: self.config.namespaces.net == Want::Yes,
            ports: landlock.limits_tcp().then_some(ports),
        };
        let mut advice = missing::advise(&self.lacks(), self);
        advice.extend(refused::network(&peers, options));
        advice.extend(self.read_only());
        advice.extend(refused::calls(&self.seen.refused));
        advice.sort_by_key(|one| one.rank);
        advice
    }

    /// Prints the explanation, if there is anything to explain.
    fn print(&self) {
        Step::Explanation.begin();
        let word = |path: &[u8]| self.plan.places.word(path);
        let advice = self.advice();
        let lines = text(&advice, &word);
        if !lines.is_empty() {
            _ = io::stderr().write_all(format!("bwrap: {}\n", lines.join("\n")).as_bytes());
        }
        for one in &advice {
            let option = one.words.first().and_then(|option| std::str::from_utf8(option).ok());
            report::tell(&Failure {
                option,
                path: Some(&one.place).filter(|path| !path.is_empty()).map(Vec::as_slice),
                message: one.line(&word).as_bytes(),
                ..Failure::default()
            });
        }
    }
}

/// An absolute path without dots, for a link's text.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => _ = names.pop(),
            name => names.push(name),
        }
    }
    names.iter().flat_map(|name| [b"/", *name].concat()).collect()
}
