/* SPDX-License-Identifier: Apache-2.0
 *
 * timefmt, sizefmt: Slurm's time and size notations, both ways.
 *
 * usec_t is a time since the Unix epoch or a span, in microseconds; 0 as a
 * time means "not set". SPAN_INFINITE is "UNLIMITED". Functions that take a
 * `now` are pure; only clock_wall_usec/clock_mono_usec read a clock.
 */
#ifndef SL_BASE_TIMEFMT_H
#define SL_BASE_TIMEFMT_H

#include "err.h"
#include <stddef.h>
#include <stdint.h>

typedef int64_t usec_t;
#define USEC_PER_SEC INT64_C(1000000)
#define SPAN_INFINITE INT64_MAX

usec_t clock_wall_usec(void); /* CLOCK_REALTIME */
usec_t clock_mono_usec(void); /* CLOCK_MONOTONIC */

/* sbatch(1) --time: "minutes", "minutes:seconds", "hours:minutes:seconds",
 * "days-hours", "days-hours:minutes", "days-hours:minutes:seconds",
 * "UNLIMITED"/"INFINITE"/"-1". Result in whole seconds as usec. */
int span_parse(const char *text, usec_t *span, struct err *err);
/* span_format: "[D-]HH:MM:SS" as scontrol and sacct print ("UNLIMITED");
 * span_format_short: without leading zeros ("0:05", "1:02:03", "2-01:02:03") as
 * squeue %M and %l and sinfo print. Parts of a second are dropped; a negative
 * span gives "INVALID". Return out. */
#define SPAN_TEXT_MAX 32
char *span_format(usec_t span, char out[SPAN_TEXT_MAX]);
char *span_format_short(usec_t span, char out[SPAN_TEXT_MAX]);

/* sbatch(1) --begin: "now", "now+1hour", "16:00", "midnight", "noon",
 * "fika", "teatime", "today", "tomorrow", "MMDDYY", "MM/DD[/YY]",
 * "MM.DD.YY", "YYYY-MM-DD[THH:MM[:SS]]", plus "HH:MM[AM|PM]"; local zone. A
 * date and a time of day may be combined in either order ("16:00 tomorrow",
 * "12/24-18:30"). A time of day without a date that has passed means
 * tomorrow, a date without a year that has passed means next year. "utsN": Unix time. */
int time_parse(const char *text, usec_t now, usec_t *when, struct err *err);
/* The same for sacct -S/-E and sreport: nothing is moved into the future. */
int time_parse_past(const char *text, usec_t now, usec_t *when, struct err *err);
/* "2026-11-23T10:20:30" in the local zone; 0 gives "Unknown" or none. */
#define TIME_TEXT_MAX 32
char *time_format(usec_t when, char out[TIME_TEXT_MAX]);
char *time_format_or(usec_t when, const char *none, char out[TIME_TEXT_MAX]);
/* As $SLURM_TIME_FORMAT of squeue(1) says: "standard", "relative" (to now), or a format of
 * strftime(3). A format that gives nothing, or too much, is "standard". */
#define TIME_STYLE_MAX 256
char *time_format_style(const char *style, usec_t when, usec_t now, char out[TIME_STYLE_MAX]);

/* sbatch(1) --mem: number with K|M|G|T|P (powers of 1024), default unit MiB;
 * decimals and a trailing B or iB are accepted ("1.5G", "16GiB"); result in MiB,
 * rounded up, at most SIZE_MIB_MAX. */
#define SIZE_MIB_MAX (UINT64_C(1) << 40) /* an exbibyte */
int mem_parse_mib(const char *text, uint64_t *mib, struct err *err);
/* "500M", "16G", "1.50G" as squeue/sacct/scontrol print; 0 gives "0". */
#define SIZE_TEXT_MAX 32
char *mem_format_mib(uint64_t mib, char out[SIZE_TEXT_MAX]);
char *size_format_bytes(uint64_t bytes, char out[SIZE_TEXT_MAX]);

/* Strict unsigned decimal with a range; names the field in the error. */
int num_parse_u64(const char *what, const char *text, uint64_t min, uint64_t max,
                  uint64_t *value, struct err *err);

#endif
