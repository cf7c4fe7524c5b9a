# SPDX-License-Identifier: Apache-2.0
"""Jobs on switches: where they go, what they are told, and shares of GPUs."""
import os
import re

import pytest

from cluster import PREFIX, Cluster, wait_for

TREE = '''
switches = ( { name = "s0"; nodes = "n[1-2]"; }, { name = "s1"; nodes = "n[3-4]"; },
             { name = "top"; switches = "s[0-1]"; } );
'''


@pytest.fixture(scope="module")
def tree():
    c = Cluster(nodes=4, cpus=4, conf=TREE, gres="gpu:a100:2,shard:8",
                topology="synthetic:pack:1 numa:2 core:2 pu:1")
    yield c
    c.stop()


def where(c, job):
    line = wait_for("nodes of job %s" % job, lambda: re.search(
        r" NodeList=(\S+)", c.run("scontrol", "show", "job", job).out))
    return line.group(1)


def submit(c, *args):
    r = c.run("sbatch", "--parsable", *args)
    assert r.rc == 0, r
    return r.out.strip()


def cancel(c, *jobs):
    assert c.run("scancel", *jobs).rc == 0
    wait_for("all nodes idle", lambda: not c.run("squeue", "-h").out.strip())


def test_a_job_of_two_nodes_is_on_one_switch(tree):
    c = tree
    one = submit(c, "-N1", "--exclusive", "-w", "n2", "--wrap", "sleep 300")
    assert where(c, one) == "n2"
    two = submit(c, "-N2", "--exclusive", "--wrap", "sleep 300")
    assert where(c, two) == "n[3-4]"
    out = c.run("scontrol", "show", "job", "-d", two).out
    assert "LeafSwitches=1 HopsBetweenNeighbours=2.00 NUMANodesPerTask=2.00" in out, out
    cancel(c, one, two)


def test_switches_are_waited_for_and_then_given_up(tree):
    c = tree
    held = [submit(c, "-N1", "--exclusive", "-w", n, "--wrap", "sleep 300") for n in ("n1", "n3")]
    for job in held:
        where(c, job)
    hasty = submit(c, "-N2", "--exclusive", "--switches=1@0:01", "--wrap", "sleep 300")
    assert where(c, hasty) == "n[2,4]"
    assert "HopsBetweenNeighbours=4.00" in c.run("scontrol", "show", "job", "-d", hasty).out
    assert c.run("scancel", hasty).rc == 0
    wait_for("its end", lambda: hasty not in c.run("squeue", "-h", "-o", "%i").out.split())
    patient = submit(c, "-N2", "--exclusive", "--switches=1@1:00:00", "--wrap", "sleep 300")
    assert c.run("squeue", "-h", "-o", "%t", "-j", patient).out.strip() == "PD"
    assert c.run("scancel", held[0]).rc == 0
    assert where(c, patient) == "n[1-2]"
    cancel(c, patient, held[1])


def test_spread_takes_all_switches(tree):
    c = tree
    job = submit(c, "-n2", "--spread-job", "--wrap", "sleep 300")
    assert where(c, job) == "n[1,3]"
    cancel(c, job)


def test_tasks_know_their_switch(tree):
    c = tree
    r = c.run("srun", "-N2", "-n2", "-w", "n[2-3]", "sh", "-c",
              "echo $SLURM_TOPOLOGY_ADDR $SLURM_TOPOLOGY_ADDR_PATTERN")
    assert r.rc == 0, r
    assert sorted(r.out.split("\n"))[1:] == ["top.s0.n2 switch.switch.node",
                                             "top.s1.n3 switch.switch.node"]


def test_topology_is_shown(tree):
    c = tree
    s0 = "SwitchName=s0 Level=0 LinkSpeed=1 Nodes=n[1-2]"
    s1 = "SwitchName=s1 Level=0 LinkSpeed=1 Nodes=n[3-4]"
    top = "SwitchName=top Level=1 LinkSpeed=1 Nodes=n[1-4] Switches=s[0-1]"
    for args, lines in (([], [s0, s1, top]), (["s1"], [s1]), (["n3"], [s1, top]),
                        (["n[2-3]"], [top])):
        r = c.run("scontrol", "show", "topology", *args)
        assert r.rc == 0 and r.out.splitlines() == lines, r
    r = c.run("scontrol", "show", "topology", "n9")
    assert r.rc == 1 and "No topology information available for n9" in r.err, r


def test_the_environment_says_how_long_to_wait_for_switches(tree):
    c = tree
    held = [submit(c, "-N1", "--exclusive", "-w", n, "--wrap", "sleep 300") for n in ("n1", "n3")]
    for job in held:
        where(c, job)
    r = c.run("sbatch", "--parsable", "-N2", "--exclusive", "--switches=1", "--wrap", "sleep 300",
              env={"SBATCH_WAIT4SWITCH": "0:01"})
    assert r.rc == 0, r
    assert where(c, r.out.strip()) == "n[2,4]"
    cancel(c, r.out.strip(), *held)
    r = c.run("sbatch", "--switches=1", "--wrap", "true", env={"SBATCH_WAIT4SWITCH": "soon"})
    assert r.rc != 0 and "SBATCH_WAIT4SWITCH" in r.err, r


def test_shares_of_a_gpu(tree):
    c = tree
    r = c.run("srun", "--gres=shard:3", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert r.rc == 0 and r.out.strip() == "0", r
    a = submit(c, "-w", "n1", "--gres=shard:3", "--wrap", "sleep 300")
    b = submit(c, "-w", "n1", "--gres=gpu:1", "--wrap", "sleep 300")
    rest = submit(c, "-w", "n1", "--gres=shard:1", "--wrap", "sleep 300")
    assert where(c, a) == where(c, b) == where(c, rest) == "n1"
    full = submit(c, "-w", "n1", "--gres=shard:1", "--wrap", "sleep 300")
    assert c.run("squeue", "-h", "-o", "%t", "-j", full).out.strip() == "PD"
    used = c.run("scontrol", "show", "node", "-d", "n1").out
    assert "GresUsed=gpu:a100:1,shard:4" in used, used
    assert "gres/shard=3" in c.run("scontrol", "show", "job", a).out
    cancel(c, a, b, full, rest)


def test_more_than_a_gpu_is_refused(tree):
    r = tree.run("sbatch", "--gres=shard:5", "--wrap", "true")
    assert r.rc != 0 and "Requested node configuration is not available" in r.err, r
    r = tree.run("sbatch", "--switches=x", "--wrap", "true")
    assert r.rc != 0 and "--switches" in r.err, r


def test_a_bad_topology_is_one_clear_line(tree):
    path = tree.dir + "/bad.conf"
    with open(tree.conf_path) as f:
        text = f.read().replace("n[3-4]", "n[2-4]")
        for part in ("/run", "/state"):
            text = text.replace(tree.dir + part, tree.dir + "/other" + part)
    with open(path, "w") as f:
        f.write(text)
    r = tree.run(os.path.join(PREFIX, "sbin", "slurmlike-ctld"), "--config", path)
    assert r.rc != 0
    assert "node n2 is connected twice, to s0 and to s1" in r.out + r.err, r
