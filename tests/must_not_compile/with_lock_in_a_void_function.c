/* SPDX-License-Identifier: MIT */
/* gcc must say: 'return' with a value, in function returning void */
/* clang must say: void function 'app' should not return a value */
#include <crank.h>
static void app(crank_lock *lock) { CRANK_WITH_LOCK(lock); }
int main(void)
{
    app(NULL);
    return 0;
}
