/* SPDX-License-Identifier: Apache-2.0
 *
 * srun(1) "SIGNALS AND ESCAPE SEQUENCES": the first Ctrl-C reports the tasks, a second
 * within a second sends it to them and ends the step, a third gives up waiting.
 * Other signals go to the tasks.
 */
#include "srun.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int handled[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,   SIGUSR1,
                              SIGUSR2, SIGALRM, SIGCONT, SIGWINCH, SIGTSTP};
static sigset_t mask_before;

#define ABORT_GRACE (2 * USEC_PER_SEC) /* for the tasks to end by the signal itself */

int srun_signals_open(struct srun *s, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
        sigaddset(&set, handled[i]);
    sigprocmask(SIG_BLOCK, &set, &mask_before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_IGN); /* restoring the terminal from the background */
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd < 0 ? err_errno(err, "signalfd") : 0;
}

void srun_signals_restore(void)
{
    signal(SIGPIPE, SIG_DFL);
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

static void states_say(struct srun *s)
{
    static const char *const names[] = {"waiting", "running", "exited"};
    for (int state = TASK_WAITING; state <= TASK_ENDED; state++) {
        uint32_t *ranks = xcalloc(s->ntasks, sizeof(*ranks));
        size_t n = 0;
        for (uint32_t i = 0; i < s->ntasks; i++)
            if (s->state[i] == state)
                ranks[n++] = i;
        if (n > 0) {
            char *text = srun_ranks(ranks, n);
            command_say(srun_program, "StepId=%u.%u task%s %s: %s", s->job_id, s->step_id,
                        n == 1 ? "" : "s", text, names[state]);
            free(text);
        }
        free(ranks);
    }
}

static int abort_step(struct srun *s, int signal)
{
    if (s->aborts++ > 0) {
        command_say(srun_program, "forcing job termination");
        if (s->own_job)
            alloc_cancel(&s->alloc);
        return 1;
    }
    srun_signal_tasks(s, signal);
    command_say(srun_program,
                "Job step aborted: Waiting up to %lld seconds for job step to finish.",
                (long long)((s->alloc.client.conf->kill_wait + ABORT_GRACE) / USEC_PER_SEC));
    s->terminate_at = clock_mono_usec() + ABORT_GRACE;
    return 0;
}

static int interrupt(struct srun *s)
{
    usec_t now = clock_mono_usec();
    bool second = s->interrupted != 0 && now - s->interrupted <= USEC_PER_SEC;

    if (s->aborts > 0)
        return abort_step(s, SIGINT);
    if (second || s->req->quit_on_interrupt || s->req->disable_status) {
        command_say(srun_program, "sending Ctrl-C to StepId=%u.%u", s->job_id, s->step_id);
        return abort_step(s, SIGINT);
    }
    s->interrupted = now;
    command_say(srun_program, "interrupt (one more within 1 sec to abort)");
    states_say(s);
    return 0;
}

static void window_changed(struct srun *s)
{
    Sl__WinSize w = SL__WIN_SIZE__INIT;
    if (!s->req->step.pty)
        return;
    pty_size(&w.rows, &w.cols);
    if (w.rows != 0)
        wire_send(s->step, WIRE_WIN_SIZE, 0, &w.base, NULL);
}

static int one_signal(struct srun *s, int sig)
{
    if (!s->attached) { /* still waiting for resources */
        if (sig == SIGINT || sig == SIGQUIT || sig == SIGTERM || sig == SIGHUP)
            return 1;
        return 0;
    }
    switch (sig) {
    case SIGINT:
        return interrupt(s);
    case SIGTSTP: /* ignored, as srun(1) says */
        return 0;
    case SIGWINCH:
        window_changed(s);
        return 0;
    case SIGCONT:
        s->input_on = s->req->step.std_in[0] == '\0';
        if (s->raw)
            pty_raw();
        return 0;
    default:
        srun_signal_tasks(s, sig);
        return 0;
    }
}

int srun_signals_handle(struct srun *s)
{
    struct signalfd_siginfo si;
    int rc = 0;
    while (rc == 0 && read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
        rc = one_signal(s, (int)si.ssi_signo);
    return rc;
}
