/* SPDX-License-Identifier: MIT */
/* turn.c: one turn after another.
 *
 * Owns the order within a turn: what was posted, what is due, what the backend has completed, then
 * a pass over the ready line, which is cut after CR_STEPS. While fibers are ready the world is
 * looked at once per millisecond only; when none is, the backend waits for the next deadline, a
 * completion or a post. A loop that could wait for nothing is starved: the layer above decides what
 * that means, and a loop without one stops.
 *
 * Invariant: between the last look for posts and the wait nothing can be missed, for falling
 * asleep fails where a post has come (wakeup.c). While the loop does not run it counts as
 * asleep, so that its descriptor tells another loop's poll. No task runs within the first three
 * steps: they only fill the ready line. */
#include "base/check.h"
#include "loop/callback.h"
#include "loop/inherit.h"
#include "loop/loop.h"
#include "backend/sim.h"
#include <pthread.h>

#define LOOK_ONLY INT64_MIN
/* Where so many timers run they come due in quick succession, and a sleep for each costs many times
 * what the timer does: then the loop sleeps until so long after its last look at the world, and
 * takes those that have come due together, late by as much at most. */
#define MANY_TIMERS 1000
#define MANY_TIMERS_NS 500000
#define TIDY_NS CR_SECOND
/* Under the simulator neither computing nor a thread's job takes time. Fibers that only make room
 * for each other, or job after job, would hold the clock for ever: after so many turns in which it
 * stood, each further one lets it pass by a microsecond per step. */
#define BUSY_TURNS 10000
#define BUSY_STEP_NS 1000
#define BUSY_LOOK 16
/* A timer must come all the same, whatever keeps the loop busy: a descriptor that stays readable, a
 * post that posts itself. With a timer set each turn after so many at one instant takes a
 * microsecond. */
#define INSTANT_TURNS 1000
#define INSTANT_STEP_NS 1000

/* Every turn of the backend passes here, as every submission passes cr_loop_submit: else
 * in_flight would not be right, and starving not be seen. */
CR_HOT static long backend_turn(crank_loop *loop, int64_t deadline)
{
    long completed = loop->backend->type->turn(loop->backend, deadline);
    if (completed > 0)
        loop->in_flight -= (size_t)completed;
    return completed;
}

/* What completes may begin another. */
void cr_turn_end_operations(crank_loop *loop)
{
    while (loop->in_flight > 0) {
        loop->backend->type->cancel_all(loop->backend);
        (void)backend_turn(loop, CR_NEVER);
    }
}

/* Only as many as there are: what a due timer starts is due in the next turn at the earliest. */
static void take_due(crank_loop *loop, int64_t now)
{
    for (size_t n = cr_timers_count(loop->timers); n > 0; n--) {
        cr_timer *timer = cr_timers_pop(loop->timers, now);
        if (!timer)
            return;
        enum cr_timer_kind kind = cr_timer_kind(timer);
        if (kind == CR_TIMER_CALLBACK)
            cr_callback_due(loop, timer);
        else
            loop->hooks->timer_due[kind](loop, timer);
    }
}

/* What is called here may fork: the child must not go on with the turn. */
static void serve(crank_loop *loop, cr_fiber *fiber)
{
    unsigned forks = cr_forks;
    if (fiber->run == CR_RUN_SERVICE) {
        cr_service *service = cr_container_of(fiber, cr_service, item);
        service->run(loop, service);
        if (CR_UNLIKELY(forks != cr_forks))
            cr_inherit_came_back();
    } else {
        loop->hooks->need_stack(loop, fiber);
    }
}

/* Has a fiber at the front of the line started another eagerly? Then that one, which has perhaps
 * not begun, and the starter behind it run before anything else does. */
static bool in_eager_start(const cr_sched *runner)
{
    const cr_fiber *at = runner->head;
    for (int i = 0; at && i < 2; i++, at = at->next)
        if (at->run == CR_RUN_RESUME && at->wait == CR_WAIT_EAGER)
            return true;
    return false;
}

/* Trace that the head is about to run, where it needs nothing of the loop (a stack) before. */
static void announce(const cr_sched *runner)
{
    cr_fiber *head = runner->head;
    if (head->run == CR_RUN_RESUME || (head->run == CR_RUN_NEW && runner->stacks))
        cr_trace_emit(runner->tracer, CR_EVENT_RUNS, head, 0);
}

/* The pass has run out of steps amid an eager start. What it takes beyond them is charged to the
 * starter: its next waiting call finds its budget spent and lets the others run. */
static CR_NOINLINE void run_overtime(crank_loop *loop)
{
    cr_sched *runner = &loop->runner;
    uint32_t full = runner->budget_full;
    do {
        announce(runner);
        if (runner->head->run == CR_RUN_RESUME)
            runner->budget_full = 1;
        runner->steps = 1;
        cr_fiber *fiber = cr_sched_enter(runner);
        runner->budget_full = full;
        if (fiber)
            serve(loop, fiber);
    } while (in_eager_start(runner));
}

