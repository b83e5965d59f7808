/* SPDX-License-Identifier: MIT */
/* join.c: waiting for a task's end.
 *
 * Owns: task->joiner, which names the exclusive waiter (it is given the result and the record): a
 * task, or with bit 0 set a gather; and the watchers, which are only told. Does not own the end
 * itself, which is end.c's: it calls cr_join_deliver there.
 *
 * A result crosses to the waiter in the ending task's context, so that an awaiting task resumes
 * straight in its own code. While a task awaits, its wait_object is the task awaited; when it
 * resumes, wait_data.failed says whether that failed: the bits alone cannot tell a double from an
 * error.
 *
 * A cancelled await cancels the task and waits for its end, as Trio's nurseries do and asyncio
 * does not: in C, an orphan goes on writing into frames that have gone. If it ends with a result
 * all the same, the result stands and the request stays pending. If it ends with -ECANCELED, for
 * whatever reason, that answers all that is pending for the waiter. */
#include "scope/join.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/nursery.h"
#include "scope/reap.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/report.h"
#include "task/result.h"
#include "task/wait.h"
#include "base/check.h"
#include "base/text.h"
#include <math.h>
#include <string.h>

/* The failure moves before the record goes, since it hangs off the record. A group's child is
 * released by its group, which is told of the end only after its joiner: here it merely loses
 * the joiner. */
void cr_join_claim(crank_loop *loop, cr_task *task, cr_task *to)
{
    if (CR_UNLIKELY(task->fiber.flags & CR_TASK_FAILED)) {
        task->fiber.flags |= CR_TASK_CLAIMED;
        if (task->fiber.flags & CR_TASK_IN_GROUP)
            cr_error_copy(loop, task, to); /* its group keeps its children's failures */
        else
            cr_error_move(loop, task, to);
    }
    if (!(task->fiber.flags & CR_TASK_IN_GROUP))
        cr_end_release(loop, task);
    else
        task->joiner = 0; /* its group releases it */
}

/* The waiter is cancelled: so is the task it waits for. */
static bool join_abort(cr_task *waiter);
static void cancel_awaited(cr_task *waiter);
static cr_task *join_holder(const cr_task *waiter) { return waiter->wait_object; }
static size_t join_describe(const cr_task *waiter, char *buf, size_t size)
{
    const cr_task *task = waiter->wait_object;
    const char *kind = task->fiber.flags & CR_TASK_FUTURE ? "future" : "task";
    return cr_text_format(buf, size, "%s '%s'", kind, cr_describe_name(task));
}
static cr_task *join_unnamed(cr_task *waiter)
{
    cr_task *task = waiter->wait_data.named ? NULL : waiter->wait_object;
    waiter->wait_data.named = true;
    return task;
}
static void join_ask(crank_loop *loop, cr_task *waiter)
{
    (void)cr_cancel_task(loop, waiter->wait_object);
}

/* The same wait twice: under the second the awaited task has been asked to end, and the waiter's
 * own timer runs for the grace period. In neither may the stack hibernate: the task awaited is
 * nearly always a child, and children may hold pointers into the waiter's frame. */
static const cr_wait_ops join_end_wait;
static const cr_reap join_reap = {
    .plain = &cr_join_wait, .graced = &join_end_wait, .unnamed = join_unnamed, .ask = join_ask
};
const cr_wait_ops cr_join_wait = { .what = "awaits",
    .abort = join_abort,
    .repeat = cancel_awaited,
    .reap = &join_reap,
    .blocked_by = join_holder,
    .describe = join_describe };
static const cr_wait_ops join_end_wait = { .what = "awaits the end of",
    .abort = join_abort,
    .repeat = cancel_awaited,
    .on_timeout = cr_reap_due,
    .reap = &join_reap,
    .blocked_by = join_holder,
    .describe = join_describe };
/* The same two for an await that gives an error known from the start: its task's end answers
 * nothing. */
