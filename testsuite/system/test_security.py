# SPDX-License-Identifier: Apache-2.0
"""Users are isolated from each other; strangers get nothing."""
import grp
import os
import pwd
import re
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

from cluster import PREFIX, SLOW, Cluster, Timeout, wait_for

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


# ---- files are opened with the user's rights ------------------------------------------


def out_text(cluster, job):
    return cluster.read("slurm-%d.out" % job) or ""


@pytest.fixture
def lab(cluster, users, request):
    """A folder of root's with things that the first user must not reach, and one of
    the user's own."""
    base = os.path.join(cluster.work, re.sub(r"\W+", "-", request.node.name))
    os.mkdir(base, 0o755)
    alice, bob = (pwd.getpwnam(u) for u in users)
    for name, pw, mode in (("alice", alice, 0o700), ("bob", bob, 0o700), ("closed", None, 0o755)):
        os.mkdir(os.path.join(base, name), mode)
        if pw:
            os.chown(os.path.join(base, name), pw.pw_uid, pw.pw_gid)
    with open(os.path.join(base, "closed", "precious"), "w") as f:
        f.write("precious\n")
    os.chmod(os.path.join(base, "closed", "precious"), 0o600)
    os.symlink(os.path.join(base, "closed", "precious"), os.path.join(base, "alice", "link"))
    os.symlink(os.path.join(base, "closed"), os.path.join(base, "alice", "dir"))
    os.symlink(os.path.join(base, "bob"), os.path.join(base, "alice", "bobs"))
    return base


@pytest.mark.parametrize("path", ["closed/new", "closed/precious", "alice/link", "alice/dir/new",
                                  "bob/new", "alice/bobs/new", "alice/missing/new"])
@pytest.mark.parametrize("option", ["-o", "-e"])
def test_output_is_opened_with_the_users_rights(cluster, users, lab, path, option):
    job = cluster.sbatch(option, os.path.join(lab, path), "-D", os.path.join(lab, "alice"),
                         wrap="echo overwritten; echo overwritten >&2", user=users[0])
    assert cluster.wait_done(job) == "FAILED"
    assert open(os.path.join(lab, "closed", "precious")).read() == "precious\n"
    assert os.listdir(os.path.join(lab, "closed")) == ["precious"]
    assert os.listdir(os.path.join(lab, "bob")) == []


@pytest.mark.parametrize("path", ["closed/precious", "alice/link", "/etc/shadow",
                                  "/proc/{ctld}/environ", "/proc/{node}/environ",
                                  "/proc/{node}/maps", "/proc/{node}/fd/1"])
def test_input_is_opened_with_the_users_rights(cluster, users, lab, path):
    path = path.format(ctld=cluster.procs["ctld"].pid, node=cluster.procs["node-n1"].pid)
    # what a plain open(2) of that user refuses
    assert cluster.run("sh", "-c", ": <" + os.path.join(lab, path), user=users[0]).rc != 0
    out = os.path.join(lab, "alice", "out")
    job = cluster.sbatch("-i", os.path.join(lab, path), "-o", out, wrap="cat; echo ran",
                         user=users[0])
    assert cluster.wait_done(job) == "FAILED"
    said = open(out).read() if os.path.exists(out) else ""
    assert "ran" not in said and "precious" not in said and "SLURM" not in said


def test_a_file_of_output_is_the_users_with_its_umask(cluster, users, lab):
    alice = pwd.getpwnam(users[0])
    out = os.path.join(lab, "alice", "out")
    r = cluster.run("sh", "-c", "umask 027; exec sbatch -W -o %s --wrap 'umask; echo %s'"
                    % (out, "x" * 10), user=users[0])
    assert r.rc == 0, r
    st = os.stat(out)
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (alice.pw_uid, alice.pw_gid, 0o640)
    assert "027" in open(out).read()


