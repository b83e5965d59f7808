/* SPDX-License-Identifier: MIT */
/* group.c: children that end before the block does.
 *
 * A group is a scope that owns tasks (Trio's nursery, asyncio's TaskGroup). The first child to fail
 * fires it: the siblings are cancelled, the parent's wait inside the block is interrupted, and at
 * the edge the request becomes that child's error. Failures are kept in the order in which they
 * happened, as children of one. With a limit, children beyond it are held back: they have no stack
 * and no turn until another has ended.
 *
 * Owns: the children from their spawning to their release, and what the parent is told. Does not
 * own how a request is delivered (interruption.c), how a task ends (end.c), or what is done with
 * the results that a pool keeps (pool.c).
 *
 * Invariants: the block is never left with a child alive; going is the number of children that
 * are neither held nor ended; a held child is among owner.alive, so the group waits for it too.
 * After a wait has been concluded the group is as new, and may be filled again. */
#include "group/group.h"
#include "group/results.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/nursery.h"
#include "scope/reap.h"
#include "scope/scope.h"
#include "scope/spawn.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/report.h"
#include "task/result.h"
#include "task/wait.h"
#include "base/check.h"
#include "base/text.h"
#include <string.h>

struct cr_group {
    cr_scope scope; /* first */
    cr_nursery owner;
    cr_task *held, *held_last; /* first come, first served; through fiber.next */
    size_t limit;              /* 0: none */
    size_t going;              /* children alive and not held */
    cr_failure *failure;       /* of all children that failed; NULL where memory was short */
    int error;                 /* the first's */
    bool waiting;              /* the parent is parked until the last has ended */
    bool leaving;              /* it is, to leave the block: nothing is concluded for it */
    bool closing;              /* cancelled: no child may be added */
    bool interrupted;          /* the parent was asked to stop while it waited for us */
    bool named;                /* a child that does not end was reported */
    bool is_pool;
    bool tolerant;       /* a child's failure is its own: see cr_group_tolerate */
    uint32_t tolerated;  /* how many there were */
    cr_results *results; /* a pool's; NULL for a group */
};
_Static_assert(sizeof(cr_group) <= CR_SCOPE_SIZE, "a group fits the scopes' freelist");

static cr_group *group_of_owner(cr_nursery *owner)
{
    return cr_container_of(owner, cr_group, owner);
}

/* Children alive may hold addresses in the parent's stack. */
static bool pins_stack(const cr_scope *scope)
{
    return ((const cr_group *)(const void *)scope)->owner.alive > 0;
}

/* A child that asks the generator it was spawned in would wait for itself. */
static void moved(cr_scope *scope, cr_task *task)
{
    cr_group *group = (cr_group *)(void *)scope;
    for (const cr_task *up = task; up; up = cr_task_parent(up))
        CR_CHECK(!(up->fiber.flags & CR_TASK_IN_GROUP) || up->owner != &group->owner,
            "crank_next: task '%s' is a child of a group inside the generator that it asks, or of "
            "such a child's, and would wait for itself",
            cr_describe_name(task));
    group->owner.parent = task;
}

static int leave(crank_loop *loop, cr_scope *scope);
static const cr_scope_ops group_ops = {
    .name = "group", .leave = leave, .moved = moved, .pins_stack = pins_stack
};

static cr_group *group_of(const crank_group *group, const char *call)
{
    return (cr_group *)(void *)cr_scope_of(group->state, &group_ops, call);
}

/* ---- failing */

/* The first failure of all, a cancellation from inside, or the parent's: all children are
 * cancelled, once, whatever else comes; only the grace period's timer repeats it. Where that ends
 * the last child at once, a waiting parent has been woken and the group is as new. */
static void stop_all(crank_loop *loop, cr_group *group)
{
    if (group->closing)
        return;
    group->closing = true;
    cr_cancel_children(loop, group->owner.child);
}

/* A first failure. Where the parent waits for us already there is nothing to interrupt. A later
 * failure is kept, but changes nothing: all children have been asked to end. Firing is last, for it
 * may wake the parent. */
