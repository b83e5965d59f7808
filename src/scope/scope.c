/* SPDX-License-Identifier: MIT */
/* scope.c: the chain of a task's scopes, and which requests reach its waits.
 *
 * Owns: the chain, what fires a scope and what firing means. Does not own why (timeout.c, group.c).
 *
 * Invariant: CR_TASK_SCOPE_ASKED is set on a task exactly while a scope of its chain has fired and
 * not delivered. A wait delivers all requests that it can see at once: one -ECANCELED for them
 * together, as one interruption is all that is left to do. Each scope's edge then decides for
 * itself what it was.
 *
 * The idea is Trio's cancel scopes; the delivery is asyncio's, once per request, so that cleanup
 * code inside a scope that has fired may wait. Who caused an -ECANCELED is therefore not to be
 * seen in the error: it is told by time. A scope that fired answers for it, unless somebody
 * further out has asked since it was opened. */
#include "scope/scope.h"
#include "base/check.h"
#include <string.h>

/* An anchor is cleared when its scope closes: what is behind one that is set is alive, if not the
 * anchor itself lies in a frame that has gone, where another may stand by now. */
cr_scope *cr_scope_of(void *state, enum cr_scope_type type, const char *call)
{
    cr_scope *scope = state;
    CR_CHECK(scope->type == type, "%s: the block it was declared in has ended", call);
    return scope;
}

/* What had been asked of the task before is not this scope's affair; what is still to be delivered
 * will be so inside it, and counts as asked there. */
static uint8_t dealt_with(const cr_task *task)
{
    bool pending = task->fiber.flags & CR_TASK_ASKED;
    return (uint8_t)(CR_TALLY_REQUESTS(task) - pending);
}

/* The same for scopes around it: one that has fired and not delivered fires, as it were, now. */
static void refire_outer(cr_tasks *tasks, const cr_scope *scope)
{
    for (cr_scope *outer = scope->up; outer; outer = outer->up)
        if (outer->undelivered)
            outer->fired_at = ++tasks->moments;
}

/* asked, opened and entered are what cr_scope_caused compares with later. */
cr_scope *cr_scope_open(enum cr_scope_type type, void **anchor, const char *call)
{
    cr_task *self = cr_self_checked(call);
    cr_tasks *tasks = cr_tasks_of(cr_loop_here);
    cr_scope *scope = cr_pool_get(&tasks->scopes);
    *anchor = scope;
    if (!scope) { /* the next wait fails; nobody else runs before it */
        tasks->out_of_memory = self->id;
        cr_loop_here->runner.budget = 1;
        return NULL;
    }
    memset(scope, 0, CR_SCOPE_SIZE);
    scope->type = (uint8_t)type;
    scope->task = self;
    scope->asked = dealt_with(self);
    scope->opened = scope->entered = ++tasks->moments;
    scope->anchor = anchor;
    scope->up = self->fiber.scope;
    self->fiber.scope = scope;
    if (CR_UNLIKELY(self->fiber.flags & CR_TASK_SCOPE_ASKED))
        refire_outer(tasks, scope);
    return scope;
}

/* Set or clear the flag by what the chain says. Only after a change: asking the chain in every
 * wait would cost them all. */
static void refresh(cr_task *task)
{
    task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_SCOPE_ASKED);
    for (const cr_scope *s = task->fiber.scope; s; s = s->up)
        if (s->undelivered)
            task->fiber.flags |= CR_TASK_SCOPE_ASKED;
}

/* Innermost first, always by the task that opened it: a chain that is left in another order was
 * left by longjmp, and every scope above would go on pointing into a frame that has gone. */
void cr_scope_close(cr_scope *scope)
{
    cr_task *task = scope->task;
    CR_CHECK(task && task == cr_self() && task->fiber.scope == scope,
        "a %s is left out of order: the block inside it was left by longjmp, or it is left by "
        "another task",
        scope->type == CR_GROUP     ? "group"
        : scope->type == CR_TIMEOUT ? "timeout"
                                    : "shield");
    if (scope->timed)
        cr_timer_stop(cr_loop_here, &scope->timer);
    task->fiber.scope = scope->up;
    if (scope->undelivered)
        refresh(task);
    *scope->anchor = NULL;
    cr_pool_put(&cr_tasks_of(cr_loop_here)->scopes, scope);
}

/* Once: the first reason stands. A scope that sleeps with a generator has no task to interrupt;
 * what fired is delivered when it is attached again. Notice comes last, for it may wake the
 * task. */
void cr_scope_fire(crank_loop *loop, cr_scope *scope, int error)
{
    if (scope->fired)
        return;
    scope->fired = true;
    scope->undelivered = true;
    scope->error = error;
    scope->fired_at = ++cr_tasks_of(loop)->moments;
    if (!scope->task)
        return;
    scope->task->fiber.flags |= CR_TASK_SCOPE_ASKED;
    cr_task_notice(loop, scope->task);
}

/* The request is withdrawn, what fired stays fired: the opener is about to look at it itself. */
void cr_scope_quiet(cr_scope *scope)
{
    if (!scope->undelivered)
        return;
    scope->undelivered = false;
    if (scope->task)
        refresh(scope->task);
}

