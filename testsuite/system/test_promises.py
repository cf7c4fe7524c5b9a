# SPDX-License-Identifier: Apache-2.0
"""What happens when a node is lost, the network is cut, messages get lost, or a disk is full:
one test a promise."""
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from cluster import Cluster, wait_for
from drill import SEED, Stream, judge, prepare, settle

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class FastCluster(Cluster):
    """Gives a node up after seconds, not minutes."""

    timeout, ping = 2, 1

    def write_conf(self):
        super().write_conf()
        with open(self.conf_path) as f:
            text = f.read()
        with open(self.conf_path, "w") as f:
            f.write(text.replace("node = {", "node = { timeout = %d; ping_interval = %d;"
                                 % (self.timeout, self.ping)))


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


# ---- a node is lost ------------------------------------------------------------------------

def test_a_lost_node_is_down_and_its_jobs_do_as_they_asked():
    with FastCluster() as c:
        blocker = c.sbatch("-w", "n2", "--exclusive", wrap="sleep 1000")
        c.wait_state(blocker, "RUNNING")
        body = "echo $$ >%s.$SLURM_RESTART_COUNT; exec sleep 1000"
        again = c.sbatch("--requeue", wrap=body % "again")
        never = c.sbatch("--no-requeue", wrap=body % "never")
        for j in (again, never):
            c.wait_state(j, "RUNNING")
            assert c.job(j)["NodeList"] == "n1"
        orphans = [int(c.wait_file(n + ".", "\n")) for n in ("again", "never")]
        c.ok("scancel", blocker)
        c.wait_done(blocker)
        c.kill9("node-n1")
        wait_for("n1 down", lambda: c.node_states()["n1"].startswith("down"))
        assert "Not responding" in c.ok("sinfo", "-R", "-h")
        assert c.wait_done(never) == "NODE_FAIL"
        c.wait_state(again, "RUNNING")
        assert c.job(again)["NodeList"] == "n2" and c.job(again)["Restarts"] == "1"
        second = int(c.wait_file("again.1", "\n"))
        assert all(alive(p) for p in orphans), "nobody can have ended them yet"
        c.start_node("n1")  # late: what it still runs was given up
        wait_for("the orphans' end", lambda: not any(alive(p) for p in orphans))
        wait_for("n1 idle", lambda: c.node_states()["n1"] == "idle")
        assert alive(second) and c.state(again) == "RUNNING"
        c.ok("scancel", again)
        assert c.wait_done(again) == "CANCELLED"
        wait_for("no process left", lambda: not c.leftovers())


def test_a_node_back_in_time_keeps_its_jobs():
    class Patient(FastCluster):
        timeout = 60
    with Patient(nodes=1) as c:
        job = c.sbatch("-o", "out", wrap="echo up; until [ -e enough ]; do sleep 0.1; done; echo end")
        c.wait_file("out", "up")
        c.kill9("node-n1")
        wait_for("the loss to be seen", lambda: "*" in c.node_states()["n1"])
        assert c.state(job) == "RUNNING"
        c.start_node("n1")
        wait_for("n1 back", lambda: "*" not in c.node_states()["n1"])
        c.script("", name="enough")
        assert c.wait_done(job) == "COMPLETED"
        assert c.read("out") == "up\nend\n"


# ---- the controller is away ------------------------------------------------------------------

def test_interactive_commands_outlive_a_controller():
    with Cluster() as c:
        run = c.popen("srun", "-n2", "sh", "-c", "echo up; until [ -e enough ]; do sleep 0.1; done; exit 3")
        alloc = c.popen("salloc", "-n1", "sh", "-c", "echo up; until [ -e enough ]; do sleep 0.1; done; srun echo step >out")
        for p in (run, alloc):
            assert p.stdout.readline().strip() == "up"
        c.kill9("ctld")
        c.start_ctld()
        c.kill9("ctld")
        c.start_ctld()
        wait_for("the nodes", lambda: sorted(c.node_states().values()) == ["idle", "mix"])
        c.script("", name="enough")
        assert run.wait(60) == 3, run.stderr.read()
        assert alloc.wait(60) == 0, alloc.stderr.read()
        assert c.read("out") == "step\n"
        wait_for("an empty queue", lambda: not c.ok("squeue", "-h"))


def test_with_the_controller_down_every_command_says_so():
    with Cluster(nodes=1) as c:
        c.kill9("ctld")
        for argv in (["sbatch", "--wrap", "true"], ["srun", "true"], ["salloc", "true"], ["squeue"],
                     ["sinfo"], ["scancel", "1"], ["scontrol", "show", "job"], ["scontrol", "ping"]):
            start = time.monotonic()
            r = c.run(*argv)
            took = time.monotonic() - start
            assert r.rc == 1 and took < 2 * (6 if os.environ.get("SLURMLIKE_SANITIZED") else 1), (r, took)
            words = r.out if argv == ["scontrol", "ping"] else r.err
            assert "DOWN" in words or "Unable to contact" in words, r
        c.start_ctld()


