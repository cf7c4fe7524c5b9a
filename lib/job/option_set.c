/* SPDX-License-Identifier: Apache-2.0
 *
 * What each kind of option does with its value. The caller puts the option's
 * name (and script line or variable) in front of an error.
 */
#include "job/option.h"

#include "base/hostlist.h"
#include "base/limits.h"
#include "job/state.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HOSTFILE_BYTES_MAX (1u << 20)

/* The option's member in the job's and in the step's spec (srun), NULL if none. */
static void *in_job(struct request *r, const struct option *o)
{
    return o->where != OPT_NOWHERE ? (char *)&r->pub.spec + o->where : NULL;
}

static void *in_step(struct request *r, const struct option *o)
{
    if (o->where_step == OPT_NOWHERE || r->pub.command != JOB_CMD_SRUN)
        return NULL;
    return (char *)&r->pub.step + o->where_step;
}

static void *in_pub(struct request *r, const struct option *o)
{
    return (char *)&r->pub + o->where;
}

static char *keep(struct request *r, const char *text)
{
    return arena_strdup(&r->pub.arena, text);
}

static void store_text(struct request *r, const struct option *o, const char *value)
{
    char **job = in_job(r, o), **step = in_step(r, o);
    char *text = keep(r, value);
    if (job != NULL)
        *job = text;
    if (step != NULL)
        *step = text;
}

static void store_u32(struct request *r, const struct option *o, uint32_t value)
{
    uint32_t *job = in_job(r, o), *step = in_step(r, o);
    if (job != NULL)
        *job = value;
    if (step != NULL)
        *step = value;
}

static int bad(struct err *err, const char *value, const char *expected)
{
    return err_set(err, SL_EINVAL_FIELD, "\"%.64s\" is not %s", value, expected);
}

static int number(const char *value, uint32_t min, uint32_t max, uint32_t *out, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end != '\0')
        return err_set(err, SL_EINVAL_FIELD, "Invalid numeric value \"%.64s\"", value);
    if (errno != 0 || v < min || v > max)
        return err_set(err, SL_EINVAL_FIELD,
                       "Invalid numeric value \"%.64s\": must be from %u to %u", value, min, max);
    *out = (uint32_t)v;
    return 0;
}

/* A variable or an optional argument that switches something on or off. */
static bool is_off(const char *value)
{
    return value != NULL && (strcmp(value, "0") == 0 || strcasecmp(value, "no") == 0 ||
                             strcasecmp(value, "false") == 0 || strcasecmp(value, "off") == 0);
}

/* ---- plain kinds --------------------------------------------------------------- */

int opt_text(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    store_text(r, o, value);
    return 0;
}

int opt_u32(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t v;
    int rc = number(value, o->min, o->max, &v, err);
    if (rc == 0)
        store_u32(r, o, v);
    return rc;
}

int opt_flag(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    protobuf_c_boolean *job = in_job(r, o), *step = in_step(r, o);
    if (job != NULL)
        *job = !is_off(value);
    if (step != NULL)
        *step = !is_off(value);
    return 0;
}

int opt_pub_flag(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    *(bool *)in_pub(r, o) = !is_off(value);
    return 0;
}

int opt_pub_text(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    *(const char **)in_pub(r, o) = keep(r, value);
    return 0;
}

int opt_ignore(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)r, (void)o, (void)value, (void)err;
    return 0;
}

int opt_verbose(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)o, (void)err;
    if (value != NULL) /* SBATCH_DEBUG=1 */
        r->pub.verbose = !is_off(value);
    else
        r->pub.verbose++;
    return 0;
}

int opt_bell(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    if (!is_off(value))
        r->pub.bell = (int)o->min;
    return 0;
}

/* A text that only travels to the job's variables: --gpu-bind, --mem-bind. */
int opt_profile_text(struct request *r, const struct option *o, const char *value,
                     struct err *err)
{
    if (strcasecmp(value, "none") == 0 || strcasecmp(value, "no") == 0) {
        store_text(r, o, "none");
        return 0;
    }
    if (o->where_step == offsetof(Sl__StepSpec, mem_bind) && strcasecmp(value, "local") == 0) {
        store_text(r, o, "local");
        return 0;
    }
    return err_set(err, SL_ENOT_BUILT, "not built yet: binding \"%.64s\"", value);
}

/* ---- sizes and times --------------------------------------------------------------- */

