# SPDX-License-Identifier: Apache-2.0
"""Interactive allocations: salloc(1), and mpirun(1) within allocations."""
import os
import re
import signal
import subprocess
import time

import pexpect
import pytest

from cluster import SLOW, Cluster, wait_for

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def cluster():
    with Cluster(conf="jobs = { kill_wait = 2; inactive_limit = 1; };") as c:
        yield c


def terminal(cluster, *argv):
    env = dict(cluster.env, PS1="prompt> ", TERM="dumb", SHELL="/bin/sh")
    return pexpect.spawn(argv[0], list(argv[1:]), env=env, cwd=cluster.work,
                         timeout=30 * SLOW, encoding="utf-8", echo=False)


def granted(text):
    return int(re.search(r"salloc: Granted job allocation (\d+)", text).group(1))


def test_a_command_runs_here_with_the_jobs_variables_and_its_exit_code(cluster):
    r = cluster.run("salloc", "-N2", "-n4", "-c1", "sh", "-c",
                    "hostname; env | grep ^SLURM; srun -l hostname; exit 7")
    job = granted(r.err)
    assert r.rc == 7
    assert r.err == ("salloc: Granted job allocation %d\n"
                     "salloc: Relinquishing job allocation %d\n" % (job, job))
    lines = r.out.splitlines()
    assert lines[0] == os.uname().nodename
    env = dict(l.split("=", 1) for l in lines if l.startswith("SLURM"))
    assert env["SLURM_JOB_ID"] == str(job) and env["SLURM_JOB_NODELIST"] == "n[1-2]"
    assert env["SLURM_NTASKS"] == "4" and env["SLURM_TASKS_PER_NODE"] == "2(x2)"
    assert env["SLURM_SUBMIT_DIR"] == cluster.work and "SLURM_STEP_ID" not in env
    assert sorted(lines[-4:]) == ["0: n1", "1: n1", "2: n2", "3: n2"]
    assert cluster.wait_done(job) == "FAILED"
    rows = cluster.sacct("-j", job, "-o", "JobID,JobName,State,ExitCode")
    assert rows == [[str(job), "sh", "FAILED", "7:0"],
                    ["%d.extern" % job, "extern", "COMPLETED", "0:0"],
                    ["%d.0" % job, "hostname", "COMPLETED", "0:0"]]


def test_a_good_command_completes_the_job(cluster):
    r = cluster.run("salloc", "true")
    assert r.rc == 0
    job = granted(r.err)
    assert cluster.wait_done(job) == "COMPLETED"
    assert cluster.job(job)["ExitCode"] == "0:0"


def test_a_command_that_is_not_there(cluster):
    r = cluster.run("salloc", "/no/such/command")
    assert r.rc == 127 and "No such file" in r.err and "Relinquishing" in r.err


def test_a_shell_on_a_terminal(cluster):
    t = terminal(cluster, "salloc", "-N2")
    t.expect(r"salloc: Granted job allocation (\d+)\r\n")
    job = int(t.match.group(1))
    t.expect("prompt> ")
    t.sendline("srun hostname | sort | tr '\\n' ,")
    t.expect("n1,n2,")
    t.expect("prompt> ")
    t.sendline("sleep 1000")
    wait_for("sleep", lambda: subprocess.run(
        ["ps", "-o", "comm=", "--ppid", str(shell_of(t.pid))], stdout=subprocess.PIPE,
        text=True).stdout.strip() == "sleep")
    t.sendintr()  # is the command's, not salloc's
    t.expect("prompt> ")
    t.sendline("exit 3")
    t.expect("salloc: Relinquishing job allocation %d\r\n" % job)
    t.expect(pexpect.EOF)
    t.close()
    assert t.exitstatus == 3
    cluster.wait_done(job)


def shell_of(pid):
    return int(subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE,
                              text=True).stdout.split()[0])


def test_ctrl_c_while_pending_takes_the_request_back(cluster):
    full = cluster.sbatch("-N2", "-n8", "-o", "/dev/null", wrap="sleep 1000")
    cluster.wait_state(full, "RUNNING")
    t = terminal(cluster, "salloc", "-n1", "true")
    t.expect(r"salloc: Pending job allocation (\d+)\r\n")
    job = int(t.match.group(1))
    t.expect("salloc: job %d queued and waiting for resources\r\n" % job)
    t.sendintr()
    t.expect("salloc: Job allocation %d has been revoked.\r\n" % job)
    t.expect(pexpect.EOF)
    t.close()
    assert t.exitstatus == 1
    assert cluster.wait_done(job) == "CANCELLED"
    r = cluster.run("salloc", "-I", "-n1", "true")
    assert r.rc == 1
    assert r.err == "salloc: error: Job submit/allocate failed: Requested nodes are busy\n"
    r = cluster.run("srun", "-I", "-n1", "true")
    assert r.rc == 1
    assert r.err == "srun: error: Unable to allocate resources: Requested nodes are busy\n"
    p = cluster.popen("salloc", "-n1", "echo", "my turn")
    wait_for("the wait", lambda: "waiting" in p.stderr.readline())
    cluster.ok("scancel", full)
    out, err = p.communicate(timeout=30 * SLOW)
    assert out == "my turn\n" and "has been allocated resources" in err


