# SPDX-License-Identifier: Apache-2.0
"""sinfo(1): every field, the listings, what a node's state looks like, filters."""
import json
import re

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

PARTITIONS = '''partitions = (
  { name = "main"; nodes = "ALL"; default = true; priority_tier = 3; preempt_mode = "cancel"; },
  { name = "short"; nodes = "n[1-2]"; max_time = 600; default_time = 60; max_nodes = 1; state = "DRAIN"; },
  { name = "dark"; nodes = "ALL"; hidden = true; } );'''
# Every word of sinfo(1) --Format and what it shows of n4, which is idle; None: it depends.
WORDS = {
    "AllocMem": "0", "AllocNodes": "all", "Available": "up", "Cluster": "test", "Comment": "(null)", "Cores": None,
    "CPUs": "4", "CPUsLoad": None, "CPUsState": "0/4/0/4", "DefaultTime": "n/a", "Disk": None, "Extra": "(null)",
    "Features": "(null)", "features_act": "(null)", "FreeMem": None, "Gres": "gpu:a100:2", "GresUsed": "gpu:a100:0",
    "Groups": "all", "MaxCPUsPerNode": "UNLIMITED", "Memory": "8192", "NodeAddr": None, "NodeAI": "0/1",
    "NodeAIOT": "0/1/0/1", "NodeHost": "n4", "NodeList": "n4", "Nodes": "1", "OverSubscribe": "NO",
    "Partition": "main*", "PartitionName": "main", "Port": None, "PreemptMode": "CANCEL", "PriorityJobFactor": "1",
    "PriorityTier": "3", "Priority": "3", "Reason": "none", "Root": "no", "Size": "1-infinite",
    "SocketCoreThread": None, "Sockets": None, "StateCompact": "idle", "StateLong": "idle", "StateComplete": "idle",
    "Threads": "1", "Time": "infinite", "TimeStamp": "Unknown", "User": "Unknown", "UserLong": "Unknown", "Version": None,
    "Weight": "1"}
LETTERS = "aAbBcCdDeEfFgGhHIlLmMnNoOpPrRsStTuUvVwXYZz"
STATES = ("ALLOC ALLOCATED CLOUD COMP COMPLETING DOWN DRAIN DRAINED DRAINING FAIL FUTURE FUTR IDLE MAINT MIX MIXED "
          "NO_RESPOND NPC PERFCTRS PLANNED POWER_DOWN POWERING_DOWN POWERED_DOWN POWERING_UP REBOOT_ISSUED "
          "REBOOT_REQUESTED RESV RESERVED UNK UNKNOWN").split()


@pytest.fixture(scope="module")
def cluster():
    """n1 allocated and draining, n2 mixed, n3 down, n4 idle."""
    with Cluster(nodes=4, cpus=4, gres="gpu:a100:2", memory="8G", conf=PARTITIONS) as c:
        for node, cpus in (("n1", 4), ("n2", 1)):
            job = c.sbatch("-w", node, "-c", cpus, "-o", "/dev/null", wrap="sleep 10000")
            c.wait_state(job, "RUNNING")
        c.ok("scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=fan is loud")
        c.ok("scontrol", "update", "NodeName=n3", "State=DOWN", "Reason=no disk")
        yield c


def sinfo(cluster, *args, **kw):
    return cluster.ok("sinfo", "-h", *args, **kw).splitlines()


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_of_format(cluster, word):
    lines = cluster.ok("sinfo", "-p", "main", "-n", "n4", "-O", word + ":40").splitlines()
    assert len(lines) == 2 and len(lines[0]) == len(lines[1]) == 40
    assert re.fullmatch(r"[A-Z_:()/ ]+", lines[0])
    if WORDS[word] is not None:
        assert lines[1].rstrip().lower() == WORDS[word].lower() or \
            (word == "DefaultTime" and lines[1].rstrip() == "NONE")


@pytest.mark.parametrize("letter", LETTERS)
def test_every_letter_of_format_in_both_directions(cluster, letter):
    asked = ["sinfo", "-p", "main", "-n", "n4", "-o"]
    bare = [l[:-1] for l in cluster.ok(*asked, "%%%s|" % letter).splitlines()]
    left = cluster.ok(*asked, "%%30%s|" % letter).splitlines()
    right = cluster.ok(*asked, "%%.30%s|" % letter).splitlines()
    assert len(bare) == 2
    if letter not in "Oe":
        assert left == [t.ljust(30) + "|" for t in bare] and right == [t.rjust(30) + "|" for t in bare]


def test_default_listing(cluster):
    lines = cluster.ok("sinfo").splitlines()
    assert lines[0] == "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST"
    assert lines[1:] == ["main*        up   infinite      1    mix n2",
                         "main*        up   infinite      1   drng n1",
                         "main*        up   infinite      1   idle n4",
                         "main*        up   infinite      1   down n3",
                         "short     drain      10:00      1    mix n2",
                         "short     drain      10:00      1   drng n1"]


