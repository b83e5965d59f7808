/* SPDX-License-Identifier: MIT */
/* timeout.c: scopes that fire when a time has come, and shields.
 *
 * Owns: the timer of a scope and the calls a user sees of it. A timeout is no parameter of a
 * waiting call but a scope (after Trio): whatever waits inside is interrupted, however deep, and
 * the limits of nested ones need no arithmetic. A shield is a scope that never fires and hides.
 *
 * A timeout for which there was no memory has no scope: its block's first wait fails (scope.c), and
 * until the block's end CR_TASK_UNLIMITED stands for a limit that has passed, so that what the
 * block closes waits for no peer. Blocks nest: each keeps in its anchor what the flag was before
 * it. */
#include "scope/scope.h"
#include "task/error.h"
#include "base/check.h"

/* timed is cleared first: the timer has been taken off, and closing must not stop it again. */
void cr_timeout_due(crank_loop *loop, cr_timer *timer)
{
    cr_scope *scope = cr_container_of(timer, cr_scope, timer);
    scope->timed = false;
    cr_scope_fire(loop, scope, -ETIMEDOUT);
}

/* Set the limit of a scope that has none running. No time at all fires at once, without a turn
 * of the loop: the first wait inside already fails; and so does what is no time (span < 0), for a
 * declaration has no result by which to refuse it. */
static void limit(cr_scope *scope, int64_t span)
{
    crank_loop *loop = cr_loop_here;
    int64_t deadline = cr_after(cr_now(loop), span > 0 ? span : 0);
    scope->timer.deadline = deadline;
    if (span <= 0) {
        cr_scope_fire(loop, scope, span < 0 ? -EINVAL : -ETIMEDOUT);
    } else if (span != CR_NEVER) {
        scope->timed = cr_timer_start(loop, &scope->timer, CR_TIMER_SCOPE, deadline) == 0;
        if (!scope->timed)
            cr_scope_fire(loop, scope,
                -ENOMEM); /* no memory for the timer: better ended at once than never */
    }
}

/* Why the block could not go on, where that was not for want of time. */
static const char *reason(int error)
{
    return error == -ENOMEM   ? "out of memory for a time limit"
           : error == -EINVAL ? "the time limit is not a number"
                              : "timed out";
}

/* What an -ECANCELED that a timeout has caused becomes, with its message: it keeps what the call
 * that was cut short has said of itself, a write how many bytes were sent. */
static int timed_out(const cr_scope *scope)
{
    const char *cut = cr_error_cut_since(scope->interruption);
    return cr_error_set(
        scope->error, "%s%s%s", reason(scope->error), cut ? ": " : "", cut ? cut : "");
}

static int timeout_leave(crank_loop *loop, cr_scope *scope)
{
    (void)loop;
    return cr_interruption_owned_by(scope) ? timed_out(scope) : -ECANCELED;
}

static const cr_scope_ops timeout_ops = { .name = "timeout", .leave = timeout_leave };
static const cr_scope_ops shield_ops = { .name = "shield", .hides = true };

/* Behind the anchor of a timeout for which there was no memory: the second where the block lies in
 * another of that kind. */
static const char missing[2];
static bool has_scope(const crank_timeout *t)
{
    return t->state && t->state != &missing[0] && t->state != &missing[1];
}

/* Of the blocks of the running body or, in none, of the task's function. Gives what it was. */
static bool set_unlimited(cr_task *task, bool unlimited)
{
    cr_body *body = task->fiber.generator;
    bool was = body ? body->unlimited : task->fiber.flags & CR_TASK_UNLIMITED;
    if (body)
        body->unlimited = unlimited;
    else if (unlimited)
        task->fiber.flags |= CR_TASK_UNLIMITED;
    else
        task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_UNLIMITED);
    return was;
}

static void begin(
    crank_timeout *t, double seconds, const char *call, const char *function, const void *frame)
{
    cr_scope *scope = cr_scope_open(&timeout_ops, &t->state, call);
    if (!scope) {
        t->state = (void *)(uintptr_t)&missing[set_unlimited(cr_self(), true)];
        return;
    }
    scope->function = function;
    scope->frame = frame;
    limit(scope, cr_loop_nanoseconds(seconds));
}

