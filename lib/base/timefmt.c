/* SPDX-License-Identifier: Apache-2.0
 *
 * Points in time. A text is a sequence of words, each of which sets the date,
 * the time of day, or the whole point; what was not said is filled in last.
 */
#include "timefmt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define YEAR_MIN 1970
#define YEAR_MAX 9999

static usec_t clock_usec(clockid_t id)
{
    struct timespec ts;
    ASSERT(clock_gettime(id, &ts) == 0);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

usec_t clock_wall_usec(void)
{
    return clock_usec(CLOCK_REALTIME);
}

usec_t clock_mono_usec(void)
{
    return clock_usec(CLOCK_MONOTONIC);
}

struct time_words { /* what the text said so far */
    bool has_date, has_year, has_time, has_point;
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
    usec_t point;
    usec_t now;
    struct tm now_tm;
};

/* Reads one to `max` digits; the count of digits read, 0 for none. */
static int time_number(const char **p, int max, int *value)
{
    int n = 0, v = 0;
    for (; n < max && isdigit((unsigned char)**p); n++, (*p)++)
        v = v * 10 + (**p - '0');
    *value = v;
    return n;
}

/* True and past it when the word at *p is `word`. */
static bool time_word(const char **p, const char *word)
{
    size_t n = strlen(word);
    if (strncasecmp(*p, word, n) != 0 || isalnum((unsigned char)(*p)[n]))
        return false;
    *p += n;
    return true;
}

/* A second word for the same part, or one beside "now+...", is an error. */
static bool time_set_clock(struct time_words *w, int hour, int minute, int second)
{
    if (w->has_time || w->has_point || hour > 23 || minute > 59 || second > 59)
        return false;
    w->has_time = true;
    w->hour = hour;
    w->minute = minute;
    w->second = second;
    return true;
}

static bool time_set_date(struct time_words *w, bool has_year, int year, int month, int day)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (w->has_date || w->has_point || month < 1 || month > 12 || day < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int last = days[month - 1] + (month == 2 && (leap || !has_year));
    if (day > last || (has_year && (year < YEAR_MIN || year > YEAR_MAX)))
        return false;
    w->has_date = true;
    w->has_year = has_year;
    w->year = year;
    w->month = month;
    w->day = day;
    return true;
}

/* today: 0, tomorrow: 1. mktime() carries over the end of a month. */
static bool time_set_day_offset(struct time_words *w, int offset)
{
    struct tm tm = w->now_tm;
    tm.tm_mday += offset;
    tm.tm_hour = 12;
    tm.tm_isdst = -1;
    if (mktime(&tm) == (time_t)-1)
        return false;
    return time_set_date(w, true, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

/* After "now": nothing, or {+|-}count[unit]; a unit may be cut short. */
static bool time_set_now(struct time_words *w, const char **p)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"seconds", 1}, {"minutes", 60}, {"hours", 3600}, {"days", 86400},
                 {"weeks", 604800}};
    if (w->has_date || w->has_time || w->has_point)
        return false;
    w->has_point = true;
    w->point = w->now;
    while (**p == ' ')
        (*p)++;
    if (**p != '+' && **p != '-')
        return true;
    int sign = *(*p)++ == '+' ? 1 : -1;
    while (**p == ' ')
        (*p)++;
    int count;
    if (!time_number(p, 9, &count) || isdigit((unsigned char)**p))
        return false;
    while (**p == ' ')
        (*p)++;
    size_t n = 0;
    while (isalpha((unsigned char)(*p)[n]))
        n++;
    size_t u = 0;
    while (u < 5 && strncasecmp(*p, units[u].name, n) != 0)
        u++;
    if (u == 5 || n > strlen(units[u].name))
        return false;
    *p += n;
    w->point += sign * count * units[u].seconds * USEC_PER_SEC;
    return w->point > 0;
}

