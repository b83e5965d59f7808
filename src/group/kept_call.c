/* SPDX-License-Identifier: MIT */
/* kept_call.c: a captured call that is made many times, each with another first argument.
 *
 * What crank_serve makes of its handler, and a library beside the core of the handler that its own
 * macro takes: the extra arguments are evaluated, converted and checked once, where the macro
 * stands. Owns a copy of the captured call, in heap memory: the stack of the task that captured it
 * may hibernate meanwhile.
 *
 * The first argument is a pointer, and so lies in the first general register in either form of a
 * call. It is written into the copy directly before the registers are loaded: one thread makes all
 * the calls, and none waits in between. */
#include <crank/scope.h>

#include "base/check.h"
#include "task/record.h"
#include "task/result.h"

struct crank_kept_call {
    crank_function_ *function;
    const crank_site *site;
    union {
        cr_small_args few;
        cr_large_args many; /* where the call is a large one */
    };
};

crank_kept_call *crank_kept_call_new_(crank_function_ *function, const crank_site *site)
{
    crank_loop *loop = cr_checked_loop(site->function);
    crank_kept_call *call = cr_alloc(loop->sys, sizeof *call);
    if (!call)
        return NULL;
    call->function = function;
    call->site = site;
    if (site->large)
        call->many = *cr_fiber_captured_large();
    else
        call->few = *cr_fiber_captured_small();
    return call;
}

void crank_kept_call_free_(crank_kept_call *call)
{
    if (call)
        cr_free(cr_loop_here->sys, call);
}

/* What is no signed number is no error, as in a task's result. */
long crank_kept_call_make_(crank_kept_call *call, void *first)
{
    cr_returned returned = { 0 };
    bool large = call->site->large;
    uint64_t *general = large ? call->many.general : call->few.general;
    general[0] = (uint64_t)(uintptr_t)first;
    cr_call_captured(call->function, &call->few, large ? &call->many : NULL, &returned);
    return call->site->kind == CRANK_KIND_SIGNED ? cr_result_of_site(call->site, returned.integer)
                                                 : 0;
}

const crank_site *crank_kept_call_site_(const crank_kept_call *call) { return call->site; }
