/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/request.h"
#include "sched/constraint.h"
#include "sched/license.h"
#include "base/buf.h"
#include "base/hostlist.h"
#include "job/state.h"
#include <stdlib.h>
#include <string.h>

/* Which part each field of JobSpec belongs to; what is in neither list is `tail`. */
#define SHAPE_FIELDS(X)                                                         \
    X(nodes_min) X(nodes_max) X(ntasks) X(cpus_per_task) X(ntasks_per_node)     \
    X(ntasks_per_core) X(ntasks_per_socket) X(ntasks_per_gpu)                   \
    X(mem_per_node_mib) X(mem_per_cpu_mib) X(mem_per_gpu_mib) X(n_gres) X(gres) \
    X(cpus_per_gpu) X(sockets_per_node) X(cores_per_socket) X(threads_per_core) \
    X(mincpus) X(tmp_disk_mib) X(constraints) X(prefer) X(nodelist) X(exclude)  \
    X(contiguous) X(exclusive) X(overcommit) X(spread) X(core_spec) X(hint)     \
    X(use_min_nodes) X(licenses) X(reservation) X(switches) X(switches_wait_usec)
#define IDENT_FIELDS(X)                                                         \
    X(comment) X(n_argv) X(argv) X(command) X(submit_line) X(dependency)
#define JOB_FIELDS(X)                                                           \
    X(name) X(time_limit_usec) X(begin_usec) X(deadline_usec) X(hold) X(nice)   \
    X(has_priority) X(priority) X(requeue)

static const Sl__JobSpec blank = SL__JOB_SPEC__INIT;

static void *arena_take(void *a, size_t n)
{
    return arena_alloc(a, n);
}

static void arena_leave(void *a, void *p)
{
    (void)a;
    (void)p;
}

ProtobufCAllocator arena_allocator(struct arena *a)
{
    return (ProtobufCAllocator){.alloc = arena_take, .free = arena_leave,
                                .allocator_data = a};
}

/* ---- parsing ------------------------------------------------------------------- */

static int gres_read(struct core *c, struct request *r, const Sl__JobSpec *s,
                     struct err *err)
{
    if (s->n_gres > GRES_ITEMS_MAX)
        return err_set(err, SL_EINVAL_GRES,
                       "Invalid generic resource (gres) specification: more than %d kinds",
                       GRES_ITEMS_MAX);
    for (size_t i = 0; i < s->n_gres; i++) {
        const Sl__GresReq *q = s->gres[i];
        if (q->count == 0)
            continue;
        struct req_gres *g = &r->gres[r->gres_count];
        if (q->count > UINT16_MAX)
            return err_set(err, SL_EINVAL_GRES,
                           "Invalid generic resource (gres) specification: %s: count %llu is too large",
                           q->name, (unsigned long long)q->count);
        g->name = intern_text(&c->text, q->name);
        g->type = intern_text(&c->text, q->type);
        g->count = (uint32_t)q->count;
        g->per = q->per;
        g->share = gres_is_share(q->name);
        r->gres_count++;
        if (g->share && q->per == SL__GRES_PER__GRES_PER_JOB)
            return err_set(err, SL_EINVAL_GRES, "%s are parts of one GPU: ask for them for each "
                           "node or task, not for the job", q->name);
        if (q->per != SL__GRES_PER__GRES_PER_SOCKET)
            continue;
        if (s->sockets_per_node == 0)
            return err_set(err, SL_EINVAL_GRES, "%s per socket needs --sockets-per-node",
                           q->name);
        g->count *= s->sockets_per_node;
        g->per = SL__GRES_PER__GRES_PER_NODE;
    }
    return 0;
}

