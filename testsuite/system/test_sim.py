# SPDX-License-Identifier: Apache-2.0
"""slurmlike-sim: replays of small logs whose waits are worked out by hand."""
import csv
import os
import random
import subprocess
from xml.etree import ElementTree

import pytest

from cluster import Cluster, wait_for
from sim_reference import Job, replay

SIM = os.path.join(os.environ.get("SLURMLIKE_PREFIX", "/usr/local"), "bin", "slurmlike-sim")


def sim(*argv):
    return subprocess.run([SIM, *map(str, argv)], capture_output=True, text=True, timeout=120,
                          check=False)


def swf(path, procs, jobs):
    """Jobs as (submit, run, processors, limit[, user])."""
    lines = [f"; MaxProcs: {procs}"]
    for i, (submit, run, n, limit, *user) in enumerate(jobs, 1):
        lines.append(f"{i} {submit} -1 {run} {n} -1 -1 {n} {limit} -1 1 "
                     f"{user[0] if user else 1} -1 -1 -1 -1 -1 -1")
    path.write_text("\n".join(lines) + "\n")
    return path


def waits(tmp_path, trace, *argv):
    out = tmp_path / "jobs.csv"
    r = sim("--jobs", out, *argv, trace)
    assert r.returncode == 0, r.stderr
    with open(out, encoding="utf-8") as f:
        return [int(row["wait_s"]) for row in csv.DictReader(f)]


def last_line(r):
    assert r.returncode == 0, r.stderr
    return dict(pair.split("=") for pair in r.stdout.splitlines()[-1].split())


# 1 holds half of the machine until 10 (its limit: 20). 2 wants all of it. 3 is over before 2
# could begin, so it starts at once; 4 is not.
EASY = [(0, 10, 2, 20), (1, 10, 4, 10), (2, 5, 2, 5), (3, 20, 1, 40)]


def test_easy_starts_what_does_not_delay_the_first(tmp_path):
    log = swf(tmp_path / "a.swf", 4, EASY)
    assert waits(tmp_path, log, "--policy=easy") == [0, 9, 0, 17]


def test_the_last_line_has_the_figures(tmp_path):
    log = swf(tmp_path / "a.swf", 4, EASY)
    line = last_line(sim("--policy", "easy", log))
    # bounded slowdowns 1, 1.9, 1, 1.85; busy 20 + 40 + 10 + 20 of 4 x 40 processor-seconds
    assert line == {"jobs": "4", "avg_wait": "6.5", "avg_bsld": "1.438", "max_wait": "17",
                    "util": "0.5625"}


def test_a_run_is_cut_to_its_limit(tmp_path):
    log = swf(tmp_path / "a.swf", 1, [(0, 100, 1, 10), (0, 5, 1, 5)])
    assert waits(tmp_path, log, "--policy=easy") == [0, 10]


def test_procs_and_exact_estimates(tmp_path):
    log = swf(tmp_path / "a.swf", 1, EASY)
    assert waits(tmp_path, log, "--policy=easy", "--procs=100") == [0, 0, 0, 0]
    r = sim("--policy=easy", "--procs=3", log)
    assert "jobs refused" in r.stdout and last_line(r)["jobs"] == "3"
    # 1 ends when it says, at 10, so that 4 (40 s) would have delayed 2 the same
    assert waits(tmp_path, log, "--policy=easy", "--procs=4", "--estimates=exact") == [0, 9, 0, 17]


@pytest.mark.parametrize("argv,words", [
    ((), "no trace is named"),
    (("/does/not/exist",), "/does/not/exist: No such file"),
    (("--ties=none", "x"), "--ties"),
    (("--procs=0", "x"), "--procs"),
    (("--procs=4", "--cluster=x.conf", "x"), "--cluster"),
    (("--frobnicate", "x"), "--frobnicate"),
    (("--policy",), "--policy needs a value"),
    (("--compare", "easy", "x"), "second policy"),
    (("--failures=1", "x"), "MTBF"),
])
def test_wrong_arguments_are_one_clear_line(argv, words):
    r = sim(*argv)
    assert r.returncode == 1
    assert len(r.stderr.splitlines()) == 1 and words in r.stderr, r.stderr


def test_wrong_files_are_one_clear_line(tmp_path):
    bad = tmp_path / "bad.swf"
    bad.write_text("; MaxProcs: 4\n1 0 -1 x 2 -1 -1 2 20 -1 1 1 -1 -1 -1 -1 -1 -1\n")
    r = sim(bad)
    assert r.returncode == 1
    assert r.stderr == f'slurmlike-sim: error: {bad}:2: field 4: run time: "x" is not a number\n'
    log = swf(tmp_path / "a.swf", 4, EASY)
    assert "neither a preset nor a file" in sim("--policy=eazy", log).stderr
    conf = tmp_path / "p.conf"
    conf.write_text("scheduler = { backfil = \"easy\"; };\n")
    assert "did you mean scheduler.backfill" in sim("--policy", conf, log).stderr


