/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/manager.h"

#include "job/jobspec.h"
#include "stepd/dlink.h"
#include "stepd/peers.h"
#include "stepd/pool.h"
#include "stepd/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum phase { STEP_QUEUED, STEP_LAUNCHING, STEP_RUNNING };

struct request { /* one step, from STEP_CREATE to its end */
    struct manager *m;
    enum phase phase;
    struct wire_link *client; /* NULL: gone, or it needs us no more */
    uint32_t tag;             /* of its STEP_CREATE */
    uint32_t step_id, root;   /* root: index in the allocation */
    /* until it runs: */
    Sl__StepCreate *create;
    size_t create_bytes;
    struct arena arena;
    Sl__StepLayout *layout;
    uint32_t launch_tag;      /* of node 0; node i of the layout has launch_tag + i */
    uint8_t *answered;        /* by node of the layout */
    uint32_t unanswered;
    bool failed;              /* some node refused: the others are told to end it */
    struct request *prev, *next;
};
struct manager {
    struct step *step;
    struct pool *pool;
    struct peers *peers;
    struct request *first, *last; /* in order of arrival */
    uint32_t queued;
    size_t queued_bytes;          /* of their messages */
    uint32_t step_next, tag_next;
    bool turning;                 /* in queue_turn() */
};

/* ---- requests ---------------------------------------------------------------------------- */

/* In and out of the queue. */
static void request_queued(struct request *r, bool queued)
{
    r->m->queued += queued ? 1 : -1;
    r->m->queued_bytes += queued ? r->create_bytes : -r->create_bytes;
}

static struct request *request_create(struct manager *m, struct wire_link *l, struct wire_msg *msg)
{
    struct request *r = xcalloc(1, sizeof(*r));
    r->m = m;
    r->client = l;
    r->tag = msg->tag;
    r->create = (Sl__StepCreate *)msg->body;
    msg->body = NULL;
    arena_init(&r->arena);
    r->prev = m->last;
    *(m->last ? &m->last->next : &m->first) = r;
    m->last = r;
    return r;
}

/* All that is only needed until it runs. */
static void request_trim(struct request *r)
{
    if (r->create)
        sl__step_create__free_unpacked(r->create, NULL);
    r->create = NULL;
    r->layout = NULL;
    r->answered = NULL;
    arena_fini(&r->arena);
}

static void request_drop(struct request *r)
{
    struct manager *m = r->m;
    *(r->prev ? &r->prev->next : &m->first) = r->next;
    *(r->next ? &r->next->prev : &m->last) = r->prev;
    if (r->phase == STEP_QUEUED)
        request_queued(r, false);
    wire_link_finish(r->client);
    request_trim(r);
    free(r);
}

static void answer_error(struct request *r, int code, const char *text)
{
    Sl__ErrorReply e = SL__ERROR_REPLY__INIT;
    if (!r->client)
        return;
    e.code = code;
    e.text = (char *)text;
    wire_link_send(r->client, WIRE_ERROR, r->tag, &e.base, NULL);
    wire_link_finish(r->client);
    r->client = NULL;
}

static void answer_created(struct request *r)
{
    Sl__StepCreated c = SL__STEP_CREATED__INIT;
    struct err err;
    if (!r->client)
        return;
    c.step_id = r->step_id;
    c.layout = r->layout;
    c.alloc = r->m->step->launch->job->alloc;
    if (r->root == 0)
        c.root_sock = route_socket_path(r->m->step, r->step_id, &r->arena);
    if (wire_link_send(r->client, WIRE_STEP_CREATED, r->tag, &c.base, &err) < 0)
        log_error("manager", "step=%s answer not sent: %s", r->m->step->name, err.text);
}

/* ---- launching ------------------------------------------------------------------------------ */

