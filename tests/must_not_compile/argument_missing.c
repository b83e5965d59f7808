/* SPDX-License-Identifier: MIT */
/* must say: too few arguments to function */
#include <crank.h>
static int add(int a, int b) { return a + b; }
int main(void)
{
    crank_drop(crank_spawn(add, 1));
    return 0;
}
