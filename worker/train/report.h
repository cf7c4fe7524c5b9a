/* SPDX-License-Identifier: Apache-2.0
 *
 * report: what a run tells: lines for people on stdout, and the same as JSON
 * lines for machines in a file. Only rank 0 has one that speaks.
 */
#ifndef WORKER_TRAIN_REPORT_H
#define WORKER_TRAIN_REPORT_H

#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct report {
    bool speaks;
    FILE *metrics;       /* NULL: none */
    double flop_per_token, peak; /* of all ranks, FLOP/s */
    int64_t log_every, last;     /* last step of this run */
    int64_t tokens_per_step;
    int64_t first;       /* step before the first of this run */
    double started;      /* monotonic seconds */
    int64_t line_step;   /* of the last line */
    double line_time, paused; /* seconds since the line that were not training */
};

struct report_step {
    int64_t step;
    double loss, norm, rate;
    double seconds; /* of this step */
};

double report_now(void);
int report_open(struct report *r, bool speaks, const char *metrics, struct err *err);
void report_close(struct report *r);
/* Starts the clocks of speed and time left. */
void report_start(struct report *r, int64_t step);
/* Takes an event's JSON; it is written and freed. */
void report_event(struct report *r, json_t *event);
void report_line(struct report *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void report_step(struct report *r, const struct report_step *s);
/* Time between the two does not count as training. */
void report_pause(struct report *r, double seconds);

#endif
