# shellcheck shell=bash disable=SC2034,SC2064 # the scripts read what is set here; a trap is to know its directory now
# Sourced first by every client's script: `. "$(dirname "$0")/lib.sh"`. What comes after that line runs as an ordinary user, in a process
# of its own, with
#
#   BWRAP  the binary under test: a copy of it, called `bwrap`, whose directory stands first in PATH
#   WORK   a directory of this run alone, whose `home` is HOME and whose `tmp` is TMPDIR; removed at the end. It is below /var/tmp, as no
#          home directory is below /tmp, unless the script says CLIENT_DIRECTORY before. What CLIENT_FILES names below the build directory
#          is copied to it. CLIENT_TMPFS=1 asks for a /tmp in memory, which root can give
#   HERE   a copy of the directory of the scripts
#
# and REFERENCE, the original or nothing, and of the caller's environment only CLIENTS_REQUIRED and CLIENTS_LONG. From outside BWRAP says which binary is tested
# (default: the release build of this repository), BWRAP_REFERENCE where the original is (default: what `compat-tests/reference` made).
# Root gives way to a user id that nobody else has, called client. A script ends with 0, with 1 if a check failed, or with 77 after a line
# `ignored: REASON`; processes left behind are a failure, unless their command lines match the regular expression CLIENT_LEAVES.

# Puts the program at $1 into the directory $2 as `bwrap`. The fetched original consists of several files beside each other.
client_copy() {
    mkdir -p "$2" || return
    if [ -e "$(dirname "$1")/bwrap.real" ]; then cp -r "$(dirname "$1")/." "$2"; else cp "$1" "$2/bwrap"; fi
}

# Prints the ids of the processes of user id $1, without those that only wait to be reaped; nothing for the caller's own, which has others.
client_processes() { [ "$1" = "$(id -u)" ] || ps -U "$1" -o pid=,state= | awk '$2 != "Z" { print $1 }'; }

# Ends what is left of the user id $1 and removes the directory $2, and what that user has left where everybody may write.
client_clean() {
    local pid
    for pid in $(client_processes "$1"); do kill -KILL "$pid" 2> /dev/null; done
    [ "$1" = "$(id -u)" ] || find /tmp /var/tmp /dev/shm -mindepth 1 -maxdepth 1 -user "$1" -exec rm -rf {} +
    chmod -R u+rwX "$2" 2> /dev/null
    rm -rf "$2"
}

# Starts this script again as the ordinary user with the arguments given, and ends with its status.
client_start() {
    local top target binary work uid status user=() mounts='' said left
    top=$(cd "$HERE/../.." && pwd) || exit 1
    if [ -n "${BWRAP-}" ]; then binary=$(realpath -e "$BWRAP"); else
        binary=$(cd "$top" && cargo build --release --quiet --message-format=json | sed -n 's/.*"executable":"\([^"]*\/bwrap\)".*/\1/p' | tail -n 1)
    fi
    [ -n "$binary" ] || { echo "clients: there is no binary to test" >&2; exit 1; }
    target=${CARGO_TARGET_DIR:-$top/target}
    REFERENCE=${BWRAP_REFERENCE:-$target/reference/bwrap}
    [ -x "$REFERENCE" ] || REFERENCE=
    work=$(mktemp -d "${CLIENT_DIRECTORY:-/var/tmp}/bleb-client.XXXXXX") && chmod 755 "$work" && mkdir "$work/home" "$work/tmp" && client_copy "$binary" "$work/bin" || exit 1
    [ -z "$REFERENCE" ] || client_copy "$REFERENCE" "$work/reference" || exit 1
    cp -r "$HERE" "$work/clients" || exit 1 # this tree may be closed to others
    [ -z "${CLIENT_FILES-}" ] || [ ! -e "$target/$CLIENT_FILES" ] || cp -r "$target/$CLIENT_FILES" "$work" || exit 1
    uid=$(id -u)
    if [ "$uid" = 0 ]; then
        uid=$((61000 + $$ % 4000))
        # The bus daemon, for one, wants a name for it.
        (cat /etc/passwd && echo "client:x:$uid:$uid::$work/home:/bin/sh") > "$work/passwd" && chmod 644 "$work/passwd" || exit 1
        [ -z "${CLIENT_TMPFS-}" ] || mounts=' && mount -t tmpfs -o mode=1777 tmpfs /tmp'
        # shellcheck disable=SC2016 # for the shell started
        user=(unshare --mount --propagation private sh -c 'mount --bind "$0" /etc/passwd'"$mounts"' && exec "$@"' "$work/passwd"
            setpriv "--reuid=$uid" "--regid=$uid" --clear-groups)
        chown -R "$uid:$uid" "$work" || exit 1
    fi
    trap "client_clean $uid $work" EXIT
    trap 'exit 1' HUP INT TERM
    (cd "$work" && "${user[@]}" env -i CLIENT_INSIDE=1 BWRAP="$work/bin/bwrap" REFERENCE="${REFERENCE:+$work/reference/bwrap}" WORK="$work" \
        PATH="$work/bin:/usr/local/bin:/usr/bin:/bin" HOME="$work/home" TMPDIR="$work/tmp" LC_ALL=C.UTF-8 \
        CLIENTS_REQUIRED="${CLIENTS_REQUIRED-}" CLIENTS_LONG="${CLIENTS_LONG-}" bash "$work/clients/$(basename "$0")" "$@" < /dev/null) &
    wait $! # a signal is to end this script at once, not when the client is through
    status=$?
    for said in 1 2 3 4 5; do left=$(client_processes "$uid"); [ -n "$left" ] || break; sleep 0.2; done
    left=$(for said in $left; do tr '\0' ' ' < "/proc/$said/cmdline"; echo; done 2> /dev/null | grep -Ev "^\$${CLIENT_LEAVES:+|$CLIENT_LEAVES}")
    if [ -n "$left" ]; then
        echo "FAIL  processes are left behind: $left"
        [ $status != 0 ] || status=1
    fi
    exit $status
}

# Ends the script with "ignored" unless every tool named can be called; with CLIENTS_REQUIRED=1 that is a failure.
need() {
    local tool
    for tool; do
        command -v "$tool" > /dev/null || ignore "$tool is missing"
    done
}

# Ends the script with "ignored" for the reason given.
ignore() {
    echo "ignored: $1"
    [ "${CLIENTS_REQUIRED-}" = 1 ] && exit 1
    exit 77
}

failed=0

# check NAME STATUS PATTERN COMMAND…: it ends with that status and what it prints on stdout and stderr matches the extended regular
# expression; only a failure prints anything.
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

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
[ -n "${CLIENT_INSIDE-}" ] || client_start "$@"
