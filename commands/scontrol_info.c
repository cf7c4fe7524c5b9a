/* SPDX-License-Identifier: Apache-2.0
 *
 * scontrol completing, errnumstr, setdebug, write config, show aliases and daemons.
 */
#include "scontrol.h"

#include "job/field.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* ---- completing ------------------------------------------------------------------------- */

static int completing_take(char *const *cells, size_t count, void *arg)
{
    char end[TIME_TEXT_MAX];
    (void)count;
    (void)arg;
    printf("JobId=%s EndTime=%s Nodes(%s)=%s\n", cells[0],
           time_format(strtoll(cells[1], NULL, 10) * USEC_PER_SEC, end), cells[2], cells[3]);
    return 0;
}

int scontrol_completing(struct scontrol *s, int argc, char **argv)
{
    static const unsigned ids[] = {FIELD_JOB_ID, FIELD_JOB_END, FIELD_JOB_STATE, FIELD_JOB_NODELIST};
    struct arena a;
    struct err err = {0};
    (void)argc, (void)argv;

    arena_init(&a);
    Sl__QueryRequest *q = command_query(&a, "job");
    command_filter(&a, q, "state", "COMPLETING");
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        command_field(&a, q, ids[i]);
    q->all = true;
    int rc = client_query(&s->client, q, completing_take, NULL, &err);
    arena_fini(&a);
    return rc != 0 ? scontrol_fail(1, "%s", err.text) : 0;
}

/* ---- errnumstr --------------------------------------------------------------------------- */

int scontrol_errnumstr(struct scontrol *s, int argc, char **argv)
{
    char *end;
    (void)s;
    long n = argc == 1 ? strtol(argv[0], &end, 10) : 0;
    if (argc != 1 || *end != '\0' || end == argv[0] || n < -100000 || n > 100000)
        return scontrol_fail(1, "errnumstr: the number of an error is needed");
    puts(err_name(n > 0 ? (int)-n : (int)n));
    return 0;
}

/* ---- setdebug ------------------------------------------------------------------------------ */

/* Slurm's levels by number and name, and ours: there is none below errors. */
static const char *const levels[][2] = {
    {"quiet", "error"}, {"fatal", "error"}, {"error", "error"},  {"info", "info"},   {"verbose", "verbose"},
    {"debug", "debug"}, {"debug2", "debug"}, {"debug3", "debug"}, {"debug4", "debug"}, {"debug5", "debug"},
};

int scontrol_setdebug(struct scontrol *s, int argc, char **argv)
{
    const char *level = NULL;
    for (size_t i = 0; argc == 1 && i < sizeof(levels) / sizeof(levels[0]); i++) {
        const char number[] = {(char)('0' + i), '\0'};
        if (strcasecmp(argv[0], levels[i][0]) == 0 || strcmp(argv[0], number) == 0)
            level = levels[i][1];
    }
    if (level == NULL)
        return scontrol_fail(1, "setdebug: a level is needed, quiet to debug5 or 0 to 9");
    struct wire_msg m;
    struct err err = {0};
    if (scontrol_control(s, SL__CONTROL_OP__CONTROL_LOG_LEVEL, level, &m, &err) != 0)
        return scontrol_fail(1, "%s", err.text);
    wire_msg_clear(&m);
    return 0;
}

/* ---- write config --------------------------------------------------------------------------- */

/* The controller's configuration, in a file that does not exist yet. */
int scontrol_write_config(struct scontrol *s, const char *file)
{
    struct wire_msg m;
    struct err err = {0};
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;

    if (localtime_r(&now, &tm) == NULL || strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &tm) == 0)
        return scontrol_fail(1, "write config: the clock has no time");
    if (scontrol_control(s, SL__CONTROL_OP__CONTROL_CONF, "", &m, &err) != 0)
        return scontrol_fail(1, "%s", err.text);
    const char *text = ((const Sl__ControlReply *)m.body)->text;
    char *path = xasprintf("%s.%s", file != NULL ? file : "slurmlike.conf", stamp);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    int rc = 0;
    if (out == NULL || fputs(text, out) < 0 || fflush(out) != 0)
        rc = scontrol_fail(1, "cannot write %s: %s", path, strerror(errno));
    else
        printf("Slurm config saved to %s\n", path);
    if (out != NULL)
        fclose(out);
    else if (fd >= 0)
        close(fd);
    free(path);
    wire_msg_clear(&m);
    return rc;
}

/* ---- show aliases, show daemons --------------------------------------------------------------- */

struct here {
    const char *host; /* whose nodes; NULL: this machine */
    char own[256];
    struct buf names;
};

/* "nid5.example.org" and "nid5" are one machine. */
static bool host_is(const char *a, const char *b)
{
    size_t n = strcspn(a, ".");
    return n == strcspn(b, ".") && strncasecmp(a, b, n) == 0;
}

static int node_take(char *const *cells, size_t count, void *arg)
{
    struct here *h = arg;
    const char *hostname = cells[1][0] != '\0' ? cells[1] : cells[0];
    (void)count;
    if (host_is(hostname, h->host))
        buf_printf(&h->names, "%s%s", h->names.len != 0 ? " " : "", cells[0]);
    return 0;
}

static int nodes_here(struct scontrol *s, struct here *h, struct err *err)
{
    struct arena a;
    if (h->host == NULL) {
        if (gethostname(h->own, sizeof(h->own) - 1) != 0)
            return err_set(err, -errno, "this machine's name: %s", strerror(errno));
        h->host = h->own;
    }
    arena_init(&a);
    buf_init(&h->names);
    Sl__QueryRequest *q = command_query(&a, "node");
    command_field(&a, q, FIELD_NODE_NAME);
    command_field(&a, q, FIELD_NODE_HOSTNAME);
    int rc = client_query(&s->client, q, node_take, h, err);
    arena_fini(&a);
    return rc;
}

int scontrol_aliases(struct scontrol *s, const char *host)
{
    struct here h = {.host = host};
    struct err err = {0};
    int rc = nodes_here(s, &h, &err);
    if (rc != 0)
        rc = scontrol_fail(1, "%s", err.text);
    else if (h.names.len == 0)
        rc = scontrol_fail(1, "no node has the NodeHostName %s", h.host);
    else
        puts(buf_str(&h.names));
    buf_fini(&h.names);
    return rc;
}

int scontrol_daemons(struct scontrol *s)
{
    struct here h = {.host = NULL};
    struct err err = {0};
    int rc = nodes_here(s, &h, &err);
    if (rc != 0) {
        buf_fini(&h.names);
        return scontrol_fail(1, "%s", err.text);
    }
    const char *ctld = s->client.conf->ctld_host;
    bool local = host_is(ctld, h.host) || host_is(ctld, "localhost") || strncmp(ctld, "127.", 4) == 0;
    if (local)
        fputs("slurmlike-ctld", stdout);
    if (h.names.len != 0)
        printf("%sslurmlike-d", local ? " " : "");
    putchar('\n');
    buf_fini(&h.names);
    return 0;
}
