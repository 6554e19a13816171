"""How recordings end, and what becomes of FILE: daemons, kills, full disks, links, two recorders."""

import io
import os
import random
import re
import shutil
import signal
import subprocess
import time

from hostile import BUSYBOX, build, exceeds, narrow, sources
from rounds import profile_text
from world import entries, left_out, report, source_of

CAT = ["/busybox", "cat", "words.txt"]
READ = "pear\napple\npear\n"


def learned(world, profile, command=None, **more):
    return world.learn(profile, command or CAT, narrow(world), **more)


def bad_files(world):
    """What cannot be written to is refused before anything runs, and is what it was."""
    world.fresh({})
    target = world.write("profiles/target", "# mine\n")
    os.symlink(target, world.profiles + "/link")
    os.mkdir(world.profiles + "/directory")
    os.mkfifo(world.profiles + "/fifo")
    world.write("profiles/text", "Dear diary,\nthis is no profile.\n")
    world.write("profiles/binary", bytes(range(256)) * 20)
    world.write("profiles/wide", "--bind / /\n")
    world.give()
    inside = world.out + "/profile"
    for name, file in [("a link", "link"), ("a directory", "directory"), ("a FIFO", "fifo"), ("a text", "text"), ("bytes", "binary"),
                       ("no directory", "none/at/all"), ("a device", "/dev/null"), ("where COMMAND writes", inside)]:
        path = os.path.join(world.profiles, file)
        before = (os.path.lexists(path) and (os.lstat(path).st_mode, os.path.isfile(path) and open(path, "rb").read()))
        status, out, err = learned(world, path, ["/busybox", "sh", "-c", "echo ran; /busybox touch out/ran"])
        after = (os.path.lexists(path) and (os.lstat(path).st_mode, os.path.isfile(path) and open(path, "rb").read()))
        problem = None
        if status != 1 or out or os.path.exists(world.out + "/ran") or len(err.strip().split("\n")) != 1:
            problem = f"status {status}: {out}{err}"
        elif before != after:
            problem = f"before {before}, after {after}"
        report(f"FILE is refused: {name}", problem)
    status, out, err = learned(world, world.profiles + "/wide")
    kept = entries(world.profiles + "/wide", world)
    bad = exceeds(world.profiles + "/wide", sources(world), world)
    refused = status == 1 and not out and kept == [[b"--bind", b"/", b"/"]]
    report("an edited FILE gives no more", None if refused or not bad else f"{bad}\n{profile_text(world.profiles + '/wide')}")


def fails_to_start(world):
    """Nothing is written if the sandbox could not be made."""
    world.give()
    profile = world.profiles + "/nothing"
    status, out, _ = world.learn(profile, CAT, narrow(world, "--ro-bind", "/does/not/exist", "/x"))
    report("no profile of a sandbox that failed", None if status == 1 and not out and not os.path.lexists(profile) else f"status {status}")


def full_disk(world):
    """A disk that is full when FILE is to be written; an older FILE stays as it was."""
    world.fresh({})
    world.give()
    script = f"""mount -t tmpfs -o size=16k,mode=777 none {world.profiles} && echo --unshare-all > {world.profiles}/p && chmod 666 {world.profiles}/p
        dd if=/dev/zero of={world.profiles}/fill bs=4k 2> /dev/null
        "$@"; status=$?
        cat {world.profiles}/p; exit $status"""
    words = ["unshare", "-rm" if not world.is_root else "-m", "sh", "-c", script, "sh"]
    status, out, err = world.run([*words, *world.user, world.bwrap, *narrow(world), "--learn", world.profiles + "/p", "--", *CAT], own=True)
    said = [line for line in err.split("\n") if "No space left" in line]
    report("a full disk", None if said and out.endswith("--unshare-all\n") and READ in out + READ else f"status {status}: {out}{err}")


