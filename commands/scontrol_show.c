/* SPDX-License-Identifier: Apache-2.0
 *
 * The layouts follow what Slurm's scontrol prints, key for key, because scripts cut
 * values out of it. A layout is a table: one row a key, in order.
 */
#include "scontrol.h"

#include "base/hostlist.h"
#include "job/explain.h"
#include "job/field.h"
#include "print.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum how {
    HOW_TEXT,   /* the cell; "(null)" when it is empty */
    HOW_PLAIN,  /* the cell, also when it is empty */
    HOW_TIME,   /* `none` when it is not set */
    HOW_SPAN,   /* [D-]HH:MM:SS, UNLIMITED */
    HOW_YESNO, HOW_BIT, /* YES or NO; 1 or 0 */
    HOW_ID,     /* name(number): two cells */
    HOW_FIXED,  /* `none` itself: what we have no notion of */
    HOW_LINE,   /* the whole key only when the cell is not empty */
    HOW_LIST,   /* the cell; "all" in capitals */
    HOW_REASON, /* as HOW_LINE, with " [user@time]" of the two cells behind field2 */
    HOW_ARRAY,  /* the same, and only for tasks of an array */
    HOW_RANGE,  /* a pending job's "min-max" (field2) while the two differ */
    HOW_BOARDS, /* boards, of which we have no notion, in front of sockets, cores, threads */
    HOW_OR,     /* the cell, or `none` when it is empty */
    HOW_EXPLAIN, /* a key of its own for each item */
    HOW_UNLESS, /* only while field2 is empty */
};

struct item {
    const char *key;
    unsigned field, field2;
    enum how how;
    const char *none;
    bool newline; /* begins a line */
    bool detail;  /* only with --details */
};