def test_a_killed_salloc_gives_the_allocation_back(cluster):
    p = cluster.popen("salloc", "-N2", "-n8", "sh", "-c", "srun -N1 -n1 sleep 1000")
    job = granted(p.stderr.readline())
    wait_for("the step", lambda: "StepId=%d.0 " % job in cluster.run("scontrol", "show", "step").out)
    command = shell_of(p.pid)
    p.kill()
    p.wait()
    assert cluster.wait_done(job) == "CANCELLED"
    assert not cluster.leftovers()
    wait_for("its command to end with its step", lambda: not os.path.exists("/proc/%d" % command))


def test_no_shell_leaves_an_allocation_behind(cluster):
    r = cluster.run("salloc", "-n2", "--no-shell")
    assert r.rc == 0 and r.out == ""
    job = granted(r.err)
    assert cluster.ok("srun", "--jobid=%d" % job, "sh", "-c", "echo in $SLURM_JOB_ID") \
        == "in %d\n" % job
    time.sleep(1.5)  # longer than the inactive limit
    assert cluster.state(job) == "RUNNING"
    cluster.ok("scancel", job)
    assert cluster.wait_done(job) == "CANCELLED"
    r = cluster.run("srun", "--jobid=%d" % job, "true")
    assert r.rc == 1 and "Job/step already completing or completed" in r.err


def test_a_cancelled_allocation_tells_its_command_when_asked_to(cluster):
    p = cluster.popen("salloc", "-n1", "-KTERM", "sleep", "1000")
    job = granted(p.stderr.readline())
    cluster.ok("scancel", job)
    out, err = p.communicate(timeout=30 * SLOW)
    assert err == "salloc: Job allocation %d has been revoked.\n" % job
    assert p.returncode == 143


def test_hangup_releases_at_once_and_term_is_the_commands(cluster):
    p = cluster.popen("salloc", "-n1", "sleep", "1000")
    job = granted(p.stderr.readline())
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=30 * SLOW)
    assert p.returncode == 143
    assert cluster.wait_done(job) == "FAILED"
    p = cluster.popen("salloc", "-n1", "sh", "-c", "trap '' HUP; echo $$; exec sleep 1000 >&- 2>&-")
    job = granted(p.stderr.readline())
    child = int(p.stdout.readline())
    p.send_signal(signal.SIGHUP)
    p.wait(30 * SLOW)
    cluster.wait_done(job)
    os.kill(child, signal.SIGKILL)


def test_the_controllers_restart_does_not_disturb_an_allocation(cluster):
    p = cluster.popen("salloc", "-N2", "sh", "-c", "read go; srun hostname", stdin=subprocess.PIPE)
    job = granted(p.stderr.readline())
    cluster.kill9("ctld")
    cluster.start_ctld()
    cluster.wait_nodes("mix")
    out, err = p.communicate("go\n", timeout=30 * SLOW)
    assert sorted(out.split()) == ["n1", "n2"] and p.returncode == 0, err
    assert cluster.wait_done(job) == "COMPLETED"
    cluster.wait_nodes()


def test_an_allocation_is_launched_again_on_a_node_that_missed_it(cluster):
    node = cluster.procs["node-n2"].pid
    os.kill(node, signal.SIGSTOP)
    p = cluster.popen("salloc", "-N2", "sh", "-c", "read go; srun hostname", stdin=subprocess.PIPE)
    job = granted(p.stderr.readline())
    cluster.kill9("ctld")
    cluster.start_ctld()
    os.kill(node, signal.SIGCONT)
    cluster.wait_nodes("mix")
    out, err = p.communicate("go\n", timeout=30 * SLOW)
    assert sorted(out.split()) == ["n1", "n2"] and p.returncode == 0, err
    assert cluster.wait_done(job) == "COMPLETED"
    cluster.wait_nodes()


def test_impossible_allocations_are_refused(cluster):
    for args in (["-N3"], ["-n99"], ["-p", "nosuch"]):
        r = cluster.run("salloc", *args, "true")
        assert r.rc == 1 and r.err.count("\n") == 1, r
        assert r.err.startswith("salloc: error: Job submit/allocate failed: ")


# ---- Ctrl-C on steps ------------------------------------------------------------------------------


