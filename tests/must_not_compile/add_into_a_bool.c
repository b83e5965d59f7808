/* SPDX-License-Identifier: MIT */
/* must say: the result is an integer, a double or a pointer */
#include <crank.h>
static bool work(void) { return true; }
static int app(void)
{
    bool result;
    CRANK_GROUP(group);
    return crank_group_add_into(&group, &result, crank_spawn(work));
}
int main(void) { return crank_run(app); }
