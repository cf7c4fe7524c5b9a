/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "data/bpe.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct piece { /* a distinct piece and how often it occurred */
    UT_hash_handle hh;
    uint64_t count;
    size_t len;
    char bytes[];
};

struct word { /* a piece as tokens; shrinks in place */
    uint64_t count;
    uint32_t len;
    uint32_t *tokens;
};

struct pair {
    UT_hash_handle hh;
    uint64_t key;   /* left << 32 | right */
    uint64_t count; /* occurrences in the text */
    uint32_t *words; /* that contain it, or did */
    size_t words_count, words_cap;
};

struct entry { /* of the heap: what a pair's count was when it was pushed */
    uint64_t count;
    struct pair *pair;
};

struct bpe_trainer {
    struct arena arena; /* pieces, tokens, pairs */
    struct piece *pieces;
    struct word *words;
    size_t words_count;
    struct pair *pairs;
    struct entry *heap;
    size_t heap_count, heap_cap;
};

struct bpe_trainer *bpe_trainer_create(void)
{
    struct bpe_trainer *t = xcalloc(1, sizeof(*t));
    arena_init(&t->arena);
    return t;
}

void bpe_trainer_destroy(struct bpe_trainer *t)
{
    if (!t)
        return;
    for (struct pair *p = t->pairs; p; p = p->hh.next)
        free(p->words);
    HASH_CLEAR(hh, t->pairs);
    HASH_CLEAR(hh, t->pieces);
    arena_fini(&t->arena);
    free(t->words);
    free(t->heap);
    free(t);
}

void bpe_trainer_add(struct bpe_trainer *t, const char *piece, size_t len)
{
    struct piece *p;
    if (len < 2)
        return; /* has no pair */
    HASH_FIND(hh, t->pieces, piece, len, p);
    if (!p) {
        p = arena_alloc(&t->arena, sizeof(*p) + len);
        p->len = len;
        memcpy(p->bytes, piece, len);
        HASH_ADD_KEYPTR(hh, t->pieces, p->bytes, len, p);
    }
    p->count++;
}

/* --- heap: most frequent pair on top ------------------------------------------ */

static bool entry_before(const struct entry *a, const struct entry *b)
{
    return a->count != b->count ? a->count > b->count : a->pair->key < b->pair->key;
}

