#!/bin/bash
# The argument lists in argv/corpus.txt: each ends with the status noted there, and shows the command inside what the original's
# shows it and leaves the same files behind. Tested against itself, the original proves that this comparison is steady. See
# lib.sh.
CLIENT_TMPFS=1
# shellcheck source=compat-tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
need busybox awk flock ip readlink stat
[ -n "$REFERENCE" ] || ignore 'there is no original to compare with'
host=$(mktemp -d /tmp/bleb-host.XXXXXX) # below /tmp as in the lists, of which many cover that
trap 'chmod -R u+rwX "$host" 2> /dev/null; rm -rf "$host"' EXIT
namespaces=$(for name in mnt pid net ipc uts user cgroup; do echo "$name:$(readlink /proc/self/ns/$name)"; done)
# shellcheck disable=SC2034
PROBE="namespaces='$namespaces'; $(cat "$HERE/argv/probe")"
# shellcheck disable=SC2016,SC2034 # for the shell inside, and named in the lists
PROBE_SHORT='echo "id $(id -u):$(id -g) cwd $(pwd) host $(hostname)"'

# Makes the files that the lists speak of, in the state in which each line finds them.
make_host() {
    local word
    chmod -R u+rwX "$host" 2> /dev/null
    find "$host" -mindepth 1 -delete
    mkdir -p "$host"/{proj,home/data,home/.mozilla,out,ro,upper,work} \
        "$host"/rootfs/{bin,etc,mnt,tmp,proc,dev,app,void-packages,host,buildstream}
    echo F > "$host/ro/f"
    echo J > "$host/ro/a.jar"
    echo P > "$host/proj/f"
    echo 'u:x:1000:1000::/:/bin/sh' > "$host/ro/passwd"
    echo 'g:x:1000:' > "$host/ro/group"
    : > "$host/status"
    : > "$host/sync"
    : > "$host/lock"
    cp "$(command -v busybox)" "$host/rootfs/bin/busybox"
    for word in sh ls cat id hostname pwd tr readlink grep cut awk env sort head touch echo rm stat; do
        ln -s busybox "$host/rootfs/bin/$word"
    done
    printf '\x06\x00\x00\x00\x00\x00\xff\x7f' > "$host/filter.bpf" # one instruction: everything is allowed
    printf '%s\0' --unshare-all --new-session --die-with-parent --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp \
        --bind-try "$host/proj" "$host/proj" --ro-bind "$host/ro" "$host/ro" --bind "$host/ro/f" "$host/proj/f" \
        --tmpfs "$host/home" --remount-ro "$host/home" --seccomp 9 > "$host/args"
}

# view PROGRAM WORDS: prints what the command saw and printed, the status, the status document and the files on the host
# afterwards.
view() {
    local words=${2//\/tmp\/bwc/$host}
    make_host
    cd "$host" || exit 1
    # A redirection in the list belongs to it, so it is for the shell to read.
    eval "PATH=/usr/bin:/bin timeout 20 env -i PATH=/usr/bin:/bin LANG=C HOME=$host/home TERM=dumb DBUS_SESSION_BUS_ADDRESS=x \
        $1 $words" > "$WORK/said" 2>&1 < /dev/null
    echo "status $?"
    sed -E "s#^$1:#bwrap:#; s#exec: $1#exec: bwrap#; s#/bindfile[A-Za-z0-9]{6}#/bindfileX#" "$WORK/said"
    tr -d '\n\t ' < "$host/status" | sed -E 's/("child-pid":)[0-9]+/\1N/; s/(namespace":)[0-9]+/\1N/g'
    echo
    find . -path ./rootfs/bin -prune -o -path ./rootfs/proc -prune -o -print 2> /dev/null | sort | tr '\n' ' '
    cd "$WORK" || exit 1
}

lines=0
while IFS=$'\t' read -r status words whose; do
    [[ $status = [0-9]* ]] || continue
    lines=$((lines + 1))
    view "$REFERENCE" "$words" > "$WORK/wanted"
    view "$BWRAP" "$words" > "$WORK/got"
    if same "$whose" && [ "$(head -n 1 "$WORK/got")" != "status $status" ]; then wrong "$whose" "wanted status $status, both say:"; fi
done < "$HERE/argv/corpus.txt"
[ $lines -gt 40 ] || { echo "FAIL  $lines lines only"; failed=1; }
exit $failed
