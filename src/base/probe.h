/* SPDX-License-Identifier: MIT */
/* probe.h: tracepoints: the places that tell a tracer what a task does.
 *
 * They lie in the lower layers and the tracer in one above, so a trace, a debugger or a test sees
 * the inside without the inside knowing of it. One tracer per loop, in its runner; where there is
 * none a place costs a load and a branch. A tracer is called on the loop's thread, in the middle of
 * what it hears of: it looks and notes, and calls nothing that waits, wakes or spawns. */
#ifndef CR_PROBE_H
#define CR_PROBE_H
#include "base/base.h"

enum cr_event {
    CR_EVENT_SPAWNED, /* detail: the task that spawned it, 0 where none did */
    CR_EVENT_RUNS,    /* it gets the processor, for the first time or again */
    CR_EVENT_WAITS,   /* detail: the cr_wait_ops; 0 where it only lets the others run */
    CR_EVENT_WOKEN,   /* detail: what its waiting call will return */
    CR_EVENT_ASKED,   /* to stop */
    CR_EVENT_ENDED,   /* its result stands */
};

typedef struct cr_tracer cr_tracer;
struct cr_tracer {
    /* fiber is the task's, and stays its address until it has ended. */
    void (*on_event)(cr_tracer *tracer, enum cr_event event, const void *fiber, uintptr_t detail);
};

static inline void cr_trace_emit(
    cr_tracer *tracer, enum cr_event event, const void *fiber, uintptr_t detail)
{
    if (CR_UNLIKELY(tracer != NULL))
        tracer->on_event(tracer, event, fiber, detail);
}
#endif