static const cr_wait_ops fixed_wait, fixed_end_wait;
static const cr_reap fixed_reap = {
    .plain = &fixed_wait, .graced = &fixed_end_wait, .unnamed = join_unnamed, .ask = join_ask
};
static const cr_wait_ops fixed_wait = { .what = "awaits the end of",
    .abort = join_abort,
    .repeat = cancel_awaited,
    .reap = &fixed_reap,
    .blocked_by = join_holder,
    .describe = join_describe };
static const cr_wait_ops fixed_end_wait = { .what = "awaits the end of",
    .abort = join_abort,
    .repeat = cancel_awaited,
    .on_timeout = cr_reap_due,
    .reap = &fixed_reap,
    .blocked_by = join_holder,
    .describe = join_describe };
static bool with_grace(const cr_wait_ops *wait)
{
    return wait == &join_end_wait || wait == &fixed_end_wait;
}
static bool is_fixed(const cr_wait_ops *wait)
{
    return wait == &fixed_wait || wait == &fixed_end_wait;
}

/* The order matters: the timer is off before anything is handed over, the failure has moved to
 * the waiter before it is made ready, and waking is last, for it overwrites what the wait used. */
void cr_join_deliver(crank_loop *loop, cr_task *task)
{
    cr_gather *gather = cr_join_gather(task);
    if (CR_UNLIKELY(gather != NULL)) {
        gather->ended(loop, gather, task);
        return;
    }
    cr_task *waiter = (cr_task *)task->joiner;
    if (CR_UNLIKELY(with_grace(waiter->fiber.wait)))
        cr_reap_grace_stop(loop, waiter);
    uint64_t bits = cr_result_bits(task);
    bool failed = task->fiber.flags & CR_TASK_FAILED;
    waiter->wait_data.failed = failed;
    waiter->fiber.flags = (uint16_t)(waiter->fiber.flags & ~CR_TASK_DELIVERING);
    if (CR_UNLIKELY(failed && (long)bits == -ECANCELED && !is_fixed(waiter->fiber.wait)))
        cr_task_state_of(loop)->pending->interrupt(waiter);
    cr_join_claim(loop, task, waiter);
    cr_wake(loop, waiter, (long)bits);
}

/* Where the request ends the awaited task at once the waiter has been woken, and waits no more. */
static void cancel_awaited(cr_task *waiter)
{
    crank_loop *loop = cr_loop_here;
    const cr_reap *reap = is_fixed(waiter->fiber.wait) ? &fixed_reap : &join_reap;
    if (!with_grace(waiter->fiber.wait))
        waiter->wait_data.named =
            false; /* the first request: the awaited task has not been named yet */
    (void)cr_cancel_task(loop, waiter->wait_object);
    cr_reap_asked(loop, waiter, reap);
}

static bool join_abort(cr_task *waiter)
{
    waiter->fiber.flags |= CR_TASK_DELIVERING;
    cancel_awaited(waiter);
    return false;
}

void cr_join_check_ancestors(const cr_task *self, const cr_task *task, const char *call)
{
    CR_CHECK(task != self, "%s: a task cannot wait for itself", call);
    for (const cr_task *up = cr_task_parent(self); up; up = cr_task_parent(up))
        CR_CHECK(up != task,
            "%s: the task awaited is an ancestor of the caller, and does not end before it", call);
}

/* Is anything known to be wrong with waiting for this? An exclusive await gives the handle up,
 * so there can be one only. */
static void exclusive_check(const cr_task *self, const cr_task *task, const char *call)
{
    cr_join_check(self, task, call);
    CR_CHECK(!(task->fiber.flags & (CR_TASK_DROPPED | CR_TASK_DETACHED)),
        "%s: the handle of task '%s' was given up before: it was dropped or detached", call,
        cr_describe_name(task));
    CR_CHECK(!task->joiner,
        "%s: task '%s' is awaited by somebody already; use crank_await_shared where several wait",
        call, cr_describe_name(task));
}

