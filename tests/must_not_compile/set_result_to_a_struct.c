/* SPDX-License-Identifier: MIT */
/* must say: crank_set_result takes an integer, a double or a pointer */
#include <crank.h>
struct point {
    int x, y;
};
static int app(void)
{
    crank_future *future = crank_future_new();
    struct point p = { 1, 2 };
    return crank_set_result(future, p);
}
int main(void) { return crank_run(app); }
