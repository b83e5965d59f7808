/* SPDX-License-Identifier: MIT */
/* hang.c: a deadlock that only some schedules show: two locks, taken in two orders. */
#include <crank.h>

static crank_lock *left;
static crank_lock *right;

static int both(crank_lock *first, crank_lock *second)
{
    crank_try(crank_lock_acquire(first));
    int err = crank_lock_acquire(second);
    if (err == 0)
        crank_lock_release(second);
    crank_lock_release(first);
    return err;
}

static int app(void)
{
    CRANK_LOCK(a);
    CRANK_LOCK(b);
    left = a;
    right = b;
    return crank_gather(NULL, crank_spawn(both, left, right), crank_spawn(both, right, left));
}

int main(void) { return crank_run(app); }
