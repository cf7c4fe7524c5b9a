/* SPDX-License-Identifier: Apache-2.0
 *
 * persist: what the core changed, as rows of the store.
 *
 * persist_note() is called right after each command, when what it changed can
 * still be seen: rows of history (steps, node events, ends of runs) go into the
 * transaction at once; records of jobs, nodes and partitions are only marked and
 * taken when the transaction is sealed, once however often they changed.
 *
 * A run is one allocation of a job, (job_id, restart): the row that accounting
 * charges. persist keeps the runs that are open, because a job that is requeued
 * at once no longer shows the run that has just ended.
 */
#ifndef SL_CTLD_PERSIST_H
#define SL_CTLD_PERSIST_H

#include "ctld.h"

struct persist *persist_create(void);
void persist_destroy(struct persist *p);

void persist_note(struct ctld *d, const struct change *change, enum command_kind cause);
/* Everything in the core, after a reconfiguration. */
void persist_note_tables(struct ctld *d);
/* Script and environment of a job submitted in this generation; 0 bytes: none. */
void persist_blobs(struct ctld *d, uint32_t job_id, const void *script, size_t script_bytes,
                   const void *env, size_t env_bytes);
/* Who cancelled the step, as StepRecord.kill_uid: uid + 1, 0 nobody. */
uint32_t persist_step_killer(struct ctld *d, const Sl__JobReport *report);
/* STEP_START and STEP_END: the step's row. */
void persist_step_report(struct ctld *d, const Sl__JobReport *report);
/* STEP_END without a record: the step's supervisor died; its row from what the core knows. */
void persist_step_died(struct ctld *d, const Sl__JobReport *report);
/* The transaction of all that was noted; the caller owns it, the next one begins. */
struct store_txn *persist_seal(struct ctld *d);

/* Start: meta (epoch, clock, key of the job secrets) and then everything live
 * into the core. Records that do not parse are logged and counted, not loaded. */
struct persist_meta {
    uint64_t epoch;         /* of the controller before */
    usec_t clock;           /* its last time */
    bool has_key;
    unsigned char key[SECRET_KEY_BYTES];
    struct buf core;        /* the core's counters */
};
int persist_load_meta(struct ctld *d, struct persist_meta *meta, struct err *err);
int persist_load(struct ctld *d, const struct persist_meta *meta, struct err *err);
/* epoch and key into the generation being gathered. */
void persist_put_identity(struct ctld *d);

#endif
