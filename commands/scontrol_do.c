/* SPDX-License-Identifier: Apache-2.0 */
#include "scontrol.h"

#include "alloc.h"
#include "job/field.h"
#include "job/state.h"
#include "print.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* Sends a request that is answered by an Ack; prints what failed. */
static int ack_call(struct scontrol *s, enum wire_type type, const ProtobufCMessage *m,
                    const char *verb)
{
    struct err err = {0};
    struct wire_msg reply;
    int rc = client_call(&s->client, type, m, WIRE_ACK, 0, &reply, &err);
    if (rc != 0)
        return scontrol_fail(1, "%s", err.text);
    const Sl__Ack *ack = (const Sl__Ack *)reply.body;
    if (s->json)
        rc = print_json_ack(scontrol_program, ack, stdout) != 0 ? command_exit_error() : 0;
    else
        rc = command_ack(scontrol_program, verb, ack);
    wire_msg_clear(&reply);
    return rc;
}

/* Words and comma lists of job ids, commas inside brackets kept. */
static size_t ids_split(struct arena *a, int argc, char **argv, char ***out)
{
    size_t n = 0, cap = 0;
    char **ids = NULL;
    for (int i = 0; i < argc; i++)
        for (const char *p = argv[i]; *p != '\0';) {
            size_t len = 0;
            int depth = 0;
            for (; p[len] != '\0' && (p[len] != ',' || depth > 0); len++)
                depth += p[len] == '[' ? 1 : p[len] == ']' ? -1 : 0;
            if (n == cap) {
                char **more = arena_alloc(a, (cap + 32) * 2 * sizeof(*more));
                if (n != 0)
                    memcpy(more, ids, n * sizeof(*more));
                ids = more;
                cap = (cap + 32) * 2;
            }
            if (len != 0)
                ids[n++] = arena_printf(a, "%.*s", (int)len, p);
            p += len + (p[len] == ',');
        }
    *out = ids;
    return n;
}

static int named_add(char *const *cells, size_t count, void *arg)
{
    struct buf *ids = arg;
    (void)count;
    buf_printf(ids, "%s%s", ids->len != 0 ? "," : "", cells[0]);
    return 0;
}

/* Comma list of the ids of jobs with a name, of one user (NULL: of all). NULL: none, *err. */
static char *jobs_named(struct scontrol *s, struct arena *a, const char *name, const char *user,
                        struct err *err)
{
    Sl__QueryRequest *jobs = command_query(a, "job");
    struct buf ids;

    buf_init(&ids);
    command_filter(a, jobs, "name", name);
    command_filter(a, jobs, "user", user);
    command_filter(a, jobs, "state", "PENDING,RUNNING,SUSPENDED");
    command_field(a, jobs, FIELD_JOB_ID);
    jobs->all = true;
    int rc = client_query(&s->client, jobs, named_add, &ids, err);
    if (rc == 0 && (ids.len == 0 || *name == '\0'))
        rc = err_set(err, SL_EINVAL_JOB_ID, "No job has the name %s", name);
    char *list = rc == 0 ? arena_strdup(a, buf_str(&ids)) : NULL;
    buf_fini(&ids);
    return list;
}

static const struct {
    const char *name;
    Sl__JobOp op;
} job_ops[] = {
    {"hold", SL__JOB_OP__JOB_OP_HOLD},
    {"uhold", SL__JOB_OP__JOB_OP_UHOLD},
    {"release", SL__JOB_OP__JOB_OP_RELEASE},
    {"requeue", SL__JOB_OP__JOB_OP_REQUEUE},
    {"requeuehold", SL__JOB_OP__JOB_OP_REQUEUEHOLD},
    {"suspend", SL__JOB_OP__JOB_OP_SUSPEND},
    {"resume", SL__JOB_OP__JOB_OP_RESUME},
    {"top", SL__JOB_OP__JOB_OP_TOP},
};

int scontrol_job_op(struct scontrol *s, int argc, char **argv)
{
    const char *name = argv[-1];
    Sl__JobOpRequest q = SL__JOB_OP_REQUEST__INIT;
    struct arena a;

    for (size_t i = 0; i < sizeof(job_ops) / sizeof(job_ops[0]); i++)
        if (strcasecmp(job_ops[i].name, name) == 0)
            q.op = job_ops[i].op;
    for (; argc > 0; argc--, argv++)
        if (strcasecmp(argv[0], "incomplete") == 0)
            q.incomplete = true;
        else if (strncasecmp(argv[0], "State=", 6) == 0)
            q.state = argv[0] + 6;
        else
            break;
    if (argc == 0)
        return scontrol_fail(1, "too few arguments for keyword:%s", name);
    arena_init(&a);
    struct err err = {0};
    char **ids = arena_alloc(&a, (size_t)argc * sizeof(*ids));
    int rc = 0;
    for (int i = 0; i < argc && rc == 0; i++) {
        bool named = strncasecmp(argv[i], "jobname=", 8) == 0;
        ids[i] = named ? jobs_named(s, &a, argv[i] + 8, NULL, &err) : argv[i];
        rc = ids[i] == NULL ? scontrol_fail(1, "%s", err.text) : 0;
    }
    q.n_job_ids = rc == 0 ? ids_split(&a, argc, ids, &q.job_ids) : 0;
    rc = rc == 0 ? ack_call(s, WIRE_JOB_OP, &q.base, name) : rc;
    arena_fini(&a);
    return rc;
}

