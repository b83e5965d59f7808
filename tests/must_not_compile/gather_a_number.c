/* SPDX-License-Identifier: MIT */
/* gcc must say: is not compatible with any association */
/* clang must say: not compatible with any generic association type */
#include <crank.h>
static int work(void) { return 1; }
static int app(void)
{
    long results[2];
    return crank_gather(results, crank_spawn(work), work());
}
int main(void) { return crank_run(app); }
