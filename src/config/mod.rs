//! What was asked for, as plain data: [`Config`] with its list of [`Op`]s.
//!
//! Nothing in here acts. The parser fills a `Config`, [`check`] holds it to the rules, and
//! [`settle`] adds what follows from it for this caller; from then on all of it is read only.

pub(crate) mod check;
pub(crate) mod exposed;
pub(crate) mod glob;
pub(crate) mod op;
pub(crate) mod privileges;
pub(crate) mod settle;

use std::os::fd::RawFd;

use libc::c_int;

use crate::config::op::Op;
use crate::confine::apparmor::Profile;
use crate::confine::caps::CapEdit;
use crate::confine::cgroup::Setting;
use crate::confine::families::Families;
use crate::confine::landlock;
use crate::confine::limits::Limit;
use crate::confine::seccomp::policy::Policy;
use crate::confine::seccomp::program::Program;
use crate::kernel::idmap::Maps;
use crate::links::Needs;
use crate::links::timeout::Timeout;
use crate::word::Word;

/// Whether a namespace is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Want {
    /// The caller's namespace is shared.
    #[default]
    No,
    /// A new one if the system offers it, as the `-try` options say.
    Try,
    /// A new one, or nothing is run.
    Yes,
}

/// A change to the environment; they apply in order, to our own environment, because a changed PATH
/// decides where COMMAND is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EnvEdit {
    /// `--clearenv`
    Clear,
    /// `--setenv VAR VALUE`
    Set(Word, Word),
    /// `--unsetenv VAR`
    Unset(Word),
}

/// Which namespaces are new. Every sandbox has a mount namespace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Namespaces {
    /// `--unshare-user`, `--unshare-user-try`
    pub(crate) user: Want,
    /// `--unshare-ipc`
    pub(crate) ipc: Want,
    /// `--unshare-pid`
    pub(crate) pid: Want,
    /// `--unshare-net`, `--share-net`
    pub(crate) net: Want,
    /// `--unshare-uts`
    pub(crate) uts: Want,
    /// `--unshare-cgroup`, `--unshare-cgroup-try`
    pub(crate) cgroup: Want,
}

impl Namespaces {
    /// Every kind of namespace: what it is called in /proc/PID/ns, its flag, and whether a new one
    /// is wanted.
    pub(crate) const fn each(self) -> [(&'static str, c_int, Want); 7] {
        [
            ("mnt", libc::CLONE_NEWNS, Want::Yes),
            ("user", libc::CLONE_NEWUSER, self.user),
            ("pid", libc::CLONE_NEWPID, self.pid),
            ("ipc", libc::CLONE_NEWIPC, self.ipc),
            ("net", libc::CLONE_NEWNET, self.net),
            ("uts", libc::CLONE_NEWUTS, self.uts),
            ("cgroup", libc::CLONE_NEWCGROUP, self.cgroup),
        ]
    }
}

/// Yes or no, for the options that are plain switches.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the command line, independent of the others"
)]
pub(crate) struct Switches {
    /// `--disable-userns`
    pub(crate) disable_userns: bool,
    /// `--assert-userns-disabled`
    pub(crate) assert_userns_disabled: bool,
    /// `--new-session`
    pub(crate) new_session: bool,
    /// `--die-with-parent`
    pub(crate) die_with_parent: bool,
    /// `--as-pid-1`
    pub(crate) as_pid_1: bool,
    /// `--forward-signals`
    pub(crate) forward_signals: bool,
    /// `--dry-run`
    pub(crate) dry_run: bool,
    /// `--not-a-security-boundary`
    pub(crate) not_a_security_boundary: bool,
}

/// The numbers of the fds that options name. They become owned when the set-up begins, see
/// `Inherited`.
#[derive(Debug, Clone, Default)]
pub(crate) struct FdOptions {
    /// `--userns FD`
    pub(crate) userns: Option<RawFd>,
    /// `--userns2 FD`
    pub(crate) userns2: Option<RawFd>,
    /// `--netns FD`
    pub(crate) netns: Option<RawFd>,
    /// `--pidns FD`
    pub(crate) pidns: Option<RawFd>,
    /// `--sync-fd FD`, every one of them
    pub(crate) sync: Vec<RawFd>,
    /// `--seccomp FD`
    pub(crate) seccomp: Option<RawFd>,
    /// `--block-fd FD`
    pub(crate) block: Option<RawFd>,
    /// `--userns-block-fd FD`
    pub(crate) userns_block: Option<RawFd>,
    /// `--info-fd FD`
    pub(crate) info: Option<RawFd>,
    /// `--json-status-fd FD`
    pub(crate) json_status: Option<RawFd>,
    /// `--dry-run-json FD`
    pub(crate) dry_run_json: Option<RawFd>,
    /// `--error-fd FD`, which is taken care of before anything else, see `report`.
    pub(crate) error: Option<RawFd>,
    /// `--add-seccomp-fd FD`, every one of them, with `--dry-run`, which does not read them.
    pub(crate) unread: Vec<RawFd>,
}

