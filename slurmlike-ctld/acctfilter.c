/* SPDX-License-Identifier: Apache-2.0 */
#include "acctfilter.h"

#include "base/limits.h"
#include "job/jobspec.h"
#include "job/state.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define NSS_BYTES_MAX (1u << 20) /* an entry of the user or group database */

/* ---- values ---------------------------------------------------------------- */

/* Splits at commas outside of brackets; the parts live in the arena. */
static int list_split(struct arena *a, const char *key, const char *text,
                      struct acct_list *out, struct err *err)
{
    size_t cap = 1;
    for (const char *p = text; *p; p++)
        cap += *p == ',';
    if (cap > JOBS_PER_REQUEST_MAX)
        return err_set(err, SL_EINVAL_FIELD, "filter %s: more than %u values", key,
                       JOBS_PER_REQUEST_MAX);
    char *copy = arena_strdup(a, text), *begin = copy;
    int depth = 0;
    out->v = arena_alloc(a, cap * sizeof(*out->v));
    out->count = 0;
    for (char *p = copy;; p++) {
        depth += *p == '[' ? 1 : *p == ']' && depth ? -1 : 0;
        if (*p && (*p != ',' || depth))
            continue;
        bool end = !*p;
        *p = '\0';
        if (*begin)
            out->v[out->count++] = begin;
        begin = p + 1;
        if (end)
            break;
    }
    if (!out->count)
        return err_set(err, SL_EINVAL_FIELD, "filter %s: no value", key);
    return 0;
}

struct input { /* one filter of the request */
    struct acct_filter *f;
    const char *key, *value;
    uid_t viewer;
};

static int take_store_list(const struct input *in, const char *const **v, size_t *count,
                           struct err *err)
{
    struct acct_list list;
    int rc = list_split(&in->f->arena, in->key, in->value, &list, err);
    if (rc)
        return rc;
    *v = list.v;
    *count = list.count;
    return 0;
}

static int take_account(const struct input *in, struct err *err)
{
    struct store_filter *s = &in->f->store;
    return take_store_list(in, &s->accounts, &s->accounts_count, err);
}

static int take_partition(const struct input *in, struct err *err)
{
    struct store_filter *s = &in->f->store;
    return take_store_list(in, &s->partitions, &s->partitions_count, err);
}

static int take_name(const struct input *in, struct err *err)
{
    struct store_filter *s = &in->f->store;
    return take_store_list(in, &s->names, &s->names_count, err);
}

static int take_user(const struct input *in, struct err *err)
{
    return list_split(&in->f->arena, in->key, in->value, &in->f->users, err);
}

static int take_me(const struct input *in, struct err *err)
{
    in->f->users.v = arena_alloc(&in->f->arena, sizeof(char *));
    in->f->users.v[0] = arena_printf(&in->f->arena, "%u", (unsigned)in->viewer);
    in->f->users.count = 1;
    (void)err;
    return 0;
}

static int take_group(const struct input *in, struct err *err)
{
    return list_split(&in->f->arena, in->key, in->value, &in->f->groups, err);
}

static int take_qos(const struct input *in, struct err *err)
{
    return list_split(&in->f->arena, in->key, in->value, &in->f->qos, err);
}

static int take_wckey(const struct input *in, struct err *err)
{
    return list_split(&in->f->arena, in->key, in->value, &in->f->wckeys, err);
}

static int take_job(const struct input *in, struct err *err)
{
    struct acct_filter *f = in->f;
    struct acct_list list;
    int rc = list_split(&f->arena, in->key, in->value, &list, err);
    if (rc)
        return rc;
    f->sels = arena_alloc(&f->arena, list.count * sizeof(*f->sels));
    uint32_t *ids = arena_alloc(&f->arena, list.count * sizeof(*ids));
    for (size_t i = 0; i < list.count && !rc; i++) {
        rc = job_sel_parse(list.v[i], &f->arena, &f->sels[i], err);
        ids[i] = f->sels[i].job_id;
    }
    f->sels_count = list.count;
    f->store.job_ids = ids;
    f->store.job_ids_count = list.count;
    return rc;
}

