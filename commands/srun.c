/* SPDX-License-Identifier: Apache-2.0 */
#include "srun.h"
#include "srun_het.h"

#include "job/state.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char srun_program[] = "srun";
extern char **environ;

#define LOST_WAIT (10 * USEC_PER_SEC) /* for the controller's word on a lost step */

/* ---- preparations ------------------------------------------------------------------- */

/* --multi-prog: the program is a file that tells what each rank runs. */
static int multi_prog_load(struct job_request *r, struct err *err)
{
    if (!r->step.multi_prog)
        return 0;
    int fd = open(r->argv[0], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "--multi-prog: cannot open %s", r->argv[0]);
    char *text = arena_alloc(&r->arena, SCRIPT_BYTES_MAX + 1);
    size_t n = 0;
    ssize_t got;
    while (n <= SCRIPT_BYTES_MAX && (got = read(fd, text + n, SCRIPT_BYTES_MAX + 1 - n)) > 0)
        n += (size_t)got;
    close(fd);
    if (n > SCRIPT_BYTES_MAX)
        return err_set(err, SL_EINVAL_FIELD, "--multi-prog: %s is larger than %u bytes", r->argv[0],
                       SCRIPT_BYTES_MAX);
    r->step.multi_prog_conf.data = (uint8_t *)text;
    r->step.multi_prog_conf.len = n;
    return 0;
}

/* The step's environment: ours by --export, and what srun itself says. */
static int environment(struct job_request *r, struct err *err)
{
    char **env;
    size_t n;
    int rc = job_request_export(r, environ, NULL, 0, &env, &n, err);
    if (rc != 0)
        return rc;
    char **all = arena_alloc(&r->arena, (n + 1) * sizeof(*all));
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (strncmp(env[i], "SRUN_DEBUG=", 11) != 0)
            all[kept++] = env[i];
    all[kept++] = arena_printf(&r->arena, "SRUN_DEBUG=%d", 3 + r->verbose - (r->quiet ? 1 : 0));
    r->step.env = all;
    r->step.n_env = kept;
    return 0;
}

static int prepare(struct srun *s, struct err *err)
{
    struct job_request *r = s->req;
    int rc = job_request_finish(r, clock_wall_usec(), err);
    if (rc == 0)
        rc = environment(r, err);
    if (rc == 0)
        rc = multi_prog_load(r, err);
    if (rc != 0)
        return rc;
    command_warn(srun_program, r);
    if (r->step.pty)
        pty_size(&r->step.pty_rows, &r->step.pty_cols);
    r->step.srun_host = r->spec.submit_host;
    r->step.srun_pid = (uint32_t)getpid();
    /* srun(1) --error: with only --output given, both go there. */
    if (r->step.std_out[0] != '\0' && r->step.std_err[0] == '\0' && !r->has_stderr_task)
        r->step.std_err = r->step.std_out;
    return 0;
}

