/* SPDX-License-Identifier: Apache-2.0
 *
 * field: the one table of printable fields, for squeue, sinfo, sacct, scontrol
 * show, their JSON, sort keys and filters.
 *
 * A row: id, what it belongs to, long name (-O/--format, sacct), squeue/sinfo
 * letter (%i), header text, default width, kind (how JSON prints it, how it
 * sorts). The controller fills cells by id (slurmlike-ctld/cells.c); commands
 * ask for ids and print. Cells are text in a canonical form that the kind
 * says (FIELD_TIME: seconds since the epoch; FIELD_SPAN: seconds, "inf";
 * FIELD_MIB, FIELD_MEM: number), so that each printer formats as its command does.
 */
#ifndef SL_JOB_FIELD_H
#define SL_JOB_FIELD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/timefmt.h"
#include <stdbool.h>
#include <stdint.h>

enum field_what { FIELD_OF_NONE, FIELD_OF_JOB, FIELD_OF_STEP, FIELD_OF_NODE, FIELD_OF_PARTITION, FIELD_OF_ACCT, FIELD_OF_LICENSE, FIELD_OF_RESV,
                  FIELD_OF_SINFO /* sinfo computes them; also finds node and partition fields */, FIELD_OF_COUNT };
enum field_kind { FIELD_TEXT, FIELD_NUM, FIELD_TIME, FIELD_SPAN, FIELD_MIB, FIELD_MEM /* MiB, shown as "2G" */, FIELD_BOOL, FIELD_EXIT /* "code:signal" */, FIELD_LIST /* comma list */,
                  FIELD_EXPLAIN /* lines of job/explain.h */ };

/* F(symbol, number, what, kind, name, letter or 0, header, width, json key)
 * Numbers are wire values: never reused. */
enum field_id {
    FIELD_NONE,
#define F(sym, num, what, kind, name, letter, header, width, json) FIELD_##sym = num,
#include "job/field.def"
#undef F
};
struct field {
    enum field_id id;
    enum field_what what;
    enum field_kind kind;
    const char *name;   /* "JobID": matched without regard to case */
    char letter;        /* of squeue -o / sinfo -o, 0: none */
    const char *header; /* "JOBID" */
    int width;          /* of the default format */
    const char *json;   /* "job_id" */
};
const struct field *field_by_id(unsigned id);
const struct field *field_by_name(enum field_what what, const char *name);
const struct field *field_by_letter(enum field_what what, char letter);
const struct field *field_table(size_t *count);

/* "%#P" of sinfo: as wide as the widest cell; the printer finds out. */
#define FIELD_WIDTH_WIDEST -1
/* A format as the user wrote it: "%.18i %.9P" or "JobID:10,State" (-O widths). */
struct field_column { const struct field *field; int width; /* 0: as needed; FIELD_WIDTH_WIDEST */ bool right; char prefix[64]; char suffix[64]; };
struct field_format { struct field_column *columns; size_t count; };
int field_format_letters(enum field_what what, const char *text, struct field_format *out, struct err *err);
int field_format_names(enum field_what what, const char *text, struct field_format *out, struct err *err);
void field_format_fini(struct field_format *f);
/* What Slurm's listings show for a text that is empty: "(null)", "N/A" or nothing. */
const char *field_empty(const struct field *f);
/* A time as $SLURM_TIME_FORMAT wants it; `none` for 0. Appends. */
void field_time(usec_t when, const char *none, struct buf *out);
/* Canonical cell -> what the command shows (times, spans, sizes). Appends. */
void field_show(const struct field *f, const char *cell, struct buf *out);

#endif
