/* SPDX-License-Identifier: MIT */
/* must say: crank_set_result takes an integer, a double or a pointer */
#include <crank.h>
static int app(void)
{
    crank_future *future = crank_future_new();
    return crank_set_result(future, 1.0L);
}
int main(void) { return crank_run(app); }
