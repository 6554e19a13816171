//! What is suggested in invented environments.

use super::*;
use crate::explain::advice::{LINES, text};
use crate::profile::text::quoted;

/// A host with these paths, and a sandbox with those.
#[derive(Default)]
struct Made {
    host: Vec<(&'static str, Kind)>,
    inside: Vec<&'static str>,
}

impl World for Made {
    fn on_host(&self, path: &[u8]) -> Option<Kind> {
        let exact = self.host.iter().find(|(place, _)| place.as_bytes() == path);
        let around = self.host.iter().any(|(place, _)| below(place.as_bytes(), path));
        exact.map(|(_, kind)| *kind).or_else(|| around.then_some(Kind::Directory))
    }

    fn inside(&self, path: &[u8]) -> bool {
        self.inside.iter().any(|place| below(path, place.as_bytes()))
    }

    fn may_write(&self, path: &[u8]) -> bool {
        below(path, b"/home/me")
    }

    fn home(&self) -> Option<&[u8]> {
        Some(b"/home/me")
    }

    fn holds_keys(&self, path: &[u8]) -> bool {
        below(path, b"/home/me/.ssh")
    }

    fn is_shared(&self, path: &[u8]) -> bool {
        [&b"/"[..], b"/etc", b"/home", b"/home/me", b"/run", b"/tmp", b"/var"].contains(&path)
    }
}

/// The lines for these places on this host.
fn lines(host: &[(&'static str, Kind)], inside: &[&'static str], places: &[&str]) -> Vec<String> {
    let world = Made { host: host.to_vec(), inside: inside.to_vec() };
    let lack = |place: &&str| Lack {
        place: place.as_bytes().to_vec(),
        link: None,
        writes: false,
        is_here: false,
    };
    let lacks: Vec<_> = places.iter().map(lack).collect();
    let advice = advise(&lacks, &world);
    text(&advice, &quoted).into_iter().skip(1).collect()
}

use Kind::{Device, Directory, File, Socket};

#[test]
fn what_the_host_lacks_as_well_is_noise() {
    assert!(lines(&[], &[], &["/usr/local/bin/cc", "/etc/x", "/home/me/.rc"]).is_empty());
    let host = [("/etc/ld.so.preload", File), ("/run/nscd/socket", Socket)];
    assert!(lines(&host, &[], &["/etc/ld.so.preload", "/run/nscd/socket"]).is_empty());
}

#[test]
fn links_show_the_way() {
    let world = Made { host: vec![("/etc/alternatives/cc", File)], ..Made::default() };
    let link = Some(b"/usr/bin/cc".to_vec());
    let lack =
        Lack { place: b"/etc/alternatives/cc".to_vec(), link, writes: false, is_here: false };
    assert_eq!(
        text(&advise(&[lack], &world), &quoted).get(1..),
        Some(
            &["--ro-same /etc/alternatives   # /usr/bin/cc → /etc/alternatives/cc".to_owned()][..]
        )
    );
}

#[test]
fn what_is_in_the_working_directory_says_so() {
    let world = Made { host: vec![("/home/me/src/a", File)], ..Made::default() };
    let lack = Lack { place: b"/home/me/src/a".to_vec(), link: None, writes: false, is_here: true };
    assert_eq!(
        text(&advise(&[lack], &world), &quoted).get(1..),
        Some(
            &["--ro-same /home/me/src/a   # the sandbox lacks the working directory".to_owned()][..]
        )
    );
}

#[test]
fn what_belongs_together_comes_together() {
    let host = [
        ("/etc/ssl/openssl.cnf", File),
        ("/etc/ssl/certs/ca.pem", File),
        ("/etc/ssl/private/key", File),
        ("/etc/resolv.conf", File),
        ("/etc/hosts", File),
        ("/etc/nsswitch.conf", File),
    ];
    assert_eq!(
        lines(&host, &[], &["/etc/host.conf", "/etc/hosts", "/etc/ssl/openssl.cnf"]),
        [
            "--ro-same /etc/resolv.conf   # goes with /etc/hosts",
            "--ro-same /etc/hosts",
            "--ro-same /etc/nsswitch.conf   # goes with /etc/hosts",
            "--ro-same /etc/ssl/openssl.cnf",
            "--ro-same /etc/ssl/certs   # goes with /etc/ssl/openssl.cnf",
        ]
    );
    let host = [("/usr/bin/x", File), ("/lib64", Directory), ("/bin", Directory)];
    assert_eq!(
        lines(&host, &["/usr"], &["/lib64/ld.so"]),
        Vec::<String>::new(),
        "the host has no such loader"
    );
    assert_eq!(
        lines(&host, &["/usr", "/lib64", "/bin"], &["/usr/bin/x"]),
        ["--ro-same /usr/bin/x"],
        "something covers it"
    );
    let host = [host[0], ("/lib64/ld.so", File), host[2]];
    assert_eq!(
        lines(&host, &["/usr"], &["/lib64/ld.so"]),
        ["--ro-same /bin   # goes with /lib64/ld.so", "--ro-same /lib64   # /lib64/ld.so"]
    );
    let host = [("/bin", Directory), ("/bin/sh", File), host[1]];
    assert_eq!(
        lines(&host, &[], &["/lib64/ld.so", "/bin/sh", "/bin/sh"]),
        ["--ro-same /bin   # /bin/sh", "--ro-same /lib64   # /lib64/ld.so"],
        "what was looked for is said, not what it goes with"
    );
}

#[test]
fn the_sandbox_makes_some_of_it_itself() {
    let host = [
        ("/dev/null", Device),
        ("/dev/dri/card0", Device),
        ("/proc/self/exe", File),
        ("/tmp", Directory),
    ];
    assert_eq!(
        lines(&host, &[], &["/dev/dri/card0", "/dev/null", "/proc/self/exe", "/tmp"]),
        [
            "--dev /dev   # /dev/null",
            "--proc /proc   # /proc/self/exe",
            "--tmpfs /tmp",
            "--dev-bind /dev/dri/card0 /dev/dri/card0",
        ]
    );
}

#[test]
fn keys_and_power_are_told_and_not_suggested() {
    let host = [
        ("/home/me/.ssh/id_rsa", File),
        ("/run/docker.sock", Socket),
        ("/tmp/.X11-unix/X0", Socket),
        ("/home/me", Directory),
    ];
    let told = lines(
        &host,
        &[],
        &["/home/me", "/home/me/.ssh/id_rsa", "/run/docker.sock", "/tmp/.X11-unix/X0"],
    );
    assert_eq!(
        told,
        [
            "--ro-same /tmp/.X11-unix/X0   # gives access to an X server, whose clients can read every key",
            "# /home/me/.ssh/id_rsa: may hold keys or tokens; not suggested",
            "# /run/docker.sock: gives access to root on this machine, by Docker; not suggested",
        ]
    );
}

#[test]
fn writing_is_told_where_the_caller_may_write() {
    let world =
        Made { host: vec![("/home/me/out", Directory), ("/var/cache/x", File)], ..Made::default() };
    let lack = |place: &str| Lack { place: place.into(), link: None, writes: true, is_here: false };
    let advice = advise(&[lack("/home/me/out"), lack("/var/cache/x")], &world);
    assert_eq!(
        text(&advice, &quoted).get(1..),
        Some(&["# /home/me/out: was to be written; --same would allow that".to_owned()][..])
    );
}

#[test]
fn siblings_become_their_directory_outside_the_home() {
    let places = [
        "/opt/a/1",
        "/opt/a/2",
        "/opt/a/3",
        "/opt/a/4",
        "/home/me/a/1",
        "/home/me/a/2",
        "/home/me/a/3",
        "/home/me/a/4",
    ];
    let host: Vec<_> = places.iter().map(|place| (*place, File)).collect();
    assert_eq!(
        lines(&host, &[], &places),
        [
            "--ro-same /opt/a   # /opt/a/1 and 3 more",
            "--ro-same /home/me/a/1",
            "--ro-same /home/me/a/2",
            "--ro-same /home/me/a/3",
            "--ro-same /home/me/a/4",
        ]
    );
}

#[test]
fn there_are_a_dozen_lines_at_most() {
    let host: Vec<_> =
        (0..40).map(|number| (&*format!("/srv/{number}/file").leak(), File)).collect();
    let places: Vec<_> = host.iter().map(|(place, _)| *place).collect();
    let told = lines(&host, &[], &places);
    assert_eq!(told.len() + 1, LINES);
    assert_eq!(
        told.last().map(String::as_str),
        Some("# and 30 more, which are less likely to matter")
    );
}

#[test]
fn names_cannot_say_more_than_a_name() {
    let advice = Advice::told(b"/a\n--bind / /", "so");
    assert_eq!(advice.line(&quoted), r"# /a\x0a--bind / /: so");
}
