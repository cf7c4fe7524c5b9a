/* SPDX-License-Identifier: Apache-2.0
 *
 * sbatch: a script to the controller.
 */
#include "command.h"

#include "base/limits.h"
#include "base/timefmt.h"
#include "job/state.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char program[] = "sbatch";
extern char **environ;

/* Everything of fd up to max bytes; "name" for errors. */
static int fd_read(int fd, const char *name, size_t max, struct buf *out, struct err *err)
{
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "Unable to read %s", name);
        if (n == 0)
            return 0;
        if (out->len + (size_t)n > max)
            return err_set(err, SL_EINVAL_FIELD, "%s is larger than %zu bytes", name, max);
        buf_put(out, chunk, (size_t)n);
    }
}

/* A name without a slash that is not here is looked for in $PATH. */
static char *script_find(struct job_request *r, const char *name)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/') != NULL || access(name, R_OK) == 0 || path == NULL)
        return arena_strdup(&r->arena, name);
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, ":");
        char *full = arena_printf(&r->arena, "%.*s/%s", (int)n, p, name);
        if (n != 0 && access(full, R_OK | X_OK) == 0)
            return full;
        p += n + (p[n] == ':');
    }
    return arena_strdup(&r->arena, name);
}

static int script_open(struct job_request *r, struct buf *script, const char **name,
                       struct err *err)
{
    if (r->argc == 0) {
        *name = "standard input";
        return fd_read(STDIN_FILENO, *name, SCRIPT_BYTES_MAX, script, err);
    }
    char *path = script_find(r, r->argv[0]);
    *name = r->argv[0];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "Unable to open file %s", r->argv[0]);
    int rc = fd_read(fd, path, SCRIPT_BYTES_MAX, script, err);
    close(fd);
    char *full = realpath(path, NULL);
    r->spec.command = arena_strdup(&r->arena, full != NULL ? full : path);
    free(full);
    return rc;
}

static int script_check(const struct buf *script, struct err *err)
{
    if (script->len == 0)
        return err_set(err, SL_EINVAL_FIELD, "Batch script is empty!");
    if (strspn(script->data, " \t\r\n") == script->len)
        return err_set(err, SL_EINVAL_FIELD, "Batch script contains only whitespace!");
    if (script->len < 2 || script->data[0] != '#' || script->data[1] != '!')
        return err_set(err, SL_EINVAL_FIELD,
                       "This does not look like a batch script.  The first line must start with "
                       "#! followed by the path to an interpreter. For instance: #!/bin/sh");
    if (memchr(script->data, '\0', script->len) != NULL)
        return err_set(err, SL_EINVAL_FIELD,
                       "The controller does not allow scripts that contain a NULL character");
    if (strstr(script->data, "\r\n") != NULL)
        return err_set(err, SL_EINVAL_FIELD,
                       "Batch script contains DOS line breaks (\\r\\n) instead of expected UNIX "
                       "line breaks (\\n)");
    return 0;
}

static int script_load(struct job_request *r, struct buf *script, struct err *err)
{
    const char *name = "";

    if (r->wrap != NULL) {
        if (r->argc > 0)
            return err_set(err, SL_EINVAL_FIELD,
                           "Script arguments not permitted with --wrap option");
        buf_printf(script, "#!/bin/sh\n# This script was created by sbatch --wrap.\n\n%s\n",
                   r->wrap);
        return script_check(script, err);
    }
    int rc = script_open(r, script, &name, err);
    if (rc == 0)
        rc = script_check(script, err);
    if (rc == 0)
        rc = job_request_script(r, name, script->data, script->len, err);
    return rc;
}

/* --export-file: a file name, or the number of an open descriptor. */
static int export_load(const struct job_request *r, struct buf *file, struct err *err)
{
    char *end;
    if (r->export_file == NULL)
        return 0;
    long number = strtol(r->export_file, &end, 10);
    if (*end == '\0' && end != r->export_file && number > STDERR_FILENO)
        return fd_read((int)number, r->export_file, ENV_BYTES_MAX, file, err);
    int fd = open(r->export_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "--export-file: cannot open %s", r->export_file);
    int rc = fd_read(fd, r->export_file, ENV_BYTES_MAX, file, err);
    close(fd);
    return rc;
}

static void say_submitted(const struct job_request *r, const Sl__SubmitReply *reply)
{
    char when[TIME_TEXT_MAX];

    if (r->test_only) {
        char id[16] = ""; /* a controller need not draw an id for it */
        if (reply->job_id != 0)
            snprintf(id, sizeof(id), "%u ", reply->job_id);
        command_say(program, "Job %sto start at %s%s%s%s%s", id,
                    time_format_or(reply->start_estimate, "an unknown time", when),
                    reply->nodes_estimate[0] != '\0' ? " on nodes " : "", reply->nodes_estimate,
                    reply->message[0] != '\0' ? ": " : "", reply->message);
        command_explain(program, reply->explain);
        return;
    }
    if (reply->message[0] != '\0')
        command_say(program, "%s", reply->message);
    if (r->json)
        printf("{\"meta\": {\"plugin\": {\"type\": \"command\", \"name\": \"sbatch\"}}, "
               "\"errors\": [], \"job_id\": %u}\n", reply->job_id);
    else if (r->parsable)
        printf("%u\n", reply->job_id);
    else if (!r->quiet)
        printf("Submitted batch job %u\n", reply->job_id);
    fflush(stdout);
}

