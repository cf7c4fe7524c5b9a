/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include "config.h"
#include "loop.h"
#include "stats.h"
#include "nodes.h"
#include "persist.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_CHECK_USEC (5 * 1000)

/* ---- reconfiguration ---------------------------------------------------------------------- */

/* Keys that a running controller holds on to. */
static int fixed_check(const struct conf *old, const struct conf *fresh, struct err *err)
{
    const struct {
        const char *key, *a, *b;
    } texts[] = {
        {"cluster_name", old->cluster_name, fresh->cluster_name},
        {"run_dir", old->run_dir, fresh->run_dir},
        {"state", old->state_url, fresh->state_url},
        {"controller.host", old->ctld_host, fresh->ctld_host},
        {"controller.socket", old->ctld_socket, fresh->ctld_socket},
        {"controller.user", old->ctld_user, fresh->ctld_user},
        {"munge_socket", old->munge_socket, fresh->munge_socket},
        {"node.user", old->node_user, fresh->node_user},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i].a, texts[i].b) != 0)
            return err_set(err, SL_EINVAL_STATE,
                           "%s: changing %s from \"%s\" to \"%s\" needs a restart of the "
                           "controller",
                           fresh->path, texts[i].key, texts[i].a, texts[i].b);
    if (old->ctld_port != fresh->ctld_port)
        return err_set(err, SL_EINVAL_STATE,
                       "%s: changing controller.port from %u to %u needs a restart of the "
                       "controller",
                       fresh->path, old->ctld_port, fresh->ctld_port);
    return 0;
}

int control_reconfigure(struct ctld *d, struct err *err)
{
    struct conf *fresh = conf_load(d->conf_path, err);

    if (!fresh)
        return err->code;
    int rc = fixed_check(d->conf, fresh, err);
    if (rc == 0)
        rc = startup_configure(d->core, fresh, ctld_now(d), err);
    if (rc < 0) {
        conf_destroy(fresh);
        return rc;
    }
    conf_destroy(d->conf);
    d->conf = fresh;
    log_level_set(fresh->log_level);
    persist_note_tables(d);
    nodes_conf_changed(d);
    log_info("control", "file=%s configuration read again", fresh->path);
    return 0;
}

/* ---- shutdown --------------------------------------------------------------------------------- */

struct drain {
    struct ctld *d;
    struct event *timer;
    usec_t deadline; /* monotonic */
};

static void drain_arm(struct drain *w)
{
    struct timeval tv = {.tv_usec = DRAIN_CHECK_USEC};
    event_add(w->timer, &tv);
}

static void drain_check(evutil_socket_t fd, short what, void *arg)
{
    struct drain *w = arg;
    struct ctld *d = w->d;
    bool clean = loop_is_clean(d) && sessions_queued(d) == 0;
    (void)fd;
    (void)what;

    if (!clean && clock_mono_usec() < w->deadline) {
        drain_arm(w);
        return;
    }
    if (!clean)
        log_warn("control", "shutdown with work left: the store or a client does not answer");
    event_free(w->timer);
    free(w);
    event_base_loopbreak(d->base);
}

void control_shutdown(struct ctld *d, const char *why)
{
    if (d->stopping)
        return;
    log_info("control", "shutdown: %s", why);
    d->stopping = true;
    wire_listener_close(d->listen_unix);
    wire_listener_close(d->listen_tcp);
    d->listen_unix = d->listen_tcp = NULL;
    struct drain *w = xcalloc(1, sizeof(*w));
    w->d = d;
    w->timer = evtimer_new(d->base, drain_check, w);
    w->deadline = clock_mono_usec() + SHUTDOWN_USEC;
    ASSERT(w->timer);
    loop_kick(d);
    drain_arm(w);
}

/* ---- requests --------------------------------------------------------------------------------- */

static void reply_send(struct session *s, uint32_t tag, const char *text)
{
    Sl__ControlReply reply = SL__CONTROL_REPLY__INIT;

    reply.text = (char *)text;
    reply.started = s->d->started;
    reply.epoch = s->d->epoch;
    reply.version = (char *)PACKAGE_VERSION;
    reply.pid = (uint32_t)getpid();
    session_send_now(s, WIRE_CONTROL_REPLY, tag, &reply.base);
}

static int op_ping(struct session *s, uint32_t tag, const char *argument, struct err *err)
{
    (void)argument;
    (void)err;
    reply_send(s, tag, "UP");
    return 0;
}

static int op_conf(struct session *s, uint32_t tag, const char *argument, struct err *err)
{
    char *text = conf_save_text(s->d->conf);
    (void)argument;
    (void)err;
    reply_send(s, tag, text);
    free(text);
    return 0;
}

static int op_reconfigure(struct session *s, uint32_t tag, const char *argument,
                          struct err *err)
{
    (void)argument;
    int rc = control_reconfigure(s->d, err);
    if (rc == 0)
        reply_send(s, tag, "");
    return rc;
}

static int op_shutdown(struct session *s, uint32_t tag, const char *argument, struct err *err)
{
    (void)argument;
    (void)err;
    reply_send(s, tag, "");
    control_shutdown(s->d, "requested by a client");
    return 0;
}

static int op_log_level(struct session *s, uint32_t tag, const char *argument, struct err *err)
{
    enum log_level level = log_level_parse(argument);

    if (level == LOG_NONE)
        return err_set(err, SL_EINVAL_FIELD, "log level \"%s\" is unknown", argument);
    log_level_set(level);
    reply_send(s, tag, log_level_name(level));
    return 0;
}

static int op_stats_reset(struct session *s, uint32_t tag, const char *argument, struct err *err)
{
    (void)argument;
    (void)err;
    stats_reset(s->d);
    reply_send(s, tag, "");
    return 0;
}

static const struct {
    Sl__ControlOp op;
    const char *name;
    bool admin;
    int (*run)(struct session *s, uint32_t tag, const char *argument, struct err *err);
} ops[] = {
    {SL__CONTROL_OP__CONTROL_PING, "ping", false, op_ping},
    {SL__CONTROL_OP__CONTROL_CONF, "configuration", false, op_conf},
    {SL__CONTROL_OP__CONTROL_RECONFIGURE, "reconfigure", true, op_reconfigure},
    {SL__CONTROL_OP__CONTROL_SHUTDOWN, "shutdown", true, op_shutdown},
    {SL__CONTROL_OP__CONTROL_LOG_LEVEL, "log level", true, op_log_level},
    {SL__CONTROL_OP__CONTROL_STATS_RESET, "reset of statistics", true, op_stats_reset},
};

void control_handle(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__ControlRequest *r = (const Sl__ControlRequest *)m->body;
    struct err err;
    (void)d;

    err_set(&err, SL_ENOT_BUILT, "control operation %d is not built yet", (int)r->op);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (ops[i].op != r->op)
            continue;
        if (ops[i].admin && !s->admin)
            err_set(&err, SL_EACCESS, "%s: %s", err_name(SL_EACCESS), ops[i].name);
        else if (ops[i].run(s, m->tag, r->argument, &err) == 0)
            return;
        break;
    }
    session_error(s, m->tag, &err);
}
