/* SPDX-License-Identifier: MIT */
/* gcc must say: 'return' with a value, in function returning void */
/* clang must say: void function 'app' should not return a value */
#include <crank.h>
static int numbers(void) { return crank_yield(1); }
static void app(void) { crank_foreach(int, i, crank_generate(numbers))(void) i; }
int main(void)
{
    app();
    return 0;
}
