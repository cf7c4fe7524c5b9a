# SPDX-License-Identifier: Apache-2.0
"""Options of sbatch(1): each does what the manual page says, or says that it is not built."""
import os
import re
import time

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

PARTITIONS = '''partitions = (
  { name = "main"; nodes = "ALL"; default = true; },
  { name = "two"; nodes = "n2"; } );
jobs = { kill_wait = 2; };'''


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=2, cpus=4, gres="gpu:a100:2", memory="8G", conf=PARTITIONS) as c:
        yield c


def ran(cluster, *args, wrap="true", **kw):
    """Submits, waits for the end, gives the job as scontrol shows it."""
    job = cluster.sbatch(*args, wrap=wrap, **kw)
    cluster.wait_done(job)
    return dict(cluster.job(job), id=job)


def env_of(cluster, *args, env=None, **kw):
    """The variables of a job submitted so."""
    job = ran(cluster, "-o", "env.%j", *args, wrap="env", env=env, **kw)
    text = cluster.read("env.%d" % job["id"])
    return dict(l.split("=", 1) for l in text.splitlines() if "=" in l)


# ---- scripts -----------------------------------------------------------------------------

@pytest.mark.parametrize("content,words", [
    (b"", ["empty"]),
    (b" \n\t\n", ["whitespace"]),
    (b"echo hi\n", ["does not look like a batch script"]),
    (b"\x7fELF\x02\x01\x00", ["does not look like a batch script"]),
    (b"#!/bin/sh\r\necho hi\r\n", ["DOS line breaks"]),
    (b"#!/bin/sh\necho a\x00b\n", ["NULL"]),
    (b"#!/bin/sh\n" + b"#" * (5 << 20), ["larger"]),
])
def test_what_is_no_batch_script_is_refused(cluster, content, words):
    path = os.path.join(cluster.work, "bad")
    with open(path, "wb") as f:
        f.write(content)
    for r in (cluster.run("sbatch", path), cluster.run("sh", "-c", "exec sbatch < bad")):
        assert r.rc == 1 and len(r.err.splitlines()) == 1, r
        for w in words:
            assert w in r.err, r


@pytest.mark.parametrize("directives,line,words", [
    ("#SBATCH --no-such\n", 2, ["no-such"]),
    ("# fine\n#SBATCH -n\n", 3, ["requires an argument", "n"]),
    ("#SBATCH --time=soon\n", 2, ["--time", "soon"]),
    ("#SBATCH -n 2 stray\n", 2, ["stray"]),
    ("#SBATCH --job-name='open\n", 2, ["'"]),
    ("#SBATCH --ntasks==2\n", 2, ["ntasks"]),
    ("#SBATCH --reboot\n", 2, ["reboot", "not built"]),
])
def test_a_wrong_directive_names_file_line_and_word(cluster, directives, line, words):
    path = cluster.script(directives + "true\n", name="directives.sh")
    r = cluster.run("sbatch", path)
    assert r.rc == 1 and len(r.err.splitlines()) == 1, r
    for w in ["directives.sh line %d" % line] + words:
        assert w in r.err, (w, r)


def test_directives_end_at_the_first_command_and_comments_are_skipped(cluster):
    path = cluster.script('''# a comment
#SBATCH --job-name="two words" # a remark
##SBATCH -n 3

#SBATCH -o out.%j
true
#SBATCH --job-name=late
echo $SLURM_NTASKS$SLURM_NPROCS
''')
    job = cluster.sbatch(path)
    cluster.wait_done(job)
    assert cluster.ok("squeue", "-h", "-j", job, "-o", "%j").strip() == "two words"
    assert cluster.read("out.%d" % job) == "\n"


def test_another_interpreter_and_arguments_with_blanks(cluster):
    path = cluster.script("#SBATCH -o py.%j\nimport sys\nprint(sys.argv[1:])\n", name="job.py",
                          shebang="#!/usr/bin/python3\n")
    job = cluster.sbatch(path, "a b", "*", "$HOME", "")
    cluster.wait_done(job)
    assert cluster.read("py.%d" % job) == "['a b', '*', '$HOME', '']\n"


