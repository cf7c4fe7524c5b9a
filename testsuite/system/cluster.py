# SPDX-License-Identifier: Apache-2.0
"""A real cluster for a test: munged, controller and virtual nodes in one folder.

Nothing is shared with another cluster on the machine: every socket, port, key, spool and
database lies in the folder or is picked free. stop() ends all that was started and
says which processes of its jobs were left (none, or the product has a bug).
"""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PREFIX = os.environ.get("SLURMLIKE_PREFIX", "/usr/local")
SANITIZED = bool(os.environ.get("SLURMLIKE_SANITIZED"))
SLOW = 6 if SANITIZED else 1
TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
FINAL = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE",
         "PREEMPTED")


class Timeout(AssertionError):
    pass


def wait_for(what, probe, timeout=30.0, every=0.02):
    """Calls probe() until it gives something true; that value. An event with a deadline,
    not a sleep."""
    end = time.monotonic() + timeout * SLOW
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout("waited %.0f s for %s" % (timeout * SLOW, what))
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def user_ensure(name):
    """A test user; made when missing (root only)."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--system", "--create-home", "--home-dir", "/var/lib/" + name,
                        "--shell", "/bin/bash", name], check=True)
        return pwd.getpwnam(name)


class Result:
    def __init__(self, argv, rc, out, err):
        self.argv, self.rc, self.out, self.err = argv, rc, out, err

    def __repr__(self):
        return "%s -> %d\n--- stdout\n%s--- stderr\n%s" % (
            " ".join(map(str, self.argv)), self.rc, self.out, self.err)


class Cluster:
    def __init__(self, nodes=2, cpus=4, conf="", node_args=(), gres="", memory="4G",
                 topology=None, start=True, user=None):
        """user: the whole cluster runs as this one (only root can ask for that); else
        as root with an own user for the controller, or as whoever runs the tests."""
        self.dir = tempfile.mkdtemp(prefix="slurmlike-test-")
        os.chmod(self.dir, 0o1777 if SANITIZED else 0o755)
        self.count, self.cpus, self.gres, self.memory = nodes, cpus, gres, memory
        self.topology = topology or "synthetic:pack:1 numa:1 core:%d pu:1" % cpus
        self.node_args = list(node_args)
        self.extra_conf = conf
        self.user = user
        self.root = os.geteuid() == 0 and not user
        self.ctld_user = user or ("slurmlike" if self.root
                                  else pwd.getpwuid(os.geteuid()).pw_name)
        if os.geteuid() == 0:
            user_ensure(self.ctld_user)
        if user:
            self.own(self.dir)
        self.port = free_port()
        self.procs = {}
        self.names = ["n%d" % (i + 1) for i in range(nodes)]
        self.work = os.path.join(self.dir, "work")
        os.mkdir(self.work)
        os.chmod(self.work, 0o1777)
        self.conf_path = os.path.join(self.dir, "slurmlike.conf")
        drop = ("SLURM_", "SBATCH_", "SALLOC_", "SRUN_", "SLURMLIKE_JOB", "OMPI_", "PMIX_")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        self.env.update(SLURMLIKE_CONF=self.conf_path,
                        PATH=os.path.join(PREFIX, "bin") + ":" + os.environ["PATH"])
        if SANITIZED:
            to = "exitcode=99:log_path=%s/sanitizer" % self.dir
            self.env["ASAN_OPTIONS"] = "detect_leaks=1:" + to
            self.env["UBSAN_OPTIONS"] = "print_stacktrace=1:" + to
            for name in ("lsan.supp", "tsan.supp"):  # the tree may be in a folder of root's
                shutil.copy(os.path.join(TOP, "testsuite", name), self.dir)
            self.env["TSAN_OPTIONS"] = "suppressions=%s/tsan.supp:%s" % (self.dir, to)
            self.env["LSAN_OPTIONS"] = "suppressions=%s/lsan.supp:print_suppressions=0" % self.dir
        if start:
            try:
                self.start()
            except BaseException:
                self.logs_print()
                self.stop_daemons()
                self.reports_check()
                raise

    def own(self, path):
        """Gives it to the user of the daemons."""
        if os.geteuid() == 0:
            pw = pwd.getpwnam(self.ctld_user)
            os.chown(path, pw.pw_uid, pw.pw_gid)

    # ---- parts -------------------------------------------------------------------

    def write_conf(self):
        state = os.path.join(self.dir, "state")
        run = os.path.join(self.dir, "run")
        for d in (state, run):
            os.makedirs(d, exist_ok=True)
            self.own(d)
        with open(self.conf_path, "w") as f:
            f.write('''cluster_name = "test";
run_dir = "%s";
state = "sqlite:%s/state.db";
munge_socket = "%s/munge/socket";
controller = { host = "127.0.0.1"; port = %d; user = "%s"; message_timeout = 60; };
node = { spool_dir = "%s/spool/%%n"; user = "%s"; };
%s
''' % (run, state, self.dir, self.port, self.ctld_user, self.dir,
       "root" if self.root else self.ctld_user, self.extra_conf))

    def spawn(self, name, argv):
        with open(os.path.join(self.dir, name + ".log"), "ab") as log:
            env, kw = self._as(None, None)
            self.procs[name] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                cwd=self.dir, start_new_session=True, **kw)
        return self.procs[name]

    def start_munged(self):
        d = os.path.join(self.dir, "munge")
        os.mkdir(d, 0o755)
        fd = os.open(d + "/key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        os.write(fd, os.urandom(128))
        os.close(fd)
        if self.user:
            self.own(d)
            self.own(d + "/key")
        self.spawn("munged", [
            "/usr/sbin/munged", "--foreground", "--force", "--socket=%s/socket" % d,
            "--key-file=%s/key" % d, "--pid-file=%s/pid" % d, "--seed-file=%s/seed" % d,
            "--log-file=%s/log" % d, "--num-threads=4"])
        wait_for("munged", lambda: os.path.exists(d + "/socket"))

    def start_ctld(self, wait=True):
        self.spawn("ctld", [os.path.join(PREFIX, "sbin/slurmlike-ctld"), "--foreground",
                            "--config", self.conf_path])
        if wait:
            wait_for("the controller", lambda: self.run("scontrol", "ping").rc == 0)

    def start_node(self, name, *more):
        argv = [os.path.join(PREFIX, "sbin/slurmlike-d"), "--name", name, "--addr", "127.0.0.1",
                "--port", "0", "--config", self.conf_path, "--topology", self.topology,
                "--memory", self.memory]
        if self.gres:
            argv += ["--gres", self.gres]
        return self.spawn("node-" + name, argv + self.node_args + list(more))

    def start(self):
        self.write_conf()
        self.start_munged()
        self.start_ctld()
        for n in self.names:
            self.start_node(n)
        self.wait_nodes(alive=True)

    def node_states(self):
        lines = self.run("sinfo", "-h", "-N", "-o", "%n %t").out.splitlines()
        return dict(l.split()[:2] for l in lines if l.strip())

    def rest(self):
        """Ends every job and waits until none is left and the nodes are idle."""
        self.run("scancel", "--state=PENDING")
        self.run("scancel", "--state=RUNNING")
        wait_for("an empty queue", lambda: self.run("squeue", "-h").out == "")
        self.wait_nodes()

    def wait_nodes(self, state="idle", count=None, timeout=30, alive=False):
        """alive: a daemon that ends fails it at once."""
        want = self.count if count is None else count

        def probe():
            dead = [n for n, p in self.procs.items() if p.poll() is not None] if alive else []
            assert not dead, "ended: %s" % ", ".join(dead)
            return list(self.node_states().values()).count(state) == want
        wait_for("%d %s nodes" % (want, state), probe, timeout)

    def kill9(self, name):
        p = self.procs[name]
        os.kill(p.pid, signal.SIGKILL)
        p.wait()

    # ---- commands ----------------------------------------------------------------

    def _as(self, user, env):
        e = dict(self.env)
        e.update(env or {})
        user = user or self.user
        if not user:
            return e, {}
        pw = pwd.getpwnam(user)
        e.update(HOME=pw.pw_dir, USER=user, LOGNAME=user)
        return e, dict(user=pw.pw_uid, group=pw.pw_gid, extra_groups=[pw.pw_gid])

    def run(self, *argv, user=None, stdin=None, env=None, timeout=60, cwd=None):
        argv = [str(a) for a in argv]
        e, kw = self._as(user, env)
        if stdin is None:
            kw["stdin"] = subprocess.DEVNULL
        else:
            kw["input"] = stdin
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=e,
                           cwd=cwd or self.work, timeout=timeout * SLOW, text=True,
                           errors="replace", **kw)
        return Result(argv, p.returncode, p.stdout, p.stderr)

    def ok(self, *argv, **kw):
        r = self.run(*argv, **kw)
        assert r.rc == 0, r
        return r.out

    def popen(self, *argv, user=None, env=None, stdin=subprocess.DEVNULL, cwd=None):
        e, kw = self._as(user, env)
        return subprocess.Popen([str(a) for a in argv], env=e, cwd=cwd or self.work, stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)

    def script(self, body, name="job.sh", shebang="#!/bin/sh\n"):
        path = os.path.join(self.work, name)
        with open(path, "w") as f:
            f.write(shebang + body)
        os.chmod(path, 0o755)
        return path

    def sbatch(self, *args, wrap=None, **kw):
        argv = ["sbatch", "--parsable"] + list(args)
        if wrap is not None:
            argv += ["--wrap", wrap]
        return int(self.ok(*argv, **kw).strip().split(";")[0])

    def job(self, jobid):
        """scontrol show job as a dict, {} when gone."""
        r = self.run("scontrol", "-o", "show", "job", jobid)
        return dict(re.findall(r"(\S+?)=(\S*)", r.out)) if r.rc == 0 else {}

    def state(self, jobid):
        return self.job(jobid).get("JobState", "")

    def wait_state(self, jobid, *states, timeout=30):
        def probe():
            s = self.state(jobid)
            return s if s in states else None
        try:
            return wait_for("job %s to be %s" % (jobid, "/".join(states)), probe, timeout)
        except Timeout as e:
            raise Timeout("%s; it is %s" % (
                e, self.run("scontrol", "show", "job", jobid).out)) from None

    def wait_done(self, jobid, timeout=30):
        return self.wait_state(jobid, *FINAL, timeout=timeout)

    def sacct(self, *args):
        """Rows of sacct -P -n."""
        return [l.split("|") for l in self.ok("sacct", "-P", "-n", *args).splitlines()]

    def read(self, name):
        try:
            with open(os.path.join(self.work, name), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def wait_file(self, name, text="", timeout=30):
        def probe():
            s = self.read(name)
            return s if s and text in s else None
        return wait_for("%r in file %s" % (text, name), probe, timeout)

    def log(self, name):
        with open(os.path.join(self.dir, name + ".log"), errors="replace") as f:
            return f.read()

    # ---- the end -------------------------------------------------------------------

    def leftovers(self):
        """Processes of this cluster's jobs."""
        found = []
        mark = ("SLURMLIKE_CONF=" + self.conf_path).encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as f:
                    env = f.read()
                if mark in env and b"SLURMLIKE_STEP_SECRET=" in env:
                    with open("/proc/%s/cmdline" % pid, "rb") as f:
                        found.append((int(pid), f.read().replace(b"\0", b" ").decode("utf8", "replace")))
            except OSError:
                continue
        return found

    def end_jobs(self):
        """Cancels everything; the processes that were left."""
        if "ctld" not in self.procs or self.procs["ctld"].poll() is not None:
            return []
        try:
            for state in ("PENDING", "RUNNING", "SUSPENDED"):
                self.run("scancel", "--state=" + state, timeout=20)
            wait_for("all jobs to end", lambda: self.run("squeue", "-h").out == "", 20)
            wait_for("no process of a job", lambda: not self.leftovers(), 10)
        except (Timeout, subprocess.TimeoutExpired):
            return self.leftovers() or ["(no process, but jobs that did not end)"]
        return []

    def stop_daemons(self):
        for name in [n for n in self.procs if n.startswith("node-")] + ["ctld", "munged"]:
            p = self.procs.get(name)
            if p and p.poll() is None:
                p.send_signal(signal.SIGTERM)
                try:
                    p.wait(10 * SLOW)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        for pid, _ in self.leftovers():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def stop(self):
        try:
            left = self.end_jobs()
        finally:
            self.stop_daemons()
        self.reports_check()
        assert not left, "left behind: %r" % left

    def reports(self):
        """What the sanitizers of all daemons, supervisors and commands had to say."""
        text = ""
        for n in sorted(os.listdir(self.dir)):
            if not n.startswith("sanitizer") and not n.endswith(".log"):
                continue
            with open(os.path.join(self.dir, n), errors="replace") as f:
                said = f.read()
            if n.startswith("sanitizer"):
                text += "== %s\n%s" % (n, said)
                continue
            found = re.search(r"^.*(runtime error:|ERROR: \w+Sanitizer|WARNING: ThreadSanitizer)",
                              said, re.M)
            if found:
                text += "== %s\n%s" % (n, said[found.start():])
        return text

    def reports_check(self):
        """Removes the folder; fails when a sanitizer found something."""
        reports = self.reports() if SANITIZED else ""
        if not os.environ.get("SLURMLIKE_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        assert not reports, "sanitizer reports:\n" + reports

    def logs_print(self):
        for n in sorted(os.listdir(self.dir)):
            if n.endswith(".log"):
                tail = self.log(n[:-4]).splitlines()[-40:]
                print("==== %s (last lines)\n%s" % (n, "\n".join(tail)))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.logs_print()
        self.stop()
