# shellcheck shell=bash disable=SC2034,SC2064 # the scripts read what is set here; a trap is to know its directory now
# Sourced first by every client's script: `. "$(dirname "$0")/lib.sh"`. What comes after that line runs as an ordinary user, in a
# process of its own, with
#
#   BWRAP      the binary under test: a copy of it, called `bwrap`, whose directory stands first in PATH
#   REFERENCE  the original, or nothing
#   WORK       a directory of this run alone, whose `home` is HOME and whose `tmp` is TMPDIR; removed at the end
#   HERE       a copy of the directory of the scripts
#   README     a copy of the README
#
# and of the caller's environment only REQUIRED and CLIENTS_LONG. From outside BWRAP says which binary is tested (default:
# the release build of this repository), BWRAP_REFERENCE where the original is (default: what `compat-tests/reference` made). Root
# gives way to a user id that nobody else has, called client, on a network of which there is only the loopback interface.
#
# A script ends with 0, with 1 if a check failed, or with 77 after a line `ignored: REASON`. Before it sources this it may set
#
#   CLIENT_FILES   what of the build directory is copied to WORK
#   CLIENT_LEAVES  a regular expression for the command lines of processes that may be left behind; any other is a failure
#   CLIENT_ADDRESS an address that the loopback interface gets besides its own, which root can give
#   CLIENT_TMPFS   1: /tmp is in memory, which root can give

# Puts the program at $1 into the directory $2 as `bwrap`. The fetched original consists of several files beside each other.
client_copy() {
    mkdir -p "$2" || return
    if [ -e "$(dirname "$1")/bwrap.real" ]; then cp -r "$(dirname "$1")/." "$2"; else cp "$1" "$2/bwrap"; fi
}

# Prints the ids of the processes of user id $1, without those that only wait to be reaped; nothing for the caller's own, which
# has others.
client_processes() { [ "$1" = "$(id -u)" ] || ps -U "$1" -o pid=,state= | awk '$2 != "Z" { print $1 }'; }

# Prints the command lines of the processes of user id $1 that should have ended. They are given a second for that.
client_left() {
    local pid pids
    for pid in 1 2 3 4 5; do
        pids=$(client_processes "$1")
        [ -n "$pids" ] || return
        sleep 0.2
    done
    for pid in $pids; do
        tr '\0' ' ' < "/proc/$pid/cmdline"
        echo
    done 2> /dev/null | grep -Ev "^\$${CLIENT_LEAVES:+|$CLIENT_LEAVES}"
}

# Ends what is left of the user id $1 and removes the directory $2, and what that user has left where everybody may write.
client_clean() {
    local pid
    for pid in $(client_processes "$1"); do kill -KILL "$pid" 2> /dev/null; done
    [ "$1" = "$(id -u)" ] || find /tmp /var/tmp /dev/shm -mindepth 1 -maxdepth 1 -user "$1" -exec rm -rf {} +
    chmod -R u+rwX "$2" 2> /dev/null
    rm -rf "$2"
}

# Fills the directory $1 with what the client needs; the binary under test is $2, the original $3, and the build directory $4.
client_fill() {
    mkdir "$1/home" "$1/tmp" && client_copy "$2" "$1/bin" || return
    [ -z "$3" ] || client_copy "$3" "$1/reference" || return
    cp -r "$HERE" "$1/clients" && cp "$HERE/../../README.md" "$1/" || return # this tree may be closed to others
    [ -z "${CLIENT_FILES-}" ] || [ ! -e "$4/$CLIENT_FILES" ] || cp -r "$4/$CLIENT_FILES" "$1"
}

# Makes `user` the words that turn root into the user id $1 with the home directory below $2: the bus daemon, for one, wants a
# name.
client_user() {
    # shellcheck disable=SC2016 # for the shell started
    local mounts='ip link set lo up && mount --bind "$0" /etc/passwd'
    [ -z "${CLIENT_ADDRESS-}" ] || mounts+=" && ip address add $CLIENT_ADDRESS dev lo"
    [ -z "${CLIENT_TMPFS-}" ] || mounts+=' && mount -t tmpfs -o mode=1777 tmpfs /tmp'
    (cat /etc/passwd && echo "client:x:$1:$1::$2/home:/bin/sh") > "$2/passwd" && chmod 644 "$2/passwd" || return
    chown -R "$1:$1" "$2" || return
    user=(unshare --net --mount --propagation private sh -c "$mounts && exec \"\$@\"" "$2/passwd"
        setpriv "--reuid=$1" "--regid=$1" --clear-groups)
}