static const struct item job_items[] = {
    {"JobId", FIELD_JOB_ID, 0, HOW_TEXT, NULL, true, false},
    {"ArrayJobId", FIELD_JOB_ARRAY_JOB_ID, 0, HOW_ARRAY, NULL, false, false},
    {"ArrayTaskId", FIELD_JOB_ARRAY_TASK_ID, 0, HOW_ARRAY, NULL, false, false},
    {"ArrayTaskThrottle", FIELD_JOB_ARRAY_THROTTLE, 0, HOW_ARRAY, NULL, false, false},
    {"HetJobId", FIELD_JOB_HET_ID, 0, HOW_LINE, NULL, false, false},
    {"HetJobOffset", FIELD_JOB_HET_OFFSET, 0, HOW_LINE, NULL, false, false},
    {"HetJobIdSet", FIELD_JOB_HET_SET, 0, HOW_LINE, NULL, false, false},
    {"JobName", FIELD_JOB_NAME, 0, HOW_TEXT, NULL, false, false},
    {"UserId", FIELD_JOB_USER, FIELD_JOB_UID, HOW_ID, NULL, true, false},
    {"GroupId", FIELD_JOB_GROUP, FIELD_JOB_GID, HOW_ID, NULL, false, false},
    {"MCS_label", 0, 0, HOW_FIXED, "N/A", false, false},
    {"Priority", FIELD_JOB_PRIORITY, 0, HOW_TEXT, NULL, true, false},
    {"Nice", FIELD_JOB_NICE, 0, HOW_TEXT, NULL, false, false},
    {"Account", FIELD_JOB_ACCOUNT, 0, HOW_TEXT, NULL, false, false},
    {"QOS", FIELD_JOB_QOS, 0, HOW_TEXT, NULL, false, false},
    {"WCKey", FIELD_JOB_WCKEY, 0, HOW_LINE, NULL, false, false},
    {"JobState", FIELD_JOB_STATE, 0, HOW_TEXT, NULL, true, false},
    {"Reason", FIELD_JOB_REASON, 0, HOW_TEXT, NULL, false, false},
    {"Dependency", FIELD_JOB_DEPENDENCY, 0, HOW_TEXT, NULL, false, false},
    {"Requeue", FIELD_JOB_REQUEUE, 0, HOW_BIT, NULL, true, false},
    {"Restarts", FIELD_JOB_RESTARTS, 0, HOW_TEXT, NULL, false, false},
    {"BatchFlag", FIELD_JOB_BATCH_FLAG, 0, HOW_BIT, NULL, false, false},
    {"Reboot", 0, 0, HOW_FIXED, "0", false, false},
    {"ExitCode", FIELD_JOB_EXIT_CODE, 0, HOW_TEXT, NULL, false, false},
    {"DerivedExitCode", FIELD_JOB_DERIVED_EXIT, 0, HOW_TEXT, NULL, true, true},
    {"RunTime", FIELD_JOB_TIME_USED, 0, HOW_SPAN, NULL, true, false},
    {"TimeLimit", FIELD_JOB_TIME_LIMIT, 0, HOW_SPAN, NULL, false, false},
    {"TimeMin", FIELD_JOB_TIME_MIN, 0, HOW_SPAN, "N/A", false, false},
    {"SubmitTime", FIELD_JOB_SUBMIT, 0, HOW_TIME, "Unknown", true, false},
    {"EligibleTime", FIELD_JOB_ELIGIBLE, 0, HOW_TIME, "Unknown", false, false},
    {"AccrueTime", FIELD_JOB_ELIGIBLE, 0, HOW_TIME, "Unknown", true, false},
    {"StartTime", FIELD_JOB_START, 0, HOW_TIME, "Unknown", true, false},
    {"EndTime", FIELD_JOB_END, 0, HOW_TIME, "Unknown", false, false},
    {"Deadline", FIELD_JOB_DEADLINE, 0, HOW_TIME, "N/A", false, false},
    {"SuspendTime", FIELD_JOB_SUSPENDED_AT, 0, HOW_TIME, "None", true, false},
    {"SecsPreSuspend", FIELD_JOB_SUSPENDED, 0, HOW_TEXT, NULL, false, false},
    {"Partition", FIELD_JOB_PARTITION, 0, HOW_TEXT, NULL, true, false},
    {"AllocNode:Sid", FIELD_JOB_ALLOC_HOST, 0, HOW_TEXT, NULL, false, false},
    {"ReqNodeList", FIELD_JOB_REQ_NODES, 0, HOW_TEXT, NULL, true, false},
    {"ExcNodeList", FIELD_JOB_EXC_NODES, 0, HOW_TEXT, NULL, false, false},
    {"NodeList", FIELD_JOB_NODELIST, 0, HOW_PLAIN, NULL, true, false},
    {"SchedNodeList", FIELD_JOB_SCHED_NODES, 0, HOW_LINE, NULL, false, false},
    {"BatchHost", FIELD_JOB_BATCH_HOST, 0, HOW_LINE, NULL, true, false},
    {"NumNodes", FIELD_JOB_NODES, FIELD_JOB_NODES_REQ, HOW_RANGE, NULL, true, false},
    {"NumCPUs", FIELD_JOB_CPUS, 0, HOW_TEXT, NULL, false, false},
    {"NumTasks", FIELD_JOB_NTASKS, 0, HOW_TEXT, NULL, false, false},
    {"CPUs/Task", FIELD_JOB_CPUS_PER_TASK, 0, HOW_TEXT, NULL, false, false},
    {"ReqB:S:C:T", FIELD_JOB_SCT, 0, HOW_BOARDS, NULL, false, false},
    {"TRES", FIELD_JOB_TRES_REQ, 0, HOW_PLAIN, NULL, true, false},
    {"AllocTRES", FIELD_JOB_TRES_ALLOC, 0, HOW_LINE, NULL, true, false},
    {"Socks/Node", FIELD_JOB_SOCKETS, 0, HOW_TEXT, NULL, true, false},
    {"NtasksPerN:B:S:C", FIELD_JOB_NT_PER, 0, HOW_TEXT, NULL, false, false},
    {"CoreSpec", 0, 0, HOW_FIXED, "*", false, false},
    {"", FIELD_JOB_NODE_DETAIL, 0, HOW_LINE, NULL, true, true},
    {"MinCPUsNode", FIELD_JOB_MIN_CPUS, 0, HOW_TEXT, NULL, true, false},
    {"MinMemoryCPU", FIELD_JOB_MEM_PER_CPU, 0, HOW_LINE, NULL, false, false},
    {"MinMemoryNode", FIELD_JOB_MIN_MEM, FIELD_JOB_MEM_PER_CPU, HOW_UNLESS, NULL, false, false},
    {"MinTmpDiskNode", FIELD_JOB_MIN_TMP, 0, HOW_TEXT, NULL, false, false},
    {"Features", FIELD_JOB_FEATURES, 0, HOW_TEXT, NULL, true, false},
    {"Reservation", FIELD_JOB_RESERVATION, 0, HOW_LINE, NULL, false, false},
    {"DelayBoot", 0, 0, HOW_FIXED, "00:00:00", false, false},
    {"OverSubscribe", FIELD_JOB_OVERSUBSCRIBE, 0, HOW_TEXT, NULL, true, false},
    {"Contiguous", FIELD_JOB_CONTIGUOUS, 0, HOW_BIT, NULL, false, false},
    {"Licenses", FIELD_JOB_LICENSES, 0, HOW_TEXT, NULL, false, false},
    {"Network", 0, 0, HOW_FIXED, "(null)", false, false},
    {"Command", FIELD_JOB_COMMAND, 0, HOW_TEXT, NULL, true, false},
    {"WorkDir", FIELD_JOB_WORKDIR, 0, HOW_PLAIN, NULL, true, false},
    {"Comment", FIELD_JOB_COMMENT, 0, HOW_LINE, NULL, true, false},
    {"StdErr", FIELD_JOB_STDERR, 0, HOW_PLAIN, NULL, true, false},
    {"StdIn", FIELD_JOB_STDIN, 0, HOW_PLAIN, NULL, true, false},
    {"StdOut", FIELD_JOB_STDOUT, 0, HOW_PLAIN, NULL, true, false},
    {"SubmitLine", FIELD_JOB_SUBMIT_LINE, 0, HOW_LINE, NULL, true, true},
    {"TresPerJob", FIELD_JOB_TRES_PER_JOB, 0, HOW_LINE, NULL, true, false},
    {"TresPerNode", FIELD_JOB_GRES, 0, HOW_LINE, NULL, true, false},
    {"TresPerSocket", FIELD_JOB_TRES_PER_SOCKET, 0, HOW_LINE, NULL, true, false},
    {"TresPerTask", FIELD_JOB_TRES_PER_TASK, 0, HOW_LINE, NULL, true, false},
    {"MailUser", FIELD_JOB_MAIL_USER, 0, HOW_LINE, NULL, true, false},
    {"MailType", FIELD_JOB_MAIL_TYPE, 0, HOW_LINE, NULL, false, false},
    {"", FIELD_JOB_EXPLAIN, 0, HOW_EXPLAIN, NULL, true, false},
};

