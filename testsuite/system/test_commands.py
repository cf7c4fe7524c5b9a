# SPDX-License-Identifier: Apache-2.0
"""squeue, sinfo, scancel, scontrol and sacct: what their manual pages promise of options,
formats, filters, exit codes and JSON."""
import json
import os
import re
import time

import pytest
import yaml

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

COMMANDS = ["sbatch", "srun", "salloc", "squeue", "sinfo", "scancel", "scontrol", "sacct",
            "sacctmgr", "sdiag", "sprio", "sshare"]
PARTITIONS = '''partitions = (
  { name = "main"; nodes = "ALL"; default = true; },
  { name = "short"; nodes = "n1"; max_time = 600; },
  { name = "dark"; nodes = "ALL"; hidden = true; } );'''


@pytest.fixture(scope="module")
def cluster(users):
    with Cluster(nodes=2, cpus=4, gres="gpu:a100:2", memory="8G", conf=PARTITIONS) as c:
        c.run_job = c.sbatch("-J", "running", "-t", "10", "-n2", "-w", "n1", "-o", "/dev/null",
                             wrap="srun -n2 sleep 10000", user=users[0])
        c.held_job = c.sbatch("-J", "waiting", "-H", "-A", "acc", "--comment=a word", "-o", "/dev/null",
                              wrap="true", user=users[1])
        c.array_job = c.sbatch("-J", "many", "-H", "--array=1-3", "-o", "/dev/null", wrap="true")
        c.done_job = c.sbatch("-J", "done", "-o", "/dev/null", wrap="exit 3")
        c.wait_done(c.done_job)
        wait_for("the step", lambda: "%d.0" % c.run_job in c.run("squeue", "-s", "-h").out)
        yield c


def refused(r, *words):
    assert r.rc == 1, r
    for w in words:
        assert w.lower() in r.err.lower(), (w, r)
    lines = [l for l in r.err.splitlines() if not l.startswith("Try ")]
    assert len(lines) == 1, r


# ---- all of them -------------------------------------------------------------------------

@pytest.mark.parametrize("command", COMMANDS)
def test_help_usage_and_version_need_no_controller(command):
    with Cluster(nodes=0, start=False) as c:
        help_text = c.ok(command, "--help")
        assert help_text.startswith("Usage: " + command), help_text
        assert c.ok(command, "--usage").startswith("Usage: " + command)
        assert re.fullmatch(r"slurmlike \d+\.\d+\.\d+\n", c.ok(command, "--version"))
        assert c.ok(command, "-V") == c.ok(command, "--version")
        for line in help_text.splitlines():
            assert len(line) < 160, line


def options_of(cluster, command):
    text = cluster.ok(command, "--help").split("\nKnown, but not built yet")
    names = [re.findall(r"^\s+(?:-(\w), )?\s*--([\w-]+)(\[?=)?", part, re.M) for part in text]
    return names[0], names[1] if len(names) > 1 else []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_the_help_is_known_and_the_unbuilt_say_so(cluster, command):
    built, unbuilt = options_of(cluster, command)
    assert len(built) > 10
    for letter, name, value in built:
        if value == "=":
            refused(cluster.run(command, "--" + name), "requires an argument", name)
        elif value == "":
            refused(cluster.run(command, "--%s=x" % name), "doesn't allow an argument", name)
    for letter, name, value in unbuilt:
        arg = ["--%s=1" % name] if value == "=" else ["--" + name]
        tail = ["true"] if command in ("srun", "salloc") else []
        refused(cluster.run(command, *arg, *tail), "not built", name)
    refused(cluster.run(command, "--no-such-option"), "unrecognized option", "no-such-option")
    refused(cluster.run(command, "-@"), "invalid option", "@")


@pytest.mark.parametrize("argv", [
    ["squeue"], ["squeue", "--json"], ["sinfo"], ["sinfo", "--json"], ["sacct"], ["sacct", "--json"],
    ["scontrol", "show", "job"], ["scontrol", "show", "config"], ["scontrol", "ping"],
    ["scontrol", "show", "hostnames", "n[1-3]"], ["sbatch", "--wrap", "true", "-o", "/dev/null"],
    ["squeue", "--help"], ["sinfo", "--version"], ["sbatch", "--help"], ["scancel", "--usage"]])
def test_a_full_disk_is_an_error(cluster, argv):
    r = cluster.run("sh", "-c", 'exec "$@" > /dev/full', "sh", *argv)
    refused(r, "cannot write standard output")


def test_srun_does_not_hide_lost_output(cluster):
    r = cluster.run("sh", "-c", "srun -w n2 echo hi > /dev/full")
    assert r.rc == 1 and "output was lost: No space left on device" in r.err, r
    r = cluster.run("bash", "-c", "srun -w n2 seq 100000 | head -1; echo ${PIPESTATUS[0]}")
    assert r.out == "1\n0\n" and r.err == "", r


def test_a_reader_that_has_seen_enough_gets_no_complaint(cluster):
    big = cluster.sbatch("-H", "--array=1-3000", wrap="true")
    r = cluster.run("bash", "-c", "squeue -h -r -t all | head -1; echo ${PIPESTATUS[0]}")
    assert r.err == "" and r.out.splitlines()[-1] in ("0", "141"), r
    assert len(r.out.splitlines()) == 2
    cluster.ok("scancel", big)


def test_no_home_no_user_no_folder(cluster):
    folder = os.path.join(cluster.work, "gone")
    os.mkdir(folder)
    for argv in (["squeue", "-h"], ["sinfo", "-h"], ["sacct", "-n"], ["scontrol", "show", "job", "1"]):
        r = cluster.run("sh", "-c", 'cd gone && rmdir ../gone && env -u HOME -u USER -u LOGNAME "$@"',
                        "sh", *argv)
        assert r.rc == 0 and r.err == "", r
        os.mkdir(folder)
    r = cluster.run("sh", "-c", 'cd gone && rmdir ../gone && sbatch --wrap true')
    refused(r, "current directory")
    r = cluster.run("sh", "-c", 'mkdir -p gone; cd gone && rmdir ../gone && sbatch -D / -o /dev/null --wrap true')
    assert r.rc == 0, r


def test_queries_of_an_ordinary_user(cluster, users):
    for argv in (["squeue"], ["sinfo"], ["sacct"], ["scontrol", "show", "node"], ["scontrol", "ping"]):
        assert cluster.run(*argv, user=users[0]).rc == 0