static int take_state(const struct input *in, struct err *err)
{
    struct acct_filter *f = in->f;
    struct acct_list list;
    int rc = list_split(&f->arena, in->key, in->value, &list, err);
    if (rc)
        return rc;
    uint32_t *states = arena_alloc(&f->arena, list.count * sizeof(*states));
    size_t n = 0;
    for (size_t i = 0; i < list.count; i++) {
        enum job_state state;
        uint32_t flags;
        if (!job_state_parse(list.v[i], &state, &flags))
            return err_set(err, SL_EINVAL_FIELD, "Invalid job state specified: %s",
                           list.v[i]);
        if (flags)
            return err_set(
                err, SL_EINVAL_FIELD,
                "job state %s passes and is not in the "
                "accounting records; ask for a base state such as RUNNING or "
                "FAILED",
                list.v[i]);
        if (state == JOB_PENDING)
            f->store.was_pending = true;
        else if (state == JOB_RUNNING)
            f->store.was_running = true;
        else
            states[n++] = state;
    }
    f->store.states = states;
    f->store.states_count = n;
    return 0;
}

static int take_time(const struct input *in, usec_t *out, struct err *err)
{
    uint64_t seconds;
    int rc =
        num_parse_u64(in->key, in->value, 0, INT64_MAX / USEC_PER_SEC, &seconds, err);
    if (!rc)
        *out = (usec_t)seconds * USEC_PER_SEC;
    return rc;
}

static int take_start(const struct input *in, struct err *err)
{
    return take_time(in, &in->f->store.start, err);
}

static int take_end(const struct input *in, struct err *err)
{
    return take_time(in, &in->f->store.end, err);
}

static int take_nodes(const struct input *in, struct err *err)
{
    hostlist_destroy(in->f->nodes);
    in->f->nodes = hostlist_create(in->value, err);
    return in->f->nodes ? 0 : SL_EINVAL_NODE;
}

/* "min" means exactly that many, "min-max" a range. */
static int take_range(const struct input *in, struct acct_range *out, struct err *err)
{
    char *text = arena_strdup(&in->f->arena, in->value);
    char *dash = strchr(text, '-');
    if (dash)
        *dash++ = '\0';
    int rc = num_parse_u64(in->key, text, 0, UINT32_MAX, &out->min, err);
    if (!rc)
        rc = num_parse_u64(in->key, dash ? dash : text, out->min ? out->min : 1,
                           UINT32_MAX, &out->max, err);
    return rc;
}

static int take_nnodes(const struct input *in, struct err *err)
{
    return take_range(in, &in->f->nnodes, err);
}

static int take_ncpus(const struct input *in, struct err *err)
{
    return take_range(in, &in->f->ncpus, err);
}

static int take_timelimit(const struct input *in, struct err *err)
{
    return take_range(in, &in->f->timelimit_min, err);
}

static int take_flag(const struct input *in, bool *out, struct err *err)
{
    if (strcmp(in->value, "1") != 0 && strcmp(in->value, "0") != 0)
        return err_set(err, SL_EINVAL_FIELD, "filter %s: \"%s\" is not 0 or 1", in->key,
                       in->value);
    *out = in->value[0] == '1';
    return 0;
}

static int take_duplicates(const struct input *in, struct err *err)
{
    return take_flag(in, &in->f->store.duplicates, err);
}

static int take_allocations(const struct input *in, struct err *err)
{
    bool only = false;
    int rc = take_flag(in, &only, err);
    in->f->steps = !only;
    return rc;
}

static int take_truncate(const struct input *in, struct err *err)
{
    return take_flag(in, &in->f->truncate, err);
}

static int take_limit(const struct input *in, struct err *err)
{
    uint64_t n = 0;
    int rc = num_parse_u64(in->key, in->value, 1, UINT32_MAX, &n, err);
    in->f->store.limit = (uint32_t)n;
    return rc;
}

