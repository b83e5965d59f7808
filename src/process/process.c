/* SPDX-License-Identifier: MIT */
/* process.c: a program that was started: waiting for its end, signals, and ending it.
 *
 * A process is known by its pidfd, which no other process can get, so a signal never reaches a
 * stranger. Owns the one place where it is reaped. Its pidfd is polled while a task waits, not
 * before: a program that nothing waits for does not keep a run from being found starved.
 *
 * Any number of tasks may wait, and each is woken with the status: when it runs on the object may
 * be gone. One task may close it, and leaves only when the process is reaped and no operation is
 * pending; neither a request to cancel nor a limit of time ends that wait, for a process that is
 * left is a zombie.
 *
 * Invariant: while a task is in waiters, or closer is set, poll is pending or its completion is
 * just being told. */
#include "process/process.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/check.h"
#include "base/text.h"
#include "io/socketlike.h"
#include "scope/scope.h"
#include "task/error.h"

/* As long as service managers and asyncio's users mostly give a program. */
#define GRACE 5.0 /* seconds */

/* A cancellation has no sentence, for it is no failure of the program's. */
int cr_process_failed(const crank_process *p, const char *verb, int err)
{
    if (err == -ECANCELED)
        return err;
    return cr_error_set(err, "cannot %s %s: %s", verb, p->name,
        err == -ECHILD ? "its status was lost, for SIGCHLD is ignored or another part of the "
                         "program waits for any child"
                       : cr_failure_error_words(err));
}

/* ---- Its end ---- */

/* Has it ended? Interrupted counts as not yet. */
static bool reap(crank_process *p)
{
    const cr_sys *sys = p->loop->sys;
    if (p->ended)
        return true;
    int found = sys->wait_pidfd(sys->context, p->pidfd, &p->status);
    if (found == 0 || found == -EINTR)
        return false;
    if (found < 0)
        p->status = found;
    return p->ended = true;
}

/* The status goes with the wake: a closer that runs first frees the object. A closer looks for
 * itself, and its timer must not be due once it is woken. */
static void wake_all(crank_process *p)
{
    cr_waitq_wake_all(p->loop, &p->waiters, p->status);
    if (!p->closer)
        return;
    if (p->timing)
        cr_timer_stop(p->loop, &p->closer->timer);
    p->timing = false;
    cr_wake(p->loop, p->closer, 0);
}

/* True: poll is pending, or it has ended. Else *ret_error says why it cannot be waited for. */
static bool watch(crank_process *p, int *ret_error)
{
    while (!p->polling && !reap(p)) {
        if (cr_loop_submit(p->loop, &p->poll) == CR_PENDING)
            p->polling = true;
        else if (p->poll.result < 0) {
            *ret_error = (int)p->poll.result;
            return false;
        }
    }
    return true;
}

/* A closer that cannot be told sees for itself: see await_end. A poll that was cancelled for the
 * last waiter completes too, when another may wait: then the program may end between the look here
 * and that of watch. */
static void polled(cr_op *op, void *arg)
{
    crank_process *p = arg;
    int err = 0;
    bool watched = true;
    (void)op;
    p->polling = false;
    if (!reap(p) && (p->waiters.head || p->closer))
        watched = watch(p, &err);
    if (p->ended)
        wake_all(p);
    else if (!watched) {
        cr_waitq_wake_all(p->loop, &p->waiters, err); /* they may try again: it runs on */
        wake_all(p);
    }
}

/* ---- Waiting ---- */

/* Which program, and under which number ps shows it. */
static size_t describe_waiter(const cr_task *task, char *buf, size_t size)
{
    const crank_process *p = cr_container_of(task->wait_object, crank_process, waiters);
    return cr_text_format(buf, size, "%s (process %d)", p->name, (int)p->id);
}

/* The last waiter takes the poll with it, so that a program that nothing waits for does not count
 * as something that will happen. */
static bool abort_wait(cr_task *task)
{
    crank_process *p = cr_container_of(task->wait_object, crank_process, waiters);
    cr_waitq_leave(&p->waiters, task);
    if (p->polling && !p->waiters.head && !p->closer)
        cr_loop_cancel(p->loop, &p->poll);
    return true;
}