def test_one_ctrl_c_on_a_step_tells_its_tasks_and_two_end_it(cluster):
    t = terminal(cluster, "salloc", "-N2", "-n2")
    t.expect("prompt> ")
    t.sendline("srun -l sh -c 'echo up; exec sleep 1000'; echo code $?")
    t.expect(r"[01]: up\r\n[01]: up\r\n")
    t.sendintr()
    t.expect(r"srun: interrupt \(one more within 1 sec to abort\)\r\n")
    t.expect(r"srun: StepId=\d+\.0 tasks 0-1: running\r\n")
    time.sleep(1.1)  # it is the next second that counts
    t.sendintr()
    t.expect("one more within 1 sec")
    t.sendintr()
    t.expect(r"srun: sending Ctrl-C to StepId=\d+\.0\r\n")
    t.expect("Job step aborted: Waiting up to 4 seconds")
    t.expect("code 130")
    t.expect("prompt> ")
    t.sendline("exit")
    t.expect(pexpect.EOF)


def test_ctrl_c_on_a_step_that_waits_gives_up(cluster):
    t = terminal(cluster, "salloc", "-n1")
    t.expect("prompt> ")
    t.sendline("srun sh -c 'echo up; exec sleep 1000' &")
    t.expect("up\r\n")
    t.sendline("srun true; echo code $?; kill %1")
    t.expect("step creation temporarily disabled, retrying")
    t.sendintr()
    t.expect("srun: error: .*Cancelled pending job step")
    t.expect("code 1")
    t.sendline("exit")
    t.expect(pexpect.EOF)


# ---- mpirun ---------------------------------------------------------------------------------------

HELLO = r'''
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int rank, size, sum = 0;
    char host[64] = "";
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    gethostname(host, sizeof(host) - 1);
    printf("rank %d of %d on %s sum %d\n", rank, size, host, sum);
    fflush(stdout);
    if (argc > 1 && strcmp(argv[1], "die") == 0 && rank == size - 1)
        kill(getpid(), SIGKILL);
    if (argc > 1)
        MPI_Barrier(MPI_COMM_SELF), pause();
    MPI_Finalize();
    return 0;
}
'''


@pytest.fixture(scope="module")
def hello(cluster):
    """An MPI program; None of it is ours, mpirun starts it by way of srun."""
    path = os.path.join(cluster.dir, "hello")
    with open(path + ".c", "w") as f:
        f.write(HELLO)
    subprocess.run(["mpicc", path + ".c", "-o", path], check=True)
    return path


def mpirun():
    more = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return " ".join(["mpirun", "--oversubscribe"] + more)


def expected(size=4):
    return sorted("rank %d of %d on n%d sum %d" % (r, size, 1 + 2 * r // size, size * (size - 1) // 2)
                  for r in range(size))


def test_mpirun_in_a_batch_script_over_two_nodes(cluster, hello):
    path = cluster.script("%s %s\necho code $?\n" % (mpirun(), hello), name="mpi.sh")
    job = cluster.ok("sbatch", "--wait", "--parsable", "-N2", "-n4", "-o", "mpi.%j", path).strip()
    lines = cluster.read("mpi." + job).splitlines()
    assert sorted(l for l in lines if l.startswith("rank")) == expected(), lines
    assert lines[-1] == "code 0"


def test_mpirun_under_salloc_over_two_nodes(cluster, hello):
    r = cluster.run("salloc", "-N2", "-n4", "sh", "-c", "%s %s" % (mpirun(), hello))
    assert r.rc == 0, r
    assert sorted(l for l in r.out.splitlines() if l.startswith("rank")) == expected()


def test_a_rank_that_dies_ends_mpirun_and_leaves_no_process(cluster, hello):
    path = cluster.script("%s %s die\necho code $?\n" % (mpirun(), hello), name="mpi.sh")
    job = cluster.ok("sbatch", "--wait", "--parsable", "-N2", "-n4", "-o", "mpi.%j", path).strip()
    out = cluster.read("mpi." + job)
    assert "code 137" in out, out
    wait_for("no process", lambda: not cluster.leftovers())


def test_ctrl_c_on_mpirun_leaves_no_process(cluster, hello):
    t = terminal(cluster, "salloc", "-N2", "-n4")
    t.expect("prompt> ")
    t.sendline("%s %s stay; echo code $?" % (mpirun(), hello))
    for _ in range(4):
        t.expect("rank . of 4")
    t.sendintr()
    t.expect("code [1-9]")
    wait_for("no rank", lambda: not [p for p in cluster.leftovers() if "hello" in p[1]])
    t.sendline("srun -n4 hostname | sort | uniq -c | tr -s ' \\n' ,")
    t.expect("2,n1,2,n2")
    t.sendline("exit")
    t.expect(pexpect.EOF)
