/* SPDX-License-Identifier: Apache-2.0 */
#include "submit.h"

#include "blobs.h"
#include "fetch.h"
#include "job/jobspec.h"
#include "loop.h"
#include "persist.h"
#include "users.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- checks at the edge -------------------------------------------------------------- */

static int env_check(char *const *env, size_t count, const char *what, struct err *err)
{
    size_t bytes = 0;

    if (count > ENV_VARS_MAX)
        return err_set(err, -E2BIG, "%s: %zu variables, the limit is %u", what, count,
                       ENV_VARS_MAX);
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(env[i]) + 1;
        if (bytes > ENV_BYTES_MAX)
            return err_set(err, -E2BIG, "%s: over %u bytes", what, ENV_BYTES_MAX);
        if (!strchr(env[i], '=') || env[i][0] == '=')
            return err_set(err, SL_EINVAL_FIELD, "%s: \"%.60s\" is not NAME=VALUE", what,
                           env[i]);
    }
    return 0;
}

static int type_check(const Sl__SubmitRequest *m, struct err *err)
{
    switch (m->spec->type) {
    case SL__JOB_TYPE__JOB_TYPE_BATCH:
        if (!m->script.len)
            return err_set(err, SL_EINVAL_FIELD, "a batch job needs a script");
        break;
    case SL__JOB_TYPE__JOB_TYPE_RUN:
        if (!m->step)
            return err_set(err, SL_EINVAL_FIELD, "a run needs a step");
        break;
    case SL__JOB_TYPE__JOB_TYPE_ALLOC:
        break;
    case SL__JOB_TYPE__JOB_TYPE_SERVICE:
        return err_set(err, SL_ENOT_BUILT, "services are not built yet");
    default:
        return err_set(err, SL_EINVAL_FIELD, "job type %d is unknown", (int)m->spec->type);
    }
    if (m->spec->type != SL__JOB_TYPE__JOB_TYPE_BATCH && m->script.len)
        return err_set(err, SL_EINVAL_FIELD, "only a batch job has a script");
    if (m->spec->type != SL__JOB_TYPE__JOB_TYPE_RUN && m->step)
        return err_set(err, SL_EINVAL_FIELD, "only a run has a step");
    return 0;
}

/* The components behind the first hold nodes, they start nothing by themselves. */
static int het_check(const Sl__SubmitRequest *m, struct err *err)
{
    int rc = 0;

    if (m->n_het >= HET_SIZE_MAX)
        return err_set(err, SL_ETOO_MANY, "a heterogeneous job of %zu components, the limit is %d",
                       m->n_het + 1, HET_SIZE_MAX);
    if (m->n_het && m->step)
        return err_set(err, SL_EINVAL_FIELD, "a heterogeneous job starts without a step");
    for (size_t i = 0; rc == 0 && i < m->n_het; i++)
        rc = m->het[i]->type == SL__JOB_TYPE__JOB_TYPE_ALLOC
                 ? jobspec_check(m->het[i], err)
                 : err_set(err, SL_EINVAL_FIELD, "component %zu of a heterogeneous job is no "
                           "allocation", i + 1);
    return rc;
}

static int request_check(const struct session *s, const Sl__SubmitRequest *m, struct err *err)
{
    int rc;

    if (!m->spec)
        return err_set(err, SL_EPROTO, "a submission without a job");
    if ((rc = type_check(m, err)) < 0)
        return rc;
    if (m->script.len > SCRIPT_BYTES_MAX)
        return err_set(err, -E2BIG, "script: %zu bytes, the limit is %u", m->script.len,
                       SCRIPT_BYTES_MAX);
    if ((rc = env_check(m->env, m->n_env, "environment", err)) < 0)
        return rc;
    if (m->step && (rc = env_check(m->step->env, m->step->n_env, "step environment", err)) < 0)
        return rc;
    if ((m->spec->submit_uid_alias || m->spec->submit_gid_alias) && s->uid != 0)
        return err_set(err, SL_EACCESS, "%s: only root may submit for another user",
                       err_name(SL_EACCESS));
    if ((rc = jobspec_check(m->spec, err)) < 0 || (rc = het_check(m, err)) < 0)
        return rc;
    return m->step ? stepspec_check(m->step, err) : 0;
}

/* ---- submission ------------------------------------------------------------------------ */

/* Node daemons that are not root's cannot become anybody. Ids of -1 would leave a task
 * with its supervisor's: setresuid(2). */
static int owner_check(const struct ctld *d, const struct actor *who, struct err *err)
{
    if (d->node_uid != 0 && who->uid != d->node_uid)
        return err_set(err, SL_EACCESS,
                       "%s: the node daemons run as %s, so this cluster runs jobs of that "
                       "user only",
                       err_name(SL_EACCESS), d->conf->node_user);
    if (who->uid == (uid_t)-1 || who->gid == (gid_t)-1)
        return err_set(err, SL_EACCESS, "%s: uid %u is no user of the controller's machine",
                       err_name(SL_EACCESS), (unsigned)who->uid);
    return 0;
}

