/* SPDX-License-Identifier: MIT */
/* spawn.c: making tasks.
 *
 * Owns: the way from a captured call to a record in the ready line. Call capture is objc_msgSend's
 * trick: the compiler calls a stub through the function's own type, so that arguments are checked
 * and converted as ever, and the stub saves the registers they came in instead of running the
 * function.
 *
 * The stub has written the arguments of a small call straight into the loop's spare record, those
 * of a large one into its spare block, which the first run gives back. The record is taken only
 * now, after the capture, so an argument's expression may itself have spawned or waited. A task
 * gets its stack at its first run: cr_sleeper_need_stack is where that can fail. */
#include "scope/spawn.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/nursery.h"
#include "task/debug.h"
#include "task/local.h"
#include "base/check.h"
#include "loop/inherit.h"
#include <string.h>

/* A failed spawn is NULL, which every call that takes a task accepts. */
static CR_NOINLINE cr_task *no_record(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The spare record, which holds a small call's arguments already; the next one takes its place. */
static inline cr_task *take_spare(cr_task_state *tasks, const crank_site *site)
{
    cr_task *task = tasks->spare;
    if (CR_UNLIKELY(!task)) { /* memory was short at the last spawn: the arguments lie in the
                                 thread's buffer */
        task = cr_record_get(tasks);
        if (!task)
            return NULL;
        if (site->args > 0 && !site->large)
            *cr_fiber_small(&task->fiber) = *cr_fiber_captured_small();
    }
    /* A spare that cannot be had is no failure of this spawn: the next call is captured into the
     * thread's buffer, and that spawn looks for a record itself. */
    tasks->spare = cr_record_get(tasks);
    cr_capture_into(tasks->spare ? cr_fiber_small(&tasks->spare->fiber) : NULL);
    return task;
}

/* A block for a large call. Blocks come back to a list of the runner's, for the assembly of the
 * first run gives them back. */
static cr_large_args *block(cr_task_state *tasks)
{
    void **list = &tasks->loop->runner.large_free;
    cr_large_args *many = *list;
    if (!many)
        return cr_freelist_get(&tasks->manys);
    *list = *(void **)many;
    return many;
}

/* The block that a large call was captured into; another takes its place. Where memory was short,
 * or at the first of a run, it lies in the thread's buffer and is copied. NULL when memory is
 * short. */
static CR_NOINLINE cr_large_args *take_many(cr_task_state *tasks)
{
    cr_large_args *many = cr_capture_block;
    if (CR_UNLIKELY(!many)) {
        many = block(tasks);
        if (!many)
            return NULL;
        *many = *cr_fiber_captured_large();
    }
    cr_capture_into_block(block(tasks));
    return many;
}

/* The fields that a first run sets (child, wait, the place for arguments) are left alone: the
 * captured call lies in them. */
static inline void task_init(
    cr_task_state *tasks, cr_task *task, uint8_t run, crank_function_ *fn, const crank_site *site)
{
    task->fiber.run = run;
    task->fiber.life = CR_ALIVE;
    task->fiber.flags = 0;
    task->fiber.counts = 0;
    task->fiber.function = fn;
    task->id = (task->id & ~CR_NUMBER_MASK) | tasks->number++;
    task->site = site;
    task->joiner = 0;
    task->ext = NULL;
    tasks->alive++;
}

/* The block for a large call comes first: with neither a block nor a record, nothing has
 * changed. */
static CR_INLINE cr_task *make(crank_loop *loop, crank_function_ *fn, const crank_site *site)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_large_args *many = NULL;
    if (CR_UNLIKELY(site->large)) {
        many = take_many(tasks);
        if (!many)
            return no_record();
    }
    cr_task *task = take_spare(tasks, site);
    if (CR_UNLIKELY(!task)) {
        if (many) {
            *(void **)many = loop->runner.large_free;
            loop->runner.large_free = many;
        }
        return no_record();
    }
    if (CR_UNLIKELY(tasks->number == tasks->number_end))
        cr_record_reserve_numbers(tasks);
    bool native = fn == (crank_function_ *)crank_sleep;
    task_init(tasks, task, native ? CR_RUN_NATIVE : CR_RUN_NEW, fn, site);
    if (CR_UNLIKELY(many)) {
        task->fiber.flags = CR_FIBER_FLAG_LARGE;
        task->fiber.many = many;
    }
    cr_trace_emit(loop->runner.tracer, CR_EVENT_SPAWNED, task, (uintptr_t)loop->runner.current);
    return task;
}

static CR_COLD cr_task *after_the_end(void)
{
    errno = ESHUTDOWN;
    return NULL;
}