static const struct item node_items[] = {
    {"NodeName", FIELD_NODE_NAME, 0, HOW_TEXT, NULL, true, false},
    {"Arch", FIELD_NODE_ARCH, 0, HOW_LINE, NULL, false, false},
    {"CoresPerSocket", FIELD_NODE_CORES, 0, HOW_TEXT, NULL, false, false},
    {"CPUAlloc", FIELD_NODE_CPUS_ALLOC, 0, HOW_TEXT, NULL, true, false},
    {"CPUEfctv", FIELD_NODE_CPUS, 0, HOW_TEXT, NULL, false, false},
    {"CPUTot", FIELD_NODE_CPUS, 0, HOW_TEXT, NULL, false, false},
    {"CPULoad", FIELD_NODE_LOAD, 0, HOW_TEXT, NULL, false, false},
    {"AvailableFeatures", FIELD_NODE_FEATURES, 0, HOW_TEXT, NULL, true, false},
    {"ActiveFeatures", FIELD_NODE_FEATURES, 0, HOW_TEXT, NULL, true, false},
    {"Gres", FIELD_NODE_GRES, 0, HOW_TEXT, NULL, true, false},
    {"GresUsed", FIELD_NODE_GRES_USED, 0, HOW_LINE, NULL, true, true},
    {"NodeAddr", FIELD_NODE_ADDR, 0, HOW_TEXT, NULL, true, false},
    {"NodeHostName", FIELD_NODE_HOSTNAME, 0, HOW_TEXT, NULL, false, false},
    {"Port", FIELD_NODE_PORT, 0, HOW_TEXT, NULL, false, false},
    {"Version", FIELD_NODE_VERSION, 0, HOW_LINE, NULL, false, false},
    {"OS", FIELD_NODE_OS, 0, HOW_LINE, NULL, true, false},
    {"RealMemory", FIELD_NODE_MEMORY, 0, HOW_TEXT, NULL, true, false},
    {"AllocMem", FIELD_NODE_MEM_ALLOC, 0, HOW_TEXT, NULL, false, false},
    {"FreeMem", FIELD_NODE_MEM_FREE, 0, HOW_TEXT, NULL, false, false},
    {"Sockets", FIELD_NODE_SOCKETS, 0, HOW_TEXT, NULL, false, false},
    {"Boards", FIELD_NODE_BOARDS, 0, HOW_TEXT, NULL, false, false},
    {"State", FIELD_NODE_STATE, 0, HOW_TEXT, NULL, true, false},
    {"ThreadsPerCore", FIELD_NODE_THREADS, 0, HOW_TEXT, NULL, false, false},
    {"TmpDisk", FIELD_NODE_TMP, 0, HOW_TEXT, NULL, false, false},
    {"Weight", FIELD_NODE_WEIGHT, 0, HOW_TEXT, NULL, false, false},
    {"Owner", 0, 0, HOW_FIXED, "N/A", false, false},
    {"MCS_label", 0, 0, HOW_FIXED, "N/A", false, false},
    {"Partitions", FIELD_NODE_PARTITIONS, 0, HOW_LINE, NULL, true, false},
    {"BootTime", FIELD_NODE_BOOT, 0, HOW_TIME, "None", true, false},
    {"SlurmdStartTime", FIELD_NODE_DAEMON_START, 0, HOW_TIME, "None", false, false},
    {"LastBusyTime", FIELD_NODE_LAST_BUSY, 0, HOW_TIME, "Unknown", true, false},
    {"Comment", FIELD_NODE_COMMENT, 0, HOW_LINE, NULL, true, false},
    {"Reason", FIELD_NODE_REASON, FIELD_NODE_REASON_USER, HOW_REASON, NULL, true, false},
};