/* HH:MM[:SS] [AM|PM], after the hour was read. */
static bool time_clock(struct time_words *w, const char **p, int hour)
{
    int minute, second = 0;
    (*p)++; /* the colon */
    if (time_number(p, 2, &minute) != 2)
        return false;
    if (**p == ':') {
        (*p)++;
        if (time_number(p, 2, &second) != 2)
            return false;
    }
    if (isdigit((unsigned char)**p))
        return false;
    while (**p == ' ')
        (*p)++;
    bool am = time_word(p, "AM");
    if (am || time_word(p, "PM")) {
        if (hour < 1 || hour > 12)
            return false;
        hour = hour % 12 + (am ? 0 : 12);
    }
    return time_set_clock(w, hour, minute, second);
}

/* YYYY-MM-DD[T] after the year, MM/DD[/YY] and MM.DD[.YY] after the month. */
static bool time_date(struct time_words *w, const char **p, int first, int digits)
{
    char sep = *(*p)++;
    int second, third = 0;
    if (!time_number(p, 2, &second))
        return false;
    if (sep == '-') {
        if (digits != 4 || **p != '-')
            return false;
        (*p)++;
        if (!time_number(p, 2, &third))
            return false;
        if (toupper((unsigned char)**p) == 'T' && isdigit((unsigned char)(*p)[1]))
            (*p)++;
        return time_set_date(w, true, first, second, third);
    }
    bool has_year = **p == sep;
    if (has_year) {
        (*p)++;
        int n = time_number(p, 4, &third);
        if (n != 2 && n != 4)
            return false;
        third += n == 2 ? 2000 : 0;
    }
    if (**p == '-' && isdigit((unsigned char)(*p)[1])) /* MM/DD-HH:MM */
        (*p)++;
    return digits <= 2 && time_set_date(w, has_year, third, first, second);
}

/* A word that begins with a digit. Plain digits: MMDDYY or MMDD. */
static bool time_digits(struct time_words *w, const char **p)
{
    int v;
    int n = time_number(p, 7, &v);
    switch (**p) {
    case ':':
        return n <= 2 && time_clock(w, p, v);
    case '-':
    case '/':
    case '.':
        return time_date(w, p, v, n);
    }
    if (n == 6)
        return time_set_date(w, true, 2000 + v % 100, v / 10000, v / 100 % 100);
    if (n == 4)
        return time_set_date(w, false, 0, v / 100, v % 100);
    if (n <= 2 && (time_word(p, "AM") || time_word(p, "PM"))) /* 4PM */
        return v >= 1 && v <= 12 &&
               time_set_clock(w, v % 12 + (tolower((unsigned char)(*p)[-2]) == 'p' ? 12 : 0),
                              0, 0);
    return false;
}

static bool time_next(struct time_words *w, const char **p)
{
    static const struct {
        const char *name;
        int hour;
    } hours[] = {{"midnight", 0}, {"noon", 12}, {"fika", 15}, {"teatime", 16}};
    for (size_t i = 0; i < sizeof hours / sizeof hours[0]; i++)
        if (time_word(p, hours[i].name))
            return time_set_clock(w, hours[i].hour, 0, 0);
    if (time_word(p, "today"))
        return time_set_day_offset(w, 0);
    if (time_word(p, "tomorrow"))
        return time_set_day_offset(w, 1);
    if (time_word(p, "now"))
        return time_set_now(w, p);
    if (strncasecmp(*p, "uts", 3) == 0 && isdigit((unsigned char)(*p)[3])) {
        char *end;
        errno = 0;
        long long v = strtoll(*p + 3, &end, 10);
        *p = end;
        bool single = !w->has_date && !w->has_time && !w->has_point;
        w->has_point = true;
        w->point = errno ? 0 : v > INT64_MAX / USEC_PER_SEC ? 0 : v * USEC_PER_SEC;
        return single && w->point > 0;
    }
    return isdigit((unsigned char)**p) && time_digits(w, p);
}

/* Fills in what the text left open and makes it one point. What has no year (no
 * date) and has passed is moved on by a year (a day), unless the past is asked for. */