/* ---- update ----------------------------------------------------------------------------- */

static const struct {
    const char *key, *what;
} update_heads[] = {
    {"JobId", "job"},        {"Job", "job"},   {"NodeName", "node"},
    {"PartitionName", "partition"}, {"StepId", "step"},
    {"ReservationName", "reservation"}, {"Reservation", "reservation"},
};

static const char *update_head(const char *key)
{
    for (size_t i = 0; i < sizeof(update_heads) / sizeof(update_heads[0]); i++)
        if (strcasecmp(update_heads[i].key, key) == 0)
            return update_heads[i].what;
    return NULL;
}

/* "Key=value", "Key", and "Key+=value" for "Key=+value". */
static Sl__KeyValue *pair_parse(struct arena *a, const char *word)
{
    size_t n = strcspn(word, "=");
    const char *value = word[n] == '=' ? word + n + 1 : "";
    Sl__KeyValue *kv = arena_alloc(a, sizeof(*kv));
    bool sign = word[n] == '=' && n > 1 && (word[n - 1] == '+' || word[n - 1] == '-');
    sl__key_value__init(kv);
    kv->key = arena_printf(a, "%.*s", (int)(n - sign), word);
    kv->value = arena_printf(a, "%.*s%s", (int)sign, sign ? word + n - 1 : "", value);
    return kv;
}

/* scontrol(1) JobName=: without JobId it says which jobs are meant, of UserID= alone
 * when that is given. Takes both out of the pairs. */
static int update_by_name(struct scontrol *s, Sl__UpdateRequest *q, struct arena *a,
                          struct err *err)
{
    const char *name = NULL, *user = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < q->n_set; i++) {
        const char *key = q->set[i]->key, *value = q->set[i]->value;
        if (name == NULL && (strcasecmp(key, "JobName") == 0 || strcasecmp(key, "Name") == 0))
            name = value;
        else if (strcasecmp(key, "UserID") == 0)
            user = value;
        else
            q->set[kept++] = q->set[i];
    }
    if (name == NULL)
        return err_set(err, SL_EINVAL_FIELD, "No valid entity in update command: JobId=, JobName=, "
                                             "NodeName=, PartitionName= or StepId=");
    q->n_set = kept;
    q->what = (char *)"job";
    q->ids = jobs_named(s, a, name, user, err);
    return q->ids != NULL ? 0 : err->code;
}

int scontrol_update(struct scontrol *s, int argc, char **argv)
{
    Sl__UpdateRequest q = SL__UPDATE_REQUEST__INIT;
    struct err err = {0};
    struct arena a;
    int rc = 0;

    arena_init(&a);
    q.set = arena_alloc(&a, ((size_t)argc + 1) * sizeof(*q.set));
    for (int i = 0; i < argc; i++) {
        Sl__KeyValue *kv = pair_parse(&a, argv[i]);
        const char *what = q.what[0] == '\0' ? update_head(kv->key) : NULL;
        if (what != NULL) {
            q.what = (char *)what;
            q.ids = kv->value;
        } else
            q.set[q.n_set++] = kv;
    }
    if (q.what[0] == '\0')
        rc = update_by_name(s, &q, &a, &err);
    if (rc == 0 && q.n_set == 0)
        rc = err_set(&err, SL_EINVAL_FIELD, "No changes specified");
    rc = rc != 0 ? scontrol_fail(1, "%s", err.text) : ack_call(s, WIRE_UPDATE, &q.base, "update");
    arena_fini(&a);
    return rc;
}

/* ---- reservations ----------------------------------------------------------------------- */

