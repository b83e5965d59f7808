/* SPDX-License-Identifier: MIT */
/* gcc must say: makes integer from pointer without a cast */
/* clang must say: incompatible pointer to integer conversion */
#include <crank.h>
static int square(int a) { return a * a; }
int main(void)
{
    crank_drop(crank_spawn(square, "7"));
    return 0;
}
