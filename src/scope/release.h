/* SPDX-License-Identifier: MIT */
/* release.h: giving handles up without waiting. */
#ifndef CR_RELEASE_H
#define CR_RELEASE_H
#include "task/record.h"

/* Free the done callbacks of a task that will never end. */
void cr_release_dones_free(crank_loop *loop, cr_ext *ext);
/* Free those that are ready and will not be called any more: the run is over. */
void cr_release_dones_left(crank_loop *loop);
#endif