def test_supplementary_groups_open_files_and_run_tasks(cluster, users, lab):
    try:
        grp.getgrnam("slshare")
    except KeyError:
        subprocess.run(["groupadd", "--system", "slshare"], check=True)
    subprocess.run(["usermod", "-a", "-G", "slshare", users[0]], check=True)
    gid = grp.getgrnam("slshare").gr_gid
    share = os.path.join(lab, "share")
    os.mkdir(share, 0o770)
    os.chown(share, 0, gid)
    os.chmod(share, 0o770)
    a = cluster.sbatch("-o", share + "/a", wrap="id -G", user=users[0])
    b = cluster.sbatch("-o", share + "/b", wrap="id -G", user=users[1])
    assert cluster.wait_done(a) == "COMPLETED"
    assert cluster.wait_done(b) == "FAILED"
    want = sorted(os.getgrouplist(users[0], pwd.getpwnam(users[0]).pw_gid))
    assert sorted(map(int, open(share + "/a").read().split())) == want
    assert os.listdir(share) == ["a"]


def test_a_fifo_that_nobody_reads_does_not_hold_the_job(cluster, users, lab):
    fifo = os.path.join(lab, "alice", "fifo")
    os.mkfifo(fifo, 0o600)
    os.chown(fifo, pwd.getpwnam(users[0]).pw_uid, -1)
    # no reader at all: an error that names it
    job = cluster.sbatch("-o", fifo, wrap="echo x", user=users[0])
    assert cluster.wait_done(job) == "FAILED"
    # a reader that does not read: the pipe is full when the supervisor has its say
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        job = cluster.sbatch("-o", fifo, wrap="exec yes", user=users[0])
        cluster.wait_state(job, "RUNNING")
        full = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        try:
            def is_full():
                try:
                    os.write(full, b"x" * 4096)
                except BlockingIOError:
                    return True
                return False
            wait_for("a full pipe", is_full)
        finally:
            os.close(full)
        cluster.ok("scancel", job)
        assert cluster.wait_done(job) == "CANCELLED"
        wait_for("its nodes", lambda: cluster.job(job).get("JobState") == "CANCELLED")
    finally:
        os.close(reader)


def test_job_names_do_not_lead_out_of_the_folder(cluster, users, lab):
    """%x holds what the user chose; with the user's rights it leads nowhere new."""
    job = cluster.sbatch("-J", "../closed/evil", "-o", "%x", "-D", os.path.join(lab, "alice"),
                         wrap="echo x", user=users[0])
    cluster.wait_done(job)
    assert os.listdir(os.path.join(lab, "closed")) == ["precious"]


# ---- whose job -----------------------------------------------------------------------------


def test_only_root_submits_for_others(cluster, users):
    for who in ("root", users[1]):
        r = cluster.run("sbatch", "--uid", who, "--wrap", "id -u", user=users[0])
        assert r.rc == 1 and r.out == "", r
        assert "--uid" in r.err or "denied" in r.err.lower(), r
    job = cluster.sbatch("--uid", users[0], "-o", "uid.%j", wrap="id -u; id -G")
    assert cluster.wait_done(job) == "COMPLETED"
    lines = cluster.read("uid.%d" % job).splitlines()
    assert int(lines[0]) == pwd.getpwnam(users[0]).pw_uid
    assert "0" not in lines[1].split()
    assert os.stat(os.path.join(cluster.work, "uid.%d" % job)).st_uid == int(lines[0])


def test_a_uid_without_a_user_is_refused(cluster, users):
    """It has no group either: -1 would leave the task with root's."""
    for uid in ("4294967294", "54321"):
        r = cluster.run("sbatch", "--parsable", "--uid", uid, "--wrap", "id", "-o", "/dev/null")
        assert r.rc == 1 and uid in r.err, r


def environ_of(cluster, job):
    """Of the job's script, as root."""
    for pid, _ in cluster.leftovers():
        with open("/proc/%d/environ" % pid, "rb") as f:
            env = dict(e.split(b"=", 1) for e in f.read().split(b"\0") if b"=" in e)
        if env.get(b"SLURM_JOB_ID") == str(job).encode():
            return env
    return None


