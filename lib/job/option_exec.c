/* SPDX-License-Identifier: Apache-2.0
 *
 * Options for how the tasks are started: names, files, environment, binding.
 */
#include "job/option_set.h"

#include "base/limits.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int opt_job_name(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    /* srun(1) SLURM_JOB_NAME: inside an allocation it is the job's name, not the step's. */
    if (r->pub.command == JOB_CMD_SRUN && r->now == OPT_RANK_ENV)
        r->pub.spec.name = opt_keep(r, value);
    else
        opt_store_text(r, o, value);
    return 0;
}

int opt_chdir(struct request *r, const struct option *o, const char *value, struct err *err)
{
    char dir[PATH_LEN_MAX + 1];
    if (value[0] == '/') {
        opt_store_text(r, o, value);
        r->chdir_set = true;
        return 0;
    }
    if (getcwd(dir, sizeof(dir)) == NULL)
        return err_errno(err, "cannot tell the current directory");
    opt_store_text(r, o, strcmp(value, ".") == 0 ? dir
                                             : arena_printf(&r->pub.arena, "%s/%s", dir, value));
    r->chdir_set = true;
    return 0;
}

int opt_open_mode(struct request *r, const struct option *o, const char *value, struct err *err)
{
    bool append = value[0] == 'a' || value[0] == 'A';
    if (!append && value[0] != 't' && value[0] != 'T')
        return opt_bad(err, value, "append or truncate");
    opt_store_u32(r, o, append ? 1 : 2);
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
        opt_store_text(r, o, value);
    return rc;
}

int opt_hint(struct request *r, const struct option *o, const char *value, struct err *err)
{
    static const char *const words[] = {"compute_bound", "memory_bound", "multithread",
                                        "nomultithread"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcasecmp(words[i], value) == 0) {
            opt_store_text(r, o, words[i]);
            return 0;
        }
    return opt_bad(err, value, "compute_bound, memory_bound, multithread or nomultithread");
}

int opt_export(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    if (strcasecmp(value, "ALL") == 0)
        value = "ALL";
    else if (strcasecmp(value, "NONE") == 0 || strcasecmp(value, "NIL") == 0)
        value = "NONE";
    opt_store_text(r, o, value);
    return 0;
}

int opt_input(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t task;
    bool srun = r->pub.command == JOB_CMD_SRUN;

    r->pub.step.stdin_task = 0;
    if (strcasecmp(value, "none") == 0)
        opt_store_text(r, o, "/dev/null");
    else if (srun && strcasecmp(value, "all") == 0)
        opt_store_text(r, o, "");
    else if (srun && opt_number(value, 0, TASKS_PER_STEP_MAX - 1, &task, NULL) == 0) {
        opt_store_text(r, o, "");
        r->pub.step.stdin_task = task + 1;
    } else if (value[0] == '\0')
        return opt_bad(err, value, "a file name");
    else
        opt_store_text(r, o, value);
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
        opt_store_text(r, o, "/dev/null");
    else if (srun && strcasecmp(value, "all") == 0)
        opt_store_text(r, o, "");
    else if (srun && opt_number(value, 0, TASKS_PER_STEP_MAX - 1, &task, NULL) == 0) {
        opt_store_text(r, o, "");
        *has = true;
        *(out ? &r->pub.stdout_task : &r->pub.stderr_task) = task;
    } else if (value[0] == '\0')
        return opt_bad(err, value, "a file name");
    else
        opt_store_text(r, o, value);
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
        return opt_bad(err, value, "an MPI type; --mpi=list names them");
    r->pub.mpi = r->pub.step.mpi = opt_keep(r, value);
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
                    return opt_bad(err, value, "a cpu binding: its list is malformed");
                opt_store_text(r, o, value);
                return 0;
            }
        size_t n = strcspn(p, ","), i = 0;
        while (i < COUNT(words) && !(strlen(words[i]) == n && strncasecmp(words[i], p, n) == 0))
            i++;
        if (i == COUNT(words))
            return opt_bad(err, value,
                       "a cpu binding: [quiet|verbose,] none, rank, sockets, cores, threads, "
                       "ldoms, rank_ldom, map_cpu:LIST, mask_cpu:LIST, map_ldom:LIST, mask_ldom:LIST");
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    opt_store_text(r, o, value);
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
        return opt_bad(err, value, "a list of limits (ALL, NONE, AS, CORE, CPU, DATA, FSIZE, MEMLOCK, "
                               "NOFILE, NPROC, RSS, STACK)");
    r->propagate = opt_keep(r, value);
    return 0;
}
