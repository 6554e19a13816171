//! **The table**: one row per option, with its operands, its texts and what it records.
//!
//! The parser, `--help`, the man page and the completions of three shells all come from here, so an
//! option is added in one place. The names are bubblewrap's interface; every sentence is ours.

use crate::cli::record::{Pending, Recorder, Request};
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
    /// Every section with its title, in order.
    pub(crate) const ALL: [(Self, &'static str); 8] = [
        (Self::General, "General"),
        (Self::Namespaces, "Namespaces and IDs"),
        (Self::Environment, "Environment"),
        (Self::Filesystem, "File system"),
        (Self::Privileges, "Privileges"),
        (Self::Monitoring, "Monitoring"),
        (Self::Lifecycle, "Processes"),
        (Self::Beyond, "Beyond bubblewrap"),
    ];
}

/// Where an option may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In profiles too, unless it takes the number of an open file.
    Anywhere,
    /// Not in a profile.
    CommandLine,
}

/// What puts into the `Config` what an option says.
pub(crate) type Record = fn(&mut Recorder, &mut Values<'_>) -> Result<()>;

/// One option, as it is written here; [`listed`](crate::cli::listed) is what reads it.
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
    /// The rest of what there is to say, for the man page, which a test renders.
    #[cfg(test)]
    pub(crate) man: &'static str,
    /// How it takes part in the rules about modifiers.
    pub(crate) pending: Pending,
    /// Puts what it says into the `Config`.
    pub(crate) record: Record,
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
            #[cfg(test)]
            man: $man,
            pending: Pending::$pending,
            record: $record,
        }
    };
}

