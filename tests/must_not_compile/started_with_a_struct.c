/* SPDX-License-Identifier: MIT */
/* must say: crank_started takes an integer, a double or a pointer */
#include <crank.h>
static int app(void)
{
    crank_outcome value = { 0 };
    crank_started(value);
    return 0;
}
int main(void) { return crank_run(app); }
