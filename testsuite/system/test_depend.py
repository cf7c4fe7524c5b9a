# SPDX-License-Identifier: Apache-2.0
"""Dependencies through the real commands, as sbatch(1) --dependency words them."""
import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=2, cpus=4, conf="jobs = { kill_wait = 2; };") as c:
        yield c


def held(cluster, *args, wrap="true"):
    return cluster.sbatch("-H", "-o", "/dev/null", *args, wrap=wrap)


def reason(cluster, job):
    return cluster.job(job).get("Reason")


@pytest.mark.parametrize("text,words", [
    ("afterok", ["needs a job id"]), ("afterok:x", ['"x"']), ("until:1", ["until"]),
    ("afterok:7777", ["no job 7777"]), ("afterany:1+5", ["only", "after"]),
    ("afterburstbuffer:1", ["not built", "burst"])])
def test_a_wrong_dependency_is_one_clear_line(cluster, text, words):
    r = cluster.run("sbatch", "-d", text, "--wrap", "true")
    assert r.rc == 1 and len(r.err.splitlines()) == 1, r
    for w in words:
        assert w in r.err, r


def test_a_bare_id_waits_for_the_end(cluster):
    first = held(cluster, wrap="exit 3")
    then = cluster.sbatch("-d", first, "-o", "/dev/null", wrap="true")
    assert cluster.job(then)["Dependency"] == "afterany:%d(unfulfilled)" % first
    assert reason(cluster, then) == "Dependency"
    cluster.ok("scontrol", "release", first)
    assert cluster.wait_done(then) == "COMPLETED"


def test_after_with_minutes_waits_from_a_cancel_too(cluster):
    first = held(cluster)
    then = cluster.sbatch("-d", "after:%d+1" % first, "-o", "/dev/null", wrap="true")
    soon = cluster.sbatch("-d", "after:%d" % first, "-o", "/dev/null", wrap="true")
    cluster.ok("scancel", first)
    assert cluster.wait_done(soon) == "COMPLETED"
    assert cluster.job(then)["Dependency"] == "after:%d+1(unfulfilled)" % first
    assert (cluster.state(then), reason(cluster, then)) == ("PENDING", "Dependency")
    cluster.ok("scancel", then)


def test_one_task_and_the_whole_of_an_array(cluster):
    a = held(cluster, "--array=1-3%1", wrap="test $SLURM_ARRAY_TASK_ID != 2; R=$?; sleep 0.2; exit $R")
    one = cluster.sbatch("-d", "afterok:%d_1" % a, "-o", "/dev/null", wrap="true")
    some = cluster.sbatch("-d", "afternotok:%d" % a, "-o", "/dev/null", wrap="true")
    every = cluster.sbatch("-d", "afterok:%d" % a, "-o", "/dev/null", wrap="true")
    r = cluster.run("sbatch", "-d", "afterok:%d_9" % a, "--wrap", "true")
    assert r.rc == 1 and "no task %d_9" % a in r.err, r
    cluster.ok("scontrol", "release", a)
    assert cluster.wait_done(one) == "COMPLETED"
    assert cluster.wait_done(some) == "COMPLETED"
    wait_for("the reason", lambda: reason(cluster, every) == "DependencyNeverSatisfied")
    cluster.ok("scancel", every)


def test_singletons_of_one_name_go_one_by_one(cluster):
    jobs = [cluster.sbatch("-J", "solo", "-d", "singleton", "-o", "solo.out", "--open-mode=append",
                           wrap="echo in; sleep 0.3; echo out") for _ in range(4)]
    for j in jobs:
        assert cluster.wait_done(j) == "COMPLETED"
    assert cluster.read("solo.out") == "in\nout\n" * 4


def test_dependencies_outlive_a_killed_controller(cluster):
    first = held(cluster, wrap="exit 1")
    bad = cluster.sbatch("-d", "afternotok:%d" % first, "-o", "/dev/null", wrap="true")
    good = cluster.sbatch("-d", "afterok:%d" % first, "--kill-on-invalid-dep=yes", wrap="true")
    solo = [cluster.sbatch("-J", "one", "-d", "singleton", "-H", "-o", "/dev/null", wrap="true"),
            cluster.sbatch("-J", "one", "-d", "singleton", "-o", "/dev/null", wrap="true")]
    cluster.kill9("ctld")
    cluster.start_ctld()
    cluster.wait_nodes()
    assert reason(cluster, solo[1]) == reason(cluster, bad) == "Dependency"
    cluster.ok("scontrol", "release", first)
    assert cluster.wait_done(bad) == "COMPLETED"
    assert cluster.wait_done(good) == "CANCELLED"
    cluster.ok("scontrol", "release", solo[0])
    assert cluster.wait_done(solo[1]) == "COMPLETED"


def test_a_changed_dependency_counts_at_once(cluster):
    first, second = held(cluster), held(cluster)
    job = cluster.sbatch("-d", "afterok:%d" % first, "-o", "/dev/null", wrap="true")
    cluster.ok("scontrol", "update", "JobId=%d" % job, "Dependency=afterany:%d" % second)
    cluster.ok("scancel", second)
    assert cluster.wait_done(job) == "COMPLETED"
    cluster.ok("scancel", first)
