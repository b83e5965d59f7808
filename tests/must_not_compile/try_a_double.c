/* SPDX-License-Identifier: MIT */
/* must say: crank_try takes int, long, ssize_t or a pointer */
#include <crank.h>
static double half(void) { return 0.5; }
static int app(void)
{
    crank_try(half());
    return 0;
}
int main(void) { return crank_run(app); }
