/* SPDX-License-Identifier: Apache-2.0
 *
 * sacctmgr: what its files share. sacctmgr.c has options, words and the interactive mode,
 * sacctmgr_show.c lists, sacctmgr_change.c adds, modifies and deletes, sacctmgr_file.c
 * dumps and loads.
 */
#ifndef SL_COMMANDS_SACCTMGR_H
#define SL_COMMANDS_SACCTMGR_H

#include "command.h"
#include "tenant_table.h"

enum entity {
    ENTITY_NONE, ENTITY_ACCOUNT, ENTITY_ASSOC, ENTITY_CLUSTER, ENTITY_CONFIG, ENTITY_COORDINATOR,
    ENTITY_QOS, ENTITY_TRANSACTION, ENTITY_TRES, ENTITY_USER, ENTITY_OTHER /* known, not built */
};

struct sacctmgr {
    struct client client;
    bool immediate, noheader, parsable, parsable2, quiet, readonly, associations, verbose;
};
extern const char sacctmgr_program[];

/* The entity that a word names by a beginning of it. */
enum entity sacctmgr_entity(const char *word);
/* " text" on stderr as sacctmgr says things; returns the exit code 1. */
int sacctmgr_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
enum tenant_style sacctmgr_style(const struct sacctmgr *m);

int sacctmgr_show(struct sacctmgr *m, enum entity what, int argc, char **argv);
int sacctmgr_change(struct sacctmgr *m, Sl__TenantOp op, enum entity what, int argc, char **argv);
/* One request; text says what was (dry_run: would be) done. */
int sacctmgr_request(struct sacctmgr *m, const Sl__TenantRequest *r, struct buf *text, struct err *err);
/* "yes" within 30 seconds; always with -i. */
bool sacctmgr_commit(const struct sacctmgr *m);
int sacctmgr_dump(struct sacctmgr *m, int argc, char **argv);
int sacctmgr_load(struct sacctmgr *m, int argc, char **argv);

#endif
