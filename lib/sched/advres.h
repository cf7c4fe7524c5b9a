/* SPDX-License-Identifier: Apache-2.0
 *
 * advres: advance reservations, scontrol(1) "RESERVATIONS": whole nodes for some people
 * over a span of time, once or again and again.
 *
 * A job that does not name a reservation never runs into one: nodes whose reservation
 * begins before the job's limit would end it are closed to it (advres_close, called from
 * place()). A job that names one runs on its nodes only, while it is active, and is ended
 * with it; with FLEX before, after and beside it as well.
 *
 * When a reservation that does not recur is over, or is deleted, what still waits for it is
 * held (RESV_DEL_HOLD), unless it has NO_HOLD_JOBS_AFTER.
 *
 * Not here: parts of nodes (CoreCnt), licenses, replacement of nodes. They are refused by
 * name.
 */
#ifndef SL_SCHED_ADVRES_H
#define SL_SCHED_ADVRES_H

#include "sched/model.h"

#define ADVRES_MAX 1000 /* reservations at once: each placement looks at all of them */

/* X(symbol, bit, name as scontrol writes it) */
#define ADVRES_FLAG_MAP(X)                                                      \
    X(RESV_MAINT, 0, "MAINT")               X(RESV_FLEX, 1, "FLEX")             \
    X(RESV_DAILY, 2, "DAILY")               X(RESV_WEEKLY, 3, "WEEKLY")         \
    X(RESV_WEEKDAY, 4, "WEEKDAY")           X(RESV_WEEKEND, 5, "WEEKEND")       \
    X(RESV_HOURLY, 6, "HOURLY")             X(RESV_IGNORE_JOBS, 7, "IGNORE_JOBS") \
    X(RESV_OVERLAP, 8, "OVERLAP")           X(RESV_PART_NODES, 9, "PART_NODES") \
    X(RESV_SPEC_NODES, 10, "SPEC_NODES")    X(RESV_ALL_NODES, 11, "ALL_NODES")  \
    X(RESV_PURGE_COMP, 12, "PURGE_COMP")    X(RESV_NO_HOLD, 13, "NO_HOLD_JOBS_AFTER") \
    X(RESV_STATIC, 14, "STATIC")
enum advres_flag {
#define X(sym, bit, name) sym = 1 << bit,
    ADVRES_FLAG_MAP(X)
#undef X
};
#define RESV_AGAIN (RESV_DAILY | RESV_WEEKLY | RESV_WEEKDAY | RESV_WEEKEND | RESV_HOURLY)

struct advres {
    uint32_t id;
    char *name, *nodes /* host list */, *partition, *users, *accounts, *groups, *comment;
    uint32_t flags, node_count;
    usec_t start, end;       /* of this or the next time; end SPAN_INFINITE: for ever */
    usec_t purge;            /* idle for so long: over. 0: not before its end */
    usec_t idle_since;       /* 0: has not begun, or jobs use it */
    uint64_t *set;           /* nodes, of generation `gen` */
    uint32_t gen;
};

int advres_create(struct core *c, const struct command *cmd, usec_t now, struct batch *out, struct err *err);
int advres_update(struct core *c, const struct command *cmd, usec_t now, struct batch *out, struct err *err);
int advres_delete(struct core *c, const struct command *cmd, usec_t now, struct batch *out, struct err *err);
/* A timer: it begins, is over, or has been idle. */
void advres_tick(struct core *c, uint32_t id, usec_t now, struct batch *out);
/* Comma list of a submission: each exists, and takes the owner. */
int advres_admit(const struct core *c, const char *names, const struct admit *who, const char *user,
                 struct err *err);
/* May a job that names reservations start now, as far as they are concerned? */
bool advres_open(const struct core *c, const struct job *j, usec_t now);
/* The nodes closed to j, if it runs from now on for its limit in the partition, are added
 * to the set. */
void advres_close(struct core *c, const struct job *j, uint32_t part, uint64_t *set);
/* The reservations of others for which nodes are closed to it then; their number, at most max. */
uint32_t advres_closing(struct core *c, const struct job *j, uint32_t part,
                        const struct advres **out, uint32_t max);
/* A run of j begins: notes what it runs in, and until when that lets it. */
void advres_enter(struct core *c, struct job *j, usec_t now);
/* A run is over: an idle reservation may be over with it. */
void advres_idle(struct core *c, const struct job *j, usec_t now);
uint32_t advres_node_flags(const struct core *c, uint32_t node); /* NODEF_MAINT, NODEF_RESERVED */
void advres_load_end(struct core *c);
int advres_check(const struct core *c, struct err *err);
void advres_fini(struct core *c);

#endif
