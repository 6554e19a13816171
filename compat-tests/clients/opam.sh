#!/bin/bash
# opam with its own sandbox script: an initialised root, and a package from a local repository that is built, installed and
# removed, each of which may write to its own places only. See lib.sh.
# shellcheck source=compat-tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
need opam rsync
export OPAMROOT=$HOME/.opam OPAMYES=1 OPAMCOLOR=never OPAMSTATUSLINE=never

# A command of the package's: it must not reach the network, and write to no place but its own. What it finds goes to a file.
cat > "$WORK/step" <<'STEP'
#!/bin/sh
# step NAME FILE: FILE is the only one that this step may write.
try() { if (: > "$1") 2> /dev/null; then echo "$2 writable"; rm -f "$1"; else echo "$2 read-only"; fi; }
{
    echo "network: $(sed '1,2d; s/:.*//' /proc/net/dev | tr -d ' ' | tr '\n' ' ')"
    try "$HOME/probe" home
    try "$PWD/probe" directory
    try "$OPAM_SWITCH_PREFIX/probe" prefix
    try "$OPAM_SWITCH_PREFIX/.opam-switch/probe" state
    try "$TMPDIR/probe" temporary
    echo "in $TMPDIR"
} > "$1"
STEP
chmod 755 "$WORK/step"
mkdir -p "$WORK/repo/packages/tiny/tiny.1.0" "$WORK/source"
echo 'opam-version: "2.0"' > "$WORK/repo/repo"
echo 'contents' > "$WORK/source/file"
tar -C "$WORK" -czf "$WORK/source.tar.gz" source
cat > "$WORK/repo/packages/tiny/tiny.1.0/opam" <<OPAM
opam-version: "2.0"
synopsis: "Tiny"
maintainer: "me@localhost"
build: ["$WORK/step" "built"]
install: [
  ["mkdir" "%{prefix}%/share"]
  ["$WORK/step" "%{prefix}%/share/installed"]
  ["cp" "built" "file" "%{prefix}%/share/"]
]
remove: ["rm" "-r" "%{prefix}%/share"]
url { src: "file://$WORK/source.tar.gz" checksum: "sha256=$(sha256sum "$WORK/source.tar.gz" | cut -d' ' -f1)" }
OPAM
mkdir -p "$WORK/repo/packages/greedy/greedy.1.0"
cat > "$WORK/repo/packages/greedy/greedy.1.0/opam" <<'OPAM'
opam-version: "2.0"
synopsis: "Writes where only an installation may"
maintainer: "me@localhost"
build: ["touch" "%{prefix}%/greedy"]
OPAM

prefix=$OPAMROOT/tiny
check 'opam init' 0 '' opam init --bare --no-setup --disable-completion "$WORK/repo"
check 'the sandbox is in use' 0 'sandbox.sh' grep -A 1 wrap-build-commands "$OPAMROOT/config"
check 'an empty switch' 0 '' opam switch create tiny --empty
# As the README says, with a program where that has it that can be told from the one that is first in PATH otherwise.
mark_bwrap
recipe=$(block 'opam install')
check 'opam install' 0 'installed tiny' sh -c "${recipe/ example/ tiny}"
check 'the bwrap of the README is used' 0 "^$HOME/.local/bin/bwrap" cat "$WORK/marks"
: > "$WORK/marks"
# shellcheck disable=SC2016 # for the shell started
check 'what the build saw' 0 \
    '^network: lo  home read-only directory writable prefix read-only state read-only temporary writable in /opam-tmp $' \
    sh -c 'tr "\n" " " < "$0"' "$prefix/share/built"
# shellcheck disable=SC2016
check 'what the installation saw' 0 \
    '^network: lo  home read-only directory writable prefix writable state read-only temporary writable in /opam-tmp $' \
    sh -c 'tr "\n" " " < "$0"' "$prefix/share/installed"
check 'what is installed' 0 '^contents$' cat "$prefix/share/file"
check 'a build that writes elsewhere' 31 'Read-only file system' opam install greedy
check 'opam remove' 0 'removed' opam remove tiny
check 'the bwrap of the README is used only by its command' 0 '' cmp "$WORK/marks" /dev/null
check 'nothing is left of it' 2 'No such file' ls "$prefix/share"
exit $failed