# Starts this script again as the ordinary user with the arguments given, and ends with its status.
client_start() {
    local top target binary reference work uid status user=() left
    top=$(cd "$HERE/../.." && pwd) || exit 1
    target=${CARGO_TARGET_DIR:-$top/target}
    if [ -n "${BWRAP-}" ]; then binary=$(realpath -e "$BWRAP"); else binary=$("$top/compat-tests/tools/release-build"); fi
    [ -n "$binary" ] || { echo "clients: there is no binary to test" >&2; exit 1; }
    reference=${BWRAP_REFERENCE:-$target/reference/bwrap}
    [ -x "$reference" ] || reference=
    # No home directory is below /tmp, which many command lines cover.
    work=$(mktemp -d /var/tmp/bleb-client.XXXXXX) && chmod 755 "$work" || exit 1
    uid=$(id -u)
    [ "$uid" != 0 ] || uid=$((61000 + $$ % 4000))
    trap "client_clean $uid $work" EXIT
    trap 'exit 1' HUP INT TERM
    client_fill "$work" "$binary" "$reference" "$target" || exit 1
    [ "$(id -u)" != 0 ] || client_user "$uid" "$work" || exit 1
    (cd "$work" && "${user[@]}" env -i CLIENT_INSIDE=1 BWRAP="$work/bin/bwrap" REFERENCE="${reference:+$work/reference/bwrap}" \
        WORK="$work" HOME="$work/home" TMPDIR="$work/tmp" PATH="$work/bin:/usr/local/bin:/usr/bin:/bin" LC_ALL=C.UTF-8 \
        REQUIRED="${REQUIRED-}" CLIENTS_LONG="${CLIENTS_LONG-}" \
        bash "$work/clients/$(basename "$0")" "$@" < /dev/null) &
    wait $! # a signal is to end this script at once, not when the client is through
    status=$?
    left=$(client_left "$uid")
    if [ -n "$left" ]; then
        echo "FAIL  processes are left behind: $left"
        [ $status != 0 ] || status=1
    fi
    exit $status
}

# Ends the script with "ignored" unless every tool named can be called; with REQUIRED=1 that is a failure.
need() {
    local tool
    for tool; do
        command -v "$tool" > /dev/null || ignore "$tool is missing"
    done
}

# Ends the script with "ignored" for the reason given.
ignore() {
    echo "ignored: $1"
    [ "${REQUIRED-}" = 1 ] && exit 1
    exit 77
}

failed=0

# check NAME STATUS PATTERN COMMAND…: it ends with that status and what it prints on stdout and stderr matches the extended
# regular expression; only a failure prints anything.
check() {
    local name=$1 wanted=$2 pattern=$3 said status
    shift 3
    said=$(timeout -k 5 60 "$@" 2>&1 < /dev/null)
    status=$?
    if [ $status != "$wanted" ] || [[ ! $said =~ $pattern ]]; then
        printf 'FAIL  %s (status %s, wanted %s and /%s/):\n%s\n' "$name" $status "$wanted" "$pattern" "$said"
        failed=1
    fi
}

# block TEXT: the shell block of the README with this text in it.
block() {
    awk -v wanted="$1" '/^```(ba)?sh$/ { text = ""; inside = 1; next }
        /^```$/ { if (inside && index(text, wanted)) { printf "%s", text; exit } inside = 0 } inside { text = text $0 "\n" }' "$README"
}

# mark_bwrap: puts a bwrap into ~/.local/bin that writes a line to $WORK/marks and is the one under test then, so that it can be told
# from the others which one a client has called.
mark_bwrap() {
    # shellcheck disable=SC2016 # for the script
    mkdir -p "$HOME/.local/bin" && printf '#!/bin/sh\necho "$0" >> "%s"\nexec "%s" "$@"\n' "$WORK/marks" "$BWRAP" > "$HOME/.local/bin/bwrap" &&
        chmod 755 "$HOME/.local/bin/bwrap" && : > "$WORK/marks"
}

# same NAME: what the original has shown, in $WORK/wanted, and what ours has, in $WORK/got, are the same.
same() {
    diff "$WORK/wanted" "$WORK/got" > "$WORK/difference" && return
    echo "FAIL  $1: < the original, > this one:"
    cat "$WORK/difference"
    failed=1
    return 1
}

# wrong NAME WHY: they are the same, and wrong.
wrong() {
    echo "FAIL  $1: $2"
    cat "$WORK/got"
    failed=1
}

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
[ -n "${CLIENT_INSIDE-}" ] || client_start "$@"
README=$WORK/README.md
