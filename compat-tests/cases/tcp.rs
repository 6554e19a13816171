//! `--tcp-connect` and `--tcp-bind`: every door to TCP that the kernel has, and a program in Go, which listens by MPTCP where it can.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use super::beyond::has_ports;
use super::filters::MODES;
use crate::harness::{Case, Outcome, Result, Setup};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = doors();
    cases.extend(carried());
    cases.extend(go());
    cases.into_iter().map(Case::ours_only).collect()
}

/// A port that nobody uses: each sandbox has a network of its own.
const FREE: &str = "4444";

fn boxed(name: &str, options: &[&str]) -> Case {
    let case = Case::new(name).needs(has_ports).on_host().options(["--unshare-net"]);
    case.options(["--proc", "/proc", "--dev", "/dev"]).options(options)
}

fn seen(name: &str, options: &[&str], views: &[&str]) -> Case {
    boxed(name, options).run([&["{probe}", "--probe", "{namespaces}"], views].concat()).ok()
}

/// These lines, in this order, among others.
fn lines(wanted: &'static [&'static str]) -> impl Fn(&Outcome) -> Result<()> {
    move |o| wanted.iter().try_for_each(|line| o.expect_line(line))
}

fn doors() -> Vec<Case> {
    let doors = "doors:4444";
    let all_caps = ["--unshare-user", "--uid", "0", "--cap-add", "ALL"];
    vec![
        // What is closed below is open here, or the cases would show nothing.
        seen("doors_are_open", &[], &[doors, "doors"]).claim(lines(OPEN)).claim(all_free),
        seen("doors_with_tcp_connect", &["--tcp-connect", "443"], &[doors, "doors"]).claim(lines(CLOSED)).claim(lines(FILTERED)),
        seen("doors_with_tcp_bind", &["--tcp-bind", FREE], &[doors, "doors"]).claim(lines(FILTERED)).claim(lines(&[
            "connect: EACCES",
            "connect by MPTCP: EPROTONOSUPPORT",
            "sendto with MSG_FASTOPEN: EOPNOTSUPP",
            "bind: through",
            "bind without a family: through",
            "bind by MPTCP: EPROTONOSUPPORT",
        ])),
        seen("doors_for_root_in_its_namespace", &[&all_caps[..], &["--tcp-connect", "443"]].concat(), &[doors, "doors"])
            .claim(lines(CLOSED))
            .claim(lines(FILTERED)),
        seen("doors_beside_policies", &["--seccomp-default", "--tcp-connect", "443", "--unshare-pid"], &[doors]).claim(lines(&[
            "connect: EACCES",
            "connect by MPTCP: EPROTONOSUPPORT",
            "sendto with MSG_FASTOPEN: EOPNOTSUPP",
            "bind: EACCES",
            "bind by MPTCP: EPROTONOSUPPORT",
        ])),
        boxed("pid_1_is_not_filtered", &["--unshare-pid", "--tcp-connect", "443"])
            .unrefused("there is one filter more")
            .run(["sh", "-c", MODES])
            .ok()
            .stdout("0\n2\n"),
        boxed("no_filter_without_the_options", &["--scope-signals"])
            .needs(super::beyond::has_scopes)
            .unrefused("there is one filter more")
            .run(["sed", "-n", "s/^Seccomp:[^0-9]*//p", "/proc/self/status"])
            .ok()
            .stdout("0\n"),
        boxed("dry_run", &["--tcp-bind", "80", "--dry-run"])
            .run(["true"])
            .ok()
            .claim(lines(&["  filters      the filter of --tcp-connect and --tcp-bind"])),
    ]
}

const OPEN: &[&str] = &[
    "connect: through",
    "connect over v6: through",
    "connect after a disconnect: through",
    "connect by MPTCP: through",
    "connect by MPTCP over v6: through",
    "connect by MPTCP in half a register: through",
    "TCP_FASTOPEN_CONNECT: through",
    "sendto with MSG_FASTOPEN: through",
    "sendto with MSG_FASTOPEN over v6: through",
    "sendto of nothing with MSG_FASTOPEN: through",
    "sendto with MSG_FASTOPEN and more: through",
    "sendto with MSG_FASTOPEN by MPTCP: through",
    "sendmsg with MSG_FASTOPEN: through",
    "sendmmsg with MSG_FASTOPEN: through",
    "bind: through",
    "bind without a family: through",
    "bind by MPTCP: through",
    "bind by MPTCP over v6: through",
];

