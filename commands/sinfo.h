/* SPDX-License-Identifier: Apache-2.0
 *
 * sinfo in two files: options, questions and output (sinfo.c); which nodes share
 * a line and what it says (sinfo_group.c).
 */
#ifndef SL_COMMANDS_SINFO_H
#define SL_COMMANDS_SINFO_H

#include "rows.h"

struct sinfo_opt {
    const char *format, *format2, *iterate, *nodes, *partition, *sort, *states;
    bool node, all, dead, exact, hide, reasons, longform, noconvert, noheader, responding,
        summarize, reservations;
};
extern struct sinfo_opt opt;

struct sinfo_group {
    char **cells;      /* per column of the format */
    size_t partition;  /* row of sinfo_data.parts: its order */
    int state;         /* enum node_state of its nodes */
    const char *first; /* first node's name */
};
struct sinfo_data {
    struct arena arena;
    struct rows nodes, parts;
    size_t *columns; /* per column of the format: its place in nodes or parts */
    struct {
        size_t name, state, partitions, cpus, cpus_alloc, reason, reason_user, reason_uid, features, part_name,
            part_default;
    } at;
    struct sinfo_group *groups;
    size_t groups_count;
};

void sinfo_data_init(struct sinfo_data *d, const struct field_format *f);
void sinfo_data_fini(struct sinfo_data *d);
/* Fills groups, in print order. */
int sinfo_group(struct sinfo_data *d, const struct field_format *f, struct err *err);

#endif
