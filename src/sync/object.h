/* SPDX-License-Identifier: MIT */
/* object.h: what locks, events, conditions, semaphores, barriers and queues have in common.
 *
 * Owns: where an object's memory comes from, to which loop it belongs, and the quick way into a
 * waiting call. Does not own waiting itself (task/wait.h). An object belongs to the loop that last
 * used it; it may change loops only while that one does not run and no task holds the object or
 * waits on it, so that neither a wake-up nor a plain access crosses threads. It has no waiters when
 * no loop runs. */
#ifndef CR_OBJECT_H
#define CR_OBJECT_H
#include <crank/sync.h>
#include <stdalign.h>
#include "base/check.h"
#include "task/wait.h"

typedef struct cr_object {
    crank_loop *loop;  /* CR_NO_LOOP until a loop has used it; never NULL */
    const cr_sys *sys; /* where its memory came from */
    /* The loop's, when the object came to it: an ended loop's address may be another's by now. */
    uint64_t loop_serial;
} cr_object;

#define CR_NO_LOOP ((crank_loop *)alignof(crank_loop)) /* no loop lies there */

/* Cleared memory of which a cr_object is the first member; NULL when memory is short. */
void *cr_object_new(size_t size);
void cr_object_free(void *object);
/* The table for memory of this object's: its own, or the real one where that table's loop has
 * ended. */
const cr_sys *cr_object_sys(const cr_object *object);

/* loop, the running one or NULL, is not the one it belongs to: take it over, or a CHECK while it
 * is in use or its own loop runs. */
CR_COLD void cr_object_take_over(
    cr_object *object, crank_loop *loop, bool in_use, const char *call);
static inline void cr_object_use(cr_object *object, crank_loop *loop, bool in_use, const char *call)
{
    if (CR_UNLIKELY(object->loop != loop))
        cr_object_take_over(object, loop, in_use, call);
}

/* A call was given NULL for its object. */
CRANK_NORETURN CR_COLD void cr_object_missing(const char *call);
/* The first thing a call does with its object, where it is not one of those that take a few
 * instructions in all (CR_QUICK). */
static inline void cr_object_given(const void *object, const char *call)
{
    if (CR_UNLIKELY(!object))
        cr_object_missing(call);
}

/* Calls whose quick way is too short for a test: given NULL they fault, and the handler of faults,
 * which a run has installed, tells them by their section. */
#define CR_QUICK __attribute__((section("crank_quick"), noinline))

/* The calling thread has no loop, or another than the object's: a CHECK while the object's runs. */
CR_COLD void cr_object_check_thread(const cr_object *object, const char *call);
/* For calls that leave the object to its loop: those that only look, and those that free it. */
static inline void cr_object_look(const cr_object *object, const char *call)
{
    if (CR_UNLIKELY(object->loop != cr_loop_here))
        cr_object_check_thread(object, call);
}

/* cr_checkpoint_fast for a call that uses an object: also false where it is not the loop's. That
 * there is a loop need not be asked then. */
static inline bool cr_object_quick(const cr_object *object, cr_caller *w)
{
    crank_loop *loop = cr_loop_here;
    return CR_LIKELY(object->loop == loop) && cr_checkpoint_fast_in(loop, w);
}

/* What describe functions return: snprintf, with the length as a size. */
size_t cr_object_print(char *buf, size_t size, const char *format, ...) CRANK_PRINTF(3, 4);
#endif
