# SPDX-License-Identifier: Apache-2.0
"""Hostile messages at running daemons: they stay up, serve, and keep their memory.

SLURMLIKE_FUZZ is the number of messages a type at every door; by default 1000, 10000 at the
controller's socket when the daemons are sanitized, and fewer where a message costs more.
SLURMLIKE_FUZZ_SEED is the seed; both are printed. doc/measurements/fuzz has the long runs.
"""
import glob
import os
import pwd
import re
import subprocess
import time

import pytest

from cluster import PREFIX, SANITIZED, Cluster, Timeout, user_ensure, wait_for

pytestmark = pytest.mark.sanitized
CLIENT = os.path.join(os.path.dirname(PREFIX), "testsuite", "unit", "fuzz_client")
ASKED = int(os.environ.get("SLURMLIKE_FUZZ") or 0)
COUNT = ASKED or 1000
COUNT_SOCKET = ASKED or (10000 if SANITIZED else 1000)
SEED = int(os.environ.get("SLURMLIKE_FUZZ_SEED") or int(time.time()))
USER = "SUBMIT,WATCH,CANCEL,JOB_OP,UPDATE,QUERY,CONTROL,SCRIPT"
NODE = "NODE_REGISTER,NODE_PING,JOB_REPORTS"
STEP = "STEP_CREATE,IO_ATTACH,IO_DATA,STEP_SIGNAL,WIN_SIZE,STEP_DONE,TASK_EVENT,PMIX"
CONF = 'jobs = { max = 1000; keep = 10; kill_wait = 2; };\n'  # small, and soon empty again


def rss_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def fuzz(cluster, target, types, count, *options, user=None, tame=False, code=0):
    """Rows of counts by message type."""
    assert os.path.exists(CLIENT), CLIENT + " is not built: make check builds it"
    argv = [CLIENT, "--munge", cluster.dir + "/munge/socket"] + list(options)
    argv += ["--user", user] if user else []
    argv += ["--tame"] if tame else []
    argv += [target, types, str(count), str(SEED)]
    print("fuzz: %s" % " ".join(argv[1:]))
    started = time.monotonic()
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       env=cluster.env, timeout=900 + count)
    print(p.stdout)
    assert code is None or p.returncode == code, p.stdout[-2000:]
    rows = {}
    for line in p.stdout.splitlines():
        name, *pairs = line.split()
        if pairs and pairs[-1] in ("alive", "DEAD"):
            rows[name] = {k: int(v) for k, v in (x.split("=") for x in pairs[:-1])}
    print("fuzz: seed %d: %d messages of %d types, %d whole, %d answers, %d errors, %d hang-ups, "
          "%.1f s" % ((SEED, sum(r["sent"] for r in rows.values()), len(rows)) +
                      tuple(sum(r[k] for r in rows.values())
                            for k in ("whole", "answers", "errors", "hangups")) +
                      (time.monotonic() - started,)))
    return rows


def supervisor_of(cluster, job):
    """The parent of the job's script."""
    def parent():
        for pid, _ in cluster.leftovers():
            with open("/proc/%d/environ" % pid, "rb") as f:
                if b"SLURM_JOB_ID=%d\0" % job not in f.read():
                    continue
            with open("/proc/%d/stat" % pid) as f:
                return int(f.read().rsplit(")", 1)[1].split()[1])
        return None
    return wait_for("a process of job %d" % job, parent)


class Memory:
    """Resident memory of the daemons, and that it stays within a bound."""

    def __init__(self, cluster, job=None):
        self.pids = {n: p.pid for n, p in cluster.procs.items() if n != "munged"}
        if job:
            self.pids["supervisor"] = supervisor_of(cluster, job)
        self.before = {n: rss_kib(p) for n, p in self.pids.items()}

    def check(self):
        for n, pid in self.pids.items():
            grown = rss_kib(pid) - self.before[n]
            print("memory: %s %+d KiB" % (n, grown))
            # the sanitizer keeps freed memory for a while (its quarantine: 256 MiB)
            assert grown < (600 << 10 if SANITIZED else 64 << 10), n


