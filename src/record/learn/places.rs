//! Places of the host that profiles name by a variable, and those that are never given as a whole.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt::Write as _;

use crate::kernel::environment;
use crate::profile::text;
use crate::record::mounts::{Host, is_within, names, parent, rest_of};

/// Directories in which each file is a line of its own.
const FIXED: &str = "\
     / /boot /dev /etc /home /media /mnt /opt /proc /root /run /run/user /srv /sys /tmp /var \
     /var/cache /var/lib /var/log /var/run /var/spool /var/tmp";

/// Directories of a home that hold keys or passwords, or that hold such directories.
const KEYS: &str = "\
     .aws .azure .cargo .config .config/chromium .config/gcloud .config/gh .config/google-chrome \
     .config/op .docker .electrum .gem .gnupg .kube .local .local/share .local/share/keyrings \
     .m2 .mozilla .npm .password-store .pki .ssh .terraform.d .thunderbird .vault";

/// Those that only hold such directories, among much else.
const BROAD: &str = ".cargo .config .gem .local .local/share .m2 .npm";

/// Files of a home that hold keys or tokens.
const TOKENS: &str = "\
     .ICEauthority .Xauthority .cargo/credentials .cargo/credentials.toml .gem/credentials \
     .git-credentials .m2/settings.xml .my.cnf .netrc .npmrc .pgpass .pypirc";

/// What the system keeps from ordinary users.
const SECRETS: &str = "\
     /etc/NetworkManager/system-connections /etc/gshadow /etc/krb5.keytab /etc/letsencrypt \
     /etc/shadow /etc/ssh /etc/ssl/private /etc/sudoers /etc/sudoers.d /etc/wireguard";

/// Directories with programs and libraries, which are given as a whole.
const PROGRAMS: &str = "/usr /bin /sbin /lib /lib32 /lib64 /libx32 /nix/store /gnu/store";

/// Directories that are each sandbox's own if anything is made in them.
pub(crate) const SCRATCH: &[&[u8]] = &[b"/tmp", b"/var/tmp"];

/// The directory for shared memory.
pub(crate) const SHARED: &[u8] = b"/dev/shm";

/// Sockets, by the end of their path, and what they give access to.
const SOCKETS: &[(&str, &str)] = &[
    ("docker.sock", "root on this machine, by Docker"),
    ("podman.sock", "all containers of Podman"),
    ("containerd.sock", "all containers of containerd"),
    ("system_bus_socket", "all services of the system on D-Bus"),
    ("/bus", "all services of the session on D-Bus"),
    ("/.X11-unix/X0", "an X server, whose clients can read every key"),
    ("wayland-0", "the screen, by Wayland"),
    ("/pulse/native", "sound and microphones, by PulseAudio"),
    ("/pipewire-0", "sound, microphones and cameras, by PipeWire"),
    ("S.gpg-agent", "the keys of gpg-agent"),
    ("S.gpg-agent.ssh", "the keys of gpg-agent"),
    ("/keyring/ssh", "the keys of the keyring"),
    ("/nscd/socket", "names of users and hosts, by nscd"),
    ("/systemd/journal/dev-log", "the system's log"),
    ("/systemd/journal/socket", "the system's log"),
];

/// What a socket gives access to, as far as its path tells.
pub(crate) fn socket(path: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(path);
    if text.contains("/.X11-unix/") {
        return "an X server, whose clients can read every key";
    }
    if text.contains("/ssh-") && text.contains("/agent.") {
        return "the keys of ssh-agent";
    }
    let known = SOCKETS.iter().find(|(end, _)| text.ends_with(end));
    known.map_or("whatever listens there", |(_, what)| what)
}

/// The directories that variables name, as they were when bwrap was started.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The variable, and the path without links.
    named: Vec<(&'static str, Vec<u8>)>,
    home: Option<Vec<u8>>,
    /// All variables.
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What is never given, nor what it lies in.
    kept: Vec<Vec<u8>>,
}

impl Places {
    /// Looks at the environment, which options have not changed yet.
    #[cold]
    pub(crate) fn of_environment() -> Self {
        let path = |name: &CStr| {
            environment::get(name).filter(|path| path.to_bytes().starts_with(b"/")).and_then(
                |path| {
                    let host = Host::of(path.to_bytes())?;
                    Some((host.path, path.to_bytes().to_vec()))
                },
            )
        };
        let home = path(c"HOME").filter(|(path, _)| path != b"/");
        let runtime = path(c"XDG_RUNTIME_DIR").filter(|(path, _)| path != b"/");
        let here = Host::of(b".");
        let pwd =
            path(c"PWD").filter(|(path, _)| here.as_ref().is_some_and(|here| here.path == *path));
        let mut places = Self {
            home: home.clone().map(|(path, _)| path),
            variables: environment::all().into_iter().rev().filter_map(variable).collect(),
            kept: [&home, &runtime].into_iter().flatten().map(|(path, _)| path.clone()).collect(),
            named: Vec::new(),
        };
        for (name, found) in [("HOME", home), ("XDG_RUNTIME_DIR", runtime), ("PWD", pwd)] {
            // A variable that leads through a link means something else to --profile.
            let Some((path, text)) = found else { continue };
            let is_plain = text == path && !(name == "PWD" && places.is_kept(&path));
            if is_plain {
                places.named.push((name, path));
            }
        }
        places.named.sort_by_key(|(_, path)| std::cmp::Reverse(path.len()));
        places
    }

    /// Names nothing by the directory that bwrap was started in: patterns cannot be named by it, and
    /// what they hide elsewhere would not be hidden.
    pub(crate) fn forget_here(&mut self) {
        self.named.retain(|(name, _)| *name != "PWD");
    }

