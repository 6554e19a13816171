//! What is measured: argument lists of the shapes that real callers use.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::common::Result;

/// One argument list.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// What tables call it.
    pub(crate) name: String,
    /// The options.
    pub(crate) options: Vec<String>,
    /// What is open as standard input, for `--args 0`.
    pub(crate) input: Option<PathBuf>,
    /// What the floor program calls this shape; none if it does not know it.
    pub(crate) shape: Option<&'static str>,
    /// How many binds it has, where that is what is measured.
    pub(crate) binds: Option<usize>,
    /// The share of the rounds that it takes: one in so many.
    pub(crate) share: usize,
}

const TYPICAL: &str = "--unshare-all --die-with-parent --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp";

/// How many mounts a crowded host has beside its own.
pub(crate) const CROWD: usize = 2000;

/// How many binds are measured. There cannot be more than 2,997, because a command line may have 9,000 words.
const BINDS: [usize; 6] = [0, 50, 200, 1000, 1450, 2900];

/// What the scenarios on such a host are called.
pub(crate) const CROWDED_NAME: &str = "plain, 2000 mounts";

/// The words of a text.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Scenario {
    fn new(name: impl Into<String>, options: Vec<String>, shape: Option<&'static str>) -> Self {
        Self { name: name.into(), options, input: None, shape, binds: None, share: 1 }
    }

    /// The host, read-only.
    pub(crate) fn plain() -> Self {
        Self::new("plain", words("--ro-bind / /"), Some("plain"))
    }

    /// What most callers ask for.
    pub(crate) fn typical() -> Self {
        Self::new("typical", words(TYPICAL), Some("typical"))
    }

    /// What the peers are measured beside.
    pub(crate) fn smallest() -> Self {
        Self::new("smallest", words("--unshare-user --unshare-pid --unshare-net --unshare-ipc --ro-bind / /"), None)
    }

    fn binds(number: usize) -> Self {
        let binds = (0..number).flat_map(|n| ["--ro-bind".to_owned(), "/usr".to_owned(), format!("/tmp/{n}")]);
        let options = words("--ro-bind / / --tmpfs /tmp").into_iter().chain(binds).collect();
        let share = if number < 1000 { 1 } else { number / 250 };
        Self { binds: Some(number), share, ..Self::new(format!("{number} binds"), options, Some("binds")) }
    }

    /// The same options, read from a file.
    fn by_args(name: &str, options: &[String], file: PathBuf) -> Result<Self> {
        let content: Vec<u8> = options.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        std::fs::write(&file, content).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self { input: Some(file), ..Self::new(name, words("--args 0"), None) })
    }
}

/// Everything on the host as it is.
pub(crate) fn all(dir: &Path) -> Result<Vec<Scenario>> {
    let mut scenarios = vec![
        Scenario::plain(),
        Scenario::typical(),
        Scenario::new("typical, host's network", words(&format!("{TYPICAL} --share-net")), Some("share-net")),
        Scenario::by_args("like Flatpak", &like_flatpak(), dir.join("flatpak"))?,
        Scenario::new("like an FHS environment", like_fhs()?, None),
    ];
    scenarios.extend(BINDS.map(Scenario::binds));
    let mut many = words("--ro-bind / / --tmpfs /tmp");
    many.extend((0..2964).flat_map(|n| ["--symlink".to_owned(), "x".to_owned(), format!("/tmp/{n}")]));
    many.truncate(8900);
    scenarios.push(Scenario { share: 4, ..Scenario::by_args("--args of 8,900 words", &many, dir.join("args"))? });
    Ok(scenarios)
}

/// What a typical sandbox is measured with that bubblewrap does not have.
pub(crate) fn further(dir: &Path) -> Result<Vec<Scenario>> {
    let policy = dir.join("policy.json");
    std::fs::write(&policy, include_str!("../profiles/container.json"))
        .map_err(|error| format!("{}: {error}", policy.display()))?;
    let policy = format!("--seccomp-policy {}", policy.display());
    let lists = [
        ("--rlimit nofile 1000", "--rlimit nofile 1000"),
        ("--scope-signals", "--scope-signals"),
        ("--seccomp-default", "--seccomp-default"),
        ("--seccomp-policy, as long as a container engine's", policy.as_str()),
        ("--forward-signals", "--forward-signals"),
        ("--seccomp-default --rlimit nofile 1000 --scope-signals", "--seccomp-default --rlimit nofile 1000 --scope-signals"),
        ("nothing", ""),
    ];
    Ok(lists.map(|(name, options)| Scenario::new(name, words(&format!("{TYPICAL} {options}")), None)).into())
}

