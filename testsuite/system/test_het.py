# SPDX-License-Identifier: Apache-2.0
"""Heterogeneous jobs: components that start together, are seen and cancelled as one."""
import json
import re
import signal

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

CONF = '''jobs = { kill_wait = 2; };
nodes = ( { names = "n1"; features = "big"; }, { names = "n[2-3]"; features = "small"; } );
partitions = ( { name = "main"; default = true; }, { name = "side"; nodes = "n3"; } );'''


@pytest.fixture(scope="module")
def three():
    with Cluster(nodes=3, cpus=4, memory="4G", conf=CONF) as c:
        yield c


@pytest.fixture
def cluster(three):
    yield three
    three.rest()


def queue(c, *args):
    """Of jobs that are not over."""
    return sorted(c.ok("squeue", "-h", "-t", "PD,R,CG", "-o", "%i %t %N", *args).splitlines())


def variables(text):
    return dict(l.split("=", 1) for l in text.splitlines() if "=" in l)


# ---- wrong ones --------------------------------------------------------------------------

@pytest.mark.parametrize("argv,words", [
    (["sbatch", "-n1", ":", "-n99", "--wrap", "true"], ["component 1", "Requested node configuration"]),
    (["sbatch", "-n1", ":", "--frobnicate", "--wrap", "true"], ["frobnicate"]),
    (["sbatch", "-a", "1-2", ":", "-n1", "--wrap", "true"], ["--array"]),
    (["sbatch", "-n1", ":", "-p", "nowhere", "--wrap", "true"], ["component 1", "nowhere"]),
    (["sbatch", "-n1", ":", "-L", "x", "--wrap", "true"], ["component 1", "--licenses"]),
    (["srun", "--het-group=1", "true"], ["--het-group", "inside"])])
def test_a_wrong_component_is_one_clear_line_and_leaves_nothing(cluster, argv, words):
    r = cluster.run(*argv)
    assert r.rc == 1 and r.out == "", r
    for w in words:
        assert w in r.err, r
    assert cluster.ok("squeue", "-h") == ""


# ---- together ----------------------------------------------------------------------------

def test_components_on_their_own_resources_and_their_variables(cluster):
    job = cluster.sbatch("-n1", "-C", "big", "-J", "two", "-o", "het.out", ":", "-n3", "-C", "small", "-N1",
                         wrap="env; sleep 1000")
    cluster.wait_file("het.out", "SLURM_HET_SIZE")
    rows = queue(cluster)
    assert [r.split()[0] for r in rows] == ["%d+0" % job, "%d+1" % job], rows
    assert rows[0].split()[2] == "n1" and rows[1].split()[2] in ("n2", "n3"), rows
    env = variables(cluster.wait_file("het.out", "SLURM_NTASKS_HET_GROUP_1"))
    assert env["SLURM_HET_SIZE"] == "2"
    assert env["SLURM_JOB_ID"] == env["SLURM_JOB_ID_HET_GROUP_0"] == str(job)
    assert env["SLURM_JOB_ID_HET_GROUP_1"] == str(job + 1)
    assert env["SLURM_JOB_NODELIST_HET_GROUP_0"] == "n1"
    assert env["SLURM_JOB_NODELIST_HET_GROUP_1"] == rows[1].split()[2]
    assert env["SLURM_NTASKS_HET_GROUP_1"] == "3" and env["SLURM_NTASKS"] == "1"
    shown = cluster.ok("scontrol", "-o", "show", "job", job).splitlines()
    assert len(shown) == 2
    assert "HetJobId=%d HetJobOffset=1 HetJobIdSet=%d-%d" % (job, job, job + 1) in shown[1]
    assert "JobName=two" in shown[1]
    one = cluster.ok("scontrol", "-o", "show", "job", "%d+1" % job)
    assert len(one.splitlines()) == 1 and "JobId=%d " % (job + 1) in one
    assert len(queue(cluster, "-j", str(job))) == 2
    assert [r.split()[0] for r in queue(cluster, "-j", "%d+1" % job)] == ["%d+1" % job]
    assert cluster.ok("squeue", "-h", "-O", "HetJobID,HetJobOffset", "-j", "%d+1" % job).split() == [str(job), "1"]
    js = json.loads(cluster.ok("squeue", "--json"))["jobs"]
    assert sorted(j["het_job_offset"] for j in js) == [0, 1]