/* A future's site is of no kind until it is set, so what it holds is looked at then
 * (kind_check). */
static void integer_check(const cr_task *task, const char *call)
{
    CR_CHECK(task->site->kind <= CRANK_KIND_UNSIGNED || (task->fiber.flags & CR_TASK_FUTURE),
        "%s: task '%s' returns a %s; use %s", call, cr_describe_name(task),
        task->site->kind == CRANK_KIND_POINTER ? "pointer" : "floating point number",
        task->site->kind == CRANK_KIND_POINTER ? "crank_await_ptr" : "crank_await_double");
}

/* What the awaited task failed with, when the caller is told of its own cancellation instead. */
static CR_COLD void report_hidden(cr_caller *w, long error)
{
    cr_failure *failure = cr_error_take(w->self);
    if (!failure) {
        failure = cr_failure_new((int)error, NULL);
        if (!failure)
            return;
        cr_failure_message(failure, "%s", cr_failure_error_words(error));
    }
    cr_report_failure(w->loop, w->self, failure, "");
    cr_failure_free(failure);
}

/* The caller is cancelled, or its timeout could not be made: the task is cancelled too, and has
 * ended when this returns err. Its result is dropped, a failure is reported. Out of line, so that
 * the plain path of an await stays short enough to be inlined. */
static CR_NOINLINE long await_cancelled(cr_caller *w, cr_task *task, int err)
{
    if (task->fiber.life == CR_ENDED) {
        cr_end_release(w->loop, task);
        return err;
    }
    task->joiner = (uintptr_t)w->self;
    w->self->wait_object = task;
    w->self->fiber.wait = &fixed_wait; /* a task that ends at once finds a waiter it can wake */
    if (err == -ECANCELED)
        w->self->fiber.flags |= CR_TASK_INTERRUPTED; /* what comes meanwhile is answered by err */
    cancel_awaited(w->self);
    long bits = cr_park(w, w->self->fiber.wait);
    if (w->self->wait_data.failed && bits != -ECANCELED)
        report_hidden(w, bits);
    if (err != -ECANCELED)
        return cr_checkpoint_without_scope(w->loop); /* said anew: the task's end came after */
    return err;
}

/* Wait for a task that has been asked to end: after the grace period the waiter names it in a
 * report. */
static CR_NOINLINE long await_asked(cr_caller *w)
{
    w->self->wait_data.named = false; /* not named yet */
    return cr_park(w, cr_reap_begin(w->loop, w->self, &join_reap));
}

/* Inlined into each call of the family, which keeps parking their tail call. The claim comes
 * after the bits are read: it may give the record back. */
static inline long await_task(cr_task *task, cr_caller *w, int err)
{
    if (CR_UNLIKELY(err < 0))
        return await_cancelled(w, task, err);
    if (task->fiber.life == CR_ENDED) {
        w->self->wait_data.failed = task->fiber.flags & CR_TASK_FAILED;
        long bits = (long)cr_result_bits(task);
        cr_join_claim(w->loop, task, w->self);
        cr_checkpoint_yield(w);
        return bits;
    }
    task->joiner = (uintptr_t)w->self;
    w->self->wait_object = task;
    if (CR_UNLIKELY(CR_COUNTS_REQUESTS(task) > 0)) /* it was asked to end: its grace period runs */
        return await_asked(w);
    return cr_park(w, &cr_join_wait);
}

/* Marked as claimed first: the caller has a reason of its own to end it (gather has no memory to
 * wait for it with), and the failure that follows would only hide that one. A second request would
 * interrupt its cleanup. A future has no code to stop and nothing to wait for. */