@pytest.mark.parametrize("argv,key", [
    (["squeue", "--json"], "jobs"), (["squeue", "-s", "--json"], "steps"), (["sinfo", "--json"], "nodes"),
    (["sacct", "--json"], "jobs"), (["scontrol", "--json", "show", "job"], "jobs"),
    (["scontrol", "--json", "show", "node"], "nodes"), (["scontrol", "--json", "show", "step"], "steps"),
    (["scontrol", "--json", "show", "partition"], "partitions")])
def test_json_is_whole_and_typed(cluster, argv, key):
    d = json.loads(cluster.ok(*argv))
    assert d["errors"] == d["warnings"] == [] and d["meta"]["plugin"]["name"] == argv[0]
    assert len(d[key]) > 0 and all(isinstance(row, dict) for row in d[key])


@pytest.mark.parametrize("argv,key", [
    (["squeue", "-t", "all"], "jobs"), (["squeue", "-s"], "steps"), (["sinfo"], "nodes"), (["sacct", "-j", "DONE"], "jobs"),
    (["scontrol", "show", "node"], "nodes"), (["scontrol", "show", "config"], "config"), (["scontrol", "ping"], "pings"),
    (["sshare", "-a"], "shares"), (["squeue", "-n", "nobody"], "jobs")])
def test_yaml_says_the_same_as_json(cluster, argv, key):
    argv = [str(cluster.done_job) if a == "DONE" else a for a in argv]

    def moving(value):  # what the clock changes between two calls
        if isinstance(value, list):
            return [moving(v) for v in value]
        if isinstance(value, dict):
            return {k: moving(v) for k, v in value.items() if not re.search("time|free_mem|load|elapsed|last_busy", k)}
        return value
    as_json, text = json.loads(cluster.ok(*argv, "--json")), cluster.ok(*argv, "--yaml")
    assert text.startswith("---\n") or text.startswith("meta:\n")
    assert moving(yaml.safe_load(text)) == moving(as_json) and key in as_json
    refused(cluster.run("sh", "-c", 'exec "$@" > /dev/full', "sh", *argv, "--yaml"), "standard output")


def test_yaml_keeps_texts_texts(cluster):
    for name in ("no", "null", "12:30", "1e3", "0x10", "a: b", "# x", "Ünïcödé", "a 'b' \"c\"", "~", "yes", "-", "1_000"):
        job = cluster.sbatch("-H", "-J", name, wrap="true")
        out = yaml.safe_load(cluster.ok("squeue", "--yaml", "-j", job))
        assert out["jobs"][0]["name"] == name
        cluster.ok("scancel", job)


def test_json_values(cluster):
    jobs = {j["job_id"]: j for j in json.loads(cluster.ok("squeue", "--json", "-t", "all"))["jobs"]}
    run = jobs[cluster.run_job]
    assert (run["job_state"], run["time_limit"], run["nodes"], run["node_count"], run["array_task_id"]) == \
        ("RUNNING", 10, "n1", 1, None)
    assert run["start_time"] > 10 ** 9 and run["exit_code"] == {"return_code": 0, "signal": 0}
    assert jobs[cluster.done_job]["exit_code"]["return_code"] == 3
    done = json.loads(cluster.ok("sacct", "--json", "-j", cluster.done_job))["jobs"][0]
    assert done["job_id"] == cluster.done_job and done["state"]["current"] == "FAILED"
    assert done["exit_code"]["return_code"] == 3 and done["steps"][0]["name"] == "batch"
    assert done["time"]["end"] >= done["time"]["start"] > 10 ** 9
    node = json.loads(cluster.ok("sinfo", "--json"))["nodes"][0]
    assert node["name"] == "n1" and node["cpus"] == 4 and isinstance(node["partitions"], list)


def test_json_of_what_changes_things(cluster):
    d = json.loads(cluster.ok("sbatch", "--json", "-H", "--wrap", "true"))
    job = d["job_id"]
    assert d["errors"] == [] and cluster.state(job) == "PENDING"
    assert json.loads(cluster.ok("scontrol", "--json", "release", job))["errors"] == []
    assert json.loads(cluster.ok("scancel", "--json", job))["errors"] == []
    for argv in (["scancel", "--json", "999999"], ["scontrol", "--json", "hold", "999999"],
                 ["scontrol", "--json", "update", "JobId=999999", "Comment=x"]):
        r = cluster.run(*argv)
        errors = json.loads(r.out)["errors"]
        assert r.rc == 1 and errors[0]["object"] == "999999" and "job id" in errors[0]["error"], r
    assert json.loads(cluster.ok("scontrol", "--json", "ping"))["pings"][0]["pinged"] == "UP"
    assert json.loads(cluster.ok("scontrol", "--json", "show", "config"))["config"]["cluster_name"] == "test"


def test_an_empty_answer_is_json_too(cluster):
    for argv in (["squeue", "-n", "nobody", "--json"], ["sacct", "-j", "999999", "--json"]):
        assert json.loads(cluster.ok(*argv))["jobs"] == []


def test_names_of_any_alphabet_and_length(cluster):
    name = "Ünïcödé-漢字-" + "x" * 150
    job = cluster.sbatch("-H", "-J", name, wrap="true")
    assert cluster.ok("squeue", "-h", "-j", job, "-o", "%j").rstrip("\n") == name
    assert cluster.ok("squeue", "-h", "-j", job, "-o", "%.8j|%12j|").rstrip("\n") == "Ünïcödé-|Ünïcödé-漢字-x|"
    assert json.loads(cluster.ok("squeue", "--json", "-j", job))["jobs"][0]["name"] == name
    assert cluster.sacct("-j", job, "-o", "JobName") == [[name]]
    assert cluster.ok("squeue", "-h", "-n", name, "-o", "%A").split() == [str(job)]
    cluster.ok("scancel", "-n", name)
    assert cluster.wait_done(job) == "CANCELLED"


def test_a_dead_controller_is_one_line_within_two_seconds():
    with Cluster(nodes=0, start=False) as c:
        c.write_conf()
        for argv in (["squeue", "-j", "1"], ["squeue", "--json"], ["sinfo", "-N"], ["scancel", "-u", "root"],
                     ["sacct", "-j", "1"], ["scontrol", "update", "JobId=1", "Comment=x"],
                     ["scontrol", "hold", "1"], ["sbatch", "--test-only", "--wrap", "true"]):
            began = time.monotonic()
            r = c.run(*argv)
            assert time.monotonic() - began < 4, argv  # two, and a loaded machine
            refused(r, "unable to contact", "controller")
            assert r.out == ""
        r = c.run("scontrol", "ping")
        assert r.rc == 1 and "is DOWN" in r.out, r