def test_all_or_none_start_and_others_fill_the_gap(cluster):
    full = cluster.sbatch("-n4", "-w", "n1", "-o", "/dev/null", wrap="sleep 1000")
    cluster.wait_state(full, "RUNNING")
    job = cluster.sbatch("-n1", "-w", "n2", "-t", "60", "-o", "/dev/null", ":", "-n1", "-w", "n1", "-t", "10",
                         wrap="sleep 1000")
    wait_for("the reason", lambda: cluster.job(job)["Reason"] == "Resources")
    assert [r.split()[1] for r in queue(cluster, "-j", str(job))] == ["PD", "PD"]
    assert cluster.ok("squeue", "-h", "-j", "%d+1" % job, "-o", "%r").strip() == "Resources"
    other = cluster.sbatch("-n4", "-w", "n2", "-t", "1", "-o", "/dev/null", wrap="true")
    assert cluster.wait_done(other) == "COMPLETED"
    cluster.ok("scancel", full)
    wait_for("both to run", lambda: [r.split()[1] for r in queue(cluster, "-j", str(job))] == ["R", "R"])


def test_a_promise_to_all_components_is_not_overrun(cluster):
    full = cluster.sbatch("-n4", "-w", "n1", "-t", "30", "-o", "/dev/null", wrap="sleep 1000")
    cluster.wait_state(full, "RUNNING")
    job = cluster.sbatch("-n4", "-w", "n2", "-t", "60", "-o", "/dev/null", ":", "-n4", "-w", "n1", "-t", "60",
                         wrap="true")
    wait_for("a promise", lambda: cluster.job("%d+0" % job)["StartTime"] != "Unknown")
    late = cluster.sbatch("-n4", "-w", "n2", "-t", "2:00:00", "-o", "/dev/null", wrap="sleep 1000")
    wait_for("it to stand back", lambda: cluster.job(late)["Reason"] == "Priority")
    cluster.ok("scancel", full)
    wait_for("its end", lambda: queue(cluster, "-j", str(job)) == [])
    assert [r[0] for r in cluster.sacct("-X", "-j", job, "-o", "State")] == ["COMPLETED"] * 2
    cluster.wait_state(late, "RUNNING")


def test_two_components_on_one_node_do_not_share_cpus(cluster):
    job = cluster.sbatch("-n2", "-w", "n1", "--mem=1G", "-o", "cpus.0", ":", "-n2", "-w", "n1", "--mem=1G",
                         wrap="sleep 1000")
    wait_for("both", lambda: [r.split()[1] for r in queue(cluster, "-j", str(job))] == ["R", "R"])
    shown = cluster.ok("scontrol", "-d", "show", "job", job)
    assert sorted(re.findall(r"CPU_IDs=(\S+)", shown)) == ["0-1", "2-3"]
    three = cluster.sbatch("-N1", "-n3", "-w", "n2", "--mem=1G", "-o", "/dev/null", ":", "-N1", "-n3", "-w", "n2",
                           "--mem=1G",
                           wrap="true")
    wait_for("it to wait", lambda: cluster.job(three)["Reason"] in ("Resources", "ReqNodeNotAvail"))


# ---- the script's directives -----------------------------------------------------------------

