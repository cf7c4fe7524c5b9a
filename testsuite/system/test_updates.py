# SPDX-License-Identifier: Apache-2.0
"""scontrol update: what may be changed, by whom and when, as scontrol(1) says."""
import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

PARTITIONS = '''partitions = (
  { name = "main"; nodes = "ALL"; default = true; },
  { name = "small"; nodes = "n1"; max_nodes = 1; max_time = 3600; },
  { name = "shut"; nodes = "ALL"; state = "DRAIN"; },
  { name = "roots"; nodes = "ALL"; root_only = true; } );'''


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=2, cpus=4, gres="gpu:a100:2", conf=PARTITIONS) as c:
        yield c


@pytest.fixture
def held(cluster, users):
    """A held job of the first user, with a limit of ten minutes."""
    job = cluster.sbatch("-H", "-t10", "-o", "/dev/null", wrap="true", user=users[0])
    yield job
    cluster.run("scancel", job)


def update(cluster, job, *pairs, user=None):
    return cluster.run("scontrol", "update", "JobId=%d" % job, *pairs, user=user)


def refused(r, *words):
    assert r.rc == 1, r
    for w in words:
        assert w.lower() in r.err.lower(), (w, r)
    assert len(r.err.splitlines()) == 1, r


@pytest.mark.parametrize("pair,key,shown", [
    ("Comment=two words", "Comment", "two"),
    ("JobName=other", "JobName", "other"),
    ("TimeLimit=5", "TimeLimit", "00:05:00"),
    ("TimeLimit=-2", "TimeLimit", "00:08:00"),
    ("TimeLimit-=2", "TimeLimit", "00:08:00"),
    ("NumNodes=1-2", "NumNodes", "1-2"),
    ("NumTasks=3", "NumTasks", "3"),
    ("CPUsPerTask=2", "NumCPUs", "2"),
    ("MinMemoryNode=1G", "MinMemoryNode", "1G"),
    ("MinCPUsNode=3", "MinCPUsNode", "3"),
    ("ReqNodeList=n2", "ReqNodeList", "n2"),
    ("ExcNodeList=n2", "ExcNodeList", "n2"),
    ("Gres=gpu:2", "TresPerNode", "gres/gpu:2"),
    ("Partition=small", "Partition", "small"),
    ("Part=small", "Partition", "small"),
    ("Account=proj", "Account", "proj"),
    ("QOS=high", "QOS", "high"),
    ("Nice=50", "Nice", "50"),
    ("Nice", "Nice", "100"),
    ("Requeue=0", "Requeue", "0"),
    ("StdOut=/tmp/x.%j", "StdOut", "/tmp/x."),
    ("WorkDir=/tmp", "WorkDir", "/tmp"),
])
def test_an_owner_changes_a_pending_job(cluster, users, held, pair, key, shown):
    r = update(cluster, held, pair, user=users[0])
    assert (r.rc, r.err) == (0, ""), r
    assert cluster.job(held)[key].startswith(shown), cluster.job(held)


@pytest.mark.parametrize("pair,words", [
    ("TimeLimit=20", ["permission", "operators"]),
    ("TimeLimit=+1", ["permission", "operators"]),
    ("TimeLimit=UNLIMITED", ["permission", "operators"]),
    ("TimeLimit=soon", ["TimeLimit", "soon"]),
    ("Priority=4294901760", ["permission", "operators"]),
    ("Nice=-5", ["permission", "operators"]),
    ("Deadline=now+1hour", ["permission", "Deadline"]),
    ("Contiguous=yes", ["permission", "Contiguous"]),
    ("Partition=nowhere", ["partition", "nowhere"]),
    ("Partition=shut", ["partition", "shut"]),
    ("Partition=roots", ["roots", "root"]),
    ("NumNodes=99", ["node configuration"]),
    ("NumNodes=two", ["NumNodes", "two"]),
    ("ReqNodeList=n9", ["node", "n9"]),
    ("ReqNodeList=n[1-", ["n[1-"]),
    ("Features=fast", ["feature", "fast"]),
    ("Gres=unicorn:1", ["gres", "unicorn"]),
    ("MinMemoryNode=lots", ["MinMemoryNode", "lots"]),
    ("Comment=a\nb", ["comment", "control"]),
    ("JobName=a\tb", ["JobName", "control"]),
    ("JobName=" + "x" * 300, ["JobName"]),
    ("WorkDir=here", ["here", "absolute"]),
    ("Requeue=maybe", ["Requeue", "maybe"]),
    ("Dependency=afterok:999999", ["depend", "999999"]),
    ("StartTime=never", ["StartTime", "never"]),
    ("TimeMin=5", ["TimeMin", "not built"]),
    ("Licenses=a", ["license", "no license a"]),
    ("Colour=red", ["Colour"]),
    ("N=red", ["N"]),
])
def test_what_an_owner_may_not_is_refused_and_changes_nothing(cluster, users, held, pair, words):
    before = cluster.job(held)
    refused(update(cluster, held, pair, user=users[0]), *words)
    assert cluster.job(held) == before


