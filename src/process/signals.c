/* SPDX-License-Identifier: MIT */
/* signals.c: signals to this process, received by tasks.
 *
 * A handler, installed with the first receiver of a signal, notes it in every receiver that names
 * it and posts to the receiver's loop. It is no signalfd: that needs the signal blocked in all
 * threads, also those of libraries, and programs that are started inherit the mask.
 *
 * Owns the handlers of the signals that are received now, and those from before, which are put back
 * with the last receiver; a signal that nothing has taken is then raised again, under the handler
 * from before. Ctrl-C in a run without a receiver is run/interrupt.c's.
 *
 * The handler may run on any thread, at any moment. It reads the list of receivers without a lock:
 * one that is taken out stays in memory, and leads to the next, until no handler is under way. All
 * else happens under the lock, on the receivers' own threads.
 *
 * Invariant: a receiver is given back to the allocator when it is out of the list, no handler is
 * under way, and its post has been delivered. */
#include <crank/signal.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/fork.h"
#include "task/error.h"
#include "task/wait.h"

enum { SIGNALS_MAX = 64 }; /* as many as there are on Linux */

typedef struct receiver receiver;
struct receiver {
    _Atomic(receiver *) next;
    crank_loop *loop;
    uint64_t named;           /* a bit by signal */
    _Atomic uint64_t pending; /* came, and was not taken */
    atomic_bool posted;       /* post is on its way */
    cr_post post;
    cr_waitq waiters;
    int last;    /* the signal taken last: those behind it have their turn first */
    bool closed; /* freed when post is delivered */
    cr_closer closer;
};

static _Atomic(receiver *) receivers;
static atomic_int handling; /* handlers under way, on any thread */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before[SIGNALS_MAX]; /* under the lock, of the signals that are received */
static uint64_t received;                    /* under the lock: a bit by signal */

/* Signals count from 1. */
static uint64_t bit_of(int number) { return UINT64_C(1) << (number - 1); }

/* ---- The handler ---- */

/* True: it had come before, and was not taken. Async-signal-safe, as posting is. */
static bool note(receiver *r, int number)
{
    bool twice = atomic_fetch_or(&r->pending, bit_of(number)) & bit_of(number);
    if (!atomic_exchange(&r->posted, true) && !cr_loop_post(r->loop, &r->post))
        atomic_store(&r->posted, false);
    return twice;
}

/* A program that does not take its Ctrl-C must be endable. */
static void end_process(int number)
{
    struct sigaction standard = { .sa_handler = SIG_DFL };
    sigaction(number, &standard, NULL);
    raise(number);
}

/* Async-signal-safe: atomics, a post for each receiver, and at most one write for each loop that
 * sleeps. */
static void on_signal(int number)
{
    int saved = errno;
    bool taken = false, named = false;
    atomic_fetch_add(&handling, 1);
    for (receiver *r = atomic_load(&receivers); r; r = atomic_load(&r->next)) {
        if (!(r->named & bit_of(number)))
            continue;
        named = true;
        if (!note(r, number))
            taken = true;
    }
    if (number == SIGINT && named && !taken)
        end_process(number);
    atomic_fetch_sub(&handling, 1);
    errno = saved;
}

/* ---- Handlers come and go ---- */

/* Only the first receiver of a signal changes its handler; under the lock. */
static int install(uint64_t named)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK };
    for (int number = 1; number <= SIGNALS_MAX; number++) {
        uint64_t bit = bit_of(number);
        if (!(named & ~received & bit))
            continue;
        if (sigaction(number, &action, &before[number - 1]) < 0)
            return -errno;
        received |= bit;
    }
    return 0;
}

/* Those that no receiver names any more. Gives which. */
static uint64_t uninstall(void)
{
    uint64_t named = 0, gone = 0;
    for (const receiver *r = atomic_load(&receivers); r; r = atomic_load(&r->next))
        named |= r->named;
    for (int number = 1; number <= SIGNALS_MAX; number++)
        if (received & ~named & bit_of(number)) {
            sigaction(number, &before[number - 1], NULL);
            gone |= bit_of(number);
        }
    received &= named;
    return gone;
}

