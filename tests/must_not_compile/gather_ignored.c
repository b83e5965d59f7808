/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_must_use_' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int work(void) { return 1; }
static int app(void)
{
    crank_gather(NULL, crank_spawn(work), crank_spawn(work));
    return 0;
}
int main(void) { return crank_run(app); }
