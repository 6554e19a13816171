//! Where a path leads in the sandbox, link by link: in the finished one, from inside, or in one
//! that has only been described, from outside.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, readlinkat};
use nix::sys::stat::{SFlag, lstat};

use crate::kernel::files::file_type;
use crate::kernel::way::{MAX_LINKS, ahead, names};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Nothing.
    Missing,
    /// A directory.
    Directory,
    /// A file of any other kind, and the path by which this process reaches it, if it does.
    File(Option<CString>),
    /// A symbolic link with this text.
    Link(Vec<u8>),
    /// Something, or nothing, that cannot be known from here.
    Unknown,
}

impl Node {
    /// What this process finds at a path, without following a link there.
    pub(crate) fn at(path: &CStr) -> Self {
        match lstat(path) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Self::Missing,
            Err(_) => Self::Unknown,
            Ok(status) => match file_type(&status) {
                SFlag::S_IFDIR => Self::Directory,
                SFlag::S_IFLNK => readlinkat(AT_FDCWD, path)
                    .map_or(Self::Unknown, |text| Self::Link(text.into_encoded_bytes())),
                _ => Self::File(Some(path.to_owned())),
            },
        }
    }
}

/// A tree of files.
pub(crate) trait View {
    /// What is at an absolute path. Nothing before its last component is a link.
    fn look(&self, path: &[u8]) -> Node;
}

/// The tree that this process is in.
#[derive(Debug)]
pub(crate) struct Here;

impl View for Here {
    fn look(&self, path: &[u8]) -> Node {
        CString::new(path).map_or(Node::Missing, |path| Node::at(&path))
    }
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The path without links; the first that is missing, if that is how it ends.
    pub(crate) path: Vec<u8>,
    /// What is there.
    pub(crate) node: Node,
    /// The links that the last component that was asked for leads through, where each is and its
    /// text: if nothing is at the end, that is why.
    pub(crate) links: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Found {
    /// Why there is nothing, as the end of a sentence about the path that was asked for: a link on
    /// the way may be the reason. Nothing if there is something.
    pub(crate) fn why_missing(&self, missing: &str) -> Option<String> {
        if self.node != Node::Missing {
            return None;
        }
        let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let Some((first, rest)) = self.links.split_first() else { return Some(missing.to_owned()) };
        if self.links.len() >= MAX_LINKS {
            return Some("is a link that leads in circles".to_owned());
        }
        let mut text = format!("is a link to {}", shown(&first.1));
        let leads_on = rest.iter().map(|(at, _)| at).chain([&self.path]);
        let mut last = first.1.clone();
        for place in leads_on.filter(|place| **place != first.1) {
            if *place != last {
                text.push_str(" → ");
                text.push_str(&shown(place));
            }
            last.clone_from(place);
        }
        text.push_str(", which is missing");
        Some(text)
    }
}

/// Follows an absolute path.
pub(crate) fn walk(view: &impl View, path: &[u8]) -> Found {
    let mut left: VecDeque<_> = names(path).map(|name| (name.to_vec(), true)).collect();
    let (mut here, mut links, mut count) = (Vec::new(), Vec::new(), 0);
    while let Some((part, is_asked)) = left.pop_front() {
        if is_asked {
            links.clear();
        }
        if part == b".." {
            let above = here.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            here.truncate(above);
            continue;
        }
        let at = [&here, &b"/"[..], &part].concat();
        let node = view.look(&at);
        match node {
            Node::Link(text) if count < MAX_LINKS => {
                count += 1;
                if text.starts_with(b"/") {
                    here.clear();
                }
                for name in ahead(&text) {
                    left.push_front((name, false));
                }
                links.push((at, text));
            }
            Node::Directory => here = at,
            Node::File(_) if left.is_empty() => return Found { path: at, node, links },
            Node::Unknown => return Found { path: at, node, links },
            Node::File(_) | Node::Missing | Node::Link(_) => {
                return Found { path: at, node: Node::Missing, links };
            }
        }
    }
    let path = if here.is_empty() { b"/".to_vec() } else { here };
    Found { path, node: Node::Directory, links }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Links, and `/dir` with `/dir/file`.
    struct Tree;

    impl View for Tree {
        fn look(&self, path: &[u8]) -> Node {
            let link = |text: &[u8]| Node::Link(text.to_vec());
            match path {
                b"/dir" | b"/dir/below" => Node::Directory,
                b"/dir/file" => Node::File(None),
                b"/dir/up" => link(b"../dir/file"),
                b"/whole" => link(b"/dir//./below"),
                b"/loop" => link(b"loop"),
                b"/lost" => link(b"dir/lost"),
                b"/dir/lost" => link(b"/none/x"),
                b"/secret" => Node::Unknown,
                _ => Node::Missing,
            }
        }
    }

    fn end(path: &str) -> (String, Node) {
        let Found { path, node, .. } = walk(&Tree, path.as_bytes());
        (String::from_utf8_lossy(&path).into_owned(), node)
    }

    #[test]
    fn links_are_followed() {
        for (path, place, node) in [
            ("/", "/", Node::Directory),
            ("/dir/../dir/up", "/dir/file", Node::File(None)),
            ("/whole/../file", "/dir/file", Node::File(None)),
            ("/../../dir", "/dir", Node::Directory),
            ("/dir/file/x", "/dir/file", Node::Missing),
            ("/loop", "/loop", Node::Missing),
            ("/secret/x", "/secret", Node::Unknown),
            ("/none/x", "/none", Node::Missing),
        ] {
            assert_eq!(end(path), (place.to_owned(), node), "{path}");
        }
    }

    #[test]
    fn the_link_that_leads_nowhere_is_named() {
        let why = |path: &[u8]| walk(&Tree, path).why_missing("is not there");
        assert_eq!(why(b"/dir/file"), None);
        assert_eq!(why(b"/none").as_deref(), Some("is not there"));
        // The cause is not the link.
        assert_eq!(why(b"/whole/none").as_deref(), Some("is not there"));
        assert_eq!(why(b"/loop").as_deref(), Some("is a link that leads in circles"));
        let lost = "is a link to dir/lost → /dir/lost → /none, which is missing";
        assert_eq!(why(b"/lost").as_deref(), Some(lost));
    }
}
