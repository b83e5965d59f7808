/* SPDX-License-Identifier: MIT */
/* scope.c: the chain of a task's scopes.
 *
 * Owns: the chain, from opening to closing, its way with a generator that sleeps, and what firing a
 * scope means. Does not own why it fires (timeout.c, group.c), nor what the -ECANCELED that follows
 * answers and which edge may claim it (interruption.c).
 *
 * Invariant: CR_TASK_SCOPE_PENDING is set on a task exactly while a scope of its chain has fired
 * and not delivered. The idea is Trio's cancel scopes; the delivery is asyncio's, once per request,
 * so that cleanup code inside a scope that has fired may wait. */
#include "scope/scope.h"
#include "scope/cancel.h"
#include "base/check.h"
#include <string.h>

/* An anchor is cleared when its scope closes: what is behind one that is set is alive, if not the
 * anchor itself lies in a frame that has gone, where another may stand by now. */
cr_scope *cr_scope_of(void *state, const cr_scope_ops *ops, const char *call)
{
    cr_scope *scope = state;
    CR_CHECK(scope->ops == ops, "%s: the block it was declared in has ended", call);
    return scope;
}

/* What had been asked of the task before is not this scope's affair; what is still to be delivered
 * will be so inside it, and counts as asked there. */
static uint16_t dealt_with(const cr_task *task)
{
    bool pending = task->fiber.flags & CR_TASK_CANCEL_PENDING;
    return (uint16_t)(cr_task_requests(task) - pending);
}

/* The same for scopes around it: one that has fired and not delivered fires, as it were, now. */
static void refire_outer(cr_task_state *tasks, const cr_scope *scope)
{
    for (cr_scope *outer = scope->up; outer; outer = outer->up)
        if (outer->pending)
            outer->fired_at = ++tasks->sequence;
}

/* asked, opened and entered are what cr_interruption_owned_by compares with later. */
cr_scope *cr_scope_open(const cr_scope_ops *ops, void **anchor, const char *call)
{
    cr_task *self = cr_checked_self(call);
    cr_task_state *tasks = cr_task_state_of(cr_loop_here);
    cr_scope *scope = cr_freelist_get(&tasks->scopes);
    *anchor = scope;
    if (!scope) { /* the next wait fails; no other task runs before it */
        tasks->out_of_memory = self->id;
        cr_loop_here->runner.budget = 1;
        return NULL;
    }
    memset(scope, 0, CR_SCOPE_SIZE);
    scope->ops = ops;
    scope->task = self;
    scope->asked = dealt_with(self);
    scope->opened = scope->entered = ++tasks->sequence;
    scope->anchor = anchor;
    scope->up = self->fiber.scope;
    self->fiber.scope = scope;
    if (CR_UNLIKELY(self->fiber.flags & CR_TASK_SCOPE_PENDING))
        refire_outer(tasks, scope);
    return scope;
}

/* Only after a change: asking the chain in every wait would cost them all. */
void cr_scopes_refresh(cr_task *task)
{
    task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_SCOPE_PENDING);
    for (const cr_scope *s = task->fiber.scope; s; s = s->up)
        if (s->pending)
            task->fiber.flags |= CR_TASK_SCOPE_PENDING;
}

/* Innermost first, always by the task that opened it: a chain that is left in another order was
 * left by longjmp, and every scope above would go on pointing into a frame that has gone. */
void cr_scope_close(cr_scope *scope)
{
    cr_task *task = scope->task;
    CR_CHECK(task && task == cr_self() && task->fiber.scope == scope,
        "a %s is left out of order: the block inside it was left by longjmp, or it is left by "
        "another task",
        scope->ops->name);
    if (scope->timed)
        cr_timer_stop(cr_loop_here, &scope->timer);
    task->fiber.scope = scope->up;
    if (scope->pending)
        cr_scopes_refresh(task);
    *scope->anchor = NULL;
    cr_freelist_put(&cr_task_state_of(cr_loop_here)->scopes, scope);
}

/* Once: the first reason stands. A scope that sleeps with a generator has no task to interrupt;
 * what fired is delivered when it is attached again. Notice comes last, for it may wake the
 * task. */
void cr_scope_fire(crank_loop *loop, cr_scope *scope, int error)
{
    if (scope->fired)
        return;
    scope->fired = true;
    scope->pending = true;
    scope->error = error;
    scope->fired_at = ++cr_task_state_of(loop)->sequence;
    cr_task *task = scope->task;
    if (!task)
        return;
    scope->own = loop->runner.current == &task->fiber;
    if (!scope->own && (task->fiber.flags & CR_TASK_INTERRUPTED) && cr_interruption_absorb(scope))
        return;
    task->fiber.flags |= CR_TASK_SCOPE_PENDING;
    if (!(task->fiber.flags & CR_TASK_DELIVERING)) /* else its wait is being aborted already */
        cr_cancel_deliver(loop, task);
}

/* The request is withdrawn, what fired stays fired: the task that opened the scope is about to look
 * at it itself. */
void cr_scope_clear_pending(cr_scope *scope)
{
    if (!scope->pending)
        return;
    scope->pending = scope->own = false;
    scope->deferred_at = 0;
    if (scope->task)
        cr_scopes_refresh(scope->task);
}

void cr_scope_reset(cr_scope *scope)
{
    scope->fired = false;
    scope->error = 0;
    scope->interruption = 0;
    scope->with_request = false;
    cr_scope_clear_pending(scope);
}

bool cr_scopes_hibernatable(const cr_task *task)
{
    for (const cr_scope *s = task->fiber.scope; s; s = s->up)
        if (s->ops->pins_stack && s->ops->pins_stack(s))
            return false;
    return true;
}

static void belong(cr_scope *scope, cr_task *task)
{
    scope->task = task;
    if (scope->ops->moved)
        scope->ops->moved(scope, task);
}

/* A yield inside a scope, of which there is one at least: the part of the chain that the
 * generator's body opened leaves with it, in one piece, so that attaching it is a matter of one
 * link. */
void cr_scopes_detach(cr_task *task, cr_scope *below, cr_scope **ret_top, cr_scope **ret_bottom)
{
    *ret_top = task->fiber.scope;
    for (cr_scope *s = task->fiber.scope; s != below; s = s->up) {
        belong(s, NULL);
        *ret_bottom = s;
    }
    task->fiber.scope = below;
    cr_scopes_refresh(task);
}

/* Perhaps to another task than before: the task that asks for the next value has the body's scopes.
 * To what is around them now they are as new. */
void cr_scopes_attach(crank_loop *loop, cr_task *task, cr_scope *top, cr_scope *bottom)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    if (!top)
        return;
    bottom->up = task->fiber.scope;
    uint64_t now = ++tasks->sequence;
    for (cr_scope *s = top; s != bottom->up; s = s->up) {
        belong(s, task);
        s->asked = dealt_with(task);
        s->entered = now;
    }
    if (CR_UNLIKELY(task->fiber.flags & CR_TASK_SCOPE_PENDING))
        refire_outer(tasks, bottom);
    task->fiber.scope = top;
    cr_scopes_refresh(task);
}