void cr_join_end_of(cr_task *task)
{
    cr_caller w = { cr_checked_loop("crank_await"), cr_checked_self("crank_await") };
    if (task->fiber.flags & CR_TASK_FUTURE)
        return;
    task->fiber.flags |= CR_TASK_CLAIMED;
    if (task->fiber.life == CR_ENDED) {
        cr_end_release(w.loop, task);
        return;
    }
    task->joiner = (uintptr_t)w.self;
    w.self->wait_object = task;
    (void)await_asked(&w);
}

/* A failed spawn may be awaited, so that a program checks once, where it waits. It is a waiting
 * call all the same: a pending cancellation comes first. */
static CR_NOINLINE int await_null(const char *call)
{
    cr_caller w;
    int err = cr_checkpoint(&w, call);
    return err < 0 ? err
                   : cr_error_set(-ENOMEM,
                         "%s: the task could not be spawned: out of memory, or its group is ending",
                         call);
}

/* Several may watch a task; a watcher of an awaiting task lies in its own record. At the end of
 * the list: they are told in the order in which they asked. */
void cr_join_watch(cr_task *task, cr_watcher *watcher)
{
    watcher->next = NULL;
    cr_watcher **last = &task->ext->watchers;
    while (*last)
        last = &(*last)->next;
    *last = watcher;
}

/* A walk, for watchers are few: a list linked both ways would not fit the record's node. */
void cr_join_unwatch(cr_task *task, cr_watcher *watcher)
{
    for (cr_watcher **at = &task->ext->watchers; *at; at = &(*at)->next) {
        if (*at == watcher) {
            *at = watcher->next;
            return;
        }
    }
}

/* What a result is awaited with. */
enum result_class { AN_INTEGER, A_REAL, A_POINTER };
static enum result_class class_of(const cr_task *task)
{
    unsigned char kind = task->site->kind;
    return kind == CRANK_KIND_POINTER ? A_POINTER : cr_kind_is_real(kind) ? A_REAL : AN_INTEGER;
}

/* A task that watches stands in no line, so its node has room for the watcher: waiting for a
 * task that is shared allocates nothing in the waiter. */
static cr_watcher *own_watcher(cr_task *self) { return (cr_watcher *)(void *)&self->node; }

/* A future's kind is known once it is set: is it the one it is awaited with? */
static void kind_check(const cr_task *task, enum result_class expected)
{
    static const char *const calls[] = { "crank_await", "crank_await_double", "crank_await_ptr" };
    if (!(task->fiber.flags & CR_TASK_FUTURE) || (task->fiber.flags & CR_TASK_FAILED))
        return;
    enum result_class found = class_of(task);
    CR_CHECK(found == expected, "%s: the future was set to a value for %s", calls[expected],
        calls[found]);
}

/* Until the end wait_data holds the class that the waiter expects, and from then on whether the
 * task failed. The failure is copied, not moved: others may wait for the same task. */
static void shared_ended(crank_loop *loop, cr_watcher *watcher, cr_task *task)
{
    cr_task *waiter = cr_container_of(watcher, cr_task, node);
    kind_check(task, (enum result_class)waiter->wait_data.expected);
    waiter->wait_data.failed = task->fiber.flags & CR_TASK_FAILED;
    if (task->fiber.flags & CR_TASK_FAILED) {
        task->fiber.flags |= CR_TASK_CLAIMED;
        if (cr_result_error(task) == -ECANCELED)
            cr_task_state_of(loop)->pending->interrupt(waiter);
        cr_error_copy(loop, task, waiter);
    }
    cr_wake(loop, waiter, (long)cr_result_bits(task));
}

/* Leaving a shared await does nothing to the task: it has its handle still, and other waiters. */
static bool shared_abort(cr_task *waiter)
{
    waiter->wait_data.failed = true;
    cr_join_unwatch(waiter->wait_object, own_watcher(waiter));
    return true;
}
/* A cancelled wait for a future cancels the future, which wakes all tasks that wait for it. */
static bool future_abort(cr_task *waiter)
{
    cr_task *future = waiter->wait_object;
    waiter->wait_data.failed = true;
    cr_join_unwatch(future, own_watcher(waiter));
    (void)cr_cancel_task(cr_loop_here, future);
    return true;
}
/* In these the stack may hibernate: the task is not the waiter's to get results from by pointer,
 * and its record, where the watcher lies, is never put away. A future has no blocked_by: any task
 * or callback may set it. */
