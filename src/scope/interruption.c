/* SPDX-License-Identifier: MIT */
/* interruption.c: what one -ECANCELED answers.
 *
 * An interruption is one -ECANCELED given to a task. Requests to the task, limits that passed and
 * groups that failed are pending until an interruption tells of them; docs/cancellation.md has the
 * rules R1 to R6. In short: an interruption answers all that was pending and no shield hid, and
 * what comes until the task runs on; at the edge of a scope it belongs to the outermost that shares
 * it; what an edge claims for itself leaves the rest of it pending again.
 *
 * Owns: the numbers of interruptions in scopes, and the comparisons at the edges. An interruption's
 * number is a moment (cr_task_state.sequence); every scope bears the number of the last one that
 * told of it, and of the last one that told of a request while it was open, so that an edge can see
 * what came together. Nothing runs at the instant a task resumes, for parking is a tail call: that
 * a task has not run on yet is told by CR_TASK_INTERRUPTED, which its next waiting call clears
 * (run_on).
 *
 * For example: a limit of 1 s around a sleep, and a request at 1 s. The limit interrupts the sleep,
 * the request is absorbed, the sleep gives -ECANCELED once. The limit does not claim it, because
 * the request shares it: crank_within gives -ECANCELED, and the next wait works. */
#include "scope/scope.h"
#include "task/error.h"

static cr_scope *innermost(const cr_task *task) { return task->fiber.scope; }

/* The shield that hides what lies outside of it; NULL: nothing is hidden. */
static const cr_scope *shield_of(const cr_task *task)
{
    const cr_scope *s = innermost(task);
    while (s && !s->ops->hides)
        s = s->up;
    return s;
}
static bool shielded(const cr_task *task) { return shield_of(task); }

/* Does the task run a cleanup, of a generator that the end of a block closes, which began after
 * that moment? */
static bool closing_since(const cr_task *task, uint64_t moment)
{
    for (const cr_body *b = task->fiber.generator; b; b = b->up)
        if (b->closing && b->closing->begun > moment)
            return true;
    return false;
}

/* Is it only for the next wait of the task's own code, and the task runs a cleanup at the end of a
 * block? */
static inline bool is_deferred(const cr_task *task, uint64_t deferred_at)
{
    return CR_UNLIKELY(deferred_at > 0) && closing_since(task, deferred_at);
}

bool cr_interruption_requested(const cr_task *task)
{
    return (task->fiber.flags & CR_TASK_CANCEL_PENDING) && !shield_of(task) &&
           !(task->ext && is_deferred(task, task->ext->deferred_at));
}

bool cr_interruption_deliverable(const cr_task *task)
{
    for (const cr_scope *s = innermost(task); s && !s->ops->hides; s = s->up)
        if (s->pending && !is_deferred(task, s->deferred_at))
            return true;
    return cr_interruption_requested(task);
}

unsigned cr_interruption_pending(const cr_task *task)
{
    unsigned count = 0;
    for (const cr_scope *s = innermost(task); s && !s->ops->hides; s = s->up)
        count += s->pending && !is_deferred(task, s->deferred_at);
    return count + (cr_interruption_requested(task) ? cr_task_requests(task) : 0);
}

/* Body by body, innermost first, and then the task's own function: each knows of its own blocks
 * without a limit. */
int cr_interruption_fired(const cr_task *task)
{
    const cr_scope *s = innermost(task);
    for (const cr_body *b = task->fiber.generator;; b = b->up) {
        if (b ? b->unlimited : task->fiber.flags & CR_TASK_UNLIMITED)
            return -ENOMEM;
        for (; s != (b ? b->below : NULL); s = s->up)
            if (s->fired || s->ops->hides)
                return s->fired ? -ECANCELED : 0;
        if (!b)
            return 0;
    }
}

/* ---- Interrupting */

/* This interruption has told the task of all scopes that bear its number, and of a request where
 * requested: bodies that are being ended are told so. Only scopes outside of the body count: what
 * its own timeouts and groups do is its own business. */
static CR_NOINLINE void bodies_interrupted(
    const cr_task *task, uint64_t interruption, bool requested)
{
    for (const cr_body *b = task->fiber.generator; b; b = b->up) {
        if (!b->closing)
            continue;
        b->closing->asked |= requested;
        for (const cr_scope *s = b->below; s; s = s->up)
            b->closing->fired |= s->interruption == interruption;
    }
}

