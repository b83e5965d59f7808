/* SPDX-License-Identifier: MIT */
/* gcc must say: incompatible pointer type */
/* clang must say: incompatible function pointer types */
#include <crank.h>
static int numbers(void) { return crank_yield(1); }
static bool long_enough(const char *text) { return text[0] != 0; }
static int app(void)
{
    crank_foreach(int, i, crank_filter(int, crank_generate(numbers), long_enough))(void) i;
    return 0;
}
int main(void) { return crank_run(app); }
