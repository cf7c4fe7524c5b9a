/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/kin.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- arrays ------------------------------------------------------------------------- */

struct array *kin_array(const struct core *c, uint32_t array_id)
{
    struct array *a;
    HASH_FIND(hh, c->arrays, &array_id, sizeof array_id, a);
    return a;
}

/* Index of the first task record with a task of at least `task`. */
static uint32_t task_lower(const struct array *a, uint32_t task)
{
    uint32_t lo = 0, hi = a->tasks;
    if (hi && a->task[hi - 1]->kin_task < task)
        return hi; /* tasks begin in order: mostly it is a new last one */
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (a->task[mid]->kin_task < task)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct job *kin_task(const struct array *a, uint32_t task)
{
    uint32_t i = task_lower(a, task);
    return i < a->tasks && a->task[i]->kin_task == task ? a->task[i] : NULL;
}

static void array_file(struct array *a, struct job *j)
{
    j->kin_task = j->is_task ? j->array_task : NO_VAL;
    if (!j->is_task) {
        a->rest = j;
        return;
    }
    uint32_t i = task_lower(a, j->array_task);
    GROW(a->task, a->tasks_cap, a->tasks + 1);
    memmove(a->task + i + 1, a->task + i, (a->tasks - i) * sizeof *a->task);
    a->task[i] = j;
    a->tasks++;
}

static void array_unfile(struct array *a, struct job *j)
{
    if (a->rest == j) {
        a->rest = NULL;
        return;
    }
    uint32_t i = task_lower(a, j->kin_task);
    while (a->task[i] != j)
        i++;
    memmove(a->task + i, a->task + i + 1, (a->tasks - i - 1) * sizeof *a->task);
    a->tasks--;
}

static struct array *array_join(struct core *c, struct job *j)
{
    struct array *a = kin_array(c, j->array_id);
    if (!a) {
        a = xcalloc(1, sizeof *a);
        a->id = j->array_id;
        HASH_ADD(hh, c->arrays, id, sizeof a->id, a);
    }
    array_file(a, j);
    return a;
}

static void array_leave(struct core *c, struct job *j)
{
    struct array *a = j->array;
    array_unfile(a, j);
    j->array = NULL;
    if (a->rest || a->tasks)
        return;
    HASH_DEL(c->arrays, a);
    free(a->task);
    free(a->throttled.v);
    free(a);
}

static int id_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

uint32_t *kin_ids(const struct core *c, uint32_t array_id, uint32_t *count)
{
    const struct array *a = kin_array(c, array_id);
    uint32_t *ids = xmalloc((a ? a->tasks + 1 : 1) * sizeof *ids);
    *count = 0;
    for (uint32_t i = 0; a && i < a->tasks; i++)
        ids[(*count)++] = a->task[i]->id;
    if (a && a->rest)
        ids[(*count)++] = a->rest->id;
    qsort(ids, *count, sizeof *ids, id_order);
    return ids;
}

bool kin_array_failed(const struct core *c, const struct array *a)
{
    const struct job *base = job_find(c, a->id);
    return a->failed || (base && base->array_failed);
}

static uint8_t tally_of(const struct job *j)
{
    bool over = job_state_finished((enum job_state)j->state);
    bool open = !over || (j->flags & JOBF_COMPLETING);
    return (uint8_t)((open ? TALLY_OPEN : 0) |
                     (!open && j->state != JOB_COMPLETED ? TALLY_FAILED : 0) |
                     (!over && j->start == 0 ? TALLY_UNSTARTED : 0));
}

static void array_count(struct array *a, const struct job *j, uint32_t by)
{
    a->open += j->tally & TALLY_OPEN ? by : 0;
    a->failed += j->tally & TALLY_FAILED ? by : 0;
    a->unstarted += j->tally & TALLY_UNSTARTED ? by : 0;
    a->running += j->kin_running ? by : 0;
}

/* ---- jobs of one name ----------------------------------------------------------------- */

struct namesakes *kin_namesakes(const struct core *c, const struct job *j)
{
    struct namesake_key key = {j->uid, j->name};
    struct namesakes *g;
    if (j->namesakes)
        return j->namesakes;
    HASH_FIND(hh, c->namesakes, &key, sizeof key, g);
    return g;
}

static void name_join(struct core *c, struct job *j)
{
    struct namesakes *g = kin_namesakes(c, j);
    if (!g) {
        g = xcalloc(1, sizeof *g);
        g->key = (struct namesake_key){j->uid, intern_ref(&c->text, j->name)};
        HASH_ADD(hh, c->namesakes, key, sizeof g->key, g);
    }
    j->namesakes = g;
    struct job *before = g->head ? g->head->name_prev : NULL; /* the last */
    if (!before || before->id < j->id) {
        DL_APPEND2(g->head, j, name_prev, name_next);
        return;
    }
    struct job *at = g->head; /* back among older ones: requeued when over, or renamed */
    while (at->id < j->id)
        at = at->name_next;
    DL_PREPEND_ELEM2(g->head, at, j, name_prev, name_next);
}

static void name_leave(struct core *c, struct job *j)
{
    struct namesakes *g = j->namesakes;
    DL_DELETE2(g->head, j, name_prev, name_next);
    j->namesakes = NULL;
    if (g->head || g->waited.head)
        return;
    HASH_DEL(c->namesakes, g);
    intern_drop(&c->text, g->key.name);
    free(g);
}

/* ---- one job ---------------------------------------------------------------------------- */

static void wake_namesakes(struct core *c, const struct namesakes *g);

static void name_note(struct core *c, struct job *j, bool live)
{
    struct namesakes *g = j->namesakes;
    if (g && live && g->key.name == j->name)
        return;
    if (g) {
        if (j->kin_running)
            g->running--;
        kin_wake(c, j);
        kin_wait(c, j, false); /* singletons hang in the list of their name */
        if (g->waited.head) /* it may have been the first of them itself */
            wake_namesakes(c, g);
        name_leave(c, j);
    }
    if (live) {
        name_join(c, j);
        if (j->kin_running)
            j->namesakes->running++;
    }
}

void kin_note(struct core *c, struct job *j)
{
    uint8_t tally = tally_of(j);
    bool running = j->alloc != NULL;
    name_note(c, j, tally & TALLY_OPEN);
    if (j->namesakes)
        j->namesakes->running += (uint32_t)running - (uint32_t)j->kin_running;
    if (j->array_id && !j->array) {
        j->array = array_join(c, j);
    } else if (j->array) {
        array_count(j->array, j, UINT32_MAX); /* minus one */
        if (j->kin_task != (j->is_task ? j->array_task : NO_VAL)) {
            array_unfile(j->array, j);
            array_file(j->array, j);
        }
    }
    j->tally = tally;
    j->kin_running = running;
    if (j->array)
        array_count(j->array, j, 1);
}

void kin_leave(struct core *c, struct job *j)
{
    kin_wake(c, j);
    kin_wait(c, j, false);
    kin_throttle(c, j, false);
    if (j->namesakes) {
        if (j->kin_running)
            j->namesakes->running--;
        name_leave(c, j);
    }
    if (j->array) {
        array_count(j->array, j, UINT32_MAX);
        array_leave(c, j);
    }
}

/* ---- who waits for whom ------------------------------------------------------------------- */

static struct waited *waited_find(const struct core *c, uint32_t target)
{
    struct waited *w;
    HASH_FIND(hh, c->waited, &target, sizeof target, w);
    return w;
}

static struct waited *waited_get(struct core *c, const struct job *j, const struct dep *d)
{
    if (d->kind == DEP_SINGLETON)
        return &j->namesakes->waited;
    struct waited *w = waited_find(c, d->target);
    if (!w) {
        w = xcalloc(1, sizeof *w);
        w->target = d->target;
        HASH_ADD(hh, c->waited, target, sizeof w->target, w);
    }
    return w;
}

/* Singletons by age, so that the first to go is at the head. */
static void dep_hang(struct dep *d)
{
    struct dep *head = d->list->head, *at = head;
    if (d->kind != DEP_SINGLETON || !head || kin_age(head->prev->job) <= kin_age(d->job)) {
        DL_APPEND(d->list->head, d);
        return;
    }
    while (kin_age(at->job) <= kin_age(d->job))
        at = at->next;
    DL_PREPEND_ELEM(d->list->head, at, d);
}

static void dep_unhang(struct core *c, struct dep *d)
{
    struct waited *w = d->list;
    DL_DELETE(w->head, d);
    d->list = NULL;
    if (w->head || w->target == 0)
        return;
    HASH_DEL(c->waited, w);
    free(w);
}

void kin_wait(struct core *c, struct job *j, bool waits)
{
    for (uint32_t i = 0; i < j->deps_count; i++) {
        struct dep *d = &j->deps[i];
        bool hang = waits && d->state == DEP_WAIT;
        if (hang == (d->list != NULL))
            continue;
        if (!hang) {
            dep_unhang(c, d);
            continue;
        }
        d->job = j;
        d->list = waited_get(c, j, d);
        dep_hang(d);
    }
}

bool kin_waits(const struct job *j)
{
    for (uint32_t i = 0; i < j->deps_count; i++)
        if (j->deps[i].list)
            return true;
    return false;
}

void kin_throttle(struct core *c, struct job *j, bool behind)
{
    (void)c;
    if (j->array)
        jobset_put(&j->array->throttled, SET_THROTTLED, j, behind);
}

static void wake(struct core *c, struct job *j, uint32_t task)
{
    if (j->woken)
        return;
    j->woken = task == NO_VAL;
    GROW(c->woken, c->woken_cap, c->woken_count + 1);
    c->woken[c->woken_count++] = (struct woken){j->id, task};
    c->woken_sorted = false;
}

void kin_wake_one(struct core *c, struct job *j)
{
    wake(c, j, NO_VAL);
}

/* task: which one of an array it is about; only pairs of arrays need to know. */
static void wake_list(struct core *c, const struct waited *w, uint32_t task)
{
    const struct dep *d;
    if (w)
        DL_FOREACH(w->head, d)
            wake(c, d->job, d->kind == DEP_AFTERCORR && d->job->rest_count ? task : NO_VAL);
}

/* The first of those that wait for their name, with its array: the others wait for it. */
static void wake_namesakes(struct core *c, const struct namesakes *g)
{
    const struct dep *d;
    const struct job *first = g->waited.head->job;
    if (first->array_id == 0) {
        wake(c, g->waited.head->job, NO_VAL);
        return;
    }
    DL_FOREACH(g->waited.head, d)
        if (d->job->array_id == first->array_id)
            wake(c, d->job, NO_VAL);
}

void kin_wake(struct core *c, struct job *j)
{
    uint32_t task = j->is_task ? j->array_task : NO_VAL;
    wake_list(c, waited_find(c, j->id), task);
    if (j->array_id && j->array_id != j->id)
        wake_list(c, waited_find(c, j->array_id), task);
    if (j->array)
        for (uint32_t i = 0; i < j->array->throttled.count; i++)
            wake(c, j->array->throttled.v[i], NO_VAL);
    if (j->namesakes && j->namesakes->waited.head)
        wake_namesakes(c, j->namesakes);
}

static int woken_order(const void *a, const void *b)
{
    const struct woken *x = a, *y = b;
    if (x->job_id != y->job_id)
        return x->job_id > y->job_id ? -1 : 1; /* the last is taken first */
    return x->task > y->task ? -1 : x->task < y->task;
}

bool kin_woken(struct core *c, struct woken *w)
{
    if (c->woken_count == 0)
        return false;
    if (!c->woken_sorted)
        qsort(c->woken, c->woken_count, sizeof *c->woken, woken_order);
    c->woken_sorted = true;
    *w = c->woken[--c->woken_count];
    return true;
}

/* ---- invariants ------------------------------------------------------------------------------ */

static int check_waits(const struct job *j, struct err *err)
{
    bool waits = j->state == JOB_PENDING && !(j->flags & JOBF_COMPLETING);
    for (uint32_t i = 0; i < j->deps_count; i++) {
        const struct dep *d = &j->deps[i];
        uint32_t target = d->kind == DEP_SINGLETON ? 0 : d->target;
        if (!d->list)
            continue;
        if (!waits || d->job != j || d->state != DEP_WAIT || d->list->target != target)
            return err_set(err, -EINVAL, "job %u hangs wrong in the list of %u", j->id, target);
    }
    bool blocked = j->gate == GATE_DEPENDENCY && j->reason == REASON_DEPENDENCY;
    for (uint32_t i = 0; waits && blocked && i < j->deps_count; i++)
        if (j->deps[i].state == DEP_WAIT && !j->deps[i].list)
            return err_set(err, -EINVAL, "job %u waits for job %u, which does not know it",
                           j->id, j->deps[i].target);
    if (waits && j->gate == GATE_ARRAY_LIMIT && j->place[SET_THROTTLED] == NONE)
        return err_set(err, -EINVAL, "job %u waits for its array, which does not know it", j->id);
    return 0;
}

struct sums { uint32_t members, open, failed, unstarted, running; };

static int check_array(const struct array *a, struct err *err)
{
    struct sums s = {0};
    for (uint32_t i = 0; i <= a->tasks; i++) {
        const struct job *j = i < a->tasks ? a->task[i] : a->rest;
        if (!j)
            continue;
        if (j->array != a || j->array_id != a->id || j->is_task != (i < a->tasks) ||
            (i && i < a->tasks && a->task[i - 1]->array_task >= j->array_task))
            return err_set(err, -EINVAL, "job %u is filed wrong in array %u", j->id, a->id);
        uint8_t t = tally_of(j);
        s.open += (t & TALLY_OPEN) != 0;
        s.failed += (t & TALLY_FAILED) != 0;
        s.unstarted += (t & TALLY_UNSTARTED) != 0;
        s.running += j->alloc != NULL;
    }
    if (s.open != a->open || s.failed != a->failed || s.unstarted != a->unstarted ||
        s.running != a->running)
        return err_set(err, -EINVAL, "array %u: %u open, %u failed, %u unstarted, %u running, "
                       "but counted %u, %u, %u, %u", a->id, s.open, s.failed, s.unstarted,
                       s.running, a->open, a->failed, a->unstarted, a->running);
    return 0;
}

static int check_names(const struct namesakes *g, uint32_t *members, struct err *err)
{
    const struct job *j, *before = NULL;
    uint32_t running = 0;
    DL_FOREACH2(g->head, j, name_next) {
        if (j->namesakes != g || j->uid != g->key.uid || j->name != g->key.name ||
            (before && before->id >= j->id))
            return err_set(err, -EINVAL, "job %u is filed wrong by its name", j->id);
        running += j->alloc != NULL;
        ++*members;
        before = j;
    }
    if (running != g->running)
        return err_set(err, -EINVAL, "name of job %u: %u run, counted %u", g->head->id, running,
                       g->running);
    return 0;
}

int kin_check(const struct core *c, struct err *err)
{
    uint32_t live = 0, named = 0, in_arrays = 0, filed = 0;
    for (uint32_t i = 0; i < c->jobs; i++) {
        const struct job *j = c->job[i];
        live += (tally_of(j) & TALLY_OPEN) != 0;
        in_arrays += j->array_id != 0;
        if (check_waits(j, err) < 0)
            return err->code;
    }
    for (const struct array *a = c->arrays; a; a = a->hh.next) {
        filed += a->tasks + (a->rest != NULL);
        if (check_array(a, err) < 0)
            return err->code;
    }
    for (const struct namesakes *g = c->namesakes; g; g = g->hh.next)
        if (check_names(g, &named, err) < 0)
            return err->code;
    if (live != named || in_arrays != filed)
        return err_set(err, -EINVAL, "%u live jobs and %u of arrays, but filed %u and %u", live,
                       in_arrays, named, filed);
    return 0;
}

void kin_fini(struct core *c)
{
    ASSERT(!c->arrays && !c->namesakes && !c->waited); /* gone with the last job */
    free(c->woken);
}
