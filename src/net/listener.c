/* SPDX-License-Identifier: MIT */
/* listener.c: accepting, stopping and closing.
 *
 * Owns the poll of each listening socket, and the tasks that wait for a connection; listen.c makes
 * the sockets. Only a task accepts, after a poll has said that there is something: so a cancelled
 * accept has taken none. A connection wakes one waiter, which wakes the next when it leaves,
 * whatever it has come to: there may be more, and a failure is for each of them to see.
 *
 * Stopping closes the sockets: later peers are refused, as by Go and asyncio, and not left in a
 * queue of which nothing is accepted any more.
 *
 * Invariant: while a task waits, every socket's poll is pending, or a waiter has been woken. */
#include "net/listener.h"

#include <string.h>
#include <sys/epoll.h>

#include "base/check.h"
#include "base/text.h"
#include "task/error.h"

/* ---- Accepting ---- */

static size_t describe_listener(const cr_task *task, char *buf, size_t size)
{
    const crank_listener *l = cr_container_of(task->wait_object, crank_listener, waiters);
    return cr_text_format(buf, size, "a connection to %s", l->sockets[0]->name);
}

static const cr_wait_ops accept_wait = {
    .what = "waits for",
    .hibernatable = true,
    .describe = describe_listener,
};

/* One connection is for one waiter. Where none waits nothing is lost: the next call of crank_accept
 * tries before it waits. */
static void wake_next(crank_listener *l)
{
    cr_task *task = cr_waitq_pop(&l->waiters);
    if (task)
        cr_wake(l->loop, task, 0);
}

void cr_listener_free_record(cr_listening *one)
{
    cr_free(one->loop->sys, one->name);
    cr_free(one->loop->sys, one);
}

/* Close the descriptor, unless that was done. The file goes before its socket, so that no other
 * program finds a path that refuses it. */
static void shut(cr_listening *one)
{
    if (!one->fd.generation)
        return;
    cr_path_remove(one->loop->sys, &one->path);
    if (one->polled)
        cr_loop_cancel_poll(one->loop, &one->poll);
    one->loop->backend->type->close_fd(one->loop->backend, one->fd);
    one->fd.generation = 0;
}

/* The backend still knows the record of a pending poll: its completion frees it. */
void cr_listener_close_socket(cr_listening *one)
{
    one->listener = NULL;
    shut(one);
    if (!one->polled)
        cr_listener_free_record(one);
}

void cr_listener_polled(cr_op *op, void *arg)
{
    cr_listening *one = arg;
    (void)op;
    one->polled = false;
    if (one->listener)
        wake_next(one->listener);
    else
        cr_listener_free_record(one);
}

/* 0: all polls are pending. 1: there is something now. A negative errno: one cannot be polled. */
static int poll_all(crank_listener *l)
{
    int found = 0;
    for (size_t i = 0; i < l->count; i++) {
        cr_listening *one = l->sockets[i];
        if (one->polled)
            continue;
        one->polled = cr_loop_submit(l->loop, &one->poll) == CR_PENDING;
        if (!one->polled && one->poll.result < 0)
            return (int)one->poll.result;
        found |= !one->polled;
    }
    return found;
}

/* What concerns one connection that is gone, or the network for a moment: accept(2) says to treat
 * it like EAGAIN, and the next one may be good. */
static bool is_passing(int err)
{
    return err == -ECONNABORTED || err == -EPROTO || err == -EPERM || err == -EINTR ||
           err == -ENETDOWN || err == -ENOPROTOOPT || err == -EHOSTDOWN || err == -ENONET ||
           err == -EHOSTUNREACH || err == -EOPNOTSUPP || err == -ENETUNREACH;
}

static int accept_from(const cr_listening *one, cr_connection **ret_connection)
{
    const cr_sys *sys = one->loop->sys;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int fd;
    do {
        size = sizeof peer;
        fd = sys->accept(sys->context, one->fd.number, (struct sockaddr *)&peer, &size);
    } while (is_passing(fd));
    if (fd < 0)
        return fd;
    /* It is out of the kernel's queue already: without memory for it, it can only be closed. */
    cr_connection *c = cr_connection_open(one->loop, fd, one->family);
    if (!c) {
        (void)sys->close(sys->context, fd);
        return -ENOMEM;
    }
    if (one->family != AF_UNIX && size <= sizeof c->peer) {
        memcpy(&c->peer, &peer, size);
        c->peer_size = size;
    }
    *ret_connection = c;
    return 0;
}

/* Only a socket with nothing to accept leads on to the next one: any other failure is told. */
static int accept_now(const crank_listener *l, cr_connection **ret_connection)
{
    int err = -EAGAIN;
    for (size_t i = 0; i < l->count && err == -EAGAIN; i++)
        err = accept_from(l->sockets[i], ret_connection);
    return err;
}

/* A waiter that was woken for nothing, because another program has accepted its connection, or it
 * was gone, stands again where it stood. *number: in which order waiters came; 0: it comes now. */
static int wait_in_order(const cr_caller *w, crank_listener *l, uint64_t *number)
{
    cr_task *next = *number > 0 ? l->waiters.head : NULL;
    while (next && next->wait_data.position < *number)
        next = next->node.next;
    if (*number == 0)
        *number = ++l->waited;
    w->self->wait_object = &l->waiters;
    w->self->wait_data.position = *number;
    cr_waitq_join_before(&l->waiters, w->self, next);
    return cr_park_int(w, &accept_wait);
}

