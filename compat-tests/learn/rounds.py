"""The round trips: learn in a wide sandbox, run with the profile alone, and look what is out of reach there."""

import os
import shutil
import subprocess
import time

import trace
from programs import missing, programs, sh
from world import entries, left_out, log, report, source_of, which


class Display:
    """An X server without a screen, whose only door is the socket in /tmp."""

    def __enter__(self):
        read, write = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "320x200x24", "-nolisten", "tcp", "-nolisten", "local", "-noreset", "-ac"],
            pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as file:
            self.number = file.readline().strip()
        self.socket = f"/tmp/.X11-unix/X{self.number}"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Round:
    """One program in one world."""

    def __init__(self, world, program, display=None):
        self.world, self.program = world, program
        self.how = {"own": program.own, "env": {}}
        self.more = []
        if display:
            self.how["env"]["DISPLAY"] = ":" + display.number
            self.more = ["--ro-bind", display.socket, display.socket]
        if program.name == "cargo":
            sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
            self.how["env"] |= {"PATH": sysroot + "/bin:/usr/bin:/bin", "CARGO_TARGET_DIR": world.out + "/target",
                                "CARGO_HOME": world.out + "/cargo"}
        self.profile = f"{world.profiles}/{program.name}"
        world.fresh(program.files)
        if program.setup:
            subprocess.run(sh(program.setup), cwd=world.project, check=True, capture_output=True)
        world.give(program.own)

    def options(self):
        return self.world.wide(self.program.network, self.more)

    def expected(self):
        """What the program does in the wide sandbox without a recorder."""
        return self.world.run([self.world.bwrap, *self.options(), "--", *self.program.run()], **self.how)

    def learned(self, *more):
        """Learns it. What went wrong, if something did."""
        for command in self.program.commands:
            status, out, err = self.world.learn(self.profile, command, self.options(), more=(*more, "--learn"), **self.how)
            log(f"{self.program.name}: {out}{err}")
            if status not in (0, 143):  # xclock is ended by SIGTERM
                return f"learning ended with status {status}: {out}{err}"
            if not os.path.exists(self.profile):
                return f"no profile was written: {err}"
            if os.stat(self.profile).st_mode & 0o777 != 0o600:
                return f"the profile has mode {os.stat(self.profile).st_mode:o}"
        return None


def profile_text(path):
    with open(path, errors="replace") as file:
        return file.read()


REACH = r"""
cat @HOME@/secret.txt @HOME@/.ssh/id_ed25519 @PROJECT@/other.txt 2> /dev/null
[ -e @RUN@/listener ] && echo 'the socket in /run'
echo GET / | nc -w 2 127.0.0.1 @PORT@ > /dev/null 2>&1 && echo 'the network'
echo looked
"""


def reach(round_):
    """What the sandbox of the profile should not have, as a static program there sees it."""
    world = round_.world
    script = REACH.replace("@HOME@", world.home).replace("@PROJECT@", world.project).replace("@RUN@", world.run_dir)
    script = script.replace("@PORT@", str(world.port))
    if round_.program.network:
        script = "\n".join(line for line in script.split("\n") if "network" not in line)
    words = ["/at-hand/busybox", "sh", "-c", script.replace("cat ", "/at-hand/busybox cat ").replace("| nc", "| /at-hand/busybox nc")]
    status, out, err = world.apply(round_.profile, words, ["--ro-bind", which("busybox"), "/at-hand/busybox"], **round_.how)
    return None if (status, out) == (0, "looked\n") else f"in reach: status {status}: {out}{err}"


def trip(world, program, display=None):
    """One round trip; what went wrong."""
    round_ = Round(world, program, display)
    expected = round_.expected()
    if expected[0] not in (0, 143) or not expected[1]:
        return f"it does not even run in the wide sandbox: {expected}"
    if problem := round_.learned():
        return problem
    again = world.apply(round_.profile, program.run(), **round_.how)
    if again[:2] != expected[:2]:
        return f"expected {expected[:2]}, with the profile {again}\n{profile_text(round_.profile)}"
    if problem := reach(round_):
        return f"{problem}\n{profile_text(round_.profile)}"
    return None


# Names that a trace has and a profile need not have, with the reason.
REASONS = {
    "/": "the root is always there",
    "/etc/ld.so.preload": "the loader asks for it everywhere; a profile without it is the narrower one",
}


def covers(lines, path, target):
    """Whether a profile brings what a name leads to: itself, a directory around it, or a file below it."""
    for entry in lines:
        source = source_of(entry)
        places = [source] if source else entry[1:2] if entry[0] in (b"--dev", b"--proc", b"--tmpfs", b"--dir", b"--mqueue") else []
        if entry[0] == b"--symlink":
            places = [entry[2]]
        for place in places:
            real = os.path.realpath(place)
            for name in (path, target):
                if name in (place, real) or name.startswith((place.rstrip(b"/") + b"/", real.rstrip(b"/") + b"/")):
                    return True
                # A directory on the way to something is in the sandbox because of it.
                if place.startswith(name.rstrip(b"/") + b"/") or real.startswith(name.rstrip(b"/") + b"/"):
                    return True
    return False


def oracle(world, program, display=None):
    """Everything that strace saw and that exists is in the record."""
    round_ = Round(world, program, display)
    if problem := round_.learned("--learn-exact"):
        return problem
    lines = entries(round_.profile, world)
    lacking = {}
    for number, command in enumerate(program.commands):
        place = f"{world.home}/trace{number}"
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
        world.give(program.own)
        words = ["strace", "-ff", "-y", "-z", "-s", "4096", "-e", "trace=%file,chdir,fchdir,%process,connect,bind,execveat,openat2",
                 "-o", place + "/t", *command]
        status, _, err = world.run([world.bwrap, *round_.options(), "--", *words], **round_.how)
        if status not in (0, 143):
            return f"strace ended with status {status}: {err}"
        seen = trace.existing(trace.Trace(place + "/t", world.project))
        if len(seen) < 4:
            return f"strace saw only {len(seen)} names"
        for path, target in seen.items():
            if path.startswith(os.fsencode(place)) or os.fsdecode(path) in REASONS or path.startswith(b"/proc/"):
                continue
            if not covers(lines, path, target):
                lacking[os.fsdecode(path)] = os.fsdecode(target)
    return f"not in the record: {lacking}\n{profile_text(round_.profile)}" if lacking else None


def all_of(world, which_test, name, everything):
    """A test for each program."""
    for program in programs(world.port):
        if not (program.short or everything):
            continue
        title = f"{name} {program.name}"
        if lacking := missing(program):
            left_out(title, f"{lacking[0]} is missing")
        elif program.display:
            with Display() as display:
                report(title, which_test(world, program, display))
        else:
            start = time.monotonic()
            report(title, which_test(world, program))
            log(f"{title}: {time.monotonic() - start:.1f} s")
