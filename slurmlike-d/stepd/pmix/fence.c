/* SPDX-License-Identifier: Apache-2.0
 *
 * Collectives over the tree of supervisors: fence (with the ranks' data), connect and
 * disconnect. Each node waits for its own tasks (libpmix calls once all of them are in)
 * and for those children below which there are others; sends the joined data up; and the
 * first node sends all of it down the same way.
 *
 * A collective is known by its operation, its ranks and how many such there were before:
 * MPI programs run several on different ranks at a time, and one after another on the same.
 */
#include "stepd/pmix/server.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define FENCE_BYTES_MAX (FRAME_BYTES_MAX - 4096) /* all data of one; it travels as a frame */

struct fence {
    char *set;            /* "f0-3": operation and ranks */
    uint64_t sequence;
    uint32_t wait_mask;   /* children whose part is missing, by position */
    uint32_t child_mask;  /* children that take part */
    bool wait_own;        /* our tasks' part is missing */
    int32_t status;
    struct buf data;
    struct upcall *own;   /* to be answered; NULL: no task of ours takes part */
    struct fence *next;
};
struct counter { /* how many our tasks have begun */
    char *set;
    uint64_t count;
    struct counter *next;
};
static struct fence *fences;
static struct counter *counters;

/* ---- sets of ranks ---------------------------------------------------------------------- */

char *ranks_format(const pmix_proc_t *procs, size_t procs_count)
{
    hwloc_bitmap_t ranks = hwloc_bitmap_alloc();
    char *text = NULL;
    bool ours = ranks && procs_count > 0;
    for (size_t i = 0; ours && i < procs_count; i++) {
        if (!PMIX_CHECK_NSPACE(procs[i].nspace, server.nspace))
            ours = false;
        else if (procs[i].rank == PMIX_RANK_WILDCARD)
            hwloc_bitmap_set_range(ranks, 0, (int)server.ntasks - 1);
        else if (procs[i].rank < server.ntasks)
            hwloc_bitmap_set(ranks, procs[i].rank);
        else
            ours = false;
    }
    if (ours && hwloc_bitmap_list_asprintf(&text, ranks) < 0)
        text = NULL;
    hwloc_bitmap_free(ranks);
    return text;
}

