//! The sandbox as its options describe it, looked at from the host before anything is done.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, stat};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use crate::config::op::{Access, Op, Source, Upper, components};
use crate::error::describe;
use crate::explain::hints;
use crate::explain::inside::{Node, View, walk};
use crate::kernel::files::file_type;
use crate::kernel::way::{Stop, Way};

/// What is put at a place.
#[derive(Debug)]
enum Content {
    /// What the host has at a path, and whether it may be written to.
    Tree(CString, Access),
    /// An open file or directory of the caller's, which is only asked what it is.
    Open(Node),
    /// Directories of the host over each other, the uppermost first.
    Layers(Vec<CString>, Access),
    /// An empty directory of a file system of its own.
    Empty,
    /// A procfs.
    Proc,
    /// The devices of `--dev`.
    Dev,
    /// A file whose content is no concern here; whether it is a mount of its own.
    File(bool),
    /// A directory, if there is nothing yet.
    Directory,
    /// A symbolic link.
    Link(Vec<u8>),
    /// Nobody knows.
    Unknown,
}

/// What one operation puts where.
#[derive(Debug)]
struct Placed {
    at: Vec<u8>,
    content: Content,
    /// What `--remount-ro` has made of it.
    read_only: bool,
    /// Whether it is the sandbox's own.
    is_own: bool,
}

/// The host's file or directory that a `--mask` hides.
#[derive(Debug)]
pub(crate) struct Masked {
    /// Where, in the sandbox.
    pub(crate) at: Vec<u8>,
    /// What it is on the host.
    pub(crate) host: CString,
    /// Whether it is not a directory.
    pub(crate) is_file: bool,
}

/// The sandbox, operation by operation.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    placed: Vec<Placed>,
    masked: Vec<Masked>,
}

/// The path below another, which may be the same.
pub(crate) fn below<'a>(path: &'a [u8], above: &[u8]) -> Option<&'a [u8]> {
    if above == b"/" {
        return Some(if path == b"/" { b"" } else { path });
    }
    path.strip_prefix(above).filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What the host has at a path below a source.
fn on_host(source: &CStr, rest: &[u8]) -> Node {
    let Ok(path) = CString::new([source.to_bytes(), rest].concat()) else { return Node::Missing };
    if !rest.is_empty() {
        return Node::at(&path);
    }
    if path.is_empty() {
        return Node::Directory;
    }
    // If the source itself is a link, it is followed.
    match stat(path.as_c_str()) {
        Ok(status) if file_type(&status) == SFlag::S_IFDIR => Node::Directory,
        Ok(_) => Node::File(Some(path)),
        Err(_) => Node::Unknown,
    }
}

impl Content {
    /// Whether it hides what was there.
    const fn covers(&self) -> bool {
        !matches!(self, Self::File(false) | Self::Directory | Self::Link(_))
    }

    /// What there is at a path below it.
    fn look(&self, rest: &[u8]) -> Node {
        match (self, rest) {
            (Self::Tree(source, _), _) => on_host(source, rest),
            (Self::Open(node), b"") => node.clone(),
            (Self::Layers(layers, _), _) => {
                let mut nodes = layers.iter().map(|layer| on_host(layer, rest));
                nodes.find(|node| *node != Node::Missing).unwrap_or(Node::Missing)
            }
            (Self::Empty | Self::Proc | Self::Dev | Self::Directory, b"")
            | (Self::Dev, b"/shm" | b"/pts") => Node::Directory,
            (Self::Empty, _) => Node::Missing,
            (Self::Dev, b"/null" | b"/zero" | b"/full" | b"/random" | b"/urandom" | b"/tty") => {
                Node::File(None)
            }
            (Self::File(_), b"") => Node::File(None),
            (Self::Link(text), b"") => Node::Link(text.clone()),
            _ => Node::Unknown,
        }
    }

    /// Why nothing can be made below it.
    fn refuses(&self, rest: &[u8]) -> Option<String> {
        let host = |source: &CStr| {
            let path = CString::new([source.to_bytes(), rest].concat()).ok()?;
            match access(path.as_c_str(), AccessFlags::W_OK) {
                Err(errno @ (Errno::EACCES | Errno::EROFS)) => Some(describe(errno)),
                _ => None,
            }
        };
        match self {
            Self::Tree(_, Access::ReadOnly) => Some("is bound read-only".to_owned()),
            Self::Tree(source, Access::ReadWrite) => {
                host(source).map(|why| format!("is the host's: {why}"))
            }
            Self::Layers(_, Access::ReadOnly) => Some("is a read-only overlay".to_owned()),
            Self::Proc => Some("is a procfs".to_owned()),
            _ => None,
        }
    }
}

