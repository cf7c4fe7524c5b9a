/* SPDX-License-Identifier: Apache-2.0
 *
 * place: how this process stands among others: threads to use, signals that ask
 * it to stop, and whether MPI was started at all.
 */
#ifndef WORKER_TRAIN_PLACE_H
#define WORKER_TRAIN_PLACE_H

#include "comm/comm.h"
#include <stdbool.h>

/* Before MPI_Init: environment that Open MPI should see. */
void place_before_mpi(void);
/* Rank that the launcher gave this process, or 0; needs no MPI. */
int place_launcher_rank(void);
/* Before MPI_Init, which would say it at length: a step without PMIx, in which
 * each task would train alone. */
int place_check_launch(struct err *err);
/* Threads for this rank when nobody asked for a number. Collective over a node. */
int place_threads(const struct comm *c);
/* Processors that `threads` of this rank really have: less than that many where
 * the node's ranks have more threads than processors. Collective over a node. */
double place_processors(const struct comm *c, int threads);
/* SIGTERM and SIGUSR1 set the flag from now on. */
void place_catch_signals(void);
bool place_asked_to_stop(void);

#endif
