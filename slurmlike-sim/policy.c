/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include "setup/setup.h"
#include "sim.h"

#include <errno.h>
#include <string.h>

#define JOBS_AT_ONCE_MAX 10000000u
#define JOB_ID_MAX 67043328u /* as jobs.id_max */

static const struct {
    const char *name, *text, *help;
} presets[] = {
    {"default", "", "what slurmlike ships with"},
    {"easy",
     "scheduler = { order = \"fcfs\"; backfill = \"easy\"; backfill_candidates = \"queue\"; "
     "predict = false; };",
     "first come, first served; what does not delay the first may pass"},
    {"easy-sjbf",
     "scheduler = { order = \"fcfs\"; backfill = \"easy\"; backfill_candidates = \"shortest\"; "
     "predict = false; };",
     "the same; the shortest pass first"},
    {"due",
     "scheduler = { order = \"due\"; backfill = \"easy\"; backfill_candidates = \"shortest\"; "
     "predict = true; };",
     "short jobs first by predicted run times, but nobody waits for long"},
    {"conservative",
     "scheduler = { order = \"fcfs\"; backfill = \"conservative\"; backfill_depth = 10000000; "
     "backfill_candidates = \"queue\"; predict = false; };",
     "no job may delay any that came before it"},
    {"fcfs", "scheduler = { order = \"fcfs\"; backfill = \"none\"; predict = false; };",
     "first come, first served, nothing else"},
    {"fgd", "scheduler = { gpu_placement = \"fgd\"; };",
     "the default, GPUs where least becomes useless"},
    {"bestfit", "scheduler = { gpu_placement = \"bestfit\"; };",
     "the default, GPUs where least is left over"},
    {"packing", "scheduler = { gpu_placement = \"packing\"; };",
     "the default, GPUs on what is in use"},
    {"random", "scheduler = { gpu_placement = \"random\"; };",
     "the default, GPUs anywhere"},
};
#define PRESETS (sizeof presets / sizeof *presets)

static long preset_find(const char *name)
{
    for (size_t i = 0; i < PRESETS; i++)
        if (strcmp(presets[i].name, name) == 0)
            return (long)i;
    return -1;
}

bool policy_is_preset(const char *name)
{
    return preset_find(name) >= 0;
}

void policy_fini(struct policy *policy)
{
    conf_destroy(policy->conf);
    policy->conf = NULL;
}

int policy_load(const char *name, struct policy *policy, struct err *err)
{
    long at = preset_find(name);
    struct core_policy *core = &policy->core;
    policy->conf = at >= 0 ? conf_load_text(presets[at].text, name, err) : conf_load(name, err);
    if (!policy->conf) {
        if (err && err->code == -ENOENT && !strchr(name, '/') && !strchr(name, '.'))
            err_set(err, -ENOENT, "policy %s: neither a preset nor a file", name);
        return err ? err->code : -EINVAL;
    }
    if (setup_policy(policy->conf, core, err) < 0) {
        policy_fini(policy);
        return err ? err_prefix(err, "%s", name) : -EINVAL;
    }
    /* what a replay has no use for: records of jobs that are over, and small tables */
    core->core_pools = true;
    core->job_keep = 0;
    core->job_id_first = 1;
    core->job_id_max = JOB_ID_MAX;
    core->jobs_max = JOBS_AT_ONCE_MAX;
    return 0;
}

void policy_print(struct buf *out)
{
    for (size_t i = 0; i < PRESETS; i++)
        buf_printf(out, "      %-14s%s\n", presets[i].name, presets[i].help);
}