static void fail(crank_loop *loop, cr_group *group, int error)
{
    if (group->error)
        return;
    group->error = error;
    stop_all(loop, group);
    if (group->error)
        cr_scope_fire(loop, &group->scope, error);
}

/* ---- waiting for the end */

/* What the parent's wait gives once all children have ended. The group is as new then. The group's
 * error beats an interruption from outside, which then stays pending: the parent would otherwise
 * never learn of the failure. An -ECANCELED by which the parent has learned of the group's end is
 * claimed by this result, and what shared it is pending again. Resetting the scope comes first, so
 * that deliverable is not answered by the group itself. */
static int conclude(crank_loop *loop, cr_group *group)
{
    cr_task *parent = group->scope.task;
    int result = group->error;
    cr_interruption_restore_shared(&group->scope);
    cr_scope_reset(&group->scope);
    if (result < 0) {
        if (group->failure)
            cr_error_give(loop, parent, group->failure);
    } else if (group->interrupted && cr_interruption_deliverable(parent)) {
        cr_interruption_give(parent);
        result = -ECANCELED;
    }
    group->failure = NULL;
    group->error = 0;
    group->closing = group->interrupted = group->named = false;
    return result;
}

static size_t wait_describe(const cr_task *parent, char *buf, size_t size)
{
    const cr_group *group = parent->wait_object;
    return cr_text_format(buf, size, "%zu child%s of its group", group->owner.alive,
        group->owner.alive == 1 ? "" : "ren");
}
/* Any child will do: the list's first is the oldest. */
static cr_task *wait_holder(const cr_task *parent)
{
    return ((const cr_group *)parent->wait_object)->owner.child;
}

static bool wait_abort(cr_task *parent);
static cr_task *wait_unnamed(cr_task *parent)
{
    cr_group *group = parent->wait_object;
    bool named = group->named;
    group->named = true;
    return named ? NULL : group->owner.child;
}
static void wait_ask(crank_loop *loop, cr_task *parent)
{
    cr_cancel_children(loop, ((cr_group *)parent->wait_object)->owner.child);
}
static const cr_wait_ops group_wait, group_end_wait;
static const cr_reap group_reap = {
    .plain = &group_wait, .graced = &group_end_wait, .unnamed = wait_unnamed, .ask = wait_ask
};
static const cr_wait_ops group_wait = { .what = "waits for",
    .abort = wait_abort,
    .reap = &group_reap,
    .describe = wait_describe,
    .blocked_by = wait_holder };
/* The same after the children were asked to end: with the grace period's timer running. */
static const cr_wait_ops group_end_wait = { .what = "waits for",
    .abort = wait_abort,
    .on_timeout = cr_reap_due,
    .reap = &group_reap,
    .describe = wait_describe,
    .blocked_by = wait_holder };

/* The parent is cancelled. Where its own group failed, the children have been cancelled then; where
 * the reason lies outside, they are cancelled now. The parent goes on when they have ended, and
 * only what came from outside is pending then. */
static bool wait_abort(cr_task *parent)
{
    cr_group *group = parent->wait_object;
    crank_loop *loop = cr_loop_here;
    cr_scope_clear_pending(&group->scope);
    if (cr_interruption_deliverable(parent)) {
        group->interrupted = true;
        stop_all(loop, group);
    }
    cr_reap_asked(loop, parent, &group_reap);
    return false;
}

/* Held children that may go now. Pushed in the order in which they were spawned; one that has
 * waited is never overtaken, since a new child is held as long as going is at the limit. In a
 * closing group they are being cancelled one after another, and none may slip through. */
static void start_held(crank_loop *loop, cr_group *group)
{
    while (group->held && group->going < group->limit && !group->closing) {
        cr_task *task = group->held;
        group->held = cr_task_of_fiber(task->fiber.next);
        group->going++;
        task->fiber.life = CR_ALIVE;
        cr_spawn_ready(loop, task);
    }
}

