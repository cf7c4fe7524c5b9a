/* SPDX-License-Identifier: Apache-2.0 */
#include "chart.h"

#include "base/buf.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 900
#define LEFT 70
#define RIGHT 20
#define PANEL 220     /* height of a panel */
#define TOP 40
#define GAP 60        /* between panels, with the labels of the upper one's axis */
#define BINS 600
#define TICKS 5

static const char *const colours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e",
                                      "#17becf", "#8c564b", "#7f7f7f"};
#define COLOURS (sizeof colours / sizeof *colours)

struct panel { /* one pair of axes */
    FILE *f;
    double top, x_min, x_max, y_max;
    bool x_log;
};

static double x_of(const struct panel *p, double x)
{
    double a = p->x_min, b = p->x_max;
    if (p->x_log) {
        a = log10(a);
        b = log10(b);
        x = log10(x);
    }
    return LEFT + (x - a) / (b > a ? b - a : 1) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct panel *p, double y)
{
    return p->top + PANEL * (1 - y / (p->y_max > 0 ? p->y_max : 1));
}

static void text(FILE *f, double x, double y, const char *anchor, const char *words)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    for (; *words; words++) {
        if (*words == '<' || *words == '&')
            fprintf(f, *words == '<' ? "&lt;" : "&amp;");
        else
            fputc(*words, f);
    }
    fputs("</text>\n", f);
}

static void grid(const struct panel *p, double x, double y, bool upright)
{
    fprintf(p->f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n",
            upright ? x : LEFT, upright ? p->top : y, upright ? x : WIDTH - RIGHT,
            upright ? p->top + PANEL : y);
}

/* 1, 2 or 5 times a power of ten, so that about TICKS of them make up `span`. */
static double step_for(double span)
{
    double raw = span / TICKS, power = pow(10, floor(log10(raw > 0 ? raw : 1)));
    double f = raw / power;
    return power * (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10);
}

static void y_axis(const struct panel *p, const char *title)
{
    char label[32];
    double step = step_for(p->y_max);
    for (double y = 0; y <= p->y_max * 1.0001; y += step) {
        grid(p, 0, y_of(p, y), false);
        snprintf(label, sizeof label, "%g", y);
        text(p->f, LEFT - 6, y_of(p, y) + 4, "end", label);
    }
    text(p->f, LEFT, p->top - 8, "start", title);
}

static void x_axis_days(const struct panel *p)
{
    char label[32];
    double step = step_for(p->x_max - p->x_min);
    for (double x = p->x_min; x <= p->x_max * 1.0001; x += step) {
        grid(p, x_of(p, x), 0, true);
        snprintf(label, sizeof label, "%g", x);
        text(p->f, x_of(p, x), p->top + PANEL + 16, "middle", label);
    }
    text(p->f, WIDTH - RIGHT, p->top + PANEL + 32, "end", "days");
}

static void x_axis_waits(const struct panel *p)
{
    static const struct { double s; const char *label; } at[] = {
        {1, "1 s"}, {10, "10 s"}, {60, "1 min"}, {600, "10 min"}, {3600, "1 h"},
        {6 * 3600, "6 h"}, {86400, "1 d"}, {7 * 86400, "7 d"}, {30 * 86400, "30 d"}};
    for (size_t i = 0; i < sizeof at / sizeof *at && at[i].s <= p->x_max; i++) {
        grid(p, x_of(p, at[i].s), 0, true);
        text(p->f, x_of(p, at[i].s), p->top + PANEL + 16, "middle", at[i].label);
    }
}

static void line(const struct panel *p, const double *x, const double *y, size_t n,
                 const char *colour)
{
    fprintf(p->f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.3\" points=\"", colour);
    for (size_t i = 0; i < n; i++)
        fprintf(p->f, "%.1f,%.1f ", x_of(p, x[i]), y_of(p, y[i]));
    fputs("\"/>\n", p->f);
}

static void legend(FILE *f, const struct series *s, size_t n)
{
    double x = LEFT;
    for (size_t i = 0; i < n; i++) {
        fprintf(f, "<rect x=\"%.1f\" y=\"8\" width=\"12\" height=\"4\" fill=\"%s\"/>\n", x,
                colours[i % COLOURS]);
        text(f, x + 16, 14, "start", s[i].name);
        x += 30 + 7 * (double)strlen(s[i].name);
    }
}

static FILE *svg_open(const char *path, int height, struct err *err)
{
    FILE *f = fopen(path, "we");
    if (!f) {
        err_errno(err, "%s", path);
        return NULL;
    }
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
               "font-family=\"sans-serif\" font-size=\"12\">\n"
               "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", WIDTH, height);
    return f;
}

static int svg_close(FILE *f, const char *path, struct err *err)
{
    fputs("</svg>\n", f);
    bool bad = ferror(f);
    if (fclose(f) != 0 || bad)
        return err_errno(err, "%s", path);
    return 0;
}