# ---- sdiag -------------------------------------------------------------------------------

def test_sdiag_counts_what_became_of_jobs_and_who_asked(users):
    with Cluster(nodes=1) as c:
        for code in (0, 0, 3):
            c.wait_done(c.sbatch("-o", "/dev/null", wrap="exit %d" % code))
        waiting, running = c.sbatch("-H", wrap="true"), c.sbatch("-o", "/dev/null", wrap="sleep 1000")
        c.wait_state(running, "RUNNING")
        out = c.ok("sdiag")
        assert re.match(r"\*{55}\nsdiag output at \w{3} \w{3} +\d+ [\d:]{8} \d{4} \(\d+\)\nData since      ", out), out
        c.ok("scancel", waiting, running)
        assert c.wait_done(running) == "CANCELLED"
        c.ok("squeue", user=users[0])

        def figures():
            return dict(re.findall(r"^\t?([\w ]+): +(\d+)$", c.ok("sdiag"), re.M))
        wait_for("the jobs' ends", lambda: figures()["Jobs canceled"] == "2")
        f = figures()
        assert [f["Jobs " + w] for w in ("submitted", "started", "completed", "canceled", "failed", "pending", "running")] \
            == ["5", "4", "2", "2", "1", "0", "0"]
        assert int(f["Total cycles"]) > 0 and int(f["Total commits"]) > 0 and int(f["Max cycle"]) >= int(f["Mean cycle"])
        out = c.ok("sdiag")
        assert re.search(r"^\tSUBMIT +count:5 +ave_time:\d+ +total_time:\d+$", out, re.M), out
        assert re.search(r"^\t%s +\( +\d+\) count:1 " % users[0], out, re.M), out
        stats = json.loads(c.ok("sdiag", "--json"))["statistics"]
        assert stats["jobs_submitted"] == stats["requests"]["SUBMIT"]["count"] == 5
        refused(c.run("sdiag", "-r", user=users[0]), "permission")
        c.ok("sdiag", "--reset")
        f = figures()
        assert f["Jobs submitted"] == f["Jobs canceled"] == f["Jobs failed"] == "0"
        lines = [l for l in c.ok("sdiag", "-i").splitlines() if "count:" in l]
        assert len(lines) > 1


# ---- squeue ------------------------------------------------------------------------------

def squeue(cluster, *args):
    return cluster.ok("squeue", "-h", *args).splitlines()


def test_default_listing_of_squeue(cluster):
    lines = cluster.ok("squeue").splitlines()
    assert lines[0] == "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)"
    rows = {l.split()[0]: l.split() for l in lines[1:]}
    assert rows[str(cluster.run_job)][1:5] == ["main", "running", "slalice", "R"]
    assert rows[str(cluster.held_job)][4:] == ["PD", "0:00", "1", "(JobHeldUser)"]
    assert rows["%d_[1-3]" % cluster.array_job][2] == "many"
    assert str(cluster.done_job) not in rows


@pytest.mark.parametrize("args,names", [
    (["-t", "R"], ["running"]), (["-t", "PD"], ["waiting", "many"]), (["-t", "pending,running"], ["running", "waiting", "many"]),
    (["--states=all", "-n", "running,done,nobody"], ["running", "done"]), (["-t", "F"], ["done"]),
    (["-u", "slalice"], ["running"]), (["-u", "slalice,slbob"], ["running", "waiting"]), (["-u", "0"], ["many"]),
    (["--me"], ["many"]), (["-p", "main"], ["running", "waiting", "many"]), (["-p", "short"], []),
    (["-n", "waiting,many"], ["waiting", "many"]), (["-A", "acc"], ["waiting"]), (["-w", "n1"], ["running"]),
    (["-w", "n2"], []), (["-w", "n[1-2]"], ["running"]), (["-q", "normal"], ["running", "waiting", "many"]),
    (["-R", "nosuch"], []), (["-u", "slalice", "-t", "PD"], [])])
def test_filters_of_squeue(cluster, args, names):
    assert sorted(squeue(cluster, "-o", "%j", *args)) == sorted(names)


def test_squeue_by_job_id(cluster):
    assert squeue(cluster, "-o", "%A", "-j", cluster.run_job) == [str(cluster.run_job)]
    assert len(squeue(cluster, "-j", "%d,%d" % (cluster.run_job, cluster.held_job))) == 2
    assert squeue(cluster, "-o", "%i", "-j", "%d_2" % cluster.array_job) == ["%d_[1-3]" % cluster.array_job]
    assert squeue(cluster, "-r", "-o", "%i %K", "-j", cluster.array_job) == \
        ["%d_%d %d" % (cluster.array_job, k, k) for k in (1, 2, 3)]
    refused(cluster.run("squeue", "-j", 999999), "invalid job id")
    for args in (["--jobs", cluster.run_job], ["--job=%d" % cluster.run_job], ["-j%d" % cluster.run_job],
                 ["-j", cluster.run_job, "-j", cluster.held_job, "-t", "R"]):
        assert squeue(cluster, "-o", "%A", *args) == [str(cluster.run_job)], args


@pytest.mark.parametrize("fmt,shown", [
    ("%j", "running"), ("%10j|", "running   |"), ("%.10j|", "   running|"), ("%.3j|", "run|"), ("<%t>", "<R>"),
    ("%T %P %u %D %C", "RUNNING main slalice 1 2"), ("%l %q %a %k", "10:00 normal (null) (null)"),
    ("%N %B %y %O %h", "n1 n1 0 0 OK"), ("%f %E %b %x %n|", "(null) (null) N/A  n1|"), ("%K %r %R", "N/A None n1"),
    ("%c %m %d %z %H %I %J %X", "1 0 0 *:*:* * * * N/A"), ("%v %w %W %Y", "(null) (null) (null) (null)"),
    ("%i%%", None)])
def test_format_letters_of_squeue(cluster, fmt, shown):
    r = cluster.run("squeue", "-h", "-o", fmt, "-j", cluster.run_job)
    if shown is None:
        refused(r, "format", "%")
    else:
        assert (r.rc, r.out.rstrip("\n")) == (0, shown), r


@pytest.mark.parametrize("fmt,shown", [
    ("jobid:8,name:.10,state", "running|RUNNING"), ("JobID: ,Name:|,StateCompact:4", "running"),
    ("NumNodes:1,NumCPUs:1,NumTasks:1", "122"), ("minmemory:5|,tres-per-node:5,Cluster:6", "0    |N/A  test"),
    ("NodeList:4,BatchHost:4,ReasonList:4", "n1  n1  n1"), ("UserName:10|,UserID", "slalice   |")])
