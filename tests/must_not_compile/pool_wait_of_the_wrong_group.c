/* SPDX-License-Identifier: MIT */
/* gcc must say: incompatible pointer type */
/* clang must say: incompatible pointer types */
#include <crank.h>
static int app(void)
{
    double results[2];
    CRANK_TIMEOUT(limit, 1);
    return crank_pool_wait(&limit, results, 2);
}
int main(void) { return crank_run(app); }