/* A waiter that is cancelled before it is woken has nothing to pass on. */
int cr_listener_accept(const cr_caller *w, crank_listener *l, cr_connection **ret_connection)
{
    uint64_t number = 0;
    int err;
    do {
        err = l->stopped ? -ESHUTDOWN : accept_now(l, ret_connection);
        if (err != -EAGAIN)
            break;
        err = poll_all(l);
        if (err == 0) {
            err = wait_in_order(w, l, &number);
            if (err < 0)
                return err;
            err = cr_checkpoint_again(w);
        }
    } while (err >= 0);
    wake_next(l);
    return err;
}

/* At most as many as a long backlog has: a flood would keep this going. */
size_t cr_listener_refuse(crank_listener *l)
{
    enum { at_once = 4096 };
    const cr_sys *sys = l->loop->sys;
    size_t refused = 0;
    for (size_t i = 0; i < l->count; i++) {
        int fd = 0;
        while (refused < at_once && (fd >= 0 || is_passing(fd))) {
            fd = sys->accept(sys->context, l->sockets[i]->fd.number, NULL, NULL);
            if (fd < 0)
                continue;
            (void)sys->close(sys->context, fd);
            refused++;
        }
    }
    return refused;
}

static int accept_one(crank_listener *l, cr_connection **ret_connection)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_accept");
    if (err < 0)
        return err;
    cr_checkpoint_costs(&w, CR_BUDGET_STREAM);
    err = cr_listener_accept(&w, l, ret_connection);
    if (err == 0 || err == -ECANCELED)
        return err;
    return cr_error_set(err, err == -ESHUTDOWN ? "%s was stopped" : "cannot accept on %s: %s",
        l->sockets[0]->name, cr_failure_error_words(err));
}

crank_stream *crank_accept(crank_listener *listener)
{
    cr_connection *connection = NULL;
    CR_CHECK(listener, "crank_accept: the listener is NULL; crank_listen gives that when it fails");
    listener->calls++;
    int err = accept_one(listener, &connection);
    listener->calls--;
    if (err == 0)
        return cr_connection_stream(connection);
    errno = -err;
    return NULL;
}

/* ---- What a listener is ---- */

const char *crank_listener_address(const crank_listener *listener, size_t i)
{
    CR_CHECK(listener, "crank_listener_address: the listener is NULL");
    return i < listener->count ? listener->sockets[i]->name : NULL;
}

int crank_listener_fd(const crank_listener *listener, size_t i)
{
    CR_CHECK(listener, "crank_listener_fd: the listener is NULL");
    return i < listener->count && !listener->stopped ? listener->sockets[i]->fd.number : -EBADF;
}

double cr_listener_grace_left(const crank_listener *l)
{
    return l->stop_by == CR_NEVER ? CRANK_FOREVER : (double)(l->stop_by - cr_now(l->loop)) / 1e9;
}

void cr_listener_add_server(crank_listener *l, cr_server *server)
{
    server->next = l->servers;
    l->servers = server;
}

void cr_listener_remove_server(crank_listener *l, cr_server *server)
{
    cr_server **link = &l->servers;
    while (*link != server)
        link = &(*link)->next;
    *link = server->next;
}

/* Servers that wait for their handlers already are given the earlier end. */
int crank_listener_stop(crank_listener *listener, double grace)
{
    CR_CHECK(listener, "crank_listener_stop: the listener is NULL");
    CR_CHECK(!(grace != grace), "crank_listener_stop: the grace is no number");
    int64_t by = cr_after(cr_now(listener->loop), cr_loop_nanoseconds(grace));
    if (!listener->stopped || by < listener->stop_by)
        listener->stop_by = by;
    listener->stopped = true;
    for (size_t i = 0; i < listener->count; i++)
        shut(listener->sockets[i]);
    double left = cr_listener_grace_left(listener);
    for (cr_server *server = listener->servers; server; server = server->next)
        if (server->limit.state && left < crank_remaining(&server->limit))
            (void)crank_reschedule(&server->limit, left);
    cr_waitq_wake_all(listener->loop, &listener->waiters, 0);
    cr_waitq_wake_all(listener->loop, &listener->full, 0);
    cr_waitq_wake_all(listener->loop, &listener->stopping, 0);
    return 0;
}

static size_t describe_stopping(const cr_task *task, char *buf, size_t size)
{
    const crank_listener *l = cr_container_of(task->wait_object, crank_listener, stopping);
    return cr_text_format(buf, size, "%s to be stopped", l->sockets[0]->name);
}

static const cr_wait_ops stop_wait = {
    .what = "waits for",
    .hibernatable = true,
    .describe = describe_stopping,
};

int crank_listener_wait_stop(crank_listener *listener)
{
    cr_caller w;
    CR_CHECK(listener, "crank_listener_wait_stop: the listener is NULL");
    listener->calls++;
    int err = cr_checkpoint(&w, "crank_listener_wait_stop");
    if (err == 0 && !listener->stopped)
        err = cr_waitq_park(&w, &listener->stopping, &stop_wait);
    listener->calls--;
    return err;
}

size_t crank_listener_connections(const crank_listener *listener)
{
    CR_CHECK(listener, "crank_listener_connections: the listener is NULL");
    return listener->connections;
}

int crank_listener_close(crank_listener *listener)
{
    if (!listener)
        return 0;
    CR_CHECK(listener->calls == 0 && !listener->servers,
        "crank_listener_close: a task still accepts on %s, serves it or waits for its stop; stop "
        "it before, and wait for the task's end",
        listener->sockets[0]->name);
    for (size_t i = 0; i < listener->count; i++)
        cr_listener_close_socket(listener->sockets[i]);
    cr_free(listener->loop->sys, listener);
    return 0;
}
