/* SPDX-License-Identifier: Apache-2.0
 *
 * train: a pre-training run: what it holds, its step, its validation.
 * resume.c brings it to where a checkpoint left off.
 */
#ifndef WORKER_TRAIN_TRAIN_H
#define WORKER_TRAIN_TRAIN_H

#include "comm/comm.h"
#include "data/sampler.h"
#include "data/tokenset.h"
#include "optim/schedule.h"
#include "parallel/shards.h"
#include "train/report.h"
#include "train/settings.h"

struct train {
    const struct settings *set;
    const struct comm *comm;
    struct report report;
    struct tokenset tokens;
    struct sampler sampler;
    struct schedule schedule;
    struct shape shape;
    struct graph *graph;
    struct backend *backend;
    struct shards *shards;
    json_t *identity;
    int threads;        /* of this rank */
    double processors;  /* that they have to themselves */
    int64_t step;       /* done */
    int64_t saved;      /* step of the newest checkpoint of this run, or -1 */
    double loss;        /* of that step */
    uint32_t *window;   /* [context + 1] */
    uint32_t *inputs, *targets; /* [rows] */
    real *weights;      /* [rows] */
    real *losses;       /* [rows] */
    double *sums;       /* [rows] */
    double *merged;     /* what ranks tell each other in a step */
};

/* All are collective. */
int train_open(struct train *t, const struct settings *set, const struct comm *comm,
               struct err *err);
void train_close(struct train *t);
/* Begins, or goes on from a checkpoint, as the settings ask. */
int train_resume(struct train *t, struct err *err);
/* Trains to the last step or until a signal; an exit code (command.h). */
int train_run(struct train *t, struct err *err);

/* validate.c */
int train_validate(struct train *t, struct err *err);
/* Sequence of a micro-batch that begins at this token, into row `at`. */
int train_fill(struct train *t, int sequence, uint64_t token, struct err *err);
/* resume.c */
int train_save(struct train *t, struct err *err);

#endif
