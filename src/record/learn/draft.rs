//! From what was seen to what is given: which paths, and how.
//!
//! The record may lack things, and its names are COMMAND's, but nothing here gives more than the
//! recorded sandbox had. Every path belongs to one mount of that sandbox, and what is given of it is
//! at most that. Where COMMAND could write it could also have put a link in the place of anything,
//! for the next run to follow: so a writable bind is given as a whole or not at all, unless it is a
//! place that is never given as a whole; in there, what is a link by now is left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::learn::places::{self, Places, SCRATCH, SHARED};
use crate::record::mounts::{Kind, Mount, Mounts, beneath, is_within, parent, parents, rest_of};
use crate::record::seen::{Node, Seen, Used};
use crate::record::uses::Uses;

/// From how many files of one directory on they are given as that directory.
const SIBLINGS: usize = 16;

/// How a path of the host's is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
pub(crate) struct Grant {
    pub(crate) write: bool,
    pub(crate) device: bool,
    pub(crate) directory: bool,
    pub(crate) socket: bool,
}

/// What one mount of the recorded sandbox is replaced by. Paths are the sandbox's.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) grants: BTreeMap<Vec<u8>, Grant>,
    pub(crate) links: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) dirs: BTreeSet<Vec<u8>>,
    /// `--proc`, `--dev` and `--tmpfs` in its place.
    pub(crate) own: BTreeSet<(Vec<u8>, &'static str)>,
    /// Whether anything on it was used.
    pub(crate) is_used: bool,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) mounts: &'a Mounts,
    pub(crate) places: &'a Places,
    pub(crate) seen: &'a Seen,
    /// By the number of the operation that has made the mount; 0 is the root without one.
    pub(crate) parts: BTreeMap<usize, Part>,
    /// What COMMAND wanted to make where nothing is given.
    pub(crate) refused: BTreeSet<Vec<u8>>,
    /// What was made, moved or removed in the run.
    made: BTreeSet<Vec<u8>>,
    /// The writable mounts that may be given as a whole.
    open: Vec<&'a [u8]>,
    /// Directories that were to be given, and whether they never are.
    fixed: BTreeMap<Vec<u8>, bool>,
    /// The directory of the last file that was given with something around it, and its uses.
    last: Option<(&'a [u8], Used)>,
}

/// The paths whose times matter.
pub(crate) fn timed(seen: &Seen, mounts: &Mounts, places: &Places) -> BTreeSet<Vec<u8>> {
    let named = seen.named.keys().flat_map(|path| [path.clone(), parent(path).to_vec()]);
    let mut wanted: BTreeSet<_> = named.collect();
    let fixed: Vec<_> = mounts.writable().filter(|source| places.is_fixed(source)).collect();
    // Whether a path lies where COMMAND could write, in a place that is not given as a whole.
    let may_be_planted = |path: &[u8]| {
        let host = mounts.of(path).and_then(|mount| mount.on_host(path));
        host.is_some_and(|host| fixed.iter().any(|source| is_within(&host, source)))
    };
    if !fixed.is_empty() {
        let all = seen.paths.keys().map(|path| &**path).chain(seen.missing.keys());
        wanted.extend(all.filter(|path| may_be_planted(path)).cloned());
    }
    wanted
}

