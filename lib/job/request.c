/* SPDX-License-Identifier: Apache-2.0
 *
 * A job request from its birth to a message: defaults, rules across options,
 * what the job takes along from the caller (limits, umask, environment).
 */
#include "job/option.h"

#include "base/limits.h"
#include "job/state.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct job_request *job_request_create(enum job_command command)
{
    struct request *r = xcalloc(1, sizeof(*r));
    arena_init(&r->pub.arena);
    r->pub.command = command;
    sl__job_spec__init(&r->pub.spec);
    sl__step_spec__init(&r->pub.step);
    r->pub.step.kill_on_bad_exit = -1;
    r->pub.bell = -1;
    r->pub.spec.type = command == JOB_CMD_SBATCH   ? SL__JOB_TYPE__JOB_TYPE_BATCH
                       : command == JOB_CMD_SALLOC ? SL__JOB_TYPE__JOB_TYPE_ALLOC
                                                   : SL__JOB_TYPE__JOB_TYPE_RUN;
    return &r->pub;
}

void job_request_destroy(struct job_request *pub)
{
    if (pub == NULL)
        return;
    job_request_destroy(pub->next);
    arena_fini(&pub->arena);
    free(pub);
}

/* ---- resource limits ------------------------------------------------------------------ */

static const struct {
    const char *name; /* of --propagate and slurm.conf(5) PropagateResourceLimits */
    int resource;
} limits[] = {
    {"AS", RLIMIT_AS},         {"CORE", RLIMIT_CORE},     {"CPU", RLIMIT_CPU},
    {"DATA", RLIMIT_DATA},     {"FSIZE", RLIMIT_FSIZE},   {"MEMLOCK", RLIMIT_MEMLOCK},
    {"NOFILE", RLIMIT_NOFILE}, {"NPROC", RLIMIT_NPROC},   {"RSS", RLIMIT_RSS},
    {"STACK", RLIMIT_STACK},
};

/* Is `name` (its whole text) a word of the comma list? An optional "RLIMIT_" counts. */
static bool list_has(const char *list, const char *name)
{
    for (const char *p = list;;) {
        size_t n = strcspn(p, ",");
        const char *word = n > 7 && strncasecmp(p, "RLIMIT_", 7) == 0 ? p + 7 : p;
        size_t len = n - (size_t)(word - p);
        if (strlen(name) == len && strncasecmp(word, name, len) == 0)
            return true;
        if (p[n] == '\0')
            return false;
        p += n + 1;
    }
}

bool rlimits_known(const char *list)
{
    unsigned words = 1, known = list_has(list, "ALL") + list_has(list, "NONE");
    for (const char *p = list; *p != '\0'; p++)
        words += *p == ',';
    for (size_t i = 0; i < COUNT(limits); i++)
        known += list_has(list, limits[i].name);
    return known == words;
}

void rlimits_collect(const char *list, Sl__JobSpec *spec, struct arena *a)
{
    bool all = list_has(list, "ALL");
    spec->rlimits = arena_alloc(a, COUNT(limits) * sizeof(*spec->rlimits));
    spec->n_rlimits = 0;
    for (size_t i = 0; i < COUNT(limits); i++) {
        struct rlimit rl;
        if ((!all && !list_has(list, limits[i].name)) || getrlimit(limits[i].resource, &rl) != 0)
            continue;
        Sl__Rlimit *r = arena_alloc(a, sizeof(*r));
        sl__rlimit__init(r);
        r->resource = (uint32_t)limits[i].resource;
        r->soft = rl.rlim_cur;
        r->hard = rl.rlim_max;
        spec->rlimits[spec->n_rlimits++] = r;
    }
}

/* ---- what comes from the caller's surroundings ------------------------------------------- */

static void extra_add(struct request *r, const char *key, const char *value)
{
    Sl__JobSpec *s = &r->pub.spec;
    Sl__KeyValue *kv = arena_alloc(&r->pub.arena, sizeof(*kv));
    Sl__KeyValue **all = arena_alloc(&r->pub.arena, (s->n_extra + 1) * sizeof(*all));
    sl__key_value__init(kv);
    kv->key = arena_strdup(&r->pub.arena, key);
    kv->value = arena_strdup(&r->pub.arena, value);
    if (s->n_extra != 0)
        memcpy(all, s->extra, s->n_extra * sizeof(*all));
    all[s->n_extra++] = kv;
    s->extra = all;
}

