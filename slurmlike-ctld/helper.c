/* SPDX-License-Identifier: Apache-2.0 */
#include "helper.h"

#include "base/buf.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
    struct work *head, **tail;
};

struct helper {
    pthread_t thread;
    pthread_mutex_t mutex; /* todo, done, stop */
    pthread_cond_t wake;
    struct queue todo, done;
    bool stop;
    int fd; /* eventfd: done is not empty */
    struct event *event;
};

static void queue_init(struct queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

static void queue_push(struct queue *q, struct work *w)
{
    w->next = NULL;
    *q->tail = w;
    q->tail = &w->next;
}

static struct work *queue_take(struct queue *q)
{
    struct work *w = q->head;
    if (w && !(q->head = w->next))
        q->tail = &q->head;
    return w;
}

static void helper_signal(struct helper *h)
{
    uint64_t one = 1;
    while (write(h->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static void *helper_main(void *arg)
{
    struct helper *h = arg;

    pthread_mutex_lock(&h->mutex);
    for (;;) {
        struct work *w = queue_take(&h->todo);
        if (!w && h->stop)
            break;
        if (!w) {
            pthread_cond_wait(&h->wake, &h->mutex);
            continue;
        }
        pthread_mutex_unlock(&h->mutex);
        w->run(w);
        pthread_mutex_lock(&h->mutex);
        queue_push(&h->done, w);
        helper_signal(h);
    }
    pthread_mutex_unlock(&h->mutex);
    return NULL;
}

static void helper_deliver(struct helper *h)
{
    for (;;) {
        pthread_mutex_lock(&h->mutex);
        struct work *w = queue_take(&h->done);
        pthread_mutex_unlock(&h->mutex);
        if (!w)
            return;
        w->done(w);
    }
}

static void helper_readable(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof(count)) > 0)
        helper_deliver(arg);
}

struct helper *helper_create(struct event_base *base, const char *name, struct err *err)
{
    struct helper *h = xcalloc(1, sizeof(*h));
    sigset_t all, old;
    int rc;

    queue_init(&h->todo);
    queue_init(&h->done);
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->wake, NULL);
    h->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->fd < 0) {
        err_errno(err, "%s thread: eventfd", name);
        free(h);
        return NULL;
    }
    h->event = event_new(base, h->fd, EV_READ | EV_PERSIST, helper_readable, h);
    ASSERT(h->event && event_add(h->event, NULL) == 0);
    /* signals are the loop's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&h->thread, NULL, helper_main, h);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        err_set(err, -rc, "%s thread: %s", name, strerror(rc));
        event_free(h->event);
        close(h->fd);
        free(h);
        return NULL;
    }
    pthread_setname_np(h->thread, name);
    return h;
}

void helper_post(struct helper *h, struct work *w)
{
    pthread_mutex_lock(&h->mutex);
    queue_push(&h->todo, w);
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->mutex);
}

void helper_destroy(struct helper *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->mutex);
    h->stop = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->mutex);
    pthread_join(h->thread, NULL);
    helper_deliver(h);
    event_free(h->event);
    close(h->fd);
    pthread_mutex_destroy(&h->mutex);
    pthread_cond_destroy(&h->wake);
    free(h);
}
