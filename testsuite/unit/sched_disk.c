/* SPDX-License-Identifier: Apache-2.0 */
#include "sched_disk.h"

#include "sched/record.pb-c.h"
#include "sched/tenant.h"
#include "sched_truth.h"
#include "sched_world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TENANT_ID_BITS 28 /* of a changed tenant's number; above them its kind */

/* ---- records -------------------------------------------------------------------- */

static size_t records_at(const struct records *r, uint32_t id)
{
    size_t lo = 0, hi = r->count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r->v[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct buf *records_put(struct records *r, uint32_t id)
{
    size_t at = records_at(r, id);
    if (at == r->count || r->v[at].id != id) {
        struct record fresh = {.id = id};
        buf_init(&fresh.bytes);
        PUSH(r->v, r->count, r->cap, fresh);
        memmove(r->v + at + 1, r->v + at, (r->count - at - 1) * sizeof *r->v);
        r->v[at] = fresh;
    }
    buf_clear(&r->v[at].bytes);
    return &r->v[at].bytes;
}

static void records_drop(struct records *r, uint32_t id)
{
    size_t at = records_at(r, id);
    if (at == r->count || r->v[at].id != id)
        return;
    buf_fini(&r->v[at].bytes);
    memmove(r->v + at, r->v + at + 1, (r->count - at - 1) * sizeof *r->v);
    r->count--;
}

void records_clear(struct records *r)
{
    for (size_t i = 0; i < r->count; i++)
        buf_fini(&r->v[i].bytes);
    r->count = 0;
}

void records_fini(struct records *r)
{
    records_clear(r);
    free(r->v);
    *r = (struct records){0};
}

/* ---- a generation ----------------------------------------------------------------- */

void generation_note(struct generation *g, const struct change *ch)
{
    static const enum table of[] = {
        [CHANGE_JOB] = TABLE_JOB,       [CHANGE_NODE] = TABLE_NODE,
        [CHANGE_RESV] = TABLE_RESV,     [CHANGE_PARTITION] = TABLE_PARTITION,
        [CHANGE_TENANT] = TABLE_TENANT, [CHANGE_PREDICT] = TABLE_PREDICT};
    uint32_t id = ch->id;
    if (ch->kind == CHANGE_META) {
        id = 0;
    } else if (ch->kind >= sizeof of / sizeof *of || of[ch->kind] == TABLE_META) {
        return; /* rows of accounting */
    }
    if (ch->kind == CHANGE_TENANT)
        id |= ch->sub << TENANT_ID_BITS;
    struct ids *to = &g->changed[ch->kind == CHANGE_META ? TABLE_META : of[ch->kind]];
    PUSH(to->v, to->count, to->cap, id);
}

bool generation_empty(const struct generation *g)
{
    bool empty = !g->promises_count && !g->effects_count;
    for (int t = 0; t < TABLE_COUNT; t++)
        empty = empty && g->changed[t].count == 0;
    return empty;
}

void generation_fini(struct generation *g)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        free(g->changed[t].v);
        records_fini(&g->record[t]);
    }
    free(g->promises);
    free(g->effects);
    memset(g, 0, sizeof *g);
}

/* The record as it is now, under the number that the disk knows it by. */
static void save(struct world *w, enum table t, uint32_t id, struct records *out)
{
    const struct core *c = w->core;
    uint32_t key = id, below = id & ((1u << TENANT_ID_BITS) - 1);
    char name[64];
    struct buf b;
    buf_init(&b);
    switch (t) {
    case TABLE_META:
        core_meta_save(c, &b);
        break;
    case TABLE_TENANT:
        core_tenant_save(c, (enum tenant_kind)(id >> TENANT_ID_BITS), below, name, &b);
        key = (uint32_t)hash_bytes(name, strlen(name));
        break;
    case TABLE_PREDICT:
        core_predict_save(c, id, &b);
        break;
    case TABLE_NODE:
        core_node_save(c, id, &b);
        key = world_node(w, id);
        break;
    case TABLE_PARTITION:
        core_partition_save(c, id, &b);
        break;
    case TABLE_RESV:
        core_resv_save(c, id, &b);
        break;
    default:
        core_job_save(c, id, &b);
        break;
    }
    struct buf *to = records_put(out, key);
    if (b.len)
        buf_put(to, b.data, b.len);
    buf_fini(&b);
}