def two_recorders(world):
    """Two at once with one FILE: one of them says so, or both are in it."""
    world.fresh({"first.txt": "1\n", "second.txt": "2\n"})
    world.give()
    profile = world.profiles + "/shared"
    both = []
    for name in ("first.txt", "second.txt"):
        words = [world.bwrap, *narrow(world), "--learn", profile, "--", "/busybox", "sh", "-c", f"/busybox cat {name}; /busybox sleep 1"]
        both.append(world.start(words))
    said = [world.end(process, 60)[1:] for process in both]
    found = {os.path.basename(source_of(entry) or b"") for entry in entries(profile, world)}
    problem = None
    for process, (out, err), name in zip(both, said, (b"first.txt", b"second.txt")):
        told = "Somebody else has written" in err
        if process.returncode == 0 and not told and name not in found or process.returncode != 0 and (out or err.count("\n") != 1):
            problem = f"{name}: status {process.returncode}: {out}{err}, in the profile: {found}"
    if all(process.returncode for process in both):
        problem = f"neither ran: {said}"
    report("two recorders with one FILE", problem)


def daemons(world):
    """A process that outlives COMMAND is not stopped by the recorder's end, where it may live at all."""
    late = "(/busybox sleep 7; /busybox cat words.txt > out/late) < /dev/null > /dev/null 2>&1 & echo started"
    for name, more, lives in [("a daemon without a pid namespace", ["--share-net"], True), ("a daemon in a pid namespace", ["--unshare-pid"], False)]:
        world.fresh({})
        world.give()
        options = [word for word in narrow(world) if word not in ("--unshare-all", "--die-with-parent")]
        options = ["--unshare-user-try", "--unshare-ipc", "--unshare-uts", *[word for word in more if word != "--share-net"], *options]
        profile = world.profiles + "/daemon"
        start = time.monotonic()
        status, out, err = world.learn(profile, ["/busybox", "sh", "-c", late], options)
        took = time.monotonic() - start
        time.sleep(max(0, 9 - took))
        late_text = os.path.exists(world.out + "/late") and open(world.out + "/late").read()
        right = late_text == READ if lives else not late_text
        told = "1" in err if lives else True
        if (status, out) != (0, "started\n") or took > 20 or not right or not told or not os.path.exists(profile):
            report(name, f"{took:.1f} s, status {status}: {out}{err}, late: {late_text}")
        else:
            report(name)


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in found] + [one for child in found for one in children(int(child))]