const CLOSED: &[&str] = &[
    "connect: EACCES",
    "connect over v6: EACCES",
    "connect after a disconnect: EACCES",
    "connect by MPTCP: EPROTONOSUPPORT",
    "connect by MPTCP over v6: EPROTONOSUPPORT",
    "connect by MPTCP in half a register: EPROTONOSUPPORT",
    "TCP_FASTOPEN_CONNECT: EACCES",
    "sendto with MSG_FASTOPEN: EOPNOTSUPP",
    "sendto with MSG_FASTOPEN over v6: EOPNOTSUPP",
    "sendto of nothing with MSG_FASTOPEN: EOPNOTSUPP",
    "sendto with MSG_FASTOPEN and more: EOPNOTSUPP",
    "sendto with MSG_FASTOPEN by MPTCP: EPROTONOSUPPORT",
    "sendmsg with MSG_FASTOPEN: EOPNOTSUPP",
    "sendmmsg with MSG_FASTOPEN: EOPNOTSUPP",
    "bind: EACCES",
    "bind without a family: EACCES",
    "bind by MPTCP: EPROTONOSUPPORT",
    "bind by MPTCP over v6: EPROTONOSUPPORT",
];

/// No filter says anything about any of the calls in [`FILTERED`].
fn all_free(o: &Outcome) -> Result<()> {
    o.expect(
        o.stdout.lines().filter(|line| line.ends_with(": free")).count() == FILTERED.len(),
        "a filter where none was asked for",
    )
}

const FILTERED: &[&str] = &[
    "SMC: EAFNOSUPPORT",
    "SMC of IPv4: EPROTONOSUPPORT",
    "SCTP: EPROTONOSUPPORT",
    "SCTP of packets: ESOCKTNOSUPPORT",
    "DCCP: ESOCKTNOSUPPORT",
    "raw TCP: EPERM",
    "raw packets: EPERM",
    "SOCK_PACKET: ESOCKTNOSUPPORT",
    "packets: EAFNOSUPPORT",
    "RDS: EAFNOSUPPORT",
    "KCM: EAFNOSUPPORT",
    "TIPC: EAFNOSUPPORT",
    "vsock: EAFNOSUPPORT",
    "a family to come: EAFNOSUPPORT",
    "TCP_ULP: ENOENT",
    "io_uring_setup: EPERM",
    "io_uring_enter: EPERM",
    "io_uring_register: EPERM",
    "TCP: free",
    "TCP by its number: free",
    "UDP: free",
    "ping: free",
    "unix: free",
    "netlink: free",
    "TCP_NODELAY: free",
    "sendto: free",
];

/// Sockets of families and protocols that come in modules, which virtual machines load. No filter is asked here, the sockets are made
/// and used.
fn carried() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| seen(name, options, &["carried:4444"]);
    let smc_closed: &'static [&'static str] = &[
        "connect by SMC: EAFNOSUPPORT",
        "connect by SMC over v6: EAFNOSUPPORT",
        "sendto by SMC with MSG_FASTOPEN: EAFNOSUPPORT",
        "bind by SMC: EAFNOSUPPORT",
        "connect by SMC of IPv4: EPROTONOSUPPORT",
        "connect by TCP that was made SMC: ENOENT",
    ];
    let others: &'static [&'static str] =
        &["bind by RDS: through", "bind by SCTP: through", "KCM: through", "TIPC: through", "vsock: through"];
    let others_closed: &'static [&'static str] = &[
        "bind by RDS: EAFNOSUPPORT",
        "bind by SCTP: EPROTONOSUPPORT",
        "KCM: EAFNOSUPPORT",
        "TIPC: EAFNOSUPPORT",
        "vsock: EAFNOSUPPORT",
    ];
    // For root in its namespace as well: some of them want a capability.
    let caps = ["--unshare-user", "--uid", "0", "--cap-add", "ALL"];
    let with = |options: &[&'static str]| [&caps[..], options].concat();
    vec![
        case("smc_is_open", &[]).needs(has_smc).claim(lines(&[
            "connect by SMC: through",
            "connect by SMC over v6: through",
            "sendto by SMC with MSG_FASTOPEN: through",
            "bind by SMC: through",
        ])),
        case("smc_with_tcp_connect", &["--tcp-connect", "443"]).needs(has_smc).claim(lines(smc_closed)),
        case("smc_with_tcp_bind", &with(&["--tcp-bind", "4444"])).needs(has_smc).claim(lines(smc_closed)),
        case("smc_with_address_families", &["--address-families", "inet,inet6"]).needs(has_smc).claim(lines(&[
            "connect by SMC: EAFNOSUPPORT",
            "connect by SMC over v6: EAFNOSUPPORT",
            "sendto by SMC with MSG_FASTOPEN: EAFNOSUPPORT",
            "bind by SMC: EAFNOSUPPORT",
        ])),
        case("modules_are_open", &caps).needs(has_modules).claim(lines(others)),
        case("modules_with_tcp_connect", &with(&["--tcp-connect", "443"])).needs(has_modules).claim(lines(others_closed)),
        case("modules_with_udp_bind", &with(&["--udp-bind", "4444"])).needs(has_modules_and_udp).claim(lines(others_closed)),
        case("modules_with_address_families", &with(&["--address-families", "inet,inet6"])).needs(has_modules).claim(lines(&[
            "bind by RDS: EAFNOSUPPORT",
            "bind by SCTP: through",
            "KCM: EAFNOSUPPORT",
            "TIPC: EAFNOSUPPORT",
            "vsock: EAFNOSUPPORT",
        ])),
    ]
}