def submit(cluster, command, *options, user=None):
    """Again while the queue is full of what the messages have left."""
    argv = ["sbatch", "--parsable", "-o", "/dev/null", "--wrap", command] + list(options)
    return int(wait_for("room for a job",
                        lambda: (lambda r: r.out if r.rc == 0 else None)(
                            cluster.run(*argv, user=user)), every=0.2))


def still_serves(cluster, user):
    ended = [n for n, p in cluster.procs.items() if p.poll() is not None]
    assert not ended, "ended: %s" % ended
    cluster.ok("scontrol", "ping")
    for node in cluster.names:
        cluster.run("scontrol", "update", "NodeName=" + node, "State=RESUME")
    cluster.run("scontrol", "update", "PartitionName=main", "State=UP")
    cluster.run("scancel", "--state=PENDING")
    job = submit(cluster, "exit 0", "-w", ",".join(cluster.names), "-N",
                 str(len(cluster.names)), user=user)
    assert cluster.wait_done(job, timeout=60) == "COMPLETED"


def clear(cluster):
    """Ends what the messages that were taken in earnest have left."""
    for state in ("PENDING", "SUSPENDED", "RUNNING"):
        cluster.run("scancel", "--state=" + state)
    cluster.run("scontrol", "update", "PartitionName=main", "State=UP")
    for node in cluster.names:
        cluster.run("scontrol", "update", "NodeName=" + node, "State=RESUME")
    try:
        wait_for("an empty queue", lambda: cluster.run("squeue", "-h").out == "", 60)
    except Timeout as e:
        raise Timeout("%s: %s" % (e, cluster.run("scontrol", "show", "job").out)) from None


def port_of(cluster, node):
    return int(re.search(r"Port=(\d+)", cluster.ok("scontrol", "show", "node", node)).group(1))


def job_of(cluster, user=None):
    """A running job; of the whole cluster's user it is the only one."""
    if user is None:
        clear(cluster)
    job = submit(cluster, "exec sleep 1000", user=user)
    cluster.wait_state(job, "RUNNING")
    return job


def batch_route(job):
    return "step:%d.%d" % (job, 0xfffffffb)


# ---- an ordinary user ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(users):
    with Cluster(nodes=2, conf=CONF) as c:
        c.sbatch("-H", "-a", "0-9", "-o", "/dev/null", "--wrap", "exit 0", user=users[0])
        c.live = job_of(c, users[0])
        yield c
        clear(c)


def ctld_uid(cluster):
    return str(pwd.getpwnam(cluster.ctld_user).pw_uid)


def reached(rows):
    """The messages went to the handlers: they were whole and answered."""
    for t in USER.split(","):
        n = rows[t]["sent"]
        assert rows[t]["whole"] > n // 2, t
        assert rows[t]["answers"] + rows[t]["errors"] > n // 4, t
        if n <= 1000:  # later the jobs with the ids that are named are over and forgotten
            assert rows[t]["answers"] > n // 20, t


def test_a_user_at_the_controllers_socket(world, users):
    memory = Memory(world, world.live)
    reached(fuzz(world, "unix:%s/run/ctld.sock" % world.dir, "ALL", COUNT_SOCKET, "--jobs",
                 "40", "--sync", user=users[1], tame=True))
    assert world.state(world.live) == "RUNNING", "another user's job was touched"
    still_serves(world, users[0])
    memory.check()


def test_a_user_at_the_controllers_port(world, users):
    memory = Memory(world, world.live)
    reached(fuzz(world, "127.0.0.1:%d" % world.port, USER + "," + NODE, COUNT, "--jobs", "40",
                 "--sync", "--service", ctld_uid(world), user=users[1], tame=True))
    assert world.state(world.live) == "RUNNING", "another user's job was touched"
    still_serves(world, users[0])
    memory.check()


