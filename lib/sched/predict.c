/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/predict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_VERSION 1u
#define WAY_BYTES 24u /* key 8, last 4, before 4, stamp 8; all little-endian */
#define RECORD_BYTES_MAX (1 + PREDICT_WAYS * WAY_BYTES)
#define SECONDS_MAX (UINT32_MAX / 2) /* 68 years; the sum of two does not overflow */
#define NO_RUN UINT32_MAX

struct way { /* a class; key 0: none */
    uint64_t key;
    uint64_t stamp;          /* of the feed that was its last */
    uint32_t last, before;   /* seconds; before NO_RUN: only one job has ended */
};
struct page {
    struct way way[PREDICT_WAYS];
    bool dirty;
};
struct predict {
    struct page *page[PREDICT_PAGES]; /* NULL: empty */
    uint32_t *dirty;
    uint32_t dirty_count, dirty_cap;
    uint64_t stamp;          /* feeds so far, over restarts */
    struct predict_error error;
};

struct predict *predict_create(void)
{
    return xcalloc(1, sizeof(struct predict));
}

void predict_destroy(struct predict *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < PREDICT_PAGES; i++)
        free(p->page[i]);
    free(p->dirty);
    free(p);
}

/* ---- classes --------------------------------------------------------------------------- */

/* FNV-1a: the same on every machine and after every restart, as the keys are on disk. */
static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(1099511628211);
    return h;
}

static uint64_t hash_number(uint64_t h, uint64_t v)
{
    unsigned char b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(v >> (8 * i));
    return hash_bytes(h, b, sizeof b);
}

/* A text with its end, each run of digits as one: run_17 as run_18. */
static uint64_t hash_name(uint64_t h, const char *text)
{
    for (const char *s = text ? text : ""; *s; s++) {
        if (*s < '0' || *s > '9')
            h = hash_bytes(h, s, 1);
        else if (s == text || s[-1] < '0' || s[-1] > '9')
            h = hash_bytes(h, "0", 1);
    }
    return hash_bytes(h, "", 1);
}

/* The low bits choose the page, so they have to depend on all bytes well. */
static uint64_t hash_end(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 29;
    return h ? h : 1;
}

void predict_classify(struct predict_class *k, uint32_t uid, const char *account,
                      const char *name, usec_t limit)
{
    uint64_t user = hash_number(UINT64_C(14695981039346656037), uid);
    uint64_t of_limit = hash_number(user, (uint64_t)limit);
    uint64_t narrow = hash_number(user, (uint64_t)limit);
    narrow = hash_bytes(narrow, account ? account : "", account ? strlen(account) + 1 : 1);
    k->key[0] = hash_end(hash_name(narrow, name));
    k->key[1] = hash_end(of_limit);
    k->key[2] = hash_end(user);
}

static const struct way *way_find(const struct predict *p, uint64_t key)
{
    const struct page *page = p->page[key % PREDICT_PAGES];
    for (uint32_t i = 0; page && i < PREDICT_WAYS; i++)
        if (page->way[i].key == key)
            return &page->way[i];
    return NULL;
}

/* ---- predictions ------------------------------------------------------------------------- */

usec_t predict_span(const struct predict *p, const struct predict_class *k, usec_t limit)
{
    for (uint32_t i = 0; i < PREDICT_LEVELS; i++) {
        const struct way *w = way_find(p, k->key[i]);
        if (!w || w->before == NO_RUN)
            continue;
        usec_t span = ((usec_t)w->last + (usec_t)w->before) / 2 * USEC_PER_SEC;
        if (span < USEC_PER_SEC)
            span = USEC_PER_SEC;
        return span < limit ? span : limit;
    }
    return 0;
}

static void page_note(struct predict *p, uint32_t page)
{
    if (p->page[page]->dirty)
        return;
    p->page[page]->dirty = true;
    if (p->dirty_count == p->dirty_cap) {
        p->dirty_cap = p->dirty_cap ? 2 * p->dirty_cap : 16;
        p->dirty = xrealloc(p->dirty, p->dirty_cap * sizeof *p->dirty);
    }
    p->dirty[p->dirty_count++] = page;
}

