/* SPDX-License-Identifier: MIT */
/* switch_sanitized.c: the switch for builds in which a tool follows every change of stacks.
 *
 * AddressSanitizer must know the bounds of the stack that is switched to, ThreadSanitizer which
 * fiber runs, MemorySanitizer needs the C code it instruments. The same contract as the assembly's,
 * written in C around cr_stack_swap: a parked context is a struct place on its own stack, and
 * fiber->sp points at it. Empty in other builds.
 *
 * Speed does not matter here; what matters is that each switch is announced twice, before it on
 * the old stack and after it on the new one, and that nothing instrumented runs in between. */
#include "context/fiber.h"
#include "base/check.h"
#if CR_SWITCH_SANITIZED
#if CR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if CR_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#include <pthread.h>

struct place {
    void *sp;        /* of cr_stack_swap */
    const void *low; /* bounds of the stack it lies on */
    size_t size;
    void *fake; /* AddressSanitizer's */
    void *tsan;
    uint64_t floating; /* control words, as in the assembly's frame */
    int error;         /* errno */
};

/* The stack this thread runs on now. */
static __thread struct place here;
#if CR_TSAN
static __thread void *ended; /* a fiber of ThreadSanitizer's that was left for good */
#endif

/* Before its first switch a thread is on its own stack, to which somebody will switch back. */
static void know_own_stack(void)
{
    if (here.low)
        return;
    pthread_attr_t attributes;
    void *low;
    CR_ASSERT(pthread_getattr_np(pthread_self(), &attributes) == 0);
    CR_ASSERT(pthread_attr_getstack(&attributes, &low, &here.size) == 0);
    pthread_attr_destroy(&attributes);
    here.low = low;
}

/* Inlined: ThreadSanitizer counts calls per fiber, and a function that is entered on one fiber and
 * left on another would take a call from a fresh one that it never made. */
__attribute__((always_inline)) static inline void before(
    struct place *from, const struct place *to, bool for_good)
{
    (void)for_good;
#if CR_ASAN
    __sanitizer_start_switch_fiber(for_good ? NULL : &from->fake, to->low, to->size);
#endif
#if CR_TSAN
    from->tsan = __tsan_get_current_fiber();
    if (for_good)
        ended = from->tsan;
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    (void)from;
    (void)to;
}

/* The first thing on a stack that was switched to: self is NULL on a fresh one. */
static void after(const struct place *self)
{
#if CR_ASAN
    __sanitizer_finish_switch_fiber(self ? self->fake : NULL, NULL, NULL);
#endif
#if CR_TSAN
    if (ended)
        __tsan_destroy_fiber(ended);
    ended = NULL;
#endif
    (void)self;
}

/* Switch from one place to another and come back. */
static void swap(struct place *from, struct place *to)
{
    know_own_stack();
    *from = (struct place){ .low = here.low, .size = here.size };
    from->floating = cr_fiber_floating_control();
    from->error = errno;
    before(from, to, false);
    (void)cr_stack_swap(&from->sp, to->sp, 0);
    after(from);
    here.low = from->low;
    here.size = from->size;
    cr_fiber_floating_control_set(from->floating);
    errno = from->error;
}

/* What a fresh stack must be told; it lies on the old one, which is read before it is used
 * again. */
struct first {
    cr_sched *runner;
    cr_fiber *fiber;
    void *stack;
};

static void place_on(struct place *place, cr_sched *runner, void *top)
{
    place->low = (char *)top - runner->stack_usable;
    place->size = runner->stack_usable;
#if CR_TSAN
    place->tsan = __tsan_create_fiber(0);
#endif
}

/* As the assembly's first run, in the same order: arguments are copied out before the fields
 * that overlay them are set. */
CRANK_NORETURN static void first_run(void *arg)
{
    struct first first = *(struct first *)arg;
    after(NULL);
    here.low = (char *)first.stack - first.runner->stack_usable;
    here.size = first.runner->stack_usable;
    cr_fiber *fiber = first.fiber;
    void (*function)(void) = fiber->function;
    cr_large_args many_copy;
    cr_small_args few = *cr_fiber_small(fiber);
    cr_large_args *many = NULL;
    if (fiber->flags & CR_FIBER_FLAG_LARGE) {
        many_copy = *fiber->many;
        many = &many_copy;
        *(void **)fiber->many = first.runner->large_free;
        first.runner->large_free = fiber->many;
    }
    fiber->wait = NULL;
    fiber->stack = first.stack;
    fiber->scope = NULL;
    fiber->generator = NULL;
    *(void **)(void *)((char *)fiber + CR_FIBER_CHILD) = NULL;
    cr_fiber_floating_control_set(first.runner->fp);
    errno = 0;
    cr_returned returned = { 0 };
    cr_call_captured(function, &few, many, &returned);
    cr_fiber_returned(returned.integer, returned.real);
}

