/* SPDX-License-Identifier: MIT */
/* gcc must say: is not a function or function pointer */
/* clang must say: indirection requires pointer operand ('int' invalid) */
#include <crank.h>
int main(void)
{
    int number = 3;
    crank_drop(crank_spawn(number));
    return 0;
}