static void memory_read(struct request *r, const Sl__JobSpec *s)
{
    if (s->mem_per_node_mib == MEM_ALL) {
        r->mem_kind = MEM_WHOLE;
    } else if (s->mem_per_node_mib != 0) {
        r->mem_kind = MEM_BY_NODE;
        r->mem_mib = s->mem_per_node_mib;
    } else if (s->mem_per_cpu_mib != 0) {
        r->mem_kind = MEM_BY_CPU;
        r->mem_mib = s->mem_per_cpu_mib;
    } else if (s->mem_per_gpu_mib != 0) {
        r->mem_kind = MEM_BY_GPU;
        r->mem_mib = s->mem_per_gpu_mib;
    }
}

static uint32_t gpus_total(const struct core *c, const struct request *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->gres_count; i++) {
        if (strcmp(text_of(c, r->gres[i].name), "gpu") != 0)
            continue;
        uint32_t times = 1;
        if (r->gres[i].per == SL__GRES_PER__GRES_PER_NODE && r->nodes_min > 1)
            times = r->nodes_min;
        n += r->gres[i].count * times;
    }
    return n;
}

static void tasks_derive(const struct core *c, struct request *r)
{
    if (r->ntasks == 0 && r->tasks_per_gpu != 0)
        r->ntasks = r->tasks_per_gpu * gpus_total(c, r);
    if (r->ntasks == 0 && r->tasks_per_node != 0)
        r->ntasks = r->tasks_per_node * (r->nodes_min ? r->nodes_min : 1);
    if (!r->nodes_given) {
        uint32_t least = 1;
        if (r->ntasks != 0 && r->tasks_per_node != 0)
            least = (r->ntasks + r->tasks_per_node - 1) / r->tasks_per_node;
        r->nodes_min = least;
        r->nodes_max = NONE;
        if (r->ntasks == 0)
            r->ntasks = 1;
    }
    if (r->ntasks != 0 && r->nodes_max != NONE && r->nodes_max > r->ntasks)
        r->nodes_max = r->ntasks > r->nodes_min ? r->ntasks : r->nodes_min;
    if (r->ntasks != 0 && r->ntasks < r->nodes_min)
        r->ntasks = r->nodes_min; /* at least one task a node */
}

/* Counted features need as many nodes. */
static int features_read(struct core *c, struct request *r, const Sl__JobSpec *s,
                         struct err *err)
{
    uint32_t constraint = constraint_get(c, "--constraint", s->constraints, err);
    if (constraint == NONE)
        return SL_EINVAL_FIELD;
    r->constraint = constraint;
    uint32_t prefer = constraint_get(c, "--prefer", s->prefer, err);
    if (prefer == NONE)
        return SL_EINVAL_FIELD;
    r->prefer = prefer;
    uint32_t nodes = constraint_nodes(c, r->constraint);
    if (r->nodes_given && nodes > r->nodes_max)
        return err_set(err, SL_EINVAL_FIELD, "--constraint: counts of %u nodes, but --nodes allows %u",
                       nodes, r->nodes_max);
    if (nodes > r->nodes_min) {
        r->nodes_min = nodes;
        r->nodes_max = r->nodes_given ? r->nodes_max : nodes;
        r->nodes_given = true;
    }
    return 0;
}

static int hosts_check(const char *option, const char *text, struct err *err)
{
    if (text[0] == '\0')
        return 0;
    struct hostlist *hl = hostlist_create(text, err);
    if (hl == NULL)
        return err_prefix(err, "%s", option);
    hostlist_destroy(hl);
    return 0;
}

