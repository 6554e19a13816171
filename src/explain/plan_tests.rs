//! What `--dry-run` shows of each option, held to `plan-snapshots.txt`. `BLESS=1 cargo test --bin
//! bwrap` rewrites it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::ffi::CString;
use std::fmt::Write as _;
use std::os::fd::IntoRawFd as _;
use std::path::Path;

use nix::unistd::getppid;

use super::*;

use crate::cli::options::{Kind, OPTIONS};
use crate::cli::parse;
use crate::cli::record::Request;
use crate::explain::render::render;
use crate::fds::Inherited;
use crate::host::{Caller, Host};

/// Command lines of several options.
const LINES: &[&str] = &[
    "",
    "--unshare-all --share-net --ro-bind /usr /usr --symlink usr/bin /bin --proc /proc --dev /dev \
     --tmpfs /tmp --chdir /tmp",
    "--bind / / --tmpfs /usr --ro-bind /usr /usr/lib --tmpfs /usr --dir /usr/x --chmod 0700 /usr/x",
    "--ro-bind /nonexistent/a-rather-long-name-of-a-source /a --ro-bind-try /nonexistent /b --tmpfs /b/c",
    "--ro-bind / / --dir /a/rather/long/path/of/a/destination/in/the/sandbox --setenv A b\tc --setenv Q it's",
    "--unshare-user --uid-map 0 100000 65536 --uid-map 65536 5 1 --gid-map 0 100000 65536",
];

/// Options that need others or particular values; all others stand alone, with values by their
/// kind.
const WORDS: &[(&str, &str)] = &[
    ("--add-seccomp-fd", "--add-seccomp-fd {null}"),
    ("--address-families", "--address-families unix,inet --address-families 99,inet6"),
    ("--args", "--args {null}"),
    ("--argv0", "--argv0 name"),
    ("--as-pid-1", "--unshare-pid --as-pid-1"),
    ("--cap-add", "--cap-add CAP_NET_BIND_SERVICE --cap-add CAP_CHOWN"),
    ("--cgroup", "--cgroup memory.max 500M"),
    ("--chmod", "--chmod 0700 /d"),
    ("--disable-userns", "--unshare-user --disable-userns"),
    ("--gid", "--gid 8"),
    ("--gid-map", "--gid-map 8 1000 1"),
    ("--hostname", "--unshare-uts --hostname box"),
    ("--mask-glob", "--mask-glob **/.env* --mask-glob /home/*/.ssh/"),
    ("--noexec", "--noexec --ro-bind /usr /usr"),
    ("--nosymfollow", "--noexec --nosymfollow --tmpfs /t"),
    ("--learn-exact", "--learn file --learn-exact"),
    ("--overlay", "--overlay-src /usr --overlay /etc /var /o"),
    ("--overlay-src", "--overlay-src /usr --overlay-src /etc --ro-overlay /o"),
    ("--perms", "--perms 0711 --tmpfs /t"),
    ("--profile", "--profile src/explain/snapshot-profile"),
    ("--rlimit", "--rlimit nofile 100:unlimited"),
    ("--ro-overlay", "--overlay-src /usr --overlay-src /etc --ro-overlay /o"),
    ("--seccomp-policy", "--seccomp-policy src/explain/snapshot-policy.json"),
    ("--setenv", "--setenv NAME value"),
    ("--setup-status", "--setup-status 125"),
    ("--size", "--size 65536 --tmpfs /t"),
    ("--symlink", "--symlink target /d"),
    ("--tcp-bind", "--tcp-bind 80"),
    ("--tcp-connect", "--tcp-connect 443 --tcp-connect 80"),
    ("--tmp-overlay", "--overlay-src /usr --tmp-overlay /o"),
    ("--proc-pid", "--unshare-pid --proc-pid /proc"),
    ("--udp-bind", "--udp-bind 53"),
    ("--udp-connect", "--udp-connect 443 --udp-connect 53"),
    ("--unix-connect", "--unix-connect /run/a --unix-connect /run/b"),
    ("--timeout", "--unshare-pid --timeout 2.5:1"),
    ("--uid", "--uid 7"),
    ("--uid-map", "--uid-map 7 1000 1"),
    ("--userns-block-fd", "--unshare-user --userns-block-fd 1000 --info-fd 1001"),
];

/// Options that end the command line, or that only some systems take.
const WITHOUT: &[&str] = &["--check-host", "--exec-label", "--file-label", "--help", "--version"];