int opt_mem_mib(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint64_t mib;
    int rc = mem_parse_mib(value, &mib, err);
    if (rc != 0)
        return rc;
    /* sbatch(1) --mem: zero asks for all memory of the node. */
    if (mib == 0 && o->group == OPT_GROUP_MEM)
        mib = MEM_ALL;
    uint64_t *job = in_job(r, o), *step = in_step(r, o);
    if (job != NULL)
        *job = mib;
    if (step != NULL)
        *step = mib;
    return 0;
}

int opt_time_limit(struct request *r, const struct option *o, const char *value, struct err *err)
{
    usec_t span;
    int rc = span_parse(value, &span, err);
    if (rc != 0)
        return rc;
    if (span == 0) /* sbatch(1) --time: zero asks for no limit */
        span = SPAN_INFINITE;
    int64_t *job = in_job(r, o), *step = in_step(r, o);
    if (job != NULL)
        *job = span;
    if (step != NULL)
        *step = span;
    return 0;
}

int opt_begin(struct request *r, const struct option *o, const char *value, struct err *err)
{
    bool begin = o->where == offsetof(Sl__JobSpec, begin_usec);
    (void)err;
    *(begin ? &r->begin : &r->deadline) = keep(r, value);
    *(begin ? &r->begin_label : &r->deadline_label) = keep(r, r->label);
    return 0;
}

int opt_immediate(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t sec = 0;
    (void)o;
    if (value != NULL) {
        int rc = number(value, 0, 86400, &sec, err);
        if (rc != 0)
            return rc;
    }
    r->pub.immediate = true;
    r->pub.step.immediate = true;
    r->pub.immediate_usec = sec <= 1 ? 0 : sec * USEC_PER_SEC;
    return 0;
}

int opt_wait_srun(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t sec;
    (void)o;
    int rc = number(value, 0, INT32_MAX, &sec, err);
    if (rc == 0)
        r->pub.step.wait_usec = sec * USEC_PER_SEC;
    return rc;
}

/* ---- nodes and tasks ------------------------------------------------------------------ */

/* A node count with the suffixes of sbatch(1) --nodes. */
static bool node_count(const char **p, uint32_t *out)
{
    char *end;
    if (!isdigit((unsigned char)**p))
        return false;
    errno = 0;
    unsigned long long v = strtoull(*p, &end, 10);
    unsigned shift = (*end | 0x20) == 'k' ? 10 : (*end | 0x20) == 'm' ? 20 : 0;
    if (errno != 0 || v == 0 || v > (NODES_MAX >> shift))
        return false;
    *out = (uint32_t)(v << shift);
    *p = end + (shift != 0);
    return true;
}

int opt_nodes(struct request *r, const struct option *o, const char *value, struct err *err)
{
    const char *p = value;
    uint32_t min, max;
    (void)o;
    if (!node_count(&p, &min))
        return bad(err, value, "a valid node count");
    max = min;
    if (*p == '-') {
        p++;
        if (!node_count(&p, &max) || max < min)
            return bad(err, value, "a valid node count");
    }
    if (*p != '\0')
        return bad(err, value, "a valid node count");
    r->pub.spec.nodes_min = r->pub.step.nodes_min = min;
    r->pub.spec.nodes_max = r->pub.step.nodes_max = max;
    r->nodes_set = true;
    return 0;
}

/* Names from a file, blanks, commas and newlines between them. */
static char *hosts_read(struct request *r, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "cannot open %s", path);
        return NULL;
    }
    char *text = arena_alloc(&r->pub.arena, HOSTFILE_BYTES_MAX + 1);
    size_t n = 0;
    ssize_t got = 1;
    while (n < HOSTFILE_BYTES_MAX && (got = read(fd, text + n, HOSTFILE_BYTES_MAX - n)) > 0)
        n += (size_t)got;
    if (got < 0)
        err_errno(err, "cannot read %s", path);
    else if (n == HOSTFILE_BYTES_MAX)
        err_set(err, SL_EINVAL_FIELD, "%s: larger than %u bytes", path, HOSTFILE_BYTES_MAX);
    close(fd);
    if (got < 0 || n == HOSTFILE_BYTES_MAX)
        return NULL;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        bool sep = isspace((unsigned char)text[i]) || text[i] == ',';
        if (!sep)
            text[k++] = text[i];
        else if (k > 0 && text[k - 1] != ',')
            text[k++] = ',';
    }
    while (k > 0 && text[k - 1] == ',')
        k--;
    text[k] = '\0';
    if (k == 0) {
        err_set(err, SL_EINVAL_NODE, "%s names no node", path);
        return NULL;
    }
    return text;
}