def test_components_in_a_script_and_limits_of_the_command_line(cluster):
    script = cluster.script("#SBATCH -n1 -w n1 -t 5\n#SBATCH hetjob\n#SBATCH -n2 -w n2 -t 7\n"
                            "srun hostname; srun --het-group=1 sh -c 'echo $SLURMD_NODENAME $SLURM_JOB_ID'\n", "two.sh")
    job = cluster.sbatch("-o", "two.out", "-t", "9", ":", script)
    cluster.wait_file("two.out", "n2")
    wait_for("the end", lambda: cluster.run("squeue", "-h").out == "")
    out = cluster.read("two.out").splitlines()
    assert out[1:] == ["n2 %d" % (job + 1)] * 2, out
    rows = cluster.sacct("-X", "-j", job, "-o", "JobID,Timelimit,State")
    assert rows == [["%d+0" % job, "00:09:00", "COMPLETED"], ["%d+1" % job, "00:07:00", "COMPLETED"]]


# ---- steps -----------------------------------------------------------------------------------

def test_one_srun_over_all_components(cluster):
    body = ("srun --het-group=0,1 sh -c 'echo all $SLURMD_NODENAME'\n"
            "srun sh -c 'echo a $SLURMD_NODENAME' : -n2 sh -c 'echo b $SLURMD_NODENAME'\n"
            "srun true : sh -c 'exit 3'; echo rc=$?\n"
            "srun --het-group=7 true; echo rc=$?\n")
    cluster.sbatch("-n1", "-w", "n1", "-o", "steps.out", ":", "-n2", "-w", "n2", cluster.script(body, "steps.sh"))
    cluster.wait_file("steps.out", "rc=1")
    lines = cluster.read("steps.out").splitlines()
    assert sorted(l for l in lines if l.startswith("all")) == ["all n1", "all n2", "all n2"], lines
    assert sorted(l for l in lines if l[:2] in ("a ", "b ")) == ["a n1", "b n2", "b n2"], lines
    assert "rc=3" in lines and any("no component 7" in l for l in lines), lines


def test_srun_by_itself_makes_a_job_of_its_components(cluster):
    r = cluster.run("srun", "-n1", "-w", "n1", "sh", "-c", "echo a $SLURMD_NODENAME", ":",
                    "-n2", "-w", "n2", "sh", "-c", "echo b $SLURMD_NODENAME $SLURM_NTASKS")
    assert (r.rc, sorted(r.out.splitlines())) == (0, ["a n1", "b n2 2", "b n2 2"]), r
    wait_for("its end", lambda: cluster.run("squeue", "-h").out == "")
    assert cluster.run("srun", "true", ":", "sh", "-c", "exit 5").rc == 5


def test_salloc_gives_all_components(cluster):
    r = cluster.run("salloc", "-n1", "-w", "n1", ":", "-n1", "-w", "n2", "sh", "-c",
                    "echo $SLURM_HET_SIZE $SLURM_JOB_NODELIST_HET_GROUP_1; srun --het-group=0,1 printenv SLURMD_NODENAME")
    lines = r.out.splitlines()
    assert r.rc == 0 and lines[0] == "2 n2" and sorted(lines[1:]) == ["n1", "n2"], r
    wait_for("its end", lambda: cluster.run("squeue", "-h").out == "")


def test_ctrl_c_ends_the_steps_of_all_components(cluster):
    p = cluster.popen("srun", "-n1", "-w", "n1", "sh", "-c", "echo up; sleep 1000", ":", "-n1", "-w", "n2",
                      "sh", "-c", "echo up; sleep 1000")
    assert p.stdout.readline() == "up\n" and p.stdout.readline() == "up\n"
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) != 0
    p.communicate()
    wait_for("its end", lambda: cluster.run("squeue", "-h").out == "")


# ---- as one ----------------------------------------------------------------------------------