void generation_seal(struct world *w, struct generation *g)
{
    for (int t = 0; t < TABLE_COUNT; t++)
        for (size_t i = 0; i < g->changed[t].count; i++)
            save(w, (enum table)t, g->changed[t].v[i], &g->record[t]);
    g->clock = world_now(w);
    books_follow(w);
    g->books = w->books;
}

/* ---- books ------------------------------------------------------------------------- */

void books_follow(struct world *w)
{
    struct books *b = &w->books;
    uint32_t cursor = 0, id;
    struct job_view v;
    b->cpu_usec += (amount_t)b->rate * (amount_t)(w->last - b->at);
    b->at = w->last;
    b->rate = 0;
    while ((cursor = core_job_next(w->core, cursor, &id)) != UINT32_MAX)
        if (core_job_view(w->core, id, false, &v) && v.state == JOB_RUNNING)
            b->rate += v.cpus;
}

static amount_t used_at(const struct core *c, uint32_t i, uint32_t tres, usec_t now);

void books_check(struct world *w)
{
    if (w->policy.priority_half_life)
        return;
    amount_t used = used_at(w->core, ASSOC_ROOT, TRES_CPU, w->last);
    amount_t want = w->books.cpu_usec * (AMOUNT_PER_SEC / USEC_PER_SEC);
    if (used != want)
        broken(w, "accounting: %.6f cpu-seconds are charged, jobs ran for %.6f",
               (double)used / (double)AMOUNT_PER_SEC, (double)want / (double)AMOUNT_PER_SEC);
}

/* ---- the disk ---------------------------------------------------------------------- */

void disk_write(struct world *w, struct generation *g)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        for (size_t i = 0; i < g->record[t].count; i++) {
            const struct record *r = &g->record[t].v[i];
            if (r->bytes.len == 0)
                records_drop(&w->disk[t], r->id);
            else
                buf_put(records_put(&w->disk[t], r->id), r->bytes.data, r->bytes.len);
        }
    }
    w->disk_clock = g->clock;
    w->disk_books = g->books;
}

static int load_one(struct core *c, enum table t, const struct record *r, struct err *err)
{
    static int (*const into[])(struct core *, const void *, size_t, struct err *) = {
        [TABLE_META] = core_meta_load, [TABLE_TENANT] = core_tenant_load,
        [TABLE_NODE] = core_node_load, [TABLE_PARTITION] = core_partition_load,
        [TABLE_RESV] = core_resv_load, [TABLE_JOB] = core_job_load};
    return t == TABLE_PREDICT
               ? core_predict_load(c, r->id, r->bytes.data, r->bytes.len, err)
               : into[t](c, r->bytes.data, r->bytes.len, err);
}

void disk_load(struct world *w)
{
    struct err err = {0};
    for (int t = 0; t < TABLE_COUNT; t++)
        for (size_t i = 0; i < w->disk[t].count; i++)
            if (load_one(w->core, (enum table)t, &w->disk[t].v[i], &err) < 0)
                broken(w, "a record is not loaded: %s", err.text);
    if (core_load_end(w->core, world_now(w), &err) < 0)
        broken(w, "after loading: %s", err.text);
    w->books = w->disk_books;
    if (w->books.at == 0)
        w->books.at = w->last;
    books_follow(w);
}

/* ---- checks ------------------------------------------------------------------------ */

/* The record without what need not be durable. */
static Sl__JobRecord *durable(const struct world *w, const struct buf *from)
{
    Sl__JobRecord *r =
        sl__job_record__unpack(NULL, from->len, (const uint8_t *)from->data);
    if (!r)
        broken(w, "a job's record does not parse");
    if (r->state == JOB_PENDING)
        r->reason = 0;
    if (w->policy.multifactor) /* made anew in each period */
        r->priority = 0;
    return r;
}

