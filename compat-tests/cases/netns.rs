//! `--netns`: network namespaces of root's and of the caller's own, with what else decides about user namespaces.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use super::fails;
use crate::harness::{Case, Fd, Outcome, Result, Setup};
use crate::sys::{self, Word};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = own();
    cases.extend(of_root());
    cases.extend(refused());
    cases.push(pasta());
    cases.into_iter().map(Case::ours_only).collect()
}

/// Passes a network namespace at 9 and the user namespace that owns it at 8.
fn with_map(s: &mut Setup, inside: u32) -> Result<()> {
    let map = |id: u32| format!("{inside} {id} 1");
    let outer = s.namespaces(libc::CLONE_NEWUSER | libc::CLONE_NEWNET, &map(s.uid), &map(s.gid))?;
    pass(s, outer.open("net")?)?;
    s.pass(8, outer.open("user")?);
    s.hold(outer);
    Ok(())
}

fn pass(s: &mut Setup, network: OwnedFd) -> Result<()> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", network.as_raw_fd())).map_err(|e| e.to_string())?;
    s.define("network", link.to_string_lossy().into_owned());
    s.pass(9, network);
    Ok(())
}

fn joined(name: &str, options: &[&str]) -> Case {
    let case = Case::new(name).on_host().options(["--proc", "/proc", "--netns", "9"]).options(options);
    case.run(["sh", "-c", "[ \"$(readlink /proc/self/ns/net)\" = \"$1\" ] && echo joined; id -u", "sh", "{network}"]).ok()
}

/// It is in that namespace, as this user.
fn as_user(id: &'static str) -> impl Fn(&Outcome) -> Result<()> {
    move |o| o.expect_text("stdout", &o.stdout, &format!("joined\n{}\n", o.expand(id)))
}

