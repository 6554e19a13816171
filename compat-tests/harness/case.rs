//! One case as data: what is run, in what surroundings, and what is claimed about the outcome.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::difference::Field;
use super::identity::Identity;
use super::live::Live;
use super::outcome::{Exit, Outcome};
use super::{Fd, Result, Setup};

type Claim = Box<dyn Fn(&Outcome) -> Result<()> + Send + Sync>;
type Prepare = Box<dyn Fn(&mut Setup) -> Result<()> + Send + Sync>;
type Blur = fn(&str) -> String;
type During = Box<dyn Fn(&mut Live) -> Result<()> + Send + Sync>;

/// What the process is like before `bwrap` is executed.
#[derive(Clone, Debug)]
pub(crate) enum Tweak {
    /// This fd is not given; meant for 0, 1 and 2.
    Close(RawFd),
    IgnoreSignal(i32),
    BlockSignal(i32),
    /// A `RLIMIT_…` with the soft and the hard limit.
    Limit(u32, u64, u64),
    Umask(u32),
    /// Supplementary groups, for root only.
    Groups(Vec<u32>),
    /// A filter of the caller's that answers this errno to these calls, on both sides.
    Refuse(&'static [&'static str], i32),
    /// An empty argument list. The reference cannot have that, because its loader needs one.
    NoArguments,
}

/// What is executed.
pub(crate) enum Program {
    /// `bwrap` with these words.
    Bwrap { options: Vec<OsString>, command: Vec<OsString> },
    /// `sh -c` with this text, in which `{bwrap}` is an executable.
    Script(String),
}

/// One case; made by [`Case::new`] and the functions that follow it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) identities: Vec<Identity>,
    pub(crate) ours_only: bool,
    pub(crate) env: BTreeMap<String, OsString>,
    pub(crate) cwd: String,
    pub(crate) fds: BTreeMap<RawFd, Fd>,
    pub(crate) tweaks: Vec<Tweak>,
    pub(crate) prepare: Vec<Prepare>,
    pub(crate) during: Option<During>,
    pub(crate) terminal: bool,
    /// Whether somebody types at the terminal.
    pub(crate) typed: bool,
    pub(crate) timeout: Duration,
    pub(crate) claims: Vec<Claim>,
    pub(crate) blurs: Vec<(Field, Blur)>,
    pub(crate) needs: Vec<fn() -> Result<()>>,
    /// Programs that the trial needs.
    pub(crate) tools: Vec<&'static str>,
    pub(crate) unrefused: Option<&'static str>,
    /// A program that is executed instead, with its words; it is given `bwrap`'s path and its words after them.
    pub(crate) tracer: Option<(PathBuf, Vec<String>)>,
}

