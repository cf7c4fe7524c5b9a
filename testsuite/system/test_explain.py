# SPDX-License-Identifier: Apache-2.0
"""Why a job waits, when it may start, what would start it sooner, and why one started when it
did: scontrol show job, squeue --start, sbatch --test-only, JSON."""
import datetime
import json
import re

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

CONF = '''licenses = "tool:3";
nodes = ( { names = "n[1-3]"; features = "a100"; }, { names = "n4"; features = "old"; } );
partitions = ( { name = "main"; nodes = "n[1-3]"; default = true; max_time = "7-0"; },
               { name = "spare"; nodes = "n4"; max_time = "1-0"; } );
accounting = { enforce = "associations,limits,qos"; };
jobs = { kill_wait = 2; };'''


@pytest.fixture(scope="module")
def cluster(users):
    with Cluster(nodes=4, cpus=4, conf=CONF) as c:
        c.ok("sacctmgr", "-i", "add", "account", "lab", "GrpTRES=cpu=6", "MaxJobs=10")
        c.ok("sacctmgr", "-i", "add", "user", users[0], "account=lab")
        yield c


@pytest.fixture(autouse=True)
def clean(cluster):
    yield
    cluster.end_jobs()
    cluster.wait_nodes("idle", 4)


def told(cluster, job):
    """{label: [values]} of what is said of the job, below Slurm's own fields."""
    out = {}
    for line in cluster.ok("scontrol", "show", "job", job).splitlines():
        m = re.match(r"   (HeldBy|ExpectedStart|Sooner|StartedBecause|PlacedBy)=(.*)", line)
        if m:
            out.setdefault(m.group(1), []).append(m.group(2))
    return out


def says(cluster, job, label, *words):
    return any(all(w in line for w in words) for line in told(cluster, job).get(label, []))


def items(cluster, job, *args):
    rows = json.loads(cluster.ok("squeue", "--json", "--start", "-j", job, *args))["jobs"]
    return {i["code"]: i for i in rows[0]["explain"]}


def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").timestamp()


def submit(cluster, *args, **kw):
    return str(cluster.sbatch("-o", "/dev/null", *args, wrap="sleep 1000", **kw))


def test_missing_nodes_the_start_and_what_would_be_sooner(cluster):
    runs = submit(cluster, "-N2", "-c4", "-t60")
    cluster.wait_state(runs, "RUNNING")
    wide = submit(cluster, "-N3", "-c4", "-t60", "-C", "a100")
    wait_for("its reason", lambda: cluster.job(wide)["Reason"] == "Resources")
    assert says(cluster, wide, "HeldBy", "waits for 2 more nodes with a100 in partition main",
                "asks for 3", "1 of 3 are free")
    assert says(cluster, wide, "ExpectedStart", "if running jobs use their full limits")
    start = cluster.job(runs)["StartTime"]
    found = items(cluster, wide)
    assert abs(found["start-by-limits"]["values"]["time"] - seconds(start) - 3600) <= 2
    assert found["nodes"]["values"]["missing"] == 2 and found["nodes"]["section"] == "held_by"
    # one that would delay it, and fits before it when it is short
    small = submit(cluster, "-N1", "-c4", "-t120")
    wait_for("its reason", lambda: cluster.job(small)["Reason"] == "Priority")
    assert says(cluster, small, "HeldBy", "1 job stands ahead", "job " + wide)
    assert says(cluster, small, "HeldBy", "promised to job " + wide)
    assert says(cluster, small, "Sooner", "in partition spare it would start now")
    assert says(cluster, small, "Sooner", "with a time limit of", "ahead of what is promised to job " + wide)
    update = items(cluster, small)["sooner-time"]["values"]["update"]
    cluster.ok("scontrol", "update", "jobid=" + small, update)
    cluster.wait_state(small, "RUNNING")
    assert says(cluster, small, "StartedBecause", "backfill", "job " + wide)
    assert says(cluster, small, "PlacedBy", "best fit")
    assert says(cluster, small, "PlacedBy", "NUMA")


def test_why_it_started_survives_a_crash(cluster):
    job = submit(cluster, "-N1", "-w", "n2")
    cluster.wait_state(job, "RUNNING")
    before = told(cluster, job)
    assert before["StartedBecause"] == ["what it asked for was free when it came"]
    assert before["PlacedBy"][0] == "its node list"
    cluster.kill9("ctld")
    cluster.start_ctld()
    cluster.wait_nodes("mix", 1)
    assert told(cluster, job) == before


def test_every_gate_is_told_not_only_the_reason(cluster):
    runs = submit(cluster, "-t30")
    cluster.wait_state(runs, "RUNNING")
    job = submit(cluster, "-H", "-d", "afterok:" + runs, "-b", "now+2hours", "-t10")
    assert cluster.job(job)["Reason"] == "JobHeldUser"
    assert says(cluster, job, "HeldBy", "held by its owner")
    assert says(cluster, job, "HeldBy", "waits for job %s (afterok), which is RUNNING until" % runs)
    assert says(cluster, job, "HeldBy", "not to start before")
    assert says(cluster, job, "ExpectedStart", "provided that it is released")