void crank_timeout_begin_(crank_timeout *t, double seconds, const char *function, const void *frame)
{
    begin(t, seconds, "CRANK_TIMEOUT", function, frame);
}

/* A crank_try inside the expression leaves this scope too, and one around it finds it closed. */
void crank_within_begin_(crank_timeout *t, double seconds, const char *function, const void *frame)
{
    begin(t, seconds, "crank_within", function, frame);
}

/* The edge of CRANK_TIMEOUT changes no error: crank_try has done that where the block was left. */
void crank_timeout_end_(crank_timeout *t)
{
    if (CR_LIKELY(has_scope(t))) {
        cr_scope_close(cr_scope_of(t->state, &timeout_ops, "CRANK_TIMEOUT"));
    } else if (t->state) {
        (void)set_unlimited(cr_self(), t->state == &missing[1]);
        t->state = NULL;
    }
}

/* The value was computed inside: a result beats the timeout, and only an -ECANCELED that nothing
 * further out shares becomes its error. One that stays -ECANCELED answers what has come since. */
long crank_within_end_(crank_timeout *t, long value)
{
    if (!has_scope(t))
        return value;
    const cr_scope *scope = cr_scope_of(t->state, &timeout_ops, "crank_within");
    if (CR_LIKELY(value != -ECANCELED))
        return value;
    if (cr_interruption_owned_by(scope))
        return timed_out(scope);
    cr_interruption_answer(scope->task);
    return value;
}

/* A pointer carries its error in errno, which is set again last. */
void *crank_within_ptr_(crank_timeout *t, void *value)
{
    if (value || errno != ECANCELED)
        return value;
    errno = (int)-crank_within_end_(t, -ECANCELED);
    return NULL;
}

/* One that has fired cannot be taken back: its request may have been delivered already. */
int crank_reschedule(crank_timeout *t, double seconds)
{
    CR_CHECK(t, "crank_reschedule: the timeout is NULL; give what CRANK_TIMEOUT declared");
    if (!has_scope(t))
        return cr_error_set(-ENOMEM, "crank_reschedule: there was no memory for the timeout");
    cr_scope *scope = cr_scope_of(t->state, &timeout_ops, "crank_reschedule");
    int64_t span = cr_loop_nanoseconds(seconds);
    if (span < 0)
        return cr_error_set(-EINVAL, "crank_reschedule: the time is not a number");
    if (scope->fired && scope->error != -ETIMEDOUT)
        return cr_error_set(scope->error, "crank_reschedule: %s", reason(scope->error));
    if (scope->fired)
        return cr_error_set(-ETIME, "crank_reschedule: the time had passed already");
    if (scope->timed)
        cr_timer_stop(cr_loop_here, &scope->timer);
    scope->timed = false;
    limit(scope, span);
    return 0;
}

bool crank_expired(const crank_timeout *t)
{
    CR_CHECK(t, "crank_expired: the timeout is NULL; give what CRANK_TIMEOUT declared");
    if (!has_scope(t))
        return false;
    const cr_scope *scope = cr_scope_of(t->state, &timeout_ops, "crank_expired");
    return scope->fired && scope->error == -ETIMEDOUT;
}

/* Negative once it has fired: by how much it is over. */
double crank_remaining(const crank_timeout *t)
{
    CR_CHECK(t, "crank_remaining: the timeout is NULL; give what CRANK_TIMEOUT declared");
    if (!has_scope(t))
        return CRANK_FOREVER;
    const cr_scope *scope = cr_scope_of(t->state, &timeout_ops, "crank_remaining");
    if (scope->fired)
        return (double)(scope->timer.deadline - cr_now(cr_loop_here)) / 1e9;
    return scope->timed ? (double)(scope->timer.deadline - cr_now(cr_loop_here)) / 1e9
                        : CRANK_FOREVER;
}

void crank_shield_begin_(crank_timeout *t)
{
    cr_scope *scope = cr_scope_open(&shield_ops, &t->state, "crank_shield");
    if (scope)
        scope->unlimited = set_unlimited(scope->task, false);
}
void crank_shield_end_(crank_timeout *t)
{
    if (!t->state)
        return;
    cr_scope *scope = cr_scope_of(t->state, &shield_ops, "crank_shield");
    (void)set_unlimited(scope->task, scope->unlimited);
    cr_scope_close(scope);
}
