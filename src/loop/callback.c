/* SPDX-License-Identifier: MIT */
/* callback.c: the callback layer of crank/loop.h.
 *
 * Owns calls (once, soon or at a time) and watchers (a call whenever a descriptor is ready).
 * Both stand in the ready line among the fibers, so that callbacks and tasks take turns first in,
 * first out. A watcher is one poll operation, submitted again after each call: a descriptor that
 * stays ready is called once per turn.
 *
 * The line is singly linked: what is cancelled while it stands there stays until it is reached, and
 * is then dropped. A record is given back at the one place where nothing points to it any more. */
#include "loop/callback.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/freelist.h"
#include "loop/handles.h"
#include "loop/inherit.h"

/* Given back once it is removed and neither in flight nor busy: by its last completion, or after
 * its last call. */
typedef struct watcher {
    cr_service service;
    cr_op op;
    crank_loop *loop;
    crank_callback *fn;
    void *arg;
    bool in_flight; /* the backend has op */
    bool busy;      /* in the ready line, or being called */
    bool removed;
} watcher;

enum direction { READER, WRITER, DIRECTIONS };

struct cr_watch {
    cr_handles handles;
    cr_freelist watchers;
    watcher *(*table)[DIRECTIONS]; /* by descriptor */
    size_t room;
};

/* A loop that does not run has no thread: it may be prepared on any. */
static void check_thread(crank_loop *loop, const char *call)
{
    cr_loop_check_given(loop, call);
    if (CR_UNLIKELY(cr_inherit_is_needed(loop)))
        cr_inherit_loop(loop, call);
    CR_CHECK(!loop->running || cr_loop_here == loop,
        "%s: called from another thread than its loop's; use crank_post or crank_submit there",
        call);
}

/* The calls that take a function say that it is missing, before it would be called in some turn. */
static void check_call(crank_loop *loop, crank_callback *fn, const char *call)
{
    check_thread(loop, call);
    CR_CHECK(fn, "%s: the function is NULL; give the one that the loop shall call", call);
}

/* The handle finds nothing from the beginning of its call on; the record serves the next one after
 * it. */
static void run_call(crank_loop *loop, cr_service *service)
{
    cr_call *call = cr_container_of(service, cr_call, service);
    if (call->state == CR_CALL_QUEUED) {
        cr_handles_forget(call);
        call->fn(call->arg);
    }
    cr_handles_put(&loop->watch->handles, call);
}

static void queue_call(cr_call *call)
{
    call->state = CR_CALL_QUEUED;
    cr_service_push(call->loop, &call->service);
}

/* Into the ready line and not called at once: callbacks and tasks take turns in one order. */
void cr_callback_due(crank_loop *loop, cr_timer *timer)
{
    (void)loop;
    queue_call(cr_container_of(timer, cr_call, timer));
}

static cr_call *new_call(crank_loop *loop, crank_callback *fn, void *arg)
{
    cr_call *call = cr_handles_get(&loop->watch->handles);
    if (!call) {
        errno = ENOMEM;
        return NULL;
    }
    call->service.run = run_call;
    call->loop = loop;
    call->fn = fn;
    call->arg = arg;
    return call;
}

/* To the end of the line, behind what is ready: also called from a callback it does not run at
 * once. */
crank_handle *crank_call_soon(crank_loop *loop, crank_callback *fn, void *arg)
{
    check_call(loop, fn, "crank_call_soon");
    cr_call *call = new_call(loop, fn, arg);
    if (!call)
        return NULL;
    queue_call(call);
    return cr_handles_of(call);
}

/* Where no timer can be had there is no handle either: nothing is half planned. */
static crank_handle *call_at(crank_loop *loop, int64_t deadline, crank_callback *fn, void *arg)
{
    cr_call *call = new_call(loop, fn, arg);
    if (!call)
        return NULL;
    call->state = CR_CALL_TIMED;
    if (cr_timer_start(loop, &call->timer, CR_TIMER_CALLBACK, deadline) < 0) {
        cr_handles_put(&loop->watch->handles, call);
        errno = ENOMEM;
        return NULL;
    }
    return cr_handles_of(call);
}

