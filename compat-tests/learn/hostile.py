"""Programs that a recorder has to live through, programs that want more than they were given, and files that are no good as FILE."""

import os
import subprocess
import time

from programs import sh
from rounds import profile_text
from world import entries, is_socket, report, source_of, which

BUSYBOX = which("busybox")


def build(world):
    """The program of acts.c, where COMMAND cannot write."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "acts.c")
    subprocess.run(["gcc", "-O1", "-static", "-pthread", "-o", world.dir + "/acts", source], check=True)
    world.acts = world.dir + "/acts"


def narrow(world, *more):
    """A sandbox with a few programs and one writable directory, below which everything is recorded."""
    words = ["--unshare-all", "--die-with-parent", "--ro-bind", world.acts, "/acts", "--ro-bind", BUSYBOX, "/busybox"]
    words += ["--ro-bind", world.project, world.project, "--bind", world.out, world.out, "--dev", "/dev", "--proc", "/proc"]
    return [*words, "--chdir", world.project, *more]


def exceeds(profile, allowed, world):
    """The lines of a profile that bring more than the recorded sandbox had."""
    allowed = [os.path.realpath(os.fsencode(place)) for place in allowed]
    bad = []
    for entry in entries(profile, world):
        source = source_of(entry)
        if source is None:
            if not entry[0].startswith(b"--") or entry[0] in (b"--overlay-src", b"--share-net", b"--cap-add"):
                bad.append(entry)
            continue
        real = os.path.realpath(source)
        if not any(real == place or real.startswith(place + b"/") for place in allowed):
            bad.append(entry)
    return bad


def sources(world):
    return [world.acts, world.project, BUSYBOX]


# Act, its words, what it prints, its status, what has to be in the record.
def acts(world):
    words = world.project + "/words.txt"
    read = "pear\napple\npear\n"
    echo = ["/busybox", "echo", "executed"]
    beside = "out/../words.txt"
    return [
        ("exec from another thread", ["thread-exec", *echo], "executed\n", [BUSYBOX]),
        ("vfork", ["vfork-exec", *echo], "executed\n", [BUSYBOX]),
        ("execveat of an fd", ["execveat-fd", *echo], "executed\n", [BUSYBOX]),
        ("openat2 below a directory", ["openat2", ".", "words.txt"], read, [words]),
        ("a timer without SA_RESTART", ["timers", "words.txt"], "0 interrupted\n", [words]),
        ("a listener of COMMAND's own", ["listener", "words.txt"], "listener: EBUSY\n" + read, [words]),
        ("io_uring", ["io_uring", "words.txt"], "io_uring: ENOSYS\n" + read, [words]),
        ("calls of another architecture", ["other-entry", "words.txt"], "32 bits: ENOSYS\n" + read, [words]),
        ("a chroot inside", ["chroot", world.project, "/words.txt"], read, [words]),
        ("a way back through a directory", ["needs", beside], "all there\n", [words]),
    ]


def living(world):
    """What programs do is recorded and their status is their own."""
    for name, words, wanted, recorded in acts(world):
        world.fresh({})
        world.give()
        profile = f"{world.profiles}/act"
        if os.path.exists(profile):
            os.unlink(profile)
        start = time.monotonic()
        status, out, err = world.learn(profile, ["/acts", *words], narrow(world), more=("--learn-exact", "--learn"))
        took = time.monotonic() - start
        # A signal may still come before the recorder has heard of a call.
        if name.startswith("a timer") and out.endswith(" interrupted\n") and int(out.split()[0]) < 300:
            out = wanted
        if (status, out) != (0, wanted) or not os.path.exists(profile):
            report(name, f"status {status}: {out}{err}")
            continue
        found = {os.path.realpath(source_of(entry)) for entry in entries(profile, world) if source_of(entry)}
        lacking = [path for path in [world.acts, *recorded] if os.path.realpath(os.fsencode(path)) not in found]
        problem = exceeds(profile, sources(world), world) or (lacking and f"not recorded: {lacking}")
        if not problem and took > 30:
            problem = f"it took {took:.0f} s"
        report(name, problem and f"{problem}\n{profile_text(profile)}")


def simple(world):
    """Scripts that are awkward to record, each with what it prints."""
    more = ["--unshare-user", "--cap-add", "CAP_SYS_ADMIN", "--dev-bind", "/dev/fuse", "/dev/fuse", "--dir", "/mnt"]
    loop = "i=0; while [ $i -lt 1000 ]; do /busybox true; i=$((i + 1)); done; echo a thousand"
    gone = "mkdir out/gone; cd out/gone; /busybox rmdir ../gone; /busybox cat ../../words.txt 2> /dev/null; echo lost $?"
    return [
        ("a thousand processes", ["/busybox", "sh", "-c", loop], "a thousand\n", []),
        ("a working directory that is gone", ["/busybox", "sh", "-c", gone.replace("mkdir", "/busybox mkdir")], "pear\napple\npear\nlost 0\n", []),
        ("a file system that COMMAND serves", ["/acts", "fuse", "/mnt"], "served 0\n", more),
        ("COMMAND's status is its own", ["/busybox", "sh", "-c", "echo so; exit 42"], "so\n", []),
        ("a signal ends COMMAND", ["/busybox", "sh", "-c", "echo so; kill -SEGV $$"], "so\n", []),
    ]


STATUS = {"COMMAND's status is its own": 42, "a signal ends COMMAND": 139}


def scripts(world):
    for name, command, wanted, more in simple(world):
        world.fresh({})
        start = time.monotonic()
        own = {"own": "/dev/fuse" in more}  # which only root may open on some systems
        world.give(**own)
        plain = world.run([world.bwrap, *narrow(world, *more), "--", *command], **own)
        status, out, err = world.learn(world.profiles + "/" + name.replace(" ", "-"), command, narrow(world, *more), **own)
        took = time.monotonic() - start
        expected = (STATUS.get(name, 0), wanted)
        if plain[:2] != expected:
            report(name, f"without a recorder: {plain}")
        else:
            report(name, None if (status, out) == expected and took < 60 else f"{took:.0f} s, status {status}: {out}{err}")


NAMES = [b"new\nline", b"'quoted'", b'"double"', b"--bind", b"--bind\n--ro-bind", b"# no comment", b"${HOME}", b"$(id)", b"\xff\xfe", b"b\\x41",
         b"tab\tand\rreturn", b" blanks ", b"\xe2\x80\xaeturned", b"*", b"~", b"x\n--share-net\n", b"\x1b[31m"]


def names(world):
    """Any byte may be in a name, and comes back as it is."""
    world.fresh({})
    for name in NAMES:
        with open(os.path.join(os.fsencode(world.project), name), "w") as file:
            file.write("kept\n")
    world.give()
    profile = world.profiles + "/names"
    command = ["/busybox", "cat", "--", *[b"./" + name for name in NAMES]]
    status, out, err = world.learn(profile, command, narrow(world), more=("--learn-exact", "--learn"))
    if status != 0 or out != "kept\n" * len(NAMES):
        report("hostile names", f"status {status}: {out}{err}")
        return
    found = {source_of(entry) for entry in entries(profile, world)}
    lacking = [name for name in NAMES if os.path.join(os.fsencode(world.project), name) not in found]
    bad = exceeds(profile, sources(world), world)
    again = world.apply(profile, command)
    problem = f"lacking {lacking}, too much {bad}, {again}" if lacking or bad or again[:2] != (0, out) else None
    report("hostile names", problem and f"{problem}\n{profile_text(profile)}")
    text = open(profile, "rb").read()
    odd = sorted({byte for byte in text if byte < 32 and byte != 10 or byte == 127})
    report("no control bytes in a profile", odd)


def crowd(world):
    """Processes that make calls at the same time, each in a working directory that changes: every name is looked up in the right one."""
    files = [f"d{(process + turn) % 8}/f{(process + turn) % 8}.{turn}" for process in range(8) for turn in range(40)]
    world.fresh(dict.fromkeys(files, "kept\n"))
    world.give()
    profile = world.profiles + "/crowd"
    status, out, err = world.learn(profile, ["/acts", "crowd"], narrow(world), more=("--learn-exact", "--learn"))
    if (status, out) != (0, "all read\n"):
        report("a crowd of processes", f"status {status}: {out}{err}")
        return
    found = {source_of(entry) for entry in entries(profile, world)}
    wanted = {os.path.join(os.fsencode(world.project), os.fsencode(file)) for file in files}
    beside = {path for path in found if path and path.startswith(os.fsencode(world.project) + b"/d")} - wanted
    report("a crowd of processes", f"lacking {sorted(wanted - found)[:5]}, too much {sorted(beside)[:5]}" if wanted - found or beside else None)


def ambitious(world):
    """Programs that want what their sandbox lacks; nothing of it is in the profile."""
    secret = world.home + "/secret.txt"
    return [
        ("links to what is outside", ["/busybox", "sh", "-c", f"/busybox ln -s {secret} out/a; /busybox ln -s / out/b; /busybox cat out/a "
                                      f"out/b{secret} out/b/etc/passwd /proc/1/root{secret} /proc/self/root/../../{secret} ../secret.txt; echo tried"]),
        ("a name that changes", ["/acts", "forgery", "words.txt", secret]),
        ("a link that changes", ["/acts", "turning", "../words.txt", secret]),
        ("names that climb", ["/busybox", "sh", "-c", "/busybox cat ../../../../../../../etc/passwd /../../etc/shadow; echo tried"]),
        ("mounts of its own", ["/busybox", "unshare", "-Urm", "/busybox", "sh", "-c", f"/busybox mount -t tmpfs t {world.project}; "
                               f"/busybox mkdir -p {world.project}/etc; echo x > {world.project}/etc/passwd; /busybox cat {world.project}/etc/passwd; echo tried"]),
        ("a root of its own", ["/busybox", "unshare", "-Ur", "/busybox", "chroot", "out", "/busybox", "cat", "/etc/passwd"]),
    ]


def wanting(world):
    for name, command in ambitious(world):
        world.fresh({})
        world.give()
        profile = world.profiles + "/" + name.replace(" ", "-")
        status, out, err = world.learn(profile, command, narrow(world), more=("--learn-exact", "--learn"))
        if status == -99 or not os.path.exists(profile):
            report(name, f"status {status}: {out}{err}")
            continue
        bad = exceeds(profile, sources(world), world)
        report(name, bad and f"more than there was: {bad}\n{profile_text(profile)}")


def exact(world):
    """Every line of a file, a device or a socket is needed."""
    import socket
    world.fresh({f"data/{number}": f"{number}\n" for number in range(6)})
    door = socket.socket(socket.AF_UNIX)
    door.bind(world.project + "/door")
    os.chmod(world.project + "/door", 0o777)
    door.listen(50)
    world.give()
    profile = world.profiles + "/exact"
    files = [f"data/{number}" for number in range(6)] + ["door", "/full"]
    command = ["/acts", "needs", *files]
    status, out, err = world.learn(profile, command, narrow(world, "--dev-bind", "/dev/full", "/full"), more=("--learn-exact", "--learn"))
    full = world.apply(profile, command)
    if (status, out) != (0, "all there\n") or full[:2] != (0, "all there\n"):
        report("learn-exact", f"status {status}: {out}{err}, with the profile {full}\n{os.path.exists(profile) and profile_text(profile)}")
        return
    lines = open(profile).read().split("\n")
    kinds = set()
    for number, line in enumerate(lines):
        one = world.profiles + "/one"
        with open(one, "w") as file:
            file.write("\n".join(lines[:number] + lines[number + 1:]))
        parsed = [entry for entry in entries(one, world)]
        gone = [entry for entry in entries(profile, world) if entry not in parsed]
        if not gone or source_of(gone[0]) is None:
            continue
        source = source_of(gone[0])
        kinds.add("socket" if is_socket(source) else "device" if source == b"/dev/full" else "file" if os.path.isfile(source) else "directory")
        left = world.apply(one, command)
        report(f"learn-exact: nothing works without {os.path.basename(os.fsdecode(source))}", None if left[0] != 0 else f"{line}\n{profile_text(profile)}")
    report("learn-exact: files, a device and a socket", None if {"file", "device", "socket"} <= kinds else f"{kinds}\n{profile_text(profile)}")
    door.close()


def run_all(world):
    build(world)
    living(world)
    scripts(world)
    names(world)
    crowd(world)
    wanting(world)
