/* SPDX-License-Identifier: MIT */
/* ready.c: waiting for a descriptor of others.
 *
 * For libraries that have descriptors of their own. Owns the operation of each wait, in heap memory
 * that the backend may use until it completes, and this thread's list of them, in which
 * crank_fd_closing looks. Nothing stays registered after a wait: the library may close its
 * descriptor, or give its number to another file, without a call to crank. */
#include <crank/stream.h>

#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/text.h"
#include "task/error.h"
#include "task/wait.h"

_Static_assert((int)CRANK_READABLE == (int)EPOLLIN && (int)CRANK_WRITABLE == (int)EPOLLOUT &&
                   (int)CRANK_URGENT == (int)EPOLLPRI,
    "what is asked for is what the backend is asked for");
/* What may be asked for. */
#define ALL (CRANK_READABLE | CRANK_WRITABLE | CRANK_URGENT)

/* One call of crank_wait_fd, while it waits. */
typedef struct fd_wait {
    cr_op op;
    cr_caller waiter;
    struct fd_wait *next, *prev;
    bool closing; /* the descriptor is going to be closed */
} fd_wait;

/* A run stays on its thread. */
static __thread fd_wait *first __attribute__((tls_model("initial-exec")));

/* In front: order does not matter, each has its own operation. */
static void link_wait(fd_wait *wait)
{
    wait->prev = NULL;
    wait->next = first;
    if (first)
        first->prev = wait;
    first = wait;
}

/* From anywhere, without a walk. */
static void unlink_wait(const fd_wait *wait)
{
    *(wait->prev ? &wait->prev->next : &first) = wait->next;
    if (wait->next)
        wait->next->prev = wait->prev;
}

/* An error or an end ends a wait for reading and one for writing. */
static long events_of(const fd_wait *wait)
{
    long result = wait->op.result;
    if (wait->closing)
        return -EBADF;
    if (result < 0)
        return result;
    bool over = result & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);
    return over ? (long)wait->op.events : result & (long)wait->op.events;
}

/* The memory is gone before the task runs, which may wait again. */
static void completed(cr_op *op, void *arg)
{
    fd_wait *wait = arg;
    cr_caller waiter = wait->waiter;
    long events = events_of(wait);
    (void)op;
    unlink_wait(wait);
    cr_free(waiter.loop->sys, wait);
    cr_wake(waiter.loop, waiter.self, events);
}

/* The descriptor may be closed, and its number used again, as soon as this returns. */
static bool abort_wait(cr_task *task)
{
    fd_wait *wait = task->wait_object;
    cr_loop_cancel_poll(wait->waiter.loop, &wait->op);
    return false;
}

/* By its number: what it is only its library knows. */
static size_t describe(const cr_task *task, char *buf, size_t size)
{
    const fd_wait *wait = task->wait_object;
    return cr_text_format(buf, size, "descriptor %d", wait->op.fd);
}

/* What the kernel reads and writes is in heap memory. */
static const cr_wait_ops fd_wait_ops = {
    .what = "waits for",
    .hibernatable = true,
    .abort = abort_wait,
    .describe = describe,
};

/* Files and folders are always ready: there is nothing to wait for. */
static int refuse(const crank_loop *loop, int fd, int events)
{
    struct stat status;
    if (events == 0 || (events & ~ALL))
        return -EINVAL;
    int err = loop->sys->stat(loop->sys->context, fd, &status);
    if (err < 0)
        return err;
    return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -EPERM : 0;
}

/* A request that ended the wait has been answered by it. */
static long wait_for(const cr_caller *w, int fd, int events)
{
    long result = refuse(w->loop, fd, events);
    if (result < 0)
        return result;
    fd_wait *wait = cr_alloc_zero(w->loop->sys, sizeof *wait);
    if (!wait)
        return -ENOMEM;
    wait->waiter = *w;
    wait->op = (cr_op){ .code = CR_OP_POLL,
        .fd = fd,
        .events = (uint32_t)events,
        .completed = completed,
        .arg = wait };
    if (cr_loop_submit(w->loop, &wait->op) == CR_DONE_NOW) {
        result = events_of(wait);
        cr_free(w->loop->sys, wait);
        return result;
    }
    link_wait(wait);
    w->self->wait_object = wait;
    result = cr_park(w, &fd_wait_ops);
    if (result == -ECANCELED)
        (void)cr_checkpoint_again(w);
    return result;
}

/* Each failure has its sentence, for the numbers alone are ambiguous here. */
int crank_wait_fd(int fd, int events)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_wait_fd");
    if (err < 0)
        return err;
    long result = wait_for(&w, fd, events);
    if (result >= 0 || result == -ECANCELED)
        return (int)result;
    return cr_error_set((int)result, "cannot wait for descriptor %d: %s", fd,
        result == -EBUSY   ? "it is a stream's"
        : result == -EPERM ? "it is a file, which is always ready"
                           : cr_failure_error_words(result));
}

/* The backend has let go of it when this returns; the waits end in the next turn. */
void crank_fd_closing(int fd)
{
    for (fd_wait *wait = first; wait; wait = wait->next) {
        if (wait->op.fd != fd || wait->closing)
            continue;
        wait->closing = true;
        cr_loop_cancel_poll(wait->waiter.loop, &wait->op);
    }
}
