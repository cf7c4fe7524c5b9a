/* SPDX-License-Identifier: Apache-2.0 */
#include "train/report.h"

#include "base/timefmt.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

double report_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

int report_open(struct report *r, bool speaks, const char *metrics, struct err *err)
{
    *r = (struct report){.speaks = speaks};
    if (!speaks || !*metrics)
        return 0;
    r->metrics = fopen(metrics, "ae");
    if (!r->metrics)
        return err_errno(err, "cannot write metrics to %s", metrics);
    setvbuf(r->metrics, NULL, _IOLBF, 0);
    return 0;
}

void report_close(struct report *r)
{
    if (r->metrics)
        fclose(r->metrics);
    r->metrics = NULL;
}

void report_start(struct report *r, int64_t step)
{
    r->first = r->line_step = step;
    r->started = r->line_time = report_now();
    r->paused = 0;
}

void report_event(struct report *r, json_t *event)
{
    if (r->metrics) {
        json_dumpf(event, r->metrics, JSON_COMPACT | JSON_REAL_PRECISION(17));
        fputc('\n', r->metrics);
    }
    json_decref(event);
}

void report_line(struct report *r, const char *fmt, ...)
{
    if (!r->speaks)
        return;
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

void report_pause(struct report *r, double seconds)
{
    r->paused += seconds;
}

static int64_t memory_bytes(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_maxrss * 1024;
}

static void step_line(struct report *r, const struct report_step *s)
{
    double now = report_now(), steps = (double)(s->step - r->line_step);
    double took = (now - r->line_time - r->paused) / steps;
    double speed = (double)r->tokens_per_step / took;
    double flops = speed * r->flop_per_token;
    char left[SPAN_TEXT_MAX], mem[SIZE_TEXT_MAX];
    span_format_short((usec_t)(took * (double)(r->last - s->step) * 1e6), left);
    size_format_bytes((uint64_t)memory_bytes(), mem);
    report_line(r,
                "step %" PRId64 "/%" PRId64 "  loss %.4f  norm %.3f  lr %.2e  %.0f tokens/s"
                "  %.1f GFLOP/s (%.0f%% of peak)  memory %s  left %s",
                s->step, r->last, s->loss, s->norm, s->rate, speed, flops / 1e9,
                100 * flops / r->peak, mem, left);
    r->line_step = s->step;
    r->line_time = now;
    r->paused = 0;
}

void report_step(struct report *r, const struct report_step *s)
{
    if (!r->speaks)
        return;
    double speed = (double)r->tokens_per_step / s->seconds;
    report_event(r, json_pack("{s:s, s:I, s:f, s:f, s:f, s:I, s:f, s:f, s:f, s:f, s:I}",
                              "event", "step", "step", (json_int_t)s->step, "loss", s->loss,
                              "norm", s->norm, "lr", s->rate, "tokens",
                              (json_int_t)(s->step * r->tokens_per_step), "seconds",
                              s->seconds, "tokens_per_second", speed, "flops",
                              speed * r->flop_per_token, "mfu",
                              speed * r->flop_per_token / r->peak, "memory_bytes",
                              (json_int_t)memory_bytes()));
    if (s->step % r->log_every == 0 || s->step == r->last || s->step == r->first + 1)
        step_line(r, s);
}
