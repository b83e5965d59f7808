/* SPDX-License-Identifier: MIT */
/* handles.h: where the records behind crank_handles lie, and how a handle finds its record.
 *
 * A handle is no pointer but slot << 40 | number, as a task's is: the number is unique in the
 * process, so a record that serves another call by now is told from the one that the handle named,
 * also when the loop has gone. Looking a handle up is for the thread of its loop. */
#ifndef CR_HANDLES_H
#define CR_HANDLES_H
#include "loop/service.h"

typedef struct cr_handles cr_handles;
typedef struct cr_call cr_call;

/* TIMED: in the timers. QUEUED: in the ready line. CANCELLED: there too, and not to be called. */
enum cr_call_state { CR_CALL_TIMED, CR_CALL_QUEUED, CR_CALL_CANCELLED };
/* One call, soon or at a time. */
struct cr_call {
    cr_service service;
    cr_timer timer;
    uint64_t id; /* the handle; its number is 0 where there is nothing left to take back */
    crank_loop *loop;
    crank_callback *fn;
    void *arg;
    enum cr_call_state state;
};

/* All records of one loop. */
struct cr_handles {
    crank_loop *loop;
    cr_call *free; /* linked through service.item.next */
    struct cr_handle_slab *slabs;
    uint64_t number, number_end; /* reserved for this loop */
};

void cr_handles_init(cr_handles *handles, crank_loop *loop);
/* The loop goes: no handle of it is found any more. */
void cr_handles_deinit(cr_handles *handles);
/* A record with a handle, all else not set; NULL when memory is short. */
cr_call *cr_handles_get(cr_handles *handles);
void cr_handles_put(cr_handles *handles, cr_call *call);
/* From now on the handle finds nothing; the record stays. */
void cr_handles_forget(cr_call *call);
/* NULL: the call was made, is being made, or was taken back, or the loop has gone. */
cr_call *cr_handles_find(const crank_handle *handle);
static inline crank_handle *cr_handles_of(const cr_call *call)
{
    return (crank_handle *)(uintptr_t)call->id;
}
#endif
