# SPDX-License-Identifier: Apache-2.0
"""Accounts, users and QOS through sacctmgr, as sacctmgr(1) says, and what they do to jobs."""
import json

import pytest

from cluster import Cluster, wait_for

pytestmark = pytest.mark.sanitized

ENFORCE = '''accounting = { enforce = "associations,limits,qos"; };
scheduler = { priority_type = "multifactor"; };
priority = { weight_fairshare = 100000; weight_qos = 1000; weight_age = 10; calc_period = 1; };
partitions = ( { name = "main"; nodes = "ALL"; default = true; },
               { name = "lab"; nodes = "n1"; qos = "labqos"; } );'''


@pytest.fixture(scope="module")
def cluster(users):
    with Cluster(nodes=2, cpus=4, conf=ENFORCE) as c:
        mgr(c, "add", "qos", "labqos")
        mgr(c, "add", "account", "science", "fairshare=50", "description=all of it")
        mgr(c, "add", "account", "physics", "parent=science", "fairshare=30")
        mgr(c, "add", "account", "biology", "parent=science", "fairshare=20")
        mgr(c, "add", "user", users[0], "account=physics")
        mgr(c, "add", "user", users[1], "account=biology")
        yield c


def mgr(c, *words, user=None):
    return c.ok("sacctmgr", "-i", *words, user=user)


def refused(r, *words):
    assert r.rc == 1, r
    for w in words:
        assert w.lower() in r.err.lower(), (w, r)


def rows(c, *words):
    return [line.split("|") for line in c.ok("sacctmgr", "-nP", *words).splitlines()]


# ---- sacctmgr ---------------------------------------------------------------------------------

def test_nothing_valid_is_named(cluster):
    refused(cluster.run("sacctmgr", "add", "gadget", "x"), "No valid entity")
    refused(cluster.run("sacctmgr", "frobnicate"), "Invalid command")
    refused(cluster.run("sacctmgr", "-i", "add", "account", "x", "colour=red"), "Unknown option")
    refused(cluster.run("sacctmgr", "-i", "add", "user", "nobody", "account=nowhere"), "doesn't exist")
    refused(cluster.run("sacctmgr", "-i", "add", "account", "x", "parent=nowhere"), "doesn't exist")
    refused(cluster.run("sacctmgr", "-i", "modify", "account", "science", "set", "maxjobs=many"), "MaxJobs")
    refused(cluster.run("sacctmgr", "-i", "modify", "account", "science", "set", "GrpTRES=widgets=3"), "widgets")
    refused(cluster.run("sacctmgr", "-i", "modify", "qos", "normal", "set", "flags=Sparkle"), "Sparkle")
    refused(cluster.run("sacctmgr", "-i", "add", "qos", "q", "flags=RequiresReservation"), "not built")
    assert not [r for r in rows(cluster, "list", "account") if r[0] == "x"]


def test_a_request_is_done_as_a_whole_or_not_at_all(cluster, users):
    refused(cluster.run("sacctmgr", "-i", "modify", "user", users[0], "set", "maxjobs=3",
                        "maxsubmit=oops"), "MaxSubmit")
    assert rows(cluster, "list", "assoc", "user=" + users[0], "format=maxjobs") == [[""]]


def test_what_is_there_is_not_added_again(cluster):
    refused(cluster.run("sacctmgr", "-i", "add", "account", "science"), "Nothing new added")
    refused(cluster.run("sacctmgr", "-i", "modify", "account", "nobody", "set", "maxjobs=1"),
            "Nothing modified")
    refused(cluster.run("sacctmgr", "-i", "delete", "account", "nobody"), "Nothing deleted")


def test_changes_wait_for_a_yes(cluster):
    r = cluster.run("sacctmgr", "add", "account", "later", stdin="n\n")
    assert "Would you like to commit changes?" in r.out and "Changes Discarded" in r.out
    assert not [r for r in rows(cluster, "list", "account") if r[0] == "later"]
    r = cluster.run("sacctmgr", "add", "account", "later", stdin="y\n")
    assert r.rc == 0 and "Adding Account(s)" in r.out and "later" in r.out
    assert [r for r in rows(cluster, "list", "account") if r[0] == "later"]
    mgr(cluster, "delete", "account", "later")
    assert not [r for r in rows(cluster, "list", "account") if r[0] == "later"]