def test_long_format_of_squeue(cluster, fmt, shown):
    out = cluster.ok("squeue", "-h", "-O", fmt, "-j", cluster.run_job)
    assert shown.replace("|", "") in out.replace(" ", "").replace("|", "") or shown in out, out


def test_all_fields_at_once(cluster):
    for args in (["-o", "%all"], ["-O", "all"]):
        lines = cluster.ok("squeue", "-j", cluster.run_job, *args).splitlines()
        assert len(lines) == 2 and lines[0].count("|") == lines[1].count("|") > 30
    lines = cluster.ok("sinfo", "-o", "%all").splitlines()
    assert len(lines) >= 2 and len({l.count("|") for l in lines}) == 1


@pytest.mark.parametrize("args,words", [
    (["-o", "%!"], ["format", "%!"]), (["-o", "%"], ["format", "%"]), (["-o", "plain"], ["format", "plain"]),
    (["-o", "%99999i"], ["width"]), (["-O", "jobid,nosuch"], ["format", "nosuch"]), (["-O", ""], ["format"]),
    (["-S", "x?"], ["sort", "x?"]), (["-t", "SLEEPING"], ["state", "SLEEPING"]), (["-u", "nosuchuser"], ["user", "nosuchuser"]),
    (["-j", "twelve"], ["job id", "twelve"]), (["-w", "n[1-"], ["n[1-"]), (["-i", "0"], ["iterate"]), (["-i", "x"], ["iterate"]),
    (["extra"], ["extra"]), (["-M", "other"], ["clusters", '"other"', '"test"'])])
def test_wrong_input_of_squeue(cluster, args, words):
    refused(cluster.run("squeue", *args), *words)


@pytest.mark.parametrize("command", ["squeue", "sinfo"])
def test_the_one_cluster_may_be_named(cluster, command):
    plain = cluster.run(command).out.splitlines()
    for name in ("test", "all"):
        assert cluster.run(command, "-M", name).out.splitlines()[:2] == ["CLUSTER: test", plain[0]]
    assert "CLUSTER" not in cluster.run(command, "-h", "-M", "test").out
    assert cluster.run(command, "--local", "--federation", "--sibling").out.splitlines()[0] == plain[0]


def test_iterate_goes_on_when_the_controller_is_back():
    with Cluster(nodes=1) as c:
        job = c.sbatch("-H", wrap="true")
        p = c.popen("sh", "-c", "exec squeue -i 1 -o '%A|' > rounds 2> errors")
        line = "%d|\n" % job
        c.wait_file("rounds", line)
        c.kill9("ctld")
        c.wait_file("errors", "Unable to contact")
        c.start_ctld()
        before = c.read("rounds").count(line)
        wait_for("another round", lambda: c.read("rounds").count(line) > before)
        assert re.search(r"^\w{3} \w{3} +\d+ [\d:]{8} \d{4}\nJOBID\|\n%s" % re.escape(line), c.read("rounds"), re.M)
        p.terminate()
        p.communicate()


def test_order_of_squeue(cluster):
    by_id = [int(x) for x in squeue(cluster, "-o", "%A", "-S", "i")]
    assert by_id == sorted(by_id)
    assert [int(x) for x in squeue(cluster, "-o", "%A", "-S", "-i")] == by_id[::-1]
    names = squeue(cluster, "-o", "%j", "-S", "j")
    assert names == sorted(names)
    assert squeue(cluster, "-o", "%t", "-S", "t,-i")[0] == "PD"


def test_variables_of_squeue(cluster):
    assert cluster.ok("squeue", "-h", env={"SQUEUE_FORMAT": "%j", "SQUEUE_STATES": "R"}).split() == ["running"]
    assert cluster.ok("squeue", "-h", "-o", "%t", env={"SQUEUE_FORMAT": "%j", "SQUEUE_USERS": "slbob"}).split() == ["PD"]
    assert cluster.ok("squeue", "-h", env={"SQUEUE_FORMAT2": "name:.7", "SQUEUE_PARTITION": "main", "SQUEUE_NAMES": "done,running"}) == "running\n"


def test_times_in_the_form_that_is_asked_for(cluster):
    shown = cluster.job(cluster.run_job)["StartTime"]
    for style, want in (("standard", shown), ("%Y", shown[:4]), ("relative", r"\d\d:\d\d:\d\d|Ystday \d\d:\d\d")):
        env = {"SLURM_TIME_FORMAT": style}
        for out in (cluster.ok("squeue", "-h", "-o", "%S", "-j", cluster.run_job, env=env),
                    cluster.ok("sacct", "-n", "-P", "-X", "-o", "Start", "-j", cluster.run_job, env=env)):
            assert re.fullmatch(want, out.strip()), (style, out)
        assert re.search("StartTime=(%s)" % want, cluster.ok("scontrol", "show", "job", cluster.run_job, env=env))


def test_steps_of_squeue(cluster):
    job = cluster.run_job
    assert sorted(squeue(cluster, "-s", "-o", "%i")) == ["%d.0" % job, "%d.batch" % job]
    assert squeue(cluster, "-s", "%d.0" % job, "-o", "%j %A %D %N %u") == ["sleep 2 1 n1 slalice"]


def test_start_and_iterate(cluster):
    lines = cluster.ok("squeue", "--start").splitlines()
    assert lines[0].split()[:6] == ["JOBID", "PARTITION", "NAME", "USER", "ST", "START_TIME"]
    p = cluster.popen("squeue", "-h", "-i", "1", "-o", "%A", "-j", cluster.run_job)
    seen = [p.stdout.readline() for _ in range(5)]
    p.kill()
    p.communicate()
    assert [l.strip() for l in seen].count(str(cluster.run_job)) >= 2, seen


# ---- sinfo -------------------------------------------------------------------------------

def test_default_listing_of_sinfo(cluster):
    lines = cluster.ok("sinfo").splitlines()
    assert lines[0] == "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST"
    assert [l.split() for l in lines[1:]] == [
        ["main*", "up", "infinite", "1", "mix", "n1"], ["main*", "up", "infinite", "1", "idle", "n2"],
        ["short", "up", "10:00", "1", "mix", "n1"]]


