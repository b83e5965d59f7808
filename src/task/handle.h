/* SPDX-License-Identifier: MIT */
/* handle.h: giving handles up without waiting. */
#ifndef CR_HANDLE_H
#define CR_HANDLE_H
#include "task/record.h"

/* Free the done callbacks of a task that will never end. */
void cr_dones_free(crank_loop *loop, cr_ext *ext);
/* Free those that are ready and will not be called any more: the run is over. */
void cr_dones_left(crank_loop *loop);
#endif
