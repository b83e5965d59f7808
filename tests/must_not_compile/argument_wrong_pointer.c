/* SPDX-License-Identifier: MIT */
/* gcc must say: from incompatible pointer type */
/* clang must say: incompatible pointer types */
#include <crank.h>
static int length(const char *text) { return text[0]; }
int main(void)
{
    double d = 1;
    crank_drop(crank_spawn(length, &d));
    return 0;
}
