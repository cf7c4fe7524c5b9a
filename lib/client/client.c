/* SPDX-License-Identifier: Apache-2.0
 *
 * Connecting to the controller and calling it.
 */
#include "client/client.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DIAL_TIMEOUT (2 * USEC_PER_SEC)
#define SAY_AFTER (2 * USEC_PER_SEC) /* the user is told that it is not us */
#define RETRY_FIRST (50 * 1000) /* between attempts, doubled each time */
#define RETRY_MAX USEC_PER_SEC
#define KEPT_MAX 65536u /* messages for later; beyond it the peer floods us */

struct client_kept {
    struct client_kept *next;
    struct wire_msg msg;
};

int client_init(struct client *c, const char *program, struct err *err)
{
    memset(c, 0, sizeof(*c));
    c->program = program;
    c->kept_end = &c->kept_first;
    c->conf = conf_load(NULL, err);
    return c->conf ? 0 : -EINVAL;
}

static void kept_clear(struct client *c)
{
    struct client_kept *k;
    while ((k = c->kept_first)) {
        c->kept_first = k->next;
        wire_msg_clear(&k->msg);
        free(k);
    }
    c->kept_end = &c->kept_first;
    c->kept_count = 0;
}

void client_disconnect(struct client *c)
{
    wire_conn_close(c->conn);
    c->conn = NULL;
    kept_clear(c);
}

void client_fini(struct client *c)
{
    client_disconnect(c);
    conf_destroy(c->conf);
    c->conf = NULL;
}

/* A name or a number; "" is this process's own user. */
static int user_uid(const char *user, uid_t *uid, struct err *err)
{
    if (!user || !*user) {
        *uid = geteuid();
        return 0;
    }
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (pw) {
        *uid = pw->pw_uid;
        return 0;
    }
    uint64_t number;
    if (num_parse_u64("uid", user, 0, UINT32_MAX - 1, &number, NULL) == 0) {
        *uid = (uid_t)number;
        return 0;
    }
    return err_set(err, -ENOENT, "controller user %s: no such user on this machine",
                   user);
}

static int dial_once(struct client *c, struct err *err)
{
    const struct conf *conf = c->conf;
    struct wire_dial_opts opts = {.munge_socket = conf->munge_socket,
                                  .timeout = DIAL_TIMEOUT};
    struct err why = {0};
    char *target = NULL;
    int rc = 0;

    if (conf->ctld_socket && *conf->ctld_socket) {
        target = xasprintf("unix:%s", conf->ctld_socket);
        c->conn = wire_dial(target, &opts, &why);
    }
    if (!c->conn && conf->ctld_port != 0) {
        bool v6 = strchr(conf->ctld_host, ':') && conf->ctld_host[0] != '[';
        free(target);
        target = xasprintf(v6 ? "[%s]:%u" : "%s:%u", conf->ctld_host, conf->ctld_port);
        rc = user_uid(conf->ctld_user, &opts.service_uid, err);
        if (rc == 0)
            c->conn = wire_dial(target, &opts, &why);
    }
    if (!c->conn && !target)
        rc = err_set(err, SL_ECTLD_DOWN,
                     "%s: the configuration names neither socket nor port",
                     err_name(SL_ECTLD_DOWN));
    else if (!c->conn && rc == 0 && (why.code == SL_EAUTH || why.code == SL_ENOT_BUILT))
        rc = err_set(err, why.code, "%s", why.text);
    else if (!c->conn && rc == 0)
        /* The text is the one that people know; what was tried follows it. */
        rc = err_set(err, SL_ECTLD_DOWN, "%s: %s", err_name(SL_ECTLD_DOWN), why.text);
    free(target);
    if (c->conn)
        c->connects++;
    return rc;
}

int client_connect(struct client *c, usec_t wait, struct err *err)
{
    usec_t start = clock_mono_usec(), pause = RETRY_FIRST;
    while (!c->conn) {
        int rc = dial_once(c, err);
        if (rc == 0)
            break;
        usec_t left = wait - (clock_mono_usec() - start);
        if (rc != SL_ECTLD_DOWN || left <= 0)
            return rc;
        if (pause > left)
            pause = left;
        struct timespec ts = {.tv_sec = pause / USEC_PER_SEC,
                              .tv_nsec = pause % USEC_PER_SEC * 1000};
        nanosleep(&ts, NULL);
        pause = pause * 2 < RETRY_MAX ? pause * 2 : RETRY_MAX;
    }
    return 0;
}

static int kept_add(struct client *c, struct wire_msg *m, struct err *err)
{
    if (c->kept_count >= KEPT_MAX) {
        wire_msg_clear(m);
        return err_set(err, SL_EPROTO,
                       "the controller sends messages nobody asked for");
    }
    struct client_kept *k = xcalloc(1, sizeof(*k));
    k->msg = *m;
    *c->kept_end = k;
    c->kept_end = &k->next;
    c->kept_count++;
    return 0;
}

