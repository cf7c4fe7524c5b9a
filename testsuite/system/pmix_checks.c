/* SPDX-License-Identifier: Apache-2.0
 *
 * A PMIx client without MPI, for test_mpi.py: pmix_checks NAME. What MPI libraries do not
 * ask for at their start: data of one rank, subsets of ranks, waiting lookups, events.
 */
#include <pmix.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pmix_proc_t me;
static uint32_t size;

#define CHECK(cond)                                                               \
    do {                                                                          \
        if (!(cond)) {                                                            \
            fprintf(stderr, "rank %u: line %d: wrong: %s\n", me.rank, __LINE__, #cond); \
            PMIx_Abort(98, "wrong", NULL, 0);                                     \
            exit(98);                                                             \
        }                                                                         \
    } while (0)

static uint32_t job_u32(const char *key, uint32_t rank)
{
    pmix_proc_t whose;
    pmix_value_t *v;
    uint32_t n;
    PMIX_LOAD_PROCID(&whose, me.nspace, rank);
    CHECK(PMIx_Get(&whose, key, NULL, 0, &v) == PMIX_SUCCESS);
    n = v->type == PMIX_UINT16 ? v->data.uint16 : v->data.uint32;
    PMIX_VALUE_RELEASE(v);
    return n;
}

static void fence(bool collect, const pmix_proc_t *procs, size_t n)
{
    pmix_info_t info;
    PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
    CHECK(PMIx_Fence(procs, n, &info, 1) == PMIX_SUCCESS);
    PMIX_INFO_DESTRUCT(&info);
}

static void put(const char *key, uint32_t n)
{
    pmix_value_t v;
    v.type = PMIX_UINT32;
    v.data.uint32 = n;
    CHECK(PMIx_Put(PMIX_GLOBAL, key, &v) == PMIX_SUCCESS);
    CHECK(PMIx_Commit() == PMIX_SUCCESS);
}

/* What the step says about itself agrees with its variables. */
static void info(void)
{
    CHECK(job_u32(PMIX_JOB_SIZE, PMIX_RANK_WILDCARD) == (uint32_t)atoi(getenv("SLURM_NTASKS")));
    CHECK(job_u32(PMIX_NODEID, me.rank) == (uint32_t)atoi(getenv("SLURM_NODEID")));
    CHECK(job_u32(PMIX_LOCAL_RANK, me.rank) == (uint32_t)atoi(getenv("SLURM_LOCALID")));
    CHECK(job_u32(PMIX_NUM_NODES, PMIX_RANK_WILDCARD) ==
          (uint32_t)atoi(getenv("SLURM_STEP_NUM_NODES")));
}

/* No fence: each asks the node of each. Late ones, too: the question waits. */
static void direct(void)
{
    if (me.rank == size - 1)
        usleep(200000);
    put("direct", 1000 + me.rank);
    for (uint32_t r = 0; r < size; r++)
        CHECK(job_u32("direct", r) == 1000 + r);
}

/* Halves fence by themselves, several times, then all together; the data is there. */
static void subsets(void)
{
    pmix_proc_t *half = calloc(size, sizeof(*half));
    size_t n = 0;
    for (uint32_t r = me.rank % 2; r < size; r += 2, n++)
        PMIX_LOAD_PROCID(&half[n], me.nspace, r);
    for (uint32_t round = 0; round < 5; round++) {
        char key[32];
        snprintf(key, sizeof(key), "round.%u", round);
        put(key, me.rank * 10 + round);
        fence(true, half, n);
        for (size_t i = 0; i < n; i++)
            CHECK(job_u32(key, half[i].rank) == half[i].rank * 10 + round);
        if (round % 2)
            fence(false, NULL, 0);
    }
    free(half);
}

/* The last rank looks up, waiting, what the first publishes later; who did not publish it
 * cannot take it back. */
static void exchange(void)
{
    pmix_info_t info;
    int all = 0;
    if (me.rank == 0) {
        usleep(200000);
        PMIX_INFO_LOAD(&info, "a.key", "a value", PMIX_STRING);
        CHECK(PMIx_Publish(&info, 1) == PMIX_SUCCESS);
        CHECK(PMIx_Publish(&info, 1) != PMIX_SUCCESS); /* twice */
        PMIX_INFO_DESTRUCT(&info);
    }
    if (me.rank == size - 1) {
        pmix_pdata_t found;
        char *keys[] = {(char *)"a.key", NULL};
        PMIX_PDATA_CONSTRUCT(&found);
        strcpy(found.key, "a.key");
        PMIX_INFO_LOAD(&info, PMIX_WAIT, &all, PMIX_INT);
        CHECK(PMIx_Lookup(&found, 1, &info, 1) == PMIX_SUCCESS);
        CHECK(found.value.type == PMIX_STRING &&
              strcmp(found.value.data.string, "a value") == 0 && found.proc.rank == 0);
        PMIX_PDATA_DESTRUCT(&found);
        PMIX_INFO_DESTRUCT(&info);
        PMIx_Unpublish(keys, NULL, 0);
        PMIX_PDATA_CONSTRUCT(&found);
        strcpy(found.key, "a.key");
        CHECK(PMIx_Lookup(&found, 1, NULL, 0) == PMIX_SUCCESS);
        PMIX_PDATA_DESTRUCT(&found);
        PMIX_PDATA_CONSTRUCT(&found);
        strcpy(found.key, "no.key");
        CHECK(PMIx_Lookup(&found, 1, NULL, 0) == PMIX_ERR_NOT_FOUND);
    }
    fence(false, NULL, 0);
}

static volatile int heard;

static void on_event(size_t id, pmix_status_t code, const pmix_proc_t *source,
                     pmix_info_t infos[], size_t n, pmix_info_t *results, size_t nresults,
                     pmix_event_notification_cbfunc_fn_t done, void *arg)
{
    (void)id;
    (void)results;
    (void)nresults;
    for (size_t i = 0; i < n; i++)
        if (PMIX_CHECK_KEY(&infos[i], "test.word") && source->rank == 0 &&
            strcmp(infos[i].value.data.string, "hear, hear") == 0)
            heard = code;
    if (done)
        done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, arg);
}

