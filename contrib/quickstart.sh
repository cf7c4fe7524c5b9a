#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cluster on this machine in one command: installs what is missing, builds, starts a
# controller and four virtual nodes, trains a small language model over MPI and shows
# the queue, the output and the accounting. Run again: it reuses what is there.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/contrib/packages.sh"
dir=${SLURMLIKE_QUICKSTART:-/var/tmp/slurmlike-quickstart-$(id -u)}
nodes=4

usage() {
    cat <<USAGE
Usage: sh contrib/quickstart.sh [--stop | --clean | --help]
  (nothing)  install, build, start the cluster, run the training example
  --stop     end the cluster's jobs and daemons; its state stays
  --clean    --stop, then remove its folder ($dir)
USAGE
}

say() { printf '\n--- %s\n' "$*"; }

alive() { # pid file
    [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null
}

end() { # pid file: TERM, and wait until it is gone
    alive "$1" || { rm -f "$1"; return 0; }
    pid=$(cat "$1")
    kill "$pid" 2>/dev/null || true
    n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do
        sleep 0.1
        n=$((n + 1))
    done
    rm -f "$1"
}

stop() {
    if [ -f "$dir/env.sh" ] && alive "$dir/run/ctld.pid"; then
        . "$dir/env.sh"
        scancel --state=PENDING || true
        scancel --state=RUNNING || true
        n=0
        while [ -n "$(squeue -h 2>/dev/null)" ] && [ $n -lt 100 ]; do
            sleep 0.1
            n=$((n + 1))
        done
    fi
    i=1
    while [ $i -le $nodes ]; do
        end "$dir/run/n$i.pid"
        i=$((i + 1))
    done
    end "$dir/run/ctld.pid"
    end "$dir/munge/munged.pid"
    echo "stopped"
}

case "${1:-}" in
--stop) stop; exit 0 ;;
--clean) stop; rm -rf "$dir"; echo "removed $dir"; exit 0 ;;
--help | -h) usage; exit 0 ;;
"") ;;
*) usage >&2; exit 1 ;;
esac

# ---- packages and build --------------------------------------------------------------

say "packages"
packages_install "$PACKAGES_BUILD $PACKAGES_RUN $PACKAGES_DEMO"
build=$(build_place "$top" build)
say "build (in $build)"
build_tree "$top" "$build"
prefix=$build/inst

# ---- folders, user, configuration ------------------------------------------------------

if [ "$(id -u)" -eq 0 ]; then
    ctld_user=slurmlike
    node_user=root
    id "$ctld_user" >/dev/null 2>&1 ||
        useradd --system --no-create-home --shell /usr/sbin/nologin "$ctld_user"
else
    ctld_user=$(id -un)
    node_user=$ctld_user
fi
mkdir -p "$dir/run" "$dir/state" "$dir/munge" "$dir/spool" "$dir/log" "$dir/work"
chmod 755 "$dir"
[ "$(id -u)" -ne 0 ] || chown "$ctld_user" "$dir/run" "$dir/state"

port_free() { # first free TCP port from $1 on
    p=$1
    while grep -qi ":$(printf '%04X' "$p") 00000000:0000 0A" /proc/net/tcp; do p=$((p + 1)); done
    echo "$p"
}

# munged: the system's when one runs, else our own key and socket
munge_socket=/run/munge/munge.socket.2
if ! munge -n >/dev/null 2>&1; then
    munge_socket=$dir/munge/socket
    if ! alive "$dir/munge/munged.pid"; then
        say "starting munged with a key of its own"
        [ -f "$dir/munge/key" ] || {
            (umask 077 && dd if=/dev/urandom of="$dir/munge/key" bs=128 count=1 2>/dev/null)
        }
        rm -f "$munge_socket"
        munged --force --socket="$munge_socket" --key-file="$dir/munge/key" \
            --pid-file="$dir/munge/munged.pid" --log-file="$dir/munge/log" \
            --seed-file="$dir/munge/seed" --num-threads=2 2>>"$dir/munge/stderr"
    fi
fi

