/* SPDX-License-Identifier: MIT */
/* must say: the result is an integer, a double or a pointer */
#include <crank.h>
static int work(void) { return 1; }
static int app(void)
{
    crank_outcome result;
    CRANK_GROUP(group);
    return crank_group_add_into(&group, &result, crank_spawn(work));
}
int main(void) { return crank_run(app); }
