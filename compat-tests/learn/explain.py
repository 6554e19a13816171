"""`--explain`: a newcomer's sandboxes that are too narrow; with the lines that are printed the next try has to work."""

import os
import subprocess

from endings import children
from rounds import Display
from world import left_out, report, which, words_of

CLIENT = "import sys, urllib.request as r; print(r.urlopen('https://localhost:' + sys.argv[1]).read().decode(), end='')"
LINES = 12


def small(*more):
    """What people begin with: /usr and its links."""
    words = ["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "lib", "lib64"):
        words += ["--symlink", "usr/" + name, "/" + name]
    return [*words, *more]


def suggested(err, world):
    """The options among what was printed, and all lines that are the explanation's."""
    ours = err[err.find("bwrap: the host has"):]
    lines = [line for line in ours.split("\n") if line.startswith(("--", "#"))]
    return [os.fsdecode(word) for line in lines for word in words_of(line, world)], lines


class Case:
    """A command in a sandbox that lacks something; `said` is what it prints once all is there."""

    def __init__(self, name, needs, options, command, said, **more):
        self.name, self.needs, self.options, self.command, self.said = name, needs, options, command, said
        self.before = more.get("before", [])
        self.quiet = more.get("quiet")
        self.status = more.get("status", 0)

    def run(self, world):
        """The first try and the second; what went wrong."""
        how = {"own": bool(self.before)}
        user = world.user if self.before else []
        start = [*self.before, *user, world.bwrap]
        first = world.run([*start, *self.options, "--explain", "--", *self.command], **how)
        words, lines = suggested(first[2], world)
        if first[0] == self.status and first[1] == self.said and not (self.quiet and self.quiet in first[2]):
            return f"it works without what it lacks: {first}"
        if not words or len(lines) + 1 > LINES:
            return f"{len(lines) + 1} lines: {first[2]}"
        second = world.run([*start, *self.options, *words, "--", *self.command], **how)
        if second[:2] != (self.status, self.said) or self.quiet and self.quiet in second[2]:
            return f"first {first}\nsecond {second}\nwith {words}"
        return None


def trusting(world):
    """Words before a command: a mount namespace in which the host trusts the server's certificate."""
    certs = world.dir + "/certs"
    if not os.path.isdir(certs):
        os.mkdir(certs)
        name = subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", world.dir + "/ca.pem"], capture_output=True, text=True, check=True)
        with open(world.dir + "/ca.pem") as file:
            world.write("certs/" + name.stdout.strip() + ".0", file.read())
    script = f'mount --bind {certs} /etc/ssl/certs && exec "$@"'
    return ["unshare", "-m" if world.is_root else "-rm", "sh", "-c", script, "sh"]


def cases(world, display):
    proc, dev = ["--proc", "/proc"], ["--dev", "/dev"]
    here = ["--bind", world.project, world.project, "--chdir", world.project]
    window = ["--ro-bind", display.socket, display.socket, "--setenv", "DISPLAY", ":" + display.number] if display else []
    clock = "xclock -digital & sleep 1; kill $!; wait $!; echo shown"
    return [
        Case("python and HTTPS", ["python3"], small(*proc, *dev), ["python3", "-c", CLIENT, str(world.port)], "a page\n", before=trusting(world)),
        Case("ffmpeg's BLAS", ["ffmpeg"], small(*proc, *dev), ["sh", "-c", "ffmpeg -v error -f lavfi -i testsrc=duration=1 -f null - && echo played"],
             "played\n"),
        Case("cc", ["cc"], small(*proc, *dev, *here), ["cc", "hello.c", "-o", "out/hello"], ""),
        Case("cc in a shell", ["cc"], small(*proc, *dev, *here), ["sh", "-c", "cc hello.c -o out/hello && out/hello"], "hello\n"),
        Case("awk", ["awk"], small(), ["awk", "BEGIN { print 6 * 7 }"], "42\n"),
        Case("git's /dev/null", ["git"], small(), ["git", "check-ref-format", "--branch", "main"], "main\n"),
        Case("xclock's fonts", ["xclock", "Xvfb"], small(*proc, *dev, *window), ["sh", "-c", clock], "shown\n", quiet="Cannot load default config"),
        Case("a program without /usr", ["perl"], ["--unshare-all", *dev], ["perl", "-e", "print 6 * 7"], "42"),
        Case("a place that is read-only", [], small(*dev, "--ro-bind", world.project, world.project, "--chdir", world.project),
             ["sh", "-c", "echo x > out/new && echo written"], "written\n"),
    ]


def hostile(world):
    """Names that would say more than a name, and what holds keys."""
    world.fresh({})
    odd = os.path.join(os.fsencode(world.project), b"a\n--bind\n\x1b[31m\xff")
    with open(odd, "w"):
        pass
    world.give()
    key = world.home + "/.ssh/id_ed25519"
    names = [os.fsdecode(odd), key, world.run_dir + "/listener"]
    options = ["--unshare-all", "--ro-bind", which("busybox"), "/busybox"]
    _, _, err = world.run([world.bwrap, *options, "--explain", "--", "/busybox", "ls", "-d", *names])
    words, lines = suggested(err, world)
    sources = [words[at + 1] for at, word in enumerate(words) if word.startswith("--")]
    ours = err[err.find("bwrap: the host has"):]
    bad = []
    if os.fsdecode(odd) not in sources:
        bad.append("the odd name is lost")
    if key in sources or not any(line.startswith("#") and ".ssh" in line for line in lines):
        bad.append("a key is suggested, or not told")
    if any(word in ("--bind", "/") for word in words) or any(ord(letter) < 32 and letter != "\n" for letter in ours):
        bad.append("a name says more than a name")
    report("explain: hostile names and keys", bad and f"{bad}\n{words}\n{err}")


def ports(world):
    """Ports and filters that refuse."""
    options = small("--share-net", "--dev", "/dev", "--tcp-connect", "1")
    script = f"import socket; socket.create_connection(('127.0.0.1', {world.port})); print('connected')"
    case = Case("a port", ["python3"], options, ["python3", "-c", script], "connected\n")
    report("explain: a port", case.run(world))
    policy = world.write("policy.json", '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["sethostname", "mkdir", "mkdirat"], '
                                        '"action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}')
    for more, count in [(["--seccomp-policy", policy], 1), (["--seccomp-default", "--seccomp-policy", policy], 1)]:
        script = "import os\ntry: os.mkdir('/x')\nexcept OSError as e: print(e.errno)"
        status, out, err = world.run([world.bwrap, *small("--dev", "/dev", *more), "--explain", "--", "python3", "-c", script])
        told = [line for line in err.split("\n") if "mkdir" in line and "EOPNOTSUPP" in line]
        report(f"explain: a refusal of {' and '.join(word for word in more if word.startswith('--'))}",
               None if (status, out) == (0, "95\n") and len(told) == count else f"status {status}: {out}{err}")


def outside(pid):
    """Whether a process is in no pid namespace but ours."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return any(line.startswith("NSpid:") and len(line.split()) == 2 for line in file)
    except OSError:
        return False


def abandoned(world):
    """What a policy refuses is refused also when those who answer have been killed."""
    policy = world.write("policy.json", '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], '
                                        '"action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}')
    script = ("import os, time\nfor i in range(40):\n    time.sleep(0.05)\n    try: os.mkdir(f'/tmp/{i}'); print('made')\n"
              "    except OSError as e: print(e.errno)\n    if i == 10: print('go', flush=True)\n")
    words = [world.bwrap, *small("--dev", "/dev", "--tmpfs", "/tmp", "--seccomp-policy", policy), "--explain", "--", "python3", "-c", script]
    process = world.start(words)
    said = ""
    while "go" not in said:
        said += process.stdout.readline().decode()
    for pid in [pid for pid in children(process.pid) if outside(pid)]:
        os.kill(pid, 9)
    _, out, err = world.end(process, 60)
    answers = set((said + out).split()) - {"go"}
    report("explain: refusals without those who answer", None if "95" in answers and answers <= {"95", "38"} else f"{answers} {err}")


def nothing_lacking(world):
    """A sandbox that has everything is not explained."""
    status, out, err = world.run([world.bwrap, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--explain", "--", "sh", "-c", "echo fine; exit 3"])
    report("explain: nothing is lacking", None if (status, out, err) == (3, "fine\n", "") else f"{status} {out} {err}")


def run_all(world, everything):
    def all_of(display):
        for case in cases(world, display):
            if lacking := [name for name in case.needs if not which(name)]:
                left_out("explain: " + case.name, f"{lacking[0]} is missing", installable=everything)
                continue
            world.fresh({"hello.c": '#include <stdio.h>\nint main(void) { puts("hello"); }\n'})
            world.give()
            report("explain: " + case.name, case.run(world))
    if which("Xvfb"):
        with Display() as display:
            all_of(display)
    else:
        all_of(None)
    hostile(world)
    ports(world)
    abandoned(world)
    nothing_lacking(world)