static const struct {
    const char *key;
    int (*take)(const struct input *in, struct err *err);
} filters[] = {
    {"me", take_me},
    {"user", take_user},
    {"account", take_account},
    {"partition", take_partition},
    {"name", take_name},
    {"qos", take_qos},
    {"wckey", take_wckey},
    {"group", take_group},
    {"job", take_job},
    {"state", take_state},
    {"start", take_start},
    {"end", take_end},
    {"nodes", take_nodes},
    {"nnodes", take_nnodes},
    {"ncpus", take_ncpus},
    {"timelimit", take_timelimit},
    {"duplicates", take_duplicates},
    {"allocations", take_allocations},
    {"truncate", take_truncate},
    {"limit", take_limit},
};
#define FILTERS_COUNT (sizeof(filters) / sizeof(filters[0]))

static int take(struct acct_filter *f, const Sl__KeyValue *kv, uid_t viewer,
                struct err *err)
{
    const struct input in = {f, kv->key, kv->value, viewer};
    for (size_t i = 0; i < FILTERS_COUNT; i++)
        if (strcmp(filters[i].key, kv->key) == 0)
            return filters[i].take(&in, err);
    return err_set(err, SL_EINVAL_FIELD, "filter \"%s\": accounting has no such filter",
                   kv->key);
}

int acct_filter_init(struct acct_filter *f, const Sl__QueryRequest *request,
                     uid_t viewer, struct err *err)
{
    int rc = 0;
    memset(f, 0, sizeof(*f));
    arena_init(&f->arena);
    f->steps = true;
    for (size_t i = 0; i < request->n_filters && !rc; i++)
        rc = take(f, request->filters[i], viewer, err);
    if (rc)
        acct_filter_fini(f);
    return rc;
}

void acct_filter_fini(struct acct_filter *f)
{
    hostlist_destroy(f->nodes);
    f->nodes = NULL;
    arena_fini(&f->arena);
}

/* ---- names to numbers ------------------------------------------------------ */

/* 1 *id is set, 0 no such name, negative: the database failed. */
static int user_id(const char *name, uint32_t *id, struct err *err)
{
    struct passwd entry, *found = NULL;
    char *space = xmalloc(NSS_BYTES_MAX);
    int rc = getpwnam_r(name, &entry, space, NSS_BYTES_MAX, &found);
    if (found)
        *id = entry.pw_uid;
    free(space);
    if (rc && rc != ENOENT && rc != ESRCH)
        return err_set(err, -rc, "user %s: %s", name, strerror(rc));
    return found != NULL;
}

static int group_id(const char *name, uint32_t *id, struct err *err)
{
    struct group entry, *found = NULL;
    char *space = xmalloc(NSS_BYTES_MAX);
    int rc = getgrnam_r(name, &entry, space, NSS_BYTES_MAX, &found);
    if (found)
        *id = entry.gr_gid;
    free(space);
    if (rc && rc != ENOENT && rc != ESRCH)
        return err_set(err, -rc, "group %s: %s", name, strerror(rc));
    return found != NULL;
}

static bool number(const char *text, uint32_t *id)
{
    uint64_t n;
    if (num_parse_u64("id", text, 0, UINT32_MAX - 1, &n, NULL) != 0)
        return false;
    *id = (uint32_t)n;
    return true;
}

int acct_filter_resolve(struct acct_filter *f, struct err *err)
{
    uint32_t *uids = arena_alloc(&f->arena, (f->users.count + 1) * sizeof(*uids));
    const char **unknown =
        arena_alloc(&f->arena, (f->users.count + 1) * sizeof(*unknown));
    f->store.uids = uids;
    f->store.users = unknown;
    for (size_t i = 0; i < f->users.count; i++) {
        const char *name = f->users.v[i];
        uint32_t id = 0;
        int rc = number(name, &id) ? 1 : user_id(name, &id, err);
        if (rc < 0)
            return rc;
        if (rc)
            uids[f->store.uids_count++] = id;
        else /* gone from the system, perhaps not from the records */
            unknown[f->store.users_count++] = name;
    }
    f->gids = arena_alloc(&f->arena, (f->groups.count + 1) * sizeof(*f->gids));
    for (size_t i = 0; i < f->groups.count; i++) {
        uint32_t id = 0;
        int rc = number(f->groups.v[i], &id) ? 1 : group_id(f->groups.v[i], &id, err);
        if (rc < 0)
            return rc;
        if (!rc)
            return err_set(err, SL_EINVAL_FIELD, "Invalid group id: %s",
                           f->groups.v[i]);
        f->gids[f->gids_count++] = id;
    }
    return 0;
}

