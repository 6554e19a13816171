//! What a recording has seen: plain data, in terms of the sandbox's paths.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::line::fields;
use crate::record::path::Path;
use crate::record::uses::Uses;
use crate::record::wire::number;

/// How many bytes of what helpers say are kept: COMMAND makes names up.
const MOST: usize = 64 << 20;

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
    pub(crate) paths: BTreeMap<Path, Used>,
    /// Links that names lead through, and their texts.
    pub(crate) links: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What was looked for and is not there; canonical as far as it is.
    pub(crate) missing: BTreeMap<Vec<u8>, Uses>,
    /// Those of both that were to be made, moved or removed.
    pub(crate) named: BTreeMap<Vec<u8>, Uses>,
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
    /// How many bytes helpers have said.
    heard: usize,
}

impl Seen {
    /// Nothing yet, of a COMMAND that is started after this time.
    pub(crate) fn since(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    /// Whether what a helper says is still kept.
    fn keeps(&mut self, message: &[u8]) -> bool {
        self.heard += message.len();
        if self.heard > MOST {
            self.cut();
        }
        self.heard <= MOST
    }

    /// Not all is kept.
    pub(crate) fn cut(&mut self) {
        self.flags.insert("many".to_owned());
    }

    /// Takes a message of the answerer's that needs no looking up.
    pub(crate) fn hear(&mut self, message: &[u8]) {
        if !self.keeps(message) {
            return;
        }
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
        if !self.keeps(message) {
            return;
        }
        match fields(message).as_slice() {
            [b"l", path, text] => _ = self.links.insert(path.to_vec(), text.to_vec()),
            [b"o", more, path, node, read_only] => {
                let Some(node) = node_of(node) else { return };
                self.found(
                    path.to_vec(),
                    Used { uses: Uses::of(more), node, read_only: *read_only == b"1" },
                );
            }
            [b"b", more, dir, found @ ..] => {
                for (node, name) in found.iter().filter_map(|found| found.split_at_checked(1)) {
                    let Some(node) = node_of(node) else { continue };
                    let path = [dir, name].join(&b'/');
                    self.found(path, Used { uses: Uses::of(more), node, read_only: false });
                }
            }
            [b"m", more, path] => {
                add(&mut self.missing, path, Uses::of(more));
                self.name(path, Uses::of(more));
            }
            [b"u", more, path] => add(&mut self.unresolved, path, Uses::of(more)),
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

    fn name(&mut self, path: &[u8], uses: Uses) {
        if uses.any(Uses::NAMES) {
            add(&mut self.named, path, uses);
        }
    }

    fn found(&mut self, path: Vec<u8>, now: Used) {
        self.name(&path, now.uses);
        let used = self.paths.entry(path.into()).or_insert(now);
        used.uses = used.uses.with(now.uses);
        used.node = now.node;
        used.read_only |= now.read_only;
    }

    /// Nobody knows what a question asks for.
    pub(crate) fn give_up(&mut self, question: &[u8]) {
        if let [b"n", uses, _, _, base, name] = fields(question).as_slice() {
            let path =
                if name.starts_with(b"/") { name.to_vec() } else { [*base, *name].join(&b'/') };
            add(&mut self.unresolved, &path, Uses::of(uses));
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