static bool time_finish(struct time_words *w, bool past, usec_t *when)
{
    if (w->has_point) {
        *when = w->point;
        return true;
    }
    for (int later = 0; later < 2; later++) {
        struct tm tm = {.tm_year = w->now_tm.tm_year, .tm_mon = w->now_tm.tm_mon,
                        .tm_mday = w->now_tm.tm_mday, .tm_hour = w->hour,
                        .tm_min = w->minute, .tm_sec = w->second, .tm_isdst = -1};
        if (w->has_date) {
            tm.tm_year = w->has_year ? w->year - 1900 : tm.tm_year + later;
            tm.tm_mon = w->month - 1;
            tm.tm_mday = w->day;
        } else {
            tm.tm_mday += later;
        }
        time_t t = mktime(&tm);
        if (past && t <= 0) /* sacct -S 1970-01-01: since ever; 0 would be "not set" */
            t = 1;
        /* mktime() moves 29 February of a common year into March. */
        if (t <= 0 || (w->has_date && tm.tm_mday != w->day))
            return false;
        *when = (usec_t)t * USEC_PER_SEC;
        if (past || w->has_year || t >= (time_t)(w->now / USEC_PER_SEC))
            break;
    }
    return true;
}

static int time_read(const char *text, usec_t now, bool past, usec_t *when, struct err *err)
{
    struct time_words w = {.now = now};
    time_t now_sec = (time_t)(now / USEC_PER_SEC);
    const char *p = text + strspn(text, " \t");
    bool good = *p != '\0' && localtime_r(&now_sec, &w.now_tm) != NULL;
    while (good && *p) {
        good = time_next(&w, &p);
        p += strspn(p, " \t");
    }
    usec_t result;
    if (!good || !time_finish(&w, past, &result))
        return err_set(err, SL_EINVAL_TIME, "time \"%.64s\" is none of now[+COUNT[UNIT]], "
                       "HH:MM[:SS][AM|PM], YYYY-MM-DD[THH:MM[:SS]], MM/DD[/YY], MMDDYY, "
                       "today, tomorrow, midnight, noon, fika, teatime", text);
    *when = result;
    return 0;
}

int time_parse(const char *text, usec_t now, usec_t *when, struct err *err)
{
    return time_read(text, now, false, when, err);
}

int time_parse_past(const char *text, usec_t now, usec_t *when, struct err *err)
{
    return time_read(text, now, true, when, err);
}

char *time_format_or(usec_t when, const char *none, char out[TIME_TEXT_MAX])
{
    time_t t = (time_t)(when / USEC_PER_SEC);
    struct tm tm;
    if (when <= 0 || when == SPAN_INFINITE || !localtime_r(&t, &tm) ||
        !strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm))
        snprintf(out, TIME_TEXT_MAX, "%s", none);
    return out;
}

char *time_format(usec_t when, char out[TIME_TEXT_MAX])
{
    return time_format_or(when, "Unknown", out);
}

/* Whole days from b's to a's date; both of local time, so noon keeps off changes of clocks. */
static int days_between(struct tm a, struct tm b)
{
    a.tm_hour = b.tm_hour = 12;
    a.tm_min = a.tm_sec = b.tm_min = b.tm_sec = 0;
    a.tm_isdst = b.tm_isdst = -1;
    double seconds = difftime(mktime(&a), mktime(&b));
    return (int)(seconds / 86400 + (seconds < 0 ? -0.5 : 0.5));
}

static const char *relative_format(const struct tm *tm, const struct tm *today)
{
    int days = days_between(*tm, *today);
    if (days == 0)
        return "%H:%M:%S";
    if (days == 1)
        return "Tomorr %H:%M";
    if (days == -1)
        return "Ystday %H:%M";
    if (days > 1 && days < 7)
        return "%a %H:%M";
    return tm->tm_year == today->tm_year ? "%-d %b %H:%M" : "%-d %b %Y";
}

char *time_format_style(const char *style, usec_t when, usec_t now, char out[TIME_STYLE_MAX])
{
    time_t t = (time_t)(when / USEC_PER_SEC), n = (time_t)(now / USEC_PER_SEC);
    struct tm tm, today;
    size_t len = 0;
    if (localtime_r(&t, &tm) && localtime_r(&n, &today)) {
        bool relative = strcmp(style, "relative") == 0;
        if (relative)
            style = relative_format(&tm, &today);
        if (strcmp(style, "standard") != 0)
            len = strftime(out, TIME_STYLE_MAX, style, &tm);
    }
    if (len == 0)
        time_format(when, out);
    return out;
}
