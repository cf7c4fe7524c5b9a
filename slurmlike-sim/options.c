/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "arrive.h"
#include "base/buf.h"
#include "policy.h"
#include "sim.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum opt { OPT_NONE = 256, OPT_PROCS, OPT_CLUSTER, OPT_NODES, OPT_GPU_NODES, OPT_POLICY,
           OPT_COMPARE, OPT_BASELINE, OPT_TIES, OPT_ESTIMATES, OPT_NO_MEMORY, OPT_HALF, OPT_FAILURES,
           OPT_SEED, OPT_ARRIVE, OPT_UNTIL, OPT_RUNS, OPT_CURVE, OPT_JOBS, OPT_SVG, OPT_QUIET, OPT_HELP, OPT_VERSION };

static const struct row {
    enum opt opt;
    const char *name, *argument, *help; /* argument NULL: none */
} rows[] = {
    {OPT_PROCS, "procs", "N",
     "The machine is N interchangeable processors. Default: MaxProcs of the trace's head."},
    {OPT_CLUSTER, "cluster", "FILE.conf",
     "The machine is what `nodes` and `partitions` of a file as slurmlike.conf(5) say; "
     "each entry of `nodes` needs `cpus`."},
    {OPT_NODES, "nodes", "FILE",
     "The machine is a table of nodes, sn,cpu_milli,memory_mib,gpu,model, or what `scontrol "
     "show nodes --json` printed."},
    {OPT_GPU_NODES, "gpu-nodes", NULL, "Of --nodes only those with GPUs."},
    {OPT_POLICY, "policy", "NAME|FILE.conf",
     "The rules: a preset (below), or a file whose scheduler section counts. Default: "
     "default."},
    {OPT_COMPARE, "compare", "A B ...",
     "Runs the trace under each of these policies and shows them side by side; the first "
     "is what users' waits are compared with. Policies are presets or *.conf files."},
    {OPT_BASELINE, "baseline", "NAME|FILE.conf",
     "Runs this policy first, and reports the share of users whose average wait is over "
     "10 % longer under the other."},
    {OPT_TIES, "ties", "batch|pyss",
     "What happens first of what happens at one second. batch (default): all ends, all "
     "submissions, one pass. pyss: each submission has a pass, then each end; processors "
     "of a run that reaches its limit are free from the first of them on."},
    {OPT_ESTIMATES, "estimates", "requested|exact",
     "exact: each job's limit is its run time. Default: requested."},
    {OPT_NO_MEMORY, "no-memory", NULL, "Jobs ask for no memory, whatever the trace says."},
    {OPT_HALF, "half", "first|second",
     "Only this half of the jobs: to choose parameters on one and test them on the other."},
    {OPT_FAILURES, "failures", "MTBF,MTTR",
     "Each node fails, and comes back, at random: mean times in the notation of --time of "
     "sbatch(1), \"30-0,4:00:00\"."},
    {OPT_SEED, "seed", "N", "Of what is random. Default: 1."},
    {OPT_ARRIVE, "arrive", "random",
     "Jobs only arrive, in random order, and nothing ends: how full do the GPUs become, and "
     "how much of the idle ones is fragments? A job that cannot start is turned away."},
    {OPT_UNTIL, "until", "PERCENT",
     "Of --arrive: until the GPUs of what arrived are so many percent of the machine's, with "
     "jobs drawn again from the trace when it has fewer. Default: 130%."},
    {OPT_RUNS, "runs", "N", "Of --arrive: means over N seeds, from --seed on. Default: 10."},
    {OPT_CURVE, "curve", "FILE.csv", "Of --arrive: writes the figures at each percent."},
    {OPT_JOBS, "jobs", "FILE.csv", "Writes a line for each job."},
    {OPT_SVG, "svg", "PREFIX",
     "Draws PREFIX-use.svg (use and queue over time) and PREFIX-wait.svg (the share of jobs "
     "that waited no longer than ...)."},
    {OPT_QUIET, "quiet", NULL, "Prints the last line only, and no progress."},
    {OPT_HELP, "help", NULL, "Prints this text."},
    {OPT_VERSION, "version", NULL, "Prints the version."},
};
#define ROWS (sizeof rows / sizeof *rows)

/* Text at an indent, broken at words. */
static void wrap(FILE *out, const char *text, size_t indent, size_t width)
{
    size_t at = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (at == 0 || at + 1 + n > width - indent) {
            fprintf(out, "%s%*s", at ? "\n" : "", (int)indent, "");
            at = 0;
        } else {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", (int)n, text);
        at += n;
        text += n + strspn(text + n, " ");
    }
    fputc('\n', out);
}