static void deliver_scope(cr_scope *scope, uint64_t interruption)
{
    scope->pending = scope->own = false;
    scope->deferred_at = 0;
    scope->interruption = interruption;
    scope->with_request = scope->request_interruption == interruption;
}

/* No shield is there: every scope sees the request. */
static void number_request(const cr_task *task, uint64_t interruption)
{
    for (cr_scope *s = innermost(task); s; s = s->up) {
        s->request_interruption = interruption;
        s->with_request |= s->interruption == interruption;
    }
}

/* The request's flag goes, and with it all that is known of it. */
static void take_request(cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(cr_loop_here);
    task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_CANCEL_PENDING);
    if (tasks->own_requests.id == task->id)
        tasks->own_requests.id = 0;
    if (task->ext)
        task->ext->deferred_at = 0;
}

/* All that is pending and seen has been told of. An edge leaves pending what the task did itself
 * since its last wait. */
static CR_INLINE void deliver_all(cr_task *task, uint64_t now, bool edge)
{
    cr_task_state *tasks = cr_task_state_of(cr_loop_here);
    for (cr_scope *s = innermost(task); s && !s->ops->hides; s = s->up)
        if (s->pending && !(edge && s->own) && !is_deferred(task, s->deferred_at))
            deliver_scope(s, now);
    bool own = edge && tasks->own_requests.id == task->id;
    bool requested = cr_interruption_requested(task) && !(own && tasks->own_requests.alone);
    if (requested) {
        if (own)
            tasks->own_requests.alone = true;
        else
            take_request(task);
        number_request(task, now);
        cr_error_deliver_reason(task);
    }
    if (innermost(task))
        cr_scopes_refresh(task);
    if (CR_UNLIKELY(task->fiber.generator != NULL))
        bodies_interrupted(task, now, requested);
}

void cr_interruption_give(cr_task *task)
{
    uint64_t now = ++cr_task_state_of(cr_loop_here)->sequence;
    deliver_all(task, now, false);
    if (innermost(task))
        innermost(task)->latest_interruption = now;
    if (cr_loop_here->runner.current != &task->fiber)
        task->fiber.flags |= CR_TASK_INTERRUPTED;
}

/* The chain has not changed since the interruption: its number stands in the innermost scope. A
 * request without a reason leaves the reason of an earlier one. */
static bool absorb(cr_task *task)
{
    if (shield_of(task))
        return false;
    uint64_t interruption = innermost(task) ? innermost(task)->latest_interruption : 0;
    number_request(task, interruption);
    if (task->ext && task->ext->reason)
        cr_error_deliver_reason(task);
    if (CR_UNLIKELY(task->fiber.generator != NULL))
        bodies_interrupted(task, interruption, true);
    return true;
}

bool cr_interruption_absorb(cr_scope *scope)
{
    cr_task *task = scope->task;
    for (const cr_scope *s = innermost(task); s != scope; s = s->up)
        if (s->ops->hides)
            return false;
    deliver_scope(scope, innermost(task)->latest_interruption);
    if (CR_UNLIKELY(task->fiber.generator != NULL))
        bodies_interrupted(task, scope->interruption, false);
    return true;
}

void cr_interruption_run_on(cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(cr_loop_here);
    task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_INTERRUPTED);
    if (tasks->own_requests.id == task->id)
        tasks->own_requests.id = 0;
    if (task->fiber.flags & CR_TASK_SCOPE_PENDING)
        for (cr_scope *s = innermost(task); s; s = s->up)
            s->own = false;
}

/* ---- At the edges */

/* A limit can claim an -ECANCELED only after some interruption has told of it: before, another has
 * caused that. What was pending or delivered before this scope was opened was known then and does
 * not count, with one exception: scopes that came back with a generator together were open to each
 * other all the time. */
bool cr_interruption_owned_by(const cr_scope *scope)
{
    const cr_task *task = scope->task;
    if (!scope->fired || scope->interruption == 0)
        return false;
    for (const cr_scope *outer = scope->up; outer; outer = outer->up) {
        if (outer->ops->hides)
            return true;
        uint64_t since = outer->entered == scope->entered ? scope->opened : scope->entered;
        if (outer->fired && !outer->own && outer->fired_at > since)
            return false;
    }
    unsigned own = cr_task_own_requests(cr_task_state_of(cr_loop_here), task);
    return cr_task_requests(task) - own <= scope->asked && !cr_task_requests_saturated(task);
}

