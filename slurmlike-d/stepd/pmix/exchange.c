/* SPDX-License-Identifier: Apache-2.0
 *
 * Publish and look up: a store of names for the tasks of one step (MPI_Publish_name,
 * MPI_Comm_accept), kept by the step's first node. A lookup may wait for its keys.
 */
#include "stepd/pmix/server.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DATA_MAX 65536u    /* published at a time; a task that leaks names is told */
#define LOOKUPS_MAX 65536u /* waiting at a time */

struct datum {
    pmix_pdata_t p; /* who, key, value */
    pmix_persistence_t persistence;
    struct datum *next;
};
struct lookup { /* waits for keys */
    struct mpi_msg m; /* owns data */
    struct event *timer;
    struct lookup *next;
};
static struct datum *data;
static struct lookup *lookups;
static unsigned data_count, lookups_count;

/* ---- packed runs -------------------------------------------------------------------------- */

static bool unpack(const struct mpi_msg *m, void *out, int32_t count, pmix_data_type_t type)
{
    pmix_data_buffer_t b;
    pmix_byte_object_t in = {.bytes = malloc(m->data_bytes + 1), .size = m->data_bytes};
    int32_t got = count;
    ASSERT(in.bytes);
    if (m->data_bytes > 0)
        memcpy(in.bytes, m->data, m->data_bytes); /* the buffer owns and frees it */
    PMIX_DATA_BUFFER_CONSTRUCT(&b);
    PMIx_Data_load(&b, &in);
    pmix_status_t st = PMIx_Data_unpack(NULL, &b, out, &got, type);
    PMIX_DATA_BUFFER_DESTRUCT(&b);
    return st == PMIX_SUCCESS && got == count;
}

/* The next of the NUL-ended keys in m, or NULL. */
static const char *key_next(const struct mpi_msg *m, size_t *at)
{
    const char *key = (const char *)m->data + *at;
    if (*at >= m->data_bytes)
        return NULL;
    size_t n = strnlen(key, m->data_bytes - *at);
    if (n == m->data_bytes - *at || n > PMIX_MAX_KEYLEN)
        return NULL;
    *at += n + 1;
    return key;
}

/* ---- store ---------------------------------------------------------------------------------- */

static struct datum **datum_at(const char *key)
{
    struct datum **at = &data;
    while (*at && !PMIX_CHECK_KEY(&(*at)->p, key))
        at = &(*at)->next;
    return at;
}

static void datum_remove(struct datum **at)
{
    struct datum *d = *at;
    *at = d->next;
    data_count--;
    PMIX_PDATA_DESTRUCT(&d->p);
    free(d);
}

static void datum_add(uint32_t rank, const pmix_info_t *info, pmix_persistence_t persistence)
{
    struct datum *d = xcalloc(1, sizeof(*d));
    pmix_status_t st;
    PMIX_PDATA_CONSTRUCT(&d->p);
    PMIX_LOAD_PROCID(&d->p.proc, server.nspace, rank);
    PMIX_LOAD_KEY(d->p.key, info->key);
    PMIX_VALUE_XFER_DIRECT(st, &d->p.value, (pmix_value_t *)(uintptr_t)&info->value);
    (void)st;
    d->persistence = persistence;
    d->next = data;
    data = d;
    data_count++;
}

/* ---- lookup ---------------------------------------------------------------------------------- */

static void lookup_answer(const struct mpi_msg *m, size_t count)
{
    pmix_data_buffer_t b;
    pmix_byte_object_t out = {0};
    const char *key;
    pmix_status_t st = PMIX_SUCCESS;
    PMIX_DATA_BUFFER_CONSTRUCT(&b);
    for (size_t at = 0; (key = key_next(m, &at)) && st == PMIX_SUCCESS;) {
        struct datum **d = datum_at(key);
        if (!*d)
            continue;
        st = PMIx_Data_pack(NULL, &b, &(*d)->p, 1, PMIX_PDATA);
        if ((*d)->persistence == PMIX_PERSIST_FIRST_READ)
            datum_remove(d);
    }
    PMIx_Data_unload(&b, &out);
    PMIX_DATA_BUFFER_DESTRUCT(&b);
    if (count == 0)
        st = PMIX_ERR_NOT_FOUND;
    else if (count < m->number)
        st = PMIX_ERR_PARTIAL_SUCCESS;
    answer_send(m, st, out.bytes, out.size, (uint32_t)count);
    free(out.bytes);
}

/* How many of the keys are there? */
static size_t lookup_found(const struct mpi_msg *m)
{
    size_t found = 0;
    const char *key;
    for (size_t at = 0; (key = key_next(m, &at));)
        found += *datum_at(key) != NULL;
    return found;
}

static void lookup_end(struct lookup **at)
{
    struct lookup *l = *at;
    *at = l->next;
    lookups_count--;
    if (l->timer)
        event_free(l->timer);
    free((void *)(uintptr_t)l->m.data);
    free(l);
}