def test_of_several_changes_the_first_that_fails_ends_them(cluster, users, held):
    r = update(cluster, held, "Comment=made", "NumNodes=99", "JobName=not", user=users[0])
    refused(r, "node configuration", "before it were made")
    assert (cluster.job(held)["Comment"], cluster.job(held)["JobName"]) == ("made", "wrap")


def test_another_user_changes_nothing(cluster, users, held):
    before = cluster.job(held)
    refused(update(cluster, held, "Comment=mine", user=users[1]), "permission")
    refused(cluster.run("scontrol", "release", held, user=users[1]), "permission")
    refused(cluster.run("scontrol", "hold", held, user=users[1]), "permission")
    assert cluster.job(held) == before


def test_an_operator_raises_what_an_owner_can_not(cluster, users, held):
    for pair, key, shown in (("TimeLimit=+5", "TimeLimit", "00:15:00"),
                             ("TimeLimit=UNLIMITED", "TimeLimit", "UNLIMITED"),
                             ("Nice=-5", "Nice", "-5"), ("Contiguous=yes", "Contiguous", "1")):
        assert update(cluster, held, pair).rc == 0
        assert cluster.job(held)[key] == shown


def test_an_operators_hold_is_not_the_owners_to_release(cluster, users):
    job = cluster.sbatch("-o", "/dev/null", "--begin=now+1hour", wrap="true", user=users[0])
    cluster.ok("scontrol", "hold", job)
    assert cluster.job(job)["Reason"] == "JobHeldAdmin"
    refused(cluster.run("scontrol", "release", job, user=users[0]), "permission")
    cluster.ok("scontrol", "release", job)
    cluster.ok("scontrol", "uhold", job)
    assert cluster.job(job)["Reason"] == "JobHeldUser"
    cluster.ok("scontrol", "release", job, user=users[0])
    assert cluster.job(job)["Reason"] == "BeginTime"
    cluster.ok("scancel", job)


def test_a_running_jobs_limit_moves_and_its_shape_does_not(cluster, users):
    job = cluster.sbatch("-t10", "-o", "/dev/null", wrap="sleep 1000", user=users[0])
    cluster.wait_state(job, "RUNNING")
    refused(update(cluster, job, "NumNodes=2", user=users[0]), "pending")
    refused(update(cluster, job, "TimeLimit=+1", user=users[0]), "permission")
    assert update(cluster, job, "TimeLimit=5", user=users[0]).rc == 0
    assert cluster.job(job)["TimeLimit"] == "00:05:00"
    assert update(cluster, job, "EndTime=now+30minutes").rc == 0
    assert cluster.job(job)["TimeLimit"] in ("00:30:00", "00:30:01", "00:30:02", "00:29:59")
    assert update(cluster, job, "TimeLimit=0:01").rc == 0  # over already
    assert cluster.wait_done(job) == "TIMEOUT"
    refused(update(cluster, job, "Comment=late"), "complet")


def test_one_task_of_an_array_or_all_of_it(cluster, users):
    job = cluster.sbatch("-H", "--array=1-4%2", "-o", "/dev/null", wrap="true", user=users[0])
    cluster.ok("scontrol", "update", "JobId=%d_2" % job, "JobName=second", user=users[0])
    names = dict(l.split() for l in cluster.ok("squeue", "-h", "-j", job, "-o", "%i %j").splitlines())
    assert names == {"%d_2" % job: "second", "%d_[1,3-4%%2]" % job: "wrap"}
    cluster.ok("scontrol", "update", "JobId=%d" % job, "Comment=all", user=users[0])
    assert cluster.ok("squeue", "-h", "-j", job, "-o", "%k").split() == ["all", "all"]
    cluster.ok("scontrol", "update", "JobId=%d" % job, "ArrayTaskThrottle=1", user=users[0])
    assert "1,3-4%1" in cluster.ok("squeue", "-h", "-j", job, "-o", "%i")
    cluster.ok("scancel", job)


