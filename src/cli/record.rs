//! What an option records: the [`Config`] as it grows, and what waits for the next option.
//!
//! Options only record; the exceptions are the reference's: `--args` and `--add-seccomp-fd` read
//! their fd when they are met.

use std::ffi::OsString;
use std::os::fd::{AsFd, RawFd};

use lexopt::Parser;
use nix::unistd::{Whence, lseek};

use crate::cli::profiles::Profiles;
use crate::cli::values::Values;
use crate::config::glob::Pattern;
use crate::config::op::{
    Access, Devices, Extra, Missing, Op, Source, Upper, components, is_nameless,
};
use crate::config::{Config, EnvEdit};
use crate::confine::caps::CapEdit;
use crate::confine::seccomp;
use crate::error::{Context, Error, Result, join};
use crate::fds::Inherited;
use crate::kernel::files;
use crate::word::{self, Word};

/// The maximum number of words, including those of `--args`.
const MAX_ARGS: usize = 9000;

/// The error about an `--overlay-src` that is followed by no overlay, or by nothing.
pub(crate) const OVERLAY_RULE: &str = "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `--check-host`
    CheckHost,
    /// `--profile @list`
    Profiles,
    /// A sandbox, with the fds that the options name.
    Run(Box<Config>, Inherited),
}

/// The kinds of option that matter to the modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Leaves modifiers alone and must not come between one and its option.
    None,
    /// `--perms`
    Perms,
    /// `--size`
    Size,
    /// `--overlay-src`
    Layer,
    /// `--noexec` and `--nosymfollow`
    Flag,
}

/// The state between two options.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// What was recorded so far.
    pub(crate) config: Config,
    /// The caller's fds.
    pub(crate) inherited: Inherited,
    /// A `--perms` that waits for the option it serves.
    perms: Option<u32>,
    /// A `--size` that waits for its `--tmpfs`.
    size: Option<u64>,
    /// A `--noexec` that waits for its mount.
    noexec: Option<()>,
    /// A `--nosymfollow` that waits for its mount.
    nosymfollow: Option<()>,
    /// The `--overlay-src` layers that wait for their overlay.
    pub(crate) layers: Vec<Word>,
    /// How many words were seen, for the limit.
    words: usize,
    /// Whether `--dry-run` or `--dry-run-json` is among the options, at any position.
    pub(crate) is_dry: bool,
    /// Whether the words come from `--args`.
    in_file: bool,
    /// The words of an `--args` that have not been gone through yet.
    from_file: Option<Parser>,
    /// The profiles that are being read.
    pub(crate) profiles: Profiles,
    /// `--help` or `--version`, which end the command line.
    pub(crate) request: Option<Request>,
}

impl Recorder {
    /// What was asked for, and the command.
    pub(crate) fn finish(mut self, command: Vec<Word>) -> Result<Request> {
        if let Some(request) = self.request {
            return Ok(request);
        }
        self.check_overlay_is_used()?;
        self.check_flags_are_used()?;
        self.config.command = command;
        Ok(Request::Run(Box::new(self.config), self.inherited))
    }

    /// A modifier must be followed by the option it modifies or by another modifier of the same.
    pub(crate) fn check_pending(&self, just_seen: Pending) -> Result<()> {
        let modifier = matches!(just_seen, Pending::Perms | Pending::Size | Pending::Flag);
        if self.perms.is_some() && !modifier {
            return Err(Error::new("--perms must be followed by an option that creates a file"));
        }
        if self.size.is_some() && !modifier {
            return Err(Error::new("--size must be followed by --tmpfs"));
        }
        if !modifier && just_seen != Pending::Layer {
            self.check_flags_are_used()?;
        }
        // The flags of an overlay can precede or follow its layers.
        match just_seen {
            Pending::Layer | Pending::Flag => Ok(()),
            _ => self.check_overlay_is_used(),
        }
    }

    /// A flag that is lost is protection that is lost: here the end of the options is an error too.
    fn check_flags_are_used(&self) -> Result<()> {
        let option = match (self.noexec, self.nosymfollow) {
            (None, None) => return Ok(()),
            (Some(()), _) => "--noexec",
            (None, Some(())) => "--nosymfollow",
        };
        Err(Error::new(format!("{option} must be followed by a bind, --tmpfs or an overlay")))
    }

    fn check_overlay_is_used(&self) -> Result<()> {
        if self.layers.is_empty() {
            return Ok(());
        }
        Err(Error::new(OVERLAY_RULE))
    }

    /// Counts words that are about to be read.
    pub(crate) fn count(&mut self, words: usize) -> Result<()> {
        self.words += words;
        if self.words > MAX_ARGS {
            return Err(Error::new(format!("Exceeded maximum number of arguments {MAX_ARGS}")));
        }
        // Long command lines are mostly binds of three words. Reserving a place for each avoids
        // moving them later.
        self.config.ops.reserve(words / 3);
        Ok(())
    }