static int request_parse(struct core *c, struct request *r, const Sl__JobSpec *s,
                         struct err *err)
{
    memset(r, 0, sizeof *r);
    r->serial = ++c->request_serial;
    r->nodes_given = s->nodes_min != 0;
    r->nodes_min = s->nodes_min;
    r->nodes_max = s->nodes_max ? s->nodes_max : s->nodes_min;
    r->ntasks = s->ntasks;
    r->cpus_per_task = s->cpus_per_task ? s->cpus_per_task : 1;
    r->tasks_per_node = s->ntasks_per_node;
    r->tasks_per_core = s->ntasks_per_core;
    r->tasks_per_socket = s->ntasks_per_socket;
    r->tasks_per_gpu = s->ntasks_per_gpu;
    r->threads = strcmp(s->hint, "nomultithread") == 0 ? 1 : s->threads_per_core;
    r->mincpus = s->mincpus;
    r->sockets_min = s->sockets_per_node;
    r->cores_per_socket = s->cores_per_socket;
    r->cpus_per_gpu = s->cpus_per_gpu;
    r->tmp_mib = s->tmp_disk_mib;
    r->nodes_many = s->nodes_max > s->nodes_min && !s->use_min_nodes;
    r->contiguous = s->contiguous;
    r->spread = s->spread;
    r->switches = s->switches;
    r->switches_wait = s->switches_wait_usec;
    r->exclusive = s->exclusive == 1;
    r->exclusive_user = s->exclusive == 2;
    r->overcommit = s->overcommit;
    r->has_names = s->nodelist[0] != '\0' || s->exclude[0] != '\0';
    r->nodelist = xstrdup(s->nodelist);
    r->exclude = xstrdup(s->exclude);
    r->names_gen = NONE;
    memory_read(r, s);
    int rc = gres_read(c, r, s, err);
    if (rc == 0)
        rc = features_read(c, r, s, err);
    if (rc == 0)
        rc = license_read(c, r, s->licenses, err);
    r->reservation = intern_text(&c->text, s->reservation);
    if (rc == 0)
        rc = hosts_check("--nodelist", s->nodelist, err);
    if (rc == 0)
        rc = hosts_check("--exclude", s->exclude, err);
    if (rc == 0)
        tasks_derive(c, r);
    return rc;
}

static void request_fini(struct core *c, struct request *r)
{
    license_drop(c, r);
    intern_drop(&c->text, r->reservation);
    constraint_drop(c, r->constraint);
    constraint_drop(c, r->prefer);
    for (uint32_t i = 0; i < r->gres_count; i++) {
        intern_drop(&c->text, r->gres[i].name);
        intern_drop(&c->text, r->gres[i].type);
    }
    free(r->nodelist);
    free(r->exclude);
    free(r->required);
    free(r->excluded);
    memset(r, 0, sizeof *r);
}

void requests_fini(struct core *c)
{
    for (uint32_t i = 0; i < c->request_keys.count && i < c->request_cap; i++)
        request_fini(c, &c->request[i]);
    free(c->request);
}

static void names_set(struct core *c, const char *list, uint64_t *set, uint32_t *count,
                      bool *missing)
{
    struct hostlist *hl = hostlist_create(list, NULL);
    *count = 0;
    for (size_t i = 0; i < hostlist_count(hl); i++) {
        long n = core_node_find(c, hostlist_nth(hl, i));
        if (n < 0) {
            *missing = true;
        } else if (!bs_test(set, (size_t)n)) {
            bs_set(set, (size_t)n);
            ++*count;
        }
    }
    hostlist_destroy(hl);
}

void request_names(struct core *c, struct request *r)
{
    if (r->names_gen == c->nodes_gen || !r->has_names)
        return;
    uint32_t ignored;
    bool skip = false;
    free(r->required);
    free(r->excluded);
    r->required = xcalloc(c->words, sizeof *r->required);
    r->excluded = xcalloc(c->words, sizeof *r->excluded);
    r->names_missing = false;
    names_set(c, r->nodelist, r->required, &r->required_count, &r->names_missing);
    names_set(c, r->exclude, r->excluded, &ignored, &skip);
    r->names_gen = c->nodes_gen;
}

/* ---- the three parts -------------------------------------------------------------- */

