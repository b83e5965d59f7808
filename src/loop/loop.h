/* SPDX-License-Identifier: MIT */
/* loop.h: one turn after another: posted, due, completed, ready.
 *
 * Owns: the runner, the clock, timers, callbacks, posts from threads, the backend. Knows fibers as
 * things to run, not what a task is; what it needs of the layers above it calls through
 * loop->hooks.
 *
 * A loop is one thread's while it runs, and may be another's before and after. Nothing in it is
 * locked: what other threads may do is post, and everything they cause is done by the loop's own
 * thread in its next turn. */
#ifndef CR_LOOP_H
#define CR_LOOP_H
#include <crank/loop.h>
#include "base/check.h"
#include "base/sys.h"
#include "context/fiber.h"
#include "backend/backend.h"
#include "loop/timer.h"
#include "loop/watched.h"
#include "loop/wakeup.h"

#define CR_STEPS 61                 /* fibers run before the clock is read */
#define CR_POLL_NS INT64_C(1000000) /* with fibers ready, look at the world this often */

/* What housekeeping has left to do. */
enum cr_idle {
    CR_IDLE_DONE,  /* ask again when fibers have run */
    CR_IDLE_NOW,   /* there is more to do, but look first whether anything is ready */
    CR_IDLE_LATER, /* ask again in a second, whatever happens */
};

/* How the loop reaches what it must not know: the layers above fill this in before anything
 * runs. */
typedef struct cr_hooks {
    /* The runner handed back a new fiber for which there is no stack: give it one and put it in
     * front, or end it. */
    void (*need_stack)(crank_loop *loop, cr_fiber *fiber);
    /* Nothing is ready, due, in flight or held from outside: nothing will ever happen again. True:
     * stop driving. */
    bool (*starved)(crank_loop *loop);
    /* Called when the loop is about to wait with nothing ready, fibers have run, and the last
     * housekeeping is a second ago: a moment for more. */
    enum cr_idle (*idle)(crank_loop *loop);
    /* A timer of a kind that is not the loop's own is due. */
    void (*timer_due[CR_TIMER_KINDS])(crank_loop *loop, cr_timer *timer);
} cr_hooks;

/* What is to be done once at the end of the pass over the ready line: sending what tasks have
 * written meanwhile. It lies in its owner's record; place is NULL while it is in no list. */
typedef struct cr_settle cr_settle;
struct cr_settle {
    cr_settle *next;
    cr_settle **place; /* what points to this one */
    void (*run)(crank_loop *loop, cr_settle *settle);
};

/* Told when the loop's life ends, where it runs a program when that does, with the tasks' memory
 * still there: by it the layers above end what they keep per loop (workers, wakers) without this
 * one knowing of them. */
typedef struct cr_closer cr_closer;
struct cr_closer {
    cr_closer *next;
    void (*close)(crank_loop *loop, cr_closer *closer);
};

/* Everything here is the loop's own thread's, but for wakeup, which has its own rules, and sys
 * and options, which do not change. */
struct crank_loop {
    cr_sched runner; /* first: the assembly finds it at the loop's address */
    const cr_sys *sys;
    const cr_sys *base_sys; /* what the loop was opened with; sys is the backend's */
    cr_backend *backend;
    cr_timers *timers; /* all of the loop's, tasks' included */
    const cr_hooks *hooks;
    void *tasks;            /* the task layer's state */
    crank_options options;  /* as given, defaults filled in */
    int64_t polled_at;      /* when the world was last looked at */
    cr_closer *closers;     /* newest first */
    cr_settle *settle;      /* at the end of the pass, in this order; NULL */
    cr_settle **settle_end; /* where the next one is hung in */
    size_t external_refs;   /* what may still wake the loop: jobs, readers, wakers, submissions */
    size_t in_flight;       /* operations the backend owns */
    size_t unref_timers;    /* timers that only report something: no task waits for them */
    uint32_t busy;          /* turns with something ready for which the simulated clock has stood */
    uint32_t at_instant;    /* turns of any kind at the instant that it shows */
    int64_t instant;
    int64_t tidy_at;        /* when hooks->idle is due */
    uint64_t tidied;        /* runner.switches when it had nothing more to do */
    bool stopping;          /* told to, and not yet seen to */
    bool running;           /* a thread is in it */
    bool simulated;         /* on the simulator's backend */
    bool explored;          /* its choices follow a list: more is open then */
    bool bare;              /* made by crank_loop_new: callbacks alone, never tasks */
    bool renew;             /* inherited by fork: its backend has no descriptors yet */
    unsigned forks;         /* cr_forks of the process that opened or inherited it */
    cr_wakeup *wakeup;      /* posts from other threads: wakeup.c */
    struct cr_watch *watch; /* readers, writers, callbacks of crank/loop.h: callback.c */
    /* before sleeping look so long for a post: the worker threads may soon make one */
    int64_t spin_ns;
    void *workers; /* the thread layer's state */
    cr_watched watched;
    crank_loop *next_alive; /* all loops of the process: registry.c */
    uint64_t serial;        /* of all loops of the process, from 1; addresses are used again */
    uint64_t posts_called;  /* functions of crank_post and of wakers */
};

/* The loop of this thread, or NULL. Initial-exec: one load. */
extern __thread crank_loop *cr_loop_here __attribute__((tls_model("initial-exec")));

/* A loop with its backend open, not yet this thread's. options may be NULL. sys NULL is the real
 * one. Environment variables CRANK_BACKEND, CRANK_SEED, CRANK_CHOICES, CRANK_DEBUG ... fill what
 * options leave open; an unknown value is -EINVAL with crank_fail-like text in *ret_why (static or
 * NULL). They are ignored in a set-user-ID program. */
