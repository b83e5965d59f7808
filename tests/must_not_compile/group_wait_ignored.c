/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_group_wait' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int app(void)
{
    CRANK_GROUP(g);
    crank_group_wait(&g);
    return 0;
}
int main(void) { return crank_run(app); }