/* The class's place, in place of the one fed least lately when its page is full. */
static struct way *way_make(struct predict *p, uint64_t key)
{
    struct page **page = &p->page[key % PREDICT_PAGES];
    struct way *oldest;
    if (!*page)
        *page = xcalloc(1, sizeof **page);
    oldest = &(*page)->way[0];
    for (uint32_t i = 0; i < PREDICT_WAYS; i++) {
        struct way *w = &(*page)->way[i];
        if (w->key == key)
            return w;
        if (w->stamp < oldest->stamp)
            oldest = w;
    }
    *oldest = (struct way){.key = key, .last = NO_RUN, .before = NO_RUN};
    return oldest;
}

static uint64_t permille(usec_t a, usec_t b)
{
    usec_t less = (a < b ? a : b) / USEC_PER_SEC, more = (a < b ? b : a) / USEC_PER_SEC;
    return more > 0 ? (uint64_t)(less * 1000 / more) : 1000;
}

void predict_feed(struct predict *p, const struct predict_class *k, usec_t ran, usec_t expected,
                  usec_t limit)
{
    usec_t seconds = ran > 0 ? ran / USEC_PER_SEC : 0;
    p->error.ended++;
    if (expected > 0) {
        p->error.predicted++;
        p->error.under += ran > expected;
        p->error.right_permille += permille(ran, expected);
        p->error.limit_right_permille += limit == SPAN_INFINITE ? 0 : permille(ran, limit);
    }
    p->stamp++;
    for (uint32_t i = 0; i < PREDICT_LEVELS; i++) {
        struct way *w = way_make(p, k->key[i]);
        w->before = w->last;
        w->last = seconds < (usec_t)SECONDS_MAX ? (uint32_t)seconds : SECONDS_MAX;
        w->stamp = p->stamp;
        page_note(p, (uint32_t)(k->key[i] % PREDICT_PAGES));
    }
}

void predict_error(const struct predict *p, struct predict_error *out)
{
    *out = p->error;
}

/* ---- records ------------------------------------------------------------------------------ */

uint32_t predict_dirty(struct predict *p, uint32_t *pages, uint32_t max)
{
    uint32_t n = 0;
    while (n < max && p->dirty_count) {
        pages[n] = p->dirty[--p->dirty_count];
        p->page[pages[n++]]->dirty = false;
    }
    return n;
}

static void put_le(unsigned char *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get_le(const unsigned char *at, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

bool predict_page_save(const struct predict *p, uint32_t page, struct buf *out)
{
    unsigned char record[RECORD_BYTES_MAX] = {RECORD_VERSION};
    size_t n = 1;
    if (page >= PREDICT_PAGES || !p->page[page])
        return false;
    for (uint32_t i = 0; i < PREDICT_WAYS; i++) {
        const struct way *w = &p->page[page]->way[i];
        if (!w->key)
            continue;
        put_le(record + n, w->key, 8);
        put_le(record + n + 8, w->last, 4);
        put_le(record + n + 12, w->before, 4);
        put_le(record + n + 16, w->stamp, 8);
        n += WAY_BYTES;
    }
    buf_put(out, record, n);
    return true;
}

int predict_page_load(struct predict *p, uint32_t page, const void *record, size_t n,
                      struct err *err)
{
    const unsigned char *b = record;
    if (page >= PREDICT_PAGES || n < 1 || n > RECORD_BYTES_MAX || b[0] != RECORD_VERSION ||
        (n - 1) % WAY_BYTES)
        return err_set(err, SL_EPROTO, "page %u of predicted run times does not parse", page);
    if (!p->page[page])
        p->page[page] = xcalloc(1, sizeof *p->page[page]);
    memset(p->page[page]->way, 0, sizeof p->page[page]->way);
    for (uint32_t i = 0; i < (n - 1) / WAY_BYTES; i++) {
        const unsigned char *at = b + 1 + i * WAY_BYTES;
        struct way w = {.key = get_le(at, 8), .last = (uint32_t)get_le(at + 8, 4),
                        .before = (uint32_t)get_le(at + 12, 4), .stamp = get_le(at + 16, 8)};
        if (w.key % PREDICT_PAGES != page || w.key == 0 || w.last > SECONDS_MAX ||
            (w.before > SECONDS_MAX && w.before != NO_RUN))
            continue; /* as good as unknown */
        p->page[page]->way[i] = w;
        if (w.stamp > p->stamp)
            p->stamp = w.stamp;
    }
    return 0;
}