static const cr_wait_ops shared_wait = { .what = "awaits",
    .hibernatable = true,
    .abort = shared_abort,
    .blocked_by = join_holder,
    .describe = join_describe };
static const cr_wait_ops future_wait = {
    .what = "awaits", .hibernatable = true, .abort = future_abort, .describe = join_describe
};

/* Everything that can fail comes before the watcher is linked, since parking is the last step. */
static long await_shared(
    cr_task *task, const char *call, const cr_wait_ops *wait, enum result_class expected)
{
    cr_caller w;
    int err = cr_checkpoint_no_yield(&w, call);
    if (err < 0) {
        if (wait == &future_wait)
            (void)cr_cancel_task(w.loop, task);
        return err;
    }
    cr_join_check(w.self, task, call);
    if (task->fiber.life == CR_ENDED) {
        kind_check(task, expected);
        w.self->wait_data.failed = task->fiber.flags & CR_TASK_FAILED;
        if (task->fiber.flags & CR_TASK_FAILED) {
            task->fiber.flags |= CR_TASK_CLAIMED;
            cr_error_copy(w.loop, task, w.self);
        }
        long bits = (long)cr_result_bits(task);
        cr_checkpoint_yield(&w);
        return bits;
    }
    if (!cr_record_ext(cr_task_state_of(w.loop), task)) {
        cr_checkpoint_yield(&w);
        return cr_error_set(-ENOMEM, "%s: out of memory", call);
    }
    cr_watcher *watcher = own_watcher(w.self);
    watcher->ended = shared_ended;
    w.self->wait_object = task;
    w.self->wait_data.expected = (int)expected;
    cr_join_watch(task, watcher);
    return cr_park(&w, wait);
}

/* Give up a plain child that has ended; gives its value. */
static inline long claim_plain(const cr_caller *w, cr_task *task, long value)
{
    w->self->wait_data.failed = false;
    cr_end_release_plain(cr_task_state_of(w->loop), w->self, task);
    return value;
}

/* The handle is looked at before the wait is opened, so that a stale one is found even where a
 * cancellation is pending. */
static CR_NOINLINE long await_slow(const void *x, enum crank_awaited what)
{
    const char *call = "crank_await";
    if (CR_UNLIKELY(what == CRANK_IS_AWAITABLE_))
        return x ? ((const crank_awaitable *)x)->await((crank_awaitable *)(uintptr_t)x)
                 : await_null(call);
    if (CR_UNLIKELY(!x))
        return await_null(call);
    cr_task *task = cr_task_of(x, call);
    integer_check(task, call);
    if (CR_UNLIKELY(task->fiber.flags & CR_TASK_FUTURE))
        return await_shared(task, call, &future_wait, AN_INTEGER);
    cr_caller w;
    int err = cr_checkpoint_no_yield(&w, call);
    if (CR_LIKELY(err == 0) && task->fiber.life == CR_ENDED && cr_end_is_plain(w.self, task)) {
        long value = claim_plain(&w, task, cr_result_value(task));
        cr_checkpoint_yield(&w);
        return value;
    }
    exclusive_check(w.self, task, call);
    return await_task(task, &w, err);
}

/* What most awaits are, in one piece that needs no frame: of a plain child of the caller's that
 * returns an int. All others go the full way: also one that was asked to end, for which the grace
 * period must run, and where no loop runs, which has no records. Spending budget is the last
 * condition, or an await that goes the full way would spend twice. */
