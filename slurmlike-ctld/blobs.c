/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
    uint32_t job_id;
    size_t bytes;
    Sl__SubmitRequest *m;
    UT_hash_handle hh; /* by job_id; insertion order is the order of last use */
};

struct blobs {
    struct entry *entries;
    size_t bytes, bytes_max;
};

struct blobs *blobs_create(size_t bytes_max)
{
    struct blobs *b = xcalloc(1, sizeof(*b));
    b->bytes_max = bytes_max;
    return b;
}

static void entry_drop(struct blobs *b, struct entry *e)
{
    HASH_DEL(b->entries, e);
    b->bytes -= e->bytes;
    sl__submit_request__free_unpacked(e->m, NULL);
    free(e);
}

void blobs_destroy(struct blobs *b)
{
    if (!b)
        return;
    while (b->entries)
        entry_drop(b, b->entries);
    free(b);
}

static struct entry *entry_find(struct blobs *b, uint32_t job_id)
{
    struct entry *e;
    HASH_FIND(hh, b->entries, &job_id, sizeof(job_id), e);
    return e;
}

void blobs_forget(struct blobs *b, uint32_t job_id)
{
    struct entry *e = entry_find(b, job_id);
    if (e)
        entry_drop(b, e);
}

/* What malloc holds for it, roughly: each variable costs a pointer and rounding. */
static size_t request_bytes(const Sl__SubmitRequest *m)
{
    size_t n = sizeof(struct entry) + sizeof(*m) + m->script.len;
    for (size_t i = 0; i < m->n_env; i++)
        n += strlen(m->env[i]) + 24;
    if (m->step)
        n += 2 * sl__step_spec__get_packed_size(m->step) + sizeof(*m->step);
    if (m->spec)
        n += 2 * sl__job_spec__get_packed_size(m->spec) + sizeof(*m->spec);
    return n;
}

void blobs_put(struct blobs *b, uint32_t job_id, Sl__SubmitRequest *m)
{
    blobs_forget(b, job_id);
    struct entry *e = xcalloc(1, sizeof(*e));
    e->job_id = job_id;
    e->m = m;
    e->bytes = request_bytes(m);
    HASH_ADD(hh, b->entries, job_id, sizeof(e->job_id), e);
    b->bytes += e->bytes;
    while (b->bytes > b->bytes_max && b->entries != e)
        entry_drop(b, b->entries);
}

const Sl__SubmitRequest *blobs_get(struct blobs *b, uint32_t job_id)
{
    struct entry *e = entry_find(b, job_id);
    if (!e)
        return NULL;
    HASH_DEL(b->entries, e);
    HASH_ADD(hh, b->entries, job_id, sizeof(e->job_id), e);
    return e->m;
}

void *blobs_pack_rest(const Sl__SubmitRequest *m, size_t *bytes)
{
    Sl__SubmitRequest rest = SL__SUBMIT_REQUEST__INIT;
    rest.env = m->env;
    rest.n_env = m->n_env;
    rest.step = m->step;
    *bytes = sl__submit_request__get_packed_size(&rest);
    void *p = xmalloc(*bytes);
    sl__submit_request__pack(&rest, p);
    return p;
}

Sl__SubmitRequest *blobs_unpack(const void *script, size_t script_bytes, const void *rest,
                                size_t rest_bytes)
{
    Sl__SubmitRequest *m = sl__submit_request__unpack(NULL, rest_bytes, rest);
    if (!m)
        return NULL;
    if (script_bytes) {
        free(m->script.data);
        m->script.data = xmalloc(script_bytes);
        memcpy(m->script.data, script, script_bytes);
        m->script.len = script_bytes;
    }
    return m;
}