void cr_interruption_answer(cr_task *task)
{
    deliver_all(task, ++cr_task_state_of(cr_loop_here)->sequence, true);
}

/* Of what lies further out, all that was told of from first to last is pending again, and so is the
 * request where requested; its reason, where it is still at hand, too. */
static void restore(cr_scope *scope, uint64_t first, uint64_t last, bool requested)
{
    cr_task *task = scope->task;
    cr_scope *outer = scope->up;
    if (first == 0)
        return;
    for (; outer && !outer->ops->hides; outer = outer->up)
        if (outer->fired && outer->interruption >= first && outer->interruption <= last)
            outer->pending = true;
    if (requested && !outer && CR_COUNTS_REQUESTS(task) > 0) {
        const cr_failure *reason = cr_failure_of(task);
        task->fiber.flags |= CR_TASK_CANCEL_PENDING;
        if (reason && cr_failure_error(reason) == -ECANCELED && !task->ext->reason)
            task->ext->reason = cr_error_take(task);
    }
    cr_scopes_refresh(task);
}

void cr_interruption_restore_shared(cr_scope *scope)
{
    restore(scope, scope->interruption, scope->interruption, scope->with_request);
}

/* A group with a failure that no wait has told of claims the last -ECANCELED given inside it, if
 * there was one. */
void cr_interruption_restore_since(cr_scope *scope)
{
    uint64_t first = scope->interruption;
    if (first == 0) {
        first = scope->request_interruption;
        for (const cr_scope *s = scope->up; s && !s->ops->hides; s = s->up)
            first = s->interruption > first ? s->interruption : first;
        if (first < scope->opened)
            return;
    }
    restore(scope, first, UINT64_MAX, scope->with_request || scope->request_interruption >= first);
}

/* crank_try leaves a function with -ECANCELED: of the scopes that this very call opened (a
 * recursive one has another frame) the innermost that may claim it turns it into its own error. A
 * failed group always may: its failure would be lost else. */
static int leave(crank_loop *loop, cr_task *task, const char *function, const void *frame)
{
    cr_scope *scope = innermost(task);
    bool edge = false;
    for (; scope && scope->frame == frame && scope->function == function; scope = scope->up) {
        edge = true;
        int error = scope->ops->leave ? scope->ops->leave(loop, scope) : -ECANCELED;
        if (error != -ECANCELED)
            return error;
    }
    if (edge)
        cr_interruption_answer(task);
    return -ECANCELED;
}

/* ---- Taking back, putting off */

/* What was taken back was known in all scopes. The next request is not, though it brings the count
 * no higher than it was. */
static void uncancelled(cr_task *task)
{
    bool pending = task->fiber.flags & CR_TASK_CANCEL_PENDING;
    unsigned known = cr_task_requests(task) - pending;
    for (cr_scope *s = innermost(task); s; s = s->up)
        if (s->asked > known)
            s->asked = (uint16_t)known;
}

/* Without memory for the ext the request also cuts the next cleanup, which is no worse than two
 * requests would be. */
void cr_interruption_defer(cr_task *task, uint64_t since, bool requested)
{
    cr_task_state *tasks = cr_task_state_of(cr_loop_here);
    uint64_t now = ++tasks->sequence;
    for (cr_scope *s = innermost(task); s; s = s->up) {
        if (s->fired && s->interruption > since) {
            s->pending = true;
            s->deferred_at = now;
        }
    }
    if (requested) {
        cr_ext *ext = cr_record_ext(tasks, task);
        task->fiber.flags |= CR_TASK_CANCEL_PENDING;
        if (ext)
            ext->deferred_at = now;
    }
    cr_scopes_refresh(task);
}

const cr_pending_ops cr_interruption_ops = { .deliverable = cr_interruption_deliverable,
    .interrupt = cr_interruption_give,
    .run_on = cr_interruption_run_on,
    .absorb = absorb,
    .shielded = shielded,
    .uncancelled = uncancelled,
    .leave_scopes = leave,
    .hibernatable = cr_scopes_hibernatable };
