//! One run as data that can be made smaller: pieces of a command line, the fds it is given, and its surroundings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use super::fixture;
use super::quote::{quote, quote_format};
use crate::cases::joined_user_and_pid;
use crate::harness::{Case, Fd, Identity, Tweak};

/// The words of one option with its operands.
pub(super) type Words = Vec<OsString>;

/// A part of the command line that can be left out.
#[derive(Clone)]
pub(super) enum Piece {
    /// An option.
    Words(Words),
    /// `--args` with the options in that fd, and whether the last of them has its NUL.
    Args(RawFd, Vec<Words>, bool),
}

/// A run.
#[derive(Clone, Default)]
pub(super) struct Plan {
    pub(super) pieces: Vec<Piece>,
    pub(super) command: Words,
    pub(super) fds: BTreeMap<RawFd, Fd>,
    pub(super) env: BTreeMap<String, OsString>,
    pub(super) cwd: Option<&'static str>,
    pub(super) umask: Option<u32>,
    /// Whether the fds 5 and 6 are a user namespace and a pid namespace in it.
    pub(super) joins: bool,
    /// A standard fd that is closed.
    pub(super) closed: Option<RawFd>,
}

impl Plan {
    /// All options, those in `--args` as well.
    pub(super) fn options(&self) -> impl Iterator<Item = &Words> {
        self.pieces.iter().flat_map(|piece| match piece {
            Piece::Words(words) => std::slice::from_ref(words),
            Piece::Args(_, options, _) => options.as_slice(),
        })
    }

    /// Whether an option is there.
    pub(super) fn has(&self, name: &str) -> bool {
        let args = name == "--args" && self.pieces.iter().any(|piece| matches!(piece, Piece::Args(..)));
        args || self.options().any(|words| words.first().is_some_and(|word| word == name))
    }

    /// The words between `bwrap` and COMMAND.
    fn words(&self) -> Words {
        let words = self.pieces.iter().flat_map(|piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Args(fd, ..) => vec!["--args".into(), fd.to_string().into()],
        });
        words.collect()
    }

    /// The case that the harness runs.
    pub(super) fn case(&self, name: &str) -> Case {
        let mut case = Case::new(name).options(self.words()).run(&self.command).setup(fixture::make);
        for (&number, fd) in &self.fds {
            case = case.fd(number, fd.clone());
        }
        for piece in &self.pieces {
            if let Piece::Args(number, options, ended) = piece {
                let (number, options, ended) = (*number, options.clone(), *ended);
                case = case.setup(move |s| {
                    let content = args(&options, ended, |word| s.expand(word));
                    let (fd, _) = Fd::Memfd(content).open(&s.dir, |path| path.into())?;
                    s.pass(number, fd);
                    Ok(())
                });
            }
        }
        if self.joins {
            case = case.setup(joined_user_and_pid);
        }
        for (name, value) in &self.env {
            case = case.env(name, value);
        }
        if let Some(cwd) = self.cwd {
            case = case.cwd(cwd);
        }
        if let Some(umask) = self.umask {
            case = case.tweak(Tweak::Umask(umask));
        }
        if let Some(fd) = self.closed {
            case = case.tweak(Tweak::Close(fd));
        }
        case
    }

    /// Lines of a shell script that do the same after [`fixture::script`].
    pub(super) fn script(&self, identity: Identity) -> String {
        let cwd = self.cwd.unwrap_or("{dir}").replace("{dir}", "$dir");
        let mut text = format!("# as {}\ncd {cwd}\n", identity.name());
        if self.joins {
            text += "unshare -Urpf sleep 60 & sleep 1; exec 5< /proc/$!/ns/user 6< /proc/$!/ns/pid_for_children\n";
        }
        for (number, fd) in &self.fds {
            text += &redirection(*number, fd);
        }
        for piece in &self.pieces {
            if let Piece::Args(number, options, ended) = piece {
                let content = args(options, *ended, |word| word.as_bytes().to_vec());
                _ = writeln!(text, "exec {number}< <(printf {} | sed \"s,{{dir}},$dir,g\")", quote_format(&content));
            }
        }
        text += &self.umask.map_or_else(String::new, |umask| format!("umask {umask:03o}\n"));
        text += "env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=$dir/home LANG=C";
        for (name, value) in &self.env {
            _ = write!(text, " {name}={}", quote(value.as_bytes()));
        }
        text += " $bwrap";
        for word in self.words().iter().chain(&self.command) {
            _ = write!(text, " {}", quote(word.as_bytes()));
        }
        text + &self.closed.map_or_else(String::new, |fd| format!(" {fd}<&-")) + "\n"
    }
}

/// The content of an `--args` fd.
fn args(options: &[Words], ended: bool, expand: impl Fn(&std::ffi::OsStr) -> Vec<u8>) -> Vec<u8> {
    let mut content = options.iter().flatten().flat_map(|word| [expand(word), vec![0]].concat()).collect::<Vec<_>>();
    if !ended {
        content.pop();
    }
    content
}

/// A line that opens an fd.
fn redirection(number: RawFd, fd: &Fd) -> String {
    match fd {
        Fd::Memfd(content) | Fd::Pipe(content) | Fd::File(content) => {
            format!("exec {number}< <(printf {})\n", quote_format(content))
        }
        Fd::Path(path, _) => format!("exec {number}< {}\n", path.replace("{dir}", "$dir")),
        Fd::Capture | Fd::Broken if number > 2 => format!("exec {number}> $dir.fd{number}\n"),
        Fd::Capture | Fd::Broken => String::new(),
        Fd::Held => format!("exec {number}< /dev/null\n"),
    }
}
