/* SPDX-License-Identifier: MIT */
/* service.h: what stands in the ready line without being a fiber. */
#ifndef CR_SERVICE_H
#define CR_SERVICE_H
#include "loop/loop.h"

/* A call of the loop's own; its first member says CR_RUN_SERVICE. */
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
    cr_sched_push(&loop->runner, &service->item);
}
#endif
