//! The limits hold for the whole sandbox, from its first process on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{major, minor};
use nix::unistd::Pid;

use super::group::{Group, processes_in, same};
use crate::harness::Result;

/// Takes 256 MiB.
pub(super) const HOG: &str = r#"perl -e "my \$x = q(x) x (256 << 20)""#;

/// Prints whether a child can be had, and waits for it: it would not outlive COMMAND.
pub(super) const FORK: &str = r#"perl -e "\$| = 1; print defined(fork) ? 1 : 0; wait""#;

pub(super) fn memory(group: &Group) -> Result<()> {
    let script = format!("$B --cgroup memory.max 33554432 -- {HOG}; echo $?; $B --cgroup memory.max 33554432 true; echo $?");
    group.launch(&script).prints("137\n0")?;
    group.launch(&format!("$B --unshare-pid --cgroup memory.max 33554432 -- sh -c '{HOG}; echo $?'")).prints("137")?;
    group.only_supervisor()
}

/// The children wait, so that the group is full.
pub(super) fn bomb(group: &Group) -> Result<()> {
    let script = "exec $B --unshare-pid --cgroup pids.max 20 -- perl -e 'for (;;) { my $p = fork; defined $p or sleep 100 }'";
    let mut child = group.launching(script)?;
    let current = |name: &str| {
        let file = group.of_sandbox().map(|path| path.join(name)).unwrap_or_default();
        fs::read_to_string(file).unwrap_or_default()
    };
    // The events are of the group's limit: forks that it has refused.
    let refused = || current("pids.events").split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    let full = group.until("the group is full", || current("pids.current").trim_end() == "20" && refused() > Some(0));
    let still = current("pids.current");
    // Without its first process all others go.
    let first = group.of_sandbox().and_then(|path| processes_in(&path).first().copied());
    if let Some(pid) = first {
        _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    child.wait().map_err(|e| e.to_string())?;
    full?;
    same("processes", still.trim_end(), "20")?;
    group.only_supervisor()
}

pub(super) fn first_fork(group: &Group) -> Result<()> {
    group.launch(&format!("$B --cgroup pids.max 1 -- {FORK}")).prints("0")?;
    group.launch(&format!("$B --cgroup pids.max 2 -- {FORK}")).prints("11")?;
    group.launch(&format!("$B --unshare-pid --cgroup pids.max 2 -- {FORK}")).prints("0")?;
    group.launch(&format!("$B --unshare-pid --as-pid-1 --cgroup pids.max 1 -- {FORK}")).prints("0")?;
    let why = "(--cgroup pids.max counts every process of the sandbox): Resource temporarily unavailable";
    group.launch("$B --unshare-pid --cgroup pids.max 1 true").says(&format!("bwrap: Can't fork for pid 1 {why}"))?;
    group.launch("$B --cgroup pids.max 0 true").says(&format!("bwrap: Creating new namespace failed {why}"))?;
    group.only_supervisor()
}

/// Into another pid namespace lead processes that are not counted.
pub(super) fn pidns(group: &Group) -> Result<()> {
    let mut outer = group.starting_outside("exec unshare --user --map-root-user --pid --fork sleep 1000")?;
    let children = format!("/proc/{0}/task/{0}/children", outer.id());
    let mut inner = String::new();
    let started = group.until("the namespaces are there", || {
        fs::read_to_string(&children).unwrap_or_default().trim().clone_into(&mut inner);
        fs::read_to_string(format!("/proc/{inner}/comm")).is_ok_and(|name| name == "sleep\n")
    });
    let played = started.and_then(|()| {
        let options = format!("--userns 11 --pidns 12 11</proc/{inner}/ns/user 12</proc/{inner}/ns/pid");
        group.launch(&format!("$B --cgroup pids.max 1 {options} -- {FORK}")).prints("0")?;
        group.launch(&format!("$B --unshare-pid --cgroup pids.max 2 {options} -- {FORK}")).prints("0")?;
        let command = "-- cat /proc/self/cgroup";
        group.launch(&format!("$B --unshare-pid --unshare-cgroup --cgroup pids.max 9 {options} {command}")).prints("0::/")?;
        group.only_supervisor()
    });
    match inner.parse() {
        Ok(pid) => _ = kill(Pid::from_raw(pid), Signal::SIGKILL),
        Err(_) => _ = outer.kill(),
    }
    outer.wait().map_err(|e| e.to_string())?;
    played
}

/// COMMAND finds its group's files below the host's root. For within double quotes of the launcher.
const OWN: &str = r"cd /sys/fs/cgroup\$(sed s/0::// /proc/self/cgroup)";

pub(super) fn cpu(group: &Group) -> Result<()> {
    let spin = "perl -e 'sub used { my @t = times; $t[0] + $t[1] } while (used() < 1) { for (1 .. 20000) {} }'";
    let look = "cat cpu.max; sed -n 's/nr_throttled [1-9].*/it was throttled/p' cpu.stat";
    let script = format!("$B --cgroup cpu.max '20000 40000' -- bash -c \"{OWN}; {}; {look}\"", escape(spin));
    group.launch(&script).prints("20000 40000\nit was throttled")?;
    group.only_supervisor()
}

/// For within double quotes of a shell.
fn escape(script: &str) -> String {
    script.replace('$', "\\$")
}

/// The disk that the scratch directories are on, as `MAJOR:MINOR`. A partition has no limits of its
/// own.
pub(super) fn disk() -> Option<String> {
    let device = fs::metadata("/tmp").ok()?.dev();
    let number = format!("{}:{}", major(device), minor(device));
    Path::new(&format!("/sys/dev/block/{number}/queue")).exists().then_some(number)
}

pub(super) fn io(group: &Group) -> Result<()> {
    let number = disk().ok_or("no disk")?;
    let write = "dd if=/dev/zero of=$work/data bs=1M count=1 oflag=direct status=none";
    let look = format!("{OWN}; cat io.max; {write}; sed -n 's/{number} .*wbytes=[1-9].*/written/p' io.stat");
    let script = format!("$B --bind $work $work --cgroup io.max '{number} wbps=2097152' -- bash -c \"{look}\"");
    group.launch(&script).prints(&format!("{number} rbps=max wbps=2097152 riops=max wiops=max\nwritten"))?;
    group.only_supervisor()
}

pub(super) fn namespace(group: &Group) -> Result<()> {
    for options in ["--unshare-cgroup", "--unshare-cgroup-try", "--unshare-all"] {
        group.launch(&format!("$B {options} --cgroup pids.max 9 -- cat /proc/self/cgroup")).prints("0::/")?;
    }
    // What is told about it is true.
    let ended =
        group.launch("$B --unshare-cgroup --cgroup pids.max 9 --info-fd 9 9> info -- readlink /proc/self/ns/cgroup; cat info");
    let (link, info) = ended.out.split_once('\n').unwrap_or_default();
    let inode = link.trim_start_matches("cgroup:[").trim_end_matches(']');
    if inode.is_empty() || !info.contains(&format!("\"cgroup-namespace\": {inode}")) {
        return Err(format!("{link} is not what is told: {info}"));
    }
    let found = group.launch("$B --cgroup pids.max 9 -- cat /proc/self/cgroup").out;
    let place = format!("0::{}/bwrap-", group.name());
    if !found.starts_with(&place) {
        return Err(format!("expected {place}…, found {found}"));
    }
    group.only_supervisor()
}

/// The root of a namespace is guarded where the file system is mounted as systemd mounts it.
pub(super) fn guarded(group: &Group) -> Result<()> {
    let lift = "unshare --user --map-root-user --mount --cgroup \
                sh -c 'mount -t cgroup2 x /mnt && echo max > /mnt/pids.max; cat /mnt/pids.max'";
    let lifted = group.launch(&format!("$B --cgroup pids.max 9 -- {lift}"));
    if lifted.out != "9" || lifted.err.is_empty() {
        return Err(format!("the limit was lifted: {:?} {:?}", lifted.out, lifted.err));
    }
    let refused = group.launch(&format!("$B --unshare-user --disable-userns --cgroup pids.max 9 -- {lift}"));
    same("without user namespaces", &refused.out, "")?;
    if refused.err.is_empty() {
        return Err("nothing was refused".to_owned());
    }
    group.only_supervisor()
}

pub(super) fn core(group: &Group) -> Result<()> {
    let command = format!("sh -c \"{OWN} && mkdir a && mkdir b 2> /dev/null || echo refused\"");
    let script = format!("$B --bind /sys/fs/cgroup /sys/fs/cgroup --cgroup cgroup.max.descendants 1 -- {command}");
    group.launch(&script).prints("refused")?;
    group.only_supervisor()
}