/* With a tracer fibers do not pass the processor to each other: each is announced here, when it has
 * all it needs to run. */
static CR_NOINLINE long run_announced(crank_loop *loop)
{
    cr_sched *runner = &loop->runner;
    long ran = 0;
    for (; runner->head && ran < CR_STEPS; ran++) {
        announce(runner);
        runner->steps = 1;
        cr_fiber *fiber = cr_sched_enter(runner);
        if (fiber)
            serve(loop, fiber);
    }
    return ran;
}

/* One pass: at most CR_STEPS items of the ready line. Gives how many ran. cr_sched_enter comes
 * back where something needs the loop itself: a callback, which has no stack of its own, or a
 * fiber without one. What becomes ready during the pass is run in it too, up to its limit;
 * switches counts the fibers, which pass from one to the next without coming here. */
static long run_ready(crank_loop *loop)
{
    cr_sched *runner = &loop->runner;
    uint64_t before = runner->switches;
    long services = 0;
    cr_fiber *fiber;
    if (CR_UNLIKELY(runner->tracer != NULL)) {
        services = run_announced(loop);
        before = runner->switches;
    } else {
        runner->steps = CR_STEPS;
        while ((fiber = cr_sched_enter(runner))) {
            serve(loop, fiber);
            services++;
        }
    }
    if (CR_UNLIKELY(in_eager_start(runner)))
        run_overtime(loop);
    return services + (long)(runner->switches - before);
}

/* What an item does may ask for another. */
static CR_NOINLINE void settle_all(crank_loop *loop)
{
    while (loop->settle) {
        cr_settle *first = loop->settle;
        cr_loop_unsettle(loop, first);
        first->run(loop, first);
    }
}

/* Stands at the end of what is ready as a pass of callbacks begins: what they ask for stands behind
 * it and waits for the next turn. Reaching it ends the pass. */
typedef struct marker {
    cr_service service;
    bool reached;
} marker;

static void reach_marker(crank_loop *loop, cr_service *service)
{
    cr_container_of(service, marker, service)->reached = true;
    loop->runner.steps = 0;
}

/* One pass of a loop without tasks: all that is ready, and nothing else. The marker is not
 * counted. */
static long run_callbacks(crank_loop *loop)
{
    marker end = { .service.run = reach_marker };
    long ran = 0;
    if (!loop->runner.head)
        return 0;
    cr_service_push(loop, &end.service);
    while (!end.reached)
        ran += run_ready(loop);
    return ran - 1;
}

/* The world is looked at now, which shows that the loop goes on: the watchdog's next look is
 * postponed when it is time to. */
static void polled(crank_loop *loop, int64_t now)
{
    loop->polled_at = now;
    if (CR_UNLIKELY(now >= loop->watched.postpone_at))
        cr_watchdog_postpone(loop, now);
}

/* The simulated clock has stood for one more turn. False: not yet for so many that it is moved. A
 * turn of callbacks may be a single one. */
static bool clock_stalled(crank_loop *loop, int64_t now)
{
    uint32_t steps = loop->tasks ? CR_STEPS : 1;
    if (++loop->busy < BUSY_TURNS * (CR_STEPS / steps))
        return false;
    backend_turn(loop, cr_after(now, (int64_t)steps * BUSY_STEP_NS));
    return true;
}

/* Fibers are ready: look at the world from time to time. The simulator has no other clock than
 * the turns: there it is looked at by counting them. */
static void look(crank_loop *loop, int64_t now)
{
    if (loop->simulated) {
        if (!clock_stalled(loop, now) && loop->busy % BUSY_LOOK == 0 && loop->in_flight > 0)
            backend_turn(loop, LOOK_ONLY);
    } else if (now - loop->polled_at >= CR_POLL_NS) {
        polled(loop, now);
        if (loop->in_flight > 0)
            backend_turn(loop, LOOK_ONLY);
    }
}

/* Could anything still happen? A timer that never comes counts for a real program, whose wait
 * Ctrl-C ends. A post may already stand there without a count of outside: so that is asked too. */
static bool nothing_pending(const crank_loop *loop, int64_t next)
{
    bool planned = cr_timers_count(loop->timers) > loop->unref_timers;
    if (next == CR_NEVER && (loop->simulated || !loop->tasks))
        planned = false;
    return !planned && loop->external_refs == 0 && cr_wakeup_empty(loop->wakeup) &&
           !cr_loop_awaits(loop);
}

/* Housekeeping, at most once a second: what a program lets go of it often needs again soon. Gives
 * until when to wait. A loop in which nothing has run since is left to sleep; one that would sleep
 * for long wakes for it. */