def test_help_is_a_manual_page():
    r = sim("--help")
    assert r.returncode == 0 and r.stdout.startswith("NAME\n") and "SYNOPSIS" in r.stdout
    assert all(len(line) <= 90 for line in r.stdout.splitlines())


def test_policies_side_by_side(tmp_path):
    log = swf(tmp_path / "a.swf", 4, EASY)
    conf = tmp_path / "b.conf"
    conf.write_text('scheduler = { order = "fcfs"; backfill = "easy"; };\n')
    r = sim("--compare", "easy", conf, log)
    assert r.returncode == 0, r.stderr
    rows = [line.split() for line in r.stdout.splitlines()]
    assert ["average", "wait,", "s", "6.5", "6.5"] in rows
    assert ["users", "worse", "off,", "%", "-", "0.0"] in rows


def test_nodes_of_a_configuration(tmp_path):
    """Two nodes of two cores: three tasks need both, and a fourth core stays free."""
    conf = tmp_path / "c.conf"
    conf.write_text('nodes = ( { names = "n[1-2]"; cpus = 2; memory = 1024; } );\n')
    log = swf(tmp_path / "a.swf", 99, [(0, 10, 3, 10), (0, 10, 2, 10), (0, 10, 1, 10)])
    assert waits(tmp_path, log, "--policy=easy", f"--cluster={conf}") == [0, 10, 0]
    conf.write_text('nodes = ( { names = "n[1-2]"; } );\n')
    r = sim(f"--cluster={conf}", log)
    assert r.returncode == 1 and "cpus" in r.stderr


def test_failing_nodes_cost_restarts_and_a_seed_repeats(tmp_path):
    conf = tmp_path / "c.conf"
    conf.write_text('nodes = ( { names = "n[1-8]"; cpus = 4; memory = 1024; } );\n')
    log = swf(tmp_path / "a.swf", 32, [(i, 3000, 4, 3600) for i in range(100)])
    calm = sim("--policy=easy", f"--cluster={conf}", log)
    torn = [sim("--policy=easy", f"--cluster={conf}", "--failures=2:00:00,10:00", f"--seed={s}", log)
            for s in (1, 1, 2)]
    assert "failures of nodes" in torn[0].stdout and "failures of nodes" not in calm.stdout
    assert last_line(torn[0])["jobs"] == "100"
    assert float(last_line(torn[0])["avg_wait"]) > float(last_line(calm)["avg_wait"])
    assert last_line(torn[0]) == last_line(torn[1]) != last_line(torn[2])


def test_drawings_are_svg_and_show_each_policy(tmp_path):
    log = swf(tmp_path / "a.swf", 4, EASY)
    r = sim("--compare", "easy", "default", "--svg", tmp_path / "x<y", log)
    assert r.returncode == 0, r.stderr
    for name in ("x<y-use.svg", "x<y-wait.svg"):
        root = ElementTree.parse(tmp_path / name).getroot()
        words = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
        lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
        assert "easy" in words and "default" in words
        assert len(lines) == (4 if "use" in name else 2)
        assert all("nan" not in e.get("points") for e in lines)
    r = sim("--svg", "/does/not/exist/x", log)
    assert r.returncode == 1 and "/does/not/exist/x-use.svg" in r.stderr


def gpu_machine(tmp_path):
    nodes = tmp_path / "nodes.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\na-1,8000,1024,1,T4\na-2,8000,1024,1,T4\n"
                     "a-3,8000,1024,0,\n")
    return nodes


def test_gpus_are_shared_by_thousandths(tmp_path):
    """0.6 + 0.4 on one GPU, a whole one on the other; another 0.4 waits for the end of the
    first."""
    trace = tmp_path / "g.csv"
    trace.write_text("job_id,submit_s,run_s,cpus,gpus,gpu_milli\n"
                     "a,0,10,1,1,600\nb,0,30,1,1,1000\nc,1,30,1,1,400\nd,2,5,1,1,400\n")
    assert waits(tmp_path, trace, "--nodes", gpu_machine(tmp_path), "--policy=fgd") == [0, 0, 0, 8]


def test_what_only_arrives_fills_the_gpus(tmp_path):
    """Two GPUs, jobs of 0.6: after the fourth 2.4 GPUs have arrived, and 1.2 are allocated.
    What is left of each GPU, 0.4, is of no use to any of them."""
    trace = tmp_path / "g.csv"
    trace.write_text("job_id,submit_s,run_s,cpus,gpus,gpu_milli\na,0,10,1,1,600\n")
    curve = tmp_path / "curve.csv"
    r = sim("--arrive", "random", "--until", "110%", "--runs", "3", "--nodes",
            gpu_machine(tmp_path), "--gpu-nodes", "--policy=fgd", "--curve", curve, trace)
    assert r.returncode == 0, r.stderr
    found = dict(p.split("=") for p in r.stdout.splitlines()[-1].split())
    assert (found["jobs"], found["placed"]) == ("12", "6")
    assert (found["alloc_100"], found["alloc_110"], found["fragment_90"]) == ("60.00", "60.00", "100.00")
    rows = {row["metric"]: row for row in csv.DictReader(curve.open(encoding="utf-8"))}
    assert rows["gpu_alloc_pct"]["30"] == "30.000" and rows["frag_ratio_pct"]["0"] == "28.571"
    r = sim("--arrive", "random", "--procs", "4", trace)
    assert r.returncode == 1 and "--nodes" in r.stderr