void cr_scope_reset(cr_scope *scope)
{
    scope->fired = false;
    scope->error = 0;
    cr_scope_quiet(scope);
}

/* What has an -ECANCELED to do with this scope? A limit that no wait has told of has caused none: a
 * yield inside tells of the generator's closing, and one further in may have passed first. A
 * group's failure must be told in any case. */
static bool told_of(const cr_scope *scope)
{
    return scope->fired && (scope->type != CR_TIMEOUT || !scope->undelivered);
}

/* Outer scopes and requests that came before this one was opened were known then, and do not
 * count; those that came since mean the -ECANCELED belongs further out, and stays one. Both sides
 * of an edge ask the same question, or a limit would leave it to one that does not take it. What
 * slept with a generator has been around for whoever asks since it was asked; scopes that came back
 * together were so to each other all the time. */
bool cr_scope_caused(const cr_scope *scope)
{
    if (!told_of(scope))
        return false;
    for (const cr_scope *outer = scope->up; outer; outer = outer->up) {
        if (outer->type == CR_SHIELD)
            return true; /* what is asked outside is not seen in here */
        bool together = outer->entered == scope->entered;
        if (told_of(outer) && outer->fired_at > (together ? scope->opened : scope->entered))
            return false;
    }
    return CR_TALLY_REQUESTS(scope->task) <= scope->asked;
}

/* From the inside out: the first shield hides all that is outside of it, requests to the task
 * included. */
bool cr_scopes_deliverable(const cr_task *task)
{
    for (const cr_scope *s = task->fiber.scope; s; s = s->up) {
        if (s->type == CR_SHIELD)
            return false;
        if (s->undelivered)
            return true;
    }
    return task->fiber.flags & CR_TASK_ASKED;
}

unsigned cr_scopes_pending(const cr_task *task)
{
    unsigned count = 0;
    for (const cr_scope *s = task->fiber.scope; s; s = s->up) {
        if (s->type == CR_SHIELD)
            return count;
        count += s->undelivered;
    }
    return count + (task->fiber.flags & CR_TASK_ASKED ? CR_TALLY_REQUESTS(task) : 0);
}

/* All that this wait could see. What a shield hides stays pending. */
void cr_scopes_delivered(cr_task *task)
{
    uint64_t now = ++cr_tasks_of(cr_loop_here)->moments;
    cr_scope *s = task->fiber.scope;
    for (; s && s->type != CR_SHIELD; s = s->up) {
        if (s->undelivered)
            s->delivered_at = now;
        s->undelivered = false;
    }
    bool asked = !s && (task->fiber.flags & CR_TASK_ASKED);
    if (asked) {
        task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_ASKED);
        cr_reason_deliver(task);
    }
    refresh(task);
    if (CR_UNLIKELY(task->fiber.generator != NULL))
        cr_generators_told(task, now, asked);
}

/* What was taken back was known in them all. The next request is not, though it brings the count no
 * higher than it was. */
void cr_scopes_uncancelled(cr_task *task)
{
    uint8_t known = dealt_with(task);
    for (cr_scope *s = task->fiber.scope; s; s = s->up)
        if (s->asked > known)
            s->asked = known;
}

void cr_scopes_undeliver(cr_task *task, uint64_t since, bool asked)
{
    for (cr_scope *s = task->fiber.scope; s; s = s->up)
        if (s->delivered_at > since)
            s->undelivered = true;
    if (asked)
        task->fiber.flags |= CR_TASK_ASKED;
    refresh(task);
}

bool cr_scopes_may_nap(const cr_task *task)
{
    for (const cr_scope *s = task->fiber.scope; s; s = s->up)
        if (s->type == CR_GROUP && cr_group_busy(s))
            return false;
    return true;
}

static void belong(cr_scope *scope, cr_task *task)
{
    scope->task = task;
    if (scope->type == CR_GROUP)
        cr_group_belongs(scope, task);
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
    refresh(task);
}

/* Perhaps to another task than before: whoever asks for the next value has the body's scopes. To
 * what is around them now they are as new. */
void cr_scopes_attach(crank_loop *loop, cr_task *task, cr_scope *top, cr_scope *bottom)
{
    cr_tasks *tasks = cr_tasks_of(loop);
    if (!top)
        return;
    bottom->up = task->fiber.scope;
    uint64_t now = ++tasks->moments;
    for (cr_scope *s = top; s != bottom->up; s = s->up) {
        belong(s, task);
        s->asked = dealt_with(task);
        s->entered = now;
    }
    if (CR_UNLIKELY(task->fiber.flags & CR_TASK_SCOPE_ASKED))
        refire_outer(tasks, bottom);
    task->fiber.scope = top;
    refresh(task);
}

/* crank_try leaves a function: of the scopes that this very call opened (a recursive one has
 * another frame) the innermost that caused the -ECANCELED turns it into its own error. */
int cr_scopes_leave(crank_loop *loop, cr_task *task, const char *function, const void *frame)
{
    cr_scope *scope = task->fiber.scope;
    for (; scope && scope->frame == frame && scope->function == function; scope = scope->up) {
        if (!cr_scope_caused(scope))
            continue;
        if (scope->type == CR_GROUP)
            return cr_group_leave(loop, scope);
        return cr_timeout_failed(scope);
    }
    return -ECANCELED;
}
