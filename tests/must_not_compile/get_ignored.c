/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_queue_get_' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int app(void)
{
    CRANK_QUEUE(queue, int, 0);
    int value;
    crank_get(queue, &value);
    return value;
}
int main(void) { return crank_run(app); }
