# SPDX-License-Identifier: Apache-2.0
"""MPI programs started by srun alone, through PMIx, over several nodes: Open MPI's own
transports, programs from Debian's packages, and ranks that end badly."""
import glob
import os
import re
import subprocess

import pytest

from cluster import SLOW, TOP, Cluster, user_ensure, wait_for

# more ranks than cores: a rank that waits must let the others run
ENV = {"OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_hwloc_base_binding_policy": "none"}
HPCC = """HPLinpack benchmark input file
here
HPL.out      output file name (if any)
8            device out (6=stdout,7=stderr,file)
1            # of problems sizes (N)
160          Ns
1            # of NBs
32           NBs
0            PMAP process mapping (0=Row-,1=Column-major)
1            # of process grids (P x Q)
%d           Ps
%d           Qs
16.0         threshold
1            # of panel fact
2            PFACTs (0=left, 1=Crout, 2=Right)
1            # of recursive stopping criterium
4            NBMINs (>= 1)
1            # of panels in recursion
2            NDIVs
1            # of recursive panel fact.
1            RFACTs (0=left, 1=Crout, 2=Right)
1            # of broadcast
1            BCASTs (0=1rg,1=1rM,2=2rg,3=2rM,4=Lng,5=LnM)
1            # of lookahead depth
1            DEPTHs (>=0)
2            SWAP (0=bin-exch,1=long,2=mix)
64           swapping threshold
0            L1 in (0=transposed,1=no-transposed) form
0            U  in (0=transposed,1=no-transposed) form
1            Equilibration (0=no,1=yes)
8            memory alignment in double (> 0)
##### This line (no. 32) is ignored (it serves as a separator). ######
0            Number of additional problem sizes for PTRANS
1200         values of N
0            number of additional blocking sizes for PTRANS
40           values of NB
"""


def build(c):
    """Compiles the programs into the cluster's folder."""
    here = os.path.join(TOP, "testsuite/system")
    c.checks = os.path.join(c.dir, "mpi_checks")
    c.pmix_checks = os.path.join(c.dir, "pmix_checks")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "pmix"], check=True,
                           capture_output=True, text=True).stdout.split()
    cc = "mpicc.openmpi" if os.path.exists("/usr/bin/mpicc.openmpi") else "mpicc"
    subprocess.run([cc, "-O1", "-o", c.checks, here + "/mpi_checks.c"],
                   check=True, env=dict(os.environ, OMPI_CC="gcc"))
    subprocess.run(["gcc", "-O1", "-o", c.pmix_checks, here + "/pmix_checks.c"] + flags, check=True)
    return c


@pytest.fixture(scope="module")
def four():
    with Cluster(nodes=4) as c:
        yield build(c)


def srun(c, *argv, **kw):
    kw.setdefault("timeout", 180)
    return c.run("srun", *argv, env=dict(ENV, **kw.pop("env", {})), **kw)


def gone(c):
    """Nothing is left of a step: no process, no folder, no shared memory."""
    wait_for("no process of a step", lambda: not c.leftovers())
    wait_for("no folder of a step", lambda: not glob.glob(c.dir + "/spool/*/step.*"))
    c.wait_nodes()


# ---- start-up -------------------------------------------------------------------------

def test_list_names_what_there_is(four):
    r = four.run("srun", "--mpi=list")
    assert r.rc == 0 and re.findall(r"^\t(\S+)$", r.out + r.err, re.M) == ["none", "pmix"]
    r = four.run("srun", "--mpi=openmpi7", "true")
    assert r.rc == 1 and "openmpi7" in r.err and "--mpi=list" in r.err


@pytest.mark.sanitized
@pytest.mark.parametrize("nodes,tasks", [(1, 1), (1, 3), (2, 2), (2, 5), (4, 8)])
def test_an_mpi_program_needs_no_option_and_no_mpirun(four, nodes, tasks):
    r = srun(four, "-N%d" % nodes, "-n%d" % tasks, four.checks)
    assert r.rc == 0, r
    lines = sorted(re.findall(r"rank (\d+) of %d on (\S+)" % tasks, r.out), key=lambda l: int(l[0]))
    assert [int(l[0]) for l in lines] == list(range(tasks)), r
    assert len({l[1] for l in lines}) == nodes


def test_none_starts_no_server(four):
    assert "PMIX_RANK=1\n" in four.ok("srun", "--mpi=pmix", "-N2", "-n2", "env")
    assert "PMIX_" not in four.ok("srun", "--mpi=none", "-N2", "-n2", "env")
    assert "PMIX_" not in four.ok("srun", "-N2", "-n2", "env", env={"SLURM_MPI_TYPE": "none"})


