/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include "base/hostlist.h"
#include "users.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILTER_VALUES_MAX JOBS_PER_REQUEST_MAX

struct texts {
    char **v;
    size_t count, cap;
};

struct state_want {
    enum job_state state; /* JOB_NONE: the flag */
    uint32_t flags;
};

struct job_filter {
    struct arena *arena;
    struct texts names, partitions, accounts, qos, wckeys, reservations, licenses, nodes;
    uid_t *uids;
    size_t uids_count, uids_cap;
    struct state_want *states;
    size_t states_count, states_cap;
    struct job_sel *jobs;
    size_t jobs_count, jobs_cap;
    bool any;
};

struct job_filter *filter_create(struct arena *a)
{
    struct job_filter *f = arena_alloc(a, sizeof(*f));
    f->arena = a;
    return f;
}

/* Room for one more element of a list in the arena; old copies stay behind. */
static void *list_grown(struct arena *a, void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    *cap = *cap ? 2 * *cap : 8;
    void *more = arena_alloc(a, *cap * size);
    if (count)
        memcpy(more, list, count * size);
    return more;
}

static int add_text(struct job_filter *f, struct texts *t, const char *word)
{
    t->v = list_grown(f->arena, t->v, t->count, &t->cap, sizeof(*t->v));
    t->v[t->count++] = arena_strdup(f->arena, word);
    return 0;
}

static int add_user(struct job_filter *f, const char *word, struct err *err)
{
    uid_t uid;
    if (!users_find(word, &uid))
        return err_set(err, SL_EINVAL_FIELD, "Invalid user: %s", word);
    f->uids = list_grown(f->arena, f->uids, f->uids_count, &f->uids_cap, sizeof(*f->uids));
    f->uids[f->uids_count++] = uid;
    return 0;
}

static int add_state(struct job_filter *f, const char *word, struct err *err)
{
    struct state_want w = {JOB_NONE, 0};
    if (!job_state_parse(word, &w.state, &w.flags))
        return err_set(err, SL_EINVAL_FIELD, "Invalid job state specified: %s", word);
    f->states =
        list_grown(f->arena, f->states, f->states_count, &f->states_cap, sizeof(*f->states));
    f->states[f->states_count++] = w;
    return 0;
}

static int add_job(struct job_filter *f, const char *word, struct err *err)
{
    struct job_sel sel;
    int rc = job_sel_parse(word, f->arena, &sel, err);
    if (rc < 0)
        return rc;
    f->jobs = list_grown(f->arena, f->jobs, f->jobs_count, &f->jobs_cap, sizeof(*f->jobs));
    f->jobs[f->jobs_count++] = sel;
    return 0;
}

static int add_nodes(struct job_filter *f, const char *value, struct err *err)
{
    struct hostlist *hl = hostlist_create(value, err);
    if (!hl)
        return err ? err->code : SL_EINVAL_NODE;
    for (size_t i = 0; i < hostlist_count(hl); i++)
        add_text(f, &f->nodes, hostlist_nth(hl, i));
    hostlist_destroy(hl);
    return 0;
}

static struct texts *texts_of(struct job_filter *f, const char *key)
{
    static const struct {
        const char *key;
        size_t offset;
    } rows[] = {
        {"name", offsetof(struct job_filter, names)},
        {"partition", offsetof(struct job_filter, partitions)},
        {"account", offsetof(struct job_filter, accounts)},
        {"qos", offsetof(struct job_filter, qos)},
        {"wckey", offsetof(struct job_filter, wckeys)},
        {"reservation", offsetof(struct job_filter, reservations)},
        {"license", offsetof(struct job_filter, licenses)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].key, key) == 0)
            return (struct texts *)((char *)f + rows[i].offset);
    return NULL;
}

static int add_word(struct job_filter *f, const char *key, const char *word, struct err *err)
{
    struct texts *t = texts_of(f, key);

    if (t)
        return add_text(f, t, word);
    if (strcmp(key, "user") == 0)
        return add_user(f, word, err);
    if (strcmp(key, "state") == 0)
        return strcasecmp(word, "all") == 0 ? 0 : add_state(f, word, err);
    if (strcmp(key, "job") == 0)
        return add_job(f, word, err);
    return err_set(err, SL_EINVAL_FIELD, "filter \"%s\" is unknown", key);
}

/* Cuts at commas outside brackets, as "12_[1-3,5],14" needs. */
static size_t word_length(const char *p)
{
    int depth = 0;
    size_t n = 0;
    for (; p[n] && (p[n] != ',' || depth > 0); n++)
        depth += p[n] == '[' ? 1 : p[n] == ']' ? -1 : 0;
    return n;
}

