# SPDX-License-Identifier: Apache-2.0
"""A supervisor that takes one batch job after another: nothing of a job reaches the next,
and its death while idle costs nobody anything."""
import os
import signal

import pytest

from cluster import Cluster, user_ensure, wait_for

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="jobs of two users need root")
pytestmark = pytest.mark.sanitized
PARENT = "echo $PPID"


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(p) for p in f.read().split()]


def title(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().rstrip(b"\0").decode()
    except OSError:
        return ""


def idle(c, name="n1"):
    zygotes = children(c.procs["node-" + name].pid)
    return [p for z in zygotes for p in children(z) if title(p) == "slurmlike-stepd: [idle]"]


def spool(c, name="n1"):
    return os.listdir(os.path.join(c.dir, "spool", name))


def run_for(c, user, body, out):
    job = c.sbatch("-o", out, wrap=body, user=user)
    assert c.wait_done(job) == "COMPLETED"
    wait_for("an idle supervisor", lambda: idle(c))
    return c.read(out)


@root_only
def test_the_next_job_of_a_supervisor_sees_nothing_of_the_one_before():
    user_ensure("slurmliketest")
    with Cluster(nodes=1, cpus=1) as c:
        first = run_for(c, "root", PARENT + "; umask 077; ulimit -n 99; cd /; export LEAK=1; "
                        "sleep 300 & exit 0", "first")
        supervisor = int(first)
        assert idle(c) == [supervisor]
        body = PARENT + "; id -u; umask; ulimit -n; pwd; echo leak=$LEAK; id -G; ls /proc/self/fd | wc -l"
        second = run_for(c, "slurmliketest", body, "second").split("\n")
        fresh_umask, fresh_files = os.popen("umask; ulimit -n").read().split()
        uid = str(user_ensure("slurmliketest").pw_uid)
        gid = str(user_ensure("slurmliketest").pw_gid)
        assert second[:7] == [str(supervisor), uid, fresh_umask, fresh_files, c.work, "leak=", gid]
        third = run_for(c, "root", body, "third").split("\n")
        assert third[0] == str(supervisor) and third[7] == second[7], "descriptors leak"
        assert not c.leftovers()


@root_only
def test_a_file_that_a_job_leaves_beside_its_script_is_removed():
    with Cluster(nodes=1, cpus=1) as c:
        job = c.sbatch("-o", "first", wrap="touch ${0%/*}/mine; ls ${0%/*}")
        assert c.wait_done(job) == "COMPLETED" and "mine" in c.read("first")
        job = c.sbatch("-o", "second", wrap="ls ${0%/*}")
        assert c.wait_done(job) == "COMPLETED"
        assert c.read("second").split() == ["pid", "slurm_script", "sock"]


def test_jobs_in_a_row_share_a_supervisor_and_leave_one_folder():
    with Cluster(nodes=1, cpus=1) as c:
        pids = {run_for(c, None, PARENT + "; echo", "out").split()[0] for _ in range(5)}
        assert len(pids) == 1
        assert [f for f in spool(c) if f.startswith(("step.", "job.", "start."))] == []
        assert [f for f in spool(c) if f.startswith("idle.")] == ["idle." + pids.pop()]


def test_a_script_file_that_somebody_holds_is_not_used_again():
    with Cluster(nodes=1, cpus=1) as c:
        pid = int(run_for(c, None, PARENT, "first"))
        kept = os.path.join(c.dir, "spool/n1/idle.%d/slurm_script" % pid)
        with open(kept, "a") as held:  # also: the next exec would fail with ETXTBSY
            assert int(run_for(c, None, PARENT, "second")) == pid
            held.write("exit 7\n")
        other = os.path.join(c.dir, "spool/n1/other")
        os.link(kept, other)
        with open(other) as f:
            before = f.read()
        assert int(run_for(c, None, PARENT + " # a third one", "third")) == pid
        with open(other) as f:
            assert f.read() == before
        os.unlink(other)


def test_steps_of_the_next_job_come_through_the_kept_socket():
    with Cluster(nodes=1, cpus=1) as c:
        pid = int(run_for(c, None, PARENT, "first"))
        sock = os.path.join(c.dir, "spool/n1/idle.%d/sock" % pid)
        before = os.stat(sock).st_ino
        second = run_for(c, None, PARENT + "; srun -n1 echo step; srun -n1 false 2>/dev/null || echo $?", "second")
        assert second.split() == [str(pid), "step", "1"], second
        assert os.stat(sock).st_ino == before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_idle_supervisor_that_is_killed_is_not_missed(how):
    with Cluster(nodes=1, cpus=1) as c:
        before = int(run_for(c, None, PARENT, "before"))
        os.kill(before, how)
        wait_for("its end", lambda: not title(before))
        after = int(run_for(c, None, PARENT, "after"))
        assert after != before


def test_a_daemon_takes_its_idle_supervisors_along_and_not_the_busy_ones():
    with Cluster(nodes=1, cpus=2) as c:
        free = int(run_for(c, None, PARENT, "free"))
        job = c.sbatch("-o", "busy", wrap=PARENT + "; until [ -e enough ]; do sleep 0.1; done")
        busy = int(c.wait_file("busy", "\n"))
        assert busy == free
        other = int(run_for(c, None, PARENT, "other"))
        c.kill9("node-n1")
        wait_for("the idle one to end", lambda: not title(other))
        assert "[%d.batch]" % job in title(busy)
        c.start_node("n1")
        c.script("", name="enough")
        assert c.wait_done(job) == "COMPLETED"
        wait_for("the busy one to end", lambda: not title(busy))
        wait_for("no folder left", lambda: not [f for f in spool(c) if f.startswith(("idle.", "step."))])


def test_a_step_with_mpi_ends_with_its_supervisor():
    with Cluster(nodes=1, cpus=1) as c:
        pid = int(c.ok("srun", "--mpi=pmix", "sh", "-c", PARENT))
        wait_for("its end", lambda: not title(pid))
        assert idle(c) == []