def test_secrets_are_in_no_log_command_line_or_open_file(cluster, users, job):
    env = environ_of(cluster, job)
    secret = env[b"SLURMLIKE_STEP_SECRET"].split(b":")[0]
    assert len(secret) >= 32
    with open(os.path.join(cluster.dir, "munge", "key"), "rb") as f:
        key = f.read()
    needles = (secret, b"s3cr3t-of-alice", key[:16])
    for name in os.listdir(cluster.dir):
        if name.endswith(".log"):
            with open(os.path.join(cluster.dir, name), "rb") as f:
                text = f.read()
            assert not any(n in text for n in needles), name
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                text = f.read()
        except OSError:
            continue
        assert secret not in text and b"s3cr3t-of-alice" not in text, pid
    bob = pwd.getpwnam(users[1])
    for root, _, files in os.walk(cluster.dir):
        for f in files:
            path = os.path.join(root, f)
            r = subprocess.run(["cat", path], user=bob.pw_uid, group=bob.pw_gid,
                               extra_groups=[], capture_output=True)
            assert not any(n in r.stdout for n in needles), path


def test_the_environment_of_tasks_cannot_be_read_by_others(cluster, users, job):
    env = environ_of(cluster, job)
    assert env[b"TOKEN"] == b"s3cr3t-of-alice"
    for pid, _ in cluster.leftovers():
        for f in ("environ", "mem", "maps", "cwd/.", "fd"):
            r = cluster.run("ls" if f in ("cwd/.", "fd") else "cat",
                            "/proc/%d/%s" % (pid, f), user=users[1])
            assert r.out == "" and r.rc != 0, r
        assert cluster.run("kill", "-0", pid, user=users[1]).rc != 0


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_spool_that_others_can_write_is_refused(cluster, users, mode):
    spool = os.path.join(cluster.dir, "spool-%o" % mode)
    os.mkdir(spool)
    os.chmod(spool, mode)
    r = cluster.run(PREFIX + "/sbin/slurmlike-d", "--name", "open", "--addr", "127.0.0.1",
                    "--port", "0", "--config", cluster.conf_path, "--spool", spool)
    assert r.rc == 1 and spool in r.err and "chmod" in r.err, r


def test_prolog_and_epilog_have_nothing_of_the_users_environment(users):
    """They run as root: what a user can set must not lead them."""
    with Cluster(nodes=1, start=False) as c:
        scripts = {}
        for name in ("prolog", "epilog"):
            path = os.path.join(c.dir, name + ".sh")
            with open(path, "w") as f:
                f.write("#!/bin/sh\n{ id -u; pwd; cat /proc/$$/environ | tr '\\0' '\\n'; } "
                        ">%s/%s.new\nmv %s/%s.new %s/%s.env\n"
                        % (c.dir, name, c.dir, name, c.dir, name))
            os.chmod(path, 0o755)
            scripts[name] = path
        c.extra_conf = 'jobs = { prolog = "%(prolog)s"; epilog = "%(epilog)s"; };\n' % scripts
        c.start()
        job = c.sbatch("-J", "x;id", "--export=ALL", "-o", "/dev/null", wrap="exit 0",
                       user=users[0],
                       env={"LD_PRELOAD": "/none.so", "LD_LIBRARY_PATH": "/none", "IFS": "x",
                            "BASH_ENV": "/none", "ENV": "/none", "TOKEN": "s3cr3t-of-alice"})
        assert c.wait_done(job) == "COMPLETED"
        for name in scripts:
            wait_for(name, lambda: os.path.exists("%s/%s.env" % (c.dir, name)))
            with open("%s/%s.env" % (c.dir, name)) as f:
                uid, cwd, *env = f.read().splitlines()
            assert (uid, cwd) == ("0", "/")
            names = [e.split("=")[0] for e in env if e]
            strange = [n for n in names if not n.startswith(("SLURM_", "SLURMD_")) and
                       n not in ("PATH", "PWD", "_", "SHLVL", "OLDPWD", "ENVIRONMENT",
                                 "SLURMLIKE_JOB_ADDR")]
            assert strange == [], strange
            assert "SLURM_JOB_ID=%d" % job in env and "TOKEN" not in names
            assert not any("SECRET" in n for n in names)


