/* SPDX-License-Identifier: MIT */
/* must say: crank_try takes int, long, ssize_t or a pointer */
#include <crank.h>
static unsigned count(void) { return 1; }
static int app(void)
{
    crank_try(count());
    return 0;
}
int main(void) { return crank_run(app); }