def test_a_script_is_found_in_the_path(cluster):
    d = os.path.join(cluster.dir, "bin")
    os.makedirs(d, exist_ok=True)
    with open(d + "/inpath.sh", "w") as f:
        f.write("#!/bin/sh\necho found\n")
    os.chmod(d + "/inpath.sh", 0o755)
    job = cluster.sbatch("-o", "p.%j", "inpath.sh", env={"PATH": cluster.env["PATH"] + ":" + d})
    cluster.wait_done(job)
    assert cluster.read("p.%d" % job) == "found\n"
    assert cluster.job(job)["Command"] == d + "/inpath.sh"
    r = cluster.run("sbatch", "--wrap", "true", "inpath.sh")
    assert r.rc == 1 and "--wrap" in r.err, r


def test_unreadable_scripts_and_folders(cluster, users):
    path = cluster.script("true\n", name="secret.sh")
    os.chmod(path, 0)
    r = cluster.run("sbatch", path, user=users[0])
    assert r.rc == 1 and "secret.sh: Permission denied" in r.err, r
    r = cluster.run("sbatch", cluster.work)
    assert r.rc == 1 and "Is a directory" in r.err, r


# ---- file names --------------------------------------------------------------------------

def test_file_name_patterns(cluster, users):
    job = ran(cluster, "-J", "näme", "-o", "f-%j-%4j-%A-%x-%u-%N-%n-%s-%t-%J-%%-%q", wrap="echo here",
              user=users[0])
    j = job["id"]
    name = "f-%d-%04d-%d-näme-%s-%s-0-batch-0-%d-%%-%%q" % (j, j, j, users[0], job["NodeList"], j)
    assert cluster.read(name) == "here\n", os.listdir(cluster.work)
    array = cluster.sbatch("--array=3,5", "-o", "a-%A-%a-%3a", wrap="echo task")
    wait_for("the array", lambda: not cluster.ok("squeue", "-h", "-j", array, "-t", "PD,R,CG"))
    assert cluster.read("a-%d-3-003" % array) == cluster.read("a-%d-5-005" % array) == "task\n"
    j = ran(cluster, "-o", r"raw\\-%j", wrap="echo raw")["id"]
    assert cluster.read("raw-%j") == "raw\n"
    for bad in ("", "a" * 5000):
        assert cluster.run("sbatch", "-o", bad, "--wrap", "true").rc == 1


def test_default_output_of_jobs_and_arrays(cluster):
    j = ran(cluster, wrap="echo one; echo two >&2")["id"]
    assert cluster.read("slurm-%d.out" % j) == "one\ntwo\n"
    a = cluster.sbatch("--array=7", wrap="echo seven")
    cluster.wait_file("slurm-%d_7.out" % a, "seven")


def test_open_mode(cluster):
    for mode, want in (("append", "old\nnew\n"), ("truncate", "new\n")):
        with open(os.path.join(cluster.work, "mode"), "w") as f:
            f.write("old\n")
        os.chmod(f.name, 0o666)
        ran(cluster, "--open-mode=" + mode, "-o", "mode", wrap="echo new")
        assert cluster.read("mode") == want


def test_input_and_directory(cluster):
    with open(os.path.join(cluster.work, "in.txt"), "w") as f:
        f.write("from file\n")
    j = ran(cluster, "-i", "in.txt", "-o", "i.%j", wrap="cat; pwd")["id"]
    assert cluster.read("i.%d" % j) == "from file\n%s\n" % cluster.work
    j = ran(cluster, "-o", "n.%j", wrap="wc -c")["id"]
    assert cluster.read("n.%d" % j).split() == ["0"]
    d = os.path.join(cluster.work, "sub dir")
    os.makedirs(d, exist_ok=True)
    for given in (d, "sub dir"):
        j = ran(cluster, "-D", given, "-o", "d.%j", wrap="pwd; echo $SLURM_SUBMIT_DIR")["id"]
        assert cluster.read("sub dir/d.%d" % j) == "%s\n%s\n" % (d, cluster.work)


