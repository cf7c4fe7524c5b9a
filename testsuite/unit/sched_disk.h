/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: what the world's controller has made durable: a table of records a kind, as in the
 * store, and the generation of changes that is being gathered or is on its way there.
 */
#ifndef SL_TEST_SCHED_DISK_H
#define SL_TEST_SCHED_DISK_H

#include "base/buf.h"
#include "sched/core.h"
#include "sched/usage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUSH(list, count, cap, value)                                                  \
    do {                                                                               \
        if ((count) == (cap)) {                                                        \
            (cap) = 2 * (cap) + 16;                                                    \
            (list) = xrealloc((list), (cap) * sizeof *(list));                         \
        }                                                                              \
        (list)[(count)++] = (value);                                                   \
    } while (0)

struct world;

enum table { /* in the order in which a core loads them */
    TABLE_META,
    TABLE_TENANT, /* by a hash of the record's name */
    TABLE_PREDICT,
    TABLE_NODE, /* by world index */
    TABLE_PARTITION,
    TABLE_RESV,
    TABLE_JOB,
    TABLE_COUNT
};

struct record {
    uint32_t id;
    struct buf bytes; /* none: deleted */
};
struct records { /* ascending ids */
    struct record *v;
    size_t count, cap;
};
struct ids {
    uint32_t *v;
    size_t count, cap;
};

enum promise_kind { PROMISE_SUBMIT, PROMISE_CANCEL, PROMISE_HOLD, PROMISE_ACK };
struct promise {
    enum promise_kind kind;
    uint64_t command;       /* count of commands when it was made */
    uint32_t job_id, task;  /* task NO_VAL: all of the job */
    uint32_t node, session; /* ACK */
    uint64_t seq;
};

/* What running jobs have been charged: their cpus, as the jobs' records have them, over time. */
struct books {
    usec_t at;
    uint64_t rate; /* cpus of running jobs since then */
    amount_t cpu_usec;
};

struct generation {
    struct ids changed[TABLE_COUNT];
    struct records record[TABLE_COUNT]; /* from the seal on */
    usec_t clock;
    struct books books;
    struct promise *promises;
    size_t promises_count, promises_cap;
    struct effect *effects;
    size_t effects_count, effects_cap;
};

/* The place for the record, empty. */
struct buf *records_put(struct records *r, uint32_t id);
void records_clear(struct records *r);
void records_fini(struct records *r);

/* Notes what the change is of, if it is of what is kept here. */
void generation_note(struct generation *g, const struct change *ch);
bool generation_empty(const struct generation *g);
void generation_fini(struct generation *g); /* and all zero */
/* The records of what has changed, as they are now. */
void generation_seal(struct world *w, struct generation *g);

void books_follow(struct world *w); /* after anything has changed */
/* accounting: the root has used exactly what was charged. Only where usage does not decay. */
void books_check(struct world *w);

void disk_write(struct world *w, struct generation *g);
void disk_load(struct world *w); /* into w->core, which is new */
/* Every record on the disk equals what the core would save now, reasons of waiting apart:
 * they are not durable. And a core that began now would know the same usage. */
void disk_check(struct world *w);

#endif