static const struct item partition_items[] = {
    {"PartitionName", FIELD_PART_NAME, 0, HOW_TEXT, NULL, true, false},
    {"AllowGroups", FIELD_PART_ALLOW_GROUPS, 0, HOW_LIST, NULL, true, false},
    {"AllowAccounts", FIELD_PART_ALLOW_ACCOUNTS, 0, HOW_LIST, NULL, false, false},
    {"DenyAccounts", FIELD_PART_DENY_ACCOUNTS, 0, HOW_LINE, NULL, false, false},
    {"AllowQos", FIELD_PART_ALLOW_QOS, 0, HOW_LIST, NULL, false, false},
    {"AllocNodes", FIELD_PART_ALLOC_NODES, 0, HOW_LIST, NULL, true, false},
    {"Default", FIELD_PART_DEFAULT, 0, HOW_YESNO, NULL, false, false},
    {"QoS", FIELD_PART_QOS, 0, HOW_OR, "N/A", false, false},
    {"DefaultTime", FIELD_PART_TIME_DEFAULT, 0, HOW_SPAN, "NONE", true, false},
    {"DisableRootJobs", 0, 0, HOW_FIXED, "NO", false, false},
    {"GraceTime", FIELD_PART_GRACE, 0, HOW_TEXT, NULL, false, false},
    {"Hidden", FIELD_PART_HIDDEN, 0, HOW_YESNO, NULL, false, false},
    {"MaxNodes", FIELD_PART_NODES_MAX, 0, HOW_TEXT, NULL, true, false},
    {"MaxTime", FIELD_PART_TIME_MAX, 0, HOW_SPAN, NULL, false, false},
    {"MinNodes", FIELD_PART_NODES_MIN, 0, HOW_TEXT, NULL, false, false},
    {"LLN", 0, 0, HOW_FIXED, "NO", false, false},
    {"Nodes", FIELD_PART_NODES, 0, HOW_TEXT, NULL, true, false},
    {"PriorityJobFactor", FIELD_PART_PRIO_FACTOR, 0, HOW_TEXT, NULL, true, false},
    {"PriorityTier", FIELD_PART_PRIO_TIER, 0, HOW_TEXT, NULL, false, false},
    {"RootOnly", FIELD_PART_ROOT, 0, HOW_YESNO, NULL, false, false},
    {"OverSubscribe", FIELD_PART_OVERSUBSCRIBE, 0, HOW_TEXT, NULL, false, false},
    {"State", FIELD_PART_STATE, 0, HOW_TEXT, NULL, true, false},
    {"TotalCPUs", FIELD_PART_CPUS_TOTAL, 0, HOW_TEXT, NULL, false, false},
    {"TotalNodes", FIELD_PART_NODES_TOTAL, 0, HOW_TEXT, NULL, false, false},
    {"PreemptMode", FIELD_PART_PREEMPT, 0, HOW_TEXT, NULL, true, false},
    {"MaxCPUsPerNode", FIELD_PART_MAX_CPUS, 0, HOW_TEXT, NULL, false, false},
    {"DefMemPerCPU", FIELD_PART_DEF_MEM, 0, HOW_TEXT, NULL, true, false},
    {"MaxMemPerCPU", FIELD_PART_MAX_MEM_CPU, 0, HOW_TEXT, NULL, false, false},
    {"DefMemPerNode", FIELD_PART_DEF_MEM_NODE, 0, HOW_TEXT, NULL, false, false},
    {"MaxMemPerNode", FIELD_PART_MAX_MEM, 0, HOW_TEXT, NULL, false, false},
};

static const struct item step_items[] = {
    {"StepId", FIELD_STEP_ID, 0, HOW_TEXT, NULL, true, false},
    {"UserId", FIELD_STEP_USER, 0, HOW_TEXT, NULL, false, false},
    {"StartTime", FIELD_STEP_START, 0, HOW_TIME, "Unknown", false, false},
    {"RunTime", FIELD_STEP_TIME_USED, 0, HOW_SPAN, NULL, false, false},
    {"State", FIELD_STEP_STATE, 0, HOW_TEXT, NULL, true, false},
    {"Partition", FIELD_STEP_PARTITION, 0, HOW_TEXT, NULL, false, false},
    {"NodeList", FIELD_STEP_NODELIST, 0, HOW_TEXT, NULL, false, false},
    {"Nodes", FIELD_STEP_NODES, 0, HOW_TEXT, NULL, true, false},
    {"CPUs", FIELD_STEP_CPUS, 0, HOW_TEXT, NULL, false, false},
    {"Tasks", FIELD_STEP_NTASKS, 0, HOW_TEXT, NULL, false, false},
    {"Name", FIELD_STEP_NAME, 0, HOW_TEXT, NULL, false, false},
    {"TresPerNode", FIELD_STEP_GRES, 0, HOW_LINE, NULL, true, false},
    {"Dist", FIELD_STEP_LAYOUT, 0, HOW_LINE, NULL, true, false},
};

