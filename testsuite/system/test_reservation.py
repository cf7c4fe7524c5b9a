# SPDX-License-Identifier: Apache-2.0
"""Advance reservations through scontrol, sinfo, squeue and sbatch."""
import datetime
import json
import re

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized


@pytest.fixture
def cluster():
    with Cluster(nodes=2, cpus=4, conf="jobs = { kill_wait = 2; };") as c:
        yield c


def shown(cluster, name):
    r = cluster.run("scontrol", "-o", "show", "reservation", name)
    return dict(re.findall(r"(\S+?)=(\S*)", r.out)) if r.rc == 0 else {}


def create(cluster, name, *pairs):
    out = cluster.ok("scontrol", "create", "reservation=" + name, *pairs)
    assert out == "Reservation created: %s\n" % name


def test_its_users_run_inside_and_others_do_not(cluster, users):
    create(cluster, "lab", "StartTime=now", "Duration=60", "Nodes=n1", "Users=" + users[0])
    r = shown(cluster, "lab")
    assert (r["State"], r["Nodes"], r["NodeCnt"], r["Users"], r["Duration"], r["Flags"]) == \
        ("ACTIVE", "n1", "1", users[0], "01:00:00", "SPEC_NODES")
    assert cluster.node_states()["n1"] == "resv"
    inside = cluster.sbatch("--reservation=lab", "-o", "/dev/null", wrap="sleep 1000", user=users[0])
    cluster.wait_state(inside, "RUNNING")
    assert cluster.job(inside)["NodeList"] == "n1"
    assert cluster.ok("squeue", "-h", "-R", "lab", "-o", "%i %v").split() == [str(inside), "lab"]
    outside = cluster.sbatch("-w", "n1", "-o", "/dev/null", wrap="true", user=users[1])
    other = cluster.sbatch("-o", "/dev/null", wrap="true", user=users[1])
    assert cluster.wait_done(other) == "COMPLETED"
    assert cluster.job(other)["NodeList"] == "n2"
    assert cluster.state(outside) == "PENDING"
    r = cluster.run("sbatch", "--reservation=lab", "--wrap", "true", user=users[1])
    assert r.rc == 1 and "Access denied" in r.err and "lab" in r.err, r
    r = cluster.run("scontrol", "delete", "reservation=lab")
    assert r.rc == 1 and "in use" in r.err, r
    cluster.kill9("ctld")
    cluster.start_ctld()
    assert shown(cluster, "lab")["State"] == "ACTIVE"
    cluster.ok("scancel", inside)
    cluster.wait_done(inside)
    wait_for("it to be free", lambda: cluster.run("scontrol", "delete", "reservation=lab").rc == 0)
    assert cluster.wait_done(outside) == "COMPLETED"
    assert shown(cluster, "lab") == {}


def test_a_coming_one_keeps_long_jobs_away_and_ends_its_own(cluster, users):
    create(cluster, "soon", "StartTime=now+8", "Duration=0:10", "Nodes=ALL", "Users=" + users[0])
    assert shown(cluster, "soon")["State"] == "INACTIVE"
    long = cluster.sbatch("-t", "10", "-o", "/dev/null", wrap="true", user=users[1])
    own = cluster.sbatch("-t", "10", "--reservation=soon", "-o", "/dev/null", wrap="sleep 1000",
                         user=users[0])
    assert cluster.job(own)["Reason"] == "Reservation"
    assert cluster.state(long) == "PENDING"
    cluster.wait_state(own, "RUNNING")
    assert cluster.wait_done(own, timeout=40) == "TIMEOUT"
    assert cluster.wait_done(long) == "COMPLETED"


def test_maintenance_is_seen_and_listed(cluster):
    r = cluster.run("sinfo", "-T")
    assert "No reservations" in r.out
    create(cluster, "maint", "StartTime=now", "Duration=1-0", "Nodes=n2", "Users=root",
           "Flags=MAINT,IGNORE_JOBS")
    assert cluster.node_states() == {"n1": "idle", "n2": "maint"}
    lines = cluster.ok("sinfo", "-T").splitlines()
    assert lines[0].split() == ["RESV_NAME", "STATE", "START_TIME", "END_TIME", "DURATION", "NODELIST"]
    row = lines[1].split()
    assert (row[0], row[1], row[4], row[5]) == ("maint", "ACTIVE", "1-00:00:00", "n2")
    cluster.ok("scontrol", "update", "ReservationName=maint", "Flags+=DAILY", "Duration=2:00:00")
    assert shown(cluster, "maint")["Flags"] == "MAINT,DAILY,IGNORE_JOBS,SPEC_NODES"
    js = json.loads(cluster.ok("scontrol", "--json", "show", "reservation"))["reservations"]
    assert [r["name"] for r in js] == ["maint"]
    cluster.ok("scontrol", "delete", "ReservationName=maint")
    assert cluster.node_states() == {"n1": "idle", "n2": "idle"}


