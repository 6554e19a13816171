//! `--learn` and its relatives: what a profile has, what it never has, and how a recording ends.

use crate::harness::{Case, Fd, Outcome, Result, Setup, Tweak};
use crate::sys;

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = profiles();
    cases.extend(never());
    cases.extend(files());
    cases.extend(ends());
    cases.extend(again());
    cases.extend(calls());
    cases.extend(refused());
    cases.extend(beside_others());
    let mut cases: Vec<_> = cases.into_iter().map(|case| case.needs(has_listener)).collect();
    // Their kernels are newer.
    cases.extend(beside_newer());
    cases.into_iter().map(|case| case.ours_only().unrefused(NO_OPENAT2)).collect()
}

/// Where openat2(2) is refused, a line says so, and nothing is run.
pub(super) const NO_OPENAT2: &str = "nothing is recorded without openat2";

/// For what needs a listener whose calls signals do not interrupt (Linux 5.19): older kernels say a line more.
pub(super) fn has_listener() -> Result<()> {
    if sys::has_killable_listener() { Ok(()) } else { Err("the kernel's listeners are too old".to_owned()) }
}

/// Learns something in a sandbox of the whole machine, read-only, and shows the profile on standard output.
fn learned(name: &str, options: &str, command: &str) -> Case {
    let options = format!("--unshare-user --unshare-pid --ro-bind / / --dev /dev --proc /proc {options}");
    let line = format!("{{bwrap}} {options} --learn {{dir}}/p sh -c '{command}'; status=$?; cat {{dir}}/p; exit $status");
    Case::new(name).dir("home").script(&line).status(0)
}

/// These lines, whole, are among those of the profile.
pub(super) fn has(wanted: &'static [&'static str]) -> impl Fn(&Outcome) -> Result<()> {
    move |o| wanted.iter().try_for_each(|line| o.expect_line(&o.expand(line)))
}

/// Whether a file is there that only its owner can read.
fn private(name: &'static str) -> impl Fn(&Outcome) -> Result<()> {
    move |o| o.expect(o.tree.get(name).is_some_and(|found| found.starts_with("file 600 own")), "not a file of the owner's alone")
}

/// No line of the profile has any of these words.
pub(super) fn lacks(unwanted: &'static [&'static str]) -> impl Fn(&Outcome) -> Result<()> {
    move |o| {
        let found = unwanted.iter().find(|word| o.stdout.contains(&o.expand(word)));
        o.expect(found.is_none(), &format!("too much: {found:?}"))
    }
}

