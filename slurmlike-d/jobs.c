/* SPDX-License-Identifier: Apache-2.0
 *
 * A job's phases on a node:
 *
 *   launch -> PROLOG -> PRESENT --terminate--> ENDING --no supervisor left-->
 *   EPILOG -> CLEAN (reported; forgotten with its spool file)
 *
 * The Launch is in the spool as start.J.R until the first step's supervisor is up, and as
 * job.J.R from then on; so a daemon killed in between starts the step later, once. It is one
 * file that is renamed, in the end to spare.N for a later job: making and removing files is
 * what a short job costs most (ext4 does not reuse an inode for some seconds, and looks at
 * each that it passes over).
 */
#include "noded.h"

#include "base/limits.h"
#include "base/overwrite.h"
#include "job/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPARES_MAX 64u /* files kept for later jobs */

struct job *job_find(struct noded *d, uint32_t job_id, uint32_t restart)
{
    struct job_key key = {job_id, restart};
    struct job *j;
    HASH_FIND(hh, d->jobs, &key, sizeof(key), j);
    return j;
}

struct job *job_find_any(struct noded *d, uint32_t job_id)
{
    struct job *best = NULL;
    for (struct job *j = d->jobs; j; j = j->hh.next)
        if (j->key.job_id == job_id && (!best || j->key.restart > best->key.restart))
            best = j;
    return best;
}

/* ---- spool files ------------------------------------------------------------- */

static char *spool_path(const struct noded *d, const char *kind, struct job_key k)
{
    return xasprintf("%s/%s.%u.%u", d->spool, kind, k.job_id, k.restart);
}

static char *spare_path(const struct noded *d, unsigned number)
{
    return xasprintf("%s/spare.%u", d->spool, number);
}

static int file_fill(const char *path, const ProtobufCMessage *m, struct err *err)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = xmalloc(n);
    int rc = 0;
    protobuf_c_message_pack(m, p);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        rc = err_errno(err, "%s", path);
    else if ((rc = fd_overwrite(fd, 0, p, n)) < 0)
        rc = err_set(err, rc, "%s: cannot write %zu bytes: %s", path, n, strerror(-rc));
    if (fd >= 0)
        close(fd);
    free(p);
    return rc;
}

static int file_write(struct noded *d, const char *path, const ProtobufCMessage *m,
                      struct err *err)
{
    char *fresh = spare_path(d, d->spares ? --d->spares : SPARES_MAX);
    int rc = file_fill(fresh, m, err);
    if (rc == 0 && rename(fresh, path) < 0)
        rc = err_errno(err, "%s", path);
    if (rc < 0)
        unlink(fresh);
    free(fresh);
    return rc;
}

static ProtobufCMessage *file_read(const char *path, const ProtobufCMessageDescriptor *type)
{
    struct buf b;
    char chunk[65536];
    ssize_t n;
    ProtobufCMessage *m = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    buf_init(&b);
    while (b.len < FRAME_BYTES_MAX && (n = read(fd, chunk, sizeof(chunk))) > 0)
        buf_put(&b, chunk, (size_t)n);
    close(fd);
    m = protobuf_c_message_unpack(type, NULL, b.len, (uint8_t *)b.data);
    if (!m)
        log_error("spool", "file=%s is damaged and was left in place", path);
    buf_fini(&b);
    return m;
}

static void spool_remove(struct noded *d, const char *kind, struct job_key k)
{
    char *path = spool_path(d, kind, k);
    char *spare = spare_path(d, d->spares);
    if (d->spares < SPARES_MAX && rename(path, spare) == 0)
        d->spares++;
    else if (unlink(path) < 0 && errno != ENOENT)
        log_warn("spool", "file=%s cannot be removed: %s", path, strerror(errno));
    free(spare);
    free(path);
}

void job_started(struct noded *d, struct job *j)
{
    if (j->started)
        return;
    char *from = spool_path(d, "start", j->key), *to = spool_path(d, "job", j->key);
    j->started = true;
    if (rename(from, to) < 0)
        log_error("spool", "file=%s cannot be renamed: %s", from, strerror(errno));
    free(from);
    free(to);
}

static void launch_strip(Sl__Launch *m)
{
    free(m->script.data);
    m->script.data = NULL;
    m->script.len = 0;
    for (size_t i = 0; i < m->n_env; i++)
        free(m->env[i]);
    free(m->env);
    m->env = NULL;
    m->n_env = 0;
    if (m->step)
        sl__step_spec__free_unpacked(m->step, NULL);
    m->step = NULL;
    if (m->layout)
        sl__step_layout__free_unpacked(m->layout, NULL);
    m->layout = NULL;
}

/* ---- the first step --------------------------------------------------------------- */

