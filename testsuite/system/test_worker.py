# SPDX-License-Identifier: Apache-2.0
"""The worker as a user runs it: the same numbers on any number of ranks, exact resume,
kill -9, signals, damaged files, wrong input."""
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess

import pytest

from cluster import PREFIX, SLOW, TOP, Cluster, wait_for

WORKER = os.path.join(PREFIX, "bin/worker")
SHAPE = ["--layers", "2", "--heads", "2", "--width", "32", "--context", "32", "--batch", "16",
         "--warmup", "4", "--lr", "4e-3"]
QUICK = SHAPE + ["--data", "../tokens.h5", "--steps", "50", "--validation-every", "25",
                 "--checkpoint-every", "0", "--metrics", "metrics"]
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PMIX_", "OMPI_"))}
ENV.update(PATH=os.path.join(PREFIX, "bin") + ":" + os.environ["PATH"],
           OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
           ASAN_OPTIONS="detect_leaks=0")


def mpirun(ranks, *args):
    return ["mpirun", "--quiet", "--oversubscribe", "-n", str(ranks), WORKER, "pretrain",
            *map(str, args)]


def run(argv, cwd, rc=0):
    p = subprocess.run([str(a) for a in argv], cwd=cwd, env=ENV, stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, errors="replace", timeout=120 * SLOW)
    assert p.returncode == rc, "%s -> %d\n%s%s" % (argv, p.returncode, p.stdout, p.stderr)
    return p


def events(folder):
    with open(os.path.join(folder, "metrics")) as f:
        return [json.loads(line) for line in f]


def curve(folder):
    """Loss and gradient norm of each step, and the validations: exact numbers."""
    return [(e["event"], e["step"], e["loss"], e.get("norm")) for e in events(folder)
            if e["event"] in ("step", "validation")]


def tensors(path):
    """Names, shapes and checksums of a checkpoint, after checking them."""
    lines = run([WORKER, "inspect", path], "/").stdout.splitlines()
    found = [line for line in lines if " crc32c " in line]
    assert len(found) > 30
    return found


