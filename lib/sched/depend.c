/* SPDX-License-Identifier: Apache-2.0
 *
 * Dependencies, sbatch(1) --dependency: "afterok:12:13,afterany:14" (all) or with "?" (any),
 * "singleton", "after:12+5" (minutes), "aftercorr:12"; a bare "12" is afterany. A
 * dependency is decided once: what happens to its target later, a requeue say, does not
 * change it. kin.h says who is looked at when.
 */
#include "sched/kin.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_name[DEP_KIND_COUNT] = {
    "", "after", "afterany", "afterok", "afternotok", "aftercorr", "singleton"};

const char *depend_kind_name(enum dep_kind kind)
{
    return kind_name[kind];
}

static int kind_parse(const char *text, size_t n)
{
    for (int k = 1; k < DEP_KIND_COUNT; k++)
        if (strlen(kind_name[k]) == n && strncasecmp(text, kind_name[k], n) == 0)
            return k;
    return DEP_NONE;
}

static int dep_push(struct job *j, struct dep d, struct err *err)
{
    if (j->deps_count == DEPS_MAX)
        return err_set(err, SL_EINVAL_DEPEND, "%s: more than %d", err_name(SL_EINVAL_DEPEND),
                       DEPS_MAX);
    j->deps = xrealloc(j->deps, (j->deps_count + 1) * sizeof *j->deps);
    j->deps[j->deps_count++] = d;
    return 0;
}

#define DEPS_CYCLE_MAX 1000u /* steps of the search for a circle; deeper ones only wait */

/* Does job `id` wait for `target`, directly or through others? */
static bool depends_on(const struct core *c, uint32_t id, uint32_t target, uint32_t *budget)
{
    const struct job *j = job_find(c, id);
    for (uint32_t i = 0; j && j->state == JOB_PENDING && i < j->deps_count && *budget; i++) {
        --*budget;
        if (j->deps[i].target == target || depends_on(c, j->deps[i].target, target, budget))
            return true;
    }
    return false;
}

int depend_circle(const struct core *c, const struct job *j, struct err *err)
{
    uint32_t budget = DEPS_CYCLE_MAX;
    for (uint32_t i = 0; i < j->deps_count; i++)
        if (depends_on(c, j->deps[i].target, j->id, &budget))
            return err_set(err, SL_EINVAL_DEPEND, "%s: job %u waits for this one already",
                           err_name(SL_EINVAL_DEPEND), j->deps[i].target);
    return 0;
}

/* ---- what became of a job, a task, an array ---------------------------------------- */

struct outcome { /* of a job, of a task, or of all tasks of an array */
    bool open, failed, unstarted;
    usec_t began;    /* the latest start, or end of what never started */
};

static usec_t began(const struct job *t)
{
    return t->start ? t->start : t->end;
}

static struct outcome outcome_of(const struct job *t)
{
    bool over = job_state_finished((enum job_state)t->state);
    return (struct outcome){.open = !over || (t->flags & JOBF_COMPLETING),
                            .failed = over && !(t->flags & JOBF_COMPLETING) && t->state != JOB_COMPLETED,
                            .unstarted = !over && t->start == 0, .began = began(t)};
}

static struct outcome outcome_of_array(const struct core *c, const struct array *a, bool times)
{
    struct outcome o = {.open = a->open, .failed = kin_array_failed(c, a),
                        .unstarted = a->unstarted};
    for (uint32_t i = 0; times && !o.unstarted && i <= a->tasks; i++) {
        const struct job *t = i < a->tasks ? a->task[i] : a->rest;
        if (t && began(t) > o.began)
            o.began = began(t);
    }
    return o;
}

/* false: forgotten. It ended long ago; how is not known any more. */
static bool outcome_find(const struct core *c, const struct dep *d, uint32_t task,
                         struct outcome *o)
{
    const struct array *a = kin_array(c, d->target);
    const struct job *t = a && task != NO_VAL ? kin_task(a, task) : job_find(c, d->target);
    if (a && task != NO_VAL && !t && core_job_task(c, d->target, task))
        t = a->rest;
    if (t && (!a || task != NO_VAL))
        *o = outcome_of(t);
    else if (a && task == NO_VAL)
        *o = outcome_of_array(c, a, d->delay != 0);
    else if (a && (t = job_find(c, a->id)) && !t->array_failed && task >= t->array_min &&
             task <= t->array_max)
        *o = (struct outcome){0}; /* its record went, as all that went it ended well */
    else
        return false;
    return true;
}