/* A span that is no number has no place among the others: refused, not taken for 0. */
crank_handle *crank_call_later(crank_loop *loop, double seconds, crank_callback *fn, void *arg)
{
    check_call(loop, fn, "crank_call_later");
    int64_t span = cr_loop_nanoseconds(seconds);
    if (span < 0) {
        errno = EINVAL;
        return NULL;
    }
    return call_at(loop, cr_after(cr_now(loop), span), fn, arg);
}

crank_handle *crank_call_at(crank_loop *loop, double time, crank_callback *fn, void *arg)
{
    check_call(loop, fn, "crank_call_at");
    int64_t deadline = cr_loop_instant(time);
    if (deadline < 0) {
        errno = EINVAL;
        return NULL;
    }
    return call_at(loop, deadline, fn, arg);
}

/* What stands in the ready line stays there until it is reached, but its handle is given up now. */
int crank_handle_cancel(crank_handle *handle)
{
    cr_call *call = cr_handles_find(handle);
    if (!call)
        return -ESRCH;
    check_thread(call->loop, "crank_handle_cancel");
    if (call->state == CR_CALL_TIMED) {
        cr_timer_stop(call->loop, &call->timer);
        cr_handles_put(&call->loop->watch->handles, call);
    } else {
        call->state = CR_CALL_CANCELLED;
        cr_handles_forget(call);
    }
    return 0;
}

/* busy until it has been called: a removal in between must leave the record where it is. */
static void queue_watcher(watcher *w)
{
    w->busy = true;
    cr_service_push(w->loop, &w->service);
}

/* Removed while in flight: this is the last that points to it. */
static void watcher_completed(cr_op *op, void *arg)
{
    watcher *w = arg;
    (void)op;
    w->in_flight = false;
    if (w->removed)
        cr_freelist_put(&w->loop->watch->watchers, w);
    else
        queue_watcher(w);
}

/* 0, or why the descriptor cannot be watched. */
static int submit_watcher(watcher *w)
{
    if (cr_loop_submit(w->loop, &w->op) == CR_PENDING)
        w->in_flight = true;
    else if (w->op.result < 0)
        return (int)w->op.result;
    else
        queue_watcher(w);
    return 0;
}

/* By descriptor's number, as in epoll: one reader and one writer each, as asyncio has it. For a
 * descriptor that the table has room for. */
static watcher **place_of(crank_loop *loop, int fd, enum direction direction)
{
    return &loop->watch->table[fd][direction];
}

/* NULL: the descriptor has no watcher for this direction. */
static watcher *find_watcher(crank_loop *loop, int fd, enum direction direction)
{
    return fd >= 0 && (size_t)fd < loop->watch->room ? *place_of(loop, fd, direction) : NULL;
}

/* The operation itself says it; a field of its own could disagree. */
static enum direction direction_of(const watcher *w)
{
    return (w->op.events & EPOLLIN) ? READER : WRITER;
}

/* A descriptor that has become unusable is dropped after its call: the callback has had the
 * occasion to see it. */
static void run_watcher(crank_loop *loop, cr_service *service)
{
    watcher *w = cr_container_of(service, watcher, service);
    if (!w->removed)
        w->fn(w->arg);
    w->busy = false;
    if (!w->removed && submit_watcher(w) < 0) {
        *place_of(loop, w->op.fd, direction_of(w)) = NULL;
        w->removed = true;
    }
    if (w->removed)
        cr_freelist_put(&loop->watch->watchers, w);
}

/* Never shrinks: descriptors are small numbers, used again. */
static int reserve(crank_loop *loop, int fd)
{
    struct cr_watch *watch = loop->watch;
    size_t room = watch->room ? watch->room : 16;
    while (room <= (size_t)fd)
        room *= 2;
    if (room == watch->room)
        return 0;
    watcher *(*table)[DIRECTIONS] = cr_resize(loop->sys, watch->table, room * sizeof *table);
    if (!table)
        return -ENOMEM;
    memset(table + watch->room, 0, (room - watch->room) * sizeof *table);
    watch->table = table;
    watch->room = room;
    return 0;
}