fn profiles() -> Vec<Case> {
    vec![
        learned("files", "", "cat {dir}/a > /dev/null")
            .file("a", "a")
            .file("b", "b")
            .claim(has(&["--ro-same {dir}/a", "--ro-same /usr", "--unshare-net", "--unshare-pid", "--remount-ro /"]))
            .claim(lacks(&["{dir}/b", "--proc", "--same "])),
        learned("links_on_the_way", "", "cat {dir}/l > /dev/null")
            .file("a", "a")
            .symlink("m", "l")
            .symlink("a", "m")
            .claim(has(&["--symlink m {dir}/l", "--symlink a {dir}/m", "--ro-same {dir}/a"])),
        Case::new("by_variables")
            .dir("w")
            .file("w/a", "")
            .file("home/b", "")
            .script(
                "cd {dir}/w; export PWD; {bwrap} --unshare-user --ro-bind / / --learn {dir}/p cat a {dir}/home/b; cat {dir}/p",
            )
            .status(0)
            .claim(has(&["--ro-same ${PWD}/a", "--ro-same ${HOME}/b"])),
        learned("written", "--bind {dir}/w {dir}/w --bind {dir}/r {dir}/r", "cat {dir}/r/old > {dir}/w/new")
            .dir("w")
            .dir("r")
            .file("r/old", "x")
            .claim(has(&["--same {dir}/w", "--ro-same {dir}/r"])),
        learned("scratch", "--bind {dir}/w /tmp", "echo x > /tmp/new; rm /tmp/new")
            .dir("w")
            .claim(has(&["--tmpfs /tmp"]))
            .claim(lacks(&["{dir}/w"])),
        learned("interpreter", "", "{dir}/script")
            .setup(script)
            .claim(has(&["--ro-same {dir}/script", "--symlink usr/bin /bin"])),
        learned("environment", "--setenv SECRET s3same --unsetenv OTHER", "true")
            .claim(has(&["--setenv SECRET \"${SECRET}\"", "--unsetenv OTHER"]))
            .claim(lacks(&["s3same"])),
        learned("many_files", "", "cat {dir}/many/* > /dev/null; cat {dir}/few/* > /dev/null")
            .setup(|s| (0..20).try_for_each(|n| s.file(&format!("many/{n}"), "")))
            .setup(|s| (0..16).try_for_each(|n| s.file(&format!("few/{n}"), "")))
            .claim(has(&["--ro-same {dir}/many", "--ro-same {dir}/few/0", "--ro-same {dir}/few/15"]))
            .claim(lacks(&["many/0", "few\n"])),
        learned("exactly", "--learn-exact", "cat {dir}/many/* > /dev/null")
            .setup(|s| (0..20).try_for_each(|n| s.file(&format!("many/{n}"), "")))
            .claim(has(&["--ro-same {dir}/many/0", "--ro-same {dir}/many/19"]))
            .claim(lacks(&["--ro-same /usr\n", "many\n"])),
        learned("masks", "--tmpfs /usr/share --ro-bind {dir} /usr/local", "true").claim(has(&[
            "--ro-same /usr",
            "--tmpfs /usr/share",
            "--ro-bind {dir} /usr/local",
        ])),
        learned("other_options", "--hostname h --unshare-uts --rlimit core 0 --scope-signals --new-session --as-pid-1", "true")
            .needs(super::beyond::has_scopes)
            .claim(has(&[
                "--unshare-uts",
                "--hostname h",
                "--rlimit core 0:0",
                "--scope-signals",
                "--new-session",
                "--as-pid-1",
            ])),
        learned("open_files", "--tmpfs /mnt --ro-bind-data 0 /mnt/extra --add-seccomp-fd 9", "cat /mnt/extra")
            .stdin("")
            .fd(9, Fd::memfd([6, 0, 0, 0, 0, 0, 0xff, 0x7f]))
            .claim(has(&["# needs: --ro-bind-data FD /mnt/extra", "# needs: --add-seccomp-fd FD"])),
        Case::new("shown_by_dry_run")
            .on_host()
            .options(["--dry-run", "--learn", "{dir}/p"])
            .run(["true"])
            .ok()
            .claim(|o| o.expect_line(&o.expand("  restrictions what COMMAND uses is recorded in {dir}/p")))
            .claim(|o| o.expect_tree("p", None)),
    ]
}

fn script(s: &mut Setup) -> Result<()> {
    s.file("script", "#!/bin/sh\necho so\n")?;
    s.mode("script", 0o755)
}

/// What is never given, or not to whom it does not belong.
fn never() -> Vec<Case> {
    vec![
        learned("no_new_names_at_home", "--bind {dir}/home {dir}/home", "echo x > {dir}/home/.new; cat {dir}/home/old")
            .file("home/old", "")
            .claim(has(&["# wanted to create ${HOME}/.new: not granted", "--ro-same ${HOME}/old"]))
            .claim(lacks(&["same ${HOME}\n"])),
        // Below a writable bind nothing has a line of its own: COMMAND could put a link there for the next run.
        learned("planted_links", "--bind {dir}/w {dir}/w", "cd w; mkdir d; ln -s {dir}/secret d/l; cat d/l > d/copy")
            .dir("w")
            .file("secret", "")
            .claim(has(&["--same {dir}/w", "--ro-same {dir}/secret"]))
            .claim(lacks(&["w/d", "--symlink {dir}"])),
        learned(
            "planted_at_home",
            "--bind {dir}/home {dir}/home",
            "cat $HOME/f; rm $HOME/f; ln -s {dir}/secret $HOME/f; cat $HOME/f; true",
        )
        .file("home/f", "")
        .file("secret", "")
        .claim(lacks(&["--ro-same ${HOME}/f", "--same ${HOME}"])),
        learned("hostile_names", "", "cat -- {dir}/* 2> /dev/null > /dev/null; true")
            .setup(|s| {
                ["x\n--bind \u{202e}", "'q'", "\"d\"", "${HOME}", "\u{1b}[31m", "# x"]
                    .into_iter()
                    .try_for_each(|name| s.file(name, ""))
            })
            .claim(|o| {
                o.expect(
                    o.stdout.lines().all(|line| line.starts_with("--") && !line.starts_with("--bind") || line.starts_with('#')),
                    "a line of its own",
                )
            }),
        learned("read_only_stays", "", "echo x > {dir}/a; chmod 777 {dir}/a; true")
            .file("a", "")
            .claim(lacks(&["--same ", "--bind"])),
    ]
}

