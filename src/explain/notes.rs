//! Notes of `--dry-run`: what a sandbox that starts still lets through, or lacks. They are remarks
//! and never change whether it could start.

use std::ffi::{CStr, CString, OsString};
use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStrExt as _;

use nix::sys::stat::{SFlag, stat};

use crate::config::op::{Access, Devices, Op};
use crate::config::settle::Settled;
use crate::config::{EnvEdit, Want};
use crate::confine::seccomp::policy::Policy;
use crate::explain::inside::{Node, walk};
use crate::explain::masked;
use crate::explain::plan::{Note, Plan};
use crate::explain::planned::Planned;
use crate::kernel::environment;
use crate::kernel::files::file_type;

/// What is known about the caller from before the environment was changed.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The caller's home directory.
    pub(crate) home: Option<CString>,
    /// Where the session's services listen, with what they are.
    pub(crate) sockets: Vec<(&'static str, CString)>,
}

/// Sockets of the system, where they usually are.
const SOCKETS: [(&str, &CStr); 6] = [
    ("the Docker daemon, which is root", c"/run/docker.sock"),
    ("the Docker daemon, which is root", c"/var/run/docker.sock"),
    ("Podman's service", c"/run/podman/podman.sock"),
    ("containerd, which is root", c"/run/containerd/containerd.sock"),
    ("the D-Bus system bus", c"/run/dbus/system_bus_socket"),
    ("the D-Bus system bus", c"/var/run/dbus/system_bus_socket"),
];

/// What names of variables have in them whose values are secrets.
const SECRETS: &str = "\
     TOKEN SECRET PASSWORD PASSWD PASSPHRASE API_KEY APIKEY ACCESS_KEY CREDENTIAL";

impl Caller {
    /// Looks around before the environment is changed.
    #[cold]
    pub(crate) fn now() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |value: OsString| CString::new(value.as_bytes()).ok();
        let mut sockets = Vec::new();
        let bus = variable("DBUS_SESSION_BUS_ADDRESS").and_then(|address| {
            let address = address.into_string().ok()?;
            let path =
                address.split(['=', ',', ';']).nth(1).filter(|_| address.starts_with("unix:path="));
            CString::new(path?).ok()
        });
        let runtime = variable("XDG_RUNTIME_DIR").map(|dir| [dir.as_bytes(), b"/bus"].concat());
        let bus = bus.or_else(|| runtime.and_then(|path| CString::new(path).ok()));
        sockets.extend(
            bus.map(|path| ("the D-Bus session bus, which can start programs outside", path)),
        );
        let agent = variable("SSH_AUTH_SOCK").and_then(path);
        sockets.extend(agent.map(|path| ("ssh-agent, which signs with the keys", path)));
        let display = variable("DISPLAY").and_then(|display| display.into_string().ok());
        let number = display.as_deref().and_then(|display| {
            display.rsplit_once(':').map(|(_, number)| number.split('.').next().unwrap_or_default())
        });
        let x11 = CString::new(format!("/tmp/.X11-unix/X{}", number.unwrap_or("0"))).ok();
        sockets.extend(
            x11.map(|path| ("the X11 server, which shows every key that is pressed", path)),
        );
        Self { home: variable("HOME").and_then(path), sockets }
    }
}

/// Adds remarks to a plan.
pub(crate) fn add(plan: &mut Plan<'_>, config: &Settled, planned: &Planned, caller: &Caller) {
    let mut add = |about, message: Option<String>| {
        plan.notes.extend(message.map(|message| Note { about, message }));
    };
    for socket in sockets(planned, caller) {
        add("socket", Some(socket));
    }
    add("variables", secrets(config));
    add("home", home(planned, caller));
    add("proc", without_proc(config, planned));
    add("dev", without_dev(config, planned));
    add("network", without_names(config, planned));
    add("private", taken_back(config));
    add("terminal", terminal(config));
    add("ports", ports(config));
    add("handles", handles(config));
    add("masks", masks(config));
    for note in masked::notes(config, planned) {
        add("masks", Some(note));
    }
}

/// Services of the host that can be reached by their paths.
fn sockets(planned: &Planned, caller: &Caller) -> Vec<String> {
    let system = SOCKETS.iter().map(|(what, path)| (*what, *path));
    let session = caller.sockets.iter().map(|(what, path)| (*what, path.as_c_str()));
    let mut found: Vec<(&str, String)> = Vec::new();
    for (what, path) in system.chain(session) {
        let Node::File(Some(reached)) = walk(planned, path.to_bytes()).node else { continue };
        let is_socket =
            stat(reached.as_c_str()).is_ok_and(|status| file_type(&status) == SFlag::S_IFSOCK);
        if is_socket && found.iter().all(|(known, _)| *known != what) {
            let path = path.to_string_lossy();
            found.push((what, format!("COMMAND can connect to {what}, at {path}")));
        }
    }
    found.into_iter().map(|(_, text)| text).collect()
}

