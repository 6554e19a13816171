# shellcheck shell=sh
# Sourced by the checks. Each prints a line for everything it tries, as `cargo test` does, and ends with status 1 if something failed:
#
#   ok NAME                 it held
#   fail NAME WHAT...       it did not, and this is what was seen
#   skip NAME REASON        left out because this machine lacks something that it could have; with REQUIRED=1 that is a failure
#   unavailable NAME REASON left out whatever is required, because not every machine can have what it needs
#
# REQUIRED=1 is for .ci/run: nothing that can be installed may be missing, and what takes long is done too.

area=$(basename "$0")
failed=0
ok() { echo "test $area::$1 ... ok"; }
fail() {
    echo "test $area::$1 ... FAILED"
    failed=1
    shift
    [ $# = 0 ] || printf '%s\n' "$*" | sed 's|^|    |' # not to be taken for a line of a check
}
skip() { if [ "${REQUIRED-}" = 1 ]; then fail "$1" "$2"; else unavailable "$1" "$2"; fi; }
unavailable() { echo "test $area::$1 ... ignored ($2)"; }