static void spec_split(const Sl__JobSpec *spec, Sl__JobSpec *shape, Sl__JobSpec *tail,
                       Sl__JobSpec *ident)
{
    *shape = blank;
    *ident = blank;
    *tail = *spec;
#define X(f) shape->f = spec->f; tail->f = blank.f;
    SHAPE_FIELDS(X)
#undef X
#define X(f) ident->f = spec->f; tail->f = blank.f;
    IDENT_FIELDS(X)
#undef X
#define X(f) tail->f = blank.f;
    JOB_FIELDS(X)
#undef X
}

/* Of the three parts of a submission one is often blank, and its packed form is empty; the
 * others are packed in one walk over their fields. */
static uint32_t pack_intern(struct intern *pool, const Sl__JobSpec *s)
{
    if (memcmp(s, &blank, sizeof blank) == 0)
        return 0;
    uint8_t small[4096];
    ProtobufCBufferSimple out = PROTOBUF_C_BUFFER_SIMPLE_INIT(small);
    sl__job_spec__pack_to_buffer(s, &out.base);
    uint32_t id = intern_get(pool, out.data, out.len, NULL);
    PROTOBUF_C_BUFFER_SIMPLE_CLEAR(&out);
    return id;
}

/* The shape's id with one reference more. A request with nothing in it has the
 * empty key, id 0, which is never freed: its element is filled at the first use. */
static int shape_intern(struct core *c, const Sl__JobSpec *shape, uint32_t *id,
                        struct err *err)
{
    *id = pack_intern(&c->request_keys, shape);
    if (c->request_keys.count > c->request_cap) {
        uint32_t was = c->request_cap;
        GROW(c->request, c->request_cap, c->request_keys.count);
        memset(c->request + was, 0, (c->request_cap - was) * sizeof *c->request);
    }
    struct request *r = &c->request[*id];
    if (r->nodelist != NULL)
        return 0;
    int rc = request_parse(c, r, shape, err);
    if (rc != 0) {
        request_fini(c, r);
        intern_drop(&c->request_keys, *id);
    }
    return rc;
}

static void request_drop(struct core *c, uint32_t id)
{
    if (intern_drop(&c->request_keys, id))
        request_fini(c, &c->request[id]);
}

int spec_check(struct core *c, const Sl__JobSpec *spec, struct err *err)
{
    Sl__JobSpec shape, tail, ident;
    uint32_t id;
    spec_split(spec, &shape, &tail, &ident);
    int rc = shape_intern(c, &shape, &id, err);
    if (rc == 0)
        request_drop(c, id);
    return rc;
}

void spec_drop(struct core *c, struct job *j)
{
    request_drop(c, j->request);
    intern_drop(&c->blobs, j->tail);
    intern_drop(&c->blobs, j->ident);
    j->request = j->tail = j->ident = 0;
}

int spec_store(struct core *c, struct job *j, const Sl__JobSpec *spec, struct err *err)
{
    Sl__JobSpec shape, tail, ident;
    uint32_t id;
    spec_split(spec, &shape, &tail, &ident);
    int rc = shape_intern(c, &shape, &id, err);
    if (rc != 0)
        return rc;
    uint32_t tail_id = pack_intern(&c->blobs, &tail);
    uint32_t ident_id = pack_intern(&c->blobs, &ident);
    spec_drop(c, j);
    j->request = id;
    j->tail = tail_id;
    j->ident = ident_id;
    return 0;
}

/* NONE when the bytes are no JobSpec; only bytes not seen before are tried. */
static uint32_t blob_load(struct core *c, ProtobufCBinaryData b)
{
    bool fresh;
    uint32_t id = intern_get(&c->blobs, b.data, b.len, &fresh);
    if (!fresh)
        return id;
    Sl__JobSpec *s = sl__job_spec__unpack(NULL, b.len, b.data);
    if (s == NULL) {
        intern_drop(&c->blobs, id);
        return NONE;
    }
    sl__job_spec__free_unpacked(s, NULL);
    return id;
}

