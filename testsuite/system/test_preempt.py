# SPDX-License-Identifier: Apache-2.0
"""Preemption by the tier of a partition: cancelled, requeued, with time to save, left alone."""
import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

CONF = '''scheduler = { preempt = "partition"; };
jobs = { kill_wait = 2; };
partitions = ( { name = "low"; default = true; },
               { name = "high"; priority_tier = 10; },
               { name = "once"; preempt_mode = "cancel"; },
               { name = "kept"; preempt_mode = "off"; },
               { name = "slow"; grace_time = 20; preempt_mode = "cancel"; } );'''


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=1, cpus=2, conf=CONF) as c:
        yield c


def running(cluster, part, *args, wrap="sleep 1000"):
    job = cluster.sbatch("-p", part, "-n2", "-o", "/dev/null", *args, wrap=wrap)
    cluster.wait_state(job, "RUNNING")
    return job


def test_a_requeued_victim_runs_again_behind(cluster):
    low = running(cluster, "low")
    high = cluster.sbatch("-p", "high", "-n2", "-o", "/dev/null", wrap="sleep 1")
    cluster.wait_state(high, "RUNNING")
    assert cluster.state(low) == "PENDING"
    assert cluster.wait_done(high) == "COMPLETED"
    cluster.wait_state(low, "RUNNING")
    assert cluster.job(low)["Restarts"] == "1"
    rows = cluster.sacct("-j", low, "-D", "-X", "-o", "State")
    assert rows[0][0] == "PREEMPTED", rows
    cluster.ok("scancel", low)
    cluster.wait_done(low)


@pytest.mark.parametrize("part,args", [("once", []), ("low", ["--no-requeue"])])
def test_one_that_may_not_run_again_is_over(cluster, part, args):
    low = running(cluster, part, *args)
    high = cluster.sbatch("-p", "high", "-n2", "-o", "/dev/null", wrap="true")
    assert cluster.wait_done(high) == "COMPLETED"
    assert cluster.ok("squeue", "-h", "-t", "all", "-j", low, "-o", "%t %T").split() == ["PR", "PREEMPTED"]


def test_a_victim_has_its_grace_to_save(cluster):
    low = running(cluster, "slow", "-o", "grace.out",
                  wrap="trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.1; done")
    cluster.wait_file("grace.out", "up")
    high = cluster.sbatch("-p", "high", "-n2", "-o", "/dev/null", wrap="true")
    cluster.wait_file("grace.out", "saved")
    assert cluster.wait_done(low) == "COMPLETED"
    assert cluster.wait_done(high) == "COMPLETED"


def test_a_protected_job_is_waited_for(cluster):
    kept = running(cluster, "kept")
    high = cluster.sbatch("-p", "high", "-n1", "-o", "/dev/null", wrap="true")
    wait_for("the reason", lambda: cluster.job(high)["Reason"] == "Resources")
    assert cluster.state(kept) == "RUNNING"
    cluster.ok("scancel", kept)
    assert cluster.wait_done(high) == "COMPLETED"


# ---- by QOS ------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def ranked():
    with Cluster(nodes=1, cpus=2, conf='scheduler = { preempt = "qos"; }; jobs = { kill_wait = 2; };') as c:
        for words in (["low"], ["cancelled", "PreemptMode=cancel"], ["slow", "PreemptMode=cancel", "GraceTime=20"],
                      ["equal"], ["high", "Preempt=low,cancelled,slow"]):
            c.ok("sacctmgr", "-i", "add", "qos", *words)
        yield c


@pytest.mark.parametrize("qos,then", [("low", "PENDING"), ("cancelled", "PREEMPTED")])
def test_a_qos_preempts_those_it_lists_as_their_mode_says(ranked, qos, then):
    low = ranked.sbatch("-q", qos, "-n2", "-o", "/dev/null", wrap="sleep 1000")
    ranked.wait_state(low, "RUNNING")
    high = ranked.sbatch("-q", "high", "-n2", "-o", "/dev/null", wrap="sleep 1")
    ranked.wait_state(high, "RUNNING", "COMPLETED")
    assert ranked.state(low) in (then, "RUNNING")
    assert ranked.wait_done(high) == "COMPLETED"
    assert ranked.sacct("-j", low, "-D", "-X", "-o", "State")[0][0] == "PREEMPTED"
    ranked.run("scancel", low)
    wait_for("an empty queue", lambda: ranked.run("squeue", "-h").out == "")


def test_a_qos_gives_its_jobs_time_to_save(ranked):
    low = ranked.sbatch("-q", "slow", "-n2", "-o", "qos.out",
                        wrap="trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.1; done")
    ranked.wait_file("qos.out", "up")
    high = ranked.sbatch("-q", "high", "-n2", "-o", "/dev/null", wrap="true")
    ranked.wait_file("qos.out", "saved")
    assert ranked.wait_done(low) == "COMPLETED"
    assert ranked.wait_done(high) == "COMPLETED"


def test_a_qos_leaves_those_alone_that_it_does_not_list(ranked):
    equal = ranked.sbatch("-q", "equal", "-n2", "-o", "/dev/null", wrap="sleep 1000")
    ranked.wait_state(equal, "RUNNING")
    high = ranked.sbatch("-q", "high", "-n1", "-o", "/dev/null", wrap="true")
    wait_for("the reason", lambda: ranked.job(high)["Reason"] == "Resources")
    assert ranked.state(equal) == "RUNNING"
    ranked.ok("scancel", equal)
    assert ranked.wait_done(high) == "COMPLETED"
