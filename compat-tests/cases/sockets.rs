//! `--address-families`, `--unix-connect`, `--udp-connect` and `--udp-bind`: what they leave, every door beside them, and what is said
//! where the kernel is too old.

use std::os::unix::net::{UnixDatagram, UnixListener};

use super::beyond::has_abi;
use super::fails;
use super::filters::MODES;
use crate::harness::{Case, Outcome, Result, Setup, Tweak};
use crate::sys;

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = families();
    cases.extend(unix());
    cases.extend(udp());
    cases.extend(recorded());
    cases.extend(old_kernels());
    cases.extend(wrong_words());
    cases.into_iter().map(Case::ours_only).collect()
}

fn boxed(name: &str, options: &[&str]) -> Case {
    Case::new(name).on_host().options(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/mnt"]).options(options)
}

fn seen(name: &str, options: &[&str], views: &[&str]) -> Case {
    boxed(name, options).run([&["{probe}", "--probe", "{namespaces}"], views].concat()).ok()
}

/// These lines, in this order, among others.
fn lines(wanted: &'static [&'static str]) -> impl Fn(&Outcome) -> Result<()> {
    move |o| wanted.iter().try_for_each(|line| o.expect_line(line))
}

fn families() -> Vec<Case> {
    let view = &["families"][..];
    vec![
        // What is closed below is open here, or the cases would show nothing.
        seen("families_are_open", &[], view).claim(|o| {
            o.expect(o.stdout.lines().filter(|line| line.ends_with(": free")).count() == 17, "a filter where none was asked for")
        }),
        seen("families_unix", &["--address-families", "unix"], view).claim(lines(&[
            "unix: free",
            "IPv4: EAFNOSUPPORT",
            "IPv6: EAFNOSUPPORT",
            "IPv6 in half a register: EAFNOSUPPORT",
            "netlink: EAFNOSUPPORT",
            "packets: EAFNOSUPPORT",
            "SOCK_PACKET: EAFNOSUPPORT",
            "vsock: EAFNOSUPPORT",
            "a family to come: EAFNOSUPPORT",
            "pair of streams: free",
            "pair of packets in sequence: free",
            "pair of datagrams: free",
            "pair of raw datagrams: free",
            "pair of TIPC: EAFNOSUPPORT",
            "io_uring_setup: EPERM",
            "io_uring_enter: EPERM",
            "io_uring_register: EPERM",
        ])),
        seen("families_internet", &["--address-families", "inet,inet6", "--address-families", "16"], view).claim(lines(&[
            "unix: EAFNOSUPPORT",
            "IPv4: free",
            "IPv6: free",
            "IPv6 in half a register: free",
            "netlink: free",
            "packets: EAFNOSUPPORT",
            "SOCK_PACKET: EAFNOSUPPORT",
            "pair of streams: free",
            "pair of packets in sequence: free",
            "pair of datagrams: EAFNOSUPPORT",
            "pair of raw datagrams: EAFNOSUPPORT",
            "pair of TIPC: EAFNOSUPPORT",
            "io_uring_setup: EPERM",
        ])),
        seen("families_none", &["--address-families", "none", "--unshare-user", "--uid", "0", "--cap-add", "ALL"], view).claim(
            lines(&[
                "unix: EAFNOSUPPORT",
                "IPv4: EAFNOSUPPORT",
                "netlink: EAFNOSUPPORT",
                "a family to come: EAFNOSUPPORT",
                "pair of streams: free",
                "pair of datagrams: EAFNOSUPPORT",
            ]),
        ),
        // A read-only bind does not stop connect(2) to a socket in it. This does.
        seen("families_hold_from_a_socket", &["--address-families", "inet"], &["unix:{dir}"]).setup(listeners).claim(lines(&[
            "stream: EAFNOSUPPORT",
            "packets in sequence: EAFNOSUPPORT",
            "datagrams: EAFNOSUPPORT",
            "pair of datagrams: EAFNOSUPPORT",
            "pair of datagrams by sendto: EAFNOSUPPORT",
        ])),
        seen("sockets_are_in_reach", &[], &["unix:{dir}"]).setup(listeners).claim(lines(&[
            "stream: through",
            "packets in sequence: through",
            "datagrams: through",
            "datagram by sendto: through",
            "datagram by sendmsg: through",
            "datagram by sendmmsg: through",
            "pair of datagrams: through",
            "pair of datagrams by sendto: through",
            "own: through",
            "file to another directory: through",
        ])),
        boxed("families_leave_pid_1", &["--unshare-pid", "--address-families", "unix"])
            .unrefused("there is one filter more")
            .run(["sh", "-c", MODES])
            .ok()
            .stdout("0\n2\n"),
        boxed("families_beside_a_policy", &["--seccomp-default", "--address-families", "unix"])
            .run(["echo", "hi"])
            .ok()
            .stdout("hi\n"),
        boxed("families_are_shown", &["--address-families", "netlink,1", "--dry-run"])
            .run(["true"])
            .ok()
            .claim(lines(&["  filters      the filter of --address-families", "  restrictions socket families: unix, netlink"])),
    ]
}

