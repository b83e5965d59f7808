/* SPDX-License-Identifier: MIT */
/* must say: a task returns a scalar of at most 8 bytes or void; return through a pointer argument */
#include <complex.h>
#include <crank.h>
static float _Complex rotate(void) { return 1.0f; }
int main(void)
{
    crank_drop(crank_spawn(rotate));
    return 0;
}