@pytest.mark.parametrize("args,rows", [
    (["-o", "%n %t", "-N"], ["n1 mix", "n2 idle"]), (["-o", "%P", "-a"], ["main*", "short", "dark"]),
    (["-o", "%R %D %F"], ["main 2 1/1/0/2", "short 1 1/0/0/1"]), (["-o", "%C"], ["2/6/0/8"]),
    (["-t", "idle", "-o", "%N"], ["n2"]), (["-t", "mix,idle", "-o", "%N"], ["n[1-2]"]), (["-t", "mixed&idle", "-o", "%N"], []),
    (["-n", "n2", "-o", "%n %c %m %z"], ["n2 4 8192 1:4:1"]), (["-p", "short", "-o", "%l %D"], ["10:00 1"]),
    (["-s", "-p", "main", "-o", "%F"], ["1/1/0/2"]), (["-d", "-o", "%n"], []), (["-r", "-N", "-o", "%n"], ["n1", "n2"]),
    (["-o", "%G"], ["gpu:a100:2"]), (["-N", "-O", "NodeHost:4,StateLong:8,CPUs:2,Memory"], ["n1  mixed   4 8192", "n2  idle    4 8192"]),
    (["-S", "-N", "-N", "-o", "%n"], ["n2", "n1"])])
def test_listings_of_sinfo(cluster, args, rows):
    assert [l.strip() for l in cluster.ok("sinfo", "-h", *args).splitlines()] == rows


@pytest.mark.parametrize("args,words", [
    (["-o", "%!"], ["format", "%!"]), (["-O", "nosuch"], ["format", "nosuch"]), (["-t", "asleep"], ["state", "asleep"]),
    (["-S", "xyz"], ["sort", "xyz"]), (["-n", "n[1"], ["n[1"]), (["-i", "-1"], ["iterate"]), (["extra"], ["extra"])])
def test_wrong_input_of_sinfo(cluster, args, words):
    refused(cluster.run("sinfo", *args), *words)


# ---- scancel -----------------------------------------------------------------------------

@pytest.mark.parametrize("args,words", [
    ([], ["No job identification"]), (["x"], ["x"]), (["1.x"], ["1.x"]), (["999999"], ["999999", "Invalid job id"]),
    (["-s", "NOSUCH", "1"], ["signal", "NOSUCH"]), (["-t", "FAILED", "1"], ["state", "FAILED"]),
    (["-u", "nosuchuser"], ["user", "nosuchuser"]), (["-w", "n["], ["n["]), (["1_["], ["1_["]), (["99999999999"], ["99999999999"])])
def test_wrong_input_of_scancel(cluster, args, words):
    refused(cluster.run("scancel", *args), *words)


def test_another_users_job_is_not_ones_own_to_cancel(cluster, users):
    refused(cluster.run("scancel", cluster.run_job, user=users[1]), "permission")
    assert cluster.state(cluster.run_job) == "RUNNING"
    cluster.run("scancel", "-u", users[0], user=users[1])
    assert cluster.state(cluster.run_job) == "RUNNING"


def test_scancel_by_filters_takes_what_fits_all_of_them(cluster, users):
    a = cluster.sbatch("-H", "-J", "victim", "-o", "/dev/null", wrap="true", user=users[0])
    b = cluster.sbatch("-H", "-J", "victim", "-o", "/dev/null", wrap="true", user=users[1])
    cluster.ok("scancel", "-n", "victim", "-u", users[1])
    assert (cluster.state(a), cluster.state(b)) == ("PENDING", "CANCELLED")
    cluster.ok("scancel", "--me", "-n", "victim", user=users[0])
    assert cluster.state(a) == "CANCELLED"
    c = cluster.sbatch("-H", "-o", "/dev/null", wrap="true")
    cluster.ok("scancel", "-t", "RUNNING", c)
    assert cluster.state(c) == "PENDING"
    cluster.ok("scancel", "-t", "PENDING", c)
    assert cluster.state(c) == "CANCELLED"
    assert cluster.sacct("-X", "-j", c, "-o", "State") == [["CANCELLED by 0"]]


def test_scancel_signals_whom_it_says(cluster):
    job = cluster.sbatch("-o", "sig.%j", wrap="trap 'echo batch usr1' USR1; srun -n1 sh -c 'trap \"echo step usr1\" USR1; "
                         "echo up; while :; do sleep 0.05; done' & wait; wait; wait; wait")
    cluster.wait_file("sig.%d" % job, "up")
    cluster.ok("scancel", "-s", "USR1", job)
    cluster.wait_file("sig.%d" % job, "step usr1")
    assert "batch usr1" not in cluster.read("sig.%d" % job)
    cluster.ok("scancel", "-b", "-s", "10", job)
    cluster.wait_file("sig.%d" % job, "batch usr1")
    cluster.ok("scancel", job)
    assert cluster.wait_done(job) == "CANCELLED"


def test_scancel_of_one_step_leaves_the_job(cluster):
    job = cluster.sbatch("-o", "st.%j", wrap="srun -n1 sleep 1000; echo after $?")
    wait_for("the step", lambda: "%d.0" % job in cluster.ok("squeue", "-s", "-h"))
    cluster.ok("scancel", "%d.0" % job)
    cluster.wait_file("st.%d" % job, "after")
    assert cluster.wait_done(job) == "COMPLETED"


def test_scancel_asks_first_when_told_to(cluster):
    job = cluster.sbatch("-H", wrap="true")
    assert "Cancel job_id=%d" % job in cluster.run("scancel", "-i", job, stdin="n\n").out
    assert cluster.state(job) == "PENDING"
    assert cluster.run("scancel", "-i", job, stdin="y\n").rc == 0
    assert cluster.state(job) == "CANCELLED"


def test_scancel_of_what_has_ended(cluster):
    assert cluster.run("scancel", cluster.done_job).rc == 0
    r = cluster.run("scancel", "-v", cluster.done_job)
    assert r.rc == 1 and "already completing or completed" in r.err, r
    assert cluster.run("scancel", "-Q", "999999").rc == 0


# ---- scontrol ----------------------------------------------------------------------------

@pytest.mark.parametrize("argv,words", [
    (["show"], ["show"]), (["show", "nosuch"], ["nosuch"]), (["show", "job", "abc"], ["job id"]),
    (["show", "job", "999999"], ["job id"]), (["show", "node", "n9"], ["n9", "not found"]),
    (["show", "node", "n[1-2],n9"], ["n9", "not found"]), (["show", "partition", "nope"], ["nope", "not found"]),
    (["show", "step", "999999"], ["job id"]), (["show", "hostnames", "n[1-"], ["n[1-"]), (["show", "hostlist"], ["SLURM_JOB_NODELIST"]),
    (["show", "licenses", "nosuch"], ["nosuch"]), (["show", "federation"], ["not built"]), (["hold"], ["hold"]),
    (["hold", "999999"], ["999999"]), (["release", "x"], ["x"]), (["suspend", "999999"], ["999999"]), (["frobnicate"], ["frobnicate"]),
    (["reboot", "n1"], ["not built", "reboot"]), (["create", "partition=x"], ["not built"]), (["write", "batch_script", "999999"], ["999999"]),
    (["write", "batch_script", "x"], ["x"]), (["update"], ["entity"]), (["hold", "jobname=nobody"], ["nobody"]), (["wait_job", "x"], ["job"])])