/* ---- parsing ------------------------------------------------------------------------ */

static int bad(const char *what, struct err *err)
{
    return err_set(err, SL_EINVAL_DEPEND, "%s: %s", err_name(SL_EINVAL_DEPEND), what);
}

/* A number that ends where the grammar allows it to. */
static int number_parse(const char **p, uint32_t max, uint32_t *out, struct err *err)
{
    char *end;
    unsigned long n = **p >= '0' && **p <= '9' ? strtoul(*p, &end, 10) : (end = (char *)*p, 0);
    if (end == *p || n > max || (*end && !strchr(":,?_+", *end)))
        return err_set(err, SL_EINVAL_DEPEND, "%s: unexpected \"%.40s\"",
                       err_name(SL_EINVAL_DEPEND), *p);
    *out = (uint32_t)n;
    *p = end;
    return 0;
}

static int target_check(struct core *c, const struct job *j, const struct dep *d, struct err *err)
{
    if (d->target == j->id || (j->array_id && d->target == j->array_id))
        return err_set(err, SL_EINVAL_DEPEND, "%s: job %u can not wait for itself",
                       err_name(SL_EINVAL_DEPEND), d->target);
    if (!job_find(c, d->target) && !kin_array(c, d->target))
        return err_set(err, SL_EINVAL_DEPEND, "%s: no job %u", err_name(SL_EINVAL_DEPEND),
                       d->target);
    struct outcome ignored;
    if (d->task != NO_VAL && (!kin_array(c, d->target) || !outcome_find(c, d, d->task, &ignored)))
        return err_set(err, SL_EINVAL_DEPEND, "%s: no task %u_%u", err_name(SL_EINVAL_DEPEND),
                       d->target, d->task);
    return 0;
}

/* "12", "12_3", "12_*", "12+5" */
static int target_parse(struct core *c, const struct job *j, const char **p, struct dep *d,
                        struct err *err)
{
    uint32_t minutes;
    const uint32_t most = 525600; /* a year */
    d->task = NO_VAL;
    d->delay = 0;
    if (number_parse(p, UINT32_MAX - 1, &d->target, err) < 0)
        return err->code;
    if (strncmp(*p, "_*", 2) == 0) {
        *p += 2;
    } else if (**p == '_') {
        ++*p;
        if (number_parse(p, ARRAY_TASKS_MAX, &d->task, err) < 0)
            return err->code;
    }
    if (**p == '+') {
        ++*p;
        if (d->kind != DEP_AFTER)
            return bad("only \"after\" takes +minutes", err);
        if (number_parse(p, most, &minutes, err) < 0)
            return err->code;
        d->delay = (usec_t)minutes * 60 * USEC_PER_SEC;
    }
    return target_check(c, j, d, err);
}

/* The kind of an item: by its word, or afterany when it is only job ids. */
static int item_kind(const char **p, struct err *err)
{
    size_t n = strcspn(*p, ":,?");
    int kind = kind_parse(*p, n);
    if (kind == DEP_NONE && **p >= '0' && **p <= '9')
        return DEP_AFTERANY;
    if (n == 16 && strncasecmp(*p, "afterburstbuffer", n) == 0)
        return err_set(err, SL_ENOT_BUILT,
                       "dependency afterburstbuffer is not built: there are no burst buffers here");
    if (kind == DEP_NONE)
        return err_set(err, SL_EINVAL_DEPEND, "%s: \"%.40s\" is no kind of dependency",
                       err_name(SL_EINVAL_DEPEND), *p);
    *p += n;
    if (kind == DEP_SINGLETON)
        return kind;
    if (**p != ':')
        return err_set(err, SL_EINVAL_DEPEND, "%s: %s needs a job id",
                       err_name(SL_EINVAL_DEPEND), kind_name[kind]);
    ++*p;
    return kind;
}

