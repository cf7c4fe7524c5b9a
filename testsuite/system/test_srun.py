# SPDX-License-Identifier: Apache-2.0
"""srun outside an allocation, over one and several nodes: srun(1)."""
import os
import re
import signal
import subprocess

import pytest

from cluster import SLOW, Cluster, wait_for

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def four():
    """Four nodes of four CPUs; a step gets two seconds between TERM and KILL."""
    with Cluster(nodes=4, conf="jobs = { kill_wait = 2; };") as c:
        yield c


def labelled(text):
    """{rank: [lines]} of --label output."""
    out = {}
    for line in text.splitlines():
        rank, _, rest = line.partition(": ")
        out.setdefault(int(rank), []).append(rest)
    return out


def supervisors(c, node):
    """pids of the supervisors on a node."""
    found = []
    spool = os.path.join(c.dir, "spool", node)
    for name in os.listdir(spool):
        if name.startswith("step."):
            try:
                with open(os.path.join(spool, name, "pid")) as f:
                    found.append(int(f.read().split()[0]))
            except (OSError, IndexError):
                pass
    return found


def start(c, *argv, **kw):
    """srun of tasks that each make a file up.RANK (where the command says UP, else first);
    waits for all of them."""
    ntasks = next(int(a[2:]) for a in argv if a.startswith("-n"))
    for r in range(ntasks):
        if os.path.exists(os.path.join(c.work, "up.%d" % r)):
            os.unlink(os.path.join(c.work, "up.%d" % r))
    command = argv[-1] if "UP;" in argv[-1] else "UP; " + argv[-1]
    command = command.replace("UP;", "touch up.$SLURM_PROCID;")
    p = c.popen("srun", *argv[:-1], "sh", "-c", command, **kw)
    wait_for("all tasks to run", lambda: all(
        os.path.exists(os.path.join(c.work, "up.%d" % r)) for r in range(ntasks)))
    return p


def end(p):
    out, err = p.communicate(timeout=60 * SLOW)
    return out, err, p.returncode


def gone(c):
    wait_for("no process of a step", lambda: not c.leftovers())
    c.wait_nodes()


# ---- shape ---------------------------------------------------------------------------

def test_two_nodes_four_tasks(four):
    out = labelled(four.ok("srun", "-N2", "-n4", "--label", "hostname"))
    assert sorted(out) == [0, 1, 2, 3]
    hosts = {line for lines in out.values() for line in lines}
    assert len(hosts) == (2 if four.root else 1)  # virtual nodes have hostnames if root can