/* ---- rows ------------------------------------------------------------------ */

static bool list_has(const struct acct_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->v[i], text) == 0)
            return true;
    return list->count == 0;
}

static bool range_has(const struct acct_range *r, uint64_t n)
{
    return !r->max || (n >= r->min && n <= r->max);
}

static bool gid_has(const struct acct_filter *f, uint32_t gid)
{
    for (size_t i = 0; i < f->gids_count; i++)
        if (f->gids[i] == gid)
            return true;
    return f->gids_count == 0;
}

static bool nodes_has(const struct acct_filter *f, const char *nodelist)
{
    if (!f->nodes)
        return true;
    struct hostlist *row = hostlist_create(nodelist, NULL);
    bool found = false;
    for (size_t i = 0; row && i < hostlist_count(f->nodes) && !found; i++)
        found = hostlist_find(row, hostlist_nth(f->nodes, i)) >= 0;
    hostlist_destroy(row);
    return found;
}

static bool sel_has_id(const struct job_sel *sel, uint32_t task_id)
{
    for (size_t i = 0; i < sel->tasks_count; i++)
        if (sel->task_ids[i] == task_id)
            return true;
    return false;
}

/* A row that stands for tasks not yet started has each of them. */
static bool sel_has_any(const struct job_sel *sel, const char *array_tasks)
{
    struct arena a;
    uint32_t *ids = NULL, throttle;
    size_t count = 0;
    bool found = false;
    arena_init(&a);
    if (array_parse(array_tasks, ARRAY_TASKS_MAX, &a, &ids, &count, &throttle, NULL) ==
        0)
        for (size_t i = 0; i < count && !found; i++)
            found = sel_has_id(sel, ids[i]);
    arena_fini(&a);
    return found;
}

static bool sel_has_task(const struct job_sel *sel, const struct store_job *row)
{
    if (!sel->has_array)
        return true;
    if (*row->array_tasks)
        return sel_has_any(sel, row->array_tasks);
    return sel_has_id(sel, row->array_task_id);
}

static bool sel_has_job(const struct job_sel *sel, const struct store_job *row)
{
    if (sel->has_het)
        return row->het_job_id && sel->job_id == row->job_id;
    return (sel->job_id == row->job_id || sel->job_id == row->array_job_id ||
            sel->job_id == row->het_job_id) && sel_has_task(sel, row);
}

bool acct_filter_job(const struct acct_filter *f, const struct store_job *row)
{
    bool selected = f->sels_count == 0;
    for (size_t i = 0; i < f->sels_count && !selected; i++)
        selected = sel_has_job(&f->sels[i], row);
    return selected && list_has(&f->qos, row->qos) &&
           list_has(&f->wckeys, row->wckey) && gid_has(f, row->gid) &&
           range_has(&f->nnodes, row->nodes_count) && range_has(&f->ncpus, row->cpus) &&
           range_has(&f->timelimit_min,
                     (uint64_t)(row->time_limit / (60 * USEC_PER_SEC))) &&
           nodes_has(f, row->nodelist);
}

bool acct_filter_job_line(const struct acct_filter *f, const struct store_job *row)
{
    for (size_t i = 0; i < f->sels_count; i++)
        if (!f->sels[i].has_step && sel_has_job(&f->sels[i], row))
            return true;
    return f->sels_count == 0;
}

bool acct_filter_step(const struct acct_filter *f, const struct store_job *job,
                      const struct store_step *row)
{
    if (!f->steps)
        return false;
    for (size_t i = 0; i < f->sels_count; i++)
        if (sel_has_job(&f->sels[i], job) &&
            (!f->sels[i].has_step || f->sels[i].step_id == row->step_id))
            return true;
    return f->sels_count == 0;
}
