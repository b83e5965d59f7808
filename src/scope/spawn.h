/* SPDX-License-Identifier: MIT */
/* spawn.h: from a captured call to a task. */
#ifndef CR_SPAWN_H
#define CR_SPAWN_H
#include "scope/nursery.h"

/* A record with the captured call in it, alive, new, owned by the running task (outside a task by
 * the root), not yet ready. NULL when memory is short (errno ENOMEM). */
cr_task *cr_spawn_make(crank_loop *loop, crank_function_ *fn, const crank_site *site);
/* Called in a callback as the root ends its children: what is made now has to end as well. */
bool cr_spawn_unwanted(crank_loop *loop);
/* The same, owned by owner. */
cr_task *cr_spawn_make_owned(
    crank_loop *loop, cr_nursery *owner, crank_function_ *fn, const crank_site *site);
/* Copy the captured call into a task made elsewhere (the arguments of one posted from another
 * thread). */
cr_task *cr_spawn_make_from(
    crank_loop *loop, crank_function_ *fn, const crank_site *site, const void *args);
static inline void cr_spawn_ready(crank_loop *loop, cr_task *task)
{
    cr_sched_push(&loop->runner, &task->fiber);
}
#endif