int cr_loop_open(
    const crank_options *options, const cr_sys *sys, crank_loop **ret_loop, const char **ret_why);
void cr_loop_close(crank_loop *loop);
/* Call close(loop, closer) at the end, newest first. */
void cr_loop_at_close(crank_loop *loop, cr_closer *closer);
/* No more; one that is not in the list is ignored. */
void cr_loop_not_at_close(crank_loop *loop, cr_closer *closer);
/* The end: call them. */
void cr_loop_ends(crank_loop *loop);
/* Turn until loop->stopping (reset on entry). loop must be this thread's. */
void cr_turn_drive(crank_loop *loop);
/* End all operations, before what they would wake or write to is gone. What they wake does not run
 * any more. */
void cr_turn_end_operations(crank_loop *loop);
/* One turn: posts, due timers, completions, one pass over the ready line. wait: may wait until
 * something happens or until limit. Gives how many fibers and callbacks ran. */
long cr_turn(crank_loop *loop, bool wait, int64_t limit);

/* A CHECK naming a public call that was handed NULL for a loop. */
static inline void cr_loop_check_given(const crank_loop *loop, const char *call)
{
    CR_CHECK(loop,
        "%s: the loop is NULL; crank_loop_new gives that when it fails, and "
        "crank_current_loop where no loop runs",
        call);
}
/* Asked of the table each time: under the simulator it is the virtual clock. Loops that look
 * often keep what they were told (polled_at). */
static inline int64_t cr_now(crank_loop *loop) { return loop->sys->now(loop->sys->context); }
/* Seconds to nanoseconds: negative is 0, huge and infinite is CR_NEVER; NaN gives -1. */
int64_t cr_loop_nanoseconds(double seconds);
/* An instant of crank_time as nanoseconds, never before it: the nearest one may be. NaN
 * gives -1. */
int64_t cr_loop_instant(double time);
/* From the next switch on tracer is called for every event of this loop's tasks; NULL: none is. In
 * the loop's thread. */
static inline void cr_loop_trace(crank_loop *loop, cr_tracer *tracer)
{
    loop->runner.tracer = tracer;
    loop->runner.steps = 0; /* what runs now passes the processor to the loop */
}
/* Is an operation in flight that may still complete though nothing else happens? */
static inline bool cr_loop_awaits(const crank_loop *loop)
{
    const cr_backend_type *type = loop->backend->type;
    return loop->in_flight > 0 && !(type->hopeless && type->hopeless(loop->backend));
}
/* Will anything happen by itself, beside so many timers: is anything ready, planned, in flight,
 * awaited from outside? */
static inline bool cr_loop_expects(const crank_loop *loop, size_t timers)
{
    return loop->runner.head || cr_timers_count(loop->timers) > timers || loop->external_refs > 0 ||
           cr_loop_awaits(loop);
}
/* now + span without overflow. */
static inline int64_t cr_after(int64_t now, int64_t span)
{
    int64_t sum;
    return __builtin_add_overflow(now, span, &sum) ? CR_NEVER : sum;
}
static inline int cr_timer_start(
    crank_loop *loop, cr_timer *timer, enum cr_timer_kind kind, int64_t deadline)
{
    return cr_timers_start(loop->timers, timer, kind, deadline);
}
static inline void cr_timer_stop(crank_loop *loop, cr_timer *timer)
{
    cr_timers_stop(loop->timers, timer);
}

/* From any thread that may (loop->external_refs holds it): deliver post in the loop's thread.
 * Lock-free, one eventfd write where the loop sleeps. False: the program that the loop ran has
 * ended, and post will not be delivered. */
static inline bool cr_loop_post(crank_loop *loop, cr_post *post)
{
    bool accepted = cr_wakeup_post(loop->wakeup, post);
    if (cr_loop_here == loop)
        loop->runner.steps = 0; /* delivered when the running fiber has parked */
    return accepted;
}
/* On delivery: call the function that was posted. Where no loop is here, it is ending and calls
 * nothing any more. */
static inline void cr_loop_call_posted(void (*fn)(void *arg), void *arg)
{
    crank_loop *loop = cr_loop_here;
    if (!loop)
        return;
    loop->posts_called++;
    fn(arg);
}
/* Hand the backend an operation, and ask for its early end: every operation passes here, for the
 * loop must know whether any is in flight. */
static inline enum cr_submitted cr_loop_submit(crank_loop *loop, cr_op *op)
{
    enum cr_submitted state = loop->backend->type->submit(loop->backend, op);
    loop->in_flight += state == CR_PENDING;
    return state;
}
static inline void cr_loop_cancel(crank_loop *loop, cr_op *op)
{
    loop->backend->type->cancel(loop->backend, op);
}
/* The same for a poll, whose descriptor may be closed when this returns. */
static inline void cr_loop_cancel_poll(crank_loop *loop, cr_op *op)
{
    cr_loop_cancel(loop, op);
    if (loop->backend->type->let_go)
        loop->backend->type->let_go(loop->backend, op);
}
/* At the end of the pass, once; asking again before that changes nothing. */
static inline void cr_loop_settle(crank_loop *loop, cr_settle *settle)
{
    if (settle->place)
        return;
    settle->next = NULL;
    settle->place = loop->settle ? loop->settle_end : &loop->settle;
    *settle->place = settle;
    loop->settle_end = &settle->next;
}
/* No more. */
static inline void cr_loop_unsettle(crank_loop *loop, cr_settle *settle)
{
    if (!settle->place)
        return;
    *settle->place = settle->next;
    if (settle->next)
        settle->next->place = settle->place;
    else
        loop->settle_end = settle->place;
    settle->place = NULL;
}
/* The simulator's choice among n, 0 on a real backend. */
size_t cr_loop_choose(crank_loop *loop, size_t n);
#endif
