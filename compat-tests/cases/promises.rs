//! What SECURITY.md says and no other file has cases for; and the trial that every sentence there is held by a test.

use libtest_mimic::{Failed, Trial};

use crate::harness::{Case, page};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = deaths();
    cases.extend(out_of_reach());
    cases.extend(first_of_all());
    cases.push(foreign_calls());
    cases.extend(control_groups());
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
        unwilling("known_unwilling_outlives_without_pid_namespace", "", "echo >&6; cat <&5").stdout("ready\nalive\n"),
        unwilling("unwilling_dies_with_pid_namespace", "--unshare-pid", "cat <&5").stdout("ready\n"),
        unwilling("known_unwilling_outlives_as_pid_1", "--unshare-pid --as-pid-1", "echo >&6; cat <&5").stdout("ready\nalive\n"),
    ]
}

/// COMMAND takes back what makes it die with bwrap, as every process may, and bwrap is killed.
fn unwilling(name: &str, options: &str, rest: &str) -> Case {
    let script = "mkfifo out go; {bwrap} --ro-bind / / --dev /dev --die-with-parent OPTIONS /usr/bin/python3 -c '
import ctypes, os
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
os.write(1, b\"ready\\n\")
open(\"{dir}/go\").readline()
os.write(1, b\"alive\\n\")' >out & exec 5<out 6<>go; read word <&5; echo $word; kill -9 $!; wait 2>/dev/null; ";
    Case::new(name).tools(&["python3"]).script(&(script.replace("OPTIONS", options) + rest)).status(0)
}

/// The host's root needs no capability to write to control groups, whose file system it can mount in namespaces of its own.
fn control_groups() -> Vec<Case> {
    const MOUNT: &str = "/usr/bin/python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000 | 0x02000000 | 0x00020000): print(os.strerror(ctypes.get_errno()))
elif libc.mount(b\"cgroup2\", b\"/mnt\", b\"cgroup2\", 0, None): print(os.strerror(ctypes.get_errno()))
else: print(os.access(\"/mnt/cgroup.procs\", os.W_OK))'";
    let case = |name: &str, options: &str, line: &str| {
        let script = format!("{{bwrap}} --ro-bind / / {options} {MOUNT}");
        Case::new(name).tools(&["python3"]).root_only().ours_only().script(&script).stdout(line)
    };
    vec![
        case("known_control_groups_of_root", "--cap-drop ALL", "True\n"),
        case("known_control_groups_of_root_with_another_id", "--unshare-user --uid 1000", "True\n"),
        case("control_groups_of_root_disabled", "--unshare-user --uid 1000 --disable-userns", "No space left on device\n"),
    ]
}

/// What the host has is found without the option, and is not with it.
fn out_of_reach() -> Vec<Case> {
    let ipc = "m=$(ipcmk -M 100 -p 666 | tr -dc 0-9) q=$(ipcmk -Q -p 666 | tr -dc 0-9)
         for option in --share-net --unshare-ipc; do
             {bwrap} $option --ro-bind / / sh -c \"ipcs -m -i $m; ipcs -q -i $q\" 2>/dev/null | grep -c -e \"shmid=$m\" -e \"msqid=$q\"
         done; ipcrm -m $m -q $q";
    // The shell is of bwrap's process group.
    let group = "trap 'echo outside' WINCH
         {bwrap} --unshare-pid OPTION --ro-bind / / sh -c 'trap : WINCH; kill -s WINCH 0'";
    let listen = "import os, socket, sys
host = socket.create_server((\"127.0.0.1\", 0))
port = str(host.getsockname()[1])
call = \"import socket, sys\\ntry: socket.create_connection((\\\"127.0.0.1\\\", int(sys.argv[1]))); print(\\\"reached\\\")\\nexcept OSError as e: print(e.strerror)\"
for option in [\"--unshare-ipc\", \"--unshare-net\", \"--unshare-all\"]:
    sys.stdout.flush()
    os.spawnv(os.P_WAIT, sys.argv[1], [\"bwrap\", option, \"--ro-bind\", \"/\", \"/\", \"/usr/bin/python3\", \"-c\", call, port])";
    let refused = "Connection refused\n";
    vec![
        Case::new("group_outside_is_signalled").script(&group.replace("OPTION", "")).stdout("outside\n"),
        Case::new("group_of_a_new_session").script(&group.replace("OPTION", "--new-session")).stdout(""),
        Case::new("ipc").tools(&["ipcmk"]).script(ipc).status(0).stdout("2\n0\n"),
        Case::new("network")
            .tools(&["python3"])
            .script(&format!("/usr/bin/python3 -c '{listen}' {{bwrap}}"))
            .status(0)
            .stdout(&format!("reached\n{refused}{refused}")),
    ]
}

/// It is set, and nothing that makes or opens anything comes before it.
fn first_of_all() -> Vec<Case> {
    let calls = "clone,clone3,fork,fsopen,mount,open,open_tree,openat,openat2,pidfd_open,setns,unshare";
    let first = |name: &str, options: &str| {
        let run = format!("strace -f -qq -o log -e trace=prctl,{calls} {{bwrap}} {options} --ro-bind / / true || exit");
        let case = Case::new(name)
            .ours_only()
            .needs(has_strace)
            .script(&format!("{run}; sed -E 's/^[0-9]+ +//' log | grep -v PR_SET_PDEATHSIG | head -n 1 | sed 's/,.*//'; rm log"));
        case.ok().stdout("prctl(PR_SET_NO_NEW_PRIVS\n")
    };
    let grep = ["grep", "NoNewPrivs", "/proc/self/status"];
    let set = |name: &str, options: &[&str]| Case::new(name).on_host().options(options).run(grep).ok().stdout("NoNewPrivs:\t1\n");
    vec![
        first("no_new_privs_first", ""),
        first("no_new_privs_first_die_with_parent", "--die-with-parent --unshare-all"),
        set("no_new_privs", &[]),
        set("no_new_privs_with_capabilities", &["--unshare-user", "--cap-add", "ALL"]),
    ]
}

/// A call as 32-bit programs make it, which a filter for 64-bit ones alone would not look at.
fn foreign_calls() -> Case {
    let call = "import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b\"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3\")
place = ctypes.addressof(ctypes.c_char.from_buffer(code))
print(\"called\" if ctypes.CFUNCTYPE(ctypes.c_int)(place)() > 0 else \"refused\", flush=True)";
    let script = format!(
        "for option in --unshare-ipc --seccomp-default; do {{bwrap}} $option --ro-bind / / /usr/bin/python3 -c '{call}' || echo refused; done"
    );
    Case::new("calls_of_32_bits")
        .ours_only()
        .needs(can_call_as_32_bits)
        .tools(&["python3"])
        .unrefused("a filter around it refuses these calls too")
        .script(&script)
        .stdout("called\nrefused\n")
}

fn can_call_as_32_bits() -> crate::harness::Result<()> {
    let emulated = std::fs::exists("/proc/sys/abi/vsyscall32").unwrap_or(false);
    if cfg!(target_arch = "x86_64") && emulated { Ok(()) } else { Err("needs x86-64 that runs 32-bit programs".to_owned()) }
}

fn has_strace() -> crate::harness::Result<()> {
    let works =
        std::process::Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if works { Ok(()) } else { Err("needs strace".to_owned()) }
}

/// Sections of the page, and how each thing that they say begins.
const SECTIONS: [(&str, &[&str]); 3] =
    [("What is promised", &["If COMMAND", "- "]), ("What is not", &["- "]), ("Who controls what", &["| "])];

/// What cannot be shown by a test, for it says what is left to others.
const NOT_TESTED: [&str; 4] = [
    "- **The kernel.**",
    "- **A bwrap that the user can write to.**",
    "- **Joined namespaces.**",
    "- **Hiding the sandbox from COMMAND**",
];

/// The trial that each thing the page says names its tests.
pub(crate) fn trial() -> Trial {
    Trial::test("coverage::every_promise_has_a_test", || {
        let Some(text) = page::security() else { return Ok(()) };
        let mut troubles = troubles(&text);
        let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let paths =
            text.split('`').skip(1).step_by(2).filter(|code| code.starts_with("compat-tests/") && !code.contains([' ', '*']));
        troubles.extend(paths.filter(|path| !top.join(path).exists()).map(|path| format!("SECURITY.md names {path}")));
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
