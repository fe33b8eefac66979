#!/usr/bin/env bash
# A SLURM cluster of one machine for tests: two fake GPUs, partitions `cpu` and `gpu`, no accounting.
#   cluster.sh start FOLDER | cluster.sh stop FOLDER      as root; no systemd, nothing off loopback
# Needs Debian's slurmctld, slurmd, slurm-client and munge. Everything it writes lies in FOLDER:
# set SLURM_CONF=FOLDER/slurm.conf and put FOLDER/bin first on PATH to use it.
set -euo pipefail
command=${1:-}
folder=$(realpath -m "${2:?folder}")
host=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf

# With control groups a step's signals reach its first process alone, as on most clusters.
freezer=/sys/fs/cgroup/freezer
can_group() { mkdir "$freezer/idpipe-test-$$" 2>/dev/null && rmdir "$freezer/idpipe-test-$$"; }

# Ports and the node's name, by which its control groups are called, are this cluster's alone.
free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

configure() {
    mkdir -p "$folder"/{bin,run,log,state}
    mkdir -p -m 700 "$folder/munge"
    chmod 1777 "$folder/run"
    (umask 077 && head -c 1024 /dev/urandom >"$folder/munge/key")
    local gpu tracking=linuxproc port node_port node
    port=$(free_port)
    node_port=$(free_port)
    node=test$node_port
    for gpu in 0 1; do mknod -m 666 "$folder/gpu$gpu" c 1 3; done
    ! can_group || tracking=cgroup
    cat >"$folder/cgroup.conf" <<END
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
END
    echo "NodeName=$node Name=gpu Type=fake File=$folder/gpu[0-1]" >"$folder/gres.conf"
    # A short cred_expire, or a requeued job waits for two minutes. Tests look at jobs after a run.
    cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$port
SlurmdPort=$node_port
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/$tracking
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=3600
SchedulerParameters=bf_interval=5,sched_interval=5,batch_sched_delay=1
NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$node_port CPUs=4 RealMemory=32000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES DefMemPerCPU=100 State=UP
PartitionName=gpu Nodes=ALL DefMemPerCPU=100 State=UP
END
    # A step's srun gets no SLURM_CONF from the plugin; a site has its file in /etc/slurm.
    printf '#!/bin/sh\nSLURM_CONF=%q exec %q "$@"\n' "$SLURM_CONF" "$(command -v srun)" >"$folder/bin/srun"
    chmod 755 "$folder/bin/srun"
}

await() { # await SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > end)); then
            echo "never came true: $*" >&2
            tail -n 20 "$folder"/log/*.log >&2
            return 1
        fi
        sleep 0.1
    done
}

answers() { scontrol ping | grep -q UP; }
node_up() { [[ $(sinfo --noheader --partition cpu --states idle,mixed,alloc --format %D) == 1 ]]; }
queue_empty() { [[ -z $(squeue --noheader) ]]; }
gone() { ! kill -0 "$1"; }

start() {
    configure
    munged --force --key-file="$folder/munge/key" --socket="$folder/run/munge.socket" \
        --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged.log" \
        --seed-file="$folder/munge/seed"
    await 10 munge --no-input --socket "$folder/run/munge.socket"
    slurmctld -f "$SLURM_CONF"
    await 20 answers
    slurmd -N "$(sinfo --noheader --partition cpu --format %N)" -f "$SLURM_CONF"
    await 30 node_up
}

stop() {
    local name file pid
    if answers 2>/dev/null; then
        scancel --user root || true
        await 40 queue_empty || true
    fi
    for name in slurmd slurmctld munged; do
        file=$folder/run/$name.pid
        [[ -s $file ]] || continue
        pid=$(<"$file")
        kill "$pid" 2>/dev/null || true
        await 20 gone "$pid" || kill -9 "$pid"
    done
}

case $command in
    start | stop) "$command" ;;
    *)
        echo "usage: cluster.sh start|stop FOLDER" >&2
        exit 2
        ;;
esac
