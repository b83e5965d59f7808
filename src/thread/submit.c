/* SPDX-License-Identifier: MIT */
/* submit.c: calls into a loop from other threads.
 *
 * Owns: posts (a function called in the loop) and submissions (a function run there as a task,
 * whose end a thread may wait for). A stranger's loop pointer is looked up in the registry before
 * it is followed. A submission outlives its loop as long as it is held: its memory is freed through
 * the real table, which every table's memory suits. Invariant: whatever becomes of the loop, every
 * submission ends, with -ESHUTDOWN where its task never came to be. */
#include <crank/thread.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "task/error.h"
#include "scope/join.h"
#include "task/report.h"
#include "task/result.h"
#include "scope/spawn.h"
#include "thread/workers.h"
#include "loop/registry.h"

/* Three parties touch one: the submitter, the loop, and under the simulator the worker that waits.
 * What two of them touch is under the lock. */
struct crank_submission {
    cr_post arrival; /* it reaches the loop */
    cr_post request; /* to cancel, or to report the failure of a dropped one */
    cr_post limit;   /* a simulated worker's timeout is to begin */
    crank_loop *loop;
    atomic_uint refs;    /* its holder, the loop until the end, posts on their way */
    atomic_bool dropped; /* its holder has given it up */
    /* the loop's */
    cr_watcher watcher;
    cr_task *task;
    crank_handle *timer; /* of a simulated worker's timeout */
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    cr_worker *waiter; /* a simulated worker that waits */
    bool done;         /* value and message are there */
    bool failed;       /* its task ended with a failure that is the holder's to see */
    bool requested;    /* request is on its way */
    long value;
    double timeout;
    int wait_error; /* why a simulated wait ended before it: -ETIMEDOUT, -ENOMEM */
    char *message;  /* of the failure, from malloc */
    /* the captured call */
    crank_function_ *fn;
    const crank_site *site;
    union {
        cr_small_args few;
        cr_large_args many;
    } args;
};

/* ---- Reaching a loop ---- */

/* May this thread touch the loop? *ret_held: it must let go after. Its own thread and its
 * workers need not ask. A lost worker has no claim any more: it must ask like a stranger, and
 * may find the loop ended. */
static bool reach(crank_loop *loop, bool *ret_held, const char *call)
{
    CR_CHECK(loop, "%s: the loop is NULL; hand over what crank_current_loop gives", call);
    const cr_worker *worker = cr_worker_here;
    *ret_held = false;
    if (cr_loop_here == loop || (worker && worker->workers->loop == loop && !worker->lost))
        return true;
    *ret_held = cr_registry_hold(loop);
    return *ret_held;
}

/* Also a moment at which the simulator may let others go first, with no lock held. */
static void let_go(bool held)
{
    if (held)
        cr_registry_release();
    cr_sim_pool_preempt();
}

/* ---- Posts ---- */

/* A post that carries its function and frees itself. */
typedef struct outside_call {
    cr_post post;
    const cr_sys *sys;
    void (*fn)(void *arg);
    void *arg;
} outside_call;

static void call_delivered(cr_post *post)
{
    outside_call call = *cr_container_of(post, outside_call, post);
    cr_free(call.sys, post);
    cr_loop_call_posted(call.fn, call.arg);
}

/* Its memory is freed by the loop, or by the thread that closes the loop. */
int crank_post(crank_loop *loop, void (*fn)(void *arg), void *arg)
{
    bool held;
    CR_CHECK(fn, "crank_post: the function is NULL; give the one that the loop shall call");
    if (!reach(loop, &held, "crank_post"))
        return -ESHUTDOWN;
    int err = -ENOMEM;
    outside_call *call = cr_alloc(loop->sys, sizeof *call);
    if (call) {
        *call = (outside_call){ { NULL, call_delivered }, loop->sys, fn, arg };
        err = cr_loop_post(loop, &call->post) ? 0 : -ESHUTDOWN;
        if (err < 0)
            cr_free(loop->sys, call);
    }
    let_go(held);
    return err;
}

