# SPDX-License-Identifier: Apache-2.0
"""Options for when and where a job runs, with the behaviour of sbatch(1) and scontrol(1)."""
import datetime
import re
import time

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

CONF = '''jobs = { kill_wait = 2; };
partitions = ( { name = "main"; default = true; },
               { name = "second"; nodes = "n[3-4]"; },
               { name = "upper"; priority_tier = 7; },
               { name = "whole"; exclusive = true; } );'''


@pytest.fixture(scope="module")
def four():
    with Cluster(nodes=4, cpus=4, memory="4G", gres="gpu:2", conf=CONF) as c:
        yield c


@pytest.fixture
def cluster(four):
    yield four
    four.rest()


def running(c, *args, wrap="sleep 1000"):
    job = c.sbatch("-o", "/dev/null", *args, wrap=wrap)
    c.wait_state(job, "RUNNING")
    return job


def waits(c, job, reason):
    wait_for("job %d to wait for %s, not %s" % (job, reason, c.job(job).get("Reason")),
             lambda: c.job(job)["Reason"] == reason)


def when(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")


# ---- when --------------------------------------------------------------------------------

def next_at(hour, minute=0):
    now = datetime.datetime.now()
    at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return at if at > now else at + datetime.timedelta(days=1)


@pytest.mark.parametrize("text,seconds", [
    ("now+60", 60), ("now+2minutes", 120), ("now+3hours", 3 * 3600), ("now+2days", 2 * 86400),
    ("now+1week", 7 * 86400)])
def test_begin_in_a_while(cluster, text, seconds):
    job = cluster.job(cluster.sbatch("--begin=" + text, wrap="true"))
    assert job["Reason"] == "BeginTime"
    late = (when(job["EligibleTime"]) - when(job["SubmitTime"])).total_seconds() - seconds
    assert abs(late) <= (3601 if seconds >= 86400 else 1), job  # a day may have 23 or 25 hours


@pytest.mark.parametrize("text,hour,minute", [
    ("midnight", 0, 0), ("noon", 12, 0), ("fika", 15, 0), ("teatime", 16, 0), ("05:06", 5, 6),
    ("5:06PM", 17, 6)])
def test_begin_at_a_time_of_day(cluster, text, hour, minute):
    before = next_at(hour, minute)
    job = cluster.job(cluster.sbatch("--begin=" + text, wrap="true"))
    assert when(job["EligibleTime"]) in (before, next_at(hour, minute)), job


@pytest.mark.parametrize("text,want", [
    ("2035-10-11", "2035-10-11T00:00:00"), ("2035-10-11T12:13", "2035-10-11T12:13:00"),
    ("2035-10-11T12:13:14", "2035-10-11T12:13:14"), ("10/11/35", "2035-10-11T00:00:00"),
    ("101135", "2035-10-11T00:00:00")])
def test_begin_on_a_day(cluster, text, want):
    assert cluster.job(cluster.sbatch("--begin=" + text, wrap="true"))["EligibleTime"] == want


def test_a_wrong_begin_is_one_clear_line(cluster):
    for text in ("soon", "25:00", "now+3fortnights", "2035-13-01"):
        r = cluster.run("sbatch", "--begin=" + text, "--wrap", "true")
        assert r.rc == 1 and "--begin" in r.err and text in r.err, r


def test_a_job_that_can_not_end_by_its_deadline_is_removed(cluster):
    full = running(cluster, "-N4", "--exclusive")
    job = cluster.sbatch("-t", "10", "--deadline=now+603", "-N4", "--exclusive", wrap="true")
    other = cluster.sbatch("-t", "60", "--time-min=10", "--deadline=now+1hour", "-N4", "--exclusive", wrap="true")
    assert cluster.wait_done(job) == "DEADLINE"  # in a second or two, not in ten minutes
    assert cluster.job(job)["Reason"] == "DeadLine"
    assert cluster.state(other) == "PENDING"
    cluster.ok("scancel", full)
    assert cluster.wait_done(other) == "COMPLETED"
    shown = cluster.job(other)
    h, m, s = shown["TimeLimit"].split(":")
    assert int(h) * 3600 + int(m) * 60 + int(s) < 3600, shown  # lowered to end in time


def test_a_deadline_that_is_too_near_is_refused(cluster):
    r = cluster.run("sbatch", "-t", "10", "--deadline=now+5minutes", "--wrap", "true")
    assert r.rc == 1 and "deadline" in r.err.lower(), r
    assert cluster.run("squeue", "-h").out == ""


def test_nice_moves_behind_and_only_operators_move_ahead(cluster, users):
    full = running(cluster, "-N4", "--exclusive")
    a, b, c = (cluster.sbatch("-N4", "--exclusive", "-o", "/dev/null", *args, wrap="date +%s.%N > nice.$SLURM_JOB_ID")
               for args in (["--nice=500"], [], ["--nice=-500"]))
    assert [int(x) for x in cluster.ok("squeue", "-h", "-t", "PD", "-S", "-p", "-o", "%A").split()] == [c, b, a]
    cluster.ok("scancel", full)
    for j in (a, b, c):
        assert cluster.wait_done(j) == "COMPLETED"
    at = [float(cluster.read("nice.%d" % j)) for j in (c, b, a)]
    assert at == sorted(at)
    r = cluster.run("sbatch", "--nice=-1", "--wrap", "true", user=users[0])
    assert r.rc == 1 and "--nice" in r.err, r
    r = cluster.run("sbatch", "--nice=x", "--wrap", "true")
    assert r.rc == 1 and "x" in r.err, r


def test_priority_is_the_operators(cluster, users):
    full = running(cluster, "-N4", "--exclusive")
    low = cluster.sbatch("--priority=3", "-N4", wrap="true")
    top = cluster.sbatch("--priority=TOP", "-N4", wrap="true")
    assert cluster.job(low)["Priority"] == "3" and int(cluster.job(top)["Priority"]) >= 4294967293
    held = cluster.sbatch("--priority=0", wrap="true")
    assert cluster.job(held)["Reason"] in ("JobHeldUser", "JobHeldAdmin")
    r = cluster.run("sbatch", "--priority=9", "--wrap", "true", user=users[0])
    assert r.rc == 1 and "--priority" in r.err, r
    cluster.ok("scancel", full, low, top, held)


# ---- where -------------------------------------------------------------------------------

def test_of_several_partitions_the_one_that_can_start_first(cluster):
    full = running(cluster, "-N2", "--exclusive", "-w", "n[3-4]")
    job = cluster.sbatch("-p", "second,main", "-o", "/dev/null", wrap="sleep 1000")
    cluster.wait_state(job, "RUNNING")
    assert cluster.job(job)["Partition"] == "main"
    both = cluster.sbatch("-p", "second,main", "-N4", "--exclusive", "-H", "-o", "/dev/null", wrap="sleep 1000")
    assert cluster.job(both)["Partition"] == "second,main"
    cluster.ok("scancel", full, job, both)


def test_the_partition_of_the_higher_tier_is_considered_first(cluster):
    job = running(cluster, "-p", "main,upper")
    assert cluster.job(job)["Partition"].split(",")[0] == "upper"
    cluster.ok("scontrol", "requeue", job)
    wait_for("the second run", lambda: cluster.job(job)["Restarts"] == "1" and cluster.state(job) == "RUNNING")
    cluster.ok("scancel", job)
    r = cluster.run("sbatch", "-p", "main,nowhere", "--wrap", "true")
    assert r.rc == 1 and "invalid partition specified: nowhere" in r.err, r


def test_exclusive_takes_all_but_the_memory(cluster):
    job = running(cluster, "--exclusive", "-n1", "--mem=1G", "-w", "n1")
    tres = cluster.job(job)["AllocTRES"]
    assert "cpu=4" in tres and "mem=1G" in tres and "gres/gpu=2" in tres, tres
    other = cluster.sbatch("-n1", "--mem=1G", "-w", "n1", "-o", "/dev/null", wrap="true")
    waits(cluster, other, "Resources")
    cluster.ok("scancel", job)
    assert cluster.wait_done(other) == "COMPLETED"


def test_exclusive_waits_for_an_empty_node_and_a_partition_may_ask_for_it(cluster):
    small = running(cluster, "-n1", "--mem=100", "-w", "n1")
    alone = cluster.sbatch("--exclusive", "-w", "n1", "-o", "/dev/null", wrap="true")
    waits(cluster, alone, "Resources")
    cluster.ok("scancel", small)
    assert cluster.wait_done(alone) == "COMPLETED"
    whole = running(cluster, "-p", "whole", "-n1", "--mem=100", "-w", "n2")
    beside = cluster.sbatch("-n1", "--mem=100", "-w", "n2", "-o", "/dev/null", wrap="true")
    waits(cluster, beside, "Resources")
    cluster.ok("scancel", whole)
    assert cluster.wait_done(beside) == "COMPLETED"


def test_contiguous_nodes_have_no_gap(cluster):
    running(cluster, "--exclusive", "-w", "n2")
    job = running(cluster, "-N2", "--contiguous")
    assert cluster.job(job)["NodeList"] == "n[3-4]"
    cluster.ok("scancel", job)
    loose = running(cluster, "-N3", "-n3")
    assert cluster.job(loose)["NodeList"] == "n[1,3-4]"
    cluster.ok("scancel", loose)
    cluster.wait_done(loose)
    waits(cluster, cluster.sbatch("-N3", "--contiguous", wrap="true"), "Resources")


def test_nodelist_forms(cluster):
    job = running(cluster, "-w", "n3,n2,n3")  # once each, sorted
    assert cluster.job(job)["NodeList"] == "n[2-3]"
    cluster.ok("scancel", job)
    job = running(cluster, "-w", "n4", "-N3")  # and others as needed
    nodes = cluster.ok("scontrol", "show", "hostnames", cluster.job(job)["NodeList"]).split()
    assert len(nodes) == 3 and "n4" in nodes
    cluster.ok("scancel", job)
    with open(cluster.work + "/nodes", "w") as f:
        f.write("n3\nn[1,3]\n")
    for args in (["-w", "./nodes"], ["-F", "nodes"]):
        job = running(cluster, *args)
        assert cluster.job(job)["NodeList"] == "n[1,3]"
        cluster.ok("scancel", job)
    job = running(cluster, "-x", "n[1-2],n4")
    assert cluster.job(job)["NodeList"] == "n3"


@pytest.mark.parametrize("args,words", [
    (["-w", "n9"], ["Invalid node name", "n9"]), (["-w", "./none"], ["none"]),
    (["-w", "n1", "-x", "n1"], ["Requested node configuration is not available"]),
    (["-x", "n[1-4]"], ["Requested node configuration is not available"]),
    (["-p", "second", "-w", "n1"], ["Requested node configuration is not available"]),
    (["-w", "n["], ["n["])])
def test_wrong_nodes_are_named(cluster, args, words):
    r = cluster.run("sbatch", *args, "--wrap", "true")
    assert r.rc == 1, r
    for w in words:
        assert w in r.err, r


def test_an_arrays_throttle_can_be_changed(cluster):
    a = cluster.sbatch("--array=0-5%1", "-n1", "--mem=100", "-o", "/dev/null", wrap="sleep 1000")
    count = lambda: len(cluster.ok("squeue", "-h", "-r", "-j", a, "-t", "R").splitlines())  # noqa: E731
    wait_for("one to run", lambda: count() == 1)
    cluster.ok("scontrol", "update", "JobId=%d" % a, "ArrayTaskThrottle=3")
    wait_for("three to run", lambda: count() == 3)
    assert cluster.ok("squeue", "-h", "-j", a, "-t", "PD", "-o", "%r").split() == ["JobArrayTaskLimit"]
    cluster.ok("scontrol", "update", "JobId=%d" % a, "ArrayTaskThrottle=0")  # none
    wait_for("all to run", lambda: count() == 6)


# ---- before others -------------------------------------------------------------------------

@pytest.mark.parametrize("kind,passes", [("none", False), ("easy", True), ("conservative", True)])
def test_backfill_fills_what_no_one_is_promised(kind, passes):
    with Cluster(nodes=2, cpus=2, conf='scheduler = { backfill = "%s"; };' % kind) as c:
        running(c, "-N1", "-n2", "-t", "60", "-w", "n1")
        wide = c.sbatch("-N2", "-n4", "-t", "60", "-o", "/dev/null", wrap="true")
        waits(c, wide, "Resources")
        long = c.sbatch("-n1", "-t", "2:00:00", "-o", "/dev/null", wrap="true")
        short = c.sbatch("-n1", "-t", "10", "-o", "/dev/null", wrap="true")
        if passes:
            assert c.wait_done(short) == "COMPLETED"
        else:
            waits(c, short, "Priority")
        waits(c, long, "Priority")
        assert c.state(wide) == "PENDING" and c.job(wide)["StartTime"] != "Unknown"
