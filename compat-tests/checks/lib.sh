# shellcheck shell=sh
# Sourced by the checks. Each prints a line for everything it tries, as `cargo test` does, and exits
# with status 1 if something failed:
#
#   ok NAME                  it held
#   fail NAME WHAT...        it did not; WHAT is what was seen
#   skip NAME REASON         this machine lacks something that can be installed; a failure with
#                            REQUIRED=1
#   unavailable NAME REASON  left out, required or not: not every machine can have what it needs
#
# .ci/run sets REQUIRED=1: nothing that can be installed may be missing, and slow parts run too.

area=$(basename "$0")
failed=0
ok() { echo "test $area::$1 ... ok"; }
fail() {
    echo "test $area::$1 ... FAILED"
    failed=1
    shift
    [ $# = 0 ] || printf '%s\n' "$*" | sed 's|^|    |' # not to be taken for a line of a check
}
# scratch NAME: a new directory with bin, home and work, for everybody, and not below /tmp, which many sandboxes cover.
scratch() {
    local dir
    dir=$(mktemp -d "/var/tmp/$1.XXXXXX") && chmod 755 "$dir" && mkdir "$dir/bin" "$dir/home" "$dir/work" && echo "$dir"
}
skip() { if [ "${REQUIRED-}" = 1 ]; then fail "$1" "$2"; else unavailable "$1" "$2"; fi; }
unavailable() { echo "test $area::$1 ... ignored ($2)"; }
# command_with TEXT: the line of the README that holds it, for the caller to run.
command_with() { grep -F -m 1 -e "$1" README.md || echo "echo no command with $1; false"; }
# inline TEXT: the inline code of the README that holds it, on one line.
inline() {
    sed '/^```/,/^```$/d' README.md | awk -v wanted="$1" 'BEGIN { RS = "" } { gsub(/\n */, " "); n = split($0, part, "`")
        for (i = 2; i <= n; i += 2) if (index(part[i], wanted)) { print part[i]; found = 1; exit } }
        END { if (!found) print "echo no inline code with " wanted "; false" }'
}
# block TEXT [FILE]: the first shell block of the README, or of another page, with this text in it.
block() {
    awk -v wanted="$1" '/^```(ba)?sh$/ { text = ""; inside = 1; next }
        /^```$/ { if (inside && index(text, wanted)) { printf "%s", text; exit } inside = 0 } inside { text = text $0 "\n" }' "${2:-README.md}"
}