def test_a_long_tmpdir_is_no_matter(four):
    deep = os.path.join(four.work, "d" * 120, "e" * 120)
    os.makedirs(deep)
    r = srun(four, "-N2", "-n4", four.checks, "shared", env={"TMPDIR": deep})
    assert r.rc == 0 and "shared: all right" in r.out, r


def test_cyclic_distribution_and_plain_programs_in_between(four):
    r = srun(four, "-N2", "-n4", "-m", "cyclic", "sh", "-c",
             "echo before; %s stress && %s hello" % (four.checks, four.checks))
    assert r.rc == 0 and r.out.count("before") == 4 and "stress: all right" in r.out, r
    assert r.out.count("of 4 on") == 4


def test_an_ordinary_user_may_use_mpi(four):
    if os.geteuid() != 0:
        pytest.skip("needs root to act as another user")
    alice = user_ensure("slalice").pw_name
    r = srun(four, "-N2", "-n4", four.checks, "shared", user=alice)
    assert r.rc == 0 and "shared: all right" in r.out, r


# ---- the whole of MPI over the nodes --------------------------------------------------------

def test_split_and_allgather_over_four_nodes_of_four_ranks(four):
    r = srun(four, "-N4", "-n16", four.checks, "stress")
    assert r.rc == 0 and "stress: all right" in r.out, r


def test_ranks_of_a_node_share_memory_those_of_others_do_not(four):
    r = srun(four, "-N4", "-n8", four.checks, "shared")
    assert r.rc == 0 and "shared: all right" in r.out, r


def test_names_are_published_and_looked_up(four):
    r = srun(four, "-N2", "-n4", four.checks, "names")
    assert r.rc == 0 and "names: all right" in r.out, r


def test_two_halves_connect_to_each_other(four):
    r = srun(four, "-N2", "-n4", four.checks, "halves")
    assert r.rc == 0 and "halves: all right" in r.out, r


def test_many_steps_at_a_time_do_not_meet(four):
    many = [four.popen("srun", "-N2", "-n2", four.checks, "shared", env=ENV) for _ in range(4)]
    for p in many:
        out, err = p.communicate(timeout=180 * SLOW)
        assert p.returncode == 0 and "shared: all right" in out, (out, err)


@pytest.mark.sanitized
@pytest.mark.parametrize("name", ["info", "direct", "subsets", "exchange", "events", "others"])
def test_pmix_itself(four, name):
    r = srun(four, "-N3", "-n6", four.pmix_checks, name)
    assert r.rc == 0 and name + ": all right" in r.out, r
    if name == "others":
        assert "MPI_Comm_spawn is not built yet" in r.err and "a line for the log" in r.err, r
    gone(four)


def test_pmix_over_three_levels_of_supervisors():
    with Cluster(nodes=18) as c:
        build(c)
        for name in ("direct", "subsets", "exchange", "events"):
            r = srun(c, "-N18", "-n18", c.pmix_checks, name)
            assert r.rc == 0 and name + ": all right" in r.out, r
        gone(c)


def test_a_task_may_end_the_step(four):
    r = srun(four, "-N2", "-n4", four.pmix_checks, "terminate")
    assert r.rc == 143 and "task 3 asked to end the step" in r.err, r
    gone(four)


def test_nodes_of_one_user_share_the_hostname_but_no_memory():
    if os.geteuid() != 0:
        pytest.skip("all clusters of this run are one user's")
    with Cluster(user=user_ensure("slone").pw_name) as c:
        build(c)
        r = srun(c, "-N2", "-n4", c.checks, "shared")
        assert r.rc == 0 and "shared: all right" in r.out, r
        gone(c)


def test_steps_within_a_job_one_after_and_beside_another(four):
    body = ("srun -N3 -n6 %s shared\n"
            "srun --exact -N1 -n1 %s stress & srun --exact -N2 -n2 %s stress & wait\n") % ((four.checks,) * 3)
    job = four.sbatch("-N3", "-n6", "-o", "steps.%j", four.script(body, name="steps.sh"), env=ENV)
    assert four.wait_done(job, timeout=180) == "COMPLETED"
    out = four.read("steps.%d" % job)
    assert out.count("shared: all right") == 1 and out.count("stress: all right") == 2, out


# ---- programs from Debian's packages -----------------------------------------------------------

