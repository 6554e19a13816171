#!/bin/bash
# Flatpak's own tests, as Debian's package flatpak-tests installs them, with the bwrap under test: those that run sandboxes. Each
# speaks TAP, and passes if it ends with 0 and none of its points is "not ok". Names of tests can be given as arguments;
# CLIENTS_LONG=1 runs all there are. See lib.sh.
# shellcheck disable=SC2034
CLIENT_LEAVES="flatpak-oci-authenticator|test-authenticator|gpg-agent|web-server.py" # of these tests themselves
CLIENT_TMPFS=1 # they wait for the disk most of the time
# shellcheck source=compat-tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
tests=/usr/share/installed-tests/Flatpak
need flatpak ostree dbus-run-session gpg socat python3 setfattr
[ -d $tests ] || ignore 'flatpak-tests is missing'
export FLATPAK_BWRAP=$BWRAP TMPDIR=/tmp
unset CLIENT_INSIDE

names=("$@")
if [ $# = 0 ] && [ "${CLIENTS_LONG-}" = 1 ]; then
    names=()
    for file in "$tests"/*.test; do names+=("$(basename "$file" .test)"); done
elif [ $# = 0 ]; then
    names=('test-run@user,nodeltas.wrap' 'test-run-custom@user.wrap' test-seccomp.sh)
fi
for name in "${names[@]}"; do
    # It mounts by FUSE for the system's installation and, unlike others, does not skip itself where it may not.
    if [ "$name" = test-extra-data@system.wrap ] && ! (: < /dev/fuse) 2> /dev/null; then
        echo "left out $name: /dev/fuse is closed"
        continue
    fi
    start=$SECONDS
    rm -rf "$WORK/test"
    mkdir "$WORK/test" && cd "$WORK/test" && touch .testtmp || exit 1 # by which they know that the directory may be written to
    command=$(sed -n 's/^Exec=//p' "$tests/$name.test")
    # shellcheck disable=SC2086 # the words of a command
    timeout -k 5 600 dbus-run-session -- $command > "$WORK/log" 2>&1
    status=$?
    if grep -q '^1\.\.0' "$WORK/log"; then
        echo "left out $name: $(sed -n 's/^1\.\.0 # *//p' "$WORK/log")"
        continue
    fi
    points="$(grep -c '^ok' "$WORK/log") points ok, $(grep -c '^ok.* # SKIP' "$WORK/log") skipped, $((SECONDS - start)) s"
    if [ $status = 0 ] && ! grep -q '^not ok' "$WORK/log"; then echo "ok    $name: $points"; else
        echo "FAIL  $name: status $status, $points"
        grep -Ev "DEBUG|GET " "$WORK/log" | tail -n 25
        failed=1
    fi
done
exit $failed