/// An option with the number of an open file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FdOption {
    /// The option, without its hyphens.
    pub(crate) name: &'static str,
    /// The number.
    pub(crate) fd: RawFd,
    /// Who uses it up, and when.
    pub(crate) moment: Use,
}

/// Who uses up the fd of an option, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The monitor, before the sandbox is set up.
    Monitor,
    /// The sandbox, before its first operation.
    Early,
    /// The sandbox, after its last one.
    Late,
    /// `--dry-run-json`, instead of a sandbox.
    Plan,
    /// Whoever fails, until COMMAND is executed.
    Report,
    /// The parser, which leaves it to nobody else.
    Parser,
}

impl Use {
    /// Whether the fd is the set-up's: once options are read, it still has to be open.
    pub(crate) const fn is_later(self) -> bool {
        !matches!(self, Self::Report | Self::Parser)
    }
}

impl FdOptions {
    /// Every option here that is given, as often as it is. Those of the file system are in
    /// [`Op::fd`].
    pub(crate) fn each(&self) -> Vec<FdOption> {
        let mut all = Vec::new();
        let mut add = |name, fds: &[RawFd], moment| {
            all.extend(fds.iter().map(|&fd| FdOption { name, fd, moment }));
        };
        add("userns", self.userns.as_slice(), Use::Early);
        add("netns", self.netns.as_slice(), Use::Early);
        add("userns2", self.userns2.as_slice(), Use::Late);
        add("pidns", self.pidns.as_slice(), Use::Early);
        add("seccomp", self.seccomp.as_slice(), Use::Late);
        add("block-fd", self.block.as_slice(), Use::Late);
        add("userns-block-fd", self.userns_block.as_slice(), Use::Monitor);
        add("info-fd", self.info.as_slice(), Use::Monitor);
        add("json-status-fd", self.json_status.as_slice(), Use::Monitor);
        add("dry-run-json", self.dry_run_json.as_slice(), Use::Plan);
        add("sync-fd", &self.sync, Use::Late);
        add("error-fd", self.error.as_slice(), Use::Report);
        add("add-seccomp-fd", &self.unread, Use::Parser);
        all
    }

    /// The numbers that are used up before the first operation.
    pub(crate) fn used_early(&self) -> Vec<RawFd> {
        let early = |option: &FdOption| matches!(option.moment, Use::Monitor | Use::Early);
        self.each().into_iter().filter(early).map(|option| option.fd).collect()
    }
}

/// Where an option stands that is not on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The profile, as it was named.
    pub(crate) file: Word,
    /// The number of the line.
    pub(crate) line: u32,
}

/// What is to be recorded of what COMMAND uses.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Record {
    /// `--learn FILE`
    pub(crate) learn: Option<Word>,
    /// `--learn-exact`
    pub(crate) exact: bool,
    /// `--learn-seccomp FILE`
    pub(crate) seccomp: Option<Word>,
    /// `--explain`
    pub(crate) explain: bool,
}

/// Everything the command line said.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// COMMAND and its arguments.
    pub(crate) command: Vec<Word>,
    /// `--setup-status N`
    pub(crate) setup_status: Option<u8>,
    /// The last option that has values, its last value's name, and that value.
    pub(crate) last: Option<(&'static str, &'static str, Word)>,
    /// `--argv0 VALUE`
    pub(crate) argv0: Option<Word>,
    /// Which namespaces are new.
    pub(crate) namespaces: Namespaces,
    /// The plain switches.
    pub(crate) switches: Switches,
    /// The fds that options name.
    pub(crate) fds: FdOptions,
    /// `--uid UID`
    pub(crate) uid: Option<u32>,
    /// `--gid GID`
    pub(crate) gid: Option<u32>,
    /// `--uid-map` and `--gid-map`, each in order. Once checked, only if they are more than one id
    /// of the caller's.
    pub(crate) maps: Maps,
    /// `--hostname NAME`
    pub(crate) hostname: Option<Word>,
    /// `--chdir DIR`
    pub(crate) chdir: Option<Word>,
    /// The environment's changes, in order.
    pub(crate) environment: Vec<EnvEdit>,
    /// `--lock-file DEST`, every one of them
    pub(crate) lock_files: Vec<Word>,
    /// The file-system operations, in order.
    pub(crate) ops: Vec<Op>,
    /// `--follow-symlinks`: from which operation on links are followed.
    pub(crate) follow_from: Option<usize>,
    /// Which of them stand in profiles, and where; as long as that list.
    pub(crate) origins: Vec<Option<Origin>>,
    /// The profiles that were read, as they were named.
    pub(crate) profiles: Vec<Word>,
    /// `--exec-label LABEL`
    pub(crate) exec_label: Option<Word>,
    /// `--file-label LABEL`
    pub(crate) file_label: Option<Word>,
    /// The programs of `--add-seccomp-fd`, read while parsing.
    pub(crate) seccomp_programs: Vec<Program>,
    /// `--seccomp-policy` and `--seccomp-default`, in order.
    pub(crate) policies: Vec<Policy>,
    /// `--cap-add` and `--cap-drop`, in order.
    pub(crate) caps: Vec<CapEdit>,
    /// `--rlimit NAME VALUE`, the last one for each name.
    pub(crate) limits: Vec<Limit>,
    /// `--cgroup KEY VALUE`, in order.
    pub(crate) cgroup: Vec<Setting>,
    /// What Landlock is to keep inside.
    pub(crate) landlock: landlock::Wanted,
    /// `--apparmor PROFILE`
    pub(crate) apparmor: Option<Profile>,
    /// `--address-families LIST`, all of them together
    pub(crate) families: Option<Families>,
    /// `--timeout SECONDS[:KILL]`
    pub(crate) timeout: Option<Timeout>,
    /// `--learn` and its relatives.
    pub(crate) record: Record,
}

