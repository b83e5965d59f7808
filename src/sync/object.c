/* SPDX-License-Identifier: MIT */
/* object.c: birth, death and loop of a synchronisation object.
 *
 * An object made in a run takes its memory through that run's OS table, one made outside through
 * the real one. Every table gives memory that the real one can free: only so may an object
 * outlive the run in which it was made. */
#include "sync/object.h"
#include <stdio.h>
#include "context/stack.h"
#include "loop/registry.h"

/* Needs no loop: a program may make its objects before the run begins. */
void *cr_object_new(size_t size)
{
    crank_loop *loop = cr_loop_here;
    const cr_sys *sys = loop ? loop->sys : &cr_sys_real;
    cr_object *object = cr_alloc_zero(sys, size);
    if (!object) {
        errno = ENOMEM;
        return NULL;
    }
    object->loop = loop ? loop : CR_NO_LOOP;
    object->loop_serial = loop ? loop->serial : 0;
    object->sys = sys;
    return object;
}

const cr_sys *cr_object_sys(const cr_object *object)
{
    crank_loop *loop = cr_loop_here;
    return loop && loop->sys == object->sys ? object->sys : &cr_sys_real;
}

void cr_object_free(void *object) { cr_free(cr_object_sys(object), object); }

void cr_object_missing(const char *call)
{
    cr_check_failed(
        "%s: the object is NULL; its _new function gives that when memory is short", call);
}

/* The section's bounds, which the linker makes. */
extern const char __start_crank_quick[] __attribute__((visibility("hidden")));
extern const char __stop_crank_quick[] __attribute__((visibility("hidden")));

/* In the handler of a fault. What lies in the section but is none of these is out-of-line code of
 * the one before it. */
/* unreached: the build that counts is not optimised, and faults outside of the section. */
static void quick_call_faulted(uintptr_t at)
{
    static const struct {
        const char *name;
        void (*call)(void);
    } calls[] = {
        { "crank_lock_acquire", (void (*)(void))crank_lock_acquire },
        { "crank_lock_release", (void (*)(void))crank_lock_release },
        { "crank_event_wait", (void (*)(void))crank_event_wait },
        { "crank_semaphore_acquire", (void (*)(void))crank_semaphore_acquire },
        { "crank_put", (void (*)(void))crank_queue_put_ },
        { "crank_get", (void (*)(void))crank_queue_get_ },
    };
    const char *name = NULL;
    uintptr_t nearest = 0;
    if (at < (uintptr_t)__start_crank_quick || at >= (uintptr_t)__stop_crank_quick)
        return;
    for (size_t i = 0; i < CRANK_COUNT(calls); i++) {
        uintptr_t start = (uintptr_t)calls[i].call;
        if (start <= at && start >= nearest) {
            nearest = start;
            name = calls[i].name;
        }
    }
    if (name)
        cr_object_missing(name);
}
__attribute__((constructor)) static void explain_faults(void)
{
    cr_null_faulted = quick_call_faulted;
}

/* The pointer of an ended loop is compared, not followed, and one at the same address has another
 * serial number. An object that such a loop uses without taking it over keeps the old number: then
 * this finds nothing, which is better than to refuse what is right. */
void cr_object_check_thread(const cr_object *object, const char *call)
{
    const crank_loop *loop = object->loop;
    if (loop == CR_NO_LOOP || !cr_registry_hold(loop))
        return;
    bool elsewhere = loop != cr_loop_here && loop->serial == object->loop_serial &&
                     __atomic_load_n(&loop->running, __ATOMIC_RELAXED);
    cr_registry_release();
    CR_CHECK(!elsewhere,
        "%s: object %p belongs to a loop that runs on another thread, this is thread %d; locks, "
        "events, queues and their kin are used by their loop alone: in a thread job, or on another "
        "thread, call crank_post or crank_submit, whose function may use them",
        call, (const void *)object, cr_sys_real.thread_id(NULL));
}

void cr_object_take_over(cr_object *object, crank_loop *loop, bool in_use, const char *call)
{
    cr_object_check_thread(object, call);
    CR_CHECK(!in_use,
        "%s: object %p is in use by %s; locks, events, queues and their kin serve the tasks of one "
        "loop: pass work to another thread with crank_submit or crank_post",
        call, (void *)object, loop ? "another loop" : "a loop, and this is outside of it");
    /* Outside a run it keeps its loop: what was waiting there is gone, and the next loop takes
     * it over. */
    if (loop) {
        object->loop = loop;
        object->loop_serial = loop->serial;
    }
}

/* Never a negative length, which the callers would have to test for. */
size_t cr_object_print(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(buf, size, format, args);
    va_end(args);
    return length < 0 ? 0 : (size_t)length;
}

/* The declaring macros have no way to fail but this. */
void *crank_made_(void *object)
{
    CR_CHECK(object,
        "out of memory while declaring a lock, event, condition, semaphore, barrier or queue; "
        "where that must be survived use its _new function, which gives NULL");
    return object;
}
