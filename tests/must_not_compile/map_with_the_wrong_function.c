/* SPDX-License-Identifier: MIT */
/* gcc must say: incompatible pointer type */
/* clang must say: incompatible function pointer types */
#include <crank.h>
static int numbers(void) { return crank_yield(1); }
static char *name(int i) { return i ? (char *)0 : (char *)0; }
static int app(void)
{
    crank_foreach(double, d, crank_map(double, int, crank_generate(numbers), name))(void) d;
    return 0;
}
int main(void) { return crank_run(app); }
