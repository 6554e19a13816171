# fish completion for bwrap(1)

function __bwrap_scan -d 'What stands at the cursor (option, command or the kind of a value), then the words of COMMAND'
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --
                printf '%s\n' command $words[2..]
                return
            case '-*'
                set -l kinds (__bwrap_operands $words[1])
                set -e words[1]
                for kind in $kinds
                    if not set -q words[1]
                        echo $kind
                        return
                    end
                    set -e words[1]
                end
            case '*'
                printf '%s\n' command $words
                return
        end
    end
    echo option
end

function __bwrap_at -d 'Whether one of these stands at the cursor'
    contains -- (__bwrap_scan)[1] $argv
end

function __bwrap_command -d 'Completes COMMAND and its arguments as a command line of its own'
    set -l words (__bwrap_scan)
    complete --do-complete=(string join ' ' -- (string escape -- $words[2..]) (commandline -ct))
end

complete -c bwrap -f
complete -c bwrap -n '__bwrap_at path' -F
complete -c bwrap -n '__bwrap_at profile' -F -a '$__bwrap_profiles'
complete -c bwrap -n '__bwrap_at capability' -a '$__bwrap_capabilities'
complete -c bwrap -n '__bwrap_at variable' -a '(set -nx)'
complete -c bwrap -n '__bwrap_at option command' -a '(__bwrap_command)'