    /// The value of a variable.
    pub(crate) fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.variables.get(name).cloned()
    }

    /// Whether something is one of the directories that are kept, or one of those they are in.
    fn is_kept(&self, path: &[u8]) -> bool {
        path == b"/" || self.kept.iter().any(|kept| is_within(kept, path))
    }

    /// Whether a directory is never given as a whole.
    pub(crate) fn is_fixed(&self, path: &[u8]) -> bool {
        let is = |place: &str| place.as_bytes() == path;
        if self.is_kept(path) || FIXED.split_ascii_whitespace().any(is) {
            return true;
        }
        // The homes of others.
        if parent(path) == b"/home" {
            return true;
        }
        let homes = self.home.iter().map(Vec::as_slice).chain([&b"/root"[..]]);
        let others = (names(path).next() == Some(b"home")).then(|| {
            let mut names = names(path);
            [
                &b"/"[..],
                &[names.next(), names.next()].into_iter().flatten().collect::<Vec<_>>().join(&b'/'),
            ]
            .concat()
        });
        homes.map(<[u8]>::to_vec).chain(others).any(|home| {
            let rest = rest_of(path, &home).and_then(|rest| rest.strip_prefix(b"/"));
            rest.is_some_and(|rest| {
                KEYS.split_ascii_whitespace().any(|keys| keys.as_bytes() == rest)
            })
        })
    }

    /// The user's home directory.
    pub(crate) fn home(&self) -> Option<&[u8]> {
        self.home.as_deref()
    }

    /// Whether what lies here may hold keys, tokens or passwords, as far as its path tells.
    pub(crate) fn holds_keys(&self, path: &[u8]) -> bool {
        let homes = self.home.iter().map(Vec::as_slice).chain([&b"/root"[..]]);
        let mut inside = homes.filter_map(|home| rest_of(path, home)?.strip_prefix(b"/"));
        let is_below = |path: &[u8], dir: &str| rest_of(path, dir.as_bytes()).is_some();
        let is_narrow = |dir: &&str| !BROAD.split_ascii_whitespace().any(|broad| broad == *dir);
        let narrow = || {
            let keys = KEYS.split_ascii_whitespace().filter(is_narrow);
            keys.chain(TOKENS.split_ascii_whitespace())
        };
        SECRETS.split_ascii_whitespace().any(|dir| is_below(path, dir))
            || inside.any(|rest| narrow().any(|dir| is_below(rest, dir)))
    }

    /// A path as a word of a profile, by a variable if it lies below what one names.
    pub(crate) fn word(&self, path: &[u8]) -> String {
        let found = self.named.iter().find_map(|(name, dir)| Some((name, rest_of(path, dir)?)));
        let Some((name, rest)) = found else { return text::quoted(path) };
        let mut word = format!("${{{name}}}");
        if !rest.is_empty() {
            _ = write!(word, "{}", text::quoted(rest));
        }
        word
    }
}

/// A variable's name and value.
fn variable(text: &CStr) -> Option<(Vec<u8>, Vec<u8>)> {
    let bytes = text.to_bytes();
    let end = bytes.iter().position(|&byte| byte == b'=')?;
    let (name, value) = bytes.split_at(end);
    Some((name.to_vec(), value.get(1..)?.to_vec()))
}

/// The directory with programs and libraries that a path is in.
pub(crate) fn programs(path: &[u8]) -> Option<&'static [u8]> {
    PROGRAMS.split_ascii_whitespace().map(str::as_bytes).find(|dir| is_within(path, dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            named: vec![("PWD", b"/home/u/work".to_vec()), ("HOME", b"/home/u".to_vec())],
            home: Some(b"/home/u".to_vec()),
            variables: BTreeMap::new(),
            kept: vec![b"/home/u".to_vec(), b"/run/user/7".to_vec()],
        }
    }

    #[test]
    fn some_directories_are_never_given() {
        let fixed = [
            "/",
            "/home",
            "/home/u",
            "/etc",
            "/run",
            "/run/user",
            "/run/user/7",
            "/tmp",
            "/var",
            "/home/u/.ssh",
            "/home/u/.config",
            "/home/v",
            "/home/v/.ssh",
            "/root/.gnupg",
        ];
        for path in fixed {
            assert!(places().is_fixed(path.as_bytes()), "{path}");
        }
        for path in ["/usr", "/home/u/work", "/etc/ssl", "/run/user/7/app", "/home/u/.cache"] {
            assert!(!places().is_fixed(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn keys_are_known_by_their_paths() {
        for path in [".ssh/id_rsa", ".netrc", ".config/gh/hosts.yml", ".cargo/credentials.toml"] {
            assert!(places().holds_keys(format!("/home/u/{path}").as_bytes()), "{path}");
        }
        assert!(places().holds_keys(b"/etc/ssl/private/key.pem"));
        for path in ["/home/u/.config/app", "/home/u/.cargo/registry", "/etc/ssl/certs", "/x/.ssh"]
        {
            assert!(!places().holds_keys(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn paths_are_named_by_variables() {
        assert_eq!(places().word(b"/home/u/work/a b"), "${PWD}\"/a b\"");
        assert_eq!(places().word(b"/home/u/worker"), "${HOME}/worker");
        assert_eq!(places().word(b"/home/u"), "${HOME}");
        assert_eq!(places().word(b"/home/user"), "/home/user");
        assert_eq!(places().word(b"/x\n--bind / /"), "\"/x\\x0a--bind / /\"");
    }
}
