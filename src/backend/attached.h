/* SPDX-License-Identifier: MIT */
/* attached.h: which descriptors are attached to a backend, and under which generation. For the
 * simulator, which remembers nothing else of them. */
#ifndef CR_ATTACHED_H
#define CR_ATTACHED_H
#include "backend/backend.h"

/* By number, less first: an odd generation is attached, an even one is not. */
typedef struct cr_attached {
    uint32_t *generations;
    size_t room;
    int first; /* the smallest number there can be */
} cr_attached;

/* 0 or -ENOMEM. */
int cr_attached_add(cr_attached *all, const cr_sys *sys, int number, cr_fd *ret_fd);
void cr_attached_remove(cr_attached *all, cr_fd fd);
/* Is the operation's descriptor still the one it was submitted for? */
bool cr_attached_has(const cr_attached *all, const cr_op *op);
/* Is what has this number now attached? */
bool cr_attached_number(const cr_attached *all, int number);
#endif