impl Placed {
    /// Whether it is known that somebody could write to it.
    fn is_writable(&self) -> bool {
        let sources = match &self.content {
            Content::Tree(source, Access::ReadWrite) => std::slice::from_ref(source),
            Content::Layers(layers, Access::ReadWrite) => layers.get(..1).unwrap_or_default(),
            _ => return false,
        };
        let is_read_only = |source: &CString| {
            let path = if source.is_empty() { c"/" } else { source.as_c_str() };
            statvfs(path).is_ok_and(|file_system| file_system.flags().contains(FsFlags::ST_RDONLY))
        };
        !self.read_only && !sources.iter().all(is_read_only)
    }
}

impl View for Planned {
    fn look(&self, path: &[u8]) -> Node {
        let mut is_parent = path == b"/";
        for placed in self.placed.iter().rev() {
            if let Some(rest) = below(path, &placed.at)
                && (rest.is_empty() || placed.content.covers())
            {
                match placed.content.look(rest) {
                    // An earlier entry may have put something else there, which then stays.
                    Node::Directory if matches!(placed.content, Content::Directory) => {}
                    Node::Missing if is_parent => return Node::Directory,
                    node => return node,
                }
            }
            is_parent |= below(&placed.at, path).is_some();
        }
        if is_parent { Node::Directory } else { Node::Missing }
    }
}

impl Planned {
    /// What an operation comes to on top of those before it; the result is why it cannot be done,
    /// as far as that can be told.
    pub(crate) fn add(&mut self, op: &Op, follows: bool) -> Option<String> {
        match op {
            Op::Same { path, access, .. } => return self.add_same(path, *access),
            Op::RemountRo(dest) => {
                let at = match self.destination(dest, follows) {
                    Ok(at) => at,
                    Err(why) => return Some(why),
                };
                if self.look(&at) == Node::Missing {
                    return Some("there is no such file".to_owned());
                }
                let last = self.placed.iter_mut().rfind(|placed| placed.at == at);
                if let Some(placed) = last.filter(|placed| placed.content.covers()) {
                    placed.read_only = true;
                }
                return None;
            }
            Op::Mask(dest) => {
                let found = walk(self, &absolute(dest));
                let whole = joined(&components(dest));
                let mut ways = found.links.iter().map(|(_, text)| text).chain([&whole]);
                if ways.any(|way| self.differs_by_process(way)) {
                    return Some("it leads through a link in a procfs".to_owned());
                }
                let content = match found.node {
                    Node::Missing | Node::Link(_) => return None,
                    Node::Directory => Content::Empty,
                    Node::File(_) => Content::File(true),
                    Node::Unknown => Content::Unknown,
                };
                if let Some(host) = self.of_host(&found.path) {
                    let is_file = matches!(content, Content::File(_));
                    self.masked.push(Masked { at: found.path.clone(), host, is_file });
                }
                self.placed.push(Placed { at: found.path, content, read_only: true, is_own: true });
                return None;
            }
            Op::Chmod { path, .. } => {
                let at = match self.change(path, follows) {
                    Ok(at) => at,
                    Err(why) => return Some(why),
                };
                if let Node::Link(text) = self.look(&at) {
                    return Some(hints::link(OsStr::from_bytes(&text), true));
                }
                let is_missing = walk(self, &absolute(path)).node == Node::Missing;
                return is_missing.then(|| "there is no such file".to_owned());
            }
            _ => {}
        }
        let content = content(op);
        let at = match op {
            Op::File { dest, .. } => self.change(dest, follows),
            _ => self.destination(op.dest(), follows),
        };
        let at = match at {
            Ok(at) => at,
            Err(why) => return Some(why),
        };
        let problem = self.misfit(&at, &content, op.may_follow());
        self.placed.push(Placed { at, content, read_only: false, is_own: op.mounts_own() });
        problem
    }