/* A held child is cancelled: it never runs. It counts as going until its end, which follows. */
static void undefer(cr_nursery *owner, cr_task *child)
{
    cr_group *group = group_of_owner(owner);
    cr_task *before = NULL;
    for (cr_task *t = group->held; t != child; t = cr_task_of_fiber(t->fiber.next))
        before = t;
    if (before)
        before->fiber.next = child->fiber.next;
    else
        group->held = cr_task_of_fiber(child->fiber.next);
    if (group->held_last == child)
        group->held_last = before;
    group->going++;
}

/* The last child has ended: the parent goes on. A parent that is only leaving is given 0: what
 * there is to say has been kept for the block's edge. */
static void wake_parent(crank_loop *loop, cr_group *group)
{
    cr_task *parent = group->scope.task;
    group->waiting = false;
    cr_reap_end(loop, parent, &group_reap);
    cr_wake(loop, parent, group->leaving ? 0 : conclude(loop, group));
}

/* Called from within the end, after the joiner and before any other task runs. The failure is kept
 * before the record goes; held children start before the count is looked at, and the parent is
 * woken last of all. Claimed first: the group is told of every failure, so no report is needed. */
static void child_ended(crank_loop *loop, cr_nursery *owner, cr_task *child)
{
    cr_group *group = group_of_owner(owner);
    int error = cr_result_error(child);
    group->going--;
    child->fiber.flags |= CR_TASK_CLAIMED;
    if (CR_UNLIKELY(error < 0 && error != -ECANCELED && group->tolerant)) {
        group->tolerated++;
    } else if (CR_UNLIKELY(error < 0 && error != -ECANCELED)) {
        cr_error_collect(loop, &group->failure, child, error);
        fail(loop, group, error);
    }
    if (CR_UNLIKELY(group->results != NULL))
        cr_results_keep(group->results, child);
    cr_end_release(loop, child);
    if (CR_UNLIKELY(group->held != NULL))
        start_held(loop, group);
    if (owner->alive == 0 && group->waiting)
        wake_parent(loop, group);
}

/* There was no memory for the group: it has no children, and its first wait says so. */
static CR_COLD int missing(cr_caller *w)
{
    int err = cr_checkpoint(w, "crank_group_wait");
    return err < 0 ? err
                   : cr_error_set(-ENOMEM, "crank_group_wait: there was no memory for the group");
}

/* The group's own request is withdrawn first: the parent is about to look at its error. A
 * request from outside stops the children and is delivered by conclude, when they have ended; so
 * this wait never returns with a child alive. */
int crank_group_wait(crank_group *g)
{
    CR_CHECK(g, "crank_group_wait: the group is NULL; give what CRANK_GROUP declared");
    cr_caller w = { cr_checked_loop("crank_group_wait"), cr_checked_self("crank_group_wait") };
    if (CR_UNLIKELY(!g->state))
        return missing(&w);
    cr_group *group = group_of(g, "crank_group_wait");
    CR_CHECK(group->scope.task == w.self,
        "crank_group_wait: only the task that opened the group can wait for it");
    int err = cr_checkpoint_no_cancel(&w);
    if (CR_UNLIKELY(err < 0))
        fail(w.loop, group, err);
    cr_scope_clear_pending(&group->scope);
    if (CR_UNLIKELY(cr_checkpoint_pending(&w))) {
        group->interrupted = true;
        stop_all(w.loop, group);
    }
    if (group->owner.alive == 0)
        return conclude(w.loop, group);
    group->waiting = true;
    w.self->wait_object = group;
    return cr_park_int(
        &w, group->closing ? cr_reap_begin(w.loop, w.self, &group_reap) : &group_wait);
}

/* ---- opening, adding, leaving */

/* The object is zero but for the scope's part: an empty group with no limit. */
cr_group *cr_group_open(crank_group *g, size_t limit, const char *function, const void *frame)
{
    cr_scope *scope = cr_scope_open(&group_ops, &g->state, "CRANK_GROUP");
    cr_group *group = (cr_group *)(void *)scope;
    if (!group)
        return NULL;
    scope->function = function;
    scope->frame = frame;
    cr_nursery_init(&group->owner, child_ended);
    group->owner.parent = scope->task;
    group->owner.undefer = undefer;
    group->limit = limit;
    return group;
}

