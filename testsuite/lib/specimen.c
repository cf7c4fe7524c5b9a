/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/specimen.h"

#include "job/state.h"

#include <stdio.h>

#define PICK(r, list) ((char *)(list)[mutate_below(r, sizeof(list) / sizeof((list)[0]))])

struct maker {
    struct mutate *r;
    const struct specimen_args *a;
    char job_text[32];
};

static ProtobufCMessage *copy(const ProtobufCMessage *m)
{
    struct buf b;
    buf_init(&b);
    size_t n = protobuf_c_message_get_packed_size(m);
    buf_reserve(&b, n + 1);
    protobuf_c_message_pack(m, (uint8_t *)b.data);
    ProtobufCMessage *out =
        protobuf_c_message_unpack(m->descriptor, NULL, n, (uint8_t *)b.data);
    buf_fini(&b);
    return out;
}

static uint32_t job_id(const struct maker *k)
{
    return 1 + (uint32_t)mutate_below(k->r, k->a->job_max ? k->a->job_max : 20);
}

static char *job_text(struct maker *k)
{
    static const char *const forms[] = {"%u", "%u.0", "%u.batch", "%u_[0-3]", "%u_1"};
    const char *form = PICK(k->r, forms);
    snprintf(k->job_text, sizeof(k->job_text), form, job_id(k));
    return k->job_text;
}

static uint32_t step_id(const struct maker *k)
{
    static const uint32_t ids[] = {0, 1, 7, STEP_BATCH, STEP_EXTERN, STEP_INTERACTIVE};
    return ids[mutate_below(k->r, sizeof(ids) / sizeof(ids[0]))];
}

/* ---- users' requests -------------------------------------------------------------------- */

/* It runs for an instant, or never: most of them begin in ten years. */
static void job_spec(struct maker *k, Sl__JobSpec *s)
{
    static const char *const arrays[] = {"0-3%2", "1,3,5-9", "0-15:4", "7"};
    static const char *const dependencies[] = {
        "afterok:1",       "afterany:2:3", "singleton",  "after:1+5,afternotok:2",
        "afterok:1?afterok:2", "aftercorr:5",  "afterok:4_1"};
    sl__job_spec__init(s);
    s->type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    s->name = (char *)"specimen";
    s->work_dir = (char *)"/";
    s->std_out = s->std_err = (char *)"/dev/null";
    s->ntasks = 1;
    s->time_limit_usec = 60 * USEC_PER_SEC;
    if (mutate_below(k->r, 8))
        s->begin_usec = clock_wall_usec() + 3600 * 24 * 3650 * USEC_PER_SEC;
    if (mutate_below(k->r, 4) == 0)
        s->array = PICK(k->r, arrays);
    if (mutate_below(k->r, 4) == 0)
        s->dependency = PICK(k->r, dependencies);
}

static void step_spec(Sl__StepSpec *s)
{
    static char *argv[] = {(char *)"true"}, *env[] = {(char *)"PATH=/bin"};
    sl__step_spec__init(s);
    s->name = (char *)"specimen";
    s->argv = argv;
    s->n_argv = 1;
    s->env = env;
    s->n_env = 1;
    s->work_dir = (char *)"/";
    s->ntasks = s->nodes_min = s->nodes_max = 1;
    s->mpi = (char *)"none";
    s->cpu_bind = (char *)"none";
    s->detached = true;
    s->std_out = s->std_err = s->std_in = (char *)"/dev/null";
}

static ProtobufCMessage *submit(struct maker *k)
{
    static uint8_t script[] = "#!/bin/sh\nexit 0\n";
    static char *env[] = {(char *)"PATH=/bin", (char *)"A=B"};
    Sl__SubmitRequest m = SL__SUBMIT_REQUEST__INIT;
    Sl__JobSpec spec;
    Sl__StepSpec step;
    job_spec(k, &spec);
    m.spec = &spec;
    m.env = env;
    m.n_env = 2;
    m.watch = mutate_below(k->r, 4) == 0;
    m.test_only = mutate_below(k->r, 4) == 0;
    if (mutate_below(k->r, 4)) {
        m.script.data = script;
        m.script.len = sizeof(script) - 1;
    } else {
        spec.type = SL__JOB_TYPE__JOB_TYPE_RUN;
        spec.array = (char *)""; /* a run has no array */
        step_spec(&step);
        m.step = &step;
    }
    return copy(&m.base);
}

