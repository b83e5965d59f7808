/* SPDX-License-Identifier: MIT */
/* must say: crank_try takes int, long, ssize_t or a pointer */
#include <crank.h>
static bool ready(void) { return true; }
static int app(void)
{
    crank_try(ready());
    return 0;
}
int main(void) { return crank_run(app); }