def test_the_tree_is_shown(cluster, users):
    out = cluster.ok("sacctmgr", "-nP", "show", "assoc", "tree", "format=account,user,share")
    assert out.splitlines()[:5] == ["root||1", " science||50", "  physics||30",
                                    "   physics|%s|1" % users[0], "  biology||20"]
    head = cluster.ok("sacctmgr", "show", "assoc", "format=account%-12,user%8").splitlines()
    assert head[0] == "Account          User " and head[1] == "------------ -------- "


def test_lists_have_the_columns_of_the_manual(cluster, users):
    assert rows(cluster, "list", "account", "science", "format=account,descr,org") == \
        [["science", "all of it", "science"]]
    assert rows(cluster, "list", "user", users[0]) == [[users[0], "physics", "None"]]
    assert ["test", "physics", users[0], ""] in rows(cluster, "list", "assoc", "wolimits")
    assert ["normal", "0"] in rows(cluster, "list", "qos", "format=name,priority")
    tres = rows(cluster, "show", "tres")
    assert tres[:5] == [["cpu", "", "1"], ["mem", "", "2"], ["energy", "", "3"],
                        ["node", "", "4"], ["billing", "", "5"]]
    assert rows(cluster, "show", "cluster", "format=cluster,share")[0] == ["test", "1"]
    assert rows(cluster, "show", "user", users[1], "withassoc",
                "format=user,defaultaccount,account,share") == [[users[1], "biology", "biology", "1"]]


def test_limits_are_shown_where_they_hold_and_cleared(cluster, users):
    mgr(cluster, "modify", "account", "physics", "set", "maxjobs=7", "grptres=cpu=6,mem=2G",
        "maxwall=1:00:00")
    f = "format=maxjobs,grptres,maxwall"
    assert rows(cluster, "list", "assoc", "account=physics", "user=", f)[0] == \
        ["7", "cpu=6,mem=2G", "01:00:00"]
    assert rows(cluster, "list", "assoc", "user=" + users[0], f) == [["7", "", "01:00:00"]]
    assert rows(cluster, "list", "assoc", "user=" + users[0], "woplimits", f) == [["", "", ""]]
    mgr(cluster, "modify", "account", "physics", "set", "maxjobs=-1", "grptres=cpu=-1,mem=-1", "maxwall=-1")
    assert rows(cluster, "list", "assoc", "user=" + users[0], f) == [["", "", ""]]


def test_ordinary_users_change_nothing_and_coordinators_their_own(cluster, users):
    r = cluster.run("sacctmgr", "-i", "add", "account", "mine", user=users[0])
    refused(r, "permission denied")
    refused(cluster.run("sacctmgr", "-i", "modify", "qos", "normal", "set", "priority=9", user=users[0]),
            "permission denied")
    mgr(cluster, "add", "coordinator", "account=physics", "names=" + users[0])
    mgr(cluster, "add", "account", "lasers", "parent=physics", user=users[0])
    mgr(cluster, "modify", "account", "lasers", "set", "maxjobs=2", user=users[0])
    refused(cluster.run("sacctmgr", "-i", "add", "account", "cells", "parent=biology", user=users[0]),
            "permission denied")
    assert rows(cluster, "list", "account", "physics", "withcoord")[0][3] == users[0]
    mgr(cluster, "delete", "account", "lasers", user=users[0])
    mgr(cluster, "delete", "coordinator", "account=physics", "names=" + users[0])


def test_operators_manage_and_only_administrators_give_levels(cluster, users):
    mgr(cluster, "modify", "user", users[1], "set", "adminlevel=operator")
    mgr(cluster, "add", "account", "ops", user=users[1])
    refused(cluster.run("sacctmgr", "-i", "modify", "user", users[0], "set", "adminlevel=admin",
                        user=users[1]), "permission denied")
    mgr(cluster, "delete", "account", "ops", user=users[1])
    mgr(cluster, "modify", "user", users[1], "set", "adminlevel=none")
    refused(cluster.run("sacctmgr", "-i", "add", "account", "ops", user=users[1]), "permission denied")