/* A spawn that fails fails the group: a caller that ignores the NULL hears of it from the wait. */
static crank_task *cannot_spawn(crank_loop *loop, cr_group *group, const char *call)
{
    if (group->tolerant) {
        errno = ENOMEM;
        return NULL;
    }
    if (!group->failure) {
        const cr_task *self = cr_self(); /* the parent may be away, asleep with a generator */
        group->failure = cr_failure_new(-ENOMEM, self ? cr_describe_name(self) : NULL);
        if (group->failure)
            cr_failure_message(group->failure, "%s: out of memory", call);
    }
    fail(loop, group, -ENOMEM);
    errno = ENOMEM;
    return NULL;
}

void crank_group_begin_(crank_group *g, size_t limit, const char *function, const void *frame)
{
    (void)cr_group_open(g, limit, function, frame);
}

void cr_group_keep_results(cr_group *group, cr_results *results)
{
    group->results = results;
    group->is_pool = true;
    if (!results)
        (void)cannot_spawn(cr_loop_here, group, "crank_group_spawn");
}

cr_results **cr_group_results(const crank_group *g, const char *call)
{
    cr_group *group = group_of(g, call);
    return group->is_pool ? &group->results : NULL;
}

/* A child that is not ready yet; its result goes to *result (NULL: nowhere). NULL where memory is
 * short. */
static cr_task *make_child(
    crank_loop *loop, cr_group *group, crank_function_ *fn, const crank_site *site, void *result)
{
    if (group->results && cr_results_grow(loop->sys, &group->results) < 0)
        return NULL;
    cr_task *task = cr_spawn_make_owned(loop, &group->owner, fn, site);
    cr_delivery delivery = { .result = result, .size = site->size, .kind = site->kind };
    if (task && CR_UNLIKELY(result != NULL) &&
        cr_results_deliver_at_end(loop, task, &delivery, group->owner.parent) < 0) {
        cr_end_unmake(loop, task);
        return NULL;
    }
    return task;
}

/* Any task may add children, not only the parent; a group that is being stopped takes no more. */
static inline crank_task *spawn(
    crank_group *g, crank_function_ *fn, const crank_site *site, void *result)
{
    CR_CHECK(g, "crank_group_spawn: the group is NULL; give what CRANK_GROUP declared");
    crank_loop *loop = cr_checked_loop("crank_group_spawn");
    if (CR_UNLIKELY(!g->state)) {
        errno = ENOMEM;
        return NULL;
    }
    cr_group *group = group_of(g, "crank_group_spawn");
    if (group->closing) {
        errno = ECANCELED;
        return NULL;
    }
    cr_task *task = make_child(loop, group, fn, site, result);
    if (!task)
        return cannot_spawn(loop, group, "crank_group_spawn");
    if (group->results)
        cr_results_add(group->results, task);
    if (group->limit == 0 || group->going < group->limit) {
        group->going++;
        cr_spawn_ready(loop, task);
        return cr_task_handle(task);
    }
    task->fiber.life = CR_DEFERRED;
    task->fiber.next = NULL;
    if (group->held)
        group->held_last->fiber.next = &task->fiber;
    else
        group->held = task;
    group->held_last = task;
    return cr_task_handle(task);
}

crank_task *crank_group_spawn_(crank_group *g, crank_function_ *fn, const crank_site *site)
{
    return spawn(g, fn, site, NULL);
}

crank_task *crank_group_spawn_into_(crank_into_ into, crank_function_ *fn, const crank_site *site)
{
    return spawn(into.group, fn, site, into.result);
}

void cr_group_tolerate(crank_group *g) { group_of(g, "crank_serve")->tolerant = true; }

size_t cr_group_tolerated(const crank_group *g) { return group_of(g, "crank_serve")->tolerated; }