/* Nothing lies on the stack: the status comes as the wake value. */
static const cr_wait_ops end_wait = {
    .what = "waits for the end of",
    .hibernatable = true,
    .abort = abort_wait,
    .describe = describe_waiter,
};

/* The object may be freed while the task is parked: nothing of it is read afterwards. */
int crank_process_wait(crank_process *process)
{
    cr_caller w;
    int err = 0;
    CR_CHECK(process, "crank_process_wait: the process is NULL; crank_process_start gives that "
                      "when it fails");
    int status = cr_checkpoint(&w, "crank_process_wait");
    if (status < 0)
        return status;
    if (!watch(process, &err))
        return cr_process_failed(process, "wait for", err);
    if (process->ended) {
        status = process->status;
        return status < 0 ? cr_process_failed(process, "wait for", status) : status;
    }
    status = cr_waitq_park(&w, &process->waiters, &end_wait);
    if (status < 0 && status != -ECANCELED)
        return cr_error_set(
            status, "cannot wait for a process: %s", cr_failure_error_words(status));
    return status;
}

/* ---- Signals ---- */

/* A leader that has ended and was not reaped still holds its group's number. */
static int send_signal(crank_process *p, int number)
{
    const cr_sys *sys = p->loop->sys;
    if (p->session)
        return p->ended ? -ESRCH : sys->signal_group(sys->context, (int)p->id, number);
    return reap(p) ? -ESRCH : sys->signal_pidfd(sys->context, p->pidfd, number);
}

/* The sentence names the program, for a signal to one that has ended is mostly a race of the
 * caller's. */
int crank_process_signal(crank_process *process, int signal)
{
    CR_CHECK(process, "crank_process_signal: the process is NULL");
    int err = send_signal(process, signal);
    return err < 0 ? cr_process_failed(process, "signal", err) : 0;
}

/* ---- Ending it ---- */

/* As for a waiter; a closer stands in no line. */
static size_t describe_closer(const cr_task *task, char *buf, size_t size)
{
    const crank_process *p = task->wait_object;
    return cr_text_format(buf, size, "%s (process %d)", p->name, (int)p->id);
}

/* The grace is over. */
static void kill_it(crank_loop *loop, cr_task *task)
{
    crank_process *p = task->wait_object;
    (void)loop;
    p->timing = false;
    (void)send_signal(p, SIGKILL);
}

/* Its timer is the grace. A request to cancel stays pending until the process has been reaped. */
static const cr_wait_ops close_wait = {
    .what = "ends",
    .abort = cr_wait_abort_nothing,
    .on_timeout = kill_it,
    .describe = describe_closer,
};

/* What cannot be polled, for want of memory, is killed, and then waited for in the loop's own
 * thread: it takes the kernel a moment. */
static void await_here(crank_process *p)
{
    const cr_sys *sys = p->loop->sys;
    (void)send_signal(p, SIGKILL);
    while (!reap(p)) {
        struct pollfd end = { .fd = p->pidfd, .events = POLLIN };
        (void)sys->poll(sys->context, &end, 1, -1);
    }
}

/* Until it has ended, and poll is not pending. */
static void await_end(const cr_caller *w, crank_process *p)
{
    int err = 0;
    while (!p->ended || p->polling) {
        if (!p->ended && !watch(p, &err)) {
            await_here(p);
            cr_waitq_wake_all(p->loop, &p->waiters, p->status);
        } else if (p->ended && p->polling) {
            cr_loop_cancel(p->loop, &p->poll);
        }
        if (p->polling) {
            p->closer = w->self;
            w->self->wait_object = p;
            (void)cr_park(w, &close_wait);
            p->closer = NULL;
        }
    }
    if (p->timing)
        cr_timer_stop(p->loop, &w->self->timer);
    p->timing = false;
}