if [ ! -f "$dir/slurmlike.conf" ]; then
    cat >"$dir/slurmlike.conf" <<CONF
cluster_name = "quickstart";
run_dir = "$dir/run";
state = "sqlite:$dir/state/state.db";
munge_socket = "$munge_socket";
controller = { host = "127.0.0.1"; port = $(port_free 16817); user = "$ctld_user"; };
node = { spool_dir = "$dir/spool/%n"; user = "$node_user"; };
CONF
fi
cat >"$dir/env.sh" <<ENV
export SLURMLIKE_CONF="$dir/slurmlike.conf"
export PATH="$prefix/bin:$prefix/sbin:\$PATH"
export MANPATH="$prefix/share/man:\${MANPATH:-}"
ENV
. "$dir/env.sh"

# ---- daemons -----------------------------------------------------------------------------

wait_for() { # seconds, what, command...
    limit=$1 what=$2
    shift 2
    n=0
    until "$@" >/dev/null 2>&1; do
        n=$((n + 1))
        [ $n -lt $((limit * 10)) ] || {
            echo "gave up waiting for $what; see $dir/log" >&2
            exit 1
        }
        sleep 0.1
    done
}

if ! alive "$dir/run/ctld.pid"; then
    say "starting the controller"
    slurmlike-ctld --foreground </dev/null >>"$dir/log/ctld" 2>&1 &
    wait_for 20 "the controller" scontrol ping
fi
i=1
while [ $i -le $nodes ]; do
    if ! alive "$dir/run/n$i.pid"; then
        echo "starting node n$i"
        setsid slurmlike-d --name "n$i" --addr 127.0.0.1 --port 0 --memory 4G \
            --topology "synthetic:pack:1 numa:1 core:4 pu:1" \
            </dev/null >>"$dir/log/n$i" 2>&1 &
        echo $! >"$dir/run/n$i.pid"
    fi
    i=$((i + 1))
done
nodes_up() { [ "$(sinfo -h -N -o %t | grep -c -E '^(idle|mix|alloc)$')" -eq $nodes ]; }
wait_for 30 "$nodes nodes" nodes_up

say "sinfo"
sinfo

# ---- the training example ------------------------------------------------------------------

cd "$dir/work"
say "sbatch pretrain.sbatch (4 MPI ranks on 2 nodes), and a second job that resumes from its checkpoint"
one=$(sbatch --parsable "$prefix/share/slurmlike/examples/pretrain.sbatch")
two=$(sbatch --parsable --dependency="afterok:$one" "$prefix/share/slurmlike/examples/pretrain-resume.sbatch")
echo "jobs $one and $two"
say "squeue"
squeue

follow() { # job id: its output while it runs
    out=$dir/work/slurm-$1.out
    wait_for 300 "job $1 to start writing" test -s "$out"
    tail -n +1 -f "$out" &
    tail_pid=$!
    while squeue -h -j "$1" -t PENDING,RUNNING,COMPLETING 2>/dev/null | grep -q .; do sleep 0.5; done
    sleep 0.5
    kill $tail_pid 2>/dev/null || true
    wait $tail_pid 2>/dev/null || true
}

say "output of job $one, live"
follow "$one"
say "scontrol show job $one"
scontrol show job "$one"
say "output of job $two (resumes)"
follow "$two"
say "sacct"
sacct -j "$one,$two" --format=JobID,JobName,State,ExitCode,AllocCPUS,NNodes,Elapsed,TotalCPU,MaxRSS

for j in $one $two; do
    state=$(sacct -n -X -P -j "$j" --format=State)
    [ "$state" = COMPLETED ] || {
        echo "job $j ended as $state: its output is $dir/work/slurm-$j.out" >&2
        exit 1
    }
done
cat <<END

The cluster runs on. To use it from a shell:
  . $dir/env.sh
  srun -n4 hostname; squeue; sinfo; sacct
Job output is in $dir/work, daemon logs in $dir/log.
To end it:  sh contrib/quickstart.sh --stop   (or --clean to remove $dir too)
END
