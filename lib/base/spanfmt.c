/* SPDX-License-Identifier: Apache-2.0 */
#include "timefmt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <strings.h>

/* Slurm keeps limits as 32-bit minutes; the largest of them that is not a mark. */
#define SPAN_SEC_MAX (INT64_C(4294967292) * 60)

/* Up to four numbers separated as "D-H:M:S": fields[0..count). */
struct span_fields {
    int64_t n[4];
    int count;
    bool has_days;
};

static bool span_split(const char *p, struct span_fields *f)
{
    *f = (struct span_fields){0};
    for (;;) {
        if (!isdigit((unsigned char)*p) || f->count == 4)
            return false;
        int64_t v = 0;
        for (; isdigit((unsigned char)*p); p++)
            v = v <= SPAN_SEC_MAX ? v * 10 + (*p - '0') : v; /* saturates above the limit */
        f->n[f->count++] = v;
        if (*p == '\0')
            return true;
        if (*p == '-' && f->count == 1)
            f->has_days = true;
        else if (*p != ':')
            return false;
        p++;
    }
}

static int64_t span_seconds(const struct span_fields *f)
{
    /* Unit of each field in seconds, by form. */
    static const int64_t plain[4][4] = {{60}, {60, 1}, {3600, 60, 1}, {0}};
    static const int64_t days[4] = {86400, 3600, 60, 1};
    const int64_t *unit = f->has_days ? days : plain[f->count - 1];
    int64_t sum = 0;
    for (int i = 0; i < f->count; i++) {
        if (f->n[i] > SPAN_SEC_MAX)
            return SPAN_SEC_MAX + 1;
        sum += f->n[i] * unit[i];
    }
    return sum;
}

int span_parse(const char *text, usec_t *span, struct err *err)
{
    if (!strcasecmp(text, "UNLIMITED") || !strcasecmp(text, "INFINITE") ||
        !strcasecmp(text, "-1")) {
        *span = SPAN_INFINITE;
        return 0;
    }
    struct span_fields f;
    if (!span_split(text, &f) || (f.count == 4 && !f.has_days) ||
        (f.has_days && f.count == 1))
        return err_set(err, SL_EINVAL_TIME, "time \"%.64s\" is none of minutes, "
                       "minutes:seconds, hours:minutes:seconds, days-hours, "
                       "days-hours:minutes, days-hours:minutes:seconds, UNLIMITED", text);
    int64_t seconds = span_seconds(&f);
    if (seconds > SPAN_SEC_MAX)
        return err_set(err, SL_EINVAL_TIME, "time \"%.64s\" is too long; say UNLIMITED "
                       "for no limit", text);
    *span = seconds * USEC_PER_SEC;
    return 0;
}

static char *span_print(usec_t span, bool is_short, char out[SPAN_TEXT_MAX])
{
    if (span == SPAN_INFINITE || span < 0) {
        snprintf(out, SPAN_TEXT_MAX, span < 0 ? "INVALID" : "UNLIMITED");
        return out;
    }
    int64_t sec = span / USEC_PER_SEC;
    int64_t days = sec / 86400;
    int h = (int)(sec / 3600 % 24), m = (int)(sec / 60 % 60), s = (int)(sec % 60);
    if (days)
        snprintf(out, SPAN_TEXT_MAX, "%" PRId64 "-%02d:%02d:%02d", days, h, m, s);
    else if (!is_short)
        snprintf(out, SPAN_TEXT_MAX, "%02d:%02d:%02d", h, m, s);
    else if (h)
        snprintf(out, SPAN_TEXT_MAX, "%d:%02d:%02d", h, m, s);
    else
        snprintf(out, SPAN_TEXT_MAX, "%d:%02d", m, s);
    return out;
}

char *span_format(usec_t span, char out[SPAN_TEXT_MAX])
{
    return span_print(span, false, out);
}

char *span_format_short(usec_t span, char out[SPAN_TEXT_MAX])
{
    return span_print(span, true, out);
}
