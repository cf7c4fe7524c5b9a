# SPDX-License-Identifier: Apache-2.0
"""Wrong input: one clear line naming what is wrong, and Slurm's exit code."""
import time

import pytest

from cluster import Cluster

pytestmark = pytest.mark.sanitized


def one_line(r, *words):
    assert r.rc == 1, r
    lines = [l for l in r.err.splitlines() if l.strip()]
    assert lines, r
    for w in words:
        assert w.lower() in r.err.lower(), (w, r)
    assert "Submitted" not in r.out
    return lines


@pytest.mark.parametrize("argv,words", [
    (["sbatch", "--no-such-option", "--wrap", "true"], ["no-such-option"]),
    (["sbatch", "-n", "zero", "--wrap", "true"], ["zero"]),
    (["sbatch", "-t", "10:xx", "--wrap", "true"], ["time", "10:xx"]),
    (["sbatch", "--mem=lots", "--wrap", "true"], ["mem", "lots"]),
    (["sbatch", "-p", "nowhere", "--wrap", "true"], ["partition"]),
    (["sbatch", "-N", "99", "--wrap", "true"], ["node configuration"]),
    (["sbatch", "-c", "4000", "--wrap", "true"], ["node configuration"]),
    (["sbatch", "--gres=unicorn:1", "--wrap", "true"], ["gres"]),
    (["sbatch", "--array=5-1", "--wrap", "true"], ["array"]),
    (["sbatch", "-d", "afterok:999999", "--wrap", "true"], ["depend"]),
    (["sbatch", "/no/such/script"], ["/no/such/script"]),
    (["srun", "--no-such-option", "true"], ["no-such-option"]),
    (["srun", "-p", "nowhere", "true"], ["partition"]),
    (["srun", "-n0", "true"], ["0"]),
    (["salloc", "-N", "99", "true"], ["node configuration"]),
    (["scancel", "999999"], ["999999"]),
    (["scancel", "twelve"], ["twelve"]),
    (["squeue", "-t", "NOSUCH"], ["NOSUCH"]),
    (["scontrol", "show", "job", "999999"], ["job"]),
    (["scontrol", "update", "NodeName=n1", "State=SIDEWAYS"], ["state"]),
    (["scontrol", "nonsense"], ["nonsense"]),
])
def test_wrong_input_is_one_clear_error(cluster, argv, words):
    one_line(cluster.run(*argv), *words)


def test_a_malformed_sbatch_line_is_named(cluster):
    path = cluster.script("#SBATCH --ntasks=two\necho never\n", name="bad.sh")
    lines = one_line(cluster.run("sbatch", path), "bad.sh", "2", "ntasks", "two")
    assert len(lines) == 1


def test_a_script_without_interpreter_line_is_refused(cluster):
    path = cluster.script("echo hi\n", name="plain.sh", shebang="")
    one_line(cluster.run("sbatch", path), "script")


def test_without_a_controller_commands_say_so_within_two_seconds():
    with Cluster(nodes=0, start=False) as c:
        c.write_conf()
        for argv in (["sbatch", "--wrap", "true"], ["squeue"], ["sinfo"], ["scancel", "1"],
                     ["srun", "true"], ["sacct"], ["scontrol", "show", "job", "1"], ["salloc", "true"]):
            t = time.monotonic()
            r = c.run(*argv)
            took = time.monotonic() - t
            assert r.rc == 1, r
            assert "controller" in r.err, r
            assert took < 4, (argv, took)