/* The record goes later, wherever it stands; the place is free at once, for a new one. */
static int remove_watcher(crank_loop *loop, int fd, enum direction direction)
{
    watcher *w = find_watcher(loop, fd, direction);
    if (!w)
        return 0;
    *place_of(loop, fd, direction) = NULL;
    w->removed = true;
    if (w->in_flight)
        cr_loop_cancel_poll(loop, &w->op);
    return 1;
}

/* Regular files are always ready: watching one would be a busy loop, and is refused as epoll
 * does. */
static int check_descriptor(crank_loop *loop, int fd)
{
    struct stat status;
    int err = fd < 0 ? -EBADF : loop->sys->stat(loop->sys->context, fd, &status);
    if (err < 0)
        return err;
    return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -EPERM : reserve(loop, fd);
}

/* The new watcher is in place before the old one goes: a failure leaves things as they were. */
static int add_watcher(
    crank_loop *loop, int fd, enum direction direction, crank_callback *fn, void *arg)
{
    int err = check_descriptor(loop, fd);
    if (err == 0)
        err = cr_inherit_renew(loop);
    if (err < 0)
        return err;
    watcher *w = cr_freelist_get(&loop->watch->watchers);
    if (!w)
        return -ENOMEM;
    *w = (watcher){
        .service.run = run_watcher,
        .op = { .code = CR_OP_POLL, .fd = fd, .completed = watcher_completed, .arg = w },
        .loop = loop,
        .fn = fn,
        .arg = arg,
    };
    w->op.events = direction == READER ? EPOLLIN : EPOLLOUT;
    err = submit_watcher(w);
    if (err < 0) {
        cr_freelist_put(&loop->watch->watchers, w);
        return err;
    }
    remove_watcher(loop, fd, direction);
    *place_of(loop, fd, direction) = w;
    return 0;
}

int crank_add_reader(crank_loop *loop, int fd, crank_callback *fn, void *arg)
{
    check_call(loop, fn, "crank_add_reader");
    return add_watcher(loop, fd, READER, fn, arg);
}

int crank_add_writer(crank_loop *loop, int fd, crank_callback *fn, void *arg)
{
    check_call(loop, fn, "crank_add_writer");
    return add_watcher(loop, fd, WRITER, fn, arg);
}

/* Gives how many were removed, as asyncio's says whether there was one; never fails. */
int crank_remove_reader(crank_loop *loop, int fd)
{
    check_thread(loop, "crank_remove_reader");
    return remove_watcher(loop, fd, READER);
}

int crank_remove_writer(crank_loop *loop, int fd)
{
    check_thread(loop, "crank_remove_writer");
    return remove_watcher(loop, fd, WRITER);
}

/* The table of descriptors is made with the first that is watched. */
int cr_callback_watch_new(crank_loop *loop)
{
    struct cr_watch *watch = cr_alloc_zero(loop->sys, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    cr_handles_init(&watch->handles, loop);
    cr_freelist_init(&watch->watchers, loop->sys, sizeof(watcher));
    loop->watch = watch;
    return 0;
}

/* What the backend has must come back before the memory goes: cancelled, it comes soon. A program
 * may have left a listener or a stream open. */
void cr_callback_watch_free(crank_loop *loop)
{
    struct cr_watch *watch = loop->watch;
    if (!watch)
        return;
    for (size_t fd = 0; fd < watch->room; fd++)
        for (enum direction direction = READER; direction < DIRECTIONS; direction++)
            remove_watcher(loop, (int)fd, direction);
    cr_turn_end_operations(loop);
    cr_handles_deinit(&watch->handles);
    cr_freelist_deinit(&watch->watchers);
    cr_free(loop->sys, watch->table);
    cr_free(loop->sys, watch);
    loop->watch = NULL;
}
