/* SPDX-License-Identifier: MIT */
/* blocking.h: blocking work of crank's own, done on a worker while one task waits for it.
 *
 * For reading and writing files and whatever else the kernel cannot do without blocking a
 * thread. arg and what it points to must be heap memory that stays until the call returns: a
 * worker uses it, whatever happens to the task meanwhile. */
#ifndef CR_BLOCKING_H
#define CR_BLOCKING_H
#include "task/wait.h"

/* fn(arg) on a worker; name says what it is about (a path) in descriptions of the task. w has been
 * begun. Gives what fn gives. Fails with -ECANCELED when cancelled before fn has started: then it
 * never does. Once it has, its result stands and a request to cancel stays pending. Fails with
 * -ENOMEM, -EAGAIN (no thread). */
long cr_blocking_call(const cr_caller *w, long (*fn)(void *arg), void *arg, const char *name);
/* The same for what must be done, also when the task is cancelled: nothing interrupts it, and
 * where no worker can be had it is done here, blocking the loop. */
long cr_blocking_call_uncancellable(
    const cr_caller *w, long (*fn)(void *arg), void *arg, const char *name);
#endif
