/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_must_use_' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int app(void)
{
    CRANK_QUEUE(queue, int, 0);
    crank_put(queue, 3);
    return 0;
}
int main(void) { return crank_run(app); }