/* Borrows everything from the launch: the three structs live in the caller's frame. */
struct first_step {
    Sl__StepLaunch launch;
    Sl__StepSpec spec;
    Sl__StepLayout layout;
    Sl__StepNode node, *nodes[1];
    uint32_t task;
};

static void first_layout(struct first_step *f, const Sl__JobInfo *job, uint32_t step_id)
{
    const Sl__AllocNode *n = job->alloc->nodes[0];
    sl__step_layout__init(&f->layout);
    sl__step_node__init(&f->node);
    f->node.cpus = n->cpus;
    f->node.mem_mib = n->mem_mib;
    f->node.gres = n->gres;
    f->node.n_gres = n->n_gres;
    f->nodes[0] = &f->node;
    f->layout.job_id = job->job_id;
    f->layout.restart = job->restart;
    f->layout.step_id = step_id;
    f->layout.nodes = f->nodes;
    f->layout.n_nodes = 1;
    if (step_id == STEP_BATCH) {
        f->task = 0;
        f->node.tasks = &f->task;
        f->node.n_tasks = 1;
        f->layout.ntasks = 1;
    }
}

static void batch_spec(struct first_step *f, const Sl__Launch *m)
{
    const Sl__JobSpec *s = m->job->spec;
    Sl__StepSpec *b = &f->spec;
    b->name = (char *)"batch";
    b->argv = s->argv;
    b->n_argv = s->n_argv;
    b->env = m->env;
    b->n_env = m->n_env;
    b->work_dir = s->work_dir;
    b->ntasks = b->nodes_min = b->nodes_max = 1;
    b->cpus_per_task = m->job->alloc->nodes[0]->cpus_count;
    b->std_in = s->std_in[0] ? s->std_in : (char *)"/dev/null";
    b->std_out = s->std_out[0]          ? s->std_out
                 : m->job->array_job_id ? (char *)"slurm-%A_%a.out"
                                        : (char *)"slurm-%j.out";
    b->std_err = s->std_err;
    b->open_mode = s->open_mode;
    b->umask = s->umask;
    b->rlimits = s->rlimits;
    b->n_rlimits = s->n_rlimits;
    b->mpi = (char *)"none";
    b->cpu_bind = (char *)"none";
    b->detached = true;
}

/* What this node starts for the job by itself: false when nothing. */
static bool first_step_make(struct first_step *f, const Sl__Launch *m)
{
    sl__step_launch__init(&f->launch);
    sl__step_spec__init(&f->spec);
    f->launch.job = m->job;
    f->launch.manager = m->node_index == 0;
    if (m->step) { /* srun's step 0, on each of its nodes */
        for (uint32_t i = 0; i < m->layout->n_nodes; i++) {
            if (m->layout->nodes[i]->alloc_index != m->node_index)
                continue;
            f->launch.spec = m->step;
            f->launch.layout = m->layout;
            f->launch.node_index = i;
            return true;
        }
        return false;
    }
    if (m->node_index != 0)
        return false;
    f->launch.spec = &f->spec;
    f->launch.layout = &f->layout;
    if (m->job->spec->type == SL__JOB_TYPE__JOB_TYPE_BATCH) {
        first_layout(f, m->job, STEP_BATCH);
        batch_spec(f, m);
        f->launch.script = m->script;
    } else {
        first_layout(f, m->job, STEP_EXTERN);
        f->spec.name = (char *)"extern";
        f->spec.detached = true;
    }
    return true;
}

/* ---- reports --------------------------------------------------------------------------- */

/* Nobody waits to hear that a script was started, and the end of a short one may go with
 * it: one message and one record in the controller instead of two. */
static bool report_can_wait(const struct job *j, Sl__ReportKind kind)
{
    return kind == SL__REPORT_KIND__REPORT_LAUNCHED &&
           j->launch->job->spec->type == SL__JOB_TYPE__JOB_TYPE_BATCH;
}

void job_report(struct noded *d, const struct job *j, Sl__ReportKind kind, const char *text)
{
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    r.kind = kind;
    r.job_id = j->key.job_id;
    r.restart = j->key.restart;
    r.time = clock_wall_usec();
    r.text = (char *)(text ? text : "");
    report_log_keep(d->reports, &r);
    if (report_can_wait(j, kind))
        ctld_link_kick_later(d);
    else
        ctld_link_kick(d);
}

/* ---- end of a job -------------------------------------------------------------------------- */

static void job_free(struct noded *d, struct job *j)
{
    HASH_DEL(d->jobs, j);
    script_cancel(j->script);
    sl__launch__free_unpacked(j->launch, NULL);
    free(j);
}

