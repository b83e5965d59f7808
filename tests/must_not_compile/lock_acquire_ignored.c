/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_lock_acquire' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int app(void)
{
    CRANK_LOCK(lock);
    crank_lock_acquire(lock);
    return 0;
}
int main(void) { return crank_run(app); }
