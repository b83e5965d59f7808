/* SPDX-License-Identifier: MIT */
/* must say: too many arguments to function */
#include <crank.h>
static void rest(void) {}
int main(void)
{
    crank_drop(crank_spawn(rest, 1));
    return 0;
}
