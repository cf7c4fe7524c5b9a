# SPDX-License-Identifier: Apache-2.0
"""Batch jobs as their users see them: sbatch(1), scancel(1), scontrol(1), sacct(1)."""
import os
import re

import pytest

from cluster import PREFIX, Cluster, wait_for

pytestmark = pytest.mark.sanitized


def test_a_script_runs_and_its_output_arrives(cluster):
    path = cluster.script("#SBATCH --job-name=hello\n#SBATCH -n 2\necho hi from $SLURM_JOB_NAME\n")
    out = cluster.ok("sbatch", path)
    job = int(re.fullmatch(r"Submitted batch job (\d+)\n", out).group(1))
    assert cluster.wait_done(job) == "COMPLETED"
    assert cluster.read("slurm-%d.out" % job) == "hi from hello\n"
    assert cluster.job(job)["ExitCode"] == "0:0"


def test_wrap_stdin_and_arguments(cluster):
    a = cluster.sbatch("-o", "a.%j", wrap="echo wrapped")
    b = cluster.sbatch("-o", "b.%j", stdin="#!/bin/sh\necho from stdin\n")
    path = cluster.script("echo args $1 $2\n", name="args.sh")
    c = cluster.sbatch("-o", "c.%j", path, "one", "two")
    for j in (a, b, c):
        assert cluster.wait_done(j) == "COMPLETED"
    assert cluster.read("a.%d" % a) == "wrapped\n"
    assert cluster.read("b.%d" % b) == "from stdin\n"
    assert cluster.read("c.%d" % c) == "args one two\n"


@pytest.mark.parametrize("body,state,code", [
    ("exit 0", "COMPLETED", "0:0"), ("exit 7", "FAILED", "7:0"), ("kill -9 $$", "FAILED", "0:9")])
def test_exit_code_is_recorded(cluster, body, state, code):
    job = cluster.sbatch("-o", "/dev/null", wrap=body)
    assert cluster.wait_done(job) == state
    assert cluster.job(job)["ExitCode"] == code
    rows = cluster.sacct("-j", job, "-o", "JobID,State,ExitCode")
    assert rows[0] == [str(job), state, code]
    assert rows[1][0] == "%d.batch" % job


def test_stderr_has_its_own_file_when_asked(cluster):
    job = cluster.sbatch("-o", "o.%j", "-e", "e.%j", wrap="echo out; echo err >&2")
    cluster.wait_done(job)
    assert cluster.read("o.%d" % job) == "out\n"
    assert cluster.read("e.%d" % job) == "err\n"


def test_the_environment_of_the_submitter_and_of_the_job(cluster):
    job = cluster.sbatch("-n3", "-o", "env.%j", wrap="env", env={"MY_OWN": "value"})
    cluster.wait_done(job)
    env = dict(l.split("=", 1) for l in cluster.read("env.%d" % job).splitlines() if "=" in l)
    assert env["MY_OWN"] == "value"
    assert env["SLURM_JOB_ID"] == str(job)
    assert env["SLURM_NTASKS"] == "3"
    assert env["SLURM_JOB_NUM_NODES"] == "1"
    assert env["SLURM_SUBMIT_DIR"] == cluster.work
    assert env["SLURM_JOB_NODELIST"] in cluster.names
    assert os.path.exists(env["SLURMLIKE_CONF"])


def test_cancel_of_a_pending_and_of_a_running_job(cluster):
    held = cluster.sbatch("-H", wrap="true")
    assert cluster.state(held) == "PENDING"
    assert cluster.job(held)["Reason"] == "JobHeldUser"
    cluster.ok("scancel", held)
    assert cluster.wait_done(held) == "CANCELLED"
    job = cluster.sbatch("-o", "c.%j", wrap="echo started; sleep 1000")
    cluster.wait_file("c.%d" % job, "started")
    cluster.ok("scancel", job)
    assert cluster.wait_done(job) == "CANCELLED"
    assert "CANCELLED AT" in cluster.read("c.%d" % job)
    assert not cluster.leftovers()


def test_cancel_of_a_finished_job_changes_nothing(cluster):
    job = cluster.sbatch("-o", "/dev/null", wrap="true")
    assert cluster.wait_done(job) == "COMPLETED"
    cluster.run("scancel", job)
    assert cluster.state(job) == "COMPLETED"


def test_children_that_left_the_session_are_ended_too(cluster):
    job = cluster.sbatch("-o", "d.%j", wrap="setsid sleep 1000 & (setsid sh -c 'sleep 1001' &) ; echo up; sleep 1000")
    cluster.wait_file("d.%d" % job, "up")
    cluster.ok("scancel", job)
    assert cluster.wait_done(job) == "CANCELLED"
    assert not cluster.leftovers()