/* In the child of a fork the parent's tasks do not run: what it had before handles its signals. */
static void forget_receivers(void)
{
    pthread_mutex_init(&lock, NULL);
    atomic_store(&receivers, NULL);
    atomic_store(&handling, 0);
    (void)uninstall();
}
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
/* Once per process. */
static void prepare(void) { cr_fork_prepare(forget_receivers); }

/* ---- Receivers ---- */

/* One signal wakes one task, which wakes the next where more are pending. */
static void wake_one(receiver *r)
{
    cr_task *task = atomic_load(&r->pending) ? cr_waitq_pop(&r->waiters) : NULL;
    if (!task)
        return;
    r->loop->external_refs--;
    cr_wake(r->loop, task, 0);
}

/* In the loop. */
static void delivered(cr_post *post)
{
    receiver *r = cr_container_of(post, receiver, post);
    atomic_store(&r->posted, false);
    if (r->closed)
        cr_free(r->loop->sys, r);
    else
        wake_one(r);
}

/* 0 or -EINVAL: a fault handled by a task would come again at once. */
static int named_by(const int *numbers, size_t n, uint64_t *ret_named)
{
    static const int refused[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
        SIGSYS, SIGABRT };
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] < 1 || numbers[i] > SIGNALS_MAX)
            return -EINVAL;
        for (size_t k = 0; k < sizeof refused / sizeof *refused; k++)
            if (numbers[i] == refused[k])
                return -EINVAL;
        *ret_named |= bit_of(numbers[i]);
    }
    return 0;
}

/* In front: the handler sees it whole or not at all. */
static void link_receiver(receiver *r)
{
    atomic_store(&r->next, atomic_load(&receivers));
    atomic_store(&receivers, r);
}

/* Not found in the child of a fork. */
static void unlink_receiver(receiver *r)
{
    receiver *at = atomic_load(&receivers);
    if (at == r) {
        atomic_store(&receivers, atomic_load(&r->next));
        return;
    }
    while (at && atomic_load(&at->next) != r)
        at = atomic_load(&at->next);
    if (at)
        atomic_store(&at->next, atomic_load(&r->next));
}

/* From here on no handler knows it. Gives the signals that no receiver names any more. */
static uint64_t leave(receiver *r)
{
    pthread_mutex_lock(&lock);
    unlink_receiver(r);
    uint64_t gone = uninstall();
    pthread_mutex_unlock(&lock);
    while (atomic_load(&handling) > 0)
        sched_yield();
    return gone;
}

/* The loop ends with a task that did not: its block is never left. */
static void loop_ends(crank_loop *loop, cr_closer *closer)
{
    receiver *r = cr_container_of(closer, receiver, closer);
    (void)leave(r);
    cr_free(loop->sys, r);
}