static ProtobufCMessage *watch(struct maker *k)
{
    Sl__WatchRequest m = SL__WATCH_REQUEST__INIT;
    m.job_id = job_id(k);
    return copy(&m.base);
}

static ProtobufCMessage *cancel(struct maker *k)
{
    Sl__CancelRequest m = SL__CANCEL_REQUEST__INIT;
    char *ids[] = {job_text(k)};
    m.job_ids = ids;
    m.n_job_ids = mutate_below(k->r, 8) != 0;
    m.state = (char *)(m.n_job_ids ? "" : "PENDING");
    m.signal = (uint32_t)mutate_below(k->r, 3) * 9;
    return copy(&m.base);
}

static ProtobufCMessage *job_op(struct maker *k)
{
    Sl__JobOpRequest m = SL__JOB_OP_REQUEST__INIT;
    char *ids[] = {job_text(k)};
    m.job_ids = ids;
    m.n_job_ids = 1;
    m.op = (Sl__JobOp)(1 + mutate_below(k->r, 8));
    return copy(&m.base);
}

static ProtobufCMessage *update(struct maker *k)
{
    static const char *const keys[] = {
        "TimeLimit",  "JobName", "Comment", "Partition",   "Nice",     "Priority",
        "Dependency", "NumNodes", "NumCPUs", "NumTasks",   "Requeue",  "StartTime",
        "Features",   "Licenses", "MinMemoryNode", "ReqNodeList", "ExcNodeList", "Account",
        "QOS", "State", "Reason", "ArrayTaskThrottle", "Deadline", "EndTime"};
    static const char *const values[] = {"10", "1:00:00", "+5", "main", "n1", "afterok:1",
                                         "", "0", "-1", "DRAIN", "RESUME", "now+1hour", "2-4",
                                         "4294967295"};
    static const char *const what[] = {"job", "job", "job", "node", "partition"};
    Sl__UpdateRequest m = SL__UPDATE_REQUEST__INIT;
    Sl__KeyValue pair = SL__KEY_VALUE__INIT, *pairs[] = {&pair};
    m.what = PICK(k->r, what);
    m.ids = m.what[0] == 'j' ? job_text(k) : (char *)(m.what[0] == 'n' ? "n[1-2]" : "main");
    pair.key = PICK(k->r, keys);
    pair.value = PICK(k->r, values);
    m.set = pairs;
    m.n_set = 1;
    return copy(&m.base);
}

static ProtobufCMessage *tenant(struct maker *k)
{
    static const char *const whats[] = {"account", "user", "qos", "coordinator", "cluster"};
    static const char *const keys[] = {"Names", "Account", "MaxJobs", "GrpTRES", "Fairshare",
                                       "qos+", "Parent", "RawUsage", "Flags"};
    static const char *const values[] = {"specimen", "root", "-1", "7", "cpu=3,mem=1G", "normal",
                                         "parent", "0", "DenyOnLimit"};
    Sl__TenantRequest m = SL__TENANT_REQUEST__INIT;
    Sl__KeyValue pair[2] = {SL__KEY_VALUE__INIT, SL__KEY_VALUE__INIT}, *where[] = {&pair[0]}, *set[] = {&pair[1]};
    m.op = (Sl__TenantOp)(1 + mutate_below(k->r, 3));
    m.what = PICK(k->r, whats);
    for (int i = 0; i < 2; i++) {
        pair[i].key = PICK(k->r, keys);
        pair[i].value = PICK(k->r, values);
    }
    m.where = where;
    m.set = set;
    m.n_where = m.n_set = 1;
    m.dry_run = mutate_below(k->r, 2);
    return copy(&m.base);
}

static ProtobufCMessage *query(struct maker *k)
{
    /* lib/job/field.def: each kind's fields from a number on */
    static const struct {
        const char *what;
        uint32_t first;
    } kinds[] = {{"job", 1},         {"job", 1},      {"step", 200},   {"node", 300},
                 {"partition", 400}, {"acct_job", 500}, {"acct_job", 500}};
    static const char *const keys[] = {"user",  "state", "partition", "job",  "name", "account",
                                       "nodes", "qos",   "start",     "end",  "me",   "node"};
    static const char *const values[] = {"slalice", "PENDING,RUNNING", "main", "1,2_[1-3],3.0",
                                         "n[1-4]", "0", "1", "1795534917", "root"};
    Sl__QueryRequest m = SL__QUERY_REQUEST__INIT;
    Sl__KeyValue pair = SL__KEY_VALUE__INIT, *pairs[] = {&pair};
    uint32_t fields[4];
    size_t kind = mutate_below(k->r, sizeof(kinds) / sizeof(kinds[0]));
    m.what = (char *)kinds[kind].what;
    m.fields = fields;
    m.n_fields = 1 + mutate_below(k->r, 4);
    for (size_t i = 0; i < m.n_fields; i++)
        fields[i] = kinds[kind].first + (uint32_t)mutate_below(k->r, 12);
    pair.key = PICK(k->r, keys);
    pair.value = PICK(k->r, values);
    m.filters = pairs;
    m.n_filters = mutate_below(k->r, 2);
    return copy(&m.base);
}

