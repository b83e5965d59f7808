/* SPDX-License-Identifier: MIT */
/* callback.h: what the loop must know of the callback layer. */
#ifndef CR_CALLBACK_H
#define CR_CALLBACK_H
#include "loop/service.h"

/* loop->watch. 0 or -ENOMEM. */
int cr_callback_watch_new(crank_loop *loop);
/* Ends every reader and writer and drops every callback. Takes a loop without one. */
void cr_callback_watch_free(crank_loop *loop);
/* A timer of kind CR_TIMER_CALLBACK is due. */
void cr_callback_due(crank_loop *loop, cr_timer *timer);
#endif