    /// `--args FD`: options from a file. Words after the options are not a command there and count
    /// for nothing.
    pub(crate) fn args_from(&mut self, fd: RawFd) -> Result<()> {
        if self.in_file {
            return Err(Error::new("--args not supported in arguments file"));
        }
        let failure = "Can't read --args data";
        let file = self.inherited.take_now(fd).context(failure)?;
        let data = files::read_all(file.as_fd(), usize::MAX).context(failure)?;
        if self.is_dry
            && let Ok(length) = i64::try_from(data.len())
        {
            // Seek back, where that is possible, so that a dry run leaves the content unread.
            _ = lseek(file, -length, Whence::SeekCur);
        }
        // The NUL byte after the last word may be missing.
        let words = data.split_inclusive(|&byte| byte == 0).take(MAX_ARGS + 1);
        let words: Vec<OsString> =
            words.map(|word| word::unread(word.strip_suffix(&[0]).unwrap_or(word))).collect();
        self.count(words.len())?;
        self.from_file = Some(Parser::from_args(words));
        Ok(())
    }

    /// Goes through the words of an `--args` that has just been read.
    pub(crate) fn read_file(
        &mut self,
        read: impl FnOnce(&mut Self, &mut Parser) -> Result<()>,
    ) -> Result<()> {
        let Some(mut words) = self.from_file.take() else { return Ok(()) };
        self.in_file = true;
        read(self, &mut words)?;
        self.in_file = false;
        Ok(())
    }

    /// Ends the command line with something else than a sandbox.
    pub(crate) fn request(&mut self, request: Request) {
        self.request = Some(request);
    }

    /// Records an operation.
    pub(crate) fn push(&mut self, op: Op) {
        if let Some(place) = self.profiles.place() {
            self.config.origins.resize(self.config.ops.len(), None);
            self.config.origins.push(Some(place));
        }
        self.config.ops.push(op);
    }

    /// `--profile FILE`, whose lines are read next.
    pub(crate) fn profile(&mut self, values: &mut Values<'_>) -> Result<()> {
        let name = values.path()?;
        // A modifier such as --perms must not apply to an option in another file.
        self.check_pending(Pending::None)?;
        if name != c"@list" {
            let name = self.profiles.open(name)?;
            self.config.profiles.push(name);
            return Ok(());
        }
        if self.profiles.is_inside() {
            return Err(Error::new("--profile @list cannot be used in a profile"));
        }
        self.request(Request::Profiles);
        Ok(())
    }

    /// `--same` and its relatives.
    pub(crate) fn same(
        &mut self,
        values: &mut Values<'_>,
        access: Access,
        missing: Missing,
    ) -> Result<()> {
        let path = values.path()?;
        if !path.to_bytes().starts_with(b"/") {
            return Err(Error::about(
                &format!("{} takes an absolute path, not", values.option),
                path,
            ));
        }
        let extra = self.take_extra();
        if is_nameless(path.to_bytes()) {
            let (source, devices) = (Source::Path(c"/"), Devices::Refused);
            self.push(Op::Bind { source, dest: c"/", access, devices, missing, extra });
        } else {
            self.push(Op::Same { path, access, missing, extra });
        }
        Ok(())
    }

    /// `--mask`
    pub(crate) fn mask(&mut self, values: &mut Values<'_>) -> Result<()> {
        let path = values.path()?;
        if is_nameless(path.to_bytes()) {
            return Err(Error::about("--mask cannot hide", c"/"));
        }
        self.push(Op::Mask(path));
        Ok(())
    }

    /// `--tar`: the first one at a destination makes a tmpfs there, for which the modifiers are.
    pub(crate) fn tar(&mut self, values: &mut Values<'_>) -> Result<()> {
        let (fd, dest) = (values.fd()?, values.path()?);
        let (perms, size, extra) = (self.perms.take(), self.size.take(), self.take_extra());
        let parts = components(dest);
        let is_same = |op: &Op| matches!(op, Op::Tar { dest, .. } if components(dest) == parts);
        let is_upper = self.config.ops.iter().any(is_same);
        if is_upper && (perms.is_some() || size.is_some() || extra != Extra::default()) {
            return Err(Error::new("Modifiers can precede only the first --tar of a DEST"));
        }
        self.push(Op::Tar { fd, dest, perms, size, extra, is_upper });
        Ok(())
    }

