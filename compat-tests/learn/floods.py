"""Programs that try to fill the recorder's memory or its file, and one that waits for the death of who answers."""

import json
import os
import signal
import time

from endings import CAT, READ, alive, children
from hostile import narrow
from rounds import profile_text
from world import report


def names(world):
    """Names without end: what is kept of them has a bound."""
    world.fresh({})
    world.give()
    profile = world.profiles + "/names"
    words = ["prlimit", "--as=300000000", world.bwrap, *narrow(world), "--learn", profile, "--", "/acts", "flood", "100000"]
    status, out, err = world.run(words)
    told = "there were more different names than are kept" in err
    report("names without end", None if (status, out) == (0, "flooded\n") and told and os.path.exists(profile) else f"status {status}: {out}{err}")


def files(world):
    """Files without end, where none is granted: only some are named."""
    world.fresh({})
    os.makedirs(world.home + "/many", exist_ok=True)
    world.give()
    profile = world.profiles + "/files"
    script = "i=0; while [ $i -lt 400 ]; do : > ../.made$i; i=$((i + 1)); done; /busybox rm ../.made*; echo made"
    options = [*narrow(world), "--bind", world.home, world.home]
    for number in range(2):
        status, out, err = world.learn(profile, ["/busybox", "sh", "-c", script.replace("made$", f"made{number}-$")], options)
        wanted = os.path.exists(profile) and [line for line in profile_text(profile).split("\n") if line.startswith("# wanted to create")]
        right = (status, out) == (0, "made\n") and wanted and len(wanted) == 100 * (number + 1) and "# and 300 more names" in profile_text(profile)
        report(f"files without end, run {number + 1}", None if right else f"status {status}: {out}{err}{wanted and len(wanted)} lines")


def long_profile(world):
    """A profile that could not be read again is not written."""
    world.fresh({f"data/{number:0230}": "" for number in range(4500)})
    world.give()
    profile = world.profiles + "/long"
    script = "/busybox find data -type f -exec /busybox cat {} +; echo read"
    status, out, err = world.learn(profile, ["/busybox", "sh", "-c", script], narrow(world), more=("--learn-exact", "--learn"))
    said = err == f"bwrap: Can't write {profile}: it would be longer than 1 MiB\n"
    report("a profile that is too long", None if (status, out) == (0, "read\n") and said and not os.path.exists(profile) else f"status {status}: {out}{err}")
    world.fresh({})


def one_after_another(world):
    """A recording that is over lets the next one have its file at once."""
    world.fresh({})
    world.give()
    profile = world.profiles + "/again"
    problems = []
    for _ in range(20):
        status, out, err = world.learn(profile, CAT, narrow(world))
        if (status, out) != (0, READ):
            problems.append(f"status {status}: {out}{err}")
    report("one recording after another", "".join(problems))


def begin(world, words):
    """Starts `acts exec-late`; what it says first, the recorder, and its helpers in the order of their start: the looker, then who answers."""
    process = world.start(words)
    first = process.stdout.readline().decode()
    recorders = [pid for pid in children(process.pid) if os.getsid(pid) == pid]
    return process, first, recorders, sorted(pid for recorder in recorders for pid in children(recorder))


def kill_all(victims):
    """Kills processes, and waits until they are dead: what one that is about to die receives is nobody's."""
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    while any(alive(victim) for victim in victims):
        time.sleep(0.01)


def successor(world):
    """What a policy refuses is refused by whoever answers: the first one is killed before COMMAND's first attempt."""
    world.fresh({})
    rule = {"names": ["execve"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": [{"index": 3, "value": 7, "op": "SCMP_CMP_EQ"}]}
    policy = world.write("policy.json", json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    world.give()
    words = [world.bwrap, *narrow(world), "--seccomp-policy", policy, "--explain", "--", "/acts", "exec-late", "/busybox", "true"]
    process, first, _, helpers = begin(world, words)
    kill_all(helpers)
    status, out, err = world.end(process, 60, "\n")
    right = first == "in\n" and len(helpers) == 3 and (status, out) == (3, "EACCES\n") and "execve" in err
    report("a policy holds when another one answers", None if right else f"{helpers}, status {status}: {first}{out}{err}")


def heir(world):
    """When the recorder has been killed, and the first of those who answer, the second one answers."""
    world.fresh({})
    world.give()
    words = [world.bwrap, *narrow(world), "--learn", world.profiles + "/heir", "--", "/acts", "exec-late", "/busybox", "true"]
    process, first, recorders, helpers = begin(world, words)
    kill_all([*recorders, *helpers[1:2]])
    status, out, err = world.end(process, 60, "\n")
    ended = first == "in\n" and len(helpers) == 3 and out == "" and status >= 0
    report("the second one answers when nobody else does", None if ended else f"{helpers}, status {status}: {first}{out}{err}")


def run_all(world):
    names(world)
    files(world)
    long_profile(world)
    one_after_another(world)
    successor(world)
    heir(world)