static uint32_t umask_wanted(void)
{
    const char *text = getenv("SLURM_UMASK"); /* sbatch(1), srun(1) */
    char *end;
    if (text != NULL && *text != '\0') {
        unsigned long v = strtoul(text, &end, 8);
        if (*end == '\0' && v <= 0777)
            return (uint32_t)v;
    }
    mode_t mask = umask(077);
    umask(mask);
    return mask;
}

static int surroundings(struct request *r, struct err *err)
{
    Sl__JobSpec *s = &r->pub.spec;
    struct arena *a = &r->pub.arena;
    char cwd[PATH_LEN_MAX + 1], host[256];

    if (getcwd(cwd, sizeof(cwd)) == NULL) {
        if (!r->chdir_set)
            return err_errno(err, "cannot tell the current directory");
        strcpy(cwd, s->work_dir);
    }
    if (!r->chdir_set)
        s->work_dir = arena_strdup(a, cwd);
    else if (strcmp(cwd, s->work_dir) != 0 && r->pub.command == JOB_CMD_SBATCH)
        extra_add(r, "SLURM_SUBMIT_DIR", cwd);
    if (gethostname(host, sizeof(host)) == 0) {
        host[sizeof(host) - 1] = '\0';
        s->submit_host = arena_strdup(a, host);
    }
    extra_add(r, "SLURM_PRIO_PROCESS", arena_printf(a, "%d", getpriority(PRIO_PROCESS, 0)));
    s->umask = umask_wanted();
    rlimits_collect(r->propagate != NULL ? r->propagate : "ALL", s, a);
    return 0;
}

/* ---- generic resources --------------------------------------------------------------------- */

static int gres_build(struct request *r, struct err *err)
{
    static const Sl__GresPer per[OPT_GRES_COUNT] = {
        [OPT_GRES] = SL__GRES_PER__GRES_PER_NODE,
        [OPT_GPUS] = SL__GRES_PER__GRES_PER_JOB,
        [OPT_GPUS_PER_NODE] = SL__GRES_PER__GRES_PER_NODE,
        [OPT_GPUS_PER_SOCKET] = SL__GRES_PER__GRES_PER_SOCKET,
        [OPT_GPUS_PER_TASK] = SL__GRES_PER__GRES_PER_TASK,
    };
    Sl__JobSpec *s = &r->pub.spec;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < OPT_GRES_COUNT; i++)
        if (r->gres[i] != NULL)
            rc = gres_parse(r->gres[i], per[i], &r->pub.arena, &s->gres, &s->n_gres, err);
    r->pub.step.gres = s->gres;
    r->pub.step.n_gres = s->n_gres;
    for (size_t i = 0; i < OPT_GRES_COUNT; i++) /* "none", or counts of zero */
        r->pub.step.gres_none |= r->gres[i] != NULL && s->n_gres == 0;
    return rc;
}

/* ---- a step inside an allocation ------------------------------------------------------------ */

static enum opt_rank rank_of(const struct request *r, const char *name)
{
    size_t count;
    const struct option *o = option_by_name(r->pub.command, name, strlen(name), NULL);
    return o != NULL ? (enum opt_rank)r->rank[o - option_table(&count)] : OPT_RANK_NONE;
}

static bool from_env(const struct request *r, const char *name)
{
    return rank_of(r, name) == OPT_RANK_ENV;
}

static bool from_argv(const struct request *r, const char *name)
{
    return rank_of(r, name) == OPT_RANK_ARGV;
}

/* Nodes and tasks of the job (SLURM_NTASKS ...) are a step's where its own command line says
 * nothing, and do not hinder what it says. */
static void inherit_shape(struct request *r)
{
    Sl__JobSpec *s = &r->pub.spec;
    Sl__StepSpec *step = &r->pub.step;
    bool per_node = from_argv(r, "ntasks-per-node") || from_argv(r, "tasks-per-node");

    if (from_env(r, "nodes") && (step->relative != 0 || step->nodelist[0] != '\0')) {
        s->nodes_min = s->nodes_max = step->nodes_min = step->nodes_max = 0;
        r->nodes_set = false;
    }
    if (from_env(r, "ntasks") &&
        (per_node || (from_argv(r, "nodes") && s->ntasks_per_node != 0)))
        s->ntasks = step->ntasks = 0; /* so many on each node */
    if (from_argv(r, "ntasks") && !per_node)
        s->ntasks_per_node = step->ntasks_per_node = 0;
}

