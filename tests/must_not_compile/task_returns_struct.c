/* SPDX-License-Identifier: MIT */
/* must say: a task returns a scalar of at most 8 bytes or void; return through a pointer argument */
#include <crank.h>
struct point {
    int x, y;
};
static struct point where(void) { return (struct point){ 1, 2 }; }
int main(void)
{
    crank_drop(crank_spawn(where));
    return 0;
}
