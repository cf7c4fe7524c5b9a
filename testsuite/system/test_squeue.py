# SPDX-License-Identifier: Apache-2.0
"""squeue(1) field by field and option by option: what a user reads in a column."""
import json
import os
import signal

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

TASKS = [str(k * (k + 1) // 2) for k in range(1, 41)]  # no two differ alike: a long list
PARTITIONS = '''partitions = (
  { name = "main"; nodes = "ALL"; default = true; },
  { name = "side"; nodes = "ALL"; },
  { name = "dark"; nodes = "ALL"; hidden = true; } );
licenses = "matlab:4,fluent:2";'''
# Every word of squeue(1) --Format and what it shows of the job below, None: it depends.
WORDS = {
    "Account": "acc", "AccrueTime": None, "admin_comment": "(null)", "AllocNodes": None, "AllocSID": None,
    "ArrayJobID": None, "ArrayTaskID": "N/A", "AssocID": None, "BatchFlag": "1", "BatchHost": "n1",
    "BoardsPerNode": "N/A", "BurstBuffer": "(null)", "BurstBufferState": "(null)", "Cluster": "test",
    "ClusterFeature": "(null)", "Command": "(null)", "Comment": "a word", "Contiguous": "0", "Container": "(null)",
    "Cores": "*", "CoreSpec": "N/A", "cpus-per-task": "2", "cpus-per-tres": "N/A", "Deadline": "N/A",
    "DelayBoot": "0:00", "Dependency": "(null)", "DerivedEC": "0:0", "EligibleTime": None, "EndTime": None,
    "exit_code": "0:0", "Feature": "(null)", "GroupID": "0", "GroupName": "root", "JobArrayID": None,
    "JobID": None, "LastSchedEval": "N/A", "Licenses": "matlab:2", "MaxCPUs": "0", "MaxNodes": "0",
    "MCSLabel": "N/A", "mem-per-tres": "N/A", "MinCpus": "2", "MinMemory": "2G", "MinTime": "2:00",
    "MinTmpDisk": "0", "Name": "running", "Network": "(null)", "Nice": "0", "NodeList": "n1", "Nodes": "n1",
    "NTPerBoard": "N/A", "NTPerCore": "*", "NTPerNode": "0", "NTPerSocket": "*", "NumCPUs": "2", "NumNodes": "1",
    "NumTasks": "1", "Origin": "N/A", "OriginRaw": "N/A", "OverSubscribe": "OK", "Partition": "main",
    "PendingTime": None, "PreemptTime": "N/A", "Prefer": "(null)", "Priority": None, "PriorityLong": None,
    "Profile": "(null)", "QOS": "normal", "Reason": "None", "ReasonList": "n1", "Reboot": "0", "ReqNodes": "n1",
    "ReqSwitch": "0", "Requeue": "1", "Reservation": "(null)", "ResizeTime": "N/A", "RestartCnt": "0",
    "SchedNodes": "(null)", "SCT": "*:*:*", "SelectJobInfo": "", "SiblingsActive": "N/A",
    "SiblingsActiveRaw": "N/A", "SiblingsViable": "N/A", "SiblingsViableRaw": "N/A", "Sockets": "*",
    "SPerBoard": "N/A", "StartTime": None, "State": "RUNNING", "StateCompact": "R", "STDERR": "/dev/null",
    "STDIN": "/dev/null", "STDOUT": "/dev/null", "SubmitTime": None, "system_comment": "(null)", "Threads": "*",
    "TimeLeft": None, "TimeLimit": "10:00", "TimeUsed": None, "tres-alloc": None, "tres-bind": "N/A",
    "tres-freq": "N/A", "tres-per-job": "N/A", "tres-per-node": "gres/gpu:1", "tres-per-socket": "N/A",
    "tres-per-step": "N/A", "tres-per-task": "N/A", "UserID": "0", "UserName": "root", "Wait4Switch": "0:00",
    "WCKey": "(null)", "WorkDir": None}
LETTERS = "aABcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ"
STEP_WORDS = {"ArrayJobID": None, "ArrayTaskID": "N/A", "Cluster": "test", "Container": "(null)", "CPUFreq": "N/A",
              "Network": "(null)", "NumCPUs": "2", "NumTasks": "1", "Partition": "main", "ResvPort": "N/A",
              "StartTime": None, "StepID": None, "StepName": "sleep", "StepState": "RUNNING", "TimeUsed": None,
              "Nodes": "n1", "UserID": "0", "UserName": "root", "tres-bind": "N/A", "tres-freq": "N/A",
              "tres-per-step": "N/A", "tres-per-task": "N/A", "TimeLimit": "N/A", "Name": "sleep"}


@pytest.fixture(scope="module")
def cluster(users):
    with Cluster(nodes=2, cpus=4, gres="gpu:a100:2", memory="8G", conf=PARTITIONS) as c:
        c.ok("sacctmgr", "-i", "add", "account", "acc")
        c.ok("sacctmgr", "-i", "add", "user", "root", "account=acc")
        c.run_job = c.sbatch("-J", "running", "-t", "10", "--time-min=2", "-c2", "-w", "n1", "-A", "acc", "--mem=2G",
                             "--comment=a word", "--gres=gpu:1", "-L", "matlab:2", "-o", "/dev/null",
                             wrap="srun sleep 10000")
        c.held_job = c.sbatch("-J", "waiting", "-H", "-p", "main,side", "-L", "fluent", "-o", "/dev/null", wrap="true")
        c.array_job = c.sbatch("-J", "many", "-H", "--array=%s%%4" % ",".join(TASKS), "-o", "/dev/null", wrap="true")
        c.wait_state(c.run_job, "RUNNING")
        wait_for("the step", lambda: "%d.0" % c.run_job in c.ok("squeue", "-s", "-h"))
        yield c


def squeue(cluster, *args, **kw):
    return cluster.ok("squeue", "-h", *args, **kw).splitlines()


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_of_format(cluster, word):
    lines = cluster.ok("squeue", "-j", cluster.run_job, "-O", word + ":60").splitlines()
    assert len(lines) == 2 and len(lines[0]) == len(lines[1]) == 60
    assert lines[0].rstrip() == lines[0].rstrip().upper() != ""
    value = lines[1].rstrip()
    if WORDS[word] is not None:
        assert value == WORDS[word]
    else:
        assert value not in ("", "(null)")


@pytest.mark.parametrize("word", sorted(STEP_WORDS))
def test_every_word_of_format_of_steps(cluster, word):
    step = "%d.0" % cluster.run_job
    rows = [l for l in squeue(cluster, "-s", step, "-O", "stepid:20," + word + ":30") if l.startswith(step + " ")]
    assert len(rows) == 1
    value = rows[0][20:].rstrip()
    assert value == STEP_WORDS[word] if STEP_WORDS[word] is not None else value not in ("", "N/A")


@pytest.mark.parametrize("letter", LETTERS)
def test_every_letter_of_format_in_both_directions(cluster, letter):
    left = cluster.ok("squeue", "-j", cluster.run_job, "-o", "%%40%s|" % letter).splitlines()
    right = cluster.ok("squeue", "-j", cluster.run_job, "-o", "%%.40%s|" % letter).splitlines()
    bare = cluster.ok("squeue", "-j", cluster.run_job, "-o", "%%%s|" % letter).splitlines()
    for k in (0, 1):
        text = bare[k][:-1] if letter not in "LM" else None
        assert len(left[k]) == len(right[k]) == 41
        if text is not None:
            assert left[k] == text[:40].ljust(40) + "|" and right[k] == text[:40].rjust(40) + "|"


def test_licenses_filter(cluster):
    assert squeue(cluster, "-o", "%j", "-L", "matlab") == ["running"]
    assert squeue(cluster, "-o", "%j", "-L", "fluent,matlab", "-S", "j") == ["running", "waiting"]
    assert squeue(cluster, "-o", "%j", "-L", "mat") == []
    assert squeue(cluster, "-o", "%j", env={"SQUEUE_LICENSES": "fluent"}) == ["waiting"]


def test_priority_prints_a_line_for_each_partition(cluster):
    assert squeue(cluster, "-o", "%P", "-j", cluster.held_job) == ["main,side"]
    assert squeue(cluster, "-P", "-o", "%A %P", "-j", cluster.held_job) == \
        ["%d %s" % (cluster.held_job, p) for p in ("main", "side")]
    assert squeue(cluster, "-P", "-o", "%A", "-j", cluster.held_job) == [str(cluster.held_job)] * 2
    assert squeue(cluster, "-o", "%j", "-p", "side") == ["waiting"]


def test_sizes_are_converted_unless_told_not_to(cluster):
    assert squeue(cluster, "-o", "%m", "-j", cluster.run_job) == ["2G"]
    assert squeue(cluster, "--noconvert", "-o", "%m %d", "-j", cluster.run_job) == ["2048M 0"]
    assert "MinMemoryNode=2G MinTmpDiskNode=0" in cluster.ok("scontrol", "show", "job", cluster.run_job)
    job = json.loads(cluster.ok("squeue", "--json", "-j", cluster.run_job))["jobs"][0]
    assert (job["minimum_memory"], job["minimum_tmp_disk_per_node"], job["time_minimum"]) == (2048, 0, 2)


def test_long_lists_of_tasks_are_cut(cluster):
    def shown(**env):
        return squeue(cluster, "-o", "%i", "-j", cluster.array_job, env=env)[0]
    whole = "%d_[%s%%4]" % (cluster.array_job, ",".join(TASKS))
    cut = shown()
    assert cut.endswith(",...%4]") and len(cut.split("[")[1]) <= 64 + 6 and whole.startswith(cut[:-6])
    assert shown(SLURM_BITSTR_LEN="0") == whole
    assert shown(SLURM_BITSTR_LEN="8") == "%d_[1,3,6,...%%4]" % cluster.array_job
    assert shown(SLURM_BITSTR_LEN="no") == cut
    for option in ("-r", "--array", "--array-unique"):
        assert len(squeue(cluster, option, "-j", cluster.array_job)) == len(TASKS)


@pytest.mark.parametrize("keys,order", [
    ("j", "many running waiting"), ("-j", "waiting running many"), ("+j", "many running waiting"),
    ("t,j", "many waiting running"), ("-t,-j", "running waiting many"), ("P,-j", "running many waiting"),
    ("-P,j", "waiting many running"), ("state,-name", "waiting many running"), ("i", "running waiting many")])
def test_sort_by_several_keys(cluster, keys, order):
    assert " ".join(squeue(cluster, "-o", "%j", "-S", keys)) == order
    assert " ".join(squeue(cluster, "-o", "%j", env={"SQUEUE_SORT": keys})) == order


def test_jobs_of_a_hidden_partition_are_seen_when_they_or_it_are_named(cluster):
    job = cluster.sbatch("-H", "-p", "dark", wrap="true")
    shown = [str(job)]
    assert str(job) not in squeue(cluster, "-o", "%A")
    for args in (["-a"], ["-p", "dark"], ["-j", job]):
        assert [l for l in squeue(cluster, "-o", "%A", *args) if l in shown] == shown
    cluster.ok("scancel", job)


def test_localhost_is_this_machine(cluster):
    assert squeue(cluster, "-w", "localhost") == squeue(cluster, "-w", os.uname().nodename.split(".")[0])


def test_a_storm_of_queries_is_answered_whole_and_disturbs_no_one(cluster):
    """Many clients at once, and one that stops reading in the middle of megabytes."""
    comment = "c" * 4000
    for _ in range(150):
        cluster.sbatch("-H", "-J", "storm", "--comment", comment, "-o", "/dev/null", wrap="true")
    deaf = cluster.popen("squeue", "-h", "-n", "storm", "-O", "Comment:4090,SubmitLine:4090")
    deaf.send_signal(signal.SIGSTOP)
    clients = [cluster.popen("sh", "-c", "for k in 1 2 3 4 5; do squeue -h -n storm -o %A | sort -u | wc -l; done")
               for _ in range(20)]
    job = cluster.sbatch("-o", "/dev/null", wrap="true")
    assert cluster.wait_done(job) == "COMPLETED"
    for c in clients:
        out, err = c.communicate(timeout=60)
        assert (out.split(), err) == (["150"] * 5, ""), err
    deaf.send_signal(signal.SIGCONT)
    out, err = deaf.communicate(timeout=60)
    assert (deaf.returncode, err, len(out.splitlines())) == (0, "", 150)
    cluster.ok("scancel", "-n", "storm")