/// FILE: what it may be, and how it is written.
fn files() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| Case::new(name).on_host().options(["--unshare-user"]).options(options);
    vec![
        case("inside", &["--bind", "{dir}", "/w", "--learn", "{dir}/p"])
            .run(["true"])
            .fails("bwrap: --learn {dir}/p lies where COMMAND can write; put it elsewhere"),
        case("inside_by_another_name", &["--bind", "{dir}/d", "/w", "--learn", "{dir}/link/p"])
            .dir("d")
            .symlink("d", "link")
            .run(["true"])
            .fails("bwrap: --learn {dir}/link/p lies where COMMAND can write; put it elsewhere"),
        case("inside_alone", &["--bind", "{dir}/p", "/p", "--learn", "{dir}/p"])
            .file("p", "")
            .run(["true"])
            .fails("bwrap: --learn {dir}/p lies where COMMAND can write; put it elsewhere"),
        case("policy_inside", &["--bind", "{dir}", "/w", "--learn-seccomp", "{dir}/p"])
            .run(["true"])
            .fails("bwrap: --learn-seccomp {dir}/p lies where COMMAND can write; put it elsewhere"),
        case("link", &["--learn", "{dir}/l"])
            .symlink("target", "l")
            .run(["true"])
            .fails("bwrap: --learn does not write through the link {dir}/l")
            .claim(|o| o.expect_tree("target", None)),
        case("directory", &["--learn", "{dir}/d"])
            .dir("d")
            .run(["true"])
            .fails("bwrap: --learn takes a regular file, and not {dir}/d"),
        case("no_profile", &["--learn", "{dir}/p"])
            .file("p", "--ro-bind / /\nsome text\n")
            .run(["true"])
            .fails("bwrap: --learn adds to profiles only: {dir}/p:2: this is no option"),
        case("no_policy", &["--learn-seccomp", "{dir}/p"])
            .file("p", "{}")
            .run(["true"])
            .fails("bwrap: --learn-seccomp adds to policies that it wrote only, and not to {dir}/p: that is no such policy"),
        case("nowhere", &["--learn", "{dir}/no/p"])
            .run(["true"])
            .fails("bwrap: Can't open the directory of --learn {dir}/no/p: No such file or directory"),
        case("exact_alone", &["--learn-exact"]).run(["true"]).fails("bwrap: Specifying --learn-exact requires --learn"),
        // Nothing is written unless COMMAND was executed.
        case("not_executed", &["--learn", "{dir}/p"])
            .run(["/nonexistent"])
            .fails("bwrap: execvp /nonexistent: No such file or directory")
            .claim(|o| o.expect_tree("p", None)),
        case("not_set_up", &["--ro-bind", "/nonexistent", "/x", "--learn", "{dir}/p"])
            .run(["true"])
            .fails("bwrap: Can't find source path /nonexistent: No such file or directory")
            .claim(|o| o.expect_tree("p", None)),
        case("private", &["--learn", "{dir}/p"]).run(["true"]).status(0).claim(private("p")),
    ]
}

