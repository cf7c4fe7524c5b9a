# SPDX-License-Identifier: Apache-2.0
"""Steps inside an allocation: srun(1) in batch scripts."""
import os
import re
import signal

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of four CPUs and two GPUs."""
    with Cluster(gres="gpu:2", conf="jobs = { kill_wait = 2; };") as c:
        yield c


def batch(cluster, body, *args, nodes=2, ntasks=8, **kw):
    """Runs a script over the whole cluster; its output, stderr within."""
    path = cluster.script(body, name="steps.sh", shebang="#!/bin/bash\n")
    out = cluster.ok("sbatch", "--wait", "--parsable", "-N", nodes, "-n", ntasks, "-o", "steps.%j",
                     *args, path, **kw)
    return int(out.strip()), cluster.read("steps.%s" % out.strip())


def running(cluster, body, *args, nodes=2, ntasks=8):
    """Starts the same and does not wait."""
    path = cluster.script(body, name="steps.sh", shebang="#!/bin/bash\n")
    return cluster.sbatch("-N", nodes, "-n", ntasks, "-o", "steps.%j", *args, path)


def test_a_step_takes_its_shape_from_the_job(cluster):
    job, out = batch(cluster, "srun -l sh -c 'echo $SLURMD_NODENAME $SLURM_NTASKS'\n")
    assert sorted(out.splitlines()) == sorted(
        "%d: n%d 8" % (i, 1 + i // 4) for i in range(8))


def test_without_tasks_a_step_has_one_on_each_node(cluster):
    path = cluster.script("srun sh -c 'echo $SLURM_NTASKS $SLURMD_NODENAME'\n")
    job = cluster.ok("sbatch", "--wait", "--parsable", "-N2", "-o", "steps.%j", path).strip()
    assert sorted(cluster.read("steps." + job).splitlines()) == ["2 n1", "2 n2"]


def test_steps_are_numbered_and_recorded_with_their_exit_codes(cluster):
    job, out = batch(cluster, '''
srun -n1 sh -c 'echo step $SLURM_STEP_ID'
srun -n2 sh -c 'exit $((3 + SLURM_PROCID))'; echo code $?
srun -n1 --job-name=mine sh -c 'kill -9 $$'; echo code $?
exit 0
''')
    lines = out.splitlines()
    assert "step 0" in lines and "code 4" in lines and "code 137" in lines
    assert "srun: error: n1: task 0: Exited with exit code 3" in lines
    rows = cluster.sacct("-j", job, "-o", "JobID,JobName,State,ExitCode,NTasks")
    assert rows[2:] == [["%d.0" % job, "sh", "COMPLETED", "0:0", "1"],
                        ["%d.1" % job, "sh", "FAILED", "4:0", "2"],
                        ["%d.2" % job, "mine", "FAILED", "0:9", "1"]]


def test_variables_of_a_step(cluster):
    job, out = batch(cluster, "srun -N1 -n2 -w n2 env | grep ^SLURM | sort -u\n")
    env = dict(l.split("=", 1) for l in out.splitlines())
    assert env["SLURM_JOB_ID"] == str(job) and env["SLURM_STEP_ID"] == "0"
    assert env["SLURM_STEP_NODELIST"] == "n2" and env["SLURM_JOB_NODELIST"] == "n[1-2]"
    assert env["SLURM_STEP_NUM_NODES"] == "1" and env["SLURM_JOB_NUM_NODES"] == "2"
    assert env["SLURM_STEP_NUM_TASKS"] == "2" and env["SLURM_STEP_TASKS_PER_NODE"] == "2"
    assert env["SLURM_GTIDS"] == "0,1" and env["SLURMD_NODENAME"] == "n2"


@pytest.mark.parametrize("options,nodes", [
    ("-N1 -n1", ["n1"]), ("-n1 -w n2", ["n2"]), ("-w n2", ["n1", "n2"]), ("-r1 -n1", ["n2"]),
    ("-N1 -n1 -x n1", ["n2"]), ("-N2 -n2", ["n1", "n2"]), ("--ntasks-per-node=1", ["n1", "n2"]),
    ("-N1 -n3 -r 1", ["n2"] * 3), ("-n4 -m block", ["n1"] * 3 + ["n2"]),
    ("-n4 -m cyclic", ["n1", "n1", "n2", "n2"]), ("-N2 -n2 -w n[1-2]", ["n1", "n2"])])
def test_where_tasks_go(cluster, options, nodes):
    job, out = batch(cluster, "srun %s hostname\n" % options)
    if options == "-w n2":  # eight tasks, inherited, need the other node too
        assert sorted(set(out.split())) == nodes
    else:
        assert sorted(out.split()) == nodes


@pytest.mark.parametrize("options,message", [
    ("-n9", "Unable to create step for job {job}: More processors requested than permitted"),
    ("-n1 -c5", "Unable to create step for job {job}: More processors requested than permitted"),
    ("-N3 -n3", "Only allocated 2 nodes asked for 3"),
    ("-n1 -w n9", "node n9 is not in the job's allocation"),
    ("-n1 --mem=100G", "Memory required by task is not available"),
    ("-n1 --gres=gpu:3", "Invalid generic resource (gres) specification"),
    ("-n1 -r 5", "Requested node configuration is not available")])
def test_what_can_never_run_is_refused_in_one_line(cluster, options, message):
    job, out = batch(cluster, "srun %s echo no; echo code $?\n" % options, "--mem=1G")
    lines = out.splitlines()
    assert len(lines) == 2 and lines[1] == "code 1", out
    assert lines[0].startswith("srun: error: ") and message.format(job=job) in lines[0]


def test_exact_steps_run_side_by_side_on_their_own_cores(cluster):
    job, out = batch(cluster, '''
for i in 1 2 3 4; do
    srun -n1 --exact sh -c 'echo $SLURM_CPUS_ON_NODE; touch up.$SLURM_JOB_ID.$SLURM_STEP_ID
        while [ $(ls up.$SLURM_JOB_ID.* | wc -l) -lt 4 ]; do sleep 0.01; done' &
done
wait
''', nodes=1, ntasks=4)
    assert out.split() == ["1"] * 4


def test_a_step_takes_all_cores_of_its_nodes_unless_told_otherwise(cluster):
    """So that two of them run one after another; srun(1) --exact."""
    job, out = batch(cluster, '''
srun -n1 sh -c 'echo first $SLURM_CPUS_ON_NODE; sleep 0.3; echo first ends' &
while ! grep -q first steps.$SLURM_JOB_ID; do sleep 0.01; done
srun -n1 echo second
wait
''', nodes=1, ntasks=4)
    assert out.splitlines() == ["first 4", "first ends", "second"]


def test_overlap_runs_beside_a_step_that_holds_all(cluster):
    job, out = batch(cluster, '''
srun -n8 sh -c 'while [ ! -e go.$SLURM_JOB_ID ]; do sleep 0.01; done' &
srun -n2 --overlap sh -c 'touch go.$SLURM_JOB_ID; echo beside'
wait
''')
    assert out.split() == ["beside"] * 2


def test_immediate_refuses_to_wait(cluster):
    job, out = batch(cluster, '''
srun -n8 sh -c 'touch up.$SLURM_JOB_ID; while [ ! -e go.$SLURM_JOB_ID ]; do sleep 0.01; done' &
while [ ! -e up.$SLURM_JOB_ID ]; do sleep 0.01; done
srun -n1 --immediate true; echo code $?
touch go.$SLURM_JOB_ID
wait
''')
    assert out == ("srun: error: Unable to create step for job %d: Requested nodes are busy\n"
                   "code 1\n" % job)


def test_who_waits_is_told_and_served_in_order(cluster):
    job, out = batch(cluster, '''
srun -n8 sh -c 'while [ ! -e go.$SLURM_JOB_ID ]; do sleep 0.01; done' &
sleep 0.5
for i in 1 2 3; do srun -n8 sh -c 'test $SLURM_PROCID != 0 || echo turn '$i & sleep 0.3; done
while ! grep -q retrying steps.$SLURM_JOB_ID; do sleep 0.01; done
touch go.$SLURM_JOB_ID
wait
''')
    assert "srun: Job %d step creation temporarily disabled, retrying (Requested nodes are busy)" \
        % job in out
    assert re.findall(r"turn (\d)", out) == ["1", "2", "3"]


def test_memory_that_steps_name_is_not_given_twice(cluster):
    job, out = batch(cluster, '''
srun -n1 --exact --mem=700M sh -c 'touch up.$SLURM_JOB_ID
    while [ ! -e go.$SLURM_JOB_ID ]; do sleep 0.01; done' &
while [ ! -e up.$SLURM_JOB_ID ]; do sleep 0.01; done
srun -n1 --exact --mem=700M -I true; echo code $?
srun -n1 --exact --mem=300M -I true; echo code $?
srun -n1 --exact -I true; echo code $?
touch go.$SLURM_JOB_ID
wait
''', "--mem=1G", nodes=1, ntasks=4)
    assert re.findall(r"code (\d)", out) == ["1", "0", "0"]


def test_gpus_that_steps_name_are_their_own(cluster):
    job, out = batch(cluster, '''
for i in 1 2; do
    srun -n1 --exact --gres=gpu:1 sh -c 'echo gpu $CUDA_VISIBLE_DEVICES of $SLURM_GPUS_ON_NODE
        touch up.$SLURM_JOB_ID.$SLURM_STEP_ID
        while [ $(ls up.$SLURM_JOB_ID.* | wc -l) -lt 2 ]; do sleep 0.01; done' &
done
wait
srun -n1 sh -c 'echo all $CUDA_VISIBLE_DEVICES'
srun -n1 --gres=none sh -c 'echo none $CUDA_VISIBLE_DEVICES'
''', "--gres=gpu:2", nodes=1, ntasks=4)
    lines = out.splitlines()
    assert sorted(lines[:2]) == ["gpu 0 of 1", "gpu 1 of 1"]
    assert lines[2:] == ["all 0,1", "none"]


def test_kill_on_bad_exit_ends_the_step_and_wait_ends_stragglers(cluster):
    job, out = batch(cluster, '''
srun -n2 -K sh -c 'test $SLURM_PROCID = 1 && exit 9; exec sleep 1000'; echo code $?
srun -n2 -W1 sh -c 'test $SLURM_PROCID = 1 && exit 0; exec sleep 1000'; echo code $?
''')
    assert "srun: error: n2: task 1: Exited with exit code 9" in out
    assert re.findall(r"^code (\d+)", out, re.M) == ["143", "143"]


def test_a_steps_own_time_limit(cluster):
    job, out = batch(cluster, "srun -n1 -t 0:01 sleep 1000; echo code $?\n")
    assert "STEP %d.0 ON n1 CANCELLED AT" % job in out and "DUE TO TIME LIMIT" in out
    assert cluster.sacct("-j", "%d.0" % job, "-o", "State") == [["TIMEOUT"]]


def test_input_output_and_directory(cluster):
    job, out = batch(cluster, '''
echo from stdin | srun -n1 cat
echo from file > in.$SLURM_JOB_ID
srun -n2 -l -i in.$SLURM_JOB_ID cat
srun -n2 -o out.%j.%s.%t -e err.%j.%s.%t sh -c 'echo o$SLURM_PROCID; echo e$SLURM_PROCID >&2'
cat out.$SLURM_JOB_ID.2.0 out.$SLURM_JOB_ID.2.1 err.$SLURM_JOB_ID.2.0 err.$SLURM_JOB_ID.2.1
srun -n1 -D / pwd
printf 'one\\ntwo\\n' | srun -n2 --input=1 -l cat
''')
    lines = out.splitlines()
    assert lines[0] == "from stdin"
    assert sorted(lines[1:3]) == ["0: from file", "1: from file"]
    assert lines[3:8] == ["o0", "o1", "e0", "e1", "/"]
    assert lines[8:] == ["1: one", "1: two"]


def test_multi_prog_gives_each_rank_its_program(cluster):
    with open(os.path.join(cluster.work, "mp.conf"), "w") as f:
        f.write("# who does what\n0 echo server %t\n1,3 echo 'pair' %t at %o \\\n joined\n"
                "* sh -c 'echo rest $0' %t\n")
    job, out = batch(cluster, "srun -n5 --multi-prog mp.conf\n")
    assert sorted(out.splitlines()) == ["pair 1 at 0 joined", "pair 3 at 1 joined", "rest 2",
                                        "rest 4", "server 0"]
    with open(os.path.join(cluster.work, "mp.conf"), "w") as f:
        f.write("0 echo only\n")
    job, out = batch(cluster, "srun -n2 --multi-prog mp.conf; echo code $?\n")
    assert "No executable program specified for this task" in out and "code 1" in out


def test_a_pty_step_has_a_terminal(cluster):
    job, out = batch(cluster, "srun -n1 --pty sh -c 'test -t 0 && test -t 1 && echo tty' </dev/null\n")
    assert out.split() == ["tty"]


def test_scancel_of_one_step_leaves_the_job(cluster):
    job = running(cluster, "srun -n2 sleep 1000; echo code $?\nsrun -n1 echo goes on\n")
    wait_for("the step", lambda: "StepId=%d.0 " % job in cluster.run("scontrol", "show", "step").out)
    shown = cluster.ok("scontrol", "show", "step", "%d.0" % job)
    assert "State=RUNNING" in shown and "NodeList=n[1-2]" in shown and "Tasks=2" in shown
    cluster.ok("scancel", "%d.0" % job)
    assert cluster.wait_done(job) == "COMPLETED"
    out = cluster.read("steps.%d" % job)
    assert "goes on" in out and "STEP %d.0 ON n1 CANCELLED AT" % job in out
    rows = dict((r[0], r[1]) for r in cluster.sacct("-j", job, "-o", "JobID,State"))
    assert rows["%d.0" % job] == "CANCELLED by 0" and rows["%d.1" % job] == "COMPLETED"


def test_steps_still_running_when_the_script_ends_are_ended(cluster):
    job = running(cluster, "srun -n8 sleep 1000 &\nwhile ! scontrol show step $SLURM_JOB_ID.0 | "
                           "grep -q RUNNING; do sleep 0.05; done; exit 0\n")
    assert cluster.wait_done(job) == "COMPLETED"
    wait_for("no process", lambda: not cluster.leftovers())


def step_pid(cluster, node, job, step):
    """Supervisor of a step on a node."""
    try:
        with open(os.path.join(cluster.dir, "spool", node, "step.%d.0.%d" % (job, step), "pid")) as f:
            return int(f.read().split()[0])
    except (OSError, IndexError):
        return None


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_a_killed_root_supervisor_frees_what_its_step_held(cluster, node):
    job = running(cluster, "srun -N1 -n1 -w %s sh -c 'echo up; exec sleep 1000'; echo code $?\n"
                           "srun -n8 echo all\n" % node)
    cluster.wait_file("steps.%d" % job, "up")
    os.kill(step_pid(cluster, node, job, 0), signal.SIGKILL)
    assert cluster.wait_done(job) == "COMPLETED"
    out = cluster.read("steps.%d" % job)
    assert "%s: the connection to StepId=%d.0 is lost" % (node, job) in out
    assert "code 1" in out and out.count("all\n") == 8
    assert cluster.sacct("-j", "%d.0" % job, "-o", "State") == [["FAILED"]]
    assert not cluster.leftovers()


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_steps_go_on_while_a_daemon_is_restarted(cluster, node):
    job = running(cluster, '''
srun -N1 -n1 -w %s sh -c 'touch up.$SLURM_JOB_ID
    while [ ! -e go.$SLURM_JOB_ID ]; do sleep 0.01; done; echo first'
srun -n8 echo all
''' % node)
    wait_for("the step", lambda: os.path.exists(os.path.join(cluster.work, "up.%d" % job)))
    cluster.kill9("node-" + node)
    open(os.path.join(cluster.work, "go.%d" % job), "w").close()
    cluster.wait_file("steps.%d" % job, "first")
    cluster.start_node(node)
    assert cluster.wait_done(job) == "COMPLETED"
    assert cluster.read("steps.%d" % job).count("all\n") == 8
    assert cluster.sacct("-j", "%d.0" % job, "-o", "State") == [["COMPLETED"]]
    cluster.wait_nodes()


def test_a_step_asked_for_while_a_daemon_is_away_starts_when_it_is_back(cluster):
    job = running(cluster, "touch up.$SLURM_JOB_ID\n"
                           "while [ ! -e go.$SLURM_JOB_ID ]; do sleep 0.01; done\n"
                           "srun -n8 hostname\n")
    wait_for("the script", lambda: os.path.exists(os.path.join(cluster.work, "up.%d" % job)))
    cluster.kill9("node-n2")
    open(os.path.join(cluster.work, "go.%d" % job), "w").close()
    cluster.start_node("n2")
    assert cluster.wait_done(job) == "COMPLETED"
    assert sorted(cluster.read("steps.%d" % job).split()) == ["n1"] * 4 + ["n2"] * 4
    cluster.wait_nodes()


def test_a_killed_srun_ends_its_step(cluster):
    job = running(cluster, "srun -n8 sleep 1000 &\necho pid $!\nwait $!\necho code $?\n"
                           "srun -n8 echo all\n")
    out = cluster.wait_file("steps.%d" % job, "pid")
    wait_for("the tasks", lambda: step_pid(cluster, "n2", job, 0))
    os.kill(int(re.search(r"pid (\d+)", out).group(1)), signal.SIGKILL)
    assert cluster.wait_done(job) == "COMPLETED"
    assert "code 137" in cluster.read("steps.%d" % job)
    assert cluster.read("steps.%d" % job).count("all\n") == 8


def test_an_srun_that_is_killed_while_it_waits_gives_up_its_place(cluster):
    job, out = batch(cluster, '''
srun -n8 sh -c 'while [ ! -e go.$SLURM_JOB_ID ]; do sleep 0.01; done' &
sleep 0.3
srun -n8 echo never &
sleep 0.3
kill -9 $!
touch go.$SLURM_JOB_ID
srun -n2 echo later
wait
''')
    assert "never" not in out.splitlines() and out.count("later\n") == 2


def test_many_steps_at_once_and_one_after_another(cluster):
    job, out = batch(cluster, '''
for i in $(seq 40); do srun -n1 --exact echo at once & done
wait
for i in $(seq 40); do srun -n1 echo in turn; done
''', timeout=120)
    assert out.count("at once") == 40 and out.count("in turn") == 40
    wait_for("the records", lambda: len(cluster.sacct("-j", job, "-o", "JobID")) == 82)


def test_nobody_else_gets_a_step_in_ones_job(cluster, users):
    alice, bob = users
    path = cluster.script("echo up; sleep 1000\n", name="alice.sh")
    job = cluster.sbatch("-o", "alice.%j", path, user=alice)
    cluster.wait_file("alice.%d" % job, "up")
    assert cluster.ok("srun", "--jobid=%d" % job, "--overlap", "id", "-un", user=alice).strip() == alice
    r = cluster.run("srun", "--jobid=%d" % job, "--overlap", "id", "-un", user=bob)
    assert r.rc == 1 and r.out == "" and r.err.startswith("srun: error: ")
    cluster.ok("scancel", job)
    cluster.wait_done(job)


def step_is_known(cluster, job, step=0):
    return "StepId=%d.%d " % (job, step) in cluster.run("scontrol", "show", "step").out


@pytest.mark.parametrize("restarted", ["node daemon", "node daemon and controller"])
def test_scancel_of_a_step_is_carried_out_when_the_nodes_daemon_is_back(restarted):
    with Cluster(nodes=1) as c:
        job = c.sbatch("-o", "away.%j", wrap="srun -n1 sleep 1000; echo code $?")
        wait_for("the step", lambda: step_is_known(c, job))
        c.kill9("node-n1")
        wait_for("the controller to see it", lambda: "*" in c.ok("sinfo", "-h", "-N", "-o", "%t"))
        r = c.run("scancel", "-s", "USR1", "%d.0" % job)
        assert r.rc == 1 and "No node of the job answers" in r.err, r
        c.ok("scancel", "%d.0" % job)
        if "controller" in restarted:
            c.kill9("ctld")
            c.start_ctld()
        c.start_node("n1")
        assert c.wait_done(job) == "COMPLETED"
        assert "STEP %d.0 ON n1 CANCELLED AT" % job in c.read("away.%d" % job)
        rows = dict((r[0], r[1]) for r in c.sacct("-j", job, "-o", "JobID,State"))
        assert rows["%d.0" % job] == "CANCELLED by 0"


def test_scancel_of_a_step_that_is_not_there_is_an_error_and_changes_nothing(cluster):
    held = cluster.sbatch("-H", "-o", "/dev/null", wrap="exit 0")
    job = running(cluster, "srun -n1 true; sleep 1000\n")
    wait_for("the step's end", lambda: [r for r in cluster.sacct("-j", job, "-o", "JobID,State")
                                        if r == ["%d.0" % job, "COMPLETED"]])
    for target in ("%d.0" % job, "%d.7" % job, "%d.0" % held):
        r = cluster.run("scancel", target)
        assert r.rc == 1 and "Kill job error on job id %s: Invalid job step specified" % target in r.err, r
    assert cluster.state(job) == "RUNNING" and cluster.state(held) == "PENDING"
    cluster.ok("scancel", job, held)
    cluster.wait_done(job)
    r = cluster.run("scancel", "-v", "%d.0" % job)
    assert r.rc == 1 and "Job/step already completing or completed" in r.err, r


def stopped_srun(c):
    """An srun that is stopped between its submission and its attachment; its job has started."""
    first = c.sbatch("-N2", "--exclusive", "-o", "/dev/null", wrap="sleep 1000")
    c.wait_state(first, "RUNNING")
    srun = c.popen("srun", "-N2", "-n2", "sleep", "1000")
    job = first + 1
    c.wait_state(job, "PENDING")
    srun.send_signal(signal.SIGSTOP)
    c.ok("scancel", first)
    c.wait_state(job, "RUNNING")
    return srun, job


@pytest.mark.parametrize("node,times", [("n1", 1), ("n2", 4)])
def test_a_supervisor_killed_before_the_others_reached_it_costs_no_minute(node, times):
    with Cluster(nodes=2) as c:
        for _ in range(times):  # now and then the others have reached it
            srun, job = stopped_srun(c)
            os.kill(wait_for("its supervisor", lambda: step_pid(c, node, job, 0)), signal.SIGKILL)
            srun.send_signal(signal.SIGCONT)
            assert c.wait_done(job, timeout=25) in ("FAILED", "CANCELLED", "NODE_FAIL")
            _, err = srun.communicate(timeout=60)
            assert srun.returncode != 0 and err, err


def test_an_srun_killed_before_its_step_knew_it_ends_the_job_at_once():
    """Neither the time that a step waits for its srun nor that of a lost client passes."""
    conf = "jobs = { inactive_limit = 100000; };"
    with Cluster(nodes=2, conf=conf) as c:
        srun, job = stopped_srun(c)
        for node in ("n1", "n2"):
            wait_for("its supervisors", lambda: step_pid(c, node, job, 0))
        srun.kill()
        srun.communicate()
        assert c.wait_done(job, timeout=50) == "CANCELLED"
        # one that waits for its nodes
        first = c.sbatch("-N2", "--exclusive", "-o", "/dev/null", wrap="sleep 1000")
        c.wait_state(first, "RUNNING")
        srun = c.popen("srun", "-N2", "-n2", "sleep", "1000")
        job = first + 1
        c.wait_state(job, "PENDING")
        srun.kill()
        srun.communicate()
        assert c.wait_done(job, timeout=50) == "CANCELLED"
        c.ok("scancel", first)
