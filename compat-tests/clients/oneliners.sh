#!/bin/bash
# The command lines in oneliners/, one file each, run by a shell in a directory of their own. The README has none of them; what it
# has is for compat-tests/checks. The comments
# at the head of a file say what belongs to it: the tools it `needs`, shell commands to run `before` and `after`, and what it
# `shows`, extended regular expressions of which each has to match a line. See lib.sh.
# shellcheck source=compat-tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
lines=0 left_out=''

# said KEY FILE: the values of a key at the head of a file, one a line.
said() { sed -n "s/^# $1: //p" "$2"; }

# fail NAME WHY: says what is wrong, with what was printed.
fail() {
    echo "FAIL  $1: $2; it printed:"
    cat "$WORK/printed"
    failed=1
}

# run FILE: prepares, runs and checks one.
run() {
    local name missing='' tool pattern status
    name=$(basename "$1")
    for tool in $(said needs "$1"); do command -v "$tool" > /dev/null || missing+=" $tool"; done
    if [ -n "$missing" ]; then left_out+=" $name (needs$missing)"; return; fi
    mkdir "$WORK/home/$name" && cd "$WORK/home/$name" || exit 1
    said before "$1" | bash -e > "$WORK/printed" 2>&1 || fail "$name" 'its preparation failed'
    timeout -k 5 60 bash "$1" > "$WORK/printed" 2>&1 < /dev/null
    status=$?
    [ $status = 0 ] || fail "$name" "status $status"
    while IFS= read -r pattern; do
        grep -Eq -- "$pattern" "$WORK/printed" || fail "$name" "nothing matches /$pattern/"
    done < <(said shows "$1")
    said after "$1" | bash -e > /dev/null 2>&1 || fail "$name" 'what should be there afterwards is not'
    lines=$((lines + 1))
}

for file in "$HERE"/oneliners/*; do run "$file"; done
[ $lines -gt 0 ] || ignore 'no tool is there'
if [ -n "$left_out" ]; then
    echo "left out:$left_out"
    [ "${REQUIRED-}" != 1 ] || exit 1
fi
exit $failed
