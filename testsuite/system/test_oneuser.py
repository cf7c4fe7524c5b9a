# SPDX-License-Identifier: Apache-2.0
"""A trial cluster that one ordinary user runs, with nothing of root's."""
import os
import pwd
import stat

import pytest

from cluster import Cluster, user_ensure

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def own():
    if os.geteuid() != 0:  # whoever runs the tests is that user
        with Cluster() as c:
            yield c
        return
    with Cluster(user=user_ensure("slone").pw_name) as c:
        yield c


def uid_of(cluster):
    return pwd.getpwnam(cluster.ctld_user).pw_uid


def test_no_process_is_roots(own):
    for name, p in own.procs.items():
        assert os.stat("/proc/%d" % p.pid).st_uid == uid_of(own), name


def test_batch_and_run(own):
    job = own.sbatch("-n", "2", "-N", "2", "-o", "out.%j", wrap="id -u; srun hostname; env")
    assert own.wait_done(job) == "COMPLETED"
    out = own.read("out.%d" % job)
    assert out.splitlines()[0] == str(uid_of(own))
    assert "SLURM_JOB_NUM_NODES=2" in out
    assert own.ok("srun", "-n", "2", "id", "-u").split() == [str(uid_of(own))] * 2
    r = own.run("srun", "sh", "-c", "exit 7")
    assert r.rc == 7, r


def test_cancel_and_accounting(own):
    job = own.sbatch("-o", "/dev/null", wrap="sleep 1000")
    own.wait_state(job, "RUNNING")
    own.ok("scancel", job)
    assert own.wait_done(job) == "CANCELLED"
    assert own.sacct("-j", job, "-o", "State%9")[0][0].startswith("CANCELLED")


def test_the_user_administers_it(own):
    own.ok("scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=lunch")
    own.ok("scontrol", "update", "NodeName=n1", "State=RESUME")
    own.wait_nodes()


def test_the_daemons_are_found_again_after_a_kill(own):
    fifo = os.path.join(own.work, "fifo")
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    job = own.sbatch("-w", "n1", "-o", "again.%j", wrap="read x <fifo; echo went on")
    own.wait_state(job, "RUNNING")
    own.kill9("node-n1")
    own.kill9("ctld")
    own.start_ctld()
    own.start_node("n1")
    with open(fifo, "w") as f:
        f.write("go\n")
    assert own.wait_done(job) == "COMPLETED"
    assert own.read("again.%d" % job) == "went on\n"


def test_files_are_closed_to_others(own):
    st = os.stat(os.path.join(own.dir, "state", "state.db"))
    assert st.st_uid == uid_of(own) and stat.S_IMODE(st.st_mode) & 0o077 == 0
    st = os.stat(os.path.join(own.dir, "spool", "n1", "d.sock"))
    assert st.st_uid == uid_of(own) and stat.S_IMODE(st.st_mode) & 0o077 == 0


def test_jobs_of_other_users_are_refused_by_name(own):
    """Nobody can become another user here: said, not run as the wrong one."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be another user")
    user_ensure("slbob")
    r = own.run("sbatch", "--parsable", "-o", "/dev/null", "--wrap", "id", user="slbob")
    assert r.rc == 1 and r.out == "", r
    assert own.ctld_user in r.err and len(r.err.splitlines()) == 1, r