static void job_forget(struct noded *d, struct job *j)
{
    uint32_t job_id = j->key.job_id;
    spool_remove(d, j->started ? "job" : "start", j->key);
    job_free(d, j);
    if (!job_find_any(d, job_id)) /* else its next run is here already */
        routes_job_gone(d, job_id);
}

static void job_clean(struct noded *d, struct job *j)
{
    log_debug("job", "job=%u restart=%u clean", j->key.job_id, j->key.restart);
    job_report(d, j, SL__REPORT_KIND__REPORT_NODE_CLEAN, NULL);
    job_forget(d, j);
}

static void on_epilog(struct noded *d, int status, const char *output, void *arg)
{
    struct job *j = arg;
    j->script = NULL;
    if (status != 0)
        log_error("job", "job=%u epilog failed with status %d: %s", j->key.job_id, status,
                  output);
    job_clean(d, j);
}

static void job_epilog(struct noded *d, struct job *j)
{
    struct err err;
    j->phase = JOB_EPILOG;
    if (d->conf->epilog && d->conf->epilog[0]) {
        j->script = script_start(d, d->conf->epilog, j->launch->job, "epilog_slurmd",
                                 on_epilog, j, &err);
        if (j->script)
            return;
        log_error("job", "job=%u epilog: %s", j->key.job_id, err.text);
    }
    job_clean(d, j);
}

void job_step_gone(struct noded *d, struct job *j)
{
    if (j->phase != JOB_ENDING || j->steps_count)
        return;
    if (j->clean_reported)
        job_forget(d, j);
    else
        job_epilog(d, j);
}

static void job_launch_failed(struct noded *d, struct job *j, const char *why)
{
    log_error("job", "job=%u launch failed: %s", j->key.job_id, why);
    job_report(d, j, SL__REPORT_KIND__REPORT_LAUNCH_FAILED, why);
    /* the controller ends the job everywhere and so frees this record */
    j->phase = JOB_PRESENT;
}

/* ---- start of a job ----------------------------------------------------------------------------- */

static void job_start_steps(struct noded *d, struct job *j)
{
    struct first_step f;
    struct err err;
    j->phase = JOB_PRESENT;
    bool first = first_step_make(&f, j->launch);
    if (first && step_spawn(d, j, &f.launch, NULL, 0, &err) < 0) {
        job_launch_failed(d, j, err.text);
    } else {
        if (!first) /* nothing that a restarted daemon would have to start */
            job_started(d, j);
        j->launched_reported = true;
        job_report(d, j, SL__REPORT_KIND__REPORT_LAUNCHED, NULL);
        steps_job_present(d, j);
    }
    launch_strip(j->launch);
}

static void on_prolog(struct noded *d, int status, const char *output, void *arg)
{
    struct job *j = arg;
    j->script = NULL;
    if (j->phase != JOB_PROLOG) { /* terminated meanwhile */
        job_step_gone(d, j);
    } else if (status != 0) {
        char *why = xasprintf("node fault: prolog failed with status %d: %.200s", status,
                              output);
        job_launch_failed(d, j, why);
        free(why);
    } else {
        job_start_steps(d, j);
    }
}

static void job_begin(struct noded *d, struct job *j)
{
    struct err err;
    j->phase = JOB_PROLOG;
    if (d->conf->prolog && d->conf->prolog[0]) {
        j->script = script_start(d, d->conf->prolog, j->launch->job, "prolog_slurmd",
                                 on_prolog, j, &err);
        if (!j->script)
            job_launch_failed(d, j, err.text);
        return;
    }
    job_start_steps(d, j);
}

static bool launch_usable(const Sl__Launch *m)
{
    return m->job && m->job->spec && m->job->alloc && m->job->alloc->n_nodes > 0 &&
           m->node_index < m->job->alloc->n_nodes && m->job->job_id != 0 &&
           (m->step == NULL) == (m->layout == NULL);
}

static struct job *job_create(struct noded *d, Sl__Launch *m)
{
    struct job *j = xcalloc(1, sizeof(*j));
    j->key.job_id = m->job->job_id;
    j->key.restart = m->job->restart;
    j->launch = m;
    j->d = d;
    HASH_ADD(hh, d->jobs, key, sizeof(j->key), j);
    return j;
}

static int job_record(struct noded *d, struct job *j, struct err *err)
{
    char *path = spool_path(d, "start", j->key);
    int rc = file_write(d, path, &j->launch->base, err);
    free(path);
    return rc;
}