/* The command's owner: the requester, or whom root submits for. */
static void owner_fill(struct session *s, const Sl__SubmitRequest *m, struct command *cmd)
{
    struct ctld *d = s->d;
    uid_t uid = m->spec->submit_uid_alias ? m->spec->submit_uid_alias - 1 : s->uid;
    const struct user *u = users_get(d->users, uid, ctld_now(d));

    cmd->actor = (struct actor){
        .uid = uid,
        .gid = m->spec->submit_gid_alias ? m->spec->submit_gid_alias - 1
               : uid == s->uid           ? s->gid
                                         : u->gid,
        .admin = s->admin,
        .user = u->name,
    };
    cmd->submit.user = u->name;
    cmd->submit.groups = u->groups;
}

static void reply_estimate(struct session *s, uint32_t tag)
{
    const struct batch *b = loop_result(s->d);
    Sl__SubmitReply reply = SL__SUBMIT_REPLY__INIT;

    reply.job_id = b->job_id;
    reply.start_estimate = b->start_estimate;
    reply.nodes_estimate = (char *)b->nodes_estimate;
    reply.explain = (char *)buf_str(&b->explained);
    session_send(s, WIRE_SUBMIT_REPLY, tag, &reply.base, loop_generation_read(s->d));
}

static void accepted(struct session *s, uint32_t tag, Sl__SubmitRequest *m, uint32_t job_id)
{
    struct ctld *d = s->d;
    Sl__SubmitReply reply = SL__SUBMIT_REPLY__INIT;
    size_t rest_bytes;
    void *rest = blobs_pack_rest(m, &rest_bytes);

    persist_blobs(d, job_id, m->script.data, m->script.len, rest, rest_bytes);
    free(rest);
    reply.job_id = job_id;
    if (m->spec->mail_type[0] && strcasecmp(m->spec->mail_type, "NONE") != 0)
        reply.message = (char *)"warning: no mail will be sent: sending mail is not built yet";
    session_send(s, WIRE_SUBMIT_REPLY, tag, &reply.base, loop_generation(d));
    loop_note_submit(d, s->id, tag, job_id);
    if (m->watch)
        watch_add(s, tag, job_id,
                  m->spec->type != SL__JOB_TYPE__JOB_TYPE_BATCH && !m->no_owner);
    log_verbose("job", "job=%u uid=%u submitted", job_id, (unsigned)s->uid);
    blobs_put(d->blobs, job_id, m);
}

void submit_handle(struct ctld *d, struct session *s, struct wire_msg *m)
{
    Sl__SubmitRequest *request = (Sl__SubmitRequest *)m->body;
    struct command cmd = {.kind = CMD_SUBMIT};
    struct err err;

    if (request_check(s, request, &err) < 0) {
        session_error(s, m->tag, &err);
        return;
    }
    owner_fill(s, request, &cmd);
    if (owner_check(d, &cmd.actor, &err) < 0) {
        session_error(s, m->tag, &err);
        return;
    }
    cmd.submit.spec = request->spec;
    cmd.submit.het = (const Sl__JobSpec *const *)request->het;
    cmd.submit.het_count = request->n_het;
    cmd.submit.test_only = request->test_only;
    cmd.submit.immediate = request->immediate;
    if (loop_apply(d, &cmd, &err) < 0) {
        session_error(s, m->tag, &err);
    } else if (request->test_only) {
        reply_estimate(s, m->tag);
    } else {
        m->body = NULL; /* kept with the job's blobs */
        accepted(s, m->tag, request, loop_result(d)->job_id);
    }
}

/* ---- the script back ---------------------------------------------------------------------- */

static void script_reply(struct session *s, uint32_t tag, uint32_t job_id,
                         const Sl__SubmitRequest *m)
{
    Sl__ScriptReply reply = SL__SCRIPT_REPLY__INIT;
    struct err err;

    if (!m || !m->script.len) {
        err_set(&err, SL_EINVAL_JOB_ID, "job %u has no batch script", job_id);
        session_error(s, tag, &err);
        return;
    }
    reply.script = m->script;
    session_send(s, WIRE_SCRIPT_REPLY, tag, &reply.base, loop_generation_read(s->d));
}

struct script_wait {
    uint64_t session_id;
    uint32_t tag;
};

static void script_fetched(struct ctld *d, uint32_t job_id, const Sl__SubmitRequest *m,
                           const struct err *why, void *arg)
{
    struct script_wait *w = arg;
    struct session *s = session_find(d, w->session_id);

    if (s && m)
        script_reply(s, w->tag, job_id, m);
    else if (s)
        session_error(s, w->tag, why);
    free(w);
}

void submit_script(struct ctld *d, struct session *s, struct wire_msg *m)
{
    uint32_t job_id = ((Sl__ScriptRequest *)m->body)->job_id;
    struct job_view v;
    struct err err;

    if (!core_job_view(d->core, job_id, false, &v)) {
        err_set(&err, SL_EINVAL_JOB_ID, "%s: %u", err_name(SL_EINVAL_JOB_ID), job_id);
        session_error(s, m->tag, &err);
    } else if (!s->admin && v.uid != s->uid) {
        err_set(&err, SL_EACCESS, "%s: job %u belongs to another user", err_name(SL_EACCESS),
                job_id);
        session_error(s, m->tag, &err);
    } else {
        struct script_wait *w = xmalloc(sizeof(*w));
        *w = (struct script_wait){s->id, m->tag};
        fetch_blobs(d, v.array_job_id ? v.array_job_id : job_id, script_fetched, w);
    }
}