def test_wrong_input_of_scontrol(cluster, argv, words):
    refused(cluster.run("scontrol", *argv), *words)


def test_hostlists(cluster):
    assert cluster.ok("scontrol", "show", "hostnames", "n[1-3,07],m2").split() == ["n1", "n2", "n3", "n07", "m2"]
    assert cluster.ok("scontrol", "show", "hostnames", env={"SLURM_JOB_NODELIST": "n[8-9]"}).split() == ["n8", "n9"]
    assert cluster.ok("scontrol", "show", "hostlist", "n3,n1,n2") == "n[3,1-2]\n"
    assert cluster.ok("scontrol", "show", "hostlistsorted", "n3,n1,n2") == "n[1-3]\n"


def test_show_job_tells_everything_in_slurms_words(cluster):
    job = cluster.job(cluster.run_job)
    want = {"JobName": "running", "UserId": "slalice(%s)" % cluster.ok("id", "-u", "slalice").strip(), "JobState": "RUNNING",
            "Partition": "main", "NodeList": "n1", "BatchHost": "n1", "NumNodes": "1", "NumCPUs": "2", "NumTasks": "2",
            "CPUs/Task": "1", "TimeLimit": "00:10:00", "ReqNodeList": "n1", "Requeue": "1", "Restarts": "0", "BatchFlag": "1",
            "ExitCode": "0:0", "TRES": "cpu=2,node=1,billing=2", "MinCPUsNode": "1", "MinMemoryNode": "0", "MinTmpDiskNode": "0",
            "ReqB:S:C:T": "0:*:*:*", "NtasksPerN:B:S:C": "0:0:*:*", "Deadline": "N/A", "Reason": "None"}
    assert {k: job.get(k) for k in want} == want
    many = cluster.ok("scontrol", "-d", "show", "job", cluster.run_job)
    assert "Nodes=n1 CPU_IDs=" in many and "SubmitLine=sbatch" in many and "DerivedExitCode=0:0" in many
    assert len(cluster.ok("scontrol", "-o", "show", "job", cluster.run_job).splitlines()) == 1


def test_show_node_and_partition(cluster):
    node = cluster.ok("scontrol", "show", "node", "n1")
    for text in ("NodeName=n1 ", "CPUAlloc=2 ", "CPUTot=4 ", "State=MIXED", "RealMemory=8192", "Gres=gpu:a100:2", "Partitions=main,short"):
        assert text in node, node
    part = cluster.ok("scontrol", "show", "partition", "short")
    for text in ("PartitionName=short", "MaxTime=00:10:00", "Default=NO", "State=UP", "TotalCPUs=4", "TotalNodes=1", "Nodes=n1"):
        assert text in part, part
    assert "PartitionName=dark" not in cluster.ok("scontrol", "show", "partition")
    assert "PartitionName=dark" in cluster.ok("scontrol", "-a", "show", "partition")
    assert "cluster_name" in cluster.ok("scontrol", "show", "config")


def test_listpids_and_pidinfo_find_the_processes_of_a_job(cluster):
    job = cluster.sbatch("-n2", "-t", "5", "-o", "pids.%j", wrap="srun -n2 sh -c 'sleep 1000 & echo up; wait'")
    cluster.wait_file("pids.%d" % job, "up\nup")
    lines = cluster.ok("scontrol", "listpids", "%d.0" % job).splitlines()
    assert lines[0] == "PID      JOBID    STEPID   LOCALID GLOBALID"
    rows = [l.split() for l in lines[1:]]
    assert {tuple(r[1:3]) for r in rows} == {(str(job), "0")} and len(rows) == 4
    assert sorted(tuple(r[3:]) for r in rows) == [("-", "-"), ("-", "-"), ("0", "0"), ("1", "1")]
    for r in rows:
        with open("/proc/%s/cmdline" % r[0]) as f:
            assert f.read().startswith("sleep" if r[3] == "-" else "sh")
    whole = cluster.ok("scontrol", "listpids", job)
    assert " batch " in whole and len(whole.splitlines()) > len(lines)
    assert {r[0] for r in rows} < {l.split()[0] for l in cluster.ok("scontrol", "listpids").splitlines()}
    node = cluster.job(job)["NodeList"]
    assert cluster.ok("scontrol", "listpids", "%d.0" % job, node).splitlines() == lines
    refused(cluster.run("scontrol", "listpids", "%d.0" % job, "n9"), "no process")
    refused(cluster.run("scontrol", "listpids", "999999"), "no process", "999999")
    refused(cluster.run("scontrol", "listpids", "x"), "job id", "x")
    end = cluster.job(job)["EndTime"]
    assert cluster.ok("scontrol", "pidinfo", rows[0][0]) == "Slurm JobId=%d ends at %s\n" % (job, end)
    refused(cluster.run("scontrol", "pidinfo", os.getpid()), "no job")
    refused(cluster.run("scontrol", "pidinfo", "x"), "process id")
    cluster.ok("scancel", job)
    cluster.wait_done(job)


def test_small_questions_to_scontrol(cluster):
    assert cluster.ok("scontrol", "errnumstr", "2") == "No such file or directory\n"
    refused(cluster.run("scontrol", "errnumstr", "two"), "number")
    assert cluster.ok("scontrol", "completing") == ""
    host = os.uname().nodename
    assert cluster.ok("scontrol", "show", "aliases") == cluster.ok("scontrol", "show", "aliases", host) == "n1 n2\n"
    refused(cluster.run("scontrol", "show", "aliases", "nosuchhost"), "nosuchhost")
    assert cluster.ok("scontrol", "show", "daemons") == "slurmlike-ctld slurmlike-d\n"
    for level in ("debug", "5", "info", "3"):
        assert cluster.ok("scontrol", "setdebug", level) == ""
    refused(cluster.run("scontrol", "setdebug", "loud"), "level")
    path = cluster.ok("scontrol", "write", "config", "saved").split()[-1]
    assert re.fullmatch(r"saved\.\d{14}", path)
    as_saved = {"SLURMLIKE_CONF": os.path.join(cluster.work, path)}  # whole, and as it is read
    assert cluster.ok("squeue", env=as_saved) and 'name = "short"' in cluster.read(path)
    r = cluster.run("scontrol", stdin="errnumstr 2\n!!\n!!\n")
    assert r.out == "No such file or directory\n" * 3 and r.rc == 0, r