static void launch_send(struct request *r, uint32_t i)
{
    Sl__StepLaunch m = SL__STEP_LAUNCH__INIT;
    m.job = r->m->step->launch->job;
    m.spec = r->create->spec;
    m.layout = r->layout;
    m.node_index = i;
    peers_send(r->m->peers, r->layout->nodes[i]->alloc_index, WIRE_STEP_LAUNCH,
               r->launch_tag + i, &m.base);
}

static void launch(struct request *r)
{
    struct manager *m = r->m;
    uint32_t nodes = (uint32_t)r->layout->n_nodes;

    r->phase = STEP_LAUNCHING;
    r->step_id = r->layout->step_id;
    r->root = r->layout->nodes[0]->alloc_index;
    r->launch_tag = m->tag_next;
    m->tag_next += nodes;
    r->unanswered = nodes;
    r->answered = arena_alloc(&r->arena, nodes);
    for (uint32_t i = 0; i < nodes; i++)
        launch_send(r, i);
}

static void end_on_node(struct request *r, uint32_t alloc_index)
{
    const struct step *s = r->m->step;
    Sl__Terminate t = SL__TERMINATE__INIT;
    t.job_id = s->job_id;
    t.restart = s->restart;
    t.has_step = true;
    t.step_id = r->step_id;
    peers_send(r->m->peers, alloc_index, WIRE_STEP_TERMINATE, 0, &t.base);
}

static void queue_turn(struct manager *m);

/* Some node cannot: there will be no whole tree through which the root could end the rest. */
static void launch_fail(struct request *r)
{
    if (r->failed)
        return;
    r->failed = true;
    for (size_t i = 0; i < r->layout->n_nodes; i++)
        end_on_node(r, r->layout->nodes[i]->alloc_index);
}

/* Nobody waits for the step any more: its root ends it as it would at any later time. */
static void launch_abandon(struct request *r)
{
    r->failed = true;
    end_on_node(r, r->root);
}

static void launched(struct request *r)
{
    if (!r->failed) {
        log_debug("manager", "step=%u.%u nodes=%zu runs", r->m->step->job_id, r->step_id,
                  r->layout->n_nodes);
        answer_created(r);
    }
    r->phase = STEP_RUNNING;
    request_trim(r);
}

static void over(struct request *r)
{
    struct manager *m = r->m;
    if (r->phase == STEP_LAUNCHING)
        answer_error(r, SL_EINVAL_STEP, "the step ended while it was being started");
    pool_release(m->pool, r->step_id);
    request_drop(r);
    queue_turn(m);
}

static void node_answered(struct request *r, uint32_t i, int code, const char *text)
{
    if (r->answered[i])
        return;
    r->answered[i] = true;
    r->unanswered--;
    /* it heard the launch twice, because its link had broken */
    if (code < 0 && code != -EEXIST) {
        const Sl__AllocNode *n =
            r->m->step->launch->job->alloc->nodes[r->layout->nodes[i]->alloc_index];
        char *why = xasprintf("%s: %s", n->name, text);
        log_error("manager", "step=%u.%u not launched on %s", r->m->step->job_id, r->step_id, why);
        answer_error(r, code, why);
        free(why);
        launch_fail(r);
        if (i == 0) { /* no root: nobody else will say that it is over */
            over(r);
            return;
        }
    }
    if (r->unanswered == 0)
        launched(r);
}

void manager_launch_reply(struct step *s, uint32_t tag, const Sl__StepLaunchReply *reply)
{
    for (struct request *r = s->steps ? s->steps->first : NULL; r; r = r->next)
        if (r->phase == STEP_LAUNCHING && tag - r->launch_tag < r->layout->n_nodes) {
            node_answered(r, tag - r->launch_tag, reply->code, reply->text);
            return;
        }
}

/* ---- the queue -------------------------------------------------------------------------------- */

