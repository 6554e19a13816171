//! Lines of advice: equal ones become one, siblings their directory, and what remains is put into
//! at most a dozen lines of text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::error::write_escaped;

/// Writes a word so that it is read back as it is.
pub(crate) type Writer<'a> = &'a dyn Fn(&[u8]) -> String;

/// The most lines of one explanation.
pub(crate) const LINES: usize = 12;

/// More siblings than this become their directory.
const SIBLINGS: usize = 3;

/// What comes first; COMMAND could do nothing without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// What belongs together, such as /usr with its links, or certificates.
    Bundle,
    /// What the sandbox makes itself.
    Fresh,
    /// The network.
    Network,
    /// A file, a directory or a device.
    Plain,
    /// What COMMAND was refused.
    Refused,
    /// Sockets of the host's.
    Socket,
    /// What most programs do without.
    Optional,
    /// What is reported but not suggested.
    Told,
}

/// One line: an option with its operands, or a remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// What it comes after.
    pub(crate) rank: Rank,
    /// The option's words; none if this is a remark.
    pub(crate) words: Vec<Vec<u8>>,
    /// What it is for: the path that was looked for.
    pub(crate) place: Vec<u8>,
    /// The link that led there.
    pub(crate) link: Option<Vec<u8>>,
    /// Further remarks.
    pub(crate) remark: String,
    /// How many others the same line is for.
    pub(crate) more: usize,
}

impl Advice {
    /// An option that would help.
    pub(crate) fn new(rank: Rank, words: &[&[u8]]) -> Self {
        let words = words.iter().map(|word| word.to_vec()).collect();
        Self { rank, words, place: Vec::new(), link: None, remark: String::new(), more: 0 }
    }

    /// Something that is reported but not suggested.
    pub(crate) fn told(place: &[u8], remark: &str) -> Self {
        Self::new(Rank::Told, &[]).because(place).warned(remark)
    }

    /// What it is for.
    pub(crate) fn because(mut self, place: &[u8]) -> Self {
        self.place = place.to_vec();
        self
    }

    /// Which link led there.
    pub(crate) fn by_way_of(mut self, link: Option<&[u8]>) -> Self {
        self.link = link.map(<[u8]>::to_vec);
        self
    }

    /// What the reader should know.
    pub(crate) fn warned(mut self, remark: &str) -> Self {
        remark.clone_into(&mut self.remark);
        self
    }

    /// The line, with its words as `word` writes them.
    pub(crate) fn line(&self, word: Writer<'_>) -> String {
        let mut line = self.words.iter().map(|each| word(each)).collect::<Vec<_>>().join(" ");
        let shown = self.place.as_slice();
        let is_said = self.words.iter().any(|word| word == shown) && self.link.is_none();
        line.push_str(if line.is_empty() { "#" } else { "   #" });
        let bare = line.len();
        if let Some(link) = &self.link {
            _ = write!(line, " {} →", printable(link));
        }
        if !shown.is_empty() && !is_said {
            _ = write!(line, " {}", printable(shown));
        }
        if self.more > 0 {
            _ = write!(line, " and {} more", self.more);
        }
        if !self.remark.is_empty() {
            let colon = if line.len() > bare { ":" } else { "" };
            _ = write!(line, "{colon} {}", self.remark);
        }
        if line.len() == bare {
            line.truncate(line.trim_end_matches('#').trim_end().len());
        }
        line
    }
}

/// The directory of a path, if it is not the root.
fn parent(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().rposition(|&byte| byte == b'/').filter(|&end| end > 0)?;
    path.get(..end)
}

/// Puts equal lines together and siblings into their directory, unless `keeps` says that the
/// directory is more than that; what is within something else is not said again.
pub(crate) fn group(advice: Vec<Advice>, keeps: impl Fn(&[u8]) -> bool) -> Vec<Advice> {
    let advice = siblings(advice, keeps);
    let mut grouped: Vec<Advice> = Vec::with_capacity(advice.len());
    for one in advice {
        let same = |other: &&mut Advice| {
            other.words == one.words && (!one.words.is_empty() || other.place == one.place)
        };
        match grouped.iter_mut().find(same) {
            // Without a place it only goes with something else.
            Some(_) if one.place.is_empty() => {}
            Some(other) if other.place.is_empty() => *other = one,
            Some(other) if other.place == one.place => {}
            Some(other) => other.more += 1,
            None => grouped.push(one),
        }
    }
    let outer: Vec<_> =
        grouped.iter().filter_map(|one| same_path(one).map(<[u8]>::to_vec)).collect();
    grouped.retain(|one| {
        let Some(path) = same_path(one) else { return true };
        !outer.iter().any(|other| {
            path.strip_prefix(other.as_slice()).is_some_and(|rest| rest.starts_with(b"/"))
        })
    });
    grouped.sort_by_key(|one| one.rank);
    grouped
}

/// The path of a `--ro-same`.
fn same_path(advice: &Advice) -> Option<&[u8]> {
    match advice.words.as_slice() {
        [option, path] if option == b"--ro-same" => Some(path),
        _ => None,
    }
}

fn siblings(mut advice: Vec<Advice>, keeps: impl Fn(&[u8]) -> bool) -> Vec<Advice> {
    let groups = |one: &&Advice| matches!(one.rank, Rank::Plain | Rank::Optional);
    let paths: BTreeSet<_> = advice.iter().filter(groups).filter_map(same_path).collect();
    let parents: Vec<_> = paths.into_iter().filter_map(parent).map(<[u8]>::to_vec).collect();
    for one in &mut advice {
        let Some(parent) = same_path(one).and_then(parent).map(<[u8]>::to_vec) else { continue };
        let number = parents.iter().filter(|&other| *other == parent).count();
        if matches!(one.rank, Rank::Plain | Rank::Optional)
            && number > SIBLINGS
            && !keeps(&parent)
            && let Some(path) = one.words.last_mut()
        {
            *path = parent;
        }
    }
    advice
}

/// The whole text, a line each: a heading, advice in its order, and how much was left out.
pub(crate) fn text(advice: &[Advice], word: Writer<'_>) -> Vec<String> {
    if advice.is_empty() {
        return Vec::new();
    }
    let heading = "the host has what COMMAND did not get; options that would give it:";
    let room = LINES - 1;
    let shown = if advice.len() > room { room - 1 } else { advice.len() };
    let lines = advice.iter().take(shown).map(|one| one.line(word));
    let mut text: Vec<String> = [heading.to_owned()].into_iter().chain(lines).collect();
    if advice.len() > shown {
        text.push(format!("# and {} more, which are less likely to matter", advice.len() - shown));
    }
    text
}

/// Text of unknown origin for a remark.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    write_escaped(&mut text, bytes, |text, letter| {
        let is_itself = letter != '\\';
        text.extend(is_itself.then_some(letter));
        is_itself
    });
    text
}