long crank_await_(const void *x, enum crank_awaited what)
{
    crank_loop *loop = cr_loop_here;
    cr_task *task = what == CRANK_IS_AWAITABLE_ || !x ? NULL : cr_task_in(loop, (uintptr_t)x);
    cr_caller w;
    if (CR_UNLIKELY(!task || !cr_end_is_plain(cr_task_of_fiber(loop->runner.current), task) ||
                    task->site->kind != CRANK_KIND_SIGNED || task->site->size != sizeof(int) ||
                    CR_COUNTS_REQUESTS(task) > 0 || !cr_checkpoint_fast_in(loop, &w)))
        return await_slow(x, what);
    if (task->fiber.life == CR_ENDED)
        return claim_plain(&w, task, (int32_t)task->fiber.result);
    task->joiner = (uintptr_t)w.self;
    w.self->wait_object = task;
    return cr_park(&w, &cr_join_wait);
}

/* An awaitable's await says itself whether it can be shared, and NULL is the same for both. */
long crank_await_shared_(const void *x, enum crank_awaited what)
{
    const char *call = "crank_await_shared";
    if (what == CRANK_IS_AWAITABLE_ || !x)
        return crank_await_(x, what);
    cr_task *task = cr_task_of(x, call);
    integer_check(task, call);
    return await_shared(
        task, call, task->fiber.flags & CR_TASK_FUTURE ? &future_wait : &shared_wait, AN_INTEGER);
}

/* Await for a result that is no integer: its bits, and whether the task failed. */
static long await_bits(
    cr_task *task, const char *call, enum result_class expected, bool *ret_failed)
{
    long bits;
    if (task->fiber.flags & CR_TASK_FUTURE) {
        cr_task *self = cr_checked_self(call);
        self->wait_data.failed = true; /* for a wait that is cancelled before it begins */
        bits = await_shared(task, call, &future_wait, expected);
        *ret_failed = self->wait_data.failed;
        return bits;
    }
    cr_caller w;
    int err = cr_checkpoint_no_yield(&w, call);
    exclusive_check(w.self, task, call);
    bits = await_task(task, &w, err);
    *ret_failed = err < 0 || w.self->wait_data.failed;
    return bits;
}

/* A real result has no values to spare for errors but NaN; crank_error() has the reason. */
double crank_await_double_(const void *x, enum crank_awaited what)
{
    const char *call = "crank_await_double";
    CR_CHECK(
        what != CRANK_IS_AWAITABLE_, "%s: an awaitable gives an integer; use crank_await", call);
    if (!x) {
        (void)await_null(call);
        return (double)NAN;
    }
    cr_task *task = cr_task_of(x, call);
    CR_CHECK(class_of(task) == A_REAL || (task->fiber.flags & CR_TASK_FUTURE),
        "%s: task '%s' does not return a floating point number; use crank_await or crank_await_ptr",
        call, cr_describe_name(task));
    bool failed;
    long bits = await_bits(task, call, A_REAL, &failed);
    if (failed)
        return (double)NAN;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A pointer's failure is NULL with errno set last, after the switch: other tasks have run in
 * between and set the thread's errno as they pleased. */
void *crank_await_ptr_(const void *x, enum crank_awaited what)
{
    const char *call = "crank_await_ptr";
    CR_CHECK(
        what != CRANK_IS_AWAITABLE_, "%s: an awaitable gives an integer; use crank_await", call);
    if (!x) {
        errno = -await_null(call);
        return NULL;
    }
    cr_task *task = cr_task_of(x, call);
    CR_CHECK(class_of(task) == A_POINTER || (task->fiber.flags & CR_TASK_FUTURE),
        "%s: task '%s' does not return a pointer; use crank_await or crank_await_double", call,
        cr_describe_name(task));
    bool failed;
    long bits = await_bits(task, call, A_POINTER, &failed);
    if (!failed)
        return (void *)(uintptr_t)bits;
    errno = (int)-bits;
    return NULL;
}