/// The words of an option.
fn words(name: &str, operands: &[(&str, Kind)]) -> String {
    if let Some((_, words)) = WORDS.iter().find(|(option, _)| *option == name) {
        return (*words).to_owned();
    }
    let values = operands.iter().map(|(_, kind)| match kind {
        Kind::HostPath => " /usr",
        Kind::Profile => " @private",
        Kind::Dest => " /d",
        Kind::Fd => " 1000",
        Kind::Capability => " CAP_CHOWN",
        Kind::Variable => " NAME",
        Kind::Text => " value",
    });
    name.to_owned() + &values.collect::<String>()
}

/// The plan for a command line.
fn shown(line: &str) -> String {
    let null = std::fs::File::open("/dev/null").expect("/dev/null");
    let line = line.replace("{null}", &null.into_raw_fd().to_string());
    let command = ["sh", "-c", "echo hi"];
    let words = line
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| word.replace("\\t", "\t"))
        .chain(command.map(str::to_owned));
    let words: Vec<&'static CStr> = words
        .map(|word| &*Box::leak(CString::new(word).expect("no NUL").into_boxed_c_str()))
        .collect();
    let Ok(Request::Run(config, _)) = parse::parse(words.iter().copied(), Inherited::default())
    else {
        return format!("refused: {line}\n");
    };
    // Ranges are root's.
    let id = if line.contains("65536 5 1") { 0 } else { 1000 };
    let host = Host {
        caller: Caller { uid: id, gid: id },
        caps: 0,
        permitted: 0,
        parent: getppid(),
        tty: None,
        command: None,
    };
    match config.check(host.caller, || true).and_then(|config| Settled::new(config, host)) {
        Ok(settled) => render(&Plan::of(&settled), false),
        Err(error) => format!("refused: {line}: {error}\n"),
    }
}

#[test]
fn dry_run_shows_every_option() {
    let options = OPTIONS
        .iter()
        .filter(|row| !WITHOUT.contains(&row.name))
        .map(|row| words(row.name, row.operands));
    let mut text = String::new();
    for line in LINES.iter().map(|line| (*line).to_owned()).chain(options) {
        let shown = shown(&line);
        assert!(
            !shown.starts_with("refused"),
            "{shown}if it needs other values or options, give it a line in WORDS, in {}",
            file!()
        );
        _ = write!(text, "$ bwrap --dry-run {line} sh -c 'echo hi'\n{shown}\n");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/explain/plan-snapshots.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("it can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("it is there");
    let differs = text.lines().zip(expected.lines().chain([""])).find(|(now, then)| now != then);
    assert!(
        text == expected,
        "(now, in plan-snapshots.txt): {differs:?}. If it is meant, run `BLESS=1 cargo test --bin bwrap`"
    );
}

#[test]
fn long_values_are_shortened() {
    let text = shown(&format!("--setenv TOKEN {}", "x".repeat(1000)));
    assert!(text.contains(&format!("TOKEN={}... (", "x".repeat(50))), "{text}");
    assert!(shown("--cap-add ALL").contains("capabilities all\n"));
    assert!(shown("--cap-add ALL --cap-drop CAP_BPF").contains("capabilities all but CAP_BPF\n"));
}

#[test]
fn lines_fit_a_terminal() {
    for line in LINES {
        for shown in shown(line).lines() {
            assert!(shown.chars().count() <= 80, "{shown}");
        }
    }
}

#[test]
fn the_document_is_json() {
    let line = "--unshare-pid --setenv A b --ro-bind / / --tmpfs /tmp --block-fd 1000";
    let words: Vec<&'static CStr> = line
        .split(' ')
        .chain(["true"])
        .map(|word| &*Box::leak(CString::new(word).expect("no NUL").into_boxed_c_str()))
        .collect();
    let Ok(Request::Run(config, _)) = parse::parse(words.iter().copied(), Inherited::default())
    else {
        panic!("it is a command line")
    };
    let host = Host {
        caller: Caller { uid: 1000, gid: 1000 },
        caps: 0,
        permitted: 0,
        parent: getppid(),
        tty: None,
        command: None,
    };
    let config = config.check(host.caller, || true).expect("it is a good one");
    let settled = Settled::new(config, host).expect("there are no policies");
    let json = serde_json::to_value(Plan::of(&settled)).expect("it is JSON");
    assert_eq!(json["namespaces"]["pid"], "new");
    assert_eq!(json["environment"][0]["set"], serde_json::json!(["A", "b"]));
    assert_eq!(json["filesystem"][0]["kind"], "bind");
    assert_eq!(json["filesystem"][1]["destination"], "/tmp");
    assert_eq!(json["files"][0], serde_json::json!({ "option": "block-fd", "fd": 1000 }));
    assert_eq!(json["command"], serde_json::json!(["true"]));
}
