/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/offload.h"

#include "base/buf.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS 2
#define WAITING_MAX 4096 /* jobs; more connections than that do not begin at once */

struct job_queue {
    struct offload_job *first, **end;
};

/* Ports are counted by their owner and by each job under way. */
struct offload_port {
    struct event *on_done;
    int fd;
    unsigned references; /* these three under the mutex */
    bool closed;
    struct job_queue done;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_to_do = PTHREAD_COND_INITIALIZER;
static struct job_queue waiting = {.end = &waiting.first};
static unsigned waiting_count, threads_count;

static void queue_put(struct job_queue *q, struct offload_job *job)
{
    job->next = NULL;
    *q->end = job;
    q->end = &job->next;
}

static struct offload_job *queue_take(struct job_queue *q)
{
    struct offload_job *job = q->first;
    if (job && !(q->first = job->next))
        q->end = &q->first;
    return job;
}

/* Under the mutex. */
static void port_release(struct offload_port *port)
{
    if (--port->references > 0)
        return;
    close(port->fd);
    free(port);
}

static void job_finish(struct offload_job *job)
{
    struct offload_port *port = job->port;
    pthread_mutex_lock(&mutex);
    bool closed = port->closed;
    if (!closed) {
        queue_put(&port->done, job);
        (void)!write(port->fd, &(uint64_t){1}, sizeof(uint64_t));
    }
    port_release(port);
    pthread_mutex_unlock(&mutex);
    if (closed)
        job->drop(job);
}

static void *thread_main(void *arg)
{
    (void)arg;
    for (;;) {
        pthread_mutex_lock(&mutex);
        struct offload_job *job;
        while (!(job = queue_take(&waiting)))
            pthread_cond_wait(&work_to_do, &mutex);
        waiting_count--;
        bool closed = job->port->closed;
        pthread_mutex_unlock(&mutex);
        if (!closed)
            job->work(job);
        job_finish(job);
    }
    return NULL;
}

/* Under the mutex. Signals are for the program's own threads. */
static int threads_start(struct err *err)
{
    sigset_t all, before;
    int rc = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (threads_count < THREADS && rc == 0) {
        pthread_t thread;
        rc = pthread_create(&thread, NULL, thread_main, NULL);
        if (rc == 0) {
            pthread_detach(thread);
            threads_count++;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return threads_count > 0 ? 0 : err_set(err, -rc, "no thread can be started");
}

static void done_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct offload_port *port = arg;
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
    pthread_mutex_lock(&mutex);
    port->references++;
    struct offload_job *job;
    while (!port->closed && (job = queue_take(&port->done))) {
        pthread_mutex_unlock(&mutex);
        job->done(job);
        pthread_mutex_lock(&mutex);
    }
    port_release(port);
    pthread_mutex_unlock(&mutex);
}

struct offload_port *offload_port_create(struct event_base *base, struct err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        err_errno(err, "eventfd");
        return NULL;
    }
    struct offload_port *port = xcalloc(1, sizeof(*port));
    port->fd = fd;
    port->references = 1;
    port->done.end = &port->done.first;
    port->on_done = event_new(base, fd, EV_READ | EV_PERSIST, done_cb, port);
    ASSERT(port->on_done);
    event_add(port->on_done, NULL);
    return port;
}

void offload_port_destroy(struct offload_port *port)
{
    if (!port)
        return;
    event_free(port->on_done);
    pthread_mutex_lock(&mutex);
    port->closed = true;
    struct offload_job *done = port->done.first;
    port->done.first = NULL;
    port->done.end = &port->done.first;
    port_release(port);
    pthread_mutex_unlock(&mutex);
    while (done) {
        struct offload_job *next = done->next;
        done->drop(done);
        done = next;
    }
}

int offload_run(struct offload_port *port, struct offload_job *job, struct err *err)
{
    pthread_mutex_lock(&mutex);
    int rc = threads_start(err);
    if (rc == 0 && waiting_count >= WAITING_MAX)
        rc = err_set(err, SL_ETOO_MANY, "%u connections wait for munged already",
                     waiting_count);
    if (rc == 0) {
        job->port = port;
        port->references++;
        queue_put(&waiting, job);
        waiting_count++;
        pthread_cond_signal(&work_to_do);
    }
    pthread_mutex_unlock(&mutex);
    return rc;
}
