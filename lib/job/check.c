/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks of what arrives from outside: after them its values may be trusted.
 * Each failure names the field as the user knows it, and the value.
 */
#include "job/jobspec.h"

#include "base/hostlist.h"
#include "base/limits.h"
#include "job/state.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PARTITIONS_MAX 64u
#define EXTRA_MAX 64u
#define GRES_MAX 64u
#define RLIMITS_MAX 32u
#define EXPR_LEN_MAX 16383u     /* dependency, array, constraint, node list texts */
#define NICE_MAX 2147483645     /* sbatch(1) --nice */
#define MEM_MIB_MAX (UINT64_C(1) << 44) /* 16 EiB */

enum text_kind {
    TEXT_PLAIN, /* no control characters */
    TEXT_NAME,  /* a name in a list or file name: also no blanks, commas, slashes, quotes */
    TEXT_PATH,
};

struct text_rule {
    const char *option;
    size_t offset;
    enum text_kind kind;
    uint32_t len_max;
};

#define JOB_TEXT(option, member, kind, max)                                               \
    {option, offsetof(Sl__JobSpec, member), kind, max}
static const struct text_rule job_texts[] = {
    JOB_TEXT("--job-name", name, TEXT_PLAIN, NAME_LEN_MAX),
    JOB_TEXT("--account", account, TEXT_NAME, NAME_LEN_MAX),
    JOB_TEXT("--qos", qos, TEXT_NAME, NAME_LEN_MAX),
    JOB_TEXT("--comment", comment, TEXT_PLAIN, COMMENT_LEN_MAX),
    JOB_TEXT("--wckey", wckey, TEXT_NAME, NAME_LEN_MAX),
    JOB_TEXT("--reservation", reservation, TEXT_PLAIN, COMMENT_LEN_MAX),
    JOB_TEXT("--licenses", licenses, TEXT_PLAIN, COMMENT_LEN_MAX),
    JOB_TEXT("--constraint", constraints, TEXT_PLAIN, EXPR_LEN_MAX),
    JOB_TEXT("--prefer", prefer, TEXT_PLAIN, EXPR_LEN_MAX),
    JOB_TEXT("--nodelist", nodelist, TEXT_PLAIN, 1u << 20),
    JOB_TEXT("--exclude", exclude, TEXT_PLAIN, 1u << 20),
    JOB_TEXT("--distribution", distribution, TEXT_PLAIN, NAME_LEN_MAX),
    JOB_TEXT("--hint", hint, TEXT_NAME, NAME_LEN_MAX),
    JOB_TEXT("--dependency", dependency, TEXT_PLAIN, EXPR_LEN_MAX),
    JOB_TEXT("--array", array, TEXT_PLAIN, EXPR_LEN_MAX),
    JOB_TEXT("--signal", signal, TEXT_PLAIN, NAME_LEN_MAX),
    JOB_TEXT("--mail-type", mail_type, TEXT_PLAIN, NAME_LEN_MAX),
    JOB_TEXT("--mail-user", mail_user, TEXT_PLAIN, NAME_LEN_MAX),
    JOB_TEXT("--chdir", work_dir, TEXT_PATH, PATH_LEN_MAX),
    JOB_TEXT("--input", std_in, TEXT_PATH, PATH_LEN_MAX),
    JOB_TEXT("--output", std_out, TEXT_PATH, PATH_LEN_MAX),
    JOB_TEXT("--error", std_err, TEXT_PATH, PATH_LEN_MAX),
    JOB_TEXT("command", command, TEXT_PATH, PATH_LEN_MAX),
    JOB_TEXT("submit host", submit_host, TEXT_NAME, NAME_LEN_MAX),
    JOB_TEXT("submit line", submit_line, TEXT_PLAIN, 1u << 16),
    JOB_TEXT("--export", export_env, TEXT_PLAIN, 1u << 16),
};

#define STEP_TEXT(option, member, kind, max)                                              \
    {option, offsetof(Sl__StepSpec, member), kind, max}