static int64_t housekeep(crank_loop *loop, int64_t now, int64_t deadline)
{
    if (!loop->hooks || !loop->hooks->idle || loop->tidied == loop->runner.switches)
        return deadline;
    if (now < loop->tidy_at)
        return deadline < loop->tidy_at || loop->simulated ? deadline : loop->tidy_at;
    enum cr_idle more = loop->hooks->idle(loop);
    if (more == CR_IDLE_NOW)
        return LOOK_ONLY;
    loop->tidy_at = cr_after(now, TIDY_NS);
    if (more == CR_IDLE_DONE)
        loop->tidied = loop->runner.switches;
    else if (deadline > loop->tidy_at && !loop->simulated)
        return loop->tidy_at;
    return deadline;
}

/* When the next timer is due, or somewhat later: see MANY_TIMERS. */
static int64_t next_timer(const crank_loop *loop)
{
    int64_t next = cr_timers_next(loop->timers);
    if (cr_timers_count(loop->timers) < MANY_TIMERS || loop->simulated)
        return next;
    int64_t together = loop->polled_at + MANY_TIMERS_NS;
    return next > together ? next : together;
}

/* A machine that is busy elsewhere lets a wait end late: where choices are explored, as late as one
 * of the timers that follow closely. What they start is then ready together, in the timers' order,
 * before anything that an earlier one woke has run. */
static void wake_late(crank_loop *loop, int64_t woken_at)
{
    enum { LATE_NS = 100000000 };
    for (;;) {
        int64_t next = cr_timers_next(loop->timers);
        if (next == CR_NEVER || next > woken_at + LATE_NS || next <= cr_now(loop))
            return;
        if (cr_loop_choose(loop, 2) == 0)
            return;
        backend_turn(loop, next);
        take_due(loop, cr_now(loop));
    }
}

/* Nothing is ready: wait for the world, at most until limit. False: nothing will happen, and no
 * starved hook wants the loop to go on. Spinning comes before sleeping, and falling asleep is the
 * last thing before the wait. What came of the wait is then taken in the usual order. */
static bool wait_for_world(crank_loop *loop, int64_t now, int64_t limit)
{
    int64_t next = next_timer(loop);
    if (limit == CR_NEVER && nothing_pending(loop, next))
        return loop->hooks && loop->hooks->starved && !loop->hooks->starved(loop);
    int64_t deadline = housekeep(loop, now, next < limit ? next : limit);
    if (loop->spin_ns > 0 && deadline > now &&
        !cr_wakeup_spin(loop->wakeup, loop->spin_ns, deadline))
        loop->spin_ns = 0;
    if (loop->runner.head || !cr_wakeup_sleep(loop->wakeup))
        deadline = LOOK_ONLY;
    backend_turn(loop, deadline);
    cr_wakeup_deliver(loop->wakeup);
    void (*wake_watchdog)(void) = __atomic_load_n(&cr_watchdog_sleeps, __ATOMIC_SEQ_CST);
    if (CR_UNLIKELY(wake_watchdog != NULL))
        wake_watchdog();
    polled(loop, cr_now(loop));
    take_due(loop, loop->polled_at);
    if (loop->explored && loop->polled_at > now)
        wake_late(loop, loop->polled_at);
    return true;
}

/* One more turn at the instant that the simulated clock shows. Gives the time. */
static int64_t turn_begins(crank_loop *loop, int64_t now)
{
    if (now != loop->instant) {
        loop->instant = now;
        loop->at_instant = 0;
    }
    if (++loop->at_instant <= INSTANT_TURNS || cr_timers_next(loop->timers) == CR_NEVER)
        return now;
    loop->instant = now + INSTANT_STEP_NS;
    cr_sim_pass(loop->backend, loop->instant);
    return loop->instant;
}

/* Fill the ready line with what has happened. */
CR_HOT static bool collect(crank_loop *loop, bool wait, int64_t limit)
{
    int64_t now = cr_now(loop);
    unsigned forks = cr_forks;
    if (loop->simulated)
        now = turn_begins(loop, now);
    cr_wakeup_deliver(loop->wakeup);
    if (CR_UNLIKELY(forks != cr_forks))
        cr_inherit_came_back();
    take_due(loop, now);
    if (loop->runner.head) {
        if (loop->stopping && !loop->tasks && loop->in_flight > 0)
            backend_turn(loop, LOOK_ONLY); /* its last turn, and perhaps the only one */
        else
            look(loop, now);
        return true;
    }
    if (!wait_for_world(loop, now, wait && !loop->stopping ? limit : LOOK_ONLY))
        return false;
    if (!loop->runner.head || !loop->simulated || cr_now(loop) > now)
        loop->busy = 0;
    else
        (void)clock_stalled(loop, now);
    return true;
}

