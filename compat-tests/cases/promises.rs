//! What SECURITY.md says and no other file has cases for; and the trial that every sentence there is held by a test.

use libtest_mimic::{Failed, Trial};

use crate::harness::{Case, page};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = deaths();
    cases.extend(out_of_reach());
    cases
}

/// COMMAND starts somebody, and the monitor is killed. What is written to `held` ends with COMMAND, what is written to `out` with both.
fn deaths() -> Vec<Case> {
    let start = "mkfifo out held go; {bwrap} --ro-bind / / --dev /dev --die-with-parent OPTIONS sh -c '
             exec 3>{dir}/held; (echo ready; read x <{dir}/go; echo alive) 3>&- & exec sleep 1000 >&3' >out & monitor=$!
         exec 4<>held 5<out 6<held; exec 4>&-; read word <&5; echo $word; kill -9 $monitor; cat <&6; echo COMMAND has ended\n";
    let case =
        |name: &str, options: &str, rest: &str| Case::new(name).script(&(start.replace("OPTIONS", options) + rest)).status(0);
    vec![
        case("children_outlive_without_pid_namespace", "", "echo >go; cat <&5").stdout("ready\nCOMMAND has ended\nalive\n"),
        case("children_outlive_of_user_namespace", "--unshare-user", "echo >go; cat <&5")
            .stdout("ready\nCOMMAND has ended\nalive\n"),
        case("nothing_outlives_with_pid_namespace", "--unshare-pid", "cat <&5").stdout("ready\nCOMMAND has ended\n"),
        case("nothing_outlives_with_all_namespaces", "--unshare-all", "cat <&5").stdout("ready\nCOMMAND has ended\n"),
        case("nothing_outlives_as_pid_1", "--unshare-pid --as-pid-1", "cat <&5").stdout("ready\nCOMMAND has ended\n"),
    ]
}

/// What the host has is found without the option, and is not with it.
fn out_of_reach() -> Vec<Case> {
    let ipc = "m=$(ipcmk -M 100 -p 666 | tr -dc 0-9) q=$(ipcmk -Q -p 666 | tr -dc 0-9)
         for option in --share-net --unshare-ipc; do
             {bwrap} $option --ro-bind / / sh -c \"ipcs -m -i $m; ipcs -q -i $q\" 2>/dev/null | grep -c -e \"shmid=$m\" -e \"msqid=$q\"
         done; ipcrm -m $m -q $q";
    let listen = "import os, socket, sys
host = socket.create_server((\"127.0.0.1\", 0))
port = str(host.getsockname()[1])
call = \"import socket, sys\\ntry: socket.create_connection((\\\"127.0.0.1\\\", int(sys.argv[1]))); print(\\\"reached\\\")\\nexcept OSError as e: print(e.strerror)\"
for option in [\"--unshare-ipc\", \"--unshare-net\", \"--unshare-all\"]:
    sys.stdout.flush()
    os.spawnv(os.P_WAIT, sys.argv[1], [\"bwrap\", option, \"--ro-bind\", \"/\", \"/\", \"/usr/bin/python3\", \"-c\", call, port])";
    let refused = "Connection refused\n";
    vec![
        Case::new("ipc").needs(has_ipcmk).script(ipc).status(0).stdout("2\n0\n"),
        Case::new("network")
            .needs(has_python)
            .script(&format!("/usr/bin/python3 -c '{listen}' {{bwrap}}"))
            .status(0)
            .stdout(&format!("reached\n{refused}{refused}")),
    ]
}

fn has_ipcmk() -> crate::harness::Result<()> {
    std::process::Command::new("ipcmk").arg("--version").output().map(drop).map_err(|e| format!("ipcmk: {e}"))
}

fn has_python() -> crate::harness::Result<()> {
    if std::path::Path::new("/usr/bin/python3").exists() { Ok(()) } else { Err("needs /usr/bin/python3".to_owned()) }
}

/// Sections of the page, and how each thing that they say begins.
const SECTIONS: [(&str, &[&str]); 3] =
    [("What is promised", &["If COMMAND", "- "]), ("What is not", &["- "]), ("Who controls what", &["| "])];

/// What cannot be shown by a test, for it says what is left to others.
const NOT_TESTED: [&str; 4] = [
    "- **The kernel.**",
    "- **A bwrap that the user may write to.**",
    "- **Namespaces that are joined.**",
    "- **Hiding that there is a sandbox**",
];

/// The trial that each thing the page says names its tests.
pub(crate) fn trial() -> Trial {
    Trial::test("coverage::every_promise_has_a_test", || {
        let Some(text) = page::security() else { return Ok(()) };
        let troubles = troubles(&text);
        if troubles.is_empty() { Ok(()) } else { Err(Failed::from(troubles.join("\n"))) }
    })
}

fn troubles(text: &str) -> Vec<String> {
    let mut troubles = vec![];
    let mut said = 0;
    for (title, starts) in SECTIONS {
        let Some((_, section)) = text.split_once(&format!("\n## {title}\n")) else {
            troubles.push(format!("SECURITY.md has no section {title:?}"));
            continue;
        };
        let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
        for thing in things(section, starts) {
            said += 1;
            let named = ["compat", "faults", "load"].iter().any(|program| page::patterns(&thing, program).next().is_some());
            let excused = NOT_TESTED.iter().any(|start| thing.starts_with(start));
            if named == excused {
                let what = if named { "has tests, and needs no excuse" } else { "names no test" };
                troubles.push(format!("in {title:?} of SECURITY.md this {what}: {thing}"));
            }
        }
    }
    if said < 20 {
        troubles.push(format!("only {said} things are said in SECURITY.md"));
    }
    troubles
}

/// The paragraphs that begin so; the heads of tables are none.
fn things(section: &str, starts: &[&str]) -> Vec<String> {
    let mut things: Vec<String> = vec![];
    let mut inside = false;
    for line in section.lines() {
        if starts.iter().any(|start| line.starts_with(start)) {
            inside = !line.starts_with("| |");
            things.extend(inside.then(String::new));
        } else if line.is_empty() || line.starts_with('|') {
            inside = false;
        }
        if let Some(thing) = things.last_mut().filter(|_| inside) {
            thing.push_str(line);
            thing.push('\n');
        }
    }
    things
}