static int item_parse(struct core *c, struct job *j, const char **p, struct err *err)
{
    int kind = item_kind(p, err);
    if (kind < 0)
        return kind;
    struct dep d = {.kind = (uint8_t)kind, .state = DEP_WAIT, .task = NO_VAL};
    if (kind == DEP_SINGLETON)
        return dep_push(j, d, err);
    for (;; ++*p) {
        if (target_parse(c, j, p, &d, err) < 0 || dep_push(j, d, err) < 0)
            return err->code;
        if (**p != ':')
            return 0;
    }
}

int depend_parse(struct core *c, struct job *j, const char *text, struct err *err)
{
    struct err own;
    char sep = 0;
    err = err ? err : &own;
    j->deps_any = false;
    while (*text) {
        if (item_parse(c, j, &text, err) < 0)
            return err->code;
        if (!*text)
            break;
        if ((*text != ',' && *text != '?') || (sep && *text != sep) || !text[1])
            return err_set(err, SL_EINVAL_DEPEND, "%s: unexpected \"%s\"",
                           err_name(SL_EINVAL_DEPEND), text);
        sep = *text++;
    }
    j->deps_any = sep == '?';
    return 0;
}

/* ---- is it met? --------------------------------------------------------------------- */

static enum dep_state target_eval(const struct core *c, const struct job *j, struct dep *d,
                                  usec_t now)
{
    uint32_t task = d->kind == DEP_AFTERCORR && j->is_task ? j->array_task : d->task;
    struct outcome o;
    if (d->due) /* known already: the target may be forgotten by then */
        return d->due <= now ? DEP_MET : DEP_WAIT;
    if (!outcome_find(c, d, task, &o))
        return d->kind == DEP_AFTERANY || d->kind == DEP_AFTER ? DEP_MET : DEP_NEVER;
    switch (d->kind) {
    case DEP_AFTER:
        if (o.unstarted)
            return DEP_WAIT;
        d->due = d->delay ? o.began + d->delay : 0;
        return d->due <= now ? DEP_MET : DEP_WAIT;
    case DEP_AFTEROK:
    case DEP_AFTERCORR:
        return o.failed ? DEP_NEVER : o.open ? DEP_WAIT : DEP_MET;
    case DEP_AFTERNOTOK:
        return o.open ? DEP_WAIT : o.failed ? DEP_MET : DEP_NEVER;
    default:
        return o.open ? DEP_WAIT : DEP_MET;
    }
}

/* No job of the user and the name runs, and none that was submitted before is to come. */
static enum dep_state singleton_eval(const struct core *c, const struct job *j)
{
    const struct namesakes *g = kin_namesakes(c, j);
    if (!g)
        return DEP_MET;
    if (g->running > (j->array ? j->array->running : 0u))
        return DEP_WAIT;
    for (const struct job *r = g->head; r; r = r->name_next)
        if (kin_age(r) < kin_age(j))
            return DEP_WAIT;
    return DEP_MET;
}

/* Of an array that still stands for several tasks: each waits for its own counterpart, so
 * nothing is known of all of them until depend_pair() has taken them apart. */
static bool paired(const struct job *j, const struct dep *d)
{
    return d->kind == DEP_AFTERCORR && j->rest_count != 0;
}

bool depend_pairs(const struct job *j)
{
    for (uint32_t i = 0; i < j->deps_count; i++)
        if (paired(j, &j->deps[i]))
            return true;
    return false;
}

static bool pair_decided(const struct core *c, const struct job *j, uint32_t task, usec_t now)
{
    struct job one = {.is_task = true, .array_id = j->array_id, .array_task = task};
    for (uint32_t i = 0; i < j->deps_count; i++)
        if (paired(j, &j->deps[i]) && target_eval(c, &one, &j->deps[i], now) != DEP_WAIT)
            return true;
    return false;
}