/* Locals come last, since only they can fail once the task is linked and counted. What a callback
 * spawns belongs to the root, which may have returned and be ending its children, or have ended:
 * an error hook is called also while the ended root's children are released. */
static CR_INLINE cr_task *make_child(crank_loop *loop, crank_function_ *fn, const crank_site *site)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_task *parent = cr_task_of_fiber(loop->runner.current);
    if (CR_UNLIKELY(!parent)) {
        parent = tasks->root;
        if (!parent || parent->fiber.life == CR_ENDED)
            return after_the_end();
    }
    cr_task *task = make(loop, fn, site);
    if (CR_UNLIKELY(!task))
        return NULL;
    task->owner = parent;
    cr_nursery_link(&parent->child, task);
    parent->fiber.counts += CR_COUNTS_CHILD;
    if (CR_UNLIKELY(loop->options.debug) && loop->runner.current) {
        cr_debug_frames(parent, (uintptr_t)__builtin_frame_address(0));
        cr_debug_spawned(loop, task);
    }
    if (CR_UNLIKELY(parent->ext && parent->ext->locals) &&
        !cr_locals_inherit(tasks, task, parent)) {
        cr_end_unmake(loop, task);
        return no_record();
    }
    return task;
}

/* A callback makes children of the root, also while it ends those it has. */
bool cr_spawn_unwanted(crank_loop *loop)
{
    const cr_task *root = cr_task_state_of(loop)->root;
    return !loop->runner.current && root && root->fiber.life == CR_COMPLETING &&
           cr_end_children_unwanted(loop, root);
}

/* One that is unwanted runs all the same, to find at its first wait that it was asked to end. */
static CR_INLINE cr_task *make_slow(crank_loop *loop, crank_function_ *fn, const crank_site *site)
{
    cr_task *task = make_child(loop, fn, site);
    if (CR_UNLIKELY(task && !loop->runner.current) && cr_spawn_unwanted(loop))
        (void)cr_cancel_task(loop, task);
    return task;
}

cr_task *cr_spawn_make(crank_loop *loop, crank_function_ *fn, const crank_site *site)
{
    return make_child(loop, fn, site);
}

/* The owner is a group: the child is counted there and not with its parent, which may be another
 * task than the one that spawns. */
cr_task *cr_spawn_make_owned(
    crank_loop *loop, cr_nursery *owner, crank_function_ *fn, const crank_site *site)
{
    cr_task *task = make(loop, fn, site);
    if (CR_UNLIKELY(!task))
        return NULL;
    task->fiber.flags |= CR_TASK_IN_GROUP;
    task->owner = owner;
    cr_nursery_link(&owner->child, task);
    owner->alive++;
    cr_task *parent = cr_task_of_fiber(loop->runner.current);
    if (CR_UNLIKELY(parent && parent->ext && parent->ext->locals) &&
        !cr_locals_inherit(cr_task_state_of(loop), task, parent)) {
        cr_end_unmake(loop, task);
        return no_record();
    }
    return task;
}

cr_task *cr_spawn_make_from(
    crank_loop *loop, crank_function_ *fn, const crank_site *site, const void *args)
{
    if (site->large)
        *cr_fiber_captured_large() = *(const cr_large_args *)args;
    else if (site->args > 0)
        *cr_fiber_captured_small() = *(const cr_small_args *)args;
    return make_slow(loop, fn, site);
}

/* Most spawns need nothing but what is there already: what make_child does, in one piece that needs
 * no frame. NULL, and no change, where there is more to it. large is known where this is
 * inlined. */
static CR_INLINE cr_task *make_fast(
    crank_loop *loop, crank_function_ *fn, const crank_site *site, bool large)
{
    if (CR_UNLIKELY(!loop || !loop->runner.current))
        return NULL;
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_task *parent = cr_task_of_fiber(loop->runner.current);
    cr_task *task = tasks->spare, *next = tasks->free;
    if (CR_UNLIKELY(!task || fn == (crank_function_ *)crank_sleep || site->large != large ||
                    !next || tasks->number == tasks->number_end || parent->ext ||
                    parent->fiber.life != CR_ALIVE || loop->runner.tracer || loop->options.debug))
        return NULL;
    cr_large_args *many = NULL;
    if (large) {
        void *next_block = loop->runner.large_free;
        many = cr_capture_block;
        if (CR_UNLIKELY(!many || !next_block))
            return NULL;
        loop->runner.large_free = *(void **)next_block;
        cr_capture_into_block(next_block);
    }
    tasks->free = (cr_task *)(void *)next->fiber.next;
    tasks->spare = next;
    cr_capture_into(cr_fiber_small(&next->fiber));
    task_init(tasks, task, CR_RUN_NEW, fn, site);
    if (large) {
        task->fiber.flags = CR_FIBER_FLAG_LARGE;
        task->fiber.many = many;
    }
    task->owner = parent;
    cr_nursery_link(&parent->child, task);
    parent->fiber.counts += CR_COUNTS_CHILD;
    return task;
}