/* "create reservation[=name] Key=Value...", also "create reservationname=name ..." */
int scontrol_create(struct scontrol *s, int argc, char **argv)
{
    Sl__UpdateRequest q = SL__UPDATE_REQUEST__INIT;
    struct err err = {0};
    struct wire_msg reply;
    struct arena a;
    bool head = false;

    arena_init(&a);
    q.set = arena_alloc(&a, ((size_t)argc + 1) * sizeof(*q.set));
    for (int i = 0; i < argc; i++) {
        Sl__KeyValue *kv = pair_parse(&a, argv[i]);
        bool resv = strcasecmp(kv->key, "reservation") == 0 || strcasecmp(kv->key, "res") == 0 ||
                    strcasecmp(kv->key, "reservationname") == 0;
        head = head || resv;
        if (!resv)
            q.set[q.n_set++] = kv;
        else if (kv->value[0] != '\0')
            q.ids = kv->value;
    }
    q.what = (char *)"reservation-create";
    int rc;
    if (!head) {
        rc = scontrol_fail(1, argc > 0 ? "not built yet: create %s" : "create: what? reservation",
                           argc > 0 ? argv[0] : "");
    } else if (client_call(&s->client, WIRE_UPDATE, &q.base, WIRE_ACK, 0, &reply, &err) != 0) {
        rc = scontrol_fail(1, "%s", err.text);
    } else {
        const Sl__Ack *ack = (const Sl__Ack *)reply.body;
        rc = ack->code == 0 ? 0 : scontrol_fail(1, "Error creating the reservation: %s", ack->text);
        if (rc == 0 && !s->quiet)
            printf("Reservation created: %s\n", ack->text);
        wire_msg_clear(&reply);
    }
    arena_fini(&a);
    return rc;
}

/* "delete reservation=name", "delete reservationname=name" */
int scontrol_delete(struct scontrol *s, int argc, char **argv)
{
    Sl__UpdateRequest q = SL__UPDATE_REQUEST__INIT;
    struct arena a;
    int rc;

    arena_init(&a);
    Sl__KeyValue *kv = argc > 0 ? pair_parse(&a, argv[0]) : NULL;
    const char *name = kv == NULL ? "" : kv->value[0] == '\0' && argc > 1 ? argv[1] : kv->value;
    if (kv == NULL || update_head(kv->key) == NULL)
        rc = scontrol_fail(1, "delete: what? reservation=NAME");
    else if (strcmp(update_head(kv->key), "reservation") != 0)
        rc = scontrol_fail(1, "not built yet: delete %s", kv->key);
    else if (name[0] == '\0')
        rc = scontrol_fail(1, "delete reservation: its name is missing");
    else {
        q.what = (char *)"reservation-delete";
        q.ids = (char *)name;
        rc = ack_call(s, WIRE_UPDATE, &q.base, "delete");
    }
    arena_fini(&a);
    return rc;
}

/* ---- the controller itself ---------------------------------------------------------------- */

#define PING_TIMEOUT (2 * USEC_PER_SEC)

int scontrol_control(struct scontrol *s, Sl__ControlOp op, const char *argument,
                     struct wire_msg *reply, struct err *err)
{
    usec_t timeout = op == SL__CONTROL_OP__CONTROL_PING ? PING_TIMEOUT : 0;
    Sl__ControlRequest q = SL__CONTROL_REQUEST__INIT;
    q.op = op;
    q.argument = (char *)argument;
    return client_call(&s->client, WIRE_CONTROL, &q.base, WIRE_CONTROL_REPLY, timeout, reply, err);
}

int scontrol_ping(struct scontrol *s, int argc, char **argv)
{
    struct wire_msg m;
    struct err err = {0};
    const char *host = s->client.conf->ctld_host;
    (void)argc, (void)argv;
    bool up = scontrol_control(s, SL__CONTROL_OP__CONTROL_PING, "", &m, &err) == 0;

    if (s->json)
        print_json_value(scontrol_program, "pings",
                         json_pack("[{s:s,s:s,s:s}]", "hostname", host, "pinged",
                                   up ? "UP" : "DOWN", "mode", "primary"), stdout);
    else
        printf("Slurmctld(primary) at %s is %s\n", host, up ? "UP" : "DOWN");
    if (up)
        wire_msg_clear(&m);
    else if (err.code != SL_ECTLD_DOWN)
        command_error(scontrol_program, "%s", err.text);
    return up ? 0 : 1;
}

static int control_simple(struct scontrol *s, Sl__ControlOp op)
{
    struct wire_msg m;
    struct err err = {0};
    if (scontrol_control(s, op, "", &m, &err) != 0)
        return scontrol_fail(1, "%s", err.text);
    const Sl__ControlReply *r = (const Sl__ControlReply *)m.body;
    if (r->text[0] != '\0' && !s->quiet)
        puts(r->text);
    wire_msg_clear(&m);
    return 0;
}

int scontrol_reconfigure(struct scontrol *s, int argc, char **argv)
{
    (void)argc, (void)argv;
    return control_simple(s, SL__CONTROL_OP__CONTROL_RECONFIGURE);
}

int scontrol_shutdown(struct scontrol *s, int argc, char **argv)
{
    if (argc > 0 && strcasecmp(argv[0], "slurmctld") != 0 && strcasecmp(argv[0], "controller") != 0)
        return scontrol_fail(1, "not built yet: shutdown %s", argv[0]);
    return control_simple(s, SL__CONTROL_OP__CONTROL_SHUTDOWN);
}

