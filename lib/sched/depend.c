/* SPDX-License-Identifier: Apache-2.0
 *
 * Dependencies, sbatch(1) --dependency: "afterok:12:13,afterany:14" (all) or with "?" (any),
 * "singleton", "after:12+5" (minutes), "aftercorr:12".
 */
#include "sched/model.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_name[DEP_KIND_COUNT] = {
    "", "after", "afterany", "afterok", "afternotok", "aftercorr", "singleton"};

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

/* "12", "12_3", "12+5" */
static int target_parse(struct core *c, const struct job *j, const char **p, struct dep *d,
                        struct err *err)
{
    char *end;
    unsigned long id = strtoul(*p, &end, 10), task, minutes;
    d->task = NO_VAL;
    if (end == *p || id == 0 || id > UINT32_MAX)
        return err_set(err, SL_EINVAL_DEPEND, "%s: \"%s\" is no job id",
                       err_name(SL_EINVAL_DEPEND), *p);
    if (*end == '_') {
        task = strtoul(end + 1, &end, 10);
        d->task = (uint32_t)task;
    }
    if (*end == '+' && d->kind == DEP_AFTER) {
        minutes = strtoul(end + 1, &end, 10);
        d->delay = (usec_t)(minutes > 525600 ? 525600 : minutes) * 60 * USEC_PER_SEC;
    }
    d->target = (uint32_t)id;
    if (d->target == j->id || (j->array_id && d->target == j->array_id))
        return err_set(err, SL_EINVAL_DEPEND, "%s: job %lu can not wait for itself",
                       err_name(SL_EINVAL_DEPEND), id);
    if (!job_find(c, d->target))
        return err_set(err, SL_EINVAL_DEPEND, "%s: no job %lu", err_name(SL_EINVAL_DEPEND), id);
    *p = end;
    return 0;
}

static int item_parse(struct core *c, struct job *j, const char **p, struct err *err)
{
    size_t n = strcspn(*p, ":,?");
    int kind = kind_parse(*p, n);
    struct dep d = {.kind = (uint8_t)kind, .state = DEP_WAIT};
    if (kind == DEP_NONE && strncmp(*p, "afterburstbuffer", 16) == 0)
        return err_set(err, SL_ENOT_BUILT, "dependency afterburstbuffer is not built: there are no burst buffers here");
    if (kind == DEP_NONE)
        return err_set(err, SL_EINVAL_DEPEND, "%s: \"%.40s\" is no kind of dependency",
                       err_name(SL_EINVAL_DEPEND), *p);
    *p += n;
    if (kind == DEP_SINGLETON)
        return dep_push(j, d, err);
    if (**p != ':')
        return err_set(err, SL_EINVAL_DEPEND, "%s: %s needs a job id",
                       err_name(SL_EINVAL_DEPEND), kind_name[kind]);
    while (**p == ':') {
        ++*p;
        d.delay = 0;
        if (target_parse(c, j, p, &d, err) < 0 || dep_push(j, d, err) < 0)
            return err->code;
    }
    return 0;
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

static bool over(const struct job *t)
{
    return job_state_finished((enum job_state)t->state);
}

static enum dep_state over_state(const struct dep *d, const struct job *t)
{
    bool good = t->state == JOB_COMPLETED;
    switch (d->kind) {
    case DEP_AFTEROK:
    case DEP_AFTERCORR:
        return good ? DEP_MET : DEP_NEVER;
    case DEP_AFTERNOTOK:
        return good ? DEP_NEVER : DEP_MET;
    default:
        return DEP_MET;
    }
}

/* All records of an array, or the one job. `after` is met by starting. */
static enum dep_state target_eval(const struct core *c, const struct job *j,
                                  const struct dep *d, usec_t now)
{
    const struct job *t = job_find(c, d->target);
    uint32_t task = d->kind == DEP_AFTERCORR && j->is_task ? j->array_task : d->task;
    enum dep_state state = DEP_MET;
    if (!t) /* forgotten: it ended long ago; how is not known any more */
        return d->kind == DEP_AFTERANY || d->kind == DEP_AFTER ? DEP_MET : DEP_NEVER;
    for (uint32_t i = 0; i < (t->array_id ? c->jobs : 1); i++) {
        const struct job *r = t->array_id ? c->job[i] : t;
        if (r->id != d->target && (t->array_id == 0 || r->array_id != t->array_id))
            continue;
        if (task != NO_VAL && r->array_id && r->array_task != task && !r->rest_count)
            continue;
        if (d->kind == DEP_AFTER) {
            if (r->start == 0 && !over(r))
                return DEP_WAIT;
            if (r->start + d->delay > now && !over(r))
                return DEP_WAIT;
            continue;
        }
        if (!over(r) || (r->flags & JOBF_COMPLETING))
            return DEP_WAIT;
        enum dep_state one = over_state(d, r);
        if (d->kind == DEP_AFTERNOTOK && t->array_id) {
            if (one == DEP_MET)
                return DEP_MET; /* one failed task is enough */
            state = DEP_NEVER;
        } else if (one == DEP_NEVER) {
            return DEP_NEVER;
        }
    }
    return state;
}

static enum dep_state singleton_eval(const struct core *c, const struct job *j)
{
    for (uint32_t i = 0; i < c->jobs; i++) {
        const struct job *r = c->job[i];
        if (r != j && r->name == j->name && r->uid == j->uid && r->id < j->id && !over(r) &&
            (r->array_id == 0 || r->array_id != j->array_id))
            return DEP_WAIT;
    }
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

bool depend_pair(struct core *c, const struct job *j, uint32_t task, usec_t now)
{
    struct job one = {.is_task = true, .array_id = j->array_id, .array_task = task};
    for (uint32_t i = 0; i < j->deps_count; i++)
        if (paired(j, &j->deps[i]) && target_eval(c, &one, &j->deps[i], now) != DEP_WAIT)
            return true;
    return false;
}

enum dep_state depend_eval(struct core *c, struct job *j, usec_t now)
{
    uint32_t met = 0, never = 0;
    for (uint32_t i = 0; i < j->deps_count; i++) {
        struct dep *d = &j->deps[i];
        if (d->state == DEP_WAIT && !paired(j, d))
            d->state = d->kind == DEP_SINGLETON ? singleton_eval(c, j)
                                                : target_eval(c, j, d, now);
        if (d->state == DEP_WAIT && d->delay) {
            const struct job *t = job_find(c, d->target);
            if (t && t->start)
                timer_add(c, t->start + d->delay, TIMER_AFTER, j->id);
        }
        met += d->state == DEP_MET;
        never += d->state == DEP_NEVER;
    }
    if (j->deps_any)
        return met ? DEP_MET : never == j->deps_count ? DEP_NEVER : DEP_WAIT;
    return never ? DEP_NEVER : met == j->deps_count ? DEP_MET : DEP_WAIT;
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
        buf_printf(&b, "(%s)", state[d->state]);
    }
    char *text = arena_strdup(a, buf_str(&b));
    buf_fini(&b);
    return text;
}