    fn add_same(&mut self, path: &CStr, access: Access) -> Option<String> {
        // A path that cannot be found has been reported already.
        let way = Way::of(path).ok()?;
        let mut problem = None;
        for stop in &way.stops {
            let (at, content) = match stop {
                Stop::Link { text, at } => (at, Content::Link(text.to_bytes().to_vec())),
                Stop::Directory(at) => (at, Content::Directory),
            };
            problem = problem.or(self.misfit(at.to_bytes(), &content, false));
            let at = at.to_bytes().to_vec();
            self.placed.push(Placed { at, content, read_only: false, is_own: false });
        }
        if let Some(end) = way.end {
            let content = Content::Tree(end.to_owned(), access);
            problem = problem.or(self.misfit(end.to_bytes(), &content, false));
            let at = end.to_bytes().to_vec();
            self.placed.push(Placed { at, content, read_only: false, is_own: false });
        }
        problem
    }

    /// Where a destination is; if links are followed, what its last component leads to, or why that
    /// would be refused.
    fn destination(&self, dest: &CStr, follows: bool) -> Result<Vec<u8>, String> {
        let at = self.place(dest);
        if !follows || !matches!(self.look(&at), Node::Link(_)) {
            return Ok(at);
        }
        let found = walk(self, &at);
        if let Some(why) = found.why_missing("") {
            return Err(format!("it {why}"));
        }
        if found.path == b"/" {
            return Err("it leads to /".to_owned());
        }
        if let Some(Placed { content: Content::Proc, .. }) = self.around(&found.path) {
            return Err("it leads into a procfs".to_owned());
        }
        let exposed = |(link, _): &&(Vec<u8>, Vec<u8>)| {
            self.around(link).is_some_and(|placed| !placed.is_own && placed.is_writable())
        };
        match found.links.iter().find(exposed) {
            Some((link, _)) => Err(format!(
                "the link at {} lies on a mount of the host's that is writable: bind that read-only, or name what the link leads to",
                String::from_utf8_lossy(link)
            )),
            None => Ok(found.path),
        }
    }

    /// The same for what is changed, and not just mounted on.
    fn change(&self, dest: &CStr, follows: bool) -> Result<Vec<u8>, String> {
        let at = self.destination(dest, follows)?;
        let is_led = at != self.place(dest);
        match self.around(&at) {
            Some(placed) if is_led && !placed.is_own => {
                Err("what it leads to is the host's".to_owned())
            }
            _ => Ok(at),
        }
    }

    /// Whether a path leads through one of the links of a procfs that are others in each process.
    fn differs_by_process(&self, path: &[u8]) -> bool {
        const LINKS: [&[u8]; 4] = [b"self", b"thread-self", b"mounts", b"net"];
        let Some(mount) = self.around(path) else { return false };
        let source = match &mount.content {
            Content::Proc => c"/proc",
            Content::Tree(source, _) => source,
            _ => return false,
        };
        let rest = below(path, &mount.at).unwrap_or_default();
        let host = [source.to_bytes(), rest].concat();
        let first = host.strip_prefix(b"/proc/").and_then(|rest| rest.split(|&b| b == b'/').next());
        // What is there in one procfs is there in each.
        first.is_some_and(|first| LINKS.contains(&first))
            && CString::new(host).is_ok_and(|host| stat(host.as_c_str()).is_ok())
    }

    /// What has brought the mount that a place is on, unless that is the root.
    fn around(&self, path: &[u8]) -> Option<&Placed> {
        let covers =
            |placed: &&Placed| placed.content.covers() && below(path, &placed.at).is_some();
        self.placed.iter().rfind(covers)
    }

    /// Where a destination is, once the links on its way are followed. Its last component is not.
    fn place(&self, dest: &CStr) -> Vec<u8> {
        let parts = components(dest);
        let Some((last, parents)) = parts.split_last() else { return b"/".to_vec() };
        for length in (0..=parents.len()).rev() {
            let (there, new) = parents.split_at(length);
            let found = walk(self, &joined(there));
            if found.node != Node::Missing {
                let there = if found.path == b"/" { Vec::new() } else { found.path };
                return [there, joined(new), b"/".to_vec(), last.to_vec()].concat();
            }
        }
        joined(&parts)
    }

    /// Why something cannot be put at a place.
    fn misfit(&self, at: &[u8], content: &Content, may_follow: bool) -> Option<String> {
        if matches!(content, Content::Unknown | Content::Open(Node::Unknown)) {
            return None;
        }
        let is_directory = content.look(b"") == Node::Directory;
        match (self.look(at), content) {
            (Node::Missing, _) => self.unmakeable(at),
            (Node::Link(text), Content::Link(wanted)) if text == *wanted => None,
            (Node::Link(text), Content::Link(_)) => {
                Some(format!("there is a link to {} already", String::from_utf8_lossy(&text)))
            }
            (Node::Directory | Node::File(_), Content::Link(_)) => {
                Some("there is something else already".to_owned())
            }
            (Node::Link(text), _) => Some(hints::link(OsStr::from_bytes(&text), may_follow)),
            (Node::Directory, _) if content.covers() && !is_directory => {
                Some("it is a directory, but what would be put there is not".to_owned())
            }
            (Node::File(_), _) if content.covers() && is_directory => {
                Some("it is not a directory, but what would be put there is".to_owned())
            }
            _ => None,
        }
    }