bool ranks_parse(const char *text, hwloc_bitmap_t ranks)
{
    hwloc_bitmap_zero(ranks);
    for (;;) {
        char *end;
        unsigned long first, last;
        if (!isdigit((unsigned char)*text))
            return false;
        first = last = strtoul(text, &end, 10);
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        if (first > last || last >= server.ntasks)
            return false;
        hwloc_bitmap_set_range(ranks, (unsigned)first, (int)last);
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
}

bool node_below(uint32_t node, uint32_t top)
{
    while (node > top)
        node = (node - 1) / TREE_WIDTH;
    return node == top;
}

static uint32_t child_node(unsigned position)
{
    return server.step->node_index * TREE_WIDTH + 1 + position;
}

/* ---- one collective ------------------------------------------------------------------------ */

static void fence_free(struct fence *f)
{
    for (struct fence **at = &fences; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    buf_fini(&f->data);
    free(f->set);
    free(f);
}

/* Who takes part here and below? A lost node has nothing to say. */
static void fence_members(struct fence *f, hwloc_bitmap_t ranks)
{
    const Sl__StepLayout *layout = server.step->launch->layout;
    uint32_t self = server.step->node_index;
    int rank;
    uint32_t last = UINT32_MAX;
    hwloc_bitmap_foreach_begin(rank, ranks)
        uint32_t node = server.node_of[rank];
        if (node == last)
            continue;
        last = node;
        f->wait_own |= node == self;
        for (unsigned c = 0; node != self && c < TREE_WIDTH; c++)
            if (child_node(c) < layout->n_nodes && node_below(node, child_node(c))) {
                f->child_mask |= 1u << c;
                if (server.node_lost[node])
                    f->status = PMIX_ERR_LOST_CONNECTION;
            }
    hwloc_bitmap_foreach_end();
    f->wait_mask = f->child_mask;
    for (unsigned c = 0; c < TREE_WIDTH; c++)
        if (f->child_mask & 1u << c && server.node_lost[child_node(c)])
            f->wait_mask &= ~(1u << c);
}

static struct fence *fence_create(const char *set, uint64_t sequence)
{
    hwloc_bitmap_t ranks = hwloc_bitmap_alloc();
    struct fence *f = NULL;
    ASSERT(ranks);
    if (set[0] && ranks_parse(set + 1, ranks)) {
        f = xcalloc(1, sizeof(*f));
        f->set = xstrdup(set);
        f->sequence = sequence;
        buf_init(&f->data);
        fence_members(f, ranks);
        f->next = fences;
        fences = f;
    }
    hwloc_bitmap_free(ranks);
    return f;
}

static struct fence *fence_find(const char *set, uint64_t sequence)
{
    struct fence *f = fences;
    while (f && (f->sequence != sequence || strcmp(f->set, set) != 0))
        f = f->next;
    return f;
}

static void fence_add(struct fence *f, const void *data, size_t n, int32_t status)
{
    if (status != PMIX_SUCCESS && f->status == PMIX_SUCCESS)
        f->status = status;
    if (n > FENCE_BYTES_MAX - f->data.len) {
        say(LOG_L_ERROR, "step=%s set=%s more than %u bytes of data", server.step->name,
            f->set, FENCE_BYTES_MAX);
        f->status = PMIX_ERR_OUT_OF_RESOURCE;
        n = 0;
    }
    buf_put(&f->data, data, n);
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void own_answer(struct upcall *u, const char *set, int32_t status, const void *data,
                       size_t n)
{
    if (set[0] != 'f') {
        upcall_op_done(u, status);
        return;
    }
    char *copy = xmalloc(n + 1);
    if (n > 0)
        memcpy(copy, data, n);
    u->done.modex(status, copy, n, u->done_arg, free, copy);
    upcall_free(u);
}

static void fence_finish(struct fence *f, int32_t status, const void *data, size_t n)
{
    struct mpi_msg m = {.kind = KIND_FENCE_DONE, .set = f->set, .sequence = f->sequence,
                        .status = status, .data = data, .data_bytes = n,
                        .from = server.step->node_index};
    for (unsigned c = 0; c < TREE_WIDTH; c++) {
        m.to = child_node(c);
        if (f->child_mask & 1u << c && !server.node_lost[m.to])
            server.host->send(server.step, MPI_WAY_TO, &m);
    }
    if (f->own)
        own_answer(f->own, f->set, status, data, n);
    f->own = NULL;
    fence_free(f);
}

/* All parts of this node and below are in. */
static void fence_check(struct fence *f)
{
    if (f->wait_own || f->wait_mask)
        return;
    if (server.step->root) {
        struct buf data = f->data;
        buf_init(&f->data);
        fence_finish(f, f->status, data.data, f->status == PMIX_SUCCESS ? data.len : 0);
        buf_fini(&data);
        return;
    }
    struct mpi_msg m = {.kind = KIND_FENCE, .set = f->set, .sequence = f->sequence,
                        .status = f->status, .data = f->data.data,
                        .data_bytes = f->data.len, .from = server.step->node_index};
    server.host->send(server.step, MPI_WAY_UP, &m);
    buf_fini(&f->data);
}

/* ---- what happens ------------------------------------------------------------------------------- */

static uint64_t sequence_next(const char *set)
{
    struct counter *c = counters;
    while (c && strcmp(c->set, set) != 0)
        c = c->next;
    if (!c) {
        c = xcalloc(1, sizeof(*c));
        c->set = xstrdup(set);
        c->next = counters;
        counters = c;
    }
    return c->count++;
}

void fence_call(struct upcall *u)
{
    uint64_t sequence = sequence_next(u->text);
    struct fence *f = fence_find(u->text, sequence);
    if (!f)
        f = fence_create(u->text, sequence);
    ASSERT(f); /* ranks_format made the text */
    f->wait_own = false;
    f->own = u;
    fence_add(f, u->data, u->data_bytes, PMIX_SUCCESS);
    fence_check(f);
}

void fence_arrived(const struct mpi_msg *m)
{
    uint32_t first = child_node(0);
    struct fence *f = fence_find(m->set, m->sequence);
    if (!f)
        f = fence_create(m->set, m->sequence);
    if (!f || m->from < first || m->from - first >= TREE_WIDTH ||
        !(f->wait_mask & 1u << (m->from - first))) {
        say(LOG_L_WARN, "step=%s unexpected part of collective %s from node %u",
            server.step->name, m->set, m->from);
        return;
    }
    f->wait_mask &= ~(1u << (m->from - first));
    fence_add(f, m->data, m->data_bytes, m->status);
    fence_check(f);
}

void fence_done(const struct mpi_msg *m)
{
    struct fence *f = fence_find(m->set, m->sequence);
    if (f)
        fence_finish(f, m->status, m->data, m->data_bytes);
}

/* Only the one above a lost node waits for it; the others hear by the result. */
void fence_node_lost(uint32_t node)
{
    uint32_t first = child_node(0);
    if (node < first || node - first >= TREE_WIDTH)
        return;
    for (struct fence *f = fences, *next; f; f = next) {
        next = f->next;
        if (!(f->wait_mask & 1u << (node - first)))
            continue;
        f->wait_mask &= ~(1u << (node - first));
        f->status = PMIX_ERR_LOST_CONNECTION;
        fence_check(f);
    }
}

void fence_fini(void)
{
    while (fences) {
        if (fences->own)
            upcall_free(fences->own);
        fence_free(fences);
    }
    while (counters) {
        struct counter *c = counters;
        counters = c->next;
        free(c->set);
        free(c);
    }
}