impl Config {
    /// Whether nothing is done, and only shown.
    pub(crate) const fn is_dry(&self) -> bool {
        self.switches.dry_run || self.fds.dry_run_json.is_some()
    }

    /// Whether `--follow-symlinks` stands before this operation, and is about it.
    pub(crate) fn follows_at(&self, index: usize) -> bool {
        self.follow_from.is_some_and(|first| index >= first)
            && self.ops.get(index).is_some_and(Op::may_follow)
    }

    /// Whether there are id maps that only the monitor can write.
    pub(crate) fn has_ranges(&self) -> bool {
        self.maps != Maps::default()
    }

    /// Whether the monitor moves to a user namespace that others have made.
    pub(crate) const fn moves(&self) -> bool {
        self.fds.userns.is_some() || self.fds.userns2.is_some()
    }

    /// Whether somebody is told about the sandbox.
    pub(crate) const fn tells(&self) -> bool {
        self.fds.info.is_some() || self.fds.json_status.is_some()
    }

    /// Whether what COMMAND uses is recorded.
    pub(crate) const fn records(&self) -> bool {
        self.record.learn.is_some() || self.record.seccomp.is_some() || self.record.explain
    }

    /// Which links the monitor and the sandbox need.
    pub(crate) fn links(&self) -> Needs {
        // The monitor reports the namespaces only when they are final, and the sandbox reports its
        // own where the monitor cannot look at them.
        let tells_itself = self.has_own_cgroup_root() || self.fds.userns.is_some();
        Needs {
            tether: self.has_gate() || self.dies_in_setup(),
            report: self.has_init(),
            executed: self.fds.json_status.is_some()
                || self.setup_status.is_some()
                || self.records(),
            signals: self.switches.forward_signals || self.timeout.is_some(),
            pid: self.fds.pidns.is_some() || self.tells() && tells_itself,
            recorder: self.records(),
        }
    }

    /// Whether a byte from the monitor is awaited before the set-up begins.
    pub(crate) fn has_gate(&self) -> bool {
        let fds = &self.fds;
        let joins = fds.userns.is_some() || fds.userns2.is_some() || fds.pidns.is_some();
        self.tells() || joins || fds.userns_block.is_some() || self.has_ranges()
    }

    /// Whether there is a `--dev`, whose devpts needs a root in its user namespace.
    pub(crate) fn has_dev(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Dev(_)))
    }

    /// Whether COMMAND gets a parent of ours inside the sandbox, which reaps and holds locks and
    /// fds.
    pub(crate) fn has_init(&self) -> bool {
        let needed = self.namespaces.pid == Want::Yes
            || !self.lock_files.is_empty()
            || !self.fds.sync.is_empty();
        needed && !self.switches.as_pid_1
    }

    /// Whether COMMAND has to end with the monitor: because that was asked for, or because the
    /// monitor has the clock.
    pub(crate) const fn dies_with_monitor(&self) -> bool {
        self.switches.die_with_parent || self.timeout.is_some()
    }

    /// Whether COMMAND's parent of ours can end everything by its own end.
    pub(crate) fn has_first_process(&self) -> bool {
        self.namespaces.pid == Want::Yes && self.has_init()
    }

    /// Whether a set-up has to end with the monitor: also because signals are for the monitor to
    /// pass on and it may be ended by one.
    pub(crate) const fn dies_in_setup(&self) -> bool {
        self.dies_with_monitor() || self.switches.forward_signals
    }

    /// Whether the process is inside a pid namespace that is not the caller's, so that a procfs of
    /// our own shows the right one.
    pub(crate) const fn has_own_pidns(&self) -> bool {
        matches!(self.namespaces.pid, Want::Yes) || self.fds.pidns.is_some()
    }

    /// Whether the sandbox's own control group is to be the root of a cgroup namespace.
    pub(crate) fn has_own_cgroup_root(&self) -> bool {
        !self.cgroup.is_empty() && self.namespaces.cgroup != Want::No
    }

    /// Whether somebody else decides which ids there are.
    pub(crate) const fn has_foreign_ids(&self) -> bool {
        self.moves() || self.fds.userns_block.is_some()
    }
}
