# SPDX-License-Identifier: Apache-2.0
"""Licenses: configured, counted, shown, waited for."""
import json

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=2, cpus=4, conf='licenses = "tool:3,other"; jobs = { kill_wait = 2; };') as c:
        yield c


def shown(cluster, name):
    out = cluster.ok("scontrol", "-o", "show", "licenses", name)
    return dict(w.split("=", 1) for w in out.split())


def test_jobs_take_turns_and_say_why_they_wait(cluster):
    assert shown(cluster, "tool") == {"LicenseName": "tool", "Total": "3", "Used": "0", "Free": "3",
                                      "Reserved": "0", "Remote": "no"}
    first = cluster.sbatch("-L", "tool:2,other", "-o", "/dev/null", wrap="sleep 1000")
    cluster.wait_state(first, "RUNNING")
    second = cluster.sbatch("--licenses=tool:2", "-o", "/dev/null", wrap="true")
    other = cluster.sbatch("-L", "other", "-o", "/dev/null", wrap="true")
    assert cluster.job(second)["Reason"] == "Licenses"
    assert cluster.ok("squeue", "-h", "-j", second, "-o", "%r %W").split() == ["Licenses", "tool:2"]
    assert cluster.job(first)["Licenses"] == "tool:2,other"
    assert "license/tool=2" in cluster.job(first)["TRES"]
    assert (shown(cluster, "tool")["Used"], shown(cluster, "other")["Free"]) == ("2", "0")
    cluster.kill9("ctld")
    cluster.start_ctld()
    cluster.wait_nodes("mix", 1)
    assert shown(cluster, "tool")["Used"] == "2"
    cluster.ok("scancel", first)
    for j in (second, other):
        assert cluster.wait_done(j) == "COMPLETED"
    wait_for("all licenses back", lambda: shown(cluster, "tool")["Used"] == "0")


@pytest.mark.parametrize("text,words", [
    ("none", ["license", "none"]), ("tool:9", ["there are 3"]), ("tool:x", ["count"]),
    ("tool@db", ["not built"])])
def test_a_wrong_license_is_one_clear_line(cluster, text, words):
    r = cluster.run("sbatch", "-L", text, "--wrap", "true")
    assert r.rc == 1 and len(r.err.splitlines()) == 1, r
    for w in words:
        assert w in r.err, r


def test_all_forms_of_show_licenses(cluster):
    out = cluster.ok("scontrol", "show", "lic")
    assert "LicenseName=tool\n" in out and "LicenseName=other\n" in out and "Total=3 Used=0" in out
    rows = json.loads(cluster.ok("scontrol", "--json", "show", "licenses"))["licenses"]
    assert {r["LicenseName"]: r["Total"] for r in rows} == {"tool": 3, "other": 1}
    r = cluster.run("scontrol", "show", "licenses", "none")
    assert r.rc == 1 and "not found" in r.err, r


def test_an_owner_changes_what_a_waiting_job_wants(cluster):
    job = cluster.sbatch("-H", "-L", "tool:3", "-o", "/dev/null", wrap="true")
    r = cluster.run("scontrol", "update", "JobId=%d" % job, "Licenses=tool:4")
    assert r.rc == 1 and "there are 3" in r.err, r
    cluster.ok("scontrol", "update", "JobId=%d" % job, "Licenses=other:1")
    assert cluster.job(job)["Licenses"] == "other:1"
    cluster.ok("scancel", job)


def test_a_wrong_configuration_is_named(cluster):
    with open(cluster.conf_path) as f:
        text = f.read()
    path = cluster.dir + "/wrong.conf"
    with open(path, "w") as f:
        f.write(text.replace("tool:3", "tool:many"))
    r = cluster.run("slurmlike-ctld", "--check-config", "--config", path,
                    env={"PATH": cluster.env["PATH"].replace("/bin", "/sbin", 1)})
    assert r.rc != 0 and "tool:many" in r.err, r