/* --prolog and --epilog: run here, with the command line as arguments. */
static void helper_run(struct srun *s, const char *path)
{
    struct job_request *r = s->req;
    int status;
    if (path == NULL || strcmp(path, "none") == 0)
        return;
    char **argv = xcalloc((size_t)r->argc + 2, sizeof(*argv));
    argv[0] = (char *)path;
    memcpy(argv + 1, r->argv, (size_t)r->argc * sizeof(*argv));
    pid_t pid = fork();
    if (pid == 0) {
        srun_signals_restore();
        execvp(path, argv);
        command_error(srun_program, "cannot run %s: %s", path, strerror(errno));
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    free(argv);
}

/* ---- outside an allocation ------------------------------------------------------------- */

static int exit_immediate(void)
{
    const char *text = getenv("SLURM_EXIT_IMMEDIATE");
    int code = text != NULL ? atoi(text) : 1;
    return code > 0 && code < 256 ? code : 1;
}

/* Waits for the grant. 0, or the exit code after having said why. */
static int grant_wait(struct srun *s, struct err *err)
{
    struct alloc *a = &s->alloc;
    usec_t deadline = s->req->immediate && s->req->immediate_usec > 0
                          ? clock_mono_usec() + s->req->immediate_usec
                          : INT64_MAX;
    for (;;) {
        if (alloc_pump(a, err) < 0)
            return command_fail(srun_program, err);
        if (alloc_granted(a))
            return 0;
        if (alloc_ended(a)) {
            command_error(srun_program, "Unable to allocate resources: job %u ended: %s", a->job_id,
                          a->last->reason[0] != '\0'
                              ? a->last->reason
                              : job_state_name((enum job_state)a->last->state));
            return command_exit_error();
        }
        usec_t now = clock_mono_usec();
        bool at_once = s->req->immediate && s->req->immediate_usec == 0;
        if (now >= deadline || (at_once && alloc_waits(a))) {
            alloc_cancel(a);
            command_error(srun_program, "Unable to allocate resources: %s",
                          err_name(SL_EBUSY_NODES));
            return exit_immediate();
        }
        int timeout = alloc_poll_timeout(a);
        if (deadline != INT64_MAX) {
            int left = (int)((deadline - now) / 1000 + 1);
            timeout = timeout < 0 || timeout > left ? left : timeout;
        }
        struct pollfd p[2] = {{.fd = alloc_fd(a), .events = POLLIN},
                              {.fd = s->signal_fd, .events = POLLIN}};
        poll(p, 2, timeout);
        if (p[1].revents != 0 && srun_signals_handle(s) != 0) {
            alloc_cancel(a);
            command_say(srun_program, "Job allocation %u has been revoked.", a->job_id);
            return command_exit_error();
        }
    }
}

static int test_only(struct srun *s, Sl__SubmitRequest *q, struct err *err)
{
    struct wire_msg m;
    char when[TIME_TEXT_MAX];
    q->test_only = true;
    int rc = client_call(&s->alloc.client, WIRE_SUBMIT, &q->base, WIRE_SUBMIT_REPLY, 0, &m, err);
    if (rc != 0) {
        err_prefix(err, "allocation failure");
        return command_fail(srun_program, err);
    }
    const Sl__SubmitReply *reply = (const Sl__SubmitReply *)m.body;
    command_say(srun_program, "Job %u to start at %s on nodes %s", reply->job_id,
                time_format_or(reply->start_estimate, "an unknown time", when),
                reply->nodes_estimate);
    command_explain(srun_program, reply->explain);
    wire_msg_clear(&m);
    return 0;
}

/* A job of our own whose step 0 starts with the allocation. */
static int own_job(struct srun *s, struct err *err)
{
    struct job_request *r = s->req;
    Sl__SubmitRequest q = SL__SUBMIT_REQUEST__INIT;

    s->own_job = true;
    q.spec = &r->spec;
    q.step = &r->step;
    q.immediate = r->immediate && r->immediate_usec == 0;
    if (r->step.relative != 0) {
        err_set(err, SL_EINVAL_FIELD, "--relative is for steps inside an allocation");
        return command_fail(srun_program, err);
    }
    if (r->test_only)
        return test_only(s, &q, err);
    int rc = alloc_submit(&s->alloc, &q, err);
    if (rc != 0) {
        if (rc != SL_ECTLD_DOWN)
            err_prefix(err, "Unable to allocate resources");
        command_fail(srun_program, err);
        return q.immediate && rc == SL_EBUSY_NODES ? exit_immediate() : command_exit_error();
    }
    rc = grant_wait(s, err);
    if (rc != 0)
        return rc;
    s->job_id = s->alloc.job_id;
    s->step_id = 0;
    s->nodes = s->alloc.last->alloc;
    s->alloc.last->alloc = NULL;
    return 0;
}

/* ---- inside an allocation ---------------------------------------------------------------- */

/* srun(1): with -I and a time the step may wait so long, else it must start at once. The
 * nodes of an allocation are known here, so that Slurm's own words can be said. */
static int step_ask(struct srun *s, struct err *err)
{
    Sl__StepSpec *step = &s->req->step;
    const char *text = getenv("SLURM_JOB_NUM_NODES"), *job = getenv("SLURM_JOB_ID");
    uint32_t nodes = text != NULL ? (uint32_t)strtoul(text, NULL, 10) : 0;

    step->immediate = s->req->immediate && s->req->immediate_usec == 0;
    if (nodes != 0 && job != NULL && strtoul(job, NULL, 10) == s->job_id && step->nodes_min > nodes)
        return err_set(err, SL_EBAD_CONFIG, "Only allocated %u nodes asked for %u", nodes,
                       step->nodes_min);
    return 0;
}

static int job_step(struct srun *s, struct err *err)
{
    struct arena a;
    struct job_sel sel;
    int rc;

    arena_init(&a);
    rc = job_sel_parse(s->req->jobid, &a, &sel, err);
    if (rc == 0 && (sel.has_array || sel.has_step))
        rc = err_set(err, SL_EINVAL_JOB_ID, "Invalid job id %s", s->req->jobid);
    s->job_id = sel.job_id;
    arena_fini(&a);
    if (rc == 0 && (rc = step_ask(s, err)) == 0) {
        s->alloc.job_id = s->job_id;
        rc = srun_create_step(s, err);
        if (rc != 0 && rc != -EINTR)
            err_prefix(err, "Unable to create step for job %u", s->job_id);
    }
    return rc != 0 ? command_fail(srun_program, err) : 0;
}

/* ---- the running step --------------------------------------------------------------------- */

/* The step's connection broke before its end: what became of it only the controller
 * can tell, when the job is ours. */
static int step_lost(struct srun *s, const struct err *why)
{
    struct err err = {0};
    usec_t until = clock_mono_usec() + LOST_WAIT;

    command_error(srun_program, "%s: the connection to StepId=%u.%u is lost: %s",
                  srun_node_name(s, 0), s->job_id, s->step_id,
                  why->text[0] != '\0' ? why->text : "its supervisor died");
    while (s->own_job && !alloc_ended(&s->alloc) && clock_mono_usec() < until) {
        struct pollfd p = {.fd = alloc_fd(&s->alloc), .events = POLLIN};
        int timeout = alloc_poll_timeout(&s->alloc);
        poll(&p, 1, timeout < 0 || timeout > 1000 ? 1000 : timeout);
        if (alloc_pump(&s->alloc, &err) < 0)
            break;
    }
    if (s->own_job && alloc_ended(&s->alloc))
        command_error(srun_program, "Job %u ended: %s%s%s", s->job_id,
                      job_state_name((enum job_state)s->alloc.last->state),
                      s->alloc.last->reason[0] != '\0' ? ", " : "", s->alloc.last->reason);
    return s->code > 0 ? s->code : command_exit_error();
}

/* Ends tasks that an abort's signal did not end; how long poll() may sleep then. */
static int abort_turn(struct srun *s, int timeout)
{
    usec_t now = clock_mono_usec();
    if (s->terminate_at == 0)
        return timeout;
    if (now >= s->terminate_at) {
        srun_terminate(s);
        s->terminate_at = 0;
        return timeout;
    }
    int left = (int)((s->terminate_at - now) / 1000 + 1);
    return timeout < 0 || timeout > left ? left : timeout;
}

static int loop(struct srun *s)
{
    struct err err = {0};
    while (!s->done) {
        bool input = srun_input_wanted(s);
        struct pollfd p[4] = {{.fd = wire_conn_fd(s->step), .events = POLLIN},
                              {.fd = s->signal_fd, .events = POLLIN},
                              {.fd = s->own_job ? alloc_fd(&s->alloc) : -1, .events = POLLIN},
                              {.fd = input ? STDIN_FILENO : -1, .events = POLLIN}};
        int timeout = abort_turn(s, s->own_job ? alloc_poll_timeout(&s->alloc) : -1);
        if (wire_conn_pending(s->step))
            timeout = 0;
        if (poll(p, 4, timeout) < 0 && errno != EINTR)
            return command_exit_error();
        if (srun_step_pump(s, &err) < 0)
            return step_lost(s, &err);
        if (s->done)
            break;
        if (p[1].revents != 0 && srun_signals_handle(s) != 0)
            return s->code > 0 ? s->code : command_exit_error();
        if (s->own_job && alloc_pump(&s->alloc, &err) < 0)
            s->alloc.lost = false; /* the step goes on without the controller's watch */
        if (p[3].revents != 0 && srun_input_forward(s, &err) < 0)
            return step_lost(s, &err);
    }
    srun_io_finish(s);
    return s->code;
}

static int run_step(struct srun *s, struct err *err)
{
    helper_run(s, s->req->srun_prolog);
    int rc = srun_attach(s, err);
    if (rc != 0) {
        err_prefix(err, "Task launch for StepId=%u.%u failed on node %s", s->job_id, s->step_id,
                   s->nodes->nodes[0]->name);
        rc = command_fail(srun_program, err);
        if (s->own_job)
            alloc_cancel(&s->alloc);
        return rc;
    }
    srun_io_start(s);
    if (s->req->pty)
        s->raw = pty_raw();
    rc = loop(s);
    pty_restore();
    helper_run(s, s->req->srun_epilog);
    return rc;
}

static void srun_fini(struct srun *s)
{
    srun_io_fini(s);
    wire_conn_close(s->step);
    wire_conn_close(s->manager);
    free(s->root_sock);
    if (s->layout != NULL)
        sl__step_layout__free_unpacked(s->layout, NULL);
    if (s->nodes != NULL)
        sl__allocation__free_unpacked(s->nodes, NULL);
    free(s->state);
    buf_fini(&s->told);
    alloc_fini(&s->alloc);
    close(s->signal_fd);
}

static int run(struct job_request *r, struct err *err)
{
    struct srun s = {.req = r, .signal_fd = -1};

    if (prepare(&s, err) != 0 || alloc_init(&s.alloc, srun_program, r->quiet, err) != 0)
        return command_fail(srun_program, err);
    int rc = srun_signals_open(&s, err);
    if (rc != 0)
        rc = command_fail(srun_program, err);
    else
        rc = r->jobid != NULL ? job_step(&s, err) : own_job(&s, err);
    if (rc == 0 && !(r->test_only && r->jobid == NULL))
        rc = run_step(&s, err);
    if (s.out_error != 0) { /* a full disk: the output is not whole, whatever the tasks say */
        command_error(srun_program, "output was lost: %s", strerror(s.out_error));
        rc = rc != 0 ? rc : command_exit_error();
    }
    srun_fini(&s);
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct job_request *r = job_request_create(JOB_CMD_SRUN);
    int rc = 0;

    if (job_request_argv(r, argc, argv, &err) != 0)
        rc = command_usage_fail(srun_program, &err);
    else if (r->help)
        job_print_help(r->command, stdout);
    else if (r->usage)
        job_print_usage(r->command, stdout);
    else if (r->version)
        command_version();
    else if (job_request_env(r, environ, &err) != 0)
        rc = command_fail(srun_program, &err);
    else if (r->mpi != NULL && strcmp(r->mpi, "list") == 0)
        fputs("MPI plugin types are...\n\tnone\n\tpmix\n", stderr);
    else if (r->argc == 0) {
        err_set(&err, SL_EINVAL_FIELD, "No command given to execute.");
        rc = command_usage_fail(srun_program, &err);
    } else if (srun_het_wanted(r))
        rc = srun_het_run(r, argc, argv);
    else
        rc = run(r, &err);
    job_request_destroy(r);
    return command_end(srun_program, rc);
}
