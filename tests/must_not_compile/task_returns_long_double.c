/* SPDX-License-Identifier: MIT */
/* must say: a task returns a scalar of at most 8 bytes or void; return through a pointer argument */
#include <crank.h>
static long double exact(void) { return 1.0L; }
int main(void)
{
    crank_drop(crank_spawn(exact));
    return 0;
}