def test_jobs_are_found_by_their_name(cluster, users):
    jobs = [cluster.sbatch("-H", "-J", "twins", "-o", "/dev/null", wrap="true", user=users[0])
            for _ in range(2)]
    cluster.ok("scontrol", "update", "JobName=twins", "Comment=both", user=users[0])
    assert [cluster.job(j)["Comment"] for j in jobs] == ["both", "both"]
    refused(cluster.run("scontrol", "update", "JobName=nobody", "Comment=x"), "nobody")
    for j in jobs:
        cluster.ok("scancel", j)


def test_a_job_can_not_wait_for_itself_through_others(cluster, users):
    a = cluster.sbatch("-H", "-o", "/dev/null", wrap="true", user=users[0])
    b = cluster.sbatch("-d", "afterok:%d" % a, "-o", "/dev/null", wrap="true", user=users[0])
    refused(update(cluster, a, "Dependency=afterok:%d" % a), "itself")
    refused(update(cluster, a, "Dependency=afterok:%d" % b), "depend")
    assert update(cluster, b, "Dependency=").rc == 0
    assert cluster.wait_done(b) == "COMPLETED"
    cluster.ok("scancel", a)


def test_top_moves_ones_own_jobs_only(cluster, users):
    mine = [cluster.sbatch("-H", "-o", "/dev/null", wrap="true", user=users[0]) for _ in range(2)]
    other = cluster.sbatch("--begin=now+1hour", "-o", "/dev/null", wrap="true", user=users[1])
    last = cluster.sbatch("--begin=now+1hour", "-o", "/dev/null", wrap="true", user=users[0])
    for j in mine:
        cluster.ok("scontrol", "update", "JobId=%d" % j, "StartTime=now+1hour")
        cluster.ok("scontrol", "release", j)
    before = {j: int(cluster.job(j)["Priority"]) for j in mine + [other, last]}
    cluster.ok("scontrol", "top", last, user=users[0])
    after = {j: int(cluster.job(j)["Priority"]) for j in mine + [other, last]}
    assert after[other] == before[other]
    assert after[last] == max(before[j] for j in mine + [last])
    assert sorted(after[j] for j in mine + [last]) == sorted(before[j] for j in mine + [last])
    for j in mine + [other, last]:
        cluster.ok("scancel", j)


def test_no_requeue_holds_against_everyone(cluster):
    job = cluster.sbatch("--no-requeue", "-o", "/dev/null", wrap="sleep 1000")
    cluster.wait_state(job, "RUNNING")
    refused(cluster.run("scontrol", "requeue", job), "requeue")
    assert cluster.state(job) == "RUNNING"
    cluster.ok("scancel", job)
    cluster.wait_done(job)


# ---- nodes and partitions -------------------------------------------------------------

@pytest.mark.parametrize("argv", [
    ["NodeName=n1", "State=DRAIN", "Reason=x"], ["NodeName=n1", "Weight=5"],
    ["PartitionName=main", "State=DOWN"], ["PartitionName=main", "MaxTime=5"]])
def test_only_operators_change_nodes_and_partitions(cluster, users, argv):
    refused(cluster.run("scontrol", "update", *argv, user=users[0]), "permission")
    for verb in ("reconfigure", "shutdown"):
        refused(cluster.run("scontrol", verb, user=users[0]), "permission")


@pytest.mark.parametrize("argv,words", [
    (["NodeName=n9", "State=RESUME"], ["n9"]),
    (["NodeName=n1", "State=DRAIN"], ["reason"]),
    (["NodeName=n1", "State=SIDEWAYS"], ["SIDEWAYS"]),
    (["NodeName=n1", "Colour=red"], ["Colour"]),
    (["NodeName=n[1-", "State=RESUME"], ["n[1-"]),
    (["PartitionName=nope", "State=UP"], ["nope"]),
    (["PartitionName=main", "State=SIDEWAYS"], ["SIDEWAYS"]),
    (["PartitionName=main", "MaxTime=soon"], ["MaxTime", "soon"]),
    (["PartitionName=main", "Colour=red"], ["Colour"]),
    (["Colour=red"], ["entity"]),
    (["JobId=", "Comment=x"], ["job"]),
    (["JobId=abc", "Comment=x"], ["abc"]),
    (["JobId=1"], ["changes"]),
    (["StepId=1.0", "TimeLimit=5"], ["not built"]),
])
def test_wrong_updates_are_named(cluster, argv, words):
    refused(cluster.run("scontrol", "update", *argv), *words)