def test_a_hung_controller_is_told_of_soon_and_given_up_in_time():
    with Cluster(nodes=1) as c:
        with open(c.conf_path) as f:
            text = f.read()
        with open(c.conf_path, "w") as f:
            f.write(text.replace("message_timeout = 60", "message_timeout = 3"))
        pid = c.procs["ctld"].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            for argv in (["sbatch", "--wrap", "true"], ["srun", "true"], ["squeue"], ["scancel", "1"]):
                start = time.monotonic()
                p = c.popen(*argv)
                said = p.stderr.readline()
                assert "the controller does not answer, waiting up to 3 s" in said, (argv, said)
                assert p.poll() is None, argv
                _, err = p.communicate(timeout=60)
                assert p.returncode == 1 and "no answer from the controller within 3 s" in err, (argv, err)
                assert time.monotonic() - start >= 3, argv
        finally:
            os.kill(pid, signal.SIGCONT)
        c.ok("scontrol", "ping")
        clear = lambda: c.run("scancel", "--me").rc == 0 and not c.ok("squeue", "-h")  # noqa: E731
        wait_for("an empty queue", clear)


# ---- the network ---------------------------------------------------------------------------------

class NetCluster(FastCluster):
    """Controller and n1 in one network namespace, n2 in another, joined by a cable of their own."""

    timeout, hosts = 60, {"n1": ("a", "10.98.76.1"), "n2": ("b", "10.98.76.2")}

    def __init__(self, **kw):
        self.tag = "sl%d" % os.getpid()
        for ns in "ab":
            self.ip("netns", "add", self.tag + ns)
            self.inside(ns, "ip", "link", "set", "lo", "up")
        self.ip("-n", self.tag + "a", "link", "add", "cable", "type", "veth", "peer", "name", "cable",
                "netns", self.tag + "b")
        for ns, addr in self.hosts.values():
            self.inside(ns, "ip", "addr", "add", addr + "/24", "dev", "cable")
            self.inside(ns, "ip", "link", "set", "cable", "up")
        super().__init__(nodes=2, **kw)

    @staticmethod
    def ip(*argv):
        subprocess.run(["ip"] + list(argv), check=True)

    def inside(self, ns, *argv):
        self.ip("netns", "exec", self.tag + ns, *argv)

    def cable(self, state):
        self.inside("a", "ip", "link", "set", "cable", state)

    def write_conf(self):
        super().write_conf()
        with open(self.conf_path) as f:
            text = f.read()
        with open(self.conf_path, "w") as f:
            f.write(text.replace('host = "127.0.0.1"', 'host = "10.98.76.1"'))

    def spawn(self, name, argv):
        ns, addr = self.hosts.get(name[5:], ("a", None)) if name.startswith("node-") else ("a", None)
        if addr:
            argv[argv.index("--addr") + 1] = addr
        return super().spawn(name, ["ip", "netns", "exec", self.tag + ns] + argv)

    def run(self, *argv, **kw):
        return super().run("ip", "netns", "exec", self.tag + "a", *argv, **kw)

    def stop(self):
        try:
            super().stop()
        finally:
            for ns in "ab":
                self.ip("netns", "del", self.tag + ns)


@needs_root
def test_jobs_go_on_while_the_network_is_cut_and_report_after_it_healed():
    with NetCluster() as c:
        job = c.sbatch("-w", "n2", "-o", "out", wrap="echo up; until [ -e enough ]; do sleep 0.1; done; echo end; touch over")
        longer = c.sbatch("-w", "n2", wrap="until [ -e later ]; do sleep 0.1; done")
        c.wait_file("out", "up")
        c.wait_state(longer, "RUNNING")
        c.cable("down")
        wait_for("the cut to be seen", lambda: "*" in c.node_states()["n2"])
        c.script("", name="enough")
        wait_for("the job's end", lambda: os.path.exists(os.path.join(c.work, "over")))
        here = c.sbatch("-w", "n1", wrap="true")
        assert c.wait_done(here) == "COMPLETED", "the other side works on"
        assert c.state(job) == "RUNNING", "nobody can know of its end yet"
        c.cable("up")
        assert c.wait_done(job) == "COMPLETED"
        assert c.read("out") == "up\nend\n"
        assert c.state(longer) == "RUNNING"
        c.script("", name="later")
        assert c.wait_done(longer) == "COMPLETED"
        wait_for("idle nodes", lambda: set(c.node_states().values()) == {"idle"})