/// How a recording ends.
fn ends() -> Vec<Case> {
    let case = |name: &str, options: &[&str]| {
        Case::new(name).on_host().options(options).options(["--unshare-user", "--dev", "/dev", "--learn", "{dir}/p"])
    };
    vec![
        case("status", &["--unshare-pid"]).run(["sh", "-c", "exit 7"]).status(7),
        case("status_of_a_signal", &["--unshare-pid"]).run(["sh", "-c", "kill -SEGV $$"]).status(139),
        case("outlived_in_a_pid_namespace", &["--unshare-pid"])
            .run(["sh", "-c", "sleep 1000 > /dev/null 2>&1 & echo so"])
            .status(0)
            .stdout("so\n"),
        case("outlived", &[]).run(["sh", "-c", "sleep 9 > /dev/null 2>&1 & echo so"]).status(0).stdout("so\n").claim(|o| {
            o.expect_text(
                "stderr",
                o.stderr.lines().next().unwrap_or_default(),
                "bwrap: 1 process lives on after COMMAND; what they do from now on is not recorded",
            )
        }),
        case("signals", &[])
            .needs(has_timers)
            .run(["perl", "-MTime::HiRes=setitimer,ITIMER_REAL", "-MPOSIX", "-e", INTERRUPTED])
            .status(0)
            // A signal that comes before a call is received interrupts that call, and nothing else does.
            .claim(|o| o.expect(o.stdout.trim().parse::<u32>().is_ok_and(|count| count <= SIGNALS), "interrupted")),
        case("many_processes", &[])
            .run(["sh", "-c", "for i in $(seq 200); do /bin/true; done; echo so"])
            .status(0)
            .stdout("so\n"),
    ]
}

/// Whether this perl has all of its modules: the smallest one of Debian has not.
fn has_timers() -> Result<()> {
    let perl = std::process::Command::new("perl").args(["-MTime::HiRes", "-e1"]).stderr(std::process::Stdio::null()).status();
    if perl.is_ok_and(|status| status.success()) { Ok(()) } else { Err("perl has no Time::HiRes".to_owned()) }
}

/// How often [`INTERRUPTED`]'s timer fires.
const SIGNALS: u32 = 50;

/// Opens until the timer has fired 50 times, and says how many of those calls were interrupted.
const INTERRUPTED: &str = "my ($n, $signals) = (0, 0);
    sigaction(SIGALRM, POSIX::SigAction->new(sub { $signals++ }, undef, 0)); setitimer(ITIMER_REAL, 0.01, 0.01);
    while ($signals < 50) { my $fd = POSIX::open('/etc/hostname', O_RDONLY); $n++ if !defined $fd && $!{EINTR}; POSIX::close($fd) if defined $fd }
    setitimer(ITIMER_REAL, 0); print qq($n\n)";

/// A second run with the same FILE.
fn again() -> Vec<Case> {
    let twice = |name: &str, between: &str| {
        let learn =
            |file: &str| format!("{{bwrap}} --unshare-user --ro-bind / / --dev /dev --learn {{dir}}/p cat {{dir}}/{file}");
        let line = format!("{}; {between}; {} && cat {{dir}}/p", learn("a"), learn("b"));
        Case::new(name).file("a", "").file("b", "").script(&line).status(0)
    };
    vec![
        twice("adds", "true").claim(has(&["--ro-same {dir}/a", "--ro-same {dir}/b"])),
        twice("keeps_comments", "echo '# mine' >> {dir}/p").claim(has(&["# mine"])),
        // What the sandbox of the run does not have is no option any more.
        twice(
            "edited",
            "echo '--bind / /' >> {dir}/p; echo '--dev-bind /dev/null /dev/null' >> {dir}/p; echo '--cap-add ALL' >> {dir}/p",
        )
        .claim(has(&["# left out: --bind / /", "# left out: --cap-add ALL", "--ro-same {dir}/a"]))
        .claim(lacks(&["\n--bind", "\n--dev-bind", "\n--cap-add"])),
        twice("added_by_hand", "echo \"--ro-same {dir}/c\" >> {dir}/p").file("c", "").claim(has(&["--ro-same {dir}/c"])),
        // The links of the profile are made by its options, and found in the file.
        Case::new("adds_nothing_to_itself")
            .file("a", "")
            .script(
                "{bwrap} --unshare-user --ro-bind / / --learn {dir}/p cat {dir}/a && cp {dir}/p {dir}/q && grep -q symlink {dir}/p &&
                 {bwrap} --profile {dir}/p --learn {dir}/q cat {dir}/a && diff {dir}/p {dir}/q && echo the same",
            )
            .status(0)
            .stdout("the same\n"),
        Case::new("two_at_once")
            .file("p", "")
            .script(
                "{bwrap} --unshare-user --ro-bind / / --learn {dir}/p sh -c 'echo in; sleep 2' > {dir}/o & \
                 while ! [ -s {dir}/o ]; do sleep 0.02; done; \
                 {bwrap} --unshare-user --ro-bind / / --learn {dir}/p true; echo $?; wait",
            )
            .status(0)
            .stdout("1\n")
            .claim(|o| {
                o.expect(
                    o.stderr.contains(&o.expand("bwrap: Another bwrap is about to write {dir}/p: wait for its end")),
                    "not said",
                )
            }),
    ]
}