/* sbatch(1) --wait: the job's exit code; 1 when a signal ended it. */
static int exit_code(const Sl__JobEvent *ev)
{
    int status = (int)ev->exit_status;
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    return ev->state == JOB_COMPLETED && status == 0 ? 0 : 1;
}

/* A controller that dies while it is called, or does not get through its half of the
 * handshake: the next one may answer. It knew us before, so this is no refusal. Its
 * port may be closed by then: the send dials once more and finds nobody. */
static bool call_again(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET || rc == -ETIMEDOUT || rc == SL_EAUTH ||
           rc == SL_ECTLD_DOWN;
}

static int wait_watch(struct client *c, uint32_t job_id, struct err *err)
{
    enum { TRIES = 100, PAUSE_MSEC = 100 }; /* a refusal that stays is told after 10 s */
    Sl__WatchRequest w = SL__WATCH_REQUEST__INIT;
    uint32_t tag;
    int rc = 0;

    w.job_id = job_id;
    for (int i = 0; i < TRIES; i++) {
        rc = client_connect(c, 3600 * USEC_PER_SEC, err);
        if (rc == SL_ECTLD_DOWN) /* for the whole hour */
            return rc;
        if (rc == 0)
            rc = client_send(c, WIRE_WATCH, &w.base, &tag, err);
        if (!call_again(rc))
            return rc;
        client_disconnect(c);
        poll(NULL, 0, PAUSE_MSEC);
    }
    return rc;
}

/* Follows the job (all tasks of an array) to its end; a restarted controller is
 * asked again. */
static int wait_for_end(struct client *c, uint32_t job_id)
{
    struct err err = {0};
    int worst = 0;

    for (;;) {
        struct wire_msg m;
        int rc = client_event(c, -1, &m, &err);
        if (rc < 0) {
            client_disconnect(c);
            if (wait_watch(c, job_id, &err) != 0)
                return command_fail(program, &err);
            continue;
        }
        if (rc == 0)
            continue;
        if (m.type == WIRE_ERROR) {
            const Sl__ErrorReply *e = (const Sl__ErrorReply *)m.body;
            command_error(program, "%s", e->text);
            wire_msg_clear(&m);
            return command_exit_error();
        }
        bool over = false;
        if (m.type == WIRE_JOB_EVENT) {
            const Sl__JobEvent *ev = (const Sl__JobEvent *)m.body;
            over = job_state_finished((enum job_state)ev->state) && ev->job_id == job_id &&
                   !(ev->state_flags & JOBF_COMPLETING);
            if (over && exit_code(ev) > worst)
                worst = exit_code(ev);
        }
        wire_msg_clear(&m);
        if (over)
            return worst;
    }
}

static int submit(struct job_request *r, const struct buf *script, struct err *err)
{
    struct client c;
    struct wire_msg m;
    struct buf file;
    Sl__SubmitRequest q = SL__SUBMIT_REQUEST__INIT;

    buf_init(&file);
    int rc = export_load(r, &file, err);
    if (rc == 0)
        rc = job_request_export(r, environ, r->export_file != NULL ? buf_str(&file) : NULL,
                                file.len, &q.env, &q.n_env, err);
    if (rc == 0)
        rc = client_init(&c, program, err);
    if (rc != 0) {
        buf_fini(&file);
        return command_fail(program, err);
    }
    q.spec = &r->spec;
    q.script.data = (uint8_t *)script->data;
    q.script.len = script->len;
    q.het = job_request_het(r, &q.n_het);
    q.test_only = r->test_only;
    q.watch = r->wait && !r->test_only;
    rc = client_call(&c, WIRE_SUBMIT, &q.base, WIRE_SUBMIT_REPLY, 0, &m, err);
    if (rc != 0) {
        if (rc != SL_ECTLD_DOWN)
            err_prefix(err, r->test_only ? "allocation failure" : "Batch job submission failed");
        rc = command_fail(program, err);
    } else {
        const Sl__SubmitReply *reply = (const Sl__SubmitReply *)m.body;
        uint32_t job_id = reply->job_id;
        say_submitted(r, reply);
        wire_msg_clear(&m);
        if (q.watch)
            rc = wait_for_end(&c, job_id);
    }
    client_fini(&c);
    buf_fini(&file);
    return rc;
}

static int run(struct job_request *r, int argc, char **argv)
{
    struct err err = {0};
    struct buf script;

    if (job_request_argv(r, argc, argv, &err) != 0)
        return command_usage_fail(program, &err);
    if (r->help || r->usage || r->version) {
        if (r->help)
            job_print_help(r->command, stdout);
        else if (r->usage)
            job_print_usage(r->command, stdout);
        else
            command_version();
        return 0;
    }
    buf_init(&script);
    int rc = script_load(r, &script, &err);
    if (rc == 0)
        rc = job_request_env(r, environ, &err);
    if (rc == 0)
        rc = job_request_finish(r, clock_wall_usec(), &err);
    if (rc == 0)
        command_warn(program, r);
    rc = rc == 0 ? submit(r, &script, &err) : command_fail(program, &err);
    buf_fini(&script);
    return rc;
}

int main(int argc, char **argv)
{
    struct job_request *r = job_request_create(JOB_CMD_SBATCH);
    int rc = run(r, argc, argv);
    job_request_destroy(r);
    return command_end(program, rc);
}