def test_commands_from_standard_input(cluster):
    r = cluster.run("scontrol", stdin="show hostnames n[1-2]\n# nothing\nping\nquit\nshow foo\n")
    assert r.rc == 0 and r.out.startswith("n1\nn2\n") and "is UP" in r.out, r
    assert cluster.run("scontrol", stdin="show foo\n").rc == 1


def test_reconfigure_disturbs_no_job_and_a_wrong_file_changes_nothing(cluster):
    before = cluster.job(cluster.run_job)["StartTime"]
    with open(cluster.conf_path) as f:
        good = f.read()
    try:
        with open(cluster.conf_path, "w") as f:
            f.write(good.replace("max_time = 600", "max_time = 1200"))
        cluster.ok("scontrol", "reconfigure")
        assert "MaxTime=00:20:00" in cluster.ok("scontrol", "show", "partition", "short")
        with open(cluster.conf_path, "w") as f:
            f.write(good.replace("max_time = 600", "max_tyme = 600"))
        mine = os.path.join(cluster.dir, "mine.conf")  # the commands read a file as well
        with open(mine, "w") as f:
            f.write(good)
        r = cluster.run("scontrol", "reconfigure", env={"SLURMLIKE_CONF": mine})
        assert r.rc == 1 and "max_tyme" in r.err and ":9:" in r.err, r
        r = cluster.run("squeue")
        assert r.rc == 1 and "max_tyme" in r.err, r
        assert "MaxTime=00:20:00" in cluster.ok("scontrol", "show", "partition", "short",
                                                env={"SLURMLIKE_CONF": mine})
    finally:
        with open(cluster.conf_path, "w") as f:
            f.write(good)
    cluster.ok("scontrol", "reconfigure")
    assert "MaxTime=00:10:00" in cluster.ok("scontrol", "show", "partition", "short")
    job = cluster.job(cluster.run_job)
    assert (job["JobState"], job["StartTime"]) == ("RUNNING", before)


def test_a_script_is_given_back_to_its_owner_only(cluster, users):
    text = cluster.ok("scontrol", "write", "batch_script", cluster.run_job, "-", user=users[0])
    assert text.startswith("#!/bin/sh\n") and "srun -n2 sleep 10000" in text
    refused(cluster.run("scontrol", "write", "batch_script", cluster.run_job, "-", user=users[1]), "permission")
    cluster.ok("scontrol", "write", "batch_script", cluster.run_job, user=users[0])
    assert cluster.read("slurm-%d.sh" % cluster.run_job) == text


def test_shutdown_ends_the_controller_and_nothing_else():
    with Cluster(nodes=1) as c:
        job = c.sbatch("-o", "/dev/null", wrap="sleep 1000")
        c.wait_state(job, "RUNNING")
        c.ok("scontrol", "shutdown")
        assert c.procs["ctld"].wait(20) == 0
        c.start_ctld()
        assert c.state(job) == "RUNNING"
        c.wait_nodes("mix")
        c.ok("scancel", job)
        c.wait_done(job)


# ---- sacct -------------------------------------------------------------------------------

def test_default_columns_of_sacct(cluster):
    lines = cluster.ok("sacct", "-j", cluster.done_job).splitlines()
    assert lines[0].split() == ["JobID", "JobName", "Partition", "Account", "AllocCPUS", "State", "ExitCode"]
    assert set(lines[1]) == {"-", " "}
    assert lines[2].split() == [str(cluster.done_job), "done", "main", "1", "FAILED", "3:0"]
    assert lines[3].split() == ["%d.batch" % cluster.done_job, "batch", "1", "FAILED", "3:0"]


@pytest.mark.parametrize("args,out", [
    (["-n", "-o", "jobname%4,state"], ["done     FAILED ", "bat+     FAILED "]), (["-X", "-n", "-o", "state%-8,exitcode"], ["FAILED        3:0 "]),
    (["-P", "-o", "JobName,State"], ["JobName|State", "done|FAILED", "batch|FAILED"]), (["-p", "-n", "-X", "-o", "jobname,state"], ["done|FAILED|"]),
    (["-P", "-n", "-X", "--delimiter=;", "-o", "jobname,ncpus"], ["done;1"]), (["-X", "-n", "-P", "-o", "User,Group,UID"], ["root|root|0"]),
    (["-X", "-n", "-P", "-o", "QOS,NNodes,NodeList,AllocNodes,ReqCPUS"], None), (["-b", "-n", "-X", "-P"], None)])
def test_formats_of_sacct(cluster, args, out):
    got = cluster.ok("sacct", "-j", cluster.done_job, *args).splitlines()
    assert got == out if out is not None else len(got) == 1


# All of sacct(1) --helpformat.
SACCT_FIELDS = """
Account AdminComment AllocCPUS AllocNodes AllocTRES AssocID AveCPU AveCPUFreq AveDiskRead
AveDiskWrite AvePages AveRSS AveVMSize BlockID Cluster Comment Constraints ConsumedEnergy
ConsumedEnergyRaw Container CPUTime CPUTimeRAW DBIndex DerivedExitCode Elapsed ElapsedRaw Eligible
End ExitCode Flags GID Group JobID JobIDRaw JobName Layout MaxDiskRead MaxDiskReadNode
MaxDiskReadTask MaxDiskWrite MaxDiskWriteNode MaxDiskWriteTask MaxPages MaxPagesNode MaxPagesTask
MaxRSS MaxRSSNode MaxRSSTask MaxVMSize MaxVMSizeNode MaxVMSizeTask McsLabel MinCPU MinCPUNode
MinCPUTask NCPUS NNodes NodeList NTasks Partition Priority QOS QOSRAW Reason ReqCPUFreq
ReqCPUFreqGov ReqCPUFreqMax ReqCPUFreqMin ReqCPUS ReqMem ReqNodes ReqTRES Reservation ReservationId
Reserved ResvCPU ResvCPURAW Start State Submit SubmitLine Suspended SystemComment SystemCPU
Timelimit TimelimitRaw TotalCPU TRESUsageInAve TRESUsageInMax TRESUsageInMaxNode TRESUsageInMaxTask
TRESUsageInMin TRESUsageInMinNode TRESUsageInMinTask TRESUsageInTot TRESUsageOutAve TRESUsageOutMax
TRESUsageOutMaxNode TRESUsageOutMaxTask TRESUsageOutMin TRESUsageOutMinNode TRESUsageOutMinTask
TRESUsageOutTot UID User UserCPU WCKey WCKeyID WorkDir""".split()