static enum dep_state together(const struct job *j)
{
    uint32_t met = 0, never = 0;
    for (uint32_t i = 0; i < j->deps_count; i++) {
        met += j->deps[i].state == DEP_MET;
        never += j->deps[i].state == DEP_NEVER;
    }
    if (j->deps_any)
        return met || j->deps_count == 0 ? DEP_MET
               : never == j->deps_count  ? DEP_NEVER
                                         : DEP_WAIT;
    return never ? DEP_NEVER : met == j->deps_count ? DEP_MET : DEP_WAIT;
}

enum dep_state depend_eval(struct core *c, struct job *j, usec_t now)
{
    enum dep_state so_far = together(j);
    if (so_far != DEP_WAIT) /* what is left open can not change it */
        return so_far;
    for (uint32_t i = 0; i < j->deps_count; i++) {
        struct dep *d = &j->deps[i];
        if (d->state == DEP_WAIT && !paired(j, d))
            d->state = d->kind == DEP_SINGLETON ? singleton_eval(c, j)
                                                : target_eval(c, j, d, now);
        if (d->state == DEP_WAIT && d->due)
            timer_add(c, d->due, TIMER_AFTER, j->id);
    }
    return together(j);
}

/* ---- again, after something started or ended ------------------------------------------- */

static uint32_t undecided(const struct job *j)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < j->deps_count; i++)
        n += j->deps[i].state == DEP_WAIT && j->deps[i].due == 0;
    return n;
}

/* A task whose counterpart in another array has ended gets a record of its own. */
static bool pair_split(struct core *c, struct job *j, uint32_t task, usec_t now,
                       struct batch *out)
{
    if (!pair_decided(c, j, task, now))
        return true;
    struct job *t = job_split(c, j, task, out);
    if (!t || t == j)
        return false;
    job_gate(c, t, now);
    job_drop_invalid(c, t, now, out);
    return true;
}

static void pairs_split(struct core *c, struct job *j, uint32_t task, usec_t now,
                        struct batch *out)
{
    if (task != NO_VAL && task_waits(j, task))
        pair_split(c, j, task, now, out);
    if (task != NO_VAL)
        return;
    for (uint32_t k = j->rest_count; k-- > 0 && j->rest_count;)
        if (!pair_split(c, j, j->rest[k], now, out))
            return;
}

/* What is met is recorded: the job it was met by may be forgotten before the others are. */
void depend_again(struct core *c, usec_t now, struct batch *out)
{
    struct woken w;
    while (kin_woken(c, &w)) {
        struct job *j = job_find(c, w.job_id);
        if (!j)
            continue;
        j->woken = false;
        if (j->state != JOB_PENDING || (j->flags & JOBF_COMPLETING))
            continue;
        if (depend_pairs(j))
            pairs_split(c, j, w.task, now, out);
        uint8_t before = j->reason, gate = j->gate;
        uint32_t waiting = undecided(j);
        job_gate(c, j, now);
        if (j->reason != before || j->gate != gate || undecided(j) != waiting)
            job_changed(c, j, out, false);
        job_drop_invalid(c, j, now, out);
    }
}

char *depend_text(const struct core *c, const struct job *j, struct arena *a)
{
    struct buf b;
    (void)c;
    buf_init(&b);
    for (uint32_t i = 0; i < j->deps_count; i++) {
        const struct dep *d = &j->deps[i];
        static const char *const state[] = {"unfulfilled", "fulfilled", "failed"};
        if (d->state == DEP_MET)
            continue;
        buf_printf(&b, "%s%s", b.len ? (j->deps_any ? "?" : ",") : "", kind_name[d->kind]);
        if (d->kind != DEP_SINGLETON)
            buf_printf(&b, ":%u%s", d->target, d->task == NO_VAL ? "" : "_");
        if (d->kind != DEP_SINGLETON && d->task != NO_VAL)
            buf_printf(&b, "%u", d->task);
        if (d->delay)
            buf_printf(&b, "+%lld", (long long)(d->delay / (60 * USEC_PER_SEC)));
        buf_printf(&b, "(%s)", state[d->state]);
    }
    char *text = arena_strdup(a, buf_str(&b));
    buf_fini(&b);
    return text;
}