/// A socket of each kind, outside.
fn listeners(s: &mut Setup) -> Result<()> {
    let fail = |e: std::io::Error| e.to_string();
    s.hold(UnixListener::bind(s.path("stream")).map_err(fail)?);
    s.hold(UnixDatagram::bind(s.path("datagram")).map_err(fail)?);
    let path = s.path("packets");
    let packets = sys::listen_for_packets(&path).map_err(fail)?;
    s.hold(packets);
    s.dir("below")?;
    s.hold(UnixListener::bind(s.path("below/stream")).map_err(fail)?);
    Ok(())
}

pub(super) fn has_unix() -> Result<()> {
    has_abi(9)
}

pub(super) fn has_udp() -> Result<()> {
    has_abi(10)
}

fn unix() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| seen(name, options, &["unix:{dir}"]).needs(has_unix).setup(listeners);
    let held: &'static [&'static str] = &[
        "packets in sequence: EACCES",
        "datagrams: EACCES",
        "datagram by sendto: EACCES",
        "datagram by sendmsg: EACCES",
        "datagram by sendmmsg: EACCES",
        "pair of datagrams: EACCES",
        "pair of datagrams by sendto: EACCES",
        "own: through",
        "file to another directory: through",
    ];
    vec![
        case("unix_connect", &["--unix-connect", "{dir}/stream"]).claim(lines(&["stream: through"])).claim(lines(held)),
        case("unix_connect_elsewhere", &["--unix-connect", "{dir}/below"]).claim(lines(&["stream: EACCES"])).claim(lines(held)),
        case(
            "unix_connect_for_root_in_its_namespace",
            &["--unix-connect", "/mnt", "--unshare-user", "--uid", "0", "--cap-add", "ALL"],
        )
        .claim(lines(&["stream: EACCES"]))
        .claim(lines(held)),
        case("unix_connect_below", &["--unix-connect", "{dir}", "--unshare-all"]).claim(lines(&[
            "stream: through",
            "packets in sequence: through",
            "datagrams: through",
            "datagram by sendto: through",
            "pair of datagrams: through",
            "own: through",
        ])),
        case("unix_connect_by_another_path", &["--bind", "{dir}", "/srv", "--unix-connect", "{dir}/below"])
            .claim(lines(&["stream: EACCES"])),
        seen("unix_connect_holds_abstract_sockets", &["--unix-connect", "/mnt"], &["escape:socket:{socket}"])
            .needs(has_unix)
            .setup(super::escapes::process::abstract_socket)
            .claim(|o| o.expect_line("abstract socket: held")),
        seen("unix_connect_refuses_rings", &["--unix-connect", "/mnt"], &["families"]).needs(has_unix).claim(lines(&[
            "unix: free",
            "IPv4: free",
            "io_uring_setup: EPERM",
            "io_uring_enter: EPERM",
            "io_uring_register: EPERM",
        ])),
        boxed("unix_connect_refuses_mounts", &["--unshare-user", "--uid", "0", "--cap-add", "ALL", "--unix-connect", "/mnt"])
            .needs(has_unix)
            .run(["mount", "-t", "tmpfs", "x", "/mnt"])
            .claim(|o| {
                o.expect(o.stderr.contains("permission denied") || o.stderr.contains("Operation not permitted"), "it could mount")
            }),
        brought("unix_connect_of_what_is_brought_there", &["--unix-connect", "{dir}/below"]).needs(has_unix).claim(lines(&[
            "hard link: EXDEV",
            "symbolic link: EACCES",
            "exchange: EXDEV",
            "rename: EXDEV",
            "rename of its directory: EXDEV",
        ])),
        brought("sockets_can_be_brought", &[]).claim(lines(&[
            "hard link: through",
            "symbolic link: through",
            "exchange: through",
            "rename: through",
            "rename of its directory: through",
        ])),
        boxed("unix_connect_missing", &["--unix-connect", "/mnt/none"])
            .needs(has_unix)
            .run(["echo", "hi"])
            .fails("bwrap: Can't find the path of --unix-connect /mnt/none: No such file or directory"),
        boxed("unix_connect_link", &["--symlink", "probe", "/mnt/link", "--unix-connect", "/mnt/link"])
            .needs(has_unix)
            .run(["echo", "hi"])
            .fails("bwrap: The path of --unix-connect is a symbolic link: /mnt/link"),
    ]
}