void options_help(FILE *out)
{
    struct buf presets;
    buf_init(&presets);
    policy_print(&presets);
    fputs("NAME\n"
          "      slurmlike-sim - replay a workload through the scheduler, on virtual time\n\n"
          "SYNOPSIS\n"
          "      slurmlike-sim [OPTION]... TRACE\n"
          "      slurmlike-sim [OPTION]... --compare A.conf B.conf... TRACE\n\n"
          "DESCRIPTION\n", out);
    wrap(out, "Submits the jobs of TRACE to the scheduling core, the very code of the "
         "controller, at the times that the trace says, ends each after the time that it ran, "
         "and prints how long jobs waited and how well the machine was used. TRACE is in "
         "Standard Workload Format, or a table with the columns job_id, submit_s, run_s and "
         "perhaps req_walltime_s, nodes, cpus, gpus, gpu_milli, mem_mb, user, vc, either plain or "
         "xz-compressed; or what `sacct --allusers --json` printed. The last line is\n", 6, 80);
    fputs("            jobs=N avg_wait=S avg_bsld=X max_wait=S util=SHARE\n\nOPTIONS\n", out);
    for (size_t i = 0; i < ROWS; i++) {
        fprintf(out, "      --%s%s%s\n", rows[i].name, rows[i].argument ? " " : "",
                rows[i].argument ? rows[i].argument : "");
        wrap(out, rows[i].help, 12, 80);
    }
    fprintf(out, "\nPOLICIES\n%s\n", buf_str(&presets));
    fputs("EXIT STATUS\n      0 when the replay came to its end, 1 otherwise.\n\n"
          "EXAMPLES\n"
          "      slurmlike-sim --policy=easy --ties=pyss KTH-SP2.swf.xz\n"
          "      slurmlike-sim --cluster=new.conf --compare now.conf then.conf last-year.swf\n",
          out);
    buf_fini(&presets);
}

static int one_of(const char *option, const char *text, const char *a, const char *b, int *v,
                  struct err *err)
{
    if (strcmp(text, a) != 0 && strcmp(text, b) != 0)
        return err_set(err, -EINVAL, "--%s: \"%.64s\" is neither %s nor %s", option, text, a, b);
    *v = strcmp(text, b) == 0;
    return 0;
}

static int failures_parse(struct options *o, const char *text, struct err *err)
{
    char *copy = xstrdup(text), *comma = strchr(copy, ',');
    int rc = comma ? 0 : err_set(err, -EINVAL, "\"%.64s\" is not MTBF,MTTR", text);
    if (comma)
        *comma = '\0';
    if (rc == 0)
        rc = span_parse(copy, &o->mtbf, err);
    if (rc == 0)
        rc = span_parse(comma + 1, &o->mttr, err);
    if (rc == 0 && (o->mtbf <= 0 || o->mttr <= 0 || o->mtbf == SPAN_INFINITE ||
                    o->mttr == SPAN_INFINITE))
        rc = err_set(err, -EINVAL, "\"%.64s\": both are times above 0", text);
    free(copy);
    return rc < 0 ? err_prefix(err, "--failures") : 0;
}

static int policy_add(struct options *o, const char *name, struct err *err)
{
    if (o->policies == POLICIES_MAX)
        return err_set(err, -E2BIG, "more than %d policies", POLICIES_MAX);
    o->policy[o->policies++] = name;
    return 0;
}