def test_a_directory_that_is_not_there(cluster):
    job = ran(cluster, "-D", "/no/such/dir", "-o", os.path.join(cluster.work, "nd.%j"), wrap="pwd")
    text = cluster.read("nd.%d" % job["id"])
    assert "/no/such/dir" in text and text.splitlines()[-1] == "/tmp", text
    job = ran(cluster, "-D", "/no/such/dir", wrap="pwd")
    assert job["JobState"] == "FAILED"


# ---- variables ---------------------------------------------------------------------------

def test_command_line_over_environment_over_script(cluster):
    path = cluster.script("#SBATCH -J script\n#SBATCH -t 3\n#SBATCH --comment=s\n#SBATCH -H\ntrue\n")
    job = cluster.sbatch("-J", "line", path, env={"SBATCH_JOB_NAME": "env", "SBATCH_TIMELIMIT": "7",
                                                  "SBATCH_PARTITION": "two"})
    shown = cluster.job(job)
    assert (shown["JobName"], shown["TimeLimit"], shown["Partition"], shown["Comment"]) == \
        ("line", "00:07:00", "two", "s")
    cluster.ok("scancel", job)
    r = cluster.run("sbatch", "--wrap", "true", env={"SBATCH_TIMELIMIT": "soon"})
    assert r.rc == 1 and "SBATCH_TIMELIMIT" in r.err, r


@pytest.mark.parametrize("variable,value,key,shown", [
    ("SBATCH_ACCOUNT", "acc", "Account", "acc"),
    ("SBATCH_CONSTRAINT", "nosuch", None, "feature"),
    ("SBATCH_EXCLUSIVE", "1", "OverSubscribe", "NO"),
    ("SBATCH_GPUS", "2", "TresPerJob", "gres/gpu:2"),
    ("SBATCH_GRES", "gpu:1", "TresPerNode", "gres/gpu:1"),
    ("SBATCH_MEM_PER_NODE", "2G", "MinMemoryNode", "2G"),
    ("SBATCH_MEM_PER_CPU", "1G", "MinMemoryCPU", "1G"),
    ("SBATCH_NO_REQUEUE", "1", "Requeue", "0"),
    ("SBATCH_REQUEUE", "1", "Requeue", "1"),
    ("SBATCH_QOS", "high", "QOS", "high"),
    ("SBATCH_OUTPUT", "o.%j", "StdOut", "/o."),
    ("SBATCH_ERROR", "e.%j", "StdErr", "/e."),
    ("SBATCH_ARRAY_INX", "1-3", "ArrayTaskId", "1-3"),
    ("SBATCH_RESERVATION", "r", None, "Requested reservation is invalid: r"),
    ("SBATCH_SIGNAL", "NOPE", None, "SBATCH_SIGNAL"),
])
def test_input_variables(cluster, variable, value, key, shown):
    r = cluster.run("sbatch", "--parsable", "-H", "--wrap", "true", env={variable: value})
    if key is None:
        assert r.rc == 1 and shown in r.err, r
        return
    job = int(r.out)
    try:
        assert shown in cluster.job(job)[key], cluster.job(job)
    finally:
        cluster.ok("scancel", job)


def test_output_variables_of_a_batch_job(cluster):
    e = env_of(cluster, "-N2", "-n4", "-c2", "--mem=1G", "-J", "vars", "-p", "main", "--gres=gpu:1",
               "-A", "acc", "--ntasks-per-node=2")
    want = {"SLURM_JOB_NAME": "vars", "SLURM_JOB_NUM_NODES": "2", "SLURM_NNODES": "2",
            "SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_CPUS_PER_TASK": "2",
            "SLURM_JOB_CPUS_PER_NODE": "4(x2)", "SLURM_TASKS_PER_NODE": "2(x2)",
            "SLURM_JOB_PARTITION": "main", "SLURM_MEM_PER_NODE": "1024", "SLURM_JOB_ACCOUNT": "acc",
            "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_NODEID": "0", "SLURM_PROCID": "0",
            "SLURM_LOCALID": "0", "SLURM_CLUSTER_NAME": "test", "SLURM_JOB_UID": "0",
            "SLURM_SUBMIT_DIR": cluster.work, "SLURM_NTASKS_PER_NODE": "2", "ENVIRONMENT": "BATCH",
            "SLURM_JOB_USER": "root", "SLURM_CPUS_ON_NODE": "4", "SLURMD_NODENAME": "n1",
            "SLURM_GPUS_ON_NODE": "1", "SLURM_JOB_GPUS": "0"}
    assert {k: e.get(k) for k in want} == want
    assert e["SLURM_JOBID"] == e["SLURM_JOB_ID"]
    assert e["SLURM_TASK_PID"].isdigit()
    assert "SLURM_ARRAY_TASK_ID" not in e and "SLURM_RESTART_COUNT" not in e