def test_each_change_is_a_transaction(cluster):
    mgr(cluster, "add", "account", "logged", "fairshare=3")
    last = rows(cluster, "list", "transactions")[-1]
    assert last[1:3] == ["Add Accounts", "root"] and "Names=logged fairshare=3" in last[4], last
    mgr(cluster, "delete", "account", "logged")
    assert rows(cluster, "list", "transactions")[-1][1:4] == ["Remove Accounts", "root", "Names=logged"]
    assert {r[1] for r in rows(cluster, "list", "transactions", "action=Remove Accounts")} == \
        {"Remove Accounts"}


def test_commands_are_read_line_by_line(cluster):
    out = cluster.ok("sacctmgr", "-inP", stdin="add account line\nlist account line format=account,descr\n"
                                               "delete account line\nquit\n")
    assert "line|line" in out
    r = cluster.run("sacctmgr", "-i", "-r", stdin="add account line\n")
    refused(r, "readonly")


def test_a_dump_loads_back(cluster, users):
    mgr(cluster, "modify", "account", "physics", "set", "grpjobs=40", "qos+=labqos")
    before = cluster.ok("sacctmgr", "-nP", "show", "assoc")
    cluster.ok("sacctmgr", "dump", "test", "file=tree.cfg")
    text = cluster.read("tree.cfg")
    assert text.startswith("Cluster - 'test'") and "Parent - 'science'" in text
    mgr(cluster, "delete", "account", "science")
    assert "physics" not in cluster.ok("sacctmgr", "-nP", "show", "assoc")
    mgr(cluster, "load", "tree.cfg")
    assert sorted(cluster.ok("sacctmgr", "-nP", "show", "assoc").splitlines()) == sorted(before.splitlines())
    mgr(cluster, "modify", "account", "physics", "set", "grpjobs=-1", "qos=")


# ---- what it does to jobs ------------------------------------------------------------------------

def test_jobs_need_an_association(cluster, users):
    r = cluster.run("sbatch", "-A", "biology", "--wrap", "true", user=users[0])
    refused(r, "Invalid account", "biology")
    r = cluster.run("sbatch", "--qos", "nosuch", "--wrap", "true", user=users[0])
    refused(r, "Invalid qos", "nosuch")
    refused(cluster.run("sbatch", "--qos", "labqos", "--wrap", "true", user=users[0]), "labqos", "association")
    job = cluster.sbatch("-o", "/dev/null", wrap="true", user=users[0])
    assert cluster.job(job)["Account"] == "physics"
    assert cluster.wait_done(job) == "COMPLETED"


def test_an_update_keeps_to_ones_associations(cluster, users):
    job = cluster.sbatch("-H", "-o", "/dev/null", wrap="true", user=users[0])
    refused(cluster.run("scontrol", "update", "JobId=%d" % job, "Account=biology", user=users[0]),
            "no association")
    refused(cluster.run("scontrol", "update", "JobId=%d" % job, "QOS=labqos", user=users[0]), "labqos")
    assert cluster.job(job)["Account"] == "physics" and cluster.job(job)["QOS"] == "normal"
    cluster.ok("scancel", job)


def reason(c, job):
    return c.job(job).get("Reason", "")


def wait_reason(c, job, want):
    wait_for("job %d to wait for %s, not %s" % (job, want, reason(c, job)), lambda: reason(c, job) == want)


