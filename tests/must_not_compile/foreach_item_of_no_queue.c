/* SPDX-License-Identifier: MIT */
/* gcc must say: incompatible pointer type */
/* clang must say: incompatible pointer types */
#include <crank.h>
static int numbers(void) { return crank_yield(1); }
static int app(void)
{
    crank_foreach_item(int, i, crank_generate(numbers))(void) i;
    return 0;
}
int main(void) { return crank_run(app); }