    /// Why nothing can be made at a place where nothing is.
    fn unmakeable(&self, at: &[u8]) -> Option<String> {
        let mut parent = at;
        while self.look(parent) == Node::Missing {
            let end = parent.iter().rposition(|&byte| byte == b'/')?;
            parent = if end == 0 { b"/" } else { parent.get(..end)? };
        }
        let placed = self.around(parent)?;
        let rest = below(parent, &placed.at).unwrap_or_default();
        // Directories can be created in one that was created by the sandbox.
        if placed.content.look(rest) != Node::Directory {
            return None;
        }
        let why = if placed.read_only {
            Some("is remounted read-only".to_owned())
        } else {
            placed.content.refuses(rest)
        };
        why.map(|why| {
            format!("it cannot be created, because {} {why}", String::from_utf8_lossy(parent))
        })
    }

    /// The uppermost directory on the way to a path that COMMAND may be able to rename: it is on the
    /// same mount of the host's as the path's parent, and that can be written to.
    pub(crate) fn movable<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let parent = path.get(..path.iter().rposition(|&byte| byte == b'/')?)?;
        let mount = self.around(parent).filter(|placed| placed.is_writable())?;
        let rest = below(parent, &mount.at)?.strip_prefix(b"/")?;
        let first = rest.split(|&byte| byte == b'/').next()?;
        path.get(..parent.len() - rest.len() + first.len())
    }

    /// What of the host is masked.
    pub(crate) fn masked(&self) -> &[Masked] {
        &self.masked
    }

    /// Where something of the host is bound, and what.
    pub(crate) fn binds(&self) -> impl Iterator<Item = (&[u8], &CStr)> {
        self.placed.iter().filter_map(|placed| match &placed.content {
            Content::Tree(source, _) => Some((placed.at.as_slice(), source.as_c_str())),
            _ => None,
        })
    }

    /// Whether a place is the host's, and where.
    pub(crate) fn of_host(&self, path: &[u8]) -> Option<CString> {
        match self.look(path) {
            Node::File(path) => path,
            Node::Directory => {
                let placed = self.around(path)?;
                match &placed.content {
                    Content::Tree(source, _) => {
                        let rest = below(path, &placed.at)?;
                        CString::new([source.to_bytes(), rest].concat()).ok()
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Components as a path.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [b"/", *part].concat()).collect()
}

/// A path from the root of the sandbox.
fn absolute(path: &CStr) -> Vec<u8> {
    [b"/", path.to_bytes()].concat()
}

/// A source on the host, without the last slash that a `/` would double.
fn source(path: &CStr) -> CString {
    if path == c"/" { CString::default() } else { path.to_owned() }
}

fn content(op: &Op) -> Content {
    match op {
        Op::Bind { source: Source::Path(path), access, .. } => match stat(*path) {
            Ok(_) => Content::Tree(source(path), *access),
            Err(_) => Content::Unknown,
        },
        Op::Bind { source: Source::Fd(fd), .. } => {
            let path = CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
            Content::Open(match on_host(&path, b"") {
                Node::File(_) => Node::File(None),
                other => other,
            })
        }
        Op::Overlay { upper, layers, .. } => {
            let mut all: Vec<CString> = layers.iter().rev().map(|layer| source(layer)).collect();
            let access = match upper {
                Upper::Host { rwsrc, .. } => {
                    all.insert(0, source(rwsrc));
                    Access::ReadWrite
                }
                Upper::Tmp => Access::ReadWrite,
                Upper::None => Access::ReadOnly,
            };
            Content::Layers(all, access)
        }
        Op::Proc(_) => Content::Proc,
        Op::Dev(_) => Content::Dev,
        Op::Tmpfs { .. } | Op::Mqueue(_) => Content::Empty,
        Op::Dir { .. } => Content::Directory,
        Op::File { .. } => Content::File(false),
        Op::Data { .. } => Content::File(true),
        Op::Symlink { target, .. } => Content::Link(target.to_bytes().to_vec()),
        _ => Content::Unknown,
    }
}
