# bash completion for bwrap(1)

# What follows each option, and the names of the capabilities and of the built-in profiles.
# >>> from src/cli/options.rs, by BLESS=1 cargo test --bin bwrap
declare -gA _bwrap_operands=(
    [--help]=''
    [--version]=''
    [--args]='fd'
    [--argv0]='text'
    [--level-prefix]=''
    [--unshare-all]=''
    [--share-net]=''
    [--unshare-user]=''
    [--unshare-user-try]=''
    [--unshare-ipc]=''
    [--unshare-pid]=''
    [--unshare-net]=''
    [--unshare-uts]=''
    [--unshare-cgroup]=''
    [--unshare-cgroup-try]=''
    [--userns]='fd'
    [--userns2]='fd'
    [--disable-userns]=''
    [--assert-userns-disabled]=''
    [--pidns]='fd'
    [--uid]='text'
    [--gid]='text'
    [--hostname]='text'
    [--chdir]='path'
    [--clearenv]=''
    [--setenv]='variable text'
    [--unsetenv]='variable'
    [--lock-file]='path'
    [--sync-fd]='fd'
    [--bind]='path path'
    [--bind-try]='path path'
    [--dev-bind]='path path'
    [--dev-bind-try]='path path'
    [--ro-bind]='path path'
    [--ro-bind-try]='path path'
    [--bind-fd]='fd path'
    [--ro-bind-fd]='fd path'
    [--remount-ro]='path'
    [--overlay-src]='path'
    [--overlay]='path path path'
    [--tmp-overlay]='path'
    [--ro-overlay]='path'
    [--exec-label]='text'
    [--file-label]='text'
    [--proc]='path'
    [--dev]='path'
    [--tmpfs]='path'
    [--mqueue]='path'
    [--dir]='path'
    [--file]='fd path'
    [--bind-data]='fd path'
    [--ro-bind-data]='fd path'
    [--symlink]='text path'
    [--seccomp]='fd'
    [--add-seccomp-fd]='fd'
    [--block-fd]='fd'
    [--userns-block-fd]='fd'
    [--info-fd]='fd'
    [--json-status-fd]='fd'
    [--new-session]=''
    [--die-with-parent]=''
    [--as-pid-1]=''
    [--cap-add]='capability'
    [--cap-drop]='capability'
    [--perms]='text'
    [--size]='text'
    [--chmod]='text path'
    [--not-a-security-boundary]=''
    [--seccomp-default]=''
    [--seccomp-policy]='path'
    [--rlimit]='text text'
    [--cgroup]='text text'
    [--apparmor]='text'
    [--scope-signals]=''
    [--scope-abstract-unix]=''
    [--tcp-connect]='text'
    [--tcp-bind]='text'
    [--mask]='path'
    [--mask-glob]='text'
    [--follow-symlinks]=''
    [--noexec]=''
    [--nosymfollow]=''
    [--uid-map]='text text text'
    [--gid-map]='text text text'
    [--forward-signals]=''
    [--netns]='fd'
    [--address-families]='text'
    [--unix-connect]='path'
    [--udp-connect]='text'
    [--udp-bind]='text'
    [--proc-pid]='path'
    [--timeout]='text'
    [--tar]='fd path'
    [--check-host]=''
    [--dry-run]=''
    [--dry-run-json]='fd'
    [--same]='path'
    [--ro-same]='path'
    [--same-try]='path'
    [--ro-same-try]='path'
    [--error-fd]='fd'
    [--setup-status]='text'
    [--profile]='profile'
    [--learn]='path'
    [--learn-exact]=''
    [--learn-seccomp]='path'
    [--explain]=''
)
_bwrap_capabilities=(
    ALL CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID
    CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE
    CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK
    CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE
    CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE
    CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE
    CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG
    CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF
    CAP_CHECKPOINT_RESTORE
)
_bwrap_profiles=(
    @private @system @net @here @x11 @wayland @build @list
)
# <<< from src/cli/options.rs

# Cuts the line up to the cursor into `words` at blanks only, and notes in `starts` where each begins in COMP_WORDS:
# readline also cuts at `=` and `:`, so that `--setenv A b:c` would seem to have four values.
_bwrap_words() {
    local line=${COMP_LINE:0:COMP_POINT} i piece rest
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        rest=${line#"${line%%[![:space:]]*}"}
        # Of the last piece, only what is before the cursor counts.
        [[ $rest == "$piece"* ]] || piece=$rest
        if ((i > 0)) && [[ $rest == "$line" ]]; then
            words[-1]+=$piece
        else
            words+=("$piece")
            starts+=("$i")
        fi
        line=${rest#"$piece"}
    done
}

# Completes a value of the given kind.
_bwrap_value() {
    local fds
    case $1 in
        path) compopt -o default -o filenames ;;
        fd)
            fds=("/proc/$$/fd/"*)
            mapfile -t COMPREPLY < <(compgen -W "${fds[*]##*/}" -X 255 -- "$cur")
            ;;
        profile)
            compopt -o default -o filenames
            if [[ $cur == @* ]]; then
                compopt +o default +o filenames
                mapfile -t COMPREPLY < <(compgen -W "${_bwrap_profiles[*]}" -- "$cur")
            elif [[ -z $cur ]]; then
                mapfile -t COMPREPLY < <(compgen -W "${_bwrap_profiles[*]}"; compgen -f)
            fi
            ;;
        capability) mapfile -t COMPREPLY < <(compgen -W "${_bwrap_capabilities[*]}" -- "$cur") ;;
        variable) mapfile -t COMPREPLY < <(compgen -e -- "$cur") ;;
    esac
}

# Completes COMMAND, which is the given word, or one of its arguments.
_bwrap_command() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "${starts[$1]}"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "${starts[$1]}"
    elif (($1 == last)) && [[ $cur != */* ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
        compopt -o default -o filenames
    fi
}

_bwrap() {
    local words=() starts=() kinds i=1 last cur
    COMPREPLY=()
    _bwrap_words
    last=$((${#words[@]} - 1))
    cur=${words[last]}
    while ((i < last)); do
        case ${words[i]} in
            --)
                _bwrap_command $((i + 1))
                return
                ;;
            -*)
                read -ra kinds <<<"${_bwrap_operands[${words[i]}]-}"
                if ((last - i <= ${#kinds[@]})); then
                    _bwrap_value "${kinds[last - i - 1]}"
                    return
                fi
                ((i += 1 + ${#kinds[@]}))
                ;;
            *)
                _bwrap_command "$i"
                return
                ;;
        esac
    done
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${!_bwrap_operands[*]}" -- "$cur")
    else
        _bwrap_command "$last"
    fi
}

complete -F _bwrap bwrap