/* Drops a connection that has died while nobody used it. */
static void check_idle(struct client *c)
{
    int rc = 0;
    struct wire_msg m = {0};
    while (c->conn && (rc = wire_recv(c->conn, 0, &m, NULL)) == 1)
        if (kept_add(c, &m, NULL) < 0)
            break;
    if (c->conn && rc < 0)
        client_disconnect(c);
}

static int error_reply(const struct wire_msg *m, struct err *err)
{
    const Sl__ErrorReply *e = (const Sl__ErrorReply *)m->body;
    int code = e->code < 0 ? e->code : SL_EPROTO;
    return err_set(err, code, "%s", *e->text ? e->text : err_name(code));
}

/* Sends on a connection that is alive as far as can be seen. A frame that could not
 * be written whole was not acted upon, so one more connection may be tried. */
int client_send(struct client *c, enum wire_type type, const ProtobufCMessage *body,
                uint32_t *tag, struct err *err)
{
    if (++c->tag_last == 0)
        c->tag_last = 1;
    *tag = c->tag_last;
    check_idle(c);
    bool fresh = !c->conn;
    int rc = client_connect(c, 0, err);
    if (rc < 0)
        return rc;
    rc = wire_send(c->conn, type, *tag, body, err);
    if (fresh || (rc != -EPIPE && rc != -ECONNRESET))
        return rc;
    client_disconnect(c);
    rc = client_connect(c, 0, err);
    return rc < 0 ? rc : wire_send(c->conn, type, *tag, body, err);
}

/* A message with this tag: 0 or negative. Others are kept. */
static int recv_tag(struct client *c, uint32_t tag, usec_t timeout, struct wire_msg *m,
                    struct err *err)
{
    usec_t deadline = clock_mono_usec() + timeout;
    bool said = timeout <= SAY_AFTER;
    for (;;) {
        usec_t left = deadline - clock_mono_usec();
        usec_t wait = !said && left > SAY_AFTER ? SAY_AFTER : left;
        int rc = wire_recv(c->conn, wait > 0 ? wait : 0, m, err);
        if (rc == 0 && !said) {
            said = true;
            fprintf(stderr, "%s: the controller does not answer, waiting up to %d s\n",
                    c->program, (int)(timeout / USEC_PER_SEC));
            continue;
        }
        if (rc == 0)
            return err_set(err, -ETIMEDOUT,
                           "no answer from the controller within %d s;"
                           " the request may still be carried out",
                           (int)(timeout / USEC_PER_SEC));
        if (rc == -ECONNRESET)
            return err_set(err, rc,
                           "the controller closed the connection before it answered;"
                           " the request may have been carried out");
        if (rc < 0)
            return rc;
        /* An error with tag 0 is the farewell of a peer that cannot go on. */
        if (m->tag == tag || (m->type == WIRE_ERROR && m->tag == 0))
            return 0;
        rc = kept_add(c, m, err);
        if (rc < 0)
            return rc;
    }
}

int client_reply(struct client *c, uint32_t tag, enum wire_type want, usec_t timeout,
                 struct wire_msg *reply, struct err *err)
{
    memset(reply, 0, sizeof(*reply));
    int rc = c->conn ? recv_tag(c, tag, timeout ? timeout : c->conf->message_timeout, reply, err)
                     : err_set(err, -ENOTCONN, "not connected to the controller");
    if (rc < 0) {
        client_disconnect(c);
        return rc;
    }
    if (reply->type == want)
        return 0;
    if (reply->type == WIRE_ERROR) {
        rc = error_reply(reply, err);
    } else {
        rc = err_set(err, SL_EPROTO, "the controller answered with %s instead of %s",
                     wire_type_info(reply->type)->name, wire_type_info(want)->name);
        client_disconnect(c);
    }
    wire_msg_clear(reply);
    return rc;
}

int client_call(struct client *c, enum wire_type type, const ProtobufCMessage *body,
                enum wire_type want, usec_t timeout, struct wire_msg *reply,
                struct err *err)
{
    memset(reply, 0, sizeof(*reply));
    uint32_t tag;
    int rc = client_send(c, type, body, &tag, err);
    return rc < 0 ? rc : client_reply(c, tag, want, timeout, reply, err);
}

bool client_event_pending(const struct client *c)
{
    return c->kept_first || (c->conn && wire_conn_pending(c->conn));
}

int client_event(struct client *c, usec_t timeout, struct wire_msg *m, struct err *err)
{
    struct client_kept *k = c->kept_first;
    if (!k)
        return c->conn ? wire_recv(c->conn, timeout, m, err)
                       : err_set(err, -ENOTCONN, "not connected to the controller");
    *m = k->msg;
    c->kept_first = k->next;
    if (!c->kept_first)
        c->kept_end = &c->kept_first;
    c->kept_count--;
    free(k);
    return 1;
}

void client_error(const struct client *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    flockfile(stderr);
    fprintf(stderr, "%s: error: ", c->program);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(ap);
}