static const struct item resv_items[] = {
    {"ReservationName", FIELD_RESV_NAME, 0, HOW_TEXT, NULL, true, false},
    {"StartTime", FIELD_RESV_START, 0, HOW_TIME, "N/A", false, false},
    {"EndTime", FIELD_RESV_END, 0, HOW_TIME, "N/A", false, false},
    {"Duration", FIELD_RESV_DURATION, 0, HOW_SPAN, NULL, false, false},
    {"Nodes", FIELD_RESV_NODES, 0, HOW_TEXT, NULL, true, false},
    {"NodeCnt", FIELD_RESV_NODES_COUNT, 0, HOW_TEXT, NULL, false, false},
    {"CoreCnt", FIELD_RESV_CORES, 0, HOW_TEXT, NULL, false, false},
    {"Features", 0, 0, HOW_FIXED, "(null)", false, false},
    {"PartitionName", FIELD_RESV_PARTITION, 0, HOW_TEXT, NULL, false, false},
    {"Flags", FIELD_RESV_FLAGS, 0, HOW_PLAIN, NULL, false, false},
    {"TRES", FIELD_RESV_TRES, 0, HOW_TEXT, NULL, true, false},
    {"Users", FIELD_RESV_USERS, 0, HOW_TEXT, NULL, true, false},
    {"Groups", FIELD_RESV_GROUPS, 0, HOW_TEXT, NULL, false, false},
    {"Accounts", FIELD_RESV_ACCOUNTS, 0, HOW_TEXT, NULL, false, false},
    {"Licenses", 0, 0, HOW_FIXED, "(null)", false, false},
    {"State", FIELD_RESV_STATE, 0, HOW_TEXT, NULL, false, false},
    {"BurstBuffer", 0, 0, HOW_FIXED, "(null)", false, false},
    {"Watts", 0, 0, HOW_FIXED, "n/a", false, false},
    {"MaxStartDelay", 0, 0, HOW_FIXED, "(null)", true, false},
    {"Comment", FIELD_RESV_COMMENT, 0, HOW_LINE, NULL, true, false},
};

static const struct item license_items[] = {
    {"LicenseName", FIELD_LICENSE_NAME, 0, HOW_LINE, NULL, true, false},
    {"Total", FIELD_LICENSE_TOTAL, 0, HOW_TEXT, NULL, true, false},
    {"Used", FIELD_LICENSE_USED, 0, HOW_TEXT, NULL, false, false},
    {"Free", FIELD_LICENSE_FREE, 0, HOW_TEXT, NULL, false, false},
    {"Reserved", FIELD_LICENSE_RESERVED, 0, HOW_TEXT, NULL, false, false},
    {"Remote", 0, 0, HOW_FIXED, "no", false, false},
};

struct entity {
    const char *word; /* of the command line, shortest unambiguous length below */
    size_t min;
    const char *what, *filter, *json;
    enum field_what fields;
    const struct item *items;
    size_t count;
    const char *none, *missing; /* missing: a format of the name, or without */
};

#define ITEMS(a) a, sizeof(a) / sizeof((a)[0])
static const struct entity entities[] = {
    {"jobs", 1, "job", "job", "jobs", FIELD_OF_JOB, ITEMS(job_items), "No jobs in the system",
     "slurm_load_jobs error: Invalid job id specified"},
    {"nodes", 1, "node", "nodes", "nodes", FIELD_OF_NODE, ITEMS(node_items),
     "No nodes in the system", NULL},
    {"partitions", 1, "partition", "partition", "partitions", FIELD_OF_PARTITION,
     ITEMS(partition_items), "No partitions in the system", NULL},
    {"steps", 1, "step", "job", "steps", FIELD_OF_STEP, ITEMS(step_items),
     "No job steps in the system", "slurm_get_job_steps error: Invalid job id specified"},
    {"reservations", 3, "reservation", "name", "reservations", FIELD_OF_RESV, ITEMS(resv_items),
     "No reservations in the system", "Reservation %s not found"},
    {"licenses", 2, "license", "name", "licenses", FIELD_OF_LICENSE, ITEMS(license_items),
     "No licenses configured in Slurm.", "License %s not found"},
};

/* ---- printing ------------------------------------------------------------------------- */

struct show {
    struct scontrol *s;
    const struct entity *e;
    Sl__QueryRequest *q;
    size_t columns[128], columns2[128]; /* by item */
    size_t reason_time;
    bool explains; /* of named jobs, or with --details; a line for a parser has none */
    size_t rows;
    const char *only; /* name that must match (nodes, partitions) */
    size_t name_column;
    struct hostlist *names;
    bool *seen; /* by name */
    struct buf text;
    struct print_json json;
    const struct field **json_fields;
};