static int set(struct options *o, enum opt opt, char *value, struct err *err)
{
    uint64_t n;
    int rc = 0, v = 0;
    switch (opt) {
    case OPT_PROCS:
        rc = num_parse_u64("--procs", value, 1, PROCS_MAX, &n, err);
        o->procs = rc == 0 ? (uint32_t)n : 0;
        break;
    case OPT_CLUSTER:
        o->cluster = value;
        break;
    case OPT_NODES:
        o->nodes = value;
        break;
    case OPT_GPU_NODES:
        o->gpu_nodes = true;
        break;
    case OPT_COMPARE:
        o->compare = true;
        return policy_add(o, value, err);
    case OPT_POLICY:
        return policy_add(o, value, err);
    case OPT_BASELINE:
        o->baseline = value;
        break;
    case OPT_TIES:
        rc = one_of("ties", value, "batch", "pyss", &v, err);
        o->ties = v ? TIES_PYSS : TIES_BATCH;
        break;
    case OPT_ESTIMATES:
        rc = one_of("estimates", value, "requested", "exact", &v, err);
        o->exact = v;
        break;
    case OPT_NO_MEMORY:
        o->no_memory = true;
        break;
    case OPT_HALF:
        rc = one_of("half", value, "first", "second", &v, err);
        o->half = 1 + v;
        break;
    case OPT_FAILURES:
        return failures_parse(o, value, err);
    case OPT_SEED:
        return num_parse_u64("--seed", value, 0, UINT32_MAX, &o->seed, err);
    case OPT_ARRIVE:
        o->arrive = true;
        return strcmp(value, "random") == 0
                   ? 0
                   : err_set(err, -EINVAL, "--arrive: \"%.64s\" is not random", value);
    case OPT_UNTIL:
        if (*value && value[strlen(value) - 1] == '%')
            value[strlen(value) - 1] = '\0';
        rc = num_parse_u64("--until", value, 1, ARRIVE_PERCENT_MAX, &n, err);
        o->until = rc == 0 ? (uint32_t)n : 0;
        break;
    case OPT_RUNS:
        rc = num_parse_u64("--runs", value, 1, 10000, &n, err);
        o->runs = rc == 0 ? (uint32_t)n : 0;
        break;
    case OPT_CURVE:
        o->curve = value;
        break;
    case OPT_JOBS:
        o->jobs_csv = value;
        break;
    case OPT_SVG:
        o->svg = value;
        break;
    case OPT_QUIET:
        o->quiet = true;
        break;
    case OPT_HELP:
        o->help = true;
        break;
    case OPT_VERSION:
        o->version = true;
        break;
    default:
        return err_set(err, -EINVAL, "unknown option; --help lists them");
    }
    return rc;
}

static bool is_policy(const char *text)
{
    size_t n = strlen(text);
    return policy_is_preset(text) || (n > 5 && strcmp(text + n - 5, ".conf") == 0);
}

/* What is no option: the trace, and with --compare further policies. */
static int operands(struct options *o, int argc, char **argv, struct err *err)
{
    for (int i = optind; i < argc; i++) {
        if (o->compare && is_policy(argv[i])) {
            int rc = policy_add(o, argv[i], err);
            if (rc < 0)
                return rc;
        } else if (o->trace) {
            return err_set(err, -EINVAL, "two traces: %.200s and %.200s", o->trace, argv[i]);
        } else {
            o->trace = argv[i];
        }
    }
    return 0;
}

static int options_check(const struct options *o, struct err *err)
{
    if (!o->trace)
        return err_set(err, -EINVAL, "no trace is named; --help shows how");
    if ((o->procs != 0) + (o->cluster != NULL) + (o->nodes != NULL) > 1)
        return err_set(err, -EINVAL, "--procs, --cluster and --nodes each describe the whole "
                       "machine: give one");
    if (o->policies > 1 && !o->compare)
        return err_set(err, -EINVAL, "two policies: use --compare");
    if (o->compare && o->policies < 2)
        return err_set(err, -EINVAL, "--compare: with what? Name a second policy");
    if (o->compare && (o->baseline || o->jobs_csv))
        return err_set(err, -EINVAL, "--baseline and --jobs are for one policy, not --compare");
    if (o->arrive && (o->jobs_csv || o->svg || o->baseline || o->mtbf || o->procs))
        return err_set(err, -EINVAL, "--arrive goes with --cluster or --nodes, --policy or "
                       "--compare, --until, --runs, --seed and --curve");
    if (o->mtbf && !o->cluster && !o->nodes)
        return err_set(err, -EINVAL, "--failures needs nodes: --cluster or --nodes");
    return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct err *err)
{
    struct option known[ROWS + 1] = {{0}};
    int c, rc = 0;
    *o = (struct options){.seed = 1, .until = 130, .runs = 10};
    for (size_t i = 0; i < ROWS; i++)
        known[i] = (struct option){rows[i].name,
                                   rows[i].argument ? required_argument : no_argument, NULL,
                                   (int)rows[i].opt};
    opterr = 0;
    while (rc == 0 && (c = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
        if (c == ':')
            rc = err_set(err, -EINVAL, "%.200s needs a value", argv[optind - 1]);
        else if (c == '?')
            rc = err_set(err, -EINVAL, "%.200s: no such option; --help lists them",
                         argv[optind - 1]);
        else
            rc = set(o, c == 'h' ? OPT_HELP : (enum opt)c, optarg, err);
    }
    if (rc == 0 && (o->help || o->version))
        return 0;
    if (rc == 0)
        rc = operands(o, argc, argv, err);
    if (rc == 0)
        rc = options_check(o, err);
    if (rc == 0 && o->policies == 0)
        rc = policy_add(o, "default", err);
    return rc;
}
