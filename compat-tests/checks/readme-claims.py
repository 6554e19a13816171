#!/usr/bin/env python3
"""What the README says of its commands, tried in a small world: a home with a key, a token in the environment and one in the keyring,
somebody who listens in /run, in the home, on an abstract socket and on TCP, a resolver and a web server with a certificate.

    readme-claims.py DIR UID      in network and mount namespaces of its own, with the capabilities that those want; see readme

DIR has `bin/bwrap`, `home` and `work`. The commands run as UID if that is not this process's own, and without capabilities.
"""

import ctypes
import fcntl
import http.server
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
TOKEN = "sesame-7fd1"
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)
failed = 0

# In the sandbox: looks for the token, tries to leave something behind and to call somebody, and prints all that it could.
SCRIPT = r"""
import ctypes, os, platform, socket
TOKEN = "sesame-" + "7fd1"
found = lambda what: print("could:", what)
if any(TOKEN in value for value in os.environ.values()): found("environment")
for top in ["@HOME@", "@WORK@", "/run", "/tmp", "/var/tmp", "/etc"]:
    for where, _, names in os.walk(top):
        for name in names:
            path = os.path.join(where, name)
            try:
                if os.path.isfile(path) and os.path.getsize(path) < 1 << 20 and TOKEN in open(path, errors="replace").read():
                    found("read " + path)
            except OSError: pass
for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
    try:
        if pid != str(os.getpid()) and TOKEN.encode() in open("/proc/" + pid + "/environ", "rb").read(): found("environment of " + pid)
    except OSError: pass
number = {"x86_64": 250, "aarch64": 219}.get(platform.machine())
if number:
    libc, buffer = ctypes.CDLL(None), ctypes.create_string_buffer(100)
    serial = libc.syscall(number, 10, -3, b"user", b"readme", 0)
    if serial > 0 and libc.syscall(number, 11, serial, buffer, 100) > 0: found("keyring")
for path in ["@HOME@/left", "@WORK@/left", "/var/tmp/readme-left", "/script.js", "@WORK@/script.js"]:
    try:
        open(path, "a").write("# left\n"); found("write " + path)
    except OSError: pass
for name, address in [("run", "/run/listener"), ("home", "@HOME@/listener"), ("abstract", "\0readme-listener"), ("tcp", ("127.0.0.1", 80))]:
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as caller:
        try:
            caller.connect(address); caller.sendall((name + " " + TOKEN).encode()); found("call " + name)
        except OSError: pass
print("looked around")
"""

MAKEFILE = r"""
all:
	cc -o answer answer.c
	./answer
	python3 fetch.py
"""
ANSWER = 'int printf(const char *, ...); int main(void) { printf("compiled %d\\n", 42); }\n'
FETCH = r"""
import socket, urllib.request
print("fetched", urllib.request.urlopen("https://build.example/").read().decode())
try: socket.create_connection(("127.0.0.1", 80)); print("port 80 is open")
except OSError as problem: print("port 80:", problem.strerror)
"""


def verdict(name, problem):
    global failed
    failed |= bool(problem)
    print(f"test readme::{name} ... FAILED\n{problem}" if problem else f"test readme::{name} ... ok", flush=True)


def mount(source, target, kind=None, flags=0, data=None):
    words = [word and word.encode() for word in (source, target, kind)]
    if LIBC.mount(*words, ctypes.c_ulong(flags), data and data.encode()) != 0:
        sys.exit(f"mount {target}: {os.strerror(ctypes.get_errno())}")


def block(wanted):
    """The README's first shell block with these words."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        return next(text for text in re.findall(r"^```(?:ba)?sh\n(.*?)^```$", file.read(), re.M | re.S) if wanted in text)


def loopback_up():
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))


class Listeners:
    """They remember what they are told."""

    def __init__(self, home):
        self.heard = []
        for address in ["/run/listener", f"{home}/listener", "\0readme-listener", ("127.0.0.1", 80)]:
            listener = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
            if not isinstance(address, str):
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            if isinstance(address, str) and not address.startswith("\0"):
                os.chmod(address, 0o777)
            listener.listen()
            threading.Thread(target=self.listen, args=(listener,), daemon=True).start()

    def listen(self, listener):
        while True:
            caller, _ = listener.accept()
            self.heard.append(caller.recv(100))
            caller.close()


def resolver():
    """Knows one name."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def serve():
        while True:
            query, caller = server.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            known = query[12:end] == b"\5build\7example\0\0\1\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if known else b""
            server.sendto(query[:2] + b"\x81\x80\0\1" + struct.pack(">H", known) + b"\0\0\0\0" + query[12:end] + answer, caller)

    threading.Thread(target=serve, daemon=True).start()


