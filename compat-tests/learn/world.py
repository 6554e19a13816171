"""A small world around the programs: a home with a project, secrets, a socket in /run, servers; and how bwrap is called in it."""

import http.server
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
USER = 54321
LIMIT = 120  # seconds, for anything that is run
failed = 0


def report(name, problem=None):
    """A line in the protocol of compat-tests/checks."""
    global failed
    print(f"test learn::{name} ... {'FAILED' if problem else 'ok'}", flush=True)
    if problem:
        failed = 1
        print("    " + str(problem).replace("\n", "\n    "), flush=True)


def left_out(name, reason, installable=True):
    """A test that this machine cannot run."""
    if installable and os.environ.get("REQUIRED") == "1":
        report(name, reason)
    else:
        print(f"test learn::{name} ... ignored ({reason})", flush=True)


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every request with the same page."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a page\n")

    def log_message(self, *_):
        pass


class World:
    """Directories, servers and identity of everything that is run. `home` belongs to who runs it."""

    def __init__(self, binary):
        self.dir = tempfile.mkdtemp(prefix="bleb-learn.", dir="/var/tmp")
        os.chmod(self.dir, 0o755)
        self.bwrap = self.dir + "/bwrap"
        shutil.copy(binary, self.bwrap)
        self.home, self.project = self.dir + "/home", self.dir + "/home/project"
        self.out, self.profiles = self.project + "/out", self.dir + "/profiles"
        self.runtime = self.dir + "/runtime"
        for path in [self.home, self.profiles, self.runtime]:
            os.mkdir(path)
        self.write("home/.ssh/id_ed25519", "sesame: a key\n")
        self.write("home/secret.txt", "sesame: in the home\n")
        self.is_root = os.getuid() == 0
        self.user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if self.is_root else []
        self.listen()
        self.serve()
        self.fresh({})

    def fresh(self, files):
        """A new project with these files. Only `out` is for writing."""
        shutil.rmtree(self.project, ignore_errors=True)
        os.makedirs(self.out)
        shutil.copy(self.dir + "/ca.pem", self.project)
        common = {"other.txt": "sesame: another file of the project\n", "words.txt": "pear\napple\npear\n"}
        for name, content in (common | files).items():
            self.write("home/project/" + name, content, 0o755 if name.endswith(".sh") else 0o644)

    def listen(self):
        """A socket in /run (or where a user may make one) that nobody should reach."""
        self.run_dir = tempfile.mkdtemp(prefix="bleb-learn.", dir="/run") if self.is_root else self.runtime
        os.chmod(self.run_dir, 0o755)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.run_dir + "/listener")
        os.chmod(self.run_dir + "/listener", 0o777)
        self.socket.listen()

    def serve(self):
        """A web server with a certificate, on a free port."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", self.dir + "/key.pem", "-out", self.dir + "/ca.pem"],
            check=True, capture_output=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.dir + "/ca.pem", self.dir + "/key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def write(self, name, content, mode=0o644):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb" if isinstance(content, bytes) else "w") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def give(self, own=False):
        """Everything that may be written belongs to who runs the programs; the last one may have been another."""
        if self.is_root:
            who = 0 if own else USER
            subprocess.run(["chown", "-Rh", f"{who}:{who}", self.home, self.profiles, self.runtime], check=True)

    def environment(self, more=None):
        values = {"PATH": "/usr/bin:/bin", "HOME": self.home, "LANG": "C", "XDG_RUNTIME_DIR": self.runtime}
        return values | (more or {})

    def run(self, words, own=False, env=None, limit=LIMIT, stdin=""):
        """Runs a command in the project; its status, stdout and stderr. As root everything runs as a user."""
        return self.end(self.start(words, own, env), limit, stdin)

    def start(self, words, own=False, env=None):
        """Starts a command in the project. As root everything runs as a user."""
        return subprocess.Popen(
            words if own else [*self.user, *words], cwd=self.project, env=self.environment(env), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    @staticmethod
    def end(process, limit=LIMIT, stdin=""):
        """Waits for the end of a command, or makes one after so many seconds; its status, stdout and stderr."""
        try:
            out, err = process.communicate(stdin.encode(), timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            out, err = process.communicate()
            return -99, out.decode(errors="replace"), err.decode(errors="replace") + f"\nstill running after {limit} s"
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.is_root:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    # How bwrap is called.

    def wide(self, network=False, more=()):
        """The options of a sandbox in which nearly everything can be seen, and the home written."""
        words = ["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--bind", self.home, self.home]
        words += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--chdir", self.project]
        return words + (["--share-net"] if network else []) + list(more)

    def learn(self, profile, command, options, *, more=("--learn",), **how):
        """Learns a command in a sandbox with these options."""
        return self.run([self.bwrap, *options, *more, profile, "--", *command], **how)

    def apply(self, profile, command, options=(), **how):
        """Runs a command with a profile alone, or with options before it."""
        return self.run([self.bwrap, *options, "--profile", profile, "--", *command], **how)


def words_of(line, world):
    """The words of a line of a profile, as bytes, with variables filled in; nothing for a comment."""
    variables = {"HOME": world.home, "XDG_RUNTIME_DIR": world.runtime, "PWD": world.project}
    words, word, quote, at = [], None, "", 0
    data = os.fsencode(line) if isinstance(line, str) else line
    while at < len(data):
        byte = data[at:at + 1]
        at += 1
        if quote == "'":
            if byte == b"'":
                quote = ""
            else:
                word += byte
        elif byte == b"$" and (found := re.match(rb"\{(\w+)\}", data[at:])):
            word = (word or b"") + os.fsencode(variables[found[1].decode()])
            at += len(found[0])
        elif byte == b"\\":
            code = re.match(rb"x([0-9a-fA-F]{2})", data[at:]) if quote else None
            word = (word or b"") + (bytes([int(code[1], 16)]) if code else data[at:at + 1])
            at += 3 if code else 1
        elif quote:
            if byte == b'"':
                quote = ""
            else:
                word += byte
        elif byte in b"'\"":
            quote, word = byte.decode(), word or b""
        elif byte in b" \t\n":
            if word is not None:
                words.append(word)
            word = None
        elif byte == b"#" and word is None:
            break
        else:
            word = (word or b"") + byte
    if word is not None:
        words.append(word)
    return words


def entries(profile, world):
    """The options of a profile, each as a list of words."""
    with open(profile, "rb") as file:
        lines = [words_of(line, world) for line in file.read().split(b"\n")]
    return [line for line in lines if line]


BINDS = {b"--bind", b"--ro-bind", b"--dev-bind", b"--bind-try", b"--ro-bind-try", b"--dev-bind-try",
         b"--same", b"--ro-same", b"--same-try", b"--ro-same-try"}


def source_of(entry):
    """The host's path that a line brings into the sandbox."""
    return entry[1] if entry[0] in BINDS else None


def is_socket(path):
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def which(name):
    return shutil.which(name, path="/usr/bin:/bin:/usr/sbin")


def log(text):
    if os.environ.get("LEARN_LOG"):
        print(text, file=sys.stderr, flush=True)
