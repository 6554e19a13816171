"""The programs that are learned: what each needs, how its files are made, what is run."""

from dataclasses import dataclass, field

from world import which

CLIENT = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="ca.pem")
print(urllib.request.urlopen(f"https://localhost:{sys.argv[1]}/", context=context).read().decode(), end="")
"""
WORKER = """
const { Worker } = require("worker_threads");
const text = require("fs").readFileSync("words.txt", "utf8").split("\\n").length;
new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true }).on("message", (n) => console.log(text, n));
"""
MAKEFILE = """
out/hello: hello.c
\tcc -O1 -o $@ $<
run: out/hello
\t@./out/hello
"""
PERL = """
use strict; use warnings; use List::Util qw(sum); use POSIX qw(floor); use File::Spec;
open(my $in, "<", "words.txt") or die; my @words = <$in>;
print sum(map { length } @words), " ", floor(2.5), " ", File::Spec->catfile("a", "b"), "\\n";
"""
PIPELINE = """#!/bin/sh
sort words.txt | uniq -c | sort -rn | head -n 2 | sed 's/^ *//' > out/top
cat out/top | tr a-z A-Z
wc -l < words.txt
"""
JAVA = """
import java.nio.file.*;
public class Hello { public static void main(String[] a) throws Exception {
    System.out.println("java " + Files.readAllLines(Path.of("words.txt")).size()); } }
"""
XCLOCK = """
xclock -digital & clock=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    xwininfo -name xclock > /dev/null 2>&1 && break
    sleep 0.2
done
xwininfo -name xclock | grep -c 'Map State: IsViewable'
kill $clock
wait $clock
"""


@dataclass
class Program:
    """`commands` are learned one after the other; then the profile has to run `final`, or the last of them."""

    name: str
    needs: list
    commands: list
    files: dict = field(default_factory=dict)
    network: bool = False
    short: bool = False
    own: bool = False  # run as whoever started this, and not as the user
    display: bool = False
    setup: str = ""
    final: list = field(default_factory=list)

    def run(self):
        """What the learned profile has to run."""
        return self.final or self.commands[-1]


def pdf():
    """A page with a line of text."""
    parts = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
             b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 5 0 R/Resources<</Font<</F 4 0 R>>>>>>",
             b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", b"<</Length 37>>stream\nBT /F 20 Tf 9 50 Td (a page) Tj ET    \nendstream"]
    text, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(text))
        text += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(text)
    return text + b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start


def sh(text):
    return ["sh", "-c", text]


def tests(names):
    return {f"package/tests/test_{name}.py": f"import unittest, {module}\nfrom package import double\n"
            f"class Test(unittest.TestCase):\n    def test(self):\n        self.assertEqual(double({module}.{call}), {result})\n"
            for name, (module, call, result) in names.items()}


def suite(name):
    return sh(f"python3 -B -m unittest {name} -q 2> out/log; s=$?; grep -E '^(OK|FAILED|Ran [0-9]+)' out/log | sed 's/ in .*//'; exit $s")


def programs(port):
    """All of them. Their names are those of the tests."""
    return [
        Program("shell", ["sort"], [sh("./pipeline.sh")], {"pipeline.sh": PIPELINE}, short=True),
        Program("make", ["make", "cc"], [sh("rm -f out/hello; make -s run")],
                {"Makefile": MAKEFILE, "hello.c": '#include <stdio.h>\nint main(void) { puts("made"); }\n'}, short=True),
        Program("python-https", ["python3"], [["python3", "client.py", str(port)]], {"client.py": CLIENT}, network=True, short=True),
        Program("xclock", ["xclock", "Xvfb", "xwininfo"], [sh(XCLOCK)], display=True, short=True),
        Program("node", ["node"], [["node", "worker.js"]], {"worker.js": WORKER}),
        Program("cargo", ["cc"], [sh("rm -rf out/target; cargo build --offline -q && out/target/debug/crate-of-ours")],
                {"Cargo.toml": '[package]\nname = "crate-of-ours"\nversion = "0.1.0"\nedition = "2021"\n',
                 "Cargo.lock": 'version = 3\n\n[[package]]\nname = "crate-of-ours"\nversion = "0.1.0"\n',
                 "src/main.rs": 'fn main() { println!("built"); }\n'}, own=True),
        Program("git", ["git"],
                [sh("cd out && rm -rf copy && git clone -q ../origin copy && cd copy && echo more > b && git add b &&"
                    " git -c user.name=a -c user.email=b commit -q -m second && git log --format=%s && cat a b")],
                setup="git init -q origin && cd origin && echo first > a && git add a && git -c user.name=a -c user.email=b commit -q -m first"),
        Program("ffmpeg", ["ffmpeg"],
                [sh("ffmpeg -v error -y -f lavfi -i testsrc=duration=1:size=64x64:rate=5 out/a.mkv && ffprobe -v error -count_frames "
                    "-show_entries stream=nb_read_frames -of csv=p=0 out/a.mkv")]),
        Program("sqlite3", ["sqlite3"],
                [sh("rm -f out/a.db*; sqlite3 out/a.db 'pragma journal_mode=wal; create table t(x); insert into t values (1),(2); "
                    "select sum(x) from t;'")]),
        Program("java", ["javac"], [["java", "-XX:-UsePerfData", "Hello.java"]], {"Hello.java": JAVA}),
        Program("perl", ["perl"], [["perl", "count.pl"]], {"count.pl": PERL}),
        Program("ssh-keygen", ["ssh-keygen"],
                [sh("rm -f out/key out/key.pub; ssh-keygen -q -t ed25519 -N '' -f out/key && ssh-keygen -y -f out/key | cut -c1-11")], own=True),
        Program("pdftotext", ["pdftotext"], [["pdftotext", "a.pdf", "-"]], {"a.pdf": pdf()}),
        Program("curl", ["curl"], [["curl", "-sS", "--cacert", "ca.pem", f"https://localhost:{port}/"]], network=True),
        Program("static", ["busybox"], [["busybox", "sh", "-c", "busybox md5sum words.txt; busybox tail -n 1 < words.txt"]]),
        Program("test-suite", ["python3"], [suite("package.tests.test_json"), suite("package.tests.test_csv"),
                                            suite("package.tests.test_dates")],
                {"package/__init__.py": "def double(x):\n    return 2 * x\n", "package/tests/__init__.py": ""}
                | tests({"json": ("json", 'loads("2")', 4), "csv": ("csv", "field_size_limit()", 262144),
                         "dates": ("datetime", "date(1, 1, 2).day", 4)}), final=suite("discover -s package/tests -t .")),
    ]


def missing(program):
    """The programs that it needs and that are not here."""
    return [name for name in program.needs if not which(name)]