def web_server(directory):
    """Serves by TLS, with a certificate that the machine's set of certificates has for the time being."""
    key, certificate = f"{directory}/key.pem", f"{directory}/certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=build.example", "-addext",
                    "subjectAltName=DNS:build.example", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    hashed = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", certificate], check=True, capture_output=True, text=True)
    certificates = f"{directory}/certs"
    os.mkdir(certificates)
    shutil.copy(certificate, f"{certificates}/{hashed.stdout.strip()}.0")
    shutil.copy(certificate, f"{certificates}/ca-certificates.crt")
    mount(certificates, "/etc/ssl/certs", flags=MS_BIND)

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a page")

        def log_message(self, *words):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Page)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class World:
    def __init__(self, directory, uid):
        self.home, self.work, self.bin = (f"{directory}/{name}" for name in ("home", "work", "bin"))
        self.uid = uid
        self.path = f"{self.bin}:/usr/bin:/bin"
        mount(None, "/", flags=MS_REC | MS_PRIVATE)
        mount("run", "/run", "tmpfs", data="mode=755")
        loopback_up()
        # Where it is a link into /run, as with systemd-resolved, what it leads to has gone.
        resolv = os.path.realpath("/etc/resolv.conf")
        if not os.path.exists(resolv) and resolv.startswith("/run/"):
            os.makedirs(os.path.dirname(resolv), exist_ok=True)
            open(resolv, "x", encoding="utf-8").close()
        self.write(f"{directory}/resolv.conf", "nameserver 127.0.0.1\n")
        if os.path.exists(resolv):
            mount(f"{directory}/resolv.conf", resolv, flags=MS_BIND)
        self.write(f"{directory}/nsswitch.conf", "hosts: files dns\n")
        if os.path.exists("/etc/nsswitch.conf"):
            mount(f"{directory}/nsswitch.conf", "/etc/nsswitch.conf", flags=MS_BIND)
        os.mkdir(f"{self.home}/.ssh")
        self.write(f"{self.home}/.ssh/id_ed25519", TOKEN)
        self.listeners = Listeners(self.home)

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if os.getuid() != self.uid:
            os.chown(path, self.uid, self.uid)

    def run(self, command):
        """Runs it as the ordinary user, in whose session keyring there is a token."""
        if os.getuid() != self.uid:
            ordinary = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        else:
            # Root of this namespace could not map itself once more without capabilities.
            ordinary = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        # A session keyring of its own, so that the caller's does not get the token.
        keyring = ("import ctypes, os, platform, sys\n"
                   "numbers = {'x86_64': (248, 250), 'aarch64': (217, 219)}.get(platform.machine())\n"
                   "libc = ctypes.CDLL(None)\n"
                   "if numbers:\n"
                   "    libc.syscall(numbers[1], 1, 0)\n"
                   f"    libc.syscall(numbers[0], b'user', b'readme', b'{TOKEN}', {len(TOKEN)}, -3)\n"
                   "os.execvp('bash', ['bash', '-c', sys.argv[1]])")
        words = [*ordinary, "/usr/bin/python3", "-c", keyring, command]
        env = {"PATH": self.path, "HOME": self.home, "README_TOKEN": TOKEN}
        ran = subprocess.run(words, cwd=self.work, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    def files(self):
        tops = [self.home, self.work, "/run", "/var/tmp"]
        found = {}
        for top in tops:
            for where, _, names in os.walk(top):
                for name in names if top != "/var/tmp" else [name for name in names if name == "readme-left"]:
                    status = os.lstat(os.path.join(where, name))
                    found[os.path.join(where, name)] = (status.st_size, status.st_mtime_ns)
        return found


def a_script(world):
    """It finds no keys, leaves nothing behind and contacts nobody."""
    text = SCRIPT.replace("@HOME@", world.home).replace("@WORK@", world.work)
    world.write(f"{world.work}/script.js", text)
    # Without a sandbox all of it has to succeed, or nothing would be shown.
    status, said = world.run("/usr/bin/python3 script.js")
    could = ["environment\n", f"read {world.home}/.ssh", "call run", "call home", "call abstract", "call tcp", f"write {world.home}/left",
             f"write {world.work}/script.js", "write /var/tmp/readme-left"]
    if os.uname().machine in ("x86_64", "aarch64"):
        could.append("keyring")
    missing = [words for words in could if f"could: {words}" not in said]
    while len(world.listeners.heard) < 4 and not missing:
        time.sleep(0.01)
    if missing or status != 0:
        return f"without a sandbox it should be able to {missing}: {said}"
    world.listeners.heard.clear()
    os.remove("/var/tmp/readme-left")
    world.write(f"{world.work}/script.js", text)
    before = world.files()
    command = block(" node ")
    if not command.rstrip().endswith(" node /script.js"):
        return f"another command: {command}"
    status, said = world.run(command.rstrip().removesuffix(" node /script.js") + " python3 /script.js")
    # What it can write to is its own, and gone.
    lines = [line for line in said.splitlines() if not re.fullmatch(r"could: write (/var/tmp/readme-left)", line)]
    if status != 0 or lines != ["looked around"]:
        return f"status {status}: {said}"
    if world.listeners.heard:
        return f"somebody heard {world.listeners.heard}"
    return "" if world.files() == before else "something is left behind"


def a_document(world):
    """It sees nothing else but /usr and can go nowhere."""
    command = block("pdftotext").rstrip()
    if not command.endswith("--ro-bind untrusted.pdf /in.pdf pdftotext /in.pdf -"):
        return f"another command: {command}"
    world.write(f"{world.work}/untrusted.pdf", SCRIPT.replace("@HOME@", world.home).replace("@WORK@", world.work).replace('os.listdir("/proc")', "[]"))
    before = world.files()
    status, said = world.run(command.removesuffix("pdftotext /in.pdf -") + "sh -c 'echo /*; python3 /in.pdf'")
    # The root is a directory of its own in memory.
    if status != 0 or said.splitlines() != ["/in.pdf /lib /lib64 /usr", "could: write /script.js", "looked around"]:
        return f"status {status}: {said}"
    return "" if not world.listeners.heard and world.files() == before else f"heard {world.listeners.heard}, or something is left behind"


def a_build_without_network(world):
    """It can change files in its own directory only, and reaches no network."""
    text = SCRIPT.replace("@HOME@", world.home).replace("@WORK@", world.work)
    world.write(f"{world.work}/look.py", text)
    world.write(f"{world.work}/Makefile", "all:\n\t@/usr/bin/python3 look.py\n")
    before = world.files()
    status, said = world.run(block('"$PWD" "$PWD" make'))
    changed = {path for path, state in world.files().items() if before.get(path) != state}
    lines = [line for line in said.splitlines() if re.match("could: (write|call (run|abstract|tcp))", line)]
    wanted = {f"{world.work}/left", f"{world.work}/script.js"}
    if status != 0 or {f"could: write {path}" for path in wanted} != set(lines) or changed != wanted:
        return f"status {status}: {said}, changed: {changed}"
    return ""


def a_profile_for_builds(world):
    """It has the system's programs and this directory, and nothing else of the caller's."""
    text = SCRIPT.replace("@HOME@", world.home).replace("@WORK@", world.work)
    world.write(f"{world.work}/look.py", text)
    world.write(f"{world.work}/Makefile", "all:\n\t@/usr/bin/python3 look.py\n\t@ls -A ~\n")
    world.listeners.heard.clear()
    before = world.files()
    status, said = world.run(block("--profile @build make"))
    changed = {path for path, state in world.files().items() if before.get(path) != state}
    lines = [line for line in said.splitlines() if line.startswith("could: ")]
    # Of what it could, only this directory is the host's.
    wanted = {f"{world.work}/left", f"{world.work}/script.js"}
    allowed = {f"could: write {path}" for path in (*wanted, f"{world.home}/left", "/var/tmp/readme-left", "/script.js")}
    if status != 0 or not set(lines) <= allowed or changed != wanted or world.listeners.heard:
        return f"status {status}: {said}, changed: {changed}"
    return ""


def a_profile_for_the_network(world):
    """It resolves a name and fetches by HTTPS, and knows nothing of the caller."""
    command = block("--profile @net curl")
    status, said = world.run(command.replace("https://example.org/", "-sS https://build.example/"))
    if status != 0 or said != "a page":
        return f"status {status}: {said}"
    status, said = world.run(command.replace("curl https://example.org/", f"sh -c 'ls -A ~ {world.work}; env'"))
    known = [words for words in (TOKEN, ".ssh", "look.py") if words in said]
    if status != 0 or f"HOME={world.home}" not in said.splitlines():
        return f"status {status}: {said}"
    return f"it knows {known}: {said}" if known else ""


def scopes_and_ports(world):
    """It signals no process outside, and calls neither an abstract socket there nor another port than 443."""
    command = re.sub(r" sh -c '.*'\n$", " ", block("$PPID"))
    with subprocess.Popen(["sleep", "600"], user=world.uid if os.getuid() != world.uid else None) as other:
        text = f"""
import os, socket
def attempt(name, act):
    try: act(); print(name, "succeeds")
    except OSError as problem: print(name, problem.strerror)
attempt("signal", lambda: os.kill({other.pid}, 0))
attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0readme-listener"))
for port in (80, 443): attempt(f"port {{port}}", lambda: socket.create_connection(("127.0.0.1", port)))
"""
        world.write(f"{world.work}/attempts.py", text)
        inside, outside = world.run(f"{command} /usr/bin/python3 attempts.py"), world.run("/usr/bin/python3 attempts.py")
        other.kill()
    if outside != (0, "signal succeeds\nabstract succeeds\nport 80 succeeds\nport 443 succeeds\n"):
        return f"without a sandbox: {outside}"
    wanted = "signal Operation not permitted\nabstract Operation not permitted\nport 80 Permission denied\nport 443 succeeds\n"
    return "" if inside == (0, wanted) else f"status {inside[0]}: {inside[1]}"


def lacks_landlock(world):
    return "needs Landlock" in world.run("bwrap --ro-bind / / --scope-signals --scope-abstract-unix --tcp-connect 443 true")[1]


def a_build(world):
    """It compiles by the name cc, resolves a name, and fetches by HTTPS."""
    text = re.sub(r"^systemd-run .* -- \\$", r"exec \\", block("--apparmor"), flags=re.M)
    # What this machine has not delegated, loaded or built in; compat-tests/vm/checks/everything has it all.
    text = re.sub(r"^ *--cgroup .*\n", "", text, flags=re.M).replace("--apparmor build ", "")
    if lacks_landlock(world):
        print("test readme::a build with restrictions by Landlock ... ignored (the kernel is too old)")
        text = text.replace("--scope-signals --scope-abstract-unix --tcp-connect 443 ", "")
    for name, content in {"Makefile": MAKEFILE, "answer.c": ANSWER, "fetch.py": FETCH}.items():
        world.write(f"{world.work}/{name}", content)
    status, said = world.run(text)
    limited = "port 80: Permission denied" if "--tcp-connect" in text else "port 80"
    wanted = ["compiled 42", "fetched a page", limited]
    return "" if status == 0 and all(words in said for words in wanted) else f"status {status}: {said}"


def main():
    directory, uid = sys.argv[1], int(sys.argv[2])
    world = World(directory, uid)
    verdict("a script finds no keys, leaves nothing behind and contacts nobody", a_script(world))
    verdict("a document's reader sees nothing else and can go nowhere", a_document(world))
    verdict("a build without network changes its own directory only", a_build_without_network(world))
    verdict("a profile for builds has the system and this directory", a_profile_for_builds(world))
    missing = [tool for tool in ("cc", "curl", "make", "openssl") if not shutil.which(tool)]
    missing += [path for path in ("/etc/resolv.conf", "/etc/ssl/certs") if not os.path.exists(path)]
    if missing:
        required = os.environ.get("REQUIRED") == "1"
        print("test readme::a build compiles ...", "FAILED" if required else f"ignored ({' '.join(missing)} is missing)")
        return failed or required
    resolver()
    web_server(directory)
    verdict("a profile for the network knows nothing of the caller", a_profile_for_the_network(world))
    if lacks_landlock(world):
        print("test readme::no signals, no abstract sockets and one port ... ignored (the kernel is too old)")
    else:
        verdict("no signals, no abstract sockets and one port", scopes_and_ports(world))
    verdict("a build compiles, resolves names and fetches by HTTPS", a_build(world))
    return failed


if __name__ == "__main__":
    sys.exit(main())