/* First field of the packed record that differs. */
static void record_compare(struct world *w, uint32_t id, const struct buf *core,
                           const struct buf *disk)
{
    Sl__JobRecord *r[2] = {durable(w, core), durable(w, disk)};
    struct buf b[2];
    for (int i = 0; i < 2; i++) {
        size_t n = sl__job_record__get_packed_size(r[i]);
        buf_init(&b[i]);
        buf_reserve(&b[i], n);
        b[i].len = sl__job_record__pack(r[i], (uint8_t *)b[i].data);
    }
    if (b[0].len != b[1].len || memcmp(b[0].data, b[1].data, b[0].len) != 0)
        broken(w,
               "job %u changed, and its record on the disk did not: state %u %u, flags "
               "%u %u, "
               "rest %zu %zu, deps %zu %zu, hold %u %u, then %u %u, eligible %" PRId64
               " %" PRId64
               ", nodes %zu %zu, steps %zu %zu, first dependency %u %u of job %u",
               id, r[0]->state, r[1]->state, r[0]->flags, r[1]->flags, r[0]->n_rest,
               r[1]->n_rest, r[0]->n_deps, r[1]->n_deps, r[0]->hold, r[1]->hold,
               r[0]->then, r[1]->then, r[0]->eligible, r[1]->eligible, r[0]->n_nodes,
               r[1]->n_nodes, r[0]->n_steps, r[1]->n_steps,
               r[0]->n_deps ? r[0]->deps[0]->state : 0,
               r[1]->n_deps ? r[1]->deps[0]->state : 0,
               r[0]->n_deps ? r[0]->deps[0]->job_id : 0);
    for (int i = 0; i < 2; i++) {
        buf_fini(&b[i]);
        sl__job_record__free_unpacked(r[i], NULL);
    }
}

static amount_t used_at(const struct core *c, uint32_t i, uint32_t tres, usec_t now)
{
    const struct tenants *tn = c->tenants;
    struct usage u = tn->assoc[i].usage;
    usage_settle(&u, &tn->decay, true, tn->tres_count, now);
    return u.used[tres];
}

/* A core that began now from the disk would know of each association what this one does. */
static void usage_compare(struct world *w)
{
    struct core *own = w->core;
    const struct judge judge = w->judge;
    const struct books books = w->books;
    struct clock clock = w->clock;
    usec_t last = w->last;
    world_begin(w);
    usec_t now = world_now(w);
    if (now < last) /* the wall clock was set back, and this one began anew */
        now = last;
    const struct tenants *a = own->tenants, *b = w->core->tenants;
    for (uint32_t i = ASSOC_ROOT; i < a->assocs; i++) {
        bool there = i < b->assocs && b->assoc[i].live;
        if (there != a->assoc[i].live)
            broken(w, "association %u is %son the disk", i, there ? "" : "not ");
        for (uint32_t t = 0; there && t < TRES_FIRST_NAMED; t++)
            if (used_at(own, i, t, now) != used_at(w->core, i, t, now))
                broken(w, "association %u has used %.0f s of resource %u, by the disk %.0f", i,
                       (double)used_at(own, i, t, now) / (double)AMOUNT_PER_SEC, t,
                       (double)used_at(w->core, i, t, now) / (double)AMOUNT_PER_SEC);
    }
    core_destroy(w->core);
    w->core = own;
    w->judge = judge;
    w->books = books;
    w->clock = clock;
    w->last = last;
}

static void jobs_compare(struct world *w)
{
    const struct records *disk = &w->disk[TABLE_JOB];
    struct buf now;
    buf_init(&now);
    if (core_job_count(w->core, false) != disk->count)
        broken(w, "%zu jobs, but %zu on the disk", core_job_count(w->core, false),
               disk->count);
    for (size_t i = 0; i < disk->count; i++) {
        buf_clear(&now);
        if (!core_job_save(w->core, disk->v[i].id, &now))
            broken(w, "job %u is on the disk only", disk->v[i].id);
        record_compare(w, disk->v[i].id, &now, &disk->v[i].bytes);
    }
    buf_fini(&now);
}

static void bytes_compare(struct world *w, enum table t, const char *what)
{
    struct records now = {0};
    for (size_t i = 0; i < w->disk[t].count; i++) {
        const struct record *r = &w->disk[t].v[i];
        save(w, t, r->id, &now);
        const struct buf *b = &now.v[now.count - 1].bytes;
        if (b->len != r->bytes.len || memcmp(b->data, r->bytes.data, b->len) != 0)
            broken(w, "%s %u is another on the disk", what, r->id);
    }
    records_fini(&now);
}

void disk_check(struct world *w)
{
    struct resv_view resv;
    if (core_resv_view(w->core, (uint32_t)w->disk[TABLE_RESV].count, &resv))
        broken(w, "reservation %s is not on the disk", resv.name);
    bytes_compare(w, TABLE_META, "the record of counters");
    bytes_compare(w, TABLE_PREDICT, "page of predictions");
    bytes_compare(w, TABLE_PARTITION, "partition");
    bytes_compare(w, TABLE_RESV, "reservation");
    jobs_compare(w);
    usage_compare(w);
}