def test_ranks_are_spread_in_blocks_over_nodes_in_the_order_of_their_names(four):
    out = labelled(four.ok("srun", "-N4", "-n8", "--label", "sh", "-c",
                           "echo $SLURMD_NODENAME $SLURM_NODEID $SLURM_LOCALID "
                           "$SLURM_NTASKS $SLURM_STEP_NUM_NODES"))
    assert out == {r: ["n%d %d %d 8 4" % (r // 2 + 1, r // 2, r % 2)] for r in range(8)}


def test_a_step_sees_its_list_of_nodes(four):
    assert four.ok("srun", "-N4", "-n4", "--label", "printenv", "SLURM_STEP_NODELIST",
                   "SLURM_TASKS_PER_NODE").count("n[1-4]") == 4


# ---- exit codes ------------------------------------------------------------------------

def test_the_worst_exit_code_wins_and_each_is_told(four):
    r = four.run("srun", "-N4", "-n4", "sh", "-c", "exit $SLURM_PROCID")
    assert r.rc == 3
    for rank in (1, 2, 3):
        assert "srun: error: n%d: task %d: Exited with exit code %d\n" % (rank + 1, rank, rank) \
            in r.err
    assert "task 0" not in r.err


def test_a_signal_counts_as_128_and_more(four):
    r = four.run("srun", "-wn[1-2]", "-n2", "sh", "-c", "test $SLURM_PROCID = 0 || kill -9 $$; exit 7")
    assert r.rc == 137
    assert "srun: error: n2: task 1: Killed\n" in r.err
    assert "srun: error: n1: task 0: Exited with exit code 7\n" in r.err


def test_a_missing_program_is_told_by_each_node(four):
    r = four.run("srun", "-N4", "-n4", "./nosuch")
    assert r.rc == 2
    assert r.err.count("execve(): ./nosuch: No such file or directory") == 4


def test_kill_on_bad_exit_ends_the_other_nodes(four):
    r = four.run("srun", "-K", "-wn[1-2]", "-n2", "sh", "-c",
                 "test $SLURM_PROCID = 0 || exit 3; exec sleep 1000")
    assert r.rc == 143 and "n2: task 1: Exited with exit code 3" in r.err
    gone(four)


def test_wait_ends_the_other_nodes_after_the_first_task(four):
    r = four.run("srun", "-W1", "-N2", "-n2", "sh", "-c",
                 "test $SLURM_PROCID = 0 || exit 0; exec sleep 1000")
    assert r.rc == 143
    gone(four)


# ---- stdio -------------------------------------------------------------------------------

def test_stdin_reaches_every_task_on_every_node(four):
    out = labelled(four.ok("srun", "-N4", "-n8", "--label", "cat", stdin="one\ntwo\n"))
    assert out == {r: ["one", "two"] for r in range(8)}


def test_megabytes_of_stdin_reach_every_node_whole(four):
    text = "".join("%07d\n" % i for i in range(400000))
    want = subprocess.run(["cksum"], input=text, capture_output=True, text=True).stdout
    assert four.ok("srun", "-N4", "-n4", "cksum", stdin=text) == want * 4


def test_stdin_of_one_task_on_another_node(four):
    out = labelled(four.ok("srun", "-N4", "-n4", "--label", "--input=2", "sh", "-c",
                           "cat; echo end", stdin="mine\n"))
    assert out == {0: ["end"], 1: ["end"], 2: ["mine", "end"], 3: ["end"]}


def test_a_task_that_reads_nothing_does_not_stop_the_others(four):
    text = "x" * 6000000
    out = four.ok("srun", "-N2", "-n2", "sh", "-c", "test $SLURM_PROCID = 1 || exit 0; wc -c",
                  stdin=text)
    assert out == "6000000\n"


def test_megabytes_of_output_arrive_whole_from_every_node(four):
    r = four.run("srun", "-N4", "-n4", "--label", "sh", "-c",
                 "seq 100000; echo $SLURM_PROCID >&2")
    out = labelled(r.out)
    want = [str(i) for i in range(1, 100001)]
    assert r.rc == 0 and all(out[rank] == want for rank in range(4))
    assert labelled(r.err) == {rank: [str(rank)] for rank in range(4)}


def test_one_output_file_for_all_nodes_or_one_each(four):
    four.ok("srun", "-N4", "-n4", "-o", "all.out", "sh", "-c", "echo $SLURM_PROCID")
    assert sorted(four.read("all.out").split()) == ["0", "1", "2", "3"]
    four.ok("srun", "-wn[1-2]", "-n4", "-o", "task.%t.%N", "sh", "-c", "echo $SLURM_PROCID")
    for rank, node in enumerate(("n1", "n1", "n2", "n2")):
        assert four.read("task.%d.%s" % (rank, node)) == "%d\n" % rank


def test_a_reader_that_leaves_does_not_block_the_step(four):
    p = four.popen("srun", "-N2", "-n2", "sh", "-c", "seq 1000000")
    assert p.stdout.readline()
    p.stdout.close()
    p.stdout = None
    p.communicate(timeout=60 * SLOW)
    gone(four)


# ---- signals -----------------------------------------------------------------------------

def test_one_interrupt_reports_the_tasks_and_goes_on(four):
    p = start(four, "-N2", "-n2", "until test -e go; do sleep 0.02; done; rm -f go$SLURM_PROCID")
    p.send_signal(signal.SIGINT)
    first = p.stderr.readline()
    assert "interrupt (one more within 1 sec to abort)" in first
    assert re.search(r"StepId=\d+\.0 tasks 0-1: running", p.stderr.readline())
    open(os.path.join(four.work, "go"), "w").close()
    out, err, rc = end(p)
    os.unlink(os.path.join(four.work, "go"))
    assert rc == 0, err


def interrupt_twice(p):
    p.send_signal(signal.SIGINT)
    assert "interrupt" in p.stderr.readline()
    p.send_signal(signal.SIGINT)


def test_two_interrupts_abort_the_step_on_all_nodes(four):
    p = start(four, "-N4", "-n8", "exec sleep 1000")
    interrupt_twice(p)
    out, err, rc = end(p)
    assert rc in (130, 143) and "sending Ctrl-C to StepId=" in err, err
    assert "Job step aborted: Waiting up to 4 seconds for job step to finish." in err
    gone(four)


def test_two_interrupts_also_end_tasks_that_ignore_them(four):
    p = start(four, "-N2", "-n2", "trap '' INT TERM; UP; while :; do sleep 1; done")
    interrupt_twice(p)
    out, err, rc = end(p)
    assert rc == 137, err
    gone(four)


def test_other_signals_go_to_the_tasks_of_all_nodes(four):
    p = start(four, "-N2", "-n2", "trap 'echo got; exit 4' USR1; UP; while :; do sleep 0.02; done")
    p.send_signal(signal.SIGUSR1)
    out, err, rc = end(p)
    assert (out, rc) == ("got\ngot\n", 4)


def test_scancel_ends_the_step_and_srun_says_so(four):
    p = start(four, "-N2", "-n2", "--job-name=victim", "exec sleep 1000")
    four.ok("scancel", "--name=victim")
    out, err, rc = end(p)
    assert rc != 0 and re.search(r"STEP \d+\.0 ON n\d CANCELLED AT", err), err
    gone(four)


# ---- losses ------------------------------------------------------------------------------

def test_a_killed_srun_ends_its_step_on_all_nodes(four):
    p = start(four, "-N4", "-n8", "--job-name=orphan", "(setsid sleep 1000 &); exec sleep 1000")
    p.kill()
    p.communicate()
    gone(four)
    assert four.sacct("-X", "--name=orphan", "-o", "State")[0][0].startswith("CANCELLED")


@pytest.mark.parametrize("victim", ["n1", "n3"])
def test_a_killed_supervisor_ends_the_step(four, victim):
    p = start(four, "-N4", "-n8", "(setsid sleep 1000 &); exec sleep 1000")
    pids = supervisors(four, victim)
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)
    out, err, rc = end(p)
    assert rc != 0
    if victim == "n3":
        assert len(re.findall("node n3 of step .* is lost", err)) == 1, err
        assert "srun: error: n3: tasks 4-5: Killed\n" in err
    gone(four)


def test_with_no_kill_the_other_nodes_go_on(four):
    p = start(four, "-k", "-wn[1-3]", "-n3", "until test -e go2; do sleep 0.02; done; echo $SLURM_PROCID")
    os.kill(supervisors(four, "n2")[0], signal.SIGKILL)
    wait_for("the lost node's supervisor to be cleaned up", lambda: not supervisors(four, "n2"))
    open(os.path.join(four.work, "go2"), "w").close()
    out, err, rc = end(p)
    assert sorted(out.split()) == ["0", "2"] and rc == 137, (out, err)
    gone(four)


def test_killed_node_daemons_do_not_touch_the_step(four):
    p = start(four, "-N4", "-n4", "until test -e go3; do sleep 0.02; done; echo fine")
    for n in four.names:
        four.kill9("node-" + n)
    for n in four.names:
        four.start_node(n)
    open(os.path.join(four.work, "go3"), "w").close()
    out, err, rc = end(p)
    assert (out, rc) == ("fine\n" * 4, 0), err
    four.wait_nodes()


def test_a_killed_controller_does_not_touch_the_step(four):
    p = start(four, "-N4", "-n4", "until test -e go4; do sleep 0.02; done; echo fine")
    four.kill9("ctld")
    four.start_ctld()
    open(os.path.join(four.work, "go4"), "w").close()
    out, err, rc = end(p)
    assert (out, rc) == ("fine\n" * 4, 0), err
    four.wait_nodes()


# ---- many nodes ------------------------------------------------------------------------

@pytest.fixture(scope="module")
def twenty():
    """The supervisors of 20 nodes are a tree of three levels: n18 to n20 are below n2."""
    with Cluster(nodes=20, conf="jobs = { kill_wait = 2; };") as c:
        yield c


def test_ranks_and_stdio_of_three_levels(twenty):
    out = labelled(twenty.ok("srun", "-N20", "-n20", "--label", "sh", "-c",
                             "echo $SLURMD_NODENAME; cat", stdin="in\n"))
    assert out == {r: ["n%d" % (r + 1), "in"] for r in range(20)}
    r = twenty.run("srun", "-N20", "-n20", "sh", "-c", "exit $SLURM_PROCID")
    assert r.rc == 19 and "n19: task 18: Exited with exit code 18" in r.err


@pytest.mark.parametrize("victim", ["n2", "n19"])
def test_a_lost_node_within_three_levels_ends_the_step(twenty, victim):
    p = start(twenty, "-N20", "-n20", "exec sleep 1000")
    os.kill(supervisors(twenty, victim)[0], signal.SIGKILL)
    out, err, rc = end(p)
    assert rc == 137 and "node %s of step" % victim in err, err
    gone(twenty)