impl<'a> Draft<'a> {
    /// What was seen, one by one.
    pub(crate) fn new((seen, mounts, places): (&'a Seen, &'a Mounts, &'a Places)) -> Self {
        let parts = mounts.iter().map(|mount| (mount.index, Part::default())).collect();
        let (refused, made) = (BTreeSet::new(), BTreeSet::new());
        let open = mounts.writable().filter(|source| !places.is_fixed(source)).collect();
        let (fixed, last) = (BTreeMap::new(), None);
        let mut draft = Self { mounts, places, seen, parts, refused, made, open, fixed, last };
        draft.find_made();
        for (path, used) in &seen.paths {
            if !draft.is_alike(path, *used) {
                draft.take(path, *used);
            }
        }
        for (path, text) in &seen.links {
            draft.take_link(path, text);
        }
        draft.take_dir(&seen.cwd);
        draft.take_made();
        draft
    }

    /// Takes together what belongs together, unless it is to be `exact`, once all is there.
    pub(crate) fn settle(&mut self, exact: bool) {
        if !exact {
            self.group();
        }
        self.reduce();
    }

    /// Whether a path of the host's is given, by itself or with something around it.
    pub(crate) fn is_given(&self, path: &[u8]) -> bool {
        let given = |path: &[u8]| self.parts.values().any(|part| part.grants.contains_key(path));
        given(path) || parents(path).any(given)
    }

    fn part(&mut self, mount: &Mount) -> &mut Part {
        let part = self.parts.entry(mount.index).or_default();
        part.is_used = true;
        part
    }

    /// Finds out what was made, moved or removed: attempts may have failed.
    fn find_made(&mut self) {
        let made = self.seen.named.iter().filter(|(path, uses)| self.is_made(path, **uses));
        self.made = made.map(|(path, _)| path.clone()).collect();
    }

    fn is_made(&self, path: &[u8], uses: Uses) -> bool {
        let times = |path: &[u8]| self.seen.times.get(path).copied().flatten();
        let Some(dir) = times(parent(path)) else { return false };
        if dir.changed <= self.seen.start {
            return false;
        }
        if uses.any(Uses::MOVE) {
            return true;
        }
        match times(path) {
            None => true,
            Some(found) => {
                let is_new = found.born.is_none_or(|born| born > self.seen.start);
                is_new && uses.any(Uses::CREATE.with(Uses::BIND).with(Uses::REMOVE))
            }
        }
    }

    /// Whether something was not there when COMMAND was started.
    fn is_new(&self, path: &[u8]) -> bool {
        self.made.contains(path) || parents(path).any(|above| self.made.contains(above))
    }

    /// Whether a file comes with what was given for the last one, which lies beside it.
    fn is_alike(&self, path: &[u8], used: Used) -> bool {
        self.last == Some((parent(path), used)) && !self.made.contains(path)
    }

    /// A path that was used.
    fn take(&mut self, path: &'a [u8], used: Used) {
        let mounts = self.mounts;
        self.last = None;
        let Some(mount) = mounts.of(path).filter(|_| !self.is_new(path)) else { return };
        if mount.kind == Kind::Mask {
            return self.take_masked(path, used.node);
        }
        let Kind::Host { source, has_devices, .. } = &mount.kind else {
            if mount.kind == Kind::Base && used.node == Node::Directory {
                self.take_dir(path);
            }
            self.part(mount);
            return;
        };
        let write = used.uses.any(Uses::WRITE) && !used.read_only;
        let grant = |grant: Grant| Grant { write, ..grant };
        match used.node {
            Node::Proc if mount.has_whole(b"/proc") && is_within(path, b"/proc") => {
                self.part(mount).own.insert((b"/proc".to_vec(), "--proc"));
            }
            // Less than a whole procfs is given as it was.
            Node::Proc if is_lasting(&source.path) => {
                let directory = source.is_directory;
                self.give(mount, &mount.dest, grant(Grant { directory, ..Grant::default() }));
            }
            Node::Directory if used.uses.any(Uses::INSIDE) => self.take_changed(path, path),
            Node::Directory => {
                if has_dev(mount) && (is_within(path, b"/dev/pts") || path == b"/dev/shm") {
                    self.part(mount).own.insert((b"/dev".to_vec(), "--dev"));
                }
                self.take_dir(path);
            }
            Node::Proc | Node::Link => {}
            Node::Device if !has_devices => {}
            Node::Device if has_dev(mount) && is_usual(path) => {
                self.part(mount).own.insert((b"/dev".to_vec(), "--dev"));
            }
            Node::Device => self.give(mount, path, Grant { device: true, ..Grant::default() }),
            Node::Socket => {
                self.give(mount, path, grant(Grant { socket: true, ..Grant::default() }));
            }
            Node::File | Node::Fifo => {
                let dir = parent(path);
                let host = mount.on_host(path).filter(|_| !self.open.is_empty());
                let whole = host.and_then(|host| self.whole(mount, &host));
                self.give(mount, path, grant(Grant::default()));
                // Nothing else is mounted in there.
                let is_around = whole.is_some_and(|whole| is_within(dir, &whole));
                if is_around && !mounts.iter().any(|other| parent(&other.dest) == dir) {
                    self.last = Some((dir, used));
                }
            }
        }
    }

    /// A path that is hidden, and will be again.
    fn take_masked(&mut self, path: &[u8], node: Node) {
        let mounts = self.mounts;
        let ground = mounts.beneath_masks(path);
        let Some(ground) = ground.filter(|mount| matches!(mount.kind, Kind::Host { .. })) else {
            return;
        };
        if node == Node::Directory {
            self.part(ground).dirs.insert(path.to_vec());
        } else {
            self.give(ground, path, Grant::default());
        }
    }

    /// A link on the way.
    fn take_link(&mut self, path: &[u8], text: &[u8]) {
        let mounts = self.mounts;
        let Some(mount) = mounts.of(path).filter(|_| !self.is_new(path)) else { return };
        let is_left_out = has_dev(mount) && is_usual_link(path) || mount.extra.nosymfollow;
        if matches!(mount.kind, Kind::Host { .. }) && !is_left_out {
            let (path, text) = (path.to_vec(), text.to_vec());
            self.part(mount).links.insert(path, text);
        }
    }

    /// A directory that has to be there.
    fn take_dir(&mut self, path: &[u8]) {
        let mounts = self.mounts;
        let Some(mount) = mounts.of(path).filter(|_| !self.is_new(path)) else { return };
        if matches!(mount.kind, Kind::Host { .. } | Kind::Base) && path != b"/" && !path.is_empty()
        {
            let path = path.to_vec();
            self.part(mount).dirs.insert(path);
        }
    }

    /// The directories in which names were made or removed.
    fn take_made(&mut self) {
        for path in self.made.clone() {
            let dir = parent(&path).to_vec();
            if !self.is_new(&dir) {
                self.take_changed(&dir, &path);
            }
        }
    }

    /// A directory that was changed, by making or removing a path.
    fn take_changed(&mut self, dir: &[u8], path: &[u8]) {
        let mounts = self.mounts;
        let Some(mount) = mounts.of(dir) else { return };
        let Some(host) = mount.on_host(dir) else {
            self.part(mount);
            return;
        };
        if SCRATCH.contains(&dir) {
            self.part(mount).own.insert((dir.to_vec(), "--tmpfs"));
        } else if is_within(dir, b"/dev/shm") {
            let own = if has_dev(mount) { (&b"/dev"[..], "--dev") } else { (SHARED, "--tmpfs") };
            self.part(mount).own.insert((own.0.to_vec(), own.1));
        } else if mount.is_writable() {
            let whole = self.whole(mount, &host);
            if whole.is_none() && (self.places.is_fixed(dir) || self.places.is_fixed(&host)) {
                self.refused.insert(path.to_vec());
                return;
            }
            self.give(mount, dir, Grant { write: true, directory: true, ..Grant::default() });
        }
    }

    /// What has to be given as a whole, or not at all, for something to be given that COMMAND could
    /// have put there: a path of the sandbox.
    fn whole(&self, mount: &Mount, host: &[u8]) -> Option<Vec<u8>> {
        let Kind::Host { source, .. } = &mount.kind else { return None };
        let around = self.open.iter().filter(|around| is_within(host, around));
        let outermost = around.min_by_key(|around| around.len())?;
        match rest_of(outermost, &source.path) {
            Some(rest) => Some(beneath(&mount.dest, rest)),
            None => Some(mount.dest.clone()),
        }
    }

    /// Gives a path of the host's.
    pub(crate) fn give(&mut self, mount: &Mount, path: &[u8], grant: Grant) {
        let Some(host) = mount.on_host(path) else { return };
        let (mut path, mut grant) = (path.to_vec(), grant);
        grant.write &= mount.is_writable();
        if let Some(whole) = self.whole(mount, &host) {
            if whole != path {
                grant = Grant { directory: true, device: false, socket: false, ..grant };
            }
            path = whole;
        } else if self.mounts.writable().any(|source| is_within(&host, source)) {
            // Nobody may be left who could put a link there now.
            let is_there = self.seen.times.get(&path).is_some_and(Option::is_some);
            if !is_there || self.seen.left > 0 {
                return;
            }
        }
        if grant.directory && self.is_fixed(&path) {
            return;
        }
        let known = self.part(mount).grants.entry(path).or_default();
        known.write |= grant.write;
        known.device |= grant.device;
        known.directory |= grant.directory;
        known.socket |= grant.socket;
    }

    /// [`Places::is_fixed`] of what is given again and again.
    fn is_fixed(&mut self, dir: &[u8]) -> bool {
        if let Some(known) = self.fixed.get(dir) {
            return *known;
        }
        let is_fixed = self.places.is_fixed(dir);
        self.fixed.insert(dir.to_vec(), is_fixed);
        is_fixed
    }

    /// Takes files together: programs and libraries, and many files of one directory.
    fn group(&mut self) {
        let (mounts, places) = (self.mounts, self.places);
        for mount in mounts.iter() {
            let Some(part) = self.parts.get_mut(&mount.index) else { continue };
            let may_give = |dir: &[u8]| {
                is_within(dir, &mount.dest)
                    && !places.is_fixed(dir)
                    && mount.on_host(dir).is_some_and(|host| !places.is_fixed(&host))
            };
            let mut whole = BTreeSet::new();
            for (path, grant) in &part.grants {
                let Some(programs) = places::programs(path) else { continue };
                let dir = if is_within(programs, &mount.dest) { programs } else { &mount.dest };
                if !grant.write
                    && !grant.socket
                    && (grant.directory || dir != path)
                    && may_give(dir)
                {
                    whole.insert(dir.to_vec());
                }
            }
            loop {
                let mut count: BTreeMap<&[u8], usize> = BTreeMap::new();
                for (path, grant) in &part.grants {
                    if !grant.write && !grant.device && !grant.socket {
                        *count.entry(parent(path)).or_default() += 1;
                    }
                }
                let many = count.into_iter().filter(|(dir, count)| {
                    *count > SIBLINGS && may_give(dir) && !whole.contains(*dir)
                });
                let many: Vec<_> = many.map(|(dir, _)| dir.to_vec()).collect();
                if many.is_empty() {
                    break;
                }
                whole.extend(many.clone());
                // They count as one of their own directory's.
                part.grants.retain(|path, grant| {
                    grant.write
                        || grant.device
                        || grant.socket
                        || !many.iter().any(|dir| is_within(path, dir))
                });
                let grant = Grant { directory: true, ..Grant::default() };
                part.grants.extend(many.into_iter().map(|dir| (dir, grant)));
            }
            let grant = Grant { directory: true, ..Grant::default() };
            for dir in whole {
                part.grants.entry(dir).or_insert(grant).directory = true;
            }
        }
    }

    /// Leaves out what comes with something else.
    fn reduce(&mut self) {
        let mounts = self.mounts;
        for mount in mounts.iter() {
            let Some(part) = self.parts.get_mut(&mount.index) else { continue };
            let all = part.grants.clone();
            let around = |path: &[u8]| {
                parents(path)
                    .filter_map(|above| all.get(above))
                    .find(|above| above.directory)
                    .copied()
            };
            part.grants.retain(|path, grant| {
                around(path).is_none_or(|above| grant.device || grant.write && !above.write)
            });
            let comes_with = |path: &[u8]| {
                all.get(path).is_some_and(|grant| grant.directory) || around(path).is_some()
            };
            part.links.retain(|path, _| !comes_with(path));
            part.dirs.retain(|path| !comes_with(path));
            part.dirs.retain(|path| !part.own.iter().any(|(own, _)| is_within(path, own)));
        }
    }
}

/// Whether something of the host's procfs is not that of a process, which is another one each time.
fn is_lasting(path: &[u8]) -> bool {
    let rest = rest_of(path, b"/proc").and_then(|rest| rest.get(1));
    rest.is_some_and(|first| !first.is_ascii_digit())
}

/// Whether `--dev` is no more than what a mount has.
pub(crate) fn has_dev(mount: &Mount) -> bool {
    matches!(mount.kind, Kind::Host { has_devices: true, .. }) && mount.has_whole(b"/dev")
}

/// Whether every `--dev` has a device.
fn is_usual(path: &[u8]) -> bool {
    let usual: [&[u8]; 8] = [
        b"/dev/null",
        b"/dev/zero",
        b"/dev/full",
        b"/dev/random",
        b"/dev/urandom",
        b"/dev/tty",
        b"/dev/console",
        b"/dev/ptmx",
    ];
    usual.contains(&path) || is_within(path, b"/dev/pts")
}

/// Whether every `--dev` has a link.
fn is_usual_link(path: &[u8]) -> bool {
    let usual: [&[u8]; 6] =
        [b"/dev/fd", b"/dev/stdin", b"/dev/stdout", b"/dev/stderr", b"/dev/core", b"/dev/ptmx"];
    usual.contains(&path)
}
