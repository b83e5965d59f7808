/* SPDX-License-Identifier: MIT */
/* interrupt.c: Ctrl-C.
 *
 * Owns: the handler of SIGINT, which is the process's as signals are, and which run it is for. The
 * first Ctrl-C cancels app, a second ends the process. */
#include "run/interrupt.h"
#include "run/program.h"
#include "run/shutdown.h"
#include "base/fork.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

static _Atomic(cr_run *) interrupted_run;
static _Atomic int interrupts;
static _Atomic int handling; /* handlers under way, on any thread: they may hold the cr_run */
static struct sigaction handled_before; /* interrupted_run's, while there is one */

/* Async-signal-safe: two atomics and a post, which is one exchange and at most one write. The
 * second Ctrl-C puts the default action back and sends it again: a program that cannot end must
 * be endable. */
static void on_interrupt(int signal)
{
    int saved = errno;
    atomic_fetch_add(&handling, 1);
    cr_run *r = atomic_load(&interrupted_run);
    if (!r) { /* the run has just ended: the handler from before it is in place again */
        raise(signal);
    } else if (atomic_fetch_add(&interrupts, 1) > 0) {
        struct sigaction standard = { .sa_handler = SIG_DFL };
        sigaction(signal, &standard, NULL);
        raise(signal);
    } else {
        (void)cr_loop_post(r->loop, &r->interrupt); /* refused: it came when the run was over */
    }
    atomic_fetch_sub(&handling, 1);
    errno = saved;
}

/* In the loop, as a post. A root that has ended has nothing to cancel; the status says 130
 * anyway. */
static void interrupted(cr_post *post)
{
    cr_run *r = cr_container_of(post, cr_run, interrupt);
    if (!cr_loop_here)
        return; /* it came when the run was over, and is delivered as the loop is closed */
    r->error = -EINTR;
    if (r->ended)
        return;
    cr_shutdown_start_grace(r);
    (void)crank_cancel_because(
        cr_task_handle(cr_task_state_of(r->loop)->root), "interrupted (Ctrl-C)");
}

/* In the child of a fork the run goes on no more. */
/* unreached: in a child, before fork returns: gcov forgets the counts of that. */
static void forget_interrupts(void)
{
    if (atomic_exchange(&interrupted_run, NULL))
        sigaction(SIGINT, &handled_before, NULL);
    atomic_store(&handling, 0);
}
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static void prepare(void) { cr_fork_prepare(forget_interrupts); }

/* The first run that asks for it handles SIGINT; one at a time in a process. */
bool cr_interrupts_handle(cr_run *r)
{
    cr_run *none = NULL;
    r->interrupt.deliver = interrupted;
    (void)pthread_once(&prepared, prepare);
    if (!r->loop->options.handle_interrupt ||
        !atomic_compare_exchange_strong(&interrupted_run, &none, r))
        return false;
    atomic_store(&interrupts, 0);
    struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART | SA_ONSTACK };
    sigaction(SIGINT, NULL, &handled_before);
    if (handled_before.sa_handler == SIG_IGN) { /* nohup, background jobs: stay as we began */
        atomic_store(&interrupted_run, NULL);
        return false;
    }
    sigaction(SIGINT, &action, NULL);
    return true;
}

/* Afterwards no handler has the run any more, on whichever thread it ran. */
void cr_interrupts_leave(void)
{
    sigaction(SIGINT, &handled_before, NULL);
    atomic_store(&interrupted_run, NULL);
    while (atomic_load(&handling) > 0)
        sched_yield();
}