    /// `--mask-glob`. Patterns that follow each other are looked for in one walk.
    pub(crate) fn mask_glob(&mut self, values: &mut Values<'_>) -> Result<()> {
        let text = values.path()?;
        let pattern = Pattern::parse(text).map_err(|problem| {
            Error::new([join("Invalid pattern", text), b": ".to_vec(), problem.into()].concat())
        })?;
        if let Some(Op::MaskGlob(patterns)) = self.config.ops.last_mut() {
            patterns.push(pattern);
        } else {
            self.push(Op::MaskGlob(vec![pattern]));
        }
        Ok(())
    }

    /// `--follow-symlinks`
    pub(crate) fn follow_symlinks(&mut self) {
        self.config.follow_from.get_or_insert(self.config.ops.len());
    }

    /// `--perms`
    pub(crate) fn set_perms(&mut self, values: &mut Values<'_>) -> Result<()> {
        values.once(&mut self.perms, Values::octal)
    }

    /// `--size`
    pub(crate) fn set_size(&mut self, values: &mut Values<'_>) -> Result<()> {
        values.once(&mut self.size, Values::size)
    }

    /// The mode for the operation at hand: that of the `--perms` before it, or the default.
    pub(crate) fn take_perms(&mut self, default: u32) -> u32 {
        self.perms.take().unwrap_or(default)
    }

    /// The size for the tmpfs at hand.
    pub(crate) fn take_size(&mut self) -> Option<u64> {
        self.size.take()
    }

    /// `--noexec`
    pub(crate) fn set_noexec(&mut self, values: &mut Values<'_>) -> Result<()> {
        values.once(&mut self.noexec, |_| Ok(()))
    }

    /// `--nosymfollow`
    pub(crate) fn set_nosymfollow(&mut self, values: &mut Values<'_>) -> Result<()> {
        values.once(&mut self.nosymfollow, |_| Ok(()))
    }

    /// The flags for the mount at hand.
    pub(crate) fn take_extra(&mut self) -> Extra {
        Extra {
            noexec: self.noexec.take().is_some(),
            nosymfollow: self.nosymfollow.take().is_some(),
        }
    }

    /// Records an overlay.
    pub(crate) fn push_overlay(&mut self, upper: Upper, layers: Vec<Word>, dest: Word) {
        let extra = self.take_extra();
        self.push(Op::Overlay { upper, layers, dest, extra });
    }

    /// The layers for the overlay at hand, of which it needs at least `least`.
    pub(crate) fn take_layers(&mut self, values: &Values<'_>, least: usize) -> Result<Vec<Word>> {
        if self.layers.len() < least {
            let number = if least == 1 { "one" } else { "two" };
            return Err(Error::new(format!(
                "{} requires at least {number} --overlay-src",
                values.option
            )));
        }
        Ok(std::mem::take(&mut self.layers))
    }

    /// `--cap-add` and `--cap-drop`
    pub(crate) fn edit_caps(&mut self, edit: CapEdit) {
        self.config.caps.push(edit);
    }

    /// `--setenv`
    pub(crate) fn set_variable(&mut self, values: &mut Values<'_>) -> Result<()> {
        let name = variable(values.text(), "setenv failed")?;
        self.config.environment.push(EnvEdit::Set(name, values.text()));
        Ok(())
    }

    /// `--unsetenv`
    pub(crate) fn unset_variable(&mut self, values: &mut Values<'_>) -> Result<()> {
        let name = variable(values.text(), "unsetenv failed")?;
        self.config.environment.push(EnvEdit::Unset(name));
        Ok(())
    }

    /// `--seccomp FD`, whose program is read just before COMMAND.
    pub(crate) fn seccomp(&mut self, values: &mut Values<'_>) -> Result<()> {
        if !self.config.seccomp_programs.is_empty() || !self.config.fds.unread.is_empty() {
            return Err(Error::new("--seccomp cannot be combined with --add-seccomp-fd"));
        }
        values.last_wins(&mut self.config.fds.seccomp, Values::fd)
    }

    /// `--add-seccomp-fd FD`, whose program is read at once.
    pub(crate) fn add_seccomp(&mut self, values: &mut Values<'_>) -> Result<()> {
        if self.config.fds.seccomp.is_some() {
            return Err(Error::new("--add-seccomp-fd cannot be combined with --seccomp"));
        }
        let fd = values.fd()?;
        if self.is_dry {
            self.config.fds.unread.push(fd);
            return Ok(());
        }
        let file = self.inherited.take_now(fd).context("Can't read seccomp data")?;
        let program = seccomp::read(file.as_fd())?;
        self.config.seccomp_programs.push(program);
        Ok(())
    }
}

/// A variable's name as setenv(3) wants it.
fn variable(name: Word, failure: &str) -> Result<Word> {
    if name.is_empty() || name.to_bytes().contains(&b'=') {
        return Err(Error::new(failure));
    }
    Ok(name)
}