# >>> from src/cli/options.rs, by BLESS=1 cargo test --bin bwrap
complete -c bwrap -n '__bwrap_at option' -l help -d 'Show a summary of the options'
complete -c bwrap -n '__bwrap_at option' -l version -d 'Show the version of bubblewrap that bleb implements'
complete -c bwrap -n '__bwrap_at option' -l args -d 'Read more options from FD, separated by NUL bytes'
complete -c bwrap -n '__bwrap_at option' -l argv0 -d 'Use VALUE as COMMAND\'s argv[0]'
complete -c bwrap -n '__bwrap_at option' -l level-prefix -d 'Prefix messages with their syslog level, such as <3>'
complete -c bwrap -n '__bwrap_at option' -l unshare-all -d 'Unshare every namespace that can be unshared'
complete -c bwrap -n '__bwrap_at option' -l share-net -d 'Keep the caller\'s network namespace after --unshare-all'
complete -c bwrap -n '__bwrap_at option' -l unshare-user -d 'Create a new user namespace (implied for ordinary users)'
complete -c bwrap -n '__bwrap_at option' -l unshare-user-try -d 'Create a new user namespace if the kernel supports it'
complete -c bwrap -n '__bwrap_at option' -l unshare-ipc -d 'Create a new IPC namespace'
complete -c bwrap -n '__bwrap_at option' -l unshare-pid -d 'Create a new PID namespace'
complete -c bwrap -n '__bwrap_at option' -l unshare-net -d 'Create a new network namespace with only a loopback interface'
complete -c bwrap -n '__bwrap_at option' -l unshare-uts -d 'Create a new UTS namespace'
complete -c bwrap -n '__bwrap_at option' -l unshare-cgroup -d 'Create a new cgroup namespace'
complete -c bwrap -n '__bwrap_at option' -l unshare-cgroup-try -d 'Create a new cgroup namespace if the kernel supports it'
complete -c bwrap -n '__bwrap_at option' -l userns -d 'Join user namespace FD instead of creating one'
complete -c bwrap -n '__bwrap_at option' -l userns2 -d 'Switch to user namespace FD before running COMMAND'
complete -c bwrap -n '__bwrap_at option' -l disable-userns -d 'Prevent the creation of user namespaces in the sandbox'
complete -c bwrap -n '__bwrap_at option' -l assert-userns-disabled -d 'Fail if user namespaces can still be created in the sandbox'
complete -c bwrap -n '__bwrap_at option' -l pidns -d 'Join PID namespace FD'
complete -c bwrap -n '__bwrap_at option' -l uid -d 'Run COMMAND as user ID UID'
complete -c bwrap -n '__bwrap_at option' -l gid -d 'Run COMMAND with group ID GID'
complete -c bwrap -n '__bwrap_at option' -l hostname -d 'Set the sandbox\'s host name to NAME'
complete -c bwrap -n '__bwrap_at option' -l chdir -d 'Run COMMAND in directory DIR'
complete -c bwrap -n '__bwrap_at option' -l clearenv -d 'Remove all environment variables'
complete -c bwrap -n '__bwrap_at option' -l setenv -d 'Set environment variable VAR to VALUE'
complete -c bwrap -n '__bwrap_at option' -l unsetenv -d 'Remove environment variable VAR'
complete -c bwrap -n '__bwrap_at option' -l lock-file -d 'Hold a read lock on DEST while the sandbox runs'
complete -c bwrap -n '__bwrap_at option' -l sync-fd -d 'Keep FD open while the sandbox runs'
complete -c bwrap -n '__bwrap_at option' -l bind -d 'Bind mount the host\'s SRC at DEST, writable'
complete -c bwrap -n '__bwrap_at option' -l bind-try -d 'Like --bind, but ignore a missing SRC'
complete -c bwrap -n '__bwrap_at option' -l dev-bind -d 'Like --bind, but allow access to device nodes'
complete -c bwrap -n '__bwrap_at option' -l dev-bind-try -d 'Like --dev-bind, but ignore a missing SRC'
complete -c bwrap -n '__bwrap_at option' -l ro-bind -d 'Bind mount the host\'s SRC at DEST, read-only'
complete -c bwrap -n '__bwrap_at option' -l ro-bind-try -d 'Like --ro-bind, but ignore a missing SRC'
complete -c bwrap -n '__bwrap_at option' -l bind-fd -d 'Bind mount the open file or directory FD at DEST, writable'
complete -c bwrap -n '__bwrap_at option' -l ro-bind-fd -d 'Bind mount the open file or directory FD at DEST, read-only'
complete -c bwrap -n '__bwrap_at option' -l remount-ro -d 'Make the mount at DEST read-only'
complete -c bwrap -n '__bwrap_at option' -l overlay-src -d 'Add SRC as a layer of the next overlay'
complete -c bwrap -n '__bwrap_at option' -l overlay -d 'Mount an overlay that writes changes to RWSRC'
complete -c bwrap -n '__bwrap_at option' -l tmp-overlay -d 'Mount an overlay whose changes stay in memory and are lost'
complete -c bwrap -n '__bwrap_at option' -l ro-overlay -d 'Mount a read-only overlay'
complete -c bwrap -n '__bwrap_at option' -l exec-label -d 'Run COMMAND with SELinux label LABEL'
complete -c bwrap -n '__bwrap_at option' -l file-label -d 'Give new files SELinux label LABEL'
complete -c bwrap -n '__bwrap_at option' -l proc -d 'Mount a procfs at DEST'
complete -c bwrap -n '__bwrap_at option' -l dev -d 'Mount a minimal /dev at DEST'
complete -c bwrap -n '__bwrap_at option' -l tmpfs -d 'Mount an empty tmpfs at DEST'
complete -c bwrap -n '__bwrap_at option' -l mqueue -d 'Mount the POSIX message queues at DEST'
complete -c bwrap -n '__bwrap_at option' -l dir -d 'Create a directory at DEST'
complete -c bwrap -n '__bwrap_at option' -l file -d 'Copy FD to a file at DEST'
complete -c bwrap -n '__bwrap_at option' -l bind-data -d 'Copy FD to a file in memory and bind mount it at DEST'
complete -c bwrap -n '__bwrap_at option' -l ro-bind-data -d 'Like --bind-data, but read-only'
complete -c bwrap -n '__bwrap_at option' -l symlink -d 'Create a symbolic link at DEST that points to SRC'
complete -c bwrap -n '__bwrap_at option' -l seccomp -d 'Install the seccomp program read from FD'
complete -c bwrap -n '__bwrap_at option' -l add-seccomp-fd -d 'Like --seccomp, but can be repeated'
complete -c bwrap -n '__bwrap_at option' -l block-fd -d 'Wait until FD is readable before running COMMAND'
complete -c bwrap -n '__bwrap_at option' -l userns-block-fd -d 'Wait for FD while another process writes the ID maps'
complete -c bwrap -n '__bwrap_at option' -l info-fd -d 'Write the sandbox\'s PID and namespaces to FD as JSON'
complete -c bwrap -n '__bwrap_at option' -l json-status-fd -d 'Write the sandbox\'s status to FD as JSON'
complete -c bwrap -n '__bwrap_at option' -l new-session -d 'Start a new terminal session'
complete -c bwrap -n '__bwrap_at option' -l die-with-parent -d 'Kill COMMAND when bwrap or its parent dies'
complete -c bwrap -n '__bwrap_at option' -l as-pid-1 -d 'Run COMMAND as PID 1'
complete -c bwrap -n '__bwrap_at option' -l cap-add -d 'Give COMMAND the capability CAP, or ALL'
complete -c bwrap -n '__bwrap_at option' -l cap-drop -d 'Remove the capability CAP, or ALL, from COMMAND'
complete -c bwrap -n '__bwrap_at option' -l perms -d 'Set the mode of what the next option creates'
complete -c bwrap -n '__bwrap_at option' -l size -d 'Set the size limit of the next --tmpfs or --tar'
complete -c bwrap -n '__bwrap_at option' -l chmod -d 'Change the mode of PATH in the sandbox'
complete -c bwrap -n '__bwrap_at option' -l not-a-security-boundary -d 'Continue if a mount\'s flags cannot be set'
complete -c bwrap -n '__bwrap_at option' -l seccomp-default -d 'Filter COMMAND\'s system calls with the built-in policy'
complete -c bwrap -n '__bwrap_at option' -l seccomp-policy -d 'Filter COMMAND\'s system calls with the policy in FILE'
complete -c bwrap -n '__bwrap_at option' -l rlimit -d 'Set a resource limit for COMMAND'
complete -c bwrap -n '__bwrap_at option' -l cgroup -d 'Limit the resources of the whole sandbox'
complete -c bwrap -n '__bwrap_at option' -l apparmor -d 'Run COMMAND under AppArmor profile PROFILE'
complete -c bwrap -n '__bwrap_at option' -l scope-signals -d 'Prevent signals to processes outside the sandbox'
complete -c bwrap -n '__bwrap_at option' -l scope-abstract-unix -d 'Prevent connections to abstract sockets outside'
complete -c bwrap -n '__bwrap_at option' -l tcp-connect -d 'Allow TCP connections only to PORT; UDP is not limited'
complete -c bwrap -n '__bwrap_at option' -l tcp-bind -d 'Allow TCP to bind only PORT; unbound listeners are not limited'
complete -c bwrap -n '__bwrap_at option' -l mask -d 'Hide PATH if it exists'
complete -c bwrap -n '__bwrap_at option' -l mask-glob -d 'Hide everything that matches PATTERN'
complete -c bwrap -n '__bwrap_at option' -l follow-symlinks -d 'Follow symbolic links at later destinations'
complete -c bwrap -n '__bwrap_at option' -l noexec -d 'Forbid the execution of files on the next mount'
complete -c bwrap -n '__bwrap_at option' -l nosymfollow -d 'Do not follow symbolic links on the next mount'
complete -c bwrap -n '__bwrap_at option' -l uid-map -d 'Map user IDs in the sandbox to IDs outside'
complete -c bwrap -n '__bwrap_at option' -l gid-map -d 'Map group IDs in the sandbox to IDs outside'
complete -c bwrap -n '__bwrap_at option' -l forward-signals -d 'Forward signals to COMMAND'
complete -c bwrap -n '__bwrap_at option' -l netns -d 'Join network namespace FD'
complete -c bwrap -n '__bwrap_at option' -l address-families -d 'Allow socket(2) to create only sockets of the families in LIST'
complete -c bwrap -n '__bwrap_at option' -l unix-connect -d 'Allow connections to outside unix sockets only at or below PATH'
complete -c bwrap -n '__bwrap_at option' -l udp-connect -d 'Allow UDP to connect and send only to PORT'
complete -c bwrap -n '__bwrap_at option' -l udp-bind -d 'Allow UDP to bind only PORT'
complete -c bwrap -n '__bwrap_at option' -l proc-pid -d 'Mount a procfs at DEST that shows only processes'
complete -c bwrap -n '__bwrap_at option' -l timeout -d 'End the sandbox SECONDS after COMMAND starts'
complete -c bwrap -n '__bwrap_at option' -l tar -d 'Unpack the tar archive FD at DEST, in memory'
complete -c bwrap -n '__bwrap_at option' -l check-host -d 'Show what this machine allows a sandbox to do'
complete -c bwrap -n '__bwrap_at option' -l dry-run -d 'Show what would be done, and do nothing'
complete -c bwrap -n '__bwrap_at option' -l dry-run-json -d 'Like --dry-run, but write JSON to FD'
complete -c bwrap -n '__bwrap_at option' -l same -d 'Bind mount the host\'s PATH at the same place, writable'
complete -c bwrap -n '__bwrap_at option' -l ro-same -d 'Bind mount the host\'s PATH at the same place, read-only'
complete -c bwrap -n '__bwrap_at option' -l same-try -d 'Like --same, but ignore a missing PATH'
complete -c bwrap -n '__bwrap_at option' -l ro-same-try -d 'Like --ro-same, but ignore a missing PATH'
complete -c bwrap -n '__bwrap_at option' -l error-fd -d 'Report bwrap\'s failures to FD as JSON'
complete -c bwrap -n '__bwrap_at option' -l setup-status -d 'Exit with status N if COMMAND cannot be run'
complete -c bwrap -n '__bwrap_at option' -l profile -d 'Read options from the profile FILE, or a built-in @NAME'
complete -c bwrap -n '__bwrap_at option' -l learn -d 'Record what COMMAND uses, and write a profile to FILE'
complete -c bwrap -n '__bwrap_at option' -l learn-exact -d 'With --learn, list each used file individually'
complete -c bwrap -n '__bwrap_at option' -l learn-seccomp -d 'Record COMMAND\'s system calls, and write a policy to FILE'
complete -c bwrap -n '__bwrap_at option' -l explain -d 'Report what COMMAND looked for that the sandbox lacks'
function __bwrap_operands -a option -d 'The kinds of an option\'s values, one a line'
    switch $option
        case --cap-add \
            --cap-drop
            string split ' ' 'capability'
        case --args \
            --userns \
            --userns2 \
            --pidns \
            --sync-fd \
            --seccomp \
            --add-seccomp-fd \
            --block-fd \
            --userns-block-fd \
            --info-fd \
            --json-status-fd \
            --netns \
            --dry-run-json \
            --error-fd
            string split ' ' 'fd'
        case --bind-fd \
            --ro-bind-fd \
            --file \
            --bind-data \
            --ro-bind-data \
            --tar
            string split ' ' 'fd path'
        case --chdir \
            --lock-file \
            --remount-ro \
            --overlay-src \
            --tmp-overlay \
            --ro-overlay \
            --proc \
            --dev \
            --tmpfs \
            --mqueue \
            --dir \
            --seccomp-policy \
            --mask \
            --unix-connect \
            --proc-pid \
            --same \
            --ro-same \
            --same-try \
            --ro-same-try \
            --learn \
            --learn-seccomp
            string split ' ' 'path'
        case --bind \
            --bind-try \
            --dev-bind \
            --dev-bind-try \
            --ro-bind \
            --ro-bind-try
            string split ' ' 'path path'
        case --overlay
            string split ' ' 'path path path'
        case --profile
            string split ' ' 'profile'
        case --argv0 \
            --uid \
            --gid \
            --hostname \
            --exec-label \
            --file-label \
            --perms \
            --size \
            --apparmor \
            --tcp-connect \
            --tcp-bind \
            --mask-glob \
            --address-families \
            --udp-connect \
            --udp-bind \
            --timeout \
            --setup-status
            string split ' ' 'text'
        case --symlink \
            --chmod
            string split ' ' 'text path'
        case --rlimit \
            --cgroup
            string split ' ' 'text text'
        case --uid-map \
            --gid-map
            string split ' ' 'text text text'
        case --unsetenv
            string split ' ' 'variable'
        case --setenv
            string split ' ' 'variable text'
    end
end
set -g __bwrap_capabilities \
    ALL CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID \
    CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE \
    CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK \
    CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE \
    CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE \
    CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE \
    CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG \
    CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF \
    CAP_CHECKPOINT_RESTORE
set -g __bwrap_profiles \
    @private @system @net @here @x11 @wayland @build @list
# <<< from src/cli/options.rs
