/* SPDX-License-Identifier: MIT */
/* gcc must say: incompatible pointer type */
/* clang must say: incompatible pointer types */
#include <crank.h>
static int work(void) { return 1; }
static int app(void)
{
    CRANK_TIMEOUT(limit, 1);
    crank_group_spawn(&limit, work);
    return 0;
}
int main(void) { return crank_run(app); }
