//! Hostile contents of a directory that a sandbox is built on: FIFOs, loops, links to nowhere, closed directories, endless names.
//!
//! Symlinks that lead outside are in `history/vulnerabilities.rs`. Here it is about what might make the set-up wait, follow or go wrong.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::cases::history::vulnerabilities::{OPERATIONS, nothing_outside_changed, planted};
use crate::cases::sources::runner_is_root;
use crate::harness::{Case, Exit, Outcome, Result};

/// The operations on a destination, with those that history/vulnerabilities.rs has apart.
pub(crate) fn operations() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let more: [(&str, &[&str]); 5] = [
        ("dev", &["--dev"]),
        ("mqueue", &["--unshare-ipc", "--mqueue"]),
        ("overlay", &["--overlay-src", "{dir}/mine", "--tmp-overlay"]),
        ("ro_bind_data", &["--perms", "0666", "--ro-bind-data", "8"]),
        ("bind_fd", &["--bind-fd", "7"]),
    ];
    let known = OPERATIONS.into_iter().filter(|(name, ..)| !matches!(*name, "dir_parents" | "file_existing"));
    known.map(|(name, words, _)| (name, words)).chain(more)
}

/// What is in the way, at which place.
const OBSTACLES: [(&str, &str); 12] = [
    ("fifo", "/in/fifo"),
    ("below_fifo", "/in/fifo/new"),
    ("loop", "/in/loop-a"),
    ("below_loop", "/in/loop-a/new"),
    ("below_itself", "/in/itself/new/er"),
    ("below_nothing", "/in/nothing/new"),
    ("below_chain", "/in/chain-0/new"),
    ("below_closed", "/in/closed/new"),
    ("below_file", "/in/file/new"),
    ("device", "/proc/kcore"),
    ("below_process", "/proc/self/fd/new"),
    ("below_memory", "/proc/self/mem/new"),
];

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![];
    for (operation, words) in operations() {
        for (obstacle, place) in OBSTACLES {
            let case = case(&format!("{operation}_{obstacle}"), words, place);
            cases.push(if obstacle == "below_closed" { case.needs(runner_is_root) } else { case });
        }
        let component = format!("/in/{}/new", "x".repeat(256));
        cases.push(case(&format!("{operation}_long_name"), words, &component));
        let path = format!("/in{}/new", "/x".repeat(2100));
        cases.push(case(&format!("{operation}_long_path"), words, &path));
        cases.push(followed(operation, words));
        let depth = format!("/in{}", "/sub/..".repeat(580));
        cases.push(case(&format!("{operation}_long_way"), words, &format!("{depth}/new")));
    }
    cases
}

/// The same with `--follow-symlinks`, where links are the last component, on a mount that may be written to and on one that may not.
/// COMMAND is not there, so every run ends with one line of explanation.
fn followed(operation: &str, words: &[&str]) -> Case {
    let names = "fifo loop-a itself nothing chain-0 link to-file to-new file new to-fd to-root to-dir to-self";
    let content = if words.contains(&"8") { "8</dev/null" } else { "" };
    let script = format!(
        "for place in {names} link/sub link/file; do for box in in ro; do
             said=$({{bwrap}} --proc /proc --bind {{dir}}/inside /in --ro-bind {{dir}}/inside /ro --ro-bind {{dir}}/inside /dir \\
                 --follow-symlinks {} /$box/$place true 2>&1 >/dev/null {content})
             echo $? $(echo \"$said\" | grep -c '^bwrap: ') $(echo \"$said\" | wc -l)
         done; done | sort | uniq -c | sed 's/^ *//'",
        words.join(" ")
    );
    let case = hostile(&format!("{operation}_followed"), "{dir}/outside").setup(|s| {
        s.symlink("/proc/self/fd/7", "inside/to-fd")?;
        s.symlink("/proc/self/root/..{dir}/outside", "inside/to-root")?;
        s.symlink("/dir/sub", "inside/to-dir")?;
        s.symlink("/proc/self/cwd", "inside/to-self")
    });
    case.ours_only().script(&script).stdout("32 1 1 1\n").claim(nothing_outside_changed)
}

/// An operation where something hostile is: it is done or it is refused, it never waits, and nothing outside changes.
fn case(name: &str, words: &[&str], place: &str) -> Case {
    // The reference waits for a FIFO's reader, and its words are others.
    let case = hostile(name, "{dir}/outside").ours_only().options(words).options([place]).run(["true"]);
    case.claim(nothing_outside_changed).claim(refused_or_done)
}

/// A directory with all that may be in the way.
fn hostile(name: &str, target: &'static str) -> Case {
    planted(name, target).setup(|s| {
        mkfifo(&s.path("inside/fifo"), Mode::S_IRWXU).map_err(|e| e.to_string())?;
        for (target, link) in [("loop-b", "loop-a"), ("loop-a", "loop-b"), ("itself", "itself"), ("none/at/all", "nothing")] {
            s.symlink(target, &format!("inside/{link}"))?;
        }
        for number in 0..50 {
            s.symlink(&format!("chain-{}", number + 1), &format!("inside/chain-{number}"))?;
        }
        s.dir("inside/chain-50")?;
        s.dir("inside/sub")?;
        s.file("inside/file", "")?;
        s.dir("inside/closed")?;
        // Nobody but root could give it away.
        if runner_is_root().is_ok() { s.mode("inside/closed", 0) } else { Ok(()) }
    })
}

fn refused_or_done(o: &Outcome) -> Result<()> {
    o.expect_exit(Exit::Code(1))?;
    o.expect(o.stderr.starts_with("bwrap: ") && o.stderr.lines().count() == 1, "not one line of explanation")
}