def test_a_term_handler_gets_its_chance_within_kill_wait(cluster):
    job = cluster.sbatch("-o", "t.%j", wrap="trap 'echo saved; exit 3' TERM; echo up; while :; do sleep 0.05; done")
    cluster.wait_file("t.%d" % job, "up")
    cluster.ok("scancel", job)
    assert cluster.wait_done(job) == "CANCELLED"
    assert "saved" in cluster.read("t.%d" % job)


def test_hold_and_release(cluster):
    job = cluster.sbatch("-H", "-o", "/dev/null", wrap="true")
    cluster.ok("scontrol", "release", job)
    assert cluster.wait_done(job) == "COMPLETED"


def test_sacct_shows_a_job_cancelled_while_held(cluster):
    job = cluster.sbatch("-H", wrap="true")
    waiting = [r[0] for r in cluster.sacct("-X", "-S", "now-1hour", "-o", "JobID")]
    assert str(job) not in waiting, "one that is not eligible does not wait for resources: sacct(1) -s"
    cluster.ok("scancel", job)
    assert [str(job), "CANCELLED by 0", "Unknown"] in cluster.sacct(
        "-X", "-S", "now-1hour", "-o", "JobID,State,Eligible")


def test_requeue_runs_the_job_again(cluster):
    job = cluster.sbatch("-o", "r.%j", "--requeue", "--open-mode=append",
                         wrap="echo run $SLURM_RESTART_COUNT; [ -n \"$SLURM_RESTART_COUNT\" ] || sleep 1000")
    cluster.wait_file("r.%d" % job, "run")
    cluster.ok("scontrol", "requeue", job)
    assert cluster.wait_done(job) == "COMPLETED"
    assert "run 1" in cluster.read("r.%d" % job)


def test_suspend_stops_and_resume_goes_on(cluster):
    job = cluster.sbatch("-o", "s.%j", wrap="echo up; while :; do date +%s%N > s.now; sleep 0.02; done")
    cluster.wait_file("s.%d" % job, "up")
    cluster.ok("scontrol", "suspend", job)
    cluster.wait_state(job, "SUSPENDED")

    def quiet():
        a = cluster.read("s.now")
        import time
        time.sleep(0.3)
        return a == cluster.read("s.now")
    wait_for("the job to stand still", quiet)
    before = cluster.read("s.now")
    cluster.ok("scontrol", "resume", job)
    cluster.wait_state(job, "RUNNING")
    wait_for("the job to go on", lambda: cluster.read("s.now") not in (before, ""))
    cluster.ok("scancel", job)
    cluster.wait_done(job)


def test_an_array_runs_each_task_once(cluster):
    job = cluster.sbatch("--array=1-5%2", "-o", "arr.%A.%a", wrap="echo task $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_JOB_ID")
    wait_for("the array to end", lambda: not cluster.ok("squeue", "-h", "-j", job, "-t", "PD,R,CG"))
    for i in range(1, 6):
        assert cluster.read("arr.%d.%d" % (job, i)) == "task %d of %d\n" % (i, job)
    rows = cluster.sacct("-X", "-j", job, "-o", "JobID,State")
    assert sorted(rows) == [["%d_%d" % (job, i), "COMPLETED"] for i in range(1, 6)]


def test_dependencies_afterok_and_afternotok(cluster):
    bad = cluster.sbatch("-H", "-o", "/dev/null", wrap="exit 1")
    ok = cluster.sbatch("-o", "/dev/null", "-d", "afterok:%d" % bad, wrap="true")
    notok = cluster.sbatch("-o", "/dev/null", "-d", "afternotok:%d" % bad, wrap="true")
    assert cluster.job(ok)["Reason"] == "Dependency"
    cluster.ok("scontrol", "release", bad)
    assert cluster.wait_done(notok) == "COMPLETED"
    wait_for("the reason", lambda: cluster.job(ok).get("Reason") == "DependencyNeverSatisfied")
    cluster.ok("scancel", ok)


def test_resources_are_not_given_twice(cluster):
    jobs = [cluster.sbatch("-n4", "-o", "/dev/null", wrap="sleep 1000") for _ in range(3)]
    for j in jobs[:2]:
        cluster.wait_state(j, "RUNNING")
    assert cluster.state(jobs[2]) == "PENDING"
    wait_for("a reason", lambda: cluster.job(jobs[2])["Reason"] in ("Resources", "Priority"))
    assert sorted(cluster.node_states().values()) == ["alloc", "alloc"]
    for j in jobs:
        cluster.ok("scancel", j)
    for j in jobs:
        cluster.wait_done(j)
    cluster.wait_nodes()