static const struct text_rule step_texts[] = {
    STEP_TEXT("--job-name", name, TEXT_PLAIN, NAME_LEN_MAX),
    STEP_TEXT("--chdir", work_dir, TEXT_PATH, PATH_LEN_MAX),
    STEP_TEXT("--nodelist", nodelist, TEXT_PLAIN, 1u << 20),
    STEP_TEXT("--exclude", exclude, TEXT_PLAIN, 1u << 20),
    STEP_TEXT("--distribution", distribution, TEXT_PLAIN, NAME_LEN_MAX),
    STEP_TEXT("--cpu-bind", cpu_bind, TEXT_PLAIN, EXPR_LEN_MAX),
    STEP_TEXT("--mem-bind", mem_bind, TEXT_PLAIN, EXPR_LEN_MAX),
    STEP_TEXT("--mpi", mpi, TEXT_NAME, NAME_LEN_MAX),
    STEP_TEXT("--input", std_in, TEXT_PATH, PATH_LEN_MAX),
    STEP_TEXT("--output", std_out, TEXT_PATH, PATH_LEN_MAX),
    STEP_TEXT("--error", std_err, TEXT_PATH, PATH_LEN_MAX),
    STEP_TEXT("srun host", srun_host, TEXT_NAME, NAME_LEN_MAX),
    STEP_TEXT("--hint", hint, TEXT_NAME, NAME_LEN_MAX),
    STEP_TEXT("--gpu-bind", gpu_bind, TEXT_PLAIN, EXPR_LEN_MAX),
};

static int text_check(const char *option, const char *text, enum text_kind kind,
                      uint32_t len_max, struct err *err)
{
    static const char not_in_name[] = " ,/\\\"'";
    size_t n = strnlen(text, (size_t)len_max + 1);

    if (n > len_max)
        return err_set(err, SL_EINVAL_FIELD, "%s: more than %u bytes", option, len_max);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            return err_set(err, SL_EINVAL_FIELD, "%s: control character 0x%02x", option, c);
        if (kind == TEXT_NAME && strchr(not_in_name, c) != NULL)
            return err_set(err, SL_EINVAL_FIELD, "%s: character '%c' in \"%.64s\"", option, c,
                           text);
    }
    return 0;
}

