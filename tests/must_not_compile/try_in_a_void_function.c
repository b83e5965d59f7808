/* SPDX-License-Identifier: MIT */
/* gcc must say: 'return' with a value, in function returning void */
/* clang must say: void function 'app' should not return a value */
#include <crank.h>
static void app(void) { crank_try(crank_sleep(1)); }
int main(void)
{
    app();
    return 0;
}