static bool is_empty(const struct item *it, const char *cell)
{
    return cell[0] == '\0' || (it->field == FIELD_JOB_ARRAY_THROTTLE && strcmp(cell, "0") == 0);
}

/* "1-2", and not "2-2" or an empty cell. */
static bool range_wide(const char *cell)
{
    size_t n = strcspn(cell, "-");
    return cell[n] == '-' && (strlen(cell + n + 1) != n || strncmp(cell, cell + n + 1, n) != 0);
}

/* Of the kinds that a key's `how` does not speak of only sizes have a form of their own. */
static void text_put(struct buf *b, const struct item *it, const char *cell)
{
    const struct field *f = field_by_id(it->field);
    if (f->kind == FIELD_MEM)
        field_show(f, cell, b);
    else
        buf_puts(b, cell);
}

static void explain_lines(struct buf *b, const char *lines)
{
    struct arena a;
    struct explain_item ex;
    arena_init(&a);
    for (bool first = true; explain_read(&lines, &a, &ex); first = false) {
        buf_printf(b, "%s%s=", first ? "" : "\n   ", explain_section_label(explain_section(ex.code)));
        explain_words(&ex, b);
    }
    arena_fini(&a);
}

static void value_put(struct buf *b, const struct item *it, const char *cell, const char *cell2,
                      const char *cell3)
{
    char text[TIME_TEXT_MAX];
    char *end;
    long long n = strtoll(cell, &end, 10);
    bool number = end != cell && *end == '\0';

    switch (it->how) {
    case HOW_TEXT:
        if (cell[0] != '\0')
            text_put(b, it, cell);
        else
            buf_puts(b, "(null)");
        break;
    case HOW_TIME:
        field_time(number ? n * USEC_PER_SEC : 0, it->none, b);
        break;
    case HOW_SPAN:
        if (strcmp(cell, "inf") == 0)
            buf_puts(b, "UNLIMITED");
        else if (number && !(n == 0 && it->none != NULL))
            buf_puts(b, span_format(n * USEC_PER_SEC, text));
        else
            buf_puts(b, number || cell[0] == '\0' ? it->none != NULL ? it->none : "N/A" : cell);
        break;
    case HOW_YESNO:
        buf_puts(b, strcmp(cell, "1") == 0 ? "YES" : "NO");
        break;
    case HOW_BIT:
        buf_puts(b, strcmp(cell, "1") == 0 ? "1" : "0");
        break;
    case HOW_ID:
        buf_printf(b, "%s(%s)", cell, cell2);
        break;
    case HOW_LIST:
        buf_puts(b, strcmp(cell, "all") == 0 ? "ALL" : cell);
        break;
    case HOW_REASON:
        buf_puts(b, cell);
        if (cell2[0] != '\0') {
            buf_printf(b, " [%s@", cell2);
            field_time(strtoll(cell3, NULL, 10) * USEC_PER_SEC, "Unknown", b);
            buf_putc(b, ']');
        }
        break;
    case HOW_OR:
        buf_puts(b, cell[0] != '\0' ? cell : it->none);
        break;
    case HOW_FIXED:
        buf_puts(b, it->none);
        break;
    case HOW_RANGE:
        buf_puts(b, range_wide(cell2) ? cell2 : cell);
        break;
    case HOW_EXPLAIN:
        explain_lines(b, cell);
        break;
    case HOW_BOARDS:
        buf_printf(b, "0:%s", cell);
        break;
    default:
        text_put(b, it, cell);
    }
}

/* Outside an array the array's id is the job's own and the task's is "N/A". */
static bool in_array(const struct show *w, char *const *cells)
{
    for (size_t i = 0; i < w->e->count; i++)
        if (w->e->items[i].field == FIELD_JOB_ARRAY_TASK_ID)
            return cells[w->columns[i]][0] != '\0' && cells[w->columns[i]][0] != 'N';
    return false;
}

