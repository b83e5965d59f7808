/* SPDX-License-Identifier: MIT */
/* rights.h: descriptors that simulated unix sockets pass with their bytes. */
#ifndef CR_RIGHTS_H
#define CR_RIGHTS_H
#include "world/endpoints.h"

struct msghdr;

/* The descriptors that a message passes: numbers of the network's own from now on. *ret_rights is
 * NULL where it passes none. 0; -EBADF (one is not open), -EINVAL (a control message that is none,
 * or more than 253), -ENOTSUP (it passes something else), -ETOOMANYREFS (the process has no place
 * for them), -ENOMEM. */
int cr_rights_take(cr_world *world, const struct msghdr *message, cr_rights **ret_rights);
/* They go with the last n bytes that were written to the sender's flow. */
void cr_rights_send(cr_endpoint *sender, cr_rights *rights, size_t n);
/* Close them; NULL is ignored. */
void cr_rights_drop(cr_world *world, cr_rights *rights);
/* How many bytes of size one call may read: a message that passes descriptors ends it. */
size_t cr_rights_limit(const cr_endpoint *sender, size_t size);
/* Give the receiver what comes with the next n bytes: new numbers, as many as the message has room
 * for. What msg_flags says of them is added. */
void cr_rights_give(cr_world *world, const cr_endpoint *sender, struct msghdr *message, size_t n);
/* Close those whose bytes were taken. */
void cr_rights_pass(cr_world *world, cr_endpoint *sender);
#endif
