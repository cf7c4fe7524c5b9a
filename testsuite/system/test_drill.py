# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each daemon at random instants under load: no acknowledged job lost, none run
twice, none stuck, no process left. Prints its counts; SLURMLIKE_SEED repeats a run and
SLURMLIKE_KILLS sets how many."""
import glob
import os
import random
import threading
import time

from cluster import Cluster, FINAL, wait_for

SEED = int(os.environ.get("SLURMLIKE_SEED", random.randrange(1 << 30)))
KILLS = int(os.environ.get("SLURMLIKE_KILLS", "200"))
SCRIPT = """#!/bin/sh
mkdir ran/$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0} || echo $SLURM_JOB_ID >>twice
exit 0
"""


class Stream(threading.Thread):
    """Submits, cancels and lists jobs until told to stop; keeps what was acknowledged."""

    def __init__(self, c, seed):
        super().__init__(daemon=True)
        self.c, self.rnd = c, random.Random(seed)
        self.acked, self.cancelled, self.refused = [], set(), 0
        self.stop_now = threading.Event()
        self.error = None

    def step(self):
        if self.acked and self.rnd.random() < 0.15:
            job = self.rnd.choice(self.acked[-20:])
            if self.c.run("scancel", job).rc == 0:
                self.cancelled.add(job)
            return
        held = ["-H"] if self.rnd.random() < 0.1 else []
        r = self.c.run("sbatch", "--parsable", "-o", "/dev/null", *held, self.c.path)
        if r.rc == 0:
            self.acked.append(int(r.out))
        else:
            self.refused += 1
            time.sleep(0.01)

    def run(self):
        try:
            while not self.stop_now.is_set():
                self.step()
        except Exception as e:  # shown by the test
            self.error = e

    def finish(self):
        self.stop_now.set()
        self.join(120)
        if self.error:
            raise self.error


def drill_cluster(**kw):
    c = Cluster(nodes=4, conf="jobs = { keep = 3600; kill_wait = 2; };", **kw)
    c.path = c.script(SCRIPT, name="mark.sh", shebang="")
    os.mkdir(os.path.join(c.work, "ran"), 0o777)
    os.chmod(os.path.join(c.work, "ran"), 0o1777)
    return c


def settle(c, acked):
    for j in c.ok("squeue", "-h", "-t", "PD", "-o", "%i").split():
        c.run("scontrol", "release", j)
    try:
        wait_for("an empty queue", lambda: not c.ok("squeue", "-h").strip(), 120)
    except AssertionError:
        raise AssertionError("stuck:\n" + c.ok("squeue"))
    rows = c.sacct("-X", "-a", "-j", ",".join(map(str, acked)), "-o", "JobIDRaw,State")
    states = {}
    for job, state in rows:
        assert int(job) not in states, "job %s has two records" % job
        states[int(job)] = state.split()[0]
    return states


def check(c, acked, cancelled, states):
    lost = [j for j in acked if j not in states]
    stuck = [j for j in acked if states.get(j) not in FINAL]
    ran = {}
    for name in os.listdir(os.path.join(c.work, "ran")):
        job, restart = map(int, name.split("."))
        ran.setdefault(job, []).append(restart)
    twice = (c.read("twice") or "").split()
    not_run = [j for j in acked if states.get(j) == "COMPLETED" and j not in ran]
    unasked = [j for j in acked if states.get(j) == "CANCELLED" and j not in cancelled]
    print("acknowledged=%d cancelled=%d ran=%d lost=%d run_twice=%d stuck=%d completed_without_running=%d"
          % (len(acked), len(cancelled), len(ran), len(lost), len(twice), len(stuck), len(not_run)))
    assert not lost and not twice and not stuck and not not_run and not unasked
    assert len(set(acked)) == len(acked), "a job id was given twice"


def test_controller_killed_at_random_instants(capsys):
    rnd = random.Random(SEED)
    with drill_cluster() as c:
        stream = Stream(c, SEED)
        stream.start()
        for _ in range(KILLS):
            time.sleep(rnd.uniform(0.02, 0.5))  # the instant is what is random here
            c.kill9("ctld")
            c.start_ctld(wait=rnd.random() < 0.8)
        wait_for("the controller", lambda: c.run("scontrol", "ping").rc == 0)
        stream.finish()
        states = settle(c, stream.acked)
        with capsys.disabled():
            print("\nseed=%d controller_kills=%d refused_while_down=%d " % (SEED, KILLS, stream.refused), end="")
            check(c, stream.acked, stream.cancelled, states)
        assert len(stream.acked) > KILLS


def test_node_daemons_killed_at_random_instants(capsys):
    rnd = random.Random(SEED + 1)
    kills = max(4, KILLS // 5)
    with drill_cluster() as c:
        long = [c.sbatch("-o", "long.%j", wrap="echo up; sleep 20; echo end") for _ in range(2)]
        stream = Stream(c, SEED + 1)
        stream.start()
        for _ in range(kills):
            time.sleep(rnd.uniform(0.02, 0.4))
            name = rnd.choice(c.names)
            c.kill9("node-" + name)
            c.start_node(name)
        stream.finish()
        for j in long:
            assert c.wait_done(j, timeout=60) == "COMPLETED", "a job must outlive its node daemon"
            assert c.read("long.%d" % j) == "up\nend\n"
        states = settle(c, stream.acked)
        with capsys.disabled():
            print("\nseed=%d node_daemon_kills=%d " % (SEED + 1, kills), end="")
            check(c, stream.acked, stream.cancelled, states)


def supervisors(c):
    """pids of the supervisors of this cluster's steps, from their folders in the spools."""
    found = []
    for path in glob.glob(os.path.join(c.dir, "spool", "*", "step.*", "pid")):
        try:
            with open(path) as f:
                found.append(int(f.read().split()[0]))
        except (OSError, IndexError):
            pass  # it ended meanwhile
    return found


def test_a_killed_supervisor_fails_its_step_with_the_reason(capsys):
    with drill_cluster() as c:
        jobs = [c.sbatch("-o", "sup.%j", wrap="(setsid sleep 1000 &); echo up; sleep 1000") for _ in range(4)]
        for j in jobs:
            c.wait_file("sup.%d" % j, "up")
        pids = wait_for("the supervisors", lambda: (lambda p: p if len(p) == 4 else None)(supervisors(c)))
        for pid in pids:
            os.kill(pid, 9)
        for j in jobs:
            assert c.wait_done(j) == "FAILED"
            assert c.job(j)["Reason"] == "StepSupervisorDied"
        wait_for("no process left", lambda: not c.leftovers())
        wait_for("idle nodes", lambda: set(c.node_states().values()) == {"idle"})
        with capsys.disabled():
            print("\nsupervisor_kills=%d failed_with_reason=%d left=0" % (len(pids), len(jobs)))


def test_everything_killed_at_once_and_started_again():
    with drill_cluster() as c:
        job = c.sbatch("-o", "all.%j", wrap="echo up; sleep 6; echo end")
        held = c.sbatch("-H", "-o", "/dev/null", c.path)
        c.wait_file("all.%d" % job, "up")
        for name in ["ctld"] + ["node-" + n for n in c.names]:
            c.kill9(name)
        c.start_ctld()
        for n in c.names:
            c.start_node(n)
        assert c.wait_done(job) == "COMPLETED"
        assert c.read("all.%d" % job) == "up\nend\n"
        assert c.state(held) == "PENDING"
