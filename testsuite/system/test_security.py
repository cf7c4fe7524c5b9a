# SPDX-License-Identifier: Apache-2.0
"""Users are isolated from each other; strangers get nothing."""
import os
import socket
import stat
import struct

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def job(cluster, users):
    """A running job of the first user."""
    alice = users[0]
    path = cluster.script("#SBATCH -o alice.out\nchmod 600 alice.out\necho up\nsleep 1000\n", name="secret.sh")
    os.chmod(path, 0o755)
    j = cluster.sbatch(path, user=alice, env={"TOKEN": "s3cr3t-of-alice"})
    cluster.wait_state(j, "RUNNING")
    cluster.wait_file("alice.out", "up")
    yield j
    cluster.run("scancel", j)
    cluster.wait_done(j)


@pytest.mark.parametrize("argv", [
    ["scancel", "{job}"], ["scancel", "-s", "USR1", "{job}"], ["scontrol", "hold", "{job}"],
    ["scontrol", "requeue", "{job}"], ["scontrol", "suspend", "{job}"],
    ["scontrol", "update", "JobId={job}", "Name=mine"],
    ["scontrol", "write", "batch_script", "{job}", "-"],
    ["srun", "--jobid={job}", "--overlap", "id"],
])
def test_another_user_cannot_touch_a_job(cluster, users, job, argv):
    r = cluster.run(*[a.format(job=job) for a in argv], user=users[1], timeout=20)
    assert r.rc != 0, r
    assert "secret" not in r.out and "s3cr3t" not in r.out + r.err
    assert "uid=" not in r.out
    assert cluster.state(job) == "RUNNING"
    assert cluster.job(job)["JobName"] == "secret.sh"


def test_the_owner_and_root_can_read_the_script(cluster, users, job):
    for user in (users[0], None):
        assert "sleep 1000" in cluster.ok("scontrol", "write", "batch_script", job, "-", user=user)


def test_an_ordinary_user_cannot_administer(cluster, users):
    for argv in (["scontrol", "shutdown"], ["scontrol", "reconfigure"],
                 ["scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=x"],
                 ["scontrol", "update", "PartitionName=main", "State=DOWN"]):
        r = cluster.run(*argv, user=users[0])
        assert r.rc == 1, r
        assert "denied" in r.err.lower() or "permission" in r.err.lower(), r


def test_tasks_run_as_the_user_with_its_groups(cluster, users):
    out = cluster.ok("srun", "id", "-u", user=users[0])
    import pwd
    assert int(out) == pwd.getpwnam(users[0]).pw_uid
    out = cluster.ok("srun", "sh", "-c", "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status", user=users[0])
    assert "CapEff:\t0000000000000000" in out


def test_spool_state_and_processes_are_closed_to_others(cluster, users, job):
    """Every file of the daemons, tried as another user."""
    readable = []
    for base in ("spool", "state", "run", "munge"):
        for root, dirs, files in os.walk(os.path.join(cluster.dir, base)):
            for f in files:
                path = os.path.join(root, f)
                r = cluster.run("cat", path, user=users[1], timeout=10)
                if r.rc == 0 and ("s3cr3t" in r.out or "sleep 1000" in r.out or f == "key"):
                    readable.append(path)
    assert not readable
    assert stat.S_IMODE(os.stat(os.path.join(cluster.dir, "state", "state.db")).st_mode) & 0o077 == 0
    r = cluster.run("sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null", user=users[1])
    assert "s3cr3t-of-alice" not in r.out
    out = cluster.ok("ps", "-eo", "args", user=users[1])
    assert "s3cr3t" not in out


def recv_all(s):
    s.settimeout(15)
    got = b""
    try:
        while True:
            d = s.recv(4096)
            if not d:
                return got
            got += d
    except (socket.timeout, ConnectionError):
        return got


@pytest.mark.parametrize("payload", [
    b"", b"GET / HTTP/1.0\r\n\r\n", os.urandom(2000), b"SLW1" + b"\xff" * 64,
    b"SLW1" + struct.pack("!HHH", 256, 8, 0) + b"MUNGE:xx",
    struct.pack("!IHHI", 16, 25, 256, 1) + b"\x08\x01" + b"\0" * 14,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500)])
def test_a_tcp_client_without_the_key_gets_nothing(cluster, payload):
    with socket.create_connection(("127.0.0.1", cluster.port)) as s:
        try:
            if payload:
                s.sendall(payload)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused already
        assert recv_all(s) == b""
    assert cluster.run("scontrol", "ping").rc == 0


def test_another_key_is_no_key(cluster):
    with Cluster(nodes=0, start=False) as other:
        other.write_conf()
        other.start_munged()
        with open(other.conf_path) as f:
            text = f.read().replace("port = %d" % other.port, "port = %d" % cluster.port)
        with open(other.conf_path, "w") as f:
            f.write(text)
        r = other.run("squeue", timeout=20)
        assert r.rc == 1 and r.out == "", r


def test_a_node_name_cannot_be_claimed_by_an_ordinary_user(cluster, users):
    import subprocess
    import pwd
    from cluster import PREFIX
    spool = "/tmp/slurmlike-claim-%d" % os.getpid()
    p = subprocess.Popen([PREFIX + "/sbin/slurmlike-d", "--name", "evil", "--addr", "127.0.0.1", "--port", "0",
                          "--config", cluster.conf_path, "--spool", spool],
                         env=cluster.env, user=pwd.getpwnam(users[1]).pw_uid,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for("the refusal in the controller's log",
                 lambda: "evil" in cluster.log("ctld") or "refused" in cluster.log("ctld") or p.poll() is not None)
        assert "evil" not in cluster.node_states()
    finally:
        p.kill()
        p.wait()
        subprocess.run(["rm", "-rf", spool])