/* What the job asked for in all is not what each of its steps asks for. A step that names
 * no memory or gres shares the job's. */
static void inherit_resources(struct request *r)
{
    static const char *const gpus[OPT_GRES_COUNT] = {
        [OPT_GPUS] = "gpus",
        [OPT_GPUS_PER_NODE] = "gpus-per-node",
        [OPT_GPUS_PER_SOCKET] = "gpus-per-socket",
        [OPT_GPUS_PER_TASK] = "gpus-per-task",
    };
    Sl__JobSpec *s = &r->pub.spec;
    bool named = from_argv(r, "gres");

    for (size_t i = 0; i < OPT_GRES_COUNT; i++)
        named = named || (gpus[i] != NULL && from_argv(r, gpus[i]));
    for (size_t i = 0; i < OPT_GRES_COUNT; i++)
        if (gpus[i] != NULL && from_env(r, gpus[i]) && (named || i != OPT_GPUS_PER_TASK))
            r->gres[i] = NULL;
    if (from_env(r, "mem"))
        s->mem_per_node_mib = r->pub.step.mem_per_node_mib = 0;
    if (from_env(r, "mem-per-gpu"))
        s->mem_per_gpu_mib = 0;
    if (from_env(r, "cpus-per-gpu"))
        s->cpus_per_gpu = 0;
    if (from_env(r, "ntasks-per-gpu"))
        s->ntasks_per_gpu = 0;
    if (from_env(r, "hint") && (s->threads_per_core != 0 || s->ntasks_per_core != 0))
        s->hint = r->pub.step.hint = (char *)protobuf_c_empty_string;
}

static void inherit(struct request *r)
{
    Sl__StepSpec *step = &r->pub.step;
    if (r->pub.command != JOB_CMD_SRUN || r->pub.jobid == NULL)
        return;
    inherit_shape(r);
    inherit_resources(r);
    /* srun(1): --cpus-per-task on the command line implies --exact */
    if (from_argv(r, "cpus-per-task") && !step->overlap)
        step->exact = true;
}

/* ---- rules across options ------------------------------------------------------------------- */

static bool has_gpus(const Sl__JobSpec *s)
{
    for (size_t i = 0; i < s->n_gres; i++)
        if (strcmp(s->gres[i]->name, "gpu") == 0)
            return true;
    return false;
}