int filter_add(struct job_filter *f, const char *key, const char *value, struct err *err)
{
    size_t words = 0;

    if (!value || !value[0])
        return 0;
    f->any = true;
    if (strcmp(key, "nodes") == 0)
        return add_nodes(f, value, err);
    for (const char *p = value; *p;) {
        size_t n = word_length(p);
        if (++words > FILTER_VALUES_MAX)
            return err_set(err, SL_ETOO_MANY, "filter \"%s\" has over %u values", key,
                           FILTER_VALUES_MAX);
        if (n) {
            char *word = arena_alloc(f->arena, n + 1);
            memcpy(word, p, n);
            int rc = add_word(f, key, word, err);
            if (rc < 0)
                return rc;
        }
        p += n;
        if (*p == ',')
            p++;
    }
    return 0;
}

bool filter_is_empty(const struct job_filter *f)
{
    return !f->any;
}

bool filter_has_state(const struct job_filter *f)
{
    return f->states_count != 0;
}

bool filter_wide(const struct job_filter *f)
{
    return f->nodes.count || f->wckeys.count || f->reservations.count || f->licenses.count;
}

const struct job_sel *filter_jobs(const struct job_filter *f, size_t *count)
{
    *count = f->jobs_count;
    return f->jobs;
}

bool list_has(const char *list, const char *name)
{
    size_t want = strlen(name);
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n == want && strncmp(list, name, n) == 0)
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

/* One of the texts equals value, or an element of it when value is a list. */
static bool texts_match(const struct texts *t, const char *value)
{
    if (!t->count)
        return true;
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->v[i], value) == 0 || list_has(value, t->v[i]))
            return true;
    return false;
}

/* "matlab:2,fluent|cfx:1": counts and the '|' of alternatives do not matter here. */
static bool licenses_match(const struct texts *t, const char *licenses)
{
    for (const char *p = licenses; *p;) {
        size_t n = strcspn(p, ":,|@");
        for (size_t i = 0; i < t->count; i++)
            if (strlen(t->v[i]) == n && strncmp(t->v[i], p, n) == 0)
                return true;
        p += n + strcspn(p + n, ",|");
        p += *p != '\0';
    }
    return t->count == 0;
}

static bool state_match(const struct job_filter *f, const struct job_view *v)
{
    if (!f->states_count)
        return true;
    for (size_t i = 0; i < f->states_count; i++) {
        const struct state_want *w = &f->states[i];
        if (w->flags ? (v->flags & w->flags) != 0 : v->state == w->state)
            return true;
    }
    return false;
}

static bool uid_match(const struct job_filter *f, uid_t uid)
{
    if (!f->uids_count)
        return true;
    for (size_t i = 0; i < f->uids_count; i++)
        if (f->uids[i] == uid)
            return true;
    return false;
}

static bool task_in(const uint32_t *list, size_t count, uint32_t task)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == task)
            return true;
    return false;
}

static bool sel_match(const struct job_sel *sel, const struct job_view *v)
{
    if (sel->has_het)
        return v->het_size && sel->job_id == v->job_id;
    if (!sel->has_array)
        return sel->job_id == v->job_id || sel->job_id == v->array_job_id ||
               (v->het_size && sel->job_id == v->het_id);
    if (sel->job_id != v->array_job_id)
        return false;
    if (v->is_array_task)
        return task_in(sel->task_ids, sel->tasks_count, v->array_task_id);
    for (size_t i = 0; i < v->array_rest_count; i++)
        if (task_in(sel->task_ids, sel->tasks_count, v->array_rest[i]))
            return true;
    return false;
}

static bool job_match(const struct job_filter *f, const struct job_view *v)
{
    if (!f->jobs_count)
        return true;
    for (size_t i = 0; i < f->jobs_count; i++)
        if (sel_match(&f->jobs[i], v))
            return true;
    return false;
}

bool filter_match_step(const struct job_filter *f, const struct job_view *v, uint32_t step_id)
{
    for (size_t i = 0; i < f->jobs_count; i++)
        if (sel_match(&f->jobs[i], v) && (!f->jobs[i].has_step || f->jobs[i].step_id == step_id))
            return true;
    return f->jobs_count == 0;
}

static bool nodes_match(const struct job_filter *f, const struct job_view *v)
{
    if (!f->nodes.count)
        return true;
    if (!v->nodelist[0])
        return false;
    struct hostlist *hl = hostlist_create(v->nodelist, NULL);
    bool found = false;
    for (size_t i = 0; hl && !found && i < f->nodes.count; i++)
        found = hostlist_find(hl, f->nodes.v[i]) >= 0;
    hostlist_destroy(hl);
    return found;
}

bool filter_match(const struct job_filter *f, const struct job_view *v)
{
    return state_match(f, v) && uid_match(f, v->uid) && job_match(f, v) &&
           texts_match(&f->names, v->name) && texts_match(&f->partitions, v->partition) &&
           texts_match(&f->accounts, v->account) && texts_match(&f->qos, v->qos) &&
           (!f->wckeys.count || texts_match(&f->wckeys, v->spec->wckey)) &&
           (!f->reservations.count || texts_match(&f->reservations, v->spec->reservation)) &&
           (!f->licenses.count || licenses_match(&f->licenses, v->spec->licenses)) &&
           nodes_match(f, v);
}