def test_time_limit_ends_a_job(cluster):
    with Cluster(nodes=1, conf="jobs = { kill_wait = 1; };") as c:
        job = c.sbatch("-t", "0:02", "-o", "l.%j", wrap="trap '' TERM; echo up; sleep 1000 & wait; sleep 1000")
        assert c.wait_done(job, timeout=40) == "TIMEOUT"
        assert "DUE TO TIME LIMIT" in c.read("l.%d" % job)
        assert c.sacct("-X", "-j", job, "-o", "State") == [["TIMEOUT"]]


def test_sbatch_wait_gives_the_jobs_exit_code(cluster):
    assert cluster.run("sbatch", "--wait", "-o", "/dev/null", "--wrap", "exit 5").rc == 5
    assert cluster.run("sbatch", "--wait", "-o", "/dev/null", "--wrap", "exit 0").rc == 0


def test_drain_keeps_new_jobs_away_and_resume_brings_them_back(cluster):
    cluster.ok("scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=disk")
    cluster.ok("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=disk")
    job = cluster.sbatch("-o", "/dev/null", wrap="true")
    assert cluster.state(job) == "PENDING"
    assert "disk" in cluster.ok("scontrol", "show", "node", "n1")
    assert cluster.node_states() == {"n1": "drain", "n2": "drain"}
    for n in ("n1", "n2"):
        cluster.ok("scontrol", "update", "NodeName=" + n, "State=RESUME")
    assert cluster.wait_done(job) == "COMPLETED"


def test_options_may_stand_behind_other_words(cluster):
    job = cluster.sbatch("-o", "/dev/null", wrap="sleep 100")
    cluster.wait_state(job, "RUNNING")
    assert "CPU_IDs=" in cluster.ok("scontrol", "show", "job", job, "-d")
    cluster.ok("scancel", job, "--quiet")
    assert cluster.wait_done(job) == "CANCELLED"


def test_a_step_is_accounted_with_its_gres():
    with Cluster(nodes=1, gres="gpu:a100:2") as c:
        job = c.sbatch("--gres=gpu:2", "-o", "/dev/null", wrap="true")
        c.wait_done(job)
        rows = dict(c.sacct("-j", job, "-o", "JobID,AllocTRES"))
        assert "gres/gpu=2" in rows[str(job)].split(",")
        assert "gres/gpu=2" in rows["%d.batch" % job].split(",")


def test_squeue_names_the_waiting_tasks_of_an_array(cluster):
    job = cluster.sbatch("-H", "--array=0-9,20%3", "-o", "/dev/null", wrap="true")
    for args in ([], ["-o", "%i"], ["-o", "%i %N"]):
        assert "%d_[0-9,20%%3]" % job in cluster.ok("squeue", "-h", *args)
    cluster.ok("scancel", job)


def test_a_job_over_its_memory_is_ended_and_says_so():
    with Cluster(nodes=1, conf="jobs = { sample_interval = 1; };") as c:
        job = c.sbatch("--mem=50M", "-o", "oom.%j", "--wrap", "sleep 100 & exec python3 -c "
                       "'x = bytearray(b\"x\") * (200 << 20); import time; time.sleep(100)'")
        assert c.wait_done(job) == "OUT_OF_MEMORY"
        assert "memory limit" in c.read("oom.%d" % job)
        assert c.sacct("-X", "-j", job, "-o", "State") == [["OUT_OF_MEMORY"]]
        rss = c.sacct("-j", "%d.batch" % job, "-o", "MaxRSS")[0][0]
        assert int(rss.rstrip("K")) > 50 << 10


def test_nodes_are_taken_in_the_order_of_their_names():
    with Cluster(nodes=0) as c:
        for n in ("n10", "n2", "n1"):  # not the order in which they come up
            c.start_node(n)
            c.names.append(n)
            c.wait_nodes(count=len(c.names))
        job = c.sbatch("-N2", "-n2", "-o", "/dev/null", wrap="true")
        c.wait_done(job)
        assert c.job(job)["NodeList"] == "n[1-2]"


def test_a_node_needs_no_configuration_but_the_controllers_address():
    with Cluster(nodes=0) as c:
        argv = [os.path.join(PREFIX, "sbin/slurmlike-d"), "--name", "bare", "--addr", "127.0.0.1",
                "--port", "0", "--spool", c.dir + "/bare", "--munge-socket",
                c.dir + "/munge/socket", "--topology", "synthetic:core:2 pu:1",
                "--config", c.script("", name="empty.conf", shebang=""),
                "--controller", "%s@127.0.0.1:%d" % (c.ctld_user, c.port)]
        c.spawn("node-bare", argv)
        c.wait_nodes(count=1)
        job = c.sbatch("-o", "bare.%j", wrap="echo $SLURMD_NODENAME")
        assert c.wait_done(job) == "COMPLETED"
        assert c.read("bare.%d" % job) == "bare\n"