/// One that belongs to a user namespace of the caller's own. Root would not need to be that.
fn own() -> Vec<Case> {
    let mut cases = vec![];
    for (map, inside) in [("as_root", 0), ("as_itself", 54321)] {
        let case = |name: &str, options: &[&str]| joined(&format!("{name}_{map}"), options).setup(move |s| with_map(s, inside));
        cases.extend([
            case("own", &[]).claim(as_user("{uid}")),
            case("own_dev", &["--dev", "/dev"]).claim(as_user("{uid}")),
            case("own_other_ids", &["--unshare-user", "--uid", "5", "--gid", "6", "--dev", "/dev"]).claim(as_user("5")),
            case(
                "own_all",
                &["--unshare-all", "--share-net", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"],
            )
            .claim(as_user("{uid}")),
            case(
                "own_capabilities",
                &["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL", "--unshare-pid", "--forward-signals"],
            )
            .claim(as_user("0")),
            case("own_told", &["--unshare-pid", "--info-fd", "7", "--timeout", "100"]).fd(7, Fd::Capture).claim(as_user("{uid}")),
            case("own_line_of_the_map", &["--unshare-user", "--uid-map", "7", "{uid}", "1"]).claim(as_user("7")),
        ]);
    }
    cases.push(joined("with_its_userns", &["--userns", "8"]).setup(|s| with_map(s, 0)).claim(as_user("0")));
    cases.push(
        joined("with_its_userns_and_pids", &["--userns", "8", "--unshare-pid", "--die-with-parent"])
            .setup(|s| with_map(s, 0))
            .claim(as_user("0")),
    );
    cases
}

fn of_root() -> Vec<Case> {
    let plain = |s: &mut Setup| {
        let outer = s.namespaces(libc::CLONE_NEWNET, "", "")?;
        pass(s, outer.open("net")?)?;
        s.hold(outer);
        Ok(())
    };
    let case = |name: &str, options: &[&str]| joined(name, options).root_only().setup(plain);
    vec![
        case("roots", &[]).claim(as_user("0")),
        case("roots_user", &["--unshare-user", "--uid", "5", "--gid", "5", "--dev", "/dev", "--disable-userns"])
            .claim(as_user("5")),
        case(
            "roots_ranges",
            &["--unshare-user", "--uid-map", "0", "100000", "10", "--gid-map", "0", "100000", "10", "--dev", "/dev"],
        )
        .claim(as_user("0")),
        case("roots_all", &["--unshare-all", "--share-net", "--die-with-parent"]).claim(as_user("0")),
    ]
}

fn refused() -> Vec<Case> {
    let failure = "bwrap: Joining the specified network namespace failed";
    let case = |name: &str| {
        let case =
            Case::new(name).dir("made").options(["--ro-bind", "/", "/", "--bind", "{dir}/made", "/mnt", "--dir", "/mnt/in"]);
        case.options(["--netns", "9"]).run(["echo", "hi"]).claim(|o| o.expect_tree("made/in", None))
    };
    let none = "it is not a network namespace";
    let process = |s: &mut Setup| -> Result<()> {
        let words = &mut [Word::Number(std::process::id().into()), Word::Number(0)];
        s.pass(9, sys::call(libc::SYS_pidfd_open, words).map(sys::adopt).map_err(|error| error.to_string())?);
        Ok(())
    };
    let unmapped = |s: &mut Setup| -> Result<()> {
        let outer = s.namespaces(libc::CLONE_NEWUSER | libc::CLONE_NEWNET, "", "")?;
        s.pass(9, outer.open("net")?);
        s.hold(outer);
        Ok(())
    };
    let incompatible = "bwrap: --netns is not compatible with --unshare-net: after --unshare-all, add --share-net";
    vec![
        case("closed").fails(&format!("{failure}: Bad file descriptor")),
        case("a_file").fd(9, Fd::path("/etc/passwd")).fails(&format!("{failure}: {none}: Inappropriate ioctl for device")),
        // setns(2) would take it, and join whatever namespace the process is in by then.
        // With which errno depends on the kernel.
        case("a_process")
            .setup(process)
            .status(1)
            .stdout("")
            .claim(move |o| o.expect(o.stderr.starts_with(&format!("{failure}: {none}: ")), "it is not said what it is not")),
        case("another_kind").fd(9, Fd::path("/proc/self/ns/uts")).fails(&format!("{failure}: {none}: Invalid argument")),
        case("somebody_elses")
            .user_only()
            .fd(9, Fd::path("/proc/self/ns/net"))
            .fails(&format!("{failure}: Operation not permitted")),
        case("unmapped")
            .user_only()
            .setup(unmapped)
            .fails(&format!("{failure}: the user namespace that it belongs to does not map the caller's user and group id")),
        fails("with_unshare_net", &["--unshare-net", "--netns", "9", "true"], incompatible),
        fails("with_unshare_all", &["--netns", "9", "--unshare-all", "true"], incompatible),
        fails("alone", &["--netns"], "bwrap: --netns takes an argument"),
        Case::new("is_shown")
            .on_host()
            .fd(9, Fd::path("/proc/self/ns/net"))
            .options(["--netns", "9", "--dry-run"])
            .run(["true"])
            .ok()
            .claim(|o| o.expect(o.stdout.contains("joined: net\n") && o.stdout.contains("netns 9"), "it is not shown")),
    ]
}

/// A network by pasta(1), through which a port of the host's is reached. The device that it needs may be root's alone, so that it is
/// given one that is not.
fn pasta() -> Case {
    let user = "python3 -c 'import socket
s = socket.create_server((\"127.0.0.1\", 0)); print(s.getsockname()[1], flush=True); s.settimeout(15); c, _ = s.accept(); c.sendall(b\"hello from outside\\n\")' >port &
        until [ -s port ]; do sleep 0.05; done; read port <port
        unshare -Urn sleep 20 & holder=$!; until grep -q sleep /proc/$holder/comm; do sleep 0.05; done
        pasta --config-net -f -q -t none -u none -U none -T $port $holder 2>/dev/null & pasta=$!
        exec 9</proc/$holder/ns/net; n=0
        until grep -q -v 'lo:' /proc/$holder/net/route && [ $(grep -c . /proc/$holder/net/route) -gt 1 ] || [ $n = 100 ]; do n=$((n + 1)); sleep 0.05; done
        $B --ro-bind / / --dev /dev --unshare-pid --netns 9 perl -MIO::Socket::INET -e \
            'for (1 .. 100) { if ($s = IO::Socket::INET->new(\"127.0.0.1:$ARGV[0]\")) { print $s->getline; exit } select undef, undef, undef, 0.05 }' $port
        kill $pasta $holder";
    let script = format!(
        "mkdir work; chown 54321:54321 work; mknod tun c 10 200; chmod 666 tun; export B={{bwrap}}
        unshare -m sh -c 'mount --bind tun /dev/net/tun && cd work && exec setpriv --reuid 54321 --regid 54321 --clear-groups sh' <<'USER'
{user}
USER"
    );
    Case::new("pasta").root_only().needs(has_pasta).script(&script).status(0).stdout("hello from outside\n")
}

fn has_pasta() -> Result<()> {
    if !Path::new("/usr/bin/pasta").exists() {
        return Err("there is no pasta".to_owned());
    }
    if Path::new("/dev/net/tun").exists() { Ok(()) } else { Err("there is no /dev/net/tun".to_owned()) }
}