/* sbatch(1): --ntasks-per-node without --ntasks means so many on each node; and so on. */
static int tasks_derive(struct request *r, struct err *err)
{
    Sl__JobSpec *s = &r->pub.spec;
    Sl__StepSpec *step = &r->pub.step;

    if (s->hint[0] != '\0' && (s->threads_per_core != 0 || s->ntasks_per_core != 0))
        return err_set(err, SL_EINVAL_FIELD,
                       "--hint, --ntasks-per-core and --threads-per-core are mutually exclusive");
    if (strcmp(s->hint, "nomultithread") == 0 || strcmp(s->hint, "compute_bound") == 0)
        s->threads_per_core = step->threads_per_core = 1;
    if (s->ntasks == 0 && s->ntasks_per_node != 0 && r->nodes_set)
        s->ntasks = step->ntasks = s->nodes_min * s->ntasks_per_node;
    if (s->ntasks_per_gpu != 0 && s->ntasks == 0 && !has_gpus(s))
        return err_set(err, SL_EINVAL_FIELD, "--ntasks-per-gpu needs --gpus or --ntasks");
    if ((s->cpus_per_gpu != 0 || s->mem_per_gpu_mib != 0) && !has_gpus(s))
        return err_set(err, SL_EINVAL_FIELD, "--%s-per-gpu is used without GPUs",
                       s->cpus_per_gpu != 0 ? "cpus" : "mem");
    if (s->ntasks != 0 && s->nodes_min > s->ntasks && r->pub.command == JOB_CMD_SRUN) {
        /* srun(1): a node without a task is of no use. */
        s->nodes_min = s->nodes_max = step->nodes_min = step->nodes_max = s->ntasks;
    }
    if (step->relative != 0 && (step->nodelist[0] != '\0' || step->exclude[0] != '\0'))
        return err_set(err, SL_EINVAL_FIELD, "-r is not permitted with -w or -x");
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* The default name is the command's. */
static void names_derive(struct request *r)
{
    struct job_request *p = &r->pub;
    const char *name = p->argc > 0                    ? base_name(p->argv[0])
                       : p->wrap != NULL              ? "wrap"
                       : p->command == JOB_CMD_SALLOC ? "interactive"
                                                      : "sbatch";
    if (p->spec.name[0] == '\0')
        p->spec.name = arena_printf(&p->arena, "%.*s", (int)NAME_LEN_MAX, name);
    if (p->step.name[0] == '\0')
        p->step.name = arena_printf(&p->arena, "%.*s", (int)NAME_LEN_MAX, name);
}

static int times_derive(struct request *r, usec_t now, struct err *err)
{
    Sl__JobSpec *s = &r->pub.spec;
    if (r->begin != NULL) {
        int rc = time_parse(r->begin, now, &s->begin_usec, err);
        if (rc != 0)
            return err != NULL ? err_prefix(err, "%s", r->begin_label) : rc;
    }
    if (r->deadline != NULL) {
        int rc = time_parse(r->deadline, now, &s->deadline_usec, err);
        if (rc != 0)
            return err != NULL ? err_prefix(err, "%s", r->deadline_label) : rc;
        if (s->deadline_usec <= now)
            return err_set(err, SL_EINVAL_TIME, "%s: \"%s\" is in the past", r->deadline_label,
                           r->deadline);
    }
    return 0;
}

static void step_derive(struct request *r)
{
    Sl__StepSpec *step = &r->pub.step;
    const Sl__JobSpec *s = &r->pub.spec;
    step->work_dir = s->work_dir;
    step->umask = s->umask;
    step->rlimits = s->rlimits;
    step->n_rlimits = s->n_rlimits;
    step->argv = r->pub.argv;
    step->n_argv = (size_t)r->pub.argc;
}

static int finish_one(struct job_request *pub, usec_t now, struct err *err)
{
    struct request *r = (struct request *)pub;
    inherit(r);
    if (pub->spec.switches && !r->switches_timed && r->switches_wait)
        pub->spec.switches_wait_usec = r->switches_wait;
    int rc = gres_build(r, err);
    if (rc == 0)
        rc = tasks_derive(r, err);
    if (rc == 0)
        rc = times_derive(r, now, err);
    if (rc == 0)
        rc = surroundings(r, err);
    if (rc != 0)
        return rc;
    names_derive(r);
    if (pub->command == JOB_CMD_SBATCH) {
        /* argv[0] is the script: its path was made absolute by the command. */
        pub->spec.argv = pub->argc > 1 ? pub->argv + 1 : NULL;
        pub->spec.n_argv = pub->argc > 1 ? (size_t)pub->argc - 1 : 0;
    }
    if (pub->command == JOB_CMD_SRUN)
        step_derive(r);
    rc = jobspec_check(&pub->spec, err);
    if (rc == 0 && pub->command == JOB_CMD_SRUN)
        rc = stepspec_check(&pub->step, err);
    return rc;
}

struct job_request *request_component(struct job_request *pub)
{
    if (pub->next == NULL) {
        pub->next = job_request_create(pub->command);
        pub->next->spec.type = SL__JOB_TYPE__JOB_TYPE_ALLOC;
    }
    return pub->next;
}

Sl__JobSpec **job_request_het(struct job_request *r, size_t *count)
{
    size_t n = 0;
    for (const struct job_request *p = r->next; p != NULL; p = p->next)
        n++;
    Sl__JobSpec **v = arena_alloc(&r->arena, (n + 1) * sizeof(Sl__JobSpec *));
    *count = n;
    n = 0;
    for (struct job_request *p = r->next; p != NULL; p = p->next)
        v[n++] = &p->spec;
    return v;
}

int job_request_finish(struct job_request *pub, usec_t now, struct err *err)
{
    int rc = finish_one(pub, now, err);
    unsigned k = 0;
    for (struct job_request *p = pub->next; rc == 0 && p != NULL; p = p->next) {
        k++;
        if (p->spec.name[0] == '\0')
            p->spec.name = pub->spec.name;
        p->spec.submit_line = pub->spec.submit_line;
        rc = finish_one(p, now, err);
        p->spec.type = SL__JOB_TYPE__JOB_TYPE_ALLOC;
        if (rc != 0 && err != NULL)
            err_prefix(err, "component %u of the heterogeneous job", k);
    }
    return rc;
}

/* ---- --export ------------------------------------------------------------------------------ */

static bool name_valid(const char *p, size_t n)
{
    if (n == 0 || isdigit((unsigned char)*p))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)p[i]) && p[i] != '_')
            return false;
    return true;
}