def test_array_variables(cluster):
    a = cluster.sbatch("--array=2-8:3", "-o", "av.%a", wrap="env")
    wait_for("the array", lambda: not cluster.ok("squeue", "-h", "-j", a, "-t", "PD,R,CG"))
    for task in (2, 5, 8):
        e = dict(l.split("=", 1) for l in cluster.read("av.%d" % task).splitlines() if "=" in l)
        assert (e["SLURM_ARRAY_JOB_ID"], e["SLURM_ARRAY_TASK_ID"], e["SLURM_ARRAY_TASK_COUNT"],
                e["SLURM_ARRAY_TASK_MIN"], e["SLURM_ARRAY_TASK_MAX"], e["SLURM_ARRAY_TASK_STEP"]) \
            == (str(a), str(task), "3", "2", "8", "3")


@pytest.mark.parametrize("export,have,have_not", [
    (None, {"MINE": "1", "OTHER": "2"}, []),
    ("ALL", {"MINE": "1", "OTHER": "2"}, []),
    ("NONE", {}, ["MINE", "OTHER"]),
    ("NIL", {}, ["MINE", "OTHER"]),
    ("MINE", {"MINE": "1"}, ["OTHER"]),
    ("MINE,NEW=x y", {"MINE": "1", "NEW": "x y"}, ["OTHER"]),
    ("NEW='a,b',OTHER", {"NEW": "a,b", "OTHER": "2"}, ["MINE"]),
    ("ALL,NEW=z", {"MINE": "1", "NEW": "z", "OTHER": "2"}, []),
    ("EMPTY=", {"EMPTY": ""}, ["MINE"]),
])
def test_export(cluster, export, have, have_not):
    args = ["--export=" + export] if export is not None else []
    e = env_of(cluster, *args, env={"MINE": "1", "OTHER": "2"})
    assert {k: e.get(k) for k in have} == have
    assert not [k for k in have_not if k in e]
    assert e["SLURM_JOB_ID"].isdigit() and e["PATH"]


def test_export_file(cluster):
    with open(os.path.join(cluster.work, "vars"), "wb") as f:
        f.write(b"FROM_FILE=two\nlines\0SECOND=2\0")
    j = ran(cluster, "--export-file=vars", "-o", "ef.%j", wrap='echo "$FROM_FILE,$SECOND"')["id"]
    assert cluster.read("ef.%d" % j) == "two\nlines,2\n"
    r = cluster.run("sbatch", "--export-file=/no/such", "--wrap", "true")
    assert r.rc == 1 and "/no/such" in r.err, r


# ---- when it starts ----------------------------------------------------------------------

def test_begin_waits_and_says_so(cluster):
    job = cluster.sbatch("--begin=now+1hour", wrap="true")
    shown = cluster.job(job)
    assert (shown["JobState"], shown["Reason"]) == ("PENDING", "BeginTime")
    assert shown["EligibleTime"] > shown["SubmitTime"]
    cluster.ok("scontrol", "update", "JobId=%d" % job, "StartTime=now")
    assert cluster.wait_done(job) == "COMPLETED"
    soon = cluster.sbatch("--begin=now+1", "-o", "/dev/null", wrap="true")
    assert cluster.wait_done(soon) == "COMPLETED"


def test_deadline_ends_a_job_that_waits(cluster):
    job = cluster.sbatch("-H", "--deadline=now+2", wrap="true")
    assert cluster.wait_done(job) == "DEADLINE"
    r = cluster.run("sbatch", "--deadline=2001-01-01", "--wrap", "true")
    assert r.rc == 1 and "past" in r.err, r


