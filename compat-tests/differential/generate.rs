//! Makes a plan from random choices: a root, options on it, sometimes a mistake, and a command that looks around.

use std::ffi::OsString;

use super::maker::{Maker, Root, piece};
use super::options;
use super::plan::{Piece, Plan, Words};
use super::random::Random;
use crate::harness::Identity;

/// The plan of a run.
pub(super) fn plan(random: &Random, identity: Identity) -> Plan {
    let root = match random.below(10) {
        0..=2 => Root::Host,
        3..=7 => Root::Bound,
        _ => Root::Empty,
    };
    let hostile = random.percent(25);
    let mut maker = Maker { random, identity, root, hostile, mounts: vec![], plan: Plan::default(), next_fd: 10 };
    maker.begin();
    let most = if maker.random.percent(5) { 30 } else { 9 };
    for _ in 0..=maker.random.below(most) {
        options::add(&mut maker);
    }
    if maker.random.percent(6) {
        maker.join();
    }
    if root != Root::Host {
        let at = if maker.random.percent(80) { maker.plan.pieces.len() } else { 1 };
        maker.plan.pieces.insert(at, piece(["--ro-bind", "{probe}", "/probe"]));
    }
    if maker.random.percent(10) {
        options::spoil(&mut maker);
    }
    if maker.random.percent(25) {
        maker.move_into_args();
    }
    maker.surround();
    maker.command();
    maker.plan
}

impl Maker<'_> {
    /// The root and what nearly every sandbox has.
    fn begin(&mut self) {
        match self.root {
            Root::Host => {
                self.push(["--ro-bind", "/", "/"]);
                if !self.errs() {
                    self.push(["--bind", "{dir}", "{dir}"]);
                }
            }
            Root::Bound => {
                let bind = if self.errs() { "--ro-bind" } else { self.random.pick(&["--bind", "--bind", "--dev-bind"]) };
                self.push([bind, "{dir}/root", "/"]);
            }
            Root::Empty => {
                let mode = self.random.pick(&["0755", "0700", "0711"]);
                self.push(["--perms", mode]);
                self.push(["--dir", "/here"]);
            }
        }
        match self.random.below(10) {
            0..=3 => self.push(["--unshare-all"]),
            4..=6 => self.push(["--unshare-pid"]),
            _ => {}
        }
        if self.random.percent(85) {
            self.push(["--proc", "/proc"]);
        }
    }

    /// Joins namespaces instead of making them.
    fn join(&mut self) {
        self.without(&["--unshare-all", "--unshare-user"]);
        self.plan.joins = true;
        self.push(["--userns", "5"]);
        if self.random.percent(50) {
            // The reference may never return from a pid namespace below another.
            self.without(&["--unshare-pid", "--as-pid-1"]);
            self.push(["--pidns", "6"]);
        }
    }

    /// Takes options away.
    fn without(&mut self, names: &[&str]) {
        let is_one = |words: &Words| words.first().is_some_and(|first| names.iter().any(|name| first == name));
        self.plan.pieces.retain(|piece| !matches!(piece, Piece::Words(words) if is_one(words)));
    }

    /// Moves some neighbouring options into an `--args` fd.
    fn move_into_args(&mut self) {
        let count = self.plan.pieces.len();
        let first = self.random.below(count);
        let last = first + self.random.below(count - first) + 1;
        let options = self.plan.pieces.drain(first..last).filter_map(|piece| match piece {
            Piece::Words(words) => Some(words),
            Piece::Args(..) => None,
        });
        let options = options.collect::<Vec<Words>>();
        let number = self.next_fd;
        self.next_fd += 1;
        // An empty last word is one only with its NUL.
        let ended = self.random.percent(70) || options.iter().flatten().next_back().is_none_or(|word| word.is_empty());
        self.plan.pieces.insert(first, Piece::Args(number, options, ended));
    }

    /// The environment, the working directory, and what else a caller may be like.
    fn surround(&mut self) {
        if self.random.percent(15) {
            self.plan.cwd = Some(self.random.pick(&["/", "/usr", "/usr/bin", "{dir}/src/dir", "{dir}/root/dst/link", "/tmp"]));
        }
        if self.random.percent(10) {
            self.plan.umask = Some(self.random.pick(&[0, 0o077, 0o777, 0o027]));
        }
        if self.random.percent(10) {
            let value = self.random.pick(&["", "1", "a=b", "\u{fc}"]);
            self.plan.env.insert(self.random.pick(&["A", "B", "TERM", "LD_LIBRARY_PATH"]).to_owned(), value.into());
        }
        if self.random.percent(5) {
            self.plan.env.insert("HOME".to_owned(), self.random.pick(&["/nowhere", "/dst/dir", "relative", "/"]).into());
        }
        // With it closed, the reference's own first fd would be the source.
        let shown = self.plan.options().flatten().any(|word| word == "/proc/self/fd/0");
        if self.random.percent(4) && !shown {
            self.plan.closed = Some(0);
        }
    }

    /// The command: mostly the probe.
    fn command(&mut self) {
        let mut words: Vec<String> = vec![];
        if self.random.percent(20) {
            words.push("--".to_owned());
        }
        let probe = if self.root == Root::Host { "{probe}" } else { "/probe" };
        let other: &[&[&str]] = &[
            &[],
            &["no-such-command"],
            &["/dst/dir"],
            &["/dst/file", "x"],
            &["/src/program"],
            &["sh", "-c", "exit 7"],
            &["sh", "-c", "kill -9 $$"],
            &["sh", "-c", "pwd; echo $0 $PWD; sleep 0 & wait; exit 255"],
            &[""],
        ];
        if self.random.percent(if self.root == Root::Host { 25 } else { 8 }) {
            words.extend(self.random.pick(other).iter().map(|word| (*word).to_owned()));
        } else {
            words.extend([probe, "--probe", "{namespaces}"].map(str::to_owned));
            // The reference leaves the fds of namespaces open.
            let seen = |view: &&str| !self.plan.joins || *view != "fds";
            words.extend(crate::cases::VIEWS.iter().filter(|view| seen(view)).map(|view| (*view).to_owned()));
            let trees: &[&str] = match self.root {
                Root::Host => &["contents:{dir}", "list:/tmp/x", "list:/mnt", "list:/dev"],
                _ => &["contents:/", "contents:/new", "contents:/dst/dir", "contents:/n1", "list:/dev", "list:/d", "list:/tmp"],
            };
            words.extend(trees.iter().map(|tree| (*tree).to_owned()));
        }
        self.plan.command = words.into_iter().map(OsString::from).collect();
    }
}