def test_history_and_nodes_of_a_live_cluster(tmp_path):
    c = Cluster(nodes=2, cpus=4, gres="gpu:2")
    try:
        for argv in (["-n2"], ["-N2", "--gres=gpu:1", "--mem=100M"], ["-n3"]):
            c.run("sbatch", "-t5", *argv, "--wrap", "sleep 1.1")
        wait_for("the jobs to end", lambda: c.run("squeue", "-h").out == "")
        jobs, nodes = tmp_path / "jobs.json", tmp_path / "nodes.json"
        jobs.write_text(c.run("sacct", "--allusers", "--json").out)
        nodes.write_text(c.run("scontrol", "show", "nodes", "--json").out)
    finally:
        c.stop()
    r = sim("--nodes", nodes, jobs)
    assert "2 nodes, 8 processors, 4 GPUs" in r.stdout
    assert last_line(r)["jobs"] == "3"
    out = tmp_path / "jobs.csv"
    assert sim("--jobs", out, "--nodes", nodes, jobs).returncode == 0
    with open(out, encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert [row["procs"] for row in rows] == ["2", "2", "3"]
    assert [row["gpus"] for row in rows] == ["0", "2", "0"]
    assert [row["nodes"] for row in rows][1] == "2"
    nodes.write_text('{"nodes": [')
    r = sim("--nodes", nodes, jobs)
    assert r.returncode == 1 and f"{nodes}:1: " in r.stderr
    jobs.write_text('{"jobs": 3}')
    assert 'no list "jobs"' in sim("--procs", 4, jobs).stderr


@pytest.mark.parametrize("ties", ["batch", "pyss"])
@pytest.mark.parametrize("policy", ["fcfs", "easy", "easy-sjbf"])
def test_each_wait_is_that_of_a_scheduler_written_apart(tmp_path, policy, ties):
    """Small logs full of jobs that come and end in one second, on a few processors."""
    for seed in range(4):
        rnd, now, rows = random.Random(seed), 0, []
        procs = rnd.choice([4, 7, 16])
        for _ in range(120):
            now += rnd.choice([0, 0, 0, 1, 2, 5])
            limit = rnd.randint(1, 12)
            run = limit if rnd.random() < 0.4 else rnd.randint(1, limit)
            rows.append((now, run, min(procs, rnd.choice([1, 1, 1, 2, 2, 3, 4, procs])), limit))
        jobs = [Job(i, *row) for i, row in enumerate(rows, 1)]
        want = [start - j.submit for start, j in zip(replay(jobs, procs, policy, ties), jobs)]
        log = swf(tmp_path / f"{seed}.swf", procs, rows)
        assert waits(tmp_path, log, f"--policy={policy}", f"--ties={ties}") == want, (seed, policy)


@pytest.mark.skipif("SLURMLIKE_TRACES" not in os.environ, reason="SLURMLIKE_TRACES names no folder")
def test_published_figures_of_kth():
    bench = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "traces")
    r = subprocess.run([bench, "--sim", SIM, "--log", "KTH-SP2", os.environ["SLURMLIKE_TRACES"]],
                       capture_output=True, text=True, timeout=300, check=False)
    assert r.returncode == 0, r.stdout + r.stderr


def test_spread_over_the_fabric(tmp_path):
    """Two switches with two nodes each. Two nodes of one job are under one switch, 2 links
    apart; three nodes use both: 2 and 4 links."""
    conf = tmp_path / "c.conf"
    conf.write_text('''nodes = ( { names = "n[1-4]"; cpus = 2; memory = 1024; } );
switches = ( { name = "top"; switches = "s[1-2]"; }, { name = "s1"; nodes = "n[1-2]"; },
             { name = "s2"; nodes = "n[3-4]"; } );
''')
    two = swf(tmp_path / "a.swf", 8, [(0, 10, 4, 10)])
    three = swf(tmp_path / "b.swf", 8, [(0, 10, 6, 10)])
    for log, leafs, links in ((two, "1.00", "2.00"), (three, "2.00", "3.00")):
        rows = [line.split() for line in sim(f"--cluster={conf}", log).stdout.splitlines()]
        assert ["leaf", "switches", "of", "a", "job", leafs] in rows
        assert ["links", "between", "neighbours", links] in rows