static const char *env_value(char *const *env, const char *name, size_t n)
{
    for (; *env != NULL; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

static void list_add_pair(struct env_list *e, const char *pair)
{
    size_t n = strcspn(pair, "=");
    if (pair[n] != '=' || n == 0)
        return;
    char *name = arena_printf(e->arena, "%.*s", (int)n, pair);
    env_list_set(e, name, "%s", pair + n + 1);
}

/* End of one item of --export: a comma outside quotes. */
static const char *export_item_end(const char *p)
{
    char quote = '\0';
    for (; *p != '\0' && (quote != '\0' || *p != ','); p++) {
        if (quote != '\0')
            quote = *p == quote ? '\0' : quote;
        else if (*p == '"' || *p == '\'')
            quote = *p;
    }
    return p;
}

static int export_item(struct env_list *e, const char *p, size_t n, char *const *env, bool all,
                       struct err *err)
{
    const char *eq = memchr(p, '=', n);
    size_t len = eq != NULL ? (size_t)(eq - p) : n;
    if (!name_valid(p, len))
        return err_set(err, SL_EINVAL_FIELD, "--export: \"%.*s\" is not a variable's name",
                       (int)(len < 64 ? len : 64), p);
    const char *have = env_value(env, p, len);
    char *name = arena_printf(e->arena, "%.*s", (int)len, p);
    if (eq == NULL || (all && have != NULL)) { /* sbatch(1): with ALL the caller's value wins */
        if (have != NULL)
            env_list_set(e, name, "%s", have);
        return 0;
    }
    const char *value = eq + 1;
    size_t vn = n - len - 1;
    if (vn >= 2 && (*value == '"' || *value == '\'') && value[vn - 1] == *value) {
        value++;
        vn -= 2;
    }
    env_list_set(e, name, "%.*s", (int)vn, value);
    return 0;
}

/* A job without the caller's environment still has what a login would have. */
static void login_basics(struct env_list *e, char *const *env)
{
    static const char *const names[] = {"HOME", "USER", "LOGNAME", "SHELL"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *v = env_value(env, names[i], strlen(names[i]));
        if (v != NULL)
            env_list_set(e, names[i], "%s", v);
    }
    env_list_set(e, "PATH", "/usr/local/bin:/usr/bin:/bin");
}

static bool is_scheduler_name(const char *pair)
{
    return strncmp(pair, "SLURM_", 6) == 0 || strncmp(pair, "SLURMLIKE_", 10) == 0;
}

int job_request_export(struct job_request *r, char *const *env, const char *file, size_t file_n,
                       char ***out, size_t *count, struct err *err)
{
    const char *list = r->spec.export_env;
    bool all = *list == '\0' || strcmp(list, "ALL") == 0 || strncasecmp(list, "ALL,", 4) == 0;
    size_t n = 0;

    for (char *const *p = env; *p != NULL; p++)
        n++;
    if (all && (*list == '\0' || list[3] == '\0') && file == NULL) {
        *out = (char **)env; /* the usual case: nothing to copy */
        *count = n;
        return 0;
    }
    struct env_list e;
    env_list_init(&e, &r->arena);
    if (!all)
        login_basics(&e, env);
    for (char *const *p = env; *p != NULL; p++)
        if (all || is_scheduler_name(*p))
            list_add_pair(&e, *p);
    if (strcmp(list, "NONE") != 0)
        for (const char *p = list; *p != '\0';) {
            const char *end = export_item_end(p);
            size_t len = (size_t)(end - p);
            int rc = 0;
            if (len != 0 && !(len == 3 && strncasecmp(p, "ALL", 3) == 0))
                rc = export_item(&e, p, len, env, all, err);
            if (rc != 0)
                return rc;
            p = *end == ',' ? end + 1 : end;
        }
    for (size_t i = 0; file != NULL && i < file_n; i += strnlen(file + i, file_n - i) + 1)
        list_add_pair(&e, arena_printf(&r->arena, "%.*s", (int)strnlen(file + i, file_n - i),
                                       file + i));
    *out = e.v;
    *count = e.count;
    return 0;
}
