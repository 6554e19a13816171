//! **The table**: one row per option, with its operands, its texts and what it records.
//!
//! The parser, `--help`, the man page and the completions of three shells all come from here, so an
//! option is added in one place. The names are bubblewrap's interface; every sentence is ours.

use std::ffi::{CStr, OsStr};
use std::fmt::Write as _;

use crate::cli::record::{OVERLAY_RULE, Pending, Recorder, Request};
use crate::cli::values::Values;
use crate::config::op::{Access, Devices, Missing, Op, Source, Upper};
use crate::config::{EnvEdit, Want};
use crate::confine::apparmor::Profile;
use crate::confine::caps::CapEdit;
use crate::confine::cgroup::Setting;
use crate::confine::limits::Limit;
use crate::confine::seccomp::policy::Policy;
use crate::confine::selinux;
use crate::error::{Error, Result};
use crate::links::timeout::Timeout;
use crate::word::Word;

/// What a value is: for the checks on the table and for what a shell offers to complete it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A path on the host.
    HostPath,
    /// A profile: a path on the host, or the name of a built-in one.
    Profile,
    /// A path inside the sandbox.
    Dest,
    /// The number of an open file.
    Fd,
    /// A capability's name.
    Capability,
    /// An environment variable's name.
    Variable,
    /// Anything else.
    Text,
}

/// An operand: the word that stands for it in texts, and what it is.
pub(crate) type Operand = (&'static str, Kind);

/// The parts of the option list, in the order of the man page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// About the command line itself.
    General,
    /// Namespaces and ids.
    Namespaces,
    /// What COMMAND inherits.
    Environment,
    /// How the sandbox is watched.
    Monitoring,
    /// Mounts and files.
    Filesystem,
    /// What COMMAND may do.
    Privileges,
    /// How processes start and end.
    Lifecycle,
    /// What bubblewrap does not have.
    Beyond,
}

impl Section {
    /// Every section, in order.
    #[cfg(test)]
    pub(crate) const ALL: [(Self, &'static str); 8] = [
        (Self::General, "General"),
        (Self::Namespaces, "Namespaces and ids"),
        (Self::Environment, "Environment"),
        (Self::Filesystem, "File system"),
        (Self::Privileges, "Privileges"),
        (Self::Monitoring, "Watching the sandbox"),
        (Self::Lifecycle, "Processes"),
        (Self::Beyond, BEYOND),
    ];
}

/// What the part is called that bubblewrap does not have.
const BEYOND: &str = "Beyond bubblewrap";

/// Where an option may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In profiles too, unless it takes the number of an open file.
    Anywhere,
    /// Not in a profile.
    CommandLine,
}

/// One option.
pub(crate) struct Row {
    /// The exact word.
    pub(crate) name: &'static str,
    /// What follows it.
    pub(crate) operands: &'static [Operand],
    /// Where the man page lists it.
    pub(crate) section: Section,
    /// Where it may stand.
    pub(crate) place: Place,
    /// One line for `--help`.
    pub(crate) help: &'static str,
    /// The rest of what there is to say, for the man page.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "only the man page, which a test renders, tells the rest")
    )]
    pub(crate) man: &'static str,
    /// How it takes part in the rules about modifiers.
    pub(crate) pending: Pending,
    /// Puts what it says into the `Config`.
    pub(crate) record: fn(&mut Recorder, &mut Values<'_>) -> Result<()>,
}

impl Row {
    /// What is said when values are missing, in the reference's words.
    pub(crate) fn arity_error(&self) -> String {
        if self.name == "--overlay-src" {
            return OVERLAY_RULE.to_owned();
        }
        let name = if self.name == "--ro-bind-fd" { "--bind-fd" } else { self.name };
        let values = match (self.operands.len(), self.name) {
            (1, "--argv0" | "--chdir" | "--remount-ro") => "one argument",
            (1, _) => "an argument",
            (2, _) => "two arguments",
            _ => "three arguments",
        };
        format!("{name} takes {values}")
    }

    /// Refuses an option that is for the command line alone.
    pub(crate) fn check_in_profile(&self) -> Result<()> {
        if self.operands.iter().any(|(_, kind)| *kind == Kind::Fd) {
            return Err(Error::new(format!(
                "{} takes the number of an open file and cannot be used in a profile",
                self.name
            )));
        }
        match self.place {
            Place::Anywhere => Ok(()),
            Place::CommandLine => {
                Err(Error::new(format!("{} cannot be used in a profile", self.name)))
            }
        }
    }

    /// The option with its operands, as the texts show it.
    pub(crate) fn synopsis(&self) -> String {
        let mut text = self.name.to_owned();
        for (operand, _) in self.operands {
            _ = write!(text, " {operand}");
        }
        text
    }
}

/// The row of an exact option word.
pub(crate) fn find(name: &OsStr) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| name == row.name)
}

/// The usage: what `--help` prints on stdout and a missing command on stderr.
pub(crate) fn usage(program: &CStr) -> Vec<u8> {
    let mut text = b"usage: ".to_vec();
    text.extend_from_slice(program.to_bytes());
    text.extend_from_slice(b" [OPTIONS...] [--] COMMAND [ARGS...]\n\n");
    let mut section = Section::General;
    for row in OPTIONS {
        if row.section != section && row.section == Section::Beyond {
            text.extend_from_slice(format!("\n{BEYOND}:\n").as_bytes());
        }
        section = row.section;
        text.extend_from_slice(format!("    {:<28} {}\n", row.synopsis(), row.help).as_bytes());
    }
    text
}

/// A bind's source and destination, and the operation made of them.
fn bind(
    recorder: &mut Recorder,
    values: &mut Values<'_>,
    access: Access,
    devices: Devices,
    missing: Missing,
) -> Result<()> {
    let source = Source::Path(values.path()?);
    let dest = values.path()?;
    let extra = recorder.take_extra();
    recorder.push(Op::Bind { source, dest, access, devices, missing, extra });
    Ok(())
}

/// A bind of an open file or directory.
fn bind_fd(recorder: &mut Recorder, values: &mut Values<'_>, access: Access) -> Result<()> {
    let source = Source::Fd(values.fd()?);
    let dest = values.path()?;
    let (devices, missing) = (Devices::Refused, Missing::Fatal);
    let extra = recorder.take_extra();
    recorder.push(Op::Bind { source, dest, access, devices, missing, extra });
    Ok(())
}

/// A file whose content comes from an fd and that is bound into place.
fn bind_data(recorder: &mut Recorder, values: &mut Values<'_>, access: Access) -> Result<()> {
    let fd = values.fd()?;
    let dest = values.path()?;
    let perms = recorder.take_perms(0o600);
    let extra = recorder.take_extra();
    recorder.push(Op::Data { fd, dest, perms, access, extra });
    Ok(())
}