def kills(world, rounds):
    """SIGKILL of one of the processes at a random moment: an end, and FILE as it was or whole."""
    script = "i=0; while [ $i -lt 60 ]; do /busybox cat words.txt > out/copy; i=$((i + 1)); done; echo end"
    problems = []
    chance = random.Random(int(os.environ.get("LEARN_SEED", "14")))
    for number in range(rounds):
        world.fresh({})
        world.give()
        profile = f"{world.profiles}/killed{number}"
        process = world.start([world.bwrap, *narrow(world), "--learn", profile, "--", "/busybox", "sh", "-c", script])
        time.sleep(chance.uniform(0, 0.4))
        family = [process.pid, *children(process.pid)]
        victim = chance.choice(family)
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if world.end(process, 20)[0] == -99:
            problems.append(f"round {number}: still there after the death of number {family.index(victim)} of {len(family)}")
        deadline = time.monotonic() + 8
        while (left := [pid for pid in family if alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        if left:
            problems.append(f"round {number}: {len(left)} processes live on")
        if os.path.exists(profile):
            status, out, err = world.apply(profile, CAT)
            # COMMAND may have been killed before it came to the file: then a whole profile lacks it.
            unread = "can't open 'words.txt'" in err and "words.txt" not in profile_text(profile)
            if (status != 0 or out != READ) and not unread:
                problems.append(f"round {number}: half a profile: {status} {err}\n{profile_text(profile)}")
    report(f"SIGKILL at {rounds} random moments", "\n".join(problems))


def replaced(world):
    """Processes that record are killed one after the other, more of them than may fail; each has done something, so recording goes on."""
    world.fresh({})
    world.give()
    profile, rounds = world.profiles + "/replaced", 18
    # COMMAND waits for each of them to be killed: on a busy machine that takes longer.
    step = "/busybox touch out/$i; until [ -e out/$i.killed ]; do /busybox sleep 0.1; done; i=$((i + 1))"
    script = f"i=0; while [ $i -lt {rounds} ]; do {step}; done; echo end"
    process = world.start([world.bwrap, *narrow(world), "--learn", profile, "--", "/busybox", "sh", "-c", script])
    recorder, killed, deadline = None, 0, time.monotonic() + 180
    while killed < rounds and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        if not os.path.exists(f"{world.out}/{killed}"):
            continue
        # Its children are the looker and those who answer.
        recorder = recorder or next((child for child in children(process.pid) if len(children(child)) == 3), None)
        time.sleep(0.1)
        workers = children(recorder)[1:] if recorder else []
        if not workers:
            continue
        os.kill(min(workers), signal.SIGKILL)
        time.sleep(0.2)
        with open(f"{world.out}/{killed}.killed", "w"):
            killed += 1
    status, out, err = world.end(process, 60)
    right = killed == rounds and (status, out) == (0, "end\n") and os.path.exists(profile)
    report("the processes that record are replaced again and again", None if right else f"{killed} killed, status {status}: {out}{err}")


def delayed(world, name, calls, delay):
    """A recording of CAT whose strace delays calls: strace's log, the profile, and the words. None without strace."""
    if not shutil.which("strace"):
        return None
    world.fresh({})
    world.give()
    log, profile = f"{world.dir}/{name}.strace", f"{world.profiles}/{name}"
    tracer = ["strace", "-f", "-qq", "-o", log, "-e", f"trace={calls}", "-e", f"inject={calls}:{delay}"]
    return log, profile, [*tracer, *world.user, world.bwrap, *narrow(world), "--learn", profile, "--", *CAT]


def lost(world):
    """An answerer is killed when the kernel has given it a call, and it has not yet said so to anybody: that call is answered all the same."""
    # The third call that is received is held back on its way out of the kernel.
    recording = delayed(world, "lost", "ioctl", "delay_exit=4000000:when=6")
    if not recording:
        return left_out("a call that is lost with who has received it", "strace is missing")
    log, profile, words = recording
    process = world.start(words, own=True)
    held, deadline = None, time.monotonic() + 30
    while held is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        with open(log) if os.path.exists(log) else io.StringIO() as file:
            held = re.search(r"^(\d+) .*NOTIF_RECV.*DELAYED", file.read(), re.MULTILINE)
    if held:
        os.kill(int(held[1]), signal.SIGKILL)
    status, out, err = world.end(process, 60)
    right = held and (status, out) == (0, READ) and os.path.exists(profile)
    report("a call that is lost with who has received it", None if right else f"{held}, status {status}: {out}{err}")


def slow(world):
    """A recorder whose first answers take long, as on a busy machine, misses nothing: they say what each option has put where."""
    recording = delayed(world, "slow", "openat2", "delay_exit=2500000:when=1")
    if not recording:
        return left_out("a slow start", "strace is missing")
    _, profile, words = recording
    status, out, err = world.run(words, own=True, limit=90)
    with open(profile) if os.path.exists(profile) else io.StringIO() as file:
        lines = file.read()
    right = (status, out) == (0, READ) and "words.txt" in lines and "/busybox" in lines
    report("a slow start", None if right else f"status {status}: {out}{err}{lines}")


def late(world):
    """Names that take too long to read are answered by somebody else. The ids of calls begin anywhere, so several recordings."""
    world.fresh({})
    places = [f"{world.profiles}/late{number}" for number in range(6)]
    for place in places:
        os.mkdir(place)
    world.give(own=True)
    more = ["--unshare-user", "--cap-add", "CAP_SYS_ADMIN", "--dev-bind", "/dev/fuse", "/dev/fuse", "--dir", "/mnt"]
    command = ["/acts", "late", "/mnt", "words.txt"]
    words = [[world.bwrap, *narrow(world, *more), "--learn", place + "/profile", "--", *command] for place in places]
    processes = [world.start(one, own=True) for one in words]
    problems = []
    for number, process in enumerate(processes):
        status, out, err = world.end(process, 60)
        if (status, out) != (0, "opened 0\n") or "could not be read" not in err:
            problems.append(f"{number}: status {status}: {out}{err}")
    report("names that take too long to read", "".join(problems))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def run_all(world, everything):
    build(world)
    bad_files(world)
    fails_to_start(world)
    full_disk(world)
    two_recorders(world)
    daemons(world)
    kills(world, 100 if everything else 20)
    replaced(world)
    lost(world)
    slow(world)
    late(world)