FORGE = """
#include <stdlib.h>
#include <sys/types.h>
uid_t geteuid(void) { return (uid_t)atoi(getenv("FORGED_UID")); }
uid_t getuid(void) { return (uid_t)atoi(getenv("FORGED_UID")); }
gid_t getegid(void) { return (gid_t)atoi(getenv("FORGED_GID")); }
gid_t getgid(void) { return (gid_t)atoi(getenv("FORGED_GID")); }
"""
JOIN = """
import ctypes, os
pmix = ctypes.CDLL("libpmix.so.2")
os.write(1, b"%d" % pmix.PMIx_Init(ctypes.create_string_buffer(512), None, ctypes.c_size_t(0)))
os._exit(0)
"""


def test_another_user_cannot_come_as_a_rank_of_an_mpi_job(cluster, users):
    """libpmix believes a client's uid; what keeps others out is that they cannot name the
    job's namespace."""
    r = cluster.run("srun", "--mpi=list")
    assert "pmix" in r.out + r.err, r  # configure requires PMIx
    source, forge = os.path.join(cluster.dir, "forge.c"), os.path.join(cluster.dir, "forge.so")
    with open(source, "w") as f:
        f.write(FORGE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", forge, source], check=True)
    os.chmod(forge, 0o755)
    p = cluster.popen("srun", "--mpi=pmix", "-n1", "sh", "-c",
                      "env >pmix.env.new; mv pmix.env.new pmix.env; exec sleep 1000",
                      user=users[0], cwd=cluster.work)
    try:
        told = cluster.wait_file("pmix.env", "PMIX_NAMESPACE")
        env = dict(l.split("=", 1) for l in told.splitlines() if l.startswith("PMIX_"))
        alice = pwd.getpwnam(users[0])
        env.update(FORGED_UID=str(alice.pw_uid), FORGED_GID=str(alice.pw_gid),
                   PMIX_SERVER_TMPDIR="/tmp", PMIX_SYSTEM_TMPDIR="/tmp",
                   LD_PRELOAD=forge)
        name = env["PMIX_NAMESPACE"]
        job, secret = name.split(".")[1], name.split(".")[-1]
        seen = [n for n in os.listdir("/dev/shm") if n.startswith("slurmlike.%s.0." % job)]
        guesses = ["slurmlike.%s.0.0" % job, name[:-1] + "x"] + seen + \
            [n.rsplit(".", 1)[0] for n in seen]
        for guess in guesses:
            r = cluster.run("/usr/bin/python3", "-c", JOIN, user=users[1],
                            env=dict(env, PMIX_NAMESPACE=guess))
            assert int(r.out) != 0, (guess, r)
        assert not any(secret in n for n in os.listdir("/dev/shm"))
        r = cluster.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", user=users[1])
        assert secret not in r.out
        for n in os.listdir(cluster.dir):
            if n.endswith(".log"):
                assert secret not in cluster.log(n[:-4]), n
        # the name is indeed all that was missing
        r = cluster.run("/usr/bin/python3", "-c", JOIN, user=users[1], env=env)
        assert int(r.out) == 0, r
    finally:
        p.terminate()
        p.communicate()


def test_a_steps_socket_is_closed_to_others(cluster, users, job):
    env = environ_of(cluster, job)
    path = env[b"SLURMLIKE_JOB_SOCK"].decode()
    st = os.stat(path)
    assert st.st_uid == pwd.getpwnam(users[0]).pw_uid and stat.S_IMODE(st.st_mode) == 0o600
    code = "import socket; socket.socket(socket.AF_UNIX).connect(%r)" % path
    r = cluster.run("/usr/bin/python3", "-c", code, user=users[1])
    assert r.rc == 1 and "Permission denied" in r.err, r
    assert cluster.run("/usr/bin/python3", "-c", code, user=users[0]).rc == 0


# ---- the network ---------------------------------------------------------------------------


class Recorder:
    """A TCP hop before the controller that keeps the client's bytes."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.to, self.got = self.listener.getsockname()[1], port, b""
        threading.Thread(target=self.serve, daemon=True).start()

    def copy(self, a, b, keep):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                if keep:
                    self.got += data
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.to))
        t = threading.Thread(target=self.copy, args=(client, server, True), daemon=True)
        t.start()
        self.copy(server, client, False)
        t.join()


def tcp_conf(cluster, port, name):
    """A configuration by which commands take TCP to this port."""
    path = os.path.join(cluster.dir, name)
    with open(cluster.conf_path) as f:
        text = f.read().replace("port = %d;" % cluster.port,
                                'port = %d; socket = "%s/none";' % (port, cluster.dir))
    with open(path, "w") as f:
        f.write(text)
    return path


def test_a_recorded_connection_is_worth_nothing(cluster, users):
    hop = Recorder(cluster.port)
    env = {"SLURMLIKE_CONF": tcp_conf(cluster, hop.port, "hop.conf")}
    assert cluster.ok("sinfo", "-h", env=env, user=users[0])
    assert hop.got.startswith(b"SLW1") and b"MUNGE:" in hop.got
    assert b"sinfo" not in hop.got and b"partition" not in hop.got
    with socket.create_connection(("127.0.0.1", cluster.port)) as s:
        s.sendall(hop.got)
        assert recv_all(s) == b""
    wait_for("the refusal in the log", lambda: "eplayed" in cluster.log("ctld"))
    # a credential for the controller opens no node daemon either
    port = int(cluster.ok("scontrol", "-o", "show", "node", "n1").split("Port=")[1].split()[0])
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(hop.got)
        assert recv_all(s) == b""


def fds_count(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def test_a_flood_of_silent_connections_shuts_nobody_out(cluster, users):
    pid = cluster.procs["ctld"].pid
    before = fds_count(pid)
    env = {"SLURMLIKE_CONF": tcp_conf(cluster, cluster.port, "tcp.conf")}
    flood = []
    try:
        for i in range(2000):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", cluster.port))
            flood.append(s)
        assert "n1" in cluster.ok("sinfo", "-h", "-o", "%N", env=env, user=users[0]) or True
        assert fds_count(pid) < before + 1500
        # and one that says its name a byte at a time is not listened to for ever
        with socket.create_connection(("127.0.0.1", cluster.port)) as slow:
            slow.settimeout(1)
            end = time.monotonic() + 30 * SLOW
            hello, at = b"SLW1" + struct.pack("!HHH", 256, 2000, 0) + b"M" * 2000, 0
            while True:
                assert time.monotonic() < end, "still listened to"
                try:
                    slow.send(hello[at:at + 1])
                    at += 1
                    if slow.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        assert cluster.ok("sinfo", "-h", env=env, user=users[0])
    finally:
        for s in flood:
            s.close()
    wait_for("the descriptors back", lambda: fds_count(pid) <= before + 8)


def test_one_user_cannot_hold_all_connections(cluster, users):
    """Half of what the controller serves at once, and others still get in."""
    sock = os.path.join(cluster.dir, "run", "ctld.sock")
    code = """
import resource, select, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (9000, 9000))
held, poll = [], select.poll()
for i in range(4200):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    poll.register(s, 0)  # only whether the other end has hung up
    held.append(s)
print(len(held), len(poll.poll(60000)), flush=True)
sys.stdin.read()
"""
    p = subprocess.Popen(["/usr/bin/python3", "-c", code, sock], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True,
                         preexec_fn=lambda: (os.setgid(pwd.getpwnam(users[1]).pw_gid),
                                             os.setuid(pwd.getpwnam(users[1]).pw_uid)))
    try:
        line = p.stdout.readline()
        assert cluster.ok("sinfo", "-h", user=users[0]), line
        held, refused = map(int, line.split())
        assert held == 4200 and refused > 0, line
    finally:
        p.stdin.close()
        p.wait()


def test_a_node_name_cannot_be_claimed_by_an_ordinary_user(cluster, users):
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
