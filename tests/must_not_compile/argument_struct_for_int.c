/* SPDX-License-Identifier: MIT */
/* gcc must say: incompatible type for argument 1 */
/* clang must say: passing 'struct point' to parameter of incompatible type 'int' */
#include <crank.h>
struct point {
    int x, y;
};
static int square(int a) { return a * a; }
int main(void)
{
    struct point p = { 1, 2 };
    crank_drop(crank_spawn(square, p));
    return 0;
}