def test_a_user_at_supervisors_of_its_own(world, users):
    """STEP_SIGNAL and its like arrive at the batch step; nothing of it is the daemon's."""
    memory = Memory(world, world.live)
    node = re.search(r"BatchHost=(\w+)", world.ok("scontrol", "show", "job", world.live)).group(1)
    target = "127.0.0.1:%d" % port_of(world, node)
    rows = fuzz(world, target, STEP, COUNT, "--jobs", str(world.live), "--route",
                "job:%d" % world.live, user=users[0], tame=True)
    # a damaged request that is still good gets its step only once others have ended
    assert rows["STEP_CREATE"]["answers"] + rows["STEP_CREATE"]["errors"] > 0
    sock = glob.glob("%s/spool/%s/step.%d.*/sock" % (world.dir, node, world.live))[0]
    rows = fuzz(world, "unix:" + sock, "ALL", ASKED or COUNT // 4, "--jobs", str(world.live),
                user=users[0], tame=True)
    assert rows["STEP_CREATE"]["answers"] + rows["STEP_CREATE"]["errors"] > 0
    rows = fuzz(world, target, "IO_ATTACH,IO_DATA,STEP_SIGNAL", COUNT, "--route",
                batch_route(world.live), user=users[0], tame=True)
    assert rows["IO_ATTACH"]["answers"] > 0
    assert world.state(world.live) == "RUNNING"
    still_serves(world, users[0])
    memory.check()


def test_a_user_at_node_daemons_and_supervisors_of_others(world, users):
    node = re.search(r"BatchHost=(\w+)", world.ok("scontrol", "show", "job", world.live)).group(1)
    # a step that is not there yet is waited for, so one such is enough
    for options in ([], ["--route", "job:%d" % world.live],
                    ["--route", batch_route(world.live)], ["--route", "step:99.0"]):
        rows = fuzz(world, "127.0.0.1:%d" % port_of(world, node), "STEP_LAUNCH", 5, *options,
                    user=users[1], code=None)
        assert sum(r["answers"] + r["errors"] for r in rows.values()) == 0
    assert world.state(world.live) == "RUNNING"
    still_serves(world, users[0])


# ---- the node daemons' user ----------------------------------------------------------------


@pytest.fixture
def own():
    """One user's cluster: there a node daemon's messages are those of an ordinary uid, and
    whatever they start has no more rights than that. A new one for each test: messages name
    jobs up to the live one's id, and of a few ids most hit it."""
    with Cluster(nodes=2, conf=CONF, user=user_ensure("slone").pw_name) as c:
        c.live = job_of(c)
        yield c
        clear(c)


def test_a_node_daemon_at_the_controller(own):
    memory = Memory(own)
    rows = fuzz(own, "127.0.0.1:%d" % own.port, USER + "," + NODE, COUNT, "--jobs", "40",
                "--sync", "--service", ctld_uid(own), user="slone", tame=True)
    assert rows["NODE_REGISTER"]["answers"] > COUNT // 20
    assert rows["JOB_REPORTS"]["whole"] > COUNT // 2
    still_serves(own, None)
    memory.check()


def test_a_node_daemon_at_a_node_daemon(own):
    memory = Memory(own)
    own.live = job_of(own)
    node = re.search(r"BatchHost=(\w+)", own.ok("scontrol", "show", "job", own.live)).group(1)
    rows = fuzz(own, "127.0.0.1:%d" % port_of(own, node), "STEP_LAUNCH,STEP_WATCH,LAUNCH,TERMINATE",
                ASKED or COUNT // 5, "--jobs", str(own.live), "--service", ctld_uid(own), user="slone")
    assert rows["STEP_LAUNCH"]["whole"] > rows["STEP_LAUNCH"]["sent"] // 3
    # the connection is mostly damaged and gone before an answer comes: the log tells what arrived
    assert "step launch for uid=" in own.log("node-" + node)
    assert own.state(own.live) == "RUNNING"
    still_serves(own, None)
    memory.check()


def test_a_supervisor_at_its_daemon(own):
    memory = Memory(own)
    own.live = job_of(own)
    fuzz(own, "unix:%s/spool/n1/d.sock" % own.dir, "ALL", ASKED or COUNT // 5, "--jobs", str(own.live),
         user="slone", tame=True)
    still_serves(own, None)
    memory.check()


def test_a_supervisor_at_its_parent(own):
    own.live = job_of(own)
    node = re.search(r"BatchHost=(\w+)", own.ok("scontrol", "show", "job", own.live)).group(1)
    fuzz(own, "127.0.0.1:%d" % port_of(own, node), "ALL", ASKED or COUNT // 10, "--jobs", str(own.live),
         "--route", batch_route(own.live), "--service", ctld_uid(own), user="slone", tame=True)
    still_serves(own, None)
