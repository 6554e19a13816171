#!/bin/bash
# Argument lists of real runs, in argv/captured/: each shows the command inside what the original's shows it. The files that a list
# speaks of are made in a directory that a sandbox of the original's makes the host's root; the command is the probe. Names of lists can
# be given as arguments. See lib.sh. A line of such a file is one of
#
#   about WHOSE                           a client and its version
#   cwd DIR, dir DIR, file FILE           what is on the host, and where it runs
#   tools DIR, shell FILE                 where busybox's tools are to be on the host, and where their shell is in the sandbox
#   fd N path PATH|data|filter|out|pipe   an inherited descriptor: of that path, text, a seccomp program, a file to write, a pipe
#   word WORD, args N WORD                the command line, and what `--args N` reads
CLIENT_TMPFS=1
# shellcheck source=compat-tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
need busybox ldd awk
[ -n "$REFERENCE" ] || ignore 'there is no original to compare with'
root=$(mktemp -d /tmp/bleb-root.XXXXXX)
trap 'rm -rf "$root"' EXIT
# Links of namespaces tell nothing here, as a namespace of the outer sandbox is never the host's.
probe="PATH=/usr/bin:/bin; namespaces=; $(cat "$HERE/argv/probe")"

# tools DIR: puts busybox's tools there.
tools() {
    local word
    mkdir -p "$1" && cp "$(command -v busybox)" "$1/busybox"
    for word in sh ls cat id hostname pwd tr readlink grep cut awk env sort; do ln -s busybox "$1/$word"; done
}

# make LIST PROGRAM: makes the root, with the program to test and a script that starts it as the list says in `.tools`.
make() {
    local key rest words='' fds='' shell='' cwd=/ number kind
    find "$root" -mindepth 1 -delete
    mkdir -p "$root"/{.tools,proc,dev,sys,tmp}
    tools "$root/usr/bin"
    ln -s usr/bin "$root/bin"
    cp -r "$(dirname "$2")" "$root/.tools/program"
    # shellcheck disable=SC2046 # a list of files
    cp -L "$(command -v bash)" $(ldd "$(command -v bash)" | grep -o '/lib[^ ]*') "$root/.tools/"
    mv "$root"/.tools/ld-linux* "$root/.tools/ld.so"
    echo text > "$root/.tools/data"
    printf '\x06\x00\x00\x00\x00\x00\xff\x7f' > "$root/.tools/filter" # one instruction: everything is allowed
    mkfifo "$root/.tools/pipe"
    while read -r key rest; do
        case $key in
        cwd) cwd=$rest; mkdir -p "$root$rest" ;;
        dir) mkdir -p "$root$rest" ;;
        file) mkdir -p "$root$(dirname "$rest")"; [ -e "$root$rest" ] || basename "$rest" > "$root$rest" ;;
        tools) [ -e "$root$rest/busybox" ] || tools "$root$rest" ;;
        shell) shell=$rest ;;
        word) words+=" $(printf %q "$rest")" ;;
        args)
            number=${rest%% *}
            printf '%s\0' "${rest#* }" >> "$root/.tools/args.$number"
            fds+="exec $number< /.tools/args.$number"$'\n'
            ;;
        fd)
            number=${rest%% *} kind=${rest#* }
            case $kind in
            path*) fds+="exec $number< $(printf %q "${kind#path }")"$'\n' ;;
            out) fds+="exec $number> /.tools/out"$'\n' ;;
            pipe) fds+="exec $number<> /.tools/pipe"$'\n' ;;
            *) fds+="exec $number< /.tools/$kind"$'\n' ;;
            esac
            ;;
        esac
    done < "$1"
    # shellcheck disable=SC2016 # for the shell started
    printf 'cd %q\n%s\nexec /.tools/program/bwrap%s -- %q -c "$1"\n' "$cwd" "$(sort -u <<< "$fds")" "$words" "$shell" \
        > "$root/.tools/start"
}

# view LIST PROGRAM: prints the status, what the command saw, the status document and the files on the host afterwards.
view() {
    make "$1" "$2"
    timeout 20 env -i PATH=/usr/bin:/bin LANG=C HOME=/home/u "$REFERENCE" --unshare-user --unshare-pid --die-with-parent \
        --uid 1002 --gid 1002 --bind "$root" / --proc /proc --dev-bind /dev /dev --ro-bind /sys /sys \
        /.tools/ld.so --library-path /.tools /.tools/bash /.tools/start "$probe" > "$WORK/said" 2>&1 < /dev/null
    echo "status $?"
    # The mount table has the order in which mounts were made, not the one in which they were put into place; and the fetched original
    # is started by a shell, which counts itself.
    sed -E -i 's#/bindfile[A-Za-z0-9]{6}#/bindfileX#; s#^mount user:\[[0-9]*\]#mount user:N#; /^SHLVL=/d' "$WORK/said"
    grep -v '^mount ' "$WORK/said"
    grep '^mount ' "$WORK/said" | sort
    [ ! -e "$root/.tools/out" ] ||
        tr -d '\n\t ' < "$root/.tools/out" | sed -E 's/("child-pid":)[0-9]+/\1N/; s/(namespace":)[0-9]+/\1N/g'
    echo
    (cd "$root" && find . -name busybox -prune -o -path ./.tools -prune -o -printf '%p %y %m\n' 2> /dev/null | sort)
}

cd "$HERE/argv/captured" || exit 1
[ $# -gt 0 ] || set -- *
for name; do
    list=$HERE/argv/captured/$name
    view "$list" "$REFERENCE" > "$WORK/wanted"
    view "$list" "$BWRAP" > "$WORK/got"
    if same "$name" && { [ "$(head -n 1 "$WORK/got")" != 'status 0' ] || ! grep -q '^id ' "$WORK/got"; }; then
        wrong "$name" 'both say:'
    fi
done
exit $failed