void job_launch(struct noded *d, Sl__Launch *m)
{
    struct err err;
    if (!launch_usable(m)) {
        log_error("job", "unusable launch from the controller ignored");
        sl__launch__free_unpacked(m, NULL);
        return;
    }
    struct job *j = job_find(d, m->job->job_id, m->job->restart);
    if (j) { /* repeated: say again what is so */
        if (j->launched_reported)
            job_report(d, j, SL__REPORT_KIND__REPORT_LAUNCHED, NULL);
        sl__launch__free_unpacked(m, NULL);
        return;
    }
    if (report_log_has_end(d->reports, m->job->job_id, m->job->restart)) {
        /* repeated, and the end of the run is on its way: it must not run twice */
        sl__launch__free_unpacked(m, NULL);
        return;
    }
    j = job_create(d, m);
    log_debug("job", "job=%u restart=%u launch node_index=%u", j->key.job_id,
              j->key.restart, m->node_index);
    if (job_record(d, j, &err) < 0) {
        char *why = xasprintf("node fault: %s", err.text);
        job_launch_failed(d, j, why);
        free(why);
        return;
    }
    job_begin(d, j);
}

/* ---- terminate ------------------------------------------------------------------------------------- */

static bool step_wanted(const struct step *s, const Sl__Terminate *t)
{
    if (t->has_step)
        return s->key.step_id == t->step_id;
    if (t->batch_only)
        return s->key.step_id == STEP_BATCH;
    if (t->signal && !t->full) /* scancel -s: steps, not the batch shell */
        return s->key.step_id != STEP_BATCH && s->key.step_id != STEP_EXTERN;
    return true;
}

static void job_terminate_one(struct noded *d, struct job *j, const Sl__Terminate *t)
{
    struct step *s, *tmp;
    bool final = !t->signal && !t->suspend && !t->resume && !t->has_step && !t->unowned;
    if (final && (j->phase == JOB_EPILOG || j->clean_reported))
        return;
    if (final)
        j->phase = JOB_ENDING;
    HASH_ITER(hh, d->steps, s, tmp)
    {
        if (s->job != j || !step_wanted(s, t))
            continue;
        if (t->has_step && !t->signal && !t->part_lost)
            s->cancelled = true; /* it may not have said hello yet */
        step_send_terminate(s, t);
    }
    if (final && !j->script)
        job_step_gone(d, j);
}

void job_terminate(struct noded *d, const Sl__Terminate *t)
{
    struct job *j, *tmp;
    bool found = false;
    HASH_ITER(hh, d->jobs, j, tmp)
    {
        if (j->key.job_id == t->job_id &&
            (t->restart == UINT32_MAX || t->restart == j->key.restart)) {
            found = true;
            job_terminate_one(d, j, t);
        }
    }
    if (!found && !t->signal && !t->suspend && !t->resume && !t->unowned && !t->part_lost &&
        t->restart != UINT32_MAX) {
        struct job gone = {.key = {t->job_id, t->restart}};
        job_report(d, &gone, SL__REPORT_KIND__REPORT_NODE_CLEAN, NULL);
    }
}

/* ---- restart of the daemon ------------------------------------------------------------------------------ */

static void job_load(struct noded *d, const char *name, bool started)
{
    char *path = xasprintf("%s/%s", d->spool, name);
    Sl__Launch *m = (Sl__Launch *)file_read(path, &sl__launch__descriptor);
    if (m && launch_usable(m) && !job_find(d, m->job->job_id, m->job->restart)) {
        struct job *j = job_create(d, m);
        j->phase = JOB_PRESENT;
        j->launched_reported = true;
        j->started = started;
    } else if (m) {
        sl__launch__free_unpacked(m, NULL);
    }
    free(path);
}

/* steps_load ran before: a job that no step folder belongs to was never started. */
static void job_resume(struct noded *d, struct job *j)
{
    if (j->started)
        launch_strip(j->launch);
    else
        job_begin(d, j);
}

void jobs_load(struct noded *d)
{
    DIR *dir = opendir(d->spool);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        if (strncmp(e->d_name, "job.", 4) == 0)
            job_load(d, e->d_name, true);
        else if (strncmp(e->d_name, "start.", 6) == 0)
            job_load(d, e->d_name, false);
        else if (strncmp(e->d_name, "spare.", 6) == 0)
            unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    steps_load(d);
    struct job *j, *tmp;
    HASH_ITER(hh, d->jobs, j, tmp)
    {
        job_resume(d, j);
    }
    if (d->jobs)
        log_info("job", "jobs=%u found in the spool", HASH_COUNT(d->jobs));
}

void jobs_fini(struct noded *d)
{
    struct step *s, *ts;
    struct job *j, *tj;
    HASH_ITER(hh, d->steps, s, ts)
    {
        step_drop(d, s);
    }
    HASH_ITER(hh, d->jobs, j, tj)
    {
        job_free(d, j);
    }
}