/// Every option, in the order of `--help`.
#[rustfmt::skip] // A row is what it says in as few lines as it takes.
pub(crate) const OPTIONS: &[Row] = &[
    row!(General, CommandLine, "--help", [], "Show a summary of the options",
        "The help goes to standard output, and the exit status is 0.",
        |p, _| { p.request(Request::Help); Ok(()) }),
    row!(General, CommandLine, "--version", [],
        "Show the version of bubblewrap that bleb implements",
        "The output contains nothing else, because build systems parse it. The last line of --help \
         gives bleb's own version.",
        |p, _| { p.request(Request::Version); Ok(()) }),
    row!(General, "--args", [FD], "Read more options from FD, separated by NUL bytes",
        "The options apply at this point of the command line. A trailing NUL byte is optional. FD \
         cannot contain --args, but --args can be repeated on the command line. Any words after \
         the options in FD are ignored: COMMAND always comes from the command line.",
        |p, v| { let fd = v.fd()?; p.args_from(fd) }),
    row!(Environment, "--argv0", [("VALUE", Kind::Text)], "Use VALUE as COMMAND's argv[0]",
        "The default is COMMAND's own name. This option can be given only once.",
        |p, v| match p.config.argv0.replace(v.text()) {
            None => Ok(()),
            Some(_) => Err(Error::new("--argv0 used multiple times")),
        }),
    row!(General, "--level-prefix", [], "Prefix messages with their syslog level, such as <3>",
        "From this option on, errors begin with <3>, warnings with <4> and hints with <6>. Loggers \
         such as systemd-cat(1) understand these prefixes.",
        |_, _| { crate::error::use_level_prefix(); Ok(()) }),
    row!(Namespaces, "--unshare-all", [], "Unshare every namespace that can be unshared",
        "Equivalent to --unshare-user-try --unshare-ipc --unshare-pid --unshare-net --unshare-uts \
         --unshare-cgroup-try.",
        |p, _| { unshare_all(p); Ok(()) }),
    row!(Namespaces, "--share-net", [], "Keep the caller's network namespace after --unshare-all",
        "Reverses the effect of an earlier --unshare-all or --unshare-net on the network \
         namespace. Other namespaces are not affected. Before --unshare-all it has no effect.",
        |p, _| { p.config.namespaces.net = Want::No; Ok(()) }),
    row!(Namespaces, "--unshare-user", [],
        "Create a new user namespace (implied for ordinary users)",
        "An ordinary user always gets one, unless --userns names another, because the set-up is \
         not permitted without it.",
        |p, _| { p.config.namespaces.user = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-user-try", [],
        "Create a new user namespace if the kernel supports it",
        "If user namespaces are disabled, root continues without one.",
        |p, _| {
            if p.config.namespaces.user == Want::No { p.config.namespaces.user = Want::Try; }
            Ok(())
        }),
    row!(Namespaces, "--unshare-ipc", [], "Create a new IPC namespace",
        "The sandbox has its own System V IPC objects and POSIX message queues.",
        |p, _| { p.config.namespaces.ipc = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-pid", [], "Create a new PID namespace",
        "COMMAND cannot see processes outside. Outside, it can signal only the processes in \
         bwrap's own process group, or none with --new-session. PID 1 is a small bwrap process \
         that reaps orphans, unless --as-pid-1 is given. Add --proc: a /proc bound from the host \
         still shows the host's processes.",
        |p, _| { p.config.namespaces.pid = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-net", [],
        "Create a new network namespace with only a loopback interface",
        "The loopback interface is up and has its usual addresses.",
        |p, _| { p.config.namespaces.net = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-uts", [], "Create a new UTS namespace",
        "The sandbox has its own host name; see --hostname.",
        |p, _| { p.config.namespaces.uts = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-cgroup", [], "Create a new cgroup namespace",
        "Fails if the kernel does not support cgroup namespaces.",
        |p, _| { p.config.namespaces.cgroup = Want::Yes; Ok(()) }),
    row!(Namespaces, "--unshare-cgroup-try", [],
        "Create a new cgroup namespace if the kernel supports it",
        "",
        |p, _| {
            if p.config.namespaces.cgroup == Want::No { p.config.namespaces.cgroup = Want::Try; }
            Ok(())
        }),
    row!(Namespaces, "--userns", [FD], "Join user namespace FD instead of creating one",
        "FD is an open /proc/PID/ns/user. Cannot be combined with --unshare-user, \
         --unshare-user-try or --unshare-all.",
        |p, v| v.last_wins(&mut p.config.fds.userns, Values::fd)),
    row!(Namespaces, "--userns2", [FD], "Switch to user namespace FD before running COMMAND",
        "The switch happens after the set-up. FD must be a descendant of the user namespace that \
         bwrap joined with --userns or, if root runs bwrap without a new one, of the caller's.",
        |p, v| v.last_wins(&mut p.config.fds.userns2, Values::fd)),
    row!(Namespaces, "--disable-userns", [],
        "Prevent the creation of user namespaces in the sandbox",
        "bwrap allows one nested user namespace and runs COMMAND in it, so no further one can be \
         created. Requires --unshare-user; --unshare-all is not enough. Cannot be combined with \
         --userns-block-fd.",
        |p, _| { p.config.switches.disable_userns = true; Ok(()) }),
    row!(Namespaces, "--assert-userns-disabled", [],
        "Fail if user namespaces can still be created in the sandbox",
        "bwrap checks by trying to create one. Use this with --userns, where --disable-userns is \
         not allowed.",
        |p, _| { p.config.switches.assert_userns_disabled = true; Ok(()) }),
    row!(Namespaces, "--pidns", [FD], "Join PID namespace FD",
        "FD is an open /proc/PID/ns/pid. Ordinary users also need --userns with the user namespace \
         that it belongs to. With --unshare-pid the new PID namespace is a child of it.",
        |p, v| v.last_wins(&mut p.config.fds.pidns, Values::fd)),
    row!(Namespaces, "--uid", [("UID", Kind::Text)], "Run COMMAND as user ID UID",
        "Requires a user namespace that bwrap creates, or joins with --userns, unless UID is the \
         caller's real user ID.",
        |p, v| v.last_wins(&mut p.config.uid, |v| v.id("uid"))),
    row!(Namespaces, "--gid", [("GID", Kind::Text)], "Run COMMAND with group ID GID",
        "Requires a user namespace that bwrap creates, or joins with --userns, unless GID is the \
         caller's real group ID.",
        |p, v| v.last_wins(&mut p.config.gid, |v| v.id("gid"))),
    row!(Namespaces, "--hostname", [("NAME", Kind::Text)], "Set the sandbox's host name to NAME",
        "Requires --unshare-uts.",
        |p, v| v.last_wins(&mut p.config.hostname, |v| Ok(v.text()))),
    row!(Environment, "--chdir", [("DIR", Kind::Dest)], "Run COMMAND in directory DIR",
        "By default COMMAND starts in the caller's working directory if it exists in the sandbox, \
         otherwise in $HOME, otherwise in /. PWD is set accordingly.",
        |p, v| v.last_wins(&mut p.config.chdir, Values::path)),
    row!(Environment, "--clearenv", [], "Remove all environment variables",
        "PWD is still set. Later --setenv options apply.",
        |p, _| { p.config.environment.push(EnvEdit::Clear); Ok(()) }),
    row!(Environment, "--setenv", [("VAR", Kind::Variable), ("VALUE", Kind::Text)],
        "Set environment variable VAR to VALUE",
        "A PATH set here also determines where bwrap looks for COMMAND.",
        |p, v| p.set_variable(v)),
    row!(Environment, "--unsetenv", [("VAR", Kind::Variable)], "Remove environment variable VAR",
        "",
        |p, v| p.unset_variable(v)),
    row!(Lifecycle, "--lock-file", [DEST], "Hold a read lock on DEST while the sandbox runs",
        "The lock is a record lock (see fcntl(2)) on an existing file inside the sandbox; DEST can \
         be a symbolic link to it. The lock is held by the sandbox's PID 1 or, without \
         --unshare-pid, by an additional bwrap process. Can be repeated. Cannot be combined with \
         --as-pid-1.",
        |p, v| { let dest = v.path()?; p.config.lock_files.push(dest); Ok(()) }),
    row!(Lifecycle, "--sync-fd", [FD], "Keep FD open while the sandbox runs",
        "FD is held by the sandbox's PID 1 or, without --unshare-pid, by an additional bwrap \
         process. COMMAND does not inherit it, unless --as-pid-1 is given. Can be repeated.",
        |p, v| { let fd = v.fd()?; p.config.fds.sync.push(fd); Ok(()) }),
    row!(Filesystem, "--bind", [SRC, DEST], "Bind mount the host's SRC at DEST, writable",
        "The mount is recursive. bwrap adds nosuid and nodev to SRC and every mount below it, and \
         removes no flags. Because of nodev, device nodes such as /dev/null cannot be opened: use \
         --dev or --dev-bind for them.",
        |p, v| bind(p, v, Access::ReadWrite, Devices::Refused, Missing::Fatal)),
    row!(Filesystem, "--bind-try", [SRC, DEST], "Like --bind, but ignore a missing SRC",
        "",
        |p, v| bind(p, v, Access::ReadWrite, Devices::Refused, Missing::Skip )),
    row!(Filesystem, "--dev-bind", [SRC, DEST], "Like --bind, but allow access to device nodes",
        "",
        |p, v| bind(p, v, Access::ReadWrite, Devices::Allowed, Missing::Fatal )),
    row!(Filesystem, "--dev-bind-try", [SRC, DEST], "Like --dev-bind, but ignore a missing SRC",
        "",
        |p, v| bind(p, v, Access::ReadWrite, Devices::Allowed, Missing::Skip )),
    row!(Filesystem, "--ro-bind", [SRC, DEST], "Bind mount the host's SRC at DEST, read-only",
        "Like --bind, but SRC and every mount below it are read-only.",
        |p, v| bind(p, v, Access::ReadOnly, Devices::Refused, Missing::Fatal)),
    row!(Filesystem, "--ro-bind-try", [SRC, DEST], "Like --ro-bind, but ignore a missing SRC",
        "",
        |p, v| bind(p, v, Access::ReadOnly, Devices::Refused, Missing::Skip )),
    row!(Filesystem, "--bind-fd", [FD, DEST],
        "Bind mount the open file or directory FD at DEST, writable",
        "bwrap checks that it has mounted exactly the file that FD refers to, and fails if the \
         path was replaced in the meantime. An O_PATH descriptor is sufficient.",
        |p, v| bind_fd(p, v, Access::ReadWrite)),
    row!(Filesystem, "--ro-bind-fd", [FD, DEST],
        "Bind mount the open file or directory FD at DEST, read-only",
        "Otherwise like --bind-fd.",
        |p, v| bind_fd(p, v, Access::ReadOnly)),
    row!(Filesystem, "--remount-ro", [DEST], "Make the mount at DEST read-only",
        "The mount also becomes nosuid and nodev, even after --dev-bind, so device nodes in it \
         cannot be opened. DEST must be a mount point. Mounts below it keep their flags.",
        |p, v| { let dest = v.path()?; p.push(Op::RemountRo(dest)); Ok(()) }),
    row!(Filesystem, "--overlay-src", [SRC], "Add SRC as a layer of the next overlay",
        "The first layer is the lowest. Each --overlay-src must be followed by another one or by \
         an overlay option; only --noexec and --nosymfollow can stand between them.",
        Layer, |p, v| { let layer = v.path()?; p.layers.push(layer); Ok(()) }),
    row!(Filesystem, "--overlay", [("RWSRC", Kind::HostPath), ("WORKDIR", Kind::HostPath), DEST],
        "Mount an overlay that writes changes to RWSRC",
        "RWSRC is the topmost layer. WORKDIR is a directory for the kernel's own use on the same \
         file system, empty at first. Requires at least one --overlay-src and, for ordinary users, \
         Linux 5.11.",
        |p, v| {
            let layers = p.take_layers(v, 1)?;
            let upper = Upper::Host { rwsrc: v.path()?, workdir: v.path()? };
            let dest = v.path()?;
            p.push_overlay(upper, layers, dest);
            Ok(())
        }),
    row!(Filesystem, "--tmp-overlay", [DEST],
        "Mount an overlay whose changes stay in memory and are lost",
        "Requires at least one --overlay-src and, for ordinary users, Linux 5.11.",
        |p, v| {
            let layers = p.take_layers(v, 1)?;
            let dest = v.path()?;
            p.push_overlay(Upper::Tmp, layers, dest);
            Ok(())
        }),
    row!(Filesystem, "--ro-overlay", [DEST], "Mount a read-only overlay",
        "Requires at least two --overlay-src options and, for ordinary users, Linux 5.11.",
        |p, v| {
            let layers = p.take_layers(v, 2)?;
            let dest = v.path()?;
            p.push_overlay(Upper::None, layers, dest);
            Ok(())
        }),
    row!(Privileges, "--exec-label", [("LABEL", Kind::Text)],
        "Run COMMAND with SELinux label LABEL",
        "Fails without SELinux, or if the policy does not know LABEL. Because no_new_privs is set, \
         the policy must allow nnp_transition to LABEL. If COMMAND is on a nosuid mount, as all \
         binds are, the policy must also allow nosuid_transition.",
        |p, v| v.last_wins(&mut p.config.exec_label, label)),
    row!(Privileges, "--file-label", [("LABEL", Kind::Text)], "Give new files SELinux label LABEL",
        "Applies to every file, directory and link that the set-up creates, to mount points, and \
         to every file on a tmpfs. Fails without SELinux, or if the policy does not know LABEL.",
        |p, v| v.last_wins(&mut p.config.file_label, label)),
    row!(Filesystem, "--proc", [DEST], "Mount a procfs at DEST",
        "With --unshare-pid or --pidns this is a new procfs, otherwise it is the host's. Of the \
         parts that control the kernel (sys, sysrq-trigger, irq and bus), bwrap makes read-only \
         those whose own permissions would let COMMAND write to them. sys usually stays writable, \
         because these permissions say nothing about the files in it: a COMMAND with the necessary \
         capabilities, such as root's, can write to them. If root runs bwrap and COMMAND lacks \
         CAP_SYS_ADMIN over the sandbox's mounts, all of these parts are read-only, and so are \
         acpi, asound, driver, dynamic_debug, fs and scsi, because the files in them belong to \
         root even in a new user namespace.",
        |p, v| { let dest = v.path()?; p.push(Op::Proc(dest)); Ok(()) }),
    row!(Filesystem, "--dev", [DEST], "Mount a minimal /dev at DEST",
        "The nodes null, zero, full, random, urandom and tty are the host's. pts is a new \
         instance, and shm is an empty directory. If standard output is a terminal, it also \
         appears as console.",
        |p, v| { let dest = v.path()?; p.push(Op::Dev(dest)); Ok(()) }),
    row!(Filesystem, "--tmpfs", [DEST], "Mount an empty tmpfs at DEST",
        "The mode is 0755 unless --perms precedes it. A preceding --size limits its size.",
        |p, v| {
            let dest = v.path()?;
            let (perms, size, extra) = (p.take_perms(0o755), p.take_size(), p.take_extra());
            p.push(Op::Tmpfs { dest, perms, size, extra });
            Ok(())
        }),
    row!(Filesystem, "--mqueue", [DEST], "Mount the POSIX message queues at DEST",
        "See mq_overview(7). Ordinary users need --unshare-ipc.",
        |p, v| { let dest = v.path()?; p.push(Op::Mqueue(dest)); Ok(()) }),
    row!(Filesystem, "--dir", [DEST], "Create a directory at DEST",
        "The mode is 0755 unless --perms precedes it. An existing directory is left unchanged.",
        |p, v| {
            let dest = v.path()?;
            let perms = p.take_perms(0o755);
            p.push(Op::Dir { dest, perms });
            Ok(())
        }),
    row!(Filesystem, "--file", [FD, DEST], "Copy FD to a file at DEST",
        "A new file has mode 0666 unless --perms precedes the option; an existing file is \
         overwritten and keeps its mode. FD is read to its end and closed.",
        |p, v| {
            let fd = v.fd()?;
            let dest = v.path()?;
            let perms = p.take_perms(0o666);
            p.push(Op::File { fd, dest, perms });
            Ok(())
        }),
    row!(Filesystem, "--bind-data", [FD, DEST],
        "Copy FD to a file in memory and bind mount it at DEST",
        "The mode is 0600 unless --perms precedes it. The file has no other path.",
        |p, v| bind_data(p, v, Access::ReadWrite)),
    row!(Filesystem, "--ro-bind-data", [FD, DEST], "Like --bind-data, but read-only",
        "",
        |p, v| bind_data(p, v, Access::ReadOnly)),
    row!(Filesystem, "--symlink", [("SRC", Kind::Text), DEST],
        "Create a symbolic link at DEST that points to SRC",
        "An existing link with the same target is accepted.",
        |p, v| {
            let target = v.path()?;
            let dest = v.path()?;
            p.push(Op::Symlink { target, dest });
            Ok(())
        }),
    row!(Privileges, "--seccomp", [FD], "Install the seccomp program read from FD",
        "FD contains a classic BPF program in the kernel's format, with at most 4096 instructions. \
         It is installed at the end of the set-up, and applies to COMMAND and PID 1.",
        |p, v| p.seccomp(v)),
    row!(Privileges, "--add-seccomp-fd", [FD], "Like --seccomp, but can be repeated",
        "Programs are installed in the given order. The kernel runs later ones first, and the \
         strictest result applies. Cannot be combined with --seccomp.",
        |p, v| p.add_seccomp(v)),
    row!(Monitoring, "--block-fd", [FD], "Wait until FD is readable before running COMMAND",
        "bwrap reads one byte or reaches the end of the file.",
        |p, v| v.last_wins(&mut p.config.fds.block, Values::fd)),
    row!(Monitoring, "--userns-block-fd", [FD],
        "Wait for FD while another process writes the ID maps",
        "Intended for newuidmap(1) and newgidmap(1): read the child's PID from --info-fd, write \
         the maps, then write a byte to FD. Requires --unshare-user (--unshare-all is not enough) \
         and --info-fd.",
        |p, v| v.last_wins(&mut p.config.fds.userns_block, Values::fd)),
    row!(Monitoring, "--info-fd", [FD], "Write the sandbox's PID and namespaces to FD as JSON",
        "Writes one JSON object with child-pid and the inode numbers of the new namespaces, then \
         closes FD; see STATUS DOCUMENTS below.",
        |p, v| v.last_wins(&mut p.config.fds.info, Values::fd)),
    row!(Monitoring, "--json-status-fd", [FD], "Write the sandbox's status to FD as JSON",
        "Writes one JSON object per line: first child-pid and the namespaces and, at the end, \
         exit-code if COMMAND was executed; see STATUS DOCUMENTS below.",
        |p, v| v.last_wins(&mut p.config.fds.json_status, Values::fd)),
    row!(Lifecycle, "--new-session", [], "Start a new terminal session",
        "COMMAND has no controlling terminal, so it cannot push input into the caller's terminal \
         (CVE-2017-5226). Use this option, or refuse TIOCSTI with a seccomp filter.",
        |p, _| { p.config.switches.new_session = true; Ok(()) }),
    row!(Lifecycle, "--die-with-parent", [], "Kill COMMAND when bwrap or its parent dies",
        "The signal is SIGKILL. The parent is the process that started bwrap, whichever of its \
         threads did so and whatever program it executes later. In bubblewrap, and here if \
         pidfd_open(2) is refused or the parent is in another PID namespace, the parent is the \
         thread that did so. With --unshare-pid and without --as-pid-1, everything that COMMAND \
         has started dies too, even while bwrap is stopped. Without --unshare-pid, processes that \
         COMMAND has started can survive. Without --unshare-pid, or with --as-pid-1, COMMAND \
         itself survives the death of bwrap's parent while bwrap is stopped, and it survives the \
         killing of bwrap if it has reset its own parent-death signal. The kernel resets that \
         signal when --exec-label or --apparmor changes COMMAND's label. bwrap cannot notice a \
         parent that dies before bwrap begins to run.",
        |p, _| { p.config.switches.die_with_parent = true; Ok(()) }),
    row!(Lifecycle, "--as-pid-1", [], "Run COMMAND as PID 1",
        "COMMAND must reap orphans, and signals to it are treated as pid_namespaces(7) describes \
         for PID 1. Requires --unshare-pid.",
        |p, _| { p.config.switches.as_pid_1 = true; Ok(()) }),
    row!(Privileges, "--cap-add", [("CAP", Kind::Capability)],
        "Give COMMAND the capability CAP, or ALL",
        "In a new user namespace a capability applies only to resources of that namespace. CAP is \
         a name such as CAP_NET_ADMIN, in upper or lower case, or a number. --cap-add and \
         --cap-drop are applied in order.",
        |p, v| { let edit = CapEdit::add(v.text())?; p.edit_caps(edit); Ok(()) }),
    row!(Privileges, "--cap-drop", [("CAP", Kind::Capability)],
        "Remove the capability CAP, or ALL, from COMMAND",
        "By default, COMMAND has no capabilities, unless root runs bwrap: then it keeps the \
         caller's. In a new user namespace they apply only to that namespace. If --uid makes \
         COMMAND another user there, it has none by default. If --cap-add or --cap-drop is given, \
         it has the caller's, as changed by these options. To give it only some, begin with \
         --cap-drop ALL.",
        |p, v| { let edit = CapEdit::drop(v.text())?; p.edit_caps(edit); Ok(()) }),
    row!(Filesystem, "--perms", [OCTAL], "Set the mode of what the next option creates",
        "OCTAL is at most 07777. The next option, apart from --size, --noexec and --nosymfollow, \
         must be one to which it applies: --dir, --tmpfs, --file, --bind-data, --ro-bind-data, or \
         the first --tar of a destination.",
        Perms, |p, v| p.set_perms(v)),
    row!(Filesystem, "--size", [("BYTES", Kind::Text)],
        "Set the size limit of the next --tmpfs or --tar",
        "Only --perms, --noexec and --nosymfollow can stand between the two. A value that begins \
         with 0x is hexadecimal; any other that begins with 0 is octal.",
        Size, |p, v| p.set_size(v)),
    row!(Filesystem, "--chmod", [OCTAL, ("PATH", Kind::Dest)],
        "Change the mode of PATH in the sandbox",
        "PATH must exist.",
        |p, v| {
            let perms = v.octal()?;
            let path = v.path()?;
            p.push(Op::Chmod { perms, path });
            Ok(())
        }),
    row!(General, "--not-a-security-boundary", [], "Continue if a mount's flags cannot be set",
        "This concerns kernels without mount_setattr(2) (before Linux 5.12), where the flags of \
         mounts below a bind are set one by one. If the flags of one cannot be set, bwrap prints a \
         warning instead of an error. Use this only for sandboxes that exist for convenience.",
        |p, _| { p.config.switches.not_a_security_boundary = true; Ok(()) }),
    row!(Beyond, Anywhere, "--seccomp-default", [],
        "Filter COMMAND's system calls with the built-in policy",
        "The policy refuses system calls that desktop programs and builds rarely need, such as \
         those for new namespaces, mounts, keyrings, BPF and io_uring; see SECCOMP POLICIES below.",
        |p, _| {
            if !p.config.policies.contains(&Policy::BuiltIn) { p.config.policies.push(Policy::BuiltIn); }
            Ok(())
        }),
    row!(Beyond, Anywhere, "--seccomp-policy", [("FILE", Kind::HostPath)],
        "Filter COMMAND's system calls with the policy in FILE",
        "FILE is a policy in the JSON format of the OCI runtime specification, which Docker and \
         Podman accept with --security-opt seccomp=FILE; see SECCOMP POLICIES below. Can be \
         repeated, and combined with the other filter options. A call is refused if any filter \
         refuses it.",
        |p, v| { let file = p.profiles.beside(v.path()?); p.config.policies.push(Policy::File(file)); Ok(()) }),
    row!(Beyond, Anywhere, "--rlimit", [("NAME", Kind::Text), ("VALUE", Kind::Text)],
        "Set a resource limit for COMMAND",
        "NAME is one of as, core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, \
         rss, rtprio, rttime, sigpending and stack, in upper or lower case. These are the limits \
         of setrlimit(2), in its units. VALUE is the soft and the hard limit separated by a colon, \
         or one number for both. The word unlimited means no limit. Can be repeated; for the same \
         limit, the last option sets both values. Raising a hard limit requires CAP_SYS_RESOURCE \
         in the initial user namespace.",
        |p, v| { Limit::parse(v.text(), v.text())?.add_to(&mut p.config.limits); Ok(()) }),
    row!(Beyond, Anywhere, "--cgroup", [("KEY", Kind::Text), ("VALUE", Kind::Text)],
        "Limit the resources of the whole sandbox",
        "bwrap creates a control group for the sandbox and writes VALUE to its file KEY before \
         anything runs in it. The limit applies to all processes of the sandbox together. KEY is a \
         file of cgroup v2 such as memory.max, memory.swap.max, pids.max, cpu.max, cpu.weight, \
         io.max or cpuset.cpus. Can be repeated; values are written in order. The group that bwrap \
         starts in must be delegated to the user. CONTROL GROUPS below describes delegation and \
         the values.",
        |p, v| {
            let setting = Setting::parse(v.text(), v.text())?;
            p.config.cgroup.push(setting);
            Ok(())
        }),
    row!(Beyond, Anywhere, "--apparmor", [("PROFILE", Kind::Text)],
        "Run COMMAND under AppArmor profile PROFILE",
        "PROFILE is the name of a loaded profile; see apparmor(7). If the caller is confined, \
         COMMAND runs under both profiles and can do only what both allow; this requires a \
         change_profile rule in the caller's profile. Paths in PROFILE are those of the sandbox. \
         PROFILE applies from COMMAND's first instruction on, but not to the sandbox's PID 1.",
        |p, v| v.last_wins(&mut p.config.apparmor, |v| Profile::parse(v.text()))),
    row!(Beyond, Anywhere, "--scope-signals", [],
        "Prevent signals to processes outside the sandbox",
        "Neither kill(2) nor related calls reach a process outside, even if the PID namespace is \
         shared. Uses Landlock and requires Linux 6.12.",
        |p, _| { p.config.landlock.signals = true; Ok(()) }),
    row!(Beyond, Anywhere, "--scope-abstract-unix", [],
        "Prevent connections to abstract sockets outside",
        "Abstract unix(7) sockets belong to the network namespace, so --unshare-net has the same \
         effect and more. Uses Landlock and requires Linux 6.12.",
        |p, _| { p.config.landlock.abstract_unix = true; Ok(()) }),
    row!(Beyond, Anywhere, "--tcp-connect", [("PORT", Kind::Text)],
        "Allow TCP connections only to PORT; UDP is not limited",
        "Once this option or --tcp-bind is given, connecting to a port that no --tcp-connect \
         names, and binding one that no --tcp-bind names, fail with EACCES, over IPv4 and IPv6 and \
         for every address. Both can be repeated. This is not a firewall: listen(2) without \
         bind(2) still gets a port chosen by the kernel. A socket or io_uring that COMMAND \
         inherits or receives over another socket may already be connected or speak another \
         protocol. Other processes, such as a proxy behind a unix(7) socket, can connect on \
         COMMAND's behalf. Use --unshare-net to remove the network altogether. Uses Landlock and a \
         system call filter that blocks ways around it, and requires Linux 6.7. The filter applies \
         to COMMAND but not to PID 1. It allows TCP, datagram sockets of IPv4 and IPv6, unix(7) \
         and netlink(7) sockets, and so refuses MPTCP, SMC, SCTP, raw and packet sockets and all \
         other families. It also refuses MSG_FASTOPEN, TCP_ULP (and with it TLS in the kernel), \
         io_uring, and system calls of other architectures.",
        |p, v| { let port = v.port()?; p.config.landlock.connect.push(port); Ok(()) }),
    row!(Beyond, Anywhere, "--tcp-bind", [("PORT", Kind::Text)],
        "Allow TCP to bind only PORT; unbound listeners are not limited",
        "Otherwise like --tcp-connect. Port 0 means a port chosen by the kernel. Programs that try \
         MPTCP first, such as those written in Go, fall back to TCP when they listen.",
        |p, v| { let port = v.port()?; p.config.landlock.bind.push(port); Ok(()) }),
    row!(Beyond, Anywhere, "--mask", [("PATH", Kind::Dest)], "Hide PATH if it exists",
        "bwrap covers whatever PATH leads to at this point of the command line with an empty \
         directory or file. Nobody can write to it, and only a process with CAP_DAC_OVERRIDE or \
         CAP_DAC_READ_SEARCH can read it. A symbolic link stays visible, and its target is hidden. \
         If PATH does not exist, nothing is created. The host is not changed. MASKS below \
         describes the limits of this protection.",
        |p, v| p.mask(v)),
    row!(Beyond, Anywhere, "--mask-glob", [("PATTERN", Kind::Text)],
        "Hide everything that matches PATTERN",
        "Like --mask, for every file and directory in the sandbox whose path matches at this point \
         of the command line. MASKS below describes the patterns. Consecutive --mask-glob options \
         share a single walk of the file system. More than 100000 matches are an error.",
        |p, v| p.mask_glob(v)),
    row!(Beyond, Anywhere, "--follow-symlinks", [], "Follow symbolic links at later destinations",
        "Without this option a DEST that is a symbolic link is an error, except for --lock-file, \
         which always follows it, and for a --symlink that would create the same link. Links \
         before the last component of a DEST are always followed. With this option, later binds, \
         --tmpfs, overlays, --dir, --file, --bind-data, --ro-bind-data, --chmod and --remount-ro \
         act on what the link leads to in the sandbox; --symlink and the other options do not. The \
         link, and each link that it leads through, must lie on a read-only mount or on a file \
         system that belongs to the sandbox alone: the empty root, --tmpfs, --tar, --dev and \
         --tmp-overlay. On any other mount, whoever can write to it, such as an earlier COMMAND, \
         could redirect a link, and a later mount would then protect the wrong place. With --file \
         and --chmod, what the link leads to must belong to the sandbox alone as well. It is an \
         error if a link is dangling, leads to / or into a procfs, is one of more than 40 in a \
         row, or is on a mount with nosymfollow. COMMAND can replace a link on a tmpfs that it can \
         write to, but not what is mounted at its target: to protect a place, name the place \
         itself or use --remount-ro. In a profile, the option also applies to what follows the \
         profile.",
        |p, _| { p.follow_symlinks(); Ok(()) }),
    row!(Beyond, Anywhere, "--noexec", [], "Forbid the execution of files on the next mount",
        "Applies to binds, --tmpfs, overlays, --bind-data, --ro-bind-data and the first --tar of a \
         destination, and to every mount below a bind. The kernel refuses execve(2) and executable \
         mappings of files there. An interpreter located elsewhere can still read them: sh FILE \
         runs the script FILE. COMMAND can also copy a file to memory or to another mount and \
         execute the copy. Nothing in the sandbox can clear the flag, unless COMMAND has \
         CAP_SYS_ADMIN in the user namespace that owns the sandbox's mounts.",
        Flag, |p, v| p.set_noexec(v)),
    row!(Beyond, Anywhere, "--nosymfollow", [], "Do not follow symbolic links on the next mount",
        "Applies to the same options as --noexec; both can be given, in either order. Links can \
         still be created and read, but a path that leads through one fails with ELOOP. Unlike the \
         other flags, this one can be cleared in a new mount namespace. A COMMAND that tries to do \
         so is stopped by --disable-userns, unless it has CAP_SYS_ADMIN, and by a filter that \
         refuses new namespaces and mounts, such as --seccomp-default.",
        Flag, |p, v| p.set_nosymfollow(v)),
    row!(Beyond, Anywhere, "--uid-map", [("INSIDE", Kind::Text), ("OUTSIDE", Kind::Text), ("COUNT", Kind::Text)],
        "Map user IDs in the sandbox to IDs outside",
        "COUNT IDs starting at INSIDE map to those starting at OUTSIDE, like one line of uid_map \
         in user_namespaces(7). Can be repeated for more ranges. Requires a new user namespace \
         and, for any ID other than the caller's own, root. To map only their own ID, ordinary \
         users need just --uid. COMMAND runs as the ID of --uid, otherwise as the ID that the \
         caller's own ID maps to, otherwise as the first INSIDE. If any ID other than the caller's \
         own is mapped, COMMAND has no supplementary groups. The set-up runs with the same IDs, \
         which must therefore be able to reach the sources. See ID RANGES below.",
        |p, v| { let range = v.range()?; p.config.maps.uid.push(range); Ok(()) }),
    row!(Beyond, Anywhere, "--gid-map", [("INSIDE", Kind::Text), ("OUTSIDE", Kind::Text), ("COUNT", Kind::Text)],
        "Map group IDs in the sandbox to IDs outside",
        "Like --uid-map. Without this option only one group is mapped.",
        |p, v| { let range = v.range()?; p.config.maps.gid.push(range); Ok(()) }),
    row!(Beyond, Anywhere, "--forward-signals", [], "Forward signals to COMMAND",
        "bwrap forwards HUP, INT, QUIT, TERM, USR1, USR2, CONT and WINCH to COMMAND. bwrap ends \
         when COMMAND does, with its exit status. bwrap does not repeat a signal that COMMAND \
         receives directly from the terminal. timeout(1) and many CI runners signal a whole \
         process group, and COMMAND then receives the signal twice: directly and from bwrap. Use \
         --new-session there, which takes COMMAND out of that group. Before COMMAND is executed, \
         signals have their usual effect on bwrap; if one ends bwrap, COMMAND is not run. With \
         --as-pid-1 the kernel discards signals for which COMMAND has no handler.",
        |p, _| { p.config.switches.forward_signals = true; Ok(()) }),
    row!(Beyond, CommandLine, "--netns", [FD], "Join network namespace FD",
        "FD is an open /proc/PID/ns/net. Root can join any. An ordinary user can join one that \
         belongs to their own user namespace, such as one created by unshare(1) or pasta(1): bwrap \
         first joins that user namespace, which must map the caller's IDs, and creates the \
         sandbox's namespaces below it. Cannot be combined with --unshare-net; after \
         --unshare-all, give --share-net. With --userns the network namespace must belong to the \
         user namespace given there, unless root runs bwrap. A process that has CAP_SYS_PTRACE in \
         the joined user namespace, and can see its processes, can take over the set-up.",
        |p, v| v.last_wins(&mut p.config.fds.netns, Values::fd)),
    row!(Beyond, Anywhere, "--address-families", [("LIST", Kind::Text)],
        "Allow socket(2) to create only sockets of the families in LIST",
        "LIST is a comma-separated list of address families, by name or number, or the word none. \
         A name is that of the kernel's AF_ constant in lower case, without AF_: unix, inet, \
         inet6, netlink, packet, vsock and so on. Can be repeated to add more. Any other family \
         fails with EAFNOSUPPORT, as if the kernel lacked it. Without unix, socketpair(2) still \
         creates stream and seqpacket pairs but not datagram pairs, whose ends could be connected \
         to other sockets. Without packet, SOCK_PACKET is refused. io_uring and system calls of \
         other architectures are refused. Sockets that COMMAND inherits or receives over another \
         socket can be of any family, and inet6 reaches IPv4 through mapped addresses. Uses a \
         system call filter, which works on every kernel and applies to COMMAND but not to PID 1.",
        |p, v| p.config.families.get_or_insert_default().add(v.text())),
    row!(Beyond, Anywhere, "--unix-connect", [("PATH", Kind::Dest)],
        "Allow connections to outside unix sockets only at or below PATH",
        "PATH is a socket or a directory in the sandbox, not a symbolic link, and must exist when \
         COMMAND starts. Can be repeated. Connecting or sending to any other unix(7) socket \
         created outside the sandbox fails: with EACCES if it is in the file system, and with \
         EPERM if it is abstract, as with --scope-abstract-unix. Sockets created inside stay \
         usable. A socket that is recreated at the same path is a different one: to allow it too, \
         name its directory. Sockets that COMMAND inherits or receives over another socket may be \
         connected to anything, and other processes, including those that it can connect to, can \
         connect on its behalf. COMMAND can no longer mount anything, so bwrap does not work \
         inside. Uses Landlock and a system call filter that refuses io_uring and system calls of \
         other architectures, and requires Linux 7.1. The filter applies to COMMAND but not to PID \
         1.",
        |p, v| { let path = v.path()?; p.config.landlock.unix.push(path); Ok(()) }),
    row!(Beyond, Anywhere, "--udp-connect", [("PORT", Kind::Text)],
        "Allow UDP to connect and send only to PORT",
        "Once this option or --udp-bind is given, connecting or sending to a port that no \
         --udp-connect names, and binding one that no --udp-bind names, fail with EACCES, over \
         IPv4 and IPv6, for every address and whether or not the socket is connected. Both can be \
         repeated. With --udp-connect a socket can also be bound to port 0, which means a port \
         chosen by the kernel, because every sender needs one. TCP is not limited. A socket or \
         io_uring that COMMAND inherits or receives over another socket may already be connected \
         or speak another protocol. Other processes, such as a resolver behind a unix(7) socket, \
         can send on COMMAND's behalf, and so can the kernel if COMMAND has CAP_NET_ADMIN over the \
         network namespace. Uses Landlock and a system call filter that blocks ways around it, and \
         requires Linux 7.2. The filter applies to COMMAND but not to PID 1. It allows UDP, ping, \
         TCP, MPTCP, unix(7) and netlink(7) sockets, and so refuses UDP-Lite, SCTP (which can be \
         carried in UDP), SMC, raw and packet sockets, vsock(7) and all other families. It also \
         refuses io_uring and system calls of other architectures.",
        |p, v| { let port = v.port()?; p.config.landlock.udp_connect.push(port); Ok(()) }),
    row!(Beyond, Anywhere, "--udp-bind", [("PORT", Kind::Text)], "Allow UDP to bind only PORT",
        "Otherwise like --udp-connect. Port 0 means a port chosen by the kernel.",
        |p, v| { let port = v.port()?; p.config.landlock.udp_bind.push(port); Ok(()) }),
    row!(Beyond, Anywhere, "--proc-pid", [DEST], "Mount a procfs at DEST that shows only processes",
        "Like --proc, but without the kernel's settings and information (the option subset=pid of \
         proc(5)). From Linux 7.1 on it can also be mounted where the surrounding procfs is partly \
         hidden, as in a container, where --proc is refused. COMMAND can mount a whole procfs in \
         its own namespaces, if the kernel allows it. --disable-userns prevents this. Requires \
         --unshare-pid or --pidns.",
        |p, v| { let dest = v.path()?; p.push(Op::ProcPid(dest)); Ok(()) }),
    row!(Beyond, Anywhere, "--timeout", [("SECONDS", Kind::Text)],
        "End the sandbox SECONDS after COMMAND starts",
        "When the time is up, bwrap sends SIGTERM and SIGCONT to COMMAND. If it has not ended 10 \
         seconds later, bwrap kills everything in the sandbox. SECONDS:DELAY sets another delay, \
         as in 60:2. The exit status, also in --json-status-fd, is 124 in either case, however \
         COMMAND reacts to SIGTERM (timeout(1) exits with 137 after killing). The numbers are \
         decimal, such as 2.5. The clock runs while COMMAND is stopped, but not while the machine \
         is suspended. When COMMAND ends, in time or not, everything that it has started is \
         killed, so --unshare-pid or --cgroup is required. With --unshare-pid the sandbox also \
         dies if bwrap is killed. Without it, only COMMAND dies then, and what it has started \
         survives; COMMAND may also be able to stop or kill bwrap itself. In either case the \
         sandbox outlives bwrap's parent, unless --die-with-parent is given. With --as-pid-1 the \
         kernel discards SIGTERM if COMMAND has no handler for it.",
        |p, v| v.last_wins(&mut p.config.timeout, |v| Timeout::parse(v.text()))),
    row!(Beyond, Anywhere, "--tar", [FD, DEST], "Unpack the tar archive FD at DEST, in memory",
        "The first --tar of a DEST mounts a tmpfs there. A preceding --size limits its size; the \
         default limit is half of the memory. A preceding --perms sets its mode; the default is \
         the mode in the archive, otherwise 0755. Each further --tar is a layer of an image on top \
         of the existing content: it replaces what has the same name, and whiteouts and opaque \
         directories, as the OCI image specification defines them, remove what earlier layers have \
         added. An archive writes only to its own tmpfs, and an existing mount at DEST that is not \
         empty is an error. FD is read once. It must contain an uncompressed archive in GNU tar, \
         pax or ustar format; sparse files are supported. Let another program decompress it: in \
         bash(1), for example, with --tar 11 / 11< <(zcat LAYER). Paths, including those in links, \
         are resolved with DEST as /. A name, or the target of a hard link, with a component that \
         leads upwards (..) is an error; the target of a symbolic link can contain one. It is also \
         an error if an archive is truncated, has more than 1048576 entries, or has more than \
         65536 bytes of headers for one entry. Files whose owners are not mapped belong to the \
         user that the sandbox runs as. Devices and extended attributes are left out, with a \
         warning that counts them.",
        |p, v| p.tar(v)),
    row!(Beyond, CommandLine, "--check-host", [], "Show what this machine allows a sandbox to do",
        "bwrap tests namespaces, a new /proc and /dev, overlays, system call filters, Landlock and \
         recording by creating one sandbox for each, and looks up whether control groups, AppArmor \
         and SELinux are available. It shows what fails, why, and what would help. Nothing is \
         changed, and options after this one, except --error-fd and --setup-status, are not read. \
         The exit status is 0 if a plain sandbox works, and otherwise 1, or that of \
         --setup-status. With --error-fd the same is written to that file as one JSON object with \
         the members version, kernel, works and checks. Each element of checks has name and \
         available and, where they apply, detail, reason and cure.",
        |p, _| { p.request(Request::CheckHost); Ok(()) }),
    row!(Beyond, CommandLine, "--dry-run", [], "Show what would be done, and do nothing",
        "Prints a description to standard output: namespaces, IDs, capabilities, limits, filters, \
         names in policies that are not system calls on this machine, and the file system as a \
         tree. bwrap looks for sources and reports missing ones. It touches nothing else and does \
         not run COMMAND. Whatever would fail is marked, as far as bwrap can tell: sources and \
         destinations, COMMAND, its interpreter and the links that lead to them in the sandbox, \
         --chdir, files that are not open, limits, and what the kernel lacks. The exit status is \
         then 1, or that of --setup-status, and otherwise 0. Notes at the end, which do not change \
         the status, say what the sandbox lets through or lacks: sockets of the host, variables \
         that look like secrets, and the like. Only the FD of --args is read, and its position is \
         restored if it is seekable.",
        |p, _| { p.config.switches.dry_run = true; Ok(()) }),
    row!(Beyond, CommandLine, "--dry-run-json", [FD],
        "Like --dry-run, but write JSON to FD",
        "The output is one JSON document. It contains paths and the values of --setenv, which can \
         be secrets. Members may be added; readers should ignore those that they do not know.",
        |p, v| v.last_wins(&mut p.config.fds.dry_run_json, Values::fd)),
    row!(Beyond, Anywhere, "--same", [PATH],
        "Bind mount the host's PATH at the same place, writable",
        "PATH must be absolute. Each symbolic link on the way to it, at most 40, is recreated in \
         the sandbox, and the final target is bind mounted at its own path, as by --bind. A link \
         that already exists in the sandbox is accepted if its target is the same. If a link leads \
         to /proc, as /etc/mtab does, only the link is created, because its target is a different \
         file in each sandbox; see --proc.",
        |p, v| p.same(v, Access::ReadWrite, Missing::Fatal)),
    row!(Beyond, Anywhere, "--ro-same", [PATH],
        "Bind mount the host's PATH at the same place, read-only",
        "Like --same, but the target is bind mounted read-only, as by --ro-bind.",
        |p, v| p.same(v, Access::ReadOnly, Missing::Fatal)),
    row!(Beyond, Anywhere, "--same-try", [PATH], "Like --same, but ignore a missing PATH",
        "A dangling link counts as missing and is not created either.",
        |p, v| p.same(v, Access::ReadWrite, Missing::Skip)),
    row!(Beyond, Anywhere, "--ro-same-try", [PATH], "Like --ro-same, but ignore a missing PATH",
        "",
        |p, v| p.same(v, Access::ReadOnly, Missing::Skip)),
    row!(Beyond, CommandLine, "--error-fd", [FD], "Report bwrap's failures to FD as JSON",
        "Writes one JSON object per line for each failure that keeps COMMAND from running, in \
         addition to the line on standard error; see FAILURE REPORTS below. Without --explain, an \
         FD above 2 is closed when COMMAND is executed. COMMAND does not inherit it, unless it is \
         0, 1 or 2. The option takes effect before the command line is parsed, so mistakes \
         anywhere in it are reported. An FD that cannot be written to is ignored.",
        |p, v| v.last_wins(&mut p.config.fds.error, Values::fd)),
    row!(Beyond, CommandLine, "--setup-status", [("N", Kind::Text)],
        "Exit with status N if COMMAND cannot be run",
        "N is a number from 1 to 255. The default is 1, which COMMAND can exit with as well, or \
         128 plus the signal's number if the set-up is killed. The status covers every failure of \
         bwrap, including mistakes on the command line, a COMMAND that is not found, and a set-up \
         that is killed.",
        |p, v| v.last_wins(&mut p.config.setup_status, Values::status)),
    row!(Beyond, Anywhere, "--profile", [("FILE", Kind::Profile)],
        "Read options from the profile FILE, or a built-in @NAME",
        "The options apply at this point of the command line. FILE is a text file with one option \
         per line and without COMMAND; see PROFILES below. A name that begins with @ is that of a \
         built-in profile: --profile @list shows them. Can be repeated. Arguments in profiles do \
         not count towards the limit of 9000.",
        |p, v| p.profile(v)),
    row!(Beyond, CommandLine, "--learn", [("FILE", Kind::HostPath)],
        "Record what COMMAND uses, and write a profile to FILE",
        "COMMAND runs in the sandbox that the other options describe, and bwrap records what it \
         uses there: files, programs, devices, sockets and the network. When COMMAND has ended, \
         bwrap writes a profile for --profile to FILE: the same sandbox with only what was used. \
         Programs and libraries appear in the profile as whole directories, and so does any \
         directory in which more than 16 files were used. The exceptions are HOME, \
         XDG_RUNTIME_DIR, other users' homes, directories with keys, and general directories such \
         as /etc, /opt, /run, /srv, /tmp, /var and /var/lib, but not the directories in them. A \
         file or directory that COMMAND created directly in one of these appears only as a \
         comment; for /tmp and /var/tmp, the profile contains a tmpfs instead. A later run with \
         the same FILE adds to it. Values of --setenv and open files are not recorded. If other \
         processes of the sandbox remain when COMMAND has ended, recording continues until they \
         end, for at most 5 seconds; with --unshare-pid, whatever is left is then killed. FILE \
         must not be where COMMAND can write. While recording, io_uring and system calls of 32-bit \
         programs are refused. Requires a complete /proc, a kernel.yama.ptrace_scope below 3 and, \
         if root runs bwrap, a new user namespace or --cap-drop ALL. Before Linux 5.19, signals \
         can interrupt recorded calls.",
        |p, v| v.last_wins(&mut p.config.record.learn, Values::path)),
    row!(Beyond, CommandLine, "--learn-exact", [],
        "With --learn, list each used file individually",
        "No directory stands for the files in it, unless COMMAND could write to it.",
        |p, _| { p.config.record.exact = true; Ok(()) }),
    row!(Beyond, CommandLine, "--learn-seccomp", [("FILE", Kind::HostPath)],
        "Record COMMAND's system calls, and write a policy to FILE",
        "When COMMAND has ended, bwrap writes a policy for --seccomp-policy to FILE. It allows the \
         system calls that COMMAND has made and a base set of those that nearly every program \
         makes. A later run adds to it. A profile that --learn writes in the same run names it. \
         While recording, calls outside that set take several times as long.",
        |p, v| v.last_wins(&mut p.config.record.seccomp, Values::path)),
    row!(Beyond, CommandLine, "--explain", [], "Report what COMMAND looked for that the sandbox lacks",
        "When COMMAND has ended, bwrap prints what it looked for that the host has and the sandbox \
         lacks: files, devices, /proc, /tmp, sockets and the network. It prints at most 12 lines \
         on standard error: a heading, and then options to add, some with the reason as a comment, \
         or comments alone. The lines also show what COMMAND was refused: writes to read-only \
         places, the use of ports and, in a new user or PID namespace, system calls that \
         --seccomp-policy or --seccomp-default forbids. Files that most programs look for but do \
         not need are left out. Files that may hold keys, and sockets that give control of the \
         host, appear only as comments. Read every line before you add it: COMMAND decides what it \
         looks for, and so what is suggested. With --error-fd each line after the heading is also \
         reported as an object. COMMAND is recorded as by --learn, with the same requirements.",
        |p, _| { p.config.record.explain = true; Ok(()) }),
];