/// Asks for what `--unshare-all` asks for. A namespace that is already required stays so.
fn unshare_all(recorder: &mut Recorder) {
    let namespaces = &mut recorder.config.namespaces;
    for soft in [&mut namespaces.user, &mut namespaces.cgroup] {
        if *soft == Want::No {
            *soft = Want::Try;
        }
    }
    for hard in [&mut namespaces.ipc, &mut namespaces.pid, &mut namespaces.net, &mut namespaces.uts]
    {
        *hard = Want::Yes;
    }
}

/// A label that the policy knows. It is an error on a system that has none.
fn label(values: &mut Values<'_>) -> Result<Word> {
    if !selinux::selinux_enabled() {
        return Err(Error::new("labeling not supported on this system"));
    }
    let label = values.text();
    selinux::check(label)?;
    Ok(label)
}

const SRC: Operand = ("SRC", Kind::HostPath);
const DEST: Operand = ("DEST", Kind::Dest);
const FD: Operand = ("FD", Kind::Fd);
/// A path that is the same on the host and in the sandbox.
const PATH: Operand = ("PATH", Kind::HostPath);
const OCTAL: Operand = ("OCTAL", Kind::Text);

/// A row. The sections' rows follow each other in the order of `--help`. One of `Beyond` says where
/// it may stand; those of bubblewrap may stand anywhere, unless they say otherwise.
macro_rules! row {
    (Beyond, $name:literal, $($rest:tt)*) => {
        compile_error!(concat!(
            "say whether ", $name, " may stand in a profile: row!(Beyond, Anywhere, …) or row!(Beyond, CommandLine, …)"
        ))
    };
    ($section:ident, $name:literal, $($rest:tt)*) => {
        row!($section, Anywhere, $name, $($rest)*)
    };
    ($section:ident, $place:ident, $name:literal, [$($operand:expr),*], $help:literal, $man:literal, $record:expr) => {
        row!($section, $place, $name, [$($operand),*], $help, $man, None, $record)
    };
    ($section:ident, $place:ident, $name:literal, [$($operand:expr),*], $help:literal, $man:literal, $pending:ident, $record:expr) => {
        Row {
            name: $name,
            operands: &[$($operand),*],
            section: Section::$section,
            place: Place::$place,
            help: $help,
            man: $man,
            pending: Pending::$pending,
            record: $record,
        }
    };
}