impl Case {
    /// A case of this name; its file's name is put before it.
    pub(crate) fn new(name: &str) -> Self {
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "{dir}/home"), ("LANG", "C")];
        let mut fds = BTreeMap::new();
        fds.insert(0, Fd::path("/dev/null"));
        fds.insert(1, Fd::Capture);
        fds.insert(2, Fd::Capture);
        Self {
            name: name.to_owned(),
            program: Program::Bwrap { options: vec![], command: vec![] },
            identities: vec![Identity::Root, Identity::User],
            ours_only: false,
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
            cwd: "{dir}".to_owned(),
            fds,
            tweaks: vec![],
            prepare: vec![],
            during: None,
            terminal: false,
            typed: false,
            timeout: Duration::from_mins(1),
            claims: vec![],
            blurs: vec![],
            needs: vec![],
            tools: vec![],
            unrefused: None,
            tracer: None,
        }
    }

    /// What was run, and the words that run it again.
    pub(crate) fn again(&self, identity: Identity) -> String {
        let quoted = |word: &OsString| {
            let word = word.to_string_lossy();
            let plain = |letter: char| letter.is_alphanumeric() || "/._-+=:,@{}".contains(letter);
            let bare = !word.is_empty() && word.chars().all(plain);
            if bare { word.into_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
        };
        let line = match &self.program {
            Program::Bwrap { options, command } => {
                let words = options.iter().chain(command).map(quoted).collect::<Vec<_>>();
                format!("bwrap {}", words.join(" "))
            }
            Program::Script(text) => text.clone(),
        };
        let (test, name) = (env!("CARGO_CRATE_NAME"), format!("{}::{}", self.name, identity.name()));
        format!("the command line: {line}\nonce more: cargo test --test {test} -- --exact '{name}'")
    }

    /// Adds option words; `{dir}`, `{probe}`, `{uid}`, `{gid}` and what the set-up defines stand for values.
    pub(crate) fn options<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, words: I) -> Self {
        if let Program::Bwrap { options, .. } = &mut self.program {
            options.extend(words.into_iter().map(|w| w.as_ref().to_owned()));
        }
        self
    }

    /// The command: the words after the options, whatever they are.
    pub(crate) fn run<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, words: I) -> Self {
        if let Program::Bwrap { command, .. } = &mut self.program {
            command.extend(words.into_iter().map(|w| w.as_ref().to_owned()));
        }
        self
    }

    /// Binds the whole host read-only as the root; `{probe}` and `{dir}` are then where they are outside.
    pub(crate) fn on_host(self) -> Self {
        self.options(["--ro-bind", "/", "/"])
    }

    /// Runs the probe, bound as /probe, to show these views (see `probe/mod.rs`).
    pub(crate) fn probe(self, views: &[&str]) -> Self {
        self.options(["--ro-bind", "{probe}", "/probe"]).run(["/probe", "--probe", "{namespaces}"]).run(views)
    }

    /// Runs the probe from where it is outside, for sandboxes on the host's root.
    pub(crate) fn probe_on_host(self, views: &[&str]) -> Self {
        self.on_host().run(["{probe}", "--probe", "{namespaces}"]).run(views)
    }

    /// Runs a shell script instead, in which `{bwrap}` can be used like any program.
    pub(crate) fn script(mut self, text: &str) -> Self {
        self.program = Program::Script(text.to_owned());
        self
    }

    pub(crate) fn root_only(mut self) -> Self {
        self.identities = vec![Identity::Root];
        self
    }

    pub(crate) fn user_only(mut self) -> Self {
        self.identities = vec![Identity::User];
        self
    }

    /// Only our side runs, because the reference cannot be asked; say why beside it.
    pub(crate) fn ours_only(mut self) -> Self {
        self.ours_only = true;
        self
    }

    /// The trial is ignored, with the reason, where this, or another one, fails.
    pub(crate) fn needs(mut self, check: fn() -> Result<()>) -> Self {
        self.needs.push(check);
        self
    }

    /// The trial is ignored where one of these programs is not installed; with `REQUIRED=1` it fails.
    pub(crate) fn tools(mut self, programs: &'static [&'static str]) -> Self {
        self.tools.extend(programs);
        self
    }

    /// The trial is ignored, for this reason, where `COMPAT_REFUSE` puts a filter on our side.
    pub(crate) fn unrefused(mut self, reason: &'static str) -> Self {
        self.unrefused = Some(reason);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    pub(crate) fn cwd(mut self, path: &str) -> Self {
        path.clone_into(&mut self.cwd);
        self
    }

    pub(crate) fn stdin(self, content: impl Into<Vec<u8>>) -> Self {
        self.fd(0, Fd::Pipe(content.into()))
    }

    /// Passes an fd at this number, which must be lower than 400.
    pub(crate) fn fd(mut self, number: RawFd, fd: Fd) -> Self {
        self.fds.insert(number, fd);
        self
    }

    pub(crate) fn tweak(mut self, tweak: Tweak) -> Self {
        if let Tweak::Close(fd) = tweak {
            self.fds.remove(&fd);
        }
        self.tweaks.push(tweak);
        self
    }

    /// Makes fds 0 and 1 a terminal that controls the session; what is written to it is the outcome's stdout.
    pub(crate) fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// Makes fds 0, 1 and 2 a terminal as people have it, with line editing, echo and signals from
    /// keys. `during` types by writing to fd 0, and reads the screen from fd 1.
    pub(crate) fn typed(mut self) -> Self {
        self.terminal = true;
        self.typed = true;
        self.fds.remove(&2);
        self
    }

    /// Fills the scratch directory; runs as the runner, and the files are given to the identity afterwards.
    pub(crate) fn setup(mut self, prepare: impl Fn(&mut Setup) -> Result<()> + Send + Sync + 'static) -> Self {
        self.prepare.push(Box::new(prepare));
        self
    }

    /// A directory in the scratch directory.
    pub(crate) fn dir(self, name: &'static str) -> Self {
        self.setup(move |s| s.dir(name))
    }

    /// A file in the scratch directory.
    pub(crate) fn file(self, name: &'static str, content: &'static str) -> Self {
        self.setup(move |s| s.file(name, content))
    }

    /// A symlink in the scratch directory; the target may hold `{dir}`.
    pub(crate) fn symlink(self, target: &'static str, name: &'static str) -> Self {
        self.setup(move |s| s.symlink(target, name))
    }

    /// Talks with the sandbox while it runs.
    pub(crate) fn during(mut self, during: impl Fn(&mut Live) -> Result<()> + Send + Sync + 'static) -> Self {
        self.during = Some(Box::new(during));
        self
    }

    /// What must be true of each side's outcome.
    pub(crate) fn claim(mut self, claim: impl Fn(&Outcome) -> Result<()> + Send + Sync + 'static) -> Self {
        self.claims.push(Box::new(claim));
        self
    }

    /// Status 0 and nothing on stderr.
    pub(crate) fn ok(self) -> Self {
        self.status(0).stderr("")
    }

    pub(crate) fn status(self, code: i32) -> Self {
        self.claim(move |o| o.expect_exit(Exit::Code(code)))
    }

    pub(crate) fn signal(self, signal: i32) -> Self {
        self.claim(move |o| o.expect_exit(Exit::Signal(signal)))
    }

    pub(crate) fn stdout(self, text: &str) -> Self {
        let text = text.to_owned();
        self.claim(move |o| o.expect_text("stdout", &o.stdout, &text))
    }

    pub(crate) fn stderr(self, text: &str) -> Self {
        let text = text.to_owned();
        self.claim(move |o| o.expect_text("stderr", &o.stderr, &text))
    }

    /// What was written to a captured fd.
    pub(crate) fn wrote(self, fd: RawFd, text: &str) -> Self {
        let text = text.to_owned();
        self.claim(move |o| o.expect_text(&format!("fd {fd}"), o.fd(fd), &text))
    }

    /// Status 1, nothing on stdout, and exactly this line on stderr.
    pub(crate) fn fails(self, line: &str) -> Self {
        self.status(1).stdout("").stderr(&format!("{line}\n"))
    }

    /// Status 1, nothing on stdout, and stderr begins with this.
    pub(crate) fn fails_beginning(self, start: &str) -> Self {
        let start = start.to_owned();
        self.status(1).stdout("").claim(move |o| {
            if o.stderr.starts_with(&o.expand(&start)) { Ok(()) } else { Err(format!("stderr does not begin with {start:?}")) }
        })
    }

    /// Blurs a field before the sides are compared, when a difference means nothing; say why beside it.
    pub(crate) fn blur(mut self, field: Field, blur: Blur) -> Self {
        self.blurs.push((field, blur));
        self
    }

    /// Adds every word of what is given to `bwrap`.
    pub(crate) fn add_words<'a>(&'a self, words: &mut HashSet<&'a [u8]>) {
        let split = |bytes: &'a [u8]| bytes.split(|b| *b == 0 || b.is_ascii_whitespace());
        match &self.program {
            Program::Bwrap { options, command } => words.extend(options.iter().chain(command).map(|w| w.as_bytes())),
            Program::Script(text) => words.extend(split(text.as_bytes())),
        }
        words.extend(self.fds.values().filter_map(Fd::content).flat_map(split));
    }
}