def test_every_field_of_sacct(cluster):
    listed = cluster.ok("sacct", "--helpformat").split()
    assert {f.lower() for f in SACCT_FIELDS} - {"reserved"} <= {f.lower() for f in listed}
    lines = cluster.ok("sacct", "-j", cluster.done_job, "-P", "-o", ",".join(SACCT_FIELDS)).splitlines()
    assert len(lines) == 3 and {l.count("|") for l in lines} == {len(SACCT_FIELDS) - 1}
    job = dict(zip(SACCT_FIELDS, lines[1].split("|")))
    step = dict(zip(SACCT_FIELDS, lines[2].split("|")))
    want = {"JobID": str(cluster.done_job), "JobName": "done", "State": "FAILED", "ExitCode": "3:0", "NCPUS": "1", "User": "root",
            "Cluster": "test", "Partition": "main", "AveRSS": "", "AdminComment": "", "DerivedExitCode": "0:0", "UID": "0"}
    assert {k: job[k] for k in want} == want
    assert job["Reserved"] == "00:00:00" or job["Reserved"] > "00:00:00"
    assert re.fullmatch(r"cpu=\d\d:\d\d:\d\d,mem=\d+[KM]?", step["TRESUsageInAve"]), step
    assert re.fullmatch(r"fs/disk=\d+,mem=\d+[KM]?,pages=\d+,vmem=\d+[KM]?", step["TRESUsageInMax"]), step
    assert len(cluster.ok("sacct", "-l", "-P", "-j", cluster.done_job).splitlines()[0].split("|")) == 54


@pytest.mark.parametrize("args,names", [
    (["-s", "F", "-S", "now-1hour", "-E", "now"], ["done"]), (["-s", "R"], ["running"]), (["-u", "slalice"], ["running"]),
    (["-a", "-A", "acc", "-j", "HELD"], ["waiting"]), (["--name=done"], ["done"]), (["-N", "n1", "-s", "R"], ["running"]),
    (["-r", "short"], []), (["-S", "2001-01-01", "-E", "2001-01-02"], []), (["-I", "2", "-s", "R"], ["running"]),
    (["-i", "2"], []), (["-q", "nosuch"], []), (["-k", "10", "-s", "R"], ["running"])])
def test_filters_of_sacct(cluster, args, names):
    args = [str(cluster.held_job) if a == "HELD" else a for a in args]
    rows = [r[0] for r in cluster.sacct("-X", "-o", "JobName", *args)]
    assert [n for n in rows if n in ("done", "running", "waiting")] == names


@pytest.mark.parametrize("args,words", [
    (["-o", "nosuch"], ["field", "nosuch"]), (["-o", "jobid%x"], ["width"]), (["-o", ""], ["format"]), (["-S", "someday"], ["someday"]),
    (["-S", "now", "-E", "2001-01-01"], ["start time"]), (["-s", "SLEEPING"], ["state", "SLEEPING"]), (["-j", "x"], ["job id", "x"]),
    (["--units=X"], ["units", "X"]), (["-N", "n[1"], ["n[1"]), (["-i", "x"], ["x"]), (["extra"], ["extra"]), (["-g", "nosuchgroup"], ["nosuchgroup"])])
def test_wrong_input_of_sacct(cluster, args, words):
    refused(cluster.run("sacct", *args), *words)


def test_lists_may_be_given_in_parts(cluster):
    rows = cluster.sacct("-X", "-j", cluster.done_job, "-j", cluster.run_job, "-o", "JobName", "-o", "State")
    assert sorted(rows) == [["done", "FAILED"], ["running", "RUNNING"]]


def test_users_see_their_own_by_default_and_all_when_asked(cluster, users):
    assert {r[0] for r in cluster.sacct("-X", "-o", "User")} >= {"root", users[0]}
    out = cluster.ok("sacct", "-X", "-n", "-P", "-o", "User", user=users[0]).split()
    assert set(out) == {users[0]}
    out = cluster.ok("sacct", "-a", "-X", "-n", "-P", "-o", "User", user=users[0]).split()
    assert set(out) >= {"root", users[0]}


def test_figures_of_a_job_are_true(cluster):
    """What a job used: seconds of CPU and the largest memory, as the quickstart shows them."""
    job = cluster.sbatch("-n2", "-o", "/dev/null", wrap="srun -n2 python3 -c 'a = bytearray(150 << 20)\n"
                         "import time, resource\nend = time.time() + 30\n"
                         "while sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) < 1.0 and time.time() < end: sum(range(10000))'")
    assert cluster.wait_done(job, timeout=60) == "COMPLETED"
    rows = cluster.sacct("-j", job, "--units=M", "--format=JobID,JobName,State,ExitCode,AllocCPUS,NNodes,Elapsed,TotalCPU,MaxRSS,NTasks,AveCPU,CPUTimeRAW,ElapsedRaw")
    by_id = {r[0]: r for r in rows}
    whole, batch, step = by_id[str(job)], by_id["%d.batch" % job], by_id["%d.0" % job]
    assert whole[2:6] == ["COMPLETED", "0:0", "2", "1"] and step[9] == "2"

    def seconds(text):
        value = 0.0
        for part in text.split(":"):
            value = value * 60 + float(part)
        return value
    assert 1.9 <= seconds(step[7]) <= 4.0, step
    assert seconds(step[7]) <= seconds(whole[7]) <= seconds(step[7]) + seconds(batch[7]) + 0.01
    assert 150 <= float(step[8].rstrip("M")) <= 250, step
    assert int(whole[11]) == 2 * int(whole[12])


def test_a_cancelled_and_a_requeued_job_in_sacct(cluster):
    job = cluster.sbatch("-o", "/dev/null", wrap="sleep 1000")
    cluster.wait_state(job, "RUNNING")
    cluster.ok("scontrol", "requeue", job)
    wait_for("the second run", lambda: cluster.job(job).get("Restarts") == "1" and cluster.state(job) == "RUNNING")
    cluster.ok("scancel", job)
    cluster.wait_done(job)
    assert cluster.sacct("-X", "-j", job, "-o", "State") == [["CANCELLED by 0"]]
    assert len(cluster.sacct("-D", "-X", "-j", job, "-o", "State")) == 2
