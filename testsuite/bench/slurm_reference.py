# SPDX-License-Identifier: Apache-2.0
"""Debian's Slurm (slurm-wlm) as a cluster of virtual nodes in one folder, for comparison in the
same run. Tuned as its high-throughput guide says; the reference must be at its best."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from cluster import free_port, wait_for  # noqa: E402


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
        first = free_port()
        while first + self.count > 60000:
            first = free_port()
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
""".format(host=host, dir=self.dir, port=free_port(), n=self.count, first=first,
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
        wait_for("%d idle Slurm nodes" % self.count, lambda: sum(
            int(n) for n in self.run("sinfo", "-h", "-t", "idle", "-o", "%D")[1].split()) == self.count, 60)

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
        for name in ["n%d" % i for i in range(1, self.count + 1)] + ["ctld"]:
            try:
                with open("%s/%s.pid" % (self.dir, name)) as f:
                    os.kill(int(f.read()), 15)
            except (OSError, ValueError):
                pass
        self.munged.terminate()
        self.munged.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
