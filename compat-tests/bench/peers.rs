//! The same smallest sandbox with whatever else makes one: the host's root read-only, or a bundle of the same program, with new user,
//! pid, network and ipc namespaces, as an ordinary user. What a peer does not do, or needs beyond that, stands beside its figure.
//!
//! Peers that are not installed, or that cannot do it here, are named as such.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::common::Result;
use crate::measure::{Runs, Summary, ratio};
use crate::programs::Programs;
use crate::scenarios::Scenario;

/// One peer: what it is started with, `{dir}` in it being the directory of the benchmark, and what sets it apart.
struct Peer {
    name: &'static str,
    words: &'static [&'static str],
    apart: &'static str,
}

const PEERS: [Peer; 9] = [
    Peer {
        name: "unshare",
        words: &["unshare", "--map-current-user", "--pid", "--fork", "--net", "--ipc", "--mount", "true"],
        apart: "the root stays writable",
    },
    Peer {
        name: "ch-run",
        words: &["ch-run", "{dir}/bundle/rootfs", "--", "/bin/true"],
        apart: "user and mount namespaces alone",
    },
    Peer {
        name: "minijail0",
        words: &["minijail0", "-U", "-m", "-M", "-p", "-e", "-l", "-v", "-P", "{dir}/bundle/rootfs", "--", "/bin/true"],
        apart: "",
    },
    Peer {
        name: "nsjail",
        words: &["nsjail", "-Mo", "--really_quiet", "--chroot", "{dir}/bundle/rootfs", "--", "/bin/true"],
        apart: "also uts and cgroup namespaces, limits, procfs",
    },
    Peer {
        name: "crun",
        words: &["crun", "--root", "{dir}/crun", "--cgroup-manager=disabled", "run", "--bundle", "{dir}/bundle", "peer"],
        apart: "also procfs",
    },
    Peer {
        name: "runc",
        words: &["runc", "--root", "{dir}/runc", "run", "--bundle", "{dir}/bundle", "peer"],
        apart: "also procfs",
    },
    Peer {
        name: "firejail",
        words: &["firejail", "--quiet", "--noprofile", "--net=none", "--ipc-namespace", "--read-only=/", "true"],
        apart: "set-uid root",
    },
    Peer { name: "proot", words: &["proot", "-r", "/", "true"], apart: "ptrace, no namespace: nothing is isolated" },
    Peer {
        name: "podman",
        words: &["podman", "run", "--rm", "--network=none", "--read-only", "--rootfs", "{dir}/bundle/rootfs", "/bin/true"],
        apart: "also uts and cgroup namespaces, overlay, seccomp",
    },
];

/// What crun and runc read: one static program on a read-only root.
const BUNDLE: &str = r#"{"ociVersion": "1.0.0", "root": {"path": "rootfs", "readonly": true},
"process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/", "env": ["PATH=/bin"], "noNewPrivileges": true},
"mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
"linux": {"namespaces": [{"type": "user"}, {"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}],
"uidMappings": [{"containerID": 0, "hostID": UID, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": GID, "size": 1}]}}"#;

/// The table.
pub(crate) fn table(programs: &Programs, dir: &Path, runs: Runs) -> Result<()> {
    make_bundle(dir).map_err(|error| format!("the bundle: {error}"))?;
    println!(
        "\nThe smallest sandbox with pid, network and ipc namespaces: milliseconds, median (p10–p99), and median of the ratios\n"
    );
    println!("{:<26}{:>24}{:>12}   apart from the rest", "", "time", "× bleb");
    let smallest = Scenario::smallest();
    let ours = || programs.ours.run(&smallest).map(|time| time.as_secs_f64() * 1e3);
    let mut rows = vec![];
    let reference = || programs.reference.run(&smallest).map(|time| time.as_secs_f64() * 1e3);
    rows.push((String::from("bubblewrap"), beside(ours, reference, runs.of(1))?, ""));
    let mut left_out = vec![];
    for peer in &PEERS {
        let run = || run(peer, dir);
        match run() {
            Err(reason) => left_out.push(format!("{}: {reason}", peer.name)),
            // A slow one takes a share of the rounds.
            Ok(time) => {
                rows.push((peer.name.to_owned(), beside(ours, run, runs.of(if time > 10.0 { 4 } else { 1 }))?, peer.apart));
            }
        }
    }
    rows.sort_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio));
    let first = rows.iter().find(|row| row.0 == "bubblewrap").map(|row| row.1.ours);
    println!("{:<26}{:>24}{:>12}", "bleb", first.map_or_else(String::new, |ours| ours.to_string()), "1.0");
    for (name, Beside { theirs, ratio, .. }, apart) in rows {
        println!("{name:<26}{:>24}{ratio:>12.1}   {apart}", theirs.to_string());
    }
    for line in left_out {
        println!("left out: {line}");
    }
    Ok(())
}

/// Two programs that were started alternately.
struct Beside {
    ours: Summary,
    theirs: Summary,
    ratio: f64,
}

fn beside(ours: impl Fn() -> Result<f64>, theirs: impl Fn() -> Result<f64>, rounds: usize) -> Result<Beside> {
    let mut times = (vec![], vec![]);
    for round in 0..=rounds {
        let (own, their) = (ours()?, theirs()?);
        // The first round warms the caches.
        if round > 0 {
            times.0.push(own);
            times.1.push(their);
        }
    }
    Ok(Beside { ours: Summary::of(&times.0), theirs: Summary::of(&times.1), ratio: ratio(&times.1, &times.0) })
}

/// One run in milliseconds, or why it did not work.
fn run(peer: &Peer, dir: &Path) -> Result<f64> {
    let place = dir.to_string_lossy();
    let mut words = peer.words.iter().map(|word| word.replace("{dir}", &place));
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", dir)
        .env("XDG_RUNTIME_DIR", dir)
        .env("USER", "nobody");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.output().map_err(|_| "not installed".to_owned())?;
    let time = start.elapsed().as_secs_f64() * 1e3;
    if output.status.success() {
        return Ok(time);
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
    Err(format!("does not work here: {} {said}", output.status))
}

/// A root with one static program in it.
fn make_bundle(dir: &Path) -> std::io::Result<()> {
    let bundle = dir.join("bundle");
    for name in ["bin", "dev", "etc", "home", "mnt", "proc", "sys", "tmp", "usr", "var"] {
        std::fs::create_dir_all(bundle.join("rootfs").join(name))?;
    }
    let program = bundle.join("rootfs/bin/busybox");
    if std::fs::copy("/bin/busybox", &program).is_ok() {
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        symlink("busybox", bundle.join("rootfs/bin/true"))?;
    }
    for name in ["passwd", "group", "hosts", "resolv.conf"] {
        std::fs::write(bundle.join("rootfs/etc").join(name), "")?;
    }
    let (uid, gid) = (nix::unistd::getuid().to_string(), nix::unistd::getgid().to_string());
    std::fs::write(bundle.join("config.json"), BUNDLE.replace("UID", &uid).replace("GID", &gid))
}