def test_a_limit_holds_a_job_and_names_itself(cluster, users):
    mgr(cluster, "modify", "user", users[0], "set", "maxjobs=1")
    first = cluster.sbatch("-n1", "-o", "/dev/null", wrap="sleep 300", user=users[0])
    cluster.wait_state(first, "RUNNING")
    second = cluster.sbatch("-n1", "-o", "/dev/null", wrap="true", user=users[0])
    wait_reason(cluster, second, "AssocMaxJobsLimit")
    mgr(cluster, "modify", "user", users[0], "set", "maxjobs=-1")
    assert cluster.wait_done(second) == "COMPLETED"
    mgr(cluster, "modify", "account", "science", "set", "grptres=cpu=2")
    third = cluster.sbatch("-n2", "-o", "/dev/null", wrap="true", user=users[1])
    wait_reason(cluster, third, "AssocGrpCpuLimit")
    assert "AssocGrpCpuLimit" in cluster.ok("squeue", "-j", third)
    cluster.ok("scancel", first)
    assert cluster.wait_done(third) == "COMPLETED"
    mgr(cluster, "modify", "account", "science", "set", "grptres=cpu=-1")


def test_submission_limits_and_deny_on_limit_refuse(cluster, users):
    mgr(cluster, "modify", "user", users[0], "set", "maxsubmit=2")
    r = cluster.run("sbatch", "-a", "1-3", "--wrap", "true", user=users[0])
    refused(r, "AssocMaxSubmitJobLimit", "violates accounting/QOS policy")
    mgr(cluster, "modify", "user", users[0], "set", "maxsubmit=-1")
    mgr(cluster, "modify", "qos", "labqos", "set", "maxtresperjob=cpu=2", "flags=DenyOnLimit")
    r = cluster.run("sbatch", "-p", "lab", "-n3", "--wrap", "true", user=users[0])
    refused(r, "QOSMaxCpuPerJobLimit")
    mgr(cluster, "modify", "qos", "labqos", "set", "flags-=DenyOnLimit")
    job = cluster.sbatch("-p", "lab", "-n3", "-o", "/dev/null", wrap="true", user=users[0])
    wait_reason(cluster, job, "QOSMaxCpuPerJobLimit")
    mgr(cluster, "modify", "qos", "labqos", "set", "maxtresperjob=cpu=-1")
    assert cluster.wait_done(job) == "COMPLETED"


def test_accounts_with_jobs_are_not_removed(cluster, users):
    job = cluster.sbatch("-H", "-o", "/dev/null", wrap="true", user=users[0])
    refused(cluster.run("sacctmgr", "-i", "delete", "user", users[0]), "Job(s) active")
    refused(cluster.run("sacctmgr", "-i", "delete", "account", "physics"), "Job(s) active")
    cluster.ok("scancel", job)


def test_all_of_it_survives_kill_9(cluster, users):
    mgr(cluster, "modify", "user", users[0], "set", "maxjobs=5", "grptresmins=cpu=1000")
    job = cluster.sbatch("-n1", "-o", "/dev/null", wrap="sleep 300", user=users[0])
    cluster.wait_state(job, "RUNNING")
    before = cluster.ok("sacctmgr", "-nP", "show", "assoc")
    log = cluster.ok("sacctmgr", "-nP", "list", "transactions")
    cluster.kill9("ctld")
    cluster.start_ctld()
    assert cluster.ok("sacctmgr", "-nP", "show", "assoc") == before
    assert cluster.ok("sacctmgr", "-nP", "list", "transactions") == log
    # what runs still counts
    mgr(cluster, "modify", "user", users[0], "set", "maxjobs=1")
    second = cluster.sbatch("-n1", "-o", "/dev/null", wrap="true", user=users[0])
    wait_reason(cluster, second, "AssocMaxJobsLimit")
    cluster.ok("scancel", job, second)
    mgr(cluster, "modify", "user", users[0], "set", "maxjobs=-1", "grptresmins=cpu=-1")


# ---- sshare and sprio ------------------------------------------------------------------------------

def share(c, *args):
    return [line.split("|") for line in c.ok("sshare", "-nP", *args).splitlines()]