/// Variables that are inherited and look like secrets. Their values are not shown.
fn secrets(config: &Settled) -> Option<String> {
    let is_set = |name: &[u8]| {
        let sets = |edit: &EnvEdit| matches!(edit, EnvEdit::Set(set, _) if set.to_bytes() == name);
        config.environment.iter().any(sets)
    };
    let mut names: Vec<String> = environment::all()
        .into_iter()
        .filter_map(|variable| variable.to_bytes().split(|&byte| byte == b'=').next())
        .filter(|name| !is_set(name))
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .filter(|name| {
            let upper = name.to_ascii_uppercase();
            SECRETS.split_ascii_whitespace().any(|part| upper.contains(part))
        })
        .collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| {
        format!(
            "COMMAND inherits variables that look like secrets: {} (see --clearenv)",
            names.join(", ")
        )
    })
}

/// Whether the caller's home can be read.
fn home(planned: &Planned, caller: &Caller) -> Option<String> {
    let home = caller.home.as_deref().filter(|home| home.to_bytes().len() > 1)?;
    let found = walk(planned, home.to_bytes());
    let there = planned.of_host(&found.path).filter(|_| found.node == Node::Directory)?;
    let same = |path: &CStr| stat(path).ok().map(|status| (status.st_dev, status.st_ino));
    (same(&there)? == same(home)?).then(|| {
        let home = home.to_string_lossy();
        format!("COMMAND can read the home directory {home}, including keys and histories (--tmpfs {home} hides it)")
    })
}

fn without_proc(config: &Settled, planned: &Planned) -> Option<String> {
    let has_own = config.ops.iter().any(|op| matches!(op, Op::Proc(_)));
    if config.namespaces.pid != Want::Yes || has_own {
        return None;
    }
    let there = walk(planned, b"/proc/self").node;
    Some(match there {
        Node::Missing => "the PID namespace is new, but there is no /proc: --proc /proc".to_owned(),
        _ => "the PID namespace is new, but /proc shows the host's processes: --proc /proc"
            .to_owned(),
    })
}

fn without_dev(config: &Settled, planned: &Planned) -> Option<String> {
    let allows = |op: &Op| matches!(op, Op::Dev(_) | Op::Bind { devices: Devices::Allowed, .. });
    if config.ops.iter().any(allows) {
        return None;
    }
    let there = if walk(planned, b"/dev/null").node == Node::Missing {
        "is missing"
    } else {
        "cannot be opened"
    };
    Some(format!("/dev/null {there}: binds give no access to devices, use --dev /dev"))
}

/// A shared network in which no name can be looked up.
fn without_names(config: &Settled, planned: &Planned) -> Option<String> {
    if config.namespaces.net == Want::Yes {
        return None;
    }
    let found = walk(planned, b"/etc/resolv.conf");
    let why = found.why_missing("is missing")?;
    Some(format!("the network is shared, but /etc/resolv.conf {why}, so names cannot be resolved"))
}

/// What `@private` unshares and something after it shares.
fn taken_back(config: &Settled) -> Option<String> {
    let is_private = config.profiles.iter().any(|name| name.to_bytes() == b"@private");
    (is_private && config.namespaces.net != Want::Yes).then(|| {
        "@private unshares the network, and an option after it shares the host's".to_owned()
    })
}

/// A terminal that COMMAND could type into.
fn terminal(config: &Settled) -> Option<String> {
    let inherits = std::io::stdin().is_terminal()
        || std::io::stdout().is_terminal()
        || std::io::stderr().is_terminal();
    let filtered = config.policies.contains(&Policy::BuiltIn);
    (inherits && !config.switches.new_session && !filtered).then(|| {
        "COMMAND shares the terminal and may be able to type into it: --new-session or --seccomp-default".to_owned()
    })
}

fn ports(config: &Settled) -> Option<String> {
    let shared = config.namespaces.net != Want::Yes;
    let landlock = &config.landlock;
    (landlock.limits_tcp() && !landlock.limits_udp() && shared).then(|| {
        "ports are limited for TCP only: UDP, and so DNS and QUIC, can go anywhere".to_owned()
    })
}

/// Files that COMMAND needs no path for.
fn handles(config: &Settled) -> Option<String> {
    let shows = |op: &Op| matches!(op, Op::Bind { .. } | Op::Overlay { .. });
    (config.may_open_handles() && config.ops.iter().any(shows)).then(|| {
        "COMMAND has CAP_DAC_READ_SEARCH on the host: it can open every file of a bound file system by its handle, also where it is masked, \
         read-only or not bound".to_owned()
    })
}

/// Mounts that COMMAND could take away again.
fn masks(config: &Settled) -> Option<String> {
    let protects = |op: &Op| match op {
        Op::Bind { access, .. } => *access == Access::ReadOnly,
        Op::Tmpfs { .. } | Op::Tar { .. } | Op::RemountRo(_) | Op::Data { .. } | Op::Mask(_) => {
            true
        }
        _ => false,
    };
    (config.may_uncover() && config.ops.iter().any(protects)).then(|| {
        "COMMAND has CAP_SYS_ADMIN over its mounts: it can unmount what hides something, and make read-only mounts writable".to_owned()
    })
}
