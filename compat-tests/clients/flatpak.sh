#!/bin/bash
# Flatpak: a runtime and an app built from a local tree (`build` runs in a sandbox too), installed for the user from a local
# repository, run with and without permissions, entered, killed, and a sandbox of its own that it asks the portal for. See lib.sh.
# shellcheck source=compat-tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
need flatpak ostree busybox dbus-run-session ldd
export FLATPAK_BWRAP=$BWRAP XDG_RUNTIME_DIR=$WORK/run FLATPAK_SYSTEM_DIR=$WORK/system FLATPAK_FANCY_OUTPUT=0
if [ -z "${DBUS_SESSION_BUS_ADDRESS-}" ]; then
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    exec dbus-run-session -- "$0" "$@"
fi
export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS # for parental controls, of which there are none
mkdir -p "$FLATPAK_SYSTEM_DIR" && ostree init --repo="$FLATPAK_SYSTEM_DIR/repo" --mode=bare-user-only
spawn=/usr/libexec/flatpak-xdg-utils/flatpak-spawn
[ -x $spawn ] || ignore 'flatpak-xdg-utils is missing'

# The runtime: busybox under the names of its tools, and flatpak-spawn with its libraries. It is the SDK as well.
mkdir -p "$WORK"/runtime/{files,usr/bin,usr/lib}
cp "$(command -v busybox)" "$WORK/runtime/usr/bin/busybox"
for tool in sh ls cat id touch mkdir chmod cp sleep readlink sed grep tr env kill true echo; do
    ln -s busybox "$WORK/runtime/usr/bin/$tool"
done
cp $spawn "$WORK/runtime/usr/bin/"
# shellcheck disable=SC2046 # a list of files
cp -L $(ldd $spawn | grep -o '/lib[^ ]*') "$WORK/runtime/usr/lib/"
ln -s lib "$WORK/runtime/usr/lib64"
printf '[Runtime]\nname=org.bleb.Platform\nruntime=org.bleb.Platform/x86_64/master\nsdk=org.bleb.Platform/x86_64/master\n' |
    sed "s/x86_64/$(flatpak --default-arch)/" > "$WORK/runtime/metadata"
check 'build-export of the runtime' 0 '' flatpak build-export --runtime "$WORK/repo" "$WORK/runtime" master
check 'remote-add' 0 '' flatpak --user remote-add --no-gpg-verify local "$WORK/repo"
check 'install of the runtime' 0 '' flatpak --user install -y local org.bleb.Platform//master

# The app.
app=$WORK/app
check 'build-init' 0 '' flatpak build-init "$app" org.bleb.App org.bleb.Platform org.bleb.Platform master
cat > "$WORK/tmp/app-main" <<'APP'
#!/bin/sh
# What the app sees, or what it is told to do.
case ${1-} in
see)
    echo "id $(id -u) home $HOME app $(cat /app/share/data) name $(sed -n 's/^name=//p' /.flatpak-info | tr '\n' ' ')"
    echo "interfaces: $(sed '1,2d; s/:.*//' /proc/net/dev | tr -d ' ' | tr '\n' ' ')"
    echo "processes: $(ls -d /proc/[0-9]* | grep -c .)"
    for place in /usr/x /app/x "$2/x"; do
        if touch "$place" 2> /dev/null; then echo "$place: writable"; else echo "$place: closed"; fi
    done
    grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status
    touch ~/.var/app/org.bleb.App/data/kept && echo kept
    ;;
wait) echo "up" > ~/.var/app/org.bleb.App/data/up; while sleep 1; do :; done ;;
*) "$@" ;;
esac
APP
check 'build, in a sandbox' 0 '^/app is writable, /usr is not$' flatpak build --filesystem="$WORK/tmp" "$app" sh -c "
    mkdir -p /app/bin /app/share && cp '$WORK/tmp/app-main' /app/bin/app-main && chmod 755 /app/bin/app-main &&
    echo data-of-the-app > /app/share/data && ! touch /usr/x 2> /dev/null && echo '/app is writable, /usr is not'"
check 'build-finish' 0 '' flatpak build-finish --command=app-main "$app"
check 'build-export of the app' 0 '' flatpak build-export "$WORK/repo" "$app"
check 'install of the app' 0 '' flatpak --user install -y local org.bleb.App

# Run.
mkdir "$WORK/home/documents"
check 'run' 0 "^id $(id -u) home $HOME app data-of-the-app name org.bleb.App .interfaces: lo .processes: [1-9]"$'\n' \
    flatpak run org.bleb.App see "$WORK/home/documents"
check 'run: places' 0 '/usr/x: closed.*/app/x: closed.*documents/x: closed.*CapEff:.0{16}.*NoNewPrivs:.1.*Seccomp:.2.*kept' \
    flatpak run org.bleb.App see "$WORK/home/documents"
check 'run with a place of its own' 0 'documents/x: writable' \
    flatpak run --filesystem="$WORK/home/documents" org.bleb.App see "$WORK/home/documents"
check 'what it wrote' 0 '' test -e "$WORK/home/documents/x" -a -e "$WORK/home/.var/app/org.bleb.App/data/kept"
mark_bwrap
recipe=$(block FLATPAK_BWRAP)
check 'as the README says' 0 "^id $(id -u) home $HOME app data-of-the-app" \
    env -u FLATPAK_BWRAP sh -c "${recipe/org.example.App/org.bleb.App see $WORK/home/documents}"
check 'the bwrap of the README is used' 0 "^$HOME/.local/bin/bwrap" cat "$WORK/marks"
check 'run with a status' 42 '' flatpak run --command=sh org.bleb.App -c 'exit 42'
check 'run with the network' 0 "$(readlink /proc/self/ns/net | tr -dc 0-9)" \
    flatpak run --share=network --command=readlink org.bleb.App /proc/self/ns/net
check 'run as a developer' 0 '^[1-9]' flatpak run --devel --command=sh org.bleb.App -c 'ls /proc | grep -c "^[0-9]"'
# shellcheck disable=SC2016 # for the shell started
check 'a sandbox of its own' 0 '^asked for data-of-the-app' flatpak run --command=sh org.bleb.App -c \
    'flatpak-spawn sh -c "echo asked for \$(cat /app/share/data)"'
check 'a stricter one' 7 'no kept file' flatpak run --command=sh org.bleb.App -c \
    'flatpak-spawn --sandbox sh -c "test -e ~/.var/app/org.bleb.App/data/kept || echo no kept file; exit 7"'

# Enter and kill.
up=$HOME/.var/app/org.bleb.App/data/up
flatpak run --instance-id-fd=3 org.bleb.App wait > /dev/null 2>&1 3> "$WORK/instance" &
for _ in $(seq 100); do [ ! -e "$up" ] || break; sleep 0.1; done
instance=$(cat "$WORK/instance")
check 'ps' 0 "$instance.*org.bleb.App" flatpak ps --columns=instance,application
check 'it is the binary under test' 0 "^$WORK/bin/" readlink "/proc/$!/exe"
check 'enter' 0 'data-of-the-app' flatpak enter "$instance" sh -c 'cat /app/share/data'
check 'kill' 0 '' flatpak kill "$instance"
wait $!
check 'the status of the killed' 0 '' test $? = 137
check 'uninstall' 0 '' flatpak --user uninstall -y org.bleb.App
exit $failed