/* ---- A submission's end ---- */

/* Through the real table: the loop and its table may be gone. */
static void give_up(crank_submission *submission)
{
    if (atomic_fetch_sub(&submission->refs, 1) > 1)
        return;
    pthread_cond_destroy(&submission->ended);
    pthread_mutex_destroy(&submission->lock);
    cr_free(&cr_sys_real, submission->message);
    cr_free(&cr_sys_real, submission);
}

/* In the loop: tell the waiter, and let go of it. A simulated waiter goes on after the lock, which
 * it will take itself. */
static void complete(crank_submission *submission, long value, const char *message)
{
    pthread_mutex_lock(&submission->lock);
    submission->value = value;
    submission->message = message ? strdup(message) : NULL;
    submission->done = true;
    cr_worker *waiter = submission->waiter;
    submission->waiter = NULL;
    pthread_cond_broadcast(&submission->ended);
    pthread_mutex_unlock(&submission->lock);
    if (submission->timer)
        (void)crank_handle_cancel(submission->timer);
    submission->timer = NULL;
    if (waiter)
        cr_sim_pool_resume(waiter);
    give_up(submission);
}

/* Its record goes right after, for its handle is known nowhere else. The failure of a dropped one
 * is told by the report alone. */
static void task_ended(crank_loop *loop, cr_watcher *watcher, cr_task *task)
{
    crank_submission *submission = cr_container_of(watcher, crank_submission, watcher);
    const cr_failure *failure = cr_failure_of(task);
    (void)loop;
    submission->task = NULL;
    task->fiber.flags |= CR_TASK_DROPPED;
    pthread_mutex_lock(&submission->lock);
    if (!atomic_load(&submission->dropped)) {
        submission->failed =
            (task->fiber.flags & (CR_TASK_FAILED | CR_TASK_CLAIMED)) == CR_TASK_FAILED;
        task->fiber.flags |= CR_TASK_CLAIMED;
    }
    pthread_mutex_unlock(&submission->lock);
    complete(submission, (long)cr_result_bits(task), failure ? cr_failure_text(failure) : NULL);
}

/* ---- A submission's beginning ---- */

/* The app may have ended meanwhile, or the loop be closing: then there is no task and the answer
 * is -ESHUTDOWN. */
static void arrived(cr_post *post)
{
    crank_submission *submission = cr_container_of(post, crank_submission, arrival);
    crank_loop *loop = submission->loop;
    cr_task_state *tasks = cr_loop_here ? cr_task_state_of(loop) : NULL;
    if (!tasks || !tasks->root || tasks->root->fiber.life == CR_ENDED) {
        complete(submission, -ESHUTDOWN, "the loop has ended");
        return;
    }
    cr_task *task = cr_spawn_make_from(loop, submission->fn, submission->site, &submission->args);
    if (!task) {
        complete(submission, -ENOMEM, "out of memory for the task");
        return;
    }
    submission->task = task;
    submission->watcher.ended = task_ended;
    if (cr_record_ext(tasks, task)) {
        cr_join_watch(task, &submission->watcher);
        cr_spawn_ready(loop, task);
        return;
    }
    task->fiber.flags |= CR_TASK_DROPPED | CR_TASK_CLAIMED;
    cr_end_complete_error(loop, task, -ENOMEM);
    submission->task = NULL;
    complete(submission, -ENOMEM, "out of memory for the task");
}

/* It was dropped after it had failed: its task is gone, what it said is here. */
static void report_dropped(const crank_submission *submission)
{
    const crank_site *site = submission->site;
    int error = -cr_errno_of(submission->value);
    char text[1024];
    snprintf(text, sizeof text, "%s [%s]\n  task %s, submitted at %s:%d in %s()\n",
        submission->message ? submission->message : cr_failure_error_words(error),
        crank_errno_name(error), site->function, site->file, site->line, site->caller);
    cr_report(submission->loop, CRANK_REPORT_UNAWAITED, error, NULL, text);
}