static void block_print(struct show *w, char *const *cells)
{
    struct buf *b = &w->text;
    bool pending_line = false, array = in_array(w, cells);
    buf_clear(b);
    for (size_t i = 0; i < w->e->count; i++) {
        const struct item *it = &w->e->items[i];
        const char *cell = it->field != 0 ? cells[w->columns[i]] : "";
        const char *cell2 = it->field2 != 0 ? cells[w->columns2[i]] : "";
        pending_line = pending_line || it->newline;
        bool optional = it->how == HOW_LINE || it->how == HOW_EXPLAIN || it->how == HOW_ARRAY ||
                        it->how == HOW_REASON;
        if ((it->how == HOW_EXPLAIN && !w->explains) || (it->detail && !w->s->detail) ||
            (optional && is_empty(it, cell)) ||
            (it->how == HOW_ARRAY && !array) || (it->how == HOW_UNLESS && cell2[0] != '\0'))
            continue;
        if (b->len != 0)
            buf_puts(b, pending_line && !w->s->oneliner ? "\n   " : " ");
        pending_line = false;
        if (it->key[0] != '\0')
            buf_printf(b, "%s=", it->key);
        value_put(b, it, cell, cell2,
                  it->how == HOW_REASON ? cells[w->reason_time] : "");
    }
    for (size_t i = 0; w->s->oneliner && i < b->len; i++)
        if (b->data[i] == '\n')
            b->data[i] = ' ';
    buf_puts(b, w->s->oneliner ? "\n" : "\n\n");
    fwrite(b->data, 1, b->len, stdout);
}

static int row_show(char *const *cells, size_t count, void *arg)
{
    struct show *w = arg;
    long at = w->names != NULL ? hostlist_find(w->names, cells[w->name_column]) : 0;
    if (at < 0)
        return 0;
    if (w->seen != NULL)
        w->seen[at] = true;
    w->rows++;
    if (w->s->json)
        print_json_row(&w->json, w->json_fields, count, cells);
    else
        block_print(w, cells);
    return 0;
}

static void columns_ask(struct show *w, struct arena *a)
{
    size_t n;
    const struct field *t = field_table(&n);
    for (size_t i = 0; i < w->e->count; i++) {
        if (w->e->items[i].field == FIELD_JOB_EXPLAIN && !w->explains)
            continue;
        if (w->e->items[i].field != 0)
            w->columns[i] = command_field(a, w->q, w->e->items[i].field);
        if (w->e->items[i].field2 != 0)
            w->columns2[i] = command_field(a, w->q, w->e->items[i].field2);
    }
    if (w->e->fields == FIELD_OF_NODE)
        w->reason_time = command_field(a, w->q, FIELD_NODE_REASON_TIME);
    w->name_column = w->columns[0];
    w->json_fields = arena_alloc(a, n * sizeof(*w->json_fields));
    for (size_t i = 0; w->s->json && i < n; i++)
        if (t[i].what == w->e->fields && (t[i].id != FIELD_JOB_EXPLAIN || w->explains))
            command_field(a, w->q, t[i].id);
    for (size_t i = 0; i < w->q->n_fields; i++)
        w->json_fields[i] = field_by_id(w->q->fields[i]);
}

/* Every name that was asked for and is not there. */
static int names_missing(const struct show *w)
{
    int rc = 0;
    for (size_t i = 0; i < hostlist_count(w->names); i++) {
        const char *name = hostlist_nth(w->names, i);
        if (!w->seen[hostlist_find(w->names, name)])
            rc = w->e->fields == FIELD_OF_NODE ? scontrol_fail(1, "Node %s not found", name)
                                               : scontrol_fail(1, "Partition %s not found", name);
    }
    return rc;
}

static int entity_show(struct scontrol *s, const struct entity *e, const char *id)
{
    struct show w = {.s = s, .e = e};
    struct arena a;
    struct err err = {0};

    arena_init(&a);
    buf_init(&w.text);
    w.q = command_query(&a, e->what);
    w.q->all = s->all || id != NULL;
    w.explains = s->detail || (id != NULL && (s->json || !s->oneliner));
    columns_ask(&w, &a);
    bool by_name = e->fields == FIELD_OF_NODE || e->fields == FIELD_OF_PARTITION;
    int rc = 0;
    if (id != NULL && by_name) {
        w.names = hostlist_create(id, &err);
        rc = w.names == NULL ? err.code : 0;
        w.seen = w.names != NULL ? arena_alloc(&a, hostlist_count(w.names) * sizeof(*w.seen) + 1)
                                 : NULL;
    } else if (id != NULL)
        command_filter(&a, w.q, e->filter, id);
    print_json_begin(&w.json, scontrol_program, e->json, stdout);
    if (rc == 0)
        rc = client_query(&s->client, w.q, row_show, &w, &err);
    if (rc != 0)
        rc = err.code == SL_EINVAL_JOB_ID ? scontrol_fail(1, "%s", e->missing)
                                          : scontrol_fail(1, "%s", err.text);
    else if (s->json)
        print_json_end(&w.json);
    else if (by_name && id != NULL)
        rc = names_missing(&w);
    else if (w.rows == 0 && id != NULL) /* with the name where the text has a place for it */
        rc = scontrol_fail(1, e->missing, id);
    else if (w.rows == 0)
        puts(e->none);
    hostlist_destroy(w.names);
    buf_fini(&w.text);
    arena_fini(&a);
    return rc;
}

/* ---- hostnames --------------------------------------------------------------------------- */