def test_a_license_that_is_missing(cluster):
    submit(cluster, "-L", "tool:2", "-t20")
    job = submit(cluster, "-L", "tool:2", "-t20")
    wait_for("its reason", lambda: cluster.job(job)["Reason"] == "Licenses")
    assert says(cluster, job, "HeldBy", "waits for 1 more of license tool: it asks for 2, 1 of 3 are free")
    assert says(cluster, job, "Sooner", "without its licenses it would start now")


def test_a_limit_with_its_value_and_use(cluster, users):
    first = submit(cluster, "-c4", "-t20", user=users[0])
    cluster.wait_state(first, "RUNNING")
    job = submit(cluster, "-c4", "-t20", user=users[0])
    wait_for("its reason", lambda: cluster.job(job)["Reason"] == "AssocGrpCpuLimit")
    assert says(cluster, job, "HeldBy", "limit GrpTRES=cpu of account lab: 4 of 6 are in use, and it asks for 4")
    assert says(cluster, job, "ExpectedStart", "not known until its limits let it start")
    assert says(cluster, job, "Sooner", "with 2 CPUs a task it would start now")


def test_a_partition_that_is_down(cluster):
    cluster.ok("scontrol", "update", "partitionname=spare", "state=DOWN")
    try:
        job = submit(cluster, "-p", "spare", "-t10")
        wait_for("its reason", lambda: cluster.job(job)["Reason"] == "PartitionDown")
        assert says(cluster, job, "HeldBy", "partition spare is down")
        assert says(cluster, job, "Sooner", "in partition main it would start now")
    finally:
        cluster.ok("scontrol", "update", "partitionname=spare", "state=UP")


def test_a_reservation_in_the_way(cluster):
    cluster.ok("scontrol", "create", "reservation=maint", "starttime=now+1hour", "duration=60",
               "nodes=n[1-3]", "users=root", "flags=maint")
    try:
        job = submit(cluster, "-t120")
        assert says(cluster, job, "HeldBy", "3 nodes that would suit are kept for reservation maint")
        assert says(cluster, job, "Sooner", "with a time limit of", "would start now")
        assert says(cluster, job, "Sooner", "in partition spare it would start now")
    finally:
        cluster.ok("scontrol", "delete", "reservationname=maint")


def test_squeue_start_fills_the_time_and_says_why_below(cluster):
    runs = submit(cluster, "-N3", "-c4", "-t60")
    cluster.wait_state(runs, "RUNNING")
    jobs = [submit(cluster, "-N3", "-c4", "-t60") for _ in range(3)]
    wait_for("all wait", lambda: all(cluster.job(j)["Reason"] in ("Resources", "Priority") for j in jobs))
    lines = cluster.ok("squeue", "--start", "-j", ",".join(jobs)).splitlines()
    assert lines[0].split() == ["JOBID", "PARTITION", "NAME", "USER", "ST", "START_TIME", "NODES",
                                "SCHEDNODES", "NODELIST(REASON)"]
    times = [line.split()[5] for line in lines[1:4]]
    first = seconds(cluster.job(runs)["StartTime"])
    assert all(abs(seconds(t) - first - 3600 * (i + 1)) <= 3 for i, t in enumerate(times)), lines
    assert any(line.startswith("    %s: 2 jobs stand ahead of it" % jobs[2]) for line in lines[4:]), lines
    # what a program reads is as Slurm's
    assert len(cluster.ok("squeue", "--start", "-h", "-j", ",".join(jobs)).splitlines()) == 3
    assert len(cluster.ok("squeue", "--start", "-o", "%i %S", "-j", ",".join(jobs)).splitlines()) == 4


def test_a_submission_that_is_only_tested(cluster):
    r = cluster.run("sbatch", "--test-only", "-t10", "--wrap", "true")
    assert r.rc == 0 and re.match(r"sbatch: Job .*to start at \S+", r.err.splitlines()[0]), r
    assert any("can start now" in line for line in r.err.splitlines()[1:]), r
    runs = submit(cluster, "-N3", "-c4", "-t60")
    cluster.wait_state(runs, "RUNNING")
    r = cluster.run("sbatch", "--test-only", "-N2", "-t10", "--wrap", "true")
    assert r.rc == 0 and r.out == "", r
    when = re.match(r"sbatch: Job .*to start at (\S+)", r.err.splitlines()[0]).group(1)
    assert abs(seconds(when) - seconds(cluster.job(runs)["StartTime"]) - 3600) <= 3
    assert "sbatch: waits for 2 more nodes in partition main: it asks for 2, and 0 of 3 are free" in r.err
    assert cluster.ok("squeue", "-h", "-t", "PENDING") == ""


def test_lists_and_lines_for_programs_keep_their_form(cluster):
    job = submit(cluster, "-N1")
    cluster.wait_state(job, "RUNNING")
    for args in (["-o", "show", "job", job], ["show", "jobs"]):
        assert "StartedBecause" not in cluster.ok("scontrol", *args)
    assert "StartedBecause" in cluster.ok("scontrol", "-d", "show", "jobs")
    row = json.loads(cluster.ok("scontrol", "--json", "show", "job", job))["jobs"][0]
    assert [i["section"] for i in row["explain"]][0] == "started_because"
    assert "explain" not in json.loads(cluster.ok("squeue", "--json"))["jobs"][0]