/* Places and launches it. 0, or negative and nothing has changed. */
static int request_start(struct request *r, struct err *err)
{
    struct manager *m = r->m;
    int rc = pool_place(m->pool, r->create->spec, m->step_next, &r->arena, &r->layout, err);
    if (rc < 0) {
        arena_reset(&r->arena);
        return rc;
    }
    m->step_next++;
    if (r->phase == STEP_QUEUED)
        request_queued(r, false);
    launch(r);
    return 0;
}

/* Something came free: those in front start until one must go on waiting. */
static void queue_turn(struct manager *m)
{
    if (m->turning || m->queued == 0 || m->step->terminating)
        return;
    m->turning = true;
    for (struct request *r = m->first, *next; r; r = next) {
        struct err err;
        next = r->next;
        if (r->phase != STEP_QUEUED)
            continue;
        int rc = request_start(r, &err);
        if (rc == SL_EBUSY_NODES)
            break;
        if (rc < 0) { /* a node that it needs is lost */
            answer_error(r, rc, err.text);
            request_drop(r);
        }
    }
    m->turning = false;
}

/* The step has its owner: srun's going is the root's business from now on. */
static void on_client_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct request *r = arg;
    (void)l;
    if (m->type != WIRE_ACK || r->phase != STEP_RUNNING) {
        log_verbose("manager", "step=%s a client says more than one request", r->m->step->name);
        return;
    }
    wire_link_finish(r->client);
    r->client = NULL;
}

static void on_client_down(struct wire_link *l, const char *why, void *arg)
{
    struct request *r = arg;
    struct manager *m = r->m;
    (void)l;
    (void)why;
    r->client = NULL;
    if (r->phase == STEP_QUEUED) {
        request_drop(r);
        queue_turn(m); /* it may have been the one in front */
    } else { /* it died before it was the step's owner */
        launch_abandon(r);
    }
}

static const struct wire_link_ops client_ops = {.message = on_client_message,
                                                .down = on_client_down};

static int create_check(const struct manager *m, const Sl__StepCreate *c, struct err *err)
{
    if (m->step->terminating || m->step->phase == PHASE_REPORTING)
        return err_set(err, SL_EALREADY_DONE, "%s", err_name(SL_EALREADY_DONE));
    if (!c->spec || c->job_id != m->step->job_id)
        return err_set(err, SL_EINVAL_JOB_ID, "%s", err_name(SL_EINVAL_JOB_ID));
    if (!m->step->launch->job->alloc)
        return err_set(err, SL_EINVAL_STATE, "the job has no allocation");
    return stepspec_check(c->spec, err);
}

static int create(struct request *r, struct err *err)
{
    struct manager *m = r->m;
    const Sl__StepSpec *spec = r->create->spec;

    r->phase = STEP_RUNNING; /* not counted as queued until it is */
    int rc = create_check(m, r->create, err);
    if (rc < 0)
        return rc;
    /* nobody overtakes those that wait, but a step that holds nothing is in nobody's way */
    if (m->queued > 0 && !spec->overlap)
        rc = pool_fits(m->pool, spec, &r->arena, err) < 0
                 ? err->code
                 : err_set(err, SL_EBUSY_NODES, "%s", err_name(SL_EBUSY_NODES));
    else
        rc = request_start(r, err);
    if (rc != SL_EBUSY_NODES || spec->immediate)
        return rc;
    r->create_bytes = sl__step_create__get_packed_size(r->create);
    if (m->queued >= STEPS_QUEUED_MAX ||
        m->queued_bytes + r->create_bytes > STEPS_QUEUED_BYTES_MAX)
        return err_set(err, SL_ETOO_MANY, "%u steps wait for resources already", m->queued);
    r->phase = STEP_QUEUED;
    request_queued(r, true);
    return 0;
}

bool manager_accept(struct step *s, struct wire_link *l, struct wire_msg *m)
{
    struct err err;
    if (m->type != WIRE_STEP_CREATE || !s->steps)
        return false;
    struct request *r = request_create(s->steps, l, m);
    wire_link_set_ops(l, &client_ops, r);
    if (create(r, &err) < 0) {
        answer_error(r, err.code, err.text);
        request_drop(r);
    }
    return true;
}