static int hosts_store(struct request *r, const struct option *o, const char *list,
                       struct err *err)
{
    struct hostlist *hl = hostlist_create(list, err);
    if (hl == NULL)
        return err != NULL ? err->code : SL_EINVAL_NODE;
    hostlist_destroy(hl);
    store_text(r, o, list);
    return 0;
}

int opt_nodefile(struct request *r, const struct option *o, const char *value, struct err *err)
{
    char *list = hosts_read(r, value, err);
    return list != NULL ? hosts_store(r, o, list, err) : err->code;
}

int opt_hosts(struct request *r, const struct option *o, const char *value, struct err *err)
{
    if (strchr(value, '/') != NULL)
        return opt_nodefile(r, o, value, err);
    return hosts_store(r, o, value, err);
}

/* "s[:c[:t]]", each a count or "*". */
int opt_extra_node_info(struct request *r, const struct option *o, const char *value,
                        struct err *err)
{
    Sl__JobSpec *s = &r->pub.spec;
    uint32_t *const part[] = {&s->sockets_per_node, &s->cores_per_socket, &s->threads_per_core};
    char *copy = keep(r, value), *save = NULL;
    size_t i = 0;
    (void)o;
    for (char *p = strtok_r(copy, ":", &save); p != NULL; p = strtok_r(NULL, ":", &save), i++) {
        if (i == COUNT(part))
            return bad(err, value, "sockets[:cores[:threads]]");
        int rc = strcmp(p, "*") == 0 ? 0 : number(p, 1, CPUS_PER_NODE_MAX, part[i], err);
        if (rc != 0)
            return rc;
    }
    return i == 0 ? bad(err, value, "sockets[:cores[:threads]]") : 0;
}

int opt_relative(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t n;
    int rc = number(value, o->min, o->max, &n, err);
    if (rc == 0)
        r->pub.step.relative = n + 1;
    return rc;
}

int opt_partition(struct request *r, const struct option *o, const char *value, struct err *err)
{
    enum { NAMES_MAX = 64 };
    Sl__JobSpec *s = &r->pub.spec;
    char *copy = keep(r, value), *save = NULL;
    char **names = arena_alloc(&r->pub.arena, NAMES_MAX * sizeof(*names));
    size_t n = 0;
    (void)o;
    for (char *p = strtok_r(copy, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
        if (n == NAMES_MAX)
            return err_set(err, SL_EINVAL_PARTITION, "more than %d partitions", NAMES_MAX);
        names[n++] = p;
    }
    if (n == 0)
        return err_set(err, SL_EINVAL_PARTITION, "\"%s\" names no partition", value);
    s->partitions = names;
    s->n_partitions = n;
    return 0;
}

int opt_exclusive(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)o;
    if (value != NULL && (strcasecmp(value, "mcs") == 0 || strcasecmp(value, "user") == 0))
        return err_set(err, SL_ENOT_BUILT, "not built yet: nodes for one user or label");
    if (value == NULL || strcasecmp(value, "exclusive") == 0 || strcmp(value, "1") == 0)
        r->pub.spec.exclusive = 1;
    else if (is_off(value))
        return 0;
    else
        return bad(err, value, "\"exclusive\", or nothing");
    r->pub.step.exclusive = true;
    return 0;
}

/* ---- generic resources -------------------------------------------------------------------- */

int opt_gres_text(struct request *r, const struct option *o, const char *value, struct err *err)
{
    Sl__GresReq **list = NULL;
    size_t count = 0;
    if (strcasecmp(value, "help") == 0)
        return err_set(err, SL_EINVAL_GRES, "the list of generic resources is in: sinfo -o \"%%N %%G\"");
    int rc = gres_parse(value, SL__GRES_PER__GRES_PER_NODE, &r->pub.arena, &list, &count, err);
    if (rc == 0)
        r->gres[o->where] = keep(r, value);
    return rc;
}

