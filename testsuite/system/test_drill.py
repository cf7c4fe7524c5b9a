# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each daemon at random instants under load: no acknowledged job lost, none run
twice, none stuck, no process left. Prints its counts (doc/measurements/drills)."""
import glob
import os
import random
import shutil
import signal
import threading
import time

from cluster import FINAL, wait_for
from drill import KILLS, SEED, Stream, drill_cluster, judge, settle


def printer(capsys, head):
    def say(text):
        with capsys.disabled():
            print("\n%s %s" % (head, text))
    return say


def test_controller_killed_at_random_instants(capsys):
    rnd = random.Random(SEED)
    with drill_cluster() as c:
        stream = Stream(c, SEED)
        stream.start()
        for _ in range(KILLS):
            time.sleep(rnd.uniform(0.01, 0.25))  # the instant is what is random here
            c.kill9("ctld")
            c.start_ctld(wait=rnd.random() < 0.8)
        wait_for("the controller", lambda: c.run("scontrol", "ping").rc == 0)
        stream.finish()
        states = settle(c, stream.acked)
        judge(c, stream, states, printer(capsys, "seed=%d controller_kills=%d" % (SEED, KILLS)))
        assert len(stream.acked) > KILLS


def test_node_daemons_killed_at_random_instants(capsys):
    rnd = random.Random(SEED + 1)
    with drill_cluster() as c:
        long = [c.sbatch("-o", "long.%j", wrap="echo up; until [ -e enough ]; do sleep 0.1; done; echo end")
                for _ in range(2)]
        stream = Stream(c, SEED + 1)
        stream.start()
        for _ in range(KILLS):
            time.sleep(rnd.uniform(0.01, 0.1))
            name = rnd.choice(c.names)
            c.kill9("node-" + name)
            c.start_node(name)
        c.script("", name="enough")
        stream.finish()
        for j in long:
            assert c.wait_done(j, timeout=60) == "COMPLETED", "a job must outlive its node daemon"
            assert c.read("long.%d" % j) == "up\nend\n"
        states = settle(c, stream.acked)
        judge(c, stream, states,
              printer(capsys, "seed=%d node_daemon_kills=%d jobs_survived=%d" % (SEED + 1, KILLS, len(long))))


def test_an_order_read_late_by_a_killed_daemons_zygote_starts_nothing_twice():
    with drill_cluster() as c:
        name = c.names[0]
        job = c.sbatch("-w", name, "-o", "/dev/null", c.path)  # so that there is a zygote
        assert c.wait_done(job) == "COMPLETED"
        daemon = c.procs["node-" + name].pid
        with open("/proc/%d/task/%d/children" % (daemon, daemon)) as f:
            zygote = int(f.read().split()[0])
        os.kill(zygote, signal.SIGSTOP)
        job = c.sbatch("-w", name, "-o", "/dev/null", c.path)
        c.wait_state(job, "RUNNING")  # the node has told so, after it gave the order
        c.kill9("node-" + name)
        c.start_node(name)
        # a daemon that does not wait for the zygote would run the job now, and then again
        time.sleep(1)
        os.kill(zygote, signal.SIGCONT)
        assert c.wait_done(job) == "COMPLETED"
        wait_for("the end of the old zygote", lambda: not os.path.exists("/proc/%d" % zygote))
        time.sleep(1)  # room for what must not happen
        assert "unknown supervisor" not in c.log("node-" + name)
        assert c.read("twice") is None


def supervisors(c):
    """pids of the supervisors of this cluster's steps, from their folders in the spools."""
    found = {}
    for path in glob.glob(os.path.join(c.dir, "spool", "*", "step.*", "pid")):
        try:
            with open(path) as f:
                found[int(path.split("/step.")[1].split(".")[0])] = int(f.read().split()[0])
        except (OSError, IndexError, ValueError):
            pass  # it ended meanwhile
    return found


