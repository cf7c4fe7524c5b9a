/* SPDX-License-Identifier: Apache-2.0
 *
 * predict: how long a job will run, from how long the last jobs like it ran.
 *
 * A job belongs to three classes, narrow to wide: jobs of its user with its account, name and
 * limit; those of its user with its limit; those of its user. A name's digits do not count,
 * so run_17 is like run_18. The narrowest class in which two jobs have ended decides: the
 * average of its last two run times, at most the limit. That is Tsafrir, Etsion and
 * Feitelson's predictor ("Backfilling using system-generated predictions rather than user
 * runtime estimates", TPDS 2007) with classes.
 *
 * A prediction is for plans only. It changes no limit and ends no job, and whoever plans
 * with one has to bear that the job runs longer.
 *
 * Memory is bounded: classes live in pages of PREDICT_WAYS, chosen by the class's hash; a
 * full page forgets the class that was fed least lately. A page is also what is written to
 * disk when it changed. Names are kept as hashes only. All arithmetic is on whole seconds,
 * so every machine predicts the same.
 */
#ifndef SL_SCHED_PREDICT_H
#define SL_SCHED_PREDICT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/timefmt.h"

#include <stdbool.h>
#include <stdint.h>

#define PREDICT_LEVELS 3u
#define PREDICT_WAYS 16u
#define PREDICT_PAGES 4096u /* 65536 classes, 2 MiB, 20,000 users of three kinds of jobs */

struct predict;
struct predict_class { /* narrowest first */
    uint64_t key[PREDICT_LEVELS];
};
struct predict_error { /* of the jobs that ended, since the table was made */
    uint64_t ended;
    uint64_t predicted; /* of them, there was a prediction when they started */
    uint64_t under;     /* of these, ran longer than was predicted */
    /* Sums over the predicted of what was right of it: the smaller by the larger of expected
     * and actual run time, in 1/1000; of the prediction, and of the limit in its place. */
    uint64_t right_permille, limit_right_permille;
};

struct predict *predict_create(void);
void predict_destroy(struct predict *p);

/* account, name: NULL is "". limit: negative or SPAN_INFINITE are classes like any other. */
void predict_classify(struct predict_class *k, uint32_t uid, const char *account,
                      const char *name, usec_t limit);
/* The expected run time, at least a second and at most the limit; 0: nothing is known. */
usec_t predict_span(const struct predict *p, const struct predict_class *k, usec_t limit);
/* A job of the class ran for `ran`; `expected` is what was predicted at its start, or 0. */
void predict_feed(struct predict *p, const struct predict_class *k, usec_t ran, usec_t expected,
                  usec_t limit);
void predict_error(const struct predict *p, struct predict_error *out);

/* Pages fed since they were last taken: writes up to `max` numbers. */
uint32_t predict_dirty(struct predict *p, uint32_t *pages, uint32_t max);
/* Appends the page's record. false: it is empty, there is nothing to write. */
bool predict_page_save(const struct predict *p, uint32_t page, struct buf *out);
int predict_page_load(struct predict *p, uint32_t page, const void *record, size_t n,
                      struct err *err);

#endif