static CR_NOINLINE crank_task *spawn_slow(crank_function_ *fn, const crank_site *site)
{
    cr_check_site = site;
    crank_loop *loop = cr_checked_loop("crank_spawn");
    cr_check_site = NULL;
    cr_task *task = make_slow(loop, fn, site);
    if (CR_UNLIKELY(!task))
        return NULL;
    cr_spawn_ready(loop, task);
    return cr_task_handle(task);
}

static CR_NOINLINE crank_task *spawn_large(crank_function_ *fn, const crank_site *site)
{
    crank_loop *loop = cr_loop_here;
    cr_task *task = make_fast(loop, fn, site, true);
    if (CR_UNLIKELY(!task))
        return spawn_slow(fn, site);
    cr_spawn_ready(loop, task);
    return cr_task_handle(task);
}

/* zero stands where the capture macro hands other makers their owner: a group, a loop. */
crank_task *crank_spawn_(int zero, crank_function_ *fn, const crank_site *site)
{
    (void)zero;
    crank_loop *loop = cr_loop_here;
    cr_task *task = make_fast(loop, fn, site, false);
    if (CR_UNLIKELY(!task))
        return site->large ? spawn_large(fn, site) : spawn_slow(fn, site);
    cr_spawn_ready(loop, task);
    return cr_task_handle(task);
}

/* The new task and behind it the caller go to the front of the ready line: no other task, callback
 * or post runs before the caller goes on. Where the turn's steps run out meanwhile the loop
 * charges the caller for it (turn.c). */
static CR_INLINE crank_task *run_first(crank_loop *loop, cr_fiber *self, cr_task *task)
{
    self->wake = (long)task->id;
    cr_sched_push_front(&loop->runner, self);
    task->fiber.next = self;
    loop->runner.head = &task->fiber;
    return (crank_task *)(uintptr_t)(uint64_t)cr_fiber_park(&loop->runner, self, CR_WAIT_EAGER);
}

static CR_NOINLINE crank_task *spawn_eager_slow(crank_function_ *fn, const crank_site *site)
{
    cr_check_site = site;
    crank_loop *loop = cr_checked_loop("crank_spawn_eager");
    cr_task *self = cr_checked_self("crank_spawn_eager");
    cr_check_site = NULL;
    /* Without a scope it declared nothing runs before the next wait, which says so. */
    bool stopped = cr_task_state_of(loop)->out_of_memory == self->id;
    cr_task *task = CR_UNLIKELY(stopped) ? no_record() : make_child(loop, fn, site);
    if (CR_UNLIKELY(!task))
        return NULL;
    cr_trace_emit(loop->runner.tracer, CR_EVENT_WAITS, self, 0);
    return run_first(loop, &self->fiber, task);
}

crank_task *crank_spawn_eager_(int zero, crank_function_ *fn, const crank_site *site)
{
    (void)zero;
    crank_loop *loop = cr_loop_here;
    bool one_stopped =
        loop && loop->tasks && cr_task_state_of(loop)->out_of_memory; /* perhaps this */
    cr_task *task = CR_UNLIKELY(one_stopped) ? NULL : make_fast(loop, fn, site, false);
    if (CR_UNLIKELY(!task))
        return spawn_eager_slow(fn, site);
    loop->runner.steps++; /* the two are one step of the turn; not so where each is announced */
    return run_first(loop, loop->runner.current, task);
}

/* The call's name is that of the function which would have made the task, less its last sign. */
void crank_no_function_(const char *make, const crank_site *site)
{
    cr_check_failed("%.*s: the function %s is NULL, at %s:%d in %s()", (int)strlen(make) - 1, make,
        site->function, site->file, site->line, site->caller);
}

/* For callers without the capture (other architectures, C++, bindings): the buffer is filled by
 * hand, as the stub would do. */
crank_task *crank_spawn_raw(long (*fn)(void *), void *arg)
{
    static const crank_site site = { "(raw)", "", "", 0, CRANK_KIND_SIGNED, sizeof(long), 1, false,
        1, 0 };
    CR_CHECK(fn, "crank_spawn_raw: the function is NULL");
    cr_fiber_captured_small()->general[0] =
        (uint64_t)(uintptr_t)arg; /* what else lies there is not read */
    return crank_spawn_(0, (crank_function_ *)fn, &site);
}