/* Without memory for a timer there is no grace. */
static void terminate(const cr_caller *w, crank_process *p)
{
    int64_t deadline = cr_after(cr_now(p->loop), cr_loop_nanoseconds(p->grace));
    (void)send_signal(p, SIGTERM);
    p->timing = cr_timer_start(p->loop, &w->self->timer, CR_TIMER_TASK, deadline) == 0;
    if (!p->timing)
        (void)send_signal(p, SIGKILL);
}

/* What is written and can be sent without waiting is sent. */
static void close_stream(const cr_caller *w, crank_stream *stream)
{
    cr_socketlike *s = cr_socketlike_of(stream);
    cr_sending_start(s);
    cr_socketlike_abort(s);
    (void)stream->type->finish(w, stream);
    stream->type->free(w->loop, stream);
}

/* The pointers go first: a task that asks for a stream meanwhile is given none. */
void cr_process_close_streams(const cr_caller *w, crank_process *p)
{
    for (int i = 0; i < CR_PROCESS_STREAMS; i++) {
        crank_stream *stream = p->streams[i];
        p->streams[i] = NULL;
        if (stream)
            close_stream(w, stream);
    }
}

/* Pipes first: most programs end by themselves when their input does. */
void cr_process_finish(const cr_caller *w, crank_process *p)
{
    CR_CHECK(!p->closer, "crank_close: another task is closing %s", p->name);
    cr_process_close_streams(w, p);
    if (!reap(p))
        terminate(w, p);
    await_end(w, p);
    cr_process_free(p);
}

/* A request that came before or meanwhile is answered by the call. */
int crank_process_close(crank_process *process)
{
    if (!process)
        return 0;
    cr_caller w = { cr_checked_loop("crank_close"), cr_checked_self("crank_close") };
    int missing = cr_checkpoint_no_cancel(&w);
    cr_process_finish(&w, process);
    if (missing < 0)
        return missing;
    return cr_checkpoint_again(&w);
}

void crank_process_end_(crank_process *process)
{
    cr_caller w = { cr_checked_loop("crank_close"), cr_checked_self("crank_close") };
    cr_block_end kept = cr_checkpoint_block_end(&w);
    (void)cr_checkpoint_no_cancel(&w);
    cr_process_finish(&w, process);
    cr_checkpoint_block_left(&w, &kept);
}

/* ---- The object ---- */

/* Made before the program is started, so that short memory leaves no program without an object. */
crank_process *cr_process_new(crank_loop *loop, const char *name)
{
    size_t length = strlen(name);
    crank_process *p = cr_alloc_zero(loop->sys, sizeof *p + length + 1);
    if (!p)
        return NULL;
    memcpy(p->name, name, length + 1);
    p->loop = loop;
    p->pidfd = -1;
    p->grace = GRACE;
    p->poll = (cr_op){ .code = CR_OP_POLL, .events = EPOLLIN, .completed = polled, .arg = p };
    return p;
}

/* The number is for people; everything else goes by the pidfd. */
void cr_process_started(crank_process *p, pid_t id, int pidfd)
{
    p->id = id;
    p->pidfd = pidfd;
    p->poll.fd = pidfd;
}

/* The name lies in the same block. */
void cr_process_free(crank_process *p)
{
    const cr_sys *sys = p->loop->sys;
    if (p->pidfd >= 0)
        (void)sys->close(sys->context, p->pidfd);
    cr_free(sys, p);
}

/* NULL where the program has something else there than a pipe to us. */
static crank_stream *stream_of(const crank_process *process, int i, const char *call)
{
    CR_CHECK(
        process, "%s: the process is NULL; crank_process_start gives that when it fails", call);
    return process->streams[i];
}

/* What is written to it leaves by itself, as with every pipe. */
crank_stream *crank_process_in(crank_process *process)
{
    return stream_of(process, 0, "crank_process_in");
}

crank_stream *crank_process_out(crank_process *process)
{
    return stream_of(process, 1, "crank_process_out");
}

crank_stream *crank_process_err(crank_process *process)
{
    return stream_of(process, 2, "crank_process_err");
}

pid_t crank_process_id(const crank_process *process)
{
    CR_CHECK(process, "crank_process_id: the process is NULL");
    return process->id;
}