@pytest.mark.parametrize("kind,code,state", [
    ("afterok", 0, "COMPLETED"), ("afterok", 1, "NEVER"), ("afternotok", 1, "COMPLETED"),
    ("afternotok", 0, "NEVER"), ("afterany", 0, "COMPLETED"), ("afterany", 1, "COMPLETED")])
def test_dependencies_by_outcome(cluster, kind, code, state):
    first = cluster.sbatch("-H", "-o", "/dev/null", wrap="exit %d" % code)
    then = cluster.sbatch("-d", "%s:%d" % (kind, first), "-o", "/dev/null", wrap="true")
    assert cluster.job(then)["Dependency"] == "%s:%d(unfulfilled)" % (kind, first)
    cluster.ok("scontrol", "release", first)
    if state == "COMPLETED":
        assert cluster.wait_done(then) == state
        return
    wait_for("the reason", lambda: cluster.job(then)["Reason"] == "DependencyNeverSatisfied")
    cluster.ok("scancel", then)


def test_dependencies_combined(cluster):
    a, b = (cluster.sbatch("-H", "-o", "/dev/null", wrap="true") for _ in range(2))
    both = cluster.sbatch("-d", "afterok:%d:%d" % (a, b), "-o", "/dev/null", wrap="true")
    one = cluster.sbatch("-d", "afterok:%d?afterok:%d" % (a, b), "-o", "/dev/null", wrap="true")
    cluster.ok("scontrol", "release", a)
    assert cluster.wait_done(one) == "COMPLETED"
    assert cluster.state(both) == "PENDING"
    cluster.ok("scontrol", "release", b)
    assert cluster.wait_done(both) == "COMPLETED"


def test_after_and_singleton(cluster):
    run = cluster.sbatch("-H", "-J", "only", "-o", "/dev/null", wrap="sleep 1000")
    after = cluster.sbatch("-d", "after:%d" % run, "-o", "/dev/null", wrap="true")
    single = cluster.sbatch("-J", "only", "-d", "singleton", "-o", "/dev/null", wrap="true")
    assert cluster.state(after) == cluster.state(single) == "PENDING"
    cluster.ok("scontrol", "release", run)
    assert cluster.wait_done(after) == "COMPLETED"
    assert cluster.state(single) == "PENDING"
    cluster.ok("scancel", run)
    assert cluster.wait_done(single) == "COMPLETED"


def test_a_dependency_that_can_not_be_met_ends_the_job_when_asked(cluster):
    first = cluster.sbatch("-H", "-o", "/dev/null", wrap="exit 1")
    kept = cluster.sbatch("-d", "afterok:%d" % first, "--kill-on-invalid-dep=no", wrap="true")
    gone = cluster.sbatch("-d", "afterok:%d" % first, "--kill-on-invalid-dep=yes", wrap="true")
    cluster.ok("scontrol", "release", first)
    assert cluster.wait_done(gone) == "CANCELLED"
    assert cluster.job(gone)["Reason"] == "DependencyNeverSatisfied"
    wait_for("the reason", lambda: cluster.job(kept)["Reason"] == "DependencyNeverSatisfied")
    assert cluster.state(kept) == "PENDING"
    cluster.ok("scancel", kept)


def test_aftercorr_pairs_the_tasks_of_two_arrays(cluster):
    a = cluster.sbatch("-H", "--array=1-2", "-o", "/dev/null", wrap="test $SLURM_ARRAY_TASK_ID = 1")
    b = cluster.sbatch("--array=1-2", "-d", "aftercorr:%d" % a, "-o", "corr.%a", wrap="echo ran")
    cluster.ok("scontrol", "release", a)
    cluster.wait_file("corr.1", "ran")
    wait_for("the second to wait for good", lambda: "DependencyNeverSatisfied" in
             cluster.ok("squeue", "-h", "-j", b, "-t", "PD", "-o", "%r"))
    assert cluster.read("corr.2") is None
    cluster.ok("scancel", b)


