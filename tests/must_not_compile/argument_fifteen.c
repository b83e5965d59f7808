/* SPDX-License-Identifier: MIT */
/* must say: a task takes at most 14 arguments; put them in a struct and pass a pointer */
#include <crank.h>
static int sum(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k, int l, int m, int n, int o)
{
    return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o;
}
int main(void)
{
    crank_drop(crank_spawn(sum, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    return 0;
}
