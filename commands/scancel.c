/* SPDX-License-Identifier: Apache-2.0
 *
 * scancel: ends or signals jobs and steps.
 */
#include "command.h"

#include "job/state.h"
#include "print.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char program[] = "scancel";

static struct {
    const char *account, *name, *partition, *qos, *reservation, *signal, *state, *user, *nodelist,
        *wckey;
    bool batch, full, hurry, interactive, me, quiet, verbose, ctld;
} opt;

static const struct command_option options[] = {
    {"account", 'A', "name", "only jobs of this account", &opt.account, NULL, "SCANCEL_ACCOUNT"},
    {"batch", 'b', NULL, "signal the batch script only", NULL, &opt.batch, "SCANCEL_BATCH"},
    {"cron", 0, NULL, "there are no cron jobs", NULL, NULL, NULL},
    {"ctld", 0, NULL, "send through the controller (always so)", NULL, &opt.ctld, "SCANCEL_CTLD"},
    {"full", 'f', NULL, "signal the batch script and all steps", NULL, &opt.full, "SCANCEL_FULL"},
    {"hurry", 'H', NULL, "do not stage out data", NULL, &opt.hurry, "SCANCEL_HURRY"},
    {"interactive", 'i', NULL, "ask before each job", NULL, &opt.interactive,
     "SCANCEL_INTERACTIVE"},
    {"jobname", 'n', "name", "only jobs of this name", &opt.name, NULL, "SCANCEL_NAME"},
    {"me", 0, NULL, "only one's own jobs", NULL, &opt.me, NULL},
    {"name", 0, "name", "only jobs of this name", &opt.name, NULL, NULL},
    {"nodelist", 'w', "nodes", "only jobs that use one of these nodes", &opt.nodelist, NULL,
     "SCANCEL_NODELIST"},
    {"partition", 'p', "name", "only jobs in this partition", &opt.partition, NULL,
     "SCANCEL_PARTITION"},
    {"qos", 'q', "name", "only jobs of this quality of service", &opt.qos, NULL, "SCANCEL_QOS"},
    {"quiet", 'Q', NULL, "no error for jobs that ended already", NULL, &opt.quiet, NULL},
    {"reservation", 'R', "name", "only jobs in this reservation", &opt.reservation, NULL,
     "SCANCEL_RESERVATION"},
    {"sibling", 0, "name", "there are no federations", NULL, NULL, NULL},
    {"signal", 's', "name", "signal instead of ending", &opt.signal, NULL, NULL},
    {"state", 't', "state", "only PENDING, RUNNING or SUSPENDED jobs", &opt.state, NULL,
     "SCANCEL_STATE"},
    {"user", 'u', "name", "only jobs of this user", &opt.user, NULL, "SCANCEL_USER"},
    {"verbose", 'v', NULL, "say what is done", NULL, &opt.verbose, "SCANCEL_VERBOSE"},
    {"wckey", 0, "key", "only jobs of this key", &opt.wckey, NULL, "SCANCEL_WCKEY"},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

static bool any_filter(void)
{
    return opt.account || opt.name || opt.partition || opt.qos || opt.reservation || opt.state ||
           opt.user || opt.nodelist || opt.wckey || opt.me;
}

static int state_check(const char *state, struct err *err)
{
    enum job_state s;
    uint32_t flags;
    if (job_state_parse(state, &s, &flags) && flags == 0 &&
        (s == JOB_PENDING || s == JOB_RUNNING || s == JOB_SUSPENDED))
        return 0;
    return err_set(err, SL_EINVAL_FIELD,
                   "Invalid job state \"%s\": must be PENDING, RUNNING or SUSPENDED", state);
}

/* Words may hold several ids: "12,13_[1-3,5]". */
static int ids_collect(struct arena *a, int argc, char **argv, Sl__CancelRequest *q,
                       struct err *err)
{
    size_t cap = 0;
    for (int i = 0; i < argc; i++)
        for (const char *p = argv[i]; *p != '\0';) {
            struct job_sel sel;
            size_t n = 0;
            int depth = 0;
            for (; p[n] != '\0' && (p[n] != ',' || depth > 0); n++)
                depth += p[n] == '[' ? 1 : p[n] == ']' ? -1 : 0;
            char *word = arena_printf(a, "%.*s", (int)n, p);
            int rc = n != 0 ? job_sel_parse(word, a, &sel, err) : 0;
            if (rc != 0)
                return rc;
            if (n != 0 && q->n_job_ids == cap) {
                char **ids = arena_alloc(a, (cap + 64) * 2 * sizeof(*ids));
                if (cap != 0)
                    memcpy(ids, q->job_ids, cap * sizeof(*ids));
                cap = (cap + 64) * 2;
                q->job_ids = ids;
            }
            if (n != 0)
                q->job_ids[q->n_job_ids++] = word;
            p += n + (p[n] == ',');
        }
    return 0;
}

static bool confirmed(const char *what)
{
    char line[16];
    printf("Cancel %s%s [y/n]? ", strspn(what, "0123456789_[],.-%") == strlen(what) ? "job_id=" : "",
           what);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (tolower((unsigned char)line[0]) == 'y')
            return true;
        if (tolower((unsigned char)line[0]) == 'n')
            return false;
        printf("Please answer y or n: ");
        fflush(stdout);
    }
    return false;
}

