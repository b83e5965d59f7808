/* SPDX-License-Identifier: MIT */
/* waker.c: a foreign thread's way to wake the loop.
 *
 * A waker is one post that may be on its way or not, so that waking neither allocates nor locks,
 * and waking often before the loop has looked is one call. A waking thread is counted while inside:
 * when the loop ends before the waker was freed, it lets go of the loop, waits until no thread is
 * inside, and from then on waking does nothing. So a foreign thread needs no lock of its own
 * against the loop's end.
 *
 * Owns: the post, and one count of loop->external_refs while the loop lives. */
#include <crank/thread.h>

#include <sched.h>
#include <stdatomic.h>

#include "base/check.h"
#include "loop/inherit.h"
#include "loop/loop.h"

/* The post belongs to the loop from posted to delivered; all else to the loop's thread, but for
 * the three atomics. */
struct crank_waker {
    cr_post post;
    cr_closer closer;           /* tells it that the loop ends */
    _Atomic(crank_loop *) loop; /* NULL when that has ended */
    atomic_bool posted;
    atomic_uint inside;
    unsigned forks; /* cr_forks of the process that made it: a child's threads are not inside */
    bool freed;     /* with its post on the way */
    const cr_sys *sys;
    void (*fn)(void *arg);
    void *arg;
};

/* posted is cleared first: a wake from within fn, or meanwhile, becomes another call. */
static void delivered(cr_post *post)
{
    crank_waker *waker = cr_container_of(post, crank_waker, post);
    if (waker->freed) {
        cr_free(waker->sys, waker);
        return;
    }
    atomic_store(&waker->posted, false);
    cr_loop_call_posted(waker->fn, waker->arg);
}

/* After it no thread inside still sees the loop. */
static void let_go_of_loop(crank_waker *waker)
{
    atomic_store(&waker->loop, NULL);
    while (atomic_load(&waker->inside) > 0 && waker->forks == cr_forks)
        sched_yield();
}

/* The run is over and its waker was not freed: it becomes one that does nothing. */
static void loop_ends(crank_loop *loop, cr_closer *closer)
{
    loop->external_refs--;
    let_go_of_loop(cr_container_of(closer, crank_waker, closer));
}

/* A loop that does not run has no thread: it may be prepared on any. */
static bool own(const crank_loop *loop) { return loop == cr_loop_here || !loop->running; }

/* outside goes up: while it exists a thread may wake the loop, so it is not starved. */
crank_waker *crank_waker_new(crank_loop *loop, void (*fn)(void *arg), void *arg)
{
    CR_CHECK(fn, "crank_waker_new: the function is NULL; a wake needs one to call");
    cr_loop_check_given(loop, "crank_waker_new");
    if (cr_inherit_is_needed(loop))
        cr_inherit_loop(loop, "crank_waker_new");
    CR_CHECK(own(loop), "crank_waker_new: make a waker on the loop's own thread");
    crank_waker *waker = cr_alloc_zero(loop->sys, sizeof *waker);
    if (!waker) {
        errno = ENOMEM;
        return NULL;
    }
    waker->post.deliver = delivered;
    waker->closer.close = loop_ends;
    atomic_init(&waker->loop, loop);
    waker->forks = cr_forks;
    waker->sys = loop->sys;
    waker->fn = fn;
    waker->arg = arg;
    cr_loop_at_close(loop, &waker->closer);
    loop->external_refs++;
    return waker;
}

/* Nothing but atomic operations and at most one write to an eventfd: signal handlers may. */
void crank_waker_wake(crank_waker *waker)
{
    CR_CHECK(waker,
        "crank_waker_wake: the waker is NULL; crank_waker_new gives that when memory is short");
    atomic_fetch_add(&waker->inside, 1);
    crank_loop *loop = atomic_load(&waker->loop);
    if (loop && !atomic_exchange(&waker->posted, true) && !cr_loop_post(loop, &waker->post))
        atomic_store(&waker->posted, false);
    atomic_fetch_sub(&waker->inside, 1);
}

/* The caller has told its threads not to wake it any more; those that are inside right now are
 * waited for. */
void crank_waker_free(crank_waker *waker)
{
    if (!waker)
        return;
    crank_loop *loop = atomic_load(&waker->loop);
    /* One of a run in the process that forked this one: nothing here delivers its post. */
    if (!loop || (cr_inherit_is_needed(loop) && !loop->bare)) {
        cr_free(&cr_sys_real, waker);
        return;
    }
    if (cr_inherit_is_needed(loop))
        cr_inherit_loop(loop, "crank_waker_free");
    CR_CHECK(
        own(loop), "crank_waker_free: free a waker on its loop's own thread, or after the run");
    let_go_of_loop(waker);
    loop->external_refs--;
    cr_loop_not_at_close(loop, &waker->closer);
    if (atomic_load(&waker->posted))
        waker->freed = true; /* its post goes with it when it arrives */
    else
        cr_free(waker->sys, waker);
}