/* ---- the end of steps, and of their nodes -------------------------------------------------------- */

void manager_step_done(struct step *s, uint32_t alloc_index, uint32_t step_id)
{
    for (struct request *r = s->steps ? s->steps->first : NULL; r; r = r->next)
        if (r->phase != STEP_QUEUED && r->step_id == step_id && r->root == alloc_index) {
            over(r);
            return;
        }
}

static bool launches_on(const struct request *r, uint32_t alloc_index, uint32_t *i)
{
    for (*i = 0; r->phase == STEP_LAUNCHING && *i < r->layout->n_nodes; ++*i)
        if (r->layout->nodes[*i]->alloc_index == alloc_index && !r->answered[*i])
            return true;
    return false;
}

void manager_node_up(struct step *s, uint32_t alloc_index)
{
    Sl__StepWatch w = SL__STEP_WATCH__INIT;
    uint32_t i;
    w.job_id = s->job_id;
    w.restart = s->restart;
    for (struct request *r = s->steps ? s->steps->first : NULL; r; r = r->next) {
        if (r->phase == STEP_QUEUED)
            continue;
        if (launches_on(r, alloc_index, &i)) {
            launch_send(r, i);
        } else if (r->root == alloc_index) {
            w.step_id = r->step_id;
            peers_send(s->steps->peers, alloc_index, WIRE_STEP_WATCH, 0, &w.base);
        }
        if (r->failed && r->root == alloc_index)
            end_on_node(r, alloc_index);
    }
}

bool manager_node_matters(const struct step *s, uint32_t alloc_index)
{
    uint32_t i;
    for (const struct request *r = s->steps ? s->steps->first : NULL; r; r = r->next)
        if (r->phase != STEP_QUEUED &&
            (r->root == alloc_index || launches_on(r, alloc_index, &i)))
            return true;
    return false;
}

void manager_node_lost(struct step *s, uint32_t alloc_index)
{
    struct manager *m = s->steps;
    uint32_t i;
    log_error("manager", "step=%s node=%s is lost", s->name,
              s->launch->job->alloc->nodes[alloc_index]->name);
    pool_node_lost(m->pool, alloc_index);
    m->turning = true; /* first all of its steps go, then others may start */
    for (struct request *r = m->first, *next; r; r = next) {
        next = r->next;
        if (launches_on(r, alloc_index, &i))
            node_answered(r, i, -EHOSTUNREACH, "the node's daemon cannot be reached");
        else if (r->phase != STEP_QUEUED && r->root == alloc_index)
            over(r);
    }
    m->turning = false;
    queue_turn(m);
}

/* ---- life ------------------------------------------------------------------------------------------- */

struct manager *manager_create(struct step *s)
{
    struct manager *m = xcalloc(1, sizeof(*m));
    const Sl__JobSpec *spec = s->launch->job->spec;
    bool single = strcmp(spec->hint, "nomultithread") == 0;
    m->step = s;
    m->pool = pool_create(s->launch->job->alloc, single ? 1 : spec->threads_per_core);
    m->peers = peers_create(s);
    if (s->step_id < STEP_MAX) { /* an srun's own step is the job's first */
        pool_hold(m->pool, s->launch->layout);
        m->step_next = s->step_id + 1;
    }
    return m;
}

void manager_destroy(struct manager *m)
{
    if (!m)
        return;
    while (m->first) {
        answer_error(m->first, SL_EALREADY_DONE, err_name(SL_EALREADY_DONE));
        request_drop(m->first);
    }
    peers_destroy(m->peers);
    pool_destroy(m->pool);
    free(m);
}

void manager_tell_done(struct step *s)
{
    Sl__StepDone d = SL__STEP_DONE__INIT;
    if (s->root && !s->manager)
        dlink_send(s, WIRE_STEP_DONE, s->step_id, &d.base, NULL);
}