/// What is measured on a host with many mounts. The second one does not take them along.
pub(crate) fn crowded() -> [Scenario; 2] {
    let of = |name: &str, options: &str, shape| Scenario { share: 2, ..Scenario::new(name, words(options), shape) };
    let some = "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64";
    [of(CROWDED_NAME, "--ro-bind / /", Some("plain")), of("/usr only, 2000 mounts", some, Some("usr"))]
}

/// The shape of what Flatpak passes for an app: a runtime, an app directory, much of /sys, the user's own files, links, variables.
fn like_flatpak() -> Vec<String> {
    let mut options = words(
        "--clearenv --ro-bind /usr /usr --dir /app --unshare-user --disable-userns --proc /proc --unshare-pid --dir /tmp --dir /var/tmp \
         --dir /run/host --perms 0700 --dir /run/user/1000 --setenv XDG_RUNTIME_DIR /run/user/1000 --symlink ../run /var/run \
         --ro-bind-try /proc/self/ns/user /run/.userns --ro-bind /sys/block /sys/block --ro-bind /sys/bus /sys/bus \
         --ro-bind /sys/class /sys/class --ro-bind /sys/dev /sys/dev --ro-bind /sys/devices /sys/devices \
         --ro-bind /etc/passwd /etc/passwd --ro-bind /etc/group /etc/group --ro-bind-try /etc/machine-id /etc/machine-id \
         --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --ro-bind-try /etc/resolv.conf /etc/resolv.conf \
         --ro-bind-try /etc/host.conf /etc/host.conf --ro-bind-try /etc/hosts /etc/hosts --ro-bind-try /etc/gai.conf /etc/gai.conf \
         --setenv container flatpak --unshare-ipc --unshare-net --dev /dev --dev-bind-try /dev/dri /dev/dri --tmpfs /tmp/.X11-unix \
         --ro-bind /etc/os-release /run/host/os-release --ro-bind /usr/share /run/host/share --tmpfs /run/host/fonts-cache \
         --remount-ro /run/host/fonts-cache --die-with-parent --chdir /",
    );
    let variables =
        ["PATH", "XDG_CONFIG_DIRS", "XDG_DATA_DIRS", "SHELL", "LD_LIBRARY_PATH", "HOME", "USER", "LANG", "TERM", "DISPLAY"];
    options.extend(variables.into_iter().flat_map(|name| ["--setenv".to_owned(), name.to_owned(), "/usr/bin:/bin".to_owned()]));
    options
}

/// The shape of an environment that looks like an ordinary distribution: a bind for each entry of /etc and of /usr, and links.
fn like_fhs() -> Result<Vec<String>> {
    let mut options = words("--dev-bind /dev /dev --proc /proc --die-with-parent --tmpfs /etc --tmpfs /opt");
    for (from, to) in [("/etc", "/etc"), ("/usr", "/usr"), ("/usr/lib", "/opt/lib")] {
        let mut names: Vec<_> =
            std::fs::read_dir(from).map_err(|error| error.to_string())?.flatten().map(|e| e.file_name()).collect();
        names.sort();
        // No name that is not text: those are words as well, but not of this program.
        let names = names.iter().filter_map(|name| name.to_str()).take(150);
        options.extend(names.flat_map(|name| ["--ro-bind-try".to_owned(), format!("{from}/{name}"), format!("{to}/{name}")]));
    }
    options.extend((0..100).flat_map(|n| ["--symlink".to_owned(), format!("/usr/share/{n}"), format!("/opt/link{n}")]));
    options
        .extend(words("--symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --remount-ro /opt --tmpfs /tmp"));
    Ok(options)
}

/// A user namespace and a mount namespace of our own, with many mounts more than the host has.
pub(crate) fn make_crowd(dir: &Path) -> Result<()> {
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(|error| format!("unshare: {error}"))?;
    let maps = [("setgroups", "deny".to_owned()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))];
    for (file, text) in maps {
        std::fs::write(format!("/proc/self/{file}"), text).map_err(|error| format!("{file}: {error}"))?;
    }
    let crowd = dir.join("crowd");
    for number in 0..CROWD {
        let place = crowd.join(number.to_string());
        std::fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
        let none = None::<&OsStr>;
        mount(Some(OsStr::from_bytes(b"/usr/share")), &place, none, MsFlags::MS_BIND, none)
            .map_err(|error| format!("{}: {error}", place.display()))?;
    }
    Ok(())
}
