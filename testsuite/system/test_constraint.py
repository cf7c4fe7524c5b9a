# SPDX-License-Identifier: Apache-2.0
"""Features of nodes: --constraint and --prefer in every form of sbatch(1)."""
import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

CONF = '''nodes = ( { names = "n[1-2]"; features = "rack1,fast"; },
          { names = "n3"; features = "rack2"; },
          { names = "n4"; features = "rack2,fast,old"; } );
jobs = { kill_wait = 2; };'''


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=4, cpus=2, conf=CONF) as c:
        yield c


@pytest.mark.parametrize("args,nodes", [
    (["-C", "old"], "n4"), (["-C", "rack1&fast", "-N2"], "n[1-2]"),
    (["-C", "rack1|old", "-N3"], "n[1-2,4]"), (["-C", "(rack1|rack2)&fast", "-N3"], "n[1-2,4]"),
    (["-C", "[rack1|rack2]", "-N2"], "n[1-2]"), (["-C", "[rack2|rack1]", "-N2"], "n[3-4]"),
    (["-C", "[rack1*2&rack2*2]"], "n[1-4]"), (["-C", "[(rack1&fast)*1&old*1]", "-x", "n2"], "n[1,4]"),
    (["-C", "old*1", "-N2", "-x", "n[2-3]"], "n[1,4]"), (["--prefer=old"], "n4"),
    (["-C", "rack1", "--prefer=rack2", "-N2"], "n[3-4]"), (["-C", "rack1", "--prefer=old", "-N2"], "n[1-2]"),
])
def test_nodes_have_what_is_asked_for(cluster, args, nodes):
    job = cluster.sbatch("-o", "/dev/null", "--exclusive", *args, wrap="true")
    assert cluster.wait_done(job) == "COMPLETED"
    assert cluster.job(job)["NodeList"] == nodes


@pytest.mark.parametrize("text,words", [
    ("slow", ["no node has slow"]), ("fast&", ["--constraint", "name"]), ("[rack1&rack2]", ["count"]),
    ("fast*0", ["count"]), ("(fast", [")"]), ("rack1&rack2", ["not available"])])
def test_a_wrong_constraint_is_one_clear_line(cluster, text, words):
    r = cluster.run("sbatch", "-C", text, "--wrap", "true")
    assert r.rc == 1 and len(r.err.splitlines()) == 1, r
    for w in words:
        assert w in r.err, r


def test_counts_beyond_the_nodes_asked_for_are_refused(cluster):
    r = cluster.run("srun", "-N1", "-C", "[rack1*1&rack2*1]", "true")
    assert r.rc == 1 and "--nodes allows 1" in r.err, r


def test_a_job_waits_for_its_feature_and_a_preference_does_not(cluster):
    first = cluster.sbatch("-C", "old", "--exclusive", "-o", "/dev/null", wrap="sleep 1000")
    cluster.wait_state(first, "RUNNING")
    waits = cluster.sbatch("-C", "old", "-o", "/dev/null", wrap="true")
    goes = cluster.sbatch("--prefer=old", "-o", "/dev/null", wrap="true")
    assert cluster.wait_done(goes) == "COMPLETED"
    assert cluster.state(waits) == "PENDING"
    assert cluster.job(waits)["Features"] == "old"
    cluster.ok("scontrol", "update", "NodeName=n3", "Features=rack2,old")
    assert cluster.wait_done(waits) == "COMPLETED"
    assert cluster.job(waits)["NodeList"] == "n3"
    cluster.ok("scontrol", "update", "NodeName=n3", "Features=rack2")
    cluster.ok("scancel", first)


def test_an_owner_changes_the_constraint_of_a_waiting_job(cluster):
    job = cluster.sbatch("-H", "-C", "rack1", "-o", "/dev/null", wrap="true")
    r = cluster.run("scontrol", "update", "JobId=%d" % job, "Features=slow")
    assert r.rc == 1 and "slow" in r.err, r
    cluster.ok("scontrol", "update", "JobId=%d" % job, "Features=old")
    cluster.ok("scontrol", "release", job)
    assert cluster.wait_done(job) == "COMPLETED"
    assert cluster.job(job)["NodeList"] == "n4"