def test_an_arrays_throttle_bounds_what_runs(cluster):
    a = cluster.sbatch("--array=0-3%1", "-o", "/dev/null", wrap="sleep 1000")
    wait_for("one to run", lambda: cluster.ok("squeue", "-h", "-j", a, "-t", "R"))
    assert cluster.ok("squeue", "-h", "-j", a, "-t", "PD", "-o", "%i %r").split() == \
        ["%d_[1-3%%1]" % a, "JobArrayTaskLimit"]
    assert len(cluster.ok("squeue", "-h", "-r", "-j", a).splitlines()) == 4
    cluster.ok("scancel", "%d_0" % a)
    wait_for("the next", lambda: cluster.ok("squeue", "-h", "-j", a, "-t", "R", "-o", "%K").strip() == "1")
    cluster.ok("scancel", "%d_[2-3]" % a)
    assert cluster.ok("squeue", "-h", "-j", a, "-t", "PD") == ""
    cluster.ok("scancel", a)


# ---- what it gets ------------------------------------------------------------------------

@pytest.mark.parametrize("args,key,want", [
    (["-n3"], "NumCPUs", "3"), (["-n2", "-c2"], "NumCPUs", "4"), (["-N2"], "NodeList", "n[1-2]"),
    (["-N1-2"], "NumNodes", "2"), (["-N1-2", "--use-min-nodes"], "NumNodes", "1"),
    (["-n4", "--ntasks-per-node=2"], "NumNodes", "2"),
    (["--exclusive"], "NumCPUs", "4"), (["-p", "two"], "NodeList", "n2"),
    (["-p", "two,main"], "Partition", "two"), (["-w", "n2"], "NodeList", "n2"),
    (["-x", "n1"], "NodeList", "n2"), (["-w", "n[1-2]"], "NumNodes", "2"),
    (["--mem=3G"], "AllocTRES", "cpu=1,mem=3G"), (["--mem-per-cpu=1G", "-n2"], "AllocTRES", "cpu=2,mem=2G"),
    (["--mem=0"], "AllocTRES", "cpu=1,mem=8G"), (["--gres=gpu:2"], "AllocTRES", "gres/gpu=2"),
    (["--gpus=3"], "NumNodes", "2"), (["--gpus-per-node=1", "-N2"], "AllocTRES", "gres/gpu=2"),
    (["--gpus-per-task=1", "-n2"], "AllocTRES", "gres/gpu=2"), (["-G", "a100:1"], "AllocTRES", "gres/gpu:a100=1"),
    (["--mincpus=3"], "NumCPUs", "3"), (["-t", "1-2:03"], "TimeLimit", "1-02:03:00"),
    (["-t", "90"], "TimeLimit", "01:30:00"), (["-t", "1:30"], "TimeLimit", "00:01:30"),
    (["-t", "2-0"], "TimeLimit", "2-00:00:00"), (["-t", "0"], "TimeLimit", "UNLIMITED"),
    (["--nice=7"], "Nice", "7"), (["--nice"], "Nice", "100"), (["--comment=a b"], "Comment", "a"),
    (["--no-requeue"], "Requeue", "0"), (["--wckey=key"], "WCKey", "key"),
    (["-O", "-n9"], "NumTasks", "9"), (["--contiguous", "-N2"], "Contiguous", "1"),
])
def test_resources_and_attributes(cluster, args, key, want):
    job = ran(cluster, "-o", "/dev/null", *args)
    assert job["JobState"] == "COMPLETED", job
    assert want in job[key], job


def test_uid_submits_for_another(cluster, users):
    j = ran(cluster, "--uid=" + users[0], "-o", "uid.%j", wrap="id -un; id -gn")["id"]
    assert cluster.read("uid.%d" % j) == "%s\n%s\n" % (users[0], users[0])
    assert cluster.ok("squeue", "-h", "-j", j, "-o", "%u").strip() == users[0]
    r = cluster.run("sbatch", "--uid=root", "--wrap", "true", user=users[0])
    assert r.rc == 1 and "root" in r.err, r


@pytest.mark.parametrize("option,who", [("USR1@8", "step"), ("B:USR1@8", "batch")])
def test_signal_before_the_limit(cluster, option, who):
    wrap = "trap 'echo batch got it; exit 0' USR1; " \
           "srun -n1 sh -c 'trap \"echo step got it; exit 0\" USR1; echo up; " \
           "while :; do sleep 0.1; done' & wait; wait"
    job = cluster.sbatch("-t", "0:10", "--signal=" + option, "-o", "sig.%j", wrap=wrap)
    cluster.wait_file("sig.%d" % job, "up")
    cluster.wait_file("sig.%d" % job, who + " got it", timeout=15)
    assert cluster.wait_done(job) in ("COMPLETED", "FAILED")