/* Its arrival came before, being posted first by the same thread; its task may have ended since. */
static void request_arrived(cr_post *post)
{
    crank_submission *submission = cr_container_of(post, crank_submission, request);
    pthread_mutex_lock(&submission->lock);
    submission->requested = false;
    bool failed = submission->failed;
    pthread_mutex_unlock(&submission->lock);
    if (submission->task)
        (void)cr_cancel_task(submission->loop, submission->task);
    else if (failed && atomic_load(&submission->dropped))
        report_dropped(submission);
    give_up(submission);
}

/* The wait is over with err; the submission itself goes on. */
static void end_wait(crank_submission *submission, int err)
{
    cr_worker *waiter = submission->waiter;
    submission->timer = NULL;
    submission->wait_error = err;
    submission->waiter = NULL;
    if (waiter)
        cr_sim_pool_resume(waiter);
}

static void limit_passed(void *arg) { end_wait(arg, -ETIMEDOUT); }

/* A timer can be started by the loop's thread alone, hence the way round by a post. */
static void limit_arrived(cr_post *post)
{
    crank_submission *submission = cr_container_of(post, crank_submission, limit);
    if (!submission->done && cr_loop_here) {
        submission->timer =
            crank_call_later(submission->loop, submission->timeout, limit_passed, submission);
        if (!submission->timer)
            end_wait(submission, -ENOMEM);
    }
    give_up(submission);
}

/* The stub has left the arguments in this thread's buffer, where the next captured call will
 * overwrite them. */
static void keep_call(crank_submission *submission, crank_function_ *fn, const crank_site *site)
{
    submission->fn = fn;
    submission->site = site;
    if (site->large)
        submission->args.many = *cr_fiber_captured_large();
    else if (site->args > 0)
        submission->args.few = *cr_fiber_captured_small();
}

/* Two hold it: the submitter, and the loop until the task has ended. */
static crank_submission *submission_new(crank_loop *loop)
{
    crank_submission *submission = cr_alloc(loop->sys, sizeof *submission);
    if (!submission)
        return NULL;
    memset(submission, 0, offsetof(crank_submission, fn));
    submission->loop = loop;
    submission->arrival.deliver = arrived;
    submission->request.deliver = request_arrived;
    submission->limit.deliver = limit_arrived;
    atomic_init(&submission->refs, 2);
    pthread_mutex_init(&submission->lock, NULL);
    cr_cond_init(&submission->ended);
    return submission;
}

/* The captured call is copied before anything that could capture another. */
crank_submission *crank_submit_(crank_loop *loop, crank_function_ *fn, const crank_site *site)
{
    bool held;
    cr_check_site = site;
    CR_CHECK(site->kind != CRANK_KIND_DOUBLE && site->kind != CRANK_KIND_FLOAT,
        "crank_submit: %s returns a floating point number, which crank_submission_wait cannot "
        "give; let it return an integer and write the number through a pointer",
        site->function);
    bool reached = reach(loop, &held, "crank_submit");
    cr_check_site = NULL;
    if (!reached) {
        errno = ESHUTDOWN;
        return NULL;
    }
    CR_CHECK(!loop->bare,
        "crank_submit: a loop of crank_loop_new has no tasks; call a function there with "
        "crank_post");
    int number = ENOMEM;
    crank_submission *submission = submission_new(loop);
    if (submission) {
        keep_call(submission, fn, site);
        number = cr_loop_post(loop, &submission->arrival) ? 0 : ESHUTDOWN;
    }
    let_go(held);
    if (number == 0)
        return submission;
    if (submission) {
        atomic_store(&submission->refs, 1);
        give_up(submission);
    }
    errno = number;
    return NULL;
}

/* ---- Waiting for one ---- */

/* Under the simulator a job lets the loop go on meanwhile, and its timeout is the loop's time.
 * Gives why it ended where the submission is not done. */