/* Linked before the handlers are installed: a signal that comes at once finds it. */
static int open_receiver(crank_loop *loop, const int *numbers, size_t n, receiver **ret_receiver)
{
    uint64_t named = 0;
    int err = named_by(numbers, n, &named);
    if (err < 0)
        return err;
    receiver *r = cr_alloc_zero(loop->sys, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->loop = loop;
    r->named = named;
    r->post.deliver = delivered;
    r->closer.close = loop_ends;
    cr_loop_at_close(loop, &r->closer);
    pthread_mutex_lock(&lock);
    link_receiver(r);
    err = install(named);
    pthread_mutex_unlock(&lock);
    *ret_receiver = r;
    return err;
}

/* A failed one is taken back at once, and its error kept for the first wait. */
void crank_signals_begin_(crank_signals *signals, const int *numbers, size_t n)
{
    receiver *r = NULL;
    crank_loop *loop = cr_checked_loop("CRANK_SIGNALS");
    (void)pthread_once(&prepared, prepare);
    (void)cr_checked_self("CRANK_SIGNALS");
    signals->error = open_receiver(loop, numbers, n, &r);
    signals->state = r;
    if (signals->error < 0 && r)
        crank_signals_end_(signals);
}

/* For those that came and that no other receiver names. */
static void raise_again(uint64_t numbers)
{
    for (int number = 1; number <= SIGNALS_MAX; number++)
        if (numbers & bit_of(number))
            raise(number);
}

/* Its post may be on the way: then the memory goes with its delivery. */
void crank_signals_end_(crank_signals *signals)
{
    receiver *r = signals->state;
    if (!r)
        return;
    signals->state = NULL;
    CR_CHECK(!r->waiters.head, "CRANK_SIGNALS: its block ends while a task waits in "
                               "crank_signals_next for one of its signals");
    cr_loop_not_at_close(r->loop, &r->closer);
    raise_again(leave(r) & atomic_load(&r->pending));
    r->closed = true;
    if (!atomic_load(&r->posted))
        cr_free(r->loop->sys, r);
}

/* ---- Waiting ---- */

/* All that would wake it, so that a report shows what to send. */
static size_t describe(const cr_task *task, char *buf, size_t size)
{
    const receiver *r = cr_container_of(task->wait_object, receiver, waiters);
    size_t length = 0;
    for (int number = 1; number <= SIGNALS_MAX && length < size; number++) {
        const char *name = sigabbrev_np(number);
        if (r->named & bit_of(number))
            length += (size_t)snprintf(buf + length, size - length, "%s%s%s", length ? ", " : "",
                name ? "SIG" : "", name ? name : "a real-time signal");
    }
    return length < size ? length : size - 1;
}

/* It took nothing: a signal is taken by the task that runs. */
static bool abort_wait(cr_task *task)
{
    receiver *r = cr_container_of(task->wait_object, receiver, waiters);
    cr_waitq_leave(&r->waiters, task);
    r->loop->external_refs--;
    return true;
}

/* No signal is written to the stack: the task takes it when it runs. */
static const cr_wait_ops signal_wait = {
    .what = "waits for",
    .hibernatable = true,
    .abort = abort_wait,
    .describe = describe,
};

/* The first that is pending behind the one taken last; 0: none. */
static int take(receiver *r)
{
    uint64_t pending = atomic_load(&r->pending);
    for (int i = 0; i < SIGNALS_MAX; i++) {
        int number = (r->last + i) % SIGNALS_MAX + 1;
        if (!(pending & bit_of(number)))
            continue;
        atomic_fetch_and(&r->pending, ~bit_of(number));
        return r->last = number;
    }
    return 0;
}

/* Said by the first wait, since a declaration gives no error. */
static int refuse(int err)
{
    return err == -EINVAL ? cr_error_set(err,
                                "CRANK_SIGNALS: one of the signals cannot be received: it is no "
                                "signal's number, or of one that stops or ends a process at once")
                          : cr_error_set(err, "CRANK_SIGNALS: %s", cr_failure_error_words(err));
}

/* Woken, it may find that another task has taken the signal meanwhile; cancelled before it runs, it
 * leaves the signal to the next. */
static int wait_for_signal(const cr_caller *w, receiver *r)
{
    for (;;) {
        int number = take(r);
        if (number > 0)
            return number;
        r->loop->external_refs++;
        int err = cr_waitq_park(w, &r->waiters, &signal_wait);
        if (err == 0)
            err = cr_checkpoint_again(w);
        if (err < 0) {
            wake_one(r);
            return err;
        }
    }
}

/* Which signals have come is looked at after the checkpoint, so that a cancelled call takes none.
 * */
int crank_signals_next(crank_signals *signals)
{
    cr_caller w;
    CR_CHECK(signals, "crank_signals_next: the signals are NULL");
    int err = cr_checkpoint(&w, "crank_signals_next");
    if (err < 0)
        return err;
    if (signals->error < 0)
        return refuse(signals->error);
    receiver *r = signals->state;
    CR_CHECK(r, "crank_signals_next: the block of the CRANK_SIGNALS has ended");
    CR_CHECK(r->loop == w.loop, "crank_signals_next: the CRANK_SIGNALS is of another loop's task");
    int number = wait_for_signal(&w, r);
    if (number > 0)
        wake_one(r);
    return number;
}