/* Where to go next: the head's place (a fresh one is made in *fresh), or the loop's. */
static struct place *next_place(
    cr_sched *runner, struct place *fresh, struct first *first, cr_fiber **ret_service)
{
    *ret_service = NULL;
    cr_fiber *fiber = runner->head;
    if (!fiber || --runner->steps < 0) {
        runner->current = NULL;
        return runner->sp;
    }
    runner->head = fiber->next;
    if (!runner->head)
        runner->tail = &runner->head;
    if (fiber->run != CR_RUN_RESUME && (fiber->run != CR_RUN_NEW || !runner->stacks)) {
        runner->current = NULL;
        *ret_service = fiber;
        return runner->sp;
    }
    runner->current = fiber;
    runner->budget = runner->budget_full;
    runner->switches++;
    if (fiber->run == CR_RUN_RESUME)
        return fiber->sp;
    fiber->run = CR_RUN_RESUME;
    *first = (struct first){ runner, fiber, runner->stacks };
    runner->stacks = *(void **)first->stack;
#if CR_ASAN
    __asan_unpoison_memory_region(
        (char *)first->stack - runner->stack_usable, runner->stack_usable);
#endif
    place_on(fresh, runner, first->stack);
    fresh->sp = cr_fiber_prepare_stack(first->stack, first_run, first);
    return fresh;
}

/* What the loop is told when a fiber hands over to it; per thread, set just before the switch. */
static __thread cr_fiber *service;

long cr_fiber_park(cr_sched *runner, cr_fiber *self, const void *wait)
{
    struct place mine, fresh;
    struct first first;
    cr_fiber *asked;
    self->wait = wait;
    self->sp = &mine;
    /* The fiber itself may be the head, woken before it parked: its place must be loadable. */
    struct place *to = next_place(runner, &fresh, &first, &asked);
    if (to == &mine)
        return self->wake;
    service = asked;
    swap(&mine, to);
    return self->wake;
}

cr_fiber *cr_sched_enter(cr_sched *runner)
{
    struct place mine, fresh;
    struct first first;
    cr_fiber *asked;
    runner->sp = &mine;
    struct place *to = next_place(runner, &fresh, &first, &asked);
    if (to == &mine)
        return asked;
    service = NULL;
    swap(&mine, to);
    return service;
}

/* Each leaver's place to come from is never come back to; the fresh fiber's first frame is read
 * before it is reused. */
CRANK_NORETURN void cr_fiber_leave(cr_sched *runner)
{
    static __thread struct place nowhere, fresh;
    static __thread struct first first;
    cr_fiber *asked;
    struct place *to = next_place(runner, &fresh, &first, &asked);
    service = asked;
    before(&nowhere, to, true);
    (void)cr_stack_swap(&nowhere.sp, to->sp, 0);
    __builtin_unreachable();
}

/* ---- generators: the sides of one fiber */

void cr_side_prepare(
    cr_side *side, cr_sched *runner, void *top, void (*entry)(void *arg), void *arg)
{
    struct place place = { 0 };
#if CR_ASAN
    __asan_unpoison_memory_region((char *)top - runner->stack_usable, runner->stack_usable);
#endif
    place_on(&place, runner, top);
    *side = (cr_side){ .sp = cr_fiber_prepare_stack(top, entry, arg),
        .low = place.low,
        .size = place.size,
        .tsan = place.tsan };
}

void cr_side_entered(cr_side *self)
{
    after(NULL);
    here.low = self->low;
    here.size = self->size;
}

/* On the fiber's stack: a change of stacks would have to be announced, and memory is no matter
 * here. */
void cr_sched_call(const cr_sched *runner, void (*fn)(void *arg), void *arg)
{
    (void)runner;
    fn(arg);
}

/* A side's fake stack travels with it, since a generator may be resumed from another stack than
 * the one that was left. */
static void side_go(cr_side *from, cr_side *to, long value, bool for_good)
{
    struct place mine = { .low = here.low, .size = here.size };
    struct place other = { .low = to->low, .size = to->size, .tsan = to->tsan };
    from->low = here.low;
    from->size = here.size;
    to->value = value;
    before(&mine, &other, for_good);
    from->fake = mine.fake;
    from->tsan = mine.tsan;
    (void)cr_stack_swap(&from->sp, to->sp, 0);
    after(&(struct place){ .fake = from->fake });
    here.low = from->low;
    here.size = from->size;
}

int cr_side_swap(cr_side *from, cr_side *to, long value)
{
    side_go(from, to, value, false);
    return (int)from->value;
}

CRANK_NORETURN void cr_side_leave(cr_side *from, cr_side *to, long value)
{
    side_go(from, to, value, true);
    __builtin_unreachable();
}
#endif
