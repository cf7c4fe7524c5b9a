/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/option.h"
#include "job/state.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1700000000000000)

static struct job_request *request;

static int setup(void **state)
{
    (void)state;
    request = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    job_request_destroy(request);
    request = NULL;
    return 0;
}

/* Parses one command line given as text without quotes; rc, *err. */
static int parse(enum job_command command, const char *line, struct err *err)
{
    static char copy[1024];
    static char *argv[64];
    int argc = 0;
    char *save = NULL;

    job_request_destroy(request);
    request = job_request_create(command);
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *p = strtok_r(copy, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save))
        argv[argc++] = p;
    argv[argc] = NULL;
    return job_request_argv(request, argc, argv, err);
}

/* Every text a user can get from a wrong command line. */
static void wrong_lines(void **state)
{
    static const struct {
        enum job_command command;
        const char *line, *text;
    } cases[] = {
        {JOB_CMD_SBATCH, "sbatch --nodse=3", "unrecognized option '--nodse' (did you mean --nodes?)"},
        {JOB_CMD_SBATCH, "sbatch --qqqqqq", "unrecognized option '--qqqqqq'"},
        {JOB_CMD_SBATCH, "sbatch --label", "unrecognized option '--label'"},
        {JOB_CMD_SRUN, "srun --parsable x", "unrecognized option '--parsable'"},
        {JOB_CMD_SALLOC, "salloc --array=1", "unrecognized option '--array'"},
        {JOB_CMD_SBATCH, "sbatch -l", "invalid option -- 'l'"},
        {JOB_CMD_SBATCH, "sbatch -n", "option requires an argument -- 'n'"},
        {JOB_CMD_SBATCH, "sbatch --ntasks", "option '--ntasks' requires an argument"},
        {JOB_CMD_SBATCH, "sbatch --hold=1", "option '--hold' doesn't allow an argument"},
        {JOB_CMD_SBATCH, "sbatch --ntasks-per", "option '--ntasks-per' is ambiguous; possibilities: "
         "'--ntasks-per-core' '--ntasks-per-gpu' '--ntasks-per-node' '--ntasks-per-socket'"},
        {JOB_CMD_SBATCH, "sbatch -n x", "--ntasks: Invalid numeric value \"x\""},
        {JOB_CMD_SBATCH, "sbatch -n 0",
         "--ntasks: Invalid numeric value \"0\": must be from 1 to 1048576"},
        {JOB_CMD_SBATCH, "sbatch -n 99999999999999999999",
         "--ntasks: Invalid numeric value \"99999999999999999999\": must be from 1 to 1048576"},
        {JOB_CMD_SBATCH, "sbatch -n -1", "--ntasks: Invalid numeric value \"-1\""},
        {JOB_CMD_SBATCH, "sbatch -N 0", "--nodes: \"0\" is not a valid node count"},
        {JOB_CMD_SBATCH, "sbatch -N 4-2", "--nodes: \"4-2\" is not a valid node count"},
        {JOB_CMD_SBATCH, "sbatch -N 2,3", "--nodes: \"2,3\" is not a valid node count"},
        {JOB_CMD_SBATCH, "sbatch --mem=1G --mem-per-cpu=1G",
         "--mem-per-cpu: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive"},
        {JOB_CMD_SBATCH, "sbatch --mail-type=SOMETIMES",
         "--mail-type: \"SOMETIMES\" is not a list of mail events (BEGIN, END, FAIL, REQUEUE, ALL, ...)"},
        {JOB_CMD_SBATCH, "sbatch --signal=FOO",
         "--signal: Invalid --signal specification \"FOO\": no such signal"},
        {JOB_CMD_SBATCH, "sbatch --gpus=many",
         "--gpus: \"many\" is not a number of GPUs ([type:]number[,...])"},
        {JOB_CMD_SBATCH, "sbatch --gres=gpu:a:b:c",
         "--gres: Invalid generic resource (gres) specification: \"gpu:a:b:c\" in \"gpu:a:b:c\""},
        {JOB_CMD_SBATCH, "sbatch --array=5-3",
         "--array: Invalid job array specification: \"5-3\""},
        {JOB_CMD_SBATCH, "sbatch --open-mode=x", "--open-mode: \"x\" is not append or truncate"},
        {JOB_CMD_SBATCH, "sbatch --exclusive=them", "--exclusive: \"them\" is not \"exclusive\", or nothing"},
        {JOB_CMD_SBATCH, "sbatch --kill-on-invalid-dep=x",
         "--kill-on-invalid-dep: \"x\" is not yes or no"},
        {JOB_CMD_SBATCH, "sbatch --hint=fast",
         "--hint: \"fast\" is not compute_bound, memory_bound, multithread or nomultithread"},
        {JOB_CMD_SBATCH, "sbatch --propagate=SPEED",
         "--propagate: \"SPEED\" is not a list of limits (ALL, NONE, AS, CORE, CPU, DATA, FSIZE, "
         "MEMLOCK, NOFILE, NPROC, RSS, STACK)"},
        {JOB_CMD_SBATCH, "sbatch --uid=nobody-of-this-name",
         "--uid: no such user \"nobody-of-this-name\""},
        {JOB_CMD_SBATCH, "sbatch -m sideways",
         "--distribution: distribution \"sideways\": must be block, cyclic or plane=SIZE"},
        {JOB_CMD_SBATCH, "sbatch -m arbitrary",
         "--distribution: not built yet: distribution \"arbitrary\""},
        {JOB_CMD_SBATCH, "sbatch --bb=x", "--bb: not built yet: burst buffers"},
        {JOB_CMD_SBATCH, "sbatch -M other", "--clusters: not built yet: several clusters"},
        {JOB_CMD_SRUN, "srun --mpi=pmi2 x", "--mpi: not built yet: MPI type \"pmi2\" (try pmix)"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {0};
        if (parse(cases[i].command, cases[i].line, &err) == 0)
            fail_msg("accepted: %s", cases[i].line);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void forms_of_one_option(void **state)
{
    static const char *const lines[] = {
        "sbatch --ntasks=7", "sbatch --ntasks 7", "sbatch -n7", "sbatch -n 7", "sbatch -Hn7",
        "sbatch -Hn 7",      "sbatch --ntask=7 x", "sbatch -n3 --ntasks=7",
    };
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(lines) - 2; i++) {
        assert_int_equal(parse(JOB_CMD_SBATCH, lines[i], &err), 0);
        assert_int_equal(request->spec.ntasks, 7);
    }
    assert_int_equal(parse(JOB_CMD_SBATCH, lines[COUNT(lines) - 1], &err), 0);
    assert_int_equal(request->spec.ntasks, 7);
    /* "--ntask" begins several names: none of them is meant. */
    assert_true(parse(JOB_CMD_SBATCH, lines[COUNT(lines) - 2], &err) < 0);
    /* A unique beginning is enough. */
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch --part=a,b", &err), 0);
    assert_int_equal(request->spec.n_partitions, 2);
    assert_string_equal(request->spec.partitions[1], "b");
}

static void options_end_at_the_command(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(parse(JOB_CMD_SRUN, "srun -n2 prog -n 5 --label", &err), 0);
    assert_int_equal(request->step.ntasks, 2);
    assert_int_equal(request->argc, 4);
    assert_string_equal(request->argv[0], "prog");
    assert_string_equal(request->argv[3], "--label");
    assert_false(request->step.label);
    assert_int_equal(parse(JOB_CMD_SRUN, "srun -n2 -- -prog", &err), 0);
    assert_int_equal(request->argc, 1);
    assert_string_equal(request->argv[0], "-prog");
    /* An optional argument is never the next word. */
    assert_int_equal(parse(JOB_CMD_SRUN, "srun -K 0 x", &err), 0);
    assert_int_equal(request->step.kill_on_bad_exit, 1);
    assert_string_equal(request->argv[0], "0");
    assert_int_equal(parse(JOB_CMD_SRUN, "srun -K0 x", &err), 0);
    assert_int_equal(request->step.kill_on_bad_exit, 0);
}

static void values_of_sbatch(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(parse(JOB_CMD_SBATCH,
                           "sbatch -N 2-4 -c 3 --mem=2G -t 1-02:03:04 --nice -p a --gres=gpu:a100:2 "
                           "-G v100:1 --exclusive --requeue -k --priority=TOP -o none "
                           "--open-mode=append --signal=B:USR1@30 x.sh 1 2", &err), 0);
    assert_int_equal(job_request_finish(request, NOW, &err), 0);
    const Sl__JobSpec *s = &request->spec;
    assert_int_equal(s->type, SL__JOB_TYPE__JOB_TYPE_BATCH);
    assert_int_equal(s->nodes_min, 2);
    assert_int_equal(s->nodes_max, 4);
    assert_int_equal(s->cpus_per_task, 3);
    assert_int_equal(s->mem_per_node_mib, 2048);
    assert_int_equal(s->time_limit_usec, ((26 * 60 + 3) * 60 + 4) * USEC_PER_SEC);
    assert_int_equal(s->nice, 100);
    assert_int_equal(s->n_gres, 2);
    assert_string_equal(s->gres[0]->type, "a100");
    assert_int_equal(s->gres[0]->per, SL__GRES_PER__GRES_PER_NODE);
    assert_string_equal(s->gres[1]->name, "gpu");
    assert_string_equal(s->gres[1]->type, "v100");
    assert_int_equal(s->gres[1]->per, SL__GRES_PER__GRES_PER_JOB);
    assert_int_equal(s->exclusive, 1);
    assert_int_equal(s->requeue, 1);
    assert_true(s->no_kill);
    assert_true(s->has_priority);
    assert_string_equal(s->std_out, "/dev/null");
    assert_int_equal(s->open_mode, 1);
    assert_string_equal(s->name, "x.sh");
    assert_int_equal(s->n_argv, 2);
    assert_string_equal(s->argv[1], "2");
    assert_true(s->work_dir[0] == '/');
    assert_true(s->n_rlimits > 5);
}

static void zero_means_all_or_no_limit(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch --mem=0 -t 0 x", &err), 0);
    assert_true(request->spec.mem_per_node_mib == MEM_ALL);
    assert_true(request->spec.time_limit_usec == SPAN_INFINITE);
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch -t UNLIMITED x", &err), 0);
    assert_true(request->spec.time_limit_usec == SPAN_INFINITE);
}

static void tasks_follow_from_nodes(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch -N3 --ntasks-per-node=4 x", &err), 0);
    assert_int_equal(job_request_finish(request, NOW, &err), 0);
    assert_int_equal(request->spec.ntasks, 12);
    assert_int_equal(parse(JOB_CMD_SRUN, "srun -N3 -n2 x", &err), 0);
    assert_int_equal(job_request_finish(request, NOW, &err), 0);
    assert_int_equal(request->spec.nodes_min, 2);
    assert_int_equal(request->step.nodes_max, 2);
}

static void rules_across_options(void **state)
{
    static const struct {
        enum job_command command;
        const char *line, *text;
    } cases[] = {
        {JOB_CMD_SBATCH, "sbatch --hint=multithread --threads-per-core=1 x",
         "--hint, --ntasks-per-core and --threads-per-core are mutually exclusive"},
        {JOB_CMD_SBATCH, "sbatch --cpus-per-gpu=2 x", "--cpus-per-gpu is used without GPUs"},
        {JOB_CMD_SBATCH, "sbatch --deadline=2001-01-01 x",
         "--deadline: \"2001-01-01\" is in the past"},
        {JOB_CMD_SRUN, "srun -r1 -w n1 x", "-r is not permitted with -w or -x"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {0};
        assert_int_equal(parse(cases[i].command, cases[i].line, &err), 0);
        assert_true(job_request_finish(request, NOW, &err) < 0);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void script_lines(void **state)
{
    static const char text[] = "#!/bin/sh\n"
                               "# a comment\n"
                               "\n"
                               "#SBATCH --job-name=\"my job\" -n 3 # not an option\n"
                               "#SBATCH\t-c2\n"
                               "##SBATCH -n 99\n"
                               "# SBATCH -n 98\n"
                               "#SBATCHX -n 97\n"
                               "#SBATCH --comment='it is \"fine\"' -o a\\ b\n"
                               "echo first command\n"
                               "#SBATCH -n 96\n";
    struct err err = {0};
    (void)state;
    request = job_request_create(JOB_CMD_SBATCH);
    assert_int_equal(job_request_script(request, "job.sh", text, sizeof(text) - 1, &err), 0);
    assert_string_equal(request->spec.name, "my job");
    assert_int_equal(request->spec.ntasks, 3);
    assert_int_equal(request->spec.cpus_per_task, 2);
    assert_string_equal(request->spec.comment, "it is \"fine\"");
    assert_string_equal(request->spec.std_out, "a b");
}

static void script_errors_name_file_and_line(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"#!/bin/sh\n#SBATCH -n x\n", "job.sh line 2: --ntasks: Invalid numeric value \"x\""},
        {"#!/bin/sh\n\n#SBATCH -J \"open\n", "job.sh line 3: unmatched \""},
        {"#SBATCH --bogus-option\n", "job.sh line 1: unrecognized option '--bogus-option'"},
        {"#SBATCH --ntasks\n", "job.sh line 1: option '--ntasks' requires an argument"},
        {"#SBATCH -z\n", "job.sh line 1: invalid option -- 'z'"},
        {"#SBATCH -n 1 stray\n", "job.sh line 1: Invalid directive found in batch script: stray"},
        {"#SBATCH hetjob\n#SBATCH -n x\n", "job.sh line 2: --ntasks: Invalid numeric value \"x\""},
        {"#SBATCH --reboot\n", "job.sh line 1: --reboot: not built yet: node reboot"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {0};
        job_request_destroy(request);
        request = job_request_create(JOB_CMD_SBATCH);
        assert_true(job_request_script(request, "job.sh", cases[i].text, strlen(cases[i].text),
                                       &err) < 0);
        assert_string_equal(err.text, cases[i].error);
    }
}

static void components_of_a_heterogeneous_job(void **state)
{
    static const char script[] = "#SBATCH -n1 -c2\n#SBATCH hetjob\n#SBATCH -n3\n# or so\n"
                                 "#SBATCH hetjob\n#SBATCH -n4\n";
    char *env[] = {"SBATCH_TIMELIMIT=5", NULL};
    struct err err = {0};
    size_t n;
    (void)state;
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch -J x : -n5 --parsable job.sh : a", &err), 0);
    assert_int_equal(request->argc, 3);
    assert_true(request->parsable && request->next && !request->next->next);
    assert_int_equal(job_request_script(request, "job.sh", script, sizeof script - 1, &err), 0);
    assert_int_equal(job_request_env(request, env, &err), 0);
    Sl__JobSpec **het = job_request_het(request, &n);
    assert_int_equal(n, 2);
    assert_int_equal(request->spec.ntasks, 1);
    assert_int_equal(het[0]->ntasks, 5); /* the command line's */
    assert_int_equal(het[1]->ntasks, 4);
    assert_int_equal(het[0]->cpus_per_task, 0);
    assert_int_equal(het[1]->time_limit_usec, 5 * 60 * USEC_PER_SEC);
    assert_int_equal(het[1]->type, SL__JOB_TYPE__JOB_TYPE_ALLOC);
    assert_int_equal(parse(JOB_CMD_SRUN, "srun -n1 a x : -n2 b", &err), 0);
    assert_true(request->argc == 2 && request->next->argc == 1);
    assert_string_equal(request->next->argv[0], "b");
}

/* Script < environment < command line, in whatever order they are read. */
static void ranks(void **state)
{
    static const char script[] = "#SBATCH -n 1 -c 1 -J one --mem-per-cpu=1G\n";
    char *env[] = {"SBATCH_JOB_NAME=two", "SBATCH_TIMELIMIT=5", "SBATCH_MEM_PER_NODE=3G",
                   "SLURM_NTASKS=64", NULL};
    struct err err = {0};
    (void)state;
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch -n 9 x", &err), 0);
    assert_int_equal(job_request_env(request, env, &err), 0);
    assert_int_equal(job_request_script(request, "x", script, sizeof(script) - 1, &err), 0);
    assert_int_equal(request->spec.ntasks, 9);
    assert_int_equal(request->spec.cpus_per_task, 1);
    assert_string_equal(request->spec.name, "two");
    assert_int_equal(request->spec.time_limit_usec, 300 * USEC_PER_SEC);
    assert_int_equal(request->spec.mem_per_node_mib, 3072);
    assert_int_equal(request->spec.mem_per_cpu_mib, 0);
}

static void environment(void **state)
{
    char *bad[] = {"SBATCH_TIMELIMIT=soon", NULL};
    char *srun_env[] = {"SLURM_NPROCS=3", "SLURM_NTASKS=4", "SLURM_LABELIO=1",
                        "SLURM_OVERCOMMIT=0", "SLURM_JOB_ID=77", "SLURM_NNODES=2",
                        "SLURM_CPUS_PER_TASK=5", "SRUN_CPUS_PER_TASK=6", NULL};
    char *hint[] = {"SLURM_HINT=multithread", NULL};
    struct err err = {0};
    (void)state;
    request = job_request_create(JOB_CMD_SBATCH);
    assert_true(job_request_env(request, bad, &err) < 0);
    assert_memory_equal(err.text, "SBATCH_TIMELIMIT: ", 18);
    assert_int_equal(job_request_env(request, hint, &err), 0);
    assert_string_equal(request->spec.hint, "multithread");
    job_request_destroy(request);
    request = job_request_create(JOB_CMD_SRUN);
    assert_int_equal(job_request_env(request, srun_env, &err), 0);
    assert_int_equal(request->step.ntasks, 4);
    assert_true(request->step.label);
    assert_false(request->step.overcommit);
    assert_string_equal(request->jobid, "77");
    assert_int_equal(request->step.nodes_min, 2);
    /* srun(1): SLURM_CPUS_PER_TASK is an output variable only. */
    assert_int_equal(request->step.cpus_per_task, 6);
}

static void srun_streams(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(parse(JOB_CMD_SRUN, "srun -i 2 -o 1 -e none x", &err), 0);
    assert_int_equal(request->step.stdin_task, 3);
    assert_true(request->has_stdout_task);
    assert_int_equal(request->stdout_task, 1);
    assert_string_equal(request->step.std_err, "/dev/null");
    assert_int_equal(parse(JOB_CMD_SRUN, "srun -i all -o out.%t x", &err), 0);
    assert_int_equal(request->step.stdin_task, 0);
    assert_string_equal(request->step.std_out, "out.%t");
}

/* NAME=value of the exported environment, or NULL. */
static const char *exported(char **env, size_t n, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
            return env[i] + len + 1;
    return NULL;
}

static void export_lists(void **state)
{
    char *env[] = {"A=1", "HOME=/h", "SLURM_X=x", "EDITOR=vi", NULL};
    static const char file[] = "F=a\nb\0G=2";
    struct err err = {0};
    char **out;
    size_t n;
    (void)state;
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch x", &err), 0);
    assert_int_equal(job_request_export(request, env, NULL, 0, &out, &n, &err), 0);
    assert_int_equal(n, 4);
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch --export=NONE x", &err), 0);
    assert_int_equal(job_request_export(request, env, NULL, 0, &out, &n, &err), 0);
    assert_null(exported(out, n, "A"));
    assert_string_equal(exported(out, n, "SLURM_X"), "x");
    assert_string_equal(exported(out, n, "HOME"), "/h");
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch --export=EDITOR,B=5,C='a,b',MISSING x", &err), 0);
    assert_int_equal(job_request_export(request, env, NULL, 0, &out, &n, &err), 0);
    assert_string_equal(exported(out, n, "EDITOR"), "vi");
    assert_string_equal(exported(out, n, "B"), "5");
    assert_string_equal(exported(out, n, "C"), "a,b");
    assert_null(exported(out, n, "A"));
    assert_null(exported(out, n, "MISSING"));
    /* sbatch(1): with ALL, what the caller has wins. */
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch --export=ALL,A=9,N=3 x", &err), 0);
    assert_int_equal(job_request_export(request, env, file, sizeof(file) - 1, &out, &n, &err), 0);
    assert_string_equal(exported(out, n, "A"), "1");
    assert_string_equal(exported(out, n, "N"), "3");
    assert_string_equal(exported(out, n, "F"), "a\nb");
    assert_string_equal(exported(out, n, "G"), "2");
    assert_int_equal(parse(JOB_CMD_SBATCH, "sbatch --export=1x=2 x", &err), 0);
    assert_true(job_request_export(request, env, NULL, 0, &out, &n, &err) < 0);
    assert_string_equal(err.text, "--export: \"1x\" is not a variable's name");
}

static char *help_text(enum job_command command)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    job_print_help(command, f);
    fclose(f);
    return text;
}

static void every_option_is_documented(void **state)
{
    static const enum job_command commands[] = {JOB_CMD_SBATCH, JOB_CMD_SALLOC, JOB_CMD_SRUN};
    size_t n;
    const struct option *t = option_table(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_non_null(t[i].help);
        assert_true(t[i].help[0] != '\0' && strchr(t[i].help, '\n') == NULL);
        assert_true(t[i].commands != 0 && (t[i].commands & ~(unsigned)OPT_ALL) == 0);
        assert_true((t[i].arg == OPT_ARG_NONE) == (t[i].metavar == NULL));
        assert_true((t[i].set == NULL) == (t[i].unsupported != NULL));
        if (i > 0) /* the help is read from top to bottom */
            assert_true(strcmp(t[i - 1].name, t[i].name) <= 0 ||
                        strchr(t[i - 1].name, '_') != NULL || strchr(t[i].name, '_') != NULL);
    }
    for (size_t c = 0; c < COUNT(commands); c++) {
        char *text = help_text(commands[c]);
        for (size_t i = 0; i < n; i++) {
            char want[96];
            snprintf(want, sizeof(want), "--%s", t[i].name);
            if (t[i].commands & commands[c])
                assert_non_null(strstr(text, want));
        }
        free(text);
    }
}

/* Letters and names are unique within a command. */
static void no_option_twice(void **state)
{
    size_t n;
    const struct option *t = option_table(&n);
    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            if (!(t[i].commands & t[k].commands))
                continue;
            assert_string_not_equal(t[i].name, t[k].name);
            assert_true(t[i].letter == '\0' || t[i].letter != t[k].letter);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wrong_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(forms_of_one_option, setup, teardown),
        cmocka_unit_test_setup_teardown(options_end_at_the_command, setup, teardown),
        cmocka_unit_test_setup_teardown(values_of_sbatch, setup, teardown),
        cmocka_unit_test_setup_teardown(zero_means_all_or_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_follow_from_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(rules_across_options, setup, teardown),
        cmocka_unit_test_setup_teardown(script_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(script_errors_name_file_and_line, setup, teardown),
        cmocka_unit_test_setup_teardown(components_of_a_heterogeneous_job, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks, setup, teardown),
        cmocka_unit_test_setup_teardown(environment, setup, teardown),
        cmocka_unit_test_setup_teardown(srun_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(export_lists, setup, teardown),
        cmocka_unit_test(every_option_is_documented),
        cmocka_unit_test(no_option_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