def test_a_node_is_drained_and_back_with_its_reason(cluster):
    cluster.ok("scontrol", "update", "NodeName=n[1-2]", "State=DRAIN", "Reason=disk swap")
    assert cluster.node_states() == {"n1": "drain", "n2": "drain"}
    assert "disk swap" in cluster.ok("sinfo", "-R", "-h")
    cluster.ok("scontrol", "update", "NodeName=ALL", "State=RESUME")
    assert cluster.node_states() == {"n1": "idle", "n2": "idle"}
    assert cluster.ok("sinfo", "-R", "-h") == ""
    cluster.ok("scontrol", "update", "NodeName=n1", "Weight=7", "Features=fast,big")
    node = cluster.ok("scontrol", "show", "node", "n1")
    assert "Weight=7" in node and "AvailableFeatures=fast,big" in node
    job = cluster.sbatch("-C", "fast&big", "-o", "/dev/null", wrap="true")
    assert cluster.wait_done(job) == "COMPLETED"
    assert cluster.job(job)["NodeList"] == "n1"
    cluster.ok("scontrol", "update", "NodeName=n1", "Weight=1", "Features=")


def test_a_partition_that_is_down_keeps_jobs_and_drained_takes_none(cluster):
    cluster.ok("scontrol", "update", "PartitionName=small", "State=DOWN")
    job = cluster.sbatch("-p", "small", "-o", "/dev/null", wrap="true")
    wait_for("the reason", lambda: cluster.job(job)["Reason"] == "PartitionDown")
    cluster.ok("scontrol", "update", "PartitionName=small", "State=UP")
    assert cluster.wait_done(job) == "COMPLETED"
    refused(cluster.run("sbatch", "-p", "shut", "--wrap", "true"), "partition", "shut")


def test_partition_access_and_bounds_hold(cluster, users):
    refused(cluster.run("sbatch", "-p", "roots", "--wrap", "true", user=users[0]), "roots")
    refused(cluster.run("sbatch", "-p", "small", "-N2", "--wrap", "true"), "node count", "small")
    job = cluster.sbatch("-p", "small", "-t", "2:00:00", "-o", "/dev/null", wrap="true")
    wait_for("the reason", lambda: cluster.job(job)["Reason"] == "PartitionTimeLimit")
    cluster.ok("scancel", job)
    for pair, words in (("AllowGroups=nosuchgroup", ["group", "small"]),
                        ("AllowAccounts=a,b", ["account", "small"]),
                        ("MaxMemPerNode=100", ["memory", "small"])):
        key = pair.split("=")[0]
        cluster.ok("scontrol", "update", "PartitionName=small", pair)
        assert pair.split("=")[1] in cluster.ok("scontrol", "show", "partition", "small")
        refused(cluster.run("sbatch", "-p", "small", "--mem=1G", "--wrap", "true", user=users[0]), *words)
        cluster.ok("scontrol", "update", "PartitionName=small",
                   key + "=" + ("0" if "Mem" in key else "ALL"))


def test_changes_survive_a_killed_controller(cluster, users, held):
    cluster.ok("scontrol", "update", "JobId=%d" % held, "Comment=kept", "TimeLimit=3")
    cluster.ok("scontrol", "update", "NodeName=n2", "Weight=9")
    cluster.ok("scontrol", "update", "PartitionName=small", "MaxTime=30")
    cluster.kill9("ctld")
    cluster.start_ctld()
    assert cluster.job(held)["Comment"] == "kept"
    assert cluster.job(held)["TimeLimit"] == "00:03:00"
    assert "Weight=9" in cluster.ok("scontrol", "show", "node", "n2")
    assert "MaxTime=00:30:00" in cluster.ok("scontrol", "show", "partition", "small")
    cluster.wait_nodes()
