/* SPDX-License-Identifier: Apache-2.0
 *
 * The key table of slurmlike.conf and its value types. Internal to lib/conf.
 */
#ifndef SL_CONF_TABLE_H
#define SL_CONF_TABLE_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"

#define CONF_TEXT_BYTES_MAX (16u << 20) /* 65536 nodes at a line each fit */
#define CONF_PARTITIONS_MAX 4096u
#define CONF_SWITCHES_MAX 65536u

enum conf_type {
    CONF_NONE,
    CONF_STR,     /* char *: one line of text */
    CONF_NAME,    /* char *: letters, digits and -_.+ */
    CONF_PATH,    /* char *: % sequences filled in */
    CONF_FILE,    /* char *: as CONF_PATH; absolute or empty */
    CONF_HOSTS,   /* char *: hostlist expression or "ALL" */
    CONF_CHOICE,  /* char *: one word of `choices`, which are separated by '|' */
    CONF_BOOL,    /* bool */
    CONF_U32,     /* uint32_t */
    CONF_SECONDS, /* usec_t; min and max in seconds; printed as a number */
    CONF_LIMIT,   /* usec_t; as CONF_SECONDS, may be unlimited; printed as Slurm does */
    CONF_MEM,     /* uint64_t in MiB */
    CONF_LEVEL,   /* enum log_level */
    CONF_TYPE_COUNT
};

struct conf_row {
    const char *path; /* "jobs.kill_wait"; in nodes and partitions the key alone */
    enum conf_type type;
    size_t offset;       /* in struct conf, conf_node or conf_partition */
    uint64_t min, max;   /* of numbers; text: length */
    const char *value;   /* default as written, without quotes; NULL: must be given */
    const char *value_user; /* default of a one-user trial, NULL: the same; run_dir
                             * has its own rule (conf.c) */
    const char *choices;
    const char *help;
};

struct conf_table {
    const char *name; /* "" or the list's key */
    const struct conf_row *rows;
    size_t count;
    size_t entry_size;
};
extern const struct conf_table conf_top, conf_node_table, conf_partition_table;
extern const struct conf_table conf_switch_table, conf_block_table;

/* value.c: a value as a setting or a default gives it, checked and stored at
 * base + offset (the old string is freed). Errors name no key. */
int conf_value_set(const struct conf_row *row, void *base, const config_setting_t *s,
                   struct err *err);
void conf_value_default(const struct conf_row *row, void *base, bool is_user);
void conf_value_free(const struct conf_row *row, void *base);
/* Appends the value as conf_save_text writes it; quoted: with "" around text. */
void conf_value_print(const struct conf_row *row, const void *base, bool quoted,
                      struct buf *out);
bool conf_type_is_text(enum conf_type type);

/* load.c: reads all of root into *conf, whose values are the defaults. */
int conf_read_root(const config_setting_t *root, const char *name, struct conf *conf,
                   struct err *err);
/* check.c: what no single row can tell. */
int conf_check(const struct conf *conf, struct err *err);
/* conf.c */
/* A list of groups: where it is, and how many there may be. */
struct conf_list { const struct conf_table *table; size_t entries, count, max; };
extern const struct conf_list conf_lists[];
extern const size_t conf_lists_count;
void conf_entry_init(const struct conf_table *t, void *entry);
void conf_entry_fini(const struct conf_table *t, void *entry);
void conf_partitions_default(struct conf *conf);

#endif
