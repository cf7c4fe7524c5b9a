# SPDX-License-Identifier: Apache-2.0
"""What the drills share: a stream of submissions and cancels that remembers what it was
promised, jobs that tell when they run twice, and the judgement at the end.

SLURMLIKE_SEED repeats a drill's choices; SLURMLIKE_KILLS sets how many daemons are killed."""
import os
import random
import threading
import time

from cluster import Cluster, FINAL, wait_for

SEED = int(os.environ.get("SLURMLIKE_SEED", random.randrange(1 << 30)))
KILLS = int(os.environ.get("SLURMLIKE_KILLS", "200"))
# mkdir succeeds once: a second run of the same run of a job leaves a line in `twice`
MARK = """#!/bin/sh
mkdir ran/$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0} || echo $SLURM_JOB_ID >>twice
exit 0
"""


class Stream(threading.Thread):
    """Submits, cancels and lists jobs until told to stop; keeps what was acknowledged."""

    def __init__(self, c, seed):
        super().__init__(daemon=True)
        self.c, self.rnd = c, random.Random(seed)
        self.acked, self.asked, self.cancelled, self.refused = [], set(), set(), 0
        self.stop_now = threading.Event()
        self.error = None

    def step(self):
        if self.acked and self.rnd.random() < 0.15:
            job = self.rnd.choice(self.acked[-20:])
            self.asked.add(job)
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


def drill_cluster(nodes=4, conf="", **kw):
    c = Cluster(nodes=nodes, conf="jobs = { keep = 3600; kill_wait = 2; };" + conf, start=False, **kw)
    prepare(c)
    c.start()
    return c


def prepare(c):
    c.path = c.script(MARK, name="mark.sh", shebang="")
    os.mkdir(os.path.join(c.work, "ran"), 0o777)
    os.chmod(os.path.join(c.work, "ran"), 0o1777)


def release_held(c):
    for j in c.ok("squeue", "-h", "-t", "PD", "-o", "%i").split():
        c.run("scontrol", "release", j)


def settle(c, acked):
    """The final state of each, from the accounting."""
    release_held(c)
    try:
        wait_for("an empty queue", lambda: not c.ok("squeue", "-h").strip(), 120)
    except AssertionError:
        raise AssertionError("stuck:\n" + c.ok("squeue"))
    rows = []
    for i in range(0, len(acked), 5000):
        rows += c.sacct("-X", "-a", "-j", ",".join(map(str, acked[i:i + 5000])), "-o", "JobIDRaw,State")
    states = {}
    for job, state in rows:
        assert int(job) not in states, "job %s has two records" % job
        states[int(job)] = state.split()[0]
    return states


def judge(c, stream, states, say):
    """Prints the counts and asserts the promises."""
    acked = stream.acked
    lost = [j for j in acked if j not in states]
    stuck = [j for j in acked if j in states and states[j] not in FINAL]
    ran = {}
    for name in os.listdir(os.path.join(c.work, "ran")):
        job, restart = map(int, name.split("."))
        ran.setdefault(job, []).append(restart)
    twice = (c.read("twice") or "").split() + [j for j, runs in ran.items() if len(runs) > 1]
    not_run = [j for j in acked if states.get(j) == "COMPLETED" and j not in ran]
    unasked = [j for j in acked if states.get(j) == "CANCELLED" and j not in stream.asked]
    failed = [j for j in acked if states.get(j) not in ("COMPLETED", "CANCELLED")]
    say("acknowledged=%d cancelled=%d refused=%d ran=%d lost=%d run_twice=%d stuck=%d"
        " completed_without_running=%d failed=%d"
        % (len(acked), len(stream.cancelled), stream.refused, len(ran), len(lost), len(twice),
           len(stuck), len(not_run), len(failed)))
    assert not lost and not twice and not stuck and not not_run and not unasked
    assert not failed, {j: states[j] for j in failed}
    assert len(set(acked)) == len(acked), "a job id was given twice"