static ProtobufCMessage *script(struct maker *k)
{
    Sl__ScriptRequest m = SL__SCRIPT_REQUEST__INIT;
    m.job_id = job_id(k);
    return copy(&m.base);
}

static ProtobufCMessage *control(struct maker *k)
{
    static const Sl__ControlOp ops[] = {SL__CONTROL_OP__CONTROL_PING,
                                        SL__CONTROL_OP__CONTROL_CONF};
    Sl__ControlRequest m = SL__CONTROL_REQUEST__INIT;
    m.op = ops[mutate_below(k->r, 2)];
    return copy(&m.base);
}

/* ---- node daemons ------------------------------------------------------------------------- */

static void step_record(const struct maker *k, Sl__StepRecord *s)
{
    sl__step_record__init(s);
    s->job_id = job_id(k);
    s->step_id = step_id(k);
    s->name = (char *)"specimen";
    s->nodelist = (char *)"n1";
    s->nodes_count = s->ntasks = s->cpus = 1;
    s->start = clock_wall_usec();
    s->state = JOB_RUNNING;
}

static void job_report(const struct maker *k, Sl__JobReport *r, Sl__StepRecord *s)
{
    sl__job_report__init(r);
    step_record(k, s);
    r->seq = 1 + mutate_below(k->r, 1000);
    r->kind = (Sl__ReportKind)mutate_below(k->r, 7);
    r->job_id = s->job_id;
    r->step_id = s->step_id;
    r->time = s->start;
    r->step = s;
}

static ProtobufCMessage *node_register(struct maker *k)
{
    static char *core_cpus[] = {(char *)"0", (char *)"1", (char *)"2", (char *)"3"};
    static uint32_t core_socket[] = {0, 0, 0, 0}, core_numa[] = {0, 0, 0, 0};
    Sl__NodeRegister m = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    Sl__NumaNode numa = SL__NUMA_NODE__INIT, *numas[] = {&numa};
    Sl__NodeJob job = SL__NODE_JOB__INIT, *jobs[] = {&job};
    Sl__JobReport report, *reports[] = {&report};
    Sl__StepRecord record;
    char name[16];
    snprintf(name, sizeof(name), "z%zu", mutate_below(k->r, 20));
    m.name = name;
    m.addr = (char *)"127.0.0.1";
    m.port = 9;
    m.boot_id = (char *)"specimen";
    m.version = (char *)"0.1.0";
    m.hostname = (char *)"z";
    topo.sockets = topo.threads_per_core = 1;
    topo.cores = topo.cpus = 4;
    topo.core_cpus = core_cpus;
    topo.core_socket = core_socket;
    topo.core_numa = core_numa;
    topo.n_core_cpus = topo.n_core_socket = topo.n_core_numa = 4;
    numa.cpus = (char *)"0-3";
    numa.mem_mib = m.mem_mib = 4096;
    topo.numa = numas;
    topo.n_numa = 1;
    m.topo = &topo;
    job.job_id = job_id(k);
    m.jobs = jobs;
    m.n_jobs = mutate_below(k->r, 2);
    job_report(k, &report, &record);
    m.reports = reports;
    m.n_reports = mutate_below(k->r, 2);
    return copy(&m.base);
}

static ProtobufCMessage *node_ping(struct maker *k)
{
    Sl__NodePing m = SL__NODE_PING__INIT;
    Sl__StepUsage u = SL__STEP_USAGE__INIT, *usage[] = {&u};
    u.job_id = job_id(k);
    u.step_id = step_id(k);
    m.usage = usage;
    m.n_usage = 1;
    return copy(&m.base);
}

