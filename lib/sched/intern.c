/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/intern.h"
#include "base/buf.h"
#include <stdlib.h>
#include <string.h>

#define END UINT32_MAX

static uint64_t mix64(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

/* Eight bytes a round; not for hostile keys beyond what limits.h already bounds. */
uint64_t hash_bytes(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t h = mix64(n + UINT64_C(0x9e3779b97f4a7c15));
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        h = (h ^ v) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 29;
    }
    uint64_t tail = 0;
    if (n > 0)
        memcpy(&tail, p, n);
    return mix64(h ^ tail);
}

void intern_init(struct intern *p)
{
    memset(p, 0, sizeof *p);
    p->free_head = END;
    p->buckets = 64;
    p->bucket = xmalloc(p->buckets * sizeof *p->bucket);
    memset(p->bucket, 0xff, p->buckets * sizeof *p->bucket);
    intern_get(p, "", 0, NULL); /* id 0, held for good */
}

void intern_fini(struct intern *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        free(p->entry[i].data);
    free(p->entry);
    free(p->bucket);
    memset(p, 0, sizeof *p);
}

static void rehash(struct intern *p)
{
    p->buckets *= 2;
    p->bucket = xrealloc(p->bucket, p->buckets * sizeof *p->bucket);
    memset(p->bucket, 0xff, p->buckets * sizeof *p->bucket);
    for (uint32_t i = 0; i < p->count; i++) {
        struct intern_entry *e = &p->entry[i];
        if (e->refs == 0)
            continue;
        uint32_t *head = &p->bucket[e->hash & (p->buckets - 1)];
        e->next = *head;
        *head = i;
    }
}

static uint32_t find_hashed(const struct intern *p, const void *data, size_t n,
                            uint32_t h)
{
    uint32_t i = p->bucket[h & (p->buckets - 1)];
    for (; i != END; i = p->entry[i].next) {
        const struct intern_entry *e = &p->entry[i];
        if (e->hash == h && e->len == n && (n == 0 || memcmp(e->data, data, n) == 0))
            break;
    }
    return i;
}

uint32_t intern_find(const struct intern *p, const void *data, size_t n)
{
    return find_hashed(p, data, n, (uint32_t)hash_bytes(data, n));
}

static uint32_t entry_new(struct intern *p)
{
    if (p->free_head != END) {
        uint32_t id = p->free_head;
        p->free_head = p->entry[id].next;
        return id;
    }
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap + p->cap / 2 : 64;
        p->entry = xrealloc(p->entry, p->cap * sizeof *p->entry);
    }
    return p->count++;
}

uint32_t intern_get(struct intern *p, const void *data, size_t n, bool *fresh)
{
    uint32_t h = (uint32_t)hash_bytes(data, n);
    uint32_t id = find_hashed(p, data, n, h);
    if (fresh != NULL)
        *fresh = id == END;
    if (id != END) {
        p->entry[id].refs++;
        return id;
    }
    if (p->live >= p->buckets)
        rehash(p);
    id = entry_new(p);
    struct intern_entry *e = &p->entry[id];
    e->data = xmalloc(n + 1);
    if (n)
        memcpy(e->data, data, n);
    e->data[n] = '\0';
    e->hash = h;
    e->len = (uint32_t)n;
    e->refs = 1;
    uint32_t *head = &p->bucket[h & (p->buckets - 1)];
    e->next = *head;
    *head = id;
    p->live++;
    p->bytes += n + 1;
    return id;
}

uint32_t intern_text(struct intern *p, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return 0;
    return intern_get(p, text, strlen(text), NULL);
}

uint32_t intern_ref(struct intern *p, uint32_t id)
{
    if (id != 0)
        p->entry[id].refs++;
    return id;
}

uint32_t intern_refs(const struct intern *p, uint32_t id)
{
    return p->entry[id].refs;
}

bool intern_drop(struct intern *p, uint32_t id)
{
    if (id == 0 || --p->entry[id].refs > 0)
        return false;
    struct intern_entry *e = &p->entry[id];
    uint32_t *at = &p->bucket[e->hash & (p->buckets - 1)];
    while (*at != id)
        at = &p->entry[*at].next;
    *at = e->next;
    p->live--;
    p->bytes -= e->len + 1;
    free(e->data);
    e->data = NULL;
    e->len = 0;
    e->next = p->free_head;
    p->free_head = id;
    return true;
}

const char *intern_str(const struct intern *p, uint32_t id)
{
    return p->entry[id].data;
}

size_t intern_len(const struct intern *p, uint32_t id)
{
    return p->entry[id].len;
}

/* ---- idmap ------------------------------------------------------------------- */

#define NO_KEY UINT64_MAX

void idmap_init(struct idmap *m)
{
    memset(m, 0, sizeof *m);
}

void idmap_fini(struct idmap *m)
{
    free(m->key);
    free(m->value);
    memset(m, 0, sizeof *m);
}

/* The slot of key, or the empty one where it would go. */
static uint32_t slot_of(const struct idmap *m, uint64_t key)
{
    uint32_t i = (uint32_t)mix64(key) & (m->cap - 1);
    while (m->key[i] != NO_KEY && m->key[i] != key)
        i = (i + 1) & (m->cap - 1);
    return i;
}

uint32_t idmap_get(const struct idmap *m, uint64_t key)
{
    if (m->cap == 0)
        return UINT32_MAX;
    uint32_t i = slot_of(m, key);
    return m->key[i] == key ? m->value[i] : UINT32_MAX;
}

static void idmap_grow(struct idmap *m)
{
    struct idmap old = *m;
    m->cap = old.cap ? old.cap * 2 : 64;
    m->key = xmalloc(m->cap * sizeof *m->key);
    m->value = xmalloc(m->cap * sizeof *m->value);
    memset(m->key, 0xff, m->cap * sizeof *m->key);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.key[i] == NO_KEY)
            continue;
        uint32_t at = slot_of(m, old.key[i]);
        m->key[at] = old.key[i];
        m->value[at] = old.value[i];
    }
    free(old.key);
    free(old.value);
}

void idmap_put(struct idmap *m, uint64_t key, uint32_t value)
{
    if (m->count * 3 >= m->cap * 2)
        idmap_grow(m);
    uint32_t i = slot_of(m, key);
    if (m->key[i] != key) {
        m->key[i] = key;
        m->count++;
    }
    m->value[i] = value;
}

/* Closes the gap (Knuth 6.4 R) so that no tombstones gather. */
void idmap_del(struct idmap *m, uint64_t key)
{
    if (m->cap == 0)
        return;
    uint32_t i = slot_of(m, key);
    if (m->key[i] != key)
        return;
    m->count--;
    uint32_t mask = m->cap - 1, j = i;
    for (;;) {
        m->key[i] = NO_KEY;
        for (;;) {
            j = (j + 1) & mask;
            if (m->key[j] == NO_KEY)
                return;
            uint32_t home = (uint32_t)mix64(m->key[j]) & mask;
            if (((j - home) & mask) >= ((j - i) & mask))
                break;
        }
        m->key[i] = m->key[j];
        m->value[i] = m->value[j];
        i = j;
    }
}