@pytest.mark.parametrize("nodes,p,q", [(2, 1, 2), (4, 2, 2)])
def test_hpcc_gives_right_results(four, nodes, p, q):
    work = os.path.join(four.work, "hpcc%d" % nodes)
    os.mkdir(work)
    with open(os.path.join(work, "hpccinf.txt"), "w") as f:
        f.write(HPCC % (p, q))
    r = srun(four, "-N%d" % nodes, "-n%d" % (p * q), "hpcc", cwd=work, timeout=600)
    assert r.rc == 0, r
    with open(os.path.join(work, "hpccoutf.txt")) as f:
        text = f.read()
    assert "End of HPC Challenge tests." in text
    assert re.search(r"\|\|Ax-b\|\|.*PASSED", text)
    assert "1 tests completed and passed residual checks" in text
    assert re.search(r"^\s*0 tests completed and failed residual checks", text, re.M)
    summary = dict(l.split("=", 1) for l in text.splitlines() if re.match(r"^\w+=", l))
    assert summary["CommWorldProcs"] == str(p * q) and summary["Success"] == "1"
    assert "FAILED" not in text


def test_mpi4py_programs(four):
    r = srun(four, "-N4", "-n8", "/usr/bin/python3", "-m", "mpi4py.bench", "helloworld")
    assert r.rc == 0, r
    assert sorted(map(int, re.findall(r"process (\d+) of 8", r.out))) == list(range(8))
    r = srun(four, "-N2", "-n4", "/usr/bin/python3", "-m", "mpi4py.bench", "ringtest")
    assert r.rc == 0 and re.search(r"time for 1 loops = .* \(4 processes", r.out), r


# ---- bad ends ------------------------------------------------------------------------------------

@pytest.mark.sanitized
@pytest.mark.parametrize("code,rc", [("7", 7), ("200", 200), ("256", 1)])
def test_mpi_abort_ends_the_step_with_its_code(four, code, rc):
    r = srun(four, "-N4", "-n8", four.checks, "abort", code)
    assert r.rc == rc, r
    assert r.err.count("task 7 called MPI_Abort with code " + code) == 1, r
    gone(four)


@pytest.mark.parametrize("how,argument,rc", [("kill", "9", 137), ("kill", "11", 139),
                                             ("exit", "3", 3), ("exit", "0", 1)])
def test_a_rank_that_leaves_ends_the_step(four, how, argument, rc):
    r = srun(four, "-N2", "-n4", four.checks, how, argument)
    assert r.rc == rc, r
    assert r.err.count("task 3 ended without MPI_Finalize") == 1, r
    gone(four)


@pytest.mark.parametrize("rank", [0, 3])
@pytest.mark.parametrize("end,rc", [("kill -9 $$", 137), ("exit 7", 7)])
@pytest.mark.parametrize("late", ["", "sleep 0.5;"])
def test_a_rank_that_ends_before_mpi_init_ends_the_step(four, rank, end, rc, late):
    r = srun(four, "-N2", "-n4", "sh", "-c", "[ $SLURM_PROCID != %d ] || { %s %s; }; exec %s"
             % (rank, late, end, four.checks))
    assert r.rc == rc, r
    gone(four)


def test_a_killed_supervisor_ends_an_mpi_step(four):
    p = four.popen("srun", "-N4", "-n4", "sh", "-c", four.checks + "; sleep 1000", env=ENV)
    assert p.stdout.readline()
    folders = [os.readlink(l) for l in glob.glob(four.dir + "/spool/*/step.*/shm")]
    assert len(folders) == 4
    spools = wait_for("the supervisor", lambda: glob.glob(four.dir + "/spool/n3/step.*/pid"))
    with open(spools[0]) as f:
        os.kill(int(f.read().split()[0]), 9)
    out, err = p.communicate(timeout=60 * SLOW)
    assert p.returncode != 0 and "lost" in err, err
    gone(four)
    assert not any(os.path.exists(f) for f in folders)


def test_no_shared_memory_is_left(four):
    link = wait_for("nothing of a step", lambda: not glob.glob(four.dir + "/spool/*/step.*"))
    assert link
    p = four.popen("srun", "-N2", "-n4", "sh", "-c", four.checks + "; sleep 1000", env=ENV)
    assert p.stdout.readline()
    folders = [os.readlink(l) for l in glob.glob(four.dir + "/spool/*/step.*/shm")]
    assert len(folders) == 2 and all(os.path.isdir(f) for f in folders)
    p.kill()
    p.communicate()
    gone(four)
    assert not any(os.path.exists(f) for f in folders)