int scontrol_hosts(const char *kind, int argc, char **argv)
{
    struct err err = {0};
    const char *expr = argc > 0 ? argv[0] : getenv("SLURM_JOB_NODELIST");
    bool to_list = strcasecmp(kind, "hostnames") != 0;

    if (expr == NULL)
        return scontrol_fail(1, "show %s: no host list, and SLURM_JOB_NODELIST is not set", kind);
    struct hostlist *hl = hostlist_create(expr, &err);
    if (hl == NULL)
        return scontrol_fail(1, "Invalid hostlist: %s: %s", expr, err.text);
    if (strcasecmp(kind, "hostlistsorted") == 0)
        hostlist_sort(hl);
    if (to_list) {
        char *text = hostlist_ranged(hl);
        puts(text);
        free(text);
    } else
        for (size_t i = 0; i < hostlist_count(hl); i++)
            puts(hostlist_nth(hl, i));
    hostlist_destroy(hl);
    return 0;
}

/* ---- topology -------------------------------------------------------------------------------- */

struct topology_show { const char *name; struct hostlist *nodes; uint32_t shown; };

/* Is each of the wanted nodes among those of the line? */
static bool topology_has(const char *line, const struct hostlist *nodes)
{
    const char *at = strstr(line, " Nodes=");
    char *list = at != NULL ? strndup(at + 7, strcspn(at + 7, " ")) : NULL;
    struct hostlist *have = list != NULL ? hostlist_create(list, NULL) : NULL;
    bool all = have != NULL;
    for (size_t i = 0; all && i < hostlist_count(nodes); i++)
        all = hostlist_find(have, hostlist_nth(nodes, i)) >= 0;
    hostlist_destroy(have);
    free(list);
    return all;
}

static int topology_row(char *const *cells, size_t count, void *arg)
{
    struct topology_show *t = arg;
    if (count < 2 || (t->name != NULL && strcmp(t->name, cells[0]) != 0 &&
                      (t->nodes == NULL || !topology_has(cells[1], t->nodes))))
        return 0;
    puts(cells[1]);
    t->shown++;
    return 0;
}

/* All switches, the one of that name, or those above all of the nodes. */
static int topology_show(struct scontrol *s, const char *name)
{
    struct topology_show t = {.name = name};
    struct arena a;
    struct err err = {0};

    arena_init(&a);
    Sl__QueryRequest *q = command_query(&a, "topology");
    t.nodes = name != NULL ? hostlist_create(name, &err) : NULL;
    int rc = name != NULL && t.nodes == NULL ? err.code
                                             : client_query(&s->client, q, topology_row, &t, &err);
    hostlist_destroy(t.nodes);
    arena_fini(&a);
    if (rc != 0)
        return scontrol_fail(1, "%s", err.text);
    if (t.shown != 0)
        return 0;
    return name != NULL ? scontrol_fail(1, "No topology information available for %s", name)
                        : scontrol_fail(1, "No topology information available");
}

int scontrol_show(struct scontrol *s, int argc, char **argv)
{
    /* "hostlist" is a name of its own, not a shorter "hostlistsorted" */
    static const char *const hosts[] = {"hostnames", "hostlist", "hostlistsorted"};
    char word[64];
    if (argc == 0)
        return scontrol_fail(1, "show: what? job, node, partition, step, config, hostnames, hostlist");
    size_t n = strcspn(argv[0], "=");
    const char *id = argv[0][n] == '=' ? argv[0] + n + 1 : argc > 1 ? argv[1] : NULL;
    snprintf(word, sizeof(word), "%.*s", (int)n, argv[0]);
    if (strcasecmp(word, "jobid") == 0 || strcasecmp(word, "job") == 0)
        strcpy(word, "jobs");
    if (strcasecmp(word, "nodename") == 0)
        strcpy(word, "nodes");
    if (strcasecmp(word, "reservationname") == 0)
        strcpy(word, "reservations");
    if (strcasecmp(word, "partitionname") == 0)
        strcpy(word, "partitions");
    for (size_t i = 0; i < 3; i++)
        if (scontrol_word(word, hosts[i], 5))
            return scontrol_hosts(hosts[i], argc - 1, argv + 1);
    if (scontrol_word(word, "aliases", 2))
        return scontrol_aliases(s, id);
    if (scontrol_word(word, "daemons", 2))
        return scontrol_daemons(s);
    if (scontrol_word(word, "config", 1))
        return scontrol_config(s);
    if (scontrol_word(word, "topology", 1))
        return topology_show(s, id);
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
        if (scontrol_word(word, entities[i].word, entities[i].min))
            return entity_show(s, &entities[i], id);
    static const char *const later[] = {"assoc_mgr", "bbstat", "burstbuffer", "dwstat", "federation"};
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        if (scontrol_word(word, later[i], 3))
            return scontrol_fail(1, "not built yet: show %s", later[i]);
    return scontrol_fail(1, "invalid entity:%s for keyword:show", argv[0]);
}
