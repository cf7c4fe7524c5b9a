/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "job/explain.h"
#include "config.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define STDOUT_BYTES (256u << 10)

void command_version(void)
{
    puts(PACKAGE_NAME " " PACKAGE_VERSION);
}

int command_exit_error(void)
{
    const char *text = getenv("SLURM_EXIT_ERROR");
    int code = text != NULL ? atoi(text) : 1;
    return code > 0 && code < 256 ? code : 1;
}

int command_fail(const char *program, const struct err *err)
{
    fflush(stdout);
    fprintf(stderr, "%s: error: %s\n", program, err->text);
    return command_exit_error();
}

int command_usage_fail(const char *program, const struct err *err)
{
    command_fail(program, err);
    fprintf(stderr, "Try \"%s --help\" for more information\n", program);
    return command_exit_error();
}

void command_say(const char *program, const char *fmt, ...)
{
    va_list ap;
    struct buf b; /* one write, so that lines of two writers do not mix */
    char *text = NULL;

    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    buf_init(&b);
    buf_printf(&b, "%s: %s\n", program, text);
    fwrite(b.data, 1, b.len, stderr);
    buf_fini(&b);
    free(text);
}

void command_error(const char *program, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n >= 0)
        command_say(program, "error: %s", text);
    free(text);
}

/* ---- queries ----------------------------------------------------------------------------- */

Sl__QueryRequest *command_query(struct arena *a, const char *what)
{
    Sl__QueryRequest *q = arena_alloc(a, sizeof(*q));
    sl__query_request__init(q);
    q->what = arena_strdup(a, what);
    return q;
}

void command_filter(struct arena *a, Sl__QueryRequest *q, const char *key, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    Sl__KeyValue **all = arena_alloc(a, (q->n_filters + 1) * sizeof(*all));
    Sl__KeyValue *kv = arena_alloc(a, sizeof(*kv));
    sl__key_value__init(kv);
    kv->key = arena_strdup(a, key);
    kv->value = arena_strdup(a, value);
    if (q->n_filters != 0)
        memcpy(all, q->filters, q->n_filters * sizeof(*all));
    all[q->n_filters++] = kv;
    q->filters = all;
}

size_t command_field(struct arena *a, Sl__QueryRequest *q, unsigned field_id)
{
    for (size_t i = 0; i < q->n_fields; i++)
        if (q->fields[i] == field_id)
            return i;
    uint32_t *all = arena_alloc(a, (q->n_fields + 1) * sizeof(*all));
    if (q->n_fields != 0)
        memcpy(all, q->fields, q->n_fields * sizeof(*all));
    all[q->n_fields] = field_id;
    q->fields = all;
    return q->n_fields++;
}

int command_ack(const char *program, const char *verb, const Sl__Ack *ack)
{
    for (size_t i = 0; i < ack->n_errors; i++) {
        const Sl__JobError *e = ack->errors[i];
        /* These two speak of the id that stands in front anyway. */
        bool plain = e->code == SL_EINVAL_JOB_ID || e->code == SL_EALREADY_DONE;
        const char *text = plain || e->text[0] == '\0' ? err_name(e->code) : e->text;
        if (e->what[0] != '\0')
            command_error(program, "%s %s: %s", verb, e->what, text);
        else
            command_error(program, "%s", text);
    }
    if (ack->n_errors == 0 && ack->code != 0)
        command_error(program, "%s: %s", verb,
                      ack->text[0] != '\0' ? ack->text : err_name(ack->code));
    return ack->n_errors != 0 || ack->code != 0 ? command_exit_error() : 0;
}

void command_explain(const char *program, const char *lines)
{
    struct arena a;
    struct buf words;
    struct explain_item it;
    arena_init(&a);
    buf_init(&words);
    while (explain_read(&lines, &a, &it)) {
        buf_clear(&words);
        explain_words(&it, &words);
        command_say(program, "%s%s", explain_lead(explain_section(it.code)), buf_str(&words));
    }
    buf_fini(&words);
    arena_fini(&a);
}

void command_warn(const char *program, const struct job_request *r)
{
    if (r->warning != NULL)
        command_say(program, "warning: %s", r->warning);
}

/* ---- from the command line to the answer -------------------------------------------------- */

/* --clusters: there is one, by its name or as "all". */
static int clusters_check(const char *list, const char *own, struct err *err)
{
    for (const char *p = list; p != NULL && *p != '\0';) {
        size_t n = strcspn(p, ",");
        bool known = (n == strlen(own) && strncmp(p, own, n) == 0) || (n == 3 && strncasecmp(p, "all", n) == 0);
        if (n != 0 && !known)
            return err_set(err, SL_EINVAL_FIELD, "--clusters: there is no cluster \"%.*s\", this one is \"%s\"",
                           (int)n, p, own);
        p += n + (p[n] == ',');
    }
    return 0;
}

static int seconds_parse(const char *text, unsigned *seconds, struct err *err)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (n <= 0 || n > INT_MAX || *end != '\0')
        return err_set(err, SL_EINVAL_FIELD, "--iterate=%s: not a number of seconds", text);
    *seconds = (unsigned)n;
    return 0;
}

/* Once, or again and again. The first round's error ends it: that is mostly the question's.
 * Later ones are said, and the next round may find the controller back. */
static int rounds(const struct command *cmd, struct client *c, unsigned seconds, struct err *err)
{
    int rc = cmd->show(c, err);
    while (rc == 0 && seconds != 0 && !ferror(stdout)) {
        putchar('\n');
        fflush(stdout);
        sleep(seconds);
        if (cmd->show(c, err) != 0)
            command_fail(cmd->program, err);
    }
    return rc;
}

int command_show(const struct command *cmd, int argc, char **argv)
{
    struct err err = {0};
    struct client c;
    unsigned seconds = 0;
    int at, code;

    if (!command_begin(cmd, argc, argv, &at, &code) || (cmd->answered != NULL && cmd->answered()))
        return command_end(cmd->program, code);
    int rc = cmd->iterate != NULL && *cmd->iterate != NULL ? seconds_parse(*cmd->iterate, &seconds, &err) : 0;
    if (rc == 0 && cmd->check != NULL)
        rc = cmd->check(&err);
    if (rc != 0 || client_init(&c, cmd->program, &err) != 0)
        return command_end(cmd->program, command_fail(cmd->program, &err));
    command_stdout_buffer();
    rc = clusters_check(command_shared.clusters, c.conf->cluster_name, &err);
    if (rc == 0)
        rc = rounds(cmd, &c, seconds, &err);
    code = rc != 0 ? command_fail(cmd->program, &err) : 0;
    client_fini(&c);
    return command_end(cmd->program, code);
}

int command_end(const char *program, int code)
{
    bool broken = ferror(stdout) != 0; /* an earlier write: errno is another's by now */

    errno = 0;
    if (fflush(stdout) == 0 && !broken)
        return code;
    /* A reader that has seen enough needs no message. */
    if (errno != EPIPE)
        command_error(program, "cannot write standard output%s%s", errno != 0 ? ": " : "",
                      errno != 0 ? strerror(errno) : "");
    return code != 0 ? code : command_exit_error();
}

void command_cluster_line(const struct client *c)
{
    if (command_shared.clusters != NULL)
        printf("CLUSTER: %s\n", c->conf->cluster_name);
}

void command_stdout_buffer(void)
{
    static char space[STDOUT_BYTES];
    setvbuf(stdout, space, _IOFBF, sizeof(space));
}