/// Learns something, shows the profile, and does it again with that.
fn again_with(name: &str, options: &str, command: &str) -> Case {
    let wide = "--unshare-user --unshare-pid --ro-bind / / --dev /dev --tmpfs /mnt";
    let line = format!(
        "{{bwrap}} {wide} {options} --learn {{dir}}/p sh -c '{command}' && cat {{dir}}/p && {{bwrap}} --profile {{dir}}/p sh -c '{command}'"
    );
    Case::new(name).file("a", "a\n").file("lock", "").script(&line).status(0)
}

/// The same of what newer kernels have.
fn beside_newer() -> Vec<Case> {
    vec![
        again_with("ports", "--proc /proc --tcp-connect 443 --tcp-bind 0", "true")
            .needs(super::beyond::has_ports)
            .claim(has(&["--tcp-connect 443", "--tcp-bind 0"])),
        again_with("udp_ports", "--proc /proc --udp-connect 53 --udp-bind 0", "true")
            .needs(super::sockets::has_udp)
            .claim(has(&["--udp-connect 53", "--udp-bind 0"])),
        // A socket that nobody has used has to be there all the same.
        again_with("unix_connect", "--proc /proc --unix-connect {dir}/s", "true")
            .setup(|s| {
                let socket = std::os::unix::net::UnixListener::bind(s.path("s")).map_err(|error| error.to_string())?;
                s.hold(socket);
                Ok(())
            })
            .needs(super::sockets::has_unix)
            .claim(has(&["--unix-connect {dir}/s", "--ro-same {dir}/s"])),
    ]
}

/// Options beyond bubblewrap's in a recorded run: they hold there, and the profile repeats them.
fn beside_others() -> Vec<Case> {
    vec![
        again_with("lock_file", "--proc /proc --lock-file {dir}/lock", "true").claim(has(&["--lock-file {dir}/lock", "--ro-same {dir}/lock"])),
        again_with("proc_pid", "--proc-pid /proc", "cat /proc/self/comm").claim(has(&["--proc-pid /proc"])),
        again_with("timeout", "--proc /proc --timeout 1000", "true").claim(has(&["--timeout 1000:10"])),
        again_with("address_families", "--proc /proc --address-families unix", "true").claim(has(&["--address-families unix"])),
        again_with("masks_beside", "--proc /proc --mask {dir}/a --mask-glob \"{dir}/l*k\"", "cat {dir}/a {dir}/lock; [ -e {dir}/a ] && ! [ -s {dir}/a ]")
            .claim(has(&["--ro-same {dir}/a", "--mask {dir}/a", "--ro-same {dir}/lock", "--mask-glob \"{dir}/l*k\""]))
            .claim(|o| o.expect(!o.stdout.lines().any(|line| line == "a"), "it can be read")),
        Case::new("archive")
            .setup(|s| s.file("empty", "\0".repeat(1024)))
            .script("{bwrap} --unshare-user --ro-bind / / --tmpfs /mnt --tar 9 /mnt/x --learn {dir}/p ls /mnt/x 9< {dir}/empty; cat {dir}/p")
            .status(0)
            .claim(has(&["# needs: --tar FD /mnt/x"])),
        // The profile alone has no network at all.
        Case::new("network_namespace")
            .script(
                "exec 9< /proc/self/ns/net; {bwrap} --unshare-user --ro-bind / / --netns 9 --learn {dir}/p true && cat {dir}/p && \
                 {bwrap} --profile {dir}/p --share-net --netns 9 true && echo joined",
            )
            .root_only()
            .status(0)
            .claim(has(&["# needs: --netns FD --share-net", "--unshare-net", "joined"])),
    ]
}