def test_cancel_of_the_whole_and_of_one_component(cluster):
    def start():
        job = cluster.sbatch("-n1", "-w", "n1", "-o", "/dev/null", ":", "-n1", "-w", "n2", wrap="sleep 1000")
        wait_for("both to run", lambda: [r.split()[1] for r in queue(cluster, "-j", str(job))] == ["R", "R"])
        return job
    job = start()
    cluster.ok("scancel", "%d+1" % job)
    wait_for("one to end", lambda: [r.split()[:2] for r in queue(cluster, "-j", str(job))] == [["%d+0" % job, "R"]])
    cluster.ok("scancel", job)
    assert cluster.wait_done(job) == "CANCELLED"
    job = start()
    cluster.ok("scancel", job)
    wait_for("its end", lambda: queue(cluster, "-j", str(job)) == [])
    rows = cluster.sacct("-X", "-j", job, "-o", "JobID,State")
    assert [(r[0], r[1].split()[0]) for r in rows] == [("%d+0" % job, "CANCELLED"), ("%d+1" % job, "CANCELLED")]


def test_what_waits_is_held_released_and_cancelled_as_a_whole(cluster):
    job = cluster.sbatch("-H", "-n1", "-o", "/dev/null", ":", "-n1", "-H", wrap="true")
    for argv in (["scancel", "%d+1" % job], ["scontrol", "release", job + 1]):
        r = cluster.run(*argv)
        assert r.rc == 1 and "individual components" in r.err, r
    cluster.ok("scontrol", "release", job)
    wait_for("its end", lambda: cluster.run("squeue", "-h").out == "")
    assert [r[0] for r in cluster.sacct("-X", "-j", job, "-o", "State")] == ["COMPLETED"] * 2
    job = cluster.sbatch("-H", "-n1", ":", "-n1", wrap="true")
    cluster.ok("scancel", job)
    assert cluster.ok("squeue", "-h") == ""


def test_a_component_that_may_not_start_holds_all(cluster):
    job = cluster.sbatch("-n1", "-o", "/dev/null", ":", "-n1", "--begin=now+1hour", wrap="true")
    assert cluster.job(job).get("Reason") == "BeginTime"
    assert [r.split()[1] for r in queue(cluster)] == ["PD", "PD"]
    cluster.ok("scontrol", "update", "JobId=%d" % (job + 1), "StartTime=now")
    wait_for("its end", lambda: cluster.run("squeue", "-h").out == "")


def test_it_is_requeued_as_a_whole_and_survives_a_killed_controller(cluster):
    job = cluster.sbatch("-n1", "-w", "n1", "-o", "/dev/null", ":", "-n1", "-w", "n2", wrap="sleep 1000")
    both = lambda state: [r.split()[1] for r in queue(cluster, "-j", str(job))] == [state] * 2  # noqa: E731
    wait_for("both to run", lambda: both("R"))
    cluster.kill9("ctld")
    cluster.start_ctld()
    wait_for("both to run on", lambda: both("R"))
    cluster.ok("scontrol", "requeue", job)
    wait_for("the second run", lambda: both("R") and
             re.findall(r"Restarts=(\d)", cluster.ok("scontrol", "show", "job", job)) == ["1", "1"])
    cluster.ok("scontrol", "requeuehold", job)
    wait_for("both to wait", lambda: both("PD"))
    cluster.kill9("ctld")
    cluster.start_ctld()
    wait_for("both to wait", lambda: both("PD"))
    cluster.ok("scontrol", "release", job)
    wait_for("both to run", lambda: both("R"))


def test_a_lost_node_of_one_component_ends_all():
    with Cluster(nodes=2, cpus=2, conf="jobs = { kill_wait = 1; };") as c:
        job = c.sbatch("-n1", "-w", "n1", "--no-requeue", "-o", "/dev/null", ":", "-n1", "-w", "n2", wrap="sleep 1000")
        wait_for("both to run", lambda: [r.split()[1] for r in queue(c)] == ["R", "R"])
        c.ok("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")
        wait_for("both to end", lambda: queue(c, "-j", str(job)) == [])
        assert {r[0].split()[0] for r in c.sacct("-X", "-j", job, "-o", "State")} <= {"NODE_FAIL", "CANCELLED"}
