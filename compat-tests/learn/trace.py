"""Reads what `strace -ff -y -z` wrote: every path that a program named with success, as a set of absolute names."""

import os
import re

FIRST_ONLY = {"execve", "mount", "umount2", "swapon", "acct"}
TWO_PATHS = {"rename", "link"}
LINK_PATH = {"symlink"}
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?|(AT_FDCWD|\d+)<([^>]*)>')
CALL = re.compile(r"^(\w+)\((.*)\)\s+= (.*)$", re.S)
SUN_PATH = re.compile(r'sun_path="((?:[^"\\]|\\.)*)"')


def text_of(quoted):
    return quoted.encode("latin-1", "replace").decode("unicode_escape").encode("latin-1", "replace")


def join(directory, name):
    """An absolute name; the links on its way are not followed, but `.` goes."""
    return os.path.join(directory, name) if name else directory


def arguments(text):
    """The strings and directories of a call, in order, up to the first list of words or struct."""
    text = re.split(r"[\[{]", text, maxsplit=1)[0] if "sun_path" not in text else text
    for found in TOKEN.finditer(text):
        if found[3] is None:
            yield "name", text_of(found[1])
        else:
            yield "dir", text_of(found[4])


class Trace:
    """All processes of one run, the first one first."""

    def __init__(self, prefix, start):
        self.prefix, self.seen = prefix, set()
        directory, base = os.path.split(prefix)
        pids = sorted(int(name.rsplit(".", 1)[1]) for name in os.listdir(directory) if name.startswith(base + "."))
        self.left = set(pids)
        while self.left:
            self.process(min(self.left), os.fsencode(start))

    def process(self, pid, cwd):
        if pid not in self.left:
            return
        self.left.discard(pid)
        with open(f"{self.prefix}.{pid}", encoding="latin-1") as file:
            for line in file:
                if found := CALL.match(line.rstrip("\n")):
                    cwd = self.call(found[1], found[2], found[3], cwd)

    def call(self, name, text, result, cwd):
        """Takes a call into account. The working directory after it."""
        if name in ("clone", "clone3", "fork", "vfork"):
            if child := re.match(r"\d+", result):
                self.process(int(child[0]), cwd)
            return cwd
        if name in ("connect", "bind", "sendto"):
            if found := SUN_PATH.search(text):
                self.seen.add(join(cwd, text_of(found[1])))
            return cwd
        parts = list(arguments(text))
        if name == "fchdir":
            return next((value for kind, value in parts if kind == "dir"), cwd)
        names = self.names(name, parts, cwd)
        self.seen.update(names)
        return names[0] if name == "chdir" and names else cwd

    @staticmethod
    def names(name, parts, cwd):
        directory, names = cwd, []
        for kind, value in parts:
            if kind == "dir":
                directory = value
            else:
                names.append(join(directory, value))
                directory = cwd
        if name in ("symlink", "symlinkat"):
            return names[-1:]
        if name in TWO_PATHS or name.startswith(("renameat", "linkat")):
            return names[:2]
        return names[:1]


def existing(trace):
    """The names that still lead to something, each with what it leads to."""
    found = {}
    for name in trace.seen:
        path = os.path.normpath(name) if b"/../" not in name else name
        if os.path.exists(path):
            found[path] = os.path.realpath(path)
    return found