def test_what_waits_for_a_deleted_one_is_held(cluster, users):
    create(cluster, "gone", "StartTime=now+1hour", "Duration=60", "NodeCnt=1", "Users=" + users[0])
    job = cluster.sbatch("--reservation=gone", "-o", "/dev/null", wrap="true", user=users[0])
    cluster.ok("scontrol", "delete", "reservation=gone")
    assert cluster.ok("squeue", "-h", "-j", job, "-o", "%t").strip() == "RD"
    cluster.ok("scontrol", "release", job)
    assert cluster.wait_done(job) == "COMPLETED"


@pytest.mark.parametrize("pairs,words", [
    (["Duration=10", "Nodes=n1", "Users=root"], ["StartTime"]), (["StartTime=now", "Duration=5", "Users=root"], ["NodeCnt"]),
    (["StartTime=now", "Duration=5", "Nodes=n7", "Users=root"], ["n7"]),
    (["StartTime=now", "Duration=5", "Nodes=n1"], ["Users"]),
    (["StartTime=now", "Duration=5", "Nodes=n1", "Users=root", "Flags=REPLACE"], ["REPLACE", "not built"]),
    (["StartTime=now", "Duration=5", "CoreCnt=1", "Users=root"], ["CoreCnt", "not built"])])
def test_a_wrong_reservation_is_one_clear_line(cluster, pairs, words):
    r = cluster.run("scontrol", "create", "reservation=wrong", *pairs)
    assert r.rc == 1 and len(r.err.splitlines()) == 1, r
    for w in words:
        assert w in r.err, r
    assert shown(cluster, "wrong") == {}


def test_only_operators_reserve(cluster, users):
    for argv in (["create", "reservation=x", "StartTime=now", "Duration=5", "Nodes=n1", "Users=" + users[0]],
                 ["delete", "reservation=x"], ["update", "ReservationName=x", "Duration=1"]):
        r = cluster.run("scontrol", *argv, user=users[0])
        assert r.rc == 1 and "denied" in r.err, r
    r = cluster.run("sbatch", "--reservation=none", "--wrap", "true", user=users[0])
    assert r.rc == 1 and "reservation is invalid" in r.err, r


def test_a_limit_that_gives_way_starts_before_a_reservation(cluster):
    create(cluster, "noon", "StartTime=now+30minutes", "Duration=60", "Nodes=ALL", "Users=root")
    stiff = cluster.sbatch("-t", "60", "-o", "/dev/null", wrap="true")
    gives = cluster.sbatch("-t", "10", "--time-min=5", "-o", "/dev/null", wrap="true")
    assert cluster.wait_done(gives) == "COMPLETED"
    assert cluster.job(gives)["TimeLimit"] == "00:10:00"  # not lowered without need
    assert cluster.state(stiff) == "PENDING"
    r = cluster.run("sbatch", "-t", "5", "--time-min=6", "--wrap", "true")
    assert r.rc == 1 and "--time-min is over --time" in r.err, r


def span(text):
    day, _, clock = text.rpartition("T")
    return datetime.datetime.strptime(day + "T" + clock, "%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize("flag,days", [("DAILY", 1), ("WEEKLY", 7), ("WEEKDAY", None), ("WEEKEND", None)])
def test_one_that_recurs_moves_on_when_it_is_over(cluster, flag, days):
    create(cluster, "again", "StartTime=now", "Duration=0:02", "Nodes=n1", "Users=root", "Flags=" + flag)
    first = span(shown(cluster, "again")["StartTime"])
    wait_for("the next time", lambda: span(shown(cluster, "again")["StartTime"]) > first)
    then = span(shown(cluster, "again")["StartTime"])
    if days:
        assert (then.date() - first.date()).days == days and then.time() == first.time()
    else:
        assert (then.weekday() < 5) == (flag == "WEEKDAY")
    assert shown(cluster, "again")["State"] == "INACTIVE" and flag in shown(cluster, "again")["Flags"]


def test_flex_lets_its_jobs_begin_before_and_run_beside(cluster, users):
    create(cluster, "flex", "StartTime=now+30minutes", "Duration=60", "Nodes=n1", "Users=" + users[0], "Flags=FLEX")
    early = cluster.sbatch("--reservation=flex", "-N2", "-t", "5", "-o", "/dev/null", wrap="true", user=users[0])
    assert cluster.wait_done(early) == "COMPLETED"


def test_the_first_open_one_of_a_list_is_used(cluster, users):
    create(cluster, "later", "StartTime=now+1hour", "Duration=60", "Nodes=n1", "Users=" + users[0])
    create(cluster, "open", "StartTime=now", "Duration=60", "Nodes=n2", "Users=" + users[0])
    job = cluster.sbatch("--reservation=later,open", "-t", "5", "-o", "/dev/null", wrap="true", user=users[0])
    assert cluster.wait_done(job) == "COMPLETED" and cluster.job(job)["NodeList"] == "n2"
