//! What a recording has seen: plain data, in terms of the sandbox's paths.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::line::fields;
use crate::record::uses::Uses;
use crate::record::wire::number;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    File,
    Directory,
    Link,
    Socket,
    Device,
    Fifo,
    /// Something in a procfs, which is not looked into.
    Proc,
}

/// A path that was used and is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) uses: Uses,
    pub(crate) node: Node,
    /// Whether its mount is read-only, if it was to be changed.
    pub(crate) read_only: bool,
}

/// When something was made and changed, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// Nothing where the file system does not say.
    pub(crate) born: Option<u64>,
    pub(crate) changed: u64,
}

/// All of it. Paths are canonical: no links, no dots.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What is there.
    pub(crate) paths: BTreeMap<Vec<u8>, Used>,
    /// Links that names lead through, and their texts.
    pub(crate) links: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What was looked for and is not there; canonical as far as it is.
    pub(crate) missing: BTreeMap<Vec<u8>, Uses>,
    /// What could not be looked up, or not in time.
    pub(crate) unresolved: BTreeMap<Vec<u8>, Uses>,
    /// Whom COMMAND talks to, as text.
    pub(crate) network: BTreeSet<String>,
    /// The same for abstract sockets.
    pub(crate) abstracts: BTreeSet<String>,
    /// Numbers of calls, if they matter.
    pub(crate) calls: BTreeSet<u32>,
    /// Calls that policies refused, and with which errno.
    pub(crate) refused: BTreeSet<(u32, u32)>,
    /// `ring`, `x32` and `32`: what is refused while recording. `elsewhere`: paths in other mount
    /// namespaces. `unread`: memory that could not be read. `many`: more than is kept.
    pub(crate) flags: BTreeSet<String>,
    /// Times that were asked for at the end; nothing for what is gone.
    pub(crate) times: BTreeMap<Vec<u8>, Option<Times>>,
    /// When COMMAND was started, in nanoseconds since 1970.
    pub(crate) start: u64,
    /// COMMAND's working directory.
    pub(crate) cwd: Vec<u8>,
    /// How many processes live on.
    pub(crate) left: usize,
}

impl Seen {
    /// Takes a message of the answerer's that needs no looking up.
    pub(crate) fn hear(&mut self, message: &[u8]) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match fields(message).as_slice() {
            [b"p", peer] => _ = self.network.insert(text(peer)),
            [b"a", peer] => _ = self.abstracts.insert(text(peer)),
            [b"f", flag] => _ = self.flags.insert(text(flag)),
            [b"c", call] => {
                self.calls.extend(number(call).and_then(|call| u32::try_from(call).ok()));
            }
            [b"r", call, errno] => {
                let number = |text| number(text).and_then(|number| u32::try_from(number).ok());
                self.refused.extend(number(call).zip(number(errno)));
            }
            _ => {}
        }
    }

    /// Takes an answer of the looker's.
    pub(crate) fn see(&mut self, message: &[u8]) {
        let of = |field: &[u8]| {
            Uses(number(field).and_then(|uses| u16::try_from(uses).ok()).unwrap_or_default())
        };
        match fields(message).as_slice() {
            [b"l", path, text] => _ = self.links.insert(path.to_vec(), text.to_vec()),
            [b"o", more, path, node, read_only] => {
                let Some(node) = node_of(node) else { return };
                let used = Used { uses: Uses::default(), node, read_only: *read_only == b"1" };
                let used = self.paths.entry(path.to_vec()).or_insert(used);
                used.uses = used.uses.with(of(more));
                used.node = node;
                used.read_only |= *read_only == b"1";
            }
            [b"m", more, path] => add(&mut self.missing, path, of(more)),
            [b"u", more, path] => add(&mut self.unresolved, path, of(more)),
            [b"t", path, exists, born, changed, node] => {
                let times = (*exists == b"1" && *node != b"l").then(|| Times {
                    born: number(born),
                    changed: number(changed).unwrap_or_default(),
                });
                self.times.insert(path.to_vec(), times);
            }
            _ => {}
        }
    }
}

fn add(to: &mut BTreeMap<Vec<u8>, Uses>, path: &[u8], uses: Uses) {
    let known = to.entry(path.to_vec()).or_default();
    *known = known.with(uses);
}

fn node_of(letter: &[u8]) -> Option<Node> {
    Some(match letter {
        b"f" => Node::File,
        b"d" => Node::Directory,
        b"l" => Node::Link,
        b"s" => Node::Socket,
        b"c" | b"b" => Node::Device,
        b"p" => Node::Fifo,
        b"P" => Node::Proc,
        _ => return None,
    })
}