static void ids_confirm(Sl__CancelRequest *q)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->n_job_ids; i++)
        if (confirmed(q->job_ids[i]))
            q->job_ids[kept++] = q->job_ids[i];
    q->n_job_ids = kept;
}

static char *text(const char *s)
{
    return (char *)(s != NULL ? s : "");
}

static int request_fill(Sl__CancelRequest *q, struct err *err)
{
    q->account = text(opt.account);
    q->name = text(opt.name);
    q->partition = text(opt.partition);
    q->qos = text(opt.qos);
    q->reservation = text(opt.reservation);
    q->user = text(opt.user);
    q->state = text(opt.state);
    q->nodelist = text(opt.nodelist);
    q->wckey = text(opt.wckey);
    q->batch = opt.batch;
    q->full = opt.full;
    q->hurry = opt.hurry;
    q->me = opt.me;
    if (opt.state != NULL && state_check(opt.state, err) != 0)
        return err->code;
    if (opt.signal != NULL) {
        int sig = signal_parse(opt.signal);
        if (sig < 0)
            return err_set(err, SL_EINVAL_FIELD, "Unknown job signal: %s", opt.signal);
        q->signal = (uint32_t)sig;
    }
    return 0;
}

/* A job that has ended already is what the user wanted: told with --verbose only.
 * scancel(1) --quiet says nothing of unknown jobs either. */
static bool forgiven(const Sl__JobError *e)
{
    return (e->code == SL_EALREADY_DONE && !opt.verbose && opt.signal == NULL) ||
           (opt.quiet && (e->code == SL_EALREADY_DONE || e->code == SL_EINVAL_JOB_ID));
}

static void ack_forgive(Sl__Ack *ack)
{
    size_t kept = 0;
    for (size_t i = 0; i < ack->n_errors; i++)
        if (!forgiven(ack->errors[i]))
            ack->errors[kept++] = ack->errors[i];
        else
            sl__job_error__free_unpacked(ack->errors[i], NULL);
    if (kept == 0 && ack->n_errors != 0)
        ack->code = 0;
    ack->n_errors = kept;
}

static int send(Sl__CancelRequest *q, struct err *err)
{
    struct client c;
    struct wire_msg m;

    if (client_init(&c, program, err) != 0)
        return command_fail(program, err);
    int rc = client_call(&c, WIRE_CANCEL, &q->base, WIRE_ACK, 0, &m, err);
    if (rc != 0)
        rc = command_fail(program, err);
    else {
        ack_forgive((Sl__Ack *)m.body);
        const Sl__Ack *ack = (const Sl__Ack *)m.body;
        if (command_structured())
            rc = print_json_ack(program, ack, stdout) != 0 ? command_exit_error() : 0;
        else
            rc = command_ack(program, "Kill job error on job id", ack);
        wire_msg_clear(&m);
    }
    client_fini(&c);
    return rc;
}

static const struct command command = {.program = program, .options = options, .operands = true,
                                       .usage = "[OPTIONS] [job_id[_array_id][.step_id]...]",
                                       .clusters = true, .structured = true};

static int run(int argc, char **argv)
{
    struct err err = {0};
    struct arena a;
    Sl__CancelRequest q = SL__CANCEL_REQUEST__INIT;
    int at, code;

    if (!command_begin(&command, argc, argv, &at, &code))
        return code;
    arena_init(&a);
    int rc = request_fill(&q, &err);
    if (rc == 0)
        rc = ids_collect(&a, argc - at, argv + at, &q, &err);
    if (rc == 0 && q.n_job_ids == 0 && !any_filter())
        rc = err_set(&err, SL_EINVAL_FIELD, "No job identification provided");
    if (rc != 0)
        rc = command_fail(program, &err);
    else {
        bool had_ids = q.n_job_ids != 0;
        if (opt.interactive && had_ids)
            ids_confirm(&q);
        bool go = !had_ids ? !opt.interactive || confirmed("all matching jobs") : q.n_job_ids != 0;
        for (size_t i = 0; opt.verbose && go && i < q.n_job_ids; i++)
            command_say(program, "%s job %s", opt.signal != NULL ? "Signal" : "Terminating",
                        q.job_ids[i]);
        rc = go ? send(&q, &err) : 0;
    }
    arena_fini(&a);
    return rc;
}

int main(int argc, char **argv)
{
    return command_end(program, run(argc, argv));
}