static void on_lookup_timer(evutil_socket_t fd, short what, void *arg)
{
    struct lookup **at = &lookups;
    (void)fd;
    (void)what;
    while (*at && *at != arg)
        at = &(*at)->next;
    if (!*at)
        return;
    answer_send(&(*at)->m, PMIX_ERR_TIMEOUT, NULL, 0, 0);
    lookup_end(at);
}

static void lookup_wait(const struct mpi_msg *m)
{
    struct lookup *l = xcalloc(1, sizeof(*l));
    char *copy = xmalloc(m->data_bytes + 1);
    memcpy(copy, m->data, m->data_bytes);
    l->m = *m;
    l->m.data = copy;
    l->m.set = NULL;
    l->next = lookups;
    lookups = l;
    lookups_count++;
    if (m->sequence > 0 && m->sequence < INT_MAX) {
        struct timeval tv = {(time_t)m->sequence, 0};
        l->timer = event_new(server.step->base, -1, 0, on_lookup_timer, l);
        ASSERT(l->timer);
        event_add(l->timer, &tv);
    }
}

void exchange_lookup(const struct mpi_msg *m)
{
    size_t found = lookup_found(m);
    if (found == m->number || !m->status || lookups_count >= LOOKUPS_MAX)
        lookup_answer(m, found);
    else
        lookup_wait(m);
}

static void lookups_check(void)
{
    for (struct lookup **at = &lookups; *at;) {
        size_t found = lookup_found(&(*at)->m);
        if (found < (*at)->m.number) {
            at = &(*at)->next;
            continue;
        }
        lookup_answer(&(*at)->m, found);
        lookup_end(at);
    }
}

/* ---- publish, unpublish ------------------------------------------------------------------------- */

/* Keys of the library itself are directives: persistence, range, and who it is. */
static bool is_directive(const pmix_info_t *info)
{
    return PMIX_CHECK_RESERVED_KEY(info->key);
}

static pmix_status_t publish_check(const pmix_info_t *info, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!is_directive(&info[i]) && *datum_at(info[i].key))
            return PMIX_ERR_DUPLICATE_KEY;
    return data_count + n > DATA_MAX ? PMIX_ERR_OUT_OF_RESOURCE : PMIX_SUCCESS;
}

void exchange_publish(const struct mpi_msg *m)
{
    pmix_persistence_t persistence = PMIX_PERSIST_APP;
    pmix_info_t *info;
    pmix_status_t st = PMIX_ERR_BAD_PARAM;
    if (m->number == 0 || m->number > m->data_bytes) {
        answer_send(m, st, NULL, 0, 0);
        return;
    }
    PMIX_INFO_CREATE(info, m->number);
    if (info && unpack(m, info, (int32_t)m->number, PMIX_INFO))
        st = publish_check(info, m->number);
    for (uint32_t i = 0; st == PMIX_SUCCESS && i < m->number; i++)
        if (PMIX_CHECK_KEY(&info[i], PMIX_PERSISTENCE))
            persistence = info[i].value.data.persist;
    for (uint32_t i = 0; st == PMIX_SUCCESS && i < m->number; i++)
        if (!is_directive(&info[i]))
            datum_add(m->rank, &info[i], persistence);
    PMIX_INFO_FREE(info, m->number);
    answer_send(m, st, NULL, 0, 0);
    if (st == PMIX_SUCCESS)
        lookups_check();
}

/* Only what the same task has published; without keys all of that. */
void exchange_unpublish(const struct mpi_msg *m)
{
    const char *key;
    for (size_t at = 0; (key = key_next(m, &at));) {
        struct datum **d = datum_at(key);
        if (*d && (*d)->p.proc.rank == m->rank)
            datum_remove(d);
    }
    for (struct datum **d = &data; m->number == 0 && *d;) {
        if ((*d)->p.proc.rank == m->rank)
            datum_remove(d);
        else
            d = &(*d)->next;
    }
    answer_send(m, PMIX_SUCCESS, NULL, 0, 0);
}

void exchange_fini(void)
{
    while (lookups)
        lookup_end(&lookups);
    while (data)
        datum_remove(&data);
}

/* ---- the asking side ---------------------------------------------------------------------------- */

void exchange_call_publish(struct upcall *u)
{
    request_send(u, KIND_PUBLISH, 0);
}

void exchange_call_lookup(struct upcall *u)
{
    request_send(u, KIND_LOOKUP, 0);
}

void exchange_call_unpublish(struct upcall *u)
{
    request_send(u, KIND_UNPUBLISH, 0);
}

void exchange_found(struct upcall *u, pmix_status_t status, const struct mpi_msg *m)
{
    pmix_pdata_t *found = NULL;
    uint32_t count = m && m->number <= m->data_bytes ? m->number : 0;
    if (count > 0) {
        PMIX_PDATA_CREATE(found, count);
        if (!found || !unpack(m, found, (int32_t)count, PMIX_PDATA))
            status = PMIX_ERR_UNPACK_FAILURE;
    }
    u->done.lookup(status, found, count, u->done_arg);
    if (found)
        PMIX_PDATA_FREE(found, count);
    upcall_free(u);
}