/* A loop that is told to stop still runs what is ready: once around, then it is the driver's to
 * see. Among tasks a pass is cut by its steps, and callbacks stand in one line with them. */
CR_HOT long cr_turn(crank_loop *loop, bool wait, int64_t limit)
{
    if (!collect(loop, wait, limit))
        loop->stopping = true;
    long ran = loop->tasks ? run_ready(loop) : run_callbacks(loop);
    if (loop->settle)
        settle_all(loop);
    return ran;
}

/* The thread ends beneath its loop: the loop would never run again, and no message would say so. */
static CR_COLD void thread_ended(void *arg)
{
    (void)arg;
    cr_check_failed("pthread_exit: called in a task or a callback, or pthread_cancel for the "
                    "thread of a loop; let the function return instead");
}

/* Other threads ask for it. */
static void set_running(crank_loop *loop, bool running)
{
    __atomic_store_n(&loop->running, running, __ATOMIC_RELAXED);
}

CR_HOT void cr_turn_drive(crank_loop *loop)
{
    loop->stopping = false;
    set_running(loop, true);
    cr_watchdog_watch(loop, __builtin_frame_address(0));
    pthread_cleanup_push(thread_ended, NULL);
    while (!loop->stopping)
        cr_turn(loop, true, CR_NEVER);
    pthread_cleanup_pop(0);
    cr_watchdog_leave(loop);
    set_running(loop, false);
}

/* This thread's errno may be another than that of the thread which made the loop. 0, or why one
 * that was inherited from the parent process can have no descriptors. */
static int enter(crank_loop *loop, const char *call)
{
    cr_loop_check_given(loop, call);
    CR_CHECK(!cr_loop_here, "%s: a loop already runs on this thread", call);
    if (cr_inherit_is_needed(loop))
        cr_inherit_loop(loop, call);
    CR_CHECK(!loop->running, "%s: the loop runs on another thread", call);
    int err = cr_inherit_renew(loop);
    if (err < 0)
        return err;
    cr_loop_here = loop;
    set_running(loop, true);
    loop->runner.errno_at = &errno;
    return 0;
}

/* Where a post has come meanwhile, its poster saw the loop awake: the descriptor must say so all
 * the same. */
static void leave(crank_loop *loop)
{
    if (!cr_wakeup_sleep(loop->wakeup))
        loop->backend->type->wake(loop->backend);
    set_running(loop, false);
    cr_loop_here = NULL;
}

/* Told to stop before it runs, it makes one turn without waiting, as asyncio's does. */
int crank_loop_run(crank_loop *loop)
{
    int err = enter(loop, "crank_loop_run");
    if (err < 0)
        return err;
    cr_watchdog_watch(loop, __builtin_frame_address(0));
    do
        cr_turn(loop, !loop->stopping, CR_NEVER);
    while (!loop->stopping);
    loop->stopping = false;
    cr_watchdog_leave(loop);
    leave(loop);
    return 0;
}

/* With callbacks ready the world is looked at first: a caller that polls with a wait of 0 would
 * otherwise never see completions while there is always something to run. */
long crank_loop_run_once(crank_loop *loop, double wait)
{
    int64_t span = cr_loop_nanoseconds(wait);
    if (span < 0)
        return -EINVAL;
    int err = enter(loop, "crank_loop_run_once");
    if (err < 0)
        return err;
    uint64_t posts = loop->posts_called;
    if (loop->runner.head && loop->in_flight > 0 && !loop->stopping)
        backend_turn(loop, LOOK_ONLY);
    collect(loop, span > 0, span > 0 ? cr_after(cr_now(loop), span) : 0);
    long ran = run_callbacks(loop);
    if (loop->settle)
        settle_all(loop);
    ran += (long)(loop->posts_called - posts);
    loop->stopping = false;
    leave(loop);
    return ran;
}

int crank_loop_fd(crank_loop *loop)
{
    cr_loop_check_given(loop, "crank_loop_fd");
    if (cr_inherit_is_needed(loop))
        cr_inherit_loop(loop, "crank_loop_fd");
    int err = cr_inherit_renew(loop);
    return err < 0 ? err : loop->backend->type->pollable(loop->backend);
}

/* For an embedder's own poll: how long it may wait before it must call again. */
double crank_loop_next(crank_loop *loop)
{
    cr_loop_check_given(loop, "crank_loop_next");
    const cr_backend_type *type = loop->backend->type;
    if (loop->runner.head || !cr_wakeup_empty(loop->wakeup) ||
        (type->owes_turn && type->owes_turn(loop->backend)))
        return 0;
    int64_t next = cr_timers_next(loop->timers);
    if (next == CR_NEVER)
        return CRANK_FOREVER;
    int64_t now = cr_now(loop);
    return next > now ? (double)(next - now) / (double)CR_SECOND : 0;
}