fn has_smc() -> Result<()> {
    has_loaded(&["SMC", "SMC6"])
}

fn has_modules() -> Result<()> {
    has_loaded(&["RDS", "SCTP", "KCM", "TIPC", "AF_VSOCK"])
}

fn has_modules_and_udp() -> Result<()> {
    has_modules()?;
    super::sockets::has_udp()
}

/// Whether the kernel has these protocols and ports by Landlock. Trying would load them.
fn has_loaded(protocols: &[&str]) -> Result<()> {
    has_ports()?;
    let table = fs::read_to_string("/proc/net/protocols").unwrap_or_default();
    let mut missing = protocols.iter().filter(|name| !table.lines().any(|line| line.split(' ').next() == Some(**name)));
    missing.next().map_or(Ok(()), |name| Err(format!("the kernel has not loaded {name}")))
}

/// Listens on each port and says by which protocol: 262 is MPTCP, 6 is TCP.
const LISTENER: &str = r#"package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

func main() {
	for _, port := range os.Args[1:] {
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			fmt.Println(err)
			continue
		}
		socket, _ := listener.(*net.TCPListener).SyscallConn()
		socket.Control(func(fd uintptr) {
			protocol, _ := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, 38)
			fmt.Println(port, "by protocol", protocol)
		})
	}
}
"#;

/// The program, built once.
fn listener() -> Result<&'static [u8]> {
    static PROGRAM: OnceLock<Result<Vec<u8>>> = OnceLock::new();
    PROGRAM.get_or_init(build).as_deref().map_err(Clone::clone)
}

fn build() -> Result<Vec<u8>> {
    let dir = env::temp_dir().join(format!("bleb-go-{}", std::process::id()));
    let built = (|| {
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("main.go"), LISTENER)?;
        // Without a module the standard library does as it did before MPTCP.
        fs::write(dir.join("go.mod"), "module listener\n\ngo 1.24\n")?;
        // The cache is left where Go has it: the library it holds takes longer than all else.
        let mut go = Command::new("go");
        go.args(["build", "-o", "listener"]).current_dir(&dir);
        go.envs([("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOTOOLCHAIN", "local")]).output()
    })();
    let program = match built {
        Ok(output) if output.status.success() => fs::read(dir.join("listener")).map_err(|e| e.to_string()),
        Ok(output) => Err(format!("go build: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("go build: {error}")),
    };
    _ = fs::remove_dir_all(&dir);
    program
}

/// Whether there is a Go that listens by MPTCP without being asked: 1.24 or newer. And ports.
fn has_go() -> Result<()> {
    has_ports()?;
    let version = Command::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output();
    let version = version.map_err(|_| "there is no Go (compat-tests/tools/go fetches it)".to_owned())?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let minor = version.strip_prefix("go1.").and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    match minor.and_then(|minor| minor.parse::<u32>().ok()) {
        Some(24..) => Ok(()),
        _ => Err(format!("Go has to be 1.24 or newer, and is {version:?}")),
    }
}

fn go() -> Vec<Case> {
    let put = |s: &mut Setup| -> Result<()> {
        s.file("built", listener()?)?;
        fs::set_permissions(s.path("built"), fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())?;
        // Nobody executes a file that somebody has open for writing, such as a process that another thread has just forked.
        let copied = Command::new("cp").arg("-p").args(["built", "listener"].map(|name| s.path(name))).status();
        copied.map_err(|e| e.to_string())?.success().then_some(()).ok_or_else(|| "cp has failed".to_owned())
    };
    let case = |name: &str, options: &[&str], said: &str| {
        boxed(name, options).needs(has_go).setup(put).run(["{dir}/listener", "4444", "4445"]).ok().stdout(said)
    };
    vec![
        case("go_listens_by_mptcp", &[], "4444 by protocol 262\n4445 by protocol 262\n"),
        case(
            "go_is_held_by_tcp_bind",
            &["--tcp-bind", "4445"],
            "listen tcp 127.0.0.1:4444: bind: permission denied\n4445 by protocol 6\n",
        ),
    ]
}