/// `--learn-seccomp`
fn calls() -> Vec<Case> {
    let line = "{bwrap} --unshare-user --unshare-pid --ro-bind / / --learn {dir}/p --learn-seccomp {dir}/s sh -c 'cat /etc/hostname; sleep 0.01' > /dev/null; \
         tail -n 1 {dir}/p; \
         {bwrap} --unshare-user --unshare-pid --ro-bind / / --seccomp-policy {dir}/s sh -c 'cat /etc/hostname > /dev/null; sleep 0.01; echo so'; \
         {bwrap} --unshare-user --unshare-pid --ro-bind / / --seccomp-policy {dir}/s unshare -U true 2>&1 | sed 's/.*: //'";
    vec![
        Case::new("policy")
            .script(line)
            .status(0)
            .claim(|o| o.expect_line(&o.expand("--seccomp-policy {dir}/s")))
            .claim(has(&["so", "Operation not permitted"]))
            .claim(private("s")),
    ]
}

/// A call of the recorder's set-up fails: one line, nothing run, no profile.
fn without(name: &str, calls: &'static [&'static str], line: &str) -> Case {
    Case::new(&format!("without_{name}"))
        .on_host()
        .options(["--unshare-user", "--learn", "{dir}/p"])
        .run(["echo", "so"])
        .tweak(Tweak::Refuse(calls, libc::ENOMEM))
        .fails(&format!("bwrap: {line}: Cannot allocate memory"))
        .claim(|o| o.expect_tree("p", None))
}

/// What cannot be recorded is refused, or said.
fn refused() -> Vec<Case> {
    vec![
        Case::new("root_without_a_user_namespace")
            .on_host()
            .root_only()
            .options(["--learn", "{dir}/p"])
            .run(["true"])
            .fails(
                "bwrap: Can't record root's COMMAND without --unshare-user or --cap-drop ALL: it has capabilities that the recorder lacks",
            ),
        Case::new("without_openat2")
            .on_host()
            .options(["--unshare-user", "--learn", "{dir}/p"])
            .run(["true"])
            .tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS))
            .fails("bwrap: Recording needs openat2, which came with Linux 5.6")
            .claim(|o| o.expect_tree("p", None)),
        without("listener", &["seccomp"], "Can't record: installing a seccomp filter with a listener"),
        without("pidfds", &["pidfd_open"], "Can't watch the sandbox"),
        without("locks", &["flock"], "Can't lock the directory of --learn {dir}/p"),
        without("messages_with_fds", &["recvmsg"], "Can't receive the listener"),
        without("sockets", &["socketpair"], "Can't create socket pair"),
        without("messages", &["sendmsg"], "Can't hand the recorder the listener"),
        without("words_back", &["recvfrom"], "Can't hear from the recorder"),
        // COMMAND has run by then.
        Case::new("without_memory_of_others")
            .on_host()
            .options(["--unshare-user", "--learn", "{dir}/p"])
            .run(["echo", "so"])
            .tweak(Tweak::Refuse(&["process_vm_readv"], libc::ENOMEM))
            .status(0)
            .stdout("so\n")
            .stderr("bwrap: Nothing could be recorded: COMMAND's memory could not be read\n")
            .claim(|o| o.expect_tree("p", None)),
        // Those who answer are replaced, but not for ever.
        Case::new("without_answers")
            .on_host()
            .options(["--unshare-user", "--learn", "{dir}/p"])
            .run(["echo", "so"])
            .tweak(Tweak::Refuse(&["ioctl"], libc::ENOMEM))
            .fails("bwrap: Can't record: there is nobody left to answer COMMAND's system calls")
            .claim(|o| o.expect_tree("p", None)),
        Case::new("root_without_capabilities")
            .on_host()
            .root_only()
            .options(["--cap-drop", "ALL", "--learn", "{dir}/p"])
            .run(["true"])
            .status(0)
            .claim(private("p")),
        Case::new("rings")
            .on_host()
            .options(["--unshare-user", "--dev", "/dev", "--learn", "{dir}/p"])
            .run(["perl", "-e", "syscall(425, 1, 0); print $!{ENOSYS} ? qq(ENOSYS\\n) : qq($!\\n)"])
            .status(0)
            .stdout("ENOSYS\n")
            .claim(|o| o.expect(o.stderr.starts_with("bwrap: io_uring was refused while recording"), "not said")),
        Case::new("network")
            .script(
                "{bwrap} --unshare-user --ro-bind / / --dev /dev --learn {dir}/p perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => q(127.0.0.1:9))'; \
                 cat {dir}/p",
            )
            .status(0)
            .claim(has(&["--share-net", "# talks to 127.0.0.1:9 (tcp)"])),
    ]
}
