/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_semaphore_acquire' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int app(void)
{
    CRANK_SEMAPHORE(semaphore, 1);
    crank_semaphore_acquire(semaphore);
    return 0;
}
int main(void) { return crank_run(app); }