/// COMMAND can write to the directory that is allowed, and to the one around it.
fn brought(name: &str, options: &[&str]) -> Case {
    let other = |s: &mut Setup| {
        s.dir("other")?;
        s.hold(UnixListener::bind(s.path("other/stream")).map_err(|e| e.to_string())?);
        Ok(())
    };
    seen(name, &[&["--bind", "{dir}", "{dir}"], options].concat(), &["brought:{dir}"]).setup(listeners).setup(other)
}

fn udp() -> Vec<Case> {
    let case = |name: &str, options: &[&str], views: &[&str]| seen(name, &[&["--unshare-net"], options].concat(), views);
    let open: &'static [&'static str] = &[
        "connect: through",
        "connect over v6: through",
        "connect to v4 over v6: through",
        "sendto: through",
        "sendto over v6: through",
        "sendto v4 over v6: through",
        "sendto of nothing: through",
        "sendmsg: through",
        "sendmmsg: through",
    ];
    let held: &'static [&'static str] = &[
        "connect: EACCES",
        "connect over v6: EACCES",
        "connect to v4 over v6: EACCES",
        "sendto: EACCES",
        "sendto over v6: EACCES",
        "sendto v4 over v6: EACCES",
        "sendto of nothing: EACCES",
        "sendmsg: EACCES",
        "sendmmsg: EACCES",
    ];
    let filtered: &'static [&'static str] = &[
        "SMC: EAFNOSUPPORT",
        "SMC of IPv4: EPROTONOSUPPORT",
        "SCTP: EPROTONOSUPPORT",
        "SCTP of packets: ESOCKTNOSUPPORT",
        "raw TCP: EPERM",
        "raw packets: EPERM",
        "SOCK_PACKET: ESOCKTNOSUPPORT",
        "packets: EAFNOSUPPORT",
        "TIPC: EAFNOSUPPORT",
        "vsock: EAFNOSUPPORT",
        "a family to come: EAFNOSUPPORT",
        "io_uring_setup: EPERM",
        "io_uring_enter: EPERM",
        "io_uring_register: EPERM",
        "TCP: free",
        "UDP: free",
        "ping: free",
        "unix: free",
        "netlink: free",
    ];
    let tcp = "doors:4444";
    vec![
        case("udp_is_open", &[], &["udp:4711"]).claim(lines(open)).claim(lines(&["bind: through", "bind over v6: through"])),
        case("udp_connect", &["--udp-connect", "4711"], &["udp:4711", "doors", tcp])
            .needs(has_udp)
            .claim(lines(open))
            .claim(lines(&["bind: EACCES", "bind over v6: EACCES", "UDP-Lite: EPROTONOSUPPORT"]))
            .claim(lines(filtered))
            .claim(lines(&["connect by MPTCP: through", "bind by MPTCP: through"])),
        case("udp_connect_elsewhere", &["--udp-connect", "53", "--udp-connect", "54"], &["udp:4711"])
            .needs(has_udp)
            .claim(lines(held))
            .claim(lines(&["bind: EACCES"])),
        case(
            "udp_connect_for_root_in_its_namespace",
            &["--unshare-user", "--uid", "0", "--cap-add", "ALL", "--udp-connect", "53"],
            &["udp:4711"],
        )
        .needs(has_udp)
        .claim(lines(held))
        .claim(lines(&["bind: EACCES"])),
        case("udp_bind", &["--udp-bind", "4711"], &["udp:4711", "doors"])
            .needs(has_udp)
            .claim(lines(held))
            .claim(lines(&["bind: through", "bind over v6: through"]))
            .claim(lines(filtered)),
        case("udp_bind_elsewhere", &["--udp-bind", "0"], &["udp:4711"])
            .needs(has_udp)
            .claim(lines(&["bind: EACCES", "bind over v6: EACCES"])),
        case("udp_and_tcp", &["--udp-connect", "4711", "--tcp-connect", "443"], &["udp:4711", tcp])
            .needs(has_udp)
            .claim(lines(open))
            .claim(lines(&[
                "[doors:4444]",
                "connect: EACCES",
                "connect by MPTCP: EPROTONOSUPPORT",
                "sendto with MSG_FASTOPEN: EOPNOTSUPP",
            ])),
        boxed("udp_leaves_pid_1", &["--unshare-pid", "--udp-connect", "53"])
            .needs(has_udp)
            .unrefused("there is one filter more")
            .run(["sh", "-c", MODES])
            .ok()
            .stdout("0\n2\n"),
    ]
}