static ProtobufCMessage *job_reports(struct maker *k)
{
    Sl__JobReports m = SL__JOB_REPORTS__INIT;
    Sl__JobReport report, *reports[] = {&report};
    Sl__StepRecord record;
    job_report(k, &report, &record);
    m.reports = reports;
    m.n_reports = 1;
    return copy(&m.base);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static ProtobufCMessage *step_create(struct maker *k)
{
    Sl__StepCreate m = SL__STEP_CREATE__INIT;
    Sl__StepSpec spec;
    step_spec(&spec);
    spec.immediate = mutate_below(k->r, 2);
    m.job_id = job_id(k);
    m.spec = &spec;
    return copy(&m.base);
}

static ProtobufCMessage *step_launch(struct maker *k)
{
    Sl__StepLaunch m = SL__STEP_LAUNCH__INIT;
    Sl__JobInfo job = SL__JOB_INFO__INIT;
    Sl__JobSpec job_spec_of;
    Sl__StepSpec spec;
    Sl__Allocation alloc = SL__ALLOCATION__INIT;
    Sl__AllocNode node = SL__ALLOC_NODE__INIT, *nodes[] = {&node};
    Sl__StepLayout layout = SL__STEP_LAYOUT__INIT;
    Sl__StepNode step_node = SL__STEP_NODE__INIT, *step_nodes[] = {&step_node};
    uint32_t rank = 0;
    job_spec(k, &job_spec_of);
    step_spec(&spec);
    job.job_id = alloc.job_id = layout.job_id = job_id(k);
    job.uid = k->a->uid;
    job.gid = k->a->gid;
    job.spec = &job_spec_of;
    job.alloc = &alloc;
    node.name = (char *)"n1";
    node.addr = (char *)"127.0.0.1";
    node.cpus = step_node.cpus = (char *)"0";
    node.cpus_count = 1;
    alloc.nodes = nodes;
    alloc.n_nodes = 1;
    layout.step_id = 100 + (uint32_t)mutate_below(k->r, 1000);
    layout.nodes = step_nodes;
    layout.n_nodes = layout.ntasks = 1;
    step_node.tasks = &rank;
    step_node.n_tasks = 1;
    m.job = &job;
    m.spec = &spec;
    m.layout = &layout;
    return copy(&m.base);
}

static ProtobufCMessage *io_attach(struct maker *k)
{
    Sl__IoAttach m = SL__IO_ATTACH__INIT;
    m.kind = 2;
    m.want_stdout = m.want_stderr = true;
    m.send_stdin = mutate_below(k->r, 2);
    return copy(&m.base);
}

static ProtobufCMessage *io_data(struct maker *k)
{
    Sl__IoData m = SL__IO_DATA__INIT;
    uint8_t data[] = "specimen";
    m.task = mutate_below(k->r, 2) ? 0 : UINT32_MAX;
    m.fd = (uint32_t)mutate_below(k->r, 4);
    m.data.data = data;
    m.data.len = sizeof(data);
    return copy(&m.base);
}

static ProtobufCMessage *step_hello(struct maker *k)
{
    Sl__StepHello m = SL__STEP_HELLO__INIT;
    m.job_id = job_id(k);
    m.step_id = 100 + (uint32_t)mutate_below(k->r, 1000);
    m.pid = 0x7ffffff0;
    m.uid = k->a->uid;
    return copy(&m.base);
}

static const struct {
    enum wire_type type;
    ProtobufCMessage *(*make)(struct maker *k);
} table[] = {
    {WIRE_SUBMIT, submit},           {WIRE_WATCH, watch},
    {WIRE_CANCEL, cancel},           {WIRE_JOB_OP, job_op},
    {WIRE_UPDATE, update},           {WIRE_QUERY, query},
    {WIRE_TENANT, tenant},
    {WIRE_SCRIPT, script},           {WIRE_CONTROL, control},
    {WIRE_NODE_REGISTER, node_register}, {WIRE_NODE_PING, node_ping},
    {WIRE_JOB_REPORTS, job_reports}, {WIRE_STEP_CREATE, step_create},
    {WIRE_STEP_LAUNCH, step_launch}, {WIRE_IO_ATTACH, io_attach},
    {WIRE_IO_DATA, io_data},         {WIRE_STEP_HELLO, step_hello},
    {WIRE_STEP_REPORT, job_reports},
};

ProtobufCMessage *specimen_make(struct mutate *r, enum wire_type type,
                                const struct specimen_args *a)
{
    struct maker k = {.r = r, .a = a};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].type == type)
            return table[i].make(&k);
    return NULL;
}
