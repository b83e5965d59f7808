/* SPDX-License-Identifier: MIT */
/* callback.h: what the loop must know of the callback layer. */
#ifndef CR_CALLBACK_H
#define CR_CALLBACK_H
#include "loop/loop.h"

/* What stands in the ready line without being a fiber: its first member says CR_RUN_SERVICE. */
typedef struct cr_service cr_service;
/* It lies in its owner's record; once pushed it cannot be taken out of the line again, and stays
 * until it is run. */
struct cr_service {
    cr_fiber item;
    void (*run)(crank_loop *loop, cr_service *service); /* on the loop's own stack */
};
static inline void cr_service_push(crank_loop *loop, cr_service *service)
{
    service->item.run = CR_RUN_SERVICE;
    cr_runner_push(&loop->runner, &service->item);
}

/* loop->watch. 0 or -ENOMEM. */
int cr_watch_new(crank_loop *loop);
/* Ends every reader and writer and drops every callback. Takes a loop without one. */
void cr_watch_free(crank_loop *loop);
/* A timer of kind CR_TIMER_CALLBACK is due. */
void cr_callback_due(crank_loop *loop, cr_timer *timer);
#endif