class Proxy(threading.Thread):
    """Between nodes and controller: carries bytes, and cuts connections after a random
    number of them, in the middle of a frame or not, so that messages are lost, repeated and late."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.to, self.rnd = port, random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cuts, self.calm = 0, False

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            budget = [self.rnd.choice((0, 500, 4000, 20000)) + self.rnd.randrange(4000)]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(a, b, budget), daemon=True).start()

    def carry(self, a, b, budget):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                if not self.calm:
                    if budget[0] < len(data):
                        b.sendall(data[:max(0, budget[0])])
                        self.cuts += 1
                        break
                    budget[0] -= len(data)
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


def test_lost_repeated_and_late_messages_only_delay(capsys):
    with Cluster(nodes=4, conf="jobs = { keep = 3600; kill_wait = 2; };", start=False) as c:
        prepare(c)
        proxy = Proxy(c.port, SEED)
        proxy.start()
        c.node_args = ["--controller", "127.0.0.1:%d" % proxy.port]
        c.write_conf()
        c.start_munged()
        c.start_ctld()
        for n in c.names:
            c.start_node(n)
        stream = Stream(c, SEED)
        stream.start()
        wait_for("many cuts", lambda: proxy.cuts >= 60, 60)
        stream.finish()
        proxy.calm = True
        states = settle(c, stream.acked)

        def say(text):
            with capsys.disabled():
                print("\nseed=%d connections_cut=%d %s" % (SEED, proxy.cuts, text))
        judge(c, stream, states, say)
        proxy.listener.close()


# ---- disks -----------------------------------------------------------------------------------------

class Small:
    """A file system of a few MiB."""

    def __init__(self, path, mib, owner=None):
        self.path = path
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dM,mode=0755" % mib, "tmpfs", path], check=True)
        if owner:
            shutil.chown(path, owner, owner)

    def fill(self):
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as f:
            for size in (1 << 16, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def free(self):
        os.unlink(os.path.join(self.path, "filler"))

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=True)


@needs_root
def test_a_full_state_disk_refuses_submissions_and_recovers_by_itself():
    c = Cluster(nodes=2, start=False)
    disk = Small(os.path.join(c.dir, "state"), 6, c.ctld_user)
    try:
        with c:
            c.start()
            job = c.sbatch("-o", "out", wrap="echo up; until [ -e enough ]; do sleep 0.1; done; echo end; touch over")
            c.wait_file("out", "up")
            disk.fill()
            refused = wait_for("a refusal", lambda: (lambda r: r if r.rc else None)(
                c.run("sbatch", "-H", "--wrap", "true")))
            assert refused.rc == 1 and "full" in refused.err.lower(), refused
            assert len(refused.err.strip().splitlines()) == 1, refused
            assert str(job) in c.ok("squeue", "-h", "-o", "%i").split(), "reading goes on"
            c.script("", name="enough")  # the job ends while nothing can be recorded
            wait_for("the job's end", lambda: os.path.exists(os.path.join(c.work, "over")))
            assert c.run("sbatch", "--wrap", "true").rc == 1
            disk.free()
            after = wait_for("an accepted submission", lambda: (lambda r: int(r.out) if r.rc == 0 else None)(
                c.run("sbatch", "--parsable", "--wrap", "true")))
            assert c.wait_done(after) == "COMPLETED"
            assert c.wait_done(job) == "COMPLETED"
            assert c.read("out") == "up\nend\n"
            c.kill9("ctld")
            c.start_ctld()
            assert c.state(job) == "COMPLETED" and c.state(after) == "COMPLETED"
    finally:
        disk.unmount()


@needs_root
def test_a_full_spool_fails_the_launch_not_the_job_and_loses_no_result():
    c = Cluster(nodes=1, start=False)
    disk = Small(os.path.join(c.dir, "spool", "n1"), 2)
    try:
        with c:
            c.start()
            job = c.sbatch("-o", "out", wrap="echo up; until [ -e enough ]; do sleep 0.1; done; echo end; touch over; exit 5")
            c.wait_file("out", "up")
            disk.fill()
            second = c.sbatch("-o", "second", wrap="echo ran")
            wait_for("the node to be drained", lambda: "drng" in c.node_states()["n1"] or "drain" in c.node_states()["n1"])
            assert "No space left" in c.ok("sinfo", "-R", "-h", "-o", "%300E")
            c.wait_state(second, "PENDING")
            c.script("", name="enough")
            wait_for("the job's end", lambda: os.path.exists(os.path.join(c.work, "over")))
            disk.free()
            assert c.wait_done(job) == "FAILED"
            assert c.job(job)["ExitCode"] == "5:0", "its result was not lost"
            c.ok("scontrol", "update", "NodeName=n1", "State=RESUME")
            assert c.wait_done(second) == "COMPLETED"
            assert c.read("second") == "ran\n"
    finally:
        disk.unmount()