/* The first rank raises an event that each other has to hear. */
static void events(void)
{
    pmix_status_t code = PMIX_EXTERNAL_ERR_BASE - 7;
    CHECK(PMIx_Register_event_handler(&code, 1, NULL, 0, on_event, NULL, NULL) >= 0);
    fence(false, NULL, 0);
    if (me.rank == 0) {
        pmix_info_t info;
        PMIX_INFO_LOAD(&info, "test.word", "hear, hear", PMIX_STRING);
        CHECK(PMIx_Notify_event(code, &me, PMIX_RANGE_NAMESPACE, &info, 1, NULL, NULL) >=
              PMIX_OPERATION_SUCCEEDED);
    }
    for (int i = 0; i < 2000 && !heard && me.rank != 0; i++)
        usleep(10000);
    CHECK(me.rank == 0 || heard == code);
    fence(false, NULL, 0);
}

/* What is not there says so; a log line comes to srun's stderr. */
static void others(void)
{
    pmix_app_t app;
    pmix_nspace_t spawned;
    pmix_info_t info;
    PMIX_APP_CONSTRUCT(&app);
    app.cmd = strdup("/bin/true");
    app.maxprocs = 1;
    if (me.rank == 0) {
        CHECK(PMIx_Spawn(NULL, 0, &app, 1, spawned) != PMIX_SUCCESS);
        PMIX_INFO_LOAD(&info, PMIX_LOG_STDERR, "a line for the log", PMIX_STRING);
        PMIx_Log(&info, 1, NULL, 0);
        PMIX_INFO_DESTRUCT(&info);
    }
    PMIX_APP_DESTRUCT(&app);
    fence(false, NULL, 0);
}

static void terminate(void)
{
    pmix_info_t info;
    fence(false, NULL, 0);
    if (me.rank == size - 1) {
        PMIX_INFO_LOAD(&info, PMIX_JOB_CTRL_TERMINATE, NULL, PMIX_BOOL);
        CHECK(PMIx_Job_control(NULL, 0, &info, 1, NULL, NULL) == PMIX_SUCCESS);
    }
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {{"info", info},         {"direct", direct}, {"subsets", subsets},
                 {"exchange", exchange}, {"events", events}, {"others", others},
                 {"terminate", terminate}};
    if (PMIx_Init(&me, NULL, 0) != PMIX_SUCCESS)
        return 97;
    size = job_u32(PMIX_JOB_SIZE, PMIX_RANK_WILDCARD);
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        if (argc > 1 && strcmp(argv[1], tests[i].name) == 0)
            tests[i].run();
    fence(false, NULL, 0);
    if (me.rank == 0)
        printf("%s: all right\n", argc > 1 ? argv[1] : "");
    PMIx_Finalize(NULL, 0);
    return 0;
}