def test_supervisors_killed_at_random_instants(capsys):
    """The step fails with its reason and no process is left, whatever the moment: while it
    starts, while it runs with children that left its session, while it ends."""
    rnd = random.Random(SEED + 2)
    kills = max(4, KILLS // 4)
    killed, jobs = set(), []
    with drill_cluster() as c:
        while len(killed) < kills:
            while len(c.ok("squeue", "-h", "-o", "%i").split()) < 8:
                jobs.append(c.sbatch("-o", "/dev/null",
                                     wrap="(setsid sleep 1000 &); sleep 0.%d" % rnd.randrange(10)))
            time.sleep(rnd.uniform(0, 0.03))
            alive = {j: p for j, p in supervisors(c).items() if j not in killed}
            if alive:
                job = rnd.choice(sorted(alive))
                try:
                    os.kill(alive[job], 9)
                    killed.add(job)
                except ProcessLookupError:
                    pass  # it was faster
        states = settle(c, jobs)
        failed = [j for j in killed if states[j] == "FAILED"]
        for j in failed:
            assert c.job(j)["Reason"] == "StepSupervisorDied", c.job(j)
        others = {j: states[j] for j in jobs if j not in failed and states[j] != "COMPLETED"}
        assert not others, others  # one killed after its job's end may have COMPLETED
        wait_for("no process left", lambda: not c.leftovers())
        wait_for("idle nodes", lambda: set(c.node_states().values()) == {"idle"})
        printer(capsys, "seed=%d" % (SEED + 2))(
            "supervisor_kills=%d jobs=%d failed_with_reason=%d ended_before_the_kill=%d left=0"
            % (len(killed), len(jobs), len(failed), len(killed) - len(failed)))
        assert len(failed) > kills // 2


def test_a_killed_supervisor_of_a_step_ends_srun(capsys):
    with drill_cluster() as c:
        p = c.popen("srun", "-n2", "sh", "-c", "echo up; exec sleep 1000")
        pids = wait_for("the supervisors", lambda: list(supervisors(c).values()))
        assert p.stdout.readline() == "up\n"
        os.kill(pids[0], 9)
        out, err = p.communicate(timeout=30)
        assert p.returncode != 0, (out, err)
        wait_for("no process left", lambda: not c.leftovers())


def test_a_supervisor_whose_spool_was_removed_ends_itself():
    with drill_cluster() as c:
        job = c.sbatch("-w", c.names[0], "-o", "gone.%j", wrap="echo up; sleep 1000")
        c.wait_file("gone.%d" % job, "up")
        pid = supervisors(c)[job]
        c.kill9("node-" + c.names[0])
        shutil.rmtree(os.path.join(c.dir, "spool", c.names[0]))
        wait_for("its end", lambda: not os.path.exists("/proc/%d/exe" % pid))
        wait_for("no process of the job", lambda: not c.leftovers())
        c.start_node(c.names[0])  # which knows nothing of it: the job is started anew
        wait_for("the requeued job", lambda: c.job(job).get("Restarts") == "1")
        c.wait_state(job, "RUNNING")


def test_everything_killed_at_once_and_started_again():
    with drill_cluster() as c:
        job = c.sbatch("-o", "all.%j", wrap="echo up; until [ -e enough ]; do sleep 0.1; done; echo end")
        short = c.sbatch("-o", "short.%j", wrap="until [ -e short ]; do sleep 0.1; done; echo end; touch over")
        held = c.sbatch("-H", "-o", "/dev/null", c.path)
        c.wait_file("all.%d" % job, "up")
        c.wait_state(short, "RUNNING")
        for name in ["ctld"] + ["node-" + n for n in c.names]:
            c.kill9(name)
        c.script("", name="short")  # ends while no daemon runs
        wait_for("the job's end", lambda: os.path.exists(os.path.join(c.work, "over")))
        c.start_ctld()
        for n in c.names:
            c.start_node(n)
        c.script("", name="enough")
        for j in (job, short):
            assert c.wait_done(j) == "COMPLETED"
        assert c.read("all.%d" % job) == "up\nend\n"
        assert c.read("short.%d" % short) == "end\n"
        assert c.state(held) == "PENDING"


MIXED = """#!/bin/sh
mkdir ran/$1.${SLURM_ARRAY_TASK_ID:-x}.${SLURM_RESTART_COUNT:-0} || echo $SLURM_JOB_ID >>twice
[ $SLURM_NNODES = $2 ] || echo $SLURM_JOB_ID >>wrong
sleep 0.$3
"""


def mixed_submit(c, rnd, tag, known):
    """An array, several nodes, a dependency: (job id, task ids) when acknowledged."""
    argv, tasks, nodes = [], [None], 1
    if rnd.random() < 0.3:
        n = rnd.randrange(1, 6)
        argv += ["--array=0-%d%s" % (n - 1, rnd.choice(["", "%2"]))]
        tasks = list(range(n))
    if rnd.random() < 0.3:
        nodes = rnd.randrange(2, 4)
        argv += ["-N%d" % nodes]
    if known and rnd.random() < 0.3:
        argv += ["-d", "afterany:%d" % rnd.choice(known[-10:])]
    r = c.run("sbatch", "--parsable", "-o", "/dev/null", *argv, c.path, tag, nodes, rnd.randrange(4))
    return (int(r.out.split(";")[0]), tasks) if r.rc == 0 else None


def test_arrays_dependencies_and_wide_jobs_under_kills_of_everything(capsys):
    rnd = random.Random(SEED + 3)
    kills = KILLS // 4
    with drill_cluster() as c:
        c.path = c.script(MIXED, name="mixed.sh", shebang="")
        stop, acked, known = threading.Event(), {}, []

        def submit():
            own, n = random.Random(SEED + 4), 0
            while not stop.is_set():
                n += 1
                done = mixed_submit(c, own, "t%d" % n, known)
                if done:
                    acked["t%d" % n] = done
                    known.append(done[0])
                time.sleep(0.02)
        stream = threading.Thread(target=submit, daemon=True)
        stream.start()
        for _ in range(kills):
            time.sleep(rnd.uniform(0.01, 0.3))
            for name in rnd.sample(["ctld"] + ["node-" + n for n in c.names], rnd.randrange(1, 4)):
                c.kill9(name)
                if name == "ctld":
                    c.start_ctld(wait=False)
                else:
                    c.start_node(name[5:])
        stop.set()
        stream.join(120)
        wait_for("the controller", lambda: c.run("scontrol", "ping").rc == 0)
        try:
            wait_for("an empty queue", lambda: not c.ok("squeue", "-h").strip(), 120)
        except AssertionError:
            raise AssertionError("stuck:\n" + c.ok("squeue"))
        ran = {}
        for mark in os.listdir(os.path.join(c.work, "ran")):
            tag, task, restart = mark.split(".")
            ran.setdefault((tag, task), []).append(restart)
        wanted = [(tag, "x" if t is None else str(t)) for tag, (_, tasks) in acked.items() for t in tasks]
        lost = [w for w in wanted if w not in ran]
        twice = (c.read("twice") or "").split() + [w for w in wanted if len(ran.get(w, ())) > 1]
        states = c.sacct("-X", "-a", "-S", "now-1day", "-o", "JobID,State")
        bad = [row for row in states if row[1] != "COMPLETED"]
        printer(capsys, "seed=%d" % (SEED + 3))(
            "kills=%d jobs=%d tasks=%d lost=%d run_twice=%d not_completed=%d"
            % (kills, len(acked), len(wanted), len(lost), len(twice), len(bad)))
        assert not lost and not twice and not bad and not c.read("wrong"), (lost, twice, bad)
        wait_for("idle nodes", lambda: set(c.node_states().values()) == {"idle"})
        wait_for("no process left", lambda: not c.leftovers())
