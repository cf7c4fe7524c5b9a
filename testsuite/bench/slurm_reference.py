# SPDX-License-Identifier: Apache-2.0
"""Debian's Slurm (slurm-wlm) as a cluster of virtual nodes in one folder, for comparison in the
same run. Tuned as its high-throughput guide says; the reference must be at its best."""
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from cluster import wait_for  # noqa: E402


def free_ports(count):
    """The first of so many in a row that nobody listens on, below those that the kernel
    gives to outgoing connections: a connection of the benchmark's own may hold one of
    these in the instant in which a daemon wants to listen on it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        end = int(f.read().split()[0]) - count
    for first in random.sample(range(min(10000, end // 2), end), 1000):
        try:
            for port in range(first, first + count):
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("", port))
            return first
        except OSError:
            pass
    raise RuntimeError("there are no %d free ports in a row" % count)


def gone(pid):
    """Its last thread has ended: until then it holds its locks and ports. (A zombie that is
    left for its parent to collect is gone in this sense, one with threads is not.)"""
    try:
        with open("/proc/%d/stat" % pid) as f:
            state = f.read().rsplit(")", 1)[1].split()[0]
        return state == "Z" and len(os.listdir("/proc/%d/task" % pid)) == 1
    except OSError:
        return True


class Slurm:
    name = "slurm"

    def __init__(self, nodes=16, cpus=8):
        self.count, self.cpus = nodes, cpus
        self.dir = tempfile.mkdtemp(prefix="slurm-reference-")
        os.chmod(self.dir, 0o755)
        self.work = os.path.join(self.dir, "work")
        for d in ("work", "munge", "state", "spool"):
            os.mkdir(os.path.join(self.dir, d), 0o755)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH", "OMPI_"))}
        self.env["SLURM_CONF"] = self.dir + "/slurm.conf"
        self.env["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"
        self.write_conf()
        try:
            self.start()
        except Exception:
            self.stop()
            raise

    @staticmethod
    def present():
        return all(os.path.exists(p) for p in ("/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/bin/sbatch"))

    def write_conf(self):
        host = socket.gethostname().split(".")[0]
        first = free_ports(self.count + 1)
        with open(self.dir + "/slurm.conf", "w") as f:
            f.write("""ClusterName=reference
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={dir}/munge/socket
SlurmctldPort={port}
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool/%n
SlurmctldPidFile={dir}/ctld.pid
SlurmdPidFile={dir}/%n.pid
SlurmctldLogFile={dir}/ctld.log
SlurmdLogFile={dir}/%n.log
SlurmctldDebug=error
SlurmdDebug=error
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MaxJobCount=300000
MinJobAge=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName=n[1-{n}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} RealMemory=4096
PartitionName=main Nodes=ALL Default=YES State=UP MaxTime=INFINITE
""".format(host=host, dir=self.dir, port=first + self.count, n=self.count, first=first,
           last=first + self.count - 1, cpus=self.cpus))

    def spawn(self, *argv):
        subprocess.run(argv, env=self.env, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        d = self.dir + "/munge"
        fd = os.open(d + "/key", os.O_WRONLY | os.O_CREAT, 0o400)
        os.write(fd, os.urandom(128))
        os.close(fd)
        self.munged = subprocess.Popen(
            ["/usr/sbin/munged", "--foreground", "--force", "--socket=%s/socket" % d, "--key-file=%s/key" % d,
             "--pid-file=%s/pid" % d, "--log-file=%s/log" % d, "--seed-file=%s/seed" % d, "--num-threads=4"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("munged", lambda: os.path.exists(d + "/socket"))
        self.start_ctld()
        for i in range(1, self.count + 1):
            os.mkdir("%s/spool/n%d" % (self.dir, i))
            self.spawn("slurmd", "-N", "n%d" % i)
        wait_for("%d idle Slurm nodes" % self.count, self.all_idle, 60)

    def all_idle(self):
        """Raises when a daemon could not start: waiting longer would not help."""
        for name in ["n%d" % i for i in range(1, self.count + 1)] + ["ctld"]:
            path = "%s/%s.log" % (self.dir, name)
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text = f.read()
                assert "Unable to bind" not in text and "fatal" not in text, "%s: %s" % (name, text[-500:])
        idle = self.run("sinfo", "-h", "-t", "idle", "-o", "%D")[1].split()
        return sum(int(n) for n in idle) == self.count

    def start_ctld(self):
        self.spawn("slurmctld")

    def run(self, *argv, stdin=None):
        p = subprocess.run([str(a) for a in argv], env=self.env, cwd=self.work, input=stdin,
                           stdin=subprocess.DEVNULL if stdin is None else None,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return p.returncode, p.stdout, p.stderr

    def ctld_pid(self):
        with open(self.dir + "/ctld.pid") as f:
            return int(f.read())

    def stop(self):
        pids = []
        for name in ["n%d" % i for i in range(1, self.count + 1)] + ["ctld"]:
            try:
                with open("%s/%s.pid" % (self.dir, name)) as f:
                    pids.append(int(f.read()))
                os.kill(pids[-1], signal.SIGTERM)
            except (OSError, ValueError):
                pass
        try:  # they write to their folders to the end
            wait_for("the end of Slurm's daemons", lambda: all(gone(p) for p in pids), 30)
        except AssertionError as e:
            print("# slurm: %s" % e, flush=True)
        self.munged.terminate()
        self.munged.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