def test_mail_is_not_forgotten_silently(cluster):
    r = cluster.run("sbatch", "--mail-type=END", "--mail-user=me", "-o", "/dev/null", "--wrap", "true")
    assert r.rc == 0 and "mail" in r.err, r
    r = cluster.run("sbatch", "--mail-type=SOMETIMES", "--wrap", "true")
    assert r.rc == 1 and "SOMETIMES" in r.err, r


@pytest.mark.parametrize("option", [
    "-S1", "--delay-boot=1", "--exclusive=user", "--exclusive=mcs", "--wait-all-nodes=1",
    "--clusters=a", "--container=/x", "--bb=x", "--profile=all", "--reboot", "--power=x",
    "--cpu-freq=high", "--gres-flags=x", "--network=x", "--mcs-label=x", "--acctg-freq=1",
    "--get-user-env", "--thread-spec=1", "--batch=x"])
def test_what_is_not_built_says_so(cluster, option):
    r = cluster.run("sbatch", option, "--wrap", "true")
    assert r.rc == 1 and "not built" in r.err and "Submitted" not in r.out, r


def test_an_old_spelling_is_taken_with_a_warning(cluster):
    r = cluster.run("sbatch", "--mem_bind=none", "-o", "/dev/null", "--wrap", "true")
    assert r.rc == 0 and "deprecated" in r.err and "--mem-bind" in r.err, r
    r = cluster.run("srun", "--cpu_bind=none", "echo", "hi")
    assert (r.rc, r.out) == (0, "hi\n") and "deprecated" in r.err, r


# ---- what sbatch prints ------------------------------------------------------------------

def test_ways_to_print_the_job_id(cluster):
    assert re.fullmatch(r"Submitted batch job \d+\n", cluster.ok("sbatch", "-o", "/dev/null", "--wrap", "true"))
    assert re.fullmatch(r"\d+\n", cluster.ok("sbatch", "--parsable", "-o", "/dev/null", "--wrap", "true"))
    assert cluster.ok("sbatch", "-Q", "-o", "/dev/null", "--wrap", "true") == ""


def test_test_only_submits_nothing(cluster):
    before = sorted(cluster.ok("squeue", "-h", "-t", "all", "-o", "%A").split())
    r = cluster.run("sbatch", "--test-only", "-N2", "--wrap", "true")
    assert r.rc == 0 and re.search(r"Job .*to start at \d{4}-\d\d-\d\dT.* on nodes n\[?1", r.err), r
    r = cluster.run("sbatch", "--test-only", "-N99", "--wrap", "true")
    assert r.rc == 1 and "allocation failure: Requested node configuration" in r.err, r
    assert sorted(cluster.ok("squeue", "-h", "-t", "all", "-o", "%A").split()) == before


@pytest.mark.parametrize("wrap,rc", [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 1)])
def test_wait_ends_as_the_job(cluster, wrap, rc):
    assert cluster.run("sbatch", "-W", "-o", "/dev/null", "--wrap", wrap).rc == rc


def test_wait_for_an_array_gives_the_worst(cluster):
    r = cluster.run("sbatch", "-W", "--array=1-3", "-o", "/dev/null", "--wrap",
                    "exit $((SLURM_ARRAY_TASK_ID * 2))")
    assert r.rc == 6, r


def test_wait_survives_a_killed_controller(cluster):
    """Several kills: the dying controller may still accept the one that calls again."""
    p = cluster.popen("sbatch", "-W", "-o", "wk.%j", "--wrap", "echo up; until [ -e go ]; do sleep 0.05; done; exit 4")
    job = int(re.search(r"\d+", p.stdout.readline()).group())
    cluster.wait_file("wk.%d" % job, "up")
    for _ in range(8):
        cluster.kill9("ctld")
        cluster.start_ctld()
    open(os.path.join(cluster.work, "go"), "w").close()
    err = p.communicate(timeout=60)[1]
    assert p.returncode == 4, err
    cluster.wait_nodes()