/* ---- use and queue ---------------------------------------------------------------------- */

struct course { /* means over equal spans of time */
    double use[BINS], queue[BINS];
};

static void course_add(struct course *c, double from, double to, double use, double queue)
{
    for (int b = (int)from; b < BINS && b < to; b++) {
        double lo = from > b ? from : b, hi = to < b + 1 ? to : b + 1;
        c->use[b] += (hi - lo) * use;
        c->queue[b] += (hi - lo) * queue;
    }
}

static void course_make(const struct engine_result *res, const struct cluster *cl, usec_t first,
                        usec_t last, struct course *c)
{
    double bin = (double)(last - first) / BINS;
    bool gpus = cl->gpus > 0;
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < res->samples; i++) {
        const struct sample *s = &res->sample[i];
        usec_t end = i + 1 < res->samples ? res->sample[i + 1].at : last;
        course_add(c, (double)(s->at - first) / bin, (double)(end - first) / bin,
                   gpus ? 100.0 * s->gpus / cl->gpus : 100.0 * s->procs / cl->procs, s->queued);
    }
}

int chart_use(const char *path, const struct cluster *cl, const struct series *s, size_t n,
              struct err *err)
{
    usec_t first = INT64_MAX, last = INT64_MIN;
    double queue_max = 1, x[BINS];
    struct course *course = xcalloc(n, sizeof *course);
    FILE *f = svg_open(path, TOP + 2 * (PANEL + GAP), err);
    if (!f) {
        free(course);
        return err ? err->code : -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i].res->samples == 0)
            continue;
        usec_t a = s[i].res->sample[0].at, b = s[i].res->sample[s[i].res->samples - 1].at;
        first = a < first ? a : first;
        last = b > last ? b : last;
    }
    for (size_t i = 0; i < n; i++) {
        course_make(s[i].res, cl, first, last, &course[i]);
        for (int b = 0; b < BINS; b++)
            queue_max = course[i].queue[b] > queue_max ? course[i].queue[b] : queue_max;
    }
    double days = (double)(last - first) / (86400.0 * (double)USEC_PER_SEC);
    struct panel use = {.f = f, .top = TOP, .x_max = days, .y_max = 100};
    struct panel queue = {.f = f, .top = TOP + PANEL + GAP, .x_max = days, .y_max = queue_max};
    for (int b = 0; b < BINS; b++)
        x[b] = days * (b + 0.5) / BINS;
    y_axis(&use, cl->gpus ? "GPUs in use, %" : "processors in use, %");
    x_axis_days(&use);
    y_axis(&queue, "jobs waiting");
    x_axis_days(&queue);
    for (size_t i = 0; i < n; i++) {
        line(&use, x, course[i].use, BINS, colours[i % COLOURS]);
        line(&queue, x, course[i].queue, BINS, colours[i % COLOURS]);
    }
    legend(f, s, n);
    free(course);
    return svg_close(f, path, err);
}

/* ---- waits ----------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Sorted waits of what ran, 1 s at least; the caller frees. */
static double *waits_of(const struct engine_result *res, size_t *count)
{
    double *v = xcalloc(res->runs, sizeof *v);
    *count = 0;
    for (size_t i = 0; i < res->runs; i++)
        if (run_counts(&res->run[i]))
            v[(*count)++] = fmax(1, run_wait(&res->run[i]));
    qsort(v, *count, sizeof *v, by_value);
    return v;
}

static void wait_line(const struct panel *p, const double *wait, size_t count, const char *colour)
{
    double x[BINS + 1], y[BINS + 1];
    size_t n = 0;
    for (; n <= BINS && count > 0; n++) {
        size_t at = (count - 1) * n / BINS;
        x[n] = wait[at];
        y[n] = 100.0 * (double)(at + 1) / (double)count;
    }
    line(p, x, y, n, colour);
}

int chart_wait(const char *path, const struct series *s, size_t n, struct err *err)
{
    double **wait = xcalloc(n, sizeof *wait);
    size_t *count = xcalloc(n, sizeof *count);
    struct panel p = {.top = TOP, .x_min = 1, .x_max = 10, .y_max = 100, .x_log = true};
    int rc = -1;
    for (size_t i = 0; i < n; i++) {
        wait[i] = waits_of(s[i].res, &count[i]);
        if (count[i] > 0)
            p.x_max = fmax(p.x_max, wait[i][count[i] - 1]);
    }
    p.f = svg_open(path, TOP + PANEL + GAP, err);
    if (p.f) {
        y_axis(&p, "jobs that waited no longer, %");
        x_axis_waits(&p);
        for (size_t i = 0; i < n; i++)
            wait_line(&p, wait[i], count[i], colours[i % COLOURS]);
        legend(p.f, s, n);
        rc = svg_close(p.f, path, err);
    }
    for (size_t i = 0; i < n; i++)
        free(wait[i]);
    free(wait);
    free(count);
    return rc < 0 && err && err->code < 0 ? err->code : rc;
}