static void config_line(const char *key, const char *value, void *arg)
{
    (void)arg;
    printf("%-28s = %s\n", key, value[0] != '\0' ? value : "(null)");
}

static void config_member(const char *key, const char *value, void *arg)
{
    json_object_set_new(arg, key, json_string(value));
}

int scontrol_config(struct scontrol *s)
{
    struct wire_msg m;
    struct err err = {0};
    char now[TIME_TEXT_MAX];

    if (scontrol_control(s, SL__CONTROL_OP__CONTROL_CONF, "", &m, &err) != 0)
        return scontrol_fail(1, "%s", err.text);
    const Sl__ControlReply *r = (const Sl__ControlReply *)m.body;
    struct conf *conf = conf_load_text(r->text, "the controller's configuration", &err);
    wire_msg_clear(&m);
    if (conf == NULL)
        return scontrol_fail(1, "%s", err.text);
    if (s->json) {
        json_t *all = json_object();
        conf_each(conf, config_member, all);
        print_json_value(scontrol_program, "config", all, stdout);
    } else {
        printf("Configuration data as of %s\n", time_format(clock_wall_usec(), now));
        conf_each(conf, config_line, NULL);
    }
    conf_destroy(conf);
    return 0;
}

/* ---- write batch_script ---------------------------------------------------------------------- */

static int script_write(const char *path, const ProtobufCBinaryData *script)
{
    if (strcmp(path, "-") == 0) {
        fwrite(script->data, 1, script->len, stdout);
        return 0;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    if (fd < 0)
        return scontrol_fail(1, "cannot open %s: %s", path, strerror(errno));
    for (size_t at = 0; at < script->len;) {
        ssize_t w = write(fd, script->data + at, script->len - at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0) {
            close(fd);
            return scontrol_fail(1, "cannot write %s: %s", path, strerror(errno));
        }
        at += (size_t)w;
    }
    if (close(fd) != 0)
        return scontrol_fail(1, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

int scontrol_write(struct scontrol *s, int argc, char **argv)
{
    Sl__ScriptRequest q = SL__SCRIPT_REQUEST__INIT;
    struct wire_msg m;
    struct err err = {0};
    char path[64];
    char *end;

    if (argc > 0 && scontrol_word(argv[0], "config", 1))
        return scontrol_write_config(s, argc > 1 ? argv[1] : NULL);
    if (argc < 2 || !scontrol_word(argv[0], "batch_script", 1))
        return scontrol_fail(1, "write: batch_script JOB [FILE]");
    unsigned long id = strtoul(argv[1], &end, 10);
    if (*end != '\0' || id == 0 || id > UINT32_MAX)
        return scontrol_fail(1, "Invalid job id %s", argv[1]);
    q.job_id = (uint32_t)id;
    if (client_call(&s->client, WIRE_SCRIPT, &q.base, WIRE_SCRIPT_REPLY, 0, &m, &err) != 0)
        return scontrol_fail(1, "job script retrieval failed: %s", err.text);
    snprintf(path, sizeof(path), "slurm-%lu.sh", id);
    const char *to = argc > 2 ? argv[2] : path;
    int rc = script_write(to, &((const Sl__ScriptReply *)m.body)->script);
    if (rc == 0 && strcmp(to, "-") != 0)
        printf("batch script for job %lu written to %s\n", id, to);
    wire_msg_clear(&m);
    return rc;
}

/* ---- wait_job ----------------------------------------------------------------------------------- */

int scontrol_wait_job(struct scontrol *s, int argc, char **argv)
{
    struct alloc a;
    struct err err = {0};
    char *end;
    (void)s;
    unsigned long id = argc > 0 ? strtoul(argv[0], &end, 10) : 0;
    if (id == 0 || id > UINT32_MAX || *end != '\0')
        return scontrol_fail(1, "wait_job: a job id is needed");
    int rc = alloc_init(&a, scontrol_program, true, &err);
    if (rc == 0)
        rc = alloc_watch(&a, (uint32_t)id, false, &err);
    while (rc == 0) {
        struct pollfd p = {.fd = alloc_fd(&a), .events = POLLIN};
        if (alloc_pump(&a, &err) < 0)
            rc = err.code;
        else if (alloc_ended(&a))
            rc = err_set(&err, SL_EALREADY_DONE, "job %lu ended without being ready", id);
        else if (alloc_granted(&a) && !(a.last->state_flags & JOBF_CONFIGURING))
            break;
        else
            poll(&p, 1, alloc_poll_timeout(&a));
    }
    if (rc != 0)
        rc = scontrol_fail(1, "%s", err.text);
    alloc_fini(&a);
    return rc;
}