def test_shares_follow_usage(cluster, users):
    mgr(cluster, "modify", "account", "science", "set", "rawusage=0")
    job = cluster.sbatch("-n4", "-o", "/dev/null", wrap="sleep 300", user=users[0])
    cluster.wait_state(job, "RUNNING")
    f = "account,user,rawshares,normshares,rawusage,effectvusage,fairshare,levelfs"
    wait_for("usage", lambda: int(share(cluster, "-u", users[0], "-U", "-o", "rawusage")[0][0]) >= 4)
    wait_for("ranks", lambda: share(cluster, "-a", "-U", "-o", "user,fairshare") ==
             [[users[0], "0.500000"], [users[1], "1.000000"]])
    rows = {(r[0], r[1]): r for r in share(cluster, "-a", "-o", f)}
    assert rows[("physics", "")][2:4] == ["30", "0.600000"]
    assert rows[("physics", "")][5] == "1.000000" and rows[("biology", "")][5] == "0.000000"
    assert rows[("physics", "")][7] == "0.600000" and rows[("biology", "")][7] == "inf"
    assert rows[("root", "")][4] >= rows[("physics", users[0])][4]
    head = cluster.ok("sshare", "-a").splitlines()[0].split()
    assert head == ["Account", "User", "RawShares", "NormShares", "RawUsage", "EffectvUsage", "FairShare"]
    assert "  physics " in cluster.ok("sshare", "-a")
    assert cluster.ok("sshare", "-l").splitlines()[0].split()[-3:] == ["LevelFS", "GrpTRESMins", "TRESRunMins"]
    assert [r[1] for r in share(cluster, "-A", "physics", "-a")] == ["", users[0]]
    assert share(cluster)[0][0] == "root" and users[1] not in cluster.ok("sshare")
    doc = json.loads(cluster.ok("sshare", "--json", "-a"))
    assert {s["name"]: s for s in doc["shares"]}["physics"]["fairshare"]["level"] == 0.6
    refused(cluster.run("sshare", "-o", "colour"), "Unknown field")
    assert "LevelFS" in cluster.ok("sshare", "--helpformat").split()
    cluster.ok("scancel", job)


def test_factors_of_waiting_jobs_are_shown(cluster, users):
    mgr(cluster, "modify", "qos", "labqos", "set", "priority=10")
    mgr(cluster, "modify", "account", "science", "set", "qos+=labqos")
    a = cluster.sbatch("--begin=now+1hour", "-o", "/dev/null", wrap="true", user=users[0])
    b = cluster.sbatch("--begin=now+1hour", "-q", "labqos", "-o", "/dev/null", wrap="true", user=users[1])
    out = cluster.ok("sprio", "-h", "-o", "%i|%u|%Y|%F|%Q|%f|%q|%r")
    rows = {int(r[0]): r for r in (line.split("|") for line in out.splitlines())}
    assert rows[a][1] == users[0] and rows[a][3] == "50000" and rows[a][4] == "0"
    assert rows[b][3:7] == ["100000", "1000", "1.0000000", "1.0000000"]
    assert int(rows[b][2]) == 101000 == int(cluster.job(b)["Priority"])
    head = cluster.ok("sprio").splitlines()[0].split()
    assert head == ["JOBID", "PARTITION", "PRIORITY", "SITE", "AGE", "FAIRSHARE", "QOS"]
    assert "NICE" in cluster.ok("sprio", "-l") and "USER" in cluster.ok("sprio", "-l")
    assert "1.0000000" in cluster.ok("sprio", "-n", "-j%d" % b)
    assert cluster.ok("sprio", "-h", "-o", "%i", "-u", users[0]).split() == [str(a)]
    assert cluster.ok("sprio", "-h", "-o", "%i", "-S", "-Y").split() == [str(b), str(a)]
    assert cluster.ok("sprio", "-h", "-o", "%i", "-p", "lab").split() == []
    weights = cluster.ok("sprio", "-w").splitlines()[1].split()
    assert weights == ["Weights", "1", "10", "100000", "1000"]
    doc = json.loads(cluster.ok("sprio", "--json"))
    assert {j["job_id"]: j for j in doc["jobs"]}[str(b)]["normalized"]["qos"] == 1.0
    refused(cluster.run("sprio", "-o", "%!"), "Invalid job format")
    cluster.ok("scancel", a, b)
    mgr(cluster, "modify", "account", "science", "set", "qos=")
