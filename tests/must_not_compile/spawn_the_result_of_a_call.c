/* SPDX-License-Identifier: MIT */
/* gcc must say: is not a function or function pointer */
/* clang must say: indirection requires pointer operand ('int' invalid) */
#include <crank.h>
static int work(void) { return 1; }
int main(void)
{
    crank_drop(crank_spawn(work()));
    return 0;
}
