/* SPDX-License-Identifier: Apache-2.0
 *
 * A piece is a linked list of tokens; a heap holds the merges that are possible
 * now, earliest in the vocabulary first, leftmost first among equals. That is
 * n log n for a piece of n bytes, whatever it contains. Short pieces, nearly all
 * of a text, are remembered.
 */
#include "base/buf.h"
#include "data/bpe.h"
#include "data/split.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define CACHE_PIECES_MAX (1u << 18)
#define CACHE_PIECE_BYTES_MAX 24u
#define NONE UINT32_MAX

struct cached {
    UT_hash_handle hh;
    uint32_t len, count;
    char bytes[CACHE_PIECE_BYTES_MAX];
    uint32_t tokens[];
};

struct slot { /* of the open-addressed table of merges */
    uint64_t key;
    uint32_t id; /* 0: free; no merge makes token 0 */
};

struct link {
    uint32_t token; /* NONE: swallowed by a merge */
    uint32_t prev, next;
};

struct candidate {
    uint32_t id, at; /* token it would make, position of its left part */
    uint32_t left, right;
};

struct bpe_encoder {
    const struct vocab *vocab;
    struct slot *slots;
    size_t mask;
    struct arena arena;
    struct cached *cache;
    struct link links[SPLIT_PIECE_MAX];
    struct candidate heap[2 * SPLIT_PIECE_MAX + 2];
    size_t heap_count;
    uint32_t out[SPLIT_PIECE_MAX];
};

static size_t slot_hash(uint64_t key)
{
    key *= UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(key ^ key >> 29);
}

static uint32_t merge_find(const struct bpe_encoder *e, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << 32 | right;
    for (size_t i = slot_hash(key) & e->mask; e->slots[i].id; i = (i + 1) & e->mask)
        if (e->slots[i].key == key)
            return e->slots[i].id;
    return NONE;
}

struct bpe_encoder *bpe_encoder_create(const struct vocab *v)
{
    struct bpe_encoder *e = xcalloc(1, sizeof(*e));
    size_t size = 64;
    while (size < 2 * (size_t)v->merges_count)
        size *= 2;
    e->vocab = v;
    e->mask = size - 1;
    e->slots = xcalloc(size, sizeof(*e->slots));
    arena_init(&e->arena);
    for (uint32_t m = 0; m < v->merges_count; m++) {
        uint64_t key = (uint64_t)v->merges[m].left << 32 | v->merges[m].right;
        size_t i = slot_hash(key) & e->mask;
        while (e->slots[i].id && e->slots[i].key != key)
            i = (i + 1) & e->mask;
        if (!e->slots[i].id)
            e->slots[i] = (struct slot){key, VOCAB_BYTES + m};
    }
    return e;
}

void bpe_encoder_destroy(struct bpe_encoder *e)
{
    if (!e)
        return;
    HASH_CLEAR(hh, e->cache);
    arena_fini(&e->arena);
    free(e->slots);
    free(e);
}

static bool candidate_before(const struct candidate *a, const struct candidate *b)
{
    return a->id != b->id ? a->id < b->id : a->at < b->at;
}

/* Offers the merge of the tokens at `at` and after it, if there is one. */
static void offer(struct bpe_encoder *e, uint32_t at)
{
    uint32_t next = at == NONE ? NONE : e->links[at].next;
    if (next == NONE)
        return;
    struct candidate c = {.at = at,
                          .left = e->links[at].token,
                          .right = e->links[next].token};
    c.id = merge_find(e, c.left, c.right);
    if (c.id == NONE)
        return;
    size_t i = e->heap_count++;
    for (; i > 0 && candidate_before(&c, &e->heap[(i - 1) / 2]); i = (i - 1) / 2)
        e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = c;
}

static struct candidate take(struct bpe_encoder *e)
{
    struct candidate top = e->heap[0], last = e->heap[--e->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= e->heap_count)
            break;
        if (child + 1 < e->heap_count &&
            candidate_before(&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!candidate_before(&e->heap[child], &last))
            break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    e->heap[i] = last;
    return top;
}

static size_t merge_all(struct bpe_encoder *e, const char *piece, uint32_t len)
{
    e->heap_count = 0;
    for (uint32_t i = 0; i < len; i++)
        e->links[i] = (struct link){.token = (unsigned char)piece[i],
                                    .prev = i == 0 ? NONE : i - 1,
                                    .next = i + 1 == len ? NONE : i + 1};
    for (uint32_t i = 0; i + 1 < len; i++)
        offer(e, i);
    while (e->heap_count > 0) {
        struct candidate c = take(e);
        struct link *l = &e->links[c.at];
        uint32_t next = l->token == c.left ? l->next : NONE;
        if (next == NONE || e->links[next].token != c.right)
            continue; /* an earlier merge took one of the two */
        l->token = c.id;
        l->next = e->links[next].next;
        e->links[next].token = NONE;
        if (l->next != NONE)
            e->links[l->next].prev = c.at;
        offer(e, l->prev);
        offer(e, c.at);
    }
    size_t count = 0;
    for (uint32_t i = 0; i != NONE; i = e->links[i].next)
        e->out[count++] = e->links[i].token;
    return count;
}

size_t bpe_encode(struct bpe_encoder *e, const char *piece, size_t len,
                  const uint32_t **tokens)
{
    struct cached *c = NULL;
    ASSERT(len <= SPLIT_PIECE_MAX);
    if (len <= CACHE_PIECE_BYTES_MAX)
        HASH_FIND(hh, e->cache, piece, len, c);
    if (c) {
        *tokens = c->tokens;
        return c->count;
    }
    size_t count = len ? merge_all(e, piece, (uint32_t)len) : 0;
    *tokens = e->out;
    if (len == 0 || len > CACHE_PIECE_BYTES_MAX || HASH_COUNT(e->cache) >= CACHE_PIECES_MAX)
        return count;
    c = arena_alloc(&e->arena, sizeof(*c) + count * sizeof(uint32_t));
    c->len = (uint32_t)len;
    c->count = (uint32_t)count;
    memcpy(c->bytes, piece, len);
    memcpy(c->tokens, e->out, count * sizeof(uint32_t));
    HASH_ADD_KEYPTR(hh, e->cache, c->bytes, c->len, c);
    return count;
}
