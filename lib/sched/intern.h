/* SPDX-License-Identifier: Apache-2.0
 *
 * intern: byte strings kept once, named by small dense ids, counted.
 *
 * 100,000 jobs of one user share one user name, one account and, when they were
 * submitted alike, one packed specification. Id 0 is the empty string and is
 * never freed. Ids of freed strings are given out again. Each string is
 * followed by a NUL that its length does not count.
 */
#ifndef SL_SCHED_INTERN_H
#define SL_SCHED_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern_entry {
    char *data;
    uint32_t hash, refs, len, next; /* next: in the bucket, or in the free list */
};
struct intern {
    struct intern_entry *entry;
    uint32_t count, cap, free_head;
    uint32_t *bucket; /* heads, power of two many */
    uint32_t buckets, live;
    size_t bytes;     /* of the strings */
};

void intern_init(struct intern *p);
void intern_fini(struct intern *p);
/* The id of these bytes with one reference more. *fresh (may be NULL): it is new. */
uint32_t intern_get(struct intern *p, const void *data, size_t n, bool *fresh);
uint32_t intern_text(struct intern *p, const char *text); /* NULL as "" */
/* The id without a reference, or UINT32_MAX when unknown. */
uint32_t intern_find(const struct intern *p, const void *data, size_t n);
uint32_t intern_ref(struct intern *p, uint32_t id);
uint32_t intern_refs(const struct intern *p, uint32_t id);
/* True when the last reference went and the id is free. */
bool intern_drop(struct intern *p, uint32_t id);
const char *intern_str(const struct intern *p, uint32_t id);
size_t intern_len(const struct intern *p, uint32_t id);
uint64_t hash_bytes(const void *data, size_t n);

/* idmap: 64-bit keys to 32-bit values, open addressing; UINT64_MAX is no key. */
struct idmap {
    uint64_t *key;
    uint32_t *value;
    uint32_t cap, count; /* cap: a power of two or 0 */
};

void idmap_init(struct idmap *m);
void idmap_fini(struct idmap *m);
/* UINT32_MAX when absent. */
uint32_t idmap_get(const struct idmap *m, uint64_t key);
void idmap_put(struct idmap *m, uint64_t key, uint32_t value); /* inserts or replaces */
void idmap_del(struct idmap *m, uint64_t key);

#endif