int spec_load(struct core *c, struct job *j, ProtobufCBinaryData shape,
              ProtobufCBinaryData tail, ProtobufCBinaryData ident, struct err *err)
{
    uint32_t id = intern_find(&c->request_keys, shape.data, shape.len);
    if (id != NONE && id < c->request_cap && c->request[id].nodelist != NULL) {
        intern_ref(&c->request_keys, id);
    } else {
        Sl__JobSpec *s = sl__job_spec__unpack(NULL, shape.len, shape.data);
        if (s == NULL)
            return err_set(err, SL_EPROTO, "the packed request does not parse");
        int rc = shape_intern(c, s, &id, err);
        sl__job_spec__free_unpacked(s, NULL);
        if (rc != 0)
            return rc;
    }
    j->request = id;
    j->tail = blob_load(c, tail);
    j->ident = blob_load(c, ident);
    if (j->tail != NONE && j->ident != NONE)
        return 0;
    j->tail = j->tail == NONE ? 0 : j->tail;
    j->ident = j->ident == NONE ? 0 : j->ident;
    spec_drop(c, j);
    return err_set(err, SL_EPROTO, "the packed specification does not parse");
}

Sl__JobSpec *spec_unpack(const struct core *c, const struct job *j, struct arena *a)
{
    size_t n1 = intern_len(&c->request_keys, j->request);
    size_t n2 = intern_len(&c->blobs, j->tail), n3 = intern_len(&c->blobs, j->ident);
    uint8_t *p = arena_alloc(a, n1 + n2 + n3 + 1);
    memcpy(p, intern_str(&c->request_keys, j->request), n1);
    memcpy(p + n1, intern_str(&c->blobs, j->tail), n2);
    memcpy(p + n1 + n2, intern_str(&c->blobs, j->ident), n3);
    ProtobufCAllocator al = arena_allocator(a);
    Sl__JobSpec *s = sl__job_spec__unpack(&al, n1 + n2 + n3, p);
    ASSERT(s != NULL); /* it was packed here, or checked by spec_load */
    s->name = (char *)text_of(c, j->name);
    s->time_limit_usec = j->limit;
    s->begin_usec = j->begin;
    s->deadline_usec = j->deadline;
    s->hold = j->hold != 0;
    s->nice = j->nice;
    s->requeue = j->requeue ? 1 : 2;
    return s;
}

static uint32_t clamp32(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

void request_size(const struct request *r, struct request_size *s)
{
    memset(s, 0, sizeof *s);
    s->nodes = r->nodes_min > r->required_count ? r->nodes_min : r->required_count;
    s->ntasks = r->ntasks ? r->ntasks : s->nodes;
    uint64_t cpus = r->overcommit ? s->nodes : (uint64_t)s->ntasks * r->cpus_per_task;
    if (cpus < (uint64_t)r->mincpus * s->nodes)
        cpus = (uint64_t)r->mincpus * s->nodes;
    uint64_t gpus = 0;
    for (uint32_t i = 0; i < r->gres_count; i++) {
        uint32_t per = r->gres[i].per;
        uint32_t times = per == SL__GRES_PER__GRES_PER_JOB    ? 1
                         : per == SL__GRES_PER__GRES_PER_TASK ? s->ntasks
                                                              : s->nodes;
        s->gres[i] = clamp32((uint64_t)r->gres[i].count * times);
        gpus += s->gres[i];
    }
    if (cpus < r->cpus_per_gpu * gpus)
        cpus = r->cpus_per_gpu * gpus;
    s->cpus = clamp32(cpus);
    if (r->mem_kind == MEM_BY_NODE)
        s->mem_mib = r->mem_mib * s->nodes;
    else if (r->mem_kind == MEM_BY_CPU)
        s->mem_mib = r->mem_mib * s->cpus;
    else if (r->mem_kind == MEM_BY_GPU)
        s->mem_mib = r->mem_mib * gpus;
}