static int wait_as_worker(crank_submission *submission, cr_worker *self, double timeout)
{
    if (timeout < CRANK_FOREVER) {
        submission->timeout = timeout;
        atomic_fetch_add(&submission->refs, 1);
        (void)cr_loop_post(submission->loop, &submission->limit); /* its job keeps the run */
    }
    submission->wait_error = 0;
    while (!submission->done && submission->wait_error == 0) {
        submission->waiter = self;
        cr_sim_pool_wait(self);
    }
    return submission->wait_error;
}

/* Real time, also where the loop is simulated: this thread is none of the simulator's. */
static void wait_as_stranger(crank_submission *submission, int64_t span)
{
    int64_t end = cr_after(cr_sys_real.now(NULL), span);
    struct timespec until = cr_timespec(end);
    int err = 0;
    pthread_mutex_lock(&submission->lock);
    while (!submission->done && err != ETIMEDOUT) {
        if (end == CR_NEVER)
            err = pthread_cond_wait(&submission->ended, &submission->lock);
        else
            err = pthread_cond_timedwait(&submission->ended, &submission->lock, &until);
    }
    pthread_mutex_unlock(&submission->lock);
}

/* The value is read without the lock once done is seen under it: it is written once. On a timeout
 * the submission stays the caller's, which may wait again. */
int crank_submission_wait(crank_submission *submission, double timeout, long *ret_value)
{
    CR_CHECK(submission, "crank_submission_wait: the submission is NULL; crank_submit gives that "
                         "when it fails");
    CR_CHECK(!cr_loop_here, "crank_submission_wait: it would block this thread, on which a loop "
                            "runs; use crank_spawn and crank_await there");
    int64_t span = cr_loop_nanoseconds(timeout);
    if (span < 0)
        return cr_error_set(-EINVAL, "crank_submission_wait: the timeout is not a number");
    cr_worker *self = cr_worker_here;
    bool simulated = self && self->workers->sim && !self->lost;
    int err = -ETIMEDOUT;
    if (simulated && self->workers->loop == submission->loop)
        err = wait_as_worker(submission, self, timeout);
    else
        wait_as_stranger(submission, span);
    pthread_mutex_lock(&submission->lock);
    bool done = submission->done;
    pthread_mutex_unlock(&submission->lock);
    if (!done)
        return err;
    if (submission->value < 0) {
        int error = -cr_errno_of(submission->value);
        (void)cr_error_set(
            error, "%s", submission->message ? submission->message : cr_failure_error_words(error));
    }
    if (ret_value)
        *ret_value = submission->value;
    give_up(submission);
    return 0;
}

/* An ended loop has answered already. */
static void send_request(crank_submission *submission, const char *call)
{
    bool held;
    if (!reach(submission->loop, &held, call))
        return;
    atomic_fetch_add(&submission->refs, 1);
    if (!cr_loop_post(submission->loop, &submission->request))
        give_up(submission);
    let_go(held);
}

/* Asked once at a time: a second request while one is on its way would be the same post. */
void crank_submission_cancel(crank_submission *submission)
{
    CR_CHECK(submission, "crank_submission_cancel: the submission is NULL");
    pthread_mutex_lock(&submission->lock);
    bool ask = !submission->done && !submission->requested;
    submission->requested |= ask;
    pthread_mutex_unlock(&submission->lock);
    if (ask)
        send_request(submission, "crank_submission_cancel");
}

/* Under the lock: either the task's end finds it dropped, or its failure is found here. */
void crank_submission_drop(crank_submission *submission)
{
    if (!submission)
        return;
    pthread_mutex_lock(&submission->lock);
    atomic_store(&submission->dropped, true);
    bool ask = submission->failed && !submission->requested;
    submission->requested |= ask;
    pthread_mutex_unlock(&submission->lock);
    if (ask)
        send_request(submission, "crank_submission_drop");
    give_up(submission);
}