static int texts_check(const void *message, const struct text_rule *rules, size_t count,
                       struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct text_rule *r = &rules[i];
        const char *text = *(char *const *)((const char *)message + r->offset);
        int rc = text_check(r->option, text, r->kind, r->len_max, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

struct num_rule {
    const char *option;
    size_t offset;
    uint32_t max;
};

#define JOB_NUM(option, member, max) {option, offsetof(Sl__JobSpec, member), max}
static const struct num_rule job_nums[] = {
    JOB_NUM("--nodes", nodes_min, NODES_MAX),
    JOB_NUM("--nodes", nodes_max, NODES_MAX),
    JOB_NUM("--ntasks", ntasks, TASKS_PER_STEP_MAX),
    JOB_NUM("--cpus-per-task", cpus_per_task, CPUS_PER_NODE_MAX),
    JOB_NUM("--ntasks-per-node", ntasks_per_node, CPUS_PER_NODE_MAX),
    JOB_NUM("--ntasks-per-core", ntasks_per_core, CPUS_PER_NODE_MAX),
    JOB_NUM("--ntasks-per-socket", ntasks_per_socket, CPUS_PER_NODE_MAX),
    JOB_NUM("--ntasks-per-gpu", ntasks_per_gpu, CPUS_PER_NODE_MAX),
    JOB_NUM("--cpus-per-gpu", cpus_per_gpu, CPUS_PER_NODE_MAX),
    JOB_NUM("--sockets-per-node", sockets_per_node, CPUS_PER_NODE_MAX),
    JOB_NUM("--cores-per-socket", cores_per_socket, CPUS_PER_NODE_MAX),
    JOB_NUM("--threads-per-core", threads_per_core, CPUS_PER_NODE_MAX),
    JOB_NUM("--mincpus", mincpus, CPUS_PER_NODE_MAX),
    JOB_NUM("--core-spec", core_spec, CPUS_PER_NODE_MAX),
    JOB_NUM("--exclusive", exclusive, 4),
    JOB_NUM("--switches", switches, NODES_MAX),
    JOB_NUM("--requeue", requeue, 2),
    JOB_NUM("--kill-on-invalid-dep", kill_on_invalid_dep, 2),
    JOB_NUM("--open-mode", open_mode, 2),
    JOB_NUM("umask", umask, 07777),
};

#define STEP_NUM(option, member, max) {option, offsetof(Sl__StepSpec, member), max}
static const struct num_rule step_nums[] = {
    STEP_NUM("--nodes", nodes_min, NODES_MAX),
    STEP_NUM("--nodes", nodes_max, NODES_MAX),
    STEP_NUM("--ntasks", ntasks, TASKS_PER_STEP_MAX),
    STEP_NUM("--cpus-per-task", cpus_per_task, CPUS_PER_NODE_MAX),
    STEP_NUM("--ntasks-per-node", ntasks_per_node, CPUS_PER_NODE_MAX),
    STEP_NUM("--open-mode", open_mode, 2),
    STEP_NUM("terminal rows", pty_rows, UINT16_MAX),
    STEP_NUM("terminal columns", pty_cols, UINT16_MAX),
    STEP_NUM("umask", umask, 07777),
    STEP_NUM("--relative", relative, NODES_MAX),
    STEP_NUM("--threads-per-core", threads_per_core, CPUS_PER_NODE_MAX),
    STEP_NUM("--input", stdin_task, TASKS_PER_STEP_MAX),
};

static int nums_check(const void *message, const struct num_rule *rules, size_t count,
                      struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t v = *(const uint32_t *)((const char *)message + rules[i].offset);
        if (v > rules[i].max)
            return err_set(err, SL_EINVAL_FIELD, "%s: %u is over the limit of %u",
                           rules[i].option, v, rules[i].max);
    }
    return 0;
}

static int nodes_range_check(uint32_t min, uint32_t max, struct err *err)
{
    if (max != 0 && max < min)
        return err_set(err, SL_EINVAL_FIELD, "--nodes: minimum %u is over the maximum %u", min,
                       max);
    return 0;
}

static int hosts_check(const char *option, const char *text, struct err *err)
{
    if (*text == '\0')
        return 0;
    struct hostlist *hl = hostlist_create(text, err);
    if (hl == NULL)
        return err != NULL ? err_prefix(err, "%s", option) : SL_EINVAL_NODE;
    size_t n = hostlist_count(hl);
    hostlist_destroy(hl);
    if (n > NODES_MAX)
        return err_set(err, SL_EINVAL_NODE, "%s: more than %u nodes", option, NODES_MAX);
    return 0;
}

static int mem_check(const char *option, uint64_t mib, struct err *err)
{
    if (mib != MEM_ALL && mib > MEM_MIB_MAX)
        return err_set(err, SL_EINVAL_FIELD, "%s: %llu MiB is not a memory size", option,
                       (unsigned long long)mib);
    return 0;
}

static int gres_check(Sl__GresReq *const *gres, size_t n, struct err *err)
{
    if (n > GRES_MAX)
        return err_set(err, SL_EINVAL_GRES, "more than %u generic resources", GRES_MAX);
    for (size_t i = 0; i < n; i++) {
        int rc = text_check("--gres", gres[i]->name, TEXT_NAME, NAME_LEN_MAX, err);
        if (rc == 0)
            rc = text_check("--gres", gres[i]->type, TEXT_NAME, NAME_LEN_MAX, err);
        if (rc != 0)
            return rc;
        if (gres[i]->name[0] == '\0' || gres[i]->count == 0 || gres[i]->count > UINT32_MAX ||
            (unsigned)gres[i]->per > SL__GRES_PER__GRES_PER_TASK)
            return err_set(err, SL_EINVAL_GRES,
                           "Invalid generic resource (gres) specification: \"%s\"", gres[i]->name);
    }
    return 0;
}

static int rlimits_check(Sl__Rlimit *const *rlimits, size_t n, struct err *err)
{
    if (n > RLIMITS_MAX)
        return err_set(err, SL_EINVAL_FIELD, "more than %u resource limits", RLIMITS_MAX);
    for (size_t i = 0; i < n; i++)
        if (rlimits[i]->resource >= RLIMITS_MAX || rlimits[i]->soft > rlimits[i]->hard)
            return err_set(err, SL_EINVAL_FIELD, "resource limit %u is malformed",
                           rlimits[i]->resource);
    return 0;
}

static int strings_check(const char *what, char *const *v, size_t n, size_t count_max,
                         size_t bytes_max, struct err *err)
{
    size_t bytes = 0;
    if (n > count_max)
        return err_set(err, SL_EINVAL_FIELD, "%s: more than %zu entries", what, count_max);
    for (size_t i = 0; i < n; i++) {
        bytes += strlen(v[i]) + 1;
        if (bytes > bytes_max)
            return err_set(err, SL_EINVAL_FIELD, "%s: more than %zu bytes", what, bytes_max);
    }
    return 0;
}

/* Pass-through variables may only be ones that a scheduler sets. */
static int extra_check(Sl__KeyValue *const *extra, size_t n, struct err *err)
{
    if (n > EXTRA_MAX)
        return err_set(err, SL_EINVAL_FIELD, "more than %u pass-through variables", EXTRA_MAX);
    for (size_t i = 0; i < n; i++) {
        const char *k = extra[i]->key;
        bool ok = strncmp(k, "SLURM_", 6) == 0 || strncmp(k, "SBATCH_", 7) == 0;
        for (const char *p = k; *p != '\0'; p++)
            ok = ok && (isupper((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_');
        if (!ok)
            return err_set(err, SL_EINVAL_FIELD, "pass-through variable \"%.64s\" is not allowed",
                           k);
        int rc = text_check(k, extra[i]->value, TEXT_PLAIN, PATH_LEN_MAX, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int times_check(const Sl__JobSpec *s, struct err *err)
{
    if (s->time_limit_usec < 0 || s->time_min_usec < 0)
        return err_set(err, SL_EINVAL_TIME, "--time: negative");
    if (s->time_limit_usec != 0 && s->time_min_usec > s->time_limit_usec)
        return err_set(err, SL_EINVAL_TIME, "--time-min is over --time");
    if (s->begin_usec < 0 || s->deadline_usec < 0 || s->switches_wait_usec < 0 ||
        s->delay_boot_usec < 0)
        return err_set(err, SL_EINVAL_TIME, "a time before 1970");
    if (s->nice > NICE_MAX || s->nice < -NICE_MAX)
        return err_set(err, SL_EINVAL_FIELD, "--nice: %d is not within +-%d", s->nice, NICE_MAX);
    return 0;
}

/* What no controller carries out yet: refused by name rather than ignored. */
static int built_check(const Sl__JobSpec *s, struct err *err)
{
    const struct {
        const char *option;
        bool asked;
    } missing[] = {
        {"--core-spec", s->core_spec != 0},
        {"--delay-boot", s->delay_boot_usec != 0},
        {"--reboot", s->reboot},
        {"--exclusive=user, mcs or topo", s->exclusive > 1},
    };
    for (size_t i = 0; i < COUNT(missing); i++)
        if (missing[i].asked)
            return err_set(err, SL_ENOT_BUILT, "%s is not built yet", missing[i].option);
    return 0;
}

/* Options whose text has a grammar of its own. */
static int grammar_check(const Sl__JobSpec *s, struct err *err)
{
    struct signal_option sig;
    int rc = distribution_check(s->distribution, NULL, err);

    if (rc == 0)
        rc = hosts_check("--nodelist", s->nodelist, err);
    if (rc == 0)
        rc = hosts_check("--exclude", s->exclude, err);
    if (rc == 0 && s->signal[0] != '\0')
        rc = signal_option_parse(s->signal, &sig, err);
    if (rc == 0 && s->array[0] != '\0') {
        struct arena a;
        uint32_t *ids, throttle;
        size_t count;
        if (s->type != SL__JOB_TYPE__JOB_TYPE_BATCH)
            return err_set(err, SL_EINVAL_ARRAY, "--array: only batch jobs can be arrays");
        arena_init(&a);
        rc = array_parse(s->array, 0, &a, &ids, &count, &throttle, err);
        arena_fini(&a);
    }
    return rc;
}

static int memory_check(const Sl__JobSpec *s, struct err *err)
{
    int rc = mem_check("--mem", s->mem_per_node_mib, err);
    if (rc == 0)
        rc = mem_check("--mem-per-cpu", s->mem_per_cpu_mib, err);
    if (rc == 0)
        rc = mem_check("--mem-per-gpu", s->mem_per_gpu_mib, err);
    if (rc == 0)
        rc = mem_check("--tmp", s->tmp_disk_mib, err);
    if (rc == 0 && (s->mem_per_node_mib != 0) + (s->mem_per_cpu_mib != 0) +
                           (s->mem_per_gpu_mib != 0) > 1)
        rc = err_set(err, SL_EINVAL_FIELD,
                     "--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive");
    return rc;
}

int jobspec_check(const Sl__JobSpec *s, struct err *err)
{
    if (s->type <= SL__JOB_TYPE__JOB_TYPE_NONE || s->type > SL__JOB_TYPE__JOB_TYPE_SERVICE)
        return err_set(err, SL_EINVAL_FIELD, "job type %d is unknown", (int)s->type);
    int rc = texts_check(s, job_texts, COUNT(job_texts), err);
    if (rc == 0)
        rc = nums_check(s, job_nums, COUNT(job_nums), err);
    if (rc == 0)
        rc = nodes_range_check(s->nodes_min, s->nodes_max, err);
    if (rc == 0 && s->n_partitions > PARTITIONS_MAX)
        rc = err_set(err, SL_EINVAL_PARTITION, "--partition: more than %u names", PARTITIONS_MAX);
    for (size_t i = 0; rc == 0 && i < s->n_partitions; i++)
        rc = text_check("--partition", s->partitions[i], TEXT_NAME, NAME_LEN_MAX, err);
    if (rc == 0)
        rc = gres_check(s->gres, s->n_gres, err);
    if (rc == 0)
        rc = memory_check(s, err);
    if (rc == 0)
        rc = times_check(s, err);
    if (rc == 0)
        rc = built_check(s, err);
    if (rc == 0)
        rc = grammar_check(s, err);
    if (rc == 0)
        rc = rlimits_check(s->rlimits, s->n_rlimits, err);
    if (rc == 0)
        rc = strings_check("arguments", s->argv, s->n_argv, ARGV_MAX, SCRIPT_BYTES_MAX, err);
    if (rc == 0)
        rc = extra_check(s->extra, s->n_extra, err);
    if (rc == 0 && s->work_dir[0] != '\0' && s->work_dir[0] != '/')
        rc = err_set(err, SL_EINVAL_FIELD, "--chdir: \"%s\" is not an absolute path", s->work_dir);
    return rc;
}

int stepspec_check(const Sl__StepSpec *s, struct err *err)
{
    int rc = texts_check(s, step_texts, COUNT(step_texts), err);
    if (rc == 0)
        rc = nums_check(s, step_nums, COUNT(step_nums), err);
    if (rc == 0)
        rc = nodes_range_check(s->nodes_min, s->nodes_max, err);
    if (rc == 0)
        rc = strings_check("command", s->argv, s->n_argv, ARGV_MAX, SCRIPT_BYTES_MAX, err);
    if (rc == 0)
        rc = strings_check("environment", s->env, s->n_env, ENV_VARS_MAX, ENV_BYTES_MAX, err);
    if (rc == 0)
        rc = gres_check(s->gres, s->n_gres, err);
    if (rc == 0)
        rc = mem_check("--mem", s->mem_per_node_mib, err);
    if (rc == 0)
        rc = mem_check("--mem-per-cpu", s->mem_per_cpu_mib, err);
    if (rc == 0)
        rc = distribution_check(s->distribution, NULL, err);
    if (rc == 0)
        rc = hosts_check("--nodelist", s->nodelist, err);
    if (rc == 0)
        rc = hosts_check("--exclude", s->exclude, err);
    if (rc == 0)
        rc = rlimits_check(s->rlimits, s->n_rlimits, err);
    if (rc == 0 && s->multi_prog_conf.len > SCRIPT_BYTES_MAX)
        rc = err_set(err, SL_EINVAL_FIELD, "--multi-prog: more than %u bytes", SCRIPT_BYTES_MAX);
    if (rc == 0 && (s->kill_on_bad_exit < -1 || s->kill_on_bad_exit > 1))
        rc = err_set(err, SL_EINVAL_FIELD, "--kill-on-bad-exit: %d", s->kill_on_bad_exit);
    if (rc == 0 && (s->wait_usec < 0 || s->time_limit_usec < 0))
        rc = err_set(err, SL_EINVAL_TIME, "--wait or --time: negative");
    if (rc == 0 && s->work_dir[0] != '\0' && s->work_dir[0] != '/')
        rc = err_set(err, SL_EINVAL_FIELD, "--chdir: \"%s\" is not an absolute path", s->work_dir);
    return rc;
}