static void heap_push(struct bpe_trainer *t, struct pair *pair)
{
    if (t->heap_count == t->heap_cap) {
        t->heap_cap = t->heap_cap ? 2 * t->heap_cap : 1024;
        t->heap = xrealloc(t->heap, t->heap_cap * sizeof(*t->heap));
    }
    struct entry e = {pair->count, pair};
    size_t i = t->heap_count++;
    for (; i > 0 && entry_before(&e, &t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = e;
}

static struct entry heap_pop(struct bpe_trainer *t)
{
    struct entry top = t->heap[0], last = t->heap[--t->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->heap_count)
            break;
        if (child + 1 < t->heap_count &&
            entry_before(&t->heap[child + 1], &t->heap[child]))
            child++;
        if (!entry_before(&t->heap[child], &last))
            break;
        t->heap[i] = t->heap[child];
        i = child;
    }
    t->heap[i] = last;
    return top;
}

/* --- pairs ---------------------------------------------------------------------- */

static struct pair *pair_get(struct bpe_trainer *t, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << 32 | right;
    struct pair *p;
    HASH_FIND(hh, t->pairs, &key, sizeof(key), p);
    if (!p) {
        p = arena_alloc(&t->arena, sizeof(*p));
        p->key = key;
        HASH_ADD(hh, t->pairs, key, sizeof(key), p);
    }
    return p;
}

static void pair_add_word(struct pair *p, uint32_t word)
{
    if (p->words_count && p->words[p->words_count - 1] == word)
        return;
    if (p->words_count == p->words_cap) {
        p->words_cap = p->words_cap ? 2 * p->words_cap : 4;
        p->words = xrealloc(p->words, p->words_cap * sizeof(*p->words));
    }
    p->words[p->words_count++] = word;
}

static void words_create(struct bpe_trainer *t)
{
    t->words = xcalloc(HASH_COUNT(t->pieces) + 1, sizeof(*t->words));
    for (struct piece *p = t->pieces; p; p = p->hh.next) {
        uint32_t index = (uint32_t)t->words_count++;
        struct word *w = &t->words[index];
        *w = (struct word){.count = p->count,
                           .len = (uint32_t)p->len,
                           .tokens = arena_alloc(&t->arena, p->len * sizeof(uint32_t))};
        for (size_t i = 0; i < p->len; i++)
            w->tokens[i] = (unsigned char)p->bytes[i];
        for (uint32_t i = 0; i + 1 < w->len; i++) {
            struct pair *pair = pair_get(t, w->tokens[i], w->tokens[i + 1]);
            pair->count += w->count;
            pair_add_word(pair, index);
        }
    }
    for (struct pair *p = t->pairs; p; p = p->hh.next)
        heap_push(t, p);
}

/* --- one merge ------------------------------------------------------------------- */

static uint32_t word_replace(struct word *w, uint32_t left, uint32_t right, uint32_t id)
{
    uint32_t to = 0;
    for (uint32_t i = 0; i < w->len; to++) {
        bool hit = i + 1 < w->len && w->tokens[i] == left && w->tokens[i + 1] == right;
        w->tokens[to] = hit ? id : w->tokens[i];
        i += hit ? 2 : 1;
    }
    uint32_t gone = w->len - to;
    w->len = to;
    return gone;
}

/* Takes the word's pairs out of the counts, merges, and counts what is there
 * now. New pairs (those with the new token) are listed in fresh. */
static void word_merge(struct bpe_trainer *t, uint32_t index, uint64_t key, uint32_t id,
                       struct buf *fresh)
{
    struct word *w = &t->words[index];
    uint32_t left = (uint32_t)(key >> 32), right = (uint32_t)key;
    bool has = false;
    for (uint32_t i = 0; i + 1 < w->len && !has; i++)
        has = w->tokens[i] == left && w->tokens[i + 1] == right;
    if (!has)
        return; /* a merge since then took it away */
    for (uint32_t i = 0; i + 1 < w->len; i++)
        pair_get(t, w->tokens[i], w->tokens[i + 1])->count -= w->count;
    word_replace(w, left, right, id);
    for (uint32_t i = 0; i + 1 < w->len; i++) {
        struct pair *p = pair_get(t, w->tokens[i], w->tokens[i + 1]);
        if (w->tokens[i] == id || w->tokens[i + 1] == id) {
            if (p->words_count == 0)
                buf_put(fresh, &p, sizeof(struct pair *));
            pair_add_word(p, index);
        }
        p->count += w->count;
    }
}

/* The most frequent pair that occurs at least twice, or NULL. Counts of old pairs
 * only shrink, so an entry that is out of date goes back with today's count. */
static struct pair *best_pair(struct bpe_trainer *t)
{
    while (t->heap_count > 0) {
        struct entry e = heap_pop(t);
        if (e.count < 2)
            return NULL;
        if (e.count == e.pair->count)
            return e.pair;
        heap_push(t, e.pair);
    }
    return NULL;
}

static void merge_pair(struct bpe_trainer *t, struct pair *pair, uint32_t id)
{
    struct buf fresh;
    buf_init(&fresh);
    for (size_t i = 0; i < pair->words_count; i++)
        word_merge(t, pair->words[i], pair->key, id, &fresh);
    struct pair **list = (struct pair **)(void *)fresh.data;
    for (size_t i = 0; i < fresh.len / sizeof(struct pair *); i++)
        heap_push(t, list[i]);
    buf_fini(&fresh);
    free(pair->words);
    pair->words = NULL;
    pair->words_count = pair->words_cap = 0;
}

int bpe_train(struct bpe_trainer *t, int pattern, uint32_t count, struct vocab *v,
              struct err *err)
{
    uint32_t wanted = count > VOCAB_MIN ? count - VOCAB_MIN : 0, done = 0;
    struct merge *merges = xmalloc((wanted + 1) * sizeof(*merges));
    words_create(t);
    for (; done < wanted; done++) {
        struct pair *pair = best_pair(t);
        if (!pair)
            break;
        merges[done] = (struct merge){(uint32_t)(pair->key >> 32), (uint32_t)pair->key};
        merge_pair(t, pair, VOCAB_BYTES + done);
    }
    return vocab_init(v, pattern, merges, done, err);
}
