/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/record.h"

#include "base/hostlist.h"
#include "job/jobspec.h"
#include "stepd/bind.h"
#include "stepd/dlink.h"
#include "stepd/spool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define GRES_KINDS_MAX 32 /* names of gres in one record */
#define COMMAND_TEXT_MAX 1024

static char *nodes_text(const struct step *s, struct arena *a)
{
    const Sl__StepLayout *layout = s->launch->layout;
    const Sl__Allocation *alloc = s->launch->job->alloc;
    struct hostlist *hl = hostlist_create("", NULL);
    for (size_t i = 0; alloc && i < layout->n_nodes; i++)
        if (layout->nodes[i]->alloc_index < alloc->n_nodes)
            hostlist_push(hl, alloc->nodes[layout->nodes[i]->alloc_index]->name, NULL);
    char *ranged = hostlist_count(hl) ? hostlist_ranged(hl) : xstrdup(s->opts->node);
    char *text = arena_strdup(a, ranged);
    free(ranged);
    hostlist_destroy(hl);
    return text;
}

/* "gres/gpu=3,gres/fpga=1": what the step holds on all its nodes, as TRES. */
static char *gres_text(const struct step *s, struct arena *a)
{
    const Sl__StepLayout *layout = s->launch->layout;
    const char *name[GRES_KINDS_MAX];
    size_t count[GRES_KINDS_MAX], kinds = 0;
    for (size_t i = 0; i < layout->n_nodes; i++)
        for (size_t k = 0; k < layout->nodes[i]->n_gres; k++) {
            const Sl__GresAlloc *g = layout->nodes[i]->gres[k];
            size_t at = 0;
            while (at < kinds && strcmp(name[at], g->name) != 0)
                at++;
            if (at == GRES_KINDS_MAX)
                continue;
            if (at == kinds) {
                name[kinds] = g->name;
                count[kinds++] = 0;
            }
            count[at] += g->n_index;
        }
    char *text = arena_strdup(a, "");
    for (size_t i = 0; i < kinds; i++)
        text = arena_printf(a, "%s%sgres/%s=%zu", text, i ? "," : "", name[i], count[i]);
    return text;
}

static char *command_text(const struct step *s, struct arena *a)
{
    const Sl__StepSpec *spec = s->launch->spec;
    if (s->batch)
        return s->launch->job->spec->command;
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < spec->n_argv && b.len < COMMAND_TEXT_MAX; i++)
        buf_printf(&b, "%s%s", i ? " " : "", spec->argv[i]);
    size_t cut = b.len > COMMAND_TEXT_MAX ? COMMAND_TEXT_MAX : b.len;
    while (cut > 0 && cut < b.len && ((unsigned char)b.data[cut] & 0xc0) == 0x80)
        cut--; /* not within a character: the wire wants whole UTF-8 */
    char *text = arena_alloc(a, cut + 1);
    memcpy(text, buf_str(&b), cut);
    buf_fini(&b);
    return text;
}

/* What the step was given, not what its tasks asked for. */
static uint32_t layout_cpus(const struct step *s)
{
    const Sl__StepLayout *layout = s->launch->layout;
    uint32_t count = 0;
    for (size_t i = 0; i < layout->n_nodes; i++) {
        uint64_t set[BIND_MASK_WORDS] = {0};
        bind_cpus_parse(layout->nodes[i]->cpus, set, BIND_MASK_WORDS * 64);
        for (unsigned k = 0; k < BIND_MASK_WORDS; k++)
            count += (uint32_t)__builtin_popcountll(set[k]);
    }
    return count;
}

static uint32_t outcome_state(const struct step *s)
{
    if (s->phase < PHASE_REPORTING)
        return s->suspended_since ? JOB_SUSPENDED : JOB_RUNNING;
    if (s->state)
        return s->state;
    return s->oom ? JOB_OOM : s->status == 0 ? JOB_COMPLETED : JOB_FAILED;
}

void record_fill(struct step *s, struct step_record *r)
{
    const Sl__StepNode *node = s->launch->layout->nodes[s->node_index];
    Sl__StepRecord *m = &r->m;

    arena_init(&r->arena);
    sl__step_record__init(m);
    r->usage = s->usage;
    m->job_id = s->job_id;
    m->restart = s->restart;
    m->step_id = s->step_id;
    m->name = s->launch->spec->name;
    m->nodelist = nodes_text(s, &r->arena);
    m->nodes_count = s->nodes_count;
    m->ntasks = s->launch->layout->ntasks;
    m->cpus = layout_cpus(s);
    m->start = s->start;
    m->end = s->end;
    m->state = outcome_state(s);
    m->exit_status = (uint32_t)s->status;
    m->mem_mib = node->mem_mib == MEM_ALL ? 0 : node->mem_mib;
    m->gres = gres_text(s, &r->arena);
    m->layout = s->launch->spec->distribution;
    m->command = command_text(s, &r->arena);
    m->suspended_usec = s->suspended_total;
    m->usage = &r->usage;
}

void record_fini(struct step_record *r)
{
    arena_fini(&r->arena);
}

static void report_init(const struct step *s, Sl__JobReport *r, Sl__ReportKind kind)
{
    sl__job_report__init(r);
    r->kind = kind;
    r->job_id = s->job_id;
    r->restart = s->restart;
    r->step_id = s->step_id;
    r->exit_status = (uint32_t)s->status;
    r->text = (char *)s->text;
    r->oom = s->oom;
    r->time = kind == SL__REPORT_KIND__REPORT_STEP_START ? s->start : s->end;
}

void record_report_start(struct step *s)
{
    Sl__JobReport r, *list[] = {&r};
    struct step_record rec;
    if (!s->root || s->start_reported)
        return;
    s->start_reported = true;
    report_init(s, &r, SL__REPORT_KIND__REPORT_STEP_START);
    record_fill(s, &rec);
    r.step = &rec.m;
    dlink_report(s, list, 1);
    record_fini(&rec);
}

/* The job is over when its script, or the only command of a run, is. */
static bool ends_job(const struct step *s)
{
    return s->manager && s->step_id != STEP_EXTERN;
}

void record_report_end(struct step *s)
{
    Sl__JobReport end, done, *list[] = {&end, &done};
    Sl__JobReports reports = SL__JOB_REPORTS__INIT;
    struct step_record rec;
    struct err err;

    report_init(s, &end, s->root ? SL__REPORT_KIND__REPORT_STEP_END
                                 : SL__REPORT_KIND__REPORT_NONE);
    report_init(s, &done, SL__REPORT_KIND__REPORT_JOB_DONE);
    record_fill(s, &rec);
    end.state = rec.m.state;
    if (s->root)
        end.step = &rec.m;
    done.state = s->state || s->oom ? rec.m.state : 0;
    reports.reports = list;
    reports.n_reports = ends_job(s) ? 2 : 1;
    if (spool_result_write(s->dir, &reports, &err) < 0)
        log_error("step", "step=%s result not written, reported all the same: %s", s->name,
                  err.text);
    dlink_report(s, list, reports.n_reports);
    record_fini(&rec);
}
