/* SPDX-License-Identifier: MIT */
/* attempt.h: perform an operation now, if it need not wait. What the backends without a completion
 * queue share. */
#ifndef CR_ATTEMPT_H
#define CR_ATTEMPT_H
#include "loop/backend.h"

/* The result, or -EAGAIN where it would have to wait: also on a descriptor that is not
 * O_NONBLOCK. */
long cr_attempt(const cr_sys *sys, const cr_op *op);
/* The same where waiting is fine: for files that are always ready. */
long cr_attempt_waiting(const cr_sys *sys, const cr_op *op);
#endif