def last(folder, step):
    return os.path.join(folder, "checkpoints", "step_%010d.h5" % step)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a token set of our own sources."""
    top = tmp_path_factory.mktemp("worker")
    files = sorted(glob.glob(TOP + "/lib/base/*.c"))
    run([WORKER, "tokenize", "--output", "tokens.h5", "--vocabulary-size", "512", *files], top)
    return top


@pytest.fixture(scope="module")
def straight(place):
    """50 steps on one rank, which every other run must equal."""
    d = place / "straight"
    d.mkdir()
    run(mpirun(1, *QUICK), d)
    return d


def fresh(place, name):
    d = place / name
    shutil.rmtree(d, ignore_errors=True)
    d.mkdir()
    return d


# ---- tokens ----------------------------------------------------------------------------

def test_tokens_are_the_text_and_always_the_same(place):
    files = sorted(glob.glob(TOP + "/lib/base/*.c"))
    run([WORKER, "tokenize", "--output", "again.h5", "--vocabulary-size", "512", *files], place)
    with open(place / "tokens.h5", "rb") as a, open(place / "again.h5", "rb") as b:
        assert a.read() == b.read()
    text = subprocess.run([WORKER, "inspect", "--text", place / "again.h5"], env=ENV, check=True,
                          capture_output=True).stdout
    assert text == b"".join(open(f, "rb").read() for f in files)
    about = run([WORKER, "inspect", "again.h5"], place).stdout
    assert "%d documents" % len(files) in about and "vocabulary 512" in about
    assert all(os.path.basename(f) in about for f in files)


def test_a_vocabulary_is_used_again(place):
    sample = place / "sample.txt"
    sample.write_bytes(b"int main(void)\n" * 3 + bytes(range(256)))
    run([WORKER, "tokenize", "--output", "reuse.h5", "--vocabulary", "tokens.h5", sample], place)
    assert "vocabulary 512" in run([WORKER, "inspect", "reuse.h5"], place).stdout
    text = subprocess.run([WORKER, "inspect", "--text", place / "reuse.h5"], env=ENV, check=True,
                          capture_output=True).stdout
    assert text == sample.read_bytes()


def test_standard_input_is_a_source(place):
    with open(TOP + "/README", "rb") as f:
        subprocess.run([WORKER, "tokenize", "--output", place / "stdin.h5", "-"], stdin=f, env=ENV,
                       check=True, stdout=subprocess.DEVNULL)
    text = subprocess.run([WORKER, "inspect", "--text", place / "stdin.h5"], env=ENV, check=True,
                          capture_output=True).stdout
    assert text == open(TOP + "/README", "rb").read()


# ---- exactness -------------------------------------------------------------------------

def test_the_loss_goes_down(straight):
    steps = [e for e in events(straight) if e["event"] == "step"]
    assert abs(steps[0]["loss"] - 6.238) < 0.1  # ln 512
    assert steps[-1]["loss"] < steps[0]["loss"] - 1
    assert all(e["tokens_per_second"] > 0 and 0 < e["mfu"] < 1.05 for e in steps)


@pytest.mark.parametrize("ranks,more", [
    (2, []), (4, []), (4, ["--block", "1"]), (4, ["--block", "2"]), (1, ["--threads", "2"])])
def test_ranks_blocks_and_threads_do_not_change_a_bit(place, straight, ranks, more):
    d = fresh(place, "ranks")
    run(mpirun(ranks, *QUICK, *more), d)
    assert curve(d) == curve(straight)
    assert tensors(last(d, 50)) == tensors(last(straight, 50))


def test_a_resumed_run_continues_bit_for_bit(place, straight):
    d = fresh(place, "resumed")
    run(mpirun(2, *QUICK, "--stop", "25"), d)
    assert "25 of 50" in run(mpirun(2, *QUICK, "--stop", "25", "--resume", "auto"), d).stdout
    run(mpirun(2, *QUICK, "--stop", "40", "--resume", "auto"), d)
    run(mpirun(1, *QUICK, "--resume", last(d, 40)), d)  # another layout too
    want = {(e, s): (l, n) for e, s, l, n in curve(straight)}
    for e, s, l, n in curve(d):
        assert (l, n) == want.get((e, s), (l, n))
    assert tensors(last(d, 50)) == tensors(last(straight, 50))


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(p) for p in f.read().split()]


def step_reached(d, step):
    try:
        return any(e["event"] == "step" and e["step"] >= step for e in events(d))
    except (OSError, ValueError):  # not there yet, or a line being written
        return False


def test_kill_9_at_any_time_changes_nothing(place, straight):
    """Ranks are killed at random steps, often in the middle of a checkpoint."""
    d, rng, kills = fresh(place, "killed"), random.Random(4), 0
    args = mpirun(2, *QUICK, "--checkpoint-every", "1", "--resume", "auto")
    for target in (3, 11, 24, 37):
        p = subprocess.Popen(args, cwd=d, env=ENV, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("step %d" % target, lambda: step_reached(d, target) or p.poll() is not None,
                 timeout=60, every=0.001)
        assert p.poll() is None
        os.kill(rng.choice(children(p.pid)), signal.SIGKILL)
        assert p.wait(timeout=60 * SLOW) != 0
        kills += 1
    run(args, d)
    assert kills == 4 and tensors(last(d, 50)) == tensors(last(straight, 50))
    want = {(e, s): (l, n) for e, s, l, n in curve(straight)}
    for e, s, l, n in curve(d):  # also of the steps that were run twice
        assert (l, n) == want.get((e, s), (l, n))
    assert not glob.glob(str(d / "checkpoints/*.tmp"))


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_with_a_checkpoint_and_code_75(place, sig):
    d = fresh(place, "signal")
    args = mpirun(2, *QUICK, "--steps", "100000", "--validation-every", "0", "--resume", "auto")
    p = subprocess.Popen(args, cwd=d, env=ENV, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, text=True)
    wait_for("step 2", lambda: step_reached(d, 2), timeout=60)
    os.kill(children(p.pid)[1], sig)  # one rank is told; all agree
    out = p.communicate(timeout=60 * SLOW)[0]
    assert p.returncode == 75, out
    stopped = int(re.search(r"stopped by a signal after step (\d+)", out)[1])
    assert tensors(last(d, stopped))
    out = run(mpirun(2, *QUICK, "--steps", "100000", "--stop", stopped + 1, "--resume", "auto"),
              d).stdout
    assert "going on after step %d" % stopped in out


# ---- damage and wrong input --------------------------------------------------------------

def test_a_damaged_checkpoint_is_told_and_passed_over(place):
    d = fresh(place, "damaged")
    args = QUICK + ["--steps", "6", "--stop", "6", "--validation-every", "0",
                    "--checkpoint-every", "2"]
    run(mpirun(1, *args), d)
    good = tensors(last(d, 6))
    with open(last(d, 6), "r+b") as f:
        f.seek(os.path.getsize(last(d, 6)) // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 16]))
    assert "damaged" in run([WORKER, "inspect", last(d, 6)], d, rc=1).stderr
    p = run(mpirun(2, *args, "--resume", "auto"), d)
    assert "damaged" in p.stderr and "going on after step 4" in p.stdout
    assert tensors(last(d, 6)) == good
    for path in glob.glob(str(d / "checkpoints/step_*")):
        os.truncate(path, 1000)
    p = run(mpirun(2, *args, "--resume", "auto"), d, rc=1)
    assert "no checkpoint in checkpoints is good" in p.stderr
    p = run(mpirun(2, *args), d, rc=1)
    assert "--resume auto" in p.stderr  # never two runs in one folder


def test_a_run_that_diverges_says_so(place):
    d = fresh(place, "diverged")
    p = run(mpirun(2, *QUICK, "--lr", "1e6", "--clip", "0", "--warmup", "0"), d, rc=3)
    assert re.search(r"step \d+: the .* is not finite", p.stderr)
    assert not glob.glob(str(d / "checkpoints/step_*"))


@pytest.mark.parametrize("argv,rc,words", [
    (["pretrain"], 2, ["--data"]),
    (["pretrain", "--data", "no.h5"], 1, ["no.h5", "No such file"]),
    (["pretrain", "--data", "/etc/passwd"], 1, ["/etc/passwd", "not a token set"]),
    (["pretrain", "--dta", "x"], 2, ["dta", "nearest", "data"]),
    (["pretrain", "--data", "tokens.h5", "--layers", "0"], 2, ["layers", "1 to 1024"]),
    (["pretrain", "--data", "tokens.h5", "--heads", "7"], 2, ["width 384", "heads 7"]),
    (["pretrain", "--data", "tokens.h5", "--context", "100000", "--batch", "8"], 1, ["too few"]),
    (["pretrain", "--data", "tokens.h5", "--device", "cuda"], 1, ["cuda", "not built"]),
    (["pretrain", "--data", "tokens.h5", "--kernels", "sse9"], 1, ["sse9"]),
    (["pretrain", "--data", "tokens.h5", "--resume", "no.h5"], 1, ["no.h5"]),
    (["pretrain", "--data", "tokens.h5", "--metrics", "/no/file"], 1, ["/no/file"]),
    (["pretrain", "--config", "/no/file"], 2, ["/no/file"]),
    (["tokenize", "README"], 2, ["--output"]),
    (["tokenize", "--output", "x.h5"], 2, ["no text"]),
    (["tokenize", "--output", "x.h5", "no.txt"], 1, ["no.txt"]),
    (["tokenize", "--output", "/no/x.h5", TOP + "/README"], 1, ["/no/x.h5"]),
    (["tokenize", "--output", "x.h5", "--vocabulary-size", "100", "f"], 2, ["257"]),
    (["tokenize", "--output", "x.h5", "--vocabulary", "/etc/passwd", "f"], 1, ["/etc/passwd"]),
    (["inspect", "/etc/passwd"], 1, ["/etc/passwd"]),
    (["infer"], 1, ["infer", "not built"]),
    (["serve", "--port", "1"], 1, ["serve", "not built"]),
    (["dpo"], 1, ["dpo", "not built"]),
    (["finetune"], 1, ["finetune", "not built"]),
    (["trian"], 2, ["trian"]),
])
def test_wrong_input_is_one_clear_line(place, argv, rc, words):
    p = run([WORKER] + argv, place, rc=rc)
    lines = [line for line in p.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, p.stderr
    for w in words:
        assert w in lines[0]


def test_three_ranks_cannot_share_eight_shards(place):
    p = run(mpirun(3, "--data", "tokens.h5"), place, rc=2)
    assert p.stderr.count("3 ranks cannot share 8 shards") == 1


def test_help_and_version(place):
    assert "pretrain" in run([WORKER, "--help"], place).stdout
    assert "75" in run([WORKER, "--help"], place).stdout
    assert re.match(r"worker \(slurmlike\) \d", run([WORKER, "--version"], place).stdout)
    text = run([WORKER, "pretrain", "--help"], place).stdout
    assert "--weight-decay" in text and "Default: 0.1" in text


# ---- on a cluster ------------------------------------------------------------------------

def test_srun_over_virtual_nodes_gives_the_same_numbers(place, straight):
    with Cluster(nodes=4, cpus=4) as c:
        c.wait_nodes()
        for nodes, tasks in ((1, 2), (2, 4), (4, 4)):
            d = fresh(place, "srun%d" % nodes)
            c.ok("srun", "--mpi=pmix", "-N", nodes, "-n", tasks, "worker", "pretrain", *QUICK,
                 cwd=d, timeout=120)
            assert curve(d) == curve(straight)
            assert tensors(last(d, 50)) == tensors(last(straight, 50))
        d = fresh(place, "alone")
        r = c.run("srun", "--mpi=none", "-n", 2, "worker", "pretrain", *QUICK, cwd=d)
        assert r.rc == 1 and r.err.count("start it with srun --mpi=pmix") == 1, r
        assert not os.path.exists(d / "checkpoints")
        r = c.run("sbatch", "--wait", "--wrap", "worker pretrain " + " ".join(QUICK), cwd=d)
        assert r.rc == 0, r  # one rank, without srun
        assert curve(d) == curve(straight)
