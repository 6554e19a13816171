#!/bin/bash
# Slurm, as scientific sites have it: a controller and two nodes on this machine, run by the ordinary user, whose jobs start
# sandboxes: on both nodes at once, 200 in a job array, and one that is cancelled. See lib.sh.
# Slurm asks for addresses that a machine without a network does not have.
# shellcheck disable=SC2034 # for lib.sh
CLIENT_ADDRESS=192.0.2.1/32
# shellcheck source=compat-tests/clients/lib.sh
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
need munged slurmctld slurmd srun sbatch scancel squeue sinfo
slurm=$WORK/slurm
mkdir -p "$slurm"/{state,n1,n2} "$WORK/munge"
chmod 700 "$WORK/munge"
head -c 1024 /dev/urandom > "$WORK/munge/key"
chmod 600 "$WORK/munge/key"
me=$(id -un)
cat > "$slurm/slurm.conf" <<CONF
ClusterName=bleb
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=$me
SlurmdUser=$me
SlurmctldPort=16817
AuthType=auth/munge
AuthInfo=socket=$WORK/munge/socket
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/%n
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/%n.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=200000,defer_batch
KillWait=2
MinJobAge=300
ReturnToService=2
NodeName=n1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=16818 CPUs=16
NodeName=n2 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=16819 CPUs=16
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$slurm/slurm.conf

daemons=()
# Each in the foreground, so that its process is known; the last one started is ended first.
finish() {
    local at
    for ((at = ${#daemons[@]} - 1; at >= 0; at--)); do
        kill "${daemons[at]}" 2> /dev/null
        wait "${daemons[at]}" 2> /dev/null
    done
}
trap finish EXIT
munged --foreground --force --socket="$WORK/munge/socket" --key-file="$WORK/munge/key" --pid-file="$WORK/munge/pid" \
    --log-file="$WORK/munge/log" --seed-file="$WORK/munge/seed" > "$WORK/munge/out" 2>&1 &
daemons+=($!)
for _ in {1..300}; do [ ! -S "$WORK/munge/socket" ] || break; sleep 0.1; done
[ -S "$WORK/munge/socket" ] || { echo 'FAIL  munged:'; cat "$WORK/munge/out"; exit 1; }
slurmctld -D > "$slurm/out" 2>&1 &
daemons+=($!)
for node in n1 n2; do
    slurmd -D -N $node > "$slurm/$node.out" 2>&1 &
    daemons+=($!)
done
# Only with its own limit: a command that finds no controller waits for one.
for _ in {1..60}; do
    [ "$(timeout 5 sinfo -h -t idle -o %D 2> /dev/null)" != 2 ] && kill -0 "${daemons[@]}" 2> /dev/null || break
    sleep 0.5
done
check 'both nodes are up' 0 '^2$' sinfo -h -t idle -o %D
[ $failed = 0 ] || { tail -n 20 "$slurm"/*.log "$slurm"/*out; exit 1; }

# The README's commands, in a directory where `step` is what each task does.
cd "$WORK/tmp" || exit 1
cat > step << 'STEP'
#!/bin/sh
if [ -n "$SLURM_ARRAY_TASK_ID" ]; then echo "$SLURM_ARRAY_TASK_ID" > "$SLURM_ARRAY_TASK_ID"; exit; fi
echo $SLURMD_NODENAME $(sed "1,2d; s/:.*//" /proc/net/dev) $(ls -d /proc/[0-9]* | head -n 2 | wc -l)
STEP
printf '#!/bin/sh\nexit 7\n' > seven
chmod 755 step seven
on_nodes=$(block 'srun -N2')
check 'a sandbox on each of two nodes' 0 '^n1 lo 2'$'\n''n2 lo 2$' sh -c "${on_nodes/srun/srun --quiet} | sort"
check 'the status of COMMAND' 7 'exit code 7' sh -c "${on_nodes/.\/step/.\/seven}"
[ "$BWRAP" != "$WORK/bin/bwrap" ] || [ -e "$WORK/bin/bwrap.real" ] || check 'a control group that is not delegated' 1 'bwrap: .*cgroup' sh -c "${on_nodes/--unshare-all/--unshare-all --cgroup pids.max 10}"

# array: 200 sandboxes, each of which writes its number.
array=$(block 'sbatch --array')
said=$(timeout -k 5 240 sh -c "${array/sbatch/sbatch --wait --output=$slurm/array.%a}" 2>&1)
status=$?
if [ $status != 0 ] || [ "$(cat "$WORK"/tmp/[0-9]* | sort -n | tr '\n' ' ')" != "$(seq -s ' ' 200) " ]; then
    echo "FAIL  an array of 200 sandboxes (status $status): $said; $(find "$WORK/tmp" -type f | wc -l) have run"
    cat "$slurm"/array.* | sort | uniq -c | head -n 5
    failed=1
fi

# A cancelled job leaves nothing: neither what COMMAND has started nor what no longer belongs to its session.
# shellcheck disable=SC2016
sandbox=${on_nodes#srun -N2 }
printf '#!/bin/sh\n%s sh -c %s\n' "${sandbox% ./step*}" "'setsid sleep 4321 & touch $WORK/tmp/runs; sleep 4321'" > "$slurm/cancelled"
job=$(sbatch --parsable --output="$slurm/cancelled.out" "$slurm/cancelled")
for _ in {1..300}; do [ ! -e "$WORK/tmp/runs" ] || break; sleep 0.1; done
[ -e "$WORK/tmp/runs" ] || { echo 'FAIL  the job that is to be cancelled does not run'; failed=1; }
scancel "$job"
for _ in {1..300}; do
    [ -n "$(squeue -h -j "$job" 2> /dev/null)" ] || pgrep -U "$(id -u)" -x sleep > "$slurm/left" || break
    sleep 0.1
done
if pgrep -U "$(id -u)" -xa sleep > "$slurm/left"; then
    echo "FAIL  a cancelled job leaves: $(cat "$slurm/left")"
    failed=1
fi
exit $failed