/* "[type:]n[,...]" becomes "gpu:[type:]n,...". */
int opt_gpus(struct request *r, const struct option *o, const char *value, struct err *err)
{
    Sl__GresReq **list = NULL;
    size_t count = 0;
    bool counted = true; /* a type alone is no number of GPUs */
    struct buf b;

    buf_init(&b);
    for (const char *p = value;;) {
        size_t n = strcspn(p, ",");
        const char *colon = memchr(p, ':', n);
        counted = counted && isdigit((unsigned char)(colon != NULL ? colon[1] : *p));
        buf_printf(&b, "%sgpu:%.*s", b.len != 0 ? "," : "", (int)n, p);
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    int rc = gres_parse(buf_str(&b), SL__GRES_PER__GRES_PER_NODE, &r->pub.arena, &list, &count, err);
    if (rc == 0 && counted)
        r->gres[o->where] = keep(r, buf_str(&b));
    else
        rc = bad(err, value, "a number of GPUs ([type:]number[,...])");
    buf_fini(&b);
    return rc;
}

/* ---- policy ----------------------------------------------------------------------------------- */

int opt_array(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t *ids, throttle;
    size_t count;
    int rc = array_parse(value, 0, &r->pub.arena, &ids, &count, &throttle, err);
    if (rc == 0)
        store_text(r, o, value);
    return rc;
}

int opt_nice(struct request *r, const struct option *o, const char *value, struct err *err)
{
    const long long nice_max = 2147483645;
    char *end;
    (void)o;
    if (value == NULL) {
        r->pub.spec.nice = 100;
        return 0;
    }
    errno = 0;
    long long v = strtoll(value, &end, 10);
    if (end == value || *end != '\0')
        return err_set(err, SL_EINVAL_FIELD, "Invalid numeric value \"%.64s\"", value);
    if (errno != 0 || v > nice_max || v < -nice_max)
        return err_set(err, SL_EINVAL_FIELD, "\"%.64s\" is not within +- %lld", value, nice_max);
    r->pub.spec.nice = (int32_t)v;
    return 0;
}

int opt_priority(struct request *r, const struct option *o, const char *value, struct err *err)
{
    int rc = 0;
    (void)o;
    if (strcasecmp(value, "TOP") == 0)
        r->pub.spec.priority = NO_VAL - 1;
    else
        rc = number(value, 0, NO_VAL - 1, &r->pub.spec.priority, err);
    if (rc == 0)
        r->pub.spec.has_priority = true;
    return rc;
}

int opt_requeue(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    if (!is_off(value))
        r->pub.spec.requeue = o->min;
    return 0;
}

int opt_kill_dep(struct request *r, const struct option *o, const char *value, struct err *err)
{
    if (strcasecmp(value, "yes") != 0 && strcasecmp(value, "no") != 0)
        return bad(err, value, "yes or no");
    store_u32(r, o, strcasecmp(value, "yes") == 0 ? 1 : 2);
    return 0;
}

int opt_no_kill(struct request *r, const struct option *o, const char *value, struct err *err)
{
    if (value != NULL && r->now == OPT_RANK_ARGV && strcasecmp(value, "off") != 0)
        return bad(err, value, "\"off\"");
    return opt_flag(r, o, value, err);
}

int opt_signal(struct request *r, const struct option *o, const char *value, struct err *err)
{
    struct signal_option s;
    int rc = signal_option_parse(value, &s, err);
    if (rc == 0)
        store_text(r, o, value);
    return rc;
}

int opt_mail_type(struct request *r, const struct option *o, const char *value, struct err *err)
{
    static const char *const words[] = {
        "NONE", "BEGIN", "END", "FAIL", "REQUEUE", "ALL", "INVALID_DEPEND", "STAGE_OUT",
        "TIME_LIMIT", "TIME_LIMIT_90", "TIME_LIMIT_80", "TIME_LIMIT_50", "ARRAY_TASKS"};
    for (const char *p = value;;) {
        size_t n = strcspn(p, ","), i = 0;
        while (i < COUNT(words) && !(strlen(words[i]) == n && strncasecmp(words[i], p, n) == 0))
            i++;
        if (i == COUNT(words))
            return bad(err, value, "a list of mail events (BEGIN, END, FAIL, REQUEUE, ALL, ...)");
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    store_text(r, o, value);
    return 0;
}

int opt_user(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t uid;
    if (number(value, 0, NO_VAL - 1, &uid, NULL) != 0) {
        const struct passwd *pw = getpwnam(value);
        if (pw == NULL)
            return err_set(err, SL_EINVAL_FIELD, "no such user \"%.64s\"", value);
        uid = pw->pw_uid;
    }
    store_u32(r, o, uid + 1);
    return 0;
}

int opt_group_id(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t gid;
    if (number(value, 0, NO_VAL - 1, &gid, NULL) != 0) {
        const struct group *gr = getgrnam(value);
        if (gr == NULL)
            return err_set(err, SL_EINVAL_FIELD, "no such group \"%.64s\"", value);
        gid = gr->gr_gid;
    }
    store_u32(r, o, gid + 1);
    return 0;
}

int opt_wait_nodes(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t v;
    int rc = number(value, 0, 1, &v, err);
    (void)r, (void)o;
    if (rc == 0 && v == 1) /* 0: as soon as the first node is ready, which is what is done */
        rc = err_set(err, SL_ENOT_BUILT, "not built yet: waiting for all nodes of the job");
    return rc;
}

int opt_kill_command(struct request *r, const struct option *o, const char *value, struct err *err)
{
    int sig = value != NULL ? signal_parse(value) : 15;
    (void)o;
    if (sig < 0)
        return bad(err, value, "a signal");
    r->pub.kill_command = sig;
    return 0;
}

int opt_bad_exit(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t v = 1;
    int rc = value != NULL ? number(value, 0, 1, &v, err) : 0;
    (void)o;
    if (rc == 0)
        r->pub.step.kill_on_bad_exit = (int32_t)v;
    return rc;
}

/* ---- execution ------------------------------------------------------------------------------- */

int opt_job_name(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    /* srun(1) SLURM_JOB_NAME: inside an allocation it is the job's name, not the step's. */
    if (r->pub.command == JOB_CMD_SRUN && r->now == OPT_RANK_ENV)
        r->pub.spec.name = keep(r, value);
    else
        store_text(r, o, value);
    return 0;
}

int opt_chdir(struct request *r, const struct option *o, const char *value, struct err *err)
{
    char dir[PATH_LEN_MAX + 1];
    if (value[0] == '/') {
        store_text(r, o, value);
        r->chdir_set = true;
        return 0;
    }
    if (getcwd(dir, sizeof(dir)) == NULL)
        return err_errno(err, "cannot tell the current directory");
    store_text(r, o, strcmp(value, ".") == 0 ? dir
                                             : arena_printf(&r->pub.arena, "%s/%s", dir, value));
    r->chdir_set = true;
    return 0;
}

int opt_open_mode(struct request *r, const struct option *o, const char *value, struct err *err)
{
    bool append = value[0] == 'a' || value[0] == 'A';
    if (!append && value[0] != 't' && value[0] != 'T')
        return bad(err, value, "append or truncate");
    store_u32(r, o, append ? 1 : 2);
    return 0;
}

int opt_distribution(struct request *r, const struct option *o, const char *value,
                     struct err *err)
{
    if (strcasecmp(value, "plane") == 0) {
        const char *size = getenv("SLURM_DIST_PLANESIZE");
        if (size == NULL)
            return err_set(err, SL_EINVAL_FIELD, "\"plane\" needs a size (plane=N)");
        value = arena_printf(&r->pub.arena, "plane=%s", size);
    }
    int rc = distribution_check(value, NULL, err);
    if (rc == 0)
        store_text(r, o, value);
    return rc;
}

int opt_hint(struct request *r, const struct option *o, const char *value, struct err *err)
{
    static const char *const words[] = {"compute_bound", "memory_bound", "multithread",
                                        "nomultithread"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcasecmp(words[i], value) == 0) {
            store_text(r, o, words[i]);
            return 0;
        }
    return bad(err, value, "compute_bound, memory_bound, multithread or nomultithread");
}

int opt_export(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    if (strcasecmp(value, "ALL") == 0)
        value = "ALL";
    else if (strcasecmp(value, "NONE") == 0 || strcasecmp(value, "NIL") == 0)
        value = "NONE";
    store_text(r, o, value);
    return 0;
}

int opt_input(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t task;
    bool srun = r->pub.command == JOB_CMD_SRUN;

    r->pub.step.stdin_task = 0;
    if (strcasecmp(value, "none") == 0)
        store_text(r, o, "/dev/null");
    else if (srun && strcasecmp(value, "all") == 0)
        store_text(r, o, "");
    else if (srun && number(value, 0, TASKS_PER_STEP_MAX - 1, &task, NULL) == 0) {
        store_text(r, o, "");
        r->pub.step.stdin_task = task + 1;
    } else if (value[0] == '\0')
        return bad(err, value, "a file name");
    else
        store_text(r, o, value);
    return 0;
}

int opt_output(struct request *r, const struct option *o, const char *value, struct err *err)
{
    bool srun = r->pub.command == JOB_CMD_SRUN;
    bool out = o->where == offsetof(Sl__JobSpec, std_out);
    bool *has = out ? &r->pub.has_stdout_task : &r->pub.has_stderr_task;
    uint32_t task = 0;

    *has = false;
    if (strcasecmp(value, "none") == 0)
        store_text(r, o, "/dev/null");
    else if (srun && strcasecmp(value, "all") == 0)
        store_text(r, o, "");
    else if (srun && number(value, 0, TASKS_PER_STEP_MAX - 1, &task, NULL) == 0) {
        store_text(r, o, "");
        *has = true;
        *(out ? &r->pub.stdout_task : &r->pub.stderr_task) = task;
    } else if (value[0] == '\0')
        return bad(err, value, "a file name");
    else
        store_text(r, o, value);
    return 0;
}

int opt_mpi(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)o;
    if (strcasecmp(value, "list") == 0) {
        r->pub.mpi = "list";
        return 0;
    }
    if (strcasecmp(value, "pmix") == 0 || strncasecmp(value, "pmix_v", 6) == 0)
        value = "pmix";
    else if (strcasecmp(value, "none") == 0 || strcasecmp(value, "openmpi") == 0)
        value = "none";
    else if (strcasecmp(value, "pmi2") == 0 || strcasecmp(value, "cray_shasta") == 0)
        return err_set(err, SL_ENOT_BUILT, "not built yet: MPI type \"%s\" (try pmix)", value);
    else
        return bad(err, value, "an MPI type; --mpi=list names them");
    r->pub.mpi = r->pub.step.mpi = keep(r, value);
    return 0;
}

/* Elements of a map_ or mask_ list: numbers with "*count". */
static bool bind_list_ok(const char *p, bool mask)
{
    const char *digits = mask ? "0123456789abcdefABCDEFx" : "0123456789x";
    for (;;) {
        size_t n = strspn(p, digits);
        if (n == 0)
            return false;
        p += n;
        if (*p == '*') {
            n = strspn(++p, "0123456789");
            if (n == 0)
                return false;
            p += n;
        }
        if (*p == '\0')
            return true;
        if (*p++ != ',')
            return false;
    }
}

int opt_cpu_bind(struct request *r, const struct option *o, const char *value, struct err *err)
{
    static const char *const words[] = {"q", "quiet", "v", "verbose", "no", "none", "rank",
        "rank_ldom", "sockets", "cores", "threads", "ldoms", "socket", "core", "thread", "ldom"};
    static const char *const lists[] = {"map_cpu:", "mask_cpu:", "map_ldom:", "mask_ldom:"};

    for (const char *p = value;;) {
        for (size_t i = 0; i < COUNT(lists); i++)
            if (strncasecmp(p, lists[i], strlen(lists[i])) == 0) {
                if (!bind_list_ok(p + strlen(lists[i]), lists[i][1] == 'a' && lists[i][2] == 's'))
                    return bad(err, value, "a cpu binding: its list is malformed");
                store_text(r, o, value);
                return 0;
            }
        size_t n = strcspn(p, ","), i = 0;
        while (i < COUNT(words) && !(strlen(words[i]) == n && strncasecmp(words[i], p, n) == 0))
            i++;
        if (i == COUNT(words))
            return bad(err, value,
                       "a cpu binding: [quiet|verbose,] none, rank, sockets, cores, threads, "
                       "ldoms, rank_ldom, map_cpu:LIST, mask_cpu:LIST, map_ldom:LIST, mask_ldom:LIST");
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    store_text(r, o, value);
    return 0;
}

int opt_pty(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)o, (void)value, (void)err;
    r->pub.pty = true;
    r->pub.step.pty = true;
    r->pub.step.unbuffered = true;
    return 0;
}

int opt_propagate(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)o;
    value = value != NULL ? value : "ALL";
    if (!rlimits_known(value))
        return bad(err, value, "a list of limits (ALL, NONE, AS, CORE, CPU, DATA, FSIZE, MEMLOCK, "
                               "NOFILE, NPROC, RSS, STACK)");
    r->propagate = keep(r, value);
    return 0;
}
