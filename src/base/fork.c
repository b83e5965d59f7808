/* SPDX-License-Identifier: MIT */
/* fork.c: the count of forks.
 *
 * Owns the count, and nothing that a fork doubles: each layer puts its own right in a handler of
 * its own. A count and not the process's number, which is a system call to ask for and may be used
 * again. */
#include "base/fork.h"

#include <pthread.h>

unsigned cr_forks;

static pthread_once_t counted = PTHREAD_ONCE_INIT;

static void count_child(void) { cr_forks++; } /* unreached: see begin_child of loop/inherit.c */
static void count(void) { (void)pthread_atfork(NULL, NULL, count_child); }

void cr_fork_prepare(void (*in_child)(void))
{
    (void)pthread_once(&counted, count);
    (void)pthread_atfork(NULL, NULL, in_child);
}