/// While a run is recorded, what is refused otherwise is refused as well.
fn recorded() -> Vec<Case> {
    let case = |name: &str, options: &[&str], view: &str| {
        let case = boxed(name, &["--unshare-user", "--unshare-pid", "--unshare-net", "--learn", "{dir}/p"]).options(options);
        case.unrefused("nothing is recorded without openat2").run(["{probe}", "--probe", "{namespaces}", view]).status(0)
    };
    vec![
        case("unix_connect_while_recording", &["--unix-connect", "{dir}/stream"], "unix:{dir}")
            .needs(has_unix)
            .setup(listeners)
            .claim(lines(&[
                "stream: through",
                "packets in sequence: EACCES",
                "datagrams: EACCES",
                "datagram by sendto: EACCES",
                "datagram by sendmsg: EACCES",
                "datagram by sendmmsg: EACCES",
                "pair of datagrams by sendto: EACCES",
                "own: through",
            ])),
        case("udp_while_recording", &["--udp-connect", "53"], "udp:4711").needs(has_udp).claim(lines(&[
            "connect: EACCES",
            "connect to v4 over v6: EACCES",
            "sendto: EACCES",
            "sendmsg: EACCES",
            "sendmmsg: EACCES",
            "bind: EACCES",
            "UDP-Lite: EPROTONOSUPPORT",
        ])),
    ]
}

/// What a kernel says that lacks it: nothing is done without.
fn old_kernels() -> Vec<Case> {
    let mut cases = vec![];
    for (option, value, abi, linux) in
        [("--unix-connect", "/mnt", 9, "7.1"), ("--udp-connect", "53", 10, "7.2"), ("--udp-bind", "53", 10, "7.2")]
    {
        let needs = format!("bwrap: {option} needs Landlock ABI {abi} (Linux {linux}), ");
        let name = option.trim_start_matches("--").replace('-', "_");
        let case = |end: &str| {
            let case = Case::new(&format!("{name}_{end}")).dir("made");
            case.options(["--ro-bind", "/", "/", "--bind", "{dir}/made", "/mnt", "--dir", "/mnt/in", option, value])
                .run(["echo", "hi"])
        };
        let nothing_made = |case: Case, start: &str| case.fails_beginning(start).claim(|o| o.expect_tree("made/in", None));
        let old = case("kernel_is_too_old").needs(if abi == 9 { lacks_unix } else { lacks_udp });
        cases.push(nothing_made(old, &format!("{needs}and this kernel, ")));
        for (end, errno, rest) in
            [("no_landlock", libc::ENOSYS, "and this kernel, "), ("switched_off", libc::EOPNOTSUPP, "which is switched off")]
        {
            cases.push(nothing_made(
                case(end).tweak(Tweak::Refuse(&["landlock_create_ruleset"], errno)),
                &format!("{needs}{rest}"),
            ));
        }
        cases.push(
            case("is_shown")
                .options(["--dry-run"])
                .needs(if abi == 9 { has_unix } else { has_udp })
                .claim(|o| o.expect(o.stdout.contains("only (Landlock)"), "it is not shown")),
        );
    }
    cases
}

fn lacks_unix() -> Result<()> {
    if has_unix().is_ok() { Err("the kernel has it".to_owned()) } else { Ok(()) }
}

fn lacks_udp() -> Result<()> {
    if has_udp().is_ok() { Err("the kernel has it".to_owned()) } else { Ok(()) }
}

fn wrong_words() -> Vec<Case> {
    let mut cases = vec![
        fails("families_alone", &["--address-families"], "bwrap: --address-families takes an argument"),
        fails("unix_connect_alone", &["--unix-connect"], "bwrap: --unix-connect takes an argument"),
        fails("unix_connect_empty", &["--unix-connect", ""], "bwrap: --unix-connect does not take an empty path argument"),
        fails("udp_connect_too_large", &["--udp-connect", "65536"], "bwrap: Invalid port: 65536"),
        fails("udp_bind_name", &["--udp-bind", "dns"], "bwrap: Invalid port: dns"),
    ];
    for (name, list, word) in [
        ("unknown", "unix,inet7", "inet7"),
        ("upper_case", "AF_UNIX", "AF_UNIX"),
        ("too_large", "256", "256"),
        ("none_among_others", "unix,none", "none"),
        ("empty", "", ""),
        ("end", "unix,", ""),
    ] {
        cases.push(fails(
            &format!("families_{name}"),
            &["--address-families", list],
            &format!("bwrap: unknown address family: {word}"),
        ));
    }
    cases
}