/* A task that runs already, or has ended. In a group that is ending it is asked to end as its
 * siblings were; it may end within the request, and then its record is gone. */
int cr_group_take(crank_loop *loop, cr_nursery *owner, cr_task *task, cr_delivery *delivery)
{
    cr_group *group = group_of_owner(owner);
    bool closing = group->closing, ended = task->fiber.life == CR_ENDED;
    delivery->results = group->results ? &group->results : NULL;
    int err = cr_results_deliver_added(loop, task, delivery, owner->parent);
    cr_nursery_adopt(task, owner);
    group->going++;
    if (ended)
        child_ended(loop, owner, task);
    else if (closing)
        (void)cr_cancel_task(loop, task);
    return err;
}

cr_nursery *cr_group_nursery(const crank_group *g, const char *call)
{
    return &group_of(g, call)->owner;
}

bool cr_group_ending(cr_nursery *owner) { return group_of_owner(owner)->closing; }

void cr_group_lacks(crank_loop *loop, cr_nursery *owner, const char *call)
{
    (void)cannot_spawn(loop, group_of_owner(owner), call);
}

/* Cancel the children and wait until they have ended, whatever is asked of the parent meanwhile.
 * Quiet again, for cancelling may have made a child fail and fire the group anew. */
static void join_children(crank_loop *loop, cr_group *group)
{
    cr_caller w = { loop, cr_checked_self("CRANK_GROUP") };
    CR_ASSUME(loop != NULL); /* where there is a task there is a loop */
    if (CR_UNLIKELY(w.self->fiber.flags & CR_TASK_ANY_PENDING))
        cr_interruption_run_on(w.self);
    stop_all(loop, group);
    cr_scope_clear_pending(&group->scope);
    if (group->owner.alive == 0)
        return;
    group->waiting = group->leaving = true;
    w.self->wait_object = group;
    (void)cr_park(&w, cr_reap_begin(loop, w.self, &group_reap));
    group->leaving = false;
}

/* At the edge of a block there is no caller to give an error to, so one that was not waited for is
 * reported. */
void crank_group_end_(crank_group *g)
{
    if (!g->state)
        return;
    cr_group *group = group_of(g, "CRANK_GROUP");
    crank_loop *loop = cr_loop_here;
    CR_CHECK(group->scope.task == cr_self(),
        "CRANK_GROUP: the block is left by another task than entered it");
    join_children(loop, group);
    if (group->failure) /* the block was left without waiting for the group */
        cr_report_failure(loop, group->scope.task, group->failure, "in a group that was left: ");
    cr_failure_free(group->failure);
    if (group->results)
        cr_free(loop->sys, group->results);
    cr_scope_close(&group->scope);
}

/* The same by crank_try, which can return an error: so the failure is handed to the parent. The
 * -ECANCELED that is being returned is claimed for it, and what shared that is pending again. */
static int leave(crank_loop *loop, cr_scope *scope)
{
    cr_group *group = (cr_group *)(void *)scope;
    if (!scope->fired)
        return -ECANCELED;
    join_children(loop, group);
    if (group->error == 0)
        return -ECANCELED;
    cr_interruption_restore_since(scope);
    if (group->failure)
        cr_error_give(loop, scope->task, group->failure);
    group->failure = NULL;
    return group->error;
}

/* The parent's wait inside the block is interrupted as well, by an error that stays -ECANCELED. */
void crank_group_cancel(crank_group *g)
{
    CR_CHECK(g, "crank_group_cancel: the group is NULL; give what CRANK_GROUP declared");
    if (!g->state)
        return;
    cr_group *group = group_of(g, "crank_group_cancel");
    crank_loop *loop = cr_loop_here;
    stop_all(loop, group);
    if (group->closing)
        cr_scope_fire(loop, &group->scope, -ECANCELED);
}

size_t crank_group_count(const crank_group *g)
{
    CR_CHECK(g, "crank_group_count: the group is NULL; give what CRANK_GROUP declared");
    return g->state ? group_of(g, "crank_group_count")->owner.alive : 0;
}