def test_summary_nodes_and_reasons(cluster):
    assert cluster.ok("sinfo", "-s").splitlines() == [
        "PARTITION AVAIL  TIMELIMIT   NODES(A/I/O/T)  NODELIST", "main*        up   infinite          2/1/1/4  n[1-4]",
        "short     drain      10:00          2/0/0/2  n[1-2]"]
    assert cluster.ok("sinfo", "-N").splitlines() == ["NODELIST  NODES PARTITION STATE "] + [
        "n%d            1 %-9s %-6s" % row for row in ((1, "main*", "drng"), (1, "short", "drng"), (2, "main*", "mix"),
                                                   (2, "short", "mix"), (3, "main*", "down"), (4, "main*", "idle"))]
    lines = cluster.ok("sinfo", "-R").splitlines()
    assert lines[0] == "REASON               USER      TIMESTAMP           NODELIST"
    assert [re.sub(r"\d{4}-\d\d-\d\dT[\d:]{8}", "T", l) for l in lines[1:]] == \
        ["fan is loud          root      T n1", "no disk              root      T n3"]
    lines = cluster.ok("sinfo", "-R", "-l").splitlines()
    assert re.fullmatch(r"\w{3} \w{3} +\d+ [\d:]{8} \d{4}", lines[0]) and lines[1].split()[-2:] == ["STATE", "NODELIST"]
    assert "root(0)" in lines[2]
    assert cluster.ok("sinfo", "-l").splitlines()[1] == \
        "PARTITION AVAIL  TIMELIMIT   JOB_SIZE ROOT OVERSUBS     GROUPS  NODES       STATE NODELIST"
    assert cluster.ok("sinfo", "-Nl", "-n", "n4").splitlines()[1] == \
        "NODELIST  NODES PARTITION       STATE CPUS    S:C:T MEMORY TMP_DISK WEIGHT AVAIL_FE REASON              "


@pytest.mark.parametrize("args,nodes", [
    (["-t", "idle"], "n4"), (["-t", "ALLOC"], ""), (["-t", "mix,down"], "n[2-3]"), (["-t", "drng"], "n1"),
    (["-t", "drain"], "n1"), (["-t", "drained"], ""), (["-t", "drain&mix"], ""), (["-t", "all"], "n[1-4]"),
    (["-n", "n[2-9]"], "n[2-4]"), (["-p", "short"], "n[1-2]"), (["-p", "dark"], "n[1-4]"), (["-d"], "n3"), (["-r"], "n[1-2,4]"),
    (["-R"], "n[1,3]")])
def test_filters(cluster, args, nodes):
    rows = sinfo(cluster, *args, "-o", "%N")
    if args == ["-R"]:
        assert sorted(set(rows)) == [nodes]
    else:
        assert rows == [nodes] if nodes else not [r for r in rows if r.strip()]


@pytest.mark.parametrize("state", STATES)
def test_every_state_may_be_asked_for(cluster, state):
    assert cluster.run("sinfo", "-t", state).rc == cluster.run("sinfo", "-t", state.lower()).rc == 0


@pytest.mark.parametrize("keys,order", [
    ("#P,-t", "main* main* main* main* short short"), ("P", "main* main* main* main* short short"),
    ("-P", "short short main* main* main* main*"), ("-#P", "short short main* main* main* main*")])
def test_sort_by_partition(cluster, keys, order):
    assert " ".join(l.split()[0] for l in sinfo(cluster, "-S", keys)) == order
    assert " ".join(l.split()[0] for l in sinfo(cluster, env={"SINFO_SORT": keys})) == order


def test_sort_by_several_keys(cluster):
    assert sinfo(cluster, "-p", "main", "-o", "%N %t", "-S", "-N") == ["n4 idle", "n3 down", "n2 mix", "n1 drng"]
    assert [l.split()[0] for l in sinfo(cluster, "-N", "-o", "%N %P", "-S", "P,-N")] == \
        ["n4", "n3", "n2", "n1", "n2", "n1"]


@pytest.mark.parametrize("args,words", [
    (["-o", "%!"], "%!"), (["-O", "nosuch"], "nosuch"), (["-t", "sleepy"], "sleepy"), (["-S", "?"], "?"),
    (["-n", "n["], "n["), (["-i", "-1"], "iterate"), (["x"], "x")])
def test_wrong_input(cluster, args, words):
    r = cluster.run("sinfo", *args)
    assert r.rc == 1 and words in r.err and r.out == "", r


def test_a_node_that_does_not_respond_has_a_star(cluster):
    cluster.kill9("node-n4")
    wait_for("the star", lambda: sinfo(cluster, "-p", "main", "-n", "n4", "-o", "%t %T") in
             (["idle* idle*"], ["down* down*"]))
    assert sinfo(cluster, "-d", "-o", "%n", "-p", "main", "-S", "n") == ["n3", "n4"]
    assert sinfo(cluster, "-r", "-o", "%n", "-p", "main", "-S", "n") == ["n1", "n2"]
    cluster.start_node("n4")
    wait_for("the node", lambda: sinfo(cluster, "-p", "main", "-n", "n4", "-o", "%t") == ["idle"])


def test_json_of_nodes(cluster):
    nodes = {n["name"]: n for n in json.loads(cluster.ok("sinfo", "--json"))["nodes"]}
    assert nodes["n1"]["state"] == "ALLOCATED+DRAIN" and nodes["n1"]["reason"] == "fan is loud"
    assert nodes["n4"]["alloc_cpus"] == 0 and nodes["n4"]["real_memory"] == 8192