/// Every option, in the order of `--help`.
#[rustfmt::skip] // A row is what it says in as few lines as it takes.
pub(crate) const OPTIONS: &[Row] = &[
    row!(General, CommandLine, "--help", [], "Show this list",
        "The list goes to standard output and the exit status is 0.",
        |p, _| { p.request(Request::Help); Ok(()) }),
    row!(General, CommandLine, "--version", [], "Show the version",
        "It is the version of bubblewrap whose behaviour this is, and nothing else: build systems \
         read it.",
        |p, _| { p.request(Request::Version); Ok(()) }),
    row!(General, "--args", [FD], "Read more options from FD, each ended by a NUL byte",
        "The options are used at this point of the command line. A final NUL byte may be missing. \
         --args cannot stand in such a file, but may be repeated on the command line. Words after \
         the options are ignored: COMMAND always comes from the command line.",
        |p, v| { let fd = v.fd()?; p.args_from(fd) }),
    row!(Environment, "--argv0", [("VALUE", Kind::Text)], "Start COMMAND with VALUE as its argv[0]",
        "Without it COMMAND's own name is used. It may be given once.",
        |p, v| match p.config.argv0.replace(v.text()) {
            None => Ok(()),
            Some(_) => Err(Error::new("--argv0 used multiple times")),
        }),
    row!(General, "--level-prefix", [], "Begin diagnostics with their syslog level, like <3>",
        "Errors begin with <3> and warnings with <4>, from this option on. A logger such as \
         systemd-cat(1) understands that.",
        |_, _| { crate::error::use_level_prefix(); Ok(()) }),
    row!(Namespaces, "--unshare-all", [], "Make every namespace new that can be",
        "The same as --unshare-user-try --unshare-ipc --unshare-pid --unshare-net --unshare-uts \
         --unshare-cgroup-try.",
        |p, _| { unshare_all(p); Ok(()) }),
    row!(Namespaces, "--share-net", [], "Keep the caller's network namespace after --unshare-all",
        "It takes back an earlier --unshare-all or --unshare-net; every other namespace stays as \
         it is.",
        |p, _| { p.config.namespaces.net = Want::No; Ok(()) }),
    row!(Namespaces, "--unshare-user", [], "Make a new user namespace (implied for ordinary users)",
        "An ordinary user always gets one, unless --userns names another: nothing of the set-up is \
         allowed without.",
        |p, _| { p.config.namespaces.user = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-user-try", [],
        "Make a new user namespace if the kernel offers them",
        "Where user namespaces are switched off, root goes on without one.",
        |p, _| {
            if p.config.namespaces.user == Want::No { p.config.namespaces.user = Want::Try; }
            Ok(())
        }),
    row!(Namespaces, "--unshare-ipc", [], "Make a new ipc namespace",
        "System V IPC and POSIX message queues are the sandbox's own.",
        |p, _| { p.config.namespaces.ipc = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-pid", [], "Make a new pid namespace",
        "Processes outside cannot be seen or signalled. PID 1 is a small process of bwrap's own \
         that reaps, unless --as-pid-1 is given.",
        |p, _| { p.config.namespaces.pid = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-net", [], "Make a new network namespace with nothing but loopback",
        "The loopback interface is up and has its addresses.",
        |p, _| { p.config.namespaces.net = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-uts", [], "Make a new uts namespace",
        "The host name is the sandbox's own, see --hostname.",
        |p, _| { p.config.namespaces.uts = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-cgroup", [], "Make a new cgroup namespace",
        "It is an error if the kernel has none.",
        |p, _| { p.config.namespaces.cgroup = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-cgroup-try", [],
        "Make a new cgroup namespace if the kernel has them",
        "",
        |p, _| {
            if p.config.namespaces.cgroup == Want::No { p.config.namespaces.cgroup = Want::Try; }
            Ok(())
        }),
    row!(Namespaces, "--userns", [FD], "Join the user namespace FD instead of making one",
        "FD is an open /proc/PID/ns/user. Not together with --unshare-user.",
        |p, v| v.last_wins(&mut p.config.fds.userns, Values::fd)),
    row!(Namespaces, "--userns2", [FD], "Move on to the user namespace FD once the set-up is done",
        "FD has to be a descendant of the one that was joined or made. COMMAND runs in it.",
        |p, v| v.last_wins(&mut p.config.fds.userns2, Values::fd)),
    row!(Namespaces, "--disable-userns", [], "Let nothing in the sandbox make user namespaces",
        "The limit of the sandbox's user namespace is set to 1 and used up by one more, in which \
         COMMAND runs. Needs --unshare-user. Not together with --userns-block-fd.",
        |p, _| { p.config.switches.disable_userns = true; Ok(()) }),
    row!(Namespaces, "--assert-userns-disabled", [],
        "Stop if user namespaces can still be made in the sandbox",
        "It is found out by trying. For use with --userns, where --disable-userns cannot be given.",
        |p, _| { p.config.switches.assert_userns_disabled = true; Ok(()) }),
    row!(Namespaces, "--pidns", [FD], "Join the pid namespace FD",
        "FD is an open /proc/PID/ns/pid. With --unshare-pid the new pid namespace is a child of \
         it.",
        |p, v| v.last_wins(&mut p.config.fds.pidns, Values::fd)),
    row!(Namespaces, "--uid", [("UID", Kind::Text)], "Be UID in the sandbox",
        "Needs a user namespace of the sandbox's own, unless it is the real user id.",
        |p, v| v.last_wins(&mut p.config.uid, |v| v.id("uid"))),
    row!(Namespaces, "--gid", [("GID", Kind::Text)], "Be GID in the sandbox",
        "Needs a user namespace of the sandbox's own, unless it is the real group id.",
        |p, v| v.last_wins(&mut p.config.gid, |v| v.id("gid"))),
    row!(Namespaces, "--hostname", [("NAME", Kind::Text)], "Call the sandbox's host NAME",
        "Needs --unshare-uts.",
        |p, v| v.last_wins(&mut p.config.hostname, |v| Ok(v.text()))),
    row!(Environment, "--chdir", [("DIR", Kind::Dest)], "Start COMMAND in DIR",
        "Without it COMMAND starts in the caller's working directory if the sandbox has it, else \
         in $HOME, else in /. PWD is set to it.",
        |p, v| v.last_wins(&mut p.config.chdir, Values::path)),
    row!(Environment, "--clearenv", [], "Remove every environment variable",
        "PWD is set all the same. Later --setenv options apply.",
        |p, _| { p.config.environment.push(EnvEdit::Clear); Ok(()) }),
    row!(Environment, "--setenv", [("VAR", Kind::Variable), ("VALUE", Kind::Text)],
        "Set an environment variable",
        "A PATH that is set here also decides where COMMAND is found.",
        |p, v| p.set_variable(v)),
    row!(Environment, "--unsetenv", [("VAR", Kind::Variable)], "Remove an environment variable",
        "",
        |p, v| p.unset_variable(v)),
    row!(Lifecycle, "--lock-file", [DEST], "Hold a read lock on DEST while the sandbox lives",
        "The lock is a record lock (see fcntl(2)) on a file inside the sandbox, held by its PID 1. \
         It may be repeated. Not together with --as-pid-1.",
        |p, v| { let dest = v.path()?; p.config.lock_files.push(dest); Ok(()) }),
    row!(Lifecycle, "--sync-fd", [FD], "Keep FD open while the sandbox lives",
        "It is held by the sandbox's PID 1 and not open in COMMAND, unless --as-pid-1 is given. It \
         may be repeated.",
        |p, v| { let fd = v.fd()?; p.config.fds.sync.push(fd); Ok(()) }),
    row!(Filesystem, "--bind", [SRC, DEST], "Show the host's SRC at DEST, writable",
        "The mount is recursive, and so are its flags: nosuid and nodev are added to every mount \
         below SRC, none is taken away.",
        |p, v| bind(p, v, Access::ReadWrite, Devices::Refused, Missing::Fatal)),
    row!(Filesystem, "--bind-try", [SRC, DEST], "Like --bind, but nothing if SRC does not exist",
        "",
        |p, v| bind(p, v, Access::ReadWrite, Devices::Refused, Missing::Skip )),
    row!(Filesystem, "--dev-bind", [SRC, DEST], "Like --bind, with access to device nodes",
        "",
        |p, v| bind(p, v, Access::ReadWrite, Devices::Allowed, Missing::Fatal )),
    row!(Filesystem, "--dev-bind-try", [SRC, DEST],
        "Like --dev-bind, but nothing if SRC does not exist",
        "",
        |p, v| bind(p, v, Access::ReadWrite, Devices::Allowed, Missing::Skip )),
    row!(Filesystem, "--ro-bind", [SRC, DEST], "Show the host's SRC at DEST, read-only",
        "Every mount below SRC is read-only too.",
        |p, v| bind(p, v, Access::ReadOnly, Devices::Refused, Missing::Fatal)),
    row!(Filesystem, "--ro-bind-try", [SRC, DEST],
        "Like --ro-bind, but nothing if SRC does not exist",
        "",
        |p, v| bind(p, v, Access::ReadOnly, Devices::Refused, Missing::Skip )),
    row!(Filesystem, "--bind-fd", [FD, DEST],
        "Show the open file or directory FD at DEST, writable",
        "What is mounted is checked to be the very file that FD is, so that a path swapped in \
         between is an error. An O_PATH fd will do.",
        |p, v| bind_fd(p, v, Access::ReadWrite)),
    row!(Filesystem, "--ro-bind-fd", [FD, DEST],
        "Show the open file or directory FD at DEST, read-only",
        "Otherwise like --bind-fd.",
        |p, v| bind_fd(p, v, Access::ReadOnly)),
    row!(Filesystem, "--remount-ro", [DEST], "Make the mount at DEST read-only",
        "DEST has to be a mount point. Mounts below it keep their flags.",
        |p, v| { let dest = v.path()?; p.push(Op::RemountRo(dest)); Ok(()) }),
    row!(Filesystem, "--overlay-src", [SRC], "Add SRC as a layer of the overlay that follows",
        "The first one is the lowest. Only another --overlay-src or an overlay option may follow.",
        Layer, |p, v| { let layer = v.path()?; p.layers.push(layer); Ok(()) }),
    row!(Filesystem, "--overlay", [("RWSRC", Kind::HostPath), ("WORKDIR", Kind::HostPath), DEST],
        "Mount an overlay whose changes go to RWSRC",
        "RWSRC is the topmost layer. WORKDIR is an empty directory on the same file system. Needs \
         at least one --overlay-src and Linux 5.11 for ordinary users.",
        |p, v| {
            let layers = p.take_layers(v, 1)?;
            let upper = Upper::Host { rwsrc: v.path()?, workdir: v.path()? };
            let dest = v.path()?;
            p.push_overlay(upper, layers, dest);
            Ok(())
        }),
    row!(Filesystem, "--tmp-overlay", [DEST],
        "Mount an overlay whose changes go to memory and are lost",
        "Needs at least one --overlay-src.",
        |p, v| {
            let layers = p.take_layers(v, 1)?;
            let dest = v.path()?;
            p.push_overlay(Upper::Tmp, layers, dest);
            Ok(())
        }),
    row!(Filesystem, "--ro-overlay", [DEST], "Mount an overlay read-only",
        "Needs at least two --overlay-src.",
        |p, v| {
            let layers = p.take_layers(v, 2)?;
            let dest = v.path()?;
            p.push_overlay(Upper::None, layers, dest);
            Ok(())
        }),
    row!(Privileges, "--exec-label", [("LABEL", Kind::Text)], "Run COMMAND with this SELinux label",
        "An error without SELinux, and if the policy does not know LABEL. no_new_privs is set, so \
         the policy has to allow nnp_transition to it; where COMMAND is on a nosuid mount, as all \
         binds are, nosuid_transition as well.",
        |p, v| v.last_wins(&mut p.config.exec_label, label)),
    row!(Privileges, "--file-label", [("LABEL", Kind::Text)],
        "Give files that are made this SELinux label",
        "All that --dir, --file, --symlink, --bind-data and the mount points make, and all there \
         is on a tmpfs. An error without SELinux, and if the policy does not know LABEL.",
        |p, v| v.last_wins(&mut p.config.file_label, label)),
    row!(Filesystem, "--proc", [DEST], "Mount a procfs at DEST",
        "A new one with --unshare-pid or --pidns, else the host's. Of its parts that steer the \
         kernel, sys, sysrq-trigger, irq and bus are read-only if they themselves could be written \
         to. If it is root who calls, the files in them are root's, whatever the user namespace: \
         they are read-only too, and so are acpi, asound, driver, dynamic_debug, fs and scsi, \
         unless COMMAND has CAP_SYS_ADMIN over the sandbox's mounts and could make them writable \
         again.",
        |p, v| { let dest = v.path()?; p.push(Op::Proc(dest)); Ok(()) }),
    row!(Filesystem, "--dev", [DEST], "Mount a minimal /dev at DEST",
        "The nodes null, zero, full, random, urandom and tty are the host's; pts is new; shm is an \
         empty directory. There is a console if standard output is a terminal.",
        |p, v| { let dest = v.path()?; p.push(Op::Dev(dest)); Ok(()) }),
    row!(Filesystem, "--tmpfs", [DEST], "Mount an empty tmpfs at DEST",
        "Its mode is 0755 or that of a --perms before it, its size that of a --size before it.",
        |p, v| {
            let dest = v.path()?;
            let (perms, size, extra) = (p.take_perms(0o755), p.take_size(), p.take_extra());
            p.push(Op::Tmpfs { dest, perms, size, extra });
            Ok(())
        }),
    row!(Filesystem, "--mqueue", [DEST], "Mount the POSIX message queues at DEST",
        "See mq_overview(7). An ordinary user needs --unshare-ipc.",
        |p, v| { let dest = v.path()?; p.push(Op::Mqueue(dest)); Ok(()) }),
    row!(Filesystem, "--dir", [DEST], "Make a directory at DEST",
        "Its mode is 0755 or that of a --perms before it. One that exists is left as it is.",
        |p, v| {
            let dest = v.path()?;
            let perms = p.take_perms(0o755);
            p.push(Op::Dir { dest, perms });
            Ok(())
        }),
    row!(Filesystem, "--file", [FD, DEST], "Copy FD to a file at DEST",
        "Its mode is 0666 or that of a --perms before it. FD is read to its end and closed.",
        |p, v| {
            let fd = v.fd()?;
            let dest = v.path()?;
            let perms = p.take_perms(0o666);
            p.push(Op::File { fd, dest, perms });
            Ok(())
        }),
    row!(Filesystem, "--bind-data", [FD, DEST], "Copy FD to a file in memory and bind it at DEST",
        "Its mode is 0600 or that of a --perms before it. The file itself is nowhere else to be \
         found.",
        |p, v| bind_data(p, v, Access::ReadWrite)),
    row!(Filesystem, "--ro-bind-data", [FD, DEST], "Like --bind-data, read-only",
        "",
        |p, v| bind_data(p, v, Access::ReadOnly)),
    row!(Filesystem, "--symlink", [("SRC", Kind::Text), DEST],
        "Make a symbolic link at DEST with the text SRC",
        "One that exists with the same text is fine.",
        |p, v| {
            let target = v.path()?;
            let dest = v.path()?;
            p.push(Op::Symlink { target, dest });
            Ok(())
        }),
    row!(Privileges, "--seccomp", [FD], "Install the seccomp program read from FD",
        "A classic BPF program as the kernel takes it, at most 4096 instructions. It is installed \
         last, in COMMAND and in PID 1.",
        |p, v| p.seccomp(v)),
    row!(Privileges, "--add-seccomp-fd", [FD], "Like --seccomp, and repeatable",
        "Programs are installed in the order given: a later one is run first, and the strictest \
         answer counts. Not together with --seccomp.",
        |p, v| p.add_seccomp(v)),
    row!(Monitoring, "--block-fd", [FD], "Wait for FD to be readable before COMMAND starts",
        "One byte is read, or the end of the file.",
        |p, v| v.last_wins(&mut p.config.fds.block, Values::fd)),
    row!(Monitoring, "--userns-block-fd", [FD], "Wait for FD while someone else writes the id maps",
        "For newuidmap(1) and newgidmap(1): read the child's pid from --info-fd, write the maps, \
         then write a byte to FD. Needs --unshare-user and --info-fd.",
        |p, v| v.last_wins(&mut p.config.fds.userns_block, Values::fd)),
    row!(Monitoring, "--info-fd", [FD], "Write the sandbox's pid and namespaces to FD",
        "One JSON object with child-pid and the inode numbers of the new namespaces; then FD is \
         closed.",
        |p, v| v.last_wins(&mut p.config.fds.info, Values::fd)),
    row!(Monitoring, "--json-status-fd", [FD], "Write what happens to the sandbox to FD",
        "One JSON object a line: first child-pid and namespaces; at the end exit-code, if COMMAND \
         was executed at all.",
        |p, v| v.last_wins(&mut p.config.fds.json_status, Values::fd)),
    row!(Lifecycle, "--new-session", [], "Start a new terminal session",
        "COMMAND has no controlling terminal and so cannot push input into the caller's \
         (CVE-2017-5226). Use it, or refuse TIOCSTI by seccomp.",
        |p, _| { p.config.switches.new_session = true; Ok(()) }),
    row!(Lifecycle, "--die-with-parent", [], "Kill COMMAND when bwrap or its parent dies",
        "By SIGKILL. The parent is the process that has started bwrap, whichever of its threads did, \
         and whatever it executes later; in bubblewrap it is the thread. (Where pidfd_open(2) is \
         refused, or the parent is in another pid namespace, it is the thread here too.) What \
         COMMAND has started dies with it if it is in a pid namespace of its own (--unshare-pid), \
         then also while bwrap is stopped, and may live on without. Without one, or with \
         --as-pid-1, so does a COMMAND that resets its parent-death signal when bwrap is killed; the \
         kernel resets it where --exec-label or --apparmor change its label. A parent that dies \
         before bwrap has begun to run cannot be noticed.",
        |p, _| { p.config.switches.die_with_parent = true; Ok(()) }),
    row!(Lifecycle, "--as-pid-1", [], "Run COMMAND itself as PID 1",
        "It has to reap orphans and gets the special treatment of signals of pid_namespaces(7). \
         Needs --unshare-pid.",
        |p, _| { p.config.switches.as_pid_1 = true; Ok(()) }),
    row!(Privileges, "--cap-add", [("CAP", Kind::Capability)],
        "Give COMMAND the capability CAP, or ALL",
        "In a new user namespace it counts only for what belongs to that namespace. Names in any \
         case, or numbers; in order with --cap-drop.",
        |p, v| { let edit = CapEdit::add(v.text())?; p.edit_caps(edit); Ok(()) }),
    row!(Privileges, "--cap-drop", [("CAP", Kind::Capability)],
        "Take the capability CAP, or ALL, from COMMAND",
        "Without these options root without a user namespace keeps what it has, and everybody else \
         starts with none.",
        |p, v| { let edit = CapEdit::drop(v.text())?; p.edit_caps(edit); Ok(()) }),
    row!(Filesystem, "--perms", [OCTAL], "Set the mode for the next file-making option",
        "At most 07777. It serves --dir, --tmpfs, --file, --bind-data and --ro-bind-data.",
        Perms, |p, v| p.set_perms(v)),
    row!(Filesystem, "--size", [("BYTES", Kind::Text)], "Set the size limit of the next --tmpfs",
        "Hexadecimal after 0x, octal after 0. For --tmpfs both --size and --perms may be given, in \
         either order.",
        Size, |p, v| p.set_size(v)),
    row!(Filesystem, "--chmod", [OCTAL, ("PATH", Kind::Dest)],
        "Change the mode of PATH in the sandbox",
        "PATH has to exist.",
        |p, v| {
            let perms = v.octal()?;
            let path = v.path()?;
            p.push(Op::Chmod { perms, path });
            Ok(())
        }),
    row!(General, "--not-a-security-boundary", [], "Go on when a mount's flags cannot be set",
        "Where the kernel has no mount_setattr(2), a mount below a bind that cannot be made \
         read-only, nosuid or nodev is a warning instead of an error. Only for sandboxes that are \
         there for convenience.",
        |p, _| { p.config.switches.not_a_security_boundary = true; Ok(()) }),
    row!(Beyond, Anywhere, "--seccomp-default", [], "Filter COMMAND's system calls by the built-in policy",
        "It refuses what a desktop program or a build never needs, and what the kernel's holes are \
         mostly in; see SECCOMP POLICIES below.",
        |p, _| {
            if !p.config.policies.contains(&Policy::BuiltIn) { p.config.policies.push(Policy::BuiltIn); }
            Ok(())
        }),
    row!(Beyond, Anywhere, "--seccomp-policy", [("FILE", Kind::HostPath)],
        "Filter COMMAND's system calls by the policy in FILE",
        "FILE is a seccomp profile in JSON, as Docker and Podman take it with --security-opt \
         seccomp=FILE and as the OCI runtime specification has it; see SECCOMP POLICIES below. It \
         may be repeated, and combined with the other options for filters; what any of them \
         refuses is refused.",
        |p, v| { let file = p.profiles.beside(v.path()?); p.config.policies.push(Policy::File(file)); Ok(()) }),
    row!(Beyond, Anywhere, "--rlimit", [("NAME", Kind::Text), ("VALUE", Kind::Text)],
        "Limit a resource of COMMAND",
        "NAME is one of as, core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, \
         rss, rtprio, rttime, sigpending and stack, in any case: the limits of setrlimit(2), in \
         its units. VALUE is the soft limit and the hard one with a colon between them, or one \
         number for both. The word unlimited stands for no limit. It may be repeated; of several \
         for the same limit the last one counts, for both values. Raising a hard limit takes \
         CAP_SYS_RESOURCE in the initial user namespace.",
        |p, v| { Limit::parse(v.text(), v.text())?.add_to(&mut p.config.limits); Ok(()) }),
    row!(Beyond, Anywhere, "--cgroup", [("KEY", Kind::Text), ("VALUE", Kind::Text)],
        "Limit what the whole sandbox uses",
        "The sandbox gets a control group of its own, and VALUE is written to its file KEY before \
         anything runs in it: a limit on all of its processes together. KEY is a file of cgroup \
         version 2 such as memory.max, memory.swap.max, pids.max, cpu.max, cpu.weight, io.max or \
         cpuset.cpus. The option may be repeated, and values are written in order. The group that \
         bwrap is started in has to be delegated to the user; how, and what the values mean, is \
         told below, in the part about control groups.",
        |p, v| {
            let setting = Setting::parse(v.text(), v.text())?;
            p.config.cgroup.push(setting);
            Ok(())
        }),
    row!(Beyond, Anywhere, "--apparmor", [("PROFILE", Kind::Text)],
        "Run COMMAND under the AppArmor profile PROFILE",
        "PROFILE is the name of one that is loaded, see apparmor(7). If the caller is confined \
         itself COMMAND has both profiles, and may do what both allow; the caller's needs a \
         change_profile rule for that. The paths in PROFILE are those of the sandbox. It counts \
         from COMMAND's first instruction on, and not for PID 1 of the sandbox.",
        |p, v| v.last_wins(&mut p.config.apparmor, |v| Profile::parse(v.text()))),
    row!(Beyond, Anywhere, "--scope-signals", [], "Let no signal leave the sandbox",
        "Neither kill(2) nor its relatives reach a process outside, also where the pid namespace \
         is shared. By Landlock, which needs Linux 6.12.",
        |p, _| { p.config.landlock.signals = true; Ok(()) }),
    row!(Beyond, Anywhere, "--scope-abstract-unix", [], "Let nothing connect to abstract sockets outside",
        "Abstract unix(7) sockets belong to the network namespace, so --unshare-net does the same \
         and more. By Landlock, which needs Linux 6.12.",
        |p, _| { p.config.landlock.abstract_unix = true; Ok(()) }),
    row!(Beyond, Anywhere, "--tcp-connect", [("PORT", Kind::Text)],
        "Let TCP connect to PORT and no other; UDP is not limited",
        "Once it or --tcp-bind is given, connecting to and binding every port that is not named is \
         EACCES, over IPv4 and IPv6, whatever the address. Both may be repeated. This is not a \
         firewall: UDP is not limited. listen(2) without bind(2) still gets a port that the kernel \
         chooses. A socket or an io_uring that COMMAND inherits, or receives over another socket, \
         may be connected already or speak another protocol; and other processes, such as a proxy \
         behind a unix(7) socket, may connect for it. With --unshare-net there is no network at \
         all. By Landlock, which needs Linux 6.7, and by a filter of system calls that closes the \
         ways around it. The filter is for COMMAND and not for PID 1. Of sockets it leaves TCP, \
         datagrams of IPv4 and IPv6, unix(7) and netlink(7), and so refuses MPTCP, SMC, SCTP, raw \
         and packet sockets and all other families. It refuses MSG_FASTOPEN, TCP_ULP (and so TLS \
         in the kernel), io_uring, and system calls in the manner of another architecture.",
        |p, v| { let port = v.port()?; p.config.landlock.connect.push(port); Ok(()) }),
    row!(Beyond, Anywhere, "--tcp-bind", [("PORT", Kind::Text)],
        "Let TCP bind PORT only; UDP and unbound listeners are free",
        "Otherwise like --tcp-connect. Port 0 stands for one that the kernel chooses. Programs \
         that try MPTCP first, as those in Go do, listen by TCP.",
        |p, v| { let port = v.port()?; p.config.landlock.bind.push(port); Ok(()) }),
    row!(Beyond, Anywhere, "--mask", [("PATH", Kind::Dest)], "Hide PATH, if it is there",
        "What PATH leads to in the sandbox at this point of the command line is covered by an empty \
         directory or file that nobody can write to or, without CAP_DAC_OVERRIDE, read. A symbolic \
         link stays, and what it leads to is hidden. If there is nothing, nothing is created. The \
         host does not notice. See MASKS below for what this is worth.",
        |p, v| p.mask(v)),
    row!(Beyond, Anywhere, "--mask-glob", [("PATTERN", Kind::Text)], "Hide all that matches PATTERN",
        "Like --mask, for every file and directory in the sandbox whose path matches, at this point of \
         the command line; see MASKS below for the patterns. Patterns that follow each other are \
         looked for in one walk. More than 100000 matches are an error.",
        |p, v| p.mask_glob(v)),
    row!(Beyond, Anywhere, "--noexec", [], "Let nothing on the next mount be executed",
        "It serves binds, --tmpfs, overlays, --bind-data and --ro-bind-data, and counts for every \
         mount below a bind too. The kernel refuses execve(2) and executable mappings of files \
         there. An interpreter that is elsewhere still reads them: sh FILE runs the script FILE. \
         Nothing in the sandbox can take the flag off, unless COMMAND has CAP_SYS_ADMIN in the \
         user namespace that owns the sandbox's mounts.",
        Flag, |p, v| p.set_noexec(v)),
    row!(Beyond, Anywhere, "--nosymfollow", [], "Follow no symbolic link on the next mount",
        "It serves the same options as --noexec, and both may be given, in either order. Links can \
         still be created and read, but a path that leads through one fails with ELOOP. Unlike the \
         other flags, the kernel lets this one be taken off in a new mount namespace, so it stops a \
         COMMAND that tries to get around it only with --disable-userns and without CAP_SYS_ADMIN.",
        Flag, |p, v| p.set_nosymfollow(v)),
    row!(Beyond, Anywhere, "--uid-map", [("INSIDE", Kind::Text), ("OUTSIDE", Kind::Text), ("COUNT", Kind::Text)],
        "Map user ids of the sandbox to ids outside",
        "One line of uid_map, see user_namespaces(7): the COUNT ids from INSIDE on stand for those \
         from OUTSIDE on. It may be repeated for more ranges. Needs --unshare-user, and root; an \
         ordinary user may map only the own id, which is what --uid does. COMMAND runs as the id \
         of --uid, else as what the caller's own id is mapped to, else as the first id INSIDE; \
         where other ids than the own one are mapped, without supplementary groups. The set-up \
         runs with the same ids: sources have to be reachable for them. See ID RANGES below.",
        |p, v| { let range = v.range()?; p.config.maps.uid.push(range); Ok(()) }),
    row!(Beyond, Anywhere, "--gid-map", [("INSIDE", Kind::Text), ("OUTSIDE", Kind::Text), ("COUNT", Kind::Text)],
        "Map group ids of the sandbox to ids outside",
        "Like --uid-map. Without it there is only one group.",
        |p, v| { let range = v.range()?; p.config.maps.gid.push(range); Ok(()) }),
    row!(Beyond, Anywhere, "--forward-signals", [], "Pass signals on to COMMAND",
        "What bwrap is sent of HUP, INT, QUIT, TERM, USR1, USR2, CONT and WINCH goes on to \
         COMMAND, and bwrap ends when COMMAND does, with its exit status. What COMMAND hears from \
         the terminal by itself is not sent twice. timeout(1) and many CI runners send signals to \
         a whole process group, and COMMAND then gets them twice, once by itself and once from \
         bwrap. Use --new-session there: it takes COMMAND out of that group. What comes before \
         COMMAND is executed does to bwrap what it does to any program, and if that ends bwrap \
         COMMAND is not run. With --as-pid-1 the kernel keeps signals from COMMAND for which it \
         has no handler.",
        |p, _| { p.config.switches.forward_signals = true; Ok(()) }),
    row!(Beyond, CommandLine, "--netns", [FD], "Join the network namespace FD",
        "FD is an open /proc/PID/ns/net. Root may join any. An ordinary user may join one that \
         belongs to a user namespace of the user's own, such as one by unshare(1) or pasta(1): \
         bwrap joins that first, which has to map the caller's ids, and makes the sandbox's \
         namespaces below it. Not together with --unshare-net; after --unshare-all give --share-net. \
         With --userns the network namespace has to belong to FD's user namespace, unless it is \
         root who calls. Who has CAP_SYS_PTRACE in the user namespace that is joined, and sees its \
         processes, may take the set-up over.",
        |p, v| v.last_wins(&mut p.config.fds.netns, Values::fd)),
    row!(Beyond, Anywhere, "--address-families", [("LIST", Kind::Text)],
        "Let socket(2) make sockets of the families in LIST only",
        "LIST is names of address families or numbers with commas in between: unix, inet, inet6, \
         netlink, packet, vsock and so on, as the kernel has them after AF_, in lower case; or the \
         word none. The option may be repeated for more. Any other family is EAFNOSUPPORT, as \
         where the kernel lacks it. Without unix a socketpair(2) of streams or of packets in \
         sequence stays, but one of datagrams, whose ends could be connected to other sockets, is \
         refused; without packet SOCK_PACKET is. io_uring is refused, and system calls in the \
         manner of another architecture are. Sockets that COMMAND inherits, or receives over \
         another socket, may be of any family, and inet6 reaches IPv4 by mapped addresses. By a filter of \
         system calls, on every kernel; the filter is for COMMAND and not for PID 1.",
        |p, v| p.config.families.get_or_insert_default().add(v.text())),
    row!(Beyond, Anywhere, "--unix-connect", [("PATH", Kind::Dest)],
        "Of unix sockets outside, connect only to PATH, or below it",
        "PATH is a socket or a directory in the sandbox, and no symbolic link, that is there when \
         COMMAND starts; the option may be repeated. Connecting and sending to any other unix(7) \
         socket in the file system that was made outside the sandbox is EACCES, and to any abstract \
         one EPERM, as with --scope-abstract-unix. Those that are made inside stay usable. A socket \
         that is made anew at its place is another one: name its directory then. Sockets that \
         COMMAND inherits, or receives over another socket, may be connected to anything, and other \
         processes, such as those that it may connect to, may connect for it. COMMAND can mount \
         nothing any more, so that no bwrap works inside. By Landlock, which needs Linux 7.1, and \
         by a filter of system calls that refuses io_uring, and system calls in the manner of \
         another architecture; the filter is for COMMAND and not for PID 1.",
        |p, v| { let path = v.path()?; p.config.landlock.unix.push(path); Ok(()) }),
    row!(Beyond, Anywhere, "--udp-connect", [("PORT", Kind::Text)],
        "Let UDP connect and send to PORT and no other",
        "Once it or --udp-bind is given, connecting and sending to, and binding, every port that is \
         not named is EACCES, over IPv4 and IPv6, whatever the address and whether the socket is \
         connected or not. Both may be repeated. With --udp-connect a socket may also be bound to \
         port 0, which stands for one that the kernel chooses: who sends has one. TCP is not \
         limited. A socket or an io_uring that COMMAND inherits, or receives over another socket, \
         may be connected already or speak another protocol; other processes, such as a resolver \
         behind a unix(7) socket, may send for it; and so may the kernel for a COMMAND that has \
         CAP_NET_ADMIN over the network namespace. By Landlock, which needs Linux 7.2, and by a filter of \
         system calls that closes the ways around it. The filter is for COMMAND and not for PID 1. \
         Of sockets it leaves UDP, pings, TCP, MPTCP, unix(7) and netlink(7), and so refuses \
         UDP-Lite, SCTP (which can travel in UDP), SMC, raw and packet sockets, vsock(7) and all other \
         families. It refuses io_uring, and system calls in the manner of another architecture.",
        |p, v| { let port = v.port()?; p.config.landlock.udp_connect.push(port); Ok(()) }),
    row!(Beyond, Anywhere, "--udp-bind", [("PORT", Kind::Text)],
        "Let UDP bind PORT and no other",
        "Otherwise like --udp-connect. Port 0 stands for one that the kernel chooses.",
        |p, v| { let port = v.port()?; p.config.landlock.udp_bind.push(port); Ok(()) }),
    row!(Beyond, Anywhere, "--proc-pid", [DEST], "Mount a procfs at DEST that shows processes and nothing else",
        "Otherwise like --proc: of the kernel's settings and facts there is nothing in it (the \
         option subset=pid of proc(5)). From Linux 7.1 on it may be mounted also where the procfs \
         around is partly hidden, as in a container, in which --proc is refused. Needs --unshare-pid \
         or --pidns, and Linux 5.8.",
        |p, v| { let dest = v.path()?; p.push(Op::ProcPid(dest)); Ok(()) }),
    row!(Beyond, Anywhere, "--timeout", [("SECONDS", Kind::Text)], "End the sandbox SECONDS after COMMAND has started",
        "COMMAND is sent SIGTERM and SIGCONT then. If it has not ended 10 seconds later, everything \
         in the sandbox is killed; SECONDS followed by a colon and another number says how much \
         later. The exit status, also the one that --json-status-fd tells, is 124 in either case, \
         whatever COMMAND makes of SIGTERM (timeout(1) exits with 137 after it has killed). The \
         numbers are decimal, such as 2.5. They count while COMMAND is stopped, but not while the \
         machine is suspended. When COMMAND ends, in time or not, whatever it has started is killed: \
         so --unshare-pid or --cgroup is required. The sandbox dies with bwrap, as with \
         --die-with-parent. With --cgroup and no pid namespace COMMAND may be able to stop or kill \
         bwrap, and what it has started then lives on: use --unshare-pid against that. With \
         --as-pid-1 the kernel keeps SIGTERM from a COMMAND that has no handler for it.",
        |p, v| v.last_wins(&mut p.config.timeout, |v| Timeout::parse(v.text()))),
    row!(Beyond, Anywhere, "--tar", [FD, DEST], "Unpack the tar archive FD at DEST, in memory",
        "The first --tar of a DEST mounts a tmpfs there, with the size of a --size before it, else at \
         most half of the memory, and the mode of a --perms before it, else that of the archive or \
         0755. Each further one is a layer of an image on top of what is there already: what has the \
         same name is replaced, and whiteouts and opaque directories, as the OCI image specification \
         has them, remove what earlier layers have brought. No archive writes to a mount that is not \
         its own tmpfs, and a mount that is there before and is not empty is an error. FD is read \
         once; it holds a plain archive of GNU tar, pax or ustar, sparse files included. For a \
         compressed one, let another program unpack it: --tar 11 / 11< <(zcat LAYER). Paths lead to \
         what they would with DEST as /, links in an archive included; one with .. in it is an error, \
         as is an archive that ends too early, has more than 1048576 entries, or 65536 bytes of \
         headers for one of them. Owners that are not mapped become the user who the sandbox runs as. \
         Devices and extended attributes are left out, with a warning that counts them.",
        |p, v| p.tar(v)),
    row!(Beyond, CommandLine, "--check-host", [], "Show what this machine lets a sandbox have",
        "Sandboxes are made with one thing after the other, and what fails is shown with the reason \
         and what helps: namespaces, a new /proc and /dev, overlays, filters of system calls, \
         Landlock, control groups, AppArmor and SELinux. Nothing is changed, and the options after it \
         are not read. The exit status is 0 if a plain sandbox works. With --error-fd the same goes \
         to that file as one JSON object with the members version, kernel, works and checks, the last \
         of which has name and available for each, and where they apply detail, reason and cure.",
        |p, _| { p.request(Request::CheckHost); Ok(()) }),
    row!(Beyond, CommandLine, "--dry-run", [], "Show what would be done, and do nothing",
        "A text for people on standard output: namespaces, ids, capabilities, limits, filters, the \
         names in policies that are no system call's here, and the file system as a tree. Sources \
         are looked for, and what is missing is said; nothing else is touched, and COMMAND is not \
         run. What would fail is marked, as far as that can be told: sources and destinations, \
         COMMAND, its interpreter and the links that lead to them in the sandbox, --chdir, files that \
         are not open, limits, and what the kernel lacks. Then the exit status is 1, or that of \
         --setup-status, and otherwise 0. Notes at the end, which do not change the status, say \
         what such a sandbox lets through or lacks: sockets of the host, variables that look like \
         secrets, and the like. Of the files that options name by number only that of --args is \
         read, and where it can be sought in, it is left as it was.",
        |p, _| { p.config.switches.dry_run = true; Ok(()) }),
    row!(Beyond, CommandLine, "--dry-run-json", [FD], "Write what would be done as JSON to FD, and do nothing",
        "The same as one JSON document. Members may be added; readers should ignore what they do \
         not know.",
        |p, v| v.last_wins(&mut p.config.fds.dry_run_json, Values::fd)),
    row!(Beyond, Anywhere, "--same", [PATH], "Show the host's PATH at the same place, writable",
        "PATH is absolute. Each symbolic link on the way to it, at most 40, is created as the link \
         that it is on the host, and what PATH leads to in the end is bound where it is, as by \
         --bind. A link that the sandbox has already is fine if its text is the same. Where a link \
         leads to /proc, as /etc/mtab does, the link is all: what it leads to is another file in \
         each sandbox, see --proc.",
        |p, v| p.same(v, Access::ReadWrite, Missing::Fatal)),
    row!(Beyond, Anywhere, "--ro-same", [PATH], "Show the host's PATH at the same place, read-only",
        "Like --same; what is bound is read-only, as by --ro-bind.",
        |p, v| p.same(v, Access::ReadOnly, Missing::Fatal)),
    row!(Beyond, Anywhere, "--same-try", [PATH], "Like --same, but nothing if PATH does not exist",
        "A link that leads nowhere counts as missing, and is not created either.",
        |p, v| p.same(v, Access::ReadWrite, Missing::Skip)),
    row!(Beyond, Anywhere, "--ro-same-try", [PATH], "Like --ro-same, but nothing if PATH does not exist",
        "",
        |p, v| p.same(v, Access::ReadOnly, Missing::Skip)),
    row!(Beyond, CommandLine, "--error-fd", [FD], "Report failures of bwrap to FD as JSON",
        "One JSON object a line for each failure that keeps COMMAND from running, beside the line \
         on standard error; see FAILURE REPORTS below. FD is closed once COMMAND is executed, and \
         COMMAND does not inherit it. It takes effect before the command line is read, so mistakes \
         after it are reported too. An FD that cannot be written to is ignored.",
        |p, v| v.last_wins(&mut p.config.fds.error, Values::fd)),
    row!(Beyond, CommandLine, "--setup-status", [("N", Kind::Text)],
        "Exit with status N if COMMAND cannot be run",
        "N is a number from 1 to 255; the default is 1, which COMMAND may exit with as well. It \
         covers every failure of bwrap, mistakes on the command line and a COMMAND that is not \
         found included, and a set-up that is killed.",
        |p, v| v.last_wins(&mut p.config.setup_status, Values::status)),
    row!(Beyond, Anywhere, "--profile", [("FILE", Kind::Profile)], "Read options from the profile FILE, or a built-in @NAME",
        "The options are used at this point of the command line. FILE is a text with one option a \
         line, which COMMAND does not follow; see PROFILES below. A name that begins with @ is that \
         of a built-in profile: --profile @list shows them. The option may be repeated. Words in \
         profiles do not count for the 9000 that there may be.",
        |p, v| p.profile(v)),
    row!(Beyond, CommandLine, "--learn", [("FILE", Kind::HostPath)],
        "Record what COMMAND uses, and write a profile to FILE",
        "COMMAND runs in the sandbox that the other options describe, and what it uses of that is \
         recorded: files, programs, devices, sockets, the network. When it has ended FILE is \
         written, a profile for --profile: the same sandbox with only what was used. Programs and \
         libraries are given as whole directories, and so is a directory of which more than 16 \
         files were used, but never HOME, XDG_RUNTIME_DIR, /etc, /run, /tmp, /var or a directory \
         with keys. What COMMAND wanted to create there is a comment. A later run adds to FILE. \
         Values of --setenv and open files are not written down. Recording lasts for 5 seconds \
         after COMMAND has ended; with --unshare-pid, whatever is left of it is ended then. FILE \
         must not lie where COMMAND can write. io_uring and system calls of 32-bit programs are \
         refused while recording. Needs Linux 5.6; before Linux 5.19, signals may interrupt calls \
         that are recorded.",
        |p, v| v.last_wins(&mut p.config.record.learn, Values::path)),
    row!(Beyond, CommandLine, "--learn-exact", [], "With --learn, give each file that was used by itself",
        "No directory is given for the files in it, unless COMMAND could write to it.",
        |p, _| { p.config.record.exact = true; Ok(()) }),
    row!(Beyond, CommandLine, "--learn-seccomp", [("FILE", Kind::HostPath)],
        "Record COMMAND's system calls, and write a policy to FILE",
        "FILE is written when COMMAND has ended, a policy for --seccomp-policy: it allows the \
         system calls that COMMAND has made and those that nearly every program makes. A later run \
         adds to it. The profile of a --learn beside it names it. While recording, every other \
         system call takes several times as long.",
        |p, v| v.last_wins(&mut p.config.record.seccomp, Values::path)),
    row!(Beyond, CommandLine, "--explain", [], "Say what COMMAND looked for and the sandbox lacks",
        "When COMMAND has ended, at most 12 lines on standard error say what it looked for that the \
         host has and the sandbox does not, as options to add, each with the reason as a comment: \
         files, devices, /proc, /tmp, sockets, the network. They also say what it was refused: \
         places that are read-only, ports, and system calls by --seccomp-policy and \
         --seccomp-default. What most programs look for and do without is left out. Files that may \
         hold keys, and sockets that give power, are comments only. Read every line before you add \
         it: COMMAND decides what it looks for, and so what is suggested. With --error-fd each \
         line is a document too. COMMAND is recorded as by --learn, with the same needs.",
        |p, _| { p.config.record.explain = true; Ok(()) }),
];
